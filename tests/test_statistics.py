"""Statistics: comparisons of arms, their intervals and p-values, and numbers as text."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from strategies import powers

import growlib
from growkit import statistics, studies
from growkit.derived import scaling

# ---------------------------------------------------------------------------------- numbers as text


@pytest.mark.parametrize(
    "row, text",
    [
        ((0.96812, 0.9044, 1.0034), "0.968 (0.904 to 1.003)"),
        ((1, 1.0999, 1.1), "1.000 (1.100 to 1.10)"),
        ((12.34, 0.01, 250), "12.3 (0.0100 to 250)"),
    ],
)
def test_an_interval_in_words_has_three_digits_and_four_just_above_1(row, text):
    estimate, low, high = row
    assert statistics.in_words({"estimate": estimate, "low": low, "high": high}) == text


# ---------------------------------------------------------------------------------------- intervals


def test_limits_over_trials_are_the_quantiles_of_resampled_trials():
    x = np.random.default_rng(3).standard_normal(30)

    def mean_and_count(places):
        return {"mean": x[places].mean(), "count": len(places)}

    found = statistics.over_trials(mean_and_count, 30)
    generator = np.random.default_rng(0)
    means = [x[generator.integers(0, 30, 30)].mean() for _ in range(2000)]
    expected = [x.mean(), *np.quantile(means, [0.025, 0.975])]
    assert found.loc["mean"].tolist() == pytest.approx(expected)
    assert found.loc["count"].tolist() == [30, 30, 30]


@pytest.mark.parametrize("wins", [12, 0], ids=["all", "none"])
def test_where_all_pairs_agree_the_interval_is_the_exact_one(wins):
    lower = np.arange(1.0, 13)
    higher = np.arange(2.0, 14)
    sample = (lower, higher) if wins else (higher, lower)
    found = statistics._interval(sample, "probability", resamples=100, seed=0, permutations=0)
    exact = stats.binomtest(wins, 12).proportion_ci(method="exact")
    assert found == {"estimate": wins / 12, "low": exact.low, "high": exact.high}


def test_an_interval_that_has_no_bca_is_the_percentile_one():
    # Leaving out any one pair does not change the median.
    sample = (np.array([1.0] * 7 + [3] * 4), np.ones(11))
    found = statistics._interval(sample, "ratio of medians", resamples=400, seed=0, permutations=0)
    assert found == {"estimate": 1, "low": 1, "high": 3}


# -------------------------------------------------------------------------------------- comparisons


def test_a_comparison_takes_2000_samples_of_seed_0_and_no_permutations_unless_told():
    losses = np.exp(np.random.default_rng(5).standard_normal(40))
    frame = pd.DataFrame(
        {
            "task": "t",
            "trial": [*range(20)] * 2,
            "arm": ["growing"] * 20 + ["grown"] * 20,
            "diverged": False,
            "test_loss": losses,
        }
    )
    by_default = statistics.compare(frame)
    told = statistics.compare(frame, resamples=2000, seed=0, permutations=0)
    pd.testing.assert_frame_equal(by_default, told, check_exact=True)
    assert "p" not in statistics.compare(frame, resamples=100)


def test_one_pair_has_an_estimate_and_neither_an_interval_nor_a_p():
    frame = pd.DataFrame(
        {
            "task": "t",
            "diverged": False,
            "trial": [0, 0],
            "arm": ["growing", "grown"],
            "test_loss": [1.0, 4],
        }
    )
    one_pair = statistics.compare(frame, permutations=99)
    assert one_pair.loc[0, "estimate"] == 0.25
    assert one_pair[["low", "high", "p"]].isna().all(axis=None)


# -------------------------------------------------------------------------------- Holm's correction


def test_holm_takes_probabilities_alone():
    assert statistics.holm([0.0, 1.0]).tolist() == [0.0, 1.0]
    message = r"^p is .*; it takes a sequence of numbers from 0 to 1$"
    for p in ([-0.01], [1.01], [0.5, 2.0], [float("nan")], [[0.5]], 0.5, ["small"]):
        with pytest.raises(ValueError, match=message):
            statistics.holm(p)


P_VALUES = st.floats(0, 1) | st.sampled_from([0.0, 0.01, 0.5, 1.0])


@given(p=st.lists(P_VALUES, min_size=1, max_size=12))
def test_holms_correction_is_its_definition(p):
    """A corrected p is the largest of the scaled p-values up to its own, and at most 1.

    The smallest p-value is scaled by their number, the next one by one less, and so on.
    """
    corrected = statistics.holm(p)
    scaled = [(len(p) - k) * value for k, value in enumerate(sorted(p))]
    for own, found in zip(p, corrected, strict=True):
        up_to_own = [scaled[k] for k, value in enumerate(sorted(p)) if value <= own]
        assert found == min(1, max(up_to_own))
        assert found >= own
    # The order of the p-values is kept.
    assert (np.diff(corrected[np.argsort(p)]) >= 0).all()


# ------------------------------------------------------------------------ properties of comparisons


@st.composite
def drawn_finals(draw):
    """Return the finals of growing and grown networks in pairs, some of which diverged."""
    which_diverged = st.sampled_from(["neither"] * 4 + ["growing", "grown"])
    pair = st.tuples(powers(1e-6, 1e3), powers(1e-6, 1e3), which_diverged)
    rows = []
    for trial, (growing, grown, diverged) in enumerate(
        draw(st.lists(pair, min_size=1, max_size=15))
    ):
        rows.append(("t", "growing", trial, growing, diverged == "growing"))
        rows.append(("t", "grown", trial, grown, diverged == "grown"))
    return pd.DataFrame(rows, columns=["task", "arm", "trial", "test_loss", "diverged"])


@given(frame=drawn_finals())
def test_swapped_arms_invert_ratios(frame):
    """The other way round a ratio is its inverse, and a probability is what lacks to 1."""
    found, swapped = (
        statistics.compare(frame, arm=arm, against=against, resamples=9)
        for arm, against in (("growing", "grown"), ("grown", "growing"))
    )
    with np.errstate(divide="ignore"):  # 0 and infinity, where a median is of a diverged network
        expected = 1 / swapped["estimate"]
    probability = swapped["measure"] == "probability"
    expected[probability] = 1 - swapped["estimate"][probability]
    assert found["measure"].tolist() == swapped["measure"].tolist()
    np.testing.assert_allclose(found["estimate"], expected, rtol=1e-9)


@given(frame=drawn_finals(), power=st.integers(-20, 20))
def test_a_factor_on_both_arms_changes_no_comparison(frame, power):
    """Losses in another unit give the same estimates, intervals and p-values to the bit.

    The unit is a power of two, which rounds nothing.
    """
    scaled = frame.assign(test_loss=frame["test_loss"] * 2.0**power)
    one, other = (
        statistics.compare(each, resamples=49, permutations=49) for each in (frame, scaled)
    )
    pd.testing.assert_frame_equal(one, other, check_exact=True)


@given(frame=drawn_finals())
def test_an_interval_has_its_order_and_p_is_a_probability(frame):
    """The ends of an interval are in order, and p lies between what the swaps can give and 1."""
    for row in statistics.compare(frame, resamples=99, permutations=99).itertuples():
        assert math.isnan(row.low) or row.low <= row.high
        assert math.isnan(row.p) or 2 / min(2**row.pairs, 100) <= row.p <= 1


@given(frame=drawn_finals(), seed=st.integers(0, 9))
def test_a_comparison_does_not_depend_on_the_order_of_rows(frame, seed):
    shuffled = frame.sample(frac=1, random_state=seed)
    pd.testing.assert_frame_equal(
        statistics.compare(frame, resamples=19), statistics.compare(shuffled, resamples=19)
    )


# -------------------------------------------------------- comparisons, and those that are committed


def finals(growing, grown, diverged=()):
    """Return finals of two arms with these losses; the trials `diverged` did so while growing."""
    pairs = len(growing)
    arms = []
    for arm, losses, lost in (("growing", growing, diverged), ("grown", grown, ())):
        arms.append(
            pd.DataFrame(
                {
                    "task": "t",
                    "arm": arm,
                    "trial": range(pairs),
                    "test_loss": losses,
                    "diverged": np.isin(np.arange(pairs), lost),
                }
            )
        )
    return pd.concat(arms)


def sample(pairs=60):
    """Return random losses of the growing and of the grown networks, (pairs,) each."""
    generator = np.random.default_rng(0)
    growing = np.exp(generator.normal(-1, 1, pairs))
    grown = np.exp(generator.normal(-0.5, 1, pairs))
    return growing, grown


def compared(frame, **options):
    """Return the rows of a comparison by their measures."""
    return statistics.compare(frame, **{"resamples": 200} | options).set_index("measure")


# ---------------------------------------------------------------------------------------- estimates


def test_comparison_is_the_hand_worked_one():
    found = compared(finals([1.0, 2, 3, 6], [2.0, 2, 4, 4]))["estimate"]
    assert found.to_dict() == {
        "ratio of means": 12 / 12,
        "ratio of medians": 2.5 / 3,
        "probability": (1 + 0.5 + 1 + 0) / 4,
    }


def test_the_interquartile_mean_is_that_of_the_middle_half():
    growing, grown = sample()
    measure = "ratio of interquartile means"
    row = compared(finals(growing, grown), measures=[measure]).loc[measure]
    middles = [np.sort(losses)[15:45].mean() for losses in (growing, grown)]
    assert row["estimate"] == pytest.approx(middles[0] / middles[1])
    assert row["low"] < row["estimate"] < row["high"]


def test_diverged_trials_are_worst_and_counted():
    growing, grown = sample()
    found = compared(finals(growing, grown, diverged=(3, 7)))
    converged = ~np.isin(np.arange(60), (3, 7))
    assert (found["lost"] == 2).all()

    means = growing[converged].mean() / grown[converged].mean()
    medians = np.median(np.where(converged, growing, np.inf)) / np.median(grown)
    wins = (growing[converged] < grown[converged]).sum()
    assert found.loc["ratio of means", "estimate"] == pytest.approx(means)
    assert found.loc["ratio of medians", "estimate"] == pytest.approx(medians)
    assert found.loc["probability", "estimate"] == pytest.approx(wins / 60)


def test_any_arm_can_be_compared_with_any_other():
    growing, grown = sample()
    frame = finals(growing, grown)
    names = {"growing": "pruned", "grown": "larger"}
    renamed = frame.assign(arm=frame["arm"].map(names))
    found = compared(renamed, against="larger", arm="pruned")
    expected = growing.mean() / grown.mean()
    assert found.loc["ratio of means", "estimate"] == pytest.approx(expected)


# --------------------------------------------------------------------------- intervals and p-values


def test_intervals_are_scipys_bca():
    growing, grown = sample()
    row = compared(finals(growing, grown), resamples=999).loc["ratio of means"]
    expected = stats.bootstrap(
        (growing, grown),
        lambda growing, grown, axis: growing.mean(axis) / grown.mean(axis),
        paired=True,
        n_resamples=999,
        method="BCa",
        rng=np.random.default_rng(0),
    ).confidence_interval
    assert (row["low"], row["high"]) == pytest.approx(tuple(expected))
    assert row["pairs"] == 60
    assert row["low"] < row["estimate"] < row["high"]


def test_a_comparison_without_spread_has_no_width():
    found = compared(finals(np.ones(60), np.ones(60)), resamples=100).loc["probability"]
    assert (found["low"], found["estimate"], found["high"]) == (0.5, 0.5, 0.5)


def few(pairs, lost=0):
    """Return a comparison of so many pairs, of which so many diverged while growing."""
    growing = np.arange(pairs) + 1.0
    frame = finals(growing, growing + 1, diverged=range(lost))
    return compared(frame, permutations=99, resamples=99)


def test_one_pair_has_estimates_but_neither_interval_nor_p():
    found = few(pairs=1)
    assert found["estimate"].tolist() == [0.5, 0.5, 1.0]
    assert found[["low", "high", "p"]].isna().all(axis=None)


def test_a_comparison_of_few_or_mostly_diverged_pairs_says_what_it_can():
    """It warns of nothing, and no p is below what four pairs can give."""
    half = few(pairs=4, lost=2)
    assert half.loc["ratio of medians", "estimate"] == np.inf
    assert half[["low", "high"]].isna().all(axis=None)

    twelve = few(pairs=12, lost=6)
    assert twelve.loc["ratio of medians", ["estimate", "high"]].tolist() == [np.inf, np.inf]
    assert np.isfinite(twelve.loc["ratio of medians", "low"])

    every = few(pairs=4, lost=4)
    assert every.loc["ratio of means", ["estimate", "low", "high", "p"]].isna().all()
    assert every.loc["probability", "estimate"] == 0

    for found in (half, every):
        assert (found["p"].dropna() >= 2 / 2**4).all()


def test_the_p_of_a_comparison_is_that_of_a_permutation():
    growing, grown = sample()
    found = compared(
        finals(growing, grown),
        measures=["ratio of means", "probability"],
        resamples=100,
        permutations=9999,
    )["p"]
    wins = int((growing < grown).sum())
    assert found["probability"] == pytest.approx(stats.binomtest(wins, 60).pvalue, abs=0.01)

    swapped = np.random.default_rng(1).random((9999, 60)) < 0.5
    first = np.where(swapped, grown, growing).mean(1)
    second = np.where(swapped, growing, grown).mean(1)
    as_low = (first / second <= growing.mean() / grown.mean()).mean()
    assert found["ratio of means"] == pytest.approx(2 * min(as_low, 0.5), abs=0.01)


def test_the_p_of_three_pairs_is_that_of_their_eight_permutations():
    """Of these the observed one and its opposite are farthest from even."""
    frame = finals([1.0, 2, 3], [2.0, 3, 4])
    found = compared(frame, measures=["probability"], resamples=100, permutations=50)
    assert found["p"].item() == 0.25


def test_holms_correction_of_a_case_worked_by_hand():
    np.testing.assert_allclose(statistics.holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(statistics.holm([0.7, 0.6]), [1, 1])


def test_limits_over_trials_cover_the_truth_as_often_as_they_say():
    covered = 0
    for x in np.random.default_rng(0).standard_normal((300, 40)):
        mean = lambda places, x=x: {"mean": x[places].mean()}  # noqa: E731
        row = statistics.over_trials(mean, 40, resamples=200).loc["mean"]
        covered += row["low"] < 0 < row["high"]
    assert 0.88 < covered / 300 < 0.98


# ---------------------------------------------------------------------------------- derived tables

WIDTHS = [4, 8, 16, 32]


@pytest.fixture(scope="module")
def power_laws():
    """What is found in a power law with noise (static) and in a bent line (growing)."""
    width, trial = (grid.ravel() for grid in np.meshgrid(WIDTHS, np.arange(12), indexing="ij"))
    noise = np.exp(0.1 * np.random.default_rng(0).standard_normal(len(width)))
    losses = {"static": 3 * width**-1.5 * noise, "growing": 3.0 * np.minimum(width, 8) ** -1.5}
    frames = []
    for arm, loss in losses.items():
        frames.append(pd.DataFrame({"arm": arm, "width": width, "trial": trial, "test_loss": loss}))
    found = scaling.power_law(pd.concat(frames), "test_loss", resamples=200)
    return found.set_index(["arm", "quantity"])


def test_scaling_finds_a_known_power_law(power_laws):
    slope = power_laws.loc[("static", "slope over width")]
    assert abs(slope["estimate"] + 1.5) < 0.1
    assert slope["low"] < slope["estimate"] < slope["high"] < slope["low"] + 0.2
    assert power_laws.loc[("static", "misfit over width"), "estimate"] < 1.1


def test_scaling_finds_how_far_a_bent_line_is_from_a_power_law(power_laws):
    x = np.log10(WIDTHS)
    y = -1.5 * np.log10(np.minimum(WIDTHS, 8))
    line = np.polyfit(x, y, 1)
    # there is no noise, so that the limits meet
    np.testing.assert_allclose(
        power_laws.loc[("growing", "slope over width"), ["estimate", "low", "high"]].astype(float),
        line[0],
    )
    largest = np.abs(y - np.polyval(line, x)).max()
    misfit = power_laws.loc[("growing", "misfit over width"), "estimate"]
    np.testing.assert_allclose(np.log10(misfit), largest)


def test_no_line_is_drawn_through_two_widths():
    frame = pd.DataFrame(
        {
            "arm": np.repeat(["growing", "static"], 24),
            "width": np.tile(np.repeat([4, 8], 12), 2),
            "trial": np.tile(np.arange(12), 4),
            "test_loss": 1.0,
        }
    )
    assert scaling.power_law(frame, "test_loss").empty


@pytest.mark.parametrize("trials, has_one", [(9, False), (10, True)])
def test_below_ten_trials_there_is_no_interval(trials, has_one):
    losses = np.random.default_rng(0).lognormal(size=2 * trials)
    frame = pd.DataFrame(
        {
            "task": "a",
            "arm": np.repeat(["growing", "grown"], trials),
            "trial": np.tile(np.arange(trials), 2),
            "diverged": False,
            "test_loss": losses,
        }
    )
    compared = statistics.compare(frame, permutations=99)
    drawn = statistics.over_trials(lambda k: {"mean": losses[k].mean()}, trials)
    for found in (compared, drawn):
        assert found["estimate"].notna().all()
        assert (found[["low", "high"]].notna().to_numpy() == has_one).all()
    assert compared["p"].notna().all()
    assert ("(" in statistics.in_words(compared.iloc[0])) == has_one


# ------------------------------------------------------------------------------- committed in data/


def test_the_committed_comparisons_are_those_of_the_data():
    for _, row in pd.read_csv(growlib.HOME / "data/results.csv").iterrows():
        stored = studies.stored(row["study"])
        value = row["value"]
        if value.startswith("error"):
            stored[value] = 1 - stored[value.replace("error", "accuracy")]
        mine = (
            (stored["task"] == row["task"])
            & (stored["epochs"] == row["epochs"])
            & (stored["mask"] == row["mask"])
            & np.isclose(stored["noise"], row["noise"])
        )
        wide = stored[mine].pivot(index="trial", columns="arm", values=value)
        wide = wide[["growing", row["against"]]]
        assert row["pairs"] == len(wide)
        growing, comparison = wide.to_numpy().T
        again = statistics._measured(growing, comparison, row["measure"])
        assert row["estimate"] == pytest.approx(again, rel=1e-5)
        assert row["low"] <= row["estimate"] <= row["high"]


@pytest.mark.parametrize("at", range(0, 1000, 70))
def test_the_committed_controls_are_those_of_the_data(at):
    """Every 70th row of data/controls.csv, with its arms, rates and references found again."""
    rows = pd.read_csv(growlib.HOME / "data/controls.csv")
    row = rows[~rows["reference"].str.startswith("picked")].iloc[at]
    control = losses_of_control(row, row["control"], row["arm"])
    reference = losses_of_control(row, row["reference"], "static")
    converged = np.isfinite(control) & np.isfinite(reference)
    assert len(control) == len(reference) == row["pairs"]
    assert row["lost"] == (~converged).sum()
    if row["measure"] == "ratio of means":
        control, reference = control[converged], reference[converged]
    again = statistics._measured(control, reference, row["measure"])
    assert row["estimate"] == pytest.approx(again, rel=1e-5)


def losses_of_control(row, name, arm):
    """Return the losses of a control in the case of a row of data/controls.csv, a value a trial."""
    stored = studies.stored("controls")
    stored = stored[
        (stored["task"] == row["case"].split(",")[0])
        & ((stored["width"] == 64) == ("64" in row["case"]))
        & (stored["control"] == name.removesuffix(", grown").removesuffix(", equal compute"))
        & (stored["arm"] == arm)
    ]
    ends = stored["epochs"]
    end = ends.min() if name.endswith("equal compute") else ends.max()
    stored = stored[ends == end]
    rates = stored["lr"]  # the published one first, then the best one
    rate = rates.iloc[0] if row["rate"] == "published" else rates.iloc[-1]
    stored = stored[rates == rate].set_index("trial").sort_index()
    return stored[row["value"]].where(~stored["diverged"], np.inf).to_numpy()


OPPONENTS = {
    "pruned, equal operations",
    "grown",
    "static",
    "static without the size input",
    "larger static",
    "pruned",
    "pruned, equal compute",
}


def test_the_claims_are_corrected_within_a_claim_and_measure():
    every = pd.read_csv(growlib.HOME / "data/claims.csv", keep_default_na=False, na_values=[""])
    every = every[every["claim"] != "C5"]  # judged by intervals alone
    assert set(every["favours"]) <= {"growing", "other", "neither"}
    assert set(every["against"]) <= OPPONENTS
    counted = every[every["role"] == "counted"]
    for _, rows in counted.groupby(["claim", "measure"]):
        np.testing.assert_allclose(statistics.holm(rows["p"]), rows["corrected"], rtol=1e-4)
        # A comparison stands once in its family.
        assert not rows.duplicated(["condition", "setting", "against"]).any()
    others = every[every["role"] != "counted"]
    np.testing.assert_allclose(others["p"], others["corrected"])

    is_probability = every["measure"] == "probability"
    even = np.where(is_probability, 0.5, 1)
    better = np.where(is_probability, every["estimate"] > even, every["estimate"] < even)
    apart = (every["low"] > even) | (every["high"] < even)
    clear = (every["corrected"] < 0.05) & apart
    expected = np.where(clear, np.where(better, "growing", "other"), "neither")
    assert (every["favours"] == expected).all()


def test_the_verdicts_count_the_claims():
    claims_table = pd.read_csv(growlib.HOME / "data/claims.csv", na_values=[""])
    stored = pd.read_csv(growlib.HOME / "data/verdicts.csv")
    by = ["claim", "setting", "against", "role", "value", "measure"]
    of_arms = claims_table[claims_table["claim"].isin(["C1", "C2", "C3", "C6"])]
    counts = of_arms.groupby(by)["favours"].value_counts().unstack(fill_value=0)
    mine = stored.set_index(by).loc[counts.index]
    assert (mine["favours_growing"] == counts["growing"]).all()
    assert (mine["favours_other"] == counts["other"]).all()
    assert (mine["undecided"] == counts["neither"]).all()
    assert (mine["conditions"] == counts.sum(axis=1)).all()

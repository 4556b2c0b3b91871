"""Statistics against hand-worked cases and scipy, and those that are committed in data/."""

import numpy as np
import pandas as pd
import pytest
from conftest import from_notebook
from scipy import stats

import growlib
from growkit import statistics, studies


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
    assert half.loc["ratio of medians", ["estimate", "high"]].tolist() == [np.inf, np.inf]
    assert np.isfinite(half.loc["ratio of medians", "low"])

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


# ---------------------------------------------------------------------------- defined by a notebook

WIDTHS = [4, 8, 16, 32]


@pytest.fixture(scope="module")
def power_laws():
    """What notebook 07 finds in a power law with noise (static) and in a bent line (growing)."""
    width, trial = (grid.ravel() for grid in np.meshgrid(WIDTHS, np.arange(12), indexing="ij"))
    noise = np.exp(0.1 * np.random.default_rng(0).standard_normal(len(width)))
    losses = {"static": 3 * width**-1.5 * noise, "growing": 3.0 * np.minimum(width, 8) ** -1.5}
    frames = []
    for arm, loss in losses.items():
        frames.append(pd.DataFrame({"arm": arm, "width": width, "trial": trial, "test_loss": loss}))
    power_law = from_notebook("07_scaling", "power_law", np=np)
    return power_law(pd.concat(frames), resamples=200)


def test_scaling_finds_a_known_power_law(power_laws):
    slope = power_laws.loc[("static", "slope")]
    assert abs(slope["estimate"] + 1.5) < 0.1
    assert slope["low"] < slope["estimate"] < slope["high"] < slope["low"] + 0.2
    assert power_laws.loc[("static", "misfit"), "estimate"] < 1.1


def test_scaling_finds_how_far_a_bent_line_is_from_a_power_law(power_laws):
    x = np.log10(WIDTHS)
    y = -1.5 * np.log10(np.minimum(WIDTHS, 8))
    line = np.polyfit(x, y, 1)
    # there is no noise, so that the limits meet
    np.testing.assert_allclose(power_laws.loc[("growing", "slope")], line[0])
    largest = np.abs(y - np.polyval(line, x)).max()
    misfit = power_laws.loc[("growing", "misfit"), "estimate"]
    np.testing.assert_allclose(np.log10(misfit), largest)


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
    "grown",
    "static",
    "static without the size input",
    "larger static",
    "pruned",
    "pruned, equal compute",
}


def test_the_claims_are_corrected_for_all_their_comparisons():
    claims = pd.read_csv(growlib.HOME / "data/claims.csv", keep_default_na=False)
    assert set(claims["favours"]) <= {"growing", "neither"} | OPPONENTS
    for measure, rows in claims.groupby("measure"):
        np.testing.assert_allclose(statistics.holm(rows["p"]), rows["corrected"], rtol=1e-4)
        if measure == "probability":
            even = 0.5
            better = rows["estimate"] > even
        else:
            even = 1
            better = rows["estimate"] < even
        clear = (rows["corrected"] < 0.05) & ((rows["low"] > even) | (rows["high"] < even))
        favoured = np.where(better, "growing", rows["against"])
        assert (rows["favours"] == np.where(clear, favoured, "neither")).all()

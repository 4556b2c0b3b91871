"""Statistics: comparisons of arms, their intervals and p-values, and numbers in words."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from strategies import powers

from growkit import statistics

# --------------------------------------------------------------------------------- numbers in words


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


@pytest.mark.parametrize("wins", [8, 0], ids=["all", "none"])
def test_where_all_pairs_agree_the_interval_is_the_exact_one(wins):
    lower = np.arange(1.0, 9)
    higher = np.arange(2.0, 10)
    sample = (lower, higher) if wins else (higher, lower)
    found = statistics._interval(sample, "probability", resamples=100, seed=0, permutations=0)
    exact = stats.binomtest(wins, 8).proportion_ci(method="exact")
    assert found == {"estimate": wins / 8, "low": exact.low, "high": exact.high}


def test_an_interval_that_has_no_bca_is_the_percentile_one():
    # Leaving out any one pair does not change the median.
    sample = (np.array([1.0, 1, 1, 1, 3]), np.ones(5))
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


def test_two_pairs_have_an_interval_and_one_has_none():
    frame = pd.DataFrame(
        {
            "task": "t",
            "diverged": False,
            "trial": [0, 1, 0, 1],
            "arm": ["growing"] * 2 + ["grown"] * 2,
            "test_loss": [1.0, 2, 4, 5],
        }
    )
    two_pairs = statistics.compare(frame)
    assert two_pairs.loc[0, ["low", "high"]].tolist() == [0.25, 0.4]

    one_pair = statistics.compare(frame[frame["trial"] == 0])
    assert one_pair.loc[0, "estimate"] == 0.25
    assert one_pair[["low", "high"]].isna().all(axis=None)


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
def finals(draw):
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


@given(frame=finals())
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


@given(frame=finals(), power=st.integers(-20, 20))
def test_a_factor_on_both_arms_changes_no_comparison(frame, power):
    """Losses in another unit give the same estimates, intervals and p-values to the bit.

    The unit is a power of two, which rounds nothing.
    """
    scaled = frame.assign(test_loss=frame["test_loss"] * 2.0**power)
    one, other = (
        statistics.compare(each, resamples=49, permutations=49) for each in (frame, scaled)
    )
    pd.testing.assert_frame_equal(one, other, check_exact=True)


@given(frame=finals())
def test_an_interval_has_its_order_and_p_is_a_probability(frame):
    """The ends of an interval are in order, and p lies between what the swaps can give and 1."""
    for row in statistics.compare(frame, resamples=99, permutations=99).itertuples():
        assert math.isnan(row.low) or row.low <= row.high
        assert math.isnan(row.p) or 2 / min(2**row.pairs, 100) <= row.p <= 1


@given(frame=finals(), seed=st.integers(0, 9))
def test_a_comparison_does_not_depend_on_the_order_of_rows(frame, seed):
    shuffled = frame.sample(frac=1, random_state=seed)
    pd.testing.assert_frame_equal(
        statistics.compare(frame, resamples=19), statistics.compare(shuffled, resamples=19)
    )

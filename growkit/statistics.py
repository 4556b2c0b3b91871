"""Comparisons of arms with their intervals, and numbers as text.

Use this module to compare runs, or to see how a number in a notebook or the README was computed.
`compare` measures one arm against another over paired trials, `over_trials` gives an interval for
any other statistic, and `holm` corrects p-values for their number. `in_words`, `in_thousands` and
`as_table` write numbers as text.

The module imports the checks of arguments from growlib and nothing else of the project.
"""

import functools
import math
import warnings
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
from scipy import stats

from growlib import _choice, _floats, _frame, _require, _whole

MEASURES = ("ratio of means", "ratio of medians", "probability")  # what `compare` gives
ALL_MEASURES = (*MEASURES, "ratio of interquartile means")

LEAST_TRIALS = 10  # below, the resampled trials say too little of the spread for an interval
BATCH_VALUES = 2_000_000  # values resampled at a time, so that memory stays flat
BEYOND_ANY_RATIO = 1e300  # stands for infinity where a finite number is needed


# -------------------------------------------------------------------------------------- comparisons


def compare(
    frame: pd.DataFrame,
    value: str = "test_loss",
    against: str = "grown",
    by: Sequence[str] = ("task",),
    resamples: int = 2000,
    seed: int = 0,
    arm: str = "growing",
    measures: Sequence[str] = MEASURES,
    permutations: int = 0,
) -> pd.DataFrame:
    """Return measures of how growing does against another arm, with intervals.

    A ratio below 1, or a probability above one half, favours growing.

    Parameters
    ----------
    frame : DataFrame
        Final results of both arms, paired by `trial` within each group.
    value : str
        The column to compare; smaller is better. "test_loss" is the published measure. It includes
        the size loss, which a network pays as long as its size differs from its target.
        "test_task_loss" is the error of the network's predictions alone.
    against : str
        The arm to compare with: "grown", as in the paper, or "static", the strict comparison.
    by : sequence of str
        The columns that define the groups.
    resamples, seed : int
        The number of bootstrap samples, and the seed of all resampling.
    arm : str
        The arm to compare, if it is not growing.
    measures : sequence of str
        Any of `MEASURES` and "ratio of interquartile means".
    permutations : int
        The number of times that the arms are swapped at random within the pairs to compute `p`. The
        smallest `p` that this can give is 2 / (permutations + 1). With 0 there is no column `p`.

    Returns
    -------
    DataFrame
        One row per group and measure. `measure` is a ratio, growing over the other arm, of means
        (over the pairs in which both converged), medians or interquartile means, or the probability
        that growing ends lower (a tie counts one half; a diverged trial is worse than any other).
        `estimate` is dimensionless, and so are `low` and `high`, its 95 % BCa interval over trials;
        below ten pairs there is no interval, and they are NaN.
        `pairs` counts all pairs, and `lost` those in which a trial diverged. `p` is two-sided: the
        probability of a measure at least as extreme if the arms did not differ.

    Raises
    ------
    ValueError
        If the frame lacks an arm or a column, a measure is unknown, a count or the seed is not a
        whole number in its range, or `by` leaves several networks of one trial and arm in a group.
    """
    by = [by] if isinstance(by, str) else list(by)
    _frame("frame", frame, "arm", "trial", "diverged", *by)
    _choice("value", value, frame.select_dtypes("number").columns)
    arms = frame["arm"].unique()
    _choice("arm", arm, arms)
    _choice("against", against, [name for name in arms if name != arm])
    for measure in measures:
        _choice("measures", measure, ALL_MEASURES)
    resamples = _whole("resamples", resamples)
    seed = _whole("seed", seed, 0)
    permutations = _whole("permutations", permutations, 0)

    rows = []
    for group, pairs in _paired(frame, value, arm, against, by).groupby(by):
        values = pairs[arm].to_numpy()  # (pairs,)
        reference = pairs[against].to_numpy()  # (pairs,)
        converged = np.isfinite(values) & np.isfinite(reference)
        about = dict(zip(by, group, strict=True)) | {
            "against": against,
            "value": value,
            "pairs": len(pairs),
            "lost": int((~converged).sum()),
        }
        for measure in measures:
            sample = (values, reference)
            if measure == "ratio of means":
                # A single diverged trial would make the mean infinite.
                sample = (values[converged], reference[converged])
            interval = _interval(sample, measure, resamples, seed, permutations)
            rows.append(about | {"measure": measure} | interval)
    return pd.DataFrame(rows)


def _paired(frame, value, arm, against, by):
    """Return the values of both arms, one row per group and trial and one column per arm."""
    both_arms = frame[frame["arm"].isin((arm, against))]
    unique = not both_arms.duplicated([*by, "arm", "trial"]).any()
    _require(
        by and unique,
        "by",
        by,
        "all columns that tell the settings of the frame apart, such as epochs or lr, "
        "or a frame of one setting",
    )

    # A diverged trial is worse than every trial that converged.
    worst_if_diverged = both_arms[value].where(~both_arms["diverged"], np.inf)
    both_arms = both_arms.assign(**{value: worst_if_diverged})
    wide = both_arms.pivot(index=[*by, "trial"], columns="arm", values=value)
    # A trial that only one arm has makes no pair.
    return wide.dropna()


@np.errstate(all="ignore")  # diverged trials are infinite, so that ratios may be infinite or NaN
def _interval(sample, measure, resamples, seed, permutations):
    """Return a measure of paired values, its 95 % interval and, with permutations, its p-value."""
    values, reference = sample
    found = {"estimate": math.nan, "low": math.nan, "high": math.nan}
    if permutations:
        found["p"] = math.nan

    # Without a pair there is no measure.
    if len(values) == 0:
        return found
    found["estimate"] = float(_measured(values, reference, measure))

    # A single pair does not vary, so it has neither an interval nor a p-value.
    if len(values) == 1:
        return found

    # One generator serves both: the permutations take the numbers that follow the bootstrap's.
    generator = np.random.default_rng(seed)
    if len(values) >= LEAST_TRIALS:
        low, high = _limits(sample, measure, resamples, generator)
        found["low"] = float(low)
        found["high"] = float(high)
    if permutations:
        found["p"] = float(_p_value(sample, measure, permutations, generator))
    return found


def _limits(sample, measure, resamples, generator):
    """Return the 95 % limits of a measure: BCa where they exist, otherwise percentile or exact."""
    values, reference = sample
    pairs = len(values)
    # The samples are drawn in every case, so that the permutations that follow take the same random
    # numbers whatever the limits are.
    with warnings.catch_warnings(action="ignore", category=stats.DegenerateDataWarning):
        drawn = stats.bootstrap(
            sample,
            functools.partial(_measured, measure=measure),
            paired=True,
            vectorized=True,
            n_resamples=resamples,
            batch=max(1, BATCH_VALUES // pairs),
            method="BCa",
            rng=generator,
        )

    # If all pairs agree, so do all samples of them, and the bootstrap shows no spread. The exact
    # (Clopper-Pearson) interval of a proportion tells how far from 0 or 1 the probability may be.
    wins = int((values < reference).sum())
    losses = int((values > reference).sum())
    if measure == "probability" and pairs in (wins, losses):
        return stats.binomtest(wins, pairs).proportion_ci(method="exact")

    # BCa limits do not exist if, for example, leaving out any one pair does not change the measure.
    # Percentiles always exist. They are drawn values, not interpolated ones, since nothing lies
    # between a finite and an infinite value.
    if not np.isfinite(drawn.confidence_interval).all():
        return np.quantile(drawn.bootstrap_distribution, [0.025, 0.975], method="inverted_cdf")

    return drawn.confidence_interval


def _p_value(sample, measure, permutations, generator):
    """Return the two-sided p-value of a measure, from random swaps of the arms within pairs."""

    def finite(values, reference, axis):
        # scipy counts no ratio as extreme as an infinite one, not even another infinite one, but it
        # counts finite numbers in the same order correctly. Infinity over infinity is even.
        found = _measured(values, reference, measure, axis)
        return np.nan_to_num(found, nan=1, posinf=BEYOND_ANY_RATIO)

    test = stats.permutation_test(
        sample,
        finite,
        permutation_type="samples",
        vectorized=True,
        n_resamples=permutations,
        batch=max(1, BATCH_VALUES // len(sample[0])),
        rng=generator,
    )
    return test.pvalue


def _measured(values, reference, measure, axis=-1):
    """Return one measure of `values` against the paired `reference` along an axis."""
    if measure == "probability":
        return ((values < reference) + (values == reference) / 2).mean(axis)
    if measure == "ratio of means":
        return np.mean(values, axis) / np.mean(reference, axis)
    if measure == "ratio of medians":
        return np.median(values, axis) / np.median(reference, axis)
    # An interquartile mean leaves out a quarter of the values at either end.
    return stats.trim_mean(values, 0.25, axis) / stats.trim_mean(reference, 0.25, axis)


def holm(p: Sequence[float]) -> np.ndarray:
    """Return p-values corrected for their number by Holm's step-down method.

    The corrected values control the family-wise error rate: if all tests with a corrected p-value
    of at most 0.05 are called significant, the probability of any false positive is at most 0.05.

    Parameters
    ----------
    p : sequence of float
        The p-values, (tests,).

    Returns
    -------
    ndarray
        The corrected p-values, (tests,), in the order of `p`.

    Raises
    ------
    ValueError
        If `p` is not a sequence of numbers from 0 to 1.
    """
    numbers = _floats(p)
    in_range = (numbers >= 0) & (numbers <= 1)
    _require(np.ndim(p) == 1 and in_range.all(), "p", p, "a sequence of numbers from 0 to 1")

    # The smallest p-value is multiplied by the number of tests, the next by one less, and so on.
    factors = np.arange(len(p), 0, -1)
    scaled = np.sort(p) * factors
    # The correction keeps the order of the p-values, and a probability is at most 1.
    corrected = np.minimum(np.maximum.accumulate(scaled), 1)
    places = stats.rankdata(p, "ordinal").astype(int) - 1
    return corrected[places]


def over_trials(
    statistic: Callable[[np.ndarray], Mapping], trials: int, resamples: int = 2000, seed: int = 0
) -> pd.DataFrame:
    """Return a statistic of all trials with its 95 % percentile interval over resampled trials.

    With ten trials the intervals are about a fifth too narrow, so call them percentile limits of
    ten trials. With fewer there are none: `low` and `high` are NaN.

    Parameters
    ----------
    statistic : callable
        Takes the positions of trials, (trials,), and returns named numbers.
    trials : int
        The number of trials.
    resamples, seed : int
        The number of bootstrap samples, and the seed that draws them.

    Returns
    -------
    DataFrame
        One row per named number; the columns are `estimate`, `low` and `high`.

    Raises
    ------
    ValueError
        If a count is not a positive whole number, or the seed is negative or not whole.
    """
    seed = _whole("seed", seed, 0)
    resamples = _whole("resamples", resamples)
    trials = _whole("trials", trials)

    estimate = pd.Series(statistic(np.arange(trials)), dtype=float)
    if trials < LEAST_TRIALS:
        return pd.DataFrame({"estimate": estimate, "low": math.nan, "high": math.nan})

    generator = np.random.default_rng(seed)
    drawn = []
    for _ in range(resamples):
        positions = generator.integers(0, trials, trials)
        drawn.append(statistic(positions))
    resampled = pd.DataFrame(drawn)

    return pd.DataFrame(
        {
            "estimate": estimate,
            "low": resampled.quantile(0.025),
            "high": resampled.quantile(0.975),
        }
    )


# ---------------------------------------------------------------------------------- numbers as text


def in_words(row: pd.Series | dict) -> str:
    """Return the estimate of a row with its interval as text, such as "0.968 (0.904 to 1.003)".

    Each number has three digits, or four just above 1, where the fourth one tells it from 1. An
    estimate without an interval stands alone.

    Parameters
    ----------
    row : Series or dict
        A row of what `compare` or `over_trials` returned: `estimate`, `low` and `high`.

    Returns
    -------
    str
        The text.
    """
    texts = []
    for name in ("estimate", "low", "high"):
        number = row[name]
        digits = 4 if 1 <= number < 1.1 else 3
        # The # keeps trailing zeros, but also a decimal point that nothing follows.
        texts.append(f"{number:#.{digits}g}".rstrip("."))
    estimate, low, high = texts
    if math.isnan(row["low"]):
        return estimate
    return f"{estimate} ({low} to {high})"


def in_thousands(count: int) -> str:
    """Return a count as text with a space between thousands, such as "10 000".

    Raises ValueError if `count` is not a whole number of at least 0.
    """
    return f"{_whole('count', count, 0):,}".replace(",", " ")


def as_table(compared: pd.DataFrame) -> pd.DataFrame:
    """Return the result of `compare` as a table for people to read.

    Parameters
    ----------
    compared : DataFrame
        What `compare` returned.

    Returns
    -------
    DataFrame
        One row per comparison, with its numbers of pairs and of lost pairs, and one column per
        measure of `MEASURES` with the estimate and its interval as text.
    """
    settings = [name for name in compared if name not in ("measure", "estimate", "low", "high")]
    texts = [in_words(row) for _, row in compared.iterrows()]
    wide = compared.assign(text=texts).pivot(index=settings, columns="measure", values="text")
    return wide.filter(MEASURES).reset_index().rename_axis(columns=None)

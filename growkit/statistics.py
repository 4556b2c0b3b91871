"""Comparisons of arms, with intervals."""

import functools
import math
import warnings
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
from scipy import stats

from growlib import _choice, _floats, _frame, _require, _whole

MEASURES = ("ratio of means", "ratio of medians", "probability")


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
    """Return how growing does against another arm, a row a group and measure; below 1 (or above one half) favours growing.

    Parameters
    ----------
    frame : DataFrame
        Finals of both arms, paired by `trial` within a group.
    value : str
        The column to compare; smaller is better. "test_loss" is the published measure and holds the size loss, which a network
        owes for as long as its size is not at its target; "test_task_loss" is what the network gets wrong.
    against : str
        The arm compared with, "grown" as in the paper or "static", the strict one.
    by : sequence of str
        Columns that make the groups.
    resamples, seed : int
        Bootstrap samples, and what picks them.
    arm : str
        The arm that is compared, in place of growing.
    measures : sequence of str
        Of `MEASURES`, or "ratio of interquartile means".
    permutations : int
        How often the arms are swapped at random within the pairs for `p`, whose least value is 2 / (permutations + 1); 0: no `p`.

    Returns
    -------
    DataFrame
        `measure` is the ratio of means (growing over comparison; pairs that both converged), of medians, or of
        interquartile means, or the probability that growing ends lower (ties count a half; diverged trials are worst).
        `estimate`, `low` and `high` are dimensionless, with a 95 % BCa interval over trials; `pairs` counts
        them and `lost` those that diverged. `p` is the two-sided chance, were the arms alike, of a measure as far from even.

    Raises
    ------
    ValueError
        The frame has no such arm or column, a measure is unknown, or `by` leaves several networks with the same trial and arm.
    """
    by = [by] if isinstance(by, str) else [*by]
    (
        _frame("frame", frame, "arm", "trial", "diverged", *by),
        _choice("value", value, frame.select_dtypes("number").columns),
    )
    (
        _choice("arm", arm, frame["arm"].unique()),
        _choice("against", against, [each for each in frame["arm"].unique() if each != arm]),
    )
    fine = frame[frame["arm"].isin((arm, against))].assign(
        **{value: lambda both: both[value].where(~both["diverged"], np.inf)}
    )
    told = not fine.duplicated([*by, "arm", "trial"]).any()
    _require(
        by and told,
        "by",
        by,
        "all columns that tell the settings of the frame apart, such as epochs or lr, or a frame of one setting",
    )
    wide, rows = fine.pivot(index=[*by, "trial"], columns="arm", values=value).dropna(), []
    for group, part in wide.groupby(by):
        a, b = part[arm].to_numpy(), part[against].to_numpy()
        both = np.isfinite(a) & np.isfinite(b)
        about = dict(zip(by, group, strict=True)) | {
            "against": against,
            "value": value,
            "pairs": len(a),
            "lost": int((~both).sum()),
        }
        for measure in [
            _choice("measures", name, (*MEASURES, "ratio of interquartile means"))
            for name in measures
        ]:
            sample = (a[both], b[both]) if measure == "ratio of means" else (a, b)
            rows.append(
                about
                | {"measure": measure}
                | _interval(
                    sample, measure, resamples, seed, _whole("permutations", permutations, 0)
                )
            )
    return pd.DataFrame(rows)


def _measured(a, b, measure, axis=-1):
    """One measure of paired samples along an axis."""
    if measure == "probability":
        return ((a < b) + (a == b) / 2).mean(axis)
    middle = {"ratio of means": np.mean, "ratio of medians": np.median}.get(
        measure, lambda values, axis: stats.trim_mean(values, 0.25, axis)
    )
    return middle(a, axis) / middle(b, axis)


def holm(p: Sequence[float]) -> np.ndarray:
    """Return the p-values (tests,) corrected for their number by Holm's step-down method: each bounds the chance of any false find.

    ValueError where p holds what is no number from 0 to 1.
    """
    _require(
        np.ndim(p) == 1 and ((_floats(p) >= 0) & (_floats(p) <= 1)).all(),
        "p",
        p,
        "a sequence of numbers from 0 to 1",
    )
    return np.minimum(np.maximum.accumulate(np.sort(p) * np.arange(len(p), 0, -1)), 1)[
        stats.rankdata(p, "ordinal") - 1
    ]


@np.errstate(all="ignore")  # diverged trials are infinite
def _interval(sample, measure, resamples, seed, permutations):
    """The measure, its 95 % BCa interval (percentile where there is none, exact where all pairs agree), and p if it is asked for.

    Resampled in batches of at most two million values, so that memory stays flat.
    """
    statistic = functools.partial(_measured, measure=measure)
    if len(sample[0]) < 2:  # of one pair there is no interval, of none no measure
        unknown = dict.fromkeys(["low", "high", "p"] if permutations else ["low", "high"], math.nan)
        return {"estimate": float(statistic(*sample)) if len(sample[0]) else math.nan} | unknown

    def finite(
        a, b, axis
    ):  # in the same order: scipy takes an infinite ratio for as far from even as no other
        return np.nan_to_num(statistic(a, b, axis=axis), nan=1, posinf=1e300)

    how = {
        "vectorized": True,
        "batch": max(1, 2_000_000 // len(sample[0])),
        "rng": np.random.default_rng(_whole("seed", seed, 0)),
    }
    with warnings.catch_warnings(action="ignore", category=stats.DegenerateDataWarning):
        drawn = stats.bootstrap(
            sample,
            statistic,
            paired=True,
            n_resamples=_whole("resamples", resamples),
            method="BCa",
            **how,
        )
        test = (
            stats.permutation_test(
                sample, finite, permutation_type="samples", n_resamples=permutations, **how
            )
            if permutations
            else None
        )
    low, high = (
        limits
        if np.isfinite(limits := drawn.confidence_interval).all()
        else np.quantile(drawn.bootstrap_distribution, [0.025, 0.975], method="inverted_cdf")
    )  # between a number and an infinite one lies nothing
    if measure == "probability" and len(sample[0]) in (
        wins := (sample[0] < sample[1]).sum(),
        (sample[0] > sample[1]).sum(),
    ):  # all pairs agree
        low, high = stats.binomtest(int(wins), len(sample[0])).proportion_ci(method="exact")
    return {"estimate": float(statistic(*sample)), "low": float(low), "high": float(high)} | (
        {"p": float(test.pvalue)} if test else {}
    )


def over_trials(
    statistic: Callable[[np.ndarray], Mapping], trials: int, resamples: int = 2000, seed: int = 0
) -> pd.DataFrame:
    """Return what `statistic` makes of all trials, a row a number: estimate, low and high.

    low and high are 95 % percentile limits over resampled trials; of ten trials they are about a fifth too close.

    Parameters
    ----------
    statistic : callable
        From the places of trials, (trials,), to named numbers.
    trials : int
        How many there are.
    resamples, seed : int
        Bootstrap samples, and what picks them.

    Raises
    ------
    ValueError
        A count or the seed is none.
    """
    generator = np.random.default_rng(_whole("seed", seed, 0))
    drawn = pd.DataFrame(
        [
            statistic(generator.integers(0, _whole("trials", trials), trials))
            for _ in range(_whole("resamples", resamples))
        ]
    )
    return pd.DataFrame(
        {
            "estimate": pd.Series(statistic(np.arange(trials))),
            "low": drawn.quantile(0.025),
            "high": drawn.quantile(0.975),
        }
    )


def in_words(row: pd.Series | dict) -> str:
    """Return a row's estimate with its interval as text of three digits, four just above 1, such as "0.968 (0.904 to 1.003)"."""
    return "{} ({} to {})".format(
        *(
            f"{row[part]:#.{4 if 1 <= row[part] < 1.1 else 3}g}".rstrip(".")
            for part in ("estimate", "low", "high")
        )
    )


def in_thousands(count: int) -> str:
    """Return a count as text with its thousands set apart, such as "10 000"; ValueError where it is none."""
    return f"{_whole('count', count, 0):,}".replace(",", " ")


def as_table(compared: pd.DataFrame) -> pd.DataFrame:
    """Return what `compare` gave, `compared`, to be read: a row a comparison, a column a measure with its interval, pairs, lost."""
    index = [name for name in compared if name not in ("measure", "estimate", "low", "high")]
    text = compared.assign(text=[in_words(row) for _, row in compared.iterrows()])
    return (
        text.pivot(index=index, columns="measure", values="text")
        .filter(MEASURES)
        .reset_index()
        .rename_axis(columns=None)
    )

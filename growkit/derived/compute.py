"""How many operations growing and static networks need for the same loss: `data/compute.csv`.

A network reaches a level at the first epoch at which its task loss on test points is below it. What
it has spent by then are the operations of its active neurons, or the epochs. The level is the
higher one of the two arms' upper quartiles at the end: three of four networks of either arm end
below it.

Functions here take the history of the study "controls" as `courses` returns it.
"""

import numpy as np
import pandas as pd

from growkit import studies
from growkit.derived import controls

WAYS = ("as published", "no size input", "neuron by neuron")
VALUE = controls.VALUE
RESAMPLES = 1000
COSTS = ("flops", "epoch")


def courses(history: pd.DataFrame) -> pd.DataFrame:
    """Return the histories of growing and static networks of the three `WAYS`, with a column case.

    The columns published and tuned say at which rate a network trained.
    """
    rows = history[history["control"].isin(WAYS) & (history["width"] <= 10)]
    return controls.labelled(rows[rows["arm"] != "grown"])


def pairs_of(history: pd.DataFrame) -> list[tuple]:
    """Return the pairs of a case and a way in which networks grew, in the order of the cases."""
    growing = history[history["arm"] == "growing"]
    pairs = list(growing[["case", "control"]].drop_duplicates().itertuples(index=False, name=None))
    return sorted(pairs, key=lambda pair: (WAYS.index(pair[1]), controls.CASES.index(pair[0])))


def reference_of(control: str) -> str:
    """Return the control whose static networks are compared with the growing ones of a control."""
    return "as published" if control == "neuron by neuron" else control


def sides(history: pd.DataFrame, case: str, control: str, rate: str) -> pd.DataFrame:
    """Return the histories of the growing networks of a control and of its static ones.

    Networks that grow neuron by neuron are compared with the static ones as published, which never
    close a neuron. `rate` is "published" or "tuned".
    """
    chosen = history[(history["case"] == case) & history[rate]]
    reference = reference_of(control)
    growing = (chosen["arm"] == "growing") & (chosen["control"] == control)
    static = (chosen["arm"] == "static") & (chosen["control"] == reference)
    return chosen[growing | static]


def level_of(part: pd.DataFrame) -> float:
    """Return the higher one of the two arms' upper quartiles of the task loss at the end."""
    last = part[part["epoch"] == part["epoch"].max()]
    return last.groupby("arm")[VALUE].quantile(0.75).max()


def reach(part: pd.DataFrame, level: float, cost: str = "flops") -> pd.DataFrame:
    """Return what each network spends until its task loss is first below a level.

    Between logged epochs the cost runs on a straight line in the logarithm of the loss.

    Parameters
    ----------
    part : DataFrame
        What `sides` returned.
    level : float
        The task loss to reach.
    cost : {"flops", "epoch"}
        What is spent: operations, or epochs.

    Returns
    -------
    DataFrame
        A row per trial and a column per arm. A network that never reaches the level costs infinity.
    """
    found = {}
    for (arm, trial), rows in part.groupby(["arm", "trial"]):
        rows = rows.sort_values("epoch")
        lowest = np.log(np.minimum.accumulate(rows[VALUE].to_numpy()))
        costs = rows[cost].to_numpy(dtype=float)
        spent = np.inf
        if lowest[-1] <= np.log(level):
            spent = np.interp(-np.log(level), -lowest, costs)
        found[arm, trial] = spent
    return pd.Series(found).unstack(0).dropna()


def factor(needed: pd.DataFrame, resamples: int = RESAMPLES) -> dict:
    """Return the ratio of median costs, growing over static, with a 95 % percentile interval.

    Parameters
    ----------
    needed : DataFrame
        What `reach` returned.
    resamples : int
        The number of bootstrap samples over trials.

    Returns
    -------
    dict
        `estimate`, `low` and `high`. Networks that never reach the level are the worst. So the
        ratio of a sample in which most growing networks never reach it is infinite, 0 if most
        static ones do not, and 1 if neither do. `growing never` and `static never` are the shares
        of samples in which this happens. Limits are drawn values, never between a finite and an
        infinite one. Fewer than ten trials have no interval.
    """
    costs = needed[["growing", "static"]].to_numpy().T  # (2, trials)
    estimate = _ratio(np.median(costs, axis=1))
    found = {"estimate": estimate, "low": np.nan, "high": np.nan}
    if costs.shape[1] < 10:
        return found | {"growing never": np.nan, "static never": np.nan}
    places = np.random.default_rng(0).integers(0, costs.shape[1], (resamples, costs.shape[1]))
    medians = np.median(costs[:, places], axis=-1)  # (2, resamples)
    ratios = [_ratio(pair) for pair in medians.T]
    low, high = np.quantile(ratios, [0.025, 0.975], method="inverted_cdf")
    growing_never, static_never = np.isinf(medians).mean(axis=1)
    found |= {"low": low, "high": high}
    return found | {"growing never": growing_never, "static never": static_never}


def _ratio(medians):
    """The first median over the second; two that are both 0 or both infinite are even."""
    growing, static = medians
    if growing == static:
        return 1.0
    if static == 0:  # static is at the level from the start
        return np.inf
    return growing / static


def saving(
    history: pd.DataFrame,
    case: str,
    control: str,
    rate: str,
    cost: str = "flops",
    resamples: int = RESAMPLES,
) -> dict:
    """Return the factor in the cost of reaching the level, growing over static, as a row.

    `of the run` is the share of the whole training that static needs. The factor is not `resolved`
    if this is before the first logged epoch: then it follows from the interpolation alone.
    """
    part = sides(history, case, control, rate)
    level = level_of(part)
    needed = reach(part, level, cost)
    rates = part.groupby("arm")["lr"].first()
    about = {"case": case, "control": control, "rate": rate}
    about |= {"η growing": rates["growing"], "η static": rates["static"]}
    about |= {"cost": cost, "level": level}
    about |= {"of the run": needed["static"].median() / part[cost].max(), "pairs": len(needed)}
    first_logged = part.loc[part["epoch"] > 0, "epoch"].min()
    resolved = reach(part, level, "epoch")["static"].median() > first_logged
    return about | factor(needed, resamples) | {"resolved": bool(resolved)}


def savings(history: pd.DataFrame, tried: pd.DataFrame, resamples: int = RESAMPLES) -> pd.DataFrame:
    """Return the factors of all pairs of a case and a way, at both rates, in both costs.

    Where the best rates of the two arms differ although one rate would do for both, within the
    noise of the trials that chose them, the column `rates tie` is true and there is no estimate: a
    higher rate is faster by itself.

    Parameters
    ----------
    history : DataFrame
        What `courses` returned.
    tried : DataFrame
        Finals of the study "tuning".
    resamples : int
        The number of bootstrap samples.
    """
    ties = controls.tied_rates(tried)
    ties = ties[ties["ties"]].groupby(["case", "control", "arm"])["lr"].agg(set)
    rows = []
    for case, control in pairs_of(history):
        reference = reference_of(control)
        common = ties[case, control, "growing"] & ties[case, reference, "static"]
        for rate in controls.RATES:
            for cost in COSTS:
                row = saving(history, case, control, rate, cost, resamples)
                differ = row["η growing"] != row["η static"]
                row["rates tie"] = bool(differ and common)
                if row["rates tie"]:
                    row |= dict.fromkeys(("estimate", "low", "high"), np.nan)
                rows.append(row)
    return pd.DataFrame(rows)


def for_figure(factors: pd.DataFrame) -> pd.DataFrame:
    """Return the factors in operations with what a dot plot of them needs.

    Parameters
    ----------
    factors : DataFrame
        What `savings` returned.

    Returns
    -------
    DataFrame
        The rows about operations, in which a factor that is not given is NaN, with the columns
        `row`, the case and perhaps the way; `at`, one of the titles of the rates; and `input`,
        whether the size is an input.
    """
    rows = factors[factors["cost"] == "flops"].copy()
    numbers = ["estimate", "low", "high"]
    rows.loc[~rows["resolved"] | rows["rates tie"], numbers] = np.nan
    one_by_one = rows["control"] == "neuron by neuron"
    rows["row"] = rows["case"] + np.where(one_by_one, ",\nneuron by neuron", "")
    rows["at"] = rows["rate"].map(controls.TITLES)
    rows["input"] = rows["control"] != "no size input"
    return rows


def by_level(part: pd.DataFrame, number: int = 12, resamples: int = 300) -> pd.DataFrame:
    """Return the factor in operations for several losses to reach, from high to low.

    Parameters
    ----------
    part : DataFrame
        What `sides` returned.
    number : int
        How many losses: from just below the lower one of the medians at the first logged epoch, to
        the level of `level_of`.
    resamples : int
        The number of bootstrap samples.

    Returns
    -------
    DataFrame
        A row per loss, the column `level`, with the columns of `factor`.
    """
    first = part["epoch"].min()
    start = part[part["epoch"] == first].groupby("arm")[VALUE].median().min()
    levels = np.geomspace(start / 1.2, level_of(part), number)
    found = [factor(reach(part, level), resamples) for level in levels]
    return pd.DataFrame(found).assign(level=levels)


def in_words(row: dict) -> str:
    """Return a factor with its interval as text; it says where an arm never reaches the level.

    Raises KeyError if the row lacks a column of `factor`.
    """
    if np.isnan(row["estimate"]):
        return "rates tie"
    if not row["resolved"]:
        return "too early to tell"
    texts = []
    for name in ("estimate", "low", "high"):
        number = row[name]
        text = f"{number:.2f}"
        if number == 0:
            text = "static never"
        elif np.isinf(number):
            text = "growing never"
        texts.append(text)
    estimate, low, high = texts
    if np.isnan(row["low"]):
        return estimate
    return f"{estimate} ({low} to {high})"


def whole_runs(history: pd.DataFrame, rate: str = "published") -> pd.Series:
    """Return the operations of a whole training, growing over static, means of the networks.

    The index holds the pairs of a case and a way.
    """
    found = {}
    for case, control in pairs_of(history):
        part = sides(history, case, control, rate)
        last = part[part["epoch"] == part["epoch"].max()]
        spent = last.groupby("arm")["flops"].mean()
        found[case, control] = spent["growing"] / spent["static"]
    return pd.Series(found).rename_axis(["case", "control"])


def compute() -> pd.DataFrame:
    """Return the factors in operations and epochs, the table `data/compute.csv`."""
    history = courses(studies.stored("controls", "history"))
    return savings(history, studies.stored("tuning"))

"""How the size coupling λ and the number of epochs decide whether growing helps.

`compute` returns what `data/coupling.csv` stores: for each number of epochs the best λ and what
growing gains there, and the power of the best λ in the number of epochs. Open this module to see
how the paper's Figures 6 and 7 are smoothed, and how the intervals came about.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import optimize, stats

from growkit import statistics, studies

WINDOW = 0.4  # decades of λ under a moving average: 40 of the paper's 401 values
SIZE_WINDOW = 0.12  # the paper smooths the size loss less, over 12 values
RESAMPLES = 1000
SPLITS = 200  # random halves of the trials, for the ratio at a λ that other trials have chosen

MEASURES = {"ratio of means": np.mean, "ratio of medians": np.median}

# The one running time that the paper gives: 400 networks of 17 783 epochs on a multi-core Mac.
PUBLISHED_SECONDS = 51
PUBLISHED_EPOCHS = 17_783


class Sweep(NamedTuple):
    """Final losses of both arms for every number of epochs, every λ and every trial.

    The loss of a network that diverged is infinite.
    """

    lr: float  # learning rate η
    lengths: np.ndarray  # (E,), numbers of epochs
    couplings: np.ndarray  # (C,), values of λ
    growing: np.ndarray  # (E, C, T), dimensionless
    grown: np.ndarray  # (E, C, T), dimensionless


def sweep(finals: pd.DataFrame, value: str = "test_loss") -> Sweep:
    """Return one loss of a study over λ as arrays.

    Parameters
    ----------
    finals : DataFrame
        Final results of the study "coupling", at either scale.
    value : str
        Column of the loss.
    """
    lengths = np.sort(finals["epochs"].unique())
    couplings = np.sort(finals["coupling"].unique())
    finals = finals.assign(**{value: finals[value].where(~finals["diverged"], np.inf)})

    def losses(arm):
        rows = finals[finals["arm"] == arm]
        table = rows.pivot(index=["epochs", "coupling"], columns="trial", values=value)
        return table.to_numpy().reshape(len(lengths), len(couplings), -1)

    return Sweep(finals["lr"].iloc[0], lengths, couplings, losses("growing"), losses("grown"))


def sizes(finals: pd.DataFrame) -> pd.DataFrame:
    """Return the median final size of growing networks, and the size that its own loss would give.

    If the task did not act on it, a size that starts at 0 would be N∞ (1 - (1 - 2ηλ)^E).

    Parameters
    ----------
    finals : DataFrame
        Final results of the study "coupling", at either scale.

    Returns
    -------
    DataFrame
        A row for each number of epochs and λ, with the columns `size` and `alone` (neurons; `alone`
        is NaN where 2ηλ is so large that the size would diverge) and `product`, 2ηλE.
    """
    growing = finals[finals["arm"] == "growing"]
    found = growing.groupby(["epochs", "coupling"])["size"].median().reset_index()
    step = 2 * growing["lr"].iloc[0] * found["coupling"]
    found["product"] = step * found["epochs"]
    left = (1 - step).where(step < 2)  # of the way to the target, after one epoch
    found["alone"] = growing["target"].iloc[0] * (1 - left ** found["epochs"])
    return found


def moving_average(table: pd.DataFrame, decades: float = WINDOW) -> pd.DataFrame:
    """Return the moving average over λ of a table with a row for each λ.

    At either end, where a part of the window is empty, the rest of it is averaged.
    """
    spacing = np.diff(np.log10(table.index)).mean()
    window = max(1, round(decades / spacing))
    return table.rolling(window, center=True, min_periods=1).mean()


def ratios(losses: Sweep, measure: str = "ratio of means", trials=slice(None)) -> pd.DataFrame:
    """Return a ratio of the losses, growing over grown: a row for each λ, a column for each length.

    Parameters
    ----------
    losses : Sweep
        The losses of both arms.
    measure : {"ratio of means", "ratio of medians"}
        What is taken of the trials.
    trials : slice or ndarray
        Which trials to take.

    Returns
    -------
    DataFrame
        The ratios, dimensionless. One that is not a number because networks diverged is NaN.
    """
    summary = MEASURES[measure]
    growing = summary(losses.growing[:, :, trials], axis=2)  # (E, C)
    grown = summary(losses.grown[:, :, trials], axis=2)  # (E, C)
    finite = np.isfinite(growing) & np.isfinite(grown)
    ratio = np.divide(growing, grown, out=np.full(growing.shape, np.nan), where=finite)
    return pd.DataFrame(ratio.T, index=losses.couplings, columns=losses.lengths)


def lowest(smooth: pd.DataFrame) -> pd.Series:
    """Return the λ with the lowest moving average of the ratio, for each number of epochs.

    A number of epochs at which no λ has a ratio is left out.
    """
    return smooth.dropna(axis=1, how="all").idxmin()


def best(losses: Sweep, measure: str = "ratio of means", trials=slice(None)) -> pd.DataFrame:
    """Return the best λ for each number of epochs, and what belongs to it.

    The best λ has the lowest moving average of the ratio. As the least of many uncertain values,
    that ratio is a little too low; `held_out` shows by how much.

    Parameters
    ----------
    losses, measure, trials
        As `ratios` takes them.

    Returns
    -------
    DataFrame
        A row for each number of epochs. The columns are the best λ, the ratio there, 2ηλE there,
        and the ratios at a third and at ten times this λ (NaN where that λ was not tried).
    """
    smooth = moving_average(ratios(losses, measure, trials))
    chosen = lowest(smooth)
    log_couplings = np.log(smooth.index)

    def at(factor):
        found = []
        for epochs, coupling in chosen.items():
            place = np.log(factor * coupling)
            ratio = np.interp(place, log_couplings, smooth[epochs], left=np.nan, right=np.nan)
            found.append(ratio)
        return found

    return pd.DataFrame(
        {
            "best λ": chosen,
            "ratio at the best λ": smooth[chosen.index].min(),
            "2ηλE at the best λ": 2 * losses.lr * chosen * chosen.index,
            "ratio at a third of the best λ": at(1 / 3),
            "ratio at ten times the best λ": at(10),
        }
    )


def power(couplings: pd.Series) -> float:
    """Return the power of λ in the number of epochs: the slope of log λ over log E.

    The line is the least-squares line through all lengths. `couplings` has a λ for each number of
    epochs, which is its index. A λ that only has to bring the size to its target has a power of -1.
    Through fewer than three lengths there is no line, and the power is NaN.
    """
    if len(couplings) < 3:
        return np.nan
    return stats.linregress(np.log(couplings.index.astype(float)), np.log(couplings)).slope


def equal_debt(
    level: float, lengths: Sequence[int], lr: float = 1e-3, target: float = 5
) -> pd.Series:
    """Return, for each number of epochs, the λ that leaves the same size loss at the end.

    Under the size loss alone a size that starts at 0 leaves λ N∞² exp(-4ηλE), for small ηλ. This
    first rises with λ and then falls; the result is the λ on the falling side. It is NaN where no
    λ leaves so much.

    Parameters
    ----------
    level : float
        The size loss at the end, dimensionless.
    lengths : sequence of int
        Numbers of epochs.
    lr : float
        Learning rate η.
    target : float
        Target size N∞, neurons.
    """
    found = {}
    for epochs in lengths:

        def excess(coupling, epochs=epochs):
            return np.log(coupling * target**2 / level) - 4 * lr * coupling * epochs

        peak = 1 / (4 * lr * epochs)  # the λ of the largest debt
        found[epochs] = np.nan
        if excess(peak) > 0:
            found[epochs] = optimize.brentq(excess, peak, 1e4 * peak)
    return pd.Series(found)


def held_out(
    losses: Sweep, measure: str = "ratio of means", splits: int = SPLITS, seed: int = 0
) -> pd.Series:
    """Return the ratio at the best λ when other trials and other λ have chosen the best λ.

    One half of the trials and every second λ, which has its own data set, choose. The other half of
    the trials is read at the other λ, by the moving average at the nearest of them. The result is
    the median over random halves. Half as many trials choose less well than all of them, so this
    ratio is rather too high where `best` is too low.

    Parameters
    ----------
    losses, measure
        As `ratios` takes them.
    splits : int
        How many times the trials are split at random.
    seed : int
        Seed of the random splits.

    Returns
    -------
    Series
        The ratio for each number of epochs; NaN if there is only one trial.
    """
    generator = np.random.default_rng(seed)
    trials = losses.growing.shape[2]
    if trials < 2:
        return pd.Series(np.nan, index=losses.lengths)
    found = []
    for split in range(splits):
        order = generator.permutation(trials)
        choosing = order[: trials // 2]
        reading = order[trials // 2 :]
        first = split % 2  # the λ at even places choose, then those at odd places
        tried = moving_average(ratios(losses, measure, choosing).iloc[first::2])
        read = moving_average(ratios(losses, measure, reading).iloc[1 - first :: 2])
        ratio = {}
        for epochs, coupling in lowest(tried).items():
            nearest = np.abs(np.log(read.index / coupling)).argmin()
            ratio[epochs] = read[epochs].iloc[nearest]
        found.append(ratio)
    return pd.DataFrame(found).median()


def table(finals: pd.DataFrame, resamples: int = RESAMPLES, splits: int = SPLITS) -> pd.DataFrame:
    """Return the numbers about the best λ, with intervals over the trials.

    A trial has the same first weights at every λ and every number of epochs. So trials are
    resampled with all of their λ and lengths.

    Parameters
    ----------
    finals : DataFrame
        Final results of the study "coupling", at either scale.
    resamples : int
        Bootstrap samples behind the intervals.
    splits : int
        Random splits of the trials behind "held-out ratio".

    Returns
    -------
    DataFrame
        One row for each quantity, measure and number of epochs (0 where it is about all of them),
        with `estimate`, `low`, `high` (95 % percentile limits; NaN below ten trials and for
        "held-out ratio") and the number of `trials`. All are dimensionless.
    """
    losses = sweep(finals)
    trials = losses.growing.shape[2]
    tables = []
    for measure in MEASURES:

        def about_best(positions, measure=measure):
            of_trials = best(losses, measure, positions)
            numbers = of_trials.unstack().to_dict()  # by quantity and number of epochs
            return numbers | {("power of the best λ", 0): power(of_trials["best λ"])}

        found = statistics.over_trials(about_best, trials, resamples)
        found.index = pd.MultiIndex.from_tuples(found.index, names=["quantity", "epochs"])
        rows = found.reset_index()
        apart = held_out(losses, measure, splits).rename_axis("epochs").reset_index(name="estimate")
        rows = pd.concat([rows, apart.assign(quantity="held-out ratio")])
        tables.append(rows.assign(measure=measure, trials=trials))
    columns = ["quantity", "measure", "epochs", "estimate", "low", "high", "trials"]
    return pd.concat(tables, ignore_index=True)[columns]


def seconds_for_one_coupling() -> float:
    """Return the seconds of one core for one λ of the stored study, scaled to the paper's epochs.

    The paper states 51 s for one λ: 400 networks of 17 783 epochs on a multi-core Mac. Our study
    went on to more epochs.
    """
    finals = studies.stored("coupling")
    minutes = studies.about_stored("coupling")["core_minutes"]
    shorter = PUBLISHED_EPOCHS / finals["epochs"].max()
    return 60 * minutes / finals["coupling"].nunique() * shorter


def compute() -> pd.DataFrame:
    """Return the table that is stored as `data/coupling.csv`, from the stored study."""
    time = {
        "quantity": "core-seconds for one λ",
        "measure": "time",
        "epochs": PUBLISHED_EPOCHS,
        "estimate": seconds_for_one_coupling(),
    }
    finals = studies.stored("coupling")
    return pd.concat([table(finals), pd.DataFrame([time])], ignore_index=True)

"""Which neurons are saturated: their tanh is near ±1 whatever x is, and their gradient is small.

Notebook 05 counts them before and during training. Functions here take networks of one input and
one hidden layer of the auxiliary weight, whose neurons compute tanh(b + feeds N u + w x). Training
such networks takes seconds, so `data/` stores no table of them.
"""

import numpy as np
import pandas as pd

import growlib
from growkit import statistics

SATURATED = 0.9  # above this |tanh| a neuron counts as saturated at a point x
POINTS = np.linspace(-1, 1, 41)
RESAMPLES = 1000
OPEN = 1e-3  # above this gate a neuron takes part, as in the column active_width


def first_tanh(
    size: float | np.ndarray, feeds: float = 1.0, seed: int = 0, networks: int = 1000
) -> np.ndarray:
    """Return |tanh| of five neurons before training.

    Parameters
    ----------
    size : float or ndarray
        The size N, neurons; one value, or one for each neuron as a column, (5, 1).
    feeds : float
        Factor on the size where it is an input of the neurons.
    seed : int
        Selects the first weights.
    networks : int
        How many networks.

    Returns
    -------
    ndarray
        |tanh| at 41 points x from -1 to 1, (points, 5, networks).
    """
    weights = growlib.initial_weights(seed, range(networks), 5, growlib.AuxiliaryWeight())
    _, (hidden, _) = growlib.unpack(weights, growlib.layer_shapes(5))
    b, u, w = hidden.numpy()  # (5, networks) each
    return np.abs(np.tanh(b + feeds * size * u + w * POINTS[:, None, None]))


def counts(run: growlib.Run) -> pd.DataFrame:
    """Return the pairs of an open neuron and a point x of each network, and how many saturate.

    Parameters
    ----------
    run : Run
        Networks that were fitted with keep_weights=True.

    Returns
    -------
    DataFrame
        A row per logged epoch and network, with the columns epoch, arm, trial, open and saturated.
        The epochs at which a network of an arm has no open neuron are left out for this arm.
    """
    width = run.settings["width"]
    found = []
    for epoch in run.snapshots:
        size, (hidden, _) = growlib.unpack(run.theta(epoch), growlib.layer_shapes(width))
        b, u, w = hidden.numpy()  # (H, networks) each
        argument = b + run.growth.feeds * size.numpy() * u + w * POINTS[:, None, None]
        is_open = run.growth.gate(size, width).numpy() > OPEN  # (H, networks)
        is_saturated = (np.abs(np.tanh(argument)) > SATURATED) & is_open  # (points, H, networks)
        rows = run.networks[["arm", "trial"]].assign(epoch=epoch)
        rows["open"] = len(POINTS) * is_open.sum(axis=0)
        rows["saturated"] = is_saturated.sum(axis=(0, 1))
        found.append(rows)
    rows = pd.concat(found, ignore_index=True)
    fewest = rows.groupby(["epoch", "arm"])["open"].transform("min")
    return rows[fewest > 0]


def shares(run: growlib.Run, resamples: int = RESAMPLES) -> pd.DataFrame:
    """Return the saturated share of the open neurons, by arm and logged epoch.

    Parameters
    ----------
    run : Run
        Networks that were fitted with keep_weights=True.
    resamples : int
        Bootstrap samples behind the intervals.

    Returns
    -------
    DataFrame
        A row per arm and epoch, with the columns estimate, low and high. The share is one of all
        pairs of an open neuron and a point x; `low` and `high` are its 95 % BCa interval over the
        networks, NaN below ten of them.
    """
    rows = counts(run)
    # The share is the mean number of saturated pairs over that of all pairs of open neurons.
    sides = [
        rows.assign(network=rows["arm"], arm=side, number=rows[side].astype(float))
        for side in ("saturated", "open")
    ]
    found = statistics.compare(
        pd.concat(sides).assign(diverged=False),
        "number",
        "open",
        ["network", "epoch"],
        resamples,
        arm="saturated",
        measures=["ratio of means"],
    )
    return found.rename(columns={"network": "arm"})[["arm", "epoch", "estimate", "low", "high"]]

"""Where networks end under Adam: which minima, and what their neurons do: `data/minima.csv`.

On a few data sets of the Bessel sum, growing networks, networks whose neurons train one after the
other, and static ones are trained from many first weights, all at one rate, so that none jitters
more than another. Networks of one data set whose answers are alike have found the same minimum. So
this module tells whether an arm finds the best minimum more often, or other ones.
"""

import numpy as np
import pandas as pd
from scipy.cluster import hierarchy
from scipy.spatial import distance

import growlib
from growkit import studies

TASK = "bessel-sum"
ARMS = {
    "growing": ("as it is", "growing"),
    "trained one after the other": ("delayed training", "growing"),
    "static": ("as it is", "static"),
}
DATA_SETS = (0, 1, 2, 3)
NETWORKS = 256  # of each arm on each data set
EPOCHS = 40_000
X = np.linspace(-1, 1, 201)

RATE = 3e-4  # the best of growing's and of delayed training's in "adam-ladder"
ALIKE = 0.001  # root mean square difference of answers that are linked to one minimum
IDLE = 0.02  # a neuron's part of the answer varies less than this, as a standard deviation
SATURATED = 0.9  # of |tanh|, at nine of ten x
DOUBLED = 0.99  # correlation over x of what two neurons give, or of one and the other's negative


def compute(networks: int = NETWORKS, epochs: int = EPOCHS) -> pd.DataFrame:
    """Return a row for each data set, arm and minimum that it found.

    Returns
    -------
    DataFrame
        The columns are data_set, arm, `minimum` (0 is the one with the lowest loss that at least
        one in a hundred networks of all arms found, 1 the next), `networks` of the arm that ended
        there, `train_task_loss` (median), and the mean number of `idle`, `saturated` and `doubled`
        neurons of a network.
    """
    settings = {}
    for setting in studies.published("adam-ladder"):
        key = (setting["control"], setting["growth"].arm())
        if setting["task"] == TASK and setting["optimizer"] == "adam":
            settings[key] = setting
    task = growlib.task(TASK, points=288, test_points=256)
    found = []
    for data_set in DATA_SETS:
        runs = {}
        for arm, key in ARMS.items():
            runs[arm] = growlib.fit(
                task,
                settings[key]["growth"],
                trials=networks,
                data_seed=data_set,
                epochs=epochs,
                log_every=epochs,
                lr=RATE,
                width=5,
                optimizer="adam",
            )
        found.append(of_runs(runs).assign(data_set=data_set))
    return pd.concat(found, ignore_index=True)


def of_runs(runs: dict[str, growlib.Run]) -> pd.DataFrame:
    """Return the minima that the runs of several arms found on one data set, as `compute` does.

    Networks that diverged, or whose minimum fewer than one in a hundred found, have minimum -1.
    """
    parts = []
    for arm, run in runs.items():
        rows = run.finals[["trial", "train_task_loss", "diverged"]].assign(arm=arm)
        parts.append(rows.assign(**neurons(run)))
    rows = pd.concat(parts, ignore_index=True)
    answers = np.concatenate([run.predict(X)[:, :, 0] for run in runs.values()])
    rows["minimum"] = minima(answers, rows["train_task_loss"].to_numpy())
    found = rows.groupby(["arm", "minimum"], sort=False).agg(
        networks=("trial", "size"),
        train_task_loss=("train_task_loss", "median"),
        idle=("idle", "mean"),
        saturated=("saturated", "mean"),
        doubled=("doubled", "mean"),
    )
    return found.reset_index().sort_values(["arm", "minimum"], ignore_index=True)


def minima(answers: np.ndarray, losses: np.ndarray) -> np.ndarray:
    """Return which minimum each network found, numbered from the lowest loss.

    Parameters
    ----------
    answers : ndarray
        What the networks answer, (networks, points).
    losses : ndarray
        Their losses, (networks,).

    Returns
    -------
    ndarray
        Integers, (networks,); -1 for a minimum that fewer than one in a hundred found. Networks
        have the same minimum if a chain of networks leads from one to the other, each of which
        differs from the next by less than `ALIKE`.
    """
    finite = np.isfinite(answers).all(axis=1)
    found = np.full(len(answers), -1)
    if finite.sum() < 2:
        return found
    distances = distance.pdist(answers[finite]) / np.sqrt(answers.shape[1])
    chains = hierarchy.fcluster(hierarchy.linkage(distances, "single"), ALIKE, "distance")
    medians = pd.Series(losses[finite]).groupby(chains).median()
    sizes = pd.Series(chains).value_counts()
    frequent = medians[sizes.reindex(medians.index) >= len(answers) / 100].sort_values()
    number = {chain: place for place, chain in enumerate(frequent.index)}
    found[finite] = [number.get(chain, -1) for chain in chains]
    return found


def neurons(run: growlib.Run) -> dict[str, np.ndarray]:
    """Return how many neurons of each network are idle, saturated and doubled, (networks,) each.

    An idle neuron is none of the others. Of a pair that is doubled, one counts.
    """
    width = run.settings["width"]
    size, (hidden, output) = growlib.unpack(run.theta(), growlib.layer_shapes(width))
    b, u, w = hidden.double().numpy()  # (H, networks) each
    tanh = np.tanh(b + run.growth.feeds * size.numpy() * u + w * X[:, None, None])  # (X, H, T)
    part = tanh * output[1:, 0].double().numpy() * run.growth.acts(size, width).numpy()
    idle = part.std(axis=0) < IDLE  # (H, T)
    saturated = ((np.abs(tanh) > SATURATED).mean(axis=0) > 0.9) & ~idle

    centred = tanh - tanh.mean(axis=0)
    scale = np.sqrt((centred**2).mean(axis=0)) + 1e-12
    alike = np.einsum("xht,xkt->hkt", centred / scale, centred / scale) / len(X)
    both = ~idle[:, None] & ~idle[None]
    before = np.tri(width, k=-1, dtype=bool)[..., None]  # neuron k before neuron h
    doubled = ((np.abs(alike) > DOUBLED) & both & before).any(axis=1)
    counted = {"idle": idle, "saturated": saturated, "doubled": doubled}
    return {name: which.sum(axis=0) for name, which in counted.items()}

"""How much of the true curve the networks of the study "gaussian" leave unexplained.

Notebook 06 computes this from the stored study when it runs, in less than a second. So `data/`
stores no table of it.
"""

import numpy as np
import pandas as pd

import growlib


def with_unexplained(finals: pd.DataFrame) -> pd.DataFrame:
    """Return the finals of the study with the column `unexplained`.

    Noise that differs in strength makes losses that cannot be compared: y is scaled after the noise
    is added, and no network can predict the noise. So the loss of the true curve is taken off, and
    what is left is divided by the variance of the true curve.

    Parameters
    ----------
    finals : DataFrame
        Final results on the task "gaussian-mixture", each trial on its own data set.

    Returns
    -------
    DataFrame
        The same rows. `unexplained` is a share of the variance of the true curve on the test
        points, dimensionless: 0 for the true curve and 1 for the best constant.
    """
    rows = []
    sets = finals[["noise", "points", "seed", "trial"]].drop_duplicates()
    for noise, points, seed, trial in sets.itertuples(index=False):
        floor, variance = _noise_and_signal(float(noise), int(points), int(seed), int(trial))
        rows.append((noise, trial, floor, variance))
    known = pd.DataFrame(rows, columns=["noise", "trial", "floor", "variance"])
    found = finals.merge(known, on=["noise", "trial"], how="left", validate="many_to_one")
    found["unexplained"] = (found["test_task_loss"] - found["floor"]) / found["variance"]
    return found.drop(columns=["floor", "variance"])


def _noise_and_signal(noise, points, seed, trial):
    """The squared error of the true curve on a trial's test points, and the curve's variance."""
    # A stored number is a float32, such as 0.0099999998.
    noisy_task = growlib.task("gaussian-mixture", noise=round(noise, 3), points=points)
    clean_task = growlib.task("gaussian-mixture", noise=0, points=points)
    noisy = noisy_task.draw(seed, [trial])[1][:, 0]  # (points,), test points last
    clean = clean_task.draw(seed, [trial])[1][:, 0]  # (points,), the same x in the same order

    # The two are scaled differently, which a straight line from one to the other undoes.
    slope, offset = np.polyfit(clean, noisy, 1)
    truth = slope * clean + offset
    test = slice(points - noisy_task.test_points, None)
    return np.mean((noisy[test] - truth[test]) ** 2), np.var(truth[test])

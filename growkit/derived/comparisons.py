"""The arms of every study at its published setting, compared pair by pair: `data/results.csv`."""

import pandas as pd

from growkit import statistics, studies

# The studies with one setting per target.
STUDIES = ("figure-2", "figure-3", "figure-4", "figure-5", "bessel", "gaussian", "spirals")
CONDITION = ["task", "mask", "noise", "epochs"]  # the columns that tell one condition from another
PERMUTATIONS = 9999


def compute() -> pd.DataFrame:
    """Return the comparisons of all `STUDIES`, as `of_study` makes them, with a column `study`."""
    frames = []
    for study in STUDIES:
        compared = of_study(studies.stored(study), PERMUTATIONS)
        frames.append(compared.assign(study=study))
    return pd.concat(frames, ignore_index=True)


def of_study(finals: pd.DataFrame, permutations: int = 0) -> pd.DataFrame:
    """Return growing against grown and against static in every condition of a study.

    Parameters
    ----------
    finals : DataFrame
        Final results of the arms of a study at its published setting.
    permutations : int
        Random swaps of the arms that give `p`; with 0 there is no `p`.

    Returns
    -------
    DataFrame
        What `growkit.statistics.compare` returns, a row per condition, opponent, value and measure.
        The values are the test loss with the size loss, as published, the task loss alone and, for
        classes, the share of points that are wrong: `error_fresh` at fresh points, or `error` at
        the test points where no fresh ones were drawn.
    """
    finals = finals.assign(noise=finals["noise"].astype(float).round(3))
    values = ["test_loss", "test_task_loss"]
    if "accuracy_fresh" in finals:
        finals["error_fresh"] = 1 - finals["accuracy_fresh"]
        values.append("error_fresh")
    elif "accuracy" in finals:
        finals["error"] = 1 - finals["accuracy"]
        values.append("error")

    arms = set(finals["arm"])
    frames = []
    for value in values:
        for against in ("grown", "static"):
            if against in arms:
                compared = statistics.compare(
                    finals, value, against, by=CONDITION, permutations=permutations
                )
                frames.append(compared)
    return pd.concat(frames, ignore_index=True)

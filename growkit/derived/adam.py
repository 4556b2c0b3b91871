"""Why growing wins under Adam: `data/adam.csv`.

The networks of the studies whose names begin with "adam-" end with five neurons (in "adam-map" with
other numbers, and those called "ten neurons" with ten) and are not told their size. Each has its
best rate. Here each of them is compared with static networks of the same data and first weights.

    adam-ladder     from static to growing, one change at a time
    adam-rates      growing and static networks at every rate, the same for both
    adam-long       the same for four times as many epochs
    adam-opponents  pruned networks, and static ones from the best of several first networks
    adam-restarts   the best of several whole static trainings
    adam-map        other numbers of neurons and points, other noise, more or fewer turns

A rung is a control and an arm of it, such as ("delayed training", "growing"). All comparisons are
by the task loss on test points.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from growkit import statistics, studies

VALUE = "test_task_loss"
STUDIES = (
    "adam-ladder",
    "adam-rates",
    "adam-long",
    "adam-opponents",
    "adam-restarts",
    "adam-map",
)
TASKS = ("bessel-j0", "bessel-sum", "chirp", "damped-wave", "two-waves", "square-wave")
MEASURES = ("ratio of medians", "probability")
RESAMPLES = 1000
PERMUTATIONS = 9999

# The rungs between static and growing networks, each with the words of the figure. The first is a
# control by itself: it sets a neuron's moments and step count back when its gate would open. The
# second lets neurons train one after the other, then they also take part one after the other, then
# their gates open gradually, and at last the task has a say in when.
LADDER = {
    "moments reset one by one": "moments reset one by one",
    "delayed training": "trained one after the other",
    "hard opening": "taking part one after the other",
    "ramp": "gates open gradually",
    "as it is": "growing: the task moves N, too",
}

# Static networks with one change, and growing ones with one change.
OF_STATIC = ("output × 0.1", "output × 0.01", "warm-up")
OF_GROWING = (
    "own step counts",
    "outgoing weights from 0",
    "whole layer",
    "reversed",
    "ramp, ten times slower",
    "ramp, three times slower",
    "ramp, three times faster",
    "ramp, ten times faster",
)

# What was expected of each rung, as the share of growing's lead that it would have (see
# `with_shares`). These numbers were written down before any of the networks were trained.
EXPECTED = {
    "moments reset one by one": 0.0,
    "delayed training": 0.5,
    "hard opening": 0.8,
    "ramp": 1.0,
    "own step counts": 1.0,
    "outgoing weights from 0": 1.0,
    "whole layer": 0.3,
    "reversed": 1.0,
    "ramp, ten times slower": 1.0,
    "ramp, three times slower": 1.0,
    "ramp, three times faster": 0.7,
    "ramp, ten times faster": 0.3,
    "output × 0.1": 0.2,
    "output × 0.01": 0.2,
    "warm-up": 0.0,
    "cosine": 1.0,
    "momentum": 0.5,
    "pruned at half": 1.0,
    "best of 8 starts": 0.3,
    "best of 64 starts": 0.5,
    "best of 8 trainings": 1.0,
}

# A rung is compared with static networks as they are, or with those of its schedule or optimizer.
REFERENCES = {
    "cosine": "cosine",
    "cosine, delayed training": "cosine",
    "momentum": "momentum",
    "momentum, delayed training": "momentum",
}

RESTARTS = (2, 4, 8)  # whole static trainings of which the best one is taken


# The opponents on which the claims rest, and their names among the claims.
CLAIMED = {
    "ten neurons": "larger static",
    "pruned at half": "pruned",
    "pruned at half, equal operations": "pruned, equal operations",
}


def compute() -> pd.DataFrame:
    """Return the comparisons of all `STUDIES`, the table `data/adam.csv`."""
    finals = {name: studies.stored(name) for name in STUDIES}
    return compared(finals, RESAMPLES, PERMUTATIONS)


def compared(
    finals: dict[str, pd.DataFrame], resamples: int = 200, permutations: int = 0
) -> pd.DataFrame:
    """Return the comparisons of all studies in one table.

    Parameters
    ----------
    finals : dict of DataFrame
        The finals of the `STUDIES` by their names.
    resamples, permutations : int
        As in `growkit.statistics.compare`. Only what the claims rest on has p-values.

    Returns
    -------
    DataFrame
        What the functions below return, one below the other.
    """
    ladder = finals["adam-ladder"]
    growing, static = (_as_it_is(ladder, arm) for arm in ("growing", "static"))
    opponents = finals["adam-opponents"]
    return pd.concat(
        [
            of_ladder(ladder, resamples).assign(study="adam-ladder"),
            of_rates(finals["adam-rates"], resamples),
            of_ladder(finals["adam-long"], resamples).assign(study="adam-long"),
            of_opponents(opponents, static, resamples),
            of_restarts(finals["adam-restarts"], static, resamples),
            of_map(finals["adam-map"], resamples),
            of_claims(growing, static, opponents, resamples, permutations),
        ],
        ignore_index=True,
    )


def _as_it_is(ladder, arm):
    """The networks of an arm, as they are, on the ladder under Adam."""
    return ladder[(ladder["control"] == "as it is") & (ladder["arm"] == arm)]


def of_claims(
    growing: pd.DataFrame,
    static: pd.DataFrame,
    opponents: pd.DataFrame,
    resamples: int = 200,
    permutations: int = 0,
) -> pd.DataFrame:
    """Return growing networks over static, larger and pruned ones, with p-values.

    Parameters
    ----------
    growing, static, opponents : DataFrame
        The finals of growing and of static networks as they are, and of "adam-opponents".
    resamples, permutations : int
        As in `growkit.statistics.compare`.

    Returns
    -------
    DataFrame
        A row per task, opponent and measure, as `compare` returns it; `reference` is "static" or
        the opponent as the claims name it.
    """
    found = []
    for task, rows in growing.groupby("task", sort=False):
        against = {"static": static[static["task"] == task]}
        others = opponents[opponents["task"] == task]
        for control, name in CLAIMED.items():
            against[name] = others[others["control"] == control]
        for name, reference in against.items():
            one = over(rows, reference, resamples, permutations, statistics.MEASURES)
            about = {"study": "claims", "reference": name}
            found.append(one.assign(**about))
    return pd.concat(found, ignore_index=True)


def ratios(table: pd.DataFrame) -> pd.DataFrame:
    """Return the ratios of medians in a table of comparisons, with the columns `case` and `mark`.

    `growkit.figures.draw_ratios` draws them: `case` is the task, and all have the mark "ratio".
    """
    rows = table[table["measure"] == "ratio of medians"]
    return rows.assign(case=rows["task"], mark="ratio")


def trials_of_claim(task: str, reference: str, ladder: pd.DataFrame, opponents: pd.DataFrame):
    """Return the finals behind a row of `of_claims`: growing networks and those of the reference.

    The parameters are its columns `task` and `reference`, and the finals of the two studies.
    """
    controls = {name: control for control, name in CLAIMED.items()}
    if reference == "static":
        against = _as_it_is(ladder, "static")
    else:
        against = opponents[opponents["control"] == controls[reference]]
    both = pd.concat([_as_it_is(ladder, "growing"), against])
    return both[both["task"] == task]


def of_ladder(finals: pd.DataFrame, resamples: int = 200) -> pd.DataFrame:
    """Return every rung over its static networks, on every task and after every number of epochs.

    Parameters
    ----------
    finals : DataFrame
        The finals of the study "adam-ladder" or "adam-long", or a quick sample of them.
    resamples : int
        As in `growkit.statistics.compare`.

    Returns
    -------
    DataFrame
        A row per task, epochs, rung and measure, as `over` returns it, with the column `share`: the
        logarithm of the ratio of medians over that of growing networks as they are.
    """
    found = []
    for _, rows in finals.groupby(["task", "epochs"], sort=False):
        arms = dict(list(rows.groupby(["control", "arm"], sort=False)))
        for control, arm in arms:
            reference = (REFERENCES.get(control, "as it is"), "static")
            if (control, arm) == reference:
                continue
            found.append(over(arms[control, arm], arms[reference], resamples))
    return with_shares(pd.concat(found, ignore_index=True))


def over(
    changed: pd.DataFrame,
    reference: pd.DataFrame,
    resamples: int,
    permutations: int = 0,
    measures: Sequence[str] = MEASURES,
) -> pd.DataFrame:
    """Return networks over reference networks of the same trials, a row per measure.

    The rows are those of `compare`, with the task, epochs, control and arm of the networks, the
    control of the reference as `reference`, the learning rates of both, `lr` and `reference_lr`,
    and `operations`: those of the networks over those of the reference.
    """
    first = changed.iloc[0]
    both = pd.concat([changed.assign(arm="changed"), reference.assign(arm="reference")])
    both = both.assign(pair="all")  # one group, whatever differs between the two
    compared = statistics.compare(
        both,
        VALUE,
        "reference",
        ["pair"],
        resamples,
        arm="changed",
        measures=measures,
        permutations=permutations,
    )
    return compared.drop(columns=["pair", "against"]).assign(
        task=first["task"],
        epochs=changed["epochs"].max(),
        control=first["control"],
        arm=first["arm"],
        reference=reference["control"].iloc[0],
        lr=changed["lr"].median(),
        reference_lr=reference["lr"].median(),
        operations=changed["flops"].median() / reference["flops"].median(),
    )


def with_shares(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table with the column `share`: how much of the lead of growing a rung has.

    It is the logarithm of a rung's ratio of medians over that of growing networks as they are, on
    the same task and after the same epochs, with the same optimizer and schedule. So it is 1 for
    "cosine" and "momentum" by definition. NaN for other measures.
    """
    ratio = table["estimate"].where(table["measure"] == "ratio of medians")
    leads = table.assign(log=np.log(ratio))
    growing = leads[leads["arm"] == "growing"]
    growing = growing[growing["control"] == growing["reference"]]
    growing = growing.set_index(["task", "epochs", "reference", "measure"])["log"]
    keys = pd.MultiIndex.from_frame(table[["task", "epochs", "reference", "measure"]])
    return table.assign(share=leads["log"].to_numpy() / growing.reindex(keys).to_numpy())


def of_rates(finals: pd.DataFrame, resamples: int = 200) -> pd.DataFrame:
    """Return every control over static networks at the same rate, on each task.

    The parameters and columns are those of `of_ladder`, without the shares.
    """
    found = []
    for _, rows in finals.groupby(["task", "lr"], sort=False):
        found += over_static(rows, resamples)
    return pd.concat(found, ignore_index=True).assign(study="adam-rates")


def over_static(finals: pd.DataFrame, resamples: int) -> list[pd.DataFrame]:
    """Return every control and arm over the static networks as they are, of one setting."""
    arms = dict(list(finals.groupby(["control", "arm"], sort=False)))
    reference = arms.pop(("as it is", "static"))
    return [over(changed, reference, resamples) for changed in arms.values()]


def of_opponents(finals: pd.DataFrame, static: pd.DataFrame, resamples: int = 200) -> pd.DataFrame:
    """Return every opponent over static networks of five neurons, a row per task and measure.

    Parameters
    ----------
    finals : DataFrame
        The finals of the study "adam-opponents".
    static : DataFrame
        The finals of static networks of five neurons as they are.
    resamples : int
        As in `growkit.statistics.compare`.
    """
    found = []
    for (task, _), rows in finals.groupby(["task", "control"], sort=False):
        found.append(over(rows, static[static["task"] == task], resamples))
    about = {"study": "adam-opponents", "arm": "opponent"}
    return pd.concat(found, ignore_index=True).assign(**about)


def of_restarts(finals: pd.DataFrame, static: pd.DataFrame, resamples: int = 200) -> pd.DataFrame:
    """Return the best of several static trainings on each data set over the first of them.

    The best one has the least task loss on the training points, since a person does not see the
    test points. The parameters are those of `of_opponents`; the first training is that of `static`.
    """
    found = []
    for task, others in finals.groupby("task", sort=False):
        first = static[static["task"] == task]
        first = first[first["trial"].isin(others["trial"])].assign(control="training 1")
        all_trainings = pd.concat([first, others], ignore_index=True)
        for count in RESTARTS:
            names = [f"training {number}" for number in range(1, count + 1)]
            tried = all_trainings[all_trainings["control"].isin(names)]
            losses = tried["train_task_loss"].where(~tried["diverged"], np.inf)
            chosen = tried.loc[losses.groupby(tried["trial"]).idxmin()]
            one = over(chosen, first, resamples)
            one["operations"] *= count
            found.append(one.assign(control=f"best of {count} trainings"))
    about = {"study": "adam-restarts", "arm": "opponent", "reference": "as it is"}
    return pd.concat(found, ignore_index=True).assign(**about)


def of_map(finals: pd.DataFrame, resamples: int = 200) -> pd.DataFrame:
    """Return the lead over static networks where one thing about the task or the network changes.

    The columns `axis` and `at` say what changes: the neurons, the training points, the noise or
    the turns of the target. The other columns are those of `of_ladder`.
    """
    finals = finals.assign(noise=finals["noise"].astype(float).round(3))
    # A pruned network ends with the neurons of its target.
    finals["neurons"] = finals["target"].astype(int)
    finals["training points"] = finals["points"] - finals["test_points"]
    found = []
    for axis, at in axes_of_map(finals).items():
        for value, rows in finals[at].groupby(axis):
            found += [one.assign(axis=axis, at=value) for one in over_static(rows, resamples)]
    return pd.concat(found, ignore_index=True).assign(study="adam-map")


def axes_of_map(finals: pd.DataFrame) -> dict[str, pd.Series]:
    """Return which rows of the study "adam-map" lie on each axis, by the column that it changes."""
    bessel = finals["task"] == "bessel-sum"
    finals["turns"] = finals["task"].str.extract(r"chirp-?(\d*)", expand=False)
    finals["turns"] = pd.to_numeric(finals["turns"].replace("", "5"))
    plain = {
        "neurons": finals["neurons"] == 5,
        "training points": finals["training points"] == 32,
        "noise": finals["noise"] == 0,
    }
    found = {"turns": ~bessel}
    for axis in plain:
        others = [plain[name] for name in plain if name != axis]
        found[axis] = bessel & others[0] & others[1]
    return found

"""The benchmark of growth rules: its tasks, arms, settings and budgets.

Every arm of the benchmark trains on every task, and all spend as many operations there as a static
network of the final size does in its epochs: for training, and for whatever else an arm does. Each
arm has as many settings to choose from. The study "rules-NAME-tuning" tries them on trials of its
own, by validation points, and the study "rules-NAME" trains each arm at its best setting on other
trials, by test points. `growkit.derived.rules` compares the results.

Open this module to see what is compared with what, or to change it. `growkit.studies` makes the
studies from `tuning` and `judged`, and asks `epochs_within` how long an arm may train.
"""

import functools
import math
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd

from growkit import growths, tasks
from growlib import NINE_TENTHS, ControllerMask, Task, _flops, _require, fit, task


class Row(NamedTuple):
    """How large networks are on a task, and how long they train there."""

    start: int  # neurons with which growing begins
    final: int  # neurons with which it ends, H*
    epochs: int  # of a static network with `final` neurons: the budget
    each: int = 1  # neurons that join at a time
    points: int = 16  # settings that each arm may choose from
    tuning: int = 16  # trials that choose
    trials: int = 128  # trials that are judged
    widths: tuple[int, ...] = ()  # of static networks


ROWS = {
    "bessel-sum": Row(1, 5, 20_000, widths=(3, 4, 5, 7, 10, 16, 32, 64)),
    "square-wave": Row(1, 5, 20_000, widths=(3, 4, 5, 7, 10, 16, 32, 64)),
    "chirp": Row(1, 8, 20_000, widths=(4, 6, 8, 11, 16, 24, 48, 96)),
    "student-teacher": Row(5, 10, 2000, widths=(3, 5, 7, 10, 14, 20, 40, 80)),
    "student-small": Row(2, 6, 2000, widths=(2, 3, 4, 6, 9, 12, 24, 48)),
    "friedman-50": Row(1, 8, 4000, widths=(2, 4, 6, 8, 11, 16, 32, 64)),
    "friedman-200": Row(1, 8, 4000, widths=(2, 4, 6, 8, 11, 16, 32, 64)),
    "two-moons": Row(1, 8, 4000, widths=(2, 4, 6, 8, 11, 16, 32, 64)),
    "spirals": Row(2, 16, 4000, 2, 8, 8, 32, (8, 11, 16, 22, 32, 48, 96, 192)),
    "bessel-grid": Row(1, 10, 2000, 1, 8, 8, 32, (4, 7, 10, 14, 20, 30, 60, 120)),
    "diabetes": Row(1, 5, 2000, widths=(1, 2, 3, 5, 7, 10, 20, 40)),
    "breast-cancer": Row(1, 5, 1000, widths=(1, 2, 3, 5, 7, 10, 20, 40)),
    "digits": Row(4, 16, 300, 4, 8, 8, 32, (8, 11, 16, 22, 32, 48, 96, 192)),
    "mnist-1d": Row(8, 32, 100, 8, 8, 8, 32, (16, 22, 32, 45, 64, 96, 192, 384)),
}

GROUPS = {
    "one-input": ("bessel-sum", "square-wave", "chirp"),
    "known": ("student-teacher", "student-small", "friedman-50", "friedman-200"),
    "structure": ("two-moons", "spirals", "bessel-grid"),
    "real": ("diabetes", "breast-cancer", "digits", "mnist-1d"),
}

# The settings that an arm may choose from: a learning rate, evenly spaced by its logarithm, and one
# of four levels of a second setting. The points are a lattice: four rates in a row have all levels.
RATES = {"adam": (3e-4, 1e-1), "momentum": (1e-3, 1.0)}

# The second setting is the share of the training in which neurons join, or after which the first
# ones go. Where gradient descent moves the size, it moves so fast that it arrives after that share.
# For the adaptive width it is the coupling λ.
LEVELS = (0.125, 0.25, 0.5, 0.75)
COUPLINGS_OF_ADAPTIVE = (1e-4, 3e-4, 1e-3, 3e-3)
COUPLING = 0.1  # λ of the auxiliary weight and the controller

# Budgets at which results are kept, as shares of the whole one.
SHARES = tuple(np.geomspace(1 / 64, 1, 12).round(4).tolist())

# A growth that finds its size while it trains may have more epochs left than a static network, or
# fewer. It is looked at after these multiples of that network's epochs, so that it can be read
# where it has spent the budget.
LOOKS = (*SHARES, *np.linspace(0.5, 1.5, 41).round(3).tolist())

# What a network may have spent beyond a budget at which it is read, as a share of it.
TOLERANCE = 0.01

FIRST_TUNING_TRIAL = 1_000_000
DRAWS = 64  # first networks among which the best static one is chosen

# The arms that grow by schedule, each with its rule, and what else the arm changes.
SCHEDULED = {
    "as drawn": ("as-drawn", {}),
    "random": ("random", {}),
    "split": ("split", {}),
    "splitting": ("splitting", {}),
    "variance transfer": ("variance-transfer", {}),
    "variance transfer, rescaled": ("variance-rescaled", {}),
    "GradMax": ("gradmax", {}),
    "TINY": ("tiny", {}),
    "Firefly": ("firefly", {}),
    "best candidate": ("best-candidate", {}),
    "best candidate, fitted": ("best-candidate-fitted", {}),
    "cascade": ("cascade", {}),
    "cascade, covariance": ("cascade-covariance", {}),
    "cascade, frozen": ("cascade", {"rests": True}),
    "NORTH-Select": ("north-select", {}),
}
OTHERS = (
    "best of 64 starts",
    "pruned",
    "pruned in 4 steps",
    "auxiliary weight",
    "auxiliary weight, told its size",
    "controller",
    "adaptive width",
    "adaptive width, held",
)


def arms(name: str) -> list[str]:
    """Return the names of all arms on a task: static networks by their width, then the others."""
    return [f"static {width}" for width in ROWS[name].widths] + [*SCHEDULED, *OTHERS]


def grows(arm: str) -> bool:
    """Return whether networks of an arm grow; the others are static or pruned."""
    return not arm.startswith(("static", "best of", "pruned")) and arm != "adaptive width, held"


@functools.cache
def _inputs(name):
    return tasks.benchmark_task(name).inputs


@functools.cache
def budget(name: str) -> float:
    """Return the operations that each network may spend on a task."""
    row = ROWS[name]
    learned = tasks.benchmark_task(name)
    return row.epochs * row.final * _of_a_neuron(learned, row.final)


def _of_a_neuron(learned: Task, width, rests=False):
    """Return the operations of one neuron in an epoch."""
    return learned.train_points * _flops(learned, [width], rests)


# ----------------------------------------------------------------------------------------- settings


def points(name: str, optimizer: str) -> list[tuple[float, int]]:
    """Return the settings that an arm may choose from on a task: learning rates, and levels."""
    low, high = RATES[optimizer]
    count = ROWS[name].points
    rates = np.geomspace(low, high, count)
    return [(float(f"{rate:.3g}"), (k + k // 4) % 4) for k, rate in enumerate(rates)]


def optimizers(name: str) -> tuple[str, ...]:
    """Return the optimizers of a task: both, or Adam alone where training takes long."""
    return ("adam", "momentum") if ROWS[name].trials == 128 else ("adam",)


def tuning(names, of=None) -> list[dict]:
    """Return the settings of a study that tries all points of all arms on some tasks."""
    settings = []
    for name in names:
        for optimizer in optimizers(name):
            for arm in of or arms(name):
                for rate, level in points(name, optimizer):
                    settings.append(_at_a_point(name, arm, optimizer, rate, level))
    return settings


def _at_a_point(name, arm, optimizer, rate, level):
    """The setting that tries one point of an arm, on the trials that choose and by validation."""
    if arm.startswith("static"):
        level = 0
    setting = arm_setting(name, arm, optimizer, rate, level, "validation")
    trials = FIRST_TUNING_TRIAL + np.arange(ROWS[name].tuning)
    return setting | {"trials": trials.tolist(), "control": f"{arm} @{level}"}


def judged(names, tried: pd.DataFrame, of=None) -> list[dict]:
    """Return the settings of a study that judges all arms at their best points.

    `tried` are the finals of the study that `tuning` describes.
    """
    best = best_points(tried)
    settings = []
    for name in names:
        for optimizer in optimizers(name):
            for arm in of or arms(name):
                rate, level = best[name, optimizer, arm]
                setting = arm_setting(name, arm, optimizer, rate, level, "test")
                settings.append(setting | {"trials": ROWS[name].trials, "control": arm})
    return settings


# What the crossed axes change in an arm, by name: fields of its growth, and arguments of `fit`. The
# median of second moments needs the network's step count, since old neurons have that.
AXES = {
    "own step counts": ({}, {}),
    "network's step count": ({}, {"counts": "network"}),
    "median second moment": ({"newborn": "median"}, {"counts": "network"}),
    "all moments reset": ({"newborn": "reset"}, {}),
    "all at once": ({"each": 1000}, {}),
    "cosine": ({}, {"schedule": "cosine"}),
}
CROSSED_TASKS = ("bessel-sum", "friedman-200", "two-moons")
CROSSED_ARMS = ("random", "best candidate, fitted", "NORTH-Select")  # the two best rules, too


def axes(tried: pd.DataFrame) -> list[dict]:
    """Return the settings of the study "rules-axes": what the rules share, one change at a time.

    Arms have the points that suit them without the change. Static networks of the final size have
    the cosine as their only change.
    """
    settings = []
    for setting in judged(CROSSED_TASKS, tried):
        arm = setting["control"]
        final = ROWS[setting["task"].removeprefix("rules-")].final
        if setting["optimizer"] != "adam" or arm not in (*CROSSED_ARMS, f"static {final}"):
            continue
        for change, (of_growth, of_fit) in AXES.items():
            if arm in CROSSED_ARMS or change in ("own step counts", "cosine"):
                growth = replace(setting["growth"], **of_growth)
                changed = {"growth": growth, "control": f"{arm}: {change}", "shares": (1.0,)}
                settings.append(setting | changed | of_fit)
    return settings


BEYOND = (2.0, 4.0, 8.0)  # multiples of the highest rate that was tried


def edge(tried: pd.DataFrame) -> list[dict]:
    """Return the settings of the study "rules-edge": static networks at rates above those tried.

    They are those of the tasks on which the best static network, by the trials of `tried`, has the
    highest rate of Adam. They train on the same trials, and are judged by validation points.
    """
    highest = RATES["adam"][1]
    best = best_static(tried).xs("adam", level="optimizer")
    at_the_edge = best.index[np.isclose(best["lr"], highest)]
    settings = []
    for name in [name for name in ROWS if name in at_the_edge]:
        for width in ROWS[name].widths:
            for factor in BEYOND:
                rate = factor * highest
                settings.append(_at_a_point(name, f"static {width}", "adam", rate, 0))
    return settings


# The arms of the quick scale, beside the static networks.
QUICK = (
    "as drawn",
    "random",
    "GradMax",
    "TINY",
    "best candidate",
    "best candidate, fitted",
    "NORTH-Select",
    "pruned",
    "auxiliary weight",
)


def quick(settings: list[dict]) -> list[dict]:
    """Return the settings of a study's first task and of Adam, with less of everything."""
    found = []
    for setting in settings:
        arm = setting["control"].split(" @")[0].split(": ")[0]
        first = setting["task"] == settings[0]["task"] and setting["optimizer"] == "adam"
        if first and (arm in QUICK or arm.startswith("static")):
            trials = setting["trials"]
            few = trials[:4] if isinstance(trials, list) else 12
            found.append(setting | {"trials": few, "budget": setting["budget"] / 4})
    return found


def arm_setting(name, arm, optimizer, rate, level, judged_by) -> dict:
    """Return what `growkit.studies` needs to train an arm on a task, but for its trials.

    `level` is the place of the arm's second setting in `LEVELS`, and `judged_by` which points are
    the test points: "validation" or "test". An arm that is none of the benchmark's is taken for a
    rule.
    """
    growth, width = _growth(name, arm, optimizer, rate, level)
    setting = {
        "task": f"rules-{name}",
        "options": {"judged_by": judged_by},
        "growth": growth,
        "width": width,
        "optimizer": optimizer,
        "lr": rate,
        "budget": budget(name),
        "shares": (1.0,) if judged_by == "validation" else SHARES,
        "kept": 1,
    }
    if optimizer == "adam":
        setting["counts"] = "neuron"
    return setting


def _growth(name, arm, optimizer, rate, level):
    """Return the growth of an arm on a task at a point of its settings, and the width."""
    row = ROWS[name]
    # With one input, first weights are as in the paper.
    power = 0.0 if _inputs(name) == 1 else -0.5
    values = {"start": float(row.final), "target": float(row.final), "fan_in_power": power}
    if arm.startswith("static "):
        width = int(arm.split()[1])
        values |= {"start": float(width), "target": float(width)}
        return growths.Scheduled(**values), width
    if arm == "best of 64 starts":
        values |= {"frozen": True, "feeds": 0.0, "mask": "steps"}
        return growths.BestStart(**values, draws=DRAWS), row.final
    if arm.startswith("pruned"):
        values |= {"start": 2.0 * row.final, "at": LEVELS[level]}
        times = 4 if "4" in arm else 1
        return growths.Pruned(**values, times=times), 2 * row.final
    if arm.startswith("auxiliary weight"):
        speed = _speed(row.final, row.epochs, optimizer, rate, level)
        values |= {"start": 0.0, "coupling": COUPLING, "speed": speed}
        return growths.Gradual(**values, feeds=1.0 if "told" in arm else 0.0), row.final
    if arm == "controller":
        speed = _speed(1, row.epochs, optimizer, rate, level)
        return ControllerMask(coupling=COUPLING, speed=speed, feeds=0.0), row.final
    if arm == "adaptive width":
        values |= {"start": 0.3, "target": 0.05, "coupling": COUPLINGS_OF_ADAPTIVE[level]}
        return growths.AdaptiveWidth(**values), 2 * row.final
    if arm == "adaptive width, held":
        rate_of_final = NINE_TENTHS / row.final
        values |= {"start": rate_of_final, "target": rate_of_final, "frozen": True}
        return growths.AdaptiveWidth(**values), row.final

    rule, changes = SCHEDULED.get(arm, (arm, {}))
    start, each = row.start, row.each
    if rule.startswith("variance"):  # neurons join in pairs
        each = max(2, each)
        start += (row.final - start) % 2
    values |= {"start": float(start)}
    growth = growths.Scheduled(**values, rule=rule, each=each, until=LEVELS[level])
    return replace(growth, **changes), row.final


def _speed(target, epochs, optimizer, rate, level):
    """Return the factor on the size's learning rate with which it arrives after a share.

    Adam's step is the learning rate, as long as the size is pulled one way. With momentum the
    distance falls exponentially, at ten times the rate; after three time constants it has arrived.
    """
    until = LEVELS[level] * epochs
    if optimizer == "adam":
        return float(f"{target / (rate * until):.3g}")
    return float(f"{3 / (10 * rate * 2 * COUPLING * until):.3g}")


# ------------------------------------------------------------------------------------ within budget


def epochs_within(learned: Task, growth, width: int, operations: float) -> list[int]:
    """Return the epochs at which a network has spent the `SHARES` of a number of operations.

    Whatever its events cost is counted. Growths that find their size while they train get the
    epochs of a static network of the whole width, and some more.

    Raises ValueError if the operations do not last for the events of the growth.
    """
    of_a_neuron = _of_a_neuron(learned, width, growth.rests)
    if not isinstance(growth, growths.Scheduled | growths.Pruned | growths.BestStart):
        neurons = width
        if isinstance(growth, growths.AdaptiveWidth):
            neurons = width / 2  # it may end with more neurons than others, or with fewer
        all_neurons = operations / of_a_neuron / neurons
        ends = np.round(all_neurons * np.array(LOOKS)).astype(int)
        return sorted({max(1, end) for end in ends.tolist()})

    in_events = _operations_of_events(learned, growth, width)
    fewest = _fewest_epochs(growth)

    def spent(epochs):
        """Return what has been spent after every epoch of a training of this length."""
        neurons = np.full(epochs, float(np.max(growth.start)))
        extra = np.zeros(epochs)
        for (epoch, change), cost in zip(_changes(growth, epochs).items(), in_events, strict=True):
            neurons[epoch:] += change
            extra[epoch:] += cost
        return np.cumsum(neurons) * of_a_neuron + extra

    most = math.ceil(operations / of_a_neuron / min(np.max(growth.start), np.max(growth.target)))
    low, high = fewest, max(fewest, most) + 1
    takes = f"at least {spent(low)[-1]:.3g}, since the events of the growth cost as much"
    _require(spent(low)[-1] <= operations, "budget", operations, takes)
    while high - low > 1:
        middle = (low + high) // 2
        if spent(middle)[-1] <= operations:
            low = middle
        else:
            high = middle
    after = spent(low)
    ends = np.searchsorted(after, np.array(SHARES) * operations, side="right")
    ends[-1] = low
    return sorted({max(1, end) for end in ends.tolist()})


def _changes(growth, epochs):
    """Return how the number of neurons changes after which epoch, {epoch: neurons}."""
    if isinstance(growth, growths.Scheduled):
        return growth.joining(epochs)
    if isinstance(growth, growths.Pruned):
        leaving = growth.leaving(epochs)
        ends = (np.max(growth.start), np.max(growth.target))
        left = np.ceil(np.linspace(*ends, len(leaving) + 1))
        return dict(zip(leaving, np.diff(left), strict=True))
    return {0: 0}


def _fewest_epochs(growth):
    """Return the fewest epochs in which all events of a growth have an epoch of their own."""
    if isinstance(growth, growths.Scheduled) and growth.until:
        times = math.ceil((np.max(growth.target) - np.max(growth.start)) / growth.each)
        return math.ceil(times / growth.until) + 1  # 1 of a static network
    if isinstance(growth, growths.Pruned):
        return math.ceil(2 * growth.times / min(growth.at, 1 - growth.at)) + 1
    return 1


@functools.cache
def _of_events(name, options, growth, width):
    learned = task(name, **dict(options))
    epochs = _fewest_epochs(growth)
    run = fit(
        learned, growth, trials=1, epochs=list(range(1, epochs + 1)), width=width, lr=1e-9
    ).finals
    after = run["flops"].to_numpy()
    trained = np.cumsum(run["active_width"].to_numpy()) * _of_a_neuron(learned, width, growth.rests)
    in_all = np.diff(np.concatenate([[0.0], after - trained]))  # after each epoch
    return [float(in_all[epoch]) for epoch in _changes(growth, epochs)]


def _operations_of_events(learned, growth, width):
    """Return what each event of a growth costs, from one network that is hardly trained."""
    if isinstance(growth, growths.Scheduled) and np.all(growth.arm() == "static"):
        return []
    plain = replace(growth, start=float(np.max(growth.start)), target=float(np.max(growth.target)))
    plain = replace(plain, coupling=0.0, frozen=True)
    return _of_events(learned.name, tuple(learned.options.items()), plain, width)


# ---------------------------------------------------------------------------------------- choosing


def at_shares(finals: pd.DataFrame, operations: float, shares) -> pd.DataFrame:
    """Return of each network the last row within each share of its budget.

    The columns `share` and `budget` are added.

    `finals` are those of a fit at the epochs that `epochs_within` gives. A network that has spent
    more than a share before its first row has no row for it.
    """
    read = []
    for share in shares:
        within = finals[finals["flops"] <= (1 + TOLERANCE) * share * operations]
        place = within.groupby(["trial", "lr"], sort=False)["epochs"].idxmax()
        read.append(within.loc[place.to_numpy()].assign(share=share, budget=operations))
    return pd.concat(read, ignore_index=True)


def with_points(finals: pd.DataFrame) -> pd.DataFrame:
    """Return the finals of a study with the columns `name` (in `ROWS`), `arm` and `level`.

    The level is that of the arm's second setting, and 0 in a study that does not try several.
    """
    parts = finals["control"].str.partition(" @")  # arm, " @" or nothing, level or nothing
    return finals.assign(
        name=finals["task"].str.removeprefix("rules-"),
        arm=parts[0],
        level=parts[2].replace("", "0").astype(int),
    )


def losses(finals: pd.DataFrame) -> pd.Series:
    """Return the task loss of every row on its test points; that of a trial that diverged is ∞."""
    return finals["test_task_loss"].where(~finals["diverged"], np.inf).fillna(np.inf)


def medians(tried: pd.DataFrame) -> pd.Series:
    """Return the median task loss of every point, by name, optimizer, arm, lr and level."""
    tried = with_points(tried)
    by = ["name", "optimizer", "arm", "lr", "level"]
    return losses(tried).groupby([tried[column] for column in by]).median()


def best_static(tried: pd.DataFrame) -> pd.DataFrame:
    """Return the best static network of each task and optimizer: its arm, lr and median loss."""
    found = medians(tried).reset_index(["arm", "lr", "level"], name="loss")
    static = found[found["arm"].str.startswith("static ")].sort_values("loss", kind="stable")
    return static.groupby(level=["name", "optimizer"]).head(1)


def best_points(tried: pd.DataFrame) -> dict:
    """Return the best point of every arm, {(name, optimizer, arm): (lr, level)}."""
    best = {}
    for _, of_points in medians(tried).groupby(level=["name", "optimizer", "arm"]):
        name, optimizer, arm, rate, level = of_points.idxmin()
        best[name, optimizer, arm] = (float(rate), int(level))
    return best

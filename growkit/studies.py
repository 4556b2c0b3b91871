"""Run studies and read stored results.

Use this module to run a sweep, on this machine or on a cluster, or to see how the published
studies were computed. It imports growlib, and from the kit `benchmark`, `growths`, `rules`,
`statistics` and `tasks`.

A study passes through these stages, which follow one another in this file:

    grid       a mapping as in data/studies.toml; its lists of values are crossed
    setting    a dict of arguments of `growlib.fit`, with the task by name
    cell       a setting and as many of its networks as train in about a minute
    frames     finals, history and curves: of a cell in one file of .cache/cells, of a published
               study in three files of data/
"""

import contextlib
import hashlib
import inspect
import itertools
import json
import math
import os
import signal
import sys
import threading
import time
import tomllib
import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor, as_completed
from dataclasses import fields, replace
from importlib import metadata
from multiprocessing import current_process, get_context, parent_process
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch
import tqdm.auto

import growlib
from growkit import benchmark, rules
from growkit.growths import METHODS  # those of growlib, and what the kit adds to them
from growkit.statistics import in_thousands
from growkit.tasks import ADDED, TASKS  # likewise
from growlib import (
    ARMS,
    VARIED,
    Growth,
    _choice,
    _every_trial_at,
    _floats,
    _flops,
    _Loops,
    _plain,
    _replacing,
    _require,
    _trials,
    _whole,
    _wholes,
    _without_varied,
    arms,
    fit,
    task,
    with_sums,
)

# The frames that are kept of a study, and what is appended to its name in the names of their files.
FRAMES = {"finals": "", "history": "-history", "curves": "-curves"}

# A cell is about a minute of work for one core, which does very roughly this many operations a
# second. A cell of many networks holds whole blocks, those that `fit` trains side by side.
CELL_SECONDS = 60
CORE_FLOPS = 2e10
BLOCK = _Loops.most

# Without numba, a step of few networks takes nearly as long as one of many. So the quick scale,
# which has few of them anyway, then trains for this share of the epochs.
SHARE_WITHOUT_LOOPS = 0.1

# How many trials of a setting a study keeps: of the history, of the predictions on a line (one
# input), and of the predicted classes on a plane (two inputs).
KEPT_TRIALS = 200
DRAWN_TRIALS = 20
MAPPED_TRIALS = 3

# The columns that are stored in float64, so that rows can be selected by their values.
CHOSEN = ("start", "target", "coupling", "lr", "share")

# The controller mask as the paper's program sets it, and as the paper's text describes it.
READINGS = {
    "released": {"mask": "shared", "learns_from": "size"},
    "described": {"mask": "neuron", "learns_from": "loss"},
}

# The options of all tasks, such as "points" and "noise".
_TASK_OPTIONS = list(
    dict.fromkeys(name for make in TASKS.values() for name in inspect.signature(make).parameters)
)

# The tasks that every process knows once it has imported this module.
KNOWN_TASKS = growlib._TASKS_OF_THE_PAPER | ADDED

# The keys of a table in data/studies.toml that are not arguments of `fit`, `task` or a growth.
_KEYS_OF_A_TABLE = ("part", "quick", "kept_rows", "tunes")

_FIT_ARGUMENTS = inspect.signature(fit).parameters

# ---------------------------------------------------------------------------- from grid to settings


def _settings(grid):
    """The settings of a grid, or of several grids one after the other, each of them once."""
    parts = grid if isinstance(grid, list | tuple) else [grid]
    _require(
        parts and all(_is_grid(part) for part in parts),
        "grid",
        grid,
        "a mapping that names a task and other arguments of fit, or several",
    )
    settings = []
    for part in parts:
        for controlled in _controlled(part):
            settings += [_setting(chosen) for chosen in _crossed(controlled)]
    _require(settings, "grid", grid, "at least one value in each of its lists")
    return _different(settings)


def _different(settings):
    """The settings without those that equal an earlier one."""
    by_text = {}
    for setting in settings:
        by_text.setdefault(json.dumps(_described(setting), sort_keys=True), setting)
    return list(by_text.values())


def _is_grid(part):
    return (
        isinstance(part, Mapping)
        and "task" in part
        and isinstance(part.get("controls", {}), Mapping)
    )


def _controlled(part):
    """The grid once for each of its `controls`, each with the control's name and its changes."""
    plain = {name: value for name, value in part.items() if name != "controls"}
    controls = part.get("controls", {})
    if not controls:
        return [plain]
    are_changes = all(isinstance(changes, Mapping) for changes in controls.values())
    takes = "a mapping from the name of each control to what it changes, a mapping as well"
    _require(are_changes, "controls", controls, takes)
    return [plain | {"control": control} | changes for control, changes in controls.items()]


def _crossed(part):
    """Every combination of the values of a grid; only a list holds several values."""
    choices = [value if isinstance(value, list) else [value] for value in part.values()]
    return [dict(zip(part, values, strict=True)) for values in itertools.product(*choices)]


def _setting(chosen):
    """The setting that one combination of values describes.

    The growth and the task take the names that belong to them; `fit` takes the rest.
    """
    rest = dict(chosen)
    if "growth" in rest:
        for name in ("arm", "method", "reading"):
            takes = "a growth, or arm, method and reading to make one from, but not both"
            _require(name not in rest, "grid", sorted(rest), takes)

    reading = {}
    default_method = "AuxiliaryWeight"
    if "reading" in rest:
        reading = READINGS[_choice("reading", rest.pop("reading"), READINGS)]
        default_method = "ControllerMask"
    method = METHODS[_choice("method", rest.pop("method", default_method), METHODS)]
    growth = rest.pop("growth", None)
    _require(
        growth is None or isinstance(growth, Growth),
        "growth",
        growth,
        "an AuxiliaryWeight or a ControllerMask",
    )
    arm = _choice("arm", rest.pop("arm", "growing"), ARMS)

    growth_names = [field.name for field in fields(growth or method)]
    _check_names(rest, growth_names)
    for name, value in rest.items():
        if isinstance(value, Mapping):
            rest[name] = _evenly_spaced(name, value)
    for name in ("seed", "data_seed"):
        if rest.get(name) is not None:
            takes = "whole numbers below 2**63, which a file can hold"
            _require(max(_wholes(name, rest[name], 0)) < 2**63, name, rest[name], takes)
    growth_values = reading | _taken(rest, growth_names)
    options = _taken(rest, _TASK_OPTIONS)
    # Making the task here refuses, before anything is computed, options that it does not take.
    task(_choice("task", rest["task"], TASKS), **options)

    if growth is None:
        growth = arms(method, **growth_values)[arm]
    else:
        growth = replace(growth, **growth_values)
    if options:
        rest["options"] = options
    return rest | {"growth": growth}


def _check_names(rest, growth_names):
    """Refuse a name in `rest` that no part of a setting takes."""
    not_in_a_grid = {"task_or_name", "growth", "progress", "keep_weights"}
    fit_names = [name for name in _FIT_ARGUMENTS if name not in not_in_a_grid]
    kit_names = ["task", "kept", "arm", "method", "reading", "growth"]
    for name in rest:
        _choice("grid", name, [*kit_names, *fit_names, *growth_names, *_TASK_OPTIONS])


def _taken(rest, names):
    """The values that `rest` holds for the names; they are removed from it."""
    return {name: rest.pop(name) for name in names if name in rest}


def _evenly_spaced(name, spec):
    """The numbers from `first` to `last` in steps of `each`, as integers or as powers of ten.

    They are one value of a grid, with a number for each network.
    """
    takes = "first, last and each, and nothing else but powers_of_ten"
    _require(spec.keys() - {"powers_of_ten"} == {"first", "last", "each"}, name, spec, takes)
    numbers = [_floats(spec[key]) for key in ("first", "last", "each")]  # NaN for text
    powers = spec.get("powers_of_ten", False)
    takes = "three finite numbers, whole ones unless powers_of_ten is true"
    for number in numbers:
        fine = number.ndim == 0 and np.isfinite(number) and (powers or number == np.round(number))
        _require(fine, name, spec, takes)
    first, last, each = numbers
    _require(first <= last and each > 0, name, spec, "a first of at most last, and an each above 0")
    steps = np.arange(first, last + each / 2, each)
    if powers:
        return 10 ** np.round(steps, 10)
    return steps.round().astype(int)


# -------------------------------------------------------------------------------- published studies


def _read_studies():
    """The grids of data/studies.toml by the names of the studies; {} if no checkout holds the file.

    The head of the file says how to read it. The checkout is around growlib.py, or GROWLIB_HOME
    names it.
    """
    for checkout in (Path(growlib.__file__).parent, growlib.HOME):
        table = checkout / "data" / "studies.toml"
        if table.exists():
            return tomllib.loads(table.read_text(encoding="utf-8"))
    return {}


STUDIES = _read_studies()


def _published_name(study):
    """Return the name of a published study, or raise an error that lists the names."""
    if not STUDIES:
        raise FileNotFoundError(
            f"study {study!r} is not installed: the stored studies come with the repository, "
            "and GROWLIB_HOME names the folder of a checkout"
        )
    return _choice("study", study, STUDIES)


def published(study: str, scale: str = "paper") -> list[dict]:
    """Return the settings of a published study, a dict for each.

    A setting has the `task` by its name and, where there are any, the `options` of the task. It has
    the `growth`, and other arguments of `fit` by their names. `kept` is how many trials keep their
    history and predictions. Those of the benchmark of growth rules have a `budget` in operations,
    and the `shares` of it at which they are judged, instead of epochs.

    The quick scale has fewer trials, and on large sets also fewer points and epochs. Several
    studies have fewer settings there as well. Where the grid says "tuned", the learning rate is the
    best one in the stored results of the study that `tunes` this one.

    Parameters
    ----------
    study : str
        One of `STUDIES`.
    scale : {"paper", "quick"}
        The published number of trials, or a small sample.

    Raises
    ------
    ValueError
        If the study or the scale is unknown.
    FileNotFoundError
        If growlib was installed without the repository, or the study that tunes this one is needed
        and not stored.
    """
    if "benchmark" in _table(study):
        return _of_the_benchmark(study, scale)
    return _tuned(_settings(_parts(study, scale)), study)


def _table(study):
    """The table of data/studies.toml that a study is made from: of the study that it tunes, if so.

    Those of the benchmark of growth rules name their tasks alone.
    """
    table = STUDIES[_published_name(study)]
    return STUDIES[table["tunes"]] if "tunes" in table else table


def _of_the_benchmark(study, scale):
    """The settings of a study of the benchmark, which `growkit.benchmark` describes."""
    table = _table(study)
    _choice("scale", scale, ("quick", "paper"))
    group = table["benchmark"]
    if group in ("axes", "edge"):
        tuned = [f"rules-{each}-tuning" for each in benchmark.GROUPS]
        of_group = {"axes": benchmark.axes, "edge": benchmark.edge}[group]
        settings = of_group(pd.concat([stored(name) for name in tuned]))
    elif "tunes" in STUDIES[study]:
        settings = benchmark.tuning(benchmark.GROUPS[group])
    else:
        settings = benchmark.judged(benchmark.GROUPS[group], stored(_tuning_of(study)))
    return settings if scale == "paper" else benchmark.quick(settings)


def _tuned(settings, study):
    """The settings of a study with the best rate where they say "tuned", each of them once."""
    if any(_is_tuned(setting) for setting in settings):
        tuning = _tuning_of(study)
        rates = _best_rates(stored(tuning))
        for setting in settings:
            if _is_tuned(setting):
                setting["lr"] = _best_rate(setting, rates, tuning)
    # The best rate may be the published one; then the setting would be there twice.
    return _different(settings)


def _described(setting):
    """The setting as JSON values, with the growth as the name of its method and its fields."""
    growth = setting["growth"]
    fields_by_name = {"method": type(growth).__name__, **growth.values()}
    return _plain(setting | {"growth": fields_by_name})


def _parts(study, scale):
    """The grids of a study, from its table in data/studies.toml."""
    table = STUDIES[_published_name(study)]
    _choice("scale", scale, ("quick", "paper"))
    shared = _shared(table)
    parts = table.get("part", [{}])
    if "tunes" in table:
        # This study tries the learning rates of another one, on trials of its own.
        tuned = STUDIES[table["tunes"]]
        parts = [_shared(tuned) | part for part in tuned["part"]]
        parts = [part | part["tuning"] for part in parts]
    if scale == "quick":
        quick = table["quick"]
        if isinstance(quick, list):  # grids of its own
            parts = quick
        else:  # what it changes in every grid
            parts = [part | quick for part in parts]
    parts = [shared | part for part in parts]
    # What is said under "tuning" is for the study that tries the rates.
    return [{name: part[name] for name in part if name != "tuning"} for part in parts]


def _shared(table):
    """What the parts of a study have in common."""
    return {name: value for name, value in table.items() if name not in _KEYS_OF_A_TABLE}


def _is_tuned(setting):
    rate = setting.get("lr")
    return isinstance(rate, str) and rate == "tuned"


def _tuning_of(study):
    """The name of the study that tries the learning rates of a study."""
    return next(name for name, table in STUDIES.items() if table.get("tunes") == study)


class _Alike(NamedTuple):
    """What a setting and the rows with its rates in the study that tunes it have in common."""

    task: str
    points: int
    noise: float
    control: str
    width: int
    method: str
    arm: str


def _best_rates(finals):
    """The learning rate with the lowest median task loss on the test points, {_Alike: rate}.

    It is looked for at the end of the training. A trial that diverged counts as worst.
    """
    alike = list(_Alike._fields)
    ends = finals.groupby([*alike, "lr"])["epochs"].transform("max")
    finals = finals[finals["epochs"] == ends]
    losses = finals["test_task_loss"].where(~finals["diverged"], np.inf)
    medians = losses.groupby([finals[name] for name in [*alike, "lr"]]).median()
    best = medians.unstack("lr").idxmin(axis=1)
    return {_Alike(*key): rate for key, rate in best.items()}


def _best_rate(setting, rates, tuning):
    """The best rate of a setting, from those that `_best_rates` found in the study `tuning`.

    The trials that tried the rates may have had other data: the quick scale has fewer points, and
    `results` takes any noise. Then the nearest noise counts, and next the nearest number of points.
    """
    growth = setting["growth"]
    learned = task(setting["task"], **setting.get("options", {}))
    wanted = _Alike(
        learned.name,
        learned.points,
        learned.noise,
        setting["control"],
        setting["width"],
        type(growth).__name__,
        growth.arm(),
    )

    def distance(other):
        return abs(other.noise - wanted.noise), abs(math.log(other.points / wanted.points))

    of_other_data = [
        other
        for other in rates
        if other._replace(points=wanted.points, noise=wanted.noise) == wanted
    ]
    takes = (
        f"one whose rates the study {tuning!r} tried for {wanted.arm} networks of width "
        f"{wanted.width} on {wanted.task}"
    )
    _require(of_other_data, "control", wanted.control, takes)
    return rates[min(of_other_data, key=distance)]


def stored(study: str, what: str = "finals") -> pd.DataFrame:
    """Return one stored frame of a published study.

    Parameters
    ----------
    study : str
        One of `STUDIES`.
    what : {"finals", "history", "curves"}
        "finals" has a row for each trial. "history" has a row for each logged epoch of the first
        200 trials. "curves" has the predictions of the first 20 trials on a grid, and confusion
        counts. data/README.md lists the columns and their units.

    Raises
    ------
    ValueError
        If the study or `what` is unknown.
    FileNotFoundError
        If `data/` does not hold the study, or growlib was installed without the repository.
    """
    path = _path(study, what)
    if not path.exists():
        raise FileNotFoundError(f"study {study!r} is not in {path.parent}; `make data` computes it")
    frame = pq.read_table(path).to_pandas()
    if what == "curves":
        return frame
    if what == "finals":
        frame = frame.drop(columns="gate", errors="ignore")
    return with_sums(frame)


def _path(name, what="finals"):
    """The file of `data/` that holds a frame of a published study.

    All frames of a study are read from one folder, that of its finals.
    """
    folder = growlib._data_with(f"{_published_name(name)}.parquet")
    return folder / _file_name(name, what)


def _file_name(name, what):
    return f"{name}{FRAMES[_choice('what', what, FRAMES)]}.parquet"


def about_stored(study: str) -> dict:
    """Return how a stored study was computed: settings, method number, torch, CPU, core-minutes.

    Raises ValueError if the study is unknown, FileNotFoundError if it is not stored.
    """
    return json.loads(pq.read_schema(_path(study)).metadata[b"growlib"])


def is_stored(study: str) -> bool:
    """Return whether `data/` holds a study as this version of growlib would compute it.

    All three files must be there, with the settings and the method number of this version. Raises
    ValueError if the study is unknown, FileNotFoundError if growlib was installed without the
    repository.
    """
    paths = [_path(study, what) for what in FRAMES]
    if not all(path.exists() for path in paths):
        return False
    about = about_stored(study)
    if about.get("method") != growlib.METHOD:
        return False
    return about["settings"] == _settings_for_file(study, published(study))


def _settings_for_file(study, settings):
    """What a file says of the settings of a study: those of the benchmark are too many to list."""
    described = [_described(setting) for setting in settings]
    if "benchmark" in _table(study):
        return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()
    return described


# --------------------------------------------------------------------------- from settings to cells


class _Ensemble(NamedTuple):
    """Networks that can train side by side."""

    shared: dict  # the arguments of `fit` that all of them have in common
    networks: pd.DataFrame  # a row for each network: the columns of `VARIED`, lr, data_seed, trials


def _networks(settings):
    """The networks of the settings, as ensembles, all in the order of the settings.

    Settings share an ensemble if they differ only in the columns of its `networks`. A network that
    several of them have is there once, so that it does not matter how cells are cut.
    """
    shared_of = {}
    rows_of = {}
    for setting in settings:
        shared, varied = _shared_and_varied(setting)
        key = json.dumps([_described(shared), list(varied)], sort_keys=True)
        shared_of.setdefault(key, shared)
        trials = setting.get("trials", _FIT_ARGUMENTS["trials"].default)
        rows_of.setdefault(key, []).append(pd.DataFrame(_every_trial_at(varied, trials)))
    ensembles = []
    for key, rows in rows_of.items():
        networks = pd.concat(rows).drop_duplicates(ignore_index=True)
        ensembles.append(_Ensemble(shared_of[key], networks))
    return ensembles


def _shared_and_varied(setting):
    """What all networks of an ensemble have in common, and the values that may differ."""
    growth = setting["growth"]
    varied = {name: getattr(growth, name) for name in VARIED}
    for name in ("lr", "data_seed"):
        if setting.get(name) is not None:
            varied[name] = setting[name]
    shared = {
        name: value for name, value in setting.items() if name != "trials" and name not in varied
    }
    shared["growth"] = _without_varied(growth)
    return shared, varied


def _cells(settings, seconds=None):
    """The cells of a study, each with about `seconds` of work for one core."""
    cells = []
    for shared, networks in _networks(settings):
        wanted = (seconds or CELL_SECONDS) / _seconds(shared)
        length = _cell_length(wanted, len(networks))
        for first in range(0, len(networks), length):
            cells.append(_cell(shared, networks[first : first + length]))
    return cells


def _cell_length(wanted, networks):
    """How many networks a cell holds, near `wanted`: of many networks whole blocks of `fit`."""
    if wanted > networks:
        return networks
    if wanted < BLOCK:
        return max(1, int(wanted))
    return int(wanted) // BLOCK * BLOCK


def _cell(shared, networks):
    """The arguments of `fit` that train these networks of an ensemble."""
    values = {name: column.tolist() for name, column in networks.items()}
    growth = replace(shared["growth"], **_taken(values, VARIED))
    return shared | values | {"growth": growth}


def _seconds(setting):
    """How long one core trains one network of a setting, within a factor of two or so."""
    if "budget" in setting:
        return setting["budget"] / CORE_FLOPS
    learned = task(setting["task"], **setting.get("options", {}))
    epochs = np.max(setting.get("epochs", _FIT_ARGUMENTS["epochs"].default))
    widths = _wholes("width", setting.get("width", _FIT_ARGUMENTS["width"].default))
    operations = _flops(learned, widths) * sum(widths)
    return epochs * learned.train_points * operations / CORE_FLOPS


# ----------------------------------------------------------------------------- from cells to frames


def _compute(cell, report=None):
    """Train the networks of a cell and return what is kept of them, the three `FRAMES`."""
    learned = task(cell["task"], **cell.get("options", {}))
    kept = _whole("kept", cell.get("kept", KEPT_TRIALS))
    not_of_fit = ("task", "options", "kept", "budget", "shares")
    arguments = {name: value for name, value in cell.items() if name not in not_of_fit}
    if "budget" in cell:
        epochs = benchmark.epochs_within(learned, cell["growth"], cell["width"], cell["budget"])
        arguments |= {"epochs": epochs, "log_every": epochs[-1]}
    run = fit(learned, progress=report, **arguments)
    if "budget" in cell:
        finals = benchmark.at_shares(run.finals, cell["budget"], cell["shares"])
        finals = finals.drop(columns=["flops_done", "accuracy_fresh"])
        no_curves = run.networks.iloc[:0].assign(kind="prediction")
        return {"finals": finals, "history": run.history.iloc[:0], "curves": no_curves}
    curves = [_on_a_grid(run, kept)]
    if learned.classes:
        curves.append(run.confusion().assign(kind="confusion"))
    return {
        "finals": run.finals,
        "history": run.history[run.history["trial"] < kept],
        "curves": pd.concat(curves).assign(epochs=run.finals["epochs"].max()),
    }


def _on_a_grid(run, kept):
    """The predictions of the first trials of a run on a line, or their classes on a plane.

    There are none for a task of more inputs, such as a table of many columns.
    """
    if run.task.inputs > 2:
        return run.networks.iloc[:0].assign(kind="prediction")

    line = pd.Series(np.linspace(-1, 1, 201), name="x")
    if run.task.inputs == 1:
        trials = min(kept, DRAWN_TRIALS)
        grid = line.to_frame()
    else:
        trials = min(kept, MAPPED_TRIALS)
        coarse = line[::2]
        grid = pd.merge(coarse.rename("x2"), coarse, how="cross")[["x", "x2"]]

    drawn = np.flatnonzero(run.networks["trial"] < trials)
    predicted = run.predict(grid.to_numpy())[drawn]  # (networks, points, outputs)
    values = predicted[:, :, 0]
    if run.task.loss == "softmax":
        values = predicted.argmax(-1)
    rows = run.networks.iloc[drawn].merge(grid, how="cross")
    return rows.assign(kind="prediction", prediction=values.ravel())


def _select(cells, kept_rows=None):
    """The frames of a study, joined from those of its cells.

    `kept_rows` are the queries of data/studies.toml, which say what the study keeps. The order of
    the rows does not depend on how the study was cut into cells.
    """
    frames = {}
    for what in FRAMES:
        frame = pd.concat([cell[what] for cell in cells])
        if len(frame):  # one without rows keeps its columns
            frame = frame.dropna(axis=1, how="all")
        # Beside networks of several layers, whose width is text such as "32-32", all widths are.
        if "width" in frame and frame["width"].dtype == object:
            frame["width"] = frame["width"].astype(str)
        frames[what] = frame
    for what, query in (kept_rows or {}).items():
        frames[what] = frames[what].query(query)

    # A size that was trained in float32 is stored to the bit, and the size loss follows from it.
    if (frames["finals"]["dtype"] == "float32").all():
        for what in FRAMES:
            frames[what] = frames[what].drop(columns="size_loss", errors="ignore")

    sorted_by = {
        "finals": ["epochs"],
        "history": ["epoch"],
        "curves": ["kind", "true_class", "predicted_class"],
    }
    for what, names in sorted_by.items():
        columns = [column for column in names if column in frames[what]]
        frames[what] = frames[what].sort_values(columns, kind="stable", ignore_index=True)
    return frames


# -------------------------------------------------------------------------------------------- cache


class _Finished(NamedTuple):
    """A cell that the cache holds."""

    frames: dict  # by the names in `FRAMES`
    core_minutes: float


def _cell_path(cell):
    """The file that holds a finished cell, named by its settings, code and the method number."""
    parts = [growlib.METHOD, FRAMES, _described(cell), *_own_code(cell)]
    text = json.dumps(parts, sort_keys=True)
    key = hashlib.sha256(text.encode()).hexdigest()[:24]
    return growlib.HOME / ".cache" / "cells" / f"{key}.parquet"


def _own_code(cell):
    """What tells rules, tasks and growths of one's own from what they were before an edit.

    A rule and a growth are known by their text, and a task by the first data set that it gives.
    """
    growth = cell["growth"]
    rule = getattr(growth, "rule", None)
    found = [] if rule is None else [inspect.getsource(rules.find(rule))]
    for kind in type(growth).__mro__:
        if kind.__module__.partition(".")[0] not in ("growlib", "growkit", "abc", "builtins"):
            with contextlib.suppress(OSError, TypeError):  # the text is lost, as that of "python -"
                found.append(inspect.getsource(kind))
    if _is_own_task(cell["task"]):
        learned = task(cell["task"], **cell.get("options", {}))
        data = b"".join(values.tobytes() for values in learned.draw(0, [0]))
        settings = ("loss", "outputs", "test_points", "gap", "standardised")
        found += [getattr(learned, name) for name in settings]
        found.append(hashlib.sha256(data).hexdigest())
    return found


def _cached(path):
    """The finished cell at `path`, or None if the cache does not hold it.

    A file that cannot be read, or that is not this cell, is set aside with a warning.
    """
    try:
        return _read_cell(path)
    except FileNotFoundError:
        return None
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        reason = " ".join(str(error).split())
        warnings.warn(
            f"{path.name} in the cache cannot be read ({reason}); "
            "it is set aside and computed again",
            stacklevel=2,
        )
    # Another process may have been faster, or the cache may be read-only.
    with contextlib.suppress(OSError):
        os.replace(path, path.with_suffix(".damaged"))
    return None


def _read_cell(path):
    """The finished cell at `path`; the error says what is wrong with the file."""
    table = pq.read_table(path, page_checksum_verification=True)
    about = json.loads((table.schema.metadata or {}).get(b"growlib", "{}"))
    # The checksums cover the values, not the schema; so its text is stored a second time.
    schema = str(table.schema.remove_metadata())
    if about.get("cell") != path.stem or about.get("schema") != schema:
        raise ValueError("it does not hold what was written for this cell")
    frames = {}
    for what in FRAMES:
        rows = table.filter(pc.field("what") == what)
        frames[what] = rows.drop_columns("what").to_pandas()
    return _Finished(frames, about["core_minutes"])


def _write_parquet(frames, path, about):
    """Write the frames one below the other to a Parquet file, completely or not at all.

    Values are stored in float32 and, where they fit, in int32, but for the columns of `CHOSEN`.
    `about` is stored as JSON in the metadata.
    """
    # `with_sums` derives these two on loading.
    derived = ["train_loss", "test_loss"]
    tables = []
    for frame in frames:
        frame = frame.drop(columns=derived, errors="ignore")
        tables.append(pa.Table.from_pandas(frame, preserve_index=False))
    table = pa.concat_tables(tables, promote_options="default")

    columns = []
    for column in table.schema:
        if column.name not in CHOSEN:
            column = column.with_type(_narrow(table[column.name]))
        columns.append(column)
    metadata = json.dumps(about | {"schema": str(pa.schema(columns))})
    schema = pa.schema(columns, {b"growlib": metadata})
    floats = [column.name for column in columns if column.type == pa.float32()]

    with _replacing(path) as temporary, open(temporary, "wb") as file:
        pq.write_table(
            table.cast(schema),
            file,
            compression="zstd",
            compression_level=9,
            write_page_checksum=True,
            use_byte_stream_split=floats,
            use_dictionary=[name for name in table.column_names if name not in floats],
        )
        file.flush()
        os.fsync(file.fileno())


def _narrow(values):
    """The type of half the width, for values that it can hold."""
    if values.type == pa.float64():
        return pa.float32()
    if values.type == pa.int64():
        bounds = pc.min_max(values)
        limits = np.iinfo(np.int32)
        low, high = bounds["min"].as_py(), bounds["max"].as_py()
        if low is None or (low >= limits.min and high <= limits.max):  # None if there are no rows
            return pa.int32()
    return values.type


# ------------------------------------------------------------------------------------------ workers

_ONE_CELL = threading.Lock()


def _work(cell, path):
    """Compute a cell and write it to `path`; this is what workers run."""
    # A process of a cluster may have several threads, but computes one cell at a time.
    with _ONE_CELL:
        torch.set_num_threads(1)
        # Time on the processor, since a core may be shared, or the machine may have slept.
        began = time.process_time()
        frames = [frame.assign(what=what) for what, frame in _compute(cell).items()]
        minutes = (time.process_time() - began) / 60
        _write_parquet(frames, path, {"cell": path.stem, "core_minutes": minutes})


def _prepare_worker():
    """Leave Ctrl-C to the parent, which ends its workers, and end when the parent is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent():
    parent_process().join()
    os._exit(1)


def _is_own_task(name):
    """Whether a task is not one of growlib and the kit, which every process knows."""
    return TASKS[name] is not KNOWN_TASKS.get(name)


def _needs_script(cell):
    """Whether a worker knows the task or the growth of a cell only if it imports the script."""
    own_growth = type(cell["growth"]).__module__ in ("__main__", "__mp_main__")
    return own_growth or _is_own_task(cell["task"])


def _check_script(cells):
    """Refuse cells that need the script if workers cannot import it."""
    file = getattr(sys.modules["__main__"], "__file__", None)
    own = {f"{cell['task']}, {type(cell['growth']).__name__}" for cell in cells}
    _require(
        file is not None and Path(file).exists(),
        "grid",
        sorted(own),
        "tasks and growths that workers can import: those of growlib, or those of a script or "
        "a module, but not those of a notebook or of standard input",
    )


_HIDING = threading.Lock()


@contextlib.contextmanager
def _script_hidden():
    """Let processes that are spawned in this block start without importing the running script.

    A spawned process imports the `__main__` module of its parent before it does anything else. A
    script without `if __name__ == "__main__":` would then start its study again in every worker,
    and standard input cannot be imported at all. Workers need neither: the function that they run
    is `_work`, and cells hold plain values and a growth. So `__main__` does not say where it came
    from while the workers start. multiprocessing looks at these two attributes only, and imports
    nothing if both are None; see `multiprocessing.spawn.get_preparation_data`.
    """
    script = vars(sys.modules["__main__"])
    with _HIDING:
        origin = {name: script[name] for name in ("__spec__", "__file__") if name in script}
        script.update(dict.fromkeys(origin))
        try:
            yield
        finally:
            script.update(origin)


@contextlib.contextmanager
def _interrupts_held():
    """Hold Ctrl-C back in this block, and in the processes that start in it for good.

    A worker ignores it only once it has imported its modules; a Ctrl-C before that would end it
    with a traceback.
    """
    if not hasattr(signal, "pthread_sigmask"):  # on Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _run_locally(name, lacking, workers):
    """Compute cells, given by their paths, in worker processes of this machine."""
    # A process with this mark is itself a worker that is still importing the script, which has no
    # main guard. It ends; multiprocessing would print a long traceback, while its parent says why.
    if getattr(current_process(), "_inheriting", False):
        raise SystemExit(1)

    need_script = [cell for cell in lacking.values() if _needs_script(cell)]
    if need_script:
        _check_script(need_script)
        # Workers must import the script; so it needs a main guard, as with multiprocessing itself.
        start = contextlib.nullcontext
    else:
        start = _script_hidden

    pool = ProcessPoolExecutor(workers, get_context("spawn"), _prepare_worker)
    with pool:
        try:
            # The pool starts its processes while it is given work.
            with start(), _interrupts_held():
                futures = _submitted(pool, lacking)
            _wait(name, futures)
        except BrokenExecutor:
            reason = "perhaps because memory ran out"
            if need_script:
                reason += (
                    ", or because the script that defines its tasks or growths starts it outside "
                    'of `if __name__ == "__main__":`'
                )
            raise RuntimeError(
                f"a worker of study {name!r} died, {reason}; "
                "what it had finished stays in the cache"
            ) from None
        except BaseException:
            # A pool that is shut down no longer knows its processes, so they are listed before.
            processes = list((getattr(pool, "_processes", None) or {}).values())
            for process in processes:
                process.terminate()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _run_on_cluster(name, lacking, client):
    """Compute cells, given by their paths, on the workers of a dask.distributed client."""
    with client.get_executor(pure=False, retries=2) as pool:
        try:
            _wait(name, _submitted(pool, lacking))
        except BaseException:
            pool.shutdown(wait=False)
            raise


def _submitted(pool, lacking):
    """Submit cells, given by their paths, and return the seconds of work in each by its future."""
    return {pool.submit(_work, cell, path): _core_seconds(cell) for path, cell in lacking.items()}


def _core_seconds(cell):
    """How long one core trains all networks of a cell, within a factor of two or so."""
    return _seconds(cell) * len(cell["trials"])


def _wait(name, futures):
    """Wait until all futures are done, and show how much of the work is done on a progress bar."""
    total = sum(futures.values())
    done = 0.0
    with _progress(name) as report:
        for future in as_completed(futures):
            future.result()
            done += futures[future]
            report(done / total)


@contextlib.contextmanager
def _progress(label):
    """Show a progress bar, and give a function that sets it to a fraction from 0 to 1.

    If GROWLIB_PROGRESS names a file, the state of the bar is written there, each state after "\\r".
    """
    file_name = os.environ.get("GROWLIB_PROGRESS")
    options = {"total": 100, "desc": label, "leave": False, "smoothing": 0}
    with contextlib.ExitStack() as stack:
        if file_name:
            options["file"] = stack.enter_context(open(file_name, "w"))
            bar = tqdm.tqdm(bar_format="{desc} {n:.0f} %, {remaining} left", **options)
        else:
            bar = tqdm.auto.tqdm(bar_format="{desc} {bar} {n:.0f} % {remaining} left", **options)
        stack.enter_context(bar)

        def report(fraction):
            bar.update(100 * fraction - bar.n)

        yield report


def _by_parts(report, lengths):
    """Give a function for each part of a task, which takes the fraction of that part.

    `report` takes the fraction of the whole, whose parts have these lengths.
    """
    total = sum(lengths)
    ends = itertools.accumulate(lengths, initial=0)
    for begin, length in zip(ends, lengths, strict=False):
        yield lambda part, begin=begin, length=length: report((begin + part * length) / total)


# ------------------------------------------------------------------------------------ a whole study


def study(
    name: str, grid: Mapping | Sequence[Mapping] | None = None, workers: int = 2, client=None
) -> pd.DataFrame:
    """Return the finals of a study, and compute what is not stored yet.

    The work is cut into cells of about a minute. Each finished cell is kept in `.cache/cells` of
    the checkout, so a study that was stopped goes on where it was. An installed copy keeps them in
    the user's cache folder instead. GROWLIB_HOME names another place to write to, say where the
    checkout is read-only; stored studies that it lacks are still read from the checkout. The result
    does not depend on the number of workers or on the order in which they finish.

    A cell is found again by its settings. One with a task, a growth or a rule of your own is
    computed anew after an edit: a task is known by the first data set that it gives, a growth and a
    rule by the text of their class or function. What that text calls is not looked at.

    Parameters
    ----------
    name : str
        The label of the progress bar. Without a grid, one of `STUDIES`, and its frames are also
        written to `data/`.
    grid : mapping or sequence of mappings, optional
        Names the `task`, and may have options of the task, the `arm`, `method` and `reading` or a
        `growth`, fields of the growth, and other arguments of `fit`. A list of values is crossed
        with the other lists; a tuple is one value. So is a mapping with `first`, `last` and `each`,
        which stands for evenly spaced whole numbers, or with `powers_of_ten` for 10 to the power of
        evenly spaced numbers. `controls` maps the name of each control experiment to what it
        changes. `kept` is how many trials keep their history and predictions. Networks that are
        listed several times are trained once.
    workers : int
        Processes on this machine, with one thread each.
    client : dask.distributed.Client, optional
        A cluster to use instead. Its workers must share the file system of this process.

    Returns
    -------
    DataFrame
        A row for each setting, trial and final epoch.

    Raises
    ------
    ValueError
        If the name is unknown, the grid holds what `fit` does not take, or the cache cannot be
        written.
    FileNotFoundError
        If there is no grid and growlib was installed without the repository.
    RuntimeError
        If a worker process died. The cells that were finished stay in the cache.
    """
    if grid is not None:
        return of_settings(name, _settings(grid), workers, client)
    if is_stored(name):
        return stored(name)
    settings = published(name)
    finished = _computed(name, _cells(settings), _whole("workers", workers), client)
    frames = _select([cell.frames for cell in finished], STUDIES[name].get("kept_rows"))
    minutes = sum(cell.core_minutes for cell in finished)
    _write_study(name, settings, frames, minutes)
    return with_sums(frames["finals"])


def of_settings(
    name: str, settings: Sequence[Mapping], workers: int = 2, client=None
) -> pd.DataFrame:
    """Return the finals of a study whose settings are given one by one.

    Parameters
    ----------
    name : str
        The label of the progress bar.
    settings : sequence of mappings
        As `published` returns them.
    workers : int
        Processes on this machine, with one thread each.
    client : dask.distributed.Client, optional
        A cluster to use instead, as in `study`, which also keeps its cells in the same way.

    Returns
    -------
    DataFrame
        A row for each setting, trial and final epoch.

    Raises
    ------
    ValueError
        If the settings hold what `fit` does not take, or the cache cannot be written.
    RuntimeError
        If a worker process died. The cells that were finished stay in the cache.
    """
    finished = _computed(name, _cells(settings), _whole("workers", workers), client)
    return with_sums(_select([cell.frames for cell in finished])["finals"])


def _computed(name, cells, workers, client):
    """The finished cells of a study; those that the cache does not hold are computed first."""
    paths = [_cell_path(cell) for cell in cells]
    finished = {path: _cached(path) for path in paths}
    lacking = {
        path: cell for path, cell in zip(paths, cells, strict=True) if finished[path] is None
    }
    if not lacking:
        return list(finished.values())

    _check_cache(paths[0].parent)
    if client is None:
        _run_locally(name, lacking, workers)
    else:
        _run_on_cluster(name, lacking, client)

    for path in lacking:
        finished[path] = _cached(path)
    if None in finished.values():
        folder = paths[0].parent
        if client is None:
            raise RuntimeError(f"a cell of study {name!r} was written to {folder} and is gone")
        takes = f"workers that share this file system, so that their cells show in {folder}"
        _require(False, "client", client, takes)
    return list(finished.values())


def _check_cache(folder):
    """Refuse a cache that cannot be written, before anything is computed."""
    try:
        with _replacing(folder / "probe", "the cache") as probe:
            probe.touch()
    except ValueError as error:
        raise ValueError(f"{error}; GROWLIB_HOME names another place for it") from None


def _write_study(name, settings, frames, core_minutes):
    """Write the frames of a published study to `data/`, with how they were computed."""
    about = {
        "study": name,
        "method": growlib.METHOD,
        "settings": _settings_for_file(name, settings),
        "core_minutes": round(core_minutes, 1),
        "torch": torch.__version__.split("+")[0],
        "cpu": torch.backends.cpu.get_cpu_capability(),
        "numba": _version_of_numba(),
    }
    in_short = {key: about[key] for key in ("study", "method")}
    # The finals are written last, since they say that the study is there.
    for what in reversed(FRAMES):
        described = about if what == "finals" else in_short
        _write_parquet([frames[what]], growlib.HOME / "data" / _file_name(name, what), described)


def _version_of_numba():
    """The version of numba; None without it, where networks train by autograd."""
    with contextlib.suppress(metadata.PackageNotFoundError):
        return metadata.version("numba")
    return None


# -------------------------------------------------------------------------- results for a notebook

# How a figure names a setting that was changed.
SYMBOLS = {"lr": "η", "coupling": "λ", "target_size": "target", "width": "H"}

# What a grid calls them. In a notebook, a target may also be what a network learns.
_IN_A_GRID = {"target_size": "target"}


class _Study(NamedTuple):
    """A published study, perhaps with changes."""

    name: str
    settings: list
    kept_rows: dict  # queries by the names in `FRAMES`: the rows that the study keeps

    def ends(self, setting):
        """The lengths of the training, in epochs, of which the study keeps the finals."""
        ends = pd.DataFrame({"epochs": setting["epochs"]})
        if "finals" in self.kept_rows:
            ends = ends.query(self.kept_rows["finals"])
        return ends["epochs"].tolist()


def results(study: str | Sequence[str], scale: str = "paper", **parameters) -> SimpleNamespace:
    """Return the frames `finals`, `history` and `curves` of a published study.

    The study may be changed: `parameters` are settings of it, under the names that notebooks give
    them. Those that equal the published ones change nothing. With any other, the study is computed
    anew at these settings, and nothing is written to `data/`.

    Parameters
    ----------
    study : str or sequence of str
        One of `STUDIES`, or several, whose frames are joined.
    scale : {"paper", "quick"}
        "paper" reads the published number of trials from `data/`; `make data` computes what is not
        stored there. "quick" trains a small sample in this process, for a tenth of the epochs where
        numba cannot be imported. What is computed for changed parameters at the scale "paper" is
        kept in `.cache/cells`, so that it is read the next time.
    **parameters
        `trials`, `lr`, `width`, `seed`, other arguments of `fit`, fields of the growth, with
        `target_size` for its target, and options of the task. `trials` is published as the largest
        number in the study. `epochs` is the length of its longest training; the others are
        shortened or extended by the same factor.

    Returns
    -------
    SimpleNamespace
        The three frames; `origin`, a line that says where they come from; `note`, what a figure has
        to say about them, such as "n = 200" or "quick, n = 80, λ = 0.3", where n is the number of
        trials of the first setting; and `published`, whether they are the stored results.

    Raises
    ------
    ValueError
        If a name or the scale is unknown, or `fit` does not take a value.
    FileNotFoundError
        If `data/` does not hold the study, or growlib was installed without the repository.
    """
    began = time.perf_counter()
    names = [study] if isinstance(study, str) else list(study)
    changes = _changes(names, parameters)
    read = scale == "paper" and not changes
    if read:
        parts = [{what: stored(name, what) for what in FRAMES} for name in names]
        settings = [setting for name in names for setting in published(name)]
        minutes = sum(about_stored(name)["core_minutes"] for name in names)
        spent = f"{minutes:.0f}" if minutes >= 10 else f"{minutes:.1f}"
        how = f"from data/, made in {spent} core-minutes."
    else:
        studies = _changed_studies(names, scale, changes)
        settings = [setting for each in studies for setting in each.settings]
        parts = [_trained_frames(each, scale) for each in studies]
        how = f"trained here in {time.perf_counter() - began:.0f} s."
    frames = {what: pd.concat([part[what] for part in parts], ignore_index=True) for what in FRAMES}
    trials = [len(_trials(setting["trials"])) for setting in settings]
    return SimpleNamespace(
        **frames,
        origin=f"{_range(trials)} trials an arm, {how}",
        note=_note(names, scale, trials[0], changes),
        published=read,
    )


def _range(counts):
    """The smallest and the largest count as text, such as "30 to 1 024"; or the only one."""
    ends = sorted({min(counts), max(counts)})
    return " to ".join(in_thousands(count) for count in ends)


def _note(names, scale, trials, changes):
    """What a figure says about its results: "n = 200" or "quick, n = 80, λ = 0.3"."""
    notes = [f"n = {in_thousands(trials)}"]
    if _is_shortened(names, scale, changes):
        notes.insert(0, f"{SHARE_WITHOUT_LOOPS} of the epochs")
    if scale == "quick":
        notes.insert(0, "quick")
    for name, value in changes.items():
        if name != "trials":
            notes.append(f"{SYMBOLS.get(name, name)} = {value}")
    return ", ".join(notes)


def _changes(names, parameters):
    """The parameters that differ from the published settings of the studies of these names."""
    if not parameters:
        return {}
    studies = [_Study(name, published(name), _kept_rows(name)) for name in names]
    settings = [setting for study in studies for setting in study.settings]
    changes = {}
    for name, value in parameters.items():
        if name == "epochs":
            known = {_as_json(_longest(studies))}
        elif name == "trials":
            known = {_as_json(max(setting["trials"] for setting in settings))}
        else:
            known = {_value(setting, name) for setting in settings}
        given = value if isinstance(value, list) else [value]
        if known != {_as_json(each) for each in given}:
            changes[name] = value
    return changes


def _value(setting, name):
    """What a setting has under the name of a parameter, as JSON holds it."""
    name = _IN_A_GRID.get(name, name)
    growth = setting["growth"].values()
    options = inspect.signature(TASKS[setting["task"]]).parameters
    if name in growth:
        value = growth[name]
    elif name in setting:
        value = setting[name]
    elif name in _FIT_ARGUMENTS:
        value = _FIT_ARGUMENTS[name].default
    else:
        _choice("the name of a parameter", name, options)
        value = setting.get("options", {}).get(name, options[name].default)
    return _as_json(value)


def _as_json(value):
    """The value as JSON text, a whole number as a float, so that 1 and 1.0 are equal."""
    is_whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    return json.dumps(_plain(float(value) if is_whole else value))


def _kept_rows(name):
    """The queries of data/studies.toml that say which rows a study keeps."""
    return STUDIES[_published_name(name)].get("kept_rows", {})


def _longest(studies):
    """The length of the longest training of these studies, in epochs."""
    return max(max(study.ends(setting)) for study in studies for setting in study.settings)


def _changed_studies(names, scale, changes):
    """The published studies of these names with these changes."""
    in_grids = {_IN_A_GRID.get(name, name): value for name, value in changes.items()}
    longest = in_grids.pop("epochs", None)
    studies = []
    for name in names:
        settings = published(name, scale)
        if in_grids:
            parts = [part | in_grids for part in _parts(name, scale)]
            settings = _tuned(_settings(parts), name)
        studies.append(_Study(name, settings, _kept_rows(name)))
    if _is_shortened(names, scale, changes):
        return [_with_other_lengths(study, SHARE_WITHOUT_LOOPS) for study in studies]
    if longest is None:
        return studies
    factor = _whole("epochs", longest) / _longest(studies)
    return [_with_other_lengths(study, factor) for study in studies]


def _is_shortened(names, scale, changes):
    """Whether studies have fewer epochs than the scale says, since there are no loops to train.

    Those of the benchmark have a budget instead of epochs, and keep it.
    """
    if scale != "quick" or "epochs" in changes or "benchmark" in _table(names[0]):
        return False
    return growlib._growloops() is None


def _with_other_lengths(study, factor):
    """The study with every number of epochs multiplied by a factor."""
    settings = []
    for setting in study.settings:
        lengths = {"epochs": sorted({max(1, round(factor * end)) for end in study.ends(setting)})}
        for name in ("log_every", "prune_at"):
            if setting.get(name):
                scaled = np.maximum(1, np.round(factor * np.array(setting[name]))).astype(int)
                lengths[name] = scaled.tolist()
        settings.append(setting | lengths)
    # The queries about epochs hold for the published lengths, and only what they keep is trained.
    kept_rows = {what: query for what, query in study.kept_rows.items() if "epoch" not in query}
    return _Study(study.name, settings, kept_rows)


def _trained_frames(study, scale):
    """The frames of a published study that is trained anew.

    At the quick scale it is trained in this process, otherwise in workers, and the cache keeps its
    cells.
    """
    if scale == "quick":
        cells = _cells(study.settings, math.inf)
        with _progress(study.name) as report:
            reports = _by_parts(report, [_core_seconds(cell) for cell in cells])
            computed = [_compute(*each) for each in zip(cells, reports, strict=True)]
    else:
        workers = torch.get_num_threads()
        finished = _computed(study.name, _cells(study.settings), workers, None)
        computed = [cell.frames for cell in finished]
    frames = _select(computed, study.kept_rows)
    for what in ("finals", "history"):
        frames[what] = with_sums(frames[what])
    return frames

"""Neural networks that decide their own size while gradient descent trains them.

This module is the method: tasks, the two ways to grow, the network, training, and the record of a
run. It implements Radhakrishnan, Lindner, Miller, Sinha and Ditto, *Growing Neural Networks:
Dynamic Evolution through Gradient Descent* (Proc. R. Soc. A 481, 20250222, 2025; arXiv 2501.18012),
called "the paper" below. Studies, statistics and figures are in the package growkit.

    run = growlib.fit("bessel-j0", growlib.AuxiliaryWeight(start=0, target=5, coupling=0.1),
                      trials=1000, epochs=40_000, lr=1e-3, width=9, seed=0)
    run.finals, run.history, run.predict(x)

Legend. T networks train at once; their axis is always the last one of a tensor. The number of a
trial selects random numbers: data, first weights and so on. Several networks, such as the arms, may
share a trial.

    paper      here            shape         unit, range
    N          size            (T,)          neurons; trained like a weight
    N0, N_inf  start, target   (T,)          neurons, 0 ... width
    lambda     coupling        (T,)          dimensionless, >= 0
    eta        lr              (T,)          dimensionless, > 0
    H          width           int           neurons that exist
    θ          gate            (H, T)        dimensionless, 0 ... 1
    s          size            (T,)          the control value, dimensionless
    p          gate            (T,)          sin²(πs/2), a fraction of the width
    b, u, w    hidden layer    (2+I, H, T)   bias, weight from the size, weights from the I inputs
    c, v       output layer    (1+H, O, T)   biases of the O outputs, weights from the neurons
    E          epochs          int           passes over the training points
    L          loss            (T,)          task loss + size loss
    -          theta           (rows, T)     all that is trained: the size, then layer after layer

The gate θ of the paper is not the array theta.
"""

import contextlib
import functools
import inspect
import io
import itertools
import json
import math
import os
import tempfile
import time
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
import pandas as pd
import torch
from scipy import special

METHOD = 2  # raised by hand whenever stored results would come out differently
ARMS = ("growing", "grown", "static")
LOSSES = ("squared", "logistic", "softmax")
OPTIMIZERS = ("gd", "adam", "momentum")

# Every trial draws its random numbers from independent streams, one for each use. The place of a
# name is part of the seed: "validation" is drawn by nobody and only holds its number.
STREAMS = ("data", "weights", "start", "noise", "validation", "fresh")

# With this many training points or more, each network is a block of its own. By autograd its
# gradient is summed over chunks of about CHUNK activations, but at least CHUNK_POINTS points.
MANY_POINTS = 1000
CHUNK = 80_000
CHUNK_POINTS = 320

# Mini-batches hold the orders of the points of several epochs at once: at most this many numbers.
MOST_PLACES = 1_000_000

FRESH_POINTS = 1000  # unseen points for accuracy_fresh and the confusion matrices (Figure 5)
ONLY_FINAL = ["flops_done", "seconds", "diverged", "accuracy_fresh"]  # columns not in histories
TOO_LARGE = 1e6  # a trial whose loss exceeds this at a logged epoch counts as diverged


# ------------------------------------------------------------------------------------------- checks
# Every public function checks its arguments with these. A wrong one gets a ValueError with one
# sentence: the name of the argument, what it is, and what it takes.


def _require(fine, name, value, takes):
    """Return `value` if `fine` is true; otherwise raise "name is value; it takes ..."."""
    if not fine:
        shown = " ".join(repr(value).split())[:300]
        raise ValueError(f"{name} is {shown}; it takes {takes}")
    return value


def _floats(value):
    """Return `value` as an array of float64, or NaN if it holds anything but numbers."""
    try:
        # adding 0.0 fails for text, which np.asarray(..., dtype=float) would convert
        return np.asarray(np.asarray(value) + 0.0, dtype=float)
    except (TypeError, ValueError):
        return np.array(math.nan)


def _number(name, value, low=0.0, above=False, many=False):
    """Return `value` as float64 if it is finite and at least `low`.

    If `above` is true it must be greater than `low`. With `many` it may also be a sequence, one
    value for each trial.
    """
    array = _floats(value)
    one_or_many = array.ndim == 0 or (many and array.ndim == 1 and array.size > 0)
    within = array > low if above else array >= low
    bound = f"above {low:g}" if above else f"of at least {low:g}"
    takes = f"a finite number {bound}"
    if many:
        takes += ", or one for each trial"
    _require(one_or_many and (np.isfinite(array) & within).all(), name, value, takes)
    return array


def _whole(name, value, low=1):
    """Return `value` as an int if it is a whole number of at least `low`."""
    is_whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    _require(is_whole and value >= low, name, value, f"a whole number of at least {low}")
    return int(value)


def _wholes(name, value, low=1):
    """Return `value`, one whole number or a sequence of them, as a list of int."""
    numbers = np.atleast_1d(np.array(value, dtype=object)).tolist()
    if not numbers:  # an empty sequence is refused as a whole
        numbers = [value]
    return [_whole(name, number, low) for number in numbers]


def _choice(name, value, choices):
    """Return `value` if it is one of the names in `choices`."""
    return _require(
        isinstance(value, str) and value in choices, name, value, f"one of {', '.join(choices)}"
    )


def _frame(name, frame, *columns):
    """Check that `frame` is a DataFrame with rows that has all of `columns`."""
    is_frame = isinstance(frame, pd.DataFrame) and len(frame) > 0
    _require(is_frame, name, type(frame).__name__, "a DataFrame with rows")
    missing = [str(column) for column in columns if column not in frame]
    takes = f"a frame that also has the columns {', '.join(missing)}"
    _require(not missing, name, list(frame), takes)


def _gaps_and_text(_column, _cell):
    """Return what mends a bad cell of any kind."""
    return "pandas' get_dummies makes numbers of text, dropna leaves out rows with gaps"


def _finite(name, table, remedy=_gaps_and_text):
    """Return the columns of a DataFrame as float64, (columns, rows), if all cells are finite.

    `remedy` takes the first column that has a bad cell, and the cell, and returns what mends it.
    """
    columns = []
    for _, column in table.items():
        if column.dtype.kind in "mMc":  # dates, durations and complex numbers are not numbers here
            column = column.astype(str)
        numbers = pd.to_numeric(column, errors="coerce")
        columns.append(numbers.to_numpy(float, na_value=math.nan))
    columns = np.array(columns)
    bad_columns, bad_rows = np.nonzero(~np.isfinite(columns))
    if len(bad_columns) > 0:
        first = table.columns[bad_columns[0]]
        cell = table[first].tolist()[bad_rows[0]]
        shown = " ".join(repr(cell).split())[:100]
        names = [repr(table.columns[k]) for k in np.unique(bad_columns)]
        named = ", ".join(names[:12])
        if len(names) > 12:
            named += f" and {len(names) - 12} more"
        raise ValueError(
            f"{name}: column {first!r}, row {bad_rows[0]} is {shown}; it takes finite numbers "
            f"(bad cells: {len(bad_rows)}, in {named}); {remedy(table[first], cell)}"
        )
    return columns


# -------------------------------------------------------------------------------------------- files


def _home():
    """Return the folder that holds data/, figures/ and the cache."""
    named = os.environ.get("GROWLIB_HOME")
    if named:
        return Path(named)
    checkout = Path(__file__).resolve().parent
    if (checkout / "data" / "studies.toml").exists():
        return checkout
    # An installed copy has no checkout around it, and results do not belong into site-packages.
    import platformdirs

    return platformdirs.user_cache_path("growlib", appauthor=False)


HOME = _home()


def _data_with(file):
    """Return the data/ folder to read a file from: that of HOME, or else that of the checkout.

    So GROWLIB_HOME can name a place to write to, while the checkout around this module is only
    read.
    """
    own, around = (home / "data" for home in (HOME, Path(__file__).resolve().parent))
    return around if (around / file).exists() and not (own / file).exists() else own


@contextlib.contextmanager
def _replacing(path, name="path"):
    """Give a temporary path, and move that file to `path` once the block has ended without error.

    The file is written completely or not at all. `name` is the argument that an error blames.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".") as folder:
            temporary = Path(folder) / path.name
            yield temporary
            os.replace(temporary, path)
    except OSError as error:
        kind, where = ("file", path) if name == "path" else ("folder", path.parent)
        reason = error.strerror or error
        raise ValueError(
            f"{name} is {str(where)!r}; it takes a {kind} that can be written ({reason})"
        ) from None


def _plain(value):
    """Return the value as JSON holds it: arrays, ranges and tuples become lists."""

    def as_list(other):
        return other.tolist() if hasattr(other, "tolist") else list(other)

    return json.loads(json.dumps(value, default=as_list))


# -------------------------------------------------------------------------------------------- tasks


@dataclass(frozen=True)
class Task:
    """Something to learn: inputs x, and numbers or classes y to predict from them.

    x and y run over [-1, 1]. The columns of a table are measured in standard deviations from the
    mean of the training points instead, and classes are 0, 1, 2 ...

    Parameters
    ----------
    name : str
        The name of the task, as in `TASKS`.
    sample : callable
        Takes a random generator and a number of points; returns x, (inputs, points), and y,
        (points,), with the training points first.
    loss : {"squared", "logistic", "softmax"}
        Mean squared error, or cross-entropy of the logistic of one output or of the softmax of
        several outputs.
    points : int
        Number of points in a data set.
    test_points : int
        How many of them are test points; the others are training points.
    inputs, outputs : int
        Number of inputs and of outputs of the network.
    target : callable, optional
        Maps x to y without noise, an array of the same shape, if there is one input.
    gap : float
        Points with |x| below `gap` are never training points; those that are drawn there are test
        points.
    noise : float
        Standard deviation of the error that `sample` adds to y, for the record.
    columns, labels : tuple
        For a table: the names of the inputs, and the classes in their order; see
        `growkit.tables.task_from_frame`.
    standardised : bool
        Whether x, and y in a regression, are measured in standard deviations from the mean of the
        trial's training points, as the columns of a table are.
    options : dict
        The options that `task` was given.

    Raises
    ------
    ValueError
        If there are not both training and test points, if the outputs do not fit the loss or there
        is a gap with several inputs, or if another field is out of range.
    """

    name: str
    sample: Callable[[np.random.Generator, int], tuple[np.ndarray, np.ndarray]]
    loss: str = "squared"
    points: int = 40  # 32 for training and 8 for testing in Figures 2 - 4, 6 and 7
    test_points: int = 8
    inputs: int = 1
    outputs: int = 1
    target: Callable[[np.ndarray], np.ndarray] | None = None
    gap: float = 0.0
    noise: float = 0.0
    columns: tuple = ()
    labels: tuple = ()
    standardised: bool = False
    options: dict = field(default_factory=dict, compare=False)

    def __post_init__(self):
        _whole("points", self.points, 2)
        _whole("test_points", self.test_points)
        _number("gap", self.gap)
        _number("noise", self.noise)
        _whole("inputs", self.inputs)
        _whole("outputs", self.outputs)
        _choice("loss", self.loss, LOSSES)
        takes = "2 or more with the loss softmax, and 1 with the others"
        _require((self.outputs > 1) == (self.loss == "softmax"), "outputs", self.outputs, takes)
        one_input_or_none = self.inputs == 1 or self.gap == 0
        _require(one_input_or_none, "gap", self.gap, "0, since there are several inputs")
        _require(
            self.test_points < self.points,
            "test_points",
            self.test_points,
            f"less than {self.points}",
        )
        _require(isinstance(self.name, str), "name", self.name, "the name of the task")
        takes = "a function of a random generator and a number of points"
        _require(callable(self.sample), "sample", self.sample, takes)
        takes = "a function of x, or None"
        _require(self.target is None or callable(self.target), "target", self.target, takes)

    @property
    def train_points(self) -> int:
        """Number of training points."""
        return self.points - self.test_points

    @property
    def classes(self) -> int:
        """Number of classes; 0 for a regression."""
        if self.loss == "squared":
            return 0
        if self.loss == "logistic":
            return 2
        return self.outputs

    @property
    def large(self) -> bool:
        """Whether the data set is so large that trials train one at a time."""
        return self.train_points >= MANY_POINTS

    @property
    def endless(self) -> bool:
        """Whether fresh points can be drawn; large sets and tables use test points instead."""
        return not (self.large or self.standardised)

    def draw(
        self,
        seed: int,
        trials: int | Sequence[int],
        stream: str = "data",
        points: int | None = None,
        raw: bool = False,
    ):
        """Return the data sets of the trials: x (inputs, points, T) and y (points, T) in float64.

        The training points come first.

        Parameters
        ----------
        seed : int
            Determines, together with the number of a trial, its random numbers.
        trials : int or sequence of int
            How many trials, T, or the numbers of the trials.
        stream : str
            One of `STREAMS`: "data" for training and test points, another one for further points.
        points : int, optional
            How many points; by default those of the task.
        raw : bool
            Whether the columns of a table keep their own units.

        Raises
        ------
        ValueError
            If an argument is out of range, if `sample` returns arrays of other shapes, no more
            points than are for training, values that are not finite, or an unknown class, or if
            more points lie in the gap than can be test points.
        """
        count = self.points if points is None else _whole("points", points)
        trains = points is None  # whether the first points are for training
        sets = [self.sample(random_stream(seed, k, stream), count) for k in _trials(trials)]
        for x, y in sets:
            self._check_shapes(x, y, trains)
        if self.gap:
            sets = [self._gap_last(x, y, trains) for x, y in sets]
        x, y = (np.stack(parts, axis=-1) for parts in zip(*sets, strict=True))
        self._check_values(x, y)
        if raw or not self.standardised:
            return x, y
        mean, sd = self.units(x, y)
        return (x - mean[:-1, None]) / sd[:-1, None], (y - mean[-1]) / sd[-1]

    def _check_shapes(self, x, y, trains):
        """Check what `sample` gave for a trial: x (inputs, points), y (points,), points enough."""
        takes = "one number for each point, (points,)"
        _require(np.ndim(y) == 1, "sample's y", f"of shape {np.shape(y)}", takes)
        takes = f"as many points as y, ({self.inputs}, {len(y)})"
        fits = np.shape(x) == (self.inputs, len(y))
        _require(fits, "sample's x", f"of shape {np.shape(x)}", takes)
        takes = f"more of the {self.points} points than the {self.train_points} for training"
        enough = len(y) > self.train_points or not trains
        _require(enough, "sample's y", f"of shape {np.shape(y)}", takes)

    def _gap_last(self, x, y, trains):
        """Move the points in the gap to the end, where the test points are."""
        inside = np.abs(x[0]) < self.gap
        takes = "a smaller gap, or more test_points, so that no point in the gap has to train"
        enough = np.sum(~inside) >= self.train_points or not trains
        _require(enough, "gap", self.gap, takes)
        order = np.argsort(inside, kind="stable")
        return x[:, order], y[order]

    def _check_values(self, x, y):
        """Check what `sample` gave for all trials: finite numbers and known classes."""
        for name, values in (("sample's x", _floats(x)), ("sample's y", _floats(y))):
            bad = values[~np.isfinite(values)]
            _require(bad.size == 0, name, bad[:9].tolist(), "finite numbers")
        if self.classes:
            known = np.isin(y, np.arange(self.classes)).all()
            _require(known, "sample's y", np.unique(y)[:9].tolist(), f"0 ... {self.classes - 1}")

    def units(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return the mean and standard deviation that standardise x and y, (2, inputs + 1, T).

        They are computed from the training points of x (inputs, points, T) and y (points, T). The
        inputs come first, y comes last. A column that is not standardised, such as the class, has
        mean 0 and standard deviation 1.
        """
        train = np.concatenate([x, y[None]])[:, : self.train_points]  # (inputs + 1, points, T)
        standardised = np.full((self.inputs + 1, 1), self.standardised)
        if self.classes:
            standardised[-1] = False
        varies = np.ptp(train, 1) > 0
        mean = np.where(standardised, train.mean(1), 0)
        sd = np.where(standardised & varies, train.std(1), 1)
        return np.stack([mean, sd])


def random_stream(seed: int, trial: int, stream: str) -> np.random.Generator:
    """Return the random generator of one stream of one trial, independent of the other streams.

    It is not independent of the order of mini-batches; see `Block.orders`.

    Parameters
    ----------
    seed : int
        The seed of the whole ensemble.
    trial : int
        The number of the trial, from 0.
    stream : str
        One of `STREAMS`.

    Raises
    ------
    ValueError
        If the seed or the trial is not a whole number of at least 0, or the stream is unknown.
    """
    seed = _whole("seed", seed, 0)
    trial = _whole("trial", trial, 0)
    return np.random.default_rng([seed, trial, STREAMS.index(_choice("stream", stream, STREAMS))])


def _trials(trials):
    """Return the numbers of the trials: 0 ... n-1 for a count n, otherwise as given."""
    if np.ndim(trials) and len(trials):
        return np.array(_wholes("trials", trials, 0))
    return np.arange(_whole("trials", trials))


def _bessel(x, orders, low, high, least, most):
    """Return a sum of Bessel functions of the first kind on [low, high], scaled to [-1, 1].

    x runs over [-1, 1] as well. `least` and `most` are the extrema of the sum on the interval.
    """
    t = low + (x + 1) / 2 * (high - low)
    return 2 * (sum(special.jv(n, t) for n in orders) - least) / (most - least) - 1


def _polynomial(*conditions):
    """Return the polynomial of least degree that meets all conditions (x, order, value).

    A condition of order 0 gives the value at x; a condition of order 1 gives the slope.
    """
    rows = []
    for x, order, _ in conditions:
        powers = [np.polynomial.Polynomial(power) for power in np.eye(len(conditions))]
        rows.append([power.deriv(order)(x) for power in powers])
    values = [value for _, _, value in conditions]
    return np.polynomial.Polynomial(np.linalg.solve(rows, values))


_BESSEL_J0 = functools.partial(
    _bessel,
    orders=[0],
    low=0.1,
    high=0.2,
    least=0.9900249722395764,
    most=0.9975015620660401,
)
_BESSEL_SUM = functools.partial(
    _bessel,
    orders=[0, 1, 2],
    low=-2 * math.pi,
    high=2 * math.pi,
    least=-0.47662478965894667,
    most=1.3288591072072562,
)
_CUBIC = _polynomial((-1, 0, 1), (1, 0, 1), (1 / 3, 0, -2 / 3), (1 / 3, 1, 0))


def _square_wave(x):
    """Return the class of Figure 5: 1 where sin 2πx is at least 0, otherwise 0."""
    return 1.0 * (np.sin(2 * np.pi * x) >= 0)


def _bumps(x):
    """Return three Gaussian bumps on [-4, 4]; x runs over [-1, 1]."""
    bumps = ((-2, 0.5, 1), (0, 0.8, 1.5), (2, 0.3, 0.8))  # mean, standard deviation, height
    return sum(a * np.exp(-((4 * x - mu) ** 2) / (2 * sd**2)) for mu, sd, a in bumps)


def _few(name, target, loss, points=40, test_points=8, noise=0.0, gap=0.0):
    """Return a task on few uniform random points, drawn anew by each trial.

    `noise` is the standard deviation of a normal error of y.
    """

    def sample(generator, points):
        x = generator.uniform(-1, 1, points)
        error = 0.0
        if noise:
            error = noise * generator.standard_normal(points)
        return x[None], target(x) + error

    return Task(name, sample, loss, points, test_points, target=target, gap=gap, noise=noise)


def _large(name, sample, points, **options):
    """Return a task on a large set, one fifth of which are test points."""
    points = _whole("points", points, 10)
    return Task(name, sample, points=points, test_points=points - int(0.8 * points), **options)


def _square_wave_task(points=50, test_points=10, gap=0.0):
    """Return the task of Figure 5, whose classes take no noise."""
    return _few("square-wave", _square_wave, "logistic", points, test_points, gap=gap)


def _curve(name, f, points, noise, **options):
    """Return a task on many evenly spaced x, with normal noise, scaled to [-1, 1] afterwards.

    `noise` is a standard deviation; with None no random numbers are drawn for it at all.
    """

    def sample(generator, points):
        x = np.linspace(-1, 1, points)
        y = f(x)
        # A noise of 0 draws random numbers, too, so that the order of the points stays the same at
        # every noise of the Gaussian mixture.
        if noise is not None:
            y = y + noise * generator.standard_normal(points)
        return _shuffled(generator, x[None], _unit(y))

    return _large(name, sample, points, noise=noise or 0.0, **options)


def _unit(values):
    """Return the values scaled linearly so that they run over [-1, 1]."""
    return 2 * (values - values.min()) / (values.max() - values.min()) - 1


def _shuffled(generator, x, y):
    """Return x and y in a random order."""
    order = generator.permutation(len(y))
    return x[:, order], y[order]


def _bessel_grid(points=32_768, noise=0.0, gap=0.0):
    """Return the task of the controller's regression: the Bessel sum on a grid."""
    noise = noise or None  # without noise the published task draws no numbers for it
    return _curve("bessel-grid", _BESSEL_SUM, points, noise, target=_BESSEL_SUM, gap=gap)


def _gaussian_mixture(points=32_768, noise=0.1):
    """Return the task of three Gaussian bumps with noise."""
    return _curve("gaussian-mixture", _bumps, points, noise)


def _spirals(points=32_768, classes=5):
    """Return the task of telling the arms of a spiral apart, one arm for each class.

    Along arm k the radius is evenly spaced on [0, 5], and the angle on [4k, 4(k+1)] rad with a
    normal error of standard deviation 0.2.
    """
    classes = _whole("classes", classes, 2)
    points = _whole("points", points, 10 * classes) // classes * classes

    def sample(generator, points):
        each = points // classes
        radius = np.tile(np.linspace(0, 5, each), classes)
        angle = np.concatenate([np.linspace(4 * k, 4 * (k + 1), each) for k in range(classes)])
        angle = angle + 0.2 * generator.standard_normal(each * classes)
        x = np.stack([_unit(radius * np.sin(angle)), _unit(radius * np.cos(angle))])
        return _shuffled(generator, x, np.repeat(np.arange(float(classes)), each))

    return _large("spirals", sample, points, loss="softmax", inputs=2, outputs=classes)


# The paper's regressions on few random points. The polynomials are given by their conditions.
_FEW_POINTS = {
    "bessel-j0": _BESSEL_J0,
    "bessel-sum": _BESSEL_SUM,
    "cubic-1": _CUBIC,
    "cubic-2": -_CUBIC,
    "quadratic-1": _polynomial((-1, 0, 1), (1, 0, -1), (0, 0, -0.2)),
    "quadratic-2": _polynomial((-1, 0, 1), (1, 0, -0.5), (0.5, 1, 0)),
}

TASKS: dict[str, Callable[..., Task]] = {
    name: functools.partial(_few, name, target, "squared") for name, target in _FEW_POINTS.items()
}
TASKS["square-wave"] = _square_wave_task
TASKS["bessel-grid"] = _bessel_grid
TASKS["gaussian-mixture"] = _gaussian_mixture
TASKS["spirals"] = _spirals
_TASKS_OF_THE_PAPER = dict(TASKS)  # without those that others add


def task(name: str | Task, **options) -> Task:
    """Return the task of that name.

    Parameters
    ----------
    name : str or Task or callable
        One of `TASKS`, the targets of the paper. A Task without options is returned itself. A
        function of x on [-1, 1] becomes the task of learning it from few points.
    **options
        What is to differ from the paper: `points` and, for tasks on few points, `test_points`
        (counts); `noise` (standard deviation, regressions); `gap` (half the width of a stretch
        around x = 0 without training points, not for spirals and gaussian-mixture); `classes`
        (count, spirals). A Task takes `points`, `test_points` and, with one input, `gap`.

    Raises
    ------
    ValueError
        If the name or an option is unknown, or the value of an option is out of range.
    """
    _number("noise", options.get("noise", 0))
    if isinstance(name, Task):
        known = ("points", "test_points", "gap")
        for option in options:
            _choice(f"option of task {name.name}", option, known)
        return replace(name, **options, options=name.options | options) if options else name

    label, make = _maker(name)
    known = inspect.signature(make).parameters
    for option in options:
        _choice(f"option of task {label}", option, known)
    return replace(make(**options), options=options)


def _maker(name):
    """Return the name of a task, and the function that makes it, of its name or its target."""
    if callable(name):
        label = getattr(name, "__name__", "target")
        return label, functools.partial(_few, label, name, "squared")
    takes = "a name, a function of x, or a Task, as task_from_frame makes of a table"
    _require(isinstance(name, str), "task", type(name).__name__, takes)
    return name, TASKS[_choice("task", name, TASKS)]


# ------------------------------------------------------------------------------------------- growth

# exp(-νm) adds up to nine tenths of its endless sum over the first ⌈NINE_TENTHS/ν⌉ neurons.
NINE_TENTHS = -math.log(1 - 0.9)

# What may differ between networks that train side by side.
VARIED = ("start", "target", "coupling", "frozen")

# Marks a field that is there for control experiments. `Growth.values` leaves such a field out while
# it has its default, so that adding a field does not change the keys of results that are stored.
_CONTROL = {"metadata": {"control": True}}


def staircase(n: torch.Tensor) -> torch.Tensor:
    """Return the gate θ(n) at n neurons (any shape): sin²(πn/2) from 0 to 1, 0 below, 1 above."""
    return torch.sin(math.pi / 2 * n.clamp(0, 1)) ** 2


def staircase_slope(n: torch.Tensor) -> torch.Tensor:
    """Return dθ/dn at n neurons (1/neuron, any shape); exactly 0 where the gate is shut or open."""
    rise = math.pi / 2 * torch.sin(math.pi * n)
    return torch.where((n <= 0) | (n >= 1), torch.zeros_like(n), rise)


@dataclass(frozen=True, repr=False)
class Growth(ABC):
    """The size of a network: its start and target, what it opens, and what changes it.

    Three arms differ in one value each. A growing network starts small. A grown one starts at the
    target and stays trainable (the paper's comparison). A static one is frozen where it starts,
    which `arms` sets to the target.

    This class is abstract. A subclass adds the fields `mask` and `learns_from`, says which masks
    there are and the largest start and target, and defines `gate` and `slope`. The fields keep what
    they were given; what moves each network in training is a tensor (T,) in `Block.forces`.

    Parameters
    ----------
    start, target : float or array
        Where the size starts and where the size loss pulls it, in the unit of the size; one value,
        or one for each trial.
    coupling : float or array
        Weight λ of the size loss, dimensionless; one value, or one for each trial.
    frozen : bool or array
        Whether the size stays where it starts; one value, or one for each trial.
    speed : float
        Factor on the learning rate of the size. For controls, as are the next three.
    feeds : float
        Factor on the size where it is an input of the neurons; with 0 it is not an input.
    forgets : bool or "neuron"
        Whether the optimizer's moments are reset when the size comes within 1 % of its target. With
        "neuron", those of each neuron are reset when its gate opens.
    opens : {"neurons", "rate", "nothing", "training"}
        What the gates act on: the neurons, the learning rate of all other weights, or nothing. With
        "training" all neurons take part, but the weights of a neuron have no gradient while its
        gate is shut, as a staircase's are before their time.
    rests : bool
        Whether the hidden layers keep their weights, so that the output layer alone is trained.

    Raises
    ------
    ValueError
        If a field is out of range.
    """

    masks: ClassVar[tuple[str, ...]]  # the choices for the field `mask`
    most: ClassVar[float]  # largest start and target
    fan_in_power = 0.0  # first weights are uniform on ±fan_in**fan_in_power
    start_noise = 0.0  # standard deviation of a normal draw that is added to a start of 0

    start: float = 0.0
    target: float = 1.0
    coupling: float = 0.0
    frozen: bool = False
    speed: float = field(default=1.0, **_CONTROL)
    feeds: float = field(default=1.0, **_CONTROL)
    forgets: bool | str = field(default=False, **_CONTROL)
    opens: str = field(default="neurons", **_CONTROL)
    rests: bool = field(default=False, **_CONTROL)

    def __post_init__(self):
        for name in ("start", "target", "coupling", "speed", "feeds", "start_noise"):
            number = _number(name, getattr(self, name), many=name in VARIED)
            if name in ("start", "target"):
                takes = f"at most {self.most:g}, where every neuron takes part"
                _require(number.max() <= self.most, name, getattr(self, name), takes)
        _choice("mask", self.mask, self.masks)
        _choice("learns_from", self.learns_from, ("size", "loss"))
        _choice("opens", self.opens, ("neurons", "rate", "nothing", "training"))
        are_bools = np.asarray(self.frozen).dtype == bool
        _require(are_bools, "frozen", self.frozen, "True or False, or one for each trial")
        known = isinstance(self.forgets, bool | str) and self.forgets in (True, False, "neuron")
        _require(known, "forgets", self.forgets, "True, False or neuron")
        _require(isinstance(self.rests, bool), "rests", self.rests, "True or False")

    @abstractmethod
    def gate(self, size: torch.Tensor, width: int) -> torch.Tensor:
        """Return the gate of every neuron, (width, T), 0 ... 1, for sizes (T,)."""

    @abstractmethod
    def slope(self, size: torch.Tensor, width: int) -> torch.Tensor:
        """Return the derivative of every gate with respect to the size (T,), (width, T)."""

    def values(self) -> dict:
        """Return the fields by name; those for controls only if they differ from their defaults."""
        named = {}
        for each in fields(self):
            value = getattr(self, each.name)
            if not each.metadata or np.any(value != each.default):
                named[each.name] = value
        return named

    def __repr__(self):
        named = ", ".join(f"{name}={value!r}" for name, value in self.values().items())
        return f"{type(self).__name__}({named})"

    def arm(self) -> np.ndarray | str:
        """Return "growing", "grown" or "static", or (T,) of them if the fields hold T values.

        Whatever is frozen is static, wherever it starts.
        """
        at_target = np.asarray(self.start) == np.asarray(self.target)
        arm = np.where(self.frozen, "static", np.where(at_target, "grown", "growing"))
        return str(arm) if arm.ndim == 0 else arm

    def shut(self, size: torch.Tensor, width: int) -> torch.Tensor:
        """Return whether the gate of every neuron is shut, (width, T), at sizes (T,)."""
        return self.gate(size, width) <= 0

    def acts(self, size: torch.Tensor, width: int) -> torch.Tensor:
        """Return what multiplies the neurons, (width, T), at sizes (T,).

        These are the gates, or 1 where the gates act on something else.
        """
        if self.opens == "neurons":
            return self.gate(size, width)
        return torch.ones_like(size).expand(width, -1)

    def events(self, settings: "Settings") -> dict:
        """Return what is done to the networks at certain epochs, {epoch: function}.

        A function takes the `State` of the networks after that epoch and their `Block`, both of
        which stand under "training" below. It returns their new state, with the operations that
        this cost added to `spent`. It must not change the tensors of the old state in place, since
        the weights that are kept may share their memory. It may draw from `Block.generators`. What
        it does to a network must not depend on the others. It is called after the epoch was logged,
        which it is for this purpose if need be. At the last epoch or later it is not called, so
        that the networks stay as they were measured. By default the networks are pruned if the
        `settings` of the fit ask for it.
        """
        found = {}
        for left, epoch in enumerate(reversed(settings.prune_at), start=1):
            found[epoch] = functools.partial(_prune, left=left)
        return found


@dataclass(frozen=True, repr=False)
class AuxiliaryWeight(Growth):
    """Growth by one additional weight N, the size in neurons, which is an input to every neuron.

    N is moved by the gradient of the whole loss. Source: the paper's method 1, with δ = 1.

    The other fields are those of `Growth`, and two more for controls. With `mask` "staircase" the
    neurons open one by one from the first, with "reversed" from the last, with "shared" all at
    once. With "steps" they open from the first, too, but the gate of neuron m jumps from 0 to 1 as
    soon as N is above m - 1. With "exponential" the size is no number of neurons but a rate ν: the
    gate of neuron m is proportional to exp(-νm), and the gates of the first ⌈2.3/ν⌉ neurons, which
    are nine tenths of an endless sum, add up to 1. With `learns_from` "size" the size loss alone
    moves N, so that it does not depend on the task.
    """

    masks = ("staircase", "shared", "reversed", "steps", "exponential")
    most = math.inf

    start: float = 0.0  # N0, neurons; paper: 0 for growing, 5 for grown
    target: float = 5.0  # N_inf, neurons; paper: 5
    coupling: float = 0.1  # λ of the size loss λ (N - N_inf)²; paper: 0.1, in Figure 5: 0.01

    mask: str = field(default="staircase", **_CONTROL)
    learns_from: str = field(default="loss", **_CONTROL)

    def steps(self, size: torch.Tensor, width: int) -> torch.Tensor:
        """Return the argument of every gate, (width, T), in neurons, for sizes N (T,).

        For the neurons m = 1 ... width it is N - m + 1 with the masks "staircase" and "steps",
        N - width + m with "reversed", and N / width with "shared".
        """
        if self.mask == "shared":
            return (size / width).expand(width, -1)
        before = torch.arange(width, device=size.device)[:, None]  # neurons that open earlier
        if self.mask == "reversed":
            before = before.flip(0)
        return size - before

    def gate(self, size: torch.Tensor, width: int) -> torch.Tensor:
        """Return the gate of every neuron, (width, T), 0 ... 1, for sizes (T,) in neurons."""
        if self.mask == "exponential":
            return _exponential(size, width)
        steps = self.steps(size, width)
        if self.mask == "steps":
            return (steps > 0).to(steps.dtype)
        return staircase(steps)

    def slope(self, size: torch.Tensor, width: int) -> torch.Tensor:
        """Return the derivative of every gate by the size (T,), (width, T), 1/neuron."""
        if self.mask == "steps":
            return torch.zeros_like(size).expand(width, -1)
        if self.mask == "exponential":
            gate = _exponential(size, width)
            places = torch.arange(width, device=size.device)[:, None]
            return torch.where(size > 0, gate * ((gate * places).sum(0) - places), 0.0)
        slope = staircase_slope(self.steps(size, width))
        return slope / (width if self.mask == "shared" else 1)


def _exponential(rate, width):
    """Return the gates of the mask "exponential", (width, T), at rates ν (T,)."""
    places = torch.arange(width, device=rate.device)[:, None]
    count = torch.ceil(NINE_TENTHS / rate.clamp(min=NINE_TENTHS / width))
    importance = torch.exp(-rate.clamp(min=0) * places) * (places < count)
    return importance / importance.sum(0)


@dataclass(frozen=True, repr=False)
class ControllerMask(Growth):
    """Growth by the control value s, which is an input and makes the mask on the neurons.

    The mask is made from p = sin²(πs/2). The defaults are those of the paper's released program;
    mask="neuron" and learns_from="loss" give the version that its text describes. Source: the
    paper's method 2.
    """

    masks = ("shared", "neuron")
    most = 1.0
    fan_in_power = -0.5

    start: float = 0.0  # first value of s; paper: 0 for growing, 1 for static
    target: float = 1.0  # dimensionless; 1 opens the whole width
    coupling: float = 0.32  # λ of the size loss λ (s - target)²; paper: 0.32
    mask: str = "shared"  # "shared": p multiplies every neuron; "neuron": the first p·H take part
    learns_from: str = "size"  # s is moved by the "size" loss alone, or by the whole "loss"
    start_noise: float = 1e-5  # standard deviation of a normal draw added to a start of 0

    def gate(self, size: torch.Tensor, width: int) -> torch.Tensor:
        """Return every neuron's gate, (width, T), 0 ... 1, for sizes s (T,), the control values."""
        p = torch.sin(math.pi / 2 * size) ** 2
        if self.mask == "shared":
            return p.expand(width, -1)
        return (width * p - torch.arange(width, device=size.device)[:, None]).clamp(0, 1)

    def slope(self, size: torch.Tensor, width: int) -> torch.Tensor:
        """Return the derivative of every gate by the size s (T,), (width, T).

        It is exactly 0 where the gate of a single neuron is shut or fully open.
        """
        rise = (math.pi / 2 * torch.sin(math.pi * size)).expand(width, -1)
        if self.mask == "shared":
            return rise
        gate = self.gate(size, width)
        return torch.where((gate <= 0) | (gate >= 1), torch.zeros_like(gate), width * rise)


METHODS = {method.__name__: method for method in (AuxiliaryWeight, ControllerMask)}


def arms(method: type[Growth] = AuxiliaryWeight, **choices) -> dict[str, Growth]:
    """Return the three arms of a method by name; neighbouring arms differ in one argument.

    All have the fields in `choices`. Raises ValueError if the method or a choice is unknown, or a
    choice is out of range.
    """
    if not (inspect.isclass(method) and issubclass(method, Growth)):
        method = METHODS[_choice("method", method, METHODS)]
    for choice in choices:
        _choice(f"choice of {method.__name__}", choice, [each.name for each in fields(method)])
    growing = method(**choices)
    grown = replace(growing, start=growing.target)
    static = replace(grown, frozen=True)
    return {"growing": growing, "grown": grown, "static": static}


def together(
    growths: Iterable[Growth] | Mapping[str, Growth], trials: int
) -> tuple[Growth, list[int]]:
    """Return one growth that holds several, and the trial numbers, for `fit` to train them at once.

    Each of the `growths`, such as the `arms`, gets its own `trials` networks. Training them in one
    ensemble gives the same bits as one after the other, and is faster. Raises ValueError if there
    is no growth, or if they differ in more than start, target, coupling and frozen.
    """
    if isinstance(growths, Mapping):
        growths = growths.values()
    elif not isinstance(growths, Iterable):
        growths = [growths]
    growths = list(growths)
    all_grow = len(growths) > 0 and all(isinstance(growth, Growth) for growth in growths)
    _require(all_grow, "growths", growths, "one or more of them, such as arms() makes")

    kinds = []  # what the growths are apart from the values that may vary
    for growth in growths:
        kind = _without_varied(growth)
        if kind not in kinds:
            kinds.append(kind)
    takes = "growths that differ in start, target, coupling and frozen only"
    _require(len(kinds) == 1, "growths", kinds, takes)

    parts = []
    for growth in growths:
        parts.append(_every_trial_at({name: getattr(growth, name) for name in VARIED}, trials))
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    numbers = joined.pop("trials").tolist()
    return replace(kinds[0], **joined), numbers


def _without_varied(growth):
    """Return the growth with the fields in `VARIED` at their defaults: what cannot vary."""
    defaults = {each.name: each.default for each in fields(growth) if each.name in VARIED}
    return replace(growth, **defaults)


def _every_trial_at(values, trials):
    """Return one entry for each network, every trial at each of the values, as named columns.

    A name may have one value, or several that go along with those of the other names. The numbers
    of the trials are in the column "trials".
    """
    columns = [np.reshape(value, (-1, 1)) for value in values.values()]  # (values, 1) or (1, 1)
    columns = np.broadcast_arrays(*columns, _trials(trials))  # (values, trials)
    names = [*values, "trials"]
    return {name: column.ravel() for name, column in zip(names, columns, strict=True)}


# ------------------------------------------------------------------------------------------ network


def layer_shapes(
    width: int | Sequence[int], inputs: int = 1, outputs: int = 1
) -> list[tuple[int, int]]:
    """Return the shape of every layer, (1 + fan_in, neurons).

    The first row of a layer holds the biases. The fan-in of the first layer is 1 + inputs: the
    weights from the size come first, then those from the inputs.

    Parameters
    ----------
    width : int or sequence of int
        Neurons in the hidden layer, or in each hidden layer.
    inputs, outputs : int
        Number of inputs and of outputs of the network.

    Raises
    ------
    ValueError
        If one of them is not a whole number of at least 1.
    """
    widths = _wholes("width", width)
    neurons = [*widths, _whole("outputs", outputs)]
    fan_ins = [1 + _whole("inputs", inputs), *widths]  # the size is an input, too
    return [(1 + fan_in, count) for fan_in, count in zip(fan_ins, neurons, strict=True)]


def unpack(
    theta: torch.Tensor, shapes: Sequence[tuple[int, int]]
) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Return the size (T,) and the layers (1 + fan_in, neurons, T) held in theta (rows, T).

    They are views, which share its memory. The `shapes` of the layers are those that `layer_shapes`
    gives.
    """
    blocks = theta[1:].split([rows * neurons for rows, neurons in shapes])
    layers = [block.reshape(*shape, -1) for block, shape in zip(blocks, shapes, strict=True)]
    return theta[0], layers


def pack(size: torch.Tensor, layers: Iterable[torch.Tensor]) -> torch.Tensor:
    """Return theta (rows, T), the size (T,) first and then the layers: the inverse of `unpack`."""
    return torch.cat([size[None], *(layer.reshape(-1, size.shape[-1]) for layer in layers)])


def initial_weights(
    seed: int,
    trials: int | Sequence[int],
    width: int | Sequence[int],
    growth: Growth,
    inputs: int = 1,
    outputs: int = 1,
) -> torch.Tensor:
    """Return the first theta (rows, T) in float64.

    The size is where it starts. All other weights are uniform on ±fan_in**growth.fan_in_power.

    With one hidden layer, the output biases of a trial are drawn first, and then the weights b, u,
    w, v of one neuron after the other. So a narrower network is the first part of a wider one, and
    the arms of a trial begin alike. Several hidden layers are drawn one after the other.

    Parameters
    ----------
    seed : int
        Determines, together with the number of a trial, its random numbers.
    trials : int or sequence of int
        How many trials, T, or the numbers of the trials.
    width : int or sequence of int
        Neurons in the hidden layer, or in each hidden layer.
    growth : AuxiliaryWeight or ControllerMask
        Says where the size starts.
    inputs, outputs : int
        Number of inputs and of outputs of the network.
    """
    trials = _trials(trials)
    shapes = layer_shapes(width, inputs, outputs)
    count = sum(rows * neurons for rows, neurons in shapes)
    drawn = [random_stream(seed, k, "weights").uniform(-1, 1, count) for k in trials]
    drawn = torch.tensor(np.stack(drawn, axis=-1))  # (count, T)

    if len(shapes) == 2:
        neurons = drawn[outputs:].reshape(shapes[0][1], -1, len(trials))  # (H, 2 + I + O, T)
        into, out = neurons[:, : 2 + inputs], neurons[:, 2 + inputs :]
        layers = [into.transpose(0, 1), torch.cat([drawn[None, :outputs], out])]
    else:
        no_size = drawn[:1]  # only holds its place in theta
        _, layers = unpack(torch.cat([no_size, drawn]), shapes)
    layers = [layer * (len(layer) - 1) ** growth.fan_in_power for layer in layers]

    noise = []
    for k in trials:
        noise.append(growth.start_noise * random_stream(seed, k, "start").standard_normal())
    noise = torch.tensor(noise, dtype=torch.float64)
    start = torch.as_tensor(growth.start, dtype=torch.float64, device="cpu")
    return pack(start + (start == 0) * noise, layers)


def outputs(
    theta: torch.Tensor,
    x: torch.Tensor,
    growth: Growth,
    width: int | Sequence[int],
    count: int = 1,
    gates: torch.Tensor | None = None,
) -> torch.Tensor:
    """Return ŷ (count, points, T) of T networks: the definition that all else is tested against.

    ŷ(x) = c + Σ_m v_m gate_m(N) tanh(b_m + u_m N + w_m x), for m = 1 ... width. Every hidden layer
    has gates of its own; the size, times `growth.feeds`, is an input of the first one.

    Parameters
    ----------
    theta : Tensor
        The networks, (rows, T); see `unpack`.
    x : Tensor
        Their inputs, (inputs, points, T), dimensionless.
    growth : AuxiliaryWeight or ControllerMask
        Gives the gates.
    width : int or sequence of int
        Neurons in the hidden layer, or in each hidden layer.
    count : int
        Number of outputs.
    gates : Tensor, optional
        The gates of all hidden neurons, (neurons, T); by default `growth.acts` of the size, which
        is 1 for every neuron where the gates act on something else.
    """
    size, layers = unpack(theta, layer_shapes(width, len(x), count))
    *hidden_layers, output_layer = layers
    widths = [layer.shape[1] for layer in hidden_layers]
    if gates is None:
        gates = torch.cat([growth.acts(size, neurons) for neurons in widths])

    signal = torch.cat([growth.feeds * size.expand(1, *x.shape[1:]), x])  # (1 + I, P, T)
    for layer, gate in zip(hidden_layers, gates.split(widths), strict=True):
        z = layer[0, :, None] + torch.einsum("iht,ipt->hpt", layer[1:], signal)
        signal = gate[:, None] * torch.tanh(z)  # (H, P, T)
    return output_layer[0, :, None] + torch.einsum("hot,hpt->opt", output_layer[1:], signal)


def task_loss(y_hat: torch.Tensor, y: torch.Tensor, loss: str) -> torch.Tensor:
    """Return the mean over the points of the squared error or the cross-entropy (nats), (T,).

    Parameters
    ----------
    y_hat : Tensor
        The outputs of the networks, (outputs, points, T).
    y : Tensor
        The numbers or classes to predict, (points, T).
    loss : {"squared", "logistic", "softmax"}
        Which loss; see `Task`.

    Raises
    ------
    ValueError
        If the loss is unknown.
    """
    _choice("loss", loss, LOSSES)
    if loss == "squared":
        return ((y_hat[0] - y) ** 2).mean(-2)
    if loss == "logistic":
        return (torch.nn.functional.softplus(y_hat[0]) - y * y_hat[0]).mean(-2)
    of_true_class = y_hat.gather(0, y[None].long())[0]
    return (torch.logsumexp(y_hat, 0) - of_true_class).mean(-2)


def size_loss(size: torch.Tensor, target: torch.Tensor, coupling: torch.Tensor) -> torch.Tensor:
    """Return λ (N - N_inf)², or λ (s - target)² for a control value, (T,), dimensionless.

    Parameters
    ----------
    size, target : Tensor
        N and N_inf in neurons, or s and its target, which is 1 in the paper, (T,).
    coupling : Tensor
        The size coupling λ, (T,).
    """
    return coupling * (size - target) ** 2


# ---------------------------------------------------------------------------------------------- run


@dataclass(repr=False)
class Run:
    """Trained networks and their record, as `fit` returns them.

    Attributes
    ----------
    task : Task
        What was learned.
    growth : Growth
        How the networks grew.
    settings : dict
        The arguments of `fit` that the results depend on.
    finals : DataFrame
        One row for each final epoch and network, in this order: settings, losses, size (neurons, or
        the control value), accuracy, operations, and seconds of training for each network.
    history : DataFrame
        One row for each logged epoch and network. The column `gate` is added, the mean over the
        neurons; the columns in `ONLY_FINAL` are left out, and `epochs` is called `epoch`.
    weights : ndarray
        The trained theta, (rows, T); see `unpack`.
    snapshots : dict of int to ndarray
        theta at every logged epoch, if `fit` was called with keep_weights=True.
    """

    task: Task
    growth: Growth
    settings: dict
    finals: pd.DataFrame
    history: pd.DataFrame
    weights: np.ndarray
    snapshots: dict[int, np.ndarray] = field(default_factory=dict)

    def __repr__(self):
        count = self.weights.shape[1]
        kinds = " and ".join(self.networks["arm"].unique())
        epochs = self.settings["epochs"]
        what = f"Run of {self.task.name}: {count} {kinds} networks, {epochs} epochs"
        return f"{what}; see .finals and .history"

    @property
    def networks(self) -> pd.DataFrame:
        """One row of settings for each network, in the order of `weights` and `predict`."""
        names = [
            "task",
            "method",
            "mask",
            "learns_from",
            "arm",
            "control",
            "noise",
            "classes",
            "dtype",
            "trial",
        ]
        return self.finals[names].tail(self.weights.shape[1])

    def theta(self, epoch: int | None = None) -> torch.Tensor:
        """Return theta (rows, T) at the end of the training, or at a logged epoch.

        Raises ValueError if the weights at that epoch were not kept.
        """
        if epoch is None:
            return torch.tensor(self.weights)
        known = ", ".join(map(str, self.snapshots))
        known = known or "none, since it was not fitted with keep_weights=True"
        takes = f"an epoch whose weights were kept: {known}"
        _require(epoch in self.snapshots, "epoch", epoch, takes)
        return torch.tensor(self.snapshots[epoch])

    def predict(self, x, epoch: int | None = None) -> np.ndarray:
        """Return the predictions (networks, points, outputs) at x (points, inputs).

        x is dimensionless; for a table it is a frame or an array of its columns in their own units.
        With one input x may have the shape (points,). The predictions are ŷ for a regression, and
        for a classification the probability of class 1, or of every class if there are more than
        two. `epoch` is as in `theta`. Raises ValueError if x does not fit the task or is not
        finite.
        """
        theta = self.theta(epoch)
        mean, sd = self._units()
        points = torch.tensor(self._checked_points(x).T)[:, :, None]  # (I, P, 1)
        points = ((points - mean[:-1, None]) / sd[:-1, None]).to(theta.dtype)
        points = points.expand(-1, -1, theta.shape[1])

        y_hat = outputs(theta, points, self.growth, self.settings["width"], self.task.outputs)
        if self.task.loss == "logistic":
            y_hat = torch.sigmoid(y_hat)
        elif self.task.loss == "softmax":
            y_hat = torch.softmax(y_hat, 0)
        return (y_hat * sd[-1] + mean[-1]).to(theta.dtype).permute(2, 1, 0).numpy()

    def _checked_points(self, x):
        """Return the points at which to predict, in float64, (points, inputs)."""
        inputs = self.task.inputs
        if isinstance(x, pd.DataFrame) and self.task.columns:
            _frame("x", x, *self.task.columns)
            x = _finite("x", x[list(self.task.columns)]).T
        points = _floats(x)
        if inputs == 1 and points.ndim < 2:
            points = np.atleast_1d(points)[:, None]
        points = np.atleast_2d(points)
        fits = points.shape[1:] == (inputs,) and points.size and np.isfinite(points).all()
        takes = f"finite numbers, (points, {inputs})"
        if inputs == 1:
            takes += " or (points,)"
        _require(fits, "x", x, takes)
        return points

    def dense(self, network: int = 0) -> torch.nn.Sequential:
        """Return one network as plain torch layers of its active neurons, independent of growlib.

        The layers map x (points, inputs) to ŷ (points, outputs). x is what `predict` takes; for a
        table these are its `task.columns` in their order. ŷ is that of `predict` up to rounding,
        for a classification before the logistic or softmax function. The gates are absorbed into
        the weights. The size and the units of a table are absorbed into weights and biases, which
        are float64 for a table.

        Parameters
        ----------
        network : int
            The place of the network in `weights`; this is the trial if the run has one arm and
            trials 0 ... n-1.

        Raises
        ------
        ValueError
            If there is no network at this place.
        """
        count = self.weights.shape[1]
        _require(_whole("network", network, 0) < count, "network", network, f"less than {count}")
        theta = self.theta()[:, [network]]
        dtype = torch.float64 if self.task.standardised else theta.dtype
        shapes = layer_shapes(self.settings["width"], self.task.inputs, self.task.outputs)
        size, layers = unpack(theta.double(), shapes)
        biases = [layer[0, :, 0] for layer in layers]
        weights = [layer[1:, :, 0] for layer in layers]

        # The first layer takes x in its own units and no size; the last gives ŷ in its own units.
        mean, sd = self._units()[..., network]
        u, w = weights[0][0], weights[0][1:]
        weights[0] = w / sd[:-1, None]
        biases[0] = biases[0] + self.growth.feeds * size * u - mean[:-1] @ weights[0]
        biases[-1] = biases[-1] * sd[-1] + mean[-1]
        weights[-1] = weights[-1] * sd[-1]

        gates = [self.growth.acts(size, len(bias))[:, 0] for bias in biases[:-1]]
        gates_before = [torch.ones(self.task.inputs), *gates]
        gates_after = [*gates, torch.ones(self.task.outputs)]
        parts = []
        for bias, weight, before, after in zip(
            biases, weights, gates_before, gates_after, strict=True
        ):
            weight = (weight * before[:, None])[before > 0][:, after > 0]
            parts += [_linear(weight.T, bias[after > 0], dtype), torch.nn.Tanh()]
        return torch.nn.Sequential(*parts[:-1])  # no tanh behind the outputs

    def _units(self):
        """Return each network's mean and standard deviation of every column, target last.

        The shape is (2, inputs + 1, T).
        """
        data_trials = np.asarray(self.settings["data_seed"])
        if not self.task.standardised:  # the result is 0 and 1 for every data set
            data_trials = np.zeros_like(data_trials)
        different, places = np.unique(data_trials, return_inverse=True)
        found = []
        for trial in different:
            x, y = self.task.draw(self.settings["seed"], [trial], raw=True)
            found.append(self.task.units(x, y))
        places = np.broadcast_to(places, self.weights.shape[1])
        return torch.tensor(np.concatenate(found, -1)[..., places])

    def confusion(self) -> pd.DataFrame:
        """Return how many points of each true class get each predicted class.

        There are classes² rows for each network. The points are 1000 fresh ones, or the test points
        of a large set or a table. Raises ValueError for a regression.
        """
        takes = "a classification, so that there is a confusion matrix"
        _require(self.task.classes, "task", self.task.name, takes)
        classes = self.task.classes
        counts = []
        width, seed = self.settings["width"], self.settings["seed"]
        for k, theta in enumerate(self.theta().split(1, dim=1)):
            data_seeds = _data_seeds(self.settings["data_seed"], [k])
            y_hat, y = _fresh(theta, self.growth, self.task, width, seed, data_seeds)
            pairs = (y.long() * classes + _classes(y_hat))[:, 0]
            counts.append(np.bincount(pairs, minlength=classes**2))
        both = itertools.product(range(classes), repeat=2)
        rows = pd.DataFrame(both, columns=["true_class", "predicted_class"])
        return self.networks.merge(rows, how="cross").assign(count=np.ravel(counts))

    def recall(self) -> pd.DataFrame:
        """Return how well each class is found, which `accuracy` does not tell if one is common.

        There is one row for each class of each network: `points`, how many of the points of
        `confusion` are of that class; `recall`, the fraction of them that is predicted as it;
        `accuracy`, over all points; `balanced_accuracy`, the mean recall of the classes that have
        points; and `commonest`, the accuracy of always answering the commonest class. A class
        without points has the recall NaN. Raises ValueError for a regression.
        """
        counts = self.confusion()["count"].to_numpy()
        classes = self.task.classes
        counts = counts.reshape(-1, classes, classes)  # (T, true class, predicted class)
        points = counts.sum(2)
        right = counts.diagonal(axis1=1, axis2=2)
        recall = np.where(points > 0, right / np.maximum(points, 1), np.nan)
        of_network = {
            "accuracy": right.sum(1) / points.sum(1),
            "balanced_accuracy": np.nanmean(recall, axis=1),
            "commonest": points.max(1) / points.sum(1),
        }
        labels = self.task.labels or range(classes)
        rows = pd.DataFrame({"true_class": range(classes), "label": labels})
        rows = self.networks.assign(**of_network).merge(rows, how="cross")
        return rows.assign(points=np.ravel(points), recall=np.ravel(recall))

    def save(self, path: str | os.PathLike) -> None:
        """Write the run to the .npz file `path`, without pickle; `load` reads it.

        Raises ValueError if the name does not end in .npz or the file cannot be written.
        """
        _require(str(path).endswith(".npz"), "path", path, "a file name that ends in .npz")
        about = {
            "task": [self.task.name, self.task.options],
            "growth": [type(self.growth).__name__, asdict(self.growth)],
            "settings": self.settings,
        }
        with _replacing(path) as temporary, open(temporary, "wb") as file:
            np.savez_compressed(
                file,
                weights=self.weights,
                about=np.array(json.dumps(_plain(about))),
                finals=np.frombuffer(self.finals.to_parquet(), dtype=np.uint8),
                history=np.frombuffer(self.history.to_parquet(), dtype=np.uint8),
                epochs=np.array(list(self.snapshots), dtype=np.int64),
                snapshots=np.array(list(self.snapshots.values())),
            )


def _linear(weight, bias, dtype):
    """Return a torch layer with this weight (outputs, inputs) and bias (outputs,)."""
    with warnings.catch_warnings(action="ignore"):  # torch warns of a layer without neurons
        layer = torch.nn.utils.skip_init(
            torch.nn.Linear, weight.shape[1], weight.shape[0], dtype=dtype
        )
    layer.load_state_dict({"weight": weight, "bias": bias})
    return layer


def load(path: str | os.PathLike, what: str | Task | Callable | None = None) -> Run:
    """Return the run that `Run.save` wrote to `path`.

    If its task was a function or a table of your own, the file does not hold it: pass that function
    or Task again as `what`. A function, or a name, gets the options that are stored. A growth of
    your own must stand in `METHODS`. Raises ValueError if `what` is missing or is another task, if
    the growth is unknown, or if the file cannot be read.
    """
    try:
        file = dict(np.load(path, allow_pickle=False))
        about = json.loads(str(file["about"]))
    except Exception as error:  # of any class, depending on what is in the file
        reason = " ".join(str(error).split())
        raise ValueError(
            f"path is {str(path)!r}; it takes a file that Run.save wrote ({reason})"
        ) from None
    finals, history = (
        pd.read_parquet(io.BytesIO(file[frame].tobytes())) for frame in ("finals", "history")
    )
    learned = _task_as_saved(*about["task"], finals, what)
    method, values = about["growth"]
    takes = f"one of {', '.join(METHODS)}; import the module that adds it to growlib.METHODS"
    growth = METHODS[_require(method in METHODS, "growth", method, takes)](**values)
    snapshots = dict(zip(file["epochs"].tolist(), file["snapshots"], strict=True))
    return Run(learned, growth, about["settings"], finals, history, file["weights"], snapshots)


def _task_as_saved(name, options, finals, what):
    """Return the task of a saved run: `what`, or what has that name, with the stored options."""
    takes = f"the task {name!r}, which this file does not hold"
    _require(what is not None or name in TASKS, "what", what, takes)
    sizes = {size: finals[size].iloc[0].item() for size in ("points", "test_points")}
    if isinstance(what, Task):
        fits = what.name == name and sizes == {size: getattr(what, size) for size in sizes}
        takes += f" ({sizes['points']} points, {sizes['test_points']} of them for testing)"
        return _require(fits, "what", what, takes)

    of_name = name if what is None else what
    _, make = _maker(of_name)
    known = inspect.signature(make).parameters
    learned = task(of_name, **{option: options[option] for option in options if option in known})
    _require(learned.name == name, "what", what, takes)
    # Those that the maker does not take, or took otherwise, were given with the Task that it made.
    return replace(learned, **sizes, gap=options.get("gap", learned.gap), options=options)


# ----------------------------------------------------------------------------------------- training
# `fit` trains networks in blocks. A block goes from one logged epoch to the next in one of two
# ways, which agree to rounding. By autograd: along the gradient of the definition above, for any
# depth and device. By loops: the same for one hidden layer on the CPU, in growloops.py.
#
#     fit → _in_threads → for each block: _block, _train → for each logged epoch: advance, _measure
#         → _history, _about


@dataclass(frozen=True)
class Settings:
    """The checked arguments of `fit`, which says what they mean."""

    trials: np.ndarray  # (T,), the numbers of the trials
    epochs: list[int]  # those with rows in the finals, in increasing order
    lr: np.ndarray  # () or (T,)
    widths: list[int]  # neurons of every hidden layer
    seed: int  # of all trials
    optimizer: str  # one of OPTIMIZERS
    schedule: str  # "constant" or "cosine"
    counts: str  # what Adam counts steps for, "network" or "neuron"
    batch: int | None  # points in a mini-batch
    dtype: str  # "float32" or "float64"
    log_every: int  # epochs
    data_seed: np.ndarray  # (1,) or (T,), the trials whose data sets are used
    device: str  # of torch
    keep_weights: bool  # at every logged epoch
    output_scale: float  # factor on the first weights of the output layer
    newborn_scale: float  # further factor, for neurons that are shut at the start
    prune_at: list[int]  # epochs in increasing order, or none
    control: str  # name of the control experiment

    def logged_epochs(self) -> list[int]:
        """Return the epochs at which the networks are logged, in increasing order."""
        regular = range(0, self.epochs[-1], self.log_every)
        return sorted({0, *regular, *self.epochs})

    def scales(self, first, last) -> np.ndarray:
        """Return the factors on all learning rates in the epochs from first to last, (epochs,).

        If the rates are constant there is one for all epochs.
        """
        if self.schedule == "constant":
            return np.ones(1)
        done = np.arange(first, last) / self.epochs[-1]
        return (1 + np.cos(math.pi * done)) / 2

    def of_trials(self, value, places) -> np.ndarray:
        """Return a value, () or (T,), for the networks at these places among all trials, (places,).

        The result is in float64.
        """
        return np.broadcast_to(np.asarray(value, dtype=float), self.trials.shape)[places]


class State(NamedTuple):
    """Networks in training: theta, what the optimizer remembers, and what was counted."""

    theta: torch.Tensor  # (rows, T) in float64, so that steps below the rounding of float32 count
    mean: torch.Tensor  # (rows, T), Adam's mean of the gradients, or the sum that is the momentum
    square: torch.Tensor  # (rows, T), Adam's mean of their squares
    decay: torch.Tensor  # (2, T), 0.9**t and 0.999**t after t steps of Adam
    own: torch.Tensor  # (2, neurons, T), the same for the steps of each neuron, if they are counted
    used: torch.Tensor  # (T,), neurons with a gate above 0.001 after each step, summed over steps
    spent: torch.Tensor  # (T,), operations of what events did
    computed: int  # neurons that are computed after each step, summed over steps


class Forces(NamedTuple):
    """What moves the networks of a block, (T,) each, in float64."""

    lr: torch.Tensor
    target: torch.Tensor
    coupling: torch.Tensor
    moves: torch.Tensor  # factor on the learning rate of the size; 0 if it is frozen
    heeds: torch.Tensor  # 1 if the task loss moves the size, 0 if the size loss alone does


@dataclass(frozen=True)
class Block:
    """Networks that train side by side, with their data: what the functions of training share.

    The loops take full vectors of networks; so the last network may be repeated, and only the first
    `count` networks are recorded.
    """

    task: Task  # what they learn
    growth: Growth  # how they grow
    settings: Settings  # how they train
    places: np.ndarray  # (T,), their places among all trials
    count: int  # networks that are recorded
    x: torch.Tensor  # (I, P, T), training points first, in the precision of the training
    y: torch.Tensor  # (P, T)
    forces: Forces  # what moves each network
    stop: np.ndarray  # (1,), not 0 if the training shall end

    @property
    def dtype(self) -> torch.dtype:
        """The precision of the training."""
        return getattr(torch, self.settings.dtype)

    @functools.cached_property
    def shapes(self) -> list[tuple[int, int]]:
        """The shapes of the layers."""
        return layer_shapes(self.settings.widths, self.task.inputs, self.task.outputs)

    def orders(self, first, last) -> np.ndarray:
        """Return the order of the training points in each epoch from first to last, (epochs, P).

        It is the same for all networks. Without mini-batches there is one row for all epochs.
        """
        points = self.task.train_points
        if self.settings.batch is None:
            return np.arange(points)[None]
        rows = []
        for epoch in range(first, last):
            # NumPy fills a seed with zeros: this is the stream "data" of the trial of this number.
            # A seed of its own would change the results that are stored with mini-batches.
            generator = np.random.default_rng([self.settings.seed, epoch])
            rows.append(generator.permutation(points))
        return np.array(rows, dtype=np.int64).reshape(-1, points)

    def generators(self, epoch) -> list[np.random.Generator]:
        """Return a random generator for each network, for what an event draws at this epoch."""
        use = len(STREAMS)  # apart from the streams of the trial
        trials = self.settings.trials[self.places]
        return [np.random.default_rng([self.settings.seed, k, use, epoch]) for k in trials]


def _block(task, growth, settings, where, multiple, stop):
    """Return the block of the networks at the places `where`, filled up to a multiple."""
    filling = np.repeat(where[-1:], -len(where) % multiple)
    places = np.concatenate([where, filling])

    def values(value):
        return torch.tensor(settings.of_trials(value, places), device=settings.device)

    forces = Forces(
        lr=values(settings.lr),
        target=values(growth.target),
        coupling=values(growth.coupling),
        moves=values(growth.speed * (1.0 - np.asarray(growth.frozen))),
        heeds=values(growth.learns_from == "loss"),
    )
    x, y = task.draw(settings.seed, _data_seeds(settings.data_seed, places))
    precision = {"dtype": getattr(torch, settings.dtype), "device": settings.device}
    x = torch.tensor(x, **precision)
    y = torch.tensor(y, **precision)
    return Block(task, growth, settings, places, len(where), x, y, forces, stop)


def _first_state(block):
    """Return the state of a block before the training."""
    settings = block.settings
    start = settings.of_trials(block.growth.start, block.places)
    theta = initial_weights(
        settings.seed,
        settings.trials[block.places],
        settings.widths,
        replace(block.growth, start=start),
        block.task.inputs,
        block.task.outputs,
    )
    _, layers = unpack(theta, block.shapes)
    layers[-1][1:] *= settings.output_scale  # the layers are views, so this changes theta
    for width, layer in zip(settings.widths, layers[1:], strict=True):
        shut = block.growth.shut(theta[0], width)
        scale = torch.tensor(settings.newborn_scale, dtype=theta.dtype)
        layer[1:] *= torch.where(shut, scale, 1.0)[:, None]
    # The first weights are numbers that the precision of the training can hold.
    theta = theta.to(block.dtype).double().to(settings.device)
    moments = torch.zeros_like(theta, dtype=block.dtype)
    return State(
        theta=theta,
        mean=moments,
        square=moments.clone(),
        decay=torch.ones_like(theta[:2]),
        own=theta.new_ones(2, sum(settings.widths), len(block.places)),
        used=torch.zeros_like(theta[0]),
        spent=torch.zeros_like(theta[0]),
        computed=0,
    )


class _Autograd:
    """The training of a block by autograd of the definition of its loss."""

    least = 64  # networks in a block, if there are so many
    most = 512
    multiple = 64  # a block is a multiple of this, so that torch's vectors are full
    threads = 1  # blocks that train at once, at most; torch divides the work of one by itself

    def __init__(self, block):
        self.block = block

    def advance(self, state, first, last) -> State:
        """Train for the epochs from first to last."""
        settings = self.block.settings
        orders = self.block.orders(first, last)
        scales = settings.scales(first, last)
        for epoch in range(last - first):
            order = torch.tensor(orders[min(epoch, len(orders) - 1)], device=settings.device)
            scale = scales[min(epoch, len(scales) - 1)]
            for chosen in order.split(settings.batch or len(order)):
                state = self.step(state, self.gradient(state, chosen), scale)
                if self.block.stop[0]:
                    return state
        return state

    def outputs(self, state) -> torch.Tensor:
        """Return the outputs (O, P, T) of the networks at all points."""
        task, widths = self.block.task, self.block.settings.widths
        theta = _weights(state, self.block)
        return outputs(theta, self.block.x, self.block.growth, widths, task.outputs)

    def gates(self, state, function):
        """Return the gates, or their slopes, of all hidden neurons, (neurons, T)."""
        widths = self.block.settings.widths
        gates = torch.cat([function(state.theta[0], width) for width in widths])
        return gates.to(self.block.dtype)

    def gradient(self, state, chosen):
        """Return the gradient of the task loss on the chosen points, (rows, T).

        The slopes of the gates do not come from autograd, since they must be exactly 0 where a gate
        is fully open.
        """
        block, growth, widths = self.block, self.block.growth, self.block.settings.widths
        gates = self.gates(state, growth.acts)
        slopes = torch.zeros_like(gates)
        if growth.opens == "neurons":
            slopes = self.gates(state, growth.slope)

        def loss(theta, gates, x, y):
            y_hat = outputs(theta, x, growth, widths, block.task.outputs, gates)
            return task_loss(y_hat, y, block.task.loss).sum()

        theta = state.theta.to(block.dtype, copy=True).requires_grad_()
        gates.requires_grad_()
        gradient = torch.zeros_like(theta)
        for part in chosen.split(max(CHUNK // max(widths), CHUNK_POINTS)):
            share = len(part) / len(chosen)
            total = share * loss(theta, gates, block.x[:, part], block.y[part])
            by_theta, by_gates = torch.autograd.grad(total, (theta, gates))
            gradient += by_theta
            gradient[0] += (slopes * by_gates).sum(0)
        return gradient

    def step(self, state, gradient, scale) -> State:
        """Return the state after one step along the gradient of the task loss and the size loss.

        `gradient` (rows, T) is that of the task loss, and is changed. All learning rates are
        multiplied by `scale`.
        """
        growth, forces, settings = self.block.growth, self.block.forces, self.block.settings
        size = state.theta[0]
        pull = 2 * forces.coupling * (size - forces.target)
        gradient[0] = forces.heeds * gradient[0] + pull
        if growth.opens == "training":
            gradient[self.of_neurons(growth.shut(size, settings.widths[0]))] = 0
        if growth.rests:
            _, (*hidden_layers, _) = unpack(gradient, self.block.shapes)
            for layer in hidden_layers:  # views, so this changes the gradient
                layer[:] = 0

        change, state = self.change(state, gradient)
        rate = forces.lr * scale
        if growth.opens == "rate":
            rate = rate * self.gates(state, growth.gate).double().mean(0)
        theta = state.theta - rate * change
        # The size has a rate of its own, whatever the gates act on.
        theta[0] = size - forces.lr * scale * forces.moves * change[0]

        mean, square, decay, own = state.mean, state.square, state.decay, state.own
        if growth.forgets == "neuron":
            width = settings.widths[0]
            newly_open = growth.shut(size, width) & ~growth.shut(theta[0], width)
            rows = self.of_neurons(newly_open)
            mean = torch.where(rows, 0.0, mean)
            square = torch.where(rows, 0.0, square)
            own = torch.where(newly_open, 1.0, own)
        elif growth.forgets:
            near = torch.abs(forces.target) / 100
            was_far = torch.abs(size - forces.target) > near
            arrives = was_far & (torch.abs(theta[0] - forces.target) <= near)
            mean = torch.where(arrives, 0.0, mean)
            square = torch.where(arrives, 0.0, square)
            decay = torch.where(arrives, 1.0, decay)
            own = torch.where(arrives, 1.0, own)

        state = state._replace(theta=theta, mean=mean, square=square, decay=decay, own=own)
        open_now = (self.gates(state, growth.acts) > 1e-3).sum(0)
        computed = state.computed + sum(self.block.settings.widths)
        return state._replace(used=state.used + open_now, computed=computed)

    def change(self, state, gradient):
        """Return what a learning rate of 1 subtracts, (rows, T), and the state with new moments."""
        settings = self.block.settings
        if settings.optimizer == "gd":
            return gradient, state
        if settings.optimizer == "momentum":
            mean = 0.9 * state.mean + gradient
            return mean, state._replace(mean=mean)

        mean = 0.9 * state.mean + 0.1 * gradient
        square = 0.999 * state.square + 0.001 * gradient**2
        decay = torch.stack([0.9 * state.decay[0], 0.999 * state.decay[1]])
        own = state.own
        corrections = 1 / (1 - decay)  # (2, T)
        if settings.counts == "neuron":
            own = self.counted(own, gradient)
            corrections = self.own_corrections(corrections, own)  # (2, rows, T)
        by_mean, by_square = corrections.to(gradient.dtype)
        change = mean * by_mean / (torch.sqrt(square * by_square) + 1e-8)
        return change, state._replace(mean=mean, square=square, decay=decay, own=own)

    def counted(self, own, gradient):
        """Return `own` after a step of the neurons that have a gradient or had one."""
        _, (hidden, output) = unpack(gradient, self.block.shapes)
        has_gradient = (hidden[0] != 0) | (output[1:] != 0).any(1)  # (H, T)
        counts = has_gradient | (own[0] < 1)
        return torch.where(counts, torch.stack([0.9 * own[0], 0.999 * own[1]]), own)

    def own_corrections(self, corrections, own):
        """Return Adam's corrections for all weights, (2, rows, T), by the steps of each neuron.

        Those of the size and of the biases of the outputs are `corrections` (2, T).
        """
        of_neurons = torch.where(own < 1, 1 / (1 - own), 1.0)
        all_rows = [
            self.spread(neurons, network)
            for neurons, network in zip(of_neurons, corrections, strict=True)
        ]
        return torch.stack(all_rows)

    def of_neurons(self, chosen):
        """Return whether a weight belongs to a chosen neuron, (rows, T); `chosen` is (H, T)."""
        return self.spread(chosen, torch.zeros_like(chosen[0]))

    def spread(self, of_neurons, of_others):
        """Return one value for each weight, (rows, T): its neuron's (H, T), or that of others (T,).

        The size and the biases of the outputs belong to no neuron.
        """
        (hidden_rows, width), (_, outs) = self.block.shapes
        hidden = of_neurons.expand(hidden_rows, width, -1)
        output = of_neurons[:, None].expand(-1, outs, -1)
        biases = of_others.expand(1, outs, -1)
        return pack(of_others, [hidden, torch.cat([biases, output])])


class _Loops:
    """The training of a block by the compiled loops of growloops.py."""

    least = 64  # networks in a block, if there are so many; fewer would take nearly as long
    most = 256
    multiple = 16  # networks in a vector of the processor; in full vectors none depends on others
    threads = math.inf

    def __init__(self, block):
        task, growth, settings = block.task, block.growth, block.settings
        loops = _growloops()
        kind = loops.Kind(
            loss=loops.LOSSES.index(task.loss),
            mask=loops.MASKS.index((_method(growth).__name__, growth.mask)),
            opens=loops.OPENS.index(growth.opens),
            feeds=float(growth.feeds),
            optimizer=loops.OPTIMIZERS.index(settings.optimizer),
            forgets=loops.FORGETS.index(growth.forgets),
            counts=settings.counts == "neuron",
            rests=growth.rests,
        )
        forces = loops.Forces(*(force.numpy() for force in block.forces))
        shape = (task.inputs, settings.widths[0], task.outputs, len(block.places))
        few = not task.large
        self.block = block
        self.loops = loops.Loops(kind, forces, shape, settings.dtype, few, block.stop)
        x, y = block.x, block.y
        if not few:  # one network
            x, y = x[..., 0], y[..., 0]
        self.x = x.contiguous().numpy()
        self.train_x = x[:, : task.train_points].contiguous().numpy()
        self.train_y = y[: task.train_points].contiguous().numpy()

    def advance(self, state, first, last) -> State:
        """Train for the epochs from first to last."""
        points = self.block.task.train_points
        batch = self.block.settings.batch
        at_once = max(1, last - first)  # at the first record there is nothing to advance
        if batch:  # the orders of these epochs are held in memory
            at_once = max(1, MOST_PLACES // points)

        computed = state.computed
        # The loops work on the memory of these tensors, so it must not be that of `state`.
        parts = [part.clone(memory_format=torch.contiguous_format) for part in state[:-1]]
        trained = State(*parts, computed)
        arrays = self._arrays(trained)
        for epoch in range(first, last, at_once):
            until = min(epoch + at_once, last)
            orders = self.block.orders(epoch, until)
            scales = self.block.settings.scales(epoch, until)
            data = _growloops().Points(self.train_x, self.train_y, orders, batch or points, scales)
            computed += self.loops.advance(arrays, data, until - epoch)
            if self.block.stop[0]:
                break
        return trained._replace(computed=computed)

    def outputs(self, state) -> torch.Tensor:
        """Return the outputs (O, P, T) of the networks at all points."""
        y_hat = torch.from_numpy(self.loops.outputs(self._arrays(state), self.x))
        return y_hat.reshape(len(y_hat), *self.block.y.shape)

    def _arrays(self, state):
        """Return the state as the loops take it; its arrays share the memory of the tensors."""
        rounded = state.theta.to(self.block.dtype, copy=True)
        return _growloops().State(
            weights=self._named(state.theta),
            rounded=self._named(rounded),
            mean=self._named(state.mean),
            square=self._named(state.square),
            decay=state.decay.numpy(),
            own=state.own.numpy(),
            used=state.used.numpy(),
        )

    def _named(self, theta):
        """Return the named weights in theta as arrays, which share its memory."""
        size, (hidden, output) = unpack(theta, self.block.shapes)
        return _growloops().Weights(size.numpy(), hidden.numpy(), output.numpy())


@functools.cache
def _growloops():
    """Return the module with the loops; None, and one warning, if numba cannot be imported."""
    try:
        import growloops
    except ImportError as error:
        warnings.warn(
            f"numba cannot be imported ({error}), so networks train by autograd, many times slower",
            stacklevel=2,
        )
        return None
    return growloops


def _method(growth):
    """Return which of the two methods a growth is: its own class, or one that has the same gates.

    A subclass that differs in its events alone is trained as its parent is. None if the growth has
    gates of its own.
    """
    names = ("steps", "gate", "slope", "shut", "acts")
    for method in (AuxiliaryWeight, ControllerMask):
        of_growth = [getattr(type(growth), name, None) for name in names]
        if of_growth == [getattr(method, name, None) for name in names]:
            return method
    return None


def _way(growth, settings, compiled):
    """Return how to train: by loops where they apply, or by autograd."""
    one_layer = len(settings.widths) == 1 and torch.device(settings.device).type == "cpu"
    if compiled is False or not one_layer or _method(growth) is None or _growloops() is None:
        return _Autograd
    return _Loops if settings.optimizer in _growloops().OPTIMIZERS else _Autograd


def _train(way, block, report):
    """Train a block to its end; return the records of its logged epochs, weights and snapshots."""
    settings = block.settings
    began = time.perf_counter()
    training = way(block)
    state = _first_state(block)
    events = block.growth.events(settings)
    # After the last epoch the networks stay as they were measured.
    events = {epoch: event for epoch, event in events.items() if epoch < settings.epochs[-1]}
    counted = slice(block.count)
    records = []
    snapshots = {}
    epoch = 0
    for until in sorted({*settings.logged_epochs(), *events}):
        state = training.advance(state, epoch, until)
        if block.stop[0]:
            raise _Stopped
        epoch = until
        record = _measure(state, training.outputs(state).double(), block, epoch)
        record["seconds"] = np.full(len(block.places), time.perf_counter() - began) / block.count
        records.append({name: values[counted] for name, values in record.items()})
        if settings.keep_weights:
            snapshots[epoch] = _weights(state, block)[:, counted].cpu().numpy()
        if epoch in events:
            state = events[epoch](state, block)
        report(epoch / settings.epochs[-1])
    return records, _weights(state, block)[:, counted].cpu().numpy(), snapshots


class _Stopped(Exception):
    """Ends the training of a block in its thread."""


def _weights(state, block):
    """Return theta (rows, T) in the precision of the training."""
    return state.theta.to(block.dtype)


def _measure(state, y_hat, block, epoch):
    """Return what is logged of every network of a block, (T,) each, losses in float64.

    y_hat (O, P, T) are the outputs at all points, in float64.
    """
    task, growth, settings = block.task, block.growth, block.settings
    widths = settings.widths
    size = _weights(state, block)[0].double()
    y = block.y.double()
    train = slice(task.train_points)
    test = slice(task.train_points, None)
    a_neuron = _flops(task, widths, growth.rests)  # for one point and step
    steps = math.ceil(task.train_points / (settings.batch or task.train_points))
    points_of_a_step = task.train_points / steps  # on average: the last batch may be smaller
    record = {
        "train_task_loss": task_loss(y_hat[:, train], y[train], task.loss),
        "test_task_loss": task_loss(y_hat[:, test], y[test], task.loss),
        "size_loss": size_loss(size, block.forces.target, block.forces.coupling),
        "size": size,
        "gate": torch.cat([growth.gate(size, width) for width in widths]).mean(0),
        "active_width": sum((growth.acts(size, width) > 1e-3).sum(0) for width in widths),
        "accuracy": torch.full_like(size, math.nan),
        "epoch": torch.full_like(size, epoch, dtype=torch.int64),
        "flops": state.used * a_neuron * points_of_a_step + state.spent,
        "flops_done": torch.full_like(size, state.computed * a_neuron * points_of_a_step),
        "accuracy_fresh": torch.full_like(size, math.nan),
    }
    if task.classes:
        record["accuracy"] = _right(y_hat[:, test], y[test])
    if task.classes and task.endless and epoch in settings.epochs:
        theta = _weights(state, block)
        data_seeds = _data_seeds(settings.data_seed, block.places)
        fresh = _fresh(theta, growth, task, widths, settings.seed, data_seeds)
        record["accuracy_fresh"] = _right(*fresh)
    return {name: value.cpu().numpy() for name, value in record.items()}


def _flops(task, widths, rests=False):
    """Return the operations for one neuron and point in a step, averaged over the neurons.

    A tanh counts as one; with one input and one output there are 13. Where the hidden layer
    `rests`, no gradient is computed for it.
    """
    operations = 0
    fan_ins = [task.inputs, *widths[:-1]]
    fan_outs = [*widths[1:], task.outputs]
    for fan_in, neurons, fan_out in zip(fan_ins, widths, fan_outs, strict=True):
        of_a_neuron = 3 + 4 * fan_in + 6 * fan_out
        if rests:
            of_a_neuron = 2 + 2 * fan_in + 4 * fan_out
        operations += of_a_neuron * neurons
    return operations / sum(widths)


def _prune(state, block, left=1):
    """Return the state with neurons sorted by their weights' norms, and the size nearer its target.

    Neurons that are shut come last, whatever their weights, so that none comes back that an earlier
    pruning took out. With this pruning so many are `left`; the last brings the size to its target.
    """
    _, (hidden, output) = unpack(state.theta, block.shapes)
    norms = hidden.square().sum(0) * output[1:].square().sum(1)  # (H, T)
    shut = block.growth.shut(state.theta[0], hidden.shape[1])
    norms = torch.where(shut, -1.0, norms)
    order = norms.argsort(dim=0, descending=True, stable=True)

    def sorted_by_norm(rows):
        size, (hidden, output) = unpack(rows, block.shapes)
        hidden = hidden.take_along_dim(order[None], 1)
        weights = output[1:].take_along_dim(order[:, None], 0)
        return pack(size, [hidden, torch.cat([output[:1], weights])])

    theta = sorted_by_norm(state.theta)
    target = block.forces.target
    theta[0] = target if left == 1 else state.theta[0] + (target - state.theta[0]) / left
    return state._replace(
        theta=theta,
        mean=sorted_by_norm(state.mean),
        square=sorted_by_norm(state.square),
        own=state.own.take_along_dim(order[None], 1),
    )


def _fresh(theta, growth, task, width, seed, data_seeds):
    """Return the outputs (outputs, points, T) and the classes (points, T) at fresh points.

    If none can be drawn, the test points are used instead.
    """
    if task.endless:
        x, y = task.draw(seed, data_seeds, "fresh", FRESH_POINTS)
    else:
        x, y = task.draw(seed, data_seeds)
        x, y = x[:, task.train_points :], y[task.train_points :]
    x = torch.tensor(x, dtype=theta.dtype, device=theta.device)
    y = torch.tensor(y, dtype=theta.dtype, device=theta.device)
    return outputs(theta, x, growth, width, task.outputs), y


def _data_seeds(data_seed, places):
    """Return the trials whose data sets the networks at these places have; one may serve all."""
    return np.take(data_seed, places, mode="clip")  # clip repeats a single one


def _classes(y_hat):
    """Return the likeliest class (points, T) for outputs (outputs, points, T)."""
    if len(y_hat) == 1:
        return (y_hat[0] >= 0).long()
    return y_hat.argmax(0)


def _right(y_hat, y):
    """Return the fraction of the points whose class is predicted, (T,)."""
    return (_classes(y_hat) == y.long()).double().mean(0)


def fit(
    task_or_name,
    growth=None,
    *,
    trials=64,
    epochs=4000,
    lr=1e-3,
    width=9,
    seed=0,
    optimizer="gd",
    schedule="constant",
    counts="network",
    batch=None,
    dtype="float32",
    log_every=None,
    data_seed=None,
    device="cpu",
    keep_weights=False,
    compiled=None,
    output_scale=1.0,
    newborn_scale=1.0,
    prune_at=0,
    control="none",
    progress=None,
) -> Run:
    """Train many networks of one setting at once by gradient descent, and return the run.

    An epoch is one step on all training points, unless `batch` is given. Trial k depends on `seed`
    and k alone: it does not matter how many others train beside it, and its data and first weights
    are the same in every arm.

    Parameters
    ----------
    task_or_name : str or Task or callable
        What to learn; see `task`.
    growth : AuxiliaryWeight or ControllerMask, optional
        How the size behaves; by default `AuxiliaryWeight()`. Its start, target, coupling and frozen
        take one value, or one for each trial.
    trials : int or sequence of int
        How many networks (trials 0 ... n-1), or the numbers of the trials.
    epochs : int or increasing sequence of int
        Length of the training. For a sequence, `finals` has rows for each of these epochs, read off
        one run.
    lr : float or array
        Learning rate η (dimensionless), one value, or one for each trial.
    width : int or sequence of int
        Neurons that exist, H, in the hidden layer or in each hidden layer; no smaller than start
        and target of the size, unless that is a rate (mask "exponential").
    seed : int
        Determines the random numbers of all trials.
    optimizer : {"gd", "adam", "momentum"}
        Plain gradient descent, Adam with 0.9, 0.999 and 1e-8, or gradient descent with momentum:
        a step along m = 0.9 m + gradient.
    schedule : {"constant", "cosine"}
        Whether all learning rates are constant, or fall to 0 over the longest of the `epochs` as
        half a period of a cosine.
    counts : {"network", "neuron"}
        Which steps Adam counts for its bias correction: those of the network, or for each neuron
        those since one of its weights first had a gradient. For one hidden layer.
    batch : int, optional
        Points in a mini-batch. An epoch is then one pass over the training points in a new order,
        with one step for each batch.
    dtype : {"float32", "float64"}
        Precision of the training. The weights are kept in float64 and rounded for each step's
        gradient, so that small steps add up.
    log_every : int, optional
        Epochs between rows of the history. By default they make at most 50 rows for each trial,
        to which several `epochs`, `prune_at` and other events of a growth may add.
    data_seed : int or sequence of int, optional
        The trial whose data set is used: one for all trials, or one for each; by default each trial
        has its own.
    device : str
        A torch device.
    keep_weights : bool
        Whether to keep the weights at every logged epoch, for `Run.theta` and `Run.predict`.
    compiled : bool, optional
        Whether to train by compiled loops where they apply: one hidden layer, on the CPU, with
        numba installed. They do by default; False trains by autograd, many times slower.
    output_scale : float
        Factor on the first weights of the output layer (not on its biases).
    newborn_scale : float
        Factor on the first outgoing weights of the neurons that are shut at the start, which are
        others in each arm.
    prune_at : int or sequence of int
        The epoch after which the network is pruned to its target; 0 for never. With several
        epochs the size goes there in as many equal steps, one after each. The neurons are
        sorted by the product of the norms of their incoming and outgoing weights, largest first,
        and the size is set to its target, so that the last neurons shut. For one hidden layer.
    control : str
        Name of a control experiment, copied to the frames.
    progress : callable, optional
        Called during the training with the fraction done, 0 ... 1.

    Raises
    ------
    ValueError
        If an argument is out of range: one sentence with its name, what it is, and what it takes.
    """
    learned = task(task_or_name)
    if growth is None:
        growth = AuxiliaryWeight()
    _require(isinstance(growth, Growth), "growth", growth, "an AuxiliaryWeight or a ControllerMask")
    numbers = _trials(trials)
    ends = _wholes("epochs", epochs)
    increasing = sorted(set(ends)) == ends
    _require(increasing, "epochs", epochs, "a whole number, or several in increasing order")
    if log_every is None:
        log_every = _log_every(ends[-1])
    if data_seed is None:
        data_seed = numbers
    _require(isinstance(keep_weights, bool), "keep_weights", keep_weights, "True or False")
    fine = compiled is None or isinstance(compiled, bool)
    _require(fine, "compiled", compiled, "True, False or None")
    _require(isinstance(control, str), "control", control, "the name of a control experiment")
    settings = Settings(
        trials=numbers,
        epochs=ends,
        lr=_number("lr", lr, above=True, many=True),
        widths=_wholes("width", width),
        seed=_whole("seed", seed, 0),
        optimizer=_choice("optimizer", optimizer, OPTIMIZERS),
        schedule=_choice("schedule", schedule, ("constant", "cosine")),
        counts=_choice("counts", counts, ("network", "neuron")),
        batch=None if batch is None else _whole("batch", batch),
        dtype=_choice("dtype", dtype, ("float32", "float64")),
        log_every=_whole("log_every", log_every),
        data_seed=np.array(_wholes("data_seed", data_seed, 0)),
        device=device,
        keep_weights=keep_weights,
        output_scale=_number("output_scale", output_scale).item(),
        newborn_scale=_number("newborn_scale", newborn_scale).item(),
        prune_at=[epoch for epoch in _wholes("prune_at", prune_at, 0) if epoch > 0],
        control=control,
    )
    _check_against(growth, settings)
    way = _way(growth, settings, compiled)
    trained = _in_threads(way, learned, growth, settings, progress)
    records, weights, snapshots = zip(*trained, strict=True)

    about = _about(learned, growth, settings)
    history = with_sums(_history(about, records))
    finals = history[history["epoch"].isin(ends)].rename(columns={"epoch": "epochs"})
    finals = finals.drop(columns="gate").reset_index(drop=True)
    kept = {}
    for epoch in snapshots[0]:
        kept[epoch] = np.concatenate([part[epoch] for part in snapshots], axis=-1)
    return Run(
        task=learned,
        growth=growth,
        settings={
            "trials": trials,
            "epochs": epochs,
            "lr": lr,
            "width": width,
            "device": device,
            "control": control,
            "seed": settings.seed,
            "optimizer": optimizer,
            "schedule": schedule,
            "counts": counts,
            "dtype": dtype,
            "log_every": settings.log_every,
            "data_seed": settings.data_seed,
            "output_scale": settings.output_scale,
            "newborn_scale": settings.newborn_scale,
            "prune_at": prune_at,
            "batch": batch,
        },
        finals=finals,
        history=history.drop(columns=ONLY_FINAL),
        weights=np.concatenate(weights, axis=-1),
        snapshots=kept,
    )


def _in_threads(way, task, growth, settings, progress):
    """Train all networks, block after block on each thread; return what `_train` returns of each.

    The main thread only waits and reports, so that Ctrl-C and an error in `progress` act at once.
    """
    threads = min(torch.get_num_threads(), way.threads)
    blocks = _places_of_blocks(way, task, len(settings.trials), threads)
    multiple = 1 if task.large else way.multiple
    stop = np.zeros(1, np.uint8)
    done = np.zeros(len(blocks))

    def work(k):
        block = _block(task, growth, settings, blocks[k], multiple, stop)
        return _train(way, block, functools.partial(done.__setitem__, k))

    def report():
        if progress is not None:
            progress(float(done.mean()))

    with ThreadPoolExecutor(threads) as pool:
        futures = [pool.submit(work, k) for k in range(len(blocks))]
        try:
            waiting = futures
            while waiting:
                finished, waiting = wait(waiting, timeout=0.05)
                for future in finished:
                    future.result()
                report()
        except BaseException:
            stop[0] = 1
            for future in futures:
                future.cancel()
            raise
    return [future.result() for future in futures]


def _places_of_blocks(way, task, count, threads):
    """Return the places of the networks of each block, spread evenly over the threads."""
    length = 1
    if not task.large:
        share = math.ceil(count / threads / way.multiple)
        length = min(way.most, max(way.least, share * way.multiple))
    return [np.arange(first, min(first + length, count)) for first in range(0, count, length)]


def _history(about, records):
    """Return one row for each logged epoch and network, from the records of all blocks."""
    columns = {}
    for name in records[0][0]:
        by_block = [np.stack([record[name] for record in block]) for block in records]
        columns[name] = np.concatenate(by_block, axis=1)  # (epochs, T)
    loss = np.maximum(columns["train_task_loss"], columns["test_task_loss"])
    diverges = ~(loss + columns["size_loss"] <= TOO_LARGE)
    columns["diverged"] = np.logical_or.accumulate(diverges)
    settings = about.loc[np.tile(np.arange(len(about)), len(diverges))].reset_index(drop=True)
    return settings.assign(**{name: column.ravel() for name, column in columns.items()})


def _log_every(epochs):
    """Return the smallest round step that logs at most 50 epochs, the first and last included."""
    for power in itertools.count():
        for step in (1, 2, 5):
            if epochs / (step * 10**power) <= 49:
                return step * 10**power


def _check_against(growth, settings):
    """Check the arguments of `fit` against each other and against the machine."""
    count = len(settings.trials)
    values = vars(growth) | {"lr": settings.lr, "data_seed": settings.data_seed}
    for name, value in values.items():
        takes = f"one value, or one for each of the {count} trials"
        _require(np.size(value) in (1, count), name, value, takes)
    for name in ("start", "target"):
        if growth.mask == "exponential":  # the size is a rate
            continue
        largest = np.max(values[name])
        width = settings.widths if len(settings.widths) > 1 else settings.widths[0]
        takes = f"at least the {name}, which is {largest:g}"
        _require(largest <= min(settings.widths), "width", width, takes)

    prune_at = settings.prune_at
    if prune_at:
        shown = prune_at if len(prune_at) > 1 else prune_at[0]
        in_order = prune_at == sorted(set(prune_at))
        _require(in_order, "prune_at", prune_at, "an epoch, or several in increasing order")
        one_by_one = len(settings.widths) == 1 and growth.mask in ("staircase", "neuron")
        one_by_one = one_by_one and growth.opens == "neurons"
        takes = (
            "an epoch before the last, with one hidden layer and the mask staircase or neuron, "
            "whose gates open neurons"
        )
        before_the_end = prune_at[-1] < settings.epochs[-1]
        _require(one_by_one and before_the_end, "prune_at", shown, takes)

    one_layer = len(settings.widths) == 1
    if settings.counts == "neuron":
        takes = "network, unless there is one hidden layer and the optimizer is adam"
        _require(one_layer and settings.optimizer == "adam", "counts", settings.counts, takes)
    for name in ("opens", "forgets"):
        value = getattr(growth, name)
        takes = "another value, since there are several hidden layers"
        _require(one_layer or value not in ("training", "neuron"), name, value, takes)

    # The gradient of the task loss does not move a size of 0, since a shut gate has no slope.
    immovable = growth.opens == "neurons" and not growth.start_noise
    at_zero = (np.asarray(growth.start) == 0) & (np.asarray(growth.coupling) == 0)
    if (growth.learns_from == "size" or immovable) and np.any(at_zero & ~np.asarray(growth.frozen)):
        warnings.warn(
            "coupling and start are 0, so some networks never start to grow; a coupling above 0 "
            "moves their size",
            stacklevel=3,
        )

    found = True
    try:
        torch.zeros(1, device=torch.device(settings.device)).item()  # None would be the default
    except (RuntimeError, AssertionError, TypeError):
        found = False
    _require(found, "device", settings.device, "a device that torch has here, such as cpu")


def _about(task, growth, settings):
    """Return the settings of every network, one row each."""
    widths = settings.widths
    width = widths[0] if len(widths) == 1 else "-".join(map(str, widths))
    about = {
        "task": task.name,
        "method": type(growth).__name__,
        "mask": growth.mask,
        "learns_from": growth.learns_from,
        "arm": growth.arm(),
        "control": settings.control,
        "trial": settings.trials,
        "start": np.asarray(growth.start, dtype=float),
        "target": np.asarray(growth.target, dtype=float),
        "coupling": np.asarray(growth.coupling, dtype=float),
        "width": width,
        "lr": settings.lr,
        "points": task.points,
        "test_points": task.test_points,
        "classes": task.classes,
        "noise": float(task.noise),
        "seed": settings.seed,
        "data_seed": settings.data_seed,
        "optimizer": settings.optimizer,
        "dtype": settings.dtype,
    }
    columns = {name: np.broadcast_to(value, settings.trials.shape) for name, value in about.items()}
    return pd.DataFrame(columns)


def with_sums(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the frame with the columns size_loss, train_loss and test_loss.

    size_loss is derived from the size where it is not stored. train_loss and test_loss are the task
    loss and the size loss added up, as published.
    """
    if "size_loss" not in frame:
        size = frame["size"].astype(float)
        frame = frame.assign(size_loss=frame["coupling"] * (size - frame["target"]) ** 2)
    return frame.assign(
        train_loss=frame["train_task_loss"] + frame["size_loss"],
        test_loss=frame["test_task_loss"] + frame["size_loss"],
    )

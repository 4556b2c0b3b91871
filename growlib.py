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
    s, p       size, gate      (T,)          the control value; sin²(πs/2), a fraction of the width
    b, u, w    hidden layer    (2+I, H, T)   bias, weight from the size, weights from the I inputs
    c, v       output layer    (1+H, O, T)   biases of the O outputs, weights from the neurons
    E          epochs          int           full-batch steps
    L          loss            (T,)          task loss + size loss
    -          theta           (rows, T)     all that is trained: the size, then layer after layer
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
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
import torch
from scipy import special

METHOD = 1  # raised by hand whenever stored results would come out differently
ARMS = ("growing", "grown", "static")
LOSSES = ("squared", "logistic", "softmax")

# Every trial draws its random numbers from independent streams, one for each use.
STREAMS = ("data", "weights", "start", "noise", "validation", "fresh")

# Networks that train side by side. Large ensembles train this many on each thread, which fits the
# cache of a core.
BLOCK = 512

# With this many training points or more, trials train one at a time, on chunks of the points. A
# chunk holds about CHUNK activations, but never fewer than CHUNK_POINTS points.
MANY_POINTS = 1000
CHUNK = 80_000
CHUNK_POINTS = 320

# With more inputs than this, the sum over the inputs is not written out term by term: a single
# network uses matrix products, and networks side by side use a loop.
MANY_INPUTS = 4

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


def _finite(name, table):
    """Return the columns of a DataFrame as float64, (columns, rows), if all cells are finite."""
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
        named = ", ".join(repr(table.columns[k]) for k in np.unique(bad_columns))
        raise ValueError(
            f"{name}: column {first!r}, row {bad_rows[0]} is {cell!r}; it takes finite numbers "
            f"(bad cells: {len(bad_rows)}, in {named}); pandas' get_dummies makes numbers of text, "
            "dropna leaves out rows with gaps"
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
        kind, where = "file", path
        if name == "folder":
            kind, where = "folder", path.parent
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
        If there are not both training and test points, or a field is out of range.
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
    columns: tuple = ()
    labels: tuple = ()
    standardised: bool = False
    options: dict = field(default_factory=dict, compare=False)

    def __post_init__(self):
        _whole("points", self.points, 2)
        _whole("test_points", self.test_points)
        _number("gap", self.gap)
        _whole("inputs", self.inputs)
        _choice("loss", self.loss, LOSSES)
        _require(
            self.test_points < self.points,
            "test_points",
            self.test_points,
            f"less than {self.points}",
        )

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
        trials: Sequence[int],
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
            If an argument is out of range, if `sample` returns arrays of other shapes, values that
            are not finite, or an unknown class, or if more points lie in the gap than can be test
            points.
        """
        count = self.points if points is None else _whole("points", points)
        sets = [self.sample(random_stream(seed, k, stream), count) for k in _trials(trials)]
        if self.gap:
            sets = [self._gap_last(x, y) for x, y in sets]
        x, y = (np.stack(parts, axis=-1) for parts in zip(*sets, strict=True))
        self._check_drawn(x, y, gap_can_train=points is None)
        if raw or not self.standardised:
            return x, y
        mean, sd = self.units(x, y)
        return (x - mean[:-1, None]) / sd[:-1, None], (y - mean[-1]) / sd[-1]

    def _gap_last(self, x, y):
        """Move the points in the gap to the end, where the test points are."""
        order = np.argsort(np.abs(x[0]) < self.gap, kind="stable")
        return x[:, order], y[order]

    def _check_drawn(self, x, y, gap_can_train):
        """Check what `sample` gave: shapes, finite numbers, known classes, no point in the gap."""
        fits = x.shape == (self.inputs, *y.shape) and np.isfinite(x).all() and np.isfinite(y).all()
        takes = f"finite numbers, ({self.inputs}, {len(y)}), and as many y"
        _require(fits, "sample's x", f"of shape {x.shape[:-1]}", takes)
        if self.gap and gap_can_train:
            outside = (np.abs(x[0, : self.train_points]) >= self.gap).all()
            takes = "a smaller gap, or more test_points, so that no point in the gap has to train"
            _require(outside, "gap", self.gap, takes)
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
    """Return the random generator of one stream of one trial, independent of all others.

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

    return Task(name, sample, loss, points, test_points, target=target, gap=gap)


def _large(name, sample, points, **options):
    """Return a task on a large set, one fifth of which are test points."""
    points = _whole("points", points, 10)
    return Task(name, sample, points=points, test_points=points - int(0.8 * points), **options)


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

    return _large(name, sample, points, **options)


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

    Along arm k the radius is even on [0, 5] and the angle even on [4k, 4(k+1)] rad, with a normal
    error of standard deviation 0.2.
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
TASKS["square-wave"] = functools.partial(
    _few, "square-wave", _square_wave, "logistic", points=50, test_points=10
)
TASKS["bessel-grid"] = _bessel_grid
TASKS["gaussian-mixture"] = _gaussian_mixture
TASKS["spirals"] = _spirals


def task(name: str | Task, **options) -> Task:
    """Return the task of that name.

    Parameters
    ----------
    name : str or Task or callable
        One of `TASKS`, the targets of the paper. A Task is returned as it is. A function of x on
        [-1, 1] becomes the task of learning it from few points.
    **options
        What is to differ from the paper: `points` and, for tasks on few points, `test_points`
        (counts); `noise` (standard deviation, regressions); `gap` (half the width of a stretch
        around x = 0 without training points, not for spirals and gaussian-mixture); `classes`
        (count, spirals).

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
        return replace(name, **options, options=name.options | options)

    if callable(name):
        label = getattr(name, "__name__", "target")
        make = functools.partial(_few, label, name, "squared")
    else:
        takes = "a name, a function of x, or a Task, as task_from_frame makes of a table"
        _require(isinstance(name, str), "task", type(name).__name__, takes)
        label = name
        make = TASKS[_choice("task", name, TASKS)]
    known = inspect.signature(make).parameters
    for option in options:
        _choice(f"option of task {label}", option, known)
    return replace(make(**options), options=options)


# ------------------------------------------------------------------------------------------- growth

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
    target and stays trainable (the paper's comparison). A static one starts at the target, frozen.

    This class is abstract. A subclass adds the fields `mask` and `learns_from`, says which masks
    there are and the largest start and target, and defines `gate` and `slope`. During training,
    `start`, `target` and `coupling` hold tensors (T,).

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
    forgets : bool
        Whether Adam's moments are reset when the size comes within 1 % of its target.
    opens : {"neurons", "rate", "nothing"}
        What the gates act on: the neurons, the learning rate of all other weights, or nothing.

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
    forgets: bool = field(default=False, **_CONTROL)
    opens: str = field(default="neurons", **_CONTROL)

    def __post_init__(self):
        for name in ("start", "target", "coupling", "speed", "feeds", "start_noise"):
            number = _number(name, getattr(self, name), many=name in VARIED)
            if name in ("start", "target"):
                takes = f"at most {self.most:g}, where every neuron takes part"
                _require(number.max() <= self.most, name, getattr(self, name), takes)
        _choice("mask", self.mask, self.masks)
        _choice("learns_from", self.learns_from, ("size", "loss"))
        _choice("opens", self.opens, ("neurons", "rate", "nothing"))
        are_bools = np.asarray(self.frozen).dtype == bool
        _require(are_bools, "frozen", self.frozen, "True or False, or one for each trial")
        _require(isinstance(self.forgets, bool), "forgets", self.forgets, "True or False")

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
        """Return "growing", "grown" or "static", or (T,) of them if the fields hold T values."""
        at_target = np.asarray(self.start) == np.asarray(self.target)
        arm = np.where(self.frozen, "static", np.where(at_target, "grown", "growing"))
        return str(arm) if arm.ndim == 0 else arm

    def acts(self, size: torch.Tensor, width: int) -> torch.Tensor:
        """Return what multiplies the neurons, (width, T), at sizes (T,).

        These are the gates, or 1 where the gates act on something else.
        """
        if self.opens == "neurons":
            return self.gate(size, width)
        return torch.ones_like(size).expand(width, -1)

    def needed(self, width: int) -> int:
        """Return the number of neurons that may open, at most `width`.

        For the staircase this is one more than the larger of start and target, since the task loss
        may pull the size beyond them. For other masks it is `width`.
        """
        if self.mask != "staircase" or self.opens != "neurons":
            return width
        start = torch.as_tensor(self.start).max().item()
        target = torch.as_tensor(self.target).max().item()
        return min(width, math.ceil(max(start, target)) + 1)


@dataclass(frozen=True, repr=False)
class AuxiliaryWeight(Growth):
    """Growth by one additional weight N, the size in neurons, which is an input to every neuron.

    N is moved by the gradient of the whole loss. Source: the paper's method 1, with δ = 1.

    The other fields are those of `Growth`, and two more for controls. With `mask` "staircase" the
    neurons open one by one from the first, with "reversed" from the last, with "shared" all at
    once. With `learns_from` "size" the size loss alone moves N, so that it does not depend on the
    task.
    """

    masks = ("staircase", "shared", "reversed")
    most = math.inf

    start: float = 0.0  # N0, neurons; paper: 0 for growing, 5 for grown
    target: float = 5.0  # N_inf, neurons; paper: 5
    coupling: float = 0.1  # λ of the size loss λ (N - N_inf)²; paper: 0.1, in Figure 5: 0.01

    mask: str = field(default="staircase", **_CONTROL)
    learns_from: str = field(default="loss", **_CONTROL)

    def steps(self, size: torch.Tensor, width: int) -> torch.Tensor:
        """Return the argument of every gate, (width, T), in neurons, for sizes N (T,).

        For the neurons m = 1 ... width it is N - m + 1 with the mask "staircase", N - width + m
        with "reversed", and N / width with "shared".
        """
        if self.mask == "shared":
            return (size / width).expand(width, -1)
        before = torch.arange(width, device=size.device)[:, None]  # neurons that open earlier
        if self.mask == "reversed":
            before = before.flip(0)
        return size - before

    def gate(self, size: torch.Tensor, width: int) -> torch.Tensor:
        """Return the gate of every neuron, (width, T), 0 ... 1, for sizes (T,) in neurons."""
        return staircase(self.steps(size, width))

    def slope(self, size: torch.Tensor, width: int) -> torch.Tensor:
        """Return the derivative of every gate by the size (T,), (width, T), 1/neuron."""
        slope = staircase_slope(self.steps(size, width))
        return slope / (width if self.mask == "shared" else 1)


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
    coupling: float = 0.32  # λ of the size loss λ (s - 1)²; paper: 0.32
    mask: str = "shared"  # "shared": p multiplies every neuron; "neuron": the first pH take part
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

    All have the fields in `choices`. Raises ValueError if the method is unknown or a choice is out
    of range.
    """
    if not inspect.isclass(method):
        method = METHODS[_choice("method", method, METHODS)]
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

    The `shapes` of the layers are those that `layer_shapes` gives.
    """
    blocks = theta[1:].split([fan_in * neurons for fan_in, neurons in shapes])
    layers = [block.reshape(*shape, -1) for block, shape in zip(blocks, shapes, strict=True)]
    return theta[0], layers


def pack(size: torch.Tensor, layers: Iterable[torch.Tensor]) -> torch.Tensor:
    """Return theta (rows, T), the size (T,) first and then the layers: the inverse of `unpack`."""
    return torch.cat([size[None], *(layer.reshape(-1, size.shape[-1]) for layer in layers)])


def initial_weights(
    seed: int,
    trials: Sequence[int],
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
    trials : sequence of int
        The numbers of the T trials.
    width : int or sequence of int
        Neurons in the hidden layer, or in each hidden layer.
    growth : AuxiliaryWeight or ControllerMask
        Says where the size starts.
    inputs, outputs : int
        Number of inputs and of outputs of the network.
    """
    shapes = layer_shapes(width, inputs, outputs)
    count = sum(fan_in * neurons for fan_in, neurons in shapes)
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
    has gates of its own; the size is an input of the first one.

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
        The gates of all hidden neurons, (neurons, T); by default those that belong to the size.
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
    """Return λ (N - N_inf)², or λ (s - 1)² for a control value, (T,), dimensionless.

    Parameters
    ----------
    size, target : Tensor
        N and N_inf in neurons, or s and 1, (T,).
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
        for k, theta in enumerate(self.theta().split(1, dim=1)):
            y_hat, y = _fresh(theta, self.growth, self.task, self.settings, [k])
            pairs = (y.long() * classes + _classes(y_hat))[:, 0]
            counts.append(np.bincount(pairs, minlength=classes**2))
        both = itertools.product(range(classes), repeat=2)
        rows = pd.DataFrame(both, columns=["true_class", "predicted_class"])
        return self.networks.merge(rows, how="cross").assign(count=np.ravel(counts))

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


def load(path: str | os.PathLike, what: Task | None = None) -> Run:
    """Return the run that `Run.save` wrote to `path`.

    If its task was a function or a table of your own, the file does not hold it: pass that task
    again as `what`. Raises ValueError if `what` is missing or is another task, or if the file
    cannot be read.
    """
    try:
        file = dict(np.load(path, allow_pickle=False))
        about = json.loads(str(file["about"]))
    except Exception as error:  # of any class, depending on what is in the file
        reason = " ".join(str(error).split())
        raise ValueError(
            f"path is {str(path)!r}; it takes a file that Run.save wrote ({reason})"
        ) from None
    name, options = about["task"]
    method, values = about["growth"]
    if what is None:
        takes = f"the task {name!r}, which this file does not hold"
        _require(name in TASKS, "what", what, takes)
        learned = task(name, **options)
    else:
        learned = task(what)
        takes = f"the task {name!r}, which this file does not hold"
        _require(learned.name == name, "what", what, takes)
    growth = METHODS[method](**values)
    finals, history = (
        pd.read_parquet(io.BytesIO(file[frame].tobytes())) for frame in ("finals", "history")
    )
    snapshots = dict(zip(file["epochs"].tolist(), file["snapshots"], strict=True))
    return Run(learned, growth, about["settings"], finals, history, file["weights"], snapshots)


# ----------------------------------------------------------------------------------------- training


def _gradient(theta, gate, slope, x, y, share, growth, shapes, loss):
    """Return the gradient of the task loss with respect to theta, (rows, T), for one hidden layer.

    x is (I, P, T) and y (P, T); each point counts `share`. gate and slope are (A, T) for the first
    A neurons, which are all that theta holds. Written out like this, the compiled code takes a
    third of the time; for more layers see `_by_autograd`.
    """
    size, (hidden, output) = unpack(theta, shapes)
    b, u, w, c, v, fed = (
        *hidden[:2],
        hidden[2:],
        output[0],
        output[1:],
        growth.feeds * size,
    )  # b, u: (A, T), w: (I, A, T), c: (O, T), v: (A, O, T)
    many, alone = len(x) > MANY_INPUTS, x.shape[-1] == 1
    together = (
        [torch.einsum("iht,ipt->hpt", w, x) if alone else (w[:, :, None] * x[:, None]).sum(0)]
        if many
        else []
    )
    z = sum(
        together or (w_i[:, None] * x_i for w_i, x_i in zip(w, x, strict=True)),
        (b + u * fed)[:, None],
    )
    a = 2 * torch.sigmoid(2 * z) - 1  # tanh, (A, P, T), a third faster
    y_hat = [c[o] + ((v[:, o] * gate)[:, None] * a).sum(0) for o in range(len(c))]  # (P, T) each
    g = _loss_slopes(y_hat, y, loss, share)
    outer, inner = (
        (v[:, 0] * gate, g[0])
        if len(g) == 1
        else (gate, sum(v[:, o, None] * g[o] for o in range(len(g))))
    )  # one weight leaves the sum
    gz = inner * (1 - a * a)  # (A, P, T)
    by_input = (
        torch.einsum("hpt,ipt->iht", gz, x) if many and alone else [(gz * x_i).sum(1) for x_i in x]
    )
    db, dw = outer * gz.sum(1), [outer * each for each in by_input]
    ga = [(g_o * a).sum(1) for g_o in g]  # (A, T) each
    dsize = growth.feeds * (u * db).sum(0) + sum(
        (v[:, o] * slope * ga[o]).sum(0) for o in range(len(g))
    )
    dv = torch.stack([gate * ga_o for ga_o in ga], 1)  # (A, O, T)
    return pack(dsize, [db, fed * db, *dw, torch.stack([g_o.sum(0) for g_o in g]), dv])


def _loss_slopes(y_hat, y, loss, share):
    """Return the derivative of the task loss with respect to each output, (P, T)."""
    if loss == "squared":
        return [2 * (y_hat[0] - y) * share]
    if loss == "logistic":
        return [(torch.sigmoid(y_hat[0]) - y) * share]
    probability = torch.softmax(torch.stack(y_hat), 0)
    return [(probability[o] - (y == o).to(y.dtype)) * share for o in range(len(y_hat))]


def _by_autograd(theta, gate, slope, x, y, share, growth, shapes, loss):
    """Return what `_gradient` returns, by autograd, for any number of layers.

    Only the slopes of the gates do not come from autograd: they must be exactly 0 where a gate is
    fully open.
    """

    def total(theta, gate):
        y_hat = outputs(
            theta, x, growth, [neurons for _, neurons in shapes[:-1]], shapes[-1][1], gate
        )
        by_point = task_loss(y_hat[:, :, None], y[:, None], loss)  # (P, T)
        return (by_point * share).sum()

    by_theta, by_gate = torch.func.grad(total, argnums=(0, 1))(theta, gate)
    return torch.cat([by_theta[:1] + (slope * by_gate).sum(0, keepdim=True), by_theta[1:]])


def _move(theta, change, lost):
    """Add `change` to theta by Kahan's compensated sum; return theta and what rounding lost.

    Without it a float32 weight stops moving once lr × gradient is below half a unit in its last
    place.
    """
    change = change - lost
    moved = theta + change
    return moved, (moved - theta) - change


def _update(
    state, gradient, lr, target, coupling, moves, heeds, *, growth, widths, shapes, optimizer
):
    """Return the state of T networks after one step down the gradient of the whole loss.

    The state is one tensor, whose parts `_rows_of` tells, so that a step costs one call. The gates
    belong to it, since their sines would otherwise be computed again for every point.
    """
    theta, lost, *moments, _, peak, used = state.split(_rows_of(shapes, optimizer))
    change = torch.cat(
        [(heeds * gradient[0] + 2 * coupling * (theta[0] - target))[None], gradient[1:]]
    )
    if optimizer == "adam":  # betas 0.9, 0.999, eps 1e-8
        moments = mean, square, epoch = (
            0.9 * moments[0] + 0.1 * change,
            0.999 * moments[1] + 0.001 * change**2,
            moments[2] + 1,
        )
        change = mean / (1 - 0.9**epoch) / (torch.sqrt(square / (1 - 0.999**epoch)) + 1e-8)
    rate = (
        lr
        if growth.opens != "rate"
        else lr * torch.cat([growth.gate(theta[0], width) for width in widths]).mean(0)
    )
    before, (theta, lost) = (
        theta[0],
        _move(theta, -torch.cat([(lr * moves * change[0])[None], rate * change[1:]]), lost),
    )
    if growth.forgets:
        arrives = (torch.abs(before - target) > target / 100) & (
            torch.abs(theta[0] - target) <= target / 100
        )
        moments = [part * ~arrives for part in moments]
    gates = _gates(growth, theta[0], widths)
    return torch.cat(
        [
            theta,
            lost,
            *moments,
            gates,
            torch.maximum(peak, theta[:1]),
            used + (gates[: len(gates) // 2] > 1e-3).sum(0, keepdim=True),
        ]
    )


def _rows_of(shapes, optimizer):
    """Return the numbers of rows of the parts of the state.

    They are: theta, what its compensated sum lost, Adam's two moments and its epoch, the gates and
    their slopes, the largest size so far, the number of neurons used.
    """
    rows = 1 + sum(fan_in * neurons for fan_in, neurons in shapes)
    return [
        rows,
        rows,
        *([rows, rows, 1] if optimizer == "adam" else []),
        2 * sum(neurons for _, neurons in shapes[:-1]),
        1,
        1,
    ]


def _gates(growth, size, widths):
    """Return the gates of the first neurons of every hidden layer, then their slopes, (2A, T)."""
    slope = (
        growth.slope
        if growth.opens == "neurons"
        else lambda size, width: torch.zeros_like(size).expand(width, -1)
    )
    return torch.cat([part(size, width) for part in (growth.acts, slope) for width in widths])


def _step_of(state, group, knobs, growth, widths, task, optimizer, compiled, threads):
    """Return a function that takes the state and a group of chunks to the state after one step.

    `_groups` says what a group is. The function is compiled for tensors of these shapes. λ and the
    like are tensors too, so that one compiled function serves all values. It is traced and given to
    the compiler directly: torch.compile checks its guards at every step, which takes longer than
    the step.
    """
    bare, (x, y, share) = (
        replace(growth, start=0.0, target=0.0, coupling=0.0, frozen=False, speed=1.0),
        group[0],
    )
    shapes = layer_shapes(widths, task.inputs, task.outputs)
    rows = _rows_of(shapes, optimizer)
    key = (
        bare,
        tuple(widths),
        task.loss,
        task.outputs,
        optimizer,
        threads,
        state.shape,
        state.dtype,
        state.device,
    )

    def gradient(state, x, y, share):
        theta, *_, gates, _, _ = state.split(rows)
        return (_gradient if len(shapes) == 2 else _by_autograd)(
            theta, *gates.chunk(2), x, y, share, bare, shapes, task.loss
        )

    update = functools.partial(
        _update, growth=bare, widths=widths, shapes=shapes, optimizer=optimizer
    )
    if isinstance(share, float):

        def step(state, x, y, *knobs):
            return update(state, gradient(state, x, y, share), *knobs)

        step = _machine_code((key, x.shape, "step"), step, [state, x, y, *knobs], compiled, threads)
        return lambda state, _: step(state, x, y, *knobs)

    gradient = _machine_code(
        (key, x.shape, "gradient"), gradient, [state, x, y, share], compiled, threads
    )
    update = _machine_code(
        (key, "update"), update, [state, state[: rows[0]], *knobs], compiled, threads
    )
    return lambda state, group: update(
        state, sum(gradient(state, *chunk) for chunk in group), *knobs
    )


_COMPILED = {}  # compiled functions, by everything that they depend on


def _machine_code(key, function, example, compiled, threads):
    """Return the function compiled for tensors like the example; itself if not `compiled`.

    It is compiled once in a process. The compiler keeps its results on disk, where processors of
    another kind may find them: so the width of the vector units is stated. The processor's own
    statement about them is trusted, since testing it takes seconds.
    """
    if not compiled:
        return function
    if key not in _COMPILED:
        # Imported here, since both take a second and only compiling needs them.
        from torch._inductor import standalone_compile
        from torch.fx.experimental.proxy_tensor import make_fx

        bits = {"AVX2": 256, "AVX512": 512}.get(torch.backends.cpu.get_cpu_capability())
        options = {
            "config_patches": {"cpp.vec_isa_ok": True, "cpp.threads": threads, "cpp.simdlen": bits}
        }
        _COMPILED[key] = standalone_compile(
            make_fx(lambda *tensors: (function(*tensors),))(*example), example, options=options
        )
    code = _COMPILED[key]
    return lambda *tensors: code(*tensors)[0]


@functools.lru_cache(maxsize=1)
def has_compiler() -> bool:
    """Return whether there is a C++ compiler for torch; warn once if there is none."""
    from torch._inductor.cpp_builder import get_cpp_compiler

    with contextlib.suppress(Exception):  # the class of this error is private to torch
        return bool(get_cpp_compiler())
    warnings.warn(
        "no C++ compiler was found, so training runs without compiling, many times slower",
        stacklevel=2,
    )
    return False


def _tensors(task, growth, settings, numbers, padded):
    """Return the tensors that a block trains with: x, y, growth, values a trial, first state."""
    make = dict(dtype=getattr(torch, settings["dtype"]), device=settings["device"])

    def knob(value):
        return torch.tensor(np.broadcast_to(value, numbers.shape)[padded], **make)

    x, y = (torch.tensor(a, **make) for a in _data(task, settings, padded))
    moves, heeds = (
        knob(growth.speed * (1.0 - np.asarray(growth.frozen))),
        knob(growth.learns_from == "loss"),
    )  # heeds the task loss, or only its own
    growth = replace(
        growth, **{name: knob(getattr(growth, name)) for name in ("start", "target", "coupling")}
    )
    shapes = layer_shapes(settings["width"], task.inputs, task.outputs)
    theta = initial_weights(
        settings["seed"], numbers[padded], settings["width"], growth, task.inputs, task.outputs
    )
    unpack(theta, shapes)[1][-1][1:] *= settings["output_scale"]
    state = [
        theta.to(**make),
        *(
            torch.zeros(rows, len(padded), **make)
            for rows in _rows_of(shapes, settings["optimizer"])[1:-3]
        ),
    ]
    return x, y, growth, (knob(settings["lr"]), growth.target, growth.coupling, moves, heeds), state


def _groups(x, y, task, width, batch, order=None):
    """Return the training points as groups of chunks (x, y, share of a point).

    All chunks have the same shape, and one step follows each group. Without a batch there is one
    group; with a batch every chunk is a group, of points in `order`. The last chunk is filled up
    with points that do not count.
    """
    points = task.train_points
    size = batch or (
        points
        if not task.large
        else 16 * math.ceil(points / math.ceil(points / max(CHUNK / width, CHUNK_POINTS)) / 16)
    )
    places = np.arange(math.ceil(points / size) * size).reshape(-1, size)
    here, counts = np.minimum(places, points - 1), places < points
    here = torch.tensor(here if order is None else order[here], device=x.device)
    share = torch.tensor(
        counts / (counts.sum(1, keepdims=True) if batch else points), dtype=x.dtype, device=x.device
    )[:, :, None]
    x, y = (
        x.index_select(1, here.flatten()).unflatten(1, here.shape).transpose(0, 1).contiguous(),
        y[here],
    )
    chunks = list(zip(x, y, share if task.large or batch else [1 / points], strict=True))
    return [[chunk] for chunk in chunks] if batch else [chunks]


def _train(
    task, growth, settings, numbers, where, block, ends, keep_weights, compiled, threads, progress
):
    """Train the trials at `where` as one block; return history, weights and snapshots.

    The block is padded to its full size.
    """
    began, widths = time.perf_counter(), _wholes("width", settings["width"])
    padded = np.concatenate([where, np.repeat(where[-1:], -len(where) % block)])
    x, y, growth, knobs, state = _tensors(task, growth, settings, numbers, padded)
    points, batch, optimizer, cost_of_one = (
        task.train_points,
        settings["batch"],
        settings["optimizer"],
        _flops(task, widths),
    )
    a_step = points / math.ceil(
        points / (batch or points)
    )  # points of a step, on average: the last batch may be smaller
    active, whole = (
        widths if len(widths) > 1 else [growth.needed(widths[0])],
        _groups(x, y, task, max(widths), batch),
    )

    def groups(epoch):
        return (
            _groups(
                x,
                y,
                task,
                max(widths),
                batch,
                np.random.default_rng([settings["seed"], epoch]).permutation(points),
            )
            if batch
            else whole
        )

    records, snapshots, epoch, operations, computed, diverged = [], {}, 0, 0.0, 0.0, False
    for until in sorted(
        {*range(0, ends[-1], settings["log_every"]), 0, *ends, settings["prune_at"]}
    ):
        state, used, cost, active = _epochs(
            state,
            range(epoch, until),
            groups,
            knobs,
            growth,
            widths,
            active,
            task,
            optimizer,
            compiled,
            threads,
        )
        operations = operations + used.double().cpu().numpy() * cost_of_one * a_step
        computed, epoch = computed + cost * cost_of_one * points, until
        record = _measure(state[0], x, y, growth, task, widths)
        diverged = diverged | ~(
            np.maximum(record["train_task_loss"], record["test_task_loss"]) + record["size_loss"]
            <= TOO_LARGE
        )
        fresh = epoch in ends and task.classes and task.endless
        record |= {
            "epoch": epoch,
            "flops": operations,
            "flops_done": computed,
            "diverged": diverged,
            "seconds": (time.perf_counter() - began) / len(where),
            "accuracy_fresh": _right(*_fresh(state[0], growth, task, settings, padded))
            .cpu()
            .numpy()
            if fresh
            else math.nan,
        }
        records.append(pd.DataFrame(record, index=padded).iloc[: len(where)])
        if keep_weights:
            snapshots[epoch] = state[0][:, : len(where)].cpu().numpy().copy()
        if epoch and epoch == settings["prune_at"]:
            state = _pruned(state, growth.target, layer_shapes(widths, task.inputs, task.outputs))
        if progress is not None:
            progress((where[0] + epoch / ends[-1] * len(where)) / len(numbers))
    return pd.concat(records), state[0][:, : len(where)].cpu().numpy(), snapshots


def _pruned(state, target, shapes):
    """Return the state with neurons sorted by their weights' norms, and the size at its target."""
    _, (hidden, output) = unpack(state[0], shapes)
    order = (hidden.square().sum(0) * output[1:].square().sum(1)).argsort(
        dim=0, descending=True, stable=True
    )  # (H, T)
    size, (into, out) = unpack(
        torch.arange(len(state[0]), device=order.device)[:, None].expand_as(state[0]), shapes
    )
    rows = pack(
        size,
        [
            into.take_along_dim(order[None], 1),
            torch.cat([out[:1], out[1:].take_along_dim(order[:, None], 0)]),
        ],
    )
    theta, *others = [s.gather(0, rows) if len(s) > 1 else s for s in state]
    return [torch.cat([target[None], theta[1:]]), *others]


def _flops(task, widths):
    """Return the operations for one neuron, point and epoch, averaged over the layers.

    A tanh counts as one; with one input and one output there are 13.
    """
    fans = zip([task.inputs, *widths[:-1]], widths, [*widths[1:], task.outputs], strict=True)
    return sum((3 + 4 * fan_in + 6 * fan_out) * neurons for fan_in, neurons, fan_out in fans) / sum(
        widths
    )


def _epochs(state, epochs, groups, knobs, growth, widths, few, task, optimizer, compiled, threads):
    """Train every network for these epochs, with only the first `few` neurons while that is exact.

    A neuron whose gate has been 0 since the start has a gradient of 0, so leaving it out changes
    nothing. The largest size on the way shows whether such a neuron opened; if so, the epochs are
    computed again with all neurons.
    """
    cost = 0
    for active in (few, widths):
        size, layers = unpack(
            torch.arange(len(state[0]), device=state[0].device)[:, None],
            layer_shapes(widths, task.inputs, task.outputs),
        )
        shapes = layer_shapes(active, task.inputs, task.outputs)
        rows = pack(
            size,
            [
                layer[:fan_in, :neurons]
                for layer, (fan_in, neurons) in zip(layers, shapes, strict=True)
            ],
        )[:, 0]
        part = [s[rows] if len(s) > 1 else s for s in state]
        packed = torch.cat(
            [*part, _gates(growth, part[0][0], active), part[0][:1], torch.zeros_like(part[0][:1])]
        )
        step = _step_of(
            packed, groups(0)[0], knobs, growth, active, task, optimizer, compiled, threads
        )
        for group in itertools.chain.from_iterable(map(groups, epochs)):
            packed = step(packed, group)
        *part, _, peak, used = packed.split(_rows_of(shapes, optimizer))
        cost += sum(active) * len(epochs)
        if active == widths or (peak <= active[0]).all():
            break
    return (
        [s.index_copy(0, rows, p) if len(s) > 1 else p for s, p in zip(state, part, strict=True)],
        used[0],
        cost,
        active,
    )


def _measure(theta, x, y, growth, task, widths):
    """Return what is logged of every trial, in float64: losses, size, active width, accuracy."""
    y_hat = outputs(theta, x, growth, widths, task.outputs)
    train, test = slice(task.train_points), slice(task.train_points, None)
    size = theta[0].double()
    test_y_hat = y_hat[:, test].double()
    test_y = y[test].double()
    accuracy = torch.full_like(size, math.nan)
    if task.classes:
        accuracy = _right(test_y_hat, test_y)
    record = {
        "train_task_loss": task_loss(y_hat[:, train].double(), y[train].double(), task.loss),
        "test_task_loss": task_loss(test_y_hat, test_y, task.loss),
        "size_loss": size_loss(size, growth.target.double(), growth.coupling.double()),
        "size": size,
        "gate": torch.cat([growth.gate(size, width) for width in widths]).mean(0),  # (T,)
        "active_width": sum((growth.acts(size, width) > 1e-3).sum(0) for width in widths),
        "accuracy": accuracy,
    }
    return {name: value.cpu().numpy() for name, value in record.items()}


def _fresh(theta, growth, task, settings, where):
    """Return the outputs (outputs, points, T) and the classes (points, T) at fresh points.

    If none can be drawn, the test points are used instead.
    """
    if task.endless:
        x, y = _data(task, settings, where, "fresh", FRESH_POINTS)
    else:
        x, y = _data(task, settings, where)
        x, y = x[:, -task.test_points :], y[-task.test_points :]
    x = torch.tensor(x, dtype=theta.dtype, device=theta.device)
    y = torch.tensor(y, dtype=theta.dtype, device=theta.device)
    return outputs(theta, x, growth, settings["width"], task.outputs), y


def _data(task, settings, where, stream="data", points=None):
    """Return the data sets of the trials at the places `where` of a run.

    If the run has one data_seed only, all trials get the same data set.
    """
    data_seeds = np.take(settings["data_seed"], where, mode="clip")  # clip repeats a single one
    return task.draw(settings["seed"], data_seeds, stream, points)


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
    batch=None,
    dtype="float32",
    log_every=None,
    data_seed=None,
    device="cpu",
    keep_weights=False,
    compiled=None,
    output_scale=1.0,
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
        and target of the size.
    seed : int
        Determines the random numbers of all trials.
    optimizer : {"gd", "adam"}
        Plain gradient descent, or Adam with 0.9, 0.999 and 1e-8.
    batch : int, optional
        Points in a mini-batch. An epoch is then one pass over the training points in a new order,
        with one step for each batch.
    dtype : {"float32", "float64"}
        Precision of the training. In float32 the steps are added by a compensated sum.
    log_every : int, optional
        Epochs between rows of the history; by default there are at most 50 rows for each trial.
    data_seed : int or sequence of int, optional
        The trial whose data set is used: one for all trials, or one for each; by default each trial
        has its own.
    device : str
        A torch device.
    keep_weights : bool
        Whether to keep the weights at every logged epoch, for `Run.theta` and `Run.predict`.
    compiled : bool, optional
        Whether to compile the training step; by default if there is a C++ compiler.
    output_scale : float
        Factor on the first weights of the output layer (not on its biases).
    prune_at : int
        The epoch after which the network is pruned to its target; 0 for never. The neurons are
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
    settings = {
        "trials": trials,
        "epochs": epochs,
        "lr": lr,
        "width": width,
        "device": device,
        "control": control,
        "seed": _whole("seed", seed, 0),
        "optimizer": _choice("optimizer", optimizer, ("gd", "adam")),
        "dtype": _choice("dtype", dtype, ("float32", "float64")),
        "log_every": _whole("log_every", log_every),
        "data_seed": np.array(_wholes("data_seed", data_seed, 0)),
        "output_scale": _number("output_scale", output_scale).item(),
        "prune_at": _whole("prune_at", prune_at, 0),
        "batch": None if batch is None else _whole("batch", batch),
    }
    _check_against(numbers, growth, settings)
    if compiled is None:
        compiled = has_compiler()

    block, threads = _division(learned, settings, len(numbers))
    pieces = []
    for first in range(0, len(numbers), block):
        where = np.arange(first, min(first + block, len(numbers)))
        pieces.append(
            _train(
                learned,
                growth,
                settings,
                numbers,
                where,
                block,
                ends,
                keep_weights,
                compiled,
                threads,
                progress,
            )
        )

    records, weights, snapshots = zip(*pieces, strict=True)
    # Both frames are indexed by the place of a network: its settings are joined to all its rows.
    history = _about(learned, growth, settings, numbers).join(pd.concat(records))
    history = with_sums(history.sort_values("epoch", kind="stable", ignore_index=True))
    finals = history[history["epoch"].isin(ends)].rename(columns={"epoch": "epochs"})
    finals = finals.drop(columns="gate").reset_index(drop=True)
    kept = {}
    for epoch in snapshots[0]:
        kept[epoch] = np.concatenate([part[epoch] for part in snapshots], axis=-1)
    return Run(
        task=learned,
        growth=growth,
        settings=settings,
        finals=finals,
        history=history.drop(columns=ONLY_FINAL),
        weights=np.concatenate(weights, axis=-1),
        snapshots=kept,
    )


def _log_every(epochs):
    """Return the smallest round step that logs at most 50 epochs, the first and last included."""
    for power in itertools.count():
        for step in (1, 2, 5):
            if epochs / (step * 10**power) <= 49:
                return step * 10**power


def _division(task, settings, trials):
    """Return how many trials train side by side, and on how many threads.

    The size of a block depends on the number of trials in coarse steps only, so that few sizes need
    to be compiled.
    """
    # Threads cost more than they save below this much work in one step.
    if task.large:
        batch = settings["batch"] or 0
        pays = batch * max(_wholes("width", settings["width"])) >= CHUNK
    else:
        pays = trials > BLOCK / 2
    threads = min(torch.get_num_threads(), 4) if pays else 1
    block = 1 if task.large else min(64 * math.ceil(trials / 64), BLOCK * threads)
    return block, threads


def _check_against(numbers, growth, settings):
    """Check the arguments of `fit` against each other and against the machine."""
    widths = _wholes("width", settings["width"])
    values = dict(vars(growth))
    values["lr"] = _number("lr", settings["lr"], above=True, many=True)
    values["data_seed"] = settings["data_seed"]
    for name, value in values.items():
        takes = f"one value, or one for each of the {len(numbers)} trials"
        _require(np.size(value) in (1, len(numbers)), name, value, takes)
    for name in ("start", "target"):
        largest = np.max(values[name])
        takes = f"at least the {name}, which is {largest:g}"
        _require(largest <= min(widths), "width", settings["width"], takes)

    prune_at = settings["prune_at"]
    if prune_at:
        one_by_one = len(widths) == 1 and growth.mask in ("staircase", "neuron")
        takes = (
            "an epoch before the last, with one hidden layer whose neurons open one after the other"
        )
        before_the_end = prune_at < np.max(settings["epochs"])
        _require(one_by_one and before_the_end, "prune_at", prune_at, takes)

    # Both frames are indexed by the place of a network: all its rows get its settings.
    # a shut gate has no slope.
    immovable = growth.opens == "neurons" and not growth.start_noise
    at_zero = (np.asarray(growth.start) == 0) & (np.asarray(growth.coupling) == 0)
    if (growth.learns_from == "size" or immovable) and np.any(at_zero & ~np.asarray(growth.frozen)):
        warnings.warn(
            "coupling and start are 0, so some networks never start to grow; a coupling above 0 "
            "moves their size",
            stacklevel=3,
        )

    device = settings["device"]
    try:
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError, TypeError):
        raise ValueError(
            f"device is {device!r}; it takes a device that torch has here, such as cpu"
        ) from None


def _about(task, growth, settings, numbers):
    """Return the settings of every network, one row each."""
    widths = _wholes("width", settings["width"])
    width = widths[0] if len(widths) == 1 else "-".join(map(str, widths))
    default_noise = 0.1 if task.name == "gaussian-mixture" else 0.0
    about = {
        "task": task.name,
        "method": type(growth).__name__,
        "mask": growth.mask,
        "learns_from": growth.learns_from,
        "arm": growth.arm(),
        "control": settings["control"],
        "trial": numbers,
        "start": np.asarray(growth.start, dtype=float),
        "target": np.asarray(growth.target, dtype=float),
        "coupling": np.asarray(growth.coupling, dtype=float),
        "width": width,
        "lr": np.asarray(settings["lr"], dtype=float),
        "points": task.points,
        "test_points": task.test_points,
        "classes": task.classes,
        "noise": float(task.options.get("noise", default_noise)),
        "seed": settings["seed"],
        "data_seed": settings["data_seed"],
        "optimizer": settings["optimizer"],
        "dtype": settings["dtype"],
    }
    columns = {name: np.broadcast_to(value, numbers.shape) for name, value in about.items()}
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

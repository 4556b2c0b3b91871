"""Neural networks that decide their own size while gradient descent trains them.

A small vocabulary for the notebooks: tasks, growth, networks, training, studies, statistics, figures.
It implements Radhakrishnan, Lindner, Miller, Sinha and Ditto, *Growing Neural Networks: Dynamic
Evolution through Gradient Descent* (Proc. R. Soc. A 481, 20250222, 2025; arXiv 2501.18012), called
"the paper" below.

    run = growlib.fit("bessel-j0", growlib.AuxiliaryWeight(start=0, target=5, coupling=0.1),
                      trials=1000, epochs=40_000, lr=1e-3, width=9, seed=0)
    run.finals, run.history, run.predict(x)

Legend. T trials are trained at once, and the trial axis is always the last one of a tensor.

    paper      here            shape     unit, range
    N          size            (T,)      neurons; trained like a weight
    N0, N_inf  start, target   (T,)      neurons, 0 ... width
    lambda     coupling        (T,)      dimensionless, >= 0
    eta        lr              (T,)      dimensionless, > 0
    H          width           int       neurons that exist
    theta      gate            (H, T)    dimensionless, 0 ... 1
    s, p       size, gate      (T,)      the controller's value; sin²(πs/2), a fraction of the width
    b, u, w    hidden layer    (2+I, H, T)  bias, weight from the size, weights from the I inputs
    c, v       output layer    (1+H, O, T)  biases, weights from the neurons
    E          epochs          int       full-batch steps
    L          loss            (T,)      task loss + size loss
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
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy import special

METHOD = 1  # raised by hand whenever stored results would come out differently
ARMS = ("growing", "grown", "static")
LOSSES = ("squared", "logistic", "softmax")
STREAMS = (
    "data",
    "weights",
    "start",
    "noise",
    "validation",
    "fresh",
)  # each trial's independent random streams
BLOCK = (
    512  # trials trained side by side, in large ensembles on each thread: what fits a core's cache
)
MANY_POINTS = 1000  # from so many training points on, trials train one at a time,
CHUNK, CHUNK_POINTS = 80_000, 320  # on so many activations at a time, but no fewer points
MANY_INPUTS = 4  # with more inputs their sum is not written out: a lone network takes matrix products, many side by side a loop
FRESH_POINTS = 1000  # unseen points for accuracy_fresh and the confusion matrices (Figure 5)
ONLY_FINAL = [
    "flops_done",
    "seconds",
    "diverged",
    "accuracy_fresh",
]  # columns of finals that histories leave out
TOO_LARGE = 1e6  # a loss above this at a logged epoch counts as diverged
HOME = Path(
    os.environ.get("GROWLIB_HOME") or Path(__file__).resolve().parent
)  # where data/, figures/ and the cache are

# ------------------------------------------------------------------------------------------- checks


def _require(fine, name, value, takes):
    """Return `value` if all is fine, or say what the argument `name` is and what it takes."""
    if not fine:
        raise ValueError(f"{name} is {' '.join(repr(value).split())[:300]}; it takes {takes}")
    return value


def _number(name, value, low=0.0, above=False, many=False):
    """Return `value` as float64, a scalar or with `many` one value a trial, or say what is wrong with the argument `name`."""
    array = _floats(value)
    fine = (
        array.ndim <= many
        and array.size
        and (np.isfinite(array) & ((array > low) if above else (array >= low))).all()
    )
    _require(
        fine,
        name,
        value,
        f"a finite number {'above' if above else 'of at least'} {low:g}{', or one for each trial' * many}",
    )
    return array


def _floats(value):
    """The value as an array of float64, NaN where it is no numbers, which "5" is not."""
    with contextlib.suppress(TypeError, ValueError):
        return np.asarray(np.asarray(value) + 0.0, dtype=float)
    return np.array(np.nan)


def _whole(name, value, low=1):
    """Return `value` as an int, or say that the argument `name` is none."""
    fine = isinstance(value, (int, np.integer)) and not isinstance(value, bool) and value >= low
    return int(_require(fine, name, value, f"a whole number of at least {low}"))


def _wholes(name, value, low=1):
    """Return `value`, one whole number or several, as a list of int, or say which of them is none."""
    return [
        _whole(name, each, low)
        for each in np.atleast_1d(np.array(value, dtype=object)).tolist() or [value]
    ]


def _choice(name, value, choices):
    """Return `value` if it is one of `choices`, or say which ones the argument `name` takes."""
    return _require(
        isinstance(value, str) and value in choices, name, value, f"one of {', '.join(choices)}"
    )


def _frame(name, frame, *columns):
    """Say so if the argument `name` is no frame with rows, or lacks some of `columns`."""
    _require(
        isinstance(frame, pd.DataFrame) and len(frame),
        name,
        type(frame).__name__,
        "a DataFrame with rows",
    )
    lacking = [str(column) for column in columns if column not in frame]
    _require(
        not lacking, name, list(frame), f"a frame that also has the columns {', '.join(lacking)}"
    )


@contextlib.contextmanager
def _replacing(path, name="path"):
    """A temporary name beside `path` that takes its place when the block ends well; `name` is the argument to blame."""
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".") as folder:
            yield Path(folder) / path.name
            os.replace(Path(folder) / path.name, path)
    except OSError as error:
        what, where = ("folder", path.parent) if name == "folder" else ("file", path)
        raise ValueError(
            f"{name} is {str(where)!r}; it takes a {what} that can be written ({error.strerror or error})"
        ) from None


def _plain(value):
    """The value as JSON takes it: arrays, ranges and tuples as lists."""
    return json.loads(
        json.dumps(value, default=lambda v: v.tolist() if hasattr(v, "tolist") else list(v))
    )


# -------------------------------------------------------------------------------------------- tasks


@dataclass(frozen=True)
class Task:
    """Something to learn, with x and y between -1 and 1 (of a table: in standard deviations from the mean) or y a class 0, 1, 2 ...

    Parameters
    ----------
    name : str
        Its name in `TASKS`.
    sample : callable
        A trial's generator and a count of points to x, (inputs, points), and y, (points,), the training points first.
    loss : {"squared", "logistic", "softmax"}
        Mean squared error, or cross-entropy: of the logistic of one output, or of the softmax of several.
    points : int
        All points of a data set.
    test_points : int
        How many of them are for testing; the others train.
    inputs, outputs : int
        Numbers that enter and leave the network.
    target : callable, optional
        From x to the y without noise, of the same shape, where there is one input.
    gap : float
        No point with |x| below it trains; those that are drawn there test.
    columns, labels : tuple
        Of a table: the names of the inputs, and of the classes in their order; see `task_from_frame`.
    standardised : bool
        Whether x and y (of a regression) are in standard deviations from the mean of a trial's training points, as of a table.
    options : dict
        What `task` was given.

    Raises
    ------
    ValueError
        There are not both training and test points, or another field is not what it takes.
    """

    name: str
    sample: Callable[[np.random.Generator, int], tuple[np.ndarray, np.ndarray]]
    loss: str = "squared"
    points: int = 40  # 32 train, 8 test in Figures 2 - 4 and 6 - 7
    test_points: int = 8
    inputs: int = 1
    outputs: int = 1
    target: Callable[[np.ndarray], np.ndarray] | None = None
    gap: float = 0.0
    columns: tuple = ()
    labels: tuple = ()
    standardised: bool = False
    options: dict = field(default_factory=dict, compare=False)  # what `task` was given

    def __post_init__(self):
        (
            _whole("points", self.points, 2),
            _whole("test_points", self.test_points),
            _number("gap", self.gap),
            _whole("inputs", self.inputs),
        )
        (
            _choice("loss", self.loss, LOSSES),
            _require(
                self.test_points < self.points,
                "test_points",
                self.test_points,
                f"less than {self.points}",
            ),
        )

    @property
    def train_points(self) -> int:
        """Points that the gradient sees."""
        return self.points - self.test_points

    @property
    def classes(self) -> int:
        """How many classes there are; 0 for a regression."""
        return {"squared": 0, "logistic": 2}.get(self.loss, self.outputs)

    @property
    def large(self) -> bool:
        """Whether the set is so large that trials train one at a time."""
        return self.train_points >= MANY_POINTS

    @property
    def endless(self) -> bool:
        """Whether there are fresh points to test on; of a large set and of a table the test points serve instead."""
        return not (self.large or self.standardised)

    def draw(
        self,
        seed: int,
        trials: Sequence[int],
        stream: str = "data",
        points: int | None = None,
        raw: bool = False,
    ):
        """Draw the trials' data sets: x (inputs, points, T) and y (points, T) in float64, the training points first.

        Parameters
        ----------
        seed : int
            Picks, with a trial's number, its random numbers.
        trials : int or sequence of int
            How many trials, T, or which.
        stream : str
            One of `STREAMS`: "data" for training and test points, another for points of their own.
        points : int, optional
            How many; by default those of the task.
        raw : bool
            Whether a table's columns stay in their own units.

        Raises
        ------
        ValueError
            An argument is none, `sample` gives other shapes, what is no finite number, or an unknown class; or more points lie in the gap than test.
        """
        sets = [
            self.sample(
                random_stream(seed, k, stream),
                self.points if points is None else _whole("points", points),
            )
            for k in _trials(trials)
        ]
        if self.gap:
            sets = [
                (x[:, last], y[last])
                for x, y in sets
                for last in [np.argsort(np.abs(x[0]) < self.gap, kind="stable")]
            ]
        x, y = (np.stack(parts, axis=-1) for parts in zip(*sets, strict=True))
        fine = x.shape == (self.inputs, *y.shape) and np.isfinite(x).all() and np.isfinite(y).all()
        _require(
            fine,
            "sample's x",
            f"of shape {x.shape[:-1]}",
            f"finite numbers, ({self.inputs}, {len(y)}), and as many y",
        )
        clear = (
            not self.gap
            or points is not None
            or (np.abs(x[0, : self.train_points]) >= self.gap).all()
        )
        _require(
            clear,
            "gap",
            self.gap,
            "less, or more test_points, so that every point in the stretch can test",
        )
        _require(
            not self.classes or np.isin(y, np.arange(self.classes)).all(),
            "sample's y",
            np.unique(y)[:9].tolist(),
            f"0 ... {self.classes - 1}",
        )
        if raw or not self.standardised:
            return x, y
        mean, sd = self.units(x, y)
        return (x - mean[:-1, None]) / sd[:-1, None], (y - mean[-1]) / sd[-1]

    def units(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return the mean and the standard deviation of x and y that these are measured by, (2, inputs + 1, T)."""
        train = np.concatenate([x, y[None]])[:, : self.train_points]
        measured = np.array(
            [self.standardised] * self.inputs + [self.standardised and not self.classes]
        )[:, None]
        return np.stack(
            [
                np.where(measured, train.mean(1), 0),
                np.where(measured & (np.ptp(train, 1) > 0), train.std(1), 1),
            ]
        )


def random_stream(seed: int, trial: int, stream: str) -> np.random.Generator:
    """Return the random generator of one trial's stream, independent of every other trial's and stream's.

    Parameters
    ----------
    seed : int
        Of the whole ensemble.
    trial : int
        The trial's number, from 0.
    stream : str
        One of `STREAMS`.

    Raises
    ------
    ValueError
        An argument is not what it takes.
    """
    return np.random.default_rng(
        [
            _whole("seed", seed, 0),
            _whole("trial", trial, 0),
            STREAMS.index(_choice("stream", stream, STREAMS)),
        ]
    )


def _bessel(x, orders, low, high, least, most):
    """The sum of Bessel functions of the first kind, which on [low, high] runs from least to most, scaled so that x and y run over [-1, 1]."""
    t = low + (x + 1) / 2 * (high - low)
    return 2 * (sum(special.jv(n, t) for n in orders) - least) / (most - least) - 1


def _polynomial(*conditions):
    """The polynomial of least degree with value (or slope, where order is 1) as in `conditions` of (x, order, value)."""
    rows = [
        [np.polynomial.Polynomial(power).deriv(order)(x) for power in np.eye(len(conditions))]
        for x, order, _ in conditions
    ]
    return np.polynomial.Polynomial(np.linalg.solve(rows, [value for *_, value in conditions]))


_BESSEL_J0 = functools.partial(
    _bessel, orders=[0], low=0.1, high=0.2, least=0.9900249722395764, most=0.9975015620660401
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


def _few(name, target, loss, points=40, test_points=8, noise=0.0, gap=0.0):
    """A task on few uniform random points, drawn anew by each trial, with normal noise of that standard deviation."""

    def sample(generator, points):
        x = generator.uniform(-1, 1, points)
        return x[None], target(x) + (noise and noise * generator.standard_normal(points))

    return Task(name, sample, loss, points, test_points, target=target, gap=gap)


def _unit(values):
    """The values scaled so that they run over [-1, 1]."""
    return 2 * (values - values.min()) / (values.max() - values.min()) - 1


def _shuffled(generator, x, y):
    """x and y in random order."""
    order = generator.permutation(len(y))
    return x[:, order], y[order]


def _large(name, sample, points, **options):
    """A task on a large set, of which a fifth tests."""
    points = _whole("points", points, 10)
    return Task(name, sample, points=points, test_points=points - int(0.8 * points), **options)


def _curve(name, f, points, noise, **options):
    """A task on many evenly spaced x, with normal noise of that standard deviation, scaled afterwards; None draws no noise at all."""

    def sample(generator, points):
        x = np.linspace(-1, 1, points)
        return _shuffled(
            generator,
            x[None],
            _unit(f(x) + (0 if noise is None else noise * generator.standard_normal(points))),
        )

    return _large(name, sample, points, **options)


def _bumps(x):
    """Three Gaussian bumps on [-4, 4]."""
    return sum(
        a * np.exp(-((4 * x - mu) ** 2) / (2 * sd**2))
        for mu, sd, a in ((-2, 0.5, 1), (0, 0.8, 1.5), (2, 0.3, 0.8))
    )


def _spirals(points=32_768, classes=5):
    """As many arms as classes: radius even on [0, 5], angle even on [4k, 4(k+1)] rad with normal noise of sd 0.2."""
    classes = _whole("classes", classes, 2)

    def sample(generator, points):
        each = points // classes
        radius = np.tile(np.linspace(0, 5, each), classes)
        angle = np.concatenate(
            [np.linspace(4 * k, 4 * (k + 1), each) for k in range(classes)]
        ) + 0.2 * generator.standard_normal(each * classes)
        x = np.stack([_unit(radius * np.sin(angle)), _unit(radius * np.cos(angle))])
        return _shuffled(generator, x, np.repeat(np.arange(float(classes)), each))

    return _large(
        "spirals",
        sample,
        _whole("points", points, 10 * classes) // classes * classes,
        loss="softmax",
        inputs=2,
        outputs=classes,
    )


# the paper's regressions on few random points; further down its classification on few, then its large sets
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
} | {
    "square-wave": functools.partial(
        _few,
        "square-wave",
        lambda x: 1.0 * (np.sin(2 * np.pi * x) >= 0),
        "logistic",
        points=50,
        test_points=10,
    ),
    "bessel-grid": lambda points=32_768, noise=0.0, gap=0.0: _curve(
        "bessel-grid", _BESSEL_SUM, points, noise or None, target=_BESSEL_SUM, gap=gap
    ),
    "gaussian-mixture": lambda points=32_768, noise=0.1: _curve(
        "gaussian-mixture", _bumps, points, noise
    ),
    "spirals": _spirals,
}


def task(name: str | Task, **options) -> Task:
    """Return the task of that name.

    Parameters
    ----------
    name : str or Task or callable
        One of `TASKS`, the targets of the paper; a Task is returned as it is; a function of x on [-1, 1] is learned from few points.
    **options
        Where they are to differ from the paper's: `points` and, on few points, `test_points` (counts); `noise` (standard
        deviation, regressions); `gap` (half the width of a stretch around x = 0 without training points, but for spirals and
        gaussian-mixture); `classes` (count, spirals).

    Raises
    ------
    ValueError
        The name or an option is unknown, or its value is not what it takes.
    """
    _number("noise", options.get("noise", 0))
    if callable(name):
        return _few(getattr(name, "__name__", "target"), name, "squared", **options)
    if isinstance(name, Task):
        return replace(name, **options, options=name.options | options)
    _require(
        isinstance(name, str),
        "task",
        type(name).__name__,
        "a name, a function of x, or a Task, as task_from_frame makes of a table",
    )
    make = TASKS[_choice("task", name, TASKS)]
    for option in options:
        _choice(f"option of task {name}", option, inspect.signature(make).parameters)
    return replace(make(**options), options=options)


def _finite(table):
    """The columns of a table in float64, (columns, rows), if every cell is a finite number."""
    numbers = [
        pd.to_numeric(column.astype(str) if column.dtype.kind in "mMc" else column, errors="coerce")
        for _, column in table.items()
    ]
    numbers = np.array([column.to_numpy(float, na_value=math.nan) for column in numbers])
    columns, rows = np.nonzero(~np.isfinite(numbers))
    if len(columns):
        first, named = (
            table.columns[columns[0]],
            ", ".join(repr(table.columns[k]) for k in np.unique(columns)),
        )
        raise ValueError(
            f"frame: column {first!r}, row {rows[0]} is {table[first].tolist()[rows[0]]!r}; it takes finite numbers (bad cells: "
            f"{len(rows)}, in {named}); pandas' get_dummies makes numbers of text, dropna leaves out rows with gaps"
        )
    return numbers


# ------------------------------------------------------------------------------------------- growth


def staircase(n: torch.Tensor) -> torch.Tensor:
    """Return the gate θ(n): 0 below 0, sin²(πn/2) on the step from 0 to 1, 1 above (any shape, n in neurons)."""
    return torch.sin(math.pi / 2 * n.clamp(0, 1)) ** 2


def staircase_slope(n: torch.Tensor) -> torch.Tensor:
    """Return dθ/dn at n neurons (1/neuron, any shape), which is exactly 0 wherever the gate is shut or fully open."""
    return torch.where(
        (n <= 0) | (n >= 1), torch.zeros_like(n), math.pi / 2 * torch.sin(math.pi * n)
    )


_CONTROL = {
    "metadata": {"control": True}
}  # of a field that only controls change; it is mentioned only where it differs


@dataclass(frozen=True, repr=False)
class Growth:
    """What a network's size is: where it starts and goes, what it opens, and who moves it.

    The three arms differ in one value: growing starts small, grown starts at the target and stays
    trainable (the paper's comparison), static starts there frozen. The first four fields take one value, or one
    for each trial; the others are for controls, which change one of them. `start` and `target` have the unit of the
    size, `coupling`, λ, has none. ValueError where a field is not what it takes.
    """

    start: float = 0.0
    target: float = 1.0
    coupling: float = 0.0
    frozen: bool = False  # True: the size stays where it starts
    speed: float = field(
        default=1.0, **_CONTROL
    )  # how many times the learning rate the size moves with
    feeds: float = field(
        default=1.0, **_CONTROL
    )  # how many times the size is the neurons' input; 0: it is none
    forgets: bool = field(
        default=False, **_CONTROL
    )  # True: Adam forgets its moments when the size comes within 1 % of the target
    opens: str = field(
        default="neurons", **_CONTROL
    )  # what the gate multiplies: the neurons, the learning "rate" of all else, or "nothing"

    def __post_init__(self):
        for name in ("start", "target", "coupling", "speed", "feeds", "start_noise"):
            fine = _number(
                name, getattr(self, name), many=name in VARIED
            ).max() <= self.most or name not in ("start", "target")
            _require(
                fine,
                name,
                getattr(self, name),
                f"at most {self.most:g}, where every neuron takes part",
            )
        for name, choices in (
            ("mask", self.masks),
            ("learns_from", ("size", "loss")),
            ("opens", ("neurons", "rate", "nothing")),
        ):
            _choice(name, getattr(self, name), choices)
        _require(
            np.asarray(self.frozen).dtype == bool,
            "frozen",
            self.frozen,
            "True or False, or one for each trial",
        )
        _require(isinstance(self.forgets, bool), "forgets", self.forgets, "True or False")

    def values(self) -> dict:
        """Return its fields by name, those for controls only where they differ from their defaults."""
        return {
            f.name: getattr(self, f.name)
            for f in fields(self)
            if not f.metadata or np.any(getattr(self, f.name) != f.default)
        }

    def __repr__(self):
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.values().items())})"

    def arm(self) -> np.ndarray | str:
        """Return "growing", "grown" or "static", which follows from the values; (T,) of them where these are one for each trial."""
        arm = np.where(
            self.frozen,
            "static",
            np.where(np.asarray(self.start) == np.asarray(self.target), "grown", "growing"),
        )
        return str(arm) if arm.ndim == 0 else arm

    def acts(self, size: torch.Tensor, width: int) -> torch.Tensor:
        """Return what multiplies the neurons, (width, T), at sizes (T,): their gates, or 1 where those open something else."""
        return (
            self.gate(size, width)
            if self.opens == "neurons"
            else torch.ones_like(size).expand(width, -1)
        )

    def needed(self, width: int) -> int:
        """Return how many neurons of the width take part while no size passes this number: of a staircase one more than start and target."""
        most = math.ceil(max(self.start.max().item(), self.target.max().item())) + 1
        return min(width, most) if self.mask == "staircase" and self.opens == "neurons" else width


@dataclass(frozen=True, repr=False)
class AuxiliaryWeight(Growth):
    """Growth by one more weight N, in neurons, which is the network's size and an input to every hidden neuron.

    The whole loss moves it. Source: the paper's method 1, with δ = 1.
    """

    start: float = 0.0  # N0, neurons; paper: 0 growing, 5 grown
    target: float = 5.0  # N_inf, neurons; paper: 5
    coupling: float = (
        0.1  # λ of the size loss λ (N - N_inf)², dimensionless; paper: 0.1, Figure 5: 0.01
    )

    mask: str = field(
        default="staircase", **_CONTROL
    )  # "staircase", from the first neuron; "reversed", from the last; "shared", all at once
    learns_from: str = field(
        default="loss", **_CONTROL
    )  # what moves N: the whole loss, or the "size" loss alone, a ramp that the task cannot see

    masks, most, start_noise, fan_in_power = (
        ("staircase", "shared", "reversed"),
        math.inf,
        0.0,
        0.0,
    )  # for the last see `initial_weights`

    def steps(self, size: torch.Tensor, width: int) -> torch.Tensor:
        """Return N - m + 1 for the neurons m = 1 ... width, (width, T), at sizes N (T,): the argument of their gates (neurons)."""
        before = torch.arange(width, device=size.device)[:, None]  # neurons
        return {
            "staircase": size - before,
            "reversed": size - before.flip(0),
            "shared": (size / width).expand(width, -1),
        }[self.mask]

    def gate(self, size: torch.Tensor, width: int) -> torch.Tensor:
        """Return every neuron's gate, (width, T), 0 ... 1, for sizes (T,) in neurons."""
        return staircase(self.steps(size, width))

    def slope(self, size: torch.Tensor, width: int) -> torch.Tensor:
        """Return the derivative of every gate by the size (T,), (width, T), 1/neuron."""
        return staircase_slope(self.steps(size, width)) / (width if self.mask == "shared" else 1)


@dataclass(frozen=True, repr=False)
class ControllerMask(Growth):
    """Growth by a controller's value s, which is an input and makes the mask that multiplies the neurons; p = sin²(πs/2).

    The defaults are as in the paper's released program; as its text describes it: mask="neuron", learns_from="loss".
    Source: the paper's method 2.
    """

    start: float = 0.0  # s at first; paper: 0 growing, 1 static
    target: float = 1.0  # dimensionless; the whole width
    coupling: float = 0.32  # λ of the size loss λ (s - 1)², dimensionless; paper: 0.32
    mask: str = (
        "shared"  # "shared": p multiplies every neuron; "neuron": the first pH neurons take part
    )
    learns_from: str = "size"  # what moves s: the size loss alone, or the whole loss
    start_noise: float = 1e-5  # standard deviation of a normal draw that is added to a start of 0

    masks, most, fan_in_power = ("shared", "neuron"), 1.0, -0.5

    def gate(self, size: torch.Tensor, width: int) -> torch.Tensor:
        """Return every neuron's gate, (width, T), 0 ... 1, for sizes s (T,), dimensionless."""
        p = torch.sin(math.pi / 2 * size) ** 2
        return (
            p.expand(width, -1)
            if self.mask == "shared"
            else (width * p - torch.arange(width, device=size.device)[:, None]).clamp(0, 1)
        )

    def slope(self, size: torch.Tensor, width: int) -> torch.Tensor:
        """Return the derivative of every gate by the size s (T,), (width, T), exactly 0 where a neuron's own gate is shut or fully open."""
        rise, gate = (
            (math.pi / 2 * torch.sin(math.pi * size)).expand(width, -1),
            self.gate(size, width),
        )
        return (
            rise
            if self.mask == "shared"
            else torch.where((gate <= 0) | (gate >= 1), torch.zeros_like(gate), width * rise)
        )


VARIED = (
    "start",
    "target",
    "coupling",
    "frozen",
)  # what may differ between networks that train side by side
METHODS = {method.__name__: method for method in (AuxiliaryWeight, ControllerMask)}


def arms(method: type[Growth] = AuxiliaryWeight, **choices) -> dict[str, Growth]:
    """Return the three arms of a method by name, each with all of `choices`; an arm differs from its neighbour in one argument.

    ValueError where the method is none, or a choice is not what it takes.
    """
    growing = (method if inspect.isclass(method) else METHODS[_choice("method", method, METHODS)])(
        **choices
    )
    grown = replace(growing, start=growing.target)
    return {"growing": growing, "grown": grown, "static": replace(grown, frozen=True)}


def together(
    growths: Iterable[Growth] | Mapping[str, Growth], trials: int
) -> tuple[Growth, list[int]]:
    """Return one growth with a value for each network, and the networks' trial numbers, as `fit` takes them.

    So several `growths`, such as the `arms`, of `trials` networks each train in one ensemble: the same to the bit as one after the other, and
    faster. ValueError where there is none, or the growths differ in more than start, target, coupling and frozen.
    """
    growths = [
        *(
            growths.values()
            if isinstance(growths, Mapping)
            else growths
            if isinstance(growths, Iterable)
            else [growths]
        )
    ]
    _require(
        growths and all(isinstance(each, Growth) for each in growths),
        "growths",
        growths,
        "one or more of them, such as arms() makes",
    )
    (shared, networks), *others = _networks(
        [{"growth": growth, "trials": trials} for growth in growths]
    )
    _require(
        not others,
        "growths",
        [shared["growth"], *(each["growth"] for each, _ in others)],
        "those that differ in values only",
    )
    return replace(
        shared["growth"], **{name: networks[name].to_numpy() for name in VARIED}
    ), networks["trials"].tolist()


def _described(settings):
    """The settings of a piece of work as plain JSON values."""
    return _plain(
        settings
        | {"growth": {"method": type(settings["growth"]).__name__, **settings["growth"].values()}}
    )


def _networks(settings):
    """The networks of settings that can train side by side: what they share, and a frame with a row a network of what may vary."""
    groups = {}
    for s in settings:
        values = {name: getattr(s["growth"], name) for name in VARIED} | {
            name: s[name] for name in ("lr", "data_seed") if s.get(name) is not None
        }
        shared = {name: value for name, value in s.items() if name not in ("trials", *values)}
        shared["growth"] = replace(
            s["growth"], **{f.name: f.default for f in fields(s["growth"]) if f.name in VARIED}
        )
        rows = np.broadcast_arrays(
            *(np.reshape(value, (-1, 1)) for value in values.values()), _trials(s.get("trials", 64))
        )  # (values, trials) each
        key = json.dumps([_described(shared), list(values)], sort_keys=True)
        groups.setdefault(key, (shared, []))[1].append(
            pd.DataFrame(dict(zip([*values, "trials"], map(np.ravel, rows), strict=True)))
        )
    return [(shared, pd.concat(rows, ignore_index=True)) for shared, rows in groups.values()]


# ------------------------------------------------------------------------------------------ network


def layer_shapes(
    width: int | Sequence[int], inputs: int = 1, outputs: int = 1
) -> list[tuple[int, int]]:
    """Return (1 + inputs, neurons) of every layer; the bias comes first, then the size (first layer only), then the inputs.

    Parameters
    ----------
    width : int or sequence of int
        Neurons of the hidden layer, or of each.
    inputs, outputs : int
        Numbers that enter and leave the network.

    Raises
    ------
    ValueError
        One of them is no count.
    """
    widths = [*_wholes("width", width), _whole("outputs", outputs)]
    return [
        (1 + fan_in, neurons)
        for fan_in, neurons in zip(
            [1 + _whole("inputs", inputs), *widths[:-1]], widths, strict=True
        )
    ]


def unpack(
    theta: torch.Tensor, shapes: Sequence[tuple[int, int]]
) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Return the size (T,) and the layers (1 + inputs, neurons, T) that the rows of theta (rows, T) hold; `layer_shapes` gives the shapes."""
    blocks = theta[1:].split([fan * neurons for fan, neurons in shapes])
    return theta[0], [
        block.reshape(*shape, -1) for block, shape in zip(blocks, shapes, strict=True)
    ]


def pack(size: torch.Tensor, layers: Iterable[torch.Tensor]) -> torch.Tensor:
    """Return theta (rows, T), in which the size (T,) comes first and then the layers: the inverse of `unpack`."""
    return torch.cat([size[None], *(layer.reshape(-1, size.shape[-1]) for layer in layers)])


def initial_weights(
    seed: int,
    trials: Sequence[int],
    width: int | Sequence[int],
    growth: Growth,
    inputs: int = 1,
    outputs: int = 1,
) -> torch.Tensor:
    """Return theta (rows, T) in float64: the size where it starts, everything else uniform within ±fan_in**growth.fan_in_power.

    A trial's output biases are drawn first and then each neuron with its weights b, u, w, v, so that a narrower
    network is the first part of a wider one and the arms of a trial begin alike. Of several hidden layers each is
    drawn after the other.

    Parameters
    ----------
    seed : int
        Picks, with a trial's number, its random numbers.
    trials : sequence of int
        Which trials, T of them.
    width : int or sequence of int
        Neurons of the hidden layer, or of each.
    growth : AuxiliaryWeight or ControllerMask
        Says where the size starts.
    inputs, outputs : int
        Numbers that enter and leave the network.
    """
    shapes = layer_shapes(width, inputs, outputs)
    drawn = torch.tensor(
        np.stack(
            [
                random_stream(seed, k, "weights").uniform(-1, 1, sum(f * n for f, n in shapes))
                for k in trials
            ],
            axis=-1,
        )
    )
    if len(shapes) == 2:
        neurons = drawn[outputs:].reshape(shapes[0][1], -1, len(trials))  # b, u, w, v
        layers = [
            neurons[:, : 2 + inputs].transpose(0, 1),
            torch.cat([drawn[None, :outputs], neurons[:, 2 + inputs :]]),
        ]
    else:
        _, layers = unpack(torch.cat([drawn[:1], drawn]), shapes)
    start = torch.as_tensor(growth.start, dtype=torch.float64, device="cpu")
    noise = torch.tensor(
        [growth.start_noise * random_stream(seed, k, "start").standard_normal() for k in trials],
        dtype=torch.float64,
    )
    return pack(
        start + (start == 0) * noise,
        [layer * (len(layer) - 1) ** growth.fan_in_power for layer in layers],
    )


def outputs(
    theta: torch.Tensor,
    x: torch.Tensor,
    growth: Growth,
    width: int | Sequence[int],
    count: int = 1,
    gates: torch.Tensor | None = None,
) -> torch.Tensor:
    """Return ŷ (count, points, T) of T networks, the definition that all else is tested against.

    ŷ(x) = c + Σ_m v_m gate_m(N) tanh(b_m + u_m N + w_m x), for m = 1 ... width. Every hidden layer has its own
    gates; the size is an input to the first.

    Parameters
    ----------
    theta : Tensor
        The networks, (rows, T); see `unpack`.
    x : Tensor
        Their inputs, (inputs, points, T), dimensionless.
    growth : AuxiliaryWeight or ControllerMask
        Gives the gates.
    width : int or sequence of int
        Neurons of the hidden layer, or of each.
    count : int
        Numbers that leave the network.
    gates : Tensor, optional
        Of all hidden neurons, (neurons, T); by default those that belong to the size.
    """
    size, layers = unpack(theta, layer_shapes(width, len(x), count))
    widths = [layer.shape[1] for layer in layers[:-1]]
    gates = (
        torch.cat([growth.acts(size, neurons) for neurons in widths]) if gates is None else gates
    )
    signal = torch.cat([growth.feeds * size.expand(1, *x.shape[1:]), x])
    for layer, gate in zip(layers, gates.split(widths), strict=False):
        signal = gate[:, None] * torch.tanh(
            layer[0, :, None] + torch.einsum("iht,ipt->hpt", layer[1:], signal)
        )
    return layers[-1][0, :, None] + torch.einsum("hot,hpt->opt", layers[-1][1:], signal)


def task_loss(y_hat: torch.Tensor, y: torch.Tensor, loss: str) -> torch.Tensor:
    """Return the mean over the points of the squared error, or of the cross-entropy (nats), (T,).

    Parameters
    ----------
    y_hat : Tensor
        What the networks give, (outputs, points, T).
    y : Tensor
        What they should, (points, T); for a classification the class.
    loss : {"squared", "logistic", "softmax"}
        Which of them; see `Task`.

    Raises
    ------
    ValueError
        The loss is unknown.
    """
    if _choice("loss", loss, LOSSES) == "squared":
        return ((y_hat[0] - y) ** 2).mean(-2)
    if loss == "logistic":
        return (torch.nn.functional.softplus(y_hat[0]) - y * y_hat[0]).mean(-2)
    return (torch.logsumexp(y_hat, 0) - y_hat.gather(0, y[None].long())[0]).mean(-2)


def size_loss(size: torch.Tensor, target: torch.Tensor, coupling: torch.Tensor) -> torch.Tensor:
    """Return λ (N - N_inf)², (T,), dimensionless; of the controller's value λ (s - 1)².

    Parameters
    ----------
    size, target : Tensor
        N and N_inf in neurons, or s and 1, (T,).
    coupling : Tensor
        The size coupling λ, (T,).
    """
    return coupling * (size - target) ** 2


# ----------------------------------------------------------------------------------------- training


def _gradient(theta, gate, slope, x, y, share, growth, shapes, loss):
    """Gradient of the task loss by theta, (rows, T), of points that count `share` each, written out for one hidden layer.

    x is (I, P, T) and y (P, T); gate and slope are (A, T) for the first A neurons, which are all that theta holds. Written
    out it compiles to a third of the time; for more layers see `_by_autograd`.
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
    """The derivatives of the task loss by each output, (P, T)."""
    if loss == "squared":
        return [2 * (y_hat[0] - y) * share]
    if loss == "logistic":
        return [(torch.sigmoid(y_hat[0]) - y) * share]
    probability = torch.softmax(torch.stack(y_hat), 0)
    return [(probability[o] - (y == o).to(y.dtype)) * share for o in range(len(y_hat))]


def _by_autograd(theta, gate, slope, x, y, share, growth, shapes, loss):
    """`_gradient` for any number of layers; only the slopes of the gates are not autograd's, which are not exactly 0 where a gate is fully open."""

    def total(theta, gate):
        y_hat = outputs(
            theta, x, growth, [neurons for _, neurons in shapes[:-1]], shapes[-1][1], gate
        )
        return (
            task_loss(y_hat[:, :, None], y[:, None], loss) * share
        ).sum()  # (P, T) before the sum

    by_theta, by_gate = torch.func.grad(total, argnums=(0, 1))(theta, gate)
    return torch.cat([by_theta[:1] + (slope * by_gate).sum(0, keepdim=True), by_theta[1:]])


def _move(theta, change, lost):
    """Add `change` to theta by Kahan's compensated sum, so that steps below theta's rounding are not lost.

    Without it a float32 weight stops moving once lr × gradient falls under half a unit in its last place.
    """
    change = change - lost
    moved = theta + change
    return moved, (moved - theta) - change


def _update(
    state, gradient, lr, target, coupling, moves, heeds, *, growth, widths, shapes, optimizer
):
    """The state of T networks, split by `_rows_of`, after a step along the gradient of the task loss and of the size loss.

    All of it is one tensor, so that a step costs one call; the gates are handed on with it, since their sines would
    otherwise be computed anew for every point.
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
    """How many rows of the state are theta, what Kahan's sum lost of it, Adam's moments and epoch, gates, peak, use."""
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
    """The gates of the first neurons of every hidden layer and below them their slopes, (2A, T)."""
    slope = (
        growth.slope
        if growth.opens == "neurons"
        else lambda size, width: torch.zeros_like(size).expand(width, -1)
    )
    return torch.cat([part(size, width) for part in (growth.acts, slope) for width in widths])


def _step_of(state, group, knobs, growth, widths, task, optimizer, compiled, threads):
    """A function from the state and a group of chunks like `group`, see `_groups`, to the state after one step.

    It is compiled for tensors like these; λ and the like are tensors too, so that one code serves them all. It is traced
    and given to the compiler directly: torch.compile checks its guards in every step, which takes longer than the step.
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


_COMPILED = {}  # machine code by all that it depends on


def _machine_code(key, function, example, compiled, threads):
    """The function compiled for tensors like the example, once in a process; without `compiled` the function itself.

    The compiler looks its own work up on disk, which other processors share: so the width of the vector units is said, and
    the processor's own word on them trusted, since trying them out takes seconds.
    """
    if not compiled:
        return function
    if key not in _COMPILED:
        from torch._inductor import (
            standalone_compile,  # both take a second to import, and only compiling needs them
        )
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
    """Return whether torch.compile finds a C++ compiler; warn once where it finds none."""
    from torch._inductor.cpp_builder import get_cpp_compiler

    with contextlib.suppress(Exception):  # the class of this error is private to torch
        return bool(get_cpp_compiler())
    warnings.warn(
        "no C++ compiler was found, so training runs without compiling, many times slower",
        stacklevel=2,
    )
    return False


@dataclass(repr=False)
class Run:
    """Trained networks and their record, as `fit` returns them.

    Attributes
    ----------
    task, growth
        What was learned, and how the networks grew.
    settings : dict
        The remaining arguments of `fit`.
    finals : DataFrame
        A row a trial and final epoch: settings, losses, size (neurons), accuracy, operations, seconds.
    history : DataFrame
        A row a trial and logged epoch, under the same names.
    weights : ndarray
        The trained theta, (rows, T); see `unpack`.
    snapshots : dict of int to ndarray
        theta at every logged epoch, where `keep_weights` asked for it.
    """

    task: Task
    growth: AuxiliaryWeight
    settings: dict
    finals: pd.DataFrame
    history: pd.DataFrame
    weights: np.ndarray
    snapshots: dict[int, np.ndarray] = field(default_factory=dict)

    def __repr__(self):
        arms = " and ".join(self.networks["arm"].unique())
        return f"Run of {self.task.name}: {self.weights.shape[1]} {arms} networks, {self.settings['epochs']} epochs; see .finals and .history"

    @property
    def networks(self) -> pd.DataFrame:
        """What tells the networks apart, a row each, in the order of `weights` and `predict`."""
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
        """Return theta (rows, T) at the end, or at a logged epoch; ValueError where that one's snapshot was not kept."""
        known = (
            ", ".join(map(str, self.snapshots))
            or "none, since it was not fitted with keep_weights=True"
        )
        _require(
            epoch is None or epoch in self.snapshots,
            "epoch",
            epoch,
            f"an epoch whose weights were kept: {known}",
        )
        return torch.tensor(self.weights if epoch is None else self.snapshots[epoch])

    def predict(self, x, epoch: int | None = None) -> np.ndarray:
        """Return the predictions (trials, points, outputs) at x (points, inputs), the same for every trial.

        x is dimensionless, or a frame or array of a table's columns in their own units. A regression gives ŷ, a classification
        the probability of class 1, or of every class where there are more than two. With one input x may be (points,).
        `epoch` is as in `theta`. ValueError where x does not fit the task or holds what is no finite number.
        """
        if isinstance(x, pd.DataFrame) and self.task.columns:
            _frame("x", x, *self.task.columns)
            x = _finite(x[list(self.task.columns)]).T
        theta, inputs, points, (mean, sd) = (
            self.theta(epoch),
            self.task.inputs,
            _floats(x),
            self._units(),
        )
        points = (
            np.atleast_1d(points)[:, None]
            if inputs == 1 and points.ndim < 2
            else np.atleast_2d(points)
        )
        fine = points.shape[1:] == (inputs,) and points.size and np.isfinite(points).all()
        _require(
            fine,
            "x",
            x,
            f"finite numbers, (points, {inputs}){' or (points,)' if inputs == 1 else ''}",
        )
        points = (
            ((torch.tensor(points.T)[:, :, None] - mean[:-1, None]) / sd[:-1, None])
            .to(theta.dtype)
            .expand(-1, -1, theta.shape[1])
        )
        y_hat = outputs(theta, points, self.growth, self.settings["width"], self.task.outputs)
        squash = {
            "squared": lambda y: y,
            "logistic": torch.sigmoid,
            "softmax": lambda y: torch.softmax(y, 0),
        }[self.task.loss]
        return (squash(y_hat) * sd[-1] + mean[-1]).to(theta.dtype).permute(2, 1, 0).numpy()

    def dense(self, network: int = 0) -> torch.nn.Sequential:
        """Return one network as plain torch layers of its active neurons alone, which need no growlib: x (points, inputs) to (points, outputs).

        x is what `predict` takes, of a table its `task.columns` in their order, and ŷ comes back, of a classification before the
        logistic or softmax, equal to rounding. The gates went into the weights; the size and a table's units into weights and
        biases, then in float64.

        Parameters
        ----------
        network : int
            Its place in `weights`: the trial where the run has one arm of trials 0 ... n-1.

        Raises
        ------
        ValueError
            There is no network at this place.
        """
        _require(
            _whole("network", network, 0) < self.weights.shape[1],
            "network",
            network,
            f"less than {self.weights.shape[1]}",
        )
        growth, theta, (mean, sd) = (
            self.growth,
            self.theta()[:, [network]],
            self._units()[..., network],
        )
        dtype = torch.float64 if self.task.standardised else theta.dtype
        size, layers = unpack(
            theta.double(),
            layer_shapes(self.settings["width"], self.task.inputs, self.task.outputs),
        )
        biases, weights = (
            [layer[0, :, 0] for layer in layers],
            [layer[1:, :, 0] for layer in layers],
        )
        weights[0], u = weights[0][1:] / sd[:-1, None], weights[0][0]
        biases[0] = biases[0] + growth.feeds * size * u - mean[:-1] @ weights[0]
        biases[-1], weights[-1] = biases[-1] * sd[-1] + mean[-1], weights[-1] * sd[-1]
        gates, parts = (
            [
                torch.ones(self.task.inputs),
                *(growth.acts(size, len(b))[:, 0] for b in biases[:-1]),
                torch.ones(self.task.outputs),
            ],
            [],
        )
        for b, w, into, gate in zip(biases, weights, gates, gates[1:], strict=False):
            with warnings.catch_warnings(action="ignore"):  # of a network without neurons
                linear = torch.nn.utils.skip_init(
                    torch.nn.Linear, int((into > 0).sum()), int((gate > 0).sum()), dtype=dtype
                )
            linear.load_state_dict(
                {"weight": (w * into[:, None])[into > 0][:, gate > 0].T, "bias": b[gate > 0]}
            )
            parts += [linear, torch.nn.Tanh()]
        return torch.nn.Sequential(*parts[:-1])

    def _units(self):
        """The mean and the standard deviation that every network measures its columns by, the target last, (2, inputs + 1, T)."""
        sets, places = np.unique(
            np.multiply(self.settings["data_seed"], self.task.standardised), return_inverse=True
        )  # one does for all but a table
        found = [
            self.task.units(*self.task.draw(self.settings["seed"], [k], raw=True)) for k in sets
        ]
        return torch.tensor(
            np.concatenate(found, -1)[..., np.broadcast_to(places, self.weights.shape[1])]
        )

    def confusion(self) -> pd.DataFrame:
        """Return how many points of each true class get each predicted class, classes² rows a network.

        They are 1000 fresh points, or the test points of a large set or a table. ValueError of a regression.
        """
        _require(
            self.task.classes,
            "task",
            self.task.name,
            "a classification, so that there is a confusion matrix",
        )
        seen = (
            _fresh(theta, self.growth, self.task, self.settings, [k])
            for k, theta in enumerate(self.theta().split(1, dim=1))
        )
        counts = np.stack(
            [
                np.bincount(
                    (y.long() * self.task.classes + _classes(y_hat))[:, 0],
                    minlength=self.task.classes**2,
                )
                for y_hat, y in seen
            ]
        )
        classes = pd.DataFrame(
            itertools.product(range(self.task.classes), repeat=2),
            columns=["true_class", "predicted_class"],
        )
        return self.networks.merge(classes, how="cross").assign(count=counts.ravel())

    def save(self, path: str | os.PathLike) -> None:
        """Write the run to the .npz file `path`, without pickle; `load` reads it.

        ValueError where the name does not end in .npz or cannot be written.
        """
        _require(str(path).endswith(".npz"), "path", path, "a file name that ends in .npz")
        frames = {
            name: np.frombuffer(getattr(self, name).to_parquet(), dtype=np.uint8)
            for name in ("finals", "history")
        }
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
                **frames,
                epochs=np.array(list(self.snapshots), dtype=np.int64),
                snapshots=np.array(list(self.snapshots.values())),
            )


def load(path: str | os.PathLike, what: Task | None = None) -> Run:
    """Return the run that `Run.save` wrote to `path`; one of a function or table of your own takes that task again as `what`.

    ValueError where `what` is needed and missing or another one, or the file cannot be read.
    """
    try:
        file = dict(np.load(path, allow_pickle=False))
        about = json.loads(str(file["about"]))
    except Exception as error:  # by what is in the file, of any class
        raise ValueError(
            f"path is {str(path)!r}; it takes a file that Run.save wrote ({' '.join(str(error).split())})"
        ) from None
    (name, options), (method, values) = about["task"], about["growth"]
    frames = [pd.read_parquet(io.BytesIO(file[part].tobytes())) for part in ("finals", "history")]
    snapshots = dict(zip(file["epochs"].tolist(), file["snapshots"], strict=True))
    _require(
        name in TASKS if what is None else task(what).name == name,
        "what",
        what,
        f"the task {name!r}, which this file does not hold",
    )
    return Run(
        task(what or name, **({} if what else options)),
        METHODS[method](**values),
        about["settings"],
        *frames,
        file["weights"],
        snapshots,
    )


def _trials(trials):
    """The numbers of the trials: 0 ... n-1 for a count, or as given."""
    return (
        np.array(_wholes("trials", trials, 0))
        if np.ndim(trials) and len(trials)
        else np.arange(_whole("trials", trials))
    )


def _data(task, settings, where, stream="data", points=None):
    """The data sets of the trials of a run at `where`: all the same where it has one data_seed."""
    return task.draw(
        settings["seed"], np.take(settings["data_seed"], where, mode="clip"), stream, points
    )


def _log_every(epochs):
    """The smallest round step that logs at most 50 epochs, the first and the last among them."""
    return next(
        step * 10**power
        for power in range(12)
        for step in (1, 2, 5)
        if epochs / (step * 10**power) <= 49
    )


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
    """Return many networks of one setting, trained at once by gradient descent, on all training points at a time unless `batch` is said.

    Trial k depends on `seed` and k alone: not on how many train beside it, and its data and first
    weights are the same in every arm.

    Parameters
    ----------
    task_or_name : str or Task
        What to learn; see `task`.
    growth : AuxiliaryWeight or ControllerMask
        How the size behaves; its start, target, coupling and frozen take one value or one for each trial.
    trials : int or sequence of int
        How many networks (trials 0 ... n-1), or which.
    epochs : int or increasing sequence of int
        Full-batch steps; for a sequence, `finals` has rows for each of them, read off one run.
    lr : float or array
        Learning rate η (dimensionless), one or one for each trial.
    width : int or sequence of int
        Neurons that exist, H, of the hidden layer or of each; no smaller than the size's start and target.
    seed : int
        Picks the trials' random numbers.
    optimizer : {"gd", "adam"}
        Plain gradient descent, or Adam with 0.9, 0.999 and 1e-8.
    batch : int, optional
        Points of a mini-batch; an epoch then is one pass over the training points in a new order, with a step a batch.
    dtype : {"float32", "float64"}
        Precision of the training; float32 steps use a compensated sum.
    log_every : int, optional
        Epochs between rows of the history; by default at most 50 rows a trial.
    data_seed : int or sequence of int, optional
        The trial whose data set is used: one for all, or one for each; by default each trial's own.
    device : str
        A torch device.
    keep_weights : bool
        Keep the weights at every logged epoch, for `Run.theta` and `Run.predict`.
    compiled : bool, optional
        Compile the step (default: where a C++ compiler is found).
    output_scale : float
        What the first weights of the output layer (not its biases) are multiplied by.
    prune_at : int
        The epoch after which the neurons are put in falling order of the product of the norms of their incoming and outgoing
        weights and the size is set to its target, so that the last ones shut; 0: never. For one hidden layer.
    control : str
        A name for a control experiment, copied to the frames.
    progress : callable, optional
        Called with the fraction done, 0 ... 1, as training goes on.

    Raises
    ------
    ValueError
        One sentence that names the argument, what it got and what it takes.
    """
    what, growth = task(task_or_name), AuxiliaryWeight() if growth is None else growth
    _require(isinstance(growth, Growth), "growth", growth, "an AuxiliaryWeight or a ControllerMask")
    numbers, ends = _trials(trials), _wholes("epochs", epochs)
    _require(
        sorted(set(ends)) == ends,
        "epochs",
        epochs,
        "a whole number, or several in increasing order",
    )
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
        "log_every": _log_every(ends[-1]) if log_every is None else _whole("log_every", log_every),
        "data_seed": np.array(_wholes("data_seed", numbers if data_seed is None else data_seed, 0)),
        "output_scale": _number("output_scale", output_scale).item(),
        "prune_at": _whole("prune_at", prune_at, 0),
        "batch": None if batch is None else _whole("batch", batch),
    }
    _check_against(numbers, growth, settings)
    compiled = has_compiler() if compiled is None else compiled
    much = (
        (batch or 0) * max(_wholes("width", width)) >= CHUNK
        if what.large
        else len(numbers) > BLOCK / 2
    )
    threads = min(torch.get_num_threads(), 4) if much else 1
    block = 1 if what.large else min(64 * math.ceil(len(numbers) / 64), BLOCK * threads)
    blocks = np.split(np.arange(len(numbers)), range(block, len(numbers), block))
    pieces = [
        _train(
            what,
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
        for where in blocks
    ]
    frames, weights, snapshots = zip(*pieces, strict=True)
    history = with_sums(
        _about(what, growth, settings, numbers)
        .join(pd.concat(frames))
        .sort_values("epoch", kind="stable", ignore_index=True)
    )
    finals = (
        history[history["epoch"].isin(ends)]
        .rename(columns={"epoch": "epochs"})
        .drop(columns="gate")
        .reset_index(drop=True)
    )
    kept = {
        epoch: np.concatenate([part[epoch] for part in snapshots], axis=-1)
        for epoch in snapshots[0]
    }
    return Run(
        what,
        growth,
        settings,
        finals,
        history.drop(columns=ONLY_FINAL),
        np.concatenate(weights, axis=-1),
        kept,
    )


def _check_against(numbers, growth, settings):
    """Hold the arguments of `fit` against each other and against the machine."""
    given = vars(growth) | {
        "lr": _number("lr", settings["lr"], above=True, many=True),
        "data_seed": settings["data_seed"],
    }
    widths = _wholes("width", settings["width"])
    for name, value in given.items():
        _require(
            np.size(value) in (1, len(numbers)),
            name,
            value,
            f"one value, or one for each of the {len(numbers)} trials",
        )
    for name in ("start", "target"):
        _require(
            np.max(given[name]) <= min(widths),
            "width",
            settings["width"],
            f"at least the {name}, which is {np.max(given[name]):g}",
        )
    prunable = settings["prune_at"] < np.max(settings["epochs"]) and (
        len(widths) == 1 and growth.mask in ("staircase", "neuron")
    )
    _require(
        not settings["prune_at"] or prunable,
        "prune_at",
        settings["prune_at"],
        "an epoch before the last, with one hidden layer whose neurons open one after the other",
    )
    unmoved = growth.learns_from == "size" or (
        growth.opens == "neurons" and not growth.start_noise
    )  # a shut gate has no slope either
    if unmoved and np.any(
        (np.asarray(growth.start) == 0)
        & (np.asarray(growth.coupling) == 0)
        & ~np.asarray(growth.frozen)
    ):
        warnings.warn(
            "coupling is 0 and start too, so some networks never start to grow; a coupling above 0 moves their size",
            stacklevel=3,
        )
    try:
        torch.zeros(1, device=settings["device"]).item()
    except (RuntimeError, AssertionError, TypeError):
        raise ValueError(
            f"device is {settings['device']!r}; it takes a device that torch has here, such as cpu"
        ) from None


def _tensors(task, growth, settings, numbers, padded):
    """What a block of networks is trained with: all points x and y, the growth and the knobs in tensors, the first state."""
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
    """The training points as groups of chunks (x, y, share of a point), all chunks alike; a step follows each group.

    Without a batch there is one group; with one a chunk is a group, of points in `order`. The last chunk is filled up with
    points that do not count.
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
    """Train the trials at `where` as one block, padded to its full size: history, weights and snapshots."""
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
    """The state with the neurons in falling order of their weights' norms, and the size at its target."""
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
    """Operations of a neuron, a point and an epoch, on average over the layers, tanh counted as one (13 with one input and output)."""
    fans = zip([task.inputs, *widths[:-1]], widths, [*widths[1:], task.outputs], strict=True)
    return sum((3 + 4 * fan_in + 6 * fan_out) * neurons for fan_in, neurons, fan_out in fans) / sum(
        widths
    )


def _epochs(state, epochs, groups, knobs, growth, widths, few, task, optimizer, compiled, threads):
    """Train every network for those epochs, computing only the first `few` neurons while that is exact.

    A neuron whose gate has been zero ever since the start has a zero gradient, so leaving it out changes
    nothing. The largest size on the way tells whether one opened; then all is done again with every neuron.
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
    """What is logged of every trial: losses, size, active width and accuracy on the test points, in float64."""
    y_hat = outputs(theta, x, growth, widths, task.outputs)
    parts = [
        (y_hat[:, part].double(), y[part].double())
        for part in (slice(task.train_points), slice(task.train_points, None))
    ]
    size = theta[0].double()
    record = {
        "train_task_loss": task_loss(*parts[0], task.loss),
        "test_task_loss": task_loss(*parts[1], task.loss),
        "size_loss": size_loss(size, growth.target.double(), growth.coupling.double()),
        "size": size,
        "gate": torch.cat([growth.gate(size, width) for width in widths]).mean(0),
        "active_width": sum((growth.acts(size, width) > 1e-3).sum(0) for width in widths),
        "accuracy": _right(*parts[1]) if task.classes else torch.full_like(size, math.nan),
    }
    return {name: value.cpu().numpy() for name, value in record.items()}


def _fresh(theta, growth, task, settings, where):
    """The outputs (outputs, points, T) and the classes (points, T) at fresh points, or at the test points where there are none."""
    drawn = (
        _data(task, settings, where, "fresh", FRESH_POINTS)
        if task.endless
        else _data(task, settings, where)
    )
    x, y = (
        torch.tensor(
            a[..., 0 if task.endless else -task.test_points :, :],
            dtype=theta.dtype,
            device=theta.device,
        )
        for a in drawn
    )
    return outputs(theta, x, growth, settings["width"], task.outputs), y


def _classes(y_hat):
    """The likeliest class (points, T) by outputs (outputs, points, T)."""
    return (y_hat[0] >= 0).long() if len(y_hat) == 1 else y_hat.argmax(0)


def _right(y_hat, y):
    """The fraction of the points whose class is found, (T,)."""
    return (_classes(y_hat) == y.long()).double().mean(0)


def _about(task, growth, settings, numbers):
    """The settings of every network, a row each."""
    widths = _wholes("width", settings["width"])
    moving = {
        name: np.asarray(getattr(growth, name), dtype=float)
        for name in ("start", "target", "coupling")
    }
    about = {
        "task": task.name,
        "method": type(growth).__name__,
        "mask": growth.mask,
        "learns_from": growth.learns_from,
        "arm": growth.arm(),
        "control": settings["control"],
        "trial": numbers,
        **moving,
        "width": widths[0] if len(widths) == 1 else "-".join(map(str, widths)),
        "lr": np.asarray(settings["lr"], dtype=float),
        "points": task.points,
        "test_points": task.test_points,
        "classes": task.classes,
        "noise": float(task.options.get("noise", 0.1 if task.name == "gaussian-mixture" else 0.0)),
        "seed": settings["seed"],
        "data_seed": settings["data_seed"],
        "optimizer": settings["optimizer"],
        "dtype": settings["dtype"],
    }
    return pd.DataFrame(
        {name: np.broadcast_to(value, numbers.shape) for name, value in about.items()}
    )


def with_sums(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the frame with size_loss, where it is left to be derived, and train_loss and test_loss, the task loss with it, as published."""
    if "size_loss" not in frame:
        frame = frame.assign(
            size_loss=frame["coupling"] * (frame["size"].astype(float) - frame["target"]) ** 2
        )
    return frame.assign(
        **{
            f"{part}_loss": frame[f"{part}_task_loss"] + frame["size_loss"]
            for part in ("train", "test")
        }
    )

"""Three curves with a chosen number of turns, four tables, and the tasks of the benchmark.

Importing this module adds them to `growlib.TASKS`, so that `growlib.fit` and studies know them by
name. Add a task here if a study is to train on it. In a notebook, a function of x is a task by
itself, and `growkit.tables.task_from_frame` makes one of a table.

scikit-learn ships three of the tables, and the package mnist1d generates the fourth. Neither is
imported before a task is made, and nothing is fetched. From the kit, the module imports
`growkit.tables` alone.

The tasks of the benchmark of growth rules are called "rules-" and a name of `BENCHMARK`. They have
three sets of points: training points, validation points to choose settings by, and test points to
judge them by. The option `judged_by` says which of the last two are the task's test points.
"""

import functools
import random
from dataclasses import replace

import numpy as np
import pandas as pd

from growkit.tables import task_from_frame
from growlib import TASKS, Task, _choice, _few, _number

# ------------------------------------------------------------------------------------------- curves


def chirp(turns=5, points=40, test_points=8, noise=0.0, gap=0.0) -> Task:
    """Return the task of learning cos(π·turns·u²), where u runs from 0 to 1.

    From one end to the other the curve rises or falls `turns` times, ever faster. It has few random
    points, as the paper's regressions have, and takes the options that they take. With other turns
    than 5 they are part of its name, such as "chirp-3".
    """
    turns = _number("turns", turns, above=True).item()

    def curve(x):
        return np.cos(np.pi * turns * ((x + 1) / 2) ** 2)

    name = "chirp" if turns == 5 else f"chirp-{turns:g}"
    return _few(name, curve, "squared", points, test_points, noise, gap)


def damped_wave(points=40, test_points=8, noise=0.0, gap=0.0) -> Task:
    """Return the task of learning exp(−2u)·cos(5πu), where u runs from 0 to 1.

    It rises or falls five times and, just before its end, once more. The options are those of
    `chirp`, apart from the turns.
    """

    def curve(x):
        u = (x + 1) / 2
        return np.exp(-2 * u) * np.cos(5 * np.pi * u)

    return _few("damped-wave", curve, "squared", points, test_points, noise, gap)


def two_waves(points=40, test_points=8, noise=0.1, gap=0.0) -> Task:
    """Return the task of learning (sin πx + sin 3πx) / 2 from values with a normal error.

    The error's standard deviation is `noise`. The curve rises or falls seven times. The other
    options are those of `chirp`.
    """

    def curve(x):
        return (np.sin(np.pi * x) + np.sin(3 * np.pi * x)) / 2

    return _few("two-waves", curve, "squared", points, test_points, noise, gap)


# ------------------------------------------------------------------------------------------- tables


@functools.cache
def diabetes() -> Task:
    """Return the task of predicting the progress of diabetes in 442 people from ten measurements.

    The target is a score of how far the disease went within a year.
    """
    from sklearn import datasets

    people = datasets.load_diabetes(as_frame=True, scaled=False).frame
    return task_from_frame(people, target="target", classes=False, name="diabetes")


@functools.cache
def breast_cancer() -> Task:
    """Return the task of telling benign from malign tumours, 569 of them, by 30 measurements."""
    from sklearn import datasets

    tumours = datasets.load_breast_cancer(as_frame=True).frame
    return task_from_frame(tumours, target="target", classes=True, name="breast-cancer")


@functools.cache
def digits() -> Task:
    """Return the task of reading 1797 handwritten digits, images of 8 × 8 grey values."""
    from sklearn import datasets

    images = datasets.load_digits(as_frame=True).frame
    images = images.loc[:, images.nunique() > 1]  # three corners are white in every image
    return task_from_frame(images, target="target", classes=True, name="digits")


@functools.cache
def mnist_1d() -> Task:
    """Return MNIST-1D: 5000 digits of ten classes, each drawn as a curve of 40 points.

    The published division into training and test data is pooled; each trial draws its own.
    """
    from mnist1d.data import get_dataset_args, make_dataset

    # The package seeds the random generators of Python and NumPy; they go back to where they were.
    python_state, numpy_state = random.getstate(), np.random.get_state()
    digits = make_dataset(get_dataset_args())
    random.setstate(python_state)
    np.random.set_state(numpy_state)

    curves = pd.DataFrame(np.concatenate([digits["x"], digits["x_test"]]))
    curves["digit"] = np.concatenate([digits["y"], digits["y_test"]])
    return task_from_frame(curves, target="digit", classes=True, name="mnist-1d")


# ---------------------------------------------------------------------------------- the benchmark


def _student_teacher():
    """Return the task of learning what a random network of ten tanh neurons answers.

    The teacher's weights are uniform on [-1, 1] and drawn anew by each trial, its ten inputs are
    normal. Adapted from Evci et al. 2022, whose networks have ReLUs and ten outputs.
    """

    def sample(generator, points):
        biases, out = generator.uniform(-1, 1, (2, 10))
        weights = generator.uniform(-1, 1, (10, 10))
        x = generator.standard_normal((10, points))
        return x, out @ np.tanh(biases[:, None] + weights @ x)

    return Task("student-teacher", sample, inputs=10, standardised=True)


def _friedman():
    """Return the regression of Friedman 1991 with an error of standard deviation 1.

    Five of the ten inputs, uniform on [0, 1], do not matter.
    """

    def sample(generator, points):
        x = generator.uniform(0, 1, (10, points))
        y = 10 * np.sin(np.pi * x[0] * x[1]) + 20 * (x[2] - 0.5) ** 2 + 10 * x[3] + 5 * x[4]
        return x, y + generator.standard_normal(points)

    return Task("friedman", sample, inputs=10, noise=1.0, standardised=True)


def _moons():
    """Return the task of telling two half circles apart, with a normal error of 0.2."""

    def sample(generator, points):
        y = generator.integers(0, 2, points)
        angle = np.pi * generator.uniform(0, 1, points)
        x = np.stack([np.cos(angle), np.sin(angle)])
        x = np.where(y == 0, x, np.array([[1], [0.5]]) - x)
        return x + 0.2 * generator.standard_normal(x.shape), y.astype(float)

    return Task("two-moons", sample, "logistic", inputs=2, standardised=True)


# What each task of the benchmark is made of, with its training, validation and test points.
BENCHMARK = {
    "bessel-sum": (TASKS["bessel-sum"], 32, 64, 256),
    "square-wave": (TASKS["square-wave"], 32, 64, 256),
    "chirp": (chirp, 32, 64, 256),
    "student-teacher": (_student_teacher, 250, 250, 1000),
    "student-small": (_student_teacher, 250, 250, 1000),  # the same for a smaller student
    "friedman-50": (_friedman, 40, 200, 1000),
    "friedman-200": (_friedman, 160, 200, 1000),
    "two-moons": (_moons, 160, 200, 1000),
    "spirals": (TASKS["spirals"], 400, 500, 1000),
    "bessel-grid": (functools.partial(TASKS["bessel-grid"], points=4096), 3277, 410, 409),
    "diabetes": (diabetes, 265, 88, 89),
    "breast-cancer": (breast_cancer, 341, 114, 114),
    "digits": (digits, 1078, 359, 360),
    "mnist-1d": (mnist_1d, 3000, 1000, 1000),
}


def benchmark_task(name, judged_by="test") -> Task:
    """Return a task of the benchmark with its training points and one of its other two sets.

    The training points of a trial are the same with `judged_by` "validation" and "test". The three
    sets have no point in common, but for the origin of the spirals, which is of every class.
    """
    make, training, validation, test = BENCHMARK[_choice("name", name, BENCHMARK)]
    _choice("judged_by", judged_by, ("validation", "test"))
    base = make()
    all_points = training + validation + test
    others = slice(training, training + validation)
    if judged_by == "test":
        others = slice(training + validation, all_points)
    judging = test if judged_by == "test" else validation

    def sample(generator, points):
        if points != training + judging:  # fresh ones, for which there are no sets
            return base.sample(generator, points)
        x, y = base.sample(generator, all_points)
        x = np.concatenate([x[:, :training], x[:, others]], 1)
        return x, np.concatenate([y[:training], y[others]])

    return replace(
        base, name=f"rules-{name}", sample=sample, points=training + judging, test_points=judging
    )


def _one_of_the_benchmark(name):
    """Return a function that makes the task, with `judged_by` as its only option."""

    def make(judged_by="test"):
        return benchmark_task(name, judged_by)

    return make


# What this module adds to growlib's tasks.
ADDED = {
    "chirp": chirp,
    "damped-wave": damped_wave,
    "two-waves": two_waves,
    "diabetes": diabetes,
    "breast-cancer": breast_cancer,
    "digits": digits,
    "mnist-1d": mnist_1d,
}
ADDED |= {f"rules-{name}": _one_of_the_benchmark(name) for name in BENCHMARK}
TASKS.update(ADDED)

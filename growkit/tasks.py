"""Three curves with a chosen number of turns and three tables, beside the targets of the paper.

Importing this module adds them to `growlib.TASKS`, so that `growlib.fit` and studies know them by
name. Add a task here if a study is to train on it. In a notebook, a function of x is a task by
itself, and `growkit.tables.task_from_frame` makes one of a table.

scikit-learn ships the first two tables, and the package mnist1d generates the third. Neither is
imported before a task is made, and nothing is fetched. From the kit, the module imports
`growkit.tables` alone.
"""

import functools
import random

import numpy as np
import pandas as pd

from growkit.tables import task_from_frame
from growlib import TASKS, Task, _few, _number

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


TASKS["chirp"] = chirp
TASKS["damped-wave"] = damped_wave
TASKS["two-waves"] = two_waves
TASKS["diabetes"] = diabetes
TASKS["breast-cancer"] = breast_cancer
TASKS["mnist-1d"] = mnist_1d

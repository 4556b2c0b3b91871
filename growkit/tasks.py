"""Three tables of real and generated data as tasks, beside the targets of the paper.

Importing this module adds them to `growlib.TASKS`, so that `growlib.fit` and studies know them by
name. Add a table here if a study is to train on it; for a table of your own in a notebook,
`growkit.tables.task_from_frame` alone is enough.

scikit-learn ships the first two tables, and the package mnist1d generates the third. Neither is
imported before a task is made, and nothing is fetched. From the kit, the module imports
`growkit.tables` alone.
"""

import functools
import random

import numpy as np
import pandas as pd

from growkit.tables import task_from_frame
from growlib import TASKS, Task


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


TASKS["diabetes"] = diabetes
TASKS["breast-cancer"] = breast_cancer
TASKS["mnist-1d"] = mnist_1d

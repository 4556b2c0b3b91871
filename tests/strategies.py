"""Strategies of hypothesis, which make up growths, tasks and calls of `fit` for the property tests.

A call is a dict of the arguments of `fit`.
"""

import math

import numpy as np
import pandas as pd
from hypothesis import strategies as st

import growlib
from growkit import tables

METHODS = [growlib.AuxiliaryWeight, growlib.ControllerMask]
SEEDS = st.integers(0, 2**32)
TRIALS = st.lists(st.integers(0, 1000), min_size=1, max_size=4, unique=True)


def powers(low, high):
    """Return numbers from low to high, evenly spread on a logarithmic scale."""
    return st.floats(math.log10(low), math.log10(high)).map(lambda power: 10**power)


def sizes(largest):
    """Return sizes from 0 to the largest one, whole numbers among them."""
    return st.floats(0, largest) | st.integers(0, int(largest)).map(float)


# ------------------------------------------------------------------------------------------ growths


def growths(width=3, methods=METHODS, **fixed):
    """Return growths of these methods whose sizes fit the width; `fixed` fields do not vary."""
    return st.one_of([_growths_of(method, width, fixed) for method in methods])


def _growths_of(method, width, fixed):
    largest = min(width, method.most)
    fields = {
        "start": sizes(largest),
        "target": sizes(largest),
        "coupling": powers(1e-3, 1e3),
        "frozen": st.booleans(),
        "speed": st.sampled_from([0.0, 0.3, 1.0, 3.0]),
        "feeds": st.sampled_from([0.0, 0.2, 1.0]),
        "forgets": st.booleans(),
        "opens": st.sampled_from(["neurons", "rate", "nothing"]),
        # with "exponential" the size opens nothing; tests/test_growths.py has its properties
        "mask": st.sampled_from([mask for mask in method.masks if mask != "exponential"]),
        "learns_from": st.sampled_from(["size", "loss"]),
    }
    if method is growlib.ControllerMask:
        fields["start_noise"] = st.sampled_from([0.0, 1e-5, 0.1])
    for name, value in fixed.items():
        fields[name] = st.just(value)
    return st.builds(method, **fields)


# -------------------------------------------------------------------------------------------- tasks


def table_task(classes):
    """Return a task on a table of 40 rows with three inputs; a regression if `classes` is 0."""
    generator = np.random.default_rng(0)
    inputs = generator.normal([0, 100, -3], [1, 20, 0.01], (40, 3))
    target = np.arange(40) % classes if classes else inputs @ [1, 0.01, 5]
    table = pd.DataFrame(inputs, columns=["a", "b", "c"]).assign(y=target)
    return tables.task_from_frame(table, "y", classes=bool(classes))


PAPER_TASKS = [
    growlib.task("cubic-1"),
    growlib.task("bessel-sum", points=12, test_points=4, noise=0.1),
    growlib.task("bessel-grid", points=50, gap=0.1),
    growlib.task("square-wave"),
    growlib.task("spirals", points=60, classes=3),
]
SMALL_TASKS = [*PAPER_TASKS, table_task(0), table_task(2), table_task(3)]
CLASSIFICATIONS = [task for task in SMALL_TASKS if task.classes]
LARGE_TASK = growlib.task("gaussian-mixture", points=1300)


# -------------------------------------------------------------------------------------------- calls

ONE_LAYER = st.integers(1, 12)
SEVERAL_LAYERS = st.lists(st.integers(1, 5), min_size=2, max_size=3)
WIDTHS = ONE_LAYER | SEVERAL_LAYERS


@st.composite
def calls(
    draw,
    growths_of_width=growths,
    tasks=(*SMALL_TASKS, LARGE_TASK),
    widths=WIDTHS,
    **fixed,
):
    """Return calls of `fit` for few networks and epochs; `fixed` arguments do not vary."""
    width = draw(widths)
    trials = draw(TRIALS)
    data_seeds = st.integers(0, 9)
    each_its_data_seed = st.lists(data_seeds, min_size=len(trials), max_size=len(trials))
    arguments = {
        "task_or_name": st.sampled_from(tasks),
        "growth": growths_of_width(np.min(width)),
        "epochs": st.integers(1, 3),
        "lr": powers(1e-5, 1),
        "seed": SEEDS,
        "optimizer": st.sampled_from(["gd", "adam", "momentum"]),
        "schedule": st.sampled_from(["constant", "cosine"]),
        "batch": st.none() | st.integers(5, 50),
        "dtype": st.sampled_from(["float32", "float64"]),
        "log_every": st.integers(1, 3),
        "data_seed": st.none() | data_seeds | each_its_data_seed,
        "output_scale": st.sampled_from([1.0, 0.01]),
        "newborn_scale": st.sampled_from([1.0, 0.0]),
        "compiled": st.sampled_from([None, False]),
    }
    for name, value in fixed.items():
        arguments[name] = st.just(value)

    call = draw(st.fixed_dictionaries(arguments))
    call["width"] = width
    call["trials"] = trials
    # Small batches of a large set would take too long.
    if call["batch"] and call["task_or_name"].large:
        call["batch"] = 400
    return call

"""Every mistake gets one sentence: what the argument is, what it got, what it takes.

Three tables list the mistakes: in calls of every public name, in the parameters of every notebook,
and in commands. Nothing is lost by a mistake.
"""

import ast
import copy
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import nbformat
import numpy as np
import pandas as pd
import pytest
import torch
from conftest import ROOT
from test_browser import without_browser
from test_docs import PUBLIC
from test_tables import table
from torch import nn

import growlib
from growkit import figures, parameters, statistics, studies, surgery, tables, widgets

sys.path.insert(0, str(ROOT / "tools"))

import data
import notebooks

# ---------------------------------------------------------------------- calls: what the table needs

ONE_AXES = "axes is 'ndarray'; it takes one Axes, such as axes[0, 0]"
LACKS_ESTIMATES = "it takes a frame that also has the columns "
SEVERAL_AXES = np.zeros(1)
ONE_WHOLE = "it takes a whole number of at least 1"
ZERO_WHOLE = "it takes a whole number of at least 0"
ONE_LAYER_OF_ADAM = "it takes network, unless there is one hidden layer and the optimizer is adam"
FINITE = "it takes a finite number of at least 0"

CUBIC = growlib.task("cubic-1")
TABLE = table()
NUMBERS = TABLE.drop(columns="kind")


def fit(task="cubic-1", growth=None, **options):
    return growlib.fit(task, growth, **{"trials": 5, "epochs": 4, "compiled": False} | options)


# Each of these returns a call for the table: a function of what the fixture `given` makes.


def fits(*arguments, **options):
    return lambda _: fit(*arguments, **options)


def aux(**fields):
    return lambda _: growlib.AuxiliaryWeight(**fields)


def mask(**fields):
    return lambda _: growlib.ControllerMask(**fields)


def samples(sample, **fields):
    """Fit a task of one's own that draws its data by `sample`."""
    options = {"loss": "softmax", "inputs": 2, "outputs": 3} | fields
    return lambda _: fit(growlib.Task("mine", sample, **options))


def tabulates(frame, target="kind", **options):
    return lambda _: tables.task_from_frame(frame, target, **options)


def reads(name):
    return lambda given: tables.task_from_frame(given.path / name, "kind")


def computes(options, **arguments):
    """Compute a study whose grid has these options beside a task."""
    return computes_grid({"task": "cubic-1"} | options, **arguments)


def computes_grid(grid, **arguments):
    return lambda _: studies.study("sweep", grid, **arguments)


def compares(**options):
    return lambda given: statistics.compare(given.finals, **options)


def saves_run(name):
    return lambda given: given.run.save(given.path / name)


def loads_run(name, *arguments):
    return lambda given: growlib.load(given.path / name, *arguments)


def draws_histories(history=None, axes=None, **options):
    def call(given):
        frame = given.run.history if history is None else history
        figures.plot_histories(frame, one_axes() if axes is None else axes, **options)

    return call


def draws_mirrored(finals=None, axes=None, **options):
    def call(given):
        frame = given.finals if finals is None else finals
        figures.plot_mirrored(frame, one_axes() if axes is None else axes, **options)

    return call


def grows(first, second, n, optimizer=None):
    """Grow the layer between two modules of the model, which are given by their places."""

    def call(given):
        trains = None if optimizer is None else optimizer(given.net)
        surgery.grow(given.net[first], given.net[second], n, trains)

    return call


def grows_named(name, **options):
    """Grow a layer of the model that is given by its name."""
    return lambda given: surgery.grow(given.net, name, 1, **options)


def shrinks(first, second, n):
    return lambda given: surgery.shrink(given.net[first], given.net[second], n)


def trains_first_alone(change):
    """Grow or shrink layers of which the optimizer holds the first only."""

    def call(given):
        optimizer = torch.optim.SGD(given.net[0].parameters(), lr=0.1)
        change(given.net[0], given.net[3], 2, optimizer)

    return call


def at_home(folder, call):
    """Make a call where `HOME` is a folder of the test's own."""

    def call_there(given):
        growlib.HOME = given.path / folder
        return call(given)

    return call_there


def model():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(3, 8), nn.ReLU(), nn.Dropout(0), nn.Linear(8, 5), nn.ReLU(), nn.Linear(5, 2)
    )


def changed(column, row, value):
    """Return TABLE with another value in one of its cells."""
    frame = TABLE.astype({column: object})
    frame.loc[row, column] = value
    return frame


def one_figure():
    return figures.new_figure()[0]


def one_axes():
    return figures.new_figure()[1][0, 0]


def plots(name, **arguments):
    """Return a call of a plot, into one axes unless `axes` is given."""

    def call(_):
        getattr(figures, name)(**{"axes": one_axes(), **arguments})

    return call


def saves_figure(*arguments, **options):
    return lambda _: figures.save_figure(one_figure(), *arguments, **options)


def normed(layer):
    return nn.utils.parametrizations.weight_norm(layer)


def uniform(rows):
    """Return a sample of so many inputs whose classes are all 0."""
    return lambda generator, points: (generator.uniform(size=(rows, points)), np.zeros(points))


def four_classes(generator, points):
    return generator.uniform(size=(2, points)), np.arange(points) % 4.0


def no_numbers(generator, points):
    return np.full((2, points), np.nan), np.zeros(points)


def count(places):
    return {"n": len(places)}


# --------------------------------------------------------------------------------- calls: the table

# For every public name its mistakes: the call, words of the sentence, and the error if it is not a
# ValueError.

TASKS = {
    "task": [
        (lambda _: growlib.task(3), "task is 'int'; it takes a name, a function of x, or a Task"),
        (
            lambda _: growlib.task("cubic-1", classes=3),
            "option of task cubic-1 is 'classes'; it takes one of points, test_points, noise, gap",
        ),
        (
            lambda _: growlib.task("bessel-grid", classes=3),
            "option of task bessel-grid is 'classes'; it takes one of points, noise, gap",
        ),
        (
            lambda _: growlib.task(abs, classes=3),
            "option of task abs is 'classes'; it takes one of points, test_points, noise, gap",
        ),
        (
            lambda _: growlib.task("cubic-1", points=0),
            "points is 0; it takes a whole number of at least 2",
        ),
        (
            lambda _: growlib.task("cubic-1", points=8, test_points=8),
            "test_points is 8; it takes less than 8",
        ),
        (lambda _: growlib.task("cubic-1", test_points=0), f"test_points is 0; {ONE_WHOLE}"),
        (
            lambda _: growlib.task("bessel-grid", points=3),
            "points is 3; it takes a whole number of at least 10",
        ),
        (
            lambda _: growlib.task("spirals", points=3),
            "points is 3; it takes a whole number of at least 50",
        ),
        (
            lambda _: growlib.task("spirals", classes=1),
            "classes is 1; it takes a whole number of at least 2",
        ),
        (lambda _: growlib.task("gaussian-mixture", noise=-0.1), f"noise is -0.1; {FINITE}"),
        (lambda _: growlib.task("cubic-1", noise=[0.1, 0.2]), f"noise is [0.1, 0.2]; {FINITE}"),
        (lambda _: growlib.task("cubic-1", gap=-1), f"gap is -1; {FINITE}"),
        (
            lambda _: growlib.task("square-wave", noise=0.1),
            "option of task square-wave is 'noise'; it takes one of points, test_points, gap",
        ),
        (
            lambda _: growlib.task(growlib.task("spirals", points=500), gap=0.01),
            "gap is 0.01; it takes 0, since there are several inputs",
        ),
    ],
    "Task": [
        (
            samples(None, loss="hinge"),
            "loss is 'hinge'; it takes one of squared, logistic, softmax",
        ),
        (samples(None, inputs=0), f"inputs is 0; {ONE_WHOLE}"),
        (samples(uniform(2), outputs=0), f"outputs is 0; {ONE_WHOLE}"),
        (samples(None, outputs="a"), f"outputs is 'a'; {ONE_WHOLE}"),
        (
            samples(None, outputs=1),
            "outputs is 1; it takes 2 or more with the loss softmax, and 1 with the others",
        ),
        (samples(None, loss="logistic"), "outputs is 3; it takes 2 or more with the loss softmax"),
        (samples(None, loss="squared"), "outputs is 3; it takes 2 or more with the loss softmax"),
        (samples(None, gap=0.1), "gap is 0.1; it takes 0, since there are several inputs"),
        (samples(None), "sample is None; it takes a function of a random generator"),
        (samples(uniform(2), target=3), "target is 3; it takes a function of x, or None"),
        (lambda _: growlib.Task(3, uniform(1)), "name is 3; it takes the name of the task"),
        (samples(four_classes), "sample's y is [0.0, 1.0, 2.0, 3.0]; it takes 0 ... 2"),
        (samples(uniform(3)), "sample's x is 'of shape (3, 40)'; it takes as many points as y, (2"),
        (samples(no_numbers), "sample's x is [nan, nan, nan, nan, nan, nan, nan, nan, nan]; it"),
        (
            samples(lambda generator, _points: uniform(2)(generator, 32)),
            "sample's y is 'of shape (32,)'; it takes more of the 40 points than the 32 for",
        ),
    ],
    "Task.draw": [
        (lambda _: CUBIC.draw(-1, [0]), f"seed is -1; {ZERO_WHOLE}"),
        (lambda _: CUBIC.draw(0, [-1]), f"trials is -1; {ZERO_WHOLE}"),
        (lambda _: CUBIC.draw(0, []), f"trials is []; {ONE_WHOLE}"),
        (lambda _: CUBIC.draw(0, [0], "dat"), "stream is 'dat'; it takes one of data, weights"),
        (lambda _: CUBIC.draw(0, [0], points=0), f"points is 0; {ONE_WHOLE}"),
        (
            lambda _: growlib.task("bessel-sum", gap=0.5).draw(0, range(5)),
            "gap is 0.5; it takes a smaller gap, or more test_points",
        ),
        (
            lambda _: growlib.task(lambda x: 3.0).draw(0, 2),
            "sample's y is 'of shape ()'; it takes one number for each point, (points,)",
        ),
        (
            lambda _: growlib.task(lambda x: np.where(x > 0.9, np.inf, x)).draw(0, 2),
            "sample's y is [inf",
        ),
    ],
    "random_stream": [
        (lambda _: growlib.random_stream("a", 0, "data"), f"seed is 'a'; {ZERO_WHOLE}"),
        (lambda _: growlib.random_stream(0, 1.5, "data"), f"trial is 1.5; {ZERO_WHOLE}"),
        (
            lambda _: growlib.random_stream(0, 0, "dat"),
            "stream is 'dat'; it takes one of data, weights",
        ),
    ],
}

GROWTHS = {
    "Growth": [(lambda _: growlib.Growth(), "instantiate abstract class Growth", TypeError)],
    "AuxiliaryWeight": [
        (aux(start=-1), f"start is -1; {FINITE}, or one for each trial"),
        (aux(start=float("inf")), f"start is inf; {FINITE}"),
        (aux(start=[[1]]), f"start is [[1]]; {FINITE}"),
        (aux(target="five"), f"target is 'five'; {FINITE}"),
        (aux(coupling=-0.1), f"coupling is -0.1; {FINITE}"),
        (aux(coupling=float("nan")), f"coupling is nan; {FINITE}"),
        (aux(frozen="no"), "frozen is 'no'; it takes True or False, or one for each trial"),
        (aux(frozen=1), "frozen is 1; it takes True or False"),
        (aux(speed=float("nan")), f"speed is nan; {FINITE}"),
        (aux(speed=[1, 2]), f"speed is [1, 2]; {FINITE}"),
        (aux(feeds=-1), f"feeds is -1; {FINITE}"),
        (aux(feeds=[1, 2]), f"feeds is [1, 2]; {FINITE}"),
        (aux(forgets="no"), "forgets is 'no'; it takes True, False or neuron"),
        (aux(forgets=np.ones(2)), "forgets is array([1., 1.]); it takes True, False or neuron"),
        (aux(opens="all"), "opens is 'all'; it takes one of neurons, rate, nothing, training"),
        (aux(mask="neuron"), "mask is 'neuron'; it takes one of staircase, shared, reversed"),
        (aux(learns_from="none"), "learns_from is 'none'; it takes one of size, loss"),
        (aux(begin=3), "unexpected keyword argument 'begin'", TypeError),
    ],
    "ControllerMask": [
        (mask(start=2.0), "start is 2.0; it takes at most 1, where every neuron takes part"),
        (mask(target=5), "target is 5; it takes at most 1, where every neuron takes part"),
        (mask(mask="layer"), "mask is 'layer'; it takes one of shared, neuron"),
        (mask(learns_from="task"), "learns_from is 'task'; it takes one of size, loss"),
        (mask(start_noise=-1), f"start_noise is -1; {FINITE}"),
        (mask(start_noise=[0.1, 0.1]), f"start_noise is [0.1, 0.1]; {FINITE}"),
    ],
    "arms": [
        (
            lambda _: growlib.arms("Auxiliary"),
            "method is 'Auxiliary'; it takes one of AuxiliaryWeight, ControllerMask",
        ),
        (lambda _: growlib.arms(growlib.AuxiliaryWeight()), "method is AuxiliaryWeight(start=0.0"),
        (lambda _: growlib.arms(coupling=-1), f"coupling is -1; {FINITE}"),
        (lambda _: growlib.arms(int), "method is <class 'int'>; it takes one of AuxiliaryWeight"),
        (
            lambda _: growlib.arms(begin=3),
            "choice of AuxiliaryWeight is 'begin'; it takes one of start, target, coupling",
        ),
    ],
    "together": [
        (
            lambda _: growlib.together([], 3),
            "growths is []; it takes one or more of them, such as arms() makes",
        ),
        (
            lambda _: growlib.together("arms", 3),
            "growths is ['a', 'r', 'm', 's']; it takes one or more of them",
        ),
        (lambda _: growlib.together(None, 3), "growths is [None]; it takes one or more of them"),
        (lambda _: growlib.together(growlib.arms(), 0), f"trials is 0; {ONE_WHOLE}"),
        (
            lambda _: growlib.together(
                [growlib.ControllerMask(), growlib.ControllerMask(mask="neuron")], 3
            ),
            "growths is [ControllerMask(",
        ),
    ],
}

NETWORK = {
    "layer_shapes": [
        (lambda _: growlib.layer_shapes("a"), f"width is 'a'; {ONE_WHOLE}"),
        (lambda _: growlib.layer_shapes(-3), f"width is -3; {ONE_WHOLE}"),
        (lambda _: growlib.layer_shapes([]), f"width is []; {ONE_WHOLE}"),
        (lambda _: growlib.layer_shapes(9, 0), f"inputs is 0; {ONE_WHOLE}"),
        (lambda _: growlib.layer_shapes(9, 1, -1), f"outputs is -1; {ONE_WHOLE}"),
    ],
    "initial_weights": [
        (
            lambda _: growlib.initial_weights(-1, [0], 9, growlib.AuxiliaryWeight()),
            "seed is -1; it takes a whole number",
        ),
        (
            lambda _: growlib.initial_weights(0, [0], 0, growlib.AuxiliaryWeight()),
            f"width is 0; {ONE_WHOLE}",
        ),
        (
            lambda _: growlib.initial_weights(0, [], 9, growlib.AuxiliaryWeight()),
            f"trials is []; {ONE_WHOLE}",
        ),
    ],
    "outputs": [
        (
            lambda _: growlib.outputs(
                torch.zeros(3, 2), torch.zeros(1, 5, 2), growlib.AuxiliaryWeight(), 9
            ),
            "split_sizes to sum",
            RuntimeError,
        )
    ],
    "unpack": [
        (
            lambda _: growlib.unpack(torch.zeros(3, 2), [(3, 2)]),
            "expects split_sizes to sum exactly to 2",
            RuntimeError,
        )
    ],
    "pack": [
        (
            lambda _: growlib.pack(torch.zeros(2), [torch.zeros(3, 3, 3)]),
            "shape '[-1, 2]' is invalid for input of size 27",
            RuntimeError,
        )
    ],
    "task_loss": [
        (
            lambda _: growlib.task_loss(torch.zeros(1, 3, 2), torch.zeros(3, 2), "hinge"),
            "loss is 'hinge'; it takes one of squared",
        ),
        (
            lambda _: growlib.task_loss(torch.zeros(1, 3, 2), torch.zeros(4, 2), "squared"),
            "size of tensor a (3) must match",
            RuntimeError,
        ),
    ],
}

TRAINING = {
    "fit": [
        (fits("bessel"), "task is 'bessel'; it takes one of bessel-j0"),
        (
            fits(TABLE),
            "task is 'DataFrame'; it takes a name, a function of x, or a Task, as task_from_frame "
            "makes of a table",
        ),
        (
            fits(growth="growing"),
            "growth is 'growing'; it takes an AuxiliaryWeight or a ControllerMask",
        ),
        (
            fits(growth=growlib.AuxiliaryWeight),
            "growth is <class 'growlib.AuxiliaryWeight'>; it takes an AuxiliaryWeight or",
        ),
        # how much is trained
        (fits(trials=0), f"trials is 0; {ONE_WHOLE}"),
        (fits(trials=2.5), f"trials is 2.5; {ONE_WHOLE}"),
        (fits(trials=[]), f"trials is []; {ONE_WHOLE}"),
        (fits(trials=[0, -1]), f"trials is -1; {ZERO_WHOLE}"),
        (fits(epochs=0), f"epochs is 0; {ONE_WHOLE}"),
        (fits(epochs=-3), f"epochs is -3; {ONE_WHOLE}"),
        (fits(epochs=[]), f"epochs is []; {ONE_WHOLE}"),
        (
            fits(epochs=(20, 10)),
            "epochs is (20, 10); it takes a whole number, or several in increasing order",
        ),
        (fits(log_every=0), f"log_every is 0; {ONE_WHOLE}"),
        (fits(batch=0), f"batch is 0; {ONE_WHOLE}"),
        (fits(batch=2.5), f"batch is 2.5; {ONE_WHOLE}"),
        # the network
        (fits(width=0), f"width is 0; {ONE_WHOLE}"),
        (fits(width=[]), f"width is []; {ONE_WHOLE}"),
        (fits(width=[10, 0]), f"width is 0; {ONE_WHOLE}"),
        (fits(width=3), "width is 3; it takes at least the target, which is 5"),
        (
            fits(growth=growlib.AuxiliaryWeight(start=10)),
            "width is 9; it takes at least the start, which is 10",
        ),
        (fits(output_scale=-1), f"output_scale is -1; {FINITE}"),
        (fits(output_scale=[1, 1]), f"output_scale is [1, 1]; {FINITE}"),
        (fits(newborn_scale=-1), f"newborn_scale is -1; {FINITE}"),
        (
            fits(growth=growlib.AuxiliaryWeight(opens="training"), width=[9, 9]),
            "opens is 'training'; it takes another value, since there are several hidden layers",
        ),
        (
            fits(growth=growlib.AuxiliaryWeight(forgets="neuron"), width=[9, 9]),
            "forgets is 'neuron'; it takes another value, since there are several hidden layers",
        ),
        # the optimizer
        (fits(optimizer="sgd"), "optimizer is 'sgd'; it takes one of gd, adam, momentum"),
        (fits(schedule="step"), "schedule is 'step'; it takes one of constant, cosine"),
        (fits(counts="weight"), "counts is 'weight'; it takes one of network, neuron"),
        (fits(counts="neuron"), f"counts is 'neuron'; {ONE_LAYER_OF_ADAM}"),
        (
            fits(counts="neuron", optimizer="adam", width=[9, 9]),
            f"counts is 'neuron'; {ONE_LAYER_OF_ADAM}",
        ),
        # a value for each trial
        (fits(lr=0), "lr is 0; it takes a finite number above 0, or one for each trial"),
        (fits(lr=-1e-3), "lr is -0.001; it takes a finite number above 0"),
        (fits(lr=float("nan")), "lr is nan; it takes a finite number above 0"),
        (fits(lr="fast"), "lr is 'fast'; it takes a finite number above 0"),
        (
            fits(lr=[0.1, 0.2]),
            "lr is array([0.1, 0.2]); it takes one value, or one for each of the 5 trials",
        ),
        (  # a large array is shown on one line
            fits(lr=np.full((40, 40), 0.1)),
            "lr is array([[0.1, 0.1, 0.1, ..., 0.1, 0.1, 0.1], [0.1",
        ),
        (
            fits(growth=growlib.AuxiliaryWeight(coupling=[0.1] * 4)),
            "coupling is [0.1, 0.1, 0.1, 0.1]; it takes one value",
        ),
        (
            fits(growth=growlib.AuxiliaryWeight(start=[0.1] * 6)),
            "start is [0.1, 0.1, 0.1, 0.1, 0.1, 0.1]; it takes one value",
        ),
        (
            fits(growth=growlib.AuxiliaryWeight(frozen=[True] * 4)),
            "frozen is [True, True, True, True]; it takes one value",
        ),
        # random numbers
        (fits(seed=-1), f"seed is -1; {ZERO_WHOLE}"),
        (
            fits(data_seed=[1, 2]),
            "data_seed is array([1, 2]); it takes one value, or one for each of the 5 trials",
        ),
        (fits(data_seed=-1), f"data_seed is -1; {ZERO_WHOLE}"),
        (fits(data_seed="mine"), "data_seed is 'mine'; it takes a whole number"),
        # how it is trained
        (fits(optimizer="sgd"), "optimizer is 'sgd'; it takes one of gd, adam"),
        (fits(dtype="float16"), "dtype is 'float16'; it takes one of float32, float64"),
        (
            fits(device=None),
            "device is None; it takes a device that torch has here, such as cpu",
        ),
        (
            fits(device="gpu9"),
            "device is 'gpu9'; it takes a device that torch has here, such as cpu",
        ),
        (
            fits(device="meta"),
            "device is 'meta'; it takes a device that torch has here, such as cpu",
        ),
        (
            fits(prune_at=4),
            "prune_at is 4; it takes an epoch before the last, with one hidden layer",
        ),
        (
            fits(prune_at=(3, 2)),
            "prune_at is [3, 2]; it takes an epoch, or several in increasing order",
        ),
        (
            fits(prune_at=1, width=[9, 9]),
            "prune_at is 1; it takes an epoch before the last, with one hidden layer",
        ),
        (fits(prune_at=1.5), "prune_at is 1.5; it takes a whole number"),
        (fits(compiled="False"), "compiled is 'False'; it takes True, False or None"),
        (fits(keep_weights=1), "keep_weights is 1; it takes True or False"),
        (fits(control=["a", "b"]), "control is ['a', 'b']; it takes the name of a control"),
        (fits(epoch=3), "unexpected keyword argument 'epoch'", TypeError),
        (fits(progress=3), "'int' object is not callable", TypeError),
    ]
}

RUNS = {
    "Run.predict": [
        (
            lambda given: given.run.predict("a"),
            "x is 'a'; it takes finite numbers, (points, 1) or (points,)",
        ),
        (
            lambda given: given.run.predict([]),
            "x is []; it takes finite numbers, (points, 1) or (points,)",
        ),
        (lambda given: given.run.predict([float("nan")]), "x is [nan]; it takes finite numbers"),
        (
            lambda given: given.run.predict(np.zeros((2, 3))),
            "x is array([[0., 0., 0.], [0., 0., 0.]]); it takes finite numbers, (points, 1)",
        ),
        (
            lambda given: given.run.predict(0, epoch=7),
            "epoch is 7; it takes an epoch whose weights were kept: none",
        ),
        (
            lambda given: given.own.predict([[0.1, 0.2]]),
            "x is [[0.1, 0.2]]; it takes finite numbers, (points, 4)",
        ),
        (
            lambda given: given.own.predict([0.1, 0.2, 0.3, float("nan")]),
            "x is [0.1, 0.2, 0.3, nan]; it takes finite numbers, (points, 4)",
        ),
        (
            lambda given: given.own.predict(TABLE[["mass"]]),
            "x is ['mass']; it takes a frame that also has the columns age, sick, height",
        ),
        (
            lambda given: given.own.predict(TABLE[:0]),
            "x is 'DataFrame'; it takes a DataFrame with rows",
        ),
        (
            lambda given: given.own.predict(changed("age", 9, np.nan)),
            "x: column 'age', row 9 is nan; it takes finite numbers",
        ),
    ],
    "Run.theta": [
        (
            lambda given: given.run.theta(3),
            "epoch is 3; it takes an epoch whose weights were kept: none, since it was not fitted "
            "with keep_weights",
        )
    ],
    "Run.dense": [
        (lambda given: given.run.dense(2), "network is 2; it takes less than 2"),
        (lambda given: given.run.dense(-1), f"network is -1; {ZERO_WHOLE}"),
    ],
    "Run.confusion": [
        (
            lambda given: given.run.confusion(),
            "task is 'cubic-1'; it takes a classification, so that there is a confusion matrix",
        )
    ],
    "Run.recall": [(lambda given: given.run.recall(), "task is 'cubic-1'; it takes a classif")],
    "Run.save": [
        (saves_run("file"), "it takes a file name that ends in .npz"),
        (lambda given: given.run.save(""), "path is ''; it takes a file name that ends in .npz"),
        (saves_run("file/run.npz"), "it takes a file that can be written (File exists)"),
        (saves_run("folder.npz"), "it takes a file that can be written (Is a directory)"),
    ],
    "load": [
        (
            loads_run("none.npz"),
            "none.npz'; it takes a file that Run.save wrote ([Errno 2] No such file",
        ),
        (loads_run("file"), "file'; it takes a file that Run.save wrote"),
        (loads_run("other.npz"), "other.npz'; it takes a file that Run.save wrote ('about')"),
        (lambda _: growlib.load(3), "path is '3'; it takes a file that Run.save wrote"),
        (
            loads_run("own.npz"),
            "what is None; it takes the task 'table', which this file does not hold",
        ),
        (loads_run("own.npz", CUBIC), "what is Task(name='cubic-1'"),
        (
            lambda given: growlib.load(
                given.path / "own.npz", growlib.task(given.own.task, test_points=3)
            ),
            "which this file does not hold (60 points, 12 of them for testing)",
        ),
    ],
    "with_sums": [
        (lambda _: growlib.with_sums(pd.DataFrame({"size": [1.0]})), "'coupling'", KeyError)
    ],
}

TABLES = {
    "task_from_frame": [
        # the target
        (
            tabulates(TABLE, "weight"),
            "target is 'weight'; it takes a column of the table: mass, age, sick, height, kind",
        ),
        (tabulates(TABLE, ["kind"]), "target is ['kind']; it takes a column of the table"),
        (tabulates(TABLE, TABLE["age"]), "; it takes a column of the table: mass, age"),
        (tabulates(TABLE, 1), "sick, height, kind; frame.columns[1] is 'age'"),
        (
            tabulates(TABLE.assign(kind=[{"a": 1}] * 60)),
            "target is 'kind'; it takes one with a number or a class in every row",
        ),
        (tabulates(TABLE, classes=3), "classes is 3; it takes True or False, or None to judge"),
        (
            tabulates(changed("kind", 3, "Low ")),
            "target is 'kind'; it takes classes in one spelling each, but has 'Low ', 'low'; ",
        ),
        (tabulates(TABLE.assign(kind="low")), "target is 'kind'; it takes one that varies"),
        (
            tabulates(changed("kind", 3, "huge")),
            "target is 'kind'; it takes one that varies, every class in two rows or more",
        ),
        (
            tabulates(TABLE.assign(name=[f"p{k}" for k in range(60)]), "name"),
            "target is 'name'; it takes one that varies, every class",
        ),
        # cells
        (
            tabulates(TABLE, "height"),
            "frame: column 'kind', row 0 is 'low'; it takes finite numbers (bad cells: 60",
        ),
        (
            tabulates(TABLE, classes=False),
            "frame: column 'kind', row 0 is 'low'; it takes finite numbers",
        ),
        (
            tabulates(changed("mass", 7, "heavy")),
            "frame: column 'mass', row 7 is 'heavy'; it takes finite numbers",
        ),
        (
            tabulates(changed("mass", 7, None)),
            "frame: column 'mass', row 7 is None; it takes finite numbers",
        ),
        (
            tabulates(changed("age", 9, np.nan)),
            "frame: column 'age', row 9 is nan; it takes finite numbers",
        ),
        (
            tabulates(changed("age", 9, np.inf)),
            "frame: column 'age', row 9 is inf; it takes finite numbers",
        ),
        (
            tabulates(changed("kind", 3, None)),
            "frame: column 'kind', row 3 is nan; it takes a class in every row (gaps: 1); ",
        ),
        (
            tabulates(changed("height", 3, np.inf), "height"),
            "frame: column 'height', row 3 is inf; it takes finite numbers",
        ),
        (
            tabulates(TABLE.assign(day=pd.date_range("2026-01-01", periods=60))),
            "column 'day', row 0 is Timestamp(",
        ),
        (
            tabulates(TABLE.assign(parts=[[k] for k in range(60)])),
            "frame: column 'parts', row 0 is [0]; it takes finite numbers",
        ),
        (
            tabulates(TABLE.assign(note=["so " * 1000] * 30 + ["no"] * 30)),
            "frame: column 'note', row 0 is 'so so so ",
        ),
        (
            tabulates(TABLE.join(pd.DataFrame([["yes"] * 500, ["no"] * 500] * 30))),
            "10, 11 and 488 more); ",
        ),
        # rows and columns
        (
            tabulates(TABLE[["kind"]]),
            "frame is (60, 1, ['kind']); it takes rows, and two columns or more",
        ),
        (
            tabulates(TABLE[["kind"]].assign(unit=1)),
            "frame is ['kind', 'unit']; it takes a column that varies beside the target",
        ),
        (
            tabulates(TABLE[:0]),
            "frame is (0, 5, ['mass', 'age', 'sick', 'height', 'kind']); it takes rows",
        ),
        (tabulates(pd.DataFrame()), "frame is (0, 0, []); it takes rows"),
        (
            tabulates(pd.concat([TABLE, TABLE[["age"]]], axis=1)),
            "it takes columns with a name of their own each; "
            "frame.loc[:, ~frame.columns.duplicated()] keeps",
        ),
        # the fraction that tests
        (
            tabulates(table(16).assign(kind=list("abcdefgh") * 2), test=0.6),
            "test is 0.6; it takes a fraction of the 16 rows",
        ),
        (tabulates(NUMBERS[:2], "height"), "test is 0.2; it takes a fraction of the 2 rows"),
        (tabulates(TABLE, test=0), "test is 0; it takes a fraction of the 60 rows"),
        (tabulates(TABLE, test=1.5), "test is 1.5; it takes a fraction of the 60 rows"),
        (tabulates(TABLE, test=[0.1, 0.2]), f"test is [0.1, 0.2]; {FINITE}"),
        # files
        (
            tabulates(TABLE.to_numpy()),
            "frame is 'ndarray'; it takes a DataFrame, or the path of a CSV or Parquet file",
        ),
        (tabulates(None), "frame is 'NoneType'; it takes a DataFrame"),
        (reads("none.csv"), "CSV or Parquet file of one ([Errno 2] No such file"),
        (reads("empty.csv"), "(No columns to parse from file)"),
        (reads("picture.csv"), "it takes a table, or a CSV or Parquet file of one"),
        (reads("text.parquet"), "it takes a table, or a CSV or Parquet file of one"),
        (reads("ragged.csv"), "(Error tokenizing data."),
        (reads("vast.csv"), "its size is"),
        (reads("semicolons.csv"), "; try frame = pd.read_csv(path, sep=';', decimal=',')"),
        (reads("header.csv"), "(it has 0 rows below the header, columns: ['mass', 'kind'])"),
    ]
}

STUDIES = {
    "study": [
        (
            lambda _: studies.study("figure-9"),
            "study is 'figure-9'; it takes one of figure-2, figure-3",
        ),
        (
            computes_grid(
                {"task": "cubic-1", "growth": growlib.AuxiliaryWeight(), "arm": "static"}
            ),
            "it takes a growth, or arm, method and reading to make one from, but not both",
        ),
        (
            computes_grid({"trials": 3}),
            "grid is {'trials': 3}; it takes a mapping that names a task",
        ),
        (computes_grid([]), "grid is []; it takes a mapping that names a task"),
        (computes_grid(3), "grid is 3; it takes a mapping that names a task"),
        (computes_grid("figure-2"), "grid is 'figure-2'; it takes a mapping that names a task"),
        (computes({"task": "cubic-9"}), "task is 'cubic-9'; it takes one of bessel-j0"),
        (computes({"task": CUBIC}), "task is Task(name='cubic-1'"),
        (computes({"sped": 3}), "grid is 'sped'; it takes one of"),
        (
            computes({"coupling": []}),
            "grid is {'task': 'cubic-1', 'coupling': []}; it takes at least one value",
        ),
        (computes({"controls": 3}), "grid is {'task': 'cubic-1', 'controls': 3}; it takes"),
        (computes({"coupling": -1}), f"coupling is -1; {FINITE}"),
        (computes({"classes": 3}), "option of task cubic-1 is 'classes'; it takes one of points"),
        (computes({"width": 0}), f"width is 0; {ONE_WHOLE}"),
        (computes({"trials": 0}), f"trials is 0; {ONE_WHOLE}"),
        (
            computes({"arm": "shrinking"}),
            "arm is 'shrinking'; it takes one of growing, grown, static",
        ),
        (
            computes({"growth": "growing"}),
            "growth is 'growing'; it takes an AuxiliaryWeight or a ControllerMask",
        ),
        (
            computes({"method": "Mask"}),
            "method is 'Mask'; it takes one of AuxiliaryWeight, ControllerMask",
        ),
        (computes({"reading": "read"}), "reading is 'read'; it takes one of released, described"),
        (computes({}, workers=0), f"workers is 0; {ONE_WHOLE}"),
    ],
    "published": [
        (lambda _: studies.published("figure-9"), "study is 'figure-9'; it takes one of figure-2"),
        (
            lambda _: studies.published("figure-2", "large"),
            "scale is 'large'; it takes one of quick, paper",
        ),
    ],
    "results": [
        (lambda _: studies.results("figure-9"), "study is 'figure-9'; it takes one of figure-2"),
        (
            lambda _: studies.results("figure-2", scale="large"),
            "scale is 'large'; it takes one of quick, paper",
        ),
        (
            lambda _: studies.results("figure-2", color=3),
            "the name of a parameter is 'color'; it takes one of points",
        ),
        (lambda _: studies.results("figure-2", "quick", epochs=0), f"epochs is 0; {ONE_WHOLE}"),
        (lambda _: studies.results("figure-2", "quick", trials=0), f"trials is 0; {ONE_WHOLE}"),
        (
            lambda _: studies.results("figure-2", "quick", lr=-1),
            "lr is [-1, ",
        ),
        (
            lambda _: studies.results("figure-2", "quick", target_size=12),
            "width is 9; it takes at least the start, which is 12",
        ),
    ],
    "stored": [
        (lambda _: studies.stored("figure-9"), "study is 'figure-9'; it takes one of figure-2"),
        (
            lambda _: studies.stored("figure-2", "everything"),
            "what is 'everything'; it takes one of finals, history, curves",
        ),
    ],
    "about_stored": [
        (
            lambda _: studies.about_stored("figure-9"),
            "study is 'figure-9'; it takes one of figure-2",
        )
    ],
    "check": [
        (lambda _: parameters.check(epochs=0), "epochs is 0; it takes a whole number of at least"),
        (lambda _: parameters.check(epochs=True), "epochs is True; it takes a whole number"),
        (
            lambda _: parameters.check(trial=3, most={"trial": 2}),
            "trial is 3; it takes a whole number from 0 to 2",
        ),
        (lambda _: parameters.check(lr=0), "lr is 0; it takes a number above 0"),
        (lambda _: parameters.check(noise=-1), "noise is -1; it takes a number of at least 0"),
        (lambda _: parameters.check(scale="large"), "scale is 'large'; it takes paper or quick"),
        (lambda _: parameters.check(folder=3), "folder is 3; it takes a text"),
    ],
    "is_stored": [
        (lambda _: studies.is_stored("figure-9"), "study is 'figure-9'; it takes one of figure-2")
    ],
}

STATISTICS = {
    "compare": [
        (lambda _: statistics.compare(3), "frame is 'int'; it takes a DataFrame with rows"),
        (
            lambda given: statistics.compare(given.finals[:0]),
            "frame is 'DataFrame'; it takes a DataFrame with rows",
        ),
        (
            lambda given: statistics.compare(given.finals[["arm", "test_loss"]]),
            "it takes a frame that also has the columns trial, diverged, task",
        ),
        (
            lambda given: statistics.compare(pd.concat([given.finals] * 2)),
            "by is ['task']; it takes all columns that tell the settings",
        ),
        (compares(value="loss"), "value is 'loss'; it takes one of trial, start"),
        (compares(value="task"), "value is 'task'; it takes one of trial, start"),
        (compares(against="nothing"), "against is 'nothing'; it takes one of grown, static"),
        (compares(against="growing"), "against is 'growing'; it takes one of grown, static"),
        (compares(arm="larger"), "arm is 'larger'; it takes one of growing, grown, static"),
        (compares(by="tsk"), "it takes a frame that also has the columns tsk"),
        (
            compares(by=[]),
            "by is []; it takes all columns that tell the settings of the frame apart",
        ),
        (compares(resamples=0), f"resamples is 0; {ONE_WHOLE}"),
        (compares(seed=-1), f"seed is -1; {ZERO_WHOLE}"),
        (compares(permutations=-1), f"permutations is -1; {ZERO_WHOLE}"),
        (
            compares(measures=["mean"]),
            "measures is 'mean'; it takes one of ratio of means, ratio of medians",
        ),
    ],
    "holm": [
        (
            lambda _: statistics.holm([2.0]),
            "p is [2.0]; it takes a sequence of numbers from 0 to 1",
        ),
        (
            lambda _: statistics.holm([0.1, np.nan]),
            "p is [0.1, nan]; it takes a sequence of numbers from 0 to 1",
        ),
        (lambda _: statistics.holm(0.5), "p is 0.5; it takes a sequence of numbers from 0 to 1"),
    ],
    "over_trials": [
        (lambda _: statistics.over_trials(count, 0), f"trials is 0; {ONE_WHOLE}"),
        (lambda _: statistics.over_trials(count, 3, 0), f"resamples is 0; {ONE_WHOLE}"),
        (lambda _: statistics.over_trials(count, 3, 2, -1), f"seed is -1; {ZERO_WHOLE}"),
        (lambda _: statistics.over_trials(3, 10), "'int' object is not callable", TypeError),
    ],
    "in_words": [
        (lambda _: statistics.in_words({"estimate": 1.0, "low": 0.5}), "'high'", KeyError)
    ],
    "in_thousands": [(lambda _: statistics.in_thousands("many"), f"count is 'many'; {ZERO_WHOLE}")],
    "as_table": [(lambda given: statistics.as_table(given.finals), "'estimate'", KeyError)],
}

FIGURES = {
    "new_figure": [
        (lambda _: figures.new_figure(0), "Number of rows must be a positive integer, not 0"),
        (
            lambda _: figures.new_figure(1, -1),
            "Number of columns must be a positive integer, not -1",
        ),
        (
            lambda _: figures.new_figure(height=-1),
            "figure size must be positive finite not (4.8, -1)",
        ),
        (lambda _: figures.new_figure(panels=3), "unexpected keyword argument 'panels'", TypeError),
    ],
    "save_figure": [
        (
            lambda given: figures.save_figure(figures.new_figure(), "x", folder=given.path),
            "figure is (<Picture size",
        ),
        (
            lambda given: saves_figure("x", folder=given.path / "file")(given),
            "it takes a folder that can be written",
        ),
    ],
    "plot_histories": [
        (draws_histories(3), "history is 'int'; it takes a DataFrame with rows"),
        (
            lambda given: draws_histories(given.finals)(given),
            "it takes a frame that also has the columns epoch",
        ),
        (draws_histories(y="loss"), "y is 'loss'; it takes one of trial, start"),
        (draws_histories(axes=np.zeros(1)), "axes is 'ndarray'; it takes one Axes, such"),
    ],
    "plot_mirrored": [
        (draws_mirrored(3), "finals is 'int'; it takes a DataFrame with rows"),
        (draws_mirrored(value="loss"), "value is 'loss'; it takes one of trial, start"),
        (
            draws_mirrored(axes=np.zeros(1)),
            "axes is 'ndarray'; it takes one Axes, such as axes[0, 0]",
        ),
        (
            lambda given: draws_mirrored(given.run.finals)(given),
            "below is 'grown'; it takes one of growing",
        ),
    ],
    "line_style": [
        (lambda _: figures.line_style("grow"), "arm is 'grow'; it takes one of growing")
    ],
    "save_animation": [
        (
            lambda _: figures.save_animation([], "x.gif"),
            "pictures is []; it takes one figure or more",
        ),
        (
            lambda given: figures.save_animation([one_figure()], "x.gif", given.path / "file"),
            "it takes a folder that can be written",
        ),
    ],
    "draw_moment": [
        (lambda given: figures.draw_moment(given.run, 3), "epoch is 3; it takes "),
    ],
    "draw_fits": [
        (lambda given: figures.draw_fits(given.run, 3), "epoch is 3; it takes "),
    ],
    "draw_planes": [
        (lambda given: figures.draw_planes(given.run, 3), "epoch is 3; it takes "),
    ],
    "plot_fit_errors": [
        (plots("plot_fit_errors", curves=TABLE, task=0), "also has the columns arm"),
        (plots("plot_fit_errors", curves=3, task=0, axes=SEVERAL_AXES), ONE_AXES),
    ],
    "plot_arm_levels": [
        (plots("plot_arm_levels", levels=TABLE), LACKS_ESTIMATES),
        (plots("plot_arm_levels", levels=3, axes=SEVERAL_AXES), ONE_AXES),
    ],
    "plot_cumulative": [
        (plots("plot_cumulative", finals=3), "finals is 'int'; it takes a DataFrame with rows"),
        (plots("plot_cumulative", finals=3, axes=SEVERAL_AXES), ONE_AXES),
    ],
    "plot_ratios": [
        (plots("plot_ratios", compared=TABLE, rows=[], marks={}), LACKS_ESTIMATES),
        (plots("plot_ratios", compared=3, rows=[], marks={}, axes=SEVERAL_AXES), ONE_AXES),
    ],
    "plot_probabilities": [
        (plots("plot_probabilities", compared=TABLE, rows=[], marks={}), LACKS_ESTIMATES),
        (plots("plot_probabilities", compared=3, rows=[], marks={}, axes=SEVERAL_AXES), ONE_AXES),
    ],
    "plot_estimates": [
        (plots("plot_estimates", rows=TABLE, x="width"), LACKS_ESTIMATES),
        (plots("plot_estimates", rows=3, x="width", axes=SEVERAL_AXES), ONE_AXES),
    ],
    "plot_scaling": [
        (plots("plot_scaling", finals=TABLE, value="loss"), "also has the columns arm"),
        (plots("plot_scaling", finals=3, value="loss", axes=SEVERAL_AXES), ONE_AXES),
    ],
    "plot_sides": [
        (
            plots("plot_sides", sides={"one": TABLE}),
            "also has the columns arm, diverged, test_task",
        ),
        (plots("plot_sides", sides=3, axes=SEVERAL_AXES), ONE_AXES),
    ],
    "draw_arms": [(lambda _: figures.draw_arms(TABLE, "x"), "has the columns arm, epoch, trial")],
    "draw_counts": [
        (
            lambda _: figures.draw_counts({"means": TABLE}, "static", "kind"),
            "also has the columns favours_growing",
        )
    ],
    "draw_ratio_tables": [(lambda _: figures.draw_ratio_tables({}), "tables is {}; it takes one")],
    "draw_power_law": [
        (lambda _: figures.draw_power_law(TABLE, TABLE, {"loss": "Loss"}), "the columns arm, width")
    ],
    "draw_lead": [
        (lambda _: figures.draw_lead({"means": {"loss": TABLE}}), "also has the columns width")
    ],
    "draw_longer": [(lambda _: figures.draw_longer(TABLE, 5), "also has the columns width")],
    "draw_rates": [(lambda _: figures.draw_rates(TABLE, [4]), "also has the columns arm, width")],
    "draw_best_rates": [
        (lambda _: figures.draw_best_rates(TABLE, TABLE), "also has the columns arm")
    ],
    "draw_accuracy": [
        (lambda _: figures.draw_accuracy(TABLE, TABLE, [4]), "also has the columns width")
    ],
    "plot_bounds": [
        (plots("plot_bounds", bounds=TABLE), "also has the columns chance, ceiling"),
        (plots("plot_bounds", bounds=3, axes=SEVERAL_AXES), ONE_AXES),
    ],
    "draw_slopes": [(lambda _: figures.draw_slopes(TABLE), "also has the columns lr, width")],
    "draw_setting": [
        (
            lambda _: figures.draw_setting(TABLE, TABLE, 4, "size", "loss"),
            "also has the columns arm, epoch, trial",
        )
    ],
    "plot_bands": [(plots("plot_bands", rows=TABLE, axes=SEVERAL_AXES), ONE_AXES)],
    "plot_against_operations": [
        (plots("plot_against_operations", history=TABLE, axes=SEVERAL_AXES), ONE_AXES)
    ],
    "draw_ratios": [
        (
            lambda _: figures.draw_ratios(TABLE, ["a"], {"b": ("o", "black")}),
            "also has the columns case, condition",
        )
    ],
    "draw_coupling": [
        (
            lambda _: figures.draw_coupling(SimpleNamespace(lengths=np.array([1, 2])), {}, 0.1, 3),
            "epochs is 3; it takes one of [1, 2]",
        )
    ],
    "plot_map": [(plots("plot_map", table=TABLE, low=0, high=1, axes=SEVERAL_AXES), ONE_AXES)],
    "plot_arms": [(plots("plot_arms", x=[], y=[], axes=SEVERAL_AXES), ONE_AXES)],
    "plot_classes": [
        (plots("plot_classes", plane=TABLE, x=[], y=[]), "also has the columns x, x2, prediction"),
        (plots("plot_classes", plane=3, x=[], y=[], axes=SEVERAL_AXES), ONE_AXES),
    ],
    "plot_network": [
        (plots("plot_network", theta=0, growth=0, width=9, axes=SEVERAL_AXES), ONE_AXES)
    ],
}

WIDGETS = {
    "explore": [
        (
            lambda _: widgets.explore(lambda x=1: one_figure(), y=(0, 1)),
            "the name of a slider is 'y'; it takes one of x",
        ),
        (lambda _: widgets.explore(3, x=(0, 1)), "3 is not a callable object", TypeError),
        (
            lambda _: widgets.explore(lambda x: one_figure(), x=(0, 1)),
            "the argument of a slider is 'x'; it takes one that has a default in `draw`",
        ),
        (
            lambda _: widgets.explore(lambda x=0: one_figure(), x=(0.01, 10)),
            "the default of x is 0; it takes a default above 0",
        ),
        (
            lambda _: widgets.explore(lambda x=0: one_figure(), x=lambda y: [y]),
            "what the menu x depends on is 'y'; it takes one of x",
        ),
        (
            lambda _: widgets.explore(lambda x=0, seed=None: one_figure(), x=(0, 1)),
            "the default of seed is None; it takes a whole number",
        ),
    ]
}

SURGERY = {
    "grow": [
        (grows(0, 3, 0), f"n is 0; {ONE_WHOLE}"),
        (grows(0, 5, 1), "linear_out is Linear(in_features=5"),
        (grows(1, 3, 1), "linear_in is 'ReLU'; it takes a plain Linear"),
        (grows(0, 1, 1), "linear_out is 'ReLU'; it takes a plain Linear"),
        (
            lambda given: surgery.grow(normed(model()[0]), given.net[3], 1),
            "it takes a plain Linear",
        ),
        (lambda given: surgery.grow(given.square, given.square, 1), "it takes another Linear"),
        (
            grows(0, 3, 1, lambda net: torch.optim.SGD(model().parameters())),
            "optimizer is 'SGD'; it takes the one that",
        ),
        (
            trains_first_alone(surgery.grow),
            "optimizer is 'SGD'; it takes the one that trains these layers",
        ),
        (
            grows(0, 3, 1, lambda net: net),
            "optimizer is 'Sequential'; it takes the one that trains these layers",
        ),
        (
            grows(0, 3, 1, lambda net: torch.optim.LBFGS(net.parameters())),
            "optimizer is 'LBFGS'; it takes the one that",
        ),
        (
            grows_named("1"),
            "name of the layer is '1'; it takes one of the model's Linear layers: 0",
        ),
        (grows_named("5"), "what the model returns is '5'; it takes something else"),
        (grows_named("0", consumers=["4"]), "consumers is '4'; it takes one of the model's Linear"),
        (grows_named("0", consumers="3"), "consumers is '3'; it takes a list of names"),
        (grows_named("0", optimizer=[3]), "optimizer is 'int'; it takes the one that trains"),
        (lambda _: surgery.grow(3, "0", 1), "model is 'int'; it takes a torch model"),
        (
            lambda given: surgery.grow(given.net[0], given.net[3], 1, consumers=["3"]),
            "consumers is ['3']; it takes names, with a model and a name only",
        ),
        (
            lambda given: surgery.grow(given.net[0], [], 1),
            "linear_out is []; it takes at least one Linear layer",
        ),
    ],
    "shrink": [
        (shrinks(0, 3, 8), "n is 8; it takes some, not all, of the neurons 0 ... 7"),
        (shrinks(0, 3, [8]), "n is [8]; it takes some, not all, of the neurons 0 ... 7"),
        (shrinks(0, 3, 1.5), f"n is 1.5; {ONE_WHOLE}"),
        (
            lambda given: surgery.shrink(given.net, "0", 1, activation=3),
            "activation is 3; it takes a function of tensors",
        ),
        (shrinks(0, 5, 1), "linear_out is Linear(in_features=5"),
        (
            trains_first_alone(surgery.shrink),
            "optimizer is 'SGD'; it takes the one that trains these layers",
        ),
    ],
}

ENVIRONMENT = {
    "GROWLIB_HOME": [
        (
            at_home("file", computes({})),
            "it takes a folder that can be written (Not a directory); GROWLIB_HOME names another",
        ),
    ]
}

MISTAKES = (
    TASKS
    | GROWTHS
    | NETWORK
    | TRAINING
    | RUNS
    | TABLES
    | STUDIES
    | STATISTICS
    | FIGURES
    | WIDGETS
    | SURGERY
    | ENVIRONMENT
)
SENTENCES_OF_MATPLOTLIB = {"new_figure"}  # which do not say what it takes

ABSTRACT = "is abstract"
TENSORS_ALONE = "takes tensors alone; torch refuses the rest"
NOTHING = "takes nothing"
MADE_BY_FIT = "takes, or is, what fit made of its arguments after it checked them"
# The public names that have no mistakes in the tables, with the reason.
EXEMPT = {
    "Growth.acts": TENSORS_ALONE,
    "Growth.arm": NOTHING,
    "Growth.events": MADE_BY_FIT,
    "Growth.gate": ABSTRACT,
    "Growth.shut": TENSORS_ALONE,
    "Growth.slope": ABSTRACT,
    "Growth.values": NOTHING,
    "AuxiliaryWeight.gate": TENSORS_ALONE,
    "AuxiliaryWeight.slope": TENSORS_ALONE,
    "AuxiliaryWeight.steps": TENSORS_ALONE,
    "Block": MADE_BY_FIT,
    "Block.dtype": MADE_BY_FIT,
    "Block.generators": MADE_BY_FIT,
    "Block.orders": MADE_BY_FIT,
    "Block.shapes": MADE_BY_FIT,
    "ControllerMask.gate": TENSORS_ALONE,
    "ControllerMask.slope": TENSORS_ALONE,
    "Forces": MADE_BY_FIT,
    "Picture": "made by new_figure",
    "plain_ticks": "hands its values to matplotlib",
    "Run": "made by fit and load",
    "Run.networks": NOTHING,
    "Settings": MADE_BY_FIT,
    "Settings.logged_epochs": MADE_BY_FIT,
    "Settings.of_trials": MADE_BY_FIT,
    "Settings.scales": MADE_BY_FIT,
    "State": MADE_BY_FIT,
    "Task.classes": NOTHING,
    "Task.endless": NOTHING,
    "Task.large": NOTHING,
    "Task.train_points": NOTHING,
    "Task.units": "takes what Task.draw gives",
    "of_settings": "takes what published gives",
    "size_loss": TENSORS_ALONE,
    "staircase": TENSORS_ALONE,
    "staircase_slope": TENSORS_ALONE,
    "upload": NOTHING,
}


# --------------------------------------------------------------------------------- calls: the tests


class Row(NamedTuple):
    name: str
    call: Callable
    words: str
    error: type = ValueError


def rows_of_the_table():
    """Return the rows by the name of their test, such as fit-3."""
    rows = {}
    for name, mistakes in MISTAKES.items():
        for number, mistake in enumerate(mistakes):
            rows[f"{name}-{number}"] = Row(name, *mistake)
    return rows


ROWS = rows_of_the_table()


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Runs that the rows misuse, and one of them in a file."""
    growth, trials = growlib.together(growlib.arms(), 3)
    runs = SimpleNamespace(
        run=fit(trials=2),
        own=fit(tables.task_from_frame(TABLE, "kind"), trials=2),
        finals=fit(growth=growth, trials=trials).finals,
        saved=tmp_path_factory.mktemp("saved") / "own.npz",
    )
    runs.own.save(runs.saved)
    return runs


@pytest.fixture
def given(trained, tmp_path, monkeypatch):
    """The runs, a model, a folder of files that are not what they should be, and an empty store."""
    monkeypatch.setattr(growlib, "HOME", tmp_path / "home")
    monkeypatch.setenv("GROWLIB_PROGRESS", str(tmp_path / "progress.txt"))
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "folder.npz").mkdir()
    (tmp_path / "empty.csv").touch()
    (tmp_path / "picture.csv").write_bytes(bytes(range(256)) * 4)
    (tmp_path / "text.parquet").write_text("mass,kind\n1,a\n")
    (tmp_path / "ragged.csv").write_text("mass,kind\n1,a\n1,2,3\n")
    (tmp_path / "header.csv").write_text("mass,kind\n")
    (tmp_path / "semicolons.csv").write_text("mass;kind\n1,5;a\n2,5;b\n")
    with open(tmp_path / "vast.csv", "wb") as vast:
        vast.truncate(2**42)  # four terabytes that take no room
    np.savez(tmp_path / "other.npz", a=1)
    shutil.copy(trained.saved, tmp_path)
    return SimpleNamespace(**vars(trained), net=model(), square=nn.Linear(3, 3), path=tmp_path)


@pytest.mark.parametrize("row", ROWS)
def test_a_mistake_gets_its_sentence_and_loses_nothing(row, given, serial_pool):
    row = ROWS[row]
    parameters = dict(given.net.named_parameters())
    before = copy.deepcopy(given.net.state_dict())
    with pytest.raises(row.error) as caught:
        row.call(given)
    assert type(caught.value) is row.error
    said = str(caught.value)
    assert row.words in said
    assert "\n" not in said
    assert len(said) < 1000
    if row.error is ValueError and row.name not in SENTENCES_OF_MATPLOTLIB:
        assert "; it takes " in said

    assert not serial_pool.submitted  # a study says it before anything is computed
    assert (given.path / "file").read_text() == "in the way"
    assert not list((given.path / "folder.npz").iterdir())
    assert dict(given.net.named_parameters()).items() == parameters.items()
    for name, value in given.net.state_dict().items():
        assert torch.equal(value, before[name])
    assert given.net[0].out_features == 8
    assert given.net[3].in_features == 8


def test_a_run_that_cannot_be_written_leaves_the_older_file(given, monkeypatch):
    before = (given.path / "own.npz").read_bytes()

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", full)
    sentence = (
        r"path is .*own.npz'; it takes a file that can be written \(No space left on device\)"
    )
    with pytest.raises(ValueError, match=sentence):
        given.own.save(given.path / "own.npz")
    assert (given.path / "own.npz").read_bytes() == before


def test_every_public_name_is_in_the_table():
    assert not MISTAKES.keys() & EXEMPT.keys()
    assert PUBLIC.keys() == (MISTAKES.keys() - ENVIRONMENT.keys()) | EXEMPT.keys()


# ---------------------------------------------------------------------------- notebooks' parameters

BOOKS = {path.stem[:2]: path for path in sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))}
# For every parameter of a notebook, values that it does not take, as on papermill's command line.
WRONG = {
    "scale": ["large", "1"],
    "trials": ["0", "-3", "2.5", "many"],
    "networks": ["0", "1e3"],
    "models": ["0", "[1]"],
    "epochs": ["0", "0.5"],
    "points": ["15"],
    "width": ["0", "1.5"],
    "classes": ["1"],
    "resamples": ["99"],
    "seed": ["-1", "None"],
    "trial": ["-1", "20"],
    "lr": ["0", "-1", "inf", "fast"],
    "target_size": ["0", "-2"],
    "coupling": ["0", "-0.5"],
    "noise": ["-0.1"],
}


def wrong_values():
    """Return a notebook, the name of a parameter and a wrong value, for all of them."""
    for number, path in BOOKS.items():
        for name in parameters_of(path):
            for value in WRONG.get(name, []):
                yield pytest.param(number, name, value, id=f"{number}.{name}={value}")


def parameters_of(path):
    """Return the parameters of a notebook by name, as they are committed."""
    values = {}
    exec(notebooks.parameter_cells(path)[0], values)
    values.pop("__builtins__")
    return values


def parameters_cell(book):
    """Return the parameters cell of a notebook that nbformat has read."""
    return next(cell for cell in book.cells if "parameters" in cell.metadata.get("tags", []))


def edited(source, name, value):
    """Return the text of a parameters cell with another value, as if edited by hand."""
    return re.sub(
        rf"^{name} = .*?(?=  #)", lambda _: f"{name} = {value}", source, flags=re.MULTILINE
    )


def sources(number):
    """Return the texts of a notebook's code cells."""
    book = nbformat.read(BOOKS[number], 4)
    return [cell.source for cell in book.cells if cell.cell_type == "code"]


@pytest.mark.parametrize("number", BOOKS)
def test_every_parameter_is_checked_and_has_a_comment(number):
    stated, check = notebooks.parameter_cells(BOOKS[number])
    call = ast.parse(check).body
    assert len(call) == 1
    checked = {each.arg: each.value for each in call[0].value.keywords if each.arg != "most"}
    assert checked.keys() == parameters_of(BOOKS[number]).keys()
    assert checked.keys() <= WRONG.keys() | {"folder"}
    for name, value in checked.items():
        assert value.id == name
        assert re.search(rf"^{name} = .*  # .", stated, re.MULTILINE), name


@pytest.mark.parametrize("by_hand", [False, True], ids=["-p", "edited"])
@pytest.mark.parametrize("number, name, value", [*wrong_values()])
def test_a_wrong_parameter_is_refused_before_a_kernel_starts(
    number, name, value, by_hand, tmp_path
):
    path = BOOKS[number]
    book = nbformat.read(path, 4)
    if by_hand:
        cell = parameters_cell(book)
        literal = value if notebooks.parsed_value(value) != value else repr(value)
        cell.source = edited(cell.source, name, literal.replace("inf", "1e999"))
        assert cell.source != parameters_cell(nbformat.read(path, 4)).source
    nbformat.write(book, tmp_path / path.name)
    with pytest.raises(notebooks.Failed) as caught:
        notebooks.check_parameters(tmp_path / path.name, {} if by_hand else {name: value})
    assert re.fullmatch(rf"{path.stem}: {name} is .+; it takes .+", str(caught.value))


@pytest.mark.parametrize("number", BOOKS)
def test_the_parameters_that_are_committed_are_taken(number):
    notebooks.check_parameters(BOOKS[number], {})


@pytest.mark.parametrize("value", ["0.5", "1e-3", "2", "1_000", "1.5E-2"])
def test_numbers_are_read_as_papermill_reads_them(value):
    assert notebooks.parsed_value(value) == float(value)
    assert isinstance(notebooks.parsed_value(value), type(ast.literal_eval(value)))


def test_an_unknown_parameter_is_refused_with_the_names_that_there_are():
    with pytest.raises(notebooks.Failed, match="has no parameter 'rate'; it takes scale, folder, "):
        notebooks.check_parameters(BOOKS["02"], {"rate": "1"})
    with pytest.raises(ValueError, match=r"'rate' is in no table of growkit\.parameters"):
        parameters.check(rate=1)


@pytest.mark.parametrize("number", BOOKS)
def test_a_folder_edited_by_hand_is_refused_where_it_is_used(number, tmp_path):
    (tmp_path / "file").write_text("in the way")
    cell = parameters_cell(nbformat.read(BOOKS[number], 4))
    assert re.search(r"figures\.save_figure\(figure, .*?, folder\b", "\n".join(sources(number)))
    names = {}
    exec(edited(cell.source, "folder", repr(str(tmp_path / "file"))), names)
    with pytest.raises(ValueError, match=r"folder is .*file'; it takes "):
        figures.save_figure(one_figure(), "x", names["folder"])
    assert (tmp_path / "file").read_text() == "in the way"


@pytest.mark.parametrize("number", BOOKS)
def test_a_wrong_parameter_is_refused_by_its_cell_under_plain_papermill(number):
    values = parameters_of(BOOKS[number])
    check = notebooks.parameter_cells(BOOKS[number])[1]
    for name in values.keys() & WRONG.keys():
        wrong = notebooks.parsed_value(WRONG[name][0])
        with pytest.raises(ValueError, match=f"^{name} is .*; it takes "):
            exec(check, {"parameters": parameters, **values, name: wrong})


# ----------------------------------------------------------------------------------------- commands

PYTHON = [sys.executable]
# with the environment that is there
MAKE = ["make", "-o", ".venv/ready", f"BIN={Path(sys.executable).parent}"]
DRIVER = [*PYTHON, "tools/notebooks.py", "--only", "01"]
# For every tool, and every variable of make, wrong commands and words of the sentence.
COMMANDS = {
    "make NB": [
        ([*MAKE, "figures", "NB=99"], "NB is '99'; it takes one of 01_growth, 02_regression"),
        ([*MAKE, "paper", "NB=abc"], "NB is 'abc'; it takes one of 01_growth"),
        ([*MAKE, "figures", "NB=01 99"], "NB is '01 99'; it takes one of 01_growth"),
    ],
    "make PYTHON": [
        (
            ["make", "-B", "figures", "PYTHON=nonsense"],
            "PYTHON is 'nonsense'; it takes a Python of 3.11 or newer",
        )
    ],
    "notebooks.py": [
        (
            [*DRIVER, "-p", "trials", "-3"],
            "01_growth: trials is -3; it takes a whole number of at least 1",
        ),
        (
            [*DRIVER, "-p", "trails", "3"],
            "01_growth has no parameter 'trails'; it takes scale, folder, trials, epochs, lr, ",
        ),
        (
            [*DRIVER, "-p", "scale", "paper"],
            "-p scale is paper; it takes another parameter, since --scale says the scale",
        ),
        (
            [*DRIVER, "-p", "folder", "x"],
            "-p folder is x; it takes another parameter, since --scale says the scale",
        ),
        ([*DRIVER, "-p", "trials"], "argument -p: expected 2 arguments"),
        ([*DRIVER, "--scale", "huge"], "argument --scale: invalid choice: 'huge'"),
        ([*DRIVER, "--fast"], "unrecognized arguments: --fast"),
    ],
    "readme.py": [
        (
            [*PYTHON, "tools/readme.py", "--fast"],
            "'--fast' is unknown; this tool takes no arguments",
        )
    ],
    "data.py": [
        ([*PYTHON, "tools/data.py", "result"], "TABLE is 'result'; it takes one of results, "),
        ([*PYTHON, "tools/data.py", "--fast"], "unrecognized arguments: --fast"),
    ],
    "pythons.py": [
        (
            [*PYTHON, "tools/pythons.py", "3.12"],
            "CASE is '3.12'; it takes a Python and its libraries, such as 3.12-newest",
        )
    ],
    "mutation.py": [
        ([*PYTHON, "tests/mutation.py", "fit"], "FUNCTION is 'fit'; it takes one of staircase, ")
    ],
    "bench.py": [
        ([*PYTHON, "tests/benchmarks/bench.py", "--fast"], "unrecognized arguments: --fast")
    ],
}


def command_cases():
    """Return what is covered, the command and words of the sentence, for every wrong command."""
    for name, commands in COMMANDS.items():
        for number, (command, words) in enumerate(commands):
            yield pytest.param(name, command, words, id=f"{name}-{number}")


@pytest.mark.parametrize("tool, command, words", [*command_cases()])
def test_a_wrong_command_ends_with_its_sentence_and_no_traceback(tool, command, words, tmp_path):
    folder = ROOT
    if tool == "make PYTHON":  # in the project it would make the environment anew
        folder = tmp_path
        for name in ("Makefile", "requirements.txt"):
            shutil.copy(ROOT / name, folder)
        (folder / "pyproject.toml").touch()
    done = subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    said = done.stdout + done.stderr
    assert done.returncode
    assert words in said
    assert "Traceback" not in said


def test_every_tool_and_variable_of_make_is_in_the_table():
    tools = {path.name for path in (ROOT / "tools").glob("*.py")}
    tools |= {path.name for path in (ROOT / "tests/benchmarks").glob("*.py")}
    tools -= {"beside.py", "jax_steps.py"}  # bench.py alone starts them
    tools -= {"answers.py", "results.py"}  # readme.py alone imports them
    makefile = (ROOT / "Makefile").read_text()
    variables = {f"make {name}" for name in re.findall(r"^(\w+) \?=", makefile, re.MULTILINE)}
    assert tools | variables <= COMMANDS.keys()


def test_studies_that_cannot_be_stored_are_said_by_the_tool(tmp_path, monkeypatch, serial_pool):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setattr(growlib, "HOME", tmp_path / "file")
    monkeypatch.setattr(growlib, "__file__", str(tmp_path / "growlib.py"))  # no checkout around it
    monkeypatch.setattr(sys, "argv", ["data.py"])
    sentence = r"the cache is .*file/\.cache/cells'; it takes a folder that can be written"
    with pytest.raises(SystemExit, match=sentence):
        data.main()
    assert not serial_pool.submitted


def test_figures_that_cannot_be_written_are_said_by_the_driver(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device", "01_gate.png")

    monkeypatch.setattr(notebooks, "run", lambda *_: {})
    monkeypatch.setattr(notebooks, "finish", full)
    sentence = r"^01_growth: 01_gate.png cannot be written \(No space left on device\)$"
    with pytest.raises(notebooks.Failed, match=sentence):
        notebooks.one(notebooks.Job(BOOKS["01"], tmp_path), {}, "quick", False, 1)


def test_a_browser_that_is_asked_for_wrongly_is_said(monkeypatch):
    monkeypatch.setenv("GROWLIB_BROWSER", "requierd")
    sentence = "GROWLIB_BROWSER is 'requierd'; it takes required, or nothing"
    with pytest.raises(AssertionError, match=sentence):
        without_browser()
    monkeypatch.setenv("GROWLIB_BROWSER", "")
    assert without_browser() is pytest.skip
    monkeypatch.setenv("GROWLIB_BROWSER", "required")
    assert without_browser() is pytest.fail

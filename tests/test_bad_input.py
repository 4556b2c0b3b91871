"""Every mistake that a person can make gets one sentence: the argument's name, what it got, what it takes. And it loses nothing."""

import copy
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import nbformat
import numpy as np
import pandas as pd
import pytest
import torch
from test_browser import without_browser
from test_docs import PUBLIC
from test_table import table
from torch import nn

import growlib
from growkit import figures, statistics, studies, surgery, tables, widgets

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))

import notebooks  # noqa: E402

BOOKS = {path.stem[:2]: path for path in sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))}
CUBIC = growlib.task("cubic-1")
TABLE = table()
NUMBERS = TABLE.drop(columns="kind")


def model():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(3, 8), nn.ReLU(), nn.Dropout(0), nn.Linear(8, 5), nn.ReLU(), nn.Linear(5, 2)
    )


def fit(task="cubic-1", growth=None, **options):
    return growlib.fit(task, growth, **dict(trials=5, epochs=4, compiled=False) | options)


def aux(**fields):
    return lambda _: growlib.AuxiliaryWeight(**fields)


def mask(**fields):
    return lambda _: growlib.ControllerMask(**fields)


def mine(sample, **fields):
    """What fitting a task of one's own does, whose data are these."""
    return lambda _: fit(
        growlib.Task("mine", sample, **dict(loss="softmax", inputs=2, outputs=3) | fields)
    )


def framed(frame, target="kind", **options):
    return lambda _: tables.task_from_frame(frame, target, **options)


def changed(column, row, value):
    return TABLE.astype({column: object}).assign(
        **{column: lambda frame: frame[column].where(frame.index != row, value)}
    )


def studied(grid, **options):
    return lambda _: studies.study("sweep", grid, **options)


def at_home(place, call):
    growlib.HOME = place
    return call()


def panel():
    return figures.new_figure()[1][0, 0]


def twice(change):
    """`change`d layers of a model whose optimizer holds only the first of them: grow must not have replaced that one."""
    return lambda a: change(a.net[0], a.net[3], 2, torch.optim.SGD(a.net[0].parameters(), lr=0.1))


ONE_WHOLE = "it takes a whole number of at least 1"
FINITE = "it takes a finite number of at least 0"
# what is covered, the call, the words of its message, and the error where it is not ValueError; `a` is what the fixture `given` makes
ROWS = [
    ("fit", lambda a: fit("bessel"), "task is 'bessel'; it takes one of bessel-j0"),
    (
        "fit",
        lambda a: fit(TABLE),
        "task is 'DataFrame'; it takes a name, a function of x, or a Task, as task_from_frame makes of a table",
    ),
    ("fit", lambda a: fit(trials=0), f"trials is 0; {ONE_WHOLE}"),
    ("fit", lambda a: fit(trials=2.5), f"trials is 2.5; {ONE_WHOLE}"),
    ("fit", lambda a: fit(trials=[]), f"trials is []; {ONE_WHOLE}"),
    ("fit", lambda a: fit(trials=[0, -1]), "trials is -1; it takes a whole number of at least 0"),
    ("fit", lambda a: fit(epochs=0), f"epochs is 0; {ONE_WHOLE}"),
    ("fit", lambda a: fit(epochs=-3), f"epochs is -3; {ONE_WHOLE}"),
    ("fit", lambda a: fit(epochs=[]), f"epochs is []; {ONE_WHOLE}"),
    (
        "fit",
        lambda a: fit(epochs=(20, 10)),
        "epochs is (20, 10); it takes a whole number, or several in increasing order",
    ),
    ("fit", lambda a: fit(width=0), f"width is 0; {ONE_WHOLE}"),
    ("fit", lambda a: fit(width=[]), f"width is []; {ONE_WHOLE}"),
    ("fit", lambda a: fit(width=[10, 0]), f"width is 0; {ONE_WHOLE}"),
    ("fit", lambda a: fit(width=3), "width is 3; it takes at least the target, which is 5"),
    (
        "fit",
        lambda a: fit(growth=growlib.AuxiliaryWeight(start=10)),
        "width is 9; it takes at least the start, which is 10",
    ),
    (
        "fit",
        lambda a: fit(lr=0),
        "lr is 0; it takes a finite number above 0, or one for each trial",
    ),
    ("fit", lambda a: fit(lr=-1e-3), "lr is -0.001; it takes a finite number above 0"),
    ("fit", lambda a: fit(lr=float("nan")), "lr is nan; it takes a finite number above 0"),
    ("fit", lambda a: fit(lr="fast"), "lr is 'fast'; it takes a finite number above 0"),
    (
        "fit",
        lambda a: fit(lr=[0.1, 0.2]),
        "lr is array([0.1, 0.2]); it takes one value, or one for each of the 5 trials",
    ),
    (
        "fit",
        lambda a: fit(lr=np.full((40, 40), 0.1)),
        "lr is array([[0.1, 0.1, 0.1, ..., 0.1, 0.1, 0.1], [0.1",
    ),  # on one line
    (
        "fit",
        lambda a: fit(growth=growlib.AuxiliaryWeight(coupling=[0.1] * 4)),
        "coupling is [0.1, 0.1, 0.1, 0.1]; it takes one value",
    ),
    (
        "fit",
        lambda a: fit(growth=growlib.AuxiliaryWeight(start=[0.1] * 6)),
        "start is [0.1, 0.1, 0.1, 0.1, 0.1, 0.1]; it takes one value",
    ),
    (
        "fit",
        lambda a: fit(growth=growlib.AuxiliaryWeight(frozen=[True] * 4)),
        "frozen is [True, True, True, True]; it takes one value",
    ),
    (
        "fit",
        lambda a: fit(growth="growing"),
        "growth is 'growing'; it takes an AuxiliaryWeight or a ControllerMask",
    ),
    (
        "fit",
        lambda a: fit(growth=growlib.AuxiliaryWeight),
        "growth is <class 'growlib.AuxiliaryWeight'>; it takes an AuxiliaryWeight or",
    ),
    ("fit", lambda a: fit(seed=-1), "seed is -1; it takes a whole number of at least 0"),
    ("fit", lambda a: fit(optimizer="sgd"), "optimizer is 'sgd'; it takes one of gd, adam"),
    ("fit", lambda a: fit(batch=0), f"batch is 0; {ONE_WHOLE}"),
    ("fit", lambda a: fit(batch=2.5), f"batch is 2.5; {ONE_WHOLE}"),
    ("fit", lambda a: fit(dtype="float16"), "dtype is 'float16'; it takes one of float32, float64"),
    ("fit", lambda a: fit(log_every=0), f"log_every is 0; {ONE_WHOLE}"),
    (
        "fit",
        lambda a: fit(data_seed=[1, 2]),
        "data_seed is array([1, 2]); it takes one value, or one for each of the 5 trials",
    ),
    ("fit", lambda a: fit(data_seed=-1), "data_seed is -1; it takes a whole number of at least 0"),
    ("fit", lambda a: fit(data_seed="mine"), "data_seed is 'mine'; it takes a whole number"),
    (
        "fit",
        lambda a: fit(device="gpu9"),
        "device is 'gpu9'; it takes a device that torch has here, such as cpu",
    ),
    (
        "fit",
        lambda a: fit(device="meta"),
        "device is 'meta'; it takes a device that torch has here, such as cpu",
    ),
    ("fit", lambda a: fit(output_scale=-1), f"output_scale is -1; {FINITE}"),
    ("fit", lambda a: fit(output_scale=[1, 1]), f"output_scale is [1, 1]; {FINITE}"),
    (
        "fit",
        lambda a: fit(prune_at=4),
        "prune_at is 4; it takes an epoch before the last, with one hidden layer",
    ),
    (
        "fit",
        lambda a: fit(prune_at=1, width=[9, 9]),
        "prune_at is 1; it takes an epoch before the last, with one hidden layer",
    ),
    ("fit", lambda a: fit(prune_at=1.5), "prune_at is 1.5; it takes a whole number"),
    ("fit", lambda a: fit(epoch=3), "unexpected keyword argument 'epoch'", TypeError),
    ("fit", lambda a: fit(progress=3), "'int' object is not callable", TypeError),
    ("AuxiliaryWeight", aux(start=-1), f"start is -1; {FINITE}, or one for each trial"),
    ("AuxiliaryWeight", aux(start=float("inf")), f"start is inf; {FINITE}"),
    ("AuxiliaryWeight", aux(start=[[1]]), f"start is [[1]]; {FINITE}"),
    ("AuxiliaryWeight", aux(target="five"), f"target is 'five'; {FINITE}"),
    ("AuxiliaryWeight", aux(coupling=-0.1), f"coupling is -0.1; {FINITE}"),
    ("AuxiliaryWeight", aux(coupling=float("nan")), f"coupling is nan; {FINITE}"),
    (
        "AuxiliaryWeight",
        aux(frozen="no"),
        "frozen is 'no'; it takes True or False, or one for each trial",
    ),
    ("AuxiliaryWeight", aux(frozen=1), "frozen is 1; it takes True or False"),
    ("AuxiliaryWeight", aux(speed=float("nan")), f"speed is nan; {FINITE}"),
    ("AuxiliaryWeight", aux(speed=[1, 2]), f"speed is [1, 2]; {FINITE}"),
    ("AuxiliaryWeight", aux(feeds=-1), f"feeds is -1; {FINITE}"),
    ("AuxiliaryWeight", aux(feeds=[1, 2]), f"feeds is [1, 2]; {FINITE}"),
    ("AuxiliaryWeight", aux(forgets="no"), "forgets is 'no'; it takes True or False"),
    ("AuxiliaryWeight", aux(opens="all"), "opens is 'all'; it takes one of neurons, rate, nothing"),
    (
        "AuxiliaryWeight",
        aux(mask="neuron"),
        "mask is 'neuron'; it takes one of staircase, shared, reversed",
    ),
    (
        "AuxiliaryWeight",
        aux(learns_from="none"),
        "learns_from is 'none'; it takes one of size, loss",
    ),
    ("AuxiliaryWeight", aux(begin=3), "unexpected keyword argument 'begin'", TypeError),
    (
        "ControllerMask",
        mask(start=2.0),
        "start is 2.0; it takes at most 1, where every neuron takes part",
    ),
    (
        "ControllerMask",
        mask(target=5),
        "target is 5; it takes at most 1, where every neuron takes part",
    ),
    ("ControllerMask", mask(mask="layer"), "mask is 'layer'; it takes one of shared, neuron"),
    (
        "ControllerMask",
        mask(learns_from="task"),
        "learns_from is 'task'; it takes one of size, loss",
    ),
    ("ControllerMask", mask(start_noise=-1), f"start_noise is -1; {FINITE}"),
    ("ControllerMask", mask(start_noise=[0.1, 0.1]), f"start_noise is [0.1, 0.1]; {FINITE}"),
    (
        "together",
        lambda a: growlib.together([], 3),
        "growths is []; it takes one or more of them, such as arms() makes",
    ),
    (
        "together",
        lambda a: growlib.together("arms", 3),
        "growths is ['a', 'r', 'm', 's']; it takes one or more of them",
    ),
    (
        "together",
        lambda a: growlib.together(None, 3),
        "growths is [None]; it takes one or more of them",
    ),
    ("together", lambda a: growlib.together(growlib.arms(), 0), f"trials is 0; {ONE_WHOLE}"),
    (
        "together",
        lambda a: growlib.together(
            [growlib.ControllerMask(), growlib.ControllerMask(mask="neuron")], 3
        ),
        "growths is [ControllerMask(",
    ),
    (
        "arms",
        lambda a: growlib.arms("Auxiliary"),
        "method is 'Auxiliary'; it takes one of AuxiliaryWeight, ControllerMask",
    ),
    (
        "arms",
        lambda a: growlib.arms(growlib.AuxiliaryWeight()),
        "method is AuxiliaryWeight(start=0.0",
    ),
    ("arms", lambda a: growlib.arms(coupling=-1), f"coupling is -1; {FINITE}"),
    (
        "task",
        lambda a: growlib.task(3),
        "task is 'int'; it takes a name, a function of x, or a Task",
    ),
    (
        "task",
        lambda a: growlib.task("cubic-1", classes=3),
        "option of task cubic-1 is 'classes'; it takes one of points, test_points, noise, gap",
    ),
    (
        "task",
        lambda a: growlib.task("bessel-grid", classes=3),
        "option of task bessel-grid is 'classes'; it takes one of points, noise, gap",
    ),
    (
        "task",
        lambda a: growlib.task(abs, classes=3),
        "unexpected keyword argument 'classes'",
        TypeError,
    ),
    (
        "task",
        lambda a: growlib.task("cubic-1", points=0),
        "points is 0; it takes a whole number of at least 2",
    ),
    (
        "task",
        lambda a: growlib.task("cubic-1", points=8, test_points=8),
        "test_points is 8; it takes less than 8",
    ),
    ("task", lambda a: growlib.task("cubic-1", test_points=0), f"test_points is 0; {ONE_WHOLE}"),
    (
        "task",
        lambda a: growlib.task("bessel-grid", points=3),
        "points is 3; it takes a whole number of at least 10",
    ),
    (
        "task",
        lambda a: growlib.task("spirals", points=3),
        "points is 3; it takes a whole number of at least 50",
    ),
    (
        "task",
        lambda a: growlib.task("spirals", classes=1),
        "classes is 1; it takes a whole number of at least 2",
    ),
    ("task", lambda a: growlib.task("gaussian-mixture", noise=-0.1), f"noise is -0.1; {FINITE}"),
    ("task", lambda a: growlib.task("cubic-1", noise=[0.1, 0.2]), f"noise is [0.1, 0.2]; {FINITE}"),
    ("task", lambda a: growlib.task("cubic-1", gap=-1), f"gap is -1; {FINITE}"),
    (
        "Task",
        mine(None, loss="hinge"),
        "loss is 'hinge'; it takes one of squared, logistic, softmax",
    ),
    ("Task", mine(None, inputs=0), f"inputs is 0; {ONE_WHOLE}"),
    (
        "Task",
        mine(lambda g, n: (g.uniform(size=(2, n)), np.arange(n) % 4.0)),
        "sample's y is [0.0, 1.0, 2.0, 3.0]; it takes 0 ... 2",
    ),
    (
        "Task",
        mine(lambda g, n: (g.uniform(size=(3, n)), np.zeros(n))),
        "sample's x is 'of shape (3, 40)'; it takes finite numbers, (2, 40)",
    ),
    (
        "Task",
        mine(lambda g, n: (np.full((2, n), np.nan), np.zeros(n))),
        "sample's x is 'of shape (2, 40)'; it takes finite numbers",
    ),
    (
        "Task",
        mine(lambda g, n: (g.uniform(size=(2, n)), np.zeros(n)), outputs=0),
        f"outputs is 0; {ONE_WHOLE}",
    ),
    (
        "Task.draw",
        lambda a: CUBIC.draw(-1, [0]),
        "seed is -1; it takes a whole number of at least 0",
    ),
    (
        "Task.draw",
        lambda a: CUBIC.draw(0, [-1]),
        "trials is -1; it takes a whole number of at least 0",
    ),
    ("Task.draw", lambda a: CUBIC.draw(0, []), f"trials is []; {ONE_WHOLE}"),
    (
        "Task.draw",
        lambda a: CUBIC.draw(0, [0], "dat"),
        "stream is 'dat'; it takes one of data, weights",
    ),
    ("Task.draw", lambda a: CUBIC.draw(0, [0], points=0), f"points is 0; {ONE_WHOLE}"),
    (
        "Task.draw",
        lambda a: growlib.task("bessel-sum", gap=0.5).draw(0, range(5)),
        "gap is 0.5; it takes less, or more test_points",
    ),
    (
        "random_stream",
        lambda a: growlib.random_stream("a", 0, "data"),
        "seed is 'a'; it takes a whole number of at least 0",
    ),
    (
        "random_stream",
        lambda a: growlib.random_stream(0, 1.5, "data"),
        "trial is 1.5; it takes a whole number of at least 0",
    ),
    (
        "random_stream",
        lambda a: growlib.random_stream(0, 0, "dat"),
        "stream is 'dat'; it takes one of data, weights",
    ),
    ("layer_shapes", lambda a: growlib.layer_shapes("a"), f"width is 'a'; {ONE_WHOLE}"),
    ("layer_shapes", lambda a: growlib.layer_shapes(-3), f"width is -3; {ONE_WHOLE}"),
    ("layer_shapes", lambda a: growlib.layer_shapes([]), f"width is []; {ONE_WHOLE}"),
    ("layer_shapes", lambda a: growlib.layer_shapes(9, 0), f"inputs is 0; {ONE_WHOLE}"),
    ("layer_shapes", lambda a: growlib.layer_shapes(9, 1, -1), f"outputs is -1; {ONE_WHOLE}"),
    (
        "initial_weights",
        lambda a: growlib.initial_weights(-1, [0], 9, growlib.AuxiliaryWeight()),
        "seed is -1; it takes a whole number",
    ),
    (
        "initial_weights",
        lambda a: growlib.initial_weights(0, [0], 0, growlib.AuxiliaryWeight()),
        f"width is 0; {ONE_WHOLE}",
    ),
    (
        "task_loss",
        lambda a: growlib.task_loss(torch.zeros(1, 3, 2), torch.zeros(3, 2), "hinge"),
        "loss is 'hinge'; it takes one of squared",
    ),
    (
        "task_loss",
        lambda a: growlib.task_loss(torch.zeros(1, 3, 2), torch.zeros(4, 2), "squared"),
        "size of tensor a (3) must match",
        RuntimeError,
    ),
    (
        "outputs",
        lambda a: growlib.outputs(
            torch.zeros(3, 2), torch.zeros(1, 5, 2), growlib.AuxiliaryWeight(), 9
        ),
        "split_sizes to sum",
        RuntimeError,
    ),
    (
        "unpack",
        lambda a: growlib.unpack(torch.zeros(3, 2), [(3, 2)]),
        "expects split_sizes to sum exactly to 2",
        RuntimeError,
    ),
    (
        "pack",
        lambda a: growlib.pack(torch.zeros(2), [torch.zeros(3, 3, 3)]),
        "shape '[-1, 2]' is invalid for input of size 27",
        RuntimeError,
    ),
    (
        "task_from_frame",
        framed(TABLE, "weight"),
        "target is 'weight'; it takes a column of the table: mass, age, sick, height, kind",
    ),
    (
        "task_from_frame",
        framed(TABLE, ["kind"]),
        "target is ['kind']; it takes a column of the table",
    ),
    (
        "task_from_frame",
        framed(TABLE, "height"),
        "frame: column 'kind', row 0 is 'low'; it takes finite numbers (bad cells: 60",
    ),
    (
        "task_from_frame",
        framed(TABLE, classes=False),
        "frame: column 'kind', row 0 is 'low'; it takes finite numbers",
    ),
    (
        "task_from_frame",
        framed(changed("mass", 7, "heavy")),
        "frame: column 'mass', row 7 is 'heavy'; it takes finite numbers",
    ),
    (
        "task_from_frame",
        framed(changed("mass", 7, None)),
        "frame: column 'mass', row 7 is None; it takes finite numbers",
    ),
    (
        "task_from_frame",
        framed(changed("age", 9, np.nan)),
        "frame: column 'age', row 9 is nan; it takes finite numbers",
    ),
    (
        "task_from_frame",
        framed(changed("age", 9, np.inf)),
        "frame: column 'age', row 9 is inf; it takes finite numbers",
    ),
    (
        "task_from_frame",
        framed(changed("kind", 3, None)),
        "frame: column 'kind', row 3 is nan; it takes finite numbers",
    ),
    (
        "task_from_frame",
        framed(TABLE.assign(day=pd.date_range("2026-01-01", periods=60))),
        "column 'day', row 0 is Timestamp(",
    ),
    (
        "task_from_frame",
        framed(TABLE.assign(kind="low")),
        "target is 'kind'; it takes one that varies",
    ),
    (
        "task_from_frame",
        framed(changed("kind", 3, "huge")),
        "target is 'kind'; it takes one that varies, every class in two rows or more",
    ),
    (
        "task_from_frame",
        framed(TABLE.assign(name=[f"p{k}" for k in range(60)]), "name"),
        "target is 'name'; it takes one that varies, every class",
    ),
    (
        "task_from_frame",
        framed(TABLE[["kind"]]),
        "frame is (60, 1, ['kind']); it takes rows, and two columns or more",
    ),
    (
        "task_from_frame",
        framed(TABLE[["kind"]].assign(unit=1)),
        "frame is ['kind', 'unit']; it takes a column that varies beside the target",
    ),
    (
        "task_from_frame",
        framed(table(16).assign(kind=list("abcdefgh") * 2), test=0.6),
        "test is 0.6; it takes a fraction of the 16 rows",
    ),
    (
        "task_from_frame",
        framed(NUMBERS[:2], "height"),
        "test is 0.2; it takes a fraction of the 2 rows",
    ),
    (
        "task_from_frame",
        framed(TABLE[:0]),
        "frame is (0, 5, ['mass', 'age', 'sick', 'height', 'kind']); it takes rows",
    ),
    ("task_from_frame", framed(pd.DataFrame()), "frame is (0, 0, []); it takes rows"),
    (
        "task_from_frame",
        framed(pd.concat([TABLE, TABLE[["age"]]], axis=1)),
        "it takes rows, and two columns or more with a name of their own",
    ),
    ("task_from_frame", framed(TABLE, test=0), "test is 0; it takes a fraction of the 60 rows"),
    ("task_from_frame", framed(TABLE, test=1.5), "test is 1.5; it takes a fraction of the 60 rows"),
    ("task_from_frame", framed(TABLE, test=[0.1, 0.2]), f"test is [0.1, 0.2]; {FINITE}"),
    (
        "task_from_frame",
        framed(TABLE.to_numpy()),
        "frame is 'ndarray'; it takes a DataFrame, or the path of a CSV or Parquet file",
    ),
    ("task_from_frame", framed(None), "frame is 'NoneType'; it takes a DataFrame"),
    (
        "task_from_frame",
        lambda a: tables.task_from_frame(a.path / "none.csv", "kind"),
        "CSV or Parquet file of one ([Errno 2] No such file",
    ),
    (
        "task_from_frame",
        lambda a: tables.task_from_frame(a.path / "empty.csv", "kind"),
        "(No columns to parse from file)",
    ),
    (
        "task_from_frame",
        lambda a: tables.task_from_frame(a.path / "picture.csv", "kind"),
        "it takes a table, or a CSV or Parquet file of one",
    ),
    (
        "task_from_frame",
        lambda a: tables.task_from_frame(a.path / "text.parquet", "kind"),
        "it takes a table, or a CSV or Parquet file of one",
    ),
    (
        "task_from_frame",
        lambda a: tables.task_from_frame(a.path / "ragged.csv", "kind"),
        "(Error tokenizing data.",
    ),
    (
        "task_from_frame",
        lambda a: tables.task_from_frame(a.path / "vast.csv", "kind"),
        "its size is",
    ),
    (
        "task_from_frame",
        lambda a: tables.task_from_frame(a.path / "semicolons.csv", "kind"),
        "frame is (2, 1, ['mass;kind']); it takes rows, and",
    ),
    (
        "Run.predict",
        lambda a: a.run.predict("a"),
        "x is 'a'; it takes finite numbers, (points, 1) or (points,)",
    ),
    (
        "Run.predict",
        lambda a: a.run.predict([]),
        "x is []; it takes finite numbers, (points, 1) or (points,)",
    ),
    ("Run.predict", lambda a: a.run.predict([float("nan")]), "x is [nan]; it takes finite numbers"),
    (
        "Run.predict",
        lambda a: a.run.predict(np.zeros((2, 3))),
        "x is array([[0., 0., 0.], [0., 0., 0.]]); it takes finite numbers, (points, 1)",
    ),
    (
        "Run.predict",
        lambda a: a.run.predict(0, epoch=7),
        "epoch is 7; it takes an epoch whose weights were kept: none",
    ),
    (
        "Run.predict",
        lambda a: a.own.predict([[0.1, 0.2]]),
        "x is [[0.1, 0.2]]; it takes finite numbers, (points, 4)",
    ),
    (
        "Run.predict",
        lambda a: a.own.predict([0.1, 0.2, 0.3, float("nan")]),
        "x is [0.1, 0.2, 0.3, nan]; it takes finite numbers, (points, 4)",
    ),
    (
        "Run.predict",
        lambda a: a.own.predict(TABLE[["mass"]]),
        "x is ['mass']; it takes a frame that also has the columns age, sick, height",
    ),
    (
        "Run.predict",
        lambda a: a.own.predict(TABLE[:0]),
        "x is 'DataFrame'; it takes a DataFrame with rows",
    ),
    (
        "Run.predict",
        lambda a: a.own.predict(changed("age", 9, np.nan)),
        "frame: column 'age', row 9 is nan; it takes finite numbers",
    ),
    (
        "Run.theta",
        lambda a: a.run.theta(3),
        "epoch is 3; it takes an epoch whose weights were kept: none, since it was not fitted with keep_weights",
    ),
    ("Run.dense", lambda a: a.run.dense(2), "network is 2; it takes less than 2"),
    (
        "Run.dense",
        lambda a: a.run.dense(-1),
        "network is -1; it takes a whole number of at least 0",
    ),
    (
        "Run.confusion",
        lambda a: a.run.confusion(),
        "task is 'cubic-1'; it takes a classification, so that there is a confusion matrix",
    ),
    ("Run.save", lambda a: a.run.save(a.path / "file"), "it takes a file name that ends in .npz"),
    ("Run.save", lambda a: a.run.save(""), "path is ''; it takes a file name that ends in .npz"),
    (
        "Run.save",
        lambda a: a.run.save(a.path / "file" / "run.npz"),
        "it takes a file that can be written (File exists)",
    ),
    (
        "Run.save",
        lambda a: a.run.save(a.path / "folder.npz"),
        "it takes a file that can be written (Is a directory)",
    ),
    (
        "load",
        lambda a: growlib.load(a.path / "none.npz"),
        "none.npz'; it takes a file that Run.save wrote ([Errno 2] No such file",
    ),
    ("load", lambda a: growlib.load(a.path / "file"), "file'; it takes a file that Run.save wrote"),
    (
        "load",
        lambda a: growlib.load(a.path / "other.npz"),
        "other.npz'; it takes a file that Run.save wrote ('about')",
    ),
    ("load", lambda a: growlib.load(3), "path is '3'; it takes a file that Run.save wrote"),
    (
        "load",
        lambda a: growlib.load(a.path / "own.npz"),
        "what is None; it takes the task 'table', which this file does not hold",
    ),
    ("load", lambda a: growlib.load(a.path / "own.npz", CUBIC), "what is Task(name='cubic-1'"),
    (
        "study",
        lambda a: studies.study("figure-9"),
        "study is 'figure-9'; it takes one of figure-2, figure-3",
    ),
    ("study", studied({"task": "cubic-9"}), "task is 'cubic-9'; it takes one of bessel-j0"),
    ("study", studied({"task": "cubic-1", "sped": 3}), "grid is 'sped'; it takes one of"),
    (
        "study",
        studied({"trials": 3}),
        "grid is {'trials': 3}; it takes a mapping that names a task",
    ),
    ("study", studied([]), "grid is []; it takes a mapping that names a task"),
    ("study", studied(3), "grid is 3; it takes a mapping that names a task"),
    ("study", studied("figure-2"), "grid is 'figure-2'; it takes a mapping that names a task"),
    (
        "study",
        studied({"task": "cubic-1", "coupling": []}),
        "grid is {'task': 'cubic-1', 'coupling': []}; it takes at least one value",
    ),
    (
        "study",
        studied({"task": "cubic-1", "controls": 3}),
        "grid is {'task': 'cubic-1', 'controls': 3}; it takes",
    ),
    ("study", studied({"task": "cubic-1", "coupling": -1}), f"coupling is -1; {FINITE}"),
    (
        "study",
        studied({"task": "cubic-1", "classes": 3}),
        "option of task cubic-1 is 'classes'; it takes one of points",
    ),
    ("study", studied({"task": "cubic-1", "width": 0}), f"width is 0; {ONE_WHOLE}"),
    ("study", studied({"task": "cubic-1", "trials": 0}), f"trials is 0; {ONE_WHOLE}"),
    (
        "study",
        studied({"task": "cubic-1", "arm": "shrinking"}),
        "arm is 'shrinking'; it takes one of growing, grown, static",
    ),
    (
        "study",
        studied({"task": "cubic-1", "method": "Mask"}),
        "method is 'Mask'; it takes one of AuxiliaryWeight, ControllerMask",
    ),
    (
        "study",
        studied({"task": "cubic-1", "reading": "read"}),
        "reading is 'read'; it takes one of released, described",
    ),
    ("study", studied({"task": CUBIC}), "task is Task(name='cubic-1'"),
    ("study", studied({"task": "cubic-1"}, workers=0), f"workers is 0; {ONE_WHOLE}"),
    (
        "published",
        lambda a: studies.published("figure-9"),
        "study is 'figure-9'; it takes one of figure-2",
    ),
    (
        "published",
        lambda a: studies.published("figure-2", "large"),
        "scale is 'large'; it takes one of quick, paper",
    ),
    (
        "results",
        lambda a: studies.results("figure-9"),
        "study is 'figure-9'; it takes one of figure-2",
    ),
    (
        "results",
        lambda a: studies.results("figure-2", scale="large"),
        "scale is 'large'; it takes one of quick, paper",
    ),
    (
        "stored",
        lambda a: studies.stored("figure-9"),
        "study is 'figure-9'; it takes one of figure-2",
    ),
    (
        "stored",
        lambda a: studies.stored("figure-2", "everything"),
        "what is 'everything'; it takes one of finals, history, curves",
    ),
    (
        "stored",
        lambda a: at_home(a.path / "nowhere", lambda: studies.stored("figure-2")),
        "study 'figure-2' is not in ",
        FileNotFoundError,
    ),
    (
        "stored",
        lambda a: at_home(a.path / "file", lambda: studies.stored("figure-2")),
        "file/data; `make paper` computes it",
        FileNotFoundError,
    ),
    (
        "about_stored",
        lambda a: studies.about_stored("figure-9"),
        "study is 'figure-9'; it takes one of figure-2",
    ),
    (
        "is_stored",
        lambda a: studies.is_stored("figure-9"),
        "study is 'figure-9'; it takes one of figure-2",
    ),
    (
        "GROWLIB_HOME",
        lambda a: at_home(
            a.path / "file", lambda: figures.save_figure(figures.new_figure()[0], "x")
        ),
        "it takes a folder that can be",
    ),
    (
        "GROWLIB_HOME",
        lambda a: at_home(a.path / "file", lambda: studies.study("sweep", {"task": "cubic-1"})),
        "it takes a file that can be written",
    ),
    ("compare", lambda a: statistics.compare(3), "frame is 'int'; it takes a DataFrame with rows"),
    (
        "compare",
        lambda a: statistics.compare(a.finals[:0]),
        "frame is 'DataFrame'; it takes a DataFrame with rows",
    ),
    (
        "compare",
        lambda a: statistics.compare(a.finals[["arm", "test_loss"]]),
        "it takes a frame that also has the columns trial, diverged, task",
    ),
    (
        "compare",
        lambda a: statistics.compare(a.finals, "loss"),
        "value is 'loss'; it takes one of trial, start",
    ),
    (
        "compare",
        lambda a: statistics.compare(a.finals, "task"),
        "value is 'task'; it takes one of trial, start",
    ),
    (
        "compare",
        lambda a: statistics.compare(a.finals, against="nothing"),
        "against is 'nothing'; it takes one of grown, static",
    ),
    (
        "compare",
        lambda a: statistics.compare(a.finals, against="growing"),
        "against is 'growing'; it takes one of grown, static",
    ),
    (
        "compare",
        lambda a: statistics.compare(a.finals, arm="larger"),
        "arm is 'larger'; it takes one of growing, grown, static",
    ),
    (
        "compare",
        lambda a: statistics.compare(a.finals, by="tsk"),
        "it takes a frame that also has the columns tsk",
    ),
    (
        "compare",
        lambda a: statistics.compare(a.finals, by=[]),
        "by is []; it takes all columns that tell the settings of the frame apart",
    ),
    (
        "compare",
        lambda a: statistics.compare(pd.concat([a.finals] * 2)),
        "by is ['task']; it takes all columns that tell the settings",
    ),
    (
        "compare",
        lambda a: statistics.compare(a.finals, resamples=0),
        f"resamples is 0; {ONE_WHOLE}",
    ),
    (
        "compare",
        lambda a: statistics.compare(a.finals, seed=-1),
        "seed is -1; it takes a whole number of at least 0",
    ),
    (
        "compare",
        lambda a: statistics.compare(a.finals, permutations=-1),
        "permutations is -1; it takes a whole number of at least 0",
    ),
    (
        "compare",
        lambda a: statistics.compare(a.finals, measures=["mean"]),
        "measures is 'mean'; it takes one of ratio of means, ratio of medians",
    ),
    (
        "holm",
        lambda a: statistics.holm([2.0]),
        "p is [2.0]; it takes a sequence of numbers from 0 to 1",
    ),
    (
        "holm",
        lambda a: statistics.holm([0.1, np.nan]),
        "p is [0.1, nan]; it takes a sequence of numbers from 0 to 1",
    ),
    (
        "holm",
        lambda a: statistics.holm(0.5),
        "p is 0.5; it takes a sequence of numbers from 0 to 1",
    ),
    (
        "over_trials",
        lambda a: statistics.over_trials(lambda places: {"n": 1}, 0),
        f"trials is 0; {ONE_WHOLE}",
    ),
    (
        "over_trials",
        lambda a: statistics.over_trials(lambda places: {"n": 1}, 3, 0),
        f"resamples is 0; {ONE_WHOLE}",
    ),
    (
        "over_trials",
        lambda a: statistics.over_trials(lambda places: {"n": 1}, 3, 2, -1),
        "seed is -1; it takes a whole number of at least 0",
    ),
    (
        "over_trials",
        lambda a: statistics.over_trials(3, 10),
        "'int' object is not callable",
        TypeError,
    ),
    ("in_words", lambda a: statistics.in_words({"estimate": 1.0, "low": 0.5}), "'high'", KeyError),
    (
        "in_thousands",
        lambda a: statistics.in_thousands("many"),
        "count is 'many'; it takes a whole number of at least 0",
    ),
    ("as_table", lambda a: statistics.as_table(a.finals), "'estimate'", KeyError),
    (
        "with_sums",
        lambda a: growlib.with_sums(pd.DataFrame({"size": [1.0]})),
        "'coupling'",
        KeyError,
    ),
    (
        "new_figure",
        lambda a: figures.new_figure(0),
        "Number of rows must be a positive integer, not 0",
    ),
    ("new_figure", lambda a: figures.new_figure(1, -1), "figure size must be positive finite not"),
    (
        "new_figure",
        lambda a: figures.new_figure(height=-1),
        "figure size must be positive finite not (4.2, -1)",
    ),
    (
        "new_figure",
        lambda a: figures.new_figure(panels=3),
        "unexpected keyword argument 'panels'",
        TypeError,
    ),
    (
        "save_figure",
        lambda a: figures.save_figure(figures.new_figure()[0], "x", "huge"),
        "scale is 'huge'; it takes one of quick, paper",
    ),
    (
        "save_figure",
        lambda a: figures.save_figure(figures.new_figure(), "x", folder=a.path),
        "figure is (<Picture size",
    ),
    (
        "save_figure",
        lambda a: figures.save_figure(figures.new_figure()[0], "x", folder=a.path / "file"),
        "it takes a folder that can be written",
    ),
    (
        "plot_histories",
        lambda a: figures.plot_histories(3, panel()),
        "history is 'int'; it takes a DataFrame with rows",
    ),
    (
        "plot_histories",
        lambda a: figures.plot_histories(a.finals, panel()),
        "it takes a frame that also has the columns epoch",
    ),
    (
        "plot_histories",
        lambda a: figures.plot_histories(a.run.history, panel(), "loss"),
        "y is 'loss'; it takes one of trial, start",
    ),
    (
        "plot_histories",
        lambda a: figures.plot_histories(a.run.history, figures.new_figure()[1]),
        "axes is 'ndarray'; it takes one Axes, such",
    ),
    (
        "plot_mirrored",
        lambda a: figures.plot_mirrored(3, panel()),
        "finals is 'int'; it takes a DataFrame with rows",
    ),
    (
        "plot_mirrored",
        lambda a: figures.plot_mirrored(a.finals, panel(), "loss"),
        "value is 'loss'; it takes one of trial, start",
    ),
    (
        "plot_mirrored",
        lambda a: figures.plot_mirrored(a.finals, figures.new_figure()[1]),
        "axes is 'ndarray'; it takes one Axes, such as axes[0, 0]",
    ),
    (
        "plot_mirrored",
        lambda a: figures.plot_mirrored(a.run.finals, panel()),
        "below is 'grown'; it takes one of growing",
    ),
    (
        "explore",
        lambda a: widgets.explore(lambda x=1: figures.new_figure()[0], y=(0, 1)),
        "the name of a slider is 'y'; it takes one of x",
    ),
    ("explore", lambda a: widgets.explore(3, x=(0, 1)), "3 is not a callable object", TypeError),
    ("grow", lambda a: surgery.grow(a.net[0], a.net[3], 0), f"n is 0; {ONE_WHOLE}"),
    ("grow", lambda a: surgery.grow(a.net[0], a.net[5], 1), "linear_out is Linear(in_features=5"),
    (
        "grow",
        lambda a: surgery.grow(a.net[1], a.net[3], 1),
        "linear_in is 'ReLU'; it takes a plain Linear",
    ),
    (
        "grow",
        lambda a: surgery.grow(a.net[0], a.net[1], 1),
        "linear_out is 'ReLU'; it takes a plain Linear",
    ),
    (
        "grow",
        lambda a: surgery.grow(a.net[0], a.net[3], 1, torch.optim.SGD(model().parameters())),
        "optimizer is 'SGD'; it takes the one that",
    ),
    ("grow", twice(surgery.grow), "optimizer is 'SGD'; it takes the one that trains these layers"),
    (
        "grow",
        lambda a: surgery.grow(a.net[0], a.net[3], 1, a.net),
        "optimizer is 'Sequential'; it takes the one that trains these layers",
    ),
    (
        "grow",
        lambda a: surgery.grow(a.net[0], a.net[3], 1, torch.optim.LBFGS(a.net.parameters())),
        "optimizer is 'LBFGS'; it takes the one that",
    ),
    (
        "grow",
        lambda a: surgery.grow(nn.utils.parametrizations.weight_norm(model()[0]), a.net[3], 1),
        "it takes a plain Linear",
    ),
    (
        "grow",
        lambda a: (layer := nn.Linear(3, 3)) and surgery.grow(layer, layer, 1),
        "it takes another Linear",
    ),
    (
        "shrink",
        lambda a: surgery.shrink(a.net[0], a.net[3], 8),
        "n is 8; it takes some, not all, of the neurons 0 ... 7",
    ),
    (
        "shrink",
        lambda a: surgery.shrink(a.net[0], a.net[3], [8]),
        "n is [8]; it takes some, not all, of the neurons 0 ... 7",
    ),
    ("shrink", lambda a: surgery.shrink(a.net[0], a.net[3], 1.5), f"n is 1.5; {ONE_WHOLE}"),
    (
        "shrink",
        lambda a: surgery.shrink(a.net[0], a.net[5], 1),
        "linear_out is Linear(in_features=5",
    ),
    (
        "shrink",
        twice(surgery.shrink),
        "optimizer is 'SGD'; it takes the one that trains these layers",
    ),
]
# refused by matplotlib in a sentence of its own
OTHERS = {"new_figure"}
LOW = "takes tensors alone; torch refuses the rest"
NOTHING = "takes nothing"
EXEMPT = (
    dict.fromkeys(
        (
            "staircase",
            "staircase_slope",
            "size_loss",
            "Growth.acts",
            "Growth.needed",
            "AuxiliaryWeight.steps",
            "AuxiliaryWeight.gate",
            "AuxiliaryWeight.slope",
            "ControllerMask.gate",
            "ControllerMask.slope",
        ),
        LOW,
    )
    | dict.fromkeys(
        (
            "Task.train_points",
            "Task.classes",
            "Task.large",
            "Task.endless",
            "Run.networks",
            "Growth.values",
            "Growth.arm",
            "has_compiler",
        ),
        NOTHING,
    )
    | {
        "Growth": "what both methods share; nobody makes one",
        "Run": "made by fit and load",
        "Picture": "made by new_figure",
        "Task.units": "takes what Task.draw gives",
    }
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Runs that the rows misuse, and a saved one."""
    growth, trials = growlib.together(growlib.arms(), 3)
    own = fit(tables.task_from_frame(TABLE, "kind"), trials=2)
    runs = SimpleNamespace(
        run=fit(trials=2), own=own, finals=fit(growth=growth, trials=trials).finals
    )
    runs.saved = tmp_path_factory.mktemp("saved") / "own.npz"
    runs.own.save(runs.saved)
    return runs


@pytest.fixture
def given(trained, tmp_path, monkeypatch):
    """The runs, a model of one's own, a folder of files that are not what they should be, and a store that is empty."""
    monkeypatch.setattr(growlib, "HOME", tmp_path / "home")
    monkeypatch.setenv("GROWLIB_PROGRESS", str(tmp_path / "progress.txt"))
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "folder.npz").mkdir()
    (tmp_path / "empty.csv").touch()
    (tmp_path / "picture.csv").write_bytes(bytes(range(256)) * 4)
    (tmp_path / "text.parquet").write_text("mass,kind\n1,a\n")
    (tmp_path / "ragged.csv").write_text("mass,kind\n1,a\n1,2,3\n")
    (tmp_path / "semicolons.csv").write_text("mass;kind\n1,5;a\n2,5;b\n")
    with open(tmp_path / "vast.csv", "wb") as file:
        file.truncate(2**42)  # four terabytes that take no room
    np.savez(tmp_path / "other.npz", a=1)
    shutil.copy(trained.saved, tmp_path)
    return SimpleNamespace(**vars(trained), net=model(), path=tmp_path)


@pytest.mark.filterwarnings("ignore:left out of the table, since constant")
@pytest.mark.parametrize(
    "row", ROWS, ids=[f"{covers}-{number}" for number, (covers, *_) in enumerate(ROWS)]
)
def test_a_mistake_gets_its_sentence_and_loses_nothing(row, given, here):
    (covers, call, words), error = row[:3], row[3] if len(row) > 3 else ValueError
    parameters, before = dict(given.net.named_parameters()), copy.deepcopy(given.net.state_dict())
    with pytest.raises(error) as caught:
        call(given)
    said = str(caught.value)
    assert (
        type(caught.value) is error and words in said and "\n" not in said and len(said) < 1000
    ), said
    assert error is not ValueError or covers in OTHERS or "; it takes " in said, said
    assert (given.path / "file").read_text() == "in the way" and not list(
        (given.path / "folder.npz").iterdir()
    )
    assert not here.submitted  # a study says it before anything is computed
    for name, value in given.net.state_dict().items():
        assert (
            torch.equal(value, before[name])
            and dict(given.net.named_parameters())[name] is parameters[name]
        )
    assert [given.net[0].out_features, given.net[3].in_features] == [8, 8]


def test_a_run_that_cannot_be_written_leaves_the_older_file(given, monkeypatch):
    before = (given.path / "own.npz").read_bytes()

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", full)
    with pytest.raises(
        ValueError,
        match=r"path is .*own.npz'; it takes a file that can be written \(No space left on device\)",
    ):
        given.own.save(given.path / "own.npz")
    assert (given.path / "own.npz").read_bytes() == before


def test_every_public_name_is_in_the_table():
    covered = {covers for covers, *_ in ROWS}
    assert not covered & EXEMPT.keys() and EXEMPT.keys() <= PUBLIC.keys()
    assert PUBLIC.keys() - EXEMPT.keys() == {
        name for name in covered if not name.startswith("GROWLIB_")
    }


# ---------------------------------------------------------------------------------- notebooks' parameters

# a bad value of every parameter, and the least, or the range, of the numbers that it takes
PARAMETERS = {
    "01": {"trials": ("-3", 1), "epochs": ("0", 1), "seed": ("-1", 0)},
    "02": {"trial": ("20", "0 ... 19"), "networks": ("0", 1), "seed": ("1.5", 0)},
    "03": {"networks": ("many", 1), "seed": ("-1", 0)},
    "04": {"networks": ("2.5", 1), "seed": ("None", 0)},
    "05": {"trial": ("3", "0 ... 2"), "networks": ("-1", 1), "seed": ("x", 0)},
    "06": {"networks": ("0", 1), "seed": ("-1", 0), "resamples": ("0", 1)},
    "07": {"networks": ("0", 1), "seed": ("1e3", 0)},
    "08": {"networks": ("0", 1), "seed": ("-1", 0)},
    "09": {"networks": ("[1]", 1), "seed": ("-1", 0)},
    "10": {"resamples": ("0", 1)},
    "11": {
        "networks": ("0", 1),
        "networks_large": ("0", 1),
        "epochs": ("0.5", 1),
        "passes": ("0", 1),
        "seed": ("-1", 0),
    },
}
CASES = [
    (number, name, *case) for number, cases in PARAMETERS.items() for name, case in cases.items()
]
TEXTS = [
    (number, name, value)
    for number in PARAMETERS
    for name, value in (("scale", "papr"), ("folder", "file"))
]


def cell(number):
    """The parameters cell of a notebook."""
    return next(
        c
        for c in nbformat.read(BOOKS[number], 4).cells
        if "parameters" in c.metadata.get("tags", [])
    )


def edited(number, name, value):
    """The text of the parameters cell, with a value put into it by hand."""
    return re.sub(
        rf"^{name} = .*?(?=  #)",
        lambda _: f"{name} = {value}",
        cell(number).source,
        flags=re.MULTILINE,
    )


def test_every_parameter_is_in_the_table():
    assert {
        (number, line.split(" = ")[0])
        for number in BOOKS
        for line in cell(number).source.splitlines()
    } == {case[:2] for case in CASES + TEXTS}


@pytest.mark.parametrize("by_hand", [False, True], ids=["-p", "edited"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: ".".join(case[:2]))
def test_the_driver_refuses_a_number_before_it_starts_a_kernel(case, by_hand, tmp_path):
    number, name, value, takes = case
    book = nbformat.read(BOOKS[number], 4)
    if by_hand:
        next(c for c in book.cells if "parameters" in c.metadata.get("tags", [])).source = edited(
            number, name, value
        )
    nbformat.write(book, tmp_path / BOOKS[number].name)
    takes = f"at least {takes}" if isinstance(takes, int) else takes
    with pytest.raises(notebooks.Failed) as caught:
        notebooks.check_parameters(tmp_path / BOOKS[number].name, {} if by_hand else {name: value})
    assert (
        str(caught.value)
        == f"{BOOKS[number].stem}: {name} is {value}; it takes a whole number of {takes}"
    )
    notebooks.check_parameters(BOOKS[number], {})  # what is committed is fine


@pytest.mark.parametrize(
    "number, name, value", TEXTS, ids=[f"{number}.{name}" for number, name, _ in TEXTS]
)
def test_a_text_edited_by_hand_is_refused_where_it_is_used(number, name, value, tmp_path):
    (tmp_path / "file").write_text("in the way")
    source = "\n".join(
        c.source for c in nbformat.read(BOOKS[number], 4).cells if c.cell_type == "code"
    )
    values = {"figures": figures, "figure": figures.new_figure()[0]}
    exec(edited(number, name, repr(str(tmp_path / value) if name == "folder" else value)), values)
    with pytest.raises(ValueError, match=f"{name} is .*{value}'; it takes "):
        exec(re.search(r"figures\.save_figure\(.*\)", source)[0], values)
    assert (tmp_path / "file").read_text() == "in the way"


@pytest.mark.parametrize(
    "name, value, words",
    [("trials", -3, "trials is -3"), ("epochs", 0, "epochs is 0"), ("seed", -1, "seed is -1")],
)
def test_a_number_edited_in_jupyter_is_refused_by_its_cell(name, value, words):
    values = {}
    code = [c.source for c in nbformat.read(BOOKS["01"], 4).cells if c.cell_type == "code"]
    with pytest.raises(ValueError, match=f"^{words}; it takes a whole number of at least "):
        for text in (code[0], edited("01", name, value), code[2], code[4]):
            exec(text, values)


# ------------------------------------------------------------------------------------------- commands

PYTHON = [sys.executable]
MAKE = [
    "make",
    "-o",
    ".venv/ready",
    f"BIN={Path(sys.executable).parent}",
]  # with the environment that is there
ONLY = [*PYTHON, "tools/notebooks.py", "--only", "01"]
COMMANDS = [
    (
        "make NB",
        [*MAKE, "figures", "NB=99"],
        "NB is '99'; it takes one of 01_growth, 02_regression",
    ),
    ("make NB", [*MAKE, "paper", "NB=abc"], "NB is 'abc'; it takes one of 01_growth"),
    ("make NB", [*MAKE, "figures", "NB=01 99"], "NB is '01 99'; it takes one of 01_growth"),
    (
        "make PYTHON",
        ["make", "-B", "figures", "PYTHON=nonsense"],
        "PYTHON is 'nonsense'; it takes a Python of 3.11 or newer",
    ),
    (
        "notebooks.py",
        [*ONLY, "-p", "trials", "-3"],
        "01_growth: trials is -3; it takes a whole number of at least 1",
    ),
    (
        "notebooks.py",
        [*ONLY, "-p", "trails", "3"],
        "01_growth has no parameter 'trails'; it takes scale, folder, trials, epochs, seed",
    ),
    (
        "notebooks.py",
        [*ONLY, "-p", "scale", "paper"],
        "-p scale is paper; it takes another parameter, since --scale says the scale",
    ),
    (
        "notebooks.py",
        [*ONLY, "-p", "folder", "x"],
        "-p folder is x; it takes another parameter, since --scale says the scale",
    ),
    ("notebooks.py", [*ONLY, "-p", "trials"], "argument -p: expected 2 arguments"),
    ("notebooks.py", [*ONLY, "--scale", "huge"], "argument --scale: invalid choice: 'huge'"),
    ("notebooks.py", [*ONLY, "--fast"], "unrecognized arguments: --fast"),
    ("readme.py", [*PYTHON, "tools/readme.py", "--fast"], "unrecognized arguments: --fast"),
    (
        "pythons.py",
        [*PYTHON, "tools/pythons.py", "3.12"],
        "CASE is '3.12'; it takes a Python and its libraries, such as 3.12-newest",
    ),
    (
        "mutation.py",
        [*PYTHON, "tests/mutation.py", "fit"],
        "FUNCTION is 'fit'; it takes one of staircase, ",
    ),
    (
        "bench.py",
        [*PYTHON, "tests/benchmarks/bench.py", "--fast"],
        "unrecognized arguments: --fast",
    ),
    (
        "GROWLIB_HOME",
        ["env", "GROWLIB_HOME=nowhere", *PYTHON, "tools/readme.py", "--compare"],
        "study 'figure-2' is not in nowhere/data",
    ),
]


@pytest.mark.parametrize(
    "covers, command, words",
    COMMANDS,
    ids=[f"{covers}-{number}" for number, (covers, *_) in enumerate(COMMANDS)],
)
def test_a_command_that_is_wrong_ends_with_its_sentence_and_no_traceback(
    covers, command, words, tmp_path
):
    place = ROOT
    if covers == "make PYTHON":  # it would make an environment anew
        place = Path(
            shutil.copytree(
                ROOT,
                tmp_path / "copy",
                ignore=lambda *_: (
                    {p.name for p in ROOT.iterdir()} - {"Makefile", "requirements.txt"}
                ),
            )
        )
        (place / "pyproject.toml").touch()
    done = subprocess.run(
        command,
        cwd=place,
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    said = done.stdout + done.stderr
    assert done.returncode and words in said and "Traceback" not in said, said


def test_every_tool_and_variable_of_make_is_in_the_table():
    tools = {
        path.name
        for folder in ("tools", "tests/benchmarks")
        for path in (ROOT / folder).glob("*.py")
    }
    variables = {
        f"make {name}"
        for name in re.findall(r"^(\w+) \?=", (ROOT / "Makefile").read_text(), re.MULTILINE)
    }
    assert tools - {"jax_steps.py"} | variables <= {
        covers for covers, *_ in COMMANDS
    }  # which bench.py alone starts


def test_studies_that_cannot_be_stored_are_said_by_the_driver(tmp_path, monkeypatch, capsys, here):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setattr(growlib, "HOME", tmp_path / "file")
    assert notebooks.main(["--scale", "paper"]) == 1
    assert (
        re.search(
            r"path is .*file/\.cache/cells/probe'; it takes a file that can be written",
            capsys.readouterr().out,
        )
        and not here.submitted
    )


def test_figures_that_cannot_be_written_are_said_by_the_driver(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device", "01_gate.png")

    monkeypatch.setattr(notebooks, "run", lambda *_: {})
    monkeypatch.setattr(notebooks, "finish", full)
    with pytest.raises(
        notebooks.Failed,
        match=r"^01_growth: 01_gate.png cannot be written \(No space left on device\)$",
    ):
        notebooks.one(notebooks.Job(BOOKS["01"], tmp_path), {}, "quick", False, 1)


def test_a_browser_that_is_asked_for_wrongly_is_said(monkeypatch):
    monkeypatch.setenv("GROWLIB_BROWSER", "requierd")
    with pytest.raises(
        AssertionError, match="GROWLIB_BROWSER is 'requierd'; it takes required, or nothing"
    ):
        without_browser()
    for asked, outcome in (("", pytest.skip), ("required", pytest.fail)):
        monkeypatch.setenv("GROWLIB_BROWSER", asked)
        assert without_browser() is outcome


def test_the_notebooks_that_are_committed_say_which_numbers_they_take():
    """A parameter that is neither a text nor a count must be known to the driver as one that begins at 0."""
    for number, cases in PARAMETERS.items():
        values = {}
        exec(cell(number).source, values)
        for name in cases:
            assert json.loads(json.dumps(values[name])) >= (0 if name in notebooks.FROM_ZERO else 1)

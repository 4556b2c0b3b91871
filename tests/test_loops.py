"""The compiled loops of growloops.py: against the definition in growlib.py, and to the bit.

`outputs` and `task_loss` define what a network computes, and torch differentiates them. That both
ways to train take the same steps is in test_network.py and test_training.py; here it is one table.
"""

import itertools
import json
import math
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import SimpleNamespace

import filelock
import numba
import numpy as np
import pandas as pd
import pytest
import torch
from blocks import block_of, networks_of, state_of, weights_of_small_fits
from conftest import ROOT
from test_faults import with_own_mounts

import growlib
import growloops
from growkit import tables
from growlib import AuxiliaryWeight, ControllerMask

PRECISIONS = ("float32", "float64")

# ----------------------------------------------------------------------------- elementary functions


@growloops._compiled
def all_tanh(z, found):
    for k in range(len(z)):
        found[k] = growloops.tanh(z[k])


@growloops._compiled
def all_exp(x, found):
    for k in range(len(x)):
        found[k] = growloops.exp(x[k])


@growloops._compiled
def all_sines(r, found):
    for k in range(len(r)):
        found[k] = growloops.sine(r[k])


def values_of(function, argument):
    """Return the values of one of these functions, as compiled for the argument's precision."""
    found = np.empty_like(argument)
    function(argument, found)
    return found


def spread(low, high):
    """Return numbers from low to high in float64: evenly spread, and others close to 0."""
    tiny = np.logspace(-30, -3, 500)
    return np.concatenate([np.linspace(low, high, 200_001), tiny, -tiny])


@pytest.mark.parametrize("dtype, error", [("float32", 3e-7), ("float64", 5e-16)])
def test_tanh_is_that_of_numpy(dtype, error):
    z = spread(-25, 25).astype(dtype)
    found = values_of(all_tanh, z)
    assert found.dtype == dtype
    assert np.abs(found - np.tanh(z.astype(float))).max() < error
    assert np.abs(found).max() <= 1


@pytest.mark.parametrize("dtype, bound", [("float32", 7.90531110763549805), ("float64", 20.0)])
def test_tanh_stays_where_it_is_beyond_its_bounds_and_is_0_at_0(dtype, bound):
    beyond = np.array([bound, 1.0001 * bound, 30, 1e3, 1e30, np.inf], dtype)
    for sign in (-1, 1):
        found = values_of(all_tanh, sign * beyond)
        assert len(set(found.tolist())) == 1
        assert found[0] == pytest.approx(sign, abs=3 * float(np.finfo(dtype).eps))
    assert values_of(all_tanh, np.zeros(1, dtype)) == 0
    assert np.isnan(values_of(all_tanh, np.full(1, np.nan, dtype)))  # a lost network is not hidden


def test_tanh_of_float32_is_odd_to_the_bit():
    z = spread(0, 10).astype("float32")
    np.testing.assert_array_equal(values_of(all_tanh, -z), -values_of(all_tanh, z))


@pytest.mark.parametrize("dtype, error", [("float32", 1e-7), ("float64", 4e-16)])
def test_exp_is_that_of_numpy(dtype, error):
    x = np.concatenate([spread(-87, 87), [-87, -80, 87]]).astype(dtype)
    found = values_of(all_exp, x)
    assert found.dtype == dtype
    assert np.abs(found / np.exp(x.astype(float)) - 1).max() < error
    assert values_of(all_exp, np.zeros(1, dtype)) == 1


def test_sine_is_that_of_numpy():
    r = spread(-1, 1)
    found = values_of(all_sines, r)
    assert np.abs(found - np.sin(np.pi / 2 * r)).max() < 5e-16
    assert np.abs(found).max() <= 1  # so no gate exceeds 1
    np.testing.assert_array_equal(values_of(all_sines, -r), -found)
    assert values_of(all_sines, np.zeros(1)) == 0


def test_the_functions_are_the_same_without_numba():
    """As they run where numba is told to compile nothing."""
    for value in np.linspace(-25, 25, 501).tolist():
        exact = math.tanh(value)
        assert growloops.tanh(value) == exact
        assert growloops._tanh_double(value) == pytest.approx(exact, abs=5e-16)
        single = growloops._tanh_single(np.float32(value))
        assert single.dtype == np.float32
        assert single == pytest.approx(math.tanh(np.float32(value)), abs=3e-7)
        assert growloops.exp(value) == math.exp(value)
        angle = value / 25
        sine = growloops.sine.py_func(angle)
        assert sine == pytest.approx(math.sin(math.pi / 2 * angle), abs=5e-16)


# -------------------------------------------------------------------------------------------- gates

GROWTHS = {
    "staircase": AuxiliaryWeight(),
    "reversed": AuxiliaryWeight(mask="reversed"),
    "whole layer": AuxiliaryWeight(mask="shared"),
    "steps": AuxiliaryWeight(mask="steps"),
    "exponential": AuxiliaryWeight(mask="exponential"),
    "shared": ControllerMask(),
    "neuron": ControllerMask(mask="neuron"),
    "opens the rate": AuxiliaryWeight(opens="rate"),
    "opens nothing": ControllerMask(opens="nothing"),
    "opens training": AuxiliaryWeight(opens="training"),
    "not fed": AuxiliaryWeight(feeds=0.0),
    "rests": AuxiliaryWeight(rests=True),
    "fed less": ControllerMask(mask="neuron", feeds=0.2),
}
all_growths = pytest.mark.parametrize("growth", GROWTHS.values(), ids=GROWTHS)


def loops_of(growth, shape, dtype="float64", loss="squared", few=True):
    """Return loops of networks of this shape, (inputs, neurons, outputs, networks)."""
    kind = growloops.Kind(
        loss=growloops.LOSSES.index(loss),
        mask=growloops.MASKS.index((type(growth).__name__, growth.mask)),
        opens=growloops.OPENS.index(growth.opens),
        feeds=float(growth.feeds),
        optimizer=growloops.GD,
        forgets=growloops.NEVER,
        counts=False,
        rests=growth.rests,
    )
    forces = growloops.Forces(*np.ones((5, shape[-1])))
    loops = growloops.Loops(kind, forces, shape, dtype, few, np.zeros(1, np.uint8))
    loops.gates.reach[:] = (shape[1], 0)  # nothing yet
    return loops


def opened(growth, size, width, dtype="float64"):
    """Return the gates of networks of these sizes."""
    size = np.asarray(size, float)
    loops = loops_of(growth, (1, width, 1, len(size)), dtype)
    growloops.open_gates(loops.gates, size, loops.kind)
    return loops.gates


def sizes_of(growth, width):
    """Return sizes of networks: at, and on both sides of, every place where a gate changes."""
    places = np.arange(width + 2.0)
    sizes = np.concatenate([places, places + 1e-9, places - 1e-9, np.linspace(-1, width + 1, 99)])
    return sizes / width if isinstance(growth, ControllerMask) else sizes


@pytest.mark.parametrize("dtype", PRECISIONS)
@all_growths
def test_gates_are_those_of_the_growth(growth, dtype):
    width = 6
    size = sizes_of(growth, width)
    gates = opened(growth, size, width, dtype)
    expected = growth.acts(torch.tensor(size), width)
    rounding = np.finfo(dtype).eps
    np.testing.assert_allclose(gates.gate, expected, atol=4 * rounding)
    mean = growth.gate(torch.tensor(size), width).mean(0)
    np.testing.assert_allclose(gates.mean, mean, atol=1e-14)  # in float64 at any rate
    assert gates.gate.dtype == gates.slope.dtype == dtype
    assert gates.gate.min() >= 0
    assert gates.gate.max() <= 1
    np.testing.assert_array_equal(gates.shut, growth.shut(torch.tensor(size), width))

    slope = growth.slope(torch.tensor(size), width)
    if growth.opens != "neurons":
        slope = torch.zeros_like(slope)
    # A controller's value that opens a neuron exactly is known to rounding only.
    at_a_kink = np.zeros(len(size), bool)
    if growth.mask == "neuron":
        p = width * np.sin(np.pi / 2 * size) ** 2
        at_a_kink = np.abs(p - np.round(p)) < 1e-12
    found = gates.slope[:, ~at_a_kink]
    np.testing.assert_allclose(found, slope[:, ~at_a_kink], atol=20 * width * rounding)


@pytest.mark.parametrize("dtype", PRECISIONS)
@all_growths
def test_a_gate_that_is_shut_or_open_has_exactly_no_slope_and_is_exactly_0_or_1(growth, dtype):
    width = 5
    if growth.mask == "exponential":  # no gate is ever fully open, but those of late neurons shut
        gates = opened(growth, [1.0], width, dtype)
        assert (gates.gate[3:] == 0).all()
        assert (gates.slope[3:] == 0).all()
        return
    if growth.opens != "neurons":
        gates = opened(growth, [0, 0.3, 1], width, dtype)
        assert (gates.gate == 1).all()
        assert (gates.slope == 0).all()
        return
    is_controller = isinstance(growth, ControllerMask)
    ends = [0.0, 1.0] if is_controller else [0.0, 5.0]
    gates = opened(growth, ends, width, dtype)
    assert (gates.slope == 0).all()
    assert (gates.gate[:, 0] == 0).all()
    if is_controller:  # sin²(π/2) is 1 to rounding
        assert gates.gate[:, 1] == pytest.approx(1, abs=2e-15)
    else:
        assert (gates.gate[:, 1] == 1).all()

    if growth.mask in ("staircase", "reversed", "steps"):
        gates = opened(growth, np.arange(6.0), width, dtype)
        assert set(gates.gate.ravel().tolist()) == {0, 1}
        assert (gates.slope == 0).all()
        beyond = opened(growth, [-3.0, 9.0], width, dtype)
        assert (beyond.gate == [0, 1]).all()
        assert (beyond.slope == 0).all()


@all_growths
def test_the_reach_is_that_of_the_open_gates_and_grows(growth):
    """It holds every neuron that is open in any network, and never loses one."""
    width = 8
    loops = loops_of(growth, (1, width, 1, 3))
    so_far = np.zeros(width, bool)
    path = [[0, 0, 0], [0, 0.1, 0], [3.2, 2.1, 0], [0.4, 0, 1], [0, 0, 0], [6.9, 7.7, 0], [1, 1, 1]]
    for size in np.array(path, float):
        if isinstance(growth, ControllerMask):
            size = size / width
        growloops.open_gates(loops.gates, size, loops.kind)
        so_far |= (loops.gates.gate > 0).any(axis=1)
        places = np.flatnonzero(so_far)
        first, last = loops.gates.reach
        if len(places) == 0:
            assert first >= last  # no neuron
        else:
            assert [first, last] == [places[0], places[-1] + 1]


def test_adams_moments_are_in_the_reach_although_their_neurons_are_shut():
    loops = loops_of(AuxiliaryWeight(), (2, 6, 3, 4))

    def moments(**where):
        zeros = {
            "size": np.zeros(4),
            "hidden": np.zeros((4, 6, 4)),
            "output": np.zeros((7, 3, 4)),
        }
        for name, place in where.items():
            zeros[name][place] = 1e-30
        return growloops.Weights(**zeros)

    def reach_of(mean, square):
        loops._reach_what_moves(SimpleNamespace(mean=mean, square=square))
        return loops.gates.reach.tolist()

    assert reach_of(moments(), moments()) == [6, 0]  # no neuron
    assert reach_of(moments(size=0, output=(0, 1, 1)), moments()) == [6, 0]
    assert reach_of(moments(hidden=(3, 2, 1)), moments()) == [2, 3]
    assert reach_of(moments(), moments(output=(4, 2, 3))) == [3, 4]
    assert reach_of(moments(hidden=(0, 1, 0)), moments(output=(6, 0, 0))) == [1, 6]


# ----------------------------------------------------------------------------------------- gradient


class Problem(SimpleNamespace):
    """Networks `theta` (rows, T) of a growth, with points x (I, P, T), y (P, T) and a loss."""

    @property
    def shapes(self):
        """The shapes of the layers."""
        return growlib.layer_shapes(self.width, len(self.x), self.count)

    def loss_at(self, theta):
        """Return the task loss of networks theta as it is defined, (T,)."""
        y_hat = growlib.outputs(theta, self.x, self.growth, self.width, self.count)
        return growlib.task_loss(y_hat, self.y, self.loss)

    def gradient(self):
        """Return the gradient by torch of the task loss as it is defined, (rows, T)."""
        return torch.func.grad(lambda theta: self.loss_at(theta).sum())(self.theta).numpy()

    def at_points(self, chosen):
        """Return the same networks with some of the points."""
        return Problem(**vars(self) | {"x": self.x[:, chosen], "y": self.y[chosen]})


def problem(growth, loss="squared", inputs=1, points=11, size=None, width=6):
    """Return three random networks, the same each time, with random points."""
    count = {"squared": 1, "logistic": 1, "softmax": 4}[loss]
    generator = np.random.default_rng([inputs, points])
    rows = 1 + sum(fan_in * out for fan_in, out in growlib.layer_shapes(width, inputs, count))
    theta = torch.tensor(generator.uniform(-1, 1, (rows, 3)))
    if size is None:
        size = [0.3, 2.6, 5.7]
        if isinstance(growth, ControllerMask):
            size = [0.05, 0.55, 0.81]
    theta[0] = torch.tensor(size, dtype=torch.float64)
    y = generator.uniform(-1, 1, (points, 3))
    if loss != "squared":
        y = generator.integers(0, max(count, 2), (points, 3)).astype(float)
    x = torch.tensor(generator.uniform(-1, 1, (inputs, points, 3)))
    return Problem(
        theta=theta, x=x, y=torch.tensor(y), growth=growth, width=width, count=count, loss=loss
    )


def arrays_of(theta, shapes, dtype):
    """Return networks theta as the loops take them."""
    size, (hidden, output) = growlib.unpack(theta, shapes)
    return growloops.Weights(*(part.numpy().astype(dtype) for part in (size, hidden, output)))


def flat(weights):
    """Return named weights as rows, as theta holds them."""
    lanes = len(weights.size)
    return np.concatenate([part.reshape(-1, lanes) for part in weights])


def gradient_by_networks(case, chosen=None, dtype="float64"):
    """Return the gradient by the loops whose lanes are networks, (rows, T)."""
    inputs, points, lanes = case.x.shape
    loops = loops_of(case.growth, (inputs, case.width, case.count, lanes), dtype, case.loss)
    growloops.open_gates(loops.gates, case.theta[0].numpy(), loops.kind)
    if chosen is None:
        chosen = np.arange(points)
    growloops.gradient_of_networks(
        arrays_of(case.theta, case.shapes, dtype),
        loops.gates,
        loops.kind,
        case.x.numpy().astype(dtype),
        case.y.numpy().astype(dtype),
        chosen,
        loops.work,
    )
    return flat(loops.work.gradient)


def gradient_by_points(case, chosen=None, dtype="float64"):
    """Return the gradient by the loops whose lanes are points, of each network in turn."""
    inputs, points, _ = case.x.shape
    if chosen is None:
        chosen = np.arange(points)
    tiles = math.ceil(len(chosen) / growloops.TILE)
    found = []
    for theta, x, y in zip(case.theta.T, case.x.numpy().T, case.y.numpy().T, strict=True):
        loops = loops_of(case.growth, (inputs, case.width, case.count, 1), dtype, case.loss, False)
        growloops.open_gates(loops.gates, theta[:1].numpy(), loops.kind)
        # what is not a point is NaN, which would show wherever it is taken along
        tile_x = np.full((tiles, inputs, growloops.TILE), np.nan, dtype)
        tile_y = np.full((tiles, growloops.TILE), np.nan, dtype)
        data = growloops.Points(
            x=np.ascontiguousarray(x.T.astype(dtype)),
            y=np.ascontiguousarray(y.astype(dtype)),
            orders=chosen[None],
            batch=len(chosen),
            scales=np.ones(1),
        )
        growloops._fill_tiles(tile_x, tile_y, data, chosen)
        growloops.gradient_of_points(
            arrays_of(theta[:, None].contiguous(), case.shapes, dtype),
            loops.gates,
            loops.kind,
            tile_x,
            tile_y,
            len(chosen),
            loops.work,
        )
        found.append(flat(loops.work.gradient))
    return np.concatenate(found, axis=1)


GRADIENTS = (gradient_by_networks, gradient_by_points)
each_gradient = pytest.mark.parametrize("gradient", GRADIENTS, ids=lambda each: each.__name__)
each_loss = pytest.mark.parametrize("loss", growlib.LOSSES)


@each_gradient
@all_growths
@pytest.mark.parametrize("inputs", [1, 2, 3, 10])
@each_loss
def test_the_gradient_is_that_of_the_definition(loss, inputs, growth, gradient):
    case = problem(growth, loss, inputs)
    np.testing.assert_allclose(gradient(case), case.gradient(), rtol=0, atol=1e-13)


@each_gradient
@each_loss
@pytest.mark.parametrize(
    "growth",
    [AuxiliaryWeight(), AuxiliaryWeight(mask="reversed"), ControllerMask(mask="neuron")],
    ids=["staircase", "reversed", "neuron"],
)
def test_the_gradient_is_that_of_finite_differences(growth, loss, gradient):
    case = problem(growth, loss, inputs=2)
    found = gradient(case)
    h = 1e-6
    for row in range(len(case.theta)):
        step = torch.zeros_like(case.theta)
        step[row] = h
        expected = (case.loss_at(case.theta + step) - case.loss_at(case.theta - step)) / (2 * h)
        np.testing.assert_allclose(found[row], expected, rtol=0, atol=4e-9)


@each_gradient
def test_the_gradient_of_two_neurons_is_that_of_the_formula_written_out(gradient):
    """One input, the mean squared error, and a size of 1.3: one neuron open, the other partly."""
    case = problem(AuxiliaryWeight(), size=[1.3, 1.3, 1.3], width=2, points=5)
    found = gradient(case)
    gate = [1.0, math.sin(0.3 * math.pi / 2) ** 2]
    slope = [0.0, math.pi / 2 * math.sin(0.3 * math.pi)]
    for k in range(3):
        size, b1, b2, u1, u2, w1, w2, c, v1, v2 = case.theta[:, k].tolist()
        x = case.x[0, :, k].numpy()
        y = case.y[:, k].numpy()
        tanh1 = np.tanh(b1 + u1 * size + w1 * x)
        tanh2 = np.tanh(b2 + u2 * size + w2 * x)
        y_hat = c + v1 * gate[0] * tanh1 + v2 * gate[1] * tanh2
        error = 2 * (y_hat - y) / len(x)  # the loss's derivative with respect to each output
        into1 = error * v1 * gate[0] * (1 - tanh1**2)
        into2 = error * v2 * gate[1] * (1 - tanh2**2)
        by_gates = slope[1] * v2 * error @ tanh2
        expected = [
            by_gates + u1 * into1.sum() + u2 * into2.sum(),
            into1.sum(),
            into2.sum(),
            size * into1.sum(),
            size * into2.sum(),
            into1 @ x,
            into2 @ x,
            error.sum(),
            gate[0] * error @ tanh1,
            gate[1] * error @ tanh2,
        ]
        np.testing.assert_allclose(found[:, k], expected, rtol=0, atol=1e-14)


@each_loss
@pytest.mark.parametrize("inputs", [1, 3])
@pytest.mark.parametrize("points", [1, 511, 512, 513, 1100])
def test_tiles_that_are_not_full_count_for_their_points_alone(points, inputs, loss):
    case = problem(AuxiliaryWeight(), loss, inputs, points)
    np.testing.assert_allclose(gradient_by_points(case), case.gradient(), rtol=0, atol=1e-13)


@each_gradient
@each_loss
def test_the_chosen_points_alone_count(loss, gradient):
    case = problem(ControllerMask(mask="neuron"), loss, inputs=2, points=600)
    for chosen in ([5], [599, 0, 7, 300], np.random.default_rng(0).permutation(600)[:550]):
        chosen = np.array(chosen, np.int64)
        expected = case.at_points(torch.tensor(chosen)).gradient()
        np.testing.assert_allclose(gradient(case, chosen), expected, rtol=0, atol=1e-13)


@each_gradient
@each_loss
@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("mask", AuxiliaryWeight.masks)
def test_shut_neurons_get_exactly_no_gradient(mask, dtype, loss, gradient):
    """Neither does the size of a network whose gates are all shut, as far as it is not fed."""
    growth = AuxiliaryWeight(mask=mask, feeds=0.0)
    case = problem(growth, loss, inputs=2, size=[0.0, 2.0, -1.0])
    found = torch.tensor(gradient(case, dtype=dtype))
    size, (hidden, output) = growlib.unpack(found, case.shapes)
    gates = growth.gate(case.theta[0], case.width)  # (H, T)
    assert (gates == 0).any()
    assert (hidden[:, gates == 0] == 0).all()
    assert (output[1:].movedim(1, 2)[gates == 0] == 0).all()
    if mask != "shared":
        assert (hidden[0, gates > 0] != 0).all()
    assert size[0] == size[2] == 0
    assert (output[0] != 0).all()


@each_gradient
@each_loss
def test_the_gradient_in_float32_is_that_in_float64_to_its_rounding(loss, gradient):
    for growth in GROWTHS.values():
        case = problem(growth, loss, inputs=3, points=40)
        found = gradient(case, dtype="float32")
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, case.gradient(), rtol=0, atol=2e-6)


@each_gradient
@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("loss", ["logistic", "softmax"])
def test_the_gradient_of_huge_outputs_is_that_of_wrong_answers(loss, dtype, gradient):
    """A probability of 0 or 1 to rounding gives a slope of 0 or ±1 a point, and no overflow."""
    case = problem(AuxiliaryWeight(), loss)
    case.theta[1 + 3 * case.width :] *= 1e4  # the output layer
    found = gradient(case, dtype=dtype)
    expected = case.gradient()
    of_outputs = 1e4 * np.finfo(dtype).eps  # their rounding
    np.testing.assert_allclose(found, expected, rtol=10 * of_outputs, atol=10 * of_outputs)


# ------------------------------------------------------------------- no float64 in float32 training

# Arithmetic in double precision in the text of LLVM's instructions, and a number that becomes one.
IN_DOUBLE = re.compile(r"\bf(?:add|sub|mul|div|rem|neg)\b.* (?:<\d+ x )?double\b")
TO_DOUBLE = re.compile(r"\bfpext\b.*\bfloat\b")
FUSED_IN_DOUBLE = re.compile(r"call .*double @llvm\.fm")
# Each point's share is computed once, from their number.
SHARE = re.compile(r"fdiv .*double 1\.0+e\+00, %")


def in_double(function, dtype):
    """Return the instructions in double precision of a function compiled for this precision."""
    found = []
    for signature in function.signatures:
        arrays = [each for each in signature if isinstance(each, numba.types.Array)]
        if arrays[0].dtype != getattr(numba.types, dtype):
            continue
        text = function.inspect_llvm(signature)
        assert "define" in text
        for line in text.splitlines():
            if IN_DOUBLE.search(line) or TO_DOUBLE.search(line) or FUSED_IN_DOUBLE.search(line):
                found.append(line.strip())
    return found


@pytest.mark.parametrize(
    "gradient, function",
    [
        (gradient_by_networks, growloops.gradient_of_networks),
        (gradient_by_points, growloops.gradient_of_points),
    ],
    ids=["networks", "points"],
)
def test_no_double_precision_enters_the_gradient_in_float32(gradient, function):
    """A literal such as 1.0 in a line of the loops costs a quarter of the speed."""
    for dtype in PRECISIONS:
        gradient(problem(AuxiliaryWeight()), dtype=dtype)
    assert len(in_double(function, "float64")) > 20
    assert [line for line in in_double(function, "float32") if not SHARE.search(line)] == []


def test_a_literal_in_a_line_is_noticed():
    @growloops._compiled
    def slope(a, found):
        for j in range(len(a)):
            found[j] = found[j] * (1.0 - a[j] * a[j])

    slope(np.ones(16, "float32"), np.ones(16, "float32"))
    assert in_double(slope, "float32")


# ------------------------------------------------------------------------------------------ outputs


@pytest.mark.parametrize("dtype, error", [("float32", 5e-6), ("float64", 1e-14)])
@pytest.mark.parametrize("points", [40, 1100])
@each_loss
def test_outputs_are_those_of_the_definition(loss, points, dtype, error, monkeypatch):
    """Of few points for networks side by side, of many for one after the other."""
    for growth in GROWTHS.values():
        case = problem(growth, loss, inputs=2, points=points)
        options = {"widths": [case.width], "outputs": case.count, "dtype": dtype}
        block = block_of(growth, case.x, case.y, loss, **options)
        expected = growlib.outputs(case.theta, block.x.double(), growth, case.width, case.count)
        if points < growlib.MANY_POINTS:
            found = growlib._Loops(block).outputs(state_of(case.theta))
        else:
            found = []
            for k in range(3):
                loops = growlib._Loops(networks_of(block, [k]))
                found.append(loops.outputs(state_of(case.theta[:, [k]].contiguous())))
            found = torch.cat(found, -1)
        assert found.dtype == block.dtype
        np.testing.assert_allclose(found, expected, rtol=0, atol=error)


# ------------------------------------------------------------------------------- loops and autograd

SPIRALS = growlib.task("spirals", points=60, classes=3)
TABLE = tables.task_from_frame(pd.DataFrame(np.random.default_rng(0).normal(size=(40, 5))), 4)
MANY = growlib.task("bessel-grid", points=1300)
MANY_SPIRALS = growlib.task("spirals", points=1500, classes=5)
LESSONS = [
    ("cubic-1", {}),
    ("square-wave", {}),
    (SPIRALS, {}),
    (TABLE, {"batch": 7}),
    (MANY, {}),
    (MANY_SPIRALS, {}),
    (MANY_SPIRALS, {"batch": 500}),
]


def varied(method, **fields):
    """Return a growth whose networks have different sizes and couplings; the last is frozen."""
    values = {"coupling": [1.0, 0.5, 2.0, 1.0], "frozen": [False, False, False, True]}
    if method is AuxiliaryWeight:
        values |= {"start": [0.0, 0.3, 2.5, 5.0], "target": [4.0, 4.0, 3.0, 5.0]}
    else:
        values |= {"start": [0.0, 0.1, 0.6, 1.0]}
    return method(**values, **fields)


def table_of_fits():
    """Return the arguments of `fit`, by name, that between them name every kind of training.

    Each mask with each of what moves the size and of what the gates act on, by both optimizers; the
    lessons and the controls that are numbers alternate.
    """
    lessons = itertools.cycle(LESSONS)
    feeds = itertools.cycle([1.0, 0.2, 0.0, 1.0, 1.0])
    speeds = itertools.cycle([1.0, 3.0, 0.5, 1.0])
    all_opens = itertools.cycle(growloops.OPENS)
    found = {}
    for (method, mask), learns_from, opens, optimizer in itertools.product(
        growloops.MASKS, ["loss", "size"], growloops.OPENS, ["gd", "adam"]
    ):
        lesson, options = next(lessons)
        fields = {"mask": mask, "learns_from": learns_from, "opens": opens}
        fields |= {"feeds": next(feeds), "speed": next(speeds)}
        growth = varied(growlib.METHODS[method], **fields)
        lesson = growlib.task(lesson)
        name = f"{method} {mask}, {learns_from}, {opens}, {optimizer}, {lesson.name} {options}"
        found[name] = (lesson, growth, {"optimizer": optimizer} | options)

    schedules = itertools.cycle(["constant", "cosine", "cosine"])
    newborn_scales = itertools.cycle([1.0, 0.0])
    for forgets, (method, mask), (optimizer, counts) in itertools.product(
        [False, "neuron"],
        growloops.MASKS,
        [("momentum", "network"), ("adam", "network"), ("adam", "neuron")],
    ):
        lesson, options = next(lessons)
        opens = next(all_opens)
        growth = varied(growlib.METHODS[method], mask=mask, opens=opens, forgets=forgets)
        options = options | {"optimizer": optimizer, "counts": counts}
        options |= {"schedule": next(schedules), "newborn_scale": next(newborn_scales)}
        lesson = growlib.task(lesson)
        name = f"{method} {mask}, {opens}, forgets {forgets}, {lesson.name} {options}"
        found[name] = (lesson, growth, options)

    adam = {"optimizer": "adam"}
    for lesson in ("cubic-1", SPIRALS, MANY):
        name = growlib.task(lesson).name
        found[f"scaled, {name}"] = (lesson, varied(AuxiliaryWeight), {"output_scale": 0.1} | adam)
        pruned = AuxiliaryWeight(start=[5.0, 4.5, 6.0, 3.2], target=2.0, coupling=0.0)
        for optimizer in ("gd", "adam"):
            options = {"prune_at": 20, "optimizer": optimizer}
            found[f"pruned, {optimizer}, {name}"] = (lesson, pruned, options)
        pruned = ControllerMask(mask="neuron", start=0.9, target=0.4, coupling=0.0)
        found[f"controller pruned, {name}"] = (lesson, pruned, {"prune_at": 20} | adam)
        for growth in FORGETFUL:
            found[f"{type(growth).__name__} forgets, {name}"] = (lesson, growth, adam)
    return found


# Their sizes come within 1 % of the target after a dozen steps of 0.001.
FORGETFUL = [
    AuxiliaryWeight(start=[4.94, 5.06, 4.0, 5.0], target=5.0, coupling=9.0, forgets=True),
    ControllerMask(start=[0.985, 0.98, 0.5, 1.0], forgets=True),
]
FITS = table_of_fits()


def fit_of_table(lesson, growth, options, **changed):
    """Return a short run of one row of the table, in float64."""
    lesson = growlib.task(lesson)
    settings = {"trials": 4, "epochs": 200, "width": 6, "lr": 1e-3, "dtype": "float64"}
    settings |= {"log_every": 50, "seed": 3}
    if lesson.large or "batch" in options:
        settings |= {"epochs": 40}
    return growlib.fit(lesson, growth, **settings | options | changed)


@pytest.mark.parametrize("name", FITS)
def test_loops_and_autograd_agree(name):
    loops = fit_of_table(*FITS[name])
    autograd = fit_of_table(*FITS[name], compiled=False)
    np.testing.assert_allclose(loops.weights, autograd.weights, rtol=0, atol=1e-9)
    shared = ["seconds", "flops_done"]
    for frame in ("finals", "history"):
        one, other = (
            getattr(run, frame).drop(columns=shared, errors="ignore") for run in (loops, autograd)
        )
        pd.testing.assert_frame_equal(one, other, rtol=1e-9, atol=1e-9)
    pd.testing.assert_series_equal(
        loops.finals["flops"], autograd.finals["flops"], check_exact=True
    )


@pytest.mark.parametrize("growth", FORGETFUL, ids=lambda growth: type(growth).__name__)
def test_the_forgetful_rows_of_the_table_forget(growth):
    remembering = replace(growth, forgets=False)
    for lesson in ("cubic-1", SPIRALS, MANY):
        options = {"optimizer": "adam"}
        run = fit_of_table(lesson, growth, options)
        other = fit_of_table(lesson, remembering, options)
        differ = (np.abs(run.weights - other.weights) > 1e-5).any(axis=0)
        assert differ.tolist() == [True, True, False, False]


def test_the_table_names_every_kind_of_training():
    lessons, growths, options = zip(*FITS.values(), strict=True)
    kinds = {(type(each).__name__, each.mask) for each in growths}
    assert kinds == set(growloops.MASKS)
    assert {each.opens for each in growths} == set(growloops.OPENS)
    assert {each.forgets for each in growths} == set(growloops.FORGETS)
    assert {each.get("optimizer", "gd") for each in options} == set(growloops.OPTIMIZERS)
    lessons = [growlib.task(each) for each in lessons]
    assert {(each.loss, each.large) for each in lessons} == {
        ("squared", False),
        ("squared", True),
        ("logistic", False),
        ("softmax", False),
        ("softmax", True),
    }
    kinds_of_adam = set()
    for growth, each in zip(growths, options, strict=True):
        if each.get("counts") == "neuron":
            kinds_of_adam.add((growth.opens, growth.forgets))
    assert kinds_of_adam == set(itertools.product(growloops.OPENS, [False, "neuron"]))
    batches = {
        (lesson.large, "batch" in each) for lesson, each in zip(lessons, options, strict=True)
    }
    assert len(batches) == 4


# ------------------------------------------------------------------------- the same to the last bit


@pytest.fixture
def lanes_and_threads(monkeypatch):
    """Return a function that sets how many networks a block has, and how many threads there are."""
    before = torch.get_num_threads()

    def set_both(lanes, threads):
        monkeypatch.setattr(growlib._Loops, "most", lanes)
        torch.set_num_threads(threads)

    yield set_both
    torch.set_num_threads(before)


each_optimizer = pytest.mark.parametrize("optimizer", ["gd", "adam"])
each_precision = pytest.mark.parametrize("dtype", PRECISIONS)


@each_optimizer
@each_precision
@pytest.mark.parametrize(
    "lesson, growth",
    [
        ("cubic-1", AuxiliaryWeight(coupling=1.0)),
        ("square-wave", ControllerMask(mask="neuron", learns_from="loss", start=0.2)),
        (SPIRALS, AuxiliaryWeight(start=2.3, coupling=1.0, mask="reversed", forgets=True)),
    ],
    ids=["squared", "logistic", "softmax"],
)
def test_a_trial_is_the_same_in_any_company(lesson, growth, dtype, optimizer, lanes_and_threads):
    """Among 1, 7 and 300, in blocks of 16, 64 and 256, on one thread and on two."""
    options = {"optimizer": optimizer, "dtype": dtype, "lr": 0.01, "epochs": 60, "log_every": 30}
    reference = growlib.fit(lesson, growth, trials=300, **options)
    for lanes, threads, trials in [
        (16, 2, 300),
        (64, 1, 300),
        (64, 2, 7),
        (256, 1, 1),
        (256, 1, 33),
        (256, 2, 300),
    ]:
        lanes_and_threads(lanes, threads)
        run = growlib.fit(lesson, growth, trials=trials, **options)
        np.testing.assert_array_equal(run.weights, reference.weights[:, :trials])
        shared = ["seconds", "flops_done"]
        pd.testing.assert_frame_equal(
            run.finals.drop(columns=shared),
            reference.finals.head(trials).drop(columns=shared),
            check_exact=True,
        )


@each_optimizer
@each_precision
@pytest.mark.parametrize("lesson", [MANY, MANY_SPIRALS], ids=["squared", "softmax"])
def test_a_trial_on_many_points_is_the_same_in_any_company(
    lesson, dtype, optimizer, lanes_and_threads
):
    options = {"optimizer": optimizer, "dtype": dtype, "lr": 0.01, "epochs": 20, "batch": 700}
    growth = AuxiliaryWeight(start=1.5, coupling=1.0)
    reference = growlib.fit(lesson, growth, trials=4, **options)
    for threads, trials in [(1, [2]), (2, [2, 1]), (2, range(4))]:
        lanes_and_threads(256, threads)
        run = growlib.fit(lesson, growth, trials=trials, **options)
        np.testing.assert_array_equal(run.weights, reference.weights[:, list(trials)])


@each_optimizer
@each_precision
def test_the_same_call_gives_the_same_frames_twice(dtype, optimizer, lanes_and_threads):
    lanes_and_threads(64, 2)
    options = {"trials": 200, "epochs": 50, "optimizer": optimizer, "dtype": dtype, "batch": 11}
    one, other = (growlib.fit("bessel-sum", **options) for _ in range(2))
    pd.testing.assert_frame_equal(
        one.finals.drop(columns="seconds"), other.finals.drop(columns="seconds"), check_exact=True
    )
    pd.testing.assert_frame_equal(one.history, other.history, check_exact=True)


@each_optimizer
@each_precision
@pytest.mark.parametrize("lesson", ["cubic-1", SPIRALS], ids=["squared", "softmax"])
def test_a_network_that_diverges_changes_no_bit_of_its_neighbours(lesson, dtype, optimizer):
    lr = np.full(20, 0.01)
    options = {"trials": 20, "epochs": 100, "dtype": dtype, "optimizer": optimizer}
    tame = growlib.fit(lesson, lr=lr, **options)
    lr[[5, 18]] = 1e40  # in the middle of a vector, and in the last one
    wild = growlib.fit(lesson, lr=lr, **options)
    assert np.flatnonzero(wild.finals["diverged"]).tolist() == [5, 18]
    others = np.delete(np.arange(20), [5, 18])
    np.testing.assert_array_equal(wild.weights[:, others], tame.weights[:, others])


@each_optimizer
@each_precision
@pytest.mark.parametrize("lesson", ["cubic-1", SPIRALS, MANY], ids=["1 input", "2 inputs", "many"])
def test_a_size_of_0_that_nothing_moves_is_0_to_the_bit(lesson, dtype, optimizer):
    options = {"dtype": dtype, "optimizer": optimizer, "lr": 0.1, "trials": 3, "epochs": 30}
    with pytest.warns(UserWarning, match="some networks never start to grow"):
        run = growlib.fit(lesson, AuxiliaryWeight(coupling=0.0), keep_weights=True, **options)
    assert (run.history["size"] == 0).all()
    outputs = run.task.outputs
    biases = slice(1 + (2 + run.task.inputs) * 9, None)
    biases = np.arange(len(run.weights))[biases][:outputs]
    moved = (run.weights != run.snapshots[0]).any(axis=1)
    assert np.flatnonzero(moved).tolist() == biases.tolist()


@each_optimizer
@each_precision
@pytest.mark.parametrize("lesson", ["cubic-1", SPIRALS, MANY], ids=["1 input", "2 inputs", "many"])
@pytest.mark.parametrize("mask", ["staircase", "reversed"])
def test_neurons_above_the_size_keep_their_first_weights_to_the_bit(mask, lesson, dtype, optimizer):
    growth = AuxiliaryWeight(start=2.0, target=2.6, coupling=2.0, mask=mask)
    options = {"dtype": dtype, "optimizer": optimizer, "lr": 0.01, "trials": 3, "epochs": 30}
    run = growlib.fit(lesson, growth, keep_weights=True, **options)
    assert (run.history["size"] < 3).all()
    shapes = growlib.layer_shapes(9, run.task.inputs, run.task.outputs)
    _, (hidden, output) = growlib.unpack(run.theta(0), shapes)
    _, (hidden_after, output_after) = growlib.unpack(run.theta(), shapes)
    shut = slice(3, None) if mask == "staircase" else slice(None, 6)
    open_now = slice(None, 3) if mask == "staircase" else slice(6, None)
    assert torch.equal(hidden_after[:, shut], hidden[:, shut])
    assert torch.equal(output_after[1:][shut], output[1:][shut])
    assert (hidden_after[:, open_now] != hidden[:, open_now]).any(-1).all()


# ------------------------------------------------------------------------------------ not compiled

FITS_ALONE = """
import sys
import numpy as np
from blocks import weights_of_small_fits
np.savez(sys.argv[1], **weights_of_small_fits("float64"))
"""


def test_the_loops_do_the_same_without_being_compiled(tmp_path):
    run_alone(FITS_ALONE, tmp_path / "weights.npz", NUMBA_DISABLE_JIT="1")
    uncompiled = np.load(tmp_path / "weights.npz")
    compiled = weights_of_small_fits("float64")
    assert uncompiled.keys() == compiled.keys()
    for name, weights in compiled.items():
        np.testing.assert_allclose(weights, uncompiled[name], rtol=0, atol=1e-12)


def test_no_index_is_out_of_bounds(tmp_path):
    """numba checks every index where it is told to; what it compiles then, it keeps elsewhere."""
    path = tmp_path / "weights.npz"
    run_alone(FITS_ALONE, path, NUMBA_BOUNDSCHECK="1", NUMBA_CACHE_DIR=str(tmp_path / "checked"))
    checked = np.load(path)
    for name, weights in weights_of_small_fits("float64").items():
        np.testing.assert_allclose(weights, checked[name], rtol=0, atol=1e-12)


def run_alone(program, *arguments, **environment):
    """Run a program in a process of its own, and return what it prints."""
    process = start_alone(program, *arguments, **environment)
    printed, said = process.communicate(timeout=300)
    assert process.returncode == 0, said
    return printed


def start_alone(program, *arguments, prefix=(), modules=ROOT, **environment):
    """Start a program in a process of its own, with growlib from the folder `modules`."""
    known = dict(os.environ)
    for name in ("NUMBA_CACHE_DIR", "NUMBA_DISABLE_JIT", "NUMBA_BOUNDSCHECK"):
        known.pop(name, None)
    known |= {"PYTHONPATH": f"{modules}:{ROOT}/tests:{ROOT}", "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [*prefix, sys.executable, "-c", program, *map(str, arguments)],
        env=known | environment,
        cwd=modules,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


# --------------------------------------------------------------------------------- code on the disk

# Prints where numba keeps the loops, and how many it loaded from there and had to compile.
FITS_OF_FEW_POINTS = """
import json
import sys
import numpy as np
from blocks import weights_of_small_fits
import growloops
np.savez(sys.argv[1], **weights_of_small_fits(sys.argv[2], few_alone=True))
stats = growloops.train_networks.stats
counts = [sum(stats.cache_hits.values()), sum(stats.cache_misses.values())]
print(json.dumps([stats.cache_path, *counts]))
"""


def assert_right(path, dtype):
    """Assert that a process saved the same weights as this one computes, to the bit."""
    found = np.load(path)
    for name, weights in weights_of_small_fits(dtype, few_alone=True).items():
        np.testing.assert_array_equal(found[name], weights)


def fits_with_cache(cache, path, dtype):
    """Run the program with a cache; check its results, and return how much it loaded, compiled."""
    printed = run_alone(FITS_OF_FEW_POINTS, path, dtype, NUMBA_CACHE_DIR=str(cache))
    assert_right(path, dtype)
    folder, *counts = json.loads(printed)
    assert str(cache) in folder
    return counts


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """A cache that two processes filled, one in each precision, which started at the same time."""
    folder = tmp_path_factory.mktemp("cache")
    started = {}
    for dtype in PRECISIONS:
        arguments = [folder / f"{dtype}.npz", dtype]
        environment = {"NUMBA_CACHE_DIR": str(folder)}
        started[dtype] = start_alone(FITS_OF_FEW_POINTS, *arguments, **environment)
    for dtype, process in started.items():
        printed, said = process.communicate(timeout=300)
        assert process.returncode == 0, said
        assert json.loads(printed)[1:] == [0, 1], "compiled once, nothing loaded"
        assert_right(folder / f"{dtype}.npz", dtype)
    return folder


@each_precision
def test_what_one_process_compiled_the_next_one_loads(dtype, filled, tmp_path):
    """Both precisions are there although two processes compiled them at once."""
    assert fits_with_cache(filled, tmp_path / "weights.npz", dtype) == [1, 0]


def test_files_that_are_cut_off_are_replaced(filled, tmp_path):
    cache = tmp_path / "cache"
    shutil.copytree(filled, cache)
    files = [*cache.glob("*/*.nbc"), *cache.glob("*/*.nbi")]
    assert len(files) > 4
    for file in files:
        os.truncate(file, file.stat().st_size // 2)
    _, compiled = fits_with_cache(cache, tmp_path / "weights.npz", "float32")
    assert compiled >= 1
    assert fits_with_cache(cache, tmp_path / "weights.npz", "float32") == [1, 0]


# The modules on a disk of their own, which nobody can write; nor can the user's cache be written.
READ_ONLY = (
    """
import pathlib
import shutil
import subprocess
import sys
disk, source = sys.argv[3:]
subprocess.run(["mount", "-t", "tmpfs", "none", disk], check=True)
for name in ("growlib.py", "growloops.py"):
    shutil.copy(f"{source}/{name}", disk)
subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
sys.path.insert(0, disk)
"""
    + FITS_OF_FEW_POINTS
    + """
assert pathlib.Path(growloops.__file__).parent == pathlib.Path(disk)
"""
)


def test_loops_are_compiled_where_nothing_can_be_written(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    path = tmp_path / "weights.npz"
    process = start_alone(
        READ_ONLY,
        path,
        "float64",
        disk,
        ROOT,
        prefix=with_own_mounts(),
        HOME=str(disk),
        XDG_CACHE_HOME=str(disk),
    )
    printed, said = process.communicate(timeout=300)
    assert process.returncode == 0, said
    assert json.loads(printed) == [None, 0, 1], "compiled, and kept nowhere"
    assert_right(path, "float64")


def test_a_function_that_cannot_be_kept_is_compiled_all_the_same(monkeypatch):
    njit = numba.njit

    def no_place(*arguments, **options):
        if options.get("cache"):
            raise RuntimeError("cannot cache function: no locator available")
        return njit(*arguments, **options)

    monkeypatch.setattr(numba, "njit", no_place)
    kept = growloops._kept_on_disk(twice)
    assert kept.stats.cache_path is None
    assert growloops._loaded(kept, (4,)) is kept
    assert kept(4) == 8


def twice(number):
    return 2 * number


class Compiled:
    """A function as numba makes it, with files in a folder, that raises the given errors first."""

    def __init__(self, folder, *errors):
        self.__name__ = "train_networks"
        self.py_func = twice
        self.stats = SimpleNamespace(cache_path=str(folder))
        self.errors = list(errors)
        self.calls = 0

    def __call__(self, number):
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return twice(number)


def cache_files(folder):
    """Write files as numba has them, of two functions, and return those of `train_networks`."""
    folder.mkdir()
    own = []
    for name in ("train_networks", "train_networks_of_others", "train_one"):
        for ending in ("nbi", "1.nbc"):
            path = folder / f"growloops.{name}-7.py311.{ending}"
            path.write_text("code")
            if name == "train_networks":
                own.append(path)
    return own


@pytest.mark.parametrize("error", [EOFError(), KeyError("x"), OSError(28, "No space left")])
def test_damaged_files_are_deleted_and_the_function_is_compiled_anew(error, tmp_path):
    own = cache_files(tmp_path / "cache")
    function = Compiled(tmp_path / "cache", error)
    assert growloops._loaded(function, (4,)) is function
    assert function.calls == 2
    assert not [path for path in own if path.exists()]
    assert len(list((tmp_path / "cache").glob("*.nb*"))) == 4


def test_on_a_full_disk_a_function_is_compiled_without_a_cache(tmp_path):
    full = OSError(28, "No space left on device")
    function = growloops._loaded(Compiled(tmp_path, full, full), (4,))
    assert function.stats.cache_path is None
    assert function(4) == 8


def test_an_error_of_the_function_itself_is_not_hidden(tmp_path):
    with pytest.raises(ZeroDivisionError):
        growloops._loaded(Compiled(tmp_path, ZeroDivisionError(), ZeroDivisionError()), (4,))


def test_a_function_is_loaded_once_although_two_threads_want_it(tmp_path, monkeypatch):
    monkeypatch.setattr(growloops, "_READY", {})
    function = Compiled(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        for ready in pool.map(lambda _: growloops._ready(function, "float32", 4), range(8)):
            assert ready is function
    assert function.calls == 1
    growloops._ready(function, "float64", 4)
    assert function.calls == 2


def test_no_two_processes_compile_at_once(tmp_path):
    folder = tmp_path / "cache"
    other = filelock.FileLock(folder / "growloops.lock", is_singleton=False)
    with growloops._locked(folder), pytest.raises(filelock.Timeout):
        other.acquire(timeout=0.1)
    with other.acquire(timeout=0.1):
        pass


def test_without_locks_the_loops_compile_all_the_same(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with growloops._locked(tmp_path / "file/cache"):
        pass


# ------------------------------------------------------------------------------------ without numba


def test_without_numba_networks_train_by_autograd_with_one_warning(monkeypatch):
    """tests/test_faults.py tries it in a process that has no numba from its beginning."""
    monkeypatch.setitem(sys.modules, "numba", None)
    monkeypatch.delitem(sys.modules, "growloops")
    growlib._growloops.cache_clear()
    options = {"trials": 3, "epochs": 4, "dtype": "float64"}
    try:
        sentence = (
            r"^numba cannot be imported \(.*numba.*\), so networks train by autograd, "
            "many times slower$"
        )
        with pytest.warns(UserWarning, match=sentence) as caught:
            run = growlib.fit("cubic-1", **options)
        assert len(caught) == 1
        growlib.fit("cubic-1", **options)  # a second warning would be an error here
    finally:
        monkeypatch.undo()
        growlib._growloops.cache_clear()
    autograd = growlib.fit("cubic-1", compiled=False, **options)
    np.testing.assert_array_equal(run.weights, autograd.weights)
    loops = growlib.fit("cubic-1", **options)
    np.testing.assert_allclose(run.weights, loops.weights, rtol=0, atol=1e-14)

"""The loops of growloops.py as plain Python, on a few networks, neurons and points.

They are the same functions that numba compiles, so these tests find mistakes in what they compute
within seconds, and tests/mutation.py can run them on changed functions. test_loops.py tests what
numba makes of them. The expected numbers come from the definition in growlib.py by autograd, and
from formulas in NumPy.
"""

import math
import struct
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

import growlib
import growloops

WIDTH = 3


@pytest.fixture(autouse=True)
def plain(monkeypatch):
    """Replace every compiled function by the Python function that it was made from."""
    for name, function in list(vars(growloops).items()):
        if hasattr(function, "py_func"):
            monkeypatch.setattr(growloops, name, function.py_func)
    monkeypatch.setattr(growloops.numba.config, "DISABLE_JIT", 1)


# ----------------------------------------------------------------------------- elementary functions


@pytest.fixture
def bits(monkeypatch):
    """Replace the two functions that are machine code alone: the number that has these bits."""

    def double_from_bits(bits):
        return struct.unpack("d", struct.pack("q", int(bits)))[0]

    def single_from_bits(bits):
        return np.float32(struct.unpack("f", struct.pack("i", int(bits)))[0])

    monkeypatch.setattr(growloops, "_double_from_bits", double_from_bits)
    monkeypatch.setattr(growloops, "_single_from_bits", single_from_bits)


def values_of(function, arguments):
    """Return the values of a function of one number, and their type, which all have."""
    values = [function(argument) for argument in arguments]
    types = {type(value) for value in values}
    assert len(types) == 1
    return np.array(values, dtype=float), types.pop()


def test_tanh_in_single_precision_is_off_by_its_rounding_alone():
    z = np.linspace(-12, 12, 481).astype(np.float32)
    found, kind = values_of(growloops._tanh_single, z)
    np.testing.assert_allclose(found, np.tanh(z.astype(float)), rtol=3e-7)
    assert kind is np.float32
    assert np.abs(found).max() == 1
    assert growloops._tanh_single(np.float32(1000)) == found[-1]


def test_tanh_in_double_precision_is_off_by_its_rounding_alone():
    z = np.linspace(-25, 25, 501)
    found, _ = values_of(growloops._tanh_double, z)
    np.testing.assert_allclose(found, np.tanh(z), rtol=0, atol=4e-16)
    assert growloops._tanh_double(1e6) == 1
    assert growloops._tanh_double(-1e6) == -1


def test_exp_in_single_precision_is_off_by_its_rounding_alone(bits):
    x = np.linspace(-87, 87, 1741).astype(np.float32)
    found, kind = values_of(growloops._exp_single, x)
    np.testing.assert_allclose(found, np.exp(x.astype(float)), rtol=1.3e-7)
    assert kind is np.float32


def test_exp_in_double_precision_is_off_by_its_rounding_alone(bits):
    x = np.linspace(-87, 87, 1741)
    found, _ = values_of(growloops._exp_double, x)
    np.testing.assert_allclose(found, np.exp(x), rtol=4e-16)


def test_sine_is_that_of_a_right_angle_times_its_argument():
    r = np.linspace(-1, 1, 201)
    found, _ = values_of(growloops.sine, r)
    np.testing.assert_allclose(found, np.sin(np.pi / 2 * r), rtol=4e-16)


# ----------------------------------------------------------------------------------------- networks

GROWTHS = {
    "staircase": growlib.AuxiliaryWeight(),
    "reversed": growlib.AuxiliaryWeight(mask="reversed", feeds=0.3),
    "whole layer": growlib.AuxiliaryWeight(mask="shared", opens="neurons"),
    "shared": growlib.ControllerMask(feeds=0.5),
    "neuron": growlib.ControllerMask(mask="neuron"),
    "rate": growlib.ControllerMask(mask="neuron", opens="rate"),
    "nothing": growlib.AuxiliaryWeight(opens="nothing", feeds=0.0),
    "training": growlib.AuxiliaryWeight(opens="training"),
    "steps": growlib.AuxiliaryWeight(mask="steps", feeds=0.2),
}
PROBLEMS = [  # loss, inputs, outputs
    ("squared", 1, 1),
    ("squared", 3, 1),
    ("logistic", 2, 1),
    ("softmax", 1, 2),
    ("softmax", 3, 3),
]
each_growth = pytest.mark.parametrize("growth", GROWTHS.values(), ids=GROWTHS)
each_problem = pytest.mark.parametrize("problem", PROBLEMS, ids=str)


@dataclass
class Networks:
    """Random networks with points of their own, and the definition of what the loops compute."""

    growth: growlib.Growth
    loss: str
    inputs: int
    outs: int
    theta: np.ndarray  # (rows, L)
    x: np.ndarray  # (I, P, L)
    y: np.ndarray  # (P, L)
    optimizer: str = "gd"
    counts: bool = False

    @property
    def shapes(self):
        return growlib.layer_shapes(WIDTH, self.inputs, self.outs)

    @property
    def kind(self):
        mask = (type(self.growth).__name__, self.growth.mask)
        return growloops.Kind(
            loss=growloops.LOSSES.index(self.loss),
            mask=growloops.MASKS.index(mask),
            opens=growloops.OPENS.index(self.growth.opens),
            feeds=self.growth.feeds,
            optimizer=growloops.OPTIMIZERS.index(self.optimizer),
            forgets=growloops.FORGETS.index(self.growth.forgets),
            counts=self.counts,
            rests=self.growth.rests,
        )

    def weights(self, theta):
        """Return the weights in theta (rows, L) by their names, sharing its memory."""
        size, (hidden, output) = growlib.unpack(torch.from_numpy(theta), self.shapes)
        return growloops.Weights(size.numpy(), hidden.numpy(), output.numpy())

    @property
    def neuron_of_row(self):
        """The neuron of each weight, (rows,); -1 for the size and the biases of the outputs."""
        rows = np.full((len(self.theta), 1), -1.0)
        weights = self.weights(rows)
        weights.hidden[:] = np.arange(WIDTH)[None, :, None]
        weights.output[1:] = np.arange(WIDTH)[:, None, None]
        return rows[:, 0].astype(int)

    def loops(self, forces=None, few=True, stop=0):
        """Return the loops for these networks; what they work in is full of nonsense."""
        shape = (self.inputs, WIDTH, self.outs, self.theta.shape[1])
        stop = np.array([stop], np.uint8)
        loops = growloops.Loops(self.kind, forces, shape, "float64", few, stop)
        for array in (*loops.work[1:], *loops.work.gradient):
            array[:] = 77
        return loops

    def opened(self, few=True):
        """Return the loops for these networks with the gates that belong to their sizes."""
        loops = self.loops(few=few)
        loops.gates.reach[:] = (WIDTH, 0)
        growloops.open_gates(loops.gates, self.theta[0], self.kind)
        return loops

    def alone(self, k):
        """Return network k alone."""
        one = slice(k, k + 1)
        return replace(self, theta=self.theta[:, one], x=self.x[..., one], y=self.y[:, one])

    def gradient(self, chosen, theta=None):
        """Return the gradient of the task loss at the chosen points by autograd, (rows, L)."""
        theta = torch.tensor(self.theta if theta is None else theta, requires_grad=True)
        x = torch.tensor(self.x[:, chosen])
        y_hat = growlib.outputs(theta, x, self.growth, WIDTH, self.outs)
        growlib.task_loss(y_hat, torch.tensor(self.y[chosen]), self.loss).sum().backward()
        return theta.grad.numpy()


def networks_of(growth, problem, sizes=None, points=4):
    """Return networks of three neurons, by default of two sizes at which no gate is at a corner."""
    if sizes is None:
        sizes = (0.3, 0.7) if isinstance(growth, growlib.ControllerMask) else (0.4, 2.3)
    loss, inputs, outs = problem
    generator = np.random.default_rng(0)
    rows = 1 + sum(fan_in * neurons for fan_in, neurons in growlib.layer_shapes(3, inputs, outs))
    theta = generator.uniform(-1, 1, (rows, len(sizes)))
    theta[0] = sizes
    x = generator.uniform(-1, 1, (inputs, points, len(sizes)))
    y = generator.uniform(-1, 1, (points, len(sizes)))
    if loss != "squared":
        y = generator.integers(0, max(2, outs), y.shape).astype(float)
    return Networks(growth, loss, inputs, outs, theta, x, y)


ONE_PROBLEM = PROBLEMS[1]


# -------------------------------------------------------------------------------------------- gates


@each_growth
def test_gates_and_slopes_are_those_of_the_definition(growth):
    sizes = (-0.3, 0.0, 0.2, 1.0, 1.6, 2.0, 2.9, 3.0, 3.4)
    networks = networks_of(growth, ONE_PROBLEM, sizes)
    gates = networks.opened().gates
    size = torch.tensor(sizes, dtype=torch.float64)
    acts = growth.acts(size, WIDTH).numpy()
    np.testing.assert_allclose(gates.gate, acts, atol=1e-15)
    np.testing.assert_allclose(gates.mean, growth.gate(size, WIDTH).mean(0), atol=1e-15)
    slope = growth.slope(size, WIDTH).numpy()
    if growth.opens != "neurons":
        slope = np.zeros_like(slope)
    np.testing.assert_allclose(gates.slope, slope, atol=2e-15)
    shut = growth.gate(size, WIDTH) < 1e-30  # sin² of half a turn is 0 to rounding
    np.testing.assert_array_equal(gates.shut, shut)
    if isinstance(growth, growlib.AuxiliaryWeight):  # a controller's p is never exactly 1
        assert (gates.gate[acts == 1] == 1).all()
    if growth.mask != "shared":
        at_a_corner = (acts == 0) | (acts == 1)
        assert (gates.slope[at_a_corner] == 0).all()


@pytest.mark.parametrize(
    "growth, sizes, reach",
    [
        ("staircase", [0.4], [0, 1]),
        ("staircase", [1.0], [0, 1]),
        ("staircase", [1.4, 0.4], [0, 2]),
        ("staircase", [0.4, 1.4], [0, 2]),
        ("staircase", [0.0], [3, 0]),
        ("reversed", [0.4], [2, 3]),
        ("reversed", [0.4, 1.4], [1, 3]),
        ("neuron", [0.3], [0, 1]),
        ("whole layer", [0.4], [0, 3]),
        ("nothing", [0.4], [0, 3]),
    ],
)
def test_the_reach_is_from_the_first_open_neuron_to_the_last(growth, sizes, reach):
    networks = networks_of(GROWTHS[growth], ONE_PROBLEM, sizes)
    assert networks.opened().gates.reach.tolist() == reach


@pytest.mark.parametrize(
    "name, before, after",
    [("reversed", [1, 2], [1, 3]), ("staircase", [0, 3], [0, 3]), ("staircase", [1, 2], [0, 2])],
)
def test_the_reach_never_shrinks(name, before, after):
    networks = networks_of(GROWTHS[name], ONE_PROBLEM, [0.4])
    loops = networks.opened()
    loops.gates.reach[:] = before
    growloops.open_gates(loops.gates, networks.theta[0], networks.kind)
    assert loops.gates.reach.tolist() == after


# ----------------------------------------------------------------------------- outputs and gradient


@each_problem
@each_growth
def test_the_outputs_are_those_of_the_definition(growth, problem, monkeypatch):
    monkeypatch.setattr(growloops, "TILE", 3)
    networks = networks_of(growth, problem)
    theta, x = torch.tensor(networks.theta), torch.tensor(networks.x)
    expected = growlib.outputs(theta, x, growth, WIDTH, networks.outs).numpy()

    found = networks.loops().outputs(state_of(networks), networks.x)
    np.testing.assert_allclose(found, expected, atol=1e-14)
    for k in (0, 1):
        one = networks.alone(k)
        found = one.loops(few=False).outputs(state_of(one), one.x[..., 0])
        np.testing.assert_allclose(found, expected[..., k], atol=1e-14)


@each_problem
@each_growth
def test_the_gradient_of_networks_is_that_of_the_definition(growth, problem):
    networks = networks_of(growth, problem)
    loops = networks.opened()
    chosen = np.array([2, 0, 3])
    weights = networks.weights(networks.theta)
    data = (networks.x, networks.y)
    growloops.gradient_of_networks(weights, loops.gates, networks.kind, *data, chosen, loops.work)
    compare(loops.work.gradient, networks.weights(networks.gradient(chosen)))


@each_problem
@each_growth
def test_the_gradient_of_points_is_that_of_the_definition(growth, problem, monkeypatch):
    monkeypatch.setattr(growloops, "TILE", 4)
    networks = networks_of(growth, problem, points=7)
    for k in (0, 1):
        one = networks.alone(k)
        loops = one.opened(few=False)
        x = np.full((2, one.inputs, 4), 99.0)  # the last place of the last tile does not count
        y = np.zeros((2, 4))
        for p in range(7):
            x[p // 4, :, p % 4] = one.x[:, p, 0]
            y[p // 4, p % 4] = one.y[p, 0]
        weights = one.weights(one.theta)
        growloops.gradient_of_points(weights, loops.gates, one.kind, x, y, 7, loops.work)
        expected = one.weights(one.gradient(np.arange(7)))
        first, last = loops.gates.reach
        compare(loops.work.gradient.hidden[:, first:last], expected.hidden[:, first:last])
        compare(loops.work.gradient.output, expected.output)
        compare(loops.work.gradient.size, expected.size)


def compare(found, expected, atol=1e-14):
    """Compare weights, or one array of them, with those that are expected."""
    if isinstance(found, np.ndarray):
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=atol)
        return
    for of_found, of_expected in zip(found, expected, strict=True):
        compare(of_found, of_expected, atol)


@pytest.mark.parametrize("few", [True, False], ids=["networks", "points"])
@pytest.mark.parametrize("name, size, shut", [("staircase", 1.4, 2), ("reversed", 1.4, 0)])
def test_neurons_out_of_reach_are_neither_read_nor_written(name, size, shut, few, monkeypatch):
    monkeypatch.setattr(growloops, "TILE", 4)
    growth = GROWTHS[name]
    networks = networks_of(growth, ("softmax", 2, 2), [size])
    expected = networks.weights(networks.gradient(np.arange(4)))
    weights = networks.weights(networks.theta)
    weights.hidden[:, shut] = np.nan
    weights.output[1 + shut] = np.nan

    loops = networks.opened(few)
    work = loops.work
    work.base[shut] = np.nan
    if few:
        data = (networks.x, networks.y, np.arange(4))
        growloops.gradient_of_networks(weights, loops.gates, networks.kind, *data, work)
    else:
        data = (networks.x[None, ..., 0], networks.y[None, :, 0], 4)
        growloops.gradient_of_points(weights, loops.gates, networks.kind, *data, work)

    g = work.gradient
    assert (g.hidden[:, shut] == 77).all()
    assert (work.a[shut] == 77).all()
    expected.hidden[:, shut] = 77
    # all rows of the output layer of one network are set to 0 at once
    expected.output[1 + shut] = 77 if few else 0
    compare(g, expected)


def test_the_losses_derivatives_are_those_of_the_definition_where_outputs_are_large():
    y_hat = np.array([[100.0, -3.0, 0.0], [-50.0, 900.0, 0.0]])
    y = np.array([0.0, 0.0, 1.0])
    for loss in growlib.LOSSES:
        outs = 2 if loss == "softmax" else 1
        expected = torch.tensor(y_hat[:outs], requires_grad=True)
        task_loss = growlib.task_loss(expected[..., None], torch.tensor(y)[:, None], loss)
        task_loss.sum().backward()
        found = y_hat[:outs].copy()
        # of the last point only the sum is there: it does not count
        place = growlib.LOSSES.index(loss)
        growloops._loss_slope(found, y, 2, place, 1 / 3, np.zeros(3))
        np.testing.assert_allclose(found[:, :2], expected.grad[:, :2], rtol=1e-12, atol=1e-15)
        np.testing.assert_array_equal(found[:, 2], y_hat[:outs, 2])


def test_a_class_counts_at_least_e_to_the_minus_80_so_that_no_probability_underflows():
    y_hat = np.array([[100.0], [0.0]])
    growloops._loss_slope(y_hat, np.zeros(1), 1, growloops.SOFTMAX, 1.0, np.zeros(1))
    np.testing.assert_allclose(y_hat[1], math.exp(-80), rtol=1e-12)


def test_sums_end_with_the_lanes_that_count():
    a = np.array([1.0, 2.0, 4.0, 8.0])
    assert growloops._sum(a, 3) == 7
    assert growloops._dot(a, 10 * a, 3) == 10 + 40 + 160
    assert growloops._sum(a, 0) == 0
    assert type(growloops._sum(a.astype(np.float32), 2)) is np.float32
    assert type(growloops._dot(a.astype(np.float32), a.astype(np.float32), 2)) is np.float32


# -------------------------------------------------------------------------------------------- steps


def forces_of(count, **changed):
    """Return forces on networks that differ between them; `changed` are given ones."""
    values = {
        "lr": np.array([0.1, 0.02])[:count],
        "target": np.array([2.5, 0.6])[:count],
        "coupling": np.array([0.3, 2.0])[:count],
        "moves": np.array([1.5, 0.5])[:count],
        "heeds": np.array([1.0, 0.0])[:count],
    }
    for name, value in changed.items():
        values[name] = np.broadcast_to(np.array(value, dtype=float), count)
    return growloops.Forces(**values)


def state_of(networks, theta=None, dtype="float64"):
    """Return the networks before their training, as the loops take them."""
    theta = networks.theta.copy() if theta is None else theta
    lanes = theta.shape[1]
    return growloops.State(
        weights=networks.weights(theta),
        rounded=networks.weights(theta.astype(dtype)),
        mean=networks.weights(np.zeros_like(theta, dtype)),
        square=networks.weights(np.zeros_like(theta, dtype)),
        decay=np.ones((2, lanes)),
        own=np.ones((2, WIDTH, lanes)),
        used=np.zeros(lanes),
    )


class Reference:
    """Steps of gradient descent, with momentum or not, or of Adam on theta (rows, L)."""

    def __init__(self, networks, forces):
        self.networks = networks
        self.forces = forces
        self.theta = networks.theta.copy()
        self.mean = np.zeros_like(self.theta)
        self.square = np.zeros_like(self.theta)
        self.steps = np.zeros(self.theta.shape, int)  # that Adam has counted for each weight

    def step(self, gradient, scale=1.0):
        """Move theta along the gradient of the task loss (rows, L) and of the size loss."""
        forces = self.forces
        growth = self.networks.growth
        gradient = gradient.copy()
        gradient[0] *= forces.heeds
        gradient[0] += 2 * forces.coupling * (self.theta[0] - forces.target)
        was_shut = self.shut()
        if growth.opens == "training":
            gradient[was_shut] = 0

        rate = np.tile(forces.lr, (len(gradient), 1))
        if growth.opens == "rate":
            size = torch.tensor(self.theta[0])
            rate = rate * growth.gate(size, WIDTH).mean(0).numpy()
        rate[0] = forces.lr * forces.moves
        self.theta -= scale * rate * self.change(gradient)

        if growth.forgets == "neuron":
            opened = was_shut & ~self.shut()
            self.mean[opened] = 0
            self.square[opened] = 0
            if self.networks.counts:
                self.steps[opened] = 0

    def shut(self):
        """Return whether a weight belongs to a neuron with a shut gate, (rows, L)."""
        gate = self.networks.growth.gate(torch.tensor(self.theta[0]), WIDTH).numpy()
        neuron = self.networks.neuron_of_row
        return (neuron >= 0)[:, None] & (gate[neuron] == 0)

    def change(self, gradient):
        """Return what a learning rate of 1 takes off theta, (rows, L)."""
        if self.networks.optimizer == "gd":
            return gradient
        if self.networks.optimizer == "momentum":
            self.mean = 0.9 * self.mean + gradient
            return self.mean
        counts = np.ones(gradient.shape, bool)
        if self.networks.counts:
            # A neuron's steps are counted from the first in which it has a gradient.
            neuron = self.networks.neuron_of_row
            for h in range(WIDTH):
                mine = neuron == h
                has_begun = (gradient[mine] != 0) | (self.steps[mine] > 0)
                counts[mine] = has_begun.any(0)
        self.steps += counts
        self.mean = 0.9 * self.mean + 0.1 * gradient
        self.square = 0.999 * self.square + 0.001 * gradient**2
        steps = np.maximum(self.steps, 1)  # without a step both averages are 0
        mean = self.mean / (1 - 0.9**steps)
        square = self.square / (1 - 0.999**steps)
        return mean / (np.sqrt(square) + 1e-8)

    def train(self, orders, batch, epochs, scales=(1.0,)):
        """Train on the points in these orders; return the neurons in use summed over the steps."""
        used = 0
        for epoch in range(epochs):
            order = orders[min(epoch, len(orders) - 1)]
            scale = scales[min(epoch, len(scales) - 1)]
            for first in range(0, len(order), batch):
                chosen = order[first : first + batch]
                self.step(self.networks.gradient(chosen, self.theta), scale)
                acts = self.networks.growth.acts(torch.tensor(self.theta[0]), WIDTH)
                used = used + (acts > 1e-3).sum(0).numpy()
        return used


@pytest.mark.parametrize("optimizer", growloops.OPTIMIZERS)
@pytest.mark.parametrize("name", ["staircase", "rate", "training"])
@pytest.mark.parametrize("outs", [1, 4])
@pytest.mark.parametrize("count", [1, 2])
def test_steps_are_those_of_their_formulas(name, optimizer, count, outs):
    networks = networks_of(GROWTHS[name], ("softmax", 1, outs), (0.3, 0.9)[:count])
    networks.optimizer = optimizer
    forces = forces_of(count)
    few = count > 1
    loops = networks.loops(forces, few)
    reference = Reference(networks, forces)
    state = state_of(networks)
    generator = np.random.default_rng(1)
    for scale in (1.0, 0.3, 0.7):
        loops.gates.reach[:] = (0, WIDTH)
        growloops.open_gates(loops.gates, state.weights.size, networks.kind)
        gradient = generator.standard_normal(networks.theta.shape)
        reference.step(gradient, scale)
        for array, values in zip(loops.work.gradient, networks.weights(gradient), strict=True):
            array[:] = values
        growloops.step(state, loops.gates, networks.kind, forces, scale, loops.work)
        compare(state.weights, networks.weights(reference.theta))
        compare(state.rounded, networks.weights(reference.theta))
    compare(state.mean, networks.weights(reference.mean))
    compare(state.square, networks.weights(reference.square))
    if optimizer == "adam":
        np.testing.assert_allclose(state.decay, np.transpose([[0.9**3, 0.999**3]] * count))


@pytest.mark.parametrize("forgets", ["neuron", False])
@pytest.mark.parametrize("counts", [True, False], ids=["neuron", "network"])
@pytest.mark.parametrize("name", ["staircase", "reversed", "training", "nothing", "steps"])
@pytest.mark.parametrize("few", [True, False], ids=["networks", "points"])
def test_each_neuron_has_its_own_time(few, name, counts, forgets):
    """Sizes pass through all neurons, so that each of them opens during these epochs."""
    growth = replace(GROWTHS[name], forgets=forgets)
    networks = networks_of(growth, ("softmax", 2, 2), (-0.3, 0.2))
    networks.optimizer = "adam"
    networks.counts = counts
    forces = forces_of(2, lr=0.1, moves=(3, 2), heeds=0, target=3)
    if not few:
        networks = networks.alone(0)
        forces = forces_of(1, lr=0.1, moves=3, heeds=0, target=3)
    reference = Reference(networks, forces)
    first = reference.shut()
    reference.train([range(4)], 4, 14, SCALES)
    assert first.any()
    assert not reference.shut().any()
    state, _ = trained(networks, forces, [range(4)], 4, 14, few, scales=SCALES)
    compare(state.weights, networks.weights(reference.theta), atol=1e-11)
    compare(state.mean, networks.weights(reference.mean), atol=1e-11)
    if counts:
        steps = reference.steps[1 : 1 + WIDTH]
        np.testing.assert_allclose(state.own, [0.9**steps, 0.999**steps])


SCALES = np.array([1.0, 0.9, 0.8, 0.7, 0.8])


@pytest.mark.parametrize("neuron", [1, 2])
@pytest.mark.parametrize("count", [1, 2])
def test_a_step_moves_the_neurons_in_reach_alone(count, neuron):
    networks = networks_of(GROWTHS["staircase"], ("softmax", 1, 2), (0.3, 0.9)[:count])
    forces = forces_of(count)
    loops = networks.loops(forces, few=count > 1)
    for array in loops.work.gradient:
        array[:] = 1
    loops.gates.reach[:] = (neuron, neuron + 1)
    state = state_of(networks)
    growloops.step(state, loops.gates, networks.kind, forces, 1.0, loops.work)
    before = networks.weights(networks.theta)
    moved = state.weights.hidden != before.hidden
    assert moved[:, neuron].all()
    assert not np.delete(moved, neuron, 1).any()
    moved = state.weights.output != before.output
    assert moved[[0, 1 + neuron]].all()
    assert not np.delete(moved, [0, 1 + neuron], 0).any()


def test_weights_are_kept_in_double_and_rounded_to_single_precision():
    networks = networks_of(GROWTHS["staircase"], ONE_PROBLEM)
    forces = forces_of(2, lr=1e-9)
    loops = networks.loops(forces)
    loops.gates.reach[:] = (0, WIDTH)
    for array in loops.work.gradient:
        array[:] = 1
    state = state_of(networks, np.ones_like(networks.theta), "float32")
    for _ in range(3):
        growloops.step(state, loops.gates, networks.kind, forces, 1.0, loops.work)
    np.testing.assert_allclose(1 - state.weights.hidden, 3e-9, rtol=1e-6)
    assert (state.rounded.hidden == 1).all()
    assert state.rounded.hidden.dtype == np.float32


def test_adam_in_single_precision_is_that_of_the_formula():
    g = np.array([0.3, -2.0, 1e-7], np.float32)
    w, rounded = np.ones(3), np.ones(3, np.float32)
    mean, square = np.zeros(3, np.float32), np.zeros(3, np.float32)
    rate, by_mean, by_square = np.array([[0.2] * 3, [1 / (1 - 0.9)] * 3, [1 / (1 - 0.999)] * 3])
    optimizer = growloops.ADAM
    growloops._move(w, rounded, mean, square, g, rate, by_mean, by_square, optimizer)
    np.testing.assert_allclose(w, 1 - 0.2 * g / (np.abs(g) + 1e-8), rtol=1e-5)
    np.testing.assert_array_equal(rounded, w.astype(np.float32))
    np.testing.assert_allclose(mean, 0.1 * g, rtol=1e-6)
    np.testing.assert_allclose(square, 0.001 * g.astype(float) ** 2, rtol=1e-6)


@pytest.mark.parametrize(
    "before, after, forgets",
    [
        (98.0, 99.5, True),
        (98.0, 99.0, True),
        (98.0, 98.5, False),
        (102.0, 101.0, True),
        (102.0, 101 + 1 / 256, False),
        (99.0, 99.5, False),
        (99.5, 99.6, False),
        (99.5, 90.0, False),
        (98.0, 150.0, False),
        (101.0, 100.0, False),
    ],
)
@pytest.mark.parametrize("allowed", [True, False])
def test_adam_forgets_when_the_size_comes_within_a_hundredth_of_the_target(
    before, after, forgets, allowed
):
    growth = growlib.AuxiliaryWeight(mask="shared", forgets=allowed)
    networks = networks_of(growth, ("softmax", 1, 2), (before, 1.0))
    forces = forces_of(2, lr=1, target=(100, 1000), coupling=0, moves=1, heeds=1)
    loops = networks.loops(forces)
    loops.gates.reach[:] = (0, WIDTH)
    for array in loops.work.gradient:
        array[:] = 0
    loops.work.gradient.size[0] = before - after
    state = state_of(networks)
    for moments in (state.mean, state.square):
        for array in moments:
            array[:] = 5
    state.decay[:] = 0.5
    state.own[:] = 0.5
    growloops.step(state, loops.gates, networks.kind, forces, 1.0, loops.work)
    assert state.weights.size[0] == after
    for counted in (state.decay, state.own):
        assert (counted[..., 0] == (1.0 if forgets and allowed else 0.5)).all()
        assert (counted[..., 1] == 0.5).all()
    for moments in (state.mean, state.square):
        for array in moments:
            assert (array[..., 0] == (0 if forgets and allowed else 5)).all()
            assert (array[..., 1] == 5).all()


# ------------------------------------------------------------------------------------------- epochs


ALWAYS = np.ones(1)  # the factor on the learning rates in every epoch


def trained(networks, forces, orders, batch, epochs, few, stop=0, scales=ALWAYS):
    """Return the state of networks after some epochs, and the neurons computed in all steps."""
    state = state_of(networks)
    loops = networks.loops(forces, few, stop)
    x, y = networks.x, networks.y
    if not few:
        x, y = x[..., 0].copy(), y[..., 0].copy()
    points = growloops.Points(x, y, np.array(orders), batch, scales)
    return state, loops.advance(state, points, epochs)


WAYS = pytest.mark.parametrize("few", [True, False], ids=["networks", "points"])


@WAYS
@pytest.mark.parametrize("optimizer", growloops.OPTIMIZERS)
@pytest.mark.parametrize("tile", [2, 3])
@pytest.mark.parametrize(
    "orders, batch",
    [([range(7)], 7), ([[3, 1, 6, 0, 5, 2, 4], [2, 4, 3, 6, 0, 5, 1], [6, 5, 4, 3, 2, 1, 0]], 3)],
    ids=["whole", "batches"],
)
def test_some_epochs_are_those_of_the_reference(orders, batch, tile, optimizer, few, monkeypatch):
    monkeypatch.setattr(growloops, "TILE", tile)
    networks = networks_of(GROWTHS["staircase"], ("squared", 2, 1), (0.8, 1.3), points=7)
    networks.optimizer = optimizer
    forces = forces_of(2)
    if not few:
        networks = networks.alone(0)
        forces = forces_of(1)
    reference = Reference(networks, forces)
    used = reference.train(np.array(orders), batch, 3)
    state, _ = trained(networks, forces, orders, batch, 3, few)
    compare(state.weights, networks.weights(reference.theta), atol=1e-12)
    compare(state.rounded, networks.weights(reference.theta), atol=1e-12)
    np.testing.assert_array_equal(state.used, used)


@WAYS
def test_no_epochs_change_nothing(few):
    networks = networks_of(GROWTHS["staircase"], ONE_PROBLEM, [1.3])
    state, computed = trained(networks, forces_of(1), [range(4)], 4, 0, few)
    compare(state.weights, networks.weights(networks.theta))
    assert computed == 0


@WAYS
@pytest.mark.parametrize("name", ["staircase", "reversed"])
def test_computed_are_the_neurons_in_reach_after_every_step(name, few):
    networks = networks_of(GROWTHS[name], ONE_PROBLEM, [0.9] * (1 + few))
    # the size goes from 0.9 to 1.2 in the first step, and stays there
    forces = forces_of(1 + few, lr=1, coupling=0.5, target=1.2, moves=1, heeds=0)
    _, computed = trained(networks, forces, [range(4)], 4, 3, few)
    assert computed == 2 + 2 + 2
    _, computed = trained(networks, forces, [range(4)], 2, 2, few)
    assert computed == 2 + 2 + 2 + 2


@WAYS
@pytest.mark.parametrize("batch", [4, 2])
def test_training_ends_after_the_step_in_which_it_is_stopped(few, batch):
    networks = networks_of(GROWTHS["staircase"], ONE_PROBLEM, [1.3] * (1 + few))
    forces = forces_of(1 + few)
    state, computed = trained(networks, forces, [range(4)], batch, 3, few, stop=1)
    reference = Reference(networks, forces)
    reference.step(networks.gradient(np.arange(batch)))
    compare(state.weights, networks.weights(reference.theta))
    assert computed == 2


def test_points_are_copied_into_tiles_one_after_the_other(monkeypatch):
    monkeypatch.setattr(growloops, "TILE", 3)
    x = np.arange(20.0).reshape(2, 10)
    y = 100 + np.arange(10.0)
    tiles = np.zeros((3, 2, 3))
    of_y = np.zeros((3, 3))
    points = growloops.Points(x, y, None, 5, ALWAYS)
    growloops._fill_tiles(tiles, of_y, points, np.array([7, 0, 3, 9, 2, 1, 8]))
    assert tiles[:, 0].tolist() == [[7, 0, 3], [9, 2, 1], [8, 0, 0]]
    assert tiles[:, 1].tolist() == [[17, 10, 13], [19, 12, 11], [18, 0, 0]]
    assert of_y.tolist() == [[107, 100, 103], [109, 102, 101], [108, 0, 0]]


def test_a_neuron_is_in_use_if_its_gate_is_above_a_thousandth_after_the_step(monkeypatch):
    networks = networks_of(GROWTHS["staircase"], ONE_PROBLEM)
    loops = networks.loops()
    state = state_of(networks)
    state.used[:] = 10
    done = []

    def open_gates(gates, size, kind):
        done.append("gates")
        gates.gate[:] = [[0.0011, 0.0010], [0.5, 0.0009], [1, 1]]
        gates.reach[:] = (0, 2)

    monkeypatch.setattr(growloops, "step", lambda *_: done.append("step"))
    monkeypatch.setattr(growloops, "open_gates", open_gates)
    growloops._step_and_open(state, loops.gates, networks.kind, None, 1.0, loops.work)
    assert done == ["step", "gates"]
    assert state.used.tolist() == [12, 10]


# ------------------------------------------------------------------------------------ for one block


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_arrays_of_networks_have_a_lane_for_each(dtype):
    stop = np.zeros(1, np.uint8)
    loops = growloops.Loops("kind", "forces", (2, 3, 4, 5), dtype, True, stop)
    assert shapes_of(loops) == {
        **{"gate": (3, 5), "slope": (3, 5), "mean": (5,), "shut": (3, 5), "reach": (2,)},
        **{"size": (5,), "hidden": (4, 3, 5), "output": (4, 4, 5)},
        **{"base": (3, 5), "a": (3, 5), "y_hat": (4, 5), "z": (5,), "factors": (4, 5)},
        **{"own": (2, 3, 5), "was_shut": (3, 5)},
    }
    doubles = [loops.gates.mean, loops.work.factors, loops.work.own]
    assert {array.dtype for array in doubles} == {np.dtype("float64")}
    rest = [*loops.gates[:2], *loops.work.gradient, *loops.work[1:5]]
    assert {array.dtype for array in rest} == {np.dtype(dtype)}
    assert loops.stop is stop
    assert (loops.kind, loops.forces) == ("kind", "forces")


@pytest.mark.parametrize("width, outs", [(3, 4), (6, 2)])
def test_the_arrays_of_points_have_a_lane_for_each_point_of_a_tile(width, outs, monkeypatch):
    monkeypatch.setattr(growloops, "TILE", 7)
    loops = growloops.Loops(None, None, (2, width, outs, 1), "float32", False, None)
    assert shapes_of(loops) == {
        **{"gate": (width, 1), "slope": (width, 1), "mean": (1,)},
        **{"shut": (width, 1), "reach": (2,)},
        **{"size": (1,), "hidden": (4, width, 1), "output": (1 + width, outs, 1)},
        **{"base": (width, 7), "a": (width, 7), "y_hat": (outs, 7), "z": (7,)},
        **{"factors": (4, max(width, outs)), "own": (2, width, 1), "was_shut": (width, 1)},
    }


def shapes_of(loops):
    """Return the shapes of the arrays by their names."""
    arrays = loops.gates._asdict() | loops.work._asdict() | loops.work.gradient._asdict()
    arrays.pop("gradient")
    return {name: array.shape for name, array in arrays.items()}


@pytest.mark.parametrize("moments", ["mean", "square"])
@pytest.mark.parametrize(
    "layer, place, reach",
    [
        ("hidden", (0, 1, 1), 2),
        ("hidden", (3, 2, 0), 3),
        ("output", (2, 0, 1), 2),
        ("output", (3, 1, 0), 3),
        ("output", (0, 0, 0), 1),
    ],
)
def test_neurons_that_adam_moves_are_computed_although_they_are_shut(moments, layer, place, reach):
    networks = networks_of(GROWTHS["staircase"], ("softmax", 2, 2), (0.4, 0.9))
    networks.optimizer = "adam"
    forces = forces_of(2, moves=0)
    loops = networks.loops(forces)
    state = state_of(networks)
    state.decay[:] = 0.5
    getattr(getattr(state, moments), layer)[place] = 0.1
    points = growloops.Points(networks.x, networks.y, np.arange(4)[None], 4, ALWAYS)
    assert loops.advance(state, points, 1) == reach
    assert loops.gates.reach.tolist() == [0, reach]


def test_a_later_call_reaches_what_is_open_then_and_no_more():
    networks = networks_of(GROWTHS["staircase"], ONE_PROBLEM, [2.4, 0.2])
    loops = networks.loops(forces_of(2, moves=0))
    points = growloops.Points(networks.x, networks.y, np.arange(4)[None], 4, ALWAYS)
    state = state_of(networks)
    assert loops.advance(state, points, 1) == 3
    state.weights.size[:] = 0.4
    assert loops.advance(state, points, 1) == 1


@pytest.mark.parametrize(
    "moving, reach", [([1], [1, 2]), ([0, 2], [0, 3]), ([1, 2], [1, 3]), ([], [3, 0])]
)
def test_the_reach_is_from_the_first_neuron_that_adam_moves_to_the_last(moving, reach):
    networks = networks_of(GROWTHS["staircase"], ONE_PROBLEM)
    loops = networks.loops()
    state = state_of(networks)
    state.mean.hidden[0, moving] = 0.1
    loops._reach_what_moves(state)
    assert loops.gates.reach.tolist() == reach

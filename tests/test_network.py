"""The network: its layers, first weights, outputs and losses, and the gradient that trains it.

Each is held against formulas written independently of growlib, and the gradient, in every way of
training, against finite differences and autograd. What the loops alone do is in test_loops.py.
"""

import math
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest
import torch
from blocks import WAYS, block_of, gradient_of

import growlib

GROWTH = growlib.AuxiliaryWeight()
SIZES = (0.0, 0.3, 1.0, 2.5, 4.7, 5.0, 5.6, 8.9)
SMOOTH_SIZES = [size for size in SIZES if size % 1]  # where the loss is smooth in the size


class PaperNetwork(NamedTuple):
    """One network of H neurons in the paper's symbols, in the order in which theta holds them."""

    size: float
    b: np.ndarray  # (H,)
    u: np.ndarray  # (H,)
    w: np.ndarray  # (H,)
    c: float
    v: np.ndarray  # (H,)

    @classmethod
    def of_nine_neurons(cls, size):
        """Return a network of this size with random weights, the same each time."""
        b, u, w, v = np.random.default_rng(0).uniform(-1, 1, (4, 9))
        return cls(size, b, u, w, 0.37, v)

    @classmethod
    def from_flat(cls, flat):
        """Return the network of nine neurons whose weights stand one after another in `flat`."""
        return cls(flat[0], flat[1:10], flat[10:19], flat[19:28], flat[28], flat[29:])

    def flat(self):
        """Return all weights one after another."""
        return np.hstack(self)

    def theta(self):
        """Return the weights as growlib's theta of one network, (rows, 1)."""
        return torch.tensor(self.flat())[:, None]


def theta_of_paper(n):
    """Return θ(n) as the paper states it: 0 below 0, sin²(πn/2) on the step, 1 above."""
    if n < 0:
        return 0.0
    if n > 1:
        return 1.0
    return math.sin(math.pi * n / 2) ** 2


def y_of_paper(network, x):
    """Return ŷ(x) of one network, term by term."""
    size, b, u, w, c, v = network
    y_hat = np.full_like(x, c)
    for m in range(1, len(b) + 1):
        neuron = np.tanh(b[m - 1] + u[m - 1] * size + w[m - 1] * x)
        y_hat += v[m - 1] * theta_of_paper(size - m + 1) * neuron
    return y_hat


def loss_of_paper(network, x, y, loss, coupling=0.1, target=5.0):
    """Return the whole loss of one network, size loss included."""
    y_hat = y_of_paper(network, x)
    if loss == "squared":
        task_loss = np.mean((y_hat - y) ** 2)
    else:
        p = 1 / (1 + np.exp(-y_hat))
        task_loss = -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))
    return task_loss + coupling * (network.size - target) ** 2


# ------------------------------------------------------------------------- layers and first weights


def test_layers_have_a_row_for_the_bias_and_the_first_one_another_for_the_size():
    assert growlib.layer_shapes(9) == [(3, 9), (10, 1)]
    assert growlib.layer_shapes([4, 2], inputs=3, outputs=5) == [(5, 4), (5, 2), (3, 5)]


def test_a_narrower_network_is_the_first_part_of_a_wider_one():
    growth = growlib.AuxiliaryWeight()
    narrow_theta = growlib.initial_weights(0, [0, 1], 6, growth)
    wide_theta = growlib.initial_weights(0, [0, 1], 9, growth)
    _, narrow = growlib.unpack(narrow_theta, growlib.layer_shapes(6))
    _, wide = growlib.unpack(wide_theta, growlib.layer_shapes(9))
    assert torch.equal(narrow[0], wide[0][:, :6])
    assert torch.equal(narrow[1], wide[1][:7])


def test_first_weights_are_uniform_on_minus_one_to_one():
    theta = growlib.initial_weights(0, range(400), 9, growlib.AuxiliaryWeight())[1:]
    assert theta.min() >= -1
    assert theta.max() <= 1
    assert theta.mean().item() == pytest.approx(0, abs=0.02)
    assert theta.var().item() == pytest.approx(1 / 3, rel=0.03)


def test_first_weights_of_a_controllers_network_follow_the_fan_in():
    theta = growlib.initial_weights(0, range(200), 16, growlib.ControllerMask(), 2, 5)
    size, (hidden, output) = growlib.unpack(theta, growlib.layer_shapes(16, 2, 5))
    assert 0.99 * 3**-0.5 < hidden.abs().max() <= 3**-0.5  # the size and two inputs
    assert 0.99 * 16**-0.5 < output.abs().max() <= 16**-0.5
    assert size.std().item() == pytest.approx(1e-5, rel=0.2)
    assert (size != 0).all()


def test_only_a_start_of_0_has_noise():
    noise = [growlib.random_stream(0, k, "start").standard_normal() for k in (0, 1)]
    from_0 = growlib.initial_weights(0, [0, 1], 3, growlib.ControllerMask(start=0.0))[0]
    assert from_0.tolist() == [1e-5 * each for each in noise]
    from_a_half = growlib.initial_weights(0, [0, 1], 3, growlib.ControllerMask(start=0.5))[0]
    assert (from_a_half == 0.5).all()


def test_several_layers_are_drawn_one_after_the_other():
    growth = growlib.AuxiliaryWeight(start=2.0)
    theta = growlib.initial_weights(3, [4, 6], [5, 3], growth, inputs=2)
    count = 4 * 5 + 6 * 3 + 4
    drawn = [growlib.random_stream(3, k, "weights").uniform(-1, 1, count) for k in (4, 6)]
    np.testing.assert_array_equal(theta, np.vstack([[2, 2], np.stack(drawn, axis=1)]))


# ------------------------------------------------------------------------------- outputs and losses


@pytest.mark.parametrize("size", SIZES)
def test_output_is_the_papers_formula(size):
    network = PaperNetwork.of_nine_neurons(size)
    x = np.linspace(-1, 1, 17)
    y_hat = growlib.outputs(network.theta(), torch.tensor(x)[None, :, None], GROWTH, 9)
    np.testing.assert_allclose(y_hat[0, :, 0], y_of_paper(network, x), atol=1e-14)


def test_without_a_feed_the_weights_from_the_size_do_nothing():
    growth = growlib.AuxiliaryWeight(feeds=0.0, start=5.0)
    theta = growlib.initial_weights(0, range(3), 5, growth)
    x = torch.linspace(-1, 1, 7, dtype=torch.float64).reshape(1, 7, 1).expand(-1, -1, 3)
    before = growlib.outputs(theta, x, growth, 5)

    _, (hidden, _) = growlib.unpack(theta, growlib.layer_shapes(5))
    hidden[1] += 1  # u; `hidden` is a view of theta
    assert torch.equal(growlib.outputs(theta, x, growth, 5), before)
    fed = growlib.AuxiliaryWeight(start=5.0)
    assert not torch.equal(growlib.outputs(theta, x, fed, 5), before)


def test_softmax_loss_is_torchs_cross_entropy():
    growth = growlib.ControllerMask()
    theta, x, y = random_networks(growth, "softmax", inputs=2, count=5, widths=[7])
    y_hat = growlib.outputs(theta, x, growth, 7, 5)
    expected = torch.nn.functional.cross_entropy(
        y_hat.permute(2, 1, 0).reshape(-1, 5), y.T.reshape(-1).long(), reduction="none"
    )
    found = growlib.task_loss(y_hat, y, "softmax")
    np.testing.assert_allclose(found, expected.reshape(3, 11).mean(1))


def random_networks(growth, loss, inputs, count, widths):
    """Return three random networks of different sizes, theta, with 11 random points, x and y."""
    generator = torch.Generator().manual_seed(0)
    shapes = growlib.layer_shapes(widths, inputs, count)
    rows = 1 + sum(fan_in * neurons for fan_in, neurons in shapes)
    theta = torch.rand(rows, 3, generator=generator, dtype=torch.float64) * 2 - 1
    if isinstance(growth, growlib.AuxiliaryWeight):
        theta[0] = torch.tensor([0.3, 2.6, 3.7])
    else:
        theta[0] = torch.tensor([0.3, 0.55, 0.81])
    x = torch.rand(inputs, 11, 3, generator=generator, dtype=torch.float64) * 2 - 1
    y = torch.randint(0, max(count, 2), (11, 3), generator=generator).double()
    return theta, x, y


# -------------------------------------------------------------------- the gradient of the task loss


def ways_for(widths):
    """Return the ways to train networks of these widths; the loops take one hidden layer alone."""
    return WAYS if len(widths) == 1 else ["autograd"]


def task_gradient(way, theta, x, y, growth, widths, count, loss):
    """Return the gradient of the task loss alone that training takes, (rows, T)."""
    # nothing else moves the networks, and the whole rate is theirs
    growth = replace(growth, coupling=0.0, frozen=False, speed=1.0, learns_from="loss")
    block = block_of(growth, x, y, loss, widths, count)
    return gradient_of(way, block, theta)


@pytest.mark.parametrize("widths", [[7], [5, 4]])
@pytest.mark.parametrize(
    "loss, inputs, count",
    [("squared", 1, 1), ("logistic", 1, 1), ("softmax", 2, 5), ("squared", 3, 1)],
)
@pytest.mark.parametrize(
    "growth",
    [
        growlib.AuxiliaryWeight(),
        growlib.ControllerMask(),
        growlib.ControllerMask(mask="neuron"),
    ],
    ids=["auxiliary", "shared", "neuron"],
)
def test_gradient_agrees_with_autograd_and_finite_differences(growth, loss, inputs, count, widths):
    theta, x, y = random_networks(growth, loss, inputs, count, widths)

    def total(theta):
        return growlib.task_loss(growlib.outputs(theta, x, growth, widths, count), y, loss)

    by_autograd = torch.func.grad(lambda theta: total(theta).sum())(theta)
    for row in (0, 1, 9, -1):
        step = torch.zeros_like(theta)
        step[row] = 1e-6
        by_differences = (total(theta + step) - total(theta - step)) / 2e-6
        np.testing.assert_allclose(by_autograd[row], by_differences, atol=1e-7)

    for way in ways_for(widths):
        found = task_gradient(way, theta, x, y, growth, widths, count, loss)
        np.testing.assert_allclose(found, by_autograd, atol=1e-14 * len(theta))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "fields",
    [
        {"mask": "shared"},
        {"mask": "reversed"},
        {"feeds": 0.0},
        {"feeds": 0.2},
        {"opens": "nothing"},
        {"opens": "nothing", "feeds": 0.0},
    ],
    ids=str,
)
@pytest.mark.parametrize(
    "method", [growlib.AuxiliaryWeight, growlib.ControllerMask], ids=lambda m: m.__name__
)
def test_gradient_under_every_control_agrees_with_autograd(fields, method, way):
    if method is growlib.ControllerMask and fields.get("mask") == "reversed":
        pytest.skip("a controller has no order to reverse")
    growth = method(**fields)
    width = 5
    theta = growlib.initial_weights(0, range(4), width, growth)
    theta[0] = torch.tensor([0.4, 1.7, 3.2, 4.6])
    if method is growlib.ControllerMask:
        theta[0] /= width
    x, y = (torch.tensor(part) for part in growlib.task("cubic-1").draw(0, range(4)))
    found = task_gradient(way, theta, x, y, growth, [width], 1, "squared")

    theta.requires_grad_()
    y_hat = growlib.outputs(theta, x, growth, width)
    growlib.task_loss(y_hat, y, "squared").sum().backward()
    torch.testing.assert_close(found, theta.grad, rtol=1e-9, atol=1e-12)


# ------------------------------------------------------------------- the gradient of the whole loss


def gradient_of_whole_loss(theta, x, y, loss, way="networks", frozen=False):
    """Return the gradient that a step takes, (rows,), of one network with the default growth."""
    growth = replace(GROWTH, frozen=frozen)
    block = block_of(growth, np.reshape(x, (1, -1, 1)), np.reshape(y, (-1, 1)), loss)
    return gradient_of(way, block, theta)[:, 0].numpy()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("loss", ["squared", "logistic"])
@pytest.mark.parametrize("size", SMOOTH_SIZES)
def test_gradient_of_a_step_agrees_with_finite_differences(loss, size, way):
    network = PaperNetwork.of_nine_neurons(size)
    x = np.random.default_rng(1).uniform(-1, 1, 11)
    y = (x > 0).astype(float) if loss == "logistic" else x**3

    def total(flat):
        return loss_of_paper(PaperNetwork.from_flat(flat), x, y, loss)

    flat = network.flat()
    h = 1e-6
    steps = h * np.eye(len(flat))
    expected = [(total(flat + step) - total(flat - step)) / (2 * h) for step in steps]
    found = gradient_of_whole_loss(network.theta(), x, y, loss, way)
    np.testing.assert_allclose(found, expected, atol=2e-9)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("loss", ["squared", "logistic"])
@pytest.mark.parametrize("size", SIZES)
def test_gradient_of_a_step_agrees_with_autograd(loss, size, way):
    theta = PaperNetwork.of_nine_neurons(size).theta()
    x = np.linspace(-0.9, 1, 13)
    y = (x > 0).astype(float) if loss == "logistic" else x**3

    def total(theta):
        y_hat = growlib.outputs(theta, torch.tensor(x)[None, :, None], GROWTH, 9)
        task_loss = growlib.task_loss(y_hat, torch.tensor(y)[:, None], loss)
        return (task_loss + growlib.size_loss(theta[0], 5.0, 0.1)).sum()

    by_autograd = torch.func.grad(total)(theta)[:, 0]
    found = gradient_of_whole_loss(theta, x, y, loss, way)
    np.testing.assert_allclose(found, by_autograd, atol=1e-14)


@pytest.mark.parametrize("way", WAYS)
def test_the_task_loss_reaches_the_size(way):
    theta = PaperNetwork.of_nine_neurons(2.5).theta()
    x = np.linspace(-1, 1, 8)
    of_whole_loss = gradient_of_whole_loss(theta, x, x**3, "squared", way)[0]
    of_size_loss = 2 * 0.1 * (2.5 - 5)
    assert abs(of_whole_loss - of_size_loss) > 1e-3


@pytest.mark.parametrize("way", WAYS)
def test_a_frozen_size_gets_no_gradient_and_the_weights_get_the_same(way):
    theta = PaperNetwork.of_nine_neurons(5.0).theta()
    x = np.linspace(-1, 1, 8)
    moving = gradient_of_whole_loss(theta, x, x**3, "squared", way)
    frozen = gradient_of_whole_loss(theta, x, x**3, "squared", way, frozen=True)
    assert frozen[0] == 0
    assert moving[0] != 0
    np.testing.assert_array_equal(moving[1:], frozen[1:])


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("size", [0.0, 2.0, 2.5])
def test_neurons_above_the_size_get_no_gradient(size, way):
    theta = PaperNetwork.of_nine_neurons(size).theta()
    x = np.linspace(-1, 1, 8)
    gradient = torch.tensor(gradient_of_whole_loss(theta, x, x**3, "squared", way))[:, None]
    _, (hidden, output) = growlib.unpack(gradient, growlib.layer_shapes(9))
    shut = math.ceil(size)  # the first neuron that is shut, counted from 0
    assert (hidden[:, shut:] == 0).all()
    assert (output[1 + shut :] == 0).all()
    if size:
        assert (hidden[:, :shut] != 0).any()

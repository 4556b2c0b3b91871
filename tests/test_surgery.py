"""Layers of any torch model, grown and shrunk between steps of an optimizer."""

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from strategies import SEEDS
from torch import nn

from growkit import surgery

OPTIMIZERS = {
    "none": None,
    "sgd": lambda parameters: torch.optim.SGD(parameters, lr=0.01),
    "momentum": lambda parameters: torch.optim.SGD(parameters, lr=0.01, momentum=0.9),
    "adam": lambda parameters: torch.optim.Adam(parameters, lr=0.01),
    "amsgrad": lambda parameters: torch.optim.AdamW(parameters, lr=0.01, amsgrad=True),
    "rmsprop": lambda parameters: torch.optim.RMSprop(
        parameters, lr=0.001, centered=True, momentum=0.9
    ),
    "adagrad": lambda parameters: torch.optim.Adagrad(parameters, lr=0.01),
}


def model(bias=True):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(3, 8, bias=bias),
        nn.ReLU(),
        nn.Dropout(0.0),
        nn.Linear(8, 5),
        nn.Tanh(),
        nn.Linear(5, 2),
    )


def train(net, optimizer, steps):
    """Train on a fixed regression and return the loss before the last step."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(64, 3, generator=generator)
    y = torch.stack([torch.sin(2 * x[:, 0]), x[:, 1] * x[:, 2]], 1)
    for _ in range(steps):
        loss = nn.functional.mse_loss(net(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return loss.item()


def trained(kind, bias=True):
    """Return a model and its optimizer after 20 steps, or an untrained one without an optimizer."""
    net = model(bias)
    if kind == "none":
        return net, None
    optimizer = OPTIMIZERS[kind](net.parameters())
    train(net, optimizer, 20)
    return net, optimizer


def assert_close(found, expected):
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)


# ------------------------------------------------------------------------------------------ growing


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("kind", OPTIMIZERS)
@pytest.mark.parametrize("first, second", [(0, 3), (3, 5)])
def test_growing_changes_neither_the_function_nor_the_old_neurons_steps(kind, bias, first, second):
    net, optimizer = trained(kind, bias)
    twin, twins_optimizer = copy.deepcopy((net, optimizer))
    x = torch.randn(16, 3)
    before = net(x)
    surgery.grow(net[first], net[second], 4, optimizer)
    assert_close(net(x), before)
    assert net[first].out_features == len(net[first].weight)
    assert net[second].in_features == len(net[first].weight)
    if optimizer is None:
        return

    old = twin[first].out_features
    train(net, optimizer, 1)
    train(twin, twins_optimizer, 1)
    assert_close(net[first].weight[:old], twin[first].weight)
    assert_close(net[second].weight[:, :old], twin[second].weight)
    assert train(net, optimizer, 200) < train(net, optimizer, 1) + 1
    for group in optimizer.param_groups:
        assert {id(each) for each in group["params"]} == {id(each) for each in net.parameters()}
        for parameter in group["params"]:
            for value in optimizer.state[parameter].values():
                if torch.is_tensor(value):
                    assert value.shape in (parameter.shape, ())


def test_new_neurons_learn_and_step_no_further_than_three_learning_rates():
    """By Adam, whose step is too large if zeros are appended to its averages of squares."""
    padded, _ = largest_step(padded=True)
    ours, weights = largest_step(padded=False)
    assert padded > 5
    assert ours < 3
    assert weights.abs().min() > 0


def largest_step(padded):
    """Return new neurons' largest step in 30, in learning rates, and their outgoing weights."""
    net = model()
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    train(net, optimizer, 2000)
    surgery.grow(net[0], net[3], 4, optimizer)
    if padded:
        optimizer.state[net[3].weight]["exp_avg_sq"][:, -4:] = 0
    largest = 0.0
    for _ in range(30):
        before = net[3].weight.detach().clone()
        train(net, optimizer, 1)
        step = (net[3].weight - before).detach()[:, -4:]
        largest = max(largest, step.abs().max().item() / 1e-3)
    return largest, net[3].weight[:, -4:].detach()


def test_frozen_layers_stay_frozen():
    net = model()
    net[0].weight.requires_grad_(False)
    surgery.grow(net[0], net[3], 1)
    assert not net[0].weight.requires_grad
    assert net[3].weight.requires_grad


# ---------------------------------------------------------------------------------------- shrinking


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_shrinking_is_the_reverse_of_growing(kind):
    net, optimizer = trained(kind)
    twin, twins_optimizer = copy.deepcopy((net, optimizer))
    surgery.grow(net[0], net[3], 4, optimizer)
    assert surgery.shrink(net[0], net[3], 4, optimizer).tolist() == list(range(8))
    for parameter, twins in zip(net.parameters(), twin.parameters(), strict=True):
        assert torch.equal(parameter, twins)
        if optimizer is None:
            continue
        for key, value in optimizer.state[parameter].items():
            expected = torch.as_tensor(twins_optimizer.state[twins][key])
            assert torch.equal(torch.as_tensor(value), expected)


def test_shrinking_takes_out_the_neurons_that_count_least():
    net = model()
    with torch.no_grad():
        net[3].weight[:, [1, 6]] = 0
    x = torch.randn(16, 3)
    before = net(x)
    assert surgery.shrink(net[0], net[3], 2).tolist() == [0, 2, 3, 4, 5, 7]
    assert_close(net(x), before)


def test_shrinking_takes_out_the_neurons_that_are_named():
    net = model()
    rows = net[0].weight.detach().clone()
    assert surgery.shrink(net[0], net[3], [0, 5]).tolist() == [1, 2, 3, 4, 6, 7]
    assert torch.equal(net[0].weight, rows[[1, 2, 3, 4, 6, 7]])


# ----------------------------------------- properties, on layers of shapes that hypothesis makes up


SHAPES = st.fixed_dictionaries(
    {
        "inputs": st.integers(1, 5),
        "neurons": st.integers(2, 9),
        "outputs": st.integers(1, 5),
        "bias": st.booleans(),
        "seed": SEEDS,
    }
)


def layers(inputs, neurons, outputs, bias, seed):
    """Return two linear layers in float64 with random weights, the same for the same seed."""
    torch.manual_seed(seed)
    hidden = torch.nn.Linear(inputs, neurons, bias)
    output = torch.nn.Linear(neurons, outputs, bias)
    return hidden.double(), output.double()


@given(shape=SHAPES, n=st.integers(1, 6))
def test_growing_layers_leaves_the_function_unchanged(shape, n):
    """Layers with n new neurons between them compute what they did; the old weights come first."""
    hidden, output = layers(**shape)
    x = torch.randn(6, shape["inputs"], dtype=torch.float64)
    before = output(torch.tanh(hidden(x)))
    old_weight = hidden.weight.detach().clone()

    surgery.grow(hidden, output, n)
    torch.testing.assert_close(output(torch.tanh(hidden(x))), before)
    assert torch.equal(hidden.weight[: shape["neurons"]], old_weight)
    assert len(hidden.weight) == output.weight.shape[1] == shape["neurons"] + n


@given(shape=SHAPES, data=st.data())
def test_shrinking_layers_takes_the_neurons_with_the_least_weights(shape, data):
    """The neurons that go have the least products of norms.

    What stays computes what the whole does without the outgoing weights of those that go.
    """
    hidden, output = layers(**shape)
    n = data.draw(st.integers(1, shape["neurons"] - 1))
    norms = hidden.weight.norm(dim=1) * output.weight.norm(dim=0)
    x = torch.randn(6, shape["inputs"], dtype=torch.float64)

    kept = surgery.shrink(hidden, output, n)
    gone = [k for k in range(shape["neurons"]) if k not in kept.tolist()]
    assert len(gone) == n
    assert kept.tolist() == sorted(kept.tolist())
    assert norms[gone].max() <= norms[kept].min()

    whole_hidden, whole_output = layers(**shape)
    with torch.no_grad():
        whole_output.weight[:, gone] = 0
        expected = whole_output(torch.tanh(whole_hidden(x)))
        torch.testing.assert_close(output(torch.tanh(hidden(x))), expected)

"""A grown network as plain torch layers, and growing and shrinking layers of any other model."""

import copy

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn

import growlib
from growkit import surgery

X = np.random.default_rng(0).uniform(-1, 1, (40, 2))
CASES = {
    "auxiliary": ("bessel-j0", growlib.AuxiliaryWeight(coupling=10.0), {}),
    "half open": ("bessel-j0", growlib.AuxiliaryWeight(start=2.4, target=2.4, frozen=True), {}),
    "not fed": (
        "bessel-sum",
        growlib.AuxiliaryWeight(coupling=10.0, feeds=0.0, opens="nothing"),
        {},
    ),
    "two layers": (
        "bessel-sum",
        growlib.ControllerMask(mask="neuron"),
        {"width": [8, 6], "optimizer": "adam", "lr": 0.01},
    ),
    "logistic": ("square-wave", growlib.AuxiliaryWeight(coupling=1.0), {}),
    "softmax": (
        growlib.task("spirals", points=300, classes=3),
        growlib.ControllerMask(mask="neuron", learns_from="loss"),
        {"width": 12, "lr": 0.01},
    ),
    "never started": ("bessel-j0", growlib.AuxiliaryWeight(coupling=0.0), {}),
}


def outputs_of(run, x):
    """What `dense` promises to give, made from `predict`: logarithms of probability ratios for a classification."""
    p = run.predict(x).astype(float)
    if run.task.loss == "logistic":
        return np.log(p / (1 - p))
    return np.log(p) - np.log(p).mean(-1, keepdims=True) if run.task.loss == "softmax" else p


@pytest.mark.filterwarnings("ignore:coupling is 0 and start too")
@pytest.mark.parametrize("dtype, close", [("float32", 1e-6), ("float64", 1e-13)])
@pytest.mark.parametrize("case", CASES)
def test_the_plain_layers_give_what_the_network_gives(case, dtype, close):
    task, growth, more = CASES[case]
    run = growlib.fit(task, growth, trials=3, epochs=60, dtype=dtype, compiled=False, **more)
    x = X[:, : run.task.inputs]
    for trial in range(3):
        net = run.dense(trial)
        assert {type(layer) for layer in net} == {nn.Linear, nn.Tanh}
        y = net(torch.tensor(x, dtype=run.theta().dtype)).detach().double().numpy()
        y = y - y.mean(-1, keepdims=True) if run.task.loss == "softmax" else y
        expected = outputs_of(run, x)[trial]
        np.testing.assert_allclose(
            y,
            expected,
            atol=close * max(1, abs(expected).max()) * (4 if run.task.classes else 1),
            rtol=0,
        )


def test_only_the_active_neurons_are_taken():
    run = growlib.fit(
        "bessel-j0",
        growlib.AuxiliaryWeight(start=2.4, target=2.4, frozen=True),
        trials=2,
        epochs=1,
        compiled=False,
    )
    assert [layer.out_features for layer in run.dense(1)[::2]] == [3, 1]
    half = growlib.ControllerMask(start=0.5, target=0.5, frozen=True, mask="neuron")
    two = growlib.fit("bessel-j0", half, trials=1, epochs=1, width=[8, 6], compiled=False)
    assert [layer.out_features for layer in two.dense()[::2]] == [4, 3, 1]


def test_the_plain_layers_travel(tmp_path):
    """Saved with safetensors, loaded by torch with weights only, exported, all without growlib."""
    run = growlib.fit(
        "bessel-j0", growlib.AuxiliaryWeight(coupling=10.0), trials=1, epochs=60, compiled=False
    )
    net, x = run.dense(), torch.linspace(-1, 1, 21)[:, None]
    safetensors.torch.save_file(net.state_dict(), tmp_path / "net.safetensors")
    again = nn.Sequential(
        nn.Linear(1, net[0].out_features), nn.Tanh(), nn.Linear(net[0].out_features, 1)
    )
    again.load_state_dict(safetensors.torch.load_file(tmp_path / "net.safetensors"))
    assert torch.equal(again(x), net(x))
    torch.save(net.state_dict(), tmp_path / "net.pt")
    again.load_state_dict(torch.load(tmp_path / "net.pt", weights_only=True))
    assert torch.equal(again(x), net(x))
    exported = torch.export.export(
        net, (x,), dynamic_shapes=({0: torch.export.Dim("points", min=1, max=1000)},)
    )
    torch.testing.assert_close(exported.module()(x[:7]), net(x[:7]), atol=1e-6, rtol=0)


def model(seed=0, bias=True):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Linear(3, 8, bias=bias),
        nn.ReLU(),
        nn.Dropout(0.0),
        nn.Linear(8, 5),
        nn.Tanh(),
        nn.Linear(5, 2),
    )


def train(net, optimizer, steps, seed=1):
    """Train on a fixed regression; the loss at the end."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(64, 3, generator=generator)
    y = torch.stack([torch.sin(2 * x[:, 0]), x[:, 1] * x[:, 2]], 1)
    for _ in range(steps):
        loss = nn.functional.mse_loss(net(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return loss.item()


OPTIMIZERS = {
    "none": None,
    "sgd": lambda p: torch.optim.SGD(p, lr=0.01),
    "momentum": lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.9),
    "adam": lambda p: torch.optim.Adam(p, lr=0.01),
    "amsgrad": lambda p: torch.optim.AdamW(p, lr=0.01, amsgrad=True),
    "rmsprop": lambda p: torch.optim.RMSprop(p, lr=0.001, centered=True, momentum=0.9),
    "adagrad": lambda p: torch.optim.Adagrad(p, lr=0.01),
}


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("kind", OPTIMIZERS)
@pytest.mark.parametrize("first, second", [(0, 3), (3, 5)])
def test_growing_leaves_the_function_and_the_old_neurons_steps_unchanged(kind, bias, first, second):
    net = model(bias=bias)
    optimizer = OPTIMIZERS[kind] and OPTIMIZERS[kind](net.parameters())
    if optimizer:
        train(net, optimizer, 20)
    x, twin = torch.randn(16, 3), copy.deepcopy((net, optimizer))
    before = net(x)
    surgery.grow(net[first], net[second], 4, optimizer)
    torch.testing.assert_close(net(x), before, atol=1e-6, rtol=0)
    assert net[first].out_features == net[second].in_features == len(net[first].weight)
    if optimizer:
        old = twin[0][first].out_features
        train(net, optimizer, 1), train(*twin, 1)
        torch.testing.assert_close(
            net[first].weight[:old], twin[0][first].weight, atol=1e-6, rtol=0
        )
        torch.testing.assert_close(
            net[second].weight[:, :old], twin[0][second].weight, atol=1e-6, rtol=0
        )
        assert (
            train(net, optimizer, 200) < train(net, optimizer, 1) + 1
        )  # it trains on, with every tensor of the right shape
        for group in optimizer.param_groups:
            assert {id(p) for p in group["params"]} == {id(p) for p in net.parameters()}
            for p in group["params"]:
                assert all(
                    v.shape in (p.shape, ())
                    for v in optimizer.state[p].values()
                    if torch.is_tensor(v)
                )


def test_the_newborn_learn_and_step_no_further_than_the_learning_rate():
    """Adam's step for the newborn's outgoing weights, in learning rates, beside what zero-padded moments give."""
    steps = {}
    for padded in (False, True):
        net = model()
        optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
        train(net, optimizer, 2000)
        surgery.grow(net[0], net[3], 4, optimizer)
        if padded:  # what appending zeros to both moments would do
            optimizer.state[net[3].weight]["exp_avg_sq"][:, -4:] = 0
        largest = 0.0
        for _ in range(30):
            before = net[3].weight.detach().clone()
            train(net, optimizer, 1)
            largest = max(
                largest, (net[3].weight - before).detach()[:, -4:].abs().max().item() / 1e-3
            )
        steps[padded] = largest
    assert steps[True] > 5 and steps[False] < 3 and net[3].weight[:, -4:].abs().min() > 0, steps


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_shrinking_is_the_reverse_of_growing(kind):
    net = model()
    optimizer = OPTIMIZERS[kind] and OPTIMIZERS[kind](net.parameters())
    if optimizer:
        train(net, optimizer, 20)
    twin, twins = copy.deepcopy((net, optimizer))
    surgery.grow(net[0], net[3], 4, optimizer)
    assert surgery.shrink(net[0], net[3], 4, optimizer).tolist() == list(range(8))
    for p, q in zip(net.parameters(), twin.parameters(), strict=True):
        assert torch.equal(p, q)
        for key, value in (optimizer.state[p] if optimizer else {}).items():
            assert torch.equal(torch.as_tensor(value), torch.as_tensor(twins.state[q][key]))


def test_shrinking_takes_the_least_or_the_named():
    net = model()
    with torch.no_grad():
        net[3].weight[:, [1, 6]] = 0
    x = torch.randn(16, 3)
    before = net(x)
    assert surgery.shrink(net[0], net[3], 2).tolist() == [0, 2, 3, 4, 5, 7]
    torch.testing.assert_close(net(x), before, atol=1e-6, rtol=0)
    rows = net[0].weight.detach().clone()
    assert surgery.shrink(net[0], net[3], [0, 5]).tolist() == [1, 2, 3, 4]
    assert torch.equal(net[0].weight, rows[1:5])


def test_frozen_layers_stay_frozen():
    net = model()
    net[0].weight.requires_grad_(False)
    surgery.grow(net[0], net[3], 1)
    assert not net[0].weight.requires_grad and net[3].weight.requires_grad

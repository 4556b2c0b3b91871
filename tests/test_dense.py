"""`Run.dense`: a grown network as plain torch layers."""

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn

import growlib

X = np.random.default_rng(0).uniform(-1, 1, (40, 2))
HALF_OPEN = growlib.AuxiliaryWeight(start=2.4, target=2.4, frozen=True)
SPIRALS = growlib.task("spirals", points=300, classes=3)
# the task, the growth and further arguments of `fit`
CASES = {
    "auxiliary": ("bessel-j0", growlib.AuxiliaryWeight(coupling=10.0), {}),
    "half open": ("bessel-j0", HALF_OPEN, {}),
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
        SPIRALS,
        growlib.ControllerMask(mask="neuron", learns_from="loss"),
        {"width": 12, "lr": 0.01},
    ),
    "never started": ("bessel-j0", growlib.AuxiliaryWeight(coupling=0.0), {}),
}


def promised(run, x):
    """Return what `dense` promises to give, by `predict`: values, or logarithms of odds."""
    found = run.predict(x).astype(float)
    if run.task.loss == "squared":
        return found
    if run.task.loss == "logistic":
        return np.log(found / (1 - found))
    return centred(np.log(found))


def centred(scores):
    """Return the scores of classes less their mean; a softmax takes them only up to a constant."""
    return scores - scores.mean(-1, keepdims=True)


@pytest.mark.filterwarnings("ignore:coupling and start are 0")
@pytest.mark.parametrize("dtype, close", [("float32", 1e-6), ("float64", 1e-13)])
@pytest.mark.parametrize("case", CASES)
def test_the_plain_layers_give_what_the_network_gives(case, dtype, close):
    task, growth, options = CASES[case]
    run = growlib.fit(task, growth, trials=3, epochs=60, dtype=dtype, compiled=False, **options)
    x = X[:, : run.task.inputs]
    for trial, expected in enumerate(promised(run, x)):
        net = run.dense(trial)
        assert {type(layer) for layer in net} == {nn.Linear, nn.Tanh}
        found = net(torch.tensor(x, dtype=run.theta().dtype)).detach().double().numpy()
        if run.task.loss == "softmax":
            found = centred(found)
        scale = max(1, abs(expected).max())
        if run.task.classes:  # the logarithm of a rounded probability
            scale *= 4
        np.testing.assert_allclose(found, expected, atol=close * scale, rtol=0)


def test_the_plain_layers_have_the_active_neurons_only():
    run = growlib.fit("bessel-j0", HALF_OPEN, trials=2, epochs=1, compiled=False)
    assert [layer.out_features for layer in run.dense(1)[::2]] == [3, 1]
    half = growlib.ControllerMask(start=0.5, target=0.5, frozen=True, mask="neuron")
    run = growlib.fit("bessel-j0", half, trials=1, epochs=1, width=[8, 6], compiled=False)
    assert [layer.out_features for layer in run.dense()[::2]] == [4, 3, 1]


def test_the_plain_layers_are_saved_loaded_and_exported_without_growlib(tmp_path):
    growth = growlib.AuxiliaryWeight(coupling=10.0)
    run = growlib.fit("bessel-j0", growth, trials=1, epochs=60, compiled=False)
    net = run.dense()
    x = torch.linspace(-1, 1, 21)[:, None]
    neurons = net[0].out_features
    again = nn.Sequential(nn.Linear(1, neurons), nn.Tanh(), nn.Linear(neurons, 1))

    safetensors.torch.save_file(net.state_dict(), tmp_path / "net.safetensors")
    again.load_state_dict(safetensors.torch.load_file(tmp_path / "net.safetensors"))
    assert torch.equal(again(x), net(x))

    torch.save(net.state_dict(), tmp_path / "net.pt")
    again.load_state_dict(torch.load(tmp_path / "net.pt", weights_only=True))
    assert torch.equal(again(x), net(x))

    points = {0: torch.export.Dim("points", min=1, max=1000)}
    exported = torch.export.export(net, (x,), dynamic_shapes=(points,))
    torch.testing.assert_close(exported.module()(x[:7]), net(x[:7]), atol=1e-6, rtol=0)

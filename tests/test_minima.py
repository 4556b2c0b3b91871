"""Which minima networks found, and what their neurons do, on cases made by hand."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

import growlib
from growkit.derived import minima


def test_answers_that_are_alike_are_one_minimum_and_the_lowest_is_the_first():
    x = minima.X
    generator = np.random.default_rng(0)
    low = [np.sin(3 * x) + 0.0002 * generator.standard_normal(len(x)) for _ in range(30)]
    high = [np.sin(2 * x) + 0.0002 * generator.standard_normal(len(x)) for _ in range(69)]
    alone = [np.zeros_like(x)]
    lost = [np.full_like(x, np.nan)]
    answers = np.array(high + low + alone + lost)
    losses = np.array([0.5] * 69 + [0.1] * 30 + [0.01, np.nan])
    found = minima.minima(answers, losses)
    assert set(found[:69]) == {1}
    assert set(found[69:99]) == {0}
    assert found[99:].tolist() == [-1, -1]  # one network in a hundred, and one that diverged


def test_a_chain_of_answers_is_one_minimum():
    steps = np.arange(40) * 0.9 * minima.ALIKE
    answers = np.repeat(steps[:, None], len(minima.X), axis=1)
    assert set(minima.minima(answers, np.ones(40))) == {0}
    answers[20:] += minima.ALIKE
    assert len(set(minima.minima(answers, np.ones(40)))) == 2


def network(neurons):
    """Return a run of one network; a neuron is its bias, input weight and outgoing weight."""
    bias, weight, out = np.array(neurons, dtype=float).T
    growth = growlib.AuxiliaryWeight(start=5.0, target=float(len(neurons)), feeds=0.0)
    hidden = torch.tensor(np.stack([bias, 0 * bias, weight])[..., None])
    output = torch.tensor(np.append(0.0, out)[:, None, None])
    theta = growlib.pack(torch.tensor([float(len(neurons))]), [hidden, output])
    return SimpleNamespace(
        settings={"width": len(neurons)}, growth=growth, theta=lambda epoch=None: theta
    )


@pytest.mark.parametrize(
    "neurons, idle, saturated, doubled",
    [
        ([(0, 1, 1), (1.5, 3, 1), (-1.5, 3, 1)], 0, 0, 0),
        ([(0, 1, 1), (0.5, 2, 0.001), (3, 0, 1)], 2, 0, 0),
        ([(0, 200, 1), (0, 1, 1)], 0, 1, 0),
        ([(0.2, 2, 1), (0.2, 2.01, -3), (1, -1, 1)], 0, 0, 1),
        ([(0.2, 2, 1), (-0.2, -2.01, 3), (0.2, 2.02, 1)], 0, 0, 2),
        ([(0.2, 2, 1), (0.2, 2.01, 0.001)], 1, 0, 0),
    ],
)
def test_neurons_are_idle_saturated_or_doubled(neurons, idle, saturated, doubled):
    found = minima.neurons(network(neurons))
    assert {name: counts.tolist() for name, counts in found.items()} == {
        "idle": [idle],
        "saturated": [saturated],
        "doubled": [doubled],
    }


def test_the_networks_of_all_arms_are_counted_once():
    options = {"trials": 12, "epochs": 50, "width": 5, "lr": 0.01, "optimizer": "adam"}
    arms = growlib.arms(feeds=0.0)
    runs = {
        name: growlib.fit("bessel-sum", arms[name], **options) for name in ("growing", "static")
    }
    found = minima.of_runs(runs)
    assert found.groupby("arm")["networks"].sum().to_dict() == {"growing": 12, "static": 12}
    assert found["minimum"].min() >= -1
    assert not found.duplicated(["arm", "minimum"]).any()

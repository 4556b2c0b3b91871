"""Blocks of networks with given weights and data, and steps of their training in each way.

`fit` draws weights and data, and takes many steps. Tests that look at one step take it here.
"""

from dataclasses import replace
from unittest import mock

import numpy as np
import torch

import growlib

# By autograd; by loops whose lanes are networks; by loops whose lanes are points.
WAYS = ("autograd", "networks", "points")


def block_of(growth, x, y, loss="squared", widths=(9,), outputs=1, **changed):
    """Return a block of networks that train on x (I, P, T) and y (P, T) at a rate of 1.

    `changed` settings are fields of `Settings`.
    """
    inputs, points, count = x.shape

    def sample(generator, number):
        return np.zeros((inputs, number)), np.zeros(number)

    settings = {
        "trials": np.arange(count),
        "epochs": [1],
        "lr": np.array(1.0),
        "widths": list(widths),
        "seed": 0,
        "optimizer": "gd",
        "schedule": "constant",
        "counts": "network",
        "batch": None,
        "dtype": "float64",
        "log_every": 1,
        "data_seed": np.arange(count),
        "device": "cpu",
        "keep_weights": False,
        "output_scale": 1.0,
        "newborn_scale": 1.0,
        "prune_at": [],
        "control": "none",
    }
    settings = growlib.Settings(**settings | changed)
    task = growlib.Task("given", sample, loss, points + 1, 1, inputs, outputs)
    stop = np.zeros(1, np.uint8)
    block = growlib._block(task, growth, settings, np.arange(count), 1, stop)
    x = torch.as_tensor(x).to(block.dtype)
    y = torch.as_tensor(y).to(block.dtype)
    # the last point is the test point, which nothing depends on
    return replace(block, x=torch.cat([x, x[:, :1]], 1), y=torch.cat([y, y[:1]]))


def state_of(theta, neurons=0, **changed):
    """Return networks theta (rows, T) in float64 before the first step; `changed` are its parts.

    The steps of so many neurons are counted.
    """
    state = growlib.State(
        theta=theta,
        mean=torch.zeros_like(theta),
        square=torch.zeros_like(theta),
        decay=torch.ones_like(theta[:2]),
        own=theta.new_ones(2, neurons, theta.shape[1]),
        used=torch.zeros_like(theta[0]),
        spent=torch.zeros_like(theta[0]),
        computed=0,
    )
    return state._replace(**changed)


def advanced(way, block, state, epochs=1):
    """Return the state after some epochs, computed in one of the `WAYS`."""
    count = len(block.places)
    if way == "autograd":
        return growlib._Autograd(block).advance(state, 0, epochs)
    if way == "networks":
        lanes = np.arange(count + -count % growlib._Loops.multiple)
        lanes = lanes.clip(max=count - 1)  # full vectors, as in `fit`
        filled = growlib._Loops(networks_of(block, lanes))
        return state_at(filled.advance(state_at(state, lanes), 0, epochs), range(count))

    after = []
    with mock.patch.object(growlib, "MANY_POINTS", 1):
        for k in range(count):
            one = growlib._Loops(networks_of(block, [k]))
            after.append(one.advance(state_at(state, [k]), 0, epochs))
    parts = [torch.cat(parts, -1) for parts in list(zip(*after, strict=True))[:-1]]
    return growlib.State(*parts, max(each.computed for each in after))


def networks_of(block, places):
    """Return the block of its networks at these places."""
    return replace(
        block,
        places=block.places[places],
        count=len(places),
        x=block.x[..., places],
        y=block.y[..., places],
        forces=growlib.Forces(*(force[places] for force in block.forces)),
    )


def state_at(state, places):
    """Return the state of the networks at these places."""
    return growlib.State(*(part[..., list(places)] for part in state[:-1]), state.computed)


def gradient_of(way, block, theta):
    """Return the gradient of the loss of a block, (rows, T).

    It is what plain gradient descent takes off the weights in one step at a rate of 1.
    """
    return theta - advanced(way, block, state_of(theta)).theta


# ----------------------------------------------------------------- fits for a process of their own


def weights_of_small_fits(dtype, few_alone=False):
    """Return the weights of some very short fits by loops, by name, in a precision.

    They are so small that the loops can run without being compiled. With `few_alone` networks train
    side by side in all of them, so that only half of the loops are needed.
    """
    auxiliary = growlib.AuxiliaryWeight(start=1.2, target=3.0, coupling=1.0)
    last_first = replace(auxiliary, mask="reversed", forgets=True)
    neuron = growlib.ControllerMask(mask="neuron", learns_from="loss", start=0.4)
    on_rate = growlib.ControllerMask(opens="rate", start=0.4)
    tasks = {
        "squared": growlib.task("cubic-1", points=5, test_points=1),
        "logistic": growlib.task("square-wave", points=5, test_points=1),
        "softmax": growlib.task("spirals", points=30, classes=3),
    }
    fits = {}
    for loss, task in tasks.items():
        for growth in (auxiliary, last_first, neuron, on_rate):
            fits[f"{loss}, {growth}"] = (task, growth, {"epochs": 3})
    fits["batch"] = (tasks["squared"], auxiliary, {"epochs": 2, "batch": 3})
    if not few_alone:
        many = growlib.task("bessel-grid", points=1250)
        fits["many"] = (many, auxiliary, {"epochs": 2})
        fits["many in batches"] = (many, neuron, {"epochs": 1, "batch": 600})
        many = growlib.task("spirals", points=1260, classes=3)
        fits["many spirals"] = (many, last_first, {"epochs": 2})

    weights = {}
    for name, (task, growth, options) in fits.items():
        for optimizer in ("gd", "adam"):
            options |= {"trials": 2, "width": 3, "lr": 0.01, "dtype": dtype, "seed": 1}
            run = growlib.fit(task, growth, optimizer=optimizer, **options)
            weights[f"{name}, {optimizer}"] = run.weights
    return weights

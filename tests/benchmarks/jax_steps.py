"""Measure how fast JAX trains the same ensemble of networks; bench.py starts this script.

    python jax_steps.py TRIALS EPOCHS

Each line of standard input is a layout, "first" or "last": the axis that the ensemble has in every
array. The answer is a line with the rate in trial-steps a second. The script needs jax and imports
nothing from this project.
"""

import functools
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp

WIDTH = 9  # neurons
POINTS = 32
LEARNING_RATE = 1e-3
COUPLING = 0.1
TARGET = 5.0  # neurons
AXES = {"first": 0, "last": -1}


def loss(network, x, y):
    """Return the loss of one network on its points, x and y (P,)."""
    size = network["size"]
    gate = jnp.sin(jnp.pi / 2 * jnp.clip(size - jnp.arange(WIDTH), 0, 1)) ** 2  # (H,)
    bias = network["b"] + network["u"] * size  # (H,)
    activity = jnp.tanh(bias[:, None] + network["w"][:, None] * x)  # (H, P)
    y_hat = network["c"] + ((network["v"] * gate)[:, None] * activity).sum(0)  # (P,)
    return ((y_hat - y) ** 2).mean() + COUPLING * (size - TARGET) ** 2


@dataclass
class Ensemble:
    """Networks, their points, and the compiled loop that trains them."""

    networks: dict
    x: jax.Array
    y: jax.Array
    train: Callable

    def seconds_of_training(self) -> float:
        """Train the networks further and return how long it took."""
        jax.block_until_ready((self.networks, self.x, self.y))
        began = time.perf_counter()
        self.networks = jax.block_until_ready(self.train(self.networks, self.x, self.y))
        return time.perf_counter() - began


def new_ensemble(trials: int, epochs: int, axis: int) -> Ensemble:
    """Return networks with random weights, with the ensemble on this axis of every array."""

    def shape(count):
        return (trials, count) if axis == 0 else (count, trials)

    keys = jax.random.split(jax.random.key(0), 5)
    networks = {
        name: jax.random.uniform(key, shape(WIDTH), minval=-1, maxval=1)
        for name, key in zip("buwv", keys[:4], strict=True)
    }
    networks |= {"c": jnp.zeros(trials), "size": jnp.zeros(trials)}
    x = jax.random.uniform(keys[4], shape(POINTS), minval=-1, maxval=1)
    gradient = jax.vmap(jax.grad(loss), in_axes=axis, out_axes=axis)

    @functools.partial(jax.jit, donate_argnums=0)
    def train(networks, x, y):
        def step(_, networks):
            slopes = gradient(networks, x, y)
            return jax.tree.map(lambda w, slope: w - LEARNING_RATE * slope, networks, slopes)

        return jax.lax.fori_loop(0, epochs, step, networks)

    return Ensemble(networks, x, jnp.cos(2 * x), train)


def main() -> None:
    """Answer every line of standard input with a rate."""
    trials, epochs = map(int, sys.argv[1:])
    ensembles = {}
    for line in sys.stdin:
        layout = line.strip()
        if layout not in ensembles:
            ensembles[layout] = new_ensemble(trials, epochs, AXES[layout])
        print(trials * epochs / ensembles[layout].seconds_of_training(), flush=True)


if __name__ == "__main__":
    main()

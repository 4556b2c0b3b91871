"""The same ensemble in JAX: reads a layout from every line, "first" or "last", and answers with trial-steps a second.

python jax_steps.py TRIALS EPOCHS
"""

import functools
import sys
import time

import jax
import jax.numpy as jnp

TRIALS, EPOCHS = map(int, sys.argv[1:])
H, POINTS, LR, COUPLING, TARGET = 9, 32, 1e-3, 0.1, 5.0


def loss(p, x, y):
    """The loss of one network, x and y (P,)."""
    gate = jnp.sin(jnp.pi / 2 * jnp.clip(p["size"] - jnp.arange(H), 0, 1)) ** 2
    a = jnp.tanh((p["b"] + p["u"] * p["size"])[:, None] + p["w"][:, None] * x)  # (H, P)
    y_hat = p["c"] + ((p["v"] * gate)[:, None] * a).sum(0)
    return ((y_hat - y) ** 2).mean() + COUPLING * (p["size"] - TARGET) ** 2


def ensemble(axis):
    """The first weights and the points, with the ensemble on that axis, and the compiled loop."""

    def shape(count):
        return (TRIALS, count) if axis == 0 else (count, TRIALS)

    keys = jax.random.split(jax.random.key(0), 5)
    p = {
        name: jax.random.uniform(key, shape(H), minval=-1, maxval=1)
        for name, key in zip("buwv", keys, strict=False)
    }
    p |= {"c": jnp.zeros(TRIALS), "size": jnp.zeros(TRIALS)}
    x = jax.random.uniform(keys[4], shape(POINTS), minval=-1, maxval=1)
    slopes = jax.vmap(jax.grad(loss), in_axes=axis, out_axes=axis)

    @functools.partial(jax.jit, donate_argnums=0)
    def train(p, x, y):
        return jax.lax.fori_loop(
            0, EPOCHS, lambda _, p: jax.tree.map(lambda w, g: w - LR * g, p, slopes(p, x, y)), p
        )

    return p, x, jnp.cos(2 * x), train


ways = {}
for line in sys.stdin:
    layout = line.strip()
    if layout not in ways:
        ways[layout] = ensemble({"first": 0, "last": -1}[layout])
    p, x, y, train = jax.block_until_ready(ways[layout][:3]) + ways[layout][3:]
    began = time.perf_counter()
    p = jax.block_until_ready(train(p, x, y))
    print(TRIALS * EPOCHS / (time.perf_counter() - began), flush=True)
    ways[layout] = p, x, y, train

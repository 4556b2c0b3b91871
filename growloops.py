"""The training of networks with one hidden layer as plain loops, which numba compiles.

`outputs`, `task_loss` and `size_loss` in growlib.py define what a network computes. The loops here
compute the gradient of that loss and the steps along it. `growlib.fit` uses them wherever they
apply, and growlib alone imports this module.

Lanes are the innermost axis of every array and the innermost loop, so that the processor works on
16 of them at once. Where a data set is small, the lanes are networks, and each network has points
of its own. Where it is large, each network trains alone: its weights and gates have one lane, and
the lanes of the workspace are points.

    H neurons, I inputs, O outputs, P points, L lanes
    size      (L,)           the size of each network
    hidden    (2 + I, H, L)  biases b, weights u from the size, weights w from the inputs
    output    (1 + H, O, L)  biases c, weights v from the neurons
    gate      (H, L)         what multiplies the neurons
    slope     (H, L)         its derivative with respect to the size

Weights are kept in float64 and rounded to the precision of the training for each pass. So steps
smaller than the rounding of float32 are not lost.
"""

import contextlib
import math
import threading
from pathlib import Path
from typing import NamedTuple

import filelock
import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload

# error_model: a division by zero gives infinity; numba's default checks every division, and a loop
# with such a check is not vectorised. contract: a product and a sum may become one instruction.
# Nothing else is allowed, so that sums keep their order. In ab + cd either product could be the one
# that is not rounded, and full vectors could differ from others in this: so no line has such a sum.
_OPTIONS = {"error_model": "numpy", "fastmath": {"contract"}}
_compiled = numba.njit(nogil=True, **_OPTIONS)

# A sum over lanes is vectorised only if its terms may be added in another order, which is the same
# each time. This holds for two functions that do nothing else.
_sums_lanes = numba.njit(nogil=True, error_model="numpy", fastmath={"contract", "reassoc", "nsz"})

TILE = 512  # points that one network computes at a time


def _kept_on_disk(function):
    """Compile the function and keep the result on disk, if there is a place for it."""
    try:
        return numba.njit(nogil=True, cache=True, **_OPTIONS)(function)
    except RuntimeError:  # neither the folder of this file nor the user's cache can be written
        return _compiled(function)


# ----------------------------------------------------------------------------- elementary functions
# numba takes tanh, exp and sin from the C library, one number at a time. These are vectorised: they
# are rational functions and polynomials without a branch. In compiled code `tanh` is one of the two
# functions below it, by the precision of its argument, and so is `exp`.


def tanh(z):
    """Return tanh(z)."""
    return math.tanh(z)


@overload(tanh, jit_options=_OPTIONS)
def _tanh(z):
    if z == types.float32:
        return _tanh_single
    return _tanh_double


def _tanh_single(z):
    """A rational function on |z| < 7.9, outside of which tanh is 1 in float32.

    The coefficients are those of Eigen's tanh for float (Eigen/src/Core/MathFunctionsImpl.h).
    """
    bound = np.float32(7.90531110763549805)
    z = min(max(z, -bound), bound)
    t = z * z
    above = np.float32(-2.76076847742355e-16)
    above = above * t + np.float32(2.00018790482477e-13)
    above = above * t + np.float32(-8.60467152213735e-11)
    above = above * t + np.float32(5.12229709037114e-08)
    above = above * t + np.float32(1.48572235717979e-05)
    above = above * t + np.float32(6.37261928875436e-04)
    above = above * t + np.float32(4.89352455891786e-03)
    below = np.float32(1.19825839466702e-06)
    below = below * t + np.float32(1.18534705686654e-04)
    below = below * t + np.float32(2.26843463243900e-03)
    below = below * t + np.float32(4.89352518554385e-03)
    return z * above / below


def _tanh_double(z):
    # 1 - 2 / (e^2z + 1) loses nothing that matters: its error is 2e-16, not 2e-16 of tanh(z)
    bound = 20.0
    z = min(max(z, -bound), bound)
    return 1.0 - 2.0 / (exp(2.0 * z) + 1.0)


def exp(x):
    """Return e**x for x from -87 to 87."""
    return math.exp(x)


@overload(exp, jit_options=_OPTIONS)
def _exp(x):
    if x == types.float32:
        return _exp_single
    return _exp_double


def _exp_double(x):
    """2**k × e**r with a whole number k and |r| < 0.35."""
    k = math.floor(x * 1.4426950408889634 + 0.5)
    r = x - k * 0.693147180369123816490
    r = r - k * 1.90821492927058770002e-10
    p = 1.0 / 6227020800.0
    p = p * r + 1.0 / 479001600.0
    p = p * r + 1.0 / 39916800.0
    p = p * r + 1.0 / 3628800.0
    p = p * r + 1.0 / 362880.0
    p = p * r + 1.0 / 40320.0
    p = p * r + 1.0 / 5040.0
    p = p * r + 1.0 / 720.0
    p = p * r + 1.0 / 120.0
    p = p * r + 1.0 / 24.0
    p = p * r + 1.0 / 6.0
    p = p * r + 0.5
    p = p * r + 1.0
    p = p * r + 1.0
    return p * _double_from_bits((np.int64(k) + 1023) << 52)


def _exp_single(x):
    k = np.floor(x * np.float32(1.44269504) + np.float32(0.5))
    r = x - k * np.float32(0.693359375)
    r = r - k * np.float32(-2.12194440e-4)
    p = np.float32(1.0 / 5040.0)
    p = p * r + np.float32(1.0 / 720.0)
    p = p * r + np.float32(1.0 / 120.0)
    p = p * r + np.float32(1.0 / 24.0)
    p = p * r + np.float32(1.0 / 6.0)
    p = p * r + np.float32(0.5)
    p = p * r + np.float32(1.0)
    p = p * r + np.float32(1.0)
    return p * _single_from_bits((np.int32(k) + np.int32(127)) << np.int32(23))


@intrinsic
def _double_from_bits(typing_context, bits):
    def codegen(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], ir.DoubleType())

    return types.float64(types.int64), codegen


@intrinsic
def _single_from_bits(typing_context, bits):
    def codegen(context, builder, signature, arguments):
        word = builder.trunc(arguments[0], ir.IntType(32))
        return builder.bitcast(word, ir.FloatType())

    return types.float32(types.int64), codegen


@_compiled
def sine(r):
    """Return sin(πr/2) for r from -1 to 1."""
    x = r * 1.5707963267948966
    t = x * x
    p = -1.0 / 121645100408832000.0
    p = p * t + 1.0 / 355687428096000.0
    p = p * t - 1.0 / 1307674368000.0
    p = p * t + 1.0 / 6227020800.0
    p = p * t - 1.0 / 39916800.0
    p = p * t + 1.0 / 362880.0
    p = p * t - 1.0 / 5040.0
    p = p * t + 1.0 / 120.0
    p = p * t - 1.0 / 6.0
    p = p * t + 1.0
    return x * p


# ------------------------------------------------------------------------- what the loops work with

# In the loops a name is a number: its place in one of these lists.
LOSSES = ("squared", "logistic", "softmax")
MASKS = (
    ("AuxiliaryWeight", "staircase"),
    ("AuxiliaryWeight", "reversed"),
    ("AuxiliaryWeight", "shared"),
    ("ControllerMask", "shared"),
    ("ControllerMask", "neuron"),
    ("AuxiliaryWeight", "steps"),
    ("AuxiliaryWeight", "exponential"),
)
OPENS = ("neurons", "rate", "nothing", "training")
OPTIMIZERS = ("gd", "adam", "momentum")
FORGETS = (False, True, "neuron")
SQUARED, LOGISTIC, SOFTMAX = range(3)
STAIRCASE, REVERSED, WHOLE_LAYER, SHARED, NEURON, STEPS, EXPONENTIAL = range(7)
NEURONS, RATE, NOTHING, TRAINING = range(4)
GD, ADAM, MOMENTUM = range(3)
NEVER, AT_TARGET, BY_NEURON = range(3)


class Kind(NamedTuple):
    """What all networks have in common; `growlib.Growth` says more about each."""

    loss: int  # one of LOSSES
    mask: int  # one of MASKS
    opens: int  # what the gates act on, one of OPENS
    feeds: float  # the size enters the neurons as feeds × size
    optimizer: int  # one of OPTIMIZERS
    forgets: int  # when moments are set back to 0, one of FORGETS
    counts: bool  # whether Adam counts the steps of each neuron, from its first gradient
    rests: bool  # whether the hidden layer has no gradient


class Forces(NamedTuple):
    """What moves the networks, (L,) each, in float64."""

    lr: np.ndarray
    target: np.ndarray
    coupling: np.ndarray
    moves: np.ndarray  # factor on the learning rate of the size; 0 if it is frozen
    heeds: np.ndarray  # 1 if the task loss moves the size, 0 if the size loss alone does


class Weights(NamedTuple):
    """The weights of the networks, or one number for each of them."""

    size: np.ndarray  # (L,)
    hidden: np.ndarray  # (2 + I, H, L)
    output: np.ndarray  # (1 + H, O, L)


class State(NamedTuple):
    """Networks in training: the parts of growlib's `State` as named arrays."""

    weights: Weights  # in float64
    rounded: Weights  # in the precision of the training, like the next two
    mean: Weights  # Adam's mean of the gradients, or the sum that is the momentum
    square: Weights  # Adam's mean of their squares
    decay: np.ndarray  # (2, L), 0.9**t and 0.999**t after t steps of Adam
    own: np.ndarray  # (2, H, L), the same for each neuron, if its steps are counted
    used: np.ndarray  # (L,), neurons with a gate above 0.001, summed over the steps


class Points(NamedTuple):
    """The training points, and the order in which they are taken."""

    x: np.ndarray  # (I, P, L); (I, P) where the lanes are points
    y: np.ndarray  # (P, L); (P,) where the lanes are points
    orders: np.ndarray  # (epochs, P), a row for each epoch; (1, P) if they are all alike
    batch: int  # points in a step
    scales: np.ndarray  # (epochs,), factors on the learning rates; (1,) if they are all alike


class Gates(NamedTuple):
    """The gates that belong to a size."""

    gate: np.ndarray  # (H, L), in the precision of the training
    slope: np.ndarray  # (H, L)
    mean: np.ndarray  # (L,), in float64, the mean over the neurons
    shut: np.ndarray  # (H, L), whether the gate is shut, whatever it acts on
    # (2,): the neurons from reach[0] to before reach[1] are computed and moved; (H, 0) is none.
    # Outside, all gates are shut and Adam's moments are 0, so nothing would change, and the
    # gradient is left as it is. `Loops.advance` sets it, `open_gates` only extends it.
    reach: np.ndarray


class Workspace(NamedTuple):
    """Arrays for what one step needs in between. The lanes are n networks, or n points."""

    gradient: Weights  # in the precision of the training
    base: np.ndarray  # (H, n), bias and input from the size
    a: np.ndarray  # (H, n), tanh
    y_hat: np.ndarray  # (O, n), outputs; after `_loss_slope` the loss's derivatives by them
    z: np.ndarray  # (n,), the argument of tanh; on the way back the derivative by it
    # (4, weights that are moved at once), in float64: the learning rates of the weights and of the
    # size, and Adam's 1 / (1 - 0.9**t) and 1 / (1 - 0.999**t)
    factors: np.ndarray
    own: np.ndarray  # (2, H, L), in float64, the last two for each neuron
    was_shut: np.ndarray  # (H, L), whether its gate was shut before the step


# -------------------------------------------------------------------------------------------- gates


@_compiled
def open_gates(gates, size, kind):
    """Compute the gates for sizes (L,) in float64, and extend the reach to those that are open."""
    width, lanes = gates.gate.shape
    gates.mean[:] = 0
    if kind.mask == EXPONENTIAL:
        _open_exponentially(gates, size)
    for h in range(width):
        gate = gates.gate[h]
        slope = gates.slope[h]
        before = h  # neurons that open earlier
        if kind.mask == REVERSED:
            before = width - 1 - h
        for j in range(lanes):
            value = 0.0
            rise = 0.0
            if kind.mask == STAIRCASE or kind.mask == REVERSED:
                value, rise = _stair(size[j] - before)
            elif kind.mask == STEPS:
                value = 1.0 if size[j] > before else 0.0
            elif kind.mask == EXPONENTIAL:
                value = float(gate[j])
                rise = float(slope[j])
            elif kind.mask == WHOLE_LAYER:
                value, rise = _stair(size[j] / width)
                rise /= width
            else:
                value, rise = _wave(size[j])
                if kind.mask == NEURON:
                    open_part = width * value - before
                    value = min(max(open_part, 0.0), 1.0)
                    rise = width * rise if 0.0 < open_part < 1.0 else 0.0
            gate[j] = value
            slope[j] = rise
            gates.shut[h, j] = value <= 0.0
            gates.mean[j] += value
    for j in range(lanes):
        gates.mean[j] /= width

    # Where the gates act on something else, they are taken out here, behind their mean.
    if kind.opens != NEURONS:
        gates.gate[:] = 1
        gates.slope[:] = 0
    for h in range(width):
        is_open = False
        for j in range(lanes):
            is_open |= gates.gate[h, j] > 0
        if is_open:
            gates.reach[0] = min(gates.reach[0], h)
            gates.reach[1] = max(gates.reach[1], h + 1)


@_compiled
def _open_exponentially(gates, rate):
    """Compute gates that fall as exp(-νh), and their slopes, for rates ν (L,); they add up to 1."""
    width, lanes = gates.gate.shape
    last = -math.log(1.0 - 0.9)
    for j in range(lanes):
        nu = max(rate[j], 0.0)
        count = min(width, math.ceil(last / max(rate[j], last / width)))  # rounding may exceed it
        total = 0.0
        moment = 0.0
        for h in range(count):
            total += exp(-nu * h)
            moment += h * exp(-nu * h)
        for h in range(width):
            value = exp(-nu * h) / total if h < count else 0.0
            gates.gate[h, j] = value
            gates.slope[h, j] = value * (moment / total - h) if rate[j] > 0.0 else 0.0


@_compiled
def _stair(n):
    """Return sin²(πn/2) and its derivative on the step from 0 to 1; 0 below and 1 above it."""
    t = min(max(n, 0.0), 1.0)
    rising = sine(t)
    value = rising * rising if n < 1.0 else 1.0
    return value, math.pi * rising * sine(1.0 - t)


@_compiled
def _wave(s):
    """Return sin²(πs/2) and its derivative."""
    r = s - 2.0 * math.floor(0.5 * s + 0.5)  # -1 ... 1
    rising = sine(r)
    return rising * rising, math.pi * rising * sine(1.0 - abs(r))


# ----------------------------------------------------------------------------------------- gradient


@_compiled
def _prepare_networks(w, gates, feeds, work):
    """Compute what the inputs of the neurons have in common at all points, in work.base."""
    for h in range(gates.reach[0], gates.reach[1]):
        for j in range(len(w.size)):
            work.base[h, j] = w.hidden[0, h, j] + w.hidden[1, h, j] * (feeds * w.size[j])


@_compiled
def _answer_of_networks(w, gates, x, p, work):
    """Compute the networks' outputs at point p, in work.y_hat; lanes are networks, x (I, P, L)."""
    base = work.base
    a = work.a
    y_hat = work.y_hat
    z = work.z
    gate = gates.gate
    inputs = len(x)
    outs = len(y_hat)
    lanes = len(w.size)

    for o in range(outs):
        for j in range(lanes):
            y_hat[o, j] = w.output[0, o, j]
    for h in range(gates.reach[0], gates.reach[1]):
        if inputs == 1:
            for j in range(lanes):
                a[h, j] = tanh(base[h, j] + w.hidden[2, h, j] * x[0, p, j])
        else:
            for j in range(lanes):
                z[j] = base[h, j] + w.hidden[2, h, j] * x[0, p, j]
            for i in range(1, inputs):
                for j in range(lanes):
                    z[j] += w.hidden[2 + i, h, j] * x[i, p, j]
            for j in range(lanes):
                a[h, j] = tanh(z[j])
        for o in range(outs):
            for j in range(lanes):
                y_hat[o, j] += w.output[1 + h, o, j] * gate[h, j] * a[h, j]


@_compiled
def gradient_of_networks(w, gates, kind, x, y, chosen, work):
    """Compute the gradient of the task loss; lanes are networks, x (I, P, L) and y (P, L).

    `chosen` names the points that count, each equally.
    """
    g = work.gradient
    a = work.a
    y_hat = work.y_hat
    z = work.z
    gate = gates.gate
    first = gates.reach[0]
    last = gates.reach[1]
    inputs = x.shape[0]
    outs = w.output.shape[1]
    lanes = len(w.size)
    number = x.dtype.type
    one = number(1)
    feeds = number(kind.feeds)
    share = number(1.0 / len(chosen))

    g.size[:] = 0
    g.output[0] = 0
    for h in range(first, last):
        for i in range(2 + inputs):
            g.hidden[i, h] = 0
        g.output[1 + h] = 0

    _prepare_networks(w, gates, feeds, work)
    for p in chosen:
        _answer_of_networks(w, gates, x, p, work)
        _loss_slope(y_hat, y[p], lanes, kind.loss, share, z)
        for o in range(outs):
            for j in range(lanes):
                g.output[0, o, j] += y_hat[o, j]
        for h in range(first, last):
            for j in range(lanes):
                z[j] = w.output[1 + h, 0, j] * y_hat[0, j]
            for o in range(1, outs):
                for j in range(lanes):
                    z[j] += w.output[1 + h, o, j] * y_hat[o, j]
            for j in range(lanes):
                z[j] *= gate[h, j] * (one - a[h, j] * a[h, j])
                g.hidden[0, h, j] += z[j]
            for i in range(inputs):
                for j in range(lanes):
                    g.hidden[2 + i, h, j] += z[j] * x[i, p, j]
            for o in range(outs):
                for j in range(lanes):
                    g.output[1 + h, o, j] += y_hat[o, j] * a[h, j]

    _finish_gradient(g, w, gates, feeds)


@_compiled
def _answer_of_points(w, gates, feeds, x, lanes, work):
    """Compute one network's outputs at a tile of points x (I, TILE), in work.y_hat."""
    a = work.a
    y_hat = work.y_hat
    z = work.z
    inputs = len(x)
    outs = len(y_hat)

    for o in range(outs):
        bias = w.output[0, o, 0]
        for j in range(lanes):
            y_hat[o, j] = bias
    for h in range(gates.reach[0], gates.reach[1]):
        base = w.hidden[0, h, 0] + w.hidden[1, h, 0] * (feeds * w.size[0])
        weight = w.hidden[2, h, 0]
        if inputs == 1:
            for j in range(lanes):
                a[h, j] = tanh(base + weight * x[0, j])
        else:
            for j in range(lanes):
                z[j] = base + weight * x[0, j]
            # Four inputs in one pass, so that z is read and written less often.
            fours = (inputs - 2) // 4
            for i in range(1, 1 + 4 * fours, 4):
                first = w.hidden[2 + i, h, 0]
                second = w.hidden[3 + i, h, 0]
                third = w.hidden[4 + i, h, 0]
                fourth = w.hidden[5 + i, h, 0]
                for j in range(lanes):
                    total = z[j] + first * x[i, j]
                    total += second * x[i + 1, j]
                    total += third * x[i + 2, j]
                    z[j] = total + fourth * x[i + 3, j]
            for i in range(1 + 4 * fours, inputs - 1):
                weight = w.hidden[2 + i, h, 0]
                for j in range(lanes):
                    z[j] += weight * x[i, j]
            weight = w.hidden[1 + inputs, h, 0]
            for j in range(lanes):
                a[h, j] = tanh(z[j] + weight * x[inputs - 1, j])
        for o in range(outs):
            weight = w.output[1 + h, o, 0] * gates.gate[h, 0]
            for j in range(lanes):
                y_hat[o, j] += weight * a[h, j]


@_compiled
def gradient_of_points(w, gates, kind, x, y, count, work):
    """Compute the gradient of the task loss of one network; the lanes are points.

    The points come in tiles, x (tiles, I, TILE) and y (tiles, TILE). The first `count` count.
    """
    g = work.gradient
    a = work.a
    y_hat = work.y_hat
    z = work.z
    first = gates.reach[0]
    last = gates.reach[1]
    tiles, inputs, tile = x.shape
    outs = w.output.shape[1]
    number = x.dtype.type
    one = number(1)
    feeds = number(kind.feeds)
    share = number(1.0 / count)

    g.size[:] = 0
    g.output[:] = 0
    for h in range(first, last):
        for i in range(2 + inputs):
            g.hidden[i, h] = 0

    for t in range(tiles):
        lanes = min(tile, count - t * tile)
        _answer_of_points(w, gates, feeds, x[t], lanes, work)
        _loss_slope(y_hat, y[t], lanes, kind.loss, share, z)
        for o in range(outs):
            g.output[0, o, 0] += _sum(y_hat[o], lanes)
        for h in range(first, last):
            gate = gates.gate[h, 0]
            weight = w.output[1 + h, 0, 0] * gate
            for j in range(lanes):
                z[j] = weight * y_hat[0, j]
            for o in range(1, outs):
                weight = w.output[1 + h, o, 0] * gate
                for j in range(lanes):
                    z[j] += weight * y_hat[o, j]
            for j in range(lanes):
                z[j] *= one - a[h, j] * a[h, j]
            g.hidden[0, h, 0] += _sum(z, lanes)
            for i in range(inputs):
                g.hidden[2 + i, h, 0] += _dot(z, x[t, i], lanes)
            for o in range(outs):
                g.output[1 + h, o, 0] += _dot(y_hat[o], a[h], lanes)

    _finish_gradient(g, w, gates, feeds)


@_compiled
def _loss_slope(y_hat, y, lanes, loss, share, sums):
    """Replace outputs (O, L) by the derivatives of the task loss with respect to them."""
    outs = len(y_hat)
    number = y_hat.dtype.type
    if loss == SQUARED:
        twice = number(2) * share
        for j in range(lanes):
            y_hat[0, j] = twice * (y_hat[0, j] - y[j])
    elif loss == LOGISTIC:
        half = number(0.5)
        for j in range(lanes):
            probability = half + half * tanh(half * y_hat[0, j])
            y_hat[0, j] = share * (probability - y[j])
    else:
        lowest = number(-80)
        for j in range(lanes):
            sums[j] = y_hat[0, j]
        for o in range(1, outs):
            for j in range(lanes):
                sums[j] = max(sums[j], y_hat[o, j])
        for o in range(outs):
            for j in range(lanes):
                y_hat[o, j] = exp(max(y_hat[o, j] - sums[j], lowest))
        for j in range(lanes):
            sums[j] = y_hat[0, j]
        for o in range(1, outs):
            for j in range(lanes):
                sums[j] += y_hat[o, j]
        for j in range(lanes):
            sums[j] = share / sums[j]
        for o in range(outs):
            this_class = number(o)
            for j in range(lanes):
                hit = share if y[j] == this_class else number(0)
                y_hat[o, j] = y_hat[o, j] * sums[j] - hit


@_compiled
def _finish_gradient(g, w, gates, feeds):
    """Complete the gradient by what is the same at every point: the gates, and the size.

    So far g.output holds the sum over the points without the gate.
    """
    outs = w.output.shape[1]
    lanes = len(w.size)
    for h in range(gates.reach[0], gates.reach[1]):
        for o in range(outs):
            for j in range(lanes):
                g.size[j] += gates.slope[h, j] * w.output[1 + h, o, j] * g.output[1 + h, o, j]
                g.output[1 + h, o, j] *= gates.gate[h, j]
        for j in range(lanes):
            g.size[j] += feeds * w.hidden[1, h, j] * g.hidden[0, h, j]
            g.hidden[1, h, j] = feeds * w.size[j] * g.hidden[0, h, j]


@_sums_lanes
def _dot(a, b, lanes):
    """Return Σ ab."""
    total = a.dtype.type(0)
    for j in range(lanes):
        total += a[j] * b[j]
    return total


@_sums_lanes
def _sum(a, lanes):
    """Return Σ a."""
    total = a.dtype.type(0)
    for j in range(lanes):
        total += a[j]
    return total


# --------------------------------------------------------------------------------------------- step


@_compiled
def step(state, gates, kind, forces, scale, work):
    """Move the networks by one step along the gradient of the task loss and of the size loss.

    All learning rates are multiplied by `scale`.
    """
    g = work.gradient
    factors = work.factors
    size = state.weights.size
    lanes = len(size)

    before = size.copy()
    for j in range(lanes):
        task = g.size[j] if forces.heeds[j] > 0 else 0.0
        g.size[j] = task + 2.0 * forces.coupling[j] * (size[j] - forces.target[j])
        factors[0, j] = forces.lr[j] * scale
        factors[1, j] = forces.lr[j] * scale * forces.moves[j]
    if kind.opens == RATE:
        for j in range(lanes):
            factors[0, j] *= gates.mean[j]
    if kind.optimizer == ADAM:
        for j in range(lanes):
            state.decay[0, j] *= 0.9
            state.decay[1, j] *= 0.999
            factors[2, j] = 1.0 / (1.0 - state.decay[0, j])
            factors[3, j] = 1.0 / (1.0 - state.decay[1, j])
    if lanes == 1:  # the weights of one network are moved many at once, all at its rate
        factors[:, 1:] = factors[:, :1]

    first = gates.reach[0]
    last = gates.reach[1]
    if kind.opens == TRAINING:
        _rest(g, gates, first, last)
    if kind.rests:
        g.hidden[:] = 0
    if kind.counts:
        _count_steps(state.own, g, first, last, work.own)

    w, r, m, q = state.weights, state.rounded, state.mean, state.square
    _move(
        w.size, r.size, m.size, q.size, g.size, factors[1], factors[2], factors[3], kind.optimizer
    )
    at_once = lanes == 1 and not kind.counts
    counted = factors[2:4].reshape((2, 1, factors.shape[1]))  # by steps of the network
    by_neuron = counted
    if kind.counts:
        by_neuron = work.own
    for i in range(len(w.hidden)):
        columns = (w.hidden[i], r.hidden[i], m.hidden[i], q.hidden[i], g.hidden[i])
        _move_columns(columns, first, last, factors[0], by_neuron, kind.optimizer, at_once)
    outs = w.output.shape[1]
    for h in range(-1, last):
        if h == -1 or h >= first:  # row 0 holds the biases, row 1 + h the weights of neuron h
            i = 1 + h
            columns = (w.output[i], r.output[i], m.output[i], q.output[i], g.output[i])
            if kind.counts and h >= 0:
                own = work.own[:, h : h + 1]
                _move_columns(columns, 0, outs, factors[0], own, kind.optimizer, at_once)
            else:
                _move_columns(columns, 0, outs, factors[0], counted, kind.optimizer, at_once)

    if kind.forgets == AT_TARGET:
        for j in range(lanes):
            near = abs(forces.target[j]) / 100
            was_far = abs(before[j] - forces.target[j]) > near
            if was_far and abs(size[j] - forces.target[j]) <= near:
                _forget(state, j)


@_compiled
def _rest(g, gates, first, last):
    """Set the gradients of the neurons to 0 whose gates are shut."""
    for h in range(first, last):
        for j in range(len(g.size)):
            if gates.shut[h, j]:
                g.hidden[:, h, j] = 0
                g.output[1 + h, :, j] = 0


@_compiled
def _count_steps(own, g, first, last, factors):
    """Count a step of each neuron that has or had a gradient, and set Adam's factors for it."""
    for h in range(first, last):
        for j in range(len(g.size)):
            factors[:, h, j] = 1.0
            counts = g.hidden[0, h, j] != 0 or own[0, h, j] < 1
            for o in range(g.output.shape[1]):
                counts = counts or g.output[1 + h, o, j] != 0
            if counts:
                own[0, h, j] *= 0.9
                own[1, h, j] *= 0.999
                factors[0, h, j] = 1.0 / (1.0 - own[0, h, j])
                factors[1, h, j] = 1.0 / (1.0 - own[1, h, j])


@_compiled
def _move_columns(columns, first, last, rate, counted, optimizer, at_once):
    """Move the weights in the columns from first to last; the arrays are (columns, L).

    `counted` (2, columns or 1, L) holds Adam's factors for each column, or for all of them.
    """
    w, r, mean, square, g = columns
    if at_once:  # one network: all its columns
        n = slice(first, last)
        by_mean = counted[0, 0]
        by_square = counted[1, 0]
        _move(
            w[n, 0], r[n, 0], mean[n, 0], square[n, 0], g[n, 0], rate, by_mean, by_square, optimizer
        )
    else:
        for k in range(first, last):
            of = min(k, counted.shape[1] - 1)
            by_mean = counted[0, of]
            by_square = counted[1, of]
            _move(w[k], r[k], mean[k], square[k], g[k], rate, by_mean, by_square, optimizer)


@_compiled
def _move(w, r, mean, square, g, rate, by_mean, by_square, optimizer):
    """Move the weights w (n,) along their gradient g, and round them to r.

    by_mean and by_square are Adam's 1 / (1 - 0.9**t) and 1 / (1 - 0.999**t).
    """
    number = g.dtype.type
    if optimizer == GD:
        for j in range(len(w)):
            w[j] -= rate[j] * g[j]
            r[j] = w[j]
        return
    if optimizer == MOMENTUM:
        kept = number(0.9)
        for j in range(len(w)):
            mean[j] = kept * mean[j] + g[j]
            w[j] -= rate[j] * mean[j]
            r[j] = w[j]
        return
    new_mean = number(0.1)
    new_square = number(0.001)
    small = number(1e-8)
    for j in range(len(w)):
        mean[j] += new_mean * (g[j] - mean[j])
        square[j] += new_square * (g[j] * g[j] - square[j])
        root = math.sqrt(square[j] * number(by_square[j])) + small
        w[j] -= rate[j] * (mean[j] * number(by_mean[j]) / root)
        r[j] = w[j]


@_compiled
def _forget(state, j):
    """Set the moments and the step counts back to 0 in one lane."""
    state.decay[:, j] = 1.0
    state.own[:, :, j] = 1.0
    for moments in (state.mean, state.square):
        moments.size[j] = 0
        moments.hidden[:, :, j] = 0
        moments.output[:, :, j] = 0


@_compiled
def _forget_opened(state, gates, was_shut):
    """Set the moments and the own step count of the neurons back to 0 whose gates have opened."""
    for h in range(gates.reach[0], gates.reach[1]):
        for j in range(len(state.used)):
            if was_shut[h, j] and not gates.shut[h, j]:
                state.own[:, h, j] = 1.0
                for moments in (state.mean, state.square):
                    moments.hidden[:, h, j] = 0
                    moments.output[1 + h, :, j] = 0


# -------------------------------------------------------------------------------------- some epochs


@_kept_on_disk
def train_networks(epochs, state, gates, kind, forces, points, work, stop):
    """Train networks side by side for some epochs; return the neurons computed in all steps."""
    _, count, _ = points.x.shape
    open_gates(gates, state.weights.size, kind)
    computed = 0
    for epoch in range(epochs):
        order = points.orders[min(epoch, len(points.orders) - 1)]
        scale = points.scales[min(epoch, len(points.scales) - 1)]
        for start in range(0, count, points.batch):
            chosen = order[start : start + points.batch]
            gradient_of_networks(state.rounded, gates, kind, points.x, points.y, chosen, work)
            computed += _step_and_open(state, gates, kind, forces, scale, work)
            if stop[0]:
                return computed
    return computed


@_kept_on_disk
def train_one(epochs, state, gates, kind, forces, points, work, stop):
    """Train one network on many points for some epochs; return the neurons computed, as above."""
    inputs, count = points.x.shape
    batch = points.batch
    open_gates(gates, state.weights.size, kind)
    tiles = (batch + TILE - 1) // TILE
    x = np.zeros((tiles, inputs, TILE), points.x.dtype)
    y = np.zeros((tiles, TILE), points.y.dtype)
    computed = 0
    for epoch in range(epochs):
        order = points.orders[min(epoch, len(points.orders) - 1)]
        scale = points.scales[min(epoch, len(points.scales) - 1)]
        for start in range(0, count, batch):
            chosen = order[start : start + batch]
            if epoch == 0 or batch < count:
                _fill_tiles(x, y, points, chosen)
            used = (len(chosen) + TILE - 1) // TILE
            gradient_of_points(state.rounded, gates, kind, x[:used], y[:used], len(chosen), work)
            computed += _step_and_open(state, gates, kind, forces, scale, work)
            if stop[0]:
                return computed
    return computed


@_kept_on_disk
def outputs_of_networks(y_hat, state, gates, kind, x, work):
    """Compute the outputs y_hat (O, P, L) of networks side by side at x (I, P, L)."""
    w = state.rounded
    open_gates(gates, state.weights.size, kind)
    _prepare_networks(w, gates, x.dtype.type(kind.feeds), work)
    for p in range(x.shape[1]):
        _answer_of_networks(w, gates, x, p, work)
        y_hat[:, p] = work.y_hat


@_kept_on_disk
def outputs_of_one(y_hat, state, gates, kind, x, work):
    """Compute the outputs y_hat (O, P) of one network at x (I, P)."""
    feeds = x.dtype.type(kind.feeds)
    inputs, count = x.shape
    tile = np.zeros((inputs, TILE), x.dtype)
    open_gates(gates, state.weights.size, kind)
    for start in range(0, count, TILE):
        lanes = min(TILE, count - start)
        tile[:, :lanes] = x[:, start : start + lanes]
        _answer_of_points(state.rounded, gates, feeds, tile, lanes, work)
        y_hat[:, start : start + lanes] = work.y_hat[:, :lanes]


@_compiled
def _fill_tiles(x, y, points, chosen):
    """Copy the chosen points into the tiles x (tiles, I, TILE) and y (tiles, TILE)."""
    for k in range(len(chosen)):
        for i in range(x.shape[1]):
            x[k // TILE, i, k % TILE] = points.x[i, chosen[k]]
        y[k // TILE, k % TILE] = points.y[chosen[k]]


@_compiled
def _step_and_open(state, gates, kind, forces, scale, work):
    """Take a step, open the gates that belong to the new sizes, and count those that are used.

    Returns the number of neurons that are computed from now on.
    """
    step(state, gates, kind, forces, scale, work)
    if kind.forgets == BY_NEURON:
        work.was_shut[:] = gates.shut
    open_gates(gates, state.weights.size, kind)
    if kind.forgets == BY_NEURON:
        _forget_opened(state, gates, work.was_shut)
    limit = gates.gate.dtype.type(1e-3)
    for h in range(gates.reach[0], gates.reach[1]):
        for j in range(len(state.used)):
            state.used[j] += gates.gate[h, j] > limit
    return max(0, gates.reach[1] - gates.reach[0])


# --------------------------------------------------------------------------------- code on the disk
# Compiling takes about ten seconds, loading what was compiled before less than one. numba keeps one
# index for all precisions; two processes that write it at once could mix them up.

_READY = {}  # functions that are compiled, by their names and the precision
_ONE_AT_A_TIME = threading.Lock()


def _ready(function, dtype, *arguments):
    """Return the function, after it has run once with such arguments of that precision."""
    if numba.config.DISABLE_JIT:
        return function
    key = (function.__name__, dtype)
    with _ONE_AT_A_TIME:
        if key not in _READY:
            _READY[key] = _loaded(function, arguments)
    return _READY[key]


def _loaded(function, arguments):
    """Return the function after it has run, for which it is loaded from disk or compiled."""
    if function.stats.cache_path is None:
        return function
    folder = Path(function.stats.cache_path)
    with _locked(folder):
        try:
            function(*arguments)
        except Exception:  # what numba raises for a damaged file depends on the damage
            for file in folder.glob(f"growloops.{function.__name__}-*"):
                file.unlink(missing_ok=True)
            try:
                function(*arguments)
            except OSError:  # the disk is full, for example
                return _compiled(function.py_func)
    return function


@contextlib.contextmanager
def _locked(folder):
    """Let no other process compile meanwhile, where the file system has locks."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError, NotImplementedError):
            folder.mkdir(parents=True, exist_ok=True)
            stack.enter_context(filelock.FileLock(folder / "growloops.lock"))
        yield


# -------------------------------------------------------------------------------------- for growlib


class Loops:
    """The loops for one block of networks, with the arrays that they work in.

    Parameters
    ----------
    kind : Kind
        What the networks have in common.
    forces : Forces
        What moves each of them, (L,).
    shape : tuple of int
        Inputs, neurons, outputs and lanes: I, H, O, L.
    dtype : str
        Precision of the training.
    few : bool
        Whether the lanes are networks; otherwise there is one network, and the lanes are points.
    stop : ndarray
        One number; the loops end after the current step if it is not 0.
    """

    def __init__(self, kind, forces, shape, dtype, few, stop):
        inputs, width, outs, lanes = shape
        self.kind = kind
        self.forces = forces
        self.few = few
        self.dtype = dtype
        self.stop = stop
        self.gates = Gates(
            gate=np.zeros((width, lanes), dtype),
            slope=np.zeros((width, lanes), dtype),
            mean=np.zeros(lanes),
            shut=np.zeros((width, lanes), np.bool_),
            reach=np.zeros(2, np.int64),
        )
        n = lanes if few else TILE
        moved_at_once = max(lanes, width, outs)
        self.work = Workspace(
            gradient=Weights(
                size=np.zeros(lanes, dtype),
                hidden=np.zeros((2 + inputs, width, lanes), dtype),
                output=np.zeros((1 + width, outs, lanes), dtype),
            ),
            base=np.zeros((width, n), dtype),
            a=np.zeros((width, n), dtype),
            y_hat=np.zeros((outs, n), dtype),
            z=np.zeros(n, dtype),
            factors=np.zeros((4, moved_at_once)),
            own=np.zeros((2, width, lanes)),
            was_shut=np.zeros((width, lanes), np.bool_),
        )

    def advance(self, state, points, epochs):
        """Train the networks of a State in place for some epochs, on some Points.

        Returns the number of neurons that were computed, summed over the steps.
        """
        self._reach_what_moves(state)
        arguments = (state, self.gates, self.kind, self.forces, points, self.work, self.stop)
        train = train_networks if self.few else train_one
        train = _ready(train, self.dtype, 0, *arguments)
        return train(epochs, *arguments)

    def outputs(self, state, x):
        """Return the outputs (O, P, L) of the networks at x (I, P, L), or (O, P) at x (I, P)."""
        y_hat = np.empty((len(self.work.y_hat), *x.shape[1:]), self.dtype)
        arguments = (y_hat, state, self.gates, self.kind, x, self.work)
        compute = outputs_of_networks if self.few else outputs_of_one
        compute = _ready(compute, self.dtype, *arguments)
        compute(*arguments)
        return y_hat

    def _reach_what_moves(self, state):
        """Let the gates reach the neurons that Adam still moves although they may be shut."""
        moving = np.zeros(len(self.gates.gate), bool)
        for moments in (state.mean, state.square):
            moving |= moments.hidden.any(axis=(0, 2)) | moments.output[1:].any(axis=(1, 2))
        places = np.flatnonzero(moving)
        self.gates.reach[:] = (len(moving), 0)
        if len(places) > 0:
            self.gates.reach[:] = (places[0], places[-1] + 1)

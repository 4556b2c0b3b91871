"""Properties of every network, task and setting, each tried on cases that hypothesis makes up.

GROWLIB_EXAMPLES says on how many. What hypothesis draws from is in strategies.py.
"""

import functools
import math
import re
import tempfile
from dataclasses import fields, replace
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from strategies import (
    CLASSIFICATIONS,
    METHODS,
    ONE_LAYER,
    PAPER_TASKS,
    SEEDS,
    SEVERAL_LAYERS,
    SMALL_TASKS,
    TRIALS,
    calls,
    growths,
    powers,
    sizes,
)
from test_network import task_gradient, ways_for
from test_training import reach_all

import growlib
import growloops
from growkit import studies


def fit(call, **changed):
    """Return the run of a call of `fit`, with some arguments changed."""
    return growlib.fit(**call | changed)


def assert_same_rows(one, other):
    """Assert that two frames are equal to the bit in all that belongs to a network alone.

    The time, and the operations done, are shared with the networks beside it.
    """
    one, other = (
        frame.drop(columns=["seconds", "flops_done"], errors="ignore").reset_index(drop=True)
        for frame in (one, other)
    )
    pd.testing.assert_frame_equal(one, other, check_exact=True)


def points_of(run):
    """Return the points of every network of a run, x (inputs, points, T) and y (points, T)."""
    data_seeds = np.broadcast_to(run.settings["data_seed"], run.weights.shape[1])
    x, y = run.task.draw(run.settings["seed"], data_seeds)
    dtype = run.theta().dtype
    return torch.tensor(x, dtype=dtype), torch.tensor(y, dtype=dtype)


# ------------------------------------------------------------------------ what a run says of itself


@given(call=calls(), lr=powers(1e-6, 1e30))
def test_what_is_not_finite_is_reported_as_diverged(call, lr):
    """A network that is not said to have diverged has finite weights and finite numbers only."""
    run = fit(call, lr=lr)
    converged = ~run.finals["diverged"].to_numpy()
    assert np.isfinite(run.weights[:, converged]).all()

    # Accuracies are NaN where the task has none.
    empty = []
    if not run.task.classes:
        empty += ["accuracy"]
    if not (run.task.classes and run.task.endless):
        empty += ["accuracy_fresh"]
    numbers = run.finals.drop(columns=empty).select_dtypes("number")
    assert np.isfinite(numbers[converged]).all(axis=None)

    logged = run.history[run.history["trial"].isin(run.finals["trial"][converged])]
    assert np.isfinite(logged[["train_loss", "test_loss", "size", "flops"]]).all(axis=None)
    losses = run.finals[["train_loss", "test_loss"]][converged]
    assert (losses <= growlib.TOO_LARGE).all(axis=None)


@given(call=calls(epochs=(1, 3, 6)), lr=powers(1e-2, 1e10))
def test_a_network_that_has_diverged_stays_diverged(call, lr):
    finals = fit(call, lr=lr).finals
    diverged = finals.pivot(index="trial", columns="epochs", values="diverged").to_numpy()
    assert (diverged[:, 1:] >= diverged[:, :-1]).all()


# All columns in their order; the test tells which of them a history and which finals have.
SCHEMA = {
    "task": "str",
    "method": "str",
    "mask": "str",
    "learns_from": "str",
    "arm": "str",
    "control": "str",
    "trial": "int64",
    "start": "float64",
    "target": "float64",
    "coupling": "float64",
    "width": "int64",
    "lr": "float64",
    "points": "int64",
    "test_points": "int64",
    "classes": "int64",
    "noise": "float64",
    "seed": "int64",
    "data_seed": "int64",
    "optimizer": "str",
    "dtype": "str",
    "train_task_loss": "float64",
    "test_task_loss": "float64",
    "size_loss": "float64",
    "size": "float64",
    "gate": "float64",
    "active_width": "int64",
    "accuracy": "float64",
    "epoch": "int64",
    "flops": "float64",
    "flops_done": "float64",
    "accuracy_fresh": "float64",
    "seconds": "float64",
    "diverged": "bool",
    "train_loss": "float64",
    "test_loss": "float64",
}


@given(call=calls(), lr=st.sampled_from([1, 0.5, [1, 2, 1, 1]]))
def test_every_run_has_the_same_columns(call, lr):
    """Frames have the same columns, in one order and of one dtype each, whatever was trained."""
    if isinstance(lr, list):
        lr = lr[: len(call["trials"])]
    run = fit(call, lr=lr)

    schema = dict(SCHEMA)
    if isinstance(call["width"], list):
        schema["width"] = "str"  # such as "5-3"
    in_history = {name: dtype for name, dtype in schema.items() if name not in growlib.ONLY_FINAL}
    in_finals = {}
    for name, dtype in schema.items():
        if name != "gate":
            in_finals["epochs" if name == "epoch" else name] = dtype

    for frame, expected in ((run.history, in_history), (run.finals, in_finals)):
        found = [(name, str(dtype)) for name, dtype in frame.dtypes.items()]
        assert found == list(expected.items())


@given(call=calls())
def test_losses_add_up(call):
    """A loss is the sum of task loss and size loss, and this is coupling × (size − target)²."""
    run = fit(call)
    for frame in (run.finals, run.history):
        for part in ("train", "test"):
            total = frame[f"{part}_task_loss"] + frame["size_loss"]
            np.testing.assert_array_equal(frame[f"{part}_loss"], total)
        size_loss = frame["coupling"] * (frame["size"] - frame["target"]) ** 2
        np.testing.assert_allclose(frame["size_loss"], size_loss, rtol=1e-4, atol=1e-9)


@given(call=calls(dtype="float64"))
def test_finals_agree_with_the_final_weights(call):
    """Size, loss and active width of the finals are those of the weights on the trials' data."""
    run = fit(call)
    theta = run.theta()
    np.testing.assert_array_equal(run.finals["size"], theta[0])

    x, y = points_of(run)
    y_hat = growlib.outputs(theta, x, run.growth, call["width"], run.task.outputs)
    train = slice(run.task.train_points)
    expected = growlib.task_loss(y_hat[:, train], y[train], run.task.loss)
    np.testing.assert_allclose(run.finals["train_task_loss"], expected, rtol=1e-9)

    active = 0
    for width in np.atleast_1d(call["width"]).tolist():
        active += (run.growth.acts(theta[0], width) > 1e-3).sum(0)
    assert run.finals["active_width"].tolist() == active.tolist()


@given(call=calls(epochs=(2, 5)))
def test_operations_only_add_up(call):
    """The operations of active neurons rise from 0, and no fewer were done."""
    run = fit(call)
    flops = run.history.pivot(index="trial", columns="epoch", values="flops").to_numpy()
    assert (flops[:, 0] == 0).all()
    assert (np.diff(flops) >= 0).all()
    assert (run.finals["flops"] <= run.finals["flops_done"] * (1 + 1e-12)).all()
    assert (run.finals["flops_done"] >= 0).all()


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-3, 12)
    | st.floats()
    | st.text(max_size=3)
    | st.sampled_from(["5", "neuron", "adam", "loss"])
)
ANYTHING = (
    SCALARS | st.lists(SCALARS, max_size=3) | st.just({}) | st.just(b"5") | st.just(np.ones((2, 2)))
)
ARGUMENTS = [
    "task_or_name",
    "growth",
    "trials",
    "epochs",
    "lr",
    "width",
    "seed",
    "optimizer",
    "schedule",
    "counts",
    "batch",
    "dtype",
    "log_every",
    "data_seed",
    "device",
    "output_scale",
    "newborn_scale",
    "prune_at",
]


@given(method=st.sampled_from(METHODS), value=ANYTHING, data=st.data())
@pytest.mark.filterwarnings("ignore:coupling and start are 0")
def test_what_fit_does_not_take_is_said_in_one_sentence(method, value, data):
    """Anything given as any argument of `fit` or field of a growth trains or is refused.

    A refusal is a sentence that says what the argument takes.
    """
    names_of_fields = [field.name for field in fields(method)]
    name = data.draw(st.sampled_from(ARGUMENTS + names_of_fields))
    fields_given = {"target": 1.0}
    arguments_given = {"task_or_name": "cubic-1", "trials": 2, "epochs": 3, "width": 6}
    try:
        if name in names_of_fields:
            fields_given[name] = value
            fit(arguments_given, growth=method(**fields_given))
        else:
            fit({"growth": method(**fields_given)} | arguments_given | {name: value})
    except ValueError as error:
        assert re.fullmatch(r".+ (is|has) .*; it takes .+", str(error)), str(error)


# ----------------------------------------------------------------------------------------- the size


@given(
    call=calls(optimizer="gd", schedule="constant", dtype="float64", batch=None, log_every=1),
    by_itself=st.booleans(),
    share=st.floats(0.001, 0.5),
)
def test_the_size_loss_alone_contracts_the_size(call, by_itself, share):
    """Where the task cannot move the size, its distance from the target shrinks by 1 − 2ηλ.

    With 2ηλ of at most 1 it never passes the target. `share` is ηλ.
    """
    blind = {"learns_from": "size"} if by_itself else {"feeds": 0.0, "opens": "nothing"}
    coupling = share / call["lr"]
    growth = replace(call["growth"], coupling=coupling, frozen=False, speed=1.0, **blind)
    history = fit(call, growth=growth).history
    assume((history["test_task_loss"] < growlib.TOO_LARGE).all())

    distance = (history["size"] - history["target"]).to_numpy()
    distance = distance.reshape(-1, len(call["trials"]))  # (epochs, trials)
    epochs = np.arange(len(distance))[:, None]
    np.testing.assert_allclose(distance, distance[0] * (1 - 2 * share) ** epochs, atol=1e-12)


@given(seed=SEEDS, trials=st.integers(1, 5), target=st.floats(1, 4), time=st.floats(0.01, 0.1))
def test_with_a_large_coupling_growing_tends_to_grown(seed, trials, target, time):
    """Where 2ηλ = 1 the size arrives in one step, and only this step tells the arms apart.

    With eight times the coupling, and steps of an eighth, less than half of the difference is left.
    """
    differences = []
    for epochs in (4, 32):
        lr = time / epochs
        arms = growlib.arms(target=target, coupling=1 / (2 * lr))
        both = {name: arms[name] for name in ("growing", "grown")}
        growth, numbers = growlib.together(both, trials)
        run = growlib.fit(
            "cubic-1",
            growth,
            trials=numbers,
            epochs=epochs,
            lr=lr,
            seed=seed,
            dtype="float64",
            log_every=epochs,
        )
        growing, grown = np.split(run.weights, 2, axis=1)
        differences.append(np.abs(growing - grown).max(0))
    assert (differences[1] < differences[0] / 2).all()


nothing_moves_the_size = functools.partial(
    growths,
    methods=[growlib.AuxiliaryWeight],
    start=0.0,
    coupling=0.0,
    opens="neurons",
    frozen=False,
)


@given(call=calls(nothing_moves_the_size, batch=None))
def test_without_coupling_a_size_of_0_never_starts(call):
    """A size of 0 that no size loss moves stays 0, its shut neurons stay the same, `fit` warns."""
    with pytest.warns(UserWarning, match="some networks never start to grow"):
        run = fit(call, keep_weights=True)
    assert (run.history["size"] == 0).all()
    assert (run.history["active_width"] == 0).all()

    shapes = growlib.layer_shapes(call["width"], run.task.inputs, run.task.outputs)
    _, first = growlib.unpack(run.theta(0), shapes)
    _, last = growlib.unpack(run.theta(), shapes)
    for before, after in zip(first[:-1], last[:-1], strict=True):
        assert torch.equal(before, after)
    # Only the bias of the output layer learns.
    assert torch.equal(first[-1][1:], last[-1][1:])


@given(call=calls(log_every=1))
def test_a_frozen_size_stays(call):
    """A frozen size never changes, whoever trains beside it, and neither does one of speed 0."""
    trials = np.array(call["trials"])
    frozen = np.arange(len(trials)) % 2 == 0
    run = fit(call, growth=replace(call["growth"], frozen=frozen))
    values = run.history.groupby("trial")["size"].nunique()
    assert (values.loc[trials[frozen]] == 1).all()

    run = fit(call, growth=replace(call["growth"], speed=0.0))
    assert (run.history.groupby("trial")["size"].nunique() == 1).all()


# ---------------------------------------------------------------------------------------- the gates


@given(width=st.integers(1, 40), data=st.data())
def test_gates_are_fractions_that_open_with_the_size(width, data):
    """All gates are shut at size 0 and open at the largest one; in between none of them shuts."""
    growth = data.draw(growths(width))
    largest = largest_size(growth, width)
    between = data.draw(st.lists(sizes(largest), min_size=1, max_size=20))
    size = torch.tensor(sorted([0.0, *between, largest]), dtype=torch.float64)
    gates = growth.gate(size, width)
    assert gates.shape == (width, len(size))
    assert (gates >= 0).all()
    assert (gates <= 1).all()
    assert (gates.diff(dim=1) >= -1e-13).all()
    assert (gates[:, 0] == 0).all()
    assert torch.allclose(gates[:, -1], torch.ones(1, dtype=torch.float64))


def largest_size(growth, width):
    """Return the size at which every neuron takes part: the width, or a controller's value of 1."""
    return float(width) if isinstance(growth, growlib.AuxiliaryWeight) else 1.0


@given(width=st.integers(1, 40), data=st.data())
def test_the_slope_of_a_gate_is_its_derivative(width, data):
    """A gate's slope agrees with finite differences, except at the gate's kinks."""
    growth = data.draw(growths(width))
    size = data.draw(sizes(largest_size(growth, width)))
    size = torch.tensor([size], dtype=torch.float64)
    h = 1e-6
    before, here, after = (growth.gate(size + step, width) for step in (-h, 0, h))
    smooth = ((here - before) - (after - here)).abs() < 1e-9
    assert smooth.sum() >= width - 2
    expected = (after - before) / (2 * h)
    found = growth.slope(size, width)
    torch.testing.assert_close(found[smooth], expected[smooth], atol=1e-3, rtol=1e-6)


@given(
    width=st.integers(1, 40),
    size=sizes(50),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    data=st.data(),
)
def test_a_shut_or_open_gate_has_no_slope_at_all(width, size, dtype, data):
    """The slope is exactly 0 where a gate is shut or open, since Adam would enlarge rounding.

    A controller's shared gate is fully open only at the value 1, and there 0 to rounding.
    """
    growth = data.draw(growths(width))
    size = torch.tensor([0.0, size, 50.0], dtype=dtype)
    if isinstance(growth, growlib.ControllerMask):
        size = size / 50
    slope = growth.slope(size, width)
    if isinstance(growth, growlib.ControllerMask) and growth.mask == "shared":
        assert (slope[:, 0] == 0).all()
        assert (slope[:, 2].abs() < 1e-6).all()
        return

    if isinstance(growth, growlib.AuxiliaryWeight):
        position = growth.steps(size, width)
    else:
        position = growth.gate(size, width)
    assert (slope[(position <= 0) | (position >= 1)] == 0).all()
    assert (slope[:, [0, 2]] == 0).all()


# --------------------------------------------------------------------------- networks and gradients


@given(
    width=st.integers(1, 8) | SEVERAL_LAYERS,
    inputs=st.integers(1, 6),
    count=st.integers(1, 4),
    trials=st.integers(1, 5),
    seed=SEEDS,
)
def test_packing_is_the_inverse_of_unpacking(width, inputs, count, trials, seed):
    shapes = growlib.layer_shapes(width, inputs, count)
    rows = 1 + sum(fan_in * neurons for fan_in, neurons in shapes)
    theta = torch.rand(rows, trials, generator=torch.Generator().manual_seed(seed))
    size, layers = growlib.unpack(theta, shapes)
    packed = growlib.pack(size, layers)
    assert torch.equal(packed, theta)

    size_again, layers_again = growlib.unpack(packed, shapes)
    assert torch.equal(size_again, size)
    for again, layer in zip(layers_again, layers, strict=True):
        assert torch.equal(again, layer)


@given(
    width=st.integers(1, 8) | SEVERAL_LAYERS,
    inputs=st.integers(1, 6),
    loss=st.sampled_from(["squared", "logistic", "softmax"]),
    share=st.floats(0.01, 0.99),
    seed=SEEDS,
    data=st.data(),
)
def test_the_gradient_agrees_with_autograd(width, inputs, loss, share, seed, data):
    """The gradient that trains is that of `task_loss`, for any network, gate and loss.

    This holds in every way to train.
    """
    widths = np.atleast_1d(width).tolist()
    count = 3 if loss == "softmax" else 1
    growth = data.draw(growths(min(widths)))
    assume(growth.opens != "rate")  # where the step is not the gradient
    theta = growlib.initial_weights(seed, range(2), width, growth, inputs, count)
    theta[0] = share * largest_size(growth, min(widths))
    # At a kink of a gate, autograd may take the slope of either side.
    for neurons in widths:
        before, here, after = (growth.gate(theta[0] + step, neurons) for step in (-1e-7, 0, 1e-7))
        assume(((after - 2 * here + before).abs() < 1e-9).all())

    generator = np.random.default_rng(seed)
    x = torch.tensor(generator.uniform(-1, 1, (inputs, 7, 2)))
    y = torch.tensor(generator.integers(0, max(count, 2), (7, 2)).astype(float))

    def total(theta):
        y_hat = growlib.outputs(theta, x, growth, width, count)
        return growlib.task_loss(y_hat, y, loss).sum()

    expected = torch.func.grad(total)(theta)
    for way in ways_for(widths):
        found = task_gradient(way, theta, x, y, growth, widths, count, loss)
        torch.testing.assert_close(found, expected, atol=1e-12, rtol=1e-9)


staircases = functools.partial(growths, methods=[growlib.AuxiliaryWeight], mask="staircase")


@given(call=calls(staircases, SMALL_TASKS, st.integers(6, 40)), lr=powers(1e-4, 1))
def test_leaving_out_neurons_that_stay_shut_changes_no_bit(call, lr):
    """Networks of which only the open neurons are computed end like those computed whole."""
    open_alone = fit(call, lr=lr, compiled=None)
    with mock.patch.object(growloops.Loops, "_reach_what_moves", reach_all):
        whole = fit(call, lr=lr, compiled=None)
    converged = ~open_alone.finals["diverged"].to_numpy()
    assert converged.tolist() == (~whole.finals["diverged"]).tolist()
    np.testing.assert_array_equal(open_alone.weights[:, converged], whole.weights[:, converged])
    assert_same_rows(open_alone.finals[converged], whole.finals[converged])


# ---------------------------------------------------------------------------------------- ensembles


@given(
    narrow_width=st.integers(1, 8),
    more=st.integers(1, 8),
    inputs=st.integers(1, 3),
    count=st.integers(1, 3),
    seed=SEEDS,
    trials=TRIALS,
)
def test_a_narrower_network_is_the_first_part_of_a_wider_one(
    narrow_width, more, inputs, count, seed, trials
):
    """The first neurons of a wide network of one hidden layer are those of a narrow one."""

    def first_layers(width):
        growth = growlib.AuxiliaryWeight(target=1.0)
        theta = growlib.initial_weights(seed, trials, width, growth, inputs, count)
        _, layers = growlib.unpack(theta, growlib.layer_shapes(width, inputs, count))
        return layers

    hidden, output = first_layers(narrow_width)
    wide_hidden, wide_output = first_layers(narrow_width + more)
    assert torch.equal(hidden, wide_hidden[:, :narrow_width])
    assert torch.equal(output, wide_output[: narrow_width + 1])


@given(call=calls(newborn_scale=1.0), method=st.sampled_from(METHODS), target=st.floats(0.1, 1))
def test_arms_are_the_same_network_where_the_size_does_nothing(call, method, target):
    """Arms share data and first weights, so they end alike if the size opens and feeds nothing."""
    arms = growlib.arms(method, target=target, opens="nothing", feeds=0.0)
    growing, *others = (fit(call, growth=growth) for growth in arms.values())
    for other in others:
        np.testing.assert_array_equal(growing.weights[1:], other.weights[1:])
        losses = [run.history["train_task_loss"] for run in (growing, other)]
        np.testing.assert_array_equal(*losses)


# Autograd, which trains networks of several layers, takes matrix products, whose rounding depends
# on where in memory a network stands. Only by loops a network is the same to the bit in any place.


@given(call=calls(widths=ONE_LAYER, compiled=None), data=st.data())
def test_permuted_trials_give_permuted_rows(call, data):
    """Trials in another order give the same rows and weights, to the bit, in that order."""
    order = data.draw(st.permutations(range(len(call["trials"]))))
    run = fit(call)
    other = fit(call, **permuted(call, order))
    np.testing.assert_array_equal(run.weights[:, order], other.weights)
    assert_same_rows(run.finals.iloc[order], other.finals)


@given(
    call=calls(lr=1e-3, optimizer="gd", schedule="constant", dtype="float64", compiled=False),
    data=st.data(),
)
def test_permuted_networks_are_the_same_to_rounding_by_autograd(call, data):
    order = data.draw(st.permutations(range(len(call["trials"]))))
    run = fit(call)
    other = fit(call, **permuted(call, order))
    np.testing.assert_allclose(run.weights[:, order], other.weights, rtol=1e-9, atol=1e-12)


def permuted(call, order):
    """Return the arguments of a call that differ if its trials come in this order."""
    arguments = {"trials": [call["trials"][k] for k in order]}
    if isinstance(call["data_seed"], list):
        arguments["data_seed"] = [call["data_seed"][k] for k in order]
    return arguments


@given(call=calls(widths=ONE_LAYER, compiled=None), beside=st.integers(1, 70), data=st.data())
def test_a_network_does_not_depend_on_those_beside_it(call, beside, data):
    """A network is the same to the bit alone and among others.

    The others start elsewhere, learn at other rates and may diverge.
    """
    alone = fit(call, trials=call["trials"][:1], data_seed=3)
    if alone.task.large:
        beside = 1  # more would take too long

    own = call["growth"]
    other = data.draw(growths(np.min(call["width"]), [type(own)]))
    other_lr = data.draw(powers(1e-3, 1e6))
    values = {}
    for name in growlib.VARIED:
        values[name] = [getattr(own, name)] + [getattr(other, name)] * beside
    among_others = fit(
        call,
        growth=replace(own, **values),
        trials=[call["trials"][0], *range(beside)],
        lr=[call["lr"]] + [other_lr] * beside,
        data_seed=3,
    )

    # Numbers beyond the largest one tell nothing; only that it diverged must be the same.
    if alone.finals["diverged"][0]:
        assert among_others.finals["diverged"][0]
    else:
        np.testing.assert_array_equal(alone.weights[:, 0], among_others.weights[:, 0])
        assert_same_rows(alone.finals, among_others.finals.head(1))


@given(call=calls(widths=ONE_LAYER, compiled=None), data=st.data())
def test_networks_trained_together_are_those_trained_one_after_another(call, data):
    """Growths that differ in values alone give the same to the bit together and on their own."""
    same_method = growths(np.min(call["width"]), [type(call["growth"])])
    alike = []
    for _ in range(2):
        other = data.draw(same_method)
        values = {name: getattr(other, name) for name in growlib.VARIED}
        alike.append(replace(call["growth"], **values))

    count = 1 + len(call["trials"]) % 2
    growth, trials = growlib.together(alike, count)
    together = fit(call, growth=growth, trials=trials, data_seed=None)
    for k, each in enumerate(alike):
        alone = fit(call, growth=each, trials=count, data_seed=None)
        of_growth = slice(k * count, (k + 1) * count)
        rows = together.finals.iloc[of_growth]
        weights = together.weights[:, of_growth]
        converged = ~alone.finals["diverged"].to_numpy()
        assert converged.tolist() == (~rows["diverged"]).tolist()
        np.testing.assert_array_equal(weights[:, converged], alone.weights[:, converged])
        assert_same_rows(rows[converged], alone.finals[converged])


@given(
    call=calls(log_every=1, schedule="constant"),  # a cosine ends with the last of several ends
    log_every=st.integers(2, 9),
    first_end=st.integers(1, 4),
)
def test_what_is_logged_and_read_off_changes_no_bit(call, log_every, first_end):
    """Neither another step of the history nor another end on the way changes the weights.

    The finals at an end on the way are those of a run that ends there.
    """
    run = fit(call, epochs=5)
    seldom = fit(call, epochs=5, log_every=log_every)
    both = fit(call, epochs=(first_end, 5))
    early = fit(call, epochs=first_end)
    for other in (seldom, both):
        np.testing.assert_array_equal(run.weights, other.weights)
    networks = len(call["trials"])
    assert_same_rows(both.finals.head(networks), early.finals)
    assert_same_rows(both.finals.tail(networks), run.finals)


STUDIED_TASKS = {
    "cubic-1": {"points": 20},
    "spirals": {"points": 60, "classes": 3},
    "square-wave": {},
}


@given(
    call=calls(widths=ONE_LAYER),
    task=st.sampled_from(list(STUDIED_TASKS)),
    seconds=powers(1e-6, 1),
)
def test_cutting_a_study_into_cells_changes_no_bit(call, task, seconds):
    """The three frames of a study are the same whatever the length of its cells.

    Predictions are so to rounding: a logistic is rounded otherwise at the end of an array.
    """
    from_call = ("epochs", "lr", "width", "seed", "optimizer", "dtype", "log_every")
    setting = {name: call[name] for name in from_call}
    setting |= {
        "task": task,
        "options": STUDIED_TASKS[task],
        "trials": 2,
        "kept": 1,
    }
    settings = [
        setting | {"growth": call["growth"]},
        setting | {"growth": replace(call["growth"], start=0.0)},
    ]
    in_cells, in_one_cell = (
        studies._select([studies._compute(cell) for cell in studies._cells(settings, length)])
        for length in (seconds, math.inf)
    )
    predictions = [frames["curves"].pop("prediction") for frames in (in_cells, in_one_cell)]
    np.testing.assert_allclose(*predictions, rtol=1e-5, atol=1e-5)
    for name in in_cells:
        assert_same_rows(in_cells[name], in_one_cell[name])


# -------------------------------------------------------------------------------------------- tasks


@st.composite
def tasks(draw):
    """Return tasks of the paper of any size."""
    tables = {"diabetes", "breast-cancer", "digits", "mnist-1d"}  # of a fixed size, from the kit
    # tests/test_benchmark.py tests those of the benchmark, which have other options
    names = [name for name in growlib.TASKS if name not in tables and "rules-" not in name]
    name = draw(st.sampled_from(sorted(names)))
    points = draw(st.integers(10, 60))
    if name == "spirals":
        classes = draw(st.integers(2, 6))
        return growlib.task(name, points=10 * points, classes=classes)

    options = {"points": points}
    if name in growlib._FEW_POINTS or name == "square-wave":
        options["test_points"] = draw(st.integers(1, points - 1))
    if name != "square-wave":
        options["noise"] = draw(st.sampled_from([0, 0.0, 0.3]))
    return growlib.task(name, **options)


@given(task=tasks(), seed=SEEDS, trials=TRIALS)
def test_data_sets_have_their_shapes_and_ranges(task, seed, trials):
    """x and y have the promised shapes and ranges, and all points are different."""
    x, y = task.draw(seed, trials)
    assert x.shape == (task.inputs, task.points, len(trials))
    assert y.shape == x.shape[1:]
    assert x.dtype == y.dtype == np.float64
    assert task.train_points + task.test_points == task.points
    assert min(task.train_points, task.test_points) > 0

    assert np.abs(x).max() <= 1
    scaled_with_its_noise = task.name in ("bessel-grid", "gaussian-mixture")
    polynomial = task.name.startswith(
        ("quadratic", "cubic")
    )  # may leave [-1, 1] between its points
    if task.classes:
        assert np.isin(y, np.arange(task.classes)).all()
    elif scaled_with_its_noise or not (task.options["noise"] or polynomial):
        assert np.abs(y).max() <= 1 + 1e-9

    # The arms of the spirals meet in the middle.
    if task.name != "spirals":
        for k in range(len(trials)):
            different = np.unique(np.round(x[..., k], 12), axis=1)
            assert different.shape[1] == task.points


@given(task=tasks(), seed=SEEDS, trials=TRIALS, other=st.integers(1001, 2000))
def test_data_sets_are_drawn_by_seed_and_trial_alone(task, seed, trials, other):
    """A trial's data set is the same alone and among others.

    Another trial, another stream and another seed give another one.
    """
    x, y = task.draw(seed, trials)
    for k, trial in enumerate(trials):
        x_alone, y_alone = task.draw(seed, [trial])
        assert np.array_equal(x_alone[..., 0], x[..., k])
        assert np.array_equal(y_alone[..., 0], y[..., k])

    x_of_first = x[..., :1]
    assert not np.array_equal(task.draw(seed, [other])[0], x_of_first)
    assert not np.array_equal(task.draw(seed, trials[:1], "fresh")[0], x_of_first)
    assert not np.array_equal(task.draw(seed + 1, trials[:1])[0], x_of_first)


@given(
    name=st.sampled_from(["cubic-1", "bessel-sum", "bessel-grid"]),
    points=st.integers(20, 60),
    gap=st.floats(0, 0.5),
    seed=SEEDS,
)
def test_no_point_in_the_gap_trains(name, points, gap, seed):
    """With a gap the points are the same ones, and no training point lies inside it.

    If more points lie inside than are for testing, drawing says so.
    """
    options = {"points": points}
    if name != "bessel-grid":
        options["test_points"] = points // 2
    x_without, y_without = growlib.task(name, **options).draw(seed, [0])

    task = growlib.task(name, gap=gap, **options)
    if (np.abs(x_without) < gap).sum() > task.test_points:
        with pytest.raises(
            ValueError, match=r"gap is .*; it takes a smaller gap, or more test_points"
        ):
            task.draw(seed, [0])
        return

    x, y = task.draw(seed, [0])
    assert (np.abs(x[0, : task.train_points]) >= gap).all()
    points_without = zip(x_without.ravel(), y_without.ravel(), strict=True)
    assert sorted(zip(x.ravel(), y.ravel(), strict=True)) == sorted(points_without)


@given(
    call=calls(tasks=PAPER_TASKS, widths=ONE_LAYER),
    data_seeds=st.lists(st.integers(0, 3), min_size=4, max_size=4),
)
def test_a_network_learns_the_data_set_that_it_is_given(call, data_seeds):
    """Networks with one data set and the same first weights are the same one.

    The frame says whose data set each learned.
    """
    run = fit(call, trials=call["trials"][:1] * 4, data_seed=data_seeds)
    assert run.finals["data_seed"].tolist() == data_seeds
    x_of_run, _ = points_of(run)
    for k, data_seed in enumerate(data_seeds):
        first_of_same_data = data_seeds.index(data_seed)
        np.testing.assert_array_equal(run.weights[:, k], run.weights[:, first_of_same_data])
        x, _ = run.task.draw(call["seed"], [data_seed])
        assert torch.equal(x_of_run[..., k], torch.tensor(x[..., 0], dtype=x_of_run.dtype))


# ---------------------------------------------------------------------- what can be done with a run


@given(call=calls(dtype="float64"), points=st.lists(st.floats(-1, 1), min_size=1, max_size=5))
def test_plain_layers_predict_what_the_run_predicts(call, points):
    """The plain torch layers of a network agree with `predict`.

    Those of a classification do so before the logistic or the softmax.
    """
    run = fit(call)
    assume(not run.finals["diverged"].any())
    assume(np.abs(run.weights).max() < 1e3)
    x = np.outer(points, np.arange(1, run.task.inputs + 1))  # (points, inputs)
    for k, expected in enumerate(run.predict(x)):
        found = run.dense(k)(torch.tensor(x)).detach()
        if run.task.loss == "logistic":
            found = torch.sigmoid(found)
        elif run.task.loss == "softmax":
            found = torch.softmax(found, 1)
        tolerance = 1e-9 * max(1, np.abs(expected).max())
        np.testing.assert_allclose(found.numpy(), expected, atol=tolerance, rtol=1e-7)


@given(call=calls())
def test_a_run_that_is_saved_and_loaded_is_the_same(call):
    """Frames, weights, snapshots, settings and predictions come back from the file to the bit."""
    run = fit(call, keep_weights=True)
    own_task = run.task if run.task.standardised else None  # files hold no tables
    with tempfile.TemporaryDirectory() as folder:
        run.save(Path(folder) / "run.npz")
        loaded = growlib.load(Path(folder) / "run.npz", own_task)

    pd.testing.assert_frame_equal(loaded.finals, run.finals, check_exact=True)
    pd.testing.assert_frame_equal(loaded.history, run.history, check_exact=True)
    assert growlib._plain(loaded.settings) == growlib._plain(run.settings)
    assert loaded.task.name == run.task.name
    assert loaded.task.options == run.task.options
    described = [studies._described({"growth": each.growth}) for each in (loaded, run)]
    assert described[0] == described[1]

    x = np.full((1, run.task.inputs), 0.3)
    for epoch in (None, *run.snapshots):
        np.testing.assert_array_equal(loaded.theta(epoch), run.theta(epoch))
        np.testing.assert_array_equal(loaded.predict(x, epoch), run.predict(x, epoch))


@given(call=calls(tasks=CLASSIFICATIONS))
def test_confusion_counts_every_point_once(call):
    """A network's counts add up to the points, and those on the diagonal to its accuracy."""
    run = fit(call)
    if run.task.endless:  # as many in each arm of a spiral
        points = growlib.FRESH_POINTS // run.task.classes * run.task.classes
        accuracy = run.finals["accuracy_fresh"]
    else:
        points = run.task.test_points
        accuracy = run.finals["accuracy"]

    counts = run.confusion()
    assert len(counts) == len(call["trials"]) * run.task.classes**2
    assert (counts.groupby("trial", sort=False)["count"].sum() == points).all()

    on_diagonal = counts[counts["true_class"] == counts["predicted_class"]]
    right = on_diagonal.groupby("trial", sort=False)["count"].sum()
    converged = ~run.finals["diverged"].to_numpy()
    np.testing.assert_allclose((right / points)[converged], accuracy[converged], atol=1e-12)

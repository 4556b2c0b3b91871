"""Training: what `fit` computes, against torch's own optimizers, golden values and small cases.

What holds of networks that train side by side stands in test_ensembles.py, the controls in
test_controls.py, and the loops that are compiled in test_loops.py. Where a test has the argument
`compiled`, it holds of both ways to train.
"""

import _thread
import functools
import itertools
import signal
import threading
import time
from unittest import mock

import numpy as np
import pandas as pd
import pytest
import torch

import growlib
import growloops
from growkit import studies, tables

BOTH_WAYS = pytest.mark.parametrize("compiled", [None, False], ids=["loops", "autograd"])


def short_run(growth=None, **options):
    """Return a short run of few networks on a cubic; `options` are arguments of `fit`."""
    defaults = {"trials": 5, "epochs": 24, "log_every": 8, "lr": 0.01}
    return growlib.fit("cubic-1", growth, **(defaults | options))


def large_set_run(growth=None, task="bessel-grid", task_options=None, **options):
    """Return a short run on a large set by Adam, 10 neurons wide; `options` are those of `fit`."""
    task = growlib.task(task, **(task_options or {"points": 2000}))
    defaults = {
        "trials": 2,
        "epochs": 30,
        "log_every": 10,
        "optimizer": "adam",
        "lr": 0.01,
        "width": 10,
    }
    return growlib.fit(task, growth or growlib.ControllerMask(), **(defaults | options))


@BOTH_WAYS
def test_golden_values(compiled):
    """If this fails and the change was meant, raise growlib.METHOD and compute data/ again."""
    run = growlib.fit(
        "cubic-1",
        growlib.AuxiliaryWeight(coupling=1.0),
        trials=2,
        epochs=100,
        lr=0.01,
        dtype="float64",
        compiled=compiled,
    )
    assert growlib.METHOD == 2
    np.testing.assert_allclose(run.finals["test_task_loss"], GOLDEN["test_task_loss"], rtol=1e-9)
    np.testing.assert_allclose(run.finals["size"], GOLDEN["size"], rtol=1e-9)


GOLDEN = {
    "test_task_loss": [0.22163018608501756, 0.28727653164931655],
    "size": [4.288690663664239, 4.256152543577827],
}


# ---------------------------------------------------------------- torch's own layers and optimizers


def plain_layers(theta, open_neurons, width, inputs=1, outputs=1):
    """Return one network's first neurons as layers of torch.nn, whose inputs are the size and x."""
    _, (hidden, output) = growlib.unpack(theta, growlib.layer_shapes(width, inputs, outputs))
    plain = torch.nn.Sequential(
        torch.nn.Linear(1 + inputs, open_neurons),
        torch.nn.Tanh(),
        torch.nn.Linear(open_neurons, outputs),
    ).double()
    plain.load_state_dict(
        {
            "0.weight": hidden[1:, :open_neurons, 0].T,
            "0.bias": hidden[0, :open_neurons, 0],
            "2.weight": output[1 : 1 + open_neurons, :, 0].T,
            "2.bias": output[0, :, 0],
        }
    )
    return plain


def weights_by_torchs_adam(growth, task, trials, epochs, lr):
    """Return theta of networks of nine neurons that torch.optim.Adam trained, (rows, T)."""
    x, y = training_points(task, trials)
    theta = growlib.initial_weights(0, trials, 9, growth).requires_grad_()
    optimizer = torch.optim.Adam([theta], lr=lr)
    for _ in range(epochs):
        optimizer.zero_grad()
        y_hat = growlib.outputs(theta, x, growth, 9)
        task_loss = growlib.task_loss(y_hat, y, "squared")
        size_loss = growlib.size_loss(theta[0], growth.target, growth.coupling)
        (task_loss + size_loss).sum().backward()
        optimizer.step()
    return theta.detach()


def training_points(task, trials):
    """Return the training points x (inputs, points, T) and y (points, T) of a task by its name."""
    task = growlib.task(task)
    x, y = task.draw(0, trials)
    return torch.tensor(x[:, : task.train_points]), torch.tensor(y[: task.train_points])


@BOTH_WAYS
def test_static_at_the_target_is_a_plain_mlp(compiled):
    """Frozen at N0 = N_inf = 5 the network is five tanh neurons of torch.nn of N and x."""
    growth = growlib.AuxiliaryWeight(start=5, frozen=True)
    run = growlib.fit("cubic-1", growth, trials=3, epochs=20, dtype="float64", compiled=compiled)
    x = torch.linspace(-1, 1, 9, dtype=torch.float64)
    inputs = torch.stack([torch.full_like(x, 5.0), x], dim=1)
    for k in range(3):
        plain = plain_layers(run.theta()[:, k : k + 1], open_neurons=5, width=9)
        expected = plain(inputs).detach()
        np.testing.assert_allclose(run.predict(x)[k], expected, atol=1e-14)
    assert (run.finals["size"] == 5).all()


@BOTH_WAYS
def test_static_training_is_torchs_own_gradient_descent(compiled):
    """Twenty epochs of torch.optim.SGD on the plain network reach the same weights."""
    growth = growlib.AuxiliaryWeight(start=5, frozen=True)
    run = growlib.fit(
        "cubic-1", growth, trials=1, epochs=20, lr=0.05, dtype="float64", compiled=compiled
    )

    theta = growlib.initial_weights(0, [0], 9, growlib.AuxiliaryWeight(start=5))
    plain = plain_layers(theta, open_neurons=5, width=9)
    optimizer = torch.optim.SGD(plain.parameters(), lr=0.05)
    x, y = training_points("cubic-1", [0])
    inputs = torch.cat([torch.full_like(y, 5.0), x[0]], dim=1)
    for _ in range(20):
        optimizer.zero_grad()
        torch.nn.functional.mse_loss(plain(inputs), y).backward()
        optimizer.step()

    _, (hidden, _) = growlib.unpack(run.theta(), growlib.layer_shapes(9))
    np.testing.assert_allclose(hidden[1:, :5, 0].T, plain[0].weight.detach(), atol=1e-12)


@BOTH_WAYS
@pytest.mark.parametrize("mask", ["shared", "neuron"])
def test_static_is_a_plain_network_trained_by_torchs_adam(mask, compiled):
    growth = growlib.ControllerMask(start=1.0, frozen=True, mask=mask)
    task_options = {"points": 2000, "classes": 3}
    options = {"dtype": "float64", "trials": 1, "epochs": 20, "compiled": compiled}
    run = large_set_run(growth, "spirals", task_options, **options)

    theta = growlib.initial_weights(0, [0], 10, growth, 2, 3)
    plain = plain_layers(theta, open_neurons=10, width=10, inputs=2, outputs=3)
    optimizer = torch.optim.Adam(plain.parameters(), lr=0.01)
    x, y = (torch.tensor(part)[..., : run.task.train_points, 0] for part in run.task.draw(0, [0]))
    inputs = torch.cat([torch.ones(1, x.shape[1]), x]).T
    for _ in range(20):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(plain(inputs), y.long()).backward()
        optimizer.step()

    _, (hidden, _) = growlib.unpack(run.theta(), growlib.layer_shapes(10, 2, 3))
    np.testing.assert_allclose(hidden[1:, :, 0].T, plain[0].weight.detach(), atol=1e-10)


@BOTH_WAYS
def test_adam_is_torchs_adam(compiled):
    growth = growlib.AuxiliaryWeight(start=0.5)
    run = growlib.fit(
        "quadratic-1",
        growth,
        trials=2,
        epochs=30,
        lr=0.01,
        optimizer="adam",
        dtype="float64",
        compiled=compiled,
    )
    expected = weights_by_torchs_adam(growth, "quadratic-1", [0, 1], epochs=30, lr=0.01)
    np.testing.assert_allclose(run.weights, expected, atol=1e-12)


# ------------------------------------------------------------------------------ what moves the size


@BOTH_WAYS
def test_the_size_alone_contracts_geometrically(compiled):
    """With a large λ the task's pull on the size can be neglected."""
    growth = growlib.AuxiliaryWeight(coupling=500.0)
    run = short_run(growth, lr=1e-5, epochs=100, dtype="float64", compiled=compiled)
    expected = 5 * (1 - (1 - 2 * 1e-5 * 500) ** 100)
    np.testing.assert_allclose(run.finals["size"], expected, rtol=1e-3)


@pytest.mark.parametrize("learns_from, same", [("size", True), ("loss", False)])
def test_the_released_controller_does_not_see_the_data_and_the_described_one_does(
    learns_from, same
):
    growth = growlib.ControllerMask(start=0.2, learns_from=learns_from)
    one = large_set_run(growth, "bessel-grid").history["size"]
    other = large_set_run(growth, "gaussian-mixture").history["size"]
    assert np.array_equal(one, other) == same


def test_coupling_does_nothing_to_the_released_controllers_path_under_adam():
    weak, strong = (
        large_set_run(growlib.ControllerMask(coupling=coupling), dtype="float64").history["size"]
        for coupling in (0.1, 3.2)
    )
    np.testing.assert_allclose(weak, strong, rtol=1e-5)


@pytest.mark.parametrize(
    "growth",
    [
        growlib.AuxiliaryWeight(coupling=0.0),
        growlib.AuxiliaryWeight(coupling=[0.1, 0.0]),
        growlib.ControllerMask(coupling=0.0),
    ],
)
def test_fit_warns_of_a_size_that_nothing_moves(growth):
    message = "coupling and start are 0, so some networks never start to grow"
    with pytest.warns(UserWarning, match=message) as caught:
        run = growlib.fit("cubic-1", growth, trials=2, epochs=24)
    assert caught[0].filename == __file__
    assert run.finals["size"].min() < 1e-4


@pytest.mark.parametrize(
    "growth",
    [
        growlib.AuxiliaryWeight(coupling=0.0, start=0.5),
        growlib.AuxiliaryWeight(coupling=0.0, frozen=True),
        growlib.AuxiliaryWeight(coupling=0.0, opens="nothing"),
        growlib.ControllerMask(coupling=0.0, learns_from="loss"),
    ],
)
def test_fit_does_not_warn_of_a_size_that_something_moves_or_that_is_meant_to_stay(growth):
    short_run(growth, trials=2, epochs=1)  # a warning would be an error here


# ------------------------------------------------------------------------ neurons that are left out


@pytest.mark.parametrize("optimizer", ["gd", "adam"])
def test_leaving_out_shut_neurons_changes_no_bit(optimizer):
    """The size stays below 6, so few of the 19 neurons are ever computed; the other run has all."""
    growth = growlib.AuxiliaryWeight(coupling=5.0)
    options = {"trials": 20, "epochs": 100, "optimizer": optimizer, "width": 19}
    narrow = short_run(growth, **options)
    with mock.patch.object(growloops.Loops, "_reach_what_moves", reach_all):
        wide = short_run(growth, **options)
    np.testing.assert_array_equal(narrow.weights, wide.weights)
    assert (wide.finals["flops_done"] == 19 * 100 * 32 * 13).all()
    assert (narrow.finals["flops_done"] < 6 * 100 * 32 * 13).all()
    pd.testing.assert_series_equal(narrow.finals["flops"], wide.finals["flops"])


def reach_all(loops, state):
    """Let the loops compute every neuron, shut or not."""
    loops.gates.reach[:] = (0, len(loops.gates.gate))


@BOTH_WAYS
def test_a_size_that_overshoots_its_target_opens_further_neurons_in_time(compiled):
    """With Adam and a large step the size overshoots 5 by far more than one neuron, and returns."""
    growth = growlib.AuxiliaryWeight(start=0, coupling=5.0)
    options = {"optimizer": "adam", "lr": 0.6, "epochs": 24, "dtype": "float64"}
    options["compiled"] = compiled
    logged_once = short_run(growth, **options, log_every=24, keep_weights=True)
    logged_always = short_run(growth, **options, log_every=1)
    assert logged_always.history["size"].max() > 6
    np.testing.assert_array_equal(logged_once.weights, logged_always.weights)

    expected = weights_by_torchs_adam(growth, "cubic-1", range(5), epochs=24, lr=0.6)
    np.testing.assert_allclose(logged_once.weights, expected, atol=1e-6)


@pytest.mark.parametrize("reading", studies.READINGS.values(), ids=studies.READINGS)
def test_an_open_gate_has_no_slope_in_deep_networks_either(reading):
    # Without a feed nothing but rounding could move a grown network's size off its target.
    arms = growlib.arms(growlib.ControllerMask, feeds=0.0, **reading)
    growth, trials = growlib.together({name: arms[name] for name in ("grown", "static")}, 3)
    run = growlib.fit(
        "bessel-sum",
        growth,
        trials=trials,
        epochs=100,
        width=[8, 8],
        optimizer="adam",
        lr=0.01,
    )
    grown, static = np.split(run.weights, 2, axis=1)
    assert (grown[0] == 1).all()
    np.testing.assert_allclose(grown, static, atol=1e-4)  # to the rounding of matrix products


# ----------------------------------------------------------------------- several layers, large sets


def test_several_layers_train_and_each_has_its_gate():
    growth = growlib.ControllerMask(mask="neuron", learns_from="loss", start=0.5)
    run = large_set_run(growth, width=[10, 6], epochs=60)
    assert run.finals["width"].unique().tolist() == ["10-6"]
    first = run.history.query("epoch == 0")
    assert (first["active_width"] == 8).all()  # half of each layer
    assert (run.finals["train_task_loss"] < first["train_task_loss"].to_numpy()).all()
    assert run.predict([0.0, 0.5]).shape == (2, 2, 1)


def test_gradients_of_pieces_of_the_points_add_up_to_the_whole(monkeypatch):
    described = growlib.ControllerMask(mask="neuron", learns_from="loss")
    whole = large_set_run(described, dtype="float64", compiled=False)
    monkeypatch.setattr(growlib, "CHUNK", 3000)
    pieces = large_set_run(described, dtype="float64", compiled=False)
    np.testing.assert_allclose(whole.weights, pieces.weights, atol=1e-13)


# ------------------------------------------------------------------------- precision and divergence


def test_float32_keeps_the_task_loss_of_float64():
    single, double = (
        growlib.fit(
            "cubic-1",
            growlib.AuxiliaryWeight(),
            trials=64,
            epochs=4000,
            lr=1e-3,
            log_every=4000,
            dtype=dtype,
        ).finals
        for dtype in ("float32", "float64")
    )
    difference = (single["test_task_loss"] / double["test_task_loss"] - 1).abs()
    assert difference.median() < 1e-5


@BOTH_WAYS
def test_steps_below_the_rounding_of_float32_add_up(compiled):
    """A hundred steps of 2e-7 from 4, where float32 has nothing between 4 and 4 + 4.8e-7."""
    assert np.float32(4) + np.float32(2e-7) == 4
    growth = growlib.AuxiliaryWeight(start=4.0, target=5.0, coupling=1.0, learns_from="size")
    run = short_run(growth, lr=1e-7, epochs=100, log_every=7, compiled=compiled)
    assert run.finals["dtype"].unique().tolist() == ["float32"]
    np.testing.assert_allclose(run.finals["size"], 4 + 100 * 2e-7, rtol=0, atol=2.5e-7)


def test_lr_10_is_reported_as_diverged():
    assert short_run(lr=10.0, epochs=200).finals["diverged"].any()


# ------------------------------------------------------------------------ operations and the record


def test_operations_of_a_neuron_are_those_counted_by_hand():
    cubic = growlib.task("cubic-1")
    assert growlib._flops(cubic, [9]) == 3 + 4 + 6
    of_both_layers = (3 + 4 * 1 + 6 * 2) * 4 + (3 + 4 * 4 + 6 * 1) * 2
    assert growlib._flops(cubic, [4, 2]) == of_both_layers / 6
    assert growlib._flops(growlib.task("spirals", classes=3), [5]) == 3 + 4 * 2 + 6 * 3


def test_operations_are_counted_for_active_neurons(ensemble):
    assert (ensemble.finals["flops"] < ensemble.finals["flops_done"]).all()
    static = short_run(growlib.AuxiliaryWeight(start=5, frozen=True)).finals
    assert (static["flops"] == 5 * 24 * 32 * 13).all()
    assert (static["flops_done"] == 5 * 24 * 32 * 13).all()


@BOTH_WAYS
def test_a_step_counts_the_neurons_that_take_part_by_their_gates_alone(compiled):
    # The gates are 0.0002 at a size of 0.01 and 0.002 at 1.03; above 0.001 a neuron takes part.
    start = [0.0, 0.5, 1.5, 2.0, 3.0, 0.01, 1.03]
    growth = growlib.AuxiliaryWeight(start=start, target=3.0, frozen=True)
    run = short_run(growth, trials=7, epochs=2, width=3, log_every=1, compiled=compiled)
    taking_part = run.finals["flops"] / (2 * 32 * 13)
    assert taking_part.tolist() == [0, 1, 2, 2, 3, 0, 2]
    assert run.finals["active_width"].tolist() == taking_part.tolist()


@pytest.mark.parametrize("epochs", [1, 7, 49, 50, 999, 4000, 17_783, 40_000])
def test_history_has_at_most_50_epochs_beside_the_last_by_default(epochs):
    step = growlib._log_every(epochs)
    assert len({*range(0, epochs, step), epochs}) <= 51
    assert epochs / step <= 49


def test_history_begins_at_epoch_0_and_ends_with_the_last():
    epochs = short_run(epochs=24, log_every=None).history["epoch"]
    assert epochs.min() == 0
    assert epochs.max() == 24
    assert epochs.nunique() <= 50


def test_a_rate_and_a_noise_given_as_whole_numbers_are_stored_as_floats():
    task = growlib.task("cubic-1", noise=0)
    frame = growlib.fit(task, lr=1, trials=1, epochs=1, compiled=False).finals
    assert frame[["lr", "noise"]].dtypes.tolist() == ["float64", "float64"]


# ----------------------------------------------------------------- tensors of torch stay with torch


TABLE = tables.task_from_frame(pd.DataFrame(np.random.default_rng(0).normal(size=(40, 3))), 2)


@pytest.mark.parametrize("optimizer", ["gd", "adam"])
@pytest.mark.parametrize("growth", [growlib.AuxiliaryWeight(), growlib.ControllerMask()], ids=str)
@pytest.mark.parametrize(
    "task, options",
    [
        ("cubic-1", {}),
        ("square-wave", {"width": [6, 5]}),
        ("cubic-1", {"lr": [0.1, 0.2], "keep_weights": True, "epochs": (2, 4)}),
        (TABLE, {"batch": 10}),
        (growlib.task("spirals", points=1200), {"batch": 500}),
    ],
)
def test_no_tensor_becomes_an_array_unless_asked(task, options, growth, optimizer, monkeypatch):
    """Where tensors lie on another device, NumPy cannot read them: torch would raise an error."""

    def refuse(*_, **__):
        raise AssertionError("a tensor was converted")

    monkeypatch.setattr(torch.Tensor, "__array__", refuse)
    with pytest.raises(AssertionError, match="a tensor was converted"):
        np.asarray(torch.ones(2))
    settings = {"trials": 2, "epochs": 4, "compiled": False, "optimizer": optimizer}
    run = growlib.fit(task, growth, **settings | options)
    assert np.isfinite(run.weights).all()


# ---------------------------------------------------------------------- progress, and how it ends

FOREVER = 10**8  # epochs


@BOTH_WAYS
@pytest.mark.parametrize(
    "task, options",
    [
        ("cubic-1", {"trials": 700, "epochs": 400}),
        ("cubic-1", {"trials": 3, "epochs": (7, 100), "log_every": 30}),
        (growlib.task("bessel-grid", points=1300), {"trials": 5, "epochs": 30}),
    ],
)
def test_progress_never_falls_and_ends_at_1(task, options, compiled, two_threads):
    if compiled is False:
        options = options | {"trials": 2}
    reported = []
    growlib.fit(task, **options, compiled=compiled, progress=reported.append)
    assert reported[-1] == 1
    assert min(reported) >= 0
    assert reported == sorted(reported)


@pytest.fixture
def two_threads(compiled):
    """Let torch, and so `fit`, have two threads for the loops."""
    before = torch.get_num_threads()
    if compiled is None:
        torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def raise_later(error):
    """Return a function for `progress` that raises an error when it is called a third time."""
    calls = itertools.count(1)

    def progress(fraction):
        if next(calls) == 3:
            raise error

    return progress


@BOTH_WAYS
@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("the display is gone")])
@pytest.mark.parametrize("large", [False, True])
def test_an_error_in_progress_ends_a_long_fit_and_its_threads(error, large, compiled, two_threads):
    task = growlib.task("bessel-grid", points=4000 if large else 40)
    began = time.perf_counter()
    with pytest.raises(type(error)):
        growlib.fit(
            task,
            trials=400,
            epochs=FOREVER,
            compiled=compiled,
            progress=raise_later(error),
        )
    assert time.perf_counter() - began < 10
    assert_nothing_computes()


@BOTH_WAYS
def test_ctrl_c_ends_a_long_fit_and_its_threads(compiled, two_threads):
    growlib.fit("cubic-1", trials=400, epochs=1, compiled=compiled)  # compiled, or loaded, by now
    began = time.perf_counter()
    # Another test may have imported dask_jobqueue, which answers SIGINT in its own way.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    ctrl_c = threading.Timer(0.5, _thread.interrupt_main)
    ctrl_c.start()
    with pytest.raises(KeyboardInterrupt):
        growlib.fit("cubic-1", trials=400, epochs=FOREVER, compiled=compiled)
    ctrl_c.join()
    signal.signal(signal.SIGINT, before)
    assert time.perf_counter() - began < 5
    assert_nothing_computes()


def assert_nothing_computes():
    """Assert that no thread of a pool is left, and that this process does not use the processor."""
    assert not [each for each in threading.enumerate() if "ThreadPool" in each.name]
    before = time.process_time()
    time.sleep(0.3)
    assert time.process_time() - before < 0.1


# ------------------------------------------------------------------------------------------- events


class Doubling(growlib.AuxiliaryWeight):
    """A growth that doubles the output biases after epoch 8, which costs 5 operations a network."""

    def events(self, settings):
        return {8: double_biases}


def double_biases(state, block):
    """Return the state with doubled biases c."""
    assert isinstance(state, growlib.State)
    assert isinstance(block, growlib.Block)
    theta = state.theta.clone()
    _, (_, output) = growlib.unpack(theta, block.shapes)
    output[0] *= 2
    return state._replace(theta=theta, spent=state.spent + 5)


@BOTH_WAYS
@pytest.mark.parametrize("optimizer", ["gd", "adam"])
def test_an_event_changes_the_networks_after_its_epoch(optimizer, compiled):
    options = {"optimizer": optimizer, "log_every": 8, "keep_weights": True, "dtype": "float64"}
    plain = short_run(growlib.AuxiliaryWeight(), compiled=compiled, **options)
    changed = short_run(Doubling(), compiled=compiled, **options)

    # It acts after the epoch was logged; a rate of next to nothing shows what it did.
    for epoch in (0, 8):
        np.testing.assert_array_equal(plain.snapshots[epoch], changed.snapshots[epoch])
    assert not np.isclose(plain.snapshots[16], changed.snapshots[16]).all(0).any()
    flops = changed.history.pivot(index="epoch", columns="trial", values="flops")
    of_plain = plain.history.pivot(index="epoch", columns="trial", values="flops")
    assert (flops.loc[[0, 8]] == of_plain.loc[[0, 8]]).all(axis=None)

    at_once = short_run(changed.growth, lr=1e-30, compiled=compiled, **options)
    shapes = growlib.layer_shapes(9)
    _, (hidden, output) = growlib.unpack(at_once.theta(8), shapes)
    _, (hidden_after, output_after) = growlib.unpack(at_once.theta(16), shapes)
    torch.testing.assert_close(output_after[0], 2 * output[0])
    torch.testing.assert_close(output_after[1:], output[1:])
    torch.testing.assert_close(hidden_after, hidden)
    spent = at_once.history.pivot(index="epoch", columns="trial", values="flops")
    assert (spent.loc[8] == 0).all()
    assert (spent.loc[16] == 5).all()


@BOTH_WAYS
def test_an_event_draws_from_generators_of_its_trial_and_epoch(compiled, monkeypatch):
    def events(growth, settings):
        return {epoch: functools.partial(drawn_into, epoch=epoch) for epoch in (8, 16)}

    def drawn_into(state, block, epoch):
        theta = state.theta.clone()
        theta[1] = torch.tensor([each.random() for each in block.generators(epoch)])
        return state._replace(theta=theta)

    monkeypatch.setattr(growlib.AuxiliaryWeight, "events", events)
    options = {"lr": 1e-30, "keep_weights": True, "dtype": "float64", "compiled": compiled}
    run = short_run(growlib.AuxiliaryWeight(), trials=5, **options)
    alone = short_run(growlib.AuxiliaryWeight(), trials=[3], **options)
    drawn = [run.snapshots[epoch][1] for epoch in (16, 24)]
    assert len(np.unique(drawn)) == 10
    for epoch in (16, 24):
        assert run.snapshots[epoch][1, 3] == alone.snapshots[epoch][1, 0]


@BOTH_WAYS
def test_an_error_in_an_event_is_that_of_the_fit(compiled, monkeypatch, two_threads):
    def fails(state, block):
        raise ArithmeticError("this event fails")

    monkeypatch.setattr(growlib.AuxiliaryWeight, "events", lambda growth, settings: {0: fails})
    with pytest.raises(ArithmeticError, match="this event fails"):
        short_run(trials=400, epochs=FOREVER, log_every=None, compiled=compiled)
    assert_nothing_computes()

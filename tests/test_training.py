"""Training: what `fit` computes, against torch's own optimizers, golden values and small cases.

What holds of networks that train side by side stands in test_ensembles.py, the controls in
test_controls.py.
"""

import numpy as np
import pytest
import torch

import growlib
from growkit import studies


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
        "compiled": False,
    }
    return growlib.fit(task, growth or growlib.ControllerMask(), **(defaults | options))


def test_golden_values():
    """If this fails and the change was meant, raise growlib.METHOD and compute data/ again."""
    run = growlib.fit(
        "cubic-1",
        growlib.AuxiliaryWeight(coupling=1.0),
        trials=2,
        epochs=100,
        lr=0.01,
        dtype="float64",
        compiled=False,
    )
    assert growlib.METHOD == 1
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


def test_static_at_the_target_is_a_plain_mlp():
    """Frozen at N0 = N_inf = 5 the network is five tanh neurons of torch.nn of N and x."""
    growth = growlib.AuxiliaryWeight(start=5, frozen=True)
    run = growlib.fit("cubic-1", growth, trials=3, epochs=20, dtype="float64", compiled=False)
    x = torch.linspace(-1, 1, 9, dtype=torch.float64)
    inputs = torch.stack([torch.full_like(x, 5.0), x], dim=1)
    for k in range(3):
        plain = plain_layers(run.theta()[:, k : k + 1], open_neurons=5, width=9)
        expected = plain(inputs).detach()
        np.testing.assert_allclose(run.predict(x)[k], expected, atol=1e-14)
    assert (run.finals["size"] == 5).all()


def test_static_training_is_torchs_own_gradient_descent():
    """Twenty epochs of torch.optim.SGD on the plain network reach the same weights."""
    growth = growlib.AuxiliaryWeight(start=5, frozen=True)
    run = growlib.fit(
        "cubic-1", growth, trials=1, epochs=20, lr=0.05, dtype="float64", compiled=False
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


@pytest.mark.parametrize("mask", ["shared", "neuron"])
def test_static_is_a_plain_network_trained_by_torchs_adam(mask):
    growth = growlib.ControllerMask(start=1.0, frozen=True, mask=mask)
    task_options = {"points": 2000, "classes": 3}
    run = large_set_run(growth, "spirals", task_options, dtype="float64", trials=1, epochs=20)

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


def test_adam_is_torchs_adam():
    growth = growlib.AuxiliaryWeight(start=0.5)
    run = growlib.fit(
        "quadratic-1",
        growth,
        trials=2,
        epochs=30,
        lr=0.01,
        optimizer="adam",
        dtype="float64",
        compiled=False,
    )
    expected = weights_by_torchs_adam(growth, "quadratic-1", [0, 1], epochs=30, lr=0.01)
    np.testing.assert_allclose(run.weights, expected, atol=1e-12)


# ------------------------------------------------------------------------------ what moves the size


def test_the_size_alone_contracts_geometrically():
    """With a large λ the task's pull on the size can be neglected."""
    growth = growlib.AuxiliaryWeight(coupling=500.0)
    run = short_run(growth, lr=1e-5, epochs=100, dtype="float64", compiled=False)
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
        run = growlib.fit("cubic-1", growth, trials=2, epochs=24, compiled=False)
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
    short_run(growth, trials=2, epochs=1, compiled=False)  # a warning would be an error here


# ------------------------------------------------------------------------ neurons that are left out


@pytest.mark.parametrize("optimizer", ["gd", "adam"])
def test_leaving_out_shut_neurons_changes_no_bit(optimizer, monkeypatch):
    """The size stays below 5, so the narrow run computes 6 of 9 neurons; the wide one all 9."""
    growth = growlib.AuxiliaryWeight(coupling=5.0)
    narrow = short_run(growth, trials=20, epochs=100, optimizer=optimizer)
    monkeypatch.setattr(growlib.AuxiliaryWeight, "needed", lambda growth, width: width)
    wide = short_run(growth, trials=20, epochs=100, optimizer=optimizer)
    np.testing.assert_array_equal(narrow.weights, wide.weights)
    assert wide.finals["flops_done"][0] == narrow.finals["flops_done"][0] * 9 / 6


def test_a_size_that_passes_the_bound_is_noticed_and_trained_again():
    """With Adam and a large step the size overshoots 5 by far more than one neuron, and returns."""
    growth = growlib.AuxiliaryWeight(start=0, coupling=5.0)
    options = {
        "optimizer": "adam",
        "lr": 0.6,
        "epochs": 24,
        "dtype": "float64",
        "compiled": False,
    }
    logged_once = short_run(growth, **options, log_every=24, keep_weights=True)
    logged_always = short_run(growth, **options, log_every=1)
    assert logged_always.history["size"].max() > 6

    expected = weights_by_torchs_adam(growth, "cubic-1", range(5), epochs=24, lr=0.6)
    np.testing.assert_allclose(logged_once.weights, expected, atol=1e-6)
    # The first attempt, with 6 neurons, counts as computed as well.
    assert logged_once.finals["flops_done"][0] == (6 + 9) * 24 * 32 * 13


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
    np.testing.assert_array_equal(grown, static)


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
    whole = large_set_run(described, dtype="float64")
    monkeypatch.setattr(growlib, "CHUNK", 3000)
    pieces = large_set_run(described, dtype="float64")
    np.testing.assert_allclose(whole.weights, pieces.weights, atol=1e-13)


# ------------------------------------------------------------------------------- compiled and eager


@pytest.mark.parametrize("optimizer", ["gd", "adam"])
@pytest.mark.parametrize("task", ["cubic-1", "square-wave"])
def test_compiled_and_eager_agree(task, optimizer):
    # In float32 Adam would enlarge the rounding of a newborn neuron to a full step.
    dtype = "float64" if optimizer == "adam" else "float32"
    compiled, eager = (
        growlib.fit(
            task,
            growlib.AuxiliaryWeight(coupling=1.0),
            trials=40,
            epochs=100,
            lr=0.01,
            optimizer=optimizer,
            dtype=dtype,
            compiled=choice,
        )
        for choice in (True, False)
    )
    np.testing.assert_allclose(compiled.weights, eager.weights, atol=1e-5)


def test_compiled_and_eager_agree_on_a_large_set():
    eager, compiled = (
        large_set_run(
            task="spirals", task_options={"points": 1500}, dtype="float64", compiled=choice
        )
        for choice in (False, True)
    )
    np.testing.assert_allclose(eager.weights, compiled.weights, atol=1e-9)


def test_a_step_compiled_once_comes_from_the_disk_in_the_next_process(monkeypatch):
    counted = torch._dynamo.utils.counters["aot_autograd"]
    first = short_run(compiled=True)
    monkeypatch.setattr(growlib, "_COMPILED", {})  # as in a new process
    before = counted["autograd_cache_hit"]
    np.testing.assert_array_equal(first.weights, short_run(compiled=True).weights)
    assert len(growlib._COMPILED) > 0
    assert counted["autograd_cache_hit"] == before + len(growlib._COMPILED)


def test_no_compiler_falls_back_to_eager_with_one_warning(monkeypatch):
    from torch._inductor import cpp_builder

    def no_compiler():
        raise RuntimeError("no compiler")

    monkeypatch.setattr(cpp_builder, "get_cpp_compiler", no_compiler)
    growlib.has_compiler.cache_clear()
    try:
        with pytest.warns(UserWarning, match=r"no C\+\+ compiler was found"):
            short_run(epochs=4)
        short_run(epochs=4)  # a second warning would be an error here
    finally:
        monkeypatch.undo()
        growlib.has_compiler.cache_clear()


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


def test_the_compensated_sum_keeps_steps_below_the_rounding():
    """After 40 000 steps of 1e-8 from 1 the compensated sum is right; a plain one has not moved."""
    theta = torch.ones(1, 1)
    lost = torch.zeros(1, 1)
    plain = torch.ones(1, 1)
    for _ in range(40_000):
        theta, lost = growlib._move(theta, torch.full((1, 1), 1e-8), lost)
        plain = plain + 1e-8
    assert plain.item() == 1
    assert theta.item() == pytest.approx(1.0004, abs=1e-7)


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
    static = short_run(growlib.AuxiliaryWeight(start=5, frozen=True), compiled=False).finals
    assert (static["flops"] == 5 * 24 * 32 * 13).all()


def test_a_step_counts_the_neurons_that_take_part_by_their_gates_alone():
    # The gates are 0.0002 at a size of 0.01 and 0.002 at 1.03; above 0.001 a neuron takes part.
    size = torch.tensor([0.0, 0.5, 1.5, 2.0, 3.0, 0.01, 1.03], dtype=torch.float64)
    theta = torch.cat([size[None], torch.zeros(9, len(size), dtype=torch.float64)])
    # Below theta: what Kahan's sum lost; four rows of gates and slopes, largest size, use.
    state = torch.cat([theta, torch.zeros_like(theta), torch.zeros(6, len(size))])
    after = growlib._update(
        state,
        torch.zeros_like(theta),
        lr=0.0,
        target=0.0,
        coupling=0.0,
        moves=0.0,
        heeds=0.0,
        growth=growlib.AuxiliaryWeight(),
        widths=[2],
        shapes=growlib.layer_shapes(2),
        optimizer="gd",
    )
    assert after[-1].tolist() == [0, 1, 2, 2, 2, 0, 2]
    assert torch.equal(after[-2], size)


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

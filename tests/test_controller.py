"""The controller's mask and the large sets: masks, gradients, who moves the size, geometry, several layers."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import special

import growlib
from growkit import studies

WIDTH = 10
KINDS = [("squared", 1, 1), ("logistic", 1, 1), ("softmax", 2, 5), ("squared", 3, 1)]
GROWTHS = [
    growlib.AuxiliaryWeight(),
    growlib.ControllerMask(),
    growlib.ControllerMask(mask="neuron"),
]


def s_of(p):
    """The controller's value at which sin²(πs/2) is p."""
    return 2 / np.pi * np.arcsin(np.sqrt(p))


def mask_of_paper(s, width, mask):
    p = np.sin(np.pi * s / 2) ** 2
    if mask == "shared":
        return np.full(width, p)
    whole = int(p * width)
    return np.array(
        [1.0] * whole + [p * width - whole] * (whole < width) + [0.0] * (width - whole - 1)
    )


@pytest.mark.parametrize("mask", ["shared", "neuron"])
@pytest.mark.parametrize("s", [0, 1e-5, 0.3, 0.5, 0.77, 1, *s_of(np.arange(1, 10) / 10 + 1e-9)])
def test_mask_is_the_papers(mask, s):
    growth = growlib.ControllerMask(mask=mask)
    gate = growth.gate(torch.tensor([s], dtype=torch.float64), WIDTH)[:, 0]
    np.testing.assert_allclose(gate, mask_of_paper(s, WIDTH, mask), atol=1e-12)


@pytest.mark.parametrize("mask", ["shared", "neuron"])
@pytest.mark.parametrize("k", range(10))
def test_slope_is_the_derivative_on_either_side_of_every_boundary(mask, k):
    growth, h = growlib.ControllerMask(mask=mask), 1e-7
    for p in ((k + 0.01) / 10, (k + 0.99) / 10):
        s = torch.tensor([s_of(p)], dtype=torch.float64)
        expected = (growth.gate(s + h, WIDTH) - growth.gate(s - h, WIDTH)) / (2 * h)
        np.testing.assert_allclose(growth.slope(s, WIDTH), expected, atol=1e-5)


def test_slope_is_zero_at_both_ends():
    for mask in ("shared", "neuron"):
        slope = growlib.ControllerMask(mask=mask).slope(
            torch.tensor([0.0, 1.0], dtype=torch.float64), WIDTH
        )
        np.testing.assert_allclose(slope, 0, atol=1e-14)


def networks(loss, inputs, count, widths, growth):
    generator = torch.Generator().manual_seed(0)
    shapes = growlib.layer_shapes(widths, inputs, count)
    rows = 1 + sum(fan_in * neurons for fan_in, neurons in shapes)
    theta = torch.rand(rows, 3, generator=generator, dtype=torch.float64) * 2 - 1
    theta[0] = torch.tensor(
        [0.3, 2.6, 3.7] if isinstance(growth, growlib.AuxiliaryWeight) else [0.3, 0.55, 0.81]
    )
    x = torch.rand(inputs, 11, 3, generator=generator, dtype=torch.float64) * 2 - 1
    y = torch.randint(0, max(count, 2), (11, 3), generator=generator).double()
    return theta, x, y, shapes


@pytest.mark.parametrize("widths", [[7], [5, 4]])
@pytest.mark.parametrize("loss, inputs, count", KINDS)
@pytest.mark.parametrize("growth", GROWTHS, ids=["auxiliary", "shared", "neuron"])
def test_every_gradient_is_autograds_and_finite_differences(growth, loss, inputs, count, widths):
    theta, x, y, shapes = networks(loss, inputs, count, widths, growth)
    gates = growlib._gates(growth, theta[0], widths)
    gradient = growlib._gradient if len(widths) == 1 else growlib._by_autograd
    ours = gradient(theta, *gates.chunk(2), x, y, 1 / 11, growth, shapes, loss)

    def total(theta):
        return growlib.task_loss(growlib.outputs(theta, x, growth, widths, count), y, loss)

    np.testing.assert_allclose(ours, torch.func.grad(lambda t: total(t).sum())(theta), atol=1e-13)
    for row in (0, 1, 9, -1):
        step = torch.zeros_like(theta)
        step[row] = 1e-6
        np.testing.assert_allclose(
            ours[row], (total(theta + step) - total(theta - step)) / 2e-6, atol=1e-7
        )


def test_softmax_loss_is_torchs_cross_entropy():
    theta, x, y, _ = networks("softmax", 2, 5, [7], GROWTHS[1])
    y_hat = growlib.outputs(theta, x, GROWTHS[1], 7, 5)
    expected = torch.nn.functional.cross_entropy(
        y_hat.permute(2, 1, 0).reshape(-1, 5), y.T.reshape(-1).long(), reduction="none"
    )
    np.testing.assert_allclose(
        growlib.task_loss(y_hat, y, "softmax"), expected.reshape(3, 11).mean(1)
    )


def small(name="bessel-grid", growth=None, **options):
    task_options = options.pop("options", {"points": 2000})
    given = (
        dict(
            trials=2,
            epochs=30,
            log_every=10,
            optimizer="adam",
            lr=0.01,
            width=WIDTH,
            compiled=False,
        )
        | options
    )
    return growlib.fit(
        growlib.task(name, **task_options), growth or growlib.ControllerMask(), **given
    )


def test_the_released_controller_does_not_see_the_data_and_the_described_one_does():
    for learns_from, same in (("size", True), ("loss", False)):
        growth = growlib.ControllerMask(start=0.2, learns_from=learns_from)
        paths = [
            small(name, growth).history["size"].to_numpy()
            for name in ("bessel-grid", "gaussian-mixture")
        ]
        assert np.array_equal(*paths) == same


def test_coupling_does_nothing_to_the_released_path_under_adam():
    weak, strong = (
        small(growth=growlib.ControllerMask(coupling=c), dtype="float64").history["size"]
        for c in (0.1, 3.2)
    )
    np.testing.assert_allclose(weak, strong, rtol=1e-5)


@pytest.mark.parametrize("mask", ["shared", "neuron"])
def test_static_is_a_plain_network_trained_by_torchs_adam(mask):
    growth = growlib.ControllerMask(start=1.0, frozen=True, mask=mask)
    run = small(
        "spirals",
        growth,
        options={"points": 2000, "classes": 3},
        dtype="float64",
        trials=1,
        epochs=20,
    )
    theta = growlib.initial_weights(0, [0], WIDTH, growth, 2, 3)
    _, (hidden, output) = growlib.unpack(theta, growlib.layer_shapes(WIDTH, 2, 3))
    plain = torch.nn.Sequential(
        torch.nn.Linear(3, WIDTH), torch.nn.Tanh(), torch.nn.Linear(WIDTH, 3)
    ).double()
    plain.load_state_dict(
        {
            "0.weight": hidden[1:, :, 0].T,
            "0.bias": hidden[0, :, 0],
            "2.weight": output[1:, :, 0].T,
            "2.bias": output[0, :, 0],
        }
    )
    task = growlib.task("spirals", points=2000, classes=3)
    x, y = (torch.tensor(a)[..., : task.train_points, 0] for a in task.draw(0, [0]))
    optimizer = torch.optim.Adam(plain.parameters(), lr=0.01)
    for _ in range(20):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(
            plain(torch.cat([torch.ones(1, x.shape[1]), x]).T), y.long()
        ).backward()
        optimizer.step()
    _, (trained, _) = growlib.unpack(run.theta(), growlib.layer_shapes(WIDTH, 2, 3))
    np.testing.assert_allclose(trained[1:, :, 0].T, plain[0].weight.detach(), atol=1e-10)


def test_pieces_of_the_points_give_the_whole_gradient(monkeypatch):
    described = growlib.ControllerMask(mask="neuron", learns_from="loss")
    whole = small(growth=described, dtype="float64")
    monkeypatch.setattr(growlib, "CHUNK", 3000)
    np.testing.assert_allclose(
        whole.weights, small(growth=described, dtype="float64").weights, atol=1e-13
    )


def test_compiled_and_eager_agree_on_a_large_set():
    eager, compiled = (
        small("spirals", options={"points": 1500}, dtype="float64", compiled=c)
        for c in (False, True)
    )
    np.testing.assert_allclose(eager.weights, compiled.weights, atol=1e-9)


def test_a_trial_of_a_large_set_is_the_same_to_the_bit_alone_and_among_others():
    np.testing.assert_array_equal(
        small(trials=[2], compiled=True).weights[:, 0], small(trials=4, compiled=True).weights[:, 2]
    )


def test_several_layers_train_and_each_has_its_gate():
    run = small(
        growth=growlib.ControllerMask(mask="neuron", learns_from="loss", start=0.5),
        width=[10, 6],
        epochs=60,
    )
    assert run.finals["width"].unique().tolist() == ["10-6"]
    assert (run.history.query("epoch == 0")["active_width"] == 8).all()  # half of either layer
    assert (
        run.finals["train_task_loss"]
        < run.history.query("epoch == 0")["train_task_loss"].to_numpy()
    ).all()
    assert run.predict([0.0, 0.5]).shape == (2, 2, 1)


def test_first_weights_follow_the_fan_in():
    theta = growlib.initial_weights(0, range(200), 16, growlib.ControllerMask(), 2, 5)
    size, (hidden, output) = growlib.unpack(theta, growlib.layer_shapes(16, 2, 5))
    assert hidden.abs().max() <= 3**-0.5 and hidden.abs().max() > 0.99 * 3**-0.5
    assert output.abs().max() <= 16**-0.5 and output.abs().max() > 0.99 * 16**-0.5
    assert size.std().item() == pytest.approx(1e-5, rel=0.2) and (size != 0).all()


def test_grids_are_scaled_and_split_without_overlap():
    for name in ("bessel-grid", "gaussian-mixture"):
        task = growlib.task(name, points=1000)
        x, y = task.draw(0, [3])
        assert sorted(x[0, :, 0]) == np.linspace(-1, 1, 1000).tolist()
        assert (y.min(), y.max()) == (-1, 1) and (task.train_points, task.test_points) == (800, 200)
        assert not set(x[0, :800, 0]) & set(x[0, 800:, 0])
    assert growlib.task("bessel-grid").train_points == 26_214
    x, y = growlib.task("bessel-grid", points=5000).draw(0, [0])
    raw = sum(special.jv(n, 2 * np.pi * x[0]) for n in (0, 1, 2))
    np.testing.assert_allclose(y, 2 * (raw - raw.min()) / (raw.max() - raw.min()) - 1, atol=1e-12)


def test_gaussian_mixture_has_its_noise():
    (_, clean), (_, noisy) = (
        growlib.task("gaussian-mixture", points=4000, noise=n).draw(0, [0]) for n in (0, 0.1)
    )
    slope, offset = np.polyfit(clean[:, 0], noisy[:, 0], 1)
    assert np.std(noisy[:, 0] - slope * clean[:, 0] - offset) / slope * 1.5 / 2 == pytest.approx(
        0.1, rel=0.1
    )


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_spirals_have_their_geometry(classes):
    task = growlib.task("spirals", points=3000, classes=classes)
    x, y = task.draw(0, [1])
    assert task.points == 3000 // classes * classes and task.outputs == classes
    np.testing.assert_allclose([x.min(1), x.max(1)], [[[-1], [-1]], [[1], [1]]])
    assert np.bincount(y[:, 0].astype(int)).tolist() == [3000 // classes] * classes
    again, _ = task.draw(0, [1])
    np.testing.assert_array_equal(x, again)
    generator = growlib.random_stream(0, 1, "data")
    noise = 0.2 * generator.standard_normal(task.points)
    each = task.points // classes
    t = np.linspace(0, 5, each)
    angle = np.concatenate([np.linspace(4 * k, 4 * k + 4, each) for k in range(classes)]) + noise
    raw = np.tile(t, classes) * np.sin(angle)
    assert sorted(x[0, :, 0]) == pytest.approx(
        sorted(2 * (raw - raw.min()) / (raw.max() - raw.min()) - 1)
    )


def test_confusion_and_accuracy_on_the_test_points():
    run = small("spirals", options={"points": 1500, "classes": 3}, epochs=200)
    task = run.task
    x, y = task.draw(0, [0, 1])
    counts = run.confusion()
    for k in (0, 1):
        predicted = run.predict(x[:, task.train_points :, k].T)[k].argmax(-1)
        truth = y[task.train_points :, k]
        assert run.finals["accuracy"][k] == pytest.approx((predicted == truth).mean())
        mine = (
            counts[counts["trial"] == k]
            .pivot(index="true_class", columns="predicted_class", values="count")
            .to_numpy()
        )
        assert mine.sum(1).tolist() == np.bincount(truth.astype(int)).tolist()
        assert mine.trace() == (predicted == truth).sum()


def test_a_run_on_a_large_set_is_saved_and_loaded(tmp_path):
    run = small("gaussian-mixture", options={"points": 1500, "noise": 0.5})
    run.save(tmp_path / "run.npz")
    again = growlib.load(tmp_path / "run.npz")
    pd.testing.assert_frame_equal(run.finals, again.finals)
    np.testing.assert_array_equal(run.predict([0.1]), again.predict([0.1]))
    assert again.growth == run.growth and again.finals["noise"].unique().tolist() == [0.5]


@pytest.mark.parametrize("reading", studies.READINGS.values(), ids=studies.READINGS)
def test_an_open_gate_has_no_slope_in_deep_networks_either(reading):
    arms = growlib.arms(
        growlib.ControllerMask, feeds=0.0, **reading
    )  # then nothing but rounding could move a grown network's size
    growth, trials = growlib.together({name: arms[name] for name in ("grown", "static")}, 3)
    grown, static = np.split(
        growlib.fit(
            "bessel-sum", growth, trials=trials, epochs=100, width=[8, 8], optimizer="adam", lr=0.01
        ).weights,
        2,
        axis=1,
    )
    np.testing.assert_array_equal(grown, static)

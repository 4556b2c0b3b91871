"""The controls: each is one field of the growth, and at its default nothing of a published run changes."""

import numpy as np
import pytest
import torch

import growlib

WIDTH = 5
FIELDS = [
    {"mask": "shared"},
    {"mask": "reversed"},
    {"feeds": 0.0},
    {"feeds": 0.2},
    {"opens": "nothing"},
    {"opens": "nothing", "feeds": 0.0},
]


def final(growth, name="cubic-1", **settings):
    return growlib.fit(
        name,
        growth,
        **{"trials": 16, "epochs": 300, "width": WIDTH, "dtype": "float64", "log_every": 100}
        | settings,
    )


@pytest.mark.parametrize("fields", FIELDS, ids=str)
@pytest.mark.parametrize(
    "method", [growlib.AuxiliaryWeight, growlib.ControllerMask], ids=lambda m: m.__name__
)
def test_the_written_gradient_is_that_of_the_outputs(fields, method):
    if fields.get("mask") == "reversed" and method is growlib.ControllerMask:
        pytest.skip("a controller has no order to reverse")
    growth = method(
        **fields, **({"learns_from": "loss"} if method is growlib.ControllerMask else {})
    )
    theta = growlib.initial_weights(0, range(4), WIDTH, growth)
    theta[0] = torch.tensor([0.4, 1.7, 3.2, 4.6]) / (1 if method is growlib.AuxiliaryWeight else 5)
    x, y = (torch.tensor(a) for a in growlib.task("cubic-1").draw(0, range(4)))
    gates = growlib._gates(growth, theta[0], [WIDTH])
    ours = growlib._gradient(
        theta, *gates.chunk(2), x, y, 1 / x.shape[1], growth, growlib.layer_shapes(WIDTH), "squared"
    )
    theta.requires_grad_()
    growlib.task_loss(growlib.outputs(theta, x, growth, WIDTH), y, "squared").sum().backward()
    torch.testing.assert_close(ours, theta.grad, rtol=1e-9, atol=1e-12)


def test_a_size_that_its_own_loss_moves_is_a_ramp_that_the_task_cannot_see():
    growth = growlib.AuxiliaryWeight(learns_from="size", coupling=0.5)
    paths = [final(growth, name).history for name in ("cubic-1", "bessel-sum")]
    expected = 5 * (1 - (1 - 2 * 1e-3 * 0.5) ** paths[0]["epoch"])
    for path in paths:
        np.testing.assert_allclose(path["size"], expected, rtol=1e-12)
    assert not np.allclose(
        final(growlib.AuxiliaryWeight(coupling=0.5)).history["size"], expected, rtol=1e-6
    )


def test_reversed_opens_the_last_neuron_first_and_shared_all_at_once():
    size = torch.tensor([0.0, 0.5, 2.3, 5.0], dtype=torch.float64)
    first, last, shared = (
        growlib.AuxiliaryWeight(mask=mask).gate(size, WIDTH)
        for mask in ("staircase", "reversed", "shared")
    )
    torch.testing.assert_close(last, first.flip(0))
    torch.testing.assert_close(shared, growlib.staircase(size / WIDTH).expand(WIDTH, -1))


def test_without_a_feed_the_weights_from_the_size_do_nothing():
    growth = growlib.AuxiliaryWeight(feeds=0.0, start=5.0)
    theta = growlib.initial_weights(0, range(3), WIDTH, growth)
    x = torch.linspace(-1, 1, 7, dtype=torch.float64).reshape(1, 7, 1).expand(-1, -1, 3)
    before = growlib.outputs(theta, x, growth, WIDTH)
    growlib.unpack(theta, growlib.layer_shapes(WIDTH))[1][0][1] += 1  # u
    assert torch.equal(growlib.outputs(theta, x, growth, WIDTH), before)
    assert not torch.equal(
        growlib.outputs(theta, x, growlib.AuxiliaryWeight(start=5.0), WIDTH), before
    )


def test_speed_moves_the_size_alone_and_none_is_frozen():
    ends = {
        speed: final(
            growlib.AuxiliaryWeight(speed=speed, coupling=0.0, start=2.5), epochs=1, log_every=1
        )
        for speed in (0.0, 1.0, 3.0)
    }
    step = {speed: run.weights - ends[0.0].weights for speed, run in ends.items()}
    assert np.abs(step[1.0][0]).min() > 0 and not step[1.0][1:].any()
    np.testing.assert_allclose(step[3.0][0], 3 * step[1.0][0], rtol=1e-9)
    frozen = final(
        growlib.AuxiliaryWeight(frozen=True, coupling=0.0, start=2.5), epochs=1, log_every=1
    )
    np.testing.assert_array_equal(frozen.weights, ends[0.0].weights)


@pytest.mark.parametrize("optimizer", ["gd", "adam"])
def test_speed_is_a_factor_on_the_step_of_either_optimizer(optimizer):
    slow, fast = (
        final(
            growlib.AuxiliaryWeight(speed=speed, learns_from="size"),
            optimizer=optimizer,
            epochs=1,
            log_every=1,
        ).weights[0, 0]
        for speed in (1.0, 2.0)
    )
    assert fast == pytest.approx(2 * slow, rel=1e-12) and slow > 0


def test_a_gate_that_opens_the_rate_warms_it_up():
    start, lr = 0.3, 0.01
    ramp = growlib.ControllerMask(
        opens="rate", feeds=0.0, start=start, start_noise=0.0, coupling=0.0
    )
    plain = growlib.ControllerMask(
        opens="nothing", feeds=0.0, start=start, start_noise=0.0, coupling=0.0
    )
    scaled, full = (
        final(growth, epochs=1, log_every=1, lr=rate).weights
        for growth, rate in ((ramp, lr), (plain, lr * np.sin(np.pi / 2 * start) ** 2))
    )
    np.testing.assert_allclose(scaled, full, rtol=1e-12)
    assert (final(ramp).history["active_width"] == WIDTH).all()


def test_a_shut_gate_on_the_rate_holds_the_weights_still_while_the_size_grows():
    growth = growlib.ControllerMask(opens="rate", start_noise=0.0)
    run = final(growth, epochs=1, log_every=1, optimizer="adam")
    begin = growlib.initial_weights(0, range(16), WIDTH, growth).numpy()
    np.testing.assert_array_equal(run.weights[1:], begin[1:])
    assert (run.weights[0] > 0).all()


def test_the_output_weights_alone_are_scaled():
    growth, shapes = growlib.AuxiliaryWeight(start=5.0, frozen=True), growlib.layer_shapes(WIDTH)
    whole, scaled = (
        final(growth, epochs=1, lr=1e-30, output_scale=scale).weights for scale in (1.0, 0.01)
    )
    (_, (hidden, output)), (_, (same, smaller)) = (
        growlib.unpack(torch.tensor(w), shapes) for w in (whole, scaled)
    )
    assert torch.equal(hidden, same) and torch.equal(output[0], smaller[0])
    torch.testing.assert_close(smaller[1:], 0.01 * output[1:])


def test_adam_begins_anew_when_the_size_arrives():
    lr, shapes = 0.01, growlib.layer_shapes(WIDTH)
    growth = growlib.ControllerMask(
        start=0.985, start_noise=0.0
    )  # the first step brings it within 1 % of 1
    runs = {
        (forgets, epochs): final(
            growlib.replace(growth, forgets=forgets),
            optimizer="adam",
            lr=lr,
            epochs=epochs,
            log_every=1,
        ).weights
        for forgets in (False, True)
        for epochs in (1, 2)
    }
    np.testing.assert_array_equal(runs[False, 1], runs[True, 1])
    anew, on = (np.abs(runs[forgets, 2] - runs[forgets, 1])[1:] for forgets in (True, False))
    np.testing.assert_allclose(
        anew, lr, rtol=1e-3
    )  # the first step of Adam is as long as the learning rate
    assert (np.abs(on - lr) > 0.01 * lr).any() and len(anew) == 1 + sum(
        f * n for f, n in shapes
    ) - 1


def test_pruning_keeps_the_neurons_with_the_largest_weights():
    growth = growlib.AuxiliaryWeight(start=9.0, target=4.0, frozen=True, feeds=0.0)
    kept = final(growth, width=9, epochs=2, lr=1e-30, prune_at=1, log_every=1)
    whole = final(growth, width=9, epochs=1, lr=1e-30, log_every=1)
    _, (hidden, output) = growlib.unpack(whole.theta(), growlib.layer_shapes(9))
    norms = hidden.norm(dim=0) * output[1:].norm(dim=1)
    x = torch.linspace(-1, 1, 7, dtype=torch.float64)
    neurons = output[1:, 0, None] * torch.tanh(
        hidden[0, :, None] + hidden[2, :, None] * x[:, None]
    )  # (H, points, T)
    largest = (
        neurons.gather(0, norms.topk(4, dim=0).indices[:, None].expand(-1, 7, -1)).sum(0)
        + output[0]
    )
    np.testing.assert_allclose(kept.predict(x)[:, :, 0].T, largest, rtol=1e-9, atol=1e-12)
    assert (kept.finals["active_width"] == 4).all() and (kept.finals["arm"] == "static").all()


def test_pruning_takes_the_optimizers_record_along():
    shapes, theta = growlib.layer_shapes(3), torch.arange(1.0, 15.0)[:, None]
    epoch = torch.ones(1, 1)
    state = growlib._pruned([theta.clone(), 10 * theta, epoch], torch.tensor([2.0]), shapes)
    torch.testing.assert_close(state[1][1:], 10 * state[0][1:])
    assert state[0][0] == 2 and state[1][0] == 10 and state[2] is epoch
    assert sorted(state[0][1:, 0].tolist()) == sorted(theta[1:, 0].tolist())


def test_points_in_a_gap_test_and_never_train():
    for name, options in (
        ("bessel-sum", {"points": 288, "test_points": 256}),
        ("bessel-grid", {"points": 2000}),
    ):
        task = growlib.task(name, gap=0.19, **options)
        x, _ = task.draw(0, range(3))
        assert np.abs(x[0, : task.train_points]).min() >= 0.19 and (np.abs(x[0]) < 0.19).sum() > 100
        np.testing.assert_allclose(
            np.sort(x[0], axis=0),
            np.sort(growlib.task(name, **options).draw(0, range(3))[0][0], axis=0),
        )


def test_noise_is_added_to_what_few_points_show():
    clean, noisy = (
        growlib.task("bessel-sum", points=2000, test_points=10, noise=noise).draw(0, [0])
        for noise in (0.0, 0.1)
    )
    np.testing.assert_array_equal(clean[0], noisy[0])
    assert (noisy[1] - clean[1]).std() == pytest.approx(0.1, rel=0.05)


def test_controls_at_their_defaults_are_not_mentioned():
    plain = growlib._described({"growth": growlib.AuxiliaryWeight()})["growth"]
    assert set(plain) == {"method", "start", "target", "coupling", "frozen"}
    told = growlib._described({"growth": growlib.AuxiliaryWeight(feeds=0.2, mask="shared")})[
        "growth"
    ]
    assert told["feeds"] == 0.2 and told["mask"] == "shared" and "speed" not in told
    assert (
        repr(growlib.AuxiliaryWeight())
        == "AuxiliaryWeight(start=0.0, target=5.0, coupling=0.1, frozen=False)"
    )
    assert (
        repr(growlib.AuxiliaryWeight(feeds=0.2))
        == "AuxiliaryWeight(start=0.0, target=5.0, coupling=0.1, frozen=False, feeds=0.2)"
    )


def test_a_control_survives_saving(tmp_path):
    run = final(growlib.AuxiliaryWeight(mask="reversed", feeds=0.2), epochs=10, log_every=10)
    run.save(tmp_path / "run.npz")
    assert growlib.load(tmp_path / "run.npz").growth == run.growth

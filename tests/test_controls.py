"""The controls: each is one field of the growth, and at its default nothing of a published run changes."""

import numpy as np
import pytest
import torch

import growlib

WIDTH = 5
FIELDS = [{"mask": "shared"}, {"mask": "reversed"}, {"feeds": 0.0}, {"feeds": 0.2}, {"opens": "nothing"}, {"opens": "nothing", "feeds": 0.0}]


def final(growth, name="cubic-1", **settings):
    return growlib.fit(name, growth, **{"trials": 16, "epochs": 300, "width": WIDTH, "dtype": "float64", "log_every": 100} | settings)


@pytest.mark.parametrize("fields", FIELDS, ids=str)
@pytest.mark.parametrize("method", [growlib.AuxiliaryWeight, growlib.ControllerMask], ids=lambda m: m.__name__)
def test_the_written_gradient_is_that_of_the_outputs(fields, method):
    if fields.get("mask") == "reversed" and method is growlib.ControllerMask:
        pytest.skip("a controller has no order to reverse")
    growth = method(**fields, **({"learns_from": "loss"} if method is growlib.ControllerMask else {}))
    theta = growlib.initial_weights(0, range(4), WIDTH, growth)
    theta[0] = torch.tensor([0.4, 1.7, 3.2, 4.6]) / (1 if method is growlib.AuxiliaryWeight else 5)
    x, y = (torch.tensor(a) for a in growlib.task("cubic-1").draw(0, range(4)))
    gates = growlib._gates(growth, theta[0], [WIDTH])
    ours = growlib._gradient(theta, *gates.chunk(2), x, y, 1 / x.shape[1], growth, growlib.layer_shapes(WIDTH), "squared")
    theta.requires_grad_()
    growlib.task_loss(growlib.outputs(theta, x, growth, WIDTH), y, "squared").sum().backward()
    torch.testing.assert_close(ours, theta.grad, rtol=1e-9, atol=1e-12)


def test_a_size_that_its_own_loss_moves_is_a_ramp_that_the_task_cannot_see():
    growth = growlib.AuxiliaryWeight(learns_from="size", coupling=0.5)
    paths = [final(growth, name).history for name in ("cubic-1", "bessel-sum")]
    expected = 5 * (1 - (1 - 2 * 1e-3 * 0.5) ** paths[0]["epoch"])
    for path in paths:
        np.testing.assert_allclose(path["size"], expected, rtol=1e-12)
    assert not np.allclose(final(growlib.AuxiliaryWeight(coupling=0.5)).history["size"], expected, rtol=1e-6)


def test_reversed_opens_the_last_neuron_first_and_shared_all_at_once():
    size = torch.tensor([0.0, 0.5, 2.3, 5.0], dtype=torch.float64)
    first, last, shared = (growlib.AuxiliaryWeight(mask=mask).gate(size, WIDTH) for mask in ("staircase", "reversed", "shared"))
    torch.testing.assert_close(last, first.flip(0))
    torch.testing.assert_close(shared, growlib.staircase(size / WIDTH).expand(WIDTH, -1))


def test_without_a_feed_the_weights_from_the_size_do_nothing():
    growth = growlib.AuxiliaryWeight(feeds=0.0, start=5.0)
    theta = growlib.initial_weights(0, range(3), WIDTH, growth)
    x = torch.linspace(-1, 1, 7, dtype=torch.float64).reshape(1, 7, 1).expand(-1, -1, 3)
    before = growlib.outputs(theta, x, growth, WIDTH)
    growlib.unpack(theta, growlib.layer_shapes(WIDTH))[1][0][1] += 1  # u
    assert torch.equal(growlib.outputs(theta, x, growth, WIDTH), before)
    assert not torch.equal(growlib.outputs(theta, x, growlib.AuxiliaryWeight(start=5.0), WIDTH), before)


def test_speed_moves_the_size_alone_and_none_is_frozen():
    ends = {speed: final(growlib.AuxiliaryWeight(speed=speed, coupling=0.0, start=2.5), epochs=1, log_every=1) for speed in (0.0, 1.0, 3.0)}
    step = {speed: run.weights - ends[0.0].weights for speed, run in ends.items()}
    assert np.abs(step[1.0][0]).min() > 0 and not step[1.0][1:].any()
    np.testing.assert_allclose(step[3.0][0], 3 * step[1.0][0], rtol=1e-9)
    frozen = final(growlib.AuxiliaryWeight(frozen=True, coupling=0.0, start=2.5), epochs=1, log_every=1)
    np.testing.assert_array_equal(frozen.weights, ends[0.0].weights)


@pytest.mark.parametrize("optimizer", ["gd", "adam"])
def test_speed_is_a_factor_on_the_step_of_either_optimizer(optimizer):
    slow, fast = (final(growlib.AuxiliaryWeight(speed=speed, learns_from="size"), optimizer=optimizer, epochs=1, log_every=1).weights[0, 0]
                  for speed in (1.0, 2.0))
    assert fast == pytest.approx(2 * slow, rel=1e-12) and slow > 0


def test_a_gate_that_opens_the_rate_warms_it_up():
    start, lr = 0.3, 0.01
    ramp = growlib.ControllerMask(opens="rate", feeds=0.0, start=start, start_noise=0.0, coupling=0.0)
    plain = growlib.ControllerMask(opens="nothing", feeds=0.0, start=start, start_noise=0.0, coupling=0.0)
    scaled, full = (final(growth, epochs=1, log_every=1, lr=rate).weights for growth, rate in
                    ((ramp, lr), (plain, lr * np.sin(np.pi / 2 * start) ** 2)))
    np.testing.assert_allclose(scaled, full, rtol=1e-12)
    assert (final(ramp).history["active_width"] == WIDTH).all()


def test_a_shut_gate_on_the_rate_holds_the_weights_still_while_the_size_grows():
    growth = growlib.ControllerMask(opens="rate", start_noise=0.0)
    run = final(growth, epochs=1, log_every=1, optimizer="adam")
    begin = growlib.initial_weights(0, range(16), WIDTH, growth).numpy()
    np.testing.assert_array_equal(run.weights[1:], begin[1:])
    assert (run.weights[0] > 0).all()


def test_controls_at_their_defaults_are_not_mentioned():
    plain = growlib._described({"growth": growlib.AuxiliaryWeight()})["growth"]
    assert set(plain) == {"method", "start", "target", "coupling", "frozen"}
    told = growlib._described({"growth": growlib.AuxiliaryWeight(feeds=0.2, mask="shared")})["growth"]
    assert told["feeds"] == 0.2 and told["mask"] == "shared" and "speed" not in told


@pytest.mark.parametrize("wrong", [{"mask": "neuron"}, {"opens": "all"}, {"learns_from": "none"}, {"feeds": -1}, {"speed": float("nan")}], ids=str)
def test_a_control_that_is_none_is_named(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        growlib.AuxiliaryWeight(**wrong)


def test_a_control_survives_saving(tmp_path):
    run = final(growlib.AuxiliaryWeight(mask="reversed", feeds=0.2), epochs=10, log_every=10)
    run.save(tmp_path / "run.npz")
    assert growlib.load(tmp_path / "run.npz").growth == run.growth

"""The controls: each is one argument, and at its default nothing of a published run changes."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from blocks import WAYS, advanced, block_of, state_of

import growlib

WIDTH = 5


def control_run(growth, task="cubic-1", **options):
    """Return a run of 16 networks of five neurons in float64; `options` are arguments of `fit`."""
    defaults = {"trials": 16, "epochs": 300, "width": WIDTH, "dtype": "float64", "log_every": 100}
    return growlib.fit(task, growth, **(defaults | options))


# ----------------------------------------------------------------- who moves the size, and how fast


def test_a_size_that_its_own_loss_moves_is_a_ramp_that_the_task_cannot_see():
    growth = growlib.AuxiliaryWeight(learns_from="size", coupling=0.5)
    cubic = control_run(growth, "cubic-1").history
    bessel = control_run(growth, "bessel-sum").history
    ramp = 5 * (1 - (1 - 2 * 1e-3 * 0.5) ** cubic["epoch"])
    np.testing.assert_allclose(cubic["size"], ramp, rtol=1e-12)
    np.testing.assert_allclose(bessel["size"], ramp, rtol=1e-12)

    by_whole_loss = control_run(growlib.AuxiliaryWeight(coupling=0.5)).history
    assert not np.allclose(by_whole_loss["size"], ramp, rtol=1e-6)


def test_speed_moves_the_size_alone_and_speed_0_is_frozen():
    def after_one_epoch(**fields):
        growth = growlib.AuxiliaryWeight(coupling=0.0, start=2.5, **fields)
        return control_run(growth, epochs=1, log_every=1).weights

    still = after_one_epoch(speed=0.0)
    step = after_one_epoch(speed=1.0) - still
    three_times_as_fast = after_one_epoch(speed=3.0) - still
    assert np.abs(step[0]).min() > 0
    assert not step[1:].any()
    np.testing.assert_allclose(three_times_as_fast[0], 3 * step[0], rtol=1e-9)
    np.testing.assert_array_equal(after_one_epoch(frozen=True), still)


@pytest.mark.parametrize("optimizer", ["gd", "adam"])
def test_speed_is_a_factor_on_the_step_of_both_optimizers(optimizer):
    slow, fast = (
        control_run(
            growlib.AuxiliaryWeight(speed=speed, learns_from="size"),
            optimizer=optimizer,
            epochs=1,
            log_every=1,
        ).weights[0, 0]
        for speed in (1.0, 2.0)
    )
    assert fast == pytest.approx(2 * slow, rel=1e-12)
    assert slow > 0


# ------------------------------------------------------------------------------ what the gate opens


def test_a_gate_that_opens_the_rate_scales_every_step():
    """One step at the rate that the gate leaves open is a step at that rate."""
    start = 0.3
    lr = 0.01
    fields = {"feeds": 0.0, "start": start, "start_noise": 0.0, "coupling": 0.0}
    ramp = growlib.ControllerMask(opens="rate", **fields)
    plain = growlib.ControllerMask(opens="nothing", **fields)
    scaled_lr = lr * np.sin(np.pi / 2 * start) ** 2
    by_ramp = control_run(ramp, epochs=1, log_every=1, lr=lr).weights
    by_scaled_lr = control_run(plain, epochs=1, log_every=1, lr=scaled_lr).weights
    np.testing.assert_allclose(by_ramp, by_scaled_lr, rtol=1e-12)
    assert (control_run(ramp).history["active_width"] == WIDTH).all()


def test_a_shut_gate_on_the_rate_holds_the_weights_still_while_the_size_grows():
    growth = growlib.ControllerMask(opens="rate", start_noise=0.0)
    run = control_run(growth, epochs=1, log_every=1, optimizer="adam")
    first = growlib.initial_weights(0, range(16), WIDTH, growth).numpy()
    np.testing.assert_array_equal(run.weights[1:], first[1:])
    assert (run.weights[0] > 0).all()


# ---------------------------------------------------------------------------- scaled output weights


def test_output_scale_scales_the_output_weights_alone():
    growth = growlib.AuxiliaryWeight(start=5.0, frozen=True)
    shapes = growlib.layer_shapes(WIDTH)
    # The rate is so small that the trained weights are the first ones.
    whole = control_run(growth, epochs=1, lr=1e-30, output_scale=1.0)
    scaled = control_run(growth, epochs=1, lr=1e-30, output_scale=0.01)
    _, (hidden, output) = growlib.unpack(whole.theta(), shapes)
    _, (scaled_hidden, scaled_output) = growlib.unpack(scaled.theta(), shapes)
    assert torch.equal(hidden, scaled_hidden)
    assert torch.equal(output[0], scaled_output[0])
    torch.testing.assert_close(scaled_output[1:], 0.01 * output[1:])


# -------------------------------------------------------------------- Adam that forgets its moments


def test_adam_begins_anew_when_the_size_arrives():
    lr = 0.01
    # The first step brings the size within 1 % of the target, which is 1.
    arriving = growlib.ControllerMask(start=0.985, start_noise=0.0)

    def weights_after(epochs, forgets):
        growth = replace(arriving, forgets=forgets)
        options = {"optimizer": "adam", "lr": lr, "epochs": epochs, "log_every": 1}
        return control_run(growth, **options).weights

    after_first = weights_after(1, forgets=False)
    np.testing.assert_array_equal(after_first, weights_after(1, forgets=True))

    # The first step of Adam, and so the first one after it forgot, is as long as the rate.
    second_step_anew = np.abs(weights_after(2, forgets=True) - after_first)[1:]
    second_step = np.abs(weights_after(2, forgets=False) - after_first)[1:]
    np.testing.assert_allclose(second_step_anew, lr, rtol=1e-3)
    assert (np.abs(second_step - lr) > 0.01 * lr).any()
    weights = sum(fan_in * neurons for fan_in, neurons in growlib.layer_shapes(WIDTH))
    assert len(second_step_anew) == weights


# Distances from the target before and after a step, in hundredths of the target, and whether Adam
# forgets in this step.
ARRIVALS = [
    (2, 0.5, True),
    (1.005, 0.5, True),
    (2, 0.995, True),
    (0.5, 0.4, False),
    (0.995, 0.5, False),
    (2, 1.005, False),
    (3, 2, False),
    (0.5, 2, False),
]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("target", [100.0, 60.0])
@pytest.mark.parametrize("side", [-1, 1], ids=["from below", "from above"])
def test_adam_forgets_when_a_size_comes_within_a_hundredth_of_its_target_and_no_other_time(
    side, target, way
):
    before, after = torch.tensor([row[:2] for row in ARRIVALS], dtype=torch.float64).T
    size = target * (1 + side * before / 100)
    next_size = target * (1 + side * after / 100)
    forgets = [row[2] for row in ARRIVALS]
    state = adam_state(size)

    # A step at a rate of 1 tells at which rate each size gets to where it is to go.
    step = size - moved_by_moments(way, state, target, lr=1.0).theta[0]
    assert (step != 0).all()
    done = moved_by_moments(way, state, target, lr=((size - next_size) / step).numpy())
    torch.testing.assert_close(done.theta[0], next_size, rtol=0, atol=1e-6)
    for moments in (done.mean, done.square, 1 - done.decay):
        assert [not of_network.any() for of_network in moments.T] == forgets


def adam_state(size):
    """Return the state of networks of two neurons that Adam has trained for five epochs.

    Their weights v and biases c are 0, and so are their outputs.
    """
    theta = torch.rand(10, len(size), dtype=torch.float64)
    theta[0] = size
    theta[-3:] = 0
    mean, square = torch.rand(2, 10, len(size), dtype=torch.float64)
    mean[0] = 1
    square[0] = 1e-30
    decay = torch.tensor([[0.9], [0.999]], dtype=torch.float64) ** 5
    decay = decay.expand(2, len(size))
    return state_of(theta, mean=mean, square=square, decay=decay)


def moved_by_moments(way, state, target, lr):
    """Return the state after a step in which the losses have no gradient: the moments move it."""
    growth = growlib.AuxiliaryWeight(target=target, coupling=0.0, forgets=True)
    nothing = torch.zeros(1, 3, len(state.used))  # the answer to any x is 0, and is right
    block = block_of(growth, nothing, nothing[0], widths=[2], lr=lr, optimizer="adam")
    return advanced(way, block, state)


# ------------------------------------------------------------------------------------------ pruning


def test_pruning_keeps_the_neurons_with_the_largest_weights():
    growth = growlib.AuxiliaryWeight(start=9.0, target=4.0, frozen=True, feeds=0.0)
    pruned = control_run(growth, width=9, epochs=2, lr=1e-30, prune_at=1, log_every=1)
    whole = control_run(growth, width=9, epochs=1, lr=1e-30, log_every=1)

    # What the four neurons with the largest products of norms give together.
    _, (hidden, output) = growlib.unpack(whole.theta(), growlib.layer_shapes(9))
    norms = hidden.norm(dim=0) * output[1:].norm(dim=1)  # (H, T)
    x = torch.linspace(-1, 1, 7, dtype=torch.float64)
    tanh = torch.tanh(hidden[0, :, None] + hidden[2, :, None] * x[:, None])
    neurons = output[1:, 0, None] * tanh  # (H, points, T)
    largest = norms.topk(4, dim=0).indices[:, None].expand(-1, 7, -1)
    expected = neurons.gather(0, largest).sum(0) + output[0]  # (points, T)

    np.testing.assert_allclose(pruned.predict(x)[:, :, 0].T, expected, rtol=1e-9, atol=1e-12)
    assert (pruned.finals["active_width"] == 4).all()
    assert (pruned.finals["arm"] == "static").all()


def test_pruning_takes_the_optimizers_record_along():
    theta = torch.arange(1.0, 15.0, dtype=torch.float64)[:, None]
    state = state_of(theta, mean=10 * theta, square=100 * theta)
    x = torch.zeros(1, 3, 1)
    block = block_of(growlib.AuxiliaryWeight(target=2.0), x, x[0], widths=[3])
    pruned = growlib._prune(state, block)
    torch.testing.assert_close(pruned.mean[1:], 10 * pruned.theta[1:])
    torch.testing.assert_close(pruned.square[1:], 100 * pruned.theta[1:])
    assert pruned.theta[0] == 2
    assert pruned.mean[0] == 10
    assert pruned.decay is state.decay
    assert sorted(pruned.theta[1:, 0].tolist()) == sorted(theta[1:, 0].tolist())
    assert not torch.equal(pruned.theta[1:], theta[1:])
    assert state.theta is theta
    assert theta[0] == 1

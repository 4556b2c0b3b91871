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


def test_newborn_scale_scales_what_goes_out_of_the_neurons_that_are_shut():
    growth = growlib.AuxiliaryWeight(start=2.5, frozen=True)
    options = {"epochs": 1, "lr": 1e-30, "output_scale": 0.5}
    whole = control_run(growth, **options)
    scaled = control_run(growth, newborn_scale=0.1, **options)
    factors = np.ones(len(whole.weights))
    factors[-2:] = 0.1  # of the five neurons two are shut; their outgoing weights come last
    np.testing.assert_allclose(scaled.weights, factors[:, None] * whole.weights, rtol=1e-12)


# ----------------------------------------------------------------------------------- decaying rates


def test_a_cosine_takes_the_learning_rate_to_0():
    growth = growlib.AuxiliaryWeight(start=5.0, frozen=True)
    first = growlib.initial_weights(0, range(16), WIDTH, growth).numpy()
    moved = []
    for epochs in (1, 2):
        run = control_run(growth, lr=1e-8, epochs=epochs, log_every=1, schedule="cosine")
        moved.append(run.weights - first)
    # So small a step changes no gradient: the factors are 1, and then (1 + cos(π / 2)) / 2.
    np.testing.assert_allclose(moved[1], 1.5 * moved[0], rtol=1e-4, atol=1e-12)


def test_a_cosine_ends_with_the_last_of_several_epochs():
    growth = growlib.AuxiliaryWeight()
    options = {"schedule": "cosine", "log_every": 50}
    both = control_run(growth, epochs=(100, 200), **options)
    alone = control_run(growth, epochs=200, **options)
    np.testing.assert_array_equal(both.weights, alone.weights)


# --------------------------------------------------------------------------------- delayed training


@pytest.mark.parametrize("optimizer", ["gd", "adam", "momentum"])
def test_a_neuron_whose_training_waits_takes_part_and_rests(optimizer):
    growth = growlib.AuxiliaryWeight(start=2.0, frozen=True, opens="training", feeds=0.0)
    first = growlib.initial_weights(0, range(16), WIDTH, growth)
    run = control_run(growth, optimizer=optimizer)
    shapes = growlib.layer_shapes(WIDTH)
    _, (hidden, output) = growlib.unpack(first, shapes)
    _, (trained_hidden, trained_output) = growlib.unpack(run.theta(), shapes)
    assert torch.equal(trained_hidden[:, 2:], hidden[:, 2:])
    assert torch.equal(trained_output[3:], output[3:])
    assert not torch.isclose(trained_hidden[0, :2], hidden[0, :2]).any()
    assert (run.finals["active_width"] == WIDTH).all()


# ------------------------------------------------------------------------------- a count of its own


def opening(**fields):
    """Return a growth whose second neuron opens after some 55 of 100 steps of Adam at 0.01."""
    growth = {"learns_from": "size", "start": 0.5, "target": 5.0, "feeds": 0.0, "mask": "steps"}
    return growlib.AuxiliaryWeight(**growth | fields)


def steps_of_second_neuron(growth, **options):
    """Return how far each weight into the second neuron moves in each epoch, (epochs, 2, T)."""
    options = {"optimizer": "adam", "lr": 0.01, "epochs": 100, "log_every": 1} | options
    run = control_run(growth, keep_weights=True, **options)
    moved = []
    for epoch in range(101):
        _, (hidden, _) = growlib.unpack(run.theta(epoch), growlib.layer_shapes(WIDTH))
        moved.append(hidden[[0, 2], 1])
    return np.diff(np.stack(moved), axis=0)


def test_a_newborn_moves_too_fast_by_the_networks_count_and_not_by_its_own():
    by_network = np.abs(steps_of_second_neuron(opening()))
    by_neuron = np.abs(steps_of_second_neuron(opening(), counts="neuron"))
    born = np.flatnonzero(by_neuron.any(axis=(1, 2)))[0]
    assert 30 < born < 80
    assert not by_network[:born].any()
    # The first step of Adam is as long as the rate, if its own count corrects the averages.
    np.testing.assert_allclose(by_neuron[born], 0.01, rtol=1e-3)
    steps = born + 1
    too_far = 0.1 / (1 - 0.9**steps) / np.sqrt(0.001 / (1 - 0.999**steps))
    np.testing.assert_allclose(by_network[born], 0.01 * too_far, rtol=1e-3)


def test_moments_are_reset_neuron_by_neuron_when_growing_would_open_them():
    static = opening(opens="nothing")
    keeping = np.abs(steps_of_second_neuron(static, counts="neuron"))
    resetting = np.abs(steps_of_second_neuron(replace(static, forgets="neuron"), counts="neuron"))
    differ = (keeping != resetting).any(axis=(1, 2))
    reset = np.flatnonzero(differ)[0]
    assert 30 < reset < 80
    np.testing.assert_allclose(resetting[reset], 0.01, rtol=1e-3)
    assert (np.abs(keeping[reset] - 0.01) > 1e-4).any()


# ----------------------------------------------------------------------------------------- momentum


def test_momentum_is_that_of_torch():
    growth = growlib.AuxiliaryWeight(start=5.0, target=5.0, feeds=0.0, frozen=True)
    run = control_run(growth, optimizer="momentum", lr=0.01, epochs=20, log_every=20)
    theta = growlib.initial_weights(0, range(16), WIDTH, growth).requires_grad_()
    x, y = growlib.task("cubic-1").draw(0, range(16))
    train = slice(growlib.task("cubic-1").train_points)
    x, y = torch.tensor(x)[:, train], torch.tensor(y)[train]
    optimizer = torch.optim.SGD([theta], lr=0.01, momentum=0.9)
    for _ in range(20):
        optimizer.zero_grad()
        y_hat = growlib.outputs(theta, x, growth, WIDTH, 1)
        growlib.task_loss(y_hat, y, "squared").sum().backward()
        theta.grad[0] = 0
        optimizer.step()
    torch.testing.assert_close(run.theta(), theta.detach(), rtol=1e-9, atol=1e-11)


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


def test_pruning_at_several_epochs_takes_the_same_number_of_neurons_each_time():
    growth = growlib.AuxiliaryWeight(start=9.0, target=3.0, frozen=True, feeds=0.0)
    run = control_run(growth, width=9, epochs=9, prune_at=(2, 4, 7), log_every=1)
    sizes = run.history.groupby("epoch")["active_width"].unique()
    # The pruning of an epoch comes after that epoch was logged.
    assert sizes.map(list).tolist() == [[9]] * 3 + [[7]] * 2 + [[5]] * 3 + [[3]] * 2
    assert (run.finals["size"] == 3).all()


def test_a_neuron_that_was_pruned_does_not_come_back():
    """The first pruning shuts the third neuron; its weights then are the largest of all."""
    growth = growlib.AuxiliaryWeight(start=3.0, target=1.0, frozen=True, feeds=0.0)
    x = torch.zeros(1, 3, 1)
    block = block_of(growth, x, x[0], widths=[3])
    theta = torch.ones(14, 1, dtype=torch.float64)
    theta[0] = 3
    theta[-3:] = torch.tensor([[3.0], [2.0], [1.0]])  # the outgoing weights
    own = torch.ones(2, 3, 1, dtype=torch.float64)
    once = growlib._prune(state_of(theta, own=own), block, left=2)
    assert once.theta[0] == 2
    once.theta[-1] = 100
    twice = growlib._prune(once, block)
    assert twice.theta[0] == 1
    assert twice.theta[-3:, 0].tolist() == [3, 2, 100]


def test_pruning_takes_the_optimizers_record_along():
    theta = torch.arange(1.0, 15.0, dtype=torch.float64)[:, None]
    theta[0] = 3.0
    own = torch.tensor([[0.1, 0.2, 0.3]] * 2, dtype=torch.float64)[..., None]
    state = state_of(theta, mean=10 * theta, square=100 * theta, own=own)
    x = torch.zeros(1, 3, 1)
    block = block_of(growlib.AuxiliaryWeight(target=2.0), x, x[0], widths=[3])
    pruned = growlib._prune(state, block)
    torch.testing.assert_close(pruned.mean[1:], 10 * pruned.theta[1:])
    torch.testing.assert_close(pruned.square[1:], 100 * pruned.theta[1:])
    assert pruned.theta[0] == 2
    assert pruned.mean[0] == 30
    assert pruned.decay is state.decay
    neurons = (pruned.theta[-3:] - theta[-3]) % 3  # the places where they were: 0, 1, 2
    assert pruned.own[0].tolist() == own[0, neurons[:, 0].long()].tolist()
    assert sorted(pruned.theta[1:, 0].tolist()) == sorted(theta[1:, 0].tolist())
    assert not torch.equal(pruned.theta[1:], theta[1:])
    assert state.theta is theta
    assert theta[0] == 3

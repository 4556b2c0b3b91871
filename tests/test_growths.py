"""Other ways to a network of a certain size: their events, first weights, gates and costs."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from blocks import block_of, state_of

import growlib
from growkit import growths, rules, studies

STATIC = {"start": 5.0, "target": 5.0, "frozen": True, "feeds": 0.0}
TRIALS = 6


def first_weights(growth, task="bessel-sum", trials=TRIALS, **options):
    """Return the weights with which a training begins, (rows, T): it takes one tiny step."""
    options = {"epochs": 1, "lr": 1e-30, "width": 5, "dtype": "float64"} | options
    return growlib.fit(task, growth, trials=trials, **options).weights


def test_another_start_is_another_draw_and_draw_0_is_the_trials_own():
    plain = growlib.AuxiliaryWeight(**STATIC)
    own = first_weights(plain)
    np.testing.assert_array_equal(first_weights(growths.OtherStart(**STATIC, draw=0)), own)
    others = [first_weights(growths.OtherStart(**STATIC, draw=draw)) for draw in (1, 2)]
    for other in others:
        assert (other[0] == own[0]).all()
        assert (other[1:] != own[1:]).all()
    assert (others[0][1:] != others[1][1:]).all()

    numbers = [k + 2 * growths.NEXT_DRAW for k in range(TRIALS)]
    expected = growlib.initial_weights(0, numbers, 5, plain)
    np.testing.assert_array_equal(others[1], expected)


def test_other_starts_train_by_loops_and_in_any_company():
    growth = growths.OtherStart(**STATIC, draw=3)
    settings = {"epochs": 50, "width": 5, "dtype": "float64", "lr": 0.01, "optimizer": "adam"}
    loops = growlib.fit("bessel-sum", growth, trials=4, **settings)
    autograd = growlib.fit("bessel-sum", growth, trials=4, compiled=False, **settings)
    np.testing.assert_allclose(loops.weights, autograd.weights, rtol=0, atol=1e-9)
    alone = growlib.fit("bessel-sum", growth, trials=[2], **settings)
    np.testing.assert_array_equal(alone.weights[:, 0], loops.weights[:, 2])


def error_of_best_outputs(theta, task, trial):
    """Return the error of one network with the best output layer, by the normal equations."""
    _, (hidden, _) = growlib.unpack(torch.tensor(theta)[:, None], growlib.layer_shapes(5, 1, 1))
    x, y = task.draw(0, [trial])
    x, y = x[0, : task.train_points, 0], y[: task.train_points, 0]
    bias, _, slope = hidden[:, :, 0].numpy()
    features = np.column_stack([np.ones_like(x), np.tanh(bias + np.outer(x, slope))])
    if task.loss == "logistic":
        y = 2 * y - 1
    best = features @ np.linalg.pinv(features) @ y
    return np.mean((best - y) ** 2)


@pytest.mark.parametrize("name", ["bessel-sum", "square-wave"])
def test_the_best_start_is_the_draw_with_the_least_error_after_least_squares(name):
    task = growlib.task(name)
    draws = [first_weights(growths.OtherStart(**STATIC, draw=draw), name) for draw in range(8)]
    chosen = first_weights(growths.BestStart(**STATIC, draws=8), name)
    taken = []
    for trial in range(TRIALS):
        errors = [error_of_best_outputs(theta[:, trial], task, trial) for theta in draws]
        best = int(np.argmin(errors))
        np.testing.assert_array_equal(chosen[:, trial], draws[best][:, trial])
        taken.append(best)
    assert len(set(taken)) > 1


def test_the_best_of_one_start_is_the_trials_own():
    own = first_weights(growlib.AuxiliaryWeight(**STATIC))
    np.testing.assert_array_equal(first_weights(growths.BestStart(**STATIC, draws=1)), own)


def test_every_class_counts_in_the_choice_of_a_start():
    spirals = growlib.task("spirals", points=60, classes=3)
    chosen = first_weights(growths.BestStart(**STATIC, draws=8), spirals)
    own = first_weights(growlib.AuxiliaryWeight(**STATIC), spirals)
    assert (chosen != own).any()


def test_what_the_choice_costs_is_counted():
    settings = {"trials": 2, "epochs": 10, "width": 5}
    plain = growlib.fit("bessel-sum", growlib.AuxiliaryWeight(**STATIC), **settings).finals
    best = growlib.fit("bessel-sum", growths.BestStart(**STATIC, draws=4), **settings).finals
    # For each draw five neurons with two weights and a bias at 32 points, and least squares of six.
    each = 2 * 32 * 3 * 5 + 4 * 32 * 6**2
    assert (best["flops"] - plain["flops"]).tolist() == [4 * each] * 2


def test_a_growth_that_begins_elsewhere_still_prunes():
    growth = replace(growths.OtherStart(**STATIC, draw=1), start=5.0, target=2.0)
    run = growlib.fit("bessel-sum", growth, trials=2, epochs=4, width=5, prune_at=2)
    assert (run.finals["size"] == 2).all()


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: growths.OtherStart(draw=-1), "draw is -1; it takes a whole number of at least 0"),
        (lambda: growths.BestStart(draws=0), "draws is 0; it takes a whole number of at least 1"),
        (
            lambda: growlib.fit(
                "bessel-sum", growths.BestStart(), trials=1, epochs=1, width=[5, 5]
            ),
            "draws is 8; it takes 1, since the candidates have one hidden layer",
        ),
    ],
)
def test_what_a_start_does_not_take_is_said(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_studies_know_the_other_ways_by_name():
    grid = {"task": "bessel-sum", "method": "BestStart", "draws": 64, "arm": "static", "width": 5}
    [setting] = studies._settings(grid)
    assert setting["growth"] == growths.BestStart(start=5.0, frozen=True, draws=64)


# --------------------------------------------------------------------------------- by schedule


@pytest.mark.parametrize(
    "changed, epochs, joining",
    [
        ({"until": 0.4}, 100, {10: 1, 20: 1, 30: 1, 40: 1}),
        ({"until": 0.5}, 16, {2: 1, 4: 1, 6: 1, 8: 1}),
        ({"until": 0.5}, 8, {1: 1, 2: 1, 3: 1, 4: 1}),
        ({"target": 8.0, "each": 3, "until": 0.3}, 100, {10: 3, 20: 3, 30: 1}),
        ({"start": 3.0, "each": 9, "until": 0.25}, 100, {25: 2}),
        ({"until": 0}, 100, {0: 4}),
        ({"start": 5.0}, 100, {}),
    ],
)
def test_neurons_join_at_even_times_until_a_share_of_the_training(changed, epochs, joining):
    assert growths.Scheduled(**changed).joining(epochs) == joining


def test_static_and_growing_schedules_say_which_arm_they_are():
    assert growths.Scheduled().arm() == "growing"
    assert growths.Scheduled(start=5.0).arm() == "static"


def sizes_by_epoch(growth, **options):
    """Return the number of neurons after each epoch, which is the same for all networks."""
    options = {"epochs": 20, "width": 10, "trials": 3, "log_every": 1} | options
    history = growlib.fit("bessel-sum", growth, **options).history
    by_epoch = history.groupby("epoch")["active_width"]
    assert (by_epoch.nunique() == 1).all()
    return by_epoch.first().tolist()


def test_the_size_follows_the_schedule():
    growth = growths.Scheduled(start=1.0, target=6.0, each=2, until=0.6)
    # Neurons that join after epoch 4 are trained, and counted, in epoch 5.
    assert sizes_by_epoch(growth) == [1] * 5 + [3] * 4 + [5] * 4 + [6] * 8
    assert sizes_by_epoch(replace(growth, until=0)) == [1] + [6] * 20


@pytest.mark.parametrize("optimizer, counts", [("gd", "network"), ("adam", "neuron")])
def test_all_joining_as_drawn_before_the_first_step_is_the_static_network(optimizer, counts):
    settings = {"trials": 4, "epochs": 30, "width": 5, "optimizer": optimizer, "counts": counts}
    grown = growths.Scheduled(start=1.0, target=5.0, rule="as-drawn", until=0)
    static = growths.Scheduled(start=5.0, target=5.0)
    runs = [growlib.fit("bessel-sum", growth, **settings) for growth in (grown, static)]
    np.testing.assert_array_equal(runs[0].weights, runs[1].weights)
    for column in ("train_task_loss", "test_task_loss", "flops"):
        assert (runs[0].finals[column] == runs[1].finals[column]).all()


def test_a_static_schedule_is_the_static_network_of_growlib():
    settings = {"trials": 4, "epochs": 30, "width": 5}
    static = growlib.AuxiliaryWeight(**STATIC, mask="steps", coupling=0.0)
    plain = growlib.fit("bessel-sum", static, **settings)
    scheduled = growlib.fit("bessel-sum", growths.Scheduled(start=5.0, target=5.0), **settings)
    np.testing.assert_array_equal(scheduled.weights, plain.weights)


def birth(growth, moments, monkeypatch):
    """Return two networks before and after one neuron joins the second, of three neurons.

    `moments` fills the optimizer's memory.
    """

    def joins_second(site, count):
        grows = torch.tensor([False, True])
        return rules.Born(site.first_incoming + 1, site.first_outgoing - 1, 5, grows=grows)

    monkeypatch.setitem(rules.RULES, "second", joins_second)
    generator = np.random.default_rng(3)
    block = block_of(
        replace(growth, rule="second"),
        generator.normal(size=(1, 6, 2)),
        generator.normal(size=(6, 2)),
        widths=(4,),
        epochs=[10],
    )
    rows = 1 + 3 * 4 + 5
    theta = torch.from_numpy(generator.normal(size=(rows, 2)))
    theta[0] = 3
    filled = {name: torch.from_numpy(generator.uniform(1, 2, (rows, 2))) for name in moments}
    decay = torch.full((2, 2), 0.5, dtype=torch.float64)
    own = torch.full((2, 4, 2), 0.25, dtype=torch.float64)
    state = state_of(theta, 4, decay=decay, own=own, **filled)
    [event] = block.growth.events(block.settings).values()
    return state, event(state, block), block


JOINS_ONE = growths.Scheduled(start=3.0, target=4.0)


def layers_of(rows, block):
    """Return the hidden layer (3, 4, T) and the output weights (4, 1, T)."""
    _, (hidden, output) = growlib.unpack(rows, block.shapes)
    return hidden, output[1:]


def test_newborn_weights_are_those_of_the_rule_where_the_network_grows(monkeypatch):
    before, after, block = birth(JOINS_ONE, (), monkeypatch)
    assert torch.equal(after.theta[:, 0], before.theta[:, 0])
    assert after.theta[0].tolist() == [3, 4]
    assert after.spent.tolist() == [5, 5]
    expected = before.theta.clone()
    expected[0, 1] = 4
    hidden, outgoing = layers_of(expected, block)
    hidden[[0, 2], 3, 1] += 1  # that from the size, which is none, stays
    outgoing[3, 0, 1] -= 1
    assert torch.equal(after.theta, expected)


def test_nothing_is_remembered_of_newborn_neurons_by_default(monkeypatch):
    before, after, block = birth(JOINS_ONE, ("mean", "square"), monkeypatch)
    for name in ("mean", "square"):
        expected = getattr(before, name).clone()
        hidden, outgoing = layers_of(expected, block)
        hidden[:, 3, 1] = 0
        outgoing[3, :, 1] = 0
        assert torch.equal(getattr(after, name), expected)
    assert torch.equal(after.decay, before.decay)
    own = before.own.clone()
    own[:, 3, 1] = 1
    assert torch.equal(after.own, own)


def test_newborn_neurons_may_have_the_median_mean_square_of_the_old_ones(monkeypatch):
    growth = replace(JOINS_ONE, newborn="median")
    before, after, block = birth(growth, ("mean", "square"), monkeypatch)
    expected = before.square.clone()
    hidden, outgoing = layers_of(expected, block)
    hidden[:, 3, 1] = torch.from_numpy(np.median(hidden[:, :3, 1], axis=1))
    outgoing[3, 0, 1] = float(np.median(outgoing[:3, 0, 1]))
    assert torch.equal(after.square, expected)
    hidden, outgoing = layers_of(after.mean, block)
    assert (hidden[:, 3, 1] == 0).all() and (outgoing[3, 0, 1] == 0).all()
    hidden, outgoing = layers_of(before.mean, block)
    hidden[:, 3, 1] = 0
    outgoing[3, 0, 1] = 0
    assert torch.equal(after.mean, before.mean)
    assert torch.equal(after.decay, before.decay)


def test_all_may_be_forgotten_in_a_network_that_grows(monkeypatch):
    growth = replace(JOINS_ONE, newborn="reset")
    before, after, _ = birth(growth, ("mean", "square"), monkeypatch)
    for name, forgotten in {"mean": 0, "square": 0, "decay": 1, "own": 1}.items():
        was, now = getattr(before, name), getattr(after, name)
        assert torch.equal(now[..., 0], was[..., 0])
        assert (now[..., 1] == forgotten).all()


def test_the_first_step_of_newborn_weights_is_one_learning_rate_if_their_own_steps_count():
    growth = growths.Scheduled(start=4.0, target=5.0, rule="as-drawn", until=0.5)
    run = growlib.fit(
        "bessel-sum",
        growth,
        trials=16,
        epochs=60,
        width=5,
        lr=1e-3,
        optimizer="adam",
        counts="neuron",
        dtype="float64",
        log_every=1,
        keep_weights=True,
    )
    change = (run.theta(31) - run.theta(30)).abs()
    _, (hidden, output) = growlib.unpack(change, growlib.layer_shapes(5, 1, 1))
    np.testing.assert_allclose(hidden[[0, 2], 4], 1e-3, rtol=1e-3)
    np.testing.assert_allclose(output[5], 1e-3, rtol=1e-3)
    assert (hidden[[0, 2], :4] / 1e-3 - 1).abs().median() > 0.05


@pytest.mark.parametrize("rule", rules.RULES)
def test_a_training_that_diverges_ends_and_is_counted(rule):
    each = 2 if rule.startswith("variance") else 1
    growth = growths.Scheduled(start=2.0, target=4.0, rule=rule, each=each, until=0.8)
    settings = {"trials": 2, "epochs": 10, "width": 4, "lr": 1e6, "optimizer": "momentum"}
    finals = growlib.fit("bessel-sum", growth, **settings).finals
    assert finals["diverged"].all()


def test_trials_must_agree_on_their_schedule():
    growth = growths.Scheduled(start=np.array([1.0, 2.0]), target=4.0)
    match = "start is array.*; it takes one whole number of neurons for all trials"
    with pytest.raises(ValueError, match=match):
        growlib.fit("bessel-sum", growth, trials=2, epochs=10)


@pytest.mark.parametrize(
    "make, message",
    [
        (
            lambda: growths.Scheduled().joining(7),
            "until is 0.5; it takes a share of the 7 epochs that ends before them and has at "
            "least 4",
        ),
        (
            lambda: growths.Scheduled(target=2.5).joining(7),
            "target is 2.5; it takes one whole number of neurons for all trials",
        ),
        (lambda: growths.Scheduled(until=1), "until is 1; it takes a share of the training below"),
        (lambda: growths.Scheduled(each=0), "each is 0; it takes a whole number of at least 1"),
        (
            lambda: growths.Scheduled(newborn="mean"),
            "newborn is 'mean'; it takes one of zero, median, reset",
        ),
        (
            lambda: growlib.fit("bessel-sum", growths.Scheduled(), epochs=10, width=[5, 5]),
            r"width is \[5, 5\]; it takes one hidden layer, which neurons can join",
        ),
        (lambda: growths.Pruned(at=1), "at is 1; it takes a share of the training between 0 and 1"),
        (lambda: growths.Pruned(times=0), "times is 0; it takes a whole number of at least 1"),
    ],
)
def test_what_a_schedule_does_not_take_is_said(make, message):
    with pytest.raises(ValueError, match=message):
        make()


# --------------------------------------------------------------------------------------- pruning


def test_neurons_go_at_once_or_in_steps():
    assert growths.Pruned().leaving(100) == [50]
    assert growths.Pruned(at=0.2).leaving(100) == [20]
    # The last one is in the middle between the first one and the end.
    assert growths.Pruned(at=0.2, times=5).leaving(100) == [20, 30, 40, 50, 60]
    assert sizes_by_epoch(growths.Pruned()) == [10] * 11 + [5] * 10
    # The size goes from 10 to 5 in four steps of 1.25; a part of a neuron counts as one.
    sizes = [10] * 13 + [9] * 2 + [8] * 2 + [7] * 2 + [5] * 6
    assert sizes_by_epoch(growths.Pruned(times=4), epochs=24) == sizes


@pytest.mark.parametrize("times", [1, 2])
def test_the_biases_take_over_the_mean_output_of_the_neurons_that_go(times):
    generator = np.random.default_rng(4)
    block = block_of(
        growths.Pruned(start=6.0, target=2.0, times=times),
        generator.normal(size=(2, 8, 3)),
        generator.integers(0, 3, (8, 3)).astype(float),
        "softmax",
        widths=(6,),
        outputs=3,
        epochs=[100],
    )
    rows = 1 + 4 * 6 + 7 * 3
    theta = torch.from_numpy(generator.normal(size=(rows, 3)))
    theta[0] = 6
    state = state_of(theta, 6)
    events = block.growth.events(block.settings)
    size = 6
    for epoch in sorted(events):
        before = state
        state = events[epoch](before, block)
        size -= 4 / times
        assert state.theta[0].tolist() == [size] * 3

        def mean_output(theta):
            answers = growlib.outputs(theta, block.x[:, :8], block.growth, [6], 3)
            return answers.mean(1)

        np.testing.assert_allclose(mean_output(state.theta), mean_output(before.theta), atol=1e-12)
        norms, kept = products_of_norms(before.theta, block), products_of_norms(state.theta, block)
        largest = norms.sort(0, descending=True).values
        np.testing.assert_allclose(kept[: int(size)], largest[: int(size)], atol=1e-12)
        assert (state.spent - before.spent).tolist() == [8 * 6 * 7] * 3


def products_of_norms(theta, block):
    """Return the product of the norms of each neuron's incoming and outgoing weights, (H, T)."""
    _, (hidden, output) = growlib.unpack(theta, block.shapes)
    return hidden.norm(dim=0) * output[1:].norm(dim=1)


# ---------------------------------------------------------------------------- the adaptive width


RATES = [0.0, 0.02, 0.26, 0.3, 0.5, 1.0, 2.0, 5.0]


@pytest.mark.parametrize("width", [7, 10])
def test_adaptive_gates_add_up_to_one_and_fall_by_the_rate(width):
    rates = torch.tensor(RATES, dtype=torch.float64)
    gate = growths.AdaptiveWidth().gate(rates, width)
    np.testing.assert_allclose(gate.sum(0), 1)
    for k, rate in enumerate(RATES):
        count = min(width, int(np.ceil(np.log(10) / rate))) if rate else width
        assert (gate[:count, k] > 0).all() and (gate[count:, k] == 0).all()
        np.testing.assert_allclose(gate[1:count, k] / gate[: count - 1, k], np.exp(-rate))


def test_the_slope_of_adaptive_gates_is_their_derivative_while_their_number_stays():
    growth = growths.AdaptiveWidth()
    rates = torch.tensor(RATES[1:], dtype=torch.float64)
    above, below = growth.gate(rates + 1e-6, 10), growth.gate(rates - 1e-6, 10)
    assert torch.equal(above > 0, below > 0)
    np.testing.assert_allclose(growth.slope(rates, 10), (above - below) / 2e-6, atol=1e-9)


@pytest.mark.parametrize("width", [7, 10])
def test_adaptive_networks_train_by_loops_as_by_autograd(width):
    growth = growths.AdaptiveWidth(coupling=0.1)
    settings = {"trials": 4, "epochs": 60, "width": width, "dtype": "float64", "lr": 0.01}
    runs = [growlib.fit("bessel-sum", growth, compiled=way, **settings) for way in (None, False)]
    np.testing.assert_allclose(runs[0].weights, runs[1].weights, rtol=0, atol=1e-9)
    assert (runs[0].weights[0] != 0.3).all()
    columns = ["train_task_loss", "active_width", "flops"]
    np.testing.assert_allclose(runs[0].finals[columns], runs[1].finals[columns], rtol=1e-9)


# ------------------------------------------------------------------- first weights, and their rest


def test_first_weights_are_scaled_by_a_power_of_the_fan_in():
    plain, scaled = (
        growlib.initial_weights(0, [0, 1], 5, growths.Gradual(fan_in_power=power), inputs=3)
        for power in (0.0, -0.5)
    )
    shapes = growlib.layer_shapes(5, 3)
    _, (hidden, output) = growlib.unpack(plain, shapes)
    _, (scaled_hidden, scaled_output) = growlib.unpack(scaled, shapes)
    np.testing.assert_allclose(scaled_hidden, hidden / 2)  # the size is an input, too
    np.testing.assert_allclose(scaled_output, output / 5**0.5)
    own = growlib.initial_weights(0, [0, 1], 5, growlib.AuxiliaryWeight(), inputs=3)
    assert torch.equal(plain, own)


@pytest.mark.parametrize("optimizer", ["gd", "adam", "momentum"])
@pytest.mark.parametrize("grows", [False, True])
def test_hidden_weights_rest_and_the_loops_agree_with_autograd(optimizer, grows):
    growth = growlib.AuxiliaryWeight(start=0.0 if grows else 5.0, rests=True)
    settings = {"trials": 3, "width": 5, "lr": 0.01, "dtype": "float64", "optimizer": optimizer}
    first = growlib.initial_weights(0, range(3), 5, growth)
    shapes = growlib.layer_shapes(5, 1, 1)
    _, (first_hidden, first_output) = growlib.unpack(first, shapes)
    runs = []
    for compiled in (None, False):
        run = growlib.fit("bessel-sum", growth, epochs=60, compiled=compiled, **settings)
        size, (hidden, output) = growlib.unpack(run.theta(), shapes)
        assert torch.equal(hidden, first_hidden)
        assert (size > 0.1).all()
        assert (output[:2] != first_output[:2]).all()
        runs.append(run)
    np.testing.assert_allclose(runs[0].weights, runs[1].weights, rtol=0, atol=1e-9)
    assert (runs[0].finals["flops"] == runs[1].finals["flops"]).all()


def test_no_gradient_of_hidden_weights_that_rest_is_counted():
    plain = growlib.AuxiliaryWeight(**STATIC)
    settings = {"trials": 2, "epochs": 10, "width": 5}
    flops = [
        growlib.fit("bessel-sum", growth, **settings).finals["flops"].tolist()
        for growth in (plain, replace(plain, rests=True))
    ]
    # Forward 2 for each weight, and 1 for each bias and tanh; backward 2 for the outgoing weight.
    assert flops == [[10 * 5 * 32 * 13] * 2, [10 * 5 * 32 * 8] * 2]
    assert growlib._flops(growlib.task("bessel-sum"), [5], rests=True) == 8

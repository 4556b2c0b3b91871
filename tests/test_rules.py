"""Other ways to a network of a certain size: their first weights, and what they cost."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import growlib
from growkit import rules, studies

STATIC = {"start": 5.0, "target": 5.0, "frozen": True, "feeds": 0.0}
TRIALS = 6


def first_weights(growth, task="bessel-sum", trials=TRIALS, **options):
    """Return the weights with which a training begins, (rows, T): it takes one tiny step."""
    options = {"epochs": 1, "lr": 1e-30, "width": 5, "dtype": "float64"} | options
    return growlib.fit(task, growth, trials=trials, **options).weights


def test_another_start_is_another_draw_and_draw_0_is_the_trials_own():
    plain = growlib.AuxiliaryWeight(**STATIC)
    own = first_weights(plain)
    np.testing.assert_array_equal(first_weights(rules.OtherStart(**STATIC, draw=0)), own)
    others = [first_weights(rules.OtherStart(**STATIC, draw=draw)) for draw in (1, 2)]
    for other in others:
        assert (other[0] == own[0]).all()
        assert (other[1:] != own[1:]).all()
    assert (others[0][1:] != others[1][1:]).all()

    numbers = [k + 2 * rules.NEXT_DRAW for k in range(TRIALS)]
    expected = growlib.initial_weights(0, numbers, 5, plain)
    np.testing.assert_array_equal(others[1], expected)


def test_other_starts_train_by_loops_and_in_any_company():
    growth = rules.OtherStart(**STATIC, draw=3)
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
    draws = [first_weights(rules.OtherStart(**STATIC, draw=draw), name) for draw in range(8)]
    chosen = first_weights(rules.BestStart(**STATIC, draws=8), name)
    taken = []
    for trial in range(TRIALS):
        errors = [error_of_best_outputs(theta[:, trial], task, trial) for theta in draws]
        best = int(np.argmin(errors))
        np.testing.assert_array_equal(chosen[:, trial], draws[best][:, trial])
        taken.append(best)
    assert len(set(taken)) > 1


def test_the_best_of_one_start_is_the_trials_own():
    own = first_weights(growlib.AuxiliaryWeight(**STATIC))
    np.testing.assert_array_equal(first_weights(rules.BestStart(**STATIC, draws=1)), own)


def test_every_class_counts_in_the_choice_of_a_start():
    spirals = growlib.task("spirals", points=60, classes=3)
    chosen = first_weights(rules.BestStart(**STATIC, draws=8), spirals)
    own = first_weights(growlib.AuxiliaryWeight(**STATIC), spirals)
    assert (chosen != own).any()


def test_what_the_choice_costs_is_counted():
    settings = {"trials": 2, "epochs": 10, "width": 5}
    plain = growlib.fit("bessel-sum", growlib.AuxiliaryWeight(**STATIC), **settings).finals
    best = growlib.fit("bessel-sum", rules.BestStart(**STATIC, draws=4), **settings).finals
    # For each draw five neurons with two weights and a bias at 32 points, and least squares of six.
    each = 2 * 32 * 3 * 5 + 4 * 32 * 6**2
    assert (best["flops"] - plain["flops"]).tolist() == [4 * each] * 2


def test_a_growth_that_begins_elsewhere_still_prunes():
    growth = replace(rules.OtherStart(**STATIC, draw=1), start=5.0, target=2.0)
    run = growlib.fit("bessel-sum", growth, trials=2, epochs=4, width=5, prune_at=2)
    assert (run.finals["size"] == 2).all()


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: rules.OtherStart(draw=-1), "draw is -1; it takes a whole number of at least 0"),
        (lambda: rules.BestStart(draws=0), "draws is 0; it takes a whole number of at least 1"),
        (
            lambda: growlib.fit("bessel-sum", rules.BestStart(), trials=1, epochs=1, width=[5, 5]),
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
    assert setting["growth"] == rules.BestStart(start=5.0, frozen=True, draws=64)

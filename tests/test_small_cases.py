"""Small cases worked by hand, of what the longer tests touch only in passing; `make mutation` showed that nothing else held them."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

import growlib
from growkit import statistics


@pytest.mark.parametrize(
    "row, text",
    [
        ((0.96812, 0.9044, 1.0034), "0.968 (0.904 to 1.003)"),
        ((1, 1.0999, 1.1), "1.000 (1.100 to 1.10)"),
        ((12.34, 0.01, 250), "12.3 (0.0100 to 250)"),
    ],
)
def test_an_interval_in_words_has_three_digits_and_four_just_above_1(row, text):
    assert statistics.in_words(dict(zip(("estimate", "low", "high"), row, strict=True))) == text


def test_sums_are_derived_where_they_are_left_out():
    frame = pd.DataFrame(
        {
            "coupling": [0.1, 2.0],
            "size": np.float32([3, 4]),
            "target": [5.0, 1.0],
            "train_task_loss": [1.0, 2],
            "test_task_loss": [3.0, 4],
        }
    )
    found = growlib.with_sums(frame)
    np.testing.assert_allclose(
        found[["size_loss", "train_loss", "test_loss"]], [[0.4, 1.4, 3.4], [18, 20, 22]]
    )
    assert growlib.with_sums(frame.assign(size_loss=7.0))["train_loss"].tolist() == [8, 9]


def test_limits_over_trials_are_the_quantiles_of_resampled_trials():
    x = np.random.default_rng(3).standard_normal(30)
    found = statistics.over_trials(
        lambda places: {"mean": x[places].mean(), "count": len(places)}, 30
    )
    generator = np.random.default_rng(0)
    drawn = [x[generator.integers(0, 30, 30)].mean() for _ in range(2000)]
    assert found.loc["mean"].tolist() == pytest.approx(
        [x.mean(), *np.quantile(drawn, [0.025, 0.975])]
    )
    assert found.loc["count"].tolist() == [30, 30, 30]


@pytest.mark.parametrize("wins", ["all", "none"])
def test_where_all_pairs_agree_the_interval_is_the_exact_one(wins):
    a, b = np.arange(1.0, 9), np.arange(2.0, 10)
    found = statistics._interval((a, b) if wins == "all" else (b, a), "probability", 100, 0, 0)
    exact = stats.binomtest(8 if wins == "all" else 0, 8).proportion_ci(method="exact")
    assert (found["estimate"], found["low"], found["high"]) == (
        float(wins == "all"),
        exact.low,
        exact.high,
    ) and "p" not in found


def test_an_interval_that_has_no_bca_is_the_percentile_one():
    a, b = np.array([1.0, 1, 1, 1, 3]), np.ones(5)  # leaving out any one pair changes no median
    assert statistics._interval((a, b), "ratio of medians", 400, 0, 0) == {
        "estimate": 1,
        "low": 1,
        "high": 3,
    }


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_gate_that_is_shut_or_fully_open_has_a_slope_of_exactly_0(dtype):
    assert growlib.staircase_slope(torch.tensor([-1, 0, 1, 2], dtype=dtype)).tolist() == [
        0,
        0,
        0,
        0,
    ]  # sin π is 1.2e-16
    for mask, size in (
        ("shared", [-1.0, 0, 9, 12]),
        ("staircase", [0.0, 9]),
        ("reversed", [0.0, 9]),
    ):
        assert (
            growlib.AuxiliaryWeight(mask=mask).slope(torch.tensor(size, dtype=dtype), 9) == 0
        ).all()
    assert (
        growlib.ControllerMask(mask="neuron").slope(torch.tensor([0.0, 1], dtype=dtype), 9) == 0
    ).all()


@pytest.mark.parametrize(
    "growth, arm, needed",
    [
        ({}, "growing", 6),
        ({"start": 5.0}, "grown", 6),
        ({"start": 5.0, "frozen": True}, "static", 6),
        ({"start": 7.5}, "growing", 9),
        ({"target": 8.0}, "growing", 9),
        ({"mask": "shared"}, "growing", 9),
        ({"opens": "rate"}, "growing", 9),
        ({"target": 2.5}, "growing", 4),
    ],
    ids=str,
)
def test_an_arm_has_its_name_and_needs_one_neuron_more_than_its_size(growth, arm, needed):
    growth = growlib.AuxiliaryWeight(**growth)
    assert growth.arm() == arm and isinstance(growth.arm(), str)
    values = growlib.replace(
        growth, start=torch.tensor([0.0, growth.start]), target=torch.tensor([growth.target, 1.0])
    )
    assert values.needed(9) == needed and values.needed(3) == 3


def test_arms_of_many_networks_are_named_one_by_one():
    growth = growlib.AuxiliaryWeight(
        start=np.array([0.0, 5.0, 5.0]), frozen=np.array([False, False, True])
    )
    assert growth.arm().tolist() == ["growing", "grown", "static"]


@pytest.mark.parametrize("field", ["start", "target"])
def test_a_controller_opens_no_more_than_everything(field):
    assert getattr(growlib.ControllerMask(**{field: 1.0}), field) == 1
    with pytest.raises(
        ValueError, match=rf"{field} is 1\.01; it takes at most 1, where every neuron takes part"
    ):
        growlib.ControllerMask(**{field: 1.01})
    growlib.ControllerMask(coupling=1.01, speed=2.0, feeds=3.0, start_noise=4.0)


def test_the_shapes_of_the_layers():
    assert growlib.layer_shapes(9) == [(3, 9), (10, 1)]
    assert growlib.layer_shapes([4, 2], inputs=3, outputs=5) == [(5, 4), (5, 2), (3, 5)]


def test_every_network_has_gates_of_its_own():
    size = torch.tensor([0.0, 0.5, 1.0])
    for mask, gates in (
        ("shared", [[0.0, 0.5, 1], [0.0, 0.5, 1]]),
        ("neuron", [[0.0, 1, 1], [0.0, 0, 1]]),
    ):
        growth = growlib.ControllerMask(mask=mask)
        torch.testing.assert_close(growth.gate(size, 2), torch.tensor(gates))
        assert growth.slope(size, 2).shape == (2, 3)
    assert (
        growlib.AuxiliaryWeight(mask="shared").gate(size, 2).shape
        == growlib.AuxiliaryWeight(opens="rate").acts(size, 2).shape
        == (2, 3)
    )


def test_only_a_start_of_0_has_noise():
    starts = [
        growlib.initial_weights(0, [0, 1], 3, growlib.ControllerMask(start=start))[0]
        for start in (0.0, 0.5)
    ]
    noise = [growlib.random_stream(0, k, "start").standard_normal() for k in (0, 1)]
    assert starts[0].tolist() == [1e-5 * each for each in noise] and (starts[1] == 0.5).all()


def test_several_layers_are_drawn_one_after_the_other():
    theta = growlib.initial_weights(3, [4, 6], [5, 3], growlib.AuxiliaryWeight(start=2.0), inputs=2)
    drawn = [
        growlib.random_stream(3, k, "weights").uniform(-1, 1, 4 * 5 + 6 * 3 + 4) for k in (4, 6)
    ]
    np.testing.assert_array_equal(theta, np.vstack([[2, 2], np.stack(drawn, axis=1)]))


def test_operations_of_networks_counted_by_hand():
    task = growlib.task("cubic-1")
    assert growlib._flops(task, [9]) == 3 + 4 + 6
    assert growlib._flops(task, [4, 2]) == ((3 + 4 * 1 + 6 * 2) * 4 + (3 + 4 * 4 + 6 * 1) * 2) / 6
    assert growlib._flops(growlib.task("spirals", classes=3), [5]) == 3 + 4 * 2 + 6 * 3


def test_a_comparison_takes_2000_samples_of_seed_0_and_no_permutations_unless_told():
    generator = np.random.default_rng(5)
    frame = pd.DataFrame(
        {
            "task": "t",
            "trial": [*range(20)] * 2,
            "arm": ["growing"] * 20 + ["grown"] * 20,
            "diverged": False,
            "test_loss": np.exp(generator.standard_normal(40)),
        }
    )
    pd.testing.assert_frame_equal(
        statistics.compare(frame),
        statistics.compare(frame, resamples=2000, seed=0, permutations=0),
        check_exact=True,
    )
    assert "p" not in statistics.compare(frame, resamples=100)


@pytest.mark.parametrize("target", [100.0, 60.0])
def test_adam_forgets_when_a_size_comes_within_a_hundredth_of_its_target_and_no_other_time(target):
    """Distances before and after a step, in hundredths of the target, from below and from above."""
    before, after = np.array(
        [[2, 0.5], [1.005, 0.5], [2, 0.995], [0.5, 0.4], [0.995, 0.5], [2, 1.005], [3, 2], [0.5, 2]]
    ).T
    forgets = [True, True, True, False, False, False, False, False]
    growth, shapes = growlib.AuxiliaryWeight(forgets=True), growlib.layer_shapes(2)
    for sign in (-1, 1):
        size = torch.tensor(target * (1 + sign * before / 100))
        theta, moments = (
            torch.rand(10, len(size), dtype=torch.float64),
            torch.rand(2, 10, len(size), dtype=torch.float64),
        )
        theta[0], moments[:, 0], epochs = (
            size,
            torch.tensor([[1.0], [1e-30]]),
            torch.full((1, len(size)), 5.0, dtype=torch.float64),
        )
        state = torch.cat(
            [theta, torch.zeros_like(theta), *moments, epochs, torch.zeros(6, len(size))]
        )
        knobs = {"lr": 0.0, "target": torch.tensor(target).double(), "coupling": 0.0, "heeds": 1.0}
        moved = growlib._update(
            state,
            torch.zeros_like(theta),
            moves=torch.ones(len(size)),
            **knobs | {"lr": 1.0},
            growth=growth,
            widths=[2],
            shapes=shapes,
            optimizer="adam",
        )
        step = size - moved[0]  # of a size alone that is free, at a rate of 1
        assert (step != 0).all()
        lr = (size - target * (1 + sign * torch.tensor(after) / 100)) / step
        done = growlib._update(
            state,
            torch.zeros_like(theta),
            moves=torch.ones(len(size)),
            **knobs | {"lr": lr},
            growth=growth,
            widths=[2],
            shapes=shapes,
            optimizer="adam",
        )
        torch.testing.assert_close(
            done[0], torch.tensor(target * (1 + sign * after / 100)), rtol=0, atol=1e-6
        )
        assert [not part.any() for part in done[20:41].T] == forgets


def test_a_step_counts_the_neurons_that_take_part_by_their_gates_alone():
    size = torch.tensor(
        [0.0, 0.5, 1.5, 2.0, 3.0, 0.01, 1.03], dtype=torch.float64
    )  # sin²(π 0.01 / 2) is 0.0002, sin²(π 0.03 / 2) 0.002
    theta = torch.cat([size[None], torch.zeros(9, len(size), dtype=torch.float64)])
    state = torch.cat([theta, torch.zeros_like(theta), torch.zeros(6, len(size))])
    knobs = {name: 0.0 for name in ("lr", "target", "coupling", "moves", "heeds")}
    done = growlib._update(
        state,
        torch.zeros_like(theta),
        **knobs,
        growth=growlib.AuxiliaryWeight(),
        widths=[2],
        shapes=growlib.layer_shapes(2),
        optimizer="gd",
    )
    assert done[-1].tolist() == [0, 1, 2, 2, 2, 0, 2] and torch.equal(done[-2], size.clamp(min=0))


def test_holm_takes_probabilities_alone():
    assert statistics.holm([0.0, 1.0]).tolist() == [0.0, 1.0]
    for p in ([-0.01], [1.01], [0.5, 2.0], [float("nan")], [[0.5]], 0.5, ["small"]):
        with pytest.raises(
            ValueError, match=r"^p is .*; it takes a sequence of numbers from 0 to 1$"
        ):
            statistics.holm(p)


def test_two_pairs_have_an_interval_and_one_has_none():
    pairs = pd.DataFrame(
        {
            "task": "t",
            "diverged": False,
            "trial": [0, 1, 0, 1],
            "arm": ["growing"] * 2 + ["grown"] * 2,
            "test_loss": [1.0, 2, 4, 5],
        }
    )
    two, one = statistics.compare(pairs), statistics.compare(pairs[pairs["trial"] == 0])
    assert (
        two.loc[0, ["low", "high"]].tolist() == [0.25, 0.4]
        and one.loc[0, "estimate"] == 0.25
        and one[["low", "high"]].isna().all(axis=None)
    )

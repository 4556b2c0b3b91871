"""Ensembles: a network is the same to the bit whatever trains beside it, and arms are paired."""

import numpy as np
import pandas as pd
import pytest

import growlib


def short_run(growth=None, **options):
    """Return a short run of few networks on a cubic; `options` are arguments of `fit`."""
    defaults = {"trials": 5, "epochs": 24, "log_every": 8, "lr": 0.01}
    return growlib.fit("cubic-1", growth, **(defaults | options))


def without(frame, *columns):
    """Return the frame with rows counted from 0 and without these columns."""
    return frame.drop(columns=list(columns)).reset_index(drop=True)


# ------------------------------------------------------------------------------------------- trials


@pytest.mark.parametrize("optimizer", ["gd", "adam"])
def test_trial_k_is_the_same_to_the_bit_among_1_7_and_1000(optimizer):
    alone, few, many = (short_run(trials=count, optimizer=optimizer) for count in (1, 7, 1000))
    np.testing.assert_array_equal(alone.weights[:, 0], many.weights[:, 0])
    np.testing.assert_array_equal(few.weights, many.weights[:, :7])
    columns = ["train_task_loss", "test_task_loss", "size_loss", "size", "active_width", "flops"]
    pd.testing.assert_frame_equal(few.finals[columns], many.finals[columns].head(7))


def test_a_trial_of_a_large_set_is_the_same_to_the_bit_alone_and_among_others():
    alone, among_others = (
        growlib.fit(
            growlib.task("bessel-grid", points=2000),
            growlib.ControllerMask(),
            trials=trials,
            epochs=30,
            log_every=10,
            optimizer="adam",
            lr=0.01,
            width=10,
        )
        for trials in ([2], 4)
    )
    np.testing.assert_array_equal(alone.weights[:, 0], among_others.weights[:, 2])


def test_chosen_trials_are_the_same_as_in_the_whole():
    some = short_run(trials=range(3, 5))
    whole = short_run(trials=5)
    np.testing.assert_array_equal(some.weights, whole.weights[:, 3:5])
    assert some.finals["trial"].tolist() == [3, 4]


def test_the_same_seed_gives_the_same_frame_and_another_seed_another():
    first = short_run()
    again = short_run()
    other = short_run(seed=1)
    pd.testing.assert_frame_equal(
        without(first.finals, "seconds"), without(again.finals, "seconds")
    )
    pd.testing.assert_frame_equal(first.history, again.history)
    assert not np.array_equal(first.weights, other.weights)


def test_several_blocks_come_in_the_order_of_the_networks():
    run = short_run(trials=1500, epochs=(4, 8), log_every=4)
    assert run.networks["trial"].tolist() == list(range(1500))
    assert run.finals["epochs"].tolist() == [4] * 1500 + [8] * 1500
    y_hat = run.predict(0.3)[:, 0, 0]
    of_two = short_run(trials=[7, 1400], epochs=8).predict(0.3)[:, 0, 0]
    np.testing.assert_array_equal(y_hat[[7, 1400]], of_two)


def test_a_diverged_trial_says_so_and_leaves_its_neighbours_alone():
    wild = short_run(lr=[0.01, 1e4, 0.01, 0.01, 0.01], epochs=100)
    tame = short_run(epochs=100)
    assert wild.finals["diverged"].tolist() == [False, True, False, False, False]
    others = [0, 2, 3, 4]
    np.testing.assert_array_equal(wild.weights[:, others], tame.weights[:, others])


# --------------------------------------------------------------------------------------------- arms


def test_arms_are_paired_in_data_and_first_weights():
    growing, grown, static = (
        short_run(growth, keep_weights=True) for growth in growlib.arms().values()
    )
    for other in (grown, static):
        np.testing.assert_array_equal(growing.snapshots[0][1:], other.snapshots[0][1:])
    assert (growing.snapshots[0][0] == 0).all()
    assert (static.snapshots[0][0] == 5).all()
    of_trial_3, _ = growlib.task("cubic-1").draw(0, [3])
    of_all, _ = growlib.task("cubic-1").draw(0, range(5))
    np.testing.assert_array_equal(of_trial_3, of_all[..., 3:4])


def test_arms_trained_together_are_the_same_to_the_bit_as_alone():
    arms = list(growlib.arms().values())
    growth, trials = growlib.together(arms, 5)
    run = short_run(growth, trials=trials)
    for k, arm in enumerate(arms):
        alone = short_run(arm)
        of_arm = slice(5 * k, 5 * k + 5)
        np.testing.assert_array_equal(run.weights[:, of_arm], alone.weights)
        # the operations done are those of all networks side by side
        pd.testing.assert_frame_equal(
            without(run.finals.iloc[of_arm], "seconds", "flops_done"),
            without(alone.finals, "seconds", "flops_done"),
        )


# ----------------------------------------------------------------------- one value for each network


def test_data_seed_gives_one_data_set_to_all_networks_or_one_to_each():
    own = short_run(epochs=8)
    shared = short_run(epochs=8, data_seed=0)
    np.testing.assert_array_equal(own.weights[:, 0], shared.weights[:, 0])
    assert not np.array_equal(own.weights[:, 1], shared.weights[:, 1])
    each = short_run(epochs=8, data_seed=[0, 1, 0, 3, 4])
    np.testing.assert_array_equal(each.weights[:, 2], shared.weights[:, 2])
    np.testing.assert_array_equal(each.weights[:, 3], own.weights[:, 3])
    assert shared.finals["data_seed"].unique().tolist() == [0]


def test_a_network_with_its_own_values_is_that_of_a_run_with_one_value():
    couplings = np.array([0.01, 0.1, 1.0, 1.0, 0.1])
    mixed = short_run(
        growlib.AuxiliaryWeight(coupling=couplings, start=[0, 1, 2, 0, 5]),
        lr=[0.01, 0.02, 0.01, 0.03, 0.01],
    )
    third = short_run(growlib.AuxiliaryWeight(coupling=1.0, start=2.0))
    np.testing.assert_array_equal(mixed.weights[:, 2], third.weights[:, 2])
    assert mixed.finals["arm"].tolist() == ["growing"] * 4 + ["grown"]
    assert mixed.finals["coupling"].tolist() == couplings.tolist()


# ----------------------------------------------------------------------------------- what is logged


def test_what_is_logged_changes_no_bit_of_the_result():
    often = short_run(log_every=3)
    seldom = short_run(log_every=24)
    np.testing.assert_array_equal(often.weights, seldom.weights)


def test_one_run_gives_the_finals_of_several_numbers_of_epochs():
    both = short_run(epochs=(8, 24))
    early = short_run(epochs=8)
    assert both.finals["epochs"].tolist() == [8] * 5 + [24] * 5
    pd.testing.assert_frame_equal(
        without(both.finals.head(5), "seconds", "flops_done"),
        without(early.finals, "seconds", "flops_done"),
    )

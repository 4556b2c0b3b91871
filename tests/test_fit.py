"""What fit promises about ensembles: pairing, independence, exactness, precision, trouble."""

import numpy as np
import pandas as pd
import pytest
import torch

import growlib


def short(growth=None, **options):
    return growlib.fit(
        "cubic-1", growth, **({"trials": 5, "epochs": 24, "log_every": 8, "lr": 0.01} | options)
    )


def weights(run):
    return pd.DataFrame(run.weights)


@pytest.mark.parametrize("optimizer", ["gd", "adam"])
def test_trial_k_is_the_same_to_the_bit_among_1_7_and_1000(optimizer):
    alone, few, many = (short(trials=n, optimizer=optimizer) for n in (1, 7, 1000))
    np.testing.assert_array_equal(alone.weights[:, 0], many.weights[:, 0])
    np.testing.assert_array_equal(few.weights, many.weights[:, :7])
    columns = ["train_task_loss", "test_task_loss", "size_loss", "size", "active_width", "flops"]
    pd.testing.assert_frame_equal(few.finals[columns], many.finals[columns].head(7))


def test_chosen_trials_are_the_same_as_in_the_whole():
    some, whole = short(trials=range(3, 5)), short(trials=5)
    np.testing.assert_array_equal(some.weights, whole.weights[:, 3:5])
    assert some.finals["trial"].tolist() == [3, 4]


def test_the_same_seed_gives_the_same_frame_and_another_seed_another():
    first, again, other = short(), short(), short(seed=1)
    pd.testing.assert_frame_equal(
        first.finals.drop(columns="seconds"), again.finals.drop(columns="seconds")
    )
    pd.testing.assert_frame_equal(first.history, again.history)
    assert not np.array_equal(first.weights, other.weights)


def test_arms_are_paired_in_data_and_first_weights():
    growing, grown, static = (
        short(growth, keep_weights=True) for growth in growlib.arms().values()
    )
    for other in (grown, static):
        np.testing.assert_array_equal(growing.snapshots[0][1:], other.snapshots[0][1:])
    assert (growing.snapshots[0][0] == 0).all() and (static.snapshots[0][0] == 5).all()
    x, _ = growlib.task("cubic-1").draw(0, [3])
    np.testing.assert_array_equal(x, growlib.task("cubic-1").draw(0, range(5))[0][..., 3:4])


def test_a_narrower_network_is_the_first_part_of_a_wider_one():
    _, narrow = growlib.unpack(
        growlib.initial_weights(0, [0, 1], 6, growlib.AuxiliaryWeight()), growlib.layer_shapes(6)
    )
    _, wide = growlib.unpack(
        growlib.initial_weights(0, [0, 1], 9, growlib.AuxiliaryWeight()), growlib.layer_shapes(9)
    )
    assert torch.equal(narrow[0], wide[0][:, :6]) and torch.equal(narrow[1], wide[1][:7])


def test_first_weights_are_uniform_on_minus_one_to_one():
    theta = growlib.initial_weights(0, range(400), 9, growlib.AuxiliaryWeight())[1:]
    assert theta.min() >= -1 and theta.max() <= 1
    assert theta.mean().item() == pytest.approx(
        0, abs=0.02
    ) and theta.var().item() == pytest.approx(1 / 3, rel=0.03)


def test_arms_trained_together_are_the_same_to_the_bit_as_alone():
    growths = list(growlib.arms().values())
    growth, trials = growlib.together(growths, 5)
    run = short(growth, trials=trials)
    for k, alone in enumerate(map(short, growths)):
        np.testing.assert_array_equal(run.weights[:, 5 * k : 5 * k + 5], alone.weights)
        mine = run.finals.iloc[5 * k : 5 * k + 5].reset_index(drop=True)
        pd.testing.assert_frame_equal(
            mine.drop(columns=["seconds"]), alone.finals.drop(columns=["seconds"])
        )


def test_what_is_logged_changes_no_bit_of_the_result():
    often, seldom = short(log_every=3), short(log_every=24)
    np.testing.assert_array_equal(often.weights, seldom.weights)


def test_several_blocks_come_in_the_order_of_the_networks():
    run = short(trials=1500, epochs=(4, 8), log_every=4)
    assert run.networks["trial"].tolist() == list(range(1500))
    assert run.finals["epochs"].tolist() == [4] * 1500 + [8] * 1500
    y_hat = run.predict(0.3)[:, 0, 0]
    np.testing.assert_array_equal(
        y_hat[[7, 1400]], short(trials=[7, 1400], epochs=8).predict(0.3)[:, 0, 0]
    )


def test_one_data_set_for_all_or_for_each():
    own, shared = short(epochs=8), short(epochs=8, data_seed=0)
    np.testing.assert_array_equal(own.weights[:, 0], shared.weights[:, 0])
    assert not np.array_equal(own.weights[:, 1], shared.weights[:, 1])
    each = short(epochs=8, data_seed=[0, 1, 0, 3, 4])
    np.testing.assert_array_equal(each.weights[:, 2], shared.weights[:, 2])
    np.testing.assert_array_equal(each.weights[:, 3], own.weights[:, 3])
    assert shared.finals["data_seed"].unique().tolist() == [0]


def test_values_for_each_trial_are_the_runs_of_one_value():
    couplings = np.array([0.01, 0.1, 1.0, 1.0, 0.1])
    mixed = short(
        growlib.AuxiliaryWeight(coupling=couplings, start=[0, 1, 2, 0, 5]),
        lr=[0.01, 0.02, 0.01, 0.03, 0.01],
    )
    third = short(growlib.AuxiliaryWeight(coupling=1.0, start=2.0))
    np.testing.assert_array_equal(mixed.weights[:, 2], third.weights[:, 2])
    assert mixed.finals["arm"].tolist() == ["growing"] * 4 + ["grown"]
    assert mixed.finals["coupling"].tolist() == couplings.tolist()


@pytest.mark.parametrize("optimizer", ["gd", "adam"])
@pytest.mark.parametrize("task", ["cubic-1", "square-wave"])
def test_compiled_and_eager_agree(task, optimizer):
    dtype = (
        "float64" if optimizer == "adam" else "float32"
    )  # Adam blows the rounding of a newborn neuron up to a full step
    options = {"dtype": dtype, "trials": 40, "epochs": 100, "lr": 0.01, "optimizer": optimizer}
    runs = [
        growlib.fit(task, growlib.AuxiliaryWeight(coupling=1.0), compiled=compiled, **options)
        for compiled in (True, False)
    ]
    np.testing.assert_allclose(runs[0].weights, runs[1].weights, atol=1e-5)


def test_a_step_compiled_once_comes_from_the_disk_in_the_next_process(monkeypatch):
    counted, first = torch._dynamo.utils.counters["aot_autograd"], short(compiled=True)
    monkeypatch.setattr(growlib, "_COMPILED", {})  # as in a new process
    before = counted["autograd_cache_hit"]
    np.testing.assert_array_equal(first.weights, short(compiled=True).weights)
    assert counted["autograd_cache_hit"] == before + len(growlib._COMPILED) > before


@pytest.mark.parametrize("optimizer", ["gd", "adam"])
def test_leaving_out_shut_neurons_changes_no_bit(optimizer, monkeypatch):
    """The size stays below 5, so the narrow run computes 6 of 9 neurons; the wide run computes all."""
    narrow = short(
        growlib.AuxiliaryWeight(coupling=5.0), trials=20, epochs=100, optimizer=optimizer
    )
    monkeypatch.setattr(growlib.AuxiliaryWeight, "needed", lambda growth, width: width)
    wide = short(growlib.AuxiliaryWeight(coupling=5.0), trials=20, epochs=100, optimizer=optimizer)
    np.testing.assert_array_equal(narrow.weights, wide.weights)
    assert wide.finals["flops_done"][0] == narrow.finals["flops_done"][0] * 9 / 6


def test_a_size_that_passes_the_bound_is_noticed_and_done_again():
    """With Adam and a large step the size overshoots 5 by far more than one neuron, and back."""
    growth = growlib.AuxiliaryWeight(start=0, coupling=5.0)
    options = {
        "optimizer": "adam",
        "lr": 0.6,
        "epochs": 24,
        "log_every": 24,
        "dtype": "float64",
        "compiled": False,
    }
    run = short(growth, **options, keep_weights=True)
    per_epoch = short(growth, **options | {"log_every": 1})
    assert per_epoch.history["size"].max() > 6
    x, y = (torch.tensor(a[..., :32, :]) for a in growlib.task("cubic-1").draw(0, range(5)))
    theta = growlib.initial_weights(0, range(5), 9, growlib.AuxiliaryWeight()).requires_grad_()
    optimizer = torch.optim.Adam([theta], lr=0.6)
    for _ in range(24):
        optimizer.zero_grad()
        loss = growlib.task_loss(
            growlib.outputs(theta, x, growth, 9), y, "squared"
        ) + growlib.size_loss(theta[0], 5.0, 5.0)
        loss.sum().backward()
        optimizer.step()
    np.testing.assert_allclose(run.weights, theta.detach(), atol=1e-6)
    assert (
        run.finals["flops_done"][0] == (6 + 9) * 24 * 32 * 13
    )  # the narrow attempt counts as done


def test_several_ends_are_read_off_one_run():
    both, early = short(epochs=(8, 24)), short(epochs=8)
    assert both.finals["epochs"].tolist() == [8] * 5 + [24] * 5
    pd.testing.assert_frame_equal(
        both.finals.head(5).drop(columns=["seconds", "flops_done"]),
        early.finals.drop(columns=["seconds", "flops_done"]),
    )


def test_the_size_alone_contracts_geometrically():
    """The size of a network whose task cannot pull (no open gate has a slope, u = 0 is impossible, so λ is large)."""
    growth = growlib.AuxiliaryWeight(coupling=500.0)
    run = short(growth, lr=1e-5, epochs=100, dtype="float64", compiled=False)
    np.testing.assert_allclose(run.finals["size"], 5 * (1 - (1 - 2 * 1e-5 * 500) ** 100), rtol=1e-3)


def test_float32_keeps_the_task_loss_of_float64():
    options = {"trials": 64, "epochs": 4000, "lr": 1e-3, "log_every": 4000}
    single, double = (
        growlib.fit("cubic-1", growlib.AuxiliaryWeight(), dtype=dtype, **options).finals
        for dtype in ("float32", "float64")
    )
    apart = (single["test_task_loss"] / double["test_task_loss"] - 1).abs()
    assert apart.median() < 1e-5


def test_the_compensated_sum_keeps_steps_below_the_rounding():
    """40 000 steps of 1e-8 on a weight of 1: a plain float32 sum does not move, the compensated one arrives."""
    theta, lost = torch.ones(1, 1), torch.zeros(1, 1)
    plain = torch.ones(1, 1)
    for _ in range(40_000):
        theta, lost = growlib._move(theta, torch.full((1, 1), 1e-8), lost)
        plain = plain + 1e-8
    assert plain.item() == 1 and theta.item() == pytest.approx(1.0004, abs=1e-7)


def test_a_diverged_trial_says_so_and_leaves_its_neighbours_alone():
    wild, tame = short(lr=[0.01, 1e4, 0.01, 0.01, 0.01], epochs=100), short(epochs=100)
    assert wild.finals["diverged"].tolist() == [False, True, False, False, False]
    keep = [0, 2, 3, 4]
    np.testing.assert_array_equal(wild.weights[:, keep], tame.weights[:, keep])


@pytest.mark.parametrize(
    "growth",
    [
        growlib.AuxiliaryWeight(coupling=0.0),
        growlib.AuxiliaryWeight(coupling=[0.1, 0.0]),
        growlib.ControllerMask(coupling=0.0),
    ],
)
def test_a_size_that_nothing_moves_is_said(growth):
    with pytest.warns(
        UserWarning, match="coupling is 0 and start too, so some networks never start to grow"
    ) as caught:
        run = growlib.fit("cubic-1", growth, trials=2, epochs=24, compiled=False)
    assert caught[0].filename == __file__ and run.finals["size"].min() < 1e-4


@pytest.mark.parametrize(
    "growth",
    [
        growlib.AuxiliaryWeight(coupling=0.0, start=0.5),
        growlib.AuxiliaryWeight(coupling=0.0, frozen=True),
        growlib.AuxiliaryWeight(coupling=0.0, opens="nothing"),
        growlib.ControllerMask(coupling=0.0, learns_from="loss"),
    ],
)
def test_a_size_that_something_moves_or_that_is_meant_to_stay_is_no_warning(growth):
    short(growth, trials=2, epochs=1, compiled=False)  # a warning would be an error here


def test_lr_10_is_reported_as_diverged():
    assert short(lr=10.0, epochs=200).finals["diverged"].any()


def test_no_compiler_falls_back_to_eager_with_one_warning(monkeypatch):
    from torch._inductor import cpp_builder

    def none():
        raise RuntimeError("no compiler")

    monkeypatch.setattr(cpp_builder, "get_cpp_compiler", none)
    growlib.has_compiler.cache_clear()
    try:
        with pytest.warns(UserWarning, match=r"no C\+\+ compiler was found"):
            short(epochs=4)
        short(epochs=4)  # a second warning would be an error here
    finally:
        monkeypatch.undo()
        growlib.has_compiler.cache_clear()


def test_history_is_at_most_50_epochs_by_default_and_ends_at_the_end():
    for epochs in (1, 7, 49, 50, 999, 4000, 17_783, 40_000):
        step = growlib._log_every(epochs)
        assert len({*range(0, epochs, step), epochs}) <= 51 and epochs / step <= 49
    history = short(epochs=24, log_every=None).history
    assert (
        history["epoch"].max() == 24
        and history["epoch"].min() == 0
        and history["epoch"].nunique() <= 50
    )


def test_a_rate_or_noise_given_as_a_whole_number_is_no_count():
    frame = growlib.fit(
        growlib.task("cubic-1", noise=0), lr=1, trials=1, epochs=1, compiled=False
    ).finals
    assert frame[["lr", "noise"]].dtypes.tolist() == ["float64", "float64"]


def test_sums_are_their_parts(ensemble):
    for frame in (ensemble.finals, ensemble.history):
        for part in ("train", "test"):
            np.testing.assert_allclose(
                frame[f"{part}_loss"], frame[f"{part}_task_loss"] + frame["size_loss"]
            )


def test_losses_are_what_predict_says(ensemble):
    x, y = growlib.task("bessel-j0").draw(0, [5])
    y_hat = ensemble.predict(x[0, :, 0])[5, :, 0]
    final = ensemble.finals.iloc[5]
    assert np.mean((y_hat[:32] - y[:32, 0]) ** 2) == pytest.approx(
        final["train_task_loss"], rel=1e-4
    )
    assert np.mean((y_hat[32:] - y[32:, 0]) ** 2) == pytest.approx(
        final["test_task_loss"], rel=1e-4
    )


def test_operations_are_counted_for_active_neurons(ensemble):
    final = ensemble.finals
    assert (final["flops"] < final["flops_done"]).all()
    static = short(growlib.AuxiliaryWeight(start=5, frozen=True), compiled=False).finals
    assert (static["flops"] == 5 * 24 * 32 * 13).all()


def test_predict_has_the_promised_shape_and_probabilities(ensemble):
    assert ensemble.predict([0.0, 0.5, 1.0]).shape == (128, 3, 1)
    assert ensemble.predict(0.5, epoch=40).shape == (128, 1, 1)
    wave = growlib.fit("square-wave", trials=4, epochs=8, compiled=False)
    probability = wave.predict(np.linspace(-1, 1, 9))
    assert (probability > 0).all() and (probability < 1).all()


def test_confusion_counts_add_up_and_agree_with_the_accuracy():
    wave = growlib.fit(
        "square-wave",
        growlib.arms(coupling=0.01)["growing"],
        trials=6,
        epochs=300,
        lr=0.08,
        compiled=False,
    )
    counts = wave.confusion()
    assert (counts.groupby("trial")["count"].sum() == growlib.FRESH_POINTS).all()
    right = (
        counts[counts["true_class"] == counts["predicted_class"]].groupby("trial")["count"].sum()
        / growlib.FRESH_POINTS
    )
    np.testing.assert_allclose(right, wave.finals["accuracy_fresh"])
    _, y = growlib.task("square-wave").draw(0, [2], "fresh", growlib.FRESH_POINTS)
    ones = counts[(counts["trial"] == 2) & (counts["true_class"] == 1)]["count"].sum()
    assert ones == y.sum()


def test_a_run_is_saved_and_loaded_whole(ensemble, tmp_path):
    ensemble.save(tmp_path / "run.npz")
    loaded = growlib.load(tmp_path / "run.npz")
    pd.testing.assert_frame_equal(loaded.finals, ensemble.finals)
    pd.testing.assert_frame_equal(loaded.history, ensemble.history)
    np.testing.assert_array_equal(
        loaded.predict([0.3], epoch=80), ensemble.predict([0.3], epoch=80)
    )
    assert loaded.growth == ensemble.growth and list(loaded.snapshots) == list(ensemble.snapshots)


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


def test_a_function_is_a_task():
    run = growlib.fit(abs, trials=2, epochs=8, compiled=False)
    assert run.finals["task"].unique().tolist() == ["abs"] and "2 growing networks" in repr(run)

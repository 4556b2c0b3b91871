"""`Run`: frames, predictions, confusion matrices and files."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

import growlib

# ------------------------------------------------------------------------------------------- frames


def test_losses_are_the_sums_of_their_parts(ensemble):
    for frame in (ensemble.finals, ensemble.history):
        for part in ("train", "test"):
            total = frame[f"{part}_task_loss"] + frame["size_loss"]
            np.testing.assert_allclose(frame[f"{part}_loss"], total)


def test_with_sums_derives_the_sums_that_are_left_out():
    frame = pd.DataFrame(
        {
            "coupling": [0.1, 2.0],
            "size": np.float32([3, 4]),
            "target": [5.0, 1.0],
            "train_task_loss": [1.0, 2],
            "test_task_loss": [3.0, 4],
        }
    )
    found = growlib.with_sums(frame)[["size_loss", "train_loss", "test_loss"]]
    np.testing.assert_allclose(found, [[0.4, 1.4, 3.4], [18, 20, 22]])
    assert growlib.with_sums(frame.assign(size_loss=7.0))["train_loss"].tolist() == [8, 9]


# -------------------------------------------------------------------------------------- predictions


def test_predict_returns_the_promised_shape_and_probabilities(ensemble):
    assert ensemble.predict([0.0, 0.5, 1.0]).shape == (128, 3, 1)
    assert ensemble.predict(0.5, epoch=40).shape == (128, 1, 1)
    wave = growlib.fit("square-wave", trials=4, epochs=8, compiled=False)
    probability = wave.predict(np.linspace(-1, 1, 9))
    assert (probability > 0).all()
    assert (probability < 1).all()


def test_losses_are_those_of_the_predictions(ensemble):
    x, y = growlib.task("bessel-j0").draw(0, [5])
    error = (ensemble.predict(x[0, :, 0])[5, :, 0] - y[:, 0]) ** 2
    final = ensemble.finals.iloc[5]
    assert np.mean(error[:32]) == pytest.approx(final["train_task_loss"], rel=1e-4)
    assert np.mean(error[32:]) == pytest.approx(final["test_task_loss"], rel=1e-4)


# ------------------------------------------------------------------------------- confusion matrices


def test_confusion_counts_add_up_and_agree_with_the_accuracy():
    growing = growlib.arms(coupling=0.01)["growing"]
    wave = growlib.fit("square-wave", growing, trials=6, epochs=300, lr=0.08, compiled=False)
    counts = wave.confusion()
    assert (counts.groupby("trial")["count"].sum() == growlib.FRESH_POINTS).all()

    right = counts[counts["true_class"] == counts["predicted_class"]]
    accuracy = right.groupby("trial")["count"].sum() / growlib.FRESH_POINTS
    np.testing.assert_allclose(accuracy, wave.finals["accuracy_fresh"])

    of_class_1 = counts[(counts["trial"] == 2) & (counts["true_class"] == 1)]
    _, y = growlib.task("square-wave").draw(0, [2], "fresh", growlib.FRESH_POINTS)
    assert of_class_1["count"].sum() == y.sum()


def test_confusion_and_accuracy_of_a_large_set_are_those_of_its_test_points():
    task = growlib.task("spirals", points=1500, classes=3)
    run = growlib.fit(
        task,
        growlib.ControllerMask(),
        trials=2,
        epochs=200,
        log_every=10,
        optimizer="adam",
        lr=0.01,
        width=10,
        compiled=False,
    )
    x, y = task.draw(0, [0, 1])
    counts = run.confusion()
    for k in (0, 1):
        predicted = run.predict(x[:, task.train_points :, k].T)[k].argmax(-1)
        truth = y[task.train_points :, k]
        right = predicted == truth
        assert run.finals["accuracy"][k] == pytest.approx(right.mean())

        of_trial = counts[counts["trial"] == k]
        matrix = of_trial.pivot(index="true_class", columns="predicted_class", values="count")
        assert matrix.sum(axis=1).tolist() == np.bincount(truth.astype(int)).tolist()
        assert np.trace(matrix) == right.sum()


# -------------------------------------------------------------------------------------------- files


def test_a_run_is_saved_and_loaded_whole(ensemble, tmp_path):
    ensemble.save(tmp_path / "run.npz")
    loaded = growlib.load(tmp_path / "run.npz")
    pd.testing.assert_frame_equal(loaded.finals, ensemble.finals)
    pd.testing.assert_frame_equal(loaded.history, ensemble.history)
    at_epoch_80 = ensemble.predict([0.3], epoch=80)
    np.testing.assert_array_equal(loaded.predict([0.3], epoch=80), at_epoch_80)
    assert loaded.growth == ensemble.growth
    assert list(loaded.snapshots) == list(ensemble.snapshots)


def test_a_run_on_a_large_set_is_saved_and_loaded(tmp_path):
    run = growlib.fit(
        growlib.task("gaussian-mixture", points=1500, noise=0.5),
        growlib.ControllerMask(),
        trials=2,
        epochs=30,
        log_every=10,
        optimizer="adam",
        lr=0.01,
        width=10,
        compiled=False,
    )
    run.save(tmp_path / "run.npz")
    loaded = growlib.load(tmp_path / "run.npz")
    pd.testing.assert_frame_equal(run.finals, loaded.finals)
    np.testing.assert_array_equal(run.predict([0.1]), loaded.predict([0.1]))
    assert loaded.growth == run.growth
    assert loaded.finals["noise"].unique().tolist() == [0.5]


def test_a_control_survives_saving(tmp_path):
    growth = growlib.AuxiliaryWeight(mask="reversed", feeds=0.2)
    run = growlib.fit(
        "cubic-1", growth, trials=16, epochs=10, width=5, dtype="float64", log_every=10
    )
    run.save(tmp_path / "run.npz")
    assert growlib.load(tmp_path / "run.npz").growth == run.growth


@dataclass(frozen=True, repr=False)
class Own(growlib.AuxiliaryWeight):
    """A growth of one's own."""


def test_a_growth_of_ones_own_is_loaded_once_it_is_named_in_methods(tmp_path, monkeypatch):
    run = growlib.fit("cubic-1", Own(start=2.0), trials=2, epochs=4, compiled=False)
    run.save(tmp_path / "run.npz")
    sentence = (
        r"growth is 'Own'; it takes one of AuxiliaryWeight, ControllerMask.*; "
        r"import the module that adds it to growlib\.METHODS"
    )
    with pytest.raises(ValueError, match=sentence):
        growlib.load(tmp_path / "run.npz")
    monkeypatch.setitem(growlib.METHODS, "Own", Own)
    assert growlib.load(tmp_path / "run.npz").growth == Own(start=2.0)


def parabola(x):
    return x**2


@pytest.mark.parametrize(
    "task, what",
    [
        (growlib.task(growlib.task("spirals", points=500), test_points=50), None),
        (growlib.task(growlib.task("spirals", points=500, classes=2), points=400), None),
        (growlib.task(growlib.task("cubic-1", noise=0.1), gap=0.05, test_points=20), None),
        (growlib.task("cubic-1", points=100, gap=0.01), "cubic-1"),
        (growlib.task(parabola, points=100, noise=0.1), parabola),
        (growlib.task(growlib.task(parabola, points=100), test_points=30), parabola),
    ],
)
def test_a_task_is_loaded_with_the_options_that_it_was_given(task, what, tmp_path):
    growlib.fit(task, trials=2, epochs=2, compiled=False).save(tmp_path / "run.npz")
    loaded = growlib.load(tmp_path / "run.npz", what).task
    assert loaded.options == task.options
    for name in ("name", "points", "test_points", "inputs", "outputs", "noise", "gap"):
        assert getattr(loaded, name) == getattr(task, name)
    for found, expected in zip(loaded.draw(3, [1]), task.draw(3, [1]), strict=True):
        np.testing.assert_array_equal(found, expected)

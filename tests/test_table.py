"""A table of one's own as a task: what it becomes, and what is said where it cannot."""

import numpy as np
import pandas as pd
import pytest
import torch

import growlib
from growkit import tables


def table(rows=60, seed=0):
    """Three columns of numbers in units of their own, a number to predict, and one of three classes."""
    generator = np.random.default_rng(seed)
    sick = generator.integers(0, 2, rows) == 1
    frame = pd.DataFrame(
        {
            "mass": generator.normal(5e4, 2e3, rows),
            "age": generator.integers(1, 90, rows),
            "sick": sick,
        }
    )
    frame["height"] = 1.7 + (frame["mass"] - 5e4) / 4e4 + 0.01 * generator.standard_normal(rows)
    return frame.assign(
        kind=np.array(["low", "mid", "high"])[np.digitize(frame["height"], [1.67, 1.73])]
    )


def small(task, **options):
    return growlib.fit(
        task,
        growlib.AuxiliaryWeight(coupling=1.0),
        **dict(trials=3, epochs=30, lr=0.05, compiled=False) | options,
    )


def test_a_number_or_a_class_is_told_apart():
    kinds = {
        "height": ("squared", ()),
        "sick": ("logistic", (False, True)),
        "kind": ("softmax", ("high", "low", "mid")),
        "age": ("squared", ()),
    }
    for target, (loss, labels) in kinds.items():
        frame = table().drop(columns=[] if target == "kind" else ["kind"])
        frame = frame.assign(kind=0.5 * np.arange(60)) if target != "kind" else frame
        task = tables.task_from_frame(frame, target)
        assert (task.loss, task.labels, task.points, task.test_points, task.inputs) == (
            loss,
            labels,
            60,
            12,
            4,
        )
        assert task.columns == tuple(
            name for name in frame if name != target
        ) and task.classes == len(labels)
    digits = table().assign(kind=np.arange(60) % 4)
    assert (
        tables.task_from_frame(digits, "kind").classes == 4
        and tables.task_from_frame(digits, "kind", classes=False).classes == 0
    )
    assert (
        tables.task_from_frame(
            table().drop(columns="kind").assign(age=np.arange(60) % 25), "age", classes=True
        ).classes
        == 25
    )


def test_each_trial_standardises_on_its_own_training_part():
    frame = table().drop(columns="kind")
    task = tables.task_from_frame(frame, "height", test=0.25)
    x, y = task.draw(0, [0, 1])
    assert x.shape == (3, 60, 2) and y.shape == (60, 2) and task.train_points == 45
    train = np.concatenate([x, y[None]])[:, :45]
    np.testing.assert_allclose(train.mean(1), 0, atol=1e-9)
    np.testing.assert_allclose(train.std(1), 1, atol=1e-9)
    assert abs(x[:, 45:].mean(1)).min() > 1e-3  # the test part takes no part in the means
    assert not np.array_equal(x[..., 0], x[..., 1])
    raw, heights = task.draw(0, [0], raw=True)
    assert sorted(heights[:, 0]) == sorted(frame["height"]) and sorted(raw[0, :, 0]) == sorted(
        frame["mass"]
    )


def test_a_run_takes_and_gives_the_tables_units():
    frame = table().drop(columns="kind")
    run = small(
        tables.task_from_frame(frame, "height", name="heights"), epochs=2000, dtype="float64"
    )
    found = run.predict(frame)
    assert found.shape == (3, 60, 1) and set(run.finals["task"]) == {"heights"}
    assert (
        np.corrcoef(found[0, :, 0], frame["height"])[0, 1] > 0.9 and abs(found.mean() - 1.7) < 0.02
    )
    shuffled = frame[["sick", "height", "mass", "age"]]
    np.testing.assert_array_equal(run.predict(shuffled), found)
    np.testing.assert_array_equal(
        run.predict(frame[["mass", "age", "sick"]].to_numpy(float)), found
    )
    plain = (
        run.dense(1)(torch.tensor(frame[["mass", "age", "sick"]].to_numpy(float))).detach().numpy()
    )
    np.testing.assert_allclose(plain, found[1], atol=1e-10)
    # the task loss is that of the standardised target: what is left of its variance
    x, y = run.task.draw(0, [0], raw=True)
    sd = y[: run.task.train_points].std()
    left = (
        (run.predict(x[..., 0].T)[0, run.task.train_points :, 0] - y[run.task.train_points :, 0])
        ** 2
    ).mean() / sd**2
    assert left == pytest.approx(run.finals["test_task_loss"].iloc[0], rel=1e-6)


def test_classes_are_given_in_the_order_of_the_labels():
    frame = table(300)
    task = tables.task_from_frame(frame, "kind")
    run = small(task, epochs=600, lr=0.2)
    likeliest = np.array(task.labels)[run.predict(frame).argmax(-1)]
    assert (likeliest == frame["kind"].to_numpy()).mean() > 0.8
    assert run.finals["accuracy"].median() > 0.75 and run.finals["accuracy_fresh"].isna().all()
    assert run.confusion()["count"].sum() == 3 * task.test_points


def test_a_file_is_read(tmp_path):
    frame = table().drop(columns="kind")
    (
        frame.to_csv(tmp_path / "people.csv", index=False),
        frame.to_parquet(tmp_path / "people.parquet"),
    )
    ours = tables.task_from_frame(frame, "height").draw(0, [0])
    for name in ("people.csv", "people.parquet"):
        theirs = tables.task_from_frame(tmp_path / name, "height").draw(0, [0])
        assert all(np.allclose(a, b, atol=1e-12) for a, b in zip(ours, theirs, strict=True))


def test_the_frame_that_was_given_stays_as_it_is():
    frame = table().set_index("kind")
    before = frame.copy()
    tables.task_from_frame(frame, "height")
    pd.testing.assert_frame_equal(frame, before)


def test_constant_columns_are_left_out_and_named():
    with pytest.warns(UserWarning, match="left out of the table, since constant: 'unit', 'zero'$"):
        task = tables.task_from_frame(
            table().drop(columns="kind").assign(unit=3, zero=0.0), "height"
        )
    assert task.columns == ("mass", "age", "sick")


def test_a_column_that_is_constant_in_one_training_part_does_no_harm():
    """Neither of zeros nor of a number whose mean rounds, and so differs from it."""
    frame = (
        table()
        .drop(columns="kind")
        .assign(rare=np.eye(1, 60)[0], other=np.where(np.arange(60) == 7, 5, 0.1))
    )
    task = tables.task_from_frame(frame, "height")
    run = small(task, trials=30, epochs=2)
    assert not run.finals["diverged"].any() and np.abs(task.draw(0, range(30))[0]).max() < 60


def test_a_saved_run_of_a_table_takes_the_table_again(tmp_path):
    frame = table().drop(columns="kind")
    task = tables.task_from_frame(frame, "height")
    run = small(task, trials=[4, 1])
    run.save(tmp_path / "run.npz")
    again = growlib.load(tmp_path / "run.npz", task)
    np.testing.assert_array_equal(again.predict(frame), run.predict(frame))


# ------------------------------------------------------------------------------------- mini-batches


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("rows, width", [(61, 9), (1300, 5)])
def test_a_batch_of_all_points_is_the_full_batch(rows, width, compiled):
    task = tables.task_from_frame(table(rows).drop(columns="kind"), "height")
    options = dict(trials=2, epochs=3, dtype="float64", width=width, compiled=compiled)
    whole, batch = small(task, **options), small(task, batch=task.train_points, **options)
    np.testing.assert_allclose(batch.weights, whole.weights, atol=1e-12)
    pd.testing.assert_frame_equal(
        batch.finals.drop(columns="seconds"), whole.finals.drop(columns="seconds"), rtol=1e-9
    )


@pytest.mark.parametrize("width", [6, [6, 4]])
@pytest.mark.parametrize("target", ["height", "kind"])
def test_mini_batches_are_those_of_plain_torch(target, width):
    """Two epochs of Adam, batches of 7 with a rest of 6, against autograd, torch's own Adam and the same orders."""
    task = tables.task_from_frame(
        table().drop(columns=[] if target == "kind" else ["kind"]), target
    )
    growth = growlib.ControllerMask(start=1.0, frozen=True, feeds=0.0)
    options = dict(
        trials=[3],
        width=width,
        optimizer="adam",
        dtype="float64",
        batch=7,
        lr=0.01,
        seed=5,
        compiled=False,
    )
    run = growlib.fit(task, growth, epochs=2, **options)
    net = growlib.fit(task, growth, epochs=1, keep_weights=True, **options)
    begin = (
        growlib.Run(task, growth, net.settings, net.finals, net.history, net.snapshots[0])
        .dense()
        .double()
    )
    assert sum(p.numel() for p in begin.parameters()) + np.atleast_1d(width)[0] + 1 == len(
        run.weights
    )  # without the size and its weights
    x, y = (torch.tensor(a[..., 0]) for a in task.draw(5, [3]))
    mean, sd = (torch.tensor(part[..., 0]) for part in task.units(*task.draw(5, [3], raw=True)))
    optimizer = torch.optim.Adam(begin.parameters(), lr=0.01)
    with torch.no_grad():  # back from the table's units to those that it trains in
        begin[0].bias += begin[0].weight @ mean[:-1]
        begin[0].weight *= sd[:-1]
        if target == "height":
            begin[-1].weight /= sd[-1]
            begin[-1].bias.copy_((begin[-1].bias - mean[-1]) / sd[-1])
    for epoch in range(2):
        for places in np.array_split(
            np.random.default_rng([5, epoch]).permutation(48), range(7, 48, 7)
        ):
            y_hat, truth = begin(x[:, places].T), y[places]
            loss = (
                torch.nn.functional.mse_loss(y_hat[:, 0], truth)
                if target == "height"
                else torch.nn.functional.cross_entropy(y_hat, truth.long())
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    y_hat = begin(x.T).detach().T[:, :, None]
    expected = growlib.task_loss(
        y_hat[:, task.train_points :], y[task.train_points :, None], task.loss
    ).item()
    assert run.finals["test_task_loss"].item() == pytest.approx(expected, rel=1e-9)


def test_batches_are_counted_as_epochs_over_all_points():
    task = tables.task_from_frame(table(125).drop(columns="kind"), "height")
    static = growlib.AuxiliaryWeight(start=5.0, frozen=True)
    whole, batch = (
        small(task, trials=2, epochs=4, batch=b).finals["flops_done"].iloc[0] for b in (None, 20)
    )
    assert whole == batch
    flops = [
        growlib.fit(task, static, trials=2, epochs=4, batch=b, compiled=False)
        .finals["flops"]
        .iloc[0]
        for b in (None, 20, 51)
    ]
    assert flops[1:] == pytest.approx([flops[0]] * 2)  # of 51 points the last batch has 49


def test_a_trial_does_not_depend_on_how_many_train_beside_it_in_batches():
    task = tables.task_from_frame(table(120), "kind")
    options = dict(batch=16, compiled=True, epochs=3)
    np.testing.assert_array_equal(
        small(task, trials=[1], **options).weights[:, 0],
        small(task, trials=3, **options).weights[:, 1],
    )


def test_many_inputs_take_the_same_gradient_as_few():
    """Ten columns by matrix products against the same ten through autograd, several layers' way."""
    generator = np.random.default_rng(0)
    frame = pd.DataFrame(generator.standard_normal((50, 10))).assign(
        y=generator.standard_normal(50)
    )
    task = tables.task_from_frame(frame, "y")
    theta = growlib.initial_weights(0, [0, 1], 6, growlib.AuxiliaryWeight(start=3.5), 10)
    x, y = (torch.tensor(a) for a in task.draw(0, [0, 1]))
    growth, shapes = growlib.AuxiliaryWeight(start=3.5), growlib.layer_shapes(6, 10)
    arguments = (
        theta,
        growth.gate(theta[0], 6),
        growth.slope(theta[0], 6),
        x,
        y,
        1 / 50,
        growth,
        shapes,
        "squared",
    )
    ours, theirs = growlib._gradient(*arguments), growlib._by_autograd(*arguments)
    torch.testing.assert_close(ours, theirs)

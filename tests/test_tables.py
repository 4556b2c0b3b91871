"""A table as a task: what it becomes, how it trains, and that it keeps its own units."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from strategies import SEEDS, TRIALS

import growlib
from growkit import tables


def table(rows=60, seed=0):
    """Return a frame of people, with a number and a class to predict.

    Columns: three of numbers in units of their own, one that is true or false, and `kind`, a class
    of three, which follows from `height`.
    """
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
    kinds = np.array(["low", "mid", "high"])
    return frame.assign(kind=kinds[np.digitize(frame["height"], [1.67, 1.73])])


def numbers(rows=60):
    """Return that frame without its classes, so that `height` can be predicted from the rest."""
    return table(rows).drop(columns="kind")


def small(task, **options):
    """Fit three networks for a short time; `options` replace arguments of `fit`."""
    few = {"trials": 3, "epochs": 30, "lr": 0.05, "compiled": False}
    return growlib.fit(task, growlib.AuxiliaryWeight(coupling=1.0), **few | options)


# ----------------------------------------------------------------------------------------- the task


@pytest.mark.parametrize(
    "target, loss, labels",
    [
        ("height", "squared", ()),
        ("sick", "logistic", (False, True)),
        ("kind", "softmax", ("high", "low", "mid")),
        ("age", "squared", ()),
    ],
)
def test_a_target_is_a_number_or_a_class_by_its_values(target, loss, labels):
    frame = table()
    if target != "kind":
        frame = frame.assign(kind=0.5 * np.arange(60))
    task = tables.task_from_frame(frame, target)
    assert task.loss == loss
    assert task.labels == labels
    assert task.classes == len(labels)
    assert (task.points, task.test_points, task.inputs) == (60, 12, 4)
    assert task.columns == tuple(name for name in frame if name != target)


def test_few_whole_numbers_are_classes_unless_told_otherwise():
    digits = table().assign(kind=np.arange(60) % 4)
    assert tables.task_from_frame(digits, "kind").classes == 4
    assert tables.task_from_frame(digits, "kind", classes=False).classes == 0
    ages = numbers().assign(age=np.arange(60) % 25)
    assert tables.task_from_frame(ages, "age", classes=True).classes == 25


def test_each_trial_standardises_with_its_own_training_part():
    frame = numbers()
    task = tables.task_from_frame(frame, "height", test=0.25)
    x, y = task.draw(0, [0, 1])
    assert x.shape == (3, 60, 2)
    assert y.shape == (60, 2)
    assert task.train_points == 45
    train = np.concatenate([x, y[None]])[:, :45]
    np.testing.assert_allclose(train.mean(1), 0, atol=1e-9)
    np.testing.assert_allclose(train.std(1), 1, atol=1e-9)
    assert abs(x[:, 45:].mean(1)).min() > 1e-3  # the test part has no influence on the means
    assert not np.array_equal(x[..., 0], x[..., 1])

    raw, heights = task.draw(0, [0], raw=True)
    assert sorted(heights[:, 0]) == sorted(frame["height"])
    assert sorted(raw[0, :, 0]) == sorted(frame["mass"])


@pytest.mark.parametrize("name", ["people.csv", "people.parquet"])
def test_a_file_gives_the_same_task_as_its_frame(name, tmp_path):
    frame = numbers()
    if name.endswith(".csv"):
        frame.to_csv(tmp_path / name, index=False)
    else:
        frame.to_parquet(tmp_path / name)
    x, y = tables.task_from_frame(frame, "height").draw(0, [0])
    x_read, y_read = tables.task_from_frame(tmp_path / name, "height").draw(0, [0])
    assert np.allclose(x_read, x, atol=1e-12)
    assert np.allclose(y_read, y, atol=1e-12)


def test_the_frame_itself_is_not_changed():
    frame = table().set_index("kind")
    before = frame.copy()
    tables.task_from_frame(frame, "height")
    pd.testing.assert_frame_equal(frame, before)


def test_constant_columns_are_left_out_and_named():
    frame = numbers().assign(unit=3, zero=0.0)
    with pytest.warns(UserWarning, match="left out of the table, since constant: 'unit', 'zero'$"):
        task = tables.task_from_frame(frame, "height")
    assert task.columns == ("mass", "age", "sick")


def test_a_column_that_is_constant_in_one_training_part_does_no_harm():
    """Neither if it is all zeros there, nor if its rounded mean differs from its one value."""
    row = np.arange(60)
    frame = numbers().assign(
        rare=np.where(row == 0, 1.0, 0.0),
        other=np.where(row == 7, 5, 0.1),
    )
    task = tables.task_from_frame(frame, "height")
    run = small(task, trials=30, epochs=2)
    assert not run.finals["diverged"].any()
    assert np.abs(task.draw(0, range(30))[0]).max() < 60


# ------------------------------------------------------------------------------------------ the run


def test_a_run_takes_and_gives_the_units_of_the_table():
    frame = numbers()
    inputs = frame[["mass", "age", "sick"]].to_numpy(float)
    task = tables.task_from_frame(frame, "height", name="heights")
    run = small(task, epochs=2000, dtype="float64")
    assert set(run.finals["task"]) == {"heights"}

    found = run.predict(frame)
    assert found.shape == (3, 60, 1)
    assert np.corrcoef(found[0, :, 0], frame["height"])[0, 1] > 0.9
    assert abs(found.mean() - 1.7) < 0.02

    shuffled = frame[["sick", "height", "mass", "age"]]
    np.testing.assert_array_equal(run.predict(shuffled), found)
    np.testing.assert_array_equal(run.predict(inputs), found)
    plain = run.dense(1)(torch.tensor(inputs)).detach().numpy()
    np.testing.assert_allclose(plain, found[1], atol=1e-10)


def test_the_task_loss_is_that_of_the_standardised_target():
    """It is the fraction of the training part's variance that the network leaves unexplained."""
    task = tables.task_from_frame(numbers(), "height")
    run = small(task, epochs=2000, dtype="float64")
    x, y = task.draw(0, [0], raw=True)
    first = task.train_points
    left = run.predict(x[..., 0].T)[0, first:, 0] - y[first:, 0]
    unexplained = (left**2).mean() / y[:first].std() ** 2
    assert unexplained == pytest.approx(run.finals["test_task_loss"].iloc[0], rel=1e-6)


def test_classes_are_predicted_in_the_order_of_the_labels():
    frame = table(300)
    task = tables.task_from_frame(frame, "kind")
    run = small(task, epochs=600, lr=0.2)
    likeliest = np.array(task.labels)[run.predict(frame).argmax(-1)]
    assert (likeliest == frame["kind"].to_numpy()).mean() > 0.8
    assert run.finals["accuracy"].median() > 0.75
    assert run.finals["accuracy_fresh"].isna().all()
    assert run.confusion()["count"].sum() == 3 * task.test_points


def test_a_saved_run_of_a_table_takes_the_table_again(tmp_path):
    frame = numbers()
    task = tables.task_from_frame(frame, "height")
    run = small(task, trials=[4, 1])
    run.save(tmp_path / "run.npz")
    again = growlib.load(tmp_path / "run.npz", task)
    np.testing.assert_array_equal(again.predict(frame), run.predict(frame))


# ------------------------------------------------------------------------------------- mini-batches


@pytest.mark.parametrize("compiled", [None, False])
@pytest.mark.parametrize("rows, width", [(61, 9), (1300, 5)])
def test_a_batch_of_all_points_is_the_full_batch(rows, width, compiled):
    task = tables.task_from_frame(numbers(rows), "height")
    options = {"trials": 2, "epochs": 3, "dtype": "float64", "width": width, "compiled": compiled}
    whole = small(task, **options)
    batch = small(task, batch=task.train_points, **options)
    np.testing.assert_allclose(batch.weights, whole.weights, atol=1e-12)
    found, expected = (run.finals.drop(columns="seconds") for run in (batch, whole))
    pd.testing.assert_frame_equal(found, expected, rtol=1e-9)


@pytest.mark.parametrize("width, compiled", [(6, None), (6, False), ([6, 4], False)])
@pytest.mark.parametrize("target", ["height", "kind"])
def test_mini_batches_are_those_of_plain_torch(target, width, compiled):
    """Two epochs of Adam in batches of 7 and one of 6, against autograd and torch's own Adam."""
    frame = table() if target == "kind" else numbers()
    task = tables.task_from_frame(frame, target)
    growth = growlib.ControllerMask(start=1.0, frozen=True, feeds=0.0)
    options = {
        "trials": [3],
        "width": width,
        "optimizer": "adam",
        "dtype": "float64",
        "batch": 7,
        "lr": 0.01,
        "seed": 5,
        "compiled": compiled,
    }
    run = growlib.fit(task, growth, epochs=2, **options)
    net = untrained(task, growth, options)
    weights = sum(parameter.numel() for parameter in net.parameters())
    # the plain layers have neither the size nor the weights from it
    assert weights + np.atleast_1d(width)[0] + 1 == len(run.weights)

    x, y = (torch.tensor(array[..., 0]) for array in task.draw(5, [3]))
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    for epoch in range(2):
        order = np.random.default_rng([5, epoch]).permutation(48)
        for places in np.array_split(order, range(7, 48, 7)):
            y_hat = net(x[:, places].T)
            if target == "height":
                loss = torch.nn.functional.mse_loss(y_hat[:, 0], y[places])
            else:
                loss = torch.nn.functional.cross_entropy(y_hat, y[places].long())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    y_hat = net(x.T).detach().T[:, :, None]
    first = task.train_points
    expected = growlib.task_loss(y_hat[:, first:], y[first:, None], task.loss).item()
    assert run.finals["test_task_loss"].item() == pytest.approx(expected, rel=1e-9)


def untrained(task, growth, options):
    """Return the first weights of a fit as plain layers in the units that it trains in."""
    run = growlib.fit(task, growth, epochs=1, keep_weights=True, **options)
    first = growlib.Run(task, growth, run.settings, run.finals, run.history, run.snapshots[0])
    net = first.dense().double()
    (trial,) = options["trials"]
    units = task.units(*task.draw(options["seed"], [trial], raw=True))
    mean, deviation = (torch.tensor(part[..., 0]) for part in units)
    with torch.no_grad():  # `dense` gives layers in the units of the table
        net[0].bias += net[0].weight @ mean[:-1]
        net[0].weight *= deviation[:-1]
        if task.loss == "squared":
            net[-1].weight /= deviation[-1]
            net[-1].bias.copy_((net[-1].bias - mean[-1]) / deviation[-1])
    return net


def test_operations_of_batches_are_those_of_epochs_over_all_points():
    task = tables.task_from_frame(numbers(125), "height")
    whole, batch = (small(task, trials=2, epochs=4, batch=size) for size in (None, 20))
    assert whole.finals["flops_done"].iloc[0] == batch.finals["flops_done"].iloc[0]

    static = growlib.AuxiliaryWeight(start=5.0, frozen=True)
    flops = []
    for size in (None, 20, 51):  # of 51 points the last batch has 49
        run = growlib.fit(task, static, trials=2, epochs=4, batch=size, compiled=False)
        flops.append(run.finals["flops"].iloc[0])
    assert flops[1:] == pytest.approx([flops[0]] * 2)


def test_a_trial_in_batches_does_not_depend_on_how_many_train_beside_it():
    task = tables.task_from_frame(table(120), "kind")
    options = {"batch": 16, "compiled": None, "epochs": 3}
    alone = small(task, trials=[1], **options)
    beside = small(task, trials=3, **options)
    np.testing.assert_array_equal(alone.weights[:, 0], beside.weights[:, 1])


# --------------------------------------------------- properties, on tables that hypothesis makes up


NUMBERS = st.sampled_from([0.1, 0.3, 1 / 3, -7.0, 1e8 + 0.1, 1e-9]) | st.floats(-1e6, 1e6).map(
    lambda value: round(value, 6)
)


@st.composite
def frames(draw):
    """Return frames of 6 to 16 rows and two to four columns, some of which vary in one row only."""
    rows = draw(st.integers(6, 16))
    varied = st.lists(NUMBERS, min_size=rows, max_size=rows)
    almost_constant = st.builds(
        lambda value, other, row: [other if k == row else value for k in range(rows)],
        NUMBERS,
        NUMBERS,
        st.integers(0, rows - 1),
    )
    columns = draw(st.lists(varied | almost_constant, min_size=2, max_size=4))
    return pd.DataFrame(dict(zip("abcd", columns, strict=False)))


@given(frame=frames(), test=st.floats(0.2, 0.6), seed=SEEDS, trials=TRIALS)
def test_a_tables_units_are_those_of_the_training_part_and_can_be_undone(frame, test, seed, trials):
    """Training columns have mean 0 and standard deviation 1, or 0 where they do not vary.

    In their own units they are the table's rows.
    """
    assume((frame.nunique() > 1).all())
    task = tables.task_from_frame(frame, "a", classes=False, test=test)
    x, y = task.draw(seed, trials)
    raw_x, raw_y = task.draw(seed, trials, raw=True)
    standardised = np.concatenate([x, y[None]])  # (columns, points, T), the target last
    raw = np.concatenate([raw_x, raw_y[None]])

    mean, sd = task.units(raw_x, raw_y)
    undone = standardised * sd[:, None] + mean[:, None]
    np.testing.assert_allclose(undone, raw, rtol=1e-9, atol=1e-9 * np.abs(raw).max())

    train = standardised[:, : task.train_points]
    varies = np.ptp(raw[:, : task.train_points], axis=1) > 0
    np.testing.assert_allclose(train.std(1), varies, atol=1e-6)
    np.testing.assert_allclose(train.mean(1)[varies], 0, atol=1e-6)
    assert (sd[~varies] == 1).all()

    rows = frame[[*task.columns, "a"]].to_numpy()
    for k in range(len(trials)):
        assert sorted(map(tuple, raw[..., k].T)) == sorted(map(tuple, rows))


LABELS = st.sampled_from(["ant", "bee", "cat"]) | st.booleans() | st.integers(0, 5)


@given(
    labels=st.lists(LABELS.map(str), min_size=4, max_size=10),
    test=st.floats(0.1, 0.4),
)
def test_a_tables_classes_are_its_labels(labels, test):
    """The classes are the places of the labels in `task.labels`, and every row keeps its own."""
    labels = 2 * labels  # each class has two rows or more
    train_rows = len(labels) - round(test * len(labels))
    assume(1 < len(set(labels)) <= train_rows)
    frame = pd.DataFrame({"row": np.arange(len(labels)), "kind": labels})
    task = tables.task_from_frame(frame, "kind", test=test)
    assert task.labels == tuple(sorted(set(labels)))
    assert task.classes == len(task.labels)

    x, y = task.draw(0, [0], raw=True)
    drawn = [task.labels[int(place)] for place in y[:, 0]]
    assert drawn == [labels[int(row)] for row in x[0, :, 0]]

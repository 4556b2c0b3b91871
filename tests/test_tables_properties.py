"""Properties of tasks on tables, tried on tables that hypothesis makes up."""

import numpy as np
import pandas as pd
from hypothesis import assume, given
from hypothesis import strategies as st
from strategies import SEEDS, TRIALS

from growkit import tables

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

"""A table of your own as a task: numbers in its columns, one of them the target.

Use this module to train on a CSV file, a Parquet file or a DataFrame. It imports from growlib
what a task is, the conversion of cells to numbers, and the checks of arguments.
"""

import os
import warnings

import pandas as pd

from growlib import Task, _finite, _number, _require, _shuffled


def task_from_frame(
    frame: pd.DataFrame | str | os.PathLike,
    target,
    classes: bool | None = None,
    test: float = 0.2,
    name: str = "table",
) -> Task:
    """Return the task of predicting one column of a table from all the others.

    Each trial splits the rows at random into a training and a test part, with its own seed. It
    standardises the inputs, and a target of numbers, with the means and standard deviations of its
    training part. Losses are therefore those of the standardised target, but `Run.predict` and
    `Run.dense` take and return values in the units of the table.

    Columns that are constant are left out, with a warning that names them.

    Parameters
    ----------
    frame : DataFrame or path
        The table, with one row for each sample. All columns but the target hold finite numbers,
        or true and false for 1 and 0. A path names a file with such a table, in Parquet if it ends
        in .parquet and otherwise in CSV.
    target : column name
        The column to predict, which holds numbers or classes.
    classes : bool, optional
        Whether the target holds classes. By default, floats are numbers, and so are integers with
        more than 20 different values; anything else is taken as classes, such as text or booleans.
    test : float
        Fraction of the rows in the test part, between 0 and 1.
    name : str
        Name of the task in the frames of results.

    Returns
    -------
    Task
        The task. Its `columns` are the names of the inputs and its `labels` the classes, both in
        the order in which the network takes and returns them.

    Raises
    ------
    ValueError
        If the file cannot be read or is too large for the memory of this machine; if the table has
        no such target, or no other column that varies; if a cell is not a finite number (the
        message gives its row, counted from 0); if the target has only one value, or a class only
        one row; or if `test` leaves too few rows for training or testing.

    Examples
    --------
    >>> task = tables.task_from_frame("mine.csv", target="height")
    >>> run = growlib.fit(task, growlib.AuxiliaryWeight(coupling=0.1), trials=10, epochs=1000)
    """
    table = _as_frame(frame)
    _require(
        target in list(table),
        "target",
        target,
        f"a column of the table: {', '.join(map(str, table.columns[:12]))}",
    )
    truth = table.pop(target)

    if classes is None:
        classes = _holds_classes(truth)
    labels = ()
    if classes:
        truth, labels = _numbered(truth)
    _require(
        truth.nunique() > 1 and (not classes or truth.value_counts().min() > 1),
        "target",
        target,
        "one that varies, every class in two rows or more",
    )

    test_points = _test_rows(test, len(truth), len(labels))
    table = _without_constants(table, target)
    x = _finite("frame", table)  # (columns, rows)
    y = _finite("frame", truth.to_frame(target))[0]  # (rows,)

    def sample(generator, _points):
        return _shuffled(generator, x, y)  # each trial takes all rows, in an order of its own

    loss, outputs = _loss_and_outputs(len(labels))
    return Task(
        name,
        sample,
        loss,
        points=len(y),
        test_points=test_points,
        inputs=len(x),
        outputs=outputs,
        columns=tuple(table),
        labels=labels,
        standardised=True,
    )


def _as_frame(frame):
    """A copy of the given table, or the table in the given file, with rows counted from 0."""
    if not isinstance(frame, pd.DataFrame):
        _require(
            isinstance(frame, str | os.PathLike),
            "frame",
            type(frame).__name__,
            "a DataFrame, or the path of a CSV or Parquet file",
        )
        frame = _read(frame)

    names = list(frame)
    distinct = len(set(names)) == len(names)
    _require(
        len(frame) and len(names) > 1 and distinct,
        "frame",
        (*frame.shape, names[:12]),
        "rows, and two columns or more with a name of their own each, separated by commas in a "
        "CSV file",
    )
    return frame.reset_index(drop=True)


def _read(path):
    """The table in a CSV or Parquet file."""
    try:
        _require_memory(path)
        if str(path).endswith(".parquet"):
            return pd.read_parquet(path)
        return pd.read_csv(path)
    except (OSError, TypeError, ValueError, MemoryError) as error:
        reason = " ".join(str(error).split())  # on one line
        raise ValueError(
            f"frame is {str(path)!r}; it takes a table, or a CSV or Parquet file of one ({reason})"
        ) from None


def _require_memory(path):
    """Raise ValueError if the file is larger than an eighth of the memory of this machine."""
    # The table is held several times: as it is read, as numbers, and in the order of each trial.
    size = os.path.getsize(path) / 1e9
    most = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 8e9
    _require(size < most, "its size", f"{size:.3g} GB", f"at most {most:.3g} GB on this machine")


def _holds_classes(truth):
    """Whether the values of a target are classes rather than numbers, judged by their type."""
    if pd.api.types.is_integer_dtype(truth):
        return truth.nunique() <= 20
    return not pd.api.types.is_float_dtype(truth)


def _numbered(truth):
    """The classes of a target as numbers 0, 1, 2 ..., and as labels in that order."""
    categories = pd.Categorical(truth).remove_unused_categories()
    numbers = pd.Series(categories.codes)
    # A missing class has the code -1. As NaN, it is reported with its row like any other bad cell.
    return numbers.where(numbers >= 0), tuple(categories.categories)


def _test_rows(test, rows, classes):
    """The number of rows for testing, if enough of the others are left for training."""
    test_points = round(_number("test", test) * rows)
    least = max(2, classes)  # rows for training
    _require(
        test_points >= 1 and rows - test_points >= least,
        "test",
        test,
        f"a fraction of the {rows} rows that leaves {least} or more to train and 1 or more to test",
    )
    return test_points


def _without_constants(table, target):
    """The table without its constant columns; a warning names them."""
    constant = [column for column in table if table[column].nunique(dropna=False) == 1]
    if constant:
        warnings.warn(
            f"left out of the table, since constant: {', '.join(map(repr, constant))}",
            stacklevel=3,  # the caller of task_from_frame
        )
    table = table.drop(columns=constant)
    _require(
        len(table.columns), "frame", [target, *constant], "a column that varies beside the target"
    )
    return table


def _loss_and_outputs(classes):
    """The loss, and the number of outputs, for a number of classes that is 0 for a regression."""
    if classes == 0:
        return "squared", 1
    if classes == 2:
        return "logistic", 1
    return "softmax", classes

"""A table of your own as a task."""

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
    """Return the task of predicting one column of a table from all its others.

    Each trial splits the rows by its own seed, and standardises with the means and standard deviations of its training
    part; `Run.predict` and `Run.dense` take and give the table's own units, losses are those of the standardised target.
    A constant column is left out, with a warning that names it.

    Parameters
    ----------
    frame : DataFrame or path
        A row a sample, finite numbers but for the target; or a file of it, Parquet where its name ends in .parquet, otherwise CSV.
    target : column name
        What to predict: numbers, or classes.
    classes : bool, optional
        Whether the target is a class. By default text, a category, true and false, and at most 20 different whole numbers are.
    test : float
        Fraction of the rows that test, between 0 and 1.
    name : str
        What the frames of results call the task.

    Raises
    ------
    ValueError
        The table cannot be read, is too large for memory, or has no such target, a cell that is no finite number (its row counts
        from 0), one class alone, no other column that varies, or too few rows.
    """
    table = _table(frame)
    _require(
        target in list(table),
        "target",
        target,
        f"a column of the table: {', '.join(map(str, table.columns[:12]))}",
    )
    y = table.pop(target)
    if classes is None:
        classes = (
            y.nunique() <= 20
            if pd.api.types.is_integer_dtype(y)
            else not pd.api.types.is_float_dtype(y)
        )
    kinds = pd.Categorical(y if classes else []).remove_unused_categories()
    y, labels = (
        pd.Series(kinds.codes).where(kinds.codes >= 0) if classes else y,
        tuple(kinds.categories),
    )
    _require(
        y.nunique() > 1 and (not classes or y.value_counts().min() > 1),
        "target",
        target,
        "one that varies, every class in two rows or more",
    )
    test_points = round(_number("test", test) * len(y))
    enough = len(y) - test_points >= max(2, len(labels)) and test_points
    _require(
        enough,
        "test",
        test,
        f"a fraction of the {len(y)} rows, enough of which train, one for each class or more, and test",
    )
    constant = [column for column in table if table[column].nunique(dropna=False) == 1]
    if constant:
        warnings.warn(
            f"left out of the table, since constant: {', '.join(map(repr, constant))}", stacklevel=2
        )
    table = table.drop(columns=constant)
    _require(
        len(table.columns), "frame", [target, *constant], "a column that varies beside the target"
    )
    x, y = _finite(table), _finite(y.to_frame(target))[0]
    loss, outputs = (
        {0: "squared", 2: "logistic"}.get(len(labels), "softmax"),
        len(labels) if len(labels) > 2 else 1,
    )
    return Task(
        name,
        lambda generator, _: _shuffled(generator, x, y),
        loss,
        len(y),
        test_points,
        len(x),
        outputs,
        columns=tuple(table),
        labels=labels,
        standardised=True,
    )


def _table(frame):
    """A frame, or what a file holds, as a frame of its own whose rows count from 0."""
    if not isinstance(frame, pd.DataFrame):
        _require(
            isinstance(frame, str | os.PathLike),
            "frame",
            type(frame).__name__,
            "a DataFrame, or the path of a CSV or Parquet file",
        )
        try:
            size, most = (
                os.path.getsize(frame) / 1e9,
                os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 8e9,
            )  # it is held several times
            _require(
                size < most, "its size", f"{size:.3g} GB", f"at most {most:.3g} GB on this machine"
            )
            frame = (pd.read_parquet if str(frame).endswith(".parquet") else pd.read_csv)(frame)
        except (OSError, TypeError, ValueError, MemoryError) as error:
            raise ValueError(
                f"frame is {str(frame)!r}; it takes a table, or a CSV or Parquet file of one ({' '.join(str(error).split())})"
            ) from None
    fine = len(frame) and len(set(frame)) == frame.shape[1] > 1
    _require(
        fine,
        "frame",
        (*frame.shape, list(frame)[:12]),
        "rows, and two columns or more with a name of their own each, in a CSV between commas",
    )
    return frame.reset_index(drop=True)

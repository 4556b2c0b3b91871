"""A table of your own as a task: numbers in its columns, one of them the target.

Use this module to train on a CSV file, a Parquet file or a DataFrame. It imports from growlib
what a task is, the conversion of cells to numbers, and the checks of arguments.

Below `task_from_frame` stand its steps in their order: the file, the target, the columns, and the
lines that it prints. What cannot be meant is refused with the call of pandas that mends it, and
what had to be guessed is printed.
"""

import os
import re
import warnings
from collections.abc import Callable, Hashable

import numpy as np
import pandas as pd

from growkit import remedies
from growlib import Task, _finite, _number, _require, _shuffled

FEW_VALUES = 20  # whole numbers with at most so many different values are taken as classes
MOST_ROWS = 0.8  # the share of one class above which accuracy says little


def task_from_frame(
    frame: pd.DataFrame | str | os.PathLike,
    target,
    classes: bool | None = None,
    test: float = 0.2,
    name: str = "table",
    say: Callable[[str], object] = print,
) -> Task:
    """Return the task of predicting one column of a table from all the others.

    Each trial splits the rows at random into a training and a test part, with its own seed. It
    standardises the inputs, and a target of numbers, with the means and standard deviations of its
    training part. Losses are therefore those of the standardised target, but `Run.predict` and
    `Run.dense` take and return values in the units of the table.

    What the table does not tell is guessed, and each guess is printed: whether the target holds
    numbers or classes, and which columns are left out, namely constants and an index that pandas
    saved without a name. A line also names columns that may only name the rows or that repeat the
    target, and a class that most rows have. Accuracy says little then; see `Run.recall`.

    Parameters
    ----------
    frame : DataFrame or path
        The table, with one row for each sample. All columns but the target hold finite numbers,
        or true and false for 1 and 0. The index of a DataFrame is not an input. A path names a
        file with such a table, in Parquet if it ends in .parquet and otherwise in CSV: UTF-8 with
        commas, compressed if it ends in .gz or .zip. Read any other file with pandas first.
    target : column name
        The column to predict, which holds numbers or classes.
    classes : bool, optional
        Whether the target holds classes. By default, floats are numbers, and so are integers with
        more than 20 different values; anything else is taken as classes, such as text or booleans.
    test : float
        Fraction of the rows in the test part, between 0 and 1.
    name : str
        Name of the task in the frames of results and in the printed lines.
    say : callable
        What each line is given to, where printing is not wanted.

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
        message gives its row, counted from 0); if the target has only one value, a class only one
        row, or two classes differ in type, case or spaces alone; or if `test` leaves too few rows
        for training or testing. Where pandas has a remedy, the message names it.

    Examples
    --------
    >>> task = tables.task_from_frame("mine.csv", target="height")
    >>> run = growlib.fit(task, growlib.AuxiliaryWeight(coupling=0.1), trials=10, epochs=1000)
    """
    known = classes is None or isinstance(classes, bool | np.bool_)
    _require(known, "classes", classes, "True or False, or None to judge by the values")
    table = _as_frame(frame)
    truth = _taken_out(table, target)
    lines = []

    guessed = classes is None
    if guessed:
        classes = _holds_classes(truth)
    labels = ()
    if classes:
        y, labels = _numbered(truth)
    else:
        y = _finite("frame", truth.to_frame(target), remedies.for_target)[0]  # (rows,)
        _require(np.ptp(y) > 0, "target", target, "one that varies")
    if guessed:
        lines.append(_about_target(truth, y, labels))
    test_points = _test_rows(test, len(y), len(labels))

    table = _without_index_and_constants(table, target, lines)
    x = _finite("frame", table, remedies.for_input)  # (columns, rows)
    lines += _about_inputs(x, y, table.columns, labels)
    lines += _about_commonest_class(y, labels)
    for line in lines:
        say(f"{name}: {line}")

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


def _listed(values, most=6):
    """The values as code, with commas between them; of many, the first ones."""
    values = list(values)
    shown = ", ".join(repr(value) for value in values[:most])
    if len(values) > most:
        shown += f" and {len(values) - most} more"
    return shown


# ---------------------------------------------------------------------------------------- the file


def _as_frame(frame):
    """A copy of the given table, or the table in the given file, with rows counted from 0."""
    if not isinstance(frame, pd.DataFrame):
        _require(
            isinstance(frame, str | os.PathLike),
            "frame",
            type(frame).__name__,
            "a DataFrame, or the path of a CSV or Parquet file; pd.DataFrame(frame) makes one of "
            "arrays, frame.to_pandas() of tables of other libraries",
        )
        frame = _read(os.path.expanduser(frame))

    names = list(frame)
    about = (*frame.shape, names[:12])
    _require(len(frame) and len(names) > 1, "frame", about, "rows, and two columns or more")
    _require(
        len(set(names)) == len(names),
        "frame",
        about,
        "columns with a name of their own each; frame.loc[:, ~frame.columns.duplicated()] keeps "
        "the first of each name",
    )
    return frame.reset_index(drop=True)


def _read(path):
    """The table in a CSV or Parquet file."""
    try:
        _require_memory(path)
        if path.lower().endswith(".parquet"):
            return pd.read_parquet(path)
        return _read_csv(path)
    except (OSError, TypeError, ValueError, MemoryError) as error:
        reason = " ".join(str(error).split())  # on one line
        raise ValueError(
            f"frame is {path!r}; it takes a table, or a CSV or Parquet file of one "
            f"({reason}){remedies.for_file(path)}"
        ) from None


def _require_memory(path):
    """Raise ValueError if the file is larger than an eighth of the memory of this machine."""
    # The table is held several times: as it is read, as numbers, and in the order of each trial.
    size = os.path.getsize(path) / 1e9
    most = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 8e9
    _require(size < most, "its size", f"{size:.3g} GB", f"at most {most:.3g} GB on this machine")


def _read_csv(path):
    """The table in a CSV file."""
    with warnings.catch_warnings(action="error", category=pd.errors.ParserWarning):
        try:
            # By default pandas takes the first cells as an index if a line has more cells than the
            # header. A comma at the end of the lines would then move every column by one.
            table = pd.read_csv(path, index_col=False, low_memory=False)
        except pd.errors.ParserWarning:
            raise ValueError("lines have more cells than the header") from None
    if len(table.columns) < 2 or len(table) == 0:
        raise ValueError(f"it has {len(table)} rows below the header, columns: {list(table)[:12]}")
    return table


# -------------------------------------------------------------------------------------- the target


def _taken_out(table, target):
    """The column of the target, which leaves the table."""
    names = list(table)
    takes = f"a column of the table: {', '.join(map(str, names[:12]))}"
    if not (isinstance(target, Hashable) and target in names):
        _require(False, "target", target, takes + remedies.for_unknown_target(target, names))
    truth = table.pop(target).rename(target)
    truth = truth.infer_objects()  # numbers may lie in a column of objects
    if truth.dtype == object:
        countable = truth.map(lambda cell: isinstance(cell, Hashable)).all()
        _require(countable, "target", target, "one with a number or a class in every row")
    return truth


def _holds_classes(truth):
    """Whether the values of a target are classes rather than numbers, judged by their type."""
    if pd.api.types.is_integer_dtype(truth):
        return truth.nunique() <= FEW_VALUES
    return not pd.api.types.is_float_dtype(truth)


def _numbered(truth):
    """The classes of a target as numbers 0., 1., 2. ... (rows,), and as labels in that order."""
    target = truth.name
    gaps = np.flatnonzero(truth.isna())
    if len(gaps) > 0:
        raise ValueError(
            f"frame: column {target!r}, row {gaps[0]} is {truth[gaps[0]]}; it takes a class in "
            f"every row (gaps: {len(gaps)}); frame.dropna(subset=[{target!r}]) leaves out such "
            "rows; if None or NA is a class, pd.read_csv(path, keep_default_na=False) keeps it"
        )
    categories = pd.Categorical(truth).remove_unused_categories()
    labels = tuple(categories.categories.tolist())
    if not isinstance(truth.dtype, pd.CategoricalDtype):  # there each class was named on purpose
        _require_one_spelling(labels, target)

    counts = np.bincount(categories.codes)
    once = [label for label, count in zip(labels, counts, strict=True) if count == 1]
    takes = "one that varies, every class in two rows or more"
    if once:
        takes += f" (only one row has {_listed(once)}){_as_numbers(truth)}"
    _require(len(labels) > 1 and not once, "target", target, takes)
    return categories.codes.astype(float), labels


def _require_one_spelling(labels, target):
    """Raise ValueError if classes differ in type, case or surrounding spaces alone."""
    spellings = {}
    for label in labels:
        plain = str(label).strip().casefold().removesuffix(".0")
        spellings.setdefault(plain, []).append(label)
    column = f"frame[{target!r}]"
    mended = f"{column}.astype(str).str.strip().str.lower()"
    if all(plain.isnumeric() for plain in spellings):
        mended = f"pd.to_numeric({column}).astype(int)"
    for alike in spellings.values():
        _require(
            len(alike) == 1,
            "target",
            target,
            f"classes in one spelling each, but has {_listed(alike)}; {mended} makes one class of "
            f"them, {column}.astype('category') keeps them apart",
        )


def _as_numbers(truth):
    """How a target that was taken as classes becomes numbers, as the end of a sentence."""
    if truth.dtype.kind not in "bmM" and pd.to_numeric(truth, errors="coerce").notna().all():
        return "; classes=False makes numbers of them"
    call = remedies.for_text(truth.name, str(truth[0]))
    if call and truth.nunique() > FEW_VALUES:
        return f"; {call}"
    return ""


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


def _loss_and_outputs(classes):
    """The loss, and the number of outputs, for a number of classes that is 0 for a regression."""
    if classes == 0:
        return "squared", 1
    if classes == 2:
        return "logistic", 1
    return "softmax", classes


# ------------------------------------------------------------------------------------- the columns

# An index that was written without a name, as pandas names it when it reads the file.
INDEX = r"(Unnamed: 0|__index_level_0__)(\.\d+)?"


def _without_index_and_constants(table, target, lines):
    """The table without them; a line on each kind is added to the lines."""
    indices = []
    constants = []
    for name in table:
        if isinstance(name, str) and re.fullmatch(INDEX, name):
            indices.append(name)
        elif _is_constant(table[name]):
            constants.append(name)
    if indices:
        lines.append(
            f"left out {_listed(indices)}, an index that was saved without a name; "
            "frame.rename(columns=...) makes it an input"
        )
    if constants:
        lines.append(f"left out {_listed(constants, 12)}, since constant")
    inputs = table.drop(columns=indices + constants)
    names = [target, *table]
    _require(len(inputs.columns), "frame", names, "a column that varies beside the target")
    return inputs


def _is_constant(column):
    """Whether all cells are alike."""
    try:
        return column.nunique(dropna=False) == 1
    except TypeError:  # of a list or another cell that cannot be counted, nor be a number
        return False


# ------------------------------------------------------------------------- the lines that it prints


def _about_target(truth, y, labels):
    """The line that says what the target was taken for, and how to change it."""
    if not labels:
        line = f"{truth.name!r} is taken as numbers"
        _, counts = np.unique(y, return_counts=True)
        if (y % 1 == 0).all() and counts.min() > 1:
            line += f"; classes=True makes classes of its {len(counts)} values"
        return line
    classes = f"{len(labels)} classes: {_listed(labels)}"
    return f"{truth.name!r} is taken as {classes}{_as_numbers(truth)}"


def _about_inputs(x, y, names, labels):
    """The lines on inputs that may only name the rows, and on those that repeat the target."""
    of_rows = []
    copies = []
    for name, values in zip(names, x, strict=True):
        if (values % 1 == 0).all() and len(np.unique(values)) == len(values):
            of_rows.append(name)
        if labels:  # whatever each class is called
            same = np.array_equal(pd.factorize(values)[0], pd.factorize(y)[0])
        else:
            same = np.array_equal(values, y)
        if same:
            copies.append(name)

    lines = []
    if of_rows:
        lines.append(
            f"{_listed(of_rows)} may only name the rows, being whole and different in each; "
            "frame.drop(columns=...) leaves it out"
        )
    if copies:
        lines.append(
            f"{_listed(copies)} tells the target of every row, as a copy of it would; "
            "frame.drop(columns=...) leaves it out"
        )
    return lines


def _about_commonest_class(y, labels):
    """The line on a class that most rows have, if there is one."""
    if not labels:
        return []
    counts = np.bincount(y.astype(int))
    share = counts.max() / len(y)
    label = labels[counts.argmax()]
    if share <= MOST_ROWS:
        return []
    return [
        f"{100 * share:.3g} % of the rows are {label!r}, so answering {label!r} always has an "
        f"accuracy of {share:.3g}; Run.recall tells how well each class is found"
    ]

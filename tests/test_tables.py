"""A table as a task: what it becomes, how it trains, and that it keeps its own units."""

import gzip
import re
import zipfile

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


# ------------------------------------------------------------------------------- what it prints

NUMBERS_TAKEN = "table: 'height' is taken as numbers"
STARS = np.arange(60) % 5 + 1
FOUND = np.where(np.arange(60) % 15 == 0, "yes", "no")  # 4 of 60 rows, which is 6.7 %
LINES = {
    "stars": (
        numbers().assign(height=STARS),
        "table: 'height' is taken as 5 classes: 1, 2, 3, 4, 5; classes=False makes numbers of them",
    ),
    "counts": (
        numbers().assign(height=np.arange(60) % 20),
        "table: 'height' is taken as 20 classes: 0, 1, 2, 3, 4, 5 and 14 more; "
        "classes=False makes numbers of them",
    ),
    "more counts": (
        numbers().assign(height=np.arange(60) % 21),
        "table: 'height' is taken as numbers; classes=True makes classes of its 21 values",
    ),
    "counts that differ in every row": (numbers().assign(height=np.arange(60) * 3), NUMBERS_TAKEN),
    "0 and 1 as floats": (
        numbers().assign(height=np.arange(60) % 2 * 1.0),
        "table: 'height' is taken as numbers; classes=True makes classes of its 2 values",
    ),
    "floats": (numbers(), NUMBERS_TAKEN),
    "floats in a column of objects": (numbers().astype({"height": object}), NUMBERS_TAKEN),
    "text": (
        numbers().assign(height=table()["kind"]),
        "table: 'height' is taken as 3 classes: 'high', 'low', 'mid'",
    ),
    "digits as text": (
        numbers().assign(height=STARS.astype(str)),
        "table: 'height' is taken as 5 classes: '1', '2', '3', '4', '5'; "
        "classes=False makes numbers of them",
    ),
    "prices as text": (
        numbers(84).assign(height=[f"{k % 21},5" for k in range(84)]),
        "table: 'height' is taken as 21 classes: '0,5', '1,5', '10,5', '11,5', '12,5', '13,5' and "
        "15 more; pd.read_csv(path, decimal=',') makes a number of it",
    ),
    "booleans": (
        numbers().assign(height=STARS > 2),
        "table: 'height' is taken as 2 classes: False, True",
    ),
    "an ordered category": (
        numbers().assign(height=pd.Categorical(table()["kind"], ["low", "mid", "high"])),
        "table: 'height' is taken as 3 classes: 'low', 'mid', 'high'",
    ),
    "spellings that were meant": (
        numbers().assign(height=pd.Categorical(["yes", "Yes"] * 30)),
        "table: 'height' is taken as 2 classes: 'Yes', 'yes'",
    ),
    "an index": (
        pd.concat([pd.Series(range(60), name="Unnamed: 0"), numbers()], axis=1),
        NUMBERS_TAKEN,
        "table: left out 'Unnamed: 0', an index that was saved without a name; "
        "frame.rename(columns=...) makes it an input",
    ),
    "two indices, of text": (
        numbers().assign(**{"Unnamed: 0.1": list("ab") * 30, "Unnamed: 0": range(60)}),
        NUMBERS_TAKEN,
        "table: left out 'Unnamed: 0.1', 'Unnamed: 0', an index that was saved without a name; "
        "frame.rename(columns=...) makes it an input",
    ),
    "an identity": (
        numbers().assign(person=np.arange(60) * 7 + 1000),
        NUMBERS_TAKEN,
        "table: 'person' may only name the rows, being whole and different in each; "
        "frame.drop(columns=...) leaves it out",
    ),
    "constants": (
        numbers().assign(unit="cm", gap=np.nan, zero=0.0),
        NUMBERS_TAKEN,
        "table: left out 'unit', 'gap', 'zero', since constant",
    ),
    "the target twice": (
        numbers().assign(cm=lambda frame: frame["height"]),
        NUMBERS_TAKEN,
        "table: 'cm' tells the target of every row, as a copy of it would; "
        "frame.drop(columns=...) leaves it out",
    ),
    "the classes under another name": (
        numbers().assign(height=np.where(STARS > 2, "a lot", "some"), many=STARS > 2),
        "table: 'height' is taken as 2 classes: 'a lot', 'some'",
        "table: 'many' tells the target of every row, as a copy of it would; "
        "frame.drop(columns=...) leaves it out",
    ),
    "a common class": (
        numbers().assign(height=FOUND),
        "table: 'height' is taken as 2 classes: 'no', 'yes'",
        "table: 93.3 % of the rows are 'no', so answering 'no' always has an accuracy of 0.933; "
        "Run.recall tells how well each class is found",
    ),
}


@pytest.mark.parametrize("case", LINES)
def test_each_guess_is_printed_once(case, capsys):
    frame, *lines = LINES[case]
    tables.task_from_frame(frame, "height")
    assert capsys.readouterr().out.splitlines() == lines


def test_what_is_given_is_not_printed_and_lines_have_the_name_of_the_task(capsys):
    tables.task_from_frame(numbers(), "height", classes=False)
    assert capsys.readouterr().out == ""
    tables.task_from_frame(numbers().assign(height=FOUND), "height", classes=True, name="rare")
    (line,) = capsys.readouterr().out.splitlines()  # a common class is no guess, and is always said
    assert line.startswith("rare: 93.3 % of the rows are 'no'")


def test_a_table_that_is_refused_prints_nothing(capsys):
    with pytest.raises(ValueError):
        tables.task_from_frame(table().assign(unit=1), "height")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("name", ["Unnamed: 0", "__index_level_0__"])
def test_an_index_without_a_name_is_no_input(name, tmp_path):
    numbers().assign(**{name: range(60)}).to_parquet(tmp_path / "people.parquet")
    task = tables.task_from_frame(tmp_path / "people.parquet", "height")
    assert task.columns == ("mass", "age", "sick")


def test_a_csv_that_pandas_wrote_with_its_index_is_the_frame(tmp_path):
    numbers().to_csv(tmp_path / "people.csv")
    task = tables.task_from_frame(tmp_path / "people.csv", "height")
    assert task.columns == ("mass", "age", "sick")


# --------------------------------------------------------------------- what a table may consist of

TRUE_FALSE = np.arange(60) % 3 > 0
COLUMNS = {
    "boolean": pd.array(TRUE_FALSE, "boolean"),
    "Int64": pd.array(STARS, "Int64"),
    "Float32": pd.array(STARS / 2, "Float32"),
    "UInt8": pd.array(STARS, "UInt8"),
    "bool[pyarrow]": pd.array(TRUE_FALSE, "bool[pyarrow]"),
    "int64[pyarrow]": pd.array(STARS, "int64[pyarrow]"),
    "double[pyarrow]": pd.array(STARS / 2, "double[pyarrow]"),
    "category": pd.Categorical(STARS),
    "sparse": pd.arrays.SparseArray(STARS),
    "objects": np.array(STARS, dtype=object),
    "digits": STARS.astype(str),
}


@pytest.mark.parametrize("kind", COLUMNS)
def test_numbers_of_every_type_are_inputs(kind):
    task = tables.task_from_frame(numbers().assign(age=COLUMNS[kind]), "height")
    x, _ = task.draw(0, [0], raw=True)
    expected = np.array(COLUMNS[kind]).astype(float)
    assert sorted(x[1, :, 0]) == sorted(expected)


@pytest.mark.parametrize("kind", ["boolean", "string", "bool[pyarrow]", "string[pyarrow]"])
def test_classes_of_every_type_are_targets_and_gaps_among_them_are_named(kind):
    labels = (False, True) if "bool" in kind else ("no", "yes")
    values = np.take(labels, TRUE_FALSE).astype(object)
    task = tables.task_from_frame(numbers().assign(kind=pd.array(values, kind)), "kind")
    assert task.labels == labels
    assert [type(label) for label in task.labels] == [type(label) for label in labels]
    values[7] = None
    with pytest.raises(ValueError, match=r"column 'kind', row 7 is .*; it takes a class in every"):
        tables.task_from_frame(numbers().assign(kind=pd.array(values, kind)), "kind")


@pytest.mark.parametrize(
    "names", [[0, 1, 2, 3], [("a", "x"), ("a", "y"), ("b", "x"), ("b", "y")], [None, 1.5, "c", 2]]
)
def test_columns_may_have_names_of_any_kind(names):
    frame = numbers()
    frame.columns = pd.Index(names)
    task = tables.task_from_frame(frame, names[-1])
    run = small(task, epochs=2)
    np.testing.assert_array_equal(run.predict(frame), run.predict(frame.to_numpy(float)[:, :-1]))


def test_a_wide_table_is_a_task(capsys):
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(30, 2000)), columns=[*range(2000)])
    assert tables.task_from_frame(frame, 7).inputs == 1999
    assert capsys.readouterr().out == "table: 7 is taken as numbers\n"


@pytest.mark.parametrize(
    "labels, call",
    [
        (["yes", "Yes ", "YES", "no"], "frame['y'].astype(str).str.strip().str.lower()"),
        ([True, "True", False, "False"], "frame['y'].astype(str).str.strip().str.lower()"),
        ([1, "1", 2, "2"], "pd.to_numeric(frame['y']).astype(int)"),
        ([1.0, "1", 2, "2"], "pd.to_numeric(frame['y']).astype(int)"),
    ],
)
def test_one_class_in_two_spellings_is_refused_and_the_calls_that_are_named_help(labels, call):
    frame = pd.DataFrame({"x": np.random.default_rng(0).normal(size=60)})
    frame["y"] = pd.Series(labels * 15, dtype=object)
    with pytest.raises(ValueError, match="in one spelling each") as caught:
        tables.task_from_frame(frame, "y")
    said = str(caught.value)
    assert f"; {call} makes one class of them" in said
    assert tables.task_from_frame(frame.assign(y=eval(call)), "y").classes == 2
    assert said.endswith("frame['y'].astype('category') keeps them apart")
    apart = frame.assign(y=frame["y"].astype("category"))
    assert tables.task_from_frame(apart, "y").classes == len(labels)


# ---------------------------------------------------------------- the remedies: each is carried out

TEXTS = {
    "thousands": (["1,234", "12"], [1234, 12]),
    "a decimal comma": (["1,5", "2"], [1.5, 2]),
    "both, as in Germany": (["1.234,5", "2"], [1234.5, 2]),
    "millions": (["1.234.567", "2"], [1234567, 2]),
    "spaces": (["12 345", "2"], [12345, 2]),
    "percent": (["5 %", "7.5%"], [5, 7.5]),
    "percent with a comma": (["7,5 %", "5 %"], [7.5, 5]),
    "dollars": (["$1,234.50", "$7.25"], [1234.5, 7.25]),
    "euros": (["1.234,50 €", "7,25 €"], [1234.5, 7.25]),
    "euros without cents": (["1.234 €", "7 €"], [1234, 7]),
    "units": (["2.5 kg", "3 kg"], [2.5, 3]),
    "units and commas": (["2,5 m/s", "3 m/s"], [2.5, 3]),
    "numbers with a minus": (["-1.234,5", "-2"], [-1234.5, -2]),
    "days": (["2026-02-01", "2026-01-31"], [32, 31]),
    "days, as in the US": (["2/1/2026", "1/31/2026"], [32, 31]),
    "days, as in Germany": (["1.2.2026", "31.1.2026"], [32, 31]),
    "days with names of months": (["1 Feb 2026", "31 Jan 2026"], [32, 31]),
    "moments": (["2026-02-01 12:30", "2026-01-31 07:15"], [32, 31]),
    "words": (["?", "7"], None),
    "gaps": ([None, "7"], None),
    "infinite numbers": ([np.inf, 7.0], None),
}


def carried_out(said, frame, path):
    """Return the result of the call that an error names first."""
    call = re.split(r" or | makes| leaves|, \.dt", said.rsplit("; ", 1)[1])[0]
    return eval(call, {"frame": frame, "path": path, "pd": pd, "np": np})


@pytest.mark.parametrize("case", TEXTS)
def test_the_call_that_an_error_names_makes_the_column_fit(case, tmp_path):
    """Text becomes the numbers that it means; where it means none, its rows are left out."""
    (odd, plain), meant = TEXTS[case]
    values = [odd, plain] * 30
    if meant is None:
        values = [odd] + [plain] * 59
    frame = numbers().assign(age=values)
    frame.to_csv(tmp_path / "mine.csv", index=False)
    with pytest.raises(ValueError, match=r"column 'age', row 0 is .*finite numbers") as caught:
        tables.task_from_frame(frame, "height")

    mended = carried_out(str(caught.value), frame, tmp_path / "mine.csv")
    if meant is None:
        if isinstance(mended, pd.Series):  # gaps were made, and dropna is named after it
            mended = frame.assign(age=mended).dropna()
        assert len(mended) == 59
        return
    if isinstance(mended, pd.DataFrame):
        mended = mended["age"]
    assert mended[:2].tolist() == meant
    task = tables.task_from_frame(frame.assign(age=mended), "height")
    assert task.columns == ("mass", "age", "sick")


@pytest.mark.parametrize(
    "values, columns",
    [
        ([f"p{k}" for k in range(60)], ("mass", "sick")),  # names of the rows
        (["a", "b", "c"] * 20, ("mass", "sick", "age_a", "age_b", "age_c")),
        ([None] * 40 + [1.0, 2.0] * 10, ("mass", "sick")),  # mostly gaps
        (pd.to_timedelta(np.arange(60) % 7, "s"), ("mass", "age", "sick")),
        (pd.date_range("2026-01-01", periods=60), ("mass", "age", "sick")),
        (list(pd.date_range("2026-01-01", periods=60).date), ("mass", "age", "sick")),
        ([[k] for k in range(60)], ("mass", "sick")),
    ],
)
def test_the_call_for_a_column_of_other_things_makes_the_table_fit(values, columns):
    frame = numbers().assign(age=values)
    with pytest.raises(ValueError) as caught:
        tables.task_from_frame(frame, "height")
    mended = carried_out(str(caught.value), frame, None)
    if isinstance(mended, pd.Series):
        mended = frame.assign(age=mended)
    assert tables.task_from_frame(mended, "height").columns == columns


GERMAN = "Höhe;Gewicht;Ort\n1,80;75,5;Köln\n1,70;65,5;Bonn\n1,60;55,5;Köln\n1,50;59;Bonn\n"
PLAIN = "a,b\n1,7\n2,5\n3,9\n4,6\n"
FILES = {
    "semicolons": PLAIN.replace(",", ";").encode(),
    "an export of Excel in Germany": GERMAN.replace("Ort", "€").encode("cp1252"),
    "semicolons and decimal commas": GERMAN.encode(),
    "letters of Western Europe": PLAIN.replace("a", "ä").encode("latin-1"),
    "UTF-16": PLAIN.encode("utf-16"),
    "Unicode text of Excel": PLAIN.replace(",", "\t").encode("utf-16"),
    "tabs": PLAIN.replace(",", "\t").encode(),
    "bars": PLAIN.replace(",", "|").encode(),
    "a title": b"Measured in 2026\n\n" + PLAIN.encode(),
    "comments": b"# one\n# two, and more\n" + PLAIN.encode(),
    "the line of Excel that names its mark": b"sep=;\n" + PLAIN.replace(",", ";").encode(),
    "names of the rows without a header": b"a,b\nx,1,7\ny,2,5\nz,3,9\nw,4,6\n",
    "gzip under another name": gzip.compress(PLAIN.encode()),
    "JSON": b'[{"a": 1, "b": 7}, {"a": 2, "b": 5}, {"a": 3, "b": 9}, {"a": 4, "b": 6}]',
}


@pytest.mark.parametrize("case", FILES)
def test_the_call_that_an_error_names_reads_the_file(case, tmp_path):
    path = tmp_path / "mine.csv"
    path.write_bytes(FILES[case])
    with pytest.raises(ValueError, match="takes a table, or a CSV or Parquet") as caught:
        tables.task_from_frame(path, "b")
    _, call = str(caught.value).rsplit("try frame = ", 1)
    frame = eval(call, {"path": path, "pd": pd})
    if "Höhe" in frame:
        assert frame["Höhe"].tolist() == [1.8, 1.7, 1.6, 1.5]
        assert frame[frame.columns[2]].name in ("Ort", "€")
        assert frame[frame.columns[2]][0] == "Köln"
    else:
        assert frame.to_numpy().tolist() == [[1, 7], [2, 5], [3, 9], [4, 6]]
    target = frame.columns[1]
    assert tables.task_from_frame(frame.iloc[:, :2], target, classes=False).points == 4


def test_other_files_are_told_by_their_first_bytes(tmp_path):
    numbers().to_parquet(tmp_path / "people.csv")
    with pytest.raises(ValueError, match=r"; try frame = pd\.read_parquet\(path\)$"):
        tables.task_from_frame(tmp_path / "people.csv", "height")
    with zipfile.ZipFile(tmp_path / "book.csv", "w") as book:  # as every xlsx is
        book.writestr("xl/workbook.xml", "<workbook/>")
    with pytest.raises(ValueError, match=r"; try frame = pd\.read_excel\(path\)$"):
        tables.task_from_frame(tmp_path / "book.csv", "height")


@pytest.mark.parametrize("name", ["mine.csv.gz", "mine.csv.zip", "mine.csv.bz2"])
def test_a_compressed_csv_is_read(name, tmp_path):
    numbers().to_csv(tmp_path / name, index=False)
    assert tables.task_from_frame(tmp_path / name, "height").points == 60


@pytest.mark.parametrize("mark", ["\ufeff", ""])
def test_a_comma_at_the_end_of_lines_moves_no_column(mark, tmp_path):
    lines = "\n".join(f"{k},{k**2}.5,{k**3}," for k in range(30))
    (tmp_path / "mine.csv").write_text(f"{mark}a,b,c\n{lines}\n")
    task = tables.task_from_frame(tmp_path / "mine.csv", "b")
    x, y = task.draw(0, [0], raw=True)
    assert task.columns == ("a", "c")
    np.testing.assert_array_equal(np.sort(y[:, 0]), np.arange(30) ** 2 + 0.5)
    np.testing.assert_array_equal(np.sort(x[1, :, 0]), np.arange(30) ** 3)


def test_types_of_a_long_column_do_not_depend_on_where_its_text_is(tmp_path):
    """pandas reads a long file in pieces, and would give numbers in one and text in the next."""
    lines = "\n".join(f"{k % 2},{k}" for k in range(300_000))
    (tmp_path / "mine.csv").write_text(f"kind,x\n{lines}\n?,1\n?,1\n")
    assert tables.task_from_frame(tmp_path / "mine.csv", "kind").labels == ("0", "1", "?")


@pytest.mark.parametrize(
    "target, hint",
    [
        ("heigth", "; 'height' is close"),
        ("sik", "; 'sick' is close"),
        ("ass", "; 'mass' is close"),
        ("Height ", "; 'height' is close"),
        (-1, "; frame.columns[-1] is 'height'"),
        (1, "; frame.columns[1] is 'age'"),
        ("weight of the person", "sick, height"),  # nothing is meant
    ],
)
def test_an_unknown_target_gets_the_name_that_may_be_meant(target, hint):
    with pytest.raises(ValueError, match=re.escape(hint) + "$"):
        tables.task_from_frame(numbers(), target)


def test_a_space_before_a_name_is_told(tmp_path):
    numbers().rename(columns={"height": " height"}).to_csv(tmp_path / "mine.csv", index=False)
    with pytest.raises(ValueError, match="; ' height' is close, skipinitialspace=True in pd"):
        tables.task_from_frame(tmp_path / "mine.csv", "height")
    frame = pd.read_csv(tmp_path / "mine.csv", skipinitialspace=True)
    assert tables.task_from_frame(frame, "height").points == 60


def test_a_file_without_a_header_is_told_by_its_names(tmp_path):
    numbers().to_csv(tmp_path / "mine.csv", index=False, header=False)
    with pytest.raises(ValueError, match=r"; if its first line holds data, .*header=None\)"):
        tables.task_from_frame(tmp_path / "mine.csv", "height")
    frame = pd.read_csv(tmp_path / "mine.csv", header=None)
    assert tables.task_from_frame(frame, 3).points == 60


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


# ------------------------------------------------------------------------------------------ recall


def test_recall_tells_a_network_that_never_finds_the_rare_class():
    """Its accuracy is that of the commonest class; its balanced accuracy is that of guessing."""
    frame = numbers().assign(height=FOUND)[["age", "sick", "height"]]
    run = small(tables.task_from_frame(frame, "height"), epochs=50)
    recall = run.recall()
    rows = recall.set_index(["trial", "label"])
    assert recall.groupby("label")["recall"].max().to_dict() == {"no": 1.0, "yes": 0.0}
    with_both = rows.groupby("trial")["points"].min() > 0
    assert with_both.any()
    for trial in with_both.index[with_both]:
        assert rows.loc[(trial, "yes"), "recall"] == 0.0
        assert rows.loc[(trial, "yes"), "balanced_accuracy"] == 0.5
    np.testing.assert_allclose(recall["accuracy"], recall["commonest"])


def test_recall_is_that_of_the_confusion_matrix():
    task = tables.task_from_frame(table(300), "kind")
    run = small(task, epochs=100, lr=0.1)
    recall = run.recall()
    assert len(recall) == 9
    assert set(run.networks) <= set(recall)
    assert recall["label"].tolist() == list(task.labels) * 3
    x, y = task.draw(0, range(3), raw=True)
    for trial, rows in recall.groupby("trial"):
        first = task.train_points
        predicted = run.predict(x[:, first:, trial].T)[trial].argmax(-1)
        truth = y[first:, trial]
        found = [(predicted[truth == k] == k).mean() for k in range(3)]
        assert 0.4 < np.mean(found) < 1  # neither guessed nor all right
        np.testing.assert_allclose(rows["recall"], found)
        np.testing.assert_array_equal(rows["points"], np.bincount(truth.astype(int)))
        np.testing.assert_allclose(rows["balanced_accuracy"], np.mean(found))
        np.testing.assert_allclose(rows["accuracy"], run.finals["accuracy"][trial])
        np.testing.assert_allclose(rows["commonest"], rows["points"].max() / rows["points"].sum())


def test_a_class_without_test_points_has_no_recall_and_does_not_count():
    kinds = np.array(["often", "often", "also", "also", "also"] * 12)
    kinds[:2] = "rare"
    task = tables.task_from_frame(numbers().assign(kind=kinds), "kind")
    recall = small(task, trials=20, epochs=2).recall()
    absent = recall["points"] == 0
    assert absent.any()
    assert recall.loc[absent, "label"].eq("rare").all()
    assert (recall["recall"].isna() == absent).all()
    means = recall.groupby("trial")["recall"].mean()  # it leaves out NaN
    np.testing.assert_allclose(recall.groupby("trial")["balanced_accuracy"].first(), means)


def test_recall_of_a_task_without_labels_numbers_its_classes():
    growing = growlib.arms(coupling=0.01)["growing"]
    run = growlib.fit("square-wave", growing, trials=2, epochs=100, lr=0.08, compiled=False)
    recall = run.recall()
    assert recall["label"].tolist() == [0, 1, 0, 1]
    accuracy = recall.groupby("trial")["accuracy"].first()
    np.testing.assert_allclose(accuracy, run.finals["accuracy_fresh"])


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

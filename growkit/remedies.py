"""What mends a file, a target or a cell that a table cannot have, in the words of pandas.

`growkit.tables` puts these at the end of its errors. They are guesses from what people's files look
like, so each of them names one call, which can be tried and undone. The module imports nothing of
the kit.
"""

import datetime
import difflib
import os
import re

import pandas as pd

# What a file that is no CSV may be, by its first bytes, and the call that reads it.
OTHER_FILES = {
    b"PK": "pd.read_excel(path)",
    b"\xd0\xcf\x11\xe0": "pd.read_excel(path)",
    b"\x1f\x8b": "pd.read_csv(path, compression='gzip')",
    b"PAR1": "pd.read_parquet(path)",
    b"{": "pd.read_json(path)",
    b"[": "pd.read_json(path)",
    b"<": "pd.read_html(path)[0]",
}


def for_file(path):
    """The call that may read a file that is not UTF-8 with commas, as the end of a sentence."""
    if not os.path.isfile(path):
        return ""
    with open(path, "rb") as file:
        start = file.read(1_000_000)
    for first, call in OTHER_FILES.items():
        if start.startswith(first):
            return f"; try frame = {call}"

    options = {}
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        options["encoding"] = "utf-16"
    elif "\ufffd" in start.decode(errors="replace")[:-1]:  # the last letter may be cut in two
        options["encoding"] = "cp1252"  # latin-1, and the € of Windows
    text = start.decode(options.get("encoding", "utf-8"), errors="replace")
    titles = 0
    lines = text.splitlines()
    while titles < len(lines) and not re.match(r"(?!sep=|#).*[,;|\t]", lines[titles]):
        titles += 1
    if "\0" in text or titles == len(lines):  # this is no text, or has no columns
        return ""

    if titles > 0:
        options["skiprows"] = titles
    mark = max(",;|\t", key=lines[titles].count)
    if mark != ",":
        options["sep"] = mark
        if re.search(r"\d,\d", text):
            options["decimal"] = ","
    if not options and lines[titles].count(",") < lines[-1].count(","):
        return "; if the first cells name the rows, try frame = pd.read_csv(path, index_col=0)"
    if not options:
        return ""
    arguments = ", ".join(f"{option}={value!r}" for option, value in options.items())
    return f"; try frame = pd.read_csv(path, {arguments})"


def for_unknown_target(target, names):
    """What an unknown target may mean, as the end of a sentence."""
    numbers = pd.to_numeric(pd.Series(names, dtype=object), errors="coerce").notna()
    if isinstance(names[0], str) and numbers.mean() > 0.5:
        return "; if its first line holds data, pd.read_csv(path, header=None) numbers the columns"
    if isinstance(target, int) and -len(names) <= target < len(names):
        return f"; frame.columns[{target}] is {names[target]!r}"
    wanted = str(target).strip().casefold()
    plain = {str(name).strip().casefold(): name for name in names}
    close = [name for name in plain if wanted in name]
    close = close or difflib.get_close_matches(wanted, plain, 1)
    if not close:
        return ""
    name = plain[close[0]]
    hint = f"; {name!r} is close"
    if str(name) != str(name).strip():
        hint += ", skipinitialspace=True in pd.read_csv leaves out such spaces"
    return hint


TIMES = [
    r"\d{4}([-/.])\d{1,2}(\1\d{1,2}.*)?",  # 2026-01-31, 2026-01
    r"\d{1,2}([-/])\d{1,2}\3\d{2,4}.*",  # 1/31/2026
    r"\d{1,2}[-. ]+[A-Z][a-z]+[-. ]+\d{2,4}.*",  # 31 Jan 2026
    r"\d{1,2}:\d\d.*",  # 12:30
]
UNIT = r"[^-\d.,]{1,6}"

# Text that people read as a number or a time, and the call of pandas that makes a number of it.
CALLS_FOR_TEXT = [
    (r"[-+]?\d{1,3}(,\d{3})+(\.\d*)?", "pd.read_csv(path, thousands=',') or decimal=','"),
    (r"[-+]?\d*,\d+", "pd.read_csv(path, decimal=',')"),
    (r"[-+]?\d{1,3}( \d{3})+(,\d*)?", "pd.read_csv(path, thousands=' ', decimal=',')"),
    ("|".join(TIMES), "pd.to_datetime({column}).dt.day_of_year, .dt.year or .dt.hour"),
    (
        r"\d{1,2}\.\d{1,2}\.\d{2,4}.*",  # 31.1.2026
        "pd.to_datetime({column}, dayfirst=True).dt.day_of_year, .dt.year or .dt.hour",
    ),
    (r"[-+]?[\d.]+ ?%", "{column}.str.rstrip('% ').astype(float)"),
    (
        # 1.234,50 €, 2,5 kg, 1.234.567, 1.234 €; thousands='.' would take 31.1.2026 for a number
        rf"[-+]?[$€£¥]? ?[\d.]*,\d+( ?{UNIT})?|[-+]?\d{{1,3}}((\.\d{{3}}){{2,}}|(\.\d{{3}})+ ?€)",
        "{column}.str.replace('[^0-9,-]', '', regex=True).str.replace(',', '.').astype(float)",
    ),
    (
        rf"[-+]?[$€£¥]? ?[\d,]*\.?\d+( ?{UNIT})?",  # $1,234.50, 2.5 kg
        "{column}.str.replace('[^0-9.-]', '', regex=True).astype(float)",
    ),
]


def for_text(name, text):
    """What makes numbers of a column with this text, or nothing."""
    for pattern, call in CALLS_FOR_TEXT:
        if re.fullmatch(pattern, text.strip()):
            return f"{call.format(column=f'frame[{name!r}]')} makes a number of it"
    return ""


def for_input(column, cell):
    """What mends an input with this cell, which is not a finite number."""
    drop = f"frame.drop(columns=[{column.name!r}])"
    if pd.api.types.is_scalar(cell) and pd.isna(cell):
        if column.isna().mean() > 0.5:
            return f"{drop} leaves out this column, which is mostly gaps"
        return "frame.dropna() leaves out rows with gaps"
    if isinstance(cell, float):
        return "frame.replace([np.inf, -np.inf], np.nan).dropna() leaves out such rows"
    if isinstance(cell, datetime.timedelta):
        return f"frame[{column.name!r}].dt.total_seconds() makes a number of it"
    if not isinstance(cell, str | datetime.date):
        return f"{drop} leaves out this column"

    call = for_text(column.name, str(cell))
    if call:
        return call
    if len(set(map(str, column))) == len(column):
        return f"{drop} leaves out this column, which only names the rows"
    if pd.to_numeric(column, errors="coerce").notna().mean() > 0.5:
        return (
            f"pd.to_numeric(frame[{column.name!r}], errors='coerce') makes gaps of text, "
            "frame.dropna() leaves out rows with gaps"
        )
    return f"pd.get_dummies(frame, columns=[{column.name!r}]) makes numbers of text"


def for_target(column, cell):
    """What mends a target with this cell, which is not a finite number."""
    if isinstance(cell, str) and not for_text(column.name, cell):
        return "classes=True makes classes of text"
    return for_input(column, cell)

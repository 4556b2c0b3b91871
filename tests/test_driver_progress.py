"""What the driver of the notebooks prints while they run, in a log and on a terminal."""

import itertools
import os
import pty
import re
import subprocess
import sys
import termios
import threading
import time
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path

import nbformat
import pytest
from tqdm.utils import disp_len

from growkit import studies

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))

import notebooks  # noqa: E402

STATE = re.compile(r"\d\d_\w+: cell (starting|\d+ of \d+), \d+ s( \([^()|]* \d+ %, \S+ left\))?")


def bar(label, count):
    """A progress file as tqdm writes it: each state after a \\r, padded to cover the one before."""
    states = []
    for number in range(count):
        left = count - number
        states.append(f"{label} {100 * number // count} %, {left // 60:02d}:{left % 60:02d} left")
    width = max(map(disp_len, states))
    return states, ["\r" + state + " " * (width - disp_len(state)) for state in states]


def job_at(folder, name):
    """A notebook of that name whose run is under way."""
    (folder / name).mkdir()
    return notebooks.Job(folder / f"{name}.ipynb", folder / name)


# ---------------------------------------------------------------------- what is read


@pytest.mark.parametrize(
    ("written", "state"),
    [
        ("", ""),
        ("\r", ""),
        ("\rfit 0 %, ? le", ""),
        ("\rfit 0 %, ? left", "fit 0 %, ? left"),
        ("\rfit 0 %, ? left\r", "fit 0 %, ? left"),
        ("\rfit 0 %, ? left\rfit 5 %, 00:1", "fit 0 %, ? left"),
        ("\rfit 9 %, 01:00:07 left\rfit 10 %, 59:59 left   ", "fit 10 %, 59:59 left"),
        ("\rfit 9 %, 00:07 left\r          ", "fit 9 %, 00:07 left"),
        ("\rfit 9 %, 00:07 left\r                   \r", ""),
        ("\rfit 9 %, 00:07 left\rTraceback", "fit 9 %, 00:07 left"),
        ("\x1b[31mfit 9 %, 00:07 left", ""),
    ],
)
def test_the_last_complete_state_is_read(written, state):
    assert notebooks.last_state(written) == state


def test_a_state_is_read_whole_at_every_byte_that_is_written(tmp_path):
    """While a file is written, what is shown is its newest state or the one before it."""
    job = job_at(tmp_path, "01_growth")
    states, pieces = bar("λ-Übersicht", 30)
    before = ""
    with job.progress_file.open("wb", buffering=0) as file:
        for state, piece in zip(states, pieces, strict=True):
            for byte in piece.encode():
                file.write(bytes([byte]))
                assert job.training() in (before, state)
            assert job.training() == state
            before = state


def test_of_a_long_file_only_the_end_is_read(tmp_path, monkeypatch):
    job = job_at(tmp_path, "01_growth")
    states, pieces = bar("λ" * 20, 3000)
    job.progress_file.write_text("".join(pieces))
    for tail in range(200, 220):  # some of them begin within a letter of two bytes
        monkeypatch.setattr(notebooks, "TAIL_BYTES", tail)
        assert job.training() == states[-1]


def test_the_bar_that_growkit_writes_is_read(tmp_path, monkeypatch):
    job = job_at(tmp_path, "01_growth")
    monkeypatch.setenv("GROWLIB_PROGRESS", str(job.progress_file))
    assert job.training() == ""
    with studies._progress("figure-3") as report:
        assert job.training() == "figure-3 0 %, ? left"
        time.sleep(0.2)  # tqdm writes at most ten states a second
        report(0.4)
        assert re.fullmatch(r"figure-3 40 %, 00:0\d left", job.training())
        assert STATE.fullmatch(job.state())
    assert job.training() == ""
    assert job.state() == "01_growth: cell starting, 0 s"


def test_a_state_that_is_written_again_counts_as_progress(tmp_path):
    """A study on a cluster may stay at the same percentage for long without being stuck."""
    job = job_at(tmp_path, "01_growth")
    seen = {job.progress()}
    for _ in range(3):
        with job.progress_file.open("a") as file:
            file.write("\rfit 40 %, ? left")
        seen.add(job.progress())
    assert len(seen) == 4 and job.training() == "fit 40 %, ? left"


# ---------------------------------------------------------------------- what is printed


@contextmanager
def captured(columns=None):
    """A stream, and what is written to it until it is closed: a pipe, or a terminal so wide."""
    if columns is None:
        reading, writing = os.pipe()
    else:
        reading, writing = pty.openpty()
        termios.tcsetwinsize(writing, (24, columns))
    written = []

    def read():
        while True:
            try:
                piece = os.read(reading, 65536)
            except OSError:  # the terminal's other end was closed
                return
            if not piece:
                return
            written.append(piece)

    thread = threading.Thread(target=read)
    thread.start()
    stream = os.fdopen(writing, "w")
    try:
        yield stream, lambda: b"".join(written).decode()
    finally:
        if not stream.closed:
            stream.close()
        thread.join()
        os.close(reading)


class Terminal:
    """The rows of a terminal after something was written to it."""

    def __init__(self, columns):
        self.columns = columns
        self.rows = [""]
        self.column = 0
        self.widest = 0  # column that anything but a line that stays has reached

    def write(self, written):
        for token in re.findall(r"\x1b\[K|[^\x1b]", written):
            if token == "\r":
                self.column = 0
            elif token == "\n":
                self.rows.append("")
            elif token == "\x1b[K":
                self.rows[-1] = self.rows[-1][: self.column]
            else:
                assert self.column < self.columns, f"wrapped after {self.rows[-1]!r}"
                row = self.rows[-1].ljust(self.column)
                self.rows[-1] = row[: self.column] + token + row[self.column + 1 :]
                self.column += disp_len(token)
                self.widest = max(self.widest, self.column)


OUTCOMES = [
    "01_growth: done in 40 s, 01_gate",
    "02_regression: cell [3] raised ValueError: lr is -1",
    "03_classification: done in 9 s, no figures",
]


def watched(folder, stream, clock, label="figure-3", count=400):
    """Let the driver watch two notebooks that train, then a third that waits for them."""
    jobs = [job_at(folder, name) for name in ("01_growth", "02_regression", "03_classification")]
    futures = [Future() for _ in jobs]

    def train(number):
        """Write many states between two looks, each in two pieces between which it may be read."""
        _, pieces = bar(label, count)
        with jobs[number].progress_file.open("wb", buffering=0) as file:
            for step, piece in enumerate(pieces):
                jobs[number].cell = f"{1 + step // 100} of 4"
                whole = piece.encode()
                file.write(whole[: step % len(whole)])
                time.sleep(0.001)
                file.write(whole[step % len(whole) :])

    def work():
        for number in (0, 1):
            futures[number].set_running_or_notify_cancel()
        threads = [threading.Thread(target=train, args=(number,)) for number in (0, 1)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        futures[0].set_result(OUTCOMES[0])
        futures[2].set_running_or_notify_cancel()
        futures[1].set_exception(notebooks.Failed(OUTCOMES[1]))
        train(2)
        futures[2].set_result(OUTCOMES[2])

    worker = threading.Thread(target=work)
    worker.start()
    notebooks.watch(jobs, futures, notebooks.Display(stream, clock))
    worker.join()


def is_progress(line):
    """Whether a line is made of states, at most one of each notebook."""
    states = line.split(" | ")
    names = [state.split(":")[0] for state in states]
    return all(STATE.fullmatch(state) for state in states) and len(set(names)) == len(names)


def test_in_a_log_a_notebook_has_one_state_a_line_and_lines_are_rare(tmp_path, monkeypatch):
    monkeypatch.setattr(notebooks, "LOOK_SECONDS", 0.002)
    seconds = itertools.count()  # the clock goes on by a second whenever it is asked
    with captured() as (stream, written):
        watched(tmp_path, stream, lambda: next(seconds))
    elapsed = next(seconds)
    text = written()

    assert "\r" not in text and "\x1b" not in text
    assert text.endswith("\n")
    lines = text.splitlines()
    progress = [line for line in lines if line not in OUTCOMES]
    assert sorted(set(lines) - set(progress)) == OUTCOMES
    assert len(lines) == len(progress) + len(OUTCOMES)
    assert all(is_progress(line) for line in progress)
    assert 2 <= len(progress) <= elapsed / notebooks.LOG_SECONDS
    assert any("figure-3" in line for line in progress)
    waiting = lines[: lines.index(OUTCOMES[0])]
    assert not any("03_classification" in line for line in waiting)  # it has not begun
    assert notebooks.LOG_SECONDS == 15


def test_in_a_log_there_is_no_line_without_a_state():
    seconds = itertools.count(0, 100)
    with captured() as (stream, written):
        display = notebooks.Display(stream, lambda: next(seconds))
        display.show([])
        display.show(["01_growth: cell 1 of 9, 2 s"])
        display.show([])
    assert written() == "01_growth: cell 1 of 9, 2 s\n"


def test_in_a_log_nothing_is_said_of_a_run_that_is_short(tmp_path, monkeypatch):
    monkeypatch.setattr(notebooks, "LOOK_SECONDS", 0.01)
    with captured() as (stream, written):
        watched(tmp_path, stream, lambda: 0.0, count=10)
    assert sorted(written().splitlines()) == OUTCOMES


@pytest.mark.parametrize("columns", [200, 80, 53, 20])
@pytest.mark.parametrize("label", ["figure-3", "成長の幅"], ids=["narrow", "wide"])
def test_on_a_terminal_the_progress_is_one_line_that_fits(columns, label, tmp_path, monkeypatch):
    monkeypatch.setattr(notebooks, "LOOK_SECONDS", 0.005)
    monkeypatch.setattr(sys.modules[__name__], "OUTCOMES", ["01: done", "02: bad", "03: done"])
    with captured(columns) as (stream, written):
        watched(tmp_path, stream, time.monotonic, label)

    shown = written().split(notebooks.CLEAR_LINE)
    progress = [piece for piece in shown if piece and not piece.endswith("\r\n")]
    assert len(progress) > 20
    for piece in progress:
        assert "\r" not in piece and "\n" not in piece
        assert disp_len(piece) < columns
        assert piece.count("01_") <= 1 and piece.count("02_") <= 1
        assert piece.count("%") <= 2
    if columns == 200:
        assert all(is_progress(piece) for piece in progress)
        assert any(label in piece for piece in progress)

    terminal = Terminal(columns)
    terminal.write(written())
    assert terminal.widest < columns
    assert sorted(terminal.rows) == ["", *OUTCOMES]  # nothing of the progress stays


def test_a_terminal_that_does_not_know_its_width_has_80_columns():
    with captured(0) as (stream, _):
        assert notebooks.Display(stream).columns() == 79


def test_states_that_do_not_fit_are_cut_to_equal_shares():
    states = ["01_growth: cell 3 of 25, 12 s", "02_regression: cell 1 of 9, 8 s"]
    assert notebooks.fitted(states, 63) == " | ".join(states)
    assert (
        notebooks.fitted(states, 62)
        == "01_growth: cell 3 of 25, 12 s | 02_regression: cell 1 of 9, 8"
    )
    assert notebooks.fitted(states, 33) == "01_growth: cell | 02_regression: "
    for columns in range(70):
        assert len(notebooks.fitted(states, columns)) <= columns
        assert notebooks.fitted([], columns) == ""


# ---------------------------------------------------------------------- the whole driver

TRAINING = """import time
from growkit import studies
with studies._progress("fit") as report:
    for step in range(1, 31):
        time.sleep(0.12)
        report(step / 30)"""
DRIVER = """import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import notebooks
notebooks.ROOT = Path(sys.argv[2])
notebooks.LOG_SECONDS = 1
sys.exit(notebooks.main([]))"""


@pytest.mark.parametrize("columns", [None, 60], ids=["log", "terminal"])
def test_a_notebook_that_trains_is_shown_by_the_driver(columns, tmp_path):
    parameters = nbformat.v4.new_code_cell(
        'scale = "quick"\nfolder = ""', metadata={"tags": ["parameters"]}
    )
    book = nbformat.v4.new_notebook(cells=[parameters, nbformat.v4.new_code_cell(TRAINING)])
    book.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    book.metadata["language_info"] = {"name": "python"}
    (tmp_path / "notebooks").mkdir()
    nbformat.write(book, tmp_path / "notebooks/99_test.ipynb")

    began = time.monotonic()
    with captured(columns) as (stream, written):
        command = [sys.executable, "-c", DRIVER, str(ROOT / "tools"), str(tmp_path)]
        status = subprocess.run(command, stdout=stream, stderr=stream, cwd=ROOT, timeout=300)
    elapsed = time.monotonic() - began
    text = written()
    assert status.returncode == 0, text

    if columns is None:
        *progress, last = text.splitlines()
        assert "\r" not in text and len(progress) <= elapsed
    else:
        terminal = Terminal(columns)
        terminal.write(text)
        last = terminal.rows[0]
        assert terminal.widest < columns and terminal.rows == [last, ""]
        pieces = text.split(notebooks.CLEAR_LINE)
        progress = [piece for piece in pieces if piece and not piece.endswith("\r\n")]
    assert re.fullmatch(r"99_test: done in \d+ s, no figures", last)
    assert all(STATE.fullmatch(each) for each in progress)
    assert any("(fit " in each for each in progress)

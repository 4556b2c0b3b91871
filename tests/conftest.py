"""Settings, fixtures and helpers that several test modules share."""

import csv
import os
import signal
from concurrent.futures import Future
from pathlib import Path

import hypothesis
import matplotlib
import nbformat
import pytest
import torch

ROOT = Path(__file__).resolve().parent.parent

# Each property is tried on the same 20 examples every time. GROWLIB_EXAMPLES asks for that many
# new ones instead; those that fail are kept in .cache/hypothesis.
EXAMPLES = int(os.environ.get("GROWLIB_EXAMPLES") or 0)
hypothesis.configuration.set_hypothesis_home_dir(ROOT / ".cache" / "hypothesis")
hypothesis.settings.register_profile(
    "growlib", max_examples=EXAMPLES or 20, derandomize=not EXAMPLES, deadline=None
)
hypothesis.settings.load_profile("growlib")

matplotlib.use("agg")
torch.set_num_threads(1)  # two test processes share two cores

# A shell starts its background jobs with SIGINT ignored. The processes that the tests start would
# inherit that, and Ctrl-C would not reach them.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def ensemble():
    """128 compiled networks of the first task, grown for 400 epochs."""
    import growlib

    return growlib.fit(
        "bessel-j0",
        growlib.AuxiliaryWeight(coupling=10.0),
        trials=128,
        epochs=400,
        log_every=40,
        keep_weights=True,
    )


class SerialPool:
    """An executor for studies that works in this process and lists the cells submitted and done."""

    def __init__(self):
        self.submitted = []
        self.done = []

    def __call__(self, *_, **__):
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return False

    def submit(self, work, cell, path):
        future = Future()
        self.submitted.append(path)
        try:
            future.set_result(work(cell, path))
            self.done.append(path)
        except Exception as error:
            future.set_exception(error)
        return future

    def shutdown(self, **_):
        pass


@pytest.fixture
def serial_pool(monkeypatch):
    """Replace the worker processes of studies by an executor in this process."""
    from growkit import studies

    pool = SerialPool()
    monkeypatch.setattr(studies, "ProcessPoolExecutor", pool)
    return pool


def finished_cells(home: Path) -> dict:
    """Return the finished cells of a store, each with what changes if its file is written again."""
    found = {}
    for path in (home / ".cache/cells").glob("*.parquet"):
        status = path.stat()
        found[path.name] = (status.st_ino, status.st_mtime_ns)
    return found


def write_notebook(path: Path, *sources: str) -> None:
    """Write a notebook of a parameters cell and of code cells with these texts."""
    parameters = nbformat.v4.new_code_cell(
        'scale = "quick"\nfolder = ""', metadata={"tags": ["parameters"]}
    )
    metadata = {
        "kernelspec": {"name": "python3", "display_name": "Python 3"},
        "language_info": {"name": "python"},
    }
    cells = [parameters, *map(nbformat.v4.new_code_cell, sources)]
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=metadata), path)


def repeats(few: int, many: int) -> int:
    """Return how often a test repeats what it does: `few`, or `many` in `make test-all`.

    `make test-all` asks for 200 examples of each property by GROWLIB_EXAMPLES.
    """
    return many if EXAMPLES >= 200 else few


@pytest.fixture
def record_fault():
    """Return a function that adds a line about a fault to .cache/faults.csv.

    The line tells the fault, how often it was caused, how many cells had been finished before, how
    many of them were lost, and what was said.
    """

    def record(fault, times, finished, lost, said):
        path = ROOT / ".cache/faults.csv"
        path.parent.mkdir(exist_ok=True)
        with path.open("a", newline="") as file:
            lines = csv.writer(file)
            if not file.tell():
                lines.writerow(("fault", "times", "finished", "lost", "said"))
            lines.writerow((fault, times, finished, lost, said))
        counts = f"{times} times, {finished} finished before, {lost} lost"
        print(f"{fault}: {counts}; said: {said or 'nothing'}")

    return record

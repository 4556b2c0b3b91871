import csv
import os
import signal
from concurrent.futures import Future
from pathlib import Path

import hypothesis
import matplotlib
import pytest
import torch

# the same 20 examples of a property each time; so many new ones with GROWLIB_EXAMPLES, of which those that fail are kept in .cache
EXAMPLES = os.environ.get("GROWLIB_EXAMPLES")
hypothesis.configuration.set_hypothesis_home_dir(
    Path(__file__).parents[1] / ".cache" / "hypothesis"
)
hypothesis.settings.register_profile(
    "growlib", max_examples=int(EXAMPLES or 20), derandomize=not EXAMPLES, deadline=None
)
hypothesis.settings.load_profile("growlib")
matplotlib.use("agg")
if (
    signal.getsignal(signal.SIGINT) is signal.SIG_IGN
):  # as in the background of a shell: what the tests start would ignore Ctrl-C, too
    signal.signal(signal.SIGINT, signal.default_int_handler)
torch.set_num_threads(1)  # two test processes share two cores


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


class Here:
    """A pool of studies that works in this process, and lists the cells that it was given and those that it finished."""

    def __init__(self):
        self.submitted, self.done = [], []

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
def here(monkeypatch):
    """That pool, in place of worker processes."""
    from growkit import studies

    pool = Here()
    monkeypatch.setattr(studies, "ProcessPoolExecutor", pool)
    return pool


def times(few: int, many: int) -> int:
    """How often a test repeats what it does: `many` times where GROWLIB_EXAMPLES asks for 200 examples or more, as `make test-all` does."""
    return many if int(os.environ.get("GROWLIB_EXAMPLES") or 0) >= 200 else few


@pytest.fixture
def figure():
    """Writes a line to .cache/faults.csv: a fault, how many times, the cells finished before, how many of them were lost, what was said."""

    def write(fault, times, finished, lost, said):
        path = Path(__file__).parent.parent / ".cache/faults.csv"
        path.parent.mkdir(exist_ok=True)
        with path.open("a", newline="") as file:
            csv.writer(file).writerows(
                [("fault", "times", "finished", "lost", "said")] * (not file.tell())
                + [(fault, times, finished, lost, said)]
            )
        print(
            f"{fault}: {times} times, {finished} finished before, {lost} lost; said: {said or 'nothing'}"
        )

    return write

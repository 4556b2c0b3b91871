"""Measure the speed, the memory and the start-up time of growlib beside what else there is.

    make bench                # writes figures/benchmarks.md, its plots, two passages of the README
    make bench JAX=1          # also measures JAX, which gets an environment of its own
    make bench BASE=COMMIT    # also measures this version beside that of a commit

Others are plain PyTorch and, if there is a C++ compiler, a loop in C++ for one case (loop.cpp).
One run measures everything, so that ratios hold on a machine whose speed drifts. It uses growlib,
growkit.studies, growkit.tables and growkit.figures.
"""

import argparse
import contextlib
import functools
import io
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from beside import FITS, all_open, table
from matplotlib.figure import Figure

import growlib
from growkit import figures, studies

ROOT = Path(__file__).resolve().parents[2]
JAX = ROOT / ".cache" / "jax-venv" / "bin" / "python"
WIDTH = 9  # neurons of the small networks
POINTS = 32  # their training points


@dataclass(frozen=True)
class Scale:
    """How much is measured; the tests measure far less."""

    rounds: int = 5
    trials: int = 1024
    epochs: int = 8000  # of one call of fit; the slower ways train for fewer
    counts: tuple = (64, 128, 256, 512, 1024, 2048, 4096, 8192)  # trials
    widths: tuple = (4, 8, 16, 32, 64)
    points: tuple = (16, 32, 64, 128, 256)
    lengths: tuple = (500, 1000, 2000, 4000, 8000, 16_000)  # epochs
    large: tuple = ((10, 400), (64, 100), (256, 40))  # width and epochs
    seeds: int = 5  # networks in each of two processes
    rows: int = 100_000  # of the table
    own: tuple = ((32, 64), (64, 256), (256, 1024), ((64, 64), 128))  # width and batch
    many: int = 10_000  # trials of the larger measurement of memory
    cells: int = 4  # of the study
    cell_seconds: int = 12
    starts: bool = True  # whether to measure what starts processes
    base: str = ""  # the commit beside which this version is measured
    share: float = 1.0  # of the epochs that are measured there

    @property
    def few(self) -> int:
        """The number of rounds of the longer measurements."""
        return min(3, self.rounds)


# ---------------------------------------------------------------------------- timing and formatting


def timed(work: Callable) -> float:
    """Return the seconds that a call takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def in_turn(ways: dict[object, Callable], rounds: int) -> pd.DataFrame:
    """Return what each way measures, a row a round and a column a way.

    The ways take turns, so that a drift of the machine affects all of them alike.
    """
    return pd.DataFrame(
        [{name: measure() for name, measure in ways.items()} for _ in range(rounds)]
    )


def summary(values: Sequence[float]) -> str:
    """Return "median (least to most)"."""
    return f"{np.median(values):.3g} ({np.min(values):.3g} to {np.max(values):.3g})"


def ratio(numerators: Sequence[float], denominators: Sequence[float]) -> str:
    """Return the ratio of two medians, with the least and the most of the ratios of the rounds."""
    each = np.divide(numerators, denominators)
    middle = np.median(numerators) / np.median(denominators)
    return f"{middle:.3g} ({each.min():.3g} to {each.max():.3g})"


def markdown(heads: Sequence, rows: Iterable[Sequence]) -> str:
    """Return a Markdown table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def in_a_process(code: str, *arguments, **environment) -> list[float]:
    """Run Python code in a process of its own and return the numbers in its last line of output."""
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
    )
    last_line = done.stdout.splitlines()[-1]
    return [float(number) for number in last_line.split()]


# -------------------------------------------------------------------------------------- trial-steps
# Each way returns its rate in trial-steps a second: epochs × networks / seconds.


def rate_of_fit(trials: int, epochs: int, growth: growlib.Growth | None = None, **options) -> float:
    """Return the rate of `growlib.fit`."""

    def work():
        growlib.fit("bessel-j0", growth, trials=trials, epochs=epochs, log_every=epochs, **options)

    return trials * epochs / timed(work)


def rate_of_tanh(trials: int, epochs: int) -> float:
    """Return the rate of torch.tanh alone on as many elements: a bound on all ways that call it."""
    z = torch.randn(WIDTH, POINTS, trials)
    activity = torch.empty_like(z)

    def work():
        for _ in range(epochs):
            torch.tanh(z, out=activity)

    return trials * epochs / timed(work)


def training_points(trials: int) -> list[torch.Tensor]:
    """Return x and y of the training points, (T, P) each."""
    x, y = growlib.task("bessel-j0").draw(0, range(trials))
    return [torch.tensor(values[:POINTS].T, dtype=torch.float32) for values in (x[0], y)]


def rate_of_eager_ensemble(trials: int, epochs: int) -> float:
    """Return the rate of plain PyTorch: ensemble axis first, batched matrix products, autograd."""
    growth = growlib.AuxiliaryWeight()
    x, y = training_points(trials)
    size = torch.zeros(trials)
    hidden = torch.rand(trials, 3, WIDTH) * 2 - 1
    output = torch.rand(trials, WIDTH, 1) * 2 - 1
    bias = torch.zeros(trials, 1)
    parameters = [size, hidden, output, bias]
    for parameter in parameters:
        parameter.requires_grad_()

    def step():
        inputs = torch.stack([torch.ones_like(x), size[:, None].expand_as(x), x], -1)  # (T, P, 3)
        gate = growth.gate(size, WIDTH).T[:, None]  # (T, 1, H)
        activity = torch.tanh(torch.bmm(inputs, hidden)) * gate  # (T, P, H)
        y_hat = torch.bmm(activity, output)[..., 0] + bias  # (T, P)
        loss = ((y_hat - y) ** 2).mean(1) + growth.coupling * (size - growth.target) ** 2
        gradients = torch.autograd.grad(loss.sum(), parameters)
        with torch.no_grad():
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter -= 1e-3 * gradient

    def work():
        for _ in range(epochs):
            step()

    return trials * epochs / timed(work)


def rate_of_single_networks(epochs: int) -> float:
    """Return the rate of one network at a time with torch.nn, autograd and torch.optim.SGD."""
    growth = growlib.AuxiliaryWeight()
    x, y = (values[0] for values in training_points(1))
    size = torch.nn.Parameter(torch.zeros(1))
    hidden = torch.nn.Linear(2, WIDTH)
    output = torch.nn.Linear(WIDTH, 1)
    optimizer = torch.optim.SGD([size, *hidden.parameters(), *output.parameters()], lr=1e-3)

    def step():
        optimizer.zero_grad()
        inputs = torch.stack([size.expand_as(x), x], 1)  # (P, 2)
        activity = torch.tanh(hidden(inputs)) * growth.gate(size, WIDTH)[:, 0]  # (P, H)
        task_loss = torch.nn.functional.mse_loss(output(activity)[:, 0], y)
        size_loss = growth.coupling * (size - growth.target).square().sum()
        (task_loss + size_loss).backward()
        optimizer.step()

    def work():
        for _ in range(epochs):
            step()

    return epochs / timed(work)


class Helper:
    """A process of its own that answers every line of its input with a number."""

    def __init__(self, *command, **environment):
        self.process = subprocess.Popen(
            list(map(str, command)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | environment,
        )

    def __call__(self, line: str) -> float:
        print(line, file=self.process.stdin, flush=True)
        return float(self.process.stdout.readline())

    def close(self):
        self.process.communicate()


def compiled_loop(folder: Path) -> Path | None:
    """Compile loop.cpp into the folder; return the program, or None without a C++ compiler."""
    compiler = shutil.which("g++")
    if compiler is None:
        return None
    program = folder / "loop"
    options = ["-O3", "-march=native", "-ffast-math", "-pthread"]
    source = Path(__file__).with_name("loop.cpp")
    subprocess.run([compiler, *options, source, "-o", program], check=True)
    return program


def rate_of_loop(program: Path, trials: int, epochs: int, start: float = 0.0) -> float:
    """Return the rate of the loop in C++; the trained theta is in the file beside the program."""
    theta = growlib.initial_weights(0, range(trials), WIDTH, growlib.AuxiliaryWeight(start=start))
    points = [values.T for values in training_points(trials)]  # x and y, (P, T)
    file = program.with_suffix(".networks")
    np.concatenate([theta, *points]).astype(np.float32).tofile(file)
    command = [program, file, trials, epochs, torch.get_num_threads()]
    done = subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True)
    return float(done.stdout)


OURS = "growlib.fit"
LOOP = "C++, 16 networks in registers"
PLAIN = "PyTorch, eager, autograd, ensemble first"
OTHER_WORK = {  # rows with work of their own, which no other way does
    f"growlib.fit, {WIDTH} neurons open, Adam": {"growth": all_open(WIDTH), "optimizer": "adam"},
    "growlib.fit, 64 neurons open": {"growth": all_open(64), "width": 64},
}


def trial_steps(scale: Scale) -> tuple[str, pd.DataFrame]:
    """Return a table of the ways, and their rates, a row a round and a column a way."""
    partial = functools.partial
    trials = scale.trials

    def epochs(share):
        return max(1, scale.epochs // share)

    ways = {
        OURS: partial(rate_of_fit, trials, epochs(1)),
        "growlib.fit, float64": partial(rate_of_fit, trials, epochs(1), dtype="float64"),
        "growlib.fit by autograd (compiled=False)": partial(
            rate_of_fit, trials, epochs(80), compiled=False
        ),
        PLAIN: partial(rate_of_eager_ensemble, trials, epochs(40)),
        "PyTorch, one network at a time": partial(rate_of_single_networks, epochs(8)),
        "torch.tanh alone (the wall)": partial(rate_of_tanh, trials, epochs(20)),
    }
    for name, options in OTHER_WORK.items():
        ways[name] = partial(rate_of_fit, trials, epochs(8), **options)
    missing = []
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        program = compiled_loop(folder)
        if program:
            ways[LOOP] = partial(rate_of_loop, program, trials, epochs(1))
        else:
            missing.append((LOOP, "not measured (no C++ compiler)", ""))
        if JAX.exists():
            script = Path(__file__).with_name("jax_steps.py")
            jax = stack.enter_context(contextlib.closing(Helper(JAX, script, trials, epochs(4))))
            for layout in ("first", "last"):
                ways[f"JAX, ensemble axis {layout}"] = partial(jax, layout)
        else:
            missing.append(("JAX", "not measured (`make bench JAX=1`)", ""))

        in_turn(ways, 1)  # compiles
        rates = in_turn(ways, scale.rounds)

    of_jax = rates.filter(like="JAX").median()
    if len(of_jax) > 0:
        rates = rates.drop(columns=of_jax.idxmin())  # the slower layout
    rows = []
    for name in rates:
        faster_by = ""
        if name != OURS and name not in OTHER_WORK:
            faster_by = ratio(rates[OURS], rates[name])
        rows.append((name, summary(rates[name] / 1e6), faster_by))
    heads = ["way", "million trial-steps a second", "growlib.fit is faster by"]
    return markdown(heads, rows + missing), rates


def in_a_sentence(rates: pd.DataFrame) -> str:
    """Return what the README says of the speed."""
    ours = rates[OURS].median()
    plain = rates[PLAIN].median()
    return (
        f"On two cores `fit` trains {ours / 1e6:.1f} million networks by one epoch in a second, "
        f"{ours / plain:.0f} times as many as the same ensemble in plain PyTorch "
        "([benchmarks](figures/benchmarks.md))."
    )


# --------------------------------------------------------------------------------- what a fit costs


def exponent(seconds: pd.Series) -> float:
    """Return the slope of log seconds over log size, which is the index, in the upper half."""
    first = min(len(seconds) // 2, len(seconds) - 2)  # a line takes two points
    upper = seconds.iloc[first:]
    slope, _ = np.polyfit(np.log(upper.index.to_numpy(dtype=float)), np.log(upper), 1)
    return slope


def cost(scale: Scale) -> tuple[str, dict[str, pd.DataFrame]]:
    """Return a table of how a fit's time grows, and for each quantity the seconds.

    The seconds have a row a round and a column a size.
    """

    def fit(task="bessel-j0", growth=None, trials=scale.trials, epochs=scale.epochs // 8, width=9):
        return timed(
            lambda: growlib.fit(
                task, growth, trials=trials, epochs=epochs, log_every=epochs, width=width
            )
        )

    def fit_of_width(width):
        return fit(growth=all_open(width), width=width)

    def fit_of_points(count):
        return fit(growlib.task("bessel-j0", points=count + 10, test_points=10))

    partial = functools.partial
    sweeps = {
        "trials": {count: partial(fit, trials=count) for count in scale.counts},
        "neurons, all open": {width: partial(fit_of_width, width) for width in scale.widths},
        "training points": {count: partial(fit_of_points, count) for count in scale.points},
        "epochs": {count: partial(fit, epochs=count) for count in scale.lengths},
    }
    seconds = {}
    rows = []
    for name, ways in sweeps.items():
        in_turn(ways, 1)  # compiles
        seconds[name] = in_turn(ways, scale.few)
        middle = seconds[name].median()
        rows.append(
            (
                name,
                f"{middle.index[0]:,} to {middle.index[-1]:,}",
                f"{middle.iloc[0]:.3g} to {middle.iloc[-1]:.3g}",
                f"{exponent(middle):.2f}",
            )
        )
    return markdown(["what grows", "from, to", "seconds of a fit", "exponent"], rows), seconds


# ------------------------------------------------------------------------ large sets, mini-batches


def train_plain(
    task: growlib.Task, widths: list[int], epochs: int, batch: int | None = None
) -> float:
    """Train one plain network with Adam on the training points; return the seconds an epoch."""
    x, y = (
        torch.tensor(values[..., : task.train_points, 0], dtype=torch.float32)
        for values in task.draw(0, [0])
    )
    x = x.T.contiguous()  # (P, I)
    layers = []
    fan_in = task.inputs
    for width in widths:
        layers += [torch.nn.Linear(fan_in, width), torch.nn.Tanh()]
        fan_in = width
    network = torch.nn.Sequential(*layers, torch.nn.Linear(fan_in, 1))
    optimizer = torch.optim.Adam(network.parameters(), fused=True)

    def work():
        for _ in range(epochs):
            batches = torch.randperm(len(x)).split(batch) if batch else [slice(None)]
            for places in batches:
                optimizer.zero_grad()
                torch.nn.functional.mse_loss(network(x[places])[:, 0], y[places]).backward()
                optimizer.step()

    return timed(work) / epochs


def train_large(width: int, epochs: int, seeds: int) -> None:
    """Train networks on the large set; two processes do this at the same time."""
    growlib.fit(
        "bessel-grid",
        growlib.ControllerMask(),
        trials=seeds,
        epochs=epochs,
        log_every=100,
        width=width,
        optimizer="adam",
    )


def large_sets(scale: Scale) -> str:
    """Return a table of milliseconds an epoch and network on 26 214 points.

    Two processes of one thread train the networks; the plain loop has all cores.
    """
    networks = 2 * scale.seeds
    task = growlib.task("bessel-grid")

    def in_two_processes(pool, width, epochs):
        return timed(lambda: pool.starmap(train_large, [(width, epochs, scale.seeds)] * 2, 1))

    def ours(pool, width, epochs):
        # The difference leaves out what a fit costs besides its epochs.
        short = in_two_processes(pool, width, epochs)
        long = in_two_processes(pool, width, 2 * epochs)
        return 1e3 * (long - short) / epochs / networks

    def plain(width, epochs):
        return 1e3 * train_plain(task, [width], max(3, epochs // 10))

    rows = []
    with get_context("spawn").Pool(2, studies._prepare_worker) as pool:
        for width, epochs in scale.large:
            in_two_processes(pool, width, 1)  # compiles
            ways = {
                "ours": functools.partial(ours, pool, width, epochs),
                "plain": functools.partial(plain, width, epochs),
            }
            found = in_turn(ways, scale.few)
            faster_by = ratio(found["plain"], found["ours"])
            rows.append((width, summary(found["ours"]), summary(found["plain"]), faster_by))
    heads = [
        "width",
        f"growlib, {networks} networks in two processes: ms an epoch and network",
        "plain PyTorch loop: ms an epoch",
        "faster by",
    ]
    return markdown(heads, rows)


def mini_batches(scale: Scale) -> str:
    """Return a table of seconds an epoch of mini-batches on a table, beside the plain loop."""
    task = table(scale.rows)

    def fit(width, batch, epochs):
        return timed(
            lambda: growlib.fit(
                task,
                growlib.ControllerMask(),
                trials=1,
                epochs=epochs,
                log_every=epochs,
                width=width,
                optimizer="adam",
                batch=batch,
            )
        )

    def ours(width, batch):
        # The difference leaves out what a fit costs besides its epochs.
        return (fit(width, batch, 4) - fit(width, batch, 1)) / 3

    rows = []
    for width, batch in scale.own:
        widths = np.atleast_1d(width).tolist()
        fit(width, batch, 1)  # compiles
        train_plain(task, widths, 1, batch)
        ways = {
            "ours": functools.partial(ours, width, batch),
            "plain": functools.partial(train_plain, task, widths, 2, batch),
        }
        found = in_turn(ways, scale.few)
        faster_by = ratio(found["plain"], found["ours"])
        shown_width = " and ".join(map(str, widths))
        rows.append(
            (shown_width, batch, summary(found["ours"]), summary(found["plain"]), faster_by)
        )
    heads = [
        "width",
        "batch",
        "growlib: seconds an epoch",
        "plain PyTorch loop: seconds an epoch",
        "faster by",
    ]
    return markdown(heads, rows)


# ------------------------------------------------------------------------------- beside a commit


@contextlib.contextmanager
def checkout(commit: str):
    """Give a folder with the Python files of a commit."""
    command = ["git", "archive", "--format=tar", commit, "*.py", "*.toml"]
    archive = subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(fileobj=io.BytesIO(archive)) as files:
            files.extractall(folder, filter="data")
        yield folder


def beside(scale: Scale) -> str:
    """Return a table of the seconds of fits by the version of a commit and by this one."""
    script = Path(__file__).with_name("beside.py")
    with contextlib.ExitStack() as stack:
        folders = {"base": stack.enter_context(checkout(scale.base)), "ours": ROOT}
        helpers = {}
        for name, folder in folders.items():
            helper = Helper(
                sys.executable, script, scale.share, PYTHONPATH=str(folder), OMP_NUM_THREADS="2"
            )
            helpers[name] = stack.enter_context(contextlib.closing(helper))

        rows = []
        for name, fit in FITS.items():
            ways = {each: functools.partial(helper, name) for each, helper in helpers.items()}
            in_turn(ways, 1)  # compiles
            found = in_turn(ways, scale.few)
            rows.append(
                (
                    name,
                    f"{max(1, round(scale.share * fit.epochs)):,}",
                    summary(found["base"]),
                    summary(found["ours"]),
                    ratio(found["base"], found["ours"]),
                )
            )
    heads = ["fit", "epochs", f"commit {scale.base}: s", "this version: s", "faster by"]
    return markdown(heads, rows)


# --------------------------------------------------------------------- memory, start, study engine
# Code that `in_a_process` runs.

# Linux tells the peak memory of this process; getrusage would tell that of the process that it was
# forked from, too.
IMPORT_AND_PEAK = r"""
import pathlib
import re
import time

began = time.perf_counter()
import growlib
seconds = time.perf_counter() - began

{work}
status = pathlib.Path("/proc/self/status").read_text()
kilobytes = int(re.search(r"VmHWM:\s*(\d+)", status)[1])
print(seconds, kilobytes / 1024)
"""

IMPORTS_AND_FITS = """
import time

times = [time.perf_counter()]
import torch
times.append(time.perf_counter())
import growlib
times.append(time.perf_counter())
for epochs in (100, 4):
    growlib.fit("bessel-j0", trials=128, epochs=epochs, log_every=epochs)
    times.append(time.perf_counter())
print(*(after - before for before, after in zip(times, times[1:])))
"""


class StartTimes(NamedTuple):
    """What IMPORTS_AND_FITS prints: the seconds of each step, one after the other."""

    torch: float
    growlib: float
    first_fit: float
    second_fit: float


FIRST_PICTURE = """
import pathlib
import time

import nbclient
import nbformat

def shows_picture(outputs):
    return any("image/png" in output.get("data", {}) for output in outputs)

began = time.perf_counter()
path = next(pathlib.Path("notebooks").glob("01_*.ipynb"))
notebook = nbformat.read(path, 4)
client = nbclient.NotebookClient(
    notebook, kernel_name="python3", resources={"metadata": {"path": "notebooks"}}
)
with client.setup_kernel():
    for place, cell in enumerate(notebook.cells):
        if cell.cell_type != "code":
            continue
        if shows_picture(client.execute_cell(cell, place).outputs):
            break
print(time.perf_counter() - began)
"""

STUDY = """
import sys
import time

from growkit import studies

workers, cells, studies.CELL_SECONDS = map(int, sys.argv[1:])
grid = {
    "task": "bessel-j0",
    "coupling": 0.1,
    "epochs": 500 * studies.CELL_SECONDS,
    "log_every": 5000,
    "trials": 4096 * cells,
}

def seconds_of_study():
    began = time.perf_counter()
    finals = studies.study("bench", grid, workers=workers)
    return time.perf_counter() - began, finals["seconds"].sum()

wall, training = seconds_of_study()
again, _ = seconds_of_study()
print(wall, training, again, len(studies._cells(studies._settings(grid))))
"""


class StudyTimes(NamedTuple):
    """What STUDY prints."""

    wall: float  # seconds until the study ends
    training: float  # seconds of training in it
    again: float  # seconds of the same study when all its cells are stored
    cells: float


def memory(scale: Scale) -> str:
    """Return a table of the peak memory of processes."""
    works = {
        "import growlib": "",
        f"{scale.trials:,} trials": f'growlib.fit("bessel-j0", trials={scale.trials}, epochs=1000)',
        f"{scale.many:,} trials": f'growlib.fit("bessel-j0", trials={scale.many}, epochs=1000)',
        "26 214 points, width 256, 3 networks": (
            'growlib.fit("bessel-grid", trials=3, epochs=2, width=256, optimizer="adam")'
        ),
    }
    rows = []
    for name, work in works.items():
        _, megabytes = in_a_process(IMPORT_AND_PEAK.format(work=work))
        rows.append((name, f"{megabytes:.0f}"))
    return markdown(["process", "peak memory, MB"], rows)


def starts(scale: Scale) -> str:
    """Return a table of how long a person waits for a first result, in processes of their own."""
    rounds = []
    for _ in range(scale.few):
        with tempfile.TemporaryDirectory() as empty:
            cold = StartTimes(*in_a_process(IMPORTS_AND_FITS, NUMBA_CACHE_DIR=empty))
            # By now the folder holds what the first process compiled.
            warm = StartTimes(*in_a_process(IMPORTS_AND_FITS, NUMBA_CACHE_DIR=empty))
        (picture,) = in_a_process(FIRST_PICTURE)
        rounds.append(
            {
                "import torch": warm.torch,
                "import growlib, torch included": warm.torch + warm.growlib,
                "first fit, cold: the compiler's cache is empty": cold.first_fit,
                "first fit, from the cache on disk": warm.first_fit,
                "import growlib and first fit from the cache, beyond import torch": (
                    warm.growlib + warm.first_fit
                ),
                "second fit (4 epochs)": warm.second_fit,
                "first picture of notebook 01": picture,
            }
        )
    seconds = pd.DataFrame(rounds)
    return markdown(["what", "seconds"], [(name, summary(seconds[name])) for name in seconds])


def engine(scale: Scale) -> str:
    """Return what a second worker gains and what the study engine costs, as half a sentence."""
    found = {1: [], 2: []}
    for workers in (1, 2, 1, 2):
        with tempfile.TemporaryDirectory() as home:
            numbers = in_a_process(
                STUDY,
                workers,
                scale.cells,
                scale.cell_seconds,
                GROWLIB_HOME=home,
                OMP_NUM_THREADS="1",
            )
        found[workers].append(StudyTimes(*numbers))
    one = min(found[1])  # the faster of two rounds
    two = min(found[2])
    return (
        f"a second\nworker ends a study of {one.cells:.0f} cells and {one.training:.0f} s of "
        f"training {one.wall / two.wall:.2f} times as soon. With one worker,\neverything but the "
        f"training takes {one.wall - one.training:.1f} s, the start of the worker included; "
        f"reading a stored cell takes {1000 * one.again / one.cells:.0f} ms"
    )


def commands(path: Path = ROOT / ".cache" / "timings.csv") -> str:
    """Return a table of how long two make commands took, which the Makefile writes to `path`."""
    columns = ["command", "day", "seconds"]
    timings = pd.DataFrame(columns=columns)
    if path.exists():
        timings = pd.read_csv(path, names=columns)
    last = timings.drop_duplicates("command", keep="last").set_index("command")

    rows = []
    for name in ("figures", "test"):
        took = "not measured"
        if name in last.index:
            took = f"{last['seconds'][name] / 60:.1f}, {last['day'][name]}"
        rows.append((f"`make {name}`", took))
    return markdown(["command, beside the installing", "minutes, day"], rows)


# ----------------------------------------------------------------------------------- plots and page


def machine() -> str:
    """Return one line about the machine, the versions and the load before the run."""
    processor = platform.processor() or "unknown processor"
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        models = re.findall(r"model name\s*: (.*)", cpuinfo.read_text())
        processor = models[0] if models else "unknown processor"
    kernel = "autograd (no numba)"
    loops = growlib._growloops()
    if loops:
        kernel = f"numba {loops.numba.__version__}"
    return (
        f"{processor}, {os.cpu_count()} cores, {torch.get_num_threads()} threads, "
        f"{torch.backends.cpu.get_cpu_capability()}; torch {torch.__version__.split('+')[0]}, "
        f"Python {platform.python_version()}; kernel: {kernel}; {date.today()}; "
        f"load before: {os.getloadavg()[0]:.2f}"
    )


def draw_rates(rates: pd.DataFrame) -> Figure:
    """Draw a bar for the rate of each way, the slowest at the bottom, with the range of rounds."""
    slowest_first = rates.median().sort_values().index
    millions = rates[slowest_first] / 1e6
    middle = millions.median()
    errors = [middle - millions.min(), millions.max() - middle]
    ours, others = figures.COLOURS["growing"], figures.COLOURS["static"]
    colours = [ours if name == OURS else others for name in millions]

    figure, axes = figures.new_figure(height=3.4, width=figures.PAGE)
    axes[0, 0].barh(millions.columns, middle, xerr=errors, color=colours)
    axes[0, 0].set(
        xscale="log",
        xlabel="million trial-steps a second",
        title=f"Gradient descent, {WIDTH} neurons, {POINTS} points, where nothing else is said",
    )
    return figure


def draw_cost(seconds: dict[str, pd.DataFrame]) -> Figure:
    """Draw the seconds of a fit over each size, beside a dotted line that is proportional to it."""
    figure, axes = figures.new_figure(1, len(seconds), height=2.4)
    colour = figures.COLOURS["growing"]
    for ax, (name, frame) in zip(axes[0], seconds.items(), strict=True):
        sizes = frame.columns.to_numpy(dtype=float)
        middle = frame.median()
        ax.fill_between(sizes, frame.min(), frame.max(), color=colour, alpha=0.15, lw=0)
        ax.plot(sizes, middle, "o-", ms=3, color=colour)
        ax.plot(sizes, middle.iloc[-1] * sizes / sizes[-1], ":", color="grey")
        ax.set(xscale="log", yscale="log", xlabel=name)
        ax.xaxis.set_minor_formatter("")
        ax.yaxis.set_minor_formatter("")
    axes[0, 0].set_ylabel("seconds of a fit")
    return figure


PAGE = """# Benchmarks

`make bench` measures and writes this page. {machine}.

Ways that are compared take turns in rounds. A number is the median of the rounds, with the least
and the most in brackets. A ratio is that of two medians, with the least and the most of the ratios
of single rounds.

## Trial-steps a second

A trial-step is one epoch of one network. {trials:,} growing networks (N∞ = 5) of {width} neurons
learn {points} points by gradient descent, in float32 unless the table says otherwise, on all cores;
{rounds} rounds. growlib and the loop in C++ compute the neurons that are open, the other ways all
of them. The loop in C++ can train these networks only, in float32 throughout, and keeps no record.

{rate_table}

![Bars of trial-steps a second, one for each way.](benchmarks_steps.png)

## What a fit costs

One quantity grows at a time; the others stay at {trials:,} growing networks, {width} neurons,
{points} points and {cost_epochs:,} epochs. Compilation is not counted. Medians of {few} rounds. The
exponent is the slope of log seconds over log size in the upper half of the sizes: 1 if the time is
proportional to the size, 0 if it does not depend on it.

{cost_table}

![Seconds of a fit over each size; the dotted line is proportional.](benchmarks_cost.png)

Large sets, 26 214 points, Adam; {few} rounds:

{large_table}

## Mini-batches on a table

{rows:,} rows, a fifth of them for tests, 50 columns, one network, Adam; two widths are two hidden
layers; {few} rounds.

{batch_table}

{starts}{beside}## Commands

The two commands, when they last ran to their end:

{command_table}

This run took {minutes:.1f} minutes.
"""

BESIDE = """## Beside commit {base}

The same fits by the version of this commit and by this one, each in a process of its own with two
threads; {few} rounds. The time is that of the epochs alone, unless it says the whole fit.
Compilation is not counted.

{table}

"""

STARTS = """## Memory and start

Each in a process of its own, one round:

{memory_table}

Seconds until it is ready, {few} rounds:

{start_table}

The study engine, the faster of two rounds: {engine}.

"""


def page(scale: Scale, folder: Path) -> dict[str, str]:
    """Measure everything, write benchmarks.md and its plots into `folder`, and return passages.

    The passages are those that the README takes, by the names of their markers.
    """
    began = time.perf_counter()
    where = machine()

    beside_part = ""
    if scale.base:  # first, so that a commit that git does not know is refused at once
        beside_part = BESIDE.format(base=scale.base, few=scale.few, table=beside(scale))
    rate_table, rates = trial_steps(scale)
    cost_table, seconds = cost(scale)
    figures.save_figure(draw_rates(rates), "benchmarks_steps", str(folder))
    figures.save_figure(draw_cost(seconds), "benchmarks_cost", str(folder))
    large_table = large_sets(scale)
    batch_table = mini_batches(scale)

    starts_part = ""
    if scale.starts:
        starts_part = STARTS.format(
            memory_table=memory(scale),
            few=scale.few,
            start_table=starts(scale),
            engine=engine(scale),
        )
    text = PAGE.format(
        machine=where,
        trials=scale.trials,
        width=WIDTH,
        points=POINTS,
        rounds=scale.rounds,
        few=scale.few,
        rate_table=rate_table,
        cost_epochs=scale.epochs // 8,
        cost_table=cost_table,
        large_table=large_table,
        rows=scale.rows,
        batch_table=batch_table,
        starts=starts_part,
        beside=beside_part,
        command_table=commands(),
        minutes=(time.perf_counter() - began) / 60,
    )
    (folder / "benchmarks.md").write_text(text)
    return {"speed": in_a_sentence(rates)}


def main() -> None:
    """Run the benchmark at full scale and write the page and the passages of the README."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--base", default="", help="a commit to measure this version beside")
    base = parser.parse_args().base
    sys.path.insert(0, str(ROOT / "tools"))
    from readme import between

    passages = page(Scale(base=base), ROOT / "figures")
    readme = ROOT / "README.md"
    text = readme.read_text()
    for name, content in passages.items():
        text = between(text, name, content)
    readme.write_text(text)
    print((ROOT / "figures" / "benchmarks.md").read_text())


if __name__ == "__main__":
    main()

"""How fast, how large, how soon: one run measures everything, so that the ratios hold on a noisy machine.

    make bench          # writes figures/benchmarks.md with its plots, and the README's lines about speed
    make bench JAX=1    # with JAX, which gets an environment of its own

Ways that are compared take turns in rounds. A number is the median of the rounds, with the least and the most in brackets; a
ratio is that of two medians, with the least and the most of the rounds' own ratios.
"""

from __future__ import annotations

import argparse
import functools
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import date
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd
import torch

import growlib
from growkit import figures, studies, tables

ROOT = Path(__file__).resolve().parents[2]
JAX = ROOT / ".cache" / "jax-venv" / "bin" / "python"
H, POINTS = 9, 32  # neurons and points of the small ensembles


@dataclass(frozen=True)
class Scale:
    """How much is measured; the test takes far less."""

    rounds: int = 5
    trials: int = 1000
    epochs: int = 8000  # of one call of fit; the slower ways take fewer
    counts: tuple = (64, 128, 256, 512, 1024, 2048, 4096, 8192)  # trials
    widths: tuple = (4, 8, 16, 32, 64)
    points: tuple = (16, 32, 64, 128, 256)
    lengths: tuple = (500, 1000, 2000, 4000, 8000, 16_000)  # epochs
    large: tuple = ((10, 400), (64, 100), (256, 40))  # width, epochs
    seeds: int = 5  # networks in each of two processes
    rows: int = 100_000
    own: tuple = ((32, 64), (64, 256), (256, 1024), ((64, 64), 128))  # width, batch
    many: int = 10_000  # trials of the larger memory measurement
    cells: int = 4
    cell_seconds: int = 12
    starts: bool = True  # what starts processes


def timed(work) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def in_turn(ways: dict, rounds: int) -> pd.DataFrame:
    """What each way returns, a column a way and a row a round: in turn, so that a drift of the machine touches all alike."""
    return pd.DataFrame(
        [{name: measure() for name, measure in ways.items()} for _ in range(rounds)]
    )


def said(values) -> str:
    """Median (least to most)."""
    return f"{np.median(values):.3g} ({np.min(values):.3g} to {np.max(values):.3g})"


def ratio(a, b) -> str:
    """The ratio of the medians, with the least and the most of the rounds' own."""
    each = np.divide(a, b)
    return f"{np.median(a) / np.median(b):.3g} ({each.min():.3g} to {each.max():.3g})"


def table(heads, rows) -> str:
    return "\n".join(
        "| " + " | ".join(map(str, row)) + " |" for row in [heads, ["---"] * len(heads), *rows]
    )


def in_a_process(code: str, *arguments, **environment) -> list[float]:
    """The numbers that a process of its own prints in its last line."""
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
    )
    return [float(number) for number in done.stdout.splitlines()[-1].split()]


# ------------------------------------------------------------------------------------- 1. trial-steps


def ours(trials: int, epochs: int, **options) -> float:
    return (
        trials
        * epochs
        / timed(
            lambda: growlib.fit(
                "bessel-j0", trials=trials, epochs=epochs, log_every=epochs, **options
            )
        )
    )


def tanh_wall(trials: int, calls: int) -> float:
    """What torch.tanh alone reaches on the same elements: the wall for whatever calls it."""
    z = torch.randn(H, POINTS, trials)
    out = torch.empty_like(z)
    return trials * calls / timed(lambda: [torch.tanh(z, out=out) for _ in range(calls)])


def points(trials: int) -> list[torch.Tensor]:
    """x and y, (T, P) each."""
    x, y = growlib.task("bessel-j0").draw(0, range(trials))
    return [torch.tensor(a[:POINTS].T, dtype=torch.float32) for a in (x[0], y)]


def eager(trials: int, epochs: int) -> float:
    """The same ensemble in plain PyTorch: the ensemble axis first, batched matrix products, autograd."""
    growth, (x, y) = growlib.AuxiliaryWeight(), points(trials)
    size, hidden, output, bias = (
        torch.zeros(trials),
        torch.rand(trials, 3, H) * 2 - 1,
        torch.rand(trials, H, 1) * 2 - 1,
        torch.zeros(trials, 1),
    )
    parameters = [p.requires_grad_() for p in (size, hidden, output, bias)]

    def work():
        for _ in range(epochs):
            inputs = torch.stack(
                [torch.ones_like(x), size[:, None].expand_as(x), x], -1
            )  # (T, P, 3)
            activity = (
                torch.tanh(torch.bmm(inputs, hidden)) * growth.gate(size, H).T[:, None]
            )  # (T, P, H)
            y_hat = torch.bmm(activity, output)[..., 0] + bias
            loss = ((y_hat - y) ** 2).mean(1) + growth.coupling * (size - growth.target) ** 2
            gradients = torch.autograd.grad(loss.sum(), parameters)
            with torch.no_grad():
                for p, g in zip(parameters, gradients, strict=True):
                    p -= 1e-3 * g

    return trials * epochs / timed(work)


def loop(epochs: int) -> float:
    """One network at a time: torch.nn, autograd and torch.optim.SGD."""
    growth, (x, y) = growlib.AuxiliaryWeight(), (a[0] for a in points(1))
    size, hidden, output = (
        torch.nn.Parameter(torch.zeros(1)),
        torch.nn.Linear(2, H),
        torch.nn.Linear(H, 1),
    )
    optimizer = torch.optim.SGD([size, *hidden.parameters(), *output.parameters()], lr=1e-3)

    def work():
        for _ in range(epochs):
            optimizer.zero_grad()
            activity = (
                torch.tanh(hidden(torch.stack([size.expand_as(x), x], 1)))
                * growth.gate(size, H)[:, 0]
            )
            loss = (
                torch.nn.functional.mse_loss(output(activity)[:, 0], y)
                + growth.coupling * (size - growth.target).square().sum()
            )
            loss.backward()
            optimizer.step()

    return epochs / timed(work)


class Jax:
    """JAX in a process of its own, which measures a layout whenever it is asked."""

    def __init__(self, trials: int, epochs: int):
        script = Path(__file__).with_name("jax_steps.py")
        self.process = subprocess.Popen(
            [JAX, script, str(trials), str(epochs)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __call__(self, layout: str) -> float:
        print(layout, file=self.process.stdin, flush=True)
        return float(self.process.stdout.readline())

    def close(self):
        self.process.communicate()


def steps(scale: Scale) -> tuple[str, pd.DataFrame]:
    """Trial-steps a second, and how many times faster `fit` is."""
    trials, epochs, part = scale.trials, scale.epochs, functools.partial
    ways = {
        "growlib.fit": part(ours, trials, epochs),
        "growlib.fit, float64": part(ours, trials, epochs, dtype="float64"),
        "torch.tanh alone (the wall)": part(tanh_wall, trials, max(1, epochs // 20)),
        "growlib.fit, not compiled": part(ours, trials, max(1, epochs // 80), compiled=False),
        "PyTorch, eager, autograd, ensemble first": part(eager, trials, max(1, epochs // 40)),
        "PyTorch, one network at a time": part(loop, max(1, epochs // 8)),
    }
    jax = Jax(trials, max(1, epochs // 4)) if JAX.exists() else None
    ways |= {
        f"JAX, ensemble axis {layout}": part(jax, layout) for layout in ("first", "last") if jax
    }
    in_turn(ways, 1)  # compile
    found = in_turn(ways, scale.rounds)
    if jax:
        jax.close()
        found = found.drop(
            columns=found.filter(like="JAX").median().idxmin()
        )  # the faster layout stays
    rows = [
        (
            name,
            said(found[name] / 1e6),
            "" if name == "growlib.fit" else ratio(found["growlib.fit"], found[name]),
        )
        for name in found
    ]
    rows += [] if jax else [("JAX", "not measured (`make bench JAX=1`)", "")]
    return table(["way", "million trial-steps a second", "growlib.fit is faster by"], rows), found


# -------------------------------------------------------------------------------------------- 2. cost


def exponent(seconds: pd.Series) -> float:
    """The slope of a straight line through log seconds over log sizes, for the upper half of the sizes."""
    upper = seconds.iloc[min(len(seconds) // 2, len(seconds) - 2) :]
    return np.polyfit(np.log(upper.index.to_numpy(dtype=float)), np.log(upper), 1)[0]


def cost(scale: Scale) -> tuple[str, dict[str, pd.DataFrame]]:
    """Seconds of a fit where one thing grows, and the exponent."""

    def fit(
        growth=None, task="bessel-j0", trials=scale.trials, epochs=scale.epochs // 8, **options
    ):
        return timed(
            lambda: growlib.fit(
                task, growth, trials=trials, epochs=epochs, log_every=epochs, **options
            )
        )

    def of_width(width):  # all neurons open, so that all are computed
        return fit(growlib.AuxiliaryWeight(start=width, target=width, frozen=True), width=width)

    def of_points(count):
        return fit(task=growlib.task("bessel-j0", points=count + 10, test_points=10))

    sweeps = {
        "trials": (scale.counts, lambda count: fit(trials=count)),
        "neurons, all open": (scale.widths, of_width),
        "training points": (scale.points, of_points),
        "epochs": (scale.lengths, lambda count: fit(epochs=count)),
    }
    frames, rows = {}, []
    for name, (sizes, measure) in sweeps.items():
        ways = {size: functools.partial(measure, size) for size in sizes}
        in_turn(ways, 1)  # compile
        frames[name] = in_turn(ways, min(3, scale.rounds))
        middle = frames[name].median()
        rows.append(
            (
                name,
                f"{sizes[0]:,} to {sizes[-1]:,}",
                f"{middle.iloc[0]:.3g} to {middle.iloc[-1]:.3g}",
                f"{exponent(middle):.2f}",
            )
        )
    return table(["what grows", "from, to", "seconds of a fit", "exponent"], rows), frames


def train_large(width: int, epochs: int, seeds: int) -> None:
    growlib.fit(
        "bessel-grid",
        growlib.ControllerMask(),
        trials=seeds,
        epochs=epochs,
        log_every=100,
        width=width,
        optimizer="adam",
    )


def plain(task, widths, epochs: int, batch: int | None = None) -> float:
    """Seconds an epoch of a plain loop of nn.Linear and Adam over the same points, on all cores."""
    x, y = (
        torch.tensor(a[..., : task.train_points, 0], dtype=torch.float32) for a in task.draw(0, [0])
    )
    x, fans = x.T.contiguous(), [task.inputs, *widths]
    layers = [
        part
        for fan in zip(fans, widths, strict=False)
        for part in (torch.nn.Linear(*fan), torch.nn.Tanh())
    ]
    network = torch.nn.Sequential(*layers, torch.nn.Linear(fans[-1], 1))
    optimizer = torch.optim.Adam(network.parameters(), fused=True)

    def work():
        for _ in range(epochs):
            for places in torch.randperm(len(x)).split(batch) if batch else [slice(None)]:
                optimizer.zero_grad()
                torch.nn.functional.mse_loss(network(x[places])[:, 0], y[places]).backward()
                optimizer.step()

    return timed(work) / epochs


def large_sets(scale: Scale) -> str:
    """Milliseconds an epoch and network on 26 214 points, in two processes of one thread, beside the plain loop."""
    rows, task, networks = [], growlib.task("bessel-grid"), 2 * scale.seeds
    with get_context("spawn").Pool(2, studies._prepare_worker) as pool:
        for width, epochs in scale.large:

            def train(epochs, width=width):
                return timed(
                    lambda: pool.starmap(train_large, [(width, epochs, scale.seeds)] * 2, 1)
                )

            train(1)  # compile
            ways = {
                "ours": lambda epochs=epochs, train=train: (
                    1e3 * (train(2 * epochs) - train(epochs)) / epochs / networks
                ),
                "plain": lambda epochs=epochs, width=width: (
                    1e3 * plain(task, [width], max(3, epochs // 10))
                ),
            }
            found = in_turn(ways, min(3, scale.rounds))
            rows.append(
                (
                    width,
                    said(found["ours"]),
                    said(found["plain"]),
                    ratio(found["plain"], found["ours"]),
                )
            )
    heads = [
        "width",
        f"growlib, {networks} networks in two processes: ms an epoch and network",
        "plain PyTorch loop: ms an epoch",
        "faster by",
    ]
    return table(heads, rows)


# ------------------------------------------------------------------------------------- 3. mini-batches


def own_table(scale: Scale) -> str:
    """Seconds an epoch of mini-batches on a table of 50 columns, beside a plain loop over as many, on all cores."""
    generator, rows = np.random.default_rng(0), []
    columns = generator.standard_normal((scale.rows, 50))
    task = tables.task_from_frame(
        pd.DataFrame(columns).assign(y=np.tanh(columns @ generator.standard_normal(50) / 7)), "y"
    )
    for width, batch in scale.own:
        widths = np.atleast_1d(width).tolist()

        def fit(epochs, width=width, batch=batch):
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

        ways = {
            "ours": lambda fit=fit: (fit(4) - fit(1)) / 3,
            "plain": lambda widths=widths, batch=batch: plain(task, widths, 2, batch),
        }
        fit(1), plain(task, widths, 1, batch)  # compile
        found = in_turn(ways, min(3, scale.rounds))
        rows.append(
            (
                " and ".join(map(str, widths)),
                batch,
                said(found["ours"]),
                said(found["plain"]),
                ratio(found["plain"], found["ours"]),
            )
        )
    return table(
        [
            "width",
            "batch",
            "growlib: seconds an epoch",
            "plain PyTorch loop: seconds an epoch",
            "faster by",
        ],
        rows,
    )


# -------------------------------------------------------------------------- 4. memory, start, commands

PEAK = """
import pathlib, re, time
began = time.perf_counter()
import growlib
seconds = time.perf_counter() - began
{}
print(seconds, int(re.search(r"VmHWM:\\s*(\\d+)", pathlib.Path("/proc/self/status").read_text())[1]) / 1024)
"""  # of Linux; getrusage tells the peak of the process that this one was forked from
FIRST = """
import time, growlib
began = time.perf_counter()
growlib.fit("bessel-j0", trials=128, epochs=100, log_every=100)
first, began = time.perf_counter() - began, time.perf_counter()
growlib.fit("bessel-j0", trials=128, epochs=4, log_every=4)
print(first, time.perf_counter() - began)
"""
PICTURE = """
import pathlib, time, nbformat, nbclient
began, path = time.perf_counter(), next(pathlib.Path("notebooks").glob("01_*.ipynb"))
book = nbformat.read(path, 4)
client = nbclient.NotebookClient(book, kernel_name="python3", resources={"metadata": {"path": "notebooks"}})
with client.setup_kernel():
    for place, cell in enumerate(book.cells):
        if cell.cell_type == "code" and any("image/png" in output.get("data", {}) for output in client.execute_cell(cell, place).outputs):
            break
print(time.perf_counter() - began)
"""
STUDY = """
import sys, time
from growkit import studies
workers, cells, studies.CELL_SECONDS = map(int, sys.argv[1:])
grid = {"task": "bessel-j0", "coupling": 0.1, "epochs": 500 * studies.CELL_SECONDS, "log_every": 5000, "trials": 4096 * cells}
began = time.perf_counter()
frame = studies.study("bench", grid, workers=workers)
wall, began = time.perf_counter() - began, time.perf_counter()
studies.study("bench", grid, workers=workers)
print(wall, frame["seconds"].sum(), time.perf_counter() - began, len(studies._cells(studies._settings(grid))))
"""


def memory(scale: Scale) -> str:
    """Peak memory, each in a process of its own."""
    fits = {
        "import growlib": "",
        f"{scale.trials:,} trials": f'growlib.fit("bessel-j0", trials={scale.trials}, epochs=1000)',
        f"{scale.many:,} trials": f'growlib.fit("bessel-j0", trials={scale.many}, epochs=1000)',
        "26 214 points, width 256, 3 networks": 'growlib.fit("bessel-grid", trials=3, epochs=2, width=256, optimizer="adam")',
    }
    return table(
        ["process", "peak memory, MB"],
        [(name, f"{in_a_process(PEAK.format(code))[1]:.0f}") for name, code in fits.items()],
    )


def starts(scale: Scale) -> str:
    """Seconds until something is there, each in a process of its own."""
    found = []
    for _ in range(min(3, scale.rounds)):
        with tempfile.TemporaryDirectory() as empty:
            (cold, _), (warm, second) = (
                in_a_process(FIRST, TORCHINDUCTOR_CACHE_DIR=empty) for _ in range(2)
            )
        found.append(
            {
                "import growlib": in_a_process(PEAK.format(""))[0],
                "first fit, empty compiler cache": cold,
                "first fit, full compiler cache": warm,
                "second fit (4 epochs)": second,
                "first picture of notebook 01": in_a_process(PICTURE)[0],
            }
        )
    return table(
        ["what", "seconds"], [(name, said(values)) for name, values in pd.DataFrame(found).items()]
    )


def commands(path: Path = ROOT / ".cache" / "timings.csv") -> str:
    """How long the two commands took when they last ran to their end; the Makefile writes it down."""
    ran = (
        pd.read_csv(path, names=["command", "day", "seconds"])
        if path.exists()
        else pd.DataFrame(columns=["command", "day", "seconds"])
    )
    last = ran.drop_duplicates("command", keep="last").set_index("command")
    found = {
        name: f"{last['seconds'][name] / 60:.1f}, {last['day'][name]}"
        if name in last.index
        else "not measured"
        for name in ("figures", "test")
    }
    return table(
        ["command, beside the installing", "minutes, day"],
        [(f"`make {name}`", minutes) for name, minutes in found.items()],
    )


def engine(scale: Scale) -> str:
    """What a second worker gains and what the study engine costs, as half a sentence."""
    found = {1: [], 2: []}
    for workers in (1, 2, 1, 2):
        with tempfile.TemporaryDirectory() as home:
            found[workers].append(
                in_a_process(
                    STUDY,
                    workers,
                    scale.cells,
                    scale.cell_seconds,
                    GROWLIB_HOME=home,
                    OMP_NUM_THREADS="1",
                )
            )
    (wall, training, again, cells), (two, *_) = min(found[1]), min(found[2])
    return (
        f"with a second\nworker a study of {cells:.0f} cells and {training:.0f} s of training ends {wall / two:.2f} times as soon, the start of "
        f"the workers included, which with\nall else that the engine does takes {wall - training:.1f} s; a cell that is there already takes "
        f"{1000 * again / cells:.0f} ms"
    )


# -------------------------------------------------------------------------------- 5. machine and page


def machine() -> str:
    file = Path("/proc/cpuinfo")
    models = (
        re.findall(r"model name\s*: (.*)", file.read_text())
        if file.exists()
        else [platform.processor()]
    )
    kernel = "compiled (TorchInductor, C++)" if growlib.has_compiler() else "eager"
    return (
        f"{models[0] if models else 'unknown processor'}, {os.cpu_count()} cores, {torch.get_num_threads()} threads, "
        f"{torch.backends.cpu.get_cpu_capability()}; torch {torch.__version__.split('+')[0]}, Python {platform.python_version()}; "
        f"kernel: {kernel}; {date.today()}; load before: {os.getloadavg()[0]:.2f}"
    )


def draw_steps(found: pd.DataFrame):
    figure, axes = figures.new_figure(height=2.6, width=7)
    rates = found[found.median().sort_values().index] / 1e6
    middle = rates.median()
    colours = [figures.COLOURS["growing" if name == "growlib.fit" else "static"] for name in rates]
    axes[0, 0].barh(
        rates.columns, middle, xerr=[middle - rates.min(), rates.max() - middle], color=colours
    )
    axes[0, 0].set(
        xscale="log",
        xlabel="million trial-steps a second",
        title=f"Gradient descent, {H} neurons, {POINTS} points",
    )
    return figure


def draw_cost(frames: dict[str, pd.DataFrame]):
    figure, axes = figures.new_figure(1, len(frames), height=2.6, width=2.6)
    for ax, (name, frame) in zip(axes[0], frames.items(), strict=True):
        sizes, middle = frame.columns.to_numpy(dtype=float), frame.median()
        ax.fill_between(
            sizes, frame.min(), frame.max(), color=figures.COLOURS["growing"], alpha=0.15, lw=0
        )
        ax.plot(sizes, middle, "o-", ms=3, color=figures.COLOURS["growing"])
        ax.plot(sizes, middle.iloc[-1] * sizes / sizes[-1], ":", color="grey")
        ax.set(xscale="log", yscale="log", xlabel=name)
        ax.xaxis.set_minor_formatter(""), ax.yaxis.set_minor_formatter("")
    axes[0, 0].set_ylabel("seconds of a fit")
    return figure


def page(scale: Scale, folder: Path) -> dict[str, str]:
    """Measure everything, write benchmarks.md with its plots into the folder, and return what the README takes."""
    began, where, few, trials = (
        time.perf_counter(),
        machine(),
        min(3, scale.rounds),
        f"{scale.trials:,}",
    )
    step_table, found = steps(scale)
    cost_table, frames = cost(scale)
    for name, figure in (
        ("benchmarks_steps", draw_steps(found)),
        ("benchmarks_cost", draw_cost(frames)),
    ):
        figures.save_figure(figure, name, "paper", str(folder))
    parts = [
        f"# Benchmarks\n\n`make bench` measures and writes this page. {where}.\n\n{__doc__.strip().split(chr(10) * 2)[-1]}",
        f"## Trial-steps a second\n\nA trial-step is one epoch of one network. {trials} growing networks (N∞ = 5), {H} neurons, {POINTS} "
        f"points, float32 unless said, gradient descent, all cores; {scale.rounds} rounds.\n\n{step_table}\n\n"
        "![Bars of trial-steps a second, one for each way.](benchmarks_steps.png)",
        f"## What a fit costs\n\n{trials} growing networks, {H} neurons, {POINTS} points and {scale.epochs // 8:,} epochs where these do not "
        f"grow, compiled before; medians of {few} rounds. The exponent is the slope of log seconds over log size in the upper half of "
        f"the sizes: at 1 twice as much takes twice as long, at 0 it is free.\n\n{cost_table}\n\n"
        "![Seconds of a fit over each size; the dotted line is proportional.](benchmarks_cost.png)\n\n"
        f"Large sets, 26 214 points, Adam; {few} rounds:\n\n{large_sets(scale)}",
        f"## Mini-batches on a table\n\n{scale.rows:,} rows, a fifth of them for tests, 50 columns, one network, Adam; two widths are two "
        f"hidden layers; {few} rounds.\n\n{own_table(scale)}",
    ]
    sentences = {
        "speed": f"\n{where}; {trials} networks, H = {H}, {POINTS} points, N∞ = 5.\n\n{step_table}\n"
    }
    if scale.starts:
        sentences["engine"] = engine(scale)
        parts += [
            f"## Memory and start\n\nEach in a process of its own, one round:\n\n{memory(scale)}\n\nUntil it is there, {few} rounds:\n\n"
            f"{starts(scale)}\n\nThe study engine, the faster of two rounds: {sentences['engine']}."
        ]
    took = (time.perf_counter() - began) / 60
    parts.append(
        f"The two commands, when they last ran to their end:\n\n{commands()}\n\nThis run took {took:.1f} minutes."
    )
    (folder / "benchmarks.md").write_text("\n\n".join(parts) + "\n")
    return sentences


def main() -> None:
    argparse.ArgumentParser(description=__doc__.split("\n", 1)[0]).parse_args()
    sentences = page(Scale(), ROOT / "figures")
    sys.path.insert(0, str(ROOT / "tools"))
    from readme import between

    text = (ROOT / "README.md").read_text()
    for name, content in sentences.items():
        text = between(text, name, content)
    (ROOT / "README.md").write_text(text)
    print((ROOT / "figures" / "benchmarks.md").read_text())


if __name__ == "__main__":
    main()

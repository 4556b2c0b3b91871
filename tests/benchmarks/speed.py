"""How fast and how large: one run measures everything, so that the ratios hold on a noisy machine.

    python tests/benchmarks/speed.py [--write]        (--write puts the table into the README)

A trial-step is one epoch of one network. The wall is what torch.tanh alone takes for the tanh of the same elements
(9 neurons, 32 points), which anything that calls it cannot pass.
"""

from __future__ import annotations

import argparse
import functools
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd
import torch

import growlib

ROOT = Path(__file__).resolve().parents[2]
TRIALS, EPOCHS = 1024, 8000
STARTED = """
import time, resource, growlib
began = time.perf_counter()
growlib.fit("bessel-j0", trials=128, epochs=100, log_every=100)
first = time.perf_counter() - began
began = time.perf_counter()
growlib.fit("bessel-j0", trials=128, epochs=4, log_every=4)
print(first, time.perf_counter() - began)
"""
LARGE = """
import resource, time, growlib
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
growlib.fit("bessel-j0", trials=512, epochs=4, log_every=4)
seconds = []
for trials in (2560, 10_240):
    began = time.perf_counter()
    growlib.fit("bessel-j0", trials=trials, epochs=4000)
    seconds.append(time.perf_counter() - began)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1e6, seconds[1] / seconds[0])
"""


WIDE = """
import resource, growlib
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
growlib.fit("bessel-grid", growlib.ControllerMask(), trials=3, epochs=2, width=1024, optimizer="adam")
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1e6)
"""


def timed(work) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def steps_a_second(epochs=EPOCHS, **options) -> float:
    def work(epochs):
        growlib.fit("bessel-j0", growlib.AuxiliaryWeight(), trials=TRIALS, epochs=epochs, log_every=epochs, **options)

    work(4)  # compile
    return TRIALS * epochs / timed(lambda: work(epochs))


def tanh_wall(dtype=torch.float32) -> float:
    z = torch.randn(9, 32, TRIALS, dtype=dtype)
    out = torch.empty_like(z)
    return TRIALS * 300 / timed(lambda: [torch.tanh(z, out=out) for _ in range(300)])


def train_large(width: int, epochs: int) -> None:
    """Five seeds of the Bessel study in this process."""
    growlib.fit("bessel-grid", growlib.ControllerMask(), trials=5, epochs=epochs, log_every=100, width=width, optimizer="adam")


def plain_loop(width: int, epochs: int) -> float:
    """Seconds an epoch of the same network in a plain loop of nn.Linear and Adam, on all cores."""
    task = growlib.task("bessel-grid")
    x, y = (torch.tensor(a[..., : task.train_points, 0], dtype=torch.float32) for a in task.draw(0, [0]))
    x = torch.stack([x[0], torch.ones_like(x[0])], 1)
    network = torch.nn.Sequential(torch.nn.Linear(2, width), torch.nn.Tanh(), torch.nn.Linear(width, 1))
    optimizer = torch.optim.Adam(network.parameters())

    def work(epochs):
        for _ in range(epochs):
            optimizer.zero_grad()
            torch.nn.functional.mse_loss(network(x)[:, 0], y).backward()
            optimizer.step()

    work(3)
    return timed(lambda: work(epochs)) / epochs


def large_sets() -> list[tuple[str, str]]:
    """Milliseconds an epoch and network on 26 214 points, ten seeds in two processes of one thread, beside the plain loop."""
    rows = []
    with get_context("spawn").Pool(2, growlib._prepare_worker) as pool:
        for width, epochs in ((10, 400), (64, 100), (256, 40)):
            pool.starmap(train_large, [(width, 1)] * 2, chunksize=1)  # compile
            ours, plain = [], []
            for _ in range(3):
                long, short = (timed(functools.partial(pool.starmap, train_large, [(width, e)] * 2, 1)) for e in (2 * epochs, epochs))
                ours.append((long - short) / epochs / 10)
                plain.append(plain_loop(width, max(5, epochs // 10)))
            ratio = statistics.median(b / a for a, b in zip(ours, plain, strict=True))
            rows.append((f"26 214 points, width {width}, ten seeds: ms an epoch and network (plain PyTorch loop; times faster)",
                         f"{1e3 * statistics.median(ours):.2f} ({1e3 * statistics.median(plain):.1f}; {ratio:.1f})"))
    rows.append(("the same at width 1024: peak memory of a process above the imported baseline, GB", f"{in_a_process(WIDE)[0]:.2f}"))
    return rows


def own_table() -> list[tuple[str, str]]:
    """Seconds an epoch of mini-batches on 100 000 rows and 50 columns, beside a plain loop over as many, on all cores."""
    generator = np.random.default_rng(0)
    columns = generator.standard_normal((100_000, 50))
    frame = pd.DataFrame(columns).assign(y=np.tanh(columns @ generator.standard_normal(50) / 7))
    task = growlib.task_from_frame(frame, "y")
    x, y = (torch.tensor(a[..., : task.train_points, 0], dtype=torch.float32) for a in task.draw(0, [0]))
    x, rows = x.T.contiguous(), []

    def ours(width, batch, epochs):
        growlib.fit(task, growlib.ControllerMask(), trials=1, epochs=epochs, log_every=epochs, width=width, optimizer="adam", batch=batch)

    def plain(width, batch, epochs):
        network = torch.nn.Sequential(torch.nn.Linear(50, width), torch.nn.Tanh(), torch.nn.Linear(width, 1))
        optimizer = torch.optim.Adam(network.parameters(), fused=True)
        for _ in range(epochs):
            for places in torch.randperm(len(x)).split(batch):
                optimizer.zero_grad()
                torch.nn.functional.mse_loss(network(x[places])[:, 0], y[places]).backward()
                optimizer.step()

    for width, batch in ((32, 64), (64, 256), (256, 1024)):
        ours(width, batch, 1), plain(width, batch, 1)  # compile
        pairs = [[(timed(lambda: loop(width, batch, 4)) - timed(lambda: loop(width, batch, 1))) / 3 for loop in (ours, plain)]  # noqa: B023
                 for _ in range(3)]
        a, b = (statistics.median(pair[i] for pair in pairs) for i in (0, 1))
        ratio = statistics.median(b / a for a, b in pairs)
        rows.append((f"100 000 rows, 50 columns, width {width}, batches of {batch}: seconds an epoch (plain PyTorch loop; times faster)",
                     f"{a:.2f} ({b:.2f}; {ratio:.1f})"))
    return rows


def in_a_process(code: str, **environment) -> list[float]:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                          cwd=ROOT, env=os.environ | environment)
    return [float(number) for number in done.stdout.split()]


def measure() -> list[tuple[str, str]]:
    kinds = {"ours, float32": {}, "ours, float64": {"dtype": "float64"}, "the same step without the compiler": {"compiled": False}}
    rates = {kind: [] for kind in kinds} | {"wall": []}
    for _ in range(3):  # in turn, so that a drift of the machine touches all alike
        for kind, options in kinds.items():
            rates[kind].append(steps_a_second(EPOCHS if options.get("compiled", True) else 100, **options))
        rates["wall"].append(tanh_wall())
    rate = {kind: statistics.median(values) for kind, values in rates.items()}
    rows = [(f"{kind}: million trial-steps a second", f"{value / 1e6:.2f}") for kind, value in rate.items() if kind != "wall"]
    rows.insert(2, ("`torch.tanh` alone on the same elements: million trial-steps a second", f"{rate['wall'] / 1e6:.2f}"))
    over = statistics.median(a / b for a, b in zip(rates["ours, float32"], rates["wall"], strict=True))
    rows.append(("ours, float32, over `torch.tanh` alone", f"{over:.2f}"))
    rows.append(("ours, float64, over float32", f"{rate['ours, float64'] / rate['ours, float32']:.2f}"))
    with tempfile.TemporaryDirectory() as empty:
        cold, _ = in_a_process(STARTED, TORCHINDUCTOR_CACHE_DIR=empty)
        warm, second = in_a_process(STARTED, TORCHINDUCTOR_CACHE_DIR=empty)
    rows += [("first fit in a process, empty compiler cache: seconds", f"{cold:.1f}"),
             ("first fit in a process, from the disk cache: seconds", f"{warm:.1f}"),
             ("second fit, until it is done (4 epochs): seconds", f"{second:.3f}")]
    slider = statistics.median(timed(lambda: growlib.fit("bessel-j0", trials=64, epochs=4000)) for _ in range(5))
    rows.append(("64 networks for 4000 epochs, as a slider retrains them: seconds", f"{slider:.2f}"))
    memory, longer = in_a_process(LARGE)
    rows += [("10 240 trials, 41 logged epochs: peak memory above the imported baseline, GB", f"{memory:.2f}"),
             ("time for 10 240 trials over time for 2560 (4 is linear)", f"{longer:.2f}")]
    return rows + large_sets() + own_table()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--write", action="store_true", help="put what is found into the README")
    write = parser.parse_args().write
    rows = measure()
    kernel = "compiled (TorchInductor, C++)" if growlib.has_compiler() else "eager"
    versions = f"torch {torch.__version__.split('+')[0]}, Python {platform.python_version()}"
    place = f"{os.cpu_count()} cores, {torch.backends.cpu.get_cpu_capability()}, {versions}"
    table = "\n".join([f"Kernel: {kernel}; {place}; H = 9, 32 points, {TRIALS} trials, N∞ = 5.", "", "| measured | |", "|---|---|",
                       *(f"| {what} | {value} |" for what, value in rows)])
    print(table)
    if write:
        sys.path.insert(0, str(ROOT / "tools"))
        from readme import between

        path = ROOT / "README.md"
        path.write_text(between(path.read_text(), "speed", f"\n{table}\n"))


if __name__ == "__main__":
    main()

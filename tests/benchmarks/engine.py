"""What the study engine costs, and what a second worker gains, measured in one run so that the ratios hold on a noisy machine.

    python tests/benchmarks/engine.py [--write]        (--write puts the sentence into the README)

One worker and two take turns on the same study of cells of half a minute, each time with an empty store of their own.
The engine's overhead is what a cell takes beyond the training in it: the store, the queue, and writing.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROUNDS, CELLS = 2, 6
ONE = """
import sys, time, growlib
if __name__ == "__main__":
    workers, cells = int(sys.argv[1]), int(sys.argv[2])
    growlib.CELL_SECONDS = 40
    grid = {"task": "bessel-j0", "coupling": 0.1, "epochs": 20_000, "log_every": 5000, "trials": 4096 * cells}
    began = time.perf_counter()
    frame = growlib.study("engine", grid, workers=workers)
    wall = time.perf_counter() - began
    began = time.perf_counter()
    growlib.study("engine", grid, workers=workers)
    again, cells = time.perf_counter() - began, growlib._cells(growlib._settings(grid))
    fit, inside = growlib.fit, []

    def timed(*arguments, **settings):
        began = time.perf_counter()
        run = fit(*arguments, **settings)
        inside.append(time.perf_counter() - began)
        return run

    growlib.fit, began = timed, time.perf_counter()
    growlib._work(cells[0], growlib.HOME / "one.parquet")
    print(wall, frame["seconds"].sum(), again, len(cells), time.perf_counter() - began - inside[0], inside[0])
"""


def study(workers: int) -> tuple[float, ...]:
    """Seconds of a study, of the training in it, of the same study when it is there; its cells; seconds of one cell beyond `fit`, and in it."""
    with tempfile.TemporaryDirectory() as home:
        script = Path(home) / "study.py"
        script.write_text(ONE)
        environment = os.environ | {"GROWLIB_HOME": home, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
        done = subprocess.run([sys.executable, script, str(workers), str(CELLS)], capture_output=True, text=True, check=True, env=environment)
    return tuple(map(float, done.stdout.split()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--write", action="store_true", help="put what is found into the README")
    write = parser.parse_args().write
    began = time.perf_counter()
    found = {workers: [] for workers in (1, 2)}
    for _ in range(ROUNDS):
        for workers, runs in found.items():
            runs.append(study(workers))
            wall, training, _, cells, *_ = runs[-1]
            print(f"{workers} workers: {wall:.1f} s for {cells:.0f} cells, of which {training / cells:.1f} s each are training", flush=True)
    one, two = (min(wall for wall, *_ in runs) for runs in found.values())
    wall, training, again, cells, beyond, inside = min(found[1])
    sentence = (f"a second\nworker makes a study {one / two:.2f} times as fast, a cell costs {beyond:.2f} s beyond its {inside:.0f} s of training, "
                f"and a cell that is there\nalready {1000 * again / cells:.0f} ms")
    print(sentence)
    print(f"beyond the training, the study: {wall - training:.1f} s, most of it the start of a worker, once")
    print(f"({time.perf_counter() - began:.0f} s)")
    if write:
        sys.path.insert(0, str(ROOT / "tools"))
        from readme import between

        path = ROOT / "README.md"
        path.write_text(between(path.read_text(), "engine", sentence))


if __name__ == "__main__":
    main()

"""Time the same fits by the growlib that stands first on the path; bench.py starts this script.

    python beside.py SHARE

Each line of standard input is the name of one of the `FITS`. The answer is a line with the seconds
that its epochs take, or SHARE of them. Two of these processes, with the growlib of one commit each,
take turns. So the script may use only what `growlib.fit` has had from the beginning.
"""

import functools
import sys
import time
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

import growlib


@dataclass(frozen=True)
class Fit:
    """What is timed: so many epochs of a fit, or the whole fit with what it costs besides."""

    task: str
    epochs: int
    trials: int
    growth: growlib.Growth
    options: dict = field(default_factory=dict)
    whole: bool = False

    def seconds(self, share: float) -> float:
        """Return the seconds that a share of the epochs takes."""
        epochs = max(1, round(share * self.epochs))
        if self.whole:
            return self._seconds_of(epochs)
        # The difference leaves out what a fit costs besides its epochs.
        besides = self._seconds_of(1)
        return self._seconds_of(1 + epochs, log_every=1 + epochs) - besides

    def _seconds_of(self, epochs, **options):
        task = table(100_000) if self.task == "table" else self.task
        began = time.perf_counter()
        growlib.fit(task, self.growth, trials=self.trials, epochs=epochs, **self.options, **options)
        return time.perf_counter() - began


@functools.cache
def table(rows: int) -> growlib.Task:
    """Return the task of a table of 50 columns and a target that a small network can learn."""
    generator = np.random.default_rng(0)
    columns = generator.standard_normal((rows, 50))
    target = np.tanh(columns @ generator.standard_normal(50) / 7)
    frame = pd.DataFrame(columns).assign(y=target)
    if hasattr(growlib, "task_from_frame"):  # before there was a growkit
        return growlib.task_from_frame(frame, "y")
    from growkit import tables

    return tables.task_from_frame(frame, "y")


def all_open(width: int) -> growlib.AuxiliaryWeight:
    """Return a growth of which every neuron is open from the beginning to the end."""
    return growlib.AuxiliaryWeight(start=width, target=width, frozen=True)


GROWN = growlib.AuxiliaryWeight(start=5)  # sizes move around 5, so the sixth neuron opens, too
ADAM = {"optimizer": "adam"}

FITS = {
    "1,024 networks, 6 of 9 neurons": Fit("bessel-j0", 8000, 1024, GROWN),
    "the same in float64": Fit("bessel-j0", 4000, 1024, GROWN, {"dtype": "float64"}),
    "1,024 networks, 9 of 9 neurons, Adam": Fit("bessel-j0", 4000, 1024, all_open(9), ADAM),
    "1,024 networks, 64 of 64 neurons": Fit("bessel-j0", 500, 1024, all_open(64), {"width": 64}),
    "64 networks, the whole fit": Fit("bessel-j0", 4000, 64, growlib.AuxiliaryWeight(), whole=True),
}
for width, epochs in ((10, 800), (64, 200), (256, 50)):
    FITS[f"2 networks on 26,214 points, width {width}, Adam"] = Fit(
        "bessel-grid", epochs, 2, growlib.ControllerMask(), ADAM | {"width": width}
    )
for width, epochs in ((10, 400), (64, 100)):
    FITS[f"2 networks on spirals of 26,212 points, width {width}, Adam"] = Fit(
        "spirals", epochs, 2, growlib.ControllerMask(), ADAM | {"width": width}
    )
FITS["2 networks on a table of 100,000 × 50, width 256, batch 1,024, Adam"] = Fit(
    "table", 5, 2, growlib.ControllerMask(), ADAM | {"width": 256, "batch": 1024}
)


def main() -> None:
    """Answer every line of standard input with seconds."""
    share = float(sys.argv[1])
    for line in sys.stdin:
        print(FITS[line.strip()].seconds(share), flush=True)


if __name__ == "__main__":
    main()

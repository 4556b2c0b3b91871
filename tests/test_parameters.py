"""Every parameter of every notebook at other values, as a person would set it in a batch.

What is refused is tested in test_bad_input.py, without a kernel. Here the notebooks run at the
quick scale: with small values, with values ten times as large, and with odd ones.
"""

import re
import shutil
import subprocess
import sys

import pytest
from conftest import ROOT

sys.path.insert(0, str(ROOT / "tools"))

import notebooks

BOOKS = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))

# A small value, ten times as much, and an odd value.
VALUES = {
    "trials": (2, 20, 7),
    "networks": (1, 10, 7),
    "models": (1, 10, 7),
    "epochs": (3, 30, 37),
    "points": (100, 1000, 137),
    "width": (7, 70, 13),
    "resamples": (100, 1000, 137),
    "seed": (1, 10, 12_345),
    "trial": (1, 10, 2),
    "lr": (1e-4, 1e-3, 0.0137),
    "target_size": (0.5, 5, 2.7),
    "coupling": (0.02, 0.2, 0.37),
}


def run_with(path, values):
    """Return what the driver says when it runs a notebook with these parameters, and its status."""
    command = [sys.executable, "tools/notebooks.py", "--scale", "quick", "--only", path.stem]
    for name, value in values.items():
        command += ["-p", name, str(value)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900)
    changed = {name: str(value) for name, value in values.items()}
    shutil.rmtree(notebooks.result_folders("quick", changed)[0])
    return done.stdout + done.stderr, done.returncode


@pytest.mark.slow
@pytest.mark.parametrize("which", range(3), ids=["small", "ten times", "odd"])
@pytest.mark.parametrize("path", BOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_with_other_parameters(path, which):
    names = notebooks.assigned(notebooks.parameter_cells(path)[0]).keys() - {"scale", "folder"}
    values = {name: VALUES[name][which] for name in sorted(names)}
    said, status = run_with(path, values)
    while refused := re.search(rf"{path.stem}: (\w+) is \S+; it takes ", said):
        assert status
        del values[refused[1]]  # a KeyError says that the sentence names no parameter
        said, status = run_with(path, values)
    assert status == 0, said
    assert len(values) > 0

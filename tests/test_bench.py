"""The benchmark runs, at a scale that measures nothing."""

import contextlib
import dataclasses
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

sys.path.append(str(Path(__file__).parent / "benchmarks"))
import bench

TINY = bench.Scale(
    rounds=1,
    trials=64,
    epochs=80,
    counts=(64, 128),
    widths=(4, 8),
    points=(16, 32),
    lengths=(5, 10),
    large=(),
    rows=400,
    own=((4, 64), ((4, 4), 64)),
    starts=False,
)


def test_the_page_is_written_with_its_plots_and_no_empty_cell(tmp_path, monkeypatch):
    monkeypatch.setattr(bench, "JAX", tmp_path / "none")
    monkeypatch.setattr(bench, "beside", lambda scale: f"table beside {scale.base}")
    passages = bench.page(dataclasses.replace(TINY, base="abc"), tmp_path)

    text = (tmp_path / "benchmarks.md").read_text()
    sentence = r"On two cores `fit` trains \d+\.\d million networks .*, \d+ times as many as "
    assert re.match(sentence, passages["speed"])
    assert "nan" not in text
    for shown in (
        "growlib.fit, float64",
        "| JAX | not measured",
        "| neurons, all open | 4 to 8 |",
        "| 4 and 4 | 64 |",
        "torch 2.",
        "kernel: numba 0.",
        "table beside abc",
    ):
        assert shown in text
    assert {path.name for path in tmp_path.iterdir()} == {
        "benchmarks.md",
        "benchmarks_cost.png",
        "benchmarks_cost.svg",
        "benchmarks_steps.png",
        "benchmarks_steps.svg",
    }


# ------------------------------------------------------------------------------------- the C++ loop

needs_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="there is no C++ compiler")


@needs_compiler
@pytest.mark.parametrize("start", [0.0, 5.0])
def test_the_loop_in_cpp_trains_the_networks_of_growlib(tmp_path, start):
    """Sizes that start at 5 move around 5, so that a sixth neuron opens."""
    program = bench.compiled_loop(tmp_path)
    assert bench.rate_of_loop(program, trials=48, epochs=400, start=start) > 0
    growth = bench.growlib.AuxiliaryWeight(start=start)
    run = bench.growlib.fit("bessel-j0", growth, trials=48, epochs=400, keep_weights=True)
    rows = len(run.weights)
    trained = np.fromfile(tmp_path / "loop.networks", np.float32).reshape(-1, 48)[:rows]
    np.testing.assert_allclose(trained, run.weights, atol=1e-4)
    assert np.abs(run.weights - run.snapshots[0]).max() > 0.1
    if start:
        assert run.finals["size"].max() > start


def test_without_a_cpp_compiler_its_row_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(bench, "JAX", tmp_path / "none")
    table, rates = bench.trial_steps(dataclasses.replace(TINY, trials=16, epochs=1))
    assert f"| {bench.LOOP} | not measured (no C++ compiler) |" in table
    assert bench.LOOP not in rates


# --------------------------------------------------------------------------------- beside a commit


def test_two_versions_take_turns_in_the_same_fits(monkeypatch):
    monkeypatch.setattr(bench, "checkout", lambda commit: contextlib.nullcontext(bench.ROOT))
    names = ["64 networks, the whole fit", "2 networks on 26,214 points, width 10, Adam"]
    monkeypatch.setattr(bench, "FITS", {name: bench.FITS[name] for name in names})
    table = bench.beside(dataclasses.replace(TINY, base="abc", share=0.01))
    heads, _, *rows = table.splitlines()
    assert "| commit abc: s | this version: s | faster by |" in heads
    shown = [row.split(" | ")[:2] for row in rows]
    assert shown == [[f"| {names[0]}", "40"], [f"| {names[1]}", "8"]]
    assert "nan" not in table


@pytest.mark.skipif(not (bench.ROOT / ".git").exists(), reason="this is no checkout")
def test_a_commit_is_checked_out_into_a_folder_of_its_own():
    with bench.checkout("HEAD") as folder:
        assert (Path(folder) / "growlib.py").exists()
    assert not Path(folder).exists()


# ------------------------------------------------------------------------------------- single parts


def test_an_exponent_is_the_slope_of_the_upper_half():
    seconds = pd.Series({1: 7.0, 2: 7.0, 4: 16.0, 8: 64.0})
    assert bench.exponent(seconds) == pytest.approx(2)


def test_the_last_time_of_a_command_counts_and_a_missing_one_is_said(tmp_path):
    path = tmp_path / "timings.csv"
    path.write_text("test,2030-01-01,60\ntest,2030-01-02,90\n")
    assert bench.commands(path).splitlines()[2:] == [
        "| `make figures` | not measured |",
        "| `make test` | 1.5, 2030-01-02 |",
    ]


def test_a_process_tells_its_seconds_and_its_megabytes():
    seconds, megabytes = bench.in_a_process(bench.IMPORT_AND_PEAK.format(work=""))
    assert seconds > 0
    assert megabytes > 50


@pytest.mark.slow
def test_memory_start_and_study_engine_are_measured():
    scale = dataclasses.replace(TINY, many=128, cells=1, cell_seconds=1)
    assert len(bench.memory(scale).splitlines()) == 2 + 4
    assert len(bench.starts(scale).splitlines()) == 2 + 7
    assert " times as soon" in bench.engine(scale)

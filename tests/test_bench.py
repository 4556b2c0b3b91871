"""The benchmark runs, at a scale that measures nothing."""

import dataclasses
import sys
from pathlib import Path

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


@pytest.fixture
def without_compiler(monkeypatch):
    fit = bench.growlib.fit

    def eager_fit(*arguments, **options):
        return fit(*arguments, **options | {"compiled": False})

    monkeypatch.setattr(bench.growlib, "fit", eager_fit)


def test_the_page_is_written_with_its_plots_and_no_empty_cell(
    tmp_path, monkeypatch, without_compiler
):
    monkeypatch.setattr(bench, "JAX", tmp_path / "none")
    passages = bench.page(TINY, tmp_path)

    text = (tmp_path / "benchmarks.md").read_text()
    assert passages["speed"].splitlines()[-1] in text
    assert "nan" not in text
    for shown in (
        "growlib.fit, float64",
        "| JAX | not measured",
        "| neurons, all open | 4 to 8 |",
        "| 4 and 4 | 64 |",
        "torch 2.",
    ):
        assert shown in text
    assert {path.name for path in tmp_path.iterdir()} == {
        "benchmarks.md",
        "benchmarks_cost.png",
        "benchmarks_cost.svg",
        "benchmarks_steps.png",
        "benchmarks_steps.svg",
    }


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
    assert len(bench.starts(scale).splitlines()) == 2 + 5
    assert " times as soon" in bench.engine(scale)

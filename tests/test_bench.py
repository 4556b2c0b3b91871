"""The benchmark's functions run, at a size that measures nothing."""

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


def test_the_page_is_written_with_its_plots_and_no_empty_cell(tmp_path, monkeypatch):
    fit = bench.growlib.fit
    monkeypatch.setattr(
        bench.growlib,
        "fit",
        lambda *arguments, **options: fit(*arguments, **options | {"compiled": False}),
    )
    monkeypatch.setattr(bench, "JAX", tmp_path / "none")
    sentences = bench.page(TINY, tmp_path)
    text = (tmp_path / "benchmarks.md").read_text()
    assert sentences["speed"].splitlines()[-1] in text and "nan" not in text
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

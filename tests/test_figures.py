"""Figures: those of growkit.figures and those that notebooks define, checked against their data."""

import time

import matplotlib
import numpy as np
import pandas as pd
import pytest
import torch
from conftest import from_notebook
from PIL import Image

import growlib
from growkit import figures, studies


def one_axes():
    return figures.new_figure()[1][0, 0]


# ---------------------------------------------------------------------------------- growkit.figures


def test_a_mirrored_histogram_shows_every_trial():
    finals = studies.stored("figure-2")
    axes = one_axes()
    figures.plot_mirrored(finals, axes)
    above, below = (patch.get_data().values for patch in axes.patches)
    assert above.sum() == 200
    assert below.sum() == -200
    lines = [collection.get_segments()[0][0][0] for collection in axes.collections]
    means = finals.groupby("arm")["test_loss"].mean()
    assert lines == pytest.approx([means["growing"], means["grown"]])


def test_a_history_shows_the_median_over_the_trials():
    history = studies.stored("figure-2", "history").query("arm == 'static'")
    axes = one_axes()
    figures.plot_histories(history, axes)
    median = history.groupby("epoch")["test_loss"].median()
    np.testing.assert_allclose(axes.lines[0].get_ydata(), median)
    np.testing.assert_allclose(axes.lines[0].get_xdata(), median.index)


def test_a_history_shows_the_middle_half_of_the_trials():
    history = studies.stored("figure-2", "history").query("arm == 'static'")
    axes = one_axes()
    figures.plot_histories(history, axes)
    corners = axes.collections[0].get_paths()[0].vertices
    losses = history.groupby("epoch")["test_loss"]
    for epoch in (losses.median().index[0], losses.median().index[-1]):
        heights = corners[corners[:, 0] == epoch, 1]
        limits = losses.quantile([0.25, 0.75]).loc[epoch]
        assert [heights.min(), heights.max()] == pytest.approx(limits.tolist())


def test_the_same_results_give_the_same_bytes_of_a_figure(tmp_path):
    for folder in ("one", "two"):
        figure, axes = figures.new_figure()
        figures.plot_histories(studies.stored("figure-2", "history"), axes[0, 0])
        figures.save_figure(figure, "same", folder=str(tmp_path / folder))
        time.sleep(1.1)  # a date in the file would differ
    for name in ("same.png", "same.svg"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_without_a_folder_a_figure_is_written_nowhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(growlib, "HOME", tmp_path)
    figures.save_figure(figures.new_figure()[0], "nowhere", "", "n = 3")
    assert not list(tmp_path.iterdir())


def test_the_note_of_a_figure_stands_below_its_axes():
    figure, axes = figures.new_figure(1, 2)
    figures.save_figure(figure, "noted", note="quick, n = 80")
    figure.draw_without_rendering()
    note = figure.legends[0].get_title()
    assert note.get_text() == "quick, n = 80"
    assert note.get_fontsize() == 8
    for each in axes.flat:
        assert not note.get_window_extent().overlaps(each.get_tightbbox())


@pytest.mark.parametrize("columns, inches", [(1, 4.8), (2, 7.2), (3, 7.2)])
def test_figures_are_as_wide_as_a_page_and_their_type_is_at_least_8_points(columns, inches):
    figure, axes = figures.new_figure(1, columns)
    axes[0, 0].plot([1, 2], label="line")
    axes[0, 0].set(title="Title", xlabel="x")
    axes[0, 0].legend()
    figure.draw_without_rendering()
    assert figure.get_figwidth() == pytest.approx(inches)
    assert min(text.get_fontsize() for text in figure.findobj(matplotlib.text.Text)) >= 8


# ----------------------------------------------------------------------------- plots of the results


def test_a_ratio_is_drawn_with_its_interval_and_filled_if_that_leaves_out_1():
    compared = pd.DataFrame(
        {
            "case": ["a", "b"],
            "condition": "one",
            "estimate": [0.5, 0.9],
            "low": [0.4, 0.8],
            "high": [0.6, 1.1],
        }
    )
    axes = one_axes()
    figures.plot_ratios(compared, axes, ["a", "b"], {"one": ("o", "black")})
    drawn = [line for line in axes.lines if len(line.get_xdata()) > 0]
    intervals = [list(line.get_xdata()) for line in drawn]
    assert [0.4, 0.6] in intervals
    assert [0.8, 1.1] in intervals
    marks = {line.get_xdata()[0]: line for line in drawn if line.get_marker() == "o"}
    assert marks[0.5].get_markerfacecolor() == "black"
    assert marks[0.9].get_markerfacecolor() == "white"
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b"]


def test_an_estimate_without_an_interval_is_an_open_mark():
    compared = pd.DataFrame(
        {"case": ["a"], "condition": "one", "estimate": [0.5], "low": np.nan, "high": np.nan}
    )
    axes = one_axes()
    figures.plot_ratios(compared, axes, ["a"], {"one": ("o", "black")})
    drawn = [line for line in axes.lines if len(line.get_xdata()) > 0]
    (mark,) = [line for line in drawn if line.get_marker() == "o"]
    assert mark.get_markerfacecolor() == "white"


def test_a_cumulative_line_passes_one_half_at_the_median():
    finals = studies.stored("figure-2")
    axes = one_axes()
    figures.plot_cumulative(finals, axes)
    lines = {line.get_label(): line for line in axes.lines}
    for arm, rows in finals.groupby("arm"):
        at_half = np.interp(0.5, lines[arm].get_ydata(), np.log(lines[arm].get_xdata()))
        assert np.exp(at_half) == pytest.approx(rows["test_loss"].median(), rel=0.05)


def test_a_network_is_drawn_with_a_line_a_weight_and_a_circle_a_bias(ensemble):
    axes = one_axes()
    theta = ensemble.theta(40)[:, 0]
    figures.plot_network(theta, ensemble.growth, 9, axes)
    lines, circles = axes.collections
    size, (hidden, output) = growlib.unpack(theta[:, None], growlib.layer_shapes(9))
    biases, from_size, from_x = hidden[:, :, 0]
    weights = torch.cat([from_x, from_size, output[1:, 0, 0]])
    assert len(lines.get_segments()) == 3 * 9
    np.testing.assert_allclose(
        sorted(lines.get_linewidths()), sorted(0.4 + 1.8 * weights.abs()), rtol=1e-6
    )
    assert len(circles.get_offsets()) == 9 + 3
    np.testing.assert_allclose(circles.get_linewidths()[:9], 0.4 + 1.8 * biases.abs(), rtol=1e-6)
    assert f"N = {size.item():.2f}" in axes.get_title()


def test_an_animation_is_written_only_where_a_folder_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pictures = []
    for height in (1, 2, 3):
        figure, axes = figures.new_figure()
        axes[0, 0].plot([0, height])
        pictures.append(figure)
    figures.save_animation(pictures, "moving.gif")
    assert not list(tmp_path.iterdir())
    shown = figures.save_animation(pictures, "moving.gif", str(tmp_path))
    assert (tmp_path / "moving.gif").read_bytes() == shown.data
    with Image.open(tmp_path / "moving.gif") as animation:
        assert animation.n_frames == 3


# ---------------------------------------------------------------------------- defined by a notebook


def test_the_error_of_a_fit_is_its_difference_from_the_target():
    task = growlib.task("cubic-1")
    curves = studies.stored("figure-3", "curves").query("task == 'cubic-1' and trial == 2")
    axes = one_axes()
    plot_differences = from_notebook("02_regression", "plot_differences")
    plot_differences(curves, task, axes)
    growing = curves.query("arm == 'growing'")
    lines = {line.get_label(): line for line in axes.lines}
    difference = growing["prediction"] - task.target(growing["x"].to_numpy())
    np.testing.assert_allclose(lines["growing"].get_ydata(), difference, atol=1e-6)

"""Figures: those of growkit.figures and those that notebooks define, checked against their data."""

import time

import matplotlib
import numpy as np
import pytest
import torch
from conftest import from_notebook
from matplotlib.ticker import LogLocator, NullLocator

import growlib
from growkit import figures, statistics, studies


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


# ---------------------------------------------------------------------------- defined by a notebook


def test_a_comparison_figure_shows_the_table():
    finals = studies.stored("figure-2")
    table = statistics.compare(finals, resamples=200)
    axes = one_axes()
    plot_comparison = from_notebook(
        "02_regression", "plot_comparison", LogLocator=LogLocator, NullLocator=NullLocator
    )
    plot_comparison(table.assign(condition=table["task"]), axes, "ratio of medians")
    estimate = table.set_index("measure").loc["ratio of medians", "estimate"]
    assert axes.containers[0].lines[0].get_xdata()[0] == estimate
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels == finals["task"].unique().tolist()


def test_a_network_is_drawn_with_a_line_a_weight_and_a_circle_a_bias(ensemble):
    plot_network = from_notebook("01_growth", "plot_network", torch=torch, mpl=matplotlib)
    axes = one_axes()
    theta = ensemble.theta(40)[:, 0]
    plot_network(theta, ensemble.growth, 9, axes)
    lines, circles = axes.collections
    size, (hidden, output) = growlib.unpack(theta[:, None], growlib.layer_shapes(9))
    biases, from_size, from_x = hidden[:, :, 0]
    weights = torch.cat([from_x, from_size, output[1:, 0, 0]])
    assert len(lines.get_segments()) == 3 * 9
    np.testing.assert_allclose(lines.get_linewidths(), 0.4 + 1.8 * weights.abs(), rtol=1e-6)
    assert len(circles.get_offsets()) == 9 + 3
    np.testing.assert_allclose(circles.get_linewidths()[:9], 0.4 + 1.8 * biases.abs(), rtol=1e-6)
    assert axes.get_title() == f"N = {size.item():.2f}"


def test_a_fit_is_drawn_with_its_predictions_and_residuals():
    task = growlib.task("cubic-1")
    curves = studies.stored("figure-3", "curves").query("task == 'cubic-1' and trial == 2")
    axes = one_axes()
    plot_fit = from_notebook("02_regression", "plot_fit")
    plot_fit(curves, task, axes, ([0.0], [0.0]))

    growing = curves.query("arm == 'growing'")
    lines = {line.get_label(): line for line in axes.lines}
    np.testing.assert_allclose(lines["growing"].get_ydata(), growing["prediction"])
    residual = growing["prediction"] - task.target(growing["x"].to_numpy())
    inset = axes.child_axes[0]
    np.testing.assert_allclose(inset.lines[0].get_ydata(), residual, atol=1e-6)

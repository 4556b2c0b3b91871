"""How results change with the width, the learning rate and the number of classes.

Open this module for final results against one of these on logarithmic axes, with the straight line
through their means, and for the slopes of such lines.
"""

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from growkit.figures.arms import plot_histories
from growkit.figures.ratios import plot_estimates
from growkit.figures.style import (
    COLOURS,
    DASHES,
    PAGE,
    _require_one_axes,
    _round_ticks,
    new_figure,
    plain_ticks,
)
from growlib import _frame


def plot_scaling(finals: pd.DataFrame, axes: Axes, value: str, along: str = "width") -> Axes:
    """Plot every trial, the means and the straight line through them, and return the axes.

    Both axes are logarithmic, and the line is the least-squares line through the logarithms of the
    means. With fewer than three values along x there is no line.

    Parameters
    ----------
    finals : DataFrame
        Final results of one series, in one arm or several, in which only `along` varies.
    axes : Axes
        Axes to plot into.
    value, along : str
        Columns for the vertical and for the horizontal axis, positive.

    Returns
    -------
    Axes
        The same axes.

    Raises
    ------
    ValueError
        If the frame lacks a column, or `axes` is not a single Axes.
    """
    _require_one_axes(axes)
    _frame("finals", finals, "arm", value, along)
    for arm, rows in finals.groupby("arm"):
        means = rows.groupby(along)[value].mean()
        marker = "o" if arm == "growing" else "s"
        axes.plot(rows[along], rows[value], ".", ms=3, alpha=0.4, color=COLOURS[arm])
        axes.plot(means, marker, ms=5, color=COLOURS[arm], label=arm)
        if len(means) < 3:
            continue
        x = np.log10(means.index.to_numpy(dtype=float))
        slope, level = np.polyfit(x, np.log10(means), 1)
        line = 10 ** (level + slope * x)
        label = f"slope {slope:.2f}"
        axes.plot(means.index, line, ls=DASHES[arm], lw=1, color=COLOURS[arm], label=label)
    axes.set(xscale="log", yscale="log")
    return axes


def _plot_estimates_of_arms(rows, axes, x):
    """Plot a series of estimates for each arm; rows about no single arm are left out."""
    _frame("rows", rows, "arm")
    for arm, aside in (("growing", 0.96), ("grown", 1.0), ("static", 1.04)):
        of_arm = rows[rows["arm"] == arm]
        if of_arm.empty:
            continue
        marker = "o" if arm == "growing" else "s"
        fmt = marker + DASHES[arm]
        plot_estimates(of_arm, axes, x, aside, fmt=fmt, color=COLOURS[arm], label=arm)


# ----------------------------------------------------------------------------------- over the width


def draw_setting(
    course: pd.DataFrame, ends: pd.DataFrame, width: int, course_of: str, end: str
) -> Figure:
    """Return the course of networks of one width, beside the ends of those of all widths.

    Parameters
    ----------
    course : DataFrame
        The history of both arms at one width.
    ends : DataFrame
        Final results at all widths, as `plot_scaling` takes them.
    width : int
        The width that a thin line marks among the ends.
    course_of, end : str
        The columns that the two panels show.

    Raises
    ------
    ValueError
        If a frame lacks a column.
    """
    figure, [[left, right]] = new_figure(1, 2, height=3)
    plot_histories(course, left, course_of)
    plot_scaling(ends, right, end)
    right.axvline(width, color="black", lw=0.5)
    plain_ticks(right.xaxis, np.unique(ends["width"]))
    right.autoscale_view()
    _round_ticks(right.yaxis)
    right.set(xlabel="width (neurons)", ylabel=f"final {end.replace('_', ' ')} (dimensionless)")
    right.legend(frameon=False)
    return figure


def draw_power_law(
    finals: pd.DataFrame, off: pd.DataFrame, values: Mapping[str, str], width: str = "width"
) -> Figure:
    """Return loss against width for each value, and how far the means are off their line.

    Parameters
    ----------
    finals : DataFrame
        Final results of one series, as `plot_scaling` takes them.
    off : DataFrame
        The factor between mean and line, as `plot_estimates` takes it, with the column `arm`.
    values : mapping
        From the columns of the losses to the titles of their panels.
    width : str
        Column along x.

    Raises
    ------
    ValueError
        If a frame lacks a column.
    """
    _frame("finals", finals, "arm", width, *values)
    widths = np.unique(finals[width])
    few_ticks = widths[:: max(1, len(widths) // 4)]
    figure, axes = new_figure(1, len(values) + 1, height=3)
    *panels, last = axes.flat
    losses = finals[list(values)]
    # Above the points there is room for the legend.
    limits = (losses.min(axis=None) / 2, losses.max(axis=None) * 100)
    for panel, (value, title) in zip(panels, values.items(), strict=True):
        plot_scaling(finals, panel, value, width)
        panel.set(title=title, ylabel="final test loss", ylim=limits)
        panel.legend(frameon=False, loc="upper right")
    if len(off):
        _plot_estimates_of_arms(off, last, width)
    last.axhline(1, color="black", lw=0.5)
    last.set(title="Total: mean over its line", xscale="log", yscale="log", ylabel="factor")
    plain_ticks(last.yaxis, [0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5])
    for panel in axes.flat:
        plain_ticks(panel.xaxis, few_ticks)
        panel.set_xlabel("width (neurons)")
    return figure


def draw_lead(panels: Mapping[str, Mapping[str, pd.DataFrame]]) -> Figure:
    """Return the ratio of growing to static against the width, a panel for each measure.

    Parameters
    ----------
    panels : mapping
        From the title of each panel to one or two series by name, as `plot_estimates` takes them.
        The second series is open and dotted.

    Raises
    ------
    ValueError
        If a frame lacks a column.
    """
    figure, axes = new_figure(1, len(panels), sharey=True, height=3)
    for panel, (title, series) in zip(axes.flat, panels.items(), strict=True):
        for k, (label, rows) in enumerate(series.items()):
            fmt, face, aside = (("o-", "black", 0.96), ("s:", "white", 1.04))[k]
            style = {"fmt": fmt, "color": "black", "mfc": face, "label": label}
            plot_estimates(rows, panel, "width", aside, **style)
            ticks = rows["width"].unique()
        panel.axhline(1, color="black", lw=0.5)
        panel.set(title=title, xscale="log", yscale="log", xlabel="width (neurons)")
        plain_ticks(panel.xaxis, ticks)
    axes[0, 0].set_ylabel("growing / static (dimensionless)")
    axes[0, 0].legend(frameon=False)
    return figure


def draw_longer(history: pd.DataFrame, mark: int) -> Figure:
    """Return the control value and the task loss at each width over the epochs.

    Parameters
    ----------
    history : DataFrame
        The history of networks of several widths in both arms.
    mark : int
        The epoch that a thin line marks.

    Raises
    ------
    ValueError
        If a frame lacks a column.
    """
    _frame("history", history, "width", "test_task_loss")
    widths = sorted(history["width"].unique())
    figure, axes = new_figure((len(widths) + 2) // 2, 2, height=2.4)
    first, *rest = axes.flat
    plot_histories(history[history["width"] == widths[-1]], first, "size")
    first.set(title="Control value, the same at every width", ylabel="s (dimensionless)")
    losses = history["test_task_loss"]
    for panel, width in zip(rest, widths, strict=False):
        plot_histories(history[history["width"] == width], panel, "test_task_loss")
        panel.set(yscale="log", title=f"{width} neurons", ylim=(losses.min() / 2, losses.max() * 2))
        panel.set_ylabel("test task loss")
        panel.get_legend().remove()  # that of the first panel serves all
    for panel in axes.flat:
        panel.axvline(mark, color="black", lw=0.5)
    for panel in rest[len(widths) :]:
        panel.set_visible(False)
    return figure


def draw_rates(finals: pd.DataFrame, widths: Iterable[int]) -> Figure:
    """Return the final task loss against the learning rate, a panel for each of these widths.

    Parameters
    ----------
    finals : DataFrame
        Final results in both arms at several widths and rates.
    widths : iterable of int
        The widths to show.

    Raises
    ------
    ValueError
        If a frame lacks a column.
    """
    _frame("finals", finals, "arm", "width", "lr", "test_task_loss")
    widths = list(widths)
    figure, axes = new_figure(1, len(widths), sharey=True, height=2.8, width=PAGE)
    for panel, width in zip(axes.flat, widths, strict=True):
        for arm, rows in finals[finals["width"] == width].groupby("arm"):
            marker = "o" if arm == "growing" else "s"
            colour = COLOURS[arm]
            panel.plot(rows["lr"], rows["test_task_loss"], ".", ms=3, alpha=0.4, color=colour)
            medians = rows.groupby("lr")["test_task_loss"].median()
            panel.plot(medians, marker, color=colour, ls=DASHES[arm], label=arm)
        panel.set(xscale="log", yscale="log", title=f"{width} neurons", xlabel="learning rate η")
        plain_ticks(panel.xaxis, np.unique(finals["lr"]))
    axes[0, 0].set_ylabel("final test task loss (dimensionless)")
    axes[0, 0].legend(frameon=False)
    return figure


def draw_best_rates(slopes: pd.DataFrame, tuned: pd.DataFrame) -> Figure:
    """Return the slope at each learning rate, and the ratio with each arm at its best rate.

    Parameters
    ----------
    slopes : DataFrame
        Slopes over the width by learning rate, as `plot_estimates` takes them, with the column
        `arm`.
    tuned : DataFrame
        Ratios by width, as `plot_estimates` takes them.

    Raises
    ------
    ValueError
        If a frame lacks a column.
    """
    figure, [[left, right]] = new_figure(1, 2, height=3)
    if len(slopes):
        _plot_estimates_of_arms(slopes, left, "lr")
        left.legend(frameon=False)
    left.axhline(0, color="black", lw=0.5)
    left.set(title="Slope over the width", xlabel="learning rate η", ylabel="slope", xscale="log")
    plain_ticks(left.xaxis, slopes["lr"].unique())

    plot_estimates(tuned, right, "width", fmt="o-", color="black")
    right.axhline(1, color="black", lw=0.5)
    right.set(title="Each arm at its best rate", xlabel="width (neurons)", xscale="log")
    right.set(ylabel="growing / static", yscale="log")
    plain_ticks(right.xaxis, tuned["width"].unique())
    plain_ticks(right.yaxis, [0.1, 0.2, 0.5, 1, 2, 5, 10])
    return figure


# ----------------------------------------------------------------------- over the number of classes


def draw_accuracy(finals: pd.DataFrame, bounds: pd.DataFrame, widths: Iterable[int]) -> Figure:
    """Return the accuracy against the number of classes, a panel for each of these widths.

    Parameters
    ----------
    finals : DataFrame
        Final results of spirals at one learning rate, in both arms.
    bounds : DataFrame
        The columns chance and ceiling, by the number of classes.
    widths : iterable of int
        The widths to show.

    Raises
    ------
    ValueError
        If a frame lacks a column.
    """
    _frame("finals", finals, "width")
    widths = list(widths)
    figure, axes = new_figure(1, len(widths), height=3, sharey=True, width=PAGE)
    for panel, width in zip(axes.flat, widths, strict=True):
        plot_scaling(finals[finals["width"] == width], panel, "accuracy", "classes")
        panel.plot(bounds["chance"], "k-.", lw=1)
        panel.plot(bounds["ceiling"], "k-", lw=1)
        panel.text(5.2, 0.205, "chance", fontsize=8)
        panel.text(7.2, 0.96, "ceiling", fontsize=8)
        panel.set(title=f"{width} neurons", xlabel="classes K", ylim=(0.08, 1.25))
        plain_ticks(panel.xaxis, bounds.index)
        plain_ticks(panel.yaxis, [0.1, 0.2, 0.3, 0.5, 0.7, 1])
        panel.legend(frameon=False, loc="lower left")
    axes[0, 0].set_ylabel("accuracy on test points")
    return figure


def plot_bounds(bounds: pd.DataFrame, axes: Axes) -> Axes:
    """Plot chance and ceiling as lines across a plot of the accuracy, and return the axes.

    Parameters
    ----------
    bounds : DataFrame
        One row with the columns chance and ceiling.
    axes : Axes
        Axes to plot into, with the accuracy along y; above it there is room for the legend.

    Returns
    -------
    Axes
        The same axes.

    Raises
    ------
    ValueError
        If the frame lacks a column, or `axes` is not a single Axes.
    """
    _require_one_axes(axes)
    _frame("bounds", bounds, "chance", "ceiling")
    axes.axhline(bounds["chance"].iloc[0], color="black", lw=1, ls="-.")
    axes.axhline(bounds["ceiling"].iloc[0], color="black", lw=1)
    axes.set(ylim=(0, 1.4), ylabel="accuracy on test points")
    axes.set_yticks([0, 0.2, 0.4, 0.6, 0.8, 1])
    axes.legend(frameon=False, loc="upper left")
    return axes


def draw_slopes(slopes: pd.DataFrame) -> Figure:
    """Return the slope of the accuracy over the classes against the width, a panel for each rate.

    Parameters
    ----------
    slopes : DataFrame
        Slopes by learning rate and width, as `plot_estimates` takes them, with the column `arm`.

    Raises
    ------
    ValueError
        If a frame lacks a column.
    """
    _frame("slopes", slopes, "lr", "width")
    rates = sorted(slopes["lr"].unique())
    figure, axes = new_figure(1, len(rates), height=3, sharey=True)
    for panel, rate in zip(axes.flat, rates, strict=True):
        rows = slopes[slopes["lr"] == rate]
        _plot_estimates_of_arms(rows, panel, "width")
        panel.axhline(-1, color="black", lw=1, ls="-.")
        panel.text(rows["width"].max(), -0.97, "guessing", fontsize=8, ha="right")
        panel.set(title=f"η = {rate:g}", xscale="log", xlabel="width (neurons)")
        plain_ticks(panel.xaxis, rows["width"].unique())
    least, most = axes[0, 0].get_ylim()
    axes[0, 0].set(ylabel="slope of accuracy over K", ylim=(min(least, -1.1), max(most, 0.05)))
    axes[0, 0].legend(frameon=False)
    return figure

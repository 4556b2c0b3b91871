"""What each arm does over the epochs, how it fits its target, and where it ends.

Open this module for size or loss over the epochs, over the operations spent, or at the end, and for
the fits of one trial. A line or a mark stands for an arm and has its colour.
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from growkit.figures.style import (
    COLOURS,
    _plot_course,
    _require_one_axes,
    _round_ticks,
    line_style,
    new_figure,
)
from growkit.statistics import in_thousands
from growlib import Run, Task, _choice, _frame


def plot_histories(history: pd.DataFrame, axes: Axes, y: str = "test_loss") -> Axes:
    """Plot a column against the epoch, with a line for each arm, and return the axes.

    The line is the median over the trials, and the band around it reaches from their first to
    their third quartile. Each arm has its colour and its dash.

    Parameters
    ----------
    history : DataFrame
        Rows of `Run.history` for one setting, in one arm or several.
    axes : Axes
        Axes to plot into.
    y : str
        Column to plot.

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
    _frame("history", history, "arm", "epoch", "trial")
    _choice("y", y, history.select_dtypes("number").columns)

    for arm, rows in history.groupby("arm"):
        values = rows.pivot(index="epoch", columns="trial", values=y)  # (epochs, trials)
        first_quartile, third_quartile = values.quantile([0.25, 0.75], axis=1).to_numpy()
        label = f"{arm}, median of {in_thousands(values.shape[1])}"
        middle = values.median(axis=1)
        _plot_band(axes, arm, values.index, middle, first_quartile, third_quartile, label)

    unit = "" if y in ("size", "active_width") else " (dimensionless)"
    axes.set(xlabel="epoch", ylabel=f"{y.replace('_', ' ')}{unit}")
    axes.legend(frameon=False, fontsize=8)
    return axes


def draw_arms(history: pd.DataFrame, title: str) -> Figure:
    """Return size and test task loss of several arms over the epochs, beside each other.

    Parameters
    ----------
    history : DataFrame
        Rows of `Run.history` for one setting, as `plot_histories` takes them.
    title : str
        What the networks learn.

    Raises
    ------
    ValueError
        If the frame lacks a column.
    """
    figure, [[left, right]] = new_figure(1, 2)
    plot_histories(history, left, "size")
    left.set(title=title, ylabel="size N (neurons)")
    plot_histories(history, right, "test_task_loss")
    right.set(title="on the test rows", yscale="log")
    right.get_legend().remove()  # the left one serves both
    right.autoscale_view()
    _round_ticks(right.yaxis)
    return figure


def plot_against_operations(history: pd.DataFrame, axes: Axes, y: str = "test_task_loss") -> Axes:
    """Plot a loss against the operations spent, a line for each arm, and return the axes.

    The line is the median over the trials, and the band around it reaches from their first to
    their third quartile. The operations are the mean over the trials, at each logged epoch.

    Parameters
    ----------
    history : DataFrame
        Rows of `Run.history` for one setting, in one arm or several.
    axes : Axes
        Axes to plot into.
    y : str
        Column to plot, dimensionless and positive.

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
    _frame("history", history, "arm", "epoch", "flops")
    _choice("y", y, history.select_dtypes("number").columns)
    for arm, rows in history.groupby("arm"):
        spread = rows.groupby("epoch")[y].quantile([0.25, 0.5, 0.75]).unstack()
        spent = rows.groupby("epoch")["flops"].mean() / 1e6
        _plot_band(axes, arm, spent, spread[0.5], spread[0.25], spread[0.75], arm)
    axes.set(yscale="log", xlabel="million operations a network")
    return axes


def plot_bands(rows: pd.DataFrame, axes: Axes, x: str = "epoch") -> Axes:
    """Plot estimates as a line and their intervals as a band, an arm a colour, and return the axes.

    Parameters
    ----------
    rows : DataFrame
        Rows with the columns `arm`, `estimate`, `low` and `high`. Where `low` is NaN there is no
        band.
    axes : Axes
        Axes to plot into.
    x : str
        Column along x.

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
    _frame("rows", rows, x, "arm", "estimate", "low", "high")
    for arm, part in rows.groupby("arm"):
        part = part.sort_values(x)
        _plot_band(axes, arm, part[x], part["estimate"], part["low"], part["high"], arm)
    return axes


def _plot_band(axes, arm, x, middle, low, high, label):
    """Plot the line of an arm in the middle of its band."""
    axes.fill_between(x, low, high, color=COLOURS[arm], alpha=0.15, lw=0)
    axes.plot(x, middle, label=label, **line_style(arm))


def plot_arm_levels(levels: pd.DataFrame, axes: Axes, digits: str = ".3f") -> Axes:
    """Plot an estimate with its interval for each arm, with the number, and return the axes.

    Parameters
    ----------
    levels : DataFrame
        A row for each arm, named by the index, from top to bottom, with the columns `estimate`,
        `low` and `high`, as `growkit.statistics.over_trials` gives them.
    axes : Axes
        Axes to plot into; the values run along x, from 0.
    digits : str
        How the numbers are written, as in an f-string.

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
    _frame("levels", levels, "estimate", "low", "high")
    for place, (arm, row) in enumerate(levels.iterrows()):
        axes.plot([row["low"], row["high"]], [place, place], color=COLOURS[arm], lw=3)
        axes.plot(row["estimate"], place, "o" if arm == "growing" else "s", color=COLOURS[arm])
        axes.annotate(
            f"{row['estimate']:{digits}}",
            (row["estimate"], place),
            xytext=(12, 0),
            textcoords="offset points",
            va="center",
        )
    ends = levels[["estimate", "high"]].to_numpy(dtype=float)
    axes.set(xlim=(0, 1.35 * np.nanmax(ends)), ylim=(len(levels) - 0.5, -0.5))
    axes.set_yticks(range(len(levels)), levels.index)
    return axes


# --------------------------------------------------------------------------------------------- fits


def plot_fit_errors(curves: pd.DataFrame, task: Task, axes: Axes) -> Axes:
    """Plot by how much the prediction of each arm differs from the target, and return the axes.

    Where all arms predict nearly the same, every line shows: static is the widest and lies below,
    growing is narrower, and the dashes of grown lie on top.

    Parameters
    ----------
    curves : DataFrame
        Predictions of one trial, with the columns arm, x and prediction.
    task : Task
        What the networks learn, a known curve.
    axes : Axes
        Axes to plot into.

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
    _frame("curves", curves, "arm", "x", "prediction")
    widths = {"static": 8, "growing": 3.5, "grown": 1.5}  # points
    for layer, (arm, width) in enumerate(widths.items()):
        rows = curves[curves["arm"] == arm]
        error = rows["prediction"] - task.target(rows["x"].to_numpy())
        style = line_style(arm) | {"lw": width, "zorder": 2 + layer / 10}
        if arm == "static":
            style |= {"ls": "-", "alpha": 0.4}
        axes.plot(rows["x"], error, label=arm, **style)
    axes.axhline(0, color="black", lw=0.8)
    axes.set(xlabel="x (dimensionless)", ylabel="ŷ − target (dimensionless)")
    return axes


def draw_fits(run: Run, epoch: int, trial: int = 0) -> Figure:
    """Return a picture of the fits of one trial at one epoch, and of its test losses up to then.

    Parameters
    ----------
    run : Run
        Networks of one input whose task is a known curve, in several arms, fitted with
        keep_weights=True.
    epoch : int
        A logged epoch.
    trial : int
        A trial of the run.

    Raises
    ------
    ValueError
        If the weights at that epoch were not kept.
    """
    figure, [[left, right]] = new_figure(1, 2, height=2.8)
    figure.set_layout_engine("none")  # the places are given, so that drawing takes half the time
    left.set_position((0.09, 0.16, 0.38, 0.73))
    right.set_position((0.6, 0.16, 0.38, 0.73))

    line = np.linspace(-1, 1, 201)
    predictions = run.predict(line, epoch)[:, :, 0]  # (networks, points)
    target = run.task.target(line)
    x, y = run.task.draw(run.settings["seed"], [trial])  # (1, P, 1), (P, 1)
    train = slice(run.task.train_points)
    left.plot(x[0, train, 0], y[train, 0], "k.", ms=5, label="training points")
    left.plot(line, target, color="black", lw=0.8, label="target")
    for place in np.flatnonzero(run.networks["trial"] == trial):
        left.plot(line, predictions[place], **line_style(run.networks["arm"].iloc[place]))
    # The same limits at every epoch, so that the curves alone move.
    left.set(xlim=(-1.05, 1.05), ylim=(target.min() - 0.4, target.max() + 0.7), xticks=[-1, 0, 1])
    left.set(xlabel="x (dimensionless)", ylabel="ŷ (dimensionless)")
    left.set_title(f"Trial {trial}, epoch {in_thousands(epoch)}")
    left.legend(frameon=False, loc="upper right", ncols=2)

    _plot_course(run.history[run.history["trial"] == trial], "test_task_loss", epoch, right)
    right.set(yscale="log", ylabel="test task loss (dimensionless)", title="Its test task loss")
    right.legend(frameon=False, loc="upper right")
    return figure

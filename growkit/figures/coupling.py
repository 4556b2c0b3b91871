"""What a sweep of the size coupling λ shows: heat maps, and all networks at one λ.

Open this module for a map over λ and the number of epochs, or for the picture that a slider over λ
moves.
"""

from collections.abc import Mapping
from typing import NamedTuple

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from growkit.figures.style import COLOURS, RATIOS, _require_one_axes, line_style, new_figure
from growkit.statistics import in_thousands
from growlib import _require

# ---------------------------------------------------------------------------------------- heat maps


def plot_map(table: pd.DataFrame, axes: Axes, low: float, high: float, ratio: bool = False):
    """Plot a table of positive values as a heat map over two logarithmic axes.

    Parameters
    ----------
    table : DataFrame
        Values, dimensionless. The index runs along x and the columns up y; both are positive, in
        rising order and about evenly spaced in the logarithm.
    axes : Axes
        Axes to plot into.
    low, high : float
        Ends of the colour scale, which is logarithmic; values beyond have the colour of the end.
    ratio : bool
        Whether the values are ratios, growing over grown. Then blue is below 1; orange and hatched
        is above 1, and a black line runs between them. Otherwise a darker colour is a lower value,
        and white lines run where the value is a power of ten.

    Returns
    -------
    QuadMesh
        The map, for `Figure.colorbar`.

    Raises
    ------
    ValueError
        If `axes` is not a single Axes.
    """
    _require_one_axes(axes)
    x = table.index.to_numpy(dtype=float)
    y = table.columns.to_numpy(dtype=float)
    colours = RATIOS if ratio else "viridis"
    mesh = axes.pcolormesh(
        _edges(x), _edges(y), table.T, norm=LogNorm(low, high), cmap=colours, rasterized=True
    )
    axes.set(xscale="log", yscale="log")
    # Lines and hatches tell high from low in grey, too.
    if ratio:
        _mark_above_1(x, y, table, axes)
    elif len(y) > 1:
        powers = 10.0 ** np.arange(np.ceil(np.log10(low)), np.log10(high))
        _plot_levels(x, y, table.T, powers, axes, color="white")
    return mesh


def _mark_above_1(x, y, table, axes):
    """Hatch the cells of a map whose value is above 1, and draw a line around them."""
    y = np.repeat(_edges(y), 2)[1:-1]  # both edges of each cell
    values = np.repeat(table.T.to_numpy(), 2, axis=0)
    with mpl.rc_context({"hatch.linewidth": 0.4}):
        axes.contourf(x, y, values, [1, np.inf], colors="none", hatches=["///"])
    _plot_levels(x, y, values, [1], axes, color="black")


def _plot_levels(x, y, values, levels, axes, color):
    """Draw lines where values are at these levels; matplotlib warns where none of them is met."""
    met = [level for level in levels if np.nanmin(values) < level < np.nanmax(values)]
    if met:
        axes.contour(x, y, values, met, colors=[color], linewidths=0.9)


def _edges(centres):
    """The edges of cells around these centres, evenly spaced in the logarithm."""
    logs = np.log(centres)
    if len(logs) == 1:
        return np.exp([logs[0] - 0.5, logs[0] + 0.5])
    between = (logs[1:] + logs[:-1]) / 2
    first = logs[0] - (between[0] - logs[0])
    last = logs[-1] + (logs[-1] - between[-1])
    return np.exp([first, *between, last])


# -------------------------------------------------------------------------------------------- one λ


def draw_coupling(
    losses: NamedTuple, smooth: Mapping[str, pd.DataFrame], coupling: float, epochs: int
) -> Figure:
    """Return the ratio over λ after a number of epochs, and the losses of all networks at one λ.

    Left, the lines are moving averages of the ratio of final losses, growing over grown, and the
    marks are the ratios at the one λ. Right, the fraction of the networks of either arm that end
    below a loss; a diamond is the mean of an arm.

    Parameters
    ----------
    losses : NamedTuple
        The losses of the sweep, as `growkit.derived.coupling.sweep` returns them.
    smooth : mapping
        The moving averages, as `growkit.derived.coupling.moving_average` returns them, of the
        "ratio of means" and of the "ratio of medians".
    coupling : float
        The λ; the nearest one of the sweep is shown.
    epochs : int
        One of the numbers of epochs of the sweep.

    Raises
    ------
    ValueError
        If the sweep has no such number of epochs.
    """
    lengths = losses.lengths.tolist()
    _require(epochs in lengths, "epochs", epochs, f"one of {lengths}")
    length = lengths.index(epochs)
    place = np.abs(np.log(losses.couplings / coupling)).argmin()
    coupling = losses.couplings[place]

    figure, [[left, right]] = new_figure(1, 2, height=3)
    figure.set_layout_engine("none")  # the places are given, so that drawing takes half the time
    left.set_position((0.09, 0.22, 0.385, 0.68))
    right.set_position((0.59, 0.22, 0.385, 0.68))

    for arm, values in (("growing", losses.growing), ("grown", losses.grown)):
        _plot_losses_below(right, arm, values[length, place])
    every = np.stack([losses.growing, losses.grown])
    ends = every[np.isfinite(every)]
    right.set_xlim(ends.min() / 1.2, ends.max() * 1.2)
    right.set(xscale="log", ylim=(-0.02, 1.02), title=f"All networks, λ = {coupling:.2g}")
    right.set(xlabel="final test loss (dimensionless)", ylabel="fraction below")
    right.legend(frameon=False, loc="upper left")

    growing, grown = losses.growing[length, place], losses.grown[length, place]
    styles = {"ratio of means": ("o", "-"), "ratio of medians": ("s", "--")}
    for (measure, course), summary in zip(smooth.items(), (np.mean, np.median), strict=True):
        marker, dash = styles[measure]
        left.plot(course[epochs], dash, color="black", lw=1.2, label=measure)
        ratio = summary(growing) / summary(grown)
        left.plot(coupling, ratio, marker, color="black", ms=7)
    left.axhline(1, color="black", lw=0.5)
    # The same limits for every λ and length, so that pictures can follow one another.
    every = pd.concat(smooth.values())
    left.set(xscale="log", yscale="log", title=f"{in_thousands(epochs)} epochs")
    left.set_ylim(every.min(axis=None) / 3, every.max(axis=None) * 2)
    left.set(xlabel="size coupling λ (dimensionless)", ylabel="growing / grown")
    left.legend(frameon=False, loc="upper right")
    for panel in (left, right):
        panel.minorticks_off()  # they would take a third of the time
    return figure


def _plot_losses_below(axes, arm, losses):
    """Plot the fraction of networks that end below a loss, with their mean as a diamond."""
    losses = np.sort(losses)
    fractions = (np.arange(len(losses)) + 0.5) / len(losses)
    axes.plot(losses, fractions, label=arm, **line_style(arm))
    mean = losses.mean()
    below = np.mean(losses < mean)
    axes.plot(mean, below, "D", ms=6, color=COLOURS[arm], mec="black", zorder=3)

"""The style of the figures, and the plots that several notebooks share.

Use this module to change how figures look: colours, dashes, sizes, or what is written to a file.
A notebook makes a figure with `new_figure`, plots into its axes, and ends with `save_figure`. The
module imports the checks of arguments from growlib, and from the kit `growkit.statistics` alone.
"""

import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import matplotlib as mpl
import numpy as np
import pandas as pd
import PIL.Image
import seaborn as sns
import torch
from IPython import display
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap, ListedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import FixedLocator, LogLocator, NullLocator
from scipy import ndimage

from growkit.statistics import in_thousands
from growlib import (
    Growth,
    Run,
    Task,
    _choice,
    _frame,
    _replacing,
    _require,
    _whole,
    layer_shapes,
    unpack,
)

# Importing this module sets the sizes of type, in points, for every figure of the session. A figure
# is as wide as a page, so that they are true in print.
mpl.rcParams.update(
    {
        "font.size": 9,
        "axes.titlesize": 9,
        "axes.labelsize": 9,
        "xtick.labelsize": 8,
        "ytick.labelsize": 8,
        "legend.fontsize": 8,
        "figure.titlesize": 10,
    }
)
PAGE = 7.2  # width of a page, inches

_PALETTE = sns.color_palette("colorblind")

COLOURS = {
    "growing": _PALETTE[0],  # blue
    "grown": _PALETTE[1],  # orange
    "static": _PALETTE[7],  # grey
}
DASHES = {"growing": "-", "grown": "--", "static": ":"}  # so that the arms differ without colour
WIDTHS = {"growing": 1.5, "grown": 1.5, "static": 3.0}  # points; static shows behind grown
LAYERS = {"growing": 2.2, "grown": 2.1, "static": 2.0}  # which line is above which

# Ratios growing : grown on a map, from growing far ahead (blue) to grown far ahead (orange).
RATIOS = LinearSegmentedColormap.from_list(
    "ratios", [COLOURS["growing"], "white", COLOURS["grown"]]
)

# Positive and negative values: weights in the drawing of a network, and differences on a map. The
# ends of matplotlib's PRGn, since blue and orange are the arms.
SIGNED = "PRGn"
POSITIVE = mpl.colormaps[SIGNED](0.92)[:3]  # green
NEGATIVE = mpl.colormaps[SIGNED](0.08)[:3]  # purple


# ------------------------------------------------------------------------------ making and saving


class Picture(Figure):
    """A figure that pyplot does not know; a notebook shows it as the last value of a cell."""

    def _repr_png_(self):
        return _png(self)


def _png(figure):
    """The figure as the bytes of a PNG file."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # once; `savefig` draws twice, and a slider's picture has to follow at once
    buffer = io.BytesIO()
    PIL.Image.fromarray(np.asarray(canvas.buffer_rgba())).save(buffer, "png", compress_level=1)
    return buffer.getvalue()


def new_figure(
    rows: int = 1, columns: int = 1, height: float = 2.6, width: float | None = None, **options
) -> tuple[Figure, np.ndarray]:
    """Return an empty figure in the style of the collection, and its axes.

    Parameters
    ----------
    rows, columns : int
        Number of axes below and beside each other.
    height : float
        Height of each row, in inches.
    width : float or None
        Width of the figure, in inches. By default a single axes takes two thirds of a page, and
        several beside each other a whole page.
    **options
        Further arguments of matplotlib's `Figure.subplots`, such as `sharey`.

    Returns
    -------
    figure : Figure
        The figure. Pyplot does not know it, so it need not be closed.
    axes : ndarray of Axes, (rows, columns)
        Its axes, as an array of two dimensions even if there is only one of them.
    """
    if width is None:
        width = PAGE if columns > 1 else PAGE * 2 / 3
    with sns.axes_style("ticks"), sns.color_palette("colorblind"):
        figure = Picture(figsize=(width, height * rows), dpi=100, layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False, **options)
    sns.despine(figure)
    return figure, axes


def save_figure(figure: Figure, name: str, folder: str = "", note: str = "") -> None:
    """Write a note into a figure, and the figure to a folder as PNG and as SVG.

    Equal results give files that are equal to the byte. The driver of the notebooks names the
    folder; without one nothing is written, so that a notebook that a person runs changes no file.

    Parameters
    ----------
    figure : Figure
        The figure, as `new_figure` returned it.
    name : str
        Name of the two files, without an ending.
    folder : str
        Folder for the files; if it is empty, none are written.
    note : str
        What the results rest on, such as "n = 200" or "quick, n = 80": small, below the axes.

    Raises
    ------
    ValueError
        If `figure` is not a figure, or the folder cannot be written.
    """
    _require(
        isinstance(figure, Figure), "figure", figure, "the figure alone that new_figure returns"
    )

    if note:
        # A legend, since the layout makes room for it.
        figure.legend(
            handles=[],
            title=note,
            title_fontproperties={"size": 8},
            loc="outside lower right",
            frameon=False,
            borderpad=0,
            borderaxespad=0.1,
        )
    if not folder:
        return

    # By default matplotlib writes its version and the date, and random names into an SVG.
    metadata = {"png": {"Software": None}, "svg": {"Date": None, "Creator": None}}
    for kind in ("png", "svg"):
        with (
            _replacing(Path(str(folder)) / f"{name}.{kind}", "folder") as temporary,
            mpl.rc_context({"svg.hashsalt": "growlib"}),
        ):
            figure.savefig(temporary, format=kind, metadata=metadata[kind], dpi=150)


# ----------------------------------------------------------------------------------- shared plots


def line_style(arm: str) -> dict:
    """Return colour, dash, width and layer of an arm's line, as arguments of `Axes.plot`.

    Raises ValueError if the arm is unknown.
    """
    _choice("arm", arm, COLOURS)
    return {"color": COLOURS[arm], "ls": DASHES[arm], "lw": WIDTHS[arm], "zorder": LAYERS[arm]}


def _require_one_axes(axes):
    """Raise ValueError if the argument `axes` is not one Axes; `new_figure` returns an array."""
    _require(
        isinstance(axes, Axes),
        "axes",
        type(axes).__name__,
        "one Axes, such as axes[0, 0] of those that new_figure returns",
    )


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
        axes.fill_between(
            values.index, first_quartile, third_quartile, color=COLOURS[arm], alpha=0.15, lw=0
        )
        axes.plot(
            values.index,
            values.median(axis=1),
            label=f"{arm}, median of {in_thousands(values.shape[1])}",
            **line_style(arm),
        )

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


def plot_mirrored(
    finals: pd.DataFrame, axes: Axes, value: str = "test_loss", below: str = "grown"
) -> Axes:
    """Plot the histograms of two arms as mirror images, as in Figure 3, and return the axes.

    The growing arm points up and the other arm down. A line marks the mean of each arm and a dot
    its median. The values are on a logarithmic scale, and so are the counts in both directions, in
    trials per bin. Diverged trials are left out.

    Parameters
    ----------
    finals : DataFrame
        Rows of `Run.finals` for one setting, in the growing arm and in the other one.
    axes : Axes
        Axes to plot into.
    value : str
        Column to plot, dimensionless and positive.
    below : {"grown", "static"}
        The arm that points down.

    Returns
    -------
    Axes
        The same axes.

    Raises
    ------
    ValueError
        If the frame lacks a column or the arm `below`, or `axes` is not a single Axes.
    """
    _require_one_axes(axes)
    _frame("finals", finals, "arm", "diverged")
    _choice("value", value, finals.select_dtypes("number").columns)
    _choice("below", below, finals["arm"].unique())

    shown = finals[finals["arm"].isin(("growing", below)) & ~finals["diverged"]]
    bins = _logarithmic_bins(shown[value])
    for arm, sign in (("growing", 1), (below, -1)):
        _plot_half(axes, arm, sign, shown.loc[shown["arm"] == arm, value], bins)

    _explain_marks(axes)
    axes.axhline(0, color="black", lw=0.8)  # between the two halves
    _set_mirrored_scales(axes, shown[value])
    axes.set(xlabel=f"final {value.replace('_', ' ')} (dimensionless)", ylabel="trials in a bin")
    return axes


def _logarithmic_bins(values):
    """The edges of bins that are equally wide in the logarithm; many values get more of them."""
    number = 60 if len(values) > 2000 else 24
    return np.geomspace(values.min(), values.max(), number + 1)


def _plot_half(axes, arm, sign, values, bins):
    """Plot one arm with its mean, median and name, upwards if `sign` is 1 and down if it is -1."""
    counts = sign * np.histogram(values, bins)[0]
    axes.stairs(
        counts,
        bins,
        fill=True,
        color=COLOURS[arm],
        alpha=0.75,
        label=arm,
        hatch=None if sign == 1 else "////",
    )

    longest = sign * abs(counts).max()
    axes.vlines(values.mean(), 0, longest, color="black", lw=2, ls=DASHES[arm])
    axes.plot(values.median(), sign, "o", color="white", markeredgecolor="black", ms=6)
    axes.annotate(
        f"{arm}, {in_thousands(len(values))}",
        (0.02, 0.5 + 0.47 * sign),
        xycoords="axes fraction",
        va="center",
        color=COLOURS[arm],
    )


def _explain_marks(axes):
    """Say in the upper right corner what the line and the dot mean."""
    axes.text(
        0.98,
        0.97,
        "line: mean\ndot: median",
        transform=axes.transAxes,
        va="top",
        ha="right",
        fontsize=8,
    )


def _set_mirrored_scales(axes, values):
    """Make the scales logarithmic, that of the counts alike in both directions."""
    axes.set(xscale="log", yscale="symlog")

    # The counts fill only a part of the height, so that the text in the corners has room.
    limit = 50 * max(abs(end) for end in axes.get_ylim())
    axes.set_ylim(-limit, limit)
    axes.yaxis.set_major_formatter(lambda count, _: f"{abs(count):.0f}" if count else "")

    # Where the values span few decades, powers of ten alone would be too few ticks.
    few_decades = values.max() < 300 * values.min()
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 3) if few_decades else (1,)))
    axes.xaxis.set_minor_formatter("")


def plain_ticks(axis, values) -> None:
    """Put ticks at these values of a logarithmic or logit axis, and write them as plain numbers."""
    axis.set_major_locator(FixedLocator(list(values)))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_locator(NullLocator())


def _round_ticks(axis):
    """Put ticks at round numbers of a logarithmic axis, as dense as its range allows."""
    low, high = axis.get_view_interval()
    decades = np.log10(high / low)
    if decades > 3:
        axis.set_minor_formatter("")
        return
    if decades > 1.5:
        factors = (1, 3)
    elif decades > 0.6:
        factors = (1, 2, 5)
    else:
        factors = (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8)
    exponents = np.arange(np.floor(np.log10(low)), np.log10(high) + 1)
    numbers = np.outer(10.0**exponents, factors).ravel()
    plain_ticks(axis, numbers[(low <= numbers) & (numbers <= high)])


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


def plot_estimates(rows: pd.DataFrame, axes: Axes, x: str, aside: float = 1.0, **style):
    """Plot estimates with their intervals against a column, and return the axes.

    Parameters
    ----------
    rows : DataFrame
        Rows with the columns `estimate`, `low` and `high`, as `compare` and `over_trials` give
        them. Where `low` is NaN there is no interval, and the estimate stands alone.
    axes : Axes
        Axes to plot into.
    x : str
        Column along x.
    aside : float
        Factor on x, so that the intervals of several series stand beside each other.
    **style
        Further arguments of matplotlib's `Axes.errorbar`, such as `color` and `label`.

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
    _frame("rows", rows, x, "estimate", "low", "high")
    rows = rows.sort_values(x)
    # Where a percentile interval leaves out its estimate, the bar on that side has no length.
    below = (rows["estimate"] - rows["low"]).clip(lower=0)
    above = (rows["high"] - rows["estimate"]).clip(lower=0)
    options = {"fmt": "o-", "ms": 4, "capsize": 2, "lw": 1.2} | style
    axes.errorbar(aside * rows[x], rows["estimate"], [below, above], **options)
    return axes


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
        axes.fill_between(spent, spread[0.25], spread[0.75], color=COLOURS[arm], alpha=0.15, lw=0)
        axes.plot(spent, spread[0.5], label=arm, **line_style(arm))
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
        axes.fill_between(part[x], part["low"], part["high"], color=COLOURS[arm], alpha=0.15, lw=0)
        axes.plot(part[x], part["estimate"], label=arm, **line_style(arm))
    return axes


def plot_cumulative(finals: pd.DataFrame, axes: Axes, value: str = "test_loss") -> Axes:
    """Plot the fraction of networks that end below a loss, a line per arm, and return the axes.

    The losses are logarithmic. The fractions are on a logit scale, which spreads the best and the
    worst networks alike; the median is where a line passes one half. A line further to the left is
    better. Diverged trials are left out.

    Parameters
    ----------
    finals : DataFrame
        Rows of `Run.finals` for one setting, in one arm or several.
    axes : Axes
        Axes to plot into.
    value : str
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
    _frame("finals", finals, "arm", "diverged")
    _choice("value", value, finals.select_dtypes("number").columns)
    for arm, rows in finals[~finals["diverged"]].groupby("arm"):
        _plot_fractions(axes, rows[value], label=arm, **line_style(arm))
    _set_fraction_scales(axes, value)
    return axes


def _plot_fractions(axes, losses, **style):
    """Plot which fraction of the losses lies below each of them."""
    count = len(losses)
    # Some hundred of the trials draw the same line: all at either end, fewer in the middle.
    from_end = np.geomspace(1, count, 200).round()
    ranks = np.unique(np.concatenate([from_end, count + 1 - from_end])).astype(int)
    axes.plot(np.sort(losses)[ranks - 1], (ranks - 0.5) / count, **style)


def _set_fraction_scales(axes, value):
    """Make the losses logarithmic and the fractions logit, with a line at the median."""
    axes.set(xscale="log", yscale="logit")
    least, most = axes.get_ylim()
    shown = [part for part in (0.001, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999) if least < part < most]
    plain_ticks(axes.yaxis, shown)
    axes.axhline(0.5, color="black", lw=0.5, zorder=1)
    axes.set(xlabel=f"final {value.replace('_', ' ')} (dimensionless)", ylabel="fraction below")


def plot_sides(
    sides: Mapping[str, pd.DataFrame], axes: Axes, value: str = "test_task_loss"
) -> Axes:
    """Plot the fraction of networks that end below a loss, a line for each side of a comparison.

    As in `plot_cumulative`, a line further to the left is better. Each side has the colour of its
    arm; static networks that are compared with static ones are black.

    Parameters
    ----------
    sides : mapping
        From what the legend says to final results of one arm. The last one is the reference.
    axes : Axes
        Axes to plot into.
    value : str
        Column to plot, dimensionless and positive.

    Returns
    -------
    Axes
        The same axes.

    Raises
    ------
    ValueError
        If a frame lacks a column, or `axes` is not a single Axes.
    """
    _require_one_axes(axes)
    reference = list(sides)[-1]
    for label, finals in sides.items():
        _frame("a side", finals, "arm", "diverged", value)
        arm = finals["arm"].iloc[0]
        style = line_style(arm)
        if arm == "static" and label != reference:
            style |= {"color": "black", "ls": "-.", "lw": 1.5}
        losses = finals.loc[~finals["diverged"], value]
        _plot_fractions(axes, losses, label=f"{label}: {in_thousands(len(losses))}", **style)
    _set_fraction_scales(axes, value)
    axes.autoscale_view()
    _round_ticks(axes.xaxis)
    axes.legend(frameon=False, loc="best")
    return axes


def plot_ratios(
    compared: pd.DataFrame,
    axes: Axes,
    rows: Iterable[str],
    marks: Mapping[str, tuple],
    row: str = "case",
    mark: str = "condition",
) -> Axes:
    """Plot ratios with their intervals, a row for each case, and return the axes.

    A mark is filled if its interval leaves out 1, and open if it does not or if there is none. If
    the frame has a column `clear`, a mark is filled where that is True instead.

    Parameters
    ----------
    compared : DataFrame
        Rows with the columns `estimate`, `low` and `high`, as `growkit.statistics.compare` gives
        them, and the two columns that `row` and `mark` name. A column `clear` is optional.
    axes : Axes
        Axes to plot into.
    rows : iterable of str
        Values of the column `row`, from top to bottom.
    marks : mapping
        From the values of the column `mark` to a marker of matplotlib and a colour each.
    row, mark : str
        Columns of `compared`.

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
    _frame("compared", compared, row, mark, "estimate", "low", "high")
    ends = compared[["estimate", "low", "high"]].to_numpy(dtype=float)
    ends = np.append(ends[np.isfinite(ends) & (ends > 0)], 1)
    leftmost, rightmost = ends.min() / 1.1, ends.max() * 1.1

    # An interval that reaches 0 or infinity runs out of the picture.
    within = compared.assign(
        low=compared["low"].clip(lower=leftmost / 2),
        high=compared["high"].clip(upper=rightmost * 2),
    )
    axes.set(xscale="log", xlim=(leftmost, rightmost))
    _plot_intervals(within, axes, list(rows), marks, row, mark, even=1)
    _name_ratios(axes)
    return axes


def draw_ratios(
    compared: pd.DataFrame,
    rows: Iterable[str],
    marks: Mapping[str, tuple],
    row: str = "case",
    mark: str = "condition",
    panels: Sequence[str] = (),
) -> Figure:
    """Return a figure of ratios with their intervals, as `plot_ratios` plots them, with a legend.

    Parameters
    ----------
    compared : DataFrame
        As `plot_ratios` takes it; with `panels` it has the column `case`.
    rows : iterable of str
        Values of the column `row`, from top to bottom.
    marks : mapping
        From the values of the column `mark` to a marker and a colour each. Rows with other values
        are left out.
    row, mark : str
        Columns of `compared`.
    panels : sequence of str
        Values of the column `case`, a panel for each from left to right; by default there is one
        panel of all rows.

    Raises
    ------
    ValueError
        If a column is missing.
    """
    _frame("compared", compared, row, mark)
    rows = list(rows)
    compared = compared[compared[mark].isin(marks)]
    height = 0.9 + max(0.38, 0.15 * len(marks)) * len(rows)
    figure, axes = new_figure(1, max(1, len(panels)), height=height, width=PAGE, sharey=True)
    if len(panels) == 0:
        plot_ratios(compared, axes[0, 0], rows, marks, row, mark)
    for panel, case in zip(axes.flat, panels, strict=False):
        plot_ratios(compared[compared["case"] == case], panel, rows, marks, row, mark)
        panel.set_title(case)
    handles = axes[0, 0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside upper center", ncols=len(marks), frameon=False)
    return figure


def plot_probabilities(
    compared: pd.DataFrame,
    axes: Axes,
    rows: Iterable[str],
    marks: Mapping[str, tuple],
    row: str = "case",
    mark: str = "condition",
) -> Axes:
    """Plot probabilities with their intervals, a row for each case, and return the axes.

    A mark is filled if its interval leaves out one half or, if the frame has a column `clear`,
    where that is True.

    Parameters
    ----------
    compared : DataFrame
        As `plot_ratios` takes it, and so are the other arguments.
    axes : Axes
        Axes to plot into.
    rows : iterable of str
        Values of the column `row`, from top to bottom.
    marks : mapping
        From the values of the column `mark` to a marker of matplotlib and a colour each.
    row, mark : str
        Columns of `compared`.

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
    _frame("compared", compared, row, mark, "estimate", "low", "high")
    ends = compared[["estimate", "low", "high"]].to_numpy(dtype=float)
    furthest = np.nanmax(np.abs(ends - 0.5)) + 0.03
    axes.set(xlim=(0.5 - furthest, 0.5 + furthest))
    _plot_intervals(compared, axes, list(rows), marks, row, mark, even=0.5)
    return axes


def _plot_intervals(compared, axes, rows, marks, row, mark, even):
    """Plot every estimate with its interval, its mark filled where the difference is clear."""
    if "clear" not in compared:
        clear = (compared["low"] > even) | (compared["high"] < even)
        compared = compared.assign(clear=clear)
    for number, (value, (marker, colour)) in enumerate(marks.items()):
        # The marks of a row stand one below the other, in the middle seven tenths of its height.
        shift = 0.7 * ((number + 0.5) / len(marks) - 0.5)
        for found in compared[compared[mark] == value].to_dict("records"):
            if found[row] not in rows:
                continue
            place = rows.index(found[row]) + shift
            axes.plot([found["low"], found["high"]], [place, place], color=colour, lw=1.2)
            face = colour if found["clear"] else "white"
            axes.plot(found["estimate"], place, marker, ms=5, color=colour, mfc=face)
        axes.plot([], [], marker, ms=5, color=colour, label=value)

    axes.axvline(even, color="black", lw=0.8)
    axes.set(ylim=(len(rows) - 0.5, -0.5))
    axes.set_yticks(range(len(rows)), rows)
    axes.hlines(np.arange(len(rows) - 1) + 0.5, *axes.get_xlim(), color="0.9", lw=0.8)


def _name_ratios(axes):
    """Label a logarithmic axis of ratios with plain numbers, as dense as its range allows."""
    left, right = axes.get_xlim()
    if right / left > 1000:
        numbers = (0.001, 0.01, 0.1, 1, 10, 100, 1000)
    elif right / left > 30:
        numbers = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100)
    elif right / left > 8:
        numbers = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20)
    elif right / left > 2:
        numbers = (0.3, 0.5, 0.7, 1, 1.4, 2, 3)
    else:
        numbers = (0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.1, 1.2, 1.3, 1.5)
    shown = [number for number in numbers if left < number < right]
    axes.set_xticks(shown, [f"{number:g}" for number in shown])
    axes.set_xticks([], minor=True)


def plot_counts(
    counts: pd.DataFrame, axes: Axes, other: str = "static", group: str | None = None
) -> Axes:
    """Plot how many conditions favour each arm, a mark for each condition, and return the axes.

    A row has its blue dots for growing first, then the squares of the other arm, and then light
    rings for what is undecided.

    Parameters
    ----------
    counts : DataFrame
        Rows from top to bottom, named by their index, with the columns favours_growing,
        favours_other and undecided.
    axes : Axes
        Axes to plot into.
    other : str
        Column with the other arm of a row, "grown" or another one, which takes the colour of
        static networks.
    group : str, optional
        Column whose changes from row to row a thin line marks.

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
    _frame("counts", counts, "favours_growing", "favours_other", "undecided", other)
    if group is not None:
        groups = counts[group].to_numpy()
        for place in np.flatnonzero(groups[1:] != groups[:-1]):
            axes.axhline(place + 0.5, color="0.8", lw=0.8)
    most = 0
    for place, row in enumerate(counts.to_dict("records")):
        colour = COLOURS["grown"] if row[other] == "grown" else COLOURS["static"]
        styles = {
            "favours_growing": {"marker": "o", "color": COLOURS["growing"]},
            "favours_other": {"marker": "s", "color": colour},
            "undecided": {"marker": "o", "color": "0.75", "mfc": "white"},
        }
        first = 0
        for name, style in styles.items():
            end = first + int(row[name])
            axes.plot(range(first, end), [place] * (end - first), ls="", ms=5.5, **style)
            first = end
        most = max(most, first)

    axes.set(xlim=(-0.7, most - 0.3), ylim=(len(counts) - 0.4, -0.6), xticks=[])
    axes.set_yticks(range(len(counts)), counts.index)
    axes.tick_params(length=0)
    axes.spines["bottom"].set_visible(False)
    return axes


def draw_counts(tables: Mapping[str, pd.DataFrame], other: str, group: str) -> Figure:
    """Return a figure of counts, a panel for each table, with one legend above them.

    Parameters
    ----------
    tables : mapping
        From the title of each panel to a frame with the same rows, as `plot_counts` takes it.
    other, group : str
        As in `plot_counts`.

    Raises
    ------
    ValueError
        If a frame lacks a column.
    """
    first = next(iter(tables.values()))
    figure, axes = new_figure(1, len(tables), height=0.9 + 0.2 * len(first), sharey=True)
    for panel, (title, table) in zip(axes.flat, tables.items(), strict=True):
        plot_counts(table, panel, other, group)
        panel.set_title(title)

    styles = {
        "growing": {"marker": "o", "color": COLOURS["growing"]},
        "grown": {"marker": "s", "color": COLOURS["grown"]},
        "static": {"marker": "s", "color": COLOURS["static"]},
        "undecided": {"marker": "o", "color": "0.75", "mfc": "white"},
    }
    handles = []
    for name, style in styles.items():
        label = name if name == "undecided" else f"favours {name}"
        handles.append(Line2D([], [], ls="", label=label, **style))
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles), frameon=False)
    return figure


def plot_ratio_table(
    estimates: pd.DataFrame, decided: pd.DataFrame, axes: Axes, most: float = 10.0
) -> Axes:
    """Plot a table of ratios as a heat map with its values in the cells, and return the axes.

    A decided ratio is bold on a colour, blue below 1 and orange above, the stronger the further it
    is from 1. An undecided one is grey on white. Missing ones are empty.

    Parameters
    ----------
    estimates : DataFrame
        The ratios; the index names the rows and the columns the columns. NaN is missing.
    decided : DataFrame
        Whether the interval of each ratio leaves out 1, with the same index and columns.
    axes : Axes
        Axes to plot into.
    most : float
        The ratio, and one over it, at which the colours are strongest.

    Returns
    -------
    Axes
        The same axes.

    Raises
    ------
    ValueError
        If `axes` is not a single Axes.
    """
    _require_one_axes(axes)
    for i, name in enumerate(estimates.index):
        for j, column in enumerate(estimates.columns):
            ratio = estimates.loc[name, column]
            if np.isnan(ratio):
                continue
            style = {"color": "0.4"}
            face = "white"
            if decided.loc[name, column]:
                face = _colour_of_ratio(ratio, most)
                dark = np.dot(face, (0.299, 0.587, 0.114)) < 0.5
                style = {"color": "white" if dark else "black", "weight": "bold"}
            axes.add_patch(Rectangle((j - 0.5, i - 0.5), 1, 1, facecolor=face, edgecolor="0.85"))
            axes.text(j, i, _short(ratio), ha="center", va="center_baseline", fontsize=8, **style)

    rows, columns = estimates.shape
    axes.set(xlim=(-0.5, columns - 0.5), ylim=(rows - 0.5, -0.5))
    axes.set_yticks(range(rows), estimates.index)
    axes.set_xticks(range(columns), estimates.columns)
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    return axes


def _colour_of_ratio(ratio, most):
    """The colour of a decided ratio: blue below 1, orange above, never so pale as to be missed."""
    strength = min(abs(np.log(ratio)) / np.log(most), 1) if ratio > 0 else 1
    strength = 0.25 + 0.75 * strength
    arm = "growing" if ratio < 1 else "grown"
    return strength * np.array(COLOURS[arm]) + 1 - strength


def _short(ratio):
    """A ratio as a text of at most four characters."""
    if ratio < 0.005:
        return "<.01"
    if ratio < 9.995:
        return f"{ratio:.2f}"
    return f"{ratio:.3g}"


def draw_ratio_tables(tables: Mapping[str, tuple[pd.DataFrame, pd.DataFrame]]) -> Figure:
    """Return a figure of ratio tables beside each other, which share their rows.

    Parameters
    ----------
    tables : mapping
        From the title of each panel to the ratios and to whether they are decided, as
        `plot_ratio_table` takes them. Long names of columns are broken after a comma.

    Raises
    ------
    ValueError
        If there is no table.
    """
    _require(len(tables) > 0, "tables", tables, "one table or more")
    columns = [len(estimates.columns) for estimates, _ in tables.values()]
    names = [str(name) for estimates, _ in tables.values() for name in estimates]
    # About 0.08 inches a letter, and 5 inches for all cells.
    is_long = 0.08 * max(map(len, names)) > 5 / sum(columns)
    rows = len(next(iter(tables.values()))[0])
    height = 0.19 * rows + (1.35 if is_long else 0.75)
    figure, axes = new_figure(
        1, len(tables), height=height, width=PAGE, sharey=True, width_ratios=columns
    )
    for panel, (title, (estimates, decided)) in zip(axes.flat, tables.items(), strict=True):
        plot_ratio_table(estimates, decided, panel)
        panel.set_xlabel(title)
        if is_long:
            broken = [str(name).replace(", ", ",\n") for name in estimates]
            panel.set_xticks(range(len(broken)), broken, rotation=90)
    return figure


# -------------------------------------------------------------------------------- the size coupling


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
    left.set(xlabel="size coupling λ (dimensionless)", ylabel="growing : grown")
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


# ------------------------------------------------------------------------------ classes in a plane


def class_colours(classes: int) -> list[tuple]:
    """Return a colour for each class, from dark to light, so that they differ in grey, too.

    Raises ValueError if the number of classes is not a positive whole number.
    """
    classes = _whole("classes", classes)
    return sns.color_palette("magma", classes)


def plot_arms(x: np.ndarray, y: np.ndarray, axes: Axes) -> Axes:
    """Plot points of the arms of a spiral, with the class at the outer end of each arm.

    Parameters
    ----------
    x : ndarray
        Points of the task "spirals", (2, points), dimensionless.
    y : ndarray
        Their classes, (points,).
    axes : Axes
        Axes to plot into.

    Returns
    -------
    Axes
        The same axes.

    Raises
    ------
    ValueError
        If `axes` is not a single Axes.
    """
    _require_one_axes(axes)
    classes = np.unique(y)
    for k, colour in zip(classes, class_colours(len(classes)), strict=True):
        axes.plot(*x[:, y == k], ".", ms=3, color=colour)
    _name_arms(x, y, axes)
    return axes


def plot_classes(plane: pd.DataFrame, x: np.ndarray, y: np.ndarray, axes: Axes) -> Axes:
    """Plot the class that a network finds everywhere, and the points that it gets wrong.

    A number inside each region names its class. The class of a point is read off at the nearest
    point of the grid.

    Parameters
    ----------
    plane : DataFrame
        The predictions of one network on a grid, with the columns x, x2 and prediction, such as the
        rows of a study's curves.
    x : ndarray
        Points of the task "spirals", (2, points), dimensionless.
    y : ndarray
        Their classes, (points,).
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
    _frame("plane", plane, "x", "x2", "prediction")
    grid = plane.pivot(index="x2", columns="x", values="prediction")
    classes = np.unique(y)

    # Paler than the points of `plot_arms`, so that black dots show on every shade.
    colours = 0.55 + 0.45 * np.array(class_colours(len(classes)))
    axes.pcolormesh(
        grid.columns,
        grid.index,
        grid,
        cmap=ListedColormap(colours),
        vmin=-0.5,
        vmax=len(classes) - 0.5,
        rasterized=True,
    )

    column = np.abs(np.subtract.outer(x[0], grid.columns.to_numpy())).argmin(axis=1)
    row = np.abs(np.subtract.outer(x[1], grid.index.to_numpy())).argmin(axis=1)
    wrong = grid.to_numpy()[row, column] != y
    axes.plot(*x[:, wrong], ".", ms=2, color="black", rasterized=True)
    _name_regions(grid, axes)
    axes.set(xlim=grid.columns[[0, -1]], ylim=grid.index[[0, -1]], aspect="equal")
    axes.set_xticks([-1, 0, 1])
    axes.set_yticks([-1, 0, 1])
    return axes


def _name_regions(grid, axes):
    """Write each class of a grid of predictions where its region is widest."""
    found = grid.to_numpy()
    for k in np.unique(found):
        # The outermost points count as another class, so that no number leaves the picture.
        depth = ndimage.distance_transform_edt(np.pad(found == k, 1))[1:-1, 1:-1]
        row, column = np.unravel_index(depth.argmax(), depth.shape)
        place = grid.columns[column], grid.index[row]
        text = axes.text(*place, f"{k:.0f}", ha="center", va="center", weight="bold")
        text.set_bbox({"boxstyle": "round,pad=0.15", "fc": "white", "ec": "none", "alpha": 0.7})


def _name_arms(x, y, axes):
    """Write the class of each arm of a spiral beyond its outer end."""
    for k in np.unique(y):
        arm = x[:, y == k]
        radius = np.linalg.norm(arm, axis=0)
        outer = arm[:, radius > 0.97 * radius.max()].mean(axis=1)
        place = 1.2 * outer
        axes.text(*place, f"{k:.0f}", ha="center", va="center", weight="bold", clip_on=False)
    axes.set(xlim=(-1.25, 1.25), ylim=(-1.25, 1.25), aspect="equal")
    axes.set_xticks([-1, 0, 1])
    axes.set_yticks([-1, 0, 1])


# ------------------------------------------------------------------------ a network that is growing


def plot_network(theta: torch.Tensor, growth: Growth, width: int, axes: Axes) -> Axes:
    """Draw one network of one input, as in the paper's Figure 1, and return the axes.

    A line is a weight and a circle a bias; the thickness is the magnitude, up to 3. Green is
    positive; purple and dashed is negative. What a gate shuts is faint, and a gate that opens fills
    the circle of its neuron. The title is the size.

    Parameters
    ----------
    theta : Tensor
        The network, (rows,); see `growlib.unpack`.
    growth : AuxiliaryWeight or ControllerMask
        Gives the gates.
    width : int
        Neurons that exist.
    axes : Axes
        Axes to draw into.

    Returns
    -------
    Axes
        The same axes.

    Raises
    ------
    ValueError
        If `axes` is not a single Axes.
    """
    _require_one_axes(axes)
    size, (hidden, output) = unpack(theta[:, None].cpu(), layer_shapes(width))
    biases, from_size, from_input = hidden[:, :, 0]  # (H,) each
    to_output = output[1:, 0, 0]  # (H,)
    gates = growth.gate(size, width)[:, 0]  # (H,)

    neurons = [(1, width - 1 - m) for m in range(width)]  # the first one is on top
    ends = [(0, 0.72 * width), (0, 0.22 * width), (2, (width - 1) / 2)]
    names = [*range(1, width + 1), "x", "N", "ŷ"]

    lines = []
    for end in ends:
        lines += [(end, neuron) for neuron in neurons]
    weights = torch.cat([from_input, from_size, to_output])
    axes.add_collection(
        LineCollection(
            lines,
            lw=_thickness(weights),
            color=_signed_colours(weights, opacity=0.12 + 0.88 * gates.repeat(3)),
            ls=_signed_dashes(weights),
            zorder=1,
        )
    )

    no_bias = torch.zeros(2)  # of x and of N
    biases = torch.cat([biases, no_bias, output[0, 0]])
    takes_part = torch.cat([gates, torch.ones(3)])
    x, y = zip(*neurons, *ends, strict=True)
    axes.scatter(
        x,
        y,
        s=260,
        facecolor=[(1, 1 - 0.12 * gate, 1 - 0.55 * gate) for gate in [*gates.tolist(), 0, 0, 0]],
        edgecolor=_signed_colours(biases, opacity=0.3 + 0.7 * takes_part),
        lw=_thickness(biases),
        ls=_signed_dashes(biases),
        zorder=2,
    )
    for spot, name in zip([*neurons, *ends], names, strict=True):
        axes.annotate(str(name), spot, ha="center", va="center_baseline", zorder=3)

    axes.set(xlim=(-0.25, 2.25), ylim=(-0.9, width - 0.1), title=f"N = {size.item():.2f}")
    axes.set(frame_on=False, xticks=[], yticks=[])
    return axes


def _thickness(values):
    """Return the line widths (points) that stand for the magnitudes of the values."""
    return (0.4 + 1.8 * values.abs().clamp(max=3)).tolist()


def _signed_colours(values, opacity):
    """Return the colours of positive and negative values with their opacities, (values, 4)."""
    colours = np.where(values[:, None] > 0, POSITIVE, NEGATIVE)
    return np.column_stack([colours, opacity])


def _signed_dashes(values):
    """Return the dashes of positive and negative values, so that they differ in grey, too."""
    return np.where(values > 0, "-", "--").tolist()


def draw_moment(run: Run, epoch: int, network: int = 0) -> Figure:
    """Return a picture of a network at one epoch: itself, its fit, and its size up to then.

    Parameters
    ----------
    run : Run
        Networks of one input whose task is a known curve, fitted with keep_weights=True.
    epoch : int
        A logged epoch.
    network : int
        Which network of the run, from 0.

    Raises
    ------
    ValueError
        If the weights at that epoch were not kept.
    """
    figure, [[left, top, bottom]] = new_figure(1, 3, height=3.6)
    figure.set_layout_engine("none")  # the places are given, so that drawing takes half the time
    left.set_position((0, 0.08, 0.46, 0.82))
    top.set_position((0.56, 0.62, 0.42, 0.35))
    bottom.set_position((0.56, 0.13, 0.42, 0.32))

    plot_network(run.theta(epoch)[:, network], run.growth, run.settings["width"], left)
    left.set_title(f"{left.get_title()} neurons", fontsize=16)
    left.set_xlabel(f"epoch {in_thousands(epoch)}", fontsize=11, x=0.32, ha="left")
    _plot_fit_so_far(run, epoch, network, top)
    _plot_size_so_far(run, epoch, network, bottom)
    return figure


def _plot_fit_so_far(run, epoch, network, axes):
    """Plot the prediction of a network at an epoch over its task and its training points."""
    line = np.linspace(-1, 1, 201)
    target = run.task.target(line)
    trial = int(run.networks["trial"].iloc[network])
    x, y = run.task.draw(run.settings["seed"], [trial])  # (1, P, 1), (P, 1)
    train = slice(run.task.train_points)

    axes.plot(line, target, "k:", label="target")
    axes.plot(x[0, train, 0], y[train, 0], "k.", ms=5, label="training points")
    prediction = run.predict(line, epoch)[network, :, 0]
    axes.plot(line, prediction, color=COLOURS["growing"], lw=2.5, label="network")
    # The same limits at every epoch, so that pictures can follow one another.
    axes.set(xlabel="x (dimensionless)", ylabel="ŷ (dimensionless)")
    axes.set(xticks=[-1, 0, 1], ylim=(target.min() - 0.3, target.max() + 0.7))
    axes.legend(frameon=False, labelspacing=0.2, loc="upper left", ncols=2)


def _plot_size_so_far(run, epoch, network, axes):
    """Plot the size of a network over all epochs, faint, and up to one epoch, strong."""
    trial = run.networks["trial"].iloc[network]
    course = run.history[run.history["trial"] == trial].set_index("epoch")["size"]
    axes.plot(course, color="0.7", lw=1)
    axes.plot(course.loc[:epoch], color=COLOURS["growing"], lw=2.5)
    axes.plot(epoch, course[epoch], "o", color=COLOURS["growing"], ms=8)
    most = int(np.ceil(course.max()))
    axes.set(xlabel="epoch", ylabel="N (neurons)", ylim=(-0.4, most + 0.6), yticks=range(most + 1))
    axes.grid(axis="y", lw=0.5)


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


def _plot_course(history, value, epoch, axes):
    """Plot a column of one network of each arm, faint, and up to one epoch, strong."""
    for arm, rows in history.groupby("arm"):
        course = rows.set_index("epoch")[value]
        style = line_style(arm)
        axes.plot(course, **style | {"lw": 0.8, "ls": "-", "alpha": 0.5})
        axes.plot(course.loc[:epoch], label=arm, **style)
        axes.plot(epoch, course[epoch], "o", ms=7, color=style["color"], zorder=style["zorder"])
    axes.set(xlabel="epoch")


def draw_planes(run: Run, epoch: int) -> Figure:
    """Return a picture of the classes that two networks find in the plane at one epoch.

    Black dots are the test points that a network gets wrong. Beside the two planes stands the
    accuracy on the test points, up to that epoch.

    Parameters
    ----------
    run : Run
        Two networks of one trial of the task "spirals", in two arms, fitted with keep_weights=True.
    epoch : int
        A logged epoch.

    Raises
    ------
    ValueError
        If the weights at that epoch were not kept.
    """
    figure, axes = new_figure(1, 3, height=2.7)
    figure.set_layout_engine("none")  # the places are given, so that drawing takes half the time
    places = [(0.07, 0.27), (0.38, 0.27), (0.74, 0.25)]  # left end and width, of the figure's
    for panel, (left, width) in zip(axes.flat, places, strict=True):
        panel.set_position((left, 0.17, width, 0.72))

    ticks = np.linspace(-1, 1, 81)
    x, x2 = (each.ravel() for each in np.meshgrid(ticks, ticks))
    found = run.predict(np.stack([x, x2]).T, epoch).argmax(axis=2)  # (networks, points)
    trial = int(run.networks["trial"].iloc[0])
    points, classes = run.task.draw(run.settings["seed"], [trial])  # (2, P, 1), (P, 1)
    test = slice(run.task.train_points, None)
    accuracy = run.history[run.history["epoch"] == epoch].set_index("arm")["accuracy"]
    for panel, arm, prediction in zip(axes.flat, run.networks["arm"], found, strict=False):
        plane = pd.DataFrame({"x": x, "x2": x2, "prediction": prediction})
        plot_classes(plane, points[:, test, 0], classes[test, 0], panel)
        panel.set(title=f"{arm}: {accuracy[arm]:.3f}", xlabel="x₁ (dimensionless)")
    axes[0, 0].set_ylabel("x₂ (dimensionless)")

    _plot_course(run.history, "accuracy", epoch, axes[0, 2])
    axes[0, 2].set(title=f"Epoch {in_thousands(epoch)}", ylabel="accuracy", ylim=(0, 1))
    axes[0, 2].legend(frameon=False, loc="lower right")
    return figure


def save_animation(pictures: Iterable[Figure], name: str, folder: str = "") -> display.Image:
    """Return figures as one animated GIF, which a notebook shows, and write it to a folder.

    The animation repeats. Each picture is shown for a tenth of a second, the last one for two and a
    half seconds. All share one palette of 128 colours, so that the file is small. Equal figures
    give files that are equal to the byte.

    Parameters
    ----------
    pictures : iterable of Figure
        The figures, all of one size.
    name : str
        Name of the file, with its ending .gif.
    folder : str
        Folder for the file; if it is empty, none is written.

    Returns
    -------
    IPython.display.Image
        The animation.

    Raises
    ------
    ValueError
        If there is no picture, or the folder cannot be written.
    """
    pictures = list(pictures)
    _require(len(pictures) > 0, "pictures", pictures, "one figure or more")
    frames = [PIL.Image.open(io.BytesIO(_png(picture))).convert("RGB") for picture in pictures]
    # The palette comes from a picture in the middle, which has all colours.
    palette = frames[len(frames) // 2].quantize(128, PIL.Image.Quantize.MAXCOVERAGE)
    frames = [frame.quantize(palette=palette, dither=PIL.Image.Dither.NONE) for frame in frames]
    durations = [100] * (len(frames) - 1) + [2500]  # milliseconds

    animation = io.BytesIO()
    frames[0].save(
        animation, "gif", save_all=True, append_images=frames[1:], duration=durations, loop=0
    )
    if folder:
        with _replacing(Path(str(folder)) / name, "folder") as temporary:
            temporary.write_bytes(animation.getvalue())
    return display.Image(animation.getvalue(), format="gif")


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


def plot_estimates_of_arms(rows: pd.DataFrame, axes: Axes, x: str) -> Axes:
    """Plot estimates with their intervals against a column, a series for each arm.

    Each arm has its colour and its dash. Rows about no single arm, such as differences, are left
    out.

    Parameters
    ----------
    rows : DataFrame
        As `plot_estimates` takes it, with the column `arm`.
    axes : Axes
        Axes to plot into.
    x : str
        Column of the horizontal axis.

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
    _frame("rows", rows, "arm")
    for arm, aside in (("growing", 0.96), ("grown", 1.0), ("static", 1.04)):
        of_arm = rows[rows["arm"] == arm]
        if of_arm.empty:
            continue
        marker = "o" if arm == "growing" else "s"
        fmt = marker + DASHES[arm]
        plot_estimates(of_arm, axes, x, aside, fmt=fmt, color=COLOURS[arm], label=arm)
    return axes


# --------------------------------------------------------- scaling over the width and the classes


def draw_power_law(
    finals: pd.DataFrame, off: pd.DataFrame, values: Mapping[str, str], width: str = "width"
) -> Figure:
    """Return loss against width for each value, and how far the means are off their line.

    Parameters
    ----------
    finals : DataFrame
        Final results of one series, as `plot_scaling` takes them.
    off : DataFrame
        The factor between mean and line, as `plot_estimates_of_arms` takes it.
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
        plot_estimates_of_arms(off, last, width)
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
    axes[0, 0].set_ylabel("growing : static (dimensionless)")
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
        Slopes over the width by learning rate, as `plot_estimates_of_arms` takes them.
    tuned : DataFrame
        Ratios by width, as `plot_estimates` takes them.

    Raises
    ------
    ValueError
        If a frame lacks a column.
    """
    figure, [[left, right]] = new_figure(1, 2, height=3)
    if len(slopes):
        plot_estimates_of_arms(slopes, left, "lr")
        left.legend(frameon=False)
    left.axhline(0, color="black", lw=0.5)
    left.set(title="Slope over the width", xlabel="learning rate η", ylabel="slope", xscale="log")
    plain_ticks(left.xaxis, slopes["lr"].unique())

    plot_estimates(tuned, right, "width", fmt="o-", color="black")
    right.axhline(1, color="black", lw=0.5)
    right.set(title="Each arm at its best rate", xlabel="width (neurons)", xscale="log")
    right.set(ylabel="growing : static", yscale="log")
    plain_ticks(right.xaxis, tuned["width"].unique())
    plain_ticks(right.yaxis, [0.1, 0.2, 0.5, 1, 2, 5, 10])
    return figure


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
        Slopes by learning rate and width, as `plot_estimates_of_arms` takes them.

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
        plot_estimates_of_arms(rows, panel, "width")
        panel.axhline(-1, color="black", lw=1, ls="-.")
        panel.text(rows["width"].max(), -0.97, "guessing", fontsize=8, ha="right")
        panel.set(title=f"η = {rate:g}", xscale="log", xlabel="width (neurons)")
        plain_ticks(panel.xaxis, rows["width"].unique())
    least, most = axes[0, 0].get_ylim()
    axes[0, 0].set(ylabel="slope of accuracy over K", ylim=(min(least, -1.1), max(most, 0.05)))
    axes[0, 0].legend(frameon=False)
    return figure


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

"""The style of the figures, and the plots that several notebooks share.

Use this module to change how figures look: colours, dashes, sizes, or what is written to a file.
A notebook makes a figure with `new_figure`, plots into its axes, and ends with `save_figure`. The
module imports the checks of arguments from growlib, and from the kit `growkit.statistics` alone.
"""

import io
from collections.abc import Iterable, Mapping
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import PIL.Image
import seaborn as sns
import torch
from IPython import display
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap, ListedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FixedLocator, LogLocator, NullLocator

from growkit.statistics import in_thousands
from growlib import Growth, Run, _choice, _frame, _replacing, _require, _whole, layer_shapes, unpack

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

# Positive and negative weights in the drawing of a network, as in the paper's Figure 1.
POSITIVE = _PALETTE[3]  # red
NEGATIVE = _PALETTE[0]  # blue


# ------------------------------------------------------------------------------ making and saving


class Picture(Figure):
    """A figure that pyplot does not know; a notebook shows it as the last value of a cell."""

    def _repr_png_(self):
        return _png(self)


def _png(figure):
    """The figure as the bytes of a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
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
        Whether the values are ratios, growing over grown: then blue is below 1, orange above, and
        a black line runs where the ratio is 1. Otherwise a darker colour is a lower value.

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
    if ratio:
        axes.contour(x, y, table.T, [1], colors="black", linewidths=1)
    axes.set(xscale="log", yscale="log")
    return mesh


def _edges(centres):
    """The edges of cells around these centres, evenly spaced in the logarithm."""
    logs = np.log(centres)
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
    axes.set(xscale="log", yscale="logit")
    for arm, rows in finals[~finals["diverged"]].groupby("arm"):
        count = len(rows)
        # Some hundred of the trials draw the same line: all at either end, fewer in the middle.
        from_end = np.geomspace(1, count, 200).round()
        ranks = np.unique(np.concatenate([from_end, count + 1 - from_end])).astype(int)
        losses = np.sort(rows[value])[ranks - 1]
        axes.plot(losses, (ranks - 0.5) / count, label=arm, **line_style(arm))

    least, most = axes.get_ylim()
    shown = [part for part in (0.001, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999) if least < part < most]
    plain_ticks(axes.yaxis, shown)
    axes.axhline(0.5, color="black", lw=0.5, zorder=1)
    axes.set(xlabel=f"final {value.replace('_', ' ')} (dimensionless)", ylabel="fraction below")
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
    ends = ends[np.isfinite(ends) & (ends > 0)]
    leftmost, rightmost = min(ends.min(), 1) / 1.1, max(ends.max(), 1) * 1.1

    # An interval that reaches 0 or infinity runs out of the picture.
    within = compared.assign(
        low=compared["low"].clip(lower=leftmost / 2),
        high=compared["high"].clip(upper=rightmost * 2),
    )
    axes.set(xscale="log", xlim=(leftmost, rightmost))
    _plot_intervals(within, axes, list(rows), marks, row, mark, even=1)
    _name_ratios(axes)
    return axes


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


def plot_counts(counts: pd.DataFrame, axes: Axes, other: str = "static") -> Axes:
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


def plot_ratio_table(
    estimates: pd.DataFrame, decided: pd.DataFrame, axes: Axes, most: float = 10.0
) -> Axes:
    """Plot a table of ratios as a heat map with its values in the cells, and return the axes.

    Blue is a ratio below 1 and orange one above. Undecided cells are grey, missing ones empty.

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
    scale = LogNorm(1 / most, most, clip=True)
    for i, name in enumerate(estimates.index):
        for j, column in enumerate(estimates.columns):
            ratio = estimates.loc[name, column]
            if np.isnan(ratio):
                continue
            colour = RATIOS(scale(ratio)) if decided.loc[name, column] else "0.88"
            axes.add_patch(Rectangle((j - 0.5, i - 0.5), 1, 1, facecolor=colour, edgecolor="white"))
            text = f"{ratio:.2f}" if ratio < 10 else f"{ratio:.3g}"
            if ratio < 0.005:
                text = "<.01"
            axes.text(j, i, text, ha="center", va="center", fontsize=8)
    rows, columns = estimates.shape
    axes.set(xlim=(-0.5, columns - 0.5), ylim=(rows - 0.5, -0.5))
    axes.set_yticks(range(rows), estimates.index)
    axes.set_xticks(range(columns), estimates.columns, rotation=45, ha="left")
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    return axes


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

    The class of a point is read off at the nearest point of the grid.

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
    _name_arms(x, y, axes)
    return axes


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

    A line is a weight and a circle a bias; the thickness is the magnitude, up to 3. Red is
    positive; blue and dashed is negative. What a gate shuts is faint, and a gate that opens fills
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
            ls=["-" if weight > 0 else "--" for weight in weights],
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

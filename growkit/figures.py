"""The style of the figures, and the plots that several notebooks share.

Use this module to change how figures look: colours, dashes, sizes, or what is written to a file.
A notebook makes a figure with `new_figure`, plots into its axes, and ends with `save_figure`. The
module imports the checks of arguments from growlib, and from the kit `growkit.statistics` alone.
"""

import io
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

import growlib
from growkit.statistics import in_thousands
from growlib import _choice, _frame, _replacing, _require

_PALETTE = sns.color_palette("colorblind")

COLOURS = {
    "growing": _PALETTE[0],  # blue
    "grown": _PALETTE[1],  # orange
    "static": _PALETTE[7],  # grey
}
DASHES = {"growing": "-", "grown": "--", "static": ":"}  # so that the arms differ without colour

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
    rows: int = 1, columns: int = 1, height: float = 3.2, width: float = 4.2, **options
) -> tuple[Figure, np.ndarray]:
    """Return an empty figure in the style of the collection, and its axes.

    Parameters
    ----------
    rows, columns : int
        Number of axes below and beside each other.
    height, width : float
        Size of each of the axes, in inches.
    **options
        Further arguments of matplotlib's `Figure.subplots`, such as `sharey`.

    Returns
    -------
    figure : Figure
        The figure. Pyplot does not know it, so it need not be closed.
    axes : ndarray of Axes, (rows, columns)
        Its axes, as an array of two dimensions even if there is only one of them.
    """
    with sns.axes_style("ticks"), sns.color_palette("colorblind"):
        figure = Picture(figsize=(width * columns, height * rows), dpi=100, layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False, **options)
    sns.despine(figure)
    return figure, axes


def save_figure(figure: Figure, name: str, scale: str = "quick", folder: str = "") -> None:
    """Write a figure as PNG and as SVG; equal results give files that are equal to the byte.

    Parameters
    ----------
    figure : Figure
        The figure, as `new_figure` returned it.
    name : str
        Name of the two files, without an ending.
    scale : {"quick", "paper"}
        Scale of the results, which selects the folder: `figures/quick/` or `figures/`.
    folder : str
        Another folder for the files; if it is empty, `scale` selects one.

    Raises
    ------
    ValueError
        If the scale is unknown, `figure` is not a figure, or the folder cannot be written.
    """
    _choice("scale", scale, ("quick", "paper"))
    _require(
        isinstance(figure, Figure), "figure", figure, "the figure alone that new_figure returns"
    )

    if folder:
        directory = Path(str(folder))
    elif scale == "quick":
        directory = growlib.HOME / "figures" / "quick"
    else:
        directory = growlib.HOME / "figures"

    # By default matplotlib writes its version and the date, and random names into an SVG.
    metadata = {"png": {"Software": None}, "svg": {"Date": None, "Creator": None}}
    for kind in ("png", "svg"):
        with (
            _replacing(directory / f"{name}.{kind}", "folder") as temporary,
            mpl.rc_context({"svg.hashsalt": "growlib"}),
        ):
            figure.savefig(temporary, format=kind, metadata=metadata[kind], dpi=150)


# ----------------------------------------------------------------------------------- shared plots


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
            color=COLOURS[arm],
            ls=DASHES[arm],
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
        fontsize=7,
    )


def _set_mirrored_scales(axes, values):
    """Make the scales logarithmic, that of the counts alike in both directions."""
    axes.set(xscale="log", yscale="symlog")

    # The counts fill only a part of the height, so that the text in the corners has room.
    limit = 6 * max(abs(end) for end in axes.get_ylim())
    axes.set_ylim(-limit, limit)
    axes.yaxis.set_major_formatter(lambda count, _: f"{abs(count):.0f}")

    # Where the values span few decades, powers of ten alone would be too few ticks.
    few_decades = values.max() < 300 * values.min()
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 3) if few_decades else (1,)))
    axes.xaxis.set_minor_formatter("")

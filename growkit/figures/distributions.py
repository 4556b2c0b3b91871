"""How the final losses of all trials are distributed in each arm.

Open this module for mirrored histograms, as in Figure 3, and for the fraction of networks that end
below a loss.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator

from growkit.figures.style import (
    COLOURS,
    DASHES,
    _require_one_axes,
    _round_ticks,
    line_style,
    plain_ticks,
)
from growkit.statistics import in_thousands
from growlib import _choice, _frame

# --------------------------------------------------------------------------------------- histograms


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


# --------------------------------------------------------------------------- fractions below a loss


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

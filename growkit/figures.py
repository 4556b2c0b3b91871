"""The look of the figures."""

import io
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns

import growlib
from growkit.statistics import in_thousands
from growlib import ARMS, _choice, _frame, _replacing, _require

COLOURS = dict(
    zip(ARMS, (sns.color_palette("colorblind")[i] for i in (0, 1, 7)), strict=True)
)  # blue, orange, grey
DASHES = dict(zip(ARMS, ("-", "--", ":"), strict=True))  # the second cue, for grey print
POSITIVE, NEGATIVE = (
    sns.color_palette("colorblind")[3],
    sns.color_palette("colorblind")[0],
)  # red and blue, as in Figure 1


class Picture(mpl.figure.Figure):
    """A figure apart from pyplot that a notebook shows where it is the last value of a cell."""

    def _repr_png_(self):
        self.savefig(drawn := io.BytesIO(), format="png")
        return drawn.getvalue()


def new_figure(
    rows: int = 1, columns: int = 1, height: float = 3.2, width: float = 4.2, **options
) -> tuple[mpl.figure.Figure, np.ndarray]:
    """Return a figure in the collection's style, apart from pyplot, and its axes (rows, columns).

    Parameters
    ----------
    rows, columns : int
        How many axes, one above and one beside the other.
    height, width : float
        Of each, in inches.
    **options
        Further arguments of matplotlib's `Figure.subplots`.
    """
    with sns.axes_style("ticks"), sns.color_palette("colorblind"):
        figure = Picture(figsize=(width * columns, height * rows), dpi=100, layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False, **options)
    sns.despine(figure)
    return figure, axes


def save_figure(
    figure: mpl.figure.Figure, name: str, scale: str = "quick", folder: str = ""
) -> None:
    """Write the figure as PNG and SVG, the same bytes for the same results.

    Parameters
    ----------
    figure : Figure
        What `new_figure` gave.
    name : str
        Name of the files, without ending.
    scale : {"quick", "paper"}
        Says the folder, `figures/quick/` or `figures/`.
    folder : str
        Another one, unless empty.

    Raises
    ------
    ValueError
        The scale is unknown, the figure is none, or the folder cannot be written.
    """
    (
        _choice("scale", scale, ("quick", "paper")),
        _require(
            isinstance(figure, mpl.figure.Figure), "figure", figure, "what new_figure gave first"
        ),
    )
    into = (
        Path(str(folder))
        if folder
        else growlib.HOME / "figures" / ("quick" if scale == "quick" else "")
    )
    for kind, metadata in (("png", {"Software": None}), ("svg", {"Date": None, "Creator": None})):
        with (
            _replacing(into / f"{name}.{kind}", "folder") as temporary,
            mpl.rc_context({"svg.hashsalt": "growlib"}),
        ):
            figure.savefig(temporary, format=kind, metadata=metadata, dpi=150)


def _one_axes(axes):
    """Say so if the argument `axes` is not a single one."""
    _require(
        isinstance(axes, mpl.axes.Axes),
        "axes",
        type(axes).__name__,
        "one Axes, such as axes[0, 0] of new_figure's",
    )


def plot_histories(
    history: pd.DataFrame, axes: mpl.axes.Axes, y: str = "test_loss"
) -> mpl.axes.Axes:
    """Draw a column over the epochs, an arm a colour and dash: median and middle half of the trials; return the axes.

    Parameters
    ----------
    history : DataFrame
        As of `Run.history`, of one setting; several arms are told apart.
    axes : Axes
        Where to draw.
    y : str
        The column, dimensionless.

    Raises
    ------
    ValueError
        The frame lacks a column, or `axes` is not one Axes.
    """
    (
        _one_axes(axes),
        _frame("history", history, "arm", "epoch", "trial"),
        _choice("y", y, history.select_dtypes("number").columns),
    )
    for arm, part in history.groupby("arm"):
        wide = part.pivot(index="epoch", columns="trial", values=y)
        axes.fill_between(
            wide.index,
            *wide.quantile([0.25, 0.75], axis=1).to_numpy(),
            color=COLOURS[arm],
            alpha=0.15,
            lw=0,
        )
        axes.plot(
            wide.index,
            wide.median(axis=1),
            label=f"{arm}, median of {in_thousands(wide.shape[1])}",
            color=COLOURS[arm],
            ls=DASHES[arm],
        )
    axes.set(xlabel="epoch", ylabel=f"{y.replace('_', ' ')} (dimensionless)")
    axes.legend(frameon=False, fontsize=8)
    return axes


def plot_mirrored(
    finals: pd.DataFrame, axes: mpl.axes.Axes, value: str = "test_loss", below: str = "grown"
) -> mpl.axes.Axes:
    """Draw mirrored log-log histograms (Figure 3): growing above, the arm `below` below; lines mark means, dots medians.

    The count axis is logarithmic in both directions, in trials a bin; diverged trials are left out. Returns the axes.

    Parameters
    ----------
    finals : DataFrame
        As of `Run.finals`, of one setting in both arms.
    axes : Axes
        Where to draw.
    value : str
        The column, dimensionless.
    below : str
        The arm below, "grown" or "static".

    Raises
    ------
    ValueError
        The frame lacks a column or an arm, or `axes` is not one Axes.
    """
    (
        _one_axes(axes),
        _frame("finals", finals, "arm", "diverged"),
        _choice("value", value, finals.select_dtypes("number").columns),
    )
    fine = finals[
        finals["arm"].isin(("growing", _choice("below", below, finals["arm"].unique())))
        & ~finals["diverged"]
    ]
    bins = np.geomspace(fine[value].min(), fine[value].max(), 61 if len(fine) > 2000 else 25)
    for arm, sign in (("growing", 1), (below, -1)):
        values = fine.loc[fine["arm"] == arm, value]
        counts = sign * np.histogram(values, bins)[0]
        axes.stairs(
            counts,
            bins,
            fill=True,
            color=COLOURS[arm],
            alpha=0.75,
            label=arm,
            hatch=None if sign > 0 else "////",
        )
        axes.vlines(values.mean(), 0, sign * abs(counts).max(), color="black", lw=2, ls=DASHES[arm])
        axes.plot(values.median(), sign, "o", color="white", markeredgecolor="black", ms=6)
        axes.annotate(
            f"{arm}, {in_thousands(len(values))}",
            (0.02, 0.5 + 0.47 * sign),
            xycoords="axes fraction",
            va="center",
            color=COLOURS[arm],
        )
    axes.text(
        0.98,
        0.97,
        "line: mean\ndot: median",
        transform=axes.transAxes,
        va="top",
        ha="right",
        fontsize=7,
    )
    axes.axhline(0, color="black", lw=0.8)
    axes.set(
        xscale="log",
        yscale="symlog",
        xlabel=f"final {value.replace('_', ' ')} (dimensionless)",
        ylabel="trials in a bin",
    )
    axes.set_ylim(*(6 * max(map(abs, axes.get_ylim())) * np.array([-1, 1])))
    axes.yaxis.set_major_formatter(lambda count, _: f"{abs(count):.0f}")
    axes.xaxis.set_major_locator(
        mpl.ticker.LogLocator(subs=(1, 3) if fine[value].max() < 300 * fine[value].min() else (1,))
    )
    axes.xaxis.set_minor_formatter("")
    return axes

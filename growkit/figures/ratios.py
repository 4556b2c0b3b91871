"""How one arm compares with another: ratios, probabilities and counts, with their intervals.

Open this module for estimates with a row for each case or as a series along x, for counts of who
wins, and for tables of ratios.
"""

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from growkit.figures.style import COLOURS, PAGE, _require_one_axes, new_figure, plain_ticks
from growlib import _frame, _require

# -------------------------------------------------------------------- estimates and their intervals


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


def plot_ratios(
    compared: pd.DataFrame,
    axes: Axes,
    rows: Iterable[str],
    marks: Mapping[str, tuple],
    row: str = "case",
    mark: str = "condition",
    limits: tuple[float, float] | None = None,
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
    limits : (float, float), optional
        The ratios at the ends of the axis; by default all intervals fit.

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
    leftmost, rightmost = limits or _limits(compared)

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
    columns: int | None = None,
    sharex: bool = False,
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
    columns : int, optional
        Panels beside each other; by default all of them.
    sharex : bool
        Whether all panels have the same axis, so that equal lengths are equal ratios.

    Raises
    ------
    ValueError
        If a column is missing.
    """
    _frame("compared", compared, row, mark)
    rows = list(rows)
    compared = compared[compared[mark].isin(marks)]
    across = columns or max(1, len(panels))
    down = max(1, math.ceil(len(panels) / across))
    height = 0.9 + max(0.38, 0.15 * len(marks)) * len(rows)  # of each row of panels
    figure, axes = new_figure(down, across, height=height, width=PAGE, sharey=True)
    if len(panels) == 0:
        plot_ratios(compared, axes[0, 0], rows, marks, row, mark)
    limits = None
    if sharex:
        limits = _limits(compared[compared["case"].isin(panels) & compared[row].isin(rows)])
    for panel, case in zip(axes.flat, panels, strict=False):
        plot_ratios(compared[compared["case"] == case], panel, rows, marks, row, mark, limits)
        panel.set_title(case)
    for panel in axes.flat[max(1, len(panels)) :]:
        panel.set_axis_off()
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


def _limits(compared):
    """The ends of an axis on which all intervals of ratios, and 1, find room."""
    ends = compared[["estimate", "low", "high"]].to_numpy(dtype=float)
    ends = np.append(ends[np.isfinite(ends) & (ends > 0)], 1)
    return ends.min() / 1.1, ends.max() * 1.1


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
    plain_ticks(axes.xaxis, [number for number in numbers if left < number < right])


# ------------------------------------------------------------------------------------------- counts


def draw_counts(tables: Mapping[str, pd.DataFrame], other: str, group: str) -> Figure:
    """Return a figure of how many conditions favour each arm, a panel for each table.

    A mark is a condition. A row has its blue dots for growing first, then the squares of the other
    arm, and then light rings for what is undecided. One legend stands above the panels.

    Parameters
    ----------
    tables : mapping
        From the title of each panel to a frame. All have the same rows from top to bottom, named by
        their index, with the columns favours_growing, favours_other and undecided.
    other : str
        Column with the other arm of a row, "grown" or another one, which takes the colour of
        static networks.
    group : str
        Column whose changes from row to row a thin line marks.

    Raises
    ------
    ValueError
        If a frame lacks a column.
    """
    first = next(iter(tables.values()))
    figure, axes = new_figure(1, len(tables), height=0.9 + 0.2 * len(first), sharey=True)
    for panel, (title, table) in zip(axes.flat, tables.items(), strict=True):
        _plot_counts(table, panel, other, group)
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


def _plot_counts(counts, axes, other, group):
    """Plot a mark for each condition: who it favours, or that it is undecided."""
    _frame("counts", counts, "favours_growing", "favours_other", "undecided", other, group)
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


# --------------------------------------------------------------------------------- tables of ratios


def draw_ratio_tables(tables: Mapping[str, tuple[pd.DataFrame, pd.DataFrame]]) -> Figure:
    """Return a figure of ratio tables beside each other, which share their rows.

    A decided ratio is bold on a colour, blue below 1 and orange above, the stronger the further it
    is from 1. An undecided one is grey on white. Missing ones are empty.

    Parameters
    ----------
    tables : mapping
        From the title of each panel to two frames with the same index and columns: the ratios, NaN
        where one is missing, and whether the interval of each leaves out 1. The index names the
        rows. Long names of columns are broken after a comma.

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
        _plot_ratio_table(estimates, decided, panel)
        panel.set_xlabel(title)
        if is_long:
            broken = [str(name).replace(", ", ",\n") for name in estimates]
            panel.set_xticks(range(len(broken)), broken, rotation=90)
    return figure


def _plot_ratio_table(estimates, decided, axes):
    """Plot a table of ratios as a heat map with its values in the cells."""
    for i, name in enumerate(estimates.index):
        for j, column in enumerate(estimates.columns):
            ratio = estimates.loc[name, column]
            if np.isnan(ratio):
                continue
            style = {"color": "0.4"}
            face = "white"
            if decided.loc[name, column]:
                face = _colour_of_ratio(ratio)
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


def _colour_of_ratio(ratio):
    """The colour of a decided ratio: blue below 1, orange above, never so pale as to be missed."""
    # The colours are strongest at 10 and beyond, and at 1/10 and below.
    strength = min(abs(np.log(ratio)) / np.log(10.0), 1) if ratio > 0 else 1
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

"""How figures look and how they are made and saved.

Open this module to change colours, dashes, sizes of type, or what is written to a file. All other
modules of the package import from it, and it imports from none of them.
"""

import io
from collections.abc import Iterable
from pathlib import Path

import matplotlib as mpl
import numpy as np
import PIL.Image
import seaborn as sns
from IPython import display
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from growlib import _choice, _replacing, _require

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

# Ratios growing / grown on a map, from growing far ahead (blue) to grown far ahead (orange).
RATIOS = LinearSegmentedColormap.from_list(
    "ratios", [COLOURS["growing"], "white", COLOURS["grown"]]
)

# Positive and negative values: weights in the drawing of a network, and differences on a map. The
# ends of matplotlib's PRGn, since blue and orange are the arms.
SIGNED = "PRGn"
POSITIVE = mpl.colormaps[SIGNED](0.92)[:3]  # green
NEGATIVE = mpl.colormaps[SIGNED](0.08)[:3]  # purple


# -------------------------------------------------------------------------------- making and saving


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


# ----------------------------------------------------------------------------------- lines and axes


def line_style(arm: str) -> dict:
    """Return colour, dash, width and layer of an arm's line, as arguments of `Axes.plot`.

    Raises ValueError if the arm is unknown.
    """
    _choice("arm", arm, COLOURS)
    return {"color": COLOURS[arm], "ls": DASHES[arm], "lw": WIDTHS[arm], "zorder": LAYERS[arm]}


def _plot_course(history, value, epoch, axes):
    """Plot a column of one network of each arm, faint, and up to one epoch, strong."""
    for arm, rows in history.groupby("arm"):
        course = rows.set_index("epoch")[value]
        style = line_style(arm)
        axes.plot(course, **style | {"lw": 0.8, "ls": "-", "alpha": 0.5})
        axes.plot(course.loc[:epoch], label=arm, **style)
        axes.plot(epoch, course[epoch], "o", ms=7, color=style["color"], zorder=style["zorder"])
    axes.set(xlabel="epoch")


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


def _require_one_axes(axes):
    """Raise ValueError if the argument `axes` is not one Axes; `new_figure` returns an array."""
    _require(
        isinstance(axes, Axes),
        "axes",
        type(axes).__name__,
        "one Axes, such as axes[0, 0] of those that new_figure returns",
    )

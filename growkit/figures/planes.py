"""Classes in a plane: the spirals, and the regions that a network finds.

Open this module for the points of the task "spirals", for the class that a network finds at every
point of the plane, and for the points that it gets wrong.
"""

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from scipy import ndimage

from growkit.figures.style import _plot_course, _require_one_axes, new_figure
from growkit.statistics import in_thousands
from growlib import Run, _frame


def _class_colours(classes):
    """A colour for each class, from dark to light, so that they differ in grey, too."""
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
    for k, colour in zip(classes, _class_colours(len(classes)), strict=True):
        axes.plot(*x[:, y == k], ".", ms=3, color=colour)
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
    colours = 0.55 + 0.45 * np.array(_class_colours(len(classes)))
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

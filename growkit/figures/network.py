"""A network that is growing: its weights, its fit and its size at one epoch.

Open this module for the drawing of neurons and weights, as in Figure 1, and for the pictures of the
animation.
"""

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from growkit.figures.style import COLOURS, NEGATIVE, POSITIVE, _require_one_axes, new_figure
from growkit.statistics import in_thousands
from growlib import Growth, Run, layer_shapes, unpack


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

"""Sliders and menus for any function that draws a figure.

Use this module to add a kind of control, or to change how the controls look and behave in
JupyterLab and Voila. It imports one check of arguments from growlib, and from `growkit.figures`
how a figure becomes a PNG.
"""

import asyncio
import inspect
import math
from collections.abc import Callable

import ipywidgets
from IPython.display import Image, Javascript, display
from matplotlib.figure import Figure

from growkit.figures import _png
from growlib import _choice, _require

# The labels of the controls; any other control is labelled with the name of its argument.
LABELS = {
    "coupling": "coupling λ",
    "lr": "learning rate η",
    "start": "start N₀",
    "width": "width H",
    "classes": "classes K",
    "epochs": "epochs E",
}

DELAY = 0.1  # seconds between a change and the new picture, in which further changes may arrive
STEPS_PER_DECADE = 20  # of a logarithmic slider

# Without this, JupyterLab would take letters typed at a control as its shortcuts (x cuts a cell),
# and screen readers would not announce a control by its label.
KEYS = """document.addEventListener("focusin", ({target}) => {
    const label = target.closest("[class*=growlib-]")?.querySelector(".widget-label").textContent
    if (label) target.dataset.lmSuppressShortcuts = "", target.setAttribute("aria-label", label)
})"""


def explore(draw: Callable[..., Figure], **sliders) -> None:
    """Show the figure that a function draws, with a slider or menu for each chosen argument.

    The figure is drawn at once, and again each time a control is let go. When changes follow each
    other quickly, only the last of them is drawn, and the old picture stays until the new one is
    ready.

    Parameters
    ----------
    draw : callable
        Function that returns a matplotlib Figure. Each argument with a control needs a default,
        at which the control starts. If the function raises a ValueError, its message takes the
        place of the picture.
    **sliders
        One control for each argument, by the name of the argument:

        - (low, high) is a slider between two numbers, in steps of equal ratio if both are positive
          and `high` is at least 100 times `low`;
        - (low, high, step) is a slider with steps of that size;
        - a list is a menu of its values.

        Any other value gives the control that `ipywidgets.interact` makes of it.

    Raises
    ------
    ValueError
        If a name in `sliders` is not an argument of `draw`.

    Notes
    -----
    All controls work by keyboard: Tab goes to the next one, the arrow keys move a slider, and
    Space opens a menu.

    Examples
    --------
    >>> def draw(lr=0.01, epochs=1000):
    ...     growth = growlib.AuxiliaryWeight(coupling=1.0)
    ...     run = growlib.fit("bessel-j0", growth, trials=10, lr=lr, epochs=epochs)
    ...     figure, axes = figures.new_figure()
    ...     figures.plot_histories(run.history, axes[0, 0])
    ...     return figure
    >>> widgets.explore(draw, lr=(0.001, 0.1), epochs=[500, 1000, 2000])
    """
    arguments = inspect.signature(draw).parameters
    controls = {}
    for name, choice in sliders.items():
        _choice("the name of a slider", name, arguments)
        controls[name] = _control(name, choice, arguments[name].default)

    explorer = _Explorer(draw, controls)
    explorer.redraw()
    explorer.show()


def _control(name, choice, default):
    """The slider or menu of the argument `name`, at the default of the argument."""
    has_default = default is not inspect.Parameter.empty
    _require(has_default, "the argument of a slider", name, "one that has a default in `draw`")
    is_pair = isinstance(choice, tuple) and len(choice) == 2
    if is_pair and 0 < 100 * choice[0] <= choice[1]:
        takes = "a default above 0, where its slider is logarithmic"
        _require(default > 0, f"the default of {name}", default, takes)
        control = _logarithmic_slider(*choice, default)
    else:
        control = ipywidgets.interactive.widget_from_abbrev(choice, default)

    control.description = LABELS.get(name, name)
    control.tooltip = control.description
    control.continuous_update = False  # the value changes when a slider is let go, not before
    control.layout.width = "100%"
    control.layout.max_width = "30em"
    control.style.description_width = "8em"
    control.add_class(f"growlib-{name}")
    return control


def _logarithmic_slider(low, high, default):
    """A slider from about `low` to about `high`, a whole number of steps away from the default."""

    def exponent(end):
        steps = round(STEPS_PER_DECADE * math.log10(end / default))
        return math.log10(default) + steps / STEPS_PER_DECADE

    return ipywidgets.FloatLogSlider(
        value=default,
        min=exponent(low),
        max=exponent(high),
        step=1 / STEPS_PER_DECADE,
        readout_format=".3g",
    )


class _Explorer:
    """The controls of `explore` and the picture that belongs to their values."""

    def __init__(self, draw, controls):
        self.draw = draw
        self.controls = controls  # by the names of the arguments
        self.busy = ipywidgets.Label()
        self.output = ipywidgets.Output()
        self.scheduled = None  # the timer of the next drawing
        for control in controls.values():
            control.observe(self.schedule, "value")

    def show(self):
        """Display the controls and, below them, the picture."""
        box = ipywidgets.VBox([*self.controls.values(), self.busy, self.output])
        display(box, Javascript(KEYS))

    def schedule(self, _change):
        """Draw after a moment, in which the kernel reads all changes that have already arrived."""
        if self.scheduled is not None:
            self.scheduled.cancel()
        self.scheduled = asyncio.get_running_loop().call_later(DELAY, self.redraw)

    def redraw(self):
        """Draw with the present values, and show the picture or the message of a ValueError."""
        values = {name: control.value for name, control in self.controls.items()}
        self.busy.value = "training ..."
        with self.output.hold_sync():  # the old picture stays until the new one is ready
            self.output.outputs = ()
            try:
                figure = self.draw(**values)
                self.output.append_display_data(Image(_png(figure)))
            except ValueError as error:
                self.output.append_stdout(f"growlib: {error}")
            finally:
                self.busy.value = ""

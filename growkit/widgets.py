"""Sliders and menus for any function that draws a figure.

Use this module to add a kind of control, or to change how the controls look and behave in
JupyterLab and Voila. It imports checks of arguments from growlib, and from
`growkit.figures.style` how a figure becomes a PNG.

A drawing runs in a thread, so that the kernel reads meanwhile which control moves. Widgets are
changed on the kernel's main thread alone: what is sent from another one may get lost.
"""

import asyncio
import base64
import inspect
import io
import math
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar

import ipywidgets
import pandas as pd
from IPython.display import Javascript, display
from matplotlib.collections import QuadMesh
from matplotlib.contour import ContourSet
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from growkit.figures.style import _png
from growlib import _choice, _require

# The labels of the controls; any other control is labelled with the name of its argument.
LABELS = {
    "coupling": "coupling λ",
    "lr": "learning rate η",
    "start": "first size",
    "width": "width H",
    "classes": "classes K",
    "epochs": "epochs E",
}
STEPS_PER_DECADE = 20  # of a logarithmic slider
SLIDERS = (ipywidgets.IntSlider, ipywidgets.FloatSlider, ipywidgets.FloatLogSlider)

# Arguments in proportion to which a training takes longer.
LENGTHS = ("epochs", "steps", "trials", "networks")

# All in seconds.
FAST = 0.25  # what takes less follows a slider while it moves
PAUSE = 0.1  # without a change, before a drawing begins that is not fast
LONG = 1.0  # what takes longer is announced with its length
REST = 0.7  # what a picture stands before the next change makes it the ghost
GLANCE = 0.2  # between two looks at how far a drawing is

GHOST = "0.72"  # light grey

# Without this, JupyterLab would take letters typed at a control as its shortcuts (x cuts a cell),
# and screen readers would not announce a control by its label.
KEYS = """document.addEventListener("focusin", ({target}) => {
    const label = target.closest("[class*=growlib-]")?.querySelector(".widget-label")
    if (target.closest(".growlib")) target.dataset.lmSuppressShortcuts = ""
    if (label) target.setAttribute("aria-label", label.textContent)
})"""

# All drawings of a kernel run in this one thread, since matplotlib is not made for two at a time.
_THREAD = ThreadPoolExecutor(1, "explore")

# The drawing in which this thread is; an explorer that is opened there is shown below its picture.
_DRAWING = ContextVar("drawing", default=None)


def explore(draw: Callable[..., Figure], **sliders) -> None:
    """Show the figure that a function draws, with a slider or menu for each chosen argument.

    The figure is drawn at once, and again when a control changes: while a slider moves if the
    drawing is fast, and otherwise when it is let go. When changes follow each other quickly, only
    the last of them is drawn, and the old picture stays until the new one is ready. In the new one
    the lines of the old one stay as a faint grey ghost.

    The button Reset sets all controls back to their defaults.

    Parameters
    ----------
    draw : callable
        Function that returns a matplotlib Figure. Each argument with a control needs a default,
        at which the control starts. If the function raises a ValueError, its message takes the
        place of the picture. Two arguments without a control have a meaning of their own:

        - `seed`, with a whole number as default, gets the button New seed, which draws with the
          next seed;
        - `progress` gets a function to be called with the fraction done, 0 ... 1, such as
          `growlib.fit(progress=progress)` does. It shows how far a long training is, and raises an
          exception, to end the training, as soon as a control has changed.
    **sliders
        One control for each argument, by the name of the argument:

        - (low, high) is a slider between two numbers, in steps of equal ratio if both are positive
          and `high` is at least 100 times `low`;
        - (low, high, step) is a slider with steps of that size;
        - a list is a menu of its values;
        - a function that returns a list is a menu that depends on other controls: the names of its
          arguments say on which, and their values are passed to it. When the present choice is not
          in a new list, the default of the argument is chosen, or else the first of the list;
        - `upload()` is a button that takes a CSV file, see there.

        Any other value gives the control that `ipywidgets.interact` makes of it.

    Raises
    ------
    ValueError
        If a name in `sliders` is not an argument of `draw`, or its default or that of `seed` does
        not fit, or if a menu depends on an argument that has no control.

    Notes
    -----
    All controls work by keyboard: Tab goes to the next one, the arrow keys move a slider, and
    Space opens a menu.

    `draw` is called in a thread. It makes its figure with `figures.new_figure`, without pyplot, and
    changes nothing outside.

    A panel has a ghost if at the same place of the old figure there was one with the same labels
    and scales at its axes, both have lines through data, and neither has a map or an image.

    Examples
    --------
    >>> def draw(lr=0.01, epochs=1000, seed=0, progress=None):
    ...     growth = growlib.AuxiliaryWeight(coupling=1.0)
    ...     setting = {"trials": 10, "lr": lr, "epochs": epochs, "seed": seed}
    ...     run = growlib.fit("bessel-j0", growth, **setting, progress=progress)
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
    for control in controls.values():
        for name in control.needs:
            _choice(f"what the menu {control.name} depends on", name, controls)

    explorer = _Explorer(draw, controls)
    outer = _DRAWING.get()
    if outer is None:
        explorer.draw_first()
        explorer.display()
    else:
        outer.open(explorer)


def upload() -> ipywidgets.FileUpload:
    """Return a button that takes a CSV file, as the control of an argument in `explore`.

    `draw` gets the table as a DataFrame, with the name of the file, without its ending, in
    `attrs["name"]`. Until a file is chosen, and again after Reset, it gets the default of the
    argument. A file that cannot be read ends in a sentence.

    Examples
    --------
    >>> def draw(table=example, target="y"):
    ...     task = tables.task_from_frame(table, target)
    ...     run = growlib.fit(task, trials=10, epochs=1000)
    ...     figure, axes = figures.new_figure()
    ...     figures.plot_histories(run.history, axes[0, 0])
    ...     return figure
    >>> widgets.explore(draw, table=widgets.upload(), target=lambda table: list(table.columns))
    """
    return ipywidgets.FileUpload(accept=".csv", multiple=False)


# ----------------------------------------------------------------------------------------- controls


def _control(name, choice, default):
    """The control of the argument `name`, at the default of the argument."""
    has_default = default is not inspect.Parameter.empty
    _require(has_default, "the argument of a slider", name, "one that has a default in `draw`")
    if isinstance(choice, ipywidgets.FileUpload):
        return _Upload(name, choice, default)
    if callable(choice):
        return _Menu(name, choice, default)
    is_pair = isinstance(choice, tuple) and len(choice) == 2
    if is_pair and 0 < 100 * choice[0] <= choice[1]:
        takes = "a default above 0, where its slider is logarithmic"
        _require(default > 0, f"the default of {name}", default, takes)
        return _Control(name, _logarithmic_slider(*choice, default))
    control = ipywidgets.interactive.widget_from_abbrev(choice, default)
    if isinstance(control, ipywidgets.FloatSlider):
        control.readout_format = ".3g"  # ipywidgets would show 0.001 as 0.00
    return _Control(name, control)


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


class _Control:
    """A slider or a menu, and the value that it gives to `draw`."""

    needs = ()  # names of the controls on which this one depends

    def __init__(self, name, widget):
        self.name = name
        self.widget = widget
        self.first = widget.value
        widget.description = LABELS.get(name, name)
        widget.tooltip = widget.description
        widget.continuous_update = False  # until a drawing was fast
        widget.layout.width = "100%"
        widget.layout.max_width = "30em"
        widget.style.description_width = "8em"
        widget.add_class(f"growlib-{name}")

    @property
    def value(self):
        return self.widget.value

    def reset(self):
        self.widget.value = self.first

    def adapt(self, **values):
        """Change with the controls on which this one depends."""


class _Menu(_Control):
    """A menu whose choices a function makes of the values of other controls."""

    def __init__(self, name, choices, default):
        super().__init__(name, ipywidgets.Dropdown(options=[default], value=default))
        self.choices = choices
        self.needs = tuple(inspect.signature(choices).parameters)

    def reset(self):
        self.widget.options = [self.first]

    def adapt(self, **values):
        choices = list(self.choices(**values))
        _require(choices, f"the menu {self.name}", choices, "one choice or more")
        if choices != list(self.widget.options):
            wanted = [value for value in (self.value, self.first) if value in choices]
            self.widget.options = choices
            self.widget.value = (wanted + choices)[0]


class _Upload(_Control):
    """A button that takes a CSV file; its value is the table in it, or the default."""

    def __init__(self, name, widget, default):
        super().__init__(name, widget)
        self.default = default
        widget.description += ": choose a CSV file"

    @property
    def value(self):
        if not self.widget.value:
            return self.default
        file = self.widget.value[0]
        try:
            table = pd.read_csv(io.BytesIO(file["content"]))
        except ValueError as error:
            reason = " ".join(str(error).split())  # on one line
            raise ValueError(f"{file['name']} is no CSV file of a table ({reason})") from None
        table.attrs["name"] = file["name"].removesuffix(".csv")
        return table


# -------------------------------------------------------------------------------------------- ghost


def _panels(figure):
    """The axes of a figure and their lines through data, by place and meaning of the axes."""
    panels = {}
    for axes in figure.axes:
        spec = axes.get_subplotspec()
        lines = [line for line in axes.lines if line.get_transform() is axes.transData]
        shows_map = any(isinstance(part, QuadMesh | ContourSet) for part in axes.collections)
        if spec and lines and not axes.images and not shows_map:
            labels = (axes.get_xlabel(), axes.get_ylabel())
            scales = (axes.get_xscale(), axes.get_yscale())
            panels[spec.get_geometry(), labels, scales] = (axes, lines)
    return panels


def _curves(figure):
    """The lines through data of a figure: by their axes, their points and how a copy looks."""
    curves = {}
    for place, (_, lines) in _panels(figure).items():
        curves[place] = []
        for line in lines:
            look = {
                "drawstyle": line.get_drawstyle(),
                "linestyle": line.get_linestyle(),
                "linewidth": 0.7 * line.get_linewidth(),
                "marker": line.get_marker(),
                "markersize": line.get_markersize(),
                "color": GHOST,
                "zorder": 1.5,  # above bands, below lines
            }
            curves[place].append((line.get_xydata(), look))
    return curves


def _png_with_ghost(figure, curves):
    """The figure as a PNG file with earlier curves behind its own, and whether it has any."""
    ghosts = []
    for place, (axes, _) in _panels(figure).items():
        for points, look in curves.get(place, ()):
            if axes.viewLim.count_contains(points):
                # An artist, unlike a line that is plotted, changes neither limits nor legend.
                ghosts.append(axes.add_artist(Line2D(*points.T, **look)))
    png = _png(figure)
    # `draw` may return the same figure again.
    for ghost in ghosts:
        ghost.remove()
    return png, len(ghosts) > 0


# ----------------------------------------------------------------------------------------- drawings


class _Outdated(Exception):
    """Ends a drawing that is no longer wanted."""


class _Drawing:
    """One call of `draw`: how far it is, whether it is still wanted, and what came of it."""

    def __init__(self, explorer, arguments):
        self.draw = explorer.draw
        self.arguments = arguments
        self.ghost = explorer.ghost  # curves of an earlier picture
        self.expected = explorer.expected(arguments)  # seconds
        self.is_inner = explorer.is_inner
        self.wanted = True
        self.began = None  # while it waits for another drawing
        self.fraction = 0.0  # that `draw` has reported
        self.inner = []  # explorers that `draw` has opened
        self.png = b""
        self.curves = {}
        self.has_ghost = False
        self.seconds = 0.0  # that all took

    def run(self):
        """Draw; this may be called on any thread."""
        self.began = time.monotonic()
        token = _DRAWING.set(self)
        try:
            figure = self.draw(**self.arguments)
        finally:
            _DRAWING.reset(token)
        self.report(1.0)
        if figure is not None or not self.inner:
            _require(isinstance(figure, Figure), "what draw returns", figure, "a Figure")
            self.curves = _curves(figure)
            self.png, self.has_ghost = _png_with_ghost(figure, self.ghost)
        self.seconds = self.elapsed()

    def report(self, fraction):
        """Note which fraction is done, and end the drawing if it is no longer wanted."""
        # A fast one may end: it is shown while the hand moves on.
        if not self.wanted and self.elapsed() > FAST:
            raise _Outdated
        self.fraction = float(fraction)

    def open(self, explorer):
        """Take an explorer that `draw` opens, to show it below the picture."""
        if self.is_inner:
            raise ValueError("explore was called inside two others; it takes one other at most")
        explorer.is_inner = True
        self.inner.append(explorer)

    def elapsed(self):
        """Return for how many seconds it has run."""
        if self.began is None:
            return 0.0
        return time.monotonic() - self.began

    def state(self):
        """Return in words how long it takes; if it is fast, no words, which would only flicker."""
        seconds = max(self.elapsed(), self.expected)
        if seconds <= FAST:
            return ""
        words = "training" if "progress" in self.arguments else "drawing"
        if seconds < LONG:
            return f"{words} ..."
        words += f", about {seconds:.0f} s"
        if self.fraction:
            words += f", {100 * self.fraction:.0f} % done"
        return words


# ----------------------------------------------------------------------------------------- explorer


class _Explorer:
    """The controls of `explore` and the picture that belongs to their values."""

    def __init__(self, draw, controls):
        self.draw = draw
        self.controls = controls  # by the names of the arguments
        self.is_inner = False
        self.changed = False  # whether a control has changed since the last drawing began
        self.changed_at = 0.0
        self.settling = False  # whether controls adapt to each other, which is no change
        self.task = None  # draws until the picture belongs to the present values
        self.drawing = None  # the one under way, or else the last one
        self.shown = None  # the drawing whose picture is shown
        self.shown_at = 0.0
        self.ghost = {}

        arguments = inspect.signature(draw).parameters
        self.reports = "progress" in arguments and "progress" not in controls
        self.seed = None
        if "seed" in arguments and "seed" not in controls:
            self.seed = arguments["seed"].default
            is_whole = isinstance(self.seed, int)
            _require(is_whole, "the default of seed", self.seed, "a whole number")
        self.first_seed = self.seed

        self.status = ipywidgets.Label()
        self.output = ipywidgets.Output()
        self.below = ipywidgets.VBox()  # explorers inside this one
        self.box = self.laid_out()
        for control in controls.values():
            control.widget.observe(self.change, "value")

    def laid_out(self):
        """The controls side by side where there is room, the buttons, and the picture below."""
        buttons = [_button("Reset", "Set all controls to their defaults", self.reset)]
        if self.seed is not None:
            buttons.append(_button("New seed", "Draw with the next seed", self.new_seed))
        wrap = ipywidgets.Layout(flex_flow="row wrap", max_width="62em")
        widgets = [control.widget for control in self.controls.values()]
        parts = [
            ipywidgets.Box(widgets, layout=wrap),
            ipywidgets.Box([*buttons, self.status], layout=wrap),
            self.output,
            self.below,
        ]
        box = ipywidgets.VBox(parts)
        box.add_class("growlib")
        return box

    def display(self):
        """Display the controls and the picture; where no kernel runs, the picture stays."""
        bundle = self.box._repr_mimebundle_() | {"text/plain": "Run this cell to see the controls."}
        if self.shown and self.shown.png:
            bundle["image/png"] = _encoded(self.shown.png)
        display(bundle, raw=True)
        display(Javascript(KEYS))

    # What a person does.

    def change(self, _event=None):
        """Draw the present values, at once or when the drawing under way has ended."""
        if self.settling:
            return
        self.changed = True
        self.changed_at = time.monotonic()
        # The ghost is the picture before the hand began to move, not that of the step before.
        if self.shown and (self.changed_at - self.shown_at > REST or not self.ghost):
            self.ghost = self.shown.curves
        self.leave()
        if self.task is None or self.task.done():
            self.task = asyncio.get_running_loop().create_task(self.follow())

    def reset(self, _button):
        """Set all controls back to their defaults."""
        self.seed = self.first_seed
        for control in self.controls.values():
            control.reset()
        self.change()

    def new_seed(self, _button):
        """Draw with the next seed."""
        self.seed += 1
        self.change()

    def leave(self):
        """Let the drawing under way end, here and in the explorers inside."""
        if self.drawing:
            self.drawing.wanted = False
            for explorer in self.drawing.inner:
                explorer.leave()

    # What is drawn.

    def begin(self):
        """Begin a drawing of the present values, after each control has adapted to the others."""
        self.changed = False
        self.settling = True
        try:
            for control in self.controls.values():
                control.adapt(**{name: self.controls[name].value for name in control.needs})
            arguments = {name: control.value for name, control in self.controls.items()}
        finally:
            self.settling = False
        self.drawing = _Drawing(self, arguments)
        if self.seed is not None:
            arguments["seed"] = self.seed
        if self.reports:
            arguments["progress"] = self.drawing.report

    def expected(self, arguments):
        """Return how many seconds a drawing will take, going by the one that is shown."""
        if self.shown is None:
            return 0.0
        seconds = self.shown.seconds
        for name in LENGTHS:
            if isinstance(arguments.get(name), int):
                seconds *= arguments[name] / max(self.shown.arguments[name], 1)
        return seconds

    def draw_first(self):
        """Draw on the present thread; an error that is not a ValueError ends the cell."""
        try:
            self.begin()
            self.drawing.run()
            self.show()
            for explorer in self.drawing.inner:
                explorer.draw_first()
        except ValueError as error:
            self.say(error)

    async def follow(self):
        """Draw until the picture belongs to the present values."""
        while self.changed:
            try:
                await self.pause()
                self.begin()
                await self.watch()
                self.show()
                for explorer in self.drawing.inner:
                    explorer.change()
            except _Outdated:
                pass
            except ValueError as error:
                self.say(error)
            except Exception as error:
                self.fail(error)

    async def pause(self):
        """Wait until the controls stand still, unless the last drawing was fast."""
        is_fast = self.shown and self.shown.seconds <= FAST
        while not is_fast and time.monotonic() < self.changed_at + PAUSE:
            await asyncio.sleep(PAUSE / 4)

    async def watch(self):
        """Let the thread draw, and tell how far it is."""
        running = asyncio.get_running_loop().run_in_executor(_THREAD, self.drawing.run)
        while not running.done():
            self.status.value = self.drawing.state()
            await asyncio.wait([running], timeout=GLANCE)
        running.result()

    # What is shown.

    def show(self):
        """Show the picture that was drawn, and the explorers that `draw` has opened."""
        self.shown = self.drawing
        self.shown_at = time.monotonic()
        outputs = []
        if self.shown.png:
            data = {"image/png": _encoded(self.shown.png)}
            outputs.append({"output_type": "display_data", "data": data, "metadata": {}})
        words = []
        if self.seed is not None:
            words.append(f"seed {self.seed}")
        if self.shown.has_ghost:
            words.append("grey: the picture before")
        self.tell(outputs, ", ".join(words))
        self.below.children = [explorer.box for explorer in self.shown.inner]
        for control in self.controls.values():
            if isinstance(control.widget, SLIDERS):
                control.widget.continuous_update = self.shown.seconds <= FAST

    def say(self, error):
        """Show the sentence of a ValueError in place of the picture."""
        text = f"growlib: {error}"
        self.tell([{"output_type": "stream", "name": "stdout", "text": text}])

    def fail(self, error):
        """Show any other error in place of the picture."""
        lines = "".join(traceback.format_exception(error)).splitlines()
        about = {"ename": type(error).__name__, "evalue": str(error), "traceback": lines}
        self.tell([{"output_type": "error", **about}])

    def tell(self, outputs, status=""):
        """Replace the picture, and the words beside the buttons."""
        self.output.outputs = outputs
        self.status.value = status


def _button(text, tooltip, click):
    """A button with this text that calls a function when it is clicked."""
    button = ipywidgets.Button(description=text, tooltip=tooltip, layout={"width": "auto"})
    button.on_click(click)
    return button


def _encoded(png):
    """The bytes of a PNG file as a notebook keeps them."""
    return base64.b64encode(png).decode()

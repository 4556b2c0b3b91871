"""Sliders on any function that draws."""

import asyncio
import inspect
import math
from collections.abc import Callable

import matplotlib as mpl

from growkit.figures import Picture
from growlib import _choice

LABELS = {
    "coupling": "coupling λ",
    "lr": "learning rate η",
    "start": "start N₀",
    "width": "width H",
    "classes": "classes K",
    "epochs": "epochs E",
}


# a control keeps its keys, which JupyterLab would take as its shortcuts, and is read aloud with its name
KEYS = """document.addEventListener("focusin", ({target}) => {
    const label = target.closest("[class*=growlib-]")?.querySelector(".widget-label").textContent
    if (label) target.dataset.lmSuppressShortcuts = "", target.setAttribute("aria-label", label)
})"""


def explore(draw: Callable[..., mpl.figure.Figure], **sliders) -> None:
    """Show `draw` with a control for each argument in `sliders`; letting one go trains and draws again.

    A pair (low, high) of numbers gives a slider in between, logarithmic where low and high differ a hundredfold;
    a list gives a menu. Only the last of quick changes is drawn. A ValueError is shown as its sentence. By keyboard: Tab
    reaches a control, arrows move a slider, Space opens a menu. ValueError where a name in `sliders` is no argument of `draw`.
    """
    import ipywidgets
    from IPython.display import Image, Javascript, display

    controls, output, busy, waiting, known = (
        {},
        ipywidgets.Output(),
        ipywidgets.Label(),
        [],
        inspect.signature(draw).parameters,
    )

    def redraw():
        busy.value = "training ..."
        with output.hold_sync():  # what is there stays until the new picture is
            output.outputs = ()
            try:
                output.append_display_data(
                    Image(
                        Picture._repr_png_(
                            draw(**{name: control.value for name, control in controls.items()})
                        )
                    )
                )
            except ValueError as error:
                output.append_stdout(f"growlib: {error}")
            finally:
                busy.value = ""

    def later(_):
        [handle.cancel() for handle in waiting]
        waiting[:] = [
            asyncio.get_running_loop().call_later(0.1, redraw)
        ]  # by then all further changes are read

    for name, choice in sliders.items():
        default = known[_choice("the name of a slider", name, known)].default
        if isinstance(choice, tuple) and 0 < 100 * choice[0] <= choice[1]:
            low, high = (
                math.log10(default) + round(20 * math.log10(end / default)) / 20 for end in choice
            )  # the default is on a step
            choice = ipywidgets.FloatLogSlider(
                value=default, min=low, max=high, step=0.05, readout_format=".3g"
            )
        controls[name] = control = ipywidgets.interactive.widget_from_abbrev(choice, default)
        control.description = control.tooltip = LABELS.get(name, name)
        control.continuous_update = False
        control.layout.width, control.layout.max_width, control.style.description_width = (
            "100%",
            "30em",
            "8em",
        )
        control.add_class(f"growlib-{name}").observe(later, "value")
    redraw()
    display(ipywidgets.VBox([*controls.values(), busy, output]), Javascript(KEYS))

"""What the parameters of a notebook may be.

A notebook calls `check` in the cell after its parameters, so that plain papermill stops there with
one sentence. `tools/notebooks.py` makes the same check before it starts a kernel. To give a
notebook a parameter of a new name, add a line to one of the tables below. This module imports
nothing of the project, so that a mistake is reported at once.
"""

import math
from collections.abc import Mapping

SCALES = ("paper", "quick")
TEXTS = ("folder",)

# The lowest value of each parameter that is a whole number.
WHOLE = {
    "trials": 1,
    "networks": 1,
    "models": 1,
    "epochs": 1,
    "points": 16,
    "width": 1,
    "classes": 2,
    "resamples": 100,  # fewer give no 95 % interval
    "seed": 0,
    "trial": 0,
}

# Numbers, which must be above this value.
ABOVE = {
    "lr": 0,
    "target_size": 0,
    "coupling": 0,  # without it a size that starts at 0 stays there
}

# Numbers, which must be at least this value.
AT_LEAST = {
    "noise": 0,
}


def check(most: Mapping[str, float] | None = None, **values) -> None:
    """Refuse the first value that its parameter does not take, with a sentence that names it.

    Parameters
    ----------
    most : mapping, optional
        The largest value of some parameters, by name.
    **values
        The parameters of a notebook, by name.

    Raises
    ------
    ValueError
        If a value is of another kind, out of range, or of a parameter that no table here lists.
    """
    limits = most or {}
    for name, value in values.items():
        _check_one(name, value, limits.get(name, math.inf))


def _check_one(name, value, most):
    """Refuse a value that the parameter `name` does not take."""
    if name == "scale":
        _require(isinstance(value, str) and value in SCALES, name, value, " or ".join(SCALES))
    elif name in TEXTS:
        _require(isinstance(value, str), name, value, "a text")
    elif name in WHOLE:
        low = WHOLE[name]
        is_whole = isinstance(value, int) and not isinstance(value, bool)
        takes = f"a whole number of at least {low}"
        if most < math.inf:
            takes = f"a whole number from {low} to {most}"
        _require(is_whole and low <= value <= most, name, value, takes)
    elif name in ABOVE:
        low = ABOVE[name]
        fine = _is_number(value) and low < value <= most
        _require(fine, name, value, f"a number above {low}{_at_most(most)}")
    elif name in AT_LEAST:
        low = AT_LEAST[name]
        fine = _is_number(value) and low <= value <= most
        _require(fine, name, value, f"a number of at least {low}{_at_most(most)}")
    else:
        raise ValueError(f"{name!r} is in no table of growkit.parameters")


def _at_most(most):
    """The words that name a largest value, if there is one."""
    if most == math.inf:
        return ""
    return f" and of at most {most:g}"


def _is_number(value):
    """Whether this is a finite number, and not true or false."""
    is_real = isinstance(value, int | float) and not isinstance(value, bool)
    return is_real and math.isfinite(value)


def _require(fine, name, value, takes):
    """Raise "name is value; it takes ..." unless `fine` is true."""
    # growlib has the same function; importing it would load torch, which takes seconds.
    if not fine:
        raise ValueError(f"{name} is {value!r}; it takes {takes}")

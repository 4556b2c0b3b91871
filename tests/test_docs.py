"""Every public name of the module says what it must, in numpydoc's form."""

import ast
import dataclasses
import inspect
import itertools
import re
import textwrap

import pytest
from numpydoc.validate import ALLOWED_SECTIONS, ERROR_MSGS, validate

import growlib
from growkit import figures, statistics, studies, surgery, tables, widgets

MODULES = (growlib, figures, statistics, studies, surgery, tables, widgets)
# All of numpydoc's checks but five that want a section in every docstring: one line may be enough. An undocumented parameter, PR01,
# counts where there is a Parameters section; the tests below say where one must be.
CHECKS = {*ERROR_MSGS} - {"ES01", "SA01", "EX01", "RT01", "YD01"}
CHECKERS = {"_require", "_choice", "_whole", "_number", "_frame"}  # they raise ValueError
SIZE = r"\w+(?: \+ \w+)?"
SHAPE = re.compile(rf"\({SIZE},(?: {SIZE},?)*\)|any shape")  # (T,), (1 + inputs, neurons, T)


def functions(cls):
    """The public methods and properties that a class of the module defines itself."""
    for name, value in vars(cls).items():
        function = value.fget if isinstance(value, property) else value
        if (
            not name.startswith("_")
            and inspect.isfunction(function)
            and function.__module__ == cls.__module__
        ):
            yield f"{cls.__name__}.{name}", function


def public():
    for module in MODULES:
        for name, value in vars(module).items():
            own = getattr(value, "__module__", "") == module.__name__ and hasattr(
                value, "__qualname__"
            )
            if own and not name.startswith("_"):
                yield name, inspect.unwrap(value)
                yield from functions(value) if inspect.isclass(value) else ()


PUBLIC = dict(public())
FUNCTIONS = {name: value for name, value in PUBLIC.items() if not inspect.isclass(value)}
FIELDS = {name: value for name, value in PUBLIC.items() if dataclasses.is_dataclass(value)}


def tree(function):
    return ast.parse(textwrap.dedent(inspect.getsource(function)))


def test_the_public_names_are_found():
    assert {
        "fit",
        "Task",
        "Task.draw",
        "Task.classes",
        "Run.predict",
        "ControllerMask.gate",
        "has_compiler",
        "explore",
    } <= set(PUBLIC)
    assert "np" not in PUBLIC and "Picture.set" not in PUBLIC and "Run.finals" not in PUBLIC


@pytest.mark.parametrize("name", PUBLIC)
def test_a_docstring_has_numpydocs_form(name):
    doc = inspect.getdoc(PUBLIC[name]) or ""
    wanted = CHECKS if "\nParameters\n" in doc else CHECKS - {"PR01"}
    assert not [
        error
        for error in validate(f"{PUBLIC[name].__module__}.{name}")["errors"]
        if error[0] in wanted
    ]
    first, *_ = doc.splitlines()
    assert first.endswith(".") and not re.search(r"[.!?] [A-Z`]", first), (
        "one sentence on the first line"
    )
    for title, line in itertools.pairwise(doc.splitlines()):
        if title in ALLOWED_SECTIONS or (line and set(line) == {"-"}):
            assert title in ALLOWED_SECTIONS and line == "-" * len(title), title


@pytest.mark.parametrize("name", FUNCTIONS)
def test_arguments_are_named(name):
    """Three or more stand under Parameters; of one or two the words may tell, each by its name."""
    doc, names = (
        inspect.getdoc(FUNCTIONS[name]),
        [each for each in inspect.signature(FUNCTIONS[name]).parameters if each != "self"],
    )
    assert len(names) < 3 or "\nParameters\n" in doc
    assert not [each for each in names if not re.search(rf"\b{each}s?\b", doc)]


@pytest.mark.parametrize("name", FIELDS)
def test_fields_are_told(name):
    """In the docstring, or by a comment behind them."""
    doc, lines = inspect.getdoc(FIELDS[name]), inspect.getsource(FIELDS[name]).splitlines()
    told = {line.split(":")[0].strip() for line in lines if re.match(r" {4}\w+: .*  # ", line)}
    assert not [
        each
        for each in FIELDS[name].__annotations__
        if each not in told and not re.search(rf"\b{each}\b", doc)
    ]


@pytest.mark.parametrize("name", PUBLIC)
def test_refusals_are_told(name):
    """What checks its arguments itself says that it raises ValueError, and where."""
    value = PUBLIC[name]
    function = vars(value).get("__post_init__") if inspect.isclass(value) else value
    used = (
        {node.id for node in ast.walk(tree(function)) if isinstance(node, ast.Name)}
        if function
        else set()
    )
    assert not used & {*CHECKERS, "ValueError"} or "ValueError" in inspect.getdoc(value)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_arrays_have_their_shapes_told(name):
    """What takes or returns a Tensor or an ndarray names a shape, in brackets."""
    hints = inspect.get_annotations(FUNCTIONS[name])
    assert not any(
        kind in str(hint) for hint in hints.values() for kind in ("Tensor", "ndarray")
    ) or SHAPE.search(inspect.getdoc(FUNCTIONS[name]))

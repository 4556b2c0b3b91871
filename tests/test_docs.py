"""Every public name of the module and of the kit is documented, in numpydoc's form."""

import ast
import dataclasses
import functools
import importlib
import inspect
import itertools
import pkgutil
import re
import textwrap

import pytest
from numpydoc.validate import ALLOWED_SECTIONS, ERROR_MSGS, validate

import growlib
from growkit import figures, parameters, statistics, studies, surgery, tables, widgets

PLOTS = tuple(
    importlib.import_module(f"growkit.figures.{each.name}")
    for each in pkgutil.iter_modules(figures.__path__)
)
MODULES = (growlib, *PLOTS, parameters, statistics, studies, surgery, tables, widgets)
# These five of numpydoc's checks want a section in every docstring, where one line may be enough.
NOT_WANTED = {"ES01", "SA01", "EX01", "RT01", "YD01"}
# An undocumented parameter counts where there is a section Parameters; the tests below say where
# there must be one.
UNDOCUMENTED_PARAMETER = "PR01"
CHECKERS = {"_require", "_choice", "_whole", "_wholes", "_number", "_frame"}  # raise ValueError
SIZE = r"\w+(?: \+ \w+)?"
SHAPE = re.compile(rf"\({SIZE},(?: {SIZE},?)*\)|any shape")  # (T,), (1 + inputs, neurons, T)


def public():
    """Return the public functions, classes and methods that the modules define, by name."""
    found = {}
    for module in MODULES:
        for name, value in vars(module).items():
            its_own = getattr(value, "__module__", "") == module.__name__
            if its_own and hasattr(value, "__qualname__") and not name.startswith("_"):
                found[name] = inspect.unwrap(value)
                if inspect.isclass(value):
                    found |= methods(value)
    return found


def methods(owner):
    """Return the public methods and properties that a class defines itself, by name."""
    found = {}
    for name, value in vars(owner).items():
        function = value
        if isinstance(value, property):
            function = value.fget
        elif isinstance(value, functools.cached_property):
            function = value.func
        if name.startswith("_") or not inspect.isfunction(function):
            continue
        if function.__module__ == owner.__module__:  # and not made by dataclass or the like
            found[f"{owner.__name__}.{name}"] = function
    return found


PUBLIC = public()
FUNCTIONS = {name: value for name, value in PUBLIC.items() if not inspect.isclass(value)}
DATACLASSES = {name: value for name, value in PUBLIC.items() if dataclasses.is_dataclass(value)}


def test_the_public_names_are_found():
    assert {
        "fit",
        "Task",
        "Task.draw",
        "Task.classes",
        "Run.predict",
        "ControllerMask.gate",
        "Growth.events",
        "explore",
    } <= PUBLIC.keys()
    assert not {"np", "Picture.set", "Run.finals"} & PUBLIC.keys()


def test_every_public_name_of_the_figures_can_be_used_from_the_package():
    modules = {module.__name__ for module in PLOTS}
    defined = {name for name, value in PUBLIC.items() if value.__module__ in modules}
    constants = {
        name
        for name, value in vars(figures.style).items()
        if name.isupper() and name[0] != "_" and not inspect.ismodule(value)
    }
    assert set(figures.__all__) == defined | constants


@pytest.mark.parametrize("name", PUBLIC)
def test_a_docstring_has_numpydocs_form(name):
    text = inspect.getdoc(PUBLIC[name]) or ""
    wanted = ERROR_MSGS.keys() - NOT_WANTED
    if "\nParameters\n" not in text:
        wanted -= {UNDOCUMENTED_PARAMETER}
    errors = validate(f"{PUBLIC[name].__module__}.{name}")["errors"]
    assert not [error for error in errors if error[0] in wanted]

    first, *_ = text.splitlines()
    assert first.endswith("."), "the first line is a sentence"
    assert not re.search(r"[.!?] [A-Z`]", first), "the first line is one sentence"
    for title, line in itertools.pairwise(text.splitlines()):
        underlined = line and set(line) == {"-"}
        if title in ALLOWED_SECTIONS or underlined:
            assert title in ALLOWED_SECTIONS, title
            assert line == "-" * len(title), title


@pytest.mark.parametrize("name", FUNCTIONS)
def test_arguments_are_named(name):
    """Three or more stand under Parameters; one or two may be named in the text alone."""
    text = inspect.getdoc(FUNCTIONS[name])
    names = [each for each in inspect.signature(FUNCTIONS[name]).parameters if each != "self"]
    assert len(names) < 3 or "\nParameters\n" in text
    for each in names:
        assert re.search(rf"\b{each}s?\b", text), each


@pytest.mark.parametrize("name", DATACLASSES)
def test_fields_are_explained(name):
    """A field is named in the docstring, or has a comment behind or above it."""
    text = inspect.getdoc(DATACLASSES[name])
    commented = commented_fields(DATACLASSES[name])
    for field in DATACLASSES[name].__annotations__:
        assert field in commented or re.search(rf"\b{field}\b", text), field


def commented_fields(owner):
    source = textwrap.dedent(inspect.getsource(owner))
    lines = source.splitlines()
    found = set()
    for node in ast.parse(source).body[0].body:
        if isinstance(node, ast.AnnAssign):
            above = lines[node.lineno - 2].strip()
            behind = lines[node.end_lineno - 1].encode()[node.end_col_offset :].decode().strip()
            if above.startswith("#") or behind.startswith("#"):
                found.add(node.target.id)
    return found


@pytest.mark.parametrize("name", PUBLIC)
def test_what_checks_its_arguments_says_that_it_raises_value_error(name):
    function = PUBLIC[name]
    if inspect.isclass(function):
        function = vars(function).get("__post_init__")
        if function is None:
            return
    program = ast.parse(textwrap.dedent(inspect.getsource(function)))
    used = {node.id for node in ast.walk(program) if isinstance(node, ast.Name)}
    if used & {*CHECKERS, "ValueError"}:
        assert "ValueError" in inspect.getdoc(PUBLIC[name])


@pytest.mark.parametrize("name", FUNCTIONS)
def test_arrays_have_their_shapes_in_brackets(name):
    hints = map(str, inspect.get_annotations(FUNCTIONS[name]).values())
    if any("Tensor" in hint or "ndarray" in hint for hint in hints):
        assert SHAPE.search(inspect.getdoc(FUNCTIONS[name]))

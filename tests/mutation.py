"""Mutation testing: change one small place of a function at a time and see whether a test fails.

    python tests/mutation.py [FUNCTION ...]      the named functions, or all

tests/mutation.toml names the functions, the module of each (growlib unless it says another), and
the tests that should fail. A mutant is a copy of a function in which one comparison, operator,
number, condition or returned value differs, or from which one statement is missing. The tests run
on each mutant in a forked process, with numba's compiler off: the loops run as plain Python, a few
networks at a time. A mutant that makes a test fail is noticed.

.cache/mutation.json keeps the results. A noticed mutant is not tried again until its function
changes. tests/MUTATION.md lists the mutants that no test noticed, each with the reason that
tests/mutation.toml gives for it under `lives`.
"""

import ast
import copy
import gc
import importlib
import json
import os
import resource
import signal
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pytest

import growlib

HERE = Path(__file__).resolve().parent
SETTINGS = HERE / "mutation.toml"
KEPT = HERE.parent / ".cache" / "mutation.json"
REPORT = HERE / "MUTATION.md"
CPU_SECONDS = 60  # a mutant whose tests take longer counts as noticed,
SECONDS = 300  # or, if it waits for something that never happens, after these

SWAPS = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.Add: (ast.Sub,),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.Div,),
    ast.Div: (ast.Mult,),
    ast.Pow: (ast.Mult,),
    ast.FloorDiv: (ast.Div,),
    ast.Mod: (ast.Mult,),
    ast.BitAnd: (ast.BitOr,),
    ast.BitOr: (ast.BitAnd,),
    ast.And: (ast.Or,),
    ast.Or: (ast.And,),
}


# ------------------------------------------------------------------------------------------ mutants


class Place(NamedTuple):
    """A node of a syntax tree and where its parent holds it: a field, or a place in a list."""

    node: ast.AST
    parent: ast.AST
    field: str
    index: int | None

    def put(self, other: ast.AST) -> None:
        """Replace the node by another one."""
        if self.index is None:
            setattr(self.parent, self.field, other)
        else:
            getattr(self.parent, self.field)[self.index] = other


class Mutant(NamedTuple):
    """A changed function and, as text, its change."""

    change: str
    function: ast.FunctionDef


def mutants(function: ast.FunctionDef) -> Iterator[Mutant]:
    """Yield every mutant of a function, with a number after a change that occurs repeatedly."""
    seen = Counter()
    for number, place in enumerate(places(function)):
        for other in replacements(place.node):
            mutant = copy.deepcopy(function)
            copied = list(places(mutant))[number]
            copied.put(other)

            change = described(place, copied.parent, other)
            seen[change] += 1
            if seen[change] > 1:
                change += f" ({seen[change]})"
            yield Mutant(change, ast.fix_missing_locations(mutant))


def places(tree: ast.AST) -> Iterator[Place]:
    """Yield the places of all nodes below `tree` that may be changed."""
    for parent in ast.walk(tree):
        # strict=True only guards against a mistake that the present code does not make.
        if isinstance(parent, ast.keyword) and parent.arg == "strict":
            continue
        for field, value in ast.iter_fields(parent):
            # Annotations change nothing when the code runs.
            if field in ("annotation", "returns"):
                continue
            if isinstance(value, ast.AST):
                yield Place(value, parent, field, None)
            elif isinstance(value, list):
                for index, node in enumerate(value):
                    if isinstance(node, ast.AST):
                        yield Place(node, parent, field, index)


def replacements(node: ast.AST) -> list[ast.AST]:
    """Return the nodes that mutants have in place of this one."""
    if isinstance(node, ast.Compare):
        swaps = SWAPS[type(node.ops[0])]
        return [changed(node, ops=[swap(), *node.ops[1:]]) for swap in swaps]
    if isinstance(node, ast.BinOp | ast.BoolOp | ast.AugAssign):
        return [changed(node, op=swap()) for swap in SWAPS.get(type(node.op), ())]
    if isinstance(node, ast.UnaryOp):
        return [node.operand]
    if isinstance(node, ast.Constant):
        return other_constants(node.value)
    if isinstance(node, ast.If | ast.IfExp):
        return [changed(node, test=ast.UnaryOp(ast.Not(), node.test))]
    if isinstance(node, ast.Return) and node.value:
        return [ast.Return(ast.Constant(None))]
    # A statement that is an expression is left out, unless it is a docstring.
    if isinstance(node, ast.Expr) and not isinstance(node.value, ast.Constant):
        return [ast.Pass()]
    return []


def changed(node: ast.AST, **new_fields) -> ast.AST:
    """Return a node with the fields of this one, except for the new ones."""
    return type(node)(**dict(ast.iter_fields(node)) | new_fields)


def other_constants(value) -> list[ast.AST]:
    """Return the constants that replace this one: the other truth value, or the next numbers."""
    if isinstance(value, bool):
        return [ast.Constant(not value)]
    if isinstance(value, int | float):
        return [ast.Constant(value + 1), ast.Constant(value - 1)]
    return []


def described(place: Place, changed_parent: ast.AST, other: ast.AST) -> str:
    """Return a change as text, such as "a < b → a <= b"."""
    # A number alone would not tell which one it is, so the expression around it is shown.
    in_parent = isinstance(place.node, ast.Constant) and not isinstance(place.parent, ast.arguments)
    before = ast.unparse(place.parent if in_parent else place.node)
    if isinstance(other, ast.Pass):
        after = "pass"
    else:
        after = ast.unparse(changed_parent if in_parent else other)
    return " ".join(f"{before[:150]} → {after[:150]}".split())


# ----------------------------------------------------------------------------------- trying mutants


@dataclass(frozen=True)
class Target:
    """A function to mutate, the module it stands in, its owner, and the tests that should fail.

    The owner is the module, or of a method its class.
    """

    module: ModuleType
    owner: ModuleType | type
    function: ast.FunctionDef
    tests: list[str]

    @property
    def source(self) -> str:
        """The text of the function without comments and layout."""
        return ast.unparse(self.function)


def find(name: str, settings: dict) -> Target:
    """Return the function that tests/mutation.toml calls `name`: "function" or "Class.method"."""
    module = importlib.import_module(settings.get("module", "growlib"))
    owner = module
    scope = ast.parse(Path(module.__file__).read_text())
    *classes, last = name.split(".")
    for class_name in classes:
        scope = definition(scope, ast.ClassDef, class_name)
        owner = getattr(owner, class_name)
    function = definition(scope, ast.FunctionDef, last)
    return Target(module, owner, function, [f"{HERE}/{test}" for test in settings["tests"]])


def definition(scope: ast.AST, kind: type, name: str) -> ast.AST:
    """Return the class or function of this name that the body of `scope` defines."""
    for node in scope.body:
        if isinstance(node, kind) and node.name == name:
            return node
    sys.exit(f"tests/mutation.toml names {name}, which its module does not define")


def is_noticed(target: Target, function: ast.FunctionDef) -> bool:
    """Return whether a test fails, or takes too long, with `function` in place of the target's."""
    child = os.fork()
    if child == 0:
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
        signal.alarm(SECONDS)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        install(target, function)
        os._exit(pytest.main(["-x", "-q", "-p", "no:cacheprovider", *target.tests]))
    _, status = os.waitpid(child, 0)
    return status != 0


def install(target: Target, function: ast.FunctionDef) -> None:
    """Define `function` in the target's module, wherever the original is known by its name."""
    defined = {}
    exec(compile(ast.Module([function], []), "mutant", "exec"), vars(target.module), defined)
    mutant = defined[function.name]
    original = vars(target.owner)[function.name]
    setattr(target.owner, function.name, mutant)
    # Other modules, those of the tests among them, may have imported the function by its name.
    for module in list(sys.modules.values()):
        if getattr(module, "__dict__", {}).get(function.name) is original:
            setattr(module, function.name, mutant)


def tried(target: Target, known: dict[str, bool]) -> dict[str, bool]:
    """Return for each change whether a test notices it; `known` holds earlier results."""
    return {
        mutant.change: known.get(mutant.change) or is_noticed(target, mutant.function)
        for mutant in mutants(target.function)
    }


def load_tests(settings: dict) -> None:
    """Import once, before any fork, what every forked process would otherwise import anew."""
    assert "numba" not in sys.modules
    os.environ["NUMBA_DISABLE_JIT"] = "1"
    for width in (5, [5, 5]):  # by loops, and by autograd
        growlib.fit("cubic-1", trials=1, epochs=1, width=width)
    files = {
        str(HERE / test.split("::")[0]) for each in settings.values() for test in each["tests"]
    }
    pytest.main(["--collect-only", "-qq", "-p", "no:cacheprovider", *files])
    # Otherwise each forked process searches all of torch for garbage, which takes ten times as
    # long as its tests.
    gc.collect()
    gc.freeze()


# ------------------------------------------------------------------------------------------- report


def report(settings: dict, found: dict[str, dict[str, bool]]) -> str:
    """Return tests/MUTATION.md: a table of counts, and the mutants that no test noticed."""
    lines = [
        "# Which small changes of the method's core the tests notice",
        "",
        "`make mutation` writes this page; `tests/mutation.py` says how.",
        "",
        "| function | mutants | noticed | lived |",
        "|---|---|---|---|",
    ]
    lines += [counts(f"`{name}`", list(found[name].values())) for name in found]
    lines += [counts("all", [noticed for name in found for noticed in found[name].values()]), ""]
    for name in settings:
        if name not in found:
            lines += [f"Not tried yet: `{name}`.", ""]

    lines += ["## Those that lived", ""]
    for name in found:
        reasons = settings[name].get("lives", {})
        for change, noticed in found[name].items():
            if not noticed:
                lines.append(f"- `{name}`: `{change}`: {reasons.get(change, 'no reason yet')}")
    return "\n".join(lines) + "\n"


def counts(label: str, noticed: list[bool]) -> str:
    """Return a row of the table of counts."""
    total = len(noticed)
    return f"| {label} | {total} | {sum(noticed)} | {total - sum(noticed)} |"


def main(chosen: list[str]) -> None:
    """Try the mutants of the chosen functions, or of all, and write the report."""
    settings = tomllib.loads(SETTINGS.read_text())
    # In plain Python a vector of 16 networks would take 16 times as long as one.
    growlib._Loops.multiple = 2
    growlib._Loops.most = 4
    for name in chosen:
        if name not in settings:
            sys.exit(f"FUNCTION is {name!r}; it takes one of {', '.join(settings)}")
    results = json.loads(KEPT.read_text()) if KEPT.exists() else {}

    load_tests(settings)
    for name in chosen or settings:
        target = find(name, settings[name])
        if is_noticed(target, target.function):
            sys.exit(f"the tests of {name} fail without a change")

        known = {}
        if name in results and results[name]["source"] == target.source:
            known = results[name]["found"]
        results[name] = {"source": target.source, "found": tried(target, known)}
        KEPT.write_text(json.dumps(results))

        lived = [change for change, noticed in results[name]["found"].items() if not noticed]
        print(name, len(results[name]["found"]), "mutants,", lived, flush=True)

    found = {name: results[name]["found"] for name in settings if name in results}
    REPORT.write_text(report(settings, found))


if __name__ == "__main__":
    main(sys.argv[1:])

"""Change the method's core in one small place at a time and see whether a test notices: mutation testing.

    python tests/mutation.py [FUNCTION ...]      as named in tests/mutation.toml, with the tests that are to notice

A mutant is a function with one comparison, sum, product, number, condition or answer changed, or one statement left out. It is tried in a
forked process, without compiling. Results are kept in .cache/mutation.json: one that a test noticed is not tried again while its function
stays as it is. tests/MUTATION.md lists the rest, each with the reason why it may live that tests/mutation.toml gives.
"""

import ast
import copy
import gc
import json
import os
import resource
import sys
import tomllib
from pathlib import Path

import pytest

import growlib

HERE = Path(__file__).resolve().parent
KEPT, REPORT = HERE.parent / ".cache/mutation.json", HERE / "MUTATION.md"
SECONDS = 60  # of the processor; a mutant that takes longer is noticed
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


def changes(node):
    """The node's other forms."""
    if isinstance(node, ast.Compare):
        return [
            ast.Compare(node.left, [swap(), *node.ops[1:]], node.comparators)
            for swap in SWAPS[type(node.ops[0])]
        ]
    if isinstance(node, ast.BinOp | ast.BoolOp | ast.AugAssign):
        return [
            type(node)(**{**dict(ast.iter_fields(node)), "op": swap()})
            for swap in SWAPS.get(type(node.op), ())
        ]
    if isinstance(node, ast.UnaryOp):
        return [node.operand]
    if isinstance(node, ast.Constant) and isinstance(node.value, bool):
        return [ast.Constant(not node.value)]
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        return [ast.Constant(node.value + 1), ast.Constant(node.value - 1)]
    if isinstance(node, ast.If | ast.IfExp):
        return [
            type(node)(**{**dict(ast.iter_fields(node)), "test": ast.UnaryOp(ast.Not(), node.test)})
        ]
    if isinstance(node, ast.Return):
        return [ast.Return(ast.Constant(None))]
    return (
        [ast.Pass()]
        if isinstance(node, ast.Expr) and not isinstance(node.value, ast.Constant)
        else []
    )


def places(tree):
    """Every node of a function with its parent and where it stands in it; no annotations, and no strict=True, which only guards."""
    for parent in ast.walk(tree):
        if isinstance(parent, ast.keyword) and parent.arg == "strict":
            continue
        for name, value in ast.iter_fields(parent):
            for k, node in enumerate(value if isinstance(value, list) else [value]):
                if isinstance(node, ast.AST) and name not in ("annotation", "returns"):
                    yield node, parent, name, k if isinstance(value, list) else None


def mutants(function):
    """Pairs of what is changed, as text, and the changed function."""
    told = {}
    for at, (node, parent, _, _) in enumerate(places(function)):
        for other in changes(node):
            mutant = copy.deepcopy(function)
            _, within, name, k = list(places(mutant))[at]
            alone = not isinstance(node, ast.Constant) or isinstance(
                parent, ast.arguments
            )  # a number is shown with what it stands in
            before = ast.unparse(node if alone else parent)
            if k is None:
                setattr(within, name, other)
            else:
                getattr(within, name)[k] = other
            after = (
                "pass" if isinstance(other, ast.Pass) else ast.unparse(other if alone else within)
            )
            text = " ".join(f"{before[:150]} → {after[:150]}".split())
            told[text] = told.get(text, 0) + 1
            yield text + f" ({told[text]})" * (told[text] > 1), ast.fix_missing_locations(mutant)


def noticed(function, owner, tests):
    """Whether the tests fail with this function in growlib."""
    child = os.fork()
    if not child:
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
        for descriptor in (1, 2):
            os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
        exec(compile(ast.Module([function], []), "mutant", "exec"), vars(growlib), made := {})
        setattr(owner, function.name, made[function.name])
        growlib.has_compiler = lambda: False
        os._exit(pytest.main(["-x", "-q", "-p", "no:cacheprovider", *tests]))
    return os.waitpid(child, 0)[1] != 0


def report(settings, kept):
    """The page, from what is kept."""
    yield "# Which small changes of the method's core the tests notice\n\n`make mutation` writes this page; `tests/mutation.py` says how.\n"
    yield "| function | mutants | noticed | lived |\n|---|---|---|---|"
    yield from (
        f"| `{name}` | {len(kept[name])} | {sum(kept[name].values())} | {len(kept[name]) - sum(kept[name].values())} |"
        for name in kept
    )
    all_of = [caught for name in kept for caught in kept[name].values()]
    yield f"| all | {len(all_of)} | {sum(all_of)} | {len(all_of) - sum(all_of)} |\n"
    yield from (f"Not tried yet: `{name}`.\n" for name in settings if name not in kept)
    yield "## Those that lived\n"
    for name, found in kept.items():
        lives = settings[name].get("lives", {})
        yield from (
            f"- `{name}`: `{text}`: {lives.get(text, 'no reason yet')}"
            for text, caught in found.items()
            if not caught
        )


def main(chosen):
    """Try the mutants of the chosen functions, or of all, and write the report."""
    settings, results = (
        tomllib.loads((HERE / "mutation.toml").read_text()),
        json.loads(KEPT.read_text()) if KEPT.exists() else {},
    )
    for name in chosen:
        if name not in settings:
            sys.exit(f"FUNCTION is {name!r}; it takes one of {', '.join(settings)}")
    source = ast.parse(Path(growlib.__file__).read_text())
    growlib.fit(
        "cubic-1", trials=1, epochs=1, width=[5, 5], compiled=False
    )  # loads what every child would have to load anew
    files = {HERE / test.split("::")[0] for each in settings.values() for test in each["tests"]}
    pytest.main(["--collect-only", "-qq", "-p", "no:cacheprovider", *map(str, files)])
    gc.collect()
    gc.freeze()  # or each child would search all of torch for garbage, ten times as long as it tests
    for name in chosen or settings:
        scope, owner = source, growlib
        *classes, last = name.split(".")
        for part in classes:
            scope, owner = (
                next(n for n in scope.body if isinstance(n, ast.ClassDef) and n.name == part),
                getattr(owner, part),
            )
        function = next(n for n in scope.body if isinstance(n, ast.FunctionDef) and n.name == last)
        tests, text = [f"{HERE}/{test}" for test in settings[name]["tests"]], ast.unparse(function)
        if noticed(function, owner, tests):
            sys.exit(f"the tests of {name} fail without a change")
        old = results.get(name, {})
        now = results[name] = {"source": text, "found": {}}
        for change, mutant in mutants(function):
            known = old.get("source") == text and old["found"].get(change)
            now["found"][change] = known or noticed(mutant, owner, tests)
        KEPT.write_text(json.dumps(results))
        print(
            name,
            len(now["found"]),
            "mutants,",
            [change for change, caught in now["found"].items() if not caught],
            flush=True,
        )
    found = {name: results[name]["found"] for name in settings if name in results}
    REPORT.write_text("\n".join(report(settings, found)) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])

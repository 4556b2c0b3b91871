"""Write every number of README.md, RESULTS.md and the notebooks' short answers from `data/`.

    python tools/readme.py

What this tool writes into the README and into a notebook's first cell stands between two markers,
such as <!-- cost --> and <!-- /cost -->; nothing else there is changed. RESULTS.md is written as a
whole, by `tools/results.py`. To change a short answer, change its function in `tools/answers.py`.
"""

import contextlib
import io
import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from growkit import derived, studies  # noqa: E402

sys.path.insert(0, str(ROOT / "tools"))

import results  # noqa: E402
from answers import ANSWERS, hold, select  # noqa: E402

TARGETS = ("bessel-j0", "bessel-sum", "square-wave", "bessel-grid", "spirals")

# ------------------------------------------------------------------------------ what was found


def found() -> str:
    """Return what was found, in six sentences."""
    controls = select(derived.stored("controls"), measure="ratio of medians", arm="growing")

    def row(case, control, rate, reference=None):
        """Return the ratio of medians, growing over static, of a control."""
        return select(
            controls, case=case, control=control, rate=rate, reference=reference or control
        ).iloc[0]

    published = [row(case, "as published", "published") for case in TARGETS]
    hold(all(each["high"] < 1 for each in published), "growing ends lower on all five targets")

    gradient_descent = TARGETS[:3]
    for case in gradient_descent:
        harmed = row(case, "as published", "tuned", "no size input")
        hold(harmed["low"] > 1, "static without the size input ends below growing with it")

    fair = [row(case, "no size input", "tuned") for case in TARGETS]
    lower = [case for case, each in zip(TARGETS, fair, strict=True) if each["high"] < 1]
    hold(lower == ["bessel-grid"], "where all this is fair growing leads on bessel-grid alone")

    under_adam = row("bessel-sum", "Adam, no size input", "tuned")
    hold(under_adam["high"] < 0.3, "under Adam growing is far ahead on the Bessel sum")

    larger = [row(case, "no size input", "tuned", "larger static") for case in TARGETS]
    ahead = [case for case, each in zip(TARGETS, larger, strict=True) if each["high"] < 1]
    hold(ahead == ["bessel-grid"], "growing beats a larger static network on bessel-grid alone")
    behind = sum(each["low"] > 1 for each in larger)
    hold(behind == 3, "a larger static network ends below a growing one on three targets")

    return " ".join(
        (
            "At the published setting a growing network ends with the lower median loss on all "
            "five targets below.",
            "With the first method that lead is a handicap of its opponent: the size is an input "
            "of every neuron, and a network that starts at its final size starts with most neurons "
            "saturated, while one that grows from zero does not.",
            "Without this input, and with each arm at its best learning rate, growing leads on "
            "one of the five, bessel-grid.",
            "A larger static network ends below the growing one on three.",
            "The scaling relations of the paper hold in kind, but no loss follows a power law of "
            "the width.",
            "One lead stands and is open: under Adam, on a sum of Bessel functions, growing ends "
            f"at {under_adam['estimate']:.2f} of static's median loss, with all this removed.",
        )
    )


def caption() -> str:
    """Return the caption of the README's figure."""
    rows = select(
        derived.stored("controls"), measure="ratio of medians", control="as published", rate="tuned"
    )
    pairs = rows.drop_duplicates("case").set_index("case")["pairs"]
    return (
        "*Ratio of median final losses, growing over static, with its 95 % interval: at the "
        "published setting, at the best learning rate of each arm, and there without the size as "
        "an input. Left of the line growing is ahead; a filled mark is clear after correction for "
        f"the number of comparisons ({results.count(pairs['bessel-j0'])} pairs of networks; of "
        f"the last two targets {pairs['spirals']}; "
        "[notebook 05](notebooks/05_why_it_helps.ipynb)).*"
    )


# ------------------------------------------------------------------------- parts of the README


def notebook_index() -> str:
    """Return the table of the notebooks, from their first cells: number, question, short answer."""
    lines = ["| | question | short answer |", "|---|---|---|"]
    for path in sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb")):
        first_cell = json.loads(path.read_text())["cells"][0]
        text = "".join(first_cell["source"])
        question = text.splitlines()[0].removeprefix("# ")
        answer = re.search(r"<!-- answer -->(.*?)<!-- /answer -->", text, re.DOTALL)[1]
        one_line = " ".join(answer.split())
        lines.append(f"| [{path.stem[:2]}](notebooks/{path.name}) | {question} | {one_line} |")
    return "\n".join(lines)


def core_minutes() -> str:
    """Return the core-minutes of all published studies."""
    # The runs of figure-3 are among those of figure-4.
    trained = [study for study in studies.STUDIES if study != "figure-3"]
    return f"{sum(studies.about_stored(study)['core_minutes'] for study in trained):.0f}"


def output(text: str) -> str:
    """Run the first Python program of the README and return what it prints."""
    program = re.search(r"```python\n(.*?)```", text, re.DOTALL)[1]
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(program, {})
    return f"```\n{printed.getvalue()}```"


def readme() -> str:
    """Return the README with all its numbers written anew."""
    text = (ROOT / "README.md").read_text()
    parts = {
        "found": found(),
        "caption": caption(),
        "verdicts": results.verdicts_in_short(),
        "output": output(text),
        "index": notebook_index(),
    }
    for name, content in parts.items():
        text = between(text, name, f"\n{content}\n")
    return between(text, "cost", core_minutes())


# ------------------------------------------------------------------------- writing between markers


def between(text: str, name: str, content: str) -> str:
    """Return the text with `content` between the two markers of this name."""
    pattern = re.compile(rf"(<!-- {name} -->).*?(<!-- /{name} -->)", re.DOTALL)
    if not pattern.search(text):
        raise SystemExit(f"the marker <!-- {name} --> is missing")
    return pattern.sub(lambda found: found[1] + content + found[2], text)


def answered(path: Path) -> str:
    """Return a notebook's file with its short answer written anew."""
    book = json.loads(path.read_text())
    first = book["cells"][0]
    text = between("".join(first["source"]), "answer", ANSWERS[path.stem]())
    first["source"] = text.splitlines(keepends=True)
    return json.dumps(book, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def main() -> None:
    try:
        for name in ANSWERS:
            path = ROOT / "notebooks" / f"{name}.ipynb"
            path.write_text(answered(path))
        (ROOT / "RESULTS.md").write_text(results.page())
        # The README repeats the short answers, so the notebooks are written first.
        (ROOT / "README.md").write_text(readme())
    except (ValueError, OSError) as error:  # such as a study that data/ lacks
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    if sys.argv[1:]:
        raise SystemExit(f"{sys.argv[1]!r} is unknown; this tool takes no arguments")
    main()

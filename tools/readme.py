"""Write every number of README.md, RESULTS.md and the notebooks' short answers from `data/`.

    python tools/readme.py

What this tool writes into the README and into a notebook's first cell stands between two markers,
such as <!-- cost --> and <!-- /cost -->; nothing else there is changed. RESULTS.md is written as a
whole, by `tools/results.py`. To change a short answer, change its function in `tools/answers.py`.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from growkit import derived, studies  # noqa: E402
from growkit.derived import scaling, select  # noqa: E402

sys.path.insert(0, str(ROOT / "tools"))

import results  # noqa: E402
from answers import ANSWERS, hold, lower_on, rules_at_end, rung, tasks_won  # noqa: E402

TARGETS = ("bessel-j0", "bessel-sum", "square-wave", "bessel-grid", "spirals")

# ------------------------------------------------------------------------------ what was found


def found() -> str:
    """Return what was found, a sentence or a few each."""
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

    fair = {case: row(case, "no size input", "tuned") for case in TARGETS}
    ahead = [case for case, each in fair.items() if each["high"] < 1]
    behind = [case for case, each in fair.items() if each["low"] > 1]
    hold(ahead == ["bessel-grid"], "where all this is fair growing leads on bessel-grid alone")
    hold(behind == ["bessel-j0"], "and static on bessel-j0 alone")

    larger = {case: row(case, "no size input", "tuned", "larger static") for case in TARGETS}
    better = [case for case, each in larger.items() if each["low"] > 1]
    hold(len(better) == 3, "a larger network is better on three")
    hold(larger["bessel-grid"]["high"] < 1, "and worse on bessel-grid")

    by_mean = lower_on("published setting", "ratio of means")
    by_median = lower_on("published setting", "ratio of medians")
    hold(by_mean == (9, 0, 11), "by the mean growing ends lower in nine of eleven comparisons")
    hold(by_median == (7, 1, 11), "by the median in seven, and higher in one")

    of_claims = select(derived.stored("verdicts"), role="counted").set_index("statement")["holds"]
    hold(of_claims["loss over width is a power law"] == 0, "the loss is no power law of the width")
    hold(of_claims["loss over width has other exponents when growing"] == 1, "its slopes differ")
    slopes = scaling.rows_of(derived.stored("scaling"), "slope over width", arm="growing", lr=0.003)
    hold((slopes["low"] > 0).all(), "at ten times the published rate growing's loss rises")

    return "\n".join(
        (
            "- At the published setting the result of the paper reproduces. By its measure, the "
            "mean test loss, growing ends lower in nine of eleven comparisons; by the median in "
            "seven, and higher in one.",
            "- With the auxiliary weight this lead comes from a handicap of the opponent. The size "
            "is also an input to every neuron, and a static network does better without it: at "
            "best rates it then ends lower than growing on all three targets. Most neurons of a "
            "network that is fed its final size start saturated, which is the likely cause.",
            "- Without this input, and with each arm at its best learning rate, growing's median "
            "is lower on one target (bessel-grid), static's on one (bessel-j0), and three are "
            "undecided.",
            "- A static network with about twice the neurons, and the operations to match, then "
            "ends lower than growing on three of the five, and higher on bessel-grid.",
            "- At the published rate the loss falls less steeply with the width when growing, as "
            "published. But neither arm follows a power law, and at ten times that rate growing's "
            "loss rises with the width.",
            under_adam(),
            other_rules(),
        )
    )


def under_adam() -> str:
    """Return what was found under Adam, without the size input and at best rates."""
    growing, delayed = rung("as it is"), rung("delayed training")
    hold(growing["high"] < 0.3, "under Adam growing is far ahead on the Bessel sum")
    hold(0.4 < delayed["share"] < 0.7, "about half of it is that neurons train in turn")
    hold(rung("pruned at a quarter")["low"] > 1, "pruned networks end above static ones")
    restarts = rung("best of 8 trainings")
    hold(restarts["estimate"] < growing["estimate"], "eight trainings reach growing")
    rows = select(derived.stored("adam"), study="claims", reference="static")
    others = rows[rows["task"] != "bessel-sum"]
    means = select(others, measure="ratio of means")
    hold((means["low"] > 1).sum() == 2, "by the mean static is ahead on two other targets")
    medians = select(others, measure="ratio of medians")["estimate"]
    mean = select(rows, measure="ratio of means", task="bessel-sum").iloc[0]
    return (
        "- **Under Adam**, without the size input and at best rates, growing's median loss is "
        f"{growing['estimate']:.2f} of static's on bessel-sum; its mean, {mean['estimate']:.2f}. "
        "By the median and on a logarithmic scale, about half of this lead comes from training "
        "the neurons one after the other, the rest from letting each in without a jump. Pruned "
        "networks do not reach it; the best of eight static trainings does, for eight times the "
        f"operations. On the five other targets growing's median is {medians.min():.2f} to "
        f"{medians.max():.2f} of static's, and by the mean static is ahead on two."
    )


def other_rules() -> str:
    """Return what the benchmark of growth rules found."""
    _, single = rules_at_end()
    first = tasks_won().iloc[0]
    small = single[single["name"] == "student-small"]
    hold((small["estimate"] > 0).all(), "on student-small, without noise, static is better")
    return (
        "- **Other ways to grow.** Many published rules to start new neurons were run by one "
        "schedule and at equal operations. Over many tasks none is shown to be better than the "
        "best static network of eight widths, though an average gain is not excluded. Large leads "
        f"occur only in regression without noise, such as {first['name']}, and not always there."
    )


def caption() -> str:
    """Return the caption of the README's figure."""
    rows = select(
        derived.stored("controls"), measure="ratio of medians", control="as published", rate="tuned"
    )
    pairs = rows.drop_duplicates("case").set_index("case")["pairs"]
    return (
        "*Median final loss, growing over static, with its 95 % interval. Left of 1 growing is "
        "better. A filled mark is significant after correction for the number of comparisons. The "
        f"first three targets have the auxiliary weight ({results.count(pairs['bessel-j0'])} pairs "
        "of networks, gradient descent), the last two the controller's mask "
        f"({pairs['spirals']} pairs, Adam). [Notebook 05](notebooks/05_why_it_helps.ipynb) takes "
        "the comparison apart.*"
    )


# ------------------------------------------------------------------------- parts of the README


def notebook_index() -> str:
    """Return the table of the notebooks: number, question, first sentence of the short answer."""
    lines = ["| | question | answer in brief |", "|---|---|---|"]
    for path in sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb")):
        first_cell = json.loads(path.read_text())["cells"][0]
        text = "".join(first_cell["source"])
        question = text.splitlines()[0].removeprefix("# ")
        answer = re.search(r"<!-- answer -->(.*?)<!-- /answer -->", text, re.DOTALL)[1]
        link = f"[{path.stem[:2]}](notebooks/{path.name})"
        lines.append(f"| {link} | {question} | {first_sentence(answer)} |")
    return "\n".join(lines)


def first_sentence(answer: str) -> str:
    """Return the first sentence of a short answer, on one line."""
    one_line = " ".join(answer.split())
    return re.split(r"(?<=\.) ", one_line)[0]


def core_minutes() -> str:
    """Return the core-minutes of all published studies."""
    # The runs of figure-3 are among those of figure-4.
    trained = [study for study in studies.STUDIES if study != "figure-3"]
    return f"{sum(studies.about_stored(study)['core_minutes'] for study in trained):.0f}"


def output(text: str) -> str:
    """Run the first Python program of the README and return what it prints."""
    program = re.search(r"```python\n(.*?)```", text, re.DOTALL)[1]
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return f"```\n{done.stdout}```"


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

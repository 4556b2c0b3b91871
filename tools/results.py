"""RESULTS.md: every result of the collection, as tables from `data/`, in the notebooks' order.

`tools/readme.py` writes the page, and takes the short table of verdicts for the README from here.
"""

import math
from collections.abc import Callable

import pandas as pd

from growkit import benchmark, derived, statistics, studies
from growkit.derived import adam, claims, controls, scaling, select
from growkit.derived import compute as compute_table
from growkit.statistics import in_thousands, in_words
from growlib import task

RATIOS = (
    "Ratios are growing over its opponent: below 1 favours growing. In brackets: 95 % intervals."
)


# The targets of the paper's studies and of their controls, and what a network learns there.
TARGETS = {
    "bessel-j0": "the Bessel function J0 on 0.1 to 0.2",
    "bessel-sum": "J0 + J1 + J2 on −2π to 2π",
    "cubic-1": "a cubic polynomial; cubic-2 is its negative",
    "quadratic-1": "a parabola; quadratic-2 is another one",
    "square-wave": "the sign of sin 2πx: two classes",
    "chirp": "a cosine that turns ever faster",
    "damped-wave": "a cosine that dies away",
    "two-waves": "a sum of two sines, with noise",
    "bessel-grid": "the function of bessel-sum, on a grid of many points",
    "gaussian-mixture": "three Gaussian bumps, with noise",
    "spirals": "the arm of a spiral that a point of the plane belongs to: five classes",
}


def names() -> str:
    """Return what the targets are, and what the two readings of the controller are."""
    rows = []
    for name, learned in TARGETS.items():
        made = task(name)
        method = "the controller" if made.large else "the auxiliary weight"
        points = in_thousands(made.train_points)
        rows.append(
            {"target": name, "learned": learned, "training points": points, "grown by": method}
        )
    added = "Chirp, damped-wave and two-waves are not in the paper, and are trained by Adam."
    readings = (
        "The paper's program and its text differ about the controller. *As released*: one gate for "
        "the whole layer, moved by the size loss alone. *As described*: a gate for each neuron, "
        "moved by the whole loss. *Neuron by neuron*: a gate for each neuron, moved by the size "
        "loss alone."
    )
    return f"{markdown(pd.DataFrame(rows))}\n\n{added} {readings}"


def markdown(frame: pd.DataFrame) -> str:
    """Return a frame of texts as a Markdown table."""
    lines = ["| " + " | ".join(frame) + " |", "|" + "---|" * frame.shape[1]]
    for cells in frame.itertuples(index=False):
        lines.append("| " + " | ".join(str(cell) for cell in cells) + " |")
    return "\n".join(lines)


# ----------------------------------------------------------------------- at the published setting

CONDITION = ["task", "mask", "noise", "epochs"]
READINGS = {"staircase": "", "shared": ", as released", "neuron": ", as described"}


def published_setting() -> str:
    """Return the comparisons of every study at its published setting."""
    rows = select(derived.stored("results"), value="test_loss")
    rows = rows.drop_duplicates([*CONDITION, "against", "measure"])
    rows["text"] = [in_words(row) for _, row in rows.iterrows()]
    parts = []
    for against, explained in (
        ("grown", "the paper's comparison, which starts at the target size and may move"),
        ("static", "which starts there and is frozen"),
    ):
        mine = select(rows, against=against)
        wide = mine.pivot(index=[*CONDITION, "pairs"], columns="measure", values="text")
        wide = wide[list(statistics.MEASURES)].reset_index()
        wide = wide.sort_values(["mask", "epochs"], key=place, kind="stable")
        shown = pd.DataFrame(
            {
                "target": [name_of(row) for _, row in wide.iterrows()],
                "epochs": wide["epochs"].map(in_thousands),
                "pairs": wide["pairs"].map(in_thousands),
                "ratio of means": wide["ratio of means"],
                "ratio of medians": wide["ratio of medians"],
                "probability of ending lower": wide["probability"],
            }
        )
        parts.append(f"**Against {against}**, {explained}.\n\n{markdown(shown)}")
    return "\n\n".join(parts)


def place(column: pd.Series) -> pd.Series:
    """Return what the rows are sorted by: the auxiliary weight first, then long training."""
    if column.name == "mask":
        return column.map(list(READINGS).index)
    return -column


def name_of(row: pd.Series) -> str:
    """Return the name of a condition."""
    noise = f", noise {row['noise']:g}" if row["noise"] else ""
    return row["task"] + noise + READINGS[row["mask"]]


def remarks() -> str:
    """Return what is to be known about the comparisons at the published setting."""
    stuck = studies.stored("figure-2").query("test_task_loss > 0.1").groupby("arm").size()
    stuck = stuck.reindex(["growing", "grown", "static"], fill_value=0)
    rows = select(
        derived.stored("results"),
        against="grown",
        mask="staircase",
        measure="probability",
        epochs=20_000,
    )
    total = select(rows, value="test_loss")["estimate"]
    alone = select(rows, value="test_task_loss")["estimate"]
    return "\n".join(
        (
            "- A ratio of means far below the ratio of medians rests on a few networks that end "
            f"badly. On bessel-j0 {stuck['growing']} growing, {stuck['grown']} grown and "
            f"{stuck['static']} static networks of 200 end above a task loss of 0.1.",
            "- After 20 000 epochs growing ends higher in most pairs on every target (probability "
            f"of ending lower {total.min():.2f} to {total.max():.2f}). It has not yet paid its "
            "size term; without that term the probability is "
            f"{alone.min():.2f} to {alone.max():.2f}.",
            "- cubic-2 is the mirror image of cubic-1, so it repeats that experiment.",
            "- As released the controller has no grown arm: at s = 1 the size loss has no slope, "
            "so grown would be static.",
        )
    )


# -------------------------------------------------------------------------- what remains, and why


def ratio_of_medians(
    table: pd.DataFrame, case: str, control: str, rate: str, reference: str
) -> str:
    """Return growing networks of a control over a static reference, as text."""
    rows = select(controls.ratios(table, control, "growing", reference, rate), case=case)
    return in_words(rows.iloc[0]) if len(rows) else "–"


def conditions() -> str:
    """Return the ratios under which the lead of growing is taken apart."""
    settings = {
        "published setting": ("as published", "published", "as published"),
        "best rates": ("as published", "tuned", "as published"),
        "no size input": ("no size input", "published", "no size input"),
        "best rates, no size input": ("no size input", "tuned", "no size input"),
        "the same under Adam": ("Adam, no size input", "tuned", "Adam, no size input"),
    }
    return by_case(settings)


def under_adam() -> str:
    """Return every control and every opponent under Adam over static networks of five neurons."""
    rows = adam.ratios(derived.stored("adam"))
    opponents = ["adam-opponents", "adam-restarts"]
    parts = []
    for heading, chosen in (
        ("**Growing, and one change at a time.**", rows["study"] == "adam-ladder"),
        ("**What a person would do instead.**", rows["study"].isin(opponents)),
    ):
        mine = rows[chosen].copy()
        mine["name"] = [name_under_adam(row) for _, row in mine.iterrows()]
        mine["text"] = [in_words(row) for _, row in mine.iterrows()]
        wide = mine.pivot(index="name", columns="task", values="text")
        wide = wide.loc[mine["name"].unique(), list(adam.TASKS)].fillna("–")
        cost = mine.groupby("name")["operations"].median().map("{:.2f}".format)
        wide.insert(0, "operations", cost)
        parts.append(f"{heading}\n\n{markdown(wide.rename_axis('networks').reset_index())}")
    return "\n\n".join([*parts, other_measures()])


def name_under_adam(row: pd.Series) -> str:
    """Return the name of networks under Adam; rungs of the ladder have that of the figure, too."""
    control = row["control"]
    if row["arm"] == "static":
        return f"{control}, static"
    if control == "as it is":
        return "growing, as it is"
    in_figure = adam.LADDER.get(control, control)
    return control if in_figure == control else f"{control} ({in_figure})"


def other_measures() -> str:
    """Return growing over static by the mean, and why one ratio stands here with two values."""
    means = select(derived.stored("adam"), study="claims", reference="static")
    means = select(means, measure="ratio of means").set_index("task")
    listed = ", ".join(f"{name} {in_words(means.loc[name])}" for name in adam.TASKS)
    ladder = adam.ratios(derived.stored("adam")).query("study == 'adam-ladder'")
    here = select(ladder, task="bessel-sum", control="as it is", arm="growing").iloc[0]
    control = "Adam, no size input"
    there = controls.ratios(derived.stored("controls"), control, "growing", control, "tuned")
    there = select(there, case="bessel-sum").iloc[0]
    static = controls.labelled(studies.stored("controls"))
    static = select(static, case="bessel-sum", control=control, arm="static", tuned=True)
    return (
        f"**By the mean**, growing as it is over static: {listed}.\n\n"
        "**Two values for one ratio.** On bessel-sum growing is at "
        f"{in_words(here)} of static's median here, and at {in_words(there)} in the table before. "
        "The growing networks are the same, but other tuning trials chose another rate for static: "
        f"{here['reference_lr']:g} here, {static['lr'].iloc[0]:g} there. No interval on this page "
        "holds the choice of the rates."
    )


def growth_rules() -> str:
    """Return every arm of the benchmark over the best static network, a row an arm."""
    at_end = select(derived.stored("rules"), share=1.0)
    across = at_end[at_end["name"] == "all"]
    single = select(at_end[at_end["name"] != "all"], ruleset="tuned", optimizer="adam")
    decided = single["p_holm"] < 0.05
    wins = (decided & (single["estimate"] < 0)).groupby(single["arm"]).sum()
    loses = (decided & (single["estimate"] > 0)).groupby(single["arm"]).sum()
    tuned = select(across, ruleset="tuned", optimizer="adam").sort_values("estimate")
    others = {
        "tuned, momentum": select(across, ruleset="tuned", optimizer="momentum"),
        "untuned, Adam": select(across, ruleset="untuned", optimizer="adam"),
    }
    rows = []
    for row in tuned.to_dict("records"):
        arm = row["arm"]
        cells = {
            "arm": arm,
            "tuned, Adam": as_ratio(row),
            "over tasks, too": as_ratio(row, "_tasks", estimate=False),
            "better on": wins[arm],
            "worse on": loses[arm],
        }
        for name, part in others.items():
            cells[name] = "".join(
                as_ratio(each) for each in select(part, arm=arm).to_dict("records")
            )
        rows.append(cells)
    scheduled = single[single["arm"].isin(benchmark.SCHEDULED)]
    plain = scheduled.groupby("arm")["estimate"].mean()
    added = (
        "The interquartile mean leaves out the three tasks at either end. By the plain mean of "
        f"logarithms {(plain < 0).sum()} of the {len(plain)} rules that grow by schedule are below "
        f"1; the lowest is {plain.idxmin()} with {math.exp(plain.min()):.2f}."
    )
    return f"{markdown(pd.DataFrame(rows))}\n\n{added}"


def as_ratio(row: dict, suffix: str = "", estimate: bool = True) -> str:
    """Return a logarithm and its interval as a ratio with its interval."""
    low, high = (f"{math.exp(row[limit + suffix]):.2f}" for limit in ("low", "high"))
    interval = f"{low} to {high}"
    return f"{math.exp(row['estimate']):.2f} ({interval})" if estimate else interval


def larger_networks() -> str:
    """Return growing over networks that start large, all without the size input at best rates."""
    opponents = ("larger static", "pruned", "pruned, equal compute")
    return by_case({name: ("no size input", "tuned", name) for name in opponents})


def by_case(settings: dict[str, tuple]) -> str:
    """Return a table of ratios of medians, a row a target and a column a setting."""
    table = derived.stored("controls")
    rows = []
    for case in controls.CASES:
        texts = {}
        for name, setting in settings.items():
            texts[name] = ratio_of_medians(table, case, *setting)
        rows.append({"target": case} | texts)
    return markdown(pd.DataFrame(rows))


# ----------------------------------------------------------------- size coupling and scaling


def size_coupling() -> str:
    """Return the best λ and the ratio there for every length of training."""
    rows = select(derived.stored("coupling"), measure="ratio of means")
    texts = rows.assign(text=[in_words(row) for _, row in rows.iterrows()])
    held_out = texts["quantity"] == "held-out ratio"  # which has no interval
    texts.loc[held_out, "text"] = texts.loc[held_out, "estimate"].map("{:#.3g}".format)
    texts["quantity"] = texts["quantity"].replace("held-out ratio", "the same, held out")
    wide = texts.query("epochs > 0").pivot(index="epochs", columns="quantity", values="text")
    heads = [
        "best λ",
        "2ηλE at the best λ",
        "ratio at a third of the best λ",
        "ratio at the best λ",
        "the same, held out",
        "ratio at ten times the best λ",
    ]
    shown = wide[heads].reset_index()
    shown["epochs"] = shown["epochs"].map(count)
    return markdown(shown)


def published_scaling() -> str:
    """Return the published numbers of the scaling relations beside ours."""
    rows = scaling.published(derived.stored("scaling"))
    shown = pd.DataFrame(
        {
            "bessel-grid, η = 0.0003, ten trials": rows["quantity"],
            "published": rows["published"].map("{:g}".format),
            "ours (percentile limits of ten trials)": [in_words(row) for _, row in rows.iterrows()],
            "": rows["says"],
        }
    )
    return markdown(shown)


# ------------------------------------------------------------------------ compute and your data


def compute() -> str:
    """Return the factor in operations to reach a loss, a row a target."""
    rows = select(derived.stored("compute"), cost="flops")
    rows["text"] = [compute_table.in_words(row) for row in rows.to_dict("records")]
    names = {"published": "published rate", "tuned": "best rates"}
    rows["setting"] = rows["control"] + ", " + rows["rate"].map(names)
    wide = rows.pivot(index="case", columns="setting", values="text")
    wide = wide[list(dict.fromkeys(rows["setting"]))].reindex(dict.fromkeys(rows["case"]))
    return markdown(wide.fillna("–").rename_axis("target").reset_index())


def your_data() -> str:
    """Return the comparisons on three tables."""
    rows = derived.stored("your_data")
    rows = rows[rows["best"]]
    rows["text"] = [in_words(row) for _, row in rows.iterrows()]
    wide = rows.pivot_table(
        index=["way", "task", "against", "pairs"],
        columns="measure",
        values="text",
        aggfunc="first",
        sort=False,
    )
    shown = wide[list(statistics.MEASURES)].reset_index()
    shown["pairs"] = shown["pairs"].map(count)
    return markdown(shown.rename(columns={"way": "setting", "task": "table"}))


# ------------------------------------------------------------------------------------- verdicts

CLAIMS = {
    "C1": "growing ends lower: regression, auxiliary weight",
    "C2": "growing ends lower: classification, auxiliary weight",
    "C3": "growing ends lower: the controller's mask",
    "C4": "the advantage depends on λ and on the number of epochs",
    "C5": "scaling relations over width and classes",
    "C6": "to start small and grow is preferable to starting large",
}
# Those with three settings; the README words C6 by what was compared.
STATEMENTS = {claim: CLAIMS[claim] for claim in ("C1", "C2", "C3")}
STATEMENTS["C6"] = "growing ends lower than a larger static network, never fed its size"
SETTINGS = ("published setting", "best rates", "best rates and no size input")


def verdicts_in_short() -> str:
    """Return the README's table of verdicts."""
    rows = select(derived.stored("verdicts"), role="counted", measure="ratio of medians")
    rows = rows[~rows["against"].str.startswith("pruned")].set_index(["claim", "setting"])
    lines = []
    for claim, statement in STATEMENTS.items():
        cells = [in_brief(rows.loc[(claim, setting)]) for setting in SETTINGS]
        lines.append([f"**{claim}** {statement}", *cells])

    every = select(derived.stored("verdicts"), role="counted").set_index("statement")
    for claim, statement, of_what in (
        ("C4", "growing ends lower at some λ", "lengths of training"),
        ("C5", "loss over width is a power law", "series"),
        ("C5", "accuracy over classes is a power law", "widths"),
    ):
        row = every.loc[statement]
        cell = f"{row['holds']} of {row['conditions']} {of_what}"
        lines.append([f"**{claim}** {statement}", cell, "not tested", "not tested"])
    lines.sort(key=lambda line: line[0])
    arm, wins, loses, tasks, arms = best_rule()
    lines.append(
        [
            f"**beyond** {arm}, ranked first of {arms} ways to grow, ends lower than the best of "
            "eight static widths, at equal operations",
            "not tested",
            "not tested",
            in_brief({"favours_growing": wins, "conditions": tasks, "favours_other": loses}),
        ]
    )
    return markdown(pd.DataFrame(lines, columns=["claim", *SETTINGS]))


def best_rule() -> tuple:
    """Return the best growing arm of the benchmark across tasks under Adam.

    Beside its name stand the numbers of tasks on which it is better and worse than the best static
    network, of all tasks, and of all growing arms.
    """
    rows = select(derived.stored("rules"), share=1.0, ruleset="tuned", optimizer="adam")
    growing = [arm for arm in rows["arm"].unique() if benchmark.grows(arm)]
    across = rows[(rows["name"] == "all") & rows["arm"].isin(growing)]
    arm = across.loc[across["estimate"].idxmin(), "arm"]
    mine = rows[(rows["arm"] == arm) & (rows["name"] != "all")]
    decided = mine["p_holm"] < 0.05
    wins = (decided & (mine["estimate"] < 0)).sum()
    loses = (decided & (mine["estimate"] > 0)).sum()
    return arm, wins, loses, len(mine), len(growing)


def in_brief(row: pd.Series | dict) -> str:
    """Return a verdict as a count, such as "4 of 5, 1 against"."""
    text = f"{row['favours_growing']:.0f} of {row['conditions']}"
    if row["favours_other"]:
        text += f", {row['favours_other']:.0f} against"
    return text


def verdicts() -> str:
    """Return all verdicts that are counted, a table a claim."""
    rows = select(derived.stored("verdicts"), role="counted")
    parts = []
    for claim, of_claim in rows.groupby("claim"):
        shown = []
        for (setting, against, statement), group in of_claim.groupby(
            ["setting", "against", "statement"], sort=False
        ):
            by_measure = group.set_index("measure")
            cells = {"setting": setting, "against": against}
            if claim in ("C4", "C5"):
                row = group.iloc[0]
                cells = {
                    "statement": statement,
                    "holds": f"{row['holds']} of {row['conditions']}",
                }
            else:
                for measure in statistics.MEASURES:
                    cells[measure] = in_brief(by_measure.loc[measure])
                cells["where (ratio of medians)"] = by_measure.loc["ratio of medians", "where"]
            shown.append(cells)
        table = markdown(pd.DataFrame(shown).fillna("–"))
        parts.append(f"**{claim}**, {CLAIMS[claim]}.\n\n{table}")
    return "\n\n".join(parts)


# ------------------------------------------------------------------------------- what has moved

# Verdicts of an earlier version of this collection, what became of them, and why.
MOVED = (
    (
        "C1, published setting, means: 8 of 9, the other arm in 1",
        "counts fewer targets",
        "results after 20 000 epochs of runs that go on to 40 000, and the mirror image cubic-2, "
        "are no targets of their own",
    ),
    (
        "C1 and C2, best rates, means: 2 of 4 and 1 of 2",
        "count fewer targets",
        "the runs under Adam are a setting of their own",
    ),
    (
        "C3, best rates, means: 1 of 10",
        "counts fewer targets",
        "64 neurons, *as described* and *neuron by neuron* are settings of their own",
    ),
    (
        "C3, bessel-grid at best rates, medians: ahead; without the size input: undecided",
        "the two changed places",
        "computed anew; five tuning trials choose the rates, and chose others",
    ),
    (
        "C2, best rates, medians: undecided",
        "ahead",
        "computed anew; the interval reached just above 1 before",
    ),
    (
        "C4, growing wins at some λ: 7 of 7 numbers of epochs",
        "6 of 7",
        "trials are resampled with all their λ; before, 21 λ were taken as 21 pairs",
    ),
    (
        "C4, the best λ keeps 2ηλE constant",
        "withdrawn",
        "the power of the best λ in the number of epochs is fitted now, with its interval",
    ),
    (
        "C5, loss over width: 0 of 2",
        "0 of 1",
        "the total loss and the task loss are one comparison",
    ),
    (
        "spirals at best rates: 3.50 times the operations",
        "withdrawn",
        "the learning rates tie within the noise of the tuning trials",
    ),
    (
        "chirp under Adam, four times as many epochs: growing at 0.67 of static, delayed training "
        "at 0.90",
        "0.76 and 0.99",
        "the rates are the best at the end of the training; before, those of all lengths together",
    ),
    (
        "width at which growing crosses static: ours is 1.4 times the published one",
        "within the percentile limits",
        "the published number is known to its rounding only",
    ),
)


def moved() -> str:
    """Return which verdicts moved, and why."""
    return markdown(pd.DataFrame(MOVED, columns=["before", "now", "why"]))


# ------------------------------------------------------------------------------------- the page

SECTIONS: dict[str, tuple[str, Callable]] = {
    "Names": ("", names),
    "The published setting": (
        "The paper compares means. Medians tell of the typical network, and the probability, "
        "pair by pair, how often growing ends lower (above one half favours growing). The test "
        "loss holds the size term, as published. Notebooks [02](notebooks/02_regression.ipynb), "
        "[03](notebooks/03_classification.ipynb), "
        "[06](notebooks/06_controller_regression.ipynb), [07](notebooks/07_spirals.ipynb).",
        published_setting,
    ),
    "What is to be known about these numbers": ("", remarks),
    "What remains when the comparison is made fair": (
        "Ratio of median test task losses, growing over static. *Best rates*: each arm at its own "
        "best of seven learning rates, chosen on other trials. *No size input*: neither arm is "
        "fed its size. [Notebook 05](notebooks/05_why_it_helps.ipynb); every control is in "
        "[notebook 11](notebooks/11_controls.ipynb).",
        conditions,
    ),
    "Networks that start large": (
        "The same ratio over static networks of nine neurons (of the controller's targets 20), "
        "kept, or pruned to the final size after a quarter of the training; all at best rates "
        "and without the size input. *Equal compute*: the pruned networks after fewer epochs, at "
        "the rate that is best at the end.",
        larger_networks,
    ),
    "Under Adam": (
        "Ratio of median test task losses over static networks, all with five neurons at the end, "
        "without the size input, each at its own best rate. *Operations*: over those of static, "
        "the median of the targets. Controls with a cosine or momentum are compared with static "
        "networks that have it, too. In brackets after a name: what the figure of notebook "
        "[05](notebooks/05_why_it_helps.ipynb) calls it. "
        "[Notebook 15](notebooks/15_under_adam.ipynb) says what each of them changes.",
        under_adam,
    ),
    "Growth rules": (
        "Loss over that of the best static network of eight widths, at equal operations, each at "
        f"its best settings: the interquartile mean over {len(benchmark.ROWS)} tasks. An arm "
        "chooses among 16 settings and ends at one width; static chooses among 16 rates for each "
        "of its widths. Momentum and untuned: without the four largest tasks. *Untuned*: one "
        "setting for all tasks, judged by validation points, against one static network for all. "
        "In brackets: 95 % over trials; *over tasks, too*: tasks are resampled as well. *Better* "
        "and *worse*: on so many tasks, after Holm's correction. "
        "[Notebook 16](notebooks/16_rules.ipynb) says what the arms are and shows each task.",
        growth_rules,
    ),
    "The size coupling λ": (
        "Ratio of mean test losses, growing over grown, by moving averages over 40 of 401 λ. "
        "The least of many values is a little too low; *held out*: λ chosen by one half of the "
        "trials, the ratio from the other half. "
        "[Notebook 04](notebooks/04_size_coupling.ipynb).",
        size_coupling,
    ),
    "Scaling: published beside ours": (
        "[Notebook 08](notebooks/08_scaling_width.ipynb) says what lies behind the differences; "
        "[09](notebooks/09_scaling_classes.ipynb) has the classes.",
        published_scaling,
    ),
    "Operations to reach a loss": (
        "Operations, growing over static, to the loss that three of four networks of either arm "
        "reach. Where the best rates tie within the noise of the tuning trials there is no factor. "
        "[Notebook 10](notebooks/10_compute.ipynb).",
        compute,
    ),
    "Three tables of data": (
        "Test task losses under Adam, each arm at its best of four learning rates. "
        "[Notebook 13](notebooks/13_your_data.ipynb).",
        your_data,
    ),
    "Verdicts on the claims": (
        "A cell counts the targets on which growing is clearly ahead, after Holm's correction "
        "within a claim and measure, and those on which the other arm is (against). C4 is judged "
        "by means at five values of λ, after several lengths of the same trainings; arms are "
        f"*alike* where the interval lies within {claims.ALIKE[0]} and {claims.ALIKE[1]}. C5 is "
        f"judged by a straight line on logarithmic axes (R² of {claims.STRAIGHT} or more), over "
        "four numbers of classes or nine widths. In C6 larger and pruned networks are never fed "
        "their size, while growing ones are, but for the settings without the size input. "
        "[Notebook 12](notebooks/12_claims.ipynb) says by which rules, and lets you doubt a line.",
        verdicts,
    ),
    "Verdicts that moved": (
        "What an earlier version of this page said otherwise, and why it changed. Every study was "
        "computed anew once, with another training step; no ratio at the published setting left "
        "the interval that it had before.",
        moved,
    ),
}


def page() -> str:
    """Return RESULTS.md."""
    parts = [
        "# Results\n\nAll results at the published scale, written from `data/` by `make readme`. "
        f"{RATIOS} The [README](README.md) says what was found; the notebooks show how."
    ]
    for title, (introduction, section) in SECTIONS.items():
        parts.append("\n\n".join(filter(None, [f"## {title}", introduction, section()])))
    return "\n\n".join(parts) + "\n"


def count(number: int) -> str:
    """Return a count with a space between thousands."""
    return in_thousands(int(number))

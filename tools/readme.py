"""Write every number of the README and of the notebooks' short answers from `data/`.

    python tools/readme.py [--compare]

--compare first computes data/results.csv, the comparisons of the arms in every stored study, anew (ten
minutes); without it the file is taken as it is, and computed only where it is missing.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from growkit import statistics, studies

RESULTS = ROOT / "data" / "results.csv"
STUDIES = (
    "figure-2",
    "figure-3",
    "figure-4",
    "figure-5",
    "bessel",
    "gaussian",
    "spirals",
)  # those of one setting a target
BY = ["task", "mask", "noise", "epochs"]
AS = {"staircase": "", "shared": " as released", "neuron": " as described"}


def compare() -> pd.DataFrame:
    """The three measures of every stored condition against both comparisons, for the test loss, its task part and the errors."""
    frames = []
    for name in STUDIES:
        finals = studies.stored(name)
        finals["noise"] = finals["noise"].astype(float).round(3)
        for error, accuracy in (("error_fresh", "accuracy_fresh"), ("error", "accuracy")):
            if accuracy in finals:
                finals[error] = 1 - finals[accuracy]
        values = [
            v
            for v in (
                "test_loss",
                "test_task_loss",
                "error_fresh" if "error_fresh" in finals else "error",
            )
            if v in finals
        ]
        against = [arm for arm in ("grown", "static") if arm in set(finals["arm"])]
        frames += [
            statistics.compare(finals, v, arm, by=BY, permutations=9999).assign(study=name)
            for v in values
            for arm in against
        ]
    return pd.concat(frames, ignore_index=True)


def results() -> pd.DataFrame:
    """The comparisons as they are stored."""
    return pd.read_csv(RESULTS)


def between(text: str, name: str, content: str) -> str:
    """The text with `content` between the markers of that name."""
    pattern = re.compile(rf"(<!-- {name} -->).*?(<!-- /{name} -->)", re.DOTALL)
    if not pattern.search(text):
        raise SystemExit(f"the marker <!-- {name} --> is missing")
    return pattern.sub(lambda found: found[1] + content + found[2], text)


def table(compared: pd.DataFrame) -> str:
    """The README's table of results."""
    shown = compared[compared["value"] == "test_loss"].drop_duplicates([*BY, "against", "measure"])
    text = shown.assign(text=[statistics.in_words(row) for _, row in shown.iterrows()])
    wide = text.pivot(index=BY, columns=["against", "measure"], values="text")
    columns = [(arm, m) for arm in ("grown", "static") for m in statistics.MEASURES]
    heads = [
        f"{m}, growing : {a}" if m != "probability" else f"probability that growing ends below {a}"
        for a, m in columns
    ]
    lines = [
        "| target, epochs | pairs | " + " | ".join(heads) + " |",
        "|---|---|" + "---|" * len(columns),
    ]
    pairs = shown.groupby(BY)["pairs"].first()
    order = {mask: place for place, mask in enumerate(AS)}
    for key in sorted(
        wide.index, key=lambda key: (order[key[1]] > 0, -key[3], key[0], order[key[1]], key[2])
    ):
        task, mask, noise, epochs = key
        name = task + (f" with noise {noise:g}" if noise else "") + AS[mask]
        cells = [
            wide.loc[key, column] if isinstance(wide.loc[key, column], str) else "–"
            for column in columns
        ]
        lines.append(
            f"| {name}, {statistics.in_thousands(epochs)} | {statistics.in_thousands(pairs[key])} | "
            + " | ".join(cells)
            + " |"
        )
    return "\n".join(lines)


def one(
    compared, task, epochs, against, measure, value="test_loss", mask="staircase", noise=0.0
) -> str:
    """One comparison in words."""
    row = compared.query(
        "task == @task and epochs == @epochs and against == @against and measure == @measure and value == @value "
        "and mask == @mask and noise == @noise"
    ).iloc[0]
    return statistics.in_words(row)


def answer_growth(compared) -> str:
    growing = studies.stored("figure-2").query("arm == 'growing'")
    five = (growing["active_width"] == 5).mean()
    return (
        f"The size follows the gradient of its own loss nearly alone and opens the neurons one by one: after 40 000 epochs on J0 the median of "
        f"{len(growing)} networks is {growing['size'].median():.3f} neurons (middle half {growing['size'].quantile(0.25):.3f} to "
        f"{growing['size'].quantile(0.75):.3f}; target 5), and {five:.0%} of them use exactly five of their nine neurons (published scale)."
    )


def answer_regression(compared) -> str:
    rows = compared.query(
        "value == 'test_loss' and against == 'grown' and task != 'square-wave' and mask == 'staircase'"
    )
    rows = rows.drop_duplicates([*BY, "measure"])
    means = rows[rows["measure"] == "ratio of means"]

    def standing(epochs, measure):
        part = rows[(rows["epochs"] == epochs) & (rows["measure"] == measure)]
        even = 0.5 if measure == "probability" else 1
        below, above = (part["high"] < even).sum(), (part["low"] > even).sum()
        return (
            f"{above} ({below}) of {len(part)}"
            if measure == "probability"
            else f"{below} ({above}) of {len(part)}"
        )

    counts = [
        f"after {statistics.in_thousands(epochs)} epochs on the mean in {standing(epochs, 'ratio of means')} targets, on the median in "
        f"{standing(epochs, 'ratio of medians')}, and pair by pair in {standing(epochs, 'probability')}"
        for epochs in (40_000, 20_000)
    ]
    return (
        f"On the mean mostly yes, pair by pair only after long training. The ratio of mean test losses, growing over grown, runs from "
        f"{statistics.in_words(means.loc[means['estimate'].idxmin()])} to {statistics.in_words(means.loc[means['estimate'].idxmax()])}. Growing is "
        f"ahead (behind), with its whole 95 % interval, {counts[0]}; {counts[1]} (published scale: 10 000 pairs a target, 200 for bessel-j0)."
    )


def answer_classification(compared) -> str:
    def words(against, measure, value="test_loss"):
        return one(compared, "square-wave", 10_000, against, measure, value)

    accuracy = studies.stored("figure-5").groupby("arm")["accuracy_fresh"].mean()
    return (
        f"Yes, moderately. Growing over grown, the ratio of mean test losses is {words('grown', 'ratio of means')} and of medians "
        f"{words('grown', 'ratio of medians')}; growing ends lower with probability {words('grown', 'probability')}. On fresh points the mean "
        f"accuracy is {accuracy['growing']:.3f} growing, {accuracy['grown']:.3f} grown and {accuracy['static']:.3f} static "
        f"(published scale: 10 000 paired trials)."
    )


def answer_controller(compared) -> str:
    def words(measure, mask, task="bessel-grid", noise=0.0):
        return one(compared, task, 5000, "static", measure, "test_task_loss", mask, noise)

    bessel = "; ".join(
        f"{words('ratio of medians', mask)} of medians, {words('ratio of means', mask)} of means and a probability of "
        f"{words('probability', mask)} to end lower as {reading}"
        for reading, mask in (("released", "shared"), ("described", "neuron"))
    )
    noisy = "; ".join(
        f"{words('ratio of medians', 'shared', 'gaussian-mixture', noise)} of medians and "
        f"{words('ratio of means', 'shared', 'gaussian-mixture', noise)} of means at a noise of {noise}"
        for noise in (0.01, 0.1, 0.5)
    )
    return (
        f"At the published learning rate of 0.001, width 10 and 5 000 epochs, on the Bessel sum clearly. Growing over static, the ratio of task "
        f"losses is {bessel} (published scale: 100 pairs). On the Gaussian mixture hardly: {noisy} (20 pairs, as released). Under Adam λ does "
        f"nothing to the released controller's growth; the learning rate sets its speed, and a larger one narrows the lead."
    )


def answer_spirals(compared) -> str:
    def words(mask, value):
        return one(compared, "spirals", 5000, "static", "ratio of medians", value, mask)

    accuracy = studies.stored("spirals").groupby(["mask", "arm"])["accuracy"].median()
    course = (
        studies.stored("spirals", "history")
        .query("mask == 'shared'")
        .groupby(["arm", "epoch"])["test_task_loss"]
        .median()
    )
    lead = course["growing"] / course["static"]
    return (
        f"Yes, by a lead that shrinks in the end. Growing over static, the ratio of median task losses is {words('shared', 'test_task_loss')} as "
        f"released (it was {lead.min():.3f} after {statistics.in_thousands(lead.idxmin())} epochs) and "
        f"{words('neuron', 'test_task_loss')} as described; of wrong test points {words('shared', 'error')} and {words('neuron', 'error')}. "
        f"The median accuracy is {accuracy['shared', 'growing']:.3f} growing as released, {accuracy['neuron', 'growing']:.3f} as described and "
        f"{accuracy['shared', 'static']:.3f} static (published scale: 100 pairs)."
    )


def answer_coupling(compared) -> str:
    finals = studies.stored("coupling")
    loss = {
        arm: part.pivot(index=["epochs", "coupling"], columns="trial", values="test_loss")
        for arm, part in finals.groupby("arm")
    }
    lengths, couplings = (sorted(finals[name].unique()) for name in ("epochs", "coupling"))

    def course(places):
        growing, grown = (
            loss[arm].to_numpy()[:, places].mean(1).reshape(len(lengths), -1)
            for arm in ("growing", "grown")
        )
        return (
            pd.DataFrame((growing / grown).T, index=couplings, columns=lengths)
            .rolling(40, center=True, min_periods=1)
            .mean()
        )

    def valleys(places):
        smooth = course(places)
        return {("λ", length): smooth[length].idxmin() for length in lengths} | {
            ("ratio", length): smooth[length].min() for length in lengths
        }

    def beside(times):
        ratios = [
            np.interp(np.log(times * coupling), np.log(couplings), whole[length])
            for length, coupling in best.items()
        ]
        return f"{min(ratios):.2g} to {max(ratios):.2g}"

    whole = course(slice(None))
    found = statistics.over_trials(valleys, finals["trial"].nunique(), 300)
    best = found["estimate"]["λ"]
    first, last = (found.xs(length, level=1) for length in (lengths[0], lengths[-1]))
    product = 2e-3 * best * best.index
    return (
        f"Just hard enough to arrive. After {statistics.in_thousands(lengths[-1])} epochs the ratio of mean test losses, growing over grown, is "
        f"least at λ = {statistics.in_words(last.loc['λ'])} and is {statistics.in_words(last.loc['ratio'])} there; after "
        f"{statistics.in_thousands(lengths[0])} epochs at λ = {statistics.in_words(first.loc['λ'])}, where it is "
        f"{statistics.in_words(first.loc['ratio'])}. The best λ keeps 2ηλE between {product.min():.1f} and {product.max():.1f}; "
        f"a third of it and growing loses (a ratio of {beside(1 / 3)} over the lengths of training), ten times it and less of the lead is left "
        f"({beside(10)}; moving averages over 40 of 401 λ, 200 pairs each, 95 % intervals over trials)."
    )


def main_series() -> pd.DataFrame:
    """The finals of the published main series of the scaling study: bessel-grid, all points, a learning rate of 0.0003."""
    finals = studies.stored("scaling").query("task == 'bessel-grid' and points == 32768")
    return finals[np.isclose(finals["lr"], 3e-4)]


def fitted(along: str) -> pd.DataFrame:
    """The straight lines that notebook 07 fits along the width (of the main series) or the number of classes, by their value."""
    rows = pd.read_csv(ROOT / "data" / "scaling.csv", dtype={"width": "Int64"})
    return rows[(rows["along"] == along) & np.isclose(rows["lr"], 3e-4)].set_index("value")


def landmarks(finals, value="test_loss") -> pd.DataFrame:
    """Where the means of growing cross those of static for the last time, and the means at the widest network, a row each."""
    wide = finals.pivot(index="width", columns=["arm", "trial"], values=value)
    width = wide.index.to_numpy(dtype=float)

    def found(places):
        growing, static = (wide[arm].to_numpy()[:, places].mean(1) for arm in ("growing", "static"))
        lead = np.log(static / growing)
        last = np.flatnonzero((lead[:-1] > 0) & (lead[1:] <= 0))[-1:]
        crossing = (
            np.exp(
                np.interp(0, lead[[last[0] + 1, last[0]]], np.log(width)[[last[0] + 1, last[0]]])
            )
            if last.size
            else np.nan
        )
        return {
            "crossing": crossing,
            "growing": growing[-1],
            "static": static[-1],
            "above": growing[width > 200].mean(),
        }

    return statistics.over_trials(found, finals["trial"].nunique())


def published() -> str:
    """The table of the published numbers of the scaling relations, and of the one running time, beside ours."""
    finals = main_series()
    slopes, marks = (
        fitted("width").loc["test_loss"].set_index(["arm", "measure"]),
        landmarks(finals),
    )
    rows = [
        ("slope over the width, static", -1.31, slopes.loc[("static", "slope")]),
        ("slope over the width, growing", -0.79, slopes.loc[("growing", "slope")]),
        ("width where growing crosses static", 200, marks.loc["crossing"]),
        ("mean test loss, growing, widths above 200", 1.3e-3, marks.loc["above"]),
        ("mean test loss, static, 1024 neurons", 1.2e-4, marks.loc["static"]),
    ]
    lines = [
        "| main series: bessel-grid, η = 0.0003, 5 000 epochs, 10 trials; last row: λ study | published | ours (95 % interval) | |",
        "|---|---|---|---|",
    ]
    for name, number, row in rows:
        if row["low"] <= number <= row["high"]:
            verdict = "agrees"
        else:
            verdict = (
                f"ours is {row['estimate'] / number:.2g} times it"
                if number > 0
                else f"ours is {row['estimate'] - number:+.2f} off"
            )
        lines.append(f"| {name} | {number:g} | {statistics.in_words(row)} | {verdict} |")
    coupling = (
        studies.about_stored("coupling")["core_minutes"]
        * 60
        / studies.stored("coupling")["coupling"].nunique()
    )
    lines.append(
        f"| seconds for one λ, 400 trials of 17 783 epochs | 51 (a multi-core Mac) | {coupling * 17_783 / 31_623:.1f} (one core, from the "
        "stored study's core-minutes) | |"
    )
    return "\n".join(lines)


def answer_scaling(compared) -> str:
    finals = main_series()
    total, alone = (
        fitted("width").loc[value].set_index(["arm", "measure"])
        for value in ("test_loss", "test_task_loss")
    )
    marks, bare = landmarks(finals), landmarks(finals, "test_task_loss")
    debt = finals.query("arm == 'growing'")["size_loss"].mean()
    ratio = (
        statistics.compare(finals, "test_task_loss", "static", by=["width"])
        .query("measure == 'ratio of means'")
        .set_index("width")
    )
    best = ratio["estimate"].idxmin()
    slope = {arm: statistics.in_words(total.loc[(arm, "slope")]) for arm in ("growing", "static")}
    whole = studies.stored("scaling")
    spirals = whole.query("task == 'spirals' and points < 30_000").assign(
        error=lambda frame: 1 - frame["accuracy"]
    )
    wrong = statistics.compare(
        spirals, "error", "static", by=["lr", "classes", "width"], measures=["ratio of means"]
    )
    fall = {
        width: part.set_index("arm")
        for width, part in fitted("classes").query("measure == 'slope'").groupby("width")
    }
    rest = whole.query("task == 'bessel-grid' and points == 4096 and control == 'none'")
    order = rest.pivot(
        index=["arm", "lr", "width"], columns="trial", values="test_task_loss"
    ).sort_index()
    values = order.to_numpy().reshape(2, rest["lr"].nunique(), -1, order.shape[1])

    def tuned(places):
        growing, static = np.median(values[..., places], -1).min(1)
        return dict(zip(sorted(rest["width"].unique()), growing / static, strict=True))

    each = statistics.over_trials(tuned, order.shape[1], 500)
    led, behind = (
        ", ".join(map(str, each.index[where])) or "no"
        for where in (each["high"] < 1, each["low"] > 1)
    )
    first, last = (
        " and ".join(
            f"{statistics.in_words(fall[width].loc[arm])} {arm}" for arm in ("growing", "static")
        )
        for width in (min(fall), max(fall))
    )
    return (
        f"Yes, it flattens it: the slope of the mean test loss over the width is {slope['static']} static and {slope['growing']} growing, as "
        f"published in kind; of the task loss alone growing has {statistics.in_words(alone.loc[('growing', 'slope')])}. But neither is a power law: "
        f"means leave their lines by up to {total.xs('misfit', level='measure')['estimate'].max():.1f} times. Growing is ahead, by most at "
        f"{best} neurons (ratio of mean task losses {statistics.in_words(ratio.loc[best])}), up to a width of "
        f"{statistics.in_words(marks.loc['crossing'])}, or {statistics.in_words(bare.loc['crossing'])} by the task loss alone; at 1024 neurons the "
        f"ratio is {statistics.in_words(ratio.loc[1024])}. The size term that growing still owes at this learning rate is {debt:.1e} "
        f"(bessel-grid, η = 0.0003, 5 000 epochs, ten trials). With each arm at its best of four rates growing is ahead, by medians and "
        f"beyond the interval, at {led} neurons and behind at {behind}. On spirals growing leaves fewer test points wrong in "
        f"{(wrong['high'] < 1).sum()} of {len(wrong)} settings and more in {(wrong['low'] > 1).sum()}, by whole intervals, without a crossing. "
        f"At η = 0.0003 accuracy falls with the number of classes with a slope of {first} at {min(fall)} neurons, where guessing has -1, and of "
        f"{last} at {max(fall)}: the exponent says how far from chance a network is."
    )


def answer_controls(compared) -> str:
    rows = pd.read_csv(ROOT / "data" / "controls.csv").query("measure == 'ratio of medians'")
    rows = rows[~rows["reference"].str.startswith("picked static")]
    rows = rows.set_index(["case", "control", "arm", "reference", "rate"]).sort_index()
    few, many = ("bessel-j0", "bessel-sum", "square-wave"), ("bessel-grid", "spirals")

    def each(cases, control, reference, rate="tuned", arm="growing"):
        return ", ".join(
            statistics.in_words(rows.loc[(case, control, arm, reference, rate)]) for case in cases
        )

    return (
        f"Under gradient descent it helps not to be fed one's size: with the auxiliary weight the size is an input of every neuron and saturates "
        f"networks that begin with it; growing escapes this by beginning at zero. Under Adam something else helps, on two of three targets. The "
        f"ratio of median task losses, growing over static, at best learning rates "
        f"on J0, Bessel sum and square wave: as published {each(few, 'as published', 'as published')}; where neither arm is fed its size "
        f"{each(few, 'no size input', 'no size input')}; so under Adam "
        f"{each(few, 'Adam, no size input', 'Adam, no size input')}. The controller's gate helps at the published rate, on bessel-grid and "
        f"spirals {each(many, 'as published', 'as published', 'published')} (all gates open: "
        f"{each(many, 'no gate', 'as published', 'published')}); at best rates the ratio is "
        f"{each(many, 'as published', 'as published')} (1 024 pairs; controller 30)."
    )


def answer_compute(compared) -> str:
    rows = (
        pd.read_csv(ROOT / "data" / "compute.csv")
        .query("cost == 'flops'")
        .set_index(["control", "rate"])
    )

    def each(control, rate):
        return ", ".join(
            statistics.in_words(row) for _, row in rows.loc[[(control, rate)]].iterrows()
        )

    cases = ", ".join(rows.loc[[("as published", "published")], "case"])
    finals = studies.stored("controls").query("control == 'as published' and width <= 10")
    spent = (
        finals[finals["lr"] == finals.groupby("task")["lr"].transform("first")]
        .groupby(["task", "arm"])["flops"]
        .mean()
        .unstack()
    )
    whole = spent["growing"] / spent["static"]
    return (
        f"At the published rates often: with a shared gate by falling faster alone, otherwise also by being small. "
        f"Operations, growing over static, to the loss that three of four networks of either arm reach "
        f"({cases}): {each('as published', 'published')}; at the best rate of each arm "
        f"{each('as published', 'tuned')}; there and without the size as an input {each('no size input', 'tuned')}. A whole training at the "
        f"published rates costs {whole.min():.2f} to {whole.max():.2f} times as much: the auxiliary weight opens early, and a shared gate makes "
        f"every neuron active from the first few epochs (medians over 50 pairs, controller 30; 95 % intervals)."
    )


def answer_claims(compared) -> str:
    claims = pd.read_csv(ROOT / "data" / "claims.csv")
    means = claims["measure"] == "ratio of means"
    favours = claims["favours"].where(claims["favours"].isin(["growing", "neither"]), "opponent")

    def counted(claim, setting, against):
        part = favours[
            (claims["claim"] == claim)
            & (claims["setting"] == setting)
            & (claims["against"] == against)
            & means
        ]
        lost = (part == "opponent").sum()
        return f"{claim} in {(part == 'growing').sum()} of {len(part)}" + (
            f" (its opponent in {lost})" if lost else ""
        )

    strict = ("C1", "C2", "C3")
    return (
        f"As published most, otherwise few. By the ratio of means, corrected for the {means.sum()} comparisons by it, "
        f"growing is favoured at the published settings, by conditions, for "
        f"{counted('C1', 'as published', 'grown')}, {counted('C2', 'as published', 'grown')}, "
        f"{counted('C3', 'as published', 'static')}; at the best learning rate of each arm "
        f"{', '.join(counted(claim, 'best rates', 'static') for claim in strict)}; there and without the size as an input "
        f"{', '.join(counted(claim, 'no size input, best rates', 'static') for claim in strict)}; over a larger static network "
        f"{counted('C6', 'best rates', 'larger static')}. C4 and C5 are judged in the table."
    )


def answer_your_data(compared) -> str:
    rows = (
        pd.read_csv(ROOT / "data" / "your_data.csv")
        .query("against == 'static'")
        .set_index(["measure", "way", "task"])
    )
    tables = ("diabetes", "breast cancer", "MNIST-1D")
    medians, means = rows.loc["ratio of medians"], rows.loc["ratio of means"]

    def each(way):
        return ", ".join(
            f"{statistics.in_words(medians.loc[(way, task)])} on {task}"
            for task in tables
            if (way, task) in medians.index
        )

    def sure(part):
        return (
            f"ahead on {', '.join(sorted({task for _, task in part[part['high'] < 1].index})) or 'none'} and behind on "
            f"{', '.join(sorted({task for _, task in part[part['low'] > 1].index})) or 'none'}"
        )

    pairs = ", ".join(str(medians.loc[("as published", task), "pairs"]) for task in tables)
    return (
        f"A few lines tell; below 1 growing is ahead. On three tables the ratio of median test losses, growing over static, each at its "
        f"best of four learning rates, is {each('as published')}; where neither is fed its size {each('no size input')}; where the size moves "
        f"five times faster {each('five times faster')} ({pairs} pairs). By whole intervals, in any of these ways, growing is "
        f"{sure(medians)} by medians, and {sure(means)} by means."
    )


def verdicts() -> str:
    """The README's table of verdicts: that of notebook 10, with the links as they are from the README."""
    return (ROOT / "data" / "verdicts.md").read_text().rstrip().replace("](", "](notebooks/")


def remarks(compared) -> str:
    """What the README says about its table."""
    rows = compared.query("against == 'grown' and mask == 'staircase'").drop_duplicates(
        [*BY, "measure", "value"]
    )
    rows = rows.set_index(["value", "measure", "epochs"]).sort_index()
    short, alone = (
        rows.loc[(value, "probability", 20_000), "estimate"]
        for value in ("test_loss", "test_task_loss")
    )
    stuck = studies.stored("figure-2").query("test_task_loss > 0.1").groupby("arm").size()
    finals = studies.stored("bessel").query("arm == 'growing'")
    median = finals.groupby("mask")["test_task_loss"].median()
    bad = (finals["test_task_loss"] > 10 * finals["mask"].map(median)).groupby(finals["mask"]).sum()
    return (
        f"Where the ratio of means is far below the ratio of medians, a few networks that end badly make the mean, and fewer of them are "
        f"growing: for bessel-j0 {stuck['growing']} growing, {stuck['grown']} grown and {stuck['static']} static networks of 200 end above "
        f"a task loss of 0.1. So few make that interval wide, and still too hopeful. After 20 000 epochs growing ends higher in most "
        f"pairs on all targets (probability of ending lower {short.min():.2f} to {short.max():.2f}); without the size term, which it has "
        f"not finished paying, still so (probability {alone.min():.2f} to {alone.max():.2f}). cubic-2 is the mirror image of cubic-1, so "
        f"it repeats that experiment. On bessel-grid the mean of the growing networks, too, is made by few: {bad['shared']} as released and "
        f"{bad['neuron']} as described of 100 end above ten times the median. As released there is no grown arm: at s = 1 the size loss has no "
        f"slope, so grown would be static."
    )


ANSWERS = {
    "01_growth": answer_growth,
    "02_regression": answer_regression,
    "03_classification": answer_classification,
    "04_controller_regression": answer_controller,
    "05_spirals": answer_spirals,
    "06_size_coupling": answer_coupling,
    "07_scaling": answer_scaling,
    "08_controls": answer_controls,
    "09_compute": answer_compute,
    "10_claims": answer_claims,
    "11_your_data": answer_your_data,
}


def answered(path: Path, compared: pd.DataFrame) -> str:
    """The notebook's text with its short answer, and the table of published numbers where it has one, written anew."""
    book = json.loads(path.read_text())
    for cell in book["cells"]:
        text = "".join(cell["source"])
        for name, write in (
            ("answer", lambda: ANSWERS[path.stem](compared)),
            ("published", lambda: f"\n{published()}\n"),
        ):
            if f"<!-- {name} -->" in text:
                cell["source"] = between(text, name, write()).splitlines(keepends=True)
    return json.dumps(book, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def index() -> str:
    """A row a notebook: number, question, one-line answer, taken from its first cell."""
    lines = ["| | question | short answer |", "|---|---|---|"]
    for path in sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb")):
        text = "".join(json.loads(path.read_text())["cells"][0]["source"])
        question = text.splitlines()[0].removeprefix("# ")
        answer = re.search(r"<!-- answer -->(.*?)<!-- /answer -->", text, re.DOTALL)[1]
        lines.append(
            f"| [{path.stem[:2]}](notebooks/{path.name}) | {question} | {' '.join(answer.split())} |"
        )
    return "\n".join(lines)


def readme(compared: pd.DataFrame) -> str:
    """The README with its table and its index written anew."""
    text = between((ROOT / "README.md").read_text(), "results", f"\n{table(compared)}\n")
    names = [study for study in studies.STUDIES if study != "figure-3"]  # its runs are in figure-4
    minutes = sum(studies.about_stored(study)["core_minutes"] for study in names)
    text = between(text, "cost", f"{minutes:.0f}")
    text = between(text, "remarks", f"\n{remarks(compared)}\n")
    text = between(text, "published", f"\n{published()}\n")
    text = between(text, "claims", f"\n{verdicts()}\n")
    return between(text, "index", f"\n{index()}\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument(
        "--compare", action="store_true", help="compute data/results.csv anew first (minutes)"
    )
    try:
        if parser.parse_args().compare or not RESULTS.exists():
            compare().to_csv(RESULTS, index=False, float_format="%.6g")
        compared = results()
        for name in ANSWERS:
            path = ROOT / "notebooks" / f"{name}.ipynb"
            path.write_text(answered(path, compared))
        (ROOT / "README.md").write_text(readme(compared))
    except (ValueError, OSError) as error:  # such as a study that data/ lacks
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()

"""Write every number of the README and of the notebooks' short answers from `data/`.

    python tools/readme.py [--compare]

With --compare, data/results.csv, which holds the comparisons of the arms in every stored study, is
computed anew first; this takes ten minutes. Without it the file is computed only if it is missing.

What this tool writes stands between two markers, such as <!-- cost --> and <!-- /cost -->.
Nothing else is changed. To change a short answer, change the function that `ANSWERS` names for its
notebook. The tool imports growkit.statistics and growkit.studies.
"""

import argparse
import json
import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from growkit import statistics, studies  # noqa: E402
from growkit.statistics import in_thousands, in_words  # noqa: E402

RESULTS = ROOT / "data" / "results.csv"
# The studies with one setting per target.
COMPARED_STUDIES = (
    "figure-2",
    "figure-3",
    "figure-4",
    "figure-5",
    "bessel",
    "gaussian",
    "spirals",
)
CONDITION = ["task", "mask", "noise", "epochs"]  # the columns that tell one condition from another
# How the table of results names a mask, in the order of its rows.
READINGS = {"staircase": "", "shared": " as released", "neuron": " as described"}

# ------------------------------------------------------------------------------ the comparisons


def compare_all() -> pd.DataFrame:
    """Return the three measures of every stored condition, against both other arms.

    The test loss, its task part and the errors are compared, each where the study has it.
    """
    frames = []
    for study in COMPARED_STUDIES:
        finals = studies.stored(study)
        finals["noise"] = finals["noise"].astype(float).round(3)
        if "accuracy_fresh" in finals:
            finals["error_fresh"] = 1 - finals["accuracy_fresh"]
        if "accuracy" in finals:
            finals["error"] = 1 - finals["accuracy"]

        # The error on fresh points is preferred; where none were drawn, the test points serve.
        error = "error_fresh" if "error_fresh" in finals else "error"
        values = [name for name in ("test_loss", "test_task_loss", error) if name in finals]
        arms = set(finals["arm"])
        opponents = [arm for arm in ("grown", "static") if arm in arms]
        for value in values:
            for against in opponents:
                compared = statistics.compare(
                    finals, value, against, by=CONDITION, permutations=9999
                )
                frames.append(compared.assign(study=study))
    return pd.concat(frames, ignore_index=True)


def results() -> pd.DataFrame:
    """Return the stored comparisons."""
    return pd.read_csv(RESULTS)


def select(frame: pd.DataFrame, **values) -> pd.DataFrame:
    """Return the rows of a frame that have these values in the columns of these names."""
    for column, value in values.items():
        frame = frame[frame[column] == value]
    return frame


def words_by_measure(compared: pd.DataFrame, **values) -> dict[str, str]:
    """Return each measure of one comparison as text; `values` select the comparison."""
    rows = select(compared, **values).drop_duplicates("measure")
    return {row["measure"]: in_words(row) for _, row in rows.iterrows()}


def listed(rows: pd.DataFrame) -> str:
    """Return the estimates of several rows with their intervals as text, separated by commas."""
    return ", ".join(in_words(row) for _, row in rows.iterrows())


def paragraph(*sentences: str) -> str:
    """Return sentences as one text."""
    return " ".join(sentences)


# ----------------------------------------------------------------------------- the short answers
# Each function takes the stored comparisons, whether or not it needs them, and returns the answer.


def answer_growth(compared: pd.DataFrame) -> str:
    growing = studies.stored("figure-2").query("arm == 'growing'")
    size = growing["size"]
    with_five = (growing["active_width"] == 5).mean()
    return (
        "The size follows the gradient of its own loss nearly alone and opens the neurons one by "
        f"one: after 40 000 epochs on J0 the median of {len(growing)} networks is "
        f"{size.median():.3f} neurons (middle half {size.quantile(0.25):.3f} to "
        f"{size.quantile(0.75):.3f}; target 5), and {with_five:.0%} of them use exactly five of "
        "their nine neurons (published scale)."
    )


def answer_regression(compared: pd.DataFrame) -> str:
    rows = compared.query(
        "value == 'test_loss' and against == 'grown' and task != 'square-wave' "
        "and mask == 'staircase'"
    )
    rows = rows.drop_duplicates([*CONDITION, "measure"])
    means = select(rows, measure="ratio of means")
    lowest = means.loc[means["estimate"].idxmin()]
    highest = means.loc[means["estimate"].idxmax()]

    def standing(epochs):
        """Return, by each measure, on how many targets growing is ahead and behind."""
        mean = ahead_and_behind(select(rows, epochs=epochs, measure="ratio of means"))
        median = ahead_and_behind(select(rows, epochs=epochs, measure="ratio of medians"))
        pairs = ahead_and_behind(select(rows, epochs=epochs, measure="probability"))
        return (
            f"after {in_thousands(epochs)} epochs on the mean in {mean} targets, on the median in "
            f"{median}, and pair by pair in {pairs}"
        )

    return paragraph(
        "On the mean mostly yes, pair by pair only after long training.",
        "The ratio of mean test losses, growing over grown, runs from "
        f"{in_words(lowest)} to {in_words(highest)}.",
        "Growing is ahead (behind), with its whole 95 % interval, "
        f"{standing(40_000)}; {standing(20_000)} "
        "(published scale: 10 000 pairs a target, 200 for bessel-j0).",
    )


def ahead_and_behind(rows: pd.DataFrame) -> str:
    """Return in how many rows of one measure growing is ahead (behind) by a whole interval."""
    is_probability = (rows["measure"] == "probability").all()
    even = 0.5 if is_probability else 1
    below = (rows["high"] < even).sum()
    above = (rows["low"] > even).sum()
    # A ratio below 1 favours growing, and so does a probability above one half.
    if is_probability:
        return f"{above} ({below}) of {len(rows)}"
    return f"{below} ({above}) of {len(rows)}"


def answer_classification(compared: pd.DataFrame) -> str:
    words = words_by_measure(
        compared,
        task="square-wave",
        epochs=10_000,
        against="grown",
        value="test_loss",
        mask="staircase",
        noise=0.0,
    )
    accuracy = studies.stored("figure-5").groupby("arm")["accuracy_fresh"].mean()
    return paragraph(
        "Yes, moderately.",
        f"Growing over grown, the ratio of mean test losses is {words['ratio of means']} and of "
        f"medians {words['ratio of medians']}; growing ends lower with probability "
        f"{words['probability']}.",
        f"On fresh points the mean accuracy is {accuracy['growing']:.3f} growing, "
        f"{accuracy['grown']:.3f} grown and {accuracy['static']:.3f} static "
        "(published scale: 10 000 paired trials).",
    )


def answer_controller(compared: pd.DataFrame) -> str:
    compared = select(compared, epochs=5000, against="static", value="test_task_loss")

    bessel = []
    for reading, mask in (("released", "shared"), ("described", "neuron")):
        words = words_by_measure(compared, task="bessel-grid", mask=mask, noise=0.0)
        bessel.append(
            f"{words['ratio of medians']} of medians, {words['ratio of means']} of means and a "
            f"probability of {words['probability']} to end lower as {reading}"
        )

    gaussian = []
    for noise in (0.01, 0.1, 0.5):
        words = words_by_measure(compared, task="gaussian-mixture", mask="shared", noise=noise)
        gaussian.append(
            f"{words['ratio of medians']} of medians and {words['ratio of means']} of means at a "
            f"noise of {noise}"
        )

    return paragraph(
        "At the published learning rate of 0.001, width 10 and 5 000 epochs, on the Bessel sum "
        "clearly.",
        f"Growing over static, the ratio of task losses is {'; '.join(bessel)} "
        "(published scale: 100 pairs).",
        f"On the Gaussian mixture hardly: {'; '.join(gaussian)} (20 pairs, as released).",
        "Under Adam λ does nothing to the released controller's growth; the learning rate sets "
        "its speed, and a larger one narrows the lead.",
    )


def answer_spirals(compared: pd.DataFrame) -> str:
    medians = select(
        compared,
        task="spirals",
        epochs=5000,
        against="static",
        measure="ratio of medians",
        noise=0.0,
    )

    def words(mask, value):
        return in_words(select(medians, mask=mask, value=value).iloc[0])

    accuracy = studies.stored("spirals").groupby(["mask", "arm"])["accuracy"].median()
    history = studies.stored("spirals", "history").query("mask == 'shared'")
    course = history.groupby(["arm", "epoch"])["test_task_loss"].median()
    lead = course["growing"] / course["static"]
    return paragraph(
        "Yes, by a lead that shrinks in the end.",
        "Growing over static, the ratio of median task losses is "
        f"{words('shared', 'test_task_loss')} as released (it was {lead.min():.3f} after "
        f"{in_thousands(lead.idxmin())} epochs) and {words('neuron', 'test_task_loss')} as "
        f"described; of wrong test points {words('shared', 'error')} and "
        f"{words('neuron', 'error')}.",
        f"The median accuracy is {accuracy['shared', 'growing']:.3f} growing as released, "
        f"{accuracy['neuron', 'growing']:.3f} as described and "
        f"{accuracy['shared', 'static']:.3f} static (published scale: 100 pairs).",
    )


def answer_coupling(compared: pd.DataFrame) -> str:
    finals = studies.stored("coupling")
    losses = {}
    for arm, rows in finals.groupby("arm"):
        losses[arm] = rows.pivot(index=["epochs", "coupling"], columns="trial", values="test_loss")
    ratios = coupling_ratios(losses, slice(None))

    def lowest(trials):
        """Return the best λ and its ratio for each length of training."""
        of_trials = coupling_ratios(losses, trials)
        found = {}
        for epochs in of_trials:
            found["λ", epochs] = of_trials[epochs].idxmin()
            found["ratio", epochs] = of_trials[epochs].min()
        return found

    found = statistics.over_trials(lowest, finals["trial"].nunique(), 300)
    best = found["estimate"]["λ"]
    product = 2e-3 * best * best.index  # 2ηλE at η = 0.001

    def ratios_at(factor):
        """Return the range of the ratio over all lengths at `factor` times the best λ."""
        there = []
        for epochs, coupling in best.items():
            log_coupling = np.log(factor * coupling)
            there.append(np.interp(log_coupling, np.log(ratios.index), ratios[epochs]))
        return f"{min(there):.2g} to {max(there):.2g}"

    shortest = best.index.min()
    longest = best.index.max()
    short = found.xs(shortest, level=1)
    long = found.xs(longest, level=1)
    return paragraph(
        "Just hard enough to arrive.",
        f"After {in_thousands(longest)} epochs the ratio of mean test losses, growing over grown, "
        f"is least at λ = {in_words(long.loc['λ'])} and is {in_words(long.loc['ratio'])} there; "
        f"after {in_thousands(shortest)} epochs at λ = {in_words(short.loc['λ'])}, where it is "
        f"{in_words(short.loc['ratio'])}.",
        f"The best λ keeps 2ηλE between {product.min():.1f} and {product.max():.1f}; a third of it "
        f"and growing loses (a ratio of {ratios_at(1 / 3)} over the lengths of training), ten "
        f"times it and less of the lead is left ({ratios_at(10)}; moving averages over 40 of 401 "
        "λ, 200 pairs each, 95 % intervals over trials).",
    )


def coupling_ratios(losses: dict[str, pd.DataFrame], trials) -> pd.DataFrame:
    """Return ratios of mean test losses, growing over grown: rows λ, columns lengths of training.

    They are moving averages over 40 λ. `losses` has a frame per arm with a column per trial, and
    `trials` says which of these columns to average.
    """
    growing = losses["growing"].to_numpy()[:, trials].mean(axis=1)
    grown = losses["grown"].to_numpy()[:, trials].mean(axis=1)
    ratio = pd.Series(growing / grown, index=losses["growing"].index)
    return ratio.unstack("epochs").rolling(40, center=True, min_periods=1).mean()


def answer_scaling(compared: pd.DataFrame) -> str:
    finals = main_series()
    lines = fitted("width")
    total = lines.loc["test_loss"].set_index(["arm", "measure"])
    alone = lines.loc["test_task_loss"].set_index(["arm", "measure"])
    worst_misfit = total.xs("misfit", level="measure")["estimate"].max()
    crossing = landmarks(finals).loc["crossing"]
    crossing_alone = landmarks(finals, "test_task_loss").loc["crossing"]

    ratio = statistics.compare(finals, "test_task_loss", "static", by=["width"])
    ratio = select(ratio, measure="ratio of means").set_index("width")
    best = ratio["estimate"].idxmin()
    size_loss = finals.query("arm == 'growing'")["size_loss"].mean()

    ahead, behind = tuned_widths()
    wrong = spirals_compared()
    fewer = (wrong["high"] < 1).sum()
    more = (wrong["low"] > 1).sum()

    slopes = select(fitted("classes"), measure="slope")
    narrow = slopes["width"].min()
    wide = slopes["width"].max()

    def fall(width):
        """Return at which slope the accuracy of both arms falls with the classes at one width."""
        of_arm = select(slopes, width=width).set_index("arm")
        growing = in_words(of_arm.loc["growing"])
        static = in_words(of_arm.loc["static"])
        return f"{growing} growing and {static} static"

    return paragraph(
        "Yes, it flattens it: the slope of the mean test loss over the width is "
        f"{in_words(total.loc[('static', 'slope')])} static and "
        f"{in_words(total.loc[('growing', 'slope')])} growing, as published in kind; of the task "
        f"loss alone growing has {in_words(alone.loc[('growing', 'slope')])}.",
        f"But neither is a power law: means leave their lines by up to {worst_misfit:.1f} times.",
        f"Growing is ahead, by most at {best} neurons (ratio of mean task losses "
        f"{in_words(ratio.loc[best])}), up to a width of {in_words(crossing)}, or "
        f"{in_words(crossing_alone)} by the task loss alone; at 1024 neurons the ratio is "
        f"{in_words(ratio.loc[1024])}.",
        f"The size term that growing still owes at this learning rate is {size_loss:.1e} "
        "(bessel-grid, η = 0.0003, 5 000 epochs, ten trials).",
        "With each arm at its best of four rates growing is ahead, by medians and beyond the "
        f"interval, at {ahead} neurons and behind at {behind}.",
        f"On spirals growing leaves fewer test points wrong in {fewer} of {len(wrong)} settings "
        f"and more in {more}, by whole intervals, without a crossing.",
        "At η = 0.0003 accuracy falls with the number of classes with a slope of "
        f"{fall(narrow)} at {narrow} neurons, where guessing has -1, and of {fall(wide)} at "
        f"{wide}: the exponent says how far from chance a network is.",
    )


def main_series() -> pd.DataFrame:
    """Return the final results of the published main series of the scaling study.

    That is bessel-grid with all points at a learning rate of 0.0003.
    """
    return studies.stored("scaling-width")


def fitted(along: str) -> pd.DataFrame:
    """Return the straight lines that notebook 07 fits along the width or the classes, by value."""
    lines = pd.read_csv(ROOT / "data" / "scaling.csv", dtype={"width": "Int64"})
    lines = lines[(lines["along"] == along) & np.isclose(lines["lr"], 3e-4)]
    return lines.set_index("value")


def landmarks(finals: pd.DataFrame, value: str = "test_loss") -> pd.DataFrame:
    """Return the width where growing last crosses static, and mean losses of wide networks."""
    losses = finals.pivot(index="width", columns=["arm", "trial"], values=value)
    width = losses.index.to_numpy(dtype=float)

    def found(trials):
        growing = losses["growing"].to_numpy()[:, trials].mean(axis=1)
        static = losses["static"].to_numpy()[:, trials].mean(axis=1)
        return {
            "crossing": last_crossing(width, np.log(static / growing)),
            "growing": growing[-1],  # at the largest width
            "static": static[-1],
            "above": growing[width > 200].mean(),
        }

    return statistics.over_trials(found, finals["trial"].nunique())


def last_crossing(width: np.ndarray, lead: np.ndarray) -> float:
    """Return the width, interpolated in its logarithm, where a lead last falls to 0; or NaN."""
    crossings = np.flatnonzero((lead[:-1] > 0) & (lead[1:] <= 0))
    if not len(crossings):
        return np.nan
    before = crossings[-1]
    after = before + 1
    # np.interp wants its points in rising order, and the lead falls.
    points = [after, before]
    return np.exp(np.interp(0, lead[points], np.log(width)[points]))


def tuned_widths() -> tuple[str, str]:
    """Return the widths where growing is ahead, and behind, with each arm at its best rate."""
    finals = studies.stored("scaling-rates").query("control == 'none'")
    losses = finals.pivot(
        index=["arm", "lr", "width"], columns="trial", values="test_task_loss"
    ).sort_index()
    widths = sorted(finals["width"].unique())
    rates = finals["lr"].nunique()
    trials = losses.shape[1]
    # Arms are sorted, so growing comes before static.
    values = losses.to_numpy().reshape(2, rates, len(widths), trials)

    def tuned(positions):
        medians = np.median(values[..., positions], axis=-1)  # (arms, rates, widths)
        growing, static = medians.min(axis=1)
        return dict(zip(widths, growing / static, strict=True))

    ratios = statistics.over_trials(tuned, trials, 500)
    ahead = ratios.index[ratios["high"] < 1]
    behind = ratios.index[ratios["low"] > 1]
    return ", ".join(map(str, ahead)) or "no", ", ".join(map(str, behind)) or "no"


def spirals_compared() -> pd.DataFrame:
    """Return the ratio of mean errors, growing over static, in every setting of the spirals."""
    finals = pd.concat(
        [studies.stored("scaling-classes-5-9"), studies.stored("scaling-classes-3-7")],
        ignore_index=True,
    )
    finals = finals.assign(error=1 - finals["accuracy"])
    settings = ["lr", "classes", "width"]
    return statistics.compare(finals, "error", "static", settings, measures=["ratio of means"])


def answer_controls(compared: pd.DataFrame) -> str:
    rows = pd.read_csv(ROOT / "data" / "controls.csv").query("measure == 'ratio of medians'")
    rows = rows[~rows["reference"].str.startswith("picked static")]
    rows = select(rows, arm="growing")
    rows = rows.set_index(["control", "reference", "rate", "case"]).sort_index()
    auxiliary = ["bessel-j0", "bessel-sum", "square-wave"]
    controller = ["bessel-grid", "spirals"]

    def words(cases, control, reference, rate="tuned"):
        return listed(rows.loc[(control, reference, rate)].loc[cases])

    no_size = words(auxiliary, "no size input", "no size input")
    no_size_adam = words(auxiliary, "Adam, no size input", "Adam, no size input")
    return paragraph(
        "Under gradient descent it helps not to be fed one's size: with the auxiliary weight the "
        "size is an input of every neuron and saturates networks that begin with it; growing "
        "escapes this by beginning at zero.",
        "Under Adam something else helps, on two of three targets.",
        "The ratio of median task losses, growing over static, at best learning rates on J0, "
        "Bessel sum and square wave: as published "
        f"{words(auxiliary, 'as published', 'as published')}; where neither arm is fed its size "
        f"{no_size}; so under Adam {no_size_adam}.",
        "The controller's gate helps at the published rate, on bessel-grid and spirals "
        f"{words(controller, 'as published', 'as published', 'published')} (all gates open: "
        f"{words(controller, 'no gate', 'as published', 'published')}); at best rates the ratio "
        f"is {words(controller, 'as published', 'as published')} (1 024 pairs; controller 30).",
    )


def answer_compute(compared: pd.DataFrame) -> str:
    rows = pd.read_csv(ROOT / "data" / "compute.csv").query("cost == 'flops'")
    rows = rows.set_index(["control", "rate"])
    cases = ", ".join(rows.loc[[("as published", "published")], "case"])

    def words(control, rate):
        return listed(rows.loc[[(control, rate)]])

    finals = studies.stored("controls").query("control == 'as published' and width <= 10")
    # A task's first rate is the published one.
    published_rate = finals.groupby("task")["lr"].transform("first")
    finals = finals[finals["lr"] == published_rate]
    spent = finals.groupby(["task", "arm"])["flops"].mean().unstack()
    whole = spent["growing"] / spent["static"]
    return paragraph(
        "At the published rates often: with a shared gate by falling faster alone, otherwise also "
        "by being small.",
        "Operations, growing over static, to the loss that three of four networks of either arm "
        f"reach ({cases}): {words('as published', 'published')}; at the best rate of each arm "
        f"{words('as published', 'tuned')}; there and without the size as an input "
        f"{words('no size input', 'tuned')}.",
        f"A whole training at the published rates costs {whole.min():.2f} to {whole.max():.2f} "
        "times as much: the auxiliary weight opens early, and a shared gate makes every neuron "
        "active from the first few epochs (medians over 50 pairs, controller 30; 95 % intervals).",
    )


def answer_claims(compared: pd.DataFrame) -> str:
    claims = pd.read_csv(ROOT / "data" / "claims.csv")
    means = select(claims, measure="ratio of means")

    def counted(claim, setting, against):
        """Return how many comparisons of a claim favour growing, and how many its opponent."""
        favours = select(means, claim=claim, setting=setting, against=against)["favours"]
        won = (favours == "growing").sum()
        # An opponent is called by its own name.
        lost = (~favours.isin(["growing", "neither"])).sum()
        count = f"{claim} in {won} of {len(favours)}"
        if lost:
            count += f" (its opponent in {lost})"
        return count

    published = (
        counted("C1", "as published", "grown"),
        counted("C2", "as published", "grown"),
        counted("C3", "as published", "static"),
    )
    strict = ("C1", "C2", "C3")
    best_rates = [counted(claim, "best rates", "static") for claim in strict]
    no_size_input = [counted(claim, "no size input, best rates", "static") for claim in strict]
    return paragraph(
        "As published most, otherwise few.",
        f"By the ratio of means, corrected for the {len(means)} comparisons by it, growing is "
        f"favoured at the published settings, by conditions, for {', '.join(published)}; at the "
        f"best learning rate of each arm {', '.join(best_rates)}; there and without the size as "
        f"an input {', '.join(no_size_input)}; over a larger static network "
        f"{counted('C6', 'best rates', 'larger static')}.",
        "C4 and C5 are judged in the table.",
    )


def answer_your_data(compared: pd.DataFrame) -> str:
    rows = pd.read_csv(ROOT / "data" / "your_data.csv").query("against == 'static'")
    tables = ("diabetes", "breast cancer", "MNIST-1D")
    means = select(rows, measure="ratio of means")
    medians = select(rows, measure="ratio of medians")
    by_task = medians.set_index(["way", "task"])

    def words(way):
        """Return the ratios of the tables that have this way."""
        parts = [
            f"{in_words(by_task.loc[(way, task)])} on {task}"
            for task in tables
            if (way, task) in by_task.index
        ]
        return ", ".join(parts)

    def sure(ratios):
        """Return on which tables growing is ahead, and behind, by a whole interval."""
        ahead = sorted(set(ratios.loc[ratios["high"] < 1, "task"]))
        behind = sorted(set(ratios.loc[ratios["low"] > 1, "task"]))
        return f"ahead on {', '.join(ahead) or 'none'} and behind on {', '.join(behind) or 'none'}"

    pairs = ", ".join(str(by_task.loc[("as published", task), "pairs"]) for task in tables)
    return paragraph(
        "A few lines tell; below 1 growing is ahead.",
        "On three tables the ratio of median test losses, growing over static, each at its best "
        f"of four learning rates, is {words('as published')}; where neither is fed its size "
        f"{words('no size input')}; where the size moves five times faster "
        f"{words('five times faster')} ({pairs} pairs).",
        f"By whole intervals, in any of these ways, growing is {sure(medians)} by medians, and "
        f"{sure(means)} by means.",
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

# ------------------------------------------------------------------------- the parts of the README


def results_table(compared: pd.DataFrame) -> str:
    """Return the README's table of results."""
    rows = select(compared, value="test_loss").drop_duplicates([*CONDITION, "against", "measure"])
    pairs = rows.groupby(CONDITION)["pairs"].first()
    texts = rows.assign(text=[in_words(row) for _, row in rows.iterrows()])
    wide = texts.pivot(index=CONDITION, columns=["against", "measure"], values="text")

    columns = []
    heads = []
    for arm in ("grown", "static"):
        for measure in statistics.MEASURES:
            columns.append((arm, measure))
            if measure == "probability":
                heads.append(f"probability that growing ends below {arm}")
            else:
                heads.append(f"{measure}, growing : {arm}")

    lines = [
        "| target, epochs | pairs | " + " | ".join(heads) + " |",
        "|---|---|" + "---|" * len(columns),
    ]
    for condition in sorted(wide.index, key=place_in_table):
        task, mask, noise, epochs = condition
        name = task
        if noise:
            name += f" with noise {noise:g}"
        name += READINGS[mask]
        # Where an arm was not trained there is no text.
        cells = wide.loc[condition, columns].fillna("–")
        start = f"| {name}, {in_thousands(epochs)} | {in_thousands(pairs[condition])} | "
        lines.append(start + " | ".join(cells) + " |")
    return "\n".join(lines)


def place_in_table(condition: tuple) -> tuple:
    """Return what the rows of the table of results are sorted by.

    The auxiliary weight comes before the controller, and long training before short; then the order
    is that of the tasks, the masks and the noise.
    """
    task, mask, noise, epochs = condition
    reading = list(READINGS).index(mask)
    is_controller = reading > 0
    return is_controller, -epochs, task, reading, noise


def results_remarks(compared: pd.DataFrame) -> str:
    """Return what the README says about its table of results."""
    rows = select(compared, against="grown", mask="staircase", measure="probability", epochs=20_000)
    rows = rows.drop_duplicates([*CONDITION, "value"])
    total = select(rows, value="test_loss")["estimate"]
    alone = select(rows, value="test_task_loss")["estimate"]

    stuck = studies.stored("figure-2").query("test_task_loss > 0.1").groupby("arm").size()
    growing = studies.stored("bessel").query("arm == 'growing'")
    median = growing.groupby("mask")["test_task_loss"].transform("median")
    is_bad = growing["test_task_loss"] > 10 * median
    bad = is_bad.groupby(growing["mask"]).sum()
    return paragraph(
        "Where the ratio of means is far below the ratio of medians, a few networks that end "
        "badly make the mean, and fewer of them are growing: for bessel-j0 "
        f"{stuck['growing']} growing, {stuck['grown']} grown and {stuck['static']} static "
        "networks of 200 end above a task loss of 0.1.",
        "So few make that interval wide, and still too hopeful.",
        "After 20 000 epochs growing ends higher in most pairs on all targets (probability of "
        f"ending lower {total.min():.2f} to {total.max():.2f}); without the size term, which it "
        f"has not finished paying, still so (probability {alone.min():.2f} to {alone.max():.2f}).",
        "cubic-2 is the mirror image of cubic-1, so it repeats that experiment.",
        "On bessel-grid the mean of the growing networks, too, is made by few: "
        f"{bad['shared']} as released and {bad['neuron']} as described of 100 end above ten times "
        "the median.",
        "As released there is no grown arm: at s = 1 the size loss has no slope, so grown would "
        "be static.",
    )


def published_table() -> str:
    """Return the table of the paper's scaling relations and its one running time beside ours."""
    slopes = fitted("width").loc["test_loss"].set_index(["arm", "measure"])
    marks = landmarks(main_series())
    rows = [
        ("slope over the width, static", -1.31, slopes.loc[("static", "slope")]),
        ("slope over the width, growing", -0.79, slopes.loc[("growing", "slope")]),
        ("width where growing crosses static", 200, marks.loc["crossing"]),
        ("mean test loss, growing, widths above 200", 1.3e-3, marks.loc["above"]),
        ("mean test loss, static, 1024 neurons", 1.2e-4, marks.loc["static"]),
    ]
    lines = [
        "| main series: bessel-grid, η = 0.0003, 5 000 epochs, 10 trials; last row: λ study "
        "| published | ours (95 % interval) | |",
        "|---|---|---|---|",
    ]
    for name, number, ours in rows:
        lines.append(f"| {name} | {number:g} | {in_words(ours)} | {agreement(number, ours)} |")

    # The paper trained for 17 783 epochs; our study went on to 31 623.
    couplings = studies.stored("coupling")["coupling"].nunique()
    seconds = studies.about_stored("coupling")["core_minutes"] * 60 / couplings * 17_783 / 31_623
    lines.append(
        "| seconds for one λ, 400 trials of 17 783 epochs | 51 (a multi-core Mac) | "
        f"{seconds:.1f} (one core, from the stored study's core-minutes) | |"
    )
    return "\n".join(lines)


def agreement(number: float, ours: pd.Series) -> str:
    """Return how our estimate, with its interval, compares with a published number."""
    if ours["low"] <= number <= ours["high"]:
        return "agrees"
    if number > 0:
        return f"ours is {ours['estimate'] / number:.2g} times it"
    # The ratio of two slopes would say little.
    return f"ours is {ours['estimate'] - number:+.2f} off"


def verdicts_table() -> str:
    """Return the table of verdicts of notebook 10, with its links as they are from the README."""
    text = (ROOT / "data" / "verdicts.md").read_text()
    return text.rstrip().replace("](", "](notebooks/")


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


# ------------------------------------------------------------------------- writing between markers


def between(text: str, name: str, content: str) -> str:
    """Return the text with `content` between the two markers of this name."""
    pattern = re.compile(rf"(<!-- {name} -->).*?(<!-- /{name} -->)", re.DOTALL)
    if not pattern.search(text):
        raise SystemExit(f"the marker <!-- {name} --> is missing")
    return pattern.sub(lambda found: found[1] + content + found[2], text)


def answered(path: Path, compared: pd.DataFrame) -> str:
    """Return a notebook's file with its short answer, and its table of published numbers, anew."""
    book = json.loads(path.read_text())
    for cell in book["cells"]:
        text = "".join(cell["source"])
        if "<!-- answer -->" in text:
            text = between(text, "answer", ANSWERS[path.stem](compared))
            cell["source"] = text.splitlines(keepends=True)
        if "<!-- published -->" in text:
            text = between(text, "published", f"\n{published_table()}\n")
            cell["source"] = text.splitlines(keepends=True)
    return json.dumps(book, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def readme(compared: pd.DataFrame) -> str:
    """Return the README with all its numbers written anew."""
    # The runs of figure-3 are among those of figure-4.
    trained = [study for study in studies.STUDIES if study != "figure-3"]
    minutes = sum(studies.about_stored(study)["core_minutes"] for study in trained)

    text = (ROOT / "README.md").read_text()
    text = between(text, "results", f"\n{results_table(compared)}\n")
    text = between(text, "cost", f"{minutes:.0f}")
    text = between(text, "remarks", f"\n{results_remarks(compared)}\n")
    text = between(text, "published", f"\n{published_table()}\n")
    text = between(text, "claims", f"\n{verdicts_table()}\n")
    return between(text, "index", f"\n{notebook_index()}\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument(
        "--compare", action="store_true", help="compute data/results.csv anew first (minutes)"
    )
    arguments = parser.parse_args()
    try:
        if arguments.compare or not RESULTS.exists():
            compare_all().to_csv(RESULTS, index=False, float_format="%.6g")
        compared = results()
        for name in ANSWERS:
            path = ROOT / "notebooks" / f"{name}.ipynb"
            path.write_text(answered(path, compared))
        # The README repeats the short answers, so the notebooks are written first.
        (ROOT / "README.md").write_text(readme(compared))
    except (ValueError, OSError) as error:  # such as a study that data/ lacks
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()

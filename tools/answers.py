"""The short answers of the notebooks, from the results in `data/`.

`tools/readme.py` writes them between the markers of each notebook's first cell. To change one,
change its function here. A function computes its numbers, and checks that its words still hold.
"""

import math

import pandas as pd

from growkit import benchmark, derived, studies
from growkit.derived import adam, scaling, select
from growkit.derived import compute as operations
from growkit.derived import controls as control_tables
from growkit.statistics import in_thousands


def hold(condition: bool, words: str) -> None:
    """Raise ValueError if the results no longer bear out the words of an answer."""
    if not condition:
        raise ValueError(f"the results in data/ no longer say: {words}")


def growth() -> str:
    growing = select(studies.stored("figure-2"), arm="growing")
    median = growing["size"].median()
    hold(abs(median - 5) < 0.01, "the size arrives at its target")
    hold((growing["active_width"] == 5).all(), "all networks use exactly five neurons")
    return (
        "The size follows almost only the gradient of its own loss and opens the neurons one by "
        f"one. After 40 000 epochs on J0 its median is {median:.3f} (target 5), and all "
        f"{len(growing)} networks use exactly five of nine neurons."
    )


def regression() -> str:
    rows = select(derived.stored("results"), value="test_loss", against="grown", mask="staircase")
    rows = rows[rows["study"].isin(("figure-2", "figure-3", "figure-4"))]
    # Each target counts once, at its longest training; cubic-2 is the mirror image of cubic-1.
    rows = rows[rows["task"] != "cubic-2"]
    longest = rows.groupby("task")["epochs"].transform("max")
    once = rows[rows["epochs"] == longest]

    means = select(once, measure="ratio of means")
    hold((means["high"] < 1).all(), "the mean is lower on all targets")
    pairs = select(derived.stored("verdicts"), role="counted", measure="probability")
    pairs = select(pairs, claim="C1", setting="published setting").iloc[0]
    half = select(rows, measure="probability", epochs=20_000)
    hold((half["high"] < 0.5).all(), "after half the epochs growing loses pair by pair everywhere")
    return (
        f"On the mean, yes, at the published setting. On all {len(means)} targets, each at its "
        f"longest training, growing's mean test loss is {means['estimate'].min():.2f} to "
        f"{means['estimate'].max():.2f} of grown's. Pair by pair it wins on "
        f"{pairs['favours_growing']:.0f} and loses on {pairs['favours_other']:.0f}."
    )


def classification() -> str:
    rows = select(derived.stored("results"), study="figure-5", against="grown", value="test_loss")
    rows = rows.set_index("measure")
    mean = rows.loc["ratio of means"]
    median = rows.loc["ratio of medians"]
    pairs = rows.loc["probability"]
    hold(mean["high"] < 1 and median["high"] < 1, "growing's test loss is lower")
    hold(pairs["low"] > 0.5, "growing ends lower pair by pair")

    # A network that misses one of the four stretches has about a quarter of the points wrong.
    finals = studies.stored("figure-5")
    missed = (finals["accuracy_fresh"] < 0.9).groupby(finals["arm"]).mean()
    hold(missed["growing"] < missed["grown"], "growing networks miss a stretch less often")
    return (
        "Yes, moderately, at the published setting. Growing's mean test loss is "
        f"{mean['estimate']:.2f} of grown's; in {pairs['estimate']:.0%} of the pairs growing ends "
        f"lower. {missed['growing']:.0%} of its networks miss a whole stretch of a class, against "
        f"{missed['grown']:.0%} of grown's."
    )


def size_coupling() -> str:
    numbers = select(derived.stored("coupling"), measure="ratio of means")
    longest = numbers["epochs"].max()
    numbers = numbers.set_index(["quantity", "epochs"])
    best = numbers.loc[("ratio at the best λ", longest)]
    third = numbers.loc[("ratio at a third of the best λ", longest)]
    power = numbers.loc[("power of the best λ", 0)]
    product = numbers.loc[("2ηλE at the best λ", longest), "estimate"]
    hold(3 < product < 12, "at the best λ the size just arrives by the end")
    hold(best["high"] < 1, "growing wins at the best λ")
    hold(third["low"] > 1, "growing loses at a third of the best λ")
    return (
        "Just hard enough that the size arrives by the end. After "
        f"{in_thousands(longest)} epochs growing's mean loss is then {best['estimate']:.2f} times "
        f"grown's; at a third of this λ, {third['estimate']:.1f} times. The best λ falls as epochs "
        f"to the power {power['estimate']:.1f}."
    )


def why_it_helps() -> str:
    table = derived.stored("controls")
    conditions = control_tables.conditions(table)
    auxiliary = conditions["case"].isin(["bessel-j0", "bessel-sum", "square-wave"])
    at_published = select(conditions, condition="published setting")
    hold((at_published["high"] < 1).all(), "growing leads on every target as published")
    unfed = select(conditions[auxiliary], condition="no size input, best rates")
    ahead = (unfed["clear"] & (unfed["estimate"] < 1)).sum()
    hold(ahead == 0, "without the size input growing leads on none")

    fed = control_tables.ratios(table, "as published", "growing", "as published", "published")
    mended = control_tables.ratios(table, "no size input", "static", "as published", "published")
    both = mended.set_index("case")["estimate"] / fed.set_index("case")["estimate"]
    hold((both[unfed["case"]] < 1).all(), "static without the input ends below growing")
    grid = select(conditions, case="bessel-grid", condition="no size input, best rates").iloc[0]
    hold(grid["clear"] and grid["high"] < 1, "without the size input growing leads on bessel-grid")
    unfed_static = control_tables.ratios(
        table, "no size input", "static", "as published", "tuned"
    ).set_index("case")
    hold(unfed_static.loc["bessel-grid", "low"] > 1, "where static ends higher without it")
    ungated = control_tables.ratios(table, "no gate", "growing", "as published", "published")
    ungated = ungated[ungated["case"].isin(["bessel-grid", "spirals"])]
    hold((ungated["high"] > 1).all(), "without its gate the controller does not lead")
    growing, delayed = rung("as it is"), rung("delayed training")
    hold(delayed["high"] < 1, "under Adam networks trained one after the other are ahead")

    return (
        "Under gradient descent the size input harms networks that start large: without it, at "
        f"best rates, growing leads on {ahead} of {len(unfed)} targets. Under Adam its median is "
        f"{growing['estimate']:.2f} of static's on one, {delayed['estimate']:.2f} if neurons only "
        "train in turn. The controller's needs its gate."
    )


def rung(control: str, task: str = "bessel-sum") -> pd.Series:
    """Return the ratio of medians of a control under Adam over static networks, on one task."""
    rows = adam.ratios(derived.stored("adam"))
    rows = rows[rows["study"].isin(["adam-ladder", "adam-opponents", "adam-restarts"])]
    return select(rows, control=control, task=task).iloc[0]


def under_adam() -> str:
    growing, gentle = rung("as it is"), rung("hard opening, outgoing weights from 0")
    hold(growing["high"] < 0.3, "growing is far ahead on the Bessel sum")
    hold(gentle["high"] < growing["high"], "a gentle entry without gates does as well")
    hold(rung("whole layer")["low"] > 0.8, "not if the whole layer opens at once")
    pruned, restarts = rung("pruned at a quarter"), rung("best of 8 trainings")
    hold(pruned["low"] > 1, "pruned networks end above static ones")
    return (
        "Because its neurons come one after the other and without a jump. So it ends at "
        f"{growing['estimate']:.2f} of static's median loss on bessel-sum. Pruned networks end at "
        f"{pruned['estimate']:.1f} or more; the best of eight trainings, for eight times the cost, "
        f"at {restarts['estimate']:.2f}."
    )


def controller_regression() -> str:
    medians = select(derived.stored("results"), measure="ratio of medians", against="static")
    medians = select(medians, value="test_loss")
    bessel = select(medians, task="bessel-grid").set_index("mask")
    hold((bessel["high"] < 1).all(), "on the Bessel sum growing ends lower in both readings")

    rates = select(derived.stored("controls"), case="bessel-grid", measure="ratio of medians")
    rates = select(rates, control="as published", reference="as published", arm="growing")
    rates = rates.set_index("rate")
    tuned = rates.loc["tuned"]
    hold(rates.loc["published", "estimate"] < tuned["estimate"] < 1, "at best rates it shrinks")
    hold(tuned["high"] > 1, "at best rates the lead is undecided")
    mixture = select(medians, task="gaussian-mixture")
    hold(mixture["estimate"].between(0.9, 1.1).all(), "on the mixture the arms hardly differ")

    released, described = bessel.loc[["shared", "neuron"], "estimate"]
    return (
        "Yes, on the Bessel sum at the published setting. Growing's median test loss is "
        f"{released:.2g} times static's as released, {described:.2g} as described. "
        "At best rates the lead is smaller and undecided; on the Gaussian mixture the arms hardly "
        "differ."
    )


def spirals() -> str:
    medians = select(derived.stored("results"), task="spirals", measure="ratio of medians")
    medians = select(medians, value="error", against="static").set_index("mask")
    hold((medians["high"] < 1).all(), "on the spirals growing is ahead in both readings")

    history = studies.stored("spirals", "history")
    released = select(history, learns_from="size")
    accuracy = released.groupby(["arm", "epoch"])["accuracy"].median()
    lead = accuracy["growing"] - accuracy["static"]
    hold(lead.iloc[-1] < lead.max() / 2, "the lead is less than half of what it was")

    rates = select(derived.stored("controls"), case="spirals", measure="ratio of medians")
    rates = select(rates, control="as published", reference="as published", arm="growing")
    tuned = rates.set_index("rate").loc["tuned"]
    hold(tuned["low"] < 1 < tuned["high"], "at the best rates no lead can be shown")

    shared, neuron = medians.loc[["shared", "neuron"], "estimate"]
    return (
        "Yes, at the published setting. Growing's median fraction of wrong points is "
        f"{shared:.2f} times static's as released, {neuron:.2f} as described. The lead shrinks "
        "as training goes on, and at the best rate of each arm none can be shown."
    )


def scaling_width() -> str:
    table = derived.stored("scaling")
    slopes = scaling.main_rows(table, "slope over width").set_index("arm")
    crossing = scaling.main_rows(table, "crossing of means").iloc[0]
    off_line = scaling.main_rows(table, "mean over line")
    away = (off_line["low"] > 1) | (off_line["high"] < 1)
    tuned = scaling.rows_of(table, "ratio of medians at best rates")
    hold(slopes.loc["growing - static", "low"] > 0, "growing is flatter than static")
    hold((away.groupby(off_line["arm"]).mean() > 0.5).all(), "neither arm follows a power law")
    hold(not (tuned["high"] < 1).any(), "growing is ahead at no width at best rates")
    hold((tuned["low"] > 1).any(), "and behind at some")
    return (
        "Over all widths growing's slope is flatter, as published: "
        f"{slopes.loc['growing', 'estimate']:.2f} against {slopes.loc['static', 'estimate']:.2f}. "
        "But neither arm follows a power law. Growing is ahead below about "
        f"{crossing['estimate']:.0f} neurons; at best rates undecided in narrow networks, behind "
        "in wide ones."
    )


def scaling_classes() -> str:
    table = select(derived.stored("scaling"), task="spirals")
    slopes = scaling.rows_of(table, "slope over classes")
    slopes = slopes[slopes["arm"] != "growing - static"]["estimate"]
    difference = scaling.rows_of(table, "slope over classes", arm="growing - static")
    wrong = scaling.rows_of(table, "ratio of means", value="error")
    won = (wrong["high"] < 1).sum()
    hold(slopes.min() < -0.9 and slopes.max() > -0.25, "the slope goes from guessing towards 0")
    hold(not (difference["high"] < 0).any(), "growing is nowhere the steeper arm")
    hold(won > len(wrong) / 2 and not (wrong["low"] > 1).any(), "growing leaves fewer points wrong")
    return (
        f"A little: growing's slope is often flatter. Slopes run from {slopes.min():.2f}, as for "
        f"guessing, in narrow networks to {slopes.max():.2f} in wide ones. At the published "
        f"settings growing leaves fewer points wrong in {won} of {len(wrong)} comparisons, more in "
        "none."
    )


def compute() -> str:
    whole = operations.whole_runs(operations.courses(studies.stored("controls", "history")))
    hold(whole.min() > 0.85, "a whole training costs nearly as much")
    rows = select(derived.stored("compute"), cost="flops", rate="published")
    rows = select(rows, control="as published")
    hold(rows["resolved"].all(), "at the published setting every factor can be told")
    hold((rows["low"] <= 1).all(), "growing needs more operations on none")
    fewer = (rows["high"] < 1).sum()
    hold(2 * fewer > len(rows), "growing often needs fewer operations")
    return (
        "Hardly by being small: a whole training costs nearly as much. Often by learning in fewer "
        "epochs: at the published setting growing needs fewer operations for the same loss on "
        f"{fewer} of {len(rows)} targets, and on none more."
    )


def controls() -> str:
    table = derived.stored("controls")
    picked = table[table["reference"].str.startswith("picked static")]
    picked = select(picked, kind="growing")
    ahead = picked[picked["high"] < 1]
    hold(ahead["reference"].str.endswith("adam").all(), "growing wins only under Adam")
    hold(2 * len(ahead) < len(picked), "the best growing network seldom beats the best static one")
    unfed = control_tables.ratios(table, "no size input", "static", "as published", "tuned")
    unfed = unfed[unfed["case"].isin(["bessel-j0", "bessel-sum", "square-wave"])]
    hold((unfed["high"] < 1).all(), "static networks gain by losing the size input")
    return (
        "Over all controls, at best rates, the best growing network beats the best static "
        f"one in {len(ahead)} of {len(picked)} cases, all of them under Adam. By gradient descent, "
        "static networks do as well once they are not told their size."
    )


def claims() -> str:
    fair = "best rates and no size input"
    published, _, of_published = lower_on("published setting", "ratio of means")
    by_mean, _, of_fair = lower_on(fair, "ratio of means")
    by_median, *_ = lower_on(fair, "ratio of medians")
    hold(published > 0.7 * of_published, "most hold at the published setting")
    hold(by_mean < 0.3 * of_fair, "few hold at best rates and no size input")

    counted = select(derived.stored("verdicts"), role="counted", measure="ratio of medians")
    larger = select(counted, claim="C6", setting=fair, against="larger static").iloc[0]
    hold(larger["favours_other"] > larger["conditions"] / 2, "a larger static network mostly wins")
    return (
        "At the published setting mostly: by the means, growing wins in "
        f"{published} of {of_published} conditions of C1 to C3. At best rates "
        f"and without the size input: in {by_mean} of {of_fair}, by medians in "
        f"{by_median}. A static network with twice the neurons mostly wins."
    )


def lower_on(setting: str, measure: str) -> tuple[int, int, int]:
    """Return in how many comparisons of C1 to C3 growing is ahead, behind, and of how many."""
    rows = select(derived.stored("verdicts"), role="counted", setting=setting, measure=measure)
    rows = rows[rows["claim"].isin(["C1", "C2", "C3"])]
    columns = ["favours_growing", "favours_other", "conditions"]
    return tuple(int(number) for number in rows[columns].sum())


def your_data() -> str:
    rows = select(
        derived.stored("your_data"),
        way="as published",
        against="static",
        measure="ratio of medians",
        best=True,
    ).set_index("task")
    hold((rows["high"] < 1).sum() == 0, "growing is ahead on no table")
    hold(rows.loc["breast-cancer", "low"] > 1, "growing is behind on breast cancer")
    ratios = rows["estimate"].map("{:.2f}".format)
    return (
        "On three tables it does not. At the best rate of each arm, the median loss of growing "
        f"over static is {ratios['diabetes']} (diabetes), {ratios['breast-cancer']} (breast "
        f"cancer) and {ratios['mnist-1d']} (MNIST-1D). Ten lines of code answer it for yours."
    )


def your_model() -> str:
    return (
        "`dense` exports a grown network as plain PyTorch layers of its active neurons. `grow` and "
        "`shrink` change the number of neurons of a torch model while it trains, and its optimizer "
        "with it; growing changes none of its answers."
    )


# Tasks of the benchmark that are functions without noise, learned from their values.
WITHOUT_NOISE = ("bessel-sum", "chirp", "student-teacher", "student-small", "bessel-grid")


def rules() -> str:
    best = tasks_won()
    first = best.iloc[0]
    return (
        "Not shown: across tasks none is clearly better, at equal operations, than the best of "
        f"eight static widths. On {len(best)} of {len(benchmark.ROWS)} tasks at least one is. "
        "Large leads occur only in regression without noise: "
        f"{math.exp(first['estimate']):.2f} of static's loss on {first['name']}."
    )


def tasks_won() -> pd.DataFrame:
    """Return the best growing arm's row of each task on which one is clearly ahead, best first."""
    across, single = rules_at_end()
    hold((across["high_tasks"] > 0).all(), "no arm is clearly ahead over tasks")
    decided = single[(single["p_holm"] < 0.05) & single["arm"].map(benchmark.grows)]
    won = decided[decided["estimate"] < 0]
    best = won.loc[won.groupby("name")["estimate"].idxmin()].sort_values("estimate")
    hold(len(best) < len(benchmark.ROWS) / 2, "on most tasks no growing arm is ahead")
    hold(set(best["name"].head(3)) <= set(WITHOUT_NOISE), "they are far ahead without noise alone")
    return best


def rules_at_end() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the benchmark's rows across tasks and of single tasks, tuned, under Adam."""
    rows = select(derived.stored("rules"), share=1.0, ruleset="tuned", optimizer="adam")
    rows = rows[~rows["arm"].str.startswith("static ")]
    is_across = rows["name"] == "all"
    return rows[is_across], rows[~is_across]


ANSWERS = {
    "01_growth": growth,
    "02_regression": regression,
    "03_classification": classification,
    "04_size_coupling": size_coupling,
    "05_why_it_helps": why_it_helps,
    "06_controller_regression": controller_regression,
    "07_spirals": spirals,
    "08_scaling_width": scaling_width,
    "09_scaling_classes": scaling_classes,
    "10_compute": compute,
    "11_controls": controls,
    "12_claims": claims,
    "13_your_data": your_data,
    "14_your_model": your_model,
    "15_under_adam": under_adam,
    "16_rules": rules,
}

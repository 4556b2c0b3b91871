"""The paper's claims, judged: `data/claims.csv` and `data/verdicts.csv`.

`compute` returns a row for every comparison that bears on a claim, and `verdicts` counts them. Open
this module to see by which rules a claim is judged, or to change one of them.

    C1  a growing network ends with a lower test loss: regression, auxiliary weight
    C2  the same in binary classification
    C3  the same for the controller mask, in regression and on spirals
    C4  the advantage depends on the size coupling λ
    C5  loss and accuracy are power laws, with other exponents when growing
    C6  starting small and growing is preferable to starting large

A comparison stands once in the family of its claim and measure, for which p-values are corrected.
The column `role` says "counted" for those in the family. The others are the same networks seen once
more, and are judged by themselves:

    other loss      by the task loss or the errors, where the published loss is counted
    other opponent  over static networks, where grown ones are counted, or over static networks
                    without the size input
    snapshot        an earlier epoch of runs that go on
    mirror image    a target that is the negative of another one

Within growkit.derived, the module uses `controls` and `adam` to find the trials behind a row, and
`scaling` to put the values of a power law in order.
"""

import numpy as np
import pandas as pd

from growkit import derived, statistics, studies
from growkit.derived import adam, controls, scaling
from growkit.statistics import MEASURES, in_thousands

STATEMENTS = {
    "C1": "growing ends lower: regression, auxiliary weight",
    "C2": "growing ends lower: classification, auxiliary weight",
    "C3": "growing ends lower: controller mask",
    "C6": "growing is preferable to starting large",
}
SETTINGS = ("published setting", "best rates", "no size input", "best rates and no size input")
EVEN = {"ratio of means": 1.0, "ratio of medians": 1.0, "probability": 0.5}  # favours neither arm
LEVEL = 0.05  # of a corrected p-value
MIRRORED = ("cubic-2",)  # the negative of cubic-1; quadratic-2 has conditions of its own

PERMUTATIONS = 9999
RESAMPLES = 1000
DECADES = (-2, -1, 0, 1, 2)  # exponents of λ around which claim C4 is judged
WINDOW = 0.2  # decades of λ that are averaged around each of them
ALIKE = (0.8, 1.25)  # C4: arms whose ratio has both limits in here are alike
STRAIGHT = 0.99  # C5: the least share of variance (R²) that the line of a power law explains
SCALING_RATE = 3e-4  # C5: the published learning rate
MAIN_POINTS = 32_768  # C5: the main series over the width

NOTEBOOKS = {
    "figure-2": "02_regression",
    "figure-3": "02_regression",
    "figure-4": "02_regression",
    "figure-5": "03_classification",
    "bessel": "06_controller_regression",
    "gaussian": "06_controller_regression",
    "spirals": "07_spirals",
    "coupling": "04_size_coupling",
    "scaling-width": "08_scaling_width",
    "scaling-classes": "09_scaling_classes",
    "controls": "05_why_it_helps",
    "adam-ladder": "05_why_it_helps",
}
ATLAS = "11_controls"  # where the controls stand that 05 leaves out


# -------------------------------------------------------------------- C1 to C3, published setting


def published(results: pd.DataFrame) -> pd.DataFrame:
    """Return the comparisons of C1 to C3 at the published setting.

    Parameters
    ----------
    results : DataFrame
        What `comparisons.compute` returned, the table `data/results.csv`, or a part of it.

    Returns
    -------
    DataFrame
        A row per comparison and measure, with the columns claim, setting, condition and role.
    """
    rows = results.copy()
    staircase = rows["mask"] == "staircase"
    rows["claim"] = np.where(staircase, "C1", "C3")
    rows.loc[rows["task"] == "square-wave", "claim"] = "C2"

    described = np.where(rows["mask"] == "neuron", ", as described", "")
    rows["setting"] = "published setting" + described
    noise = rows["noise"].map(lambda sd: f", noise {sd:g}" if sd else "")
    rows["condition"] = rows["task"] + noise
    rows["role"] = _roles(rows)
    length = ", " + rows["epochs"].map(in_thousands) + " epochs"
    rows["condition"] += length.where(rows["role"] == "snapshot", "")
    return rows


def _roles(rows):
    """Whether each published comparison is counted, or what it sees once more."""
    # As released, a grown network stays static, and only the static ones were run.
    opponent = np.where(rows["mask"] == "shared", "static", "grown")
    last = rows.groupby(["task", "mask", "noise"])["epochs"].transform("max")
    roles = np.select(
        [
            rows["epochs"] < last,
            rows["task"].isin(MIRRORED),
            rows["against"] != opponent,
            rows["value"] != "test_loss",
        ],
        ["snapshot", "mirror image", "other opponent", "other loss"],
        "counted",
    )
    return roles


# ----------------------------------------------------- C1 to C3 and C6, other rates, no size input


def controlled(compared: pd.DataFrame) -> pd.DataFrame:
    """Return the comparisons of the controls that bear on C1, C2, C3 and C6.

    Parameters
    ----------
    compared : DataFrame
        What `controls.compute` returned, the table `data/controls.csv`.

    Returns
    -------
    DataFrame
        A row per comparison and measure, with the columns claim, setting, condition and role.
    """
    # Only the comparisons that the claims rest on have p-values.
    rows = compared[compared["p"].notna() & compared["measure"].isin(MEASURES)].copy()
    rows["setting"] = _settings(rows)
    rows["against"] = _opponents(rows)
    rows["condition"] = rows["case"]

    large = rows["against"].isin(controls.LARGER)
    controller = rows["case"].str.contains("bessel-grid|spirals")
    square_wave = rows["case"] == "square-wave"
    rows["claim"] = np.select([large, controller, square_wave], ["C6", "C3", "C2"], "C1")

    # At equal compute the pruned networks are the same ones, read off at an earlier epoch.
    rows["role"] = "counted"
    rows.loc[rows["against"] == "pruned, equal compute", "role"] = "snapshot"
    rows.loc[rows["against"] == "static without the size input", "role"] = "other opponent"

    # Of the published setting, `published` has what is compared with static networks. Variants are
    # judged at their best rates alone.
    at_published = rows["rate"] == "published"
    in_results = (rows["setting"] == "published setting") & (rows["against"] == "static")
    variant = ~rows["setting"].isin(SETTINGS)
    return rows[~in_results & ~(variant & at_published)]


def _settings(rows):
    """The name of each setting: its rate and size input, and after a comma what else differs."""
    without = rows["control"].str.endswith("no size input")
    tuned = rows["rate"] == "tuned"
    names = np.select(
        [tuned & without, tuned, without],
        ["best rates and no size input", "best rates", "no size input"],
        "published setting",
    )
    variants = {
        "Adam": ", Adam",
        "Adam, no size input": ", Adam",
        "as described": ", as described",
        "neuron by neuron": ", neuron by neuron",
    }
    variant = rows["control"].map(variants).fillna("")
    wide = np.where(rows["case"].str.endswith("64 neurons"), ", 64 neurons", "")
    return pd.Series(names, rows.index) + variant + wide


def _opponents(rows):
    """The arm that each growing network is compared with, by its name in the verdicts."""
    opponents = rows["reference"].where(rows["reference"].isin(controls.LARGER), "static")
    fed_alone = (rows["control"] == "as published") & (rows["reference"] == "no size input")
    return opponents.mask(fed_alone, "static without the size input")


# -------------------------------------------------------------------------- C1 and C6 under Adam


def under_adam(compared: pd.DataFrame) -> pd.DataFrame:
    """Return the comparisons of C1 and C6 under Adam, of five neurons at their best rates.

    Parameters
    ----------
    compared : DataFrame
        What `adam.compute` returned, the table `data/adam.csv`.

    Returns
    -------
    DataFrame
        A row per comparison and measure, with the columns claim, setting, condition and role.
        Growing over static is left out on the targets that the controls have under Adam.
    """
    rows = compared[compared["study"] == "claims"].copy()
    over_static = rows["reference"] == "static"
    rows = rows[~over_static | ~rows["task"].isin(controls.CASES)]
    larger = rows["reference"] != "static"
    return rows.assign(
        claim=np.where(larger, "C6", "C1"),
        setting="best rates and no size input, Adam",
        against=rows["reference"],
        condition=rows["task"],
        role="counted",
        rate="tuned",
        study="adam-ladder",
    )


# ----------------------------------------------------------------------------- C4, size coupling


def around(finals: pd.DataFrame, decade: int) -> pd.DataFrame:
    """Return each trial's mean losses over the λ around a decade, for both arms and every length.

    The trials are what varies independently: trial k has the same first weights at every λ. So a
    trial takes all its λ along, and λ are not pairs.

    Parameters
    ----------
    finals : DataFrame
        Final results of the study "coupling", at either scale.
    decade : int
        The exponent of λ in the middle. At an end of the sweep the window is one-sided.

    Returns
    -------
    DataFrame
        A row per number of epochs, arm and trial, with both test losses.
    """
    exponents = np.log10(finals["coupling"])
    low = decade - WINDOW / 2
    low = min(max(low, exponents.min()), exponents.max() - WINDOW)
    inside = (exponents > low - 1e-6) & (exponents < low + WINDOW + 1e-6)
    by_trial = finals[inside].groupby(["epochs", "arm", "trial"], as_index=False)
    columns = ["test_loss", "test_task_loss", "diverged"]
    found = by_trial[columns].agg({"diverged": "any", **dict.fromkeys(columns[:2], "mean")})
    return found.assign(decade=decade)


def coupled(finals: pd.DataFrame, permutations: int = PERMUTATIONS) -> pd.DataFrame:
    """Return growing over grown around each decade of λ, at every number of epochs.

    Parameters
    ----------
    finals : DataFrame
        Final results of the study "coupling", at either scale.
    permutations : int
        Random swaps of the arms that give `p`.

    Returns
    -------
    DataFrame
        A row per decade, number of epochs and loss, for the ratio of means. The intervals are over
        trials; the data sets, one for each λ, are given.
    """
    trials = pd.concat([around(finals, decade) for decade in DECADES], ignore_index=True)
    tables = []
    for value, role in (("test_loss", "counted"), ("test_task_loss", "other loss")):
        compared = statistics.compare(
            trials,
            value,
            by=["decade", "epochs"],
            measures=["ratio of means"],
            permutations=permutations,
        )
        tables.append(compared.assign(role=role))
    rows = pd.concat(tables, ignore_index=True)
    coupling = (10.0 ** rows["decade"]).map("{:g}".format)
    condition = "λ near " + coupling + ", " + rows["epochs"].map(in_thousands) + " epochs"
    about = {"claim": "C4", "setting": "published setting", "study": "coupling"}
    return rows.assign(condition=condition, **about)


# ---------------------------------------------------------------------------------- C5, power laws


def power_law(finals: pd.DataFrame, value: str, along: str, resamples: int) -> pd.DataFrame:
    """Return the lines through the logarithms of both arms' mean values.

    Parameters
    ----------
    finals : DataFrame
        Final results of growing and static networks at several values of `along`.
    value, along : str
        The columns that make a power law: the values of the one against those of the other.
    resamples : int
        The number of bootstrap samples.

    Returns
    -------
    DataFrame
        The slopes of both arms, their difference and the R² of both lines, with 95 % percentile
        limits over trials.
    """
    tables, x = scaling.by_arm(finals, value, along)

    def lines(trials):
        found = {}
        for arm, table in tables.items():
            y = np.log10(table[:, trials].mean(axis=1))
            found[f"slope, {arm}"] = np.polyfit(x, y, 1)[0]
            found[f"R², {arm}"] = np.corrcoef(x, y)[0, 1] ** 2
        found["difference of slopes"] = found["slope, growing"] - found["slope, static"]
        return found

    found = statistics.over_trials(lines, finals["trial"].nunique(), resamples)
    return found.rename_axis("measure").reset_index()


def scaled(width: pd.DataFrame, classes: pd.DataFrame, resamples: int = RESAMPLES) -> pd.DataFrame:
    """Return the power laws of C5, a row per relation and number.

    Parameters
    ----------
    width : DataFrame
        Final results over the width, "scaling-width".
    classes : DataFrame
        Final results over the classes and the width, both studies of them, at one learning rate.
    resamples : int
        The number of bootstrap samples.

    Returns
    -------
    DataFrame
        What `power_law` returns, with the columns of the other claims.
    """
    losses = {"test_loss": ("loss over width", "counted")}
    losses["test_task_loss"] = ("task loss over width", "other loss")
    tables = []
    for value, (condition, role) in losses.items():
        found = power_law(width, value, "width", resamples)
        about = {"condition": condition, "role": role, "value": value, "study": "scaling-width"}
        tables.append(found.assign(**about, pairs=width["trial"].nunique()))
    for neurons, part in classes.groupby("width"):
        found = power_law(part, "accuracy", "classes", resamples)
        condition = f"accuracy over classes, {neurons} neurons"
        about = {"condition": condition, "role": "counted", "value": "accuracy"}
        about |= {"study": "scaling-classes", "pairs": part["trial"].nunique()}
        tables.append(found.assign(**about))
    rows = pd.concat(tables, ignore_index=True)
    return rows.assign(claim="C5", setting="published setting", against="static", lost=0)


# --------------------------------------------------------------------------------------- judging


def judged(rows: pd.DataFrame) -> pd.DataFrame:
    """Return comparisons with `corrected`, their corrected p-values, and what each `favours`.

    A comparison favours an arm if its 95 % interval leaves out what favours neither, and its
    corrected p-value is below 0.05. Holm's method corrects the counted comparisons of a claim by a
    measure for their number. The p-values of the others stay as they are.

    Parameters
    ----------
    rows : DataFrame
        Rows of `published`, `controlled` and `coupled`.

    Returns
    -------
    DataFrame
        The same rows. `favours` is "growing", "other" or "neither".
    """
    rows = rows.copy()
    rows["corrected"] = rows["p"]
    counted = rows[rows["role"] == "counted"]
    family = counted.groupby(["claim", "measure"])["p"]
    rows.loc[counted.index, "corrected"] = family.transform(lambda p: statistics.holm(p.to_numpy()))

    even = rows["measure"].map(EVEN)
    apart = (rows["low"] > even) | (rows["high"] < even)
    higher_is_better = rows["measure"] == "probability"
    growing = np.where(higher_is_better, rows["estimate"] > even, rows["estimate"] < even)
    clear = apart & (rows["corrected"] < LEVEL)
    rows["favours"] = np.select([clear & growing, clear], ["growing", "other"], "neither")
    return rows


COLUMNS = [
    "claim",
    "setting",
    "condition",
    "against",
    "value",
    "role",
    "measure",
    "estimate",
    "low",
    "high",
    "p",
    "corrected",
    "favours",
    "pairs",
    "lost",
    "study",
    "task",
    "mask",
    "noise",
    "epochs",
    "decade",
    "control",
    "reference",
    "rate",
]


def compute() -> pd.DataFrame:
    """Return every comparison that bears on a claim, the table `data/claims.csv`."""
    classes = ("scaling-classes-5-9", "scaling-classes-3-7")
    over_classes = pd.concat([studies.stored(name) for name in classes])
    over_classes = over_classes[np.isclose(over_classes["lr"], SCALING_RATE)]
    over_width = studies.stored("scaling-width").query("points == @MAIN_POINTS")

    compared = [
        published(derived.stored("results")),
        controlled(derived.stored("controls")).assign(study="controls"),
        under_adam(derived.stored("adam")),
        coupled(studies.stored("coupling")),
    ]
    rows = judged(pd.concat(compared, ignore_index=True))
    rows = pd.concat([rows, scaled(over_width, over_classes)], ignore_index=True)
    return rows[COLUMNS]


# -------------------------------------------------------------------------------------- verdicts


def verdicts(claims: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return the verdicts, a row per claim, setting, opponent, role and measure.

    Parameters
    ----------
    claims : DataFrame, optional
        What `compute` or `judged` returned; by default the stored table `data/claims.csv`, which
        makes the table `data/verdicts.csv`.

    Returns
    -------
    DataFrame
        `favours_growing`, `favours_other` and `undecided` count the `conditions`, and `holds`
        counts those in which the statement is seen: for C1 to C3 and C6 those that favour growing,
        for C4 numbers of epochs, for C5 relations. `where` lists the conditions.
    """
    if claims is None:
        claims = derived.stored("claims")
    found = []
    of_arms = claims[claims["claim"].isin(list(STATEMENTS))]
    by = ["claim", "setting", "against", "role", "value", "measure"]
    for key, rows in of_arms.groupby(by):
        about = dict(zip(by, key, strict=True))
        statement = STATEMENTS[about["claim"]]
        holds = int((rows["favours"] == "growing").sum())
        found.append(about | {"statement": statement, "holds": holds} | _counted(rows))
    for _, rows in claims[claims["claim"] == "C4"].groupby("role"):
        found += _of_coupling(rows)
    for _, rows in claims[claims["claim"] == "C5"].groupby(["role", "study"]):
        found += _of_power_laws(rows)

    table = pd.DataFrame(found)
    place = {setting: number for number, setting in enumerate(SETTINGS)}
    table["place"] = table["setting"].str.split(",").str[0].map(place)  # before its variants
    table["counted"] = table["role"] != "counted"
    table = table.sort_values(["claim", "counted", "place"], kind="stable", ignore_index=True)
    first = ["claim", "statement", "setting", "against", "value", "role", "measure"]
    counts = ["favours_growing", "favours_other", "undecided", "holds", "conditions"]
    effects = ["lowest", "highest", "fewest_pairs", "most_pairs"]
    return table[[*first, *counts, *effects, "where", "notebook", "command"]]


def _counted(rows):
    """The counts of some conditions, the range of their estimates, and where to see them."""
    favours = rows["favours"]
    lists = []
    for name, label in (("growing", "growing"), ("other", "other"), ("neither", "undecided")):
        conditions = rows.loc[favours == name, "condition"]
        if len(conditions):
            lists.append(f"{label}: " + ", ".join(conditions))
    return {
        "favours_growing": int((favours == "growing").sum()),
        "favours_other": int((favours == "other").sum()),
        "undecided": int((favours == "neither").sum()),
        "conditions": len(rows),
        "where": "; ".join(lists),
    } | _about(rows)


def _about(rows):
    """The range of the estimates, the number of pairs, and the notebook with its command."""
    variant = set(rows["setting"]) - set(SETTINGS) or "C6" in set(rows["claim"])
    books = sorted({NOTEBOOKS[study] for study in rows["study"]})
    if variant and set(rows["study"]) == {"controls"}:
        books = [ATLAS]
    return {
        "lowest": rows["estimate"].min(),
        "highest": rows["estimate"].max(),
        "fewest_pairs": int(rows["pairs"].min()),
        "most_pairs": int(rows["pairs"].max()),
        "notebook": ", ".join(books),
        "command": "make paper NB=" + " ".join(book[:2] for book in books),
    }


def _of_coupling(rows):
    """The three statements of C4 by one loss, each counted over the numbers of epochs."""
    lowest = rows["decade"] == min(DECADES)
    highest = rows["decade"] == max(DECADES)
    best = rows.index.isin(rows.groupby("epochs")["estimate"].idxmin())
    alike = (rows["low"] > ALIKE[0]) & (rows["high"] < ALIKE[1])
    statements = (
        ("growing ends higher at the smallest λ", lowest, rows["favours"] == "other"),
        ("growing ends lower at some λ", best, rows["favours"] == "growing"),
        ("the arms are alike at the largest λ", highest, alike),
    )
    found = []
    for statement, chosen, seen in statements:
        part = rows[chosen]
        row = {"claim": "C4", "statement": statement, "holds": int(seen[chosen].sum())}
        names = ["setting", "against", "value", "role", "measure"]
        found.append(row | part.iloc[0][names].to_dict() | _counted(part))
    return found


def _of_power_laws(rows):
    """The two statements of C5 about one kind of relation, each counted over the relations."""
    number = {}
    for end in ("estimate", "low", "high"):
        number[end] = rows.pivot(index="condition", columns="measure", values=end)
    slopes = ["slope, growing", "slope, static"]
    straight = (number["estimate"][["R², growing", "R², static"]] >= STRAIGHT).all(axis=1)
    # The loss falls with the width, the accuracy with the classes: both slopes are negative.
    falling = (number["high"][slopes] < 0).all(axis=1)
    difference = "difference of slopes"
    differ = (number["low"][difference] > 0) | (number["high"][difference] < 0)

    relation = rows["condition"].iloc[0].split(",")[0]
    statements = (
        (f"{relation} is a power law", straight & falling, slopes),
        (f"{relation} has other exponents when growing", differ, [difference]),
    )
    found = []
    for statement, seen, measures in statements:
        row = {"claim": "C5", "statement": statement, "holds": int(seen.sum())}
        row |= {"measure": measures[0].split(",")[0], "conditions": len(seen)}
        row["where"] = "holds: " + (", ".join(seen.index[seen]) or "nowhere")
        names = ["setting", "against", "value", "role"]
        shown = rows[rows["measure"].isin(measures)]
        found.append(row | rows.iloc[0][names].to_dict() | _about(shown))
    return found


def main_rows(verdicts: pd.DataFrame, measure: str) -> pd.DataFrame:
    """Return the counted verdicts of C1 to C3 and C6 by one measure, under the main settings.

    Parameters
    ----------
    verdicts : DataFrame
        What `verdicts` returned.
    measure : str
        One of `growkit.statistics.MEASURES`.

    Returns
    -------
    DataFrame
        The rows, named by claim and setting. The controller "as described" is among them, pruned
        opponents are not.
    """
    chosen = verdicts["claim"].isin(list(STATEMENTS)) & (verdicts["measure"] == measure)
    chosen &= (verdicts["role"] == "counted") & (verdicts["against"] != "pruned")
    chosen &= verdicts["setting"].isin([*SETTINGS, "published setting, as described"])
    rows = verdicts[chosen]
    return rows.set_index(rows["claim"] + "  " + rows["setting"])


def coupling_map(rows: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the ratios of C4 and whether they are decided, λ by numbers of epochs.

    Parameters
    ----------
    rows : DataFrame
        Rows of what `judged` returned.
    """
    swept = rows[(rows["claim"] == "C4") & (rows["role"] == "counted")]
    swept = swept.sort_values(["decade", "epochs"])
    swept = swept.assign(
        λ=(10.0 ** swept["decade"]).map("{:g}".format),
        length=swept["epochs"].astype(int).map(in_thousands),
        decided=swept["favours"] != "neither",
    )
    wide = swept.pivot(index="λ", columns="length", values=["estimate", "decided"])
    wide = wide.reindex(index=swept["λ"].unique())
    lengths = swept["length"].unique()
    return wide["estimate"][lengths].astype(float), wide["decided"][lengths].astype(bool)


# ---------------------------------------------------------------------------------- doubting a row


def trials_of(row: pd.Series, read: dict | None = None) -> pd.DataFrame:
    """Return the stored trials behind a row of C1 to C4 or C6, paired by `trial`.

    Parameters
    ----------
    row : Series
        A row of `data/claims.csv`.
    read : dict, optional
        What earlier calls have read, by the name of the study; this call adds to it. A slider that
        goes from row to row then reads each study once.

    Returns
    -------
    DataFrame
        Final results of two arms: "growing", and the arm of the opponent, "grown" or "static". With
        them, `statistics.compare` gives the estimate of the row again.
    """
    read = {} if read is None else read
    study = row["study"]
    if study not in read:
        read[study] = _finals(study)
    if study == "coupling":
        trials = around(read[study], int(row["decade"]))
        return trials[trials["epochs"] == row["epochs"]]

    if study == "controls":
        sides = ((row["control"], "growing"), (row["reference"], "static"))
        rows = [read[study].rows[row["condition"], *side] for side in sides]
        finals = pd.concat(rows).query(row["rate"])
        # The two sides may be different controls: they are one condition here.
        return finals.assign(control=f"{row['control']} over {row['reference']}")

    if study == "adam-ladder":
        finals = adam.trials_of_claim(row["task"], row["against"], *read[study])
        # Pruned and larger networks are other controls: they are one condition here.
        return finals.assign(control=f"growing over {row['against']}")

    finals = read[study]
    for column in ("task", "mask", "noise", "epochs"):
        finals = finals[finals[column] == row[column]]
    return finals[finals["arm"].isin(["growing", row["against"]])]


def opponent(trials: pd.DataFrame) -> str:
    """Return the arm that is compared with growing in what `trials_of` returned."""
    return next(arm for arm in trials["arm"].unique() if arm != "growing")


def computed_anew(row: pd.Series, trials: pd.DataFrame, resamples: int) -> pd.Series:
    """Return the comparison of a row, made again from its trials with another bootstrap.

    Parameters
    ----------
    row : Series
        A row of `data/claims.csv`.
    trials : DataFrame
        What `trials_of` returned for it.
    resamples : int
        The number of bootstrap samples.
    """
    options = {"resamples": resamples, "measures": [row["measure"]]}
    return statistics.compare(trials, row["value"], opponent(trials), **options).iloc[0]


def _finals(study):
    """The stored finals of a study, with what the comparisons of it are about."""
    finals = studies.stored(study)
    if study == "coupling":
        return finals
    if study == "controls":
        return controls.Ends(controls.labelled(finals))
    if study == "adam-ladder":
        return finals, studies.stored("adam-opponents")
    for column, amount in (("error", "accuracy"), ("error_fresh", "accuracy_fresh")):
        if amount in finals:
            finals[column] = 1 - finals[amount]
    return finals.assign(noise=finals["noise"].astype(float).round(3))

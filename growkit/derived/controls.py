"""What each control does to the lead of growing networks: `data/controls.csv`.

A control changes one thing in growing and static networks alike, where both have it. The study
"controls" ran each at two learning rates: the published one, and the best one for each arm by the
study "tuning", whose trials have another seed.

Functions here take the finals of "controls" as `labelled` returns them, with these columns:

    case          the task, and the width if it is 64 neurons
    control       the name of the control, with ", grown" for a grown arm, and ", equal compute"
                  where training ended early to spend what five (ten) neurons spend
    published     whether the network trained at the published learning rate
    tuned         whether it trained at the best learning rate
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy import stats

from growkit import statistics, studies
from growkit.derived import select, stored

VALUE = "test_task_loss"
ALL = statistics.ALL_MEASURES
RESAMPLES = 1000
PERMUTATIONS = 9999
RATES = ("published", "tuned")
TITLES = {"published": "published rate", "tuned": "best rates"}  # of the maps and tables

CASES = (
    "bessel-j0",
    "bessel-sum",
    "square-wave",
    "bessel-grid",
    "bessel-grid, 64 neurons",
    "spirals",
    "spirals, 64 neurons",
)

# The four conditions of notebook 05: the control, and at which rates.
CONDITIONS = {
    "published setting": ("as published", "published"),
    "best rates": ("as published", "tuned"),
    "no size input": ("no size input", "published"),
    "no size input, best rates": ("no size input", "tuned"),
}

# A control is compared with static networks of the same control or, if there are none, with those
# named here, or else with those "as published".
REFERENCES = {
    "warm-up, no size input": "no size input",
    "larger static": "no size input",
    "pruned": "no size input",
    "pruned, equal compute": "no size input",
    "Adam, reset": "Adam",
    "as described, grown": "as described",
}

# The claims rest on these controls, so that their comparisons have p-values.
CLAIMED = (
    "as published",
    "no size input",
    "as described",
    "neuron by neuron",
    "Adam",
    "Adam, no size input",
)

# What a control changes, and the controls that change it, in the order of the atlas.
FAMILIES = {
    "nothing": ["as published"],
    "how neurons open": [
        "as published, grown",
        "prescribed ramp",
        "whole layer",
        "neuron by neuron",
        "reversed",
        "from above",
        "moved by the whole loss",
        "as described",
        "as described, grown",
    ],
    "how fast": [
        "thirty times slower",
        "ten times slower",
        "three times slower",
        "three times faster",
        "ten times faster",
    ],
    "what the size does": [
        "no size input",
        "size as a fraction",
        "no gate",
        "warm-up",
        "warm-up, no size input",
    ],
    "the first output weights": ["output × 0.1", "output × 0.01", "output × 0"],
    "the optimizer": [
        "Adam",
        "Adam, no size input",
        "Adam, reset",
        "moments reset",
        "gradient descent",
    ],
    "the static network's size": ["larger static", "pruned", "pruned, equal compute"],
    "the task": ["noise 0.1", "8 points", "80 points", "held-out stretch"],
}

# Controls that notebook 11 trains live: what they change in `growlib.arms`.
LIVE = {
    "as published": {},
    "prescribed ramp": {"learns_from": "size"},
    "whole layer": {"mask": "shared"},
    "no gate": {"opens": "nothing"},
    "no size input": {"feeds": 0.0},
    "size as a fraction": {"feeds": 0.2},
    "warm-up": {"opens": "rate"},
}

# The maps of notebook 11: what each is about, and the families whose controls are its rows.
MAPS = {
    "opening": ("nothing", "how neurons open"),
    "size": ("nothing", "how fast", "what the size does"),
    "optimizer": ("nothing", "the first output weights", "the optimizer"),
    "task": ("nothing", "the static network's size", "the task"),
}

LARGER = ("larger static", "pruned", "pruned, equal compute")  # networks that start large
OTHER_TASK = ("noise 0.1", "8 points", "80 points", "held-out stretch")  # the task is changed
NOT_GROWING = (
    "no gate",
    "warm-up",
    "warm-up, no size input",
    "from above",
    "as published, grown",
    "as described, grown",
)


# --------------------------------------------------------------------------------------- the frames


def case_of(frame: pd.DataFrame) -> pd.Series:
    """Return the case of each row: its task, and its width if that is 64 neurons."""
    return frame["task"] + np.where(frame["width"] == 64, ", 64 neurons", "")


def labelled(frame: pd.DataFrame) -> pd.DataFrame:
    """Return finals or a history of the study with the columns case, control, published and tuned.

    In the study, the published rate of an arm comes first and its best rate last.
    """
    frame = frame.assign(case=case_of(frame))
    frame["control"] += np.where(frame["arm"] == "grown", ", grown", "")
    if "epochs" in frame:
        last = frame.groupby(["case", "control"])["epochs"].transform("max")
        frame["control"] += np.where(frame["epochs"] < last, ", equal compute", "")
    rates = frame.groupby(["case", "control", "arm"])["lr"]
    published = frame["lr"] == rates.transform("first")
    tuned = frame["lr"] == rates.transform("last")
    return frame.assign(published=published, tuned=tuned)


def arms_of(finals: pd.DataFrame, case: str, control: str) -> set:
    """Return the arms in which a control ran in a case."""
    chosen = (finals["case"] == case) & (finals["control"] == control)
    return set(finals.loc[chosen, "arm"])


def controls_of(finals: pd.DataFrame) -> list[tuple]:
    """Return all pairs of a case and a control that ran in it."""
    pairs = finals[["case", "control"]].drop_duplicates()
    return list(pairs.itertuples(index=False, name=None))


# ---------------------------------------------------------------------------------- the comparisons


def versus(
    finals: pd.DataFrame,
    case: str,
    rate: str,
    changed: tuple,
    reference: tuple,
    measures: Sequence[str] = ALL,
    resamples: int = RESAMPLES,
    permutations: int = 0,
) -> pd.DataFrame:
    """Return one control and arm over another one in a case, both at the published or best rates.

    Parameters
    ----------
    finals : DataFrame
        What `labelled` returned.
    case, rate : str
        The case, and "published" or "tuned".
    changed, reference : tuple of str
        A control and an arm of it each.
    measures, resamples, permutations
        As in `growkit.statistics.compare`.

    Returns
    -------
    DataFrame
        A row per measure, as `compare` returns it, with the columns control, arm, reference, rate.
    """
    chosen = finals[(finals["case"] == case) & finals[rate]]
    sides = []
    for name, (control, arm) in {"changed": changed, "reference": reference}.items():
        side = chosen[(chosen["control"] == control) & (chosen["arm"] == arm)]
        sides.append(side.assign(arm=name))
    found = statistics.compare(
        pd.concat(sides),
        VALUE,
        "reference",
        ["case"],
        resamples,
        arm="changed",
        measures=measures,
        permutations=permutations,
    )
    control, arm = changed
    found = found.assign(control=control, arm=arm, reference=reference[0], rate=rate)
    return found.drop(columns="against")


def sides(finals: pd.DataFrame, case: str, control: str) -> tuple[tuple, tuple]:
    """Return what is compared in the effect of a control: the changed side and the static one.

    Each is a control and an arm of it. The changed arm is growing if there is one.
    """
    return _sides(arms_of(finals, case, control), control)


def _sides(arms, control):
    """The two sides of a control that ran in these arms."""
    arm = next(name for name in ("growing", "grown", "static") if name in arms)
    reference = REFERENCES.get(control, "as published")
    if arm == "growing" and "static" in arms:
        reference = control
    return (control, arm), (reference, "static")


def effect(
    finals: pd.DataFrame,
    case: str,
    control: str,
    rate: str,
    resamples: int = RESAMPLES,
    permutations: int = 0,
) -> pd.DataFrame:
    """Return a control's arm over its static reference; the arm is growing if there is one."""
    changed, reference = sides(finals, case, control)
    if control not in CLAIMED:
        permutations = 0
    return versus(
        finals,
        case,
        rate,
        changed,
        reference,
        resamples=resamples,
        permutations=permutations,
    )


def effects(
    finals: pd.DataFrame, resamples: int = RESAMPLES, permutations: int = 0
) -> pd.DataFrame:
    """Return the effect of every control in every case, at published and at best rates."""
    found = []
    for case, control in controls_of(finals):
        for rate in RATES:
            found.append(effect(finals, case, control, rate, resamples, permutations))
    return pd.concat(found, ignore_index=True)


def of_static(finals: pd.DataFrame, resamples: int = RESAMPLES) -> pd.DataFrame:
    """Return the static networks of every control over those as published, on the same task."""
    found = []
    for case, control in controls_of(finals):
        unchanged = control not in ("as published", *OTHER_TASK)
        if not unchanged or "static" not in arms_of(finals, case, control):
            continue
        for rate in RATES:
            sides = ((control, "static"), ("as published", "static"))
            found.append(versus(finals, case, rate, *sides, resamples=resamples))
    if not found:
        return pd.DataFrame()
    return pd.concat(found, ignore_index=True)


def of_growing(
    finals: pd.DataFrame, resamples: int = RESAMPLES, permutations: int = 0
) -> pd.DataFrame:
    """Return growing networks over static ones of another control.

    These are the larger and the pruned networks, and those that are not fed their size.
    """
    pairs = []
    for case in finals.loc[finals["control"] == "larger static", "case"].unique():
        for control in ("as published", "no size input"):
            pairs += [(case, control, larger) for larger in LARGER]
    for case in CASES:
        pairs.append((case, "as published", "no size input"))

    found = []
    for case, control, reference in pairs:
        for rate in RATES:
            sides = ((control, "growing"), (reference, "static"))
            drawn = {"resamples": resamples, "permutations": permutations}
            found.append(versus(finals, case, rate, *sides, **drawn))
    return pd.concat(found, ignore_index=True)


def compared(finals: pd.DataFrame, scale: str) -> pd.DataFrame:
    """Return the comparisons of all controls: `data/controls.csv`, or those of a quick sample."""
    if scale == "paper":
        return stored("controls")
    return of_sample(finals)


def of_sample(finals: pd.DataFrame, resamples: int = 200) -> pd.DataFrame:
    """Return the effects of all controls and their static networks over those as published."""
    return pd.concat([effects(finals, resamples), of_static(finals, resamples)], ignore_index=True)


# ------------------------------------------------------------------------- a cell of the maps


class Ends:
    """The finals behind every cell of the maps, split once so that a slider finds them at once.

    Parameters
    ----------
    finals : DataFrame
        What `labelled` returned.
    """

    def __init__(self, finals: pd.DataFrame):
        self.rows = dict(list(finals.groupby(["case", "control", "arm"], sort=False)))
        self.cases = [case for case in CASES if case in {where for where, _, _ in self.rows}]
        ran = {control for _, control, _ in self.rows}
        named = [control for family in FAMILIES.values() for control in family]
        self.controls = [control for control in named if control in ran]

    def cases_of(self, control: str) -> list[str]:
        """Return the cases in which a control ran."""
        ran = {case for case, name, _ in self.rows if name == control}
        return [case for case in self.cases if case in ran]

    def of(self, case: str, control: str, rate: str) -> dict[str, pd.DataFrame]:
        """Return the finals of both `sides` of a control, by the words of a legend."""
        arms = {arm for where, name, arm in self.rows if (where, name) == (case, control)}
        found = {}
        for name, arm in _sides(arms, control):
            rows = self.rows[case, name, arm]
            label = name if arm == "grown" else f"{arm}, {name}"
            found[label] = rows[rows[rate]]
        return found


# ------------------------------------------------------------------------ the best against the best


def kind(control: str, arm: str) -> str:
    """Return what a network is when the best are compared: larger, static, other or growing."""
    if control in LARGER:
        return "larger"
    if arm == "static":
        return "static"
    if control in NOT_GROWING:
        return "other"
    return "growing"


def picked(finals: pd.DataFrame, tried: pd.DataFrame) -> pd.DataFrame:
    """Return the control with the lowest tuning loss of each kind, by case and optimizer.

    The losses are those of the trials that choose the rates, so the trials that are compared have
    not chosen what they are compared with.
    """
    medians = tried_losses(tried).groupby(["case", "optimizer", "control", "arm", "lr"])["loss"]
    lowest = medians.median().groupby(["case", "optimizer", "control", "arm"]).min()

    here = finals[~finals["control"].isin(OTHER_TASK)]
    here = here[["case", "optimizer", "control", "arm"]].drop_duplicates()
    here["kind"] = [kind(control, arm) for control, arm in here[["control", "arm"]].to_numpy()]
    # An end at equal compute was not tried by itself.
    keys = here.assign(control=here["control"].str.removesuffix(", grown"))
    keys = keys[["case", "optimizer", "control", "arm"]].itertuples(index=False, name=None)
    here["loss"] = [lowest.get(key, np.inf) for key in keys]
    here = here.sort_values(["case", "optimizer", "loss"], kind="stable")
    return here.drop_duplicates(["case", "optimizer", "kind"])


def of_picked(
    finals: pd.DataFrame, tried: pd.DataFrame, resamples: int = RESAMPLES
) -> pd.DataFrame:
    """Return the picked control of each kind over the picked static one, at best rates."""
    found = []
    for (case, optimizer), rows in picked(finals, tried).groupby(["case", "optimizer"]):
        best = rows.set_index("kind")["control"]
        for row in rows.itertuples():
            if row.kind == "static":
                continue
            sides = ((row.control, row.arm), (best["static"], "static"))
            one = versus(finals, case, "tuned", *sides, ["ratio of medians"], resamples)
            reference = f"picked static, {best['static']}, {optimizer}"
            found.append(one.assign(kind=row.kind, reference=reference))
    return pd.concat(found, ignore_index=True)


def best_against_best(table: pd.DataFrame, finals: pd.DataFrame) -> pd.DataFrame:
    """Return the picks of the table, with the column optimizer; a sample has them computed.

    Parameters
    ----------
    table : DataFrame
        The table of `compute`, or what `of_sample` returned.
    finals : DataFrame
        What `labelled` returned.
    """
    rows = table[table["reference"].str.startswith("picked static")]
    if rows.empty:
        rows = of_picked(finals, studies.stored("tuning"), 200)
    return rows.assign(optimizer=rows["reference"].str.rsplit(", ", n=1).str[1])


# ---------------------------------------------------------------------------------- rates that tie


def tried_losses(tried: pd.DataFrame) -> pd.DataFrame:
    """Return the last finals of "tuning", with the columns case and loss.

    The loss is infinite where training diverged.
    """
    loss = tried[VALUE].where(~tried["diverged"], np.inf)
    tried = tried.assign(case=case_of(tried), loss=loss)
    last = tried.groupby(["case", "optimizer", "control", "arm"])["epochs"].transform("max")
    return tried[tried["epochs"] == last]


def tied_rates(tried: pd.DataFrame) -> pd.DataFrame:
    """Return the median loss at every rate that was tried, and whether it ties with the best one.

    A rate ties with the best one if its median loss lies within the 95 % interval of the best
    rate's. This interval comes from the order of the losses alone (the sign test). With five trials
    it is their range, which covers the true median in 94 % of cases.

    Parameters
    ----------
    tried : DataFrame
        Finals of the study "tuning".

    Returns
    -------
    DataFrame
        A row per case, optimizer, control, arm and lr, with the columns trials, median (of the task
        loss on test points), best and ties.
    """
    losses = tried_losses(tried)
    rows = []
    about = ["case", "optimizer", "control", "arm"]
    for key, part in losses.groupby(about, sort=False):
        by_rate = part.groupby("lr")["loss"]
        medians = by_rate.median()
        best = medians.idxmin()
        limit = _upper_limit(by_rate.get_group(best))
        for rate, median in medians.items():
            settings = dict(zip(about, key, strict=True))
            found = {"lr": rate, "trials": by_rate.size()[rate], "median": median}
            rows.append(settings | found | {"best": rate == best, "ties": median <= limit})
    return pd.DataFrame(rows)


def _upper_limit(losses):
    """The upper end of the 95 % interval of the median, by the sign test."""
    place = int(stats.binom.ppf(0.975, len(losses), 0.5))
    return np.sort(losses)[min(place, len(losses) - 1)]


def at_tied_rates(tried: pd.DataFrame, case: str, control: str) -> pd.DataFrame:
    """Return growing over static at each rate that ties for both arms, on the tuning trials.

    Returns
    -------
    DataFrame
        A row per rate, as `growkit.statistics.compare` gives it for the ratio of medians, with a
        column lr. Without a common rate there are no rows. Fewer than ten trials have no interval.
    """
    losses = select(tried_losses(tried), case=case, control=control)
    ties = tied_rates(losses)
    by_arm = ties[ties["ties"]].groupby("arm")["lr"].agg(set)
    common = sorted(by_arm["growing"] & by_arm["static"])
    found = []
    for rate in common:
        rows = losses[losses["lr"] == rate]
        one = statistics.compare(rows, VALUE, "static", ["case"], measures=["ratio of medians"])
        found.append(one.assign(lr=rate, control=control))
    if not found:
        return pd.DataFrame(columns=["case", "control", "lr", "pairs", "estimate", "low", "high"])
    return pd.concat(found, ignore_index=True)


# -------------------------------------------------------------------------- the conditions of 05


def ratios(table: pd.DataFrame, control: str, arm: str, reference: str, rate: str) -> pd.DataFrame:
    """Return the ratios of medians of a control and arm over a static reference, a row per case.

    Parameters
    ----------
    table : DataFrame
        What `compared` returned.
    control, arm, reference, rate : str
        The values of these columns of the table.
    """
    chosen = {"control": control, "arm": arm, "reference": reference, "rate": rate}
    return select(table, measure="ratio of medians", **chosen)


def conditions(table: pd.DataFrame) -> pd.DataFrame:
    """Return growing over static under the four `CONDITIONS` of notebook 05, ratio of medians.

    Parameters
    ----------
    table : DataFrame
        What `compared` returned.

    Returns
    -------
    DataFrame
        Rows in the order of `CONDITIONS`, without the networks with 64 neurons, with these columns
        besides those of the table: `condition`; `corrected`, the p-value after Holm's correction
        for all rows; and `clear`, whether the interval leaves out 1 and the corrected p-value is
        below 0.05. A row without a p-value, as at the quick scale, is judged by its interval alone.
    """
    rows = []
    for condition, (control, rate) in CONDITIONS.items():
        found = ratios(table, control, "growing", control, rate)
        rows.append(found[~found["case"].str.endswith("64 neurons")].assign(condition=condition))
    found = pd.concat(rows, ignore_index=True)
    if "p" not in found:
        found["p"] = np.nan

    known = found["p"].notna()
    found["corrected"] = np.nan
    found.loc[known, "corrected"] = statistics.holm(found.loc[known, "p"])
    leaves_out_1 = (found["high"] < 1) | (found["low"] > 1)
    return found.assign(clear=leaves_out_1 & ((found["corrected"] < 0.05) | ~known))


def counts(rows: pd.DataFrame) -> pd.DataFrame:
    """Return in how many rows each side is clearly ahead, and the number of rows.

    Parameters
    ----------
    rows : DataFrame
        Rows of what `conditions` returned.

    Returns
    -------
    DataFrame
        A row per condition, in their order, with the columns growing, static and of.
    """
    lower = rows["estimate"] < 1
    rows = rows.assign(growing=rows["clear"] & lower, static=rows["clear"] & ~lower, of=1)
    return rows.groupby("condition", sort=False)[["growing", "static", "of"]].sum()


def ratios_of(table: pd.DataFrame, networks: Mapping[str, tuple]) -> pd.DataFrame:
    """Return the ratios of medians of several networks, at the published and at the best rates.

    Parameters
    ----------
    table : DataFrame
        What `compared` returned.
    networks : mapping
        From the name of a network to its control, its arm, and the control of the static networks
        that it is compared with.

    Returns
    -------
    DataFrame
        Rows of the table with the columns network and at, one of the `TITLES` of the rates.
    """
    found = []
    for name, (control, arm, reference) in networks.items():
        for rate in RATES:
            rows = ratios(table, control, arm, reference, rate)
            found.append(rows.assign(network=name, at=TITLES[rate]))
    return pd.concat(found, ignore_index=True)


def is_effect(table: pd.DataFrame) -> pd.Series:
    """Return which rows are the effect of a control, ratio of medians, as `effect` gives it."""
    reference = table["control"].map(REFERENCES).fillna("as published")
    has_static = table["control"].isin(table.loc[table["arm"] == "static", "control"])
    has_static |= table["control"].isin(OTHER_TASK)
    own = (table["arm"] == "growing") & has_static
    reference = reference.where(~own, table["control"])
    growing_or_larger = (table["arm"] != "static") | table["control"].isin(LARGER)
    is_reference = table["reference"] == reference
    return growing_or_larger & is_reference & (table["measure"] == "ratio of medians")


def atlas(rows: pd.DataFrame, rate: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return ratios of medians and whether they are decided, a row per control, a column per case.

    Parameters
    ----------
    rows : DataFrame
        One row per control, case and rate, with the columns estimate, low and high.
    rate : str
        "published" or "tuned".

    Returns
    -------
    tuple of DataFrame
        The ratios, and whether their intervals leave out 1. The controls are in the order of
        `FAMILIES` and the cases in that of `CASES`; what did not run is NaN.
    """
    rows = rows[rows["rate"] == rate]
    rows = rows.assign(decided=(rows["high"] < 1) | (rows["low"] > 1))
    order = [control for family in FAMILIES.values() for control in family]
    order = [control for control in order if control in set(rows["control"])]
    cases = [case for case in CASES if case in set(rows["case"])]
    wide = rows.pivot(index="control", columns="case", values=["estimate", "decided"])
    wide = wide.loc[order]
    decided = wide["decided"][cases].fillna(False).astype(bool)
    return wide["estimate"][cases].astype(float), decided


def maps(rows: pd.DataFrame) -> dict[str, tuple]:
    """Return the `atlas` of each rate by its title, for `growkit.figures.draw_ratio_tables`."""
    return {title: atlas(rows, rate) for rate, title in TITLES.items()}


def rows_of_map(rows: pd.DataFrame, name: str) -> pd.DataFrame:
    """Return the rows about the controls of one of the `MAPS`."""
    shown = [control for family in MAPS[name] for control in FAMILIES[family]]
    return rows[rows["control"].isin(shown)]


def tally(rows: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """Return in how many cases the whole interval of each control favours a side, at both rates.

    Parameters
    ----------
    rows : DataFrame
        One row per control, case and rate, with the columns low and high.
    names : sequence of str
        The controls; those that did not run are left out.

    Returns
    -------
    DataFrame
        A row per control; for each rate a text such as "3 : 1 of 5", the cases in which the
        controlled network ended lower, and higher, than its reference.
    """
    found = {}
    for name in names:
        for rate in RATES:
            part = rows[(rows["control"] == name) & (rows["rate"] == rate)]
            if len(part):
                lower = (part["high"] < 1).sum()
                higher = (part["low"] > 1).sum()
                found.setdefault(name, {})[rate] = f"{lower} : {higher} of {len(part)}"
    return pd.DataFrame(found).T.rename(columns=TITLES)


# ------------------------------------------------------------------------- fitting and generalising


def parting(
    finals: pd.DataFrame, case: str, control: str, rate: str, resamples: int = 500
) -> pd.DataFrame:
    """Return growing over static on training points and on test points, and their quotient.

    The test losses of the auxiliary weight are counted from the variance of the noise, below which
    no network can get.

    Parameters
    ----------
    finals : DataFrame
        What `labelled` returned.
    case, control, rate : str
        The case, the control, and "published" or "tuned".
    resamples : int
        The number of bootstrap samples.

    Returns
    -------
    DataFrame
        Rows "training", "test" and "test : training", ratios of medians with 95 % percentile
        intervals over the trials, with the columns case, control and rate.
    """
    chosen = finals[(finals["case"] == case) & (finals["control"] == control) & finals[rate]]
    chosen = chosen[chosen["arm"].isin(["growing", "static"])]
    noise_variance = 0.0
    if chosen["method"].iloc[0] == "AuxiliaryWeight":
        noise_variance = chosen["noise"].iloc[0] ** 2
    columns = ["train_task_loss", VALUE]
    wide = chosen.pivot(index="trial", columns="arm", values=columns).sort_index()
    losses = wide.to_numpy().T.reshape(2, 2, -1)  # training and test; growing and static; trials

    def ratios(places):
        training, test = np.median(losses[:, :, places], axis=-1)
        test = test - noise_variance
        found = {"training": training[0] / training[1], "test": test[0] / test[1]}
        return found | {"test : training": found["test"] / found["training"]}

    found = statistics.over_trials(ratios, losses.shape[-1], resamples)
    return found.assign(case=case, control=control, rate=rate)


# ---------------------------------------------------------------------------------------- the table


def compute() -> pd.DataFrame:
    """Return the comparisons of all controls, the table `data/controls.csv`."""
    finals = labelled(studies.stored("controls"))
    tried = studies.stored("tuning")
    tables = [
        effects(finals, permutations=PERMUTATIONS),
        of_static(finals),
        of_growing(finals, permutations=PERMUTATIONS),
        of_picked(finals, tried),
    ]
    return pd.concat(tables, ignore_index=True)

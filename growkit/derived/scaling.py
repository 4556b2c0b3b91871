"""How the loss falls with the width, and the accuracy with the number of classes.

`compute` returns what `data/scaling.csv` stores: every number about scaling that a notebook, the
README or RESULTS.md shows, one in each row. Open this module to see how a line was fitted, what was
resampled, and how our numbers compare with the paper's.

A power law is read as the paper reads it: the slope of the straight line through the logarithms of
the means over ten trials. Trial k begins alike in both arms and at every width, so trials are
resampled with all their widths, classes and rates. The limits are then percentile limits of ten
trials, which are about a fifth too narrow for 95 %; below ten trials there are none.
"""

from collections.abc import Sequence
from types import SimpleNamespace

import numpy as np
import pandas as pd
from scipy import stats

from growkit import statistics, studies
from growkit.derived import select

STUDIES = (
    "scaling-width",
    "scaling-rates",
    "scaling-classes-5-9",
    "scaling-classes-3-7",
    "scaling-classes-points",
)
RESAMPLES = 2000
MAIN_RATE = 3e-4  # the learning rate of the published main series
KEY = ["task", "control", "width", "lr", "points", "arm", "trial"]  # tells networks apart
MEASURES = ("ratio of means", "ratio of medians")
LEAST_POINTS = 3  # of a line: two points always lie on one

# What a row of the table is about. Where a row is about all values of a column, it is empty.
SETTING = ["task", "lr", "points", "classes", "width", "epochs"]
COLUMNS = ["quantity", *SETTING, "value", "arm", "estimate", "low", "high", "trials"]

# The published numbers of the main series, half a unit of their last digit, and where ours stand in
# the table: quantity and arm.
PUBLISHED = (
    ("slope over width, static", -1.31, 0.005, "slope over width", "static"),
    ("slope over width, growing", -0.79, 0.005, "slope over width", "growing"),
    ("width where growing crosses static", 200, 5, "crossing of means", "growing : static"),
    ("mean test loss, growing, above 200", 1.3e-3, 5e-5, "mean above 200 neurons", "growing"),
    ("mean test loss, static, largest", 1.2e-4, 5e-6, "mean at the largest width", "static"),
)


# ------------------------------------------------------------------------- the parts of the studies


def results(
    scale: str, trials: int, epochs: int, lr: float, coupling: float, seed: int
) -> SimpleNamespace:
    """Return `finals` and `history` over the width, as `studies.results` does, perhaps changed.

    Parameters
    ----------
    scale : {"paper", "quick"}
        The scale.
    trials, epochs, coupling, seed
        Settings of "scaling-width" and of "scaling-rates". The longer training of the latter has
        twice the epochs.
    lr : float
        The learning rate of the main series.
    """
    both = {"trials": trials, "coupling": coupling, "seed": seed}
    parts = [
        studies.results("scaling-width", scale, epochs=epochs, lr=lr, **both),
        studies.results("scaling-rates", scale, epochs=2 * epochs, **both),
    ]
    frames = {}
    for what, key in {"finals": KEY, "history": [*KEY, "epoch"]}.items():
        joined = pd.concat([vars(part)[what] for part in parts])
        # At a rate that both have, the small samples of the two studies have networks in common.
        frames[what] = joined.drop_duplicates(key, ignore_index=True)
    return SimpleNamespace(
        **frames,
        origin=parts[0].origin,
        note=parts[0].note,
        published=all(part.published for part in parts),
    )


def main_series(finals: pd.DataFrame, lr: float = MAIN_RATE) -> pd.DataFrame:
    """Return the main series: bessel-grid at its rate, with as many points as all widths have."""
    rows = finals[
        (finals["task"] == "bessel-grid")
        & (finals["control"] == "none")
        & np.isclose(finals["lr"], lr)
    ]
    return _with_most(rows, "width")


def rate_series(finals: pd.DataFrame) -> pd.DataFrame:
    """Return the networks of bessel-grid that have all learning rates and equally many points."""
    rows = finals[(finals["task"] == "bessel-grid") & (finals["control"] == "none")]
    return _with_most(rows, "lr", "width")


def class_series(finals: pd.DataFrame) -> pd.DataFrame:
    """Return the spirals of all numbers of classes, with the fraction of wrong test points."""
    rows = _with_most(finals[finals["task"] == "spirals"], "classes")
    return rows.assign(error=1 - rows["accuracy"])


def _with_most(rows, *columns):
    """The rows whose number of points has the most values in columns; of several, most points."""
    values = rows.drop_duplicates(["points", *columns])["points"].value_counts()
    points = values.index[values == values.max()].max()
    return rows[rows["points"] == points]


def least_error(classes: int, noise: float = 0.2) -> float:
    """Return the fraction of points of `spirals` that any classifier gets wrong, about.

    Arm k stands at the angle 4k (rad). A point is called wrong here if the normal noise of its
    angle brings it nearer to another arm than to its own.
    """
    angles = np.sort(4 * np.arange(classes) % (2 * np.pi))
    gaps = np.diff(angles, append=angles[0] + 2 * np.pi)
    return 2 * stats.norm.sf(gaps / 2 / noise).sum() / classes


# --------------------------------------------------------------------------- lines and their misfit


def by_arm(finals: pd.DataFrame, value: str, along: str) -> tuple[dict, np.ndarray]:
    """Return each arm's values as an array (values of `along`, trials), and log10 of `along`."""
    tables = {}
    for arm, rows in finals.groupby("arm"):
        tables[arm] = rows.pivot(index=along, columns="trial", values=value).to_numpy()
    return tables, np.log10(np.unique(finals[along]).astype(float))


def line(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the heights of the least-squares line through (x, y) at each x."""
    return np.polynomial.Polynomial.fit(x, y, 1)(x)


def power_law(
    finals: pd.DataFrame, value: str, along: str = "width", resamples: int = RESAMPLES
) -> pd.DataFrame:
    """Return slope and misfit of the straight line through the logarithms of the means.

    Parameters
    ----------
    finals : DataFrame
        Final results of both arms in one series, where only `along` varies.
    value : str
        Column whose means are taken.
    along : {"width", "classes"}
        Column of the horizontal axis.
    resamples : int
        Bootstrap samples behind the limits.

    Returns
    -------
    DataFrame
        For each arm its slope and its misfit, which is the largest factor between a mean and the
        line, and the slope of growing minus that of static. As the largest of several distances,
        the misfit is above 1 even for an exact power law; `off_line` shows each width. Without
        three values of `along` there is no line, and the frame is empty.
    """
    tables, x = by_arm(finals, value, along)
    if len(x) < LEAST_POINTS:
        return pd.DataFrame()
    basis = np.vander(x, 2)  # (values of along, 2)
    solve = np.linalg.pinv(basis)

    def measured(trials):
        found = {}
        for arm, losses in tables.items():
            y = np.log10(losses[:, trials].mean(axis=1))
            slope, level = solve @ y
            distance = np.abs(y - slope * x - level).max()
            found[f"slope over {along}", arm] = slope
            found[f"misfit over {along}", arm] = 10**distance
        slopes = [found[f"slope over {along}", arm] for arm in ("growing", "static")]
        found[f"slope over {along}", "growing - static"] = slopes[0] - slopes[1]
        return found

    trials = finals["trial"].nunique()
    found = statistics.over_trials(measured, trials, resamples)
    found.index = pd.MultiIndex.from_tuples(found.index, names=["quantity", "arm"])
    return found.reset_index().assign(value=value, trials=trials)


def off_line(finals: pd.DataFrame, value: str, resamples: int = RESAMPLES) -> pd.DataFrame:
    """Return the factor between the mean at each width and the line of `power_law`, with limits."""
    tables, x = by_arm(finals, value, "width")
    if len(x) < LEAST_POINTS:
        return pd.DataFrame()
    widths = np.unique(finals["width"])

    def measured(trials):
        found = {}
        for arm, losses in tables.items():
            y = np.log10(losses[:, trials].mean(axis=1))
            factors = 10 ** (y - line(x, y))
            found |= {(arm, width): factor for width, factor in zip(widths, factors, strict=True)}
        return found

    trials = finals["trial"].nunique()
    found = statistics.over_trials(measured, trials, resamples)
    found.index = pd.MultiIndex.from_tuples(found.index, names=["arm", "width"])
    return found.reset_index().assign(quantity="mean over line", value=value, trials=trials)


# --------------------------------------------------------------------------- growing against static


def ratios(finals: pd.DataFrame, value: str, by: Sequence[str] = ("width",)) -> pd.DataFrame:
    """Return the ratios of means and of medians, growing over static, with BCa intervals."""
    compared = statistics.compare(finals, value, "static", by=by, measures=MEASURES)
    names = {"measure": "quantity", "pairs": "trials"}
    rows = compared.rename(columns=names).drop(columns=["against", "lost"])
    return rows.assign(arm="growing : static")


def last_crossing(width: np.ndarray, lead: np.ndarray) -> float:
    """Return the width, interpolated in its logarithm, where a lead last falls to 0; or NaN."""
    crossings = np.flatnonzero((lead[:-1] > 0) & (lead[1:] <= 0))
    if not len(crossings):
        return np.nan
    before = crossings[-1]
    share = lead[before] / (lead[before] - lead[before + 1])
    return width[before] * (width[before + 1] / width[before]) ** share


def landmarks(finals: pd.DataFrame, value: str, resamples: int = RESAMPLES) -> pd.DataFrame:
    """Return where growing last crosses static, and means of wide networks.

    The crossing is that of the means and that of the medians. The estimate and the limits are NaN
    where the arms do not cross.
    """
    tables, x = by_arm(finals, value, "width")
    width = 10**x
    summaries = {"means": np.mean, "medians": np.median}

    def measured(trials):
        found = {}
        for name, summary in summaries.items():
            growing, static = (summary(tables[a][:, trials], 1) for a in ("growing", "static"))
            crossing = last_crossing(width, np.log(static / growing))
            found[f"crossing of {name}", "growing : static"] = crossing
        for arm, losses in tables.items():
            means = losses[:, trials].mean(axis=1)
            found["mean at the largest width", arm] = means[-1]
            found["mean above 200 neurons", arm] = means[width > 200].mean()
        return found

    if width.max() <= 200:
        return pd.DataFrame()
    trials = finals["trial"].nunique()
    found = statistics.over_trials(measured, trials, resamples)
    found.index = pd.MultiIndex.from_tuples(found.index, names=["quantity", "arm"])
    return found.reset_index().assign(value=value, trials=trials)


def best_rates(
    finals: pd.DataFrame, value: str = "test_task_loss", resamples: int = 500
) -> pd.DataFrame:
    """Return the best learning rate of each arm at each width, and the ratio of medians there.

    The best rate has the lowest median. It is chosen on the test points of the same trials, and
    anew in each bootstrap sample. Neighbouring rates may tie, so the rate itself is uncertain.

    Parameters
    ----------
    finals : DataFrame
        Final results of both arms at all rates and widths, as `rate_series` gives them.
    value : str
        Column of the loss.
    resamples : int
        Bootstrap samples behind the limits.
    """
    rates = np.sort(finals["lr"].unique())
    widths = np.sort(finals["width"].unique())
    table = finals.pivot(index=["arm", "lr", "width"], columns="trial", values=value).sort_index()
    trials = table.shape[1]
    # Arms are sorted, so growing comes before static.
    losses = table.to_numpy().reshape(2, len(rates), len(widths), trials)

    def measured(positions):
        medians = np.median(losses[..., positions], axis=-1)  # (arms, rates, widths)
        growing, static = medians.min(axis=1)
        return dict(zip(widths, growing / static, strict=True))

    found = statistics.over_trials(measured, trials, resamples).rename_axis("width").reset_index()
    found["quantity"] = "ratio of medians at best rates"
    found["arm"] = "growing : static"
    tables = [found]
    chosen = rates[np.median(losses, axis=-1).argmin(axis=1)]  # (arms, widths)
    for arm, best in zip(("growing", "static"), chosen, strict=True):
        rows = pd.DataFrame({"width": widths, "estimate": best})
        tables.append(rows.assign(quantity="best rate", arm=arm))
    return pd.concat(tables, ignore_index=True).assign(value=value, trials=trials)


def at_epochs(history: pd.DataFrame, epochs: Sequence[int]) -> pd.DataFrame:
    """Return the ratio of the median task losses, growing over static, at these epochs."""
    rows = history[history["epoch"].isin(epochs)].assign(diverged=False)
    found = ratios(rows, "test_task_loss", ["width", "epoch"]).rename(columns={"epoch": "epochs"})
    medians = found[found["quantity"] == "ratio of medians"]
    return medians.assign(quantity="ratio of medians, longer training", task="bessel-grid")


def logged(history: pd.DataFrame, parts: Sequence[float]) -> list[int]:
    """Return the logged epochs that are nearest to these parts of the training."""
    epochs = np.unique(history["epoch"])
    return [int(epochs[np.abs(epochs - part * epochs[-1]).argmin()]) for part in parts]


# ------------------------------------------------------------------------------------- what else


def few_over_many(finals: pd.DataFrame, resamples: int = RESAMPLES) -> pd.DataFrame:
    """Return the mean task loss with few points over that with many, where both were trained."""
    names = ["task", "classes", "lr", "width", "arm"]
    tables = []
    for setting, rows in finals[finals["control"] == "none"].groupby(names):
        if rows["points"].nunique() != 2:
            continue
        table = rows.pivot(index="points", columns="trial", values="test_task_loss")
        few, many = table.to_numpy()

        def ratio(trials, few=few, many=many):
            return {"few over many points": few[trials].mean() / many[trials].mean()}

        found = statistics.over_trials(ratio, len(few), resamples)
        about = dict(zip(names, setting, strict=True)) | {"points": table.index.max()}
        tables.append(found.rename_axis("quantity").reset_index().assign(**about, trials=len(few)))
    if not tables:
        return pd.DataFrame()
    return pd.concat(tables, ignore_index=True).assign(value="test_task_loss")


def debts(finals: pd.DataFrame) -> pd.DataFrame:
    """Return the control value s of growing networks after training, and their size loss, by rate.

    A released controller never sees the data, so both depend on the rate and the epochs alone.
    `low` and `high` are the extremes over all tasks, widths and trials.
    """
    rows = finals[(finals["arm"] == "growing") & (finals["control"] == "none")]
    tables = []
    for value in ("size", "size_loss"):
        found = rows.groupby(["lr", "epochs"])[value].agg(["median", "min", "max", "size"])
        found.columns = ["estimate", "low", "high", "trials"]
        tables.append(found.reset_index().assign(quantity="at the end", value=value, arm="growing"))
    return pd.concat(tables, ignore_index=True)


# ---------------------------------------------------------------------------------- the whole table


def table(
    finals: pd.DataFrame,
    history: pd.DataFrame,
    resamples: int = RESAMPLES,
    lr: float = MAIN_RATE,
) -> pd.DataFrame:
    """Return all numbers about scaling, one in each row.

    Parameters
    ----------
    finals, history : DataFrame
        Frames of the studies in `STUDIES`, or of those about one task, joined, at either scale.
    resamples : int
        Bootstrap samples behind the percentile limits.
    lr : float
        The learning rate of the main series.

    Returns
    -------
    DataFrame
        The columns `COLUMNS`. `quantity` names the number, `value` the column of the results that
        it summarises, and the columns of `SETTING` its setting. `low` and `high` are BCa
        intervals for the ratios of `ratios`, extremes for "at the end", and otherwise percentile
        limits; `trials` is the number of trials.
    """
    finals = finals.round({"lr": 6})
    history = history[history["control"] == "longer"]
    tables = [debts(finals), few_over_many(finals, resamples)]
    if (finals["task"] == "bessel-grid").any():
        tables += _of_widths(finals, history, resamples, lr)
    if (finals["task"] == "spirals").any():
        tables += _of_classes(class_series(finals), resamples)
    whole = pd.concat([rows for rows in tables if len(rows)], ignore_index=True)
    return whole.reindex(columns=COLUMNS)


def _of_widths(finals, history, resamples, main_rate):
    """The tables about bessel-grid."""
    tables = []
    main = main_series(finals, main_rate)
    rates = rate_series(finals)
    series = [main]
    for _, rows in rates.groupby("lr"):
        # At the quick scale the main series is one of these.
        if not rows.equals(main):
            series.append(rows)
    for rows in series:
        about = _setting(rows)
        for value in ("test_loss", "test_task_loss"):
            found = (power_law(rows, value, "width", resamples), ratios(rows, value))
            tables += [part.assign(**about) for part in found if len(part)]

    about = _setting(main)
    for value in ("test_loss", "test_task_loss"):
        found = (off_line(main, value, resamples), landmarks(main, value, resamples))
        tables += [part.assign(**about) for part in found if len(part)]

    tables.append(best_rates(rates).assign(**_setting(rates)))
    longer = at_epochs(history, logged(history, (1 / 4, 1 / 2, 1)))
    tables.append(longer.assign(lr=history["lr"].max(), points=history["points"].max()))
    return tables


def _of_classes(spirals, resamples):
    """The tables about spirals."""
    tables = []
    for _, rows in spirals.groupby(["lr", "width"]):
        found = power_law(rows, "accuracy", "classes", resamples)
        tables.append(found.assign(**_setting(rows)))
    found = ratios(spirals, "error", ["lr", "classes", "width"])
    tables.append(found.assign(**_setting(spirals)))
    return tables


def _setting(rows):
    """The columns of `SETTING` that have one value in these rows."""
    return {name: rows[name].iloc[0] for name in SETTING if rows[name].nunique() == 1}


def compute() -> pd.DataFrame:
    """Return the table that is stored as `data/scaling.csv`, from the stored studies."""
    finals = pd.concat([studies.stored(name) for name in STUDIES], ignore_index=True)
    history = pd.concat([studies.stored(name, "history") for name in STUDIES], ignore_index=True)
    return table(finals, history)


# --------------------------------------------------------------------------- reading from the table


def rows_of(scaling: pd.DataFrame, quantity: str, **values) -> pd.DataFrame:
    """Return the rows about one quantity that have these values in the columns of these names."""
    return select(scaling, quantity=quantity, **values)


def main_rows(
    scaling: pd.DataFrame, quantity: str, value: str = "test_loss", lr: float = MAIN_RATE
) -> pd.DataFrame:
    """Return the rows about one quantity of the main series, in the order of the widths."""
    rows = rows_of(scaling, quantity, task="bessel-grid", lr=lr, value=value)
    rows = rows[rows["points"] == rows["points"].max()]
    return rows.sort_values("width")


def ratio_maps(rows: pd.DataFrame) -> dict[str, tuple]:
    """Return ratios by classes and width, a pair of tables for each learning rate by its title.

    Parameters
    ----------
    rows : DataFrame
        Rows about one quantity of the spirals.

    Returns
    -------
    dict
        What `growkit.figures.draw_ratio_tables` takes.
    """
    rows = rows.assign(decided=(rows["high"] < 1) | (rows["low"] > 1))
    rows = rows.astype({"classes": int, "width": int})
    maps = {}
    for rate, part in rows.groupby("lr"):
        wide = part.pivot(index="classes", columns="width", values=["estimate", "decided"])
        title = f"width (neurons), η = {rate:g}"
        maps[title] = (wide["estimate"].astype(float), wide["decided"].astype(bool))
    return maps


def bounds(classes: Sequence[int]) -> pd.DataFrame:
    """Return the accuracy of guessing and the highest possible one, by the number of classes."""
    found = {"chance": [1 / count for count in classes]}
    found["ceiling"] = [1 - least_error(int(count)) for count in classes]
    return pd.DataFrame(found, index=pd.Index(classes, name="classes"))


def published(scaling: pd.DataFrame) -> pd.DataFrame:
    """Return the paper's numbers of the main series beside ours.

    Parameters
    ----------
    scaling : DataFrame
        The table of `compute`.

    Returns
    -------
    DataFrame
        The columns `quantity`, `published`, `estimate`, `low`, `high` (percentile limits of ten
        trials) and `says`: whether the published number, which is rounded, lies within them.
    """
    found = []
    for name, number, rounding, quantity, arm in PUBLISHED:
        rows = main_rows(scaling, quantity)
        rows = rows[rows["arm"] == arm]
        if rows.empty:
            continue  # at the quick scale, whose networks are narrow
        ours = rows.iloc[0][["estimate", "low", "high"]].to_dict()
        found.append(
            {"quantity": name, "published": number, **ours, "says": says(number, rounding, ours)}
        )
    columns = ["quantity", "published", "estimate", "low", "high", "says"]
    return pd.DataFrame(found, columns=columns)


def says(number: float, rounding: float, ours: dict) -> str:
    """Return how our estimate and its percentile limits compare with a published number.

    The published number was rounded, so what it stands for differs from it by up to `rounding`.
    """
    if np.isnan(ours["low"]):
        return "too few trials for limits"
    if ours["low"] <= number + rounding and number - rounding <= ours["high"]:
        return "within our percentile limits"
    if number > 0:
        return f"outside our limits: ours is {ours['estimate'] / number:.2g} times it"
    # The ratio of two slopes would say little.
    difference = ours["estimate"] - number
    kind = "flatter" if difference > 0 else "steeper"
    return f"outside our limits: ours is {kind} by {abs(difference):.2f}"

"""How growth rules do against the best static network of any width: `data/rules.csv`.

The arms are those of `growkit.benchmark`. An arm's measure on a task is the interquartile mean over
trials of log(loss / loss of the best static network), with the task loss on test points, both at
the same operations. Below 0 the arm is better; log is the natural one.

    tuned     every arm has its best point on the task; which static network is the best one was
              decided by the trials that chose the points, too
    untuned   every arm has one point for all tasks, the one that does best on the other tasks

At a smaller budget than the whole one, the best static network is chosen on the other half of the
trials. Across tasks, the measure is the interquartile mean of those of the tasks. Its intervals
resample trials within tasks, or tasks as well.
"""

import numpy as np
import pandas as pd
from scipy import stats

from growkit import benchmark, studies
from growkit.benchmark import GROUPS, ROWS, SHARES
from growkit.statistics import holm
from growlib import _choice, _require

STUDIES = tuple(f"rules-{group}{suffix}" for group in GROUPS for suffix in ("", "-tuning"))
RESAMPLES = 1000
TRIMMED = 0.25  # at either end, of an interquartile mean
LEAST = 1e-12  # losses below are as good as 0
MOST = 50.0  # log ratios above, such as those of trials that diverged, count as this


def compute(resamples: int = RESAMPLES) -> pd.DataFrame:
    """Return the table of all arms, on each task and across tasks, from the stored studies."""
    tried, judged = (stored_finals(suffix) for suffix in ("-tuning", ""))
    return table(tried, judged, resamples)


def stored_finals(suffix: str = "") -> pd.DataFrame:
    """Return the finals of all stored studies of the benchmark; of their tuning with "-tuning"."""
    names = [name for name in STUDIES if name.endswith("-tuning") == (suffix == "-tuning")]
    parts = [studies.stored(name) for name in names]
    return pd.concat(parts, ignore_index=True)


def table(tried: pd.DataFrame, judged: pd.DataFrame, resamples: int = 200) -> pd.DataFrame:
    """Return the measures of all arms against the best static network.

    Parameters
    ----------
    tried, judged : DataFrame
        The finals of studies that `benchmark.tuning` and `benchmark.judged` describe.
    resamples : int
        Bootstrap samples for each interval.

    Returns
    -------
    DataFrame
        A row for each `ruleset`, `optimizer`, task (`name`, or "all"), `share` of the budget and
        `arm`. `estimate` is the measure, `low` and `high` its 95 % interval over trials, and
        `low_tasks` and `high_tasks` over tasks as well. `p` is that of Wilcoxon's test at the whole
        budget, and `p_holm` corrected for all arms and tasks of the optimizer. `against` is the
        width of the best static network, `size` the mean number of neurons at the end, `loss` the
        median task loss, `accuracy` the mean one, `spent` the mean share of the budget, and `edge`
        whether the arm's best learning rate is the lowest or highest that was tried.
    """
    judged = benchmark.with_points(judged)
    best = benchmark.best_points(tried)
    widths = best_widths(tried)
    rows = []
    for optimizer, of_optimizer in judged.groupby("optimizer"):
        for share in SHARES:
            at_share = of_optimizer[np.isclose(of_optimizer["share"], share)]
            if at_share.empty:  # of this optimizer the end alone is kept
                continue
            losses = {name: _losses(part) for name, part in at_share.groupby("name")}
            ratios = {}
            for name, of_task in losses.items():
                width = widths[name, optimizer] if share == 1 else None
                ratios[name] = _log_ratios(of_task, width)
            rows += _of_tasks(at_share, losses, ratios, widths, best, optimizer, share, resamples)
            of_band = resamples if share == 1 else max(50, resamples // 5)
            rows += _across(ratios, "tuned", optimizer, share, of_band)
    rows += _untuned(tried, resamples)
    found = _with_holm(pd.DataFrame(rows))
    first = ["ruleset", "optimizer", "name", "share", "arm"]
    return found[first + [column for column in found if column not in first]]


def best_widths(tried: pd.DataFrame) -> dict:
    """Return the width of the best static network by the tuning trials, {(name, optimizer): H}."""
    arms = benchmark.best_static(tried)["arm"]
    return arms.str.split().str[1].astype(int).to_dict()


def beyond_the_rates(tried: pd.DataFrame, beyond: pd.DataFrame) -> pd.Series:
    """Return what higher learning rates would give the best static network, by task.

    Parameters
    ----------
    tried, beyond : DataFrame
        The finals of the studies of tuning, and of "rules-edge".

    Returns
    -------
    Series
        The lowest median loss of static networks at the rates of `beyond` over the lowest at the
        rates of `tried`, on the same trials and validation points. Below 1 the highest rate that
        was tried was too low.
    """
    before, above = (benchmark.best_static(finals)["loss"] for finals in (tried, beyond))
    ratios = (above / before).xs("adam", level="optimizer")
    return ratios.dropna()


def _losses(part):
    """Return the losses of one task and share, a row a trial and a column an arm."""
    losses = benchmark.losses(part).clip(lower=LEAST)
    wide = part.assign(loss=losses).pivot(index="trial", columns="arm", values="loss")
    return wide.sort_index()


def _log_ratios(losses, width=None):
    """Return log(loss / loss of the best static network), a row a trial and a column an arm.

    Without a `width` of the best one, it is chosen for each half of the trials on the other half.
    """
    static = losses.filter(like="static ").dropna(axis=1)
    if width is not None:
        reference = static[f"static {width}"]
    else:
        even = np.arange(len(static)) % 2 == 0
        reference = pd.Series(np.inf, static.index)
        if len(static.columns):
            reference[even] = static.loc[even, static[~even].median().idxmin()]
            reference[~even] = static.loc[~even, static[even].median().idxmin()]
    return _log(losses).sub(_log(reference), axis=0).clip(-MOST, MOST)


def _log(losses):
    """Return the logarithm of losses, where one that diverged is very large."""
    return np.log(losses).replace(np.inf, 2 * MOST)


def interquartile_mean(values, axis=0):
    """Return the mean of the middle half of the values along an axis."""
    return stats.trim_mean(values, TRIMMED, axis)


def _interval(values, resamples, seed=0):
    """Return the 95 % interval of the interquartile mean over trials: BCa, or percentile."""
    if len(values) < 10:
        return np.nan, np.nan
    varies = np.ptp(values) > 1e-9
    found = stats.bootstrap(
        (values,),
        interquartile_mean,
        n_resamples=resamples,
        vectorized=True,
        method="BCa" if varies else "percentile",
        rng=seed,
    )
    return found.confidence_interval.low, found.confidence_interval.high


def _of_tasks(at_share, losses, ratios, widths, best, optimizer, share, resamples):
    """Return the rows of the single tasks."""
    rows = []
    for name, of_task in ratios.items():
        finals = at_share[at_share["name"] == name]
        means = finals.groupby("arm")[["active_width", "flops", "accuracy"]].mean()
        rates = [rate for rate, _ in benchmark.points(name, optimizer)]
        for arm in of_task:
            values = of_task[arm].dropna().to_numpy()
            row = {
                "ruleset": "tuned",
                "optimizer": optimizer,
                "name": name,
                "share": share,
                "arm": arm,
                "trials": len(values),
                "estimate": interquartile_mean(values),
                "loss": losses[name][arm].median(),
                "size": means.loc[arm, "active_width"],
                "accuracy": means.loc[arm, "accuracy"],
                "spent": means.loc[arm, "flops"] / benchmark.budget(name),
            }
            if share == 1:
                rate, level = best[name, optimizer, arm]
                row["low"], row["high"] = _interval(values, resamples)
                row["p"] = stats.wilcoxon(values).pvalue if np.any(values) else 1.0
                row |= {"against": widths[name, optimizer], "lr": rate, "level": level}
                row["edge"] = rate in (rates[0], rates[-1])
            rows.append(row)
    return rows


def _across(ratios, ruleset, optimizer, share, resamples, seed=0):
    """Return the rows across tasks, of the arms that all tasks have."""
    names = list(ratios)
    common = set.intersection(*(set(ratios[name].dropna(axis=1, how="all")) for name in names))
    arms = [arm for arm in [*benchmark.SCHEDULED, *benchmark.OTHERS] if arm in common]
    arms += sorted(common - set(arms) - {arm for arm in common if arm.startswith("static ")})
    rows = []
    for arm in arms:
        samples = [ratios[name][arm].dropna().to_numpy() for name in names]
        of_tasks = np.array([interquartile_mean(sample) for sample in samples])
        generator = np.random.default_rng(seed)
        drawn = np.array([_resampled(sample, resamples, generator) for sample in samples])
        places = generator.integers(0, len(names), (len(names), resamples))
        both = np.take_along_axis(drawn, places, 0)
        low, high = np.quantile(interquartile_mean(drawn), [0.025, 0.975])
        low_tasks, high_tasks = np.quantile(interquartile_mean(both), [0.025, 0.975])
        rows.append(
            {
                "ruleset": ruleset,
                "optimizer": optimizer,
                "name": "all",
                "share": share,
                "arm": arm,
                "trials": sum(len(sample) for sample in samples),
                "tasks": len(names),
                "estimate": interquartile_mean(of_tasks),
                "low": low,
                "high": high,
                "low_tasks": low_tasks,
                "high_tasks": high_tasks,
            }
        )
    return rows


def _resampled(values, resamples, generator):
    """Return interquartile means of resampled trials, (resamples,)."""
    places = generator.integers(0, len(values), (len(values), resamples))
    return interquartile_mean(values[places])


def _with_holm(found):
    """Return the table with p-values corrected for all arms and tasks of each optimizer.

    Static networks are not tested against each other.
    """
    found = found.assign(p_holm=np.nan)
    tested = found["p"].notna() & ~found["arm"].str.startswith("static ")
    for _, part in found[tested].groupby("optimizer"):
        found.loc[part.index, "p_holm"] = holm(part["p"])
    return found


# ------------------------------------------------------------------------------------------ untuned


def _untuned(tried, resamples):
    """Return the rows of arms with one point for all tasks, judged on the trials that tune.

    The point of a task was chosen on the other tasks, so its trials have no part in the choice. The
    tasks with eight points, whose rates are others, are left out.
    """
    tried = benchmark.with_points(tried)
    tried = tried[tried["name"].map(lambda name: ROWS[name].points == 16)]
    rows = []
    for optimizer, part in tried.groupby("optimizer"):
        losses = {name: _losses_of_points(of_task) for name, of_task in part.groupby("name")}
        if len(losses) == 1:  # there is no other task to choose on
            continue
        ratios = {}
        for name, of_task in losses.items():
            chosen = _points_of_others(losses, name)
            columns = {arm: _log(of_task[arm, point]) for arm, point in chosen.items()}
            ratios[name] = pd.DataFrame(columns).sub(columns["static"], axis=0).clip(-MOST, MOST)
        for name, of_task in ratios.items():
            for arm in of_task.drop(columns="static"):
                values = of_task[arm].to_numpy()
                low, high = _interval(values, resamples)
                rows.append(
                    {
                        "ruleset": "untuned",
                        "optimizer": optimizer,
                        "name": name,
                        "share": 1.0,
                        "arm": arm,
                        "trials": len(values),
                        "estimate": interquartile_mean(values),
                        "low": low,
                        "high": high,
                    }
                )
        of_arms = {name: of_task.drop(columns="static") for name, of_task in ratios.items()}
        rows += _across(of_arms, "untuned", optimizer, 1.0, resamples)
    return rows


def _losses_of_points(part):
    """Return the losses of one task, a row a trial and a column an (arm, point).

    All static networks are one arm, whose points have a width, too: as the place among the widths
    of the task, since tasks need different ones.
    """
    name = part["name"].iloc[0]
    arms = part["arm"].to_numpy()
    places = {f"static {width}": k for k, width in enumerate(ROWS[name].widths)}
    points = [
        (rate, places.get(arm, level))
        for arm, rate, level in zip(arms, part["lr"], part["level"], strict=True)
    ]
    kinds = ["static" if arm in places else arm for arm in arms]
    frame = pd.DataFrame(
        {
            "trial": part["trial"].to_numpy(),
            "arm": kinds,
            "point": points,
            "loss": benchmark.losses(part).clip(lower=LEAST).to_numpy(),
        }
    )
    return frame.pivot(index="trial", columns=["arm", "point"], values="loss")


def _points_of_others(losses, left_out):
    """Return the point of every arm that does best on all tasks but one, {arm: point}.

    On each task a point's median loss is compared with the least one of static networks.
    """
    scores = []
    for name, of_task in losses.items():
        if name != left_out:
            medians = _log(of_task.median())
            scores.append(medians - medians["static"].min())
    scores = pd.concat(scores, axis=1)
    mean = pd.Series(interquartile_mean(scores.to_numpy(), 1), scores.index)
    return {arm: mean[arm].idxmin() for arm in mean.index.get_level_values(0).unique()}


# ------------------------------------------------------------------------------ a rule of one's own


def compare(
    rule: str, tasks=("bessel-sum", "two-moons", "diabetes"), workers: int = 2, client=None
) -> pd.DataFrame:
    """Return the rows of `table` for a rule of your own, beside the stored arms.

    The rule is tuned as all arms were, and judged on the same trials. Both are computed in cells
    that are kept, and a rule that was edited is computed anew.

    Parameters
    ----------
    rule : str
        A name of `rules.RULES`, or "module:function" with a function as `growkit.rules` describes.
    tasks : sequence of str
        Names of `benchmark.ROWS`.
    workers, client
        As in `studies.study`.

    Returns
    -------
    DataFrame
        Rows of `table` for these tasks, the rule's own among them under the name `rule`.

    Raises
    ------
    ValueError
        If the rule or a task is unknown, or the benchmark has an arm of this name.
    """
    for name in tasks:
        _choice("tasks", name, ROWS)
    known = rule not in [*benchmark.SCHEDULED, *benchmark.OTHERS]
    _require(known, "rule", rule, "the name of a rule, not of an arm of the benchmark")
    settings = benchmark.tuning(tasks, [rule])
    tried = studies.of_settings(f"{rule}, tuning", settings, workers, client)
    settings = benchmark.judged(tasks, tried, [rule])
    own = studies.of_settings(rule, settings, workers, client)

    stored_tried, stored = stored_finals("-tuning"), stored_finals()
    wanted = [f"rules-{name}" for name in tasks]
    tried = pd.concat([stored_tried[stored_tried["task"].isin(wanted)], tried])
    judged = pd.concat([stored[stored["task"].isin(wanted)], own])
    return table(tried, judged)

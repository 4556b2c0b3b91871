"""Growing against the other arms on three tables: `data/your_data.csv`.

Each arm is judged at learning rates that trials of another seed have chosen. Open this module to
see how they were chosen, and what is done where several rates are equally good.
"""

import numpy as np
import pandas as pd

from growkit import statistics, studies

VALUE = "test_task_loss"
CHOOSING, JUDGING = 1, 0  # the seeds of the trials that choose the rates, and of those that judge

# Each way is a control of the study, and the way whose static networks are its opponents. The speed
# of the size makes no difference to networks whose size is frozen.
WAYS = {
    "as published": "as published",
    "no size input": "no size input",
    "five times faster": "as published",
}


def rates(finals: pd.DataFrame) -> pd.DataFrame:
    """Return the median loss at each learning rate on the choosing trials, and which rates tie.

    A rate ties with the best one if the 95 % interval of the ratio of their medians, over the same
    trials, reaches 1. Below ten trials there is no interval, and every rate ties.

    Parameters
    ----------
    finals : DataFrame
        Final results of the study "your-data", at either scale.

    Returns
    -------
    DataFrame
        A row per control, task, arm and lr, with the columns median, best and ties.
    """
    choosing = finals[finals["seed"] == CHOOSING]
    found = []
    for (control, task, arm), rows in choosing.groupby(["control", "task", "arm"], sort=False):
        losses = rows[VALUE].where(~rows["diverged"], np.inf)
        medians = losses.groupby(rows["lr"]).median()
        best = medians.idxmin()
        for lr, median in medians.items():
            about = {"control": control, "task": task, "arm": arm, "lr": lr, "median": median}
            found.append(about | {"best": lr == best, "ties": lr == best or _tie(rows, lr, best)})
    return pd.DataFrame(found)


def _tie(rows, lr, best):
    """Whether a rate cannot be told from the best one on these trials."""
    by_rate = rows.assign(arm=np.where(rows["lr"] == best, "best", "other"))
    by_rate = by_rate[by_rate["lr"].isin([lr, best])]
    measures = ["ratio of medians"]
    compared = statistics.compare(by_rate, VALUE, "best", arm="other", measures=measures).iloc[0]
    return not compared["low"] > 1


def compared(finals: pd.DataFrame, tried: pd.DataFrame) -> pd.DataFrame:
    """Return growing over the other arms on the judging trials, at all rates that tie.

    Parameters
    ----------
    finals : DataFrame
        Final results of the study "your-data", at either scale.
    tried : DataFrame
        What `rates` returned.

    Returns
    -------
    DataFrame
        What `growkit.statistics.compare` returns, a row per way, task, opponent, pair of tied rates
        and measure. `lr` and `lr_other` are the rates of growing and of the opponent, and `best`
        says whether both are the best ones.
    """
    judging = finals[finals["seed"] == JUDGING]
    tied = tried[tried["ties"]].set_index(["control", "task", "arm"]).sort_index()
    found = []
    for way, control_of_others in WAYS.items():
        for task in judging.loc[judging["control"] == way, "task"].unique():
            growing = tied.loc[[(way, task, "growing")]]
            for arm in ("grown", "static"):
                # Faster growing is compared with static networks alone.
                key = (control_of_others, task, arm)
                if key not in tied.index or (arm == "grown" and way != control_of_others):
                    continue
                for mine in growing.itertuples():
                    for other in tied.loc[[key]].itertuples():
                        sides = (way, control_of_others, arm)
                        found.append(_one(judging[judging["task"] == task], sides, mine, other))
    return pd.concat(found, ignore_index=True)


def _one(judging, sides, mine, other):
    """Growing over another arm on one table, each at a rate of its own."""
    way, control_of_others, arm = sides
    is_mine = judging["control"] == way
    is_mine &= (judging["arm"] == "growing") & (judging["lr"] == mine.lr)
    is_other = judging["control"] == control_of_others
    is_other &= (judging["arm"] == arm) & (judging["lr"] == other.lr)
    pairs = statistics.compare(judging[is_mine | is_other], VALUE, arm)
    rates_of_both = {"lr": mine.lr, "lr_other": other.lr, "best": mine.best and other.best}
    return pairs.assign(way=way, **rates_of_both)


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """Return a row per way, task, opponent and measure, at the best rates and over tied rates.

    Parameters
    ----------
    table : DataFrame
        What `compared` returned, the table `data/your_data.csv`.

    Returns
    -------
    DataFrame
        The rows at the best rates, with the lowest and the highest estimate at any pair of tied
        rates, the number `rates` of these pairs, and what it `favours`: "growing" or the other arm
        if the interval at every pair of tied rates says so, otherwise "neither".
    """
    by = ["way", "task", "against", "measure"]
    table = table.copy()
    even = np.where(table["measure"] == "probability", 0.5, 1.0)
    better_below = table["measure"] != "probability"
    below, above = table["high"] < even, table["low"] > even
    table["for growing"] = np.where(better_below, below, above)
    table["for other"] = np.where(better_below, above, below)

    groups = table.groupby(by, sort=False)
    over_rates = groups["estimate"].agg(lowest="min", highest="max", rates="size")
    always = groups[["for growing", "for other"]].all()
    best = table[table["best"]].set_index(by).drop(columns=["for growing", "for other"])
    names = always.index.get_level_values("against")
    favours = np.select([always["for growing"], always["for other"]], ["growing", names], "neither")
    over_rates["favours"] = favours
    return best.join(over_rates).reset_index()


def compute() -> pd.DataFrame:
    """Return the comparisons at all tied rates, the table `data/your_data.csv`."""
    finals = studies.stored("your-data")
    table = compared(finals, rates(finals))
    first = ["way", "task", "against", "lr", "lr_other", "best", "measure"]
    return table[[*first, *table.columns.drop(first)]]

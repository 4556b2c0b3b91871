"""The table of growth rules: known answers on results that were made up, and its own controls."""

import sys

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from growkit import benchmark, studies
from growkit.derived import rules

TASKS = ("bessel-sum", "square-wave", "two-moons")
FACTORS = {"random": 1.0, "split": 2.0, "GradMax": 0.5}  # of the loss of the best static network


def made_up(name, controls, trials, shares=(1.0,), seed=0):
    """Return finals of one task; `controls` gives the factor of a control's losses, and its lr."""
    generator = np.random.default_rng([seed, list(benchmark.ROWS).index(name)])
    plain = np.exp(generator.standard_normal(trials))
    rows = []
    for control, (factor, rate) in controls.items():
        for share in shares:
            for trial in range(trials):
                rows.append(
                    {
                        "task": f"rules-{name}",
                        "control": control,
                        "optimizer": "adam",
                        "lr": rate,
                        "trial": trial,
                        "share": share,
                        "budget": benchmark.budget(name),
                        "flops": share * benchmark.budget(name),
                        "test_task_loss": factor * plain[trial],
                        "diverged": False,
                        "active_width": 5,
                        "accuracy": np.nan,
                    }
                )
    return pd.DataFrame(rows)


def statics(name):
    """Return the factors of static networks: that of the third width is the best one."""
    return {
        f"static {width}": 1 + abs(k - 2) for k, width in enumerate(benchmark.ROWS[name].widths)
    }


def made_up_studies(factors=FACTORS, trials=40, shares=(1.0,)):
    """Return the finals of a tuning study and of a judged one."""
    tried, judged = [], []
    for name in TASKS:
        rates = [rate for rate, _ in benchmark.points(name, "adam")]
        both = statics(name) | factors
        judged.append(
            made_up(name, {arm: (f, rates[3]) for arm, f in both.items()}, trials, shares)
        )
        for place, rate in enumerate(rates):
            # the fourth rate is the best one, and the others are worse the farther they are from it
            tried_now = {f"{arm} @0": (f * 2.0 ** abs(place - 3), rate) for arm, f in both.items()}
            tried.append(made_up(name, tried_now, 16, seed=1))
    return pd.concat(tried), pd.concat(judged)


def rows_of(table, **values):
    for column, value in values.items():
        table = table[table[column] == value]
    return table.set_index("arm")


def test_known_ratios_are_found_on_each_task_and_across_tasks():
    table = rules.table(*made_up_studies(), resamples=50)
    for name in (*TASKS, "all"):
        found = rows_of(table, ruleset="tuned", name=name, share=1.0)["estimate"]
        for arm, factor in FACTORS.items():
            assert found[arm] == pytest.approx(np.log(factor), abs=1e-9)
    single = rows_of(table, ruleset="tuned", name="bessel-sum", share=1.0)
    assert (single["against"] == benchmark.ROWS["bessel-sum"].widths[2]).all()
    assert single.loc["GradMax", "p_holm"] < 0.001
    assert single.loc["random", "p"] == 1
    assert not single["edge"].any()


def test_without_tuning_an_arm_has_the_point_that_does_best_on_other_tasks():
    tried, judged = made_up_studies()
    # On one task alone another rate is the best one of "split"; it must not be taken there.
    rate = benchmark.points("two-moons", "adam")[9][0]
    here = tried["task"].eq("rules-two-moons") & tried["control"].eq("split @0")
    tried.loc[here & tried["lr"].eq(rate), "test_task_loss"] = 1e-6
    table = rules.table(tried, judged, resamples=50)
    untuned = rows_of(table, ruleset="untuned", name="two-moons")
    assert untuned.loc["split", "estimate"] == pytest.approx(np.log(2), abs=1e-9)


def test_at_a_smaller_budget_the_best_static_network_is_chosen_on_the_other_half():
    shares = (benchmark.SHARES[5], 1.0)
    table = rules.table(*made_up_studies(shares=shares), resamples=50)
    early = rows_of(table, ruleset="tuned", name="all", share=shares[0])["estimate"]
    for arm, factor in FACTORS.items():
        assert early[arm] == pytest.approx(np.log(factor), abs=1e-9)


def test_a_rule_under_another_name_has_the_same_rows():
    factors = FACTORS | {"another:name": FACTORS["split"]}
    table = rules.table(*made_up_studies(factors), resamples=50)
    measures = ["name", "ruleset", "estimate", "low", "high", "p"]
    for ruleset in ("tuned", "untuned"):
        mine = rows_of(table, ruleset=ruleset, share=1.0)[measures]
        pd.testing.assert_frame_equal(
            mine.loc["split"].reset_index(drop=True),
            mine.loc["another:name"].reset_index(drop=True),
        )


def test_a_trial_that_diverged_is_the_worst():
    tried, judged = made_up_studies()
    judged.loc[judged["control"].eq("GradMax") & (judged["trial"] < 30), "diverged"] = True
    table = rules.table(tried, judged, resamples=50)
    single = rows_of(table, ruleset="tuned", name="bessel-sum", share=1.0)
    assert single.loc["GradMax", "estimate"] > 10


def test_arms_whose_labels_are_exchanged_are_called_different_at_the_level_of_the_test():
    generator = np.random.default_rng(0)
    differences = generator.standard_t(2, (1000, 40)) + 0.5
    exchanged = differences * generator.choice([-1, 1], differences.shape)
    called = (stats.wilcoxon(exchanged, axis=1).pvalue < 0.05).sum()
    low, high = stats.binomtest(int(called), 1000).proportion_ci(0.99)
    assert low < 0.05 < high


# --------------------------------------------------------------------------- a rule of one's own

RULE = """
import torch
from growkit.rules import Born


def rule(site, count):
    return Born(site.first_incoming, torch.zeros_like(site.first_outgoing), {operations})
"""


@pytest.fixture
def own_rule(tmp_path, monkeypatch):
    """Give a function that writes a rule to a module that can be imported, and its name."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(operations=0):
        (tmp_path / "a_rule_of_my_own.py").write_text(RULE.format(operations=operations))
        sys.modules.pop("a_rule_of_my_own", None)
        return "a_rule_of_my_own:rule"

    yield write
    sys.modules.pop("a_rule_of_my_own", None)


def small(settings, budget):
    """Return settings with less of everything."""
    return [each | {"trials": each["trials"][:2], "budget": budget} for each in settings[:2]]


def test_a_cell_is_named_by_the_source_of_its_rule(own_rule):
    settings = small(benchmark.tuning(["bessel-sum"], [own_rule()]), 2e5)
    [before, *_] = [studies._cell_path(cell) for cell in studies._cells(settings)]
    own_rule(operations=1000)
    [after, *_] = [studies._cell_path(cell) for cell in studies._cells(settings)]
    assert before != after


def test_workers_train_by_a_rule_of_ones_own_and_anew_after_an_edit(
    own_rule, monkeypatch, tmp_path
):
    monkeypatch.setattr(studies.growlib, "HOME", tmp_path)
    settings = small(benchmark.tuning(["bessel-sum"], [own_rule()]), 2e5)
    free = studies.of_settings("mine", settings)
    own_rule(operations=20_000)
    costly = studies.of_settings("mine", settings)
    assert (costly["epochs"] < free["epochs"]).all()
    assert len(list((tmp_path / ".cache/cells").glob("*.parquet"))) == 4


def test_a_rule_that_is_the_random_one_has_its_row(own_rule, monkeypatch, tmp_path):
    """On one task, at the published scale: the row equals that of the stored arm."""
    monkeypatch.setattr(studies, "of_settings", in_this_process)
    found = rules.compare(own_rule(), ["bessel-sum"])
    rows = rows_of(found, ruleset="tuned", optimizer="adam", name="bessel-sum", share=1.0)
    same = ["estimate", "low", "high", "loss", "lr", "level"]
    mine, random = rows.loc["a_rule_of_my_own:rule"], rows.loc["random"]
    np.testing.assert_allclose(mine[same].astype(float), random[same].astype(float), rtol=1e-4)


def in_this_process(_name, settings, _workers, _client):
    cells = [studies._compute(cell) for cell in studies._cells(settings, 1e9)]
    return studies.with_sums(studies._select(cells)["finals"])


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: rules.compare("random", ["iris"]), "tasks is 'iris'; it takes one of bessel-sum"),
        (lambda: rules.compare("random"), "rule is 'random'; it takes the name of a rule"),
        (lambda: rules.compare("nowhere:rule"), "module that can be imported"),
    ],
)
def test_what_a_comparison_does_not_take_is_said(call, message):
    with pytest.raises(ValueError, match=message):
        call()

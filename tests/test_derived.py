"""The tables that are derived from stored results, on cases worked by hand and on `data/`."""

import numpy as np
import pandas as pd
import pytest

import growlib
from growkit import derived, statistics
from growkit.derived import claims, compute, controls, coupling, your_data

# ------------------------------------------------------------------------------- the size coupling


def a_sweep(couplings, trials=3):
    """Return a sweep whose best λ is 1 after 10 epochs and 0.1 after 100."""
    growing = np.ones((2, len(couplings), trials))
    growing[0, couplings == 1] = 0.5
    growing[1, couplings == 0.1] = 0.25
    lengths = np.array([10, 100])
    return coupling.Sweep(1e-3, lengths, couplings, growing, np.ones_like(growing))


def test_the_best_coupling_is_that_of_the_lowest_ratio():
    couplings = np.array([0.1, 1.0, 10.0])  # so far apart that nothing is averaged
    found = coupling.best(a_sweep(couplings))
    assert found["best λ"].tolist() == [1, 0.1]
    assert found["ratio at the best λ"].tolist() == [0.5, 0.25]
    np.testing.assert_allclose(found["2ηλE at the best λ"], [0.02, 0.02])
    assert found["ratio at ten times the best λ"].tolist() == [1, 1]
    assert found["ratio at a third of the best λ"].isna().tolist() == [False, True]


def test_the_power_of_the_best_coupling_is_that_of_a_known_line():
    epochs = np.array([10, 100, 1000])
    assert coupling.power(pd.Series(3.0 * epochs**-1.2, index=epochs)) == pytest.approx(-1.2)


def test_a_claim_about_couplings_resamples_trials_with_all_their_couplings():
    """A trial's value is its mean over the λ of a window, and the pairs are the trials."""
    couplings = 10.0 ** np.round(np.arange(-2, 2.01, 0.1), 1)
    rows = []
    for arm, level in (("growing", 1.0), ("grown", 2.0)):
        for trial in range(12):
            for value in couplings:
                loss = level * (1 + trial)
                rows.append((arm, trial, value, loss, loss, False, 100))
    names = ["arm", "trial", "coupling", "test_loss", "test_task_loss", "diverged", "epochs"]
    found = claims.coupled(pd.DataFrame(rows, columns=names), permutations=99)
    assert (found["pairs"] == 12).all()
    np.testing.assert_allclose(found["estimate"], 0.5)


# -------------------------------------------------------------------------------- what favours whom


def comparisons(p, low, high, role="counted"):
    return pd.DataFrame(
        {
            "claim": "C1",
            "measure": "ratio of medians",
            "role": role,
            "p": p,
            "estimate": (np.array(low) + high) / 2,
            "low": low,
            "high": high,
        }
    )


def test_a_comparison_favours_an_arm_by_its_interval_and_its_corrected_p():
    rows = comparisons([0.001, 0.03, 0.001], [0.5, 0.5, 0.9], [0.8, 0.8, 1.1])
    found = claims.judged(rows)
    # By Holm's method 0.03 is the largest of three, and stays.
    assert found["corrected"].tolist() == [0.003, 0.03, 0.003]
    assert found["favours"].tolist() == ["growing", "growing", "neither"]
    found = claims.judged(comparisons([0.03, 0.04], [0.5, 1.2], [0.8, 1.5]))
    assert found["favours"].tolist() == ["neither", "neither"]
    found = claims.judged(comparisons([0.01, 0.01], [0.5, 1.2], [0.8, 1.5]))
    assert found["favours"].tolist() == ["growing", "other"]


def test_what_is_not_counted_is_outside_the_correction():
    counted = comparisons([0.03], [0.5], [0.8])
    other = comparisons([0.04] * 9, [0.5] * 9, [0.8] * 9, role="snapshot")
    found = claims.judged(pd.concat([counted, other], ignore_index=True))
    assert found["corrected"].tolist() == [0.03] + [0.04] * 9


def test_a_row_of_the_claims_is_found_again_in_its_trials():
    rows = derived.stored("claims")
    rows = rows[rows["claim"].isin(["C1", "C2", "C3", "C4", "C6"])]
    chosen = rows.groupby(["claim", "study"]).head(1)
    assert len(chosen) > 6
    for _, row in chosen.iterrows():
        trials = claims.trials_of(row)
        by = [name for name in ("task", "epochs", "control") if name in trials]
        found = statistics.compare(
            trials,
            row["value"],
            row["against"] if row["claim"] in ("C1", "C2", "C3", "C4") else "static",
            by=by,
            resamples=100,
            measures=[row["measure"]],
        )
        assert found["estimate"].item() == pytest.approx(row["estimate"], rel=1e-4)


def test_the_conditions_of_notebook_05_are_corrected_together():
    found = controls.conditions(derived.stored("controls"))
    assert len(found) == 5 * 4
    np.testing.assert_allclose(found["corrected"], statistics.holm(found["p"]))
    apart = (found["low"] > 1) | (found["high"] < 1)
    assert (found["clear"] == (apart & (found["corrected"] < 0.05))).all()


# ------------------------------------------------------------------------------------ what it costs


def test_what_a_loss_costs_lies_on_a_line_in_its_logarithm():
    course = pd.DataFrame(
        {
            "arm": ["growing"] * 3 + ["static"] * 3,
            "trial": 0,
            "epoch": [0, 10, 20] * 2,
            "flops": [0, 100, 300] * 2,
            "test_task_loss": [1.0, 0.01, 0.5, 1.0, 0.9, 0.8],
        }
    )
    found = compute.reach(course, 0.1)
    assert found.loc[0, "growing"] == pytest.approx(50)
    assert found.loc[0, "static"] == np.inf
    assert compute.reach(course, 0.1, "epoch").loc[0, "growing"] == pytest.approx(5)


def test_networks_that_never_arrive_are_the_worst():
    never = np.inf
    static = [2.0] * 20
    found = compute.factor(pd.DataFrame({"growing": [1.0] * 20, "static": static}))
    assert (found["low"], found["estimate"], found["high"]) == (0.5, 0.5, 0.5)
    found = compute.factor(pd.DataFrame({"growing": [never] * 20, "static": static}))
    assert found["estimate"] == never
    assert found["growing never"] == 1
    half = pd.DataFrame({"growing": [1.0] * 20, "static": [2.0] * 11 + [never] * 9})
    found = compute.factor(half)
    assert (found["low"], found["estimate"]) == (0, 0.5)
    assert 0 < found["static never"] < 1
    few = compute.factor(half.head(9))
    assert np.isnan(few["low"])


# ----------------------------------------------------------------------------------- rates that tie


@pytest.mark.parametrize("level, ties", [(1.5, False), (1.01, True)])
def test_a_rate_ties_with_the_best_one_if_the_trials_cannot_tell_them_apart(level, ties):
    generator = np.random.default_rng(0)
    rows = []
    for lr, middle in ((0.01, 1.0), (0.1, level)):
        for trial in range(40):
            loss = middle * np.exp(0.1 * generator.standard_normal())
            rows.append(("as published", "t", "growing", lr, trial, loss, False))
    names = ["control", "task", "arm", "lr", "trial", "test_task_loss", "diverged"]
    finals = pd.DataFrame(rows, columns=names).assign(seed=your_data.CHOOSING)
    found = your_data.rates(finals).set_index("lr")
    assert found["best"].sum() == 1
    assert found[~found["best"]]["ties"].item() == ties


def test_a_derived_table_that_is_missing_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(growlib, "HOME", tmp_path)
    with pytest.raises(FileNotFoundError, match=r"table 'claims' is not in .*; `make data`"):
        derived.stored("claims")

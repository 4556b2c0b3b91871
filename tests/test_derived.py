"""The tables that are derived from stored results, on cases worked by hand and on `data/`."""

import numpy as np
import pandas as pd
import pytest

import growlib
from growkit import derived, statistics, studies
from growkit.derived import claims, compute, controls, coupling, saturation, scaling, your_data

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


def test_a_power_is_that_of_a_line_through_three_lengths_or_more():
    couplings = pd.Series([3.0, 1.0, 0.5], index=[10, 100, 1000])
    assert np.isfinite(coupling.power(couplings))
    assert np.isnan(coupling.power(couplings[:2]))


def finals_of_coupling():
    """Return finals of one length, two λ and three trials; at the larger λ one network diverged."""
    rows = []
    for arm, level in (("growing", 1.0), ("grown", 2.0)):
        for value in (1.0, 10.0):
            for trial in range(3):
                diverged = arm == "growing" and value == 10 and trial == 2
                loss = np.nan if diverged else level
                rows.append((arm, trial, value, loss, diverged, 2, 0.1, 5.0, 3.0 + trial))
    names = ["arm", "trial", "coupling", "test_loss", "diverged", "epochs", "lr", "target", "size"]
    return pd.DataFrame(rows, columns=names)


def test_a_network_that_diverged_is_worst_in_the_ratio_of_medians_and_leaves_no_ratio_of_means():
    losses = coupling.sweep(finals_of_coupling())
    assert coupling.ratios(losses, "ratio of medians")[2].tolist() == [0.5, 0.5]
    means = coupling.ratios(losses, "ratio of means")
    assert means.loc[1, 2] == 0.5
    assert np.isnan(means.loc[10, 2])
    assert coupling.lowest(means).to_dict() == {2: 1}
    assert coupling.lowest(means * np.nan).empty


def test_the_size_under_its_own_loss_is_that_of_two_steps_by_hand():
    found = coupling.sizes(finals_of_coupling()).set_index("coupling")
    assert found["size"].tolist() == [4, 4]
    np.testing.assert_allclose(found["product"], [0.4, 4])
    # After a step 0.2 of the way is done, and after two 0.2 + 0.8 · 0.2; with λ = 10 it diverges.
    assert found.loc[1, "alone"] == pytest.approx(5 * 0.36)
    assert np.isnan(found.loc[10, "alone"])


def test_no_coupling_leaves_a_size_loss_above_the_largest_one():
    lengths = [1000, 10_000]
    found = coupling.equal_debt(1e-4, lengths)
    for epochs, value in found.items():
        assert 25 * value * np.exp(-4e-3 * value * epochs) == pytest.approx(1e-4)
    largest = 25 / (4e-3 * 1000) / np.e
    assert coupling.equal_debt(1.01 * largest, lengths).isna().all()
    assert coupling.equal_debt(0.99 * largest, lengths).notna().tolist() == [True, False]


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


def test_the_networks_behind_a_cell_of_the_maps_give_its_ratio():
    ends = controls.Ends(controls.labelled(studies.stored("controls")))
    table = derived.stored("controls")
    effects = table[controls.is_effect(table)]
    some = effects.groupby(["control", "rate"]).head(1)
    assert set(some["control"]) == set(ends.controls)
    for row in some.itertuples():
        changed, reference = ends.of(row.case, row.control, row.rate).values()
        losses = [
            side["test_task_loss"].where(~side["diverged"], np.inf) for side in (changed, reference)
        ]
        assert losses[0].median() / losses[1].median() == pytest.approx(row.estimate, rel=1e-4)
        assert row.case in ends.cases_of(row.control)


def test_every_control_is_on_a_map():
    shown = {
        control
        for name in controls.MAPS
        for family in controls.MAPS[name]
        for control in controls.FAMILIES[family]
    }
    assert shown == {control for family in controls.FAMILIES.values() for control in family}


def test_the_trials_behind_a_row_are_read_once(monkeypatch):
    rows = derived.stored("claims")
    row = rows[(rows["study"] == "figure-2") & (rows["claim"] == "C1")].iloc[0]
    read = {}
    first = claims.trials_of(row, read)
    monkeypatch.setattr(studies, "stored", None)
    pd.testing.assert_frame_equal(claims.trials_of(row, read), first)


def test_the_map_of_the_couplings_has_its_numbers_in_their_places():
    rows = derived.stored("claims")
    ratios, decided = claims.coupling_map(rows)
    assert ratios.index.tolist() == ["0.01", "0.1", "1", "10", "100"]
    assert ratios.columns[0] == "1 000"
    for row in rows.query("claim == 'C4' and role == 'counted'").itertuples():
        place = f"{10.0**row.decade:g}", statistics.in_thousands(int(row.epochs))
        assert ratios.loc[place] == row.estimate
        assert decided.loc[place] == (row.favours != "neither")


def test_ratios_over_the_classes_are_decided_by_their_intervals():
    rows = pd.DataFrame(
        {
            "lr": [0.1, 0.1, 0.2],
            "classes": [3.0, 3.0, 5.0],
            "width": [4.0, 8.0, 4.0],
            "estimate": [0.5, 0.9, 2.0],
            "low": [0.4, 0.8, np.nan],
            "high": [0.6, 1.1, np.nan],
        }
    )
    maps = scaling.ratio_maps(rows)
    assert list(maps) == ["width (neurons), η = 0.1", "width (neurons), η = 0.2"]
    estimates, decided = maps["width (neurons), η = 0.1"]
    assert estimates.loc[3].tolist() == [0.5, 0.9]
    assert decided.loc[3].tolist() == [True, False]
    assert not maps["width (neurons), η = 0.2"][1].any(axis=None)


def test_the_series_of_rates_has_the_points_with_most_rates_and_widths():
    rows = pd.DataFrame(
        {
            "task": "bessel-grid",
            "control": "none",
            "points": [100, 100, 200, 300],
            "lr": 0.1,
            "width": [4, 8, 4, 4],
        }
    )
    assert scaling.rate_series(rows)["points"].tolist() == [100, 100]
    assert scaling.rate_series(rows.query("width == 4"))["points"].tolist() == [300]


def test_the_logged_epochs_nearest_to_parts_of_a_training():
    history = pd.DataFrame({"epoch": [0, 10, 20, 30, 40]})
    assert scaling.logged(history, (0.3, 0.5, 1)) == [10, 20, 40]
    assert scaling.logged(history.head(2), (0.1, 0.2, 1)) == [0, 0, 10]


def test_guessing_and_the_ceiling_bound_the_accuracy():
    bounds = scaling.bounds([2, 9])
    assert bounds.loc[2, "chance"] == 0.5
    # Two arms stand 4 rad apart, so the nearer gap is 2π − 4 and the other one 4 rad.
    assert bounds.loc[2, "ceiling"] == pytest.approx(1, abs=1e-6)
    assert bounds.loc[9, "chance"] < bounds.loc[9, "ceiling"] < 0.95


def test_the_conditions_of_notebook_05_are_corrected_together():
    found = controls.conditions(derived.stored("controls"))
    assert len(found) == 5 * 4
    np.testing.assert_allclose(found["corrected"], statistics.holm(found["p"]))
    apart = (found["low"] > 1) | (found["high"] < 1)
    assert (found["clear"] == (apart & (found["corrected"] < 0.05))).all()


def test_the_ratios_of_networks_are_rows_of_the_table_at_both_rates():
    table = derived.stored("controls")
    networks = {"open": ("no gate", "growing", "as published")}
    found = controls.ratios_of(table, networks).set_index(["case", "at"])
    rows = controls.ratios(table, "no gate", "growing", "as published", "tuned").set_index("case")
    assert set(found["network"]) == {"open"}
    for case, row in rows.iterrows():
        assert found.loc[(case, "best rates"), "estimate"] == row["estimate"]
    assert len(found) == 2 * len(rows)


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


def test_a_figure_of_factors_leaves_out_those_that_are_not_given():
    rows = pd.DataFrame(
        {
            "case": ["a", "b", "c", "a"],
            "control": ["as published", "no size input", "neuron by neuron", "as published"],
            "rate": ["published", "tuned", "tuned", "published"],
            "cost": ["flops", "flops", "flops", "epoch"],
            "resolved": [True, False, True, True],
            "rates tie": [False, False, True, False],
            "estimate": 0.5,
            "low": 0.4,
            "high": 0.6,
        }
    )
    found = compute.for_figure(rows)
    assert found["estimate"].notna().tolist() == [True, False, False]
    assert found["row"].tolist() == ["a", "b", "c,\nneuron by neuron"]
    assert found["input"].tolist() == [True, False, True]
    assert found["at"].tolist() == ["published rate", "best rates", "best rates"]
    assert rows["estimate"].notna().all()  # the table itself stays as it is


def test_the_losses_to_reach_end_at_the_level():
    history = compute.courses(studies.stored("controls", "history").query("trial < 12"))
    part = compute.sides(history, "square-wave", "as published", "published")
    found = compute.by_level(part, number=3, resamples=20)
    level = compute.level_of(part)
    assert found["level"].iloc[-1] == pytest.approx(level)
    assert found["level"].is_monotonic_decreasing
    assert found["estimate"].iloc[-1] == compute.factor(compute.reach(part, level))["estimate"]


# --------------------------------------------------------------------------------------- saturation


def a_run(networks):
    growth, trials = growlib.together(growlib.arms(target=2, feeds=0.5), networks)
    options = {"epochs": 200, "log_every": 100, "width": 3, "keep_weights": True}
    return growlib.fit("cubic-1", growth, trials=trials, lr=0.05, **options)


def test_a_saturated_pair_is_an_open_neuron_at_a_point_where_its_tanh_is_near_one():
    run = a_run(2)
    found = saturation.counts(run).set_index(["epoch", "arm", "trial"])
    network = run.networks.query("arm == 'static' and trial == 1").index[0]
    size, (hidden, _) = growlib.unpack(run.theta(200), growlib.layer_shapes(3))
    saturated = 0
    for m in range(2):  # the third neuron is shut
        bias, of_size, of_x = hidden[:, m, network].tolist()
        for x in np.linspace(-1, 1, 41):
            argument = bias + of_size * 0.5 * size[network].item() + of_x * x
            saturated += abs(np.tanh(argument)) > 0.9
    assert found.loc[(200, "static", 1), "saturated"] == saturated
    assert found.loc[(200, "static", 1), "open"] == 2 * 41
    # At first every neuron of a growing network is shut, so there is no share.
    assert set(found.loc[0].index.get_level_values("arm")) == {"grown", "static"}


def test_a_saturated_share_is_that_of_all_networks_with_its_interval():
    run = a_run(12)
    found = saturation.shares(run, resamples=200)
    sums = saturation.counts(run).groupby(["arm", "epoch"])[["saturated", "open"]].sum()
    np.testing.assert_allclose(found["estimate"], sums["saturated"] / sums["open"])
    assert (found["low"] < found["estimate"]).all()
    assert (found["estimate"] < found["high"]).all()
    assert saturation.shares(a_run(9), resamples=200)["low"].isna().all()


def test_without_the_size_as_an_input_no_first_weight_depends_on_it():
    one, five = (saturation.first_tanh(size, feeds=0.0, networks=20) for size in (1.0, 5.0))
    np.testing.assert_array_equal(one, five)
    told = saturation.first_tanh(5.0, networks=20)
    assert told.shape == (41, 5, 20)
    assert (told > 0.9).mean() > 3 * (five > 0.9).mean()


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
    monkeypatch.setattr(growlib, "__file__", str(tmp_path / "growlib.py"))  # no checkout around it
    with pytest.raises(FileNotFoundError, match=r"table 'claims' is not in .*; `make data`"):
        derived.stored("claims")


@pytest.mark.parametrize(
    "growing, static, ratio",
    [
        ([4, 4, 4], [2, 2, 2], 2),
        ([0, 0, 0], [0, 0, 0], 1),
        ([3, 3, 3], [0, 0, 0], np.inf),
        ([0, 0, 0], [3, 3, 3], 0),
        ([np.inf] * 3, [np.inf] * 3, 1),
        ([np.inf] * 3, [1, 1, 1], np.inf),
    ],
)
def test_a_level_that_is_there_from_the_start_or_never_reached_has_its_factor(
    growing, static, ratio
):
    needed = pd.DataFrame({"growing": growing, "static": static}, dtype=float)
    assert compute.factor(needed)["estimate"] == ratio

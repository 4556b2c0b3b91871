"""The comparisons of the studies under Adam, on finals made up by hand."""

import numpy as np
import pandas as pd
import pytest

from growkit.derived import adam

TRIALS = 12


def finals_of(losses, **columns):
    """Return finals of some networks; `losses` gives each (control, arm) a factor on its losses."""
    rows = []
    for (control, arm), level in losses.items():
        for trial in range(TRIALS):
            rows.append(
                {
                    "task": "bessel-sum",
                    "epochs": 100,
                    "control": control,
                    "arm": arm,
                    "trial": trial,
                    "test_task_loss": level * (1 + trial),
                    "train_task_loss": level * (1 + trial),
                    "diverged": False,
                    "lr": 0.01,
                    "flops": 500.0,
                    "target": 5.0,
                    "points": 288,
                    "test_points": 256,
                    "noise": 0.0,
                }
                | columns
            )
    return pd.DataFrame(rows)


AS_IT_IS = {("as it is", "growing"): 0.25, ("as it is", "static"): 1.0}


def test_a_rung_is_compared_with_static_networks_and_has_its_share_of_the_lead():
    losses = AS_IT_IS | {
        ("ramp", "growing"): 0.5,
        ("output × 0.1", "static"): 2.0,
        ("momentum", "growing"): 3.0,
        ("momentum", "static"): 12.0,
        ("momentum, delayed training", "growing"): 6.0,
    }
    found = adam.of_ladder(finals_of(losses))
    ratios = found[found["measure"] == "ratio of medians"].set_index(["control", "arm"])
    expected = {
        ("as it is", "growing"): (0.25, 1.0),
        ("ramp", "growing"): (0.5, 0.5),
        ("output × 0.1", "static"): (2.0, -0.5),
        ("momentum", "growing"): (0.25, 1.0),
        ("momentum, delayed training", "growing"): (0.5, 0.5),
    }
    assert set(ratios.index) == set(expected)
    for rung, (ratio, share) in expected.items():
        assert ratios.loc[rung, "estimate"] == pytest.approx(ratio)
        assert ratios.loc[rung, "share"] == pytest.approx(share)
    assert found["share"].notna().equals(found["measure"] == "ratio of medians")
    assert ratios.loc[("momentum", "growing"), "reference"] == "momentum"
    assert (found["pairs"] == TRIALS).all()
    assert (found["operations"] == 1).all()


def test_each_length_of_the_training_has_its_own_static_networks():
    short = finals_of(AS_IT_IS)
    long = finals_of({("as it is", "growing"): 0.5, ("as it is", "static"): 1.0}, epochs=400)
    found = adam.of_ladder(pd.concat([short, long]))
    ratios = found[found["measure"] == "ratio of medians"].set_index("epochs")["estimate"]
    assert ratios.to_dict() == pytest.approx({100: 0.25, 400: 0.5})


def test_arms_are_compared_at_each_rate():
    slow = finals_of(AS_IT_IS, lr=0.001)
    fast = finals_of({("as it is", "growing"): 3.0, ("as it is", "static"): 1.0}, lr=0.01)
    found = adam.of_rates(pd.concat([slow, fast]))
    ratios = found[found["measure"] == "ratio of medians"].set_index("lr")["estimate"]
    assert ratios.to_dict() == pytest.approx({0.001: 0.25, 0.01: 3.0})
    assert (found["lr"] == found["reference_lr"]).all()


def test_growing_is_compared_with_each_opponent_as_the_claims_are():
    growing = finals_of({("as it is", "growing"): 0.5})
    static = finals_of({("as it is", "static"): 1.0})
    levels = {"ten neurons": 0.25, "pruned at half": 0.5, "pruned at half, equal operations": 2.0}
    opponents = finals_of({(name, "static"): level for name, level in levels.items()})
    found = adam.of_claims(growing, static, opponents, permutations=99)
    assert found["p"].notna().all()
    medians = found[found["measure"] == "ratio of medians"].set_index("reference")["estimate"]
    assert medians.to_dict() == pytest.approx(
        {"static": 0.5, "larger static": 2, "pruned": 1, "pruned, equal operations": 0.25}
    )
    ladder = pd.concat([growing, static])
    for name, expected in medians.items():
        trials = adam.trials_of_claim("bessel-sum", name, ladder, opponents)
        both = trials.groupby("arm")["test_task_loss"].median()
        assert both["growing"] / both["static"] == pytest.approx(expected)


def test_opponents_are_compared_with_static_networks_of_five_neurons():
    static = finals_of({("as it is", "static"): 1.0})
    opponents = finals_of({("pruned at half", "static"): 0.5, ("ten neurons", "static"): 0.1})
    opponents["flops"] = 1000.0
    found = adam.of_opponents(opponents, static)
    ratios = found[found["measure"] == "ratio of medians"].set_index("control")
    assert ratios["estimate"].to_dict() == pytest.approx(
        {"pruned at half": 0.5, "ten neurons": 0.1}
    )
    assert (ratios["operations"] == 2).all()


def test_the_best_training_is_picked_by_what_a_person_sees_and_costs_all_of_them():
    static = finals_of({("as it is", "static"): 1.0})
    names = {(f"training {number}", "static"): 1.0 for number in range(2, 9)}
    others = finals_of(names)
    second = others["control"] == "training 2"
    fifth = others["control"] == "training 5"
    # The second has the lowest loss on the training points, except on trial 0, where it diverged.
    others.loc[second, "train_task_loss"] /= 10
    others.loc[second, "test_task_loss"] /= 4
    others.loc[second & (others["trial"] == 0), "diverged"] = True
    # The fifth would win on the test points, which nobody sees.
    others.loc[fifth, "test_task_loss"] /= 100
    found = adam.of_restarts(others, static)
    ratios = found[found["measure"] == "ratio of medians"].set_index("control")
    values = [1.0, *(0.25 * (1 + np.arange(1, TRIALS)))]
    expected = np.median(values) / np.median(1 + np.arange(TRIALS))
    for count in (2, 4, 8):
        row = ratios.loc[f"best of {count} trainings"]
        assert row["estimate"] == pytest.approx(expected)
        assert row["operations"] == count


def test_the_map_has_each_axis_with_all_else_as_it_is():
    losses = AS_IT_IS | {("pruned at half", "static"): 0.5}
    parts = [
        finals_of(losses),
        finals_of(losses, points=272),
        finals_of(losses, noise=0.1),
        finals_of(losses, target=3.0),
        finals_of(losses, task="chirp"),
        finals_of(losses, task="chirp-3"),
    ]
    found = adam.of_map(pd.concat(parts))
    places = found.groupby("axis")["at"].unique().map(sorted).to_dict()
    assert places == {
        "neurons": [3, 5],
        "training points": [16, 32],
        "noise": [0, 0.1],
        "turns": [3, 5],
    }
    ratios = found[found["measure"] == "ratio of medians"].groupby("control")["estimate"]
    assert ratios.min().to_dict() == pytest.approx({"as it is": 0.25, "pruned at half": 0.5})
    assert ratios.max().to_dict() == pytest.approx({"as it is": 0.25, "pruned at half": 0.5})

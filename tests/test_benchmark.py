"""The benchmark of growth rules: its tasks, budgets, epochs and settings."""

import numpy as np
import pandas as pd
import pytest
from scipy import special
from sklearn import datasets

import growlib
from growkit import benchmark, growths, tasks
from growkit.derived import rules as rules_table

# ------------------------------------------------------------------------------------------- tasks

# The sizes of the training, validation and test points, as they were decided beforehand.
SIZES = {
    "bessel-sum": (32, 64, 256),
    "square-wave": (32, 64, 256),
    "chirp": (32, 64, 256),
    "student-teacher": (250, 250, 1000),
    "student-small": (250, 250, 1000),
    "friedman-50": (40, 200, 1000),
    "friedman-200": (160, 200, 1000),
    "two-moons": (160, 200, 1000),
    "spirals": (400, 500, 1000),
    "bessel-grid": (3277, 410, 409),
    "diabetes": (265, 88, 89),
    "breast-cancer": (341, 114, 114),
    "digits": (1078, 359, 360),
    "mnist-1d": (3000, 1000, 1000),
}
TRIAL = 3


def three_sets(name, raw=True, trial=TRIAL):
    """Return the training, validation and test points of a task, each x (I, P) and y (P,)."""
    drawn = {}
    for judged_by in ("validation", "test"):
        task = growlib.task(f"rules-{name}", judged_by=judged_by)
        x, y = (values[..., 0] for values in task.draw(0, [trial], raw=raw))
        train = task.train_points
        drawn[judged_by] = (x[:, :train], y[:train]), (x[:, train:], y[train:])
    training, validation = drawn["validation"]
    again, test = drawn["test"]
    np.testing.assert_array_equal(again[0], training[0])
    np.testing.assert_array_equal(again[1], training[1])
    return training, validation, test


def all_points(name):
    """Return the points of all three sets, x (I, P) and y (P,), in the units of the task."""
    x, y = zip(*three_sets(name), strict=True)
    return np.concatenate(x, 1), np.concatenate(y)


@pytest.mark.parametrize("name", benchmark.ROWS)
def test_training_points_are_the_same_however_judged_and_the_sets_have_no_point_in_common(name):
    three_sets(name, raw=False)
    sets = three_sets(name)
    assert tuple(len(y) for _, y in sets) == SIZES[name]
    # The arms of the spirals meet in the origin, where each has a point of its own class.
    rows = [np.vstack([x, y]).T.tolist() for x, y in sets]
    training, validation, test = (set(map(tuple, each)) for each in rows)
    assert not training & validation
    assert not training & test
    assert not validation & test
    assert growlib.task(f"rules-{name}").test_points == SIZES[name][2]


def test_there_is_a_row_for_each_task_and_each_is_in_one_group():
    grouped = [name for group in benchmark.GROUPS.values() for name in group]
    assert sorted(grouped) == sorted(benchmark.ROWS) == sorted(tasks.BENCHMARK) == sorted(SIZES)


def test_the_targets_of_one_input_are_their_formulas():
    x, y = all_points("square-wave")
    assert (y == (np.sin(2 * np.pi * x[0]) >= 0)).all()
    x, y = all_points("chirp")
    np.testing.assert_allclose(y, np.cos(5 * np.pi * ((x[0] + 1) / 2) ** 2), atol=1e-12)
    x, y = all_points("bessel-sum")
    grid = np.linspace(-1, 1, 20_001)
    low, high = np.min(bessel_sum(grid)), np.max(bessel_sum(grid))
    np.testing.assert_allclose(y, 2 * (bessel_sum(x[0]) - low) / (high - low) - 1, atol=1e-6)
    x, y = all_points("bessel-grid")
    assert sorted(x[0]) == np.linspace(-1, 1, 4096).tolist()
    np.testing.assert_allclose(y, 2 * (bessel_sum(x[0]) - low) / (high - low) - 1, atol=1e-6)


def bessel_sum(x):
    """Return J0 + J1 + J2 at 2πx."""
    return sum(special.jv(order, 2 * np.pi * x) for order in (0, 1, 2))


@pytest.mark.parametrize("name", ["student-teacher", "student-small"])
def test_students_learn_from_the_random_teacher_of_their_trial(name):
    generator = growlib.random_stream(0, TRIAL, "data")
    biases = generator.uniform(-1, 1, 10)
    out = generator.uniform(-1, 1, 10)
    weights = generator.uniform(-1, 1, (10, 10))
    x, y = all_points(name)
    assert x.std() == pytest.approx(1, rel=0.02)
    expected = np.zeros(len(y))
    for neuron in range(10):
        expected += out[neuron] * np.tanh(biases[neuron] + weights[neuron] @ x)
    np.testing.assert_allclose(y, expected, atol=1e-12)
    assert (all_points_of_another_trial(name) != y).all()


def all_points_of_another_trial(name):
    """Return y (P,) of another trial."""
    return np.concatenate([y for _, y in three_sets(name, trial=TRIAL + 1)])


@pytest.mark.parametrize("name", ["friedman-50", "friedman-200"])
def test_friedmans_regression_has_its_formula_and_an_error_of_one(name):
    x, y = all_points(name)
    assert 0 <= x.min() < 0.01 and 0.99 < x.max() <= 1
    curve = 10 * np.sin(np.pi * x[0] * x[1]) + 20 * (x[2] - 1 / 2) ** 2 + 10 * x[3] + 5 * x[4]
    error = y - curve
    assert error.mean() == pytest.approx(0, abs=0.1)
    assert error.std() == pytest.approx(1, rel=0.06)
    assert np.abs(np.corrcoef(np.vstack([x, error]))[-1, :-1]).max() < 0.12


def test_moons_are_half_circles_with_an_error_of_a_fifth():
    x, y = all_points("two-moons")
    assert y.mean() == pytest.approx(0.5, abs=0.05)
    upper, lower = x[:, y == 0], np.array([[1], [0.5]]) - x[:, y == 1]
    for moon in (upper, lower):
        # Of a half circle with radius 1 the mean is at (0, 2/π); the mean square is 1 + 2·0.2².
        np.testing.assert_allclose(moon.mean(1), [0, 2 / np.pi], atol=0.08)
        assert np.square(moon).sum(0).mean() == pytest.approx(1.08, rel=0.05)
        assert (np.hypot(*moon)).std() == pytest.approx(0.2, rel=0.1)


def test_spirals_have_five_arms_of_equal_length():
    x, y = all_points("spirals")
    assert np.bincount(y.astype(int)).tolist() == [380] * 5
    noise = 0.2 * growlib.random_stream(0, TRIAL, "data").standard_normal(1900)
    angle = np.concatenate([np.linspace(4 * arm, 4 * arm + 4, 380) for arm in range(5)]) + noise
    raw = np.tile(np.linspace(0, 5, 380), 5) * np.cos(angle)
    scaled = 2 * (raw - raw.min()) / (raw.max() - raw.min()) - 1
    assert sorted(x[1]) == pytest.approx(sorted(scaled))


@pytest.mark.parametrize(
    "name, load, first",
    [
        ("diabetes", lambda: datasets.load_diabetes(scaled=False), [59, 2, 32.1, 101, 157]),
        ("breast-cancer", datasets.load_breast_cancer, [17.99, 10.38, 122.8, 1001, 0.1184]),
        ("digits", datasets.load_digits, [0, 0, 5, 13, 9]),
    ],
)
def test_tables_are_those_of_scikit_learn_with_each_row_once(name, load, first):
    table = load()
    x, y = all_points(name)
    rows = np.column_stack([table.data, table.target])
    varies = np.ptp(rows, 0) > 0  # constant columns are left out
    if name == "digits":
        first = np.array(first)[varies[:5]].tolist()
    found = np.vstack([x, y]).T
    np.testing.assert_array_equal(
        found[np.lexsort(found.T)], rows[:, varies][np.lexsort(rows[:, varies].T)]
    )
    assert (found[:, : len(first)] == first).all(1).any()


def test_digits_and_mnist_have_their_classes():
    _, y = all_points("digits")
    counts = [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert np.bincount(y.astype(int)).tolist() == counts
    x, y = all_points("mnist-1d")
    assert x.shape == (40, 5000)
    assert np.bincount(y.astype(int)).tolist() == [500] * 10


def test_other_numbers_of_points_are_fresh_ones():
    task = tasks.benchmark_task("chirp")
    x, y = task.draw(0, [0], "fresh", 1000)
    assert x.shape == (1, 1000, 1)
    np.testing.assert_allclose(y, np.cos(5 * np.pi * ((x[0] + 1) / 2) ** 2), atol=1e-12)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: tasks.benchmark_task("moons"), "name is 'moons'; it takes one of bessel-sum, "),
        (
            lambda: growlib.task("rules-chirp", judged_by="train"),
            "judged_by is 'train'; it takes one of validation, test",
        ),
    ],
)
def test_an_unknown_task_of_the_benchmark_is_said(make, message):
    with pytest.raises(ValueError, match=message):
        make()


# ----------------------------------------------------------------------------------------- budgets

MOONS = tasks.benchmark_task("two-moons")
NEURON_EPOCH = 160 * (3 + 4 * 2 + 6)  # operations of one neuron on the training points of the moons


@pytest.mark.parametrize("name", ["bessel-sum", "two-moons", "spirals", "diabetes"])
def test_the_budget_is_what_the_static_network_spends(name):
    row = benchmark.ROWS[name]
    growth, width = benchmark._growth(name, f"static {row.final}", "adam", 1e-3, 0)
    run = growlib.fit(f"rules-{name}", growth, trials=1, epochs=2, width=width)
    assert benchmark.budget(name) == run.finals["flops"].item() * row.epochs / 2


FIXED = {
    "static": (growths.Scheduled(start=4.0, target=4.0), 4),
    "random": (growths.Scheduled(start=1.0, target=4.0), 4),
    "pairs": (growths.Scheduled(start=2.0, target=6.0, rule="variance-transfer", each=2), 6),
    "resting": (growths.Scheduled(start=1.0, target=4.0, rests=True, until=0.75), 4),
    "at once": (growths.Scheduled(start=1.0, target=4.0, until=0), 4),
    "best candidate": (growths.Scheduled(start=1.0, target=3.0, rule="best-candidate"), 3),
    "gradmax": (growths.Scheduled(start=1.0, target=4.0, rule="gradmax", until=0.125), 4),
    "pruned": (growths.Pruned(start=6.0, target=3.0, at=0.25), 6),
    "pruned in 2 steps": (growths.Pruned(start=6.0, target=3.0, times=2), 6),
    "best start": (
        growths.BestStart(start=4.0, target=4.0, frozen=True, feeds=0.0, mask="steps", draws=3),
        4,
    ),
}
OPERATIONS = 500.5 * NEURON_EPOCH


@pytest.mark.parametrize("growth, width", FIXED.values(), ids=FIXED)
def test_epochs_are_the_last_within_each_share_of_the_budget(growth, width):
    ends = benchmark.epochs_within(MOONS, growth, width, OPERATIONS)
    settings = {"trials": [5, 6], "width": width, "lr": 0.01}
    every = growlib.fit(MOONS, growth, epochs=list(range(1, ends[-1] + 1)), **settings).finals
    for _, flops in every.groupby("trial")["flops"]:
        within = [int((flops <= share * OPERATIONS).sum()) for share in benchmark.SHARES]
        assert within[-1] == ends[-1]  # the last epoch is within the budget
        assert ends == sorted({max(1, epoch) for epoch in within})
    longer = growlib.fit(MOONS, growth, epochs=ends[-1] + 1, **settings).finals
    assert (longer["flops"] > OPERATIONS).all()


def test_growths_that_find_their_size_are_looked_at_for_longer_than_a_static_network():
    operations = 4 * 100 * NEURON_EPOCH  # of 100 epochs of four neurons
    growing = growths.Gradual(target=4.0)
    ends = benchmark.epochs_within(MOONS, growing, 4, operations)
    assert ends[-1] == 150
    assert {2, 50, 100, 125} <= set(ends)
    adaptive = growths.AdaptiveWidth()
    assert benchmark.epochs_within(MOONS, adaptive, 8, operations) == ends


def test_a_budget_that_events_exceed_is_said():
    growth, width = FIXED["best candidate"]
    match = r"^budget is 10000; it takes at least .*, since the events of the growth cost as much"
    with pytest.raises(ValueError, match=match):
        benchmark.epochs_within(MOONS, growth, width, 10_000)


def finals_of(rows):
    """Return finals with these rows of (trial, epochs, flops)."""
    return pd.DataFrame(rows, columns=["trial", "epochs", "flops"]).assign(lr=0.1)


def test_a_network_is_read_at_its_last_row_within_a_share():
    # The second network has fewer neurons, and may go on for longer.
    rows = [(0, 10, 25.0), (0, 20, 50.4), (0, 30, 102.0), (1, 10, 20.0), (1, 20, 40.0)]
    rows += [(1, 30, 60.0), (1, 50, 100.9)]
    read = benchmark.at_shares(finals_of(rows), 100.0, (0.25, 0.5, 1.0))
    epochs = read.pivot(index="trial", columns="share", values="epochs")
    assert epochs.loc[0].tolist() == [10, 20, 20]  # 1 % beyond a share is allowed, 2 % is not
    assert epochs.loc[1].tolist() == [10, 20, 50]
    assert (read["budget"] == 100).all()


def test_a_network_that_has_spent_more_before_its_first_row_has_none():
    read = benchmark.at_shares(finals_of([(0, 10, 60.0), (1, 10, 40.0)]), 100.0, (0.5, 1.0))
    assert read.groupby("share")["trial"].agg(list).to_dict() == {0.5: [1], 1.0: [0, 1]}


# ---------------------------------------------------------------------------------------- settings


@pytest.mark.parametrize("name", ["bessel-sum", "spirals"])
@pytest.mark.parametrize("optimizer", ["adam", "momentum"])
def test_points_are_distinct_rates_with_each_level_as_often(name, optimizer):
    points = benchmark.points(name, optimizer)
    count = 16 if name == "bessel-sum" else 8
    rates, levels = zip(*points, strict=True)
    assert len(set(rates)) == count
    assert np.bincount(levels).tolist() == [count / 4] * 4
    assert (rates[0], rates[-1]) == benchmark.RATES[optimizer]
    np.testing.assert_allclose(np.diff(np.log(rates), 2), 0, atol=0.01)
    for first in range(0, count, 4):
        assert set(levels[first : first + 4]) == {0, 1, 2, 3}


@pytest.mark.parametrize("name", ["bessel-sum", "student-teacher", "spirals"])
def test_every_arm_is_tuned_at_as_many_points(name):
    settings = benchmark.tuning([name])
    count = 16 if name != "spirals" else 8
    for optimizer in benchmark.optimizers(name):
        of_optimizer = [each for each in settings if each["optimizer"] == optimizer]
        by_arm = {}
        for each in of_optimizer:
            by_arm.setdefault(each["control"].split(" @")[0], []).append(each)
        assert list(by_arm) == benchmark.arms(name)
        for of_arm in by_arm.values():
            assert len({each["lr"] for each in of_arm}) == len(of_arm) == count
    assert benchmark.optimizers("spirals") == ("adam",)
    assert all(each["options"] == {"judged_by": "validation"} for each in settings)
    assert all(min(each["trials"]) >= 1_000_000 for each in settings)


LOADED = [name for name in benchmark.ROWS if name not in ("digits", "mnist-1d")]


@pytest.mark.parametrize("name", LOADED)
def test_every_arm_that_grows_ends_with_the_same_number_of_neurons(name):
    row = benchmark.ROWS[name]
    assert row.final in row.widths
    for arm in (*benchmark.SCHEDULED, "pruned", "pruned in 4 steps", "auxiliary weight"):
        for level in range(4):
            growth, width = benchmark._growth(name, arm, "adam", 1e-2, level)
            assert growth.target == row.final
            if arm in benchmark.SCHEDULED:
                joined = growth.joining(row.epochs)
                assert growth.start + sum(joined.values()) == width == row.final
                assert max(joined) == pytest.approx(benchmark.LEVELS[level] * row.epochs, abs=1)
            if arm.startswith("pruned"):
                assert growth.start == width == 2 * row.final
                assert growth.leaving(row.epochs)[0] == benchmark.LEVELS[level] * row.epochs


@pytest.mark.parametrize("arm, target", [("auxiliary weight", 5), ("controller", 1)])
def test_sizes_that_find_their_way_arrive_after_the_share_of_the_training(arm, target):
    for level, share in enumerate(benchmark.LEVELS):
        growth, _ = benchmark._growth("bessel-sum", arm, "adam", 0.01, level)
        steps = share * 20_000
        assert 0.01 * growth.speed * steps == pytest.approx(target, rel=0.01)
        growth, _ = benchmark._growth("bessel-sum", arm, "momentum", 0.01, level)
        falls = 1 - 10 * 0.01 * growth.speed * 2 * benchmark.COUPLING  # of the distance, in a step
        assert falls**steps == pytest.approx(np.exp(-3), rel=0.02)


def tried_of(rows):
    """Return finals of a tuning with these rows of (control, lr, losses of three trials)."""
    frames = []
    for control, lr, losses in rows:
        frame = pd.DataFrame({"test_task_loss": losses, "diverged": np.isinf(losses)})
        frames.append(frame.assign(control=control, lr=lr))
    finals = pd.concat(frames, ignore_index=True)
    return finals.assign(task="rules-chirp", optimizer="adam")


TRIED = [
    ("TINY @0", 0.1, [1.0, 2.0, 9.0]),
    ("TINY @3", 0.1, [1.5, 1.6, 1.7]),
    ("TINY @1", 0.3, [0.1, np.inf, np.inf]),
    ("static 5 @0", 0.1, [3.0, 3.0, 0.1]),
    ("static 5 @0", 0.3, [1.0, 2.0, np.nan]),
    ("cascade, frozen @2", 0.3, [1.0, 1.0, 1.0]),
]


def test_the_best_point_has_the_least_median_loss_and_divergence_is_worst():
    best = benchmark.best_points(tried_of(TRIED))
    assert best == {
        ("chirp", "adam", "TINY"): (0.1, 3),
        ("chirp", "adam", "static 5"): (0.3, 0),
        ("chirp", "adam", "cascade, frozen"): (0.3, 2),
    }
    medians = benchmark.medians(tried_of(TRIED))
    assert medians["chirp", "adam", "TINY", 0.3, 1] == np.inf
    assert medians["chirp", "adam", "static 5", 0.3, 0] == 2


def test_a_study_that_tries_no_levels_has_level_0():
    frame = pd.DataFrame({"task": ["rules-chirp"] * 2, "control": ["TINY", "random @2"]})
    named = benchmark.with_points(frame)
    assert named["arm"].tolist() == ["TINY", "random"]
    assert named["level"].tolist() == [0, 2]
    assert named["name"].tolist() == ["chirp"] * 2


def test_judged_networks_have_the_best_point_of_their_arm_and_other_trials():
    tried = tried_of(TRIED)
    tried = pd.concat([tried, tried.assign(optimizer="momentum")])
    settings = benchmark.judged(["chirp"], tried, ["TINY", "static 5"])
    assert [each["optimizer"] for each in settings] == ["adam"] * 2 + ["momentum"] * 2
    tiny, static = settings[:2]
    assert tiny["growth"].rule == "tiny"
    assert tiny["growth"].until == 0.75
    assert (tiny["lr"], static["lr"]) == (0.1, 0.3)
    assert tiny["counts"] == "neuron"
    assert tiny["trials"] == 128
    assert tiny["options"] == {"judged_by": "test"}
    assert tiny["budget"] == static["budget"] == 20_000 * 8 * 32 * 13


def rows_tried(losses):
    """The finals of a study of tuning in which static networks end at these losses.

    `losses` maps a task and a width to the loss at each of three rates.
    """
    rows = []
    for (name, width), at_rates in losses.items():
        for lr, loss in zip((0.01, 0.03, 0.1), at_rates, strict=True):
            row = {"task": f"rules-{name}", "control": f"static {width} @0", "lr": lr}
            row |= {"optimizer": "adam", "test_task_loss": loss, "diverged": False}
            rows += [row] * 3
    return pd.DataFrame(rows)


def test_rates_above_are_tried_where_the_best_static_network_has_the_highest():
    tried = rows_tried(
        {
            ("bessel-grid", 7): (3, 2, 1),  # the best of this task, at the highest rate
            ("bessel-grid", 10): (4, 3, 4),
            ("chirp", 6): (3, 1, 2),  # the best of this one lies inside
            ("chirp", 8): (5, 4, 3),
        }
    )
    settings = benchmark.edge(tried)
    assert {setting["task"] for setting in settings} == {"rules-bessel-grid"}
    widths = benchmark.ROWS["bessel-grid"].widths
    found = [(setting["control"], setting["lr"]) for setting in settings]
    assert found == [(f"static {w} @0", rate) for w in widths for rate in (0.2, 0.4, 0.8)]
    assert all(setting["options"] == {"judged_by": "validation"} for setting in settings)

    above = rows_tried({("bessel-grid", 7): (2, 5, 9), ("bessel-grid", 10): (9, 3, 9)})
    ratio = rules_table.beyond_the_rates(tried, above)
    assert ratio.to_dict() == {"bessel-grid": 2}


def test_the_quick_scale_has_a_quarter_of_the_budget_on_the_first_task_by_adam():
    settings = benchmark.tuning(["chirp", "diabetes"], ["random", "TINY"])
    quick = benchmark.quick(settings)
    assert len(quick) == 2 * 16
    for each in quick:
        assert (each["task"], each["optimizer"]) == ("rules-chirp", "adam")
        assert each["trials"] == [1_000_000, 1_000_001, 1_000_002, 1_000_003]
        assert each["budget"] == benchmark.budget("chirp") / 4

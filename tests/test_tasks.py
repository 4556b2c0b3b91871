"""The tasks: targets, points, noise and gaps, against formulas written independently of growlib."""

import math

import numpy as np
import pytest
from scipy import special

import growlib
from growkit import tasks


@pytest.mark.parametrize(
    "name, orders, low, high",
    [("bessel-j0", [0], 0.1, 0.2), ("bessel-sum", [0, 1, 2], -2 * math.pi, 2 * math.pi)],
)
def test_bessel_targets_are_the_bessel_functions_stretched_to_the_square(name, orders, low, high):
    target = growlib.task(name).target
    x = np.linspace(-1, 1, 200_001)
    y = target(x)
    assert y.min() == pytest.approx(-1, abs=1e-9)
    assert y.max() == pytest.approx(1, abs=1e-9)
    assert np.abs(y).max() <= 1 + 1e-12

    # The target may differ from the Bessel functions by a rising straight line alone.
    raw = sum(special.jv(n, low + (x + 1) / 2 * (high - low)) for n in orders)
    slope, offset = np.polyfit(raw, y, 1)
    np.testing.assert_allclose(slope * raw + offset, y, atol=1e-9)
    assert slope > 0


@pytest.mark.parametrize(
    "name, points, slopes",
    [
        ("cubic-1", {-1: 1, 1: 1, 1 / 3: -2 / 3}, {1 / 3: 0}),
        ("cubic-2", {-1: -1, 1: -1, 1 / 3: 2 / 3}, {1 / 3: 0}),
        ("quadratic-1", {-1: 1, 1: -1, 0: -1 / 5}, {}),
        ("quadratic-2", {-1: 1, 1: -1 / 2}, {1 / 2: 0}),
    ],
)
def test_polynomials_meet_the_papers_conditions(name, points, slopes):
    target = growlib.task(name).target
    for x, y in points.items():
        assert target(x) == pytest.approx(y, abs=1e-12)
    for x, slope in slopes.items():
        assert (target(x + 1e-6) - target(x - 1e-6)) / 2e-6 == pytest.approx(slope, abs=1e-8)


def test_square_wave_alternates_between_its_classes():
    target = growlib.task("square-wave").target
    assert target(np.array([-0.75, -0.25, 0.25, 0.75])).tolist() == [1, 0, 1, 0]
    assert target(np.array([-1.0, 0.0])).tolist()[1] == 1


def test_a_function_is_a_task():
    run = growlib.fit(abs, trials=2, epochs=8, compiled=False)
    assert run.finals["task"].unique().tolist() == ["abs"]
    assert "2 growing networks" in repr(run)


def test_a_task_without_options_is_itself():
    task = growlib.task("spirals", points=500)
    assert growlib.task(task) is task
    assert growlib.task(task, test_points=50).options == {"points": 500, "test_points": 50}


# ------------------------------------------------------------------------------ tasks on few points


@pytest.mark.parametrize(
    "name, train_points, test_points", [("bessel-j0", 32, 8), ("square-wave", 40, 10)]
)
def test_data_sets_have_the_papers_sizes_and_range(name, train_points, test_points):
    task = growlib.task(name)
    x, y = task.draw(0, range(50))
    assert (task.train_points, task.test_points) == (train_points, test_points)
    assert x[0].shape == y.shape == (train_points + test_points, 50)
    assert x.min() >= -1
    assert x.max() <= 1
    assert x.std() == pytest.approx(3**-0.5, rel=0.03)  # of a uniform distribution on [-1, 1]


def test_noise_is_added_to_the_targets_of_a_task_on_few_points():
    clean_task, noisy_task = (
        growlib.task("bessel-sum", points=2000, test_points=10, noise=noise) for noise in (0.0, 0.1)
    )
    clean_x, clean_y = clean_task.draw(0, [0])
    noisy_x, noisy_y = noisy_task.draw(0, [0])
    np.testing.assert_array_equal(clean_x, noisy_x)
    assert (noisy_y - clean_y).std() == pytest.approx(0.1, rel=0.05)


@pytest.mark.parametrize(
    "name, options",
    [("bessel-sum", {"points": 288, "test_points": 256}), ("bessel-grid", {"points": 2000})],
)
def test_points_in_a_gap_are_tested_and_never_train(name, options):
    task = growlib.task(name, gap=0.19, **options)
    x, _ = task.draw(0, range(3))
    assert np.abs(x[0, : task.train_points]).min() >= 0.19
    assert (np.abs(x[0]) < 0.19).sum() > 100

    # The gap changes the order of the points, not the points.
    without_gap, _ = growlib.task(name, **options).draw(0, range(3))
    np.testing.assert_allclose(np.sort(x[0], axis=0), np.sort(without_gap[0], axis=0))


# --------------------------------------------------------------------------------------- large sets


@pytest.mark.parametrize("name", ["bessel-grid", "gaussian-mixture"])
def test_grids_are_scaled_and_split_without_overlap(name):
    task = growlib.task(name, points=1000)
    x, y = task.draw(0, [3])
    assert sorted(x[0, :, 0]) == np.linspace(-1, 1, 1000).tolist()
    assert (y.min(), y.max()) == (-1, 1)
    assert (task.train_points, task.test_points) == (800, 200)
    assert not set(x[0, :800, 0]) & set(x[0, 800:, 0])


def test_bessel_grid_is_the_sum_of_three_bessel_functions():
    assert growlib.task("bessel-grid").train_points == 26_214
    x, y = growlib.task("bessel-grid", points=5000).draw(0, [0])
    raw = sum(special.jv(n, 2 * np.pi * x[0]) for n in (0, 1, 2))
    np.testing.assert_allclose(y, scaled(raw), atol=1e-12)


def scaled(values):
    """Return the values scaled so that they run from -1 to 1."""
    return 2 * (values - values.min()) / (values.max() - values.min()) - 1


def test_gaussian_mixture_has_its_noise():
    (_, clean), (_, noisy) = (
        growlib.task("gaussian-mixture", points=4000, noise=noise).draw(0, [0])
        for noise in (0, 0.1)
    )
    # Noise is added before the target is scaled to [-1, 1]; the line undoes the scaling.
    slope, offset = np.polyfit(clean[:, 0], noisy[:, 0], 1)
    residual = (noisy[:, 0] - slope * clean[:, 0] - offset) / slope
    height = 1.5  # of the highest bump, which the clean target has scaled to 2
    assert np.std(residual) * height / 2 == pytest.approx(0.1, rel=0.1)


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_spirals_have_their_geometry(classes):
    task = growlib.task("spirals", points=3000, classes=classes)
    x, y = task.draw(0, [1])
    points_of_an_arm = 3000 // classes
    assert task.points == points_of_an_arm * classes
    assert task.outputs == classes
    np.testing.assert_allclose([x.min(1), x.max(1)], [[[-1], [-1]], [[1], [1]]])
    assert np.bincount(y[:, 0].astype(int)).tolist() == [points_of_an_arm] * classes
    again, _ = task.draw(0, [1])
    np.testing.assert_array_equal(x, again)

    # The first coordinate, from the definition of the arms and the trial's random numbers.
    noise = 0.2 * growlib.random_stream(0, 1, "data").standard_normal(task.points)
    arms = [np.linspace(4 * k, 4 * k + 4, points_of_an_arm) for k in range(classes)]
    radius = np.tile(np.linspace(0, 5, points_of_an_arm), classes)
    raw = radius * np.sin(np.concatenate(arms) + noise)
    assert sorted(x[0, :, 0]) == pytest.approx(sorted(scaled(raw)))


def test_the_noise_of_a_functions_task_stands_in_the_finals():
    task = growlib.task(np.cos, noise=0.3)
    finals = growlib.fit(task, trials=2, epochs=1, compiled=False).finals
    assert finals["noise"].tolist() == [0.3, 0.3]


# --------------------------------------------------------------------------- the kit's own targets


@pytest.mark.parametrize(
    "name, options, rises_or_falls",
    [
        ("chirp", {}, 5),
        ("chirp", {"turns": 3}, 3),
        ("chirp", {"turns": 8}, 8),
        ("damped-wave", {}, 6),
        ("two-waves", {}, 7),
    ],
)
def test_a_curve_has_its_turns(name, options, rises_or_falls):
    slope = np.diff(tasks.TASKS[name](**options).target(np.linspace(-1, 1, 100_001)))
    slope = np.sign(slope[np.abs(slope) > 1e-9])
    assert 1 + (slope[1:] != slope[:-1]).sum() == rises_or_falls


def test_curves_have_their_known_values():
    u = np.array([0, 0.2, 0.5, 1])
    x = 2 * u - 1
    chirp = [math.cos(5 * math.pi * each**2) for each in u]
    damped = [math.exp(-2 * each) * math.cos(5 * math.pi * each) for each in u]
    waves = [(math.sin(math.pi * each) + math.sin(3 * math.pi * each)) / 2 for each in x]
    for name, values in {"chirp": chirp, "damped-wave": damped, "two-waves": waves}.items():
        np.testing.assert_allclose(growlib.task(name).target(x), values, atol=1e-12)


def test_two_waves_are_noisy_and_a_chirp_of_other_turns_says_so():
    noisy = growlib.task("two-waves", points=4000)
    x, y = noisy.draw(0, [0])
    assert (y[:, 0] - noisy.target(x[0, :, 0])).std() == pytest.approx(0.1, rel=0.05)
    assert growlib.task("chirp").name == "chirp"
    assert growlib.task("chirp", turns=2.5).name == "chirp-2.5"
    with pytest.raises(ValueError, match="turns is 0; it takes a finite number above 0"):
        growlib.task("chirp", turns=0)


def test_a_run_on_a_chirp_of_other_turns_is_loaded_by_the_name_of_the_chirp(tmp_path):
    task = growlib.task("chirp", turns=3, points=60)
    growlib.fit(task, trials=1, epochs=1, compiled=False).save(tmp_path / "run.npz")
    loaded = growlib.load(tmp_path / "run.npz", "chirp").task
    assert (loaded.name, loaded.points, loaded.options) == ("chirp-3", 60, task.options)
    np.testing.assert_array_equal(loaded.draw(0, 1)[1], task.draw(0, 1)[1])

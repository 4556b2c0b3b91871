"""What a study stores: its frames, how they are written, and those that are committed in data/."""

import json
import multiprocessing

import numba
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from conftest import ROOT

import growlib
from growkit import derived, studies

TINY = [
    {
        "task": "cubic-1",
        "growth": growth,
        "trials": 6,
        "epochs": (8,),
        "log_every": 4,
        "lr": 0.01,
        "width": 9,
        "seed": 0,
        "compiled": False,
    }
    for growth in growlib.arms().values()
]
CELLS = 5  # of TINY: three arms of six networks, at most four networks a cell


def publish_tiny(replace):
    """Make TINY the settings of every published study, cut into `CELLS` cells."""
    replace(studies, "published", lambda study, scale="paper": TINY)
    replace(studies, "CELL_SECONDS", 4.5 * studies._seconds(TINY[0]))


@pytest.fixture
def home(tmp_path, monkeypatch, serial_pool):
    """An empty project whose published studies are tiny and are computed in this process."""
    monkeypatch.setattr(growlib, "HOME", tmp_path)
    publish_tiny(monkeypatch.setattr)
    return tmp_path


# ------------------------------------------------------------------------------ computed and stored


def test_a_study_is_computed_once_and_then_read(home, serial_pool):
    first = studies.study("figure-5")
    assert len(serial_pool.done) == CELLS
    assert studies.is_stored("figure-5")
    again = studies.study("figure-5")
    assert len(serial_pool.done) == CELLS
    pd.testing.assert_frame_equal(first, again)
    results = studies.results("figure-5")
    pd.testing.assert_frame_equal(first, results.finals)
    assert "data/" in results.origin
    assert results.note == "n = 6"
    assert sorted(first["trial"].unique()) == list(range(6))


def test_results_that_are_not_stored_are_not_computed(home, serial_pool, monkeypatch):
    monkeypatch.setattr(growlib, "__file__", str(home / "growlib.py"))  # no checkout around it
    with pytest.raises(FileNotFoundError, match=r"study 'figure-5' is not in .*; `make data`"):
        studies.results("figure-5")
    assert not serial_pool.submitted


def test_what_the_home_lacks_is_read_from_the_checkout(home, serial_pool):
    """GROWLIB_HOME names another place to write to, say because the checkout is read-only."""
    around = ROOT / "data"
    before = {path: path.stat().st_mtime_ns for path in around.iterdir()}
    for what in studies.FRAMES:
        assert studies._path("figure-5", what).parent == around
    assert len(studies.stored("figure-5")) > len(TINY)
    assert len(derived.stored("claims"))

    studies.study("figure-5")  # its settings are those of TINY here, and not stored anywhere
    assert len(serial_pool.done) == CELLS
    for what in studies.FRAMES:
        assert studies._path("figure-5", what).parent == home / "data"
    assert len(studies.stored("figure-5")) == 18
    assert {path: path.stat().st_mtime_ns for path in around.iterdir()} == before


def test_all_frames_of_a_study_are_read_from_one_place(home):
    """Also where a study was stopped before its finals, which are written last."""
    (home / "data").mkdir()
    (home / "data/figure-5-curves.parquet").touch()
    assert studies._path("figure-5", "curves").parent == ROOT / "data"


def test_the_results_of_several_studies_are_joined(home):
    names = ["scaling-width", "figure-5"]
    for name in names:
        studies.study(name)
    parts = [studies.results(name) for name in names]
    both = studies.results(names)
    for what in studies.FRAMES:
        joined = pd.concat([getattr(part, what) for part in parts], ignore_index=True)
        pd.testing.assert_frame_equal(getattr(both, what), joined)
    assert len(both.finals) == 2 * len(parts[0].finals) > 0

    quick = studies.results(names, "quick")
    assert len(quick.finals) == len(both.finals)
    assert "trained here" in quick.origin
    assert quick.note.startswith("quick, n = ")


def test_the_origin_tells_the_smallest_and_the_largest_number_of_trials(home, monkeypatch):
    few = [setting | {"trials": range(10, 13)} for setting in TINY[:1]]
    monkeypatch.setattr(studies, "published", lambda study, scale="paper": TINY + few)
    studies.study("figure-5")
    assert studies.results("figure-5").origin.startswith("3 to 6 trials an arm, from data/")
    assert studies._range([1024]) == "1 024"


# ----------------------------------------------------------------- studies with changed parameters

PUBLISHED = {
    "figure-2": {"epochs": 40_000, "lr": 1e-3, "coupling": 0.1, "target_size": 5, "trials": 200},
    "figure-4": {"epochs": 20_000, "width": 9, "seed": 0, "optimizer": "gd"},
    "controls": {"epochs": 40_000, "trials": 1024, "seed": 0},
    "scaling-rates": {"epochs": 10_000, "trials": 10, "coupling": 0.32},
    "spirals": {"classes": 5, "points": 32_768, "width": 10, "lr": 1e-3},
    "scaling-width": {"width": [4, 8, 16, 32, 64, 128, 256, 512, 1024], "epochs": 5000},
}


@pytest.fixture
def read_only(tmp_path, monkeypatch, serial_pool):
    """The stored results, with a cache in a folder of its own; nothing may change in data/."""
    data = growlib.HOME / "data"
    before = {path: path.stat().st_mtime_ns for path in data.iterdir()}
    (tmp_path / "data").symlink_to(data)
    monkeypatch.setattr(growlib, "HOME", tmp_path)
    yield serial_pool
    assert {path: path.stat().st_mtime_ns for path in data.iterdir()} == before


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_parameters_read_what_is_stored(name, read_only):
    results = studies.results(name, "paper", **PUBLISHED[name])
    assert results.published
    pd.testing.assert_frame_equal(results.finals, studies.stored(name))
    assert not read_only.submitted


@pytest.mark.parametrize("scale", ["paper", "quick"])
def test_changed_parameters_train_a_study_of_their_own(scale, read_only):
    changes = {"epochs": 40, "trials": 3, "coupling": 0.3, "lr": 0.01, "target_size": 4}
    results = studies.results("figure-2", scale, **changes)
    assert not results.published
    assert (
        results.note.removeprefix("quick, ") == "n = 3, epochs = 40, λ = 0.3, η = 0.01, target = 4"
    )
    finals = results.finals
    assert len(finals) == 9
    assert set(finals["epochs"]) == {40}
    assert set(finals["target"]) == {4}
    grown = finals[finals["arm"] == "grown"]
    assert set(grown["start"]) == {4}
    direct = growlib.fit(
        "bessel-j0",
        growlib.AuxiliaryWeight(target=4, coupling=0.3),
        trials=3,
        epochs=40,
        lr=0.01,
        data_seed=0,
    )
    growing = finals[finals["arm"] == "growing"]["test_task_loss"]
    np.testing.assert_allclose(growing, direct.finals["test_task_loss"], rtol=1e-6)

    trained = len(read_only.done)
    again = studies.results("figure-2", scale, **changes)
    pd.testing.assert_frame_equal(
        again.finals.drop(columns="seconds"), finals.drop(columns="seconds")
    )
    assert len(read_only.done) == trained
    assert (trained > 0) == (scale == "paper")


@pytest.mark.parametrize("longest", [1, 37, 4000])
def test_all_lengths_of_a_study_change_by_one_factor(longest, read_only):
    results = studies.results("coupling", "quick", epochs=longest, trials=2)
    published = [1000, 1778, 3162, 5623, 10_000, 17_783, 31_623]
    lengths = {max(1, round(length * longest / 31_623)) for length in published}
    assert set(results.finals["epochs"]) == lengths
    assert results.history["epoch"].max() == longest
    # Of Figures 3 and 4 only those lengths are kept that the queries in studies.toml keep.
    for name in ("figure-3", "figure-4"):
        results = studies.results(name, "quick", epochs=longest, trials=2)
        assert set(results.finals["epochs"]) == {longest}


def test_a_stored_study_tells_what_it_was_made_with(home):
    studies.study("figure-5")
    about = studies.about_stored("figure-5")
    assert about["numba"] == numba.__version__
    assert torch.__version__.startswith(about["torch"])
    assert about["method"] == growlib.METHOD


def test_the_stored_study_is_what_fit_returns(home):
    stored = studies.study("figure-5")
    finals = []
    for setting in TINY:
        options = dict(setting)
        finals.append(growlib.fit(options.pop("task"), options.pop("growth"), **options).finals)
    whole = pd.concat(finals)
    for name in ("test_task_loss", "size", "test_loss"):
        expected = whole[name].to_numpy().astype("float32")
        np.testing.assert_allclose(stored[name].to_numpy(), expected, rtol=2e-7)
    assert stored["coupling"].unique().tolist() == [0.1]
    assert stored["arm"].unique().tolist() == list(growlib.ARMS)


def test_finished_cells_outlive_an_interruption(home, serial_pool, monkeypatch):
    work = studies._work

    def interrupted(cell, path):
        if len(serial_pool.done) == 3:
            raise KeyboardInterrupt
        return work(cell, path)

    monkeypatch.setattr(studies, "_work", interrupted)
    with pytest.raises(KeyboardInterrupt):
        studies.study("figure-5")
    assert not studies.is_stored("figure-5")
    assert len(list((home / ".cache/cells").glob("*.parquet"))) == 3

    monkeypatch.setattr(studies, "_work", work)
    studies.study("figure-5")
    assert len(serial_pool.done) == CELLS  # three before the interruption, two after it


def test_a_study_of_another_method_is_not_stored(home, monkeypatch):
    studies.study("figure-5")
    monkeypatch.setattr(growlib, "METHOD", growlib.METHOD + 1)
    assert not studies.is_stored("figure-5")


def test_worker_processes_store_the_same_frame(home, tmp_path, monkeypatch):
    expected = studies.study("figure-5").drop(columns="seconds")
    monkeypatch.undo()
    monkeypatch.setenv("GROWLIB_HOME", str(tmp_path / "other"))
    process = multiprocessing.get_context("spawn").Process(target=compute_tiny)
    process.start()
    process.join(180)
    assert process.exitcode == 0
    stored = pd.read_parquet(tmp_path / "other/data/figure-5.parquet")
    found = growlib.with_sums(stored).drop(columns="seconds")
    pd.testing.assert_frame_equal(found, expected)


def compute_tiny():
    publish_tiny(setattr)
    studies.study("figure-5", workers=2)


def test_parquet_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "frame.parquet"
    studies._write_parquet([pd.DataFrame({"a": [1.0]})], path, {})

    def full(*_, **__):
        raise OSError("disk full")

    monkeypatch.setattr(pq, "write_table", full)
    sentence = r"path is .*frame.parquet'; it takes a file that can be written \(disk full\)"
    with pytest.raises(ValueError, match=sentence):
        studies._write_parquet([pd.DataFrame({"a": [2.0]})], path, {})
    assert pd.read_parquet(path)["a"].tolist() == [1.0]
    assert list(tmp_path.iterdir()) == [path]


def test_whole_numbers_are_stored_in_half_the_width_where_they_fit(tmp_path):
    least, most = np.iinfo(np.int32).min, np.iinfo(np.int32).max
    columns = {"trial": [least, most], "seed": [0, most + 1], "epochs": [least - 1, 0]}
    path = tmp_path / "frame.parquet"
    studies._write_parquet([pd.DataFrame(columns), pd.DataFrame({"none": [1, None]})], path, {})
    found = pd.read_parquet(path).iloc[:2]
    for name, values in columns.items():
        assert found[name].tolist() == values
    types = {column.name: str(column.type) for column in pq.read_schema(path)}
    assert types == {"trial": "int32", "seed": "int64", "epochs": "int64", "none": "float"}


def test_a_study_takes_any_seed_that_fit_takes(home):
    grid = {"task": "cubic-1", "trials": 2, "epochs": 4, "log_every": 4, "compiled": False}
    frame = studies.study("sweep", grid | {"seed": [0, 2**31, 2**62], "data_seed": 2**40})
    assert frame["seed"].tolist() == [0, 0, 2**31, 2**31, 2**62, 2**62]


# ------------------------------------------------------------------------------- committed in data/

ONE_EPOCH_STORED = {"figure-3", "figure-4"}  # of several that are trained
# Some rates are too large, so that trials diverge; with momentum even among the best ones.
RATES_ARE_TRIED = {"tuning", "controls", "adam-ladder", "adam-ladder-tuning"}


@pytest.mark.parametrize("study", studies.STUDIES)
def test_the_committed_studies_are_complete(study):
    about = studies.about_stored(study)
    assert studies.is_stored(study)
    finals = studies.stored(study)
    expected = 0
    at_end = finals
    for setting in studies.published(study):
        if "budget" in setting:  # the rows before its end are those of some trials
            at_end = finals[finals["share"] == 1]
            expected += np.size(growlib._trials(setting["trials"]))
            continue
        logged = 1 if study in ONE_EPOCH_STORED else len(setting["epochs"])
        expected += setting["trials"] * np.size(setting["growth"].coupling) * logged
    assert len(at_end) == expected
    assert study in RATES_ARE_TRIED or study.startswith("rules-") or not finals["diverged"].any()

    history = studies.stored(study, "history")
    if len(history):  # the benchmark keeps none, and no curves
        assert history["trial"].max() < 200
        assert history.groupby(["task", "arm"])["epoch"].nunique().max() <= 200
    else:
        assert study.startswith("rules-")
    assert set(studies.stored(study, "curves")["kind"]) <= {"prediction", "confusion"}

    assert about["numba"]
    assert about["core_minutes"] > 0
    assert about["settings"] == json.loads(json.dumps(about["settings"]))


def test_stored_trials_can_be_made_again():
    """Two trials of Figure 3; the tolerance allows for the rounding of another processor."""
    settings = studies.published("figure-3")[0] | {"trials": range(4321, 4323)}
    again = growlib.fit(settings.pop("task"), settings.pop("growth"), **settings).finals
    again = again[again["epochs"] == 40_000]
    stored = studies.stored("figure-3").query(
        "task == 'bessel-sum' and arm == 'growing' and 4321 <= trial < 4323"
    )
    np.testing.assert_allclose(stored["test_task_loss"], again["test_task_loss"], rtol=1e-3)
    np.testing.assert_allclose(stored["size"], again["size"], rtol=1e-5)


def test_confusion_counts_give_the_accuracy():
    counts = studies.stored("figure-5", "curves").query("kind == 'confusion' and arm == 'grown'")
    right = counts.query("true_class == predicted_class")["count"].sum()
    accuracy = studies.stored("figure-5").query("arm == 'grown'")["accuracy_fresh"].mean()
    assert right / counts["count"].sum() == pytest.approx(accuracy, abs=1e-6)

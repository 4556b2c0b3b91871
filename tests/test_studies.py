"""Studies: grids of settings, their cells, worker processes and a cluster.

tests/test_store.py is about what a study stores, tests/test_faults.py about what can go wrong.
"""

import json
import os
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from conftest import ROOT

import growlib
from growkit import studies

GRID = {
    "task": "cubic-1",
    "growth": list(growlib.arms().values())[:2],
    "coupling": [0.1, 0.2, 0.5, 1.0, 2.0, 5.0],
    "trials": 64,
    "epochs": (4000, 8000),
    "kept": 4,
}
CELLS = 12  # of the grid, 64 networks each


# -------------------------------------------------------------------------------------------- grids


def test_a_control_has_its_name_and_changes_one_thing():
    grid = {
        "task": "cubic-1",
        "arm": ["growing", "static"],
        "controls": {"plain": {}, "fed less": {"feeds": 0.2, "arm": "growing"}},
    }
    settings = studies._settings(grid)
    found = [(each["control"], each["growth"].arm(), each["growth"].feeds) for each in settings]
    assert found == [
        ("plain", "growing", 1.0),
        ("plain", "static", 1.0),
        ("fed less", "growing", 0.2),
    ]
    assert "control" not in studies._settings({"task": "cubic-1"})[0]


def test_a_tuned_rate_is_the_one_that_did_best_on_other_trials(monkeypatch):
    """The larger rate suits the static arm and the smaller one the growing arm; 0.1 diverges."""
    rates = [0.001, 0.01, 0.1]
    part = {
        "task": "cubic-1",
        "width": 9,
        "trials": 50,
        "lr": [0.001, "tuned"],
        "arm": ["growing", "static"],
        "controls": {"plain": {}},
        "tuning": {"trials": 3, "seed": 1, "lr": rates},
    }
    table = {"main": {"part": [part], "quick": {}}, "tuning": {"tunes": "main", "quick": {}}}
    monkeypatch.setattr(studies, "STUDIES", table)
    tried = studies.published("tuning")
    found = [(each["growth"].arm(), each["lr"], each["seed"], each["trials"]) for each in tried]
    assert found == [(arm, lr, 1, 3) for lr in rates for arm in ("growing", "static")]

    rows = []
    for setting in tried:
        arm = setting["growth"].arm()
        row = {
            "task": "cubic-1",
            "points": 40,
            "noise": 0.0,
            "control": "plain",
            "width": 9,
            "method": "AuxiliaryWeight",
            "arm": arm,
            "lr": setting["lr"],
            "test_task_loss": setting["lr"] if arm == "growing" else 1 / setting["lr"],
            "diverged": setting["lr"] == 0.1,
        }
        rows += [row] * 3
    monkeypatch.setattr(studies, "stored", lambda study: pd.DataFrame(rows))
    main = studies.published("main")
    found = [(each["growth"].arm(), each["lr"], each.get("seed", 0)) for each in main]
    # the best rate of the growing arm is the published one, which is not listed twice
    assert found == [("growing", 0.001, 0), ("static", 0.001, 0), ("static", 0.01, 0)]


def test_the_quick_scale_is_the_published_setting_with_fewer_trials():
    """Large data sets also have fewer points and epochs, and the two sweeps fewer values.

    The spirals with all points take the larger of the published learning rates, at which a small
    sample learns something.
    """

    def without_counts(setting):
        options = dict(setting.get("options", {}))
        options.pop("points", None)
        growth = growlib.replace(setting["growth"], coupling=0.0)
        bare = setting | {"growth": growth, "options": options}
        for name in ("trials", "epochs", "data_seed", "log_every", "prune_at", "budget"):
            bare.pop(name, None)
        if study == "scaling-classes-points":
            bare.pop("lr")
        return bare

    for study in studies.STUDIES:
        paper = studies.published(study)
        quick = studies.published(study, "quick")
        assert len(quick) <= len(paper)
        all_but_counts = [without_counts(setting) for setting in paper]
        for setting in quick:
            wanted = without_counts(setting)
            trials = []
            for published, bare in zip(paper, all_but_counts, strict=True):
                if bare == wanted:
                    trials.append(published["trials"])
            assert trials
            assert setting["trials"] < min(trials)
            if "options" not in setting and study != "your-data":
                assert setting["epochs"] in [published["epochs"] for published in paper]


def test_the_quick_coupling_study_takes_21_of_the_published_values_with_their_data():
    few = studies.published("coupling", "quick")[0]
    every = studies.published("coupling")[0]
    places = np.flatnonzero(np.isin(every["growth"].coupling, few["growth"].coupling))
    assert len(places) == 21
    assert list(few["data_seed"]) == places.tolist()


# ------------------------------------------------------------------------ quick scale without loops


@pytest.fixture
def no_loops(monkeypatch):
    """As on a machine where numba cannot be imported."""
    monkeypatch.setattr(growlib, "_growloops", lambda: None)


def changed(name, scale="quick", **changes):
    """The settings of a published study with changes, and what a figure says of them."""
    study = studies._changed_studies([name], scale, changes)[0]
    return study.settings, studies._note([name], scale, 80, changes)


def test_without_loops_the_quick_scale_has_a_tenth_of_the_epochs(no_loops):
    settings, note = changed("figure-3")
    assert {tuple(setting["epochs"]) for setting in settings} == {(4000,)}
    assert note == "quick, 0.1 of the epochs, n = 80"


def test_without_loops_the_quick_scale_of_the_benchmark_keeps_its_budgets(no_loops):
    settings, note = changed("rules-axes")
    assert settings == studies.published("rules-axes", "quick")
    assert note == "quick, n = 80"


@pytest.mark.parametrize("scale, epochs", [("quick", 500), ("paper", 500)])
def test_without_loops_epochs_that_are_asked_for_are_trained(scale, epochs, no_loops):
    settings, note = changed("figure-5", scale, epochs=epochs)
    assert {tuple(setting["epochs"]) for setting in settings} == {(epochs,)}
    assert "of the epochs" not in note


def test_the_bar_of_the_quick_scale_moves_once_through_all_settings():
    told = []
    for part in studies._by_parts(told.append, [1, 2, 1]):
        for fraction in (0, 0.5, 1):
            part(fraction)
    assert told == [0, 0.125, 0.25, 0.25, 0.5, 0.75, 0.75, 0.875, 1]


# -------------------------------------------------------------------------------------------- cells


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty store; the study of GRID is cut into `CELLS` cells."""
    monkeypatch.setattr(growlib, "HOME", tmp_path)
    monkeypatch.setattr(studies, "CELL_SECONDS", cell_seconds())
    return tmp_path


def cell_seconds():
    return 64.5 * studies._seconds(studies._settings(GRID)[0])


def read(path):
    return pd.read_parquet(path).drop(columns="seconds")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The frame of GRID as one worker computes it without a disturbance."""
    home = tmp_path_factory.mktemp("whole")
    run_program(STUDY, home)
    return read(home / "frame.parquet")


STUDY = """
import growlib
import test_studies
from growkit import studies

if __name__ == "__main__":
    studies.CELL_SECONDS = test_studies.cell_seconds()
    frame = studies.study("sweep", test_studies.GRID, workers=1)
    frame.to_parquet(growlib.HOME / "frame.parquet")
"""


def run_program(text, home):
    """Run a program in a process of its own, on the store under `home`."""
    tests = os.path.dirname(__file__)
    environment = os.environ | {
        "GROWLIB_HOME": str(home),
        "PYTHONPATH": f"{ROOT}:{tests}",
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, "-W", "ignore", "-c", text]
    subprocess.run(command, env=environment, cwd=tests, timeout=300, check=True)


def test_neither_the_cut_nor_the_order_of_cells_matters(home, whole, serial_pool, monkeypatch):
    monkeypatch.setattr(studies, "CELL_SECONDS", 1.7 * studies.CELL_SECONDS)
    frame = studies.study("sweep", GRID).drop(columns="seconds")
    assert len(serial_pool.done) == 8
    # the operations done are those of all networks side by side
    found, expected = (each.drop(columns="flops_done") for each in (frame, whole))
    pd.testing.assert_frame_equal(found.reset_index(drop=True), expected, check_exact=True)


def test_finished_cells_are_not_computed_again(home, serial_pool):
    first = studies.study("sweep", GRID)
    assert len(serial_pool.done) == CELLS
    again = studies.study("sweep", GRID)
    assert len(serial_pool.done) == CELLS
    pd.testing.assert_frame_equal(first, again, check_exact=True)

    wider = GRID | {"coupling": [*GRID["coupling"], 9.0]}
    assert len(studies.study("sweep", wider)) == len(first) * 7 // 6


def test_another_method_takes_nothing_from_the_cells_of_the_last(home, serial_pool, monkeypatch):
    studies.study("sweep", GRID)
    monkeypatch.setattr(growlib, "METHOD", growlib.METHOD + 1)
    studies.study("sweep", GRID)
    assert len(serial_pool.done) == 2 * CELLS
    assert len(set(serial_pool.done)) == 2 * CELLS


def test_another_method_or_setting_is_another_cell(monkeypatch):
    cell = studies._cells(studies._settings(GRID))[0]
    names = {studies._cell_path(cell).name, studies._cell_path(cell | {"lr": 0.02}).name}
    monkeypatch.setattr(growlib, "METHOD", growlib.METHOD + 1)
    names.add(studies._cell_path(cell).name)
    assert len(names) == 3


def test_a_cell_tells_its_name_and_its_core_minutes(home, serial_pool):
    studies.study("sweep", GRID)
    for path in (home / ".cache/cells").glob("*.parquet"):
        about = json.loads(pq.read_schema(path).metadata[b"growlib"])
        assert about["cell"] == path.stem
        assert about["core_minutes"] > 0


# ---------------------------------------------------------------------------- workers and a cluster


def test_a_worker_that_dies_is_reported_in_a_sentence(home, monkeypatch):
    monkeypatch.setattr(studies, "_prepare_worker", os.abort)
    sentence = (
        "a worker of study 'sweep' died, perhaps because memory ran out; what it had finished stays"
    )
    with pytest.raises(RuntimeError, match=sentence):
        studies.study("sweep", GRID)


CLUSTER = """
import os
import threading
import time
import growlib
import test_studies
from conftest import finished_cells
from distributed import Client, LocalCluster
from growkit import studies


def kill_one_worker(client):
    while len(finished_cells(growlib.HOME)) < 3:
        time.sleep(0.05)
    first, *_ = client.run(os.getpid).values()
    os.kill(first, 9)


if __name__ == "__main__":
    studies.CELL_SECONDS = test_studies.cell_seconds()
    options = {"threads_per_worker": 1, "host": "127.0.0.1", "dashboard_address": None}
    with LocalCluster(n_workers=2, **options) as cluster, Client(cluster) as client:
        thread = threading.Thread(target=kill_one_worker, args=[client])
        thread.start()
        frame = studies.study("sweep", test_studies.GRID, client=client)
        thread.join()
        finished = finished_cells(growlib.HOME)
        studies.study("sweep", test_studies.GRID, client=client)
        assert finished_cells(growlib.HOME) == finished
    frame.to_parquet(growlib.HOME / "frame.parquet")
"""


def test_a_cluster_gives_the_same_frame_though_a_worker_is_killed(home, whole):
    run_program(CLUSTER, home)
    pd.testing.assert_frame_equal(read(home / "frame.parquet"), whole, check_exact=True)


@pytest.mark.parametrize(
    "scheduler, hours, directive",
    [("SLURMCluster", "04:00:00", "#SBATCH"), ("LSFCluster", "04:00", "#BSUB")],
)
def test_the_cluster_lines_of_contributing_make_a_job_script(scheduler, hours, directive):
    """dask-jobqueue renders the scripts; no real queue runs here."""
    import dask_jobqueue

    text = (ROOT / "CONTRIBUTING.md").read_text()
    call = re.search(r"^cluster = (SLURMCluster\([^)]*)\)", text, re.MULTILINE)[1]
    call = call.strip().removesuffix(",")
    call = call.replace("SLURMCluster", scheduler).replace("04:00:00", hours)
    options = '{"host": "127.0.0.1:0", "dashboard_address": None}'
    with eval(f"{call}, scheduler_options={options})", vars(dask_jobqueue)) as cluster:
        script = cluster.job_script()
    assert directive in script
    assert "distributed.cli.dask_worker" in script

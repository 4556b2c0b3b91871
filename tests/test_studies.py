"""Studies: grids of settings, their cells, worker processes and a cluster.

tests/test_store.py is about what a study stores, tests/test_faults.py about what can go wrong.
"""

import functools
import importlib
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
from growkit import studies, tables

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


@pytest.mark.parametrize(
    ("part", "sentence"),
    [
        ({"controls": {"a": 5}}, "controls is {'a': 5}; it takes a mapping from the name of each"),
        ({"lr": {"first": 0, "last": 1}}, "lr is {'first': 0, 'last': 1}; it takes first, last"),
        ({"lr": {"first": 0, "last": 1, "each": 1, "by": 2}}, "it takes first, last and each, and"),
        ({"coupling": {"first": 0, "last": 2, "each": 0.5}}, "coupling is {'first': 0, 'last': 2"),
        ({"coupling": {"first": 2, "last": 0, "each": 1}}, "it takes a first of at most last, and"),
        (
            {"seed": {"first": 0, "last": 2, "each": 0}},
            "it takes a first of at most last, and an each above 0",
        ),
        ({"width": {"first": "a", "last": 2, "each": 1}}, "width is {'first': 'a', 'last': 2"),
        ({"width": {"first": 1, "last": [2], "each": 1}}, "it takes three finite numbers, whole"),
        ({"options": {"points": 20}}, "grid is 'options'; it takes one of task"),
        ({"seed": 2**63}, "seed is 9223372036854775808; it takes whole numbers below 2**63"),
        ({"data_seed": (1, 2**64)}, "data_seed is (1, 18446744073709551616); it takes whole"),
        ({"tuning": {"trials": 4}}, "grid is 'tuning'; it takes one of task"),
    ],
)
def test_a_grid_that_says_nothing_is_refused_in_a_sentence(part, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        studies._settings({"task": "cubic-1"} | part)


def test_evenly_spaced_numbers_are_whole_or_powers_of_ten():
    whole = studies._evenly_spaced("seed", {"first": 0, "last": 6, "each": 2})
    assert whole.tolist() == [0, 2, 4, 6]
    spec = {"first": -1, "last": 1, "each": 0.125, "powers_of_ten": True}
    assert studies._evenly_spaced("lr", spec).tolist() == (10 ** np.linspace(-1, 1, 17)).tolist()


@pytest.mark.parametrize(
    ("repeated", "networks"),
    [
        ({"coupling": [0.1, 0.1], "trials": 2}, 2),
        ({"lr": [1, 1.0], "trials": 2}, 2),
        ({"trials": [2, 3]}, 3),
        ({"trials": [2, 2]}, 2),
        ({"coupling": (0.1, 0.2, 0.1), "trials": 2}, 4),
    ],
)
def test_a_network_that_is_listed_twice_is_trained_once_however_cells_are_cut(repeated, networks):
    settings = studies._settings({"task": "cubic-1"} | repeated)
    for seconds in (1e-9, 1e9):
        cells = studies._cells(settings, seconds)
        assert sum(len(cell["trials"]) for cell in cells) == networks
        assert len({studies._cell_path(cell) for cell in cells}) == len(cells)


def test_a_rate_is_taken_from_the_nearest_noise_and_then_the_nearest_number_of_points():
    rates = {}
    for place, (points, noise) in enumerate([(288, 0.0), (512, 0.0), (288, 0.1), (512, 0.3)]):
        noise = float(np.float32(noise))  # as it is stored
        of_arm = studies._Alike("cubic-1", points, noise, "plain", 9, "AuxiliaryWeight", "growing")
        rates[of_arm] = place
        rates[of_arm._replace(arm="static")] = -1

    def best(**options):
        part = {"task": "cubic-1", "control": "plain", "width": 9, "test_points": 8} | options
        return studies._best_rate(studies._settings(part)[0], rates, "tuning")

    assert [best(points=points) for points in (288, 512, 20, 370, 400)] == [0, 1, 0, 0, 1]
    assert [best(points=512, noise=noise) for noise in (0.04, 0.1, 0.15, 0.25)] == [1, 2, 2, 3]
    sentence = "control is 'plain'; it takes one whose rates the study 'tuning' tried for growing"
    with pytest.raises(ValueError, match=sentence + " networks of width 5 on cubic-1"):
        best(width=5)


def test_a_tuned_rate_is_the_one_that_did_best_on_other_trials(monkeypatch):
    """The larger rate suits the static arm and the smaller one the growing arm; 0.1 diverges.

    Halfway through the training it is the other way round, which does not count.
    """
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
            "diverged": setting["lr"] == 0.1,
        }
        losses = {"growing": setting["lr"], "static": 1 / setting["lr"]}
        rows += [row | {"epochs": 40, "test_task_loss": losses.pop(arm)}] * 3
        rows += [row | {"epochs": 20, "test_task_loss": 1e-3 * losses.popitem()[1]}] * 3
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


# Tasks of one's own, as the function `make`; they are edited where they say `np.sin`.
OWN_TASKS = {
    "a lambda": "make = lambda points=40: task(np.sin)",
    "a function that it calls": """
def curve(x):
    return np.sin(x)
def make(points=40):
    return task(curve)""",
    "a partial function": """
make = functools.partial(growlib._few, "mine", np.sin, "squared")""",
    "a captured value": """
def maker(curve):
    return lambda: task(curve)
make = maker(np.sin)""",
    "a table": """
x = np.linspace(0, 1, 9)
frame = pd.DataFrame({"x": x, "y": np.sin(x)})
make = lambda: tables.task_from_frame(frame, "y")""",
}


def cell_of_task(source):
    """The name of a cell whose task a script defines."""
    script = {"functools": functools, "growlib": growlib, "np": np, "pd": pd}
    script |= {"tables": tables, "task": growlib.task}
    exec(source, script)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(growlib.TASKS, "mine", script["make"])
        cell = {"task": "mine", "growth": growlib.AuxiliaryWeight()}
        return studies._cell_path(cell).name


@pytest.mark.parametrize("source", OWN_TASKS.values(), ids=OWN_TASKS)
def test_a_task_of_ones_own_that_was_edited_is_another_cell(source):
    found = cell_of_task(source)
    assert cell_of_task(source + "  # a remark") == found
    assert cell_of_task(source.replace("np.sin", "np.cos")) != found


GROWTH = """
import growlib
class Above(growlib.AuxiliaryWeight):
    def gate(self, size, width):
        return super().gate(2 * size, width)
class Mine(Above):
    pass
"""


def test_a_growth_of_ones_own_that_was_edited_is_another_cell(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    found = []
    for number, source in enumerate([GROWTH, GROWTH, GROWTH.replace("2 *", "3 *")]):
        name = f"own_growth_{number}"
        (tmp_path / f"{name}.py").write_text(source)
        growth = importlib.import_module(name).Mine()
        found.append(studies._cell_path({"task": "cubic-1", "growth": growth}))
    assert found[0] == found[1] != found[2]


def test_tasks_and_growths_of_the_kit_are_known_by_their_names():
    assert studies.KNOWN_TASKS.keys() == growlib.TASKS.keys()
    for name in growlib.TASKS:
        assert not studies._own_code({"task": name, "growth": growlib.AuxiliaryWeight()})
    for method in studies.METHODS.values():
        if not hasattr(method, "rule"):
            assert not studies._own_code({"task": "cubic-1", "growth": method()})


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

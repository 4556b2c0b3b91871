"""The study engine: its cells, its workers, a cluster; tests/test_faults.py is about what goes wrong."""

import json
import os
import re
import subprocess
import sys

import pandas as pd
import pyarrow.parquet as pq
import pytest

import growlib
from growkit import studies

GRID = {
    "task": "cubic-1",
    "growth": list(growlib.arms().values())[:2],
    "coupling": [0.1, 0.2, 0.5, 1.0, 2.0, 5.0],
    "trials": 64,
    "epochs": (300, 600),
    "compiled": False,
    "kept": 4,
}
CELLS = 12  # of the grid, 64 networks each
PROGRAM = """
import sys, pandas as pd
import growlib, test_engine
from growkit import studies
if __name__ == "__main__":
    studies.CELL_SECONDS = test_engine.cell_seconds()
    studies.study("sweep", test_engine.GRID, workers=int(sys.argv[2])).to_parquet(sys.argv[1])
"""


def cell_seconds():
    return 64.5 * studies._seconds(studies._settings(GRID)[0])


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setattr(growlib, "HOME", tmp_path)
    monkeypatch.setattr(studies, "CELL_SECONDS", cell_seconds())
    return tmp_path


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The frame of a run that nothing disturbed, by one worker."""
    folder = tmp_path_factory.mktemp("whole")
    assert start(folder, "frame.parquet", workers=1).wait(300) == 0
    return read(folder / "frame.parquet")


def start(home, name, workers=2):
    """The study in a process of its own, on the store under `home`."""
    here = os.path.dirname(__file__)
    environment = os.environ | {
        "GROWLIB_HOME": str(home),
        "PYTHONPATH": f"{os.path.dirname(here)}:{here}",
        "OMP_NUM_THREADS": "1",
    }
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(home / name), str(workers)], env=environment, cwd=here
    )


def read(path):
    return pd.read_parquet(path).drop(columns="seconds")


def cells(home):
    """The finished cells, and what would change if one were written again."""
    return {
        path.name: (path.stat().st_ino, path.stat().st_mtime_ns)
        for path in (home / ".cache/cells").glob("*.parquet")
    }


def test_neither_the_cut_nor_the_order_matters(home, whole, here, monkeypatch):
    monkeypatch.setattr(studies, "CELL_SECONDS", 1.7 * studies.CELL_SECONDS)
    frame = studies.study("sweep", GRID).drop(columns="seconds")
    assert len(here.done) == 8
    pd.testing.assert_frame_equal(frame.reset_index(drop=True), whole, check_exact=True)


def test_what_is_there_is_not_computed_again(here):
    first = studies.study("sweep", GRID)
    wider = GRID | {"coupling": [*GRID["coupling"], 9.0]}
    assert len(here.done) == CELLS
    pd.testing.assert_frame_equal(first, studies.study("sweep", GRID), check_exact=True)
    assert len(here.done) == CELLS
    assert len(studies.study("sweep", wider)) == len(first) * 7 // 6


def test_another_method_takes_nothing_from_the_cells_of_the_last(here, monkeypatch):
    studies.study("sweep", GRID)
    monkeypatch.setattr(growlib, "METHOD", growlib.METHOD + 1)
    studies.study("sweep", GRID)
    assert len(here.done) == len(set(here.done)) == 2 * CELLS


def test_a_dead_worker_is_said_in_a_sentence(monkeypatch):
    monkeypatch.setattr(studies, "_prepare_worker", os.abort)
    with pytest.raises(
        RuntimeError,
        match="a worker of study 'sweep' died, perhaps for want of memory; what it had finished stays",
    ):
        studies.study("sweep", GRID)


CLUSTER = """
import os, sys, threading, time
import growlib, test_engine
from growkit import studies
from distributed import Client, LocalCluster

def killer(client):
    while len(test_engine.cells(growlib.HOME)) < 3:
        time.sleep(0.05)
    os.kill(list(client.run(os.getpid).values())[0], 9)

if __name__ == "__main__":
    studies.CELL_SECONDS = test_engine.cell_seconds()
    with LocalCluster(n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None) as cluster, Client(cluster) as client:
        thread = threading.Thread(target=killer, args=[client])
        thread.start()
        frame = studies.study("sweep", test_engine.GRID, client=client)
        thread.join()
        known = test_engine.cells(growlib.HOME)
        studies.study("sweep", test_engine.GRID, client=client)
        assert known == test_engine.cells(growlib.HOME)
    frame.to_parquet(sys.argv[1])
"""


def test_a_cluster_gives_the_same_frame_though_a_worker_is_killed(home, whole):
    here = os.path.dirname(__file__)
    environment = os.environ | {
        "GROWLIB_HOME": str(home),
        "PYTHONPATH": f"{os.path.dirname(here)}:{here}",
        "OMP_NUM_THREADS": "1",
    }
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", CLUSTER, str(home / "frame.parquet")],
        env=environment,
        cwd=here,
        timeout=300,
        check=True,
    )
    pd.testing.assert_frame_equal(read(home / "frame.parquet"), whole, check_exact=True)


def test_the_readmes_cluster_lines_make_a_job_script():
    """dask-jobqueue renders the scripts; no real queue runs here."""
    import dask_jobqueue

    line = re.search(
        r"^cluster = (SLURMCluster\(.*)\)  #",
        (growlib.Path(growlib.__file__).parent / "README.md").read_text(),
        re.MULTILINE,
    )[1]
    for name, word in (("SLURMCluster", "#SBATCH"), ("LSFCluster", "#BSUB")):
        call = line.replace("SLURMCluster", name).replace(
            "04:00:00", "04:00" if name == "LSFCluster" else "04:00:00"
        )
        with eval(
            call + ', scheduler_options={"host": "127.0.0.1:0", "dashboard_address": None})',
            vars(dask_jobqueue),
        ) as cluster:
            script = cluster.job_script()
        assert word in script and "distributed.cli.dask_worker" in script


def test_cells_tell_what_they_are(home, here):
    studies.study("sweep", GRID)
    for path in (home / ".cache/cells").glob("*.parquet"):
        about = json.loads(pq.read_schema(path).metadata[b"growlib"])
        assert about["cell"] == path.stem and about["core_minutes"] > 0

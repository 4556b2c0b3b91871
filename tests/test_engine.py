"""The study engine under interruption, damage, two clients and a cluster."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time

import pandas as pd
import psutil
import pyarrow.parquet as pq
import pytest

import growlib

GRID = {"task": "cubic-1", "growth": list(growlib.arms().values())[:2], "coupling": [0.1, 0.2, 0.5, 1.0, 2.0, 5.0], "trials": 64,
        "epochs": (300, 600), "compiled": False, "kept": 4}
CELLS = 12  # of the grid, 64 networks each
PROGRAM = """
import sys, pandas as pd
import growlib, test_engine
if __name__ == "__main__":
    growlib.CELL_SECONDS = test_engine.cell_seconds()
    growlib.study("sweep", test_engine.GRID, workers=int(sys.argv[2])).to_parquet(sys.argv[1])
"""


def cell_seconds():
    return 64.5 * growlib._seconds(growlib._settings(GRID)[0])


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setattr(growlib, "HOME", tmp_path)
    monkeypatch.setattr(growlib, "CELL_SECONDS", cell_seconds())
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
    environment = os.environ | {"GROWLIB_HOME": str(home), "PYTHONPATH": here, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen([sys.executable, "-c", PROGRAM, str(home / name), str(workers)], env=environment, cwd=here)


def read(path):
    return pd.read_parquet(path).drop(columns="seconds")


def cells(home):
    """The finished cells, and what would change if one were written again."""
    return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in (home / ".cache/cells").glob("*.parquet")}


def test_killed_twenty_times_it_gives_the_same_frame_and_repeats_nothing(home, whole):
    moments, known, survivors = random.Random(2), {}, 0
    for _ in range(20):
        process = start(home, "frame.parquet")
        time.sleep(moments.uniform(0.5, 9))
        workers = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
        process.send_signal(signal.SIGKILL)
        process.wait()
        _, alive = psutil.wait_procs(workers, timeout=20)
        survivors += len(alive)
        now = cells(home)
        assert known.items() <= now.items()
        known = now
    assert start(home, "frame.parquet").wait(300) == 0
    assert known.items() <= cells(home).items() and len(cells(home)) == CELLS and not survivors
    pd.testing.assert_frame_equal(read(home / "frame.parquet"), whole, check_exact=True)


def test_two_clients_share_a_store(home, whole):
    both = [start(home, name, workers=1) for name in ("one.parquet", "two.parquet")]
    assert [process.wait(300) for process in both] == [0, 0]
    for name in ("one.parquet", "two.parquet"):
        pd.testing.assert_frame_equal(read(home / name), whole, check_exact=True)
    assert len(cells(home)) == CELLS and not list((home / ".cache/cells").glob("*.damaged"))


def test_neither_the_cut_nor_the_order_matters(home, whole, here, monkeypatch):
    monkeypatch.setattr(growlib, "CELL_SECONDS", 1.7 * growlib.CELL_SECONDS)
    frame = growlib.study("sweep", GRID).drop(columns="seconds")
    assert len(here.done) == 8
    pd.testing.assert_frame_equal(frame.reset_index(drop=True), whole, check_exact=True)


def test_what_is_there_is_not_computed_again(here):
    first = growlib.study("sweep", GRID)
    wider = GRID | {"coupling": [*GRID["coupling"], 9.0]}
    assert len(here.done) == CELLS
    pd.testing.assert_frame_equal(first, growlib.study("sweep", GRID), check_exact=True)
    assert len(here.done) == CELLS
    assert len(growlib.study("sweep", wider)) == len(first) * 7 // 6


DAMAGE = {
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-100]),
    "empty": lambda path: path.write_bytes(b""),
    "foreign": lambda path: pd.DataFrame({"a": [1]}).to_parquet(path),
    "another cell's": lambda path: path.write_bytes(next(p for p in path.parent.glob("*.parquet") if p != path).read_bytes()),
    "flipped": lambda path: path.write_bytes(path.read_bytes()[:2000] + bytes([path.read_bytes()[2000] ^ 255]) + path.read_bytes()[2001:]),
    "no parquet": lambda path: path.write_text("a note"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_cell_is_set_aside_and_computed_again(home, whole, here, kind):
    growlib.study("sweep", GRID)
    here.done.clear()
    path = sorted((home / ".cache/cells").glob("*.parquet"))[3]
    DAMAGE[kind](path)
    with pytest.warns(UserWarning, match=f"{path.name} in the cache cannot be read .*; it is set aside and computed again"):
        frame = growlib.study("sweep", GRID)
    assert here.done == [path] and path.with_suffix(".damaged").exists()
    pd.testing.assert_frame_equal(frame.drop(columns="seconds"), whole, check_exact=True)


def test_a_full_disk_is_said_and_what_was_finished_stays(home, whole, here, monkeypatch):
    write = pq.write_table

    def full(*arguments, **options):
        if len(cells(home)) == 5:
            raise OSError(28, "No space left on device")
        return write(*arguments, **options)

    monkeypatch.setattr(pq, "write_table", full)
    with pytest.raises(ValueError, match=r"path is .*parquet'; it takes a file that can be written \(No space left on device\)"):
        growlib.study("sweep", GRID)
    finished = cells(home)
    monkeypatch.setattr(pq, "write_table", write)
    frame = growlib.study("sweep", GRID)
    assert len(finished) == 5 and finished.items() <= cells(home).items() and not list((home / ".cache/cells").glob(".*"))
    pd.testing.assert_frame_equal(frame.drop(columns="seconds"), whole, check_exact=True)


def test_a_store_that_cannot_be_written_is_said_before_anything_is_computed(home, here):
    (home / ".cache").write_text("in the way")
    with pytest.raises(ValueError, match=r"path is .*cells.*; it takes a file that can be written"):
        growlib.study("sweep", GRID)
    assert not here.submitted


def test_another_method_takes_nothing_from_the_cells_of_the_last(here, monkeypatch):
    growlib.study("sweep", GRID)
    monkeypatch.setattr(growlib, "METHOD", growlib.METHOD + 1)
    growlib.study("sweep", GRID)
    assert len(here.done) == len(set(here.done)) == 2 * CELLS


def test_a_dead_worker_is_said_in_a_sentence(monkeypatch):
    monkeypatch.setattr(growlib, "_prepare_worker", os.abort)
    with pytest.raises(RuntimeError, match="a worker of study 'sweep' died, perhaps for want of memory; what it had finished stays"):
        growlib.study("sweep", GRID)


CLUSTER = """
import os, sys, threading, time
import growlib, test_engine
from distributed import Client, LocalCluster

def killer(client):
    while len(test_engine.cells(growlib.HOME)) < 3:
        time.sleep(0.05)
    os.kill(list(client.run(os.getpid).values())[0], 9)

if __name__ == "__main__":
    growlib.CELL_SECONDS = test_engine.cell_seconds()
    with LocalCluster(n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None) as cluster, Client(cluster) as client:
        thread = threading.Thread(target=killer, args=[client])
        thread.start()
        frame = growlib.study("sweep", test_engine.GRID, client=client)
        thread.join()
        known = test_engine.cells(growlib.HOME)
        growlib.study("sweep", test_engine.GRID, client=client)
        assert known == test_engine.cells(growlib.HOME)
    frame.to_parquet(sys.argv[1])
"""


def test_a_cluster_gives_the_same_frame_though_a_worker_is_killed(home, whole):
    here = os.path.dirname(__file__)
    environment = os.environ | {"GROWLIB_HOME": str(home), "PYTHONPATH": here, "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-W", "ignore", "-c", CLUSTER, str(home / "frame.parquet")], env=environment, cwd=here, timeout=300, check=True)
    pd.testing.assert_frame_equal(read(home / "frame.parquet"), whole, check_exact=True)


def test_the_readmes_cluster_lines_make_a_job_script():
    """dask-jobqueue renders the scripts; no real queue runs here."""
    import dask_jobqueue

    line = re.search(r"^cluster = (SLURMCluster\(.*)\)  #", (growlib.Path(growlib.__file__).parent / "README.md").read_text(), re.MULTILINE)[1]
    for name, word in (("SLURMCluster", "#SBATCH"), ("LSFCluster", "#BSUB")):
        call = line.replace("SLURMCluster", name).replace("04:00:00", "04:00" if name == "LSFCluster" else "04:00:00")
        with eval(call + ', scheduler_options={"host": "127.0.0.1:0", "dashboard_address": None})', vars(dask_jobqueue)) as cluster:
            script = cluster.job_script()
        assert word in script and "distributed.cli.dask_worker" in script


def test_cells_tell_what_they_are(home, here):
    growlib.study("sweep", GRID)
    for path in (home / ".cache/cells").glob("*.parquet"):
        about = json.loads(pq.read_schema(path).metadata[b"growlib"])
        assert about["cell"] == path.stem and about["core_minutes"] > 0

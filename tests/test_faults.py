"""Studies and the driver under faults: killed processes, damaged cells, full disks, a wrong clock.

No finished cell is lost, one sentence says what is the matter, and a study that is started again
computes what is missing alone: its frame is equal to the bit to that of an undisturbed one.
tests/test_studies.py kills a worker of a cluster, tests/test_driver.py a notebook's kernel from
within. `make test-all` repeats each fault more often.
"""

import itertools
import json
import multiprocessing
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
import warnings

import numpy as np
import pandas as pd
import psutil
import pyarrow.parquet as pq
import pytest
from conftest import ROOT, SerialPool, finished_cells, repeats, write_notebook

import growlib
from growkit import studies

# A study's process is forked off one that has imported growlib; its workers start as always.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["growlib"])


def grid(count):
    """Return a study of so many cells, an even number, of eight networks each."""
    return {
        "task": "cubic-1",
        "arm": ["growing", "grown"],
        "coupling": np.linspace(0.1, 5, count // 2).tolist(),
        "trials": 8,
        "epochs": (20, 40),
        "log_every": 20,
        "compiled": False,
        "kept": 2,
    }


CELL_SECONDS = 8.5 * studies._seconds(studies._settings(grid(12))[0])


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """An empty store."""
    monkeypatch.setattr(growlib, "HOME", tmp_path / "home")
    monkeypatch.setattr(studies, "CELL_SECONDS", CELL_SECONDS)
    return tmp_path / "home"


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Return a function that gives the frame of a study of so many cells, and the store it left."""
    known = {}

    def study_of(count):
        if count not in known:
            home = tmp_path_factory.mktemp("undisturbed")
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(growlib, "HOME", home)
                patch.setattr(studies, "ProcessPoolExecutor", SerialPool())
                known[count] = studies.study("sweep", grid(count)).drop(columns="seconds"), home
        return known[count]

    return study_of


@pytest.fixture
def finish(home, serial_pool, undisturbed):
    """Return a function that finishes a study of so many cells and compares it with `undisturbed`.

    The cells `finished` are neither computed nor written again.
    """

    def go_on(count, finished):
        serial_pool.submitted.clear()
        frame = studies.study("sweep", grid(count)).drop(columns="seconds")
        computed = {path.name for path in serial_pool.submitted}
        assert len(serial_pool.submitted) == count - len(finished)
        assert not computed & finished.keys()
        assert not lost(finished, home)
        pd.testing.assert_frame_equal(frame, undisturbed(count)[0], check_exact=True)

    return go_on


def lost(finished, home):
    """Return how many of the finished cells are not in the store as they were."""
    return len(finished.items() - finished_cells(home).items())


# ---------------------------------------------------------------------------------------- processes


def compute(home, settings, workers):
    """Compute a study in a process of its own; what it says goes to said.txt."""
    os.setsid()
    home.mkdir(exist_ok=True)
    os.dup2(os.open(home / "said.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
    os.environ["GROWLIB_PROGRESS"] = os.devnull
    growlib.HOME = home
    studies.CELL_SECONDS = CELL_SECONDS
    try:
        studies.study("sweep", settings, workers)
    except (Exception, KeyboardInterrupt) as error:
        os.write(2, f"{type(error).__name__}: {error}".encode())


def start(*arguments):
    process = PROCESSES.Process(target=compute, args=arguments)
    process.start()
    return process


def wait_until(condition, process):
    """Wait until `condition()` holds; the process must not end before."""
    while not condition():
        assert psutil.Process(process.pid).status() != psutil.STATUS_ZOMBIE
        time.sleep(0.01)


def workers_of(process):
    """Return the processes that compute, without the one that tracks shared memory."""
    return with_words("spawn_main", process, recursive=False)


def with_words(words, process, recursive=True):
    """Return the processes that a process started with these words in their commands."""
    try:
        found = []
        for child in psutil.Process(process.pid).children(recursive):
            if words in " ".join(child.cmdline()):
                found.append(child)
        return found
    except psutil.Error:  # one ended meanwhile
        return []


WORKER_DIED = (
    "a worker of study 'sweep' died, perhaps because memory ran out; "
    "what it had finished stays in the cache"
)
# a fault, the number of workers, what causes it, and what the study says
STRIKES = {
    "the study is killed": (1, lambda process: process.kill(), ""),
    "the study is terminated": (1, lambda process: process.terminate(), ""),
    "Ctrl-C": (2, lambda process: os.killpg(process.pid, signal.SIGINT), "KeyboardInterrupt: "),
    "a worker is killed": (
        2,
        lambda process: workers_of(process)[-1].kill(),
        f"RuntimeError: {WORKER_DIED}",
    ),
}


CELLS_A_ROUND = 12  # so many that some are left when the fault strikes


@pytest.mark.parametrize("fault", STRIKES)
def test_a_study_that_is_struck_goes_on(fault, home, finish, record_fault):
    workers, strike, sentence = STRIKES[fault]
    rounds = repeats(3 - workers, 20)
    chance = random.Random(fault)
    count = CELLS_A_ROUND * rounds
    total_lost = 0
    for more in [chance.randrange(3) for _ in range(rounds)]:
        enough = len(finished_cells(home)) + more
        process = start(home, grid(count), workers)
        wait_until(lambda process=process: len(workers_of(process)) == workers, process)
        wait_until(lambda enough=enough: len(finished_cells(home)) >= enough, process)
        time.sleep(chance.uniform(0, 0.3))
        at_work = workers_of(process)
        assert len(at_work) == workers
        finished = finished_cells(home)
        strike(process)

        process.join(60)
        assert process.exitcode is not None
        _, alive = psutil.wait_procs(at_work, timeout=60)
        assert not alive
        assert (home / "said.txt").read_text() == sentence
        total_lost += lost(finished, home)
    record_fault(fault, rounds, len(finished_cells(home)), total_lost, sentence)
    assert not total_lost
    finish(count, finished_cells(home))


def test_two_writers_share_a_study(home, finish, record_fault):
    rounds = repeats(1, 5)
    for _ in range(rounds):
        shutil.rmtree(home, ignore_errors=True)
        writers = [start(home, grid(12), 1), start(home, grid(12), 1)]
        for process in writers:
            process.join(300)
            assert process.exitcode == 0
        assert not (home / "said.txt").read_text()
        assert len(finished_cells(home)) == 12
        assert not list(home.rglob("*.damaged"))
    record_fault("two writers at once", rounds, 12 * rounds, 0, "")
    finish(12, finished_cells(home))


# ------------------------------------------------------------------------------------ damaged cells


def truncate(path, chance):
    whole = path.read_bytes()
    path.write_bytes(whole[: chance.randrange(len(whole))])


def flip(path, at, mask):
    """Change the bits of one byte that `mask` sets."""
    whole = bytearray(path.read_bytes())
    whole[at] ^= mask
    path.write_bytes(whole)


def replace_by_another_cell(path, _):
    other = next(each for each in path.parent.glob("*.parquet") if each != path)
    path.write_bytes(other.read_bytes())


DAMAGE = {
    "truncated": truncate,
    "a byte changed": lambda path, _: flip(path, 2000, 255),
    "empty": lambda path, _: path.write_bytes(b""),
    "foreign": lambda path, _: pd.DataFrame({"a": [1]}).to_parquet(path),
    "another cell's": replace_by_another_cell,
    "no parquet": lambda path, _: path.write_text("a note"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_cell_is_set_aside_and_computed_again(
    kind, home, finish, undisturbed, record_fault
):
    shutil.copytree(undisturbed(12)[1], home)
    chance = random.Random(kind)
    intact = finished_cells(home)
    for name in chance.sample(sorted(intact), 3):
        del intact[name]
        path = home / ".cache/cells" / name
        DAMAGE[kind](path, chance)
        sentence = f"{name} in the cache cannot be read .*; it is set aside and computed again"
        with pytest.warns(UserWarning, match=sentence):
            assert studies._cached(path) is None
        assert path.with_suffix(".damaged").exists()
    said = "… in the cache cannot be read …; it is set aside and computed again"
    record_fault(f"cell damaged: {kind}", 3, 12, lost(intact, home), said)
    finish(12, intact)


def test_a_cell_with_a_byte_changed_is_whole_or_set_aside(home, undisturbed, record_fault):
    """Wherever the byte is, what is read is what was written, or nothing is read."""
    shutil.copytree(undisturbed(12)[1], home)
    path = sorted((home / ".cache/cells").glob("*.parquet"))[0]
    whole = path.read_bytes()
    expected, _ = studies._cached(path)
    chance = random.Random(1)
    aside = 0
    rounds = repeats(100, 3000)
    for _ in range(rounds):
        path.write_bytes(whole)
        flip(path, chance.randrange(len(whole)), chance.randrange(1, 256))
        with warnings.catch_warnings(action="ignore"):
            found = studies._cached(path)
        if found is None:
            aside += 1
            continue
        frames, _ = found
        for name in studies.FRAMES:
            pd.testing.assert_frame_equal(frames[name], expected[name], check_exact=True)
    record_fault("a byte of a cell changed", rounds, rounds, 0, f"{aside} set aside")
    assert aside


def test_a_damaged_cell_may_have_been_set_aside_by_another_process(home, undisturbed, monkeypatch):
    shutil.copytree(undisturbed(12)[1], home)
    path = sorted((home / ".cache/cells").glob("*.parquet"))[0]

    def read_damaged(*_, **__):
        path.unlink()
        raise OSError("Couldn't deserialize thrift")

    monkeypatch.setattr(pq, "read_table", read_damaged)
    with pytest.warns(UserWarning, match="it is set aside and computed again"):
        assert studies._cached(path) is None


# -------------------------------------------------------------------------- disks, clocks and files

# On a disk of a given size: a study, a figure and a run that are too large for it, then the same
# study on a disk that is read-only, large enough, and read-only again with every cell on it.
DISK = """
import json
import subprocess
import sys
from pathlib import Path

import growlib
from conftest import SerialPool, finished_cells
from growkit import figures, studies
from test_faults import CELL_SECONDS, grid, lost

home = Path(sys.argv[1])
sizes = json.loads(sys.argv[2])
growlib.HOME = home
studies.CELL_SECONDS = CELL_SECONDS
studies.ProcessPoolExecutor = SerialPool()


def mount(options):
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", home], check=True)


def attempt(fault, action):
    before = finished_cells(home)
    said = ""
    try:
        action()
    except ValueError as error:
        said = str(error)
    print(json.dumps([fault, len(before), lost(before, home), len(finished_cells(home)), said]))


def study():
    return studies.study("sweep", grid(12))


def save_figure():
    figure, _ = figures.new_figure()
    figures.save_figure(figure, "figure", folder=str(home / "figures"))


mount("size=40k")
for size in sizes:
    mount(f"remount,size={size}k")
    attempt("full", study)
attempt("full, a figure", save_figure)
run = growlib.fit("cubic-1", trials=64, epochs=40, compiled=False, keep_weights=True)
attempt("full, a run", lambda: run.save(home / "run.npz"))
mount("remount,ro,size=2m")
attempt("read-only", study)
mount("remount,rw,size=2m")
study().drop(columns="seconds").to_parquet(sys.argv[3])
mount("remount,ro,size=2m")
attempt("read-only, whole", study)
"""
NO_FILE = r"path is '.*(\.parquet|\.npz)'; it takes a file that can be written \({}\)"
NO_CACHE = (
    r"the cache is '.*/cells'; it takes a folder that can be written \({}\); "
    "GROWLIB_HOME names another place for it"
)
NO_FOLDER = r"folder is '.*figures'; it takes a folder that can be written \({}\)"
SENTENCES = {
    "full": f"{NO_FILE}|{NO_CACHE}".replace("{}", "No space left on device"),
    "full, a figure": NO_FOLDER.format("No space left on device"),
    "full, a run": NO_FILE.format("No space left on device"),
    "read-only": NO_CACHE.format("Read-only file system"),
    "read-only, whole": "",
}


def with_own_mounts():
    """Return the command that starts a program whose mounts are its own and end with it."""
    command = ["unshare", "--mount"]
    if os.geteuid():
        command += ["--user", "--map-root-user"]
    probe = [*command, "mount", "-t", "tmpfs", "none", "/mnt"]
    if not shutil.which("unshare") or subprocess.run(probe, capture_output=True).returncode:
        pytest.skip(
            "a disk cannot be mounted here; the injected error of "
            "test_a_full_disk_is_said_and_what_was_finished_stays remains"
        )
    return command


def test_a_disk_that_is_full_or_read_only_is_said_and_what_was_finished_stays(
    home, undisturbed, record_fault, tmp_path
):
    """On a real disk of a few kilobytes, larger each time, each too small for the study."""
    home.mkdir()
    frame, store = undisturbed(12)
    kilobytes = sum(path.stat().st_size for path in (store / ".cache/cells").iterdir()) // 1024
    sizes = sorted(random.Random(5).sample(range(40, kilobytes * 3 // 4), repeats(4, 20)))
    arguments = [str(home), json.dumps(sizes), str(tmp_path / "frame.parquet")]
    done = subprocess.run(
        [*with_own_mounts(), sys.executable, "-c", DISK, *arguments],
        env=os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT}/tests", "GROWLIB_PROGRESS": os.devnull},
        capture_output=True,
        text=True,
        timeout=600,
        check=True,
    )
    assert not done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    attempts = pd.DataFrame(lines, columns=["fault", "finished", "lost", "cells", "said"])
    assert set(attempts["fault"]) == set(SENTENCES)
    assert attempts["cells"].is_monotonic_increasing
    assert attempts["cells"].nunique() > 2
    for fault, rows in attempts.groupby("fault", sort=False):
        sentence = SENTENCES[fault]
        assert not rows["lost"].any()
        assert rows["said"].str.fullmatch(sentence).all(), rows["said"].tolist()
        said = sentence.replace("\\", "")
        record_fault(f"disk {fault}", len(rows), rows["finished"].max(), rows["lost"].sum(), said)
    found = pd.read_parquet(tmp_path / "frame.parquet")
    pd.testing.assert_frame_equal(found, frame, check_exact=True)


def test_a_full_disk_is_said_and_what_was_finished_stays(home, finish, record_fault, monkeypatch):
    """The error alone, injected, for machines where no disk can be mounted."""
    write = pq.write_table
    rounds = repeats(3, 11)
    for most in range(1, rounds + 1):

        def write_or_fail(*arguments, most=most, **options):
            if len(finished_cells(home)) == most:
                raise OSError(28, "No space left on device")
            return write(*arguments, **options)

        monkeypatch.setattr(pq, "write_table", write_or_fail)
        sentence = (
            r"path is .*parquet'; it takes a file that can be written "
            r"\(No space left on device\)"
        )
        with pytest.raises(ValueError, match=sentence):
            studies.study("sweep", grid(12))
    monkeypatch.setattr(pq, "write_table", write)
    assert len(finished_cells(home)) == rounds
    assert not list((home / ".cache/cells").glob(".*"))
    said = "path is '….parquet'; it takes a file that can be written (No space left on device)"
    record_fault("no space left, injected", rounds, rounds, 0, said)
    finish(12, finished_cells(home))


def test_a_store_that_cannot_be_written_is_said_before_anything_is_computed(home, serial_pool):
    home.mkdir()
    (home / ".cache").write_text("in the way")
    with pytest.raises(ValueError, match=NO_CACHE.format(".*")):
        studies.study("sweep", grid(12))
    assert not serial_pool.submitted


def test_a_clock_that_is_set_back_changes_nothing(
    home, finish, undisturbed, record_fault, monkeypatch
):
    """The clock runs backwards by hours; cells are dated in the future, in 1970 and in between."""
    shutil.copytree(undisturbed(12)[1], home)
    now = time.time()
    chance = random.Random(7)
    hours = itertools.count(1)
    monkeypatch.setattr(time, "time", lambda: now - 3600 * next(hours))
    monkeypatch.setattr(time, "time_ns", lambda: int(1e9 * time.time()))
    for path in (home / ".cache/cells").glob("*.parquet"):
        os.utime(path, (0, chance.choice([0, now + 1e9, now - 1e6])))
    for name in chance.sample(sorted(finished_cells(home)), 6):
        (home / ".cache/cells" / name).unlink()
    finish(12, finished_cells(home))
    record_fault("clock set back", next(hours), 6, 0, "")


def test_a_study_is_stored_only_when_its_last_file_is(home, serial_pool, monkeypatch):
    """A study is computed anew and stopped between its files, so that some are the old one's."""
    settings = studies._settings(grid(2))
    monkeypatch.setattr(studies, "published", lambda study, scale="paper": settings)
    studies.study("figure-5")
    monkeypatch.setattr(growlib, "METHOD", growlib.METHOD + 1)
    write = studies._write_parquet
    for most in range(3):
        written = itertools.count()

        def write_or_stop(frames, path, about, most=most, written=written):
            if path.parent.name == "data" and next(written) == most:
                raise KeyboardInterrupt
            write(frames, path, about)

        monkeypatch.setattr(studies, "_write_parquet", write_or_stop)
        with pytest.raises(KeyboardInterrupt):
            studies.study("figure-5")
        assert not studies.is_stored("figure-5")
    monkeypatch.setattr(studies, "_write_parquet", write)
    studies.study("figure-5")
    assert studies.is_stored("figure-5")
    assert len(serial_pool.done) == 4


# ----------------------------------------------------------------------------------------- no numba

WITHOUT_NUMBA = """
import sys
import warnings

sys.modules["numba"] = None  # importing it fails
import growlib

runs = []
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    for compiled in (None, None, False):
        runs.append(growlib.fit("cubic-1", trials=8, epochs=40, compiled=compiled))
first, _, autograd = (run.finals.drop(columns="seconds") for run in runs)
assert first.equals(autograd)
assert "growloops" not in sys.modules
for warning in caught:
    if warning.category is UserWarning:
        print(warning.message)
"""


def test_without_numba_it_is_said_once_and_trains(record_fault, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_NUMBA],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    assert not done.stderr
    assert re.fullmatch(
        r"numba cannot be imported \(.*\bnumba\b.*\), so networks train by autograd, "
        r"many times slower\n",
        done.stdout,
    )
    record_fault("no numba", 2, 0, 0, done.stdout.strip())


# --------------------------------------------------------------------------------------- the driver

STUDIES = """
[sweep]
quick = {trials = 2}

[[sweep.part]]
task = "cubic-1"
width = [5, 6, 7, 8, 9, 10, 11, 12]
trials = 8
epochs = 40
log_every = 20
compiled = false
"""
STOPPED = "stopped; what was finished stays, and the same command goes on from there\n"
STOPPED_QUICK = "stopped; the figures of the notebooks that were done stay\n"


@pytest.fixture
def project(tmp_path):
    """A project of its own: this code, one study of eight cells, and a notebook that sleeps."""
    folder = tmp_path / "project"
    for name in ("tools", "data", "notebooks"):
        (folder / name).mkdir(parents=True)
    for name in ("growlib.py", "growloops.py", "tools/notebooks.py", "tools/data.py"):
        shutil.copy(ROOT / name, folder / name)
    no_cache = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "growkit", folder / "growkit", ignore=no_cache)
    (folder / "data/studies.toml").write_text(STUDIES)
    write_notebook(folder / "notebooks/99_test.ipynb", "import time\ntime.sleep(1e6)")
    return folder


def drive(project, *arguments):
    """Start the driver, as the first of a process group."""
    environment = os.environ | {
        "PYTHONPATH": str(project),
        "GROWLIB_PROGRESS": os.devnull,
        "GROWLIB_HOME": "",
    }
    return subprocess.Popen(
        [sys.executable, "tools/notebooks.py", *arguments],
        cwd=project,
        env=environment,
        text=True,
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def said_at_the_end(process):
    """Wait for the driver to end, and return what it said without how far it was."""
    said, _ = process.communicate(timeout=200)
    progress = r"^99_test: cell (starting|\d+ of \d+), \d+ s.*\n"
    return re.sub(progress, "", said, flags=re.MULTILINE)


@pytest.mark.parametrize(
    "fault, strike, sentence, status",
    [
        ("Ctrl-C", lambda process: os.killpg(process.pid, signal.SIGINT), STOPPED, 130),
        pytest.param(
            "terminated", lambda process: process.terminate(), STOPPED, 130, marks=pytest.mark.slow
        ),
        pytest.param(
            "a worker killed",
            lambda process: with_words("spawn_main", process)[0].kill(),
            f"{WORKER_DIED}\n",
            1,
            marks=pytest.mark.slow,
        ),
    ],
)
def test_make_paper_that_is_struck_says_a_sentence_and_goes_on(
    fault, strike, sentence, status, project, record_fault
):
    process = drive(project, "--scale", "paper")
    wait_until(lambda: len(finished_cells(project)) > 1, process)
    wait_until(lambda: len(with_words("spawn_main", process)) == 2, process)
    everyone = psutil.Process(process.pid).children(recursive=True)
    finished = finished_cells(project)
    strike(process)
    assert said_at_the_end(process) == sentence
    assert process.returncode == status
    _, alive = psutil.wait_procs(everyone, timeout=60)
    assert not alive
    now_lost = lost(finished, project)
    record_fault(f"make paper: {fault}", 1, len(finished), now_lost, sentence.strip())
    assert not now_lost


@pytest.mark.parametrize(
    "name, running",
    [
        ("SIGINT", "papermill"),
        ("SIGTERM", "ipykernel_launcher"),
        ("SIGKILL", "ipykernel_launcher"),
        pytest.param("SIGINT", "ipykernel_launcher", marks=pytest.mark.slow),
        pytest.param("SIGHUP", "ipykernel_launcher", marks=pytest.mark.slow),
    ],
)
def test_a_notebook_ends_with_its_driver(name, running, project, record_fault):
    process = drive(project)
    wait_until(lambda: with_words(running, process), process)
    everyone = psutil.Process(process.pid).children(recursive=True)
    os.killpg(process.pid, getattr(signal, name))
    said = said_at_the_end(process)
    if name == "SIGKILL":
        assert said == ""
        assert process.returncode == -signal.SIGKILL
    else:
        assert said == STOPPED_QUICK
        assert process.returncode == 130
    _, alive = psutil.wait_procs(everyone, timeout=60)
    record_fault(f"driver of a notebook: {name} while {running} starts", 1, 0, 0, said.strip())
    assert not alive


def test_a_second_ctrl_c_adds_nothing(project, record_fault):
    process = drive(project)
    wait_until(lambda: with_words("ipykernel_launcher", process), process)
    everyone = psutil.Process(process.pid).children(recursive=True)
    os.killpg(process.pid, signal.SIGINT)
    time.sleep(0.2)
    os.killpg(process.pid, signal.SIGINT)
    said = said_at_the_end(process)
    record_fault("driver of a notebook: Ctrl-C twice", 1, 0, 0, said.strip())
    assert said == STOPPED_QUICK
    assert process.returncode == 130
    assert not psutil.wait_procs(everyone, timeout=60)[1]


def test_a_kernel_that_is_killed_is_said(project, record_fault):
    chance = random.Random(3)
    rounds = repeats(1, 5)
    for _ in range(rounds):
        process = drive(project)
        wait_until(lambda process=process: with_words("ipykernel_launcher", process), process)
        time.sleep(chance.uniform(0, 3))
        with_words("ipykernel_launcher", process)[0].kill()
        said = said_at_the_end(process)
        assert process.returncode == 1
        assert said.count("\n") == 1
        assert "Kernel died" in said
    record_fault("a notebook's kernel killed", rounds, 0, 0, said.strip())


@pytest.mark.parametrize(
    "arguments, blocked, sentence",
    [
        (
            ["--scale", "paper"],
            ".cache",
            "{}/.cache/executed/paper cannot be written (Not a directory)\n",
        ),
        ([], "figures", "{}/figures/quick cannot be written (Not a directory)\n"),
    ],
)
def test_what_the_driver_cannot_write_is_said(arguments, blocked, sentence, project, record_fault):
    write_notebook(project / "notebooks/99_test.ipynb", "1 + 1")
    (project / blocked).write_text("in the way")
    process = drive(project, *arguments)
    assert said_at_the_end(process) == sentence.format(project)
    assert process.returncode == 1
    said = sentence.format("…").strip()
    record_fault(f"driver: {blocked}/ cannot be written", 1, 0, 0, said)

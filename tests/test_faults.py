"""The study engine under faults: nothing that was finished is lost, one sentence is said, and started again it computes what is missing alone.

Every test ends in a frame that is equal to the bit to an undisturbed one. tests/test_engine.py loses a worker of a cluster,
tests/test_project.py a notebook's kernel; `make test-all` repeats each fault more often.
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
from contextlib import suppress
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import psutil
import pyarrow.parquet as pq
import pytest
from conftest import Here, times

import growlib
from growkit import studies

ROOT = Path(__file__).resolve().parent.parent
PROCESSES = multiprocessing.get_context(
    "forkserver"
)  # a study's process is forked off one that has growlib; its workers start as ever
PROCESSES.set_forkserver_preload(["growlib"])


def grid(cells):
    """A study of so many cells, an even number, of eight networks each."""
    return {
        "task": "cubic-1",
        "arm": ["growing", "grown"],
        "coupling": np.linspace(0.1, 5, cells // 2).tolist(),
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
    """The frame of a study that nothing disturbed, and the store that it left."""
    known = {}

    def of(cells):
        if cells not in known:
            home = tmp_path_factory.mktemp("undisturbed")
            with pytest.MonkeyPatch.context() as patch:
                (
                    patch.setattr(growlib, "HOME", home),
                    patch.setattr(studies, "ProcessPoolExecutor", Here()),
                )
                known[cells] = studies.study("sweep", grid(cells)).drop(columns="seconds"), home
        return known[cells]

    return of


@pytest.fixture
def goes_on(home, here, undisturbed):
    """Finishes a study of so many cells, some of them finished already, and compares it with an undisturbed one."""

    def finish(count, finished):
        here.submitted.clear()
        frame = studies.study("sweep", grid(count)).drop(columns="seconds")
        assert len(here.submitted) == count - len(finished)
        assert (
            not {path.name for path in here.submitted} & finished.keys()
            and finished.items() <= cells(home).items()
        )
        pd.testing.assert_frame_equal(frame, undisturbed(count)[0], check_exact=True)

    return finish


def cells(home):
    """The finished cells, and what would change if one were written again."""
    return {
        path.name: (path.stat().st_ino, path.stat().st_mtime_ns)
        for path in (home / ".cache/cells").glob("*.parquet")
    }


def compute(home, grid, workers):
    """The study in a process of its own; what it says goes to said.txt."""
    os.setsid()
    home.mkdir(exist_ok=True)
    os.dup2(os.open(home / "said.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
    os.environ["GROWLIB_PROGRESS"] = os.devnull
    growlib.HOME, studies.CELL_SECONDS = home, CELL_SECONDS
    try:
        studies.study("sweep", grid, workers)
    except (Exception, KeyboardInterrupt) as error:
        os.write(2, f"{type(error).__name__}: {error}".encode())


def start(*arguments):
    process = PROCESSES.Process(target=compute, args=arguments)
    process.start()
    return process


def until(what, process):
    """Wait until it is true, as long as the process runs."""
    while not what():
        assert psutil.Process(process.pid).status() != psutil.STATUS_ZOMBIE
        time.sleep(0.01)


def workers_of(process):
    """The processes that compute, without the one that keeps count of shared memory."""
    try:
        return [
            child
            for child in psutil.Process(process.pid).children()
            if "spawn_main" in " ".join(child.cmdline())
        ]
    except psutil.Error:
        return []


STRIKES = {
    "the study is killed": (1, lambda process: process.kill(), ""),
    "the study is terminated": (1, lambda process: process.terminate(), ""),
    "Ctrl-C": (2, lambda process: os.killpg(process.pid, signal.SIGINT), "KeyboardInterrupt: "),
    "a worker is killed": (
        2,
        lambda process: workers_of(process)[-1].kill(),
        "RuntimeError: a worker of study 'sweep' died, perhaps for want of memory; what it had finished stays in the store",
    ),
}


@pytest.mark.parametrize("fault", STRIKES)
def test_a_study_that_is_struck_goes_on(fault, home, goes_on, figure):
    workers, strike, sentence = STRIKES[fault]
    rounds = times(3 - workers, 20)
    moments, lost, struck = random.Random(fault), 0, 0
    for more in [moments.randrange(3) for _ in range(rounds)]:
        already = len(cells(home))
        process = start(home, grid(6 * rounds), workers)
        until(lambda process=process: len(workers_of(process)) == workers, process)
        until(lambda more=more + already: len(cells(home)) >= more, process)
        time.sleep(moments.uniform(0, 0.3))
        at_work, finished = workers_of(process), cells(home)
        strike(process)
        process.join(60)
        _, alive = psutil.wait_procs(at_work, timeout=60)
        assert (
            process.exitcode is not None
            and not alive
            and (home / "said.txt").read_text() == sentence
        )
        lost += len(finished.items() - cells(home).items())
        struck += len(at_work) == workers
    figure(fault, struck, len(cells(home)), lost, sentence)
    assert not lost and struck == rounds
    goes_on(6 * rounds, cells(home))


def test_two_writers_share_a_study(home, goes_on, figure):
    repeated = 0
    for _ in range(times(1, 5)):
        shutil.rmtree(home, ignore_errors=True)
        both = [start(home, grid(12), 1), start(home, grid(12), 1)]
        for process in both:
            process.join(300)
            assert process.exitcode == 0
        assert (
            not (home / "said.txt").read_text()
            and len(cells(home)) == 12
            and not list(home.rglob("*.damaged"))
        )
        repeated += 1
    figure("two writers at once", repeated, 12 * repeated, 0, "")
    goes_on(12, cells(home))


def flip(path, random):
    whole, at = path.read_bytes(), random.randrange(path.stat().st_size)
    path.write_bytes(whole[:at] + bytes([whole[at] ^ random.randrange(1, 256)]) + whole[at + 1 :])


DAMAGE = {
    "truncated": lambda path, random: path.write_bytes(
        path.read_bytes()[: random.randrange(path.stat().st_size)]
    ),
    "a byte changed": lambda path, _: path.write_bytes(
        path.read_bytes()[:2000] + bytes([path.read_bytes()[2000] ^ 255]) + path.read_bytes()[2001:]
    ),
    "empty": lambda path, _: path.write_bytes(b""),
    "foreign": lambda path, _: pd.DataFrame({"a": [1]}).to_parquet(path),
    "another cell's": lambda path, _: path.write_bytes(
        next(p for p in path.parent.glob("*.parquet") if p != path).read_bytes()
    ),
    "no parquet": lambda path, _: path.write_text("a note"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_cell_is_set_aside_and_computed_again(kind, home, goes_on, undisturbed, figure):
    shutil.copytree(undisturbed(12)[1], home)
    chance, done = random.Random(kind), cells(home)
    damaged = chance.sample(sorted(done), 3)
    for name in damaged:
        DAMAGE[kind](home / ".cache/cells" / name, chance)
        with pytest.warns(
            UserWarning,
            match=f"{name} in the cache cannot be read .*; it is set aside and computed again",
        ):
            assert studies._cached(home / ".cache/cells" / name) is None
        assert (home / ".cache/cells" / name).with_suffix(".damaged").exists()
    rest = {name: known for name, known in done.items() if name not in damaged}
    lost = len(rest.items() - cells(home).items())
    figure(
        f"cell damaged: {kind}",
        3,
        12,
        lost,
        "… in the cache cannot be read …; it is set aside and computed again",
    )
    goes_on(12, rest)


def test_a_cell_with_a_byte_changed_is_whole_or_set_aside(home, undisturbed, figure):
    """Wherever it is: what is read is what was written, or nothing."""
    shutil.copytree(undisturbed(12)[1], home)
    path = sorted((home / ".cache/cells").glob("*.parquet"))[0]
    whole, chance, aside = path.read_bytes(), random.Random(1), 0
    frames = studies._cached(path)[0]
    rounds = times(100, 3000)
    for _ in range(rounds):
        path.write_bytes(whole)
        flip(path, chance)
        with warnings.catch_warnings(action="ignore"):
            found = studies._cached(path)
        aside += found is None
        for what in studies.FRAMES if found else ():
            pd.testing.assert_frame_equal(found[0][what], frames[what], check_exact=True)
    figure("a byte of a cell changed", rounds, rounds, 0, f"{aside} set aside")
    assert aside


def test_a_damaged_cell_that_another_process_has_set_aside_already(home, undisturbed, monkeypatch):
    shutil.copytree(undisturbed(12)[1], home)
    path = sorted((home / ".cache/cells").glob("*.parquet"))[0]

    def damaged(*_, **__):
        path.unlink()
        raise OSError("Couldn't deserialize thrift")

    monkeypatch.setattr(pq, "read_table", damaged)
    with pytest.warns(UserWarning, match="it is set aside and computed again"):
        assert studies._cached(path) is None


DISK = """
import json, subprocess, sys
from pathlib import Path
import growlib
from growkit import figures, studies
from conftest import Here
from test_faults import CELL_SECONDS, cells, grid

home = Path(sys.argv[1])
growlib.HOME, studies.CELL_SECONDS, studies.ProcessPoolExecutor = home, CELL_SECONDS, Here()


def mount(options):
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", home], check=True)


def attempt(fault, action):
    before, said = cells(home), ""
    try:
        action()
    except ValueError as error:
        said = str(error)
    print(json.dumps([fault, len(before), len(before.items() - cells(home).items()), len(cells(home)), said]))


def study():
    return studies.study("sweep", grid(12))


mount("size=40k")
for size in json.loads(sys.argv[2]):
    mount(f"remount,size={size}k")
    attempt("full", study)
attempt("full, a figure", lambda: figures.save_figure(figures.new_figure()[0], "figure", folder=str(home / "figures")))
run = growlib.fit("cubic-1", trials=64, epochs=40, compiled=False, keep_weights=True)
attempt("full, a run", lambda: run.save(home / "run.npz"))
mount("remount,ro,size=2m")
attempt("read-only", study)
mount("remount,rw,size=2m")
study().drop(columns="seconds").to_parquet(sys.argv[3])
mount("remount,ro,size=2m")
attempt("read-only, whole", study)
"""


def own_mounts():
    """What starts a program in which a disk of its own can be mounted; it is gone with the program."""
    command = ["unshare", "--mount", *(["--user", "--map-root-user"] if os.geteuid() else [])]
    if (
        not shutil.which("unshare")
        or subprocess.run(
            [*command, "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True
        ).returncode
    ):
        pytest.skip(
            "a disk cannot be mounted here; the injected error of test_a_full_disk_is_said_and_what_was_finished_stays remains"
        )
    return command


def test_a_disk_that_is_full_or_read_only_is_said_and_what_was_finished_stays(
    home, undisturbed, figure, tmp_path
):
    """On a real disk of a few kilobytes, larger each time, each too small for the study."""
    home.mkdir()
    whole = (
        sum(path.stat().st_size for path in (undisturbed(12)[1] / ".cache/cells").iterdir()) // 1024
    )
    sizes = sorted(random.Random(5).sample(range(40, whole * 3 // 4), times(4, 20)))
    environment = os.environ | {
        "PYTHONPATH": f"{ROOT}:{ROOT}/tests",
        "GROWLIB_PROGRESS": os.devnull,
    }
    told = subprocess.run(
        [
            *own_mounts(),
            sys.executable,
            "-c",
            DISK,
            str(home),
            json.dumps(sizes),
            str(tmp_path / "frame.parquet"),
        ],
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=True,
    )
    assert not told.stderr
    tries = pd.DataFrame(
        map(json.loads, told.stdout.splitlines()),
        columns=["fault", "finished", "lost", "cells", "said"],
    )
    full = r"path is '.*(\.parquet|\.npz|/probe)'; it takes a file that can be written \(No space left on device\)"
    folder = (
        r"folder is '.*figures'; it takes a folder that can be written \(No space left on device\)"
    )
    sentences = {
        "full": full,
        "full, a figure": folder,
        "full, a run": full,
        "read-only": full.replace("No space left on device", "Read-only file system"),
        "read-only, whole": "",
    }
    assert (
        set(tries["fault"]) == set(sentences)
        and tries["cells"].is_monotonic_increasing
        and tries["cells"].nunique() > 2
    )
    for fault, part in tries.groupby("fault", sort=False):
        assert not part["lost"].any() and part["said"].str.fullmatch(sentences[fault]).all(), part[
            "said"
        ].tolist()
        figure(
            f"disk {fault}",
            len(part),
            part["finished"].max(),
            part["lost"].sum(),
            sentences[fault].replace("\\", ""),
        )
    pd.testing.assert_frame_equal(
        pd.read_parquet(tmp_path / "frame.parquet"), undisturbed(12)[0], check_exact=True
    )


def test_a_full_disk_is_said_and_what_was_finished_stays(home, goes_on, figure, monkeypatch):
    """The error alone, where no disk can be mounted."""
    write, rounds = pq.write_table, times(3, 11)
    for most in range(1, rounds + 1):

        def full(*arguments, most=most, **options):
            if len(cells(home)) == most:
                raise OSError(28, "No space left on device")
            return write(*arguments, **options)

        monkeypatch.setattr(pq, "write_table", full)
        with pytest.raises(
            ValueError,
            match=r"path is .*parquet'; it takes a file that can be written \(No space left on device\)",
        ):
            studies.study("sweep", grid(12))
    monkeypatch.setattr(pq, "write_table", write)
    assert len(cells(home)) == rounds and not list((home / ".cache/cells").glob(".*"))
    figure(
        "no space left, injected",
        rounds,
        rounds,
        0,
        "path is '….parquet'; it takes a file that can be written (No space left on device)",
    )
    goes_on(12, cells(home))


def test_a_store_that_cannot_be_written_is_said_before_anything_is_computed(home, here):
    home.mkdir()
    (home / ".cache").write_text("in the way")
    with pytest.raises(ValueError, match=r"path is .*cells.*; it takes a file that can be written"):
        studies.study("sweep", grid(12))
    assert not here.submitted


def test_a_clock_that_is_set_back_changes_nothing(home, goes_on, undisturbed, figure, monkeypatch):
    """The clock on the wall runs backwards by hours, and the cells were written in the future, at the epoch's beginning and in between."""
    shutil.copytree(undisturbed(12)[1], home)
    now, chance = time.time(), random.Random(7)
    back = itertools.count(1)
    monkeypatch.setattr(time, "time", lambda: now - 3600 * next(back))
    monkeypatch.setattr(time, "time_ns", lambda: int(1e9 * time.time()))
    for path in (home / ".cache/cells").glob("*.parquet"):
        os.utime(path, (0, chance.choice([0, now + 1e9, now - 1e6])))
    for name in chance.sample(sorted(cells(home)), 6):
        (home / ".cache/cells" / name).unlink()
    goes_on(12, cells(home))
    figure("clock set back", next(back), 6, 0, "")


def test_a_study_is_there_when_its_last_file_is(home, here, monkeypatch):
    """Stopped between two files of data/, a study that was computed anew does not pass for whole with the old one's others."""
    settings = studies._settings(grid(2))
    monkeypatch.setattr(studies, "published", lambda study, scale="paper": settings)
    studies.study("figure-5")
    monkeypatch.setattr(growlib, "METHOD", growlib.METHOD + 1)
    write = studies._write_parquet
    for written in range(3):
        left = itertools.count()

        def stops(frame, path, about, left=left, written=written):
            if path.parent.name == "data" and next(left) == written:
                raise KeyboardInterrupt
            write(frame, path, about)

        monkeypatch.setattr(studies, "_write_parquet", stops)
        with pytest.raises(KeyboardInterrupt):
            studies.study("figure-5")
        assert not studies.is_stored("figure-5")
    monkeypatch.setattr(studies, "_write_parquet", write)
    studies.study("figure-5")
    assert studies.is_stored("figure-5") and len(here.done) == 4


COMPILER = """
import warnings
import growlib
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    runs = [growlib.fit("cubic-1", trials=8, epochs=40, compiled=compiled) for compiled in (None, None, False)]
assert runs[0].finals.drop(columns="seconds").equals(runs[2].finals.drop(columns="seconds"))
print(*(str(each.message) for each in caught if each.category is UserWarning), sep="\\n")
"""


def test_without_a_compiler_it_is_said_once_and_trains(figure, tmp_path):
    environment = {
        name: value for name, value in os.environ.items() if name not in ("CXX", "CC")
    } | {"PATH": str(tmp_path), "PYTHONPATH": str(ROOT)}
    told = subprocess.run(
        [sys.executable, "-c", COMPILER],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    assert (
        told.stdout
        == "no C++ compiler was found, so training runs without compiling, many times slower\n"
        and not told.stderr
    )
    figure("no C++ compiler", 2, 0, 0, told.stdout.strip())


STUDIES = """
[sweep]
quick = {trials = 2}
part = [{task = "cubic-1", width = [5, 6, 7, 8, 9, 10, 11, 12], trials = 8, epochs = 40, log_every = 20, compiled = false}]
"""


@pytest.fixture
def project(tmp_path):
    """A project of its own: this growlib and this driver, one study of eight cells, a notebook that sleeps."""
    for name in ("growlib.py", "tools/notebooks.py"):
        (tmp_path / "project" / name).parent.mkdir(exist_ok=True, parents=True)
        shutil.copy(ROOT / name, tmp_path / "project" / name)
    shutil.copytree(
        ROOT / "growkit", tmp_path / "project/growkit", ignore=shutil.ignore_patterns("__pycache__")
    )
    for name in ("data", "notebooks"):
        (tmp_path / "project" / name).mkdir()
    (tmp_path / "project/data/studies.toml").write_text(STUDIES)
    write_notebook(tmp_path / "project", "import time\ntime.sleep(1e6)")
    return tmp_path / "project"


def write_notebook(project, text):
    parameters = nbformat.v4.new_code_cell(
        'scale = "quick"\nfolder = ""', metadata={"tags": ["parameters"]}
    )
    kernel = {
        "kernelspec": {"name": "python3", "display_name": "Python 3"},
        "language_info": {"name": "python"},
    }
    book = nbformat.v4.new_notebook(
        cells=[parameters, nbformat.v4.new_code_cell(text)], metadata=kernel
    )
    nbformat.write(book, project / "notebooks/99_test.ipynb")


def drive(project, *arguments):
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


def family(process, words):
    """The processes that the driver started, straight or not, with these words in their commands."""
    with suppress(psutil.Error):
        return [
            child
            for child in psutil.Process(process.pid).children(recursive=True)
            if words in " ".join(child.cmdline())
        ]
    return []


def told(process):
    """What the driver says until it ends, without how far it is."""
    return re.sub(
        r"^99_test: cell (starting|\d+ of \d+), \d+ s.*\n",
        "",
        process.communicate(timeout=200)[0],
        flags=re.MULTILINE,
    )


STOPPED = "stopped; what was finished stays, and the same command goes on from there\n"
DIED = "a worker of study 'sweep' died, perhaps for want of memory; what it had finished stays in the store\n"


@pytest.mark.parametrize(
    ("fault", "strike", "said", "status"),
    [
        ("Ctrl-C", lambda process: os.killpg(process.pid, signal.SIGINT), STOPPED, 130),
        pytest.param(
            "terminated", lambda process: process.terminate(), STOPPED, 130, marks=pytest.mark.slow
        ),
        pytest.param(
            "a worker killed",
            lambda process: family(process, "spawn_main")[0].kill(),
            DIED,
            1,
            marks=pytest.mark.slow,
        ),
    ],
)
def test_make_paper_that_is_struck_says_a_sentence_and_goes_on(
    fault, strike, said, status, project, figure
):
    process = drive(project, "--scale", "paper")
    until(lambda: len(cells(project)) > 1 and len(family(process, "spawn_main")) == 2, process)
    everyone, finished = psutil.Process(process.pid).children(recursive=True), cells(project)
    strike(process)
    assert told(process) == said and process.returncode == status
    _, alive = psutil.wait_procs(everyone, timeout=60)
    figure(
        f"make paper: {fault}",
        1,
        len(finished),
        len(finished.items() - cells(project).items()),
        said.strip(),
    )
    assert not alive and finished.items() <= cells(project).items()


@pytest.mark.parametrize(
    ("fault", "running"),
    [
        ("SIGINT", "papermill"),
        ("SIGTERM", "ipykernel_launcher"),
        ("SIGKILL", "ipykernel_launcher"),
        *(
            pytest.param(fault, "ipykernel_launcher", marks=pytest.mark.slow)
            for fault in ("SIGINT", "SIGHUP")
        ),
    ],
)
def test_a_notebook_ends_with_its_driver(fault, running, project, figure):
    process = drive(project)
    until(lambda: family(process, running), process)
    everyone = psutil.Process(process.pid).children(recursive=True)
    os.killpg(process.pid, getattr(signal, fault))
    said = "" if fault == "SIGKILL" else STOPPED
    assert told(process) == said and process.returncode == (130 if said else -signal.SIGKILL)
    _, alive = psutil.wait_procs(everyone, timeout=60)
    figure(f"driver of a notebook: {fault} while {running} starts", 1, 0, 0, said.strip())
    assert not alive


def test_a_kernel_that_is_killed_is_said(project, figure):
    chance, rounds = random.Random(3), times(1, 5)
    for _ in range(rounds):
        process = drive(project)
        until(lambda process=process: family(process, "ipykernel_launcher"), process)
        time.sleep(chance.uniform(0, 3))
        family(process, "ipykernel_launcher")[0].kill()
        said = told(process)
        assert process.returncode == 1 and said.count("\n") == 1 and "Kernel died" in said
    figure("a notebook's kernel killed", rounds, 0, 0, said.strip())


@pytest.mark.parametrize(
    ("arguments", "way", "sentence"),
    [
        (
            ["--scale", "paper"],
            ".cache",
            "path is '{}/.cache/cells/probe'; it takes a file that can be written (Not a directory)\n",
        ),
        ([], "figures", "99_test: {}/figures/quick cannot be written (Not a directory)\n"),
    ],
)
def test_what_the_driver_cannot_write_is_said(arguments, way, sentence, project, figure):
    write_notebook(project, "1 + 1")
    (project / way).write_text("in the way")
    process = drive(project, *arguments)
    assert told(process) == sentence.format(project) and process.returncode == 1
    figure(f"driver: {way}/ cannot be written", 1, 0, 0, sentence.format("…").strip())

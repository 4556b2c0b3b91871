"""Where a study can be started, and where it keeps its cells."""

import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import Executor, Future
from multiprocessing import current_process
from pathlib import Path

import pytest

import growlib
from growkit import studies

ROOT = Path(__file__).resolve().parent.parent

GRID = {"task": "cubic-1", "trials": 4, "epochs": 20, "log_every": 20, "compiled": False}
TINY = GRID | {"arm": ["growing", "static"]}
OWN_GROWTH = """
class Mine(growlib.AuxiliaryWeight):
    pass

"""
# The study has two cells, one for each worker.
START = f"""
import growlib
from growkit import studies
print("started")
studies.CELL_SECONDS = 4.5 * studies._seconds(studies._settings({TINY})[0])
"""
STUDY = f"""
frame = studies.study("sweep", {TINY}, workers=2)
print(len(frame), "rows of", " and ".join(frame["arm"].unique()))
"""
STUDY_OF_OWN_GROWTH = f"""
frame = studies.study("sweep", {GRID} | {{"growth": [Mine(), Mine(2.0)]}}, workers=1)
print(len(frame), "rows of", " and ".join(frame["arm"].unique()))
"""
DONE = "started\n8 rows of growing and static\n"


def guarded(code):
    lines = "".join(f"    {line}\n" for line in code.strip().splitlines())
    return f'if __name__ == "__main__":\n{lines}'


def run(arguments, folder, modules=ROOT, text=None, **environment):
    """What a Python process in `folder` writes, with the kit that lies in `modules`."""
    without = ("GROWLIB_HOME", "XDG_CACHE_HOME")
    known = {name: value for name, value in os.environ.items() if name not in without}
    known |= {
        "PYTHONPATH": str(modules),
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": "1",
        "GROWLIB_PROGRESS": os.devnull,
    }
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=known | environment,
        input=text,
        capture_output=True,
        text=True,
        timeout=200,
    )


def start(way, code, folder):
    """Run a program from a file, from standard input, or as an argument, on a store in `folder`."""
    environment = {"GROWLIB_HOME": str(folder / "home")}
    if way == "-":
        return run(["-"], folder, text=code, **environment)
    if way == "-c":
        return run(["-c", code], folder, **environment)
    (folder / "sweep.py").write_text(code)
    return run(["sweep.py"], folder, **environment)


# -------------------------------------------------------------------------------- an installed copy


@pytest.fixture
def installed(tmp_path):
    """A folder like site-packages, which holds the modules and nothing else of the project."""
    site = tmp_path / "site-packages"
    site.mkdir()
    for name in ("growlib.py", "growloops.py"):
        shutil.copy(ROOT / name, site)
    shutil.copytree(
        ROOT / "growkit", site / "growkit", ignore=shutil.ignore_patterns("__pycache__")
    )
    return site


def test_an_installed_copy_says_where_the_stored_studies_are(installed, tmp_path):
    calls = ["stored('figure-3')", "published('figure-3')", "is_stored('figure-3')"]
    calls += ["about_stored('figure-3')", "results('figure-3')", "study('figure-3')"]
    code = "from growkit import studies\n"
    for call in calls:
        code += f"try: studies.{call}\nexcept FileNotFoundError as error: print(error)\n"
    done = run(["-c", code], tmp_path, installed, HOME=str(tmp_path / "user"))
    sentence = (
        "study 'figure-3' is not installed: the stored studies come with the repository, "
        "and GROWLIB_HOME names the folder of a checkout\n"
    )
    assert (done.stdout, done.stderr) == (len(calls) * sentence, "")


def test_an_installed_copy_keeps_its_cells_in_the_users_cache_folder(installed, tmp_path):
    before = sorted(installed.rglob("*"))
    places = {"HOME": str(tmp_path / "user"), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    done = run(["-c", START + STUDY], tmp_path, installed, **places)
    assert (done.stdout, done.stderr) == (DONE, "")
    assert len(list((tmp_path / "cache/growlib").rglob("cells/*.parquet"))) == 2
    assert sorted(installed.rglob("*")) == before
    assert not (tmp_path / "user").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="the folder of this system has another name")
def test_the_users_cache_folder_is_where_the_system_has_it(installed, tmp_path):
    code = "import growlib; print(growlib.HOME)"
    done = run(["-c", code], tmp_path, installed, HOME=str(tmp_path / "user"))
    assert done.stdout == f"{tmp_path}/user/.cache/growlib\n", done.stderr


def test_an_installed_copy_reads_the_studies_of_a_checkout(installed, tmp_path):
    code = "from growkit import studies\nprint(len(studies.stored('figure-2')))"
    done = run(["-c", code], tmp_path, installed, GROWLIB_HOME=str(ROOT))
    assert done.stdout == f"{len(studies.stored('figure-2'))}\n", done.stderr


# ------------------------------------------------------------------------- scripts, standard input


@pytest.mark.parametrize(
    ("way", "code"),
    [
        ("script", START + STUDY),
        ("script", START + guarded(STUDY)),
        ("-", START + STUDY),
        ("-c", START + STUDY),
    ],
    ids=["script", "script with a main guard", "standard input", "argument"],
)
def test_a_study_can_be_started_from_anywhere(way, code, tmp_path):
    """Its workers do not run the program again, whether it has a main guard or not."""
    done = start(way, code, tmp_path)
    assert (done.stdout, done.stderr, done.returncode) == (DONE, "", 0)
    assert len(list((tmp_path / "home/.cache/cells").glob("*.parquet"))) == 2


def test_workers_import_a_script_whose_growth_they_need(tmp_path):
    code = START + OWN_GROWTH + guarded(STUDY_OF_OWN_GROWTH)
    done = start("script", code, tmp_path)
    assert done.stdout.splitlines()[-1] == "8 rows of growing", done.stderr
    assert (done.stderr, done.returncode) == ("", 0)


def test_a_study_of_an_own_growth_without_a_main_guard_is_refused_in_a_sentence(tmp_path):
    """The workers import the script, reach the study, and end instead of starting workers."""
    done = start("script", START + OWN_GROWTH + STUDY_OF_OWN_GROWTH, tmp_path)
    assert done.returncode == 1
    assert done.stderr.count("Traceback") == 1  # that of the script itself
    assert done.stderr.splitlines()[-1] == (
        "RuntimeError: a worker of study 'sweep' died, perhaps because memory ran out, or because "
        "the script that defines its tasks or growths starts it outside of "
        '`if __name__ == "__main__":`; what it had finished stays in the cache'
    )


def test_a_study_of_an_own_growth_from_standard_input_is_refused_in_a_sentence(tmp_path):
    done = start("-", START + OWN_GROWTH + STUDY_OF_OWN_GROWTH, tmp_path)
    assert done.returncode == 1
    assert done.stderr.count("Traceback") == 1
    assert done.stderr.splitlines()[-1].startswith(
        "ValueError: grid is ['cubic-1, Mine']; it takes tasks and growths that workers can import"
    )


def test_a_task_that_the_script_registers_or_replaces_is_its_own(monkeypatch):
    cell = studies._cells(studies._settings(TINY))[0]
    assert not studies._needs_script(cell)
    monkeypatch.setitem(growlib.TASKS, "mine", growlib.TASKS["cubic-1"])
    assert studies._needs_script(cell | {"task": "mine"})
    monkeypatch.setitem(growlib.TASKS, "cubic-1", growlib.TASKS["cubic-2"])
    assert studies._needs_script(cell)


OWN_TASK = """
import functools
import numpy as np
import growlib
growlib.TASKS["mine"] = functools.partial(growlib._few, "mine", np.sin, "squared")
growlib.TASKS["theirs"] = growlib.TASKS["spirals"]
"""
STUDY_OF_OWN_TASK = f"""
for task in ("mine", "theirs"):
    grid = {GRID} | {{"task": task, "points": 200}}
    print(len(studies.study("sweep", grid, workers=1)), "rows of", task)
"""


def test_workers_import_a_script_that_registers_tasks_before_it_imports_this_module(tmp_path):
    code = OWN_TASK + "from growkit import studies\n" + guarded(STUDY_OF_OWN_TASK)
    done = start("script", code, tmp_path)
    assert (done.stdout, done.stderr) == ("4 rows of mine\n4 rows of theirs\n", "")


def test_workers_find_the_tasks_of_a_module_that_the_script_imports(tmp_path):
    (tmp_path / "lessons.py").write_text(OWN_TASK)
    code = "import lessons\nfrom growkit import studies\n" + guarded(STUDY_OF_OWN_TASK)
    done = start("script", code, tmp_path)
    assert (done.stdout, done.stderr) == ("4 rows of mine\n4 rows of theirs\n", "")


def test_a_worker_that_imports_the_script_starts_no_study(tmp_path, monkeypatch, serial_pool):
    monkeypatch.setattr(growlib, "HOME", tmp_path)
    monkeypatch.setattr(current_process(), "_inheriting", True, raising=False)
    with pytest.raises(SystemExit):
        studies.study("sweep", TINY)
    assert not serial_pool.submitted


def test_the_script_is_hidden_only_while_workers_start(tmp_path, monkeypatch):
    monkeypatch.setattr(growlib, "HOME", tmp_path)
    script = sys.modules["__main__"]
    monkeypatch.setattr(script, "__spec__", None)
    monkeypatch.setattr(script, "__file__", "script.py", raising=False)  # xdist's has none
    seen = []

    class Fails(Executor):
        def submit(self, *_):
            seen.append((script.__spec__, script.__file__))
            raise KeyboardInterrupt

    monkeypatch.setattr(studies, "ProcessPoolExecutor", lambda *_: Fails())
    with pytest.raises(KeyboardInterrupt):
        studies.study("sweep", TINY)
    assert seen == [(None, None)]
    assert (script.__spec__, script.__file__) == (None, "script.py")


def test_a_study_loads_nothing_that_draws(tmp_path):
    """Each worker imports this module, and should start in a moment."""
    code = "import sys\nimport growkit.studies\nprint(*sys.modules)"
    loaded = set(run(["-c", code], tmp_path).stdout.split())
    assert "growkit.studies" in loaded
    assert not loaded & {"matplotlib", "seaborn", "ipywidgets", "IPython", "dask", "distributed"}


# -------------------------------------------------------------------------------- what goes wrong


class Cluster(Executor):
    """The part of a dask client that a study uses, whose one worker finds the disk full."""

    def get_executor(self, **_):
        return self

    def submit(self, *_):
        future = Future()
        future.set_exception(ValueError("path is '/cells'; it takes a file that can be written"))
        return future

    def shutdown(self, wait=True):
        """As dask has it, without `cancel_futures`."""


def test_an_error_of_a_cluster_is_passed_on(tmp_path, monkeypatch):
    monkeypatch.setattr(growlib, "HOME", tmp_path)
    with pytest.raises(ValueError, match="it takes a file that can be written"):
        studies.study("sweep", TINY, client=Cluster())


def test_progress_is_told_in_a_file_whose_last_state_counts(tmp_path, monkeypatch):
    told = tmp_path / "progress.txt"
    monkeypatch.setenv("GROWLIB_PROGRESS", str(told))
    with studies._progress("sweep") as report:
        for fraction in (0.2, 0.5):
            time.sleep(0.2)
            report(fraction)
        states = told.read_bytes().decode().split("\r")
    assert states[-1].startswith("sweep 50 %, ") and states[-1].rstrip().endswith(" left")
    assert "\n" not in told.read_bytes().decode()

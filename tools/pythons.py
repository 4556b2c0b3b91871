"""Run the module's tests on every Python of this machine, with the newest and the oldest libraries.

    python tools/pythons.py [CASE ...]

A case is a Python and a choice of libraries, such as 3.12-newest. Without any, each Python is tried
with the newest libraries that `pyproject.toml` allows, and the oldest Python also with the oldest
ones.

`make pythons` calls this file; maintainers open it. It imports nothing of the project. Each case
gets an environment of its own in `.cache/pythons/`, which is removed afterwards (torch takes 5 GB
where pip has no build without CUDA), and leaves its results there. `tests/PYTHONS.md` is written
anew from the results of all cases. A Python is found as `python3.12` on PATH, or named in full in
PYTHONS="/path/to/python3.12 ...".
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from datetime import date
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parent.parent
HERE = ROOT / ".cache/pythons"
REPORT = ROOT / "tests/PYTHONS.md"

PYTHONS = ("3.11", "3.12", "3.13", "3.14")

# What the tests need beside the dependencies of the project, at the pins of requirements.txt.
TESTING = (
    "dask-jobqueue",
    "hypothesis",
    "ipykernel",
    "mnist1d",
    "numpydoc",
    "papermill",
    "psutil",
    "pytest",
    "pytest-xdist",
    "safetensors",
    "scikit-learn",
)

# These test the notebooks, their driver, the README, the pins and the servers.
LEFT_OUT = (
    "test_browser.py",
    "test_driver.py",
    "test_driver_progress.py",
    "test_project.py",
    "test_safety.py",
)

# The libraries whose versions the report shows.
SHOWN = (
    "torch",
    "numpy",
    "scipy",
    "pandas",
    "pyarrow",
    "matplotlib",
    "seaborn",
    "tqdm",
    "ipywidgets",
    "dask",
)


class NotTried(Exception):
    """The reason why the tests of a case did not run."""


class Case(NamedTuple):
    """A Python and a choice of libraries, "newest" or "oldest"."""

    python: str
    libraries: str

    def __str__(self):
        return f"{self.python}-{self.libraries}"

    @property
    def environment(self) -> Path:
        """The folder of the virtual environment."""
        return HERE / str(self)

    @property
    def inside(self) -> Path:
        """The Python of the virtual environment."""
        return self.environment / "bin/python"

    @property
    def results(self) -> Path:
        """The file that pytest writes its results to."""
        return HERE / f"{self}.xml"

    @property
    def row(self) -> Path:
        """The file that keeps the case's row of the report."""
        return HERE / f"{self}.json"


def main(arguments):
    """Try the cases that the command line names, or all, and write the report."""
    for argument in arguments:
        if not re.fullmatch(r"3\.\d+-(newest|oldest)", argument):
            takes = "a Python and its libraries, such as 3.12-newest"
            sys.exit(f"CASE is {argument!r}; it takes {takes}")

    cases = [Case(*argument.split("-")) for argument in arguments]
    if not cases:
        newest = [Case(python, "newest") for python in PYTHONS]
        cases = [Case(PYTHONS[0], "oldest"), *newest]

    HERE.mkdir(parents=True, exist_ok=True)
    for case in cases:
        case.row.write_text(json.dumps(tried(case)))

    rows = [json.loads(path.read_text()) for path in sorted(HERE.glob("*.json"))]
    REPORT.write_text("\n".join(report(rows)) + "\n")


def tried(case):
    """Run the tests of a case; return its row of the report."""
    row = {"case": str(case), "date": str(date.today())}
    try:
        make_environment(case)
        row["python"] = exact_version(case)
        row["versions"] = shown_versions(case)
        run_tests(case)
        row |= outcome(case)
    except NotTried as reason:
        row["failures"] = [str(reason)]
    finally:
        shutil.rmtree(case.environment, ignore_errors=True)
    return row


def make_environment(case):
    """Make the virtual environment and install the libraries and the project into it."""
    shutil.rmtree(case.environment, ignore_errors=True)
    python = found_python(case.python)
    made = quietly([python, "-m", "venv", case.environment])
    if made.returncode:
        raise NotTried(f"{Path(python).name} is there and does not run")

    # Without a cache and compiled files, since the environment is used only once.
    once = ["--no-cache-dir", "--no-compile"]
    install(case, [*once, *needed(case.libraries)])
    install(case, ["--no-deps", "-e", ROOT])


def found_python(version):
    """Return the path of a Python, which PYTHONS names or PATH leads to."""
    for path in os.environ.get("PYTHONS", "").split():
        named = re.search(r"3\.\d+", Path(path).name)
        if named and named[0] == version:
            return path
    path = shutil.which(f"python{version}")
    if path is None:
        raise NotTried(f"no python{version} on this machine")
    return path


def needed(libraries):
    """Return what pip is to install: the project's dependencies and what the tests need.

    Parameters
    ----------
    libraries : {"newest", "oldest"}
        Whether pip chooses the versions, or each is the oldest that `pyproject.toml` allows.

    Returns
    -------
    list of str
        Requirements, such as "torch>=2.13" or "torch==2.13".
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    dependencies = [*project["dependencies"], *project["optional-dependencies"]["cluster"]]
    names = {re.match(r"[\w-]+", dependency)[0] for dependency in dependencies}
    if libraries == "oldest":
        dependencies = [dependency.replace(">=", "==") for dependency in dependencies]

    pinned = (ROOT / "requirements.txt").read_text()
    pins = dict(re.findall(r"^([\w-]+)(==\S+)", pinned, re.MULTILINE))
    testing = [name + pins[name] for name in TESTING if name not in names]
    return dependencies + testing


def install(case, arguments):
    """Install something with pip, or fail with the last error that pip reports."""
    pip = quietly([case.inside, "-m", "pip", "install", "-q", *arguments])
    if pip.returncode:
        errors = [line for line in pip.stderr.splitlines() if line.startswith("ERROR")]
        raise NotTried(errors[-1] if errors else "pip failed")


def exact_version(case):
    """Return the version of the environment's Python, such as 3.12.4."""
    python = quietly([case.inside, "-c", "import platform; print(platform.python_version())"])
    return python.stdout.strip()


def shown_versions(case):
    """Return the installed versions of the libraries that the report shows."""
    listed = quietly([case.inside, "-m", "pip", "list", "--format=json"])
    installed = {each["name"].lower(): each["version"] for each in json.loads(listed.stdout)}
    return {name: installed[name] for name in SHOWN}


def run_tests(case):
    """Run the tests in the environment; pytest writes what came of them."""
    case.results.unlink(missing_ok=True)
    command = [case.inside, "-m", "pytest", "-q", "-n", "2", "--dist", "loadfile"]
    command += ["-m", "not slow"]
    # One library may use what another one deprecates; that is no failure of this project.
    command += ["-W", "ignore::DeprecationWarning"]
    command += [f"--junitxml={case.results}"]
    command += [f"--ignore=tests/{name}" for name in LEFT_OUT]
    command += ["tests"]
    one_thread = {"OMP_NUM_THREADS": "1", "MPLCONFIGDIR": str(case.environment)}
    subprocess.run(command, cwd=ROOT, env=os.environ | one_thread)


def outcome(case):
    """Return how many tests passed, failed and were skipped, and the names of those that failed."""
    if not case.results.exists():
        raise NotTried("pytest did not start")

    suite = ElementTree.parse(case.results).find("testsuite")
    failures = []
    for test in suite.iter("testcase"):
        if test.find("failure") is not None or test.find("error") is not None:
            failures.append(test.get("name"))

    failed = int(suite.get("failures")) + int(suite.get("errors"))
    skipped = int(suite.get("skipped"))
    return {
        "passed": int(suite.get("tests")) - failed - skipped,
        "failed": failed,
        "skipped": skipped,
        "failures": failures,
    }


def quietly(command):
    """Run a command and return its end and what it wrote."""
    return subprocess.run(command, capture_output=True, text=True)


HEAD = """# The module's tests on other Pythons and libraries

`make pythons` writes this page: every Python that the machine has, with the newest
libraries that `pyproject.toml` allows, and the oldest Python with the oldest ones. Left out are \
{left_out}, which test what is around the module.
"""


def report(rows):
    """Yield the lines of the report: a table with a row a case, then what went wrong."""
    yield HEAD.format(left_out=", ".join(f"`{name}`" for name in LEFT_OUT))

    columns = ["Python", "libraries", "passed", "failed", "skipped", *SHOWN, "date"]
    yield table_line(columns)
    yield "|" + "---|" * len(columns)
    for row in rows:
        python, libraries = row["case"].split("-")
        numbers = [row.get(name, "–") for name in ("passed", "failed", "skipped")]
        versions = row.get("versions", {})
        shown = [versions.get(name, "–") for name in SHOWN]
        yield table_line([row.get("python", python), libraries, *numbers, *shown, row["date"]])

    for row in rows:
        for failure in row["failures"]:
            yield f"\n{row['case']}: {failure}"


def table_line(values):
    """Return a line of a Markdown table."""
    return "| " + " | ".join(str(value) for value in values) + " |"


if __name__ == "__main__":
    main(sys.argv[1:])

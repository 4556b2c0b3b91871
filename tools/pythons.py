"""Run the module's tests on every Python that is here, with the newest and with the oldest libraries that pyproject.toml allows.

    python tools/pythons.py [CASE ...]      a case is a Python and a choice of libraries, such as 3.12-newest

Each case gets an environment of its own in .cache/pythons/, which is removed afterwards (torch takes 5 GB where pip has no build
without CUDA), and leaves its results there; tests/PYTHONS.md is written anew from the results of all cases. A Python
is found as `python3.12` on PATH, or named in full in PYTHONS="/path/to/python3.12 ...".
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
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parent.parent
HERE, REPORT = ROOT / ".cache/pythons", ROOT / "tests/PYTHONS.md"
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
TESTING = (
    "dask-jobqueue",
    "hypothesis",
    "ipykernel",
    "numpydoc",
    "papermill",
    "psutil",
    "pytest",
    "pytest-xdist",
    "safetensors",
    "scikit-learn",
)  # at the pins of requirements.txt
LEFT_OUT = (
    "test_browser.py",
    "test_project.py",
    "test_safety.py",
)  # they test the notebooks, the README, the pins and the servers
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


def needed(libraries):
    """What pip is to install: the dependencies of pyproject.toml and of its extra, the oldest ones or any, and what tests."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    bounds = [*project["dependencies"], *project["optional-dependencies"]["cluster"]]
    pins = dict(
        re.findall(r"^([\w-]+)(==\S+)", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    )
    named = {re.match(r"[\w-]+", bound)[0] for bound in bounds}
    return [bound.replace(">=", "==") if libraries == "oldest" else bound for bound in bounds] + [
        n + pins[n] for n in TESTING if n not in named
    ]


def tried(case, python):
    """What came of a case, as a row of the table."""
    row, home, report = {"case": case, "date": str(date.today())}, HERE / case, HERE / f"{case}.xml"
    inside = str(home / "bin/python")
    shutil.rmtree(home, ignore_errors=True)
    report.unlink(missing_ok=True)
    made = subprocess.run([python, "-m", "venv", home], capture_output=True, text=True)
    if made.returncode:
        return row | {"failures": [f"{Path(python).name} is there and does not run"]}
    wanted = needed(case.split("-")[1])
    pip = subprocess.run(
        [inside, "-m", "pip", "install", "-q", "--no-cache-dir", "--no-compile", *wanted],
        capture_output=True,
        text=True,
    )
    itself = subprocess.run(
        [inside, "-m", "pip", "install", "-q", "--no-deps", "-e", ROOT],
        capture_output=True,
        text=True,
    )
    if pip.returncode or itself.returncode:
        shutil.rmtree(home)
        return row | {
            "failures": [
                line
                for line in (pip.stderr + itself.stderr).splitlines()
                if line.startswith("ERROR")
            ][-1:]
        }
    listed = json.loads(
        subprocess.run(
            [inside, "-m", "pip", "list", "--format=json"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    )
    versions = {each["name"].lower(): each["version"] for each in listed}
    row["python"] = subprocess.run(
        [inside, "-c", "import platform; print(platform.python_version())"],
        capture_output=True,
        text=True,
    ).stdout.strip()
    ignored = [f"--ignore=tests/{name}" for name in LEFT_OUT]
    run = [
        inside,
        "-m",
        "pytest",
        "-q",
        "-n",
        "2",
        "--dist",
        "loadfile",
        "-m",
        "not slow",
        "-W",
        "ignore::DeprecationWarning",
        f"--junitxml={report}",
        *ignored,
        "tests",
    ]  # one library's word to another is no failure
    subprocess.run(
        run, cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1", "MPLCONFIGDIR": str(home)}
    )
    shutil.rmtree(home)
    if not report.exists():
        return row | {"failures": ["pytest did not start"]}
    suite = ElementTree.parse(report).find("testsuite")
    count = {kind: int(suite.get(kind)) for kind in ("tests", "failures", "errors", "skipped")}
    failed = count["failures"] + count["errors"]
    names = [
        test.get("name")
        for test in suite.iter("testcase")
        if test.find("failure") is not None or test.find("error") is not None
    ]
    return row | {
        "versions": {name: versions[name] for name in SHOWN},
        "passed": count["tests"] - failed - count["skipped"],
        "failed": failed,
        "skipped": count["skipped"],
        "failures": names,
    }


def table(rows):
    """The report: a row a case."""
    yield "# The module's tests on other Pythons and libraries\n\n`make pythons` writes this page: every Python that the machine has, with the newest"
    yield (
        "libraries that `pyproject.toml` allows, and the oldest Python with the oldest ones. Left out are "
        f"{', '.join(f'`{name}`' for name in LEFT_OUT)}, which test what is around the module.\n"
    )
    yield f"| Python | libraries | passed | failed | skipped | {' | '.join(SHOWN)} | date |\n|{'---|' * (len(SHOWN) + 6)}"
    for row in rows:
        python, libraries = row["case"].split("-")
        numbers = [row.get(name, "–") for name in ("passed", "failed", "skipped")]
        yield (
            "| "
            + " | ".join(
                map(
                    str,
                    [
                        row.get("python", python),
                        libraries,
                        *numbers,
                        *(row.get("versions", {}).get(n, "–") for n in SHOWN),
                        row["date"],
                    ],
                )
            )
            + " |"
        )
    for row in rows:
        for failure in row["failures"]:
            yield f"\n{row['case']}: {failure}"


def main(cases):
    """Try the cases and write the report."""
    for case in cases:
        if not re.fullmatch(r"3\.\d+-(newest|oldest)", case):
            sys.exit(f"CASE is {case!r}; it takes a Python and its libraries, such as 3.12-newest")
    given = {
        re.search(r"3\.\d+", Path(path).name)[0]: path
        for path in os.environ.get("PYTHONS", "").split()
    }
    HERE.mkdir(parents=True, exist_ok=True)
    for case in cases or [f"{PYTHONS[0]}-oldest", *(f"{version}-newest" for version in PYTHONS)]:
        version = case.split("-")[0]
        python = given.get(version) or shutil.which(f"python{version}")
        row = (
            tried(case, python)
            if python
            else {
                "case": case,
                "date": str(date.today()),
                "failures": [f"no python{version} on this machine"],
            }
        )
        (HERE / f"{case}.json").write_text(json.dumps(row))
    REPORT.write_text(
        "\n".join(table([json.loads(path.read_text()) for path in sorted(HERE.glob("*.json"))]))
        + "\n"
    )


if __name__ == "__main__":
    main(sys.argv[1:])

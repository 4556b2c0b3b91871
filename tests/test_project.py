"""The project as a whole: notebooks, README, imports, format, requirements and size."""

import ast
import json
import re
import subprocess
import sys

import nbformat
import pytest
import yaml
from conftest import ROOT

sys.path.insert(0, str(ROOT / "tools"))

import readme

import notebooks

# ---------------------------------------------------------------------------------------- notebooks

BOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
each_book = pytest.mark.parametrize("path", BOOKS, ids=lambda path: path.stem)


def source(cell):
    return "".join(cell["source"])


def code_cells(book):
    return [cell for cell in book["cells"] if cell["cell_type"] == "code"]


@each_book
def test_a_notebook_is_one_clean_run_without_traces_of_a_machine(path):
    text = path.read_text()
    assert path.stat().st_size < 300 * 1024
    nbformat.validate(nbformat.reads(text, 4))
    assert not notebooks.MACHINE_PATH.search(re.sub(r'"image/png": "[^"]*"', "", text))

    book = json.loads(text)
    assert not list(notebooks.problems(book))
    cells = code_cells(book)
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))


@each_book
def test_a_notebook_keeps_the_house_style(path):
    book = json.loads(path.read_text())
    assert re.fullmatch(r"\d\d_[a-z0-9_]+", path.stem)
    title = source(book["cells"][0])
    assert title.startswith("# ")
    assert "**Short answer.**" in title

    tagged = {"parameters": [], "nbval-check-output": []}
    for cell in book["cells"]:
        for tag in cell["metadata"].get("tags", []):
            tagged.setdefault(tag, []).append(cell)
    assert len(tagged["parameters"]) == 1
    assert len(tagged["nbval-check-output"]) >= 3
    for cell in tagged["nbval-check-output"]:
        assert cell["outputs"], source(cell)

    texts = [source(cell) for cell in code_cells(book)]
    for text in texts:
        assert len([line for line in text.splitlines() if line.strip()]) <= 15, text
        assert "ipywidgets" not in text
    assert any("def draw(" in text for text in texts)
    assert any("widgets.explore(draw" in text for text in texts)
    assert notebooks.promised(book)


@each_book
def test_published_figures_are_committed(path):
    for name in notebooks.promised(json.loads(path.read_text())):
        for file in notebooks.files(name):
            assert (ROOT / "figures" / file).exists(), file


@each_book
def test_short_answers_are_those_of_the_data(path):
    assert json.loads(readme.answered(path, readme.results())) == json.loads(path.read_text())


# ------------------------------------------------------------------------------------------- README


def test_the_readme_is_what_its_tool_writes():
    assert readme.readme(readme.results()) == (ROOT / "README.md").read_text()


def test_the_readme_shows_its_first_result_within_40_lines():
    lines = (ROOT / "README.md").read_text().splitlines()
    assert any(line.startswith("| bessel") for line in lines[:41])


# ----------------------------------------------------------------------------------------- the code

# A module of the kit may import the modules of the lines above its own.
LAYERS = [
    {"statistics"},
    {"tasks", "rules"},
    {"studies"},
    {"figures"},
    {"widgets"},
]
ALONE = {"tables", "surgery"}  # they import no module of the kit, and none imports them
KIT = {path.stem: path for path in (ROOT / "growkit").glob("*.py")}


def imported(path):
    """Return the modules that a program imports anywhere, such as `growkit.studies`."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path.name} has a relative import"
            found.add(node.module)
            if node.module == "growkit":  # its names are modules
                found.discard("growkit")
                found |= {f"growkit.{alias.name}" for alias in node.names}
    return found


def modules_of_the_kit(path):
    names = {name for name in imported(path) if name.split(".")[0] == "growkit"}
    return {name.removeprefix("growkit.") for name in names}


OF_THE_KIT = {"seaborn", "matplotlib", "ipywidgets", "dask", "growkit"}


def test_growlib_imports_nothing_that_only_the_kit_needs():
    names = {name.split(".")[0] for name in imported(ROOT / "growlib.py")}
    # pandas loads pyarrow and torch loads tqdm, but growlib itself uses neither
    assert not names & (OF_THE_KIT | {"pyarrow", "tqdm"})


def test_importing_growlib_loads_nothing_that_only_the_kit_needs():
    program = "import sys, growlib; print(*sys.modules)"
    said = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = {name.split(".")[0] for name in said.stdout.split()}
    assert "growlib" in loaded
    assert not loaded & OF_THE_KIT


def test_every_module_of_the_kit_has_its_place_in_the_order_of_imports():
    assert KIT.keys() - {"__init__"} <= set.union(*LAYERS) | ALONE
    assert not imported(KIT["__init__"])


@pytest.mark.parametrize("name", sorted(KIT.keys() - {"__init__"}))
def test_a_module_of_the_kit_imports_only_from_before_it(name):
    before = set()
    if name not in ALONE:
        for layer in LAYERS:
            if name in layer:
                break
            before |= layer
    assert modules_of_the_kit(KIT[name]) <= before


@pytest.mark.parametrize("path", [ROOT / "growlib.py", *KIT.values()], ids=lambda path: path.name)
def test_the_module_and_the_kit_import_neither_tools_nor_tests(path):
    others = {"tools", "tests"}
    for folder in ("tools", "tests", "tests/benchmarks"):
        others |= {each.stem for each in (ROOT / folder).glob("*.py")}
    assert not {name.split(".")[0] for name in imported(path)} & others


def test_all_code_is_formatted_by_ruff():
    command = [sys.executable, "-m", "ruff", "format", "--check", "."]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert said.returncode == 0, said.stdout + said.stderr


def test_make_test_checks_the_code_by_ruff():
    command = ["make", "--no-print-directory", "-n", "-o", ".venv/ready", "test"]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    lines = [line.strip() for line in said.stdout.splitlines()]
    assert any(line.endswith("ruff check .") for line in lines)
    assert any(line.endswith("ruff format --check .") for line in lines)


# ---------------------------------------------------------------------------- requirements and size


def pins(lines):
    """Return the versions of the lines that pin one, such as `numpy==2.4.0`, by name."""
    return dict(re.match(r"([\w-]+)==([\w.]+)", line).groups() for line in lines if "==" in line)


CONDA_NAMES = {
    "pytorch-cpu": "torch",
    "matplotlib-base": "matplotlib",
    "seaborn-base": "seaborn",
    "dask-core": "dask",
    "playwright-python": "playwright",
}


def test_environment_and_requirements_have_the_same_pins():
    *packages, by_pip = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    conda = {}
    for name, version in pins(packages + by_pip["pip"]).items():
        conda[CONDA_NAMES.get(name, name)] = version
    assert conda == pins((ROOT / "requirements.txt").read_text().splitlines())


def test_conda_reads_the_environment():
    rattler = pytest.importorskip(
        "rattler", reason="py-rattler is not installed: pip install py-rattler"
    )
    *packages, _ = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    for package in packages:
        assert rattler.MatchSpec(package).name is not None


def test_the_data_takes_less_than_40_megabytes():
    assert sum(path.stat().st_size for path in (ROOT / "data").iterdir()) < 40e6


@pytest.mark.parametrize("path", BOOKS, ids=lambda path: path.stem)
def test_a_notebook_gives_no_value_the_name_of_a_module_that_it_imports(path):
    """A cell that is run again would find the value in place of the module."""
    imported = set()
    assigned = set()
    for cell in json.loads(path.read_text())["cells"]:
        if cell["cell_type"] != "code":
            continue
        for node in ast.walk(ast.parse("".join(cell["source"]))):
            if isinstance(node, ast.Import | ast.ImportFrom):
                imported |= {alias.asname or alias.name for alias in node.names}
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                assigned.add(node.id)
    assert "figures" in imported
    assert not imported & assigned

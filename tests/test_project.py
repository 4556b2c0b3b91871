"""The project as a whole: notebooks, README, imports, format, requirements and size."""

import ast
import json
import re
import subprocess
import sys

import nbformat
import pandas as pd
import pytest
import yaml
from conftest import ROOT

sys.path.insert(0, str(ROOT / "tools"))

import readme
import results

import data
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
        assert len([line for line in text.splitlines() if line.strip()]) <= 20, text
        assert "ipywidgets" not in text
    assert any("def draw(" in text for text in texts)
    assert any(re.search(r"widgets\.explore\(\s*draw", text) for text in texts)
    assert notebooks.promised(book)


@each_book
def test_published_figures_are_committed(path):
    for name in notebooks.promised(json.loads(path.read_text())):
        for file in notebooks.files(name):
            assert (ROOT / "figures" / file).exists(), file


@each_book
def test_short_answers_are_those_of_the_data(path):
    assert json.loads(readme.answered(path)) == json.loads(path.read_text())


@each_book
def test_a_short_answer_is_short(path):
    answer = readme.ANSWERS[path.stem]()
    assert len(answer.split()) <= 45
    numbers = re.findall(r"(?<!C)\d[\d.]*(?: \d{3})*(?: of \d+)?", answer)
    assert len(numbers) <= 5
    # The README's index shows the first sentence alone.
    assert readme.first_sentence(answer) in (ROOT / "README.md").read_text()


@each_book
def test_a_notebook_is_committed_at_the_published_scale(path):
    for cell in code_cells(json.loads(path.read_text())):
        if "parameters" in cell["metadata"].get("tags", []):
            assert 'scale = "paper"' in source(cell)


@each_book
def test_the_links_of_a_notebook_lead_somewhere(path):
    for cell in json.loads(path.read_text())["cells"]:
        if cell["cell_type"] == "markdown":
            for target in re.findall(r"\]\(([^)#]+)", source(cell)):
                assert target.startswith("http") or (path.parent / target).exists(), target


# ------------------------------------------------------------------------------------------- README


def test_the_readme_is_what_its_tool_writes():
    assert readme.readme() == (ROOT / "README.md").read_text()


def test_the_page_of_results_is_what_its_tool_writes():
    assert results.page() == (ROOT / "RESULTS.md").read_text()


def test_the_readme_says_what_was_found_on_its_first_screen():
    text = (ROOT / "README.md").read_text()
    assert len(text.encode()) < 14_000
    found = readme.found()
    assert found in "".join(text.splitlines(keepends=True)[:30])
    assert (
        len(re.findall(r"(?<![a-z\d.])\d[\d.]*", found)) <= 4
    )  # but for those in names: bessel-j0


@pytest.mark.parametrize("name", ["README.md", "RESULTS.md", "CONTRIBUTING.md", "data/README.md"])
def test_the_links_of_a_page_lead_somewhere(name):
    page = ROOT / name
    for target in re.findall(r"\]\(([^)#\s]+)", page.read_text()):
        assert target.startswith("http") or (page.parent / target).exists(), target


def test_the_derived_tables_are_those_of_the_stored_studies():
    assert not data.stale()


def test_a_table_is_stale_when_what_it_is_computed_from_changes(tmp_path, monkeypatch):
    monkeypatch.setattr(data, "DATA", tmp_path)
    monkeypatch.setattr(data, "DIGESTS", tmp_path / "derived.json")
    table = data.Table(lambda: pd.DataFrame({"a": [1]}), ("study",))
    monkeypatch.setattr(data, "TABLES", {"table": table})
    (tmp_path / "study.parquet").write_bytes(b"old")
    assert data.stale() == []  # it cannot be computed yet
    (tmp_path / "study-history.parquet").write_bytes(b"history")
    assert data.stale() == ["table"]
    data.compute_tables([])
    assert (tmp_path / "table.csv").exists()
    assert data.stale() == []
    (tmp_path / "study.parquet").write_bytes(b"new")
    assert data.stale() == ["table"]


# ----------------------------------------------------------------------------------------- the code

# A module of the kit may import the modules of the lines above its own.
LAYERS = [
    {"statistics", "parameters", "remedies", "wiring"},
    {"tables", "surgery"},
    {"tasks", "rules"},
    {"growths"},
    {"benchmark"},
    {"studies"},
    {"derived"},
    {"figures"},
    {"widgets"},
]
KIT = {path.stem: path for path in (ROOT / "growkit").glob("*.py")}
DERIVED = {path.stem: path for path in (ROOT / "growkit" / "derived").glob("*.py")}
FIGURES = {path.stem: path for path in (ROOT / "growkit" / "figures").glob("*.py")}
# Likewise, a module of the figures may import the modules of the lines above its own.
LAYERS_OF_FIGURES = [
    {"style"},
    {"arms", "distributions", "ratios", "coupling", "network", "planes"},
    {"scaling"},
    {"__init__"},
]


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
    assert KIT.keys() - {"__init__"} <= set.union(*LAYERS)
    assert not imported(KIT["__init__"])


def allowed(name, layers):
    """Return the modules of the layers before that of a module."""
    before = set()
    for layer in layers:
        if name in layer:
            return before
        before |= layer
    raise LookupError(f"{name} is in no layer")


@pytest.mark.parametrize("name", sorted(KIT.keys() - {"__init__"}))
def test_a_module_of_the_kit_imports_only_from_before_it(name):
    # What is imported from a module of a package counts as the package.
    names = {each.split(".")[0] for each in modules_of_the_kit(KIT[name])}
    assert names <= allowed(name, LAYERS)


@pytest.mark.parametrize("name", sorted(FIGURES))
def test_a_module_of_the_figures_imports_only_from_before_it(name):
    before = {f"figures.{each}" for each in allowed(name, LAYERS_OF_FIGURES)}
    assert modules_of_the_kit(FIGURES[name]) <= before | {"statistics"}


@pytest.mark.parametrize("name", sorted(DERIVED))
def test_a_derived_table_is_computed_from_studies_and_statistics_alone(name):
    others = {f"derived.{each}" for each in DERIVED} | {"derived"}
    allowed = {"statistics", "studies"} | others
    if name == "rules":
        allowed |= {"benchmark"}  # which arms and tasks there are
    assert modules_of_the_kit(DERIVED[name]) <= allowed


CODE = [ROOT / "growlib.py", *KIT.values(), *DERIVED.values(), *FIGURES.values()]


@pytest.mark.parametrize("path", CODE, ids=lambda path: path.stem)
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


def test_the_data_takes_less_than_60_megabytes():
    assert sum(path.stat().st_size for path in (ROOT / "data").iterdir()) < 60e6


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

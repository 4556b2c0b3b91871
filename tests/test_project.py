"""The files around the module: notebooks, driver, README, requirements."""

import json
import re
import sys
from pathlib import Path

import nbformat
import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))

import readme  # noqa: E402

import notebooks  # noqa: E402

BOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def source(cell):
    return "".join(cell["source"])


@pytest.mark.parametrize("path", BOOKS, ids=lambda p: p.stem)
def test_notebook_is_one_clean_run_without_traces_of_a_machine(path):
    book = json.loads(path.read_text())
    nbformat.validate(nbformat.reads(path.read_text(), 4))
    code = [cell for cell in book["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    assert not list(notebooks.problems(book))
    assert not notebooks.MACHINE_PATH.search(re.sub(r'"image/png": "[^"]*"', "", path.read_text()))
    assert path.stat().st_size < 300 * 1024
    assert all("ipywidgets" not in source(cell) for cell in code)


@pytest.mark.parametrize("path", BOOKS, ids=lambda p: p.stem)
def test_notebook_keeps_the_house_style(path):
    book = json.loads(path.read_text())
    assert re.fullmatch(r"\d\d_[a-z0-9_]+", path.stem)
    assert source(book["cells"][0]).startswith("# ") and "**Short answer.**" in source(
        book["cells"][0]
    )
    tags = [cell["metadata"].get("tags", []) for cell in book["cells"]]
    assert (
        sum("parameters" in t for t in tags) == 1
        and sum("nbval-check-output" in t for t in tags) >= 3
    )
    for cell, tag in zip(book["cells"], tags, strict=True):
        if "nbval-check-output" in tag:
            assert cell["outputs"], source(cell)
    code = [source(cell) for cell in book["cells"] if cell["cell_type"] == "code"]
    assert all(len([line for line in text.splitlines() if line.strip()]) <= 15 for text in code)
    assert any("def draw(" in text for text in code) and any(
        "widgets.explore(draw" in text for text in code
    )
    assert {name for name in notebooks.promised(book)}


@pytest.mark.parametrize("path", BOOKS, ids=lambda p: p.stem)
def test_published_figures_are_committed(path):
    for name in notebooks.promised(json.loads(path.read_text())):
        for file in notebooks.files(name):
            assert (ROOT / "figures" / file).exists(), file


@pytest.mark.parametrize("path", BOOKS, ids=lambda p: p.stem)
def test_short_answers_are_those_of_the_data(path):
    assert json.loads(readme.answered(path, readme.results())) == json.loads(path.read_text())


def test_readme_is_what_its_tool_writes():
    assert readme.readme(readme.results()) == (ROOT / "README.md").read_text()


def test_readme_is_short_to_the_first_result():
    lines = (ROOT / "README.md").read_text().splitlines()
    assert next(i for i, line in enumerate(lines) if line.startswith("| bessel")) <= 40


def pins(lines):
    return dict(re.match(r"([\w-]+)==([\w.]+)", line).groups() for line in lines if "==" in line)


def test_environment_and_requirements_agree():
    conda = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    names = {
        "pytorch-cpu": "torch",
        "matplotlib-base": "matplotlib",
        "seaborn-base": "seaborn",
        "dask-core": "dask",
        "playwright-python": "playwright",
    }
    ours = {
        names.get(name, name): version
        for name, version in pins(
            [d for d in conda if isinstance(d, str)] + conda[-1]["pip"]
        ).items()
    }
    assert ours == pins((ROOT / "requirements.txt").read_text().splitlines())


def test_environment_parses_as_conda_and_fits_what_is_installed():
    rattler = pytest.importorskip(
        "rattler", reason="py-rattler is not installed: pip install py-rattler"
    )
    for spec in yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"][:-1]:
        assert rattler.MatchSpec(spec).name is not None


def test_data_is_small():
    assert sum(p.stat().st_size for p in (ROOT / "data").iterdir()) < 40e6


def book(*cells):
    return nbformat.v4.new_notebook(
        cells=list(cells),
        metadata={
            "kernelspec": {"name": "python3", "display_name": "Python 3"},
            "language_info": {"name": "python"},
        },
    )


PARAMETERS = nbformat.v4.new_code_cell(
    'scale = "quick"\nfolder = ""', metadata={"tags": ["parameters"]}
)
FIGURE = nbformat.v4.new_code_cell(
    "from growkit import figures\nfigures.save_figure(figures.new_figure()[0], '99_x', scale, folder)\n'\"99_x\"'"
)


@pytest.fixture
def driver(tmp_path, monkeypatch, capsys):
    """Run the driver on one notebook of its own; returns its exit status and what it said."""
    monkeypatch.setattr(notebooks, "ROOT", tmp_path)
    (tmp_path / "notebooks").mkdir()

    def drive(cells, *arguments):
        nbformat.write(book(*cells), tmp_path / "notebooks/99_test.ipynb")
        status = notebooks.main(list(arguments))
        return status, capsys.readouterr().out

    drive.root = tmp_path
    return drive


def test_driver_writes_figures_and_notebook(driver):
    status, said = driver([PARAMETERS, FIGURE])
    assert status == 0 and "99_test: done" in said
    assert (driver.root / "figures/quick/99_x.png").exists() and (
        driver.root / ".cache/executed/quick/99_test.ipynb"
    ).exists()


SWALLOWED = """import ipywidgets
from IPython.display import display
out = ipywidgets.Output()
display(out)
with out:
    1 / 0"""


@pytest.mark.parametrize(
    "text, sentence",
    [
        ("1 / 0", "99_test: cell [2] raised ZeroDivisionError: division by zero"),
        (SWALLOWED, "99_test: a widget raised ZeroDivisionError"),
        ("import warnings\nwarnings.warn('mind the gap')", "99_test: cell [2] warned: "),
        (
            '\'"99_never"\'\nname = "99_never"',
            "99_test: promised the figure 99_never.png and did not write it",
        ),
        (
            '\'"99_never.gif"\'\nname = "99_never.gif"',
            "99_test: promised the figure 99_never.gif and did not write it",
        ),
        ("print('growlib: lr is -1')", "99_test: cell [2] refused its own values: lr is -1"),
        ("import os\nos._exit(3)", "99_test: "),
    ],
    ids=["error", "swallowed", "warning", "promise", "animation", "refused", "dead-kernel"],
)
def test_driver_fails_with_a_sentence_that_names_the_notebook(driver, text, sentence):
    good = driver.root / "figures/quick/99_x.png"
    good.parent.mkdir(parents=True)
    good.write_bytes(b"good")
    status, said = driver([PARAMETERS, nbformat.v4.new_code_cell(text), FIGURE])
    assert status == 1 and sentence in said
    assert good.read_bytes() == b"good"  # a failed run replaces nothing


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "limit"),
    [("import time\ntime.sleep(1e6)", "IDLE_SECONDS"), ("while True: pass", "BUSY_SECONDS")],
)
def test_driver_ends_a_notebook_that_hangs(driver, monkeypatch, text, limit, figure):
    monkeypatch.setattr(notebooks, limit, 5)
    status, said = driver([PARAMETERS, nbformat.v4.new_code_cell(text)])
    assert status == 1 and re.search(
        r"99_test: cell \d of 3 made no progress for \d+ s, three times over", said
    )
    figure(f"a cell that hangs, {limit}", 1, 0, 0, said.strip().splitlines()[-1])


def test_normalised_notebooks_are_the_same_twice(driver):
    cells = [
        PARAMETERS,
        nbformat.v4.new_code_cell(
            "from growkit import figures\nfigure, _ = figures.new_figure()\nfigure"
        ),
        nbformat.v4.new_code_cell("{'a': 1}"),
    ]
    texts = []
    for _ in range(2):
        status, _ = driver(cells, "--commit")
        assert status == 0
        texts.append((driver.root / "notebooks/99_test.ipynb").read_text())
    assert texts[0] == texts[1] and "papermill" not in texts[0] and "injected" not in texts[0]

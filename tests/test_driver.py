"""The driver of the notebooks, tools/notebooks.py, on a notebook of the tests' own.

What it prints on the way is tested in tests/test_driver_progress.py, what happens when it is struck
in tests/test_faults.py, and which values it refuses in tests/test_bad_input.py.
"""

import re
import sys

import pytest
from conftest import ROOT, write_notebook

sys.path.insert(0, str(ROOT / "tools"))

import notebooks

# The driver finds the figures that a notebook promises by their names in double quotes.
FIGURE = """from growkit import figures
figures.save_figure(figures.new_figure()[0], '99_x', folder, scale)
promised = "99_x"
"""


@pytest.fixture
def driver(tmp_path, monkeypatch, capsys):
    """Return a function that runs the driver on a notebook of these cells, in a project of its own.

    It returns the exit status and what was said; its attribute `root` is the project's folder.
    """
    monkeypatch.setattr(notebooks, "ROOT", tmp_path)
    (tmp_path / "notebooks").mkdir()

    def drive(sources, *arguments):
        write_notebook(tmp_path / "notebooks/99_test.ipynb", *sources)
        status = notebooks.main(list(arguments))
        return status, capsys.readouterr().out

    drive.root = tmp_path
    return drive


def test_a_good_run_leaves_its_figures_and_its_notebook(driver):
    status, said = driver([FIGURE])
    assert status == 0
    assert "99_test: done" in said
    assert (driver.root / "figures/quick/99_x.png").exists()
    assert (driver.root / ".cache/executed/quick/99_test.ipynb").exists()


IN_A_WIDGET = """import ipywidgets
from IPython.display import display
output = ipywidgets.Output()
display(output)
with output:
    1 / 0
"""
# a mistake, the cell that makes it, and the sentence
MISTAKES = {
    "error": ("1 / 0", "99_test: cell [2] raised ZeroDivisionError: division by zero"),
    "error in a widget": (IN_A_WIDGET, "99_test: a widget raised ZeroDivisionError"),
    "warning": (
        "import warnings\nwarnings.warn('mind the gap')",
        "99_test: cell [2] warned: ",
    ),
    "broken promise": (
        'promised = "99_never"',
        "99_test: promised the figure 99_never.png and did not write it",
    ),
    "broken promise of an animation": (
        'promised = "99_never.gif"',
        "99_test: promised the figure 99_never.gif and did not write it",
    ),
    "refused value": (
        "print('growlib: lr is -1')",
        "99_test: cell [2] refused its own values: lr is -1",
    ),
    "dead kernel": ("import os\nos._exit(3)", "99_test: "),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_bad_run_is_told_in_a_sentence_and_replaces_no_figure(mistake, driver):
    text, sentence = MISTAKES[mistake]
    older = driver.root / "figures/quick/99_x.png"
    older.parent.mkdir(parents=True)
    older.write_bytes(b"older")
    status, said = driver([text, FIGURE])
    assert status == 1
    assert sentence in said
    assert older.read_bytes() == b"older"


@pytest.mark.slow
@pytest.mark.parametrize(
    "text, limit",
    [("import time\ntime.sleep(1e6)", "IDLE_SECONDS"), ("while True: pass", "BUSY_SECONDS")],
)
def test_a_notebook_that_hangs_is_ended(text, limit, driver, monkeypatch, record_fault):
    monkeypatch.setattr(notebooks, limit, 5)
    status, said = driver([text])
    assert status == 1
    sentence = r"99_test: cell \d of 3 made no progress for \d+ s, three times over"
    assert re.search(sentence, said)
    record_fault(f"a cell that hangs, {limit}", 1, 0, 0, said.strip().splitlines()[-1])


def test_a_notebook_that_is_committed_is_the_same_twice(driver):
    figure = "from growkit import figures\nfigure, _ = figures.new_figure()\nfigure"
    texts = []
    for _ in range(2):
        status, _ = driver([figure, "{'a': 1}"], "--commit")
        assert status == 0
        texts.append((driver.root / "notebooks/99_test.ipynb").read_text())
    assert texts[0] == texts[1]
    assert "papermill" not in texts[0]
    assert "injected" not in texts[0]

"""The notebooks as a person meets them: Chromium, JupyterLab or Voila, and a keyboard."""

import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import time
from contextlib import contextmanager

import nbformat
import pytest
from conftest import ROOT

sys.path.insert(0, str(ROOT / "tools"))

import notebooks

BOOKS = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
QUICK = ("01", "02", "07")  # in `make test`; the others in `make test-all`
LAB = [
    pytest.param(path.stem, marks=[] if path.stem.startswith(QUICK) else pytest.mark.slow)
    for path in BOOKS
]
VOILA = ["01_growth", pytest.param("07_spirals", marks=pytest.mark.slow)]
PATIENCE = 240_000  # ms: a first training compiles its kernel, and the other core may be busy

# The tiny notebook keeps its values of x in drawn.txt.
TINY = """import time
import growlib
from growkit import figures, widgets


def draw(x=5):
    with open("drawn.txt", "a") as drawn:
        print(x, file=drawn)
    if x == 0:
        raise ValueError("x is 0; it takes 1 or more")
    time.sleep(0.3)  # as long as a training
    figure, axes = figures.new_figure()
    axes[0, 0].set_title(f"x = {x}")
    return figure


widgets.explore(draw, x=(0, 20))"""
# The workshop has a slow training, a fault, an explore inside another, and a table to upload. What
# is trained to its end is in trained.txt.
WORKSHOP = [
    """import time
import pandas as pd
from growkit import figures, widgets


def plot(y, title):
    figure, axes = figures.new_figure()
    axes[0, 0].plot([0, 1, 2], y)
    axes[0, 0].set_title(title)
    return figure""",
    """def train(epochs=2, seed=0, progress=None):
    for step in range(5 * epochs):
        time.sleep(0.1)
        progress(step / (5 * epochs))
    with open("trained.txt", "a") as trained:
        print(epochs, seed, file=trained)
    return plot([0, seed, epochs], f"{epochs} epochs")


widgets.explore(train, epochs=(1, 40))""",
    """def fail(x=1):
    return plot([0, 1, 1 / x], f"x = {x}")


widgets.explore(fail, x=(0, 3))""",
    """def inside(b=1):
    return plot([0, b, 0], f"b = {b}")


def outside(a=1):
    widgets.explore(inside, b=(0, 9))
    return plot([a, 0, a], f"a = {a}")


widgets.explore(outside, a=(0, 9))""",
    """example = pd.DataFrame({"age": [1, 2, 3], "height": [4, 5, 6]})


def columns(table):
    return list(table.columns)


def show(table=example, column="height"):
    return plot(table[column].iloc[:3], table.attrs.get("name", "example"))


widgets.explore(show, table=widgets.upload(), column=columns)""",
]
SETTINGS = {
    # no news
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    # every cell is in the page, not only those in sight
    "notebook-extension/tracker": {"windowingMode": "none"},
}


# --------------------------------------------------------------------------------- browser, servers


def without_browser():
    """Return what happens to the tests without a browser: `pytest.skip` or `pytest.fail`.

    They fail where GROWLIB_BROWSER says `required`.
    """
    asked = os.environ.get("GROWLIB_BROWSER", "")
    assert asked in ("", "required"), f"GROWLIB_BROWSER is {asked!r}; it takes required, or nothing"
    return pytest.fail if asked else pytest.skip


@pytest.fixture(scope="module")
def chromium():
    """A headless Chromium; without one the tests skip, or fail."""
    missing = without_browser()
    program = os.environ.get("CHROMIUM")
    for name in ("chromium", "chromium-browser", "google-chrome"):
        program = program or shutil.which(name)
    if not program:
        missing(
            "There is no Chromium on PATH: `apt-get install chromium` brings one, "
            "or CHROMIUM names one."
        )
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing("playwright is not installed: `pip install -r requirements.txt` brings it.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program,
            args=["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"],
        )
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder of the notebooks without their outputs, a tiny one, and JupyterLab's settings."""
    folder = tmp_path_factory.mktemp("browser")
    (folder / "notebooks").mkdir()
    for path in BOOKS:
        book = nbformat.read(path, 4)
        for cell in book.cells:
            if cell.cell_type == "code":
                cell.outputs = []
                cell.execution_count = None
        nbformat.write(book, folder / "notebooks" / path.name)
    for stem, sources in {"tiny": [TINY], "workshop": WORKSHOP}.items():
        cells = [nbformat.v4.new_code_cell(source) for source in sources]
        written = nbformat.v4.new_notebook(cells=cells, metadata=book.metadata)
        nbformat.write(written, folder / f"notebooks/{stem}.ipynb")
    for name, setting in SETTINGS.items():
        path = folder / f"config/lab/user-settings/@jupyterlab/{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(setting))
    return folder


@contextmanager
def serving(folder, module, *arguments):
    """Run a server of the notebooks on a free port; gives its address and its token."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = secrets.token_hex(16)
    command = [sys.executable, "-m", module]
    for argument in arguments:
        command.append(argument.format(port=port, token=token, root=folder / "notebooks"))
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "GROWLIB_HOME": str(ROOT),
        "JUPYTER_CONFIG_DIR": str(folder / "config"),
        "JUPYTER_DATA_DIR": str(folder / "data"),
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
    }
    log = folder / f"{module}.log"
    with (
        log.open("w") as said,
        subprocess.Popen(command, env=environment, stdout=said, stderr=said) as server,
    ):
        try:
            while not listens(port):
                assert server.poll() is None, log.read_text()
                time.sleep(0.1)
            yield f"http://127.0.0.1:{port}", token
        finally:
            server.terminate()


def listens(port):
    """Whether a server answers on that port."""
    with socket.socket() as line:
        return line.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def visiting(chromium):
    """An empty page in a browser window of its own."""
    with chromium.new_context(viewport={"width": 1400, "height": 1000}) as window:
        page = window.new_page()
        page.set_default_timeout(PATIENCE)
        yield page


# The context of the notebook that JupyterLab shows, and how to end its kernel.
BOOK = "jupyterapp.shell.currentWidget.context"
SHUTDOWN = "globalThis.jupyterapp?.shell.currentWidget?.context.sessionContext.shutdown()"
# Whether every cell that was started has ended, and at least one has run.
RAN = """() => {
    const inputs = [...document.querySelectorAll(".jp-CodeCell .jp-InputArea-prompt")]
    const prompts = inputs.map(input => input.textContent)
    const indicator = document.querySelector(".jp-Notebook-ExecutionIndicator")
    return prompts.some(text => /[0-9]/.test(text))
        && !prompts.some(text => text.includes("*"))
        && indicator.dataset.status === "idle"
}"""


def twice(attempt, page):
    """Attempt something on a page, and once more when time runs out.

    Now and then a kernel loses a reply and stands still; tools/notebooks.py starts it again, too.
    """
    from playwright.sync_api import TimeoutError

    try:
        attempt(page)
    except TimeoutError:
        page.evaluate(SHUTDOWN)
        attempt(page)


@pytest.fixture(scope="module")
def lab(chromium, folder):
    """Return what opens a notebook in JupyterLab, runs all its cells and gives the page."""
    root = ["--allow-root"] if os.getuid() == 0 else []
    with serving(
        folder,
        "jupyterlab",
        "--no-browser",
        "--ip=127.0.0.1",
        "--port={port}",
        "--IdentityProvider.token={token}",
        "--ServerApp.root_dir={root}",
        "--LabApp.expose_app_in_browser=True",
        *root,
    ) as (server, token):

        @contextmanager
        def run(stem):
            address = f"{server}/lab/tree/{stem}.ipynb?token={token}&reset"
            with visiting(chromium) as page:
                twice(lambda page: run_all(page, address), page)
                yield page
                page.evaluate(SHUTDOWN)

        yield run


def run_all(page, address):
    """Open a notebook in JupyterLab and run it by the menu, to the end or to an error."""
    page.goto(address)
    page.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]").wait_for(state="attached")
    # Before the kernel answers, Run All may run nothing without saying so.
    page.evaluate(
        f"{BOOK}.sessionContext.ready"
        f".then(() => {BOOK}.sessionContext.session.kernel.info)"
        ".then(() => true)"
    )
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.locator(".lm-Menu-item[data-command='runmenu:run-all']").click()
    page.wait_for_function(RAN)


@pytest.fixture(scope="module")
def voila(chromium, folder):
    """Return what opens a notebook in Voila, as `make dashboard` does, and gives the page."""
    with serving(
        folder,
        "voila",
        "--no-browser",
        "--Voila.ip=127.0.0.1",
        "--port={port}",
        "--Voila.token={token}",
        "{root}",
    ) as (server, token):

        @contextmanager
        def show(stem):
            address = f"{server}/voila/render/{stem}.ipynb?token={token}"
            with visiting(chromium) as page:
                twice(lambda page: page.goto(address, timeout=PATIENCE / 2), page)
                yield page

        yield show


# ----------------------------------------------------------------------------------------- controls

CONTROL = "[class*=growlib-]:not(button)"  # a slider or a menu
# from a control to the box that holds it, its buttons and its picture
BOX = "xpath=ancestor::*[contains(concat(' ', @class, ' '), ' growlib ')][1]"
MISTAKES = ".widget-output :is([data-mime-type$=error], [data-mime-type$=stderr])"
# The picture in a box as soon as it is loaded and is not the old one.
SHOWN = """([box, old]) => {
    const picture = box.querySelector(".jp-RenderedImage img")
    return picture?.naturalWidth && picture.src !== old && picture.src
}"""


def is_menu(control):
    return control.locator("select").count() > 0


def reading(control):
    """Return the number beside a slider, or the choice of a menu."""
    if is_menu(control):
        return control.locator("select").input_value()
    return control.locator(".widget-readout").inner_text()


def move(control):
    """Change a slider or a menu by one step, by keyboard."""
    if not is_menu(control):
        control.locator(".noUi-handle").press("ArrowRight")
        return
    last = control.locator("option").last.get_attribute("value")
    towards = "ArrowUp" if reading(control) == last else "ArrowDown"
    for key in ("Space", towards, "Enter"):
        control.locator("select").press(key)


def shown(control, other_than=""):
    """Return the picture under a control, as soon as it is there and is another one."""
    box = control.locator(BOX).element_handle()
    return control.page.wait_for_function(SHOWN, arg=[box, other_than]).json_value()


def move_and_look(control):
    """Move a control; both its reading and the picture become others, without a mistake.

    A menu of one choice, as one that depends on other controls may be, stays where it is.
    """
    if is_menu(control) and control.locator("option").count() == 1:
        return
    picture = shown(control)
    before = reading(control)
    move(control)
    shown(control, other_than=picture)
    assert reading(control) != before
    label = control.locator(".widget-label").inner_text()
    assert control.locator("select, .noUi-handle").get_attribute("aria-label") == label
    assert not control.page.locator(MISTAKES).count()


def shoot(page, name):
    """Save the controls and their picture, in a wide and in a narrow window, as screenshots.

    They are .cache/screenshots/NAME_WIDTH.png.
    """
    for width in (1400, 500):
        page.set_viewport_size({"width": width, "height": 1000})
        page.locator(".widget-output img").last.scroll_into_view_if_needed()
        page.screenshot(path=ROOT / f".cache/screenshots/{name}_{width}.png")


# ------------------------------------------------------------------------------------ the notebooks

WIDGETS = "application/vnd.jupyter.widget-view+json"


def pictures(book, live):
    """Return how many pictures the cells hold that show no widgets where the notebook is live."""
    number = 0
    for cell, live_cell in zip(book["cells"], live["cells"], strict=True):
        if not any(WIDGETS in output.get("data", {}) for output in live_cell.get("outputs", ())):
            for output in cell.get("outputs", ()):
                number += "image/png" in output.get("data", {})
    return number


@pytest.mark.parametrize("stem", LAB)
def test_every_cell_runs_in_lab_and_every_control_obeys_the_keyboard(lab, stem):
    committed = json.loads((ROOT / f"notebooks/{stem}.ipynb").read_text())
    with lab(stem) as page:
        book = page.evaluate(f"{BOOK}.model.toJSON()")
        assert not list(notebooks.problems(book))
        for cell in book["cells"]:
            assert cell["cell_type"] != "code" or cell["execution_count"]
        assert pictures(book, book) == pictures(committed, book) > 0
        # a formula that MathJax cannot read
        assert not page.locator("[data-mjx-error]").all_inner_texts()
        page.wait_for_function(
            "() => [...document.querySelectorAll('.jp-RenderedImage img')]"
            ".every(picture => picture.naturalWidth)"
        )
        for control in page.locator(CONTROL).all():
            move_and_look(control)
        # the file browser leaves a narrow window no room
        page.evaluate(
            "jupyterapp.commands.execute('application:toggle-left-area').then(() => true)"
        )
        shoot(page, stem)


@pytest.mark.parametrize("stem", VOILA)
def test_voila_shows_pictures_and_sliders_without_code(voila, stem):
    with voila(stem) as page:
        page.locator(".jp-RenderedImage img").first.wait_for()
        move_and_look(page.locator(CONTROL, has=page.locator(".noUi-handle")).first)
        assert "import growlib" not in page.content()
        shoot(page, f"voila_{stem}")


# -------------------------------------------------------------------------------- the tiny notebook


def test_a_burst_of_keys_draws_few_pictures_and_ends_with_the_last(lab, folder):
    drawn = folder / "notebooks/drawn.txt"
    with lab("tiny") as page:
        control = page.locator(CONTROL)
        handle = control.locator(".noUi-handle")
        picture = shown(control)
        handle.press("End")
        last = shown(control, other_than=picture)
        picture = last
        for _ in range(3):  # back by 15
            handle.press("PageDown")
            picture = shown(control, other_than=picture)
        drawn.write_text("")
        for _ in range(15):
            page.keyboard.press("ArrowRight")
        while shown(control) != last:
            time.sleep(0.1)
        values = drawn.read_text().split()
        assert values[-1] == "20"
        assert len(values) <= 7, values


def test_a_mistake_is_a_sentence_and_the_next_value_draws_again(lab):
    with lab("tiny") as page:
        control = page.locator(CONTROL)
        handle = control.locator(".noUi-handle")
        output = page.locator(".widget-output")
        handle.press("Home")
        output.get_by_text("growlib: x is 0; it takes 1 or more").wait_for()
        assert not page.locator(MISTAKES).count()
        assert "Traceback" not in output.inner_text()
        handle.press("ArrowRight")
        shown(control)


# ------------------------------------------------------------------------------------- the workshop


@pytest.fixture(scope="module")
def workshop(lab):
    """The page of the workshop, each cell of which has run."""
    with lab("workshop") as page:
        yield page


def test_a_training_says_how_long_it_takes_and_ends_when_a_control_moves(workshop, folder):
    control = workshop.locator(".growlib-epochs")
    box = workshop.locator(".growlib").first
    picture = shown(control)
    control.locator(".noUi-handle").press("End")  # 20 s
    box.get_by_text(re.compile("training, about [12][0-9] s, [0-9]+ % done")).wait_for()
    control.locator(".noUi-handle").press("Home")
    picture = shown(control, other_than=picture)
    box.get_by_text("grey: the picture before").wait_for()
    box.get_by_role("button", name="New seed").press("Enter")
    picture = shown(control, other_than=picture)
    box.get_by_text("seed 1, grey").wait_for()
    box.get_by_role("button", name="Reset").press("Space")
    shown(control, other_than=picture)
    box.get_by_text("seed 0, grey").wait_for()
    trained = (folder / "notebooks/trained.txt").read_text().splitlines()
    assert trained == ["2 0", "1 0", "1 1", "2 0"]


def test_a_fault_of_draw_is_an_error_and_the_next_value_draws_again(workshop):
    control = workshop.locator(".growlib-x")
    handle = control.locator(".noUi-handle")
    handle.press("Home")
    workshop.locator(MISTAKES).get_by_text("ZeroDivisionError: division by zero").wait_for()
    handle.press("ArrowRight")
    shown(control)
    assert not workshop.locator(MISTAKES).count()


def test_explore_inside_explore_draws_both_and_both_controls_stay_alive(workshop):
    outer = workshop.locator(".growlib-a")
    for _ in range(2):
        move_and_look(workshop.locator(".growlib-b"))
        move_and_look(outer)
    assert workshop.locator(".growlib-b").count() == 1


def test_an_uploaded_table_is_drawn_and_its_columns_are_the_choices(workshop, tmp_path):
    upload_and_reset(workshop, tmp_path)


def test_letters_stay_with_the_control(workshop):
    cells = workshop.locator(".jp-Cell").count()
    controls = workshop.locator(".growlib", has=workshop.locator(".growlib-x"))
    for control in (
        controls.locator(".noUi-handle"),
        controls.get_by_role("button", name="Reset"),
    ):
        for key in "bxddm":  # in JupyterLab: insert a cell below, cut it, delete it, make it a text
            control.press(key)
        assert workshop.locator(".jp-Cell").count() == cells
        assert workshop.locator(".jp-CodeCell").count() == cells


@pytest.mark.slow
def test_the_buttons_of_the_workshop_work_in_voila(voila, tmp_path):
    with voila("workshop") as page:
        upload_and_reset(page, tmp_path)
        box = page.locator(".growlib").first
        control = page.locator(".growlib-epochs")
        picture = shown(control)
        box.get_by_role("button", name="New seed").press("Enter")
        shown(control, other_than=picture)
        box.get_by_text("seed 1, grey: the picture before").wait_for()
        for name in ("b", "a", "b"):
            move_and_look(page.locator(f".growlib-{name}"))
        shoot(page, "voila_workshop")


def upload_and_reset(page, folder):
    """Upload a bad and a good table to the workshop, choose a column, and reset."""
    good = folder / "mine.csv"
    good.write_text("height,mass,age\n1,4,0\n2,2,0\n3,1,1\n")
    bad = folder / "bad.csv"
    bad.write_text("")
    menu = page.locator(".growlib-column")
    box = page.locator(".growlib", has=menu)
    picture = shown(menu)

    def choose(path):
        with page.expect_file_chooser() as chooser:
            page.locator(".growlib-table").press("Enter")
        chooser.value.set_files(path)

    choose(bad)
    box.get_by_text("growlib: bad.csv is no CSV file of a table (No columns to parse").wait_for()
    choose(good)
    picture = shown(menu, other_than=picture)
    assert menu.locator("option").all_inner_texts() == ["height", "mass", "age"]
    assert reading(menu) == "height"
    move_and_look(menu)
    picture = shown(menu)
    box.get_by_role("button", name="Reset").press("Enter")
    shown(menu, other_than=picture)
    assert menu.locator("option").all_inner_texts() == ["age", "height"]
    assert reading(menu) == "height"

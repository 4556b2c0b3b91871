"""The notebooks as a person meets them: Chromium, JupyterLab or Voila, and a keyboard."""

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))

import notebooks  # noqa: E402

BOOKS = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
QUICK = ("01", "02", "05")  # in `make test`; the others in `make test-all`
LAB = [
    pytest.param(path.stem, marks=[] if path.stem.startswith(QUICK) else pytest.mark.slow)
    for path in BOOKS
]
VOILA = ["01_growth", pytest.param("05_spirals", marks=pytest.mark.slow)]
PATIENCE = 240_000  # ms: a first training compiles its kernel, and the other core may be busy

CONTROL = "[class*=growlib-]"
SHOWN = """([box, old]) => {
    const picture = box.querySelector(".jp-RenderedImage img")
    return picture?.naturalWidth && picture.src !== old && picture.src
}"""
MISTAKES = ".widget-output :is([data-mime-type$=error], [data-mime-type$=stderr])"
BOOK = "jupyterapp.shell.currentWidget.context"
SHUTDOWN = "globalThis.jupyterapp?.shell.currentWidget?.context.sessionContext.shutdown()"
RAN = """() => {
    const prompts = [...document.querySelectorAll(".jp-CodeCell .jp-InputArea-prompt")].map(prompt => prompt.textContent)
    return prompts.some(text => /[0-9]/.test(text)) && !prompts.some(text => text.includes("*"))
        && document.querySelector(".jp-Notebook-ExecutionIndicator").dataset.status === "idle"
}"""
SETTINGS = {  # no news, and every cell in the page, not only those in sight
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "notebook-extension/tracker": {"windowingMode": "none"},
}
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


def without_browser():
    """What happens to the tests without a browser: they skip, and fail where GROWLIB_BROWSER says `required`."""
    asked = os.environ.get("GROWLIB_BROWSER", "")
    assert asked in ("", "required"), f"GROWLIB_BROWSER is {asked!r}; it takes required, or nothing"
    return pytest.fail if asked else pytest.skip


@pytest.fixture(scope="module")
def chromium():
    """A headless Chromium; without one the tests skip, or fail."""
    missing = without_browser()
    program = (
        os.environ.get("CHROMIUM")
        or shutil.which("chromium")
        or shutil.which("chromium-browser")
        or shutil.which("google-chrome")
    )
    if not program:
        missing(
            "There is no Chromium on PATH: `apt-get install chromium` brings one, or CHROMIUM names one."
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
    """A copy of the notebooks without their outputs, a tiny one of our own, and JupyterLab's settings."""
    folder = tmp_path_factory.mktemp("browser")
    (folder / "notebooks").mkdir()
    for path in BOOKS:
        book = nbformat.read(path, 4)
        for cell in book.cells:
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = [], None
        nbformat.write(book, folder / "notebooks" / path.name)
    nbformat.write(
        nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(TINY)], metadata=book.metadata),
        folder / "notebooks/tiny.ipynb",
    )
    for name, setting in SETTINGS.items():
        path = folder / f"config/lab/user-settings/@jupyterlab/{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(setting))
    return folder


@contextmanager
def serving(folder, *command):
    """Run a server of the notebooks on a free port; gives its address and its token."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token, log = secrets.token_hex(16), folder / f"{command[0]}.log"
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "GROWLIB_HOME": str(ROOT),
        "JUPYTER_CONFIG_DIR": str(folder / "config"),
        "JUPYTER_DATA_DIR": str(folder / "data"),
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
    }
    command = [
        sys.executable,
        "-m",
        *(part.format(port=port, token=token, root=folder / "notebooks") for part in command),
    ]
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


def twice(attempt, page):
    """Attempt it, and once more when time runs out: now and then a kernel loses a reply and stands still, as tools/notebooks.py knows, too."""
    from playwright.sync_api import TimeoutError

    try:
        attempt(page)
    except TimeoutError:
        page.evaluate(SHUTDOWN)
        attempt(page)


@pytest.fixture(scope="module")
def lab(chromium, folder):
    """Opens a notebook in JupyterLab and runs all its cells; gives the page."""
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
            with visiting(chromium) as page:
                twice(
                    lambda page: run_all(
                        page, f"{server}/lab/tree/{stem}.ipynb?token={token}&reset"
                    ),
                    page,
                )
                yield page
                page.evaluate(SHUTDOWN)

        yield run


def run_all(page, address):
    """Open a notebook in JupyterLab and run it by the menu, to the end or to an error."""
    page.goto(address)
    page.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]").wait_for(state="attached")
    # before the kernel answers, Run All may run nothing, and nobody says so
    page.evaluate(
        f"{BOOK}.sessionContext.ready.then(() => {BOOK}.sessionContext.session.kernel.info).then(() => true)"
    )
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.locator(".lm-Menu-item[data-command='runmenu:run-all']").click()
    page.wait_for_function(RAN)


@pytest.fixture(scope="module")
def voila(chromium, folder):
    """Opens a notebook in Voila, as `make dashboard` does; gives the page."""
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
            with visiting(chromium) as page:
                twice(
                    lambda page: page.goto(
                        f"{server}/voila/render/{stem}.ipynb?token={token}", timeout=PATIENCE / 2
                    ),
                    page,
                )
                yield page

        yield show


def reading(control):
    """The number beside a slider, or the choice of a menu."""
    return (
        control.locator("select").input_value()
        if control.locator("select").count()
        else control.locator(".widget-readout").inner_text()
    )


def move(control):
    """Change a slider or a menu by one step, by keyboard."""
    if control.locator("select").count():
        last = control.locator("option").last.get_attribute("value") == reading(control)
        for key in ("Space", "ArrowUp" if last else "ArrowDown", "Enter"):
            control.locator("select").press(key)
    else:
        control.locator(".noUi-handle").press("ArrowRight")


def shown(control, other_than=""):
    """The picture under a control, as soon as it is there and is another one."""
    box = control.locator("xpath=ancestor::*[contains(@class, 'widget-vbox')]").element_handle()
    return control.page.wait_for_function(SHOWN, arg=[box, other_than]).json_value()


def move_and_look(control):
    """Move a control; both its reading and the picture become others, without a mistake."""
    picture, number = shown(control), reading(control)
    move(control)
    shown(control, other_than=picture)
    assert reading(control) != number
    assert (
        control.locator("select, .noUi-handle").get_attribute("aria-label")
        == control.locator(".widget-label").inner_text()
    )
    assert not control.page.locator(MISTAKES).count()


def shoot(page, name):
    """Keep the controls and their picture in a wide and in a narrow window as .cache/screenshots/NAME_WIDTH.png."""
    for width in (1400, 600):
        page.set_viewport_size({"width": width, "height": 1000})
        page.locator(".widget-output img").last.scroll_into_view_if_needed()
        page.screenshot(path=ROOT / f".cache/screenshots/{name}_{width}.png")


def pngs(book):
    """How many pictures the cells of a notebook hold."""
    return sum(
        "image/png" in output.get("data", {})
        for cell in book["cells"]
        for output in cell.get("outputs", ())
    )


@pytest.mark.parametrize("stem", LAB)
def test_every_cell_runs_in_lab_and_every_control_obeys_the_keyboard(lab, stem):
    with lab(stem) as page:
        book = page.evaluate(f"{BOOK}.model.toJSON()")
        assert not list(notebooks.problems(book))
        assert all(cell["execution_count"] for cell in book["cells"] if cell["cell_type"] == "code")
        assert pngs(book) == pngs(json.loads((ROOT / f"notebooks/{stem}.ipynb").read_text())) > 0
        assert not page.locator(
            "[data-mjx-error]"
        ).all_inner_texts()  # a formula that MathJax cannot read
        page.wait_for_function(
            "() => [...document.querySelectorAll('.jp-RenderedImage img')].every(picture => picture.naturalWidth)"
        )
        for control in page.locator(CONTROL).all():
            move_and_look(control)
        page.evaluate(
            "jupyterapp.commands.execute('application:toggle-left-area').then(() => true)"
        )  # it leaves a narrow window no room
        shoot(page, stem)


@pytest.mark.parametrize("stem", VOILA)
def test_voila_shows_pictures_and_sliders_without_code(voila, stem):
    with voila(stem) as page:
        page.locator(".jp-RenderedImage img").first.wait_for()
        move_and_look(page.locator(CONTROL, has=page.locator(".noUi-handle")).first)
        assert "import growlib" not in page.content()
        shoot(page, f"voila_{stem}")


def test_a_burst_of_keys_draws_few_pictures_and_ends_with_the_last(lab, folder):
    with lab("tiny") as page:
        control, drawn = page.locator(CONTROL), folder / "notebooks/drawn.txt"
        handle, picture = control.locator(".noUi-handle"), shown(control)
        handle.press("End")
        picture = last = shown(control, other_than=picture)
        for _ in range(3):  # back by 15
            handle.press("PageDown")
            picture = shown(control, other_than=picture)
        drawn.write_text("")
        for _ in range(15):
            page.keyboard.press("ArrowRight")
        while shown(control) != last:
            time.sleep(0.1)
        values = drawn.read_text().split()
        assert values[-1] == "20" and len(values) <= 7, values


def test_a_mistake_is_a_sentence_and_the_next_value_draws_again(lab):
    with lab("tiny") as page:
        control = page.locator(CONTROL)
        handle = control.locator(".noUi-handle")
        handle.press("Home")
        page.locator(".widget-output").get_by_text("growlib: x is 0; it takes 1 or more").wait_for()
        assert (
            not page.locator(MISTAKES).count()
            and "Traceback" not in page.locator(".widget-output").inner_text()
        )
        handle.press("ArrowRight")
        shown(control)


def test_letters_stay_with_the_control(lab):
    with lab("tiny") as page:
        cells, handle = page.locator(".jp-Cell").count(), page.locator(".growlib-x .noUi-handle")
        for key in "bxddm":  # in JupyterLab: insert a cell below, cut it, delete it, make it a text
            handle.press(key)
        assert (
            page.locator(".jp-Cell").count() == cells
            and page.locator(".jp-CodeCell").count() == cells
        )

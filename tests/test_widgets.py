"""The controls of `explore` without a browser: ghosts, threads, buttons, menus and uploads."""

import asyncio
import io
import sys
import threading
import time

import numpy as np
import pandas as pd
import PIL.Image
import pytest
from conftest import ROOT

sys.path.insert(0, str(ROOT / "tools"))

import notebooks
from growkit import figures, widgets
from growkit.figures.style import _png

NEW_SEED = "New seed"


def plot(*curves, **settings):
    """Return a figure of one panel with curves over 0, 1, 2."""
    figure, axes = figures.new_figure()
    for curve in curves:
        axes[0, 0].plot([0, 1, 2], curve, label="curve")
    axes[0, 0].set(**settings)
    return figure


def explorer(draw, **choices):
    """Return the explorer of a function, which has drawn its first picture."""
    made = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(widgets._Explorer, "display", lambda explorer: made.append(explorer))
        widgets.explore(draw, **choices)
    return made[0]


def click(explorer, text):
    """Click the button with this text."""
    buttons = explorer.box.children[1].children
    next(button for button in buttons if button.description == text).click()


def texts(explorer):
    """Return what stands in place of the picture."""
    return [output["text"] for output in explorer.output.outputs]


@pytest.fixture
def everything_is_slow(monkeypatch):
    """Take every drawing for a slow one, which is ended when a control changes."""
    monkeypatch.setattr(widgets, "FAST", 0.0)


@pytest.fixture
def everything_is_fast(monkeypatch):
    """Take every drawing for a fast one, also on a busy machine."""
    monkeypatch.setattr(widgets, "FAST", 1000.0)


# -------------------------------------------------------------------------------------------- ghost


def pixels(png):
    return np.array(PIL.Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


def is_same(png, other):
    """Return whether two files are equal; pytest would take minutes to tell how they differ."""
    return png == other


def grey_pixels(png):
    """Return how many pixels have the colour of a ghost."""
    level = round(255 * float(widgets.GHOST))
    return (np.abs(pixels(png) - level) <= 1).all(axis=2).sum()


def with_ghost(new, old):
    """Return the PNG of a figure with the ghost of an older one."""
    png, _ = widgets._png_with_ghost(new, widgets._curves(old))
    return png


def test_a_ghost_stands_behind_and_changes_nothing_else():
    new = plot([0, 1, 0], [1, 0, 1])
    new.axes[0].legend()
    alone = _png(new)
    limits = new.axes[0].viewLim.frozen().bounds
    png = with_ghost(new, plot([0, 0.5, 40]))
    assert grey_pixels(png) > 50 > grey_pixels(alone)
    assert new.axes[0].viewLim.bounds == limits
    assert is_same(_png(new), alone)
    # every pixel that the curves, the axes or the legend cover keeps its colour
    changed = (pixels(png) != pixels(alone)).any(axis=2)
    assert pixels(alone)[changed].min(axis=1).mean() > 250


def test_the_picture_before_becomes_the_ghost_and_the_first_has_none(everything_is_fast):
    async def person():
        shown = explorer(lambda height=1: plot([0, height, 0], ylim=(0, 10)), height=(0, 9))
        assert not shown.shown.has_ghost
        before = []
        for height in (5, 9):
            shown.shown_at -= widgets.REST  # it has stood for a while
            before.append(shown.shown.png)
            shown.controls["height"].widget.value = height
            await shown.task
            assert shown.shown.has_ghost
            assert shown.status.value == "grey: the picture before"
        [[(points, _)]] = shown.ghost.values()
        assert points.tolist() == [[0, 0], [1, 5], [2, 0]]

    asyncio.run(person())


def test_while_the_hand_moves_the_ghost_stays_that_of_its_beginning(
    everything_is_fast, monkeypatch
):
    monkeypatch.setattr(widgets, "REST", 1000.0)

    async def person():
        shown = explorer(lambda height=1: plot([0, height, 0]), height=(0, 9))
        for height in (2, 3, 4):
            shown.controls["height"].widget.value = height
            await shown.task
        [[(points, _)]] = shown.ghost.values()
        assert points[1, 1] == 1

    asyncio.run(person())


def map_of():
    figure = plot([0, 1, 0])
    figure.axes[0].pcolormesh(np.eye(3))
    return figure


def image_of():
    figure = plot([0, 1, 0])
    figure.axes[0].imshow(np.eye(3))
    return figure


def contour_of():
    figure = plot([0, 1, 0])
    figure.axes[0].contourf(np.eye(3))
    return figure


def lines_across():
    figure = plot()
    figure.axes[0].axhline(0.5)
    figure.axes[0].axvline(0.5)
    return figure


@pytest.mark.parametrize(
    "other",
    [
        map_of,
        image_of,
        contour_of,
        lines_across,
        lambda: plot([0, 1, 0], ylabel="another quantity"),
        lambda: plot([0, 1, 0], yscale="log"),
        lambda: figures.new_figure(1, 2)[0],
    ],
)
def test_other_panels_have_no_ghost(other):
    plain = plot([0, 1, 0])
    for new, old in [(other(), plain), (plain, other())]:
        assert is_same(with_ghost(new, old), _png(new))


def test_a_ghost_outside_of_the_axes_is_not_announced():
    _, has_ghost = widgets._png_with_ghost(plot([0, 1, 0]), widgets._curves(plot([5, 6, 5])))
    assert not has_ghost


# ------------------------------------------------------------------------------------------ threads


def test_a_training_that_is_no_longer_wanted_ends(everything_is_slow):
    ended = []
    began = threading.Event()

    def draw(x=0, progress=None):
        if x == 1:
            began.set()
            for _ in range(1000):  # 10 s, unless `progress` ends it
                time.sleep(0.01)
                progress(0.5)
        ended.append(x)
        return plot([0, x, 0])

    async def person():
        shown = explorer(draw, x=(0, 9))
        control = shown.controls["x"].widget
        control.value = 1
        while not began.is_set():
            await asyncio.sleep(0.01)
        control.value = 2
        await asyncio.wait_for(shown.task, 60)
        assert shown.shown.arguments["x"] == 2
        assert shown.output.outputs[0]["output_type"] == "display_data"

    asyncio.run(person())
    assert ended == [0, 2]


def draws_while_the_hand_moves():
    """Return the values of x whose pictures were shown, when x changes while 1 is drawn."""
    began, moved = threading.Event(), threading.Event()
    pictures = []

    def draw(x=0):
        if x == 1:
            began.set()
            moved.wait(60)
        return plot([0, x, 0])

    async def person():
        shown = explorer(draw, x=(0, 9))
        shown.output.observe(
            lambda _: pictures.append(shown.drawing.arguments["x"]), names="outputs"
        )
        control = shown.controls["x"].widget
        control.value = 1
        while not began.is_set():
            await asyncio.sleep(0.01)
        for value in (2, 3, 4):
            control.value = value
        moved.set()
        await asyncio.wait_for(shown.task, 60)
        assert shown.shown.arguments["x"] == 4
        return shown

    return asyncio.run(person()), pictures


def test_a_slow_picture_that_is_outdated_is_thrown_away(everything_is_slow):
    shown, pictures = draws_while_the_hand_moves()
    assert pictures == [4]
    assert not shown.controls["x"].widget.continuous_update


def test_fast_pictures_follow_the_hand_and_the_newest_value_wins(everything_is_fast):
    shown, pictures = draws_while_the_hand_moves()
    assert pictures == [1, 4]
    assert shown.controls["x"].widget.continuous_update


def test_drawings_run_one_at_a_time_and_the_first_in_the_cell():
    threads = []

    def draw(x=0):
        threads.append(threading.current_thread())
        return plot([0, x, 0])

    async def person():
        both = [explorer(draw, x=(0, 9)), explorer(draw, x=(0, 9))]
        for shown in both:
            shown.controls["x"].widget.value = 5
        for shown in both:
            await shown.task

    asyncio.run(person())
    assert threads[:2] == 2 * [threading.main_thread()]
    assert len(set(threads[2:])) == 1
    assert threads[2] is not threading.main_thread()


def test_the_line_says_how_long_a_training_takes_and_how_far_it_is():
    def draw(epochs=100, progress=None):
        return plot([0, epochs, 0])

    shown = explorer(draw, epochs=(100, 1000))
    shown.shown.seconds = 2.0
    shown.controls["epochs"].first = 900
    asyncio.run(clicked(shown, "Reset"))
    drawing = shown.drawing
    drawing.began = time.monotonic()
    assert drawing.expected == 18
    drawing.fraction = 0.0
    assert drawing.state() == "training, about 18 s"
    drawing.report(0.25)
    assert drawing.state() == "training, about 18 s, 25 % done"
    drawing.expected = 0.8
    assert drawing.state() == "training ..."
    drawing.expected = 0.1
    assert drawing.state() == ""
    del drawing.arguments["progress"]
    drawing.expected = 3.0
    assert drawing.state().startswith("drawing, about 3 s")


async def clicked(shown, text):
    """Click a button and wait for the picture."""
    click(shown, text)
    await shown.task


# ----------------------------------------------------------------------------------------- mistakes


def test_a_fault_is_an_error_that_the_driver_finds_and_a_bad_value_a_sentence():
    def draw(x=1):
        if x == 2:
            raise ValueError("x is 2")
        return plot([0, 1 / x, 0])

    async def person():
        shown = explorer(draw, x=(0, 9))
        control = shown.controls["x"].widget
        control.value = 0
        await shown.task
        [output] = shown.output.outputs
        problems = list(notebooks.output_problems(output))
        assert problems == ["raised ZeroDivisionError: division by zero"]
        assert "1 / x" in "\n".join(output["traceback"])
        control.value = 2
        await shown.task
        assert texts(shown) == ["growlib: x is 2"]
        control.value = 3
        await shown.task
        assert shown.output.outputs[0]["output_type"] == "display_data"
        assert not shown.status.value.startswith("drawing")

    asyncio.run(person())


def test_the_first_fault_ends_the_cell():
    with pytest.raises(ZeroDivisionError):
        widgets.explore(lambda x=0: plot([0, 1 / x, 0]), x=(0, 9))


def test_what_is_no_figure_is_a_sentence():
    shown = explorer(lambda x=0: None, x=(0, 9))
    assert texts(shown) == ["growlib: what draw returns is None; it takes a Figure"]


# -------------------------------------------------------------------------------- buttons, controls


def test_new_seed_counts_on_and_reset_goes_back():
    drawn = []

    def draw(x=1, choice="a", seed=7):
        drawn.append((x, choice, seed))
        return plot([0, x, 0])

    async def person():
        shown = explorer(draw, x=(0, 9), choice=["a", "b"])
        shown.controls["x"].widget.value = 3
        shown.controls["choice"].widget.value = "b"
        await clicked(shown, NEW_SEED)
        await clicked(shown, NEW_SEED)
        assert shown.status.value.startswith("seed 9")
        await clicked(shown, "Reset")
        assert shown.status.value.startswith("seed 7")

    asyncio.run(person())
    assert drawn[0] == drawn[-1] == (1, "a", 7)
    assert drawn[1:3] == [(3, "b", 8), (3, "b", 9)]


def test_without_a_seed_or_with_a_control_for_it_there_is_no_new_seed():
    for shown in (
        explorer(lambda x=0: plot([x, x, x]), x=(0, 9)),
        explorer(lambda seed=0: plot([seed, 0, 0]), seed=(0, 9)),
    ):
        texts = [part.description for part in shown.box.children[1].children]
        assert NEW_SEED not in texts


def test_a_menu_follows_the_controls_that_it_depends_on():
    def draw(top=3, part=2):
        return plot([0, part, top])

    def parts(top):
        return list(range(2, top + 1)) or [0]

    async def person():
        shown = explorer(draw, top=(1, 9), part=parts)
        top, part = shown.controls["top"].widget, shown.controls["part"].widget
        assert part.options == (2, 3)
        top.value = 5
        await shown.task
        assert part.options == (2, 3, 4, 5)
        part.value = 4
        await shown.task
        top.value = 6
        await shown.task
        assert part.value == 4  # still a choice
        top.value = 3
        await shown.task
        assert part.value == 2  # the default
        top.value = 1
        await shown.task
        assert shown.shown.arguments == {"top": 1, "part": 0}  # the first choice
        await clicked(shown, "Reset")
        assert shown.shown.arguments == {"top": 3, "part": 2}

    asyncio.run(person())


def file(name, content):
    """Return what the browser sends of an uploaded file."""
    now = pd.Timestamp("2026-01-01").to_pydatetime()
    return ({"name": name, "type": "", "size": 1, "last_modified": now, "content": content},)


def test_an_upload_gives_a_table_and_a_bad_file_a_sentence():
    example = pd.DataFrame({"a": [1, 2, 3]})
    tables = []

    def draw(table=example, column="a"):
        tables.append(table)
        return plot(table[column])

    async def person():
        shown = explorer(draw, table=widgets.upload(), column=lambda table: list(table.columns))
        control = shown.controls["table"].widget
        for name, content, sentence in [
            ("bad.csv", b"", "growlib: bad.csv is no CSV file of a table (No columns to parse"),
            ("bad.csv", b"\xff\xfe\x00a", "growlib: bad.csv is no CSV file of a table ('utf-8'"),
            ("bad.csv", b"a\n1\n1,2,3\n", "growlib: bad.csv is no CSV file of a table (Error"),
        ]:
            control.value = file(name, memoryview(content))
            await shown.task
            assert texts(shown)[0].startswith(sentence)
        control.value = file("mine.csv", memoryview(b"b,c\n4,1\n5,1\n6,1\n"))
        await shown.task
        assert shown.shown.arguments["column"] == "b"
        await clicked(shown, "Reset")

    asyncio.run(person())
    assert tables[0] is tables[2] is example
    assert tables[1].attrs["name"] == "mine"
    assert tables[1].to_dict("list") == {"b": [4, 5, 6], "c": [1, 1, 1]}


# --------------------------------------------------------------------------------- inside, headless


def test_an_explore_inside_another_is_shown_below_it_and_ends_with_it(everything_is_slow):
    def inside(b=0):
        return plot([0, b, 0])

    def outside(a=0):
        widgets.explore(inside, b=(0, 9))
        return plot([a, 0, a])

    async def person():
        shown = explorer(outside, a=(0, 9))
        shown.controls["a"].widget.value = 4
        await shown.task
        [inner] = shown.shown.inner
        await inner.task
        assert shown.below.children == (inner.box,)
        inner.controls["b"].widget.value = 5
        await inner.task
        assert inner.shown.arguments == {"b": 5}
        shown.controls["a"].widget.value = 5
        assert not inner.drawing.wanted
        await shown.task

    asyncio.run(person())


def test_a_function_that_explores_itself_ends_in_a_sentence():
    def draw(x=0):
        widgets.explore(draw, x=(0, 9))
        return plot([0, x, 0])

    shown = explorer(draw, x=(0, 9))
    [inner] = shown.shown.inner
    [said] = texts(inner)
    assert said == "growlib: explore was called inside two others; it takes one other at most"


def test_where_no_widgets_are_shown_the_picture_is(monkeypatch):
    shown = []
    monkeypatch.setattr(widgets, "display", lambda *given, **_: shown.append(given[0]))
    monkeypatch.setattr(widgets, "Javascript", str)
    widgets.explore(lambda x=0: plot([0, 1, 0]), x=(0, 9))
    bundle = shown[0]
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert bundle["image/png"].startswith("iVBOR")


def test_a_slider_of_small_numbers_shows_them():
    control = widgets._control("lr", (1e-3, 1e-2), 2e-3)
    assert control.widget.readout_format == ".3g"

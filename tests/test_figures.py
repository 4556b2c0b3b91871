"""The figures of growkit.figures, checked against their data, and what makes their files small."""

import base64
import io
import sys
import time

import matplotlib
import numpy as np
import pandas as pd
import pytest
import torch
from conftest import ROOT
from PIL import Image

import growlib
from growkit import figures, studies
from growkit.figures.style import _png, _round_ticks

sys.path.insert(0, str(ROOT / "tools"))

import notebooks
from growkit.derived import coupling


def one_axes():
    return figures.new_figure()[1][0, 0]


# ---------------------------------------------------------------------------------- growkit.figures


def test_a_mirrored_histogram_shows_every_trial():
    finals = studies.stored("figure-2")
    axes = one_axes()
    figures.plot_mirrored(finals, axes)
    above, below = (patch.get_data().values for patch in axes.patches)
    assert above.sum() == 200
    assert below.sum() == -200
    lines = [collection.get_segments()[0][0][0] for collection in axes.collections]
    means = finals.groupby("arm")["test_loss"].mean()
    assert lines == pytest.approx([means["growing"], means["grown"]])


def test_a_history_shows_the_median_over_the_trials():
    history = studies.stored("figure-2", "history").query("arm == 'static'")
    axes = one_axes()
    figures.plot_histories(history, axes)
    median = history.groupby("epoch")["test_loss"].median()
    np.testing.assert_allclose(axes.lines[0].get_ydata(), median)
    np.testing.assert_allclose(axes.lines[0].get_xdata(), median.index)


def test_a_history_shows_the_middle_half_of_the_trials():
    history = studies.stored("figure-2", "history").query("arm == 'static'")
    axes = one_axes()
    figures.plot_histories(history, axes)
    corners = axes.collections[0].get_paths()[0].vertices
    losses = history.groupby("epoch")["test_loss"]
    for epoch in (losses.median().index[0], losses.median().index[-1]):
        heights = corners[corners[:, 0] == epoch, 1]
        limits = losses.quantile([0.25, 0.75]).loc[epoch]
        assert [heights.min(), heights.max()] == pytest.approx(limits.tolist())


def test_the_same_results_give_the_same_bytes_of_a_figure(tmp_path):
    for folder in ("one", "two"):
        figure, axes = figures.new_figure()
        figures.plot_histories(studies.stored("figure-2", "history"), axes[0, 0])
        figures.save_figure(figure, "same", folder=str(tmp_path / folder))
        time.sleep(1.1)  # a date in the file would differ
    for name in ("same.png", "same.svg"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_without_a_folder_a_figure_is_written_nowhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(growlib, "HOME", tmp_path)
    figures.save_figure(figures.new_figure()[0], "nowhere", "", "n = 3")
    assert not list(tmp_path.iterdir())


def test_the_note_of_a_figure_stands_below_its_axes():
    figure, axes = figures.new_figure(1, 2)
    figures.save_figure(figure, "noted", note="quick, n = 80")
    figure.draw_without_rendering()
    note = figure.legends[0].get_title()
    assert note.get_text() == "quick, n = 80"
    assert note.get_fontsize() == 8
    for each in axes.flat:
        assert not note.get_window_extent().overlaps(each.get_tightbbox())


@pytest.mark.parametrize("columns, inches", [(1, 4.8), (2, 7.2), (3, 7.2)])
def test_figures_are_as_wide_as_a_page_and_their_type_is_at_least_8_points(columns, inches):
    figure, axes = figures.new_figure(1, columns)
    axes[0, 0].plot([1, 2], label="line")
    axes[0, 0].set(title="Title", xlabel="x")
    axes[0, 0].legend()
    figure.draw_without_rendering()
    assert figure.get_figwidth() == pytest.approx(inches)
    assert min(text.get_fontsize() for text in figure.findobj(matplotlib.text.Text)) >= 8


# ----------------------------------------------------------------------------- plots of the results


def test_a_cell_is_bold_on_a_colour_if_its_ratio_is_decided():
    ratios = pd.DataFrame({"a": [0.1, 0.9, np.nan], "b": [1.02, 3.0, 0.001]}, index=list("xyz"))
    decided = pd.DataFrame({"a": [True, False, False], "b": [True, True, True]}, index=list("xyz"))
    (axes,) = figures.draw_ratio_tables({"one": (ratios, decided)}).axes
    faces = {text.get_text(): patch.get_facecolor()[:3] for text, patch in cells(axes)}
    texts = {text.get_text(): text for text, _ in cells(axes)}
    assert set(texts) == {"0.10", "0.90", "1.02", "3.00", "<.01"}
    assert faces["0.10"] == pytest.approx(figures.COLOURS["growing"])
    assert faces["0.90"] == (1, 1, 1)
    assert texts["0.90"].get_weight() == "normal"
    red, _, blue = faces["1.02"]  # pale orange, and not so pale as to be white
    assert red > blue
    assert min(faces["1.02"]) < 0.85
    assert texts["1.02"].get_weight() == "bold"
    assert texts["0.10"].get_color() == "white"
    assert texts["1.02"].get_color() == "black"


def cells(axes):
    """The texts and the rectangles of a ratio table, in pairs."""
    return list(zip(axes.texts, axes.patches, strict=True))


def test_ratio_tables_share_a_figure_and_long_names_of_columns_stand_upright():
    table = pd.DataFrame({f"a long name, {k}": [0.5] for k in range(7)}, index=["row"])
    short = pd.DataFrame({4: [0.5], 8: [2.0]}, index=["row"])
    for given, angle in ((table, 90), (short, 0)):
        figure = figures.draw_ratio_tables({"one": (given, given < 1), "two": (given, given < 1)})
        assert [axes.get_xlabel() for axes in figure.axes] == ["one", "two"]
        assert figure.axes[0].get_xticklabels()[0].get_rotation() == angle


def test_counts_have_a_line_between_groups():
    counts = pd.DataFrame({"claim": list("aab"), "favours_growing": 1, "static": "static"})
    counts = counts.assign(favours_other=0, undecided=1)
    (axes,) = figures.draw_counts({"one": counts}, other="static", group="claim").axes
    between = [line.get_ydata()[0] for line in axes.lines if line.get_marker() == "None"]
    assert between == [1.5]


def test_the_sides_of_a_comparison_show_their_medians():
    growing = pd.DataFrame({"arm": "growing", "diverged": False, "test_task_loss": [1.0, 2.0, 4.0]})
    static = growing.assign(arm="static", test_task_loss=[3.0, 5.0, 9.0])
    axes = one_axes()
    figures.plot_sides(
        {"larger": static, "static": static.assign(diverged=[False, False, True])}, axes
    )
    assert [line.get_color() for line in axes.lines[:2]] == ["black", figures.COLOURS["static"]]
    axes = one_axes()
    figures.plot_sides({"growing": growing, "static": static}, axes)
    for line, median in zip(axes.lines, (2.0, 5.0), strict=False):
        assert line.get_xdata()[line.get_ydata() == 0.5] == median


@pytest.mark.parametrize(
    "low, high, ticks",
    [
        (0.35, 0.8, [0.4, 0.5, 0.6, 0.7, 0.8]),
        (0.05, 2.0, [0.1, 0.3, 1]),
        (0.1, 1.0, [0.1, 0.2, 0.5, 1]),
    ],
)
def test_a_logarithmic_axis_has_round_ticks_as_dense_as_its_range(low, high, ticks):
    axes = one_axes()
    axes.set(xscale="log", xlim=(low, high))
    _round_ticks(axes.xaxis)
    np.testing.assert_allclose(axes.get_xticks(), ticks)


def test_a_ratio_is_drawn_with_its_interval_and_filled_if_that_leaves_out_1():
    compared = pd.DataFrame(
        {
            "case": ["a", "b"],
            "condition": "one",
            "estimate": [0.5, 0.9],
            "low": [0.4, 0.8],
            "high": [0.6, 1.1],
        }
    )
    axes = one_axes()
    figures.plot_ratios(compared, axes, ["a", "b"], {"one": ("o", "black")})
    drawn = [line for line in axes.lines if len(line.get_xdata()) > 0]
    intervals = [list(line.get_xdata()) for line in drawn]
    assert [0.4, 0.6] in intervals
    assert [0.8, 1.1] in intervals
    marks = {line.get_xdata()[0]: line for line in drawn if line.get_marker() == "o"}
    assert marks[0.5].get_markerfacecolor() == "black"
    assert marks[0.9].get_markerfacecolor() == "white"
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b"]


def test_an_estimate_without_an_interval_is_an_open_mark():
    compared = pd.DataFrame(
        {"case": ["a"], "condition": "one", "estimate": [0.5], "low": np.nan, "high": np.nan}
    )
    axes = one_axes()
    figures.plot_ratios(compared, axes, ["a"], {"one": ("o", "black")})
    drawn = [line for line in axes.lines if len(line.get_xdata()) > 0]
    (mark,) = [line for line in drawn if line.get_marker() == "o"]
    assert mark.get_markerfacecolor() == "white"


def test_a_cumulative_line_passes_one_half_at_the_median():
    finals = studies.stored("figure-2")
    axes = one_axes()
    figures.plot_cumulative(finals, axes)
    lines = {line.get_label(): line for line in axes.lines}
    for arm, rows in finals.groupby("arm"):
        at_half = np.interp(0.5, lines[arm].get_ydata(), np.log(lines[arm].get_xdata()))
        assert np.exp(at_half) == pytest.approx(rows["test_loss"].median(), rel=0.05)


def test_a_network_is_drawn_with_a_line_a_weight_and_a_circle_a_bias(ensemble):
    axes = one_axes()
    theta = ensemble.theta(40)[:, 0]
    figures.plot_network(theta, ensemble.growth, 9, axes)
    lines, circles = axes.collections
    size, (hidden, output) = growlib.unpack(theta[:, None], growlib.layer_shapes(9))
    biases, from_size, from_x = hidden[:, :, 0]
    weights = torch.cat([from_x, from_size, output[1:, 0, 0]])
    assert len(lines.get_segments()) == 3 * 9
    np.testing.assert_allclose(
        sorted(lines.get_linewidths()), sorted(0.4 + 1.8 * weights.abs()), rtol=1e-6
    )
    assert len(circles.get_offsets()) == 9 + 3
    np.testing.assert_allclose(circles.get_linewidths()[:9], 0.4 + 1.8 * biases.abs(), rtol=1e-6)
    assert f"N = {size.item():.2f}" in axes.get_title()


def test_a_circle_of_a_negative_bias_is_dashed(ensemble):
    axes = one_axes()
    theta = ensemble.theta(40)[:, 0]
    figures.plot_network(theta, ensemble.growth, 9, axes)
    circles = axes.collections[1]
    _, (hidden, _) = growlib.unpack(theta[:, None], growlib.layer_shapes(9))
    dashed = [dashes is not None for _, dashes in circles.get_linestyles()[:9]]
    assert dashed == (hidden[0, :, 0] < 0).tolist()
    assert 0 < sum(dashed) < 9


def test_the_numbers_of_a_plane_lie_in_the_regions_of_their_classes():
    curves = studies.stored("spirals", "curves").query("kind == 'prediction' and trial == 0")
    plane = curves.query("arm == 'static' and learns_from == 'size'")
    x, y = (values[..., 0] for values in growlib.task("spirals", points=2000).draw(0, [0]))
    axes = one_axes()
    figures.plot_classes(plane, x, y, axes)
    grid = plane.pivot(index="x2", columns="x", values="prediction")
    named = {}
    for text in axes.texts:
        column, row = text.get_position()
        named[int(text.get_text())] = grid.loc[row, column]
    assert named == {0: 0, 1: 1, 2: 2, 3: 3, 4: 4}


def test_the_error_of_a_fit_is_its_difference_from_the_target():
    task = growlib.task("cubic-1")
    curves = studies.stored("figure-3", "curves").query("task == 'cubic-1' and trial == 2")
    axes = one_axes()
    figures.plot_fit_errors(curves, task, axes)
    growing = curves.query("arm == 'growing'")
    lines = {line.get_label(): line for line in axes.lines}
    difference = growing["prediction"] - task.target(growing["x"].to_numpy())
    np.testing.assert_allclose(lines["growing"].get_ydata(), difference, atol=1e-6)
    # Each line that lies above another one is narrower, so that all show where they coincide.
    assert (
        lines["static"].get_zorder() < lines["growing"].get_zorder() < lines["grown"].get_zorder()
    )
    widths = [lines[arm].get_linewidth() for arm in ("static", "growing", "grown")]
    assert widths == sorted(widths, reverse=True)


def test_a_level_of_an_arm_is_drawn_and_written():
    levels = pd.DataFrame(
        {"estimate": [0.2, 0.5], "low": [0.1, np.nan], "high": [0.3, np.nan]}, ["growing", "static"]
    )
    axes = one_axes()
    figures.plot_arm_levels(levels, axes)
    marks = [line for line in axes.lines if line.get_marker() in ("o", "s")]
    assert [(line.get_xdata()[0], line.get_ydata()[0]) for line in marks] == [(0.2, 0), (0.5, 1)]
    assert list(axes.lines[0].get_xdata()) == [0.1, 0.3]
    assert [text.get_text() for text in axes.texts] == ["0.200", "0.500"]
    assert axes.get_xlim()[0] == 0


def test_a_picture_of_the_fits_shows_one_trial_at_one_epoch():
    growth, trials = growlib.together(list(growlib.arms().values()), 3)
    run = growlib.fit(
        "quadratic-1", growth, trials=trials, epochs=40, log_every=20, keep_weights=True
    )
    left, right = figures.draw_fits(run, 20, trial=1).axes
    line = np.linspace(-1, 1, 201)
    expected = run.predict(line, 20)[run.networks["trial"] == 1][:, :, 0]
    drawn = [each.get_ydata() for each in left.lines[-3:]]
    np.testing.assert_array_equal(drawn, expected)
    history = run.history.query("trial == 1 and epoch == 20").set_index("arm")["test_task_loss"]
    marks = {
        each.get_color(): (each.get_xdata()[0], each.get_ydata()[0])
        for each in right.lines
        if each.get_marker() == "o"
    }
    for arm, loss in history.items():
        assert marks[figures.COLOURS[arm]] == (20, loss)
    assert left.get_title() == "Trial 1, epoch 20"


def test_a_picture_of_the_planes_shows_both_networks_at_one_epoch():
    arms = growlib.arms(growlib.ControllerMask)
    growth, trials = growlib.together([arms["growing"], arms["static"]], [2])
    options = {"trials": trials, "width": 10, "optimizer": "adam", "lr": 0.02}
    run = growlib.fit(
        growlib.task("spirals", points=500),
        growth,
        epochs=60,
        log_every=30,
        keep_weights=True,
        **options,
    )
    first, second, course = figures.draw_planes(run, 30).axes
    accuracy = run.history.query("epoch == 30").set_index("arm")["accuracy"]
    assert first.get_title() == f"growing: {accuracy['growing']:.3f}"
    assert second.get_title() == f"static: {accuracy['static']:.3f}"
    for panel, of_one in zip((first, second), run.predict([[-0.5, 0.25]], 30), strict=True):
        shades = panel.collections[0].get_array()  # (x2, x), steps of 1/40 from -1
        assert shades[50, 20] == of_one[0].argmax()
    assert course.get_title() == "Epoch 30"


def test_a_picture_with_few_colours_keeps_them():
    figure, axes = figures.new_figure()
    for arm in growlib.ARMS:
        axes[0, 0].plot([0, 1], [0, 1 + len(arm)], **figures.line_style(arm))
    shades = np.linspace(0, 1, 20_000).reshape(100, 200)
    axes[0, 0].imshow(shades, cmap="viridis", extent=(0, 1, 0, 1), aspect="auto")
    full = _png(figure)
    small = base64.b64decode(notebooks.fewer_colours(base64.b64encode(full).decode()))
    pixels = [np.asarray(Image.open(io.BytesIO(png)).convert("RGB")) for png in (full, small)]
    assert np.abs(np.subtract(*pixels, dtype=int)).max() < 16
    assert len(small) < len(full)


def test_an_animation_is_written_only_where_a_folder_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pictures = []
    for height in (1, 2, 3):
        figure, axes = figures.new_figure()
        axes[0, 0].plot([0, height])
        pictures.append(figure)
    figures.save_animation(pictures, "moving.gif")
    assert not list(tmp_path.iterdir())
    shown = figures.save_animation(pictures, "moving.gif", str(tmp_path))
    assert (tmp_path / "moving.gif").read_bytes() == shown.data
    with Image.open(tmp_path / "moving.gif") as animation:
        assert animation.n_frames == 3


def test_a_figure_of_ratios_has_a_panel_a_case_and_the_same_rows_in_each():
    compared = pd.DataFrame(
        {
            "case": ["a", "b"],
            "network": ["one", "two"],
            "at": "best rates",
            "estimate": [0.5, 2.0],
            "low": [0.4, 1.5],
            "high": [0.6, 3.0],
        }
    )
    compared = pd.concat([compared, compared.assign(at="published rate")])
    marks = {"best rates": ("o", "k")}
    figure = figures.draw_ratios(compared, ["one", "two"], marks, "network", "at", ["a", "b"])
    left, right = figure.axes
    assert [left.get_title(), right.get_title()] == ["a", "b"]
    assert [label.get_text() for label in left.get_yticklabels()] == ["one", "two"]
    for panel, row, estimate in ((left, 0, 0.5), (right, 1, 2.0)):
        marks = [line for line in panel.lines if line.get_marker() == "o" and len(line.get_xdata())]
        assert [(line.get_xdata()[0], line.get_ydata()[0]) for line in marks] == [(estimate, row)]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["best rates"]


def test_panels_of_ratios_can_have_one_axis():
    compared = pd.DataFrame({"case": ["a", "b"], "network": "one", "at": "best rates"})
    compared = compared.assign(estimate=[0.5, 2.0], low=[0.4, 1.5], high=[0.6, 3.0])
    arguments = (compared, ["one"], {"best rates": ("o", "k")}, "network", "at", ["a", "b"])
    left, right = figures.draw_ratios(*arguments).axes
    assert right.get_xlim()[0] > 0.6
    left, right = figures.draw_ratios(*arguments, sharex=True).axes
    assert left.get_xlim() == right.get_xlim()
    assert left.get_xlim()[0] < 0.4 and right.get_xlim()[1] > 3


def test_panels_of_ratios_stand_in_so_many_columns():
    cases = list("abcde")
    compared = pd.DataFrame({"case": cases, "network": "one", "at": "best rates", "estimate": 0.5})
    compared = compared.assign(low=0.4, high=0.6)
    marks = {"best rates": ("o", "k")}
    arguments = (compared, ["one"], marks, "network", "at", cases)
    places = [panel.get_position() for panel in figures.draw_ratios(*arguments, columns=3).axes]
    assert len({round(place.x0, 2) for place in places}) == 3
    assert len({round(place.y0, 2) for place in places}) == 2


def test_ratios_that_are_all_missing_are_an_empty_picture():
    compared = pd.DataFrame(
        {"case": ["a"], "condition": "one", "estimate": np.nan, "low": np.nan, "high": np.nan}
    )
    axes = one_axes()
    figures.plot_ratios(compared, axes, ["a"], {"one": ("o", "black")})
    left, right = axes.get_xlim()
    assert left < 1 < right


def test_a_band_reaches_from_the_lower_to_the_upper_limit():
    rows = pd.DataFrame(
        {
            "arm": "static",
            "epoch": [20, 0, 10],
            "estimate": [3.0, 1.0, 2.0],
            "low": [2.5, 0.5, 1.5],
            "high": [3.5, 1.5, 2.5],
        }
    )
    axes = one_axes()
    figures.plot_bands(rows, axes)
    assert list(axes.lines[0].get_ydata()) == [1, 2, 3]
    corners = axes.collections[0].get_paths()[0].vertices
    heights = corners[corners[:, 0] == 10, 1]
    assert [heights.min(), heights.max()] == [1.5, 2.5]


def test_a_loss_against_operations_lies_at_the_mean_of_what_the_networks_spent():
    history = pd.DataFrame(
        {
            "arm": "growing",
            "trial": [0, 1, 2] * 2,
            "epoch": [0] * 3 + [10] * 3,
            "flops": [0.0] * 3 + [1e6, 2e6, 6e6],
            "test_task_loss": [1.0, 1.0, 1.0, 0.1, 0.2, 0.9],
        }
    )
    axes = one_axes()
    figures.plot_against_operations(history, axes)
    assert list(axes.lines[0].get_xdata()) == [0, 3]  # millions
    np.testing.assert_allclose(axes.lines[0].get_ydata(), [1, 0.2])


# -------------------------------------------------------------------------------- the size coupling


def a_map(values):
    """Return the axes of a map of ratios over six λ, alike after 10 and 100 epochs."""
    axes = one_axes()
    couplings = 10.0 ** np.arange(-3, 3)
    table = pd.DataFrame({10: values, 100: values}, index=couplings)
    figures.plot_map(table, axes, 1 / 4, 4, ratio=True)
    return axes


def test_a_map_of_ratios_is_hatched_where_a_ratio_is_above_1_and_nowhere_else():
    axes = a_map([9.0, 4.0, 2.0, 0.5, 0.3, 0.9])
    (hatched,) = [each for each in axes.collections if getattr(each, "hatches", [None])[0]]
    corners = np.concatenate([path.vertices for path in hatched.get_paths() if len(path.vertices)])
    assert corners[:, 0].min() == pytest.approx(1e-3)
    assert 0.1 < corners[:, 0].max() < 1  # between the last λ above 1 and the first one below


@pytest.mark.parametrize("values", [[0.5] * 6, [2.0] * 6, [np.nan] * 3 + [0.5, 2.0, 0.5]])
def test_a_map_of_ratios_that_do_not_cross_1_or_are_missing_is_drawn(values):
    axes = a_map(values)
    axes.figure.draw_without_rendering()


def test_a_map_of_a_single_length_is_drawn():
    axes = one_axes()
    table = pd.DataFrame({10: [0.1, 0.01, 0.001]}, index=[0.1, 1, 10])
    figures.plot_map(table, axes, 1e-4, 1)
    axes.figure.draw_without_rendering()


def a_drawing_of(chosen):
    """Return a picture of two λ and one length, and the losses of growing networks."""
    growing = np.array([[[1.0, 2.0, 9.0], [1.0, 1.0, 1.0]]])
    grown = np.full((1, 2, 3), 2.0)
    losses = coupling.Sweep(1e-3, np.array([100]), np.array([0.1, 1.0]), growing, grown)
    smooth = {name: coupling.ratios(losses, name) for name in coupling.MEASURES}
    return figures.draw_coupling(losses, smooth, chosen, 100), growing[0]


@pytest.mark.parametrize("chosen, place", [(0.1, 0), (0.2, 0), (0.9, 1), (50, 1)])
def test_a_browsed_coupling_shows_the_losses_at_the_nearest_one(chosen, place):
    figure, growing = a_drawing_of(chosen)
    left, right = figure.axes
    lines = {line.get_label(): line for line in right.lines}
    assert list(lines["growing"].get_xdata()) == list(growing[place])
    np.testing.assert_allclose(lines["growing"].get_ydata(), [1 / 6, 3 / 6, 5 / 6])
    diamonds = [line.get_xdata()[0] for line in right.lines if line.get_marker() == "D"]
    assert diamonds == [growing[place].mean(), 2]
    marks = [line for line in left.lines if line.get_marker() in ("o", "s")]
    assert [line.get_xdata()[0] for line in marks] == [(0.1, 1.0)[place]] * 2
    expected = [growing[place].mean() / 2, np.median(growing[place]) / 2]
    assert [line.get_ydata()[0] for line in marks] == expected


def test_a_length_that_the_sweep_lacks_is_refused():
    losses = coupling.Sweep(1e-3, np.array([100]), np.array([1.0]), np.ones((1, 1, 3)), None)
    with pytest.raises(ValueError, match=r"epochs is 7; it takes one of \[100\]"):
        figures.draw_coupling(losses, {}, 1.0, 7)

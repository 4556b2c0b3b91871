"""Studies, the store, the statistics and the figures."""

import json
import multiprocessing
import time

import matplotlib.collections
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from matplotlib.ticker import LogLocator, NullLocator
from scipy import stats

import growlib
from growkit import figures, statistics, studies

TINY = [
    {
        "task": "cubic-1",
        "growth": growth,
        "trials": 6,
        "epochs": (8,),
        "log_every": 4,
        "lr": 0.01,
        "width": 9,
        "seed": 0,
        "compiled": False,
    }
    for growth in growlib.arms().values()
]


@pytest.fixture
def home(tmp_path, monkeypatch, here):
    """An empty project whose published study is tiny and is computed in this process."""
    monkeypatch.setattr(growlib, "HOME", tmp_path)
    monkeypatch.setattr(studies, "published", lambda study, scale="paper": TINY)
    monkeypatch.setattr(
        studies, "CELL_SECONDS", 4.5 * studies._seconds(TINY[0])
    )  # four networks a cell
    return tmp_path


def test_a_study_is_computed_once_and_then_read(home, here):
    first = studies.results("figure-5")
    assert len(here.done) == 5  # three arms of six networks, four a cell
    assert studies.is_stored("figure-5")
    again = studies.results("figure-5")
    assert len(here.done) == 5
    pd.testing.assert_frame_equal(first.finals, again.finals)
    assert "data/" in again.origin and sorted(first.finals["trial"].unique()) == list(range(6))


def test_the_stored_study_is_the_fit(home):
    stored = studies.study("figure-5")
    whole = pd.concat(
        [
            growlib.fit(
                s["task"],
                s["growth"],
                **{k: v for k, v in s.items() if k not in ("task", "growth")},
            ).finals
            for s in TINY
        ]
    )
    for name in ("test_task_loss", "size", "test_loss"):
        np.testing.assert_allclose(
            stored[name].to_numpy(), whole[name].to_numpy().astype("float32"), rtol=2e-7
        )
    assert stored["coupling"].unique().tolist() == [0.1] and stored[
        "arm"
    ].unique().tolist() == list(growlib.ARMS)


def test_finished_cells_outlive_an_interruption(home, here, monkeypatch):
    work = studies._work

    def interrupted(cell, path):
        if len(here.done) == 3:
            raise KeyboardInterrupt
        return work(cell, path)

    monkeypatch.setattr(studies, "_work", interrupted)
    with pytest.raises(KeyboardInterrupt):
        studies.study("figure-5")
    assert (
        not studies.is_stored("figure-5")
        and len(list((home / ".cache/cells").glob("*.parquet"))) == 3
    )
    monkeypatch.setattr(studies, "_work", work)
    studies.study("figure-5")
    assert len(here.done) == 5  # three before, two after


def test_another_method_or_setting_is_another_cell(home, monkeypatch):
    cell = studies._cells(TINY)[0]
    names = {studies._cell_path(cell).name, studies._cell_path(cell | {"lr": 0.02}).name}
    studies.study("figure-5")
    monkeypatch.setattr(growlib, "METHOD", growlib.METHOD + 1)
    names.add(studies._cell_path(cell).name)
    assert len(names) == 3 and not studies.is_stored("figure-5")


def test_parquet_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "frame.parquet"
    studies._write_parquet([pd.DataFrame({"a": [1.0]})], path, {})

    def fails(*_, **__):
        raise OSError("disk full")

    monkeypatch.setattr(pq, "write_table", fails)
    with pytest.raises(
        ValueError,
        match=r"path is .*frame.parquet'; it takes a file that can be written \(disk full\)",
    ):
        studies._write_parquet([pd.DataFrame({"a": [2.0]})], path, {})
    assert pd.read_parquet(path)["a"].tolist() == [1.0] and list(tmp_path.iterdir()) == [path]


def _real_study():
    studies.CELL_SECONDS = 4.5 * studies._seconds(TINY[0])
    studies.published = lambda study, scale="paper": TINY
    studies.study("figure-5", workers=2)


def test_worker_processes_give_the_same_frame(tmp_path, monkeypatch, home):
    here = studies.study("figure-5").drop(columns="seconds")
    monkeypatch.undo()
    monkeypatch.setenv("GROWLIB_HOME", str(tmp_path / "other"))
    process = multiprocessing.get_context("spawn").Process(target=_real_study)
    process.start()
    process.join(180)
    assert process.exitcode == 0
    other = growlib.with_sums(pd.read_parquet(tmp_path / "other/data/figure-5.parquet")).drop(
        columns="seconds"
    )
    pd.testing.assert_frame_equal(here, other)


@pytest.mark.parametrize("study", studies.STUDIES)
def test_the_committed_studies_are_complete(study):
    assert studies.is_stored(study)
    finals, settings = studies.stored(study), studies.published(study)
    ends = {"figure-3": [40_000], "figure-4": [20_000]}.get(study)
    expected = sum(
        s["trials"] * np.size(s["growth"].coupling) * len(ends or s["epochs"]) for s in settings
    )
    assert len(finals) == expected and (
        study in ("tuning", "controls") or not finals["diverged"].any()
    )  # where rates are tried, some are too large
    assert studies.stored(study, "history")["trial"].max() < 200
    assert studies.stored(study, "history").groupby(["task", "arm"])["epoch"].nunique().max() <= 200
    assert set(studies.stored(study, "curves")["kind"]) <= {"prediction", "confusion"}
    about = studies.about_stored(study)
    assert (
        about["compiled"]
        and about["core_minutes"] > 0
        and about["settings"] == json.loads(json.dumps(about["settings"]))
    )


def test_stored_trials_can_be_made_again():
    """Two trials of Figure 5, as committed; another processor may round otherwise, hence the tolerance."""
    settings = studies.published("figure-5")[0] | {"trials": range(4321, 4323)}
    again = growlib.fit(settings.pop("task"), settings.pop("growth"), **settings).finals
    stored = studies.stored("figure-5").query("arm == 'growing' and 4321 <= trial < 4323")
    np.testing.assert_allclose(stored["test_task_loss"], again["test_task_loss"], rtol=1e-3)
    np.testing.assert_allclose(stored["size"], again["size"], rtol=1e-5)


def paired(n=60, diverged=()):
    rng = np.random.default_rng(0)
    a, b = np.exp(rng.normal(-1, 1, n)), np.exp(rng.normal(-0.5, 1, n))
    frames = [
        pd.DataFrame(
            {
                "task": "t",
                "arm": arm,
                "trial": range(n),
                "test_loss": v,
                "diverged": np.isin(np.arange(n), gone),
            }
        )
        for arm, v, gone in (("growing", a, diverged), ("grown", b, ()))
    ]
    return pd.concat(frames), a, b


def test_comparison_is_the_hand_worked_one():
    frame = pd.DataFrame(
        {
            "task": "t",
            "trial": [0, 1, 2, 3] * 2,
            "arm": ["growing"] * 4 + ["grown"] * 4,
            "diverged": False,
            "test_loss": [1.0, 2, 3, 6, 2, 2, 4, 4],
        }
    )
    found = statistics.compare(frame, resamples=200).set_index("measure")["estimate"]
    assert found.to_dict() == {
        "ratio of means": 12 / 12,
        "ratio of medians": 2.5 / 3,
        "probability": (1 + 0.5 + 1 + 0) / 4,
    }


def test_intervals_are_scipys_bca():
    frame, a, b = paired()
    row = statistics.compare(frame, resamples=999).set_index("measure").loc["ratio of means"]
    theirs = stats.bootstrap(
        (a, b),
        lambda a, b, axis: a.mean(axis) / b.mean(axis),
        paired=True,
        n_resamples=999,
        method="BCa",
        rng=np.random.default_rng(0),
    ).confidence_interval
    assert (row["low"], row["high"]) == pytest.approx(tuple(theirs)) and row["pairs"] == 60
    assert row["low"] < row["estimate"] < row["high"]


def test_diverged_trials_are_worst_and_counted():
    frame, a, b = paired(diverged=(3, 7))
    found = statistics.compare(frame, resamples=200).set_index("measure")
    keep = ~np.isin(np.arange(60), (3, 7))
    assert (found["lost"] == 2).all()
    assert found.loc["ratio of means", "estimate"] == pytest.approx(a[keep].mean() / b[keep].mean())
    assert found.loc["probability", "estimate"] == pytest.approx((a[keep] < b[keep]).sum() / 60)
    assert found.loc["ratio of medians", "estimate"] == pytest.approx(
        np.median(np.where(keep, a, np.inf)) / np.median(b)
    )


def test_a_comparison_of_few_or_mostly_diverged_pairs_says_what_it_can():
    """Without a warning: no interval of one pair, no measure of none, limits that may be infinite, and no p below what four pairs can give."""

    def compared(lost, pairs=4):
        arms = [
            pd.DataFrame(
                {
                    "task": "t",
                    "arm": arm,
                    "trial": range(pairs),
                    "test_loss": np.arange(pairs) + first,
                    "diverged": False,
                }
            )
            for arm, first in (("growing", 1.0), ("grown", 2.0))
        ]
        arms[0]["diverged"] = arms[0]["trial"] < lost
        return statistics.compare(pd.concat(arms), permutations=99, resamples=99).set_index(
            "measure"
        )

    one, half, none = compared(0, pairs=1), compared(2), compared(4)
    assert one["estimate"].tolist() == [0.5, 0.5, 1.0] and one[["low", "high", "p"]].isna().all(
        axis=None
    )
    assert half.loc["ratio of medians", ["estimate", "high"]].tolist() == [
        np.inf,
        np.inf,
    ] and np.isfinite(half.loc["ratio of medians", "low"])
    assert (
        none.loc["ratio of means", ["estimate", "low", "high", "p"]].isna().all()
        and none.loc["probability", "estimate"] == 0
    )
    for found in (half, none):
        assert (found["p"].dropna() >= 2 / 2**4).all()


def test_a_comparison_without_spread_has_no_width():
    frame, _, _ = paired()
    frame["test_loss"] = 1.0
    found = statistics.compare(frame, resamples=100).set_index("measure").loc["probability"]
    assert (found["low"], found["estimate"], found["high"]) == (0.5, 0.5, 0.5)


def test_the_committed_comparisons_are_those_of_the_data():
    compared = pd.read_csv(growlib.HOME / "data/results.csv")
    for _, row in compared.iterrows():
        finals = studies.stored(row["study"])
        if row["value"].startswith("error"):
            finals[row["value"]] = 1 - finals[row["value"].replace("error", "accuracy")]
        mine = (
            (finals["task"] == row["task"])
            & (finals["epochs"] == row["epochs"])
            & (finals["mask"] == row["mask"])
        )
        part = finals[mine & np.isclose(finals["noise"], row["noise"])]
        wide = part.pivot(index="trial", columns="arm", values=row["value"])[
            ["growing", row["against"]]
        ]
        again = statistics._measured(
            wide["growing"].to_numpy(), wide[row["against"]].to_numpy(), row["measure"]
        )
        assert row["estimate"] == pytest.approx(again, rel=1e-5)
        assert row["low"] <= row["estimate"] <= row["high"] and row["pairs"] == len(wide)


def test_mirrored_histogram_shows_every_trial():
    finals = studies.stored("figure-2")
    _, axes = figures.new_figure()
    figures.plot_mirrored(finals, axes[0, 0])
    above, below = (patch.get_data().values for patch in axes[0, 0].patches)
    assert above.sum() == 200 and below.sum() == -200
    means = finals.groupby("arm")["test_loss"].mean()
    lines = [c.get_segments()[0][0][0] for c in axes[0, 0].collections]
    assert lines == pytest.approx([means["growing"], means["grown"]])


def test_histories_show_median_and_middle_half():
    history = studies.stored("figure-2", "history").query("arm == 'static'")
    _, axes = figures.new_figure()
    figures.plot_histories(history, axes[0, 0])
    line = axes[0, 0].lines[0]
    expected = history.groupby("epoch")["test_loss"].median()
    np.testing.assert_allclose(line.get_ydata(), expected)
    np.testing.assert_allclose(line.get_xdata(), expected.index)


def from_notebook(name, function, **known):
    """A function that a notebook defines."""
    cells = json.loads(
        (growlib.Path(growlib.__file__).parent / f"notebooks/{name}.ipynb").read_text()
    )["cells"]
    known |= {"growlib": growlib, "figures": figures, "statistics": statistics, "studies": studies}
    exec(
        next(
            text
            for cell in cells
            if (text := "".join(cell["source"])).startswith(f"def {function}(")
        ),
        known,
    )
    return known[function]


def test_comparison_figure_shows_the_table():
    frame, _, _ = paired()
    table = statistics.compare(frame, resamples=200)
    _, axes = figures.new_figure()
    plot_comparison = from_notebook(
        "02_regression", "plot_comparison", LogLocator=LogLocator, NullLocator=NullLocator
    )
    plot_comparison(table.assign(condition=table["task"]), axes[0, 0], "ratio of medians")
    assert (
        axes[0, 0].containers[0].lines[0].get_xdata()[0]
        == table.set_index("measure").loc["ratio of medians", "estimate"]
    )
    assert [t.get_text() for t in axes[0, 0].get_yticklabels()] == ["t"]


def test_network_drawing_has_a_line_a_weight_and_a_circle_a_bias(ensemble):
    plot_network = from_notebook("01_growth", "plot_network", torch=torch, mpl=matplotlib)
    _, axes = figures.new_figure()
    theta = ensemble.theta(40)[:, 0]
    plot_network(theta, ensemble.growth, 9, axes[0, 0])
    lines, circles = axes[0, 0].collections
    size, ((b, u, w), output) = growlib.unpack(theta[:, None], growlib.layer_shapes(9))
    weights = torch.cat([w[:, 0], u[:, 0], output[1:, 0, 0]])
    assert len(lines.get_segments()) == 3 * 9 and len(circles.get_offsets()) == 9 + 3
    np.testing.assert_allclose(lines.get_linewidths(), 0.4 + 1.8 * weights.abs(), rtol=1e-6)
    np.testing.assert_allclose(circles.get_linewidths()[:9], 0.4 + 1.8 * b[:, 0].abs(), rtol=1e-6)
    assert axes[0, 0].get_title() == f"N = {size.item():.2f}"


def test_fit_figure_shows_predictions_and_residuals():
    curves, task = (
        studies.stored("figure-3", "curves").query("task == 'cubic-1'"),
        growlib.task("cubic-1"),
    )
    _, axes = figures.new_figure()
    curves = curves.query("trial == 2")
    from_notebook("02_regression", "plot_fit")(curves, task, axes[0, 0], ([0.0], [0.0]))
    part = curves.query("arm == 'growing'")
    lines = {line.get_label(): line for line in axes[0, 0].lines}
    np.testing.assert_allclose(lines["growing"].get_ydata(), part["prediction"])
    inset = axes[0, 0].child_axes[0]
    np.testing.assert_allclose(
        inset.lines[0].get_ydata(),
        (part["prediction"] - task.target(part["x"].to_numpy())),
        atol=1e-6,
    )


def test_confusion_counts_give_the_accuracy():
    counts = studies.stored("figure-5", "curves").query("kind == 'confusion' and arm == 'grown'")
    accuracy = studies.stored("figure-5").query("arm == 'grown'")["accuracy_fresh"].mean()
    right = (
        counts[counts["true_class"] == counts["predicted_class"]]["count"].sum()
        / counts["count"].sum()
    )
    assert right == pytest.approx(accuracy, abs=1e-6)


def test_the_same_results_give_the_same_picture_bytes(tmp_path):
    for folder in ("one", "two"):
        figure, axes = figures.new_figure()
        figures.plot_histories(studies.stored("figure-2", "history"), axes[0, 0])
        figures.save_figure(figure, "same", folder=str(tmp_path / folder))
        time.sleep(1.1)  # a date in the file would differ
    for kind in ("png", "svg"):
        assert (tmp_path / f"one/same.{kind}").read_bytes() == (
            tmp_path / f"two/same.{kind}"
        ).read_bytes()


def test_quick_scale_is_the_published_setting_with_fewer_trials():
    """On the large sets also with fewer points and epochs, and of the two sweeps fewer values."""

    def bare(setting):
        options = {
            name: value for name, value in setting.get("options", {}).items() if name != "points"
        }
        growth = growlib.replace(setting["growth"], coupling=0.0)
        return {
            name: value
            for name, value in setting.items()
            if name not in ("trials", "epochs", "data_seed")
        } | {"growth": growth, "options": options}

    for study in studies.STUDIES:
        paper, quick = studies.published(study), studies.published(study, "quick")
        for setting in quick:
            alike = [s["trials"] for s in paper if bare(s) == bare(setting)]
            assert alike and setting["trials"] < min(alike)
        assert len(quick) <= len(paper)
        assert all(s["epochs"] in [p["epochs"] for p in paper] or "options" in s for s in quick)
    few, all_of = studies.published("coupling", "quick")[0], studies.published("coupling")[0]
    where = np.isin(all_of["growth"].coupling, few["growth"].coupling)
    assert (
        where.sum() == len(few["data_seed"]) == 21
        and list(few["data_seed"]) == np.flatnonzero(where).tolist()
    )


def test_holms_correction_of_a_case_worked_by_hand():
    np.testing.assert_allclose(statistics.holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(statistics.holm([0.7, 0.6]), [1, 1])


def test_the_interquartile_mean_is_that_of_the_middle_half():
    frame, a, b = paired()
    row = statistics.compare(frame, measures=["ratio of interquartile means"], resamples=200).iloc[
        0
    ]
    middle = [
        np.sort(values)[len(values) // 4 : len(values) - len(values) // 4].mean()
        for values in (a, b)
    ]
    assert (
        row["estimate"] == pytest.approx(middle[0] / middle[1])
        and row["low"] < row["estimate"] < row["high"]
    )


def test_any_arm_can_be_compared_with_any_other():
    frame, a, b = paired()
    named = frame.assign(arm=frame["arm"].map({"growing": "pruned", "grown": "larger"}))
    row = statistics.compare(named, against="larger", arm="pruned", resamples=200).iloc[0]
    assert row["estimate"] == pytest.approx(a.mean() / b.mean())


def test_controls_are_named_and_change_one_thing_each():
    part = {
        "task": "cubic-1",
        "arm": ["growing", "static"],
        "controls": {"plain": {}, "fed less": {"feeds": 0.2, "arm": "growing"}},
    }
    settings = studies._settings(part)
    assert [(s["control"], s["growth"].arm(), s["growth"].feeds) for s in settings] == [
        ("plain", "growing", 1.0),
        ("plain", "static", 1.0),
        ("fed less", "growing", 0.2),
    ]
    assert "control" not in studies._settings({"task": "cubic-1"})[0]


def test_a_tuned_rate_is_the_one_that_did_best_on_other_trials(monkeypatch):
    part = {
        "task": "cubic-1",
        "width": 9,
        "trials": 50,
        "lr": [0.001, "tuned"],
        "arm": ["growing", "static"],
        "controls": {"plain": {}},
        "tuning": {"trials": 3, "seed": 1, "lr": [0.001, 0.01, 0.1]},
    }
    monkeypatch.setattr(
        studies,
        "STUDIES",
        {"main": {"part": [part], "quick": {}}, "tuning": {"tunes": "main", "quick": {}}},
    )
    tried = studies.published("tuning")
    assert [(s["growth"].arm(), s["lr"], s["seed"], s["trials"]) for s in tried] == [
        (arm, lr, 1, 3) for lr in (0.001, 0.01, 0.1) for arm in ("growing", "static")
    ]
    rows = [
        {
            "task": "cubic-1",
            "control": "plain",
            "width": 9,
            "method": "AuxiliaryWeight",
            "arm": s["growth"].arm(),
            "lr": s["lr"],
            "test_task_loss": s["lr"] if s["growth"].arm() == "growing" else 1 / s["lr"],
            "diverged": s["lr"] == 0.1,
        }
        for s in tried
        for _ in range(3)
    ]
    monkeypatch.setattr(studies, "stored", lambda study: pd.DataFrame(rows))
    found = [(s["growth"].arm(), s["lr"], s.get("seed", 0)) for s in studies.published("main")]
    assert found == [
        ("growing", 0.001, 0),
        ("static", 0.001, 0),
        ("static", 0.01, 0),
    ]  # growing's best is the published one; 0.1 diverged


def test_scaling_finds_a_known_power_law_and_what_is_none():
    width, trial = (a.ravel() for a in np.meshgrid([4, 8, 16, 32], np.arange(12), indexing="ij"))
    noise = np.exp(0.1 * np.random.default_rng(0).standard_normal(len(width)))
    straight = pd.DataFrame(
        {"arm": "static", "width": width, "trial": trial, "test_loss": 3 * width**-1.5 * noise}
    )
    bent = straight.assign(arm="growing", test_loss=3.0 * np.minimum(width, 8) ** -1.5)
    found = from_notebook("07_scaling", "power_law", np=np)(
        pd.concat([straight, bent]), resamples=200
    )
    slope = found.loc[("static", "slope")]
    assert (
        abs(slope["estimate"] + 1.5) < 0.1
        and slope["low"] < slope["estimate"] < slope["high"] < slope["low"] + 0.2
    )
    assert found.loc[("static", "misfit"), "estimate"] < 1.1
    y = -1.5 * np.log10(np.minimum([4, 8, 16, 32], 8))
    line = np.polyfit(np.log10([4, 8, 16, 32]), y, 1)
    np.testing.assert_allclose(
        found.loc[("growing", "slope")], line[0]
    )  # without noise the limits meet
    np.testing.assert_allclose(
        np.log10(found.loc[("growing", "misfit"), "estimate"]),
        np.abs(y - np.polyval(line, np.log10([4, 8, 16, 32]))).max(),
    )


def test_limits_over_trials_cover_the_truth_as_often_as_they_say():
    samples = np.random.default_rng(0).standard_normal((300, 40))
    limits = [
        statistics.over_trials(lambda places: {"mean": x[places].mean()}, 40, resamples=200).loc[
            "mean"
        ]
        for x in samples
    ]  # noqa: B023
    covered = np.mean([row["low"] < 0 < row["high"] for row in limits])
    assert 0.88 < covered < 0.98


def test_the_p_of_a_comparison_is_that_of_a_permutation():
    frame, a, b = paired()
    found = statistics.compare(
        frame, measures=["ratio of means", "probability"], resamples=100, permutations=9999
    ).set_index("measure")["p"]
    assert found["probability"] == pytest.approx(
        stats.binomtest(int((a < b).sum()), len(a)).pvalue, abs=0.01
    )
    swapped = np.random.default_rng(1).random((9999, len(a))) < 0.5
    ratios = np.where(swapped, b, a).mean(1) / np.where(swapped, a, b).mean(1)
    assert found["ratio of means"] == pytest.approx(
        2 * min((ratios <= a.mean() / b.mean()).mean(), 0.5), abs=0.01
    )
    few = pd.DataFrame(
        {
            "task": "t",
            "trial": [0, 1, 2] * 2,
            "arm": ["growing"] * 3 + ["grown"] * 3,
            "diverged": False,
            "test_loss": [1.0, 2, 3, 2, 3, 4],
        }
    )
    assert (
        statistics.compare(few, measures=["probability"], resamples=100, permutations=50)[
            "p"
        ].item()
        == 0.25
    )  # all of the 8 swaps, 1 each way as far


@pytest.mark.parametrize("at", range(0, 1000, 70))
def test_the_committed_controls_are_those_of_the_data(at):
    """Rows of data/controls.csv here and there, with their arms, rates and references found again."""
    rows = pd.read_csv(growlib.HOME / "data/controls.csv")
    row = rows[~rows["reference"].str.startswith("picked")].iloc[at]
    finals = studies.stored("controls")
    finals = finals[
        (finals["task"] == row["case"].split(",")[0])
        & ((finals["width"] == 64) == ("64" in row["case"]))
    ]

    def losses(name, arm):
        control = name.removesuffix(", grown").removesuffix(", equal compute")
        mine = finals[(finals["control"] == control) & (finals["arm"] == arm)]
        mine = mine[
            mine["epochs"]
            == (mine["epochs"].min() if name.endswith("equal compute") else mine["epochs"].max())
        ]
        mine = mine[
            mine["lr"] == mine["lr"].iloc[0 if row["rate"] == "published" else -1]
        ].set_index("trial")
        return mine[row["value"]].where(~mine["diverged"], np.inf).sort_index().to_numpy()

    a, b = losses(row["control"], row["arm"]), losses(row["reference"], "static")
    assert (
        len(a) == len(b) == row["pairs"]
        and row["lost"] == (~(np.isfinite(a) & np.isfinite(b))).sum()
    )
    if row["measure"] == "ratio of means":
        a, b = a[np.isfinite(a) & np.isfinite(b)], b[np.isfinite(a) & np.isfinite(b)]
    assert row["estimate"] == pytest.approx(statistics._measured(a, b, row["measure"]), rel=1e-5)


def test_the_claims_are_corrected_for_all_their_comparisons():
    claims = pd.read_csv(growlib.HOME / "data/claims.csv", keep_default_na=False)
    opponents = {
        "grown",
        "static",
        "static without the size input",
        "larger static",
        "pruned",
        "pruned, equal compute",
    }
    for measure, part in claims.groupby("measure"):
        np.testing.assert_allclose(statistics.holm(part["p"]), part["corrected"], rtol=1e-4)
        even = 0.5 if measure == "probability" else 1
        better = part["estimate"] > even if measure == "probability" else part["estimate"] < even
        clear = (part["corrected"] < 0.05) & ((part["low"] > even) | (part["high"] < even))
        assert (
            part["favours"]
            == np.where(clear, np.where(better, "growing", part["against"]), "neither")
        ).all()
    assert set(claims["favours"]) <= {"growing", "neither"} | opponents

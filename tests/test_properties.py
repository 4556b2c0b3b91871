"""What holds for any network, task and setting, each tried on cases that hypothesis makes up (GROWLIB_EXAMPLES says how many)."""

import math
import re
import tempfile
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

import growlib
from growkit import statistics, studies, surgery, tables

METHODS = list(growlib.METHODS.values())
SEEDS = st.integers(0, 2**32)
TRIALS = st.lists(st.integers(0, 1000), min_size=1, max_size=4, unique=True)
FREE = (
    "seconds",
    "flops_done",
)  # the clock, and work that is shared with the networks beside: all else is a network's own


def powers(low, high):
    """Numbers from low to high, as often small as large."""
    return st.floats(math.log10(low), math.log10(high)).map(lambda power: 10**power)


def sizes(most):
    """Sizes up to `most`, whole ones among them."""
    return st.floats(0, most) | st.integers(0, int(most)).map(float)


def growths(width=3, methods=METHODS, **fixed):
    """Any growth that fits the width, but for what is fixed."""

    def of(method):
        most = min(width, method.most)
        noise = (
            {"start_noise": st.sampled_from([0.0, 1e-5, 0.1])}
            if method is growlib.ControllerMask
            else {}
        )
        chosen = {
            "start": sizes(most),
            "target": sizes(most),
            "coupling": powers(1e-3, 1e3),
            "frozen": st.booleans(),
            "speed": st.sampled_from([0.0, 0.3, 1.0, 3.0]),
            "feeds": st.sampled_from([0.0, 0.2, 1.0]),
            "forgets": st.booleans(),
            "opens": st.sampled_from(["neurons", "rate", "nothing"]),
            "mask": st.sampled_from(method.masks),
            "learns_from": st.sampled_from(["size", "loss"]),
        }
        return st.builds(
            method, **chosen | noise | {name: st.just(value) for name, value in fixed.items()}
        )

    return st.one_of(map(of, methods))


def a_table(classes):
    """A table of 40 rows with three columns and a target, of a regression where there are no classes."""
    numbers = np.random.default_rng(0).normal([0, 100, -3], [1, 20, 0.01], (40, 3))
    target = np.arange(40) % classes if classes else numbers @ [1, 0.01, 5]
    return tables.task_from_frame(
        pd.DataFrame(numbers, columns=["a", "b", "c"]).assign(y=target), "y", classes=bool(classes)
    )


LEARNED = [
    growlib.task("cubic-1"),
    growlib.task("bessel-sum", points=12, test_points=4, noise=0.1),
    growlib.task("bessel-grid", points=50, gap=0.1),
    growlib.task("square-wave"),
    growlib.task("spirals", points=60, classes=3),
    a_table(0),
    a_table(2),
    a_table(3),
]
LARGE = growlib.task("gaussian-mixture", points=1300)


@st.composite
def calls(draw, growth=None, tasks=(*LEARNED, LARGE), widths=None, **fixed):
    """Any arguments of `fit`, a task and a growth among them, for few networks and epochs."""
    width = draw(
        st.integers(1, 12) | st.lists(st.integers(1, 5), min_size=2, max_size=3)
        if widths is None
        else widths
    )
    trials = fixed.pop("trials", None) or draw(TRIALS)
    chosen = {
        "task_or_name": st.sampled_from(tasks),
        "growth": growths(np.min(width)) if growth is None else growth(np.min(width)),
        "epochs": st.integers(1, 3),
        "lr": powers(1e-5, 1),
        "seed": SEEDS,
        "optimizer": st.sampled_from(["gd", "adam"]),
        "batch": st.none() | st.integers(5, 50),
        "dtype": st.sampled_from(["float32", "float64"]),
        "log_every": st.integers(1, 3),
        "data_seed": st.none()
        | st.integers(0, 9)
        | st.lists(st.integers(0, 9), min_size=len(trials), max_size=len(trials)),
        "output_scale": st.sampled_from([1.0, 0.01]),
    }
    call = draw(
        st.fixed_dictionaries(chosen | {name: st.just(value) for name, value in fixed.items()})
    ) | {"width": width, "trials": trials}
    return call | {"batch": 400 if call["batch"] and call["task_or_name"].large else call["batch"]}


def fit(call, **other):
    return growlib.fit(**{"compiled": False} | call | other)


def same(one, two, free=FREE):
    """Two frames are equal to the bit in the columns that are not free."""
    one, two = (
        frame.drop(columns=list(free), errors="ignore").reset_index(drop=True)
        for frame in (one, two)
    )
    pd.testing.assert_frame_equal(one, two, check_exact=True)


def drawn(run):
    """The points that every network of a run learned and was tested on, x and y."""
    return (
        torch.tensor(part, dtype=run.theta().dtype)
        for part in growlib._data(run.task, run.settings, np.arange(run.weights.shape[1]))
    )


# ------------------------------------------------------------------------------------- what a run says of itself


@given(call=calls(), lr=powers(1e-6, 1e30))
def test_what_is_not_finite_is_reported_as_diverged(call, lr):
    """A network that does not say that it diverged has finite weights, and finite numbers in every row."""
    run = fit(call, lr=lr)
    fine = ~run.finals["diverged"].to_numpy()
    empty = [] if run.task.endless and run.task.classes else ["accuracy_fresh"]
    numbers = run.finals.drop(
        columns=empty + ([] if run.task.classes else ["accuracy"])
    ).select_dtypes("number")
    assert np.isfinite(numbers[fine]).all(axis=None) and np.isfinite(run.weights[:, fine]).all()
    logged = run.history[run.history["trial"].isin(run.finals["trial"][fine])]
    assert np.isfinite(logged[["train_loss", "test_loss", "size", "flops"]]).all(axis=None)
    assert (run.finals[["train_loss", "test_loss"]][fine] <= growlib.TOO_LARGE).all(axis=None)


@given(call=calls(epochs=(1, 3, 6)), lr=powers(1e-2, 1e10))
def test_what_has_diverged_stays_diverged(call, lr):
    """Over the ends that are read off one run `diverged` only ever becomes true."""
    flags = (
        fit(call, lr=lr).finals.pivot(index="trial", columns="epochs", values="diverged").to_numpy()
    )
    assert (flags[:, 1:] >= flags[:, :-1]).all()


SCHEMA = {
    **dict.fromkeys(["task", "method", "mask", "learns_from", "arm", "control"], "str"),
    "trial": "int64",
    **dict.fromkeys(["start", "target", "coupling"], "float64"),
    "width": "int64",
    "lr": "float64",
    **dict.fromkeys(["points", "test_points", "classes"], "int64"),
    "noise": "float64",
    **dict.fromkeys(["seed", "data_seed"], "int64"),
    **dict.fromkeys(["optimizer", "dtype"], "str"),
    **dict.fromkeys(["train_task_loss", "test_task_loss", "size_loss", "size", "gate"], "float64"),
    "active_width": "int64",
    "accuracy": "float64",
    "epoch": "int64",
    **dict.fromkeys(["flops", "flops_done"], "float64"),
    "diverged": "bool",
    **dict.fromkeys(["seconds", "accuracy_fresh", "train_loss", "test_loss"], "float64"),
}


@given(call=calls(), lr=st.sampled_from([1, 0.5, [1, 2, 1, 1]]))
def test_every_run_has_the_same_columns(call, lr):
    """Finals and histories have the same columns, in the same order and of the same kinds, whatever was trained; several widths are text."""
    run = fit(call, lr=lr if np.ndim(lr) == 0 else lr[: len(call["trials"])])
    schema = SCHEMA | ({} if np.ndim(call["width"]) == 0 else {"width": "str"})
    assert {name: str(kind) for name, kind in run.history.dtypes.items()} == {
        name: kind for name, kind in schema.items() if name not in growlib.ONLY_FINAL
    }
    assert list(run.history) == [name for name in schema if name not in growlib.ONLY_FINAL]
    final = {
        "epochs" if name == "epoch" else name: kind
        for name, kind in schema.items()
        if name != "gate"
    }
    assert (
        list(run.finals) == list(final)
        and {name: str(kind) for name, kind in run.finals.dtypes.items()} == final
    )


@given(call=calls())
def test_losses_add_up(call):
    """In every row a loss is the task loss and the size loss, and this is coupling × (size − target)²."""
    run = fit(call)
    for frame in (run.finals, run.history):
        for part in ("train", "test"):
            np.testing.assert_array_equal(
                frame[f"{part}_loss"], frame[f"{part}_task_loss"] + frame["size_loss"]
            )
        np.testing.assert_allclose(
            frame["size_loss"],
            frame["coupling"] * (frame["size"] - frame["target"]) ** 2,
            rtol=1e-4,
            atol=1e-9,
        )


@given(call=calls(dtype="float64"))
def test_the_frame_is_that_of_the_weights(call):
    """Size, losses and active width of the finals are those of the final weights on the data that the trials draw."""
    run = fit(call)
    x, y = drawn(run)
    y_hat, theta, widths = (
        growlib.outputs(run.theta(), x, run.growth, call["width"], run.task.outputs),
        run.theta(),
        np.atleast_1d(call["width"]),
    )
    train = slice(run.task.train_points)
    np.testing.assert_array_equal(run.finals["size"], theta[0])
    np.testing.assert_allclose(
        run.finals["train_task_loss"],
        growlib.task_loss(y_hat[:, train], y[train], run.task.loss),
        rtol=1e-9,
    )
    active = sum((run.growth.acts(theta[0], int(width)) > 1e-3).sum(0) for width in widths)
    assert run.finals["active_width"].tolist() == active.tolist()


@given(call=calls(epochs=(2, 5)))
def test_operations_only_add_up(call):
    """What the active neurons cost rises from 0, and what was computed is no less."""
    run = fit(call)
    flops = run.history.pivot(index="trial", columns="epoch", values="flops").to_numpy()
    assert (flops[:, 0] == 0).all() and (np.diff(flops) >= 0).all()
    assert (run.finals["flops"] <= run.finals["flops_done"] * (1 + 1e-12)).all() and (
        run.finals["flops_done"] > 0
    ).all()


NUMBERS = (
    st.none()
    | st.booleans()
    | st.integers(-3, 12)
    | st.floats()
    | st.text(max_size=3)
    | st.sampled_from(["5", "neuron", "adam", "loss"])
)
JUNK = (
    NUMBERS | st.lists(NUMBERS, max_size=3) | st.just({}) | st.just(b"5") | st.just(np.ones((2, 2)))
)
ARGUMENTS = [
    "task_or_name",
    "growth",
    "trials",
    "epochs",
    "lr",
    "width",
    "seed",
    "optimizer",
    "batch",
    "dtype",
    "log_every",
    "data_seed",
    "device",
    "output_scale",
    "prune_at",
]


@given(method=st.sampled_from(METHODS), value=JUNK, data=st.data())
@pytest.mark.filterwarnings("ignore:coupling is 0 and start too")
def test_what_fit_does_not_take_is_said_in_one_sentence(method, value, data):
    """Anything at all given as any argument of `fit` or field of a growth trains, or is refused in a sentence that says what it takes."""
    fields = [f.name for f in growlib.fields(method)]
    name = data.draw(st.sampled_from(ARGUMENTS + fields))
    try:
        growth = method(**{"target": 1.0} | ({name: value} if name in fields else {}))
        given = {"task_or_name": "cubic-1", "growth": growth, "trials": 2, "epochs": 3, "width": 6}
        fit(given | ({} if name in fields else {name: value}))
    except ValueError as error:
        assert re.fullmatch(r".+ (is|has) .*; it takes .+", str(error)), str(error)


# ----------------------------------------------------------------------------------------------- the size


@given(
    call=calls(optimizer="gd", dtype="float64", batch=None, log_every=1),
    ahead=st.booleans(),
    share=st.floats(0.001, 0.5),
)
def test_the_size_loss_alone_contracts_the_size(call, ahead, share):
    """Where the task cannot move the size and 2ηλ is at most 1, the size nears its target by the factor 1 − 2ηλ and never passes it."""
    blind = {"learns_from": "size"} if ahead else {"feeds": 0.0, "opens": "nothing"}
    growth = growlib.replace(
        call["growth"], coupling=share / call["lr"], frozen=False, speed=1.0, **blind
    )
    history = fit(call, growth=growth).history
    assume((history["test_task_loss"] < growlib.TOO_LARGE).all())
    away = (history["size"] - history["target"]).to_numpy().reshape(-1, len(call["trials"]))
    np.testing.assert_allclose(
        away, away[0] * (1 - 2 * share) ** np.arange(len(away))[:, None], atol=1e-12
    )


@given(seed=SEEDS, trials=TRIALS, target=st.floats(1, 4), time=st.floats(0.01, 0.1))
def test_with_a_large_coupling_growing_tends_to_grown(seed, trials, target, time):
    """At 2ηλ = 1 both arms part by a step's length alone, so that eight times the coupling, and shorter steps, leave less than half between them."""
    apart = []
    for epochs in (4, 32):
        arms = growlib.arms(target=target, coupling=epochs / (2 * time))
        growth, numbers = growlib.together(
            {name: arms[name] for name in ("growing", "grown")}, max(trials) % 5 + 1
        )
        run = fit(
            {
                "task_or_name": "cubic-1",
                "growth": growth,
                "trials": numbers,
                "epochs": epochs,
                "lr": time / epochs,
                "seed": seed,
            },
            dtype="float64",
            log_every=epochs,
        )
        growing, grown = np.split(run.weights, 2, axis=1)
        apart.append(np.abs(growing - grown).max(0))
    assert (apart[1] < apart[0] / 2).all()


@given(
    call=calls(
        growth=lambda width: growths(
            width, [growlib.AuxiliaryWeight], start=0.0, coupling=0.0, opens="neurons", frozen=False
        ),
        batch=None,
    )
)
def test_without_coupling_a_size_of_0_never_starts(call):
    """A size of 0 that no size loss moves stays 0, all neurons stay shut and as they were, and fit warns of it."""
    with pytest.warns(UserWarning, match="some networks never start to grow"):
        run = fit(call, keep_weights=True)
    assert (run.history["size"] == 0).all() and (run.history["active_width"] == 0).all()
    first, last = (
        growlib.unpack(
            run.theta(epoch), growlib.layer_shapes(call["width"], run.task.inputs, run.task.outputs)
        )[1]
        for epoch in (0, None)
    )
    assert all(
        torch.equal(*pair) for pair in zip(first[:-1], last[:-1], strict=True)
    ) and torch.equal(first[-1][1:], last[-1][1:])


@given(call=calls(log_every=1))
def test_a_frozen_size_stays(call):
    """A frozen size is at every epoch what it was at first, to the bit, whoever trains beside it; so is one of speed 0."""
    frozen = np.arange(len(call["trials"])) % 2 == 0
    size = fit(call, growth=growlib.replace(call["growth"], frozen=frozen)).history.pivot(
        index="trial", columns="epoch", values="size"
    )
    assert (size.loc[np.array(call["trials"])[frozen]].nunique(axis=1) == 1).all()
    still = fit(call, growth=growlib.replace(call["growth"], speed=0.0)).history
    assert (still.groupby("trial")["size"].nunique() == 1).all()


# ---------------------------------------------------------------------------------------------- the gates


@given(width=st.integers(1, 40), data=st.data())
def test_gates_are_fractions_that_open_with_the_size(width, data):
    """Every gate is between 0 and 1, no gate shuts while the size grows, all are shut at 0 and open when every neuron takes part."""
    growth = data.draw(growths(width))
    most = width if isinstance(growth, growlib.AuxiliaryWeight) else 1.0
    size = torch.tensor(
        sorted([0.0, *data.draw(st.lists(sizes(most), min_size=1, max_size=20)), most]),
        dtype=torch.float64,
    )
    gates = growth.gate(size, width)
    assert gates.shape == (width, len(size)) and (gates >= 0).all() and (gates <= 1).all()
    assert (gates.diff(dim=1) >= -1e-13).all()
    assert (gates[:, 0] == 0).all() and torch.allclose(
        gates[:, -1], torch.ones(1, dtype=torch.float64)
    )


@given(width=st.integers(1, 40), size=sizes(50), data=st.data())
def test_the_slope_of_a_gate_is_its_derivative(width, size, data):
    """A gate's slope is what finite differences give, but at its kinks."""
    growth, h = data.draw(growths(width)), 1e-6
    size = torch.tensor(
        [min(size, width) if isinstance(growth, growlib.AuxiliaryWeight) else size / 50],
        dtype=torch.float64,
    )
    before, here, after = (growth.gate(size + step, width) for step in (-h, 0, h))
    smooth = ((here - before) - (after - here)).abs() < 1e-9
    assert smooth.sum() >= width - 2
    torch.testing.assert_close(
        growth.slope(size, width)[smooth],
        ((after - before) / (2 * h))[smooth],
        atol=1e-3,
        rtol=1e-6,
    )


@given(
    width=st.integers(1, 40),
    size=sizes(50),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    data=st.data(),
)
def test_a_shut_or_open_gate_has_no_slope_at_all(width, size, dtype, data):
    """The slope is exactly 0 where a gate is shut or open, since Adam would enlarge rounding; of a controller's shared gate nearly so."""
    growth = data.draw(growths(width))
    size = torch.tensor([0.0, size, 50.0], dtype=dtype) / (
        1 if isinstance(growth, growlib.AuxiliaryWeight) else 50
    )
    slope, steps = (
        growth.slope(size, width),
        growth.steps(size, width) if hasattr(growth, "steps") else growth.gate(size, width),
    )
    if isinstance(growth, growlib.ControllerMask) and growth.mask == "shared":
        assert (slope[:, 0] == 0).all() and (slope[:, 2].abs() < 1e-6).all()
    else:
        assert (slope[(steps <= 0) | (steps >= 1)] == 0).all() and (slope[:, [0, 2]] == 0).all()


@given(width=st.integers(1, 12), ends=st.tuples(sizes(12), sizes(12)), beyond=st.floats(0, 1))
def test_needed_neurons_are_all_that_open(width, ends, beyond):
    """While no size passes start and target by more than a neuron, the gates of neurons that are not needed are shut."""
    ends = torch.tensor(ends, dtype=torch.float64).clamp(max=width)
    for mask in growlib.AuxiliaryWeight.masks:
        growth = growlib.AuxiliaryWeight(start=ends[:1], target=ends[1:], mask=mask)
        gates = growth.gate(torch.tensor([ends.max() + beyond], dtype=torch.float64), width)
        assert (gates[growth.needed(width) :] == 0).all()


# ------------------------------------------------------------------------------------- networks and gradients


WIDTHS = st.integers(1, 8) | st.lists(st.integers(1, 5), min_size=2, max_size=3)


@given(
    width=WIDTHS,
    inputs=st.integers(1, 6),
    count=st.integers(1, 4),
    trials=st.integers(1, 5),
    seed=SEEDS,
)
def test_packing_is_the_inverse_of_unpacking(width, inputs, count, trials, seed):
    """Weights that are unpacked and packed again are the same, and the other way round."""
    shapes = growlib.layer_shapes(width, inputs, count)
    theta = torch.rand(
        1 + sum(fan * neurons for fan, neurons in shapes),
        trials,
        generator=torch.Generator().manual_seed(seed),
    )
    size, layers = growlib.unpack(theta, shapes)
    assert torch.equal(growlib.pack(size, layers), theta)
    again, others = growlib.unpack(growlib.pack(size, layers), shapes)
    assert torch.equal(again, size) and all(map(torch.equal, others, layers))


@given(
    width=WIDTHS,
    inputs=st.integers(1, 6),
    kind=st.sampled_from(["squared", "logistic", "softmax"]),
    size=st.floats(0.01, 0.99),
    seed=SEEDS,
    data=st.data(),
)
def test_the_gradient_is_autograds(width, inputs, kind, size, seed, data):
    """The gradient that trains is that of `task_loss` of `outputs`, for any network, gate and loss."""
    growth, widths = data.draw(growths(np.min(width))), np.atleast_1d(width).tolist()
    rng, count = np.random.default_rng(seed), 3 if kind == "softmax" else 1
    shapes = growlib.layer_shapes(width, inputs, count)
    theta = growlib.initial_weights(seed, range(2), width, growth, inputs, count)
    theta[0] = size * (min(widths) if isinstance(growth, growlib.AuxiliaryWeight) else 1)
    for each in widths:  # of the neuron's own gate, whose slope jumps
        edge = (
            growth.gate(theta[0] + 1e-7, each)
            - 2 * growth.gate(theta[0], each)
            + growth.gate(theta[0] - 1e-7, each)
        )
        assume((edge.abs() < 1e-9).all())
    x, y = (
        torch.tensor(rng.uniform(-1, 1, (inputs, 7, 2))),
        torch.tensor(rng.integers(0, max(count, 2), (7, 2)).astype(float)),
    )
    gates = growlib._gates(growth, theta[0], widths)
    ours = (growlib._gradient if len(shapes) == 2 else growlib._by_autograd)(
        theta, *gates.chunk(2), x, y, 1 / 7, growth, shapes, kind
    )
    autograds = torch.func.grad(
        lambda t: growlib.task_loss(growlib.outputs(t, x, growth, width, count), y, kind).sum()
    )(theta)
    torch.testing.assert_close(ours, autograds, atol=1e-12, rtol=1e-9)


@given(
    call=calls(
        lambda width: growths(width, [growlib.AuxiliaryWeight], mask="staircase"),
        LEARNED,
        st.integers(6, 40),
    ),
    lr=powers(1e-4, 1),
)
def test_leaving_out_neurons_that_stay_shut_changes_no_bit(call, lr):
    """Networks of which only the needed neurons are computed end like networks of which all are."""
    few = fit(call, lr=lr)
    with mock.patch.object(growlib.Growth, "needed", lambda growth, width: width):
        whole = fit(call, lr=lr)
    fine = ~few.finals["diverged"].to_numpy()
    assert fine.tolist() == (~whole.finals["diverged"]).tolist()
    np.testing.assert_array_equal(few.weights[:, fine], whole.weights[:, fine])
    same(few.finals[fine], whole.finals[fine])


# --------------------------------------------------------------------------------------------- ensembles


@given(
    narrow=st.integers(1, 8),
    more=st.integers(1, 8),
    inputs=st.integers(1, 3),
    count=st.integers(1, 3),
    seed=SEEDS,
    trials=TRIALS,
)
def test_a_narrower_network_is_the_first_part_of_a_wider_one(
    narrow, more, inputs, count, seed, trials
):
    """The first neurons of a wide network of one hidden layer are those of a narrow one, up to the scale of a layer."""
    growth = growlib.AuxiliaryWeight(target=1.0)
    parts = [
        growlib.unpack(
            growlib.initial_weights(seed, trials, width, growth, inputs, count),
            growlib.layer_shapes(width, inputs, count),
        )[1]
        for width in (narrow, narrow + more)
    ]
    assert torch.equal(parts[0][0], parts[1][0][:, :narrow]) and torch.equal(
        parts[0][1], parts[1][1][: narrow + 1]
    )


@given(call=calls(), method=st.sampled_from(METHODS), target=st.floats(0.1, 1))
def test_arms_are_the_same_network_where_the_size_does_nothing(call, method, target):
    """Arms share a trial's data and first weights: if the size neither opens nor feeds anything, they end with the same weights."""
    arms = growlib.arms(method, target=target, opens="nothing", feeds=0.0)
    growing, *others = (fit(call, growth=growth) for growth in arms.values())
    for other in others:
        np.testing.assert_array_equal(growing.weights[1:], other.weights[1:])
        np.testing.assert_array_equal(
            growing.history["train_task_loss"], other.history["train_task_loss"]
        )


@given(call=calls(), data=st.data())
def test_permuted_trials_are_permuted_rows(call, data):
    """Trials in another order give the same rows and weights, to the bit, in that order."""
    order = data.draw(st.permutations(range(len(call["trials"]))))
    sets = call["data_seed"]
    moved = {
        "trials": [call["trials"][k] for k in order],
        "data_seed": [sets[k] for k in order] if np.ndim(sets) else sets,
    }
    run, other = fit(call), fit(call | moved)
    np.testing.assert_array_equal(run.weights[:, order], other.weights)
    same(run.finals.iloc[order], other.finals)


@given(call=calls(), beside=st.integers(1, 70), others=st.data())
def test_a_network_does_not_depend_on_those_beside_it(call, beside, others):
    """A network alone is, to the bit, what it is among others that start elsewhere, learn at other rates and may diverge."""
    growth = others.draw(growths(np.min(call["width"]), [type(call["growth"])]))
    alone = fit(call, trials=call["trials"][:1], data_seed=3)
    many = {
        name: [getattr(call["growth"], name)] + [getattr(growth, name)] * beside
        for name in growlib.VARIED
    }
    rates = [call["lr"]] + [others.draw(powers(1e-3, 1e6))] * beside
    count = beside if not alone.task.large else 1
    many, rates = {name: values[: 1 + count] for name, values in many.items()}, rates[: 1 + count]
    both = fit(
        call,
        growth=growlib.replace(call["growth"], **many),
        trials=[call["trials"][0], *range(count)],
        lr=rates,
        data_seed=3,
    )
    if alone.finals["diverged"][0]:
        assert both.finals["diverged"][0]
    else:
        np.testing.assert_array_equal(alone.weights[:, 0], both.weights[:, 0])
        same(alone.finals, both.finals.head(1))


@given(call=calls(), data=st.data())
def test_networks_together_are_those_one_after_another(call, data):
    """Growths that differ in values alone give together, to the bit, what each gives on its own."""
    values = growths(np.min(call["width"]), [type(call["growth"])])
    alike = [
        growlib.replace(
            call["growth"], **{name: getattr(data.draw(values), name) for name in growlib.VARIED}
        )
        for _ in range(2)
    ]
    count = 1 + len(call["trials"]) % 2
    growth, trials = growlib.together(alike, count)
    both = fit(call, growth=growth, trials=trials, data_seed=None)
    for k, alone in enumerate(
        fit(call, growth=each, trials=count, data_seed=None) for each in alike
    ):
        mine = both.finals.iloc[k * count : (k + 1) * count]
        fine = ~alone.finals["diverged"].to_numpy()
        assert fine.tolist() == (~mine["diverged"]).tolist()
        np.testing.assert_array_equal(
            both.weights[:, k * count : (k + 1) * count][:, fine], alone.weights[:, fine]
        )
        same(mine[fine], alone.finals[fine])


@given(call=calls(log_every=1), other=st.integers(2, 9), first=st.integers(1, 4))
def test_what_is_logged_and_read_off_changes_no_bit(call, other, first):
    """Another step of the history or another end on the way leaves the weights as they are, and an end is what a shorter run ends with."""
    run, seldom, both = (
        fit(call, epochs=5),
        fit(call, epochs=5, log_every=other),
        fit(call, epochs=(first, 5)),
    )
    for each in (seldom, both):
        np.testing.assert_array_equal(run.weights, each.weights)
    same(both.finals.tail(len(call["trials"])), run.finals)
    same(both.finals.head(len(call["trials"])), fit(call, epochs=first).finals)


@given(call=calls(tasks=LEARNED), seconds=powers(1e-6, 1))
def test_cutting_a_study_into_cells_changes_no_bit(call, seconds):
    """The three frames of a study are the same for cells of any length."""
    names = {"spirals": {"points": 60, "classes": 3}, "square-wave": {}, "cubic-1": {"points": 20}}
    name = sorted(names)[call["seed"] % 3]
    shared = {
        key: call[key]
        for key in ("epochs", "lr", "width", "seed", "optimizer", "dtype", "log_every")
    }
    growth = [growlib.replace(call["growth"], start=start) for start in (call["growth"].start, 0.0)]
    settings = [
        shared
        | {
            "task": name,
            "options": names[name],
            "growth": each,
            "trials": 2,
            "compiled": False,
            "kept": 1,
        }
        for each in growth
    ]
    frames = [
        studies._select("", [studies._compute(cell) for cell in studies._cells(settings, s)])
        for s in (seconds, math.inf)
    ]
    for what in frames[0]:
        same(*(frame[what] for frame in frames))


# -------------------------------------------------------------------------------------------------- tasks


@st.composite
def tasks(draw):
    """Any task of the paper of any size."""
    name, points = draw(st.sampled_from(sorted(growlib.TASKS))), draw(st.integers(10, 60))
    options = {"points": 10 * points if name == "spirals" else points}
    if name == "spirals":
        options["classes"] = draw(st.integers(2, 6))
    elif name in growlib._FEW_POINTS or name == "square-wave":
        options["test_points"] = draw(st.integers(1, points - 1))
    if name not in ("spirals", "square-wave"):
        options["noise"] = draw(st.sampled_from([0, 0.0, 0.3]))
    return growlib.task(name, **options)


@given(task=tasks(), seed=SEEDS, trials=TRIALS)
def test_data_sets_have_their_shapes_and_ranges(task, seed, trials):
    """x and y have the shapes that are promised, x lies in [-1, 1], y in the range of its kind, and all points are different."""
    x, y = task.draw(seed, trials)
    assert (
        x.shape == (task.inputs, task.points, len(trials))
        and y.shape == x.shape[1:]
        and x.dtype == y.dtype == np.float64
    )
    assert (
        task.train_points + task.test_points == task.points
        and min(task.train_points, task.test_points) > 0
    )
    assert np.abs(x).max() <= 1
    if task.classes:
        assert np.isin(y, np.arange(task.classes)).all()
    elif not task.options["noise"] or task.name in ("bessel-grid", "gaussian-mixture"):
        assert np.abs(y).max() <= 1 + 1e-9 or task.name.startswith(("quadratic", "cubic"))
    assert (
        all(
            len(np.unique(np.round(x[..., k], 12), axis=1).T) == task.points
            for k in range(len(trials))
        )
        or task.name == "spirals"
    )


@given(task=tasks(), seed=SEEDS, trials=TRIALS, other=st.integers(1001, 2000))
def test_data_sets_are_drawn_by_seed_and_trial_alone(task, seed, trials, other):
    """A trial's data set is the same each time and among any others, and another trial's and another stream's is another."""
    x, y = task.draw(seed, trials)
    for k, trial in enumerate(trials):
        alone = task.draw(seed, [trial])
        assert np.array_equal(alone[0][..., 0], x[..., k]) and np.array_equal(
            alone[1][..., 0], y[..., k]
        )
    for different in (
        task.draw(seed, [other]),
        task.draw(seed, trials[:1], "fresh"),
        task.draw(seed + 1, trials[:1]),
    ):
        assert not np.array_equal(different[0][..., 0], x[..., 0])


@given(
    name=st.sampled_from(["cubic-1", "bessel-sum", "bessel-grid"]),
    points=st.integers(20, 60),
    gap=st.floats(0, 0.5),
    seed=SEEDS,
)
def test_no_point_in_the_gap_trains(name, points, gap, seed):
    """With a gap the points are those without it, none of its inside trains, or there are too few test points and it is said."""
    options = {"points": points} | ({} if name == "bessel-grid" else {"test_points": points // 2})
    task, plain = growlib.task(name, gap=gap, **options), growlib.task(name, **options)
    x0, y0 = plain.draw(seed, [0])
    inside = (np.abs(x0) < gap).sum()
    if inside > task.test_points:
        with pytest.raises(ValueError, match=r"gap is .*; it takes less, or more test_points"):
            task.draw(seed, [0])
        return
    x, y = task.draw(seed, [0])
    assert (np.abs(x[0, : task.train_points]) >= gap).all()
    assert sorted(zip(x.ravel(), y.ravel(), strict=True)) == sorted(
        zip(x0.ravel(), y0.ravel(), strict=True)
    )


@given(call=calls(tasks=LEARNED[:5]), sets=st.lists(st.integers(0, 3), min_size=4, max_size=4))
def test_a_network_learns_the_data_set_that_it_is_given(call, sets):
    """Trials of one data set and the same first weights are one network; the frame says whose data set it was."""
    trials = call["trials"][:1] * 4
    run = fit(call, trials=trials, data_seed=sets)
    assert run.finals["data_seed"].tolist() == sets
    for k, each in enumerate(sets):
        np.testing.assert_array_equal(run.weights[:, k], run.weights[:, sets.index(each)])
        x, _ = call["task_or_name"].draw(call["seed"], [each])
        assert np.array_equal(
            next(drawn(run))[..., k], torch.tensor(x[..., 0], dtype=run.theta().dtype)
        )


CELLS = st.sampled_from([0.1, 0.3, 1 / 3, -7.0, 1e8 + 0.1, 1e-9]) | st.floats(-1e6, 1e6).map(
    lambda value: round(value, 6)
)


def columns(rows):
    """Columns of a table, of which some vary in one row alone."""
    odd = st.tuples(CELLS, CELLS, st.integers(0, rows - 1)).map(
        lambda drawn: [drawn[0] if k == drawn[2] else drawn[1] for k in range(rows)]
    )
    return st.lists(odd | st.lists(CELLS, min_size=rows, max_size=rows), min_size=2, max_size=4)


@given(
    columns=st.integers(6, 16).flatmap(columns), test=st.floats(0.2, 0.6), seed=SEEDS, trials=TRIALS
)
def test_a_tables_units_are_those_of_the_training_part_and_can_be_undone(
    columns, test, seed, trials
):
    """Training columns have mean 0 and standard deviation 1, or 0 where they do not vary; in their own units they are the table's rows."""
    frame = pd.DataFrame(dict(zip("abcd", columns, strict=False)))
    assume((frame.nunique() > 1).all())
    task = tables.task_from_frame(frame, "a", classes=False, test=test)
    (x, y), raw = task.draw(seed, trials), task.draw(seed, trials, raw=True)
    mean, sd = task.units(*raw)
    both, plain = np.concatenate([x, y[None]]), np.concatenate([raw[0], raw[1][None]])
    train, varied = both[:, : task.train_points], np.ptp(plain[:, : task.train_points], axis=1) > 0
    np.testing.assert_allclose(
        both * sd[:, None] + mean[:, None], plain, rtol=1e-9, atol=1e-9 * np.abs(plain).max()
    )
    np.testing.assert_allclose(train.std(1), varied, atol=1e-6)
    np.testing.assert_allclose(np.where(varied, train.mean(1), 0), 0, atol=1e-6)
    assert (sd[~varied] == 1).all()
    for k in range(len(trials)):
        rows = [*task.columns, "a"]
        assert sorted(map(tuple, plain[..., k].T)) == sorted(map(tuple, frame[rows].to_numpy()))


@given(
    labels=st.lists(
        st.sampled_from(["ant", "bee", "cat"]) | st.booleans() | st.integers(0, 5),
        min_size=4,
        max_size=10,
    ),
    test=st.floats(0.1, 0.4),
)
def test_a_tables_classes_are_its_labels(labels, test):
    """The classes that a table's target is drawn as are the places of its labels, so every row keeps its own."""
    labels = 2 * list(map(str, labels))  # a class has two rows or more
    frame = pd.DataFrame({"x": np.arange(len(labels)), "kind": labels})
    assume(1 < len(set(labels)) <= len(labels) - round(test * len(labels)))
    task = tables.task_from_frame(frame, "kind", test=test)
    x, y = task.draw(0, [0], raw=True)
    assert [task.labels[int(each)] for each in y[:, 0]] == [
        labels[int(place)] for place in x[0, :, 0]
    ]
    assert task.labels == tuple(sorted(set(labels))) and task.classes == len(task.labels)


# ------------------------------------------------------------------------------------- what can be done with a run


@given(call=calls(dtype="float64"), points=st.lists(st.floats(-1, 1), min_size=1, max_size=5))
def test_plain_layers_predict_what_the_run_predicts(call, points):
    """The plain torch layers of each network give what `predict` does, of a classification before the logistic or softmax."""
    run = fit(call)
    assume(not run.finals["diverged"].any() and np.abs(run.weights).max() < 1e3)
    x = np.outer(points, np.arange(1, run.task.inputs + 1))
    squash = {
        "squared": lambda y: y,
        "logistic": torch.sigmoid,
        "softmax": lambda y: torch.softmax(y, 1),
    }[run.task.loss]
    for k, y in enumerate(run.predict(x)):
        found = squash(run.dense(k)(torch.tensor(x)).detach()).numpy()
        np.testing.assert_allclose(found, y, atol=1e-9 * max(1, np.abs(y).max()), rtol=1e-7)


@given(call=calls())
def test_a_run_that_is_saved_and_loaded_is_the_same(call):
    """Frames, weights, snapshots, settings and predictions come back from the file to the bit."""
    run = fit(call, keep_weights=True)
    with tempfile.TemporaryDirectory() as folder:
        run.save(Path(folder) / "run.npz")
        again = growlib.load(Path(folder) / "run.npz", run.task if run.task.standardised else None)
    pd.testing.assert_frame_equal(again.finals, run.finals, check_exact=True)
    pd.testing.assert_frame_equal(again.history, run.history, check_exact=True)
    assert growlib._plain(again.settings) == growlib._plain(run.settings)
    assert (again.task.name, again.task.options) == (run.task.name, run.task.options)
    assert growlib._described({"growth": again.growth}) == growlib._described(
        {"growth": run.growth}
    )
    x = np.full((1, run.task.inputs), 0.3)
    for epoch in (None, *run.snapshots):
        np.testing.assert_array_equal(again.theta(epoch), run.theta(epoch))
        np.testing.assert_array_equal(again.predict(x, epoch), run.predict(x, epoch))


@given(call=calls(tasks=[LEARNED[3], LEARNED[4], LEARNED[6], LEARNED[7]]))
def test_confusion_counts_every_point_once(call):
    """A network's counts add up to the points, and those on the diagonal to its accuracy."""
    run = fit(call)
    counts = run.confusion()
    total, points = counts.groupby("trial", sort=False)["count"].sum(), run.task.test_points
    if run.task.endless:  # as many in each arm of a spiral
        points = growlib.FRESH_POINTS // run.task.classes * run.task.classes
    right = (
        counts[counts["true_class"] == counts["predicted_class"]]
        .groupby("trial", sort=False)["count"]
        .sum()
    )
    assert (total == points).all() and len(counts) == len(call["trials"]) * run.task.classes**2
    fine = ~run.finals["diverged"].to_numpy()
    np.testing.assert_allclose(
        (right / points)[fine],
        run.finals["accuracy_fresh" if run.task.endless else "accuracy"][fine],
        atol=1e-12,
    )


def layers(inputs, neurons, outputs, bias, seed):
    torch.manual_seed(seed)
    return torch.nn.Linear(inputs, neurons, bias).double(), torch.nn.Linear(
        neurons, outputs, bias
    ).double()


LAYERS = {
    "inputs": st.integers(1, 5),
    "neurons": st.integers(2, 9),
    "outputs": st.integers(1, 5),
    "bias": st.booleans(),
    "seed": SEEDS,
}


@given(st.fixed_dictionaries(LAYERS), st.integers(1, 6))
def test_growing_layers_leaves_the_function_unchanged(shape, n):
    """Layers of any shape that n neurons are put between compute what they did, and their old weights are the first of the new."""
    one, two = layers(**shape)
    x, old = torch.randn(6, shape["inputs"], dtype=torch.float64), one.weight.detach().clone()
    before = two(torch.tanh(one(x)))
    surgery.grow(one, two, n)
    torch.testing.assert_close(two(torch.tanh(one(x))), before)
    assert (
        torch.equal(one.weight[: shape["neurons"]], old)
        and len(one.weight) == shape["neurons"] + n == two.weight.shape[1]
    )


@given(st.fixed_dictionaries(LAYERS), st.data())
def test_shrinking_layers_takes_the_least(shape, data):
    """The neurons that go have the least product of norms, and what stays computes what the whole does without their outgoing weights."""
    one, two = layers(**shape)
    n = data.draw(st.integers(1, shape["neurons"] - 1))
    norms = one.weight.norm(dim=1) * two.weight.norm(dim=0)
    x, (first, second) = torch.randn(6, shape["inputs"], dtype=torch.float64), layers(**shape)
    kept = surgery.shrink(one, two, n)
    gone = [k for k in range(shape["neurons"]) if k not in kept.tolist()]
    assert (
        len(gone) == n
        and norms[gone].max() <= norms[kept].min()
        and kept.tolist() == sorted(kept.tolist())
    )
    with torch.no_grad():
        second.weight[:, gone] = 0
        torch.testing.assert_close(two(torch.tanh(one(x))), second(torch.tanh(first(x))))


# --------------------------------------------------------------------------------------------- statistics


@st.composite
def finals(draw):
    """Losses of pairs of growing and grown networks, some of them diverged."""
    pairs = draw(
        st.lists(
            st.tuples(powers(1e-6, 1e3), powers(1e-6, 1e3), st.sampled_from([0, 0, 0, 0, 1, 2])),
            min_size=1,
            max_size=15,
        )
    )
    arms = [
        pd.DataFrame(
            {
                "task": "t",
                "arm": arm,
                "trial": range(len(pairs)),
                "test_loss": [pair[k] for pair in pairs],
                "diverged": [pair[2] == k + 1 for pair in pairs],
            }
        )
        for k, arm in enumerate(("growing", "grown"))
    ]
    return pd.concat(arms, ignore_index=True)


@given(frame=finals())
def test_swapped_arms_invert_ratios(frame):
    """The other way round a ratio is its inverse and a probability what lacks to 1."""
    one, other = (
        statistics.compare(frame, arm=arm, against=against, resamples=9).set_index("measure")[
            "estimate"
        ]
        for arm, against in (("growing", "grown"), ("grown", "growing"))
    )
    with np.errstate(divide="ignore"):  # 0 and infinity, where medians are of diverged networks
        expected = (1 / other).where(other.index != "probability", 1 - other)
    np.testing.assert_allclose(one[expected.index], expected, rtol=1e-9)


@given(frame=finals(), factor=st.integers(-20, 20).map(lambda power: 2.0**power))
def test_a_factor_on_both_arms_changes_no_comparison(frame, factor):
    """Losses in another unit (a power of two, which rounds nothing) give the same estimates, intervals and p to the bit."""
    one, other = (
        statistics.compare(part, resamples=49, permutations=49)
        for part in (frame, frame.assign(test_loss=frame["test_loss"] * factor))
    )
    pd.testing.assert_frame_equal(one, other, check_exact=True)


@given(frame=finals())
def test_an_interval_has_its_order_and_p_is_a_chance(frame):
    """Where there is an interval its ends are in order, and p is no less than so many swaps can give and at most 1."""
    for row in statistics.compare(frame, resamples=99, permutations=99).itertuples():
        assert math.isnan(row.low) or row.low <= row.high
        assert math.isnan(row.p) or 2 / min(2**row.pairs, 100) <= row.p <= 1


@given(frame=finals(), seed=st.integers(0, 9))
def test_the_order_of_rows_is_nothing_to_a_comparison(frame, seed):
    """A comparison is that of the trials' pairs, wherever they stand in the frame."""
    pd.testing.assert_frame_equal(
        statistics.compare(frame, resamples=19),
        statistics.compare(frame.sample(frac=1, random_state=seed), resamples=19),
    )


@given(st.lists(st.floats(0, 1) | st.sampled_from([0.0, 0.01, 0.5, 1.0]), min_size=1, max_size=12))
def test_holms_correction_is_its_definition(p):
    """Each corrected p is the largest, over the p-values no larger, of p times the number of tests from it on, at most 1; no order changes."""
    found = statistics.holm(p)
    ranked = sorted(p)
    for mine, corrected in zip(p, found, strict=True):
        assert corrected == min(
            1, max((len(p) - k) * other for k, other in enumerate(ranked) if other <= mine)
        )
        assert corrected >= mine
    assert (np.diff(found[np.argsort(p)]) >= 0).all()

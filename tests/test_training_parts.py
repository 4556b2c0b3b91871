"""The parts of training, one by one: settings, blocks, both ways, the record, and the threads.

test_training.py tests `fit` as a whole, and test_loops_plain.py what the loops compute.
"""

import itertools
import threading
import time
from dataclasses import dataclass, replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from blocks import WAYS, advanced, block_of, state_of

import growlib

WIDTH = 3
GROWTH = growlib.AuxiliaryWeight()


def settings_of(count=3, **changed):
    """Return the settings of so many networks of nine neurons; `changed` are their fields."""
    nothing = np.zeros((1, 2, count))
    return block_of(GROWTH, nothing, nothing[0], **changed).settings


def random_block(growth=GROWTH, loss="squared", inputs=2, outs=1, count=3, **changed):
    """Return a block of random networks of three neurons with five points, and its theta."""
    generator = np.random.default_rng(0)
    shapes = growlib.layer_shapes(WIDTH, inputs, outs)
    rows = 1 + sum(fan_in * neurons for fan_in, neurons in shapes)
    theta = torch.tensor(generator.uniform(-1, 1, (rows, count)))
    sizes = torch.tensor([0.4, 1.3, 2.6], dtype=torch.float64)[:count]
    theta[0] = sizes / (WIDTH if isinstance(growth, growlib.ControllerMask) else 1)
    x = generator.uniform(-1, 1, (inputs, 5, count))
    y = generator.uniform(-1, 1, (5, count))
    if loss != "squared":
        y = generator.integers(0, max(2, outs), y.shape)
    return block_of(growth, x, y, loss, [WIDTH], outs, **changed), theta


# ------------------------------------------------------------------------------------ what is asked


@pytest.mark.parametrize(
    "epochs, log_every, expected",
    [
        ([16], 8, [0, 8, 16]),
        ([10, 25], 8, [0, 8, 10, 16, 24, 25]),
        ([3], 100, [0, 3]),
        ([4], 1, [0, 1, 2, 3, 4]),
    ],
)
def test_logged_are_the_multiples_of_a_step_and_the_ends(epochs, log_every, expected):
    settings = settings_of(epochs=epochs, log_every=log_every)
    assert settings.logged_epochs() == expected


class Doubling(growlib.AuxiliaryWeight):
    """A size that is doubled by events at some epochs."""

    def events(self, settings):
        """Return the doubling at epochs of which 3 is not logged by itself, 10 and 50 too late."""

        def double(state, block):
            theta = state.theta.clone()
            theta[0] *= 2
            return state._replace(theta=theta)

        return {0: double, 3: double, 10: double, 50: double}


@pytest.mark.parametrize("compiled", [None, False])
def test_an_event_happens_at_its_epoch_though_that_is_not_logged(compiled):
    growth = Doubling(start=1.0, frozen=True)
    run = growlib.fit(
        growlib.task("bessel-j0"),
        growth,
        trials=2,
        epochs=10,
        width=9,
        log_every=5,
        compiled=compiled,
    )
    sizes = run.history.groupby("epoch")["size"].unique()
    assert sizes.map(list).to_dict() == {0: [1], 3: [2], 5: [4], 10: [4]}
    assert run.weights[0].tolist() == [4, 4]  # as they were measured at the last epoch


def test_one_value_is_that_of_all_trials_and_several_are_taken_by_their_places():
    settings = settings_of(4)
    places = np.array([3, 0, 0])
    assert settings.of_trials(2, places).tolist() == [2, 2, 2]
    assert settings.of_trials([5, 6, 7, 8], places).tolist() == [8, 5, 5]
    assert settings.of_trials(2, places).dtype == np.float64


def test_a_growth_has_no_events_but_the_pruning_that_is_asked_for():
    assert GROWTH.events(settings_of()) == {}
    events = GROWTH.events(settings_of(prune_at=[7, 9]))
    assert {epoch: event.func for epoch, event in events.items()} == dict.fromkeys(
        (7, 9), growlib._prune
    )
    assert {epoch: event.keywords for epoch, event in events.items()} == {
        7: {"left": 2},
        9: {"left": 1},
    }


def test_a_number_of_trials_means_the_first_ones():
    of_count, of_numbers = (
        growlib.initial_weights(0, trials, WIDTH, GROWTH) for trials in (3, range(3))
    )
    assert torch.equal(of_count, of_numbers)


def test_a_size_that_is_a_rate_may_be_larger_than_the_width():
    growth = growlib.AuxiliaryWeight(mask="exponential", start=0.5, target=20.0)
    run = growlib.fit("cubic-1", growth, trials=2, epochs=2, width=WIDTH, compiled=False)
    assert run.finals["target"].tolist() == [20, 20]


def test_what_cannot_vary_is_a_growth_with_the_rest_at_its_defaults():
    growth = growlib.AuxiliaryWeight(
        start=1, target=2, coupling=3, frozen=True, speed=2, mask="shared"
    )
    rest = growlib.AuxiliaryWeight(speed=2, mask="shared")
    assert growlib._without_varied(growth) == rest


def test_every_trial_is_at_each_of_the_values_that_go_along_with_one_another():
    columns = growlib._every_trial_at({"start": [0, 5], "target": 5, "frozen": [False, True]}, 3)
    assert list(columns) == ["start", "target", "frozen", "trials"]
    assert columns["start"].tolist() == [0, 0, 0, 5, 5, 5]
    assert columns["target"].tolist() == [5] * 6
    assert columns["frozen"].tolist() == [False] * 3 + [True] * 3
    assert columns["trials"].tolist() == [0, 1, 2, 0, 1, 2]
    of_some = growlib._every_trial_at({"start": 1}, [7, 4])
    assert {name: column.tolist() for name, column in of_some.items()} == {
        "start": [1, 1],
        "trials": [7, 4],
    }


# ------------------------------------------------------------------------------------------- blocks


@pytest.mark.parametrize("multiple, places", [(1, [2, 0, 3]), (3, [2, 0, 3]), (4, [2, 0, 3, 3])])
def test_a_block_has_what_belongs_to_its_networks_and_is_filled_with_the_last(multiple, places):
    growth = growlib.AuxiliaryWeight(
        start=[0, 1, 2, 3],
        target=[3, 4, 5, 6],
        coupling=[0.1, 0.2, 0.3, 0.4],
        frozen=[False, False, True, False],
        speed=2.0,
    )
    settings = replace(settings_of(4, dtype="float32", seed=4), lr=np.array([1.0, 2.0, 3.0, 4.0]))
    settings = replace(settings, data_seed=np.arange(20, 24))
    task = growlib.task("cubic-1")
    stop = np.zeros(1, np.uint8)
    block = growlib._block(task, growth, settings, np.array([2, 0, 3]), multiple, stop)
    assert block.places.tolist() == places
    assert block.count == 3
    assert block.stop is stop
    expected = {
        "lr": settings.lr,
        "target": growth.target,
        "coupling": growth.coupling,
        "moves": [2, 2, 0, 2],
        "heeds": [1, 1, 1, 1],
    }
    for name, values in expected.items():
        force = getattr(block.forces, name)
        assert force.tolist() == [values[place] for place in places], name
        assert force.dtype == torch.float64
    x, y = task.draw(4, [20 + place for place in places])
    assert torch.equal(block.x, torch.tensor(x, dtype=torch.float32))
    assert torch.equal(block.y, torch.tensor(y, dtype=torch.float32))


def test_the_size_loss_alone_moves_a_size_that_learns_from_it():
    growth = replace(GROWTH, learns_from="size")
    block, _ = random_block(growth)
    assert block.forces.heeds.tolist() == [0, 0, 0]
    assert block.forces.moves.tolist() == [1, 1, 1]


@pytest.mark.parametrize("data_seed", [[5], [5, 6]])
def test_one_data_set_serves_all_networks_and_several_each_its_own(data_seed):
    settings = replace(settings_of(2), data_seed=np.array(data_seed))
    task = growlib.task("cubic-1")
    block = growlib._block(task, GROWTH, settings, np.arange(2), 1, None)
    x, _ = task.draw(0, [data_seed[0], data_seed[-1]])
    assert torch.equal(block.x, torch.tensor(x))


@pytest.mark.parametrize("widths", [[3], [3, 2]])
def test_the_first_state_is_that_of_the_first_weights_in_the_precision_of_the_training(widths):
    growth = growlib.AuxiliaryWeight(start=[0.1, 1, 2])
    settings = settings_of(dtype="float32", output_scale=0.7, seed=3, widths=widths)
    settings = replace(settings, trials=np.array([4, 6, 8]))
    task = growlib.task("cubic-1")
    block = growlib._block(task, growth, settings, np.array([2, 0]), 3, None)
    state = growlib._first_state(block)

    other = replace(growth, start=[2, 0.1, 0.1])
    theta = growlib.initial_weights(3, [8, 4, 4], widths, other)
    theta[-widths[-1] :] *= 0.7
    assert torch.equal(state.theta, theta.float().double())
    for moments in (state.mean, state.square):
        assert torch.equal(moments, torch.zeros(theta.shape))
        assert moments.dtype == torch.float32
    assert state.mean.data_ptr() != state.square.data_ptr()
    assert state.decay.tolist() == [[1, 1, 1]] * 2
    assert state.own.tolist() == [[[1, 1, 1]] * sum(widths)] * 2
    assert state.used.tolist() == [0, 0, 0]
    assert state.spent.tolist() == [0, 0, 0]
    assert state.computed == 0


def test_without_batches_the_points_keep_their_order_and_with_them_each_epoch_has_its_own():
    block, _ = random_block()
    assert block.orders(3, 6).tolist() == [[0, 1, 2, 3, 4]]
    block, _ = random_block(batch=2, seed=8)
    expected = [np.random.default_rng([8, k]).permutation(5).tolist() for k in (3, 4, 5)]
    assert block.orders(3, 6).tolist() == expected
    assert block.orders(3, 3).shape == (0, 5)


# ---------------------------------------------------------------------------------------- both ways

GROWTHS = {
    "staircase": growlib.AuxiliaryWeight(target=[0.5, 1.0, 9.0], coupling=[0.1, 0.5, 0.2]),
    "frozen": growlib.AuxiliaryWeight(frozen=[False, True, False], opens="nothing", feeds=0.3),
    "neuron": growlib.ControllerMask(mask="neuron", learns_from="loss", speed=0.5),
    "shared": growlib.ControllerMask(coupling=0.5),
    "rate": growlib.ControllerMask(mask="neuron", opens="rate"),
    "forgets": growlib.AuxiliaryWeight(mask="reversed", target=[0.41, 1.32, 2.9], forgets=True),
    "training": growlib.AuxiliaryWeight(opens="training", speed=9.0),
    "steps": growlib.AuxiliaryWeight(mask="steps", speed=9.0, forgets="neuron"),
}


@pytest.mark.parametrize("batch", [None, 2])
@pytest.mark.parametrize(
    "optimizer, counts",
    [("gd", "network"), ("momentum", "network"), ("adam", "network"), ("adam", "neuron")],
)
@pytest.mark.parametrize("growth", GROWTHS.values(), ids=GROWTHS)
def test_all_ways_train_alike(growth, optimizer, counts, batch):
    options = {"lr": np.array([0.003, 0.01, 0.02]), "optimizer": optimizer, "counts": counts}
    block, theta = random_block(growth, "softmax", 2, 3, batch=batch, **options)
    states = [advanced(way, block, state_of(theta, WIDTH), 4) for way in WAYS]
    assert not torch.isclose(states[0].theta, theta).all()
    for other in states[1:]:
        for name in ("theta", "mean", "square", "decay", "own", "used"):
            expected = getattr(states[0], name)
            torch.testing.assert_close(getattr(other, name), expected, rtol=1e-9, atol=1e-12)
    if optimizer == "adam" and growth.forgets is True:
        steps = 4 * (3 if batch else 1)
        assert states[0].decay[0].min() == pytest.approx(0.9**steps)
        assert states[0].decay[0].max() > 0.9**steps + 0.01


def test_pieces_of_the_points_give_the_gradient_of_the_whole_by_autograd(monkeypatch):
    block, theta = random_block()
    way = growlib._Autograd(block)
    chosen = torch.tensor([4, 0, 1])
    whole = way.gradient(state_of(theta), chosen)
    monkeypatch.setattr(growlib, "CHUNK_POINTS", 2)
    for neurons in (1, 6, 9):  # pieces of two, two and three points
        monkeypatch.setattr(growlib, "CHUNK", neurons)
        torch.testing.assert_close(way.gradient(state_of(theta), chosen), whole)


def test_autograd_takes_so_many_points_at_a_time_as_a_chunk_holds(monkeypatch):
    taken = []

    def outputs(theta, x, *arguments):
        taken.append(x.shape[1])
        return original(theta, x, *arguments)

    original = growlib.outputs
    monkeypatch.setattr(growlib, "outputs", outputs)
    monkeypatch.setattr(growlib, "CHUNK_POINTS", 2)
    block, theta = random_block()
    for chunk, expected in ((1, [2, 2, 1]), (9, [3, 2]), (15, [5])):
        monkeypatch.setattr(growlib, "CHUNK", chunk)
        growlib._Autograd(block).gradient(state_of(theta), torch.arange(5))
        assert taken == expected
        taken.clear()


@pytest.mark.parametrize("widths", [[3], [3, 2]])
def test_autograd_counts_the_neurons_of_all_layers_as_computed(widths):
    block, _ = random_block(lr=np.array(1e-9))
    block = replace(block, settings=replace(block.settings, widths=widths))
    rows = 1 + sum(fan_in * count for fan_in, count in block.shapes)
    state = state_of(torch.full((rows, 3), 0.5, dtype=torch.float64), computed=100)
    after = growlib._Autograd(block).advance(state, 2, 6)
    assert after.computed == 100 + 4 * sum(widths)
    assert (after.used == 4 * len(widths)).all()  # at a size of 0.5 one neuron of a layer is open


@pytest.mark.parametrize("way", WAYS)
def test_neurons_are_counted_on_from_where_the_state_is(way):
    block, theta = random_block(lr=np.array(1e-9))
    state = state_of(theta, computed=100)
    state.used[:] = 5.0
    after = advanced(way, block, state, 2)
    assert after.computed == 100 + 2 * 3
    assert after.used.tolist() == [5 + 2 * 1, 5 + 2 * 2, 5 + 2 * 3]


@pytest.mark.parametrize("way", ["_Autograd", "_Loops"])
def test_each_epoch_has_the_order_of_its_number(way):
    block, theta = random_block(batch=2)
    train = getattr(growlib, way)(block)
    first = train.advance(state_of(theta), 0, 3)
    both = train.advance(first, 3, 5)
    at_once = train.advance(state_of(theta), 0, 5)
    torch.testing.assert_close(both.theta, at_once.theta)
    wrong = train.advance(first, 0, 2)
    assert not torch.isclose(both.theta, wrong.theta).all()


@pytest.mark.parametrize("way", ["_Autograd", "_Loops"])
def test_training_leaves_the_state_that_it_was_given_alone(way):
    block, theta = random_block(optimizer="adam")
    state = state_of(theta.clone())
    before = [part.clone() for part in state[:-1]]
    getattr(growlib, way)(block).advance(state, 0, 2)
    for part, was in zip(state[:-1], before, strict=True):
        assert torch.equal(part, was)


@pytest.mark.parametrize("way", ["_Autograd", "_Loops"])
def test_training_that_is_stopped_takes_one_step_more(way):
    block, theta = random_block()
    expected = advanced("autograd", block, state_of(theta), 1)
    block.stop[0] = 1
    after = getattr(growlib, way)(block).advance(state_of(theta), 0, 3)
    torch.testing.assert_close(after.theta, expected.theta)


# Before and after a step, for a target of 100 and one of 0: Adam forgets when the size comes near,
# which is within a hundredth of the target.
ARRIVALS = [
    (100.0, 98.0, 99.0, True),
    (100.0, 102.0, 101.0, True),
    (100.0, 99.0, 99.5, False),
    (100.0, 98.0, 99 - 1 / 256, False),
    (0.0, 1.0, 0.0, True),
    (0.0, 1.0, 0.5, False),
]


@pytest.mark.parametrize("target, before, after, forgets", ARRIVALS)
def test_by_autograd_a_hundredth_of_the_target_itself_is_near(target, before, after, forgets):
    growth = growlib.AuxiliaryWeight(target=target, coupling=0.0, forgets=True)
    block, theta = random_block(growth, count=1)
    theta[0] = before
    state = state_of(theta)
    state.mean[:] = 1.0
    gradient = torch.zeros_like(theta)
    gradient[0] = before - after
    moved = growlib._Autograd(block).step(state, gradient, 1.0)
    assert moved.theta[0].item() == after
    assert (moved.mean == (0 if forgets else 1)).all()


@pytest.mark.parametrize(
    "batch, most, expected",
    [
        (None, 1, [(2, 7)]),
        (2, 10, [(2, 4), (4, 6), (6, 7)]),
        (2, 14, [(2, 4), (4, 6), (6, 7)]),
        (2, 4, [(2, 3), (3, 4), (4, 5), (5, 6), (6, 7)]),
        (2, 1000, [(2, 7)]),
    ],
)
def test_the_loops_hold_no_more_places_than_they_may(batch, most, expected, monkeypatch):
    monkeypatch.setattr(growlib, "MOST_PLACES", most)
    block, theta = random_block(batch=batch)
    asked = []

    @dataclass(frozen=True)
    class Asked(growlib.Block):
        def orders(self, first, last):
            asked.append((first, last))
            return super().orders(first, last)

    listening = Asked(**vars(block))
    found = growlib._Loops(listening).advance(state_of(theta), 2, 7)
    assert asked == expected
    by_autograd = growlib._Autograd(block).advance(state_of(theta), 2, 7)
    torch.testing.assert_close(found.theta, by_autograd.theta)


@pytest.mark.parametrize("batch", [None, 2])
def test_no_epochs_cost_nothing(batch):
    block, theta = random_block(batch=batch)
    for way in (growlib._Autograd, growlib._Loops):
        after = way(block).advance(state_of(theta, computed=7), 3, 3)
        assert torch.equal(after.theta, theta)
        assert after.computed == 7


@pytest.mark.parametrize("way", ["_Autograd", "_Loops"])
def test_the_outputs_are_those_of_the_weights_in_the_precision_of_the_training(way):
    block, theta = random_block(GROWTHS["neuron"], "softmax", 2, 3, dtype="float32")
    found = getattr(growlib, way)(block).outputs(state_of(theta))
    expected = growlib.outputs(theta.float(), block.x, block.growth, WIDTH, 3)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


def test_the_loops_take_one_hidden_layer_on_the_cpu_and_the_growths_of_the_paper(monkeypatch):
    class WithEvents(growlib.AuxiliaryWeight):
        def events(self, settings):
            return {}

    class Mine(growlib.AuxiliaryWeight):
        def gate(self, size, width):
            return super().gate(size, width) / 2

    def way(growth=GROWTH, compiled=None, **changed):
        return growlib._way(growth, settings_of(**changed), compiled)

    assert way() is growlib._Loops
    assert way(growlib.ControllerMask()) is growlib._Loops
    assert way(compiled=True) is growlib._Loops
    assert way(compiled=False) is growlib._Autograd
    assert {way(optimizer=name) for name in growlib.OPTIMIZERS} == {growlib._Loops}
    assert way(optimizer="of autograd alone") is growlib._Autograd
    assert way(widths=[3, 3]) is growlib._Autograd
    assert way(WithEvents()) is growlib._Loops
    assert way(Mine()) is growlib._Autograd
    on_a_chip = replace(settings_of(), device="cuda")
    assert growlib._way(GROWTH, on_a_chip, True) is growlib._Autograd
    monkeypatch.setattr(growlib, "_growloops", lambda: None)
    assert way() is growlib._Autograd


# --------------------------------------------------------------------------------- train and record


class AddsEpochs:
    """A way of training that adds the number of epochs to all weights."""

    def __init__(self, block):
        self.block = block
        self.calls = []
        block.growth.ways.append(self)

    def advance(self, state, first, last):
        self.calls.append((first, last))
        return state._replace(theta=state.theta + (last - first))

    def outputs(self, state):
        return torch.zeros(1, *self.block.y.shape) + state.theta[0].float()


@dataclass(frozen=True, repr=False)
class Shouts(growlib.AuxiliaryWeight):
    """A growth that adds 100 to all weights after epoch 4."""

    def events(self, settings):
        return {4: lambda state, block: state._replace(theta=state.theta + 100)}


def shouting_block(**changed):
    """Return a block of two networks, filled up to three, of the growth above."""
    growth = Shouts()
    object.__setattr__(growth, "ways", [])
    settings = {"epochs": [2, 4, 5], "log_every": 2, "keep_weights": True, "dtype": "float32"}
    settings = settings_of(2, **(settings | changed))
    stop = np.zeros(1, np.uint8)
    return growlib._block(growlib.task("cubic-1"), growth, settings, np.arange(2), 3, stop)


def test_training_goes_from_one_logged_epoch_to_the_next_and_then_has_its_event(monkeypatch):
    clock = itertools.count(10, 6)
    monkeypatch.setattr(growlib, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    block = shouting_block()
    first = growlib._first_state(block).theta[:, :2].float().numpy()
    reported = []
    records, weights, snapshots = growlib._train(AddsEpochs, block, reported.append)

    assert block.growth.ways[0].calls == [(0, 0), (0, 2), (2, 4), (4, 5)]
    assert reported == [0, 0.4, 0.8, 1]
    assert list(snapshots) == [0, 2, 4, 5]
    for epoch, added in {0: 0, 2: 2, 4: 4, 5: 105}.items():
        np.testing.assert_allclose(snapshots[epoch], first + added, rtol=1e-6)
    np.testing.assert_array_equal(weights, snapshots[5])
    assert weights.dtype == np.float32
    for record, epoch, seconds in zip(records, snapshots, (6, 12, 18, 24), strict=True):
        assert record["epoch"].tolist() == [epoch] * 2
        assert record["seconds"].tolist() == [seconds / 2] * 2
        np.testing.assert_allclose(record["size"], snapshots[epoch][0])
        assert {len(values) for values in record.values()} == {2}
        assert record["train_task_loss"].dtype == np.float64


def test_without_being_asked_training_keeps_no_weights():
    _, weights, snapshots = growlib._train(AddsEpochs, shouting_block(keep_weights=False), abs)
    assert snapshots == {}
    assert weights.shape[1] == 2


def test_training_that_is_stopped_ends_without_a_record():
    block = shouting_block()
    block.stop[0] = 1
    with pytest.raises(growlib._Stopped):
        growlib._train(AddsEpochs, block, abs)
    assert block.growth.ways[0].calls == [(0, 0)]


@pytest.mark.parametrize("name", ["cubic-1", "square-wave", "spirals"])
@pytest.mark.parametrize("batch, points_of_a_step", [(None, 24), (7, 6), (24, 24)])
def test_what_is_logged_is_what_its_name_says(name, batch, points_of_a_step):
    options = {"classes": 3, "points": 32} if name == "spirals" else {"points": 32}
    if name != "spirals":
        options["test_points"] = 8
    task = growlib.task(name, **options)
    if name == "spirals":
        task = replace(task, points=32, test_points=8)
    growth = growlib.AuxiliaryWeight(start=[0.01, 1.03, 2.5], target=2.0, coupling=0.3)
    settings = settings_of(epochs=[4, 9], widths=[3], batch=batch)
    block = growlib._block(task, growth, settings, np.arange(3), 1, None)
    state = growlib._first_state(block)
    state = state._replace(
        computed=1000,
        used=torch.tensor([10.0, 20.0, 30.0]),
        spent=torch.tensor([1.0, 2.0, 3.0]),
    )
    y_hat = growlib._Autograd(block).outputs(state)
    record = growlib._measure(state, y_hat, block, 4)

    a_neuron = 3 + 4 * task.inputs + 6 * task.outputs
    size = np.array([0.01, 1.03, 2.5])
    used = np.array([10, 20, 30])
    expected = {
        "train_task_loss": growlib.task_loss(y_hat[:, :24], block.y[:24], task.loss),
        "test_task_loss": growlib.task_loss(y_hat[:, 24:], block.y[24:], task.loss),
        "size_loss": 0.3 * (size - 2) ** 2,
        "size": size,
        "gate": growth.gate(torch.tensor(size), 3).mean(0),
        "active_width": [0, 2, 3],
        "epoch": [4, 4, 4],
        "flops": used * a_neuron * points_of_a_step + [1, 2, 3],
        "flops_done": 1000 * a_neuron * points_of_a_step,
        "accuracy": np.nan,
        "accuracy_fresh": np.nan,
    }
    if task.classes:
        right = growlib._classes(y_hat) == block.y.long()
        expected["accuracy"] = right[24:].double().mean(0)
        fresh = growlib._fresh(state.theta, growth, task, [3], 0, [0, 1, 2])
        expected["accuracy_fresh"] = growlib._right(*fresh)
    assert record.keys() == expected.keys()
    for key, values in expected.items():
        np.testing.assert_allclose(record[key], np.broadcast_to(values, 3), err_msg=key)
    assert record["epoch"].dtype == np.int64
    later = growlib._measure(state, y_hat, block, 5)
    assert np.isnan(later["accuracy_fresh"]).all()


def test_a_task_without_fresh_points_has_no_accuracy_at_them():
    task = growlib.task("spirals", points=1300)
    assert task.large
    settings = settings_of(1, widths=[3])
    block = growlib._block(task, GROWTH, settings, np.arange(1), 1, None)
    state = growlib._first_state(block)
    y_hat = growlib._Autograd(block).outputs(state)
    record = growlib._measure(state, y_hat, block, 1)
    assert np.isnan(record["accuracy_fresh"]).all()
    assert not np.isnan(record["accuracy"]).any()


def test_what_is_logged_of_two_layers_is_of_both():
    growth = growlib.AuxiliaryWeight(start=2.5)
    settings = settings_of(1, widths=[4, 3])
    block = growlib._block(growlib.task("cubic-1"), growth, settings, np.arange(1), 1, None)
    state = growlib._first_state(block)
    record = growlib._measure(state, growlib._Autograd(block).outputs(state), block, 0)
    assert record["active_width"].tolist() == [3 + 3]
    assert record["gate"].item() == pytest.approx((2.5 + 2.5) / 7)


def test_the_history_has_a_row_for_each_epoch_and_network_and_says_who_diverged():
    about = pd.DataFrame({"trial": [7, 8, 9]})

    def record(size, train, test, size_loss):
        values = {"size": size, "train_task_loss": train, "test_task_loss": test}
        return {name: np.array(each, dtype=float) for name, each in values.items()} | {
            "size_loss": np.array(size_loss, dtype=float)
        }

    limit = growlib.TOO_LARGE
    one = [
        record([1, 2], [0, limit + 1], [0, 0], [0, 0]),
        record([3, 4], [0, 0], [limit, 0], [0, 0]),
        record([5, 6], [0, 0], [limit / 2, 0], [limit, 0]),
    ]
    other = [
        record([10], [0], [0], [0]),
        record([11], [0], [np.nan], [0]),
        record([12], [0], [0], [0]),
    ]
    history = growlib._history(about, [one, other])
    assert sorted(history) == sorted(["trial", *one[0], "diverged"])
    assert history["trial"].tolist() == [7, 8, 9] * 3
    assert history["size"].tolist() == [1, 2, 10, 3, 4, 11, 5, 6, 12]
    assert history["diverged"].tolist() == [
        *[False, True, False],
        *[False, True, True],
        *[True, True, True],
    ]
    assert history.index.tolist() == list(range(9))


# ------------------------------------------------------------------------------------------ threads


def way_of(lanes, multiple, threads=2, least=1):
    return SimpleNamespace(least=least, most=lanes, multiple=multiple, threads=threads)


@pytest.mark.parametrize(
    "lanes, multiple, count, threads, lengths",
    [
        (8, 4, 10, 2, [8, 2]),
        (8, 4, 8, 2, [4, 4]),
        (8, 4, 3, 2, [3]),
        (8, 4, 40, 2, [8] * 5),
        (8, 1, 5, 2, [3, 2]),
        (8, 1, 5, 1, [5]),
        (8, 4, 1, 2, [1]),
    ],
)
def test_blocks_are_spread_evenly_over_the_threads(lanes, multiple, count, threads, lengths):
    task = growlib.task("cubic-1")
    places = growlib._places_of_blocks(way_of(lanes, multiple), task, count, threads)
    assert [len(each) for each in places] == lengths
    assert np.concatenate(places).tolist() == list(range(count))


@pytest.mark.parametrize("count, lengths", [(12, [8, 4]), (6, [6]), (40, [16, 16, 8]), (8, [8])])
def test_no_block_is_smaller_than_the_least_that_is_worth_a_thread(count, lengths):
    task = growlib.task("cubic-1")
    places = growlib._places_of_blocks(way_of(16, 2, least=8), task, count, 2)
    assert [len(each) for each in places] == lengths


def test_networks_on_a_large_set_have_a_block_each():
    task = growlib.task("bessel-grid", points=2000)
    places = growlib._places_of_blocks(way_of(8, 4), task, 3, 2)
    assert [each.tolist() for each in places] == [[0], [1], [2]]


@pytest.fixture
def two_threads():
    """Let torch, and so `fit`, have two threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("threads", [1, 2])
def test_blocks_train_in_threads_and_come_in_their_order(threads, monkeypatch, two_threads):
    active = []
    most = []

    def train(way, block, report):
        active.append(1)
        most.append(len(active))
        # the earlier the block, the longer it takes
        time.sleep(0.02 * (4 - block.places[0]))
        report(1.0)
        active.pop()
        return block.places.tolist(), block.count

    monkeypatch.setattr(growlib, "_train", train)
    task = growlib.task("cubic-1")
    reported = []
    way = way_of(2, 2, threads)
    found = growlib._in_threads(way, task, GROWTH, settings_of(5), reported.append)
    assert found == [([0, 1], 2), ([2, 3], 2), ([4, 4], 1)]
    assert max(most) == threads
    assert reported[-1] == 1
    assert all(isinstance(each, float) for each in reported)
    assert growlib._in_threads(way, task, GROWTH, settings_of(5), None) == found


def test_blocks_of_a_large_set_are_not_filled(monkeypatch):
    monkeypatch.setattr(growlib, "_train", lambda way, block, report: block.places.tolist())
    task = growlib.task("bessel-grid", points=2000)
    assert growlib._in_threads(way_of(4, 4), task, GROWTH, settings_of(2), None) == [[0], [1]]


def test_progress_is_the_mean_of_all_blocks_and_is_told_while_they_train(monkeypatch):
    told = threading.Event()

    def train(way, block, report):
        if block.places[0] == 0:
            report(0.5)
            assert told.wait(10)
        report(1.0)

    def progress(fraction):
        reported.append(fraction)
        if fraction == 0.25:
            told.set()

    reported = []
    monkeypatch.setattr(growlib, "_train", train)
    growlib._in_threads(way_of(1, 1), growlib.task("cubic-1"), GROWTH, settings_of(2), progress)
    assert set(reported) <= {0.25, 0.5, 1.0}
    assert reported[-1] == 1


@pytest.mark.parametrize("of_block", [True, False])
def test_an_error_stops_all_blocks_and_those_that_have_not_begun_never_begin(
    of_block, monkeypatch, two_threads
):
    begun = []

    def train(way, block, report):
        begun.append(block.places[0])
        if block.places[0] == 0 and of_block:
            raise ArithmeticError
        for _ in range(500):
            time.sleep(0.01)
            if block.stop[0]:
                raise growlib._Stopped

    def progress(fraction):
        raise ArithmeticError

    monkeypatch.setattr(growlib, "_train", train)
    began = time.perf_counter()
    with pytest.raises(ArithmeticError):
        growlib._in_threads(
            way_of(1, 1),
            growlib.task("cubic-1"),
            GROWTH,
            settings_of(30),
            None if of_block else progress,
        )
    assert time.perf_counter() - began < 3
    assert len(begun) < 30

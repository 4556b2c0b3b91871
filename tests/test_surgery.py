"""Layers of any torch model, grown and shrunk between steps of an optimizer."""

import copy
import inspect
import io

import pandas as pd
import pytest
import torch
import wirings
from hypothesis import given
from hypothesis import strategies as st
from strategies import SEEDS
from torch import nn
from torch.optim.swa_utils import AveragedModel

from growkit import surgery
from growkit.derived import newborn

# Every optimizer of torch, with its defaults, and with the options that make it store more.
CLASSES = {
    name: kind
    for name, kind in vars(torch.optim).items()
    if inspect.isclass(kind) and kind is not torch.optim.Optimizer
}
OPTIONS = {
    "SGD": [{}, {"momentum": 0.9, "nesterov": True}],
    "Adam": [{}, {"amsgrad": True, "weight_decay": 0.1}],
    "AdamW": [{}, {"foreach": True}],
    "RMSprop": [{}, {"centered": True, "momentum": 0.9}],
    "Adagrad": [{}, {"initial_accumulator_value": 0.1, "lr_decay": 0.01}],
}
MATRICES_ALONE = {"Muon"}  # SGD trains the biases beside it
REFUSED = {"LBFGS", "SparseAdam"}
# These divide by a norm of the whole weight, so that new neurons change the steps of old ones.
WHOLE_WEIGHT = {"Adafactor", "Muon"}

OPTIMIZERS = {
    f"{name} {', '.join(options)}".strip(): (name, options)
    for name in CLASSES
    for options in OPTIONS.get(name, [{}])
}
WORKING = [key for key, (name, _) in OPTIMIZERS.items() if name not in REFUSED]


def optimizers(key, net):
    """Return the optimizers of a model, mostly one, by the name in the table."""
    name, options = OPTIMIZERS[key]
    lr = {"Rprop": 1e-4, "RMSprop": 1e-3, "Adadelta": 1.0}.get(name, 0.01)
    parameters = list(net.parameters())
    if name not in MATRICES_ALONE:
        return [CLASSES[name](parameters, lr=lr, **options)]
    matrices = [each for each in parameters if each.ndim == 2]
    others = [each for each in parameters if each.ndim != 2]
    return [CLASSES[name](matrices, lr=lr, **options), torch.optim.SGD(others, lr=0.01)]


def model(bias=True):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(3, 8, bias=bias),
        nn.ReLU(),
        nn.Dropout(0.0),
        nn.Linear(8, 5),
        nn.Tanh(),
        nn.Linear(5, 2),
    )


X = torch.randn(64, 3, generator=torch.Generator().manual_seed(1))
Y = torch.stack([torch.sin(2 * X[:, 0]), X[:, 1] * X[:, 2]], 1)


def data(batch=None):
    """Return inputs and targets of a regression, or a batch of them."""
    places = slice(None) if batch is None else torch.randint(0, 64, (batch,))
    return X[places], Y[places]


def train(net, trained_by, steps, batch=None):
    """Train on the regression and return the losses before each step."""
    several = trained_by if isinstance(trained_by, list) else [trained_by]
    losses = []
    for _ in range(steps):
        x, y = data(batch)
        loss = nn.functional.mse_loss(net(x), y)
        net.zero_grad()
        loss.backward()
        for optimizer in several:
            optimizer.step()
        losses.append(loss.item())
    return losses


def trained(key, bias=True, steps=20):
    """Return a model and its optimizers after some steps."""
    net = model(bias)
    several = optimizers(key, net)
    train(net, several, steps)
    return net, several


def assert_close(found, expected, atol=1e-6):
    torch.testing.assert_close(found, expected, atol=atol, rtol=0)


def everything(net, several):
    """Return what must not change if a call is refused."""
    groups = [[dict(group) for group in each.param_groups] for each in several]
    states = [each.state_dict() for each in several]
    return copy.deepcopy((net.state_dict(), states)), dict(net.named_parameters()), groups


def assert_unchanged(net, several, before):
    (weights, states), parameters, groups = before
    for name, parameter in net.named_parameters():
        assert parameter is parameters[name]
    for name, value in net.state_dict().items():
        assert torch.equal(value, weights[name])
    for each, state, of_groups in zip(several, states, groups, strict=True):
        torch.testing.assert_close(each.state_dict(), state, atol=0, rtol=0)
        for group, of_group in zip(each.param_groups, of_groups, strict=True):
            assert [id(held) for held in group["params"]] == [id(p) for p in of_group["params"]]


# ------------------------------------------------------------------------------ every optimizer


@pytest.mark.parametrize("key", WORKING)
@pytest.mark.parametrize(
    "name, first, second, bias", [("0", 0, 3, True), ("0", 0, 3, False), ("3", 3, 5, True)]
)
def test_growing_changes_neither_the_function_nor_the_old_neurons_steps(
    key, name, first, second, bias
):
    net, several = trained(key, bias)
    twin, twins = copy.deepcopy((net, several))
    x = torch.randn(16, 3)
    before = net(x)
    surgery.grow(net, name, 4, several)
    assert_close(net(x), before)
    assert net[first].out_features == len(net[first].weight)
    assert net[second].in_features == len(net[first].weight)

    old = twin[first].out_features
    if OPTIMIZERS[key][0] not in WHOLE_WEIGHT:
        train(net, several, 1)
        train(twin, twins, 1)
        assert_close(net[first].weight[:old], twin[first].weight)
        assert_close(net[second].weight[:, :old], twin[second].weight)
    losses = train(net, several, 50)
    assert losses[-1] < losses[0] + 0.01
    held = {id(each) for one in several for group in one.param_groups for each in group["params"]}
    assert held == {id(each) for each in net.parameters()}


@pytest.mark.parametrize("key", WORKING)
def test_what_is_stored_for_old_neurons_stays(key):
    net, several = trained(key)
    twin, twins = copy.deepcopy((net, several))
    surgery.grow(net, "0", 4, several)
    stored = 0
    for now, before in zip(several, twins, strict=True):
        for parameter, twins_parameter in zip(net.parameters(), twin.parameters(), strict=True):
            assert (
                now.state.get(parameter, {}).keys() == before.state.get(twins_parameter, {}).keys()
            )
            for name, value in before.state.get(twins_parameter, {}).items():
                old = tuple(slice(0, length) for length in torch.as_tensor(value).shape)
                assert torch.equal(
                    torch.as_tensor(now.state[parameter][name])[old], torch.as_tensor(value)
                )
                stored += torch.as_tensor(value).numel() > 1
    assert stored or key == "SGD"


@pytest.mark.parametrize("key", [key for key in OPTIMIZERS if key not in WORKING])
@pytest.mark.parametrize("change", [surgery.grow, surgery.shrink])
def test_an_optimizer_that_is_refused_is_named_and_nothing_changes(key, change):
    net = model()
    several = optimizers(key, net)
    if key == "LBFGS":
        x, y = data()

        def closure():
            net.zero_grad()
            loss = nn.functional.mse_loss(net(x), y)
            loss.backward()
            return loss

        several[0].step(closure)
    before = everything(net, several)
    with pytest.raises(ValueError, match=f"^optimizer is '{key}'; it takes .*, of torch.optim"):
        change(net, "0", 4, several)
    assert_unchanged(net, several, before)


def test_an_optimizer_that_stores_what_is_not_known_is_refused():
    class Own(torch.optim.SGD):
        pass

    net = model()
    optimizer = Own(net.parameters(), lr=0.1)
    surgery.grow(net, "0", 1, optimizer)
    optimizer.state[net[3].weight]["curvature"] = torch.ones_like(net[3].weight)
    before = everything(net, [optimizer])
    with pytest.raises(ValueError, match=r"optimizer is 'Own'; it takes .* it stores 'curvature'"):
        surgery.grow(net, "0", 1, optimizer)
    assert_unchanged(net, [optimizer], before)


@pytest.mark.parametrize("key", WORKING)
def test_what_is_saved_loads_into_a_fresh_model_of_the_new_size(key):
    net, several = trained(key)
    surgery.grow(net, "0", 4, several)
    train(net, several, 5)
    file = io.BytesIO()
    torch.save([net.state_dict(), *(each.state_dict() for each in several)], file)
    file.seek(0)
    weights, *states = torch.load(file, weights_only=True)

    fresh = model()
    surgery.grow(fresh, "0", 4)
    fresh.load_state_dict(weights)
    fresh_optimizers = optimizers(key, fresh)
    for each, state in zip(fresh_optimizers, states, strict=True):
        each.load_state_dict(state)
    assert train(fresh, fresh_optimizers, 10) == train(net, several, 10)


@pytest.mark.parametrize("key", WORKING)
def test_shrinking_is_the_reverse_of_growing(key):
    net, several = trained(key)
    twin, twins = copy.deepcopy((net, several))
    surgery.grow(net, "0", 4, several)
    assert surgery.shrink(net, "0", 4, several).tolist() == list(range(8))
    for parameter, twins_parameter in zip(net.parameters(), twin.parameters(), strict=True):
        assert torch.equal(parameter, twins_parameter)
        for now, before in zip(several, twins, strict=True):
            torch.testing.assert_close(
                now.state.get(parameter, {}),
                before.state.get(twins_parameter, {}),
                atol=0,
                rtol=0,
            )


# ------------------------------------------------------- every state of the neurons, under Adam

STATES = {
    "as trained": (nn.ReLU, None),
    "six dead": (nn.ReLU, lambda net: net[0].bias[:6].fill_(-100)),
    "all dead": (nn.ReLU, lambda net: net[0].bias.fill_(-100)),
    "six saturated": (nn.Tanh, lambda net: net[0].bias[:6].fill_(7)),
    "all alike": (
        nn.ReLU,
        lambda net: [alike(net[0].weight), alike(net[0].bias), alike(net[2].weight.T)],
    ),
}


def alike(rows):
    rows.copy_(rows[:1].clone().expand_as(rows))


def neurons_in(state, steps=1000, **options):
    """Return a model whose neurons are in a state, and its optimizer, after steps of Adam."""
    activation, put = STATES[state]
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 8), activation(), nn.Linear(8, 2))
    if put is not None:
        with torch.no_grad():
            put(net)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3, **options)
    train(net, optimizer, steps)
    return net, optimizer


def largest_step(net, optimizer, steps=60, batch=None):
    """Return the largest step of a weight of the new neurons, in learning rates."""
    largest = 0.0
    for _ in range(steps):
        before = copy.deepcopy(net.state_dict())
        train(net, optimizer, 1, batch)
        for name, places in (("0.weight", ()), ("0.bias", ()), ("2.weight", (slice(None),))):
            moved = net.state_dict()[name] - before[name]
            new = moved[(*places, slice(8, None))]
            largest = max(largest, new.abs().max().item() / 1e-3)
    return largest


MORE_OF_ADAM = [{"amsgrad": True}, {"weight_decay": 0.1}, {"betas": (0.5, 0.99)}]


@pytest.mark.parametrize(
    "state, options",
    [(state, {}) for state in STATES] + [("six dead", options) for options in MORE_OF_ADAM],
    ids=str,
)
def test_new_neurons_learn_and_step_no_further_than_three_learning_rates(state, options):
    net, optimizer = neurons_in(state, 2000 if state == "six dead" else 1000, **options)
    x, _ = data()
    before = net(x)
    surgery.grow(net, "0", 4, optimizer)
    assert_close(net(x), before)
    for batch in (None, 16):
        assert largest_step(*copy.deepcopy((net, optimizer)), batch=batch) < 3
    train(net, optimizer, 30)
    assert net[2].weight[:, 8:].abs().max() > 0


def test_without_a_short_count_new_neurons_step_twice_as_far():
    net, optimizer = neurons_in("six dead")
    surgery.grow(net, "0", 4, optimizer)
    for state in optimizer.state.values():
        state["step"].fill_(1000)
    assert largest_step(net, optimizer) > 5


def test_a_short_count_leaves_old_averages_worth_the_same():
    """Adam divides an average by 1 - beta^count, before and after; the next steps are alike."""
    net, optimizer = neurons_in("as trained")
    twin, twins = copy.deepcopy((net, optimizer))
    surgery.grow(net, "0", 4, optimizer)
    for place, old in ((0, slice(0, 8)), (2, (slice(None), slice(0, 8)))):
        now = optimizer.state[net[place].weight]
        before = twins.state[twin[place].weight]
        assert now["step"] == surgery.SHORT_COUNT
        for key, beta in (("exp_avg", 0.9), ("exp_avg_sq", 0.999)):
            worth = now[key][old] / (1 - beta ** now["step"])
            expected = before[key] / (1 - beta ** before["step"])
            torch.testing.assert_close(worth, expected, rtol=1e-4, atol=1e-30)
    start = copy.deepcopy(twin[0].weight)
    train(net, optimizer, 1)
    train(twin, twins, 1)
    step = (twin[0].weight - start).abs().max()
    assert (net[0].weight[:8] - twin[0].weight).abs().max() < 0.1 * step


def test_the_count_starts_anew_where_all_averages_are_zero():
    net, optimizer = neurons_in("all dead")
    surgery.grow(net, "0", 4, optimizer)
    counts = [optimizer.state[each]["step"].item() for each in net.parameters()]
    assert counts == [0, 0, 0, 1000]  # the last bias is the only weight with a gradient


@pytest.mark.parametrize("key", ["NAdam", "RAdam"])
def test_other_counts_start_anew_where_all_averages_are_zero(key):
    net = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 2))
    nn.init.constant_(net[0].bias, -100)
    several = optimizers(key, net)
    train(net, several, 50)
    surgery.grow(net, "0", 4, several)
    state = several[0].state[net[2].weight]
    assert state["step"] == 0
    assert state.get("mu_product", 1) == 1


def test_dead_neurons_do_not_count_for_the_squares_of_new_ones():
    """Six neurons of eight are dead; the median over all is 0."""
    net = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 2))
    nn.init.constant_(net[0].bias[:6], -100)
    optimizer = torch.optim.RMSprop(net.parameters(), lr=1e-3)
    train(net, optimizer, 500)
    surgery.grow(net, "0", 4, optimizer)
    squares = optimizer.state[net[2].weight]["square_avg"]
    assert (squares[:, 8:] > 0).all()
    assert (squares[:, 8:] <= squares[:, :8].amax(1, keepdim=True)).all()


def test_the_study_of_the_rules_trains_as_torch_does():
    """One network of the study is the same as a torch model under Adam that `grow` has grown."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 1))
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    x, y = data()
    y = y[:, :1]
    network = []
    for parameter in net.parameters():
        values = parameter.detach()[None].clone()
        nothing = torch.zeros_like(values)
        network.append(newborn.Weights(values, nothing, nothing, nothing))
    points = newborn.Data(x[None], y[:, 0][None], "squared")

    def both_step(network):
        nn.functional.mse_loss(net(x), y).backward()
        optimizer.step()
        optimizer.zero_grad()
        return newborn.step(network, points, torch.tensor([0.01]))

    for _ in range(40):
        network = both_step(network)
    surgery.grow(net, "0", 8, optimizer)
    new = [net[0].weight[8:], net[0].bias[8:], net[2].weight[:, 8:]]
    network = newborn.grown(network, [each.detach()[None] for each in new], newborn.OF_GROW)
    for _ in range(40):
        network = both_step(network)
    for parameter, weights in zip(net.parameters(), network, strict=True):
        assert_close(weights.values[0], parameter, atol=1e-4)


@pytest.mark.parametrize("rule", newborn.RULES)
def test_the_rules_of_the_study_differ_in_what_they_say(rule):
    weights = [torch.ones(2, 8, 3), torch.ones(2, 8), torch.ones(2, 1, 8), torch.ones(2, 1)]
    network = [newborn.Weights(each, each, each * 4, each * 1000) for each in weights]
    new = [torch.ones(2, 8, 3), torch.ones(2, 8), torch.zeros(2, 1, 8)]
    hidden, *_, last = newborn.grown(network, new, rule)
    old, added = (slice(None), slice(0, 8)), (slice(None), slice(8, None))
    expected = {
        "zero": (1000, 1000, 1000, 0, 4),
        "own count": (1000, 0, 1000, 0, 4),
        "median": (1000, 1000, 1000, 4, 4),
        "reset": (0, 0, 0, 0, 0),
        "short count": (20, 20, 1000, 0, 4 * (1 - 0.999**20) / (1 - 0.999**1000)),
    }[rule]
    found = (
        hidden.counts[old],
        hidden.counts[added],
        last.counts,
        hidden.squares[added],
        hidden.squares[old],
    )
    for values, value in zip(found, expected, strict=True):
        torch.testing.assert_close(values, torch.full_like(values, value), rtol=1e-4, atol=0)


def test_a_network_of_the_study_depends_on_no_other(monkeypatch):
    for name, steps in (("STEPS", 70), ("WATCHED", 5), ("EARLY", 10)):
        monkeypatch.setattr(newborn, name, steps)
    found = newborn.trained("square-wave", 3)
    assert len(found) == 3 * len(newborn.RULES) * len(newborn.RATES)
    fewer = newborn.trained("square-wave", 2)
    same = found[found["trial"] < 2].reset_index(drop=True)
    pd.testing.assert_frame_equal(same, fewer, rtol=1e-3)
    first = found[found["trial"] == 0].set_index(["arm", "lr"])["longest"]
    assert first["zero"].min() > first["short count"].max()


def test_a_rule_is_compared_with_that_of_grow():
    rows = []
    for trial in range(20):
        for arm, factor in (("zero", 2.0), (newborn.OF_GROW, 1.0)):
            losses = dict.fromkeys(("early_loss", "final_loss", "test_loss"), factor * (1 + trial))
            about = {"case": "a", "lr": 0.1, "arm": arm, "trial": trial, "diverged": False}
            rows.append(about | losses | {"longest": factor * trial, "jumps": trial < 5})
    found = newborn.compared(pd.DataFrame(rows)).set_index(["rule", "value", "measure"])["estimate"]
    for value in ("early_loss", "final_loss", "test_loss"):
        assert found["zero", value, "ratio of medians"] == pytest.approx(2)
    assert found["zero", "longest", "largest"] == 38
    assert found["zero", "longest", "median"] == 19
    assert found[newborn.OF_GROW, "jumps", "fraction"] == 0.25


# ------------------------------------------------------------------------------- every wiring


def made(name):
    """Return a model of the table, the name of the layer that is to change, and an optimizer."""
    torch.manual_seed(0)
    net = wirings.WIRINGS[name][0]()
    lazy = any(nn.parameter.is_lazy(each) for each in net.parameters())
    optimizer = None if lazy else torch.optim.Adam(net.parameters(), lr=0.01)
    if not lazy:
        for _ in range(3):
            step(net, optimizer)
    return net, wirings.layer_of(net), optimizer


def answers(net):
    """Return all that a model answers in its evaluation mode, side by side."""
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(16, 3, generator=generator).to(next(net.parameters()).dtype)
    net.eval()
    given = net(x)
    net.train()
    given = given if isinstance(given, tuple) else (given,)
    return torch.cat([each.flatten(1) if each.ndim > 1 else each[:, None] for each in given], 1)


def step(net, optimizer):
    x = torch.randn(16, 3).to(next(net.parameters()).dtype)
    given = net(x)
    given = given if isinstance(given, tuple) else (given,)
    optimizer.zero_grad()
    sum(each.square().mean() for each in given).backward()
    optimizer.step()


@pytest.mark.parametrize("name", [name for name, each in wirings.WIRINGS.items() if not each[1]])
def test_a_wiring_that_works(name):
    net, layer, optimizer = made(name)
    before = answers(net)
    surgery.grow(net, layer, 4, optimizer)
    assert_close(answers(net), before)
    assert len(net.get_submodule(layer).weight) == 12
    for _ in range(3):
        step(net, optimizer)
    assert (answers(net) - before).abs().max() > 1e-4

    surgery.shrink(net, layer, 6, optimizer)
    assert len(net.get_submodule(layer).weight) == 6
    step(net, optimizer)

    fresh = wirings.WIRINGS[name][0]()
    surgery.shrink(fresh, layer, 2)
    fresh.load_state_dict(net.state_dict())
    assert torch.equal(answers(fresh), answers(net))


@pytest.mark.parametrize("name", [name for name, each in wirings.WIRINGS.items() if each[1]])
@pytest.mark.parametrize("change", [surgery.grow, surgery.shrink])
def test_a_wiring_that_is_refused(name, change):
    net, layer, optimizer = made(name)
    several = [] if optimizer is None else [optimizer]
    before = None if optimizer is None else everything(net, several)
    with pytest.raises(ValueError, match="; it takes") as caught:
        change(net, layer, 4, several)
    assert wirings.WIRINGS[name][1] in str(caught.value)
    if before is not None:
        assert_unchanged(net, several, before)
        step(net, optimizer)


def test_layers_are_named_where_the_model_cannot_be_traced():
    net, layer, optimizer = made("a path that depends on the numbers")
    before = answers(net)
    surgery.grow(net, layer, 4, optimizer, consumers=["head"])
    assert_close(answers(net), before)
    step(net, optimizer)
    net = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.Linear(8, 2))
    surgery.grow(net, "0", 4, consumers=["1", "2"])
    assert net[1].num_features == len(net[1].running_mean) == 12
    answers(net)


# ------------------------------------------------------------------------- what is beside the model


def two_layers():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 2))


def test_layers_that_are_frozen_stay_frozen_and_need_no_optimizer():
    net = two_layers()
    net[0].requires_grad_(False)
    optimizer = torch.optim.Adam([each for each in net.parameters() if each.requires_grad])
    train(net, optimizer, 3)
    before = net[0].weight.clone()
    surgery.grow(net, "0", 2, optimizer)
    assert [each.requires_grad for each in net.parameters()] == [False, False, True, True]
    train(net, optimizer, 3)
    assert torch.equal(net[0].weight[:8], before)
    assert net[2].weight[:, 8:].abs().max() > 0


def test_groups_keep_their_rates_and_a_scheduler_goes_on():
    net = two_layers()
    groups = [
        {"params": net[0].parameters(), "lr": 0.1, "weight_decay": 0.5},
        {"params": net[2].parameters(), "lr": 0.01},
    ]
    optimizer = torch.optim.SGD(groups, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
    train(net, optimizer, 3)
    scheduler.step()
    surgery.grow(net, "0", 4, optimizer)
    first, second = optimizer.param_groups
    assert [id(each) for each in first["params"]] == [id(each) for each in net[0].parameters()]
    assert [id(each) for each in second["params"]] == [id(each) for each in net[2].parameters()]
    train(net, optimizer, 3)
    scheduler.step()
    assert (first["lr"], first["weight_decay"], second["lr"]) == (0.025, 0.5, 0.0025)


def test_several_optimizers_are_given_as_a_list():
    net = two_layers()
    several = [torch.optim.Adam(net[0].parameters()), torch.optim.SGD(net[2].parameters(), lr=0.1)]
    train(net, several, 3)
    before = everything(net, several)
    for one in several:
        with pytest.raises(
            ValueError, match="; it takes the one that trains these layers, or a list"
        ):
            surgery.grow(net, "0", 4, one)
    assert_unchanged(net, several, before)
    surgery.grow(net, "0", 4, several)
    assert train(net, several, 200)[-1] < train(net, several, 1)[0] + 0.01


def test_gradients_that_wait_for_their_step_stay():
    net = two_layers()
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    train(net, optimizer, 5)
    x, y = data()
    nn.functional.mse_loss(net(x), y).backward()
    twin, twins = copy.deepcopy((net, optimizer))
    for each, twins_each in zip(net.parameters(), twin.parameters(), strict=True):
        twins_each.grad = each.grad.clone()
    surgery.grow(net, "0", 4, optimizer)
    assert (net[2].weight.grad[:, 8:] == 0).all()
    optimizer.step()
    twins.step()
    assert_close(net[0].weight[:8], twin[0].weight)
    assert_close(net[2].weight[:, :8], twin[2].weight)
    surgery.shrink(net, "0", [0, 1], optimizer)
    optimizer.step()


def test_an_average_of_the_weights_grows_with_the_same_seed():
    net = two_layers()
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    average = AveragedModel(net)
    train(net, optimizer, 3)
    average.update_parameters(net)
    before = average(data()[0])
    for each, trained_by in ((net, optimizer), (average.module, None)):
        torch.manual_seed(1)
        surgery.grow(each, "0", 4, trained_by)
    assert torch.equal(average.module[0].weight[8:], net[0].weight[8:])
    assert_close(average(data()[0]), before)
    train(net, optimizer, 3)
    average.update_parameters(net)


def test_an_average_that_did_not_grow_says_so_at_its_next_update():
    net = two_layers()
    average = AveragedModel(net)
    average.update_parameters(net)
    surgery.grow(net, "0", 4)
    with pytest.raises(RuntimeError, match="size"):
        average.update_parameters(net)


@pytest.mark.filterwarnings("ignore:Guards may run slower on Python")  # says torch on 3.13.0
@pytest.mark.parametrize("in_place", [True, False])
def test_a_compiled_model_is_compiled_anew(in_place):
    net = two_layers()
    compiled = net
    if in_place:
        net.compile(backend="eager")
    else:
        compiled = torch.compile(net, backend="eager")
    optimizer = torch.optim.Adam(compiled.parameters(), lr=0.01)
    train(compiled, optimizer, 3)
    x, _ = data()
    before = compiled(x)
    surgery.grow(compiled, "0", 4, optimizer)
    assert_close(compiled(x), before)
    name, _ = next(iter(compiled.named_parameters()))
    surgery.grow(compiled, name.removesuffix(".weight"), 4, optimizer)
    assert_close(compiled(x), before)
    assert train(compiled, optimizer, 100)[-1] < train(compiled, optimizer, 1)[0] + 0.01
    assert len(net[0].weight) == 16
    surgery.grow(net[0], net[2], 4, optimizer)


def test_a_graph_that_is_still_held_does_no_harm():
    net = two_layers()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
    held = net(data()[0])
    surgery.grow(net, "0", 4, optimizer)
    train(net, optimizer, 2)
    held.sum().backward()


def test_a_model_for_several_devices_is_refused():
    with pytest.raises(
        ValueError, match="model is 'DataParallel'; it takes a torch model that is not"
    ):
        surgery.grow(nn.DataParallel(two_layers()), "module.0", 1)


# --------------------------------------------------------------------------------- two layers alone


def heads():
    torch.manual_seed(0)
    return wirings.WIRINGS["two heads"][0]()


@pytest.mark.parametrize("change", [surgery.grow, surgery.shrink])
def test_another_head_is_found_in_memory(change):
    net = heads()
    optimizer = torch.optim.Adam(net.parameters())
    before = everything(net, [optimizer])
    for arguments in ((4,), (4, optimizer)):
        with pytest.raises(ValueError, match="of 'trunk', which are head, other; grow"):
            change(net.trunk, net.head, *arguments)
    assert_unchanged(net, [optimizer], before)
    change(net.trunk, [net.head, net.other], 4, optimizer)
    answers(net)


def test_two_layers_that_do_not_follow_each_other_are_refused():
    net = wirings.WIRINGS["equal widths"][0]()
    surgery.grow(net[0], net[2], 4)
    surgery.shrink(net[0], net[2], 4)
    with pytest.raises(
        ValueError, match="all layers that take the neurons of '0', which are 2; grow"
    ):
        surgery.grow(net[0], net[4], 4)


def test_another_model_with_the_same_trunk_is_found():
    trunk = nn.Linear(3, 8)
    first = nn.Sequential(trunk, nn.ReLU(), nn.Linear(8, 1))
    second = nn.Sequential(trunk, nn.ReLU(), nn.Linear(8, 2))
    with pytest.raises(
        ValueError, match="all layers that take the neurons of '0', which are 2; grow"
    ):
        surgery.grow(trunk, first[2], 4)
    surgery.grow(trunk, [first[2], second[2]], 4)
    assert second(torch.zeros(1, 3)).shape == (1, 2)


def test_a_part_of_a_model_beside_it_does_no_harm():
    net = two_layers()
    features = net[:2]
    models = nn.ModuleList([net, two_layers()])
    surgery.grow(net[0], net[2], 4)
    assert features(torch.zeros(1, 3)).shape == (1, 12)
    assert models[0] is net


def test_what_lies_between_two_layers_grows_with_them():
    net = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.PReLU(8), nn.Linear(8, 1))
    surgery.grow(net[0], net[3], 4)
    assert (net[1].num_features, net[2].num_parameters) == (12, 12)
    answers(net)


def test_a_model_that_cannot_be_traced_may_have_another_head():
    net = wirings.WIRINGS["a path that depends on the numbers"][0]()
    surgery.grow(net.trunk, net.head, 4)
    net.other = nn.Linear(12, 1)
    with pytest.raises(
        ValueError, match="as a list, since Net cannot be traced, and other may take"
    ):
        surgery.grow(net.trunk, net.head, 4)
    surgery.grow(net.trunk, [net.head], 4)
    assert answers(net).shape == (16, 2)


def test_an_optimizer_may_hold_another_head():
    trunk, head, other = nn.Linear(3, 8), nn.Linear(8, 1), nn.Linear(8, 2)
    surgery.grow(trunk, head, 1)
    surgery.shrink(trunk, head, 1)
    optimizer = torch.optim.SGD([*trunk.parameters(), *head.parameters(), *other.parameters()])
    with pytest.raises(ValueError, match=r"as a list, since the optimizer also trains .*\(2, 8\)"):
        surgery.grow(trunk, head, 4, optimizer)
    surgery.grow(trunk, [head, other], 4, optimizer)
    assert other.in_features == 12


# ---------------------------------------------------------------------------------------- shrinking


def test_shrinking_takes_out_the_neurons_that_count_least():
    net = model()
    with torch.no_grad():
        net[3].weight[:, [1, 6]] = 0
    x = torch.randn(16, 3)
    before = net(x)
    assert surgery.shrink(net[0], net[3], 2).tolist() == [0, 2, 3, 4, 5, 7]
    assert_close(net(x), before)


def test_shrinking_takes_out_the_neurons_that_are_named():
    net = model()
    rows = net[0].weight.detach().clone()
    assert surgery.shrink(net[0], net[3], [0, 5]).tolist() == [1, 2, 3, 4, 6, 7]
    assert torch.equal(net[0].weight, rows[[1, 2, 3, 4, 6, 7]])


def with_constants(net, layer):
    """Set the incoming weights of neurons 2 and 5 to 0 and their biases to 2."""
    with torch.no_grad():
        layer.weight[[2, 5]] = 0
        layer.bias[[2, 5]] = 2
    return net


@pytest.mark.parametrize("activation", [nn.ReLU, nn.Tanh, nn.Sigmoid, nn.GELU])
def test_a_constant_goes_into_the_next_bias(activation):
    net = nn.Sequential(nn.Linear(3, 8), activation(), nn.Dropout(0.5), nn.Linear(8, 2))
    with_constants(net, net[0])
    optimizer = torch.optim.Adam(net.parameters())
    train(net, optimizer, 3)
    with_constants(net, net[0])
    before = answers(net)
    assert surgery.shrink(net[0], net[3], 2, optimizer).tolist() == [0, 1, 3, 4, 6, 7]
    assert_close(answers(net), before)
    train(net, optimizer, 3)


@pytest.mark.parametrize(
    "name",
    [
        "heads after different activations",
        "a norm of batches",
        "an activation with a weight per neuron",
        "a trunk that is called twice",
        "a gate of the same neurons",
    ],
)
def test_a_constant_goes_into_every_bias_on_its_way(name):
    net, layer, _ = made(name)
    with_constants(net, net.get_submodule(layer))
    if "heads" in name:
        net.third.weight.data[:, [2, 5]] = 0  # it has no bias
    before = answers(net)
    surgery.shrink(net, layer, [2, 5])
    assert_close(answers(net), before)


def test_a_constant_that_no_bias_can_take_is_refused():
    net, layer, _ = made("heads after different activations")
    with_constants(net, net.trunk)
    before = everything(net, [])
    with pytest.raises(ValueError, match=r"no bias that could take the constants of \[2, 5\]"):
        surgery.shrink(net, layer, [1, 2, 5])
    assert_unchanged(net, [], before)


def test_a_head_that_is_called_twice_has_one_bias_for_two_constants():
    def forward(net, x):
        h = net.trunk(x)
        return net.head(h.relu()) - 2 * net.head(h.tanh())

    net = wirings.Net(forward)
    with_constants(net, net.trunk)
    with pytest.raises(ValueError, match="the layer after them has no bias that could take"):
        surgery.shrink(net, "trunk", [2])


def test_a_constant_needs_an_activation_where_the_model_is_not_known():
    hidden, output = nn.Linear(3, 8), nn.Linear(8, 2)
    with_constants(None, hidden)
    x = torch.randn(16, 3)
    before = output(torch.sigmoid(hidden(x)))
    with pytest.raises(ValueError, match=r"activation is None; it takes .* neurons \[2, 5\] give"):
        surgery.shrink(hidden, output, 2)
    assert surgery.shrink(hidden, output, 2, activation=torch.sigmoid).tolist() == [
        0,
        1,
        3,
        4,
        6,
        7,
    ]
    assert_close(output(torch.sigmoid(hidden(x))), before)


# ----------------------------------------- properties, on layers of shapes that hypothesis makes up


SHAPES = st.fixed_dictionaries(
    {
        "inputs": st.integers(1, 5),
        "neurons": st.integers(2, 9),
        "outputs": st.integers(1, 5),
        "bias": st.booleans(),
        "seed": SEEDS,
    }
)


def layers(inputs, neurons, outputs, bias, seed):
    """Return two linear layers in float64 with random weights, the same for the same seed."""
    torch.manual_seed(seed)
    hidden = torch.nn.Linear(inputs, neurons, bias)
    output = torch.nn.Linear(neurons, outputs, bias)
    return hidden.double(), output.double()


@given(shape=SHAPES, n=st.integers(1, 6))
def test_growing_layers_leaves_the_function_unchanged(shape, n):
    """Layers with n new neurons between them compute what they did; the old weights come first."""
    hidden, output = layers(**shape)
    x = torch.randn(6, shape["inputs"], dtype=torch.float64)
    before = output(torch.tanh(hidden(x)))
    old_weight = hidden.weight.detach().clone()

    surgery.grow(hidden, [output], n)
    torch.testing.assert_close(output(torch.tanh(hidden(x))), before)
    assert torch.equal(hidden.weight[: shape["neurons"]], old_weight)
    assert len(hidden.weight) == output.weight.shape[1] == shape["neurons"] + n


@given(shape=SHAPES, data=st.data())
def test_shrinking_layers_takes_the_neurons_with_the_least_weights(shape, data):
    """The neurons that go have the least products of norms.

    What stays computes what the whole does without the outgoing weights of those that go.
    """
    hidden, output = layers(**shape)
    n = data.draw(st.integers(1, shape["neurons"] - 1))
    norms = hidden.weight.norm(dim=1) * output.weight.norm(dim=0)
    x = torch.randn(6, shape["inputs"], dtype=torch.float64)

    kept = surgery.shrink(hidden, [output], n)
    gone = [k for k in range(shape["neurons"]) if k not in kept.tolist()]
    assert len(gone) == n
    assert kept.tolist() == sorted(kept.tolist())
    assert norms[gone].max() <= norms[kept].min()

    whole_hidden, whole_output = layers(**shape)
    with torch.no_grad():
        whole_output.weight[:, gone] = 0
        expected = whole_output(torch.tanh(whole_hidden(x)))
        torch.testing.assert_close(output(torch.tanh(hidden(x))), expected)

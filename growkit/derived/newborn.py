"""What Adam should know of new neurons, by five rules on six tasks: `data/newborn.csv`.

Plain torch networks with one hidden layer grow in mid-training, and go on by each rule from the
same moment with the same new neurons and the same mini-batches. `growkit.surgery.grow` follows the
rule "short count". Open this module to see how the rules were compared. It trains all that it needs
and reads no study.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch

import growlib
from growkit import statistics, studies  # noqa: F401, importing studies adds the tables to the tasks

# What happens to Adam's averages and to its count of steps when neurons are added.
RULES = {
    "zero": "averages of 0 for new weights, the count goes on",
    "own count": "averages of 0 for new weights, which count their own steps from 0",
    "median": "squares at the median over the old neurons, the count goes on",
    "reset": "all averages and the count of the whole network are 0, as in a new optimizer",
    "short count": "averages of 0 for new weights, the count goes back to 20",
}
OF_GROW = "short count"

CASES = {
    "bessel-sum": {},
    "square-wave": {},
    "diabetes": {},
    "breast-cancer": {},
    "mnist-1d": {},
    "spirals": {"points": 1000},
}
RATES = (1e-3, 1e-2)  # learning rates
NETWORKS = 100  # of each task, learning rate and rule

OLD, NEW = 8, 8  # neurons
STEPS = 1000  # before and after growing
MOST = 800  # points to train on; mnist-1d has more
BATCH = 64  # points of a mini-batch, where there are more to train on
SHORT = 20  # steps, what the short count goes back to
JUMP = 1.1  # a training loss that rises by this factor within WATCHED steps is a jump
WATCHED = 50
EARLY = 100  # steps after growing, of the early loss and of the longest step

BETAS = (0.9, 0.999)  # those of torch
EPS = 1e-8
DIMS = (1, 1, 2)  # where the neurons lie in hidden weights, hidden biases and output weights


class Data(NamedTuple):
    """The points of T data sets."""

    x: torch.Tensor  # (T, points, inputs)
    y: torch.Tensor  # (T, points)
    loss: str


class Weights(NamedTuple):
    """Weights of one kind in T networks, and what Adam keeps of them."""

    values: torch.Tensor  # (T, ...)
    means: torch.Tensor  # average gradients, (T, ...)
    squares: torch.Tensor  # average squares of gradients, (T, ...)
    counts: torch.Tensor  # of steps, (T, ...)


# A network is a list of four Weights: hidden weights and biases, output weights and biases.


# ----------------------------------------------------------------------------------------- training


def losses(values: Sequence[torch.Tensor], data: Data) -> torch.Tensor:
    """Return the task losses of T networks with weights of these `values` on their `data`, (T,)."""
    hidden, hidden_bias, output, output_bias = values
    neurons = torch.relu(torch.baddbmm(hidden_bias[:, None], data.x, hidden.mT))
    outputs = torch.baddbmm(output_bias[:, None], neurons, output.mT)  # (T, points, outputs)
    return growlib.task_loss(outputs.permute(2, 1, 0), data.y.T, data.loss)


def step(network: Sequence[Weights], data: Data, lr: torch.Tensor) -> list[Weights]:
    """Return T networks after a step of Adam.

    Parameters
    ----------
    network : sequence of Weights
        The networks before it.
    data : Data
        The points of the step.
    lr : Tensor
        Learning rates, (T,).
    """
    values = [weights.values.detach().requires_grad_() for weights in network]
    gradients = torch.autograd.grad(losses(values, data).sum(), values)
    after = []
    for weights, gradient in zip(network, gradients, strict=True):
        counts = weights.counts + 1
        means = torch.lerp(weights.means, gradient, 1 - BETAS[0])
        squares = torch.lerp(weights.squares, gradient**2, 1 - BETAS[1])
        scale = (squares / (1 - BETAS[1] ** counts)).sqrt() + EPS
        moved = _like(lr, means) * means / (1 - BETAS[0] ** counts) / scale
        after.append(Weights(weights.values.detach() - moved, means, squares, counts))
    return after


def _like(numbers, tensor):
    """Numbers, (T,), with as many axes as the tensor."""
    return numbers.view(-1, *[1] * (tensor.ndim - 1))


def grown(network: Sequence[Weights], newborn: Sequence[torch.Tensor], rule: str) -> list[Weights]:
    """Return T networks with more neurons.

    Parameters
    ----------
    network : sequence of Weights
        The networks before they grow.
    newborn : sequence of Tensor
        Hidden weights, hidden biases and output weights of the new neurons, (T, ...) each.
    rule : str
        One of `RULES`.
    """
    after = list(network)
    for k, dim in enumerate(DIMS):
        weights = network[k]
        if rule == "short count":
            weights = _with_short_count(weights)
        nothing = torch.zeros_like(newborn[k])
        squares = nothing
        if rule == "median":
            squares = nothing + weights.squares.median(dim, keepdim=True).values
        counts = nothing
        if rule != "own count":
            counts = counts + weights.counts.max()
        added = Weights(newborn[k], nothing, squares, counts)
        after[k] = Weights(*(torch.cat(each, dim) for each in zip(weights, added, strict=True)))

    if rule == "reset":
        after = [
            Weights(weights.values, *(torch.zeros_like(each) for each in weights[1:]))
            for weights in after
        ]
    return after


def _with_short_count(weights):
    """Weights whose count goes back to SHORT, and whose corrected averages are the same."""
    ratios = [(1 - beta**SHORT) / (1 - beta**weights.counts) for beta in BETAS]
    return Weights(
        weights.values,
        weights.means * ratios[0],
        weights.squares * ratios[1],
        torch.full_like(weights.counts, SHORT),
    )


# ------------------------------------------------------------------------------------------ a case


def trained(case: str, networks: int = NETWORKS, seed: int = 0) -> pd.DataFrame:
    """Return how networks fare that grow in mid-training, by every rule at every learning rate.

    Parameters
    ----------
    case : str
        One of `CASES`, a task.
    networks : int
        How many networks, with data, weights and mini-batches of their own.
    seed : int
        Determines them, together with the number of a network.

    Returns
    -------
    DataFrame
        A row for each learning rate, rule (`arm`) and network (`trial`): `longest`, the longest
        step of a new weight in the first 100 steps after growing, in learning rates; `jumps`,
        whether the training loss rose by a tenth within 50 steps; the training loss after 100 and
        1000 steps, `early_loss` and `final_loss`; and `test_loss` after 1000.
    """
    task = growlib.task(case, **CASES[case])
    training, testing = _data(task, networks, seed)
    first, newborn = _first_weights(task, networks, seed)
    batches = _batches(training, networks, seed)

    # The networks of all learning rates, and then of all rules, train side by side.
    network = _joined([first] * len(RATES))
    newborn = [values.repeat(len(RATES), *[1] * (values.ndim - 1)) for values in newborn]
    lr = torch.tensor(RATES).repeat_interleave(networks)
    for batch in batches[:STEPS]:
        network = step(network, _batch(training, batch, len(RATES)), lr)

    network = _joined([grown(network, newborn, rule) for rule in RULES])
    lr = lr.repeat(len(RULES))
    measured = _followed(network, training, testing, batches[STEPS:], lr)
    rows = pd.DataFrame({name: values.numpy() for name, values in measured.items()})
    rows.insert(0, "case", case)
    rows.insert(1, "lr", np.tile(np.repeat(RATES, networks), len(RULES)))
    rows.insert(2, "arm", np.repeat(list(RULES), len(RATES) * networks))
    rows.insert(3, "trial", rows.index % networks)
    rows.insert(4, "diverged", ~np.isfinite(rows["final_loss"]))
    return rows


def _joined(several):
    """Several lists of networks as one."""
    joined = []
    for weights in zip(*several, strict=True):
        joined.append(Weights(*map(torch.cat, zip(*weights, strict=True))))
    return joined


def _data(task, networks, seed):
    """The training and the test points of the networks; the training points come first."""
    x, y = task.draw(seed, networks)
    x = torch.tensor(x, dtype=torch.float32).permute(2, 1, 0)  # (T, points, inputs)
    y = torch.tensor(y, dtype=torch.float32).T  # (T, points)
    train = min(task.train_points, MOST)
    test = task.train_points
    return (
        Data(x[:, :train].contiguous(), y[:, :train].contiguous(), task.loss),
        Data(x[:, test:].contiguous(), y[:, test:].contiguous(), task.loss),
    )


def _first_weights(task, networks, seed):
    """The first networks and the weights of the new neurons, drawn as torch.nn.Linear draws."""
    drawn = []
    for trial in range(networks):
        generator = growlib.random_stream(seed, trial, "weights")
        drawn.append(
            [
                _uniform(generator, task.inputs, OLD, task.inputs),
                _uniform(generator, task.inputs, OLD),
                _uniform(generator, OLD, task.outputs, OLD),
                _uniform(generator, OLD, task.outputs),
                _uniform(generator, task.inputs, NEW, task.inputs),
                _uniform(generator, task.inputs, NEW),
            ]
        )
    *first, hidden, hidden_bias = (torch.stack(each) for each in zip(*drawn, strict=True))
    network = []
    for values in first:
        nothing = torch.zeros_like(values)
        network.append(Weights(values, nothing, nothing, nothing))
    return network, [hidden, hidden_bias, torch.zeros(networks, task.outputs, NEW)]


def _uniform(generator, inputs, *shape):
    bound = inputs**-0.5
    return torch.tensor(generator.uniform(-bound, bound, shape), dtype=torch.float32)


def _batches(training, networks, seed):
    """The places of the points of each step, (steps, T, points of a batch), or None for all."""
    points = training.y.shape[1]
    if points <= BATCH:
        return [None] * (2 * STEPS)
    drawn = []
    for trial in range(networks):
        generator = growlib.random_stream(seed, trial, "noise")
        drawn.append(generator.integers(0, points, (2 * STEPS, BATCH)))
    return torch.tensor(np.stack(drawn, axis=1))


def _batch(data, places, times):
    """The data at these places, (T, points), so many times one below the other."""
    x, y = data.x, data.y
    if places is not None:
        trials = torch.arange(len(places))[:, None]
        x, y = x[trials, places], y[trials, places]
    return Data(x.repeat(times, 1, 1), y.repeat(times, 1), data.loss)


def _followed(network, training, testing, batches, lr):
    """What is measured of grown networks in the steps that follow, (T,) each."""
    times = len(RATES) * len(RULES)
    all_points = _batch(training, None, times)
    begins = _loss(network, all_points)
    highest = begins
    longest = torch.zeros_like(begins)
    for number, batch in enumerate(batches, 1):
        before = network
        network = step(network, _batch(training, batch, times), lr)
        if number <= EARLY:
            longest = torch.maximum(longest, _longest_move(before, network) / lr)
        if number <= WATCHED:
            highest = torch.maximum(highest, _loss(network, all_points))
        if number == EARLY:
            early = _loss(network, all_points)
    return {
        "longest": longest,
        "jumps": (highest > JUMP * begins).float(),
        "early_loss": early,
        "final_loss": _loss(network, all_points),
        "test_loss": _loss(network, _batch(testing, None, times)),
    }


def _loss(network, data):
    return losses([weights.values for weights in network], data)


def _longest_move(before, after):
    """The longest way of a weight of the new neurons between two states, (T,)."""
    moves = []
    for k, dim in enumerate(DIMS):
        moved = (after[k].values - before[k].values).abs()
        moves.append(moved.narrow(dim, OLD, NEW).flatten(1).amax(1))
    return torch.stack(moves).amax(0)


# ---------------------------------------------------------------------------------------- the table


def compared(rows: pd.DataFrame) -> pd.DataFrame:
    """Return what the rules come to, with intervals.

    Parameters
    ----------
    rows : DataFrame
        What `trained` returned, for one case or several.

    Returns
    -------
    DataFrame
        A row per case, learning rate, rule, value and measure. For `longest` these are the median
        and the largest, in learning rates; for `jumps` the fraction of networks; for the losses the
        ratio of medians, the rule over that of `grow`, so that above 1 the rule is worse. `low` and
        `high` are its 95 % interval over networks: BCa for ratios, otherwise percentiles; none
        below ten networks.
    """
    found = []
    for (case, lr), of_case in rows.groupby(["case", "lr"], sort=False):
        for rule, of_rule in of_case.groupby("arm", sort=False):
            about = {"case": case, "lr": lr, "rule": rule, "networks": len(of_rule)}
            found += [about | measure for measure in _of_rule(of_rule)]
            if rule != OF_GROW:
                found += [about | measure for measure in _over_grow(of_case, rule)]
    return pd.DataFrame(found)


def _of_rule(rows):
    """The steps and the jumps of the networks of a rule."""
    longest, jumps = rows["longest"].to_numpy(), rows["jumps"].to_numpy()

    def statistic(places):
        return {"median": np.median(longest[places]), "fraction": jumps[places].mean()}

    over = statistics.over_trials(statistic, len(rows))
    return [
        {"value": "longest", "measure": "median", **over.loc["median"]},
        {"value": "longest", "measure": "largest", "estimate": longest.max()},
        {"value": "jumps", "measure": "fraction", **over.loc["fraction"]},
    ]


def _over_grow(rows, rule):
    """The losses of a rule over those of the rule of `grow`."""
    found = []
    for value in ("early_loss", "final_loss", "test_loss"):
        ratio = statistics.compare(
            rows, value, OF_GROW, by=["case"], arm=rule, measures=["ratio of medians"]
        ).iloc[0]
        found.append({"value": value, **ratio[["measure", "estimate", "low", "high"]]})
    return found


def compute(
    networks: int = NETWORKS, cases: Sequence[str] = tuple(CASES), seed: int = 0
) -> pd.DataFrame:
    """Return what the rules come to in all `cases`, the table `data/newborn.csv`.

    `networks` is the number of networks of each case, learning rate and rule, and `seed` determines
    them.
    """
    rows = [trained(case, networks, seed) for case in cases]
    return compared(pd.concat(rows, ignore_index=True))

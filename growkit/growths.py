"""Growths with events: other ways to get a network of a certain size than the two methods.

    Scheduled       neurons join at fixed epochs, with the weights that a rule of
                    `growkit.rules` gives them; without any to join, a static network
    Pruned          a larger network is trained and then pruned
    AdaptiveWidth   neurons count the less the later they come, and how much less is learned
    Gradual         the auxiliary weight, with first weights scaled as here
    OtherStart      a static network with other first weights
    BestStart       a static network with the best of several first weights

Importing this module adds them to `growlib.METHODS`, so that studies know them by name. Each is a
growth of growlib. `growlib.Growth.events` describes what is done to the networks at certain epochs.
All but `AdaptiveWidth` have growlib's gates, so that the compiled loops train them.
"""

import functools
import math
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from growkit import rules
from growlib import (
    METHODS,
    AuxiliaryWeight,
    State,
    _choice,
    _first_state,
    _number,
    _prune,
    _require,
    _whole,
    unpack,
)

# Draw d of trial k has the first weights of trial k + d · 10⁹, which no study has.
NEXT_DRAW = 10**9

NEWBORN = ("zero", "median", "reset")  # what the optimizer remembers of newborn neurons
_OPTION = {"metadata": {"control": True}}  # left out of a growth's values while it is the default


# ------------------------------------------------------------------------------ growing by schedule


@dataclass(frozen=True, repr=False)
class Gradual(AuxiliaryWeight):
    """The auxiliary weight with a choice of how first weights are scaled.

    They are uniform on ±fan_in**fan_in_power: with 0 as in the paper, with -0.5 so that neurons of
    many inputs do not start saturated. All growths of this module have the field.
    """

    fan_in_power: float = field(default=0.0, **_OPTION)


@dataclass(frozen=True, repr=False)
class Stepwise(Gradual):
    """A size that is a whole number of neurons, which only events change, and is no input."""

    coupling: float = 0.0
    frozen: bool = True
    mask: str = field(default="steps", **_OPTION)
    feeds: float = field(default=0.0, **_OPTION)


@dataclass(frozen=True, repr=False)
class Scheduled(Stepwise):
    """Growth by a schedule: the size is a number of neurons, and rises at fixed epochs.

    A rule of `growkit.rules` gives newborn neurons their weights. Without neurons to join, where
    the start is the target, the network is static. The size is no input of the neurons.

    Parameters
    ----------
    rule : str
        One of `rules.RULES`, or "module:function" for a rule of your own.
    each : int
        How many neurons join at a time.
    until : float
        The share of the training, from 0 to below 1, after which the last neurons join. The times
        are evenly spaced; with 0 all neurons join before the first step.
    newborn : {"zero", "median", "reset"}
        What Adam remembers of newborn neurons: nothing, or as mean square the median of the old
        neurons; with "reset" it forgets all weights and steps.

    Raises
    ------
    ValueError
        If a field is out of range, and by `fit` if the schedule needs more epochs than there are,
        or trials differ in their start or target.
    """

    start: float = 1.0

    rule: str = "random"
    each: int = 1
    until: float = 0.5
    newborn: str = field(default="zero", **_OPTION)

    def __post_init__(self):
        super().__post_init__()
        _whole("each", self.each)
        until = _number("until", self.until).item()
        _require(until < 1, "until", self.until, "a share of the training below 1")
        _choice("newborn", self.newborn, NEWBORN)
        rules.find(self.rule)

    def arm(self):
        """Return "static" if no neurons join, otherwise "growing"."""
        arm = np.where(np.asarray(self.start) == np.asarray(self.target), "static", "growing")
        return str(arm) if arm.ndim == 0 else arm

    def joining(self, epochs) -> dict[int, int]:
        """Return how many neurons join after which epoch of a training, {epoch: neurons}."""
        ends = {name: np.unique(getattr(self, name)) for name in ("start", "target")}
        for name, values in ends.items():
            whole = len(values) == 1 and values[0] == int(values[0])
            _require(whole, name, getattr(self, name), "one whole number of neurons for all trials")
        missing = int(ends["target"][0] - ends["start"][0])
        if missing <= 0:
            return {}
        if self.until == 0:
            return {0: missing}
        times = math.ceil(missing / self.each)
        takes = f"a share of the {epochs} epochs that ends before them and has at least {times}"
        in_time = self.until * epochs >= times and round(self.until * epochs) < epochs
        _require(in_time, "until", self.until, takes)
        counts = [self.each] * (times - 1) + [missing - self.each * (times - 1)]
        after = [round(self.until * epochs * k / times) for k in range(1, times + 1)]
        return dict(zip(after, counts, strict=True))

    def events(self, settings):
        """Return the births of neurons, beside the events of the parent."""
        takes = "one hidden layer, which neurons can join"
        _require(len(settings.widths) == 1, "width", settings.widths, takes)
        if self.newborn == "median":  # old neurons have counted more steps than newborn ones
            takes = "network, since the median is that of old neurons"
            _require(settings.counts == "network", "counts", settings.counts, takes)
        births = {}
        for epoch, count in self.joining(settings.epochs[-1]).items():
            births[epoch] = functools.partial(self._birth, epoch=epoch, count=count)
        return births | super().events(settings)

    def _birth(self, state, block, epoch, count) -> State:
        """Return the state after neurons have joined."""
        # A network that diverged has lost its size, but what rules compute must be numbers.
        start = torch.tensor(block.settings.of_trials(self.start, block.places))
        size = torch.where(torch.isfinite(state.theta[0]), state.theta[0], start)
        state = state._replace(theta=torch.cat([size[None], state.theta[1:]]))
        site = _site(state, block, epoch, count, self.fan_in_power)
        born = rules.find(self.rule)(site, count)
        grows = born.grows
        if grows is None:
            grows = torch.ones(len(site.x), dtype=torch.bool)
        state = _with_newborn(state, block, born, grows, count)
        state = _with_moments(state, block, site, grows, count, self.newborn)
        return state._replace(spent=state.spent + born.operations)


def _site(state, block, epoch, count, fan_in_power):
    """Return what a rule sees of a block."""
    points = block.task.train_points
    theta = torch.nan_to_num(state.theta, 0.0, 0.0, 0.0).clamp(-1e6, 1e6)
    size, (hidden, output) = unpack(theta, block.shapes)
    incoming = torch.cat([hidden[:1], hidden[2:]]).permute(2, 0, 1)  # without those from the size
    outgoing = output[1:].permute(2, 0, 1)
    x = block.x[:, :points].double().permute(2, 1, 0)
    width = incoming.shape[2]
    places = _places(size, count, width)  # (T, k)
    return rules.Site(
        x=torch.cat([torch.ones_like(x[:, :, :1]), x], 2),
        y=block.y[:points].double().T,
        loss=block.task.loss,
        incoming=incoming,
        outgoing=outgoing,
        biases=output[0].T,
        open=torch.arange(width) < size[:, None],
        first_incoming=incoming.take_along_dim(places[:, None], 2),
        first_outgoing=outgoing.take_along_dim(places[..., None], 1),
        spread=(1 + block.task.inputs) ** fan_in_power,
        generators=block.generators(epoch),
    )


def _places(size, count, width):
    """Return the places of the next neurons of each network, (T, k)."""
    return (size.long()[:, None] + torch.arange(count)).clamp(max=width - 1)


def _with_newborn(state, block, born, grows, count):
    """Return the state with the weights that a rule gave, in the networks that grow."""
    theta = state.theta.clone()
    size, (hidden, output) = unpack(theta, block.shapes)  # views of theta
    width = hidden.shape[1]
    old = (torch.arange(width)[:, None] < size) & grows  # (H, T)
    if born.old_incoming is not None:
        changed = born.old_incoming.permute(1, 2, 0)  # (1 + I, H, T)
        hidden[:1] = torch.where(old, changed[:1], hidden[:1])
        hidden[2:] = torch.where(old, changed[1:], hidden[2:])
    if born.old_outgoing is not None:
        output[1:] = torch.where(old[:, None], born.old_outgoing.permute(1, 2, 0), output[1:])
    networks = torch.arange(len(size))[grows]
    places = _places(size, count, width)[grows]
    for k in range(count):
        hidden[0, places[:, k], networks] = born.incoming[grows, 0, k]
        hidden[2:, places[:, k], networks] = born.incoming[grows, 1:, k].T
        output[1 + places[:, k], :, networks] = born.outgoing[grows, k]
    theta[0] = size + count * grows
    return state._replace(theta=theta)


def _with_moments(state, block, site, grows, count, newborn):
    """Return the state with what the optimizer is to remember of newborn neurons."""
    width = site.open.shape[1]
    places = _places(site.open.sum(1), count, width)
    is_new = torch.zeros(width, len(grows), dtype=torch.bool)
    is_new.scatter_(0, places.T, True)
    is_new &= grows
    mean, square = state.mean.clone(), state.square.clone()
    decay, own = state.decay, state.own
    if newborn == "reset":
        mean[:, grows] = 0
        square[:, grows] = 0
        decay = torch.where(grows, 1.0, decay)
        own = torch.where(grows, 1.0, own)
    else:
        for moments in (mean, square):
            _, (hidden, output) = unpack(moments, block.shapes)  # views
            for layer, new in ((hidden, is_new[None]), (output[1:], is_new[:, None])):
                value = torch.zeros((), dtype=layer.dtype)
                if newborn == "median" and moments is square:
                    neurons = 1 if layer is hidden else 0
                    is_open = site.open.T if neurons else site.open.T[:, None]
                    value = torch.where(is_open, layer, math.nan).nanmedian(neurons, True).values
                    value = value.nan_to_num(0.0)
                layer[:] = torch.where(new, value, layer)
        if newborn == "zero":
            own = torch.where(is_new, 1.0, own)
    return state._replace(mean=mean, square=square, decay=decay, own=own)


# ------------------------------------------------------------------------------ pruning, adaptive


@dataclass(frozen=True, repr=False)
class Pruned(Stepwise):
    """A larger network that is pruned from its start to its target, in one or several steps.

    Of the neurons those with the least product of the norms of their incoming and outgoing weights
    go. What they give on average is added to the biases of the outputs.

    Parameters
    ----------
    at : float
        The share of the training after which neurons go first.
    times : int
        In how many equal steps; they are as far apart as the last one is from the middle between
        `at` and the end.
    """

    start: float = 10.0

    at: float = 0.5
    times: int = 1

    def __post_init__(self):
        super().__post_init__()
        at = _number("at", self.at).item()
        _require(0 < at < 1, "at", self.at, "a share of the training between 0 and 1")
        _whole("times", self.times)

    def leaving(self, epochs) -> list[int]:
        """Return the epochs of a training after which neurons go."""
        last = self.at + (1 - self.at) / 2 * (self.times > 1)
        after = [round(share * epochs) for share in np.linspace(self.at, last, self.times)]
        fine = len(set(after)) == self.times and after[0] > 0 and after[-1] < epochs
        takes = f"a share of the {epochs} epochs that leaves an epoch for each pruning"
        _require(fine, "at", self.at, takes)
        return after

    def events(self, settings):
        """Return the prunings, beside the events of the parent."""
        found = {}
        for left, epoch in enumerate(reversed(self.leaving(settings.epochs[-1])), start=1):
            found[epoch] = functools.partial(self._cut, left=left)
        return found | super().events(settings)

    def _cut(self, state, block, left) -> State:
        """Return the state with fewer neurons, whose mean output the biases take over."""
        pruned = _prune(state, block, left)
        before = pruned.theta[0].clone()
        points = block.task.train_points
        x = block.x[:, :points].double()
        _, (hidden, output) = unpack(pruned.theta, block.shapes)
        z = hidden[0, :, None] + torch.einsum("iht,ipt->hpt", hidden[2:], x)
        mean = torch.tanh(z).mean(1)  # (H, T)
        places = torch.arange(len(mean))[:, None]
        goes = (places >= before) & (places < state.theta[0])
        output[0] += torch.einsum("ht,hot->ot", mean * goes, output[1:])
        operations = points * hidden.shape[1] * (3 + 2 * block.task.inputs)
        return pruned._replace(spent=pruned.spent + operations)


@dataclass(frozen=True, repr=False)
class AdaptiveWidth(Gradual):
    """A network whose neurons count the less the later they come, by a rate ν that is learned.

    This is the auxiliary weight with the mask "exponential": the size is ν, from which the number
    of neurons follows, and the size loss is λ(ν - target)². Source: Errica et al. 2026, where ν is
    the softplus of what is trained, and all weights have a prior; here neither.
    """

    start: float = 0.3
    target: float = 0.05
    coupling: float = 0.0
    mask: str = field(default="exponential", **_OPTION)
    feeds: float = field(default=0.0, **_OPTION)


# ------------------------------------------------------------------------------ other first weights


@dataclass(frozen=True, repr=False)
class OtherStart(Gradual):
    """The auxiliary weight with one of several first weights of a trial, on the same data.

    `draw` counts them; 0 is the trial's own. Several trainings that differ in it are what a
    person does who trains anew and keeps the best.
    """

    draw: int = field(default=0, metadata={"control": True})

    def __post_init__(self):
        super().__post_init__()
        _whole("draw", self.draw, 0)

    def events(self, settings):
        """Return the exchange of the first weights at epoch 0, beside the events of the parent."""

        def exchange(state, block):
            return state._replace(theta=_drawn(block, self.draw))

        return {0: exchange} | super().events(settings)


def _drawn(block, draw):
    """Return the first networks of a block as they are drawn, from the draw of this number."""
    settings = block.settings
    settings = replace(settings, trials=settings.trials + draw * NEXT_DRAW)
    return _first_state(replace(block, settings=settings)).theta


@dataclass(frozen=True, repr=False)
class BestStart(Gradual):
    """The auxiliary weight with the most promising of several draws of the first weights.

    Before the training, `draws` networks are drawn for each trial, the trial's own among them. The
    one is taken whose neurons give the least squared error on the training points if the output
    layer is fitted by least squares. It keeps the output weights that it was drawn with. This is
    the static opponent of a method that picks new neurons from a pool of candidates.
    """

    draws: int = field(default=8, metadata={"control": True})

    def __post_init__(self):
        super().__post_init__()
        _whole("draws", self.draws)

    def events(self, settings):
        """Return the choice of the first weights at epoch 0, beside the events of the parent."""
        takes = "1, since the candidates have one hidden layer"
        _require(len(settings.widths) == 1 or self.draws == 1, "draws", self.draws, takes)
        return {0: self._choose} | super().events(settings)

    def _choose(self, state, block) -> State:
        """Return the state with the best candidate of each network."""
        best = state.theta
        least = _error_of_best_outputs(best, block)
        for draw in range(1, self.draws):
            theta = _drawn(block, draw)
            error = _error_of_best_outputs(theta, block)
            best = torch.where(error < least, theta, best)
            least = torch.minimum(error, least)
        spent = state.spent + self.draws * _operations(block)
        return state._replace(theta=best, spent=spent)


def _error_of_best_outputs(theta, block):
    """Return the mean squared error on the training points with a least-squares output layer, (T,).

    Classes are answered by −1 and 1: yes or no, or one such answer for each of several classes.
    """
    points = block.task.train_points
    y = block.y[:points].double()
    if block.task.loss == "squared":
        answers = y[..., None]  # (P, T, O)
    elif block.task.loss == "logistic":
        answers = 2 * y[..., None] - 1
    else:
        classes = torch.arange(block.task.outputs)
        answers = 2 * (y[..., None] == classes).double() - 1
    answers = answers.movedim(1, 0)  # (T, P, O)
    features = _features(theta, block.x[:, :points].double(), block)
    # Features may depend on each other, as those of shut neurons do, which are 0.
    solution = torch.linalg.lstsq(features, answers, driver="gelsd").solution
    return (features @ solution - answers).square().mean((1, 2))


def _features(theta, x, block):
    """Return 1 and the outputs of the neurons at the points x (I, P, T), (T, P, 1 + H)."""
    growth = block.growth
    size, (hidden, _) = unpack(theta, block.shapes)
    signal = torch.cat([growth.feeds * size.expand(1, *x.shape[1:]), x])  # (1 + I, P, T)
    z = hidden[0, :, None] + torch.einsum("iht,ipt->hpt", hidden[1:], signal)
    neurons = growth.acts(size, hidden.shape[1])[:, None] * torch.tanh(z)  # (H, P, T)
    return torch.cat([torch.ones_like(neurons[:1]), neurons]).permute(2, 1, 0)


def _operations(block):
    """Return the operations that one candidate costs: its neurons, and their least squares."""
    points = block.task.train_points
    (rows, width), (features, _) = block.shapes
    neurons = 2 * points * rows * width
    least_squares = 4 * points * features**2  # a singular value decomposition, to leading order
    return neurons + least_squares


for _method in (Gradual, Scheduled, Pruned, AdaptiveWidth, OtherStart, BestStart):
    METHODS[_method.__name__] = _method

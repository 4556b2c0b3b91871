"""Other ways to get a network of a certain size than growing it, as growths.

Importing this module adds them to `growlib.METHODS`, so that studies know them by name. Each is a
growth of growlib that also has events: what is done to the networks at certain epochs, as
`growlib.Growth.events` describes it. The gates are growlib's, so the compiled loops train it.
"""

from dataclasses import dataclass, field, replace

import torch

from growlib import METHODS, AuxiliaryWeight, State, _first_state, _require, _whole, unpack

# Draw d of trial k has the first weights of trial k + d · 10⁹, which no study has.
NEXT_DRAW = 10**9


@dataclass(frozen=True, repr=False)
class OtherStart(AuxiliaryWeight):
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
class BestStart(AuxiliaryWeight):
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


METHODS["OtherStart"] = OtherStart
METHODS["BestStart"] = BestStart

"""Other people's rules for newborn neurons: which weights a neuron has when it joins a network.

A rule is a function `rule(site, count)`. The `Site` holds networks and their training points at the
moment when `count` neurons are to join each of them. The rule returns the newborn neurons' weights
as a `Born`, with the operations that finding them cost, to leading order.
`growkit.growths.Scheduled` calls it at fixed epochs. Open this module to see what a rule does, or
as a pattern for one of your own.

    T networks, P points, I inputs, O outputs, H neurons that exist, k newborn neurons
    x         (T, P, 1 + I)  1 and the inputs
    incoming  (T, 1 + I, H)  biases, and weights from the inputs
    outgoing  (T, H, O)

The network's axis comes first, as torch's linear algebra wants it. All numbers are float64. What a
rule does to one network must not depend on the others. The rules stand below in this order: those
that draw, that copy, that follow the gradient, and that choose or train candidates. Each names its
source; the equations were taken from there, the code was not.
"""

import importlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch

from growlib import _require, task_loss

NOISE_OF_COPIES = 0.01  # of a copied neuron, in standard deviations of the incoming weights
SHARE_OF_COPY = 0.4  # of the outgoing weights; with one half, both neurons would stay alike
LENGTH_OF_GRADMAX = 0.5  # of the outgoing weights, in mean lengths of those of the old neurons
SCALES_OF_TINY = (0.0, 0.1, 0.5, 1.0)  # which are tried on the training points
LEAST_OF_TINY = 1e-3  # singular values below this, relative to the largest one, count as 0
STEP_OF_SPLITTING = 0.1  # in weight space, to either side
CANDIDATES = 64  # neurons that are drawn so that the best can be chosen
TRAINED_CANDIDATES = 8  # neurons of which each is trained before one is chosen
STEPS = 100  # of Adam, for what is trained before it joins
RATE_OF_STEPS = 0.05
SHARE_OF_CASCADE = 0.4  # of its trained outgoing weight, with which a candidate is installed
LEAST_OF_NORTH = 0.01  # singular values of the neurons' outputs below this are none of their own
INDEPENDENT_OF_NORTH = 0.9  # share of the neurons that must be independent before others join


@dataclass(frozen=True)
class Site:
    """Networks with one hidden layer and their training points, when neurons are to join."""

    x: torch.Tensor  # (T, P, 1 + I), 1 and the inputs
    y: torch.Tensor  # (T, P), the numbers or classes to predict
    loss: str  # one of growlib.LOSSES
    incoming: torch.Tensor  # (T, 1 + I, H)
    outgoing: torch.Tensor  # (T, H, O)
    biases: torch.Tensor  # (T, O), of the outputs
    open: torch.Tensor  # (T, H), whether a neuron takes part yet
    first_incoming: torch.Tensor  # (T, 1 + I, k), what a static network has there at the start
    first_outgoing: torch.Tensor  # (T, k, O)
    spread: float  # first incoming weights are uniform on ± this
    generators: list[np.random.Generator]  # one for each network

    @cached_property
    def neurons(self) -> torch.Tensor:
        """The outputs of the neurons, (T, P, H); 0 for those that do not take part."""
        return torch.tanh(self.x @ self.incoming) * self.open[:, None]

    @cached_property
    def answers(self) -> torch.Tensor:
        """The outputs of the networks, (T, P, O)."""
        return self.biases[:, None] + self.neurons @ self.outgoing

    @cached_property
    def error(self) -> torch.Tensor:
        """What the answers lack, (T, P, O): y - ŷ; for classes, with probabilities as ŷ."""
        return self.error_of(self.answers)

    @property
    def pull(self) -> torch.Tensor:
        """Minus the gradient of the summed loss by the answers, (T, P, O)."""
        return (2 if self.loss == "squared" else 1) * self.error

    def error_of(self, answers) -> torch.Tensor:
        """Return what any answers (T, P, O) lack, as `error` does."""
        if self.loss == "squared":
            return self.y[..., None] - answers
        if self.loss == "logistic":
            return self.y[..., None] - torch.sigmoid(answers)
        classes = torch.arange(answers.shape[2])
        return (self.y[..., None] == classes).double() - torch.softmax(answers, 2)

    def losses(self, answers) -> torch.Tensor:
        """Return the mean loss of any answers (T, P, O) over the points, (T,)."""
        return task_loss(answers.permute(2, 1, 0), self.y.T, self.loss)

    @cached_property
    def _basis(self):
        """Orthonormal columns that span 1 and the neurons' outputs, (T, P, 1 + H)."""
        columns = torch.cat([torch.ones_like(self.x[:, :, :1]), self.neurons], 2)
        basis, lengths, _ = torch.linalg.svd(columns, full_matrices=False)
        return basis * (lengths > 1e-9 * lengths[:, :1])[:, None]

    def beyond(self, values) -> torch.Tensor:
        """Return the part of values (T, P, n) that no change of the output layer can give."""
        return values - self._basis @ (self._basis.mT @ values)

    def uniform(self, count) -> torch.Tensor:
        """Return incoming weights of `count` neurons, drawn as first weights are, (T, 1 + I, n)."""
        shape = (self.x.shape[2], count)
        return self.spread * self._drawn(lambda generator: generator.uniform(-1, 1, shape))

    def normal(self, *shape) -> torch.Tensor:
        """Return standard normal numbers, (T, *shape)."""
        return self._drawn(lambda generator: generator.standard_normal(shape))

    def _drawn(self, draw):
        return torch.from_numpy(np.stack([draw(generator) for generator in self.generators]))

    @property
    def points(self) -> int:
        """The number of training points, P."""
        return self.x.shape[1]

    @property
    def inputs(self) -> int:
        """The number of inputs, I."""
        return self.x.shape[2] - 1

    @property
    def outputs(self) -> int:
        """The number of outputs, O."""
        return self.biases.shape[1]

    @property
    def old(self) -> torch.Tensor:
        """How many neurons take part, (T,)."""
        return self.open.sum(1).double()

    @property
    def looking(self) -> torch.Tensor:
        """The operations of computing the answers and what they lack, (T,)."""
        return self.points * self.old * (3 + 2 * self.inputs + 2 * self.outputs)

    @property
    def projecting(self) -> torch.Tensor:
        """The operations of the decomposition behind `beyond`, to leading order, (T,)."""
        return 4 * self.points * (1 + self.old) ** 2


class Born(NamedTuple):
    """The newborn neurons of every network, and what else has changed."""

    incoming: torch.Tensor  # (T, 1 + I, k)
    outgoing: torch.Tensor  # (T, k, O)
    operations: torch.Tensor | float  # (T,), or one number for all
    old_incoming: torch.Tensor | None = None  # (T, 1 + I, H), if the old neurons have changed
    old_outgoing: torch.Tensor | None = None  # (T, H, O)
    grows: torch.Tensor | None = None  # (T,), which networks grow, if not all of them do


def find(name: str) -> Callable[[Site, int], Born]:
    """Return the rule of that name: one of `RULES`, or "module:function" for one of your own.

    Raises ValueError if there is no such rule.
    """
    if ":" not in str(name):
        takes = f"one of {', '.join(RULES)}, or module:function for a rule of your own"
        _require(isinstance(name, str) and name in RULES, "rule", name, takes)
        return RULES[name]
    module, function = name.split(":", 1)
    try:
        found = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError) as error:
        takes = "a module that can be imported and a function in it"
        raise ValueError(f"rule is {name!r}; it takes {takes} ({error})") from None
    _require(callable(found), "rule", name, "a function of a site and a count")
    return found


# ------------------------------------------------------------------------------------------ drawing


def as_drawn(site, count):
    """Give newborn neurons the first weights that a static network of the final size has there.

    This is the benchmark's own control: with all neurons at epoch 0 it is the static network.
    """
    return Born(site.first_incoming, site.first_outgoing, 0)


def random(site, count):
    """Give newborn neurons first weights, but outgoing weights of 0, so that no answer changes."""
    return Born(site.first_incoming, torch.zeros_like(site.first_outgoing), 0)


# ------------------------------------------------------------------------------------------ copying


def split(site, count):
    """Copy random old neurons, with a little noise, and share out their outgoing weights.

    The copy takes two fifths of them: equal shares without noise would stay twins. Sources: Chen,
    Goodfellow and Shlens 2016 (Net2Wider); Wang et al. 2024 (LEMON).
    """
    _require_old(site, count)
    order = site._drawn(lambda generator: generator.random(site.open.shape[1]))
    parents = torch.where(site.open, order, -1.0).topk(count).indices  # (T, k)
    copies = _columns(site.incoming, parents)
    noise = NOISE_OF_COPIES * _sd_of_open(site) * site.normal(*copies.shape[1:])
    theirs = _rows(site.outgoing, parents)
    old_outgoing = _with_rows(site.outgoing, parents, (1 - SHARE_OF_COPY) * theirs)
    return Born(copies + noise, SHARE_OF_COPY * theirs, 0, old_outgoing=old_outgoing)


def splitting(site, count):
    """Split the neurons along the direction in which their own copy lowers the loss fastest.

    That is the eigenvector of the least eigenvalue of Σ G·v σ″(z) x̃x̃ᵀ, where it is negative.
    Twins move to its two sides, and each takes one half of the outgoing weights. Source: Wu, Wang
    and Liu 2019.
    """
    _require_old(site, count)
    a = site.neurons
    curvature = -2 * a * (1 - a**2)  # of tanh, at every point
    weight = -(site.pull @ site.outgoing.mT) * curvature / site.points  # (T, P, H)
    matrices = torch.einsum("tph,tpi,tpj->thij", weight, site.x, site.x)
    values, vectors = torch.linalg.eigh(matrices)  # in increasing order
    least = torch.where(site.open, values[:, :, 0], math.inf)
    least, parents = (-least).topk(count)
    directions = vectors[..., 0].mT  # (T, 1 + I, H)
    aside = STEP_OF_SPLITTING * _columns(directions, parents)
    theirs = _columns(site.incoming, parents)
    half = _rows(site.outgoing, parents) / 2
    rows = 1 + site.inputs
    operations = site.looking + site.old * (2 * site.points * rows**2 + 10 * rows**3)
    return Born(
        theirs - aside,
        half,
        operations,
        old_incoming=_with_rows(site.incoming.mT, parents, (theirs + aside).mT).mT,
        old_outgoing=_with_rows(site.outgoing, parents, half),
        grows=least.amin(1) > 0,
    )


def variance_transfer(site, count):
    """Add pairs of equal neurons with opposite outgoing weights, so that no answer changes.

    Their weights have the variances 1/I² and 1/(H + k)². Source: Yuan, Savarese and Maire 2023.
    """
    _require(count % 2 == 0, "each", count, "an even number, since neurons join in pairs")
    pairs = count // 2
    incoming = site.normal(1 + site.inputs, pairs) / site.inputs
    outgoing = site.normal(pairs, site.outputs) / (site.old + count)[:, None, None]
    return Born(torch.cat([incoming, incoming], 2), torch.cat([outgoing, -outgoing], 1), 0)


def variance_rescaled(site, count):
    """Add pairs as `variance_transfer` does, and rescale the old outgoing weights by H/(H + k).

    This keeps the variance of the answers as its authors want it, and so changes the answers.
    """
    share = site.old / (site.old + count)
    old_outgoing = share[:, None, None] * site.outgoing
    return variance_transfer(site, count)._replace(old_outgoing=old_outgoing)


def _require_old(site, count):
    """Refuse more newborn neurons than there are old ones to copy."""
    fewest = int(site.old.min())
    takes = f"at most {fewest}, the number of neurons that can be copied"
    _require(count <= fewest, "each", count, takes)


def _sd_of_open(site):
    """Return the standard deviation of the incoming weights of open neurons, (T, 1, 1)."""
    weights = site.incoming * site.open[:, None]
    number = site.old * weights.shape[1]
    mean = weights.sum((1, 2)) / number
    return (weights.square().sum((1, 2)) / number - mean**2).clamp(min=0).sqrt()[:, None, None]


def _columns(values, places):
    """Return the columns (T, n, k) of values (T, n, H) at places (T, k)."""
    return values.take_along_dim(places[:, None], 2)


def _rows(values, places):
    """Return the rows (T, k, n) of values (T, H, n) at places (T, k)."""
    return values.take_along_dim(places[..., None], 1)


def _with_rows(values, places, rows):
    """Return values (T, H, n) with other rows (T, k, n) at places (T, k)."""
    return values.scatter(1, places[..., None].expand(rows.shape), rows)


# ------------------------------------------------------------------------- following the gradient


def gradmax(site, count):
    """Let newborn neurons answer 0, with outgoing weights that make their gradient largest.

    These are the left singular vectors of Σ G x̃ᵀ. Source: Evci et al. 2022 (GradMax).
    """
    _require_rank(site, count)
    gradient = site.pull.mT @ site.x / site.points  # (T, O, 1 + I)
    directions, _, _ = torch.linalg.svd(gradient, full_matrices=False)
    lengths = (site.outgoing.norm(dim=2) * site.open).sum(1) / site.old
    outgoing = LENGTH_OF_GRADMAX * lengths[:, None, None] * directions[:, :, :count].mT
    rows = 1 + site.inputs
    smaller = min(site.outputs, rows)
    finding = 2 * site.points * site.outputs * rows + 4 * max(site.outputs, rows) * smaller**2
    return Born(torch.zeros_like(site.first_incoming), outgoing, site.looking + finding)


def tiny(site, count):
    """Take the linear neurons that lower the loss fastest beside the best output layer.

    With S = E[x̃x̃ᵀ] and N = E[x̃ r⊥ᵀ], where r⊥ is what no change of the output layer can give,
    they follow from the singular vectors u, v and values s of S^(-½) N: incoming weights
    S^(-½)u√s, and outgoing weights v√s. Of four scales the one with the least training loss is
    taken; where that is 0, the network does not grow. Source: Verbockhaven et al. 2024 (TINY).
    """
    _require_rank(site, count)
    root = _inverse_root(site.x.mT @ site.x / site.points)
    bottleneck = site.x.mT @ site.beyond(site.pull) / site.points  # N, (T, 1 + I, O)
    u, s, v = torch.linalg.svd(root @ bottleneck, full_matrices=False)
    s = torch.where(s > LEAST_OF_TINY * s[:, :1], s, 0.0)[:, None, :count]
    incoming = root @ u[:, :, :count] * s.sqrt()
    outgoing = v[:, :count] * s.sqrt().mT

    scales = torch.tensor(SCALES_OF_TINY, dtype=torch.float64)
    losses = []
    for scale in scales.sqrt():
        newborn = torch.tanh(site.x @ (scale * incoming)) @ (scale * outgoing)
        losses.append(site.losses(site.answers + newborn))
    best = scales[torch.stack(losses).argmin(0)]
    factor = best.sqrt()[:, None, None]

    rows = 1 + site.inputs
    tries = (len(scales) - 1) * site.points * count * (2 * rows + 1 + 2 * site.outputs)
    products = 2 * site.points * rows * (rows + site.outputs) + 14 * rows**3
    operations = site.looking + site.projecting + products + tries
    return Born(factor * incoming, factor * outgoing, operations, grows=best > 0)


def firefly(site, count):
    """Draw newborn neurons, and train them alone for 100 steps, with the lengths of their weights.

    Source: Wu et al. 2020 (Firefly).
    """
    incoming, outgoing = site.first_incoming.clone(), site.first_outgoing.clone()
    long_in, long_out = incoming.norm(dim=1, keepdim=True), outgoing.norm(dim=2, keepdim=True)

    def loss(incoming, outgoing):
        return site.losses(site.answers + torch.tanh(site.x @ incoming) @ outgoing)

    def hold(incoming, outgoing):
        incoming *= long_in / incoming.norm(dim=1, keepdim=True).clamp(min=1e-12)
        outgoing *= long_out / outgoing.norm(dim=2, keepdim=True).clamp(min=1e-12)

    _descend([incoming, outgoing], loss, hold)
    return Born(incoming, outgoing, site.looking + STEPS * count * _training(site))


def _require_rank(site, count):
    """Refuse more newborn neurons than the rule has directions for."""
    rank = min(site.outputs, 1 + site.inputs)
    takes = f"at most {rank}, the number of singular values"
    _require(count <= rank, "each", count, takes)


def _inverse_root(matrices):
    """Return the inverse square roots of symmetric matrices (T, n, n) on their range."""
    values, vectors = torch.linalg.eigh(matrices)
    in_range = values > 1e-9 * values[:, -1:]
    powers = torch.where(in_range, values, 1.0) ** -0.5 * in_range
    return vectors * powers[:, None] @ vectors.mT


def _training(site):
    """Return the operations of one step of training for one neuron at all points."""
    return site.points * (3 + 4 * site.inputs + 6 * site.outputs)


def _descend(weights, loss, hold=None):
    """Change tensors in place by 100 steps of Adam that lower `loss(*weights)`, (T,) or (T, n)."""
    weights_in_training = [weight.requires_grad_() for weight in weights]
    adam = torch.optim.Adam(weights_in_training, lr=RATE_OF_STEPS)
    for _ in range(STEPS):
        adam.zero_grad()
        loss(*weights_in_training).sum().backward()
        adam.step()
        if hold is not None:
            with torch.no_grad():
                hold(*weights_in_training)
    for weight in weights:
        weight.requires_grad_(False)


# --------------------------------------------------------------------------- choosing candidates


def best_candidate(site, count):
    """Of 64 drawn neurons take the one that would lower the squared error most, from outgoing 0.

    Each is judged by (eᵀa⊥)² / a⊥ᵀa⊥, where a⊥ is what the old neurons do not give: orthogonal
    least squares. Further newborn neurons are chosen after it in the same way. Sources: Mitchell,
    Menzel and Stachenfeld 2023 (SENN); Chen, Cowan and Grant 1991.
    """
    incoming, operations = _chosen(site, count)
    return Born(incoming, torch.zeros_like(site.first_outgoing), operations)


def best_candidate_fitted(site, count):
    """Take the best candidate as above, with the outgoing weight that lowers the error most.

    The weights of the old neurons stay as they are.
    """
    incoming, operations = _chosen(site, count)
    fitted = []
    error = site.error
    for k in range(count):
        a = torch.tanh(site.x @ incoming[:, :, [k]])  # (T, P, 1)
        weight = a.mT @ error / a.square().sum(1, keepdim=True).clamp(min=1e-9)  # (T, 1, O)
        fitted.append(weight)
        error = error - a @ weight
    operations = operations + count * site.points * (3 + 4 * site.outputs)
    return Born(incoming, torch.cat(fitted, 1), operations)


def _chosen(site, count):
    """Return the incoming weights of the best candidates (T, 1 + I, k), and the operations."""
    candidates = site.uniform(CANDIDATES)  # (T, 1 + I, n)
    left = site.beyond(torch.tanh(site.x @ candidates))  # (T, P, n)
    error = site.error
    incoming = []
    for _ in range(count):
        along = left.mT @ error  # (T, n, O)
        square = left.square().sum(1)  # (T, n)
        usable = square > 1e-9 * site.points
        scores = torch.where(usable, along.square().sum(2) / square, 0.0)
        best = scores.argmax(1, keepdim=True)  # (T, 1)
        chosen = _columns(left, best)  # (T, P, 1)
        weight = _rows(along, best) / _rows(square[..., None], best).clamp(min=1e-9)  # (T, 1, O)
        incoming.append(_columns(candidates, best))
        # The next one is judged by what this one, too, leaves.
        error = error - chosen @ weight
        length = chosen.square().sum(1, keepdim=True).clamp(min=1e-9)
        left = left - chosen @ (chosen.mT @ left) / length
    drawing = CANDIDATES * site.points * (3 + 2 * site.inputs)
    projecting = site.projecting + 4 * CANDIDATES * site.points * (1 + site.old)
    judging = count * CANDIDATES * site.points * (6 + 2 * site.outputs)
    operations = site.looking + drawing + projecting + judging
    return torch.cat(incoming, 2), operations


def cascade(site, count):
    """Train 8 candidates to fit what the answers lack, and install the best of them.

    Candidates have outgoing weights of their own and lower ‖w·a - e‖²; the best is installed with
    two fifths of its outgoing weight. There is one hidden layer, so the neurons do not cascade.
    With `rests` of the growth, incoming weights stay as they are installed. Sources: Fahlman and
    Lebiere 1990; Prechelt 1997.
    """
    return _installed(site, count, _misfit)


def cascade_covariance(site, count):
    """Train candidates as `cascade` does, but to covary with the error. Source: as there."""
    return _installed(site, count, _minus_covariance)


def _misfit(a, outgoing, error):
    """Return how candidates change the summed squared error, (T, n); a (T, n, P), error (T, P, O).

    ‖w·a - e‖² - ‖e‖² = ‖w‖²‖a‖² - 2 w·(aᵀe), as a mean over the points.
    """
    along = a @ error / error.shape[1]  # (T, n, O)
    return outgoing.square().sum(2) * a.square().mean(2) - 2 * (outgoing * along).sum(2)


def _minus_covariance(a, outgoing, error):
    """Return minus the summed absolute covariance of candidates with the error, (T, n)."""
    return -((a - a.mean(2, keepdim=True)) @ error / error.shape[1]).abs().sum(2)


def _installed(site, count, objective):
    """Return the best of some candidates after they were trained to lower an objective."""
    incoming = site.uniform(TRAINED_CANDIDATES)
    outgoing = torch.zeros(*incoming.shape[::2], site.outputs, dtype=torch.float64)

    def loss(incoming, outgoing):
        value = objective(torch.tanh(site.x @ incoming).mT, outgoing, site.error)
        return value + 0 * outgoing.sum(2)

    _descend([incoming, outgoing], loss)
    best = loss(incoming, outgoing).topk(count, largest=False).indices  # (T, k)
    if objective is _minus_covariance:  # the outgoing weights were not trained
        a = torch.tanh(site.x @ incoming)
        a = a - a.mean(1, keepdim=True)
        outgoing = a.mT @ site.error / a.square().sum(1).clamp(min=1e-9)[..., None]
    operations = site.looking + STEPS * TRAINED_CANDIDATES * _training(site)
    return Born(_columns(incoming, best), SHARE_OF_CASCADE * _rows(outgoing, best), operations)


def north_select(site, count):
    """Of 64 drawn neurons take those whose outputs lie farthest from what the old ones give.

    The task is not looked at, and outgoing weights start at 0. A network grows only if nine tenths
    of its neurons are independent: by the share of the singular values of H/√P that are above 0.01.
    Source: Maile et al. 2022 (NORTH).
    """
    candidates = site.uniform(CANDIDATES)
    far = site.beyond(torch.tanh(site.x @ candidates)).norm(dim=1)  # (T, n)
    chosen = _columns(candidates, far.topk(count).indices)
    values = torch.linalg.svdvals(site.neurons / math.sqrt(site.points))
    share = (values > LEAST_OF_NORTH).sum(1) / site.old
    drawing = CANDIDATES * site.points * (5 + 2 * site.inputs)
    operations = 2 * site.projecting + 4 * CANDIDATES * site.points * (1 + site.old) + drawing
    outgoing = torch.zeros_like(site.first_outgoing)
    return Born(chosen, outgoing, operations, grows=share >= INDEPENDENT_OF_NORTH)


RULES = {
    "as-drawn": as_drawn,
    "random": random,
    "split": split,
    "splitting": splitting,
    "variance-transfer": variance_transfer,
    "variance-rescaled": variance_rescaled,
    "gradmax": gradmax,
    "tiny": tiny,
    "firefly": firefly,
    "best-candidate": best_candidate,
    "best-candidate-fitted": best_candidate_fitted,
    "cascade": cascade,
    "cascade-covariance": cascade_covariance,
    "north-select": north_select,
}

"""More or fewer neurons between the linear layers of any torch model, also while it trains.

Use this module to let a model of your own grow or shrink. Both functions replace the weights on
either side of the neurons, together with what the optimizers have stored for them. From the kit,
the module imports `growkit.wiring` alone, which finds the layers that take the neurons.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from growkit import wiring
from growlib import _require, _whole, _wholes

# What the optimizers of torch store for a weight. Other tensors are not known, so that an optimizer
# that stores them is refused.
AVERAGES_OF_GRADIENTS = ("exp_avg", "momentum_buffer", "grad_avg", "prev")
SQUARES_WITH_A_COUNT = ("exp_avg_sq", "max_exp_avg_sq")
SQUARES = ("square_avg", "acc_delta", "variance", "row_var", "col_var")
OTHERS = ("exp_inf", "sum", "step_size", "ax")
COUNTS = ("step", "mu_product", "eta", "mu")  # one number for a whole weight
KNOWN = (*AVERAGES_OF_GRADIENTS, *SQUARES_WITH_A_COUNT, *SQUARES, *OTHERS, *COUNTS)
FACTORS = {"row_var": 0, "col_var": 1}  # Adafactor has two factors, each along one dimension
REFUSED = (torch.optim.LBFGS, torch.optim.SparseAdam)

# What Adam's count of steps goes back to, at most. After k more steps, a new weight's average of
# squared gradients is then corrected to at least k / (20 + k) of what they are. With the betas
# that Adam has by default such a weight moves by at most 1.3 learning rates in a step under a
# constant gradient, and in no step of the study in notebook 14 by 3.
SHORT_COUNT = 20


class _Slot(NamedTuple):
    """A weight or a buffer in which neurons have their place."""

    module: nn.Module
    name: str
    dim: int  # along which the neurons lie
    begins: float | None  # what a new neuron gets there; None if it is drawn at random


def grow(
    linear_in: nn.Linear | nn.Module,
    linear_out: nn.Linear | Sequence[nn.Module] | str,
    n: int,
    optimizer: torch.optim.Optimizer | Sequence[torch.optim.Optimizer] | None = None,
    consumers: Sequence[str] | None = None,
) -> None:
    """Add n neurons between the layers of a model, without changing what it computes.

    There are two forms, `grow(model, "trunk.0", n, optimizer)`, which finds the layers that take
    the neurons, and `grow(linear_in, linear_out, n, optimizer)` for two layers of a chain. Call it
    between two steps of the optimizer. If it raises an error, nothing has changed.

    Parameters
    ----------
    linear_in : Linear or Module
        The layer that gives the neurons; or the whole model, if a name follows.
    linear_out : Linear or str or sequence of Module
        The layer that takes them; or the name of the layer that gives them, as in
        `model.named_modules()`; or a list of all layers that take them, with each BatchNorm1d and
        PReLU in between.
    n : int
        Number of neurons to add.
    optimizer : Optimizer or sequence of Optimizer, optional
        The optimizer that trains these layers, or all of them if there are several: any of
        `torch.optim` but LBFGS and SparseAdam, and others that store the same averages. A weight
        that does not require gradients needs no optimizer.
    consumers : sequence of str, optional
        Names of all layers that take the neurons, with each BatchNorm1d and PReLU in between, for a
        model that cannot be traced. They are taken at their word.

    Raises
    ------
    ValueError
        If the layers are not plain Linear layers that fit each other, other layers take or may take
        the neurons, too, something in between does not act on each neuron alone, `n` is not a
        positive integer, or the optimizers do not train these weights or store what is unknown.

    See Also
    --------
    shrink : Remove neurons.

    Notes
    -----
    **The model.** It is traced by `torch.fx`, which runs `forward` once with symbols. The neurons
    may pass activations, dropout, BatchNorm1d and PReLU, which grow with them, on the way to one
    Linear layer or several. Refused are a softmax or LayerNorm over them, a sum with something
    else, and a layer whose neurons are what the model returns. The form with two layers looks for
    models in memory that hold them, and traces these. If none can be traced, it is refused where
    another layer fits, too; then name all layers in a list. Layers that no model and no optimizer
    holds cannot be seen.

    **The new neurons.** They get incoming weights and biases drawn at random, as `torch.nn.Linear`
    draws them, and outgoing weights of 0. The old neurons keep their weights. All layers keep their
    place, their device and whether they are frozen; groups of parameters and a scheduler go on, and
    a gradient that waits for its step is 0 for the new weights. A compiled model is compiled anew.
    The layers get new Parameters: an optimizer that is not passed goes on training the old ones.

    **The optimizer.** Averages of gradients begin at 0 for the new weights. Adam and AdamW correct
    their averages for the number of steps, which they count for a whole tensor. If averages of 0
    met a count of thousands, a new weight would move by up to 6.6 learning rates in a step. So the
    count of the tensors that grow goes back to 20, and the averages of the old weights are divided
    so that they are worth the same; from then on they look back on fewer steps. Where all averages
    are 0 the count starts anew. So it was measured in notebook 14: no new weight moves by more than
    three learning rates in a step. From the median of the old squares most networks learn more
    slowly, and from 0 without a shorter count faster, but the loss of many of them jumps. RMSprop,
    Adadelta, Adafactor, NAdam and RAdam keep their count. They give new weights the median of the
    old squares, weighted by these squares so that dead neurons do not count.

    **An average of the weights** has to grow, too. It draws the same new neurons from the same
    seed: `torch.manual_seed(1)`, grow the model, `torch.manual_seed(1)`,
    `grow(average.module, "trunk.0", n)`.

    Examples
    --------
    >>> model = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 1))
    >>> optimizer = torch.optim.Adam(model.parameters())
    >>> surgery.grow(model, "0", 4, optimizer)
    >>> surgery.grow(model[0], model[2], 4, optimizer)
    >>> model[0].out_features
    16
    """
    n = _whole("n", n)
    optimizers = _listed(optimizer)
    wired = _wired(linear_in, linear_out, consumers, optimizers)

    # torch draws the first weights and biases of a Linear uniformly between these bounds.
    bound = wired.source.in_features**-0.5

    def add_weights(slot, tensor):
        newborn = _zeros(tensor, slot.dim, n)
        if slot.begins is None:
            newborn.uniform_(-bound, bound)
        else:
            newborn += slot.begins
        return torch.cat([tensor, newborn], slot.dim)

    def add_gradients(slot, tensor):
        return torch.cat([tensor, _zeros(tensor, slot.dim, n)], slot.dim)

    def add_state(optimizer, group, state, dim, weight):
        drawn = weight.narrow(dim, weight.shape[dim] - n, n)
        counts_anew = isinstance(optimizer, torch.optim.Adam)
        if counts_anew:
            state = _with_short_count(state, group["betas"])

        def add(key, tensor):
            newborn = _zeros(tensor, dim, n)
            if key in SQUARES or (key in SQUARES_WITH_A_COUNT and not counts_anew):
                newborn += _typical(tensor, dim)
            elif key == "sum":
                newborn += group["initial_accumulator_value"]
            elif key == "step_size":
                newborn += group["lr"]
            elif key == "ax":  # the average of the weights themselves
                newborn += drawn
            return torch.cat([tensor, newborn], dim)

        return _each(_counting_anew(state), dim, add)

    _replace(wired, optimizers, add_weights, add_gradients, add_state)


def _zeros(tensor, dim, n):
    """Zeros like the tensor, but of length n along dimension `dim`."""
    shape = list(tensor.shape)
    shape[dim] = n
    return tensor.new_zeros(shape)


def _typical(squares, dim):
    """Along a dimension, the median of squares among which each counts by its own size."""
    ordered, _ = squares.sort(dim)
    sums = ordered.cumsum(dim)
    half = sums.narrow(dim, sums.shape[dim] - 1, 1) / 2
    places = (sums < half).sum(dim, keepdim=True)
    return ordered.gather(dim, places)


def _with_short_count(state, betas):
    """A state of Adam with a short count of steps, and averages that are worth the same."""
    if "step" not in state or state["step"] <= SHORT_COUNT:
        return state
    of_gradients, of_squares = map(float, betas)
    count = float(state["step"])
    short = dict(state)
    short["step"] = torch.full_like(torch.as_tensor(state["step"]), SHORT_COUNT)
    for key in ("exp_avg", *SQUARES_WITH_A_COUNT):
        if key in state:
            beta = of_squares if key in SQUARES_WITH_A_COUNT else of_gradients
            # Adam divides an average by 1 - beta^count.
            short[key] = state[key] * (1 - beta**SHORT_COUNT) / (1 - beta**count)
    return short


def _counting_anew(state):
    """The state with a count of 0 if it has a count and all its averages are 0."""
    if not {"step", "exp_avg", "exp_avg_sq"} <= state.keys():
        return state
    if state["exp_avg"].any() or state["exp_avg_sq"].any():
        return state
    anew = dict(state)
    anew["step"] = torch.zeros_like(torch.as_tensor(state["step"]))
    if "mu_product" in state:
        anew["mu_product"] = torch.ones_like(state["mu_product"])
    return anew


# ---------------------------------------------------------------------------------------- shrinking


def shrink(
    linear_in: nn.Linear | nn.Module,
    linear_out: nn.Linear | Sequence[nn.Module] | str,
    n: int | Sequence[int],
    optimizer: torch.optim.Optimizer | Sequence[torch.optim.Optimizer] | None = None,
    consumers: Sequence[str] | None = None,
    activation: Callable | None = None,
) -> torch.Tensor:
    """Remove neurons between the layers of a model, and return the places of the others.

    What the model computes changes, by little if the neurons contributed little. A neuron whose
    incoming weights are all 0 gives a constant; this goes into the biases of the layers that took
    it, so that nothing changes. The remaining neurons keep their weights and what the optimizers
    have stored for them.

    Parameters
    ----------
    linear_in : Linear or Module
        The layer that gives the neurons, or the whole model, as in `grow`.
    linear_out : Linear or str or sequence of Module
        What takes them, or the name of the layer that gives them, as in `grow`.
    n : int or sequence of int
        Number of neurons to remove, or their places, counted from 0. A number removes those whose
        norm of incoming weights (without the bias) times norm of outgoing weights is smallest.
    optimizer : Optimizer or sequence of Optimizer, optional
        All optimizers that train these layers, as in `grow`.
    consumers : sequence of str, optional
        Names of all layers that take the neurons, as in `grow`.
    activation : callable, optional
        What acts between the layers, such as `torch.relu`, where no model can be traced and a
        neuron that gives a constant is to go.

    Returns
    -------
    Tensor
        Former places of the neurons that remain, as integers in ascending order, (neurons,).

    Raises
    ------
    ValueError
        If the layers or the optimizers do not fit, as in `grow`; if `n` is not a positive integer
        or a sequence of places; if no neuron would remain; if there is no neuron at a place; or if
        a neuron gives a constant that is not known, or no bias can take.

    See Also
    --------
    grow : Add neurons, with notes on the model and on the optimizer.

    Notes
    -----
    A constant is what the model in its evaluation mode makes of a bias. With a BatchNorm1d in
    between, the same neuron may have given another one while the model trained.

    Examples
    --------
    >>> model = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 1))
    >>> surgery.shrink(model, "0", [0, 5])
    tensor([1, 2, 3, 4, 6, 7])
    """
    optimizers = _listed(optimizer)
    wired = _wired(linear_in, linear_out, consumers, optimizers)
    kept, removed = _divided(wired, n)
    fine = activation is None or callable(activation)
    _require(fine, "activation", activation, "a function of tensors, such as torch.relu")
    shifts = _shifts(wired, removed, activation)

    def select_place(slot, tensor):
        return tensor.index_select(slot.dim, kept.to(tensor.device))

    def select_state(_optimizer, _group, state, dim, _weight):
        def select(_key, tensor):
            return tensor.index_select(dim, kept.to(tensor.device))

        return _each(state, dim, select)

    _replace(wired, optimizers, select_place, select_place, select_state)
    with torch.no_grad():
        for consumer, shift in shifts.items():
            consumer.bias += shift
    return kept


def _divided(wired, n):
    """The places of the neurons that remain and of those that go."""
    outgoing = torch.cat([consumer.weight.detach() for consumer in wired.consumers])
    norms = wired.source.weight.detach().norm(dim=1) * outgoing.norm(dim=0)  # (neurons,)
    neurons = len(norms)

    if np.ndim(n):  # the places themselves
        removed = set(_wholes("n", n, 0))
    else:
        removed = set(norms.argsort(stable=True)[: _whole("n", n)].tolist())
    remaining = [neuron for neuron in range(neurons) if neuron not in removed]
    _require(
        remaining and removed <= set(range(neurons)),
        "n",
        n,
        f"some, not all, of the neurons 0 ... {neurons - 1}",
    )
    places = {"device": norms.device, "dtype": torch.long}
    return torch.tensor(remaining, **places), torch.tensor(sorted(removed), **places)


def _shifts(wired, removed, activation):
    """What the biases of the consumers gain where neurons go that give a constant."""
    source = wired.source
    constant = removed[~source.weight.detach()[removed].any(dim=1)]  # places of those neurons
    if not any(consumer.weight.detach()[:, constant].any() for consumer in wired.consumers):
        return {}

    values = source.weight.new_zeros(len(source.weight))
    if source.bias is not None:
        values = source.bias.detach()
    if activation is not None:
        acted = activation(values[None])[0].detach()
        taken = {consumer: [acted] for consumer in wired.consumers}
    else:
        takes = (
            f"a function, such as torch.relu, since neurons {constant.tolist()} give a constant, "
            "and no model that can be traced says what acts on it"
        )
        _require(wired.constants is not None, "activation", activation, takes)
        taken = wired.constants(values)

    shifts = {}
    for consumer, calls in taken.items():
        gains = [consumer.weight.detach()[:, constant] @ inputs[constant] for inputs in calls]
        if not torch.stack(gains).any():
            continue
        one_bias = consumer.bias is not None and all(torch.equal(gains[0], gain) for gain in gains)
        takes = (
            "neurons that give no constant, since the layer after them has no bias that could take "
            f"the constants of {constant.tolist()}"
        )
        _require(one_bias, "n", removed.tolist(), takes)
        shifts[consumer] = gains[0]
    return shifts


# ------------------------------------------------------------------------------------------- checks


def _listed(optimizer):
    """The optimizers as a list."""
    if optimizer is None:
        return []
    if isinstance(optimizer, list | tuple):
        return list(optimizer)
    return [optimizer]


def _wired(linear_in, linear_out, consumers, optimizers):
    """The layer with all that takes its neurons; raise ValueError unless all of it can change."""
    if isinstance(linear_out, str) and consumers is None:
        wired = wiring.traced(linear_in, linear_out)
    elif isinstance(linear_out, str):
        wired = wiring.named(linear_in, linear_out, consumers)
    else:
        _require(consumers is None, "consumers", consumers, "names, with a model and a name only")
        _require_plain("linear_in", linear_in)
        if isinstance(linear_out, list | tuple):
            wired = wiring.told(linear_in, linear_out)
        else:
            _require_joined(linear_in, linear_out)
            _require_trained(_slots(wiring.told(linear_in, [linear_out])), optimizers)
            wired = wiring.chained(linear_in, linear_out, _held(optimizers))

    _require_plain("linear_in", wired.source)
    _require(wired.consumers, "linear_out", linear_out, "at least one Linear layer")
    for consumer in wired.consumers:
        _require_joined(wired.source, consumer)
    _require_trained(_slots(wired), optimizers)
    return wired


def _require_plain(name, layer):
    """Raise ValueError unless a layer is a Linear that computes with its own weights."""
    kind = type(layer).__name__
    takes = "a plain Linear; or a whole model and then the name of a layer"
    _require(isinstance(layer, nn.Linear), name, kind, takes)
    # A parametrised layer, such as one with weight_norm, computes its weight from others.
    own_weights = layer._parameters.keys() == {"weight", "bias"}
    plain = own_weights and type(layer).forward is nn.Linear.forward
    takes = "a plain Linear, with a weight and a bias of its own; remove parametrizations before"
    _require(plain, name, kind, takes)
    takes = "a layer that knows its inputs; call the model once before"
    _require(not nn.parameter.is_lazy(layer.weight), name, kind, takes)


def _require_joined(linear_in, linear_out):
    """Raise ValueError unless the second layer takes what the first one gives."""
    _require_plain("linear_out", linear_out)
    _require(
        linear_in.out_features == linear_out.in_features and linear_in is not linear_out,
        "linear_out",
        linear_out,
        f"another Linear that takes what linear_in gives, {linear_in}",
    )


def _held(optimizers):
    """All weights that the optimizers hold."""
    held = []
    for optimizer in optimizers:
        known = isinstance(optimizer, torch.optim.Optimizer) and not isinstance(optimizer, REFUSED)
        takes = "the one that trains these layers, of torch.optim but not LBFGS or SparseAdam"
        _require(known, "optimizer", type(optimizer).__name__, takes)
        for group in optimizer.param_groups:
            held += group["params"]
    return held


def _slots(wired):
    """All weights and buffers in which the neurons have their place."""
    slots = [_Slot(wired.source, "weight", 0, None), _Slot(wired.source, "bias", 0, None)]
    slots += [_Slot(consumer, "weight", 1, 0.0) for consumer in wired.consumers]
    for part in wired.between:
        for name, begins in wiring.per_neuron(part).items():
            slots.append(_Slot(part, name, 0, begins))
    return [slot for slot in slots if getattr(slot.module, slot.name) is not None]


def _require_trained(slots, optimizers):
    """Raise ValueError unless every weight can change, and its state in the optimizers with it."""
    held = {id(weight) for weight in _held(optimizers)}
    neurons = len(slots[0].module.weight)
    weights = [getattr(slot.module, slot.name) for slot in slots]
    takes = "layers that share no weights"
    _require(len(set(weights)) == len(weights), "linear_out", "a layer with shared weights", takes)
    for slot, weight in zip(slots, weights, strict=True):
        kind = type(slot.module).__name__
        takes = f"a layer for {neurons} neurons"
        _require(weight.shape[slot.dim] == neurons, "linear_out", slot.module, takes)
        hooked = weight._backward_hooks or getattr(weight, "_post_accumulate_grad_hooks", None)
        takes = "one without hooks; remove them, and register them on the new weight"
        _require(not hooked, f"the {slot.name} of a {kind}", "a weight with hooks", takes)
        trained = id(weight) in held or not weight.requires_grad or not optimizers
        takes = (
            f"the one that trains these layers, or a list of all that do; none holds the "
            f"{slot.name} of a {kind}, and one that stays as it is takes requires_grad_(False)"
        )
        kinds = ", ".join(type(optimizer).__name__ for optimizer in optimizers)
        _require(trained, "optimizer", kinds, takes)
        for optimizer in optimizers:
            _require_known_state(optimizer, weight)


def _require_known_state(optimizer, weight):
    """Raise ValueError if an optimizer stores tensors for a weight whose meaning is not known."""
    for key, value in optimizer.state.get(weight, {}).items():
        known = key in KNOWN or not torch.is_tensor(value) or value.ndim == 0
        takes = f"one of torch.optim, or one that stores the same as these; it stores {key!r}"
        _require(known, "optimizer", type(optimizer).__name__, takes)


# ---------------------------------------------------------------------------------- the new weights


class _Replaced(NamedTuple):
    """A weight or buffer, what replaces it, and the states of the optimizers that hold it."""

    slot: _Slot
    old: torch.Tensor
    new: torch.Tensor
    states: list  # pairs of an optimizer and its new state


def _replace(wired, optimizers, resize_weight, resize_gradient, resize_state):
    """Replace all that has a place for each neuron, and what the optimizers have stored for it.

    `resize_weight(slot, tensor)` and `resize_gradient(slot, tensor)` return new tensors, and
    `resize_state(optimizer, group, state, dim, weight)` a new state. All are computed before any is
    put in its place, so that an error leaves the model and the optimizers as they were.
    """
    replaced = []
    for slot in _slots(wired):
        old = getattr(slot.module, slot.name)
        new = resize_weight(slot, old.detach())
        states = []
        if isinstance(old, nn.Parameter):
            new = nn.Parameter(new, old.requires_grad)
            if old.grad is not None:
                new.grad = resize_gradient(slot, old.grad)
            for optimizer, group in _groups_with(old, optimizers):
                if old in optimizer.state:
                    state = optimizer.state[old]
                    states.append(
                        (optimizer, resize_state(optimizer, group, state, slot.dim, new.detach()))
                    )
        replaced.append(_Replaced(slot, old, new, states))

    for each in replaced:
        setattr(each.slot.module, each.slot.name, each.new)
        for _, group in _groups_with(each.old, optimizers):
            place = next(k for k, held in enumerate(group["params"]) if held is each.old)
            group["params"][place] = each.new
        for optimizer, state in each.states:
            del optimizer.state[each.old]
            optimizer.state[each.new] = state
    _name_sizes(wired)


def _groups_with(weight, optimizers):
    """Each optimizer that holds a weight, with the group that holds it."""
    found = []
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            if any(held is weight for held in group["params"]):
                found.append((optimizer, group))
    return found


def _each(state, dim, resize):
    """The state with the tensors resized that have a place for each neuron along a dimension."""
    resized = {}
    for key, value in state.items():
        along = FACTORS.get(key, dim)
        if torch.is_tensor(value) and key not in COUNTS and along == dim:
            value = resize(key, value)
        resized[key] = value
    return resized


def _name_sizes(wired):
    """Let the modules say how many neurons they have now."""
    neurons = len(wired.source.weight)
    wired.source.out_features = neurons
    for consumer in wired.consumers:
        consumer.in_features = neurons
    for part in wired.between:
        if isinstance(part, nn.BatchNorm1d):
            part.num_features = neurons
        elif wiring.per_neuron(part):
            part.num_parameters = neurons

"""More or fewer neurons between two linear layers of any torch model, also while it trains.

Use this module to let a model of your own grow or shrink. Both functions replace the weights of
the two layers, together with what the optimizer has stored for them. The module imports only the
checks of arguments from growlib.
"""

from collections.abc import Sequence

import numpy as np
import torch

from growlib import _require, _whole, _wholes

# What torch's optimizers call their running averages of gradients. The other tensors that they
# store for a weight are mostly averages or sums of squared gradients.
AVERAGES_OF_GRADIENTS = ("exp_avg", "momentum_buffer", "grad_avg")


def grow(
    linear_in: torch.nn.Linear,
    linear_out: torch.nn.Linear,
    n: int,
    optimizer: torch.optim.Optimizer | None = None,
) -> None:
    """Add n neurons between two linear layers of a model, without changing what it computes.

    The new neurons get incoming weights and biases drawn at random, as `torch.nn.Linear` draws
    them, and outgoing weights of 0. The old neurons keep their weights and what the optimizer has
    stored for them.

    Parameters
    ----------
    linear_in, linear_out : Linear
        The layers before and after the neurons. Between them there may be anything that has no
        weights and acts on each neuron alone, such as an activation or dropout, but not a softmax,
        a normalisation or a PReLU.
    n : int
        Number of neurons to add.
    optimizer : Optimizer, optional
        The optimizer that trains both layers, if there is one: any of `torch.optim` but LBFGS.

    Raises
    ------
    ValueError
        If the layers are not two plain Linear layers that fit each other, `n` is not a positive
        integer, or the optimizer does not train these layers.

    See Also
    --------
    shrink : Remove neurons.

    Notes
    -----
    Call it between two steps of the optimizer. Both layers get new Parameters, so an optimizer that
    is not passed goes on training the old ones, and a running average of the model's weights has
    to be started again.

    In what the optimizer stores, the averages of gradients begin at 0 for the new neurons, but the
    averages of squared gradients begin at the median over the old neurons. Adam corrects its
    averages for the number of steps, which it counts for a whole tensor. If the squares began at 0
    in mid-training, it would move the new weights by up to 6.6 times its learning rate.

    Examples
    --------
    >>> model = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 1))
    >>> optimizer = torch.optim.Adam(model.parameters())
    >>> surgery.grow(model[0], model[2], 4, optimizer)
    >>> model[0].out_features
    12
    """
    n = _whole("n", n)
    _require_joined(linear_in, linear_out, optimizer)

    # torch draws the first weights and biases of a Linear uniformly between these bounds.
    bound = linear_in.in_features**-0.5

    def add_to_weight(tensor, dim):
        newborn = _zeros(tensor, dim, n)
        if dim == 0:  # incoming weights and biases; the outgoing weights stay 0
            newborn.uniform_(-bound, bound)
        return torch.cat([tensor, newborn], dim)

    def add_to_state(key, tensor, dim):
        newborn = _zeros(tensor, dim, n)
        if key not in AVERAGES_OF_GRADIENTS:
            newborn += tensor.median(dim, keepdim=True).values
        return torch.cat([tensor, newborn], dim)

    _resize(linear_in, linear_out, optimizer, add_to_weight, add_to_state)


def _zeros(tensor, dim, n):
    """Zeros like the tensor, but of length n along dimension `dim`."""
    shape = list(tensor.shape)
    shape[dim] = n
    return tensor.new_zeros(shape)


def shrink(
    linear_in: torch.nn.Linear,
    linear_out: torch.nn.Linear,
    n: int | Sequence[int],
    optimizer: torch.optim.Optimizer | None = None,
) -> torch.Tensor:
    """Remove neurons between two linear layers of a model, and return the places of the others.

    What the model computes changes, by little if the neurons contributed little. The remaining
    neurons keep their weights and what the optimizer has stored for them.

    Parameters
    ----------
    linear_in, linear_out : Linear
        The layers before and after the neurons, as in `grow`.
    n : int or sequence of int
        Number of neurons to remove, or their places, counted from 0. A number removes those whose
        norm of incoming weights (without the bias) times norm of outgoing weights is smallest.
    optimizer : Optimizer, optional
        The optimizer that trains both layers, as in `grow`.

    Returns
    -------
    Tensor
        Former places of the neurons that remain, as integers in ascending order, (neurons,).

    Raises
    ------
    ValueError
        If the layers or the optimizer do not fit, as in `grow`; if `n` is not a positive integer
        or a sequence of places; if no neuron would remain; or if there is no neuron at a place.

    See Also
    --------
    grow : Add neurons, with notes on what to do about the optimizer.

    Examples
    --------
    >>> model = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 1))
    >>> surgery.shrink(model[0], model[2], [0, 5])
    tensor([1, 2, 3, 4, 6, 7])
    """
    _require_joined(linear_in, linear_out, optimizer)
    norms = linear_in.weight.norm(dim=1) * linear_out.weight.norm(dim=0)  # (neurons,)
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
    kept = torch.tensor(remaining, device=norms.device, dtype=torch.long)

    def select_weight(tensor, dim):
        return tensor.index_select(dim, kept)

    def select_state(_key, tensor, dim):
        return tensor.index_select(dim, kept)

    _resize(linear_in, linear_out, optimizer, select_weight, select_state)
    return kept


def _require_joined(linear_in, linear_out, optimizer):
    """Raise ValueError unless the layers follow each other and the optimizer trains them."""
    for name, layer in (("linear_in", linear_in), ("linear_out", linear_out)):
        # A parametrised layer, such as one with weight_norm, computes its weight from others.
        _require(
            isinstance(layer, torch.nn.Linear) and "weight" in layer._parameters,
            name,
            type(layer).__name__,
            "a plain Linear",
        )
    _require(
        linear_in.out_features == linear_out.in_features and linear_in is not linear_out,
        "linear_out",
        linear_out,
        f"another Linear that takes what linear_in gives, {linear_in}",
    )
    _require(
        optimizer is None or _trains(optimizer, linear_in, linear_out),
        "optimizer",
        type(optimizer).__name__,
        "the one that trains these layers, of torch.optim but not LBFGS",
    )


def _trains(optimizer, linear_in, linear_out):
    """Whether this is an optimizer that holds the weights, and whose state can be resized."""
    if not isinstance(optimizer, torch.optim.Optimizer):
        return False
    if isinstance(optimizer, torch.optim.LBFGS):
        return False  # its state is about all weights together, not about one layer's
    held = set()
    for group in optimizer.param_groups:
        held.update(group["params"])
    weights = {linear_in.weight, linear_in.bias, linear_out.weight} - {None}
    return weights <= held


def _resize(linear_in, linear_out, optimizer, resize_weight, resize_state):
    """Replace the weights between two layers, and what the optimizer has stored for them.

    `resize_weight(tensor, dim)` and `resize_state(key, tensor, dim)` return the new tensors, where
    the neurons lie along dimension `dim` and `key` is the optimizer's name for the tensor.
    """
    for layer, name, dim in (
        (linear_in, "weight", 0),
        (linear_in, "bias", 0),
        (linear_out, "weight", 1),
    ):
        old = getattr(layer, name)
        if old is None:  # a layer without bias
            continue
        new = torch.nn.Parameter(resize_weight(old.detach(), dim), old.requires_grad)
        setattr(layer, name, new)
        if optimizer is not None:
            _hand_over(optimizer, old, new, dim, resize_state)

    neurons = len(linear_in.weight)
    linear_in.out_features = neurons
    linear_out.in_features = neurons


def _hand_over(optimizer, old, new, dim, resize_state):
    """Let the optimizer train the new Parameter, with the resized state of the old one."""
    for group in optimizer.param_groups:
        group["params"] = [new if held is old else held for held in group["params"]]

    state = {}
    for key, value in optimizer.state.pop(old, {}).items():
        # What has another shape is not one value for each weight, such as the count of steps.
        if torch.is_tensor(value) and value.shape == old.shape:
            state[key] = resize_state(key, value, dim)
        else:
            state[key] = value
    optimizer.state[new] = state

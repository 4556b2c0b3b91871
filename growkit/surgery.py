"""Widen and narrow the layers of any torch model."""

from collections.abc import Sequence

import numpy as np
import torch

from growlib import _require, _whole, _wholes


def grow(
    linear_in: torch.nn.Linear,
    linear_out: torch.nn.Linear,
    n: int,
    optimizer: torch.optim.Optimizer | None = None,
) -> None:
    """Widen the layer between two linear ones of any torch model by n neurons, without changing what the model computes.

    Call it between steps. Both layers get new Parameters: an optimizer that is not said goes on training the old ones, and an
    average of the weights must be made anew. The newborn have weights as torch draws them and act on nothing at first. What the optimizer
    holds of the old stays; of the newborn its averages of gradients begin at 0, and those of squares at the median of the
    old neurons', since from 0 Adam, which counts the steps of a whole tensor, would move them up to 6.6 times its learning rate.

    Parameters
    ----------
    linear_in, linear_out : Linear
        The layers before and after the neurons; between them may stand what has no weights and acts on each neuron alone, such as
        an activation or dropout (not a softmax, a norm or PReLU).
    n : int
        How many neurons.
    optimizer : Optimizer, optional
        The one that trains them.

    Raises
    ------
    ValueError
        The layers do not fit each other, the optimizer does not hold them, or n is no count.
    """
    _whole("n", n), _joined(linear_in, linear_out, optimizer)

    def longer(tensor, dim, key):
        new = torch.zeros_like(tensor.narrow(dim, 0, 1).repeat_interleave(n, dim))
        if key == dim == 0:
            new.uniform_(-(linear_in.in_features**-0.5), linear_in.in_features**-0.5)
        elif key not in (0, "exp_avg", "momentum_buffer", "grad_avg"):
            new += tensor.median(dim, keepdim=True).values
        return torch.cat([tensor, new], dim)

    _resize(linear_in, linear_out, longer, optimizer)


def shrink(
    linear_in: torch.nn.Linear,
    linear_out: torch.nn.Linear,
    n: int | Sequence[int],
    optimizer: torch.optim.Optimizer | None = None,
) -> torch.Tensor:
    """Take n neurons out of the layer between two linear ones, and return the places of those that stay; what the model computes changes.

    Parameters
    ----------
    linear_in, linear_out : Linear
        The layers before and after the neurons.
    n : int or sequence of int
        How many neurons, those whose incoming and outgoing weights have the least product of norms; or the places of them.
    optimizer : Optimizer, optional
        The one that trains them.

    Returns
    -------
    Tensor
        Whole numbers in rising order, (neurons,).

    Raises
    ------
    ValueError
        As in `grow`, or n leaves no neuron or names one that is not there.
    """
    _joined(linear_in, linear_out, optimizer)
    norms = linear_in.weight.norm(dim=1) * linear_out.weight.norm(dim=0)
    gone = set(
        _wholes("n", n if np.ndim(n) else norms.argsort(stable=True)[: _whole("n", n)].tolist(), 0)
    )
    kept = torch.tensor(
        [k for k in range(len(norms)) if k not in gone], device=norms.device, dtype=torch.long
    )
    _require(
        0 < len(kept) == len(norms) - len(gone),
        "n",
        n,
        f"some, not all, of the neurons 0 ... {len(norms) - 1}",
    )
    _resize(linear_in, linear_out, lambda tensor, dim, _: tensor.index_select(dim, kept), optimizer)
    return kept


def _joined(linear_in, linear_out, optimizer):
    """Say so if the one linear layer does not give what the other takes, or the optimizer is none whose memory can be resized."""
    for name, layer in (("linear_in", linear_in), ("linear_out", linear_out)):
        _require(
            isinstance(layer, torch.nn.Linear) and "weight" in layer._parameters,
            name,
            type(layer).__name__,
            "a plain Linear",
        )
    fits = linear_in.out_features == linear_out.in_features and linear_in is not linear_out
    _require(
        fits,
        "linear_out",
        linear_out,
        f"another Linear that takes what linear_in gives, {linear_in}",
    )
    held = {each for group in getattr(optimizer, "param_groups", ()) for each in group["params"]}
    trains = (
        isinstance(optimizer, torch.optim.Optimizer)
        and {linear_in.weight, linear_in.bias, linear_out.weight} - {None} <= held
    )
    fine = optimizer is None or (
        trains and not isinstance(optimizer, torch.optim.LBFGS)
    )  # whose memory is no tensor of a layer
    _require(
        fine,
        "optimizer",
        type(optimizer).__name__,
        "the one that trains these layers, of torch.optim but not LBFGS",
    )


def _resize(linear_in, linear_out, change, optimizer):
    """Put change(tensor, dim, key) in place of the weights between two layers, where key is 0, and of what the optimizer keeps of them."""
    groups, state = (optimizer.param_groups, optimizer.state) if optimizer else ([], {})
    for layer, name, dim in (
        (linear_in, "weight", 0),
        (linear_in, "bias", 0),
        (linear_out, "weight", 1),
    ):
        if (old := getattr(layer, name)) is None:
            continue
        setattr(
            layer, name, new := torch.nn.Parameter(change(old.detach(), dim, 0), old.requires_grad)
        )
        for group in groups:
            group["params"] = [new if each is old else each for each in group["params"]]
        state[new] = {
            key: change(v, dim, key) if torch.is_tensor(v) and v.shape == old.shape else v
            for key, v in state.pop(old, {}).items()
        }
    linear_in.out_features = linear_out.in_features = len(linear_in.weight)

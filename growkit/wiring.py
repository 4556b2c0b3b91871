"""Which layers of a torch model take the neurons of one of its layers.

`growkit.surgery` uses this module to know what it has to change. A model is traced by `torch.fx`,
which calls its `forward` once with symbols instead of numbers; then every step that the neurons
pass is looked at. Open this module to see which models are understood, and why one is refused. The
module imports only the check of arguments from growlib.
"""

import contextlib
import gc
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import torch
from torch import fx, nn

from growlib import _require

# What acts on each neuron alone and has no weights, as a module, a function or a method. Case and
# underscores are left out: LeakyReLU, leaky_relu.
ELEMENTWISE = (
    "relu relu6 leakyrelu rrelu elu selu celu gelu silu mish softplus softsign logsigmoid sigmoid "
    "hardsigmoid hardswish hardtanh hardshrink softshrink tanhshrink threshold tanh sin cos exp "
    "abs square sqrt clamp clip erf dropout alphadropout featurealphadropout identity add sub mul "
    "div truediv pow neg iadd isub imul itruediv clone contiguous detach to float double half "
    "bfloat16"
)
# What has weights or averages for each neuron: their names, and what they are for a new neuron.
PER_NEURON = {
    nn.BatchNorm1d: {"weight": 1.0, "bias": 0.0, "running_mean": 0.0, "running_var": 1.0},
    nn.PReLU: {"weight": 0.25},
}
# What mixes the neurons, so that all of its answers change with their number.
MIXING = "layernorm groupnorm rmsnorm instancenorm1d softmax logsoftmax softmin glu normalize"
WRAPPERS = (nn.parallel.DistributedDataParallel, nn.DataParallel)


class Wiring(NamedTuple):
    """A layer, and all that takes its neurons."""

    source: nn.Linear
    consumers: list[nn.Linear]
    between: list[nn.Module]  # those of `PER_NEURON` on the way
    # From constants that the source gives, (neurons,), to those that each consumer takes when it is
    # called; None where the steps in between are not known.
    constants: Callable | None = None


# ------------------------------------------------------------------------------------------ a model


def traced(model: nn.Module, name: str) -> Wiring:
    """Return all that takes the neurons of a layer, as tracing the model finds it.

    Parameters
    ----------
    model : Module
        The whole model, compiled or not.
    name : str
        Name of a Linear layer, such as "trunk.0", as in `model.named_modules()`.

    Raises
    ------
    ValueError
        If there is no such layer, the model cannot be traced, or something on the way of the
        neurons does not act on each of them alone.
    """
    model = _unwrapped(model)
    source = _linear(model, name, "the name of the layer")
    graph, reason = _graph(model)
    _require(
        graph is not None,
        "model",
        type(model).__name__,
        "consumers=[...], the names of all layers that take the neurons, since torch.fx cannot "
        f"trace it: {reason}",
    )
    return _followed(model, graph, source)


def named(model: nn.Module, name: str, consumers: Sequence[str]) -> Wiring:
    """Return a layer of a model with the layers that are said to take its neurons.

    Parameters
    ----------
    model : Module
        The whole model.
    name : str
        Name of a Linear layer.
    consumers : sequence of str
        Names of all layers that take its neurons, and of each BatchNorm1d and PReLU in between.

    Raises
    ------
    ValueError
        If there is no layer of one of these names.
    """
    model = _unwrapped(model)
    are_names = isinstance(consumers, list | tuple) and len(consumers) > 0
    _require(are_names, "consumers", consumers, "a list of names of layers")
    modules = dict(model.named_modules())
    taking = []
    for each in consumers:
        if isinstance(each, str) and isinstance(modules.get(each), tuple(PER_NEURON)):
            taking.append(modules[each])
        else:
            taking.append(_linear(model, each, "consumers"))
    return told(_linear(model, name, "the name of the layer"), taking)


def told(source: nn.Linear, taking: Sequence[nn.Module]) -> Wiring:
    """Return a layer with those that are said to take its neurons, `taking`, as they are."""
    consumers = [each for each in taking if not isinstance(each, tuple(PER_NEURON))]
    between = [each for each in taking if isinstance(each, tuple(PER_NEURON))]
    return Wiring(source, _once(consumers), _once(between))


def _unwrapped(model):
    """The model that `torch.compile` has wrapped, or the model itself."""
    model = getattr(model, "_orig_mod", model)
    _require(
        isinstance(model, nn.Module) and not isinstance(model, WRAPPERS),
        "model",
        type(model).__name__,
        "a torch model that is not wrapped for several devices; wrap it after the change",
    )
    return model


def _linear(model, name, argument):
    """The Linear layer of that name."""
    layers = {each: part for each, part in model.named_modules() if isinstance(part, nn.Linear)}
    if isinstance(name, str):
        name = name.removeprefix("_orig_mod.")  # as a compiled model calls it
    known = isinstance(name, str) and name in layers
    _require(known, argument, name, f"one of the model's Linear layers: {', '.join(layers)}")
    return layers[name]


def _name(model, layer):
    """The name of a layer in a model."""
    return next(name for name, part in model.named_modules() if part is layer)


def _once(modules):
    """Each module once, in their order."""
    return list(dict.fromkeys(modules))


# -------------------------------------------------------------------------------------- the tracing


class _Tracer(fx.Tracer):
    def is_leaf_module(self, m, module_qualified_name):
        # A subclass of Linear is a layer, too; blocks of one's own are traced through.
        return isinstance(m, nn.Linear) or super().is_leaf_module(m, module_qualified_name)


@contextlib.contextmanager
def _evaluating(model):
    """Let the model be in its evaluation mode in this block, and each part as it was after it."""
    modes = {part: part.training for part in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for part, mode in modes.items():
            part.training = mode


def _graph(model):
    """The steps of `forward` without dropout and None, or None and why there are none."""
    try:
        with _evaluating(model):
            return _Tracer().trace(model), None
    except Exception as error:  # a model's own code may raise anything when it meets symbols
        return None, " ".join(str(error).split())[:150]


def _module(model, node):
    """The module that a step calls; None if it calls no module."""
    if node.op != "call_module":
        return None
    return model.get_submodule(node.target)


def _followed(model, graph, source):
    """All that takes the neurons of a layer by these steps of a model."""
    path = _path(model, graph, source)
    modules = [_module(model, node) for node in path]
    consumers = [
        module for module in modules if isinstance(module, nn.Linear) and module is not source
    ]
    between = [module for module in modules if isinstance(module, tuple(PER_NEURON))]
    takes = "a layer whose neurons another Linear layer of the model takes"
    _require(consumers, "the name of the layer", _name(model, source), takes)
    _check_called_with_neurons_alone(model, graph, path)
    _check_not_shared(model, [source, *consumers, *between])

    def constants(values):
        return _constants(model, path, source, values)

    return Wiring(source, _once(consumers), _once(between), constants)


def _path(model, graph, source):
    """The steps that the neurons of a layer pass, in their order, up to the layers that take them.

    Raises ValueError at a step that does not act on each neuron alone.
    """
    path = []
    carrying = set()  # the steps that give the neurons
    name = _name(model, source)
    for node in graph.nodes:
        module = _module(model, node)
        taken = carrying.intersection(node.all_input_nodes)
        if module is source:
            takes = "a layer that does not take its own neurons"
            _require(not taken, "the name of the layer", name, takes)
        elif taken:
            _check_step(node, module, taken, source, name)
        else:
            continue
        path.append(node)
        if module is source or not isinstance(module, nn.Linear):
            carrying.add(node)
    return path


def _check_step(node, module, taken, source, name):
    """Raise ValueError unless a step takes the neurons only, and acts on each of them alone."""
    step = node.target
    where = "a step of forward"
    if module is not None:
        where = f"'{node.target}'"
        step = type(module).__name__
    elif callable(step):
        step = step.__name__

    neurons = f"the neurons of '{name}'"
    unless = "unless a list names all layers that take them, which is taken at its word"
    if node.op == "output":
        takes = f"something else than {neurons} themselves, {unless}"
        _require(False, "what the model returns", name, takes)
    plain_name = step.replace("_", "").lower()
    if plain_name in MIXING.split():
        takes = f"nothing from {neurons} if these are to change, since all its answers would change"
        _require(False, where, step, takes)
    if isinstance(module, tuple(PER_NEURON)):
        takes = f"{neurons}, all of them, and its averages with a momentum"
        _require(_can_grow(module, len(source.weight)), where, step, takes)
    if taken != set(node.all_input_nodes):
        takes = f"{neurons} without other tensors, whose sizes are not known, {unless}"
        _require(False, where, step, takes)
    known = isinstance(module, (nn.Linear, *PER_NEURON)) or plain_name in ELEMENTWISE.split()
    takes = f"another step after {neurons}, one that is known to act on each alone, {unless}"
    _require(known, where, step, takes)


def per_neuron(part: nn.Module) -> dict[str, float]:
    """Return what a `part` has for each neuron: names of tensors, and what a new neuron gets.

    A PReLU may have one weight for all neurons; then this is empty.
    """
    if isinstance(part, nn.PReLU) and part.num_parameters == 1:
        return {}
    return next(names for kind, names in PER_NEURON.items() if isinstance(part, kind))


def _can_grow(module, neurons):
    """Whether a module with weights for each neuron can have more of them."""
    if isinstance(module, nn.PReLU):
        return module.num_parameters in (1, neurons)
    # Without a momentum it averages over all batches since the start, also for new neurons.
    return module.num_features == neurons and module.momentum is not None


def _check_called_with_neurons_alone(model, graph, path):
    """Raise ValueError if what is resized is also called with something else."""
    resized = {_module(model, node) for node in path}
    for node in graph.nodes:
        module = _module(model, node)
        if isinstance(module, (nn.Linear, *PER_NEURON)) and module in resized:
            takes = "a layer that takes nothing but the neurons, each time that it is called"
            _require(node in path, f"'{node.target}'", type(module).__name__, takes)


def _check_not_shared(model, resized):
    """Raise ValueError if another module of the model has a weight of those that are resized."""
    own = {id(weight) for module in resized for weight in module.parameters(recurse=False)}
    for name, module in model.named_modules():
        if module not in resized:
            shared = own & {id(weight) for weight in module._parameters.values()}
            takes = "weights that it does not share with the layers whose neurons change"
            _require(not shared, f"'{name}'", type(module).__name__, takes)


def _constants(model, path, source, values):
    """What each consumer takes when it is called, where the source gives these values, (neurons,).

    The model is in its evaluation mode. A consumer that is called several times takes several.
    """
    given = {}
    found = {}
    with _evaluating(model), torch.no_grad():
        for node in path:
            module = _module(model, node)
            if module is source:
                given[node] = values[None].clone()
                continue
            arguments = fx.node.map_arg(node.args, given.__getitem__)
            options = fx.node.map_arg(node.kwargs, given.__getitem__)
            if isinstance(module, nn.Linear):
                taken = [*arguments, *options.values()][0]
                found.setdefault(module, []).append(taken[0].clone())
            elif module is not None:
                given[node] = module(*arguments, **options)
            elif node.op == "call_method":
                given[node] = getattr(arguments[0], node.target)(*arguments[1:], **options)
            else:
                given[node] = node.target(*arguments, **options)
    return found


# --------------------------------------------------------------------------------------- two layers


def chained(source: nn.Linear, consumer: nn.Linear, held: Iterable[nn.Parameter]) -> Wiring:
    """Return two layers with what lies between, if no other layer can be seen to take the neurons.

    The models in memory that hold both layers are traced. Where none can be traced, another layer
    that takes as many inputs may be one that takes the neurons, and the call is refused.

    Parameters
    ----------
    source : Linear
        The layer whose neurons change.
    consumer : Linear
        The layer that takes them.
    held : iterable of Parameter
        What the optimizers train.

    Raises
    ------
    ValueError
        If another layer takes the neurons, or may do so.
    """
    wiring = None
    seen = {source, consumer}
    untraced = []
    for model in _models_with(source):
        if model in seen:  # a part of a model that was traced
            continue
        has_both = consumer in set(model.modules())
        graph, _ = _graph(model)
        if graph is None:
            untraced.append(model)
            continue
        try:
            found = _followed(model, graph, source)
        except ValueError:
            if has_both:
                raise
            untraced.append(model)
            continue
        _check_named(model, found, consumer)
        seen.update(model.modules())
        wiring = found
    if wiring is None:
        for model in untraced:
            _check_no_other(model, source, consumer)
            seen.update(model.modules())

    weights = {id(weight) for module in seen for weight in module.parameters()}
    for weight in held:
        if weight.ndim == 2 and weight.shape[1] == len(source.weight):
            takes = (
                "all layers that take the neurons, as a list, since the optimizer also trains a "
                f"weight of shape {tuple(weight.shape)}, which may take them, too"
            )
            _require(id(weight) in weights, "linear_out", consumer, takes)
    return wiring or Wiring(source, [consumer], [])


def _models_with(layer):
    """The modules in memory that hold a layer, those with the most parts first."""
    things = gc.get_objects()
    # isinstance would ask proxies for their class, and some of them warn.
    kinds = {kind for kind in set(map(type, things)) if issubclass(kind, nn.Module)}
    found = []
    for thing in things:
        if type(thing) not in kinds or thing is layer:
            continue
        # What is being made has no parts yet; what `torch.compile` returned holds another model.
        parts = vars(thing).get("_modules", {})
        if "_orig_mod" not in parts and any(part is layer for part in thing.modules()):
            found.append(thing)
    return sorted(found, key=lambda model: -len(list(model.modules())))


def _check_named(model, found, consumer):
    """Raise ValueError unless a layer is the only one that takes the neurons."""
    if found.consumers != [consumer]:
        source = _name(model, found.source)
        taking = ", ".join(_name(model, each) for each in found.consumers)
        takes = (
            f"all layers that take the neurons of '{source}', which are {taking}; grow(model, "
            f"'{source}', ...) and shrink(model, '{source}', ...) find them"
        )
        _require(False, "linear_out", consumer, takes)


def _check_no_other(model, source, consumer):
    """Raise ValueError if a model that cannot be traced has another layer that fits the source."""
    others = [
        name
        for name, part in model.named_modules()
        if isinstance(part, nn.Linear)
        and part.in_features == source.out_features
        and part not in (source, consumer)
    ]
    takes = (
        f"all layers that take the neurons, as a list, since {type(model).__name__} cannot be "
        f"traced, and {', '.join(others)} may take them, too"
    )
    _require(not others, "linear_out", consumer, takes)

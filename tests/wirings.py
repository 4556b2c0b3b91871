"""Models of every wiring that an MLP has in practice, and what `grow` and `shrink` make of each.

A wiring is a function that returns a model, and the sentence by which it is refused, or "" where it
works. The layer that changes is the first one; it takes 3 inputs and has 8 neurons.
`tests/test_surgery.py` tries them all.
"""

import torch
from torch import nn
from torch.nn import functional as F

WIRINGS = {}


def wiring(refused=""):
    """Add a model to the table, by the name of the function that makes it."""

    def add(make):
        WIRINGS[make.__name__.replace("_", " ")] = (make, refused)
        return make

    return add


def chain(*between, neurons=8, bias=True):
    return nn.Sequential(nn.Linear(3, neurons, bias=bias), *between, nn.Linear(neurons, 2))


def layer_of(net):
    """Return the name of the layer that is to change."""
    names = [name for name, part in net.named_modules() if isinstance(part, nn.Linear)]
    return names[0]


class Net(nn.Module):
    """A trunk and a head, and a `forward` that is given."""

    def __init__(self, forward, **parts):
        super().__init__()
        self.trunk = nn.Linear(3, 8)
        self.head = nn.Linear(8, 2)
        for name, part in parts.items():
            setattr(self, name, part)
        self.compute = forward

    def forward(self, x):
        return self.compute(self, x)


# ------------------------------------------------------------------------------------- these work


@wiring()
def a_chain():
    return chain(nn.ReLU())


@wiring()
def no_activation():
    return chain()


@wiring()
def dropout_in_between():
    return chain(nn.GELU(), nn.Dropout(0.5))


@wiring()
def layers_without_bias():
    return nn.Sequential(nn.Linear(3, 8, bias=False), nn.Tanh(), nn.Linear(8, 2, bias=False))


@wiring()
def equal_widths():
    return nn.Sequential(
        nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8), nn.Linear(8, 2)
    )


@wiring()
def a_norm_of_batches():
    return chain(nn.BatchNorm1d(8), nn.ReLU())


@wiring()
def a_norm_of_batches_without_weights():
    return chain(nn.ReLU(), nn.BatchNorm1d(8, affine=False))


@wiring()
def an_activation_with_a_weight_per_neuron():
    return chain(nn.PReLU(8))


@wiring()
def an_activation_with_one_weight():
    return chain(nn.PReLU())


@wiring()
def two_heads():
    def forward(net, x):
        h = F.relu(net.trunk(x))
        return net.head(h), net.other(h)

    return Net(forward, other=nn.Linear(8, 1))


@wiring()
def heads_after_different_activations():
    def forward(net, x):
        h = net.trunk(x)
        return net.head(h.relu()) + net.other(torch.tanh(h)) + net.third(net.norm(h))

    return Net(
        forward, other=nn.Linear(8, 2), norm=nn.BatchNorm1d(8), third=nn.Linear(8, 1, bias=False)
    )


@wiring()
def a_gate_of_the_same_neurons():
    def forward(net, x):
        h = net.trunk(x)
        return net.head(h * torch.sigmoid(h) - 0.5)

    return Net(forward)


@wiring()
def a_trunk_that_is_called_twice():
    def forward(net, x):
        return net.head(torch.relu(net.trunk(x)) - torch.relu(net.trunk(-x)))

    return Net(forward)


@wiring()
def blocks_within_blocks():
    trunk = nn.Sequential(nn.Linear(3, 8), nn.ReLU())
    net = nn.Sequential(nn.ModuleDict({"a": trunk})["a"], nn.Sequential(nn.Linear(8, 2)))
    return nn.Sequential(net, nn.Linear(2, 1))


class Squared(nn.Module):
    def forward(self, x):
        return torch.square(F.leaky_relu(x, 0.2))


@wiring()
def an_activation_of_ones_own():
    return chain(Squared())


@wiring()
def double_precision():
    return chain(nn.SiLU()).double()


@wiring()
def a_layer_that_counted_its_inputs():
    net = nn.Sequential(nn.LazyLinear(8), nn.ReLU(), nn.LazyLinear(2))
    net(torch.zeros(1, 3))
    return net


# -------------------------------------------------------------------------------- these are refused


@wiring("'1' is 'LayerNorm'; it takes nothing from the neurons of '0'")
def a_norm_over_the_neurons():
    return chain(nn.LayerNorm(8), nn.ReLU())


@wiring("'softmax'; it takes nothing from the neurons of 'trunk'")
def a_softmax():
    return Net(lambda net, x: net.head(F.softmax(net.trunk(x), -1)))


@wiring("'1' is 'BatchNorm1d'; it takes the neurons of '0', all of them, and its averages with")
def a_norm_that_averages_over_all_batches():
    return chain(nn.BatchNorm1d(8, momentum=None))


@wiring("'add'; it takes the neurons of 'trunk' without other tensors")
def a_sum_with_something_else():
    return Net(lambda net, x: net.head(net.trunk(x) + net.skip(x)), skip=nn.Linear(3, 8))


@wiring("'mul'; it takes the neurons of 'trunk' without other tensors")
def a_gain_per_neuron():
    gain = nn.Parameter(torch.ones(8))
    return Net(lambda net, x: net.head(net.trunk(x) * net.gain), gain=gain)


@wiring("'cat'; it takes the neurons of 'trunk' without other tensors")
def neurons_beside_inputs():
    joined = nn.Linear(11, 2)
    return Net(lambda net, x: net.joined(torch.cat([net.trunk(x), x], 1)), joined=joined)


@wiring("'reshape'; it takes another step after the neurons of 'trunk'")
def neurons_in_another_shape():
    return Net(lambda net, x: net.head(net.trunk(x).reshape(-1, 8)))


@wiring("what the model returns is 'trunk'; it takes")
def neurons_that_the_model_returns():
    def forward(net, x):
        h = net.trunk(x)
        return net.head(h), h

    return Net(forward)


@wiring("it takes a layer whose neurons another Linear layer of the model takes")
def a_layer_that_is_not_called():
    return Net(lambda net, x: net.head(F.pad(x, (0, 5))))


@wiring("it takes a layer that takes nothing but the neurons")
def a_head_that_also_takes_something_else():
    def forward(net, x):
        return net.head(torch.relu(net.trunk(x))) + net.head(net.skip(x))

    return Net(forward, skip=nn.Linear(3, 8))


@wiring("it takes weights that it does not share")
def a_weight_that_two_layers_share():
    again = nn.Linear(3, 8)
    net = Net(lambda net, x: net.head(net.trunk(x)).sum(1) + net.again(x).sum(1), again=again)
    again.weight = net.trunk.weight
    return net


@wiring("is 'ParametrizedLinear'; it takes a plain Linear")
def a_weight_that_is_computed():
    net = chain(nn.ReLU())
    nn.utils.parametrizations.weight_norm(net[0])
    return net


@wiring("it takes a layer that knows its inputs; call the model once before")
def a_layer_that_has_not_counted_its_inputs():
    return nn.Sequential(nn.LazyLinear(8), nn.ReLU(), nn.LazyLinear(2))


@wiring("it takes one without hooks")
def a_weight_with_a_hook():
    net = chain(nn.ReLU())
    net[0].weight.register_hook(torch.clone)
    return net


@wiring("model is 'Net'; it takes consumers=[...], the names of all layers")
def a_path_that_depends_on_the_numbers():
    def forward(net, x):
        h = net.trunk(x)
        if x.sum() > 0:
            h = h.relu()
        return net.head(h)

    return Net(forward)

"""Properties of growing and shrinking, tried on layers of shapes that hypothesis makes up."""

import torch
from hypothesis import given
from hypothesis import strategies as st
from strategies import SEEDS

from growkit import surgery

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

    surgery.grow(hidden, output, n)
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

    kept = surgery.shrink(hidden, output, n)
    gone = [k for k in range(shape["neurons"]) if k not in kept.tolist()]
    assert len(gone) == n
    assert kept.tolist() == sorted(kept.tolist())
    assert norms[gone].max() <= norms[kept].min()

    whole_hidden, whole_output = layers(**shape)
    with torch.no_grad():
        whole_output.weight[:, gone] = 0
        expected = whole_output(torch.tanh(whole_hidden(x)))
        torch.testing.assert_close(output(torch.tanh(hidden(x))), expected)

"""Growth: the gates of both methods and their slopes, the names of the arms, and the fields."""

import math

import numpy as np
import pytest
import torch

import growlib
from growkit import studies

WIDTH = 10

# --------------------------------------------------------------------------------- auxiliary weight


@pytest.mark.parametrize(
    "n, gate, slope",
    [
        (-3, 0, 0),
        (-1e-9, 0, 0),
        (0, 0, 0),
        (0.25, math.sin(math.pi / 8) ** 2, math.pi / 2 * math.sin(math.pi / 4)),
        (0.5, 0.5, math.pi / 2),
        (1, 1, 0),
        (1 + 1e-9, 1, 0),
        (7, 1, 0),
    ],
)
def test_gate_and_its_slope_on_the_step_at_both_ends_and_beyond(n, gate, slope):
    n = torch.tensor(float(n), dtype=torch.float64)
    assert growlib.staircase(n).item() == pytest.approx(gate, abs=1e-15)
    assert growlib.staircase_slope(n).item() == pytest.approx(slope, abs=1e-15)


def test_slope_is_the_gates_derivative():
    n = torch.linspace(-0.5, 1.5, 401, dtype=torch.float64)
    h = 1e-6
    rise = (growlib.staircase(n + h) - growlib.staircase(n - h)) / (2 * h)
    assert (rise - growlib.staircase_slope(n)).abs().max() < 1e-5


def test_neuron_m_opens_between_m_minus_1_and_m():
    gates = growlib.AuxiliaryWeight().gate(torch.tensor([0.0, 1.0, 2.5, 9.0]), 9).T
    assert gates[0].tolist() == [0] * 9
    assert gates[1].tolist() == [1] + [0] * 8
    assert gates[2].tolist() == pytest.approx([1, 1, 0.5] + [0] * 6)
    assert gates[3].tolist() == [1] * 9


def test_reversed_opens_the_last_neuron_first_and_shared_opens_all_at_once():
    size = torch.tensor([0.0, 0.5, 2.3, 5.0], dtype=torch.float64)
    first, last, shared = (
        growlib.AuxiliaryWeight(mask=mask).gate(size, 5)
        for mask in ("staircase", "reversed", "shared")
    )
    torch.testing.assert_close(last, first.flip(0))
    torch.testing.assert_close(shared, growlib.staircase(size / 5).expand(5, -1))


def test_steps_open_at_once_when_their_time_comes():
    growth = growlib.AuxiliaryWeight(mask="steps")
    size = torch.tensor([-1, 0, 1e-9, 1, 1.2, 2, 2.5, 9], dtype=torch.float64)
    open_neurons = growth.gate(size, 3).sum(0)
    assert open_neurons.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert set(growth.gate(size, 3).ravel().tolist()) == {0, 1}
    assert (growth.slope(size, 3) == 0).all()


@pytest.mark.parametrize("opens", ["neurons", "rate", "nothing", "training"])
def test_a_gate_is_shut_or_not_whatever_it_acts_on(opens):
    growth = growlib.AuxiliaryWeight(opens=opens)
    shut = growth.shut(torch.tensor([0.0, 1.0, 1.1]), 2)
    assert shut.tolist() == [[True, False, False], [True, True, False]]


# ---------------------------------------------------------------------------------- controller mask


def controller_value_of(p):
    """Return the controller's value s at which sin²(πs/2) is p."""
    return 2 / np.pi * np.arcsin(np.sqrt(p))


def mask_of_paper(s, width, mask):
    """Return the gates of one network at the controller's value s, as the paper states them."""
    p = np.sin(np.pi * s / 2) ** 2
    if mask == "shared":
        return np.full(width, p)

    gates = np.zeros(width)
    whole = int(p * width)
    gates[:whole] = 1
    if whole < width:
        gates[whole] = p * width - whole
    return gates


# Both ends and values between them, and values just behind each boundary between two neurons.
CONTROLLER_VALUES = [0, 1e-5, 0.3, 0.5, 0.77, 1, *controller_value_of(np.arange(1, 10) / 10 + 1e-9)]


@pytest.mark.parametrize("mask", ["shared", "neuron"])
@pytest.mark.parametrize("s", CONTROLLER_VALUES)
def test_mask_is_the_papers(mask, s):
    growth = growlib.ControllerMask(mask=mask)
    gates = growth.gate(torch.tensor([s], dtype=torch.float64), WIDTH)[:, 0]
    np.testing.assert_allclose(gates, mask_of_paper(s, WIDTH, mask), atol=1e-12)


@pytest.mark.parametrize("mask", ["shared", "neuron"])
@pytest.mark.parametrize("k", range(10))
def test_slope_is_the_derivative_on_either_side_of_every_boundary(mask, k):
    growth = growlib.ControllerMask(mask=mask)
    h = 1e-7
    for p in ((k + 0.01) / 10, (k + 0.99) / 10):
        s = torch.tensor([controller_value_of(p)], dtype=torch.float64)
        expected = (growth.gate(s + h, WIDTH) - growth.gate(s - h, WIDTH)) / (2 * h)
        np.testing.assert_allclose(growth.slope(s, WIDTH), expected, atol=1e-5)


@pytest.mark.parametrize("mask", ["shared", "neuron"])
def test_slope_is_zero_at_both_ends(mask):
    ends = torch.tensor([0.0, 1.0], dtype=torch.float64)
    slope = growlib.ControllerMask(mask=mask).slope(ends, WIDTH)
    np.testing.assert_allclose(slope, 0, atol=1e-14)


@pytest.mark.parametrize("field", ["start", "target"])
def test_a_controller_opens_no_more_than_every_neuron(field):
    assert getattr(growlib.ControllerMask(**{field: 1.0}), field) == 1
    message = rf"{field} is 1\.01; it takes at most 1, where every neuron takes part"
    with pytest.raises(ValueError, match=message):
        growlib.ControllerMask(**{field: 1.01})
    # The other fields have no such bound.
    growlib.ControllerMask(coupling=1.01, speed=2.0, feeds=3.0, start_noise=4.0)


# ------------------------------------------------------------------------------------- both methods


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    "growth, size",
    [
        (growlib.AuxiliaryWeight(mask="shared"), [-1.0, 0, 9, 12]),
        (growlib.AuxiliaryWeight(mask="staircase"), [0.0, 9]),
        (growlib.AuxiliaryWeight(mask="reversed"), [0.0, 9]),
        (growlib.ControllerMask(mask="neuron"), [0.0, 1]),
    ],
    ids=["shared", "staircase", "reversed", "neuron"],
)
def test_a_gate_that_is_shut_or_fully_open_has_a_slope_of_exactly_0(growth, size, dtype):
    assert (growth.slope(torch.tensor(size, dtype=dtype), 9) == 0).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_staircase_has_a_slope_of_exactly_0_beyond_its_step(dtype):
    # The formula alone would give 1.2e-16 at 1, since that is what sin π gives.
    n = torch.tensor([-1, 0, 1, 2], dtype=dtype)
    assert growlib.staircase_slope(n).tolist() == [0, 0, 0, 0]


def test_every_network_has_gates_of_its_own():
    size = torch.tensor([0.0, 0.5, 1.0])
    gates_of_two_neurons = {
        "shared": [[0.0, 0.5, 1], [0.0, 0.5, 1]],
        "neuron": [[0.0, 1, 1], [0.0, 0, 1]],
    }
    for mask, gates in gates_of_two_neurons.items():
        growth = growlib.ControllerMask(mask=mask)
        torch.testing.assert_close(growth.gate(size, 2), torch.tensor(gates))
        assert growth.slope(size, 2).shape == (2, 3)
    assert growlib.AuxiliaryWeight(mask="shared").gate(size, 2).shape == (2, 3)
    assert growlib.AuxiliaryWeight(opens="rate").acts(size, 2).shape == (2, 3)


# ---------------------------------------------------------------------------------- arms and fields


@pytest.mark.parametrize(
    "fields, arm",
    [
        ({}, "growing"),
        ({"start": 5.0}, "grown"),
        ({"start": 5.0, "frozen": True}, "static"),
        ({"start": 7.5}, "growing"),
        ({"target": 8.0}, "growing"),
        ({"mask": "shared"}, "growing"),
        ({"opens": "rate"}, "growing"),
        ({"target": 0.0}, "grown"),
    ],
    ids=str,
)
def test_an_arm_has_its_name(fields, arm):
    found = growlib.AuxiliaryWeight(**fields).arm()
    assert found == arm
    assert isinstance(found, str)


def test_arms_of_many_networks_are_named_one_by_one():
    growth = growlib.AuxiliaryWeight(
        start=np.array([0.0, 5.0, 5.0]), frozen=np.array([False, False, True])
    )
    assert growth.arm().tolist() == ["growing", "grown", "static"]


def test_controls_at_their_defaults_are_not_mentioned():
    described = studies._described({"growth": growlib.AuxiliaryWeight()})["growth"]
    assert set(described) == {"method", "start", "target", "coupling", "frozen"}

    controlled = growlib.AuxiliaryWeight(feeds=0.2, mask="shared")
    described = studies._described({"growth": controlled})["growth"]
    assert described["feeds"] == 0.2
    assert described["mask"] == "shared"
    assert "speed" not in described


def test_repr_of_a_growth_shows_controls_that_are_not_at_their_defaults():
    plain = "AuxiliaryWeight(start=0.0, target=5.0, coupling=0.1, frozen=False"
    assert repr(growlib.AuxiliaryWeight()) == plain + ")"
    assert repr(growlib.AuxiliaryWeight(feeds=0.2)) == plain + ", feeds=0.2)"

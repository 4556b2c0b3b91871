"""The method itself, against formulas written independently of growlib's."""

import math

import numpy as np
import pytest
import torch
from scipy import special

import growlib

GROWTH = growlib.AuxiliaryWeight()
SIZES = (0.0, 0.3, 1.0, 2.5, 4.7, 5.0, 5.6, 8.9)


def theta_of_paper(n):
    """θ(n) as PAPER states it, in NumPy: 0 below 0, sin²(πn/2) on the step, 1 above."""
    return 0.0 if n < 0 else 1.0 if n > 1 else math.sin(math.pi * n / 2) ** 2


def y_of_paper(size, b, u, w, v, c, x):
    """ŷ(x) of one network, term by term."""
    y = np.full_like(x, c)
    for m in range(1, len(b) + 1):
        y += (
            v[m - 1]
            * theta_of_paper(size - m + 1)
            * np.tanh(b[m - 1] + u[m - 1] * size + w[m - 1] * x)
        )
    return y


def a_network(size, width=9, seed=0):
    b, u, w, v = np.random.default_rng(seed).uniform(-1, 1, (4, width))
    c = 0.37
    theta = torch.tensor(np.concatenate([[size], b, u, w, [c], v]))[:, None]
    return theta, (size, b, u, w, v, c)


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
    gates = GROWTH.gate(torch.tensor([0.0, 1.0, 2.5, 9.0]), 9).T
    assert gates[0].tolist() == [0] * 9
    assert gates[1].tolist() == [1] + [0] * 8
    assert gates[2].tolist() == pytest.approx([1, 1, 0.5] + [0] * 6)
    assert gates[3].tolist() == [1] * 9


@pytest.mark.parametrize("size", SIZES)
def test_output_is_the_papers_formula(size):
    theta, network = a_network(size)
    x = np.linspace(-1, 1, 17)
    ours = growlib.outputs(theta, torch.tensor(x)[None, :, None], GROWTH, 9)[0, :, 0].numpy()
    np.testing.assert_allclose(ours, y_of_paper(*network, x), atol=1e-14)


def loss_of_paper(network, x, y, kind, coupling=0.1, target=5.0):
    y_hat = y_of_paper(*network, x)
    if kind == "squared":
        task = np.mean((y_hat - y) ** 2)
    else:
        p = 1 / (1 + np.exp(-y_hat))
        task = -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))
    return task + coupling * (network[0] - target) ** 2


@pytest.mark.parametrize("kind", ["squared", "logistic"])
@pytest.mark.parametrize(
    "size", [s for s in SIZES if s % 1]
)  # where the loss is smooth in the size
def test_every_gradient_against_finite_differences(kind, size):
    theta, (size, b, u, w, v, c) = a_network(size)
    rng = np.random.default_rng(1)
    x = rng.uniform(-1, 1, 11)
    y = (x > 0).astype(float) if kind == "logistic" else x**3
    flat = np.concatenate([[size], b, u, w, [c], v])

    def loss(p):
        return loss_of_paper((p[0], p[1:10], p[10:19], p[19:28], p[29:], p[28]), x, y, kind)

    h = 1e-6
    expected = [(loss(flat + h * e) - loss(flat - h * e)) / (2 * h) for e in np.eye(len(flat))]
    ours = written_out(theta, x, y, kind)
    np.testing.assert_allclose(ours, expected, atol=2e-9)


def written_out(theta, x, y, kind, moves=1.0, width=9):
    """The gradient of the whole loss as one step of gradient descent shows it, divided by the learning rate."""
    x, y = (torch.tensor(a)[:, None] for a in (x, y))
    gates, shapes = growlib._gates(GROWTH, theta[0], [width]), growlib.layer_shapes(width)
    gradient = growlib._gradient(
        theta, *gates.chunk(2), x[None], y, 1 / len(x), GROWTH, shapes, kind
    )
    state = torch.cat(
        [theta, torch.zeros_like(theta), gates, theta[:1], torch.zeros_like(theta[:1])]
    )
    knobs = [
        torch.tensor([value], dtype=torch.float64) for value in (2.0**-20, 5.0, 0.1, moves, 1.0)
    ]
    after = growlib._update(
        state, gradient, *knobs, growth=GROWTH, widths=[width], shapes=shapes, optimizer="gd"
    )
    moved, lost, *_ = after.split(growlib._rows_of(shapes, "gd"))
    return ((theta - moved + lost) * 2**20)[:, 0].numpy()


@pytest.mark.parametrize("kind", ["squared", "logistic"])
@pytest.mark.parametrize("size", SIZES)
def test_written_out_gradient_is_autograds(kind, size):
    theta, _ = a_network(size)
    x = np.linspace(-0.9, 1, 13)
    y = (x > 0).astype(float) if kind == "logistic" else x**3

    def loss(theta):
        y_hat = growlib.outputs(theta, torch.tensor(x)[None, :, None], GROWTH, 9)
        return (
            growlib.task_loss(y_hat, torch.tensor(y)[:, None], kind)
            + growlib.size_loss(theta[0], 5.0, 0.1)
        ).sum()

    np.testing.assert_allclose(
        written_out(theta, x, y, kind), torch.func.grad(loss)(theta)[:, 0], atol=1e-9
    )


def test_the_task_loss_reaches_the_size():
    theta, _ = a_network(2.5)
    x = np.linspace(-1, 1, 8)
    both = written_out(theta, x, x**3, "squared")[0]
    size_alone = 2 * 0.1 * (2.5 - 5)
    assert abs(both - size_alone) > 1e-3


def test_a_frozen_size_gets_no_gradient_and_the_others_the_same():
    theta, _ = a_network(5.0)
    x = np.linspace(-1, 1, 8)
    moving, frozen = (written_out(theta, x, x**3, "squared", moves) for moves in (1.0, 0.0))
    assert frozen[0] == 0 and moving[0] != 0
    np.testing.assert_array_equal(moving[1:], frozen[1:])


@pytest.mark.parametrize("size", [0.0, 2.0, 2.5])
def test_neurons_above_the_size_get_no_gradient(size):
    theta, _ = a_network(size)
    x = np.linspace(-1, 1, 8)
    _, (hidden, output) = growlib.unpack(
        torch.tensor(written_out(theta, x, x**3, "squared"))[:, None], growlib.layer_shapes(9)
    )
    shut = math.ceil(size)
    assert (hidden[:, shut:] == 0).all() and (output[1 + shut :] == 0).all()
    if size:
        assert (hidden[:, :shut] != 0).any()


def test_static_at_the_target_is_a_plain_mlp():
    """N0 = N_inf, frozen: five tanh neurons of torch.nn whose input is (N, x)."""
    run = growlib.fit(
        "cubic-1",
        growlib.AuxiliaryWeight(start=5, frozen=True),
        trials=3,
        epochs=20,
        dtype="float64",
        compiled=False,
    )
    x = torch.linspace(-1, 1, 9, dtype=torch.float64)
    for k in range(3):
        _, (hidden, output) = growlib.unpack(run.theta()[:, k : k + 1], growlib.layer_shapes(9))
        plain = torch.nn.Sequential(
            torch.nn.Linear(2, 5), torch.nn.Tanh(), torch.nn.Linear(5, 1)
        ).double()
        plain.load_state_dict(
            {
                "0.weight": hidden[1:, :5, 0].T,
                "0.bias": hidden[0, :5, 0],
                "2.weight": output[1:6, :, 0].T,
                "2.bias": output[0, :, 0],
            }
        )
        with torch.no_grad():
            expected = plain(torch.stack([torch.full_like(x, 5.0), x], dim=1)).numpy()
        np.testing.assert_allclose(run.predict(x)[k], expected, atol=1e-14)
    assert (run.finals["size"] == 5).all()


def test_static_training_is_torchs_own_gradient_descent():
    """Twenty epochs of torch.optim.SGD on the plain network reach the same weights."""
    run = growlib.fit(
        "cubic-1",
        growlib.AuxiliaryWeight(start=5, frozen=True),
        trials=1,
        epochs=20,
        lr=0.05,
        dtype="float64",
        compiled=False,
    )
    theta = growlib.initial_weights(0, [0], 9, growlib.AuxiliaryWeight(start=5))
    _, (hidden, output) = growlib.unpack(theta, growlib.layer_shapes(9))
    plain = torch.nn.Sequential(
        torch.nn.Linear(2, 5), torch.nn.Tanh(), torch.nn.Linear(5, 1)
    ).double()
    plain.load_state_dict(
        {
            "0.weight": hidden[1:, :5, 0].T,
            "0.bias": hidden[0, :5, 0],
            "2.weight": output[1:6, :, 0].T,
            "2.bias": output[0, :, 0],
        }
    )
    optimizer = torch.optim.SGD(plain.parameters(), lr=0.05)
    x, y = (torch.tensor(a[..., :32, :]) for a in growlib.task("cubic-1").draw(0, [0]))
    for _ in range(20):
        optimizer.zero_grad()
        torch.nn.functional.mse_loss(
            plain(torch.cat([torch.full_like(y, 5.0), x[0]], dim=1)), y
        ).backward()
        optimizer.step()
    _, (trained, _) = growlib.unpack(run.theta(), growlib.layer_shapes(9))
    np.testing.assert_allclose(trained[1:, :5, 0].T, plain[0].weight.detach(), atol=1e-12)


def test_adam_is_torchs_adam():
    growth = growlib.AuxiliaryWeight(start=0.5)
    run = growlib.fit(
        "quadratic-1",
        growth,
        trials=2,
        epochs=30,
        lr=0.01,
        optimizer="adam",
        dtype="float64",
        compiled=False,
    )
    theta = growlib.initial_weights(
        0, [0, 1], 9, growlib.AuxiliaryWeight(start=0.5)
    ).requires_grad_()
    optimizer = torch.optim.Adam([theta], lr=0.01)
    x, y = (torch.tensor(a[..., :32, :]) for a in growlib.task("quadratic-1").draw(0, [0, 1]))
    for _ in range(30):
        optimizer.zero_grad()
        loss = growlib.task_loss(
            growlib.outputs(theta, x, GROWTH, 9), y, "squared"
        ) + growlib.size_loss(theta[0], 5.0, 0.1)
        loss.sum().backward()
        optimizer.step()
    np.testing.assert_allclose(run.weights, theta.detach(), atol=1e-12)


@pytest.mark.parametrize(
    "name, orders, low, high",
    [("bessel-j0", [0], 0.1, 0.2), ("bessel-sum", [0, 1, 2], -2 * math.pi, 2 * math.pi)],
)
def test_bessel_targets_are_the_bessel_functions_stretched_to_the_square(name, orders, low, high):
    target = growlib.task(name).target
    x = np.linspace(-1, 1, 200_001)
    y = target(x)
    raw = sum(special.jv(n, low + (x + 1) / 2 * (high - low)) for n in orders)
    assert y.min() == pytest.approx(-1, abs=1e-9) and y.max() == pytest.approx(1, abs=1e-9)
    assert np.abs(y).max() <= 1 + 1e-12
    slope, offset = np.polyfit(raw, y, 1)
    np.testing.assert_allclose(slope * raw + offset, y, atol=1e-9)
    assert slope > 0


@pytest.mark.parametrize(
    "name, points, slopes",
    [
        ("cubic-1", {-1: 1, 1: 1, 1 / 3: -2 / 3}, {1 / 3: 0}),
        ("cubic-2", {-1: -1, 1: -1, 1 / 3: 2 / 3}, {1 / 3: 0}),
        ("quadratic-1", {-1: 1, 1: -1, 0: -1 / 5}, {}),
        ("quadratic-2", {-1: 1, 1: -1 / 2}, {1 / 2: 0}),
    ],
)
def test_polynomials_hit_the_papers_conditions(name, points, slopes):
    target = growlib.task(name).target
    for x, y in points.items():
        assert target(x) == pytest.approx(y, abs=1e-12)
    for x, slope in slopes.items():
        assert (target(x + 1e-6) - target(x - 1e-6)) / 2e-6 == pytest.approx(slope, abs=1e-8)


def test_classes_take_turns_on_the_line():
    target = growlib.task("square-wave").target
    assert target(np.array([-0.75, -0.25, 0.25, 0.75])).tolist() == [1, 0, 1, 0]
    assert target(np.array([-1.0, 0.0])).tolist()[1] == 1


def test_data_sets_have_the_papers_sizes_and_range():
    for name, train, test in [("bessel-j0", 32, 8), ("square-wave", 40, 10)]:
        task = growlib.task(name)
        x, y = task.draw(0, range(50))
        assert (task.train_points, task.test_points) == (train, test) and x[0].shape == y.shape == (
            train + test,
            50,
        )
        assert x.min() >= -1 and x.max() <= 1 and x.std() == pytest.approx(3**-0.5, rel=0.03)

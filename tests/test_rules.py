"""The rules for newborn neurons, against their equations and cases worked by hand."""

from dataclasses import replace

import numpy as np
import pytest
import scipy
import torch
from sklearn.linear_model import OrthogonalMatchingPursuit
from torch.utils.flop_counter import FlopCounterMode

import growlib
from growkit import growths, rules, tasks

# Losses with a number of outputs for each.
LOSSES = [("squared", 1), ("logistic", 1), ("softmax", 3)]
SPREAD = 3**-0.5  # of first incoming weights
COPYING = ("split", "variance-transfer", "variance-rescaled")
BESSEL = tasks.benchmark_task("bessel-sum")
MOONS = tasks.benchmark_task("two-moons")


def site_of(loss="squared", outputs=1, count=1, points=20, inputs=2, neurons=4, is_open=3):
    """Return three random networks of four neurons, of which the first three are open."""
    generator = np.random.default_rng(0)
    networks = 3

    def normal(*shape):
        return torch.from_numpy(generator.standard_normal((networks, *shape)))

    y = normal(points)
    if loss != "squared":
        classes = max(2, outputs)
        y = torch.from_numpy(generator.integers(0, classes, (networks, points)).astype(float))
    return rules.Site(
        x=torch.cat([torch.ones(networks, points, 1), normal(points, inputs)], 2),
        y=y,
        loss=loss,
        incoming=normal(1 + inputs, neurons),
        outgoing=normal(neurons, outputs),
        biases=normal(outputs),
        open=(torch.arange(neurons) < is_open).expand(networks, -1),
        first_incoming=SPREAD * normal(1 + inputs, count),
        first_outgoing=normal(count, outputs),
        spread=SPREAD,
        generators=[np.random.default_rng([7, k]) for k in range(networks)],
    )


def answers_after(site, born):
    """Return the answers of the networks with their newborn neurons, (T, P, O)."""
    incoming = site.incoming if born.old_incoming is None else born.old_incoming
    outgoing = site.outgoing if born.old_outgoing is None else born.old_outgoing
    neurons = torch.tanh(site.x @ incoming) * site.open[:, None]
    newborn = torch.tanh(site.x @ born.incoming)
    answers = site.biases[:, None] + neurons @ outgoing + newborn @ born.outgoing
    if born.grows is None:
        return answers
    return torch.where(born.grows[:, None, None], answers, site.answers)


def open_features(site, network):
    """Return 1 and the outputs of the open neurons of one network, (P, 1 + n)."""
    x, incoming = site.x[network].numpy(), site.incoming[network].numpy()
    return np.column_stack([np.ones(len(x)), np.tanh(x @ incoming[:, site.open[network]])])


def left_by_least_squares(features, values):
    """Return what the best sum of features does not give of values, (P, n)."""
    return values - features @ np.linalg.lstsq(features, values, rcond=None)[0]


def with_best_output_layer(site):
    """Return the site with the output layers that give the least squared error."""
    outgoing, biases = site.outgoing.clone(), site.biases.clone()
    for k, is_open in enumerate(site.open):
        y = site.y[k, :, None].numpy()
        best = np.linalg.lstsq(open_features(site, k), y, rcond=None)[0]
        biases[k] = torch.from_numpy(best[0])
        outgoing[k, is_open] = torch.from_numpy(best[1:])
    return replace(site, outgoing=outgoing, biases=biases)


def same(a, b, atol=1e-12):
    """Assert that two tensors are equal up to rounding."""
    np.testing.assert_allclose(a, b, rtol=0, atol=atol)


# ---------------------------------------------------------------------------------- what rules see


@pytest.mark.parametrize("loss, outputs", LOSSES)
def test_the_pull_is_minus_the_gradient_of_the_summed_loss(loss, outputs):
    site = site_of(loss, outputs)
    answers = site.answers.clone().requires_grad_()
    of_networks = growlib.task_loss(answers.permute(2, 1, 0), site.y.T, loss)
    same(of_networks.detach(), site.losses(site.answers))
    [gradient] = torch.autograd.grad(of_networks.sum(), answers)
    same(site.pull, -site.points * gradient)


def test_the_error_is_the_truth_less_what_is_answered():
    site = site_of()
    same(site.error, site.y[..., None] - site.answers)
    site = site_of("logistic")
    probability = scipy.special.expit(site.answers.numpy())
    same(site.error, site.y[..., None].numpy() - probability)
    site = site_of("softmax", 3)
    truth = np.eye(3)[site.y.long().numpy()]
    probability = scipy.special.softmax(site.answers.numpy(), axis=2)
    same(site.error, truth - probability)


def test_shut_neurons_have_no_part_in_the_answers():
    site = site_of()
    assert (site.neurons[:, :, 3] == 0).all()
    for k in range(3):
        weights = np.concatenate([site.biases[k : k + 1], site.outgoing[k, :3]])
        same(site.answers[k], open_features(site, k) @ weights)
    assert site.old.tolist() == [3, 3, 3]


def test_beyond_is_what_least_squares_leaves_and_ignores_shut_neurons():
    site = site_of()
    generator = np.random.default_rng(1)
    values = generator.standard_normal((3, 20, 5))
    of_shut = np.tanh(site.x.numpy() @ site.incoming.numpy()[:, :, [3]])
    values = np.concatenate([values, of_shut], 2)
    beyond = site.beyond(torch.from_numpy(values))
    for k in range(3):
        same(beyond[k], left_by_least_squares(open_features(site, k), values[k]), 1e-10)


def test_neurons_that_repeat_each_other_have_no_part_beyond_that_is_not_a_number():
    site = site_of()
    twins = site.incoming.clone()
    twins[:, :, 1] = twins[:, :, 0]
    site = replace(site, incoming=twins)
    beyond = site.beyond(site.error)
    for k in range(3):
        features = open_features(site, k)[:, [0, 1, 3]]
        same(beyond[k], left_by_least_squares(features, site.error[k].numpy()), 1e-10)


# ----------------------------------------------------------------------------------- what all share


@pytest.mark.parametrize(
    "name", ["random", "variance-transfer", "gradmax", "best-candidate", "north-select"]
)
@pytest.mark.parametrize("loss, outputs", [("squared", 1), ("softmax", 3)])
def test_some_rules_change_no_answer(name, loss, outputs):
    count = 2 if name == "variance-transfer" else 1
    site = site_of(loss, outputs, count)
    born = rules.RULES[name](site, count)
    assert born.old_incoming is None and born.old_outgoing is None
    assert born.incoming.shape == (3, 3, count)
    assert born.outgoing.shape == (3, count, outputs)
    same(answers_after(site, born), site.answers, 1e-15)


def test_as_drawn_and_random_have_the_first_incoming_weights():
    site = site_of(count=2)
    for rule in (rules.as_drawn, rules.random):
        born = rule(site, 2)
        assert torch.equal(born.incoming, site.first_incoming)
        assert born.operations == 0
    assert torch.equal(rules.as_drawn(site, 2).outgoing, site.first_outgoing)
    assert (rules.random(site, 2).outgoing == 0).all()


# FlopCounterMode counts products of matrices alone. Those here count a little less for them, by the
# product of each bias with 1. They add tanh, norms and decompositions, less than half as much.
@pytest.mark.parametrize("points", [50, 1000])
@pytest.mark.parametrize("name", sorted(set(rules.RULES) - {"as-drawn", "random", *COPYING}))
def test_a_rule_claims_the_operations_of_its_products(name, points, monkeypatch):
    monkeypatch.setattr(rules, "STEPS", 10)
    site = site_of("softmax", 2, points=points, inputs=3, is_open=4)
    with FlopCounterMode(display=False) as counter:
        born = rules.RULES[name](site, 1)
    claimed = torch.as_tensor(born.operations).expand(3).sum().item()
    assert 0.95 < claimed / counter.get_total_flops() < 1.5


def test_what_only_draws_or_copies_claims_no_operations():
    site = site_of(count=2)
    for name in ("as-drawn", "random", "split", "variance-transfer", "variance-rescaled"):
        assert rules.RULES[name](site, 2).operations == 0


@pytest.mark.parametrize("name", rules.RULES)
def test_what_a_rule_does_to_a_network_does_not_depend_on_the_others(name):
    each = 2 if name.startswith("variance") else 1
    growth = growths.Scheduled(start=2.0, target=4.0, rule=name, each=each, fan_in_power=-0.5)
    settings = {"epochs": 30, "width": 4, "dtype": "float64", "lr": 0.01, "optimizer": "adam"}
    together = growlib.fit(MOONS, growth, trials=[0, 1, 2, 3], **settings)
    alone = growlib.fit(MOONS, growth, trials=[2], **settings)
    same(alone.weights[:, 0], together.weights[:, 2], 1e-9)
    assert alone.finals["flops"].item() == together.finals["flops"][2]


# --------------------------------------------------------------------------------- rules that copy


def test_a_copy_takes_two_fifths_of_its_parents_outgoing_weight():
    site = site_of(count=2)
    born = rules.split(site, 2)
    assert born.old_incoming is None
    for k in range(3):
        distance = (born.incoming[k, :, :, None] - site.incoming[k, :, None]).norm(dim=0)  # (k, H)
        parents = distance.argmin(1)
        assert len(set(parents.tolist())) == 2
        assert (parents < 3).all()
        theirs = site.outgoing[k, parents]
        same(born.outgoing[k], 0.4 * theirs)
        same(born.old_outgoing[k, parents], 0.6 * theirs)
        others = [h for h in range(4) if h not in parents]
        assert torch.equal(born.old_outgoing[k, others], site.outgoing[k, others])


def test_copies_have_a_hundredth_of_the_spread_of_incoming_weights_as_noise():
    site = site_of(inputs=2000)
    born = rules.split(site, 1)
    for k in range(3):
        open_weights = site.incoming[k, :, :3]
        noise = born.incoming[k] - open_weights
        noise = noise[:, noise.norm(dim=0).argmin()]
        assert noise.std().item() == pytest.approx(0.01 * open_weights.std().item(), rel=0.1)


def test_every_open_neuron_is_copied_at_times_and_no_shut_one():
    site = replace(site_of(), generators=[np.random.default_rng(k) for k in range(3)])
    parents = []
    for _ in range(20):
        born = rules.split(site, 1)
        distance = (born.incoming - site.incoming).norm(dim=1)
        parents += distance.argmin(1).tolist()
    assert set(parents) == {0, 1, 2}


@pytest.mark.parametrize("loss, outputs", LOSSES)
def test_a_split_without_noise_changes_no_answer(loss, outputs, monkeypatch):
    monkeypatch.setattr(rules, "NOISE_OF_COPIES", 0.0)
    site = site_of(loss, outputs, 2)
    same(answers_after(site, rules.split(site, 2)), site.answers, 1e-14)


TRAINING = {"gd": 0.3, "momentum": 0.1, "adam": 0.03}  # optimizers with their learning rates


def distance_of_twins(optimizer):
    """Return how far incoming weights of a neuron and of its copy are apart after training."""
    growth = growths.Scheduled(start=1.0, target=2.0, rule="split", until=0.0)
    run = growlib.fit(
        BESSEL,
        growth,
        trials=8,
        epochs=600,
        width=2,
        lr=TRAINING[optimizer],
        optimizer=optimizer,
        dtype="float64",
    )
    _, (hidden, _) = growlib.unpack(run.theta(), growlib.layer_shapes(2, 1, 1))
    bias, _, weight = hidden  # the size is no input
    return torch.hypot(bias[0] - bias[1], weight[0] - weight[1])


@pytest.mark.parametrize("optimizer", TRAINING)
def test_twins_part_in_training(optimizer):
    assert (distance_of_twins(optimizer) > 0.1).all()


@pytest.mark.parametrize("optimizer", TRAINING)
def test_equal_twins_would_stay_together(optimizer, monkeypatch):
    monkeypatch.setattr(rules, "NOISE_OF_COPIES", 0.0)
    monkeypatch.setattr(rules, "SHARE_OF_COPY", 0.5)
    assert (distance_of_twins(optimizer) == 0).all()


@pytest.mark.parametrize("optimizer", TRAINING)
def test_unequal_shares_alone_make_twins_part(optimizer, monkeypatch):
    monkeypatch.setattr(rules, "NOISE_OF_COPIES", 0.0)
    assert (distance_of_twins(optimizer) > 0.1).all()


def splitting_matrices(site, network):
    """Return the splitting matrix of each open neuron of one network, summed point by point."""
    answers = site.answers.clone().requires_grad_()
    [gradient] = torch.autograd.grad(site.losses(answers).sum(), answers)
    found = []
    for h in range(3):
        total = np.zeros((3, 3))
        for point in range(20):
            x = site.x[network, point].numpy()
            z = x @ site.incoming[network, :, h].numpy()
            second = -2 * np.tanh(z) / np.cosh(z) ** 2
            pull = gradient[network, point].numpy() @ site.outgoing[network, h].numpy()
            total += pull * second * np.outer(x, x)
        found.append(total)
    return found


@pytest.mark.parametrize("loss, outputs", LOSSES)
def test_splitting_moves_twins_along_the_least_eigenvector_of_the_best_neuron(loss, outputs):
    site = site_of(loss, outputs)
    born = rules.splitting(site, 1)
    for k in range(3):
        values, vectors = zip(*map(np.linalg.eigh, splitting_matrices(site, k)), strict=True)
        parent = int(np.argmin([value[0] for value in values]))
        assert born.grows[k] == (values[parent][0] < 0)
        theirs = site.incoming[k, :, parent]
        aside = born.old_incoming[k, :, parent] - theirs
        assert abs(aside.numpy() @ vectors[parent][:, 0]) == pytest.approx(0.1)
        same(born.incoming[k, :, 0], theirs - aside)
        assert aside.norm().item() == pytest.approx(0.1)
        others = [h for h in range(4) if h != parent]
        assert torch.equal(born.old_incoming[k][:, others], site.incoming[k][:, others])
        assert torch.equal(born.old_outgoing[k, others], site.outgoing[k, others])
        half = site.outgoing[k, parent] / 2
        same(born.old_outgoing[k, parent], half)
        same(born.outgoing[k, 0], half)


def test_splitting_lowers_the_loss_by_half_the_eigenvalue_and_the_squared_step(monkeypatch):
    monkeypatch.setattr(rules, "STEP_OF_SPLITTING", 0.01)
    site = site_of()
    born = rules.splitting(site, 1)
    assert born.grows.all()
    change = site.losses(answers_after(site, born)) - site.losses(site.answers)
    for k in range(3):
        least = min(np.linalg.eigvalsh(matrix)[0] for matrix in splitting_matrices(site, k))
        assert change[k].item() == pytest.approx(0.01**2 * least / 2, rel=0.01)


def test_splitting_changes_answers_by_the_square_of_its_step(monkeypatch):
    changes = []
    for step in (0.02, 0.01):
        monkeypatch.setattr(rules, "STEP_OF_SPLITTING", step)
        site = site_of()
        changes.append((answers_after(site, rules.splitting(site, 1)) - site.answers).norm())
    assert (changes[0] / changes[1]).item() == pytest.approx(4, rel=0.01)


def test_a_network_grows_by_splitting_only_if_an_eigenvalue_is_negative():
    site = site_of()
    incoming = 0.1 * site.incoming
    incoming[:, 0] = 3.0  # all neurons answer about 1, where tanh bends down
    site = replace(site, incoming=incoming, outgoing=site.outgoing.abs())
    above = torch.tensor([1.0, -1.0, 1.0], dtype=torch.float64)  # of the truth above the answers
    site = replace(site, y=site.answers[..., 0] + above[:, None])
    assert rules.splitting(site, 1).grows.tolist() == [False, True, False]


def test_transferred_pairs_are_equal_and_opposite():
    site = site_of("softmax", 3, 4)
    born = rules.variance_transfer(site, 4)
    assert torch.equal(born.incoming[:, :, :2], born.incoming[:, :, 2:])
    assert torch.equal(born.outgoing[:, :2], -born.outgoing[:, 2:])
    assert (born.incoming[:, :, 0] != born.incoming[:, :, 1]).all()


def test_transferred_pairs_have_their_variances():
    site = site_of("softmax", 3, 4000)
    born = rules.variance_transfer(site, 4000)
    assert born.incoming.std().item() == pytest.approx(1 / 2, rel=0.03)
    assert born.outgoing.std().item() == pytest.approx(1 / 4003, rel=0.03)


def test_rescaling_takes_old_outgoing_weights_down_by_the_share_of_old_neurons():
    born = rules.variance_rescaled(site_of("softmax", 3, 2), 2)
    plain = rules.variance_transfer(site_of("softmax", 3, 2), 2)
    assert torch.equal(born.incoming, plain.incoming)
    assert torch.equal(born.outgoing, plain.outgoing)
    same(born.old_outgoing, 3 / 5 * site_of("softmax", 3, 2).outgoing)


# ------------------------------------------------------------------- rules that follow the gradient


@pytest.mark.parametrize("count", [1, 2])
def test_gradmax_makes_the_gradient_largest(count):
    site = site_of("softmax", 3, count)
    born = rules.gradmax(site, count)
    assert (born.incoming == 0).all()

    def squared_gradient(outgoing):
        """Return the squared gradient by the newborn incoming weights, (T,), at 0."""
        incoming = torch.zeros_like(born.incoming, requires_grad=True)
        answers = site.answers + torch.tanh(site.x @ incoming) @ outgoing
        [gradient] = torch.autograd.grad(site.losses(answers).sum(), incoming)
        return gradient.square().sum((1, 2))

    largest = squared_gradient(born.outgoing)
    length = site.outgoing[:, :3].norm(dim=2).mean(1) / 2
    same(born.outgoing @ born.outgoing.mT, torch.eye(count) * length[:, None, None] ** 2)

    generator = np.random.default_rng(1)
    for _ in range(200):
        directions, _ = np.linalg.qr(generator.standard_normal((3, 3, count)))
        others = length[:, None, None] * torch.from_numpy(directions).mT
        assert (squared_gradient(others) <= largest).all()

    values = np.linalg.svd(site.pull.numpy().transpose(0, 2, 1) @ site.x.numpy() / 20)[1]
    same(largest, length.numpy() ** 2 * np.square(values[:, :count]).sum(1))


def test_tiny_gains_the_squared_singular_values_for_a_small_scale(monkeypatch):
    monkeypatch.setattr(rules, "SCALES_OF_TINY", (0.0, 1e-4))
    site = with_best_output_layer(site_of())
    same(site.beyond(site.error), site.error, 1e-9)
    born = rules.tiny(site, 1)
    assert born.grows.all()
    gain = (site.losses(site.answers) - site.losses(answers_after(site, born))) / 1e-4
    for k in range(3):
        x, pull = site.x[k].numpy(), site.pull[k].numpy()
        root = np.linalg.inv(scipy.linalg.sqrtm(x.T @ x / 20))
        values = np.linalg.svd(root @ (x.T @ pull / 20))[1]
        assert gain[k].item() == pytest.approx(values[0] ** 2, rel=2e-3)


def test_tiny_takes_as_many_singular_values_as_neurons(monkeypatch):
    monkeypatch.setattr(rules, "SCALES_OF_TINY", (1e-4,))
    site = site_of("softmax", 3, 2)
    born = rules.tiny(site, 2)
    for k in range(3):
        x, pull = site.x[k].numpy(), site.beyond(site.pull)[k].numpy()
        covariance = x.T @ x / 20
        root = np.linalg.inv(scipy.linalg.sqrtm(covariance))
        u, values, v = np.linalg.svd(root @ (x.T @ pull / 20))
        product = born.incoming[k].numpy() @ born.outgoing[k].numpy()  # whatever their signs
        same(product, 1e-4 * root @ u[:, :2] @ np.diag(values[:2]) @ v[:2], 1e-12)
        lengths = np.diag(born.incoming[k].T.numpy() @ covariance @ born.incoming[k].numpy())
        same(lengths, 1e-4 * values[:2], 1e-12)


def test_a_network_without_error_does_not_grow_by_tiny():
    site = site_of()
    y = site.y.clone()
    y[1] = site.answers[1, :, 0]
    born = rules.tiny(replace(site, y=y), 1)
    assert not born.grows[1]
    assert (born.incoming[1] == 0).all() and (born.outgoing[1] == 0).all()
    assert born.incoming.isfinite().all()


@pytest.mark.parametrize("loss, outputs", LOSSES)
def test_tiny_takes_the_scale_with_the_least_training_loss(loss, outputs, monkeypatch):
    site = site_of(loss, outputs)
    taken = rules.tiny(site, 1)
    losses = [site.losses(site.answers)]
    for scale in rules.SCALES_OF_TINY[1:]:
        with monkeypatch.context() as patch:
            patch.setattr(rules, "SCALES_OF_TINY", (scale,))
            losses.append(site.losses(answers_after(site, rules.tiny(site, 1))))
    losses = torch.stack(losses)
    same(site.losses(answers_after(site, taken)), losses.min(0).values)
    assert torch.equal(taken.grows, losses.argmin(0) > 0)


@pytest.mark.parametrize("loss, outputs", LOSSES)
def test_firefly_lowers_the_loss_and_keeps_the_lengths_of_weights(loss, outputs):
    site = site_of(loss, outputs, 2)
    born = rules.firefly(site, 2)
    same(born.incoming.norm(dim=1), site.first_incoming.norm(dim=1))
    same(born.outgoing.norm(dim=2), site.first_outgoing.norm(dim=2))
    first = rules.as_drawn(site, 2)
    before, after = (site.losses(answers_after(site, each)) for each in (first, born))
    assert (after < before).all()
    assert not born.incoming.requires_grad


# ---------------------------------------------------------------------- rules with candidates


def candidates_of(site, count=64):
    """Return the incoming weights of the drawn candidates of each network, (T, 1 + I, n)."""
    shape = (site.x.shape[2], count)
    drawn = [np.random.default_rng([7, k]).uniform(-1, 1, shape) for k in range(3)]
    return SPREAD * np.stack(drawn)


def chosen_of(site, born):
    """Return which candidates the newborn neurons of each network are, (T, k)."""
    drawn = candidates_of(site)
    equal = (born.incoming.numpy()[:, :, :, None] == drawn[:, :, None]).all(1)  # (T, k, n)
    assert (equal.sum(2) == 1).all()
    return equal.argmax(2)


@pytest.mark.parametrize("rule", [rules.best_candidate, rules.best_candidate_fitted])
def test_the_best_candidate_is_that_of_orthogonal_matching_pursuit(rule):
    site = site_of()
    chosen = chosen_of(site, rule(site, 1))
    outputs = np.tanh(site.x.numpy() @ candidates_of(site))
    target = site.beyond(site.error)
    assert len(set(chosen[:, 0])) > 1
    for k in range(3):
        left = left_by_least_squares(open_features(site, k), outputs[k])
        left /= np.linalg.norm(left, axis=0)
        pursuit = OrthogonalMatchingPursuit(n_nonzero_coefs=1, fit_intercept=False)
        assert np.flatnonzero(pursuit.fit(left, target[k, :, 0].numpy()).coef_) == chosen[k, 0]


@pytest.mark.parametrize("loss, outputs", [("squared", 1), ("softmax", 3)])
def test_further_candidates_leave_the_least_squared_error_beside_the_first(loss, outputs):
    site = site_of(loss, outputs, 3)
    chosen = chosen_of(site, rules.best_candidate(site, 3))
    columns = np.tanh(site.x.numpy() @ candidates_of(site))
    for k in range(3):
        features = open_features(site, k)
        for place in chosen[k]:
            errors = []
            for candidate in columns[k].T:
                more = np.column_stack([features, candidate])
                errors.append(np.square(left_by_least_squares(more, site.error[k].numpy())).sum())
            assert np.argmin(errors) == place
            features = np.column_stack([features, columns[k][:, place]])


@pytest.mark.parametrize("loss, outputs", [("squared", 1), ("softmax", 3)])
def test_a_fitted_candidate_has_the_outgoing_weight_that_lowers_the_error_most(loss, outputs):
    site = site_of(loss, outputs, 2)
    born = rules.best_candidate_fitted(site, 2)
    a = np.tanh(site.x.numpy() @ born.incoming.numpy())
    for k in range(3):
        error = site.error[k].numpy()
        for m in range(2):  # the second is fitted to what the first leaves
            best = np.linalg.lstsq(a[k][:, [m]], error, rcond=None)[0]
            same(born.outgoing[k, m], best[0])
            error = error - a[k][:, [m]] @ best


@pytest.mark.parametrize("loss, outputs", LOSSES)
def test_cascade_trains_candidates_until_they_fit_the_error(loss, outputs):
    site = site_of(loss, outputs, 2)
    born = rules.cascade(site, 2)
    whole = born.outgoing / 0.4
    before = site.error.square().sum((1, 2))
    for m in range(2):
        given = torch.tanh(site.x @ born.incoming[:, :, [m]]) @ whole[:, [m]]
        assert ((site.error - given).square().sum((1, 2)) < 0.95 * before).all()


def test_cascade_installs_the_candidate_that_fits_best(monkeypatch):
    taken = {}

    def watched(weights, loss, hold=None):
        descend(weights, loss, hold)
        taken["weights"] = [weight.clone() for weight in weights]

    descend = rules._descend
    monkeypatch.setattr(rules, "_descend", watched)
    site = site_of()
    born = rules.cascade(site, 1)
    incoming, outgoing = taken["weights"]
    given = torch.tanh(site.x @ incoming) * outgoing.mT  # (T, P, n)
    best = (site.error - given).square().sum(1).argmin(1)
    assert len(set(best.tolist())) > 1
    for k in range(3):
        assert torch.equal(born.incoming[k, :, 0], incoming[k, :, best[k]])
        same(born.outgoing[k, 0], 0.4 * outgoing[k, best[k]])


def covariances(site, incoming):
    """Return the summed absolute covariances of neurons with the error, (T, n)."""
    a = np.tanh(site.x.numpy() @ incoming)
    a = a - a.mean(1, keepdims=True)
    return np.abs(a.transpose(0, 2, 1) @ site.error.numpy() / 20).sum(2)


@pytest.mark.parametrize("loss, outputs", [("squared", 1), ("softmax", 3)])
def test_untrained_the_candidate_with_the_largest_covariance_is_taken(loss, outputs, monkeypatch):
    monkeypatch.setattr(rules, "STEPS", 0)
    site = site_of(loss, outputs)
    born = rules.cascade_covariance(site, 1)
    drawn = candidates_of(site, 8)
    best = covariances(site, drawn).argmax(1)
    for k in range(3):
        assert (born.incoming[k, :, 0].numpy() == drawn[k, :, best[k]]).all()
        a = np.tanh(site.x[k].numpy() @ drawn[k, :, best[k]])
        features = np.column_stack([np.ones(20), a])
        slope = np.linalg.lstsq(features, site.error[k].numpy(), rcond=None)[0][1]
        same(born.outgoing[k, 0], 0.4 * slope)


@pytest.mark.parametrize("loss, outputs", LOSSES)
def test_training_for_covariance_raises_it(loss, outputs):
    site = site_of(loss, outputs)
    born = rules.cascade_covariance(site, 1)
    most = covariances(site, candidates_of(site, 8)).max(1)
    assert (covariances(site, born.incoming.numpy())[:, 0] > most).all()


@pytest.mark.parametrize("compiled", [None, False])
def test_frozen_cascades_keep_incoming_weights_as_they_are_installed(compiled):
    growth = growths.Scheduled(start=1.0, target=3.0, rule="cascade", rests=True, until=0.5)
    run = growlib.fit(
        BESSEL,
        growth,
        trials=3,
        epochs=40,
        width=3,
        lr=0.01,
        optimizer="adam",
        log_every=1,
        keep_weights=True,
        compiled=compiled,
    )
    shapes = growlib.layer_shapes(3, 1, 1)
    joining = {0: 0} | dict.fromkeys(growth.joining(40), 1)
    assert list(joining) == [0, 10, 20]
    for neuron, epoch in enumerate(joining):
        installed, last = (
            growlib.unpack(run.theta(after), shapes)[1][0][:, neuron] for after in (epoch + 1, 40)
        )
        assert torch.equal(installed, last)
        if epoch:
            drawn = growlib.unpack(run.theta(epoch), shapes)[1][0][:, neuron]
            assert (drawn != installed)[[0, 2]].all()
    first, last = (growlib.unpack(run.theta(after), shapes)[1][1] for after in (0, 40))
    assert (first != last).all()


def test_north_takes_what_lies_farthest_from_the_old_neurons():
    site = site_of(count=2)
    born = rules.north_select(site, 2)
    chosen = chosen_of(site, born)
    columns = np.tanh(site.x.numpy() @ candidates_of(site))
    for k in range(3):
        far = np.linalg.norm(left_by_least_squares(open_features(site, k), columns[k]), axis=0)
        assert np.argsort(-far)[:2].tolist() == chosen[k].tolist()


def test_north_grows_only_if_neurons_are_independent():
    site = site_of()
    twins = site.incoming.clone()
    twins[1, :, 1] = twins[1, :, 0]
    born = rules.north_select(replace(site, incoming=twins), 1)
    assert born.grows.tolist() == [True, False, True]


# -------------------------------------------------------------------------- names, and what is said


@pytest.mark.parametrize(
    "name, takes",
    [
        ("gradmx", "one of as-drawn, random, .*, or module:function for a rule of your own"),
        (3, "one of as-drawn"),
        ("no_such_module:rule", "a module that can be imported and a function in it"),
        ("math:no_such_function", "a module that can be imported and a function in it"),
        ("math:pi", "a function of a site and a count"),
    ],
)
def test_an_unknown_rule_is_said(name, takes):
    with pytest.raises(ValueError, match=f"^rule is {name!r}; it takes {takes}"):
        growths.Scheduled(rule=name)


@pytest.mark.parametrize(
    "name, count, takes",
    [
        ("gradmax", 2, "at most 1, the number of singular values"),
        ("tiny", 2, "at most 1, the number of singular values"),
        ("split", 4, "at most 3, the number of neurons that can be copied"),
        ("splitting", 4, "at most 3, the number of neurons that can be copied"),
        ("variance-transfer", 3, "an even number, since neurons join in pairs"),
        ("variance-rescaled", 3, "an even number, since neurons join in pairs"),
    ],
)
def test_a_number_of_neurons_that_a_rule_cannot_give_is_said(name, count, takes):
    site = site_of(count=count, neurons=3 + count)
    with pytest.raises(ValueError, match=f"^each is {count}; it takes {takes}$"):
        rules.RULES[name](site, count)


def test_a_rule_of_ones_own_is_found_by_module_and_function(tmp_path, monkeypatch):
    (tmp_path / "own_rules.py").write_text(
        "import torch\n"
        "from growkit.rules import Born\n"
        "def ones(site, count):\n"
        "    incoming = torch.ones_like(site.first_incoming)\n"
        "    return Born(incoming, 2 * torch.ones_like(site.first_outgoing), 12)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    growth = growths.Scheduled(start=1.0, target=2.0, rule="own_rules:ones")
    settings = {"trials": 2, "epochs": 4, "width": 2, "lr": 1e-30, "keep_weights": True}
    run = growlib.fit(MOONS, growth, **settings)
    _, (hidden, output) = growlib.unpack(run.theta(), growlib.layer_shapes(2, 2, 1))
    assert (hidden[[0, 2, 3], 1] == 1).all()
    assert (output[2] == 2).all()
    plain = growlib.fit(MOONS, replace(growth, rule="random"), **settings)
    assert (run.finals["flops"] - plain.finals["flops"]).tolist() == [12, 12]

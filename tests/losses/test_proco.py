"""ProCo: Bessel ratios against SciPy, the loss against loops and against sampling, its running estimates by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import special
from torch.nn import functional as F

from ltlib import losses
from ltlib.errors import SettingError
from ltlib.losses import ProCo, bessel

COUNTS = [40, 9, 2]


def log_h(order: float, x: float) -> float:
    """log I_v(x) / x^v by SciPy."""
    return math.log(special.ive(order, x)) + x - order * math.log(x)


# --- Bessel functions ------------------------------------------------------------------------------------------------


def test_the_first_polynomials_are_the_printed_ones():
    """DLMF 10.41.10: U_1 and U_2, and U_3 of Abramowitz and Stegun 9.3.9."""
    first, second, third = bessel.debye()[:3]
    assert [24 * c for c in first] == pytest.approx([3, -5])
    assert [1152 * c for c in second] == pytest.approx([81, -462, 385])
    assert [414720 * c for c in third] == pytest.approx([30375, -369603, 765765, -425425])


@pytest.mark.parametrize("dimension", [2, 3, 4, 8, 16, 49, 64, 128, 256])
def test_ratios_are_scipys(dimension):
    order, generator = dimension / 2 - 1, np.random.default_rng(dimension)
    low = 2 if dimension > 64 else 0.01  # below it SciPy underflows
    x = np.exp(generator.uniform(math.log(low), math.log(1e4), 400))
    y = np.maximum(x + generator.uniform(-10, 10, 400), low)
    expected = [log_h(order, b) - log_h(order, a) for a, b in zip(x, y, strict=True)]
    squared, change = torch.from_numpy(x**2), torch.from_numpy(y**2 - x**2)
    found = bessel.log_ratio(order, squared, change)
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64), rtol=1e-11, atol=1e-11)
    single = bessel.log_ratio(order, squared.float(), change.float())
    torch.testing.assert_close(single.double(), found, rtol=0, atol=2e-4)


def test_the_ratio_from_zero_is_the_series():
    """h(0) = 1 / (2^v Gamma(v + 1))."""
    for order in (0.5, 3.0, 63.0):
        found = bessel.log_ratio(order, torch.zeros(1).double(), torch.tensor([16.0]).double())
        expected = log_h(order, 4.0) + order * math.log(2) + math.lgamma(order + 1)
        assert found.item() == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("order", [1.0, 63.0])
def test_a_ratios_gradient_is_that_of_bessel_functions(order):
    """d log h_v(x) / d(x^2) = h_{v+1}(x) / (2 h_v(x)), by SciPy."""
    change = torch.tensor([0.5, 30.0, 900.0], dtype=torch.float64, requires_grad=True)
    squared = torch.tensor([9.0, 100.0, 2500.0], dtype=torch.float64)
    bessel.log_ratio(order, squared, change).sum().backward()
    x = (squared + change.detach()).sqrt().tolist()
    expected = [special.ive(order + 1, v) / special.ive(order, v) / v / 2 for v in x]
    assert change.grad.tolist() == pytest.approx(expected, rel=1e-9)


def test_large_concentrations_keep_their_digits_in_float32():
    """Where each logarithm of its own has lost them: kappa 1e5, log h about 1e5, whose last bit in float32 is 0.008."""
    kappa, cosines = 1e5, torch.tensor([-1.0, -0.3, 0.2, 1.0])
    change = 20 * kappa * cosines + 100
    exact = bessel.log_ratio(63.0, torch.tensor(kappa**2).double(), change.double())
    torch.testing.assert_close(
        bessel.log_ratio(63.0, torch.tensor(kappa**2), change).double(), exact, rtol=1e-5, atol=0
    )
    assert exact.abs().max() < 11


# --- the loss --------------------------------------------------------------------------------------------------------


def in_loops(features, targets, means, temperature):
    """The formula, sample by sample and class by class, with SciPy's Bessel functions."""
    p, values = features.shape[1], []
    order = p / 2 - 1
    for z, y in zip(features.tolist(), targets.tolist(), strict=True):
        size = math.sqrt(math.fsum(v * v for v in z))
        logits = []
        for mean, count in zip(means.tolist(), COUNTS, strict=True):
            r = math.sqrt(math.fsum(v * v for v in mean))
            kappa = r * (p - r * r) / (1 - r * r)
            moved = [kappa * m / r + v / size / temperature for m, v in zip(mean, z, strict=True)]
            tilde = math.sqrt(math.fsum(v * v for v in moved))
            logits.append(log_h(order, tilde) - log_h(order, kappa) + math.log(count / sum(COUNTS)))
        top = max(logits)
        values.append(top + math.log(math.fsum(math.exp(v - top) for v in logits)) - logits[y])
    return values


def made(width: int, temperature: float = 0.1) -> ProCo:
    loss = losses.create("proco", COUNTS, width=width, temperature=temperature)
    assert isinstance(loss, ProCo)
    return loss.double()


@pytest.mark.parametrize("width", [4, 16, 128])
@pytest.mark.parametrize("temperature", [0.07, 0.1, 1.0])
def test_equals_the_formula(width, temperature):
    generator = torch.Generator().manual_seed(width)
    features = torch.randn(9, width, dtype=torch.float64, generator=generator)
    targets = torch.tensor([0, 0, 0, 0, 1, 1, 2, 0, 1])
    loss = made(width, temperature).eval()
    loss.means.copy_(torch.tensor([0.3, 0.7, 0.95])[:, None] * F.normalize(loss.means, dim=1))
    expected = in_loops(features, targets, loss.means, temperature)
    torch.testing.assert_close(loss.per_sample(features, targets).tolist(), expected, rtol=1e-9, atol=1e-9)
    assert float(loss(features, targets)) == pytest.approx(math.fsum(expected) / 9, rel=1e-9)


def test_it_is_the_contrastive_loss_of_infinitely_many_samples():
    """Proposition of the paper: with samples drawn from the distributions, n_c of class c, the supervised contrastive
    denominator and numerator tend to the two expectations. In three dimensions they can be drawn exactly."""
    p, t, many = 3, 0.5, 400_000
    loss = losses.create("proco", [60, 30, 10], width=p, temperature=t).double().eval()
    directions = F.normalize(torch.tensor([[1.0, 0.2, 0], [0, 1, 0.5], [-0.4, 0.1, 1]]).double(), dim=1)
    r = torch.tensor([0.5, 0.8, 0.9]).double()
    loss.means.copy_(r[:, None] * directions)
    kappa = r * (p - r**2) / (1 - r**2)
    z = F.normalize(torch.tensor([[0.5, 0.5, 0.1], [-1.0, 0.3, 0.2]]).double(), dim=1)
    generator, means = torch.Generator().manual_seed(0), []
    for mu, k in zip(directions, kappa.tolist(), strict=True):
        u = torch.rand(many, dtype=torch.float64, generator=generator)
        w = 1 + (u + (1 - u) * math.exp(-2 * k)).log() / k  # the cosine with mu; exact for the sphere in space
        across = torch.randn(many, p, dtype=torch.float64, generator=generator)
        across = F.normalize(across - (across @ mu)[:, None] * mu, dim=1)
        samples = w[:, None] * mu + (1 - w**2).clamp(min=0).sqrt()[:, None] * across
        means.append((z @ samples.T / t).exp().mean(1))
    expectation = torch.stack(means, 1) * torch.tensor([0.6, 0.3, 0.1])
    for y in range(3):
        expected = -(expectation[:, y] / expectation.sum(1)).log()
        found = loss.per_sample(z, torch.full((2,), y))
        torch.testing.assert_close(found, expected, rtol=0.01, atol=0.005)


def test_gradient_is_the_numerical_one():
    loss = made(6, 0.5).eval()
    features = torch.randn(5, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1), requires_grad=True)
    assert torch.autograd.gradcheck(lambda z: loss(z, torch.tensor([0, 1, 2, 0, 0])), (features,))


def test_means_are_those_of_the_last_epoch_and_of_this_one_so_far():
    """By hand, in the plane: two epochs of two batches."""
    loss = made(2)
    start = loss.means.clone()
    torch.testing.assert_close(start.norm(dim=1), torch.full((3,), 0.9).double())
    right, up, left = torch.tensor([[1.0, 0], [0, 1], [-1, 0]]).double()
    loss.set_epoch(1, 3)
    loss(torch.stack([right, up, right]), torch.tensor([0, 0, 1]))
    torch.testing.assert_close(loss.means, torch.stack([(right + up) / 2, right, start[2]]))
    loss(torch.stack([left * 7, up]), torch.tensor([0, 2]))  # only directions count
    torch.testing.assert_close(loss.means, torch.stack([up / 3, right, up]))
    assert loss.seen.tolist() == [3, 1, 1]
    loss.set_epoch(2, 3)
    torch.testing.assert_close(loss.means, torch.stack([up / 3, right, up]))
    assert loss.next_seen.tolist() == [0, 0, 0]
    loss(torch.stack([up]), torch.tensor([0]))
    torch.testing.assert_close(loss.means[0], (up + up) / 4)  # three of the last epoch and one of this
    loss.set_epoch(3, 3)
    torch.testing.assert_close(loss.means, torch.stack([up, start[1], start[2]]))  # of the last epoch alone
    kept = loss.means.clone()
    loss.eval()(torch.stack([left]), torch.tensor([0]))
    assert torch.equal(loss.means, kept)


def test_the_batch_is_taken_up_before_its_loss_and_gets_no_gradient_through_it():
    loss, again = made(8), made(8)
    features = torch.randn(6, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    targets = torch.tensor([0, 0, 1, 1, 2, 2])
    value = loss(features.requires_grad_(), targets)
    (gradient,) = torch.autograd.grad(value, features)
    again.observe(F.normalize(features.detach(), dim=1), targets)
    later = again.eval()(features, targets)
    assert torch.equal(value, later)
    assert torch.equal(gradient, torch.autograd.grad(later, features)[0])


def test_float32_is_close_to_float64_and_finite_where_a_class_has_one_direction():
    features = torch.eye(128)[torch.tensor([0, 0, 1, 1])].requires_grad_()
    targets = torch.tensor([0, 0, 1, 1])
    single = losses.create("proco", COUNTS, width=128)
    value = single(features, targets)
    value.backward()
    assert torch.isfinite(features.grad).all()
    assert value.item() == pytest.approx(float(made(128)(features.detach().double(), targets)), abs=1e-3)


def test_bad_settings_are_refused():
    for text in ("proco[temperature=0]", "proco[width=-1]"):
        with pytest.raises(SettingError):
            losses.create(text, COUNTS)

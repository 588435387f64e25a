"""CEFL and CEFL2 against 50-digit decimal arithmetic, and at the ends of the number range."""

from __future__ import annotations

from decimal import Decimal, localcontext

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from ltlib import losses
from ltlib.errors import SettingError
from ltlib.losses import CEFL, CEFL2, Focal


def in_decimal(name, logits, targets, gamma):
    """cefl Eqs. 9 and 11, sample by sample, in 50 digits."""
    values = []
    with localcontext() as context:
        context.prec = 50
        for row, target in zip(logits.tolist(), targets.tolist(), strict=True):
            powers = [Decimal(z).exp() for z in row]
            p = powers[target] / sum(powers)
            ce, fl = -p.ln(), -((1 - p) ** Decimal(gamma)) * p.ln()
            if name == "cefl":
                values.append(float((1 - p) * ce + p * fl))
            else:
                below = (1 - p) ** 2 + p**2
                values.append(float((1 - p) ** 2 / below * ce + p**2 / below * fl))
    return torch.tensor(values, dtype=torch.float64)


@settings(max_examples=60, deadline=None)
@given(
    name=st.sampled_from(["cefl", "cefl2"]),
    batch=st.integers(1, 9),
    classes=st.integers(2, 12),
    gamma=st.sampled_from([0.0, 0.5, 1.0, 2.0, 5.0]),
    scale=st.sampled_from([0.1, 3.0, 20.0]),
    seed=st.integers(0, 10_000),
)
def test_equals_the_formula(name, batch, classes, gamma, scale, seed):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(batch, classes, dtype=torch.float64, generator=generator) * scale
    targets = torch.randint(classes, (batch,), generator=generator)
    loss = losses.create(name, [1] * classes, gamma=gamma)
    expected = in_decimal(name, logits, targets, gamma)
    torch.testing.assert_close(loss.per_sample(logits, targets), expected, rtol=1e-10, atol=0)
    torch.testing.assert_close(loss(logits, targets), expected.mean(), rtol=1e-10, atol=0)


@pytest.mark.parametrize("name", ["cefl", "cefl2"])
def test_gamma_zero_is_cross_entropy(name):
    """The document says so of CEFL; of CEFL2 it follows, the weights of its two terms add up to 1."""
    logits, targets = 4 * torch.randn(64, 10, generator=torch.Generator().manual_seed(0)), torch.arange(64) % 10
    value = losses.create(name, [1] * 10, gamma=0.0)(logits, targets)
    torch.testing.assert_close(value, F.cross_entropy(logits, targets))


@pytest.mark.parametrize("loss", [CEFL(gamma=2.0), CEFL2(gamma=2.0)])
def test_hard_samples_get_cross_entropy_and_easy_ones_focal_loss(loss):
    target = torch.tensor([0])
    hard = torch.tensor([[-5.0, 5.0]], dtype=torch.float64)
    torch.testing.assert_close(loss(hard, target), F.cross_entropy(hard, target), rtol=1e-3, atol=0)
    for size, within in ((2.0, 0.5), (4.0, 0.05)):
        easy = torch.tensor([[size, -size]], dtype=torch.float64)
        rest = F.cross_entropy(easy, target) - loss(easy, target)
        assert rest / (F.cross_entropy(easy, target) - Focal(gamma=2.0)(easy, target)) > 1 - within
    middle = torch.zeros(1, 2, dtype=torch.float64)
    half = (F.cross_entropy(middle, target) + Focal(gamma=2.0)(middle, target)) / 2
    torch.testing.assert_close(loss(middle, target), half)


def test_cefl2_is_nearer_the_ends_than_cefl():
    """Fig. 4: below p = 0.5 CEFL2 lies above CEFL, beyond it below."""
    d = torch.linspace(-4, 4, 81, dtype=torch.float64)
    logits, targets = torch.stack((d, torch.zeros_like(d)), 1), torch.zeros(81, dtype=torch.int64)
    gap = CEFL2().per_sample(logits, targets) - CEFL().per_sample(logits, targets)
    assert (gap[:40] > 0).all()
    assert (gap[41:] < 0).all()


@pytest.mark.parametrize("name", ["cefl", "cefl2"])
def test_float32_gradient_of_confident_samples_is_that_of_float64(name):
    logits = torch.tensor([[d, 0.0, -1.0] for d in (8.0, 14.0, 17.0, 25.0)])
    targets, gradients = torch.zeros(4, dtype=torch.int64), []
    for dtype in (torch.float32, torch.float64):
        z = logits.to(dtype, copy=True).requires_grad_()
        losses.create(name, [1] * 3, gamma=0.5).per_sample(z, targets).sum().backward()
        gradients.append(z.grad.double())
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-5, atol=0)


@pytest.mark.parametrize("name", ["cefl", "cefl2"])
@pytest.mark.parametrize("gamma", [-0.5, float("nan"), "2"])
def test_wrong_gamma_is_refused(name, gamma):
    with pytest.raises(SettingError, match="gamma"):
        losses.create(name, [3, 1], gamma=gamma)

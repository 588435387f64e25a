"""Focal loss against 50-digit decimal arithmetic, and at the ends of the number range."""

from __future__ import annotations

from decimal import Decimal, localcontext

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from ltlib import losses
from ltlib.errors import SettingError
from ltlib.losses import CrossEntropy, Focal


def focal_in_decimal(logits, targets, gamma, alpha):
    """-alpha_y (1 - p_y)^gamma ln p_y, sample by sample, in 50 digits."""
    values = []
    with localcontext() as context:
        context.prec = 50
        for row, target in zip(logits.tolist(), targets.tolist(), strict=True):
            powers = [Decimal(z).exp() for z in row]
            p = powers[target] / sum(powers)
            values.append(float(-Decimal(alpha[target]) * (1 - p) ** Decimal(gamma) * p.ln()))
    return torch.tensor(values, dtype=torch.float64)


@settings(max_examples=40, deadline=None)
@given(
    batch=st.integers(1, 9),
    classes=st.integers(2, 12),
    gamma=st.sampled_from([0.25, 0.5, 1.0, 2.0, 5.0]),
    scale=st.sampled_from([0.1, 3.0, 20.0]),
    seed=st.integers(0, 10_000),
)
def test_equals_the_formula(batch, classes, gamma, scale, seed):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(batch, classes, dtype=torch.float64, generator=generator) * scale
    targets = torch.randint(classes, (batch,), generator=generator)
    alpha = [(1 + c % 4) / 4 for c in range(classes)]  # exact in binary
    loss = losses.create("focal", [1] * classes, gamma=gamma, alpha=tuple(alpha))
    expected = focal_in_decimal(logits, targets, gamma, alpha)
    torch.testing.assert_close(loss.per_sample(logits, targets), expected, rtol=1e-10, atol=0)
    torch.testing.assert_close(loss(logits, targets), expected.mean(), rtol=1e-10, atol=0)


@pytest.mark.parametrize("gamma", [0.0, 0.25, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("alpha", [None, 0.75, "inverse_frequency"])
def test_gradient_is_the_numerical_one(gamma, alpha):
    torch.manual_seed(0)
    logits = (3 * torch.randn(5, 4, dtype=torch.float64)).requires_grad_()
    loss = Focal([40, 30, 20, 1], gamma=gamma, alpha=alpha)
    assert torch.autograd.gradcheck(lambda z: loss.per_sample(z, torch.tensor([0, 1, 2, 3, 0])), (logits,))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
def test_gamma_zero_is_cross_entropy_to_the_bit(dtype):
    torch.manual_seed(0)
    logits, targets = (5 * torch.randn(64, 10)).to(dtype), torch.randint(10, (64,))
    assert torch.equal(Focal(gamma=0.0)(logits, targets), CrossEntropy()(logits, targets))


def test_small_gamma_tends_to_cross_entropy():
    torch.manual_seed(0)
    logits, targets = torch.randn(64, 10, dtype=torch.float64), torch.randint(10, (64,))
    torch.testing.assert_close(Focal(gamma=1e-9)(logits, targets), F.cross_entropy(logits, targets), rtol=1e-7, atol=0)


@pytest.mark.parametrize("gamma", [0.1, 0.5, 1.0, 2.0, 5.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_huge_logits_have_finite_value_and_gradient(gamma, dtype):
    size = 9984.0  # near 1e4 and exact in bfloat16
    rows = [[size, -size, 0], [-size, size, 0], [size, size, size], [-size, -size, -size], [0, 0, size]]
    logits = torch.tensor(rows, dtype=dtype, requires_grad=True)
    targets = torch.tensor([0, 0, 1, 2, 0])
    values = Focal(gamma=gamma).per_sample(logits, targets)
    third = float(torch.tensor(3.0).log()) * (2 / 3) ** gamma
    torch.testing.assert_close(values, torch.tensor([0.0, 2 * size, third, third, size]), rtol=1e-4, atol=1e-6)
    values.sum().backward()
    assert torch.isfinite(logits.grad).all()
    # A lost sample pulls like cross-entropy; a won one does not pull at all.
    assert logits.grad[1].tolist() == [-1, 1, 0]
    assert logits.grad[0].tolist() == [0, 0, 0]


def test_float32_gradient_of_confident_samples_is_that_of_float64():
    """(1 - p)^gamma with a rounded 1 - p has no digit left here, and for gamma < 1 an infinite gradient."""
    logits = torch.tensor([[d, 0.0, -1.0] for d in (8.0, 14.0, 17.0, 25.0)])
    targets = torch.zeros(4, dtype=torch.int64)
    gradients = []
    for dtype in (torch.float32, torch.float64):
        z = logits.to(dtype, copy=True).requires_grad_()
        Focal(gamma=0.5).per_sample(z, targets).sum().backward()
        gradients.append(z.grad.double())
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-5, atol=0)


def test_inverse_frequency_sums_to_one_and_weighs_the_rare_class():
    counts = [5000, 500, 50, 1]
    alpha = Focal(counts, alpha="inverse_frequency").alpha
    torch.testing.assert_close(alpha.sum(), torch.tensor(1.0))
    torch.testing.assert_close(alpha * torch.tensor(counts), alpha[-1].expand(4))
    extreme = Focal([1_000_000, 1], alpha="inverse_frequency")
    assert torch.isfinite(extreme(torch.tensor([[-1e4, 1e4], [1e4, -1e4]]), torch.tensor([0, 1])))


def test_alpha_of_one_number_scales_every_class_alike():
    torch.manual_seed(0)
    logits, targets = torch.randn(20, 5), torch.randint(5, (20,))
    plain = Focal(gamma=0.5)(logits, targets)
    torch.testing.assert_close(Focal(gamma=0.5, alpha=0.75)(logits, targets), 0.75 * plain)
    torch.testing.assert_close(Focal([1] * 5, gamma=0.5, alpha=(0.75,) * 5)(logits, targets), 0.75 * plain)
    text = losses.create("focal[alpha=0.75;gamma=0.5]", [5, 4, 3, 2, 1])
    torch.testing.assert_close(text(logits, targets), 0.75 * plain)


def test_mean_is_over_the_batch_not_over_its_weights():
    logits, targets = torch.zeros(2, 2), torch.tensor([0, 1])
    loss = Focal([3, 1], gamma=0.0, alpha="inverse_frequency")
    torch.testing.assert_close(loss(logits, targets), torch.log(torch.tensor(2.0)) * (0.25 + 0.75) / 2)


def test_low_precision_logits_are_computed_in_float32():
    torch.manual_seed(0)
    logits, targets = torch.randn(16, 10).bfloat16(), torch.randint(10, (16,))
    loss = Focal(gamma=2.0)
    assert torch.equal(loss(logits, targets), loss(logits.float(), targets))


def test_state_has_nothing_to_load():
    assert not Focal([3, 1], alpha="inverse_frequency").state_dict()


@pytest.mark.parametrize(
    "wrong",
    [
        {"gamma": -0.5},
        {"gamma": float("nan")},
        {"gamma": "two"},
        {"gamma": True},
        {"alpha": -1.0},
        {"alpha": "balanced"},
        {"alpha": (0.5, 0.5, 0.5)},
        {"alpha": (0.5, -0.5)},
        {"alpha": ()},
    ],
)
def test_settings_outside_their_range_are_refused(wrong):
    with pytest.raises(SettingError, match="focal"):
        losses.create("focal", [5, 3], **wrong)


def test_inverse_frequency_needs_counts():
    with pytest.raises(SettingError, match="class_counts"):
        Focal(alpha="inverse_frequency")

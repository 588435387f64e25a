"""Cross-entropy against the formula in 50 digits."""

from __future__ import annotations

from decimal import Decimal, localcontext

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ltlib import losses
from ltlib.losses import CrossEntropy


@settings(max_examples=30, deadline=None)
@given(
    batch=st.integers(1, 9),
    classes=st.integers(2, 12),
    scale=st.sampled_from([0.1, 3.0]),
    seed=st.integers(0, 10_000),
)
def test_equals_the_formula(batch, classes, scale, seed):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(batch, classes, dtype=torch.float64, generator=generator) * scale
    targets = torch.randint(classes, (batch,), generator=generator)
    expected = []
    with localcontext() as context:
        context.prec = 50
        for row, target in zip(logits.tolist(), targets.tolist(), strict=True):
            powers = [Decimal(z).exp() for z in row]
            expected.append(float(-(powers[target] / sum(powers)).ln()))
    loss = losses.create("ce", [1] * classes)
    torch.testing.assert_close(loss.per_sample(logits, targets).tolist(), expected, rtol=1e-10, atol=1e-14)
    assert float(loss(logits, targets)) == pytest.approx(sum(expected) / batch, rel=1e-10)


def test_gradient_is_the_numerical_one():
    torch.manual_seed(0)
    logits = (3 * torch.randn(5, 4, dtype=torch.float64)).requires_grad_()
    assert torch.autograd.gradcheck(lambda z: CrossEntropy().per_sample(z, torch.tensor([0, 1, 2, 3, 0])), (logits,))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_huge_logits_have_finite_value_and_gradient(dtype):
    logits = torch.tensor([[9984.0, -9984.0], [-9984.0, 9984.0]], dtype=dtype, requires_grad=True)
    values = CrossEntropy().per_sample(logits, torch.tensor([0, 0]))
    assert values.tolist() == [0.0, 19968.0]
    assert values.dtype == torch.float32
    values.sum().backward()
    assert logits.grad.tolist() == [[0, 0], [-1, 1]]


def test_batch_of_one_and_batch_without_most_classes():
    loss = losses.create("ce", [1_000_000, *[1] * 99])
    torch.testing.assert_close(loss(torch.zeros(1, 100), torch.tensor([99])), torch.tensor(100.0).log())
    torch.testing.assert_close(loss(torch.zeros(8, 100), torch.zeros(8, dtype=torch.int64)), torch.tensor(100.0).log())

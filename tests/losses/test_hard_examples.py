"""Online hard example mining against sorting."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from ltlib import losses
from ltlib.errors import SettingError


@settings(max_examples=60, deadline=None)
@given(
    batch=st.integers(1, 12),
    classes=st.integers(2, 6),
    tenths=st.integers(1, 10),
    seed=st.integers(0, 10_000),
)
def test_equals_the_mean_of_the_largest(batch, classes, tenths, seed):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(batch, classes, dtype=torch.float64, generator=generator)
    targets = torch.randint(classes, (batch,), generator=generator)
    each = sorted(
        (
            math.log(math.fsum(math.exp(z) for z in row)) - row[y]
            for row, y in zip(logits.tolist(), targets, strict=True)
        ),
        reverse=True,
    )
    kept = each[: max(1, -(-tenths * batch // 10))]  # the ceiling, in whole numbers
    loss = losses.create("ohem", [1] * classes, keep=tenths / 10)
    assert float(loss(logits, targets)) == pytest.approx(math.fsum(kept) / len(kept), rel=1e-10)
    assert int((loss.per_sample(logits, targets) > 0).sum()) == len(kept)


def test_the_rest_gets_no_gradient():
    logits = torch.tensor([[3.0, 0.0], [-3.0, 0.0], [0.0, 0.0], [5.0, 0.0]], requires_grad=True)
    losses.create("ohem", [1, 1], keep=0.5)(logits, torch.zeros(4, dtype=torch.int64)).backward()
    assert logits.grad.abs().sum(1).gt(0).tolist() == [False, True, True, False]


def test_of_equal_losses_exactly_the_share_is_kept():
    loss = losses.create("ohem", [1, 1], keep=0.5)
    values = loss.per_sample(torch.zeros(8, 2), torch.zeros(8, dtype=torch.int64))
    assert int((values > 0).sum()) == 4
    torch.testing.assert_close(values.mean(), torch.tensor(2.0).log())


def test_keep_one_is_cross_entropy():
    logits, targets = torch.randn(7, 3), torch.arange(7) % 3
    torch.testing.assert_close(
        losses.create("ohem[keep=1]", [1] * 3)(logits, targets), F.cross_entropy(logits, targets)
    )


@pytest.mark.parametrize("keep", [0.0, -0.1, 1.1, math.nan, True])
def test_wrong_settings_are_refused(keep):
    with pytest.raises(SettingError, match="keep"):
        losses.create("ohem", [3, 1], keep=keep)

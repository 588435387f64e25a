"""Binary cross-entropy and focal loss on sigmoids against plain arithmetic."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from ltlib import losses
from ltlib.errors import SettingError
from ltlib.losses import BinaryCrossEntropy, FocalSigmoid


def slow(logits, targets, gamma=0.0, alpha=1.0):
    values = []
    for row, y in zip(logits.tolist(), targets.tolist(), strict=True):
        terms = []
        for k, z in enumerate(row):
            p = 1 / (1 + math.exp(-z))
            if k == y:
                terms.append(-alpha * (1 - p) ** gamma * math.log(p))
            else:
                terms.append(-(p**gamma) * math.log1p(-p))
        values.append(math.fsum(terms))
    return values


@settings(max_examples=60, deadline=None)
@given(
    batch=st.integers(1, 9),
    classes=st.integers(1, 8),
    gamma=st.sampled_from([0.0, 0.5, 1.0, 2.0]),
    alpha=st.sampled_from([0.5, 1.0, 3.0]),
    seed=st.integers(0, 10_000),
)
def test_equals_the_formula(batch, classes, gamma, alpha, seed):
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(batch, classes, dtype=torch.float64, generator=generator)
    targets = torch.randint(classes, (batch,), generator=generator)
    bce = losses.create("bce", [1] * classes, alpha=alpha)
    assert bce.per_sample(logits, targets).tolist() == pytest.approx(slow(logits, targets, alpha=alpha), rel=1e-10)
    focal = losses.create("focal_sigmoid", [1] * classes, gamma=gamma)
    expected = slow(logits, targets, gamma)
    assert focal.per_sample(logits, targets).tolist() == pytest.approx(expected, rel=1e-10)
    assert float(focal(logits, targets)) == pytest.approx(math.fsum(expected) / batch, rel=1e-10)


def test_classes_mean_is_torchs_and_sum_is_k_times_that():
    logits, targets = torch.randn(6, 5, generator=torch.Generator().manual_seed(0)), torch.arange(6) % 5
    theirs = F.binary_cross_entropy_with_logits(logits, F.one_hot(targets, 5).float())
    torch.testing.assert_close(BinaryCrossEntropy(classes="mean")(logits, targets), theirs)
    torch.testing.assert_close(BinaryCrossEntropy()(logits, targets), 5 * theirs)
    torch.testing.assert_close(5 * FocalSigmoid(classes="mean")(logits, targets), FocalSigmoid()(logits, targets))
    positive = torch.full((5,), 3.0)
    theirs = F.binary_cross_entropy_with_logits(logits, F.one_hot(targets, 5).float(), pos_weight=positive)
    torch.testing.assert_close(BinaryCrossEntropy(alpha=3.0, classes="mean")(logits, targets), theirs)


def test_alpha_above_one_punishes_the_missed_class_more():
    missed, alarm = torch.tensor([[-2.0, -9.0]]), torch.tensor([[9.0, 2.0]])
    target = torch.tensor([0])
    plain, heavy = BinaryCrossEntropy(), BinaryCrossEntropy(alpha=3.0)
    assert heavy(missed, target) > 2.9 * plain(missed, target)
    torch.testing.assert_close(heavy(alarm, target), plain(alarm, target), rtol=1e-3, atol=0)


def test_gamma_zero_is_binary_cross_entropy():
    logits, targets = 3 * torch.randn(32, 6, generator=torch.Generator().manual_seed(0)), torch.arange(32) % 6
    torch.testing.assert_close(FocalSigmoid(gamma=0.0)(logits, targets), BinaryCrossEntropy()(logits, targets))


def test_logits_beyond_the_reach_of_the_exponential():
    """Where torch's softplus is the identity, and where 1 - p is 0, the small terms are still there."""
    logits = torch.tensor([[40.0, -40.0]], dtype=torch.float64)
    value = BinaryCrossEntropy()(logits, torch.tensor([0]))
    assert float(value) == pytest.approx(2 * math.exp(-40), rel=1e-10)
    value = FocalSigmoid(gamma=1.0)(logits, torch.tensor([0]))
    assert float(value) == pytest.approx(2 * math.exp(-80), rel=1e-10)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("bce", {"alpha": 0.0}),
        ("bce", {"alpha": -1.0}),
        ("bce", {"classes": "max"}),
        ("focal_sigmoid", {"gamma": -0.5}),
        ("focal_sigmoid", {"gamma": math.inf}),
        ("focal_sigmoid", {"classes": "max"}),
    ],
)
def test_wrong_settings_are_refused(name, wrong):
    with pytest.raises(SettingError, match=next(iter(wrong))):
        losses.create(name, [3, 1], **wrong)

"""Softmax equalization loss against plain arithmetic, with the noise given."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from ltlib import losses
from ltlib.datasets import long_tailed_counts
from ltlib.errors import SettingError

C10, C100 = long_tailed_counts(5000, 10, 100), long_tailed_counts(500, 100, 100)


def slow(logits, targets, noise, counts, threshold, gamma):
    values, total = [], sum(counts)
    for row, y, draws in zip(logits.tolist(), targets.tolist(), noise.tolist(), strict=True):
        weights = [
            1 - (u < gamma) * (n / total < threshold) * (k != y)
            for k, (u, n) in enumerate(zip(draws, counts, strict=True))
        ]
        values.append(math.log(math.fsum(w * math.exp(z) for w, z in zip(weights, row, strict=True))) - row[y])
    return values


@settings(max_examples=60, deadline=None)
@given(
    batch=st.integers(1, 9),
    classes=st.integers(2, 8),
    threshold=st.sampled_from([0.0, 0.005, 0.2, 1.0]),
    gamma=st.sampled_from([0.0, 0.5, 0.9, 1.0]),
    seed=st.integers(0, 10_000),
)
def test_equals_the_formula(batch, classes, threshold, gamma, seed):
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(batch, classes, dtype=torch.float64, generator=generator)
    noise = torch.rand(batch, classes, generator=generator)
    targets = torch.randint(classes, (batch,), generator=generator)
    counts = [10**6, *torch.randint(1, 500, (classes - 2,), generator=generator).tolist(), 1]
    loss = losses.create("equalization", counts, threshold=threshold, gamma=gamma)
    expected = slow(logits, targets, noise, counts, threshold, gamma)
    assert loss.per_sample(logits, targets, noise).tolist() == pytest.approx(expected, rel=1e-10, abs=1e-12)
    assert float(loss(logits, targets, noise)) == pytest.approx(math.fsum(expected) / batch, rel=1e-10, abs=1e-12)


@pytest.mark.parametrize(("counts", "threshold", "rare"), [(C100, 0.005, 52), (C100, 0.003, 41), (C10, 0.005, 1)])
def test_golden_number_of_rare_classes(counts, threshold, rare):
    assert int(losses.create("equalization", counts, threshold=threshold).rare.sum()) == rare


def test_threshold_zero_and_gamma_zero_are_cross_entropy():
    generator = torch.Generator().manual_seed(0)
    logits, targets = torch.randn(30, 10, generator=generator), torch.randint(10, (30,), generator=generator)
    for wanted in ({"threshold": 0.0}, {"gamma": 0.0, "threshold": 1.0}):
        torch.testing.assert_close(
            losses.create("equalization", C10, **wanted)(logits, targets), F.cross_entropy(logits, targets)
        )


def test_an_image_never_pushes_a_left_out_class_but_always_pulls_its_own():
    logits = torch.zeros(2, 10, requires_grad=True)
    targets = torch.tensor([0, 9])  # 9 is the rare class
    losses.create("equalization", C10)(logits, targets, torch.zeros(2, 10)).backward()
    assert logits.grad[0, 9] == 0
    assert logits.grad[0, 1] > 0
    assert logits.grad[1, 9] < 0


def test_drawn_noise_is_a_coin_of_gamma_and_comes_from_torchs_generator():
    loss, targets = (
        losses.create("equalization", [10**6, 1], threshold=0.5, gamma=0.9),
        torch.zeros(20_000, dtype=torch.int64),
    )
    logits = torch.zeros(20_000, 2)
    torch.manual_seed(0)
    values = loss.per_sample(logits, targets)
    assert float((values == 0).float().mean()) == pytest.approx(0.9, abs=0.01)  # left out: nothing to lose against
    torch.manual_seed(0)
    assert torch.equal(values, loss.per_sample(logits, targets))


def test_mixed_labels_share_one_draw():
    loss = losses.create("equalization", C10, threshold=1.0, gamma=0.5)
    logits, targets = torch.randn(8, 10), torch.arange(8)
    torch.manual_seed(1)
    mixed = loss.mixed(logits, targets, targets, 0.5)
    torch.manual_seed(1)
    torch.testing.assert_close(mixed, loss(logits, targets))


@pytest.mark.parametrize("wrong", [{"gamma": 1.1}, {"gamma": -0.1}, {"threshold": -0.1}, {"threshold": math.nan}])
def test_wrong_settings_are_refused(wrong):
    with pytest.raises(SettingError, match=next(iter(wrong))):
        losses.create("equalization", [3, 1], **wrong)


def test_a_share_equal_to_the_threshold_is_not_below_it():
    assert losses.create("equalization", [3, 1], threshold=0.25).rare.tolist() == [False, False]
    assert losses.create("equalization", [13, 3], threshold=0.25).rare.tolist() == [False, True]

"""Loss equalisation and prior equalisation: what is made equal is equal."""

from __future__ import annotations

import math
from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from ltlib import losses
from ltlib.errors import SettingError


def cross_entropies(logits, targets):
    return [
        math.log(math.fsum(math.exp(z) for z in row)) - row[y]
        for row, y in zip(logits.tolist(), targets.tolist(), strict=True)
    ]


def slow(logits, targets, counts, scope):
    each, labels = cross_entropies(logits, targets), targets.tolist()
    present = Counter(labels)
    if scope == "batch":
        weights = {c: len(labels) / (len(present) * m) for c, m in present.items()}
    elif scope == "dataset":
        weights = {c: sum(counts) / (len(counts) * counts[c]) for c in present}
    else:
        sums = {c: math.fsum(loss for loss, y in zip(each, labels, strict=True) if y == c) for c in present}
        weights = {c: math.fsum(sums.values()) / len(sums) / s for c, s in sums.items()}
    return [weights[y] * loss for loss, y in zip(each, labels, strict=True)], weights


@settings(max_examples=80, deadline=None)
@given(
    batch=st.integers(1, 12),
    classes=st.integers(2, 8),
    scope=st.sampled_from(["batch", "dataset", "loss"]),
    seed=st.integers(0, 10_000),
)
def test_equals_the_formula(batch, classes, scope, seed):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(batch, classes, dtype=torch.float64, generator=generator)
    targets = torch.randint(classes, (batch,), generator=generator)
    counts = [10**6, *torch.randint(1, 500, (classes - 2,), generator=generator).tolist(), 1]
    loss = losses.create("loss_equalised", counts, scope=scope, max_weight=1e6)
    expected, weights = slow(logits, targets, counts, scope)
    assert loss.per_sample(logits, targets).tolist() == pytest.approx(expected, rel=1e-10)
    assert float(loss(logits, targets)) == pytest.approx(math.fsum(expected) / batch, rel=1e-10)
    if scope == "batch":
        assert math.fsum(weights[y] for y in targets.tolist()) == pytest.approx(batch)
        means = [
            math.fsum(
                loss for loss, y in zip(cross_entropies(logits, targets), targets.tolist(), strict=True) if y == c
            )
            / targets.tolist().count(c)
            for c in set(targets.tolist())
        ]
        assert float(loss(logits, targets)) == pytest.approx(math.fsum(means) / len(means), rel=1e-10)


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(64, 10, generator=generator), torch.randint(10, (64,), generator=generator) ** 2 // 10


def test_balanced_batch_and_one_class_are_cross_entropy():
    logits = torch.randn(20, 5, generator=torch.Generator().manual_seed(0))
    for targets in (torch.arange(20) % 5, torch.arange(20) % 2, torch.full((20,), 3)):
        value = losses.create("loss_equalised", [50, 20, 5, 2, 1])(logits, targets)
        torch.testing.assert_close(value, F.cross_entropy(logits, targets))
    targets = torch.arange(20) % 5
    torch.testing.assert_close(
        losses.create("prior_equalised", [7] * 5)(logits, targets), F.cross_entropy(logits, targets)
    )


def test_each_present_class_has_the_same_total_weight(batch):
    logits, targets = torch.zeros_like(batch[0]), batch[1]
    weights = losses.create("loss_equalised", [1] * 10).per_sample(logits, targets) / math.log(10)
    totals = torch.zeros(10).index_add(0, targets, weights)
    present = totals[torch.bincount(targets, minlength=10) > 0]
    torch.testing.assert_close(present, torch.full_like(present, 64 / len(present)))


def test_scope_loss_equalises_the_losses_themselves_and_keeps_their_value(batch):
    loss = losses.create("loss_equalised[scope=loss]", [1] * 10)
    values = loss.per_sample(*batch)
    totals = torch.zeros(10).index_add(0, batch[1], values)
    present = totals[torch.bincount(batch[1], minlength=10) > 0]
    torch.testing.assert_close(present, present.mean().expand_as(present))
    torch.testing.assert_close(loss(*batch), F.cross_entropy(*batch))


def test_scope_loss_bounds_the_weight_of_a_learnt_class():
    logits, targets = torch.tensor([[20.0, 0.0], [1.0, 0.0]]), torch.tensor([0, 1])
    loss = losses.create("loss_equalised[scope=loss;max_weight=5]", [1, 1])
    plain = F.cross_entropy(logits, targets, reduction="none")
    torch.testing.assert_close(loss.per_sample(logits, targets)[0], 5 * plain[0])
    certain = torch.tensor([[1e4, 0.0], [0.0, 1e4]])
    assert loss(certain, targets) == 0  # nothing left to equalise


def test_prior_equalised_is_the_dataset_scope_and_inverse_frequency(batch):
    counts = [500, 300, 200, 100, 80, 50, 20, 10, 5, 1]
    prior = losses.create("prior_equalised", counts)(*batch)
    torch.testing.assert_close(prior, losses.create("loss_equalised[scope=dataset]", counts)(*batch))
    inverse = losses.create("weighted_ce[reduction=batch_size]", counts)(*batch)
    assert float(prior / inverse) == pytest.approx(sum(counts) * sum(1 / n for n in counts) / 100, rel=1e-5)


def test_over_the_whole_training_set_prior_weights_average_to_one():
    counts = [50, 20, 5, 1]
    weights = losses.create("prior_equalised", counts)._exact["weights"]
    total = weights * torch.tensor(counts)
    torch.testing.assert_close(total, total.mean().expand(4))
    assert float(total.sum()) == pytest.approx(sum(counts))


@pytest.mark.parametrize("wrong", [{"scope": "class"}, {"max_weight": 0.0}, {"max_weight": math.nan}])
def test_wrong_settings_are_refused(wrong):
    with pytest.raises(SettingError, match=next(iter(wrong))):
        losses.create("loss_equalised", [3, 1], **wrong)

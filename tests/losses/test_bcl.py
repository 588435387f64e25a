"""Balanced contrastive loss against a loop over its formula and the reference code's matrix form."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from ltlib import losses
from ltlib.errors import SettingError
from ltlib.losses import SupCon


def in_loops(features, targets, prototypes, temperature):
    """Zhu et al. 2022, Eq. 6, sample by sample; None for a sample without positives."""
    rows = [[x / math.hypot(*row) for x in row] for row in [*features.tolist(), *prototypes.tolist()]]
    labels = [*targets.tolist(), *range(len(prototypes))]

    def similarity(i, j):
        return math.fsum(a * b for a, b in zip(rows[i], rows[j], strict=True)) / temperature

    values = []
    for i in range(len(features)):
        others = [a for a in range(len(rows)) if a != i]
        denominator = 0.0
        for c in set(labels):
            members = [a for a in others if labels[a] == c]
            if members:
                denominator += math.fsum(math.exp(similarity(i, a)) for a in members) / len(members)
        positives = [p for p in others if labels[p] == labels[i]]
        terms = [similarity(i, p) - math.log(denominator) for p in positives]
        values.append(-math.fsum(terms) / len(terms) if terms else None)
    return values


def batch(count, width, classes, seed):
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(count, width, dtype=torch.float64, generator=generator)
    prototypes = torch.randn(classes, width, dtype=torch.float64, generator=generator)
    return features, torch.randint(classes, (count,), generator=generator), prototypes


@settings(max_examples=40, deadline=None)
@given(
    count=st.integers(1, 12),
    width=st.integers(2, 9),
    classes=st.integers(1, 6),
    temperature=st.sampled_from([0.07, 0.1, 0.5]),
    seed=st.integers(0, 10_000),
)
def test_equals_the_formula(count, width, classes, temperature, seed):
    features, targets, prototypes = batch(count, width, classes, seed)
    loss = losses.create("bcl", [1] * classes, temperature=temperature)
    values = in_loops(features, targets, prototypes, temperature)
    torch.testing.assert_close(loss.per_sample(features, targets, prototypes).tolist(), values, rtol=1e-10, atol=1e-12)
    assert float(loss(features, targets, prototypes)) == pytest.approx(math.fsum(values) / count, rel=1e-10, abs=1e-12)


@settings(max_examples=30, deadline=None)
@given(count=st.integers(1, 10), classes=st.integers(1, 5), seed=st.integers(0, 10_000))
def test_without_prototypes_only_classes_are_averaged(count, classes, seed):
    features, targets, _ = batch(count, 4, classes, seed)
    values = in_loops(features, targets, features[:0], 0.1)
    present = [value for value in values if value is not None]
    expected = math.fsum(present) / len(present) if present else 0.0
    loss = losses.create("bcl", [1] * classes)
    assert float(loss(features, targets)) == pytest.approx(expected, rel=1e-10, abs=1e-12)


def test_equals_the_reference_codes_matrix_form():
    """The released code's steps in its order: counts per class, weights minus the mask, log of the weighted sum."""
    features, _, prototypes = batch(16, 6, 5, 3)
    targets = torch.tensor([0, 0, 0, 0, 1, 1, 2, 3]).repeat(2)  # class 4 has only its prototype
    features, prototypes = F.normalize(features, dim=1), F.normalize(prototypes, dim=1)
    labels = torch.cat([targets, torch.arange(5)])
    counts = torch.bincount(labels)
    mask = (targets[:, None] == labels[None, :]).double()
    logits_mask = 1 - torch.eye(16, 21, dtype=torch.float64)
    mask = mask * logits_mask
    logits = features @ torch.cat([features, prototypes]).T / 0.1
    weight = counts[labels][None, :] - mask
    denominator = ((logits.exp() * logits_mask) / weight).sum(1, keepdim=True)
    expected = -((mask * (logits - denominator.log())).sum(1) / mask.sum(1)).mean()
    loss = losses.create("bcl", [1] * 5, temperature=0.1)
    torch.testing.assert_close(loss(features, targets, prototypes), expected, rtol=1e-10, atol=0)


def test_one_class_is_supcon_without_the_number_of_its_samples():
    """With one class the denominator is the mean over the others instead of their sum."""
    features = torch.randn(7, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    targets = torch.zeros(7, dtype=torch.int64)
    supcon = SupCon(temperature=0.2).per_sample(features, targets)
    ours = losses.create("bcl", [9], temperature=0.2).per_sample(features, targets)
    torch.testing.assert_close(ours, supcon - math.log(6), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("members", [2, 8, 64])
def test_balanced_batches_tend_to_supcon(members):
    """m samples of every class: all classes but the own count m, that one m - 1, so the two differ by at most that."""
    generator = torch.Generator().manual_seed(1)
    targets = torch.arange(4).repeat_interleave(members)
    features = torch.randn(len(targets), 5, dtype=torch.float64, generator=generator)
    supcon = SupCon(temperature=0.3).per_sample(features, targets)
    ours = losses.create("bcl", [1] * 4, temperature=0.3).per_sample(features, targets)
    gap = ours - (supcon - math.log(members))
    assert (gap >= -1e-12).all()
    assert (gap <= math.log(members / (members - 1)) + 1e-12).all()


def test_a_class_counts_once_however_often_it_is_there():
    """Repeating another class's samples changes nothing; in SupCon it does."""
    features, _, _ = batch(6, 5, 3, 2)
    targets = torch.tensor([0, 0, 0, 1, 1, 2])
    more = torch.cat([features, features[3:5], features[3:5]])
    labels = torch.cat([targets, targets[3:5], targets[3:5]])
    loss = losses.create("bcl", [1] * 3)
    few = loss.per_sample(features, targets)[:3]
    torch.testing.assert_close(loss.per_sample(more, labels)[:3], few)
    assert not torch.allclose(SupCon().per_sample(more, labels)[:3], SupCon().per_sample(features, targets)[:3])


def test_gradient_is_the_numerical_one():
    features, targets, prototypes = batch(6, 4, 3, 5)
    loss = losses.create("bcl", [1] * 3, temperature=0.5)
    assert torch.autograd.gradcheck(
        lambda z, c: loss(z, targets, c), (features.requires_grad_(), prototypes.requires_grad_())
    )


def test_own_prototypes_are_trained():
    loss = losses.create("bcl", [5, 3, 1], width=4)
    assert [name for name, _ in loss.named_parameters()] == ["prototypes"]
    features = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    value = loss(features, torch.tensor([0, 0, 1, 1, 0, 0]))
    value.backward()
    assert (loss.prototypes.grad.abs().sum(1) > 0).all()  # the absent class 2 is there too
    given = loss(features, torch.tensor([0, 0, 1, 1, 0, 0]), loss.prototypes)
    assert torch.equal(value, given)
    again = losses.create("bcl", [5, 3, 1], width=4)
    assert torch.equal(again.prototypes, loss.prototypes)


def test_float32_is_finite_at_a_small_temperature():
    features = torch.tensor([[1e4, 0], [1e4, 0], [-1e4, 0], [-1e4, 1.0], [1e-4, 1e-4]], requires_grad=True)
    value = losses.create("bcl", [1, 1], temperature=0.001)(features, torch.tensor([0, 1, 0, 1, 1]))
    value.backward()
    assert torch.isfinite(value)
    assert torch.isfinite(features.grad).all()


def test_bad_settings_are_refused():
    with pytest.raises(SettingError, match="temperature"):
        losses.create("bcl[temperature=0]", [1])
    with pytest.raises(SettingError, match="width"):
        losses.create("bcl[width=-1]", [1])

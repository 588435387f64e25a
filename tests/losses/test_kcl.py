"""k-positive contrastive loss: its choice of positives, and its value against loops and its two limits."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from ltlib import losses
from ltlib.errors import SettingError
from ltlib.losses import SimCLR, SupCon


def in_loops(features, targets, noise, k, temperature):
    """Kang et al. 2021, Eq. 4, sample by sample, with two views; the choice by sorting."""
    rows = [[x / math.hypot(*row) for x in row] for row in features.tolist()]
    targets, noise, count = targets.tolist(), noise.tolist(), len(rows)

    def similarity(i, j):
        return math.fsum(a * b for a, b in zip(rows[i], rows[j], strict=True)) / temperature

    values = []
    for i in range(count):
        others = [a for a in range(count) if a != i]
        view = [a for a in others if a % (count // 2) == i % (count // 2)]
        candidates = [a for a in others if targets[a] == targets[i] and a not in view]
        candidates.sort(key=lambda a, i=i: (noise[i] + noise[a]) % 1)
        positives = view + candidates[:k]
        log_sum = math.log(math.fsum(math.exp(similarity(i, a)) for a in others))
        values.append(-math.fsum(similarity(i, p) - log_sum for p in positives) / len(positives))
    return values


@settings(max_examples=40, deadline=None)
@given(
    half=st.integers(1, 7),
    classes=st.integers(1, 4),
    k=st.integers(0, 8),
    temperature=st.sampled_from([0.07, 0.5]),
    seed=st.integers(0, 10_000),
)
def test_equals_the_formula(half, classes, k, temperature, seed):
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(2 * half, 5, dtype=torch.float64, generator=generator)
    targets = torch.randint(classes, (half,), generator=generator).repeat(2)
    noise = torch.rand(2 * half, dtype=torch.float64, generator=generator)
    loss = losses.create("kcl", [1] * classes, k=k, temperature=temperature)
    values = in_loops(features, targets, noise, k, temperature)
    torch.testing.assert_close(loss.per_sample(features, targets, noise).tolist(), values, rtol=1e-10, atol=1e-12)
    assert float(loss(features, targets, noise)) == pytest.approx(math.fsum(values) / len(values), rel=1e-10)


def test_k_of_nought_is_simclr_and_a_large_k_is_supcon():
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(16, 6, dtype=torch.float64, generator=generator)
    targets = torch.tensor([0, 0, 0, 0, 1, 1, 2, 3]).repeat(2)
    none = losses.create("kcl", [1] * 4, k=0)(features, targets)
    torch.testing.assert_close(none, SimCLR(temperature=0.07)(features, torch.arange(8).repeat(2)), rtol=1e-12, atol=0)
    every = losses.create("kcl", [1] * 4, k=14)(features, targets)
    torch.testing.assert_close(every, SupCon(temperature=0.07)(features, targets), rtol=1e-12, atol=0)


def test_number_of_positives_is_bounded_by_k():
    targets = torch.tensor([0] * 10 + [1] * 3 + [2]).repeat(2)
    positive = losses.create("kcl", [1] * 3, k=6).positives(targets)
    numbers = positive.sum(1).view(2, 14)
    assert numbers[:, :10].eq(1 + 6).all()  # the other view and six of its class
    assert numbers[:, 10:13].eq(1 + 4).all()  # both views of two images: fewer than six
    assert numbers[:, 13].eq(1).all()
    assert not positive.diagonal().any()
    assert positive[torch.arange(28), (torch.arange(28) + 14) % 28].all()
    assert not positive[targets[:, None] != targets[None, :]].any()


def test_every_choice_of_positives_is_equally_likely():
    """Two of the six candidates of one anchor: 15 pairs."""
    targets, loss = torch.zeros(8, dtype=torch.int64), losses.create("kcl", [1], k=2)
    generator = torch.Generator().manual_seed(1)
    pairs: dict[tuple[int, ...], int] = {}
    for _ in range(3000):
        noise = torch.rand(8, generator=generator)
        chosen = tuple(loss.positives(targets, noise)[1].nonzero().flatten().tolist())
        pairs[chosen] = pairs.get(chosen, 0) + 1
    assert len(pairs) == 15
    assert all(5 in pair for pair in pairs)  # the other view of image 1
    assert stats.chisquare(np.array(list(pairs.values()))).pvalue > 0.01


def test_the_same_noise_gives_the_same_loss_and_other_noise_another():
    generator = torch.Generator().manual_seed(2)
    features, targets = torch.randn(20, 4, generator=generator), torch.zeros(20, dtype=torch.int64)
    loss, noise = losses.create("kcl", [1], k=3), torch.rand(20, generator=generator)
    assert torch.equal(loss(features, targets, noise), loss(features, targets, noise))
    assert not torch.equal(loss(features, targets, noise), loss(features, targets, noise.flip(0)))
    torch.manual_seed(0)
    drawn = loss(features, targets)
    torch.manual_seed(0)
    assert torch.equal(loss(features, targets), drawn)


def test_gradient_is_the_numerical_one():
    generator = torch.Generator().manual_seed(3)
    features = torch.randn(8, 4, dtype=torch.float64, generator=generator).requires_grad_()
    targets, noise = torch.tensor([0, 0, 0, 1]).repeat(2), torch.rand(8, generator=generator)
    loss = losses.create("kcl", [1, 1], k=2, temperature=0.5)
    assert torch.autograd.gradcheck(lambda z: loss(z, targets, noise), (features,))


def test_three_views():
    loss = losses.create("kcl", [1], k=0, views=3)
    assert loss.positives(torch.zeros(6, dtype=torch.int64)).sum(1).tolist() == [2] * 6


def test_bad_calls_are_refused():
    with pytest.raises(SettingError, match="views"):
        losses.create("kcl", [1])(torch.randn(3, 2), torch.zeros(3, dtype=torch.int64))
    for wrong in ("kcl[k=-1]", "kcl[temperature=0]", "kcl[views=0]"):
        with pytest.raises(SettingError):
            losses.create(wrong, [1])

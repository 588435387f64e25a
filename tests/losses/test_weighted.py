"""Weights per class, weighted softmax and the class-balanced loss against plain arithmetic."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from ltlib import losses
from ltlib.datasets import long_tailed_counts
from ltlib.errors import SettingError
from ltlib.losses import class_weights

C10, C100 = long_tailed_counts(5000, 10, 100), long_tailed_counts(500, 100, 100)


def ends(weights):
    return [round(float(weights[0]), 6), round(float(weights[-1]), 6)]


@pytest.mark.parametrize(
    ("counts", "rule", "beta", "expected"),
    [
        (C10, "effective_number", 0.9999, [0.050611, 3.992724]),
        (C100, "effective_number", 0.9999, [0.044876, 4.378313]),
        (C10, "effective_number", 0.999, [0.181187, 3.688319]),
        (C100, "effective_number", 0.999, [0.055076, 4.344514]),
        (C10, "inverse", 0, [0.040236, 4.023650]),
        (C100, "inverse", 0, [0.043820, 4.382022]),
    ],
)
def test_golden_weights(counts, rule, beta, expected):
    weights = class_weights(counts, rule, beta=beta)
    assert ends(weights) == expected
    assert float(weights.sum()) == pytest.approx(len(counts), rel=1e-12)


def test_the_exponent_of_inverse_weights():
    torch.testing.assert_close(class_weights(C10, exponent=0.5), class_weights(C10, "inverse_sqrt"))
    assert class_weights(C10, exponent=0).tolist() == [1.0] * 10
    weights = class_weights([100, 1], exponent=1.2)
    assert float(weights[1] / weights[0]) == pytest.approx(100**1.2)
    loss, plain = (losses.create(f"weighted_ce[exponent={e}]", [100, 1]) for e in (1.2, 1))
    assert float(loss.weights[1]) > float(plain.weights[1])
    with pytest.raises(SettingError, match="exponent"):
        class_weights(C10, exponent=-1)


def test_beta_09_on_cifar10_balances_nothing():
    weights = class_weights(C10, "effective_number", beta=0.9)
    assert [round(float(weights[0]), 4), round(float(weights[-1]), 4)] == [0.9995, 1.0046]


@settings(max_examples=40, deadline=None)
@given(
    counts=st.lists(st.integers(1, 3000), min_size=1, max_size=6),
    beta=st.sampled_from([Fraction(0), Fraction(1, 2), Fraction(9, 10), Fraction(9999, 10_000)]),
)
def test_effective_number_equals_the_geometric_sum(counts, beta):
    """1 / (1 + beta + ... + beta^(n-1)), in fractions: the definition before the closed form."""
    expected = [float(1 / sum((beta**j for j in range(min(n, 60))), Fraction(0))) if n <= 60 else None for n in counts]
    weights = class_weights(counts, "effective_number", beta=float(beta), normalise=None).tolist()
    for n, weight, value in zip(counts, weights, expected, strict=True):
        power = math.exp(n * math.log(beta)) if beta else 0.0
        assert weight == pytest.approx(value if value else float(1 - beta) / (1 - power), rel=1e-10)


def test_normalisations_differ_by_one_factor():
    bare = class_weights(C10, "inverse_sqrt", normalise=None)
    assert bare.tolist() == pytest.approx([1 / math.sqrt(n) for n in C10], rel=1e-14)
    assert class_weights(C10, "inverse_sqrt", normalise="largest").max() == 1
    for normalise in ("classes", "largest"):
        ratio = class_weights(C10, "inverse_sqrt", normalise=normalise) / bare
        torch.testing.assert_close(ratio, ratio[:1].expand(10), rtol=1e-14, atol=0)
    largest = class_weights(C10, "inverse", normalise="largest").tolist()
    assert largest == pytest.approx([min(C10) / n for n in C10])


def test_beta_near_one_tends_to_inverse_frequency_and_zero_to_one():
    assert class_weights([1, 10, 10**6], "effective_number", beta=0.0).tolist() == [1, 1, 1]
    near = class_weights([1, 10, 1000], "effective_number", beta=1 - 1e-9)
    torch.testing.assert_close(near, class_weights([1, 10, 1000], "inverse"), rtol=1e-5, atol=0)


def slow(base, logits, targets, weights, reduction):
    total, divisor = [], []
    for row, y in zip(logits.tolist(), targets.tolist(), strict=True):
        signed = [z if k == y else -z for k, z in enumerate(row)]
        if base == "softmax":
            value = math.log(math.fsum(math.exp(z - row[y]) for z in row))
        elif base == "sigmoid":
            value = math.fsum(math.log1p(math.exp(-s)) for s in signed)
        else:  # focal, gamma 0.5
            value = math.fsum((1 / (1 + math.exp(s))) ** 0.5 * math.log1p(math.exp(-s)) for s in signed)
        total.append(weights[y] * value)
        divisor.append(1.0 if reduction == "batch_size" else weights[y])
    return math.fsum(total) / math.fsum(divisor)


@settings(max_examples=60, deadline=None)
@given(
    batch=st.integers(1, 9),
    classes=st.integers(2, 8),
    base=st.sampled_from(["softmax", "sigmoid", "focal"]),
    reduction=st.sampled_from(["batch_size", "weight_sum"]),
    seed=st.integers(0, 10_000),
)
def test_equals_the_formula(batch, classes, base, reduction, seed):
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(batch, classes, dtype=torch.float64, generator=generator)
    targets = torch.randint(classes, (batch,), generator=generator)
    counts = [10**6, *torch.randint(1, 500, (classes - 2,), generator=generator).tolist(), 1]
    beta = 0.999
    bare = [(1 - beta) / (1 - beta**n) for n in counts]
    weights = [classes * w / math.fsum(bare) for w in bare]
    loss = losses.create("class_balanced", counts, base=base, beta=beta, gamma=0.5, reduction=reduction)
    assert float(loss(logits, targets)) == pytest.approx(slow(base, logits, targets, weights, reduction), rel=1e-10)
    if base == "softmax":
        inverse = [classes / n / math.fsum(1 / m for m in counts) for n in counts]
        weighted = losses.create("weighted_ce", counts, reduction=reduction)
        expected = slow(base, logits, targets, inverse, reduction)
        assert float(weighted(logits, targets)) == pytest.approx(expected, rel=1e-10)


def test_weight_sum_is_torchs_weight():
    logits, targets = torch.randn(20, 4, generator=torch.Generator().manual_seed(0)), torch.arange(20) % 3
    counts = [5000, 50, 5, 1]
    ours = losses.create("weighted_ce", counts)(logits, targets)
    theirs = F.cross_entropy(logits, targets, weight=class_weights(counts).float())
    torch.testing.assert_close(ours, theirs)


def test_a_batch_of_one_class_is_weighted_by_batch_size_only():
    logits, targets = torch.randn(6, 3, generator=torch.Generator().manual_seed(0)), torch.full((6,), 2)
    plain = F.cross_entropy(logits, targets)
    torch.testing.assert_close(losses.create("weighted_ce", [100, 10, 1])(logits, targets), plain)
    weighted = losses.create("weighted_ce[reduction=batch_size]", [100, 10, 1])(logits, targets)
    torch.testing.assert_close(weighted, plain * 3 * 100 / 111)


@pytest.mark.parametrize("base", ["softmax", "sigmoid", "focal"])
def test_beta_zero_is_the_base_alone(base):
    logits, targets = torch.randn(20, 4, generator=torch.Generator().manual_seed(0)), torch.arange(20) % 4
    alone = {"softmax": "ce", "sigmoid": "bce", "focal": "focal_sigmoid[gamma=1.0]"}[base]
    expected = losses.create(alone, [1] * 4)(logits, targets)
    for reduction in ("batch_size", "weight_sum"):
        loss = losses.create("class_balanced", [5000, 500, 50, 1], base=base, beta=0.0, reduction=reduction)
        torch.testing.assert_close(loss(logits, targets), expected)


def test_equal_counts_give_cross_entropy():
    logits, targets = torch.randn(20, 4, generator=torch.Generator().manual_seed(0)), torch.arange(20) % 4
    for text in ("weighted_ce", "weighted_ce[reduction=batch_size]", "class_balanced", "cbce"):
        torch.testing.assert_close(losses.create(text, [7] * 4)(logits, targets), F.cross_entropy(logits, targets))


def test_cbce_is_an_alias():
    assert losses.spec("cbce[beta=0.9]") == losses.spec("class_balanced[beta=0.9]")


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("weighted_ce", {"weights": "frequency"}),
        ("weighted_ce", {"weights": "effective_number", "beta": 1.0}),
        ("weighted_ce", {"beta": -0.1}),
        ("weighted_ce", {"reduction": "mean"}),
        ("weighted_ce", {"normalise": "sum"}),
        ("class_balanced", {"beta": 1.0}),
        ("class_balanced", {"beta": math.nan}),
        ("class_balanced", {"beta": True}),
        ("class_balanced", {"base": "hinge"}),
        ("class_balanced", {"gamma": -1.0}),
    ],
)
def test_wrong_settings_are_refused(name, wrong):
    with pytest.raises(SettingError, match=next(reversed(wrong))):
        losses.create(name, [3, 1], **wrong)


def test_the_partners_loss_is_divided_by_the_partners_weights():
    """Counts 3 and 1, weights 1/2 and 3/2: over equal logits each label's weighted mean is log 2."""
    loss = losses.create("weighted_ce", [3, 1])
    own, partner = torch.zeros(2, dtype=torch.int64), torch.ones(2, dtype=torch.int64)
    assert float(loss.mixed(torch.zeros(2, 2), own, partner, 0.25)) == pytest.approx(math.log(2))

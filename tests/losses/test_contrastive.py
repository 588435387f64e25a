"""SupCon and SimCLR against loops over the formula and against pytorch-metric-learning."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from ltlib import losses
from ltlib.errors import SettingError
from ltlib.losses import SimCLR, SupCon


def supcon_in_loops(features, targets, temperature):
    """Khosla et al. 2020, Eq. 2, sample by sample; None for a sample without positives."""
    rows = [[x / math.hypot(*row) for x in row] for row in features.tolist()]
    targets = targets.tolist()

    def similarity(i, j):
        return math.fsum(a * b for a, b in zip(rows[i], rows[j], strict=True)) / temperature

    values = []
    for i in range(len(rows)):
        others = [a for a in range(len(rows)) if a != i]
        positives = [p for p in others if targets[p] == targets[i]]
        if not positives:
            values.append(None)
            continue
        largest = max(similarity(i, a) for a in others)
        log_sum = largest + math.log(math.fsum(math.exp(similarity(i, a) - largest) for a in others))
        values.append(-math.fsum(similarity(i, p) - log_sum for p in positives) / len(positives))
    return values


def mean_over_anchors(values):
    present = [value for value in values if value is not None]
    return math.fsum(present) / len(present) if present else 0.0


@settings(max_examples=40, deadline=None)
@given(
    count=st.integers(1, 12),
    width=st.integers(2, 9),
    classes=st.integers(1, 6),
    temperature=st.sampled_from([0.05, 0.07, 0.5, 2.0]),
    seed=st.integers(0, 10_000),
)
def test_equals_the_formula(count, width, classes, temperature, seed):
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(count, width, dtype=torch.float64, generator=generator)
    targets = torch.randint(classes, (count,), generator=generator)
    loss = losses.create("supcon", [1] * classes, temperature=temperature)
    values = supcon_in_loops(features, targets, temperature)
    each = [0.0 if value is None else value for value in values]
    torch.testing.assert_close(loss.per_sample(features, targets).tolist(), each, rtol=1e-10, atol=1e-12)
    assert float(loss(features, targets)) == pytest.approx(mean_over_anchors(values), rel=1e-10, abs=1e-12)


@settings(max_examples=20, deadline=None)
@given(
    images=st.integers(1, 8),
    views=st.integers(2, 3),
    temperature=st.sampled_from([0.1, 0.5]),
    seed=st.integers(0, 10_000),
)
def test_simclr_equals_nt_xent(images, views, temperature, seed):
    """Chen et al. 2020, Eq. 1: the cross-entropy of finding the other view among all other samples."""
    features = torch.randn(views * images, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    unit = [row / row.norm() for row in features]
    terms = []
    for i in range(len(unit)):
        others = [a for a in range(len(unit)) if a != i]
        scores = torch.stack([unit[i] @ unit[a] for a in others]) / temperature
        other_views = [k for k, a in enumerate(others) if a % images == i % images]
        terms.append(sum(F.cross_entropy(scores, torch.tensor(k)) for k in other_views) / len(other_views))
    loss = losses.create("simclr", [1], temperature=temperature)
    assert loss.instances
    numbers = torch.arange(images).repeat(views)
    torch.testing.assert_close(loss(features, numbers), torch.stack(terms).mean(), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("temperature", [0.07, 0.1, 0.5])
def test_equals_pytorch_metric_learning_where_definitions_meet(temperature):
    reference = pytest.importorskip("pytorch_metric_learning.losses").SupConLoss(temperature=temperature)
    generator = torch.Generator().manual_seed(1)
    values, gradients = [], []
    start = torch.randn(24, 16, dtype=torch.float64, generator=generator)
    targets = torch.tensor([*[0] * 12, *[1] * 7, 2, 2, 2, 3, 4])  # 3 and 4 stand alone
    for loss in (SupCon(temperature=temperature), reference):
        features = start.clone().requires_grad_()
        value = loss(features, targets)
        value.backward()
        values.append(value.detach())
        gradients.append(features.grad)
    torch.testing.assert_close(values[0], values[1], rtol=1e-10, atol=0)
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-8, atol=1e-12)


def test_gradient_is_the_numerical_one():
    features = torch.randn(7, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    targets = torch.tensor([0, 0, 1, 1, 1, 2, 0])
    assert torch.autograd.gradcheck(lambda z: SupCon(temperature=0.5)(z, targets), (features,))


@pytest.mark.parametrize("scale", [1e-3, 1e4])
def test_length_of_the_features_does_not_matter(scale):
    features = torch.randn(8, 16, generator=torch.Generator().manual_seed(0))
    targets = torch.tensor([0, 0, 0, 1, 1, 2, 2, 2])
    torch.testing.assert_close(SupCon()(features * scale, targets), SupCon()(features, targets), rtol=1e-5, atol=0)


def test_order_of_the_batch_does_not_matter():
    generator = torch.Generator().manual_seed(0)
    features, targets = torch.randn(12, 8, dtype=torch.float64, generator=generator), torch.arange(12) % 4
    order = torch.randperm(12, generator=generator)
    torch.testing.assert_close(SupCon()(features[order], targets[order]), SupCon()(features, targets))


def test_base_temperature_is_a_factor():
    features, targets = torch.randn(8, 4, generator=torch.Generator().manual_seed(0)), torch.arange(8) % 2
    plain = SupCon(temperature=0.1)(features, targets)
    scaled = SupCon(temperature=0.1, base_temperature=0.07)(features, targets)
    torch.testing.assert_close(scaled, plain * 0.1 / 0.07)
    assert torch.equal(SupCon(temperature=0.07)(features, targets), SupCon(base_temperature=0.07)(features, targets))


@pytest.mark.parametrize("targets", [[0], [0, 1, 2]])
def test_without_positives_the_loss_and_its_gradient_are_zero(targets):
    features = torch.randn(len(targets), 4, requires_grad=True)
    value = SupCon()(features, torch.tensor(targets))
    value.backward()
    assert value.item() == 0
    assert features.grad.eq(0).all()


def test_one_class_gives_the_formula_not_zero():
    features = torch.eye(3, dtype=torch.float64)
    value = SupCon()(features, torch.zeros(3, dtype=torch.int64))
    assert value.item() == pytest.approx(math.log(2))


@pytest.mark.parametrize("temperature", [0.001, 0.07])
def test_extreme_features_have_finite_value_and_gradient(temperature):
    features = torch.tensor([[1e4, 0], [1e4, 0], [-1e4, 0], [-1e4, 1.0], [1e-4, 1e-4]], requires_grad=True)
    value = SupCon(temperature=temperature)(features, torch.tensor([0, 1, 0, 1, 1]))
    value.backward()
    assert torch.isfinite(value)
    assert torch.isfinite(features.grad).all()


def test_bfloat16_and_autocast_are_computed_in_float32():
    features = torch.randn(16, 32, generator=torch.Generator().manual_seed(0)).bfloat16()
    targets = torch.arange(16) % 3
    expected = SupCon()(features.float(), targets)
    assert torch.equal(SupCon()(features, targets), expected)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(SupCon()(features.float(), targets), expected)


@pytest.mark.parametrize("wrong", [{"temperature": 0}, {"temperature": -1.0}, {"base_temperature": 0.0}])
@pytest.mark.parametrize("name", ["supcon", "simclr"])
def test_temperatures_must_be_positive(name, wrong):
    with pytest.raises(SettingError, match="temperature"):
        losses.create(name, [1], **wrong)


def test_simclr_is_supcon_over_instances():
    features = torch.randn(10, 4, generator=torch.Generator().manual_seed(0))
    numbers = torch.arange(5).repeat(2)
    assert torch.equal(SimCLR(temperature=0.2)(features, numbers), SupCon(temperature=0.2)(features, numbers))

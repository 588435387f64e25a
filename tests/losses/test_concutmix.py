"""ConCutMix's labels against loops over their formula; what of it is the balanced contrastive loss is that loss."""

from __future__ import annotations

import math

import pytest
import torch

from ltlib import losses
from ltlib.errors import SettingError
from ltlib.losses import ContrastiveCutMix

COUNTS = [60, 20, 5, 1]


def made(**settings) -> ContrastiveCutMix:
    loss = losses.create("concutmix", COUNTS, **settings)
    assert isinstance(loss, ContrastiveCutMix)
    return loss.double()


def in_loops(targets, partners, shares, projection, prototypes, top_k, factor):
    """Image by image, class by class."""
    rows = []
    for own, other, share, u in zip(targets, partners, shares, projection, strict=True):
        by_area = [share * (j == own) + (1 - share) * (j == other) for j in range(4)]
        similar = [1 / math.dist(u, c) for c in prototypes]
        kept = sorted(similar, reverse=True)[:top_k]
        similar = [s if s in kept else 0.0 for s in similar]
        similar = [s / math.fsum(similar) for s in similar]
        images = math.fsum(n * t for n, t in zip(COUNTS, by_area, strict=True))
        omega = factor * math.log(images) / math.fsum(math.log(n) for n in COUNTS)
        if share == 1:
            omega = 0
        rows.append([omega * s + (1 - omega) * t for s, t in zip(similar, by_area, strict=True)])
    return rows


@pytest.mark.parametrize("top_k", [1, 2, 4])
@pytest.mark.parametrize("factor", [20 / 255, 1.0])
def test_labels_are_the_formula(top_k, factor):
    generator = torch.Generator().manual_seed(top_k)
    targets, partners = torch.tensor([0, 1, 2, 3, 0]), torch.tensor([3, 1, 0, 2, 1])
    shares = torch.tensor([0.25, 0.5, 0.9, 1.0, 0.0]).double()
    projection = torch.randn(5, 6, dtype=torch.float64, generator=generator)
    prototypes = torch.randn(4, 6, dtype=torch.float64, generator=generator)
    loss = made(top_k=top_k, factor=factor)
    loss.set_epoch(3, 4)
    found = loss.labels(targets, partners, shares, projection, prototypes)
    expected = in_loops(
        *(v.tolist() for v in (targets, partners, shares, projection, prototypes)), top_k=top_k, factor=factor
    )
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(found.sum(1), torch.ones(5).double())
    assert torch.equal(found[3], torch.tensor([0.0, 0, 0, 1]).double()), "nothing was mixed: the label is the class"


def test_labels_are_by_area_until_the_share_of_epochs_is_over():
    loss, arguments = made(factor=1.0), (torch.tensor([0]), torch.tensor([2]), torch.tensor([0.75]).double())
    places = (torch.zeros(1, 2).double(), torch.eye(4, 2).double() + 1)
    by_area = torch.tensor([[0.75, 0, 0.25, 0]]).double()
    for epoch, similar in ((1, False), (5, False), (6, True), (10, True)):
        loss.set_epoch(epoch, 10)
        assert (not torch.equal(loss.labels(*arguments, *places), by_area)) == similar, epoch
    late = made(start=1.0)
    late.set_epoch(10, 10)
    assert torch.equal(late.labels(*arguments, *places), by_area)


def test_a_feature_on_its_prototype_has_a_finite_label():
    loss = made(factor=1.0)
    loss.set_epoch(1, 1)
    points = torch.eye(4).double()
    found = loss.labels(torch.tensor([1]), torch.tensor([2]), torch.tensor([0.5]).double(), points[:1], points)
    assert torch.isfinite(found).all()


def test_one_image_of_every_class_has_labels_by_area():
    loss = losses.create("concutmix[factor=1]", [1, 1, 1])
    loss.set_epoch(1, 1)
    points = torch.randn(3, 2, generator=torch.Generator().manual_seed(0))
    found = loss.labels(torch.tensor([1]), torch.tensor([2]), torch.tensor([0.5]), points[:1], points)
    torch.testing.assert_close(found, torch.tensor([[0.0, 0.5, 0.5]]))


def test_the_rest_is_the_balanced_contrastive_loss():
    generator = torch.Generator().manual_seed(1)
    features, points = torch.randn(6, 5, generator=generator), torch.randn(4, 5, generator=generator)
    targets = torch.tensor([0, 0, 1, 2, 3, 3])
    plain = losses.create("bcl[temperature=0.2]", COUNTS)
    ours = losses.create("concutmix[temperature=0.2]", COUNTS)
    assert torch.equal(ours(features, targets, points), plain(features, targets, points))


def test_soft_labels_are_the_mean_of_the_losses_of_their_classes():
    loss = losses.create("logit_adjustment[tau=0.9]", COUNTS)
    generator = torch.Generator().manual_seed(2)
    logits = torch.randn(3, 4, dtype=torch.float64, generator=generator)
    labels = torch.rand(3, 4, dtype=torch.float64, generator=generator)
    labels /= labels.sum(1, keepdim=True)
    each = torch.stack([loss.per_sample(logits, torch.full((3,), j)) for j in range(4)], 1)
    torch.testing.assert_close(loss.soft(logits, labels), (labels * each).sum(1).mean(), rtol=1e-12, atol=0)
    with pytest.raises(SettingError, match="use logit_adjustment"):
        losses.create("focal", COUNTS).soft(logits, labels)


@pytest.mark.parametrize("text", ["top_k=0", "factor=1.5", "start=-0.1", "temperature=0"])
def test_bad_settings_are_refused(text):
    with pytest.raises(SettingError):
        losses.create(f"concutmix[{text}]", COUNTS)

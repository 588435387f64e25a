"""What a step minimises, against the formula written out."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from ltlib import losses, methods, models
from ltlib.training import objectives

COUNTS = [6, 3, 2]


@pytest.fixture(scope="module")
def batch() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    views = torch.randn(2, 12, 3, 8, 8, generator=generator)
    return views[0], views[1], torch.tensor([0, 0, 0, 0, 0, 0, 1, 1, 1, 2, 2, 2])


def network(classifier_input: str = "features") -> models.Network:
    return models.create("resnet8", 3, projector=16, classifier_input=classifier_input).eval()


def test_supervised(batch: tuple[torch.Tensor, torch.Tensor, torch.Tensor]) -> None:
    images, _, targets = batch
    objective = objectives.create(methods.stages("ce")[0], COUNTS)
    net = network()
    value, logits = objective(net, objectives.Batch(images, targets))
    assert objective.views == 1
    torch.testing.assert_close(logits, net(images))
    torch.testing.assert_close(value, F.cross_entropy(net(images), targets))


@pytest.mark.parametrize("name", ["supcon", "simclr"])
@pytest.mark.parametrize("classifier_input", ["features", "projection"])
def test_two_views_and_a_classification_loss(
    batch: tuple[torch.Tensor, torch.Tensor, torch.Tensor], name: str, classifier_input: str
) -> None:
    first, second, targets = batch
    text = f"{name}_ce[contrastive_weight=0.3;ce_weight=2;temperature=0.1;classifier_input={classifier_input}]"
    objective = objectives.create(methods.stages(text)[0], COUNTS)
    net = network(classifier_input)
    value, logits = objective(net, objectives.Batch(torch.cat([first, second]), targets))
    z = torch.cat([net.embed(first)[1], net.embed(second)[1]])  # type: ignore[list-item]
    labels = targets if name == "supcon" else torch.arange(12)
    alike = torch.cat([labels, labels])
    contrast, cosines = [], (F.normalize(z, dim=1) @ F.normalize(z, dim=1).T / 0.1).double()
    for i in range(24):
        others = [a for a in range(24) if a != i]
        positives = [p for p in others if alike[p] == alike[i]]
        log_sum = torch.logsumexp(cosines[i, others], 0)
        contrast.append(-(cosines[i, positives] - log_sum).mean())
    expected = 0.3 * torch.stack(contrast).mean().float() + 2 * F.cross_entropy(net(first), targets)
    torch.testing.assert_close(value, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(logits, net(first))


def test_contrastive_alone_classifies_nothing(batch: tuple[torch.Tensor, torch.Tensor, torch.Tensor]) -> None:
    first, second, targets = batch
    objective = objectives.create(methods.stages("supcon")[0], COUNTS)
    net = network()
    value, logits = objective(net, objectives.Batch(torch.cat([first, second]), targets))
    z = torch.cat([net.embed(first)[1], net.embed(second)[1]])  # type: ignore[list-item]
    assert logits is None
    assert objective.loss is None
    torch.testing.assert_close(value, losses.create("supcon", COUNTS)(z, targets.repeat(2)))
    value.backward()
    assert net.classifier.weight.grad is None

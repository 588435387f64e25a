"""Networks of several experts: what they share, their size by hand, the mean of their logits."""

from __future__ import annotations

import pytest
import torch

from ltlib import models
from ltlib.errors import SettingError
from ltlib.experiment import Experiment
from ltlib.models import branches, experts
from ltlib.runs import cost

OWN = (4_608 + 9 * 9_216 + 10 * 64) + (18_432 + 9 * 36_864 + 10 * 128) + 64 * 100
"""Parameters of the last two groups of a ResNet-32 and of its classifier of cosines."""
OWN_MACS = 2 * (256 * 4_608 + 9 * 256 * 9_216)
"""Of both groups: the third has a quarter of the places and four times the weights."""


def images(count: int = 4) -> torch.Tensor:
    return torch.randn(count, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def several(name: str = "resnet14", number: int = 3, classifier: str = "linear") -> experts.ExpertNetwork:
    return experts.several(models.MODELS.create(name), 5, number, classifier=classifier)


def test_three_experts_on_a_resnet_32_have_the_size_of_balpoes() -> None:
    """1.36 million parameters."""
    network = experts.several(models.MODELS.create("resnet32"), 100, 3, classifier="normed")
    assert models.parameter_count(network) == 470_004 - 100 + 2 * OWN == 1_362_064
    plain = models.macs("resnet32", 100)
    network = experts.several(models.MODELS.create("resnet32"), 100, 3)  # a layer of torch's: cosines are not counted
    assert models.macs(network) == plain + 2 * (OWN_MACS + 6_400)
    sade, ce = (cost.work(Experiment("cifar100", 100, "resnet32", name, "ldam[epochs=1]")) for name in ("sade", "ce"))
    assert sade.macs / ce.macs == pytest.approx(models.macs(network) / plain, rel=1e-3)


@pytest.mark.parametrize("name", ["resnet8", "resnet14", "resnet18"])
def test_each_expert_is_the_plain_network_from_the_shared_layers_on(name: str) -> None:
    plain = models.MODELS.create(name)
    expected = plain.eval()(images())
    backbone = experts.ExpertBackbone(plain, 2).eval()  # all copies start as the network's own groups
    torch.testing.assert_close(backbone(images()), torch.cat([expected, expected], 1))
    shared = sum(p.numel() for p in backbone.trunk.parameters())
    whole = sum(p.numel() for p in plain.parameters())
    assert models.parameter_count(backbone) == shared + 2 * (whole - shared)


@pytest.mark.parametrize("classifier", ["linear", "cosine"])
def test_the_prediction_is_the_mean_of_the_experts_logits(classifier: str) -> None:
    network = several(classifier=classifier).eval()
    shared = network.backbone.trunk(images())  # type: ignore[operator, union-attr]
    own = []
    for groups, head in zip(network.backbone.experts, network.classifier.heads, strict=True):  # type: ignore[arg-type]
        own.append(head(groups(shared).mean((2, 3))))
    torch.testing.assert_close(network.expert_logits(images()), torch.stack(own, 1))
    torch.testing.assert_close(network(images()), (own[0] + own[1] + own[2]) / 3)


def test_experts_begin_with_weights_of_their_own_that_the_seed_gives() -> None:
    network, again = several(), several()
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), again.parameters(), strict=True))
    first, second, _ = network.backbone.experts  # type: ignore[misc, union-attr]
    assert not torch.equal(first[0][0].conv1.weight, second[0][0].conv1.weight)
    heads = network.classifier.heads
    assert not torch.equal(heads[0].weight, heads[1].weight)  # type: ignore[index, union-attr]


def test_another_network_is_refused_in_one_sentence() -> None:
    with pytest.raises(SettingError, match="branches need a residual network, not VisionTransformer"):
        experts.ExpertBackbone(models.MODELS.create("vit_b_16[size=tiny]"), 2)
    assert isinstance(branches.Trunk(models.MODELS.create("resnet8"), groups_left_out=2), models.Backbone)

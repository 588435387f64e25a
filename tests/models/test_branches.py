"""BBN's and ResLT's networks against their definitions, block by block."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from ltlib import models
from ltlib.errors import SettingError
from ltlib.models import branches


def images(count: int = 4, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, 3, 16, 16, generator=torch.Generator().manual_seed(seed))


def bbn(name: str = "resnet14", classes: int = 5) -> branches.BilateralNetwork:
    return branches.bilateral(models.MODELS.create(name), classes)


def reslt(name: str = "resnet14", classes: int = 10) -> branches.ResidualNetwork:
    return branches.reslt(models.MODELS.create(name), classes)


@pytest.mark.parametrize(
    ("build", "classes", "parameters"),
    [(branches.bilateral, 100, 550_388), (branches.reslt, 100, 470_004 + 3 * 128), (branches.reslt, 10, 464_538)],
)
def test_parameters_are_the_reference_networks(build, classes, parameters):
    assert models.parameter_count(build(models.MODELS.create("resnet32"), classes)) == parameters


@pytest.mark.parametrize("name", ["resnet8", "resnet14", "resnet18"])
def test_trunk_is_the_network_up_to_its_last_map(name):
    network = models.MODELS.create(name)
    expected = network(images())
    torch.testing.assert_close(branches.Trunk(network)(images()).mean((2, 3)), expected)


@pytest.mark.parametrize("name", ["resnet8", "resnet14", "resnet18"])
def test_each_bilateral_branch_is_the_plain_network_with_its_last_block(name):
    plain = models.MODELS.create(name)
    expected = plain.eval()(images())
    backbone = branches.BilateralBackbone(plain).eval()  # both copies start as the network's own block
    for branch in ("conventional", "rebalancing"):
        torch.testing.assert_close(backbone.branch(images(), branch), expected)
    torch.testing.assert_close(backbone(images()), torch.cat([expected, expected], 1))


def test_bilateral_mixes_features_as_the_reference_code():
    network = bbn().eval()
    a, b, alpha = images(seed=1), images(seed=2), 0.3
    f_c = network.backbone.branch(a, "conventional")
    f_r = network.backbone.branch(b, "rebalancing")
    expected = network.classifier(2 * torch.cat((alpha * f_c, (1 - alpha) * f_r), dim=1))
    torch.testing.assert_close(network.mixed(a, b, alpha), expected)
    torch.testing.assert_close(network.mixed(a, b, torch.tensor(alpha)), expected)


def test_bilateral_test_is_the_mixture_at_one_half():
    network = bbn().eval()
    torch.testing.assert_close(network(images()), network.mixed(images(), images(), 0.5))


def test_bilateral_gradients_reach_only_the_branch_with_weight():
    network = bbn()
    network.mixed(images(seed=1), images(seed=2), 1.0).square().sum().backward()
    norms = {
        name: sum(float(p.grad.abs().sum()) for p in getattr(network.backbone, name).parameters())
        for name in ("conventional", "rebalancing", "trunk")
    }
    assert norms["conventional"] > 0
    assert norms["trunk"] > 0
    assert norms["rebalancing"] == 0


def test_bilateral_counts_each_samplers_images_for_itself():
    """Batch statistics of a branch do not depend on the other branch's images."""
    first, second = bbn(), bbn()
    out = first.mixed(images(seed=1), images(seed=2), 1.0)
    torch.testing.assert_close(second.mixed(images(seed=1), 9 * images(seed=3), 1.0), out)


def test_copies_of_the_last_block_start_with_weights_of_their_own():
    network = bbn()
    assert not torch.equal(network.backbone.conventional.conv1.weight, network.backbone.rebalancing.conv1.weight)
    again = bbn()
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), again.parameters(), strict=True))


def test_bbn_alpha_is_the_parabola():
    assert branches.bbn_alpha(1, 200) == 1
    assert branches.bbn_alpha(100, 200) == pytest.approx(0.755, abs=5e-4)
    assert branches.bbn_alpha(200, 200) == pytest.approx(0.010, abs=5e-4)
    assert branches.bbn_alpha(90, 90) == pytest.approx(1 - 0.89**2)  # a horizon of 100, as in the reference code
    assert branches.bbn_alpha(180, 180) == pytest.approx(1 - (179 / 200) ** 2)
    assert all(branches.bbn_alpha(e, 30) > branches.bbn_alpha(e + 1, 30) > 0 for e in range(1, 30))


# --- ResLT -----------------------------------------------------------------------------------------------------------


def test_reslt_is_three_norms_before_one_classifier():
    network = reslt().eval()
    for norm, scale in zip(network.backbone.norms, (0.5, 1.0, 2.0), strict=True):
        norm.weight.data.fill_(scale)
    shared = network.backbone.trunk(images())
    logits = [network.classifier(norm(shared).mean((2, 3))) for norm in network.backbone.norms]
    each = network.branch_logits(images())
    for i, expected in enumerate(logits):
        torch.testing.assert_close(each[:, i], expected)
    torch.testing.assert_close(network(images()), sum(logits))
    features, _ = network.embed(images())
    torch.testing.assert_close(network.classify(features), sum(logits))


def test_reslt_loss_equals_the_reference_loop():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(12, 3, 10, dtype=torch.float64, generator=generator)
    targets = torch.randint(10, (12,), generator=generator)
    masks = branches.reslt_masks(list(range(100, 0, -10)))
    total, terms = 0.0, 0
    for branch, first in enumerate((0, 2, 4)):  # CIFAR-10 in the reference code
        for i in range(12):
            if targets[i] >= first:
                total += float(F.cross_entropy(logits[i, branch][None], targets[i][None]))
                terms += 1
    fused = float(F.cross_entropy(logits.sum(1), targets))
    for beta in (0.0, 0.72, 1.0):
        value = branches.reslt_loss(logits, targets, masks, beta)
        assert float(value) == pytest.approx(beta * total / terms + (1 - beta) * fused, rel=1e-12)


def test_reslt_masks_follow_the_size_of_the_classes():
    masks = branches.reslt_masks([500] * 100)
    assert masks.sum(1).tolist() == [100, 65, 30]
    assert masks[2].nonzero().flatten().tolist() == list(range(70, 100))
    backwards = branches.reslt_masks(list(range(1, 101)))
    assert backwards[2].nonzero().flatten().tolist() == list(range(30))  # the rarest are the first here
    assert branches.reslt_masks([9, 8, 7, 6], cuts=(1, 3)).int().tolist() == [[1, 1, 1, 1], [0, 1, 1, 1], [0, 0, 0, 1]]


def test_a_batch_without_tail_classes_is_fine():
    logits = torch.randn(3, 3, 10, requires_grad=True)
    value = branches.reslt_loss(logits, torch.zeros(3, dtype=torch.int64), branches.reslt_masks(range(10, 0, -1)), 0.9)
    value.backward()
    assert torch.isfinite(value)
    assert logits.grad[:, 1:].abs().sum() > 0  # through the fused logits alone


def test_other_networks_and_cuts_are_refused():
    class Plain(models.Backbone):
        feature_dim = 3

    for build in (branches.bilateral, branches.reslt):
        with pytest.raises(SettingError, match="residual network, not Plain"):
            build(Plain(), 10)
    with pytest.raises(SettingError, match="in order"):
        branches.reslt_masks([5, 4, 3], cuts=(2, 1))


@pytest.mark.parametrize("build", [bbn, reslt])
def test_parts_can_be_frozen_by_the_usual_names(build):
    network = build()
    assert set(network.parts) == {"backbone", "classifier"}
    counted = sum(p.numel() for part in network.parts.values() for p in part.parameters())
    assert counted == models.parameter_count(network)

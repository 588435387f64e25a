"""Cosine classifier and learnable weight scaling."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from ltlib import losses, models
from ltlib.errors import SettingError, UnknownName
from ltlib.models.classifiers import CLASSIFIERS, Cosine, ScaledLinear


def test_cosines_equal_the_formula():
    generator = torch.Generator().manual_seed(0)
    classifier = Cosine(5, 3)
    classifier.draw(generator)
    features = torch.randn(4, 5, generator=generator)
    rows = classifier.weight.tolist()
    for f, logits in zip(features.tolist(), classifier(features).tolist(), strict=True):
        expected = [math.fsum(a * b for a, b in zip(f, w, strict=True)) / math.hypot(*f) / math.hypot(*w) for w in rows]
        assert logits == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_only_directions_matter_and_zero_features_give_zero():
    classifier, features = Cosine(5, 3), torch.randn(4, 5)
    classifier.draw(torch.Generator().manual_seed(0))
    before = classifier(features)
    torch.testing.assert_close(classifier(1e4 * features), before)
    with torch.no_grad():
        classifier.weight.mul_(7)
    torch.testing.assert_close(classifier(features), before)
    zero = torch.zeros(2, 5, requires_grad=True)
    classifier(zero).sum().backward()
    assert torch.isfinite(zero.grad).all()
    assert classifier(zero).eq(0).all()


def test_cosines_are_float32_under_autocast_and_of_bfloat16_features():
    classifier, features = Cosine(64, 10), torch.randn(8, 64)
    classifier.draw(torch.Generator().manual_seed(0))
    expected = classifier(features)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(classifier(features), expected)
    assert classifier(features.bfloat16()).dtype == torch.float32


def test_cosine_weights_start_as_ldam_drws():
    """Directions of points of a cube; its code: ``uniform_(-1, 1).renorm_(2, 1, 1e-5).mul_(1e5)`` on [D, K]."""
    network = models.create("resnet8", 1000, classifier="cosine")
    weight = network.classifier.weight.detach()
    torch.testing.assert_close(weight.norm(dim=1), torch.ones(1000))
    generator = torch.Generator().manual_seed(1)
    theirs = torch.empty(64, 1000).uniform_(-1, 1, generator=generator).renorm_(2, 1, 1e-5).mul_(1e5)
    for moment in (2, 4):
        ours = float((weight * 8).pow(moment).mean())
        assert ours == pytest.approx(float((theirs * 8).pow(moment).mean()), rel=0.05)
    assert abs(float(weight.mean())) < 0.01


def test_cosine_network_trains_with_ldam():
    network = models.create("resnet8", 3, classifier="cosine")
    logits = network(torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0)))
    assert logits.abs().max() <= 1 + 1e-6
    losses.create("ldam", [50, 10, 2])(logits, torch.tensor([0, 1, 2, 0])).backward()
    assert network.classifier.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("classifier", ["cosine", "lws", "lws_mislas"])
def test_the_classifier_does_not_change_the_backbone_and_a_seed_gives_one_network(classifier):
    plain, network, again = (
        models.create("resnet8", 10, classifier=c, seed=3) for c in ("linear", classifier, classifier)
    )
    for key, value in plain.backbone.state_dict().items():
        assert torch.equal(value, network.backbone.state_dict()[key])
    for key, value in network.state_dict().items():
        assert torch.equal(value, again.state_dict()[key])
    if classifier != "cosine":
        assert torch.equal(plain.classifier.weight, network.classifier.linear.weight)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(1)
    models.initialise(network, 3)
    for key, value in network.state_dict().items():
        assert torch.equal(value, again.state_dict()[key])


@pytest.mark.parametrize("bias", ["scaled", "kept"])
@pytest.mark.parametrize("trainable", [True, False])
def test_scaled_linear_starts_as_the_linear_and_scales_as_said(bias, trainable):
    linear, features = nn.Linear(6, 4), torch.randn(5, 6)
    scaled = ScaledLinear(copy.deepcopy(linear), trainable=trainable, bias=bias)
    torch.testing.assert_close(scaled(features), linear(features))
    s = torch.tensor([0.5, 1.0, 2.0, -1.0])
    with torch.no_grad():
        scaled.scales.copy_(s)
    product = F.linear(features, linear.weight)
    expected = s * (product + linear.bias) if bias == "scaled" else s * product + linear.bias
    torch.testing.assert_close(scaled(features), expected)
    scaled(features).square().sum().backward()
    assert scaled.scales.grad.abs().min() > 0
    assert (scaled.linear.weight.grad is not None) == trainable
    assert (scaled.linear.bias.grad is not None) == trainable


def test_the_published_forms_by_name():
    frozen, trained = (CLASSIFIERS.create(name, 6, 4) for name in ("lws", "lws_mislas"))
    assert [name for name, p in frozen.named_parameters() if p.requires_grad] == ["scales"]
    assert len([p for p in trained.parameters() if p.requires_grad]) == 3
    assert CLASSIFIERS.create("lws[bias=kept]", 6, 4).bias == "kept"
    with pytest.raises(SettingError, match="bias"):
        CLASSIFIERS.create("lws[bias=none]", 6, 4)
    with pytest.raises(UnknownName, match="cosine"):
        CLASSIFIERS.create("cosin", 6, 4)


def test_taking_over_a_trained_classifier_keeps_its_logits():
    network = models.create("resnet8", 5).eval()
    images = torch.randn(3, 3, 8, 8)
    before = network(images)
    network.classifier = ScaledLinear(network.classifier, trainable=False)
    torch.testing.assert_close(network(images), before)
    assert models.parameter_count(network) == models.parameter_count(models.create("resnet8", 5)) + 5

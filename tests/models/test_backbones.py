"""ResNet-18, 34, 50 for small images against torchvision's."""

from __future__ import annotations

import pytest
import torch

from ltlib import models

torchvision_models = pytest.importorskip("torchvision.models")
NAMES = ["resnet18", "resnet34", "resnet50"]


def torchvision_twin(name, num_classes=10):
    """torchvision's network with the small-image stem put in."""
    twin = getattr(torchvision_models, name)(weights=None, num_classes=num_classes)
    twin.conv1 = torch.nn.Conv2d(3, 64, 3, padding=1, bias=False)
    twin.maxpool = torch.nn.Identity()
    return twin


@pytest.mark.parametrize("name", NAMES)
def test_equals_torchvision_with_the_same_weights(name):
    network = models.create(name, 10)
    with torch.device("meta"):  # its own weights are not needed
        twin = torchvision_twin(name)
    weights = network.backbone.state_dict() | {f"fc.{k}": v for k, v in network.classifier.state_dict().items()}
    twin.load_state_dict({key: value.clone() for key, value in weights.items()}, strict=True, assign=True)
    twin.requires_grad_(True)
    images = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    for mode in (True, False):  # training first, so that evaluation has statistics of its own
        network.train(mode)
        twin.train(mode)
        ours, theirs = network(images), twin(images)
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)
    ours.square().sum().backward()
    theirs.square().sum().backward()
    torch.testing.assert_close(network.backbone.conv1.weight.grad, twin.conv1.weight.grad, rtol=1e-4, atol=1e-4)
    assert torch.equal(network.backbone.bn1.running_mean, twin.bn1.running_mean)


@pytest.mark.parametrize("name", NAMES)
def test_parameters_are_those_of_torchvision_apart_from_the_stem(name):
    with torch.device("meta"):
        original = getattr(torchvision_models, name)(weights=None, num_classes=100)
    stem = 64 * 3 * (7 * 7 - 3 * 3)
    assert models.parameter_count(models.create(name, 100)) == models.parameter_count(original) - stem


def test_weights_are_spread_as_torchvision_spreads_them():
    """Kaiming fan-out in convolutions, batch normalisation at one and zero, torch's default in the classifier."""
    ours = models.create("resnet18", 100)
    twin = torchvision_twin("resnet18", 100)
    torch.nn.init.kaiming_normal_(twin.conv1.weight, mode="fan_out", nonlinearity="relu")
    theirs = {key: weight.detach() for key, weight in twin.named_parameters()}
    for key, weight in ours.backbone.state_dict().items():
        if key not in theirs:
            continue  # batch statistics
        if weight.ndim == 4:
            tolerance = 6 / (2 * weight.numel()) ** 0.5  # six standard errors of a ratio of standard deviations
            assert float(weight.std() / theirs[key].std()) == pytest.approx(1, abs=2**0.5 * tolerance)
            assert abs(float(weight.mean())) < 6 * float(weight.std()) / weight.numel() ** 0.5
        else:
            assert torch.equal(weight, theirs[key])
    bound = ours.feature_dim**-0.5
    assert 0.99 * bound < float(ours.classifier.weight.detach().max()) <= bound
    assert float(ours.classifier.bias.detach().abs().max()) <= bound


def test_resnet18_costs_0_556_gigamacs():
    assert models.macs("resnet18", 100, 32) == pytest.approx(0.556e9, rel=0.002)


@pytest.mark.parametrize("size", [8, 64])
def test_runs_on_other_sizes(size):
    with torch.no_grad():
        assert models.create("resnet18", 7).eval()(torch.randn(1, 3, size, size)).shape == (1, 7)

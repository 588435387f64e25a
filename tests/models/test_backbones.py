"""ResNet-18, 34, 50, 101 against torchvision's, with their own stem and with that for small images."""

from __future__ import annotations

import pytest
import torch

from ltlib import models
from ltlib.errors import SettingError
from ltlib.models import branches

torchvision_models = pytest.importorskip("torchvision.models")
NAMES = ["resnet18", "resnet34", "resnet50"]
PUBLISHED = {  # parameters and multiply-accumulates with 1000 classes at 224 pixels
    "resnet18": (11.69e6, 1.81e9),
    "resnet34": (21.80e6, 3.66e9),
    "resnet50": (25.56e6, 4.09e9),
    "resnet101": (44.55e6, 7.80e9),
}


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


@pytest.mark.parametrize("name", PUBLISHED)
def test_for_photographs_it_is_torchvisions_network(name):
    """Every module, name and shape: the state dict fits with nothing left over, and features are the same."""
    ours = models.MODELS.create(f"{name}[stem=imagenet]").eval()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        twin = getattr(torchvision_models, name)(weights=None).eval()
        for module in twin.modules():
            if isinstance(module, torch.nn.BatchNorm2d):  # statistics that are no identity
                module.running_mean.normal_(std=0.1)
                module.running_var.uniform_(0.5, 2)
    state = {key: value for key, value in twin.state_dict().items() if not key.startswith("fc.")}
    ours.load_state_dict(state, strict=True)
    twin.fc = torch.nn.Identity()
    images = torch.randn(2, 3, 97, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(ours(images), twin(images), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("name", "parameters", "macs"), [(name, *both) for name, both in PUBLISHED.items()])
def test_parameters_and_macs_are_the_published_ones(name, parameters, macs):
    with torch.device("meta"):
        backbone = models.MODELS.create(f"{name}[stem=imagenet]")
        network = models.Network(backbone, torch.nn.Linear(backbone.feature_dim, 1000))
    assert models.parameter_count(network) == pytest.approx(parameters, abs=0.005e6)
    assert models.macs(network, image_size=224) == pytest.approx(macs, abs=0.005e9)


def test_another_stem_is_refused():
    with pytest.raises(SettingError, match="stem of a ResNet must be small or imagenet, not 'large'"):
        models.spec("resnet18[stem=large]")


def test_older_runs_keep_their_identity():
    """The settings that came later are in it only where they say something."""
    assert models.spec("resnet18").identity() == {"name": "resnet18", "version": 1, "settings": {}}
    assert models.spec("resnet18[stem=imagenet]").identity()["settings"] == {"stem": "imagenet"}


def test_branches_have_the_stems_pooling():
    network = models.MODELS.create("resnet18[stem=imagenet]")
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(branches.Trunk(network)(images).mean((2, 3)), network(images))

"""MobileNetV2, ViT-B/16 and ConvNeXt-B against torchvision's own: its names, files, numbers, and how it draws."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import handmade_weights as handmade
import pytest
import torch
from torch import Tensor, nn

from ltlib import models
from ltlib.errors import SettingError
from ltlib.models import checkpoints, convnext, mobilenet, vit

theirs = pytest.importorskip("torchvision.models")
NAMES = ["mobilenet_v2", "vit_b_16", "convnext_base"]
TINY = 16  # pixels


def tiny(name: str, **settings: Any) -> nn.Module:
    """Torchvision's network with the numbers of our tiny one."""
    if name == "mobilenet_v2":
        factor, groups = mobilenet.SIZES["tiny"]
        return theirs.MobileNetV2(width_mult=factor, inverted_residual_setting=groups, **settings)
    if name == "vit_b_16":
        shape = vit.SIZES["tiny"]
        numbers = (shape.image, shape.patch, shape.layers, shape.heads, shape.width, shape.mlp)
        return theirs.VisionTransformer(*numbers, **settings)
    from torchvision.models.convnext import CNBlockConfig

    (a, b, c), blocks = convnext.SIZES["tiny"]
    groups = [CNBlockConfig(*one) for one in zip((a, b, c), (b, c, None), blocks, strict=True)]
    return theirs.ConvNeXt(groups, **settings)


def without_classifier(network: nn.Module) -> nn.Module:
    """The network's last linear layer lets the features through."""
    if hasattr(network, "heads"):
        network.heads = nn.Identity()
    else:
        network.classifier[-1] = nn.Identity()
    return network


def pictures(count: int, side: int) -> Tensor:
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("name", "side"), [("mobilenet_v2", 75), ("vit_b_16", 224), ("convnext_base", 64)])
def test_features_are_torchvisions_with_its_weights(name: str, side: int) -> None:
    """Its state dict fits as it is, the classifier's part left out; nothing is missing or left over."""
    with torch.device("meta"):
        ours, twin = models.MODELS.create(name).eval(), getattr(theirs, name)(weights=None).eval()
    handmade.scatter(twin)
    ours.to_empty(device="cpu")
    checkpoints.fit(ours, Path("w.pth"), twin.state_dict(), name)
    with torch.no_grad():
        found, expected = ours(pictures(1, side)), without_classifier(twin)(pictures(1, side))
    assert found.shape == (1, ours.feature_dim)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    assert float(expected.std()) > 0.1


@pytest.mark.parametrize("name", NAMES)
def test_a_file_of_torchvisions(name: str, tmp_path: Path) -> None:
    """From the file to the network's features, by its setting; the classifier is drawn."""
    twin = handmade.scatter(tiny(name)).eval()
    file = handmade.save(tmp_path / "w.pth", twin.state_dict())
    network = models.create(f"{name}[size=tiny;weights={file}]", 5).eval()
    with torch.no_grad():
        expected = without_classifier(twin)(pictures(3, TINY))
        torch.testing.assert_close(network.backbone(pictures(3, TINY)), expected, rtol=1e-4, atol=1e-5)
    drawn = models.create(f"{name}[size=tiny]", 5)
    assert torch.equal(network.classifier.weight, drawn.classifier.weight)


@pytest.mark.parametrize("name", NAMES)
def test_parameters_and_macs_are_those_torchvision_publishes(name: str) -> None:
    """With 1000 classes at 224 pixels; it counts attention's products too."""
    with torch.device("meta"):
        backbone = models.MODELS.create(name)
        network = models.Network(backbone, nn.Linear(backbone.feature_dim, 1000))
    known = theirs.get_model_weights(name).IMAGENET1K_V1.meta
    assert models.parameter_count(network) == known["num_params"]
    assert models.macs(network, image_size=224) == pytest.approx(known["_ops"] * 1e9, abs=0.0006e9)


def spread(weight: Tensor) -> float:
    """Fourth moment by the square of the second: 1.8 where uniform, 3 where normal."""
    return float((weight.pow(4).mean() / weight.pow(2).mean().pow(2)).detach())


@pytest.mark.parametrize("name", NAMES)
def test_weights_are_drawn_as_torchvision_draws(name: str) -> None:
    """Each parameter's mean, spread and form; what is constant there is the same constant here."""
    ours = models.create(f"{name}[size=tiny]", 10, seed=2).backbone
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        twin = tiny(name)
    known = {key: value.detach() for key, value in twin.named_parameters()}
    drawn = 0
    for key, parameter in ours.named_parameters():
        value, other = parameter.detach(), known[key]
        if bool((other == other.flatten()[0]).all()):
            assert torch.equal(value, other), key
            continue
        drawn += 1
        n = value.numel()
        assert abs(float(value.mean())) < 5 * float(other.std()) / n**0.5, key
        assert float(value.std() / other.std()) == pytest.approx(1, abs=6 / n**0.5), key
        if n > 1000:
            assert spread(value) == pytest.approx(spread(other), abs=0.5), key
        assert not torch.equal(value, other)
    assert drawn >= 8


@pytest.mark.parametrize("name", [*NAMES, "resnet50v2"])
def test_a_seed_gives_one_network_and_torchs_generator_has_no_part(name: str) -> None:
    """Neither in drawing nor in training: no dropout, no stochastic depth."""
    text = f"{name}[size=tiny]"
    torch.manual_seed(0)
    before = torch.random.get_rng_state()
    first = models.create(text, 4, seed=3).train()
    last = models.create(text, 4, seed=4).to(memory_format=torch.channels_last)
    models.initialise(last, 3)
    outputs = [network(pictures(4, TINY)) for network in (first, first, last.train())]
    assert torch.equal(before, torch.random.get_rng_state())
    for (key, a), b in zip(first.named_parameters(), last.parameters(), strict=True):
        assert torch.equal(a, b), key
    assert torch.equal(outputs[0], outputs[1])
    torch.testing.assert_close(outputs[0], outputs[2], rtol=1e-4, atol=1e-5)
    other = models.create(text, 4, seed=4).backbone.state_dict()
    assert any(not torch.equal(value, other[key]) for key, value in first.backbone.state_dict().items())


@pytest.mark.parametrize("name", [*NAMES, "resnet50v2"])
def test_the_tiny_one_learns(name: str) -> None:
    """Two kinds of sixteen images are told apart, and every weight has a part in it."""
    network = models.create(f"{name}[size=tiny]", 2, seed=1)
    assert models.parameter_count(network.backbone) < 100_000
    assert models.macs(network, image_size=TINY) < 2e6
    images, targets = pictures(16, TINY), torch.arange(16) % 2
    images[1::2, 0] += 2
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3)
    for _ in range(15):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(network(images), targets)
        loss.backward()
        optimizer.step()
    assert float(loss.detach()) < 0.2
    assert all(p.grad is not None and bool(p.grad.any()) for p in network.parameters())


@pytest.mark.parametrize("name", [*NAMES, "resnet50v2"])
def test_macs_of_the_tiny_one_are_half_of_torchs_flops(name: str) -> None:
    from torch.utils.flop_counter import FlopCounterMode

    network = models.create(f"{name}[size=tiny]", 10).train()  # in evaluation torch fuses attention out of its sight
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.zeros(2, 3, TINY, TINY))
    assert 2 * models.macs(network, image_size=TINY) == counter.get_total_flops() // 2


@pytest.mark.parametrize(("size", "side", "wanted"), [("full", 32, 224), ("tiny", 64, TINY)])
def test_a_vit_takes_images_of_one_size(size: str, side: int, wanted: int) -> None:
    with torch.device("meta"):
        backbone = models.MODELS.create(f"vit_b_16[size={size}]")
    said = rf"for {wanted}x{wanted} pixels cannot take images of {side}x{side}; enlarge them with resize={wanted}$"
    with pytest.raises(SettingError, match=said), torch.device("meta"):
        backbone(torch.zeros(1, 3, side, side))


@pytest.mark.parametrize("name", [*NAMES, "resnet50v2"])
def test_settings(name: str) -> None:
    assert models.spec(name).identity() == {"name": name, "version": 1, "settings": {}}
    assert models.spec(f"{name}[size=tiny]").identity()["settings"] == {"size": "tiny"}
    with pytest.raises(SettingError, match=rf"size of {name} must be full or tiny, not 'small'"):
        models.spec(f"{name}[size=small]")
    published = next(iter(models.pretrained.PUBLISHED[name]))
    with pytest.raises(SettingError, match=rf"write {name}\[size=full;weights={published}\]"):
        models.spec(f"{name}[size=tiny;weights={published}]")
    assert math.isfinite(models.create(f"{name}[size=tiny]", 3)(pictures(2, TINY)).sum().item())

"""Where a network looks: a tiny network by hand, and torch's own attention weights."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from ltlib import models
from ltlib.errors import SettingError
from ltlib.models import saliency


class Two(nn.Module):
    """Two channels, red and green, pooled to their means, and two classes: 2 red - green, and green - 3 red."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.pool, self.classifier = nn.Conv2d(3, 2, 1, bias=False), nn.AdaptiveAvgPool2d(1), nn.Linear(2, 2)
        with torch.no_grad():
            self.conv.weight.copy_(torch.tensor([[1.0, 0, 0], [0, 1, 0]])[..., None, None])
            self.classifier.weight.copy_(torch.tensor([[2.0, -1], [-3, 1]]))

    def forward(self, images: Tensor) -> Tensor:
        return self.classifier(self.pool(self.conv(images)).flatten(1))


RED = torch.tensor([[4.0, 0, 1], [0, 2, 0]])
GREEN = torch.tensor([[0.0, 3, 6], [0, 3, 0]])


def test_grad_cam_by_hand() -> None:
    """d y / d A is the class's weight over the six places, so the map is relu(2 red - green) before it is scaled."""
    images = torch.stack([RED, GREEN, torch.zeros(2, 3)])[None].repeat(3, 1, 1, 1)
    images[2] = 0
    found = saliency.grad_cam(Two(), images, torch.tensor([0, 1, 0]))
    assert found.dtype == torch.float32
    torch.testing.assert_close(found[0], (2 * RED - GREEN).relu() / 8)
    torch.testing.assert_close(found[1], (GREEN - 3 * RED).relu() / 3)
    assert not found[2].any(), "a map of nothing is 0, not NaN"


def test_the_class_is_the_predicted_one_by_default_and_the_network_is_left_alone() -> None:
    network = models.create("resnet8", 5)
    network.train()
    network.classifier.eval()
    network.backbone.requires_grad_(False)
    images = torch.randn(3, 3, 16, 16)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    found = saliency.grad_cam(network, images)
    assert found.shape == (3, 4, 4)
    assert float(found.max()) == 1
    assert float(found.min()) >= 0
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert network.training
    assert network.backbone.training
    assert not network.classifier.training
    assert not any(module._forward_hooks for module in network.modules())
    assert all(parameter.grad is None for parameter in network.parameters())
    assert not images.requires_grad
    predicted = network.eval()(images).argmax(1)
    torch.testing.assert_close(found, saliency.grad_cam(network, images, predicted))
    assert not torch.allclose(found, saliency.grad_cam(network, images, (predicted + 1) % 5))


@pytest.mark.parametrize(
    ("name", "pixels", "places"),
    [
        ("mobilenet_v2", 64, 2),
        ("resnet50v2", 64, 2),
        ("convnext_base", 64, 4),
        ("efficientnet_lite0", 64, 2),
        ("resnet18", 32, 4),
    ],
)
def test_the_feature_map_before_the_pooling_is_found(name: str, pixels: int, places: int) -> None:
    """Not what comes after it: ConvNeXt normalises its pooled features as a map of one place."""
    settings = "" if name == "resnet18" else "[size=tiny]"
    network = models.create(name + settings, 4)
    kind, found = saliency.look(network, torch.randn(2, 3, pixels, pixels), torch.tensor([1, 2]))
    assert kind == "Grad-CAM"
    assert found.shape[1] == found.shape[2] >= places
    assert found.isfinite().all()


# --- attention --------------------------------------------------------------------------------------------------------


def vit() -> models.Network:
    return models.create("vit_b_16[size=tiny]", 4)


def seen(network: nn.Module, images: Tensor) -> tuple[list[nn.MultiheadAttention], list[Tensor]]:
    """The attention layers in order, and what each was called with."""
    layers, inputs = [], []

    def keep(module: nn.MultiheadAttention, given: tuple[Tensor, ...]) -> None:
        layers.append(module)
        inputs.append(given[0])

    attends = [module for module in network.modules() if isinstance(module, nn.MultiheadAttention)]
    hooks = [module.register_forward_pre_hook(keep) for module in attends]  # type: ignore[arg-type]
    with torch.no_grad():
        network.eval()(images)
    for hook in hooks:
        hook.remove()
    return layers, inputs


def test_attention_is_torchs_own() -> None:
    network = vit()
    side = network.backbone.image_size
    layers, inputs = seen(network, torch.randn(2, 3, side, side))  # type: ignore[arg-type]
    assert len(layers) == 2
    for layer, tokens in zip(layers, inputs, strict=True):
        nn.init.normal_(layer.in_proj_bias)
        _, expected = layer(tokens, tokens, tokens, need_weights=True, average_attn_weights=True)
        found = saliency.attention(layer, tokens)
        torch.testing.assert_close(found, expected)
        torch.testing.assert_close(found.sum(-1), torch.ones(found.shape[:2]))
        assert float((found - 1 / found.shape[-1]).detach().abs().max()) > 1e-3, "an even attention would prove nothing"


def test_rollout_is_the_product_over_layers_of_torchs_own() -> None:
    network = vit()
    side = network.backbone.image_size
    images = torch.randn(2, 3, side, side)  # type: ignore[arg-type]
    for layer in network.modules():
        if isinstance(layer, nn.MultiheadAttention):
            nn.init.normal_(layer.in_proj_weight, std=0.3)  # far from even
    network.train()
    kind, found = saliency.look(network, images)
    assert kind == "attention rollout"
    assert network.training
    layers, inputs = seen(network, images)
    for i in range(2):
        product = torch.eye(inputs[0].shape[1], dtype=torch.float64)
        for layer, tokens in zip(layers, inputs, strict=True):
            _, weights = layer(tokens, tokens, tokens, need_weights=True)
            own = weights[i].detach().double()
            product = (0.5 * own + 0.5 * torch.eye(len(own), dtype=torch.float64)) @ product
        patches = product[0, 1:]
        expected = (patches / patches.max()).reshape(found.shape[1:])
        torch.testing.assert_close(found[i].double(), expected, rtol=1e-4, atol=1e-6)
        assert float(expected.min()) < 0.9


def test_the_order_of_the_layers_counts() -> None:
    """Layer 1 moves patch 1 into patch 2, layer 2 reads patch 2: the class token got patch 1, by way of both."""
    network = vit()
    side = network.backbone.image_size
    images = torch.randn(1, 3, side, side)  # type: ignore[arg-type]
    tokens = len(seen(network, images)[1][0][0])
    one, two = torch.eye(tokens)[None].clone(), torch.eye(tokens)[None].clone()
    one[0, 2] = torch.eye(tokens)[1]
    two[0, 0] = torch.eye(tokens)[2]
    given = iter([one, two])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(saliency, "attention", lambda module, tokens: next(given))
        found = saliency.attention_rollout(network, images).flatten()
    assert found[:2].tolist() == [1.0, 1.0], "a quarter each of patches 1 and 2; the other way round none of patch 1"
    assert not found[2:].any()


def test_what_has_neither_is_refused() -> None:
    plain = nn.Sequential(nn.Flatten(), nn.Linear(12, 2))
    with pytest.raises(SettingError, match="Grad-CAM needs a network with a feature map; Sequential has none"):
        saliency.grad_cam(plain, torch.zeros(1, 3, 2, 2))
    with pytest.raises(SettingError, match="attention rollout needs a network that attends"):
        saliency.attention_rollout(plain, torch.zeros(1, 3, 2, 2))

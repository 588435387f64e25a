"""CIFAR ResNets: the published sizes, and the shortcut without parameters."""

from __future__ import annotations

import pytest
import torch

from ltlib import models
from ltlib.errors import SettingError
from ltlib.models.cifar_resnet import Block, CifarResNet


@pytest.mark.parametrize(
    ("name", "num_classes", "parameters"),
    [
        ("resnet20", 10, 269_722),
        ("resnet32", 10, 464_154),
        ("resnet32", 100, 470_004),
        ("resnet56", 10, 853_018),
    ],
)
def test_parameter_counts_are_the_published_ones(name, num_classes, parameters):
    assert models.parameter_count(models.create(name, num_classes)) == parameters


@pytest.mark.parametrize("depth", [8, 14, 20, 32, 56])
def test_depth_counts_the_layers_with_weights(depth):
    network = models.create(f"resnet{depth}", 10)
    layers = [m for m in network.modules() if isinstance(m, (torch.nn.Conv2d, torch.nn.Linear))]
    assert len(layers) == depth


@pytest.mark.parametrize("depth", [2, 9, 52])
def test_other_depths_are_refused(depth):
    with pytest.raises(SettingError, match="6n"):
        CifarResNet(depth)


@pytest.mark.parametrize("size", [7, 8, 64])
def test_runs_on_images_of_any_size(size):
    network = models.create("resnet8", 10)
    images = torch.randn(3, 3, size, size)
    features, projection = network.embed(images)
    assert features.shape == (3, 64)
    assert projection is None
    logits = network(images)
    assert logits.shape == (3, 10)
    logits.sum().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in network.parameters())


def test_shortcut_takes_every_second_pixel_and_adds_zero_channels():
    x = torch.randn(2, 16, 6, 6)
    out = Block(16, 32, 2).shortcut(x)
    for row in range(3):
        for column in range(3):
            assert torch.equal(out[:, 8:24, row, column], x[:, :, 2 * row, 2 * column])
    assert out.shape == (2, 32, 3, 3)
    assert out[:, :8].eq(0).all()
    assert out[:, 24:].eq(0).all()


@pytest.mark.parametrize("side", [7, 8])
def test_the_shortcut_s_gradient_reaches_the_pixels_taken_in_the_order_of_the_others(side: int):
    """A gradient in another order of memory than its neighbours' costs a tenth of a step on a CPU."""
    x = torch.randn(2, 16, side, side).contiguous(memory_format=torch.channels_last).requires_grad_()
    out = Block(16, 32, 2).shortcut(x)
    given = torch.randn_like(out)
    out.backward(given)
    assert x.grad is not None
    assert x.grad.is_contiguous(memory_format=torch.channels_last)
    expected = torch.zeros_like(x)
    expected[:, :, ::2, ::2] = given[:, 8:24]
    assert torch.equal(x.grad, expected)


def test_with_silent_blocks_only_the_stem_is_left():
    """Blocks whose last batch normalisation is zero hand the stem's channels down the shortcuts to features 24..39."""
    network = models.create("resnet20", 10).eval()
    for module in network.modules():
        if isinstance(module, Block):
            torch.nn.init.zeros_(module.bn2.weight)
    images = torch.randn(2, 3, 8, 8)
    stem = network.backbone.bn1(network.backbone.conv1(images)).relu()
    features, _ = network.embed(images)
    torch.testing.assert_close(features[:, 24:40], stem[:, :, ::4, ::4].mean((2, 3)))
    assert features[:, :24].eq(0).all()
    assert features[:, 40:].eq(0).all()


def test_resnet32_costs_68_9_million_macs():
    assert round(models.macs("resnet32", 10, 32) / 1e6, 1) == 68.9

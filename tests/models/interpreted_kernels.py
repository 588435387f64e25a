"""The Triton kernels through Triton's interpreter, on a CPU, against float64.

It must be asked for before triton is imported, so `test_kernels` runs this file in a process of its own:
``TRITON_INTERPRET=1 pytest -n 0 tests/models/interpreted_kernels.py``.
"""

from __future__ import annotations

import copy
import os
from typing import Any

import pytest

if os.environ.get("TRITON_INTERPRET") != "1":
    pytest.skip("needs TRITON_INTERPRET=1", allow_module_level=True)

import torch
from torch import Tensor, nn

from ltlib import models
from ltlib.models import kernels
from ltlib.models.cifar_resnet import Block, CifarResNet
from ltlib.models.kernels import body, check, launch

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several blocks and parts of a few positions, the last ones not full; the interpreter takes its time."""
    torch.set_num_threads(1)
    monkeypatch.setattr(launch, "BLOCKS", dict.fromkeys((16, 32, 64), 16))
    monkeypatch.setattr(launch, "PARTS", dict.fromkeys((16, 32, 64), 2))
    monkeypatch.setattr(launch, "ROWS", 2)
    monkeypatch.setattr(launch, "ADDED", (2, 4096))


def made(*shapes: tuple[int, int, int]) -> nn.ModuleList:
    torch.manual_seed(0)
    blocks = nn.ModuleList([Block(*shape) for shape in shapes]).train()
    for module in blocks.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.3, 0.3)
    return blocks


def apart(found: Tensor, expected: Tensor) -> float:
    return float((found.double() - expected.double()).norm() / expected.double().norm())


def through(blocks: Any, images: Tensor, ours: bool) -> dict[str, Tensor]:
    """Output, all gradients and all running statistics."""
    x = images.clone().requires_grad_()
    y = x
    if ours:
        y = body.forward(x, list(blocks))
    else:
        for block in blocks:
            y = block(y)
    weights = torch.randn(y.shape, generator=torch.Generator().manual_seed(5)).to(y.dtype)
    (y * weights).sum().backward()
    assert x.grad is not None
    found = {"output": y.detach(), "input": x.grad}
    found |= {f"gradient of {name}": value.grad for name, value in blocks.named_parameters() if value.grad is not None}
    return found | dict(blocks.named_buffers())


@pytest.mark.parametrize(
    ("shapes", "size"),
    [
        (((16, 16, 1), (16, 32, 2)), (1, 5, 5)),  # 25 positions and then 9: no multiple of 16
        (((16, 16, 1), (16, 16, 1)), (1, 4, 4)),  # a batch of one image, one full block
        (((16, 32, 2),), (1, 4, 6)),  # stride 2 at the very beginning
        (((32, 64, 2), (64, 64, 1)), (1, 5, 4)),
    ],
)
def test_blocks_are_torchs_in_float64(shapes: Any, size: tuple[int, int, int]) -> None:
    """Forward, statistics, what is computed as it is read, gradients of input, weights, gamma and beta."""
    blocks = made(*shapes)
    reference = copy.deepcopy(blocks).double()
    images = torch.randn(size[0], shapes[0][0], *size[1:], generator=torch.Generator().manual_seed(1)).relu()
    expected = through(reference, images.double(), ours=False)
    found = through(blocks, images, ours=True)
    assert found.keys() == expected.keys()
    assert len(found) == 2 + 12 * len(shapes)
    for name, value in found.items():
        assert value.shape == expected[name].shape
        assert apart(value, expected[name]) < 1e-5, name


def test_a_second_call_gives_the_same_bits() -> None:
    images = torch.randn(1, 16, 4, 5, generator=torch.Generator().manual_seed(1)).bfloat16()
    first, second = (through(made((16, 32, 2)), images, ours=True) for _ in range(2))
    assert first["output"].dtype == torch.bfloat16
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize(("dtype", "shape"), [(torch.float32, (16, 16, 1)), (torch.bfloat16, (32, 64, 2))])
def test_the_check_of_a_device_passes(dtype: torch.dtype, shape: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "SHAPES", (shape,))
    assert check.trouble(CPU, dtype, images=1, side=5) == ""


def test_the_check_finds_what_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """A window's weight left out, a gradient that is a fiftieth too large, and one that is another each time."""
    monkeypatch.setattr(check, "SHAPES", ((16, 16, 1),))
    dtype = torch.bfloat16
    convolve, weight_gradient = launch.convolve, launch.weight_gradient

    def shortened(source: Any, weight: Tensor, *rest: Any, **more: Any) -> Any:
        weight = weight.clone()
        weight[:, :, 2, 2] = 0
        return convolve(source, weight, *rest, **more)

    with monkeypatch.context() as patch:
        patch.setattr(launch, "convolve", shortened)
        assert "the convolution with 16 to 16 channels at stride 1 differs" in check.trouble(CPU, dtype, 1, 4)
    with monkeypatch.context() as patch:
        patch.setattr(launch, "weight_gradient", lambda *args: 1.02 * weight_gradient(*args))
        assert "the gradient of the weight with 16" in check.trouble(CPU, dtype, 1, 4)
    count = iter(range(10))
    with monkeypatch.context() as patch:
        patch.setattr(launch, "weight_gradient", lambda *args: weight_gradient(*args) * (1 + 1e-6 * next(count)))
        assert "weight with 16 to 16 channels at stride 1 gives other bits" in check.trouble(CPU, dtype, 1, 4)


def test_a_number_that_is_none_stays_one() -> None:
    """So that divergence is found: a ReLU by maximum would make it zero."""
    images = torch.ones(1, 16, 4, 4)
    images[0, 3, 2, 2] = float("nan")
    assert bool(through(made((16, 16, 1)), images, ours=True)["output"].isnan().any())


def test_a_network_in_training_takes_them_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    network = models.create("resnet8", 10)
    backbone = network.backbone
    assert isinstance(backbone, CifarResNet)
    monkeypatch.setattr(launch, "BLOCKS", dict.fromkeys((16, 32, 64), 128))
    images = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(2))
    calls: list[int] = []
    real = body.forward
    monkeypatch.setattr(body, "forward", lambda *args: (calls.append(1), real(*args))[1])

    def features(precision: str = "bf16") -> Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            return backbone(images)

    plain = features()
    assert calls == []
    monkeypatch.setitem(kernels._ready, "cpu", "the interpreter")
    ours = features()
    assert len(calls) == 1
    assert apart(ours.detach(), plain.detach()) < 2e-2
    ours.float().square().sum().backward()
    assert all(parameter.grad is not None for parameter in backbone.parameters())
    features("float32")
    with torch.no_grad():
        features()
    backbone.layer1[0].bn1.eval()
    features()
    backbone.train()
    backbone.layer2[0].conv1.weight.requires_grad_(False)
    features()
    assert len(calls) == 1

"""A network of torchvision with random weights, saved as its published files are; no test has real ones."""

from __future__ import annotations

import io
from dataclasses import replace
from functools import cache
from hashlib import sha256
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from ltlib.models import pretrained

NAME, FILE = "imagenet1k_v1", "resnet18-f37072fd.pth"
MODEL = f"resnet18[stem=imagenet;weights={NAME}]"


@cache
def network() -> nn.Module:
    """Torchvision's ResNet-18, weights and batch statistics drawn from a seed, in evaluation mode."""
    from torchvision import models

    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(7)
        made = models.resnet18(weights=None).eval()
        for module in made.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(std=0.1)
                module.running_var.uniform_(0.5, 2)
                module.num_batches_tracked.fill_(5)
    return made


def scatter(network: nn.Module, seed: int = 11) -> nn.Module:
    """Give every weight and statistic a value at which no layer is an identity, in place.

    Also a network that was made on torch's meta device, which costs less than drawing its weights first.
    """
    generator = torch.Generator().manual_seed(seed)
    if any(parameter.is_meta for parameter in network.parameters()):
        network.to_empty(device="cpu")
    with torch.no_grad():
        for name, value in network.state_dict().items():
            if not value.is_floating_point():
                value.zero_()
            elif name.endswith("running_var"):
                value.uniform_(0.5, 2, generator=generator)
            elif value.ndim >= 2 and not name.endswith("layer_scale"):
                value.normal_(std=max(value[0].numel(), 1) ** -0.5, generator=generator)
            else:
                value.normal_(std=0.1, generator=generator).add_(0.0 if name.endswith(("bias", "mean")) else 1.0)
    return network


def state() -> dict[str, Tensor]:
    """Its weights, classifier of 1000 classes included, without the counters that the published file lacks as well."""
    found = network().state_dict()
    return {key: value.clone() for key, value in found.items() if not key.endswith("num_batches_tracked")}


def features(images: Tensor) -> Tensor:
    """Its features [N, 512]: what its classifier reads."""
    seen: list[Tensor] = []
    hook = network().fc.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        network()(images)
    hook.remove()
    return seen[0]


@cache
def pth() -> bytes:
    """The file as `torch.save` writes it."""
    stream = io.BytesIO()
    torch.save(state(), stream)
    return stream.getvalue()


def save(path: Path, tensors: dict[str, Tensor] | None = None) -> Path:
    """Weights as a file, in the format of its ending."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if tensors is None and path.suffix == ".pth":
        path.write_bytes(pth())
    elif path.suffix == ".safetensors":
        safetensors.torch.save_file(state() if tensors is None else tensors, path)
    else:
        torch.save(tensors, path)
    return path


def publish(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put the file in a folder as LTLIB_WEIGHTS, and its digest in the list of published weights; torch has none."""
    monkeypatch.setenv("LTLIB_WEIGHTS", str(folder))
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(folder / "hub"))
    known = replace(pretrained.PUBLISHED["resnet18"][NAME], sha256=sha256(pth()).hexdigest()[:8])
    monkeypatch.setitem(pretrained.PUBLISHED["resnet18"], NAME, known)
    return save(folder / FILE)

"""Any network of timm (Wightman 2019, github.com/huggingface/pytorch-image-models) as a backbone.

``timm[name=resnet18;weights=FILE]``: the file has timm's own names, as its hub has them; nothing is downloaded. timm is
no part of this package (``pip install timm``), so ``timm`` is registered when it is first asked for, see
`ltlib.models.spec`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ltlib.datasets.base import PHOTO_MEAN, PHOTO_STD
from ltlib.errors import SettingError, UnknownName
from ltlib.models import pretrained
from ltlib.models.network import Backbone

if TYPE_CHECKING:
    from ltlib.registry import Registry

NAME = "timm"
_KINDS = {(PHOTO_MEAN, PHOTO_STD): "imagenet", ((0.5,) * 3, (0.5,) * 3): "half"}


class TimmNetwork(Backbone):
    """Pooled features of a network of timm. Without a file of weights they are timm's own draws, whatever the seed.

    Args:
        name: As `timm.create_model` takes it, such as ``resnet18`` or ``vit_tiny_patch16_224``.

    Raises:
        SettingError: timm is not installed.
        UnknownName: It has no such network.
    """

    def __init__(self, name: str):
        super().__init__()
        check(name)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.network: Any = library().create_model(name, pretrained=False, num_classes=0)
        self.feature_dim = int(getattr(self.network, "head_hidden_size", None) or self.network.num_features)
        heads = self.network.pretrained_cfg.get("classifier") or ()
        self.published_classifier = tuple(f"{head}." for head in ((heads,) if isinstance(heads, str) else heads))

    def forward(self, images: Tensor) -> Tensor:
        return self.network(images)

    def draw_module(self, module: nn.Module, generator: torch.Generator) -> bool:
        """They were drawn by timm."""
        return True

    def renamed(self, found: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Timm's names below ``network.``."""
        return {name if name.startswith("network.") else f"network.{name}": value for name, value in found.items()}


def register(registry: Registry[Backbone]) -> None:
    """Register ``timm`` where it is not."""
    if NAME in registry.names():
        return

    def timm(*, name: str = "", weights: str | None = None) -> Backbone:
        """name: as timm calls the network.
        weights: a file PATH.safetensors or PATH.pth: what a training begins from.
        """
        return TimmNetwork(name)

    registry.register(
        NAME,
        summary="A network of timm by its name there.",
        source="Wightman 2019, pytorch-image-models",
        added=("weights",),
        instead=pretrained.instead(NAME),
    )(timm)


def library() -> Any:
    """The module timm.

    Raises:
        SettingError: It is not installed.
    """
    try:
        import timm
    except ImportError:
        raise SettingError(
            "networks of timm need the package timm, which is not installed here; pip install timm"
        ) from None
    return timm


def check(name: str) -> None:
    """Refuse a name that is none of timm's.

    Raises:
        SettingError: timm is not installed.
        UnknownName: Of `name`.
    """
    timm = library()
    if not timm.is_model(name):
        raise UnknownName("network of timm", name, timm.list_models())


def pixels(name: str) -> tuple[int, str]:
    """Side in pixels of the images that a network was trained with, and their kind of normalisation.

    Raises:
        SettingError: timm is not installed, or the network's mean and std are none that are known here.
        UnknownName: Of `name`.
    """
    check(name)
    config = library().get_pretrained_cfg(name)
    mean, std = tuple(config.mean), tuple(config.std)
    if (mean, std) not in _KINDS:
        raise SettingError(f"timm:{name} wants pixels of mean {mean} and std {std}, which no normalisation here gives")
    return int(config.input_size[-1]), _KINDS[mean, std]

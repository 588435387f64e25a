"""Networks by name: ``models.create("resnet32", num_classes=100)`` is an `nn.Module` for anybody's training loop.

Example:
    >>> import torch
    >>> from ltlib import models
    >>> network = models.create("resnet32", 100)
    >>> network(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 100])
    >>> models.parameter_count(network)
    470004

``models.create("resnet50[stem=imagenet;weights=imagenet1k_v1]", 100)`` begins from published weights, see `pretrained`;
``models.create("efficientnet_lite0[size=tiny]", 100)`` is a network for photographs made small.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from numbers import Integral
from typing import Any

import torch
from torch import nn

from ltlib.errors import SettingError, UnknownName
from ltlib.models import classifiers, pretrained, timm_network
from ltlib.models.backbones import BasicBlock, Bottleneck, ResNet, check_stem
from ltlib.models.cifar_resnet import CifarResNet
from ltlib.models.classifiers import CLASSIFIERS
from ltlib.models.convnext import ConvNeXt
from ltlib.models.cost import count_macs, parameter_count
from ltlib.models.efficientnet_lite import EfficientNetLite
from ltlib.models.mobilenet import MobileNetV2
from ltlib.models.network import Backbone, Network, initialise
from ltlib.models.pooling import ForegroundPooling
from ltlib.models.resnet_v2 import ResNetV2
from ltlib.models.vit import VisionTransformer
from ltlib.registry import Registry, Spec, Value, format_value, parse

__all__ = [
    "CLASSIFIERS",
    "MODELS",
    "Backbone",
    "Network",
    "create",
    "initialise",
    "load_pretrained",
    "macs",
    "names",
    "parameter_count",
    "pretrained",
    "shapes",
    "spec",
]

MODELS = Registry[Backbone]("model")
SIZES = ("full", "tiny")
"""Of the networks for photographs that are not ResNets of Table 1."""


def _register_cifar(depth: int) -> None:
    MODELS.register(
        f"resnet{depth}",
        summary=f"CIFAR ResNet of {depth} layers, 16 to 64 channels, shortcuts without parameters.",
        source="He et al. 2016, section 4.2",
    )(lambda: CifarResNet(depth))


def _register_resnet(depth: int, block: type[BasicBlock] | type[Bottleneck], blocks: tuple[int, int, int, int]) -> None:
    name = f"resnet{depth}"

    def resnet(*, stem: str = "small", weights: str | None = None) -> ResNet:
        """stem: small, 3x3 and no max-pooling (of SupContrast), or imagenet, 7x7 with stride 2 and max-pooling.
        weights: none, a name below, or a file PATH.safetensors or PATH.pth: what a training begins from.
        """
        return ResNet(block, blocks, stem)

    def instead(settings: Mapping[str, Value]) -> dict[str, Any]:
        check_stem(settings["stem"])
        return pretrained.instead(name)(settings)

    MODELS.register(
        name,
        summary=f"ResNet of {depth} layers, 64 to {512 * block.expansion} channels, for small images or photographs.",
        source="He et al. 2016, Table 1; small stem of SupContrast",
        added=("stem", "weights"),
        instead=instead,
    )(resnet)


def _register_sized(name: str, make: Callable[[str], Backbone], summary: str, source: str) -> None:
    def network(*, size: str = "full", weights: str | None = None) -> Backbone:
        """size: full, or tiny, the same network narrow and shallow, for tests and the quick profile.
        weights: none, a name below, or a file PATH.safetensors or PATH.pth: what a training begins from.
        """
        return make(size)

    def instead(settings: Mapping[str, Value]) -> dict[str, Any]:
        if settings["size"] not in SIZES:
            raise SettingError(f"size of {name} must be {' or '.join(SIZES)}, not {format_value(settings['size'])!r}")
        return pretrained.instead(name)(settings)

    MODELS.register(name, summary=summary, source=source, added=("size", "weights"), instead=instead)(network)


for _depth in (8, 14, 20, 32, 56):
    _register_cifar(_depth)
_register_resnet(18, BasicBlock, (2, 2, 2, 2))
_register_resnet(34, BasicBlock, (3, 4, 6, 3))
_register_resnet(50, Bottleneck, (3, 4, 6, 3))
_register_resnet(101, Bottleneck, (3, 4, 23, 3))
_register_sized(
    "mobilenet_v2",
    MobileNetV2,
    "MobileNetV2: inverted bottlenecks, depthwise convolutions, ReLU6; 3.5 million parameters.",
    "Sandler et al. 2018, Table 2",
)
_register_sized(
    "resnet50v2",
    ResNetV2,
    "ResNet of 50 layers with normalisation and activation before each convolution; 25.5 million parameters.",
    "He et al. 2016b; names of timm's resnetv2_50",
)
_register_sized(
    "vit_b_16",
    VisionTransformer,
    "ViT-Base with patches of 16x16, for 224x224 pixels only; 86.6 million parameters.",
    "Dosovitskiy et al. 2021, Table 1",
)
_register_sized(
    "convnext_base",
    ConvNeXt,
    "ConvNeXt-B: depthwise 7x7 convolutions, layer normalisation, GELU; 88.6 million parameters.",
    "Liu et al. 2022, section 3",
)
_register_sized(
    "efficientnet_lite0",
    EfficientNetLite,
    "EfficientNet-Lite0: inverted bottlenecks without squeeze-and-excitation, ReLU6; 4.7 million parameters.",
    "Tan and Le 2019, Table 1; lite of github.com/tensorflow/tpu",
)


def names() -> list[str]:
    """Names of the networks."""
    return MODELS.names()


def spec(text: str | Spec) -> Spec:
    """Parse a network's text, such as ``resnet32``; see `Registry.spec`."""
    if isinstance(text, str) and parse(text)[0] == timm_network.NAME:
        timm_network.register(MODELS)
    return MODELS.spec(text)


def create(
    model: str | Spec,
    num_classes: int,
    *,
    classifier: str = "linear",
    projector: int = 0,
    classifier_input: str = "features",
    projector_kind: str = "mlp",
    projector_hidden: int = 0,
    pooling: str = "mean",
    seed: int = 0,
    load: bool = True,
) -> Network:
    """A network, float32 on the CPU: weights drawn anew, those of a backbone with ``weights=`` loaded.

    Torch's global generator is left alone. The classifier and the projector are drawn in any case.

    Args:
        model: Name of the backbone, see `names`.
        num_classes: K, at least 1.
        classifier: Name in `CLASSIFIERS`.
        projector: Width of the projection; 0 for no projector.
        classifier_input: ``features``, or ``projection`` for a classifier on the normalised projection.
        projector_kind: Name in `classifiers.PROJECTORS`.
        projector_hidden: Width of its hidden layer; 0 for the features'.
        pooling: From feature maps to features: their ``mean``, or ``foreground``, see `ltlib.models.pooling`.
        seed: Of the weights that are drawn, see `initialise`.
        load: Whether pretrained weights are loaded, and downloaded where they must be; where False the backbone's are
            drawn, whatever ``weights=`` says.

    Raises:
        UnknownName: Unknown network, classifier or projector.
        SettingError: A width or number of classes that is no such number; a projection asked for without a projector; a
            pooling there is not, or that this network cannot have.
        DataError: Pretrained weights that cannot be had, are not what was named, or do not fit.
    """
    model = spec(model)
    with torch.device("cpu"), torch.random.fork_rng(devices=[]):  # torch's modules draw weights when they are made
        kind = (projector_kind, projector_hidden)
        network = _build(model, num_classes, classifier, projector, classifier_input, kind)
    loaded = load and load_pretrained(network.backbone, model)
    if pooling != "mean":
        _pool(network.backbone, pooling, model.name)
    if loaded:
        initialise(network, seed, parts=[name for name in network.parts if name != "backbone"])
    else:
        initialise(network, seed)
    return network


def _pool(backbone: Backbone, pooling: str, name: str) -> None:
    if pooling != "foreground":
        raise SettingError(f"pooling must be mean or foreground, not {pooling!r}")
    if not backbone.has_maps:
        raise SettingError(f"pooling=foreground is for CIFAR ResNets and ResNets, not for {name}")
    backbone.pooling = ForegroundPooling()


def load_pretrained(backbone: Backbone, model: str | Spec) -> bool:
    """Load the weights that a network begins from into its backbone, in place.

    Returns:
        Whether there are any; without ``weights=`` nothing is changed.

    Raises:
        DataError: As `create`.
    """
    model = spec(model)
    chosen = pretrained.of(model)
    if chosen is None:
        return False
    from ltlib.models import checkpoints, weight_files

    path, data = weight_files.read(model.name, chosen)
    checkpoints.fit(backbone, path, checkpoints.state_dict(path, data), model.name)
    return True


def _build(
    model: str | Spec,
    num_classes: int,
    classifier: str,
    projector: int,
    classifier_input: str,
    projector_kind: tuple[str, int] = ("mlp", 0),
) -> Network:
    kind, hidden = projector_kind
    for label, number, least in (
        ("num_classes", num_classes, 1),
        ("projector", projector, 0),
        ("projector_hidden", hidden, 0),
    ):
        if not isinstance(number, Integral) or int(number) < least:
            raise SettingError(f"{label} must be a whole number of at least {least}, not {number!r}")
    if kind not in classifiers.PROJECTORS:
        raise UnknownName("projector", kind, classifiers.PROJECTORS)
    backbone = MODELS.create(model)
    width = projector if projector and classifier_input == "projection" else backbone.feature_dim
    return Network(
        backbone,
        CLASSIFIERS.create(classifier, width, num_classes),
        classifiers.PROJECTORS[kind](backbone.feature_dim, projector, hidden) if projector else None,
        classifier_input,
    )


def shapes(model: str | Spec, num_classes: int) -> Network:
    """A network on torch's meta device, shapes without numbers: for counting, made in no time at any size.

    Args:
        model: Name of a backbone; weights it begins from are not looked for.
        num_classes: K, of a linear classifier.
    """
    with torch.device("meta"):
        return _build(model, num_classes, "linear", 0, "features")


def macs(model: str | Spec | nn.Module, num_classes: int = 10, image_size: int = 32) -> int:
    """Multiply-accumulates of one image's forward pass, e.g. 68.9 million for ``resnet32`` on 32x32 pixels.

    Args:
        model: A network, or the name of one with a linear classifier on its features.
        num_classes: K; a given network has its own.
        image_size: Height and width in pixels.
    """
    if not isinstance(model, nn.Module):
        with torch.device("cpu"), torch.random.fork_rng(devices=[]):  # the weights' values play no part
            model = _build(model, num_classes, "linear", 0, "features")
    return count_macs(model, image_size)

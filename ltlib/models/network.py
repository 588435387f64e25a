"""A network in three parts - backbone, classifier, projector - and how its weights are drawn.

``images [N, 3, H, W] -> backbone -> features [N, D] -> classifier -> logits [N, K]``, and for contrastive training
``features -> projector -> projection [N, P]`` with rows of length one.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ltlib.errors import SettingError, UnknownName
from ltlib.files import digest
from ltlib.models.pooling import ForegroundPooling


class Backbone(nn.Module):
    """Base of the networks that turn images float [N, 3, H, W] into pooled penultimate features [N, D].

    Attributes:
        feature_dim: D.
        convolution_init: Which fan the normal initialisation of He et al. 2015 (arXiv 1502.01852, Eq. 10 or 14) uses.
        linear_init: How a classifier on this backbone starts: ``kaiming_normal``, or torch's default ``uniform``.
        published_classifier: How the names of the classifier's weights begin in published files of this network.
        passes: Methods that take images first and treat each by itself but for batch normalisation: what a training
            may give a batch in parts.
        has_maps: Whether it ends with feature maps that are pooled: whether it has `maps`.
        pooling: From those to features; None for their mean.
    """

    feature_dim: int
    convolution_init: Literal["fan_in", "fan_out"] = "fan_out"
    linear_init: Literal["kaiming_normal", "uniform"] = "uniform"
    published_classifier: tuple[str, ...] = ("fc.",)
    passes: tuple[str, ...] = ("forward",)
    has_maps: bool = False

    def __init__(self) -> None:
        super().__init__()
        self.pooling: ForegroundPooling | None = None

    def maps(self, images: Tensor) -> Tensor:
        """The last feature maps [N, D, h, w] of images [N, 3, H, W], before they are pooled."""
        raise NotImplementedError(f"{type(self).__name__} has no feature maps to pool")

    def pooled(self, maps: Tensor) -> Tensor:
        """Features [N, D] of feature maps [N, D, h, w]."""
        return maps.mean((2, 3)) if self.pooling is None else self.pooling(maps)

    def energy(self, images: Tensor) -> Tensor:
        """How strongly it answers to each place, [N, h, w]: the norm of the channels, calibrated where it pools so."""
        maps = self.maps(images)
        return (maps.float() if self.pooling is None else self.pooling.calibrated(maps)).norm(dim=1)

    def advice(self, found: Mapping[str, Tensor]) -> str:
        """What helps where these weights, by name, do not fit; empty where nothing better is known."""
        return ""

    def renamed(self, found: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Weights by this network's names, where published files have others; what has its names keeps them."""
        return found

    def draw_module(self, module: nn.Module, generator: torch.Generator) -> bool:
        """Draw one module of this backbone its own way, in place; False where the common rule of `initialise` holds."""
        return False


class Network(nn.Module):
    """Backbone, classifier and, for contrastive training, projector.

    Attributes:
        classifier_input: What the classifier reads: ``features``, or the normalised ``projection``.
    """

    def __init__(
        self,
        backbone: Backbone,
        classifier: nn.Module,
        projector: nn.Module | None = None,
        classifier_input: str = "features",
    ):
        super().__init__()
        if classifier_input not in ("features", "projection"):
            raise SettingError(f"classifier_input must be features or projection, not {classifier_input!r}")
        if classifier_input == "projection" and projector is None:
            raise SettingError("classifier_input='projection' needs a projector; set projector=128")
        self.backbone, self.classifier, self.projector = backbone, classifier, projector
        self.classifier_input = classifier_input

    @property
    def feature_dim(self) -> int:
        """Width D of the features."""
        return self.backbone.feature_dim

    @property
    def parts(self) -> dict[str, nn.Module]:
        """The parts this network has, by the names that training uses to freeze them."""
        parts = {"backbone": self.backbone, "classifier": self.classifier, "projector": self.projector}
        return {name: part for name, part in parts.items() if part is not None}

    def features(self, images: Tensor) -> Tensor:
        """Features [N, D] of images [N, 3, H, W]; what has two axes is features already and passes through."""
        return images if images.ndim == 2 else self.backbone(images)

    def embed(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """Features [N, D], and the projection [N, P] with rows of length one (None without a projector)."""
        features = self.features(images)
        if self.projector is None:
            return features, None
        return features, F.normalize(self.projector(features), dim=1)

    def classify(self, features: Tensor, projection: Tensor | None = None) -> Tensor:
        """Logits [N, K] from what the classifier is set to read."""
        if self.classifier_input == "features":
            return self.classifier(features)
        assert projection is not None, "this network's classifier reads the projection"
        return self.classifier(projection)

    def forward(self, images: Tensor) -> Tensor:
        """Logits [N, K]; the projector runs only where the classifier reads its output."""
        if self.classifier_input == "features":
            return self.classifier(self.features(images))
        return self.classify(*self.embed(images))


@contextlib.contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """A module in evaluation mode while the block runs; whatever of it was in training mode is so again after it."""
    learning = [each for each in module.modules() if each.training]
    module.eval()
    try:
        yield
    finally:
        for each in learning:
            each.training = True


@torch.no_grad()
def initialise(network: Network, seed: int, parts: Iterable[str] | None = None) -> None:
    """Draw the weights of a network, in place, and reset its batch statistics.

    Every part has a CPU generator of its own, derived from the seed and the part's name, and draws in float32 in the
    order of its modules. So a seed gives the same weights on every device and memory format, the same backbone with or
    without a projector, and the same classifier whether it is drawn at the start or anew; torch's global generator is
    left alone.

    Args:
        network: Changed in place.
        seed: Any integer.
        parts: Names of the parts to draw; all by default.

    Raises:
        UnknownName: A part the network does not have.
    """
    chosen = network.parts
    for name in chosen if parts is None else parts:
        if name not in chosen:
            raise UnknownName("part of the network", name, chosen)
        generator = torch.Generator().manual_seed(int(digest(f"{seed}/{name}")[:16], 16) >> 1)
        linear = network.backbone.linear_init if name == "classifier" else "uniform"
        for module in chosen[name].modules():
            if name == "backbone" and network.backbone.draw_module(module, generator):
                continue
            _initialise_module(module, network.backbone.convolution_init, linear, generator)


def fill(parameter: Tensor, draw: Callable[[Tensor], Any]) -> None:
    """Draw a parameter in place: as float32 in memory's own order, whatever its precision and memory format.

    Args:
        parameter: Changed in place.
        draw: Fills the tensor it is given.
    """
    new = torch.empty(parameter.shape)
    draw(new)
    parameter.copy_(new)


def _initialise_module(module: nn.Module, fan: str, linear: str, generator: torch.Generator) -> None:
    own = dict(module.named_parameters(recurse=False))
    if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.LayerNorm):
        module.reset_parameters()  # ones, zeros and fresh statistics: nothing is drawn
    elif isinstance(module, nn.Conv2d):
        assert module.bias is None, "no convolution here has a bias"
        weight = torch.empty(module.weight.shape)
        module.weight.copy_(nn.init.kaiming_normal_(weight, mode=fan, nonlinearity="relu", generator=generator))  # type: ignore[arg-type]
    elif isinstance(module, nn.Linear):
        weight, bound = torch.empty(module.weight.shape), 1 / math.sqrt(module.in_features)
        if linear == "kaiming_normal":
            nn.init.kaiming_normal_(weight, nonlinearity="relu", generator=generator)
        else:
            weight.uniform_(-bound, bound, generator=generator)
        module.weight.copy_(weight)
        if module.bias is not None:
            module.bias.copy_(torch.empty(module.bias.shape).uniform_(-bound, bound, generator=generator))
    elif callable(draw := getattr(module, "draw", None)):  # a module of ours that knows how it starts
        draw(generator)
    elif own:
        raise NotImplementedError(f"no rule to initialise {type(module).__name__}; give it a method draw(generator)")

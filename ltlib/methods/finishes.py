"""What is done to a network after its training: a classifier changed in closed form, without another step.

- ``tau_normalization``: ``w_c / |w_c|^tau``, no bias.
- ``nearest_class_mean``: the cosine to the mean feature of each class.
- ``division_by_maximum``: ``W / max|W|`` and ``b / max|W|``, as `convergent` 4.2.2 describes max normalisation. One
  positive number for the whole layer: no prediction changes, only the confidences do. The cap on the rows' norms that
  the literature calls max-norm is `Stage.max_norm`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ltlib import models
from ltlib.calibration import posthoc
from ltlib.errors import SettingError
from ltlib.models import Network
from ltlib.registry import NOT_NEGATIVE, Registry, Spec

Finish = Callable[[Network, Tensor, Tensor, Sequence[int]], None]
"""(network, features [N, D] and classes [N] of the training images, class counts): changes the classifier in place."""

FINISHES = Registry[Finish]("finish")


@FINISHES.register("tau_normalization", source="Kang et al. 2020, section 4.2")
def tau_normalization(*, tau: float = 1.0) -> Finish:
    """Divide each class's weights by their norm to the power tau, and drop the bias."""
    NOT_NEGATIVE.check("setting tau of finish tau_normalization", tau)

    @torch.no_grad()
    def finish(network: Network, features: Tensor, targets: Tensor, class_counts: Sequence[int]) -> None:
        classifier = _linear(network, "tau-normalization")
        classifier.weight.copy_(posthoc.tau_normalise(classifier.weight, tau))
        if classifier.bias is not None:
            classifier.bias.zero_()

    return finish


@FINISHES.register("nearest_class_mean", source="Kang et al. 2020, section 4.2; Guerriero et al. 2018")
def nearest_class_mean() -> Finish:
    """Classify by the cosine to the mean feature of each class's training images."""

    @torch.no_grad()
    def finish(network: Network, features: Tensor, targets: Tensor, class_counts: Sequence[int]) -> None:
        counts = torch.zeros(len(class_counts), device=features.device).index_add_(
            0, targets, torch.ones_like(targets, dtype=features.dtype)
        )
        means = features.new_zeros(len(class_counts), features.shape[1]).index_add_(0, targets, features)
        classifier = models.CLASSIFIERS.create("cosine", features.shape[1], len(class_counts)).to(features.device)
        classifier.weight.copy_(F.normalize(means / counts[:, None].clamp(min=1), dim=1))  # type: ignore[operator]
        network.classifier = classifier

    return finish


@FINISHES.register("division_by_maximum", source="convergent section 4.2.2")
def division_by_maximum() -> Finish:
    """Divide the classifier's weights and biases by its largest absolute weight."""

    @torch.no_grad()
    def finish(network: Network, features: Tensor, targets: Tensor, class_counts: Sequence[int]) -> None:
        classifier = _linear(network, "division by the maximum")
        largest = classifier.weight.abs().max().clamp(min=1e-12)
        for parameter in classifier.parameters():
            parameter.div_(largest)

    return finish


def spec(text: str | Spec) -> Spec:
    """Parse a finish's text; see `Registry.spec`."""
    return FINISHES.spec(text)


def _linear(network: Network, what: str) -> nn.Linear:
    if not isinstance(network.classifier, nn.Linear):
        raise SettingError(f"{what} needs a linear classifier")
    return network.classifier

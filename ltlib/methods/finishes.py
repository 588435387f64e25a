"""What is done to a network after its training: a classifier changed in closed form, without another step.

- ``tau_normalization``: ``w_c / |w_c|^tau``, no bias.
- ``nearest_class_mean``: the class whose mean feature is nearest, by one of `MEANS`.
- ``division_by_maximum``: ``W / max|W|`` and ``b / max|W|``, as `convergent` 4.2.2 describes max normalisation. One
  positive number for the whole layer: no prediction changes, only the confidences do. The cap on the rows' norms that
  the literature calls max-norm is `Stage.max_norm`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ltlib import models
from ltlib.calibration import posthoc
from ltlib.errors import SettingError
from ltlib.limits import NOT_NEGATIVE
from ltlib.losses.base import class_sums
from ltlib.models import Network
from ltlib.models.classifiers import Nearest
from ltlib.registry import Registry, Spec

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


MEANS: Mapping[str, Spec] = {
    "cosine": models.CLASSIFIERS.spec("cosine"),
    "euclidean": models.CLASSIFIERS.spec("nearest"),
    "centred": models.CLASSIFIERS.spec("nearest[unit=true]"),
}
"""What an image is compared with the class means by, and the classifier that does so. ``cosine`` is one of the two
distances that Kang et al. name. The code of classifier-balancing (KNNClassifier.py) has none of it: its default, cl2n,
is ``centred`` here, features less the mean of all training images, scaled to length one, then averaged by class and
compared by Euclidean distance; ``euclidean`` is its form un, on the features as they are."""


@FINISHES.register("nearest_class_mean", source="Kang et al. 2020, section 4.2; Guerriero et al. 2018", added=("form",))
def nearest_class_mean(*, form: str = "cosine") -> Finish:
    """Classify by the mean feature of each class's training images, the nearest by one of `MEANS`."""
    if form not in MEANS:
        raise SettingError(f"form of nearest_class_mean must be one of {', '.join(MEANS)}, not {form!r}")

    @torch.no_grad()
    def finish(network: Network, features: Tensor, targets: Tensor, class_counts: Sequence[int]) -> None:
        classifier = models.CLASSIFIERS.create(MEANS[form], features.shape[1], len(class_counts)).to(features)
        if isinstance(classifier, Nearest):
            if form == "centred":
                classifier.centre.copy_(features.mean(0))
            features = classifier.compared(features)
        counts = class_sums(torch.ones_like(targets, dtype=features.dtype), targets, len(class_counts))
        means = class_sums(features, targets, len(class_counts))
        means /= counts[:, None].clamp(min=1)
        classifier.get_parameter("weight").copy_(F.normalize(means, dim=1) if form == "cosine" else means)
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

"""The network of a run: built from its first stage, changed by the later ones, finished after the last."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ltlib import models, posthoc, sampling
from ltlib.errors import SettingError
from ltlib.experiment import Resolved
from ltlib.models import Network, branches
from ltlib.models.classifiers import CLASSIFIERS, ScaledLinear
from ltlib.registry import Registry, Spec


def build(resolved: Resolved, num_classes: int) -> Network:
    """The network of a run with its initial weights, on the CPU: parts that any stage needs, one seed for all."""
    first = resolved.stages[0]
    seed = sampling.derived_seed(resolved.seed, "weights")
    if first.network != "plain":
        make = branches.bilateral if first.network == "bbn" else branches.reslt
        network: Network = make(models.MODELS.create(resolved.model), num_classes, seed=seed)
    else:
        network = models.create(
            resolved.model,
            num_classes,
            classifier=first.classifier if first.classifier in CLASSIFIERS else "linear",
            projector=max(stage.projection for stage in resolved.stages),
            classifier_input=first.classifier_input,
            seed=seed,
        )
    return network.to(memory_format=torch.channels_last)


def prepare(network: Network, resolved: Resolved, i: int) -> None:
    """Change the network as stage `i` wants it, in place: what the classifier reads, is, and starts from.

    Raises:
        SettingError: Learnable scales on a classifier that is not linear.
    """
    stage = resolved.stages[i]
    network.classifier_input = stage.classifier_input
    if stage.classifier == "reset":
        models.initialise(network, sampling.derived_seed(resolved.seed, "classifier", i), parts=("classifier",))
    elif stage.classifier in ("lws", "lws_mislas"):
        if not isinstance(network.classifier, nn.Linear):
            raise SettingError("learnable weight scaling needs a linear classifier from the stage before")
        network.classifier = ScaledLinear(network.classifier, trainable=stage.classifier == "lws_mislas")


def assembled(resolved: Resolved, num_classes: int) -> Network:
    """The network as its last stage has it, with initial weights: what saved weights are loaded into."""
    network = build(resolved, num_classes)
    for i in range(len(resolved.stages)):
        prepare(network, resolved, i)
        if resolved.stages[i].finish is not None and resolved.stages[i].finish.name == "nearest_class_mean":  # type: ignore[union-attr]
            network.classifier = models.CLASSIFIERS.create("cosine", network.feature_dim, num_classes)
    return network


Finish = Callable[[Network, Tensor, Tensor, Sequence[int]], None]
"""(network, features [N, D] and classes [N] of the training images, class counts): changes the classifier in place."""

FINISHES = Registry[Finish]("finish")


@FINISHES.register("tau_normalization", source="Kang et al. 2020, section 4.2")
def tau_normalization(*, tau: float = 1.0) -> Finish:
    """Divide each class's weights by their norm to the power tau, and drop the bias."""

    @torch.no_grad()
    def finish(network: Network, features: Tensor, targets: Tensor, class_counts: Sequence[int]) -> None:
        classifier = network.classifier
        if not isinstance(classifier, nn.Linear):
            raise SettingError("tau-normalization needs a linear classifier")
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


def finish_spec(text: str | Spec) -> Spec:
    """Parse a finish's text; see `Registry.spec`."""
    return FINISHES.spec(text)

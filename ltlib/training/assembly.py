"""The network of a run: built from its first stage, changed by the later ones, finished after the last."""

from __future__ import annotations

import torch
from torch import nn

from ltlib import models
from ltlib.batches import draws
from ltlib.errors import SettingError
from ltlib.experiment import Resolved
from ltlib.methods import Stage, finishes
from ltlib.models import Backbone, Network, branches, consistency, experts
from ltlib.models.classifiers import CLASSIFIERS, ScaledLinear


def build(resolved: Resolved, num_classes: int, *, load: bool = True) -> Network:
    """The network of a run with its initial weights, on the CPU: parts that any stage needs, one seed for all.

    Args:
        resolved: The run.
        num_classes: K.
        load: Whether pretrained weights are loaded; False where others will be, and the files need not be there.

    Raises:
        DataError: Pretrained weights that cannot be had or do not fit.
        SettingError: A pooling or a mixing that this backbone is not made for.
    """
    first = resolved.stages[0]
    seed = draws.derived_seed(resolved.seed, "weights")
    if first.network != "plain":
        backbone = models.MODELS.create(resolved.model)
        loaded = load and models.load_pretrained(backbone, resolved.model)
        network: Network = _branched(first, backbone, num_classes, seed, loaded)
    else:
        network = models.create(
            resolved.model,
            num_classes,
            classifier=classifier_kind(first),
            projector=max(stage.projection for stage in resolved.stages),
            classifier_input=first.classifier_input,
            projector_kind=first.projector,
            projector_hidden=first.projector_hidden,
            pooling=first.pooling,
            seed=seed,
            load=load,
        )
    if not network.backbone.has_maps and any(stage.guided for stage in resolved.stages):
        raise SettingError(f"guided_cutmix is for CIFAR ResNets and ResNets, not for {resolved.model.name}")
    return network.to(memory_format=torch.channels_last)


def _branched(stage: Stage, backbone: Backbone, num_classes: int, seed: int, loaded: bool) -> Network:
    """The network of a stage that is no plain one; of a loaded backbone nothing is drawn."""
    if stage.network == "glmc":
        own = ("classifier", "projector") if loaded else None
        return consistency.mixture(backbone, num_classes, projection=stage.projection, seed=seed, drawn=own)
    drawn = "classifier" if loaded else "all"
    if stage.network == "experts":
        number, kind = len(stage.experts), classifier_kind(stage)
        return experts.several(backbone, num_classes, number, classifier=kind, seed=seed, drawn=drawn)
    make = branches.bilateral if stage.network == "bbn" else branches.reslt
    return make(backbone, num_classes, seed=seed, drawn=drawn)


def classifier_kind(stage: Stage) -> str:
    """The classifier that a network is built with for its first stage."""
    return stage.classifier if stage.classifier in CLASSIFIERS else "linear"


def prepare(network: Network, resolved: Resolved, i: int) -> None:
    """Change the network as stage `i` wants it, in place: what the classifier reads, is, and starts from.

    Raises:
        SettingError: Learnable scales on a classifier that is not linear.
    """
    stage = resolved.stages[i]
    network.classifier_input = stage.classifier_input
    if stage.classifier == "reset":
        models.initialise(network, draws.derived_seed(resolved.seed, "classifier", i), parts=("classifier",))
    elif stage.classifier in ("lws", "lws_mislas"):
        if not isinstance(network.classifier, nn.Linear):
            raise SettingError("learnable weight scaling needs a linear classifier from the stage before")
        network.classifier = ScaledLinear(network.classifier, trainable=stage.classifier == "lws_mislas")


def assembled(resolved: Resolved, num_classes: int) -> Network:
    """The network as its last stage has it, with initial weights: what saved weights are loaded into."""
    network = build(resolved, num_classes, load=False)
    for i in range(len(resolved.stages)):
        prepare(network, resolved, i)
        finish = resolved.stages[i].finish
        if finish is not None and finish.name == "nearest_class_mean":
            kind = finishes.MEANS[str(finish.settings["form"])]
            network.classifier = models.CLASSIFIERS.create(kind, network.feature_dim, num_classes)
    return network

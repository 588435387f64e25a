"""What a step minimises, as a small module over a network and its losses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor

from ltlib import losses
from ltlib.errors import SettingError
from ltlib.losses import Loss
from ltlib.methods import Stage
from ltlib.models import Network, branches
from ltlib.training.consistency import MixtureConsistency
from ltlib.training.contrast import ApartContrast, BalancedContrast, Contrastive, SimilarityLabels
from ltlib.training.experts import Experts
from ltlib.training.objective import Batch, Objective
from ltlib.training.queue import ParametricContrast

__all__ = ["Batch", "Contrastive", "Objective", "create", "looked_at", "views"]


class Supervised(Objective):
    """A classification loss on one view: ``L = loss(f(x), y)``, or both labels' of a mixed image."""

    def __init__(self, loss: Loss):
        super().__init__()
        self.loss = loss

    def forward(self, network: Network, batch: Batch) -> tuple[Tensor, Tensor | None]:
        logits = network(batch.images).float()
        assert self.loss is not None
        if batch.share is None or batch.partner_targets is None:
            return self.loss(logits, batch.targets, batch.noise), logits
        return self.loss.mixed(logits, batch.targets, batch.partner_targets, batch.share, batch.noise), logits

    def split(self, network: Network, batch: Batch, classes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        logits = network(batch.images).float()
        assert self.loss is not None
        labels: list[tuple[Tensor, Tensor | float]] = [(batch.targets, 1.0)]
        if batch.share is not None and batch.partner_targets is not None:  # a mixed image counts with both its labels
            labels = [(batch.targets, batch.share), (batch.partner_targets, 1 - batch.share)]
        parts = []
        for chosen in (classes, ~classes):
            each = [self.loss.share(logits, which, share * chosen[which], batch.noise) for which, share in labels]
            parts.append(torch.stack(each).sum())
        return parts[0], parts[1], logits


class TwoBranch(Objective):
    """BBN: ``L = alpha loss(z, y_c) + (1 - alpha) loss(z, y_r)``; see `ltlib.models.branches`."""

    alpha: Tensor

    def __init__(self, loss: Loss):
        super().__init__()
        self.loss = loss
        self.register_buffer("alpha", torch.ones(()), persistent=False)

    def forward(self, network: Network, batch: Batch) -> tuple[Tensor, Tensor | None]:
        assert self.loss is not None
        assert batch.second_images is not None
        assert batch.second_targets is not None
        logits = cast(branches.BilateralNetwork, network).mixed(batch.images, batch.second_images, self.alpha).float()
        own, other = self.loss(logits, batch.targets), self.loss(logits, batch.second_targets)
        return self.alpha * own + (1 - self.alpha) * other, logits

    def set_epoch(self, epoch: int, epochs: int) -> None:
        super().set_epoch(epoch, epochs)
        self.alpha.fill_(branches.bbn_alpha(epoch, epochs))


class ResidualBranches(Objective):
    """ResLT's loss on three branches' logits; see `ltlib.models.branches`."""

    masks: Tensor

    def __init__(self, loss: Loss, class_counts: Sequence[int], beta: float):
        super().__init__()
        self.loss, self.beta = loss, beta
        self.register_buffer("masks", branches.reslt_masks(class_counts), persistent=False)

    def forward(self, network: Network, batch: Batch) -> tuple[Tensor, Tensor | None]:
        logits = cast(branches.ResidualNetwork, network).branch_logits(batch.images).float()
        return branches.reslt_loss(logits, batch.targets, self.masks, self.beta), logits.sum(1)


def create(stage: Stage, class_counts: Sequence[int]) -> Objective:
    """The objective of a stage, but for its teachers: those are networks, and join it in training, as `Distilled`.

    Args:
        stage: Names the losses and their settings.
        class_counts: Training images per class.

    Raises:
        SettingError: No loss at all.
    """
    loss = losses.create(stage.loss, class_counts) if stage.loss else None
    if stage.contrastive is not None:
        return _contrastive(stage)(losses.create(stage.contrastive, class_counts), loss, stage.weights)
    if loss is None:
        raise SettingError("a stage needs a classification or a contrastive loss")
    if stage.network == "glmc":
        return MixtureConsistency(loss, class_counts, stage.weights)
    if stage.network == "bbn":
        return TwoBranch(loss)
    if stage.network == "experts":
        each = [losses.create(one, class_counts) for one in stage.experts]
        return Experts(each, loss, class_counts, stage.diversity, stage.weights[1])
    if stage.network == "reslt":
        return ResidualBranches(loss, class_counts, 0.99 if stage.beta is None else stage.beta)
    return Supervised(loss)


def views(stage: Stage) -> int:
    """Augmented views of each image in a step of a stage."""
    if stage.network == "glmc":
        return MixtureConsistency.views
    return 1 if stage.contrastive is None else _contrastive(stage).views


def looked_at(stage: Stage) -> int:
    """How many of `views` are only looked at, without a gradient."""
    return 0 if stage.contrastive is None else _contrastive(stage).looked_at


def _contrastive(stage: Stage) -> type[Contrastive]:
    if stage.projector == "prototypes":
        assert stage.contrastive is not None
        return SimilarityLabels if stage.contrastive.name == "concutmix" else BalancedContrast
    if stage.contrastive is not None and stage.contrastive.name == "paco":
        return ParametricContrast
    return ApartContrast if stage.apart else Contrastive

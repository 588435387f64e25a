"""What a step minimises, as a small module over a network and its losses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ltlib import losses
from ltlib.errors import SettingError
from ltlib.losses import Loss
from ltlib.methods import Stage
from ltlib.models import Network, branches
from ltlib.models.classifiers import PrototypeProjector


class Batch(NamedTuple):
    """What an objective sees, on the device, already augmented and mixed.

    Attributes:
        images: float [V * B, 3, H, W], view after view.
        targets: int64 [B].
        partner_targets: int64 [B], classes of what was mixed in, where labels are mixed.
        share: float [B], share of the own label, where labels are mixed.
        second_images: float [B, 3, H, W], the second stream of a two-branch method.
        second_targets: int64 [B].
        noise: float [rows, columns], uniform.
    """

    images: Tensor
    targets: Tensor
    partner_targets: Tensor | None = None
    share: Tensor | None = None
    second_images: Tensor | None = None
    second_targets: Tensor | None = None
    noise: Tensor | None = None


class Objective(nn.Module):
    """Base: ``objective(network, batch)`` gives the scalar to minimise and the logits to count.

    Attributes:
        views: Augmented views of each image in a batch.
        loss: The classification loss, also what the evaluation reports as loss; None where nothing is classified.
    """

    views = 1
    loss: Loss | None

    def forward(self, network: Network, batch: Batch) -> tuple[Tensor, Tensor | None]:
        """One batch, without a host synchronisation.

        Args:
            network: In training mode.
            batch: Images, classes and what goes with them.

        Returns:
            The scalar loss and the logits [B, K] of the first view, or None.
        """
        raise NotImplementedError

    def set_epoch(self, epoch: int, epochs: int) -> None:
        """Called before each epoch, from 1: deferred weights, BBN's alpha, TSC's assignment."""
        if self.loss is not None:
            self.loss.set_epoch(epoch, epochs)

    def noise(self, num_classes: int) -> tuple[int, int] | None:
        """Rows an image and columns of the uniform numbers a step needs; None for none."""
        return (1, num_classes) if self.loss is not None and self.loss.noise else None


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


class Contrastive(Objective):
    """Two views: ``L = w_1 contrastive(z, y) + w_2 loss(g(h_1), y)`` with the projections z of both views.

    The classifier g reads what the network is set to read of the first view: the encoder's features or the normalised
    projection. SimCLR's loss gets the images' places in the batch instead of their classes.
    """

    views = 2

    def __init__(self, contrastive: Loss, loss: Loss | None, weights: tuple[float, float]):
        super().__init__()
        self.contrastive, self.loss, self.weights = contrastive, loss, weights

    def forward(self, network: Network, batch: Batch) -> tuple[Tensor, Tensor | None]:
        size = batch.targets.shape[0]
        features, projection = network.embed(batch.images)
        total = self.weights[0] * self.contrastive(projection, self._labels(batch.targets), batch.noise)
        if self.loss is None:
            return total, None
        first = None if projection is None else projection[:size]
        logits = network.classify(features[:size], first).float()
        return total + self.weights[1] * self.loss(logits, batch.targets), logits

    def at_rest(self, projection: Tensor, logits: Tensor, targets: Tensor) -> Tensor:
        """The objective of a batch that is seen in equal views, a scalar; of losses without noise or prototypes.

        Args:
            projection: [B, P].
            logits: [B, K].
            targets: int64 [B].
        """
        assert self.loss is not None
        total = self.weights[0] * self.contrastive(projection.repeat(self.views, 1), self._labels(targets))
        return total + self.weights[1] * self.loss(logits, targets)

    def _labels(self, targets: Tensor) -> Tensor:
        """What the contrastive loss compares by, for every view: classes, or the images' places in the batch."""
        labels = torch.arange(len(targets), device=targets.device) if self.contrastive.instances else targets
        return labels.repeat(self.views)

    def set_epoch(self, epoch: int, epochs: int) -> None:
        super().set_epoch(epoch, epochs)
        self.contrastive.set_epoch(epoch, epochs)

    def noise(self, num_classes: int) -> tuple[int, int] | None:
        return (self.views, 1) if self.contrastive.noise else None


class BalancedContrast(Contrastive):
    """BCL: ``L = w_1 contrastive(z, y) + w_2 loss(g(h_1), y)``, z of the second and third view, g reads the first.

    The class prototypes are the classifier's weights through a projector of their own, as in the reference code. All
    views go through the network in one batch, so batch statistics are of all three.
    """

    views = 3

    def forward(self, network: Network, batch: Batch) -> tuple[Tensor, Tensor | None]:
        size = batch.targets.shape[0]
        features, projection = network.embed(batch.images)
        assert self.loss is not None
        assert projection is not None
        assert isinstance(network.projector, PrototypeProjector)
        prototypes = F.normalize(network.projector.prototypes(network.classifier.get_parameter("weight")), dim=1)
        contrast = self.contrastive(projection[size:], batch.targets.repeat(2), prototypes)
        logits = network.classify(features[:size]).float()
        return self.weights[0] * contrast + self.weights[1] * self.loss(logits, batch.targets), logits


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
    """The objective of a stage.

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
    if stage.network == "bbn":
        return TwoBranch(loss)
    if stage.network == "reslt":
        return ResidualBranches(loss, class_counts, 0.99 if stage.beta is None else stage.beta)
    return Supervised(loss)


def views(stage: Stage) -> int:
    """Augmented views of each image in a step of a stage."""
    return 1 if stage.contrastive is None else _contrastive(stage).views


def _contrastive(stage: Stage) -> type[Contrastive]:
    return BalancedContrast if stage.projector == "prototypes" else Contrastive

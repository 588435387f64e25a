"""Objectives that compare views: contrastive losses beside a classification loss, or alone."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ltlib.losses import ContrastiveCutMix, Loss
from ltlib.models import Network
from ltlib.models.classifiers import PrototypeProjector
from ltlib.training.objective import Batch, Objective


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
        total = self.weights[0] * self.contrastive(projection, self._labels(batch.targets, self.views), batch.noise)
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
        total = self.weights[0] * self.contrastive(projection.repeat(self.views, 1), self._labels(targets, self.views))
        return total + self.weights[1] * self.loss(logits, targets)

    def _labels(self, targets: Tensor, views: int) -> Tensor:
        """What the contrastive loss compares by, for so many views: classes, or the images' places in the batch."""
        labels = torch.arange(len(targets), device=targets.device) if self.contrastive.instances else targets
        return labels.repeat(views)

    def set_epoch(self, epoch: int, epochs: int) -> None:
        super().set_epoch(epoch, epochs)
        self.contrastive.set_epoch(epoch, epochs)

    def noise(self, num_classes: int) -> tuple[int, int] | None:
        return (self.views, 1) if self.contrastive.noise else None


class ApartContrast(Contrastive):
    """``L = w_1 contrastive(z, y) + w_2 loss(g(h_1), y)``, z of the second and third view, g reads the first.

    All views go through the network in one batch, so batch statistics are of all three.
    """

    views = 3

    def forward(self, network: Network, batch: Batch) -> tuple[Tensor, Tensor | None]:
        size = batch.targets.shape[0]
        features, projection = network.embed(batch.images)
        assert self.loss is not None
        assert projection is not None
        contrast = self.compared(network, projection[size:], batch.targets)
        logits = network.classify(features[:size], projection[:size]).float()
        return self.weights[0] * contrast + self.weights[1] * self.loss(logits, batch.targets), logits

    def compared(self, network: Network, projection: Tensor, targets: Tensor) -> Tensor:
        """The contrastive loss of the views that are compared, a scalar.

        Args:
            network: Has what else the loss compares with.
            projection: [2 B, P], view after view.
            targets: int64 [B].
        """
        return self.contrastive(projection, self._labels(targets, 2))


class BalancedContrast(ApartContrast):
    """BCL: the compared views meet prototypes of the classes: the classifier's weights through a projector of their
    own.

    As in the reference code.
    """

    def compared(self, network: Network, projection: Tensor, targets: Tensor) -> Tensor:
        return self.contrastive(projection, targets.repeat(2), F.normalize(prototypes(network), dim=1))


class SimilarityLabels(BalancedContrast):
    """ConCutMix: as `BalancedContrast`, the classified view mixed, its label also by what the projection is near to."""

    def forward(self, network: Network, batch: Batch) -> tuple[Tensor, Tensor | None]:
        size = batch.targets.shape[0]
        features = network.features(batch.images)
        assert network.projector is not None
        assert self.loss is not None
        assert isinstance(self.contrastive, ContrastiveCutMix)
        projection, points = network.projector(features), prototypes(network)
        contrast = self.contrastive(projection[size:], batch.targets.repeat(2), F.normalize(points, dim=1))
        logits = network.classify(features[:size]).float()
        if batch.share is None or batch.partner_targets is None:
            return self.weights[0] * contrast + self.weights[1] * self.loss(logits, batch.targets), logits
        labels = self.contrastive.labels(
            batch.targets, batch.partner_targets, batch.share, projection[:size].detach(), points.detach()
        )
        return self.weights[0] * contrast + self.weights[1] * self.loss.soft(logits, labels), logits


def prototypes(network: Network) -> Tensor:
    """The classifier's weights through the projector of prototypes, [K, P], not normalised."""
    assert isinstance(network.projector, PrototypeProjector)
    return network.projector.prototypes(network.classifier.get_parameter("weight"))

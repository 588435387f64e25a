"""What a step minimises, as a small module over a network and its losses."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ltlib import losses
from ltlib.losses import Loss
from ltlib.methods import Stage
from ltlib.models import Network


class Objective(nn.Module):
    """Base: ``objective(network, images, targets)`` gives the scalar to minimise and the logits to count.

    Attributes:
        views: Augmented views of each image in a batch.
        loss: The classification loss, also what the evaluation reports as loss; None where nothing is classified.
    """

    views = 1
    loss: Loss | None

    def forward(self, network: Network, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor | None]:
        """One batch, without a host synchronisation.

        Args:
            network: In training mode.
            images: float [V * B, 3, H, W], view after view.
            targets: int64 [B].

        Returns:
            The scalar loss and the logits [B, K] of the first view, or None.
        """
        raise NotImplementedError


class Supervised(Objective):
    """A classification loss on one view: ``L = loss(f(x), y)``."""

    def __init__(self, loss: Loss):
        super().__init__()
        self.loss = loss

    def forward(self, network: Network, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor | None]:
        logits = network(images).float()
        assert self.loss is not None
        return self.loss(logits, targets), logits


class Contrastive(Objective):
    """Two views: ``L = w_1 contrastive(z, y) + w_2 loss(g(h_1), y)`` with the projections z of both views.

    The classifier g reads what the network is set to read of the first view: the encoder's features or the normalised
    projection. SimCLR's loss gets the images' places in the batch instead of their classes.
    """

    views = 2

    def __init__(self, contrastive: nn.Module, loss: Loss | None, weights: tuple[float, float]):
        super().__init__()
        self.contrastive, self.loss, self.weights = contrastive, loss, weights
        self.instances = bool(getattr(contrastive, "instances", False))

    def forward(self, network: Network, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor | None]:
        batch = targets.shape[0]
        features, projection = network.embed(images)
        labels = torch.arange(batch, device=targets.device) if self.instances else targets
        total = self.weights[0] * self.contrastive(projection, labels.repeat(self.views))
        if self.loss is None:
            return total, None
        first = None if projection is None else projection[:batch]
        logits = network.classify(features[:batch], first).float()
        return total + self.weights[1] * self.loss(logits, targets), logits


def create(stage: Stage, class_counts: Sequence[int]) -> Objective:
    """The objective of a stage.

    Args:
        stage: Names the losses and their settings.
        class_counts: Training images per class.
    """
    loss = losses.create(stage.loss, class_counts) if stage.loss else None
    if stage.contrastive is not None:
        return Contrastive(losses.create(stage.contrastive, class_counts), loss, stage.weights)
    if loss is None:
        raise ValueError("a stage needs a classification or a contrastive loss")
    return Supervised(loss)

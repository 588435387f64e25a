"""GLMC's objective: two mixed views, losses of two classifiers that hand over, and views that agree."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from ltlib.losses import CrossEntropy, Loss
from ltlib.models import Network
from ltlib.models.consistency import MixtureHeads
from ltlib.training.objective import Batch, Objective


class MixtureConsistency(Objective):
    """``L = w_2 (alpha (c_1 + c_2) + (1 - alpha) (r_1 + r_2)) - w_1 (cos(p_1, z_2) + cos(p_2, z_1))``.

    c_v is cross-entropy of view v with the labels of its mixing, on the classifier of training; r_v the rebalanced
    loss on the classifier of the test; ``alpha = 1 - ((epoch - 1) / T)^2`` from 1. z gets no gradient in the cosines
    (Du et al. 2023, sections 3.2 and 3.3, and the code). Both views go through the network in one batch, there one
    after the other, so that batch statistics there are of one view.

    Args:
        loss: The rebalanced loss; labels that are mixed must have a meaning for it.
        weights: Of the consistency and of the classification.
    """

    views = 2
    alpha: Tensor

    def __init__(self, loss: Loss, class_counts: Sequence[int], weights: tuple[float, float]):
        super().__init__()
        self.loss, self.weights = loss, weights
        self.plain = CrossEntropy(class_counts)
        self.register_buffer("alpha", torch.ones(()), persistent=False)

    def forward(self, network: Network, batch: Batch) -> tuple[Tensor, Tensor | None]:
        heads, size = network.projector, batch.targets.shape[0]
        assert isinstance(heads, MixtureHeads)
        assert self.loss is not None
        assert batch.partner_targets is not None
        assert batch.share is not None
        features = network.features(batch.images)
        z = heads.project(features)
        p = heads.predict(z)
        (z_1, z_2), (p_1, p_2) = z.float().detach().chunk(2), p.float().chunk(2)
        agreement = F.cosine_similarity(p_1, z_2).mean() + F.cosine_similarity(p_2, z_1).mean()
        labels = batch.targets.repeat(2), batch.partner_targets.repeat(2), batch.share
        logits = network.classify(features).float()
        # the mean over both views, twice, is the sum of the views' means
        plain = 2 * self.plain.mixed(heads.uniform(features).float(), *labels)
        rebalanced = 2 * self.loss.mixed(logits, *labels)
        classified = self.alpha * plain + (1 - self.alpha) * rebalanced
        return self.weights[1] * classified - self.weights[0] * agreement, logits[:size]

    def set_epoch(self, epoch: int, epochs: int) -> None:
        super().set_epoch(epoch, epochs)
        self.alpha.fill_(1 - ((epoch - 1) / epochs) ** 2)

"""Balanced contrastive loss: every class has the same weight in the denominator, and a prototype in every batch.

Zhu et al. 2022, "Balanced Contrastive Learning for Long-Tailed Visual Recognition", Eq. 6 (arXiv 2207.09052):

``l_i = -1/|P(i)| sum_{p in P(i)} log( exp(s_ip / T) / sum_j 1/|A_j(i)| sum_{a in A_j(i)} exp(s_ia / T) )``

s are cosines. A_j(i) are the samples of class j in the batch and the prototype of class j, without sample i itself;
P(i) = A_y(i) are those of its own class. So each class counts as the mean of its samples (*class averaging*), and each
class is there in every batch (*class complement*). The batch's loss is the mean of l_i over the samples; prototypes are
no anchors.

The prototypes come with the call, as in the reference code (FlamieZhu/Balanced-Contrastive-Learning), where they are
``normalize(mlp(classifier.weight))`` with an mlp of their own; or the loss learns its own, of a given width. Without
any there is only class averaging, the paper's ablation; a sample without a positive is then left out of the mean.

Differences from the reference code: it takes features [B, 2, D] of exactly two views and counts classes on the host;
features and prototypes are normalised here, there before the call.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ltlib.losses.base import Loss, checked_counts, checked_number, working_precision


class BalancedContrastive(Loss):
    """Balanced contrastive loss of features float [N, D] with targets int64 [N], N = V B, view after view.

    Args:
        class_counts: Only their number K matters: one prototype a class.
        temperature: T > 0.
        width: D of the loss's own prototypes, `nn.Parameter` [K, D] to be trained with the network; 0 for none.

    Raises:
        SettingError: A temperature that is not positive, a negative width.
    """

    contrastive = True
    mixable = False

    def __init__(self, class_counts: Sequence[int], *, temperature: float = 0.1, width: int = 0):
        super().__init__()
        self.num_classes = len(checked_counts(class_counts))
        self.temperature = checked_number("temperature", temperature, open_end=True)
        self.prototypes: Tensor | None = None
        width = int(checked_number("width", width))
        if width:
            drawn = torch.randn(self.num_classes, width, generator=torch.Generator().manual_seed(0))
            self.prototypes = nn.Parameter(drawn / math.sqrt(width))

    def forward(self, features: Tensor, targets: Tensor, prototypes: Tensor | None = None) -> Tensor:
        """The batch's loss, a scalar; see `per_sample`."""
        values = self.per_sample(features, targets, prototypes)
        return self.reduce(values, targets) if prototypes is None else values.mean()

    def reduce(self, losses: Tensor, targets: Tensor) -> Tensor:
        """Mean over the samples that have a positive: with prototypes all of them."""
        if self.prototypes is not None:
            return losses.mean()
        return losses.sum() / ((targets[:, None] == targets[None, :]).sum(1) > 1).sum().clamp(min=1)

    def per_sample(self, features: Tensor, targets: Tensor, prototypes: Tensor | None = None) -> Tensor:
        """Each sample's loss, [N]; 0 where it has no positive.

        Args:
            features: float [N, D].
            targets: int64 [N].
            prototypes: float [K, D], one a class; those of the loss by default.
        """
        prototypes = self.prototypes if prototypes is None else prototypes
        anchors, labels = features, targets
        if prototypes is not None:
            features = torch.cat([working_precision(features), prototypes.to(working_precision(features).dtype)])
            labels = torch.cat([targets, torch.arange(self.num_classes, device=targets.device)])
        with torch.autocast(features.device.type, enabled=False):
            unit = F.normalize(working_precision(features), dim=1)
            similarity = unit[: len(anchors)] @ unit.T / self.temperature
        rows = torch.arange(len(anchors), device=targets.device)
        itself = rows[:, None] == torch.arange(len(labels), device=targets.device)
        positive = (targets[:, None] == labels[None, :]) & ~itself
        of_class = labels.new_zeros(self.num_classes).scatter_add_(0, labels, torch.ones_like(labels))
        # |A_j(i)|: the class's samples and prototype, without sample i in its own class
        members = (of_class[labels] - positive.long()).clamp(min=1).to(similarity.dtype)
        weighted = (similarity - members.log()).masked_fill(itself, torch.finfo(similarity.dtype).min)
        log_probability = similarity - weighted.logsumexp(1, keepdim=True)
        total = log_probability.masked_fill(~positive, 0).sum(1)
        return -total / positive.sum(1).clamp(min=1)

"""What several experts on shared layers minimise: a loss each, and a reward for lying apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ltlib.losses import Loss
from ltlib.models import Network, experts
from ltlib.training.objective import Batch, Objective

_LATE = 0.8
"""Share of the epochs after which experts' diversity is measured by class; RIDE's 160 of 200."""


class Experts(Objective):
    """A loss for each expert: ``L = w sum_e [l_e(z_e, y) - d R(z_e)]``; see `ltlib.models.experts`.

    R rewards an expert that lies apart from the mean of all (Wang et al. 2021, in the form of RIDE's code):
    ``R = mean(T)^2 KL(softmax(z_mean / T) || softmax(z_e / T))``, the mean held fixed. T is 1, and in the last fifth of
    the epochs per class ``T_c ~ 0.05 K n_c / N + 0.95``, the largest scaled to 1.

    Args:
        losses_: One an expert.
        loss: What is reported of the mean logits; its `Loss.adjust` gives R its logits.
        class_counts: Training images per class.
        diversity: d; 0 leaves R out.
        weight: w; RIDE and SADE sum over the experts, BalPoE takes the mean.
    """

    temperature: Tensor

    def __init__(
        self, losses_: Sequence[Loss], loss: Loss, class_counts: Sequence[int], diversity: float, weight: float
    ):
        super().__init__()
        self.losses, self.loss, self.diversity = nn.ModuleList(losses_), loss, diversity
        self.weight = weight
        counts = torch.tensor(class_counts, dtype=torch.float64)
        late = 0.05 * len(counts) * counts / counts.sum() + 0.95
        self._late = (late / late.max()).float()
        self.register_buffer("temperature", torch.ones(len(counts)), persistent=False)

    def forward(self, network: Network, batch: Batch) -> tuple[Tensor, Tensor | None]:
        each = cast(experts.ExpertNetwork, network).expert_logits(batch.images).float()
        mean = each.mean(1)
        total = each.new_zeros(())
        for loss, logits in zip(self.losses, each.unbind(1), strict=True):
            assert isinstance(loss, Loss)
            if batch.share is None or batch.partner_targets is None:
                total = total + loss(logits, batch.targets, batch.noise)
            else:
                total = total + loss.mixed(logits, batch.targets, batch.partner_targets, batch.share, batch.noise)
            if self.diversity:
                total = total - self.diversity * self._apart(logits, mean.detach())
        return self.weight * total, mean

    def _apart(self, logits: Tensor, mean: Tensor) -> Tensor:
        assert self.loss is not None
        own, all_ = ((self.loss.adjust(each) / self.temperature).log_softmax(1) for each in (logits, mean))
        return self.temperature.mean() ** 2 * F.kl_div(own, all_, reduction="batchmean", log_target=True)

    def set_epoch(self, epoch: int, epochs: int) -> None:
        super().set_epoch(epoch, epochs)
        for loss in self.losses:
            assert isinstance(loss, Loss)
            loss.set_epoch(epoch, epochs)
        late = epoch > round(_LATE * epochs)
        self.temperature.copy_(self._late if late else torch.ones_like(self._late))

    def noise(self, num_classes: int) -> tuple[int, int] | None:
        return (1, num_classes) if any(getattr(loss, "noise", False) for loss in self.losses) else None

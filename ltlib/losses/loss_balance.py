"""Loss equalisation: every class carries the same total loss, in the mini-batch or in the training set.

Huang, Song, Lu 2019, doi 10.11992/tis.201808004 (``loss_balance``). Of the article the abstract and the tables could be
read, not the formula: "uses a dynamic loss-learnt function to adjust the loss ratio of each sample based on the
information present in the label in every mini-batch, thereby achieving a balanced total loss for each class". CE_i is
the cross-entropy of image i of class y_i, ``L = (1/B) sum_i w_i CE_i``:

- ``scope=batch``: ``w_i = B / (K_B m_{y_i})``, m_c the images of class c in the batch, K_B the classes in it. L is the
  mean over the present classes of each one's mean cross-entropy. Absent classes never enter, so nothing is divided by
  0. Our reading of LE, and the default.
- ``scope=dataset``: ``w_i = N / (K n_{y_i})``, n_c the training images of class c, N their sum: over the training set
  each class has the same total weight. `PriorEqualised`.
- ``scope=loss``: ``w_i = mean_c(S_c) / S_{y_i}``, S_c the class's sum of cross-entropies in the batch, detached, the
  mean over the present classes: the other reading of "loss-learnt". Every class's sum becomes the same; L has the value
  of plain cross-entropy, only its gradient differs. A class learnt well has a small S and a large weight; `max_weight`
  bounds it.

The row PE of ``loss_balance`` is defined nowhere in the extract. We read it as prior equalisation, ``scope=dataset``.

On a balanced batch (or training set), and in a batch of one class, the first two are cross-entropy. With 128 images of
CIFAR-100 at imbalance 100 about 50 classes are present, most tail classes with one image, whose weight is then about
2.5: the gradient is noisy. Mixed labels have no counts in a batch: refused, except for ``scope=dataset``.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from ltlib.losses.base import (
    Loss,
    checked_choice,
    checked_counts,
    checked_number,
    class_mask,
    working_precision,
)

SCOPES = ("batch", "dataset", "loss")


class LossEqualised(Loss):
    """Loss equalisation: weights that give each class the same total.

    Args:
        class_counts: Training images per class.
        scope: ``batch``, ``dataset`` or ``loss``: what is made equal, see the module.
        max_weight: Largest weight of ``scope=loss``, above 0.

    Raises:
        SettingError: An unknown scope, a weight that is not positive, or a class without images.
    """

    weights: Tensor

    def __init__(self, class_counts: Sequence[int], *, scope: str = "batch", max_weight: float = 100.0):
        super().__init__()
        self.scope = checked_choice("scope of loss_equalised", scope, SCOPES)
        self.max_weight = checked_number("max_weight of loss_equalised", max_weight, open_end=True)
        self.mixable = self.scope == "dataset"
        counts = torch.tensor(checked_counts(class_counts), dtype=torch.float64)
        self.set_constant("weights", counts.sum() / (len(counts) * counts))

    def per_sample(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Each sample's weighted loss, [B]; but for ``dataset`` it depends on the whole batch."""
        logits = working_precision(logits)
        losses = F.cross_entropy(logits, targets, reduction="none")
        if self.scope == "dataset":
            return losses * self.constant("weights", losses).gather(0, targets)
        own = class_mask(targets, logits.shape[1])
        present = own.any(0).sum()
        if self.scope == "batch":
            weights = len(targets) / (present * own.sum(0).clamp(min=1)).to(losses.dtype)
        else:
            totals = torch.where(own, losses.detach().unsqueeze(1), 0).sum(0)
            mean = totals.sum() / present
            least = (mean / self.max_weight).clamp(min=torch.finfo(losses.dtype).tiny)
            weights = mean / torch.maximum(totals, least)
        return losses * weights.gather(0, targets)


class PriorEqualised(LossEqualised):
    """Prior equalisation: cross-entropy weighted by ``N / (K n_y)`` of the whole training set.

    Args:
        class_counts: Training images per class.

    Raises:
        SettingError: A class without images.
    """

    def __init__(self, class_counts: Sequence[int]):
        super().__init__(class_counts, scope="dataset")

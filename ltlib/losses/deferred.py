"""Deferred re-weighting (DRW): no class weights at first, then weights to the end.

Cao et al. 2019, arXiv 1906.07413, Algorithm 1; ``cifar_train.py`` of LDAM-DRW. The weights are those of the effective
number of samples with beta = 0.9999, made to sum to K, from the first epoch after 160 of 200 on: ``start_share`` 0.8.

``L = sum_i w_{y_i} l_i / sum_i w_{y_i}``

- The division by the weights' sum (``reduction=weight_sum``) is torch's ``weight=``, which the reference code uses;
  before the switch w = 1, and L is the plain mean. imbalanced-DL's Mixup-DRW and Remix-DRW weigh each image's loss and
  then take the mean over the batch (``reduction=batch_size``).
- `Deferred.set_epoch` writes the weights into a buffer in place, so a captured step uses them without a new capture. It
  must be called before each epoch, with epochs counted from 1.
- The paper's weights are 1 / n_c; the code's are the effective number's, and so are ours (``weights=inverse`` is the
  other).
- The code picks the weights by ``epoch // 160``, which fails from epoch 320 on; the share of the stage's epochs does
  not.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ltlib.errors import SettingError
from ltlib.losses.base import LOSSES, Loss, checked_choice, checked_number, checked_share
from ltlib.losses.ldam import LDAM
from ltlib.losses.weighted import REDUCTIONS
from ltlib.losses.weights import class_weights


class Deferred(Loss):
    """A loss whose samples get class weights late in training.

    Args:
        loss: Reduced by the plain mean.
        weights: Per class, [K], above 0: used from epoch ``start_share * epochs + 1`` on.
        start_share: Share of the epochs that run without weights, 0 to 1.
        reduction: What the sum over the batch is divided by, ``weight_sum`` or ``batch_size``.

    Raises:
        SettingError: A loss with a reduction of its own or without logits, weights that are not positive, a share
            outside its range, an unknown word.

    Example:
        >>> from ltlib import losses
        >>> loss = losses.create("ldam_drw", [5000, 500, 50])
        >>> loss.set_epoch(160, 200), loss.weights.tolist()
        (None, [1.0, 1.0, 1.0])
        >>> loss.set_epoch(161, 200), [round(w, 2) for w in loss.weights.tolist()]
        (None, [0.03, 0.28, 2.69])
    """

    weights: Tensor
    late: Tensor

    def __init__(
        self,
        loss: Loss,
        weights: Sequence[float] | Tensor,
        start_share: float = 0.8,
        reduction: str = "weight_sum",
    ):
        super().__init__()
        self.reduction = checked_choice("reduction of deferred", reduction, REDUCTIONS)
        if loss.contrastive or type(loss).reduce is not Loss.reduce:
            raise SettingError(f"{type(loss).__name__} cannot be re-weighted: its batch is not reduced by a plain mean")
        self.loss, self.mixable, self.noise = loss, loss.mixable, loss.noise
        self.start_share = checked_share("start_share", start_share)
        late = torch.as_tensor(weights, dtype=torch.float64)
        for c, weight in enumerate(late.tolist()):
            checked_number(f"weight of class {c}", weight, open_end=True)
        self.set_constant("late", late)
        self.set_constant("weights", torch.ones_like(late))

    def set_epoch(self, epoch: int, epochs: int) -> None:
        """Put in the weights that hold in this epoch, 1 to `epochs`."""
        self.loss.set_epoch(epoch, epochs)
        # the tolerance: 0.29 * 100 is a little less than 29
        started = epoch > self.start_share * epochs + 1e-9
        self.weights.copy_(self.late if started else torch.ones_like(self.late))
        self._exact["weights"].copy_(self._exact["late"] if started else torch.ones_like(self._exact["late"]))

    def per_sample(self, logits: Tensor, targets: Tensor, noise: Tensor | None = None) -> Tensor:
        losses = self.loss._each(logits, targets, noise)
        return losses * self.constant("weights", losses).gather(0, targets)

    def reduce(self, losses: Tensor, targets: Tensor) -> Tensor:
        """The sum over the batch, divided as `reduction` says."""
        if self.reduction == "batch_size":
            return losses.mean()
        return losses.sum() / self.constant("weights", losses).gather(0, targets).sum()

    def adjust(self, logits: Tensor) -> Tensor:
        return self.loss.adjust(logits)

    def restore(self, adjusted: Tensor) -> Tensor:
        return self.loss.restore(adjusted)


def deferred(
    class_counts: Sequence[int],
    *,
    base: str = "ce",
    weights: str = "effective_number",
    beta: float = 0.9999,
    start_share: float = 0.8,
    reduction: str = "weight_sum",
) -> Deferred:
    """Deferred re-weighting of a loss with its default settings.

    Args:
        class_counts: Training images per class.
        base: The loss's name.
        weights: ``effective_number``, ``inverse`` or ``inverse_sqrt``.
        beta: Of ``effective_number``, 0 <= beta < 1.
        start_share: Share of the epochs that run without weights, 0 to 1.
        reduction: ``weight_sum`` or ``batch_size``.

    Raises:
        UnknownName: Unknown loss.
        SettingError: A setting outside its range, or a loss that cannot be re-weighted.
    """
    late = class_weights(class_counts, weights, beta=beta)
    return Deferred(LOSSES.create(base, class_counts), late, start_share, reduction)


def ldam_drw(
    class_counts: Sequence[int],
    *,
    max_margin: float = 0.5,
    scale: float = 30.0,
    beta: float = 0.9999,
    start_share: float = 0.8,
) -> Deferred:
    """LDAM with deferred re-weighting.

    Arguments and errors as in `LDAM` and `deferred`.
    """
    loss = LDAM(class_counts, max_margin=max_margin, scale=scale)
    return Deferred(loss, class_weights(class_counts, "effective_number", beta=beta), start_share)

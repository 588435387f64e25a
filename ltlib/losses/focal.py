"""Focal loss: Lin et al. 2017, "Focal Loss for Dense Object Detection".

arXiv 1708.02002, Eq. 5; ``convergent`` Eq. 4. z are the logits of a sample, y is its class, p = softmax(z):

``l(z, y) = -alpha_y (1 - p_y)^gamma log p_y``

gamma >= 0 takes weight from samples that are already right; alpha weighs the classes.

The paper's p is the sigmoid of one object detector's output; here, as in the documents and in the LDAM-DRW code, it is
the softmax over the classes. Where LDAM-DRW is given class weights it computes p from the weighted loss, so that p is
no probability; here p is always the network's. The author's code of ``convergent`` has gamma 2, alpha proportional to
1 / n_c with sum 1, and the plain mean over the batch, so its loss is roughly K times smaller than with alpha 1.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from ltlib.errors import SettingError
from ltlib.losses.base import Loss, checked_counts, checked_number, log_odds_of_target, working_precision

Alpha = float | str | Sequence[float] | None


class Focal(Loss):
    """Focal loss: cross-entropy with the weight alpha_y (1 - p_y)^gamma.

    Args:
        class_counts: Training images per class; needed for ``alpha="inverse_frequency"``.
        gamma: Focusing exponent, >= 0; at 0 without alpha this is `CrossEntropy`, to the bit.
        alpha: None for 1; one number for every class; ``inverse_frequency`` for ``(1/n_c) / sum_k (1/n_k)``; or one
            number per class.

    Raises:
        SettingError: gamma or alpha negative or of another form.

    Example:
        >>> loss = Focal([5000, 500], gamma=2.0, alpha="inverse_frequency")
        >>> [round(a, 3) for a in loss.alpha.tolist()]
        [0.091, 0.909]
    """

    alpha: Tensor | None

    def __init__(self, class_counts: Sequence[int] | None = None, *, gamma: float = 2.0, alpha: Alpha = None):
        super().__init__()
        self.gamma = checked_number("gamma of focal", gamma)
        self.register_buffer("alpha", _class_weights(alpha, class_counts), persistent=False)

    def per_sample(self, logits: Tensor, targets: Tensor) -> Tensor:
        logits = working_precision(logits)
        if self.gamma == 0:
            losses = F.cross_entropy(logits, targets, reduction="none")
        else:
            # With the log-odds d of the true class, -log p = softplus(-d) and -log(1 - p) = softplus(d): both are exact
            # to rounding wherever p is, and (1 - p)^gamma = exp(-gamma softplus(d)) has a bounded gradient, unlike
            # the power of a rounded 1 - p, whose gradient at p = 1 is infinite for gamma < 1.
            log_odds = log_odds_of_target(logits, targets)
            losses = torch.exp(self.gamma * F.logsigmoid(-log_odds)) * -F.logsigmoid(log_odds)
        if self.alpha is None:
            return losses
        alpha = self.alpha.to(losses.dtype)
        return losses * (alpha.gather(0, targets) if alpha.ndim else alpha)


def _class_weights(alpha: Alpha, class_counts: Sequence[int] | None) -> Tensor | None:
    """alpha as float32 [K], or a scalar tensor for one number; None where it is 1."""
    if alpha is None:
        return None
    if alpha == "inverse_frequency":
        if class_counts is None:
            raise SettingError("alpha='inverse_frequency' of focal needs class_counts")
        inverse = 1 / torch.tensor(checked_counts(class_counts), dtype=torch.float64)
        return (inverse / inverse.sum()).float()
    if isinstance(alpha, str):
        raise SettingError(
            f"alpha of focal must be none, a number, inverse_frequency or a number per class, not {alpha!r}"
        )
    if not isinstance(alpha, Sequence):
        return torch.tensor(checked_number("alpha of focal", alpha))
    weights = [checked_number(f"alpha of focal for class {i}", value) for i, value in enumerate(alpha)]
    if not weights or (class_counts is not None and len(weights) != len(class_counts)):
        wanted = "none" if class_counts is None else len(class_counts)
        raise SettingError(f"alpha of focal has {len(weights)} numbers for {wanted} classes")
    return torch.tensor(weights)

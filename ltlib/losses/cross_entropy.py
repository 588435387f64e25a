"""Cross-entropy, the baseline everything is compared with.

``l(z, y) = -log p_y``, ``p = softmax(z)``; ``convergent`` Eq. 3. z are the logits of a sample, y is its class.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional as F

from ltlib.losses.base import Loss, working_precision


class CrossEntropy(Loss):
    """Cross-entropy, ``-log p_y``.

    Example:
        >>> import torch
        >>> loss = CrossEntropy()
        >>> loss(torch.zeros(4, 10), torch.tensor([0, 1, 2, 3]))
        tensor(2.3026)
    """

    def __init__(self, class_counts: Sequence[int] | None = None):
        super().__init__()

    def per_sample(self, logits: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(working_precision(logits), targets, reduction="none")

"""Online hard example mining: only the images with the largest losses train.

Shrivastava et al. 2016, arXiv 1604.03540, section 4 (for regions of interest); ``cefl`` section II.C: "screen out the
first few samples with greater loss". Of a batch of B images the ``ceil(keep B)`` with the largest cross-entropy l are
kept:

``L = mean of l over the kept images``

The paper keeps 128 of about 4,000 regions of two images, which says nothing for classification; ``keep=0.7`` is our
choice. A sample's value is l times B / kept, or 0, so that the mean over the batch is L.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ltlib.errors import SettingError
from ltlib.losses.base import Loss, checked_share
from ltlib.losses.cross_entropy import CrossEntropy


class HardExamples(Loss):
    """Cross-entropy of the hardest share of a batch.

    Args:
        class_counts: Not used.
        keep: Share of the batch that is kept, above 0 to 1; at 1 this is cross-entropy. At least one image is kept.

    Raises:
        SettingError: A share outside its range.
    """

    def __init__(self, class_counts: Sequence[int] | None = None, *, keep: float = 0.7):
        super().__init__()
        self.keep = checked_share("keep of ohem", keep)
        if self.keep == 0:
            raise SettingError("keep of ohem is the share of the batch that trains and must be above 0")
        self.base = CrossEntropy()

    def per_sample(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Each sample's loss, [B]: scaled where it is kept, 0 where not. It depends on the whole batch."""
        losses = self.base.per_sample(logits, targets)
        size = len(losses)
        kept = max(1, math.ceil(self.keep * size - 1e-9))  # 0.7 * 10 is a little more than 7
        hardest = losses.detach().topk(kept).indices  # of equal losses any: exactly `kept` have a place
        return losses * torch.zeros_like(losses).scatter(0, hardest, size / kept)

"""LDAM: label-distribution-aware margins. Cao et al. 2019, arXiv 1906.07413, section 3.

z are the logits, n_c the training images of class c, s the scale:

``l(z, y) = CE(s (z - m_y e_y), y)``, ``m_c = max_margin n_c^(-1/4) / max_k n_k^(-1/4)``

so the rarest class has the largest margin. e_y is the unit vector of class y.

The logits:

- The reference code gives it cosines, of a classifier that normalises features and weights and has no bias: the
  classifier ``cosine`` of `ltlib.models`. Margin 0.5 and scale 30 are made for that.
- On a plain linear classifier the same numbers act on logits without bound. So must ``architectures`` have had it: its
  mean LDAM loss over the tail reaches 72 (Table A.16), and over all images 48 at 56% accuracy (A.10). Of cosines no
  image's loss exceeds ``2 s + s m + log K``, about 80, and only one opposite to its own class and on top of all others
  comes near. With ``scale=1`` the linear form is cross-entropy with margins of at most 0.5.

Where others differ: the paper's formula has no s, and tunes C in ``m_c = C / n_c^(1/4)``; the code fixes the largest
margin and multiplies by s, and so do we. RIDE and SADE put s into the classifier. The code judges by argmax alone; for
confidences the logits at test time are s z (`LDAM.adjust`). Mixed labels have no margin: refused.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from ltlib.losses.base import Loss, checked_counts, checked_number, class_mask, working_precision


class LDAM(Loss):
    """Cross-entropy on scaled logits with a margin for the true class, the larger the rarer the class.

    Args:
        class_counts: Training images per class.
        max_margin: Margin of the rarest class, >= 0; at 0 this is cross-entropy on ``scale * logits``.
        scale: s > 0; 30 for the cosines of a ``cosine`` classifier, 1 for a linear classifier's own logits.

    Raises:
        SettingError: A negative margin, a scale that is not positive, or a class without images.
    """

    mixable = False
    margins: Tensor

    def __init__(self, class_counts: Sequence[int], *, max_margin: float = 0.5, scale: float = 30.0):
        super().__init__()
        self.max_margin = checked_number("max_margin of ldam", max_margin)
        self.scale = checked_number("scale of ldam", scale, open_end=True)
        margins = torch.tensor(checked_counts(class_counts), dtype=torch.float64) ** -0.25
        self.set_constant("margins", self.max_margin * margins / margins.max())

    def per_sample(self, logits: Tensor, targets: Tensor) -> Tensor:
        logits = working_precision(logits)
        margins = class_mask(targets, logits.shape[1]) * self.constant("margins", logits)
        return F.cross_entropy(self.scale * (logits - margins), targets, reduction="none")

    def adjust(self, logits: Tensor) -> Tensor:
        """``s z``, without a margin: the logits whose softmax was trained. Of bare cosines it would be nearly flat."""
        return self.scale * working_precision(logits)

    def restore(self, adjusted: Tensor) -> Tensor:
        return working_precision(adjusted) / self.scale

"""Softmax equalization loss (SEQL): rare classes are not pushed down by the images of other classes.

Tan et al. 2020, arXiv 2003.05176, its form for image classification. z are the logits, y is the class, n_k the training
images of class k, N their sum:

``l(z, y) = -log( exp(z_y) / sum_k w_k exp(z_k) )``, ``w_k = 1 - b_k T(n_k / N) (1 - [k = y])``

T is 1 for classes whose share of the training images lies below the threshold (lambda) and 0 else; b_k is 1 with
probability gamma, drawn anew for each image and class.

Where others differ:

- The paper does not say how often b is drawn; BagofTricks-LT draws it per image and class, and so do we.
- That code exponentiates bare logits, which overflows (NaN above 88 in float32); here the sum is a logsumexp over the
  classes left in.
- Defaults are BagofTricks-LT's, gamma 0.9 and threshold 0.005. On CIFAR-100 at imbalance 100 that makes 52 of 100
  classes rare, on CIFAR-10 one of ten, where the loss is almost cross-entropy.
- Evaluated on a test set the loss still draws b, so its value changes a little from call to call; pass the same noise
  for the same value. ``architectures`` printed such values: they alone depart from the mean over class groups.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ltlib.losses.base import Loss, checked_counts, checked_share, working_precision


class Equalization(Loss):
    """Softmax equalization loss.

    Args:
        class_counts: Training images per class.
        threshold: Share of the training images below which a class counts as rare, 0 to 1; at 0 this is cross-entropy.
        gamma: Probability that a rare class is left out of an image's denominator, 0 to 1.

    Raises:
        SettingError: A threshold or gamma outside its range, or a class without images.
    """

    noise = True
    rare: Tensor

    def __init__(self, class_counts: Sequence[int], *, threshold: float = 0.005, gamma: float = 0.9):
        super().__init__()
        self.threshold = checked_share("threshold of equalization", threshold)
        self.gamma = checked_share("gamma of equalization", gamma)
        counts = torch.tensor(checked_counts(class_counts), dtype=torch.float64)
        self.register_buffer("rare", counts / counts.sum() < self.threshold, persistent=False)

    def per_sample(self, logits: Tensor, targets: Tensor, noise: Tensor | None = None) -> Tensor:
        """Each sample's loss, [B].

        Args:
            logits: [B, K].
            targets: int64 [B].
            noise: Uniform numbers in [0, 1), [B, K]; b is 1 where they lie below gamma. None draws them with
                ``torch.rand`` from the device's global generator.
        """
        logits = working_precision(logits)
        if noise is None:
            noise = torch.rand(logits.shape, device=logits.device)
        index = targets.unsqueeze(1)
        out = ((noise < self.gamma) & self.rare).scatter(1, index, False)
        return logits.masked_fill(out, -torch.inf).logsumexp(1) - logits.gather(1, index).squeeze(1)

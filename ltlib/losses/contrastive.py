"""Contrastive losses: SupCon and SimCLR's NT-Xent.

Khosla et al. 2020, Eq. 2 (arXiv 2004.11362); Chen et al. 2020, Eq. 1 (arXiv 2002.05709):

``l_i = -1/|P(i)| sum_{p in P(i)} log( exp(s_ip / T) / sum_{a != i} exp(s_ia / T) )``

s_ij is the cosine of features i and j, T the temperature, P(i) the other samples with the target of sample i: all views
of all images of a class for SupCon, the other views of the same image for SimCLR. The batch's loss is the mean of l_i.

Where others differ:

- ``convergent`` Eq. 1 sums over the batch, its Eq. 5 and the reference code take the mean; so do we.
- The reference code (SupContrast) multiplies by T / 0.07; we do not unless a base temperature is given. At T = 0.07,
  as in the author's code of ``convergent``, both are the same.
- A sample without a positive has no l_i. Here it is left out of the mean, as in pytorch-metric-learning; the reference
  code counts it as 0. In a batch without any positive the loss is 0.
- With one class in the batch pytorch-metric-learning returns 0; here, as in the formula, it is not.

A loop over two augmented views of a batch:

    loss = SupCon(temperature=0.1)
    images = torch.cat([view_1, view_2])                     # [2 B, 3, H, W], view after view
    features = network(images)                               # [2 B, P], normalised or not
    loss(features, targets.repeat(2)).backward()             # classes [B]; SimCLR: torch.arange(B).repeat(2)
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from ltlib.losses.base import Loss, checked_number, working_precision


class SupCon(Loss):
    """Supervised contrastive loss: samples of a class attract each other, all others repel.

    Features are float [N, D] and are normalised to length one here; targets are int64 [N]. For V views of B images,
    N = V B, view after view. The cosines are computed in float32 also under autocast.

    Args:
        class_counts: Not used; every loss here can be given them.
        temperature: T > 0.
        base_temperature: Multiply the loss by T / base_temperature; None for no factor.

    Raises:
        SettingError: A temperature that is not positive.
    """

    contrastive = True
    mixable = False

    def __init__(
        self,
        class_counts: Sequence[int] | None = None,
        *,
        temperature: float = 0.07,
        base_temperature: float | None = None,
    ):
        super().__init__()
        self.temperature = checked_number("temperature", temperature, open_end=True)
        base = self.temperature if base_temperature is None else base_temperature
        self.factor = self.temperature / checked_number("base_temperature", base, open_end=True)

    def per_sample(self, features: Tensor, targets: Tensor) -> Tensor:
        """Each sample's loss, [N]; 0 where it has no positive."""
        with torch.autocast(features.device.type, enabled=False):
            features = F.normalize(working_precision(features), dim=1)
            cosines = features @ features.T
        itself = torch.eye(len(targets), dtype=torch.bool, device=targets.device)
        # A finite filling: with -inf a batch of one sample would have a NaN on its way.
        similarity = (cosines / self.temperature).masked_fill(itself, torch.finfo(cosines.dtype).min)
        log_probability = similarity.log_softmax(1)
        positive = _positives(targets, itself)
        total = log_probability.masked_fill(~positive, 0).sum(1)
        return -self.factor * total / positive.sum(1).clamp(min=1)

    def reduce(self, losses: Tensor, targets: Tensor) -> Tensor:
        """Mean over the samples that have a positive; 0 if none has."""
        itself = torch.eye(len(targets), dtype=torch.bool, device=targets.device)
        return losses.sum() / _positives(targets, itself).any(1).sum().clamp(min=1)


class SimCLR(SupCon):
    """SimCLR's NT-Xent: the views of an image attract each other, all other images repel; classes are not used.

    The same formula as `SupCon`; the targets are the images' numbers, e.g. ``torch.arange(B).repeat(V)``.
    """

    instances = True

    def __init__(
        self,
        class_counts: Sequence[int] | None = None,
        *,
        temperature: float = 0.5,
        base_temperature: float | None = None,
    ):
        super().__init__(class_counts, temperature=temperature, base_temperature=base_temperature)


def _positives(targets: Tensor, itself: Tensor) -> Tensor:
    """Which samples count as positives of which, bool [N, N]."""
    return (targets.unsqueeze(1) == targets.unsqueeze(0)) & ~itself

"""k-positive contrastive loss: as many positives for an image of a rare class as for one of a common class.

Kang et al. 2021, "Exploring Balanced Feature Spaces for Representation Learning" (ICLR), Eq. 4:

``l_i = -1/(|V(i)| + k_i) sum_{p in V(i) or S(i)} log( exp(s_ip / T) / sum_{a != i} exp(s_ia / T) )``

V(i) are the other views of image i; S(i) are k samples of its class among the rest of the batch, chosen at random in
every step, or all k_i of them where there are fewer. The denominator is SupCon's. With k = 0 this is SimCLR's loss,
with k as large as the batch SupCon's.

The choice needs one uniform number u a sample: sample i takes the k candidates j with the smallest
``(u_i + u_j) mod 1``. For each i every choice of k is equally likely; choices of different samples are not independent,
which saves N x N random numbers and changes no expectation of the loss. The numbers can be drawn beforehand
(``noise``), so that a step is repeatable on any device; without them torch's generator of the device is used.

Differences from the authors' code (bingykang/BalFeat) and that of TSC (LTH14/targeted-supcon): they choose from a
queue (MoCo), the latter in its CIFAR form from the batch, as here; there the choice is made anew for every sample on
the host's generator.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from ltlib.errors import SettingError
from ltlib.losses.base import Loss, checked_number, working_precision


class KPositive(Loss):
    """k-positive contrastive loss of features float [N, D] with targets int64 [N], N = V B, view after view.

    Its noise is one uniform number a sample, [N].

    Args:
        class_counts: Not used; every loss here can be given them.
        temperature: T > 0.
        k: Samples of the class that are positives beside the other views.
        views: V of the calls.

    Raises:
        SettingError: A temperature that is not positive, a negative k, fewer than one view.
    """

    contrastive = True
    mixable = False
    noise = True

    def __init__(
        self,
        class_counts: Sequence[int] | None = None,
        *,
        temperature: float = 0.07,
        k: int = 6,
        views: int = 2,
    ):
        super().__init__()
        self.temperature = checked_number("temperature", temperature, open_end=True)
        self.k = int(checked_number("k", k))
        self.views = int(checked_number("views", views, least=1))

    def per_sample(self, features: Tensor, targets: Tensor, noise: Tensor | None = None) -> Tensor:
        """Each sample's loss, [N]; 0 where it has no positive (one view, alone in its class).

        Args:
            features: float [N, D].
            targets: int64 [N].
            noise: float [N], uniform in [0, 1), on the same device (of more columns the first is used); drawn here by
                default.
        """
        with torch.autocast(features.device.type, enabled=False):
            unit = F.normalize(working_precision(features), dim=1)
            similarity = unit @ unit.T / self.temperature
        itself = torch.eye(len(targets), dtype=torch.bool, device=targets.device)
        log_probability = similarity.masked_fill(itself, torch.finfo(similarity.dtype).min).log_softmax(1)
        positive = self.positives(targets, noise)
        return -log_probability.masked_fill(~positive, 0).sum(1) / positive.sum(1).clamp(min=1)

    def reduce(self, losses: Tensor, targets: Tensor) -> Tensor:
        """Mean over the samples that have a positive; 0 if none has. Which ones are chosen makes no difference."""
        return losses.sum() / self.positives(targets, torch.zeros_like(losses)).any(1).sum().clamp(min=1)

    @torch.no_grad()
    def positives(self, targets: Tensor, noise: Tensor | None = None) -> Tensor:
        """Which samples count as positives of which, bool [N, N]; a single sample has none.

        Raises:
            SettingError: The number of samples is no multiple of the views.
        """
        count = len(targets)
        if count == 1:
            return torch.zeros(1, 1, dtype=torch.bool, device=targets.device)
        if count % self.views:
            raise SettingError(f"{count} samples are not {self.views} views of a batch; give kcl its number of views")
        number = torch.arange(count, device=targets.device)
        same_image = (number[:, None] % (count // self.views)) == (number[None, :] % (count // self.views))
        views = same_image & (number[:, None] != number[None, :])
        if self.k == 0:
            return views
        candidates = (targets[:, None] == targets[None, :]) & ~same_image
        if noise is None:
            noise = torch.rand(count, device=targets.device)
        noise = noise.reshape(count, -1)[:, 0]
        order = torch.remainder(noise[:, None] + noise[None, :], 1.0).masked_fill(~candidates, 2.0)
        nearest = order.topk(min(self.k, count), dim=1, largest=False).indices
        chosen = torch.zeros_like(views).scatter_(1, nearest, torch.ones_like(nearest, dtype=torch.bool))
        return views | (chosen & candidates)

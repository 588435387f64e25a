"""ConCutMix: the balanced contrastive loss, and labels of mixed images that follow where their features lie.

Pan et al. 2024, "Enhanced Long-Tailed Recognition With Contrastive CutMix Augmentation" (arXiv 2407.04911). Area says
how much of two images a CutMix image shows, not what it shows. With u the projection of the mixed image and c_j the
prototypes of the classes, neither normalised, the similarity to class j is ``1 / |u - c_j|``; of the k nearest classes
they are divided by their sum, all others have none: s. The label is then

``omega s + (1 - omega) t``, ``omega = f log(sum_j n_j t_j) / sum_j log n_j``

with t the label by area, n_j the class counts and a factor f. It begins after a share of the epochs, when prototypes
mean something, and gets no gradient.

With the released settings, f = 20 / 255 and k = 30 on CIFAR-100-LT at 100, omega is 0.0003 (two classes of 5 images)
to 0.0013 (of 500): what these labels can change is small beside the donors from a class-balanced sampler
(`ltlib.mixing`, ``cmo``) and the balanced contrastive loss (`ltlib.losses.bcl`) that they come with.

Differences from the reference code: it changes labels from the second epoch after the stated one on; where classes are
equally near, it may keep more than k; a batch that is mixed by nothing keeps its labels here, there the coin decides;
it computes each projection twice. With its linear classifier the prototypes there are of features, not of classes, see
`ltlib.methods.contrastive`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from ltlib.limits import SHARE, Limit
from ltlib.losses.base import checked_counts, working_precision
from ltlib.losses.bcl import BalancedContrastive


class ContrastiveCutMix(BalancedContrastive):
    """The balanced contrastive loss, called as `BalancedContrastive` is, with `labels` beside it.

    Args:
        class_counts: Training images per class.
        temperature: T > 0.
        top_k: Classes a similarity is given to; all, where there are fewer.
        factor: f, from 0 to 1.
        start: Share of the epochs after which labels follow similarity.

    Raises:
        SettingError: A setting outside its range, a class without images.
    """

    takes_mixed = True
    on: Tensor
    counts: Tensor

    def __init__(
        self,
        class_counts: Sequence[int],
        *,
        temperature: float = 0.1,
        top_k: int = 30,
        factor: float = 20 / 255,
        start: float = 0.5,
    ):
        super().__init__(class_counts, temperature=temperature)
        Limit(1, whole=True).check("setting top_k of loss concutmix", top_k)
        SHARE.check("setting start of loss concutmix", start)
        SHARE.check("setting factor of loss concutmix", factor)
        self.top_k, self.start = min(int(top_k), self.num_classes), float(start)
        counts = torch.tensor(checked_counts(class_counts), dtype=torch.float64)
        self.set_constant("counts", counts)
        # with one image in every class all logarithms are 0, and so is omega
        self.set_constant("scale", factor / counts.log().sum().clamp(min=1e-12).view(1))
        self.register_buffer("on", torch.zeros(()), persistent=False)

    def set_epoch(self, epoch: int, epochs: int) -> None:
        """Whether labels follow similarity in this epoch (from 1)."""
        self.on.fill_(float(epoch > self.start * epochs))

    @torch.no_grad()
    def labels(
        self, targets: Tensor, partner_targets: Tensor, share: Tensor, projection: Tensor, prototypes: Tensor
    ) -> Tensor:
        """The labels of mixed images, float [B, K], rows of sum one.

        Args:
            targets: int64 [B], classes of the images.
            partner_targets: int64 [B], of what was pasted in.
            share: float [B], of the own area; where it is 1 nothing was mixed and the label is the class.
            projection: float [B, P], of the mixed images, not normalised.
            prototypes: float [K, P], not normalised.
        """
        u = working_precision(projection)
        share = share.to(u.dtype)[:, None]
        by_area = torch.zeros(len(targets), self.num_classes, dtype=u.dtype, device=u.device)
        by_area = by_area.scatter_add_(1, targets[:, None], share).scatter_add_(1, partner_targets[:, None], 1 - share)
        distance = torch.cdist(u, prototypes.to(u.dtype), compute_mode="donot_use_mm_for_euclid_dist")
        near = (1 / distance.clamp(min=1e-6)).topk(self.top_k, dim=1)
        similar = torch.zeros_like(by_area).scatter_(1, near.indices, F.normalize(near.values, p=1, dim=1))
        omega = (by_area @ self.constant("counts", u)).log()[:, None] * self.constant("scale", u)
        omega = omega * self.on.to(u.dtype) * (share < 1)
        return omega * similar + (1 - omega) * by_area

"""Weighted means of two whole images: mixup, and Remix, which shares the labels otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ltlib.errors import SettingError
from ltlib.limits import SHARE, Limit
from ltlib.mixing.base import BETA, Asked, Mixing, beta, permutations, uniform


@dataclass(frozen=True)
class Mixup(Mixing):
    """Zhang et al. 2018 (arXiv 1710.09412): ``x = lam x_i + (1 - lam) x_j`` and the labels alike, lam ~ Beta(a, a)."""

    alpha: float = 1.0
    limits: ClassVar[Mapping[str, Limit]] = BETA

    def _draw(self, generator: torch.Generator, asked: Asked) -> dict[str, Tensor]:
        lam = beta(self.alpha, uniform(generator, self._size(asked.shape)))
        lam = torch.where(self._coin(generator, asked.shape), lam, 1.0)
        return {"lam": lam.float().expand(asked.shape).contiguous(), "partner": permutations(generator, asked.shape)}

    def apply(self, images: Tensor, partner_images: Tensor | None, draws: dict[str, Tensor]) -> Tensor:
        assert partner_images is not None
        lam = draws["lam"].to(images.dtype)[:, None, None, None]
        return lam * images + (1 - lam) * partner_images


@dataclass(frozen=True)
class Remix(Mixup):
    """Chou et al. 2020 (arXiv 2007.03943), Eq. 10: mixup's images, but the rarer class may take the whole label.

    With n_i, n_j the class counts: the own label's share is 0 where ``n_i / n_j >= kappa and lam < tau``, 1 where
    ``n_i / n_j <= 1 / kappa and 1 - lam < tau``, else lam.
    """

    kappa: float = 3.0
    tau: float = 0.5
    limits: ClassVar[Mapping[str, Limit]] = BETA | {"kappa": Limit(1), "tau": SHARE}

    def label_share(
        self, lam: Tensor, targets: Tensor, partner_targets: Tensor, class_counts: Tensor | None = None
    ) -> Tensor:
        """Remix's relabelling, see the class; the shares of each sample are kept apart."""
        if class_counts is None:
            raise SettingError("remix needs the class counts to share the labels")
        own, other = class_counts[targets], class_counts[partner_targets]
        share = torch.where((own >= self.kappa * other) & (lam < self.tau), 0.0, lam)
        return torch.where((own * self.kappa <= other) & (1 - lam < self.tau), 1.0, share)

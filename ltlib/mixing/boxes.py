"""Rectangles that are replaced: CutMix, CMO, CutOut."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from ltlib.errors import SettingError
from ltlib.limits import NOT_NEGATIVE, Limit
from ltlib.mixing.base import (
    BETA,
    SIDE,
    Asked,
    Mixing,
    beta,
    boxed,
    centred,
    inside,
    permutations,
    uniform,
)


@dataclass(frozen=True)
class CutMix(Mixing):
    """Yun et al. 2019 (arXiv 1905.04899): a rectangle of the partner's image; labels by the area that is left.

    The rectangle has the image's proportions and the area 1 - lam, lam ~ Beta(alpha, alpha), its centre is uniform over
    the image, and it is cut at the border; ``lam`` is then the share of pixels that are left.
    """

    alpha: float = 1.0
    limits: ClassVar[Mapping[str, Limit]] = BETA

    def _draw(self, generator: torch.Generator, asked: Asked) -> dict[str, Tensor]:
        side = (1 - beta(self.alpha, uniform(generator, self._size(asked.shape)))).sqrt()
        box = centred(generator, asked.size, [(side * length).long() // 2 for length in asked.size])
        draws = boxed(box, self._coin(generator, asked.shape) & asked.active, asked)
        return draws | {"partner": self._partner(generator, asked)}

    def _partner(self, generator: torch.Generator, asked: Asked) -> Tensor:
        return permutations(generator, asked.shape)

    def apply(self, images: Tensor, partner_images: Tensor | None, draws: dict[str, Tensor]) -> Tensor:
        assert partner_images is not None
        return torch.where(inside(draws["box"], images.shape[-2:]), partner_images, images)


@dataclass(frozen=True)
class CMO(CutMix):
    """Park et al. 2022 (arXiv 2112.00412): CutMix whose pasted images are drawn with inverse class frequency.

    An image of class c is a partner with a chance proportional to ``n_c ** -power``, with replacement: at power 1 every
    class is as likely. Nothing is mixed in the `first` and the `last` epochs.
    """

    prob: float = 0.5
    power: float = 1.0
    first: int = 3
    last: int = 3
    partners: ClassVar[Literal["none", "batch", "dataset"]] = "dataset"
    limits: ClassVar[Mapping[str, Limit]] = BETA | {
        "power": NOT_NEGATIVE,
        "first": Limit(whole=True),
        "last": Limit(whole=True),
    }

    def active(self, epoch: int, epochs: int) -> bool:
        """All epochs but the first few and the last few."""
        return self.first < epoch <= epochs - self.last

    def _partner(self, generator: torch.Generator, asked: Asked) -> Tensor:
        return by_class_frequency(generator, asked, self.power, "cmo")


def by_class_frequency(generator: torch.Generator, asked: Asked, power: float, name: str) -> Tensor:
    """Numbers of training images, int64 [S, B], each with a chance proportional to ``n_c ** -power`` of its class.

    Raises:
        SettingError: The targets are missing; `name` is the mixing's.
    """
    targets = asked.targets
    if targets is None:
        raise SettingError(f"{name} draws its second images from the whole training set; give draw the targets")
    counts = torch.bincount(targets).double()
    bounds = counts[targets].pow(-power).cumsum(0)
    chosen = torch.searchsorted(bounds, uniform(generator, asked.shape) * bounds[-1], right=True)
    return chosen.clamp_(max=len(targets) - 1)


@dataclass(frozen=True)
class CutOut(Mixing):
    """DeVries and Taylor 2017 (arXiv 1708.04552): a square of zeros in every image; labels stay.

    After normalising, zero is the mean colour. The side is `scale` of the image's; the centre is uniform over the image
    and the square is cut at the border.
    """

    per_sample: bool = True
    scale: float = 0.5
    partners: ClassVar[Literal["none", "batch", "dataset"]] = "none"
    limits: ClassVar[Mapping[str, Limit]] = SIDE

    def _draw(self, generator: torch.Generator, asked: Asked) -> dict[str, Tensor]:
        half = [torch.full(self._size(asked.shape), int(length * self.scale) // 2) for length in asked.size]
        box = centred(generator, asked.size, half)
        draws = boxed(box, self._coin(generator, asked.shape), asked)
        return {"box": draws["box"], "lam": torch.ones(asked.shape)}

    def apply(self, images: Tensor, partner_images: Tensor | None, draws: dict[str, Tensor]) -> Tensor:
        return torch.where(inside(draws["box"], images.shape[-2:]), images.new_zeros(()), images)

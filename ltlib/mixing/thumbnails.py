"""Cut-Thumbnail: a smaller copy pasted into an image, of itself or of another.

The reference code (TianshuXie/Cut-Thumbnail) has ImageNet's size alone, 112 of 224 pixels: hence the share of a half.
As there, the thumbnail is made with nearest pixels, of the normalised image.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from ltlib.limits import SHARE, Limit
from ltlib.mixing.base import SIDE, Asked, Mixing, boxed, inside, permutations, uniform


@dataclass(frozen=True)
class CutThumbnail(Mixing):
    """Xie et al. 2021 (arXiv 2103.05342), self thumbnail: the image, made smaller, is pasted into itself; label stays.

    ``awabs`` section 2.3.4: "embedding it within the original image", "randomly placed". The thumbnail's side is
    `scale` of the image's, its pixels are the nearest ones, and it lies wholly inside, uniformly placed.
    """

    prob: float = 0.8
    scale: float = 0.5
    partners: ClassVar[Literal["none", "batch", "dataset"]] = "none"
    limits: ClassVar[Mapping[str, Limit]] = SIDE

    def _draw(self, generator: torch.Generator, asked: Asked) -> dict[str, Tensor]:
        count, sides = self._size(asked.shape), _thumbnail(asked.size, self.scale)
        corner = [
            (uniform(generator, count) * (length - side + 1)).long()
            for length, side in zip(asked.size, sides, strict=True)
        ]
        box = torch.stack([*corner, *(c + side for c, side in zip(corner, sides, strict=True))], -1)
        draws = boxed(box, self._coin(generator, asked.shape), asked)
        return {"box": draws["box"], "lam": torch.ones(asked.shape)}

    def apply(self, images: Tensor, partner_images: Tensor | None, draws: dict[str, Tensor]) -> Tensor:
        height, width = images.shape[-2:]
        source = images if partner_images is None else partner_images
        small = F.interpolate(source, _thumbnail((height, width), self.scale), mode="nearest")
        for axis, length in ((2, height), (3, width)):
            place = torch.arange(length, device=images.device) - draws["box"][:, axis - 2, None]
            place = place.clamp(0, small.shape[axis] - 1)
            view = [len(images), 1, 1, 1]
            view[axis] = length
            sizes = [len(images), small.shape[1], small.shape[2], small.shape[3]]
            sizes[axis] = length
            small = small.gather(axis, place.view(view).expand(sizes))
        return torch.where(~inside(draws["box"], (height, width)), images, small)


@dataclass(frozen=True)
class MixedThumbnail(CutThumbnail):
    """Xie et al. 2021, mixed single thumbnail: the partner's image, made smaller; labels 0.75 own, 0.25 partner."""

    own_share: float = 0.75
    partners: ClassVar[Literal["none", "batch", "dataset"]] = "batch"
    limits: ClassVar[Mapping[str, Limit]] = SIDE | {"own_share": SHARE}

    def _draw(self, generator: torch.Generator, asked: Asked) -> dict[str, Tensor]:
        draws = super()._draw(generator, asked)
        pasted = draws["box"][..., 2] > draws["box"][..., 0]
        return {
            "box": draws["box"],
            "lam": torch.where(pasted, self.own_share, 1.0),
            "partner": permutations(generator, asked.shape),
        }


def _thumbnail(image_size: tuple[int, int], scale: float) -> tuple[int, int]:
    """Height and width of a thumbnail, at least one pixel."""
    return max(1, int(image_size[0] * scale)), max(1, int(image_size[1] * scale))

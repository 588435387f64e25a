"""GLMC's two views: one mixed as a whole, one by a rectangle, with the same partner."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from ltlib.limits import NOT_NEGATIVE, Limit
from ltlib.mixing.base import BETA, Asked, Mixing, beta, boxed, centred, inside, uniform
from ltlib.mixing.boxes import by_class_frequency


@dataclass(frozen=True)
class GlobalLocal(Mixing):
    """Du et al. 2023 (arXiv 2305.08661), section 3.2: mixup of the first view, CutMix of the second, one lambda.

    lam ~ Beta(alpha, alpha) is the share of the own image in the first view; the second view's rectangle has the area
    1 - lam before it is cut at the border, and its label the area that is left. An image of class c is a partner with
    a chance proportional to ``n_c ** -power``. The code gives both views the label of lam, also where a rectangle is
    cut at the border, and makes rectangles an odd pixel larger.

    ``lam`` is float32 [S, 2 B], view after view.
    """

    alpha: float = 1.0
    power: float = 0.2
    views: ClassVar[int] = 2
    partners: ClassVar[Literal["none", "batch", "dataset"]] = "dataset"
    limits: ClassVar[Mapping[str, Limit]] = BETA | {"power": NOT_NEGATIVE}

    def _draw(self, generator: torch.Generator, asked: Asked) -> dict[str, Tensor]:
        lam = beta(self.alpha, uniform(generator, self._size(asked.shape)))
        coin = self._coin(generator, asked.shape)
        box = centred(generator, asked.size, [((1 - lam).sqrt() * length).long() // 2 for length in asked.size])
        draws = boxed(box, coin, asked)
        whole = torch.where(coin, lam, 1.0).float().expand(asked.shape)
        partner = by_class_frequency(generator, asked, self.power, "glmc")
        return {"lam": torch.cat([whole, draws["lam"]], 1), "box": draws["box"], "partner": partner}

    def apply(self, images: Tensor, partner_images: Tensor | None, draws: dict[str, Tensor]) -> Tensor:
        assert partner_images is not None
        (first, second), (one, other) = images.chunk(2), partner_images.chunk(2)
        lam = draws["lam"][: len(first)].to(images.dtype)[:, None, None, None]
        box = inside(draws["box"], images.shape[-2:])
        return torch.cat([lam * first + (1 - lam) * one, torch.where(box, other, second)])

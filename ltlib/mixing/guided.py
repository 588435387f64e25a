"""OFBD's CutMix: a rectangle about the place of the pasted image to which the network answers most strongly."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ltlib.mixing.base import Asked, beta, boxed, cut, uniform
from ltlib.mixing.boxes import CMO


@dataclass(frozen=True)
class GuidedCutMix(CMO):
    """CutMix with images of rare classes, from where the network of that moment sees most in them.

    By the code of OFBD (github.com/ChenShengHan100/OFBD, ``main_local_energy.py``): the side is CutMix's, one for a
    batch; the centre is the corner of the strongest place of the pasted image's last feature map, moved by up to a
    quarter of the side, each image by its own draw; the rectangle is cut at the border. There a place's strength is a
    sigmoid that is 1 for all strong ones alike, of which the first is taken; here it is the energy itself.

    ``box`` and ``lam`` are drawn for a place at 0, 0 and an endless image: `placed` makes them those of an image.
    """

    def _draw(self, generator: torch.Generator, asked: Asked) -> dict[str, Tensor]:
        side = (1 - beta(self.alpha, uniform(generator, self._size(asked.shape)))).sqrt()
        starts, ends = [], []
        for length in asked.size:
            whole = (side * length).long()
            # floor(-c / 4) to floor(c / 4), both included; up to four pixels nothing is moved
            least, most = -((whole + 3) // 4), whole // 4
            drawn = (uniform(generator, asked.shape) * (most - least + 1)).long() + least
            shift, half = torch.where(whole > 4, drawn, 0), (whole // 2).expand(asked.shape)
            starts.append(shift - half)
            ends.append(shift + half)
        box = torch.stack([*starts, *ends], -1)
        draws = boxed(box, self._coin(generator, asked.shape) & asked.active, asked)
        return draws | {"partner": self._partner(generator, asked)}

    def placed(self, draws: dict[str, Tensor], places: Tensor, image_size: tuple[int, int]) -> dict[str, Tensor]:
        """The draws of a step with every image's rectangle where its partner is strongest.

        Args:
            draws: Of one step: ``box`` [B, 4], ...
            places: int64 [B, 2], row and column in pixels of the partner.
            image_size: Height and width.
        """
        starts, ends = [], []
        for axis, length in enumerate(image_size):
            start, end = draws["box"][:, axis], draws["box"][:, axis + 2]
            centre = (places[:, axis] + (start + end) // 2).clamp(0, length)
            half = (end - start) // 2
            starts.append((centre - half).clamp(min=0))
            ends.append((centre + half).clamp(max=length))
        return draws | cut(torch.stack([*starts, *ends], 1), image_size)


def strongest(energy: Tensor, image_size: tuple[int, int]) -> Tensor:
    """Row and column of the highest place of each map, its upper left corner in pixels of an image: int64 [B, 2].

    Args:
        energy: [B, h, w].
        image_size: Height and width.
    """
    height, width = energy.shape[1:]
    highest = energy.flatten(1).argmax(1)
    rows, columns = highest // width * image_size[0] // height, highest % width * image_size[1] // width
    return torch.stack([rows, columns], 1)

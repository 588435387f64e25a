"""Random resized crop: a window of random area and shape in each image, brought back to the image's own size.

Every pixel equals torchvision's ``functional.resized_crop`` on Pillow images, bilinear with antialiasing. A window is
never larger than its image, so the resampling only enlarges: Pillow's triangle filter has its smallest support, one
pixel, and each output pixel is a weighted mean of at most two input pixels in either direction. Weights and places
depend on nothing but the window's length, so they are looked up. Pillow works with 8-bit images in 22-bit fixed point,
columns first and rows after that, rounding to whole levels in between (``ImagingResampleHorizontal_8bpc`` and
``ImagingResampleVertical_8bpc`` in its Resample.c); the same integers are computed here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

DRAWS = ("top", "left", "height", "width")
SHARE = 0.08
"""torchvision's smallest share of the area."""
RATIO = (3 / 4, 4 / 3)
"""Smallest and largest width over height."""
TRIES = 10
WEIGHT_BITS = 22
"""Of Pillow's fixed-point weights: 32 bits less 8 of the pixel and 2 to spare."""


# --- draws -----------------------------------------------------------------------------------------------------------


def draw(share: float, generator: torch.Generator, shape: Sequence[int], size: tuple[int, int]) -> dict[str, Tensor]:
    """A window for each image, as torchvision's ``RandomResizedCrop.get_params`` chooses it.

    Area uniform from `share` to 1 of the image's, width over height log-uniform in `RATIO`; where the window does not
    fit into the image, both are drawn again, ten times in all, and then the largest window in the middle is taken whose
    shape is in `RATIO`. Its place is uniform. All tries are drawn for all images, so that what follows in the generator
    does not depend on who needed them.

    Args:
        share: Smallest share of the area, above 0 and at most 1.
        generator: On the CPU.
        shape: Any; each element stands for one image.
        size: Height and width of the images in pixels.

    Returns:
        ``top``, ``left``, ``height``, ``width``: int64 of that shape, on the CPU, in pixels.
    """
    shape, (rows, columns) = tuple(shape), size
    height, width = (torch.full(shape, length) for length in central_size(rows, columns))
    waiting = torch.ones(shape, dtype=torch.bool)
    low, high = (math.log(ratio) for ratio in RATIO)
    for _ in range(TRIES):
        area = torch.empty(shape).uniform_(share, 1.0, generator=generator).double() * (rows * columns)
        ratio = torch.empty(shape).uniform_(low, high, generator=generator).double().exp()
        tall, wide = (area / ratio).sqrt().round().long(), (area * ratio).sqrt().round().long()
        fits = waiting & (tall > 0) & (tall <= rows) & (wide > 0) & (wide <= columns)
        height, width = torch.where(fits, tall, height), torch.where(fits, wide, width)
        waiting &= ~fits
    top, left = (
        torch.where(waiting, room // 2, (torch.rand(shape, generator=generator) * (room + 1)).long().minimum(room))
        for room in (rows - height, columns - width)
    )
    return {"top": top, "left": left, "height": height, "width": width}


def central_size(rows: int, columns: int) -> tuple[int, int]:
    """Height and width of the window that is taken where no try fitted."""
    if columns / rows < RATIO[0]:
        return round(columns / RATIO[0]), columns
    if columns / rows > RATIO[1]:
        return rows, round(rows * RATIO[1])
    return rows, columns


# --- the table -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Table:
    """How windows of every length are brought to one length, on one device.

    Attributes:
        first: int64 [N + 1, N], by the window's length: the first input pixel of each output pixel, from the window's
            start on.
        second: The same for the input pixel after it (at the window's end the same pixel again, with weight 0).
        weights: int32 [2, N + 1, N], theirs, in units of 2^-22.
    """

    first: Tensor
    second: Tensor
    weights: Tensor


@lru_cache(maxsize=16)
def table(length: int, device: torch.device) -> Table:
    """The table for images of this side; made once, so that later calls (inside a CUDA graph) only look it up.

    Pillow's ``precompute_coeffs`` and ``normalize_coeffs_8bpc`` in float64, for a scale of at most 1.
    """
    window = torch.arange(length + 1, dtype=torch.float64)[:, None]
    centre = (torch.arange(length, dtype=torch.float64) + 0.5) * (window / length)
    lowest = (centre - 1.0 + 0.5).trunc().clamp(min=0)
    highest = torch.minimum((centre + 1.0 + 0.5).trunc(), window)
    place = lowest[..., None] + torch.arange(3)  # whole numbers up to 1 around a centre: three at most, two with weight
    weight = (1.0 - (place - centre[..., None] + 0.5).abs()).clamp(min=0) * (place < highest[..., None])
    weight /= weight.sum(-1, keepdim=True).where(window[..., None] > 0, 1.0)
    fixed = (weight * 2.0**WEIGHT_BITS + 0.5).int()
    skipped = (fixed[..., 0] == 0).long()
    first = lowest.long() + skipped
    weights = fixed.gather(-1, torch.stack([skipped, skipped + 1], -1)).permute(2, 0, 1)
    second = torch.minimum(first + 1, (window.long() - 1).clamp(min=0))
    return Table(first.to(device), second.to(device), weights.contiguous().to(device))


# --- images, uint8 [B, H, W, C] --------------------------------------------------------------------------------------


def resized_crop(images: Tensor, top: Tensor, left: Tensor, height: Tensor, width: Tensor) -> Tensor:
    """Cut a window out of each image and enlarge it to the image's size, without waiting for the device.

    Args:
        images: uint8 [B, H, W, C].
        top: int64 [B], first row of the window.
        left: int64 [B], its first column.
        height: int64 [B], its rows, 1 to H - top.
        width: int64 [B], its columns, 1 to W - left.

    Returns:
        uint8 [B, H, W, C].
    """
    # Both directions as whole rows of planes, because copying pixel by pixel takes ten times as long on a CPU.
    columns = _enlarged(images.permute(0, 3, 2, 1).contiguous(), left, width)
    rows = _enlarged(columns.transpose(2, 3).contiguous(), top, height)
    return torch.stack(rows.unbind(1), -1)


def _enlarged(planes: Tensor, start: Tensor, length: Tensor) -> Tensor:
    """The rows [start, start + length) of uint8 [B, C, N, M], enlarged to N rows."""
    count, channels, rows, columns = planes.shape
    known = table(rows, planes.device)
    origin = (torch.arange(count * channels, device=planes.device) * rows).view(count, channels, 1)

    def lines(place: Tensor) -> Tensor:
        wanted = origin + (start[:, None] + place[length])[:, None]
        return planes.view(-1, columns).index_select(0, wanted.view(-1)).view(planes.shape).int()

    one, other = (weight[length][:, None, :, None] for weight in known.weights.unbind(0))
    total = lines(known.first).mul_(one).addcmul_(lines(known.second), other).add_(1 << (WEIGHT_BITS - 1))
    return total.bitwise_right_shift_(WEIGHT_BITS).to(torch.uint8)

"""Gaussian blur of whole batches of uint8 images, as Pillow's ``ImageFilter.GaussianBlur`` approximates it.

Three box filters along the rows and three along the columns, the boxes of a width that need not be whole (Gwosdek et
al. 2011), in 24-bit fixed point and rounded to whole levels each time; the outermost pixels are repeated beyond the
border (``_gaussian_blur_radius`` and ``ImagingLineBoxBlur8`` in Pillow's BoxBlur.c). Every pixel equals Pillow's. The
codes of contrastive learning (MoCo v2's loader and those that took it over) blur half of the views with a standard
deviation uniform from 0.1 to 2 pixels, whatever the size of the image.

torchvision's ``GaussianBlur`` is another one: a true Gaussian cut off at its kernel size, with reflected borders.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

DRAWS = ("blur_own", "blur_next", "blur_far")
SIGMA = (0.1, 2.0)
PASSES = 3
ONE = 1 << 24
"""The weight 1 in fixed point."""


def draw(chance: float, generator: torch.Generator, shape: Sequence[int]) -> dict[str, Tensor]:
    """The weights of each image's box.

    Args:
        chance: How likely an image is blurred.
        generator: On the CPU.
        shape: Any; each element stands for one image.

    Returns:
        ``blur_own``, ``blur_next``, ``blur_far``: int64 of that shape, on the CPU: weights of a pixel itself, of each
        neighbour and of each pixel next to those, in units of 2^-24. An image that is not blurred has 2^24, 0, 0.
    """
    shape = tuple(shape)
    blurred = torch.rand(shape, generator=generator) < chance
    sigma = torch.empty(shape).uniform_(*SIGMA, generator=generator)
    unblurred = (ONE, 0, 0)
    return {
        name: torch.where(blurred, weight, left)
        for name, weight, left in zip(DRAWS, weights(sigma), unblurred, strict=True)
    }


def weights(sigma: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The weights of a box for standard deviations of at most 2 pixels, int64 of their shape: own, next and far.

    Pillow's own arithmetic: single precision but for one square root.
    """
    s = sigma.numpy().astype(np.float32)
    square = s * s / np.float32(PASSES)
    length = np.sqrt(12.0 * square.astype(np.float64) + 1.0).astype(np.float32)
    whole = np.floor((length.astype(np.float64) - 1.0) / 2.0).astype(np.float32)
    part = (2 * whole + 1) * (whole * (whole + 1) - 3 * square)
    part = part / (6 * (square - (whole + 1) * (whole + 1)))
    radius = whole + part
    inner = (np.float32(ONE) / (radius * 2 + 1)).astype(np.int64)
    reach = radius.astype(np.int64)
    outer = (ONE - (2 * reach + 1) * inner) // 2
    return (
        torch.from_numpy(inner),
        torch.from_numpy(np.where(reach == 0, outer, inner)),
        torch.from_numpy(np.where(reach == 0, 0, outer)),
    )


def blur(images: Tensor, own: Tensor, near: Tensor, far: Tensor) -> Tensor:
    """Blur each image, without waiting for the device.

    Args:
        images: uint8 [B, H, W, C].
        own: int64 [B], weight of a pixel itself, see `draw`.
        near: int64 [B], of each neighbour.
        far: int64 [B], of each pixel next to those.

    Returns:
        uint8 [B, H, W, C].
    """
    parts = [weight.double()[:, None, None, None] for weight in (own, near, far)]
    planes = images.permute(0, 3, 1, 2).double()  # no sum reaches 2^53, so every step is exact
    for _ in range(2):  # along the rows, then along the columns
        planes = _boxes(planes, *parts).transpose(2, 3)
    return torch.stack(planes.to(torch.uint8).unbind(1), -1)


def _boxes(planes: Tensor, own: Tensor, near: Tensor, far: Tensor) -> Tensor:
    """The box filters along the last axis."""
    wide = F.pad(planes, (2, 2, 0, 0), mode="replicate")
    width = planes.shape[3]
    left, before, middle, after, right = (wide[..., place : place + width] for place in range(5))
    total, pair = torch.empty_like(wide[..., :width]), torch.empty_like(wide[..., :width])
    for _ in range(PASSES):
        torch.mul(middle, own, out=total)
        total.addcmul_(torch.add(before, after, out=pair), near)
        total.addcmul_(torch.add(left, right, out=pair), far)
        torch.floor(total.add_(ONE // 2).mul_(1 / ONE), out=middle)
        for edge, inner in ((wide[..., :2], wide[..., 2:3]), (wide[..., -2:], wide[..., -3:-2])):
            edge.copy_(inner.expand_as(edge))
    return middle

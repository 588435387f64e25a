"""Brightness, contrast and saturation of whole batches of uint8 images, as Pillow's ``ImageEnhance`` changes them.

Each is a blend of the image with a duller one (black; its mean grey everywhere; its grey version), in float32 and cut
off to whole levels. `jitter` does all three in an order of each image's own, as torchvision's ``ColorJitter``; the
policies of `ltlib.batches.policies` use the same blends. The results equal Pillow's in every pixel; where a compiler
fuses multiplication and addition (some processors' builds of Pillow), rare pixels may differ by one level.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

DRAWS = ("brightness", "contrast", "saturation", "colour_order")
BRIGHTNESS, CONTRAST, SATURATION = range(3)


def blend(other: Tensor, values: Tensor, factor: Tensor, out: Tensor | None = None) -> Tensor:
    """other + factor (values - other), clipped to 0..255 and cut off as Pillow's blend does.

    Args:
        other: Whole levels as float32, broadcasts with `values`.
        values: Whole levels as float32.
        factor: float32, broadcasts with `values`; 1 leaves them as they are.
        out: Room for the result; may be `values`. New memory costs a CPU more than the arithmetic.

    Returns:
        Whole levels as float32.
    """
    return torch.sub(values, other, out=out).mul_(factor).add_(other).clamp_(0, 255).floor_()


def grey(red: Tensor, green: Tensor, blue: Tensor) -> Tensor:
    """Pillow's conversion to grey, ITU-R 601 in 16-bit fixed point: whole levels as float32.

    float32 holds every step of it exactly: no sum reaches 2^24.
    """
    return (red * 19595.0).add_(green * 38470.0).add_(blue * 7471.0).add_(0x8000).mul_(2.0**-16).floor_()


def rounded_mean(levels: Tensor) -> Tensor:
    """Mean of each image's grey, halves rounded up: whole levels [B, H, W] to float32 [B].

    Sums of a row are exact in float32 (up to 65,793 pixels), sums of rows in float64.
    """
    total = levels.sum(2).sum(1, dtype=torch.float64).long()
    area = levels.shape[1] * levels.shape[2]
    return ((2 * total + area) // (2 * area)).float()


# --- colour jitter ---------------------------------------------------------------------------------------------------


def draw(strength: float, generator: torch.Generator, shape: Sequence[int]) -> dict[str, Tensor]:
    """Factors and an order for each image.

    Args:
        strength: S of ``ColorJitter(S, S, S)``, above 0.
        generator: On the CPU.
        shape: Any; each element stands for one image.

    Returns:
        On the CPU, of that shape: ``brightness``, ``contrast``, ``saturation`` float32, uniform in
        [max(0, 1 - S), 1 + S); ``colour_order`` int64, uniform in 0..5, the number of a permutation of these three in
        lexicographic order.
    """
    shape, low, high = tuple(shape), max(0.0, 1.0 - strength), 1.0 + strength
    factors = {name: torch.empty(shape).uniform_(low, high, generator=generator) for name in DRAWS[:3]}
    return factors | {DRAWS[3]: torch.randint(6, shape, generator=generator)}


def jitter(images: Tensor, brightness: Tensor, contrast: Tensor, saturation: Tensor, order: Tensor) -> Tensor:
    """Change brightness, contrast and saturation of each image, without waiting for the device.

    Args:
        images: uint8 [B, H, W, C], C 3 (or 1, whose saturation stays).
        brightness: float32 [B], factor; 1 changes nothing.
        contrast: The same.
        saturation: The same.
        order: int64 [B], 0..5: which permutation of the three, in lexicographic order.

    Returns:
        uint8 [B, H, W, C].
    """
    factors = torch.stack([brightness, contrast, saturation], 1)
    first, later = order // 2, order % 2
    second = later + (later >= first)
    # In planes: a broadcast over three neighbouring channels costs several times as much on a CPU.
    planes = images.permute(0, 3, 1, 2).contiguous().float()
    for kind in (first, second, 3 - first - second):
        factor = factors.gather(1, kind[:, None])
        blend(duller(planes, kind)[:, None], planes, factor[:, :, None, None], out=planes)
    return torch.stack(planes.int().to(torch.uint8).unbind(1), -1)  # by way of int: a CPU does it faster


def greyed(images: Tensor, grey_ones: Tensor) -> Tensor:
    """Images uint8 [B, H, W, C], those of the mask [B] without their colours; C 3 (or 1, which have none)."""
    if images.shape[3] == 1:
        return images
    planes = images.permute(0, 3, 1, 2).float()
    levels = grey(*planes.unbind(1)).to(torch.uint8)[..., None]
    return torch.where(grey_ones[:, None, None, None], levels, images)


def duller(planes: Tensor, kind: Tensor) -> Tensor:
    """What each image is blended with: [B, H, W] from [B, C, H, W]."""
    levels = grey(*planes.unbind(1)) if planes.shape[1] == 3 else planes[:, 0]
    flat = rounded_mean(levels) * (kind == CONTRAST)
    return (levels * (kind == SATURATION)[:, None, None]).add_(flat[:, None, None])

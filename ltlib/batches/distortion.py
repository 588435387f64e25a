"""SimCLR's colour distortion of whole batches: brightness, contrast, saturation, hue, in an order of each image's own.

Chen et al. 2020, Appendix A (arXiv 2002.05709), as the codes of contrastive learning on CIFAR write it:
``RandomApply([ColorJitter(S, S, S, S / 4)], p=0.8)``, S 0.4 for images of 32 pixels. Every pixel equals torchvision's
on Pillow images: three blends (`ltlib.batches.colour`), and a hue that is turned in Pillow's 8-bit HSV.

That HSV is coarse: there and back changes most colours by a few levels even where nothing is turned, as in torchvision.
Pillow computes it partly in single and partly in double precision (``rgb2hsv_row`` and ``hsv2rgb`` in its Convert.c);
of all 2^24 colours none comes out otherwise here.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor

from ltlib.batches import colour

DRAWS = ("brightness", "contrast", "saturation", "hue", "colour_order")
CHANCE = 0.8
HUE = 3
"""Number of the fourth operation, beside the three of `colour`."""
UNTURNED = -1
"""The hue of an image that is left as it is."""


def draw(strength: float, generator: torch.Generator, shape: Sequence[int]) -> dict[str, Tensor]:
    """Factors, a turn of the hue and an order for each image; one image in five is left as it is.

    Args:
        strength: S of ``ColorJitter(S, S, S, S / 4)``, above 0.
        generator: On the CPU.
        shape: Any; each element stands for one image.

    Returns:
        On the CPU, of that shape: ``brightness``, ``contrast``, ``saturation`` float32, uniform in
        [max(0, 1 - S), 1 + S); ``hue`` int64, the turn in steps of 1/255 of the circle, modulo 256, of a share uniform
        in [-S / 4, S / 4), or -1 for none; ``colour_order`` int64, uniform in 0..23, the number of a permutation of
        these four in lexicographic order. An image that is left alone has factors of 1 and no turn.
    """
    shape, low, high = tuple(shape), max(0.0, 1.0 - strength), 1.0 + strength
    changed = torch.rand(shape, generator=generator) < CHANCE
    drawn = {name: torch.empty(shape).uniform_(low, high, generator=generator) for name in DRAWS[:3]}
    drawn = {name: torch.where(changed, factor, 1.0) for name, factor in drawn.items()}
    turn = torch.empty(shape).uniform_(-strength / 4, strength / 4, generator=generator)
    drawn["hue"] = torch.where(changed, (turn.double() * 255).trunc().long() % 256, UNTURNED)
    return drawn | {"colour_order": torch.randint(24, shape, generator=generator)}


def distort(
    images: Tensor, brightness: Tensor, contrast: Tensor, saturation: Tensor, hue: Tensor, order: Tensor
) -> Tensor:
    """Change the colours of each image, without waiting for the device.

    Args:
        images: uint8 [B, H, W, C], C 3 (or 1, which have neither saturation nor hue).
        brightness: float32 [B], factor; 1 changes nothing.
        contrast: The same.
        saturation: The same.
        hue: int64 [B], 0..255 as `draw` gives it, or -1.
        order: int64 [B], 0..23: which permutation of the four, in lexicographic order.

    Returns:
        uint8 [B, H, W, C].
    """
    factors = torch.stack([brightness, contrast, saturation], 1)
    blends, turns = (found[order] for found in _orders(images.device))
    planes = images.permute(0, 3, 1, 2).contiguous().float()
    # The hue is turned once for all, with room for every blend on both sides: it costs as much as four of them.
    for after in (False, True):
        for place, kind in enumerate(blends.unbind(1)):
            now = (turns <= place) == after
            factor = torch.where(now, factors.gather(1, kind[:, None])[:, 0], 1.0)
            colour.blend(colour.duller(planes, kind)[:, None], planes, factor[:, None, None, None], out=planes)
        if not after and planes.shape[1] == 3:
            planes = torch.where((hue != UNTURNED)[:, None, None, None], turned(planes, hue), planes)
    return torch.stack(planes.int().to(torch.uint8).unbind(1), -1)


@lru_cache(maxsize=16)
def _orders(device: torch.device) -> tuple[Tensor, Tensor]:
    """Of each permutation of four: the three blends in order, int64 [24, 3], and how many of them precede the hue,
    [24].

    Made once, so that later calls (inside a CUDA graph) only look them up.
    """
    orders = list(itertools.permutations(range(4)))
    blends = [[kind for kind in order if kind != HUE] for order in orders]
    return torch.tensor(blends, device=device), torch.tensor([order.index(HUE) for order in orders], device=device)


def turned(planes: Tensor, turn: Tensor) -> Tensor:
    """Colours with another hue, by way of Pillow's HSV.

    Args:
        planes: Whole levels as float32, [B, 3, H, W].
        turn: int64 [B], steps of 1/255 of the circle.

    Returns:
        The same form.
    """
    red, green, blue = planes.unbind(1)
    value = torch.maximum(red, torch.maximum(green, blue))
    spread = value - torch.minimum(red, torch.minimum(green, blue))
    saturation = (spread / value.clamp(min=1)).mul_(255).floor_()
    hue = (_hue(red, green, blue, value, spread) + turn[:, None, None]).remainder_(256)
    return _rgb(hue, saturation, value)


def _hue(red: Tensor, green: Tensor, blue: Tensor, value: Tensor, spread: Tensor) -> Tensor:
    """Pillow's hue, 0..255, as float32; its rounding at every step is kept, because it decides at whole levels."""
    is_red, is_green = red == value, green == value
    plus = value - torch.where(is_red, blue, torch.where(is_green, red, green))
    minus = value - torch.where(is_red, green, torch.where(is_green, blue, red))
    sector = torch.where(is_red, 0.0, torch.where(is_green, 2.0, 4.0))
    divisor = spread.clamp(min=1)
    place = (sector.double() + plus.div_(divisor)).sub_(minus.div_(divisor)).float()
    share = place.double().div_(6).add_(1)
    share = share.sub_((share >= 1).double()).float()
    return share.mul_(255).floor_().mul_(spread > 0)


def _rgb(hue: Tensor, saturation: Tensor, value: Tensor) -> Tensor:
    """From HSV in whole levels, [B, H, W] each, to planes [B, 3, H, W]: exact products, rounded once."""
    planes = []
    for start in (5, 3, 1):
        place = (hue * 6).add_(255 * start).remainder_(1530)
        part = torch.minimum(place, 1020 - place).clamp_(0, 255)
        darker = (65025 - part.mul_(saturation)).mul_(value)  # at most 255^3, which float32 holds
        planes.append(darker.double().mul_(1 / 65025).add_(0.5).floor_().float())
    return torch.stack(planes, 1)

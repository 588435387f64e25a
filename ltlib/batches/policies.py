"""AutoAugment and RandAugment for whole batches: every image its own operations, none of them waited for.

Cubuk et al. 2019, "AutoAugment" (arXiv 1805.09501), the policy found on CIFAR-10; Cubuk et al. 2020, "RandAugment"
(arXiv 1909.13719). Both apply two operations one after the other. An operation with its strength is one row of a
table; what is drawn for an image is two row numbers, so the draws need no image and say everything.

One operation is done in three steps that are the identity where they are not wanted, so all images go the same way:

1. geometry (shear, translate, rotate): an affine map in Pillow's 16.16 fixed-point integers, nearest pixel, black
   outside;
2. Color and Sharpness: a blend of the image with its grey or its smoothed version (`ltlib.batches.colour`);
3. all others: a table of 256 levels per image and channel. For Contrast, AutoContrast and Equalize it is made from the
   image's own histogram.

The result equals torchvision's operations on Pillow images pixel for pixel. Where a compiler fuses multiplication and
addition (some processors' builds of Pillow), step 2 and Contrast may differ there by one level in rare pixels.

Differences from the policies' own code: the strengths are torchvision's, 10 steps for AutoAugment and 31 for
RandAugment; the fill is black (torchvision's default; the AutoAugment of most long-tail codebases fills with grey 128).
The `SubPolicy` of those codebases (SHIKE, ConCutMix) also shears with bicubic interpolation, turns one way only, moves
by fractions of a pixel and solarizes from 256 on; here as in torchvision.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from ltlib.batches import colour, pixels
from ltlib.errors import SettingError

OPERATIONS = (
    *("ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate", "Brightness", "Color", "Contrast", "Sharpness"),
    *("Posterize", "Solarize", "AutoContrast", "Equalize", "Invert", "Identity"),
)
"""Names as in torchvision; the first nine have a sign."""
SIGNED = 9
STEPS = (10, 31)
"""Strengths of AutoAugment and of RandAugment."""
DRAWS = ("operation1", "operation2")

CIFAR10 = (
    (("Invert", 0.1, 0), ("Contrast", 0.2, 6)),
    (("Rotate", 0.7, 2), ("TranslateX", 0.3, 9)),
    (("Sharpness", 0.8, 1), ("Sharpness", 0.9, 3)),
    (("ShearY", 0.5, 8), ("TranslateY", 0.7, 9)),
    (("AutoContrast", 0.5, 0), ("Equalize", 0.9, 0)),
    (("ShearY", 0.2, 7), ("Posterize", 0.3, 7)),
    (("Color", 0.4, 3), ("Brightness", 0.6, 7)),
    (("Sharpness", 0.3, 9), ("Brightness", 0.7, 9)),
    (("Equalize", 0.6, 0), ("Equalize", 0.5, 0)),
    (("Contrast", 0.6, 7), ("Sharpness", 0.6, 5)),
    (("Color", 0.7, 7), ("TranslateX", 0.5, 8)),
    (("Equalize", 0.3, 0), ("AutoContrast", 0.4, 0)),
    (("TranslateY", 0.4, 3), ("Sharpness", 0.2, 6)),
    (("Brightness", 0.9, 6), ("Color", 0.2, 8)),
    (("Solarize", 0.5, 2), ("Invert", 0.0, 0)),
    (("Equalize", 0.2, 0), ("AutoContrast", 0.6, 0)),
    (("Equalize", 0.2, 0), ("Equalize", 0.6, 0)),
    (("Color", 0.9, 9), ("Equalize", 0.6, 0)),
    (("AutoContrast", 0.8, 0), ("Solarize", 0.2, 8)),
    (("Brightness", 0.1, 3), ("Color", 0.7, 0)),
    (("Solarize", 0.4, 5), ("AutoContrast", 0.9, 0)),
    (("TranslateY", 0.9, 9), ("TranslateY", 0.7, 9)),
    (("AutoContrast", 0.9, 0), ("Solarize", 0.8, 3)),
    (("Equalize", 0.8, 0), ("Invert", 0.1, 0)),
    (("TranslateY", 0.7, 9), ("AutoContrast", 0.9, 0)),
)
"""AutoAugment's policy of CIFAR-10: 25 pairs of (operation, probability, strength), strength from 0 to 9."""


def row(operation: str, strength: int = 0, positive: bool = True, steps: int = 10) -> int:
    """Number of an operation's row in the table.

    Args:
        operation: One of `OPERATIONS`.
        strength: 0 to steps - 1; without effect for the operations that have none.
        positive: Sign of the strength, for the operations that have one.
        steps: 10 for AutoAugment's strengths, 31 for RandAugment's.
    """
    before = 0 if steps == STEPS[0] else len(OPERATIONS) * STEPS[0]
    return (before + OPERATIONS.index(operation) * steps + strength) * 2 + positive


IDENTITY = row("Identity")


# --- draws -----------------------------------------------------------------------------------------------------------


def draw(policy: str, generator: torch.Generator, shape: Sequence[int]) -> dict[str, Tensor]:
    """Two operations for each image.

    Args:
        policy: ``autoaugment``, or ``randaugmentM`` with a strength M from 0 to 30.
        generator: On the CPU.
        shape: Any; each element stands for one image.

    Returns:
        ``operation1`` and ``operation2``: int64 row numbers of that shape, on the CPU.

    Raises:
        SettingError: Another policy, or a strength outside its range.
    """
    shape = tuple(shape)
    if policy == "autoaugment":
        pair = torch.randint(len(CIFAR10), shape, generator=generator)
        chances = [torch.rand(shape, generator=generator) for _ in DRAWS]
        positive = [torch.randint(2, shape, generator=generator) for _ in DRAWS]
        drawn = {}
        for slot, name in enumerate(DRAWS):
            rows = torch.tensor([row(p[slot][0], p[slot][2], False) for p in CIFAR10])[pair] + positive[slot]
            wanted = chances[slot] <= torch.tensor([p[slot][1] for p in CIFAR10])[pair]
            drawn[name] = torch.where(wanted, rows, IDENTITY)
        return drawn
    strength = randaugment_strength(policy)
    names = [name for name in OPERATIONS if name != "Invert"]
    rows = torch.tensor([row(name, strength, False, STEPS[1]) for name in names])
    drawn = {}
    for name in DRAWS:
        operation = torch.randint(len(names), shape, generator=generator)
        drawn[name] = rows[operation] + torch.randint(2, shape, generator=generator)
    return drawn


def randaugment_strength(policy: str) -> int:
    """M of ``randaugmentM``.

    Raises:
        SettingError: It is not of this form, or M is not from 0 to 30.
    """
    number = policy.removeprefix("randaugment")
    if not policy.startswith("randaugment") or not number.isdigit() or int(number) >= STEPS[1]:
        raise SettingError(f"{policy!r} is no policy; write autoaugment, or randaugment9 with a strength from 0 to 30")
    return int(number)


# --- the table -------------------------------------------------------------------------------------------------------

_TABLE, _CONTRAST, _AUTOCONTRAST, _EQUALIZE, _COLOR, _SHARPNESS = range(6)
_KINDS = {
    "Contrast": _CONTRAST,
    "AutoContrast": _AUTOCONTRAST,
    "Equalize": _EQUALIZE,
    "Color": _COLOR,
    "Sharpness": _SHARPNESS,
}


@dataclass(frozen=True)
class Table:
    """Every operation at every strength, for one image size on one device.

    Attributes:
        matrix: int32 [R, 6], Pillow's fixed-point affine map from output to input pixels.
        levels: uint8 [R, 256], new value of each value.
        kind: int64 [R], what else is to be done.
        factor: float32 [R], of a blend; 1 leaves the image as it is.
    """

    matrix: Tensor
    levels: Tensor
    kind: Tensor
    factor: Tensor


@lru_cache(maxsize=16)
def table(height: int, width: int, device: torch.device) -> Table:
    """The table for images of this size; made once, so that later calls (inside a CUDA graph) only look it up."""
    matrix, levels, kind, factor = [], [], [], []
    for steps in STEPS:
        strengths = _strengths(steps, height, width)
        for name in OPERATIONS:
            for strength in range(steps):
                for sign in (-1.0, 1.0):
                    value = strengths[name][strength] * (sign if name in OPERATIONS[:SIGNED] else 1.0)
                    matrix.append(_fixed(_affine(name, value, height, width)))
                    levels.append(_levels(name, value))
                    kind.append(_KINDS.get(name, _TABLE))
                    factor.append(1.0 + value if name in ("Color", "Contrast", "Sharpness") else 1.0)
    return Table(
        torch.tensor(matrix, dtype=torch.int32).to(device),
        torch.stack(levels).to(device),
        torch.tensor(kind).to(device),
        torch.tensor(factor, dtype=torch.float32).to(device),
    )


def _strengths(steps: int, height: int, width: int) -> dict[str, list[float]]:
    """Strength of each operation at each step, without sign: torchvision's augmentation spaces."""
    ranges = {
        "ShearX": 0.3,
        "ShearY": 0.3,
        "TranslateX": 150.0 / 331.0 * width,
        "TranslateY": 150.0 / 331.0 * height,
        "Rotate": 30.0,
        "Brightness": 0.9,
        "Color": 0.9,
        "Contrast": 0.9,
        "Sharpness": 0.9,
    }
    strengths = {name: torch.linspace(0.0, end, steps).tolist() for name, end in ranges.items()}
    strengths["Solarize"] = torch.linspace(255.0, 0.0, steps).tolist()
    strengths["Posterize"] = (8 - (torch.arange(steps) / ((steps - 1) / 4)).round()).tolist()
    return strengths | {name: [0.0] * steps for name in OPERATIONS if name not in strengths}


def _affine(name: str, value: float, height: int, width: int) -> tuple[float, ...]:
    """Coefficients a..f of Pillow's map: input x = a x + b y + c, y = d x + e y + f, in float64."""
    if name == "ShearX":
        return (1.0, math.tan(math.radians(math.degrees(math.atan(value)))), 0.0, 0.0, 1.0, 0.0)
    if name == "ShearY":
        return (1.0, 0.0, 0.0, math.tan(math.radians(math.degrees(math.atan(value)))), 1.0, 0.0)
    if name == "TranslateX":
        return (1.0, 0.0, float(-int(value)), 0.0, 1.0, 0.0)
    if name == "TranslateY":
        return (1.0, 0.0, 0.0, 0.0, 1.0, float(-int(value)))
    if name == "Rotate":
        radians = -math.radians(value % 360.0)
        cos, sin = round(math.cos(radians), 15), round(math.sin(radians), 15)
        x, y = width / 2, height / 2
        return (cos, sin, (cos * -x + sin * -y) + x, -sin, cos, (-sin * -x + cos * -y) + y)
    return (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def _fixed(coefficients: tuple[float, ...]) -> list[int]:
    """Coefficients as 16.16 fixed-point integers, the centre of the first pixel taken in."""
    a, b, c, d, e, f = coefficients
    return [
        math.floor(v * 2.0**pixels.FRACTION_BITS + 0.5)
        for v in (a, b, c + a * 0.5 + b * 0.5, d, e, f + d * 0.5 + e * 0.5)
    ]


def _levels(name: str, value: float) -> Tensor:
    """uint8 [256], the new value of each value, for the operations that do not look at the image."""
    v = torch.arange(256)
    if name == "Brightness":
        return colour.blend(torch.zeros(256), v.float(), torch.tensor(1.0 + value)).to(torch.uint8)
    if name == "Posterize":
        return (v & ~(2 ** (8 - int(value)) - 1)).to(torch.uint8)
    if name == "Solarize":
        return torch.where(v.double() < value, v, 255 - v).to(torch.uint8)
    return (255 - v if name == "Invert" else v).to(torch.uint8)


# --- images, uint8 [B, H, W, C] --------------------------------------------------------------------------------------


def apply(images: Tensor, operation: Tensor) -> Tensor:
    """One operation on each image, without waiting for the device.

    Args:
        images: uint8 [B, H, W, C], C 3 (or 1).
        operation: int64 [B], numbers of rows, see `row`.

    Returns:
        uint8 [B, H, W, C].
    """
    rows = table(images.shape[1], images.shape[2], images.device)
    images = pixels.affine(images, rows.matrix[operation])
    kind, factor = rows.kind[operation], rows.factor[operation]
    grey = colour.grey(*images.float().unbind(-1)) if images.shape[-1] == 3 else images[..., 0].float()
    images = _blended(images, grey, kind, factor)
    levels = _own_levels(images, grey, kind, factor, rows.levels[operation])
    count, _, _, channels = images.shape
    first = torch.arange(count * channels, device=images.device).view(count, 1, 1, channels) * 256
    return levels.view(-1).index_select(0, (first + images).view(-1)).view(images.shape)


def _blended(images: Tensor, grey: Tensor, kind: Tensor, factor: Tensor) -> Tensor:
    """Color and Sharpness: a blend with the grey (`grey` is [B, H, W]) or the smoothed version."""
    kind = kind[:, None, None, None]
    values = images.float()
    smooth = torch.where(kind == _SHARPNESS, _smooth(images.int()).float(), values)
    other = torch.where(kind == _COLOR, grey[..., None], smooth)
    return colour.blend(other, values, factor[:, None, None, None]).to(torch.uint8)


def _smooth(values: Tensor) -> Tensor:
    """Pillow's SMOOTH filter, 3x3 with weight 5 of 13 in the middle, rounded; the outermost pixels stay."""
    if values.shape[1] < 3 or values.shape[2] < 3:
        return values
    rows = values[:, :-2] + values[:, 1:-1] + values[:, 2:]
    total = rows[:, :, :-2] + rows[:, :, 1:-1] + rows[:, :, 2:] + 4 * values[:, 1:-1, 1:-1]
    smooth = values.clone()
    smooth[:, 1:-1, 1:-1] = (2 * total + 13) // 26
    return smooth


def _own_levels(images: Tensor, grey: Tensor, kind: Tensor, factor: Tensor, levels: Tensor) -> Tensor:
    """The table of each image and channel, uint8 [B, C, 256]: given, or made from the image's histogram."""
    count, height, width, channels = images.shape
    v = torch.arange(256, device=images.device)
    histogram = torch.zeros(count * channels * 256, dtype=torch.int64, device=images.device)
    place = torch.arange(count * channels, device=images.device).view(count, 1, 1, channels) * 256 + images
    histogram.scatter_add_(0, place.view(-1), torch.ones_like(place).view(-1))
    histogram = histogram.view(count, channels, 256)
    present = histogram > 0
    low = torch.where(present, v, 256).amin(-1, keepdim=True)
    high = torch.where(present, v, -1).amax(-1, keepdim=True)

    reach = (high - low).clamp(min=1).double()
    scale = torch.full_like(reach, 255.0) / reach  # a number over a tensor would multiply by its reciprocal
    stretched = (v * scale + -low.double() * scale).clamp(0, 255).long()
    stretched = torch.where(high > low, stretched, v)

    last = histogram.gather(-1, high)
    step = (height * width - last) // 255
    before = histogram.cumsum(-1) - histogram
    equal = ((step // 2 + before) // step.clamp(min=1)).clamp(max=255)
    equal = torch.where(step > 0, equal, v)

    contrast = colour.blend(colour.rounded_mean(grey)[:, None], v.float(), factor[:, None])
    contrast = contrast.to(torch.uint8)[:, None]

    kind = kind[:, None, None]
    chosen = torch.where(kind == _CONTRAST, contrast, levels[:, None])
    chosen = torch.where(kind == _AUTOCONTRAST, stretched.to(torch.uint8), chosen)
    return torch.where(kind == _EQUALIZE, equal.to(torch.uint8), chosen).contiguous()

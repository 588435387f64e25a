"""Random augmentation of whole batches: every draw made beforehand, every image handled alone.

An augmentation is a text, its parts joined by ``+`` and applied in this order, as torchvision's ``Compose`` would:

================  ===========================================================================================
``cropN``         zero padding of N pixels on each side, then a window of the old size: offsets uniform in 0..2N
``shiftN``        the same thing under the name that suits small scans, ``shift1``
``flip``          left-right, probability 1/2
``vflip``         top-bottom, probability 1/2
``rotateD``       about the image's centre, angle uniform in [-D, D] degrees, nearest pixel, zeros outside
``autoaugment``   two operations of AutoAugment's CIFAR-10 policy (`ltlib.batches.policies`)
``randaugmentM``  two random operations of strength M of 30; ``randaugment`` is torchvision's ``randaugment9``
``cutoutN``       a black square of N pixels, centre uniform over the image, cut at its border; N even
``none``          nothing
================  ===========================================================================================

CutOut (DeVries and Taylor 2017, arXiv 1708.04552; ``awabs`` section 2.3.2: "a fixed-size patch is randomly selected and
set to zero") is applied to every image, before normalising, as in the AutoAugment pipelines of long-tail codebases. The
original code cuts after normalising, so its square has the mean colour; that form is ``cutout`` in `ltlib.mixing`.

The random numbers come from a CPU generator for as many images as wanted, so they are the same on every device and in
any packing of the batches. The pixel operations themselves are in `ltlib.batches.pixels` and `ltlib.batches.policies`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ltlib.batches import policies
from ltlib.batches.normalising import NORMALISATIONS, Normaliser, check_normalisation, normalise
from ltlib.batches.pixels import crop, cutout, horizontal_flip, pad, rotate, vertical_flip, windows
from ltlib.errors import SettingError, UnknownName

__all__ = ["NORMALISATIONS", "Augmentation", "Normaliser", "create", "crop", "cutout", "horizontal_flip", "normalise"]
__all__ += ["pad", "rotate", "transform", "vertical_flip", "windows"]

_PART = re.compile(r"([a-z]+?)(\d+(?:\.\d+)?)?")
_EXAMPLES = ("crop4", "shift1", "flip", "vflip", "rotate10", "autoaugment", "randaugment9", "cutout16", "none")


@dataclass(frozen=True)
class _Part:
    """A part of a text: its place in the order, the field it sets, an example of its number (none: it takes none)."""

    place: int
    field: str
    example: int | None = None


_PARTS = {
    "crop": _Part(0, "padding", 4),
    "shift": _Part(0, "padding", 4),
    "flip": _Part(1, "flip"),
    "vflip": _Part(1, "vflip"),
    "rotate": _Part(2, "degrees", 10),
    "autoaugment": _Part(3, "policy"),
    "randaugment": _Part(3, "policy", 9),
    "cutout": _Part(4, "hole", 16),
}


@dataclass(frozen=True)
class Augmentation:
    """What happens to a training image.

    Attributes:
        text: The form it was made from, without spaces.
        padding: Pixels of zero padding on each side before a window of the old size is cut; 0: no crop.
        flip: Whether images are mirrored left-right half of the time.
        vflip: Whether images are mirrored top-bottom half of the time.
        degrees: Largest angle of the rotation; 0: none.
        policy: ``autoaugment``, ``randaugmentM``, or empty.
        hole: Side of CutOut's square in pixels; 0: none.
    """

    text: str = "none"
    padding: int = 0
    flip: bool = False
    vflip: bool = False
    degrees: float = 0.0
    policy: str = ""
    hole: int = 0

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the draws, in the order in which they are drawn."""
        crop = ("dy", "dx") if self.padding else ()
        return (
            *crop,
            *(name for name in ("flip", "vflip") if getattr(self, name)),
            *(["angle"] if self.degrees else []),
            *(policies.DRAWS if self.policy else ()),
            *(("hole_y", "hole_x", "hole_side") if self.hole else ()),
        )

    def draw(self, generator: torch.Generator, shape: Sequence[int]) -> dict[str, Tensor]:
        """Draw the random numbers for an array of images, for example a whole epoch at once.

        A part added at the end of the text leaves the draws of those before it as they were.

        Args:
            generator: On the CPU.
            shape: Any shape; each element stands for one image.

        Returns:
            CPU tensors of that shape: ``dy``, ``dx`` int64, uniform in 0..2 * padding; ``flip``, ``vflip`` bool, true
            with probability 1/2; ``angle`` float32 degrees counter-clockwise, uniform in [-degrees, degrees);
            ``operation1``, ``operation2`` int64, rows of `ltlib.batches.policies`; ``hole_y``, ``hole_x`` float32 in
            [0, 1), the square's centre as a share of the image's sides, and ``hole_side`` int64, the same for all.

        Raises:
            SettingError: The generator is not on the CPU.
        """
        if generator.device.type != "cpu":
            raise SettingError(
                f"draws come from a CPU generator, so that devices agree, not from one on {generator.device}"
            )
        shape = tuple(shape)
        draws: dict[str, Tensor] = {}
        for name in self.names:
            if name in policies.DRAWS:
                if name not in draws:
                    draws |= policies.draw(self.policy, generator, shape)
            elif name == "hole_side":
                draws[name] = torch.full(shape, self.hole)
            elif name in ("hole_y", "hole_x"):
                draws[name] = torch.rand(shape, generator=generator)
            elif name in ("dy", "dx"):
                draws[name] = torch.randint(0, 2 * self.padding + 1, shape, generator=generator)
            elif name == "angle":
                draws[name] = torch.empty(shape).uniform_(-self.degrees, self.degrees, generator=generator)
            else:
                draws[name] = torch.rand(shape, generator=generator) < 0.5
        return draws


def create(text: str) -> Augmentation:
    """Read an augmentation's text.

    Raises:
        UnknownName: A part that does not exist.
        SettingError: A part without its number or with a bad one, given twice, or out of order.
    """
    settings: dict[str, Any] = {}
    stage = -1
    parts = [part.strip() for part in text.split("+")]
    if parts == ["none"]:
        return Augmentation()
    for part in parts:
        shape = _PART.fullmatch(part)
        name, number = shape.groups() if shape else (part, None)
        known = _PARTS.get(name)
        if known is None:
            if part == "none":
                raise SettingError(f"augmentation {text!r}: none stands alone")
            raise UnknownName("augmentation", part, _EXAMPLES)
        if name == "randaugment" and number is None:
            number = str(known.example)
        if (number is None) != (known.example is None):
            wanted = "takes no number" if number else f"needs a number, as in {name}{known.example}"
            raise SettingError(f"augmentation {text!r}: {name} {wanted}")
        if known.field in settings:
            raise SettingError(f"augmentation {text!r} has two parts that do the same as {part}; keep one")
        if known.place < stage:
            raise SettingError(
                f"augmentation {text!r}: write the crop first, then flips, the rotation, a policy, and cutout last"
            )
        stage = known.place
        settings[known.field] = _value(text, name, number)
    return Augmentation("+".join(parts), **settings)


def _value(text: str, name: str, number: str | None) -> bool | int | float | str:
    """What a part sets its field to, its number checked."""
    if name == "autoaugment":
        return name
    if number is None:
        return True
    if name == "randaugment":
        policies.randaugment_strength(name + number)
        return f"{name}{int(number)}"
    value = float(number)
    if name == "rotate":
        if not 0 < value <= 180:
            raise SettingError(f"augmentation {text!r}: the angle must be above 0 and at most 180 degrees")
        return value
    if name == "cutout":
        if value != int(value) or value < 2 or value % 2:
            raise SettingError(f"augmentation {text!r}: the square's side must be an even number of pixels, at least 2")
        return int(value)
    if value != int(value) or value < 1:
        raise SettingError(f"augmentation {text!r}: the padding must be a whole number of pixels, at least 1")
    return int(value)


# --- the same for a DataLoader ---------------------------------------------------------------------------------------


def transform(
    text: str,
    normalise: str = "mean_std",
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> Callable[[Any], Tensor]:
    """The augmentation as a torchvision pipeline for one RGB Pillow image, with draws from torch's global generator.

    Same distribution as `Augmentation.draw` and the same pixels at equal draws; other draws at an equal seed.

    Args:
        text: As for `create`.
        normalise: As for `Normaliser`.
        mean: As for `Normaliser`.
        std: As for `Normaliser`.

    Returns:
        Pillow image to float32 [3, H, W]; can be pickled for worker processes.

    Raises:
        UnknownName, SettingError: As `create` and `Normaliser`.
    """
    from torchvision import transforms

    augmentation = create(text)
    check_normalisation(normalise, mean, std, channels=3)
    steps: list[Callable[[Any], Any]] = []
    if augmentation.padding:
        steps.append(_OwnSizeCrop(augmentation.padding))
    if augmentation.flip:
        steps.append(transforms.RandomHorizontalFlip())
    if augmentation.vflip:
        steps.append(transforms.RandomVerticalFlip())
    if augmentation.degrees:
        steps.append(transforms.RandomRotation(augmentation.degrees))
    if augmentation.policy == "autoaugment":
        steps.append(transforms.AutoAugment(transforms.AutoAugmentPolicy.CIFAR10))
    elif augmentation.policy:
        steps.append(transforms.RandAugment(2, policies.randaugment_strength(augmentation.policy)))
    if augmentation.hole:
        steps.append(_Hole(augmentation.hole))
    steps.append(transforms.ToTensor())
    if normalise == "mean_std":
        steps.append(transforms.Normalize(mean, std))
    elif normalise == "unit_twice":
        steps.append(transforms.Lambda(_divide_again))
    return transforms.Compose(steps)


@dataclass(frozen=True)
class _OwnSizeCrop:
    """torchvision's `RandomCrop(size, padding)` for images of any size, each cropped to its own."""

    padding: int

    def __call__(self, image: Any) -> Any:
        from torchvision.transforms import RandomCrop, functional

        width, height = image.size
        padded = functional.pad(image, [self.padding])
        return functional.crop(padded, *RandomCrop.get_params(padded, (height, width)))


@dataclass(frozen=True)
class _Hole:
    """`cutout` on a Pillow image, its centre from torch's global generator."""

    side: int

    def __call__(self, image: Any) -> Any:
        image = image.copy()
        y, x = (int(torch.randint(length, ())) - self.side // 2 for length in (image.height, image.width))
        image.paste(0, (max(x, 0), max(y, 0), x + self.side, y + self.side))
        return image


def _divide_again(image: Tensor) -> Tensor:
    """The second division of ``unit_twice``."""
    return image / 255

"""Random augmentation of whole batches: every draw made beforehand, every image handled alone.

An augmentation is a text, its parts joined by ``+`` and applied in this order, as torchvision's ``Compose`` would:

================  ======================================================================================================
``cropN``         zero padding of N pixels on each side, then a window of the old size: offsets uniform in 0..2N
``shiftN``        the same thing under the name that suits small scans, ``shift1``
``resizedcropP``  a window of P to 100 percent of the area, width over height from 3/4 to 4/3, enlarged to the old size;
                  ``resizedcrop`` is torchvision's ``resizedcrop8`` (`ltlib.batches.resized_crop`)
``flip``          left-right, probability 1/2
``altflip``       left-right in every second epoch of an image, beginning with either (Jordan 2024, section 3.6)
``vflip``         top-bottom, probability 1/2
``jitterS``       brightness, contrast, saturation in random order, each by a factor uniform in [max(0, 1 - S), 1 + S]
                  (`ltlib.batches.colour`)
``distortS``      SimCLR's colours: with probability 0.8 the same three by S and the hue by up to S / 4 of its circle,
                  in random order (`ltlib.batches.distortion`)
``greyP``         without colour, with a probability of P percent
``blurP``         blurred, with a probability of P percent, by 0.1 to 2 pixels (`ltlib.batches.blur`)
``rotateD``       about the image's centre, angle uniform in [-D, D] degrees, nearest pixel, zeros outside
``autoaugment``   two operations of AutoAugment's CIFAR-10 policy (`ltlib.batches.policies`)
``randaugmentM``  two random operations of strength M of 30; ``randaugment`` is torchvision's ``randaugment9``
``cutoutN``       a black square of N pixels, centre uniform over the image, cut at its border; N even
``none``          nothing
``simclr``        short for ``resizedcrop20+flip+distort0.4+grey20+blur50``: what the codes of contrastive learning on
                  CIFAR do to the views they compare
================  ======================================================================================================

Crop and resized crop exclude each other. Table 1 of ``cefl`` has for photographs the resized crop, the left-right flip,
the colour jitter and the rotation, in this order and without saying how strong: ``resizedcrop+flip+jitter0.4+rotate15``
for example. Its resizing to the stored size is done once, when a set is read.

CutOut (DeVries and Taylor 2017, arXiv 1708.04552; ``awabs`` section 2.3.2: "a fixed-size patch is randomly selected and
set to zero") is applied to every image, before normalising, as in the AutoAugment pipelines of long-tail codebases. The
original code cuts after normalising, so its square has the mean colour; that form is ``cutout`` in `ltlib.mixing`.

The random numbers come from a CPU generator for as many images as wanted, so they are the same on every device and in
any packing of the batches. The pixel operations themselves are in `ltlib.batches.pixels` and the modules named above.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ltlib.batches import blur, colour, distortion, policies, resized_crop
from ltlib.batches.normalising import NORMALISATIONS, Normaliser, normalise
from ltlib.batches.pixels import crop, cutout, horizontal_flip, pad, rotate, vertical_flip, windows
from ltlib.errors import SettingError, UnknownName

__all__ = ["NORMALISATIONS", "Augmentation", "Normaliser", "create", "crop", "cutout", "horizontal_flip", "normalise"]
__all__ += ["pad", "rotate", "vertical_flip", "windows"]

_PART = re.compile(r"([a-z]+?)(\d+(?:\.\d+)?)?")
_EXAMPLES = (
    *("crop4", "shift1", "resizedcrop", "flip", "vflip", "jitter0.4", "distort0.4", "grey20", "blur50", "rotate10"),
    *("autoaugment", "randaugment9", "cutout16", "none", "simclr"),
)


@dataclass(frozen=True)
class _Part:
    """A part of a text: its place in the order, the field it sets, an example of its number (none: it takes none)."""

    place: int
    field: str
    example: float | None = None


_PARTS = {
    "crop": _Part(0, "padding", 4),
    "shift": _Part(0, "padding", 4),
    "resizedcrop": _Part(0, "share", round(100 * resized_crop.SHARE)),
    "flip": _Part(1, "flip"),
    "altflip": _Part(1, "alternating"),
    "vflip": _Part(1, "vflip"),
    "jitter": _Part(2, "jitter", 0.4),
    "distort": _Part(2, "distortion", 0.4),
    "grey": _Part(3, "grey", 20),
    "blur": _Part(4, "blur", 50),
    "rotate": _Part(5, "degrees", 10),
    "autoaugment": _Part(6, "policy"),
    "randaugment": _Part(6, "policy", 9),
    "cutout": _Part(7, "hole", 16),
}
_SHORT = {"simclr": "resizedcrop20+flip+distort0.4+grey20+blur50"}
_EXCLUSIVE = ({"flip", "alternating"}, {"jitter", "distortion"})
"""Fields of which an augmentation sets one."""
_OPTIONAL = ("resizedcrop", "randaugment")
"""Parts whose number may be left out; the example stands for it."""
_MOST_JITTER = 2
"""Factors from 0 to 3: what lies above was meant as percent."""


@dataclass(frozen=True)
class Augmentation:
    """What happens to a training image.

    Attributes:
        text: The form it was made from, without spaces.
        padding: Pixels of zero padding on each side before a window of the old size is cut; 0: no crop.
        share: Smallest area of the resized crop's window as a share of the image's; 0: no resized crop.
        flip: Whether images are mirrored left-right half of the time.
        alternating: Whether each image is mirrored left-right in every second epoch.
        vflip: Whether images are mirrored top-bottom half of the time.
        jitter: Largest change of the factors of brightness, contrast and saturation from 1; 0: none.
        distortion: The same of SimCLR's colour distortion, which also turns the hue; 0: none.
        grey: Chance that an image loses its colours.
        blur: Chance that it is blurred.
        degrees: Largest angle of the rotation; 0: none.
        policy: ``autoaugment``, ``randaugmentM``, or empty.
        hole: Side of CutOut's square in pixels; 0: none.
    """

    text: str = "none"
    padding: int = 0
    share: float = 0.0
    flip: bool = False
    alternating: bool = False
    vflip: bool = False
    jitter: float = 0.0
    distortion: float = 0.0
    grey: float = 0.0
    blur: float = 0.0
    degrees: float = 0.0
    policy: str = ""
    hole: int = 0

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the draws, in the order in which they are drawn."""
        crop = ("dy", "dx") if self.padding else ()
        return (
            *crop,
            *(resized_crop.DRAWS if self.share else ()),
            *self._mirrored,
            *(colour.DRAWS if self.jitter else ()),
            *(distortion.DRAWS if self.distortion else ()),
            *(["grey"] if self.grey else []),
            *(blur.DRAWS if self.blur else ()),
            *(["angle"] if self.degrees else []),
            *(policies.DRAWS if self.policy else ()),
            *(("hole_y", "hole_x", "hole_side") if self.hole else ()),
        )

    @property
    def _mirrored(self) -> tuple[str, ...]:
        flip = ("flip",) if self.flip or self.alternating else ()
        return (*flip, "vflip") if self.vflip else flip

    def draw(
        self, generator: torch.Generator, shape: Sequence[int], image_size: tuple[int, int] | None = None
    ) -> dict[str, Tensor]:
        """Draw the random numbers for an array of images, for example a whole epoch at once.

        A part added at the end of the text leaves the draws of those before it as they were.

        Args:
            generator: On the CPU.
            shape: Any shape; each element stands for one image.
            image_size: Height and width of the images in pixels; only the resized crop needs it.

        Returns:
            CPU tensors of that shape: ``dy``, ``dx`` int64, uniform in 0..2 * padding; ``flip``, ``vflip`` bool, true
            with probability 1/2 (for ``altflip`` `ltlib.batches.draws` puts others in place, because it knows image
            and epoch); ``angle`` float32 degrees counter-clockwise, uniform in [-degrees, degrees);
            ``hole_y``, ``hole_x`` float32 in [0, 1), the square's centre as a share of the image's sides, and
            ``hole_side`` int64, the same for all; ``grey`` bool. For the others see ``draw`` of
            `ltlib.batches.resized_crop` (``top``, ``left``, ``height``, ``width``), `ltlib.batches.colour`
            (``brightness``, ``contrast``, ``saturation``, ``colour_order``), `ltlib.batches.distortion` (these and
            ``hue``), `ltlib.batches.blur` (``blur_own``, ``blur_next``, ``blur_far``) and `ltlib.batches.policies`
            (``operation1``, ``operation2``).

        Raises:
            SettingError: The generator is not on the CPU, or a resized crop is not told the size.
        """
        if generator.device.type != "cpu":
            raise SettingError(
                f"draws come from a CPU generator, so that devices agree, not from one on {generator.device}"
            )
        shape = tuple(shape)
        draws: dict[str, Tensor] = {}
        if self.padding:
            draws |= {n: torch.randint(0, 2 * self.padding + 1, shape, generator=generator) for n in ("dy", "dx")}
        if self.share:
            if image_size is None:
                raise SettingError(f"the windows of {self.text} depend on the images' size; give draw image_size")
            draws |= resized_crop.draw(self.share, generator, shape, image_size)
        for name in self._mirrored:
            draws[name] = torch.rand(shape, generator=generator) < 0.5
        if self.jitter:
            draws |= colour.draw(self.jitter, generator, shape)
        if self.distortion:
            draws |= distortion.draw(self.distortion, generator, shape)
        if self.grey:
            draws["grey"] = torch.rand(shape, generator=generator) < self.grey
        if self.blur:
            draws |= blur.draw(self.blur, generator, shape)
        if self.degrees:
            draws["angle"] = torch.empty(shape).uniform_(-self.degrees, self.degrees, generator=generator)
        if self.policy:
            draws |= policies.draw(self.policy, generator, shape)
        if self.hole:
            draws |= {name: torch.rand(shape, generator=generator) for name in ("hole_y", "hole_x")}
            draws["hole_side"] = torch.full(shape, self.hole)
        return draws


def create(text: str) -> Augmentation:
    """Read an augmentation's text.

    Raises:
        UnknownName: A part that does not exist.
        SettingError: A part without its number or with a bad one, given twice, or out of order.
    """
    settings: dict[str, Any] = {}
    stage = -1
    parts = [part.strip() for part in _SHORT.get(text.strip(), text).split("+")]
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
        if name in _OPTIONAL and number is None:
            number = str(known.example)
        if (number is None) != (known.example is None):
            wanted = "takes no number" if number else f"needs a number, as in {name}{known.example}"
            raise SettingError(f"augmentation {text!r}: {name} {wanted}")
        same = {known.field}.union(*(fields for fields in _EXCLUSIVE if known.field in fields))
        if same & set(settings) or known.place == stage == 0:
            raise SettingError(f"augmentation {text!r} has two parts that do the same as {part}; keep one")
        if known.place < stage:
            raise SettingError(
                f"augmentation {text!r}: write the crop first, then flips, jitter or distort, grey, blur, rotation, "
                "a policy, and cutout last"
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
    if name == "resizedcrop":
        if not 0 < value <= 100:
            raise SettingError(f"augmentation {text!r}: the smallest area must be above 0 and at most 100 percent")
        return value / 100
    if name in ("grey", "blur"):
        if not 0 < value <= 100:
            raise SettingError(f"augmentation {text!r}: the chance of {name} must be above 0 and at most 100 percent")
        return value / 100
    if name in ("jitter", "distort"):
        if not 0 < value <= _MOST_JITTER:
            raise SettingError(f"augmentation {text!r}: the {name} must be above 0 and at most {_MOST_JITTER}")
        return value
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

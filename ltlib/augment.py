"""Random augmentation of whole batches: every draw made beforehand, every image handled alone.

An augmentation is a text, its parts joined by ``+`` and applied in this order, as torchvision's ``Compose`` would:

=============  ==============================================================================================
``cropN``      zero padding of N pixels on each side, then a window of the old size: offsets uniform in 0..2N
``shiftN``     the same thing under the name that suits small scans, ``shift1``
``flip``       left-right, probability 1/2
``vflip``      top-bottom, probability 1/2
``rotateD``    about the image's centre, angle uniform in [-D, D] degrees, nearest pixel, zeros outside
``none``       nothing
=============  ==============================================================================================

The random numbers come from a CPU generator for as many images as wanted, so they are the same on every device and in
any packing of the batches. The functions below work on uint8 images ``[B, H, W, C]`` as Pillow does, before
normalising: padding and fill are black, not the mean colour. None of them waits for the device (no ``item``, no
boolean index, no shape that depends on values), so they can be captured in a CUDA graph.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ltlib.errors import SettingError, UnknownName

_PART = re.compile(r"([a-z]+?)(\d+(?:\.\d+)?)?")
_EXAMPLES = ("crop4", "shift1", "flip", "vflip", "rotate10", "none")
_ORDER = {"crop": 0, "shift": 0, "flip": 1, "vflip": 1, "rotate": 2}
_FRACTION_BITS = 16


@dataclass(frozen=True)
class Augmentation:
    """What happens to a training image.

    Attributes:
        text: The form it was made from, without spaces.
        padding: Pixels of zero padding on each side before a window of the old size is cut; 0: no crop.
        flip: Whether images are mirrored left-right half of the time.
        vflip: Whether images are mirrored top-bottom half of the time.
        degrees: Largest angle of the rotation; 0: none.
    """

    text: str = "none"
    padding: int = 0
    flip: bool = False
    vflip: bool = False
    degrees: float = 0.0

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the draws, in the order in which they are drawn."""
        crop = ("dy", "dx") if self.padding else ()
        return (
            *crop,
            *(name for name in ("flip", "vflip") if getattr(self, name)),
            *(["angle"] if self.degrees else []),
        )

    def draw(self, generator: torch.Generator, shape: Sequence[int]) -> dict[str, Tensor]:
        """Draw the random numbers for an array of images, for example a whole epoch at once.

        A part added at the end of the text leaves the draws of those before it as they were.

        Args:
            generator: On the CPU.
            shape: Any shape; each element stands for one image.

        Returns:
            CPU tensors of that shape: ``dy``, ``dx`` int64, uniform in 0..2 * padding; ``flip``, ``vflip`` bool, true
            with probability 1/2; ``angle`` float32 degrees counter-clockwise, uniform in [-degrees, degrees).

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
            if name in ("dy", "dx"):
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
        if name not in _ORDER:
            if part == "none":
                raise SettingError(f"augmentation {text!r}: none stands alone")
            raise UnknownName("augmentation", part, _EXAMPLES)
        if (number is None) != (name in ("flip", "vflip")):
            wanted = "takes no number" if number else f"needs a number, as in {name}{10 if name == 'rotate' else 4}"
            raise SettingError(f"augmentation {text!r}: {name} {wanted}")
        key = {"crop": "padding", "shift": "padding", "rotate": "degrees"}.get(name, name)
        if key in settings:
            raise SettingError(f"augmentation {text!r} has two parts that do the same as {part}; keep one")
        if _ORDER[name] < stage:
            raise SettingError(f"augmentation {text!r}: write the crop first, then flips, then the rotation")
        stage = _ORDER[name]
        settings[key] = True if number is None else _number(text, name, number)
    return Augmentation("+".join(parts), **settings)


def _number(text: str, name: str, number: str) -> int | float:
    """The number of a part, checked."""
    value = float(number)
    if name == "rotate":
        if not 0 < value <= 180:
            raise SettingError(f"augmentation {text!r}: the angle must be above 0 and at most 180 degrees")
        return value
    if value != int(value) or value < 1:
        raise SettingError(f"augmentation {text!r}: the padding must be a whole number of pixels, at least 1")
    return int(value)


# --- images, uint8 [B, H, W, C] --------------------------------------------------------------------------------------


def pad(images: Tensor, padding: int) -> Tensor:
    """Zeros of `padding` pixels on each side: [B, H, W, C] to [B, H + 2p, W + 2p, C], always a new tensor."""
    count, height, width, channels = images.shape
    padded = images.new_zeros(count, height + 2 * padding, width + 2 * padding, channels)
    padded[:, padding : padding + height, padding : padding + width] = images
    return padded


def windows(padded: Tensor, width: int) -> Tensor:
    """Every run of `width` neighbouring pixels of a padded set, as a view that copies nothing.

    Args:
        padded: Contiguous [N, PH, PW, C].
        width: Pixels of an output row.

    Returns:
        [N * PH * PW - width + 1, width * C]: row ``(i * PH + y) * PW + x`` holds pixels x .. x + width - 1 of row y of
        image i. Taking rows of it by index copies whole runs of bytes, which is what makes cropping cheap.
    """
    pixels, channels = padded.numel() // padded.shape[-1], padded.shape[-1]
    return padded.view(-1).as_strided((pixels - width + 1, width * channels), (channels, 1))


def crop(images: Tensor, padding: int, dy: Tensor, dx: Tensor) -> Tensor:
    """Zero padding, then for each image the window of the old size at its own offset.

    Args:
        images: uint8 [B, H, W, C].
        padding: Pixels on each side.
        dy: int64 [B], rows skipped at the top of the padded image, 0..2 * padding.
        dx: int64 [B], columns skipped at its left.

    Returns:
        uint8 [B, H, W, C].
    """
    count, height, width, _ = images.shape
    stride = width + 2 * padding
    first = (torch.arange(count, device=images.device) * (height + 2 * padding) + dy) * stride + dx
    rows = first[:, None] + torch.arange(height, device=images.device) * stride
    return windows(pad(images, padding), width).index_select(0, rows.view(-1)).view(images.shape)


def horizontal_flip(images: Tensor, flip: Tensor) -> Tensor:
    """Mirror left-right the images whose `flip` [B] is true."""
    return _choose(images, images.flip(2), flip)


def vertical_flip(images: Tensor, flip: Tensor) -> Tensor:
    """Mirror top-bottom the images whose `flip` [B] is true."""
    return _choose(images, images.flip(1), flip)


def _choose(images: Tensor, others: Tensor, use_other: Tensor) -> Tensor:
    """Per image the one or the other. Copying whole images by index is three times faster on a CPU than `where`."""
    count = images.shape[0]
    index = torch.arange(count, device=images.device) + count * use_other
    return torch.cat([images, others]).index_select(0, index)


def rotate(images: Tensor, angle: Tensor) -> Tensor:
    """Rotate each image about its centre by its own angle: nearest pixel, zeros where the source lies outside.

    Equals ``PIL.Image.rotate(angle)``, and so torchvision's ``RandomRotation`` on Pillow images, pixel for pixel:
    Pillow maps output to input pixels in 16.16 fixed point (``affine_fixed`` in its Geometry.c), and the same integers
    are computed here (for sides below 32,768, where Pillow does so too).

    Args:
        images: uint8 [B, H, W, C].
        angle: float [B], degrees counter-clockwise.

    Returns:
        uint8 [B, H, W, C].
    """
    count, height, width, channels = images.shape
    y, x = _rotation_source(angle, height, width)
    # Whatever lies outside reads a black border one pixel wide: twice as fast on a CPU as masking.
    bordered = pad(images, 1)
    position = y.clamp_(-1, height).mul_(width + 2).add_(x.clamp_(-1, width))
    pixels = (height + 2) * (width + 2)
    if count * pixels >= 2**31:
        position = position.long()
    first = torch.arange(count, dtype=position.dtype, device=images.device) * pixels + (width + 3)
    position += first[:, None, None]
    return bordered.view(-1, channels).index_select(0, position.view(-1)).view(images.shape)


def _rotation_source(angle: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """For each output pixel its source row and column, int32 [B, H, W]; they may lie outside the image."""
    degrees = torch.remainder(angle.double(), 360.0)
    radians = -(degrees * (math.pi / 180.0))
    cos, sin = torch.cos(radians).round(decimals=15), torch.sin(radians).round(decimals=15)
    centre_x, centre_y = width / 2, height / 2
    offset_x = (cos * -centre_x + sin * -centre_y) + centre_x
    offset_y = (-sin * -centre_x + cos * -centre_y) + centre_y

    def fixed(value: Tensor) -> Tensor:
        return torch.floor(value * 2.0**_FRACTION_BITS + 0.5).int()[:, None, None]

    rows = torch.arange(height, dtype=torch.int32, device=angle.device)[:, None]
    columns = torch.arange(width, dtype=torch.int32, device=angle.device)
    start_x, start_y = fixed(offset_x + cos * 0.5 + sin * 0.5), fixed(offset_y - sin * 0.5 + cos * 0.5)
    x = (start_x + fixed(sin) * rows) + fixed(cos) * columns
    y = (start_y + fixed(cos) * rows) + fixed(-sin) * columns
    return y.bitwise_right_shift_(_FRACTION_BITS), x.bitwise_right_shift_(_FRACTION_BITS)


# --- normalising -----------------------------------------------------------------------------------------------------

NORMALISATIONS = ("mean_std", "unit", "unit_twice")


class Normaliser:
    """From uint8 images to what a network sees, with the same operations in the same order as torchvision.

    ``mean_std``: (x / 255 - mean) / std; ``unit``: x / 255; ``unit_twice``: x / 255 / 255, which is what dividing by
    255 after ``ToTensor`` amounts to. On a CPU the result equals ``ToTensor`` and ``Normalize`` bit for bit.

    Args:
        kind: One of `NORMALISATIONS`.
        mean: Per channel, in units of the full range (0..1); only for ``mean_std``.
        std: The same.
        size: Height and width of the images.
        channels: 3, or 1.
        device: Where the images are.
        dtype: Of the result; the arithmetic is float32.

    Raises:
        UnknownName: Of `kind`.
        SettingError: Mean or std missing, of the wrong length, or a std that is not positive.
    """

    def __init__(
        self,
        kind: str,
        mean: Sequence[float] | None,
        std: Sequence[float] | None,
        size: tuple[int, int],
        channels: int = 3,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ):
        _check_normalisation(kind, mean, std, channels)
        self.kind, self.dtype = kind, dtype

        # As long as an image: the innermost loop stays contiguous; three numbers broadcast cost five times as much.
        def vector(values: Sequence[float]) -> Tensor:
            return torch.tensor(list(values), dtype=torch.float32).repeat(size[0] * size[1]).to(device)

        # A tensor, because CUDA multiplies by the reciprocal of a number, which rounds differently.
        self._range = torch.tensor(255.0).to(device)
        if kind == "mean_std" and mean is not None and std is not None:
            self._mean, self._std = vector(mean), vector(std)

    def __call__(self, images: Tensor) -> Tensor:
        """uint8 [B, H, W, C], contiguous, to float [B, C, H, W] in channels_last memory."""
        values = images.view(images.shape[0], -1).to(torch.float32).div_(self._range)
        if self.kind == "mean_std":
            values.sub_(self._mean).div_(self._std)
        elif self.kind == "unit_twice":
            values.div_(self._range)
        return values.view(images.shape).permute(0, 3, 1, 2).to(self.dtype)


def normalise(
    images: Tensor,
    kind: str = "mean_std",
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """`Normaliser` for once: uint8 [B, H, W, C] to float [B, C, H, W]."""
    _, height, width, channels = images.shape
    return Normaliser(kind, mean, std, (height, width), channels, images.device, dtype)(images.contiguous())


def _check_normalisation(kind: str, mean: Sequence[float] | None, std: Sequence[float] | None, channels: int) -> None:
    if kind not in NORMALISATIONS:
        raise UnknownName("normalisation", kind, NORMALISATIONS)
    if kind != "mean_std":
        return
    if mean is None or std is None or len(mean) != channels or len(std) != channels:
        raise SettingError(f"normalisation mean_std needs a mean and a std for each of the {channels} channels")
    if not all(math.isfinite(value) and value > 0 for value in std):
        raise SettingError(f"normalisation mean_std needs std above 0, not {tuple(std)}")


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
    _check_normalisation(normalise, mean, std, channels=3)
    steps: list[Callable[[Any], Any]] = []
    if augmentation.padding:
        steps.append(_OwnSizeCrop(augmentation.padding))
    if augmentation.flip:
        steps.append(transforms.RandomHorizontalFlip())
    if augmentation.vflip:
        steps.append(transforms.RandomVerticalFlip())
    if augmentation.degrees:
        steps.append(transforms.RandomRotation(augmentation.degrees))
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


def _divide_again(image: Tensor) -> Tensor:
    """The second division of ``unit_twice``."""
    return image / 255

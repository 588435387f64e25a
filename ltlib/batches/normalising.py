"""From uint8 images to what a network sees.

Six kinds of normalisation, each with the same operations in the same order as torchvision's ``ToTensor`` and
``Normalize``, or as the code that a network was trained with; usable inside a CUDA graph.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ltlib.datasets.base import PHOTO_MEAN, PHOTO_STD
from ltlib.errors import SettingError, UnknownName

NORMALISATIONS = ("mean_std", "unit", "unit_twice", "imagenet", "half", "signed")
_KNOWN = {"imagenet": (PHOTO_MEAN, PHOTO_STD), "half": ((0.5,) * 3, (0.5,) * 3)}
"""Means and stds that go with a kind."""
_WITH_MEAN = ("mean_std", *_KNOWN)


class Normaliser:
    """From uint8 images to what a network sees, with the same operations in the same order as torchvision.

    ``mean_std``: (x / 255 - mean) / std; ``unit``: x / 255; ``unit_twice``: x / 255 / 255, which is what dividing by
    255 after ``ToTensor`` amounts to. On a CPU the result equals ``ToTensor`` and ``Normalize`` bit for bit.

    What published networks were trained with, whatever the set: ``imagenet``, (x / 255 - mean) / std with ImageNet's
    (`PHOTO_MEAN`, `PHOTO_STD`), torchvision's; ``half``, (x / 255 - 0.5) / 0.5, from -1 to 1; ``signed``,
    (x - 127) / 128, that of TensorFlow's EfficientNet-Lite.

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
        check_normalisation(kind, mean, std, channels)
        mean, std = mean_and_std(kind, mean, std)
        self.kind, self.dtype = kind, dtype
        self._shape, self._device = (channels, *size), device

        # As long as an image: the innermost loop stays contiguous; three numbers broadcast cost five times as much.
        def vector(values: Sequence[float]) -> Tensor:
            return torch.tensor(list(values), dtype=torch.float32).repeat(size[0] * size[1]).to(device)

        # A tensor, because CUDA multiplies by the reciprocal of a number, which rounds differently.
        self._range = torch.tensor(255.0).to(device)
        if mean is not None and std is not None:
            self._mean, self._std = vector(mean), vector(std)

    def empty(self, count: int) -> Tensor:
        """Room for the result of so many images."""
        return torch.empty(
            (count, *self._shape), dtype=self.dtype, device=self._device, memory_format=torch.channels_last
        )

    def __call__(self, images: Tensor) -> Tensor:
        """uint8 [B, H, W, C], contiguous, to float [B, C, H, W] in channels_last memory."""
        values = images.view(images.shape[0], -1).to(torch.float32)
        if self.kind == "signed":
            values.sub_(127).div_(128)  # exact: small whole numbers and a power of two
        else:
            values.div_(self._range)
        if self.kind == "unit_twice":
            values.div_(self._range)
        elif self.kind in _WITH_MEAN:
            values.sub_(self._mean).div_(self._std)
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


def mean_and_std(
    kind: str, mean: Sequence[float] | None, std: Sequence[float] | None
) -> tuple[Sequence[float] | None, Sequence[float] | None]:
    """What a kind subtracts and divides by after x / 255: its own numbers, those given, or None where it does not."""
    return (mean, std) if kind == "mean_std" else _KNOWN.get(kind, (None, None))


def check_normalisation(kind: str, mean: Sequence[float] | None, std: Sequence[float] | None, channels: int) -> None:
    """Refuse an unknown kind, or ``mean_std`` without usable numbers for every channel."""
    if kind not in NORMALISATIONS:
        raise UnknownName("normalisation", kind, NORMALISATIONS)
    if kind not in _WITH_MEAN:
        return
    mean, std = mean_and_std(kind, mean, std)
    if mean is None or std is None or len(mean) != channels or len(std) != channels:
        raise SettingError(f"normalisation {kind} needs a mean and a std for each of the {channels} channels")
    if not all(math.isfinite(value) and value > 0 for value in std):
        raise SettingError(f"normalisation mean_std needs std above 0, not {tuple(std)}")

"""An augmentation as a torchvision pipeline for single Pillow images, as a `torch.utils.data.DataLoader` wants it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ltlib.batches import augment, blur, distortion, policies, resized_crop
from ltlib.batches.normalising import check_normalisation, mean_and_std


def transform(
    text: str,
    normalise: str = "mean_std",
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> Callable[[Any], Tensor]:
    """The augmentation as a torchvision pipeline for one RGB Pillow image, with draws from torch's global generator.

    Same distribution as `Augmentation.draw` and the same pixels at equal draws; other draws at an equal seed.

    Args:
        text: As for `augment.create`.
        normalise: As for `Normaliser`.
        mean: As for `Normaliser`.
        std: As for `Normaliser`.

    Returns:
        Pillow image to float32 [3, H, W]; can be pickled for worker processes.

    Raises:
        UnknownName, SettingError: As `augment.create` and `Normaliser`.
    """
    from torchvision import transforms

    augmentation = augment.create(text)
    check_normalisation(normalise, mean, std, channels=3)
    steps: list[Callable[[Any], Any]] = []
    if augmentation.padding:
        steps.append(_OwnSizeCrop(augmentation.padding))
    if augmentation.share:
        steps.append(_OwnSizeResizedCrop(augmentation.share))
    if augmentation.flip or augmentation.alternating:  # a transform knows neither image nor epoch
        steps.append(transforms.RandomHorizontalFlip())
    if augmentation.vflip:
        steps.append(transforms.RandomVerticalFlip())
    if augmentation.jitter:
        steps.append(transforms.ColorJitter(*[augmentation.jitter] * 3))
    if strength := augmentation.distortion:
        distorting = transforms.ColorJitter(strength, strength, strength, strength / 4)
        steps.append(transforms.RandomApply([distorting], p=distortion.CHANCE))
    if augmentation.grey:
        steps.append(transforms.RandomGrayscale(augmentation.grey))
    if augmentation.blur:
        steps.append(transforms.RandomApply([_Blur()], p=augmentation.blur))
    if augmentation.degrees:
        steps.append(transforms.RandomRotation(augmentation.degrees))
    if augmentation.policy == "autoaugment":
        steps.append(transforms.AutoAugment(transforms.AutoAugmentPolicy.CIFAR10))
    elif augmentation.policy:
        steps.append(transforms.RandAugment(2, policies.randaugment_strength(augmentation.policy)))
    if augmentation.hole:
        steps.append(_Hole(augmentation.hole))
    steps.append(transforms.ToTensor())
    mean, std = mean_and_std(normalise, mean, std)
    if mean is not None:
        steps.append(transforms.Normalize(mean, std))
    elif normalise == "signed":
        steps[-1] = transforms.Lambda(_signed)
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
class _OwnSizeResizedCrop:
    """torchvision's `RandomResizedCrop(size)` for images of any size, each brought back to its own."""

    share: float

    def __call__(self, image: Any) -> Any:
        from torchvision.transforms import RandomResizedCrop, functional

        box = RandomResizedCrop.get_params(image, [self.share, 1.0], list(resized_crop.RATIO))
        return functional.resized_crop(image, *box, [image.height, image.width])


@dataclass(frozen=True)
class _Blur:
    """Pillow's Gaussian blur of a random standard deviation."""

    def __call__(self, image: Any) -> Any:
        from PIL import ImageFilter

        return image.filter(ImageFilter.GaussianBlur(float(torch.empty(()).uniform_(*blur.SIGMA))))


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


def _signed(image: Any) -> Tensor:
    """``signed`` of a Pillow image, which needs no division by 255."""
    from torchvision.transforms import functional

    return (functional.pil_to_tensor(image).float() - 127) / 128

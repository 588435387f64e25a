"""Image sets in memory: a plain `torch.utils.data.Dataset`, and the long-tailed set that `load` returns."""

from __future__ import annotations

import copy
import operator
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from ltlib.datasets import subsets
from ltlib.datasets.mapped import MappedImages, Pixels, choose
from ltlib.errors import DataError

Targets = NDArray[np.int64]


class ImageSet(Dataset[tuple[Any, int]]):
    """Images and their classes, usable in anybody's training loop and by `DataLoader` workers.

    Attributes:
        images: uint8 [N, H, W, 3], RGB: an array, or `mapped.MappedImages`, which is indexed like one, where they lie
            on the disk and take more than `mapped.HELD`.
        targets: int64 [N].
        class_names: Name of each class.
        transform: Called on the PIL image; None gives the raw pixels as a tensor.
        indices: int64 [N], where in its source each image stands: in the part, training or test, that it was taken
            from, or in the pool of a set whose test part is drawn (`drawn.Drawn`).

    Example:
        >>> data = load("digits", imbalance_factor=20)
        >>> image, target = data.train[0]  # uint8 [3, 8, 8], int
    """

    def __init__(
        self,
        images: Pixels,
        targets: NDArray[np.integer],
        class_names: Sequence[str],
        transform: Callable[[Any], Any] | None = None,
        indices: NDArray[np.integer] | None = None,
    ):
        self.images: Pixels = images if isinstance(images, MappedImages) else np.asarray(images)
        self.targets: Targets = subsets.whole_numbers("targets", targets)
        self.class_names = tuple(class_names)
        self.transform = transform
        self.indices: Targets = (
            np.arange(len(self.targets)) if indices is None else subsets.whole_numbers("indices", indices)
        )
        if self.images.dtype != np.uint8 or self.images.ndim != 4 or self.images.shape[-1] != 3:
            raise DataError(f"images must be uint8 [N, H, W, 3], not {self.images.dtype} {self.images.shape}")
        if not len(self.images) == len(self.targets) == len(self.indices):
            raise DataError(
                f"{len(self.images)} images, {len(self.targets)} targets and {len(self.indices)} indices do not match"
            )
        if len(self.targets) and not 0 <= self.targets.min() <= self.targets.max() < len(self.class_names):
            raise DataError(f"targets must lie between 0 and {len(self.class_names) - 1}, one class name each")

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        """The image at that place: ``transform(PIL image)``, else uint8 [3, H, W]; and its class."""
        index = operator.index(index)
        pixels, target = self.images[index], int(self.targets[index])
        if self.transform is None:
            return torch.from_numpy(pixels.transpose(2, 0, 1).copy()), target
        from PIL import Image

        return self.transform(Image.fromarray(pixels)), target

    @property
    def class_counts(self) -> tuple[int, ...]:
        """Images per class."""
        return tuple(np.bincount(self.targets, minlength=len(self.class_names)).tolist())

    def select(self, positions: npt.ArrayLike | torch.Tensor) -> ImageSet:
        """A set of the images at these places of this one, in this order; their pixels are copied, or stay on the disk.

        Args:
            positions: Whole numbers, negative ones counted from the end, or a mask with True or False for each image.

        Raises:
            SettingError: Other numbers, a mask of another length, or a place where there is no image.
        """
        places = subsets.positions(positions, len(self))
        return ImageSet(
            choose(self.images, places), self.targets[places], self.class_names, self.transform, self.indices[places]
        )

    def with_transform(self, transform: Callable[[Any], Any] | None) -> ImageSet:
        """The same images with another transform; the pixels are shared."""
        other = copy.copy(self)
        other.transform = transform
        return other


@dataclass(frozen=True)
class Source:
    """A whole image set, before anything is taken away: what `load` cuts the long tail from.

    Attributes:
        train, test: Its images.
        contents: SHA-256 of the files that were read, for a set whose digest stands before they are: one that is known
            by name but that nobody publishes a checksum of. Else empty.
        groups: int64 [N], the group of each training image; those of one group are never parted when some are set
            aside for validation. None where there are no groups.
    """

    train: ImageSet
    test: ImageSet
    contents: str = ""
    groups: Targets | None = None

    @property
    def class_names(self) -> tuple[str, ...]:
        """Name of each class."""
        return self.train.class_names

    def split(self, seed: int = 0, groups: Sequence[Hashable | None] | None = None) -> Source:
        """The set with the test images that a seed draws; this one where it has a test part of its own."""
        return self

    def train_numbers(self, indices: NDArray[np.integer]) -> Targets:
        """The numbers that training images have in a fingerprint, by their `ImageSet.indices`."""
        return np.asarray(indices, np.int64)

    def test_numbers(self, indices: NDArray[np.integer]) -> Targets:
        """The same of test images."""
        return np.asarray(indices, np.int64)


@dataclass(frozen=True)
class LongTailed:
    """A long-tailed training set, its test set, and what identifies them.

    Attributes:
        name: As given to `load`.
        train: Training images; without the validation images where there are any.
        test: The whole test set, or what was asked for of it.
        validation: A stratified tenth of the subset, or None.
        class_counts: Training images per class, of `train`.
        subset_counts: The same before the validation images were taken.
        class_names: Name of each class.
        groups: Head, middle and tail classes, from `subset_counts`: they do not depend on the validation set.
        fingerprint: `subsets.fingerprint` of the images trained on, those of `train`, by their `Source.train_numbers`.
        subset_fingerprint: The same of the subset, training and validation images together.
        test_fingerprint: The same of the test images, by their `Source.test_numbers`.
        mean, std: Per channel, of pixels in 0..1.
        contents: As of `Source`.
        pooled: Whether the indices of all its images are places in one pool, from which the test images were drawn too.
    """

    name: str
    train: ImageSet
    test: ImageSet
    validation: ImageSet | None
    class_counts: tuple[int, ...]
    subset_counts: tuple[int, ...]
    class_names: tuple[str, ...]
    groups: Mapping[str, tuple[int, ...]]
    fingerprint: str
    subset_fingerprint: str
    test_fingerprint: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    contents: str = ""
    pooled: bool = False

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    @property
    def image_size(self) -> int:
        """Height and width in pixels."""
        return int(self.train.images.shape[1])

    @property
    def imbalance_factor(self) -> float:
        """Largest over smallest class of the subset as it came out; infinite where a class was left empty."""
        smallest = min(self.subset_counts)
        return max(self.subset_counts) / smallest if smallest else float("inf")

"""What sets of photographs on disk have in common: found by path, looked through, read once at one size.

A set says where its files lie (`Photographs.places`) and what is among them (`scan`); ``NAME@32`` reads it at 32 pixels
instead of its own size. What is in the files is part of a run's record, `Source.contents`, because copies of one set
that have the same names may hold other pixels.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ltlib.datasets import contents, listing, own_files
from ltlib.datasets.base import PHOTO_MEAN, PHOTO_STD, Channels, DatasetBuilder, DatasetInfo, size_asked
from ltlib.datasets.faults import Unusable
from ltlib.datasets.own_files import Item
from ltlib.errors import DataError
from ltlib.files import digest

if TYPE_CHECKING:
    import numpy as np

    from ltlib.datasets.images import ImageSet, Source

SPLIT_SEED = 0


@dataclass(frozen=True)
class Found:
    """The files of a set, not yet read.

    Attributes:
        class_names: Name of each class.
        items: The image files, in the order of the set.
        test: Places in `items` of the test images; the others train.
        faults: A sentence on each thing that makes it another set than the known one; with one it is not read.
        remarks: See `DatasetBuilder.remarks`.
    """

    class_names: tuple[str, ...]
    items: tuple[Item, ...] = ()
    test: tuple[int, ...] = ()
    faults: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


class Photographs(DatasetBuilder):
    """A set of image files; a subclass gives the attributes, `counted` and `scan`.

    Attributes:
        identity: What the set is, in words: with the size, what its digest is made of.
        places: Folders of the set inside the data folder; the first that has `inside` is taken.
        inside: What must lie in such a folder.
        image_size: Height and width in pixels where the name gives none.
        counts: `DatasetInfo.class_counts`.
        flips, mean, std, class_names, citation, where: See `DatasetInfo`.
    """

    sized = True
    identity: str
    places: tuple[str, ...]
    inside = ""
    image_size = 224
    flips = True
    mean: Channels = PHOTO_MEAN
    std: Channels = PHOTO_STD
    class_names: tuple[str, ...] | None = None
    counts: tuple[int, ...] | None = None
    citation: str
    where: str

    def __init__(self, name: str):
        super().__init__(name)
        self.size = size_asked(name, self.image_size)

    def counted(self) -> tuple[int, int, int]:
        """How many classes, training images and test images the known set has."""
        raise NotImplementedError(f"{type(self).__name__} must say how large it is: counted(self)")

    def info(self) -> DatasetInfo:
        classes, train, test = self.counted()
        return DatasetInfo(
            name=self.name,
            num_classes=classes,
            image_size=self.size,
            train_images=train,
            test_images=test,
            digest=digest(f"{self.identity}; {self.size} pixels" if self.sized else self.identity),
            flips=self.flips,
            mean=self.mean,
            std=self.std,
            class_names=self.class_names,
            class_counts=self.counts,
            citation=self.citation,
            where=self.where,
        )

    def find(self, root: Path) -> Path | None:
        """The set's folder, or None."""
        found = (root / place for place in self.places if os.path.exists(root / place / self.inside))  # noqa: PTH110
        return next(found, None)

    def require(self, root: Path) -> Path:
        """`find`, or the sentence that says how to get the set.

        Raises:
            DataError: The set is not there.
        """
        folder = self.find(root)
        if folder is None:
            lacks = root / self.places[0] / self.inside
            raise DataError(f"{self.name} is not there, {lacks} is missing: {self.where}")
        return folder

    def scan(self, folder: Path) -> Found:
        """Look through the set's folder without opening an image.

        Raises:
            DataError: It cannot be looked through at all.
        """
        raise NotImplementedError(f"{type(self).__name__} must say what is in its folder: scan(self, folder)")

    def available(self, root: Path) -> bool:
        return self.find(root) is not None

    def read(self, root: Path, fetch: bool = False) -> Source:
        """The whole set. The last one read is kept in memory, so that the runs of one process read it once.

        Raises:
            DataError: The set is missing, or another than the known one; an image is missing or cannot be read.
        """
        if fetch and not self.available(root):
            self.fetch(root)
        folder = self.require(root)
        found = self.scan(folder)
        if found.faults:
            raise Unusable(folder, found.faults)
        values = contents.digests(folder, [item.path for item in found.items])
        return _read(folder.resolve(), self.size, found, tuple(values))

    def problems(self, root: Path) -> list[str]:
        folder = self.require(root)
        contents.forget(folder)
        found = self.scan(folder)
        return [*found.faults, *own_files.problems(folder, found.items)]

    def remarks(self, root: Path) -> list[str]:
        return list(self.scan(self.require(root)).remarks)


@functools.lru_cache(maxsize=1)
def _read(folder: Path, size: int, found: Found, values: tuple[str, ...]) -> Source:
    import numpy as np

    from ltlib.datasets.images import ImageSet, Source
    from ltlib.datasets.pictures import read_all

    names = found.class_names
    images = read_all(folder, [item.path for item in found.items], size, values)
    whole = ImageSet(images, np.array([item.target for item in found.items], np.int64), names)
    test = np.array(found.test, np.int64)

    def part(places: np.ndarray) -> ImageSet:
        chosen = whole.select(places)
        return ImageSet(chosen.images, chosen.targets, names)  # its places are counted from 0

    listed = (f"{item.path}\t{names[item.target]}\t{value}" for item, value in zip(found.items, values, strict=True))
    return Source(part(np.setdiff1d(np.arange(len(whole)), test)), part(test), digest("\n".join(listed)))


def seeded(files: Sequence[str], target: int, test: int, train: int | None = None) -> tuple[list[Item], list[bool]]:
    """A seeded choice of a class's test images, and of its training images among the others.

    Args:
        files: Paths of the class's images; sorted ones, because the choice follows their places.
        target: The class; no class's choice depends on another's.
        test, train: How many; None takes all others.

    Returns:
        The chosen images in the order of `files`, and for each whether it is a test image.
    """
    from ltlib.datasets.subsets import random_order

    order = random_order(len(files), SPLIT_SEED, target, 3).tolist()
    tested = set(order[:test])
    chosen = sorted(order if train is None else order[: test + train])
    return [Item(files[place], target) for place in chosen], [place in tested for place in chosen]


def images_in(folder: Path) -> list[str]:
    """Names of the images in a folder, sorted; none where it is not there.

    Raises:
        DataError: As `listing.images_in`.
    """
    return listing.images_in(folder) if os.path.isdir(folder) else []  # noqa: PTH112 - is_dir raises where it may not look


def places_of(tested: Sequence[bool]) -> tuple[int, ...]:
    """Places of the test images, as `Found` has them."""
    return tuple(place for place, test in enumerate(tested) if test)

"""An image folder of your own: one folder per class, read once into memory at one size.

Class folders lie directly in the folder, or in its ``train`` and ``test`` (else ``val``) folders. Without a test folder
a fixed stratified fifth of each class is the test set. Classes are in plain sorted order of their names ('1', '10',
'2'), and the training folder alone decides their numbers. Hidden files, ``._`` files and files that are not images by
their suffix are ignored.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ltlib.datasets.base import DATASETS, DatasetBuilder, DatasetInfo
from ltlib.errors import DataError
from ltlib.files import digest

if TYPE_CHECKING:
    from ltlib.datasets.images import Source

IMAGE_SIZE = 64
SPLIT_SEED = 0
TEST_FOLDERS = ("test", "val")
# Raster formats that PIL decodes itself, without calling another program.
SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".avif"),
    *(".ppm", ".pgm", ".pbm", ".pnm", ".tga", ".jp2"),
)


@DATASETS.register("folder:PATH", source="ours")
class Folder(DatasetBuilder):
    """An image folder of your own; ``folder:PATH@32`` reads its images at 32 pixels instead of 64."""

    def __init__(self, name: str):
        super().__init__(name)
        self.path, self.size = _path_and_size(name, self.argument)

    def info(self) -> DatasetInfo:
        """Looks at the disk, at file names and sizes.

        Raises:
            DataError: As `scan`.
        """
        listing = scan(self.path)
        return DatasetInfo(
            name=self.name,
            num_classes=len(listing.class_names),
            image_size=self.size,
            train_images=len(listing.train),
            test_images=len(listing.test),
            digest=digest(f"folder: {listing.digest}; {self.size} pixels"),
            flips=True,
            class_names=listing.class_names,
            citation=f"the images in {self.path}",
            where=f"the folder {self.path}",
        )

    def available(self, root: Path) -> bool:
        return self.path.is_dir()

    def read(self, root: Path, fetch: bool = False) -> Source:
        return read(self.path, self.size)

    def problems(self, root: Path) -> list[str]:
        listing = scan(self.path)
        return problems(self.path, [*listing.train, *listing.test])


def _path_and_size(name: str, argument: str) -> tuple[Path, int]:
    match = re.fullmatch(r"(.+)@(\d{1,4})", argument)
    path, size = (match.group(1), int(match.group(2))) if match else (argument, IMAGE_SIZE)
    if not path or size < 1:
        raise DataError(f"{name!r} names no folder; write folder:PATH, or folder:PATH@32 for images of 32 pixels")
    return Path(path).expanduser(), size


@dataclass(frozen=True)
class Item:
    """One image file: its path relative to the set's folder, with ``/``, and its class."""

    path: str
    target: int


@dataclass(frozen=True)
class Listing:
    """The images of a folder, not yet read.

    Attributes:
        class_names: Names of the class folders, sorted.
        train, test: Images, by class, then by path.
        digest: SHA-256 of the sorted relative names and sizes in bytes.
    """

    class_names: tuple[str, ...]
    train: tuple[Item, ...]
    test: tuple[Item, ...]
    digest: str


def scan(path: Path) -> Listing:
    """List the images of a folder and split them.

    Raises:
        DataError: No such folder, fewer than two classes, a class without an image, or a class that only the test
            folder has.
    """
    try:
        return _scan(path)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error


def _scan(path: Path) -> Listing:
    from ltlib.datasets.subsets import random_order

    if not path.is_dir():
        raise DataError(f"{path} is not a folder; give the folder that holds one folder of images per class")
    train_folder = path / "train" if _is_split(path / "train") else path
    tests = [path / name for name in TEST_FOLDERS if train_folder != path and _is_split(path / name)]
    by_class = _class_files(train_folder)
    empty = [name for name, files in by_class.items() if not files]
    if empty:
        raise DataError(f"class {empty[0]!r} in {train_folder} has no image; add images to it or remove its folder")
    if len(by_class) < 2:
        raise DataError(
            f"{train_folder} holds {len(by_class)} class folder(s) with images, at least two are needed; "
            "put the images of each class in a folder of its own"
        )
    class_names = tuple(by_class)
    train: list[tuple[Path, int]] = []
    test: list[tuple[Path, int]] = []
    if tests:
        test_files = {name: files for name, files in _class_files(tests[0]).items() if files}
        unknown = sorted(set(test_files) - set(by_class))
        if unknown:
            raise DataError(
                f"{tests[0]} has the class {', '.join(unknown)}, which {train_folder} lacks; rename or remove it"
            )
        train = [(file, target) for target, name in enumerate(class_names) for file in by_class[name]]
        test = [(file, target) for target, name in enumerate(class_names) for file in test_files.get(name, [])]
    else:
        for target, name in enumerate(class_names):
            files = by_class[name]
            order = random_order(len(files), SPLIT_SEED, target, 2)
            size = min(max(1, (2 * len(files) + 5) // 10), len(files) - 1)  # a fifth; one image stays in training
            test += [(files[place], target) for place in sorted(order[:size])]
            train += [(files[place], target) for place in sorted(order[size:])]
    train_items, test_items = (
        tuple(Item(file.relative_to(path).as_posix(), target) for file, target in part) for part in (train, test)
    )
    sizes = sorted((file.relative_to(path).as_posix(), file.stat().st_size) for file, _ in train + test)
    return Listing(class_names, train_items, test_items, digest("\n".join(f"{name}\t{size}" for name, size in sizes)))


def read(path: Path, size: int = IMAGE_SIZE) -> Source:
    """Read an image folder: every image RGB, `size` x `size` (see `pictures.decode`).

    Raises:
        DataError: As `scan`; or an image that cannot be read, named with its place in the list.
    """
    listing = scan(path)
    return _read(path.resolve(), size, listing)


@functools.lru_cache(maxsize=1)
def _read(path: Path, size: int, listing: Listing) -> Source:
    import numpy as np

    from ltlib.datasets.images import ImageSet, Source
    from ltlib.datasets.pictures import read_all

    images = read_all(path, [item.path for item in (*listing.train, *listing.test)], size)
    targets = np.array([item.target for item in (*listing.train, *listing.test)], np.int64)
    cut = len(listing.train)
    return Source(
        ImageSet(images[:cut], targets[:cut], listing.class_names),
        ImageSet(images[cut:], targets[cut:], listing.class_names),
    )


def problems(path: Path, items: Sequence[Item]) -> list[str]:
    """Try to read every image; one sentence for each that cannot be."""
    from ltlib.datasets.pictures import decode

    found = []
    for index, item in enumerate(items):
        try:
            decode(path / item.path, IMAGE_SIZE, index)
        except DataError as error:
            found.append(str(error))
    return found


def _is_split(path: Path) -> bool:
    """Whether this holds class folders, rather than being a class that happens to be called train."""
    if not path.is_dir():
        return False
    content = [entry for entry in path.iterdir() if not _hidden(entry.name)]
    return any(entry.is_dir() for entry in content) and not any(_is_image(entry.name) for entry in content)


def _class_files(folder: Path) -> dict[str, list[Path]]:
    """The image files below each class folder, sorted by path; folders in sorted order."""
    found = {}
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.is_dir() and not _hidden(entry.name):
            files = []
            for parent, below, names in os.walk(entry):
                below[:] = [name for name in below if not _hidden(name)]
                files += [Path(parent, name) for name in names if _is_image(name)]
            found[entry.name] = sorted(files, key=lambda file: file.as_posix())
    return found


def _hidden(name: str) -> bool:
    return name.startswith((".", "__MACOSX"))


def _is_image(name: str) -> bool:
    return not _hidden(name) and name.lower().endswith(SUFFIXES)

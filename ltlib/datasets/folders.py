"""An image folder of your own: one folder per class, its images decoded once, at one size (`pictures`).

Class folders lie directly in the folder, or in its training and test folders (`splits`). Without a test folder a fixed
stratified fifth of each class is the test set. Classes are in plain sorted order of their names ('1', '10', '2'), and
the training folder alone decides their numbers. What is read and what is not, `listing` says.
"""

from __future__ import annotations

import functools
import os
import re
import warnings
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ltlib.datasets import contents, splits
from ltlib.datasets.base import DATASETS, LARGEST, DatasetBuilder, DatasetInfo
from ltlib.datasets.faults import Unusable
from ltlib.datasets.listing import LeftOut, class_files
from ltlib.errors import DataError, printable
from ltlib.files import digest

if TYPE_CHECKING:
    from ltlib.datasets.images import Source

IMAGE_SIZE = 64  # pixels
SPLIT_SEED = 0


@DATASETS.register("folder:PATH", source="ours")
class Folder(DatasetBuilder):
    """An image folder of your own; ``folder:PATH@32`` reads its images at 32 pixels instead of 64.

    Where a folder is called ``photos@32``, ``folder:photos@32`` is that folder; ``folder:photos/@32`` is the folder
    photos at 32 pixels.
    """

    as_found = True

    def __init__(self, name: str):
        super().__init__(name)
        self.path, self.size = _path_and_size(name, self.argument)

    def info(self) -> DatasetInfo:
        """Looks at the disk: at the files' names, and at what is in them.

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
            citation=printable(f"the images in {self.path}"),
            where=printable(f"the folder {self.path}"),
        )

    def available(self, root: Path) -> bool:
        return os.path.isdir(self.path)  # noqa: PTH112 - Path.is_dir raises where the way is barred

    def read(self, root: Path, fetch: bool = False) -> Source:
        return read(self.path, self.size)

    def problems(self, root: Path) -> list[str]:
        contents.forget(self.path)
        try:
            listing = scan(self.path)
        except Unusable as error:
            return list(error.sentences)
        listing.warn()
        return problems(self.path, [*listing.train, *listing.test])

    def repair(self) -> str:
        return "replace or remove what is named"


def _path_and_size(name: str, argument: str) -> tuple[Path, int]:
    path, size = argument, IMAGE_SIZE
    match = re.fullmatch(r"(.+)@([0-9]+)", argument, re.DOTALL)
    if match and not os.path.isdir(_expanded(argument)):  # noqa: PTH112
        path, size = match.group(1), int(match.group(2)[:9])
    if not path:
        raise DataError(f"{name!r} names no folder; write folder:PATH, or folder:PATH@32 for images of 32 pixels")
    if not 1 <= size <= LARGEST:
        raise DataError(
            f"{name!r} asks for images of {size} pixels, and there is no folder of that whole name; "
            f"images are read at 1 to {LARGEST} pixels, as in folder:PATH@32"
        )
    return _expanded(path), size


def _expanded(path: str) -> Path:
    return Path(os.path.expanduser(path))  # noqa: PTH111 - Path.expanduser raises for the home of nobody


@dataclass(frozen=True)
class Item:
    """One image file: its path relative to the set's folder, with ``/``, and its class."""

    path: str
    target: int


@dataclass(frozen=True)
class Listing:
    """The images of a folder, not yet read. Two of one digest are equal: the rest follows from it.

    Attributes:
        digest: SHA-256 of the images' relative names and contents.
        class_names: Names of the class folders, sorted.
        train, test: Images, by class, then by path.
        contents: SHA-256 of each image's file, of `train`, then of `test`.
        left_out: A sentence on what is not read; None where nothing is left out.
    """

    digest: str
    class_names: tuple[str, ...] = field(compare=False)
    train: tuple[Item, ...] = field(compare=False)
    test: tuple[Item, ...] = field(compare=False)
    contents: tuple[str, ...] = field(compare=False)
    left_out: str | None = field(compare=False)

    def warn(self) -> None:
        """Say what is left out."""
        if self.left_out is not None:
            warnings.warn(self.left_out, stacklevel=3)


def scan(path: Path) -> Listing:
    """List the images of a folder, split them, and look at what is in them.

    Raises:
        Unusable: Classes without an image, files and folders that cannot be read; names them all. Where there are any,
            the images are decoded too, so that those that are no images stand in the same list.
        DataError: No such folder, folders that are no clear split, fewer than two classes, a class that only the test
            folder has, no test image.
    """
    try:
        return _scan(path)
    except OSError as error:
        raise DataError(
            f"{error.filename or path} cannot be read ({error.strerror or error}); make it readable, or remove it"
        ) from error


def _scan(path: Path) -> Listing:
    _require_folder(path)
    wrong = list[str]()
    split = splits.find(path, wrong)
    left_out = LeftOut(sentences=list(split.left_out))
    by_class = class_files(path, split.train, left_out, wrong)
    if not wrong:
        _check_classes(split.train, by_class)
    class_names = tuple(by_class)
    wrong += [
        _empty(split.train, name, left_out)
        for name, files in by_class.items()
        if not files
        and not any(sentence.startswith((f"{split.train / name}/", f"{split.train / name} ")) for sentence in wrong)
    ]
    if split.test is not None:
        test_files = {name: files for name, files in class_files(path, split.test, left_out, wrong).items() if files}
        unknown = sorted(set(test_files) - set(by_class))
        if unknown:
            raise DataError(
                f"{split.test} has the class {', '.join(unknown)}, which {split.train} lacks; rename or remove it"
            )
        train = [Item(file, target) for target, name in enumerate(class_names) for file in by_class[name]]
        test = [Item(file, target) for target, name in enumerate(class_names) for file in test_files.get(name, [])]
        if not test and not wrong:
            raise DataError(
                f"{split.test} holds no image to test with{_of(left_out)}; put images into its class folders, "
                "or remove it: a fifth of each class is the test set then"
            )
    else:
        train, test = _fifth(list(by_class.values()))
        if not test and not wrong:
            raise DataError(
                f"each class in {path} has one image, which is needed for training; add images, or a test folder"
            )
    names = [item.path for item in (*train, *test)]
    values = _contents(path, names, wrong)
    untested = sorted(set(range(len(class_names))) - {item.target for item in test})
    if untested:
        left_out.sentences.append(
            f"{', '.join(repr(printable(class_names[target])) for target in untested)} of the test set, for which "
            f"{'they have' if len(untested) > 1 else 'it has'} no image"
        )
    return Listing(
        digest=contents.of_set(names, values),
        class_names=_texts(path, class_names),
        train=tuple(train),
        test=tuple(test),
        contents=tuple(values),
        left_out=left_out.text(path),
    )


def _contents(path: Path, names: list[str], wrong: list[str]) -> list[str]:
    """Digests of the files; where anything is wrong, all that is: what was found before, and of the files."""
    try:
        values = contents.digests(path, names)
        if not wrong:
            return values
        places: Collection[int] = ()
    except Unusable as error:
        wrong = [*wrong, *error.sentences]
        places = error.places
        values = contents.digests(path, [name for place, name in enumerate(names) if place not in places])
    wrong = list(dict.fromkeys(wrong))  # a folder that is looked at twice
    raise Unusable(path, [*wrong, *_no_images(path, tuple(names), tuple(values), frozenset(places))])


@functools.lru_cache(maxsize=4)
def _no_images(path: Path, names: tuple[str, ...], values: tuple[str, ...], skip: frozenset[int]) -> tuple[str, ...]:
    """A sentence for each file that is no image; `values` stand for what is in the files, so they are read once."""
    from ltlib.datasets.pictures import undecodable

    return tuple(undecodable(path, names, IMAGE_SIZE, skip).values())


def _require_folder(path: Path) -> None:
    """Refuse a path that is no folder, with what there is instead."""
    if path.is_dir():
        return
    helps = "give the folder that holds one folder of images per class"
    place = Path(os.path.abspath(path))  # noqa: PTH100 - without following links
    if place.is_file():
        packed = place.name.lower().endswith((".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar"))
        raise DataError(f"{place} is a file; {'unpack it and ' * packed}{helps}")
    if place.is_symlink():
        raise DataError(f"{place} is a link to {place.readlink()}, which is not there; restore that or {helps}")
    near = next(parent for parent in place.parents if parent.is_dir())
    raise DataError(f"{place} is not a folder; {helps} (the nearest folder that exists is {near})")


def _empty(folder: Path, name: str, left_out: LeftOut) -> str:
    return f"class {name!r} in {folder} has no image{_of(left_out, f'{name}/')}; add images to it or remove its folder"


def _check_classes(folder: Path, by_class: dict[str, list[str]]) -> None:
    if len(by_class) < 2:
        inside = f", or give {folder / next(iter(by_class))} if that holds the class folders" if by_class else ""
        raise DataError(
            f"{folder} holds {len(by_class)} class folder(s) with images, at least two are needed; "
            f"put the images of each class in a folder of its own{inside}"
        )


def _of(left_out: LeftOut, part: str = "") -> str:
    """How many pictures in a part of the set are not read, for a sentence that says that there is none."""
    files = [file for found in left_out.pictures.values() for file in found if part in file]
    if not files:
        return ""
    return f" that is read ({len(files)} in other formats, such as {files[0]}; convert them to JPEG or PNG)"


def _fifth(by_class: Sequence[Sequence[str]]) -> tuple[list[Item], list[Item]]:
    """Training and test images, the latter a fixed stratified fifth."""
    from ltlib.datasets.subsets import random_order

    train, test = list[Item](), list[Item]()
    for target, files in enumerate(by_class):
        order = random_order(len(files), SPLIT_SEED, target, 2)
        size = min(max(1, (2 * len(files) + 5) // 10), len(files) - 1)  # a fifth; one image stays in training
        test += [Item(files[place], target) for place in sorted(order[:size])]
        train += [Item(files[place], target) for place in sorted(order[size:])]
    return train, test


def _texts(path: Path, names: tuple[str, ...]) -> tuple[str, ...]:
    """Names of folders as texts that can be printed and stored, whatever bytes they are."""
    texts = tuple(map(printable, names))
    if len(set(texts)) < len(texts):
        twice = next(text for place, text in enumerate(texts) if text in texts[:place])
        raise DataError(f"{path} holds two folders that are both written {twice!r}; rename one")
    return texts


def read(path: Path, size: int = IMAGE_SIZE) -> Source:
    """Read an image folder: every image RGB, `size` x `size` (see `pictures.decode`). Warns of what is left out.

    Raises:
        DataError: As `scan`; or images that cannot be read, each named with its place in the list.
    """
    listing = scan(path)
    listing.warn()
    return _read(path.resolve(), size, listing)


@functools.lru_cache(maxsize=1)
def _read(path: Path, size: int, listing: Listing) -> Source:
    import numpy as np

    from ltlib.datasets.images import ImageSet, Source
    from ltlib.datasets.pictures import read_all

    items = (*listing.train, *listing.test)
    images = read_all(path, [item.path for item in items], size, listing.contents)
    targets = np.array([item.target for item in items], np.int64)
    cut = len(listing.train)
    return Source(
        ImageSet(images[:cut], targets[:cut], listing.class_names),
        ImageSet(images[cut:], targets[cut:], listing.class_names),
    )


def problems(path: Path, items: Sequence[Item]) -> list[str]:
    """Try to read every image; one sentence for each that cannot be."""
    from ltlib.datasets.pictures import undecodable

    found = undecodable(path, [item.path for item in items], IMAGE_SIZE)
    return [found[place] for place in sorted(found)]

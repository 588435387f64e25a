"""The butterfly set of `convergent`, in the layout Kaggle gives it, and its quick twin made of digits.

The layout: ``Training_set.csv`` with the columns filename and label, and the images in ``train/``. The first eight
listed images of each class are the test set, the others the training set (`convergent`, section 3.3); classes in
alphabetical order. The images, 224x224, are resized to 64x64 (section 3.3.1).
"""

from __future__ import annotations

import csv
import functools
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ltlib.datasets.folders import Item
from ltlib.datasets.images import ImageSet, Source
from ltlib.datasets.pictures import read_all
from ltlib.errors import DataError
from ltlib.files import new_folder

LIST = "Training_set.csv"
TEST_IMAGES = 8  # per class, the first listed


class Listed(NamedTuple):
    """What a known copy lists."""

    images: int
    classes: int


BUTTERFLY = Listed(6_499, 75)


def find(root: Path) -> Path | None:
    """The set's folder: ``butterfly`` in the data folder, or that folder itself; None where there is no list."""
    return next((folder for folder in (root / "butterfly", root) if (folder / LIST).is_file()), None)


def require(root: Path) -> Path:
    """`find`, or the sentence that says how to get the set.

    Raises:
        DataError: The set is not there.
    """
    folder = find(root)
    if folder is None:
        raise DataError(
            f"butterfly is not there: download 'Butterfly Image Classification' by phucthaiv02 from Kaggle "
            f"(75 classes, 6,499 listed images) and unpack it so that {root / 'butterfly' / LIST} and the folder train "
            "beside it exist"
        )
    return folder


def scan(folder: Path) -> tuple[tuple[str, ...], list[Item]]:
    """Class names in alphabetical order, and the listed images in the order of the list.

    Raises:
        DataError: The list is missing its columns, has no rows, or names a file twice or outside ``train``.
    """
    path = folder / LIST
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            rows = list(csv.DictReader(stream))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read as a list of images ({error})") from error
    if not rows or any(not row.get("filename") or not row.get("label") for row in rows):
        raise DataError(f"{path} must list images in the columns filename and label, every row with both")
    files = [row["filename"] for row in rows]
    strange = next((name for name in files if name in (".", "..") or "/" in name or "\\" in name), None)
    if strange is not None:
        raise DataError(f"{path} names {strange!r}, which is not a plain file name in train")
    if len(set(files)) < len(files):
        twice = next(name for place, name in enumerate(files) if name in files[:place])
        raise DataError(f"{path} lists {twice!r} twice; remove one of the rows")
    names = tuple(sorted({row["label"] for row in rows}))
    number = {name: target for target, name in enumerate(names)}
    return names, [Item(f"train/{row['filename']}", number[row["label"]]) for row in rows]


def read(folder: Path, size: int, listed: Listed | None = None) -> Source:
    """Read a set in this layout.

    Args:
        folder: Holds the list and ``train``.
        size: Height and width of the images, in pixels.
        listed: What the list must hold; None accepts any.

    Raises:
        DataError: As `scan`; another copy than the known one; a class with no image left to train on; an image that is
            missing or cannot be read.
    """
    names, items = scan(folder)
    if listed is not None and (len(items), len(names)) != listed:
        raise DataError(
            f"{folder / LIST} lists {len(items):,} images of {len(names)} classes, the known set has {listed.images:,} "
            f"of {listed.classes}; get the whole set, or read yours as an image folder with folder:PATH"
        )
    for target, name in enumerate(names):
        count = sum(item.target == target for item in items)
        if count <= TEST_IMAGES:
            raise DataError(
                f"class {name!r} in {folder / LIST} has {count} images; it needs more than the {TEST_IMAGES} "
                "that go to the test set"
            )
    return _read(folder.resolve(), size, names, tuple(items))


@functools.lru_cache(maxsize=1)
def _read(folder: Path, size: int, names: tuple[str, ...], items: tuple[Item, ...]) -> Source:
    images = read_all(folder, [item.path for item in items], size)
    targets = np.array([item.target for item in items], np.int64)
    test = np.sort(np.concatenate([np.flatnonzero(targets == c)[:TEST_IMAGES] for c in range(len(names))]))
    train = np.setdiff1d(np.arange(len(targets)), test)
    return Source(ImageSet(images[train], targets[train], names), ImageSet(images[test], targets[test], names))


def write_digits(place: Path) -> Path:
    """Write scikit-learn's digits once as PNG files in this layout: something small for the real loader to read.

    Args:
        place: The folder to make; a whole one is left as it is, an incomplete one is written anew.

    Returns:
        `place`.
    """
    from ltlib.datasets.download import lock

    pixels, targets = _digits()
    if _whole(place, len(targets)):
        return place
    with lock(place.parent, place.name):
        if not _whole(place, len(targets)):
            from PIL import Image

            with new_folder(place) as folder:
                (folder / "train").mkdir()
                rows = ["filename,label"]
                for index, (image, target) in enumerate(zip(pixels, targets, strict=True)):
                    Image.fromarray(image).save(folder / "train" / f"Image_{index + 1}.png")
                    rows.append(f"Image_{index + 1}.png,{target}")
                (folder / LIST).write_text("\n".join(rows) + "\n", encoding="utf-8")
    return place


def _digits() -> tuple[np.ndarray, np.ndarray]:
    from ltlib.datasets.digits import arrays

    return arrays()


def _whole(place: Path, images: int) -> bool:
    return (place / LIST).is_file() and sum(1 for _ in place.glob("train/Image_*.png")) == images

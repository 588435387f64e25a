"""The butterfly set of `convergent`, in the layout Kaggle gives it.

The layout: ``Training_set.csv`` with the columns filename and label, and the images in ``train/``. The first eight
listed images of each class are the test set, the others the training set (`convergent`, section 3.3); classes in
alphabetical order. The images, 224x224, are resized to 64x64 (section 3.3.1).
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING

from ltlib.datasets import contents, folders
from ltlib.datasets.base import DATASETS, DatasetBuilder, DatasetInfo
from ltlib.datasets.folders import Item
from ltlib.errors import DataError
from ltlib.files import digest

if TYPE_CHECKING:
    from ltlib.datasets.images import Source

LIST = "Training_set.csv"
TEST_IMAGES = 8  # per class, the first listed


@DATASETS.register("butterfly", source="butterfly; convergent section 3.3")
class Butterfly(DatasetBuilder):
    """75 classes of photographs; a person must download them, no address serves them without an account."""

    def info(self) -> DatasetInfo:
        return DatasetInfo(
            name=self.name,
            num_classes=75,
            image_size=64,
            train_images=5_899,
            test_images=600,
            digest=digest(
                "butterfly: Kaggle phucthaiv02, 75 classes, 6499 listed; first eight per class to test; 64 pixels"
            ),
            flips=True,
            citation="phucthaiv02, Butterfly Image Classification, Kaggle",
            where="download 'Butterfly Image Classification' by phucthaiv02 from Kaggle and unpack it into "
            "the folder butterfly of the data folder (Training_set.csv and train/)",
        )

    def available(self, root: Path) -> bool:
        return find(root) is not None

    def read(self, root: Path, fetch: bool = False) -> Source:
        info = self.info()
        return read(require(root), info.image_size, (info.train_images + info.test_images, info.num_classes))

    def problems(self, root: Path) -> list[str]:
        folder = require(root)
        contents.forget(folder)
        return folders.problems(folder, scan(folder)[1])


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
    import csv

    path = folder / LIST
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            rows = list(csv.DictReader(stream))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            f"{path} cannot be read as a list of images ({error}); save it as CSV in UTF-8, readable by you"
        ) from error
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


def read(folder: Path, size: int, listed: tuple[int, int] | None = None) -> Source:
    """Read a set in this layout.

    Args:
        folder: Holds the list and ``train``.
        size: Height and width of the images, in pixels.
        listed: How many images of how many classes the list must hold; None accepts any.

    Raises:
        DataError: As `scan`; another copy than the known one; a class with no image left to train on; an image that is
            missing or cannot be read.
    """
    names, items = scan(folder)
    if listed is not None and (len(items), len(names)) != listed:
        raise DataError(
            f"{folder / LIST} lists {len(items):,} images of {len(names)} classes, the known set has {listed[0]:,} "
            f"of {listed[1]}; get the whole set, or read yours as an image folder with folder:PATH"
        )
    for target, name in enumerate(names):
        count = sum(item.target == target for item in items)
        if count <= TEST_IMAGES:
            raise DataError(
                f"class {name!r} in {folder / LIST} has {count} images; it needs more than the {TEST_IMAGES} "
                "that go to the test set; list more of it, or none"
            )
    values = contents.digests(folder, [item.path for item in items])
    return _read(folder.resolve(), size, names, tuple(items), tuple(values))


@functools.lru_cache(maxsize=1)
def _read(folder: Path, size: int, names: tuple[str, ...], items: tuple[Item, ...], values: tuple[str, ...]) -> Source:
    import numpy as np

    from ltlib.datasets.images import ImageSet, Source
    from ltlib.datasets.pictures import read_all

    images = read_all(folder, [item.path for item in items], size, values)
    targets = np.array([item.target for item in items], np.int64)
    test = np.sort(np.concatenate([np.flatnonzero(targets == c)[:TEST_IMAGES] for c in range(len(names))]))
    train = np.setdiff1d(np.arange(len(targets)), test)
    listed = (f"{item.path}\t{names[item.target]}\t{value}" for item, value in zip(items, values, strict=True))
    return Source(
        ImageSet(images[train], targets[train], names),
        ImageSet(images[test], targets[test], names),
        digest("\n".join(listed)),
    )

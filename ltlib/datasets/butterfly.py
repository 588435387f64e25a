"""The butterfly set of `convergent`, in the layout Kaggle gives it.

The layout: ``Training_set.csv`` with the columns filename and label, and the images in ``train/``. The first eight
listed images of each class are the test set, the others the training set (`convergent`, section 3.3); classes in
alphabetical order. The images, 224x224, are resized to 64x64 (section 3.3.1).
"""

from __future__ import annotations

from pathlib import Path

from ltlib.datasets.base import DATASETS
from ltlib.datasets.own_files import Item
from ltlib.datasets.photographs import Found, Photographs
from ltlib.errors import DataError

LIST = "Training_set.csv"
TEST_IMAGES = 8  # per class, the first listed


@DATASETS.register("butterfly", source="butterfly; convergent section 3.3")
class Butterfly(Photographs):
    """75 classes of photographs; a person must download them, no address serves them without an account."""

    identity = "butterfly: Kaggle phucthaiv02, 75 classes, 6499 listed; first eight per class to test"
    places = ("butterfly", "")
    inside = LIST
    image_size = 64
    listed = (6_499, 75)  # images and classes
    citation = "phucthaiv02, Butterfly Image Classification, Kaggle"
    where = (
        "download 'Butterfly Image Classification' by phucthaiv02 from Kaggle and unpack it into the folder butterfly "
        "of the data folder (Training_set.csv and train/)"
    )

    def counted(self) -> tuple[int, int, int]:
        images, classes = self.listed
        return classes, images - TEST_IMAGES * classes, TEST_IMAGES * classes

    def scan(self, folder: Path) -> Found:
        """Class names in alphabetical order, and the listed images in the order of the list.

        Raises:
            DataError: The list is missing its columns, has no rows, or names a file twice or outside ``train``.
        """
        rows = _rows(folder / LIST)
        names = tuple(sorted({label for _, label in rows}))
        of_class: dict[str, list[int]] = {name: [] for name in names}
        for place, (_, label) in enumerate(rows):
            of_class[label].append(place)
        faults = [
            f"class {name!r} in {folder / LIST} has {len(places)} images; it needs more than the {TEST_IMAGES} "
            "that go to the test set; list more of it, or none"
            for name, places in of_class.items()
            if len(places) <= TEST_IMAGES
        ]
        images, classes = self.listed
        if (len(rows), len(names)) != self.listed:
            faults.insert(
                0,
                f"{folder / LIST} lists {len(rows):,} images of {len(names)} classes, the known set has {images:,} of "
                f"{classes}; get the whole set, or read yours as an image folder with folder:PATH",
            )
        number = {name: target for target, name in enumerate(names)}
        items = tuple(Item(f"train/{file}", number[label]) for file, label in rows)
        test = tuple(sorted(place for places in of_class.values() for place in places[:TEST_IMAGES]))
        return Found(names, items, test, tuple(faults))


def _rows(path: Path) -> list[tuple[str, str]]:
    """File name and label of each listed image."""
    import csv

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
    return [(row["filename"], row["label"]) for row in rows]

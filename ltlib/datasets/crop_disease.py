"""The AI Challenger 2018 crop diseases of `cefl` (section IV.A.2), in the layout of the competition.

In the folder ``crop_disease`` of the data folder: ``AgriculturalDisease_trainingset`` with ``images/`` and
``AgriculturalDisease_train_annotations.json``, and ``AgriculturalDisease_validationset`` likewise. Annotations are a
list of ``{"disease_class": 44, "image_id": "name.jpg"}``. The competition's validation images are the test set here, as
they are in the document.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from ltlib.datasets.base import DATASETS
from ltlib.datasets.own_files import Item
from ltlib.datasets.photographs import Found, Photographs, images_in
from ltlib.errors import DataError

FOLDERS = ("AgriculturalDisease_trainingset", "AgriculturalDisease_validationset")
LISTS = (
    f"{FOLDERS[0]}/AgriculturalDisease_train_annotations.json",
    f"{FOLDERS[1]}/AgriculturalDisease_validation_annotations.json",
)


@DATASETS.register("crop_disease", source="AI Challenger 2018; cefl section IV.A.2")
class CropDisease(Photographs):
    """61 classes of leaves by species, disease and degree, long-tailed as they are; to be downloaded by a person.

    Attributes:
        classes: How many classes; they are called by their numbers, which is all that the lists give.
        listed: Images of the training and of the validation list.
    """

    identity = "crop_disease: AI Challenger 2018, 61 classes, 31718 training and 4540 validation images listed"
    places = ("crop_disease",)
    inside = LISTS[0]
    classes = 61
    listed = (31_718, 4_540)
    citation = "AI Challenger 2018, Crop Disease Detection"
    where = (
        "get the training and validation sets of AI Challenger 2018's crop disease detection (pdr2018; the competition "
        "is closed, people have put copies on Kaggle) and unpack them into the folder crop_disease of the data folder "
        f"({FOLDERS[0]} and {FOLDERS[1]})"
    )

    def counted(self) -> tuple[int, int, int]:
        return self.classes, *self.listed

    def scan(self, folder: Path) -> Found:
        """
        Raises:
            DataError: A list that is missing or is no such list.
        """
        items, faults, remarks = list[Item](), list[str](), list[str]()
        parts = [_rows(folder / name) for name in LISTS]
        for part, name, rows, known in zip(FOLDERS, LISTS, parts, self.listed, strict=True):
            path, there = folder / name, set(images_in(folder / part / "images"))
            if len(rows) != known:
                faults.append(
                    f"{path} lists {len(rows):,} images, the known set has {known:,}; get the whole set, or read yours "
                    "as an image folder with folder:PATH"
                )
            faults += _faults(path, rows, there, self.classes)
            twice = [file for file, times in Counter(file for file, _ in rows).items() if times > 1]
            remarks += [f"{path} lists {file!r} more than once, and so it is read" for file in twice]
            if unlisted := len(there - {file for file, _ in rows}):
                remarks.append(f"{folder / part / 'images'} holds {unlisted:,} images that are not listed and not read")
            items += [Item(f"{part}/images/{file}", target) for file, target in rows]
        names = tuple(map(str, range(self.classes)))
        test = tuple(range(len(parts[0]), len(items)))
        return Found(names, tuple(items), test, tuple(faults), tuple(remarks))


def _rows(path: Path) -> list[tuple[str, int]]:
    """File name and class of each listed image."""
    try:
        rows = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read as a list of images ({error}); get it again") from error
    if not isinstance(rows, list) or not rows or not all(map(_is_row, rows)):
        raise DataError(f'{path} must be a list of {{"disease_class": number, "image_id": file name}}; get it again')
    return [(row["image_id"], row["disease_class"]) for row in rows]


def _is_row(row: Any) -> bool:
    if not isinstance(row, dict) or type(row.get("disease_class")) is not int:
        return False
    name = row.get("image_id")
    return isinstance(name, str) and bool(name) and name not in (".", "..") and not {"/", "\\", "\0"} & set(name)


def _faults(path: Path, rows: list[tuple[str, int]], there: set[str], classes: int) -> list[str]:
    """What is wrong with single rows of a list."""
    targets: dict[str, set[int]] = {}
    for file, target in rows:
        targets.setdefault(file, set()).add(target)
    faults = []
    for file, given in targets.items():
        if file not in there:
            faults.append(f"{path} lists {file!r}, which is no image in {path.parent / 'images'}; restore it")
        if outside := [target for target in sorted(given) if not 0 <= target < classes]:
            faults.append(f"{path} gives {file!r} the class {outside[0]}; classes go from 0 to {classes - 1}")
        elif len(given) > 1:
            several = ", ".join(map(str, sorted(given)))
            faults.append(f"{path} lists {file!r} more than once, with the classes {several}; keep one")
    return faults

"""The quick twins of the sets of photographs: embedded digits on disk in a set's layout, read by that set's own loader.

A twin is a class on `DigitsOnDisk` and the set's class, with smaller numbers. Its files are written once, to ``cache``
in the reports folder; afterwards scikit-learn is not needed to find them whole.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ltlib.datasets.base import DatasetInfo
from ltlib.datasets.digits import CITATION, MEAN, STD, arrays
from ltlib.datasets.photographs import Photographs
from ltlib.files import new_folder
from ltlib.places import reports_folder

if TYPE_CHECKING:
    from ltlib.datasets.images import Source

SOURCE = "Alpaydin and Kaynak 1998; Pedregosa et al. 2011"
Scan = tuple[int | None, int]
"""A scan of the embedded set: a digit and the place among its scans; without a digit, the place among all."""


class DigitsOnDisk(Photographs):
    """A set of photographs whose images are scikit-learn's digits; comes before the set's own class.

    Attributes:
        lists: Names of its files that are no images, written by `text`.
    """

    sized = False
    image_size = 8
    flips = False
    mean = MEAN
    std = STD
    citation = CITATION
    where = "written from scikit-learn's digits when it is first used"
    lists: tuple[str, ...] = ()

    def files(self) -> Mapping[str, Scan]:
        """Its image files, as paths inside its folder, and which scan each one is."""
        raise NotImplementedError(f"{type(self).__name__} must say what it writes: files(self)")

    def text(self, name: str, targets: Sequence[int]) -> str:
        """What is in one of `lists`, given the digit of each scan of the embedded set."""
        raise NotImplementedError(f"{type(self).__name__} must say what is in {name}: text(self, name, targets)")

    def info(self) -> DatasetInfo:
        return Photographs.info(self)  # what lies in the data folder plays no part

    def available(self, root: Path) -> bool:
        return True

    def fetch(self, root: Path) -> None:
        self.find(root)

    def find(self, root: Path) -> Path:
        """The set's folder; a whole one is left as it is, an incomplete one is written anew."""
        from ltlib.datasets.download import lock

        place = reports_folder() / "cache" / self.name
        files = self.files()
        whole = {*files, *self.lists}
        if _inside(place) != whole:
            with lock(place.parent, place.name, "LTLIB_REPORTS"):
                if _inside(place) != whole:
                    self._write(place, files)
        return place

    def _write(self, place: Path, files: Mapping[str, Scan]) -> None:
        import numpy as np
        from PIL import Image

        pixels, targets = arrays()
        of_digit: dict[int | None, np.ndarray] = {digit: np.flatnonzero(targets == digit) for digit in range(10)}
        of_digit[None] = np.arange(len(targets))
        with new_folder(place) as folder:
            for parent in {(folder / name).parent for name in (*files, *self.lists)}:
                parent.mkdir(parents=True, exist_ok=True)
            for name, (digit, rank) in files.items():
                Image.fromarray(pixels[of_digit[digit][rank]]).save(folder / name)
            for name in self.lists:
                (folder / name).write_text(self.text(name, targets.tolist()), encoding="utf-8")

    def read(self, root: Path, fetch: bool = False) -> Source:
        """As the set it is a twin of; the pixels are known, and how they are packed differs between versions of PIL."""
        return replace(super().read(root, fetch), contents="")

    def repair(self) -> str:
        return f"delete {reports_folder() / 'cache' / self.name}; it is written anew"


def class_folders(sizes: Mapping[int, int]) -> dict[str, Scan]:
    """A folder of scans for each digit: ``3/image_0001.png``.

    Args:
        sizes: How many of each digit.
    """
    return {f"{digit}/image_{rank + 1:04}.png": (digit, rank) for digit, n in sizes.items() for rank in range(n)}


def _inside(place: Path) -> set[str]:
    """Every file below a folder, relative to it, with ``/``; none where it is not there."""
    top = os.fspath(place)
    return {
        os.path.relpath(os.path.join(folder, name), top).replace(os.sep, "/")  # noqa: PTH118 - each time it is read
        for folder, _, names in os.walk(top)
        for name in names
    }

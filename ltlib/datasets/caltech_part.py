"""The caltech PART of `loss_balance` (Table 1): eight classes of Caltech-101.

The document names no class; its eight training counts plus the hundred test images of each are the sizes of these eight
Caltech-101 classes. The layout is torchvision's: ``caltech101/101_ObjectCategories/CLASS/image_0001.jpg``. Files of any
image format are taken, so that a smaller copy can lie there; what is in them is part of a run's record.
"""

from __future__ import annotations

from pathlib import Path

from ltlib.datasets.base import DATASETS
from ltlib.datasets.own_files import Item
from ltlib.datasets.photographs import Found, Photographs, images_in, places_of, seeded
from ltlib.errors import DataError


@DATASETS.register("caltech_part", source="Fei-Fei et al. 2004; loss_balance Table 1")
class CaltechPart(Photographs):
    """Eight classes of Caltech-101 with the printed training counts, 100 test images each by a fixed seeded choice.

    Attributes:
        class_names: The class folders, in the order of the document's columns.
        counts: Training images of each.
        tests: Test images of each.
    """

    identity = (
        "caltech_part: Caltech-101, chandelier 107, Faces_easy 435, ketch 114, Leopards 200, airplanes 800, "
        "Motorbikes 798, watch 239, bonsai 128; 100 test images per class, split seed 0"
    )
    places = ("caltech101/101_ObjectCategories",)
    class_names: tuple[str, ...] = (
        *("chandelier", "Faces_easy", "ketch", "Leopards"),
        *("airplanes", "Motorbikes", "watch", "bonsai"),
    )
    counts: tuple[int, ...] = (7, 335, 14, 100, 700, 698, 139, 28)
    tests = 100
    citation = 'L. Fei-Fei, R. Fergus, P. Perona, "Caltech 101", CaltechDATA, doi:10.22002/D1.20086'
    where = (
        "ltlib data download caltech_part (all of Caltech-101, by way of torchvision), or unpack its "
        "101_ObjectCategories into the folder caltech101 of the data folder"
    )

    def counted(self) -> tuple[int, int, int]:
        return len(self.counts), sum(self.counts), self.tests * len(self.counts)

    def scan(self, folder: Path) -> Found:
        items, tested, faults = list[Item](), list[bool](), list[str]()
        for target, (name, count) in enumerate(zip(self.class_names, self.counts, strict=True)):
            known = count + self.tests
            files = images_in(folder / name)
            if len(files) != known:
                faults.append(
                    f"class {name} in {folder} has {len(files):,} images, the known set has {known:,}; "
                    f"{self.repair()}, or read yours as an image folder with folder:PATH"
                )
                continue
            chosen, test = seeded([f"{name}/{file}" for file in files], target, self.tests)
            items, tested = items + chosen, tested + test
        return Found(self.class_names, tuple(items), places_of(tested), tuple(faults))

    def repair(self) -> str:
        return "ltlib data download caltech_part puts the known set in its place"

    def fetch(self, root: Path) -> None:
        """Download Caltech-101; a damaged or incomplete copy is replaced, a whole one is left as it is.

        Raises:
            DataError: The download failed; what is there is as it was.
        """
        from ltlib.datasets import download

        with download.lock(root, "caltech101"):
            if not self.available(root) or self.problems(root):
                _download(root / self.places[0])


def _download(place: Path) -> None:
    """Put at `place` the folder that torchvision downloads; it knows the archive's checksum."""
    import contextlib
    import shutil
    import sys
    import tarfile
    import zipfile
    from http.client import HTTPException

    from torchvision.datasets import Caltech101

    from ltlib.files import new_folder

    try:
        with new_folder(place) as folder:
            with contextlib.redirect_stdout(sys.stderr):
                Caltech101(folder, download=True)
            fetched = folder / "caltech101"
            for path in (fetched / place.name).iterdir():
                path.rename(folder / path.name)
            shutil.rmtree(fetched)
    except (OSError, HTTPException, RuntimeError, ValueError, zipfile.BadZipFile, tarfile.TarError) as error:
        why = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
        raise DataError(
            f"Caltech-101 could not be downloaded ({why}); try again, or unpack its 101_ObjectCategories to {place} "
            "yourself"
        ) from error

"""The ILSVRC PART1 and PART2 of `loss_balance` (Table 1): nine classes with the printed counts, 150 test images each.

Any image folder is the source: the folder ``ilsvrc`` of the data folder, with the class folders in it or in ``train``.
The document names no class. ``ilsvrc/part1.txt`` and ``part2.txt`` may: nine folder names, a line each, in the order of
the table's columns. Without such a file each column takes the first folder, in sorted order, that has images enough and
that no column before it has.

A list is part of what identifies a run: where it is there, its names are in the set's digest. Without one the digest
says nothing of names, so that plans need no data on disk; which folders were taken, and what was in them, is in a run's
record then (`Source.contents`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from ltlib.datasets import listing
from ltlib.datasets.base import DATASETS, DatasetInfo
from ltlib.datasets.own_files import Item
from ltlib.datasets.photographs import Found, Photographs, images_in, places_of, seeded
from ltlib.errors import DataError, printable
from ltlib.files import digest
from ltlib.places import data_folder

Take = Callable[[int], tuple[str, list[str]] | None]
"""The folder for a column that needs so many images, with its files; None where there is none."""


class _Part(Photographs):
    """Nine classes of an image folder, by the counts of a line of the table.

    Attributes:
        part: The list's name.
        counts: Training images of each class.
        tests: Test images of each class.
    """

    places = ("ilsvrc/train", "ilsvrc")
    part: str
    counts: tuple[int, ...]
    tests = 150
    citation = "O. Russakovsky et al., ImageNet Large Scale Visual Recognition Challenge, IJCV 115, 2015"

    @property
    def where(self) -> str:  # type: ignore[override]
        return (
            "get the ILSVRC training images (image-net.org, with an account) and put the class folders into the folder "
            f"ilsvrc/train of the data folder; ilsvrc/{self.part}.txt may name the nine to take"
        )

    def counted(self) -> tuple[int, int, int]:
        return len(self.counts), sum(self.counts), self.tests * len(self.counts)

    def info(self) -> DatasetInfo:
        """Looks at the list of classes in the data folder, and at nothing else there.

        Raises:
            DataError: It is no list of nine names.
        """
        known = super().info()
        names = self._listed(data_folder() / "ilsvrc")
        if names is None:
            return known
        return replace(
            known, digest=digest("\n".join([known.digest, *names])), class_names=tuple(map(printable, names))
        )

    def _listed(self, folder: Path) -> tuple[str, ...] | None:
        """The names in the list of classes, or None where there is no list."""
        path, classes = folder / f"{self.part}.txt", len(self.counts)
        try:
            lines = path.read_text(encoding="utf-8-sig").splitlines()
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"{path} cannot be read ({error}); save it as UTF-8, readable by you") from error
        names = tuple(filter(None, map(str.strip, lines)))
        if len(set(names)) != classes or len(names) != classes or any("/" in name or "\\" in name for name in names):
            raise DataError(
                f"{path} must name {classes} different class folders, a line each; it has {len(names)} lines"
            )
        return names

    def scan(self, folder: Path) -> Found:
        names = self._listed(folder.parent if folder.name == "train" else folder)
        take = _first(folder) if names is None else _named(folder, names)
        class_names, items, tested, faults = list[str](), list[Item](), list[bool](), list[str]()
        for target, count in enumerate(self.counts):
            found = take(count + self.tests)
            if found is None:
                which = f"class {names[target]} in {folder}" if names else f"no (further) class folder in {folder}"
                faults.append(
                    f"{which} has {'not ' if names else ''}the {count + self.tests:,} images that C{target + 1} needs "
                    f"({count:,} to train, {self.tests} to test); "
                    + (f"name another in {self.part}.txt" if names else "put larger ones there")
                )
                continue
            name, files = found
            chosen, test = seeded([f"{name}/{file}" for file in files], target, self.tests, count)
            class_names.append(printable(name))
            items, tested = items + chosen, tested + test
        return Found(tuple(class_names), tuple(items), places_of(tested), tuple(faults))


def _named(folder: Path, names: tuple[str, ...]) -> Take:
    left = iter(names)

    def take(wanted: int) -> tuple[str, list[str]] | None:
        name = next(left)
        files = images_in(folder / name)
        return (name, files) if len(files) >= wanted else None

    return take


def _first(folder: Path) -> Take:
    def each() -> Iterator[tuple[str, list[str]]]:
        yield from ((name, images_in(folder / name)) for name in listing.folders_in(folder))

    unseen, passed = each(), list[tuple[str, list[str]]]()  # a thousand folders, of which nine are needed

    def take(wanted: int) -> tuple[str, list[str]] | None:
        for place, (_, files) in enumerate(passed):
            if len(files) >= wanted:
                return passed.pop(place)
        for name, files in unseen:
            if len(files) >= wanted:
                return name, files
            passed.append((name, files))
        return None

    return take


@DATASETS.register("ilsvrc_part1", source="Russakovsky et al. 2015; loss_balance Table 1")
class IlsvrcPart1(_Part):
    """Nine ImageNet classes with the training counts of the table's second line, 150 test images each."""

    part = "part1"
    counts: tuple[int, ...] = (100, 400, 200, 700, 50, 689, 423, 17, 10)
    identity = "ilsvrc_part1: class folders, 100+400+200+700+50+689+423+17+10; 150 test images per class, split seed 0"


@DATASETS.register("ilsvrc_part2", source="Russakovsky et al. 2015; loss_balance Table 1")
class IlsvrcPart2(_Part):
    """Nine ImageNet classes with the training counts of the table's third line, 150 test images each."""

    part = "part2"
    counts: tuple[int, ...] = (200, 100, 700, 650, 400, 1100, 10, 50, 1000)
    identity = (
        "ilsvrc_part2: class folders, 200+100+700+650+400+1100+10+50+1000; 150 test images per class, split seed 0"
    )

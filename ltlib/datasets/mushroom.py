"""The mushrooms of `cefl` (section IV.A.3): nine genera, one folder each, as Kaggle has them.

300 images of each genus, by a fixed seeded choice, are the test set and the others train. Kaggle's folders hold 311
(Suillus) to 1,563 images (Lactarius), 6,714 in all, so the rarest genera train on 11, 16, 53 and 64 images. A copy's
folder of 300 or fewer gives half of its images, and `remarks` names it. Any number of images is read; where it is not
the 5,614 that the document counts, which may be a slip for 6,714, `remarks` says so too.
"""

from __future__ import annotations

from pathlib import Path

from ltlib.datasets.base import DATASETS
from ltlib.datasets.listing import LeftOut, class_files
from ltlib.datasets.own_files import Item
from ltlib.datasets.photographs import Found, Photographs, places_of, seeded


@DATASETS.register("mushroom", source="mushrooms; cefl section IV.A.3")
class Mushroom(Photographs):
    """Nine genera of mushrooms, 300 test images each, of a smaller folder half; to be downloaded by a person.

    Attributes:
        class_names: The folders, in alphabetical order.
        tests: Test images of each.
        images: Images that the known set has in all.
        printed: Images that the document counts.
    """

    identity = (
        "mushroom: Kaggle common genus's images, nine genera; 300 test images per class, half of a smaller one, "
        "split seed 0"
    )
    places = ("mushroom", "mushroom/Mushrooms")
    class_names: tuple[str, ...] = (
        *("Agaricus", "Amanita", "Boletus", "Cortinarius", "Entoloma"),
        *("Hygrocybe", "Lactarius", "Russula", "Suillus"),
    )
    tests = 300
    images = 6_714
    printed = 5_614
    citation = "maysee, Mushrooms classification - Common genus's images, Kaggle"
    where = (
        "download 'Mushrooms classification - Common genus's images' by maysee from Kaggle and unpack it so that "
        "mushroom/Agaricus and the other eight genera lie in the data folder; remove Russula/092_43B354vYxm8.jpg, "
        "which is cut short in Kaggle's copy"
    )

    @property
    def inside(self) -> str:  # type: ignore[override]
        return self.class_names[0]

    def counted(self) -> tuple[int, int, int]:
        """Of the known set."""
        test = self.tests * len(self.class_names)
        return len(self.class_names), self.images - test, test

    def scan(self, folder: Path) -> Found:
        left_out = LeftOut()
        by_class = class_files(folder, folder, left_out)
        items, tested, faults, remarks = list[Item](), list[bool](), list[str](), list[str]()
        for target, name in enumerate(self.class_names):
            files = by_class.pop(name, [])
            if not files:
                faults.append(f"{folder / name} holds no image; get the whole set, or read yours with folder:PATH")
            taken = self.tests if len(files) > self.tests else len(files) // 2
            if files and taken < self.tests:
                remarks.append(
                    f"{name} has {len(files):,} images: half of them, {taken:,}, are its test set, not {self.tests}"
                )
            chosen, test = seeded(files, target, taken)
            items, tested = items + chosen, tested + test
        if others := [name for name, files in by_class.items() if files]:
            left_out.sentences.append(f"the folders {', '.join(others)}, which are none of the {len(self.class_names)}")
        if len(items) != self.printed:
            remarks.append(f"{folder} holds {len(items):,} images, the document counts {self.printed:,}")
        remarks += filter(None, [left_out.text(folder)])
        return Found(self.class_names, tuple(items), places_of(tested), tuple(faults), tuple(remarks))

    def repair(self) -> str:
        return "replace or remove what is named"

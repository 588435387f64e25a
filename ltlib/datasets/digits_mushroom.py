"""The quick twin of `mushroom`: nine class folders of unequal size, four of them too small for the test set's 30."""

from __future__ import annotations

from collections.abc import Mapping

from ltlib.datasets.base import DATASETS
from ltlib.datasets.digits_on_disk import SOURCE, DigitsOnDisk, Scan, class_folders
from ltlib.datasets.mushroom import Mushroom

SIZES = (38, 80, 115, 90, 40, 34, 170, 125, 36)  # small where `cefl` Table 5 marks a genus as minor


@DATASETS.register("digits_mushroom", source=SOURCE)
class DigitsMushroom(DigitsOnDisk, Mushroom):
    """The digits 1 to 9 as class folders, long-tailed like the genera; 30 test images each, or half of a folder."""

    identity = (
        "digits_mushroom: scikit-learn, 0b7e9c3202d7; 38+80+115+90+40+34+170+125+36 of 1 to 9; 30 test, at most half, "
        "split seed 0"
    )
    class_names = tuple("123456789")
    tests = 30
    images = sum(SIZES)

    def counted(self) -> tuple[int, int, int]:
        test = sum(min(self.tests, size // 2) for size in SIZES)
        return len(SIZES), self.images - test, test

    def files(self) -> Mapping[str, Scan]:
        return class_folders(dict(enumerate(SIZES, 1)))

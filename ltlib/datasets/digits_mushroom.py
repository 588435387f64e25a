"""The quick twin of `mushroom`: nine class folders of a tenth of its sizes, in the order of `cefl` Table 5."""

from __future__ import annotations

from collections.abc import Mapping

from ltlib.datasets.base import DATASETS
from ltlib.datasets.digits_on_disk import SOURCE, DigitsOnDisk, Scan, class_folders
from ltlib.datasets.mushroom import Mushroom

SIZES = (80, 125, 34, 90, 36, 40, 115, 170, 38)  # small where `cefl` Table 5 marks a genus as minor


@DATASETS.register("digits_mushroom", source=SOURCE)
class DigitsMushroom(DigitsOnDisk, Mushroom):
    """The digits 1 to 9 as class folders, long-tailed like the genera; 30 test images each."""

    identity = (
        "digits_mushroom: scikit-learn, 0b7e9c3202d7; 80+125+34+90+36+40+115+170+38 of 1 to 9; 30 test, split seed 0"
    )
    class_names = tuple("123456789")
    tests = 30
    images = printed = sum(SIZES)

    def files(self) -> Mapping[str, Scan]:
        return class_folders(dict(enumerate(SIZES, 1)))

"""The quick twins of `ilsvrc_parts`: the printed counts divided by seven and by eleven, none below two."""

from __future__ import annotations

from collections.abc import Mapping

from ltlib.datasets.base import DATASETS
from ltlib.datasets.digits_on_disk import SOURCE, DigitsOnDisk, Scan, class_folders
from ltlib.datasets.ilsvrc_parts import IlsvrcPart1, IlsvrcPart2


class _Twin(DigitsOnDisk):
    class_names = tuple("123456789")
    counts: tuple[int, ...]
    tests = 40

    def files(self) -> Mapping[str, Scan]:
        return class_folders({digit: count + self.tests for digit, count in enumerate(self.counts, 1)})


@DATASETS.register("digits_ilsvrc_part1", source=SOURCE)
class DigitsIlsvrcPart1(_Twin, IlsvrcPart1):
    """The digits 1 to 9 as class folders, long-tailed like ILSVRC PART1; 40 test images of each."""

    counts = (14, 57, 29, 100, 7, 98, 60, 3, 2)
    identity = "digits_ilsvrc_part1: scikit-learn, 0b7e9c3202d7; 14+57+29+100+7+98+60+3+2 of 1 to 9; 40 test, seed 0"


@DATASETS.register("digits_ilsvrc_part2", source=SOURCE)
class DigitsIlsvrcPart2(_Twin, IlsvrcPart2):
    """The digits 1 to 9 as class folders, long-tailed like ILSVRC PART2; 40 test images of each."""

    counts = (18, 9, 64, 59, 36, 100, 2, 5, 91)
    identity = "digits_ilsvrc_part2: scikit-learn, 0b7e9c3202d7; 18+9+64+59+36+100+2+5+91 of 1 to 9; 40 test, seed 0"

"""The quick twin of `caltech_part`: its eight counts divided by seven, none below two, in the same order of size."""

from __future__ import annotations

from collections.abc import Mapping

from ltlib.datasets.base import DATASETS
from ltlib.datasets.caltech_part import CaltechPart
from ltlib.datasets.digits_on_disk import SOURCE, DigitsOnDisk, Scan, class_folders


@DATASETS.register("digits_caltech_part", source=SOURCE)
class DigitsCaltechPart(DigitsOnDisk, CaltechPart):
    """The digits 1 to 8 as class folders, long-tailed like the caltech PART; 40 test images of each."""

    identity = "digits_caltech_part: scikit-learn, 0b7e9c3202d7; 2+48+3+14+100+99+20+4 of 1 to 8; 40 test, split seed 0"
    class_names = tuple("12345678")
    counts = (2, 48, 3, 14, 100, 99, 20, 4)
    tests = 40

    def files(self) -> Mapping[str, Scan]:
        return class_folders({digit: count + self.tests for digit, count in enumerate(self.counts, 1)})

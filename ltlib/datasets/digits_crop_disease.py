"""The quick twin of `crop_disease`: ten classes, long-tailed in training, in the competition's layout."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from ltlib.datasets.base import DATASETS
from ltlib.datasets.crop_disease import FOLDERS, LISTS, CropDisease
from ltlib.datasets.digits_on_disk import SOURCE, DigitsOnDisk, Scan

TRAIN = (120, 76, 48, 30, 19, 12, 7, 4, 3, 2)
TEST = 40  # of each digit


@DATASETS.register("digits_crop_disease", source=SOURCE)
class DigitsCropDisease(DigitsOnDisk, CropDisease):
    """The ten digits with annotation lists, from 120 down to 2 training images; 40 test images of each."""

    identity = "digits_crop_disease: scikit-learn, 0b7e9c3202d7; 120+76+48+30+19+12+7+4+3+2 train, the next 40 test"
    classes = 10
    listed = (sum(TRAIN), TEST * len(TRAIN))
    lists = LISTS

    def files(self) -> Mapping[str, Scan]:
        return {f"{part}/images/{name}": scan for part in FOLDERS for name, scan in _images(part)}

    def text(self, name: str, targets: Sequence[int]) -> str:
        part = name.partition("/")[0]
        return json.dumps([{"disease_class": digit, "image_id": file} for file, (digit, _) in _images(part)])


def _images(part: str) -> Iterator[tuple[str, Scan]]:
    """File names and scans of the training or the validation folder."""
    for digit, count in enumerate(TRAIN):
        for rank in range(count) if part == FOLDERS[0] else range(count, count + TEST):
            yield f"{digit}_{rank + 1:04}.png", (digit, rank)

"""The butterfly set's quick twin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ltlib.datasets.base import DATASETS
from ltlib.datasets.butterfly import LIST, Butterfly
from ltlib.datasets.digits_on_disk import SOURCE, DigitsOnDisk, Scan


@DATASETS.register("digits_folder", source=SOURCE)
class DigitsFolder(DigitsOnDisk, Butterfly):
    """scikit-learn's digits as PNG files with a list, the first eight listed of each class to test."""

    identity = "digits_folder: scikit-learn, 0b7e9c3202d7; first eight listed images per class to test"
    listed = (1797, 10)
    lists = (LIST,)

    def files(self) -> Mapping[str, Scan]:
        return {f"train/Image_{place + 1}.png": (None, place) for place in range(self.listed[0])}

    def text(self, name: str, targets: Sequence[int]) -> str:
        rows = (f"Image_{place + 1}.png,{target}\n" for place, target in enumerate(targets))
        return "".join(["filename,label\n", *rows])

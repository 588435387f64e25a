"""The butterfly set's quick twin: the embedded digits, written to disk once in its layout and read by its loader."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ltlib.datasets.base import DATASETS, DatasetBuilder, DatasetInfo
from ltlib.datasets.digits import CITATION, MEAN, STD, arrays
from ltlib.files import digest, new_folder
from ltlib.places import reports_folder

if TYPE_CHECKING:
    from ltlib.datasets.images import Source


@DATASETS.register("digits_folder", source="Alpaydin and Kaynak 1998; Pedregosa et al. 2011")
class DigitsFolder(DatasetBuilder):
    """scikit-learn's digits as PNG files with a list, the first eight listed of each class to test."""

    def info(self) -> DatasetInfo:
        return DatasetInfo(
            name=self.name,
            num_classes=10,
            image_size=8,
            train_images=1717,
            test_images=80,
            digest=digest("digits_folder: scikit-learn, 0b7e9c3202d7; first eight listed images per class to test"),
            flips=False,
            mean=MEAN,
            std=STD,
            citation=CITATION,
            where="written from scikit-learn's digits when it is first used",
        )

    def read(self, root: Path, fetch: bool = False) -> Source:
        from ltlib.datasets import butterfly

        source = butterfly.read(write(reports_folder() / "cache" / "digits_folder"), self.info().image_size)
        return replace(source, contents="")  # the pixels are known; how they are packed differs between versions of PIL


def write(place: Path) -> Path:
    """Write the digits as PNG files in the layout of `butterfly`.

    Args:
        place: The folder to make; a whole one is left as it is, an incomplete one is written anew.

    Returns:
        `place`.
    """
    from PIL import Image

    from ltlib.datasets.butterfly import LIST
    from ltlib.datasets.download import lock

    pixels, targets = arrays()
    if _whole(place, len(targets)):
        return place
    with lock(place.parent, place.name, "LTLIB_REPORTS"):
        if not _whole(place, len(targets)):
            with new_folder(place) as folder:
                (folder / "train").mkdir()
                rows = ["filename,label"]
                for index, (image, target) in enumerate(zip(pixels, targets, strict=True)):
                    Image.fromarray(image).save(folder / "train" / f"Image_{index + 1}.png")
                    rows.append(f"Image_{index + 1}.png,{target}")
                (folder / LIST).write_text("\n".join(rows) + "\n", encoding="utf-8")
    return place


def _whole(place: Path, images: int) -> bool:
    from ltlib.datasets.butterfly import LIST

    return (place / LIST).is_file() and sum(1 for _ in place.glob("train/Image_*.png")) == images

"""The embedded set: scikit-learn's 1,797 real 8x8 scans of handwritten digits. Needs no network and no data folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ltlib.datasets.base import DATASETS, DatasetBuilder, DatasetInfo
from ltlib.errors import DataError
from ltlib.files import digest

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ltlib.datasets.images import Source

TEST_IMAGES = 50  # per class
SPLIT_SEED = 0
# Over the 1,297 training images; the three channels are one.
MEAN, STD = (0.3053,) * 3, (0.3759,) * 3
CITATION = 'E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten Digits", UCI, 1998; the part in scikit-learn'
# SHA-256 of the grey values as uint8 [1797, 8, 8] followed by the targets as little-endian int64.
DIGEST = "0b7e9c3202d7bcd255d6a19a238d3743bf5e320ba74812a6679958a017c55382"


@DATASETS.register("digits", source="Alpaydin and Kaynak 1998; Pedregosa et al. 2011")
class Digits(DatasetBuilder):
    """scikit-learn's digits, 50 test images of each class by a fixed seeded choice."""

    def info(self) -> DatasetInfo:
        return DatasetInfo(
            name=self.name,
            num_classes=10,
            image_size=8,
            train_images=1297,
            test_images=500,
            digest=digest("digits: scikit-learn, 0b7e9c3202d7; 50 test images per class, split seed 0"),
            flips=False,
            mean=MEAN,
            std=STD,
            citation=CITATION,
            where="part of scikit-learn, nothing to get",
        )

    def read(self, root: Path, fetch: bool = False) -> Source:
        """The digits as RGB."""
        import numpy as np

        from ltlib.datasets.images import ImageSet, Source
        from ltlib.datasets.subsets import choose_subset

        pixels, targets = arrays()
        images = np.repeat(pixels[..., None], 3, axis=-1)
        test = np.sort(choose_subset(targets, [TEST_IMAGES] * 10, "random", SPLIT_SEED))
        train = np.setdiff1d(np.arange(len(targets)), test)
        names = [str(digit) for digit in range(10)]
        return Source(
            ImageSet(images[train], targets[train], names),
            ImageSet(images[test], targets[test], names),
        )


def arrays() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The scans as grey pixels 0..255 (the stored 0..16, scaled and rounded), uint8 [1797, 8, 8], and their digits.

    Raises:
        DataError: scikit-learn ships other arrays than those every result was made with.
    """
    import hashlib

    import numpy as np
    from sklearn.datasets import load_digits

    stored: Any = load_digits()
    pixels = np.rint(stored.images * (255 / 16)).astype(np.uint8)
    targets = stored.target.astype(np.int64)
    found = hashlib.sha256(pixels.tobytes() + targets.astype("<i8").tobytes()).hexdigest()
    if found != DIGEST:
        raise DataError(
            f"scikit-learn's digits are not the known ones (sha256 {found[:12]}, expected {DIGEST[:12]}); "
            "install the scikit-learn version of requirements.lock"
        )
    return pixels, targets

"""The embedded set: scikit-learn's 1,797 real 8x8 scans of handwritten digits. Needs no network and no data folder."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ltlib.datasets.images import ImageSet, Source
from ltlib.datasets.longtail import choose_subset
from ltlib.errors import DataError

TEST_IMAGES = 50  # per class
SPLIT_SEED = 0
# SHA-256 of the grey values as uint8 [1797, 8, 8] followed by the targets as little-endian int64.
DIGEST = "0b7e9c3202d7bcd255d6a19a238d3743bf5e320ba74812a6679958a017c55382"


def arrays() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The scans as grey pixels 0..255 (the stored 0..16, scaled and rounded), uint8 [1797, 8, 8], and their digits.

    Raises:
        DataError: scikit-learn ships other arrays than those every result was made with.
    """
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


def read() -> Source:
    """The digits as RGB, 50 test images of each class (a fixed seeded choice), the other 1,297 for training."""
    pixels, targets = arrays()
    images = np.repeat(pixels[..., None], 3, axis=-1)
    test = np.sort(choose_subset(targets, [TEST_IMAGES] * 10, "random", SPLIT_SEED))
    train = np.setdiff1d(np.arange(len(targets)), test)
    names = [str(digit) for digit in range(10)]
    return Source(
        ImageSet(images[train], targets[train], names),
        ImageSet(images[test], targets[test], names),
    )

"""Images that are nearly the same, by the Hamming distance of their perceptual hashes (imagehash's ``phash``).

The hash has 256 bits, the signs of the low frequencies of the grey picture about their median. How far two may be apart
was chosen on caltech64 (8,677 photographs of 64x64 pixels; a tenth of 300 of them changed on purpose is found where the
table says so) and on scikit-learn's digits (1,797 scans of 8x8 pixels, no two of them the same):

    found, of 300 changed images       24 bits   26 bits   32 bits
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

NEAR = 26
"""Bits of 256 that two images may differ in."""
FLAT = 2.0
"""Standard deviation of grey values, of 255, below which a picture has no shapes, and its hash says nothing."""
_ROWS = 512  # compared with all others at a time


def pairs(
    hashes: NDArray[np.uint8], others: NDArray[np.uint8], distance: int = NEAR
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Pairs of images whose hashes are near, block by block.

    Args:
        hashes: Packed bits, uint8 [N, B].
        others: The same of the images that they are compared with, such as their mirror images, uint8 [N, B].
        distance: Most bits that differ.

    Yields:
        Places int64 [M, 2], the first below the second, and the bits that differ, int64 [M].
    """
    signs, opposite = _signs(hashes), _signs(others)
    bits = signs.shape[1]
    for start in range(0, len(signs), _ROWS):
        # the product of two signs is 1 where bits are equal: a product of matrices counts them
        apart = (bits - signs[start : start + _ROWS] @ opposite[start:].T) / 2
        first, second = np.nonzero(apart <= distance)
        above = second > first
        first, second = first[above], second[above]
        yield np.column_stack([first, second]).astype(np.int64) + start, apart[first, second].astype(np.int64)


def _signs(packed: NDArray[np.uint8]) -> NDArray[np.float32]:
    return np.unpackbits(packed, axis=1).astype(np.float32) * 2 - 1

"""Images that are nearly the same, by the Hamming distance of their perceptual hashes (imagehash's ``phash``).

The hash has 256 bits: which of the lowest frequencies of the grey picture are above their median. A picture and its
mirror image are compared too. Measured on caltech64 (8,677 photographs of 64x64 pixels) and on scikit-learn's digits
(1,797 scans of 8x8 pixels, no two of them the same), each time with 300 images changed on purpose:

- Of caltech64 at least 99% are found that were compressed (JPEG, quality 30), halved, squeezed, darkened, made grey,
  blurred, mirrored or strewn with noise (deviation 10 of 255), 96% of those brightened until they clip; 56% where 2% of
  each edge are cut off, 11% after a turn by 2 degrees, none where 5% are cut off or after a turn by 5 degrees. Parts of
  images are found otherwise (`crops`).
- Among its images 118 pairs are near and 100 mirrored; looked at by eye, the mirrored are all so, and about one near
  pair in ten shows two things of one design: motorcycles of a catalogue in two colours. At 40 bits half do.
- Of the digits no two are joined, at 32 bits neither. But an image much smaller than 32 pixels has little in those
  frequencies: of compressed digits (quality 75) 36% are found, of darkened ones 28%, of noisy ones 92%.
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
        equal = signs[start : start + _ROWS] @ opposite[start:].T
        first, second = np.nonzero(equal >= bits - 2 * distance)
        above = second > first
        first, second = first[above], second[above]
        apart = ((bits - equal[first, second]) / 2).astype(np.int64)
        yield np.column_stack([first, second]).astype(np.int64) + start, apart


def _signs(packed: NDArray[np.uint8]) -> NDArray[np.float32]:
    return np.unpackbits(packed, axis=1).astype(np.float32) * 2 - 1

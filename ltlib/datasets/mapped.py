"""Some images of a set that lies on the disk, chosen without reading one.

A set that `pictures.read_all` has decoded is a memory map. What is chosen from it is copied into memory while it takes
at most `HELD` bytes, as quick as an array; more than that stays where it is, and an image is read when it is asked for.
So no part of a set, be it training, test or validation images, takes more than `HELD`, whatever the size of the set.
"""

from __future__ import annotations

import mmap
from typing import Any, cast

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]

HELD = 256 * 2**20
"""Bytes that images chosen from a memory map may take in memory."""


class MappedImages(NDArrayOperatorsMixin):
    """Rows of an array by their places: indexed like an array, read from it when indexed.

    An index gives an array, and so does ``np.asarray``, which reads all of them into memory; an operator does too.
    Pickled, for a worker that is not forked, it is that array.

    Attributes:
        source: Array [M, ...].
        places: int64 [N], rows of it.
    """

    __array_priority__ = 1.0

    def __init__(self, source: NDArray[Any], places: NDArray[np.int64]):
        self.source, self.places = source, places

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the array that all of them would be."""
        return (len(self.places), *self.source.shape[1:])

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the numbers."""
        return self.source.dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self.source.ndim

    @property
    def size(self) -> int:
        """Numbers in all."""
        return len(self.places) * int(np.prod(self.source.shape[1:], dtype=np.int64))

    @property
    def nbytes(self) -> int:
        """Bytes that they take, on the disk or in memory."""
        return self.size * self.dtype.itemsize

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, key: Any) -> Any:
        if not isinstance(key, tuple):
            return self.source[self.places[key]]
        first, *rest = key or (Ellipsis,)
        if first is Ellipsis or first is None or any(isinstance(part, (list, np.ndarray)) for part in rest):
            return np.asarray(self)[key]
        chosen = self.places[first]
        if np.ndim(chosen) == 0:
            return self.source[(chosen, *rest)]
        return self.source[(slice(None), *rest)][chosen]  # a view first: of each image, only what is asked for is read

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        if copy is False:
            raise ValueError("images on the disk become an array in memory only as a copy")
        found = self.source[self.places]
        return found if dtype is None else found.astype(dtype, copy=False)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **settings: Any) -> Any:
        return getattr(ufunc, method)(
            *(np.asarray(x) if isinstance(x, MappedImages) else x for x in inputs), **settings
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return np.asarray, (np.asarray(self),)


def choose(images: Any, places: NDArray[np.int64]) -> Pixels:
    """The images at these places: a copy, or `MappedImages` where they are on the disk and take more than `HELD`."""
    mapped = isinstance(images, MappedImages)
    chosen = MappedImages(*(images.source, images.places[places]) if mapped else (images, places))
    if chosen.nbytes <= HELD or not (mapped or is_mapped(images)):
        return np.asarray(chosen)
    return cast(Pixels, chosen)  # which does all that is done with the images of a set


def is_mapped(array: Any) -> bool:
    """Whether an array's numbers lie in a file."""
    while isinstance(array, np.ndarray):
        if isinstance(array, np.memmap):
            return True
        array = array.base
    return isinstance(array, mmap.mmap)

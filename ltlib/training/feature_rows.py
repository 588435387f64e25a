"""Rows of numbers that are computed once and kept in two files, each row whole or not there.

``NAME.f32`` holds the rows, float32 [rows, D]; ``NAME.crc`` a number for each, int64 [rows]: 0, or one more than the
CRC-32 of the row's bytes. A row counts only where both agree. So a writer that is killed at any moment, a disk that
ran full and a file that is cut short or was damaged cost the rows concerned, which are computed again, and nothing is
ever taken for what it is not. Rows that nobody has asked for are holes in the file and take no disk.
"""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ltlib.datasets.mapped import choose
from ltlib.errors import RunError

LOOKED_AT = 4096
"""Rows that are checked at a time."""


class Rows:
    """Kept rows of one name.

    Args:
        folder: Where the files lie.
        name: Of the files.
        width: D.
    """

    def __init__(self, folder: Path, name: str, width: int):
        self.values, self.sums = folder / f"{name}.f32", folder / f"{name}.crc"
        self.width = width

    def missing(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """Those of these places, in their order, whose row is not there."""
        if not len(places):
            return places
        count = min(self._length(self.values, 4 * self.width), self._length(self.sums, 8))
        there = places < count
        if there.any():
            values, sums = self._map(count), np.fromfile(self.sums, np.int64, count)
            there[there] = [
                sums[place] == _sum(row)
                for part in _parts(places[there])
                for place, row in zip(part, values[part], strict=True)
            ]
        return places[~there]

    def read(self, places: NDArray[np.int64]) -> NDArray[np.float32]:
        """The rows at these places, none of which is `missing`: float32 [N, D].

        A copy, or where they are many a view of the file, as `ltlib.datasets.mapped.choose` makes it.
        """
        return choose(self._map(self._length(self.values, 4 * self.width)), places)  # type: ignore[return-value]

    def write(self, places: NDArray[np.int64], rows: NDArray[np.float32]) -> None:
        """Keep rows [N, D] at these places.

        Raises:
            RunError: They cannot be written; what was kept before is intact.
        """
        try:
            self.values.parent.mkdir(parents=True, exist_ok=True)
            end = int(places.max()) + 1
            for path, size in ((self.values, 4 * self.width), (self.sums, 8)):
                with path.open("ab") as file:
                    if path.stat().st_size < end * size or path.stat().st_size % size:
                        file.truncate(max(end, self._length(path, size)) * size)
            with self.values.open("r+b") as values, self.sums.open("r+b") as sums:
                for place, row in zip(places.tolist(), rows, strict=True):
                    values.seek(4 * self.width * place)
                    values.write(row.tobytes())
                    sums.seek(8 * place)
                    sums.write(np.int64(_sum(row)).tobytes())
        except OSError as error:
            raise RunError(f"cannot write {self.values}: {error.strerror or error}") from error

    def _map(self, count: int) -> NDArray[np.float32]:
        return np.memmap(self.values, np.float32, "r", shape=(count, self.width))

    @staticmethod
    def _length(path: Path, size: int) -> int:
        try:
            return path.stat().st_size // size
        except OSError:
            return 0


def _sum(row: NDArray[np.float32]) -> int:
    return 1 + zlib.crc32(np.ascontiguousarray(row).data)


def _parts(places: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    return [places[start : start + LOOKED_AT] for start in range(0, len(places), LOOKED_AT)]

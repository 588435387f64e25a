"""Whether a JPEG's compressed data are as long as its picture: libjpeg fills in what is missing without a word.

A damaged stretch makes the decoder lose its place, and from there on the data come out too short or too long. PIL
passes that over (its libjpeg only counts warnings), and what it gives is grey or noise. So the data are handed to it
with a little filling behind, and what it asks for tells: a whole picture takes some of the last bytes and never more than
the filling. That holds for the usual kind of JPEG, sequential and in one scan. Of a progressive one, each scan of which ends
with a mark that the decoder goes on from, nothing is known; and damage of a few bytes often leaves the length as it is.
"""

from __future__ import annotations

import io

LAST = 64
"""Bytes at the end of the data that a picture takes some of. Cameras write a few more than they need."""
FILLING = 32
"""Bytes behind them: the decoder looks eight ahead, and a picture that lacks a block takes more."""
_SEQUENTIAL, _OTHER_KINDS = (0xC0, 0xC1), (0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF)
_SCAN, _END = 0xDA, b"\xff\xd9"


def opened(data: bytes) -> io.BytesIO:
    """A stream of a file's bytes for ``PIL.Image.open``; `Watched` where that can tell whether a picture is whole."""
    found = _single_scan(data)
    return io.BytesIO(data) if found is None else Watched(data, *found)


def check(stream: io.BytesIO) -> None:
    """Refuse a picture that was loaded from a stream of `opened` and whose data are shorter or longer than it.

    Raises:
        ValueError: Says which.
    """
    if isinstance(stream, Watched):
        stream.check()


class Watched(io.BytesIO):
    """A JPEG that notices how far it is read.

    Args:
        data: The file.
        start, end: Where its compressed data lie.
    """

    def __init__(self, data: bytes, start: int, end: int):
        super().__init__(data[:end] + bytes(FILLING) + _END)
        self._edge, self._end = max(start, end - LAST), end + FILLING
        self._padded = len(set(data[self._edge : end])) <= 2
        self._beyond = False

    def read(self, size: int | None = -1, /) -> bytes:
        """As of any stream, but never across the place where the last bytes begin, nor the one where they end."""
        at = self.tell()
        self._beyond |= at >= self._end
        stop = self._edge if at < self._edge else self._end
        most = stop - at if at < self._end else -1
        return super().read(most if size is None or size < 0 or 0 <= most < size else size)

    def check(self) -> None:
        """As the function of that name."""
        if self._beyond:
            raise ValueError("its data end before the picture does: it is damaged")
        if self.tell() == self._edge and not self._padded:
            raise ValueError("its data go on after the picture is complete: it is damaged")


def _single_scan(data: bytes) -> tuple[int, int] | None:
    """Where the compressed data of a sequential JPEG with one scan begin and end; None for other files."""
    if not data.startswith(b"\xff\xd8\xff"):
        return None
    at, components = 2, 0
    while at + 10 <= len(data) and data[at] == 0xFF:
        kind, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if kind in _SEQUENTIAL:
            components = data[at + 9]
        elif kind in _OTHER_KINDS:
            return None
        elif kind == _SCAN:
            start = at + 2 + length
            end = data.find(_END, start)
            return (start, end) if components and data[at + 4] == components and end > start else None
        at += 2 + length
    return None

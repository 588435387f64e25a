"""Whether a JPEG's compressed data are as long as its picture: libjpeg fills in what is missing without a word.

A damaged stretch makes the decoder lose its place, and from there on the data come out too short or too long. PIL
passes that over (its libjpeg only counts warnings), and what it gives is grey or noise. So the data are handed to it
with a little filling behind, and what it asks for tells: a whole picture takes some of the last bytes and never more
than the filling. That holds for the usual kind of JPEG, sequential and in one scan. Of a progressive one, each scan of
which ends with a mark that the decoder goes on from, nothing is known; and damage of a few bytes often leaves the
length as it is.
"""

from __future__ import annotations

import io
from typing import Any

LAST = 64
"""Bytes at the end of the data that a picture takes some of. Cameras write a few more than they need."""
FILLING = 32
"""Bytes behind them: the decoder looks eight ahead, and a picture that lacks a block takes more."""
_SEQUENTIAL, _OTHER_KINDS = (0xC0, 0xC1), (0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF)
_SCAN, _END = 0xDA, b"\xff\xd9"


def load(image: Any, stream: io.BytesIO) -> None:
    """``image.load()`` of a PIL image that was opened from that stream, of the whole file.

    Raises:
        ValueError: The data of a JPEG are shorter or longer than the picture; says which.
        Exception: What PIL raises.
    """
    found = _single_scan(stream)
    if found is None:
        image.load()
        return
    watched = _Watched(stream, *found)
    image.fp = watched
    image.load()
    watched.check()


class _Watched:
    """What PIL reads a JPEG's data from: notices how far it is read.

    Args:
        stream: The file.
        start, end: Where its compressed data lie.
    """

    def __init__(self, stream: io.BytesIO, start: int, end: int):
        self._stream = stream
        self._edge, self._end = max(start, end - LAST), end
        self._asked = 0  # reads after the edge: the last bytes and the filling, then the end

    def read(self, size: int) -> bytes:
        """As of any stream, but never across the place where the last bytes begin, and with the filling behind them."""
        at = self._stream.tell()
        if at < self._edge:
            return self._stream.read(min(size, self._edge - at))
        self._asked += 1
        return self._stream.read(self._end - at) + bytes(FILLING) if self._asked == 1 else _END

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def check(self) -> None:
        """Refuse a picture that took more than there was, or left what is no padding."""
        if self._asked > 1:
            raise ValueError("its data end before the picture does: it is damaged")
        if self._asked == 0 and self._stream.tell() == self._edge:
            left = self._stream.getvalue()[self._edge : self._end]
            if len(set(left)) > 2:
                raise ValueError("its data go on after the picture is complete: it is damaged")


def _single_scan(stream: io.BytesIO) -> tuple[int, int] | None:
    """Where the compressed data of a sequential JPEG with one scan begin and end; None for other files."""
    data = stream.getvalue()  # the bytes it was made of, not a copy
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

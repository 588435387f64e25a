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
_SCAN, _END = b"\xff\xda", b"\xff\xd9"


def load(image: Any, stream: io.BytesIO) -> None:
    """``image.load()`` of a PIL image that was opened from that stream, of the whole file, and not touched since.

    Raises:
        ValueError: The data of a JPEG are shorter or longer than the picture; says which.
        Exception: What PIL raises.
    """
    found = _single_scan(image, stream)
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
        self._start, self._edge, self._end = start, max(start, end - LAST), end
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
        data = self._stream.getvalue()
        if self._asked == 0 and self._stream.tell() == self._edge and len(set(data[self._edge : self._end])) > 2:
            if data.find(_END, self._start) < self._end:
                return  # another picture follows, or whatever
            raise ValueError("its data go on after the picture is complete: it is damaged")


def _single_scan(image: Any, stream: io.BytesIO) -> tuple[int, int] | None:
    """Where the compressed data of a sequential JPEG with one scan begin and end; None for other files.

    PIL has read up to the data of the first scan; before them stand its mark, the length of its header, its number of
    components, two bytes for each, and three more.
    """
    if image.format not in ("JPEG", "MPO") or "progressive" in image.info:
        return None
    start, data = stream.tell(), stream.getvalue()  # the bytes that it was made of, not a copy
    header = data[max(0, start - 8 - 2 * image.layers) : start]
    if header[:2] != _SCAN or header[4] != image.layers:
        return None
    end = len(data) - 2 if data.endswith(_END) else data.find(_END, start)
    return (start, end) if end > start else None

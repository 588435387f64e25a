"""A picture without the metadata that keeps PIL from reading its pixels."""

from __future__ import annotations

import struct
import zlib

_PNG = b"\x89PNG\r\n\x1a\n"
# What the pixels need, and how the picture is turned (`eXIf`, XMP and what ImageMagick writes into texts).
_NEEDED = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
_TURNS = (b"XML:com.adobe.xmp\0", b"Raw profile type exif\0", b"Raw profile type APP1\0")
_MOST = 1 << 18  # bytes, packed: an orientation takes a few of them


def without_metadata(data: bytes) -> bytes | None:
    """A PNG's or JPEG's bytes without what its pixels do not need; None for another kind of file.

    Whole metadata that may tell how the picture is turned is kept.
    """
    if data.startswith(_PNG):
        return _bare_png(data)
    return _bare_jpeg(data) if data.startswith(b"\xff\xd8\xff") else None


def _bare_png(data: bytes) -> bytes:
    """Chunks are 4 bytes of length, 4 of name, the content and its CRC-32 (PNG specification, section 5.3)."""
    kept, place = [_PNG], len(_PNG)
    while place + 12 <= len(data):
        length, name = struct.unpack(">I4s", data[place : place + 8])
        end = place + 12 + length
        content = data[place + 8 : place + 8 + length]
        whole = data[end - 4 : end] == zlib.crc32(name + content).to_bytes(4, "big")
        turns = name == b"eXIf" or (name in (b"tEXt", b"zTXt", b"iTXt") and content.startswith(_TURNS))
        if name in _NEEDED or (turns and whole and length < _MOST):
            kept.append(data[place:end])
        if name == b"IEND":
            break
        place = end
    return b"".join(kept)


def _bare_jpeg(data: bytes) -> bytes:
    """Segments before the first scan are a marker and 2 bytes of length (ITU-T T.81, B.1.1.4); APP14 says how colours
    are coded and APP1 with ``Exif`` how the picture is turned."""
    kept, place = [data[:2]], 2
    while place + 4 <= len(data) and data[place] == 0xFF and data[place + 1] != 0xDA:
        marker, length = data[place + 1], int.from_bytes(data[place + 2 : place + 4], "big")
        segment = data[place : place + 2 + length]
        metadata = marker == 0xFE or (0xE1 <= marker <= 0xEF and marker != 0xEE)
        if not metadata or segment[4:10] == b"Exif\0\0":
            kept.append(segment)
        place += 2 + length
    return b"".join((*kept, data[place:]))

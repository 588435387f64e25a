"""A picture's bytes without the metadata that keeps PIL from reading its pixels."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence

_PNG = b"\x89PNG\r\n\x1a\n"
_PIXELS = (b"IHDR", b"PLTE", b"IDAT", b"IEND")  # an alpha channel is dropped, so tRNS is not needed
# Where a PNG says how it is turned: `eXIf`, XMP, and what ImageMagick writes into texts.
_TURNS = (b"XML:com.adobe.xmp\0", b"Raw profile type exif\0", b"Raw profile type APP1\0")
_MOST = 1 << 18  # bytes, packed: an orientation takes a few of them
# Tags of a TIFF that its pixels do not need: names, texts, resolution, XMP, IPTC, Photoshop, colour profile, EXIF, GPS.
_TEXTS = frozenset((269, 270, 271, 272, 282, 283, 285, 296, 305, 306, 315, 316, 33432))
_PROFILES = frozenset((700, 33723, 34377, 34665, 34675, 34853, 37724, 40965))


def without_metadata(data: bytes) -> Iterator[bytes]:
    """A PNG's, JPEG's or TIFF's bytes with less and less of what may tell how the picture is turned."""
    if data.startswith(_PNG):
        yield from (_bare_png(data, turns) for turns in ((b"eXIf", b"tEXt", b"zTXt", b"iTXt"), (b"eXIf",), ()))
    elif data.startswith(b"\xff\xd8\xff"):
        yield from (_bare_jpeg(data, turned) for turned in (True, False))
    elif data.startswith((b"II*\0", b"MM\0*")):
        yield _bare_tiff(data)


def _bare_png(data: bytes, turns: Sequence[bytes]) -> bytes:
    """Chunks are 4 bytes of length, 4 of name, the content and its CRC-32 (PNG specification, section 5.3)."""
    kept, place = [_PNG], len(_PNG)
    while place + 12 <= len(data):
        length, name = struct.unpack(">I4s", data[place : place + 8])
        end = place + 12 + length
        content = data[place + 8 : end - 4]
        turned = name in turns and (name == b"eXIf" or content.startswith(_TURNS))
        whole = length < _MOST and data[end - 4 : end] == zlib.crc32(name + content).to_bytes(4, "big")
        if name in _PIXELS or (turned and whole):
            kept.append(data[place:end])
        if name == b"IEND":
            break
        place = end
    return b"".join(kept)


def _bare_jpeg(data: bytes, turned: bool) -> bytes:
    """Segments before the first scan are a marker and 2 bytes of length (ITU-T T.81, section B.1.1.4).

    APP0 (JFIF) and APP14 (Adobe) say how colours are coded, APP1 (Exif) how the picture is turned.
    """
    kept, place = [data[:2]], 2
    while place + 4 <= len(data) and data[place] == 0xFF and data[place + 1] != 0xDA:
        marker, length = data[place + 1], int.from_bytes(data[place + 2 : place + 4], "big")
        segment = data[place : place + 2 + length]
        colours = (marker == 0xE0 and length >= 16) or (marker == 0xEE and length >= 14)
        metadata = marker == 0xFE or 0xE0 <= marker <= 0xEF
        if not metadata or colours or (turned and segment[4:10] == b"Exif\0\0"):
            kept.append(segment)
        place += 2 + length
    return b"".join((*kept, data[place:]))


def _bare_tiff(data: bytes) -> bytes:
    """The first directory: 2 bytes with the number of entries, 12 bytes each, 4 of the next directory's place."""
    order = "<" if data.startswith(b"II") else ">"
    (place,) = struct.unpack_from(f"{order}I", data, 4)
    (count,) = struct.unpack_from(f"{order}H", data, place)
    entries = [data[start : start + 12] for start in range(place + 2, place + 2 + 12 * count, 12)]
    kept = [entry for entry in entries if struct.unpack_from(f"{order}H", entry)[0] not in _TEXTS | _PROFILES]
    following = data[place + 2 + 12 * count : place + 6 + 12 * count]
    directory = struct.pack(f"{order}H", len(kept)) + b"".join(kept) + following
    return data[:place] + directory + data[place + len(directory) :]

"""Pictures whose pixels are whole and whose metadata is not."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin, TiffImagePlugin

from ltlib.datasets.pictures import decode
from ltlib.errors import DataError

PIXELS = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
UPSIDE_DOWN = PIXELS[::-1, ::-1]


def tags(*entries: tuple[int, int, int, int], orientation: int = 3) -> bytes:
    """EXIF with an orientation and more entries of (tag, type, count, value)."""
    packed = [struct.pack("<HHII", *entry) for entry in ((0x0112, 3, 1, orientation), *entries)]
    return b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", len(packed)) + b"".join(packed) + bytes(4)


def png(*chunks: tuple[bytes, bytes], after: bool = False, crc: int | None = None) -> bytes:
    """`PIXELS` with more chunks before or after the pixels, each with its CRC or a wrong one."""
    stream = io.BytesIO()
    Image.fromarray(PIXELS).save(stream, "PNG")
    data, place = stream.getvalue(), -12 if after else 33
    more = b"".join(
        struct.pack(">I", len(content))
        + name
        + content
        + struct.pack(">I", zlib.crc32(name + content) if crc is None else crc)
        for name, content in chunks
    )
    return data[:place] + more + data[place:]


BOMB = zlib.compress(bytes(2 << 20))  # more than the 1 MiB that PIL unpacks of a text


@pytest.mark.parametrize(
    "entry", [(0x010F, 3, 1, 6), (0x8769, 2, 900, 4), (0x8825, 4, 1, 9), (0x011A, 5, 1, 0xFFFFFF), (0xFFFE, 77, 1, 1)]
)
@pytest.mark.parametrize("kind", ["png", "webp", "jpg"])
def test_tags_of_the_wrong_type_do_not_keep_a_picture_from_being_turned(
    tmp_path: Path, entry: tuple[int, int, int, int], kind: str
) -> None:
    path = tmp_path / f"a.{kind}"
    exif = tags(entry)
    if kind == "png":
        path.write_bytes(png((b"eXIf", exif[6:])))
    else:
        how = {"lossless": True} if kind == "webp" else {"quality": 100, "subsampling": 0}
        Image.fromarray(PIXELS).save(path, exif=exif, **how)  # type: ignore[arg-type]
    assert np.abs(decode(path, 8).astype(int) - UPSIDE_DOWN).max() <= (8 if kind == "jpg" else 0)


@pytest.mark.parametrize("exif", [b"Exif\0\0", b"Exif\0\0II", b"Exif\0\0" + b"junk" * 9, tags()[:-9]])
def test_tags_that_cannot_be_read_turn_nothing_or_all(tmp_path: Path, exif: bytes) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "a.webp", lossless=True, exif=exif)
    pixels = decode(tmp_path / "a.webp", 8)
    assert (pixels == PIXELS).all() or (pixels == UPSIDE_DOWN).all()


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(
    "chunk",
    [
        (b"zTXt", b"comment\0\0" + BOMB),
        (b"iTXt", b"comment\0\1\0\0\0" + BOMB),
        (b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + BOMB),
        (b"iCCP", b"profile\0\0" + BOMB),
        (b"zTXt", b"comment\0\x05abc"),
        (b"iCCP", b""),
        (b"tRNS", b"x"),
        (b"gAMA", b""),
    ],
)
def test_texts_and_profiles_of_a_png(tmp_path: Path, chunk: tuple[bytes, bytes], after: bool) -> None:
    (tmp_path / "a.png").write_bytes(png(chunk, (b"eXIf", tags()[6:]), after=after))
    np.testing.assert_array_equal(decode(tmp_path / "a.png", 8), UPSIDE_DOWN)


def test_texts_that_are_many(tmp_path: Path) -> None:
    notes = PngImagePlugin.PngInfo()
    for number in range(70):
        notes.add_text(f"text {number}", "a" * (1 << 20), zip=True)
    Image.fromarray(PIXELS).save(tmp_path / "a.png", pnginfo=notes)
    np.testing.assert_array_equal(decode(tmp_path / "a.png", 8), PIXELS)


def test_a_wrong_checksum_of_a_text(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png((b"tEXt", b"k\0v"), crc=7))
    np.testing.assert_array_equal(decode(tmp_path / "a.png", 8), PIXELS)


def test_a_wrong_checksum_of_the_pixels_is_damage(tmp_path: Path) -> None:
    data = bytearray(png((b"zTXt", b"comment\0\0" + BOMB)))
    data[-20] ^= 255  # the last bytes of IDAT
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(DataError, match="cannot be read"):
        decode(tmp_path / "a.png", 8)


@pytest.mark.parametrize(
    "segment", [b"\xff\xe0\0\x07JFIF\0", b"\xff\xee\0\x07Adobe", b"\xff\xed\0\x04ab", b"\xff\xe2\0\x02"]
)
def test_segments_of_a_jpeg(tmp_path: Path, segment: bytes) -> None:
    stream = io.BytesIO()
    Image.fromarray(PIXELS).save(stream, "JPEG", exif=tags((0x010F, 3, 1, 6)), quality=100, subsampling=0)
    data = stream.getvalue()
    (tmp_path / "plain.jpg").write_bytes(data)
    (tmp_path / "a.jpg").write_bytes(data[:2] + segment + data[2:])
    pixels = decode(tmp_path / "a.jpg", 8)
    turned = decode(tmp_path / "plain.jpg", 8)
    assert (pixels == turned).all() or (pixels == turned[::-1, ::-1]).all()  # an unreadable start hides the orientation


@pytest.mark.parametrize(("tag", "kind", "value"), [(700, 2, "abc"), (700, 3, 5), (305, 3, 5), (34675, 2, "abc")])
def test_tags_of_a_tiff(tmp_path: Path, tag: int, kind: int, value: object) -> None:
    info = TiffImagePlugin.ImageFileDirectory_v2()
    info.tagtype[tag], info[tag] = kind, value
    Image.fromarray(PIXELS).save(tmp_path / "a.tif", tiffinfo=info)
    np.testing.assert_array_equal(decode(tmp_path / "a.tif", 8), PIXELS)

"""JPEGs whose data are shorter or longer than their picture; and that no whole one is taken for such."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ltlib.datasets import jpeg
from ltlib.datasets.pictures import decode
from ltlib.errors import DataError


def photo(height: int, width: int, mode: str = "RGB", seed: int = 0) -> Image.Image:
    """Large soft patches with a little noise, as photographs have."""
    rng = np.random.default_rng(seed)
    patches = rng.integers(0, 256, (height // 16 + 1, width // 16 + 1, 3), dtype=np.uint8)
    soft = np.asarray(Image.fromarray(patches).resize((width, height), Image.Resampling.BICUBIC)).astype(float)
    return Image.fromarray((soft + rng.normal(0, 8, soft.shape)).clip(0, 255).astype(np.uint8)).convert(mode)


def packed(image: Image.Image, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "JPEG", **options)
    return stream.getvalue()


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("quality", [30, 75, 100])
@pytest.mark.parametrize("options", [{}, {"optimize": True}, {"restart_marker_blocks": 3}, {"progressive": True}])
def test_whole_pictures_are_read_as_pil_reads_them(
    tmp_path: Path, mode: str, quality: int, options: dict[str, object]
) -> None:
    for height, width in ((8, 8), (65, 33), (40, 200)):
        for image in (photo(height, width, mode), Image.new(mode, (width, height))):
            data = packed(image, quality=quality, **options)
            (tmp_path / "a.jpg").write_bytes(data)
            plain = Image.open(io.BytesIO(data)).convert("RGB")
            size = min(height, width)
            left, top = round((width - size) / 2), round((height - size) / 2)
            expected = np.asarray(plain.crop((left, top, left + size, top + size)))
            np.testing.assert_array_equal(decode(tmp_path / "a.jpg", size), expected)


def scan_of(data: bytes) -> tuple[int, int] | None:
    stream = io.BytesIO(data)
    with Image.open(stream) as image:
        return jpeg._single_scan(image, stream)


def test_only_sequential_pictures_in_one_scan_are_watched() -> None:
    image = photo(40, 40)
    data = packed(image)
    start, end = scan_of(data) or (0, 0)
    assert end == len(data) - 2
    assert data[start - 14 : start - 9] == b"\xff\xda\x00\x0c\x03"  # the scan's mark, its header's length, components
    png = io.BytesIO()
    image.save(png, "PNG")
    for other in (packed(image, progressive=True), png.getvalue(), data[:-100]):
        assert scan_of(other) is None


def damaged(data: bytes, kind: str, seed: int) -> bytes:
    """A stretch of 512 bytes in the middle of a file of ten times that: zeros, left out, or anything."""
    rng = np.random.default_rng(seed)
    at = int(rng.integers(1000, len(data) - 2000))
    middle = {"zeros": bytes(512), "left out": b"", "noise": rng.bytes(512)}[kind]
    return data[:at] + middle + data[at + 512 :]


@pytest.mark.parametrize("kind", ["zeros", "left out", "noise"])
def test_a_damaged_stretch_is_refused(tmp_path: Path, kind: str) -> None:
    """PIL gives a picture for the first two nearly always, and for the third sometimes; a few still pass."""
    refused = given = 0
    for seed in range(20):
        data = damaged(packed(photo(200, 300, seed=seed), quality=85), kind, seed)
        (tmp_path / "a.jpg").write_bytes(data)
        try:
            decode(tmp_path / "a.jpg", 64)
        except DataError:
            refused += 1
        try:
            Image.open(io.BytesIO(data)).load()
            given += 1
        except OSError:
            pass
    assert refused >= 17
    assert given >= (1 if kind == "noise" else 15)


def test_the_sentence(tmp_path: Path) -> None:
    data = packed(photo(200, 300))
    start, end = scan_of(data) or (0, 0)
    (tmp_path / "short.jpg").write_bytes(data[: end - 200] + data[end:])
    with pytest.raises(DataError, match=r"short.jpg, cannot be read \(its data end before the picture does: it is dam"):
        decode(tmp_path / "short.jpg", 64)
    tail = bytes(np.random.default_rng(0).integers(0, 255, 500, dtype=np.uint8))  # without a marker
    (tmp_path / "long.jpg").write_bytes(data[:end] + tail + data[end:])
    with pytest.raises(DataError, match=r"long.jpg, cannot be read \(its data go on after the picture is complete: it"):
        decode(tmp_path / "long.jpg", 64)
    (tmp_path / "padded.jpg").write_bytes(data[:end] + bytes(500) + data[end:])  # as some cameras write
    (tmp_path / "more.jpg").write_bytes(data + tail)  # behind the picture anything may follow
    (tmp_path / "plain.jpg").write_bytes(data)
    for name in ("padded", "more"):
        np.testing.assert_array_equal(decode(tmp_path / f"{name}.jpg", 64), decode(tmp_path / "plain.jpg", 64))
    assert start < end

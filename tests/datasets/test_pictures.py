"""Decoding one image file: modes, orientation, size, damage, the cache."""

from __future__ import annotations

import errno
import io
import os
import subprocess
import sys
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ltlib.datasets import pictures
from ltlib.datasets.pictures import decode, read_all
from ltlib.errors import DataError

RED, GREEN, BLUE, GREY = (255, 0, 0), (0, 255, 0), (0, 0, 255), (128, 128, 128)


@pytest.fixture(autouse=True)
def reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LTLIB_REPORTS", str(tmp_path / "reports"))
    return tmp_path / "reports"


def photo(height: int, width: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))


def saved(image: Image.Image, path: Path, **options: object) -> Path:
    image.save(path, **options)
    return path


@pytest.mark.parametrize("size", [(64, 64), (100, 67), (67, 100), (40, 91), (64, 65), (8, 8), (300, 20)])
def test_pixels_are_those_of_torchvision(tmp_path: Path, size: tuple[int, int]) -> None:
    from torchvision.transforms import CenterCrop, Compose, Resize

    image = photo(*size)
    expected = np.asarray(Compose([Resize(64), CenterCrop(64)])(image))
    np.testing.assert_array_equal(decode(saved(image, tmp_path / "a.png"), 64), expected)


def test_right_size_is_left_alone(tmp_path: Path) -> None:
    image = photo(8, 8)
    np.testing.assert_array_equal(decode(saved(image, tmp_path / "a.png"), 8), np.asarray(image))


@pytest.mark.parametrize("mode", ["L", "1", "LA", "RGBA", "P", "PA", "CMYK", "YCbCr", "I", "I;16", "I;16B"])
def test_modes(tmp_path: Path, mode: str) -> None:
    value: dict[str, object] = {
        "L": 128,
        "1": 255,
        "LA": (128, 9),
        "RGBA": (*GREY, 3),
        "CMYK": (127, 127, 127, 0),
        "YCbCr": (128, 128, 128),
        "I": 128 * 257,
        "I;16": 128 * 257,
        "I;16B": 128 * 257,
    }
    if mode in ("P", "PA"):
        image = Image.new("RGB", (8, 8), GREY).quantize(2)
    else:
        image = Image.new(mode, (8, 8), value[mode])  # type: ignore[arg-type]
    path = saved(image, tmp_path / ("a.tif" if mode in ("CMYK", "YCbCr", "I", "I;16B", "PA") else "a.png"))
    pixels = decode(path, 8)
    assert (pixels.shape, pixels.dtype) == ((8, 8, 3), np.uint8)
    expected = (255, 255, 255) if mode == "1" else GREY
    assert np.abs(pixels.astype(int) - expected).max() <= 1


def test_sixteen_bits_are_scaled_not_clipped(tmp_path: Path) -> None:
    ramp = np.linspace(0, 65535, 64).round().astype(np.uint16).reshape(8, 8)
    pixels = decode(saved(Image.fromarray(ramp), tmp_path / "a.png"), 8)
    np.testing.assert_array_equal(pixels[..., 0], np.rint(ramp / 257).astype(np.uint8))
    assert len(np.unique(pixels)) == 64


def test_palette_with_a_transparent_colour(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    image = Image.new("RGB", (8, 8), GREEN).quantize(4)
    path = saved(image, tmp_path / "a.png", transparency=b"\x00\x80\xff\xff")
    assert (decode(path, 8) == GREEN).all()
    assert not recwarn.list


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    image = Image.new("RGB", (8, 8), RED)
    image.paste(BLUE, (0, 0, 8, 4))  # blue above red
    exif = Image.Exif()
    exif[0x0112] = 3  # taken upside down
    pixels = decode(saved(image, tmp_path / "a.png", exif=exif), 8)
    assert (pixels[:4] == RED).all()
    assert (pixels[4:] == BLUE).all()


def test_animation_gives_its_first_frame(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in (RED, BLUE)]
    assert (decode(saved(frames[0], tmp_path / "a.gif", save_all=True, append_images=frames[1:]), 8) == RED).all()


def png_claiming(width: int, height: int) -> bytes:
    stream = io.BytesIO()
    Image.new("L", (1, 1)).save(stream, "PNG")
    data = bytearray(stream.getvalue())
    data[16:24] = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    data[29:33] = zlib.crc32(bytes(data[12:29])).to_bytes(4, "big")
    return bytes(data)


@pytest.mark.parametrize(
    "kind", ["truncated jpg", "truncated png", "empty", "html", "9000x9000", "100000x100000", "float"]
)
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_damaged_files_are_named(tmp_path: Path, kind: str) -> None:
    path = tmp_path / ("cat.tif" if kind == "float" else "cat.jpg")
    if kind.startswith("truncated"):
        stream = io.BytesIO()
        photo(64, 64).save(stream, {"jpg": "JPEG", "png": "PNG"}[kind.split()[1]])
        path.write_bytes(stream.getvalue()[: len(stream.getvalue()) // 2])
    elif kind == "float":
        Image.fromarray(np.zeros((4, 4), np.float32)).save(path)
    elif "x" in kind:
        path.write_bytes(png_claiming(*map(int, kind.split("x"))))
    else:
        path.write_bytes(b"" if kind == "empty" else b"<html>not found</html>")
    with pytest.raises(
        DataError, match=r"^image 41, .*cat\.(jpg|tif), cannot be read \(.+\); replace or remove it$"
    ) as caught:
        decode(path, 64, 41)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "tga", "jp2"])
@pytest.mark.parametrize("kind", ["EPS", "EPS with a TIFF", "PDF", "WMF", "PSD", "ICNS", "HEIC", "FITS"])
def test_only_the_readers_of_known_suffixes_are_asked(
    tmp_path: Path, suffix: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from PIL import EpsImagePlugin, IcnsImagePlugin, PsdImagePlugin, WmfImagePlugin  # known to PIL, like in a notebook

    assert all((EpsImagePlugin, IcnsImagePlugin, PsdImagePlugin, WmfImagePlugin))
    stream = io.BytesIO()
    if kind in ("PDF", "ICNS"):
        Image.new("RGB", (16, 16)).save(stream, kind)
    text = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n"
    starts = {
        "EPS": text,
        "EPS with a TIFF": b"\xc5\xd0\xd3\xc6"
        + (32).to_bytes(4, "little")
        + len(text).to_bytes(4, "little")
        + bytes(20)
        + text,
        "WMF": b"\xd7\xcd\xc6\x9a" + bytes(60),
        "PSD": b"8BPS\0\1" + bytes(6) + b"\0\3\0\0\0\x08\0\0\0\x08\0\x08\0\3" + bytes(400),
        "HEIC": b"\0\0\0\x18ftypheic" + bytes(40),
        "FITS": b"SIMPLE  =                    T".ljust(2880),
    }
    (tmp_path / f"a.{suffix}").write_bytes(starts.get(kind, stream.getvalue()))

    def started(*arguments: object, **_: object) -> None:
        raise SystemExit(f"a program was started: {arguments}")

    monkeypatch.setattr(subprocess, "Popen", started)
    monkeypatch.setattr(os, "system", started)
    with pytest.raises(DataError, match="cannot be read"):
        decode(tmp_path / f"a.{suffix}", 8)


def test_what_is_in_a_file_says_what_it_is(tmp_path: Path) -> None:
    image = photo(16, 16)
    for kind in ("PNG", "BMP", "TIFF", "PPM", "TGA"):
        image.save(tmp_path / "cat.jpg", kind)
        np.testing.assert_array_equal(decode(tmp_path / "cat.jpg", 16), np.asarray(image))
    red, blue = (Image.new("RGB", (16, 16), colour) for colour in (RED, BLUE))
    red.save(tmp_path / "cat.jpg", "MPO", save_all=True, append_images=[blue])  # of two cameras, or with a depth map
    assert np.abs(decode(tmp_path / "cat.jpg", 16).astype(int) - RED).max() < 8


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "PPM", "TGA", "JPEG2000"])
@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
def test_a_file_cut_short_is_refused(tmp_path: Path, kind: str, part: float) -> None:
    stream = io.BytesIO()
    photo(64, 64).save(stream, kind)
    data = stream.getvalue()
    (tmp_path / "a.png").write_bytes(data)
    assert decode(tmp_path / "a.png", 64).shape == (64, 64, 3)
    (tmp_path / "a.png").write_bytes(data[: int(part * len(data))])
    with pytest.raises(DataError, match=r"cannot be read \(.+\); replace or remove it"):
        decode(tmp_path / "a.png", 64)


def test_an_empty_file_is_called_so(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    with pytest.raises(DataError, match=r"cannot be read \(it is empty\)"):
        decode(tmp_path / "a.png", 8)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"image 0, .*none.png, is missing; restore it"):
        decode(tmp_path / "none.png", 8)


def test_a_small_image_stretched_to_a_huge_strip_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="would be"):
        decode(saved(Image.new("L", (60_000, 1)), tmp_path / "a.png"), 64)


def test_read_all_and_its_cache(tmp_path: Path, reports: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"{i}.png" for i in range(12)]
    for i, name in enumerate(names):
        Image.new("RGB", (8, 8), (i, 0, 0)).save(tmp_path / name)
    first = read_all(tmp_path, names, 8)
    assert first[:, 0, 0, 0].tolist() == list(range(12))
    assert len(list((reports / "cache" / "images").iterdir())) == 1

    def never(*_: object) -> None:
        raise AssertionError("read again")

    with monkeypatch.context() as patch:
        patch.setattr(pictures, "decode", never)
        np.testing.assert_array_equal(read_all(tmp_path, names, 8), first)
        with pytest.raises(AssertionError):
            read_all(tmp_path, names, 16)
    Image.new("RGB", (8, 8), (99, 0, 0)).save(tmp_path / "3.png", compress_level=0)  # another size: the cache is void
    assert read_all(tmp_path, names, 8)[3, 0, 0, 0] == 99
    for cache in (reports / "cache" / "images").iterdir():
        cache.write_bytes(cache.read_bytes()[:100])  # damaged: read again
    assert read_all(tmp_path, names, 8)[3, 0, 0, 0] == 99
    (tmp_path / "5.png").unlink()
    with pytest.raises(DataError, match=r"image 5, .*5.png, is missing"):
        read_all(tmp_path, names, 8)


def test_no_place_for_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LTLIB_REPORTS", str(tmp_path / "file"))
    Image.new("RGB", (8, 8), RED).save(tmp_path / "a.png")
    assert (read_all(tmp_path, ["a.png"], 8) == RED).all()


# --- the file that images are decoded into


def red_images(folder: Path, count: int) -> list[str]:
    """The red of each is its number."""
    folder.mkdir(exist_ok=True)
    names = [f"{i}.png" for i in range(count)]
    for i, name in enumerate(names):
        Image.new("RGB", (8, 8), (i, 0, 0)).save(folder / name)
    return names


def files_of(reports: Path) -> list[str]:
    return sorted(file.name for file in (reports / "cache" / "images").glob("*"))


def test_images_are_decoded_into_a_file(tmp_path: Path, reports: Path) -> None:
    names = red_images(tmp_path / "set", 12)
    first = read_all(tmp_path / "set", names, 8)
    assert isinstance(first, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        first[0] = 0
    (name,) = files_of(reports)
    stored = np.load(reports / "cache" / "images" / name)
    assert stored[:, 0, 0, 0].tolist() == list(range(12))
    assert (stored.shape, stored.dtype) == ((12, 8, 8, 3), np.uint8)
    assert (reports / "cache" / "images" / name).stat().st_mode & 0o777 == 0o666 & ~umask()


def umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@pytest.mark.parametrize("kind", ["fault", "interrupt"])
def test_what_is_not_finished_leaves_nothing(
    tmp_path: Path, reports: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = red_images(tmp_path / "set", 40)
    decoded = pictures.decode

    def stops(path: Path, *more: Any) -> Any:
        if path.name != "20.png":
            return decoded(path, *more)
        assert files_of(reports)  # written to already
        raise (DataError("image 20 is bad") if kind == "fault" else KeyboardInterrupt)

    with monkeypatch.context() as patch:
        patch.setattr(pictures, "decode", stops)
        with pytest.raises(DataError if kind == "fault" else KeyboardInterrupt):
            read_all(tmp_path / "set", names, 8)
    assert files_of(reports) == []
    assert read_all(tmp_path / "set", names, 8)[:, 0, 0, 0].tolist() == list(range(40))


def test_what_a_killed_process_left_is_swept(tmp_path: Path, reports: Path) -> None:
    names = red_images(tmp_path / "set", 3)
    folder = reports / "cache" / "images"
    folder.mkdir(parents=True)
    for name, age in ((".ltlib-tmp-old", 7200), (".ltlib-tmp-new", 0)):  # of one that is at work, and of a dead one
        (folder / name).write_bytes(b"half an array")
        then = time.time() - age
        os.utime(folder / name, (then, then))
    read_all(tmp_path / "set", names, 8)
    left = files_of(reports)
    assert left[0] == ".ltlib-tmp-new"
    assert len(left) == 2


@pytest.mark.parametrize("step", ["posix_fallocate", "fsync", "replace"])
def test_a_full_disk_does_not_stop_the_reading(
    tmp_path: Path, reports: Path, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = red_images(tmp_path / "set", 5)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, step, full, raising=False)
        assert read_all(tmp_path / "set", names, 8)[:, 0, 0, 0].tolist() == list(range(5))
    assert files_of(reports) == []


@pytest.mark.parametrize("error", [None, errno.EOPNOTSUPP])
def test_where_the_system_cannot_reserve_room(
    tmp_path: Path, reports: Path, error: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cannot(*_: object) -> None:
        raise OSError(error, "Operation not supported")

    if error is None:
        monkeypatch.delattr(os, "posix_fallocate", raising=False)
    else:
        monkeypatch.setattr(os, "posix_fallocate", cannot, raising=False)
    names = red_images(tmp_path / "set", 5)
    images = read_all(tmp_path / "set", names, 8)
    assert isinstance(images, np.memmap)
    assert images[:, 0, 0, 0].tolist() == list(range(5))


TOGETHER = """
import os, sys, time
from pathlib import Path
from ltlib.datasets import pictures
folder, log = Path(sys.argv[1]), Path(sys.argv[2])
decoded = pictures.decode
def counted(path, *more):
    with log.open("a") as stream:
        stream.write(path.name + "\\n")
    time.sleep(0.05)
    return decoded(path, *more)
pictures.decode = counted
(folder / f"ready {os.getpid()}").touch()
while not (folder / "go").exists():
    time.sleep(0.01)
print(pictures.read_all(folder, [f"{i}.png" for i in range(20)], 8)[:, 0, 0, 0].tolist())
"""


@pytest.mark.parametrize("locked", [True, False])
def test_two_processes_at_once(tmp_path: Path, reports: Path, locked: bool) -> None:
    """The second waits for the first; where nothing can be locked both decode, and neither harms the other."""
    red_images(tmp_path / "set", 20)
    code = (
        TOGETHER if locked else TOGETHER.replace("pictures.decode = ", "pictures._turn = WITHOUT\npictures.decode = ")
    )
    code = code.replace("WITHOUT", "lambda folder: __import__('contextlib').nullcontext()")
    command = [sys.executable, "-c", code, str(tmp_path / "set"), str(tmp_path / "log")]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    while len(list((tmp_path / "set").glob("ready *"))) < 2 and all(process.poll() is None for process in both):
        time.sleep(0.01)
    (tmp_path / "set" / "go").touch()
    assert [process.communicate(timeout=60)[0] for process in both] == [f"{list(range(20))}\n"] * 2
    assert [process.returncode for process in both] == [0, 0]
    assert len(files_of(reports)) == 1
    decoded = len((tmp_path / "log").read_text().splitlines())
    assert decoded == 20 if locked else 20 < decoded <= 40


def test_pictures_wait_for_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many threads there are, they hold no more pixels than there is room for."""
    room, held, most = pictures._Room(100), [0], [0]
    lock = threading.Lock()

    def hold(pixels: int) -> None:
        with room.of(pixels):
            with lock:
                held[0] += pixels
                most[0] = max(most[0], held[0])
            time.sleep(0.002)
            with lock:
                held[0] -= pixels

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(hold, [40, 60, 100, 1, 30, 30, 30, 100] * 5))
    assert most == [100]
    with pytest.raises(ZeroDivisionError), room.of(100):
        raise ZeroDivisionError
    with room.of(100):  # what failed gave its room back
        pass


def test_decoding_takes_its_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = []

    class Noted(pictures._Room):
        def of(self, pixels: int) -> Any:
            taken.append(pixels)
            return super().of(pixels)

    monkeypatch.setattr(pictures, "_ROOM", Noted(pictures.MAX_PIXELS))
    decode(saved(photo(30, 20), tmp_path / "a.png"), 8)
    assert taken == [600]

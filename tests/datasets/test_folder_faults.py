"""What real folders hold: each thing is read as it should be, or named; through the public loader."""

from __future__ import annotations

import io
import os
import re
import shutil
import struct
import tracemalloc
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import ltlib
from ltlib import datasets
from ltlib.datasets import contents, faults, pictures
from ltlib.errors import DataError

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)
SIZE = 8


def fill(folder: Path, **classes: int) -> Path:
    """Class folders with images of one colour: red is the number of an image."""
    for name, count in classes.items():
        (folder / name).mkdir(parents=True)
        for i in range(count):
            Image.new("RGB", (SIZE, SIZE), (i, 0, len(name))).save(folder / name / f"{i}.png")
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes with three training images and one test image each."""
    fill(tmp_path / "set" / "train", a=3, b=3)
    fill(tmp_path / "set" / "test", a=1, b=1)
    return tmp_path / "set"


def halves(first: tuple[int, ...], second: tuple[int, ...], axis: int) -> np.ndarray:
    """One colour above another (axis 0), or left of it (axis 1)."""
    image = np.zeros((SIZE, SIZE, 3), np.uint8)
    image[:] = first
    image[(slice(None),) * axis + (slice(SIZE // 2, None),)] = second
    return image


def one_colour(colour: tuple[int, ...]) -> np.ndarray:
    return halves(colour, colour, 0)


def noise(kind: str, side: int = 64) -> bytes:
    stream = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(stream, kind)
    return stream.getvalue()


# --- what is read, and the pixels that it must give


def cmyk(path: Path) -> np.ndarray:
    Image.new("CMYK", (SIZE, SIZE), (255, 0, 0, 0)).save(path)
    return one_colour((0, 255, 255))  # cyan takes all red away


def palette(path: Path) -> np.ndarray:
    image = Image.new("P", (SIZE, SIZE), 1)
    image.putpalette([*RED, *GREEN])
    image.save(path, transparency=1)
    return one_colour(GREEN)  # the colour below its transparency


def sixteen_bits(path: Path) -> np.ndarray:
    grey = np.full((SIZE, SIZE), 65535, np.uint16)
    grey[SIZE // 2 :] = 25700  # 100 / 255 of it
    Image.fromarray(grey).save(path)
    return halves(WHITE, (100, 100, 100), 0)


def turned(path: Path) -> np.ndarray:
    exif = Image.Exif()
    exif[0x0112] = 6  # the left column of the file is the top of the picture
    Image.fromarray(halves(RED, BLUE, 1)).save(path, exif=exif)
    return halves(RED, BLUE, 0)


def animation(path: Path) -> np.ndarray:
    frames = [Image.new("RGB", (SIZE, SIZE), colour) for colour in (RED, BLUE)]
    lossless = {"lossless": True} if path.suffix == ".webp" else {}
    frames[0].save(path, save_all=True, append_images=frames[1:], **lossless)
    return one_colour(RED)


def plain(path: Path) -> np.ndarray:
    Image.new("RGB", (SIZE, SIZE), GREEN).save(path)
    return one_colour(GREEN)


def linked(path: Path) -> np.ndarray:
    elsewhere = path.parents[3] / "elsewhere.png"
    plain(elsewhere)
    path.symlink_to(elsewhere)
    return one_colour(GREEN)


READ = [
    ("9 cmyk.tif", cmyk),
    ("9 palette.png", palette),
    ("9 grey.png", sixteen_bits),
    ("9 turned.png", turned),
    ("9 turned.webp", lambda path: turned_lossless(path)),
    ("9 animation.gif", animation),
    ("9 animation.webp", animation),
    ("9 été 猫 №1 (copy).png", plain),
    ("9.PNG", plain),
    ("9 linked.png", linked),
]


def turned_lossless(path: Path) -> np.ndarray:
    exif = Image.Exif()
    exif[0x0112] = 3
    Image.fromarray(halves(RED, BLUE, 0)).save(path, exif=exif, lossless=True)
    return halves(BLUE, RED, 0)  # upside down


@pytest.mark.parametrize(("name", "write"), READ, ids=[name for name, _ in READ])
def test_read(folder: Path, name: str, write: Callable[[Path], np.ndarray]) -> None:
    expected = write(folder / "train" / "a" / name)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data = datasets.load(f"folder:{folder}@{SIZE}")
    assert data.class_counts == (4, 3)
    place = data.train.indices.tolist().index(3)  # after 0.png, 1.png, 2.png
    np.testing.assert_array_equal(data.train.images[place], expected)


# --- what is refused, and the sentence for it


def corrupt_jpeg(path: Path) -> None:
    data = bytearray(noise("JPEG"))
    data[1000:1500] = bytes(500)  # which PIL takes for a picture
    path.write_bytes(data)


def no_tables(path: Path) -> None:
    data = noise("JPEG")
    start = data.index(b"\xff\xdb")  # the quantisation table's marker becomes that of a comment
    path.write_bytes(data[:start] + b"\xff\xfe" + data[start + 2 :].replace(b"\xff\xdb", b"\xff\xfe"))


def huge(path: Path) -> None:
    """A PNG that says it is 20,000 x 20,000, and has a whole such image, a megabyte of zeros packed, inside."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    packer = zlib.compressobj(1)
    rows = [packer.compress(bytes(20_001)) for _ in range(20_000)]
    header = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 0, 0, 0, 0)
    parts = chunk(b"IHDR", header), chunk(b"IDAT", b"".join([*rows, packer.flush()])), chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))


REFUSED: list[tuple[str, Callable[[Path], Any], str]] = [
    ("9 corrupt.jpg", corrupt_jpeg, r"cannot be read \(its data go on after the picture is complete: it is damaged\);"),
    ("9 no tables.jpg", no_tables, r"cannot be read \(.+\); replace or remove it"),
    ("9 cut.png", lambda path: path.write_bytes(noise("PNG")[:-200]), r"cannot be read \(.*truncated.*\); replace or"),
    ("9 cut.jpg", lambda path: path.write_bytes(noise("JPEG")[:-200]), r"cannot be read \(.*truncated.*\); replace or"),
    ("9 text.jpg", lambda path: path.write_text("<html>404"), r"cannot be read \(what is in it is none of PNG, JPEG,"),
    (
        "9 eps.jpg",
        lambda path: path.write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n"),
        r"cannot be read \(what is in it is none of PNG, JPEG,",
    ),
    ("9 empty.jpg", lambda path: path.touch(), r"cannot be read \(it is empty\); replace or remove it"),
    ("9 huge.png", huge, r"cannot be read \(.*(400000000 pixels|20000 x 20000 pixels).*\); replace or remove it"),
    (
        "9 nowhere.png",
        lambda path: path.symlink_to("gone.png"),
        r"is a link to gone.png, which is not there .*; restore",
    ),
    ("9 loop.png", lambda path: path.symlink_to(path.name), r"is a link to 9 loop.png, .* cannot be reached; restore"),
    ("9 pipe.png", os.mkfifo, "is neither a file nor a folder; remove it"),
]


@pytest.mark.parametrize(("name", "write", "sentence"), REFUSED, ids=[name for name, *_ in REFUSED])
def test_refused(folder: Path, name: str, write: Callable[[Path], Any], sentence: str) -> None:
    write(folder / "train" / "a" / name)
    with pytest.raises(DataError, match=rf"{re.escape(str(folder / 'train' / 'a' / name))},? {sentence}") as caught:
        datasets.load(f"folder:{folder}@{SIZE}")
    assert "\n" not in str(caught.value)
    assert datasets.verify(f"folder:{folder}") == [str(caught.value)]


def test_a_decompression_bomb_is_never_unpacked(folder: Path) -> None:
    huge(folder / "train" / "a" / "9.png")
    datasets.info(f"folder:{folder}")
    tracemalloc.start()
    before = max_resident()
    with pytest.raises(DataError, match=r"9.png, cannot be read"):
        datasets.load(f"folder:{folder}@{SIZE}")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert max_resident() - before < 100 * 2**20  # of 400 million bytes
    assert peak < 20 * 2**20


def max_resident() -> int:
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read every file; run as another user")
@pytest.mark.parametrize("kind", ["file", "folder"])
def test_no_right_to_read(folder: Path, kind: str) -> None:
    closed = folder / "train" / "a" / ("1.png" if kind == "file" else "")
    closed.chmod(0)
    try:
        with pytest.raises(
            DataError,
            match=rf"{re.escape(str(closed))},? cannot be read \(Permission denied\); give yourself the right",
        ):
            datasets.load(f"folder:{folder}@{SIZE}")
    finally:
        closed.chmod(0o700)


def test_all_faults_stand_in_one_list(folder: Path) -> None:
    for part, (name, write, _) in zip("ab" * len(REFUSED), REFUSED, strict=False):
        write(folder / "train" / part / name)
    for empty in ("c", "d"):
        (folder / "train" / empty).mkdir()
    (folder / "train" / "gone").symlink_to("nowhere")
    (folder / "train" / "e").mkdir()
    (folder / "train" / "e" / "photo.HEIC").touch()
    (folder / "test" / "a" / "cut.png").write_bytes(noise("PNG")[:-200])
    for call in (datasets.info, datasets.load):
        with pytest.raises(DataError) as caught:
            call(f"folder:{folder}@{SIZE}")
        text = str(caught.value)
        assert text.startswith(
            f"{len(REFUSED) + 5} faults in {folder}, and nothing of it is used until they are mended"
        )
        for part, (name, _, sentence) in zip("ab" * len(REFUSED), REFUSED, strict=False):
            assert len(re.findall(rf"train/{part}/{re.escape(name)},? {sentence}", text)) == 1
        for part in ("class 'c' in train has no image;", "class 'd' in train has no image;", "train/gone is a link to"):
            assert text.count(part) == 1
        assert (
            text.count("class 'e' in train has no image that is read (1 in other formats, such as train/e/photo.H") == 1
        )
        assert text.count("test/a/cut.png, cannot be read (") == 1
        assert text.count(str(folder)) == 1
        assert "\n" not in text
    assert len(datasets.verify(f"folder:{folder}")) == len(REFUSED) + 5


def test_of_many_faults_the_first_are_named_and_all_are_counted(tmp_path: Path) -> None:
    folder = fill(tmp_path / "set", a=30, b=3)
    for file in (folder / "a").iterdir():
        file.write_bytes(b"no picture")
    with pytest.raises(DataError) as caught:
        datasets.load(f"folder:{folder}@{SIZE}")
    assert str(caught.value).count("replace or remove it") == faults.NAMED == 20
    assert str(caught.value).startswith("30 faults in")
    assert "And 10 more, which `ltlib data verify` names." in str(caught.value)
    assert len(datasets.verify(f"folder:{folder}")) == 30


# --- classes, links, hidden files


def loaded_with_a_word(folder: Path) -> tuple[Any, str]:
    with pytest.warns(UserWarning, match=f"left out of {folder}") as caught:
        data = datasets.load(f"folder:{folder}@{SIZE}")
    (said,) = {str(warning.message) for warning in caught}
    return data, said


def test_a_class_with_one_image_trains_and_is_named(tmp_path: Path) -> None:
    data, said = loaded_with_a_word(fill(tmp_path / "set", ant=10, lynx=1))
    assert (data.class_counts, data.test.class_counts) == ((8, 1), (2, 0))
    assert "'lynx' of the test set, for which it has no image" in said


def test_a_link_that_leads_back(folder: Path) -> None:
    (folder / "train" / "a" / "again").symlink_to(folder / "train", target_is_directory=True)
    data, said = loaded_with_a_word(folder)
    assert data.class_counts == (3, 3)
    assert f"{folder}/train/a/again leads back to a folder that is read already" in said


def test_hidden_litter_is_passed_over_in_silence(folder: Path) -> None:
    before = datasets.info(f"folder:{folder}").digest
    for place in (folder, folder / "train", folder / "train" / "a"):
        (place / ".DS_Store").write_bytes(b"\0\0\0\1Bud1")
        (place / "._0.png").write_bytes(b"\0\5\x16\7\0\2\0\0Mac OS X")
        (place / ".ipynb_checkpoints").mkdir()
        (place / ".ipynb_checkpoints" / "look-checkpoint.ipynb").write_text("{}")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert datasets.load(f"folder:{folder}@{SIZE}").class_counts == (3, 3)
    assert datasets.info(f"folder:{folder}").digest == before


def test_hidden_pictures_are_counted(folder: Path) -> None:
    picture = folder / "train" / "a" / "0.png"
    for place in (folder / "train", folder / "train" / "a", folder / "test" / "b"):
        (place / ".ipynb_checkpoints").mkdir()
        shutil.copy(picture, place / ".ipynb_checkpoints" / "0-checkpoint.png")
    shutil.copy(picture, folder / "train" / "b" / ".9.png")
    data, said = loaded_with_a_word(folder)
    assert (data.class_counts, data.test.class_counts) == ((3, 3), (1, 1))
    assert "4 hidden pictures (such as test/b/.ipynb_checkpoints/0-checkpoint.png)" in said


# --- the same folder later


def test_changed_and_moved_images_are_another_set(folder: Path) -> None:
    def run_id() -> str:
        name = f"folder:{folder}@{SIZE}"
        return ltlib.Experiment(name, 1, "resnet8", "ce", "convergent").run_id

    image = folder / "train" / "a" / "1.png"
    ids = [run_id()]
    assert run_id() == ids[0]
    plain(image)
    ids.append(run_id())
    data = datasets.load(f"folder:{folder}@{SIZE}")
    np.testing.assert_array_equal(data.train.images[data.train.indices.tolist().index(1)], one_colour(GREEN))
    image.rename(folder / "train" / "b" / "1 moved.png")
    ids.append(run_id())
    assert datasets.load(f"folder:{folder}@{SIZE}").class_counts == (2, 4)
    shutil.move(folder / "train" / "b" / "1 moved.png", image)
    assert run_id() == ids[1]
    image.unlink()
    ids.append(run_id())
    assert len(set(ids)) == 4


def test_an_image_that_changes_while_it_is_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digests = contents.digests

    def then_changed(place: Path, names: list[str], **more: bool) -> list[str]:
        found = digests(place, names, **more)
        for name in ("a/0.png", "b/2.png"):
            plain(folder / "train" / name)
        return found

    with monkeypatch.context() as patch:
        patch.setattr(contents, "digests", then_changed)
        with pytest.raises(DataError) as caught:
            datasets.read(f"folder:{folder}@{SIZE}")
    for name in ("a/0.png", "b/2.png"):
        assert f"train/{name}, changed while the set was read; read it again" in str(caught.value)
    data = datasets.read(f"folder:{folder}@{SIZE}")
    np.testing.assert_array_equal(data.train.images[0], one_colour(GREEN))


def test_an_image_that_goes_while_it_is_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decode = pictures.decode

    def gone(path: Path, *more: Any) -> np.ndarray:
        if path.name == "1.png":
            path.unlink()
        return decode(path, *more)

    monkeypatch.setattr(pictures, "decode", gone)
    with pytest.raises(DataError, match=r"2 faults in .* \(1\) image 1, train/a/1.png, is missing; restore it\. \(2\)"):
        datasets.load(f"folder:{folder}@{SIZE}")

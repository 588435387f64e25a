"""Image folders of any shape, and the ones that are refused."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import ltlib
from ltlib import cli, datasets, runs
from ltlib.datasets import contents, drawn, folders, own_files
from ltlib.errors import DataError, SettingError


@pytest.fixture(autouse=True)
def reports(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LTLIB_REPORTS", str(tmp_path_factory.mktemp("reports")))


def fill(folder: Path, **classes: int) -> Path:
    """Class folders with images; red is the number of an image, green the length of its class's name, blue a letter."""
    for name, count in classes.items():
        (folder / name).mkdir(parents=True)
        for i in range(count):
            Image.new("RGB", (8, 8), (i, len(name), ord(name[0]))).save(folder / name / f"{i:03}.png")
    return folder


def test_split_without_a_test_folder(tmp_path: Path) -> None:
    fill(tmp_path, dog=20, ant=11, lynx=1)
    name = f"folder:{tmp_path}@8"
    source = datasets.read(name)
    assert source.class_names == ("ant", "dog", "lynx")
    assert (source.train.class_counts, source.test.class_counts) == ((9, 16, 1), (2, 4, 0))
    seen = sorted(
        (int(t), int(i[0, 0, 0]))
        for part in (source.train, source.test)
        for i, t in zip(part.images, part.targets, strict=True)
    )
    assert seen == [(0, i) for i in range(11)] + [(1, i) for i in range(20)] + [(2, 0)]
    again = datasets.read(name)
    np.testing.assert_array_equal(again.test.images, source.test.images)
    known = datasets.info(name)
    assert (known.num_classes, known.train_images, known.image_size, known.group_rule) == (3, 26, 8, "thirds")


@pytest.mark.parametrize("test", ["test", "val"])
def test_train_and_test_folders(tmp_path: Path, test: str) -> None:
    fill(tmp_path / "train", **{"1": 3, "2": 4, "10": 5})
    fill(tmp_path / test, **{"10": 2, "2": 1})
    data = datasets.load(f"folder:{tmp_path}@8")
    assert data.class_names == ("1", "10", "2")
    assert (data.class_counts, data.test.class_counts) == ((3, 5, 4), (0, 2, 1))
    assert set(data.test.images[:, 0, 0, 1][data.test.targets == 1]) == {2}  # numbers come from train, not from test


def test_long_tail_of_a_folder_is_capped(tmp_path: Path) -> None:
    fill(tmp_path / "train", a=6, b=40, c=20)
    fill(tmp_path / "test", a=1, b=1, c=1)
    data = datasets.load(f"folder:{tmp_path}@8", imbalance_factor=4)
    assert data.class_counts == (6, 40, 20)  # the curve is 40, 20, 10, the largest class first
    assert data.groups == {"head": (1,), "middle": (2,), "tail": (0,)}
    assert data.imbalance_factor == pytest.approx(40 / 6)


def test_default_size_and_formats(tmp_path: Path) -> None:
    for kind in ("png", "jpg", "bmp", "gif", "tiff", "webp", "ppm"):
        for name in "ab":
            (tmp_path / name / "below").mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (90, 70), (200, 10, 10)).save(tmp_path / name / "below" / f"x.{kind}")
            Image.new("RGB", (70, 90), (200, 10, 10)).save(tmp_path / name / f"X.{kind.upper()}")
    source = datasets.read(f"folder:{tmp_path}")
    assert source.train.images.shape[1:] == (64, 64, 3)
    assert len(source.train) + len(source.test) == 28
    assert np.abs(np.asarray(source.train.images).astype(int) - (200, 10, 10)).max() < 6


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    fill(tmp_path, train=5, test=5, bus=5)
    assert datasets.read(f"folder:{tmp_path}@8").class_names == ("bus", "test", "train")


def test_hidden_and_foreign_files_are_ignored(tmp_path: Path) -> None:
    fill(tmp_path, a=5, b=5)
    digest = datasets.info(f"folder:{tmp_path}").digest
    (tmp_path / "a" / "._000.png").write_bytes(b"mac")
    (tmp_path / "a" / ".hidden.png").write_bytes(b"")
    (tmp_path / "a" / "notes.txt").write_text("")
    (tmp_path / "a" / ".thumbnails").mkdir()
    (tmp_path / "a" / ".thumbnails" / "x.png").write_bytes(b"")
    (tmp_path / "__MACOSX" / "a").mkdir(parents=True)
    (tmp_path / ".git").mkdir()
    assert datasets.info(f"folder:{tmp_path}").digest == digest
    assert datasets.read(f"folder:{tmp_path}@8").class_names == ("a", "b")


def test_digest_is_names_and_contents(tmp_path: Path) -> None:
    fill(tmp_path / "one", a=5, b=5)
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    one, two = (datasets.info(f"folder:{tmp_path / name}").digest for name in ("one", "two"))
    assert one == two  # the place of the folder is no part of it
    assert datasets.info(f"folder:{tmp_path / 'one'}@32").digest != one
    (tmp_path / "two" / "a" / "000.png").rename(tmp_path / "two" / "a" / "new.png")
    assert datasets.info(f"folder:{tmp_path / 'two'}").digest != one
    shutil.copytree(tmp_path / "one", tmp_path / "three")
    (tmp_path / "three" / "b").rename(tmp_path / "three" / "c")  # another name of a class, the same images
    assert datasets.info(f"folder:{tmp_path / 'three'}").digest != one


def repaint(file: Path, colour: tuple[int, int, int]) -> None:
    """Other pixels, the same size in bytes, the same times."""
    before = file.stat()
    Image.new("RGB", (8, 8), colour).save(file)
    assert file.stat().st_size == before.st_size
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_other_pixels_under_the_same_names_and_sizes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    later = time.time_ns() + 60_000_000_000
    monkeypatch.setattr(contents.time, "time_ns", lambda: later)  # the digests are kept
    for name in ("a", "b"):
        (tmp_path / "set" / name).mkdir(parents=True)
        for i in range(4):
            Image.new("RGB", (8, 8), (i, ord(name), 0)).save(tmp_path / "set" / name / f"{i}.bmp")
    shutil.copytree(tmp_path / "set", tmp_path / "twin")
    name, twin = f"folder:{tmp_path / 'set'}@8", f"folder:{tmp_path / 'twin'}@8"
    assert datasets.info(name).digest == datasets.info(twin).digest
    repaint(tmp_path / "twin" / "b" / "2.bmp", (2, ord("b"), 1))
    assert datasets.info(name).digest != datasets.info(twin).digest
    before = datasets.read(name)
    assert set(np.concatenate([before.train.images, before.test.images])[:, 0, 0, 2]) == {0}
    for file in (tmp_path / "set").rglob("*.bmp"):
        repaint(file, (9, 9, int(file.stem) + 10 * (file.parent.name == "a")))
    after = datasets.read(name)
    for part in (after.train, after.test):
        assert (part.images[..., :2] == 9).all()


def test_an_image_that_changes_while_the_set_is_read(tmp_path: Path) -> None:
    listing = folders.scan(fill(tmp_path, a=3, b=3))
    Image.new("RGB", (8, 8), (200, 0, 0)).save(tmp_path / listing.items[1].path)
    with pytest.raises(DataError, match=r"image 1, .*png, changed while the set was read; read it again"):
        own_files.read(tmp_path, 8, listing)
    source = datasets.read(f"folder:{tmp_path}@8")
    assert isinstance(source, drawn.Drawn)
    assert (source.pool.images[1, 0, 0] == (200, 0, 0)).all()


@pytest.mark.parametrize(("train", "test"), [("Train", "Test"), ("training", "testing"), ("train", "valid")])
def test_split_folders_by_other_names(tmp_path: Path, train: str, test: str) -> None:
    fill(tmp_path / train, ant=6, dog=5)
    fill(tmp_path / test, ant=1, dog=2)
    source = datasets.read(f"folder:{tmp_path}@8")
    assert source.class_names == ("ant", "dog")
    assert (source.train.class_counts, source.test.class_counts) == ((6, 5), (1, 2))


def test_what_is_left_out_is_said_each_time(tmp_path: Path) -> None:
    fill(tmp_path / "train", a=3, b=3)
    fill(tmp_path / "test", a=1, b=1)
    fill(tmp_path / "val", a=1, b=1)
    (tmp_path / "train" / "a" / "IMG_1.HEIC").write_bytes(b"")
    for call in (datasets.read, datasets.read, datasets.verify):
        with pytest.warns(UserWarning, match=r"1 picture in .*train/a/IMG_1.HEIC.*; the images in .*val are not used"):
            call(f"folder:{tmp_path}@8")


def test_names_that_are_no_utf8(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fill(tmp_path / "set", **{"b": 3, "caf\udce9": 3})  # as unpacked from an old archive, in Latin-1
    folder = tmp_path / "set"
    for _ in range(2):  # only the class, then the set's folder too
        name = f"folder:{folder}@8"
        assert datasets.read(name).class_names == datasets.info(name).class_names == ("b", "caf\\xe9")
        assert datasets.verify(name) == []
        folder = folder.rename(tmp_path / "caf\udce9")
    run = ltlib.run(ltlib.Experiment(name, 1, "resnet8", "ce", "convergent[augmentation=none;epochs=1]"))
    assert run.class_names == ["b", "caf\\xe9"]
    assert run.experiment.dataset == name
    assert runs.verify() == []
    (folder / "caf\udce9" / "000.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"caf\\xe9/000.png, cannot be read"):
        datasets.read(name)
    assert cli.main(["data", "verify", name]) == 1
    assert "caf\\xe9/000.png" in capsys.readouterr().out


def test_two_names_that_are_written_the_same(tmp_path: Path) -> None:
    fill(tmp_path, **{"caf\udce9": 3, "caf\\xe9": 3})
    with pytest.raises(DataError, match="two folders that are both written"):
        datasets.info(f"folder:{tmp_path}")


@pytest.mark.parametrize(
    "name", ["photos@20", "a[b=1]", "a;b=c", "c:d", "C:\\photos@8", "with space", "~x", "ü", "#1", "a\nb"]
)
def test_folders_of_any_name(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path / name, a=4, bb=4)
    monkeypatch.chdir(tmp_path)
    digests = {datasets.info(f"folder:{form}").digest for form in (tmp_path / name, f"{tmp_path / name}/", f"./{name}")}
    assert len(digests) == 1
    assert datasets.read(f"folder:{tmp_path / name}@8").class_names == ("a", "bb")
    assert datasets.info(f"folder:{tmp_path / name}@8").image_size == 8
    resolved = ltlib.Experiment(f"folder:./{name}@8", 1, "resnet8", "ce", "convergent").resolve()
    assert resolved.data["digest"] == datasets.info(f"folder:{tmp_path / name}@8").digest


def test_a_folder_of_the_whole_name_comes_first(tmp_path: Path) -> None:
    fill(tmp_path / "photos", x=2, y=2, z=2)
    assert datasets.info(f"folder:{tmp_path}/photos@20").image_size == 20
    fill(tmp_path / "photos@20", a=4, b=4)
    known = datasets.info(f"folder:{tmp_path}/photos@20")
    assert (known.class_names, known.image_size) == (("a", "b"), own_files.IMAGE_SIZE)
    assert known.where == f"the folder {tmp_path}/photos@20"
    assert datasets.info(f"folder:{tmp_path}/photos/@20").class_names == ("x", "y", "z")
    known = datasets.info(f"folder:{tmp_path}/photos@20@32")
    assert (known.class_names, known.image_size) == (("a", "b"), 32)


@pytest.mark.parametrize("size", ["0", "1025", "99999"])
def test_sizes_that_no_image_is_read_at(tmp_path: Path, size: str) -> None:
    with pytest.raises(
        DataError, match=rf"asks for images of {size} pixels, .* no folder of that whole name; .* 1 to 1024"
    ):
        datasets.info(f"folder:{tmp_path}@{size}")


def test_each_refusal_says_what_helps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    fill(tmp_path / "no test" / "train", a=3, b=3)
    (tmp_path / "no test" / "test" / "a").mkdir(parents=True)
    fill(tmp_path / "ones", a=1, b=1)
    fill(tmp_path / "wrapped" / "photos", a=3, b=3)
    fill(tmp_path / "heic", a=3, b=0)
    (tmp_path / "heic" / "b" / "1.heic").touch()
    (tmp_path / "photos.zip").touch()
    (tmp_path / "link").symlink_to("gone")
    for path, sentence in (
        (
            "missing/photos",
            rf"{tmp_path}/missing/photos is not a folder; .*the nearest folder that exists is {tmp_path}\)",
        ),
        ("photos.zip", "photos.zip is a file; unpack it and give the folder"),
        ("link", "link is a link to gone, which is not there; restore that"),
        ("no test", r"no test/test holds no image to test with; put images .*, or remove it: a fifth"),
        ("ones", "each class in ones has one image, .* add images, or a test part"),
        ("wrapped", "or give wrapped/photos if that holds the class folders"),
        ("heic", r"class 'b' in heic has no image that is read \(1 in other formats, such as b/1.heic; convert"),
    ):
        for call in (datasets.info, datasets.load):
            with pytest.raises(DataError, match=sentence):
                call(f"folder:{path}")


def test_no_right_to_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    is_dir = Path.is_dir

    def barred(self: Path) -> bool:  # as where a folder above is closed
        if self == tmp_path:
            raise PermissionError(13, "Permission denied", str(self))
        return is_dir(self)

    monkeypatch.setattr(Path, "is_dir", barred)
    assert datasets.available(f"folder:{tmp_path}")
    with pytest.raises(DataError, match=rf"{tmp_path} cannot be read \(Permission denied\); make it readable"):
        datasets.info(f"folder:{tmp_path}")


def test_a_set_that_does_not_fit_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    empty = np.empty

    def full(shape: Any, *more: Any) -> Any:
        if np.prod(shape) > 10_000_000:
            raise MemoryError
        return empty(shape, *more)

    fill(tmp_path, a=3, b=3)
    (tmp_path / "file").touch()
    monkeypatch.setenv("LTLIB_REPORTS", str(tmp_path / "file"))  # nor can it be written
    monkeypatch.setattr(np, "empty", full)
    with pytest.raises(
        DataError, match=r"6 images of 1024 pixels take 0 GiB .*cannot be written to .*; .* read them smaller, as in f"
    ):
        datasets.read(f"folder:{tmp_path}@1024")


def test_refused_folders(tmp_path: Path) -> None:
    for path, sentence in (
        (tmp_path / "none", "is not a folder; give the folder"),
        (fill(tmp_path / "single", a=3), r"holds 1 class folder\(s\) with images, at least two"),
        (fill(tmp_path / "empty", a=3, b=0, c=2), "class 'b' in .*empty has no image"),
    ):
        with pytest.raises(DataError, match=sentence) as caught:
            datasets.load(f"folder:{path}")
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)
    (tmp_path / "flat").mkdir()
    Image.new("L", (4, 4)).save(tmp_path / "flat" / "a.png")
    with pytest.raises(DataError, match="holds 0 class folder"):
        datasets.load(f"folder:{tmp_path / 'flat'}")
    with pytest.raises(DataError, match="names no folder"):
        datasets.load("folder:")
    fill(tmp_path / "more" / "train", a=3, b=3)
    fill(tmp_path / "more" / "test", a=1, z=1)
    with pytest.raises(DataError, match=r"has the class z, which .*train lacks"):
        datasets.load(f"folder:{tmp_path / 'more'}")


def test_one_damaged_image(tmp_path: Path) -> None:
    fill(tmp_path, a=10, b=10)
    (tmp_path / "b" / "004.png").write_bytes((tmp_path / "b" / "004.png").read_bytes()[:50])
    (tmp_path / "a" / "002.png").write_text("<html>")
    listing = folders.scan(tmp_path)
    place = [item.path for item in listing.items].index("a/002.png")
    with pytest.raises(DataError, match=r"image \d+, .*(a/002|b/004).png, cannot be read"):
        datasets.load(f"folder:{tmp_path}@8")
    found = datasets.verify(f"folder:{tmp_path}")
    assert len(found) == 2
    assert any(f"image {place}," in sentence for sentence in found)


def test_classes_too_small_for_the_limit(tmp_path: Path) -> None:
    fill(tmp_path, a=10, b=10)
    with pytest.raises(SettingError, match="limit 1 is below the number of classes, 2"):
        datasets.load(f"folder:{tmp_path}@8", limit=1)

"""Image folders of any shape, and the ones that are refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ltlib import datasets
from ltlib.datasets import folders
from ltlib.errors import DataError, SettingError


@pytest.fixture(autouse=True)
def reports(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LTLIB_REPORTS", str(tmp_path_factory.mktemp("reports")))


def fill(folder: Path, **classes: int) -> Path:
    """Class folders with images; red is the number of an image, green the length of the class's name."""
    for name, count in classes.items():
        (folder / name).mkdir(parents=True)
        for i in range(count):
            Image.new("RGB", (8, 8), (i, len(name), 0)).save(folder / name / f"{i:03}.png")
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
    assert data.class_counts == (6, 20, 10)
    assert data.groups == {"head": (1,), "middle": (2,), "tail": (0,)}
    assert data.imbalance_factor == pytest.approx(20 / 6)


def test_default_size_and_formats(tmp_path: Path) -> None:
    for kind in ("png", "jpg", "bmp", "gif", "tiff", "webp", "ppm"):
        for name in "ab":
            (tmp_path / name / "below").mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (90, 70), (200, 10, 10)).save(tmp_path / name / "below" / f"x.{kind}")
            Image.new("RGB", (70, 90), (200, 10, 10)).save(tmp_path / name / f"X.{kind.upper()}")
    source = datasets.read(f"folder:{tmp_path}")
    assert source.train.images.shape[1:] == (64, 64, 3)
    assert len(source.train) + len(source.test) == 28
    assert np.abs(source.train.images.astype(int) - (200, 10, 10)).max() < 6


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


def test_digest_is_names_and_sizes(tmp_path: Path) -> None:
    fill(tmp_path / "one", a=5, b=5)
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    one, two = (datasets.info(f"folder:{tmp_path / name}").digest for name in ("one", "two"))
    assert one == two  # the place of the folder is no part of it
    assert datasets.info(f"folder:{tmp_path / 'one'}@32").digest != one
    (tmp_path / "two" / "a" / "000.png").rename(tmp_path / "two" / "a" / "new.png")
    assert datasets.info(f"folder:{tmp_path / 'two'}").digest != one


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
    place = [item.path for item in (*listing.train, *listing.test)].index("a/002.png")
    with pytest.raises(DataError, match=r"image \d+, .*(a/002|b/004).png, cannot be read"):
        datasets.load(f"folder:{tmp_path}@8")
    found = datasets.verify(f"folder:{tmp_path}")
    assert len(found) == 2
    assert any(f"image {place}," in sentence for sentence in found)


def test_classes_too_small_for_the_limit(tmp_path: Path) -> None:
    fill(tmp_path, a=10, b=10)
    with pytest.raises(SettingError, match="limit 1 is below the number of classes, 2"):
        datasets.load(f"folder:{tmp_path}@8", limit=1)

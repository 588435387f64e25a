"""Training and test folders under the names people give them."""

from __future__ import annotations

from pathlib import Path

import pytest

from ltlib.datasets import splits
from ltlib.errors import DataError


def fill(top: Path, *files: str) -> Path:
    for file in files:
        (top / file).parent.mkdir(parents=True, exist_ok=True)
        (top / file).touch()
    return top


def names(split: splits.Split, top: Path) -> tuple[str, str | None]:
    return split.train.relative_to(top).as_posix(), split.test and split.test.relative_to(top).as_posix()


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *(
            (name, "train")
            for name in ("train", "Train", "TRAINING", "train2017", "training_set", "Train Images", "seg_train")
        ),
        *((name, "test") for name in ("test", "Testing", "TEST", "test-set", "testdata", "seg_test", "evaluation")),
        *((name, "val") for name in ("val", "Valid", "validation", "Validation_Set", "val2017", "dev")),
        *(
            (name, None)
            for name in ("trains", "tram", "contest", "valley", "tests-of-time", "cat", "1", "développement")
        ),
    ],
)
def test_kinds(name: str, kind: str | None) -> None:
    assert splits.kind_of(name) == kind


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("Train", "Test"),
        ("training", "testing"),
        ("train", "valid"),
        ("TRAIN", "validation"),
        ("train_set", "test_set"),
    ],
)
def test_any_usual_name_is_a_split(tmp_path: Path, train: str, test: str) -> None:
    fill(tmp_path, *(f"{part}/{name}/1.png" for part in (train, test) for name in ("cat", "dog")))
    split = splits.find(tmp_path)
    assert names(split, tmp_path) == (train, test)
    assert split.left_out == ()


def test_a_folder_within_a_folder_of_that_name(tmp_path: Path) -> None:
    fill(tmp_path, "seg_train/seg_train/cat/1.png", "seg_test/seg_test/cat/1.png")
    assert names(splits.find(tmp_path), tmp_path) == ("seg_train/seg_train", "seg_test/seg_test")


def test_classes_that_are_called_so(tmp_path: Path) -> None:
    fill(tmp_path, "train/1.png", "test/1.png", "bus/1.png")
    assert names(splits.find(tmp_path), tmp_path) == (".", None)
    fill(tmp_path, "train/steam/2.png")  # a class with a folder of its own
    assert names(splits.find(tmp_path), tmp_path) == (".", None)


def test_what_is_not_used_is_said(tmp_path: Path) -> None:
    fill(
        tmp_path,
        *(f"{part}/{name}/1.png" for part in ("train", "Test", "val", "extra") for name in "ab"),
        "notes/a.txt",
    )
    split = splits.find(tmp_path)
    assert names(split, tmp_path) == ("train", "Test")
    assert len(split.left_out) == 2
    for name, sentence in zip(("extra", "val"), split.left_out, strict=True):
        assert f"{tmp_path / name} are not used: train is the training set and Test the test set" in sentence
    fill(tmp_path / "flat", "train/a/1.png", "train/b/1.png", "test/1.png")
    flat = splits.find(tmp_path / "flat")
    assert names(flat, tmp_path / "flat") == ("train", None)
    assert "they lie in no class folders" in flat.left_out[0]


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        (("train/a/1.png", "Training/a/1.png"), "Training and train, which mean the same; keep one or rename"),
        (("train/a/1.png", "test/a/1.png", "testing/a/1.png"), "test and testing, which mean the same"),
        (("Test/a/1.png", "a/1.png", "b/1.png"), "Test holds folders, .* no training folder lies beside it"),
        (("train/a/1.png", "train/b/1.png", "bus/1.png"), "holds train, a training folder, and bus with images"),
        (
            ("train/1.png", "test/1.png"),
            "holds test and train with images directly in them, which says nothing of classes",
        ),
    ],
)
def test_unclear_folders_are_refused(tmp_path: Path, files: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        splits.find(fill(tmp_path, *files))

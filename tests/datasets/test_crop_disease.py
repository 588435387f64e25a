"""The competition's layout: annotation lists and images, on a small copy of three classes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from photos import write_images

from ltlib import datasets, published
from ltlib.datasets.crop_disease import FOLDERS, LISTS, CropDisease
from ltlib.errors import DataError

TRAIN, TEST = [2, 0, 1, 0, 0], [1, 0, 2]  # the class of image_0001.png, image_0002.png, ...


def listed(targets: list[int]) -> list[dict[str, Any]]:
    return [{"disease_class": c, "image_id": f"image_{place + 1:04}.png"} for place, c in enumerate(targets)]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(CropDisease, "classes", 3)
    monkeypatch.setattr(CropDisease, "listed", (5, 3))
    for split, (part, name, targets) in enumerate(zip(FOLDERS, LISTS, (TRAIN, TEST), strict=True)):
        write_images(tmp_path / "crop_disease" / part / "images", len(targets), 100 * split)
        (tmp_path / "crop_disease" / name).write_text(json.dumps(listed(targets)))
    return tmp_path


def change(root: Path, how: Callable[[list[dict[str, Any]]], Any], split: int = 0) -> Path:
    """Change a list, and return its path."""
    path = root / "crop_disease" / LISTS[split]
    rows = json.loads(path.read_text())
    how(rows)
    path.write_text(json.dumps(rows))
    return path


def test_sizes_are_those_of_the_document() -> None:
    info = datasets.info("crop_disease")
    assert (info.num_classes, info.train_images, info.test_images, info.image_size) == (61, 31_718, 4_540, 224)
    rows = published.datasets("cefl")
    rows = rows[rows["dataset"] == "crop_disease"]
    said = {(row.split, row.quantity): row.value for row in rows.itertuples()}
    keys = ("total", "classes"), ("train", "images"), ("validation", "images")
    assert [int(said[key]) for key in keys] == [info.num_classes, info.train_images, info.test_images]


def test_training_and_validation_lists(root: Path) -> None:
    data = datasets.load("crop_disease@5", root=root)
    assert data.class_names == ("0", "1", "2")
    assert (data.class_counts, data.test.class_counts) == ((3, 1, 1), (1, 1, 1))
    assert data.train.images.shape == (5, 5, 5, 3)
    pixels = {
        (*image[0, 0, :2].tolist(), target) for image, target in zip(data.train.images, data.train.targets, strict=True)
    }
    assert pixels == {(place, 0, target) for place, target in enumerate(TRAIN)}
    assert [tuple(image[0, 0, :2]) for image in data.test.images] == [(0, 100), (1, 100), (2, 100)]
    assert data.test.targets.tolist() == TEST
    assert datasets.verify("crop_disease", root) == datasets.remarks("crop_disease", root) == []


def test_rows_that_cannot_be_meant_are_all_named(root: Path) -> None:
    def spoil(rows: list[dict[str, Any]]) -> None:
        rows[0]["disease_class"] = 3
        rows[1]["image_id"] = "gone.png"
        rows[4] |= {"image_id": "image_0004.png", "disease_class": 1}

    path = change(root, spoil)
    wrong = datasets.verify("crop_disease", root)
    assert wrong[:3] == [
        f"{path} gives 'image_0001.png' the class 3; classes go from 0 to 2",
        f"{path} lists 'gone.png', which is no image in {path.parent / 'images'}; restore it",
        f"{path} lists 'image_0004.png' more than once, with the classes 0, 1; keep one",
    ]
    said = r"^3 faults in .*\(1\) .*classes go from 0 to 2\. \(2\) .*gone\.png.* \(3\) .*image_0004\.png"
    with pytest.raises(DataError, match=said):
        datasets.load("crop_disease", root=root)


def test_what_the_lists_say_twice_or_not_at_all_is_remarked(root: Path) -> None:
    path = change(root, lambda rows: rows[4].update(image_id="image_0004.png"))
    assert datasets.load("crop_disease", root=root).class_counts == (3, 1, 1)
    assert datasets.verify("crop_disease", root) == []
    assert datasets.remarks("crop_disease", root) == [
        f"{path} lists 'image_0004.png' more than once, and so it is read",
        f"{path.parent / 'images'} holds 1 images that are not listed and not read",
    ]


def test_another_number_of_images_is_refused(root: Path) -> None:
    path = change(root, lambda rows: rows.pop(), split=1)
    with pytest.raises(
        DataError, match=rf"{path} lists 2 images, the known set has 3; .* image folder with folder:PATH"
    ):
        datasets.load("crop_disease", root=root)


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[]", "[1]", '[{"disease_class": "1", "image_id": "a"}]', '[{"disease_class": 1, "image_id": "../a"}]'],
)
def test_what_is_no_such_list_is_refused(root: Path, text: str) -> None:
    (root / "crop_disease" / LISTS[0]).write_text(text)
    with pytest.raises(DataError, match=r"train_annotations\.json .*get it again") as caught:
        datasets.load("crop_disease", root=root)
    assert "\n" not in str(caught.value)


def test_a_list_that_is_not_there(root: Path) -> None:
    (root / "crop_disease" / LISTS[1]).unlink()
    with pytest.raises(DataError, match=r"validation_annotations.json cannot be read .*No such file"):
        datasets.load("crop_disease", root=root)
    (root / "crop_disease" / LISTS[0]).unlink()
    assert not datasets.available("crop_disease", root)
    with pytest.raises(
        DataError, match=r"crop_disease is not there, .*train_annotations.json is missing: get .*pdr2018"
    ):
        datasets.load("crop_disease", root=root)


def test_a_damaged_image_is_named(root: Path) -> None:
    path = root / "crop_disease" / FOLDERS[1] / "images" / "image_0002.png"
    path.write_bytes(b"")
    wrong = datasets.verify("crop_disease", root)
    assert len(wrong) == 1
    assert f"{path}" in wrong[0]
    with pytest.raises(DataError, match=r"image_0002\.png"):
        datasets.load("crop_disease", root=root)

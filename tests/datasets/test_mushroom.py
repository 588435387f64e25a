"""Nine genus folders: 300 images of each test, half of a smaller folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from photos import write_images, write_names

from ltlib import datasets, published
from ltlib.datasets.mushroom import Mushroom
from ltlib.errors import DataError

# `cefl` Table 5's nine, in alphabetical order.
GENERA = sorted(
    ["Amanita", "Russula", "Hygrocybe", "Cortinarius", "Suillus", "Entoloma", "Boletus", "Lactarius", "Agaricus"]
)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nine folders of 9, 8, ... 1 images, four of each to test."""
    monkeypatch.setattr(Mushroom, "tests", 4)
    monkeypatch.setattr(Mushroom, "printed", 45)
    for target, name in enumerate(GENERA):
        write_images(tmp_path / "mushroom" / name, 9 - target, target)
    return tmp_path


KAGGLE = (353, 750, 1073, 836, 364, 316, 1563, 1148, 311)


def test_300_images_of_a_folder_test_and_what_is_left_trains(tmp_path: Path) -> None:
    write_names(tmp_path, dict(zip(GENERA, KAGGLE, strict=True)))
    found = Mushroom("mushroom").scan(tmp_path)
    assert found.class_names == tuple(GENERA)
    targets = np.array([item.target for item in found.items])
    tested = np.isin(np.arange(len(targets)), found.test)
    assert np.bincount(targets[tested]).tolist() == [300] * 9
    assert np.bincount(targets[~tested]).tolist() == [53, 450, 773, 536, 64, 16, 1263, 848, 11]
    assert found.remarks == (f"{tmp_path} holds 6,714 images, the document counts 5,614",)
    info = datasets.info("mushroom")
    assert (info.num_classes, info.train_images, info.test_images, info.image_size) == (9, 4_014, 2_700, 224)
    rows = published.datasets("cefl")
    said = rows[(rows["dataset"] == "mushroom") & (rows["item"] == "all")].set_index("quantity")["value"]
    assert (int(said["classes"]), int(said["images"])) == (9, Mushroom.printed)


def test_of_a_folder_of_300_or_fewer_half_tests(tmp_path: Path) -> None:
    sizes = dict(zip(GENERA, (1500, 601, 600, 599, 300, 301, 800, 700, 213), strict=True))  # 5,614 as the document says
    write_names(tmp_path, sizes)
    found = Mushroom("mushroom").scan(tmp_path)
    targets = np.array([item.target for item in found.items])
    tested = np.isin(np.arange(len(targets)), found.test)
    assert np.bincount(targets[tested]).tolist() == [300, 300, 300, 300, 150, 300, 300, 300, 106]
    assert found.remarks == (
        "Entoloma has 300 images: half of them, 150, are its test set, not 300",
        "Suillus has 213 images: half of them, 106, are its test set, not 300",
    )
    of_class = np.flatnonzero(targets == 4)  # NumPy's raw bits, sorted: the first half tests
    order = np.argsort(np.random.PCG64(np.random.SeedSequence((0, 4, 3))).random_raw(300))
    assert set(of_class[order[:150]]) == set(of_class[tested[of_class]])


@pytest.mark.parametrize("place", ["mushroom", "mushroom/Mushrooms"])
def test_loaded(root: Path, place: str) -> None:
    if place != "mushroom":
        (root / "mushroom").rename(root / "aside")
        (root / "mushroom").mkdir()
        (root / "aside").rename(root / place)
    assert datasets.available("mushroom", root)
    data = datasets.load("mushroom@7", root=root, imbalance_factor=1)
    assert data.class_names == tuple(GENERA)
    assert data.class_counts == (5, 4, 3, 2, 1, 2, 2, 1, 1)
    assert data.test.class_counts == (4, 4, 4, 4, 4, 2, 1, 1, 0)
    both = np.concatenate([data.train.images, data.test.images])
    assert both.shape == (45, 7, 7, 3)
    found = sorted(map(tuple, both[:, 0, 0, :2].tolist()))
    assert found == sorted((place, c) for c in range(9) for place in range(9 - c))
    assert datasets.verify("mushroom", root) == []


def test_what_is_read_otherwise_than_described_is_said(root: Path) -> None:
    write_images(root / "mushroom" / "Exidia", 2)
    write_images(root / "mushroom" / GENERA[0], 11)
    (root / "mushroom" / GENERA[0] / "a.heic").write_bytes(b"x")
    folder = root / "mushroom"
    remarks = datasets.remarks("mushroom", root)
    assert [remark.split()[0] for remark in remarks[:4]] == GENERA[5:]
    assert remarks[4] == f"{folder} holds 47 images, the document counts 45"
    assert f"left out of {folder}: 1 picture in formats" in remarks[5]
    assert "the folders Exidia, which are none of the 9" in remarks[5]
    assert len(remarks) == 6


def test_a_genus_without_images_is_named(root: Path) -> None:
    (root / "mushroom" / "Russula").rename(root / "mushroom" / "russulas")
    for path in (root / "mushroom" / "Boletus").iterdir():
        path.unlink()
    with pytest.raises(DataError, match=r"\(1\) Boletus holds no image; .*folder:PATH\. \(2\) Russula holds no image"):
        datasets.load("mushroom", root=root)
    assert len(datasets.verify("mushroom", root)) == 2


def test_a_truncated_image_is_named_and_not_dropped(root: Path) -> None:
    path = root / "mushroom" / "Russula" / "image_0001.png"
    path.write_bytes(path.read_bytes()[:50])
    wrong = datasets.verify("mushroom", root)
    assert len(wrong) == 1
    assert str(path) in wrong[0]
    with pytest.raises(DataError, match=r"Russula/image_0001\.png"):
        datasets.load("mushroom", root=root)
    path.unlink()
    assert datasets.load("mushroom@7", root=root).class_counts[GENERA.index("Russula")] == 1


def test_missing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"mushroom/Agaricus is missing: download .* by maysee from Kaggle") as caught:
        datasets.load("mushroom", root=tmp_path)
    assert "092_43B354vYxm8.jpg" in str(caught.value)
    with pytest.raises(DataError, match="cannot be downloaded from here"):
        datasets.fetch("mushroom", tmp_path)

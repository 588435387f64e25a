"""The quick twins: embedded digits written to disk once, read by the loaders of the sets they stand for."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from ltlib import datasets, published
from ltlib.datasets import digits
from ltlib.datasets.base import builder
from ltlib.datasets.caltech_part import CaltechPart
from ltlib.datasets.crop_disease import CropDisease
from ltlib.datasets.digits_mushroom import DigitsMushroom
from ltlib.datasets.ilsvrc_parts import IlsvrcPart1, IlsvrcPart2
from ltlib.datasets.mushroom import Mushroom
from ltlib.datasets.photographs import Photographs

# first digit, training and test images of each class, in order
TWINS = {
    "digits_crop_disease": (0, (120, 76, 48, 30, 19, 12, 7, 4, 3, 2), (40,) * 10),
    "digits_mushroom": (1, (50, 95, 4, 60, 6, 10, 85, 140, 8), (30,) * 9),
    "digits_caltech_part": (1, (2, 48, 3, 14, 100, 99, 20, 4), (40,) * 8),
    "digits_ilsvrc_part1": (1, (14, 57, 29, 100, 7, 98, 60, 3, 2), (40,) * 9),
    "digits_ilsvrc_part2": (1, (18, 9, 64, 59, 36, 100, 2, 5, 91), (40,) * 9),
}
SETS = {
    "digits_crop_disease": CropDisease,
    "digits_mushroom": Mushroom,
    "digits_caltech_part": CaltechPart,
    "digits_ilsvrc_part1": IlsvrcPart1,
    "digits_ilsvrc_part2": IlsvrcPart2,
}


@pytest.fixture(autouse=True)
def _quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda handle: None)


@pytest.mark.parametrize("name", TWINS)
def test_a_twin_is_the_digits_read_by_its_sets_own_loader(name: str, no_data: Path) -> None:
    first, train, test = TWINS[name]
    twin = builder(name)
    assert type(twin).scan is SETS[name].scan
    data, info = datasets.load(name), datasets.info(name)
    assert (data.class_counts, data.test.class_counts) == (train, test)
    assert (info.num_classes, info.train_images, info.test_images) == (len(train), sum(train), sum(test))
    assert data.class_names == tuple(str(first + target) for target in range(len(train)))
    assert (info.flips, info.image_size, info.mean, data.contents) == (False, 8, digits.MEAN, "")
    pixels, targets = digits.arrays()
    for target in range(len(train)):  # the digit's first scans, each once
        known = pixels[targets == first + target][: train[target] + test[target]]
        both = np.concatenate([part.images[part.targets == target] for part in (data.train, data.test)])
        assert (both == both[..., :1]).all()
        assert sorted(map(bytes, both[..., 0])) == sorted(map(bytes, known))
    assert datasets.verify(name) == []
    assert datasets.available(name, no_data)


def test_a_twin_is_written_once_and_anew_where_it_is_not_whole(reports: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = datasets.load("digits_caltech_part")
    folder = reports / "cache" / "digits_caltech_part"
    stamp = folder.stat().st_ino
    datasets.fetch("digits_caltech_part")
    assert folder.stat().st_ino == stamp
    for spoil in ((folder / "3" / "image_0001.png").unlink, (folder / "3" / "image_9999.png").touch):
        spoil()
        assert datasets.load("digits_caltech_part").fingerprint == before.fingerprint
        assert len(list((folder / "3").iterdir())) == 43
    assert not [path for path in folder.parent.iterdir() if path.name.startswith(".ltlib-tmp")]
    monkeypatch.setattr("sklearn.datasets.load_digits", lambda: pytest.fail("the digits are on disk"))
    datasets.load("digits_caltech_part")


@pytest.mark.parametrize("name", ["caltech_part", "ilsvrc_part1", "ilsvrc_part2"])
def test_a_twins_counts_are_the_printed_ones_made_small(name: str) -> None:
    rows = published.table("loss_balance", "1")
    rows = rows[(rows["dataset"] == name) & rows["split"].str.startswith("C")].sort_values("split")
    printed, small = np.array([int(v) for v in rows["value"]]), np.array(TWINS[f"digits_{name}"][1])
    assert np.argsort(printed).tolist() == np.argsort(small).tolist()
    assert small.max() == 100
    assert small.min() == 2
    assert (np.abs(small - printed * 100 / printed.max()) <= 1.5).all()


def test_the_genera_s_twins_lie_in_the_order_of_their_table() -> None:
    """Table 5 marks the smallest as minor, and a row of it is ours of the digit in its place."""
    rows = published.datasets("cefl")
    groups = rows[(rows["dataset"] == "mushroom") & (rows["quantity"] == "group")].set_index("item")["value"].to_dict()
    named = [name for name in published.table("cefl", "5")["split"].unique() if name != "all"]
    sizes = dict(zip(named, TWINS["digits_mushroom"][1], strict=True))
    assert set(sorted(sizes, key=sizes.__getitem__)[:4]) == {name for name, group in groups.items() if group == "minor"}


def test_folders_that_give_half_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    assert datasets.remarks("digits_mushroom") == []
    monkeypatch.setattr(DigitsMushroom, "tests", 40)
    remarks = datasets.remarks("digits_mushroom")
    assert [remark.split()[0] for remark in remarks] == ["3", "5", "6", "9"]  # the genera that are marked as minor
    assert remarks[0] == "3 has 34 images: half of them, 17, are its test set, not 40"
    assert datasets.remarks("digits_crop_disease") == []


def test_a_list_of_classes_in_the_data_folder_is_not_the_twins(no_data: Path) -> None:
    before = datasets.info("digits_ilsvrc_part1")
    (no_data / "ilsvrc").mkdir()
    (no_data / "ilsvrc" / "part1.txt").write_text("nonsense")
    assert datasets.info("digits_ilsvrc_part1") == before


def test_a_set_that_says_too_little_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(NotImplementedError, match="Photographs must say how large it is"):
        Photographs("x").info()
    with pytest.raises(NotImplementedError, match="Photographs must say what is in its folder"):
        Photographs("x").scan(tmp_path)

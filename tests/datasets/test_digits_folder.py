"""The embedded digits written to disk in the butterfly set's layout, and read by its loader."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from ltlib import datasets
from ltlib.datasets import butterfly, digits
from ltlib.errors import DataError


def test_digits_folder_is_written_once_and_read_by_the_same_loader(
    reports: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", lambda handle: None)  # 1,797 files, twice
    data = datasets.load("digits_folder")
    folder = reports / "cache" / "digits_folder"
    pixels, targets = digits.arrays()
    assert data.image_size == 8
    assert len(data.train) == datasets.info("digits_folder").train_images
    assert data.test.class_counts == (8,) * 10
    train = [
        i for i in range(len(targets)) if i not in {j for c in range(10) for j in np.flatnonzero(targets == c)[:8]}
    ]
    order = np.argsort(data.train.indices)
    np.testing.assert_array_equal(data.train.images[order][..., 1], pixels[train])
    np.testing.assert_array_equal(data.train.targets[order], targets[train])
    stamp = (folder / butterfly.LIST).stat().st_mtime_ns
    datasets.load("digits_folder")
    assert (folder / butterfly.LIST).stat().st_mtime_ns == stamp
    (folder / "train" / "Image_1.png").unlink()  # incomplete: written anew
    assert len(datasets.load("digits_folder").train) == 1717
    assert (folder / "train" / "Image_1.png").is_file()
    assert not [path for path in folder.parent.iterdir() if path.name.startswith(".ltlib-tmp")]


def test_a_place_that_cannot_be_written_names_what_moves_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("LTLIB_REPORTS", str(tmp_path / "file"))
    with pytest.raises(DataError, match=r"cannot write in .*; set LTLIB_REPORTS to a folder of yours"):
        datasets.load("digits_folder")

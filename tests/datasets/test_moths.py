"""The image folder ``moths`` of the data folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from photos import write_images

import ltlib
from ltlib import datasets
from ltlib.errors import DataError


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LTLIB_DATA", str(tmp_path / "data"))
    write_images(tmp_path / "data" / "moths" / "Actias luna", 10, 1)
    write_images(tmp_path / "data" / "moths" / "Attacus", 5, 2)
    return tmp_path / "data"


def test_it_is_the_image_folder(data: Path) -> None:
    loaded, folder = datasets.load("moths@6"), datasets.load(f"folder:{data / 'moths'}@6")
    assert loaded.class_names == ("Actias luna", "Attacus")
    assert (loaded.class_counts, loaded.test.class_counts) == ((8, 4), (2, 1))
    assert (loaded.train.images == folder.train.images).all()
    info = datasets.info("moths@6")
    assert (info.name, info.family, info.image_size) == ("moths@6", "moths", 6)
    assert info.digest == datasets.info(f"folder:{data / 'moths'}@6").digest
    assert datasets.info("moths").image_size == 64
    assert datasets.available("moths")
    assert datasets.verify("moths") == []


def test_what_is_in_the_files_identifies_a_run(data: Path) -> None:
    def run_id() -> str:
        return ltlib.Experiment(dataset="moths", recipe="convergent").run_id

    before = run_id()
    write_images(data / "moths" / "Attacus", 5, 3)
    assert run_id() != before


def test_another_data_folder(data: Path, tmp_path: Path) -> None:
    write_images(tmp_path / "other" / "moths" / "a", 5)
    write_images(tmp_path / "other" / "moths" / "b", 5)
    assert datasets.read("moths", tmp_path / "other").class_names == ("a", "b")


def test_missing(no_data: Path) -> None:
    with pytest.raises(
        DataError, match=r"moths is not there: put one folder of images per species into .*no data/moths"
    ):
        datasets.info("moths")
    assert not datasets.available("moths")

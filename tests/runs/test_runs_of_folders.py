"""Runs on sets whose images lie in files that anybody may edit."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ltlib import datasets, places, runs
from ltlib.datasets import butterfly
from ltlib.errors import DataError, RunError
from ltlib.experiment import Experiment
from ltlib.runs import Run, features, store

RECIPE = "convergent[augmentation=none;epochs=1]"


def paint(file: Path, colour: tuple[int, int, int]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8), colour).save(file)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for name in "ab":
        for number in range(4):
            paint(tmp_path / "photos" / name / f"{number}.bmp", (number, ord(name), 0))
    return tmp_path / "photos"


@pytest.fixture
def run(photos: Path) -> Run:
    return runs.run(Experiment(f"folder:{photos}@8", 1, "resnet8", "ce", RECIPE))


def test_other_pixels_are_another_run(run: Run, photos: Path) -> None:
    assert run.experiment.run_id == run.id
    paint(photos / "b" / "3.bmp", (3, 3, 3))
    assert run.experiment.run_id != run.id
    assert runs.load(run.experiment.run_id) is None
    assert runs.finished() == []
    (line,) = runs.verify()
    assert line == (
        f"run {run.id} was trained on other images than folder:{photos}@8 holds now; "
        f"put those back, or delete {run.folder} and train it again"
    )
    paint(photos / "b" / "3.bmp", (3, ord("b"), 0))
    assert runs.verify() == []


def test_another_image_and_another_name_of_a_class(run: Run, photos: Path) -> None:
    for change in (lambda: paint(photos / "a" / "new.bmp", (0, 0, 0)), lambda: (photos / "a").rename(photos / "c")):
        change()
        (line,) = runs.verify()
        assert "trained on other images" in line


def test_what_was_trained_stays_usable(run: Run, photos: Path) -> None:
    before = [value.detach().clone() for value in run.network().parameters()]
    paint(photos / "b" / "3.bmp", (3, 3, 3))
    for value, old in zip(run.network().parameters(), before, strict=True):
        np.testing.assert_array_equal(value.detach(), old)
    with pytest.raises(RunError, match="trained on other images"):
        features.space(run)


def test_a_set_that_is_gone_is_no_fault_of_its_runs(run: Run, photos: Path) -> None:
    photos.rename(photos.parent / "elsewhere")
    assert runs.verify() == []
    assert [found.id for found in runs.finished()] == [run.id]


def test_images_that_change_while_a_run_begins(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load = store.load_data

    def edited(exp: Experiment) -> datasets.LongTailed:
        paint(photos / "b" / "3.bmp", (3, 3, 3))
        return load(exp)

    monkeypatch.setattr(store, "load_data", edited)
    with pytest.raises(DataError, match=r"changed while run .* began; start it again"):
        runs.run(Experiment(f"folder:{photos}@8", 1, "resnet8", "ce", RECIPE))
    assert runs.finished() == []


@pytest.fixture
def listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The butterfly set's layout with 12 images of each of two classes, as LTLIB_DATA."""
    folder, rows = tmp_path / "butterfly", ["filename,label"]
    for number in range(24):
        paint(folder / "train" / f"{number}.bmp", (number, 0, 0))
        rows.append(f"{number}.bmp,{'ADONIS' if number % 2 else 'ZEBRA'}")
    (folder / butterfly.LIST).write_text("\n".join(rows))
    small = replace(datasets.info("butterfly"), num_classes=2, train_images=8, test_images=16, image_size=8)
    monkeypatch.setattr(butterfly.Butterfly, "info", lambda self: small)
    monkeypatch.setattr(butterfly.Butterfly, "listed", (24, 2))
    monkeypatch.setattr(butterfly.Butterfly, "image_size", 8)
    monkeypatch.setenv("LTLIB_DATA", str(tmp_path))
    return folder


def test_a_listed_set_is_known_by_name_and_its_files_are_kept_in_mind(listed: Path) -> None:
    exp = Experiment("butterfly", 1, "resnet8", "ce", RECIPE)
    run = runs.run(exp)
    assert len(run.contents) == 64
    assert runs.verify() == []
    paint(listed / "train" / "20.bmp", (20, 9, 0))
    assert exp.run_id == run.id  # named without a look at the disk
    (line,) = runs.verify()
    assert f"run {run.id} was trained on other images than butterfly holds now" in line
    paint(listed / "train" / "20.bmp", (20, 0, 0))
    assert runs.verify() == []
    rows = (listed / butterfly.LIST).read_text()
    (listed / butterfly.LIST).write_text(rows.replace("ZEBRA", "ZORRO"))  # another name of a class, the same numbers
    assert len(runs.verify()) == 1


def test_a_record_of_another_copy_is_sound_and_said_to_be_one(listed: Path, reports: Path) -> None:
    """Somebody else's record of a set that nobody publishes checksums of: their copy may be another than ours."""
    exp = Experiment("butterfly", 1, "resnet8", "ce", RECIPE)
    runs.run(exp).record(reports / "laptop" / "records")
    shutil.rmtree(places.runs_folder())
    assert (runs.verify(), runs.elsewhere()) == ([], [])
    paint(listed / "train" / "20.bmp", (20, 9, 0))
    assert runs.verify() == []
    (line,) = runs.elsewhere()
    assert line == f"the record of run {exp.run_id} was made with another copy of butterfly than the one here"


def test_an_edited_listed_set_is_read_anew_in_one_process(listed: Path) -> None:
    before = datasets.read("butterfly").train.images.copy()
    paint(listed / "train" / "20.bmp", (20, 9, 0))
    after = datasets.read("butterfly").train.images
    assert np.argwhere((before != after).any((1, 2, 3))).tolist() == [[4]]
    assert (after[4, ..., 1] == 9).all()


def test_a_set_with_a_published_checksum_needs_no_other(trained: Run) -> None:
    assert trained.contents == ""
    assert "contents" not in (places.runs_folder() / trained.id / "run.json").read_text()

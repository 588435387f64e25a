"""Nine classes of any image folder: printed counts, a list of classes or the first large enough, their identity."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from photos import write_images, write_names

import ltlib
from ltlib import datasets, published
from ltlib.datasets.ilsvrc_parts import IlsvrcPart1, IlsvrcPart2
from ltlib.errors import DataError

COUNTS = (1, 5, 3)  # of a small set; two of each test
SIZES = {"a": 3, "b": 1, "c": 4, "d": 9, "e": 5, "f": 7}


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data folder with a small image folder and parts of three classes."""
    for part in (IlsvrcPart1, IlsvrcPart2):
        monkeypatch.setattr(part, "counts", COUNTS)
        monkeypatch.setattr(part, "tests", 2)
    monkeypatch.setenv("LTLIB_DATA", str(tmp_path / "data"))
    for target, (name, size) in enumerate(SIZES.items()):
        write_images(tmp_path / "data" / "ilsvrc" / "train" / name, size, target)
    return tmp_path / "data"


@pytest.mark.parametrize("kind", [IlsvrcPart1, IlsvrcPart2])
def test_counts_are_the_printed_ones(tmp_path: Path, kind: type[IlsvrcPart1]) -> None:
    name = f"ilsvrc_{kind.part}"
    rows = published.table("loss_balance", "1")
    rows = rows[(rows["dataset"] == name) & rows["split"].str.startswith("C")].sort_values("split")
    printed = [int(value) for value in rows["value"]]
    assert len(printed) == 9
    write_names(tmp_path, {f"n{place:02}": max(printed) + 150 for place in range(9)})
    found = kind(name).scan(tmp_path)
    assert found.class_names == tuple(f"n{place:02}" for place in range(9))
    targets = np.array([item.target for item in found.items])
    tested = np.isin(np.arange(len(targets)), found.test)
    assert np.bincount(targets[~tested]).tolist() == printed
    assert np.bincount(targets[tested]).tolist() == [150] * 9
    info = datasets.info(name)
    assert (info.num_classes, info.train_images, info.test_images, info.image_size) == (9, sum(printed), 1350, 224)
    of_class = [item.path for item in found.items if item.target == 8]  # NumPy's raw bits, sorted
    bits = np.random.PCG64(np.random.SeedSequence((0, 8, 3))).random_raw(max(printed) + 150)
    order = np.argsort(bits)[: printed[8] + 150]
    assert of_class == [f"n08/image_{place + 1:04}.jpg" for place in sorted(order)]
    first = int(np.flatnonzero(targets == 8)[0])
    assert [place in found.test for place in range(first, len(targets))] == [p in order[:150] for p in sorted(order)]


def test_without_a_list_the_first_folders_that_are_large_enough(data: Path) -> None:
    loaded = datasets.load("ilsvrc_part1@5", root=data)
    assert loaded.class_names == ("a", "d", "e")  # 3 images, then 7, then 5 of those not taken
    assert (loaded.class_counts, loaded.test.class_counts) == ((1, 5, 3), (2, 2, 2))
    assert set(loaded.train.images[:, 0, 0, 1]) == {0, 3, 4}
    assert datasets.verify("ilsvrc_part1", data) == []


def test_a_folder_passed_over_serves_a_later_column(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(IlsvrcPart1, "counts", (7, 1, 1))
    assert datasets.load("ilsvrc_part1@5", root=data).class_names == ("d", "a", "c")


def test_class_folders_may_lie_in_the_folder_itself(data: Path) -> None:
    for folder in (data / "ilsvrc" / "train").iterdir():
        folder.rename(data / "ilsvrc" / folder.name)
    (data / "ilsvrc" / "train").rmdir()
    (data / "ilsvrc" / "part1.txt").write_text("c\nf\nd")
    assert datasets.load("ilsvrc_part1@5", root=data).class_names == ("c", "f", "d")
    assert datasets.load("ilsvrc_part2@5", root=data).class_names == ("a", "d", "e")


def test_a_list_names_the_classes_and_is_part_of_what_identifies_a_run(data: Path, tmp_path: Path) -> None:
    def run_id(name: str = "ilsvrc_part1") -> str:
        return ltlib.Experiment(dataset=name, recipe="convergent").run_id

    assert datasets.info("ilsvrc_part1").class_names is None
    bare = run_id()
    (data / "ilsvrc" / "part1.txt").write_text("\ufefff\r\n\r\n d \ne\n", encoding="utf-8")
    assert datasets.info("ilsvrc_part1").class_names == ("f", "d", "e")
    loaded = datasets.load("ilsvrc_part1@5", root=data)
    assert (loaded.class_names, loaded.class_counts) == (("f", "d", "e"), (1, 5, 3))
    listed = run_id()
    assert listed != bare
    (data / "ilsvrc" / "part1.txt").write_text("d\nf\ne")
    assert run_id() not in (listed, bare)
    assert run_id("ilsvrc_part2") == run_id("ilsvrc_part2@224")
    (data / "ilsvrc" / "part1.txt").unlink()
    assert run_id() == bare


def test_plans_need_no_data_on_disk(no_data: Path) -> None:
    first, second = (datasets.info(f"ilsvrc_part{number}") for number in (1, 2))
    assert first.digest != second.digest
    assert ltlib.Experiment(dataset="ilsvrc_part1", recipe="convergent").run_id


@pytest.mark.parametrize("text", ["", "a\nb", "a\nd\ne\nf", "a\nd\na", "a\nd\n../e"])
def test_another_list_is_refused(data: Path, text: str) -> None:
    path = data / "ilsvrc" / "part1.txt"
    path.write_text(text)
    for call in (datasets.info, datasets.load):
        with pytest.raises(
            DataError, match=rf"{path} must name 3 different class folders, a line each; it has \d lines"
        ):
            call("ilsvrc_part1")


def test_classes_that_are_too_small_are_named(data: Path) -> None:
    (data / "ilsvrc" / "part1.txt").write_text("b\nd\nnone")
    folder = data / "ilsvrc" / "train"
    assert datasets.verify("ilsvrc_part1", data) == [
        f"class b in {folder} has not the 3 images that C1 needs (1 to train, 2 to test); name another in part1.txt",
        f"class none in {folder} has not the 5 images that C3 needs (3 to train, 2 to test); name another in part1.txt",
    ]
    (data / "ilsvrc" / "part1.txt").unlink()
    (folder / "d").rename(data / "d")
    (folder / "f").rename(data / "f")
    with pytest.raises(DataError, match=r"no \(further\) class folder in .* has the 7 images that C2 needs"):
        datasets.load("ilsvrc_part1", root=data)


def test_missing(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"ilsvrc_part2 is not there, .*ilsvrc/train is missing: .*ilsvrc/part2.txt may"
    ):
        datasets.load("ilsvrc_part2", root=tmp_path)

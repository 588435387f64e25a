"""Eight classes of Caltech-101: counts, the seeded test images, refusals, the download by torchvision's own code."""

from __future__ import annotations

import io
import tarfile
import urllib.error
from pathlib import Path

import numpy as np
import pytest
from photos import write_images, write_names

from ltlib import datasets, published
from ltlib.datasets.caltech_part import CaltechPart
from ltlib.errors import DataError

SMALL = {"rare": 2, "common": 5}  # training images; three of each test


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A set of two classes instead of eight."""
    monkeypatch.setattr(CaltechPart, "class_names", tuple(SMALL))
    monkeypatch.setattr(CaltechPart, "counts", tuple(SMALL.values()))
    monkeypatch.setattr(CaltechPart, "tests", 3)


def write_small(categories: Path, suffix: str = ".png") -> None:
    for target, (name, count) in enumerate(SMALL.items()):
        write_images(categories / name, count + 3, target, suffix)
    write_images(categories / "another class", 2)


@pytest.fixture
def root(tmp_path: Path, small: None) -> Path:
    write_small(tmp_path / "data" / "caltech101" / "101_ObjectCategories")
    return tmp_path / "data"


def printed(dataset: str) -> list[int]:
    rows = published.table("loss_balance", "1")
    rows = rows[(rows["dataset"] == dataset) & rows["split"].str.startswith("C")]
    return [int(value) for value in rows.sort_values("split")["value"]]


def test_counts_are_the_printed_ones(tmp_path: Path) -> None:
    classes = ["chandelier", "Faces_easy", "ketch", "Leopards", "airplanes", "Motorbikes", "watch", "bonsai"]
    write_names(tmp_path, dict(zip(classes, (107, 435, 114, 200, 800, 798, 239, 128), strict=True)))
    found = CaltechPart("caltech_part").scan(tmp_path)
    assert found.class_names == tuple(classes)
    targets = np.array([item.target for item in found.items])
    tested = np.isin(np.arange(len(targets)), found.test)
    assert np.bincount(targets[~tested]).tolist() == printed("caltech_part") == [7, 335, 14, 100, 700, 698, 139, 28]
    assert np.bincount(targets[tested]).tolist() == [100] * 8
    info = datasets.info("caltech_part")
    assert (info.num_classes, info.train_images, info.test_images, info.image_size) == (8, 2021, 800, 224)
    for target in range(8):  # NumPy's raw bits, sorted: the first hundred places test
        of_class = np.flatnonzero(targets == target)
        bits = np.random.PCG64(np.random.SeedSequence((0, target, 3))).random_raw(len(of_class))
        assert set(of_class[np.argsort(bits)[:100]]) == set(of_class[tested[of_class]])
    chandeliers = [item.path for item, test in zip(found.items, tested, strict=True) if item.target == 0 and not test]
    assert chandeliers == [f"chandelier/image_{place:04}.jpg" for place in (4, 17, 38, 50, 68, 73, 98)]


def test_images_are_read_at_the_size_asked_for(root: Path) -> None:
    data = datasets.load("caltech_part@6", root=root)
    assert (data.class_names, data.class_counts, data.test.class_counts) == (("rare", "common"), (2, 5), (3, 3))
    assert data.train.images.shape == (7, 6, 6, 3)
    both = np.concatenate([data.train.images, data.test.images])[:, 0, 0, :2].tolist()
    assert sorted(map(tuple, both)) == sorted((place, c) for c, size in enumerate((5, 8)) for place in range(size))
    assert data.fingerprint == datasets.fingerprint(data.train.indices, data.train.targets)
    assert datasets.verify("caltech_part", root) == datasets.remarks("caltech_part", root) == []


def test_what_is_in_the_files_is_kept_but_is_no_part_of_the_name(root: Path) -> None:
    before, digest = datasets.load("caltech_part@6", root=root), datasets.info("caltech_part@6").digest
    write_images(root / "caltech101/101_ObjectCategories/rare", 5, target=200)
    after = datasets.load("caltech_part@6", root=root)
    assert len(before.contents) == 64
    assert before.contents != after.contents
    assert before.fingerprint == after.fingerprint
    assert datasets.info("caltech_part@6").digest == digest


def test_other_numbers_of_images_are_refused_by_name(root: Path) -> None:
    categories = root / "caltech101" / "101_ObjectCategories"
    write_images(categories / "rare", 6)
    with pytest.raises(DataError, match=r"class rare in .* has 6 images, the known set has 5; .*folder:PATH$"):
        datasets.load("caltech_part", root=root)
    (categories / "common").rename(categories / "gone")
    with pytest.raises(DataError, match=r"^2 faults in .*: \(1\) class rare .*\(2\) class common .* has 0 images"):
        datasets.load("caltech_part@9", root=root)
    wrong = datasets.verify("caltech_part", root)
    assert len(wrong) == 2
    assert wrong[1].startswith(f"class common in {categories} has 0 images, the known set has 8")


def test_every_bad_file_is_named(root: Path) -> None:
    bad = [root / "caltech101/101_ObjectCategories" / name for name in ("rare/image_0002.png", "common/image_0007.png")]
    for path in bad:
        path.write_bytes(path.read_bytes()[:50])
    wrong = datasets.verify("caltech_part", root)
    assert len(wrong) == 2
    assert all(str(path) in line for path, line in zip(bad, wrong, strict=True))
    with pytest.raises(DataError, match="image_000"):
        datasets.load("caltech_part", root=root)


def test_missing(tmp_path: Path) -> None:
    assert not datasets.available("caltech_part", tmp_path)
    with pytest.raises(
        DataError, match=r"caltech_part is not there, .*101_ObjectCategories is missing: ltlib data down"
    ):
        datasets.load("caltech_part", root=tmp_path)


def serve(monkeypatch: pytest.MonkeyPatch, error: Exception | None = None) -> list[str]:
    """Stand in for the network: torchvision gets an archive like the known one. Returns what it asked for."""
    asked = []

    def download(url: str, download_root: str, filename: str, md5: str) -> None:
        asked.append(md5)
        if error is not None:
            raise error
        top = Path(download_root)
        (top / "caltech-101").mkdir()
        (top / filename).touch()
        write_small(top / "source" / "101_ObjectCategories", ".jpg")
        with tarfile.open(top / "caltech-101" / "101_ObjectCategories.tar.gz", "w:gz") as tar:
            tar.add(top / "source" / "101_ObjectCategories", "101_ObjectCategories")
            tar.addfile(tarfile.TarInfo("101_ObjectCategories/BACKGROUND_Google/x"), io.BytesIO())

    monkeypatch.setattr("torchvision.datasets.caltech.download_and_extract_archive", download)
    return asked


def test_download_is_torchvisions_and_replaces_only_what_is_damaged(
    tmp_path: Path, small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = serve(monkeypatch)
    assert datasets.load("caltech_part@4", root=tmp_path, download=True).class_counts == (2, 5)
    assert asked == ["3138e1922a9193bfa496528edbbc45d0"]
    place = tmp_path / "caltech101" / "101_ObjectCategories"
    assert {path.name for path in place.iterdir()} == {*SMALL, "another class", "BACKGROUND_Google"}
    assert [path.name for path in place.parent.iterdir()] == [place.name]
    datasets.fetch("caltech_part", tmp_path)
    assert len(asked) == 1
    (place / "rare" / "image_0001.jpg").unlink()
    datasets.fetch("caltech_part", tmp_path)
    assert len(asked) == 2
    assert datasets.verify("caltech_part", tmp_path) == []


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (urllib.error.URLError("no route to host"), "no route to host"),
        (RuntimeError("File not found or corrupted."), "File not found or corrupted."),
        (OSError(28, "No space left on device"), "No space left on device"),
    ],
)
def test_a_download_that_fails_leaves_what_was_there(
    root: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, why: str
) -> None:
    serve(monkeypatch, error)
    place = root / "caltech101" / "101_ObjectCategories"
    (place / "rare" / "image_0001.png").unlink()
    before = sorted(place.rglob("*"))
    with pytest.raises(DataError, match=f"could not be downloaded .{why}.; try again, or unpack .*{place} yourself"):
        datasets.fetch("caltech_part", root)
    assert sorted(place.rglob("*")) == before
    assert [path.name for path in place.parent.iterdir()] == [place.name]

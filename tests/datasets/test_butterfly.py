"""The Kaggle layout: a twin of the butterfly set."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from ltlib import datasets
from ltlib.datasets import butterfly
from ltlib.datasets.butterfly import Butterfly
from ltlib.errors import DataError


@pytest.fixture(autouse=True)
def reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LTLIB_REPORTS", str(tmp_path / "reports"))
    return tmp_path / "reports"


@pytest.fixture
def twin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three classes of 20, 13 and 9 images, listed in mixed order; the red value is the place in the list."""
    labels = [label for i in range(20) for label, count in (("MONARCH", 13), ("ADONIS", 20), ("ZEBRA", 9)) if i < count]
    folder = tmp_path / "data" / "butterfly"
    (folder / "train").mkdir(parents=True)
    rows = ["filename,label"]
    for place, label in enumerate(labels):
        Image.new("RGB", (224, 224), (place, 0, 0)).save(folder / "train" / f"Image_{place + 1}.png")
        rows.append(f"Image_{place + 1}.png,{label}")
    (folder / butterfly.LIST).write_text("\r\n".join(rows))
    monkeypatch.setattr(Butterfly, "listed", (len(labels), 3))
    return folder


@pytest.mark.parametrize("inside", [True, False])
def test_first_eight_listed_are_the_test_set(twin: Path, inside: bool) -> None:
    root = twin.parent if inside else twin
    assert datasets.available("butterfly", root)
    data = datasets.load("butterfly", root=root)
    assert data.class_names == ("ADONIS", "MONARCH", "ZEBRA")
    assert (data.class_counts, data.test.class_counts) == ((12, 5, 1), (8, 8, 8))
    assert data.train.images.shape[1:] == (64, 64, 3)
    assert set(data.test.images[:, 0, 0, 0]) == set(range(24))  # the classes take turns in the list
    assert datasets.verify("butterfly", root) == []


def test_long_tail_starts_from_what_is_left(twin: Path) -> None:
    data = datasets.load("butterfly", root=twin, imbalance_factor=4)
    assert data.class_counts == (12, 5, 1)  # 12, 6, 3, capped by what a class has
    assert datasets.load("butterfly", root=twin, imbalance_factor=12).class_counts == (12, 3, 1)


def test_missing(tmp_path: Path) -> None:
    assert not datasets.available("butterfly", tmp_path)
    for call in (datasets.load, datasets.fetch):
        with pytest.raises(DataError, match="Kaggle") as caught:
            call("butterfly", root=tmp_path)
        assert "phucthaiv02" in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        (["filename,label"], "must list images in the columns filename and label"),
        (["file,class", "a.png,b"], "must list images in the columns"),
        (["filename,label", "a.png"], "every row with both"),
        (["filename,label", "../../etc/x.png,a"], "is not a plain file name in train"),
        (["filename,label", "a.png,x", "a.png,y"], "lists 'a.png' twice"),
        (["filename,label", "a.png,x", "b.png,y"], "lists 2 images of 2 classes, the known set has 42 of 3"),
    ],
)
def test_refused_lists(twin: Path, rows: list[str], sentence: str) -> None:
    (twin / butterfly.LIST).write_text("\n".join(rows))
    with pytest.raises(DataError, match=sentence):
        datasets.load("butterfly", root=twin)


def test_class_with_no_image_left_to_train_on(twin: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Butterfly, "listed", (41, 3))
    rows = (twin / butterfly.LIST).read_text().split("\n")
    (twin / butterfly.LIST).write_text("\n".join(row for row in rows if not row.startswith("Image_3.png")))
    with pytest.raises(DataError, match=r"class 'ZEBRA' in .* has 8 images; it needs more than the 8"):
        datasets.load("butterfly", root=twin)


def test_missing_image(twin: Path) -> None:
    (twin / "train" / "Image_7.png").unlink()
    with pytest.raises(DataError, match=r"image 6, .*Image_7.png, is missing"):
        datasets.load("butterfly", root=twin)
    assert len(datasets.verify("butterfly", twin)) == 1

"""Lists of images: what is read of them, and what is refused with a sentence."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ltlib import cli, datasets, runs
from ltlib.datasets import drawn
from ltlib.datasets.faults import Unusable
from ltlib.errors import DataError
from ltlib.experiment import Experiment

RECIPE = "convergent[augmentation=none;epochs=1]"


def paint(folder: Path, count: int) -> list[str]:
    """Images 0.png, 1.png, ...; red is the number."""
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        Image.new("RGB", (8, 8), (i, 7, 0)).save(folder / f"{i}.png")
    return [f"{folder.name}/{i}.png" for i in range(count)]


def write(file: Path, *lines: str, header: str = "path,label") -> str:
    file.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return f"csv:{file}@8"


def simple(tmp_path: Path, **settings: str) -> str:
    """Images 0 to 9 of cat, 10 to 15 of dog."""
    lines = [f"{path},{'cat' if i < 10 else 'dog'}" for i, path in enumerate(paint(tmp_path / "images", 16))]
    return write(tmp_path / "list.csv", *lines, **settings)


def reds(part: datasets.ImageSet) -> list[int]:
    return [int(value) for value in part.images[:, 0, 0, 0]]


def test_a_list_without_a_split_is_drawn(tmp_path: Path) -> None:
    name = simple(tmp_path)
    known = datasets.info(name)
    assert (known.class_names, known.drawn_test, known.image_size) == (("cat", "dog"), True, 8)
    assert (known.train_images, known.test_images, known.class_counts) == (13, 3, (8, 5))
    whole = datasets.read(name)
    assert isinstance(whole, drawn.Drawn)
    assert reds(whole.pool) == list(range(16))
    tests = [set(reds(datasets.load(name, subset_seed=seed).test)) for seed in range(4)]
    assert len(set(map(frozenset, tests))) > 1
    assert all(len(test & set(range(10))) == 2 for test in tests)
    exp = Experiment(name)
    assert (exp.imbalance_factor, exp.resolve().data["dataset"]) == (1, "csv")


def test_train_and_test_are_those_of_the_list_in_its_order(tmp_path: Path) -> None:
    images = paint(tmp_path / "images", 8)
    splits = ["test", "train", "train", "Training", "train", "testing", "train", "TEST"]
    lines = [
        f"{split},{'b' if i % 2 else 'a'},{path},x" for i, (split, path) in enumerate(zip(splits, images, strict=True))
    ]
    name = write(tmp_path / "list.csv", *lines, header="Split, LABEL ,Path,more")
    data = datasets.load(name, subset_seed=3)
    assert (reds(data.train), data.train.targets.tolist()) == ([2, 4, 6, 1, 3], [0, 0, 0, 1, 1])
    assert (reds(data.test), data.test.targets.tolist()) == ([0, 5, 7], [0, 1, 1])
    assert not datasets.info(name).drawn_test


def test_val_is_the_test_part_where_there_is_no_other(tmp_path: Path) -> None:
    images = paint(tmp_path / "images", 6)

    def listed(*splits: str) -> str:
        lines = [f"{path},{'ab'[i % 2]},{split}" for i, (path, split) in enumerate(zip(images, splits, strict=True))]
        return write(tmp_path / "list.csv", *lines, header="path,label,split")

    assert reds(datasets.load(listed("train", "train", "val", "val", "train", "train")).test) == [2, 3]
    with pytest.warns(UserWarning, match="left out of .*list.csv: 2 images of the split val: those of train are"):
        data = datasets.load(listed("train", "train", "val", "val", "test", "test"))
    assert (reds(data.train), reds(data.test)) == ([0, 1], [4, 5])
    assert datasets.info(listed(*["train"] * 6)).drawn_test
    with pytest.raises(DataError, match="has no image to train on: no line has the split train"):
        datasets.load(listed(*["test"] * 6))


def test_groups_are_never_on_two_sides(tmp_path: Path) -> None:
    images = paint(tmp_path / "images", 60)
    lines = [f"{path},{'cat' if i < 40 else 'dog'},{'' if i == 59 else f'p{i // 4}'}" for i, path in enumerate(images)]
    name = write(tmp_path / "list.csv", *lines, header="path,label,group")
    for seed in range(6):
        data = datasets.load(name, subset_seed=seed, validation="subset")
        assert data.validation is not None
        sides = [
            {red // 4 if red < 59 else 59 for red in reds(part)} for part in (data.train, data.validation, data.test)
        ]
        assert sum(map(len, sides)) == len(set.union(*sides)) == 16
        assert data.test.class_counts == (8, 4)


def test_labels_of_all_kinds(tmp_path: Path) -> None:
    images = paint(tmp_path / "images", 8)
    labels = [
        '"Felis catus, wild"',
        "D\u00fcnen",
        "Du\u0308nen",
        " 猫  犬 ",
        "猫 犬",
        '"a ""b"""',
        "Felis catus",
        "Dünen",
    ]
    name = write(tmp_path / "list.csv", *[f"{path},{label}" for path, label in zip(images, labels, strict=True)])
    assert datasets.info(name).class_names == ("Dünen", "Felis catus", "Felis catus, wild", 'a "b"', "猫 犬")


@pytest.mark.parametrize("mark", [";", "\t"])
def test_other_separators_a_byte_order_mark_and_lines_of_windows(tmp_path: Path, mark: str) -> None:
    plain = datasets.info(simple(tmp_path)).digest
    text = (tmp_path / "list.csv").read_text().replace(",", mark).replace("images/", "images\\").replace("\n", "\r\n")
    (tmp_path / "list.csv").write_bytes(b"\xef\xbb\xbf" + text.encode() + b"\r\n\r\n")
    assert datasets.info(f"csv:{tmp_path / 'list.csv'}@8").digest == plain
    assert len(datasets.load(f"csv:{tmp_path / 'list.csv'}@8").train) == 13


def test_where_images_lie_is_no_part_of_the_identity(tmp_path: Path) -> None:
    name = simple(tmp_path)
    lines = (tmp_path / "list.csv").read_text().splitlines()[1:]
    (tmp_path / "elsewhere").mkdir()
    absolute = write(tmp_path / "elsewhere" / "list.csv", *[f"{tmp_path}/{line}" for line in lines])
    parent = write(tmp_path / "elsewhere" / "other.csv", *[f"../{line}" for line in lines])
    (tmp_path / "link.csv").symlink_to(tmp_path / "list.csv")
    (tmp_path / "elsewhere" / "link.csv").symlink_to(tmp_path / "list.csv")  # no images beside it
    links = [f"csv:{tmp_path / place / 'link.csv'}@8" for place in (".", "elsewhere")]
    first = datasets.load(name)
    for other in (absolute, parent, *links):
        assert Experiment(other).run_id == Experiment(name).run_id
        np.testing.assert_array_equal(datasets.load(other).train.images, first.train.images)
    assert datasets.info(write(tmp_path / "list.csv", *lines[::-1])).digest != datasets.info(absolute).digest
    changed = [line.replace("cat", "kitten") for line in lines]
    assert datasets.info(write(tmp_path / "list.csv", *changed)).digest != datasets.info(absolute).digest


def test_images_that_go_and_come_back_elsewhere(tmp_path: Path) -> None:
    digest = datasets.info(simple(tmp_path)).digest
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "list.csv").symlink_to(tmp_path / "list.csv")
    name = f"csv:{tmp_path / 'here' / 'list.csv'}@8"
    assert datasets.info(name).digest == digest
    (tmp_path / "images").rename(tmp_path / "here" / "images")  # beside the link, where they are looked for first
    with pytest.raises(Unusable, match=r"16 faults in .*line 2: image 0, .*0.png, is missing; restore it"):
        datasets.info(name)
    assert datasets.info(name).digest == digest


def test_lines_that_repeat_others(tmp_path: Path) -> None:
    simple(tmp_path)
    file = tmp_path / "list.csv"
    file.write_text(file.read_text() + "images/3.png,cat\n./images/3.png,cat\n")
    with pytest.warns(
        UserWarning, match=r"left out of .*: 2 lines that repeat others \(such as line 18, images/3.png\)"
    ):
        data = datasets.load(f"csv:{file}@8")
    assert len(data.train) + len(data.test) == 16


def test_a_thousand_classes(tmp_path: Path) -> None:
    images = paint(tmp_path / "images", 4)
    for i in range(2000):
        os.link(tmp_path / images[i % 4], tmp_path / f"{i}.png")
    lines = [f"{i}.png,class {i // 2},{'test' if i % 2 else 'train'}" for i in range(2000)]
    known = datasets.info(write(tmp_path / "list.csv", *lines, header="path,label,split"))
    assert (known.num_classes, known.train_images, known.test_images) == (1000, 1000, 1000)


HEADERS: list[tuple[str | bytes, str]] = [
    ("", "lists no image; write path,label as its first line, and then a line for each image"),
    ("\n\n", "lists no image; write path,label"),
    ("path,label\n", "lists no image; write path,label"),
    ("images/0.png,cat\n", r"has no column path and no column label, its first line is 'images/0.png', 'cat'; write"),
    ("path,class\nimages/0.png,cat\n", "has no column label, its first line is 'path', 'class'; write path,label"),
    ("path;class\nimages/0.png;cat\n", "has no column label, its first line is 'path', 'class'; write path,label"),
    ("path,label,Label\n", r"has the column label twice \('path', 'label', 'Label'\); keep one"),
    ("path,label\nimages/0.png,cat\n", "has 'cat' as its only label; at least two classes are needed"),
    (
        'path,label\nimages/0.png,"cat\n',
        r"cannot be read as CSV, near line 2 \(unexpected end of data\); mend that line",
    ),
    ("path,label\nimages/0.png,Käfer\n".encode("latin-1"), r"is no text in UTF-8 \(byte 25\); save it as CSV in UTF-8"),
    ("path,label\n".encode("utf-16"), r"is no text in UTF-8 \(byte 0\); save it"),
    ("path,label\nimages/0.png,a\nimages/1.png,b\n", "each class in .* has one image, .* add images, or a test part"),
]


@pytest.mark.parametrize(("text", "sentence"), HEADERS)
def test_no_list(tmp_path: Path, text: str | bytes, sentence: str) -> None:
    paint(tmp_path / "images", 2)
    file = tmp_path / "list.csv"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(DataError, match=sentence) as caught:
        datasets.load(f"csv:{file}")
    assert str(caught.value).count(str(file)) == 1
    assert "\n" not in str(caught.value)


def test_no_file(tmp_path: Path) -> None:
    (tmp_path / "link.csv").symlink_to("gone.csv")
    for path, sentence in (
        ("", "'csv:' names no file; write csv:FILE, or csv:FILE@32"),
        (f"{tmp_path}/none/list.csv", rf"list.csv is not there; .*the nearest folder that exists is {tmp_path}\)"),
        (f"{tmp_path}", "is a folder; read it with folder:/"),
        (f"{tmp_path}/link.csv", "is a link to gone.csv, which is not there; restore that"),
    ):
        with pytest.raises(DataError, match=sentence):
            datasets.info(f"csv:{path}")
        assert not datasets.available(f"csv:{path}") if path else True
    simple(tmp_path)
    with pytest.raises(DataError, match=r"list.csv is a file; .*, or read it as a list of images with csv:/"):
        datasets.info(f"folder:{tmp_path / 'list.csv'}")


def test_all_faults_of_a_list_at_once(tmp_path: Path) -> None:
    images = paint(tmp_path / "images", 12)
    (tmp_path / "images" / "2.png").write_text("<html>")
    (tmp_path / "a folder").mkdir()
    lines = [
        *[f"{path},{'ab'[i % 2]},{'test' if i > 5 else 'train'},g{i}" for i, path in enumerate(images)],
        "images/0.png,b,train,g0",  # line 14
        "images/none.png,a,train,",
        "a folder,a,train,",
        f"{images[1]},,train,",
        ",a,train,",
        "images/0.png,a,sometimes,g0",
        "images/0.png,a, small,train,g0",
        "images/1.png,b,train,g5",
    ]
    paint(tmp_path / "more", 3)
    lines += ["more/0.png,z,test,", "more/1.png,a,test,g4", "more/2.png,a,,"]
    name = write(tmp_path / "list.csv", *lines, header="path,label,split,group")
    with pytest.raises(Unusable) as caught:
        datasets.load(name)
    expected = [
        r"line 17 \(images/1.png\) has no label; write one, or remove the line",
        r"line 18 names no image; write its path, or remove the line",
        r"line 20 has 5 fields for 4 columns; a label with a comma is written in quotes",
        r"line 14 gives images/0.png the label 'b', line 2 gives it 'a'; keep one of them",
        r"line 19 gives images/0.png another split or group than line 2; keep one of them",
        r"line 21 gives images/1.png another split or group than line 3; keep one of them",
        r"line 24 \(more/2.png\) has no split, which other lines have; write train, test or val",
        r"the label 'z' is tested and no training image has it; add some, or remove it",
        r"the group 'g4' is trained on \(line 6\) and tested \(line 23\); give all of it one split",
        r"line 4: image 1, .*images/2.png, cannot be read \(what is in it is none of .*\); replace or remove it",
        r"line 15: image \d+, .*images/none.png, is missing; restore it",
        r"line 16: image \d+, .*a folder, is no plain file; replace or remove it",
    ]
    assert len(caught.value.sentences) == len(expected)
    for pattern, sentence in zip(expected, caught.value.sentences, strict=True):
        assert re.fullmatch(pattern, sentence), sentence
    assert str(caught.value).startswith(f"12 faults in {tmp_path / 'list.csv'}, and nothing of it is used")
    assert datasets.verify(name) == list(caught.value.sentences)


def test_a_split_that_is_none(tmp_path: Path) -> None:
    images = paint(tmp_path / "images", 4)
    lines = [f"{path},{'ab'[i % 2]},{'often' if i else 'train'}" for i, path in enumerate(images)]
    with pytest.raises(Unusable, match=r"line 3 \(images/1.png\) has the split 'often'; write train, test or val"):
        datasets.info(write(tmp_path / "list.csv", *lines, header="path,label,split"))


@pytest.mark.parametrize("odd", ["photos@32", "a[b=1]", "x;y=z", "№ 1 #2", "two  spaces", "100%'&", "c:d"])
def test_names_of_any_kind_from_the_command_line_to_the_record(
    tmp_path: Path, odd: str, snapshot: Callable[[Path], object]
) -> None:
    top = tmp_path / odd
    lines = [f'"{path}",{"cat" if i < 10 else "dog"}' for i, path in enumerate(paint(top / "images", 16))]
    write(top / f"{odd}.csv", *lines)
    for label, numbers in (("cat", range(10)), ("dog", range(10, 16))):
        (top / "set" / label).mkdir(parents=True)
        for i in numbers:
            os.link(top / "images" / f"{i}.png", top / "set" / label / f"{i:02}.png")
    (tmp_path / "link").symlink_to(top / "set")
    for folder in (top, top / "images", top / "set", top / "set" / "cat", top / "set" / "dog"):
        folder.chmod(0o555)
    before = snapshot(top)
    ids = []
    for name in (f"csv:{top / odd}.csv@8", f"folder:{top / 'set'}@8", f"folder:{tmp_path / 'link'}@8"):
        assert cli.main(["train", f"--dataset={name}", "--model=resnet8", f"--recipe={RECIPE}"]) == 0
        found = runs.load(Experiment(name, model="resnet8", recipe=RECIPE).run_id)
        assert found is not None
        assert Experiment.from_settings(found.experiment.settings()).run_id == found.id
        assert (found.class_names, sum(found.class_counts)) == (["cat", "dog"], 13)
        ids.append(found.id)
    assert ids[1] == ids[2] != ids[0]  # the link is the folder
    assert runs.verify() == []
    assert snapshot(top) == before  # nothing is written beside the images
    for folder in (top, top / "images", top / "set", top / "set" / "cat", top / "set" / "dog"):
        folder.chmod(0o755)

"""What is said of a set before it is trained on, against counts and sizes made by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ltlib import cli, datasets, runs
from ltlib.datasets import pictures
from ltlib.datasets.sizes import sizes
from ltlib.experiment import Experiment
from ltlib.runs import cost

RECIPE = "convergent[augmentation=none;epochs=1]"


def picture(file: Path, width: int, height: int, number: int) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (width, height), (number, len(file.parent.name), 0)).save(file)


@pytest.fixture
def animals(tmp_path: Path) -> Path:
    """20 dogs of 10x10 and 11 ants of 30x20 pixels, one lynx of 6x16; one ant twice; a file that is not read."""
    for name, count, width, height in (("dogs", 20, 10, 10), ("ant", 11, 30, 20), ("l", 1, 6, 16)):
        for i in range(count):
            picture(tmp_path / "animals" / name / f"{i:02}.png", width, height, i)
    again = (tmp_path / "animals" / "ant" / "03.png").read_bytes()
    (tmp_path / "animals" / "ant" / "copy.png").write_bytes(again)
    (tmp_path / "animals" / "ant" / "more.heic").touch()
    return tmp_path / "animals"


def test_a_folder_by_hand(animals: Path) -> None:
    found = datasets.describe(f"folder:{animals}@8", subset_seed=3)
    assert (found.class_names, found.found, found.trained) == (("ant", "dogs", "l"), (10, 16, 1), (10, 16, 1))
    assert (found.tested, found.validated, found.cut) == ((2, 4, 0), (0, 0, 0), 0)
    assert (found.imbalance_factor, found.asked, found.untested) == (16, 1, ("l",))
    assert (found.drawn, found.seed, found.groups, found.grouped) == (True, 3, 1, 2)
    assert found.resized is not None
    assert (found.resized.smallest, found.resized.largest, found.resized.to) == ((6, 16), (30, 20), 8)
    assert (found.resized.cropped, found.resized.enlarged, found.resized.unchanged) == (13, 1, 0)
    assert found.lines() == [
        f"{found.name}: 3 classes, 27 images to train on, 6 to test on (drawn with seed 3, a fifth of each class)",
        "images per class, trained on + tested on: dogs 16 + 4, ant 10 + 2, l 1 + 0",
        "imbalance factor 16, all images used",
        "not tested, for lack of images: 'l'",
        "2 images in 1 group with the same file content: each group stays on one side",
        f"left out of {animals}: 1 picture in formats or under names that are not read "
        "(1 .heic such as ant/more.heic); convert them to JPEG or PNG, named so",
        "images of 6x16 to 30x20 pixels, read at 8x8: the shorter side becomes 8, the aspect ratio stays; "
        "the edges of 13 images that are not square are cut off; 1 image is enlarged",
    ]


def test_a_factor_and_a_validation_part(animals: Path) -> None:
    (animals / "ant" / "copy.png").unlink()
    found = datasets.describe(f"folder:{animals}@10", imbalance_factor=4, validation="subset")
    # 16 dogs to train on, then 16 / 4**0.5 = 8 ants of 9, and 16 / 4 = 4 lynxes of 1; of these 2, 1 and 0 validate
    assert (found.trained, found.validated, found.cut) == ((7, 14, 1), (1, 2, 0), 1)
    assert found.lines()[0].endswith(
        "3 classes, 22 images to train on, 3 to validate on, 6 to test on (drawn with seed 0, a fifth of each class)"
    )
    assert found.lines()[2] == (
        "imbalance factor 14; 1 image not used with factor 4 asked for, the largest class first"
    )
    assert found.resized is not None
    assert found.resized.unchanged == 20


def test_a_list_with_groups_and_a_test_part(tmp_path: Path) -> None:
    lines = ["path,label,split,group"]
    for i in range(12):
        picture(tmp_path / f"{i}.png", 8, 8, i)
        lines.append(f"{i}.png,{'ab'[i % 2]},{'test' if i > 7 else 'train'},p{i // 4}")
    (tmp_path / "list.csv").write_text("\n".join(lines))
    found = datasets.describe(f"csv:{tmp_path / 'list.csv'}@8")
    assert found.lines() == [
        f"csv:{tmp_path / 'list.csv'}@8: 2 classes, 8 images to train on, 4 to test on (as its test part)",
        "images per class, trained on + tested on: a 4 + 2, b 4 + 2",
        "imbalance factor 1, all images used",
        "8 images in 2 groups of one group in the list: each group stays on one side",
        "images of 8x8 pixels, read as they are",
    ]


def test_many_classes_and_a_set_that_is_no_files() -> None:
    found = datasets.describe("digits", imbalance_factor=20)
    assert found.resized is None
    assert not found.by_size
    assert found.lines()[2].startswith("imbalance factor ")
    many = datasets.Described("x", tuple(map(str, range(40))), *[(1,) * 40] * 4, 1, True, False, 0)
    assert many.lines()[1].count(" + 1") == 12
    assert ", 28 classes between, " in many.lines()[1]


def test_sizes_are_those_of_upright_images_and_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture(tmp_path / "a.png", 5, 3, 0)
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    Image.new("RGB", (5, 3)).save(tmp_path / "b.jpg", exif=exif)
    (tmp_path / "c.png").write_text("no picture")
    names, values = ["a.png", "b.jpg", "c.png"], ["0" * 64, "1" * 64, "2" * 64]
    expected = [[5, 3], [3, 5], [0, 0]]
    np.testing.assert_array_equal(sizes(tmp_path, names, values), expected)
    monkeypatch.setattr(pictures, "size_of", None)  # not asked again
    np.testing.assert_array_equal(sizes(tmp_path, names, values), expected)


def test_it_is_said_once_before_a_run_and_not_when_it_is_there(
    animals: Path, capsys: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
) -> None:
    words = ["train", f"--dataset=folder:{animals}@8", "--model=resnet8", f"--recipe={RECIPE}", "--subset-seed=2"]
    assert cli.main(words) == 0
    said = capsys.readouterr().err.splitlines()
    exp = Experiment(f"folder:{animals}@8", model="resnet8", recipe=RECIPE, subset_seed=2)
    assert said == runs.describe_data(exp).lines()
    assert not [warning for warning in recwarn if "left out" in str(warning.message)]
    assert cli.main(words) == 0
    assert capsys.readouterr().err == ""
    assert cli.main(["train", "--dataset=digits", "--model=resnet8", f"--recipe={RECIPE}", "--limit=50"]) == 0
    assert capsys.readouterr().err == ""


def test_the_estimate_knows_the_counts(animals: Path) -> None:
    def steps(**settings: float) -> int:
        exp = Experiment(f"folder:{animals}@8", model="resnet8", recipe="convergent[epochs=1;batch_size=3]", **settings)  # type: ignore[arg-type]
        return cost.work(exp).steps

    assert steps() == 9  # of 27 images
    # by size: 16 dogs, of 10 ants 16 / 16**0.5 = 4, the lynx
    assert steps(imbalance_factor=16) == 7

"""Sets of one's own: counts as they are, and cut by the size of the classes where a factor is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from PIL import Image

from ltlib import datasets
from ltlib.datasets.longtail import subset_counts
from ltlib.errors import SettingError
from ltlib.experiment import Experiment
from ltlib.pages import cards
from ltlib.profiles import resolve
from ltlib.runs import load_data

FOUND = {"ant": 6, "bee": 14, "cat": 32, "dog": 72, "eel": 160}


@pytest.fixture
def photos(tmp_path: Path) -> str:
    """Five classes whose training images grow with the alphabet, and a test folder."""
    for part, counts in (("train", FOUND), ("test", dict.fromkeys(FOUND, 1))):
        write(tmp_path / "photos" / part, counts)
    return f"folder:{tmp_path / 'photos'}@8"


def write(folder: Path, counts: Mapping[str, int]) -> None:
    for target, (name, count) in enumerate(counts.items()):
        (folder / name).mkdir(parents=True)
        for i in range(count):
            Image.new("RGB", (8, 8), (i, target, len(folder.name))).save(folder / name / f"{i:03}.bmp")


def test_a_set_of_ones_own_is_taken_as_it_is(photos: str) -> None:
    exp = Experiment(photos)
    assert exp.imbalance_factor == 1
    assert load_data(exp).class_counts == (6, 14, 32, 72, 160)
    assert resolve(exp, "quick") == exp.replace(model="resnet8", recipe=resolve(exp, "quick").recipe)  # type: ignore[union-attr]


def test_a_factor_cuts_by_size(photos: str) -> None:
    # the curve from 160 at factor 100: 160, 50.6, 16, 5.06, 1.6, the largest class first
    assert load_data(Experiment(photos, 100)).class_counts == (1, 5, 16, 50, 160)
    assert datasets.load(photos, imbalance_factor=4).class_counts == (
        6,
        14,
        32,
        72,
        160,
    )  # each has less than its place
    with pytest.raises(SettingError, match="cut by their size, not in an order"):
        datasets.load(photos, imbalance_factor=4, order="ascending")


def test_a_named_set_keeps_the_order_of_its_classes() -> None:
    counts = (6, 14, 32, 72, 160)
    assert subset_counts(counts, 100) == [6, 14, 16, 5, 1]
    # 9 * 9 ** (-c / 3): 9, 4.33, 2.08, 1; of the three classes of 7 the first has the second place
    assert subset_counts((7, 9, 7, 7), 9, by_size=True) == [4, 9, 2, 1]
    assert not datasets.as_found("cifar10")
    assert not datasets.as_found("nobody:knows")
    assert Experiment("cifar10").imbalance_factor == Experiment().imbalance_factor == 100


def test_the_identity_says_how_classes_are_cut(photos: str) -> None:
    assert Experiment(photos, 100).resolve().data["by"] == "size"
    for exp in (Experiment(photos), Experiment("cifar10", 100), Experiment(photos, 100, class_counts=(1,) * 5)):
        assert "by" not in exp.resolve().data
    assert Experiment(photos).run_id == Experiment(photos, 1).run_id


def test_a_named_set_gives_way_to_ones_own(photos: str) -> None:
    assert Experiment("cifar10").replace(dataset=photos).imbalance_factor == 1
    assert Experiment("cifar10").replace(dataset=photos, imbalance_factor=100).imbalance_factor == 100
    assert Experiment("cifar10", 50).replace(dataset=photos).imbalance_factor == 50
    assert Experiment(photos, 100).replace(seed=1).imbalance_factor == 100
    assert Experiment(photos).replace(dataset="folder:elsewhere").imbalance_factor == 1


@pytest.mark.parametrize(("factor", "said"), [(1, []), (100, ["--imbalance-factor", "100"])])
def test_the_card_gives_the_command_that_makes_the_run(factor: float, said: list[str]) -> None:
    command = cards.command(Experiment("folder:photos", factor)).split()
    assert command == ["ltlib", "train", "--dataset", "folder:photos", *said]

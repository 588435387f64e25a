"""Test images that are drawn by a seed, because a set has no test part of its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ltlib import datasets, runs
from ltlib.datasets import drawn
from ltlib.errors import DataError, SettingError
from ltlib.experiment import Experiment
from ltlib.files import digest


def fill(folder: Path, classes: Mapping[str, int]) -> Path:
    """Class folders with images, no two alike; red is the number of an image, green says the class."""
    for name, count in classes.items():
        (folder / name).mkdir(parents=True)
        for i in range(count):
            Image.new("RGB", (8, 8), (i, ord(name[0]), len(folder.name))).save(folder / name / f"{i:03}.png")
    return folder


def source(name: str, seed: int = 0) -> drawn.Drawn:
    found = datasets.read(name).split(seed)
    assert isinstance(found, drawn.Drawn)
    return found


def numbers(part: datasets.ImageSet) -> list[tuple[int, int]]:
    """Class and number of each image, as its pixels say."""
    return [(int(t), int(i[0, 0, 0])) for i, t in zip(part.images, part.targets, strict=True)]


@pytest.fixture
def animals(tmp_path: Path) -> str:
    return f"folder:{fill(tmp_path / 'animals', {'dog': 20, 'ant': 11, 'lynx': 1})}@8"


def test_seed_0_draws_what_it_always_did(animals: str) -> None:
    data = datasets.load(animals)
    # as read before other seeds drew other images
    assert data.train.images[:, 0, 0, 0].tolist() == [
        *(4, 3, 2, 10, 8, 0, 9, 6, 7),
        *(9, 12, 5, 13, 18, 15, 6, 1, 11, 10, 16, 7, 2, 0, 4, 17),
        0,
    ]
    assert data.test.images[:, 0, 0, 0].tolist() == [1, 5, 3, 8, 14, 19]
    assert data.fingerprint == "20c6e9f1242800fa9fe9c2d6c381250da761636d3d3101168a738b99a706d107"
    assert data.test_fingerprint == "b6ad1a4dc76b5f31d417aa136a357901a0ad2f8e8e46f7656579c1d7cb2ab935"
    cut = datasets.load(animals, validation="subset")
    assert cut.fingerprint == "7c97e44a8e95d8add818e6fbf7bf1c7ab75ce616db6dbaa0862495fdbf2ec921"
    assert cut.subset_fingerprint == data.fingerprint


def test_other_seeds_draw_other_fifths(animals: str) -> None:
    found = [datasets.load(animals, subset_seed=seed) for seed in range(6)]
    tested = [tuple(sorted(numbers(data.test))) for data in found]
    for data in found:
        assert (data.class_counts, data.test.class_counts) == ((9, 16, 1), (2, 4, 0))
        assert not set(numbers(data.train)) & set(numbers(data.test))
    assert len(set(tested)) == 6
    assert len({data.fingerprint for data in found}) == len({data.test_fingerprint for data in found}) == 6


def test_indices_are_places_in_the_pool_whatever_the_seed(animals: str) -> None:
    pool = source(animals).pool
    assert numbers(pool) == [(0, i) for i in range(11)] + [(1, i) for i in range(20)] + [(2, 0)]  # by class, then path
    for seed in (0, 3):
        data = datasets.load(animals, subset_seed=seed, validation="subset")
        assert data.validation is not None
        parts = (data.train, data.validation, data.test)
        assert sorted(np.concatenate([part.indices for part in parts])) == list(range(32))
        for part in parts:
            np.testing.assert_array_equal(part.images, pool.images[part.indices])


def test_the_identity_knows_the_seed_of_the_test_images(animals: str, tmp_path: Path) -> None:
    assert datasets.info(animals).drawn_test
    assert "test" not in Experiment(animals).resolve().data
    assert Experiment(animals, subset_seed=1).resolve().data["test"] == "drawn"
    assert Experiment(animals, subset_seed=1).cell_id == Experiment(animals).run_id
    fill(tmp_path / "own" / "train", {"a": 3, "b": 3})
    fill(tmp_path / "own" / "test", {"a": 1, "b": 1})
    own = f"folder:{tmp_path / 'own'}@8"
    assert not datasets.info(own).drawn_test
    assert "test" not in Experiment(own, subset_seed=1).resolve().data
    assert datasets.load(own, subset_seed=1).test_fingerprint == datasets.load(own).test_fingerprint


def test_a_set_with_copies_is_another_set_and_one_without_is_not(tmp_path: Path) -> None:
    folder = fill(tmp_path / "set", {"a": 6, "b": 5})
    listing = datasets.base.builder(f"folder:{folder}").scan()  # type: ignore[attr-defined]
    plain = digest(f"folder: {listing.digest}; 64 pixels")
    assert datasets.info(f"folder:{folder}").digest == plain
    (folder / "a" / "copy.png").write_bytes((folder / "a" / "000.png").read_bytes())
    listing = datasets.base.builder(f"folder:{folder}").scan()  # type: ignore[attr-defined]
    assert datasets.info(f"folder:{folder}").digest != digest(f"folder: {listing.digest}; 64 pixels")


def test_copies_of_a_file_stay_on_one_side(tmp_path: Path) -> None:
    folder = fill(tmp_path / "set", {"a": 20, "bb": 20, "ccc": 5})
    copies = {("a", "000"): "a", ("a", "001"): "bb", ("bb", "003"): "ccc"}  # the last two are in two classes
    for number, ((name, file), other) in enumerate(copies.items()):
        (folder / other / f"copy {number}.png").write_bytes((folder / name / f"{file}.png").read_bytes())
    for seed in range(8):
        data = source(f"folder:{folder}@8", seed)
        sides = [{tuple(image[0, 0]) for image in np.asarray(part.images)} for part in (data.train, data.test)]
        assert not sides[0] & sides[1]
        assert min(data.train.class_counts) >= 1
        np.testing.assert_allclose(data.test.class_counts, (4, 4, 1), atol=1)
        assert min(data.test.class_counts) >= 1


def test_validation_images_are_not_parted_from_their_copies(tmp_path: Path) -> None:
    folder = fill(tmp_path / "set", {"a": 30, "bb": 30})
    for i in range(30):
        (folder / "a" / f"copy {i}.png").write_bytes((folder / "a" / f"{i:03}.png").read_bytes())
    for seed in range(3):
        data = datasets.load(f"folder:{folder}@8", subset_seed=seed, validation="subset")
        assert data.validation is not None
        sides = [set(numbers(part)) for part in (data.train, data.validation, data.test)]
        assert sum(map(len, sides)) == len(set.union(*sides)) == 60
        assert data.test.class_counts == (12, 6)
        # a tenth of 48 is 5, of 24 it is 2: with pairs, 4
        assert data.validation.class_counts == (4, 2)


def test_groups_can_be_given_too(animals: str) -> None:
    whole = source(animals)
    shots = [f"shot {number // 2}" if target == 1 else None for target, number in numbers(whole.pool)]
    for seed in range(5):
        parts = whole.split(seed, shots)
        sides = [{number // 2 for target, number in numbers(part) if target == 1} for part in (parts.train, parts.test)]
        assert not sides[0] & sides[1]
        assert parts.test.class_counts == (2, 4, 0)
        assert parts.train.indices.tolist() == sorted(parts.train.indices)
    with pytest.raises(SettingError, match="one label for each of 32 images, not 3"):
        whole.split(0, [None] * 3)
    with pytest.warns(UserWarning, match=r"left out of the test set of seed 2: 'dog', of which no image can be taken"):
        whole.split(2, ["pack" if target == 1 else None for target in whole.pool.targets])


def test_a_class_whose_images_are_all_one_is_not_tested(tmp_path: Path) -> None:
    folder = fill(tmp_path / "set", {"a": 10, "bb": 1})
    for i in range(3):
        (folder / "bb" / f"copy {i}.png").write_bytes((folder / "bb" / "000.png").read_bytes())
    with pytest.warns(UserWarning, match=r"'bb' of the test set, for which it has no image that may be drawn"):
        data = datasets.load(f"folder:{folder}@8")
    assert (data.class_counts, data.test.class_counts) == ((8, 4), (2, 0))
    for file in (folder / "a").iterdir():
        file.write_bytes((folder / "bb" / "000.png").read_bytes())
    with pytest.raises(DataError, match=r"each class in .* has images that must all stay together; add images"):
        datasets.load(f"folder:{folder}@8")


def test_runs_of_two_seeds_test_other_images(animals: str) -> None:
    found = [
        runs.run(Experiment(animals, 1, "resnet8", "ce", "convergent[augmentation=none;epochs=1]", subset_seed=seed))
        for seed in (0, 1)
    ]
    assert found[0].test_fingerprint != found[1].test_fingerprint
    assert runs.verify() == []

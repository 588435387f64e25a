"""Images that stay on the disk: whatever is asked of them, they answer as the array would."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from ltlib import datasets, plots
from ltlib.batches import augment
from ltlib.batches import resident as residents
from ltlib.batches.resident import Resident
from ltlib.datasets import ImageSet, mapped, random_batch, samples_per_class
from ltlib.datasets.mapped import MappedImages, choose, is_mapped

PIXELS = np.random.default_rng(0).integers(0, 256, (20, 6, 5, 3), dtype=np.uint8)
PLACES = np.array([19, 3, 3, 0, 7, 11, 12])
ROW = 6 * 5 * 3  # bytes of an image


@pytest.fixture
def on_disk(tmp_path: Path) -> np.ndarray:
    np.save(tmp_path / "images.npy", PIXELS)
    return np.load(tmp_path / "images.npy", mmap_mode="r")


@pytest.fixture
def lazy(on_disk: np.ndarray) -> MappedImages:
    return MappedImages(np.asarray(on_disk), PLACES)


def test_shape(lazy: MappedImages) -> None:
    array = PIXELS[PLACES]
    assert (lazy.shape, lazy.dtype, lazy.ndim, len(lazy)) == ((7, 6, 5, 3), np.uint8, 4, 7)
    assert (lazy.size, lazy.nbytes) == (array.size, array.nbytes) == (7 * ROW, 7 * ROW)


KEYS: list[Any] = [0, -1, np.int64(2), slice(None), slice(1, 5, 2), slice(0, 0), [2, 0, 2], np.array([6, -7]), Ellipsis]
KEYS += [
    np.arange(7) % 2 == 0,
    (2, 1),
    (slice(None), 0, 0, 1),
    (slice(2), slice(1, 3)),
    (3, Ellipsis, 0),
    (Ellipsis, 0),
]
KEYS += [(slice(None), [0, 1], [1, 2]), (np.array([1, 2]), slice(None), 0), ([1, 4], [0, 1]), (None, 0), ()]


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_index(lazy: MappedImages, key: Any) -> None:
    found, expected = lazy[key], PIXELS[PLACES][key]
    np.testing.assert_array_equal(found, expected)
    assert found.shape == expected.shape


def test_no_such_image(lazy: MappedImages) -> None:
    for key in (7, -8, [7]):
        with pytest.raises(IndexError):
            lazy[key]


def test_as_an_array(lazy: MappedImages) -> None:
    array = PIXELS[PLACES]
    np.testing.assert_array_equal(np.asarray(lazy), array)
    assert np.asarray(lazy, dtype=np.float32).dtype == np.float32
    np.testing.assert_array_equal(lazy == array, np.ones(array.shape, bool))
    np.testing.assert_array_equal(lazy / 255, array / 255)
    np.testing.assert_array_equal(np.concatenate([lazy, lazy]), np.concatenate([array, array]))
    np.testing.assert_array_equal([image.sum() for image in lazy], [image.sum() for image in array])
    assert np.mean(lazy) == array.mean()
    copied = pickle.loads(pickle.dumps(lazy))
    np.testing.assert_array_equal(copied, array)


def test_what_is_mapped(on_disk: np.ndarray) -> None:
    assert all(map(is_mapped, (on_disk, np.asarray(on_disk), on_disk[3:5], np.asarray(on_disk)[2:][1:])))
    assert not any(map(is_mapped, (PIXELS, on_disk[[1, 2]].copy(), PIXELS[1:], np.array(on_disk), 3)))


def test_little_is_copied_and_much_stays(on_disk: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mapped, "HELD", 6 * ROW)
    few, many = choose(on_disk, PLACES[:6]), choose(on_disk, PLACES)
    assert type(few) is np.ndarray
    assert not is_mapped(few)
    few[:] = 0  # a copy, as of any array
    assert isinstance(many, MappedImages)
    assert type(choose(PIXELS, PLACES)) is np.ndarray  # what is in memory already is not read again and again
    again = choose(many, np.array([6, 0, 1, 2, 3, 4, 5]))
    assert isinstance(again, MappedImages)
    assert not isinstance(again.source, MappedImages)
    np.testing.assert_array_equal(again, PIXELS[PLACES[[6, 0, 1, 2, 3, 4, 5]]])
    assert type(choose(many, np.array([6]))) is np.ndarray


def test_a_set_on_the_disk(on_disk: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    targets = np.arange(20) % 4
    plain = ImageSet(PIXELS, targets, "abcd").select(PLACES)
    monkeypatch.setattr(mapped, "HELD", 0)
    part = ImageSet(on_disk, targets, "abcd").select(PLACES)
    assert isinstance(part.images, MappedImages)
    assert (part.class_counts, part.indices.tolist()) == (plain.class_counts, PLACES.tolist())
    assert all(torch.equal(a[0], b[0]) and a[1] == b[1] for a, b in zip(part, plain, strict=True))
    assert part.with_transform(lambda image: image.size)[2] == ((5, 6), 3)
    for one, other in zip(random_batch(part, 4), random_batch(plain, 4), strict=True):
        np.testing.assert_array_equal(one, other)
    for one, other in zip(samples_per_class(part, 2), samples_per_class(plain, 2), strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(part.select([4, 0]).images, plain.images[[4, 0]])
    loader = DataLoader(part, batch_size=4, num_workers=1, multiprocessing_context="spawn")
    assert torch.equal(torch.cat([images for images, _ in loader]), torch.stack([image for image, _ in plain]))


def test_samples_of_a_set_on_the_disk_are_drawn_without_reading_all(
    lazy: MappedImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    targets = np.arange(7) % 2
    expected = plots.images.samples_per_class(PIXELS[PLACES], targets, "ab", per_class=2)
    monkeypatch.setattr(MappedImages, "__array__", lambda *_, **__: pytest.fail("all of it was read"))
    chart = plots.images.samples_per_class(lazy, targets, "ab", per_class=2)
    assert chart.data == expected.data


@pytest.mark.parametrize("text", ["none", "crop2+flip"])
@pytest.mark.parametrize("max_bytes", [None, 0])
@pytest.mark.parametrize("piece", [1, 2 * ROW, 10**6])
def test_batches(
    lazy: MappedImages, text: str, max_bytes: int | None, piece: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(residents, "READ_BYTES", piece)
    monkeypatch.setattr(MappedImages, "__array__", lambda *_, **__: pytest.fail("all of it was read"))
    augmentation = augment.create(text)
    draws = augmentation.draw(torch.Generator().manual_seed(0), (5,))
    index = torch.tensor([6, 0, 0, 3, 5])
    settings: dict[str, Any] = {"padding": augmentation.padding, "normalise": "unit", "max_bytes": max_bytes}
    kept = Resident(PIXELS[PLACES], np.zeros(7, int), **settings)
    read = Resident(lazy, np.zeros(7, int), **settings)  # type: ignore[arg-type]
    assert read.streaming == (max_bytes == 0)
    assert read.nbytes == kept.nbytes
    assert torch.equal(read.batch(index, draws), kept.batch(index, draws))


def test_a_folder_beyond_the_bound_is_not_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "ab":
        (tmp_path / "set" / name).mkdir(parents=True)
        for i in range(10):
            Image.new("RGB", (8, 8), (i, 0, ord(name))).save(tmp_path / "set" / name / f"{i}.png")
    plain = datasets.load(f"folder:{tmp_path / 'set'}@8", imbalance_factor=2, validation="subset")
    assert not is_mapped(plain.train.images)
    monkeypatch.setattr(mapped, "HELD", 3 * 8 * 8 * 3)
    data = datasets.load(f"folder:{tmp_path / 'set'}@8", imbalance_factor=2, validation="subset")
    assert data.validation is not None
    assert plain.validation is not None
    assert [type(part.images).__name__ for part in (data.train, data.test, data.validation)] == [
        *("MappedImages", "MappedImages", "ndarray")
    ]
    assert data.fingerprint == plain.fingerprint
    for part, other in ((data.train, plain.train), (data.test, plain.test), (data.validation, plain.validation)):
        np.testing.assert_array_equal(part.images, other.images)
        assert part.targets.tolist() == other.targets.tolist()

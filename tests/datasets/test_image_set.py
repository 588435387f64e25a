"""The data set class alone, and the parts for looking at one."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from ltlib.datasets import ImageSet, random_batch, samples_per_class
from ltlib.errors import DataError, SettingError

PIXELS = np.random.default_rng(0).integers(0, 256, (7, 4, 5, 3), dtype=np.uint8)
TARGETS = [0, 1, 1, 2, 2, 2, 0]


def brightness(image: object) -> float:
    return float(np.asarray(image).mean())


def make(**changes: object) -> ImageSet:
    return ImageSet(**({"images": PIXELS, "targets": TARGETS, "class_names": "abc"} | changes))  # type: ignore[arg-type]


def test_items() -> None:
    data = make()
    image, target = data[3]
    assert (image.dtype, tuple(image.shape), target, type(target)) == (torch.uint8, (3, 4, 5), 2, int)
    np.testing.assert_array_equal(image.numpy(), PIXELS[3].transpose(2, 0, 1))
    image[:] = 0
    assert data.images[3].any()  # an item is a copy
    transformed = data.with_transform(brightness)
    assert transformed[3] == (PIXELS[3].mean(), 2)
    assert data.transform is None
    assert np.shares_memory(transformed.images, data.images)
    with pytest.raises(IndexError):
        data[7]


def test_select_remembers_where_images_come_from() -> None:
    part = make(indices=np.arange(7) * 10).select(np.array([5, 1]))
    assert (part.indices.tolist(), part.targets.tolist(), part.class_counts) == ([50, 10], [2, 1], (0, 1, 1))
    assert part.select(np.array([1])).indices.tolist() == [10]


@pytest.mark.parametrize("kind", [np.array, list, tuple, torch.tensor])
def test_a_mask_picks_its_true_places(kind: Callable[[list[bool]], object]) -> None:
    part = make().select(kind([target == 2 for target in TARGETS]))
    assert (part.indices.tolist(), part.targets.tolist()) == ([3, 4, 5], [2, 2, 2])
    np.testing.assert_array_equal(part.images, PIXELS[3:6])
    assert len(make().select(kind([False] * 7))) == 0


@pytest.mark.parametrize(
    ("positions", "wanted"),
    [
        ([], []),
        (np.array([]), []),
        ([-1, 0], [6, 0]),
        (np.array([6, -7], np.int8), [6, 0]),
        (np.array([5], np.uint64), [5]),
        (torch.tensor([2, 2]), [2, 2]),
        (range(1, 3), [1, 2]),
    ],
)
def test_places_are_whole_numbers(positions: Any, wanted: list[int]) -> None:
    part = make().select(positions)
    assert part.indices.tolist() == wanted
    np.testing.assert_array_equal(part.images, PIXELS[wanted])


@pytest.mark.parametrize(
    "positions",
    [
        *([7], [-8], [0.0], np.array([1.5]), torch.tensor([1.0]), [True], [True] * 8, [True, 2], [[0]], [[True] * 7]),
        *(3, True, "abc", ["1"], slice(2), None, [None], np.array([np.nan])),
    ],
)
def test_other_places_are_refused(positions: Any) -> None:
    with pytest.raises(
        SettingError, match=r"positions must be a list of whole numbers|a mask needs one|there is no image"
    ):
        make().select(positions)


def test_one_item_is_a_whole_number() -> None:
    assert make()[np.int64(-1)][1] == make()[6][1]
    for wrong in (1.0, np.array([0, 1]), np.array([True] * 7)):
        with pytest.raises(TypeError):
            make()[wrong]  # type: ignore[index]


def test_workers_and_pickle() -> None:
    copied = pickle.loads(pickle.dumps(make(transform=brightness)))
    assert copied[2] == make(transform=brightness)[2]
    loader = DataLoader(make(), batch_size=4, num_workers=1, multiprocessing_context="spawn")
    batches = list(loader)
    assert [tuple(images.shape) for images, _ in batches] == [(4, 3, 4, 5), (3, 3, 4, 5)]
    assert torch.cat([targets for _, targets in batches]).tolist() == TARGETS


@pytest.mark.parametrize(
    "wrong",
    [
        *({"images": PIXELS.astype(float)}, {"images": PIXELS[..., :2]}, {"targets": [0]}, {"targets": [3] * 7}),
        *({"targets": [-1] * 7}, {"indices": np.arange(3)}, {"targets": [0.5] * 7}, {"targets": [True] * 7}),
        *({"indices": [1.0] * 7}, {"indices": [True] * 7}),
    ],
)
def test_refused_arrays(wrong: dict[str, object]) -> None:
    with pytest.raises((DataError, SettingError)):
        make(**wrong)


def test_random_batch() -> None:
    images, targets = random_batch(make(), 4, seed=1)
    assert images.shape == (4, 4, 5, 3)
    places = [int(np.flatnonzero((image == PIXELS).all((1, 2, 3)))[0]) for image in images]
    assert len(set(places)) == 4
    assert [TARGETS[place] for place in places] == targets.tolist()
    np.testing.assert_array_equal(random_batch(make(), 4, seed=1)[0], images)
    assert any(not np.array_equal(random_batch(make(), 4, seed=seed)[0], images) for seed in range(2, 6))
    assert len(random_batch(make(), 100)[0]) == 7
    with pytest.raises(SettingError):
        random_batch(make(), 0)


def test_samples_per_class() -> None:
    images, targets = samples_per_class(make(), 2)
    assert targets.tolist() == [0, 0, 1, 1, 2, 2]
    assert all(
        TARGETS[int(np.flatnonzero((i == PIXELS).all((1, 2, 3)))[0])] == t for i, t in zip(images, targets, strict=True)
    )
    assert samples_per_class(make(class_names="abcd"), 9)[1].tolist() == sorted(TARGETS)

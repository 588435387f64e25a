"""The choice of images: nested subsets, the published order, the validation split, the fingerprint."""

from __future__ import annotations

import hashlib
import struct

import numpy as np
import pytest

from ltlib.datasets.holdout import split_validation
from ltlib.datasets.longtail import long_tailed_counts
from ltlib.datasets.subsets import choose_subset, fingerprint, first_of_each
from ltlib.errors import SettingError, UnknownName

TARGETS = np.random.default_rng(7).permutation(np.repeat(np.arange(10), 300))


def ldam_loop(targets: np.ndarray, counts: list[int], seed: int) -> np.ndarray:
    """`gen_imbalanced_data` of imbalance_cifar.py (LDAM-DRW), with the global legacy generator it uses."""
    state = np.random.get_state()  # noqa: NPY002
    try:
        np.random.seed(seed)  # noqa: NPY002
        chosen = []
        for the_class, the_img_num in zip(np.unique(targets), counts, strict=True):
            idx = np.where(targets == the_class)[0]
            np.random.shuffle(idx)  # noqa: NPY002
            chosen.append(idx[:the_img_num])
        return np.concatenate(chosen)
    finally:
        np.random.set_state(state)  # noqa: NPY002


@pytest.mark.parametrize("seed", [0, 10])
def test_ldam_order(seed: int) -> None:
    counts = long_tailed_counts(300, 10, 50)
    np.testing.assert_array_equal(choose_subset(TARGETS, counts, "ldam", seed), ldam_loop(TARGETS, counts, seed))


def test_random_subsets_are_nested_and_class_by_class() -> None:
    large = choose_subset(TARGETS, long_tailed_counts(300, 10, 10), subset_seed=3)
    small = choose_subset(TARGETS, long_tailed_counts(300, 10, 100), subset_seed=3)
    assert set(small) < set(large)
    np.testing.assert_array_equal(np.bincount(TARGETS[small]), long_tailed_counts(300, 10, 100))
    np.testing.assert_array_equal(TARGETS[small], np.sort(TARGETS[small]))
    assert len(np.unique(large)) == len(large)
    alone = choose_subset(TARGETS, [0] * 4 + [20] + [0] * 5, subset_seed=3)  # one class does not change another
    assert set(alone) < set(choose_subset(TARGETS, [300] * 4 + [21] + [300] * 5, subset_seed=3))


def test_random_depends_on_seed_and_class_only() -> None:
    counts = [30] * 10
    first, again, other = (choose_subset(TARGETS, counts, subset_seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    overlap = len(set(first) & set(other)) / 300
    assert 0.02 < overlap < 0.25  # a tenth of each class is drawn: by chance 0.1
    ranks = [np.searchsorted(np.flatnonzero(np.equal(TARGETS, c)), first[30 * c : 30 * c + 30]) for c in range(10)]
    assert not any(np.array_equal(ranks[0], rank) for rank in ranks[1:])
    np.testing.assert_array_equal(
        choose_subset(np.zeros(8, int), [8])[:4], [3, 2, 1, 6]
    )  # as recorded: the order never changes


def test_first() -> None:
    np.testing.assert_array_equal(choose_subset(np.array([1, 0, 1, 0, 0]), [2, 1], "first"), [1, 3, 0])


def test_choice_refusals() -> None:
    with pytest.raises(SettingError, match="class 2 has 300 images, 301 were asked for"):
        choose_subset(TARGETS, [1, 1, 301])
    with pytest.raises(UnknownName, match="did you mean random"):
        choose_subset(TARGETS, [1], "randm")
    with pytest.raises(SettingError, match="subset_seed must be a whole number of at least 0"):
        choose_subset(TARGETS, [1], subset_seed=-1)


@pytest.mark.parametrize("subset", ["random", "ldam", "first"])
def test_validation_split(subset: str) -> None:
    counts = [300, 25, 24, 15, 14, 5, 3, 2, 1, 1]
    chosen = choose_subset(TARGETS, counts, subset)
    train, held_out = split_validation(TARGETS, chosen, 0)
    np.testing.assert_array_equal(np.bincount(TARGETS[held_out], minlength=10), [30, 3, 2, 2, 1, 1, 1, 1, 0, 0])
    assert set(train) | set(held_out) == set(chosen)
    assert not set(train) & set(held_out)
    assert np.bincount(TARGETS[train], minlength=10).min() == 1
    np.testing.assert_array_equal(train, [i for i in chosen if i not in set(held_out)])
    assert set(split_validation(TARGETS, chosen[::-1], 0)[1]) == set(held_out)
    assert set(split_validation(TARGETS, chosen, 1)[1]) != set(held_out)


def test_fingerprint_layout() -> None:
    pairs = [(7, 1), (2, 0), (70_000, 3)]
    indices, targets = np.array(pairs).T
    expected = hashlib.sha256(b"".join(struct.pack("<qq", *pair) for pair in sorted(pairs))).hexdigest()
    assert fingerprint(indices, targets) == expected
    assert fingerprint(indices[::-1].astype(np.int32), targets[::-1].astype(np.uint8)) == expected
    assert fingerprint(indices, targets + 1) != expected
    with pytest.raises(SettingError, match="one target per index"):
        fingerprint(indices, targets[:2])


def test_a_mask_of_the_subset_is_split_like_its_places() -> None:
    targets = np.arange(60) % 3
    mask = np.arange(60) < 40
    for one, other in zip(split_validation(targets, mask, 1), split_validation(targets, np.arange(40), 1), strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(first_of_each(targets, mask, [1, 2, 1]), [0, 1, 2, 4])


def test_numbers_that_are_no_places_or_counts() -> None:
    targets = np.arange(6) % 3
    for wrong in ([0.5, 1.0], [True], [6], "ab"):
        with pytest.raises(SettingError):
            split_validation(targets, wrong)  # type: ignore[arg-type]
    for counts in ([1, -1, 1], [1, 1.5, 1], [1, True, 1]):
        with pytest.raises(SettingError, match="the count of class 1 must be a whole number of at least 0"):
            choose_subset(targets, counts, "first")  # type: ignore[arg-type]
    for indices, labels in ((np.array([True, False]), [0, 1]), ([0.0, 1.0], [0, 1]), ([0, 1], [0.5, 1])):
        with pytest.raises(SettingError, match="must be a list of whole numbers"):
            fingerprint(indices, labels)  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", [2**32, -1, 1.5, True, "1"])
def test_a_seed_that_the_published_order_cannot_have_is_refused(seed: object) -> None:
    with pytest.raises(SettingError, match=r"subset_seed must be a whole number from 0 to 2\*\*32 - 1, not"):
        choose_subset(TARGETS, [5] * 10, "ldam", seed)  # type: ignore[arg-type]


def test_the_random_order_has_larger_seeds_and_numpys() -> None:
    assert len(choose_subset(TARGETS, [5] * 10, subset_seed=2**40)) == 50
    np.testing.assert_array_equal(
        choose_subset(TARGETS, [5] * 10, subset_seed=np.int64(3)), choose_subset(TARGETS, [5] * 10, subset_seed=3)
    )

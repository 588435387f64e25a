"""What is set aside: tenths of each class, no group of images divided."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from sklearn.model_selection import StratifiedGroupKFold

from ltlib.datasets import holdout
from ltlib.datasets.holdout import held_out, split_validation, together

COUNTS = (300, 25, 24, 15, 14, 5, 3, 2, 1)
FIFTHS = (60, 5, 5, 3, 3, 1, 1, 1, 0)  # halves up, 1 at least and all but one at most
TARGETS = np.repeat(np.arange(9), COUNTS)


def long_tailed(seed: int, largest: int) -> tuple[np.ndarray, np.ndarray]:
    """300 groups of 1 to `largest` images in 10 classes of very different sizes; a tenth of the images in any class."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, largest + 1, 300)
    chances = 0.6 ** np.arange(10)
    of_group = np.concatenate([np.arange(10), np.arange(10), rng.choice(10, 280, p=chances / chances.sum())])
    targets = np.repeat(of_group, sizes)
    strays = rng.random(len(targets)) < 0.1
    targets[strays] = rng.integers(0, 10, strays.sum())
    return targets, np.repeat(np.arange(300), sizes)


def test_fifths_by_hand() -> None:
    for seed in range(3):
        aside = held_out(TARGETS, seed)
        assert tuple(np.bincount(TARGETS[aside], minlength=9)) == FIFTHS
    assert (held_out(TARGETS, 0) != held_out(TARGETS, 1)).any()
    # one class never changes another
    np.testing.assert_array_equal(held_out(TARGETS[:300], 4), held_out(TARGETS, 4)[:300])


def test_groups_of_one_image_change_nothing() -> None:
    alone = np.random.default_rng(0).permutation(len(TARGETS))
    np.testing.assert_array_equal(held_out(TARGETS, 7, groups=alone), held_out(TARGETS, 7))
    # nor does a pair in the largest class change what is drawn of the others
    pair = np.concatenate([[0, 0], np.arange(2, len(TARGETS))])
    np.testing.assert_array_equal(held_out(TARGETS, 7, groups=pair)[300:], held_out(TARGETS, 7)[300:])
    assert held_out(TARGETS, 7, groups=pair).sum() == sum(FIFTHS)


@pytest.mark.parametrize("largest", [2, 5, 12])
def test_no_group_is_divided_and_shares_are_near_a_fifth(largest: int) -> None:
    for seed in range(5):
        targets, groups = long_tailed(seed, largest)
        aside = held_out(targets, seed, groups=groups)
        assert not set(groups[aside]) & set(groups[~aside])
        whole, tested = np.bincount(targets), np.bincount(targets[aside], minlength=10)
        assert (tested >= 1).all()
        assert (whole - tested >= 1).all()
        large = whole >= 10 * largest  # where whole groups can come near
        assert np.abs(tested / whole - 0.2)[large].max() < 0.02


def test_nearer_to_a_fifth_than_scikit_learns_folds() -> None:
    ours, theirs = [], []
    for seed in range(5):
        targets, groups = long_tailed(seed, 5)
        folds = StratifiedGroupKFold(5, shuffle=True, random_state=seed).split(targets, targets, groups)
        shares = np.bincount(targets)
        theirs += [np.bincount(targets[fold], minlength=10) / shares for _, fold in folds]
        ours.append(np.bincount(targets[held_out(targets, seed, groups=groups)], minlength=10) / shares)
    assert np.min(ours) > 0
    assert np.max(ours) < 1
    assert np.abs(np.array(ours) - 0.2).mean() < np.abs(np.array(theirs) - 0.2).mean()


def test_a_class_of_two_is_tested_where_most_of_scikit_learns_folds_leave_it_out() -> None:
    targets, groups = np.repeat([0, 1], [40, 2]), np.concatenate([np.arange(40) // 2, [20, 21]])
    folds = StratifiedGroupKFold(5, shuffle=True, random_state=0).split(targets, targets, groups)
    assert sum((targets[fold] == 1).any() for _, fold in folds) <= 2
    for seed in range(5):
        assert (targets[held_out(targets, seed, groups=groups)] == 1).sum() == 1


def test_small_sets_against_every_possible_division() -> None:
    """At most nine groups: all divisions are tried, and ours leaves no class out that the best one does not."""
    rng, misses = np.random.default_rng(0), 0
    for case in range(60):
        groups = np.repeat(np.arange(9), rng.integers(1, 6, 9))
        targets = rng.integers(0, 4, 9)[groups] if case % 2 else rng.integers(0, 4, len(groups))
        inside = np.array([np.bincount(targets[groups == group], minlength=4) for group in range(9)])
        whole = inside.sum(0)

        def left_out(sides: np.ndarray, inside: np.ndarray = inside, whole: np.ndarray = whole) -> float:
            aside = inside[sides].sum(0)
            emptied = ((aside == whole) & (whole > 0)).any()
            return np.inf if emptied else ((aside == 0) & (whole > 0)).sum()

        ours = held_out(targets, case, groups=groups)[np.unique(groups, return_index=True)[1]]
        least = min(left_out(np.array(sides)) for sides in itertools.product([False, True], repeat=9))
        assert np.isfinite(left_out(ours))  # no class is without training images
        misses += left_out(ours) > least
    assert misses == 0


def test_a_class_chooses_first_that_would_get_nothing() -> None:
    # class 0 in groups 0 and 1, class 1 in groups 1 and 2: only 0 and 2, or 1, may be set aside
    targets, groups = np.array([0, 0, 1, 1]), np.array([0, 1, 1, 2])
    found = {tuple(held_out(targets, seed, groups=groups).tolist()) for seed in range(20)}
    assert found == {(True, False, False, True), (False, True, True, False)}


def test_large_groups_give_what_is_nearest() -> None:
    # 100 images in groups of 50, 30, 20: the 20 are wanted and there
    groups = np.repeat([0, 1, 2], [50, 30, 20])
    for seed in range(5):
        np.testing.assert_array_equal(held_out(np.zeros(100, int), seed, groups=groups), groups == 2)
    # in groups of 60 and 40, 40 is nearer to 20
    groups = np.repeat([0, 1], [60, 40])
    np.testing.assert_array_equal(held_out(np.zeros(100, int), 0, groups=groups), groups == 1)


def test_together() -> None:
    assert together(["a", "b", None, None]) is None
    found = together(["a", "b", "a", None, None, "c"], [None, 1, None, 1, None, None])
    assert found is not None
    assert found.tolist() == [0, 1, 0, 1, 2, 3]
    chained = together(["a", "a", None, None], [None, 1, 1, None])  # 0 and 2 share nothing but 1
    assert chained is not None
    assert chained.tolist() == [0, 0, 0, 1]


def test_groups_in_a_validation_split() -> None:
    targets, groups = long_tailed(0, 4)
    chosen = np.random.default_rng(1).permutation(len(targets))[:500]
    train, validation = split_validation(targets, chosen, 0, groups)
    assert not set(groups[train]) & set(groups[validation])
    assert sorted([*train, *validation]) == sorted(chosen)
    assert len(validation) == pytest.approx(50, abs=5)
    again = split_validation(targets, chosen[::-1], 0, groups)[1]
    assert set(again) == set(validation)  # in any order of the subset
    assert holdout.TENTH != holdout.FIFTH

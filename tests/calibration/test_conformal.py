"""Conformal sets: scores and thresholds by hand, and the promised coverage in simulations with known probabilities."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ltlib import calibration
from ltlib.calibration import conformal
from ltlib.errors import SettingError

ROW = np.array([[0.2, 0.5, 0.3]])


def test_threshold_scores_are_one_minus_the_probability() -> None:
    assert conformal.class_scores(ROW) == pytest.approx(np.array([[0.8, 0.5, 0.7]]))


def test_adaptive_scores_add_up_the_more_probable_classes() -> None:
    u = np.random.default_rng(7).random(1)[0]
    whole = conformal.class_scores(ROW, "adaptive", seed=None)
    assert whole == pytest.approx(np.array([[1.0, 0.5, 0.8]]))
    part = conformal.class_scores(ROW, "adaptive", seed=7)
    assert part == pytest.approx(np.array([[0.8 + 0.2 * u, 0.5 * u, 0.5 + 0.3 * u]]))


def test_regularised_scores_pay_for_each_place_beyond_the_allowed() -> None:
    found = conformal.class_scores(ROW, "regularised", seed=None, penalty=0.1, allowed=1)
    assert found == pytest.approx(np.array([[1.0 + 0.2, 0.5, 0.8 + 0.1]]))


@pytest.mark.parametrize(
    ("n", "alpha", "place"), [(9, 0.1, 9), (8, 0.1, None), (19, 0.1, 18), (10, 0.3, 8), (0, 0.5, None)]
)
def test_the_finite_sample_quantile(n: int, alpha: float, place: int | None) -> None:
    """ceil((n + 1)(1 - alpha)): 9 of 9, 9 of 8 (none), 18 of 19, ceil(7.7) of 10, 1 of 0 (none)."""
    scores = np.random.default_rng(0).permutation(np.arange(1, n + 1))
    assert conformal.finite_sample_quantile(scores, alpha) == (math.inf if place is None else place)


def known_scores() -> tuple[np.ndarray, np.ndarray]:
    """Nine images of class 0 with scores 1 to 9, three of class 1 with 11 to 13, none of class 2."""
    targets = np.repeat([0, 1], [9, 3])
    scores = np.zeros((12, 3))
    scores[np.arange(12), targets] = [*range(1, 10), 11, 12, 13]
    return scores, targets


def test_thresholds_by_hand() -> None:
    """Of all at 0.1 the ceil(11.7) = 12th of 12, at 0.25 the ceil(9.75) = 10th; of class 0 the ceil(7.5) = 8th of 9."""
    scores, targets = known_scores()
    assert conformal.thresholds(scores, targets, 0.1).tolist() == [13] * 3
    assert conformal.thresholds(scores, targets, 0.25).tolist() == [11] * 3
    assert conformal.thresholds(scores, targets, 0.25, "classes").tolist() == [8, 13, math.inf]
    assert conformal.thresholds(scores, targets, 0.2, "classes").tolist() == [8, math.inf, math.inf]
    groups = {"head": [0], "tail": [1, 2]}
    assert conformal.thresholds(scores, targets, 0.25, "groups", groups).tolist() == [8, 13, 13]


def test_balanced_thresholds_by_hand() -> None:
    """Masses 1/9 each up to 1, then 4/3, 5/3, 2. At 0.25 class 0 needs 0.75 (2 + 1/9) = 1.58, class 1 needs 1.75."""
    scores, targets = known_scores()
    assert conformal.thresholds(scores, targets, 0.25, "balanced").tolist() == [12, 13, math.inf]
    few = conformal.thresholds(scores, targets, 0.1, "balanced")  # 0.9 (2 + 1/3) is more than all there is
    assert few.tolist() == [13, math.inf, math.inf]


def test_with_as_many_images_of_each_class_balanced_thresholds_are_those_of_all() -> None:
    draw = np.random.default_rng(0)
    scores, targets = draw.random((60, 3)), np.repeat([0, 1, 2], 20)
    for alpha in (0.05, 0.1, 0.3, 0.5):
        expected = conformal.thresholds(scores, targets, alpha)
        assert conformal.thresholds(scores, targets, alpha, "balanced").tolist() == expected.tolist()


def drawn(draw: np.random.Generator, counts: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Images of given classes: what a network that knows the long tail's prior says of them, and the classes."""
    targets = np.repeat(range(len(counts)), counts)
    middles = 1.2 * np.eye(4)
    seen = middles[targets] + draw.normal(size=(len(targets), 4))
    prior = np.log([0.7, 0.2, 0.07, 0.03])
    return calibration.probabilities(prior + 1.2 * seen), targets


@pytest.mark.parametrize("kind", conformal.KINDS)
def test_sets_hold_the_class_as_often_as_promised(kind: str) -> None:
    """Classes drawn from the probabilities themselves. 99 held-out images, alpha 0.1: exactly 90 / 100 on average.

    A test set's own coverage is spread by the held-out images (a beta distribution, standard deviation 0.03), so the
    mean over 300 has a standard error below 0.003.
    """
    draw, found = np.random.default_rng(1), []
    for trial in range(300):
        rows = calibration.probabilities(1.5 * draw.normal(size=(299, 5)))
        targets = (draw.random((299, 1)) > rows.cumsum(axis=1)).sum(axis=1).clip(max=4)
        known = conformal.class_scores(rows[:99], kind, seed=2 * trial)
        limits = conformal.thresholds(known, targets[:99], 0.1)
        inside = conformal.sets(conformal.class_scores(rows[99:], kind, seed=2 * trial + 1), limits)
        found.append(conformal.coverage(inside, targets[99:], {})["coverage"])
    assert np.mean(found) == pytest.approx(0.9, abs=0.01)


def test_without_the_random_part_sets_hold_it_more_often() -> None:
    draw = np.random.default_rng(2)
    rows = calibration.probabilities(1.5 * draw.normal(size=(2000, 5)))
    part, whole = (conformal.class_scores(rows, "adaptive", seed=seed) for seed in (0, None))
    assert (whole >= part).all()


def test_a_long_tail_of_held_out_images_and_a_balanced_test_set() -> None:
    """One threshold of all fails the tail and the balanced set; weights mend the set, classes of their own mend both.

    40 trials with 140 to 20 held-out images a class. The band: what the test images' own chance and the finite-sample
    quantile (at most 1 / (n + 1) = 0.05 above for the rarest class) leave.
    """
    draw, found = np.random.default_rng(3), {way: [] for way in conformal.WAYS}  # type: ignore[var-annotated]
    groups = {"head": [0, 1], "tail": [2, 3]}
    for _ in range(40):
        held, test = drawn(draw, [140, 70, 35, 20]), drawn(draw, [500] * 4)
        for way in conformal.WAYS:
            limits = conformal.thresholds(conformal.class_scores(held[0]), held[1], 0.1, way, groups)
            inside = conformal.sets(conformal.class_scores(test[0]), limits)
            covered = conformal.coverage(inside, test[1], groups)
            row = [covered["coverage"], *(covered["groups"][name]["coverage"] for name in groups)]
            found[way].append([*row, inside[np.arange(2000), test[1]][1500:].mean()])
    means = {way: np.mean(rows, axis=0) for way, rows in found.items()}
    assert means["all"][0] < 0.85
    assert means["all"][3] < 0.75
    assert 0.89 < means["balanced"][0] < 0.93
    assert means["balanced"][2] < 0.89, "the promise is the whole set's, not the tail's"
    assert 0.87 < means["groups"][2] < 0.94
    assert 0.89 < means["classes"][0] < 0.94
    assert 0.89 < means["classes"][3] < 0.97


def test_a_class_with_too_few_held_out_images_is_in_every_set() -> None:
    """8 of class 1 at alpha 0.1: its 9th smallest score is asked for."""
    draw = np.random.default_rng(4)
    rows = calibration.probabilities(draw.normal(size=(48, 2)))
    targets = np.repeat([0, 1], [40, 8])
    limits = conformal.thresholds(conformal.class_scores(rows), targets, 0.1, "classes")
    inside = conformal.sets(conformal.class_scores(rows), limits)
    assert limits[1] == math.inf
    assert np.isfinite(limits[0])
    assert inside[:, 1].all()
    assert not inside[:, 0].all()


def test_coverage_counts_by_hand() -> None:
    inside = np.array([[True, False, True], [False, False, False], [True, True, True], [False, True, False]])
    found = conformal.coverage(inside, [0, 0, 1, 2], {"head": [0], "rest": [1, 2], "none": []})
    assert found == {
        "images": 4,
        "coverage": 0.5,
        "size": 1.5,
        "size_std": pytest.approx(math.sqrt(5 / 3)),
        "empty": 0.25,
        "groups": {
            "head": {"images": 2, "coverage": 0.5, "size": 1.0, "size_std": pytest.approx(math.sqrt(2)), "empty": 0.5},
            "rest": {"images": 2, "coverage": 0.5, "size": 2.0, "size_std": pytest.approx(math.sqrt(2)), "empty": 0.0},
        },
    }


def test_bad_input_is_refused() -> None:
    scores, targets = known_scores()
    with pytest.raises(SettingError, match="one of threshold, adaptive, regularised, not 'best'"):
        conformal.class_scores(ROW, "best")
    with pytest.raises(SettingError, match="penalty of regularised sets"):
        conformal.class_scores(ROW, "regularised", penalty=-0.1)
    with pytest.raises(SettingError, match="sums to"):
        conformal.class_scores([[0.9, 0.9]])
    for alpha in (0.0, 1.0, -0.1, float("nan")):
        with pytest.raises(SettingError, match="lies between 0 and 1"):
            conformal.thresholds(scores, targets, alpha)
    with pytest.raises(SettingError, match="one of the ways all, balanced, groups, classes, not 'some'"):
        conformal.thresholds(scores, targets, 0.1, "some")
    with pytest.raises(SettingError, match="each of the 3 classes once"):
        conformal.thresholds(scores, targets, 0.1, "groups", {"head": [0], "tail": [1]})
    with pytest.raises(SettingError, match="each image needs one of both"):
        conformal.thresholds(scores, targets[:4])

"""Cross-fitting: how images are dealt, that no image is scored by what saw it, and that it tells overfitting."""

from __future__ import annotations

import numpy as np
import pytest

from ltlib import calibration
from ltlib.calibration import crossfit, posthoc
from ltlib.errors import SettingError

TARGETS = np.repeat([0, 1, 2, 3], [23, 11, 3, 1])


@pytest.mark.parametrize("number", [2, 5, 38])
def test_each_class_is_dealt_as_evenly_as_its_images_allow(number: int) -> None:
    shuffled = np.random.default_rng(0).permutation(TARGETS)
    fold = crossfit.folds(shuffled, number, seed=1)
    for members in (shuffled >= 0, *(shuffled == c for c in range(4))):
        sizes = np.bincount(fold[members], minlength=number)
        assert sizes.max() - sizes.min() <= 1
    assert fold.min() == 0
    assert fold.max() == number - 1


def test_dealing_hangs_on_the_seed_alone() -> None:
    one, same, other = (crossfit.folds(TARGETS, 5, seed) for seed in (3, 3, 4))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("number", [1, 39])
def test_as_many_folds_as_images_at_most(number: int) -> None:
    with pytest.raises(SettingError, match="38 images can be dealt into 2 to 38 folds"):
        crossfit.folds(TARGETS, number)


def test_no_image_is_scored_by_what_saw_it() -> None:
    """The method under test remembers what it was fitted on; the first logit is the image's number."""
    logits = np.column_stack([np.arange(38.0), np.zeros((38, 3))])
    fitted_on: list[set[float]] = []

    def fit(rows: np.ndarray, targets: np.ndarray) -> tuple[dict[str, float], crossfit.Calibrated]:
        seen = set(rows[:, 0])
        fitted_on.append(seen)

        def apply(others: np.ndarray) -> np.ndarray:
            assert not seen & set(others[:, 0])
            return np.eye(4)[(others[:, 0] % 4).astype(int)]

        return {"images": len(rows), "of class 3": (targets == 3).sum()}, apply  # type: ignore[return-value]

    found = crossfit.cross_fit(fit, logits, TARGETS, 5)
    assert len(fitted_on) == 5
    assert found.probabilities.argmax(axis=1).tolist() == [i % 4 for i in range(38)]
    assert sorted(found.parameters["images"]) == [30, 30, 30, 31, 31]
    assert sorted(found.parameters["of class 3"]) == [0, 1, 1, 1, 1]


def test_scores_weigh_each_class_alike() -> None:
    """Class 0: right with 0.8 and wrong with 0.4; class 1: right with 0.5 (a tie goes to the lower class) never."""
    rows = np.array([[0.8, 0.2], [0.4, 0.6], [0.5, 0.5]])
    found = crossfit.balanced_scores(rows, np.array([0, 0, 1]))
    assert found["accuracy"] == pytest.approx(0.25)
    assert found["nll"] == pytest.approx(-(np.log(0.8) + np.log(0.4)) / 4 - np.log(0.5) / 2)


def test_what_is_fitted_too_closely_is_found_out() -> None:
    """Isotonic curves on 40 images are better than a temperature on these images and worse out of fold."""
    draw = np.random.default_rng(0)
    logits = draw.normal(size=(40, 5))
    shares = calibration.probabilities(logits).cumsum(axis=1)
    targets = (draw.random((40, 1)) > shares).sum(axis=1).clip(max=4)

    def isotonic(rows: np.ndarray, classes: np.ndarray) -> tuple[dict[str, float], crossfit.Calibrated]:
        return {}, lambda z: posthoc.isotonic_probabilities(z, rows, classes)

    def scaled(rows: np.ndarray, classes: np.ndarray) -> tuple[dict[str, float], crossfit.Calibrated]:
        t = posthoc.fit_temperature(rows, classes)
        return {"temperature": t}, lambda z: calibration.probabilities(posthoc.apply_temperature(z, t))

    inside = {fit: crossfit.balanced_scores(fit(logits, targets)[1](logits), targets) for fit in (isotonic, scaled)}
    outside = {
        fit: crossfit.balanced_scores(crossfit.cross_fit(fit, logits, targets).probabilities, targets)
        for fit in (isotonic, scaled)
    }
    assert inside[isotonic]["nll"] < inside[scaled]["nll"]
    assert outside[isotonic]["nll"] > outside[scaled]["nll"]
    assert len(crossfit.cross_fit(scaled, logits, targets).parameters["temperature"]) == 5

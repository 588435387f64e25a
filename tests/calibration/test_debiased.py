"""The ECE without chance's part: centred at 0 for the calibrated, the error itself for the far off, the formula."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ltlib import calibration
from ltlib.calibration import chance
from ltlib.errors import SettingError


def drawn(seed: int, images: int, over: float) -> tuple[np.ndarray, np.ndarray]:
    """Confidences, and answers that are right less often than they say by `over`."""
    draw = np.random.default_rng(seed)
    confidence = draw.beta(4, 1, images)
    return confidence, draw.random(images) < np.clip(confidence - over, 0, 1)


@pytest.mark.parametrize("images", [60, 1000])
def test_a_calibrated_classifier_has_nothing_on_average(images: int) -> None:
    """400 test sets; the mean must lie within four of its standard errors of 0, where the ECE does not by far."""
    found = np.array([calibration.debiased_from_confidence(*drawn(s, images, 0.0), draws=60) for s in range(400)])
    error, floor, debiased = found.mean(axis=0)
    sure = found[:, 2].std() / math.sqrt(len(found))
    assert abs(debiased) < 4 * sure
    assert 20 * sure < error
    assert floor == pytest.approx(error, rel=0.05)
    assert (found[:, 2] < 0).any(), "cut at 0 it would not be right on average"


def test_a_large_error_is_left_alone() -> None:
    """Over-confident by 0.15 in every bin: about ten standard deviations, of which chance explains nothing."""
    found = calibration.debiased_from_confidence(*drawn(0, 20_000, 0.15))
    assert found.debiased == pytest.approx(found.error, abs=2e-4)
    assert found.floor > 0.004  # which error minus floor would have taken off


def test_it_is_the_formula() -> None:
    """One bin at a time, answers drawn anew image by image."""
    confidence, correct = drawn(3, 200, 0.04)
    draws, bins = 40, 7
    random = np.random.default_rng(5)
    right_by_chance = [random.random(200) < confidence for _ in range(draws)]
    total = floor = debiased = 0.0
    for b in range(bins):
        inside = [i for i in range(200) if b / bins < confidence[i] <= (b + 1) / bins]
        if not inside:
            continue
        gap = sum(float(correct[i]) - confidence[i] for i in inside)
        spread = math.sqrt(sum(confidence[i] * (1 - confidence[i]) for i in inside))
        others = [sum(float(right[i]) - confidence[i] for i in inside) for right in right_by_chance]
        expected = sum(abs(other) for other in others) / draws
        near = sum(math.exp(-((other / spread) ** 2) / 2) for other in others) / draws
        total += abs(gap) / 200
        floor += expected / 200
        debiased += (abs(gap) - expected * math.exp(-((gap / spread) ** 2) / 2) / near) / 200
    found = calibration.debiased_from_confidence(confidence, correct, bins, draws=draws, seed=5)
    assert found == pytest.approx((total, floor, debiased), abs=1e-12)
    assert found.error == pytest.approx(calibration.from_confidence(confidence, correct, bins))
    assert found.floor == pytest.approx(calibration.errors_by_chance(confidence, bins, draws, seed=5).mean())


def test_confidences_without_any_doubt_leave_nothing_to_chance() -> None:
    sure = np.ones(50)
    assert calibration.debiased_from_confidence(sure, sure.astype(bool)) == chance.Debiased(0.0, 0.0, 0.0)
    half = calibration.debiased_from_confidence(sure, np.arange(50) < 25)
    assert half == pytest.approx((0.5, 0.0, 0.5))


def test_what_is_no_confidence_is_refused() -> None:
    with pytest.raises(SettingError, match="between 0 and 1"):
        calibration.debiased_from_confidence([0.5, 1.5], [True, False])
    with pytest.raises(SettingError, match="one confidence and one answer"):
        calibration.debiased_from_confidence([0.5], [True, False])

"""What chance alone gives: calibration errors of answers that are right exactly as often as they are sure."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ltlib.calibration.checks import BINS, checked_bins, checked_confidences
from ltlib.calibration.equal_width import equal_width_bins, from_confidence

DRAWS = 200
_NO_DOUBT = 1e-12
"""Stands for the variance of a bin in which every confidence is 0 or 1."""


class Debiased(NamedTuple):
    """An ECE with and without chance's part, fractions.

    Attributes:
        error: The ECE, as `from_confidence`.
        floor: What a perfectly calibrated classifier with the same confidences shows on as many images.
        debiased: The ECE without what chance has added to it; can fall below 0, as it must to be right on average.
    """

    error: float
    floor: float
    debiased: float


def errors_by_chance(
    confidence: npt.ArrayLike,
    bins: int = BINS,
    draws: int = DRAWS,
    seed: int = 0,
    error: Callable[[np.ndarray, np.ndarray, int], float] = from_confidence,
) -> np.ndarray:
    """Calibration errors of perfectly calibrated classifiers with these confidences on as many images.

    Each answer is drawn right with the probability that its confidence says, so the true error is 0 and what is
    measured is chance alone.

    Args:
        confidence: Probability of the predicted class, [N].
        bins: Number of bins.
        draws: Simulated test sets.
        seed: Of the draws.
        error: `from_confidence`, or another function of confidences, answers and bins.

    Returns:
        A fraction for each simulated set, float64 [draws].
    """
    values = np.asarray(confidence, dtype=np.float64)
    if error is from_confidence:
        gaps = _Bins(values, bins).by_chance(draws, seed)
        return np.array([np.abs(gap).sum() / len(values) for gap in gaps])
    random = np.random.default_rng(seed)
    return np.array([error(values, random.random(len(values)) < values, bins) for _ in range(draws)])


def debiased_from_confidence(
    confidence: npt.ArrayLike, correct: npt.ArrayLike, bins: int = BINS, draws: int = DRAWS, seed: int = 0
) -> Debiased:
    """The ECE, its floor by chance, and the ECE without chance's part.

    ECE is a mean of absolute gaps, and absolute values never cancel: a bin that is calibrated shows a gap all the same
    (Kumar et al., "Verified uncertainty calibration", NeurIPS 2019, who take this bias out of the squared error). A bin
    that is far off shows its true gap on average. So the floor is taken off a bin's gap g as far as g looks like
    chance, with s the standard deviation of the gap of a calibrated bin and g* such gaps, drawn:

        debiased = sum_b n_b / N * (|g_b| - E|g*_b| * h(g_b / s_b) / E h(g*_b / s_b)),   h(z) = exp(-z^2 / 2)

    In a calibrated bin both parts are the same on average, so a perfectly calibrated classifier has 0 on average,
    whatever N; four standard deviations off nothing is taken off. In between, at one to two s, it errs downwards, by at
    most half an s: no function of |g| is right for all of them. Error minus floor, the simple correction, would take
    the whole floor from large errors too, which chance has not raised.

    Args:
        confidence: Probability of the predicted class, [N]; a record's float16 will do.
        correct: Whether the prediction is right, [N].
        bins: Number of equal-width bins.
        draws: Simulated test sets.
        seed: Of the draws.

    Raises:
        SettingError: What `from_confidence` refuses.
    """
    values, right = checked_confidences(confidence, correct)
    own = _Bins(values, bins)
    images = len(values)
    by_chance, gap = own.by_chance(draws, seed), own.gaps(right.astype(bool))
    near = np.exp(-((gap / own.spread) ** 2) / 2)
    near_by_chance = np.exp(-((by_chance / own.spread) ** 2) / 2).mean(axis=0)
    floors = np.abs(by_chance).mean(axis=0)
    chance = floors * near / near_by_chance
    total = np.abs(gap).sum()
    return Debiased(float(total / images), float(floors.sum() / images), float((total - chance.sum()) / images))


class _Bins:
    """The bins that have images, for many sets of answers with the same confidences, which are put into them once."""

    def __init__(self, confidence: np.ndarray, bins: int):
        checked, _ = checked_confidences(confidence, np.zeros(np.shape(confidence), dtype=bool))
        place = equal_width_bins(checked, checked_bins(bins))
        self.confidence = checked.astype(np.float64)
        self.order = np.argsort(place, kind="stable")
        self.starts = np.flatnonzero(np.diff(place[self.order], prepend=-1))
        self.sure = self._sums(self.confidence, np.float64)
        variance = self._sums(self.confidence * (1 - self.confidence).clip(min=0), np.float64)
        self.spread = np.sqrt(np.maximum(variance, _NO_DOUBT))
        """Standard deviation of the gaps' sum in a calibrated bin, [bins with images]."""

    def gaps(self, right: np.ndarray) -> np.ndarray:
        """Right answers minus confidence, summed over each bin, [bins with images]."""
        return self._sums(right, np.int64) - self.sure

    def by_chance(self, draws: int, seed: int) -> np.ndarray:
        """`gaps` of answers drawn with the confidences, [draws, bins with images]."""
        random = np.random.default_rng(seed)
        return np.array([self.gaps(random.random(len(self.confidence)) < self.confidence) for _ in range(draws)])

    def _sums(self, values: np.ndarray, dtype: type) -> np.ndarray:
        return np.add.reduceat(values[self.order], self.starts, dtype=dtype)


def evenly_spread(accuracy: float, images: int, lowest: float) -> np.ndarray:
    """Confidences spread evenly around an accuracy a, from ``2 a - 1`` to 1 but none below `lowest`, float64 [images].

    Their mean is the accuracy, or more where `lowest` cuts them off. A stand-in where only an accuracy is printed.
    """
    return np.linspace(max(2 * accuracy - 1, lowest), 1.0, images)

"""What chance alone gives: calibration errors of answers that are right exactly as often as they are sure."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import numpy.typing as npt

from ltlib.calibration.checks import BINS, checked_bins, checked_confidences
from ltlib.calibration.equal_width import equal_width_bins, from_confidence

DRAWS = 200


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
    random, values = np.random.default_rng(seed), np.asarray(confidence, dtype=np.float64)
    drawn = (random.random(len(values)) < values for _ in range(draws))
    if error is from_confidence:
        return _from_confidence(values, drawn, bins)
    return np.array([error(values, right, bins) for right in drawn])


def _from_confidence(confidence: np.ndarray, drawn: Iterable[np.ndarray], bins: int) -> np.ndarray:
    """`from_confidence` of many sets of answers with the same confidences, which are put into their bins once."""
    checked, _ = checked_confidences(confidence, np.zeros(confidence.shape, dtype=bool))
    place = equal_width_bins(checked, checked_bins(bins))
    order = np.argsort(place, kind="stable")
    starts = np.flatnonzero(np.diff(place[order], prepend=-1))
    sure = np.add.reduceat(confidence[order], starts)
    right = (np.add.reduceat(answers[order], starts, dtype=np.int64) for answers in drawn)
    return np.array([np.abs(hits - sure).sum() / len(confidence) for hits in right])


def evenly_spread(accuracy: float, images: int, lowest: float) -> np.ndarray:
    """Confidences spread evenly around an accuracy a, from ``2 a - 1`` to 1 but none below `lowest`, float64 [images].

    Their mean is the accuracy, or more where `lowest` cuts them off. A stand-in where only an accuracy is printed.
    """
    return np.linspace(max(2 * accuracy - 1, lowest), 1.0, images)

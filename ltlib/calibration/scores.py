"""Proper scores of probabilities: no bins, and accuracy and calibration in one number."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ltlib.calibration.checks import checked_probabilities


def brier(probabilities: npt.ArrayLike, targets: npt.ArrayLike) -> float:
    """Mean squared distance between a row and the one-hot target, summed over classes: 0 (best) to 2."""
    rows, actual = checked_probabilities(probabilities, targets)
    own = rows[np.arange(len(rows)), actual]
    return float(((rows**2).sum(axis=1) - 2 * own + 1).mean())


def negative_log_likelihood(probabilities: npt.ArrayLike, targets: npt.ArrayLike) -> float:
    """Mean of -ln p(actual class), in nats; a probability of 0 counts as the smallest positive float64 (708 nats)."""
    rows, actual = checked_probabilities(probabilities, targets)
    own = rows[np.arange(len(rows)), actual]
    return float(-np.log(np.maximum(own, np.finfo(np.float64).tiny)).mean())

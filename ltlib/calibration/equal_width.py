"""Bins of equal width: the expected and the maximum calibration error, and the table of a reliability diagram."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ltlib.calibration.checks import BINS, checked_bins, checked_confidences, confidence_and_correct

if TYPE_CHECKING:
    import pandas as pd


def expected_calibration_error(probabilities: npt.ArrayLike, targets: npt.ArrayLike, bins: int = BINS) -> float:
    """ECE of the predicted class's confidence, as a fraction.

    Args:
        probabilities: [N, K], rows sum to 1 (for logits, call `probabilities` first).
        targets: Actual classes, [N].
        bins: Number of equal-width right-closed bins.

    Raises:
        SettingError: NaN, rows that do not sum to 1, lengths that differ, a target that is no class.
    """
    return from_confidence(*confidence_and_correct(probabilities, targets), bins)


def maximum_calibration_error(probabilities: npt.ArrayLike, targets: npt.ArrayLike, bins: int = BINS) -> float:
    """The largest gap between accuracy and confidence of a bin that has images (Guo et al., eq. 5)."""
    return maximum_from_confidence(*confidence_and_correct(probabilities, targets), bins)


def from_confidence(confidence: npt.ArrayLike, correct: npt.ArrayLike, bins: int = BINS) -> float:
    """ECE where only the predicted class and its confidence were kept, as in a run's committed record.

    Args:
        confidence: Probability of the predicted class, [N].
        correct: Whether the prediction is right, [N].
        bins: Number of bins.
    """
    table = _bins(confidence, correct, bins)
    gap = np.abs(table["accuracy"] - table["confidence"])
    return float(np.nansum(table["count"] * gap) / table["count"].sum())


def maximum_from_confidence(confidence: npt.ArrayLike, correct: npt.ArrayLike, bins: int = BINS) -> float:
    """`maximum_calibration_error` from confidences and right or wrong."""
    table = _bins(confidence, correct, bins)
    return float(np.nanmax(np.abs(table["accuracy"] - table["confidence"])))


def reliability(confidence: npt.ArrayLike, correct: npt.ArrayLike, bins: int = BINS) -> pd.DataFrame:
    """The bins behind a reliability diagram.

    Returns:
        One row per bin: ``lower``, ``upper``, ``count``, mean ``confidence`` and ``accuracy``; NaN in an empty bin.
    """
    import pandas as pd

    return pd.DataFrame(_bins(confidence, correct, bins))


def equal_width_bins(values: np.ndarray, bins: int) -> np.ndarray:
    """The bin (a, b] of each value, int64 in the shape of `values`; 0 goes into the first bin, 1 into the last.

    Args:
        values: Floats from 0 to 1 in any shape.
        bins: Number of bins.
    """
    # The same rounding on both sides: an edge is an edge in the precision of the values.
    edges = (np.arange(bins + 1) / bins).astype(values.dtype)
    return (np.searchsorted(edges, values, side="left") - 1).clip(0, bins - 1)


def _bins(confidence: npt.ArrayLike, correct: npt.ArrayLike, bins: int) -> dict[str, np.ndarray]:
    bins = checked_bins(bins)
    confidence, correct = checked_confidences(confidence, correct)
    place = equal_width_bins(confidence, bins)
    count = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):
        mean_confidence = np.bincount(place, weights=confidence.astype(np.float64), minlength=bins) / count
        accuracy = np.bincount(place, weights=correct.astype(np.float64), minlength=bins) / count
    edges = np.arange(bins + 1) / bins
    return {
        "lower": edges[:-1],
        "upper": edges[1:],
        "count": count.astype(np.int64),
        "confidence": mean_confidence,
        "accuracy": accuracy,
    }

"""What is a probability and what is not: nothing here is guessed, what does not sum to 1 is refused."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ltlib.errors import SettingError
from ltlib.metrics import checked_scores, class_numbers

BINS = 15
_SUM_TOLERANCE = 1e-3


def probabilities(logits: npt.ArrayLike) -> np.ndarray:
    """Softmax of logits, [N, K] float64.

    Raises:
        SettingError: A logit that is not finite.
    """
    scores = checked_scores(logits).astype(np.float64)
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def confidence_and_correct(probabilities: npt.ArrayLike, targets: npt.ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Probability of the predicted class [N] and whether it is the actual one [N]; the lower class wins a tie."""
    rows, actual = checked_probabilities(probabilities, targets)
    return given_precision(rows.max(axis=1), probabilities), rows.argmax(axis=1) == actual


def checked_probabilities(probabilities: npt.ArrayLike, targets: npt.ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Rows that sum to 1, [N, K] float64, and one class number for each, [N] int64.

    Raises:
        SettingError: NaN, rows that do not sum to 1, lengths that differ, a target that is no class.
    """
    given = checked_scores(probabilities)
    rows = given.astype(np.float64)
    actual = class_numbers(targets, rows.shape[1], "targets")
    if len(rows) != len(actual):
        raise SettingError(f"{len(rows)} rows of probabilities but {len(actual)} targets; each image needs one of both")
    tolerance = 10 * _SUM_TOLERANCE if given.dtype == np.float16 else _SUM_TOLERANCE
    off = np.abs(rows.sum(axis=1) - 1)
    worst = int(off.argmax())
    if off[worst] > tolerance or rows.min() < -tolerance:
        raise SettingError(
            f"row {worst} of the probabilities sums to {rows[worst].sum():.6g} with smallest value {rows.min():.6g}; "
            "pass probabilities, or logits through calibration.probabilities"
        )
    return rows.clip(0.0, 1.0), actual


def checked_confidences(confidence: npt.ArrayLike, correct: npt.ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Confidences in their own precision and whether each prediction is right, both [N].

    Raises:
        SettingError: No image, lengths that differ, a value outside 0..1, NaN, answers that are not right or wrong.
    """
    confidence, correct = np.asarray(confidence), np.asarray(correct)
    if confidence.ndim != 1 or confidence.shape != correct.shape or confidence.size == 0:
        raise SettingError(f"need one confidence and one answer per image, not {confidence.shape} and {correct.shape}")
    if confidence.dtype.kind != "f":
        confidence = confidence.astype(np.float64)
    if not np.isfinite(confidence).all() or confidence.min() < 0 or confidence.max() > 1 + _SUM_TOLERANCE:
        raise SettingError("confidences must lie between 0 and 1; check for NaN and for logits passed as probabilities")
    if correct.dtype.kind not in "biu" or not np.isin(correct, (0, 1)).all():
        raise SettingError("answers must be right (True) or wrong (False)")
    return confidence, correct


def checked_bins(bins: int) -> int:
    """A number of bins.

    Raises:
        SettingError: Not a whole number of at least 1.
    """
    if isinstance(bins, bool) or int(bins) != bins or bins < 1:
        raise SettingError(f"the number of bins must be a whole number of at least 1, not {bins!r}")
    return int(bins)


def given_precision(values: np.ndarray, like: npt.ArrayLike) -> np.ndarray:
    """Float64 values back in the precision they came in, so that an edge of a bin is an edge in that precision."""
    dtype = np.asarray(like).dtype
    return values.astype(dtype) if dtype.kind == "f" else values

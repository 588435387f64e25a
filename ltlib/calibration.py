"""How far a classifier's confidence is from its accuracy.

Expected calibration error (Guo et al., "On Calibration of Modern Neural Networks", 2017, eq. 3):

    ECE = sum_b |B_b| / N * |accuracy(B_b) - confidence(B_b)|

over bins of equal width. Our bins are right-closed, (a, b], as in Guo's code and scikit-learn; a confidence of exactly
0 goes into the first and one of exactly 1 into the last. Edges are compared in the precision the confidences come in,
so a float32 0.2 lies on the edge 0.2. Probabilities and logits are never guessed apart: what does not sum to 1 is
refused. All values are fractions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ltlib.errors import SettingError
from ltlib.metrics import Groups, checked_scores, class_numbers

if TYPE_CHECKING:
    import pandas as pd

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
    table = _bins(*confidence_and_correct(probabilities, targets), bins)
    return float(np.nanmax(np.abs(table["accuracy"] - table["confidence"])))


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


def group_errors(
    confidence: npt.ArrayLike, correct: npt.ArrayLike, targets: npt.ArrayLike, groups: Groups, bins: int = BINS
) -> dict[str, float | None]:
    """ECE per class group over the images whose actual class is in the group; None for a group without images."""
    confidence, correct, actual = np.asarray(confidence), np.asarray(correct), np.asarray(targets)
    if not len(confidence) == len(correct) == len(actual):
        raise SettingError(f"{len(confidence)} confidences, {len(correct)} answers and {len(actual)} targets differ")
    errors: dict[str, float | None] = {}
    for name, members in groups.items():
        inside = np.isin(actual, list(members))
        errors[name] = from_confidence(confidence[inside], correct[inside], bins) if inside.any() else None
    return errors


def reliability(confidence: npt.ArrayLike, correct: npt.ArrayLike, bins: int = BINS) -> pd.DataFrame:
    """The bins behind a reliability diagram.

    Returns:
        One row per bin: ``lower``, ``upper``, ``count``, mean ``confidence`` and ``accuracy``; NaN in an empty bin.
    """
    import pandas as pd

    return pd.DataFrame(_bins(confidence, correct, bins))


def brier(probabilities: npt.ArrayLike, targets: npt.ArrayLike) -> float:
    """Mean squared distance between a row and the one-hot target, summed over classes: 0 (best) to 2."""
    rows, actual = _checked(probabilities, targets)
    own = rows[np.arange(len(rows)), actual]
    return float(((rows**2).sum(axis=1) - 2 * own + 1).mean())


def negative_log_likelihood(probabilities: npt.ArrayLike, targets: npt.ArrayLike) -> float:
    """Mean of -ln p(actual class), in nats; a probability of 0 counts as the smallest positive float64 (708 nats)."""
    rows, actual = _checked(probabilities, targets)
    own = rows[np.arange(len(rows)), actual]
    return float(-np.log(np.maximum(own, np.finfo(np.float64).tiny)).mean())


def confidence_and_correct(probabilities: npt.ArrayLike, targets: npt.ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Probability of the predicted class [N] and whether it is the actual one [N]; the lower class wins a tie."""
    original = np.asarray(probabilities)
    rows, actual = _checked(probabilities, targets)
    confidence = rows.max(axis=1)
    if original.dtype.kind == "f":
        confidence = confidence.astype(original.dtype)
    return confidence, rows.argmax(axis=1) == actual


def _checked(probabilities: npt.ArrayLike, targets: npt.ArrayLike) -> tuple[np.ndarray, np.ndarray]:
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


def _bins(confidence: npt.ArrayLike, correct: npt.ArrayLike, bins: int) -> dict[str, np.ndarray]:
    confidence, correct = np.asarray(confidence), np.asarray(correct)
    if isinstance(bins, bool) or int(bins) != bins or bins < 1:
        raise SettingError(f"the number of bins must be a whole number of at least 1, not {bins!r}")
    bins = int(bins)
    if confidence.ndim != 1 or confidence.shape != correct.shape or confidence.size == 0:
        raise SettingError(f"need one confidence and one answer per image, not {confidence.shape} and {correct.shape}")
    if confidence.dtype.kind != "f":
        confidence = confidence.astype(np.float64)
    if not np.isfinite(confidence).all() or confidence.min() < 0 or confidence.max() > 1 + _SUM_TOLERANCE:
        raise SettingError("confidences must lie between 0 and 1; check for NaN and for logits passed as probabilities")
    if correct.dtype.kind not in "biu" or not np.isin(correct, (0, 1)).all():
        raise SettingError("answers must be right (True) or wrong (False)")
    edges = np.arange(bins + 1) / bins
    # The same rounding on both sides: an edge is an edge in the precision of the confidences.
    place = np.searchsorted(edges.astype(confidence.dtype), confidence, side="left") - 1
    place = place.clip(0, bins - 1)
    count = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):
        mean_confidence = np.bincount(place, weights=confidence.astype(np.float64), minlength=bins) / count
        accuracy = np.bincount(place, weights=correct.astype(np.float64), minlength=bins) / count
    return {
        "lower": edges[:-1],
        "upper": edges[1:],
        "count": count.astype(np.int64),
        "confidence": mean_confidence,
        "accuracy": accuracy,
    }

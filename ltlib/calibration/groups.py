"""Calibration of class groups: the error of each, on which side it errs, and what the error of all images hides."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from ltlib.calibration.checks import BINS
from ltlib.calibration.equal_width import from_confidence
from ltlib.errors import SettingError
from ltlib.metrics import Groups


def group_errors(
    confidence: npt.ArrayLike,
    correct: npt.ArrayLike,
    targets: npt.ArrayLike,
    groups: Groups,
    bins: int = BINS,
    error: Callable[[np.ndarray, np.ndarray, int], float] = from_confidence,
) -> dict[str, float | None]:
    """A calibration error per class group, over the images whose actual class is in it; None for one without images.

    Args:
        confidence: Probability of the predicted class, [N].
        correct: Whether the prediction is right, [N].
        targets: Actual classes, [N].
        groups: Group name to its classes.
        bins: Number of bins.
        error: `from_confidence`, `maximum_from_confidence`, `adaptive_from_confidence`, or another function of
            confidences, answers and bins. (Classwise errors are per class; a group's is the mean of its classes'.)
    """
    confidence, correct, actual = np.asarray(confidence), np.asarray(correct), np.asarray(targets)
    if not len(confidence) == len(correct) == len(actual):
        raise SettingError(f"{len(confidence)} confidences, {len(correct)} answers and {len(actual)} targets differ")
    errors: dict[str, float | None] = {}
    for name, members in groups.items():
        inside = np.isin(actual, list(members))
        errors[name] = error(confidence[inside], correct[inside], bins) if inside.any() else None
    return errors


def group_gaps(
    confidence: npt.ArrayLike, correct: npt.ArrayLike, classes: npt.ArrayLike, groups: Groups
) -> dict[str, float]:
    """Mean confidence minus accuracy of each class group, a fraction; NaN for a group without images.

    Args:
        confidence: Probability of the predicted class, [N].
        correct: Whether the prediction is right, [N].
        classes: By which the images are put into groups, [N]: the actual classes, or the predicted ones.
        groups: Group name to its classes.
    """
    confidence, correct, classes = np.asarray(confidence), np.asarray(correct), np.asarray(classes)
    found = {}
    for group, members in groups.items():
        inside = np.isin(classes, list(members))
        found[group] = float(confidence[inside].mean() - correct[inside].mean()) if inside.any() else np.nan
    return found


def hidden_error(
    confidence: npt.ArrayLike,
    correct: npt.ArrayLike,
    predicted: npt.ArrayLike,
    groups: Groups,
    bins: int = BINS,
    draws: int = 20,
) -> float:
    """What the ECE of all images leaves out: its groups' errors (by predicted class), weighted by images, minus it.

    Over- and under-confident groups cancel inside a bin of all images. Fewer images a bin also let chance in: what
    perfectly calibrated answers with the same confidences would give is taken off.

    Args:
        confidence: Probability of the predicted class, [N].
        correct: Whether the prediction is right, [N].
        predicted: The predicted classes, [N].
        groups: Group name to its classes.
        bins: Number of bins.
        draws: Simulated test sets from which chance's part is taken.

    Returns:
        A fraction, at least 0.
    """
    confidence, correct, predicted = np.asarray(confidence), np.asarray(correct), np.asarray(predicted)
    shares = {group: float(np.isin(predicted, list(members)).mean()) for group, members in groups.items()}

    def cancelled(right: np.ndarray) -> float:
        own = group_errors(confidence, right, predicted, groups, bins)
        parts = sum(shares[group] * error for group, error in own.items() if error is not None)
        return parts - from_confidence(confidence, right, bins)

    random = np.random.default_rng(0)
    by_chance = [cancelled(random.random(len(confidence)) < confidence) for _ in range(draws)]
    return max(0.0, cancelled(correct) - float(np.mean(by_chance)))

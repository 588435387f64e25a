"""Cross-fitting: what a post-hoc method gives on images it was not fitted on, without touching the test set.

Held-out training images are few. Numbers fitted on all of them and scored on the same ones look better than they are,
most for methods with many of them. So the images are dealt into folds; each fold is scored with what was fitted on the
others (Chernozhukov et al. 2018 on the name). It says how far the fitted numbers move with the images, what to expect
elsewhere, and which method to choose. What is used afterwards is fitted on all held-out images.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ltlib.calibration.posthoc import checked_held_out, image_weights
from ltlib.errors import SettingError

FOLDS = 5
Calibrated = Callable[[npt.ArrayLike], np.ndarray]
"""Logits [N, K] to probabilities [N, K]."""
Fit = Callable[[np.ndarray, np.ndarray], tuple[Mapping[str, float], Calibrated]]
"""Held-out logits [M, K] and classes [M] to what was fitted, by name, and the function that applies it."""


class CrossFitted(NamedTuple):
    """What one method gives, each image by what was fitted on the other folds.

    Attributes:
        fold: Which fold an image is in, int64 [M].
        parameters: What was fitted without each fold, by name, [folds] each.
        probabilities: Of each image, by what was fitted without its fold, float64 [M, K].
    """

    fold: np.ndarray
    parameters: dict[str, list[float]]
    probabilities: np.ndarray


def folds(targets: npt.ArrayLike, number: int = FOLDS, seed: int = 0) -> np.ndarray:
    """Deals images into folds, int64 [M]: each class as evenly as its images allow, and all together too.

    The images of a class are shuffled and dealt one by one, the next class beginning where the one before has ended. So
    two folds differ by at most one image of a class, and by at most one image in all. A class with fewer images than
    folds is missing in some.

    Args:
        targets: Classes, [M].
        number: Of folds, from 2 to the number of images.
        seed: Of the shuffling.

    Raises:
        SettingError: Another number of folds.
    """
    actual = np.asarray(targets)
    if not 2 <= number <= len(actual):
        raise SettingError(f"{len(actual)} images can be dealt into 2 to {len(actual)} folds, not {number}")
    shuffled = np.random.default_rng(seed).permutation(len(actual))
    order = shuffled[np.argsort(actual[shuffled], kind="stable")]
    fold = np.empty(len(actual), dtype=np.int64)
    fold[order] = np.arange(len(actual)) % number
    return fold


def cross_fit(
    fit: Fit, logits: npt.ArrayLike, targets: npt.ArrayLike, number: int = FOLDS, seed: int = 0
) -> CrossFitted:
    """Fits a post-hoc method without each fold in turn and applies it to that fold.

    Args:
        fit: The method.
        logits: Of held-out images, [M, K].
        targets: Their classes, [M].
        number: Of folds.
        seed: Of the dealing.

    Raises:
        SettingError: Logits that are not finite, lengths that differ, a target that is no class, or what `folds` and
            the method refuse.
    """
    scores, actual = checked_held_out(logits, targets)
    fold = folds(actual, number, seed)
    parameters: dict[str, list[float]] = {}
    rows = np.empty_like(scores)
    for out in range(number):
        inside = fold == out
        fitted, calibrated = fit(scores[~inside], actual[~inside])
        rows[inside] = calibrated(scores[inside])
        for name, value in fitted.items():
            parameters.setdefault(name, []).append(float(value))
    return CrossFitted(fold, parameters, rows)


def balanced_scores(probabilities: np.ndarray, targets: np.ndarray) -> dict[str, float]:
    """Accuracy and likelihood that held-out images promise for a test set with as many images of each class.

    Each class among them has the same weight.

    Args:
        probabilities: [M, K].
        targets: Classes, [M].

    Returns:
        ``accuracy``, a fraction, and ``nll`` in nats, where a probability of 0 counts as the smallest positive float64.
    """
    weights = image_weights(targets, balanced=True)
    own = probabilities[np.arange(len(targets)), targets]
    right = probabilities.argmax(axis=1) == targets
    return {
        "accuracy": float(weights @ right),
        "nll": float(-weights @ np.log(np.maximum(own, np.finfo(np.float64).tiny))),
    }

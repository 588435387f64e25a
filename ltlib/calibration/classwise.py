"""Calibration of every class's probability, not of the predicted class's alone."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ltlib.calibration.checks import BINS, checked_bins, checked_probabilities, given_precision
from ltlib.calibration.equal_mass import equal_mass_bins
from ltlib.calibration.equal_width import equal_width_bins


def classwise_errors(
    probabilities: npt.ArrayLike, targets: npt.ArrayLike, bins: int = BINS, equal_mass: bool = False
) -> np.ndarray:
    """Each class's calibration error over all N images, [K] float64.

    ``error_c = sum_b |B_cb| / N * |share of class c in B_cb - mean p_c in B_cb|``: of the images that get 30% for class
    c, are 30% of class c? A class without test images counts too: all its probability is too much.

    Args:
        probabilities: [N, K], rows sum to 1.
        targets: Actual classes, [N].
        bins: Bins of each class's probability.
        equal_mass: Bins with equally many images instead of equally wide ones.

    Raises:
        SettingError: NaN, rows that do not sum to 1, lengths that differ, a target that is no class.
    """
    bins = checked_bins(bins)
    rows, actual = checked_probabilities(probabilities, targets)
    given = given_precision(rows, probabilities)
    if equal_mass:
        place = np.stack([equal_mass_bins(column, bins) for column in given.T], axis=1)
    else:
        place = equal_width_bins(given, bins)
    gaps = -rows
    gaps[np.arange(len(rows)), actual] += 1
    classes = rows.shape[1]
    sums = np.bincount((place + bins * np.arange(classes)).ravel(), weights=gaps.ravel(), minlength=bins * classes)
    return np.abs(sums.reshape(classes, bins)).sum(axis=1) / len(rows)


def classwise_calibration_error(
    probabilities: npt.ArrayLike, targets: npt.ArrayLike, bins: int = BINS, equal_mass: bool = False
) -> float:
    """Mean of `classwise_errors` over the K classes, as a fraction.

    The classwise-ECE of Kull et al. ("Beyond temperature scaling", NeurIPS 2019, section 2) and the static calibration
    error of Nixon et al. (2019), which are the same; both divide by K, some code sums instead. With
    ``equal_mass=True`` it is Nixon et al.'s adaptive calibration error. Most probabilities of many classes are near 0
    and right to be, so the mean falls with K: values compare between methods, not between sets.
    """
    return float(classwise_errors(probabilities, targets, bins, equal_mass).mean())

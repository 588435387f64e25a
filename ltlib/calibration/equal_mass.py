"""Bins of equal mass: as many images in each, so that no bin rests on a handful of them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ltlib.calibration.checks import BINS, checked_bins, checked_confidences, confidence_and_correct


def adaptive_calibration_error(probabilities: npt.ArrayLike, targets: npt.ArrayLike, bins: int = BINS) -> float:
    """ECE of the predicted class's confidence over bins with equally many images, as a fraction.

    Equal-mass bins are Nguyen and O'Connor's ("Posterior calibration and exploratory analysis for natural language
    processing models", EMNLP 2015, section 3); with ECE's weighted absolute gap they are the AdaECE of Mukhoti et al.
    ("Calibrating deep neural networks using focal loss", NeurIPS 2020). Nixon et al. ("Measuring calibration in deep
    learning", 2019) give the name ACE to the mean over all classes' probabilities, not the predicted one alone: that
    is `classwise_calibration_error` with ``equal_mass=True``.

    Equal confidences share a bin, the lowest one that any of them falls into, so the order of the images plays no part
    and a bin is larger than the others where many confidences are equal (1.0 above all). Code that takes the edges
    from quantiles and tests ``lower < confidence <= upper``, as that of Mukhoti et al., leaves out the image of the
    lowest confidence; here every image counts.

    Args:
        probabilities: [N, K], rows sum to 1.
        targets: Actual classes, [N].
        bins: Number of bins; with fewer images, one image a bin.

    Raises:
        SettingError: NaN, rows that do not sum to 1, lengths that differ, a target that is no class.
    """
    return adaptive_from_confidence(*confidence_and_correct(probabilities, targets), bins)


def adaptive_from_confidence(confidence: npt.ArrayLike, correct: npt.ArrayLike, bins: int = BINS) -> float:
    """`adaptive_calibration_error` from confidences and right or wrong, as a run's committed record keeps them.

    The record's float16 makes many large confidences equal (its steps near 1 are 0.0005), so bins merge there.
    """
    bins = checked_bins(bins)
    values, right = checked_confidences(confidence, correct)
    gaps = right.astype(np.float64) - values.astype(np.float64)
    return float(np.abs(np.bincount(equal_mass_bins(values, bins), weights=gaps)).sum() / len(gaps))


def equal_mass_bins(values: np.ndarray, bins: int) -> np.ndarray:
    """The bin of each value, int64 [N]: N/bins of them in each (the first N mod bins have one more), equals together.

    Args:
        values: [N], at least one.
        bins: Number of bins.
    """
    ordered = np.sort(values)
    sizes = len(values) // bins + (np.arange(bins) < len(values) % bins)
    last = ordered[sizes[sizes > 0].cumsum() - 1]  # the largest value of each bin
    return np.searchsorted(last, values, side="left")

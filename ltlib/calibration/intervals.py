"""How sure a calibration error is, given the test images it was measured on."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from ltlib import statistics
from ltlib.calibration.checks import BINS, checked_bins, checked_confidences
from ltlib.calibration.equal_width import equal_width_bins
from ltlib.errors import SettingError
from ltlib.statistics import Interval


def ece_interval(
    confidence: npt.ArrayLike,
    correct: npt.ArrayLike,
    bins: int = BINS,
    *,
    kind: Literal["basic", "percentile"] = "basic",
    strata: npt.ArrayLike | None = None,
    level: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> Interval:
    """Bootstrap interval of the ECE over test images (Efron 1979; Davison and Hinkley 1997, section 5.2).

    The ECE of finitely many images lies above that of infinitely many: chance alone opens gaps, and absolute values
    never cancel (Kumar et al., "Verified uncertainty calibration", 2019; Roelofs et al., 2022). A resampling adds its
    own chance to the images', so resampled ECEs lie higher still, and the ``percentile`` interval with them: of a
    perfectly calibrated classifier it holds the estimate near its lower end and never the true 0. The ``basic``
    interval reflects it in the estimate, ``[2 e - high, 2 e - low]`` cut at 0, which takes the bias out once. Neither
    is good for errors that the images cannot tell from 0. Share of 200 simulated test sets whose 95% interval held the
    true ECE (confidences between 0.1 and 1, mostly high; accuracy a fixed share below confidence):

        images   true ECE   basic   percentile
         2,000      0.000    0.49         0.00
         2,000      0.040    0.90         0.76
         2,000      0.119    0.93         0.92
        10,000      0.000    0.54         0.00
        10,000      0.016    0.92         0.67
        10,000      0.040    0.92         0.91

    For other errors, or for functions of probabilities and targets, use `statistics.bootstrap_interval`, as in
    ``bootstrap_interval(adaptive_from_confidence, confidence, correct)``: percentile intervals, with the same caution.

    Args:
        confidence: Probability of the predicted class, [N]; a record's float16 will do.
        correct: Whether the prediction is right, [N].
        bins: Number of equal-width bins; they stay the same in every resampling.
        kind: ``basic`` or ``percentile``.
        strata: Per image its class; then every class keeps its number of images, as in a balanced test set.
        level: Coverage aimed at.
        resamples: Number of resamplings.
        seed: Of the resampling.

    Returns:
        The ECE, its interval, the number of images and the standard deviation over resamplings.

    Raises:
        SettingError: What `from_confidence` refuses, another kind, a level outside (0, 1), fewer than 2 resamplings.
    """
    if kind not in ("basic", "percentile"):
        raise SettingError(f"kind of the interval must be basic or percentile, not {kind!r}")
    bins = checked_bins(bins)
    values, right = checked_confidences(confidence, correct)
    gaps = right.astype(np.float64) - values.astype(np.float64)

    def error(place: np.ndarray, gap: np.ndarray) -> float:
        return float(np.abs(np.bincount(place, weights=gap, minlength=bins)).sum() / len(gap))

    found = statistics.bootstrap_interval(
        error, equal_width_bins(values, bins), gaps, strata=strata, confidence=level, resamples=resamples, seed=seed
    )
    if kind == "percentile":
        return found
    return found._replace(low=max(0.0, 2 * found.mean - found.high), high=max(0.0, 2 * found.mean - found.low))

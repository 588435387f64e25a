"""How far a classifier's confidence is from its accuracy.

Expected calibration error (Guo et al., "On Calibration of Modern Neural Networks", 2017, eq. 3):

    ECE = sum_b |B_b| / N * |accuracy(B_b) - confidence(B_b)|

over bins of equal width. Our bins are right-closed, (a, b], as in Guo's code and scikit-learn; a confidence of exactly
0 goes into the first and one of exactly 1 into the last. Edges are compared in the precision the confidences come in,
so a float32 0.2 lies on the edge 0.2. Probabilities and logits are never guessed apart: what does not sum to 1 is
refused. All values are fractions.

Beside it: equal-mass bins (`adaptive_calibration_error`), every class's probability (`classwise_calibration_error`),
Brier score and likelihood, which need no bins, intervals (`ece_interval`), what chance alone gives
(`errors_by_chance`) and the error without it (`debiased_from_confidence`), and class groups (`group_errors`,
`group_gaps`, `hidden_error`).

After training, in modules of their own: `posthoc` and `vector` (fitted on held-out images), `crossfit` (what such a fit
is worth elsewhere), `conformal` (sets of classes), `effects` (all of it for one network).
"""

from ltlib.calibration.chance import Debiased, debiased_from_confidence, errors_by_chance, evenly_spread
from ltlib.calibration.checks import BINS, confidence_and_correct, probabilities
from ltlib.calibration.classwise import classwise_calibration_error, classwise_errors
from ltlib.calibration.equal_mass import adaptive_calibration_error, adaptive_from_confidence
from ltlib.calibration.equal_width import (
    expected_calibration_error,
    from_confidence,
    maximum_calibration_error,
    maximum_from_confidence,
    reliability,
)
from ltlib.calibration.groups import group_errors, group_gaps, hidden_error
from ltlib.calibration.intervals import ece_interval
from ltlib.calibration.scores import brier, negative_log_likelihood

__all__ = [
    "BINS",
    "Debiased",
    "adaptive_calibration_error",
    "adaptive_from_confidence",
    "brier",
    "classwise_calibration_error",
    "classwise_errors",
    "confidence_and_correct",
    "debiased_from_confidence",
    "ece_interval",
    "errors_by_chance",
    "evenly_spread",
    "expected_calibration_error",
    "from_confidence",
    "group_errors",
    "group_gaps",
    "hidden_error",
    "maximum_calibration_error",
    "maximum_from_confidence",
    "negative_log_likelihood",
    "probabilities",
    "reliability",
]

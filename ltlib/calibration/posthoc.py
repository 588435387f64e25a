"""What can be done after training: on stored logits, and on a classifier's weights. Pure functions, nothing is trained.

z are the logits of N images, [N, K]; pi the training prior; T > 0 a temperature; w_c the classifier's row of class c:

- Logit adjustment: ``z - tau log pi`` (Menon et al. 2021, arXiv 2007.07314; at tau = 1 what LADE's authors call
  PC-softmax). `fit_adjustment` chooses tau, and a temperature with it.
- Temperature scaling: ``z / T`` with the T of the smallest cross-entropy on held-out images (Guo et al. 2017, arXiv
  1706.04599, section 4.2). No predicted class changes.
- Vector scaling, ``a * z + b`` class by class, is in `ltlib.calibration.vector`.
- Isotonic regression: per class a rising step function from its probability to how often it is right on held-out
  images, the K results scaled to sum to 1 (Zadrozny and Elkan 2002). Predicted classes can change.
- tau-normalisation: ``w_c / |w_c|^tau`` without bias (Kang et al. 2020, arXiv 1910.09217, section 4.3).

tau and T are chosen on held-out training images (``validation="subset"``), never on the test set; the script of
classifier-balancing scans the test set for tau.

Held-out images have the training set's long tail, the test set has as many of each class. A plain mean over them fits
the head: it answers "calibrated on more images like the training set's". With ``balanced=True`` every class has the
same weight (1 over its held-out images: importance weights for a balanced test set, if the images of a class are alike
in both; Alexandari et al. 2020 on label shift), at the price that a few tail images weigh as much as hundreds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from ltlib.calibration import probabilities
from ltlib.errors import SettingError
from ltlib.metrics import checked_scores, class_numbers

Weight = TypeVar("Weight", bound=Any)
LOG_TEMPERATURE = (-7.0, 7.0)
"""Where the logarithm of the temperature is sought: T from about 0.001 to 1,100."""


class Adjustment(NamedTuple):
    """A fitted logit adjustment, ``(z - tau log pi) / temperature``; only tau changes predicted classes."""

    tau: float
    temperature: float


def logit_adjustment(logits: npt.ArrayLike, class_counts: Sequence[int], tau: float = 1.0) -> np.ndarray:
    """Logits with the training prior taken out, ``z - tau log pi``, [N, K] float64.

    Args:
        logits: [N, K].
        class_counts: Training images per class, each at least 1.
        tau: Strength; 1 takes the prior out once, 0 changes nothing, below 0 puts it in.

    Raises:
        SettingError: Logits that are not finite, counts of another length or below 1, tau not finite.
    """
    scores = checked_scores(logits).astype(np.float64)
    counts = np.asarray(class_counts, dtype=np.float64)
    if counts.shape != scores.shape[1:] or not (counts >= 1).all():
        raise SettingError(
            f"class_counts must give at least one training image for each of the {scores.shape[1]} classes"
        )
    if not np.isfinite(tau):
        raise SettingError(f"tau of the logit adjustment must be finite, not {tau}")
    return scores - tau * np.log(counts / counts.sum())


def fit_temperature(logits: npt.ArrayLike, targets: npt.ArrayLike, balanced: bool = False) -> float:
    """The temperature of the smallest cross-entropy ``mean(-log softmax(z / T)_y)``.

    It is convex in 1 / T, so there is one minimum. Where it falls to the end of the range, as it does for images that
    are all right (T -> 0), the end is returned.

    Args:
        logits: Of held-out images, [N, K].
        targets: Their classes, [N].
        balanced: Whether each class among them has the same weight, instead of each image.

    Raises:
        SettingError: Logits that are not finite, lengths that differ, a target that is no class.
    """
    from scipy.optimize import minimize_scalar

    scores, actual = checked_held_out(logits, targets)
    scores = scores - scores.max(axis=1, keepdims=True)
    rows, weights = np.arange(len(actual)), image_weights(actual, balanced)

    def cross_entropy(log_temperature: float) -> float:
        z = scores * np.exp(-log_temperature)
        return float(weights @ (np.log(np.exp(z).sum(axis=1)) - z[rows, actual]))

    found = minimize_scalar(cross_entropy, bounds=LOG_TEMPERATURE, method="bounded", options={"xatol": 1e-8})
    return float(np.exp(min((*LOG_TEMPERATURE, float(found.x)), key=cross_entropy)))


def fit_adjustment(logits: npt.ArrayLike, targets: npt.ArrayLike, class_counts: Sequence[int]) -> Adjustment:
    """tau and T of ``(z - tau log pi) / T`` with the smallest class-balanced cross-entropy on held-out images.

    Why not the tau of the best balanced held-out accuracy: that is a step function of tau which hangs on single images
    where a class has one to five of them, so many taus tie and the best one is luck. The cross-entropy uses every
    image's margin and is convex in (1 / T, tau / T), so there is one minimum. Why T as well: an over-confident network
    pays for its errors, most of them in the tail, and tau alone would be stretched to pay less; and for logits that are
    s times too large the right tau is s (Menon et al. on tau and temperature scaling). T changes no predicted class.

    tau = 0 says that the logits have no prior left in them, as after balanced softmax. With equal class counts tau has
    no effect and stays 1.

    Args:
        logits: Of held-out images, [N, K].
        targets: Their classes, [N]; a class without any has no say.
        class_counts: Training images per class, each at least 1.

    Raises:
        SettingError: As in `logit_adjustment` and `fit_temperature`.
    """
    from scipy.optimize import minimize

    scores, actual = checked_held_out(logits, targets)
    prior = logit_adjustment(np.zeros((1, scores.shape[1])), class_counts, -1.0)[0]  # log pi
    rows, weights = np.arange(len(actual)), image_weights(actual, balanced=True)
    scale = max(float(scores.std()), 1e-12)  # of the two unknowns, 1 / T and tau / T, both should be near 1
    z, own = scores / scale, scores[rows, actual] / scale

    def cross_entropy(unknowns: np.ndarray) -> tuple[float, np.ndarray]:
        adjusted = unknowns[0] * z - unknowns[1] * prior
        adjusted -= adjusted.max(axis=1, keepdims=True)
        powers = np.exp(adjusted)
        total = powers.sum(axis=1)
        expected = powers / total[:, None]
        slope = weights @ ((expected * z).sum(axis=1) - own), weights @ (prior[actual] - expected @ prior)
        return float(weights @ (np.log(total) - adjusted[rows, actual])), np.array(slope)

    steepest, flattest = np.exp(-np.array(LOG_TEMPERATURE)) * scale
    start = scale / fit_temperature(scores, actual, balanced=True)
    found = minimize(
        cross_entropy,
        np.array([start, start / scale]),
        jac=True,
        method="L-BFGS-B",
        bounds=[(flattest, steepest), (None, None)],
        options={"ftol": 1e-14, "gtol": 1e-9, "maxiter": 1000},
    )
    temperature = scale / float(found.x[0])
    return Adjustment(float(found.x[1]) * temperature, temperature)


def apply_temperature(logits: npt.ArrayLike, temperature: float) -> np.ndarray:
    """``z / T``, [N, K] float64.

    Raises:
        SettingError: Logits that are not finite, or a temperature that is not positive.
    """
    if not (np.isfinite(temperature) and temperature > 0):
        raise SettingError(f"a temperature must be above 0, not {temperature}")
    return checked_scores(logits).astype(np.float64) / temperature


def isotonic_probabilities(
    logits: npt.ArrayLike, held_out_logits: npt.ArrayLike, held_out_targets: npt.ArrayLike
) -> np.ndarray:
    """Probabilities calibrated by one isotonic regression per class, [N, K] float64, rows sum to 1.

    A class without a held-out image keeps its softmax probabilities: nothing says how they are wrong. A row in which
    every class gets 0 falls back to its softmax.

    Args:
        logits: To calibrate, [N, K].
        held_out_logits: [M, K].
        held_out_targets: Their classes, [M].

    Raises:
        SettingError: Logits that are not finite, another number of classes, lengths that differ, no such class.
    """
    from sklearn.isotonic import IsotonicRegression

    scores, actual = checked_held_out(held_out_logits, held_out_targets)
    before = probabilities(logits)
    if before.shape[1] != scores.shape[1]:
        raise SettingError(f"logits of {before.shape[1]} classes cannot be calibrated on those of {scores.shape[1]}")
    seen, after = probabilities(scores), before.copy()
    for c in np.unique(actual):
        curve = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip")
        after[:, c] = curve.fit(seen[:, c], actual == c).predict(before[:, c])
    total = after.sum(axis=1, keepdims=True)
    return np.where(total > 0, after / np.where(total > 0, total, 1), before)


def tau_normalise(weight: Weight, tau: float) -> Weight:
    """A classifier's rows divided by their length to the power of tau, ``w_c / |w_c|^tau``; its bias is left out.

    tau = 0 changes nothing, tau = 1 makes all rows one long. Logits are then ``f @ weight.T``.

    Args:
        weight: [K, D], NumPy array or torch tensor; a row of zeros stays one.
        tau: Finite.

    Raises:
        SettingError: A weight that is no matrix, or tau not finite.
    """
    if getattr(weight, "ndim", 0) != 2:
        raise SettingError("tau-normalisation needs a classifier's weight matrix, one row per class")
    if not np.isfinite(tau):
        raise SettingError(f"tau must be finite, not {tau}")
    length = (weight * weight).sum(1) ** 0.5
    return weight / ((length + (length == 0)) ** tau)[:, None]


def image_weights(targets: np.ndarray, balanced: bool) -> np.ndarray:
    """Weights of images that sum to 1, [N]: the same for each, or the same for each class among them."""
    if not balanced:
        return np.full(len(targets), 1 / len(targets))
    weights = 1 / np.bincount(targets)[targets]
    return weights / weights.sum()


def checked_held_out(logits: npt.ArrayLike, targets: npt.ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Logits of held-out images, [N, K] float64, and the class of each, [N] int64.

    Raises:
        SettingError: Logits that are not finite, lengths that differ, a target that is no class.
    """
    scores = checked_scores(logits).astype(np.float64)
    actual = class_numbers(targets, scores.shape[1], "targets")
    if len(actual) != len(scores):
        raise SettingError(f"{len(scores)} rows of logits but {len(actual)} targets; each image needs one of both")
    return scores, actual

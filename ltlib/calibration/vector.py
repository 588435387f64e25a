"""Vector scaling: after training, each class's logit gets a scale and a bias of its own, fitted on held-out images."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ltlib.calibration.posthoc import checked_held_out, fit_temperature, image_weights
from ltlib.errors import SettingError
from ltlib.metrics import checked_scores


class VectorScaling(NamedTuple):
    """``scale * z + bias``, class by class, of logits z whose rows have mean 0.

    Attributes:
        scale: [K] float64.
        bias: [K] float64.
    """

    scale: np.ndarray
    bias: np.ndarray


def fit_vector_scaling(
    logits: npt.ArrayLike, targets: npt.ArrayLike, balanced: bool = False, ridge: float = 1.0
) -> VectorScaling:
    """Scale a and bias b of each class with the smallest penalised cross-entropy (Guo et al. 2017, section 4.2).

        sum_i w_i * -log softmax(a * z_i + b)_{y_i}  +  ridge / (2 N) * (|T a - 1|^2 + |b|^2)

    with weights w that sum to 1 and T of `posthoc.fit_temperature`. Guo et al. have no penalty. Here some classes have
    one to five held-out images, which a bias can make right at any other class's price, so there would be no minimum.
    The penalty pulls towards one temperature for all classes, with the weight of `ridge` images (a standard normal
    prior of each number at 1), and makes the sum strongly convex: there is one minimum. It fades as N grows; a large
    ridge gives temperature scaling.

    A constant added to a row of logits changes no probability but would change ``a * z``, so rows are centred first.

    Args:
        logits: Of held-out images, [N, K].
        targets: Their classes, [N]; of a class without any the numbers only make room for the others.
        balanced: Whether each class among them has the same weight, instead of each image.
        ridge: Weight of the penalty, in images; above 0.

    Raises:
        SettingError: Logits that are not finite, lengths that differ, a target that is no class, a ridge that is not
            above 0.
    """
    from scipy.optimize import minimize

    if not (math.isfinite(ridge) and ridge > 0):
        raise SettingError(f"the ridge of vector scaling must be above 0, not {ridge}; without it there is no minimum")
    scores, actual = checked_held_out(logits, targets)
    temperature = fit_temperature(scores, actual, balanced)
    z, classes = _centred(scores) / temperature, scores.shape[1]
    rows, weights = np.arange(len(actual)), image_weights(actual, balanced)
    pull = ridge / len(actual)
    neutral = np.repeat([1.0, 0.0], classes)
    unit = np.repeat([1 / max(float(z.std()), 1e-12), 1.0], classes)  # scales and biases that move logits alike

    def cross_entropy(steps: np.ndarray) -> tuple[float, np.ndarray]:
        unknowns = steps * unit
        scaled = unknowns[:classes] * z + unknowns[classes:]
        scaled -= scaled.max(axis=1, keepdims=True)
        powers = np.exp(scaled)
        total = powers.sum(axis=1)
        away = unknowns - neutral
        value = weights @ (np.log(total) - scaled[rows, actual]) + pull / 2 * (away @ away)
        error = powers / total[:, None]  # probability minus one-hot
        error[rows, actual] -= 1
        error *= weights[:, None]
        slope = np.concatenate([np.einsum("ij,ij->j", error, z), error.sum(axis=0)]) + pull * away
        return float(value), slope * unit

    found = minimize(
        cross_entropy,
        neutral / unit,
        jac=True,
        method="L-BFGS-B",
        options={"ftol": 1e-12, "gtol": 1e-7, "maxiter": 2000, "maxcor": 30},
    )
    scale, bias = np.split(found.x * unit, 2)
    return VectorScaling(scale / temperature, bias)


def apply_vector_scaling(logits: npt.ArrayLike, fitted: VectorScaling) -> np.ndarray:
    """``scale * z + bias`` of logits with centred rows, [N, K] float64.

    Raises:
        SettingError: Logits that are not finite, or of another number of classes.
    """
    scores = checked_scores(logits).astype(np.float64)
    if fitted.scale.shape != scores.shape[1:] or fitted.bias.shape != scores.shape[1:]:
        raise SettingError(
            f"a vector scaling of {len(fitted.scale)} classes cannot be applied to logits of {scores.shape[1]}"
        )
    return fitted.scale * _centred(scores) + fitted.bias


def _centred(scores: np.ndarray) -> np.ndarray:
    return scores - scores.mean(axis=1, keepdims=True)

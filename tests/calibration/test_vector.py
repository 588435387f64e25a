"""Vector scaling: the minimum of its formula, planted scales and biases, and what holds it where images are few."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from ltlib.calibration import posthoc, probabilities, vector
from ltlib.errors import SettingError

SCALE, BIAS = np.array([0.5, 0.8, 1.2, 0.9]), np.array([1.0, -0.5, 0.3, -0.8])


def planted(images: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and classes drawn from the softmax of their scaling with SCALE and BIAS."""
    draw = np.random.default_rng(seed)
    logits = 2 * draw.standard_normal((images, 4))
    logits -= logits.mean(axis=1, keepdims=True)
    shares = probabilities(SCALE * logits + BIAS).cumsum(axis=1)
    return logits, (draw.random((images, 1)) > shares).sum(axis=1).clip(max=3)


def slow(logits, targets, weights, ridge, temperature):
    """The penalised cross-entropy as a function of [a, b]."""

    def value(unknowns: np.ndarray) -> float:
        a, b = unknowns[:4], unknowns[4:]
        total = 0.0
        for row, target, weight in zip(logits, targets, weights, strict=True):
            z = a * (row - sum(row) / 4) + b
            total -= weight * np.log(np.exp(z[target]) / np.exp(z).sum())
        away = sum((temperature * x - 1) ** 2 for x in a) + sum(x**2 for x in b)
        return total + ridge / (2 * len(targets)) * away

    return value


@pytest.mark.parametrize(("balanced", "ridge"), [(False, 1.0), (True, 1.0), (True, 20.0)])
def test_it_is_the_minimum_of_the_formula(balanced: bool, ridge: float) -> None:
    logits, targets = planted(60, seed=4)
    logits = logits + np.arange(60)[:, None]  # which no softmax sees
    count = np.bincount(targets, minlength=4)
    weights = [1 / count[t] / (count > 0).sum() if balanced else 1 / 60 for t in targets]
    found = vector.fit_vector_scaling(logits, targets, balanced, ridge)
    value = slow(logits, targets, weights, ridge, posthoc.fit_temperature(logits, targets, balanced))
    other = minimize(value, np.repeat([1.0, 0.0], 4), options={"gtol": 1e-7})
    np.testing.assert_allclose(np.concatenate(found), other.x, atol=2e-4)
    assert value(np.concatenate(found)) <= other.fun + 1e-9


def test_planted_scales_and_biases_are_found() -> None:
    logits, targets = planted(40_000)
    scale, bias = vector.fit_vector_scaling(logits, targets)
    np.testing.assert_allclose(scale, SCALE, atol=0.05)
    np.testing.assert_allclose(bias - bias.mean(), BIAS, atol=0.05)  # BIAS has mean 0; a shift of all is no change


def test_applied_it_is_what_it_says_and_a_shift_of_a_row_changes_nothing() -> None:
    logits, targets = planted(300)
    fitted = vector.fit_vector_scaling(logits, targets)
    expected = [[a * z + b for a, z, b in zip(fitted.scale, row, fitted.bias, strict=True)] for row in logits]
    np.testing.assert_allclose(vector.apply_vector_scaling(logits, fitted), expected, atol=1e-12)
    np.testing.assert_allclose(vector.apply_vector_scaling(logits + 7, fitted), expected, atol=1e-12)


def test_a_class_with_one_image_is_held_by_the_ridge_and_a_large_one_leaves_a_temperature() -> None:
    logits, targets = planted(200, seed=1)
    targets[targets == 3] = 0
    targets[0] = 3
    for ridge in (1.0, 0.01):
        fitted = vector.fit_vector_scaling(logits, targets, balanced=True, ridge=ridge)
        assert np.isfinite(np.concatenate(fitted)).all()
    stiff = vector.fit_vector_scaling(logits, targets, balanced=True, ridge=1e9)
    temperature = posthoc.fit_temperature(logits, targets, balanced=True)
    np.testing.assert_allclose(vector.apply_vector_scaling(logits, stiff), logits / temperature, atol=1e-4)


def test_balanced_weights_are_as_many_images_of_each_class() -> None:
    """Two images of class 0 and one of class 1, balanced, and the one counted twice: the same losses.

    The ridge weighs `ridge` images of N, so it is made to weigh the same in both.
    """
    logits, targets = np.array([[1.0, 0.2], [0.3, 0.5], [0.1, 0.4]]), np.array([0, 0, 1])
    one = vector.fit_vector_scaling(logits, targets, balanced=True, ridge=3.0)
    other = vector.fit_vector_scaling(logits[[0, 1, 2, 2]], targets[[0, 1, 2, 2]], balanced=False, ridge=4.0)
    np.testing.assert_allclose(np.concatenate(one), np.concatenate(other), atol=1e-5)


def test_bad_input_is_refused() -> None:
    logits, targets = planted(20)
    for ridge in (0.0, -1.0, float("nan")):
        with pytest.raises(SettingError, match="ridge of vector scaling must be above 0"):
            vector.fit_vector_scaling(logits, targets, ridge=ridge)
    with pytest.raises(SettingError, match="each image needs one of both"):
        vector.fit_vector_scaling(logits, targets[:5])
    with pytest.raises(SettingError, match="of 4 classes cannot be applied to logits of 3"):
        vector.apply_vector_scaling(logits[:, :3], vector.fit_vector_scaling(logits, targets))

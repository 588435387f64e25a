"""The smallest AWABS loss against scipy, and what is predicted there against arithmetic by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ltlib.losses import awabs_optimum

COUNTS = [500, 120, 30, 5]


def slow_loss(z: np.ndarray, counts: list[int], target: int, epsilon: float) -> float:
    """Eqs. 3.1 to 3.3, term by term."""
    total = sum(n * math.exp(v) for n, v in zip(counts, z, strict=True))
    value = 0.0
    for k, (n, v) in enumerate(zip(counts, z, strict=True)):
        share = 1 - epsilon if k == target else epsilon / (len(counts) - 1)
        value -= share * math.log(n * math.exp(v) / total)
    return value


@pytest.mark.parametrize(("target", "epsilon"), [(0, 0.4), (1, 0.2), (3, 0.05)])
def test_optimum_is_where_scipy_finds_it(target: int, epsilon: float) -> None:
    from scipy.optimize import minimize

    found = minimize(slow_loss, np.zeros(4), args=(COUNTS, target, epsilon), method="BFGS", options={"gtol": 1e-9})
    exact = awabs_optimum.closed_form(COUNTS, target, epsilon)
    np.testing.assert_allclose(found.x - found.x.mean(), exact, atol=1e-5)
    np.testing.assert_allclose(awabs_optimum.descended(COUNTS, target, epsilon), exact, atol=1e-6)
    assert awabs_optimum.loss(exact, COUNTS, target, epsilon) == pytest.approx(
        slow_loss(exact, COUNTS, target, epsilon)
    )


def test_printed_equation_is_no_optimum() -> None:
    for target in range(4):
        exact = awabs_optimum.closed_form(COUNTS, target, 0.3)
        printed = awabs_optimum.as_printed(COUNTS, target, 0.3)
        # z_y - z_k = log(4 * 0.7 / (0.3 n_y)) for each other class
        others = np.delete(printed, target)
        np.testing.assert_allclose(printed[target] - others, math.log(4 * 0.7 / (0.3 * COUNTS[target])))
        assert awabs_optimum.loss(printed, COUNTS, target, 0.3) > awabs_optimum.loss(exact, COUNTS, target, 0.3) + 0.1


@pytest.mark.parametrize(("classes", "factor"), [(10, 100.0), (10, 10.0), (100, 200.0)])
def test_beyond_the_limit_the_optimum_predicts_the_smallest_class(classes: int, factor: float) -> None:
    limit = awabs_optimum.largest_epsilon(classes, factor)
    own = [1000 * factor ** (-c / (classes - 1)) for c in range(classes)]
    for epsilon, expected in ((limit - 1e-6, 0), (limit + 1e-6, classes - 1)):
        scores = awabs_optimum.smoothed(0, epsilon, classes) / np.array(own)
        assert int(scores.argmax()) == expected


def test_probabilities_at_test_time_by_hand() -> None:
    found = awabs_optimum.at_test_time([8, 4, 2], [0.2, 0.1, 0.0])
    weights = [0.8 / 8, 0.1 / 4, 0.1 / 2]
    assert found["own class, training"] == pytest.approx([0.8, 0.9, 1.0])
    assert found["own class, test"][0] == pytest.approx(weights[0] / sum(weights))
    assert found["smallest class, test"][0] == pytest.approx(weights[2] / sum(weights))
    assert math.isnan(found["smallest class, test"][-1])

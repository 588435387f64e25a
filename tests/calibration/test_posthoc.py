"""Post-hoc methods: recovery of what was planted, and agreement with the losses they mirror."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ltlib import losses
from ltlib.calibration import expected_calibration_error, posthoc, probabilities
from ltlib.errors import SettingError


def planted(seed, images=20_000, classes=5, spread=2.0):
    """Logits, and classes drawn from exactly their softmax: calibrated by construction."""
    generator = np.random.default_rng(seed)
    logits = spread * generator.standard_normal((images, classes))
    shares = probabilities(logits).cumsum(axis=1)
    return logits, (generator.random((images, 1)) > shares).sum(axis=1).clip(max=classes - 1)


def cross_entropy(logits, targets):
    return float(-np.log(probabilities(logits)[np.arange(len(targets)), targets]).mean())


@settings(max_examples=30, deadline=None)
@given(
    images=st.integers(1, 8),
    classes=st.integers(1, 6),
    tau=st.sampled_from([-1.0, 0.0, 1.0, 2.5]),
    seed=st.integers(0, 999),
)
def test_logit_adjustment_equals_the_formula(images, classes, tau, seed):
    generator = np.random.default_rng(seed)
    logits, counts = generator.standard_normal((images, classes)), generator.integers(1, 10**6, classes)
    adjusted = posthoc.logit_adjustment(logits, counts.tolist(), tau)
    for i in range(images):
        for c in range(classes):
            assert adjusted[i, c] == pytest.approx(logits[i, c] - tau * np.log(counts[c] / counts.sum()), rel=1e-12)


def test_logit_adjustment_undoes_the_losss_shift():
    counts, logits = [500, 50, 5], np.random.default_rng(0).standard_normal((6, 3))
    trained = logits + losses.create("logit_adjustment[tau=0.7]", counts)._exact["shift"].numpy()
    np.testing.assert_allclose(posthoc.logit_adjustment(trained, counts, 0.7), logits, rtol=1e-12)


def test_logit_adjustment_recovers_the_balanced_classifier():
    """Bayes: with the training prior in the posterior, adjusting by it gives the posterior of a balanced set."""
    likelihood = np.array([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8]])
    prior = np.array([0.9, 0.09, 0.01])
    adjusted = posthoc.logit_adjustment(np.log(likelihood * prior), [900, 90, 10])
    np.testing.assert_allclose(probabilities(adjusted), likelihood, rtol=1e-12)


@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.5])
def test_planted_temperature_is_found(temperature):
    logits, targets = planted(0)
    found = posthoc.fit_temperature(logits * temperature, targets)
    assert found == pytest.approx(temperature, rel=0.03)
    scaled = posthoc.apply_temperature(logits * temperature, found)
    assert (scaled.argmax(1) == logits.argmax(1)).all()
    assert expected_calibration_error(probabilities(scaled), targets) < 0.015
    for other in (0.97 * found, 1.03 * found):
        worse = cross_entropy(posthoc.apply_temperature(logits * temperature, other), targets)
        assert cross_entropy(scaled, targets) < worse


def test_temperature_at_the_ends_of_the_range():
    right = np.array([[3.0, 0.0], [0.0, 2.0]])
    assert posthoc.fit_temperature(right, [0, 1]) == pytest.approx(np.exp(-7), rel=1e-6)
    assert posthoc.fit_temperature(right, [1, 0]) == pytest.approx(np.exp(7), rel=1e-6)
    huge = posthoc.fit_temperature(np.array([[1e4, -1e4], [1e4, -1e4], [1e4, -1e4]]), [0, 0, 1])
    assert np.isfinite(huge)


def long_tailed(seed, images, classes=6, factor=50.0, scale=1.0):
    """Logits ``scale * log p(class | image)`` of a long-tailed set drawn from known densities, classes, counts."""
    generator = np.random.default_rng(seed)
    share = factor ** (-np.arange(classes) / (classes - 1))
    counts = np.maximum(1, images * share / share.sum()).astype(int)
    centres = np.random.default_rng(99).standard_normal((classes, 4))
    targets = np.repeat(np.arange(classes), counts)
    points = centres[targets] + generator.standard_normal((len(targets), 4))
    density = -0.5 * ((points[:, None] - centres) ** 2).sum(2)
    return scale * (density + np.log(counts / counts.sum())), targets, counts.tolist()


def balanced_cross_entropy(logits, targets):
    return np.mean([cross_entropy(logits[targets == c], targets[targets == c]) for c in np.unique(targets)])


def test_balanced_temperature_is_that_of_a_set_with_as_many_of_each_class():
    """Weights do what repeating the images of the smaller classes does."""
    logits, targets, _ = long_tailed(0, 400)
    size = np.bincount(targets)
    times = np.lcm.reduce(size) // size
    repeated = np.concatenate([np.tile(np.flatnonzero(targets == c), min(times[c], 10**4)) for c in range(2)])
    few = np.isin(targets, (0, 1))
    expected = posthoc.fit_temperature(logits[repeated], targets[repeated])
    assert posthoc.fit_temperature(logits[few], targets[few], balanced=True) == pytest.approx(expected, rel=1e-5)
    found = posthoc.fit_temperature(logits, targets, balanced=True)
    for other in (0.99 * found, 1.01 * found):
        assert balanced_cross_entropy(logits / found, targets) < balanced_cross_entropy(logits / other, targets)
    assert posthoc.fit_temperature(logits, targets) == pytest.approx(1.0, rel=0.1)
    assert found > 1.2, "confident of the head because there is more of it: too confident where there is not"


@pytest.mark.parametrize("scale", [0.5, 1.0, 3.0])
def test_planted_adjustment_is_found(scale):
    """Logits s times too large need tau = s and T = s: (z - s log pi) / s is the balanced posterior."""
    logits, targets, counts = long_tailed(1, 30_000, scale=scale)
    found = posthoc.fit_adjustment(logits, targets, counts)
    assert found.tau == pytest.approx(scale, rel=0.1)
    assert found.temperature == pytest.approx(scale, rel=0.1)


def test_adjustment_is_the_smallest_balanced_cross_entropy():
    logits, targets, counts = long_tailed(2, 600, scale=2.0)
    tau, temperature = posthoc.fit_adjustment(logits, targets, counts)

    def value(tau, temperature):
        return balanced_cross_entropy(posthoc.logit_adjustment(logits, counts, tau) / temperature, targets)

    best = value(tau, temperature)
    for other in (
        (tau + 0.02, temperature),
        (tau - 0.02, temperature),
        (tau, 0.98 * temperature),
        (tau, 1.02 * temperature),
    ):
        assert best < value(*other)
    grid = [value(a, b) for a in np.linspace(0, 4, 21) for b in np.linspace(0.5, 5, 21)]
    assert best <= min(grid)


def test_adjustment_where_there_is_nothing_to_adjust():
    logits, targets, counts = long_tailed(3, 20_000)
    balanced = posthoc.logit_adjustment(logits, counts)
    assert posthoc.fit_adjustment(balanced, targets, counts).tau == pytest.approx(0, abs=0.08)
    even = posthoc.fit_adjustment(logits, targets, [10] * 6)
    assert even.tau == pytest.approx(1), "equal counts: tau has no effect"
    assert even.temperature == pytest.approx(posthoc.fit_temperature(logits, targets, balanced=True), rel=1e-3)
    sure = posthoc.fit_adjustment(
        np.array([[3.0, 0.0], [0.0, 2.0]]), [0, 1], [5, 1]
    )  # all right: any sharpness will do
    assert np.isfinite(sure).all()
    constant = posthoc.fit_adjustment(np.zeros((4, 2)), [0, 0, 0, 1], [3, 1])
    assert np.isfinite(constant).all()


@pytest.mark.parametrize("seed", range(3))
def test_isotonic_regression_equals_scikit_learn_class_by_class(seed):
    from sklearn.isotonic import isotonic_regression

    logits, targets = planted(seed, images=300, classes=4)
    rows = probabilities(logits)
    fitted = np.empty_like(rows)
    for c in range(4):  # on the held-out images themselves: the fitted steps at the sorted probabilities
        order = np.argsort(rows[:, c])
        fitted[order, c] = isotonic_regression((targets == c)[order].astype(float), y_min=0, y_max=1)
    total = fitted.sum(1, keepdims=True)
    expected = np.where(total > 0, fitted / np.where(total > 0, total, 1), rows)
    np.testing.assert_allclose(posthoc.isotonic_probabilities(logits, logits, targets), expected, atol=1e-12)


def test_isotonic_regression_calibrates_what_no_temperature_can():
    logits, targets = planted(1, classes=2)
    bent = logits + np.array([1.5, 0.0])  # a class favoured throughout, as a long tail does
    held, test = slice(0, 10_000), slice(10_000, None)
    calibrated = posthoc.isotonic_probabilities(bent[test], bent[held], targets[held])
    np.testing.assert_allclose(calibrated.sum(1), 1)
    temperature = posthoc.fit_temperature(bent[held], targets[held])
    scaled = probabilities(posthoc.apply_temperature(bent[test], temperature))
    errors = [expected_calibration_error(p, targets[test]) for p in (probabilities(bent[test]), scaled, calibrated)]
    assert errors[2] < 0.02
    assert errors[2] < errors[1] < errors[0]


def test_isotonic_regression_of_one_class_by_hand():
    """Pool adjacent violators on 0.2, 0.4, 0.6, 0.8 with right, wrong, right, right: 1/2, 1/2, 1, 1."""
    held = np.log([[0.2, 0.8], [0.4, 0.6], [0.6, 0.4], [0.8, 0.2]])
    calibrated = posthoc.isotonic_probabilities(np.log([[0.3, 0.7], [0.9, 0.1]]), held, [0, 1, 0, 0])
    np.testing.assert_allclose(calibrated, [[0.5, 0.5], [1.0, 0.0]], atol=1e-9)


def test_isotonic_regression_keeps_classes_nobody_held_out_and_rows_of_zeros():
    logits = np.log([[0.2, 0.3, 0.5]])
    calibrated = posthoc.isotonic_probabilities(logits, np.log([[0.5, 0.4, 0.1], [0.6, 0.3, 0.1]]), [0, 0])
    np.testing.assert_allclose(calibrated, [[1 / 1.8, 0.3 / 1.8, 0.5 / 1.8]])
    held = np.log([[0.1, 0.9], [0.9, 0.1]])  # always wrong: either class falls back to its average, never to 0 / 0
    assert np.isfinite(posthoc.isotonic_probabilities(np.log([[0.5, 0.5]]), held, [0, 1])).all()


def test_tau_normalisation_of_arrays_and_tensors():
    weight = np.random.default_rng(0).standard_normal((4, 6))
    weight[3] = 0
    for tau in (0.0, 0.5, 1.0, 2.0):
        expected = [[x / np.sqrt(sum(y * y for y in row)) ** tau if any(row) else 0.0 for x in row] for row in weight]
        np.testing.assert_allclose(posthoc.tau_normalise(weight, tau), expected, rtol=1e-12)
        tensor = posthoc.tau_normalise(torch.from_numpy(weight), tau)
        assert isinstance(tensor, torch.Tensor)
        np.testing.assert_allclose(tensor.numpy(), expected, rtol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(posthoc.tau_normalise(weight, 1.0)[:3], axis=1), 1)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: posthoc.logit_adjustment([[1.0, 2.0]], [3, 0]), "class_counts"),
        (lambda: posthoc.logit_adjustment([[1.0, 2.0]], [3]), "class_counts"),
        (lambda: posthoc.logit_adjustment([[1.0, 2.0]], [3, 1], np.nan), "tau"),
        (lambda: posthoc.logit_adjustment([[1.0, np.nan]], [3, 1]), "not finite"),
        (lambda: posthoc.fit_temperature([[1.0, 2.0]], [0, 1]), "targets"),
        (lambda: posthoc.fit_temperature([[1.0, 2.0]], [2]), "class 2"),
        (lambda: posthoc.apply_temperature([[1.0, 2.0]], 0.0), "temperature"),
        (lambda: posthoc.fit_adjustment([[1.0, 2.0]], [0], [3, 0]), "class_counts"),
        (lambda: posthoc.fit_adjustment([[1.0, 2.0]], [2], [3, 1]), "class 2"),
        (lambda: posthoc.isotonic_probabilities([[1.0]], [[1.0, 2.0]], [0]), "classes"),
        (lambda: posthoc.tau_normalise(np.ones(3), 1.0), "matrix"),
        (lambda: posthoc.tau_normalise(np.ones((3, 2)), np.inf), "tau"),
    ],
)
def test_wrong_input_is_refused(call, sentence):
    with pytest.raises(SettingError, match=sentence):
        call()

"""Calibration errors against a slow loop, torchmetrics where it is right, and hand-made edge cases where it is not."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchmetrics.functional.classification import multiclass_calibration_error

from ltlib import calibration, statistics
from ltlib.errors import SettingError


def slow_errors(confidence, correct, bins):
    """Guo et al.'s own loop: images with lower < confidence <= upper, the first bin closed below."""
    expected, largest = 0.0, 0.0
    for i in range(bins):
        lower, upper = i / bins, (i + 1) / bins
        inside = [k for k, c in enumerate(confidence) if (lower < c <= upper) or (i == 0 and c == 0)]
        if inside:
            gap = abs(np.mean([correct[k] for k in inside]) - np.mean([confidence[k] for k in inside]))
            expected += len(inside) / len(confidence) * gap
            largest = max(largest, gap)
    return expected, largest


def random_case(seed, images=400, classes=10):
    generator = np.random.default_rng(seed)
    logits = generator.normal(0, generator.uniform(0.5, 6), (images, classes))
    return logits, generator.integers(0, classes, images)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("bins", [1, 10, 15])
def test_equals_the_slow_loop(seed, bins):
    logits, targets = random_case(seed)
    rows = calibration.probabilities(logits)
    expected, largest = slow_errors(rows.max(1), rows.argmax(1) == targets, bins)
    assert calibration.expected_calibration_error(rows, targets, bins) == pytest.approx(expected, abs=1e-12)
    assert calibration.maximum_calibration_error(rows, targets, bins) == pytest.approx(largest, abs=1e-12)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 60), st.booleans()), min_size=1, max_size=40), st.sampled_from([4, 10, 15]))
def test_equals_the_slow_loop_on_edges(pairs, bins):
    """Sixtieths hit the edges of 4, 10 and 15 bins exactly."""
    confidence = np.array([numerator / 60 for numerator, _ in pairs])
    correct = np.array([right for _, right in pairs])
    expected, largest = slow_errors(confidence, correct, bins)
    assert calibration.from_confidence(confidence, correct, bins) == pytest.approx(expected, abs=1e-12)
    assert calibration.maximum_from_confidence(confidence, correct, bins) == pytest.approx(largest, abs=1e-12)


@pytest.mark.parametrize("seed", range(6))
def test_equals_torchmetrics_off_ties(seed):
    logits, targets = random_case(seed)
    rows = calibration.probabilities(logits)
    for norm, ours in (
        ("l1", calibration.expected_calibration_error(rows, targets)),
        ("max", calibration.maximum_calibration_error(rows, targets)),
    ):
        theirs = multiclass_calibration_error(torch.tensor(rows), torch.tensor(targets), 10, n_bins=15, norm=norm)
        assert ours == pytest.approx(float(theirs), abs=1e-6)


def test_confidence_of_exactly_one_shares_the_last_bin():
    """Half the confidences are 1.0: torchmetrics opens a hidden bin for them and triples the error."""
    confidence, correct = np.array([1.0, 1.0, 0.95, 0.95]), np.array([True, True, True, False])
    # One bin: mean confidence 0.975, accuracy 0.75.
    assert calibration.from_confidence(confidence, correct) == pytest.approx(0.225)
    assert calibration.from_confidence(np.ones(8), np.ones(8, bool)) == 0.0
    assert calibration.from_confidence(np.ones(8), np.zeros(8, bool)) == 1.0


def test_an_edge_belongs_to_the_bin_below():
    """Four bins, (a, b]: 0.25 and 0.5 count below their edge; left-closed bins would give 0.2875."""
    confidence, correct = np.array([0.25, 0.5, 0.5, 0.6]), np.array([True, True, True, False])
    table = calibration.reliability(confidence, correct, 4)
    assert table["count"].tolist() == [1, 2, 1, 0]
    assert calibration.from_confidence(confidence, correct, 4) == pytest.approx((0.75 + 1.0 + 0.6) / 4)
    assert calibration.reliability(np.array([0.0]), np.array([False]), 4)["count"].tolist() == [1, 0, 0, 0]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_edges_hold_in_the_precision_of_the_confidences(dtype):
    edges = (np.arange(1, 16) / 15).astype(dtype)
    assert calibration.reliability(edges, np.ones(15, bool))["count"].tolist() == [1] * 15


def test_reliability_keeps_empty_bins_and_adds_up():
    logits, targets = random_case(5)
    rows = calibration.probabilities(logits) * 0 + np.eye(10)[targets]
    rows[:3] = 0.1
    table = calibration.reliability(*calibration.confidence_and_correct(rows, targets))
    assert table.columns.tolist() == ["lower", "upper", "count", "confidence", "accuracy"]
    assert table["count"].sum() == 400
    empty = table[table["count"] == 0]
    assert len(empty) == 13
    assert empty[["confidence", "accuracy"]].isna().all().all()
    assert table["upper"].iloc[-1] == 1.0


def test_under_and_over_confidence_do_not_cancel():
    """Two bins that err in opposite directions: no bins would show 0, bins show 0.2."""
    confidence = np.array([0.7] * 10 + [0.9] * 10)
    correct = np.array([True] * 9 + [False] + [True] * 7 + [False] * 3)
    assert calibration.from_confidence(confidence, correct) == pytest.approx(0.2)
    assert calibration.from_confidence(confidence, correct, 1) == pytest.approx(0.0, abs=1e-12)


def test_one_image():
    assert calibration.expected_calibration_error([[0.3, 0.7]], [0]) == pytest.approx(0.7)
    assert calibration.expected_calibration_error([[0.3, 0.7]], [1]) == pytest.approx(0.3)


def test_scores_of_probabilities():
    rows, targets = np.array([[0.8, 0.2], [0.4, 0.6]]), [0, 0]
    assert calibration.brier(rows, targets) == pytest.approx(((0.2**2 + 0.2**2) + (0.6**2 + 0.6**2)) / 2)
    assert calibration.negative_log_likelihood(rows, targets) == pytest.approx(-(np.log(0.8) + np.log(0.4)) / 2)
    assert np.isfinite(calibration.negative_log_likelihood([[1.0, 0.0]], [1]))
    logits, truth = random_case(1)
    theirs = torch.nn.functional.cross_entropy(torch.tensor(logits), torch.tensor(truth))
    ours = calibration.negative_log_likelihood(calibration.probabilities(logits), truth)
    assert ours == pytest.approx(float(theirs), abs=1e-12)


def test_softmax_of_huge_logits():
    assert calibration.probabilities([[1000.0, 0.0], [-1000.0, -1000.0]]).tolist() == [[1.0, 0.0], [0.5, 0.5]]


def test_float32_softmax_above_one_is_taken():
    rows = np.array([[1.0000001, 0.0], [0.4, 0.6]], dtype=np.float32)
    assert calibration.expected_calibration_error(rows, [0, 1]) == pytest.approx(0.2, abs=1e-6)


def test_groups_are_scored_apart():
    logits, targets = random_case(2)
    confidence, correct = calibration.confidence_and_correct(calibration.probabilities(logits), targets)
    groups = {"head": (0, 1, 2), "tail": (8, 9), "none": ()}
    found = calibration.group_errors(confidence, correct, targets, groups)
    tail = np.isin(targets, (8, 9))
    assert found["tail"] == pytest.approx(slow_errors(confidence[tail], correct[tail], 15)[0], abs=1e-12)
    assert found["none"] is None
    assert found["head"] != found["tail"]


@pytest.mark.parametrize(
    ("rows", "targets", "said"),
    [
        ([[0.2, 0.3]], [0], "sums to 0.5"),  # logits that happen to lie in [0, 1]
        ([[1.5, -0.5]], [0], "smallest value -0.5"),
        ([[float("nan"), 1.0]], [0], "not finite"),
        ([[0.5, 0.5]], [0, 1], "1 rows of probabilities but 2 targets"),
        ([[0.5, 0.5]], [2], "class 2"),
        ([[0.5, 0.5]], [-1], "class -1"),
        ([0.5, 0.5], [0], "one row per image"),
    ],
)
def test_what_is_no_probability_is_refused(rows, targets, said):
    for measure in (calibration.expected_calibration_error, calibration.brier, calibration.negative_log_likelihood):
        with pytest.raises(SettingError, match=said):
            measure(rows, targets)


def test_bad_confidences_are_refused():
    with pytest.raises(SettingError, match="between 0 and 1"):
        calibration.from_confidence([0.5, float("nan")], [True, False])
    with pytest.raises(SettingError, match="between 0 and 1"):
        calibration.from_confidence([0.5, 3.0], [True, False])
    with pytest.raises(SettingError, match="right"):
        calibration.from_confidence([0.5], [2])
    with pytest.raises(SettingError, match="bins"):
        calibration.from_confidence([0.5], [True], 0)
    with pytest.raises(SettingError, match="one confidence"):
        calibration.from_confidence([], [])
    with pytest.raises(SettingError, match="not finite"):
        calibration.probabilities([[float("inf"), 0.0]])


# equal-mass bins


def slow_equal_mass(confidence, correct, bins):
    """Sort, cut into equally many, and let equal confidences that a cut parts fall into the lower part."""
    order = sorted(range(len(confidence)), key=lambda k: float(confidence[k]))
    parts, start = [], 0
    for b in range(bins):
        size = len(order) // bins + (1 if b < len(order) % bins else 0)
        parts.append(order[start : start + size])
        start += size
    parts = [part for part in parts if part]
    for low, part in enumerate(parts):
        for high in range(low + 1, len(parts)):
            same = [k for k in parts[high] if part and confidence[k] == confidence[part[-1]]]
            part += same
            parts[high] = [k for k in parts[high] if k not in same]
    gaps = [sum(float(correct[k]) - float(confidence[k]) for k in part) for part in parts]
    return sum(abs(gap) for gap in gaps) / len(confidence)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("bins", [1, 7, 15])
def test_equal_mass_equals_the_slow_loop(seed, bins):
    logits, targets = random_case(seed, images=213)
    rows = calibration.probabilities(logits)
    expected = slow_equal_mass(rows.max(1), rows.argmax(1) == targets, bins)
    assert calibration.adaptive_calibration_error(rows, targets, bins) == pytest.approx(expected, abs=1e-12)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=1, max_size=40),
    st.sampled_from([1, 4, 15]),
    st.randoms(),
)
def test_equal_mass_with_ties_does_not_depend_on_the_order(pairs, bins, random):
    confidence, correct = np.array([c / 6 for c, _ in pairs]), np.array([right for _, right in pairs])
    expected = slow_equal_mass(confidence, correct, bins)
    assert calibration.adaptive_from_confidence(confidence, correct, bins) == pytest.approx(expected, abs=1e-12)
    order = list(range(len(pairs)))
    random.shuffle(order)
    again = calibration.adaptive_from_confidence(confidence[order], correct[order], bins)
    assert again == pytest.approx(expected, abs=1e-12)


def test_equal_mass_by_hand():
    """Six images, three bins of two: gaps 0.5 - 0.15, 0.5 - 0.35 and 1 - 0.95. Equal width sees two bins instead."""
    confidence = np.array([0.1, 0.2, 0.3, 0.4, 0.9, 1.0])
    correct = np.array([True, False, False, True, True, True])
    assert calibration.adaptive_from_confidence(confidence, correct, 3) == pytest.approx((0.35 + 0.15 + 0.05) / 3)
    assert calibration.adaptive_from_confidence([1.0] * 9, [True] * 6 + [False] * 3, 15) == pytest.approx(1 / 3)
    assert calibration.adaptive_from_confidence([0.7], [True]) == pytest.approx(0.3)


def test_equal_mass_of_a_record_is_near_that_of_the_logits():
    logits, targets = random_case(3, images=4000)
    rows = calibration.probabilities(logits)
    confidence, correct = calibration.confidence_and_correct(rows, targets)
    recorded = calibration.adaptive_from_confidence(confidence.astype(np.float16), correct)
    assert recorded == pytest.approx(calibration.adaptive_calibration_error(rows, targets), abs=2e-3)


def test_groups_by_another_error():
    logits, targets = random_case(2)
    confidence, correct = calibration.confidence_and_correct(calibration.probabilities(logits), targets)
    found = calibration.group_errors(
        confidence, correct, targets, {"tail": (8, 9)}, error=calibration.adaptive_from_confidence
    )
    tail = np.isin(targets, (8, 9))
    assert found["tail"] == pytest.approx(slow_equal_mass(confidence[tail], correct[tail], 15), abs=1e-12)


# classwise


@pytest.mark.parametrize("seed", range(4))
def test_classwise_equals_the_slow_loop(seed):
    """Per class the binary error of "is it class c?", over all images; then the mean over the classes."""
    logits, targets = random_case(seed, images=150, classes=6)
    targets[targets == 5] = 0  # no image of the last class
    rows = calibration.probabilities(logits)
    for equal_mass, slow in ((False, lambda p, y, b: slow_errors(p, y, b)[0]), (True, slow_equal_mass)):
        expected = [slow(rows[:, c], targets == c, 15) for c in range(6)]
        found = calibration.classwise_errors(rows, targets, equal_mass=equal_mass)
        np.testing.assert_allclose(found, expected, atol=1e-12)
        mean = calibration.classwise_calibration_error(rows, targets, equal_mass=equal_mass)
        assert mean == pytest.approx(np.mean(expected), abs=1e-12)


def test_classwise_equals_torchmetrics_of_each_class():
    from torchmetrics.functional.classification import binary_calibration_error

    logits, targets = random_case(4)
    rows = calibration.probabilities(logits)
    found = calibration.classwise_errors(rows, targets)
    for c in range(10):
        theirs = binary_calibration_error(torch.tensor(rows[:, c]), torch.tensor(targets == c).long(), n_bins=15)
        assert found[c] == pytest.approx(float(theirs), abs=1e-6)


def test_classwise_sees_what_the_predicted_class_hides():
    """Always 60% and right in 60%: perfect by ECE; but of the other classes only the last ever occurs, not as said."""
    rows = np.tile([0.6, 0.3, 0.1], (10, 1))
    targets = [0] * 6 + [2] * 4
    assert calibration.expected_calibration_error(rows, targets) == pytest.approx(0, abs=1e-12)
    np.testing.assert_allclose(calibration.classwise_errors(rows, targets), [0, 0.3, 0.3], atol=1e-12)
    assert calibration.classwise_calibration_error(rows, targets) == pytest.approx(0.2)


# intervals


def drawn(seed, images, shift):
    """Confidences, mostly high, and answers that are right that often minus a share."""
    generator = np.random.default_rng(seed)
    confidence = 0.1 + 0.9 * generator.beta(4, 1.2, images)
    return confidence, generator.random(images) < confidence * (1 - shift)


def test_interval_equals_the_resampled_metric_and_its_reflection():
    confidence, correct = drawn(0, 500, 0.1)
    slow = statistics.bootstrap_interval(calibration.from_confidence, confidence, correct, resamples=200, seed=3)
    fast = calibration.ece_interval(confidence, correct, kind="percentile", resamples=200, seed=3)
    np.testing.assert_allclose(fast, slow, atol=1e-12)
    basic = calibration.ece_interval(confidence, correct, resamples=200, seed=3)
    assert (basic.low, basic.high) == pytest.approx((2 * slow.mean - slow.high, 2 * slow.mean - slow.low))
    assert basic == calibration.ece_interval(confidence, correct, resamples=200, seed=3)
    assert basic != calibration.ece_interval(confidence, correct, resamples=200, seed=4)


def test_interval_of_a_calibrated_classifier():
    """True error 0: the percentile interval lies above it and above the estimate's middle, the basic one reaches 0."""
    confidence, correct = drawn(1, 3000, 0.0)
    percentile = calibration.ece_interval(confidence, correct, kind="percentile", resamples=300)
    assert percentile.low > 0
    assert percentile.high - percentile.mean > percentile.mean - percentile.low
    basic = calibration.ece_interval(confidence, correct, resamples=300)
    assert 0 <= basic.low < basic.high < 0.03
    assert calibration.ece_interval([1.0] * 50, [True] * 50)[:3] == (0, 0, 0)


def test_intervals_hold_the_true_error_about_as_often_as_they_say():
    """A true ECE of 0.12 and 60 test sets: 95% intervals miss it in 0 to 9 of them with probability 0.999."""
    wide = drawn(2, 2_000_000, 0.15)
    true = calibration.from_confidence(*wide)
    held = 0
    for seed in range(60):
        found = calibration.ece_interval(*drawn(100 + seed, 1500, 0.15), resamples=200, seed=seed)
        held += found.low <= true <= found.high
    assert held >= 51


def test_intervals_in_strata_and_of_other_metrics():
    logits, targets = random_case(5)
    rows = calibration.probabilities(logits)
    confidence, correct = calibration.confidence_and_correct(rows, targets)
    found = calibration.ece_interval(confidence.astype(np.float16), correct, strata=targets, resamples=100)
    assert found.low < found.mean < found.high
    assert found.n == 400
    other = statistics.bootstrap_interval(calibration.brier, rows, targets, resamples=100)
    assert other.low < calibration.brier(rows, targets) < other.high
    with pytest.raises(SettingError, match="basic or percentile"):
        calibration.ece_interval(confidence, correct, kind="normal")

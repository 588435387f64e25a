"""Intervals and paired tests against scipy, and against what the definitions say of tiny samples."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from ltlib import statistics
from ltlib.errors import SettingError


@pytest.mark.parametrize("n", [2, 3, 5, 30])
@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_t_interval_is_scipys(n, confidence):
    values = np.random.default_rng(n).normal(0.7, 0.02, n)
    ours = statistics.t_interval(values, confidence)
    low, high = stats.t.interval(confidence, n - 1, values.mean(), stats.sem(values))
    assert (ours.low, ours.high) == pytest.approx((low, high), abs=1e-12)
    assert ours.std == pytest.approx(values.std(ddof=1))
    assert ours.half_width == pytest.approx((high - low) / 2)
    assert (ours.n, ours.mean) == (n, pytest.approx(values.mean()))


def test_one_value_has_no_interval():
    ours = statistics.t_interval([0.5])
    assert (ours.mean, ours.n) == (0.5, 1)
    assert all(math.isnan(x) for x in (ours.low, ours.high, ours.std, ours.half_width))


@pytest.mark.parametrize(("correct", "total"), [(0, 20), (20, 20), (7, 20), (7312, 10000)])
def test_wilson_is_scipys(correct, total):
    ours = statistics.wilson_interval(correct, total)
    theirs = stats.binomtest(correct, total).proportion_ci(0.95, "wilson")
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-12)
    assert ours.low <= ours.mean <= ours.high


def test_bootstrap_of_an_accuracy_agrees_with_theory_and_repeats():
    correct = np.arange(2000) % 10 < 7
    ours = statistics.bootstrap_interval(np.mean, correct, resamples=2000, seed=1)
    assert ours.mean == 0.7
    assert ours.std == pytest.approx(math.sqrt(0.7 * 0.3 / 2000), rel=0.1)
    theory = statistics.wilson_interval(1400, 2000)
    assert (ours.low, ours.high) == pytest.approx((theory.low, theory.high), abs=0.003)
    assert ours == statistics.bootstrap_interval(np.mean, correct, resamples=2000, seed=1)
    assert ours != statistics.bootstrap_interval(np.mean, correct, resamples=2000, seed=2)


def test_bootstrap_strata_keep_the_class_sizes_and_arrays_stay_together():
    targets = np.repeat([0, 1], [30, 70])
    sizes = set()

    def watch(labels, copies):
        assert (labels == copies).all()
        sizes.add(int((labels == 0).sum()))
        return 0.0

    statistics.bootstrap_interval(watch, targets, targets, strata=targets, resamples=20)
    assert sizes == {30}
    sizes.clear()
    statistics.bootstrap_interval(watch, targets, targets, resamples=20)
    assert len(sizes) > 1


def test_paired_makes_no_test_with_fewer_than_three_pairs():
    ours = statistics.paired([0.8, 0.9], [0.1, 0.2])
    assert math.isnan(ours.p)
    assert "too few for a test" in ours.text
    assert ours.difference.mean == pytest.approx(0.7)
    assert "1 pair:" in statistics.paired([0.8], [0.1]).text


@pytest.mark.parametrize(("n", "smallest"), [(3, 0.25), (5, 0.0625), (6, 0.03125)])
def test_paired_says_the_smallest_p_that_so_few_pairs_can_give(n, smallest):
    ours = statistics.paired(np.arange(n) + 1.0, np.zeros(n))
    assert ours.p == pytest.approx(smallest)
    assert ours.smallest_p == pytest.approx(smallest)
    assert ("cannot give less" in ours.text) == (smallest > 0.05)
    assert ours.wins == n


@pytest.mark.parametrize("n", [4, 7, 10])
def test_sign_flip_is_scipys_exact_permutation_test(n):
    generator = np.random.default_rng(n)
    one, two = generator.normal(0.3, 1, n), generator.normal(0, 1, n)
    theirs = stats.permutation_test((one - two,), np.mean, permutation_type="samples", n_resamples=np.inf)
    assert statistics.paired(one, two).p == pytest.approx(theirs.pvalue)


def test_sign_flip_with_many_pairs_is_close_to_the_t_test():
    generator = np.random.default_rng(0)
    one, two = generator.normal(0.35, 1, 40), generator.normal(0, 1, 40)
    ours = statistics.paired(one, two)
    assert ours.p == pytest.approx(stats.ttest_rel(one, two).pvalue, abs=0.02)
    assert ours == statistics.paired(one, two)


def test_equal_results_are_no_difference():
    assert statistics.paired([0.1, 0.2, 0.3], [0.1, 0.2, 0.3]).p == 1.0


def test_mcnemar_is_the_exact_binomial_test():
    one = np.array([True] * 30 + [False] * 10 + [True] * 60)
    two = np.array([False] * 30 + [True] * 10 + [True] * 60)
    assert statistics.mcnemar(one, two) == pytest.approx(stats.binomtest(10, 40).pvalue)
    assert statistics.mcnemar(one, one) == 1.0
    assert statistics.mcnemar([True, False], [False, True]) == 1.0


def test_holm_by_hand():
    assert statistics.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert statistics.holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])
    assert statistics.holm([]) == []


def test_summary_gives_mean_deviation_and_number_together():
    assert statistics.summary([0.72, 0.73, 0.74], scale=100) == "73.0 ± 1.0 (3)"
    assert statistics.summary([0.72], digits=2) == "0.72 (1)"


@pytest.mark.parametrize("values", [[], [float("nan")], [[1.0]], [1.0, float("inf")]])
def test_what_is_no_sample_is_refused(values):
    with pytest.raises(SettingError, match="values"):
        statistics.t_interval(values)


def test_bad_settings_are_refused():
    with pytest.raises(SettingError, match="confidence"):
        statistics.t_interval([1.0, 2.0], 1.0)
    with pytest.raises(SettingError, match="correct <= total"):
        statistics.wilson_interval(3, 2)
    with pytest.raises(SettingError, match="equal numbers"):
        statistics.paired([1.0], [1.0, 2.0])
    with pytest.raises(SettingError, match="common length"):
        statistics.bootstrap_interval(np.mean, [1.0], [1.0, 2.0])
    with pytest.raises(SettingError, match="same images"):
        statistics.mcnemar([True], [True, False])

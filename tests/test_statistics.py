"""Intervals against scipy, and against what the definitions say of tiny samples."""

from __future__ import annotations

import itertools
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


@pytest.mark.parametrize(("right", "n"), [(0, 5), (5, 5), (1, 3), (900, 1000)])
@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_the_interval_of_a_share_is_scipys(right, n, confidence):
    ours = statistics.share_interval(right / n, n, confidence)
    theory = stats.binomtest(right, n).proportion_ci(confidence, "wilson")
    assert (ours.low, ours.high) == pytest.approx((theory.low, theory.high), abs=1e-12)
    assert (ours.mean, ours.n) == (right / n, n)


@pytest.mark.parametrize(("share", "n"), [(1.2, 10), (-0.1, 10), (0.5, 0), (math.nan, 10)])
def test_a_share_that_is_none_is_refused(share, n):
    with pytest.raises(SettingError, match="a share lies between 0 and 1"):
        statistics.share_interval(share, n)


def test_bootstrap_of_an_accuracy_agrees_with_theory_and_repeats():
    correct = np.arange(2000) % 10 < 7
    ours = statistics.bootstrap_interval(np.mean, correct, resamples=2000, seed=1)
    assert ours.mean == 0.7
    assert ours.std == pytest.approx(math.sqrt(0.7 * 0.3 / 2000), rel=0.1)
    theory = stats.binomtest(1400, 2000).proportion_ci(0.95, "wilson")
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


@pytest.mark.parametrize("values", [[], [float("nan")], [[1.0]], [1.0, float("inf")]])
def test_what_is_no_sample_is_refused(values):
    with pytest.raises(SettingError, match="values"):
        statistics.t_interval(values)


def test_bad_settings_are_refused():
    with pytest.raises(SettingError, match="confidence"):
        statistics.t_interval([1.0, 2.0], 1.0)
    with pytest.raises(SettingError, match="common length"):
        statistics.bootstrap_interval(np.mean, [1.0], [1.0, 2.0])


def test_kendall_counts_pairs() -> None:
    draw = np.random.default_rng(1)
    for _ in range(5):
        one, two = draw.normal(size=7), draw.normal(size=7)
        signs = [np.sign((one[i] - one[j]) * (two[i] - two[j])) for i, j in itertools.combinations(range(7), 2)]
        assert statistics.kendall(one, two)[0] == pytest.approx(sum(signs) / 21)

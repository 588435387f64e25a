"""Class counts against exact arithmetic and the literature's totals."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ltlib.datasets.longtail import limit_counts, long_tailed_counts, subset_counts
from ltlib.errors import DataError, SettingError, UnknownName

CIFAR10_100 = [5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50]


def exact_exponential(n_max: int, num_classes: int, factor: Fraction) -> list[int]:
    """The largest n with n**(C-1) * IF**c <= n_max**(C-1), in integers only."""
    power = num_classes - 1
    counts = []
    for c in range(num_classes):
        low, high = 0, n_max
        while low < high:
            middle = (low + high + 1) // 2
            fits = middle**power * factor.numerator**c <= n_max**power * factor.denominator**c
            low, high = (middle, high) if fits else (low, middle - 1)
        counts.append(max(1, low))
    return counts


@pytest.mark.parametrize(
    ("n_max", "classes", "factor", "total"),
    [
        (5000, 10, 10, 20_431),
        (5000, 10, 20, 17_023),
        (5000, 10, 50, 13_996),
        (5000, 10, 100, 12_406),
        (5000, 10, 200, 11_203),
        (500, 100, 10, 19_573),
        (500, 100, 20, 15_907),
        (500, 100, 50, 12_608),
        (500, 100, 100, 10_847),
        (500, 100, 200, 9_502),
    ],
)
def test_published_totals_and_exact_arithmetic(n_max: int, classes: int, factor: int, total: int) -> None:
    counts = long_tailed_counts(n_max, classes, factor)
    assert sum(counts) == total
    assert counts == exact_exponential(n_max, classes, Fraction(factor))
    assert counts == [
        int(n_max * (1 / factor) ** (c / (classes - 1))) for c in range(classes)
    ]  # the field's float form


def test_known_counts() -> None:
    assert long_tailed_counts(5000, 10, 100) == CIFAR10_100
    assert subset_counts([5000] * 10, 10, order="ascending") == [
        *(500, 645, 834, 1077, 1391),
        *(1796, 2320, 2997, 3871, 5000),
    ]
    assert sum(max(1, int(50 * 100 ** (-c / 99))) for c in range(100)) == 1051  # the test set of `architectures`
    test_counts = long_tailed_counts(50, 100, 100)
    assert [sum(test_counts[a:b]) for a, b in ((0, 33), (33, 66), (66, 100))] == [844, 169, 38]


def test_a_float_would_lose_an_image() -> None:
    lost = [
        (n_max, classes, base)
        for base in (2, 3, 7)
        for classes in range(3, 12)
        for n_max in (base ** (classes - 1), 5 * base ** (classes - 1))
        for c in range(classes)
        if int(n_max * (base ** (classes - 1)) ** (-c / (classes - 1))) != n_max // base**c
    ]
    assert lost, "no case left in which floats are wrong: the test has lost its point"
    for n_max, classes, base in lost:
        assert long_tailed_counts(n_max, classes, base ** (classes - 1)) == [n_max // base**c for c in range(classes)]


@settings(max_examples=60, deadline=None)
@given(n_max=st.integers(1, 20_000), classes=st.integers(2, 40), hundredths=st.integers(100, 100_000))
def test_exponential_is_exact_everywhere(n_max: int, classes: int, hundredths: int) -> None:
    counts = long_tailed_counts(n_max, classes, hundredths / 100)
    assert counts == exact_exponential(n_max, classes, Fraction(hundredths, 100))
    assert counts == sorted(counts, reverse=True)


def test_step() -> None:
    assert long_tailed_counts(5000, 10, 100, "step") == [5000] * 5 + [50] * 5
    assert long_tailed_counts(10, 5, 3, "step") == [10, 10, 3, 3, 3]
    assert long_tailed_counts(49, 2, 49.0, "step") == [49, 1]


def test_pareto() -> None:
    assert long_tailed_counts(500, 100, 100, "pareto") == [500 // (c + 1) for c in range(100)]  # Zipf's law
    counts = long_tailed_counts(5000, 10, 50, "pareto")
    slope = -math.log(50) / math.log(10)
    assert (counts[0], counts[-1]) == (5000, 100)
    assert all(abs(n - 5000 * (c + 1) ** slope) <= 1 for c, n in enumerate(counts))
    assert counts == sorted(counts, reverse=True)


def test_a_class_never_truncates_to_nothing() -> None:
    assert long_tailed_counts(50, 100, 100)[-1] == 1
    assert long_tailed_counts(3, 3, 1000) == [3, 1, 1]


@pytest.mark.parametrize("factor", [0.99, 0, -5, float("nan"), float("inf"), "10", None, True])
def test_imbalance_factor_below_one_or_no_number(factor: object) -> None:
    with pytest.raises(SettingError, match="imbalance_factor must be a number of at least 1"):
        long_tailed_counts(500, 10, factor)  # type: ignore[arg-type]


@pytest.mark.parametrize(("n_max", "classes"), [(0, 10), (-1, 10), (2.5, 10), (500, 1), (500, 0), (True, 10)])
def test_sizes_out_of_range(n_max: int, classes: int) -> None:
    with pytest.raises(SettingError, match="must be a whole number of at least"):
        long_tailed_counts(n_max, classes, 10)


def test_unknown_type_and_order_name_the_nearest() -> None:
    with pytest.raises(UnknownName, match="did you mean exponential"):
        long_tailed_counts(500, 10, 10, "exponentail")
    with pytest.raises(UnknownName, match="did you mean ascending"):
        subset_counts([5, 5], order="ascendin")
    with pytest.raises(SettingError, match="explicit needs class_counts"):
        subset_counts([5, 5], imbalance_type="explicit")


def test_numpy_numbers_are_numbers() -> None:
    assert long_tailed_counts(np.int64(5000), 10, np.float32(100)) == CIFAR10_100  # type: ignore[arg-type]


def test_capped_by_what_a_class_has() -> None:
    assert subset_counts([40, 100, 3], 10) == [40, 31, 3]
    assert subset_counts([40, 100, 3], 1) == [40, 100, 3]


def test_explicit_counts() -> None:
    assert subset_counts([5, 5, 5], 100, "step", "ascending", [1, 0, 5]) == [1, 0, 5]
    for wrong in ([1, 2], [1, 2, 6], [1, -1, 2], [0, 0, 0], [1, 2.5, 3]):
        with pytest.raises(SettingError, match="class_counts"):
            subset_counts([5, 5, 5], class_counts=wrong)  # type: ignore[arg-type]


def test_class_without_an_image() -> None:
    with pytest.raises(DataError, match="class 1 has no training image"):
        subset_counts([5, 0, 5], 10)


def test_limit() -> None:
    assert limit_counts([3, 3], 6) == [3, 3]
    assert sum(limit_counts(CIFAR10_100, 256)) == 256
    assert limit_counts([1000] * 10, 255) == [26] * 5 + [25] * 5
    assert limit_counts([0, 10, 30], 4) == [0, 1, 3]
    with pytest.raises(SettingError, match="below the number of classes, 10"):
        limit_counts(CIFAR10_100, 9)


@given(st.lists(st.integers(1, 300), min_size=2, max_size=30), st.integers(30, 400))
def test_limit_keeps_proportions(counts: list[int], limit: int) -> None:
    cut = limit_counts(counts, limit)
    assert sum(cut) == min(limit, sum(counts))
    assert all(1 <= now <= before for now, before in zip(cut, counts, strict=True))
    ranked = sorted(zip(counts, cut, strict=True))
    assert all(b >= a - 1 for (_, a), (_, b) in pairwise(ranked))

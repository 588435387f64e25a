"""When a number counts as larger or better, and worlds from a comparison of a document made up here."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from ltlib.sections import world
from ltlib.sections.answers import Compared
from ltlib.sections.world import Numbers, Value, Words, World, gathered

A, B, C, NONE = ("a",), ("b",), ("c",), ("missing",)


def test_larger_reads_print_literally_and_ours_with_a_margin() -> None:
    values = {A: Value(0.434), B: Value(0.434), C: Value(0.4285)}
    literal, ours = Numbers(values), Numbers(values, margin=0.01)
    assert literal.larger(A, B) is False
    assert literal.larger(A, C) is True
    assert literal.larger(C, A) is False
    assert ours.larger(A, C) is None
    assert ours.larger(A, NONE) is None
    assert literal.larger(NONE, A) is None


@pytest.mark.parametrize(("second", "answer"), [(0.80, None), (0.799, True), (0.82, None), (0.821, False)])
def test_a_difference_of_the_margin_is_too_close(second: float, answer: bool | None) -> None:
    """0.81 - 0.80 is a hair above 0.01 in binary, and no more than a point."""
    assert Numbers({A: Value(0.81), B: Value(second)}, 0.01).larger(A, B) is answer


@pytest.mark.parametrize(
    ("second", "printed", "ours"),
    [(0.40, True, True), (0.52, True, True), (0.5201, True, None), (0.53, True, None), (0.5301, False, None),
     (0.54, False, None), (0.5401, False, False)],
)  # fmt: skip
def test_within_has_the_margin_of_larger(second: float, printed: bool, ours: bool | None) -> None:
    """At most two points below: a point of noise either way is open. 0.53 - 0.51 is a hair over."""
    values = {A: Value(0.51), B: Value(second)}
    for numbers, answer in ((Numbers(values), printed), (Numbers(values, 0.01), ours)):
        assert numbers.within(A, B, 0.02) is answer
        assert numbers.compare(A, B, 0.02) == Compared(answer, True, 1)
        assert numbers.compare(A, NONE, 0.02) == Compared(None, False)


def test_within_and_bounds_from_three_runs_on_have_the_interval() -> None:
    """Three runs a side: t(4) s sqrt(2/3) = 2.267 s for a difference, t(2) s / sqrt(3) = 2.484 s for one number."""
    for s, difference, single in ((0.004, True, True), (0.0045, None, None)):
        numbers = Numbers({A: Value(0.50, 3, s), B: Value(0.51, 3, s)}, 0.5)
        assert (0.01 + 2.267 * s <= 0.02) is (difference is True)
        assert numbers.within(A, B, 0.02) is difference
        assert numbers.within(A, B, 0.0005) is (False if s == 0.004 else None)  # 0.01 - 0.0091 is above it
        assert (2.484 * s <= 0.01) is (single is True)
        assert numbers.at_least(A, 0.49) is single
        assert numbers.at_most(A, 0.51) is single
        assert numbers.at_least(B, 0.52) is (False if single else None)
        assert numbers.at_most(B, 0.50) is (False if single else None)
    assert numbers.at_least(NONE, 0.5) is None
    assert numbers.at_most(NONE, 0.5) is None


def test_a_sum_of_four_means_has_the_interval_of_equal_spreads() -> None:
    """The difference of two leads, equal spreads and three runs each: 8 degrees of freedom, sqrt(4/3) s."""
    from scipy.stats import t

    values = {(name,): Value(mean, 3, 0.01) for name, mean in zip("abcd", (0.7, 0.6, 0.65, 0.58), strict=True)}
    low, high = Numbers(values, 0.01).range({("a",): 1, ("b",): -1, ("c",): -1, ("d",): 1})
    half = t.ppf(0.975, 8) * 0.01 * math.sqrt(4 / 3)
    assert (low, high) == (pytest.approx(0.03 - half), pytest.approx(0.03 + half))


def test_equal_networks_are_seldom_called_different() -> None:
    """Two networks of one mean, spread 0.7 points, one run each: more than a point apart in 31 of 100 cases."""
    draw = np.random.default_rng(11)
    runs = 0.7 + 0.007 * draw.normal(size=(4000, 2))
    literal = measured = 0
    for one, two in runs:
        values = {A: Value(one), B: Value(two)}
        both = [(numbers.within(A, B, 0.01), numbers.within(B, A, 0.01)) for numbers in
                (Numbers(values), Numbers(values, 0.01))]  # fmt: skip
        literal += False in both[0]
        measured += False in both[1]
    assert literal / 4000 == pytest.approx(0.31, abs=0.02)
    assert measured / 4000 < 0.06
    far = [Numbers({A: Value(a - 0.05), B: Value(b)}, 0.01).within(A, B, 0.01) for a, b in runs]
    assert far.count(False) / 4000 > 0.99


def test_larger_agrees_with_welchs_interval_of_scipy() -> None:
    from scipy.stats import ttest_ind

    draw = np.random.default_rng(3)
    seen = set()
    for shift in (0.0, 0.004, 0.01, 0.05, -0.05):
        one, two = draw.normal(0.7 + shift, 0.005, 3), draw.normal(0.7, 0.008, 4)
        values = {name: Value(x.mean(), len(x), x.std(ddof=1)) for name, x in ((A, one), (B, two))}
        interval = ttest_ind(one, two, equal_var=False).confidence_interval(0.95)
        expected = None if interval.low <= 0 <= interval.high else bool(interval.low > 0)
        assert Numbers(values, margin=0.5).larger(A, B) is expected
        seen.add(expected)
    assert seen == {True, False, None}


@pytest.mark.parametrize(("std", "answer"), [(0.0110, True), (0.0115, None)])
def test_welchs_interval_at_a_known_value(std: float, answer: bool | None) -> None:
    """Three runs a side with one std: half width t(4) s sqrt(2/3), t(4) = 2.7764; 0.025 lies between."""
    numbers = Numbers({A: Value(0.725, 3, std), B: Value(0.7, 3, std)}, 0.01)
    assert (2.7764 * std * math.sqrt(2 / 3) < 0.025) is (answer is True)
    assert numbers.larger(A, B) is answer


def test_the_side_with_more_runs_does_not_lend_its_spread_to_the_other() -> None:
    """Welch's half width is 0.07 here, about t(2) s / sqrt(3) of the first side; one common spread would give 0.01."""
    numbers = Numbers({A: Value(0.73, 3, 0.03), B: Value(0.7, 30, 0.005), C: Value(0.65, 30, 0.005)}, 0.01)
    assert numbers.larger(A, B) is None
    assert numbers.larger(A, C) is True


def test_two_runs_have_a_margin_and_three_an_interval() -> None:
    tight = {A: Value(0.705, 3, 1e-4), B: Value(0.7, 3, 1e-4), C: Value(0.7, 2, 1e-4)}
    assert Numbers(tight, 0.01).larger(A, B) is True
    assert Numbers(tight, 0.01).larger(B, A) is False
    assert Numbers(tight, 0.01).larger(A, C) is None


def test_runs_without_any_spread_are_told_apart_unless_they_are_equal() -> None:
    numbers = Numbers({A: Value(0.7, 3, 0.0), B: Value(0.6, 3, 0.0), C: Value(0.7, 3, 0.0)}, 0.01)
    assert numbers.larger(A, B) is True
    assert numbers.larger(A, C) is None


def test_single_values_become_means_with_their_spread() -> None:
    numbers = gathered([(A, 0.1), (B, 0.5), (A, 0.3), (C, math.nan)], 0.02)
    assert numbers.values[A] == (pytest.approx(0.2), 2, pytest.approx(math.sqrt(0.02)))
    assert numbers.values[B][:2] == (0.5, 1)
    assert math.isnan(numbers.values[B].std)
    assert C not in numbers
    assert numbers.margin == 0.02


# --- a document of two methods, two sets and two metrics -------------------------------------------------------------

WORDS = Words(
    row=str.upper, head=lambda c, quantity: f"{c[0]}, {quantity}", part=lambda c: f"set {c[0]}",
    number=lambda quantity, value: f"{value:.2f}",
)  # fmt: skip


@pytest.fixture
def frame() -> pd.DataFrame:
    """As much of `tables.compare` as a world reads; set y prints no factor, and no calibration error of "new"."""
    cells = [
        ("x", 10.0, "old", "accuracy", 0.6), ("x", 10.0, "new", "accuracy", 0.7),
        ("x", 10.0, "old", "ece", 0.05), ("x", 10.0, "new", "ece", 0.1), ("x", 10.0, "old", "loss", 1.5),
        ("y", math.nan, "old", "accuracy", 0.4), ("y", math.nan, "new", "accuracy", 0.5),
        ("y", math.nan, "old", "ece", 0.2),
    ]  # fmt: skip
    found = pd.DataFrame(cells, columns=["dataset", "imbalance", "method", "metric", "published"])
    return found.assign(reproduced=found["published"] + 0.1, n=[1, 1, 3, 3, 1, 0, 2, 0], std=0.01)


def test_the_printed_world_is_read_literally(frame: pd.DataFrame) -> None:
    found = world.printed(frame, ("dataset", "imbalance"), WORDS)
    assert not found.ours
    assert found.numbers("accuracy")["y", None, "new"] == 0.5
    assert {numbers.margin for numbers in found.quantities.values()} == {0.0}
    assert found.numbers("loss").values == {("x", 10.0, "old"): Value(1.5, 1, pytest.approx(math.nan, nan_ok=True))}
    twice = pd.concat([frame, frame.assign(published=0.0)])
    assert world.printed(twice, ("dataset", "imbalance"), WORDS).numbers("ece")["x", 10.0, "new"] == 0.1


def test_our_world_has_what_was_run_with_margins(frame: pd.DataFrame) -> None:
    extra = {"gap": Numbers({A: Value(1.0)})}
    found = world.ours(frame, ("dataset", "imbalance"), WORDS, {"accuracy": 0.01, "ece": 0.015}, extra)
    assert found.ours
    assert found.numbers("accuracy").values == {
        ("x", 10.0, "old"): (0.7, 1, 0.01), ("x", 10.0, "new"): (pytest.approx(0.8), 1, 0.01),
        ("y", None, "new"): (0.6, 2, 0.01),
    }  # fmt: skip
    assert (found.numbers("accuracy").margin, found.numbers("ece").margin) == (0.01, 0.015)
    assert "loss" not in found.quantities
    assert found.numbers("gap")[A] == 1.0
    assert found.numbers("nothing").values == {}


def test_cells_of_print_say_what_can_be_compared(frame: pd.DataFrame) -> None:
    found = world.ours(frame, ("dataset", "imbalance"), WORDS)
    assert found.asked("ece", ("x", 10.0, "old"), ("x", 10.0, "new"))
    assert not found.asked("ece", ("y", None, "old"), ("y", None, "new"))
    assert found.asked("gap", ("anything",))
    assert found.rows("ece", ("y", None)) == ["old"]
    assert found.rows("accuracy", ("y", None)) == ["old", "new"]
    assert World({"gap": Numbers({("y", "old"): Value(1)})}).rows("gap", ("y",)) == ["old"]


def test_better_is_more_accuracy_and_less_error_and_loss() -> None:
    values = {A: Value(0.2), B: Value(0.1)}
    found = World({name: Numbers(values) for name in ("accuracy", "ece", "loss", "gap")})
    answers = {name: found.better(name, A, B).answer for name in found.quantities}
    assert answers == {"accuracy": True, "ece": False, "loss": False, "gap": True}
    assert found.better("accuracy", A, NONE) == Compared(None, False)
    assert found.better("ece", A, B, 0.1).answer is True  # a larger error, by no more than that
    assert found.better("ece", A, B, 0.09).answer is False
    assert found.better("ece", B, A, 0.0).answer is True
    assert found.better("accuracy", B, A, 0.1).answer is True
    assert found.better("accuracy", B, A, 0.09).answer is False


def test_lines_name_the_best_first(frame: pd.DataFrame) -> None:
    found = world.printed(frame, ("dataset", "imbalance"), WORDS)
    assert found.line("accuracy", ("x", 10.0), ["old", "new", "old", "other"]) == "x, accuracy: NEW 0.70, OLD 0.60"
    assert found.line("ece", ("x", 10.0), ["new", "old"]) == "x, ece: OLD 0.05, NEW 0.10"
    assert found.line("ece", ("y", None), ["new"]) == "y, ece: not run"
    both = [("x", 10.0), ("y", None)]
    assert found.across("ece", "ECE", both, "new") == "ECE, NEW: set x 0.10, set y not run"
    assert found.across("ece", "", both, "old") == "OLD: set x 0.05, set y 0.20"
    assert found.cell("ece", ("x", 10.0, "new")) == "NEW (x, ece) 0.10"
    assert World(found.quantities, Words(head=lambda c, q: "")).cell("ece", ("x", 10.0, "new")) == "new 10.00"

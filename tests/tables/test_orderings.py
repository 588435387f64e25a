"""Pairs of methods that print tells apart, and what became of them."""

from __future__ import annotations

import math

import pytest

from ltlib.tables.orderings import known, pairs


def test_pairs_begin_with_the_better_and_leave_out_what_print_cannot_tell() -> None:
    printed = {"accuracy": {"a": 0.50, "b": 0.60, "c": 0.605}, "ece": {"a": 0.3, "b": 0.1}}
    ours = {"accuracy": {"a": 0.55, "b": 0.52, "c": 0.553}, "ece": {"a": 0.1, "b": 0.2}}
    found = {(pair.metric, pair.better, pair.worse): pair for pair in pairs(printed, ours)}
    assert {key: pair.holds for key, pair in found.items()} == {
        ("accuracy", "b", "a"): False,
        ("accuracy", "c", "a"): None,
        ("ece", "b", "a"): False,
    }
    assert found["ece", "b", "a"].printed == pytest.approx(0.2)
    assert found["ece", "b", "a"].ours == pytest.approx(-0.1)


def test_only_methods_with_both_numbers_are_known() -> None:
    assert known({"a": 0.1, "b": 0.2, "c": 0.3}, {"c": 0.1, "a": 0.3, "b": math.nan, "d": 1.0}) == ["a", "c"]

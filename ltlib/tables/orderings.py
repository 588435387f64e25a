"""Which of two methods is the better, in one column of numbers and in another: pairs of methods, compared."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import NamedTuple

from ltlib.tables.scores import CLOSE, sign

Columns = Mapping[str, Mapping[str, float]]
"""Metric to method to value, a fraction."""


class Pair(NamedTuple):
    """Two methods whose printed numbers differ by more than the tolerance.

    Attributes:
        metric: What is compared.
        better: The better method in print.
        worse: The worse one.
        printed: By how much, a fraction above 0.
        ours: By how much the first is better in ours, below 0 where it is worse.
    """

    metric: str
    better: str
    worse: str
    printed: float
    ours: float

    @property
    def holds(self) -> bool | None:
        """Whether ours differ the same way; None where they differ by no more than the tolerance."""
        return None if abs(self.ours) <= CLOSE[self.metric] else self.ours > 0


def pairs(printed: Columns, ours: Columns) -> list[Pair]:
    """Every pair of methods that print tells apart and that we have; differences count as better, so above 0."""
    found = []
    for metric, values in printed.items():
        for one, two in itertools.combinations(known(values, ours[metric]), 2):
            gap = sign(metric) * (values[one] - values[two])
            first, second = (one, two) if gap > 0 else (two, one)
            if abs(gap) > CLOSE[metric]:
                change = sign(metric) * (ours[metric][first] - ours[metric][second])
                found.append(Pair(metric, first, second, abs(gap), change))
    return found


def known(printed: Mapping[str, float], ours: Mapping[str, float]) -> list[str]:
    """The printed methods of which we have a number, in their order."""
    return [method for method in printed if not math.isnan(ours.get(method, math.nan))]

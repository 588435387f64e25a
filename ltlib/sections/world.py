"""What one side has measured of a document, and when one of its numbers counts as larger or better than another.

Claims are asked about two worlds, the printed one and ours. A number's key is its column, the parts that a document
chooses (data set and network; table, imbalance factor and class group), and then its row, the method.

WORDS = Words(row=AWABS.short, head=lambda column, quantity: f"Table {column[0]} at {column[1]:g}")
printed(frame, ("table", "imbalance"), WORDS).better("ece", ("4.6", 100.0, "mislas"), ("4.6", 100.0, "ce"))
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ltlib.labels import label
from ltlib.sections.answers import Answer, Compared
from ltlib.statistics import FEWEST_RUNS
from ltlib.tables.scores import CLOSE, LOWER_IS_BETTER, WORDS

if TYPE_CHECKING:
    import pandas as pd

Key = tuple[Any, ...]
Column = tuple[Any, ...]
ROUNDING = 1e-9
"""0.53 - 0.51 is a hair above 0.02 in binary."""


class Value(NamedTuple):
    """A measured number: mean, number of runs, their standard deviation (NaN for one run)."""

    mean: float
    n: int = 1
    std: float = math.nan


class Numbers:
    """Numbers by key, and when one counts as larger than another, as near it, or as above a bound.

    Every answer is True or False where the whole range of what is asked, the 95% t-interval from three runs a side on
    and the margin to either side below that, agrees; else None.

    Args:
        values: Key to value; keys that were not measured are absent.
        margin: With fewer than three runs on a side, differences up to this size are too close to tell. Printed numbers
            are read literally: margin 0, and equal is not larger.
    """

    def __init__(self, values: Mapping[Key, Value], margin: float = 0.0):
        self.values, self.margin = dict(values), margin

    def __contains__(self, key: Key) -> bool:
        return key in self.values

    def __getitem__(self, key: Key) -> float:
        return self.values[key].mean

    def runs(self, *keys: Key) -> int:
        """Runs of the key that has the fewest; 0 where one is missing."""
        return min(self.values[key].n if key in self else 0 for key in keys)

    def range(self, weights: Mapping[Key, float]) -> tuple[float, float]:
        """Where a sum of measured numbers, each times its weight, lies.

        From three runs of each on the 95% interval of Welch (1947) and Satterthwaite (1946), with fewer the sum and the
        margin to either side.
        """
        own = [(weight, self.values[key]) for key, weight in weights.items()]
        middle = sum(weight * value.mean for weight, value in own)
        half = _half_width(own) if self.runs(*weights) >= FEWEST_RUNS else self.margin
        return middle - half, middle + half

    def positive(self, weights: Mapping[Key, float]) -> Compared:
        """Whether the sum of numbers, each times its weight, is above 0; open where one is missing."""
        runs = self.runs(*weights)
        if runs == 0:
            return Compared(None, False)
        low, high = self.range(weights)
        literal = self.margin == 0 and runs < FEWEST_RUNS
        answer = True if low > ROUNDING else False if high < -ROUNDING or literal else None
        return Compared(answer, True, runs)

    def larger(self, first: Key, second: Key) -> Answer:
        """Whether the first number is the larger one; None where one is missing or they are too close."""
        return self.positive({first: 1, second: -1}).answer

    def within(self, first: Key, second: Key, points: float) -> Answer:
        """Whether the first number is at most `points` (a fraction) below the second; None as for `larger`."""
        return None if self.runs(first, second) == 0 else _at_most(self.range({second: 1, first: -1}), points)

    def at_most(self, key: Key, bound: float) -> Answer:
        """Whether a number is at most the bound; None as for `larger`."""
        return _at_most(self.range({key: 1}), bound) if key in self else None

    def at_least(self, key: Key, bound: float) -> Answer:
        """Whether a number is at least the bound; None as for `larger`."""
        return _at_most(self.range({key: -1}), -bound) if key in self else None

    def compare(self, first: Key, second: Key, within: float | None = None) -> Compared:
        """`larger`, or with `within` points `within`, whether both sides are there, and their runs."""
        if within is None:
            return self.positive({first: 1, second: -1})
        runs = self.runs(first, second)
        return Compared(self.within(first, second, within), runs > 0, runs or None)


def _at_most(range_: tuple[float, float], bound: float) -> Answer:
    low, high = range_
    return True if high <= bound + ROUNDING else False if low > bound + ROUNDING else None


def _half_width(own: Sequence[tuple[float, Value]]) -> float:
    """Half the 95% t-interval of a weighted sum of independent means, degrees of freedom after Satterthwaite."""
    from scipy.special import stdtrit

    parts = [weight**2 * value.std**2 / value.n for weight, value in own]
    if sum(parts) == 0:
        return 0.0
    freedom = sum(parts) ** 2 / sum(part**2 / (value.n - 1) for part, (_, value) in zip(parts, own, strict=True))
    return float(stdtrit(freedom, 0.975)) * math.sqrt(sum(parts))


def gathered(found: Iterable[tuple[Key, float]], margin: float = 0.0) -> Numbers:
    """Numbers from single values, a pair of key and value for each run; NaN counts as not measured."""
    values: dict[Key, list[float]] = {}
    for key, number in found:
        if not math.isnan(number):
            values.setdefault(key, []).append(number)
    return Numbers({key: _value(own) for key, own in values.items()}, margin)


def _value(own: Sequence[float]) -> Value:
    return Value(float(np.mean(own)), len(own), float(np.std(own, ddof=1)) if len(own) > 1 else math.nan)


@dataclass(frozen=True)
class Words:
    """How a document's evidence names what a world holds.

    Attributes:
        row: A method.
        head: A column and a quantity at the beginning of a line; empty where there is but one.
        number: A number of a quantity.
        part: A column among others that differ from it in one thing only.
        quantity: A quantity.
    """

    row: Callable[[str], str] = label
    head: Callable[[Column, str], str] = lambda column, quantity: ", ".join(map(str, (*column, quantity)))
    number: Callable[[str, float], str] = lambda quantity, value: f"{100 * value:.2f}"
    part: Callable[[Column], str] = lambda column: str(column[-1])
    quantity: Callable[[str], str] = lambda quantity: WORDS.get(quantity, quantity)


@dataclass(frozen=True)
class World:
    """What one side has measured.

    Attributes:
        quantities: Numbers by quantity: a metric of the tables, or what a document's page adds (``gap``).
        words: How evidence names them.
        ours: Whether these are our numbers.
        cells: The keys that the document prints, by quantity, in its order. What it does not print is no comparison; a
            quantity that is absent here has no such limit.
    """

    quantities: Mapping[str, Numbers]
    words: Words = field(default_factory=Words)
    ours: bool = False
    cells: Mapping[str, Sequence[Key]] = field(default_factory=dict)

    def numbers(self, quantity: str) -> Numbers:
        return self.quantities.get(quantity) or Numbers({})

    def better(self, quantity: str, first: Key, second: Key, within: float | None = None) -> Compared:
        """Whether the first is better, or at most `within` behind: more, and less of an error or a loss."""
        order = (second, first) if quantity in LOWER_IS_BETTER else (first, second)
        return self.numbers(quantity).compare(*order, within)

    def asked(self, quantity: str, *keys: Key) -> bool:
        """Whether the document has all of these numbers, so that they can be compared."""
        return quantity not in self.cells or all(key in self.cells[quantity] for key in keys)

    def rows(self, quantity: str, column: Column) -> list[str]:
        """The rows of a column, as far as the document prints them."""
        keys = self.cells.get(quantity, self.numbers(quantity).values)
        return list(dict.fromkeys(key[-1] for key in keys if key[:-1] == column))

    def sorted(self, quantity: str, keys: Iterable[Key]) -> list[Key]:
        """Those that are measured, the best first."""
        own = self.numbers(quantity)
        known = [key for key in keys if key in own]
        return sorted(known, key=lambda key: own[key], reverse=quantity not in LOWER_IS_BETTER)

    def ranked(self, quantity: str, column: Column, rows: Iterable[str]) -> list[str]:
        """The rows of a column that are measured, the best first."""
        return [key[-1] for key in self.sorted(quantity, [(*column, row) for row in rows])]

    def said(self, quantity: str, key: Key) -> str:
        """A number in words."""
        return self.words.number(quantity, self.numbers(quantity)[key])

    def line(self, quantity: str, column: Column, rows: Iterable[str]) -> str:
        """The numbers of a column, best first: ``Table 4.6 at 100, ECE: Method 2 2.55, MiSLAS 3.70``."""
        own = self.ranked(quantity, column, dict.fromkeys(rows))
        text = ", ".join(f"{self.words.row(row)} {self.said(quantity, (*column, row))}" for row in own) or "not run"
        head = self.words.head(column, quantity)
        return f"{head}: {text}" if head else text

    def across(self, quantity: str, head: str, columns: Iterable[Column], row: str) -> str:
        """The numbers of a row: ``CIFAR-10, CE: ResNet-18 0.722, ResNet-34 not run``."""
        own = self.numbers(quantity)
        parts = [
            f"{self.words.part(c)} {self.said(quantity, (*c, row)) if (*c, row) in own else 'not run'}" for c in columns
        ]
        return f"{f'{head}, ' if head else ''}{self.words.row(row)}: {', '.join(parts)}"

    def cell(self, quantity: str, key: Key) -> str:
        """One number with its row and column: ``Focal (ResNet-34 on CIFAR-100) 0.434``."""
        head = self.words.head(key[:-1], quantity)
        return f"{self.words.row(key[-1])}{f' ({head})' if head else ''} {self.said(quantity, key)}"


def printed(frame: pd.DataFrame, columns: Sequence[str], words: Words) -> World:
    """The document's numbers, read literally; of a number printed twice the first counts.

    Args:
        frame: Of `tables.compare`.
        columns: The columns of the frame that make a key's column, in order.
        words: How the document is read out.
    """
    cells, values = _keyed(frame, columns, lambda row: Value(float(row["published"])))
    return World({metric: Numbers(own) for metric, own in values.items()}, words, cells=cells)


def ours(
    frame: pd.DataFrame,
    columns: Sequence[str],
    words: Words,
    margins: Mapping[str, float] = CLOSE,
    others: Mapping[str, Numbers] | None = None,
) -> World:
    """Our numbers; arguments as of `printed`.

    Args:
        frame: Of `tables.compare`.
        columns: As of `printed`.
        words: As of `printed`.
        margins: How far two single runs must differ, by metric; a metric without a margin is left out.
        others: Further quantities.
    """

    def measured(row: Mapping[Any, Any]) -> Value | None:
        return Value(float(row["reproduced"]), int(row["n"]), float(row["std"])) if row["n"] > 0 else None

    cells, values = _keyed(frame, columns, measured)
    scores = {metric: Numbers(values.get(metric, {}), margin) for metric, margin in margins.items()}
    return World({**scores, **(others or {})}, words, True, cells)


def _keyed(
    frame: pd.DataFrame, columns: Sequence[str], value: Callable[[Mapping[Any, Any]], Value | None]
) -> tuple[dict[str, list[Key]], dict[str, dict[Key, Value]]]:
    """By metric: all keys of a frame, and the values of those that have one."""
    cells: dict[str, list[Key]] = {}
    values: dict[str, dict[Key, Value]] = {}
    for row in frame.to_dict("records"):
        column = (None if row[name] != row[name] else row[name] for name in columns)  # NaN is not equal to itself
        key, found = (*column, row["method"]), value(row)
        cells.setdefault(row["metric"], []).append(key)
        if found is not None:
            values.setdefault(row["metric"], {}).setdefault(key, found)
    return cells, values

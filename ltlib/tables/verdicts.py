"""The verdict of a table cell, by rule.

With one or two runs a cell is *reproduced* when their mean lies within the metric's tolerance of the published number,
else *above* or *below*. From three runs on the 95% t-interval counts: *above* or *below* when all of it lies outside
the tolerance on that side, *reproduced* when the mean lies within and the interval reaches no further than twice the
tolerance to either side of the mean, else *inconclusive*. *Not comparable* names the settings that differ; *not run*
carries the command that fills the cell. With one run there is no interval and the reason says n = 1. Above and below
compare sizes, not merit: a calibration error that is above is worse.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from ltlib.errors import SettingError, UnknownName
from ltlib.statistics import FEWEST_RUNS, t_interval

NAMES = ("reproduced", "inconclusive", "above", "below", "not comparable", "not run")

#: A sign and a word each, readable without colour.
MARKS = {
    "reproduced": "= reproduced",
    "inconclusive": "~ inconclusive",
    "above": "▲ above",
    "below": "▼ below",
    "not comparable": "≠ not comparable",
    "not run": "– not run",
}

#: Those that say nothing about our number.
UNJUDGED = ("not comparable", "not run")

#: How far the mean may lie from the published number: fractions, a share of the published loss, nothing for counts.
TOLERANCES = {
    "accuracy": 0.01,
    "ece": 0.015,
    "precision": 0.02,
    "recall": 0.02,
    "f1": 0.02,
    "loss": 0.10,
    "count": 0.0,
}
_ROUNDING = 1e-9  # 0.81 - 0.80 is a hair above 0.01 in binary


class Verdict(NamedTuple):
    """A verdict and the sentence that gives its reason."""

    name: str
    text: str

    @property
    def mark(self) -> str:
        """The verdict as a sign and a word."""
        return MARKS[self.name]


def tolerance(metric: str, published: float) -> float:
    """The tolerance of a metric around a published value, in the value's own unit (fraction, nats, images)."""
    if metric not in TOLERANCES:
        raise UnknownName("metric with a tolerance:", metric, TOLERANCES)
    return TOLERANCES[metric] * abs(published) if metric == "loss" else TOLERANCES[metric]


def as_fraction(value: float, unit: str) -> float:
    """A published value in ltlib's own unit: percent become fractions, the rest stays."""
    if unit not in ("percent", "fraction", "nats", "count"):
        raise UnknownName("unit", unit, ("percent", "fraction", "nats", "count"))
    return value / 100 if unit == "percent" else value


def verdict(
    published: float, values: Sequence[float], metric: str, differences: Sequence[str] = (), command: str = ""
) -> Verdict:
    """Judge one cell.

    Args:
        published: The document's number, as a fraction (losses in nats).
        values: Our number of each run, same unit. None at all: not run.
        metric: accuracy, ece, precision, recall, f1, loss or count.
        differences: Settings in which our runs differ from the document's, as phrases.
        command: What to type to fill the cell, for `not run`.

    Raises:
        SettingError: A value that is NaN or infinite.
        UnknownName: A metric without a tolerance.
    """
    allowed = tolerance(metric, published)
    if not math.isfinite(published):
        raise SettingError(f"a published value must be a number, not {published}")
    if len(values) == 0:
        return Verdict("not run", f"not run; fill it with: {command}" if command else "not run")
    interval = t_interval(values)
    runs = f"n = {interval.n}"
    if differences:
        return Verdict("not comparable", f"differs in {'; '.join(differences)} ({runs})")
    gap = interval.mean - published
    side = "above" if gap > 0 else "below"
    said = f"{_amount(abs(gap), metric, published)} {side} the published number" if gap else "the published number"
    inside, band = abs(gap) <= allowed + _ROUNDING, _amount(allowed, metric, published)
    if interval.n < FEWEST_RUNS:
        if inside:
            return Verdict("reproduced", f"{said}, within {band} ({runs})")
        return Verdict(side, f"{said}, more than {band} ({runs})")
    width = f"{_amount(interval.half_width, metric, published)} to either side"
    if abs(gap) - interval.half_width > allowed + _ROUNDING:
        return Verdict(side, f"{said}; the 95% interval, {width}, stays more than {band} away ({runs})")
    if inside and interval.half_width <= 2 * allowed + _ROUNDING:
        return Verdict("reproduced", f"{said}, within {band}; the 95% interval reaches {width} ({runs})")
    return Verdict("inconclusive", f"{said}, but the 95% interval reaches {width} ({runs})")


def _amount(size: float, metric: str, published: float) -> str:
    if metric == "loss":
        return f"{size / abs(published):.1%} of it" if published else f"{size:.3g} nats"
    if metric == "count":
        return f"{size:g} images"
    return f"{100 * size:.2f} points" if metric in ("accuracy", "ece") else f"{size:.3f}"

"""Which of the orderings of methods that a document prints hold in ours: pairs, and rank correlation."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from ltlib.labels import label
from ltlib.sections.study import stand_in
from ltlib.tables.scores import CLOSE, mean, sign, used

if TYPE_CHECKING:
    import pandas as pd

    from ltlib.pages.page import Page
    from ltlib.runs import Run
    from ltlib.sections.study import Study

Columns = Mapping[str, Mapping[str, float]]
"""Metric to method to value, a fraction."""


class Pair(NamedTuple):
    """Two methods whose printed numbers differ by more than the tolerance: better and worse in print, and ours."""

    metric: str
    better: str
    worse: str
    printed: float
    ours: float

    @property
    def holds(self) -> bool | None:
        """Whether ours differ the same way; None where they differ by no more than the tolerance."""
        return None if abs(self.ours) <= CLOSE[self.metric] else self.ours > 0


def show(page: Page, study: Study, printed: Columns, own: Mapping[str, Sequence[Run]], where: str) -> None:
    """Which of the printed orderings hold on the profile's one set.

    Args:
        page: The page.
        study: The document.
        printed: A printed column, from `ltlib.sections.in_print.column`.
        own: Our runs of each method.
        where: The column in words.
    """
    ours = {metric: {method: mean(found, metric) for method, found in own.items()} for metric in printed}
    found = pairs(printed, ours)
    if not found:
        page.say("Too few methods were run to hold an ordering against print.")
        return
    caption = f"that {where} tells apart, and what became of them"
    page.frame("Orderings", pairs_frame(study, found), caption, used(own))
    page.say(sentence(printed, ours, page.profile))


def pairs(printed: Columns, ours: Columns) -> list[Pair]:
    """Every pair of methods that print tells apart and that we have; differences count as better, so above 0."""
    found = []
    for metric, values in printed.items():
        for one, two in itertools.combinations(_known(values, ours[metric]), 2):
            gap = sign(metric) * (values[one] - values[two])
            first, second = (one, two) if gap > 0 else (two, one)
            if abs(gap) > CLOSE[metric]:
                change = sign(metric) * (ours[metric][first] - ours[metric][second])
                found.append(Pair(metric, first, second, abs(gap), change))
    return found


def _known(printed: Mapping[str, float], ours: Mapping[str, float]) -> list[str]:
    return [method for method in printed if not math.isnan(ours.get(method, math.nan))]


def kendall(first: Sequence[float], second: Sequence[float]) -> tuple[float, float]:
    """Kendall's tau-b of two rankings and its two-sided p (Kendall, 1938; `scipy.stats.kendalltau`)."""
    from scipy.stats import kendalltau

    result = kendalltau(first, second)
    return float(result.statistic), float(result.pvalue)


def pairs_frame(study: Study, found: Sequence[Pair]) -> pd.DataFrame:
    """For each method that print puts above others: how many of these orderings hold, turn round, or are too close."""
    import pandas as pd

    own: dict[tuple[str, str], list[Pair]] = {}
    for pair in found:
        own.setdefault((pair.metric, pair.better), []).append(pair)
    rows = []
    for (metric, method), mine in own.items():
        worst = min(mine, key=lambda pair: pair.ours)
        turned = f"{study.short(worst.worse)} {100 * worst.ours:+.1f}" if worst.holds is False else ""
        rows.append(
            {
                "better in print": study.name(method),
                "in": label(metric),
                "than": len(mine),
                "holds": sum(p.holds is True for p in mine),
                "too close": sum(p.holds is None for p in mine),
                "turned round": sum(p.holds is False for p in mine),
                "most (points)": turned,
            }
        )
    return pd.DataFrame(rows)


def sentence(printed: Columns, ours: Columns, profile: str) -> str:
    """Rank correlation and orderings that hold, for each metric."""
    text, found = [], pairs(printed, ours)
    for metric, values in printed.items():
        word = label(metric)[:1].upper() + label(metric)[1:]
        known = _known(values, ours[metric])
        mine = [pair for pair in found if pair.metric == metric]
        if len(known) < 3 or not mine:
            text.append(f"{word}: too few methods were run.")
            continue
        tau, p = kendall([values[m] for m in known], [ours[metric][m] for m in known])
        yes, no = sum(pair.holds is True for pair in mine), sum(pair.holds is False for pair in mine)
        text.append(
            f"{word}: Kendall's tau of the printed and our order of {len(known)} methods is {tau:.2f} (p = {p:.2g}); "
            f"of {len(mine)} pairs that print tells apart {yes} hold, {no} turn round and {len(mine) - yes - no} come "
            "out too close."
        )
    if stand_in(profile):
        text.append(f"On {stand_in(profile)} none of this speaks of the document.")
    return " ".join(text)

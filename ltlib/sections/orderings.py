"""Which of the orderings of methods that a document prints hold in ours: pairs, and rank correlation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ltlib import statistics
from ltlib.labels import label
from ltlib.sections.study import stand_in
from ltlib.tables.orderings import Columns, Pair, known, pairs
from ltlib.tables.scores import mean, used

if TYPE_CHECKING:
    import pandas as pd

    from ltlib.pages.page import Page
    from ltlib.runs import Run
    from ltlib.sections.study import Study


def show(page: Page, study: Study, printed: Columns, own: Mapping[str, Sequence[Run]], where: str) -> None:
    """Which of the printed orderings hold on the profile's one set.

    Args:
        page: The page.
        study: The document.
        printed: A printed column, from `ltlib.tables.cells.column`.
        own: Our runs of each method.
        where: The column in words.
    """
    ours = {metric: {method: mean(found, metric) for method, found in own.items()} for metric in printed}
    found = pairs(printed, ours)
    if not found:
        page.say("Too few methods were run to hold an ordering against print.")
        return
    page.say(sentence(printed, ours, page.profile))
    caption = f"that {where} tells apart, and what became of them"
    with page.fold(f"The {len(found)} printed orderings, method by method"):
        page.frame("Orderings", pairs_frame(study, found), caption, used(own))


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
        both = known(values, ours[metric])
        mine = [pair for pair in found if pair.metric == metric]
        if len(both) < 3 or not mine:
            text.append(f"{word}: too few methods were run.")
            continue
        tau, p = statistics.kendall([values[m] for m in both], [ours[metric][m] for m in both])
        yes, no = sum(pair.holds is True for pair in mine), sum(pair.holds is False for pair in mine)
        text.append(
            f"{word}: Kendall's tau of the printed and our order of {len(both)} methods is {tau:.2f} (p = {p:.2g}); "
            f"of {len(mine)} pairs that print tells apart {yes} hold, {no} turn round and {len(mine) - yes - no} come "
            "out too close."
        )
    if stand_in(profile):
        text.append(f"On {stand_in(profile)} none of this speaks of the document.")
    return " ".join(text)

"""The page `awabs/methods`: one change of AWABS, ours, that the optimum of section 3.3 suggests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from ltlib import grids
from ltlib.chapters.awabs import AWABS
from ltlib.grids.awabs import STAGE_1
from ltlib.sections import scores
from ltlib.sections.scores import mean

if TYPE_CHECKING:
    from ltlib.pages.page import Page
    from ltlib.runs import Run

Trio = Mapping[str, Sequence["Run"]]
"""Runs of a proposed method: ``stage 1`` alone, stage 2 as ``printed``, stage 2 ``by size``."""


def spread(page: Page, base: Iterable[Run], runs: Iterable[Run]) -> None:
    """Stage 2 as printed and with the smoothing spread by class size, beside stage 1 alone.

    Args:
        page: The page.
        base: Runs of the grid ``awabs/methods``.
        runs: Runs of the grid ``awabs/spread``.
    """
    found = trios(base, runs)
    if not any(trio["by size"] for trio in found.values()):
        page.say(f"None was run; {grids.command(AWABS.id, 'spread', page.profile)} trains them.")
        return
    own = {f"{method} {part}": list(its) for method, trio in found.items() for part, its in trio.items()}
    names = {
        f"{method} {part}": f"{AWABS.short(method)}, {'stage 2 ' if part != 'stage 1' else ''}{part}"
        for method, trio in found.items()
        for part in trio
    }
    used = [run for its in own.values() for run in its]
    page.frame(
        "Spread",
        scores.side_by_side(own, names.__getitem__),
        f"of the smoothing in stage 2, {AWABS.where(page.profile)}",
        used,
    )
    page.say(spread_sentence(found))


def trios(base: Iterable[Run], runs: Iterable[Run]) -> dict[str, Trio]:
    """The three sets of runs of each proposed method."""
    known, ours = AWABS.by_method(base), AWABS.by_method(runs)
    return {
        method: {
            "stage 1": known.get(first, []),
            "as printed": known.get(method, []),
            "by size": ours.get(method, []),
        }
        for method, first in STAGE_1.items()
    }


def spread_sentence(found: Mapping[str, Trio]) -> str:
    """What the change moves, from stage 1 and from stage 2 as printed."""
    parts = []
    for method, trio in found.items():
        name, ours = AWABS.short(method), list(trio["by size"])
        for other, words in (("as printed", "the printed spread"), ("stage 1", "its stage 1")):
            if ours and trio[other]:
                beside = {metric: mean(list(trio[other]), metric) for metric in ("accuracy", "ece")}
                parts.append(f"{name} against {words}: {scores.moves(ours, beside)}")
        if ours and trio["as printed"]:
            head = [100 * mean(list(its), "accuracy", "head") for its in (trio["as printed"], ours)]
            parts[-1] += f"; its head {head[0]:.1f} to {head[1]:.1f}%"
    return f"{'; '.join(parts)}." if parts else "Nothing to compare: the runs beside it are not here."

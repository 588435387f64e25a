"""The page `awabs/methods`: proposed method 2 over its two epsilons and three forms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ltlib.chapters.awabs import AWABS
from ltlib.grids import awabs as grid
from ltlib.losses.awabs_optimum import largest_epsilon
from ltlib.sections import sweeps
from ltlib.tables.scores import by_setting, mean, setting_of
from ltlib.tables.sweeps import Grid

if TYPE_CHECKING:
    from ltlib.pages.page import Page
    from ltlib.runs import Run

GRID = Grid(
    rows=("epsilon_tail", 0.0),
    columns=("epsilon_head", 0.3),
    panels=("form", "concave"),
    order=grid.FORMS,
    names=("epsilon of the smallest class", "epsilon of the largest class"),
)
"""The settings that are varied, with MiSLAS's values for CIFAR-10-LT where a method's text has none."""


def epsilons(page: Page, runs: Sequence[Run]) -> None:
    """Accuracy and ECE over the epsilons and forms, and what they say."""
    if not runs:
        page.say(f"No epsilon was run; {AWABS.command('epsilons', page.profile)} trains them.")
        return
    what = f"proposed method 2 over its two epsilons and three forms, {AWABS.where(page.profile)}"
    page.say(limit_sentence(runs))
    sweeps.show(page, "Epsilons", runs, GRID, what, panels="form")


def limit_sentence(runs: Sequence[Run]) -> str:
    """Accuracy with an epsilon of the largest class below and above the limit of `largest_epsilon`."""
    counts = runs[0].class_counts
    limit = largest_epsilon(len(counts), max(counts) / min(counts))
    sides: dict[bool, list[Run]] = {True: [], False: []}
    for run in runs:
        sides[setting_of(run, *GRID.columns) < limit].append(run)
    if not all(sides.values()):
        side = "below" if sides[True] else "above"
        by = by_setting(runs, *GRID.columns)
        said = ", ".join(f"{100 * mean(by[e], 'accuracy', 'head'):.1f}% with {e:g}" for e in sorted(by))
        return (
            f"Every epsilon of the largest class lies {side} the limit of this set, {limit:.2f}. The head's mean "
            f"accuracy by that epsilon: {said}."
        )
    head = {safe: mean(own, "accuracy", "head") for safe, own in sides.items()}
    whole = {safe: mean(own, "accuracy") for safe, own in sides.items()}
    return (
        f"The limit of this set is {limit:.2f} (section 3.3 above): below it the accuracy is {100 * whole[True]:.1f}% "
        f"on average and the head's {100 * head[True]:.1f}%, above it {100 * whole[False]:.1f}% and "
        f"{100 * head[False]:.1f}%."
    )

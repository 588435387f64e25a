"""Accuracy over imbalance factors: what a longer tail costs each method."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ltlib.labels import label

if TYPE_CHECKING:
    from ltlib.pages.page import Page
    from ltlib.runs import Run
    from ltlib.sections.study import Study

Values = Mapping[str, Mapping[float, Sequence[float]]]
"""A run's number each, by method and imbalance factor."""


def show(page: Page, study: Study, runs: Sequence[Run], metric: str = "accuracy") -> None:
    """A metric against the imbalance factor, a line a method, and what the longest tail costs."""
    from ltlib.plots import curves

    if not runs:
        page.say(f"No run at another imbalance factor is there; {study.command('factors', page.profile)} trains them.")
        return
    found, first = values(study, runs, metric), runs[0].experiment
    caption = f"Test {label(metric)} at the selected epoch, {label(first.model)} on {label(first.dataset)}."
    page.figure("Robustness", curves.factors(found, names=study.document.names), caption=caption, runs=runs)
    page.say(sentence(study, found, metric))


def values(study: Study, runs: Iterable[Run], metric: str = "accuracy") -> dict[str, dict[float, list[float]]]:
    """A metric at the selected epoch by method and imbalance factor."""
    found: dict[str, dict[float, list[float]]] = {}
    for run in runs:
        own = found.setdefault(study.row(run), {})
        own.setdefault(run.experiment.imbalance_factor, []).append(run.metrics["selected"][metric])
    return found


def sentence(study: Study, found: Values, metric: str = "accuracy") -> str:
    """How much each method loses from the smallest to the largest factor, the least first."""
    ends = sorted({factor for own in found.values() for factor in own})
    lost = {
        method: float(np.mean(own[ends[0]]) - np.mean(own[ends[-1]]))
        for method, own in found.items()
        if ends[0] in own and ends[-1] in own
    }
    if len(ends) < 2 or not lost:
        return "Runs at two imbalance factors are needed to say what a longer tail costs."
    order = sorted(lost.items(), key=lambda item: item[1])
    said = ", ".join(f"{study.name(method)} {100 * loss:.1f}" for method, loss in order)
    span = f"From imbalance factor {ends[0]:g} to {ends[-1]:g}"
    return f"{span} the {label(metric)} falls by, in points, least first: {said}."

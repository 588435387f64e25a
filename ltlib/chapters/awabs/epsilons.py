"""The page `awabs/methods`: proposed method 2 over its two epsilons and three forms."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ltlib import grids
from ltlib.chapters.awabs import AWABS
from ltlib.chapters.awabs.optimum import largest_epsilon
from ltlib.grids import awabs as grid
from ltlib.plots import Chart
from ltlib.sections.scores import CLOSE, mean, points, setting_of

if TYPE_CHECKING:
    from ltlib.pages.page import Page
    from ltlib.runs import Run

METRICS = {"accuracy": "Accuracy", "ece": "ECE", "head": "Head accuracy", "middle": "Middle accuracy",
           "tail": "Tail accuracy"}  # fmt: skip


def epsilon_values(runs: Iterable[Run], metric: str) -> dict[str, np.ndarray]:
    """Per form a metric over epsilon_tail (down) and epsilon_head (across), NaN where nothing was run."""
    heads, tails = list(grid.EPSILONS), sorted({tail for own in grid.EPSILONS.values() for tail in own})
    group = "" if metric in ("accuracy", "ece") else metric
    by: dict[tuple[str, float, float], list[Run]] = {}
    for run in runs:
        place = (
            setting_of(run, "form", "concave"),
            setting_of(run, "epsilon_head", 0.3),
            setting_of(run, "epsilon_tail", 0.0),
        )
        by.setdefault(place, []).append(run)
    return {
        form: np.array([[mean(by.get((form, h, t), ()), "accuracy" if group else metric, group) for h in heads]
                        for t in tails])
        for form in grid.FORMS
    }  # fmt: skip


def epsilon_map(runs: Iterable[Run], metric: str, form: str | None = None) -> Chart:
    """Heat maps of a metric over the epsilons, a panel a form, or one form's alone."""
    from ltlib.plots import panels

    values = epsilon_values(runs, metric)
    shown = values if form is None else {form: values[form]}
    heads, tails = list(grid.EPSILONS), sorted({tail for own in grid.EPSILONS.values() for tail in own})
    return panels.heat_maps(
        shown,
        [f"{t:g}" for t in tails],
        [f"{h:g}" for h in heads],
        quantity=METRICS[metric],
        row_name="epsilon of the smallest class",
        column_name="epsilon of the largest class",
        lower_is_better=metric == "ece",
    )


def epsilons(page: Page, runs: Sequence[Run]) -> None:
    """Accuracy and ECE over the epsilons and forms, and what they say."""
    if not runs:
        page.say(f"No epsilon was run; {grids.command(AWABS.id, 'epsilons', page.profile)} trains them.")
        return
    where = AWABS.where(page.profile)
    for metric, name in (("accuracy", "Epsilons, accuracy"), ("ece", "Epsilons, ECE")):
        caption = f"{METRICS[metric]} of proposed method 2 over its two epsilons and three forms, {where}; best framed."
        page.figure(name, epsilon_map(runs, metric), caption=caption, runs=runs)
    page.say(epsilons_sentence(runs))


def explore(page: Page, runs: Sequence[Run]) -> None:
    """The maps with a choice of form and metric; where nobody can choose, head and tail of the concave form."""
    if not runs:
        return

    def shown(form: str, metric: str) -> Chart:
        return epsilon_map(runs, metric, form)

    fixed = [{"form": "concave", "metric": metric} for metric in ("head", "tail")]
    page.explore(shown, fixed, form=list(grid.FORMS), metric=list(METRICS))


def epsilons_sentence(runs: Sequence[Run]) -> str:
    """Best settings, what the form matters, and what happens beyond the limit of section 3.3."""
    text = []
    for metric in ("accuracy", "ece"):
        values = epsilon_values(runs, metric)
        every = np.stack([values[form] for form in grid.FORMS])
        known = every[np.isfinite(every)]
        if len(known) < 2:
            return f"Only one setting was run. {limit_sentence(runs)}"
        best = float(known.min() if metric == "ece" else known.max())
        near = int((np.abs(known - best) <= CLOSE[metric]).sum())
        said = (
            f"{METRICS[metric]}: {100 * known.min():.1f}% to {100 * known.max():.1f}%, {near} of {len(known)} settings "
            f"within {_tolerance(metric)} of the best"
        )
        counted = np.isfinite(every).all(axis=0)
        if counted.any():
            form = float((every.max(axis=0) - every.min(axis=0))[counted].max())
            said += f"; the form alone moves it by at most {points(form)}"
        text.append(f"{said}.")
    return " ".join(text) + " " + limit_sentence(runs)


def _tolerance(metric: str) -> str:
    size = 100 * CLOSE[metric]
    return f"{size:g} point{'s' * (size != 1)}"


def limit_sentence(runs: Sequence[Run]) -> str:
    """Accuracy with an epsilon of the largest class below and above the limit of `largest_epsilon`."""
    counts = runs[0].class_counts
    limit = largest_epsilon(len(counts), max(counts) / min(counts))
    sides: dict[bool, list[Run]] = {True: [], False: []}
    for run in runs:
        sides[setting_of(run, "epsilon_head", 0.3) < limit].append(run)
    if not all(sides.values()):
        side = "below" if sides[True] else "above"
        by: dict[float, list[Run]] = {}
        for run in runs:
            by.setdefault(setting_of(run, "epsilon_head", 0.3), []).append(run)
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

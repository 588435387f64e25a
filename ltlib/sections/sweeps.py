"""A method over settings of its own: heat maps of a score over two settings, a panel for each value of a third.

grid = Grid(rows=("epsilon_tail", 0.0), columns=("epsilon_head", 0.3), panels=("form", "concave"))
page.figure("Epsilons", sweeps.heat_maps(runs, grid, "ece"), caption=...)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ltlib.tables.scores import CLOSE, WORDS, points, without_chance
from ltlib.tables.sweeps import Grid, axis, place, values

if TYPE_CHECKING:
    from ltlib.pages.page import Page
    from ltlib.plots import Chart
    from ltlib.runs import Run


def heat_maps(runs: Sequence[Run], grid: Grid, metric: str, group: str = "", only: Any = None) -> Chart:
    """Heat maps of a metric.

    Args:
        runs: Runs of one method with different settings.
        grid: Which settings.
        metric: ``accuracy`` or ``ece``.
        group: A class group; empty for all test images.
        only: One panel's value, to show that alone.
    """
    from ltlib.plots import panels

    found, places = values(runs, grid, metric, group), [place(run, grid) for run in runs]
    return panels.heat_maps(
        found if only is None else {only: found[only]},
        [f"{value:g}" for value in axis(places, 0)],
        [f"{value:g}" for value in axis(places, 1)],
        quantity=quantity(metric, group),
        row_name=grid.names[0] or grid.rows[0].replace("_", " "),
        column_name=grid.names[1] or grid.columns[0].replace("_", " "),
        lower_is_better=metric == "ece",
    )


def show(page: Page, name: str, runs: Sequence[Run], grid: Grid, what: str, panels: str) -> None:
    """Accuracy and ECE over the settings, and what they say.

    Args:
        page: The page.
        name: Of the figures, which add the metric.
        runs: Runs of one method with different settings.
        grid: Which settings.
        what: What is varied and where, for the captions.
        panels: What a panel is, in words: ``form``.
    """
    page.say(sentence(runs, grid, panels))
    for metric, word in WORDS.items():
        caption = f"{quantity(metric)} of {what}; best framed."
        page.figure(f"{name}, {word}", heat_maps(runs, grid, metric), caption=caption, runs=runs)


def explore(page: Page, runs: Sequence[Run], grid: Grid, fixed: Iterable[Mapping[str, Any]]) -> None:
    """The maps with a choice of panel and score; where nobody can choose, a few fixed ones.

    Args:
        page: The page.
        runs: Runs of one method with different settings.
        grid: Which settings.
        fixed: A panel's value by its setting's name, and ``metric``: accuracy, ece or a class group.
    """
    if not runs:
        return
    choices: dict[str, list[Any]] = {"metric": [*WORDS, *runs[0].groups]}
    choices[grid.panels[0]] = list(grid.order) or axis([place(run, grid) for run in runs], 2)

    def shown(metric: str, **panel: Any) -> Chart:
        name, group = (metric, "") if metric in WORDS else ("accuracy", metric)
        return heat_maps(runs, grid, name, group, only=panel[grid.panels[0]])

    page.explore(shown, fixed, **choices)


def quantity(metric: str, group: str = "") -> str:
    """What a map shows, in words: ``Head accuracy``."""
    words = f"{group} {WORDS[metric]}".strip()
    return words[:1].upper() + words[1:]


def sentence(runs: Sequence[Run], grid: Grid, panels: str, metrics: Iterable[str] = ("accuracy", "ece")) -> str:
    """How much the settings move each metric, how many are as good as the best, what the panels matter, and for the ECE
    what chance alone gives.

    Args:
        runs: Runs of one method with different settings.
        grid: Which settings.
        panels: What a panel is, in words: ``form``.
        metrics: ``accuracy``, ``ece`` or both.
    """
    text = []
    for metric in metrics:
        every = np.stack(list(values(runs, grid, metric).values()))
        known = every[np.isfinite(every)]
        if len(known) < 2:
            return "Only one setting was run."
        best = float(known.min() if metric == "ece" else known.max())
        near = int((np.abs(known - best) <= CLOSE[metric]).sum())
        said = (
            f"{quantity(metric)}: {100 * known.min():.1f}% to {100 * known.max():.1f}%, {near} of {len(known)} "
            f"settings within {_tolerance(metric)} of the best"
        )
        counted = np.isfinite(every).all(axis=0)
        if counted.any():
            moved = float((every.max(axis=0) - every.min(axis=0))[counted].max())
            said += f"; the {panels} alone moves it by at most {points(moved)}"
        if metric == "ece":
            floors = [without_chance([run])[0] for run in runs]
            said += f"; chance alone gives {100 * min(floors):.1f}% to {100 * max(floors):.1f}%"
        text.append(f"{said}.")
    return " ".join(text)


def _tolerance(metric: str) -> str:
    size = 100 * CLOSE[metric]
    return f"{size:g} point{'s' * (size != 1)}"

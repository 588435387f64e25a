"""A metric of one method over three of its settings: rows, columns, and a panel for each value of the third."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ltlib.tables.scores import mean, setting_of

if TYPE_CHECKING:
    from ltlib.runs import Run


class Grid(NamedTuple):
    """Three settings of a method, each with the value that a text without it has.

    Attributes:
        rows: Down.
        columns: Across.
        panels: A panel for each value.
        order: The panels' values in their order; those of the runs where it is empty.
        names: What to call rows and columns.
    """

    rows: tuple[str, Any]
    columns: tuple[str, Any]
    panels: tuple[str, Any]
    order: Sequence[Any] = ()
    names: tuple[str, str] = ("", "")


def values(runs: Iterable[Run], grid: Grid, metric: str, group: str = "") -> dict[Any, np.ndarray]:
    """A metric [rows, columns] by panel, a mean over seeds; NaN where nothing was run."""
    by: dict[tuple[Any, Any, Any], list[Run]] = {}
    for run in runs:
        by.setdefault(place(run, grid), []).append(run)
    down, across = axis(by, 0), axis(by, 1)
    return {
        panel: np.array([[mean(by.get((row, column, panel), ()), metric, group) for column in across] for row in down])
        for panel in (grid.order or axis(by, 2))
    }


def axis(places: Iterable[tuple[Any, Any, Any]], which: int) -> list[Any]:
    """The values that occur in one of a place's three settings, ascending."""
    return sorted({place[which] for place in places})


def place(run: Run, grid: Grid) -> tuple[Any, Any, Any]:
    """A run's row, column and panel."""
    row, column, panel = (setting_of(run, *setting) for setting in (grid.rows, grid.columns, grid.panels))
    return row, column, panel

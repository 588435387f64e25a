"""Lines over the classes, heat maps of settings: several panels that share their axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from ltlib.errors import SettingError
from ltlib.plots import alt
from ltlib.plots.heat import cells
from ltlib.plots.palette import INK, INKS, MUTED
from ltlib.plots.style import DASHES, DOUBLE, MARKERS, ROUND, Chart, Look, chart, light_grid, styled, title_above

_LOOKS = tuple(Look(INKS[i], MARKERS[i], DASHES[i % len(DASHES)]) for i in range(len(INKS)))


@styled
def class_lines(
    panels: Mapping[str, Mapping[str, Sequence[float]]], *, ylabel: str, what: str = "", title: str = ""
) -> Chart:
    """Fractions per class as lines, largest class left; a panel for each set.

    Args:
        panels: Heading of a panel to its lines, each a name and one fraction per class.
        ylabel: What the fractions are; drawn as percent.
        what: The same for the alternative text; by default `ylabel`.
        title: Printed above.

    Raises:
        SettingError: No panel, one without lines, or more lines than there are looks.
    """
    names = list(dict.fromkeys(name for lines in panels.values() for name in lines))
    if not names or not all(panels.values()) or len(names) > len(_LOOKS):
        raise SettingError(f"lines over classes need one to {len(_LOOKS)} names and a line in every panel")
    fig = chart(DOUBLE, 2.7)
    title_above(fig, title)
    grid = fig.subplots(1, len(panels), squeeze=False, sharey=True)[0]
    looks = dict(zip(names, _LOOKS, strict=False))
    rows: dict[str, list[Any]] = {"panel": [], "line": [], "class": [], "value": []}
    said = []
    for axes, (heading, lines) in zip(grid, panels.items(), strict=True):
        for name, values in lines.items():
            y = np.asarray(values, dtype=np.float64)
            axes.plot(np.arange(len(y)), 100 * y, label=name, **looks[name].line(len(y)))
            for key, column in zip(rows, ([heading] * len(y), [name] * len(y), range(len(y)), y.tolist()), strict=True):
                rows[key] += list(column)
        axes.set(title=heading, xlabel="Class, largest first")
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, steps=ROUND))
        light_grid(axes)
        ends = [f"{name} {_course(values)}" for name, values in lines.items()]
        said.append(f"{heading}: {', '.join(ends)}")
    grid[0].set_ylim(bottom=0)
    grid[0].set_ylabel(ylabel)
    handles = [Line2D([], [], label=name, **looks[name].line()) for name in names]
    fig.legend(handles=handles, loc="outside upper right", ncols=4)
    fig.alt = f"{what or ylabel}, from the largest over the middle to the smallest class. {'; '.join(said)}."
    fig.data = dict(rows)
    return fig


def _course(values: Sequence[float]) -> str:
    """First, middle and last number of a line, as percent."""
    known = [value for value in values if np.isfinite(value)]
    return ", ".join(alt.percent(float(known[i])) for i in (0, len(known) // 2, -1)) if known else "unknown"


@styled
def heat_maps(
    panels: Mapping[str, Any],
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    quantity: str,
    row_name: str,
    column_name: str,
    lower_is_better: bool = False,
    title: str = "",
) -> Chart:
    """One quantity over two settings, a panel for each value of a third; the best cell of all has a frame.

    Args:
        panels: Heading to fractions [rows, columns]; NaN where a setting does not exist or was not run.
        rows: Labels down.
        columns: Labels across.
        quantity: What is shown, as "Accuracy"; drawn as percent.
        row_name: What goes down.
        column_name: What goes across.
        lower_is_better: Darker is then smaller, so that dark is good in every map.
        title: Printed above.

    Raises:
        SettingError: No number at all, or panels of another shape than the labels.
    """
    tables = {heading: np.asarray(values, dtype=np.float64) for heading, values in panels.items()}
    if not tables or any(t.shape != (len(rows), len(columns)) for t in tables.values()):
        raise SettingError(f"each heat map must have {len(rows)} rows and {len(columns)} columns, as its labels")
    every = np.concatenate([t.ravel() for t in tables.values()])
    known = every[np.isfinite(every)]
    if not len(known):
        raise SettingError(f"there is no {quantity} to draw")
    low, high = float(known.min()), float(known.max())
    best = low if lower_is_better else high
    fig = chart(min(DOUBLE, 1.3 + 2.0 * len(tables)), 0.95 + 0.42 * len(rows))
    title_above(fig, title)
    grid = fig.subplots(1, len(tables), squeeze=False, sharey=True)[0]
    for axes, (heading, values) in zip(grid, tables.items(), strict=True):
        texts = np.array([[f"{100 * v:.1f}" for v in row] for row in values])
        mesh = cells(axes, 100 * values, texts, font=7.5, square=False, cmap="Blues_r" if lower_is_better else "Blues",
                     vmin=100 * low, vmax=100 * (high if high > low else low + 0.01))  # fmt: skip
        _mark_cells(axes, values, best)
        axes.set_xticks(np.arange(len(columns)) + 0.5, list(columns))
        axes.set_yticks(np.arange(len(rows)) + 0.5, list(rows))
        axes.set(title=heading, xlabel=column_name)
    grid[0].set_ylabel(row_name)
    bar: Any = fig.colorbar(mesh, ax=list(grid), shrink=0.9, pad=0.02)
    bar.set_label(f"{quantity} (%)")
    bar.outline.set_linewidth(0.5)
    fig.alt = _heat_alt(tables, rows, columns, quantity, row_name, column_name, best)
    fig.data = {
        "panel": [heading for heading in tables for _ in range(len(rows) * len(columns))],
        row_name: [row for _ in tables for row in rows for _ in columns],
        column_name: [column for _ in tables for _ in rows for column in columns],
        quantity: [float(v) for t in tables.values() for v in t.ravel()],
    }
    return fig


def _mark_cells(axes: Axes, values: np.ndarray, best: float) -> None:
    """A dash where there is no number, a frame around the best."""
    for i, j in np.argwhere(~np.isfinite(values)):
        axes.text(j + 0.5, i + 0.5, "–", ha="center", va="center", fontsize=7, color=MUTED)
    for i, j in np.argwhere(values == best):
        axes.add_patch(Rectangle((j + 0.03, i + 0.06), 0.94, 0.88, fill=False, edgecolor=INK, linewidth=1.6))


def _heat_alt(
    tables: Mapping[str, np.ndarray],
    rows: Sequence[str],
    columns: Sequence[str],
    quantity: str,
    row_name: str,
    column_name: str,
    best: float,
) -> str:
    parts = []
    for heading, values in tables.items():
        known = values[np.isfinite(values)]
        parts.append(
            f"{heading} {alt.percent(float(known.min()))} to {alt.percent(float(known.max()))}"
            if len(known)
            else f"{heading} not run"
        )
    where = [
        f"{heading}, {row_name} {rows[i]}, {column_name} {columns[j]}"
        for heading, values in tables.items()
        for i, j in np.argwhere(values == best)
    ]
    return f"{quantity} by settings: {'; '.join(parts)}. Best, {alt.percent(best)}: {' and '.join(where)}."

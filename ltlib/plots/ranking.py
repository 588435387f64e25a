"""A ranking: one line a result, best first, with its interval and a mark that says whose it is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.lines import Line2D

from ltlib.errors import SettingError
from ltlib.plots import alt
from ltlib.plots.palette import BLUE, INK, MUTED, VERMILLION
from ltlib.plots.style import DOUBLE, Chart, chart, light_grid, styled, with_long_names

_LOOKS = (("s", VERMILLION), ("o", BLUE), ("^", INK), ("D", MUTED))


@styled
def ranking(
    rows: Sequence[Mapping[str, Any]], kinds: Sequence[str], *, xlabel: str = "Accuracy (%)", title: str = ""
) -> Chart:
    """Results as points, from top to bottom as they are given.

    Args:
        rows: ``name``, ``value``, ``low`` and ``high`` (fractions, NaN where there is no interval), ``kind``, and
            ``apart``: whether the row is drawn hollow, because it cannot be compared with the filled ones.
        kinds: What ``kind`` may be, at most four, in the order of the legend.
        xlabel: What the fractions are.
        title: Printed above.

    Raises:
        SettingError: No row, or one of an unknown kind.
    """
    if not rows or any(row["kind"] not in kinds[: len(_LOOKS)] for row in rows):
        raise SettingError(f"a ranking needs at least one row, each of a kind among {', '.join(kinds[: len(_LOOKS)])}")
    fig = with_long_names(chart(DOUBLE, 0.8 + 0.155 * len(rows)))
    axes = fig.add_subplot()
    for i, row in enumerate(rows):
        marker, color = _LOOKS[kinds.index(row["kind"])]
        if not math.isnan(row["low"]):
            axes.plot([100 * row["low"], 100 * row["high"]], [i, i], color=color, linewidth=1.1, zorder=1)
        axes.plot(100 * row["value"], i, marker, markersize=5, markeredgecolor=color, markeredgewidth=0.9,
                  color="white" if row["apart"] else color, zorder=2)  # fmt: skip
    axes.set_yticks(range(len(rows)), [str(row["name"]) for row in rows], fontsize=6.5)
    axes.set(ylim=(len(rows) - 0.4, -0.6), xlabel=xlabel, title=title)
    axes.tick_params(axis="y", length=0)
    light_grid(axes, "x")
    there = [kind for kind in kinds if any(row["kind"] == kind for row in rows)]
    handles = [
        Line2D([], [], linestyle="none", marker=_LOOKS[kinds.index(kind)][0], color=_LOOKS[kinds.index(kind)][1],
               label=kind) for kind in there
    ]  # fmt: skip
    if any(row["apart"] for row in rows):
        hollow = Line2D([], [], linestyle="none", marker="o", markerfacecolor="white", color=MUTED, label="apart")
        handles.append(hollow)
    fig.legend(handles=handles, loc="outside upper right", ncols=len(handles))
    said = [f"{row['name']} {alt.percent(row['value'])}{' (apart)' if row['apart'] else ''}" for row in rows]
    fig.alt = f"{xlabel.removesuffix(' (%)')}, best first: {'; '.join(said)}."
    fig.data = {key: [row[key] for row in rows] for key in ("name", "kind", "value", "low", "high", "apart")}
    return fig

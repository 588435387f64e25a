"""Bars: a result by network and method, the published number beside the reproduced one, gaps said aloud."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.patches import Patch

from ltlib.errors import SettingError
from ltlib.labels import label
from ltlib.plots import alt
from ltlib.plots.palette import INK, MUTED
from ltlib.plots.style import DOUBLE, Chart, chart, light_grid, method_looks, styled

INTERVAL_FROM = 3
"""Runs from which an interval is drawn: two do not make one."""
_INTERVAL = ("n", "ci_low", "ci_high")


@styled
def result_bars(
    table: Any,
    *,
    value: str = "accuracy",
    group: str = "model",
    series: str = "method",
    names: Mapping[str, str] | None = None,
    title: str = "",
) -> Chart:
    """Bars of one result: groups along the axis, a colour per series, published (outlined) and reproduced (filled).

    A result that was published and not run is a hatched grey bar that says so; one that was run and never published has
    no outlined bar.

    Args:
        table: Rows with the columns named by `group` and `series`, ``published`` and ``reproduced`` (fractions, NaN
            where missing), and either all of ``n``, ``ci_low`` and ``ci_high`` (runs and their interval) or none of
            them: then no interval is drawn. With a column ``metric``, as `ltlib.tables.compare` gives it, only the rows
            of `value` are drawn.
        value: What the numbers are: accuracy, f1, ...
        group: Column along the axis.
        series: Column of the colours.
        names: What to call a series, where that is not its usual name.
        title: Printed above.

    Raises:
        SettingError: A column is missing, the interval's columns are there in part, or there is no row.
    """
    rows = _rows(table, (group, series, "published", "reproduced"), value)
    groups = list(dict.fromkeys(str(row[group]) for row in rows))
    found = list(dict.fromkeys(str(row[series]) for row in rows))
    looks, called = method_looks(found), {name: (names or {}).get(name, label(name)) for name in found}
    fig = chart(DOUBLE, 3.1)
    axes = fig.add_subplot()
    width = 0.84 / (2 * len(found))
    font = 6.5 if len(rows) <= 12 else 5.5
    top = max(
        [100 * v for row in rows for v in (row["published"], row["reproduced"], row["ci_high"]) if np.isfinite(v)],
        default=1,
    )
    for row in rows:
        look = looks[str(row[series])]
        x = groups.index(str(row[group])) - 0.42 + (2 * found.index(str(row[series])) + 0.5) * width
        published, ours = 100 * row["published"], 100 * row["reproduced"]
        if np.isfinite(published):
            axes.bar(x, published, width * 0.92, facecolor="white", edgecolor=look.color, linewidth=1.1)
            axes.annotate(
                f"{published:.1f}", (x, published), (0, 1.5), textcoords="offset points", ha="center", fontsize=font
            )
        x += width
        if np.isfinite(ours):
            axes.bar(x, ours, width * 0.92, facecolor=look.color, edgecolor=INK, linewidth=0.5, hatch=look.hatch)
            above = ours
            if row["n"] >= INTERVAL_FROM and np.isfinite(row["ci_low"]) and np.isfinite(row["ci_high"]):
                above = max(ours, 100 * row["ci_high"])
                axes.errorbar(
                    x,
                    ours,
                    [[ours - 100 * row["ci_low"]], [100 * row["ci_high"] - ours]],
                    color=INK,
                    capsize=2,
                    linewidth=0.9,
                )
            axes.annotate(
                f"{ours:.1f}",
                (x, above),
                (0, 1.5),
                textcoords="offset points",
                ha="center",
                fontsize=font,
                fontweight="bold",
            )
        else:
            height = published if np.isfinite(published) else 0.5 * top
            axes.bar(x, height, width * 0.92, facecolor="#F4F4F4", edgecolor="#B5B5B5", linewidth=0.7, hatch="///")
            box = {"facecolor": "#F4F4F4", "edgecolor": "none", "pad": 1.0}
            axes.text(x, height / 2, "not run", rotation=90, ha="center", va="center", fontsize=7, bbox=box)
    axes.set_xticks(range(len(groups)), [label(g) for g in groups])
    axes.tick_params(axis="x", length=0)
    axes.set(xlim=(-0.52, len(groups) - 0.48), ylim=(0, top * 1.1), title=title)
    axes.set_ylabel(f"{label(value)[:1].upper()}{label(value)[1:]} (%)")
    light_grid(axes)
    handles = [
        Patch(facecolor=looks[n].color, edgecolor=INK, linewidth=0.5, hatch=looks[n].hatch, label=called[n])
        for n in found
    ]
    handles += [
        Patch(facecolor="white", edgecolor=MUTED, label="published"),
        Patch(facecolor=MUTED, label="reproduced"),
    ]
    if any(row["n"] >= INTERVAL_FROM for row in rows):
        handles[-1].set_label("reproduced, 95% interval")
    fig.legend(handles=handles, loc="outside upper right", ncols=len(handles))
    fig.alt = alt.bars(rows, group, series, value)
    fig.data = {
        key: [row[key] for row in rows] for key in (group, series, "published", "reproduced", "n", "ci_low", "ci_high")
    }
    return fig


def accuracy_bars(table: Any, *, names: Mapping[str, str] | None = None, title: str = "") -> Chart:
    """Accuracy of several networks by several methods, published and reproduced; see `result_bars`."""
    return result_bars(table, value="accuracy", group="model", series="method", names=names, title=title)


def _rows(table: Any, needed: tuple[str, ...], value: str) -> list[dict[str, Any]]:
    """Rows as dictionaries with every number a float, from a DataFrame or a list of mappings."""
    found = table.to_dict("records") if hasattr(table, "to_dict") else [dict(row) for row in table]
    if any("metric" in row for row in found):
        found = [row for row in found if row["metric"] == value]
    if not found:
        raise SettingError(f"there is nothing to draw: the table has no row of {value}")
    interval = any(name in row for row in found for name in _INTERVAL)
    for row in found:
        for name in (*needed, *(_INTERVAL if interval else ())):
            if name not in row:
                raise SettingError(f"the table has no column {name!r}; it has {', '.join(map(str, row))}")
        if not interval:
            row |= {"n": 0, "ci_low": np.nan, "ci_high": np.nan}
        for name in ("published", "reproduced", "ci_low", "ci_high"):
            row[name] = np.nan if row[name] is None else float(row[name])
        row["n"] = 0 if row["n"] is None or row["n"] != row["n"] else int(row["n"])
    return found

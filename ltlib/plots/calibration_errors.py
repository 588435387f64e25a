"""What a calibration error depends on: the number of bins, chance, and which images are put into a group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from ltlib.errors import SettingError
from ltlib.labels import label
from ltlib.plots import alt
from ltlib.plots.palette import BLUE, INK, MUTED
from ltlib.plots.style import (
    DOUBLE,
    ROUND,
    Chart,
    chart,
    group_look,
    light_grid,
    method_looks,
    styled,
    title_above,
    with_long_names,
)


@styled
def over_bins(
    panels: Mapping[str, Mapping[str, Sequence[float]]],
    bins: Sequence[int],
    *,
    names: Mapping[str, str] | None = None,
    chance: Mapping[str, Sequence[float]] | None = None,
    marked: int = 15,
    title: str = "",
) -> Chart:
    """Calibration error against the number of bins, a panel for each kind of bins and a line for each method.

    Args:
        panels: Kind of bins to method to its errors (fractions), one for each entry of `bins`.
        bins: Numbers of bins.
        names: Legend texts where a method's own name will not do.
        chance: By kind of bins what a perfectly calibrated classifier would show, drawn dotted.
        marked: The usual number of bins, marked by a line.
        title: Printed above.

    Raises:
        SettingError: A line of another length than `bins`, or no line.
    """
    lines = [values for curves in panels.values() for values in curves.values()]
    if not lines or any(len(values) != len(bins) for values in lines):
        raise SettingError(f"every line needs {len(bins)} errors, one for each number of bins")
    fig = chart(DOUBLE, 2.9)
    title_above(fig, title)
    grid = fig.subplots(1, len(panels), squeeze=False, sharey=True)[0]
    rows: dict[str, list[Any]] = {"kind": [], "method": [], "bins": [], "error": []}
    said, at = [], list(bins).index(marked) if marked in bins else 0
    for axes, (kind, curves) in zip(grid, panels.items(), strict=True):
        for method, look in method_looks(list(curves)).items():
            axes.plot(bins, 100 * np.asarray(curves[method]), **look.line(len(bins)))
        if chance and kind in chance:
            axes.plot(bins, 100 * np.asarray(chance[kind]), color=MUTED, linestyle=(0, (1, 1.2)))
        axes.axvline(marked, color=MUTED, linewidth=0.7)
        axes.set(xlabel="Bins", title=kind, ylim=(0, None), xlim=(0, max(bins) + 1))
        axes.locator_params(axis="x", steps=ROUND)
        light_grid(axes)
        every = {**curves, **({"chance": chance[kind]} if chance and kind in chance else {})}
        for method, values in every.items():
            rows["kind"] += [kind] * len(bins)
            rows["method"] += [method] * len(bins)
            rows["bins"] += list(bins)
            rows["error"] += [float(v) for v in values]
        ends = [f"{_name(m, names)} {alt.percent(v[0])}, {alt.percent(v[at])}, {alt.percent(v[-1])}"
                for m, v in every.items()]  # fmt: skip
        said.append(f"{kind}: {'; '.join(ends)}")
    grid[0].set_ylabel("Calibration error (%)")
    first = next(iter(panels.values()))
    handles = [
        Line2D([], [], label=_name(m, names), **{k: v for k, v in look.line(1).items() if k != "markevery"})
        for m, look in method_looks(list(first)).items()
    ]
    if chance:
        handles.append(Line2D([], [], color=MUTED, linestyle=(0, (1, 1.2)), label="chance alone"))
    fig.legend(handles=handles, loc="outside lower center", ncols=4)
    fig.alt = f"Calibration error with {bins[0]}, {bins[at]} and {bins[-1]} bins. {'. '.join(said)}."
    fig.data = dict(rows)
    return fig


@styled
def with_intervals(rows: Sequence[Mapping[str, Any]], *, title: str = "") -> Chart:
    """Calibration errors with their intervals over test images, and what chance alone would give.

    Args:
        rows: For each method ``method``, ``ece``, ``low``, ``high`` and ``chance`` (fractions), drawn from the top.
        title: Printed above.

    Raises:
        SettingError: There is no row.
    """
    if not rows:
        raise SettingError("there is no calibration error to draw")
    fig = with_long_names(chart(DOUBLE * 0.9, 0.75 + 0.2 * len(rows)))
    axes = fig.add_subplot()
    for place, row in enumerate(rows):
        axes.plot([100 * row["low"], 100 * row["high"]], [place] * 2, color=BLUE, linewidth=1.4)
        axes.plot(100 * row["ece"], place, "o", color=BLUE, markeredgecolor="white", markeredgewidth=0.5)
        axes.plot(100 * row["chance"], place, "D", markerfacecolor="white", markeredgecolor=INK, markersize=4)
    axes.set_yticks(range(len(rows)), [label(str(row["method"])) for row in rows])
    axes.tick_params(axis="y", length=0)
    axes.set(ylim=(len(rows) - 0.5, -0.5), xlim=(0, None), xlabel="Expected calibration error (%)", title=title)
    light_grid(axes, "x")
    handles = [
        Line2D([], [], color=BLUE, marker="o", markeredgecolor="white", label="ECE, 95% interval over test images"),
        Line2D([], [], linestyle="", marker="D", markerfacecolor="white", markeredgecolor=INK, markersize=4,
               label="chance alone: perfectly calibrated, same confidences"),
    ]  # fmt: skip
    fig.legend(handles=handles, loc="outside lower center", ncols=2)
    parts = [f"{label(str(r['method']))} {alt.percent(r['ece'])} ({100 * r['low']:.1f} to {100 * r['high']:.1f}; "
             f"chance alone {100 * r['chance']:.1f})" for r in rows]  # fmt: skip
    fig.alt = f"Expected calibration error with its 95% interval: {', '.join(parts)}."
    fig.data = {key: [row[key] for row in rows] for key in ("method", "ece", "low", "high", "chance")}
    return fig


@styled
def group_gaps(panels: Mapping[str, Mapping[str, Mapping[str, float]]], *, title: str = "") -> Chart:
    """Confidence minus accuracy of class groups by method: above 0 over-confident, below under-confident.

    Args:
        panels: What the groups are made by, to method to group (head, middle, tail) to its gap, a fraction; NaN for a
            group without images.
        title: Printed above.

    Raises:
        SettingError: Nothing to draw.
    """
    methods = list(dict.fromkeys(m for gaps in panels.values() for m in gaps))
    if not methods:
        raise SettingError("there is no method whose gaps could be drawn")
    groups = list(next(iter(next(iter(panels.values())).values())))
    fig = with_long_names(chart(DOUBLE, 0.9 + 0.42 * len(methods)))
    title_above(fig, title)
    grid = fig.subplots(1, len(panels), squeeze=False, sharex=True, sharey=True)[0]
    rows: dict[str, list[Any]] = {"groups by": [], "method": [], "group": [], "confidence minus accuracy": []}
    said = []
    for axes, (kind, gaps) in zip(grid, panels.items(), strict=True):
        for i, method in enumerate(methods):
            for j, group in enumerate(groups):
                gap = gaps[method][group]
                place = i + 0.26 * (j - (len(groups) - 1) / 2)
                look = group_look(group)
                if np.isfinite(gap):
                    axes.barh(
                        place, 100 * gap, 0.24, color=look.color, hatch=look.hatch, edgecolor="white", linewidth=0
                    )
                    side = 1 if gap >= 0 else -1
                    text, where = f"{round(100 * gap):+d}", (100 * gap, place)
                    axes.annotate(text, where, (2 * side, 0), textcoords="offset points", va="center", fontsize=6,
                                  ha="left" if gap >= 0 else "right")  # fmt: skip
                rows["groups by"].append(kind)
                rows["method"].append(method)
                rows["group"].append(group)
                rows["confidence minus accuracy"].append(float(gap))
            own = ", ".join(f"{group} {100 * gaps[method][group]:+.1f}" for group in groups)
            said.append(f"{kind}, {label(method)}: {own}")
        axes.axvline(0, color=INK, linewidth=0.8)
        axes.set(title=kind, xlabel="Confidence minus accuracy (points)")
        axes.margins(x=0.12)
        light_grid(axes, "x")
    grid[0].set_yticks(range(len(methods)), [label(m) for m in methods])
    grid[0].set_ylim(len(methods) - 0.5, -0.5)
    for axes in grid:
        axes.tick_params(axis="y", length=0)
    handles = [Patch(facecolor=group_look(g).color, hatch=group_look(g).hatch, edgecolor="white", label=g)
               for g in groups]  # fmt: skip
    fig.legend(handles=handles, loc="outside lower center", ncols=len(groups))
    fig.alt = f"Confidence minus accuracy in points by class group. {'; '.join(said)}."
    fig.data = dict(rows)
    return fig


def _name(method: str, names: Mapping[str, str] | None) -> str:
    return (names or {}).get(method, label(method))

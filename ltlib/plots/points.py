"""Results as points: methods in a plane with their names, class groups on a line, a change as an arrow."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator

from ltlib.errors import SettingError
from ltlib.plots import alt
from ltlib.plots.palette import BLACK, BLUE, INK, MUTED, VERMILLION
from ltlib.plots.style import DOUBLE, GROUPS, Chart, chart, group_look, light_grid, styled, title_above

_FONT = 7.0
_WIDTH, _HEIGHT = 0.58, 1.15  # of a letter and a line, in font sizes


@styled
def plane(
    rows: Sequence[Mapping[str, Any]],
    *,
    x: str = "accuracy",
    y: str = "ece",
    xlabel: str = "Accuracy (%)",
    ylabel: str = "Expected calibration error (%)",
    emphasise: Sequence[str] = (),
    log: bool = False,
    floor: float | None = None,
    title: str = "",
) -> Chart:
    """Methods as points with their names beside them.

    Args:
        rows: ``name`` and the two fractions; those that have ``<x> before`` and ``<y> before`` too come with an arrow
            from there, an open mark.
        x: Key across.
        y: Key up.
        xlabel: Its name.
        ylabel: Its name.
        emphasise: Names to draw as filled squares.
        log: Up is logarithmic, where a few numbers are many times the others.
        floor: A fraction up, drawn as a dotted line across.
        title: Printed above.

    Raises:
        SettingError: No row, a number that is not finite, or with `log` one that is not above 0.
    """
    starts = [row for row in rows if f"{x} before" in row]
    if not rows or not all(math.isfinite(row[key]) for row in rows for key in (x, y)):
        raise SettingError("points in a plane need at least one row, and two finite numbers in each")
    if log and min(row[y] for row in rows) <= 0:
        raise SettingError(f"a logarithmic axis needs numbers above 0; the smallest {y} is {min(r[y] for r in rows)}")
    width, height = DOUBLE, 4.4
    fig = Chart(figsize=(width, height))
    axes = fig.add_axes((0.075, 0.105, 0.905, 0.83))
    ends = [(row[x], row[y]) for row in rows] + [(row[f"{x} before"], row[f"{y} before"]) for row in starts]
    across, up = 100 * np.array(ends).T
    if floor is not None:
        up = np.append(up, 100 * floor)
    axes.set(xlim=_room(across, 0.12), xlabel=xlabel, ylabel=f"{ylabel}, log scale" if log else ylabel, title=title)
    if log:
        axes.set_yscale("log")
        low, high = _room(np.log10(up), 0.08)
        axes.set_ylim(10**low, 10**high)
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter("")
        axes.tick_params(axis="y", which="minor", length=0)
    else:
        axes.set_ylim(*_room(up, 0.08))
    light_grid(axes, "both")
    if floor is not None:
        axes.axhline(100 * floor, color=MUTED, linewidth=0.9, linestyle=":", zorder=1)
    for i, row in enumerate(starts, len(rows)):
        look = VERMILLION if row["name"] in emphasise else BLUE
        arrow = {"arrowstyle": "-|>", "color": look, "linewidth": 0.9, "shrinkA": 2, "shrinkB": 4, "mutation_scale": 8}
        end = (100 * row[x], 100 * row[y])
        axes.annotate("", end, (across[i], up[i]), arrowprops=arrow, zorder=2)
        axes.plot(across[i], up[i], "s" if row["name"] in emphasise else "o", color=look, markersize=4,
                  markerfacecolor="white", zorder=3)  # fmt: skip
    for i, row in enumerate(rows):
        strong = row["name"] in emphasise
        axes.plot(across[i], up[i], "s" if strong else "o", color=VERMILLION if strong else BLUE,
                  markersize=6 if strong else 5, markeredgecolor="white", markeredgewidth=0.5, zorder=3)  # fmt: skip
    size = (72 * width * 0.905, 72 * height * 0.83)
    to_axes = axes.transData + axes.transAxes.inverted()
    points = np.column_stack([across, up[: len(across)]])
    shown = to_axes.transform(points)
    for i, row in enumerate(starts, len(rows)):  # names keep off the arrows
        to = next(j for j, other in enumerate(rows) if other is row)
        shown = np.vstack([shown, shown[i] + (shown[to] - shown[i]) * np.linspace(0.03, 0.97, 40)[:, None]])
    spots = [(sx * size[0], sy * size[1]) for sx, sy in shown]
    _names(axes, spots, [str(row["name"]) for row in rows], {str(n) for n in emphasise}, size)
    order = sorted(rows, key=lambda row: -row[x])
    said = [
        f"{row['name']} {alt.percent(row[x])} / {alt.percent(row[y])}"
        + (f", before {alt.percent(row[f'{x} before'])} / {alt.percent(row[f'{y} before'])}" if row in starts else "")
        for row in order
    ]
    fig.alt = f"{xlabel.removesuffix(' (%)')} / {ylabel.removesuffix(' (%)').lower()}, best accuracy first: "
    fig.alt += f"{'; '.join(said)}."
    if floor is not None:
        fig.alt += f" Chance alone gives {alt.percent(floor)}."
    keys = ["name", x, y, *((f"{x} before", f"{y} before") if starts else ())]
    fig.data = {key: [row.get(key, math.nan) for row in rows] for key in keys}
    return fig


def _room(values: np.ndarray, share: float) -> tuple[float, float]:
    margin = share * (float(np.ptp(values)) or 1.0)
    return float(values.min()) - margin, float(values.max()) + margin


def _names(
    axes: Axes,
    spots: Sequence[tuple[float, float]],
    names: Sequence[str],
    strong: set[str],
    size: tuple[float, float],
) -> None:
    """Each name where it covers nothing: tried around its point, near first; a thin line where it is not near."""
    taken = [(sx - 4, sy - 4, sx + 4, sy + 4) for sx, sy in spots]
    crowded = sorted(range(len(names)), key=lambda i: sum(math.dist(spots[i], other) for other in spots))
    for i in crowded:
        (sx, sy), text = spots[i], names[i]
        w, h = (_WIDTH + 0.09 * (text in strong)) * _FONT * len(text), _HEIGHT * _FONT
        best, cost = (sx + 6, sy - h / 2), math.inf
        for reach, turn in itertools.product((6, 12, 20, 30, 42, 56), range(16)):
            dx, dy = math.cos(turn * math.pi / 8), math.sin(turn * math.pi / 8)
            left = sx + reach * dx + (0 if dx > 0.3 else -w if dx < -0.3 else -w / 2)
            low = sy + reach * dy - h / 2
            box = (left, low, left + w, low + h)
            outside = left < 1 or low < 1 or box[2] > size[0] - 1 or box[3] > size[1] - 1
            own = sum(_overlap(box, other) for other in taken) + (1e6 if outside else 0) + 0.4 * reach
            if own < cost:
                best, cost = (left, low), own
        left, low = best
        taken.append((left, low, left + w, low + h))
        near = (min(max(sx, left), left + w), min(max(sy, low), low + h))
        if math.dist((sx, sy), near) > 9:
            axes.plot([sx / size[0], near[0] / size[0]], [sy / size[1], near[1] / size[1]], color=MUTED, linewidth=0.5,
                      transform=axes.transAxes, zorder=2)  # fmt: skip
        axes.text(left / size[0], (low + h / 2) / size[1], text, transform=axes.transAxes, fontsize=_FONT, va="center",
                  color=INK, fontweight="bold" if text in strong else "normal", zorder=4)  # fmt: skip


def _overlap(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> float:
    return max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))


def _roomy(height: float) -> Chart:
    """A chart with room at the left for long names: browsers set them a little wider than matplotlib measures."""
    fig = chart(DOUBLE, height)
    engine: Any = fig.get_layout_engine()
    engine.set(rect=(0.025, 0, 0.975, 1))
    return fig


@styled
def group_dots(
    rows: Sequence[Mapping[str, Any]], *, xlabel: str = "Accuracy (%)", promise: float | None = None, title: str = ""
) -> Chart:
    """One line a method with a mark for each class group and a bar for all images.

    Args:
        rows: ``name``, ``all``, and the fractions of ``head``, ``middle``, ``tail``; drawn from top to bottom. Where
            they have ``head interval`` and so on, two fractions each, those are drawn below one another.
        xlabel: What the fractions are.
        promise: A fraction that was promised, drawn as a dotted line.
        title: Printed above.

    Raises:
        SettingError: No row, or none with a class group.
    """
    groups = [name for name in GROUPS if any(name in row for row in rows)]
    if not rows or not groups:
        raise SettingError("dots by class group need at least one row with a class group")
    wide = any(f"{name} interval" in row for row in rows for name in groups)
    fig = _roomy(0.75 + (0.34 if wide else 0.185) * len(rows))
    axes = fig.add_subplot()
    steps = dict(zip(groups, np.linspace(-0.24, 0.24, len(groups)) if wide else [0.0] * len(groups), strict=True))
    for i, row in enumerate(rows):
        own = [100 * row[name] for name in groups if name in row]
        if not wide:
            axes.plot([min(own), max(own)], [i, i], color=MUTED, linewidth=0.8, zorder=1)
        for name in groups:
            look = group_look(name)
            if f"{name} interval" in row:
                ends = [100 * end for end in row[f"{name} interval"]]
                axes.plot(ends, [i + steps[name]] * 2, color=look.color, linewidth=1.1, zorder=1)
            if name in row:
                axes.plot(100 * row[name], i + steps[name], look.marker, color=look.color, markersize=5.5,
                          markeredgecolor="white", markeredgewidth=0.5)  # fmt: skip
        axes.plot(100 * row["all"], i, "|", color=BLACK, markersize=10, markeredgewidth=1.6)
    axes.set_yticks(range(len(rows)), [str(row["name"]) for row in rows])
    axes.set(ylim=(len(rows) - 0.4, -0.6), xlabel=xlabel, title=title)
    if promise is not None:
        axes.axvline(100 * promise, color=MUTED, linewidth=0.9, linestyle=":", zorder=0)
    axes.tick_params(axis="y", length=0)
    light_grid(axes, "x")
    handles = [
        Line2D([], [], linestyle="none", marker=group_look(name).marker, color=group_look(name).color, label=name)
        for name in groups
    ]
    handles.append(Line2D([], [], linestyle="none", marker="|", color=BLACK, markeredgewidth=1.6, label="all"))
    fig.legend(handles=handles, loc="outside upper right", ncols=4)

    def told(row: Mapping[str, Any], name: str) -> str:
        low, high = row.get(f"{name} interval", (None, None))
        within = "" if low is None else f" ({alt.percent(low)} to {alt.percent(high)})"
        return f"{name} {alt.percent(row[name])}{within}"

    said = [f"{row['name']} {', '.join(told(row, n) for n in (*groups, 'all') if n in row)}" for row in rows]
    promised = "" if promise is None else f", promised {alt.percent(promise)}"
    fig.alt = f"{xlabel.removesuffix(' (%)')} by class group{promised}. {'; '.join(said)}."
    fig.data = {key: [row[key] for row in rows] for key in ("name", "all")}
    fig.data |= {name: [row.get(name, math.nan) for row in rows] for name in groups}
    if wide:
        for name in groups:
            drawn = [row.get(f"{name} interval", (math.nan, math.nan)) for row in rows]
            fig.data |= {f"{name} low": [low for low, _ in drawn], f"{name} high": [high for _, high in drawn]}
    return fig


@styled
def changes(
    rows: Sequence[Mapping[str, Any]], moved: tuple[str, str], course: tuple[str, str], *, title: str = ""
) -> Chart:
    """Before and after, printed and ours beside each other: one quantity as its change, one as an arrow.

    Args:
        rows: ``name``, ``side`` (``printed`` or ``ours``), and for each quantity the fractions ``<key> before`` and
            ``<key> after``.
        moved: Key and name of the quantity whose change is drawn, left.
        course: Key and name of the quantity drawn from before (open) to after (filled), right.
        title: Printed above.

    Raises:
        SettingError: No row.
    """
    if not rows:
        raise SettingError("a change needs at least one row")
    names = list(dict.fromkeys(str(row["name"]) for row in rows))
    both = len({row["side"] for row in rows}) > 1
    looks = {"printed": (BLUE, "o", -0.17 * both), "ours": (VERMILLION, "s", 0.17 * both)}
    fig = _roomy(0.8 + (0.21 if both else 0.185) * len(names))
    title_above(fig, title)
    left, right = fig.subplots(1, 2, sharey=True)
    for row in rows:
        color, marker, shift = looks[row["side"]]
        place = names.index(str(row["name"])) + shift
        change = 100 * (row[f"{moved[0]} after"] - row[f"{moved[0]} before"])
        left.plot([0, change], [place, place], color=color, linewidth=1.2)
        left.plot(change, place, marker, color=color, markersize=4.5)
        start, stop = 100 * row[f"{course[0]} before"], 100 * row[f"{course[0]} after"]
        right.plot(start, place, marker, color=color, markerfacecolor="white", markersize=4.5)
        right.plot(stop, place, marker, color=color, markersize=4.5)
        arrow = {"arrowstyle": "->", "color": color, "linewidth": 0.9, "shrinkA": 3, "shrinkB": 2}
        right.annotate("", (stop, place), (start, place), arrowprops=arrow)
    left.axvline(0, color=INK, linewidth=0.8)
    left.set(xlabel=f"Change of {moved[1]} (points)")
    right.set(xlabel=f"{course[1]} (%), open before, filled after")
    for axes in (left, right):
        axes.tick_params(axis="y", length=0)
        light_grid(axes, "x")
    left.set_yticks(range(len(names)), names)
    left.set_ylim(len(names) - 0.4, -0.6)
    sides = [side for side in looks if any(row["side"] == side for row in rows)]
    handles = [Line2D([], [], color=looks[s][0], marker=looks[s][1], linewidth=1.2, label=s) for s in sides]
    fig.legend(handles=handles, loc="outside upper right", ncols=2)
    said = []
    for side, (key, text) in itertools.product(sides, (moved, course)):
        steps = [100 * (row[f"{key} after"] - row[f"{key} before"]) for row in rows if row["side"] == side]
        said.append(
            f"{side}, {text}: {min(steps):+.1f} to {max(steps):+.1f} points, up in {sum(s > 0 for s in steps)} of "
            f"{len(steps)} rows"
        )
    fig.alt = f"Change from before to after. {'; '.join(said)}."
    keys = ["name", "side", *(f"{key} {when}" for key, _ in (moved, course) for when in ("before", "after"))]
    fig.data = {key: [row[key] for row in rows] for key in keys}
    return fig

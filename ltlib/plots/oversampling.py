"""Re-sampling on paper: what is left out, copied or made, on points in two dimensions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from ltlib.errors import SettingError
from ltlib.plots.palette import BLUE, VERMILLION
from ltlib.plots.style import DOUBLE, Chart, chart, styled, title_above

_LOOKS = ((BLUE, "o"), (VERMILLION, "^"))
_ROW = 3  # pictures from parent to parent


@styled
def resampled(
    points: np.ndarray, targets: np.ndarray, uses: Mapping[str, np.ndarray], names: Sequence[str], *, title: str = ""
) -> Chart:
    """Two classes of points, a panel for each way to draw an epoch from them.

    A point that is not drawn is a faint cross; one that is drawn several times grows with its number of copies.

    Args:
        points: [N, 2].
        targets: 0 or 1, [N].
        uses: Name of the panel to how often each point is drawn, whole numbers [N].
        names: What the two classes are called.
        title: Printed above.

    Raises:
        SettingError: Arrays that do not fit together.
    """
    for drawn in uses.values():
        if not len(points) == len(targets) == len(drawn):
            raise SettingError(f"{len(points)} points, {len(targets)} targets and {len(drawn)} uses differ")
    fig = chart(DOUBLE, 2.9)
    title_above(fig, title)
    grid = fig.subplots(1, len(uses), squeeze=False, sharex=True, sharey=True)[0]
    said, rows = [], {"panel": [], "class": [], "x": [], "y": [], "uses": []}  # type: ignore[var-annotated]
    for axes, (panel, drawn) in zip(grid, uses.items(), strict=True):
        sums = [int(drawn[targets == c].sum()) for c in (0, 1)]
        axes.set_title(f"{panel}: {sums[0]} + {sums[1]}")
        for c, (color, marker) in enumerate(_LOOKS):
            own = targets == c
            left = own & (drawn == 0)
            axes.scatter(*points[left].T, s=9, marker="x", color="#B5B5B5", linewidth=0.6)
            kept = own & (drawn > 0)
            size = (13, 18)[c] * drawn[kept].astype(float)
            axes.scatter(*points[kept].T, s=size, marker=marker, facecolor=color, edgecolor="white", linewidth=0.5)
        _plain_axes(axes)
        most = int(drawn[targets == 1].max())
        said.append(f"{panel}: {sums[0]} and {sums[1]}, a point of the small class up to {most} times")
        rows["panel"] += [panel] * len(points)
        rows["class"] += [names[int(c)] for c in targets]
        rows["x"] += points[:, 0].tolist()
        rows["y"] += points[:, 1].tolist()
        rows["uses"] += drawn.tolist()
    fig.legend(handles=[*_handles(names), _handle("x", "#B5B5B5", "left out")], loc="outside lower center", ncols=3)
    fig.alt = f"Images of {names[0]} and of {names[1]} in an epoch. {'; '.join(said)}."
    fig.data = dict(rows)
    return fig


@styled
def interpolated(
    points: np.ndarray,
    targets: np.ndarray,
    made: np.ndarray,
    parents: np.ndarray,
    pictures: np.ndarray,
    names: Sequence[str],
    *,
    title: str = "",
) -> Chart:
    """Made points on the lines between their parents; beside them, some as pictures between those of their parents.

    Args:
        points: [N, 2].
        targets: 0 or 1, [N]; points are made for class 1.
        made: [M, 2].
        parents: Rows of `points` between which each made point lies, [M, 2].
        pictures: uint8 [R, 3, H, W, C]: a parent, what was made, the other parent.
        names: What the two classes are called.
        title: Printed above.
    """
    if len(made) != len(parents) or len(made) == 0 or pictures.ndim != 5 or pictures.shape[1] != _ROW:
        raise SettingError("each made point needs its two parents, and pictures come in threes")
    fig = chart(DOUBLE, 3.1)
    title_above(fig, title)
    parts: Any = fig.subfigures(1, 2, width_ratios=(1.6, 1))
    left, right = parts
    axes = left.subplots()
    for a, b in parents:
        axes.plot(*points[[a, b]].T, color="#E8B08A", linewidth=0.7, zorder=1)
    for c, (color, marker) in enumerate(_LOOKS):
        axes.scatter(
            *points[targets == c].T,
            s=(16, 34)[c],
            marker=marker,
            facecolor=color,
            edgecolor="white",
            linewidth=0.5,
            zorder=4,
        )
    axes.scatter(*made.T, s=12, marker="D", facecolor="white", edgecolor=VERMILLION, linewidth=0.7, zorder=3)
    _plain_axes(axes)
    handles = [*_handles(names), _handle("D", VERMILLION, "made", hollow=True)]
    left.legend(handles=handles, loc="outside lower center", ncols=3)
    grid = right.subplots(len(pictures), _ROW, squeeze=False)
    for row, found in zip(grid, pictures, strict=True):
        for own, picture in zip(row, found, strict=True):
            own.imshow(picture)
            own.set_xticks([])
            own.set_yticks([])
            own.spines[:].set_visible(True)
    for own, text in zip(grid[0], ("parent", "made", "parent"), strict=True):
        own.set_title(text, fontweight="normal", fontsize=8, loc="center")
    counts = [int((targets == c).sum()) for c in (0, 1)]
    fig.alt = (
        f"{counts[0]} images of {names[0]}, {counts[1]} of {names[1]}, and {len(made)} made ones of {names[1]}, each "
        f"on the line between two of the {counts[1]}; {len(pictures)} of them as pictures between their parents."
    )
    kinds = [names[int(c)] for c in targets] + ["made"] * len(made)
    every = np.concatenate([points, made])
    first = [""] * len(points) + [str(int(a)) for a in parents[:, 0]]
    second = [""] * len(points) + [str(int(b)) for b in parents[:, 1]]
    fig.data = {"kind": kinds, "x": every[:, 0].tolist(), "y": every[:, 1].tolist()}
    fig.data |= {"parent": first, "other parent": second}
    return fig


def _plain_axes(axes: Axes) -> None:
    """A map without scales: its directions have no unit."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.margins(0.06)
    axes.set(xlabel="First principal component")
    axes.spines[:].set_color("#CFCFCF")
    if axes.get_subplotspec() is None or axes.get_subplotspec().is_first_col():  # type: ignore[union-attr]
        axes.set_ylabel("Second principal component")


def _handles(names: Sequence[str]) -> list[Any]:
    return [_handle(marker, color, name) for (color, marker), name in zip(_LOOKS, names, strict=True)]


def _handle(marker: str, color: str, text: str, hollow: bool = False) -> Any:
    face = "white" if hollow else color
    edge = color if hollow or marker == "x" else "white"
    return Line2D([], [], linestyle="", marker=marker, markerfacecolor=face, markeredgecolor=edge, label=text)

"""Maps of images in two dimensions: t-SNE or principal components, a colour and a marker for each class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from ltlib.errors import SettingError
from ltlib.labels import label
from ltlib.plots import alt
from ltlib.plots.palette import INK
from ltlib.plots.style import DOUBLE, Chart, Look, chart, class_look, group_look, styled, title_above

CROWDED = 1200
"""Points from which they become one picture inside the SVG: as shapes they would weigh 180 bytes each."""


@styled
def scatter(
    points: Any,
    targets: Any,
    class_names: Sequence[str],
    *,
    class_counts: Sequence[int] | None = None,
    groups: Mapping[str, Sequence[int]] | None = None,
    emphasise: Sequence[int] = (),
    separability: Any = None,
    kind: str = "t-SNE",
    title: str = "",
) -> Chart:
    """One map, or several side by side.

    Up to ten classes have a colour and a marker each; more are drawn by class group.

    Args:
        points: [N, 2], or panel name to [N, 2].
        targets: Class of each point, [N]; a mapping where the panels differ.
        class_names: Names of all classes.
        class_counts: Training images per class, for the legend.
        groups: Class groups (head, middle, tail); needed for more than ten classes.
        emphasise: Classes (the tail, say) drawn larger, with a dark edge, and on top.
        separability: What `ltlib.embedding.separability` measured, or panel name to that; printed below the map.
        kind: What kind of map.
        title: Printed above.

    Raises:
        SettingError: Points and targets do not match, the maps measured are others, or more than ten classes have no
            groups.
    """
    panels: dict[str, Any] = dict(points) if isinstance(points, Mapping) else {"": points}
    measured = separability if isinstance(points, Mapping) else {"": separability} if separability else None
    if len(class_names) > 10 and not groups:
        raise SettingError(f"{len(class_names)} classes cannot be told apart in a map; give their groups")
    if measured is not None and set(measured) != set(panels):
        raise SettingError(f"the maps are {', '.join(panels)}, but measured were {', '.join(measured)}")
    columns = min(3, len(panels))
    lines = -(-len(panels) // columns)
    side = min(4.2, DOUBLE / columns)
    fig = chart(side * columns if columns > 1 else side + 1.6, side * lines * (1.0 if columns == 1 else 1.08) + 0.2)
    if columns > 1:
        fig.set_size_inches(DOUBLE, side * lines + 0.75)
    title_above(fig, title)
    grid = fig.subplots(lines, columns, squeeze=False).ravel()
    looks = _looks(class_names, groups)
    data: dict[str, list[Any]] = {"panel": [], "x": [], "y": [], "class": []}
    everything = []
    crowded = sum(len(xy) for xy in panels.values()) > CROWDED
    for axes, (name, xy) in zip(grid, panels.items(), strict=False):
        xy = np.asarray(xy, dtype=np.float64)
        y = np.asarray(targets[name] if isinstance(targets, Mapping) else targets)
        if xy.shape != (len(y), 2):
            raise SettingError(f"{len(y)} targets need points [{len(y)}, 2], not {list(xy.shape)}")
        _map(axes, xy, y, looks, set(emphasise), crowded, 0.6 if columns > 1 else 1.0)
        axes.set_title(label(name) if name else "")
        if measured is not None:
            values = measured[name]
            axes.set_xlabel(
                f"silhouette {values['silhouette']:.2f}, nearest centroid {100 * values['nearest_centroid']:.1f}%",
                fontsize=7,
            )
        everything.append(y)
        for key, column in zip(data, ([name] * len(y), xy[:, 0].tolist(), xy[:, 1].tolist(), y.tolist()), strict=True):
            data[key] += column
    for axes in grid[len(panels) :]:
        axes.set_visible(False)
    handles = _legend(looks, class_names, class_counts, groups, set(emphasise))
    if columns > 1:
        fig.legend(handles=handles, loc="outside lower center", ncols=5)
    else:
        fig.legend(handles=handles, loc="outside right upper", handletextpad=0.4)
    fig.alt = alt.embedding(everything[0], class_names, measured, kind)
    fig.data = dict(data)
    return fig


def _looks(class_names: Sequence[str], groups: Mapping[str, Sequence[int]] | None) -> dict[int, Look]:
    if len(class_names) <= 10:
        return {c: class_look(c) for c in range(len(class_names))}
    return {int(c): group_look(name) for name, members in (groups or {}).items() for c in members}


def _map(
    axes: Axes,
    xy: np.ndarray,
    y: np.ndarray,
    looks: Mapping[int, Look],
    emphasised: set[int],
    crowded: bool,
    scale: float,
) -> None:
    """Points that look alike, a class's or a group's, in one collection; emphasised ones last: they lie on top."""
    size = scale * float(np.clip(9000 / max(len(y), 1), 5, 20))
    alike: dict[tuple[bool, Look], list[int]] = {}
    for c in sorted(looks, key=lambda c: (c in emphasised, c)):
        alike.setdefault((c in emphasised, looks[c]), []).append(c)
    for (strong, look), members in alike.items():
        own = np.isin(y, members)
        if not own.any():
            continue
        axes.scatter(
            xy[own, 0], xy[own, 1], s=size * (1.7 if strong else 1.0), marker=look.marker, color=look.color,
            edgecolors=INK, linewidths=0.4 if strong else 0.15, alpha=0.95 if strong or not emphasised else 0.5,
            rasterized=crowded,
        )  # fmt: skip
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_aspect("equal", adjustable="datalim")
    axes.spines[:].set(visible=True, linewidth=0.5)


def _legend(
    looks: Mapping[int, Look],
    class_names: Sequence[str],
    class_counts: Sequence[int] | None,
    groups: Mapping[str, Sequence[int]] | None,
    emphasised: set[int],
) -> list[Line2D]:
    def handle(look: Look, text: str, strong: bool) -> Line2D:
        return Line2D(
            [], [], linestyle="", marker=look.marker, markerfacecolor=look.color, markeredgecolor=INK,
            markeredgewidth=0.8 if strong else 0.3, markersize=6 if strong else 5, label=text,
        )  # fmt: skip

    if len(class_names) <= 10:
        counts = [f" ({n:,})" for n in class_counts] if class_counts is not None else [""] * len(class_names)
        return [handle(looks[c], f"{class_names[c]}{counts[c]}", c in emphasised) for c in looks]
    return [
        handle(group_look(name), f"{name}, {len(members)} classes", bool(set(members) & emphasised))
        for name, members in (groups or {}).items()
    ]

"""Confusion matrices: counts in the cells for ten classes, a picture for a hundred, published beside reproduced."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import PowerNorm, TwoSlopeNorm
from matplotlib.ticker import MaxNLocator

from ltlib.errors import SettingError
from ltlib.plots import alt
from ltlib.plots.heat import cells
from ltlib.plots.palette import MUTED
from ltlib.plots.style import DOUBLE, ROUND, SPLITS, Chart, chart, light_grid, styled, title_above

WITH_NUMBERS = 20  # classes up to which every cell shows its number


@styled
def confusion_matrix(
    matrix: Any,
    class_names: Sequence[str] | None = None,
    *,
    normalise: bool = False,
    groups: Mapping[str, Sequence[int]] | None = None,
    title: str = "",
) -> Chart:
    """A confusion matrix, actual classes down and predicted classes across.

    Colour is the share of the actual class's images, so classes of any size compare.

    Args:
        matrix: Counts [K, K], rows the actual class.
        class_names: Printed for up to 20 classes; beyond, class numbers are.
        normalise: Cells show the percentage of their row instead of the count.
        groups: Class groups (head, middle, tail) to separate by lines, where each is one stretch of classes.
        title: Printed above.
    """
    m = _matrix(matrix)
    k = len(m)
    names = list(class_names) if class_names is not None else [str(i) for i in range(k)]
    if len(names) != k:
        raise SettingError(f"{k} classes need as many names, not {len(names)}")
    small = k <= WITH_NUMBERS
    fig = chart(DOUBLE * 0.72, DOUBLE * 0.62)
    axes = fig.add_subplot()
    mesh = _shares_and_texts(axes, m, names, "percent" if normalise else "count", font=7 if k <= 12 else 5)
    axes.set(xlabel="Predicted class", ylabel="Actual class")
    axes.set_title(title, pad=14 if groups and not small else 6)
    bar = fig.colorbar(mesh, ax=axes, shrink=0.75, pad=0.02, ticks=[0, 0.05, 0.25, 0.5, 0.75, 1])
    bar.ax.set_yticklabels(["0", "5", "25", "50", "75", "100"])
    bar.set_label("Share of the actual class (%)")
    bar.outline.set_linewidth(0.5)
    if groups and not small:
        _group_lines(axes, groups, k)
    fig.alt = alt.confusion(m, class_names)
    fig.data = _long(names, count=m)
    return fig


@styled
def confusion_matrices(matrices: Mapping[str, Any], class_names: Sequence[str]) -> Chart:
    """Confusion matrices of the same classes, two beside each other, in the colours of `confusion_matrix`.

    Args:
        matrices: Title of a panel to its counts [K, K], rows the actual class.
        class_names: K names.

    Raises:
        SettingError: No matrix, or one of another size.
    """
    own = {title: _matrix(matrix) for title, matrix in matrices.items()}
    if not own or any(len(m) != len(class_names) for m in own.values()):
        raise SettingError(f"{len(own)} confusion matrices do not fit {len(class_names)} class names")
    rows = (len(own) + 1) // 2
    fig = chart(DOUBLE, 0.52 * DOUBLE * rows)
    fig.set_layout_engine("compressed")
    grid = fig.subplots(rows, 2, squeeze=False)
    for i, (axes, (title, m)) in enumerate(zip(grid.ravel(), own.items(), strict=False)):
        _shares_and_texts(axes, m, list(class_names), "count", font=6 if len(m) <= 10 else 4.5)
        axes.set(title=title, xlabel="Predicted class")
        if i % 2:
            axes.set_yticklabels([])
        else:
            axes.set_ylabel("Actual class")
    for axes in grid.ravel()[len(own) :]:
        axes.set_axis_off()
    fig.alt = " ".join(f"{title}: {alt.confusion(m, class_names)}" for title, m in own.items())
    columns = [_long(list(class_names), count=m) | {"panel": [title] * m.size} for title, m in own.items()]
    fig.data = {key: [v for c in columns for v in c[key]] for key in ("panel", "actual", "predicted", "count")}
    return fig


@styled
def compare_confusion(
    published: Any,
    reproduced: Any,
    class_names: Sequence[str],
    *,
    names: tuple[str, str] = ("Published", "Reproduced"),
    title: str = "",
) -> Chart:
    """Two confusion matrices of the same classes, their difference, and the recall of each class in both.

    Args:
        published: Counts [K, K].
        reproduced: Counts [K, K]; the difference is taken between shares of the row, in percentage points.
        class_names: K names.
        names: Headings of the two.
        title: Printed above.
    """
    first, second = _matrix(published), _matrix(reproduced)
    if first.shape != second.shape or len(first) != len(class_names):
        raise SettingError(
            f"matrices of {len(first)} and {len(second)} classes and {len(class_names)} names do not compare"
        )
    fig = chart(DOUBLE, DOUBLE * 1.02)
    fig.set_layout_engine("compressed")
    title_above(fig, title)
    panels = fig.subplots(2, 2)
    font = 6 if len(first) <= 10 else 4.5
    for axes, m, name in zip(panels[0], (first, second), names, strict=True):
        _shares_and_texts(axes, m, list(class_names), "count", font=font)
        axes.set(title=name, xlabel="Predicted class")
    panels[0, 1].set_yticklabels([])
    panels[0, 0].set_ylabel("Actual class")
    change = 100 * (_shares(second) - _shares(first))
    limit = max(1.0, float(np.nanmax(np.abs(change))))
    axes = panels[1, 0]
    # Blue to orange-red through white: told apart under every kind of colour-blindness, unlike red to green.
    texts = _texts(change, lambda value: f"{value:+.0f}" if round(abs(value)) >= 1 else "")
    cells(axes, change, texts, font=font, cmap="PuOr_r", norm=TwoSlopeNorm(0, -limit, limit))
    _ticks(axes, list(class_names))
    axes.set(title="Difference (percentage points)", xlabel="Predicted class", ylabel="Actual class")
    _recalls(panels[1, 1], _shares(first).diagonal(), _shares(second).diagonal(), list(class_names), names)
    fig.alt = alt.confusion_difference(first, second, class_names)
    fig.data = _long(list(class_names), published=first, reproduced=second)
    return fig


def _recalls(axes: Axes, first: np.ndarray, second: np.ndarray, class_names: list[str], names: tuple[str, str]) -> None:
    """Recall of each class in both, joined by a line; the same order of classes as the matrix beside it."""
    y = np.arange(len(first))
    axes.hlines(y, 100 * first, 100 * second, color=MUTED, linewidth=1.0)
    for values, split, name in ((first, "train", names[0]), (second, "test", names[1])):
        look = SPLITS[split]
        face = "white" if split == "train" else look.color
        axes.plot(
            100 * values, y, look.marker, color=look.color, markerfacecolor=face, label=name.lower(), markersize=5
        )
    axes.set(ylim=(len(first) - 0.5, -0.5), xlabel="Recall (%)", title="Recall of each class")
    axes.set_box_aspect(1)
    axes.set_yticks(y, class_names if len(first) <= WITH_NUMBERS else [""] * len(first))
    light_grid(axes, "x")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=2)


def _shares_and_texts(axes: Axes, m: np.ndarray, names: list[str], show: str, font: float) -> QuadMesh:
    """Cells in the colour of their share of the row, the diagonal in bold, zeros faint."""
    shares = _shares(m)
    texts = _texts(m, "{:.0f}".format) if show == "count" else _texts(100 * shares, "{:.1f}".format)
    # The square root shows rare confusions; zero stays white.
    mesh = cells(axes, shares, texts, font=font, cmap="Blues", norm=PowerNorm(0.5, 0, 1))
    for text in axes.texts:
        x, y = text.get_position()
        if int(x) == int(y):
            text.set_fontweight("bold")
        if m[int(y), int(x)] == 0:
            text.set_color(MUTED)
    _ticks(axes, names)
    return mesh


def _texts(values: np.ndarray, say: Callable[[float], str]) -> np.ndarray | None:
    """What the cells of few classes say; nothing where there are many."""
    return np.array([[say(v) for v in row] for row in values]) if len(values) <= WITH_NUMBERS else None


def _ticks(axes: Axes, names: list[str]) -> None:
    k = len(names)
    if k <= WITH_NUMBERS:
        axes.set_xticks(np.arange(k) + 0.5, names, rotation=45, ha="right", rotation_mode="anchor")
        axes.set_yticks(np.arange(k) + 0.5, names)
        return
    some = [int(c) for c in MaxNLocator(8, integer=True, steps=ROUND).tick_values(0, k - 1) if c < k]
    axes.set_xticks(np.array(some) + 0.5, [str(c) for c in some])
    axes.set_yticks(np.array(some) + 0.5, [str(c) for c in some])


def _group_lines(axes: Axes, groups: Mapping[str, Sequence[int]], k: int) -> None:
    """Lines between groups that are one stretch of classes each, their names along the top."""
    for name, members in groups.items():
        first, last = (min(members), max(members)) if len(members) else (0, -1)
        if last - first + 1 != len(members):
            continue
        for edge in {first, last + 1} - {0, k}:
            axes.axvline(edge, color=MUTED, linewidth=0.6)
            axes.axhline(edge, color=MUTED, linewidth=0.6)
        axes.text((first + last + 1) / 2, -0.012 * k, name, ha="center", va="bottom", fontsize=7, color=MUTED)


def _matrix(matrix: Any) -> np.ndarray:
    m = np.asarray(matrix, dtype=np.float64)
    if m.ndim != 2 or m.shape[0] != m.shape[1] or len(m) == 0 or (m < 0).any() or m.sum() == 0:
        raise SettingError(f"a confusion matrix is square, of counts, not all zero; this is {list(m.shape)}")
    return m


def _shares(m: np.ndarray) -> np.ndarray:
    """Each row divided by its sum; a class without test images stays zero."""
    return m / np.maximum(m.sum(axis=1, keepdims=True), 1)


def _long(names: list[str], **matrices: np.ndarray) -> dict[str, list[Any]]:
    k = len(names)
    columns: dict[str, list[Any]] = {"actual": [n for n in names for _ in range(k)], "predicted": names * k}
    return columns | {key: [int(v) if v == int(v) else float(v) for v in m.ravel()] for key, m in matrices.items()}

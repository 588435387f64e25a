"""Calibration: does a confidence of 80% mean right in 80% of cases?"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from ltlib.errors import SettingError
from ltlib.labels import label
from ltlib.plots import alt
from ltlib.plots.palette import BLUE, INK, MUTED, SKY, VERMILLION
from ltlib.plots.series import Series
from ltlib.plots.style import DOUBLE, Chart, chart, light_grid, method_looks, styled, title_above

_COLUMNS = ("lower", "upper", "count", "confidence", "accuracy")
_GAPS: dict[str, dict[str, Any]] = {
    "over-confident": {"facecolor": "#F6D5C1", "edgecolor": VERMILLION, "hatch": "////"},
    "under-confident": {"facecolor": "#E3EFF8", "edgecolor": BLUE, "hatch": "\\\\\\\\"},
}
_PER_ROW = 4
_TITLE = {1: 44, 2: 44, 3: 30, 4: 18}  # letters that fit above a panel, by panels in a row


@styled
def reliability_diagram(tables: Any, *, title: str = "") -> Chart:
    """Accuracy in each bin of confidence with its gap to the diagonal; below, the share of images in the bin.

    Args:
        tables: A reliability table (columns lower, upper, count, confidence, accuracy; fractions), or several by name,
            drawn side by side, up to four in a row.
        title: Printed above.

    Raises:
        SettingError: A column is missing, or no image is in any bin.
    """
    panels = tables if isinstance(tables, Mapping) and "lower" not in tables else {"": tables}
    lines = -(-len(panels) // _PER_ROW)
    across = -(-len(panels) // lines)
    fig = chart(min(DOUBLE, 2.9 * across + 0.3), (3.5 if across < 3 else 2.9) * lines)
    title_above(fig, title)
    grid = fig.subplots(2 * lines, across, squeeze=False, sharex=True, height_ratios=(4, 1) * lines)
    places = [(grid[2 * line, i], grid[2 * line + 1, i]) for line in range(lines) for i in range(across)]
    read = {str(name): Series.of(table, _COLUMNS) for name, table in panels.items()}
    summaries = {name: _summary(table) for name, table in read.items()}
    most = max(float(table["count"].max() / table["count"].sum()) for table in read.values())
    for i, ((name, table), (axes, below)) in enumerate(zip(read.items(), places, strict=False)):
        _gaps(axes, table)
        _counts(below, table, most)
        axes.set_title(textwrap.fill(label(name), _TITLE[across]) if name else "")
        said = summaries[name]
        words = (
            f"ECE {alt.percent(said['ece'])}\naccuracy {alt.percent(said['accuracy'])}\n"
            f"confidence {alt.percent(said['confidence'])}"
        )
        behind = {"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 1.0}
        axes.text(3, 96, words, va="top", fontsize=7.5 if across < 4 else 6.5, linespacing=1.3, bbox=behind)
        axes.tick_params(labelbottom=False, labelleft=i % across == 0)
        below.tick_params(labelbottom=True, labelleft=i % across == 0)
        if i % across == 0:
            axes.set_ylabel("Accuracy (%)")
            below.set_ylabel("Images (%)")
    for unused in places[len(panels) :]:
        for axes in unused:
            axes.remove()
    fig.legend(handles=[Patch(label=name, **look) for name, look in _GAPS.items()], loc="outside lower center", ncols=2)
    fig.alt = alt.reliability(summaries)
    fig.data = {"panel": [name for name, table in read.items() for _ in range(len(table))]}
    fig.data |= {column: [v for table in read.values() for v in table[column].tolist()] for column in _COLUMNS}
    return fig


def _summary(table: Series) -> dict[str, float]:
    """ECE, images, and mean confidence and accuracy of a reliability table."""
    full = table["count"] > 0
    if not full.any():
        raise SettingError("the reliability table has no image in any bin")
    share = (table["count"] / table["count"].sum())[full]
    confidence, accuracy = table["confidence"][full], table["accuracy"][full]
    return {
        "ece": float((share * np.abs(accuracy - confidence)).sum()),
        "images": float(table["count"].sum()),
        "confidence": float((share * confidence).sum()),
        "accuracy": float((share * accuracy).sum()),
    }


def _gaps(axes: Axes, table: Series) -> None:
    """A bar up to the lower of accuracy and confidence, and the gap to the other one above it."""
    full = table["count"] > 0
    x, width = 50 * (table["lower"] + table["upper"])[full], 94 * (table["upper"] - table["lower"])[full]
    accuracy, confidence = 100 * table["accuracy"][full], 100 * table["confidence"][full]
    axes.bar(x, np.minimum(accuracy, confidence), width, color=SKY, edgecolor=INK, linewidth=0.5)
    over = confidence >= accuracy
    for mask, low, high, look in (
        (over, accuracy, confidence, _GAPS["over-confident"]),
        (~over, confidence, accuracy, _GAPS["under-confident"]),
    ):
        axes.bar(x[mask], (high - low)[mask], width[mask], bottom=low[mask], linewidth=0.6, **look)
    axes.plot([0, 100], [0, 100], color=MUTED, linewidth=0.9, linestyle=(0, (4, 2)))
    axes.set(xlim=(0, 100), ylim=(0, 100))
    light_grid(axes)


def _counts(axes: Axes, table: Series, most: float) -> None:
    """The share of the images in each bin; `most` is the largest share of any panel."""
    share = table["count"] / table["count"].sum()
    axes.bar(50 * (table["lower"] + table["upper"]), 100 * share, 94 * (table["upper"] - table["lower"]), color=MUTED)
    axes.set(ylim=(0, 105 * most), xlabel="Confidence (%)")
    light_grid(axes)


@styled
def confidence_histogram(confidence: Any, correct: Any, *, bins: int = 15, title: str = "") -> Chart:
    """How confident right and wrong predictions are.

    Args:
        confidence: Probability of the predicted class, [N], fractions.
        correct: Whether the prediction is right, bool [N].
        bins: Equally wide bins between 0 and 1, closed on the right.
        title: Printed above.
    """
    import seaborn  # late: it takes more than a second, and most figures do without

    p, right = np.asarray(confidence, dtype=np.float64), np.asarray(correct, dtype=bool)
    if p.shape != right.shape or p.ndim != 1 or len(p) == 0:
        raise SettingError(f"confidence {list(p.shape)} and correctness {list(right.shape)} must be equally long lists")
    edges = np.linspace(0, 1, bins + 1)
    fig = chart(DOUBLE * 0.6, 2.5)
    axes = fig.add_subplot()
    share = {name: _binned(p[mask], edges) / len(p) for name, mask in (("right", right), ("wrong", ~right))}
    looks: Any = {
        "right": {"color": SKY, "alpha": 0.8, "edgecolor": BLUE, "linewidth": 1.0},
        "wrong": {"color": "none", "edgecolor": VERMILLION, "linewidth": 1.2, "hatch": "////"},
    }
    for name, look in looks.items():
        seaborn.histplot(x=50 * (edges[:-1] + edges[1:]), weights=100 * share[name], bins=(100 * edges).tolist(),
                         element="step", label=name, ax=axes, **look)  # fmt: skip
    for mask, color, style in ((right, BLUE, "-"), (~right, VERMILLION, (0, (4, 2)))):
        if mask.any():
            axes.axvline(100 * p[mask].mean(), color=color, linewidth=1.0, linestyle=style)
    axes.set(xlim=(0, 100), xlabel="Confidence (%), means as vertical lines", ylabel="Images (%)", title=title)
    light_grid(axes)
    fig.legend(loc="outside upper right", ncols=2)
    means = [f"{alt.percent(float(p[m].mean()))} when {n}" for n, m in (("right", right), ("wrong", ~right)) if m.any()]
    share_right = alt.percent(float(right.mean()))
    fig.alt = f"Confidence of {len(p):,} predictions, {share_right} of them right: on average {' and '.join(means)}."
    fig.data = {"lower": edges[:-1].tolist(), "upper": edges[1:].tolist(), **{k: v.tolist() for k, v in share.items()}}
    return fig


def _binned(p: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """How many probabilities lie in each bin; bins are closed on the right, as for the ECE."""
    bins = len(edges) - 1
    return np.bincount(np.clip(np.searchsorted(edges, p, side="left") - 1, 0, bins - 1), minlength=bins)


@styled
def group_confidence(
    predictions: Mapping[str, Any],
    groups: Mapping[str, Sequence[int]],
    *,
    of: str = "predicted",
    bins: int = 15,
    title: str = "",
) -> Chart:
    """How much probability methods give the images of each class group, a panel a group.

    Args:
        predictions: By method what has ``targets`` [N] and ``confidence`` [N], such as a run's predictions.
        groups: Group name to its classes.
        of: ``predicted``: the probability of the predicted class, right or wrong, which a committed record has; or
            ``actual``: that of the image's own class, which needs ``logits`` [N, K].
        bins: Equally wide bins between 0 and 1, closed on the right.
        title: Printed above.

    Raises:
        SettingError: No image in any group, no logits for ``actual``, or another word.
    """
    found = {name: (_probability(name, said, of), np.asarray(said.targets)) for name, said in predictions.items()}
    edges = np.arange(bins + 1) / bins
    inside = {
        group: {name: p[np.isin(y, list(members))] for name, (p, y) in found.items()}
        for group, members in groups.items()
    }
    inside = {group: values for group, values in inside.items() if all(len(p) for p in values.values())}
    if not inside:
        raise SettingError("there is nothing to draw: no image is in any of the class groups")
    fig = chart(DOUBLE, 2.5)
    title_above(fig, title)
    panels = fig.subplots(1, len(inside), squeeze=False, sharey=True)[0]
    rows: dict[str, list[Any]] = {"group": [], "method": [], "lower": [], "upper": [], "share": []}
    parts = []
    for axes, (group, values) in zip(panels, inside.items(), strict=True):
        means = []
        for name, look in method_looks(list(values)).items():
            p = values[name]
            share = _binned(p, edges) / len(p)
            axes.stairs(100 * share, 100 * edges, color=look.color, linestyle=look.dashes, linewidth=1.3,
                        baseline=None, label=label(name))  # fmt: skip
            mean = float(p.mean())
            axes.plot(100 * mean, 0.94, color=look.color, marker=look.marker, markersize=6, linestyle="none",
                      markeredgecolor="white", transform=axes.get_xaxis_transform(), clip_on=False)  # fmt: skip
            means.append(f"{label(name)} {alt.percent(mean)}")
            rows["group"] += [group] * bins
            rows["method"] += [name] * bins
            for key, column in (("lower", edges[:-1]), ("upper", edges[1:]), ("share", share)):
                rows[key] += column.tolist()
        count = len(next(iter(values.values())))
        axes.set(xlim=(0, 100), title=f"{group}, {count:,} images")
        axes.set_xlabel("Confidence (%)" if of == "predicted" else "Probability of the own class (%)")
        light_grid(axes)
        parts.append(f"{group} {', '.join(means)}")
    panels[0].set_ylim(bottom=0)
    panels[0].set_ylim(top=panels[0].get_ylim()[1] * 1.12)
    panels[0].set_ylabel("Images of the group (%)")
    handles = [
        Line2D([], [], color=look.color, linestyle=look.dashes, marker=look.marker, label=label(name))
        for name, look in method_looks(list(found)).items()
    ]
    fig.legend(
        handles=handles, loc="outside upper right", ncols=min(5, len(found)), title="marks: means", title_fontsize=7
    )
    what = "Probability of the predicted class" if of == "predicted" else "Probability of the image's own class"
    fig.alt = f"{what}, mean by class group: {'; '.join(parts)}."
    fig.data = dict(rows)
    return fig


def _probability(name: str, said: Any, of: str) -> np.ndarray:
    if of == "predicted":
        return np.asarray(said.confidence, dtype=np.float64)
    if of != "actual":
        raise SettingError(f"of must be predicted or actual, not {of!r}")
    if said.logits is None:
        raise SettingError(f"the probability of the actual class needs the logits of {name}; a record has none")
    scores = np.asarray(said.logits, dtype=np.float64)
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers[np.arange(len(powers)), np.asarray(said.targets)] / powers.sum(axis=1)

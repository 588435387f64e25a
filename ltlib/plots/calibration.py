"""Calibration: does a confidence of 80% mean right in 80% of cases?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.patches import Patch

from ltlib.errors import SettingError
from ltlib.plots import alt
from ltlib.plots.palette import BLUE, INK, MUTED, SKY, VERMILLION
from ltlib.plots.style import DOUBLE, Chart, Series, chart, label, light_grid, styled

_COLUMNS = ("lower", "upper", "count", "confidence", "accuracy")


@styled
def reliability_diagram(tables: Any, *, title: str = "") -> Chart:
    """Accuracy in each bin of confidence with its gap to the diagonal; below, the share of images in the bin.

    Args:
        tables: A reliability table (columns lower, upper, count, confidence, accuracy; fractions), or several by name,
            drawn side by side.
        title: Printed above.

    Raises:
        SettingError: A column is missing, or no image is in any bin.
    """
    panels = tables if isinstance(tables, Mapping) and "lower" not in tables else {"": tables}
    fig = chart(min(DOUBLE, 2.9 * len(panels) + 0.3), 3.5)
    if title:
        fig.suptitle(title, x=0.01, ha="left", fontsize=9, fontweight="bold")
    grid = fig.subplots(2, len(panels), squeeze=False, sharex=True, sharey="row", height_ratios=(4, 1))
    summaries: dict[str, dict[str, float]] = {}
    rows: dict[str, list[Any]] = {"panel": [], **{name: [] for name in _COLUMNS}}
    for (name, table), (axes, below) in zip(panels.items(), grid.T, strict=True):
        columns = Series.of(table, _COLUMNS)
        lower, upper, count, confidence, accuracy = (columns[c] for c in _COLUMNS)
        full = count > 0
        if not full.any():
            raise SettingError("the reliability table has no image in any bin")
        share = count / count.sum()
        ece = float((share[full] * np.abs(accuracy - confidence)[full]).sum())
        mean = {"ece": ece, "images": float(count.sum())}
        mean["confidence"] = float((share[full] * confidence[full]).sum())
        mean["accuracy"] = float((share[full] * accuracy[full]).sum())
        summaries[str(name)] = mean
        x, width = 100 * (lower + upper)[full] / 2, 100 * (upper - lower)[full]
        a, c = 100 * accuracy[full], 100 * confidence[full]
        axes.bar(x, np.minimum(a, c), width * 0.94, color=SKY, edgecolor=INK, linewidth=0.5)
        over = c >= a
        axes.bar(x[over], (c - a)[over], width[over] * 0.94, bottom=a[over], facecolor="#F6D5C1", edgecolor=VERMILLION,
                 hatch="////", linewidth=0.6)  # fmt: skip
        axes.bar(x[~over], (a - c)[~over], width[~over] * 0.94, bottom=c[~over], facecolor="#E3EFF8", edgecolor=BLUE,
                 hatch="\\\\\\\\", linewidth=0.6)  # fmt: skip
        axes.plot([0, 100], [0, 100], color=MUTED, linewidth=0.9, linestyle=(0, (4, 2)))
        axes.set(xlim=(0, 100), ylim=(0, 100), title=label(str(name)) if name else "")
        axes.text(3, 96, f"ECE {100 * ece:.1f}%\naccuracy {100 * mean['accuracy']:.1f}%\n"
                  f"confidence {100 * mean['confidence']:.1f}%", va="top", fontsize=7.5, linespacing=1.3)  # fmt: skip
        below.bar(x, 100 * share[full], width * 0.94, color=MUTED)
        below.set_xlabel("Confidence (%)")
        light_grid(axes)
        light_grid(below)
        rows["panel"] += [name] * len(lower)
        for key, column in zip(_COLUMNS, (lower, upper, count, confidence, accuracy), strict=True):
            rows[key] += column.tolist()
    grid[0, 0].set_ylabel("Accuracy (%)")
    grid[1, 0].set_ylabel("Images (%)")
    fig.legend(
        handles=[
            Patch(facecolor="#F6D5C1", edgecolor=VERMILLION, hatch="////", label="over-confident"),
            Patch(facecolor="#E3EFF8", edgecolor=BLUE, hatch="\\\\\\\\", label="under-confident"),
        ],
        loc="outside lower center",
        ncols=2,
    )
    fig.alt = alt.reliability(summaries)
    fig.data = dict(rows)
    return fig


@styled
def confidence_histogram(confidence: Any, correct: Any, *, bins: int = 15, title: str = "") -> Chart:
    """How confident right and wrong predictions are.

    Args:
        confidence: Probability of the predicted class, [N], fractions.
        correct: Whether the prediction is right, bool [N].
        bins: Equally wide bins between 0 and 1, closed on the right.
        title: Printed above.
    """
    p, right = np.asarray(confidence, dtype=np.float64), np.asarray(correct, dtype=bool)
    if p.shape != right.shape or p.ndim != 1 or len(p) == 0:
        raise SettingError(f"confidence {list(p.shape)} and correctness {list(right.shape)} must be equally long lists")
    edges = np.linspace(0, 1, bins + 1)
    fig = chart(DOUBLE * 0.6, 2.5)
    axes = fig.add_subplot()
    place = np.clip(np.searchsorted(edges, p, side="left") - 1, 0, bins - 1)  # bins closed on the right, as for the ECE
    share = {
        name: np.bincount(place[mask], minlength=bins) / len(p) for name, mask in (("right", right), ("wrong", ~right))
    }
    axes.stairs(100 * share["right"], 100 * edges, fill=True, color=SKY, alpha=0.8, label="right")
    axes.stairs(100 * share["right"], 100 * edges, color=BLUE, linewidth=1.0)
    axes.stairs(100 * share["wrong"], 100 * edges, color=VERMILLION, linewidth=1.2, hatch="////", label="wrong")
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

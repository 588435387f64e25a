"""A long tail of which only averages over groups of classes are public."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ltlib.errors import SettingError
from ltlib.plots.palette import INK, MUTED, SKY
from ltlib.plots.style import DOUBLE, THOUSANDS, Chart, chart, light_grid, styled


@styled
def group_means(
    names: Sequence[str], classes: Sequence[int], images: Sequence[int], *, unit: str = "class", title: str = ""
) -> Chart:
    """Mean images per class of each group of classes, as wide as it has classes, from the largest mean down.

    Args:
        names: Groups.
        classes: Classes of each group.
        images: Images of each group.
        unit: What a class is called (``species``).
        title: Printed above.

    Raises:
        SettingError: Lists that are not equally long, or a group without classes.
    """
    if not len(names) == len(classes) == len(images) or min(classes, default=0) < 1:
        raise SettingError("every group needs its name, its number of classes (at least 1) and its images")
    mean = np.asarray(images, dtype=np.float64) / np.asarray(classes)
    order = np.argsort(-mean, kind="stable")
    edges = np.concatenate([[0], np.asarray(classes)[order].cumsum()])
    total, overall = int(edges[-1]), float(np.sum(images)) / float(edges[-1])
    fig = chart(DOUBLE, 2.9)
    axes = fig.add_subplot()
    axes.stairs(mean[order], edges, fill=True, color=SKY)
    axes.stairs(mean[order], edges, color=INK, linewidth=0.8)
    axes.vlines(edges[1:-1], 0, mean[order][:-1], color="white", linewidth=0.6)
    axes.axhline(overall, color=MUTED, linewidth=0.9, linestyle=(0, (4, 3)))
    axes.annotate(f"all: {overall:.0f}", (total, overall), (-3, 2), textcoords="offset points", ha="right", fontsize=7)
    for place, i in enumerate(order):
        middle, wide = (edges[place] + edges[place + 1]) / 2, classes[i] / total
        if wide >= 0.02:
            axes.annotate(
                f"{names[i]}, {mean[i]:.0f}", (middle, mean[i] * 0.4), rotation=0 if wide > 0.12 else 90, ha="center",
                va="center", fontsize=7,
            )  # fmt: skip
    axes.set(xlim=(0, total), ylim=(0, mean.max() * 1.06), title=title)
    axes.set_xlabel(f"{unit.capitalize()}, by group ({total:,})")
    axes.set_ylabel(f"Mean images per {unit}")
    axes.xaxis.set_major_formatter(THOUSANDS)
    light_grid(axes)
    top, low = order[0], order[-1]
    fig.alt = (
        f"Mean images per {unit} by group: {names[top]} {mean[top]:.0f} ({classes[top]:,} {unit}), down to "
        f"{names[low]} {mean[low]:.0f} ({classes[low]:,}); all {total:,} {unit}: {overall:.0f}."
    )
    fig.data = {
        "group": [names[i] for i in order],
        "classes": [int(classes[i]) for i in order],
        "images": [int(images[i]) for i in order],
        "images per class": mean[order].tolist(),
    }
    return fig

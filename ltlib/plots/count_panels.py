"""Images per class, several sets or parts of a set above each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.ticker import MaxNLocator

from ltlib.plots.distribution import curves_data, curves_said, draw_curves, name_classes
from ltlib.plots.palette import INK, SKY, VERMILLION
from ltlib.plots.style import DOUBLE, ROUND, THOUSANDS, Chart, chart, light_grid, styled


@styled
def curves(panels: Mapping[str, Mapping[str, Sequence[int]]], *, legend_title: str = "Imbalance factor") -> Chart:
    """A panel of curves for each set, as `distribution.count_curves` draws one.

    Args:
        panels: Title of a panel to what its legend says to images per class.
        legend_title: What the curves of a panel differ in.
    """
    fig = chart(DOUBLE, 0.5 + 2.3 * len(panels))
    for axes, (title, counts) in zip(np.atleast_1d(fig.subplots(len(panels))), panels.items(), strict=True):
        draw_curves(axes, counts)
        axes.set_title(title)
        axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), title=legend_title, alignment="left")
    axes.set_xlabel("Class")
    said = [f"{title}, {curves_said(counts, legend_title)}" for title, counts in panels.items()]
    fig.alt = f"Images per class. {'. '.join(said)}."
    columns = [
        curves_data(counts) | {"set": [title] * sum(map(len, counts.values()))} for title, counts in panels.items()
    ]
    fig.data = {key: [value for own in columns for value in own[key]] for key in ("set", "curve", "class", "images")}
    return fig


@styled
def parts(panels: Mapping[str, Sequence[int]], class_names: Sequence[str], *, marked: Sequence[str] = ()) -> Chart:
    """Images per class as bars, the parts of a set (training, test) above each other, each on its own scale.

    Args:
        panels: Name of a part to its images per class.
        class_names: Names of the classes; above 30 of them the class numbers are printed.
        marked: Names of classes in another colour, those a document calls minor.
    """
    fig = chart(DOUBLE, 0.6 + 1.8 * len(panels))
    minor = [name in marked for name in class_names]
    for axes, (part, counts) in zip(np.atleast_1d(fig.subplots(len(panels), sharex=True)), panels.items(), strict=True):
        colors = [VERMILLION if own else SKY for own in minor]
        hatches = ["////" if own else "" for own in minor]
        axes.bar(range(len(counts)), counts, 0.86, color=colors, edgecolor=INK, linewidth=0.4, hatch=hatches)
        if len(counts) <= 12:
            for i, count in enumerate(counts):
                axes.annotate(f"{count:,}", (i, count), (0, 1.5), textcoords="offset points", ha="center", fontsize=7)
        axes.set(ylabel="Images per class", xlim=(-0.7, len(counts) - 0.3), title=f"{part}, {sum(counts):,} images")
        axes.yaxis.set_major_formatter(THOUSANDS)
        axes.yaxis.set_major_locator(MaxNLocator(4, integer=True, steps=ROUND))
        light_grid(axes)
    name_classes(axes, class_names)
    axes.set_xlabel("Class" + ("; hatched: minor classes" if any(minor) else ""))
    said = [f"{part}: {sum(n):,} images, {min(n):,} to {max(n):,} a class" for part, n in panels.items()]
    fig.alt = f"Images of each of {len(class_names)} classes. {'; '.join(said)}."
    fig.data = {"class": list(class_names)} | {part: list(map(int, counts)) for part, counts in panels.items()}
    return fig

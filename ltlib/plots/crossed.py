"""A crossed table as points: one panel a training, its choices of images side by side, its seeds one above another."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from matplotlib.lines import Line2D

from ltlib.errors import SettingError
from ltlib.plots import alt
from ltlib.plots.palette import BLACK, INKS
from ltlib.plots.style import DOUBLE, MARKERS, Chart, chart, light_grid, styled

_ACROSS = 4
_TITLE = 24
"""Letters of a line of a panel's title."""


@styled
def crossed(tables: Mapping[str, npt.ArrayLike], *, ylabel: str = "Accuracy (%)") -> Chart:
    """Every run of crossed seeds and choices of images, and the mean of each choice.

    Args:
        tables: What a training is called, to fractions [seeds, choices of images].
        ylabel: What the fractions are.

    Raises:
        SettingError: No table, or one that is not two-dimensional.
    """
    values = {name: 100 * np.asarray(table, dtype=np.float64) for name, table in tables.items()}
    if not values or any(table.ndim != 2 for table in values.values()):
        raise SettingError("crossed runs need at least one table, of seeds by choices of images")
    columns = min(len(values), _ACROSS)
    rows = math.ceil(len(values) / columns)
    fig = chart(min(DOUBLE, 0.6 + 1.75 * columns), 0.5 + 1.9 * rows)
    panels = fig.subplots(rows, columns, squeeze=False).flat
    for axes, (name, table) in zip(panels, values.items(), strict=False):
        seeds, choices = table.shape
        for seed in range(seeds):
            across = np.arange(choices) + 0.12 * (seed - (seeds - 1) / 2)
            axes.plot(across, table[seed], MARKERS[seed % len(MARKERS)], color=INKS[seed % len(INKS)], markersize=4.5)
        for choice, mean in enumerate(table.mean(0)):
            axes.plot([choice - 0.3, choice + 0.3], [mean, mean], color=BLACK, linewidth=1.0, zorder=1)
        axes.set_title("\n".join(textwrap.wrap(name, _TITLE)), fontsize=7)
        axes.set(xlim=(-0.6, choices - 0.4), xlabel="Choice of images", ylabel=ylabel)
        axes.set_xticks(range(choices), [str(choice) for choice in range(choices)])
        light_grid(axes, "y")
    for axes in list(panels):  # those that no table fills
        axes.set_axis_off()
    most = max(table.shape[0] for table in values.values())
    handles = [
        Line2D([], [], linestyle="none", marker=MARKERS[seed % len(MARKERS)], color=INKS[seed % len(INKS)],
               label=f"seed {seed}") for seed in range(most)
    ]  # fmt: skip
    handles.append(Line2D([], [], color=BLACK, linewidth=1.0, label="mean"))
    fig.legend(handles=handles, loc="outside lower center", ncols=len(handles))
    said = []
    for name, table in values.items():
        means = ", ".join(alt.percent(mean / 100) for mean in table.mean(0))
        said.append(
            f"{name}: {means} by choice of images, seeds {np.ptp(table, axis=0).max():.1f} points apart at most"
        )
    fig.alt = f"{ylabel.removesuffix(' (%)')}. {'; '.join(said)}."
    cells = [
        {"training": name, "seed": seed, "choice of images": choice, "percent": float(table[seed, choice])}
        for name, table in values.items()
        for seed, choice in np.ndindex(table.shape)
    ]
    fig.data = {key: [cell[key] for cell in cells] for key in cells[0]}
    return fig

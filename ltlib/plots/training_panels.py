"""Training and test accuracy of several methods by epoch, a panel a network."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from ltlib.errors import SettingError
from ltlib.labels import label
from ltlib.plots.palette import MUTED
from ltlib.plots.series import Series
from ltlib.plots.style import DOUBLE, ROUND, Chart, chart, light_grid, method_looks, styled

SPLITS: dict[str, tuple[str, Any, float]] = {
    "train_accuracy": ("training", (0, (1, 1.2)), 0.9),
    "test_accuracy": ("test", "-", 1.5),
}
"""A column of a history to its name, line style and width."""


@styled
def accuracy_panels(panels: Mapping[str, Mapping[str, Any]], *, names: Mapping[str, str] | None = None) -> Chart:
    """Accuracy by epoch: dotted on the training images, solid on the test images, a colour a method.

    Epochs without an evaluation are passed over.

    Args:
        panels: Title of a panel to each method's history, with the columns ``epoch``, ``train_accuracy`` and
            ``test_accuracy`` (fractions).
        names: What to call a method, where that is not its usual name.

    Raises:
        SettingError: There is nothing to draw.
    """
    if not panels or not all(panels.values()):
        raise SettingError("curves of accuracy need at least one panel, each with a method")
    methods = list(dict.fromkeys(method for own in panels.values() for method in own))
    looks, called = method_looks(methods), {m: (names or {}).get(m, label(m)) for m in methods}
    columns = min(2, len(panels))
    rows = math.ceil(len(panels) / columns)
    fig = chart(DOUBLE, 0.5 + 2.4 * rows)
    grid = np.atleast_1d(fig.subplots(rows, columns, sharey=True)).ravel()
    data: dict[str, list[Any]] = {"panel": [], "method": [], "epoch": [], "split": [], "accuracy": []}
    said = []
    for axes, (title, histories) in zip(grid, panels.items(), strict=False):
        ends = []
        for method, history in histories.items():
            table = Series.of(history, ["epoch", *SPLITS])
            for column, (split, dashes, width) in SPLITS.items():
                known = np.isfinite(table[column])
                x, y = np.asarray(table["epoch"])[known], 100 * np.asarray(table[column])[known]
                axes.plot(x, y, color=looks[method].color, linestyle=dashes, linewidth=width)
                data["panel"] += [title] * len(x)
                data["method"] += [method] * len(x)
                data["epoch"] += [int(e) for e in x]
                data["split"] += [split] * len(x)
                data["accuracy"] += [float(v) / 100 for v in y]
            ends.append(f"{called[method]} {y[-1]:.1f}%" if len(y) else f"{called[method]} not evaluated")
        axes.set(title=title, xlabel="Epoch")
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, steps=ROUND))
        light_grid(axes)
        said.append(f"{title}: {', '.join(ends)}")
    for axes in grid[len(panels) :]:
        axes.set_axis_off()
    for axes in grid[::columns]:
        axes.set_ylabel("Accuracy (%)")
    handles = [Line2D([], [], color=looks[m].color, label=called[m]) for m in methods]
    handles += [Line2D([], [], color=MUTED, linestyle=d, linewidth=w, label=s) for s, d, w in SPLITS.values()]
    fig.legend(handles=handles, loc="outside upper right", ncols=len(handles))
    fig.alt = f"Training and test accuracy by epoch. Test accuracy after the last epoch, {'; '.join(said)}."
    fig.data = data
    return fig

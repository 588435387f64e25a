"""Cells coloured by their value, with a text in each: what confusion matrices and maps of settings share."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh

from ltlib.plots.palette import INK

_DARK = 0.2  # relative luminance (WCAG 2) below which white text has more contrast than dark text


def cells(
    axes: Axes,
    values: np.ndarray,
    texts: np.ndarray | None = None,
    *,
    font: float = 7,
    square: bool = True,
    **look: Any,
) -> QuadMesh:
    """A heat map without ticks; cell (i, j) spans j to j + 1 and i to i + 1, the first row on top.

    Inside an SVG or PDF the colours are one picture (as shapes each cell would weigh 200 bytes), the texts are texts.

    Args:
        axes: Where.
        values: What the colours say, [rows, columns]; a cell of NaN stays empty.
        texts: What the cells say, [rows, columns].
        font: Size of the texts in points.
        square: As high as wide.
        **look: `seaborn.heatmap`'s ``cmap`` with ``norm``, or ``vmin`` and ``vmax``.

    Returns:
        The cells, for a colour bar.
    """
    import seaborn  # late: it takes more than a second, and most figures do without

    seaborn.heatmap(
        values, annot=texts, fmt="", annot_kws={"fontsize": font, "color": INK}, square=square, cbar=False, ax=axes,
        xticklabels=False, yticklabels=False, linewidths=0 if texts is None else 0.4, rasterized=True, **look,
    )  # fmt: skip
    (mesh,) = axes.collections
    assert isinstance(mesh, QuadMesh)
    shades = mesh.to_rgba(values)
    for text in axes.texts:
        x, y = text.get_position()
        if seaborn.utils.relative_luminance(shades[int(y), int(x)]) < _DARK:
            text.set_color("white")
    axes.tick_params(length=0, pad=2)
    return mesh

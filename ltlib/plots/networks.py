"""Networks as drawings: neurons in layers, and feature maps that shrink while their channels grow."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from matplotlib.patches import Rectangle

from ltlib.errors import SettingError
from ltlib.plots.palette import BLUE, INK, MUTED
from ltlib.plots.style import DOUBLE, Chart, styled

FILL = "#E8F1F8"


@styled
def feed_forward(layers: Sequence[tuple[str, int]], *, title: str = "") -> Chart:
    """Layers of neurons from left to right, each connected with all of the layer before.

    Args:
        layers: Name and number of neurons of each.
        title: Printed above.

    Raises:
        SettingError: Fewer than two layers, or one without a neuron.
    """
    if len(layers) < 2 or min(count for _, count in layers) < 1:
        raise SettingError("a network needs at least two layers of at least one neuron each")
    most = max(count for _, count in layers)
    fig = Chart(figsize=(DOUBLE * 0.7, 0.45 * most + 0.9))
    axes = fig.add_subplot()
    axes.set(xlim=(-0.5, len(layers) - 0.5), ylim=(most / 2 + 0.7, -most / 2 - 0.4), aspect=0.45, title=title)
    axes.axis("off")
    places = [[(x, i - (count - 1) / 2) for i in range(count)] for x, (_, count) in enumerate(layers)]
    for before, after in pairwise(places):
        for start in before:
            for stop in after:
                axes.plot(*zip(start, stop, strict=True), color=MUTED, linewidth=0.6, zorder=1)
    for (name, count), column in zip(layers, places, strict=True):
        for x, y in column:
            axes.scatter([x], [y], s=160, facecolor=FILL, edgecolor=BLUE, linewidth=1.2, zorder=2)
        axes.text(column[0][0], most / 2 + 0.4, f"{name} ({count})", ha="center", va="center", fontsize=8, color=INK)
    weights = sum(a[1] * b[1] for a, b in pairwise(layers))
    said = ", ".join(f"{name} of {count}" for name, count in layers)
    fig.alt = f"A fully connected network: {said} neurons, joined by {weights} weights."
    fig.data = {"layer": [name for name, _ in layers], "neurons": [count for _, count in layers]}
    return fig


@styled
def feature_maps(steps: Sequence[tuple[str, int, int]], *, title: str = "") -> Chart:
    """Feature maps as stacks of squares from left to right: sides shrink, channels grow.

    Args:
        steps: Name, side in pixels and number of channels of each; a side of 1 is drawn as a column of neurons.
        title: Printed above.

    Raises:
        SettingError: No step, or one without pixels or channels.
    """
    if not steps or min(min(side, channels) for _, side, channels in steps) < 1:
        raise SettingError("feature maps need at least one pixel and one channel each")
    largest = max(side for _, side, _ in steps)
    fig = Chart(figsize=(DOUBLE, 1.9))
    axes = fig.add_subplot()
    axes.set(xlim=(-0.6, len(steps) - 0.4), ylim=(-0.95, 0.55), title=title, aspect="equal")
    axes.axis("off")
    for x, (name, side, channels) in enumerate(steps):
        size, shown = 0.2 + 0.4 * side / largest, min(channels, 5)
        if side == 1:
            rows = [0.3 - 0.15 * i for i in range(shown)]
            axes.scatter([x] * shown, rows, s=34, facecolor=FILL, edgecolor=BLUE, linewidth=1)
        for i in reversed(range(shown if side > 1 else 0)):
            corner = (x - size / 2 - 0.05 + 0.03 * i, -size / 2 - 0.05 + 0.03 * i)
            axes.add_patch(Rectangle(corner, size, size, facecolor=FILL, edgecolor=BLUE, linewidth=0.8))
        said = f"{channels}" if side == 1 else f"{channels} of\n{side} x {side}"
        axes.text(x, -0.5, f"{name}\n{said}", ha="center", va="top", fontsize=7, color=INK)
        if x:
            axes.annotate("", (x - 0.34, 0.0), (x - 0.62, 0.0), arrowprops={"arrowstyle": "->", "color": MUTED})
    said = "; ".join(f"{name} {channels} of {side} by {side}" for name, side, channels in steps)
    fig.alt = f"Layers of a convolutional network, channels and pixels of each: {said}."
    fig.data = {name: [step[i] for step in steps] for i, name in enumerate(("layer", "side", "channels"))}
    return fig

"""What post-hoc methods change: calibration error and likelihood of each method before and after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from ltlib.errors import SettingError
from ltlib.labels import label
from ltlib.plots import alt
from ltlib.plots.palette import BLACK, BLUE, BROWN, GREEN, MUTED, PURPLE, VERMILLION
from ltlib.plots.style import DOUBLE, Chart, chart, light_grid, styled, title_above, with_long_names

LOOKS = {
    "none": (BLACK, "o", "before"),
    "temperature": (BLUE, "s", "temperature"),
    "temperature_balanced": (GREEN, "D", "temperature, class-balanced"),
    "isotonic": (PURPLE, "v", "isotonic"),
    "logit_adjustment": (VERMILLION, "^", "logit adjustment, tau 1"),
    "logit_adjustment_fitted": (BROWN, "P", "logit adjustment and temperature, fitted"),
    "vector_scaling": (MUTED, "X", "vector scaling, class-balanced"),
}
_QUANTITIES = {"ece": (100, "Expected calibration error (%)"), "nll": (1, "Negative log-likelihood (nats)")}
_FAR = 2.5  # times the median, beyond which a value is drawn at the edge

Changes = Mapping[str, Mapping[str, Any]]


@styled
def before_after(posthoc: Mapping[str, Changes], *, title: str = "") -> Chart:
    """ECE and likelihood of each method before and after each post-hoc method: left of the dashed line is better.

    A likelihood far from the others' (isotonic regression can say 0% of the actual class, which costs hundreds of nats)
    is an arrow at the edge with its number.

    Args:
        posthoc: By method what a run's metrics have under ``posthoc``: ``none`` and post-hoc methods, each with ``ece``
            (a fraction), ``nll`` (nats) and ``accuracy``.
        title: Printed above.

    Raises:
        SettingError: No method, or one without ``none``.
    """
    if not posthoc or any("none" not in changes for changes in posthoc.values()):
        raise SettingError("there is nothing to draw: each method needs its numbers before any post-hoc method (none)")
    used = [name for name in LOOKS if any(name in changes for changes in posthoc.values())]
    fig = with_long_names(chart(DOUBLE, 0.9 + 0.16 * (len(used) + 1) * len(posthoc) + (0.2 if title else 0)))
    title_above(fig, title)
    panels = fig.subplots(1, 2, sharey=True)
    for axes, key in zip(panels, _QUANTITIES, strict=True):
        _panel(axes, key, posthoc, used)
    band = len(used) + 1
    panels[0].set_yticks([i * band + (len(used) - 1) / 2 for i in range(len(posthoc))], [label(m) for m in posthoc])
    panels[0].set_ylim(len(posthoc) * band - 1.2, -0.8)
    for axes in panels:
        axes.tick_params(axis="y", length=0)
    handles = [
        Line2D([], [], color=color, marker=marker, linestyle="none", label=text)
        for color, marker, text in (LOOKS[name] for name in used)
    ]
    fig.legend(handles=handles, loc="outside lower center", ncols=3)
    fig.alt = _alt(posthoc)
    pairs = [(method, name) for method, changes in posthoc.items() for name in used if name in changes]
    fig.data = {"method": [method for method, _ in pairs], "post-hoc": [name for _, name in pairs]}
    fig.data |= {key: [posthoc[method][name][key] for method, name in pairs] for key in ("accuracy", *_QUANTITIES)}
    return fig


def _panel(axes: Axes, key: str, posthoc: Mapping[str, Changes], used: Sequence[str]) -> None:
    scale, name = _QUANTITIES[key]
    values = [scale * after[key] for changes in posthoc.values() for after in changes.values()]
    before_all = [scale * changes["none"][key] for changes in posthoc.values()]
    edge = max([*before_all, *(v for v in values if key == "ece" or v <= _FAR * np.median(values))])
    for row, changes in enumerate(posthoc.values()):
        before, top = scale * changes["none"][key], row * (len(used) + 1)
        ends = [top - 0.4, top + len(used) - 0.6]
        axes.plot([before] * 2, ends, color=MUTED, linewidth=0.8, linestyle=(0, (4, 2)))
        for place, post in enumerate(used, top):
            if post not in changes:
                continue
            color, marker, _ = LOOKS[post]
            value = scale * changes[post][key]
            shown = min(value, edge)
            mark: dict[str, Any] = {
                "marker": marker if value <= edge else ">",
                "markersize": 6,
                "markeredgecolor": "white",
            }
            axes.plot([before, shown], [place] * 2, color=color, linewidth=1.0)
            axes.plot(shown, place, color=color, markeredgewidth=0.4, **mark)
            text = f"{value:.1f}" if scale == 100 else f"{value:.2f}"
            at = (max(shown, before), place)
            axes.annotate(text, at, (6, 0), textcoords="offset points", va="center", fontsize=6.5)
    axes.set(xlim=(0, 1.16 * edge), xlabel=name)
    light_grid(axes, "x")


def _alt(posthoc: Mapping[str, Changes]) -> str:
    """What each method starts from, and which post-hoc method lowers it most."""
    parts = []
    for method, changes in posthoc.items():
        said = []
        for key, words, show in (("ece", "ECE", alt.percent), ("nll", "negative log-likelihood", alt.number)):
            best = min(changes, key=lambda name, key=key: changes[name][key])  # type: ignore[misc]
            lowest = f"lowest after {LOOKS[best][2]}, {show(changes[best][key])}"
            after = "which no post-hoc method lowers" if best == "none" else lowest
            said.append(f"{words} {show(changes['none'][key])} before, {after}")
        parts.append(f"{label(method)}: {'; '.join(said)}")
    return f"Calibration before and after post-hoc methods. {'. '.join(parts)}."

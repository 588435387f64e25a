"""Losses as pictures: their class weights, and what share of a mini-batch's loss falls to each class.

`weights` and `shares` compute what the figures show, from a loss's text such as ``focal[gamma=2]``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes

from ltlib.errors import SettingError
from ltlib.labels import label
from ltlib.plots import alt
from ltlib.plots.palette import INK, MUTED
from ltlib.plots.style import DOUBLE, Chart, chart, light_grid, log_labels, method_looks, styled


def weights(loss: str, class_counts: Sequence[int]) -> list[float]:
    """What each class's loss is multiplied by, measured: the loss at equal logits over that of equal class counts.

    Meant for losses that weigh classes (`weighted_ce`, `class_balanced`, `prior_equalised`); of a loss with margins or
    priors it is the ratio at that one point.

    Raises:
        UnknownName: Unknown loss.
    """
    import torch

    from ltlib import losses

    classes = len(class_counts)
    logits, targets = torch.zeros(classes, classes, dtype=torch.float64), torch.arange(classes)
    noise = (torch.ones(classes, classes),) if losses.create(loss, class_counts).noise else ()
    own, even = (
        losses.create(loss, counts).per_sample(logits, targets, *noise) for counts in (class_counts, [1] * classes)
    )
    return (own / even).tolist()


def shares(loss: str, logits: npt.ArrayLike, targets: npt.ArrayLike, class_counts: Sequence[int]) -> list[float]:
    """Each class's share of a mini-batch's loss, [K], summing to 1.

    Args:
        loss: The loss's text.
        logits: Of the batch, [B, K].
        targets: Its classes, [B].
        class_counts: Training images per class.

    Raises:
        UnknownName: Unknown loss.
        SettingError: The batch's loss is 0: nothing to share.
    """
    found = class_sums(loss, logits, targets, class_counts)
    if not found.sum() > 0:
        raise SettingError(f"the batch's loss {loss} is {found.sum():g}; there is nothing to share")
    return (found / found.sum()).tolist()


def class_sums(
    loss: str, logits: npt.ArrayLike, targets: npt.ArrayLike, class_counts: Sequence[int]
) -> npt.NDArray[np.float64]:
    """The sum of each class's losses in a mini-batch, [K]; arguments as of `shares`."""
    import torch

    from ltlib import losses

    z, y = torch.as_tensor(np.asarray(logits, dtype=np.float64)), torch.as_tensor(np.asarray(targets, dtype=np.int64))
    module = losses.create(loss, class_counts)
    noise = (torch.ones(z.shape),) if module.noise else ()
    each = module.per_sample(z, y, *noise)
    return torch.zeros(len(class_counts), dtype=torch.float64).index_add(0, y, each).numpy()


@styled
def weight_over_counts(
    values: Mapping[str, Sequence[float]] | Sequence[str], class_counts: Sequence[int], *, title: str = ""
) -> Chart:
    """Weight of each class against its number of training images, both logarithmic.

    Args:
        values: Names of losses, or what the legend says to the weights per class.
        class_counts: Training images per class.
        title: Printed above.

    Raises:
        SettingError: No losses, or weights that are not one positive number per class.
    """
    table = dict(values) if isinstance(values, Mapping) else {name: weights(name, class_counts) for name in values}
    counts = np.asarray(class_counts, dtype=np.float64)
    if not table:
        raise SettingError("give at least one loss to draw")
    order = np.argsort(counts, kind="stable")
    fig = chart(DOUBLE * 0.75, 2.9)
    axes = fig.add_subplot()
    rows: dict[str, list[Any]] = {"loss name": [], "class": [], "images": [], "weight": []}
    said = []
    for name, look in method_looks(list(table)).items():
        w = np.asarray(table[name], dtype=np.float64)
        if w.shape != counts.shape or not (w > 0).all():
            raise SettingError(
                f"the weights of {name} must be one positive number for each of the {len(counts)} classes"
            )
        axes.plot(counts[order], w[order], label=label(name), **look.line(len(counts)))
        said.append(f"{label(name)} {alt.number(w[order[-1]])} to {alt.number(w[order[0]])}")
        rows["loss name"] += [name] * len(counts)
        rows["class"] += list(range(len(counts)))
        rows["images"] += [int(n) for n in counts]
        rows["weight"] += w.tolist()
    axes.set(xscale="log", yscale="log", title=title)
    axes.set(xlabel="Training images of the class (log scale)", ylabel="Weight of the class (log scale)")
    log_labels(axes.xaxis)
    log_labels(axes.yaxis)
    light_grid(axes)
    fig.legend(loc="outside right upper", alignment="left")
    fig.alt = (
        f"Weight of a class against its training images, from the largest class ({counts.max():,.0f}) to the smallest "
        f"({counts.min():,.0f}): {'; '.join(said)}."
    )
    fig.data = dict(rows)
    return fig


@styled
def batch_shares(
    values: Mapping[str, Sequence[float]], class_counts: Sequence[int] | None = None, *, title: str = ""
) -> Chart:
    """Share of a mini-batch's loss that falls to each class: one bar per loss, a piece per class.

    Args:
        values: Loss (or any name) to its shares, [K], from `shares`; images per class make a bar too.
        class_counts: Images per class of the batch, drawn as a first bar "Images".
        title: Printed above.

    Raises:
        SettingError: No loss, bars of different lengths, or shares that do not sum to 1.
    """
    table = {name: np.asarray(v, dtype=np.float64) for name, v in values.items()}
    if class_counts is not None:
        images = np.asarray(class_counts, dtype=np.float64)
        table = {"Images": images / max(images.sum(), 1)} | table
    if not table or len({v.shape for v in table.values()}) != 1:
        raise SettingError("shares of a batch need at least one loss, each with one share per class")
    for name, v in table.items():
        if v.ndim != 1 or (v < 0).any() or abs(v.sum() - 1) > 1e-6:
            raise SettingError(f"the shares of {name} must be none below zero and sum to 1")
    fig = chart(DOUBLE, 0.9 + 0.42 * len(table))
    axes = fig.add_subplot()
    classes = len(next(iter(table.values())))
    _pieces(axes, table, classes)
    axes.set(xlabel="Share of the mini-batch (%)", xlim=(0, 100), title=title)
    largest = {name: int(v.argmax()) for name, v in table.items()}
    said = [f"{label(n)} {alt.percent(float(table[n][c]))} (class {c})" for n, c in largest.items()]
    fig.alt = f"Share of a mini-batch that falls to each of {classes} classes, the largest share: {'; '.join(said)}."
    fig.data = {
        "loss name": [name for name in table for _ in range(classes)],
        "class": [c for _ in table for c in range(classes)],
        "share": [float(s) for v in table.values() for s in v],
    }
    return fig


def _pieces(axes: Axes, table: Mapping[str, np.ndarray], classes: int) -> None:
    """Stacked bars, class 0 left; a class number on each piece that has room for it."""
    import matplotlib

    shades = matplotlib.colormaps["viridis"](np.linspace(0.0, 0.95, max(classes, 2)))
    places = np.arange(len(table))
    left = np.zeros(len(table))
    for c in range(classes):
        width = np.array([100 * v[c] for v in table.values()])
        axes.barh(places, width, left=left, height=0.72, color=shades[c], edgecolor="white", linewidth=0.4)
        light = c > 0.55 * (classes - 1)
        for place, start, size in zip(places, left, width, strict=True):
            if size >= 2.2:
                color = INK if light else "white"
                axes.text(start + size / 2, float(place), str(c), ha="center", va="center", fontsize=6.5, color=color)
        left = left + width
    axes.set_yticks(places, [label(name) for name in table])
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_color(MUTED)

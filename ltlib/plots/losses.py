"""Losses as pictures: over the true class's probability, their gradient, their class weights, their share of a batch.

`curve`, `weights` and `shares` compute what the figures show, from a loss's text such as ``focal[gamma=2]``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes

from ltlib.errors import SettingError
from ltlib.plots import alt
from ltlib.plots.distribution import THOUSANDS
from ltlib.plots.palette import INK, MUTED
from ltlib.plots.style import DOUBLE, Chart, chart, label, light_grid, method_looks, styled, title_above

POINTS = 199
"""Probabilities of a curve: 0.005 ... 0.995."""


def curve(loss: str, class_counts: Sequence[int] = (1, 1), target: int = 0, points: int = POINTS) -> dict[str, Any]:
    """A loss over the probability of the true class, as equally long columns.

    The other classes share the rest evenly: ``z_y = log(p / (1 - p)) + log(K - 1)``, all other logits 0. Each
    probability is a batch of its own, so losses that weigh by the batch see one image.

    Args:
        loss: The loss's text. Where it needs noise, no class is left out.
        class_counts: Training images per class; their number is K, at least 2.
        target: The true class.
        points: How many probabilities, evenly between 0 and 1.

    Returns:
        ``probability``, ``loss``, ``gradient`` (size of the derivative by the true class's logit) and ``factor`` (the
        loss over cross-entropy).

    Raises:
        UnknownName: Unknown loss.
        SettingError: Fewer than two classes, no such class, or a loss that reads no logits.
    """
    import torch

    from ltlib import losses

    module, classes = losses.create(loss, class_counts), len(class_counts)
    if module.contrastive:
        raise SettingError(f"{loss} compares features and has no curve over a probability")
    if classes < 2 or not 0 <= target < classes:
        raise SettingError(f"a curve needs two classes or more and one of them, not class {target} of {classes}")
    p = torch.arange(1, points + 1, dtype=torch.float64) / (points + 1)
    logits = torch.zeros(points, classes, dtype=torch.float64)
    logits[:, target] = (p / (1 - p)).log() + np.log(classes - 1)
    logits.requires_grad_()
    targets = torch.tensor([target])
    noise = (torch.ones(1, classes),) if module.noise else ()
    values = torch.stack([module(row.unsqueeze(0), targets, *noise) for row in logits])
    (gradient,) = torch.autograd.grad(values.sum(), logits)
    return {
        "probability": p.tolist(),
        "loss": values.detach().tolist(),
        "gradient": gradient[:, target].abs().tolist(),
        "factor": (values.detach() / -p.log()).tolist(),
    }


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
    import torch

    from ltlib import losses

    z, y = torch.as_tensor(np.asarray(logits, dtype=np.float64)), torch.as_tensor(np.asarray(targets, dtype=np.int64))
    module = losses.create(loss, class_counts)
    noise = (torch.ones(z.shape),) if module.noise else ()
    each = module.per_sample(z, y, *noise)
    total = float(each.sum())
    if not total > 0:
        raise SettingError(f"the batch's loss {loss} is {total:g}; there is nothing to share")
    return (torch.zeros(len(class_counts), dtype=torch.float64).index_add(0, y, each) / total).tolist()


@styled
def term_weights(*, title: str = "") -> Chart:
    """Weights of the cross-entropy and the focal term of CEFL and CEFL2 over p (Fig. 5 of ``cefl``)."""
    p = np.linspace(0, 1, POINTS + 2)
    square = (1 - p) ** 2 / ((1 - p) ** 2 + p**2)
    fig = chart(DOUBLE * 0.9, 2.6)
    rows: dict[str, list[Any]] = {"loss name": [], "probability": [], "cross_entropy": [], "focal": []}
    panels = fig.subplots(1, 2, sharey=True)
    looks = method_looks(["ce", "focal"])
    for axes, (name, weight) in zip(panels, {"cefl": 1 - p, "cefl2": square}.items(), strict=True):
        axes.plot(p, weight, label="Cross-entropy term", **looks["ce"].line(POINTS))
        axes.plot(p, 1 - weight, label="Focal term", **looks["focal"].line(POINTS))
        axes.set(xlabel="Probability of the true class", title=label(name), xlim=(0, 1), ylim=(0, 1.02))
        light_grid(axes)
        rows["loss name"] += [name] * len(p)
        for key, values in (("probability", p), ("cross_entropy", weight), ("focal", 1 - weight)):
            rows[key] += values.tolist()
    panels[0].set_ylabel("Weight")
    title_above(fig, title)
    fig.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    quarter = round(0.25 * (POINTS + 1))
    fig.alt = (
        "Weights of the two terms over the probability of the true class; they add up to 1 and cross at 0.5. At 0.25 "
        f"the cross-entropy term weighs {alt.number(1 - p[quarter])} in CEFL and "
        f"{alt.number(square[quarter])} in CEFL2."
    )
    fig.data = dict(rows)
    return fig


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
    axes.xaxis.set_major_formatter(THOUSANDS)
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

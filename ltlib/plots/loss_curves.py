"""Losses over the true class's probability and over the classes, from a loss's text such as ``focal[gamma=2]``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from ltlib.errors import SettingError
from ltlib.labels import label
from ltlib.plots import alt
from ltlib.plots.palette import MUTED
from ltlib.plots.style import DOUBLE, Chart, Look, chart, light_grid, method_looks, styled
from ltlib.registry import parse

POINTS = 199
"""Probabilities of a curve: 0.005 ... 0.995."""
_QUANTITIES = {"loss": "Loss", "gradient": "Gradient by the true logit", "factor": "Loss over cross-entropy"}
_CALLED = {"bce": "BCE", "ohem": "OHEM", "vs": "VS", "focal_sigmoid": "Focal on sigmoids", "deferred": "Deferred CE"}
_CALLED |= {"label_smoothing": "Label smoothing", "label_aware_smoothing": "LAS"}


def called(name: str) -> str:
    """How a loss is printed in figures of losses."""
    base = parse(name)[0]
    return label(name).replace(label(base), _CALLED.get(base, label(base)), 1)


def curve(loss: str, class_counts: Sequence[int] = (1, 1), target: int = 0, points: int = POINTS) -> dict[str, Any]:
    """A loss over the probability of the true class, as equally long columns.

    The other classes share the rest evenly: ``z_y = log(p / (1 - p)) + log(K - 1)``, all other logits 0. Each
    probability is a batch of its own, so losses that weigh by the batch see one image. A deferred loss is shown after
    its switch: its class's weight times the plain loss.

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
    if isinstance(module, losses.Deferred):  # torch's weighted mean of one image would take the weight out again
        module.set_epoch(1, 1)  # the only epoch lies after four fifths of the stage
        values = module.per_sample(logits, targets.expand(points))
    else:
        values = torch.stack([module(row.unsqueeze(0), targets, *noise) for row in logits])
    (gradient,) = torch.autograd.grad(values.sum(), logits)
    return {
        "probability": p.tolist(),
        "loss": values.detach().tolist(),
        "gradient": gradient[:, target].abs().tolist(),
        "factor": (values.detach() / -p.log()).tolist(),
    }


@styled
def over_probability(
    names: Sequence[str],
    rows: Sequence[str] = ("loss", "gradient"),
    *,
    class_counts: Sequence[int] = (1, 1),
    targets: Sequence[int] = (0,),
    most: Mapping[str, float] | None = None,
    points: int = 99,
    width: float = DOUBLE,
    title: str = "",
) -> Chart:
    """Losses over the true class's probability: a row for each quantity, a column for each true class.

    Args:
        names: The losses' texts; each is a line.
        rows: Of ``loss``, ``gradient`` (its size), ``factor`` (on cross-entropy).
        class_counts: Training images per class.
        targets: True classes, negative ones from the end; with one of them the quantities stand side by side.
        most: Upper ends of the vertical axes, by quantity; what lies above runs out of the panel.
        points: How many probabilities.
        width: Of the figure in inches.
        title: Printed above.

    Raises:
        SettingError: No loss, or another quantity.
    """
    if wrong := [row for row in rows if row not in _QUANTITIES]:
        raise SettingError(f"over the probability there is {', '.join(_QUANTITIES)} to draw, not {wrong[0]!r}")
    if not names:
        raise SettingError("give at least one loss to draw")
    counts, flat = tuple(class_counts), len(targets) == 1
    shape = (1, len(rows)) if flat else (len(rows), len(targets))
    fig = chart(width, 0.6 + 0.29 * width * shape[0])
    if title:
        fig.suptitle(title, x=0.01, ha="left", fontweight="bold")
    grid = fig.subplots(*shape, squeeze=False, sharex=True, sharey=False if flat else "row")
    looks, said = method_looks(list(names)), []
    data: dict[str, list[Any]] = {"loss name": [], "true class": [], "probability": [], **{row: [] for row in rows}}
    for j, target in enumerate(target % len(counts) for target in targets):
        curves = {name: curve(name, counts, target, points) for name in names}
        for i, row in enumerate(rows):
            axes = grid[0][i] if flat else grid[i][j]
            _lines(axes, curves, row, looks, (most or {}).get(row))
            if flat or j == 0:
                axes.set_ylabel(_QUANTITIES[row])
            if flat or i == len(rows) - 1:
                axes.set_xlabel("Probability of the true class")
        if not flat:
            grid[0][j].set_title(f"True class of {counts[target]:,} images")
        where = "" if flat else f" at {counts[target]:,} images"
        for name, found in curves.items():
            at = [found[rows[0]][round(p * (points + 1)) - 1] for p in (0.1, 0.9)]
            said.append(f"{called(name)}{where} {alt.number(at[0])} and {alt.number(at[1])}")
            data["loss name"] += [name] * points
            data["true class"] += [target] * points
            for key in ("probability", *rows):
                data[key] += found[key]
    fig.legend(*grid[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    fig.alt = f"{_QUANTITIES[rows[0]]} at probability 0.1 and 0.9 of the true class: {'; '.join(said)}."
    fig.data = dict(data)
    return fig


def _lines(
    axes: Axes, curves: Mapping[str, Mapping[str, Any]], row: str, looks: Mapping[str, Look], top: float | None
) -> None:
    """One quantity of several losses; what is below 0 shows."""
    for name, look in looks.items():
        found = curves[name]
        axes.plot(found["probability"], found[row], label=called(name), **look.line(len(found[row])))
    lowest = min(0.0, *(min(found[row]) for found in curves.values()))
    axes.set(xlim=(0, 1), ylim=(1.1 * lowest, top))
    light_grid(axes)


@styled
def over_classes(
    values: Mapping[str, Sequence[float]], class_counts: Sequence[int], *, what: str, ylabel: str
) -> Chart:
    """A number per class for each of several losses, a line each; below the classes their images.

    Args:
        values: A loss's text to its numbers, [K].
        class_counts: Training images per class, [K].
        what: The numbers in words, for the alternative text.
        ylabel: What the axis says.
    """
    fig = chart(DOUBLE * 0.9, 2.9)
    axes, classes = fig.add_subplot(), range(len(class_counts))
    for name, look in method_looks(list(values)).items():
        axes.plot(classes, values[name], label=called(name), **look.line(len(class_counts)))
    axes.axhline(0, color=MUTED, linewidth=0.7)
    axes.set(xlabel="Class, the largest first", ylabel=ylabel)
    axes.set_xticks(classes, [f"{c}\n{n:,}" for c, n in enumerate(class_counts)])
    light_grid(axes)
    fig.legend(loc="outside right upper", alignment="left")
    ends = [f"{called(n)} {alt.number(round(v[0], 6))} and {alt.number(round(v[-1], 6))}" for n, v in values.items()]
    fig.alt = f"{what} of the largest and of the smallest class: {'; '.join(ends)}."
    fig.data = {
        "loss name": [name for name in values for _ in classes],
        "class": [*classes] * len(values),
        "value": [value for numbers in values.values() for value in numbers],
    }
    return fig


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
    if title:
        fig.suptitle(title, x=0.01, ha="left", fontweight="bold")
    fig.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    quarter = round(0.25 * (POINTS + 1))
    fig.alt = (
        "Weights of the two terms over the probability of the true class; they add up to 1 and cross at 0.5. At 0.25 "
        f"the cross-entropy term weighs {alt.number(1 - p[quarter])} in CEFL and "
        f"{alt.number(square[quarter])} in CEFL2."
    )
    fig.data = dict(rows)
    return fig

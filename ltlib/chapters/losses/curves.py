"""Pictures of the notebook ``02_losses``: curves over p, first gradients, shares of a mini-batch.

Losses are named by their texts and measured, never re-derived: whatever a figure or a table says of a loss is what its
module computes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional as F

from ltlib import datasets, losses
from ltlib.chapters.long_tails.counts import Story
from ltlib.plots import alt
from ltlib.plots import losses as drawn
from ltlib.plots.palette import MUTED
from ltlib.plots.style import DOUBLE, Chart, chart, label, light_grid, method_looks, styled
from ltlib.registry import parse

if TYPE_CHECKING:
    import pandas as pd

COUNTS = tuple(datasets.long_tailed_counts(5000, 10, 100))
"""CIFAR-10 at imbalance factor 100: the class counts of the curves."""
GAMMAS = (0.0, 0.5, 1.0, 2.0, 5.0)
FAMILIES: Mapping[str, tuple[str, ...]] = {
    "confidence": ("ce", "focal[gamma=2]", "cefl", "cefl2", "ohem", "bce", "focal_sigmoid"),
    "weights": (
        *("ce", "weighted_ce[reduction=batch_size]", "class_balanced[beta=0.999]", "prior_equalised"),
        *("loss_equalised", "deferred"),
    ),
    "priors and margins": (
        *("ce", "balanced_softmax", "logit_adjustment[tau=0.5]", "vs", "lade", "ldam[scale=1]"),
        *("ldam_drw[scale=1]", "equalization"),
    ),
    "labels": ("ce", "label_smoothing", "label_aware_smoothing", "awabs"),
}
"""Every classification loss, beside cross-entropy."""
_POINTS = 99


_CALLED = {"bce": "BCE", "ohem": "OHEM", "vs": "VS", "focal_sigmoid": "Focal on sigmoids", "deferred": "Deferred CE"}
_CALLED |= {"label_smoothing": "Label smoothing", "label_aware_smoothing": "LAS"}


def called(name: str) -> str:
    """How a loss is printed in this chapter's figures."""
    base = parse(name)[0]
    return label(name).replace(label(base), _CALLED.get(base, label(base)), 1)


# --- curves ----------------------------------------------------------------------------------------------------------


@cache
def curve(name: str, counts: tuple[int, ...], target: int) -> dict[str, list[float]]:
    """A loss over p; a deferred one after its switch, with its class's weight and the plain mean."""
    module = losses.create(name, counts)
    if not isinstance(module, losses.Deferred):
        return drawn.curve(name, counts, target, _POINTS)
    base = drawn.curve(name.replace("deferred", "ce").replace("ldam_drw", "ldam"), counts, target, _POINTS)
    module.set_epoch(1, 1)  # the only epoch lies after four fifths of the stage
    weight = float(module.weights[target])
    return {key: values if key == "probability" else [weight * v for v in values] for key, values in base.items()}


@styled
def panels(
    names: Sequence[str],
    rows: Sequence[str] = ("loss", "gradient"),
    counts: Sequence[int] = COUNTS,
    targets: Sequence[int] = (0, -1),
    most: Mapping[str, float] | None = None,
    width: float = DOUBLE,
) -> Chart:
    """Losses over the true class's probability: a row for each quantity, a column for each true class.

    Args:
        names: Texts of losses.
        rows: Of ``loss``, ``gradient``, ``factor``.
        counts: Training images per class.
        targets: True classes, negative ones from the end; with one of them the quantities stand side by side.
        most: Upper ends of the vertical axes, by quantity.
        width: Of the figure in inches.
    """
    counts, flat = tuple(counts), len(targets) == 1
    shape = (1, len(rows)) if flat else (len(rows), len(targets))
    fig = chart(width, 0.6 + 0.29 * width * shape[0])
    grid = fig.subplots(*shape, squeeze=False, sharex=True, sharey=False if flat else "row")
    looks, said = method_looks(list(names)), []
    data: dict[str, list[Any]] = {"loss name": [], "true class": [], "probability": [], **{row: [] for row in rows}}
    for j, target in enumerate(target % len(counts) for target in targets):
        curves = {name: curve(name, counts, target) for name in names}
        for i, row in enumerate(rows):
            axes = grid[0][i] if flat else grid[i][j]
            for name, look in looks.items():
                axes.plot(curves[name]["probability"], curves[name][row], label=called(name), **look.line(_POINTS))
            lowest = min(0.0, *(min(found[row]) for found in curves.values()))
            axes.set(xlim=(0, 1), ylim=(1.1 * lowest, (most or {}).get(row)))
            light_grid(axes)
            if flat or j == 0:
                axes.set_ylabel(_NAMES[row])
            if flat or i == len(rows) - 1:
                axes.set_xlabel("Probability of the true class")
        if not flat:
            grid[0][j].set_title(f"True class of {counts[target]:,} images")
        for name, found in curves.items():
            at = [found[rows[0]][round(p * (_POINTS + 1)) - 1] for p in (0.1, 0.9)]
            where = "" if flat else f" at {counts[target]:,} images"
            said.append(f"{called(name)}{where} {alt.number(at[0])} and {alt.number(at[1])}")
            data["loss name"] += [name] * _POINTS
            data["true class"] += [target] * _POINTS
            data["probability"] += found["probability"]
            for row in rows:
                data[row] += found[row]
    fig.legend(*grid[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    fig.alt = f"{_NAMES[rows[0]]} at probability 0.1 and 0.9 of the true class: {'; '.join(said)}."
    fig.data = dict(data)
    return fig


_STEEP = {"weights": 5, "priors and margins": 2}  # what lies above runs out of the panel
_NAMES = {"loss": "Loss", "gradient": "Gradient by the true logit", "factor": "Loss over cross-entropy"}


def family(name: str) -> Chart:
    """The curves of one family: by head and tail where class counts matter."""
    if name == "confidence":  # two classes: the one-against-all losses then read the same p
        return panels(FAMILIES[name], counts=(1, 1), targets=(0,), most={"loss": 5})
    return panels(FAMILIES[name], most={"loss": 10 if name == "weights" else 8, "gradient": _STEEP.get(name, 1.05)})


def focal_by_gamma(rows: Sequence[str] = ("loss",)) -> Chart:
    """Focal loss over p for several gamma."""
    return panels([f"focal[gamma={g:g}]" for g in GAMMAS], rows, counts=(1, 1), targets=(0,), most={"loss": 5})


def explore(
    loss: str = "balanced_softmax", imbalance_factor: float = 100, classes: int = 10, quantity: str = "loss"
) -> Chart:
    """One loss beside cross-entropy for the largest and the smallest class, at one setting of the sliders."""
    counts = datasets.long_tailed_counts(5000, int(classes), imbalance_factor)
    most = {"loss": 8.0} if quantity == "loss" else None
    return panels(list(dict.fromkeys(["ce", loss])), (quantity,), counts, most=most, width=4.6)


def classification() -> list[str]:
    """Names of the registered losses that read logits."""
    return [entry.name for entry in losses.LOSSES if not getattr(entry.factory, "contrastive", False)]


def loss_table() -> pd.DataFrame:
    """Every registered loss: what it is, settings with their defaults, source, module."""
    import pandas as pd

    rows = []
    for entry in losses.LOSSES:
        settings = ", ".join(f"{key} {_word(value)}" for key, value in entry.defaults.items())
        reads = "features" if getattr(entry.factory, "contrastive", False) else "logits"
        module = entry.factory.__module__.removeprefix("ltlib.")
        rows.append([entry.name, reads, entry.summary.replace("`", ""), settings or "none", entry.source, module])
    return pd.DataFrame(rows, columns=["loss", "reads", "what it is", "settings", "source", "module"])


def _word(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value).lower()


# --- what training does first ----------------------------------------------------------------------------------------

PUSHES = ("ce", "focal[gamma=2]", "class_balanced", "balanced_softmax", "ldam[scale=1]", "equalization[threshold=0.05]")


def first_push(loss: str, counts: Sequence[int] = COUNTS) -> list[float]:
    """Minus the gradient of the training set's mean loss by each class's logit where all logits are 0, [K].

    Positive: the first step raises the class everywhere.
    """
    module, classes = losses.create(loss, counts), len(counts)
    targets = torch.repeat_interleave(torch.arange(classes), torch.tensor(counts))
    logits = torch.zeros(len(targets), classes, dtype=torch.float64, requires_grad=True)
    noise = (torch.rand(logits.shape, generator=torch.Generator().manual_seed(0)),) if module.noise else ()
    (gradient,) = torch.autograd.grad(module(logits, targets, *noise), logits)
    return (-gradient.sum(0)).tolist()


@styled
def pushes(names: Sequence[str] = PUSHES, counts: Sequence[int] = COUNTS) -> Chart:
    """`first_push` of several losses over the classes."""
    found = {name: first_push(name, counts) for name in names}
    fig = chart(DOUBLE * 0.9, 2.9)
    axes = fig.add_subplot()
    for name, look in method_looks(list(names)).items():
        axes.plot(range(len(counts)), found[name], label=called(name), **look.line(len(counts)))
    axes.axhline(0, color=MUTED, linewidth=0.7)
    axes.set(xlabel="Class, the largest first", ylabel="First push on the class's logit")
    axes.set_xticks(range(len(counts)), [f"{c}\n{n:,}" for c, n in enumerate(counts)])
    light_grid(axes)
    fig.legend(loc="outside right upper", alignment="left")
    ends = [f"{called(n)} {alt.number(round(v[0], 6))} and {alt.number(round(v[-1], 6))}" for n, v in found.items()]
    fig.alt = f"First push on the logit of the largest and of the smallest class: {'; '.join(ends)}."
    fig.data = {
        "loss name": [name for name in names for _ in counts],
        "class": [*range(len(counts))] * len(names),
        "push": [value for values in found.values() for value in values],
    }
    return fig


# --- a mini-batch ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class MiniBatch:
    """Logits of a linear classifier on real images.

    Attributes:
        logits: float64 [B, K].
        targets: int64 [B].
        class_counts: Of the training set.
    """

    logits: np.ndarray
    targets: np.ndarray
    class_counts: tuple[int, ...]

    def shares(self, loss: str, trained: bool = True) -> list[float]:
        """Each class's share of the batch's loss, [K]; untrained, all logits are 0."""
        return drawn.shares(loss, self.logits if trained else 0 * self.logits, self.targets, self.class_counts)

    def images(self) -> list[int]:
        """Images of each class in the batch."""
        return np.bincount(self.targets, minlength=len(self.class_counts)).tolist()


def mini_batch(story: Story, size: int = 128, steps: int = 30, seed: int = 0) -> MiniBatch:
    """A random batch under a linear classifier of its pixels, trained by cross-entropy on the long-tailed images."""
    assert story.data is not None
    train = story.data.train
    images, y = datasets.random_batch(train, 2000, seed=seed)
    pixels = torch.from_numpy(images.reshape(len(images), -1)).float() / 255
    pixels = (pixels - pixels.mean(0)) / pixels.std()
    targets, classes = torch.from_numpy(y), len(train.class_counts)
    weight = torch.zeros(pixels.shape[1], classes, requires_grad=True)
    bias = torch.zeros(classes, requires_grad=True)
    optimizer = torch.optim.Adam([weight, bias], lr=0.01)
    for _ in range(steps):
        optimizer.zero_grad()
        F.cross_entropy(pixels @ weight + bias, targets).backward()
        optimizer.step()
    logits = (pixels[:size] @ weight + bias).detach().double().numpy()
    return MiniBatch(logits, y[:size], tuple(train.class_counts))


def balance(batch: MiniBatch) -> Chart:
    """Figure 1 of `loss_balance`: cross-entropy at the start and later, then what evens it out."""
    names = {
        "CE, untrained": ("ce", False),
        "CE": ("ce", True),
        "PE: training set": ("prior_equalised", True),
        "LE: this batch": ("loss_equalised", True),
        "LE: scope=loss": ("loss_equalised[scope=loss]", True),
    }
    return drawn.batch_shares({key: batch.shares(*value) for key, value in names.items()}, batch.images())


def all_shares(batch: MiniBatch) -> Chart:
    """The same batch under every loss that reads logits."""
    texts = [f"{name}[scale=1]" if name.startswith("ldam") else name for name in classification()]
    found = {called(text): batch.shares(text) for text in texts}
    positive = {key: values for key, values in found.items() if min(values) >= 0}  # LADE's term can be negative
    figure = drawn.batch_shares(positive, batch.images())
    figure.axes[0].set_ylim(len(positive) + 0.6, -0.6)
    return figure


def balance_sentence(batch: MiniBatch) -> str:
    """How uneven the batch's cross-entropy is."""
    n, ce = np.array(batch.images()), np.array(batch.shares("ce"))
    start, even = np.array(batch.shares("ce", trained=False)), np.array(batch.shares("loss_equalised"))
    counts, present = np.array(batch.class_counts), int((n > 0).sum())
    half = np.argsort(-counts, kind="stable")[len(counts) // 2 :]
    return (
        f"Of {n.sum()} images {n.max()} are of class {int(n.argmax())}, and {present} of {len(n)} classes are there at "
        f"all. The smaller half of the classes has {n[half].sum() / n.sum():.0%} of the images, "
        f"{start[half].sum():.0%} of the cross-entropy before training and {ce[half].sum():.0%} a few steps later. "
        "Equalising by the batch "
        f"gives each of the {present} classes the same weight, not the same loss: their half then holds "
        f"{even[half].sum():.0%}. Equalising the loss itself (scope=loss) gives each class {1 / present:.1%}."
    )

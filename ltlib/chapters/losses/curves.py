"""Losses at one setting of the sliders, and what training does first.

Losses are named by their texts and measured, never re-derived: what is shown is what the modules compute.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ltlib import datasets, losses
from ltlib.plots import Chart, loss_curves

FOCUSED = ("focal", "focal_sigmoid", "cefl", "cefl2", "vs")
"""Losses whose gamma is an exponent, which a slider moves; that of ``equalization`` is a probability."""


def explore(
    loss: str = "balanced_softmax",
    gamma: float | None = None,
    imbalance_factor: float = 100,
    classes: int = 10,
    quantity: str = "loss",
) -> Chart:
    """One loss beside cross-entropy for the largest and the smallest class, at one setting of the sliders.

    Gamma moves the losses of `FOCUSED`; others are drawn as they are.
    """
    counts = datasets.long_tailed_counts(5000, int(classes), imbalance_factor)
    if gamma is not None and loss in FOCUSED:
        loss = f"{loss}[gamma={float(gamma)}]"
    names, most = list(dict.fromkeys(["ce", loss])), {"loss": 8.0} if quantity == "loss" else None
    return loss_curves.over_probability(names, (quantity,), class_counts=counts, targets=(0, -1), most=most, width=4.6)


def first_push(loss: str, counts: Sequence[int]) -> list[float]:
    """Minus the gradient of the training set's mean loss by each class's logit where all logits are 0, [K].

    Positive: the first step raises the class everywhere.
    """
    module, classes = losses.create(loss, counts), len(counts)
    targets = torch.repeat_interleave(torch.arange(classes), torch.tensor(counts))
    logits = torch.zeros(len(targets), classes, dtype=torch.float64, requires_grad=True)
    noise = (torch.rand(logits.shape, generator=torch.Generator().manual_seed(0)),) if module.noise else ()
    (gradient,) = torch.autograd.grad(module(logits, targets, *noise), logits)
    return (-gradient.sum(0)).tolist()

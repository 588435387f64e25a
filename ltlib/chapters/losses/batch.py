"""A mini-batch of real images under a linear classifier: how much of its loss falls to each class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional as F

from ltlib import datasets
from ltlib.plots import losses as drawn

if TYPE_CHECKING:
    from ltlib.datasets.images import LongTailed
    from ltlib.plots import Chart


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


def mini_batch(data: LongTailed, size: int = 128, steps: int = 30, seed: int = 0) -> MiniBatch:
    """A random batch under a linear classifier of its pixels, trained by cross-entropy on the long-tailed images."""
    train = data.train
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


def shares(batch: MiniBatch, bars: Mapping[str, tuple[str, bool]]) -> Chart:
    """The batch's loss by class under several losses.

    Args:
        batch: The batch.
        bars: What a bar says, to the loss's text and whether the classifier is trained. A loss some of whose samples'
            losses are negative (LADE's term can be) has no shares and is left out.
    """
    found = {name: batch.shares(*bar) for name, bar in bars.items()}
    positive = {name: values for name, values in found.items() if min(values) >= 0}
    figure = drawn.batch_shares(positive, batch.images())
    figure.axes[0].set_ylim(len(positive) + 0.6, -0.6)  # without the margin that grows with the bars
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

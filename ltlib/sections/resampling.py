"""Re-sampling drawn: two classes under samplers and SMOTE, with the code that trains."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from ltlib import datasets, embedding
from ltlib.batches import samplers
from ltlib.datasets import resampling
from ltlib.errors import DataError
from ltlib.plots import Chart
from ltlib.plots import oversampling as drawn

if TYPE_CHECKING:
    from ltlib.pages.page import Page


class Pair(NamedTuple):
    """Two classes of a set.

    Attributes:
        images: uint8 [N, H, W, 3], the larger class first.
        targets: 0 (the larger) or 1, [N].
        names: What the classes are called.
    """

    images: np.ndarray
    targets: np.ndarray
    names: tuple[str, str]


def pair(dataset: str, classes: tuple[int, int], sizes: tuple[int, int], seed: int = 0) -> Pair:
    """Random training images of two classes of a set, many of one and few of the other."""
    train, draw = datasets.read(dataset).train, np.random.default_rng(seed)
    chosen = [
        draw.choice(np.flatnonzero(train.targets == c), n, replace=False) for c, n in zip(classes, sizes, strict=True)
    ]
    first, second = (f"digit {name}" if name.isdigit() else name for name in (train.class_names[c] for c in classes))
    return Pair(train.images[np.concatenate(chosen)], np.repeat([0, 1], sizes), (first, second))


def uses(targets: np.ndarray, sampler: str, seed: int = 0) -> np.ndarray:
    """How often an epoch of a sampler shows each image, int64 [N]."""
    order = samplers.SAMPLERS.create(sampler)(torch.from_numpy(targets), 1, 1, torch.Generator().manual_seed(seed))
    return np.bincount(order.numpy(), minlength=len(targets))


def resampled(own: Pair, shown: Mapping[str, str], seed: int = 0) -> Chart:
    """An epoch under several samplers.

    Args:
        own: The images.
        shown: Heading to sampler.
        seed: Of the epochs.
    """
    found = {name: uses(own.targets, sampler, seed) for name, sampler in shown.items()}
    return drawn.resampled(embedding.pca(_flat(own.images), 2), own.targets, found, own.names)


def smote(own: Pair) -> Chart:
    """What SMOTE makes of the smaller class, on the lines between its images.

    Raises:
        DataError: imbalanced-learn is not installed.
    """
    x = _flat(own.images)
    every, _ = resampling.resample("smote", x, own.targets, seed=0)
    made = every[len(x) :]
    parents, _ = between(made, x, np.flatnonzero(own.targets == 1))
    points = embedding.pca(x, 2)
    axes = _linear(x, points)
    middle = np.linalg.norm(x[parents[:, 0]] - x[parents[:, 1]], axis=1).argsort()[::-1]
    rows = middle[np.linspace(0, len(middle) // 2, 3).astype(int)]
    shape = own.images.shape[1:]
    pictures = np.stack([np.stack([x[parents[i, 0]], made[i], x[parents[i, 1]]]).reshape(3, *shape) for i in rows])
    return drawn.interpolated(
        points, own.targets, axes(made), parents, (255 * pictures).round().astype(np.uint8), own.names
    )


def show_smote(page: Page, number: str, own: Pair, caption: str) -> None:
    """`smote` under a declared figure's number, or what to install for it."""
    try:
        page.figure(number, smote(own), caption=caption, runs=[])
    except DataError as error:
        page.missing(f"figure {number}", str(error), 'pip install "ltlib[imblearn]"')


def between(made: np.ndarray, x: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each made point the two of `rows` on whose line segment it lies, int64 [M, 2], and its distance from it."""
    parents, distances = [], []
    first, second = (rows[i] for i in np.triu_indices(len(rows), 1))
    a, span = x[first], x[second] - x[first]
    length = np.maximum((span**2).sum(1), 1e-12)
    for point in made:
        along = (((point - a) * span).sum(1) / length).clip(0, 1)
        away = np.linalg.norm(point - a - along[:, None] * span, axis=1)
        best = int(away.argmin())
        parents.append((int(first[best]), int(second[best])))
        distances.append(float(away[best]))
    return np.array(parents), np.array(distances)


def _flat(images: np.ndarray) -> np.ndarray:
    return embedding.pixels(images).astype(np.float64)


def _linear(x: np.ndarray, points: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """The affine map that took `x` to `points`, for further rows: a principal component is linear."""
    mean = x.mean(0)
    weights, *_ = np.linalg.lstsq(x - mean, points - points.mean(0), rcond=None)
    return lambda rows: (rows - mean) @ weights + points.mean(0)

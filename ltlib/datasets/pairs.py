"""Two classes of a set, many images of one and few of the other: the smallest long tail, to draw re-sampling with."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ltlib.datasets import registry, resampling


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
    """Random training images of two classes of a set.

    Args:
        dataset: The set.
        classes: The larger class and the smaller one.
        sizes: How many images of each.
        seed: Which images.

    Raises:
        UnknownName: No such set.
        DataError: Its images are not on disk.
    """
    train, draw = registry.read(dataset).train, np.random.default_rng(seed)
    chosen = [
        draw.choice(np.flatnonzero(train.targets == c), n, replace=False) for c, n in zip(classes, sizes, strict=True)
    ]
    first, second = (f"digit {name}" if name.isdigit() else name for name in (train.class_names[c] for c in classes))
    return Pair(train.images[np.concatenate(chosen)], np.repeat([0, 1], sizes), (first, second))


def smote(pixels: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What SMOTE makes of the smaller of two classes: points float64 [M, D], and their parents int64 [M, 2].

    Args:
        pixels: float64 [N, D].
        targets: 0 (the larger class) or 1, [N].

    Raises:
        DataError: imbalanced-learn is not installed, or the smaller class has too few images.
    """
    every, _ = resampling.resample("smote", pixels, targets, seed=0)
    made = every[len(pixels) :]
    return made, between(made, pixels, np.flatnonzero(targets == 1))[0]


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


def beside_parents(pixels: np.ndarray, made: np.ndarray, parents: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Three made points as pictures between those of their parents, uint8 [3, 3, *shape]; parents far apart first.

    The furthest parents of all, the middle ones, and those half-way between.

    Args:
        pixels: Numbers from 0 to 1, [N, D].
        made: The same of made images, [M, D].
        parents: Rows of `pixels` between which each lies, [M, 2].
        shape: Of an image.
    """
    furthest = np.linalg.norm(pixels[parents[:, 0]] - pixels[parents[:, 1]], axis=1).argsort()[::-1]
    rows = furthest[np.linspace(0, len(furthest) // 2, 3).astype(int)]
    threes = [np.stack([pixels[parents[i, 0]], made[i], pixels[parents[i, 1]]]).reshape(3, *shape) for i in rows]
    return (255 * np.stack(threes)).round().astype(np.uint8)

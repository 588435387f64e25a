"""Maps of test images: their pixels, a trained network's features, and the numbers that no map shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from ltlib import embedding, places, plots
from ltlib.batches.resident import Resident
from ltlib.labels import label

if TYPE_CHECKING:
    import pandas as pd

    from ltlib.datasets.images import LongTailed
    from ltlib.plots import Chart
    from ltlib.runs import Run


def tsne(x: np.ndarray, targets: np.ndarray, seed: int) -> np.ndarray:
    """A t-SNE map, float32 [N, 2]; one that was made before is read."""
    cache = places.reports_folder() / "cache" / "tsne"
    return embedding.tsne(x, targets, seed=seed, cache=cache, progress=False).points


def pixel_map(data: LongTailed, images: np.ndarray, targets: np.ndarray, seed: int) -> Chart:
    """t-SNE of flattened pixels, a marker and a colour for each class.

    Args:
        data: The set the images are from.
        images: uint8 [N, H, W, 3].
        targets: int64 [N].
        seed: Of the map.
    """
    x = embedding.pixels(images)
    title = f"t-SNE of the pixels of {len(x):,} test images, {label(data.name)}"
    numbers = embedding.separability(x, targets)
    return plots.embedding.scatter(tsne(x, targets, seed), targets, data.class_names, separability=numbers, title=title)


def two_maps(data: LongTailed, x: np.ndarray, targets: np.ndarray, seed: int, title: str) -> Chart:
    """Principal components beside t-SNE of the same rows [N, D], tail classes with a dark edge."""
    points = {"PCA": embedding.pca(x, 2), "t-SNE": tsne(x, targets, seed)}
    return plots.embedding.scatter(
        points, targets, data.class_names, class_counts=data.subset_counts, groups=data.groups,
        emphasise=data.groups["tail"], title=title, kind="PCA and t-SNE",
    )  # fmt: skip


def features(run: Run, images: np.ndarray, data: LongTailed) -> np.ndarray:
    """Penultimate features of a trained network at its last epoch, float32 [N, D]."""
    from ltlib.training import evaluation

    recipe = run.experiment.resolve().recipe
    none = np.zeros(len(images), np.int64)
    resident = Resident(images, none, mean=data.mean, std=data.std, normalise=recipe.normalise, resize=recipe.resize)
    size = evaluation.at_once(embedding.BATCH, recipe.resize)
    return embedding.features(run.network("last"), resident, batch_size=size)


def feature_title(run: Run) -> str:
    """Whose features a map shows."""
    exp = run.experiment
    return f"Penultimate features: {label(exp.method)}, {label(exp.model)}, {label(exp.dataset)}"


def separability(spaces: Mapping[str, np.ndarray], targets: np.ndarray) -> pd.DataFrame:
    """The three numbers of `embedding.separability` for each space."""
    import pandas as pd

    rows = []
    for name, x in spaces.items():
        found = embedding.separability(x, targets)
        numbers = (round(found[key], 3) for key in ("silhouette", "between_within", "nearest_centroid"))
        rows.append([name, x.shape[1], *numbers])
    names = ["space", "dimensions", "silhouette", "between / within scatter", "nearest class mean is right"]
    return pd.DataFrame(rows, columns=names)

"""Feature spaces of finished runs: how well classes separate there, as maps and numbers that are made once and kept."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ltlib import embedding, places, sealed
from ltlib.errors import LtlibError, RunError
from ltlib.registry import parse

if TYPE_CHECKING:
    from ltlib.runs import Run

POINTS = 1000
"""Test images of a map and of its numbers, as in the author's maps; classes in equal parts."""


class Space(NamedTuple):
    """The test images in one network's feature space.

    Attributes:
        run: The run.
        features: float32 [N, D], penultimate features at the selected epoch.
        targets: int64 [N].
        points: float32 [N, 2], their t-SNE map.
        scores: What `ltlib.embedding.separability` measures, over all classes.
        tail: The same among the images of the tail classes.
    """

    run: Run
    features: np.ndarray
    targets: np.ndarray
    points: np.ndarray
    scores: dict[str, float]
    tail: dict[str, float]


def spaces(runs: Iterable[Run]) -> tuple[dict[str, Space], dict[str, str]]:
    """The feature spaces of runs by method, and of the methods that have none the reason: no weights, no images.

    Of several runs of a method the first that has both is taken.
    """
    found: dict[str, Space] = {}
    absent: dict[str, str] = {}
    for run in runs:
        method = parse(run.experiment.method)[0]
        if method in found:
            continue
        try:
            found[method] = space(run)
        except LtlibError as error:
            absent[method] = str(error)
    return found, {method: reason for method, reason in absent.items() if method not in found}


def space(run: Run) -> Space:
    """One run's feature space.

    Raises:
        RunError: Only the record of the run is here, which has no weights.
        DataError: The images are not here.
    """
    folder = places.reports_folder() / "cache" / "features"
    features, targets = _features(run, folder / f"{run.id}.npz")
    mapped = embedding.tsne(features, targets, max_points=POINTS, cache=folder, progress=False)
    rare = np.isin(targets, run.groups.get("tail", ()))
    tail = embedding.separability(features[rare], targets[rare]) if len(set(targets[rare])) > 1 else {}
    return Space(run, features, targets, mapped.points, embedding.separability(features, targets), tail)


def chosen(targets: np.ndarray) -> np.ndarray:
    """At most `POINTS` test images, the first of each class in equal parts, ascending."""
    classes = np.unique(targets)
    each = max(1, POINTS // len(classes))
    return np.sort(np.concatenate([np.flatnonzero(targets == c)[:each] for c in classes]))


def _features(run: Run, place: Path) -> tuple[np.ndarray, np.ndarray]:
    with contextlib.suppress(RunError, KeyError):  # a damaged cache is made again
        cached = sealed.read_arrays(place)
        return cached["features"], cached["targets"]
    import torch

    from ltlib import runs
    from ltlib.runs import store
    from ltlib.training import accelerator, evaluation, frozen, residents

    other = store.other_images(run)
    if other is not None:
        raise RunError(other)
    network = run.network()
    data = runs.load_data(run.experiment)
    index = chosen(data.test.targets)
    target, resolved = accelerator.device(), run.experiment.resolve()
    with accelerator.fixed_threads(target):
        if frozen.constant(resolved, len(resolved.stages) - 1):  # they were computed for the run, and are kept
            kept = frozen.features(network.to(target), resolved, data, target).evaluated["test"]
            features = kept.stored(torch.from_numpy(index)).cpu().numpy()
        else:
            images = residents.resident(data.test.select(index), data, resolved, target)
            features = embedding.features(network.to(target), images, batch_size=evaluation.at_once(250, images.resize))
    targets = np.asarray(data.test.targets)[index]
    sealed.write_arrays(place, features=features, targets=targets)
    return features, targets

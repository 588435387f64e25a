"""Images and features as points: extraction, principal components, t-SNE, and how well classes separate.

t-SNE (van der Maaten and Hinton, 2008) runs on the first 50 principal components of at most 2,000 points. With
``init="pca"`` its seed changes nothing but the order of the rows does, so rows are put in the order of their content
first: the same images give the same map in whatever order they come.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from ltlib.errors import RunError, SettingError
from ltlib.limits import POSITIVE, Limit
from ltlib.progress import Progress, duration

BATCH = 1000
FEWEST = 5
"""Rows that a t-SNE map needs."""
_LARGEST = 1e100
"""Features beyond it have squared distances that no float64 holds."""
_SEED = Limit(most=2**32 - 1, whole=True)
_SECONDS_PER_POINT = 0.0034  # 10,000 points of 512 features, scikit-learn on one core; for the progress line only


class Map(NamedTuple):
    """Points of a map and which rows of the input they are."""

    points: np.ndarray
    indices: np.ndarray


def pixels(images: np.ndarray) -> np.ndarray:
    """uint8 images [N, H, W, C] as rows of float32 between 0 and 1, [N, H * W * C]."""
    images = np.asarray(images)
    return images.reshape(len(images), -1).astype(np.float32) / 255.0


def features(network: nn.Module, images: Any, *, batch_size: int = BATCH) -> np.ndarray:
    """Penultimate features of a network with a method ``embed(images) -> (features, ...)``, float32 [N, D].

    The network is put into evaluation mode and every module gets its own mode back afterwards.

    Args:
        network: The network; its weights say on which device it runs.
        images: What it takes: a tensor [N, 3, H, W] already normalised; a set with ``batch(index)`` and a length, as
            `ltlib.batches.resident.Resident`; or batches of such tensors (or of (images, targets) pairs), or a function
            that returns them.
        batch_size: Images at a time, where batches are cut here.

    Raises:
        SettingError: The network has no ``embed``, or there are no images.
    """
    if not hasattr(network, "embed"):
        raise SettingError(f"{type(network).__name__} has no embed(images); features need a network that gives them")
    weight = next(network.parameters(), None)
    device = weight.device if weight is not None else torch.device("cpu")
    embed: Any = network.embed
    modes = {module: module.training for module in network.modules()}
    network.eval()
    try:
        with torch.no_grad():
            parts = [embed(batch.to(device))[0].float().cpu() for batch in _batches(images, batch_size)]
    finally:
        for module, mode in modes.items():
            module.training = mode
    if not parts:
        raise SettingError("there are no images to take features of")
    return torch.cat(parts).numpy()


def _batches(images: Any, size: int) -> Iterator[Tensor]:
    if isinstance(images, Tensor):
        yield from images.split(size)
        return
    if hasattr(images, "batch") and hasattr(images, "__len__"):
        device = images.targets.device
        for start in range(0, len(images), size):
            yield images.batch(torch.arange(start, min(start + size, len(images)), device=device))
        return
    source: Iterable[Any] = images if hasattr(images, "__iter__") else images()
    for batch in source:
        yield batch[0] if isinstance(batch, (tuple, list)) else batch


def pca(x: np.ndarray, components: int = 2, seed: int = 0) -> np.ndarray:
    """Scores of the first principal components, float64 [N, components]; fewer where the data has fewer.

    Exact up to 500 rows or columns, else by randomised subspace iteration with that seed. Signs are fixed so that the
    largest loading of each component is positive. Rows that are all equal, a single one too, have the score 0.

    Raises:
        SettingError: No matrix of finite numbers, or components or a seed that is no such number.
    """
    x = _matrix(x)
    Limit(1, whole=True).check("components", components)
    _SEED.check("the seed", seed)
    components = min(components, *x.shape)
    if (x == x[0]).all():  # without a variance, which scikit-learn would divide by
        return np.zeros((len(x), components))
    from sklearn.decomposition import PCA

    exact = min(x.shape) <= 500
    model = PCA(components, svd_solver="full" if exact else "randomized", iterated_power=7, random_state=seed)
    scores = model.fit_transform(x.astype(np.float64))
    largest = np.abs(model.components_).argmax(axis=1)
    return scores * np.sign(model.components_[np.arange(components), largest])


def affine(x: np.ndarray, points: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """The affine map that takes `x` [N, D] to `points` [N, C], for further rows [M, D]: principal components are one.

    Of all maps that do, the one whose linear part is smallest; where there is none, the nearest by least squares.
    """
    mean = x.mean(0)
    weights, *_ = np.linalg.lstsq(x - mean, points - points.mean(0), rcond=None)
    return lambda rows: (rows - mean) @ weights + points.mean(0)


def tsne(
    x: np.ndarray,
    targets: np.ndarray | None = None,
    *,
    seed: int = 123,
    max_points: int = 2000,
    perplexity: float = 30.0,
    cache: Path | None = None,
    progress: bool = True,
) -> Map:
    """A t-SNE map of rows of features or pixels.

    Args:
        x: [N, D].
        targets: Classes [N]; of more than `max_points` rows each class keeps its share (at least one point).
        seed: Which rows are kept, and t-SNE's own seed.
        max_points: Rows at most.
        perplexity: Of t-SNE, above 0; lowered to a third of the points where there are few.
        cache: Folder in which the map of these very rows and settings is kept.
        progress: Show a line.

    Returns:
        Points float32 [M, 2] and the indices int64 [M] of their rows, ascending. Rows that are all equal (features that
        have collapsed) all lie at the origin; a single feature gives points on a line.

    Raises:
        SettingError: Fewer than five rows, targets that do not match them, or a setting outside its range.
    """
    x = _matrix(x)
    if len(x) < FEWEST:
        raise SettingError(f"t-SNE needs at least five rows, not {len(x)}")
    Limit(FEWEST, whole=True).check("max_points of t-SNE", max_points)
    POSITIVE.check("perplexity of t-SNE", perplexity)
    _SEED.check("the seed of t-SNE", seed)
    if targets is not None and len(targets) != len(x):
        raise SettingError(f"{len(x)} rows need as many targets, not {len(targets)}")
    place = Path(cache) / f"tsne-{_key(x, targets, seed, max_points, perplexity)}.npz" if cache is not None else None
    if place is not None and (found := _read(place, len(x))) is not None:
        return found
    order = _content_order(x, targets)
    chosen = order[_stratified(None if targets is None else np.asarray(targets)[order], len(x), max_points, seed)]
    line = Progress(1, f"t-SNE of {len(chosen):,} points", enabled=progress)
    with line.waiting(f"about {duration(len(chosen) * _SECONDS_PER_POINT)} in all"):
        points = _mapped(x[chosen], min(perplexity, (len(chosen) - 1) / 3), seed)
    line.step()
    back = np.argsort(chosen)
    result = Map(points[back], chosen[back].astype(np.int64))
    if place is not None:
        from ltlib import sealed

        sealed.write_arrays(place, points=result.points, indices=result.indices)
    return result


def _mapped(x: np.ndarray, perplexity: float, seed: int) -> np.ndarray:
    """What t-SNE makes of rows, float32 [N, 2].

    It starts from two principal components divided by the spread of the first: where rows do not differ scikit-learn
    ends the whole process.
    """
    from sklearn.manifold import TSNE

    reduced = pca(x, 50, seed)
    size = float(np.abs(reduced).max())
    if size == 0:
        return np.zeros((len(x), 2), dtype=np.float32)
    if not 1e-10 < size < 1e10:  # distances are squared in float32; the map depends on their ratios alone
        reduced = reduced / size
    if reduced.shape[1] == 1:
        reduced = np.hstack([reduced, np.zeros_like(reduced)])
    return TSNE(perplexity=perplexity, init="pca", random_state=seed).fit_transform(reduced).astype(np.float32)


def _content_order(x: np.ndarray, targets: np.ndarray | None) -> np.ndarray:
    """Row numbers in the order of class, then of the digest of the row's bytes."""
    digests = np.array([hashlib.sha256(row.tobytes()).hexdigest() for row in np.ascontiguousarray(x)])
    return np.lexsort((digests, np.zeros(len(x)) if targets is None else np.asarray(targets)))


def _stratified(targets: np.ndarray | None, rows: int, size: int, seed: int) -> np.ndarray:
    """Which of `rows` rows to keep, ascending: of each class its share, by largest remainder, at least one."""
    if rows <= size:
        return np.arange(rows)
    generator = np.random.default_rng(seed)
    if targets is None:
        return np.sort(generator.permutation(rows)[:size])
    classes, counts = np.unique(targets, return_counts=True)
    share = counts * size / rows
    take = np.maximum(np.floor(share).astype(int), 1)
    for i in np.argsort(-(share - np.floor(share)), kind="stable"):
        if take.sum() >= size:
            break
        take[i] += share[i] > take[i]
    kept = [generator.permutation(np.flatnonzero(targets == c))[:n] for c, n in zip(classes, take, strict=True)]
    return np.sort(np.concatenate(kept))


def _key(x: np.ndarray, targets: np.ndarray | None, *settings: float) -> str:
    """Digest of everything the map depends on, scikit-learn's version included."""
    digest = hashlib.sha256(f"1 {version('scikit-learn')} {x.dtype} {x.shape} {settings}".encode())
    digest.update(np.ascontiguousarray(x).tobytes())
    if targets is not None:
        digest.update(np.asarray(targets, dtype=np.int64).tobytes())
    return digest.hexdigest()[:24]


def _read(place: Path, rows: int) -> Map | None:
    """The cached map, or None where there is none or it cannot be read: it is then made again."""
    from ltlib import sealed

    try:
        stored = sealed.read_arrays(place)
        found = Map(stored["points"], stored["indices"])
    except (RunError, KeyError):  # a cache is never needed
        return None
    fits = found.points.shape == (len(found.indices), 2) and found.indices.max(initial=0) < rows
    return found if fits else None


def separability(
    x: np.ndarray, targets: np.ndarray, reference: tuple[np.ndarray, np.ndarray] | None = None
) -> dict[str, float]:
    """How well classes separate in a feature space, by three numbers.

    - ``silhouette``: mean over the points of ``(b - a) / max(a, b)``, with ``a`` the mean Euclidean distance to the
      other points of the own class and ``b`` the smallest mean distance to another class (Rousseeuw, 1987); 0 for the
      only point of a class.
    - ``between_within``: ``sum_c n_c |m_c - m|^2 / sum_i |x_i - m_{y_i}|^2``, the traces of the between-class and the
      within-class scatter; m_c are class means, m the mean of all points. Infinite where each class is one point; 0
      where all points are.
    - ``nearest_centroid``: share of the points whose nearest class mean is that of their own class. The means are those
      of `reference` where it is given (training features, say), else of the points themselves, which is optimistic.

    Args:
        x: [N, D].
        targets: Classes [N]; at least two must be there.
        reference: Features and targets whose class means are used for the nearest centroid.

    Raises:
        SettingError: Sizes that do not match, also those of the reference, or fewer than two classes.
    """
    data = torch.from_numpy(_matrix(x).astype(np.float64))
    classes, y_array = np.unique(np.asarray(targets), return_inverse=True)
    if len(y_array) != len(data) or len(classes) < 2:
        raise SettingError(f"separability needs a class for each of {len(data)} rows, and two classes at least")
    y = torch.from_numpy(y_array.astype(np.int64))
    means, counts = _means(data, y, len(classes))
    centre = data.mean(dim=0)
    between = (counts[:, None] * (means - centre).square()).sum()
    within = (data - means[y]).square().sum()
    own, names = means, classes
    if reference is not None:
        far = _matrix(reference[0])
        if far.shape[1] != data.shape[1] or len(far) != len(reference[1]):
            raise SettingError(
                f"a reference for features of {data.shape[1]} columns needs as many, and a class for each row; it has "
                f"the shape {list(far.shape)} and {len(reference[1])} classes"
            )
        names, other = np.unique(np.asarray(reference[1]), return_inverse=True)
        own, _ = _means(torch.from_numpy(far.astype(np.float64)), torch.from_numpy(other), len(names))
    nearest = names[torch.cdist(data, own).argmin(dim=1).numpy()]
    return {
        "silhouette": _silhouette(data, y, counts),
        "between_within": _ratio(float(between), float(within)),
        "nearest_centroid": float((nearest == np.asarray(targets)).mean()),
    }


def _ratio(between: float, within: float) -> float:
    """Features that are all one point are not separated: 0 of 0 is 0."""
    if within > 0:
        return between / within
    return float("inf") if between > 0 else 0.0


def _means(x: Tensor, y: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """Mean and number of the rows of each class."""
    counts = torch.bincount(y, minlength=classes).to(x.dtype)
    return torch.zeros(classes, x.shape[1], dtype=x.dtype).index_add_(0, y, x) / counts[:, None], counts


def _silhouette(x: Tensor, y: Tensor, counts: Tensor) -> float:
    """Mean silhouette, a block of rows at a time: N x N distances never stand in memory at once."""
    member = nn.functional.one_hot(y, len(counts)).to(x.dtype)
    total = 0.0
    for rows, own in zip(x.split(BATCH), y.split(BATCH), strict=True):
        sums = torch.cdist(rows, x, compute_mode="donot_use_mm_for_euclid_dist") @ member
        size = counts[own]
        inside = sums.gather(1, own[:, None])[:, 0] / (size - 1).clamp(min=1)
        outside = (sums / counts).scatter(1, own[:, None], torch.inf).min(dim=1).values
        score = (outside - inside) / torch.maximum(inside, outside)
        total += float(torch.where(size > 1, score.nan_to_num(0.0), torch.zeros(())).sum())
    return total / len(x)


def _matrix(x: np.ndarray) -> np.ndarray:
    x = np.asarray(x)
    if x.ndim != 2 or x.size == 0:
        raise SettingError(f"features must be a matrix, a row for each image, not of shape {list(x.shape)}")
    if x.dtype.kind not in "biuf":
        raise SettingError(f"features must be real numbers, not of the type {x.dtype}")
    if not np.isfinite(x).all():
        raise SettingError("features must be finite numbers; some are NaN or infinite")
    if x.dtype == np.float64 and np.abs(x).max() > _LARGEST:
        raise SettingError(f"features must not be larger than {_LARGEST:g}; divide them by one number")
    return x

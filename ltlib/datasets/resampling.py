"""Synthetic images for rare classes, made from arrays once before training: SMOTE and its kin.

The method ``resampling`` is something else: it draws the stored images more or less often (`ltlib.batches.samplers`).

All take features or pixels ``[N, ...]`` and targets ``[N]`` and give the same with every class filled up to the size of
the largest: first the arrays as they were, then what was made. Arrays of more than two dimensions are flattened for the
distances and put back; whole-number arrays (pixels) are rounded and clipped to their type.

==================  ================================================================================================
smote               Chawla et al. 2002: a point between an image and one of its `neighbours` nearest of its class
adasyn              He et al. 2008: the same, more of it where the neighbourhood is full of other classes
kmeans_smote        Last et al. 2017: k-means over all images, SMOTE inside clusters with enough of the class
cluster             ``awabs`` section 2.1 d: clusters of the largest class; each other class is filled up inside them
==================  ================================================================================================

The first three are imbalanced-learn's (``pip install "ltlib[imblearn]"``). The last is ours: the document says
"clustering the majority class samples and then over-sampling the minority class within each cluster", and that is
neither kmeans_smote nor Jo and Japkowicz 2004, which cluster every class. Read here as: k-means centres of the largest
class; each image of another class belongs to its nearest centre; the missing images of a class are shared among the
clusters in proportion to its images there, and each is a point between two of them (a copy where there is one only).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ltlib.errors import DataError
from ltlib.limits import SHARE, Limit
from ltlib.registry import Registry, Spec

Method = Callable[[np.ndarray, np.ndarray, int], tuple[np.ndarray, np.ndarray]]
"""(features float64 [N, D], targets int64 [N], seed) -> synthetic features [M, D] and targets [M]."""

AT_LEAST_ONE = Limit(1, whole=True)
RESAMPLERS = Registry[Method]("resampling")


def resample(
    method: str | Spec, features: np.ndarray, targets: np.ndarray, *, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Fill every class up to the size of the largest.

    Args:
        method: ``smote``, ``adasyn[neighbours=3]``, ``kmeans_smote``, ``cluster[clusters=4]``.
        features: [N, ...], any number type.
        targets: Classes, whole numbers [N].
        seed: Of the random choices; the same seed gives the same arrays.

    Returns:
        Features [N + M, ...] of the same type, the given ones first; targets int64 [N + M]. adasyn and kmeans_smote
        round within each neighbourhood or cluster, so their classes come out only nearly equal.

    Raises:
        UnknownName: Of the method or a setting.
        DataError: Arrays that do not fit together, a class too small for the method, or imbalanced-learn missing.
    """
    features, targets = np.asarray(features), np.asarray(targets)
    if targets.ndim != 1 or len(features) != len(targets) or len(targets) == 0:
        raise DataError(f"{len(features)} images and targets of shape {list(targets.shape)} do not fit together")
    if not np.issubdtype(targets.dtype, np.integer):
        raise DataError(f"targets must be whole numbers, not {targets.dtype}")
    flat = features.reshape(len(features), -1).astype(np.float64)
    if not np.isfinite(flat).all():
        raise DataError("features hold NaN or infinite values, which have no neighbours")
    if len(np.unique(targets)) == 1:
        return features.copy(), targets.astype(np.int64)
    made, classes = RESAMPLERS.create(method)(flat, targets.astype(np.int64), seed)
    if np.issubdtype(features.dtype, np.integer):
        limits = np.iinfo(features.dtype)
        made = made.round().clip(limits.min, limits.max)
    made = made.reshape(len(made), *features.shape[1:]).astype(features.dtype)
    return np.concatenate([features, made]), np.concatenate([targets, classes]).astype(np.int64)


def names() -> list[str]:
    """Names of the methods."""
    return RESAMPLERS.names()


# --- imbalanced-learn ------------------------------------------------------------------------------------------------


@RESAMPLERS.register("smote", source="Chawla et al. 2002; awabs section 2.1 c; imbalanced-learn")
def smote(*, neighbours: int = 5) -> Method:
    """A point between an image and one of its nearest neighbours of the same class."""
    AT_LEAST_ONE.check("neighbours", neighbours)

    def method(features: np.ndarray, targets: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
        _refuse_small("smote", targets, neighbours)
        sampler = _imblearn().SMOTE(k_neighbors=neighbours, random_state=seed)
        return _fitted("smote", sampler, features, targets)

    return method


@RESAMPLERS.register("adasyn", source="He et al. 2008; imbalanced-learn")
def adasyn(*, neighbours: int = 5) -> Method:
    """SMOTE that makes more where a class's images are surrounded by others."""
    AT_LEAST_ONE.check("neighbours", neighbours)

    def method(features: np.ndarray, targets: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
        _refuse_small("adasyn", targets, neighbours)
        sampler = _imblearn().ADASYN(n_neighbors=neighbours, random_state=seed)
        return _fitted("adasyn", sampler, features, targets)

    return method


@RESAMPLERS.register("kmeans_smote", source="Last et al. 2017; imbalanced-learn")
def kmeans_smote(*, neighbours: int = 2, clusters: int = 8, threshold: float = 0.0) -> Method:
    """SMOTE inside k-means clusters of all images.

    A cluster is used for a class where the class's share of its images is at least `threshold` and it has more images
    than neighbours. imbalanced-learn's own threshold is a share that rare classes of many do not reach anywhere.
    """
    AT_LEAST_ONE.check("neighbours", neighbours)
    AT_LEAST_ONE.check("clusters", clusters)
    SHARE.check("threshold", threshold)

    def method(features: np.ndarray, targets: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
        _refuse_small("kmeans_smote", targets, neighbours)
        sampler = _imblearn().KMeansSMOTE(
            k_neighbors=neighbours,
            kmeans_estimator=_kmeans(min(clusters, len(features)), seed),
            cluster_balance_threshold=threshold,
            random_state=seed,
        )
        return _fitted("kmeans_smote", sampler, features, targets)

    return method


def _imblearn() -> Any:
    """imbalanced-learn's oversampling module; imported when it is first needed."""
    try:
        from imblearn import over_sampling
    except ImportError as error:
        raise DataError(
            'smote, adasyn and kmeans_smote need imbalanced-learn; install it with pip install "ltlib[imblearn]"'
        ) from error
    return over_sampling


def _fitted(name: str, sampler: Any, features: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What a sampler of imbalanced-learn adds; its complaints as ours."""
    try:
        more, classes = sampler.fit_resample(features, targets)
    except (ValueError, RuntimeError) as error:
        raise DataError(f"{name} cannot fill up these classes: {str(error).split(chr(10))[0]}") from error
    return more[len(features) :], classes[len(features) :]


def _refuse_small(name: str, targets: np.ndarray, neighbours: int) -> None:
    """Refuse a class, other than the largest, without enough images for its neighbours."""
    classes, counts = np.unique(targets, return_counts=True)
    for c, count in zip(classes, counts, strict=True):
        if count < counts.max() and count <= neighbours:
            raise DataError(
                f"{name} needs more than {neighbours} images of a class to find {neighbours} neighbours; class {c} has "
                f"{count}: set neighbours to at most {count - 1}, leave the class out, or use cluster"
                if count > 1
                else f"{name} makes points between two images of a class; class {c} has only one: leave it out, or use "
                "cluster, which copies it"
            )


# --- the document's own ----------------------------------------------------------------------------------------------


@RESAMPLERS.register("cluster", source="awabs section 2.1 d, our reading", aliases=("cluster_oversampling",))
def cluster(*, clusters: int = 8) -> Method:
    """Each class filled up inside the clusters of the largest class."""
    AT_LEAST_ONE.check("clusters", clusters)

    def method(features: np.ndarray, targets: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
        return cluster_oversampling(features, targets, clusters, seed)

    return method


def cluster_oversampling(
    features: np.ndarray, targets: np.ndarray, clusters: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """What `cluster` makes: synthetic features [M, D] and their targets [M], class after class.

    Args:
        features: float64 [N, D].
        targets: int64 [N].
        clusters: Centres of the largest class (the first of several as large); fewer if it has fewer images.
        seed: Of the centres and of the random choices.
    """
    rng = np.random.default_rng(seed)
    classes, counts = np.unique(targets, return_counts=True)
    largest = features[targets == classes[counts.argmax()]]
    centres = _kmeans(min(clusters, len(largest)), seed).fit(largest)
    made, labels = [features[:0]], []
    for c, count in zip(classes, counts, strict=True):
        own = features[targets == c]
        places = centres.predict(own)
        missing = counts.max() - count
        for k, share in enumerate(_shares(np.bincount(places, minlength=clusters), missing)):
            members = own[places == k]
            if share == 0:
                continue
            first = rng.integers(len(members), size=share)
            second = (first + rng.integers(1, max(2, len(members)), size=share)) % len(members)
            made.append(members[first] + rng.random((share, 1)) * (members[second] - members[first]))
        labels.append(np.full(missing, c))
    return np.concatenate(made), np.concatenate(labels)


def _shares(sizes: np.ndarray, total: int) -> np.ndarray:
    """`total` split in proportion to the sizes, whole numbers, the largest remainders rounded up."""
    exact = sizes * total / sizes.sum()
    shares = np.floor(exact).astype(np.int64)
    rest = np.argsort(-(exact - shares), kind="stable")[: total - shares.sum()]
    shares[rest] += 1
    return shares


def _kmeans(clusters: int, seed: int) -> Any:
    from sklearn.cluster import KMeans

    return KMeans(clusters, n_init=1, random_state=seed)

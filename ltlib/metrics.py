"""Accuracy, precision, recall and F1 from predicted classes, by class and by class group.

Everything is read off the K x K confusion matrix (rows actual, columns predicted), so a metric always counts all K
classes: one that is never predicted, or has no test image, keeps its row and its column. A ratio without a denominator
is 0 (scikit-learn's ``labels=range(K), zero_division=0``); a group without test images is undefined and None. All
values are fractions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ltlib.errors import SettingError

Groups = Mapping[str, Sequence[int]]
Metrics = dict[str, Any]
_GROUP_VALUES = ("accuracy", "precision", "recall", "f1", "weighted_f1")


def evaluate(
    targets: npt.ArrayLike, predictions: npt.ArrayLike, num_classes: int, groups: Groups | None = None
) -> Metrics:
    """The usual scores of a classifier on a test set.

    Args:
        targets: Actual classes, [N] integers in 0..K-1.
        predictions: Predicted classes, [N] integers in 0..K-1.
        num_classes: K, the number of classes the classifier can answer.
        groups: Group name to its classes, for example head, middle and tail.

    Returns:
        Plain floats and lists, ready for JSON: ``accuracy``; macro ``precision``, ``recall`` and ``f1`` over the K
        classes; ``weighted_f1`` (weights: test images per class); ``balanced_accuracy`` (mean recall over the classes
        that have test images) and ``worst_class_recall`` among those; ``support`` (N); ``per_class`` with the lists
        ``precision``, ``recall``, ``f1`` and ``support``; ``groups`` with, per group, ``accuracy`` (mean over the
        group's images), macro ``precision``, ``recall`` and ``f1`` over the group's classes on the full prediction
        set, ``weighted_f1`` and ``support``. A group without test images has None for all but ``support``.

    Raises:
        SettingError: Lengths differ, no image, values that are no class numbers, or a group of unknown classes.
    """
    return from_confusion(confusion_matrix(targets, predictions, num_classes), groups)


def confusion_matrix(targets: npt.ArrayLike, predictions: npt.ArrayLike, num_classes: int) -> np.ndarray:
    """Images by actual class (rows) and predicted class (columns), [K, K] int64; arguments as in `evaluate`."""
    if isinstance(num_classes, bool) or int(num_classes) != num_classes or num_classes < 1:
        raise SettingError(f"num_classes must be a whole number of at least 1, not {num_classes!r}")
    num_classes = int(num_classes)
    actual = class_numbers(targets, num_classes, "targets")
    predicted = class_numbers(predictions, num_classes, "predictions")
    if len(actual) != len(predicted):
        raise SettingError(f"{len(actual)} targets but {len(predicted)} predictions; each image needs one of both")
    counts = np.bincount(actual * num_classes + predicted, minlength=num_classes**2)
    return counts.reshape(num_classes, num_classes).astype(np.int64)


def from_confusion(matrix: npt.ArrayLike, groups: Groups | None = None) -> Metrics:
    """`evaluate` from a confusion matrix, [K, K] with rows actual: a printed one, or one summed on a device."""
    matrix = _counts(matrix)
    correct, support, predicted = np.diag(matrix), matrix.sum(axis=1), matrix.sum(axis=0)
    precision, recall = _ratio(correct, predicted), _ratio(correct, support)
    f1 = _ratio(2 * correct, support + predicted)
    tested = support > 0
    return {
        "accuracy": float(correct.sum() / support.sum()),
        "precision": float(precision.mean()),
        "recall": float(recall.mean()),
        "f1": float(f1.mean()),
        "weighted_f1": float((f1 * support).sum() / support.sum()),
        "balanced_accuracy": float(recall[tested].mean()),
        "worst_class_recall": float(recall[tested].min()),
        "support": int(support.sum()),
        "per_class": {
            "precision": precision.tolist(),
            "recall": recall.tolist(),
            "f1": f1.tolist(),
            "support": [int(n) for n in support],
        },
        "groups": {
            name: _group(np.asarray(members, dtype=np.int64), correct, support, precision, recall, f1)
            for name, members in _checked_groups(groups, len(matrix)).items()
        },
    }


def restricted(targets: npt.ArrayLike, predictions: npt.ArrayLike, num_classes: int, index: npt.ArrayLike) -> Metrics:
    """`evaluate` on some test images alone, and as the classes counted, those that occur among their targets.

    This is how the thesis `architectures` scores a split: predictions of other images do not count against precision.
    ``precision``, ``recall`` and ``f1`` are means over the occurring classes.

    Args:
        targets: Actual classes of the whole test set, [N].
        predictions: Predicted classes of the whole test set, [N].
        num_classes: K.
        index: Positions of the split's images in the test set.
    """
    index = np.asarray(index, dtype=np.int64)
    if index.size == 0:
        return dict.fromkeys(_GROUP_VALUES) | {"support": 0}
    actual = class_numbers(targets, num_classes, "targets")[index]
    matrix = confusion_matrix(actual, class_numbers(predictions, num_classes, "predictions")[index], num_classes)
    present = np.flatnonzero(matrix.sum(axis=1)).tolist()
    return from_confusion(matrix, {"split": present})["groups"]["split"]


def evaluation_splits(
    targets: npt.ArrayLike, class_counts: Sequence[int], imbalance_factor: float = 100.0, largest: int | None = 50
) -> dict[str, np.ndarray]:
    """The test sets of the thesis `architectures`: a balanced one, a long-tailed one, and the latter's three groups.

    The long-tailed test set takes the first ``max(1, int(n * IF**(-r / (K - 1))))`` images of the class with rank r in
    training size; classes are cut into head, middle and tail at a third and two thirds, rounded down (33, 33 and 34 of
    100). With n = 50 and IF 100 that is 844 + 169 + 38 = 1,051 images, the sizes that the printed accuracies imply.

    Args:
        targets: Actual classes of the test set, [N].
        class_counts: Training images per class; the ranks come from it, equal counts keep the class order.
        imbalance_factor: IF of the long-tailed test set.
        largest: n; None or more than the smallest class has: what that class has.

    Returns:
        ``balanced`` (every image), ``longtailed``, ``head``, ``middle``, ``tail``: positions in the test set, int64.
    """
    num_classes = len(class_counts)
    actual = class_numbers(targets, num_classes, "targets")
    if imbalance_factor < 1:
        raise SettingError(f"an imbalance factor is at least 1, not {imbalance_factor}")
    available = int(np.bincount(actual, minlength=num_classes).min())
    largest = available if largest is None else min(largest, available)
    by_size = np.argsort(-np.asarray(class_counts, dtype=np.int64), kind="stable")
    cuts = [0, num_classes // 3, 2 * num_classes // 3, num_classes]
    chosen = []
    for rank, label in enumerate(by_size):
        share = imbalance_factor ** (-rank / max(num_classes - 1, 1))
        chosen.append(np.flatnonzero(actual == label)[: max(1, int(largest * share + 1e-9))])
    splits = {"balanced": np.arange(len(actual)), "longtailed": np.sort(np.concatenate(chosen))}
    for name, low, high in zip(("head", "middle", "tail"), cuts[:-1], cuts[1:], strict=True):
        splits[name] = np.sort(np.concatenate([np.empty(0, np.int64), *chosen[low:high]]))
    return splits


def class_numbers(values: npt.ArrayLike, num_classes: int, what: str) -> np.ndarray:
    """Check class numbers: one axis, whole numbers, 0..K-1, at least one; returns them as [N] int64.

    Raises:
        SettingError: Naming `what`, the first bad value and its position.
    """
    array = np.asarray(values)
    if array.ndim != 1 or array.size == 0:
        raise SettingError(f"{what} must be a non-empty list of class numbers, not an array of shape {array.shape}")
    if array.dtype.kind == "f" and np.isnan(array).any():
        raise SettingError(f"{what} hold NaN at position {int(np.isnan(array).argmax())}; nothing is computed")
    if array.dtype.kind not in "iu":
        raise SettingError(f"{what} must be whole class numbers, not {array.dtype}")
    wrong = np.flatnonzero((array < 0) | (array >= num_classes))
    if wrong.size:
        at = int(wrong[0])
        raise SettingError(f"{what} hold class {array[at]} at position {at}; there are classes 0..{num_classes - 1}")
    return array.astype(np.int64)


def checked_scores(scores: npt.ArrayLike) -> np.ndarray:
    """Check logits or probabilities: [N, K], at least one row and one class, finite.

    Raises:
        SettingError: Naming the first row that is not finite.
    """
    array = np.asarray(scores)
    if array.ndim != 2 or 0 in array.shape:
        raise SettingError(f"scores must have one row per image and one column per class, not shape {array.shape}")
    if array.dtype.kind not in "fiu":
        raise SettingError(f"scores must be numbers, not {array.dtype}")
    bad = np.flatnonzero(~np.isfinite(array).all(axis=1))
    if bad.size:
        raise SettingError(f"scores of image {int(bad[0])} are not finite ({bad.size} such rows); nothing is computed")
    return array


def _counts(matrix: npt.ArrayLike) -> np.ndarray:
    array = np.asarray(matrix)
    if array.ndim != 2 or array.shape[0] != array.shape[1] or array.size == 0:
        raise SettingError(f"a confusion matrix is square, not of shape {array.shape}")
    if array.dtype.kind not in "iuf" or not np.isfinite(array).all() or (array != np.floor(array)).any():
        raise SettingError("a confusion matrix holds whole numbers of images")
    if (array < 0).any() or array.sum() == 0:
        raise SettingError("a confusion matrix holds no negative numbers and at least one image")
    return array.astype(np.int64)


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Elementwise quotient as float64, 0 where there is nothing to divide by."""
    return np.divide(above, below, out=np.zeros(len(above)), where=below > 0)


def _checked_groups(groups: Groups | None, num_classes: int) -> dict[str, list[int]]:
    checked = {}
    for name, members in (groups or {}).items():
        listed = [int(label) for label in members]
        if len(set(listed)) != len(listed) or any(not 0 <= label < num_classes for label in listed):
            raise SettingError(f"group {name} must name distinct classes of 0..{num_classes - 1}, not {listed}")
        checked[name] = listed
    return checked


def _group(
    members: np.ndarray,
    correct: np.ndarray,
    support: np.ndarray,
    precision: np.ndarray,
    recall: np.ndarray,
    f1: np.ndarray,
) -> Metrics:
    images = int(support[members].sum())
    if images == 0:
        return dict.fromkeys(_GROUP_VALUES) | {"support": 0}
    return {
        "accuracy": float(correct[members].sum() / images),
        "precision": float(precision[members].mean()),
        "recall": float(recall[members].mean()),
        "f1": float(f1[members].mean()),
        "weighted_f1": float((f1[members] * support[members]).sum() / images),
        "support": images,
    }

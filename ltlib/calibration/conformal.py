"""Conformal sets: instead of one class the classes that cannot be ruled out, right for a share of images set before.

A score says how badly a class fits an image. Held-out images, whose class is known, give a threshold that all but a
share alpha of them stay below; an image's set holds every class whose score is not above it. If test images are like
the held-out ones (exchangeable), the set holds the actual class with probability of at least 1 - alpha, whatever the
network (Vovk et al. 2005; Angelopoulos and Bates 2023, section 1). The finite-sample quantile makes that exact: of n
held-out scores the ``ceil((n + 1) (1 - alpha))``-th smallest. Where there is no such one, n < 1 / alpha - 1, nothing
can be ruled out, the threshold is infinite and the class in every set.

Held-out images have the training set's long tail and the test set has not, so a single threshold promises nothing of a
tail class, and nothing of a balanced test set. `thresholds` has four ways (`WAYS`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ltlib.calibration.checks import checked_probabilities
from ltlib.errors import SettingError
from ltlib.metrics import Groups, checked_scores, class_numbers

ALPHA = 0.1
KINDS = ("threshold", "adaptive", "regularised")
WAYS = ("all", "balanced", "groups", "classes")


def class_scores(
    probabilities: npt.ArrayLike,
    kind: str = "threshold",
    *,
    seed: int | None = 0,
    penalty: float = 0.01,
    allowed: int = 5,
) -> np.ndarray:
    """How badly each class fits each image, [N, K] float64; less is better.

    - ``threshold``: ``1 - p_y``; the smallest sets on average (LAC; Sadinle et al. 2019).
    - ``adaptive``: the probability of all classes before y, most probable first, and a random part of p_y itself (APS;
      Romano et al. 2020); sets grow where the network hesitates. Without the random part (``seed=None``) the whole of
      p_y counts and sets are larger. A set can be empty.
    - ``regularised``: that and ``penalty`` for each place of y beyond the first `allowed` (RAPS; Angelopoulos et al.
      2021), which keeps unlikely classes out of the sets of many-class problems.

    Args:
        probabilities: [N, K], rows sum to 1.
        kind: One of `KINDS`.
        seed: Of the random parts, one an image; None counts all of p_y. Held-out and test images need different ones.
        penalty: Of ``regularised``, at least 0.
        allowed: Of ``regularised``: places without a penalty.

    Raises:
        SettingError: Another kind, NaN, rows that do not sum to 1, a penalty below 0.
    """
    rows = np.asarray(probabilities)
    rows, _ = checked_probabilities(rows, np.zeros(len(rows), dtype=np.int64))
    if kind not in KINDS:
        raise SettingError(f"a conformal score is one of {', '.join(KINDS)}, not {kind!r}")
    if kind == "threshold":
        return 1 - rows
    if not (math.isfinite(penalty) and penalty >= 0):
        raise SettingError(f"the penalty of regularised sets must be at least 0, not {penalty}")
    order = np.argsort(-rows, axis=1, kind="stable")
    part = np.ones(len(rows)) if seed is None else np.random.default_rng(seed).random(len(rows))
    ranked = np.take_along_axis(rows, order, axis=1)
    fit = ranked.cumsum(axis=1) - (1 - part[:, None]) * ranked
    if kind == "regularised":
        fit += penalty * np.maximum(0, np.arange(1, rows.shape[1] + 1) - allowed)
    scores = np.empty_like(rows)
    np.put_along_axis(scores, order, fit, axis=1)
    return scores


def thresholds(
    scores: npt.ArrayLike,
    targets: npt.ArrayLike,
    alpha: float = ALPHA,
    way: str = "all",
    groups: Groups | None = None,
) -> np.ndarray:
    """The threshold of each class, float64 [K]; infinite where the held-out images are too few to rule the class out.

    - ``all``: one for all classes, from all held-out images. Promises 1 - alpha for images like the held-out ones, of
      all classes together.
    - ``balanced``: the same for a test set with as many images of each class: a held-out image counts 1 over the images
      of its class (label shift; Tibshirani et al. 2019, Podkopaev and Ramdas 2021). A test image of class y has a
      weight too, so the threshold hangs on y.
    - ``groups``: one for the classes of each group, from their held-out images. Promises 1 - alpha to each group, at
      the classes' shares that the held-out images have in it.
    - ``classes``: one for each class, from its own held-out images (Vovk 2012). Promises 1 - alpha to each class and so
      to any mixture of them, but needs at least 1 / alpha - 1 held-out images of each.

    Args:
        scores: `class_scores` of held-out images, [M, K].
        targets: Their classes, [M].
        alpha: Share of images whose set may lack the actual class, between 0 and 1.
        way: One of `WAYS`.
        groups: Group name to its classes, for ``groups``; each class is in one.

    Raises:
        SettingError: Another way, alpha outside 0..1, lengths that differ, groups that do not hold each class once.
    """
    given = checked_scores(scores).astype(np.float64)
    classes = given.shape[1]
    actual = class_numbers(targets, classes, "targets")
    if len(actual) != len(given):
        raise SettingError(f"{len(given)} rows of scores but {len(actual)} targets; each image needs one of both")
    if not 0 < alpha < 1:
        raise SettingError(f"alpha, the share of sets that may be wrong, lies between 0 and 1, not {alpha}")
    if way not in WAYS:
        raise SettingError(f"thresholds are taken in one of the ways {', '.join(WAYS)}, not {way!r}")
    own = given[np.arange(len(actual)), actual]
    if way == "balanced":
        return _balanced(own, actual, classes, alpha)
    parts = {"all": [list(range(classes))], "classes": [[c] for c in range(classes)]}.get(way)
    if parts is None:
        parts = [list(members) for members in (groups or {}).values()]
        if sorted(c for members in parts for c in members) != list(range(classes)):
            raise SettingError(f"thresholds by group need groups that hold each of the {classes} classes once")
    found = np.empty(classes)
    for members in parts:
        found[members] = finite_sample_quantile(own[np.isin(actual, members)], alpha)
    return found


def finite_sample_quantile(scores: npt.ArrayLike, alpha: float) -> float:
    """The ``ceil((n + 1) (1 - alpha))``-th smallest of n scores; infinite where there is no such one."""
    ordered = np.sort(np.asarray(scores, dtype=np.float64))
    place = math.ceil((len(ordered) + 1) * (1 - alpha) - 1e-9)  # 0.9 of 10 is 9, not a hair more
    return float(ordered[place - 1]) if place <= len(ordered) else math.inf


def _balanced(own: np.ndarray, actual: np.ndarray, classes: int, alpha: float) -> np.ndarray:
    count = np.bincount(actual, minlength=classes)
    order = np.argsort(own, kind="stable")
    mass = (1 / count[actual[order]]).cumsum()
    found = np.full(classes, math.inf)
    for c in np.flatnonzero(count):
        needed = (1 - alpha) * (mass[-1] + 1 / count[c]) - 1e-9  # the test image itself counts as one beyond all
        place = int(np.searchsorted(mass, needed, side="left"))
        found[c] = own[order[place]] if place < len(own) else math.inf
    return found


def sets(scores: npt.ArrayLike, limits: npt.ArrayLike) -> np.ndarray:
    """Which classes are in each image's set, bool [N, K].

    Args:
        scores: `class_scores` of the images, [N, K], of the kind the thresholds come from.
        limits: `thresholds`, [K].
    """
    return np.asarray(scores) <= np.asarray(limits)


def coverage(inside: np.ndarray, targets: npt.ArrayLike, groups: Mapping[str, Any]) -> dict[str, Any]:
    """How often sets hold the actual class and how many classes they hold, of all images and of class groups.

    Args:
        inside: `sets`, [N, K].
        targets: Actual classes, [N].
        groups: Group name to its classes; one without images is left out.

    Returns:
        ``images``, ``coverage`` (a fraction), ``size`` (mean number of classes), ``size_std`` over images, ``empty``
        (share of sets without a class), and the same under ``groups`` by name. `statistics.share_interval` and
        `statistics.t_half_width` give their intervals over test images.
    """
    actual = class_numbers(targets, inside.shape[1], "targets")
    found = _covered(inside, actual)
    members = {name: np.isin(actual, list(classes)) for name, classes in groups.items()}
    found["groups"] = {name: _covered(inside[own], actual[own]) for name, own in members.items() if own.any()}
    return found


def _covered(inside: np.ndarray, actual: np.ndarray) -> dict[str, Any]:
    size = inside.sum(axis=1)
    return {
        "images": len(actual),
        "coverage": float(inside[np.arange(len(actual)), actual].mean()),
        "size": float(size.mean()),
        "size_std": float(size.std(ddof=1)) if len(size) > 1 else 0.0,
        "empty": float((size == 0).mean()),
    }

"""A network's calibration before and after each post-hoc method, fitted on its held-out training images."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ltlib import calibration
from ltlib.calibration import conformal, crossfit, posthoc, vector
from ltlib.calibration.crossfit import Calibrated, Fit
from ltlib.metrics import Groups

METHODS = (
    *("none", "temperature", "temperature_balanced", "isotonic", "logit_adjustment", "logit_adjustment_fitted"),
    "vector_scaling",
)
CROSS_FITTED = ("none", "temperature_balanced", "isotonic", "logit_adjustment_fitted", "vector_scaling")
"""The methods that are fitted and scored across folds of the held-out images too."""
IN_SETS = ("none", "logit_adjustment_fitted")
"""Those of them whose probabilities are made into conformal sets."""
SETS = tuple((kind, way) for kind in ("threshold", "adaptive") for way in conformal.WAYS)
"""Kinds and ways of these sets."""


def before_and_after(
    logits: npt.ArrayLike,
    targets: npt.ArrayLike,
    held_out_logits: npt.ArrayLike,
    held_out_targets: npt.ArrayLike,
    class_counts: Sequence[int],
    groups: Groups,
) -> dict[str, dict[str, Any]]:
    """Accuracy and calibration on the test images with and without each post-hoc method.

    The held-out images have the training set's long tail, the test images as many of each class. So:

    - ``none``: the logits as they are.
    - ``temperature``: T of the smallest plain cross-entropy; calibrates for images like the training set's.
    - ``temperature_balanced``: T of the smallest class-balanced one; meant for the test set, unsure in the tail.
    - ``isotonic``: one curve per class, plain; it learns how often a class is right at the training prior. It may say
      exactly 0 of the actual class, which `calibration.negative_log_likelihood` counts as 708 nats.
    - ``logit_adjustment``: tau = 1, nothing fitted. On a loss that has the prior in it already (balanced softmax) it
      takes the prior out twice.
    - ``logit_adjustment_fitted``: tau and T of the smallest class-balanced cross-entropy, `posthoc.fit_adjustment`.
    - ``vector_scaling``: a scale and a bias for each class, class-balanced, `vector.fit_vector_scaling`.

    Both adjustments are left out where a class has no training image: its prior has no logarithm.

    Args:
        logits: Of the test images, [N, K].
        targets: Their classes, [N].
        held_out_logits: Of the held-out images with the same weights, [M, K].
        held_out_targets: Their classes, [M].
        class_counts: Training images per class, without the held-out ones.
        groups: Group name to its classes.

    Returns:
        By method, JSON-ready fractions: ``parameters`` (what was fitted or set), ``held_out`` (M), ``accuracy``, the
        numbers of `scores`, ``ece_floor`` and ``ece_debiased`` (`calibration.debiased_from_confidence`), ``groups``
        with each group's ``accuracy`` and ``ece`` (None without test images), and ``bins``: ``count``, mean
        ``confidence`` and ``accuracy`` of the 15 equal-width bins, None where empty. With two held-out images or more
        `CROSS_FITTED` have ``cross_fitted``: the number of ``folds``, the ``parameters`` fitted without each, and the
        out-of-fold scores of `crossfit.balanced_scores`; and `IN_SETS` have ``sets`` (`in_sets`).

    Raises:
        SettingError: Logits that are not finite, lengths or class numbers that differ.
    """
    held, held_targets = posthoc.checked_held_out(held_out_logits, held_out_targets)
    found = {}
    for method, fit in _fits(class_counts).items():
        parameters, calibrated = fit(held, held_targets)
        rows = calibrated(logits)
        found[method] = {"parameters": parameters, "held_out": len(held), **_summary(rows, targets, groups)}
        if len(held) < 2 or method not in CROSS_FITTED:
            continue
        crossed = crossfit.cross_fit(fit, held, held_targets, min(crossfit.FOLDS, len(held)))
        found[method]["cross_fitted"] = {
            "folds": int(crossed.fold.max()) + 1,
            "parameters": crossed.parameters,
            **crossfit.balanced_scores(crossed.probabilities, held_targets),
        }
        if method in IN_SETS:
            found[method]["sets"] = in_sets(crossed.probabilities, held_targets, rows, targets, groups)
    return found


def in_sets(
    held_out: np.ndarray, held_out_targets: np.ndarray, rows: np.ndarray, targets: npt.ArrayLike, groups: Groups
) -> dict[str, Any]:
    """Conformal sets of the test images at `conformal.ALPHA`, thresholds from held-out images.

    The held-out probabilities are cross-fitted: with those of numbers fitted on the same images thresholds would be too
    low. The test images' come from numbers fitted on all of them, a little better ones, which errs to the safe side.

    Args:
        held_out: Probabilities of the held-out images, [M, K].
        held_out_targets: Their classes, [M].
        rows: Probabilities of the test images, [N, K].
        targets: Their classes, [N].
        groups: Group name to its classes.

    Returns:
        ``alpha``, ``columns``, and by kind and way of `SETS` a row of numbers, to four decimals (a run's record has no
        room for more): ``never out``, the number of classes with too few held-out images, which are in every set;
        ``empty``; and of all images and of each class group that has some, as `conformal.coverage`, ``coverage``,
        ``size``, ``size_std`` and ``images``, with the group's name behind them: ``coverage head``.
    """
    found: dict[str, Any] = {"alpha": conformal.ALPHA}
    whole = {name: members for name, members in groups.items() if len(members)}
    each_once = sorted(c for members in whole.values() for c in members) == list(range(rows.shape[1]))
    for kind, way in SETS:
        if way == "groups" and not each_once:
            continue
        known = conformal.class_scores(held_out, kind, seed=0)
        limits = conformal.thresholds(known, held_out_targets, way=way, groups=whole)
        inside = conformal.sets(conformal.class_scores(rows, kind, seed=1), limits)
        covered = conformal.coverage(inside, targets, groups)
        row = {"never out": int(np.isinf(limits).sum()), "empty": covered["empty"]}
        for name, own in {"": covered, **covered["groups"]}.items():
            row |= {f"{key} {name}".strip(): own[key] for key in ("coverage", "size", "size_std", "images")}
        found["columns"] = list(row)
        found.setdefault(kind, {})[way] = [round(value, 4) for value in row.values()]
    return found


def reliability_table(change: Mapping[str, Any]) -> dict[str, list[float]]:
    """One post-hoc method's ``bins`` as a reliability table: `calibration.reliability`'s columns, NaN where empty."""
    bins = change["bins"]
    edges = [i / len(bins["count"]) for i in range(len(bins["count"]) + 1)]
    means = {
        name: [math.nan if value is None else value for value in bins[name]] for name in ("confidence", "accuracy")
    }
    return {"lower": edges[:-1], "upper": edges[1:], "count": bins["count"], **means}


def mean_of(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The mean over runs of one post-hoc method's numbers in `before_and_after`, one a run and at least one.

    Returns:
        ``accuracy``, ``ece``, ``classwise_ece``, ``ece_floor``, ``ece_debiased`` (fractions, the last two NaN where no
        run's record has them), ``nll`` (nats), ``groups`` with the ECE of each that has images, ``parameters``, and
        ``held_out`` of the first.
    """
    first = parts[0]
    row: dict[str, Any] = {
        key: float(np.mean([part[key] for part in parts])) for key in ("accuracy", "ece", "classwise_ece", "nll")
    }
    for key in ("ece_floor", "ece_debiased"):
        known = [part[key] for part in parts if key in part]
        row[key] = float(np.mean(known)) if known else math.nan
    row["groups"] = {
        group: float(np.mean([part["groups"][group]["ece"] for part in parts]))
        for group, values in first["groups"].items()
        if values["ece"] is not None
    }
    row["parameters"] = {
        name: float(np.mean([part["parameters"][name] for part in parts])) for name in first["parameters"]
    }
    return row | {"held_out": int(first["held_out"])}


def scores(probabilities: npt.ArrayLike, targets: npt.ArrayLike) -> dict[str, float]:
    """Every calibration number of a network's probabilities [N, K]: ``ece``, ``ace``, ``classwise_ece``, ``mce``,
    ``brier`` and ``nll``. ``ace`` is `calibration.adaptive_calibration_error`."""
    return {
        "ece": calibration.expected_calibration_error(probabilities, targets),
        "ace": calibration.adaptive_calibration_error(probabilities, targets),
        "classwise_ece": calibration.classwise_calibration_error(probabilities, targets),
        "mce": calibration.maximum_calibration_error(probabilities, targets),
        "brier": calibration.brier(probabilities, targets),
        "nll": calibration.negative_log_likelihood(probabilities, targets),
    }


def _fits(class_counts: Sequence[int]) -> dict[str, Fit]:
    """Each method by name, in the order of `METHODS`."""

    def none(logits: np.ndarray, targets: np.ndarray) -> tuple[dict[str, float], Calibrated]:
        return {}, calibration.probabilities

    def plain(logits: np.ndarray, targets: np.ndarray) -> tuple[dict[str, float], Calibrated]:
        return _scaled(posthoc.fit_temperature(logits, targets))

    def balanced(logits: np.ndarray, targets: np.ndarray) -> tuple[dict[str, float], Calibrated]:
        return _scaled(posthoc.fit_temperature(logits, targets, balanced=True))

    def isotonic(logits: np.ndarray, targets: np.ndarray) -> tuple[dict[str, float], Calibrated]:
        return {}, lambda z: posthoc.isotonic_probabilities(z, logits, targets)

    def adjusted(logits: np.ndarray, targets: np.ndarray) -> tuple[dict[str, float], Calibrated]:
        return {"tau": 1.0}, lambda z: calibration.probabilities(posthoc.logit_adjustment(z, class_counts))

    def fitted(logits: np.ndarray, targets: np.ndarray) -> tuple[dict[str, float], Calibrated]:
        tau, temperature = own = posthoc.fit_adjustment(logits, targets, class_counts)

        def apply(z: npt.ArrayLike) -> np.ndarray:
            moved = posthoc.logit_adjustment(z, class_counts, tau)
            return calibration.probabilities(posthoc.apply_temperature(moved, temperature))

        return own._asdict(), apply

    def each_class(logits: np.ndarray, targets: np.ndarray) -> tuple[dict[str, float], Calibrated]:
        own = vector.fit_vector_scaling(logits, targets, balanced=True)
        said = {"mean scale": float(own.scale.mean()), "range of biases": float(np.ptp(own.bias))}
        return said, lambda z: calibration.probabilities(vector.apply_vector_scaling(z, own))

    every: tuple[Fit, ...] = (none, plain, balanced, isotonic, adjusted, fitted, each_class)
    known: dict[str, Fit] = dict(zip(METHODS, every, strict=True))
    return known if min(class_counts) >= 1 else {name: fit for name, fit in known.items() if "adjustment" not in name}


def _scaled(temperature: float) -> tuple[dict[str, float], Calibrated]:
    return {"temperature": temperature}, lambda z: calibration.probabilities(posthoc.apply_temperature(z, temperature))


def _summary(rows: np.ndarray, targets: npt.ArrayLike, groups: Groups) -> dict[str, Any]:
    confidence, correct = calibration.confidence_and_correct(rows, targets)
    errors = calibration.group_errors(confidence, correct, targets, groups)
    inside = {name: np.isin(np.asarray(targets), list(members)) for name, members in groups.items()}
    table = calibration.reliability(confidence, correct)
    _, floor, debiased = calibration.debiased_from_confidence(confidence, correct)
    return {
        "accuracy": float(correct.mean()),
        **scores(rows, targets),
        "ece_floor": floor,
        "ece_debiased": debiased,
        "groups": {
            name: {"accuracy": float(correct[mask].mean()) if mask.any() else None, "ece": errors[name]}
            for name, mask in inside.items()
        },
        "bins": {
            name: [None if value != value else value for value in table[name].tolist()]
            for name in ("count", "confidence", "accuracy")
        },
    }

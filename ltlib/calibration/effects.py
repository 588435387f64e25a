"""A network's calibration before and after each post-hoc method, fitted on its held-out training images."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ltlib import calibration
from ltlib.calibration import posthoc
from ltlib.metrics import Groups

METHODS = ("none", "temperature", "temperature_balanced", "isotonic", "logit_adjustment", "logit_adjustment_fitted")


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
        numbers of `scores`, ``groups`` with each group's ``accuracy`` and ``ece`` (None without test images), and
        ``bins``: ``count``, mean ``confidence`` and ``accuracy`` of the 15 equal-width bins, None where empty.

    Raises:
        SettingError: Logits that are not finite, lengths or class numbers that differ.
    """
    found = {}
    for method, parameters, rows in _calibrated(logits, held_out_logits, held_out_targets, class_counts):
        found[method] = {
            "parameters": parameters,
            "held_out": len(np.asarray(held_out_targets)),
            **_summary(rows, targets, groups),
        }
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
        ``accuracy``, ``ece``, ``classwise_ece`` (fractions), ``nll`` (nats), ``groups`` with the ECE of each that has
        images, ``parameters``, and ``held_out`` of the first.
    """
    first = parts[0]
    row: dict[str, Any] = {
        key: float(np.mean([part[key] for part in parts])) for key in ("accuracy", "ece", "classwise_ece", "nll")
    }
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


def _calibrated(
    logits: npt.ArrayLike, held_out_logits: npt.ArrayLike, held_out_targets: npt.ArrayLike, class_counts: Sequence[int]
) -> Iterator[tuple[str, dict[str, float], np.ndarray]]:
    """Each method's name, its parameters and the test images' probabilities, in the order of `METHODS`."""
    held_out = held_out_logits, held_out_targets
    yield "none", {}, calibration.probabilities(logits)
    for method, balanced in (("temperature", False), ("temperature_balanced", True)):
        temperature = posthoc.fit_temperature(*held_out, balanced=balanced)
        scaled = posthoc.apply_temperature(logits, temperature)
        yield method, {"temperature": temperature}, calibration.probabilities(scaled)
    yield "isotonic", {}, posthoc.isotonic_probabilities(logits, *held_out)
    if min(class_counts) < 1:
        return
    adjusted = posthoc.logit_adjustment(logits, class_counts)
    yield "logit_adjustment", {"tau": 1.0}, calibration.probabilities(adjusted)
    fitted = posthoc.fit_adjustment(*held_out, class_counts)
    adjusted = posthoc.apply_temperature(posthoc.logit_adjustment(logits, class_counts, fitted.tau), fitted.temperature)
    yield "logit_adjustment_fitted", fitted._asdict(), calibration.probabilities(adjusted)


def _summary(rows: np.ndarray, targets: npt.ArrayLike, groups: Groups) -> dict[str, Any]:
    confidence, correct = calibration.confidence_and_correct(rows, targets)
    errors = calibration.group_errors(confidence, correct, targets, groups)
    inside = {name: np.isin(np.asarray(targets), list(members)) for name, members in groups.items()}
    table = calibration.reliability(confidence, correct)
    return {
        "accuracy": float(correct.mean()),
        **scores(rows, targets),
        "groups": {
            name: {"accuracy": float(correct[mask].mean()) if mask.any() else None, "ece": errors[name]}
            for name, mask in inside.items()
        },
        "bins": {
            name: [None if value != value else value for value in table[name].tolist()]
            for name in ("count", "confidence", "accuracy")
        },
    }

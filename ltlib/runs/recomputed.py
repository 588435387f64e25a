"""A record against its own answers: every number that its predictions give is computed again and compared.

A record keeps per test image the predicted class and its confidence, so accuracy, precision, recall and F1 of all
images, classes and groups must come out to the digits written; calibration errors to what the confidences' float16
leaves open. What needs all logits (classwise and adaptive errors, Brier score, likelihood, post-hoc) cannot be told.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ltlib import calibration, metrics
from ltlib.calibration.checks import BINS
from ltlib.errors import LtlibError
from ltlib.runs.result import SELECTIONS, Predictions, Run

_DIGITS = 1e-6
"""Numbers of a record have seven digits."""
_HALF_STEP = 2.0**-11
"""Half the distance of two neighbouring float16 numbers, as a part of the larger power of two below them."""


def problems(run: Run) -> list[str]:
    """What in a record is not what its predictions give, a sentence for each selection; empty where all is."""
    wrong = []
    for selection in SELECTIONS:
        try:
            said = run.predictions[selection]
            stored = run.metrics[selection]
            first = next(_differing(stored, said, len(run.class_counts), run.groups), None)
        except (LtlibError, KeyError, TypeError, AttributeError, ValueError) as error:
            reason = str(error) if isinstance(error, LtlibError) else "it is not one number an image"
            wrong.append(f"the record of run {run.id} cannot be computed again ({reason}); delete it")
            break
        if first is not None:
            name, kept, found = first
            wrong.append(
                f"the record of run {run.id} says {name} {kept} at the {selection} epoch and its own predictions give "
                f"{found}; delete it, or train the run again"
            )
    return wrong


def _differing(
    stored: Mapping[str, Any], said: Predictions, num_classes: int, groups: Mapping[str, list[int]]
) -> Iterator[tuple[str, Any, Any]]:
    """Name, stored and recomputed value of what is not the same."""
    for name, kept, found in _pairs(stored, metrics.evaluate(said.targets, said.predicted, num_classes, groups)):
        if not _same(kept, found, _DIGITS):
            yield name, kept, found
    correct = said.predicted == said.targets
    everything = np.ones(len(correct), dtype=bool)
    parts = [("ece", stored.get("ece"), everything)]
    for group, members in groups.items():
        parts.append((f"groups.{group}.ece", stored["groups"][group].get("ece"), np.isin(said.targets, members)))
    for name, kept, inside in parts:
        if kept is not None and inside.any():  # an older record has none
            error = calibration.from_confidence(said.confidence[inside], correct[inside])
            if not abs(kept - error) <= open_in_ece(said.confidence[inside], correct[inside]) + _DIGITS:
                yield name, kept, error


def _pairs(stored: Any, found: Any, name: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Values that are in both, with their names; an older record lacks what came later."""
    if isinstance(found, Mapping):
        for key in found:
            if key in stored:
                yield from _pairs(stored[key], found[key], f"{name}.{key}" if name else key)
    else:
        yield name, stored, found


def _same(kept: Any, found: Any, tolerance: float) -> bool:
    if kept is None or found is None:
        return kept is found
    one, other = np.asarray(kept, dtype=float), np.asarray(found, dtype=float)
    return one.shape == other.shape and bool(np.allclose(one, other, rtol=tolerance, atol=tolerance))


def open_in_ece(confidence: np.ndarray, correct: np.ndarray, bins: int = BINS) -> float:
    """How far the expected calibration error may be from that of the confidences before they were rounded to float16.

    ECE is the sum over bins of ``|sum of (correct - confidence)| / N``. Rounding moves a confidence by at most half a
    step, and ECE by at most the mean of these; one that may have crossed an edge moves its whole term from one bin to
    the other, and ECE by at most twice that.

    Args:
        confidence: [N], as stored.
        correct: bool [N], whether each prediction is right.
        bins: Of the error.
    """
    step = _HALF_STEP * 2.0 ** np.floor(np.log2(np.maximum(confidence, 2.0**-14)))
    edges = np.arange(1, bins) / bins
    near = (np.abs(confidence[:, None] - edges) <= step[:, None]).any(axis=1)
    term = np.abs(correct - confidence) + step
    return float((step + 2 * near * term).mean())

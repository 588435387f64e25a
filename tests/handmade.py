"""Runs and post-hoc numbers made by hand, as much of them as the pages' calibration reads."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from ltlib import calibration

GROUPS = {"head": [0], "tail": [1]}
BINS = {"count": [0, 3, 1], "confidence": [None, 0.5, 0.9], "accuracy": [None, 1 / 3, 1.0]}


def answers(confidence: list[float], targets: list[int], predicted: list[int]) -> Any:
    """Predictions without logits, as a committed record has them."""
    return SimpleNamespace(
        confidence=np.array(confidence), targets=np.array(targets), predicted=np.array(predicted), logits=None
    )


def a_run(said: Any, posthoc: Any = None, method: str = "ce", factor: float = 100.0) -> Any:
    """A run that gave these answers, in two class groups."""
    right = said.predicted == said.targets
    metrics: dict[str, Any] = {"accuracy": float(right.mean()), "groups": {}}
    metrics["ece"] = calibration.from_confidence(said.confidence, right)
    if posthoc:
        metrics["posthoc"] = posthoc
    experiment = SimpleNamespace(
        method=method, dataset="cifar10", model="resnet8", imbalance_factor=factor, seed=0, subset_seed=0
    )
    return SimpleNamespace(
        id=method, predictions={"selected": said}, metrics={"selected": metrics}, groups=GROUPS, experiment=experiment
    )


def two_hundred() -> Any:
    """200 answers on two classes; 70% of them right, the others say class 0."""
    draw = np.random.default_rng(0)
    targets = np.repeat([0, 1], 100)
    predicted = np.where(draw.random(200) < 0.7, targets, 0)
    return answers(draw.uniform(0.5, 1, 200).tolist(), targets.tolist(), predicted.tolist())


def changed(ece: float, scaled: float, accuracy: float = 0.6) -> dict[str, Any]:
    """What post-hoc methods made of a run: its ECE as trained and with a class-balanced temperature."""

    def row(error: float, right: float, **parameters: float) -> dict[str, Any]:
        groups = {"head": {"ece": error}, "tail": {"ece": 2 * error}}
        return {"ece": error, "accuracy": right, "classwise_ece": 0.01, "nll": 1.0, "groups": groups,
                "parameters": parameters, "held_out": 90, "bins": BINS}  # fmt: skip

    return {
        "none": row(ece, accuracy),
        "temperature": row((ece + scaled) / 2, accuracy, temperature=1.5),
        "temperature_balanced": row(scaled, accuracy, temperature=2.0),
        "isotonic": row(scaled, accuracy - 0.02),
        "logit_adjustment_fitted": row(scaled, accuracy + 0.1, tau=1.1, temperature=1.8),
    }

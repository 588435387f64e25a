"""Small pieces that methods are put together from: a loss, a mixing, the usual second stage, a linear probe."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ltlib import losses, mixing
from ltlib.batches import draws
from ltlib.methods.stage import Stage
from ltlib.registry import Spec, format_spec

SECOND = 0.05
"""Share of the recipe's epochs that a second stage has."""


def loss(name: str, **settings: Any) -> Spec:
    """A loss with some settings."""
    return losses.spec(format_spec(name, settings))


def mix(name: str, **settings: Any) -> Spec:
    """A mixing with some settings."""
    return mixing.spec(format_spec(name, settings))


def views(augmentation: Any) -> str:
    """A method's setting of the same name as `Stage.view_augmentation`: ``recipe``, or parts of an augmentation."""
    text = "+".join(augmentation) if isinstance(augmentation, tuple) else str(augmentation)
    return "" if text == "recipe" else text


def second(objective: Spec, epochs: float, **changes: Any) -> Stage:
    """The usual second stage: the classifier only, class-balanced batches, cosine schedule without warm-up.

    The backbone and its batch statistics are left as they are.
    """
    stage = Stage(
        loss=objective,
        sampler=draws.spec("class_balanced"),
        epochs=epochs,
        lr={"classifier": 1.0},
        schedule="cosine",
    )
    return replace(stage, **changes)


def probe(projection: int, epochs: float, rate: float, sampler: Any) -> Stage:
    """A linear probe: a fresh classifier on features and batch statistics that stay as they are.

    Features that do not move ask for a larger rate than a network, and for no weight decay, as reference codes have it:
    with a recipe's own the rarest classes' rows hardly leave their beginning.
    """
    return Stage(
        loss=losses.spec("ce"),
        sampler=draws.spec(sampler),
        epochs=epochs,
        lr={"classifier": 1.0},
        classifier="reset",
        projection=projection,
        batch_norm="eval",
        schedule="cosine",
        peak_lr=float(rate),
        weight_decay=0.0,
    )

"""One single-stage method per classification loss: the loss's name and settings are the method's.

Importing this module adds them to `METHODS`, so ``vs[gamma=0.05]``, ``cbce[beta=0.999]`` or ``las`` can be an
experiment's method. A loss that is registered later is one more line here only if its method needs more than the loss.
LDAM does: its logits are cosines, so its methods have a setting ``classifier``: ``cosine``, or ``linear`` for the form
that ``architectures`` must have used.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from ltlib import losses
from ltlib.errors import SettingError
from ltlib.methods.stage import METHODS, Stage
from ltlib.registry import Entry, Value, format_spec

WITH_CLASSIFIER = ("ldam", "ldam_drw")
"""Losses of cosines. Their first stage has ``classifier="cosine"``: a network that is built with that classifier."""
ALIASES = {"class_balanced": ("cbce",), "label_aware_smoothing": ("las",)}


def _stage(name: str, settings: dict[str, Value], classifier: Any = "keep") -> tuple[Stage, ...]:
    """One stage over the whole training with that loss."""
    return (Stage(loss=losses.spec(format_spec(name, settings)), classifier=classifier),)


def _method(entry: Entry[losses.Loss]) -> Callable[..., tuple[Stage, ...]]:
    """A function whose keyword arguments are the loss's settings, as the registry reads them from its signature."""
    defaults = dict(entry.defaults)
    if entry.name in WITH_CLASSIFIER:
        defaults["classifier"] = "cosine"

    def method(**settings: Value) -> tuple[Stage, ...]:
        settings = defaults | settings
        if entry.name not in WITH_CLASSIFIER:
            return _stage(entry.name, settings)
        classifier = settings.pop("classifier")
        if classifier not in ("cosine", "linear"):
            raise SettingError(f"classifier of {entry.name} must be cosine or linear, not {classifier!r}")
        return _stage(entry.name, settings, "cosine" if classifier == "cosine" else "keep")

    kind = inspect.Parameter.KEYWORD_ONLY
    method.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter(key, kind, default=value) for key, value in defaults.items()]
    )
    return method


def _register() -> None:
    for entry in losses.LOSSES:
        loss = entry.factory
        if entry.name in METHODS or getattr(loss, "contrastive", False):
            continue
        METHODS.register(entry.name, source=entry.source, summary=entry.summary, aliases=ALIASES.get(entry.name, ()))(
            _method(entry)
        )


_register()

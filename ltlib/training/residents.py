"""The images of a run where it trains: on the device while its memory lasts, the rest streamed from the host."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass

import torch

from ltlib.batches import augment
from ltlib.batches.resident import Resident
from ltlib.datasets import ImageSet, LongTailed
from ltlib.experiment import Resolved
from ltlib.training import accelerator


@dataclass(frozen=True)
class RunImages:
    """A run's data set and its parts as they are read in steps.

    Attributes:
        data: Where they come from: class counts, names, image size.
        train: Training images, padded as the augmentation wants them.
        evaluated: ``test``, and ``validation`` where some images are held out.
    """

    data: LongTailed
    train: Resident
    evaluated: Mapping[str, Resident]


def load(data: LongTailed, resolved: Resolved, target: torch.device) -> RunImages:
    """Put a run's images in place, the training set first.

    What is taken is said beforehand, on standard error, where it is much or not all of it is.
    """
    parts = {"train": data.train, "test": data.test}
    if data.validation is not None:
        parts["validation"] = data.validation
    pads = dict.fromkeys(parts, 0) | {"train": augment.create("+".join(resolved.recipe.augmentation) or "none").padding}
    needed = {name: Resident.required_bytes(part.images.shape, pads[name]) for name, part in parts.items()}
    kept, note = accelerator.plan_memory(needed, target)
    if note:
        sys.stderr.write(f"ltlib: {note}\n")
    found = {
        name: resident(part, data, resolved, target, pads[name], None if name in kept else 0)
        for name, part in parts.items()
    }
    return RunImages(data, found.pop("train"), found)


def resident(
    images: ImageSet,
    data: LongTailed,
    resolved: Resolved,
    target: torch.device,
    padding: int = 0,
    max_bytes: int | None = None,
) -> Resident:
    """An image set on the device, normalised and enlarged as the recipe says.

    It is streamed where it takes more than `max_bytes`.
    """
    return Resident(
        images.images,
        images.targets,
        padding=padding,
        mean=data.mean,
        std=data.std,
        normalise=resolved.recipe.normalise,
        resize=resolved.recipe.resize,
        device=target,
        max_bytes=max_bytes,
    )

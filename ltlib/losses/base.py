"""What every loss here has in common: per-sample values, one normaliser, a registry by name.

No loss synchronises with the host, branches on data or changes shapes with it, so all of them can be captured in a
CUDA graph. For the same reason targets are not checked: one outside 0..K-1 is an indexing error on the CPU and a device
assertion on CUDA, whenever torch gets to it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ltlib.errors import SettingError, UnknownName
from ltlib.registry import Registry, Spec


class Loss(nn.Module):
    """Base: ``loss(logits, targets) = reduce(per_sample(logits, targets), targets)``.

    Logits are float [B, K] of any precision (computed in float32, or float64 if they are), targets int64 [B].

    Attributes:
        contrastive: Whether it compares features, ``loss(features, targets)``, instead of reading logits.
        instances: Whether its targets say which views show the same image, instead of classes.
    """

    contrastive = False
    instances = False

    def per_sample(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Each sample's loss, [B]."""
        raise NotImplementedError

    def reduce(self, losses: Tensor, targets: Tensor) -> Tensor:
        """The batch's loss from its samples': their plain mean.

        torch's own ``weight=`` divides by the sum of the batch's weights instead, which changes the size of the loss,
        and with it the learning rate, from batch to batch.
        """
        return losses.mean()

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """The batch's loss, a scalar."""
        return self.reduce(self.per_sample(logits, targets), targets)


LOSSES = Registry[Loss]("loss")


def spec(text: str | Spec) -> Spec:
    """Parse a loss's text such as ``focal[gamma=1.0]``; see `Registry.spec`."""
    return LOSSES.spec(text)


def create(loss: str | Spec, class_counts: Sequence[int] | Tensor, **settings: Any) -> Loss:
    """A loss for a training set.

    Args:
        loss: Name, ``name[setting=value]``, or `Spec`.
        class_counts: Training images per class, in the order of the targets.
        **settings: Settings that replace those of the text.

    Raises:
        UnknownName: Unknown loss or setting.
        SettingError: A setting outside its range; no classes, or a class without images.
    """
    given = LOSSES.spec(loss)
    for key in settings:
        if key not in given.settings:
            raise UnknownName(f"setting of loss {given.name}:", key, given.settings)
    return LOSSES.create(given, checked_counts(class_counts), **settings)


def checked_counts(class_counts: Sequence[int] | Tensor) -> list[int]:
    """Class counts as a list of whole numbers, each at least 1.

    Raises:
        SettingError: Empty, not whole, or a class without images: its weight or prior would be infinite.
    """
    counts = [count.item() if hasattr(count, "item") else count for count in class_counts]
    if not counts:
        raise SettingError("class_counts is empty; give the training images of every class")
    for i, count in enumerate(counts):
        if not isinstance(count, (int, float)) or not count >= 1 or count % 1 != 0:
            raise SettingError(f"class_counts must be whole numbers of at least 1; class {i} has {count!r}")
    return [int(count) for count in counts]


def checked_number(label: str, value: Any, *, least: float = 0.0, open_end: bool = False) -> float:
    """A finite number that is at least `least`, or above it where the end is open.

    Raises:
        SettingError: It is not.
    """
    number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    if not number or value < least or (open_end and value == least):
        raise SettingError(
            f"{label} must be a number {'above' if open_end else 'of at least'} {least:g}, not {value!r}"
        )
    return float(value)


def working_precision(x: Tensor) -> Tensor:
    """x in the precision losses are computed in: float64 stays, everything else becomes float32."""
    return x if x.dtype == torch.float64 else x.float()

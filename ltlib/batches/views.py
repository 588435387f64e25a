"""Augmented images as bytes, to look at: what an augmentation makes of an image in training."""

from __future__ import annotations

import numpy as np
import torch

from ltlib.batches import augment
from ltlib.batches.resident import Resident


def views(text: str, images: np.ndarray, number: int, seed: int = 0) -> np.ndarray:
    """Augmented views as training draws them.

    Args:
        text: An augmentation, as ``shift1`` or ``flip+rotate10``.
        images: uint8 [N, H, W, 3].
        number: Views of each image, V.
        seed: Of the draws.

    Returns:
        uint8 [N, V, H, W, 3].
    """
    kind, index = augment.create(text), torch.arange(len(images)).repeat_interleave(number)
    draws = kind.draw(torch.Generator().manual_seed(seed), index.shape, images.shape[1:3])
    resident = Resident(images, np.zeros(len(images), np.int64), padding=kind.padding, normalise="unit")
    made = (255 * resident.batch(index, draws)).round().byte()
    return made.permute(0, 2, 3, 1).numpy().reshape(len(images), number, *images.shape[1:])

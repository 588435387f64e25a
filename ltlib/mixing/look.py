"""Mixed images as bytes, to look at: what a mixing makes of images in training."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ltlib.mixing.base import Mixing


def mixed(
    kind: Mixing,
    own: np.ndarray,
    others: np.ndarray | None,
    draws: dict[str, Tensor],
    mean: Sequence[float],
    std: Sequence[float],
) -> np.ndarray:
    """Images as a mixing makes them in training, on normalised images; uint8 [N, H, W, 3].

    Args:
        kind: The mixing.
        own: uint8 [N, H, W, 3].
        others: The partners, the same shape; None for a mixing without.
        draws: Of one step of N images, as `draws_of` gives them.
        mean: Of each channel, of values from 0 to 1.
        std: Standard deviation of each channel.
    """
    middle, spread = (torch.tensor(values).view(1, 3, 1, 1) for values in (mean, std))

    def normalised(images: np.ndarray) -> Tensor:
        return (torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255 - middle) / spread

    partners = None if others is None else normalised(others)
    made = (kind.apply(normalised(own), partners, draws) * spread + middle) * 255
    return made.round().clamp(0, 255).byte().permute(0, 2, 3, 1).numpy()


def draws_of(
    kind: Mixing, count: int, size: Sequence[int], seed: int, targets: Tensor | None = None
) -> dict[str, Tensor]:
    """Draws of one step in the middle of training.

    Args:
        kind: The mixing.
        count: Images of the step.
        size: Height and width of an image.
        seed: Of the draws.
        targets: Classes of the training images, int64, for a mixing that draws partners by class.
    """
    generator = torch.Generator().manual_seed(seed)
    found = kind.draw(generator, (1, count), (size[0], size[1]), targets=targets, epoch=10, epochs=20)
    return {key: value[0] for key, value in found.items()}

"""An epoch's randomness: which images in which order, and how each is augmented.

Everything random is drawn on the CPU from generators derived from (seed, purpose, epoch) and sent to the device once an
epoch. So the draws are the same on every device, in any packing of runs, and after any interruption.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ltlib.augment import Augmentation
from ltlib.files import digest
from ltlib.registry import Spec
from ltlib.samplers import SAMPLERS, Order

__all__ = ["SAMPLERS", "Draw", "Order", "derived_seed", "epoch_draws", "generator", "spec", "steps_per_epoch"]


def derived_seed(seed: int, purpose: str, *numbers: int) -> int:
    """A 63-bit seed that depends on every argument: unrelated streams for order, augmentation, weights, ..."""
    return int(digest(f"{seed}/{purpose}/{'/'.join(map(str, numbers))}")[:16], 16) >> 1


def generator(seed: int, purpose: str, *numbers: int) -> torch.Generator:
    """A CPU generator of its own for one purpose; see `derived_seed`."""
    return torch.Generator().manual_seed(derived_seed(seed, purpose, *numbers))


@dataclass(frozen=True)
class Draw:
    """Index tensors of S equal steps; the short last batch of an epoch is a second Draw.

    Attributes:
        index: int64 [S, B], which images.
        views: Augmentation draws by name, each [S, V, B].
    """

    index: Tensor
    views: Mapping[str, Tensor]

    @property
    def steps(self) -> int:
        return self.index.shape[0]

    def to(self, device: torch.device | str) -> Draw:
        """The draw on a device; one transfer a tensor, without waiting for it."""
        views = {key: value.to(device, non_blocking=True) for key, value in self.views.items()}
        return Draw(self.index.to(device, non_blocking=True), views)


def spec(text: str | Spec) -> Spec:
    """Parse a sampler's text; see `Registry.spec`."""
    return SAMPLERS.spec(text)


def epoch_draws(
    order: Order,
    augmentation: Augmentation,
    targets: Tensor,
    *,
    seed: int,
    stage: int,
    epoch: int,
    epochs: int,
    batch_size: int,
    views: int,
) -> list[Draw]:
    """The draws of one epoch, on the CPU.

    Args:
        order: A sampler.
        augmentation: Draws dy, dx, flips, ... for every view of every image.
        targets: int64 [N] class of each training image.
        seed: The run's seed.
        stage: Number of the stage, from 0.
        epoch: From 1.
        epochs: Epochs of the stage.
        batch_size: B.
        views: V, augmented views of each image.

    Returns:
        One Draw of floor(M / B) steps, and a second one for the rest of at least two images. A single image left over
        is dropped: batch normalisation cannot learn from one.
    """
    index = order(targets, epoch, epochs, generator(seed, "order", stage, epoch))
    draws = augmentation.draw(generator(seed, "augment", stage, epoch), (views, len(index)))
    full = len(index) // batch_size
    result = []
    for start, steps, size in ((0, full, batch_size), (full * batch_size, 1, len(index) - full * batch_size)):
        if steps and size >= 2:
            part = slice(start, start + steps * size)
            pieces = {k: v[:, part].reshape(views, steps, size).transpose(0, 1).contiguous() for k, v in draws.items()}
            result.append(Draw(index[part].reshape(steps, size), pieces))
    return result


def steps_per_epoch(images: int, batch_size: int) -> int:
    """How many steps `epoch_draws` gives for a sampler that visits `images` images."""
    return math.floor(images / batch_size) + (images % batch_size >= 2)

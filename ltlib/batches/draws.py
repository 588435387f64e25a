"""An epoch's randomness: which images in which order, and how each is augmented.

Everything random is drawn on the CPU from generators derived from (seed, purpose, epoch) and sent to the device once an
epoch. So the draws are the same on every device, in any packing of runs, and after any interruption.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ltlib.batches.augment import Augmentation
from ltlib.batches.samplers import SAMPLERS, Order
from ltlib.files import digest
from ltlib.mixing import Mixing
from ltlib.registry import Spec

__all__ = [
    "SAMPLERS",
    "Draw",
    "Order",
    "derived_seed",
    "epoch_draws",
    "generator",
    "spec",
    "steps_for_images",
    "steps_per_epoch",
]


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
        compared: The same of every view but the first, [S, V - 1, B], where those have an augmentation of their own;
            `views` is then the first's alone. None where all have the same.
        mix: What the mixing drew, by name: lam [S, B], box [S, B, 4], partner [S, B] in the batch.
        second: A second image for each: what CMO pastes, or the other branch's.
        noise: Uniform numbers for losses that need them, [S, rows, columns].
    """

    index: Tensor
    views: Mapping[str, Tensor]
    mix: Mapping[str, Tensor] = field(default_factory=dict)
    second: Draw | None = None
    noise: Tensor | None = None
    compared: Mapping[str, Tensor] | None = None

    @property
    def steps(self) -> int:
        return self.index.shape[0]

    def to(self, device: torch.device | str) -> Draw:
        """The draw on a device; one transfer a tensor, without waiting for it."""
        return self.each(lambda value: value.to(device, non_blocking=True))

    def part(self, start: int, stop: int) -> Draw:
        """Some of its steps."""
        return self.each(lambda value: value[start:stop])

    def each(self, change: Callable[[Tensor], Tensor]) -> Draw:
        """The draw with every tensor changed."""
        return Draw(
            change(self.index),
            {key: change(value) for key, value in self.views.items()},
            {key: change(value) for key, value in self.mix.items()},
            None if self.second is None else self.second.each(change),
            None if self.noise is None else change(self.noise),
            None if self.compared is None else {key: change(value) for key, value in self.compared.items()},
        )


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
    compared: Augmentation | None = None,
    mixing: Mixing | None = None,
    image_size: tuple[int, int] = (32, 32),
    second: Order | None = None,
    noise: tuple[int, int] | None = None,
    most_steps: int | None = None,
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
        compared: Augmentation of every view but the first, where it is another.
        mixing: Draws lambdas, boxes and partners.
        image_size: Height and width, for the boxes of the mixing and of the resized crop.
        second: Sampler of a second stream of images (a two-branch method's), cut or repeated to the first's length.
        noise: Rows a view and columns of the uniform numbers a loss wants for each image.
        most_steps: Where an order is cut that fills more batches; None for nowhere.

    Returns:
        One Draw of floor(M / B) steps, and a second one for the rest of at least two images. A single image left over
        is dropped: batch normalisation cannot learn from one.
    """

    def numbers(purpose: str) -> torch.Generator:
        return generator(seed, purpose, stage, epoch)

    index = order(targets, epoch, epochs, numbers("order"))
    if most_steps is not None:
        index = index[: most_steps * batch_size]

    def drawn(kind: Augmentation, purpose: str, first: int, last: int) -> dict[str, Tensor]:
        """Of the views from `first` to before `last`."""
        draws = kind.draw(numbers(purpose), (last - first, len(index)), image_size)
        if kind.alternating:
            mirrored = torch.rand(len(targets), generator=generator(seed, "first mirrored", stage)) < 0.5
            turns = torch.arange(epoch + first, epoch + last)[:, None] % 2 == 0
            draws["flip"] = mirrored[index] ^ turns
        return draws

    alike = views if compared is None else 1
    draws = drawn(augmentation, "augment", 0, alike)
    others = None if compared is None else drawn(compared, "compared augment", 1, views)
    mix_numbers, noise_numbers = numbers("mix"), numbers("noise")
    other = None
    if second is not None:
        found = second(targets, epoch, epochs, numbers("second order"))
        other = found.repeat(math.ceil(len(index) / len(found)))[: len(index)]
    beside_draws: dict[str, Tensor] = {}
    if second is not None or (mixing is not None and mixing.partners == "dataset"):
        rows = 1 if mixing is None else mixing.views
        beside_draws = augmentation.draw(numbers("second augment"), (rows, len(index)), image_size)
    full = len(index) // batch_size
    result = []
    for start, steps, size in ((0, full, batch_size), (full * batch_size, 1, len(index) - full * batch_size)):
        if not steps or size < 2:
            continue
        part = slice(start, start + steps * size)

        def pieces(values: Mapping[str, Tensor], part: slice = part, shape: tuple[int, int] = (steps, size)):
            return {k: v[:, part].unflatten(1, shape).transpose(0, 1).contiguous() for k, v in values.items()}

        mix: dict[str, Tensor] = {}
        beside = None if other is None else other[part].reshape(steps, size)
        if mixing is not None:
            mix = mixing.draw(mix_numbers, (steps, size), image_size, targets=targets, epoch=epoch, epochs=epochs)
            if mixing.partners == "dataset":
                beside = mix.pop("partner")
        places = None if noise is None else (steps, noise[0] * size, noise[1])
        result.append(
            Draw(
                index[part].reshape(steps, size),
                pieces(draws),
                mix,
                None if beside is None else Draw(beside, pieces(beside_draws)),
                None if places is None else torch.rand(places, generator=noise_numbers),
                None if others is None else pieces(others),
            )
        )
    return result


def steps_per_epoch(images: int, batch_size: int) -> int:
    """How many steps `epoch_draws` gives for a sampler that visits `images` images."""
    return math.floor(images / batch_size) + (images % batch_size >= 2)


def steps_for_images(images: int, batch_size: int) -> int:
    """The steps after which MiSLAS's second stage ends an epoch: ceil(N / B) + 1.

    Its train_stage2.py numbers the batches from 0 and stops when the number is greater than ceil(N / B).
    """
    return math.ceil(images / batch_size) + 1

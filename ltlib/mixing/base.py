"""What all mixings have in common: the class they derive from, and how their numbers are drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from ltlib.errors import SettingError
from ltlib.limits import POSITIVE, SHARE, Limit, check_limits


@dataclass(frozen=True)
class Asked:
    """What draws are wanted for.

    Attributes:
        shape: (S, B).
        size: Height and width of the images.
        targets: int64 [N], class of each training image, or None.
        active: Whether this epoch is mixed at all.
    """

    shape: tuple[int, int]
    size: tuple[int, int]
    targets: Tensor | None
    active: bool


BETA = {"prob": SHARE, "alpha": POSITIVE}
SIDE = {"prob": SHARE, "scale": Limit(most=1, above=True)}
"""Limits of what draws its shares from a Beta distribution, and of what replaces a part of the image by its side."""


@dataclass(frozen=True)
class Mixing:
    """Base of the mixings.

    Attributes:
        prob: Chance that a batch (``per_sample``: an image) is mixed.
        per_sample: Draw for every image instead of once for the batch.
        partners: Where the second image comes from: nowhere, the same batch, or the whole training set.
        views: How many views of each image it mixes, the first ones; each has a view of the partner's.
        limits: Of the settings that are numbers; a mixing adds those of its own.
    """

    prob: float = 1.0
    per_sample: bool = False
    partners: ClassVar[Literal["none", "batch", "dataset"]] = "batch"
    views: ClassVar[int] = 1
    limits: ClassVar[Mapping[str, Limit]] = {"prob": SHARE}

    def __post_init__(self) -> None:
        check_limits(self.limits, f"mixing {type(self).__name__}", vars(self))

    def draw(
        self,
        generator: torch.Generator,
        shape: tuple[int, int],
        image_size: tuple[int, int],
        *,
        targets: Tensor | None = None,
        epoch: int = 1,
        epochs: int = 1,
    ) -> dict[str, Tensor]:
        """The random numbers of an epoch's equal steps.

        Args:
            generator: On the CPU.
            shape: (S, B).
            image_size: Height and width.
            targets: int64 [N], class of each training image; only for partners from the data set.
            epoch: From 1; with `epochs`, for mixings that pause.
            epochs: Epochs of the stage.

        Returns:
            CPU tensors, see the module's table; a key that the mixing does not use is left out.

        Raises:
            SettingError: The generator is not on the CPU, or the targets are needed and missing.
        """
        if generator.device.type != "cpu":
            raise SettingError(f"draws come from a CPU generator, so that devices agree, not from {generator.device}")
        return self._draw(generator, Asked(shape, image_size, targets, self.active(epoch, epochs)))

    def active(self, epoch: int, epochs: int) -> bool:
        """Whether anything is mixed in this epoch (from 1)."""
        return True

    def _draw(self, generator: torch.Generator, asked: Asked) -> dict[str, Tensor]:
        raise NotImplementedError

    def apply(self, images: Tensor, partner_images: Tensor | None, draws: dict[str, Tensor]) -> Tensor:
        """Mixed images.

        Args:
            images: float [B, C, H, W], normalised.
            partner_images: The same shape: ``images[draws["partner"]]`` for partners in the batch, those images of the
                training set for ``"dataset"``; None for ``"none"``.
            draws: Of this step, on the images' device: ``lam`` [B], ``box`` [B, 4], ...

        Returns:
            float [B, C, H, W]; the images given are not changed.
        """
        raise NotImplementedError

    def label_share(
        self, lam: Tensor, targets: Tensor, partner_targets: Tensor, class_counts: Tensor | None = None
    ) -> Tensor:
        """Share of the own label, [B]; the partner's label has the rest.

        Args:
            lam: float [B], of this step.
            targets: int64 [B].
            partner_targets: int64 [B], the partners' classes.
            class_counts: [K] on the same device; only Remix needs it.
        """
        return lam

    def _coin(self, generator: torch.Generator, shape: tuple[int, int]) -> Tensor:
        """Which batches or images are mixed, bool [S, 1] or [S, B]; nothing is drawn where all are."""
        size = self._size(shape)
        return torch.ones(size, dtype=torch.bool) if self.prob == 1 else uniform(generator, size) < self.prob

    def _size(self, shape: tuple[int, int]) -> tuple[int, int]:
        """How many independent draws there are."""
        return shape if self.per_sample else (shape[0], 1)


# --- draws -----------------------------------------------------------------------------------------------------------


def uniform(generator: torch.Generator, shape: Sequence[int]) -> Tensor:
    """float64 in [0, 1)."""
    return torch.rand(tuple(shape), dtype=torch.float64, generator=generator)


def permutations(generator: torch.Generator, shape: tuple[int, int]) -> Tensor:
    """int64 [S, B], every row a permutation of 0..B-1."""
    return uniform(generator, shape).argsort(1)


def beta(alpha: float, chances: Tensor) -> Tensor:
    """Beta(alpha, alpha) from uniform numbers, by the inverse of its distribution function; float64."""
    if alpha == 1:
        return chances
    from scipy.special import betaincinv

    return torch.from_numpy(betaincinv(alpha, alpha, chances.numpy()))


def centred(generator: torch.Generator, image_size: tuple[int, int], half: Sequence[Tensor]) -> Tensor:
    """Boxes int64 [..., 4] of 2 * half rows and columns about a uniform pixel, cut at the border."""
    starts, ends = [], []
    for length, reach in zip(image_size, half, strict=True):
        centre = (uniform(generator, reach.shape) * length).long()
        starts.append((centre - reach).clamp(min=0))
        ends.append((centre + reach).clamp(max=length))
    return torch.stack([*starts, *ends], -1)


def boxed(box: Tensor, mixed: Tensor, asked: Asked) -> dict[str, Tensor]:
    """Boxes for every image, empty where nothing is mixed, and the share of pixels outside them."""
    return cut((box * mixed[..., None]).expand(*asked.shape, 4).contiguous(), asked.size)


def cut(box: Tensor, image_size: Sequence[int]) -> dict[str, Tensor]:
    """Boxes int64 [..., 4], and the share of an image's pixels outside them."""
    area = (box[..., 2] - box[..., 0]) * (box[..., 3] - box[..., 1])
    lam = 1 - area.double() / (image_size[0] * image_size[1])
    return {"box": box, "lam": lam.float()}


def inside(box: Tensor, image_size: Sequence[int]) -> Tensor:
    """Which pixels lie in each image's box, bool [B, 1, H, W]."""
    rows = torch.arange(image_size[0], device=box.device)
    columns = torch.arange(image_size[1], device=box.device)
    top, left, bottom, right = box[:, :, None].unbind(1)
    inside_rows, inside_columns = (rows >= top) & (rows < bottom), (columns >= left) & (columns < right)
    return (inside_rows[:, :, None] & inside_columns[:, None, :])[:, None]

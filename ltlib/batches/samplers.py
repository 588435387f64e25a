"""Samplers: which training images make up an epoch, and in which order.

A sampler is called ``order(targets, epoch, epochs, generator)`` and returns int64 [M], numbers of images. All its
randomness comes from the generator it is given, so an epoch can be drawn again at any time, on any machine, and does
not depend on the epochs before it. ``order.length(class_counts)`` is M, known without data.

=======================  ==========================================  ====================  ==================
sampler                  chance of class c at each place             replacement           M
=======================  ==========================================  ====================  ==================
instance_balanced        n_c / N                                     no: a permutation     N
class_balanced           1 / K                                       yes                   N
class_aware              1 / K: shuffled classes in turn             cycles of each class  K n_max
random_oversampling      1 / K: every class filled up to n_max       every image at least  K n_max
                                                                     n_max // n_c times
random_undersampling     1 / K: n_min of each class, anew each time  no                    K n_min
square_root              sqrt(n_c) / sum_j sqrt(n_j)                 yes                   N
progressively_balanced   (1 - t) n_c / N + t / K, t from 0 to 1      yes                   N
reversed                 (1 / n_c) / sum_j (1 / n_j)                 yes                   N
deferred                 instance_balanced, then effective numbers   no, then yes          N
=======================  ==========================================  ====================  ==================

Within a class every image is as likely. Classes without images are never drawn and do not count in K.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ltlib.errors import DataError
from ltlib.limits import SHARE, Limit, check_limits
from ltlib.registry import Registry, Spec

Order = Callable[[Tensor, int, int, torch.Generator], Tensor]
"""(targets [N], epoch from 1, epochs, generator) -> int64 [M], the images of one epoch in order."""

SAMPLERS = Registry[Order]("sampler")


@dataclass(frozen=True)
class Sampler:
    """Base of the samplers: an epoch as long as the training set."""

    def __call__(self, targets: Tensor, epoch: int, epochs: int, generator: torch.Generator) -> Tensor:
        """The images of one epoch in order.

        Args:
            targets: int64 [N], class of each training image, on the CPU.
            epoch: From 1.
            epochs: Epochs of the stage.
            generator: On the CPU.

        Returns:
            int64 [M].

        Raises:
            DataError: There are no images.
        """
        if len(targets) == 0:
            raise DataError("a sampler needs training images; there are none")
        return self.order(targets, epoch, epochs, generator)

    def order(self, targets: Tensor, epoch: int, epochs: int, generator: torch.Generator) -> Tensor:
        raise NotImplementedError

    def length(self, class_counts: Sequence[int]) -> int:
        """M, the images of an epoch."""
        return sum(class_counts)


def epoch_length(sampler: str | Spec, class_counts: Sequence[int]) -> int:
    """How many images a sampler visits in an epoch of a training set with these class counts."""
    order = SAMPLERS.create(sampler)
    return order.length(class_counts) if isinstance(order, Sampler) else sum(class_counts)


@SAMPLERS.register("instance_balanced", source="Kang et al. 2020, Eq. 1 with q = 1")
def instance_balanced() -> Order:
    """Every image once an epoch, in a new random order."""
    return InstanceBalanced()


@dataclass(frozen=True)
class InstanceBalanced(Sampler):
    """A random permutation of the images."""

    def order(self, targets: Tensor, epoch: int, epochs: int, generator: torch.Generator) -> Tensor:
        return torch.randperm(len(targets), generator=generator)


# --- by the chance of each class, with replacement -------------------------------------------------------------------


@dataclass(frozen=True)
class Weighted(Sampler):
    """Base: at each place a class by its chance, then one of its images; N places, with replacement."""

    def chances(self, counts: Tensor, epoch: int, epochs: int) -> Tensor:
        """Chance of each class, float64 [K], up to a factor; `counts` float64, those of absent classes 0."""
        raise NotImplementedError

    def order(self, targets: Tensor, epoch: int, epochs: int, generator: torch.Generator) -> Tensor:
        return _weighted(targets, self.chances(_counts(targets), epoch, epochs), len(targets), generator)


@dataclass(frozen=True)
class ClassBalanced(Weighted):
    """All classes as likely."""

    def chances(self, counts: Tensor, epoch: int, epochs: int) -> Tensor:
        return (counts > 0).double()


@SAMPLERS.register("class_balanced", source="Kang et al. 2020, Eq. 1 with q = 0; classifier-balancing")
def class_balanced() -> Order:
    """Every class equally likely, its images with replacement; N images an epoch."""
    return ClassBalanced()


@dataclass(frozen=True)
class SquareRoot(Weighted):
    """Classes by the square root of their counts."""

    def chances(self, counts: Tensor, epoch: int, epochs: int) -> Tensor:
        return counts.sqrt()


@SAMPLERS.register("square_root", source="Kang et al. 2020, Eq. 1 with q = 1/2; Mahajan et al. 2018")
def square_root() -> Order:
    """Classes as likely as the square root of their counts."""
    return SquareRoot()


@dataclass(frozen=True)
class ProgressivelyBalanced(Weighted):
    """From the images' own frequencies in the first epoch to balanced classes in the last, linearly."""

    def chances(self, counts: Tensor, epoch: int, epochs: int) -> Tensor:
        t = (epoch - 1) / (epochs - 1) if epochs > 1 else 0.0
        present = (counts > 0).double()
        return (1 - t) * counts / counts.sum() + t * present / present.sum()


@SAMPLERS.register("progressively_balanced", source="Kang et al. 2020, Eq. 2; classifier-balancing")
def progressively_balanced() -> Order:
    """From instance-balanced in the first epoch to class-balanced in the last, linearly."""
    return ProgressivelyBalanced()


@dataclass(frozen=True)
class Reversed(Weighted):
    """Classes by the inverse of their counts."""

    def chances(self, counts: Tensor, epoch: int, epochs: int) -> Tensor:
        return _weights(counts, 1.0)


@SAMPLERS.register("reversed", source="Zhou et al. 2020 (BBN): w_c = N_max / n_c")
def reversed_() -> Order:
    """Rare classes more often than common ones: chance in proportion to 1 / n_c."""
    return Reversed()


@dataclass(frozen=True)
class Deferred(Sampler):
    """Every image once an epoch up to a share of the epochs, then classes by the effective number of images."""

    start: float = 0.8
    beta: float = 0.9999

    def __post_init__(self) -> None:
        check_limits({"start": SHARE, "beta": SHARE}, "sampler deferred", vars(self))

    def order(self, targets: Tensor, epoch: int, epochs: int, generator: torch.Generator) -> Tensor:
        if epoch <= round(self.start * epochs):
            return torch.randperm(len(targets), generator=generator)
        counts = _counts(targets)
        return _weighted(targets, counts * _weights(counts, self.beta), len(targets), generator)


@SAMPLERS.register(
    "deferred", source="Cao et al. 2019 (LDAM), section 3.3; LDAM-DRW utils.py, ImbalancedDatasetSampler"
)
def deferred(*, start: float = 0.8, beta: float = 0.9999) -> Order:
    """Deferred re-sampling (DRS): images as they are up to epoch 160 of 200, then by effective-number weights.

    An image's weight is ``(1 - beta) / (1 - beta**n_c)`` as in the reference code; at beta 1 it is 1 / n_c.
    """
    return Deferred(float(start), float(beta))


# --- class by class --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ClassAware(Sampler):
    """Classes in shuffled rounds, `per_class` places each, filled from shuffled rounds of the class's images."""

    per_class: int = 4

    def __post_init__(self) -> None:
        check_limits({"per_class": Limit(1, whole=True)}, "sampler class_aware", vars(self))

    def length(self, class_counts: Sequence[int]) -> int:
        return max(class_counts) * sum(count > 0 for count in class_counts)

    def order(self, targets: Tensor, epoch: int, epochs: int, generator: torch.Generator) -> Tensor:
        members = _members(targets)
        places = self.length([len(images) for images in members])
        turns = math.ceil(places / self.per_class)
        rounds = torch.rand(math.ceil(turns / len(members)), len(members), dtype=torch.float64, generator=generator)
        classes = rounds.argsort(1).flatten()[:turns].repeat_interleave(self.per_class)[:places]
        result = torch.empty(places, dtype=torch.int64)
        for c, images in enumerate(members):
            mine = classes == c
            result[mine] = _cycles(images, int(mine.sum()), generator)
        return result


@SAMPLERS.register("class_aware", source="Shen et al. 2016; MiSLAS methods.py, ClassAwareSampler")
def class_aware(*, per_class: int = 4) -> Order:
    """Shuffled classes in turn, some images of each, each class's images in shuffled rounds; K n_max an epoch.

    The reference code goes on with its rounds in the next epoch; here every epoch starts anew.
    """
    return ClassAware(per_class)


@dataclass(frozen=True)
class RandomOversampling(Sampler):
    """Every class filled up to the largest one with copies of its images, shuffled."""

    def length(self, class_counts: Sequence[int]) -> int:
        return max(class_counts) * sum(count > 0 for count in class_counts)

    def order(self, targets: Tensor, epoch: int, epochs: int, generator: torch.Generator) -> Tensor:
        members = _members(targets)
        largest = max(map(len, members))
        return _shuffled(torch.cat([_cycles(images, largest, generator) for images in members]), generator)


@SAMPLERS.register("random_oversampling", source="awabs section 2.1 b; loss_balance, OS")
def random_oversampling() -> Order:
    """Images of the smaller classes duplicated until all are as large as the largest; K n_max an epoch.

    A class's images are used equally often, but for a random choice of the last copies, made anew each epoch.
    """
    return RandomOversampling()


@dataclass(frozen=True)
class RandomUndersampling(Sampler):
    """As many images of each class as the smallest class has, shuffled."""

    def length(self, class_counts: Sequence[int]) -> int:
        present = [count for count in class_counts if count > 0]
        return min(present) * len(present)

    def order(self, targets: Tensor, epoch: int, epochs: int, generator: torch.Generator) -> Tensor:
        members = _members(targets)
        smallest = min(map(len, members))
        return _shuffled(torch.cat([_cycles(images, smallest, generator) for images in members]), generator)


@SAMPLERS.register("random_undersampling", source="awabs section 2.1 a")
def random_undersampling() -> Order:
    """As many images of every class as the smallest has, another choice each epoch; K n_min an epoch."""
    return RandomUndersampling()


# --- parts -----------------------------------------------------------------------------------------------------------


def _counts(targets: Tensor) -> Tensor:
    """Images per class, float64 [K]; 0 for a class without images."""
    return torch.bincount(targets).double()


def _weights(counts: Tensor, beta: float) -> Tensor:
    """Weight of an image by its class's count: 1 / effective number (beta 1: 1 / n_c), 0 for an absent class."""
    numbers = counts if beta == 1 else (1 - beta**counts) / (1 - beta)
    return torch.where(counts > 0, 1 / numbers.clamp(min=1), 0.0)


def _members(targets: Tensor) -> list[Tensor]:
    """Numbers of the images of each class that has any."""
    by_class = targets.argsort(stable=True)
    return [images for images in by_class.split(torch.bincount(targets).tolist()) if len(images)]


def _weighted(targets: Tensor, chances: Tensor, places: int, generator: torch.Generator) -> Tensor:
    """At each place a class by its chance, then one of its images uniformly."""
    bounds = chances.cumsum(0)
    drawn = torch.rand(2, places, dtype=torch.float64, generator=generator)
    classes = torch.searchsorted(bounds, drawn[0] * bounds[-1], right=True).clamp_(max=len(bounds) - 1)
    counts = torch.bincount(targets)
    inside = (drawn[1] * counts[classes]).long()
    return targets.argsort(stable=True)[counts.cumsum(0)[classes] - counts[classes] + inside]


def _cycles(images: Tensor, places: int, generator: torch.Generator) -> Tensor:
    """`places` images: one random permutation after another, the last one cut."""
    rounds = torch.rand(math.ceil(places / len(images)), len(images), dtype=torch.float64, generator=generator)
    return images[rounds.argsort(1).flatten()[:places]]


def _shuffled(order: Tensor, generator: torch.Generator) -> Tensor:
    return order[torch.randperm(len(order), generator=generator)]


def uses(targets: np.ndarray, sampler: str, seed: int = 0) -> np.ndarray:
    """How often the first epoch of a sampler shows each image, int64 [N].

    Args:
        targets: Classes int64 [N].
        sampler: Its name, with settings in brackets.
        seed: Of its draws.

    Raises:
        UnknownName: Of the sampler or a setting.
    """
    order = SAMPLERS.create(sampler)(torch.from_numpy(targets), 1, 1, torch.Generator().manual_seed(seed))
    return np.bincount(order.numpy(), minlength=len(targets))

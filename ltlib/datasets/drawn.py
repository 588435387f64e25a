"""A set without a test part of its own: its training and test images are drawn, by a seed, from one pool."""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ltlib.datasets import holdout
from ltlib.datasets.images import ImageSet, Source
from ltlib.datasets.mapped import MappedImages
from ltlib.datasets.subsets import Indices
from ltlib.errors import SettingError


@dataclass(frozen=True, kw_only=True)
class Drawn(Source):
    """One drawing of a pool.

    ``train.indices`` and ``test.indices`` are places in the pool, whatever the seed, so what is computed of an image
    can be kept by its place.

    Attributes:
        pool: All images, in the order of the set; place i has index i.
        pool_groups: int64 [N], the group of each image of the pool; images of one group are never drawn apart. None
            where each may be drawn alone.
    """

    pool: ImageSet
    pool_groups: Indices | None = None

    def split(self, seed: int = 0, groups: Sequence[Hashable | None] | None = None) -> Drawn:
        """A stratified fifth to test, the others to train; see `holdout.held_out`.

        Warns of classes that are not tested and are with seed 0.

        Args:
            seed: Seed of the draw.
            groups: Labels of the pool's images, besides the set's own groups: images of one label, near duplicates for
                example, stay on one side; None for an image stays alone.

        Raises:
            SettingError: Another number of labels than images.
        """
        if groups is not None and len(groups) != len(self.pool):
            raise SettingError(f"groups need one label for each of {len(self.pool)} images, not {len(groups)}")
        own = None if self.pool_groups is None else self.pool_groups.tolist()
        ways = [way for way in (own, groups) if way is not None]
        found = draw(self.pool, holdout.together(*ways) if ways else None, seed)
        missing = [
            name
            for name, now, usual in zip(self.class_names, found.test.class_counts, self.test.class_counts, strict=True)
            if usual and not now
        ]
        if missing:
            warnings.warn(
                f"left out of the test set of seed {seed}: {', '.join(map(repr, missing))}, of which no image can be "
                "taken without others that must stay",
                stacklevel=3,
            )
        return found

    def train_numbers(self, indices: NDArray[np.integer]) -> Indices:
        return self._numbers()[indices]

    def test_numbers(self, indices: NDArray[np.integer]) -> Indices:
        aside = holdout.held_out(self.pool.targets, 0)
        return (self._numbers()[indices] - np.count_nonzero(~aside)) % len(self.pool)

    def _numbers(self) -> Indices:
        """Places of the pool's images where those that seed 0 draws one by one are put behind the others."""
        aside = holdout.held_out(self.pool.targets, 0)
        numbers = np.empty(len(aside), np.int64)
        numbers[np.argsort(aside, kind="stable")] = np.arange(len(aside))
        return numbers


def draw(pool: ImageSet, groups: Indices | None, seed: int = 0) -> Drawn:
    """Draw from a pool; its images stay where they are, and are read when they are asked for.

    Args:
        pool: All images.
        groups: As of `Drawn.pool_groups`.
        seed: Seed of the draw.
    """
    aside = holdout.held_out(pool.targets, seed, groups=groups)

    def part(mask: NDArray[np.bool_]) -> ImageSet:
        places = np.flatnonzero(mask)
        images = MappedImages(pool.images, places)
        return ImageSet(images, pool.targets[places], pool.class_names, None, places)  # type: ignore[arg-type]

    return Drawn(
        train=part(~aside),
        test=part(aside),
        groups=None if groups is None else groups[~aside],
        pool=pool,
        pool_groups=groups,
    )

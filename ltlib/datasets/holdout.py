"""Which images are set aside, for testing or for validation: so many tenths of each class, whole groups of images.

`sklearn.model_selection.StratifiedGroupKFold` cuts five folds and leaves some without any image of a small class. Here
one part is cut, and each class that can have images on both sides has them.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from ltlib.datasets.subsets import Indices, positions, random_order, whole_number

FIFTH, TENTH = 2, 1  # tenths of a test and of a validation part; also what keeps the draws of one seed apart
_ROUNDS = 20  # of changes for the better; two or three are enough as a rule
_TRIES = 5  # where a class got nothing aside that could have


def held_out(
    targets: NDArray[np.integer], seed: int, tenths: int = FIFTH, groups: NDArray[np.integer] | None = None
) -> NDArray[np.bool_]:
    """Draw images to set aside.

    Of a class of n images ``tenths/10 * n`` are wanted, rounded to the nearest (halves up), at least one where it has
    two or more; a class of one image keeps it. Which ones is drawn from (`seed`, class). Groups may hinder: then each
    class comes as near to its number as a greedy search gets it, with an image on both sides where its groups allow it.

    Args:
        targets: Class of each image, int [N].
        seed: Seed of the draw, at least 0.
        tenths: `FIFTH` or `TENTH`.
        groups: Group of each image, int [N]: images of one group are set aside together or not at all. With None, and
            where each image is a group of its own, every image is drawn by itself.

    Returns:
        bool [N], True for an image that is set aside.
    """
    targets = np.asarray(targets)
    orders, wanted = dict[int, Indices](), dict[int, int]()
    for index in np.unique(targets).tolist():
        places = np.flatnonzero(targets == index)
        orders[index] = places[random_order(len(places), seed, index, tenths)]
        wanted[index] = min(max(1, (tenths * len(places) + 5) // 10), len(places) - 1)
    aside = np.zeros(len(targets), bool)
    if groups is None or len(np.unique(groups)) == len(targets):
        for index, order in orders.items():
            aside[order[: wanted[index]]] = True
        return aside
    numbers = np.unique(groups, return_inverse=True)[1].reshape(-1)
    first, found = list[int](), list[_Sides]()
    for _ in range(_TRIES):
        found.append(_Sides(targets, numbers, orders, wanted, first))
        if not (missing := found[-1].untouched()):
            break
        first = list(dict.fromkeys([*missing, *first]))  # another time they choose first
    return np.asarray(min(found, key=lambda sides: len(sides.untouched())).side)[numbers]


class _Sides:
    """Groups, each on one of two sides: a greedy division, then changes of single groups while they help.

    Attributes:
        side: Whether each group is set aside.
        inside: Of each group, its images of each class.
        of_class: Of each class, its groups.
        total, wanted, aside: Of each class, its images in all, those wanted aside, those aside now.
    """

    def __init__(
        self,
        targets: NDArray[np.integer],
        numbers: Indices,
        orders: dict[int, Indices],
        wanted: dict[int, int],
        first: Sequence[int] = (),
    ):
        self.inside: list[dict[int, int]] = [{} for _ in range(int(numbers.max()) + 1)]
        for group, target in zip(numbers.tolist(), targets.tolist(), strict=True):
            self.inside[group][target] = self.inside[group].get(target, 0) + 1
        drawn = {index: list(dict.fromkeys(numbers[order].tolist())) for index, order in orders.items()}
        # the classes with the fewest groups, which have the least choice, come first
        self.of_class = dict(sorted(drawn.items(), key=lambda item: (item[0] not in first, len(item[1]), item[0])))
        self.total = {index: len(order) for index, order in orders.items()}
        self.wanted, self.aside = wanted, dict.fromkeys(orders, 0)
        self.side = [False] * len(self.inside)
        self._divide()

    def untouched(self) -> list[int]:
        """Classes of two groups or more that have nothing aside."""
        return [index for index, groups in self.of_class.items() if len(groups) > 1 and not self.aside[index]]

    def _divide(self) -> None:
        for index, groups in self.of_class.items():
            for group in groups:
                if self.aside[index] == self.wanted[index]:
                    break
                if not self.side[group] and self._fits(group):
                    self._turn(group)
        for index, groups in self.of_class.items():
            if not self.aside[index] and (able := [group for group in groups if self._may(group)]):
                self._turn(min(able, key=self._change))
        for _ in range(_ROUNDS):
            uneven = [index for index in self.of_class if self.aside[index] != self.wanted[index]]
            moved = 0
            for group in dict.fromkeys(group for index in uneven for group in self.of_class[index]):
                if self._may(group) and self._change(group) < -1e-12:
                    self._turn(group)
                    moved += 1
            if not moved:
                break

    def _turn(self, group: int) -> None:
        sign = -1 if self.side[group] else 1
        self.side[group] = not self.side[group]
        for index, count in self.inside[group].items():
            self.aside[index] += sign * count

    def _fits(self, group: int) -> bool:
        return all(self.aside[index] + count <= self.wanted[index] for index, count in self.inside[group].items())

    def _may(self, group: int) -> bool:
        """Whether a group may change sides: each of its classes keeps an image on the side that it leaves."""
        left = self.aside if self.side[group] else {i: self.total[i] - self.aside[i] for i in self.inside[group]}
        return all(left[index] > count for index, count in self.inside[group].items())

    def _change(self, group: int) -> float:
        """What the squared distance from the wanted shares would grow by if the group changed sides."""
        sign = -1 if self.side[group] else 1
        change = 0.0
        for index, count in self.inside[group].items():
            now = self.aside[index] - self.wanted[index]
            change += ((now + sign * count) ** 2 - now**2) / self.total[index] ** 2
        return change


def together(*labels: Sequence[Hashable | None]) -> Indices | None:
    """Groups of images that share a label, directly or through others.

    Args:
        labels: Ways to label the images, each with one label an image; an image without one (None) shares none.

    Returns:
        int64 [N], the group of each image; None where no two images share a label.
    """
    pairs = [pair for way in labels for pair in _shared(way)]
    if not pairs:
        return None
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    size = len(labels[0])
    rows, columns = np.array(pairs).T
    found = connected_components(coo_array((np.ones(len(rows)), (rows, columns)), shape=(size, size)), directed=False)
    return np.asarray(found[1], np.int64)


def _shared(labels: Sequence[Hashable | None]) -> Iterable[tuple[int, int]]:
    first = dict[Hashable, int]()
    for place, label in enumerate(labels):
        if label is not None and first.setdefault(label, place) != place:
            yield first[label], place


def split_validation(
    targets: NDArray[np.integer],
    indices: NDArray[np.integer],
    subset_seed: int = 0,
    groups: NDArray[np.integer] | None = None,
) -> tuple[Indices, Indices]:
    """Set a stratified tenth of a chosen subset aside for validation.

    A class of n images gives ``n/10`` rounded to the nearest (halves up), at least one where it has two or more; a
    class of one image keeps it for training. Which ones is drawn per class from (`subset_seed`, class), separately from
    the choice of the subset.

    Args:
        targets: Class of every image of the set, int [N].
        indices: The chosen subset, int [M], indices into `targets`, or a mask bool [N].
        subset_seed: Seed of the split, at least 0.
        groups: Group of every image of the set, int [N], see `held_out`.

    Returns:
        Training and validation indices, both in the order of `indices`.
    """
    subset_seed = whole_number("subset_seed", subset_seed, 0)
    chosen = positions(indices, len(targets))
    order = np.argsort(chosen)  # the same images split the same way in any order
    places = chosen[order]
    aside = np.zeros(len(chosen), bool)
    aside[order] = held_out(
        np.asarray(targets)[places], subset_seed, TENTH, None if groups is None else np.asarray(groups)[places]
    )
    return chosen[~aside], chosen[aside]

"""Which images are copies of which, as a forest: of all links between images, the closest that join them.

A set in which everything resembles everything has millions of pairs; the forest has fewer links than images and the
same groups.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

HOWS = ("file", "pixels", "near", "mirrored", "crop")
"""How two images are one, the closest first: the same file content, the same pixels in another file, nearly the same
picture, that of the mirror image, a part of the other."""
EXACT = 2  # so many of them are equal and not only alike
_MOST = 1_000_000  # links that are kept before they are thinned
_STEP = 1_000.0  # what a kind of link weighs more than the one before it


class Link(NamedTuple):
    """Two images that belong together.

    Attributes:
        first, second: Their places, the first the smaller.
        how: One of `HOWS`.
        distance: How far they are from each other: bits of a hash, or one minus a correlation.
    """

    first: int
    second: int
    how: str
    distance: float


class Forest:
    """Links between images; links that join nothing new are dropped.

    Args:
        size: How many images there are.
        links: What `thinned` gave.
    """

    def __init__(self, size: int, links: NDArray[np.float64] | None = None):
        self.size = size
        self._links = np.zeros((0, 3)) if links is None else links

    def add(self, how: str, pairs: NDArray[np.integer], distance: NDArray[np.number] | float = 0.0) -> None:
        """Add links of one kind.

        Args:
            how: One of `HOWS`.
            pairs: Places, int [M, 2].
            distance: Of each pair, below 1,000.
        """
        weight = np.broadcast_to(np.asarray(distance, np.float64) + 1 + _STEP * HOWS.index(how), len(pairs))
        self._links = np.vstack([self._links, np.column_stack([np.sort(pairs, axis=1), weight])])
        if len(self._links) > _MOST:
            self.thinned()

    def links(self) -> list[Link]:
        """The forest, the closest links first."""
        found = []
        for first, second, weight in sorted(self.thinned().tolist(), key=lambda link: (link[2], link[0], link[1])):
            kind, distance = divmod(weight, _STEP)
            found.append(Link(int(first), int(second), HOWS[int(kind)], round(distance - 1, 6)))
        return found

    def groups(self, hows: Iterable[str] = HOWS) -> NDArray[np.int64]:
        """One label an image, int64 [size]: of the same label where links of these kinds join them."""
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        wanted = [HOWS.index(how) for how in hows]
        links = self._links[np.isin(self._links[:, 2] // _STEP, wanted)]
        places = links[:, 0].astype(np.int64), links[:, 1].astype(np.int64)
        graph = coo_array((np.ones(len(links)), places), shape=(self.size, self.size))
        return np.asarray(connected_components(graph, directed=False)[1], np.int64)

    def thinned(self) -> NDArray[np.float64]:
        """First, second and weight of each link of the forest, [M, 3]."""
        from scipy.sparse import csr_array
        from scipy.sparse.csgraph import minimum_spanning_tree

        order = np.argsort(self._links[:, 2], kind="stable")
        self._links = self._links[order]
        first, second = self._links[:, 0].astype(np.int64), self._links[:, 1].astype(np.int64)
        kept = np.unique(first * self.size + second, return_index=True)[1]  # of one pair the closest link
        first, second, weight = first[kept], second[kept], self._links[kept, 2]
        tree = minimum_spanning_tree(csr_array((weight, (first, second)), shape=(self.size, self.size))).tocoo()
        self._links = np.column_stack([tree.row, tree.col, tree.data]).astype(np.float64)
        return self._links


def same(values: NDArray[np.generic]) -> NDArray[np.int64]:
    """Pairs of neighbours among equal values; empty values are none's equal.

    Returns:
        int64 [M, 2]: enough to join all that are equal.
    """
    values = np.asarray(values)
    order = np.argsort(values, kind="stable")
    equal = np.flatnonzero((values[order][1:] == values[order][:-1]) & (values[order][1:] != values.dtype.type()))
    return np.column_stack([order[equal], order[equal + 1]]).astype(np.int64)


def groups_of(labels: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """The places of each group of two or more images, in the order of their first."""
    order = np.argsort(labels, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(labels[order])) + 1)
    return sorted((part for part in parts if len(part) > 1), key=lambda part: int(part[0]))

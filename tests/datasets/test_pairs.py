"""Two classes of a set, and what SMOTE makes between their images."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from ltlib.datasets import pairs


def test_a_pair_has_the_larger_class_first() -> None:
    own = pairs.pair("digits", (0, 3), (20, 5), seed=1)
    assert own.targets.tolist() == [0] * 20 + [1] * 5
    assert own.images.shape[0] == 25
    assert not np.array_equal(own.images, pairs.pair("digits", (0, 3), (20, 5), seed=2).images)


def test_between_finds_the_parents() -> None:
    draw = np.random.default_rng(2)
    x, rows = draw.normal(size=(7, 5)), np.array([1, 3, 4, 6])
    couples = list(combinations(rows.tolist(), 2))
    made = np.array([x[a] + draw.uniform(0.1, 0.9) * (x[b] - x[a]) for a, b in couples])
    parents, away = pairs.between(made, x, rows)
    assert [tuple(sorted(pair)) for pair in parents.tolist()] == couples
    assert away.max() < 1e-9


def test_pictures_begin_with_the_parents_that_are_furthest_apart() -> None:
    pixels = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 0.2]])
    made, parents = np.array([[0.5, 0.0], [0.0, 0.1]]), np.array([[0, 1], [0, 2]])
    shown = pairs.beside_parents(pixels, made, parents, (1, 2))
    assert shown.shape == (3, 3, 1, 2)
    assert shown[0].reshape(3, 2).tolist() == [[0, 0], [128, 0], [255, 0]]
    assert shown[-1].reshape(3, 2).tolist() == [[0, 0], [0, 26], [0, 51]]

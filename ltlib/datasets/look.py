"""A few images of a set, to look at. No plotting here."""

from __future__ import annotations

import numpy as np

from ltlib.datasets.images import ImageSet, Pixels, Targets
from ltlib.datasets.subsets import random_order, whole_number


def random_batch(image_set: ImageSet, n: int, seed: int = 0) -> tuple[Pixels, Targets]:
    """Images drawn at random without repetition: the set as training sees it.

    Args:
        image_set: Any set.
        n: How many; a smaller set gives all it has.
        seed: Seed of the draw.

    Returns:
        Images uint8 [n, H, W, 3] and targets int64 [n].
    """
    chosen = random_order(len(image_set), whole_number("seed", seed, 0))[: whole_number("n", n, 1)]
    return image_set.images[chosen], image_set.targets[chosen]


def samples_per_class(image_set: ImageSet, per_class: int, seed: int = 0) -> tuple[Pixels, Targets]:
    """The same number of images of every class, class after class.

    Args:
        image_set: Any set.
        per_class: How many of each class; a smaller class gives all it has.
        seed: Seed of the draw; a class is drawn from independently of the others.

    Returns:
        Images uint8 [m, H, W, 3] and targets int64 [m].
    """
    whole_number("seed", seed, 0), whole_number("per_class", per_class, 1)
    chosen = []
    for target in range(len(image_set.class_names)):
        places = np.flatnonzero(image_set.targets == target)
        chosen.append(places[random_order(len(places), seed, target)[:per_class]])
    places = np.concatenate(chosen)
    return image_set.images[places], image_set.targets[places]

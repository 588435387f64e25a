"""Pictures of a long-tailed set: samples of each class, a random batch, what augmentation makes of an image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ltlib import datasets, plots
from ltlib.batches.views import views
from ltlib.labels import label

if TYPE_CHECKING:
    from ltlib.datasets.images import LongTailed
    from ltlib.plots import Chart


def samples(data: LongTailed, per_class: int = 10) -> Chart:
    """A row of random training images for each class, with its name and number of images."""
    train = data.train
    return plots.images.samples_per_class(train.images, train.targets, data.class_names, per_class=per_class)


def random_batch(data: LongTailed, number: int = 16) -> Chart:
    """A random batch: what a step of training sees."""
    images, targets = datasets.random_batch(data.train, number)
    return plots.images.show_images(images, [data.class_names[t] for t in targets], columns=8)


def batch_sentence(data: LongTailed, size: int = 32) -> str:
    """How often a batch holds no image of the smallest class."""
    n, chance = data.class_counts, 1.0
    for i in range(size):
        chance *= max(0, sum(n) - min(n) - i) / (sum(n) - i)
    return (
        f"A batch of {size} drawn from these {sum(n):,} images has none of the smallest class {chance:.0%} of the time."
    )


def augmentations(data: LongTailed, parts: Sequence[str], number: int = 7) -> Chart:
    """One training image, each augmentation on a row of its own."""
    image, _ = datasets.random_batch(data.train, 1, seed=1)
    names = list(dict.fromkeys(parts))
    made = np.concatenate([views(part, image, number) for part in names])
    return plots.images.augmented_images(np.repeat(image, len(names), axis=0), made, names=names)


def two_views(data: LongTailed, text: str, number: int = 8) -> Chart:
    """Pairs of views of a random batch, one above the other, as contrastive training sees them."""
    images, targets = datasets.random_batch(data.train, number, seed=2)
    made = views(text, images, 2, seed=3)
    names = [data.class_names[t] for t in targets]
    alt = f"Two views ({text}) of each of {number} training images, one above the other: {', '.join(names)}."
    titles = [*names, *[""] * number]
    return plots.images.show_images(made.swapaxes(0, 1).reshape(-1, *images.shape[1:]), titles, columns=number, alt=alt)


def mirror_sentence(dataset: str, text: str) -> str:
    """What a recipe's augmentation draws, and whether the set's images may be mirrored."""
    drawn = f"The recipe of these runs draws {text}, anew for every image in every epoch"
    if datasets.info(dataset).flips or "flip" in text:
        return f"{drawn}."
    digits = datasets.info(dataset).family.startswith("digits")
    why = "a mirrored digit is no digit" if digits else f"images of {label(dataset)} may not be mirrored"
    return f"{drawn}, and no flips: {why}. The rows with flips show what the document does to photographs."

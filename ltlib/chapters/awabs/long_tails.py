"""The figures of `awabs` about data: real long tails (1.1 to 1.3), re-sampling (2.1, 2.2), CIFAR-100-LT (4.1).

What is public of iNaturalist 2017 and of Places is not what the document plots; each figure says by how much. The
re-sampling figures run the samplers and SMOTE that train, on embedded digits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from ltlib import datasets, embedding, published
from ltlib.batches import samplers
from ltlib.chapters.long_tails import counts as long_tails
from ltlib.datasets import resampling
from ltlib.errors import DataError
from ltlib.plots import averages, distribution
from ltlib.plots import oversampling as drawn

if TYPE_CHECKING:
    import pandas as pd

    from ltlib.pages.page import Page
    from ltlib.plots import Chart

FACTORS = (10, 50, 100, 200)
"""The imbalance factors that section 4.1.1 lists."""
PAIR = (8, 1)
"""The two digits of the re-sampling figures, the larger class first: neighbours in pixels, so that errors show."""
SIZES = (90, 12)


# --- Figures 1.1 to 1.3 ----------------------------------------------------------------------------------------------


def super_categories() -> tuple[list[str], list[int], list[int]]:
    """iNaturalist 2017: super-categories, species and training images of each."""
    rows = published.field_counts()
    rows = rows[rows["dataset"] == "inaturalist2017"]
    return list(rows["item"]), [int(n) for n in rows["categories"]], [int(n) for n in rows["train_images"]]


def least_top_share(classes: Sequence[int], images: Sequence[int], share: float = 0.01) -> float:
    """The least share of the images that the largest `share` of the classes can hold, from totals by group alone.

    Were all classes of a group equally large, the largest would be those of the group with the largest mean. Moving
    images from a smaller to a larger class inside a group only adds to what the largest hold.
    """
    left, held = round(share * sum(classes)), 0.0
    for n, total in sorted(zip(classes, images, strict=True), key=lambda pair: -pair[1] / pair[0]):
        taken = min(left, n)
        held, left = held + taken * total / n, left - taken
    return held / sum(images)


def inaturalist(page: Page) -> None:
    """Figure 1.1: species by super-category, and what totals can say of its caption."""
    names, classes, images = super_categories()
    title = "iNaturalist 2017: what its public totals show"
    figure = averages.group_means(names, classes, images, unit="species", title=title)
    caption = (
        f"The document plots each of {sum(classes):,} species; public are totals by super-category, so each is a step "
        "of its mean. The tail inside a super-category does not show."
    )
    page.figure("1.1", figure, caption=caption, runs=[])
    least = least_top_share(classes, images)
    means = [n / c for n, c in zip(images, classes, strict=True)]
    page.claim(
        "almost 16% of training photos found in the top 1% most populous courses",
        "awabs, Figure 1.1",
        None,
        f"Totals by super-category give a lower bound only: the top 1% ({round(0.01 * sum(classes))} of "
        f"{sum(classes):,} species) hold at least {least:.1%} of the {sum(images):,} training images, and the "
        f"imbalance factor is at least {max(means) / min(means):.1f}. Both leave room for the printed 16% and 435.44.",
        everywhere=True,
    )


def places(page: Page) -> None:
    """Figures 1.2 and 1.3."""
    reason = (
        "it shows photographs of the Places database, which the workbook neither has nor may pass on; which of them, "
        "the document does not say."
    )
    page.missing("figure 1.2", reason)
    counts = sorted(long_tails.places_lt(), reverse=True)
    figure = distribution.class_distribution(counts, shade_lowest=0.3, title="Places-LT, sorted")
    row = published.figures("awabs").set_index("figure").loc["1.3"]
    caption = (
        f"The document plots the full Places set ({row['text_readings']}); public per class is Places-LT, the "
        f"long-tailed training list cut from it: {sum(counts):,} images in {len(counts)} categories."
    )
    page.figure("1.3", figure, caption=caption, runs=[])
    page.notes("awabs", figure="1.3")


# --- Figures 2.1 and 2.2 ---------------------------------------------------------------------------------------------


class Pair(NamedTuple):
    """Two classes of real digits.

    Attributes:
        images: uint8 [N, H, W, 3], the larger class first.
        targets: 0 (the larger) or 1, [N].
        names: What the classes are called.
    """

    images: np.ndarray
    targets: np.ndarray
    names: tuple[str, str]


def two_digits(seed: int = 0) -> Pair:
    """Random training images of two digits, many of one and few of the other."""
    train, draw = datasets.read("digits").train, np.random.default_rng(seed)
    chosen = [
        draw.choice(np.flatnonzero(train.targets == c), n, replace=False) for c, n in zip(PAIR, SIZES, strict=True)
    ]
    return Pair(
        train.images[np.concatenate(chosen)], np.repeat([0, 1], SIZES), (f"digit {PAIR[0]}", f"digit {PAIR[1]}")
    )


def uses(targets: np.ndarray, sampler: str, seed: int = 0) -> np.ndarray:
    """How often an epoch of a sampler shows each image, int64 [N]."""
    order = samplers.SAMPLERS.create(sampler)(torch.from_numpy(targets), 1, 1, torch.Generator().manual_seed(seed))
    return np.bincount(order.numpy(), minlength=len(targets))


def under_and_over(pair: Pair) -> Chart:
    """Figure 2.1: an epoch as the data come, under-sampled, over-sampled."""
    shown = {
        "As it comes": "instance_balanced",
        "Under-sampled": "random_undersampling",
        "Over-sampled": "random_oversampling",
    }
    points = embedding.pca(_flat(pair.images), 2)
    found = {name: uses(pair.targets, sampler) for name, sampler in shown.items()}
    return drawn.resampled(points, pair.targets, found, pair.names)


def smote(pair: Pair) -> Chart:
    """Figure 2.2: what SMOTE makes of the smaller class, on the lines between its images.

    Raises:
        DataError: imbalanced-learn is not installed.
    """
    x = _flat(pair.images)
    every, _ = resampling.resample("smote", x, pair.targets, seed=0)
    made = every[len(x) :]
    parents, _ = between(made, x, np.flatnonzero(pair.targets == 1))
    points = embedding.pca(x, 2)
    axes = _linear(x, points)
    middle = np.linalg.norm(x[parents[:, 0]] - x[parents[:, 1]], axis=1).argsort()[::-1]
    rows = middle[np.linspace(0, len(middle) // 2, 3).astype(int)]
    shape = pair.images.shape[1:]
    pictures = np.stack([np.stack([x[parents[i, 0]], made[i], x[parents[i, 1]]]).reshape(3, *shape) for i in rows])
    return drawn.interpolated(
        points, pair.targets, axes(made), parents, (255 * pictures).round().astype(np.uint8), pair.names
    )


def between(made: np.ndarray, x: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each made point the two of `rows` on whose line segment it lies, int64 [M, 2], and its distance from it."""
    parents, distances = [], []
    first, second = (rows[i] for i in np.triu_indices(len(rows), 1))
    a, span = x[first], x[second] - x[first]
    length = np.maximum((span**2).sum(1), 1e-12)
    for point in made:
        along = (((point - a) * span).sum(1) / length).clip(0, 1)
        away = np.linalg.norm(point - a - along[:, None] * span, axis=1)
        best = int(away.argmin())
        parents.append((int(first[best]), int(second[best])))
        distances.append(float(away[best]))
    return np.array(parents), np.array(distances)


def resampling_figures(page: Page) -> None:
    """Figures 2.1 and 2.2."""
    pair = two_digits()
    caption = "An epoch of the two digits under three samplers; a mark grows with its copies. Axes: two components."
    page.figure("2.1", under_and_over(pair), caption=caption, runs=[])
    try:
        figure = smote(pair)
    except DataError as error:
        page.missing("figure 2.2", str(error), 'pip install "ltlib[imblearn]"')
        return
    caption = "SMOTE in the space of pixels: every made digit is a mixture of two real ones of its class."
    page.figure("2.2", figure, caption=caption, runs=[])


def _flat(images: np.ndarray) -> np.ndarray:
    return embedding.pixels(images).astype(np.float64)


def _linear(x: np.ndarray, points: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """The affine map that took `x` to `points`, for further rows: a principal component is linear."""
    mean = x.mean(0)
    weights, *_ = np.linalg.lstsq(x - mean, points - points.mean(0), rcond=None)
    return lambda rows: (rows - mean) @ weights + points.mean(0)


# --- Figure 4.1 ------------------------------------------------------------------------------------------------------


@cache
def _counts(factor: float) -> tuple[int, ...]:
    return tuple(long_tails.counts("cifar100", factor))


def cifar100(page: Page) -> None:
    """Figure 4.1: class counts of CIFAR-100-LT at the four factors, and the images of its three groups."""
    caption = "The document's figure has one curve and its caption no imbalance factor; these are the four of its text."
    figure = distribution.count_curves({f"{factor}": _counts(factor) for factor in FACTORS})
    page.figure("4.1", figure, caption=caption, runs=[])
    page.frame("Groups", group_table(), "of CIFAR-100-LT: images of head, middle and tail, by the document's two rules")
    page.say(group_sentence())


RULES = {"36 / 35 / 29 (its tables)": "cuts[sizes=36+35+29]", "30 / 40 / 30 (its text)": "cuts[sizes=30+40+30]"}


def group_table() -> pd.DataFrame:
    """Images of each group by factor and rule, as shares of the training set."""
    import pandas as pd

    rows = []
    for factor in FACTORS:
        n = np.array(_counts(factor))
        for name, rule in RULES.items():
            parts = datasets.groups(n.tolist(), rule)
            shares = [f"{n[list(members)].sum() / n.sum():.1%}" for members in parts.values()]
            rows.append([f"{factor}", f"{n.sum():,}", f"{n.max()} to {n.min()}", name, *shares])
    return pd.DataFrame(rows, columns=["IF", "images", "a class", "classes of the groups", "head", "middle", "tail"])


def group_sentence() -> str:
    """How little the tail has, and which rule this page uses."""
    n = np.array(_counts(100))
    parts = {name: list(members) for name, members in datasets.groups(n.tolist(), RULES[next(iter(RULES))]).items()}
    return (
        f"At factor 100 the {len(parts['tail'])} tail classes have {n[parts['tail']].sum():,} of {n.sum():,} training "
        f"images, and {len(parts['tail'])}% of the test set. The rules differ in "
        f"{len(set(parts['head']) ^ set(range(30)))} classes at the head's end; our groups are those its tables fit."
    )

"""The figures of `awabs` about data: real long tails (1.1 to 1.3), its sentence on CIFAR-100-LT's groups.

What is public of iNaturalist 2017 and of Places is not what the document plots; each figure says by how much.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ltlib import datasets, published
from ltlib.chapters.long_tails import field
from ltlib.plots import averages
from ltlib.sections.class_counts import counts

if TYPE_CHECKING:
    from ltlib.plots import Chart

TOP = "almost 16% of training photos found in the top 1% most populous courses"
"""The caption of Figure 1.1."""
NO_PHOTOGRAPHS = (
    "it shows photographs of the Places database, which the workbook neither has nor may pass on; which of them, the "
    "document does not say."
)
"""Why Figure 1.2 is not here."""


def species() -> Chart:
    """Figure 1.1: species by super-category."""
    rows = field.super_categories()
    title = "iNaturalist 2017: what its public totals show"
    columns = (rows[name].to_list() for name in ("item", "categories", "train_images"))
    return averages.group_means(*columns, unit="species", title=title)


def species_caption() -> str:
    """What the document plots in its place."""
    return (
        f"The document plots each of {field.super_categories()['categories'].sum():,} species; public are totals "
        "by super-category, so each is a step of its mean. The tail inside a super-category does not show."
    )


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


def top_evidence() -> str:
    """What totals can say of the caption of Figure 1.1."""
    rows = field.super_categories()
    classes, images = (rows[name].to_list() for name in ("categories", "train_images"))
    means = [n / c for n, c in zip(images, classes, strict=True)]
    return (
        f"Totals by super-category give a lower bound only: the top 1% ({round(0.01 * sum(classes))} of "
        f"{sum(classes):,} species) hold at least {least_top_share(classes, images):.1%} of the {sum(images):,} "
        f"training images, and the imbalance factor is at least {max(means) / min(means):.1f}. Both leave room for the "
        "printed 16% and 435.44."
    )


def places_caption() -> str:
    """What Figure 1.3 is of in the document, and here."""
    row = published.figures("awabs").set_index("figure").loc["1.3"]
    n = field.places_lt()
    return (
        f"The document plots the full Places set ({row['text_readings']}); public per class is Places-LT, the "
        f"long-tailed training list cut from it: {sum(n):,} images in {len(n)} categories."
    )


def group_sentence(rules: Mapping[str, str]) -> str:
    """How little the tail of CIFAR-100-LT has, and which rule this page uses: the first of these."""
    n, (tables, text) = np.array(counts("cifar100", 100)), rules.values()
    ours, other = (datasets.groups(n.tolist(), rule) for rule in (tables, text))
    tail = list(ours["tail"])
    return (
        f"At factor 100 the {len(tail)} tail classes have {n[tail].sum():,} of {n.sum():,} training images, and "
        f"{len(tail)}% of the test set. The rules differ in {len(set(ours['head']) ^ set(other['head']))} classes at "
        "the head's end; our groups are those its tables fit."
    )

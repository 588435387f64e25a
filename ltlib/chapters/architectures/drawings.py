"""Figures 2.1 to 2.4, which the thesis takes from other works: drawn anew, by our own code and in our own words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ltlib import datasets

if TYPE_CHECKING:
    from ltlib.pages.page import Page
    from ltlib.plots import Chart

LAYERS = (("input", 3), ("hidden", 4), ("hidden", 4), ("output", 2))
"""Of Figure 2.2 (section 2.2.1)."""
MAPS = (
    *(("image", 224, 3), ("convolution", 112, 32), ("convolution", 56, 24), ("convolution", 28, 32)),
    *(("convolution", 14, 96), ("convolution", 7, 320), ("pooled", 1, 1280), ("classes", 1, 100)),
)
"""What MobileNetV2 makes of an image of 224 pixels, one step for each resolution."""
TREE = {
    "Class re-balancing": ("re-sampling", "class-sensitive learning", "logit adjustment"),
    "Information augmentation": ("transfer learning", "data augmentation"),
    "Module improvement": (
        *("representation learning", "classifier design"),
        *("decoupled training", "ensemble learning"),
    ),
}
"""The three groups and nine sub-groups of Zhang et al. 2023, as section 2.3 names them."""


def show(page: Page) -> None:
    """All four."""
    from ltlib.plots import distribution, networks

    counts = datasets.long_tailed_counts(500, 100, 100)
    chart = distribution.sketch(counts)
    page.figure("2.1", chart, caption="A long tail: training images of CIFAR-100 at imbalance factor 100.", runs=[])
    chart = networks.feed_forward(LAYERS)
    page.figure("2.2", chart, caption="The fully connected network that section 2.2.1 describes.", runs=[])
    page.notes("architectures", figure="2.2")
    caption = "A convolutional network, at the sizes of MobileNetV2; the last two are vectors."
    page.figure("2.3", networks.feature_maps(MAPS), caption=caption, runs=[])
    page.figure("2.4", tree(), caption="Long-tailed learning in three groups; the losses are class-sensitive.", runs=[])


def tree() -> Chart:
    """Figure 2.4: groups of methods and what belongs to each."""
    from ltlib.plots import diagrams

    boxes = {"root": diagrams.Box("Long-tailed learning", (0.5, 2.0), (0.9, 0.8))}
    arrows: list[tuple[str, str]] = []
    row = 0.0
    for group, leaves in TREE.items():
        middle = row + (len(leaves) - 1) / 4
        boxes[group] = diagrams.Box(group, (1.75, middle), (1.1, 0.6))
        arrows.append(("root", group))
        for leaf in leaves:
            boxes[leaf] = diagrams.Box(leaf, (3.35, row), (1.1, 0.4), "#F4F4F4")
            arrows.append((group, leaf))
            row += 0.5
    return diagrams.framework(boxes, arrows)

"""Figure 2 of `convergent`: whether raw images form regions by class, as its caption says."""

from __future__ import annotations

from collections.abc import Mapping

from ltlib.labels import label

CLAIM = (
    "t-SNE visualization of the CIFAR10 dataset, demonstrating the clustered regions of features corresponding to "
    "different classes"
)
LEAST = 0.1
"""The silhouette above which classes count as clustered."""


def clustered(dataset: str, measured: Mapping[str, float] | None) -> tuple[bool | None, str]:
    """The answer and its evidence. Only CIFAR-10 can answer for CIFAR-10.

    Args:
        dataset: Whose images.
        measured: What `embedding.separability` says of their pixels; None where they are not on disk.
    """
    if measured is None:
        return None, "The images are not on disk."
    value = measured["silhouette"]
    text = f"silhouette {value:.2f} of the pixels, which the author's code maps (1: tight, separate classes; 0: none)"
    text += f"; the nearest class mean is right for {measured['nearest_centroid']:.0%} of the images"
    if dataset != "cifar10":
        return None, f"The claim is about CIFAR-10, and these are {label(dataset).lower()}: {text}."
    return value > LEAST, f"{text[:1].upper()}{text[1:]}."

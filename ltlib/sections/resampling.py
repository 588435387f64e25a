"""Re-sampling drawn: two classes under samplers and SMOTE, with the code that trains."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from ltlib import embedding
from ltlib.batches import samplers
from ltlib.datasets import pairs
from ltlib.datasets.pairs import Pair, pair
from ltlib.errors import DataError
from ltlib.plots import Chart, oversampling

if TYPE_CHECKING:
    from ltlib.pages.page import Page

__all__ = ["pair", "resampled", "show_smote", "smote"]


def resampled(own: Pair, shown: Mapping[str, str], seed: int = 0) -> Chart:
    """An epoch under several samplers.

    Args:
        own: The images.
        shown: Heading to sampler.
        seed: Of the epochs.
    """
    found = {name: samplers.uses(own.targets, sampler, seed) for name, sampler in shown.items()}
    return oversampling.resampled(embedding.pca(_flat(own.images), 2), own.targets, found, own.names)


def smote(own: Pair) -> Chart:
    """What SMOTE makes of the smaller class, on the lines between its images.

    Raises:
        DataError: imbalanced-learn is not installed.
    """
    x = _flat(own.images)
    made, parents = pairs.smote(x, own.targets)
    points = embedding.pca(x, 2)
    pictures = pairs.beside_parents(x, made, parents, own.images.shape[1:])
    return oversampling.interpolated(
        points, own.targets, embedding.affine(x, points)(made), parents, pictures, own.names
    )


def show_smote(page: Page, number: str, own: Pair, caption: str) -> None:
    """`smote` under a declared figure's number, or what to install for it."""
    try:
        page.figure(number, smote(own), caption=caption, runs=[])
    except DataError as error:
        page.missing(f"figure {number}", str(error), 'pip install "ltlib[imblearn]"')


def _flat(images: np.ndarray) -> np.ndarray:
    return embedding.pixels(images).astype(np.float64)

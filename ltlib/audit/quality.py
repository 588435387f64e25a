"""Dark, bright, blurred and empty images, odd sizes and shapes: cleanvision's scores at its own thresholds.

Its `Imagelab` goes through a folder by itself, with copies of paths and bars of its own; so its scoring is called image
by image, within the one pass that everything else is measured in.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ltlib.audit import extra

RAW = (
    *("brightness_perc_99", "brightness_perc_5", "entropy", "blurriness", "blurriness_grayscale_std"),
    *("aspect_ratio", "size"),
)
"""cleanvision's names of what its scores are made from."""
ISSUES = {
    "dark": "dark",
    "bright": "light",
    "blurred": "blurry",
    "low_information": "low_information",
    "odd_shape": "odd_aspect_ratio",
    "odd_size": "odd_size",
}
"""What we call them, and what cleanvision does."""
PREVALENT = 0.5
"""Where more of the images have it, it is how the set looks and no fault of some: cleanvision's ``max_prevalence``."""
_PER_IMAGE = ("dark", "low_information", "blurry")


def raw(image: Any, size: tuple[int, int]) -> NDArray[np.float32]:
    """The numbers named by `RAW` of a PIL image.

    Args:
        image: RGB, perhaps reduced.
        size: Width and height of the image as it is on the disk.

    Returns:
        float32 [len(RAW)]; zeros without cleanvision.
    """
    manager = _manager()
    if manager is None:
        return np.zeros(len(RAW), np.float32)
    found: dict[str, Any] = {}
    for issue in _PER_IMAGE:
        found |= manager.image_properties[issue].calculate(image)
    width, height = size
    found |= {"aspect_ratio": min(width / height, height / width), "size": (width * height) ** 0.5}
    return np.array([found[name] for name in RAW], np.float32)


def found(values: NDArray[np.float32]) -> dict[str, NDArray[np.bool_]]:
    """Which images have which fault.

    Args:
        values: `raw` of each image, float32 [N, len(RAW)].

    Returns:
        bool [N] by our name of the fault; none without cleanvision.
    """
    manager = _manager()
    if manager is None or not len(values):
        return {}
    import pandas as pd

    table = pd.DataFrame(np.asarray(values, np.float64), columns=list(RAW))
    marked = {}
    for name, issue in ISSUES.items():
        settings = dict(manager.params[issue])
        threshold = settings.pop("threshold", None)
        scored = manager.image_properties[issue]
        scores = scored.get_scores(raw_scores=table, issue_type=issue, **settings)
        marked[name] = scored.mark_issue(scores, issue, threshold).to_numpy().reshape(-1)
    return marked


@functools.cache
def _manager() -> Any | None:
    """cleanvision's scores and thresholds."""
    if extra.library("cleanvision") is None:
        return None
    from cleanvision.issue_managers.image_property_issue_manager import ImagePropertyIssueManager

    return ImagePropertyIssueManager()

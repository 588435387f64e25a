"""Image sets with a long tail: load one by name, or use the parts on your own arrays.

``load("cifar10", imbalance_factor=100)`` returns a `LongTailed`; its ``train`` and ``test`` are ordinary
`torch.utils.data.Dataset` objects. Nothing heavy is imported before it is needed.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ltlib.datasets.registry import DatasetInfo, available, fetch, info, load, names, read, verify

if TYPE_CHECKING:
    from ltlib.datasets.class_groups import groups
    from ltlib.datasets.images import ImageSet, LongTailed
    from ltlib.datasets.longtail import (
        choose_subset,
        fingerprint,
        long_tailed_counts,
        split_validation,
        subset_counts,
    )
    from ltlib.datasets.look import random_batch, samples_per_class

_LATER = {
    "groups": "class_groups",
    "ImageSet": "images",
    "LongTailed": "images",
    "choose_subset": "longtail",
    "fingerprint": "longtail",
    "long_tailed_counts": "longtail",
    "split_validation": "longtail",
    "subset_counts": "longtail",
    "random_batch": "look",
    "samples_per_class": "look",
}

__all__ = [
    "DatasetInfo",
    "ImageSet",
    "LongTailed",
    "available",
    "choose_subset",
    "fetch",
    "fingerprint",
    "groups",
    "info",
    "load",
    "long_tailed_counts",
    "names",
    "random_batch",
    "read",
    "samples_per_class",
    "split_validation",
    "subset_counts",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return getattr(import_module(f"ltlib.datasets.{_LATER[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

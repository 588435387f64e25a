"""Image sets with a long tail: load one by name, or use the parts on your own arrays.

``load("cifar10", imbalance_factor=100)`` returns a `LongTailed`; its ``train`` and ``test`` are ordinary
`torch.utils.data.Dataset` objects. Nothing heavy is imported before it is needed.

A new set is one class in a module of its own (see `base`), and its name in `_SETS` below.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ltlib.datasets.base import DATASETS, DatasetBuilder, DatasetInfo, as_found
from ltlib.datasets.registry import available, fetch, info, load, names, own, own_mark, read, remarks, repair, verify

if TYPE_CHECKING:
    from ltlib.datasets.class_groups import groups
    from ltlib.datasets.described import Described, describe
    from ltlib.datasets.holdout import split_validation
    from ltlib.datasets.images import ImageSet, LongTailed, Source
    from ltlib.datasets.longtail import long_tailed_counts, subset_counts
    from ltlib.datasets.look import random_batch, samples_per_class
    from ltlib.datasets.subsets import choose_subset, fingerprint

_SETS = (  # one module each, in the order of `names`
    "digits",
    "cifar",
    "butterfly",
    "crop_disease",
    "mushroom",
    "caltech_part",
    "ilsvrc_parts",
    "moths",
    "digits_folder",
    "digits_crop_disease",
    "digits_mushroom",
    "digits_caltech_part",
    "digits_ilsvrc_parts",
    "folders",
    "csv_list",
)
for _module in _SETS:
    import_module(f"ltlib.datasets.{_module}")

_LATER = {
    "Described": "described",
    "describe": "described",
    "groups": "class_groups",
    "ImageSet": "images",
    "Source": "images",
    "LongTailed": "images",
    "choose_subset": "subsets",
    "fingerprint": "subsets",
    "long_tailed_counts": "longtail",
    "split_validation": "holdout",
    "subset_counts": "longtail",
    "random_batch": "look",
    "samples_per_class": "look",
}

__all__ = [
    "DATASETS",
    "DatasetBuilder",
    "DatasetInfo",
    "Described",
    "ImageSet",
    "LongTailed",
    "Source",
    "as_found",
    "available",
    "choose_subset",
    "describe",
    "fetch",
    "fingerprint",
    "groups",
    "info",
    "load",
    "long_tailed_counts",
    "names",
    "own",
    "own_mark",
    "random_batch",
    "read",
    "remarks",
    "repair",
    "samples_per_class",
    "split_validation",
    "subset_counts",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return getattr(import_module(f"ltlib.datasets.{_LATER[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

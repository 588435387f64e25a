"""Image sets by name: what is known about them without touching the disk, and `load`.

``folder:PATH`` names an image folder of your own; ``folder:PATH@32`` reads its images at 32 pixels instead of 64.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ltlib.datasets.known import KNOWN, PHOTO_MEAN, PHOTO_STD, DatasetInfo
from ltlib.errors import DataError, UnknownName
from ltlib.files import digest
from ltlib.places import data_folder, reports_folder

if TYPE_CHECKING:
    from ltlib.datasets.images import LongTailed, Source


def names() -> list[str]:
    """The sets that have a name of their own; ``folder:PATH`` is understood besides."""
    return list(KNOWN)


def info(name: str) -> DatasetInfo:
    """What is known about a set. Only ``folder:PATH`` looks at the disk, at file names and sizes.

    Raises:
        UnknownName: With the nearest known names.
        DataError: The folder is missing or does not hold class folders with images.
    """
    if name.startswith("folder:"):
        from ltlib.datasets import folders

        path, size = folders.parse_name(name)
        listing = folders.scan(path)
        return DatasetInfo(
            name,
            len(listing.class_names),
            size,
            len(listing.train),
            len(listing.test),
            PHOTO_MEAN,
            PHOTO_STD,
            digest(f"folder: {listing.digest}; {size} pixels"),
            "thirds",
            True,
            f"the images in {path}",
            f"the folder {path}",
        )
    if name not in KNOWN:
        raise UnknownName("dataset", name, [*KNOWN, "folder:PATH"])
    return KNOWN[name]


def available(name: str, root: Path | str | None = None) -> bool:
    """Whether `load` would find the set's files without downloading. An unknown name raises `UnknownName`."""
    if name.startswith("folder:"):
        from ltlib.datasets import folders

        return folders.parse_name(name)[0].is_dir()
    info(name)
    folder = _root(root)
    if name in ("cifar10", "cifar100"):
        from ltlib.datasets import cifar

        layout = cifar.LAYOUTS[name]
        return cifar.present(layout, folder) or (
            (folder / layout.archive.name).is_file() and not (folder / layout.folder).exists()
        )
    if name == "butterfly":
        from ltlib.datasets import butterfly

        return butterfly.find(folder) is not None
    return True


def fetch(name: str, root: Path | str | None = None) -> None:
    """Download a set, or replace its damaged files; a whole set is left as it is.

    Raises:
        UnknownName: No set of that name.
        DataError: The set has no address to download from, or the download failed.
    """
    known = info(name)
    if name in ("cifar10", "cifar100"):
        from ltlib.datasets import cifar

        cifar.provide(cifar.LAYOUTS[name], _root(root), fetch=True)
    elif not available(name, root):
        raise DataError(f"{name} cannot be downloaded from here: {known.where}")


def verify(name: str, root: Path | str | None = None) -> list[str]:
    """Check every file of a set: one sentence for each that is missing, damaged or no image; none when all is well."""
    info(name)
    if name in ("cifar10", "cifar100"):
        from ltlib.datasets import cifar

        return cifar.problems(cifar.LAYOUTS[name], _root(root))
    from ltlib.datasets import butterfly, folders

    if name.startswith("folder:"):
        path, _ = folders.parse_name(name)
        listing = folders.scan(path)
        return folders.problems(path, [*listing.train, *listing.test])
    if name == "butterfly":
        folder = butterfly.require(_root(root))
        return folders.problems(folder, butterfly.scan(folder)[1])
    read(name, root)
    return []


def read(name: str, root: Path | str | None = None, fetch: bool = False) -> Source:
    """Read a whole set: all its training and test images.

    Raises:
        UnknownName, DataError: As `load`.
    """
    known = info(name)
    if name in ("cifar10", "cifar100"):
        from ltlib.datasets import cifar

        cifar.provide(cifar.LAYOUTS[name], _root(root), fetch)
        return cifar.read(cifar.LAYOUTS[name], _root(root))
    if name == "digits":
        from ltlib.datasets import digits

        return digits.read()
    from ltlib.datasets import butterfly, folders

    if name.startswith("folder:"):
        return folders.read(*folders.parse_name(name))
    if name == "digits_folder":
        return butterfly.read(butterfly.write_digits(reports_folder() / "cache" / "digits_folder"), known.image_size)
    return butterfly.read(butterfly.require(_root(root)), known.image_size, listed=butterfly.BUTTERFLY)


def load(
    name: str,
    *,
    imbalance_factor: float = 1.0,
    imbalance_type: str = "exponential",
    order: str = "descending",
    class_counts: Sequence[int] | None = None,
    subset: str = "random",
    subset_seed: int = 0,
    validation: str = "none",
    limit: int | None = None,
    groups: str | Mapping[str, Sequence[int]] | None = None,
    root: Path | str | None = None,
    download: bool = False,
) -> LongTailed:
    """Load a set and cut its long tail.

    Args:
        name: One of `names`, or ``folder:PATH``.
        imbalance_factor: Largest over smallest class; 1 takes the set as it is.
        imbalance_type: ``exponential``, ``step``, ``pareto`` or ``explicit``; see `longtail.long_tailed_counts`.
        order: ``descending`` (class 0 the largest) or ``ascending``.
        class_counts: Explicit counts; see `longtail.subset_counts`.
        subset: Which images: ``random``, ``ldam`` or ``first``; see `subsets.choose_subset`.
        subset_seed: Seed of that choice and of the validation split.
        validation: ``none``, or ``subset``: a stratified tenth of the subset; see `subsets.split_validation`.
        limit: Cut the subset and the test set to this many images each, classes in proportion; for trying things out.
        groups: Rule of head, middle and tail; None is the set's own; see `class_groups.groups`.
        root: Data folder instead of `places.data_folder`.
        download: Whether a missing set may be downloaded.

    Raises:
        UnknownName: No such set, rule or order; the sentence lists the nearest.
        SettingError: A setting outside its range.
        DataError: The set is missing or damaged, or a class has no image.
    """
    import numpy as np

    from ltlib.datasets import class_groups, longtail, subsets
    from ltlib.datasets.images import LongTailed

    known = info(name)
    if validation not in longtail.VALIDATIONS:
        raise UnknownName("validation", validation, longtail.VALIDATIONS)
    longtail.check(imbalance_factor, imbalance_type, order, subset, subset_seed)  # before a set is read for seconds
    source = read(name, root, download)
    counts = longtail.subset_counts(source.train.class_counts, imbalance_factor, imbalance_type, order, class_counts)
    chosen = subsets.choose_subset(source.train.targets, counts, subset, subset_seed)
    test = source.test.select(np.arange(len(source.test)))  # the source may be read-only and is shared
    if limit is not None:
        counts = longtail.limit_counts(counts, limit)
        chosen = subsets.first_of_each(source.train.targets, chosen, counts)
        everything = subsets.choose_subset(test.targets, test.class_counts, "first")
        test = test.select(
            subsets.first_of_each(test.targets, everything, longtail.limit_counts(test.class_counts, limit))
        )
    training, held_out = chosen, None
    if validation == "subset":
        training, held_out = subsets.split_validation(source.train.targets, chosen, subset_seed)
    train = source.train.select(training)
    return LongTailed(
        name=name,
        train=train,
        test=test,
        validation=None if held_out is None else source.train.select(held_out),
        class_counts=train.class_counts,
        subset_counts=tuple(counts),
        class_names=source.class_names,
        groups=class_groups.groups(counts, known.group_rule if groups is None else groups),
        fingerprint=subsets.fingerprint(chosen, source.train.targets[chosen]),
        mean=known.mean,
        std=known.std,
    )


def _root(root: Path | str | None) -> Path:
    return data_folder() if root is None else Path(root).expanduser()

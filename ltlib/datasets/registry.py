"""Image sets by name: what is known about them without touching the disk, and `load`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ltlib.datasets.base import DATASETS, DatasetBuilder, DatasetInfo, as_found, builder, entry
from ltlib.errors import UnknownName
from ltlib.places import data_folder
from ltlib.registry import Entry

if TYPE_CHECKING:
    from ltlib.datasets.images import LongTailed, Source


def names() -> list[str]:
    """The sets that have a name of their own; families such as ``folder:PATH`` are understood besides."""
    return [name for name in DATASETS.names() if ":" not in name]


def info(name: str) -> DatasetInfo:
    """What is known about a set. Only a family's sets, ``folder:PATH``, look at the disk, at file names and sizes.

    Raises:
        UnknownName: With the nearest known names.
        DataError: The folder is missing or does not hold class folders with images.
    """
    return builder(name).info()


def own(name: str) -> list[Entry[DatasetBuilder]]:
    """The builder of a set, if it does not come from this package."""
    found = entry(name)
    return [found] if found.own else []


def own_mark(name: str) -> str:
    """What identifies such a builder, besides the digest of its images; empty for this package's sets.

    Raises:
        SettingError: Its source cannot be read.
    """
    return DATASETS.own_mark(entry(name))


def available(name: str, root: Path | str | None = None) -> bool:
    """Whether `load` would find the set's files without downloading. An unknown name raises `UnknownName`."""
    return builder(name).available(_root(root))


def fetch(name: str, root: Path | str | None = None) -> None:
    """Download a set, or replace its damaged files; a whole set is left as it is.

    Raises:
        UnknownName: No set of that name.
        DataError: The set has no address to download from, or the download failed.
    """
    builder(name).fetch(_root(root))


def verify(name: str, root: Path | str | None = None) -> list[str]:
    """Check every file of a set: one sentence for each that is missing, damaged or no image; none when all is well."""
    return builder(name).problems(_root(root))


def remarks(name: str, root: Path | str | None = None) -> list[str]:
    """Sentences on where a set as it lies here is read otherwise than its description says, for a page or a person."""
    return builder(name).remarks(_root(root))


def repair(name: str) -> str:
    """What helps with the files that `verify` names, as words for a person."""
    return builder(name).repair()


def read(name: str, root: Path | str | None = None, fetch: bool = False) -> Source:
    """Read a whole set: all its training and test images.

    Raises:
        UnknownName, DataError: As `load`.
    """
    return builder(name).read(_root(root), fetch)


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
    test_per_class: int | None = None,
    groups: str | Mapping[str, Sequence[int]] | None = None,
    root: Path | str | None = None,
    download: bool = False,
) -> LongTailed:
    """Load a set and cut its long tail.

    Args:
        name: One of `names`, ``folder:PATH`` or ``csv:FILE``.
        imbalance_factor: Largest over smallest class; 1 takes the set as it is. A set of one's own, `as_found`, is cut
            by the size of its classes, others by their order.
        imbalance_type: ``exponential``, ``step``, ``pareto`` or ``explicit``; see `longtail.long_tailed_counts`.
        order: ``descending`` (class 0 the largest) or ``ascending``.
        class_counts: Explicit counts; see `longtail.subset_counts`.
        subset: Which images: ``random``, ``ldam`` or ``first``; see `subsets.choose_subset`.
        subset_seed: Seed of that choice, of the validation split, and of the test images where the set has no test
            part of its own (`DatasetInfo.drawn_test`).
        validation: ``none``, or ``subset``: a stratified tenth of the subset; see `holdout.split_validation`.
        limit: Cut the subset and the test set to this many images each, classes in proportion; for trying things out.
        test_per_class: Take this many test images of each class, or as many as the smallest has, picked at random by
            `subset_seed`; None takes the whole test set.
        groups: Rule of head, middle and tail; None is the set's own; see `class_groups.groups`.
        root: Data folder instead of `places.data_folder`.
        download: Whether a missing set may be downloaded.

    Raises:
        UnknownName: No such set, rule or order; the sentence lists the nearest.
        SettingError: A setting outside its range.
        DataError: The set is missing or damaged, or a class has no image.
    """
    import numpy as np

    from ltlib.datasets import class_groups, holdout, longtail, subsets
    from ltlib.datasets.drawn import Drawn
    from ltlib.datasets.images import LongTailed

    known = info(name)
    if validation not in longtail.VALIDATIONS:
        raise UnknownName("validation", validation, longtail.VALIDATIONS)
    longtail.check(imbalance_factor, imbalance_type, order, subset, subset_seed)  # before a set is read for seconds
    source = read(name, root, download).split(subset_seed)
    counts = longtail.subset_counts(
        source.train.class_counts, imbalance_factor, imbalance_type, order, class_counts, by_size=as_found(name)
    )
    chosen = subsets.choose_subset(source.train.targets, counts, subset, subset_seed)
    tested = np.arange(len(source.test))
    if test_per_class is not None:
        most = min(subsets.whole_number("test_per_class", test_per_class, 1), *source.test.class_counts)
        tested = subsets.choose_subset(source.test.targets, [most] * len(source.class_names), "random", subset_seed)
    test = source.test.select(tested)  # a copy: the source may be read-only and is shared
    if limit is not None:
        counts = longtail.limit_counts(counts, limit)
        chosen = subsets.first_of_each(source.train.targets, chosen, counts)
        everything = subsets.choose_subset(test.targets, test.class_counts, "first")
        test = test.select(
            subsets.first_of_each(test.targets, everything, longtail.limit_counts(test.class_counts, limit))
        )
    training, held_out = chosen, None
    if validation == "subset":
        training, held_out = holdout.split_validation(source.train.targets, chosen, subset_seed, source.groups)
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
        fingerprint=subsets.fingerprint(source.train_numbers(train.indices), train.targets),
        subset_fingerprint=subsets.fingerprint(
            source.train_numbers(source.train.indices[chosen]), source.train.targets[chosen]
        ),
        test_fingerprint=subsets.fingerprint(source.test_numbers(test.indices), test.targets),
        mean=known.mean,
        std=known.std,
        contents=source.contents,
        pooled=isinstance(source, Drawn),
    )


def _root(root: Path | str | None) -> Path:
    return data_folder() if root is None else Path(root).expanduser()

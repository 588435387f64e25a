"""What image files of one's own have in common, however they are listed: found with all faults at once, read, drawn.

A family, ``folder:PATH`` or ``csv:FILE``, is a class on `OwnFiles` with `scan`, which lists the images, and `listed`
does the rest. Without a test part of its own, a set's test images are drawn (`drawn`), and files of the same content
are never drawn apart.
"""

from __future__ import annotations

import functools
import os
import re
import warnings
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ltlib.datasets import contents
from ltlib.datasets.base import LARGEST, DatasetBuilder, DatasetInfo
from ltlib.datasets.faults import Unusable
from ltlib.datasets.listing import LeftOut
from ltlib.errors import DataError, printable
from ltlib.files import digest

if TYPE_CHECKING:
    from ltlib.datasets.images import Source

IMAGE_SIZE = 64  # pixels
GROUP, COPIES = "of one group in the list", "with the same file content"


@dataclass(frozen=True)
class Item:
    """One image file: its path, relative to the set's folder, with ``/``, or absolute; and its class."""

    path: str
    target: int


@dataclass(frozen=True)
class Listing:
    """The images of a set, not yet read. Two of one digest are equal: the rest follows from it.

    Attributes:
        digest: SHA-256 of all that tells which images of which classes there are.
        top: The folder that paths are relative to.
        class_names: Names of the classes, sorted.
        items: Images; those of a set with a test part by part, then by class; others by class. Then by path in a
            folder, by line in a list.
        contents: SHA-256 of each image's file.
        tested: Places of the test images in `items`; of a drawn set those of seed 0.
        drawn: Whether the set has no test part of its own.
        groups: Group of each image; None where each is alone.
        together: Why images are of one group, in words; empty without groups.
        not_read: A sentence on files that are not read; None where there are none.
        left_out: The same with the classes that are not tested.
    """

    digest: str
    top: Path = field(compare=False)
    class_names: tuple[str, ...] = field(compare=False)
    items: tuple[Item, ...] = field(compare=False)
    contents: tuple[str, ...] = field(compare=False)
    tested: tuple[int, ...] = field(compare=False)
    drawn: bool = field(compare=False)
    groups: tuple[int, ...] | None = field(compare=False)
    together: str = field(compare=False)
    not_read: str | None = field(compare=False)
    left_out: str | None = field(compare=False)

    def warn(self) -> None:
        """Say what is left out."""
        if self.left_out is not None:
            warnings.warn(self.left_out, stacklevel=4)

    def train_counts(self) -> tuple[int, ...]:
        """Training images of each class; of a drawn set those of seed 0."""
        counts, tested = [0] * len(self.class_names), set(self.tested)
        for place, item in enumerate(self.items):
            counts[item.target] += place not in tested
        return tuple(counts)


class OwnFiles(DatasetBuilder):
    """A set of image files of one's own.

    Attributes:
        form: How such a set is asked for.
        noun: What its argument is the path of.
    """

    as_found = True
    form: str
    noun: str

    def __init__(self, name: str):
        super().__init__(name)
        self.path, self.size = self._path_and_size()

    def scan(self) -> Listing:
        """The images of the set.

        Raises:
            Unusable: Files and lines that cannot be used; names them all.
            DataError: What is there is no such set.
        """
        raise NotImplementedError(f"{type(self).__name__} must say what is in it: scan(self)")

    def there(self, path: str) -> bool:
        """Whether a path is one of such a set."""
        raise NotImplementedError(f"{type(self).__name__} must say whether a path is one: there(self, path)")

    def info(self) -> DatasetInfo:
        """Looks at the disk: at the files' names, and at what is in them.

        Raises:
            DataError: As `scan`.
        """
        listing = self.scan()
        kind = self.form.partition(":")[0]
        # a set with copies is drawn otherwise than it once was
        copies = "; copies together" if listing.drawn and listing.groups else ""
        return DatasetInfo(
            name=self.name,
            num_classes=len(listing.class_names),
            image_size=self.size,
            train_images=len(listing.items) - len(listing.tested),
            test_images=len(listing.tested),
            digest=digest(f"{kind}: {listing.digest}; {self.size} pixels{copies}"),
            flips=True,
            class_names=listing.class_names,
            class_counts=listing.train_counts(),
            drawn_test=listing.drawn,
            citation=printable(f"the images in {self.path}"),
            where=printable(f"the {self.noun} {self.path}"),
        )

    def available(self, root: Path) -> bool:
        return self.there(os.fspath(self.path))

    def read(self, root: Path, fetch: bool = False) -> Source:
        """Every image RGB, of one size (see `pictures.decode`). Warns of what is left out.

        Raises:
            DataError: As `scan`; or images that cannot be read, each named with its place in the list.
        """
        listing = self.scan()
        listing.warn()
        return read(listing.top.resolve(), self.size, listing)

    def problems(self, root: Path) -> list[str]:
        for folder in (self.path, self.path.parent, self.path.resolve().parent):  # a list's images lie beside it
            contents.forget(folder)
        try:
            listing = self.scan()
        except Unusable as error:
            return list(error.sentences)
        listing.warn()
        return problems(listing.top, listing.items)

    def repair(self) -> str:
        return "replace or remove what is named"

    def _path_and_size(self) -> tuple[Path, int]:
        path, size = self.argument, IMAGE_SIZE
        match = re.fullmatch(r"(.+)@([0-9]+)", path, re.DOTALL)
        if match and not self.there(os.fspath(_expanded(path))):
            path, size = match.group(1), int(match.group(2)[:9])
        if not path:
            raise DataError(
                f"{self.name!r} names no {self.noun}; write {self.form}, or {self.form}@32 for images of 32 pixels"
            )
        if not 1 <= size <= LARGEST:
            raise DataError(
                f"{self.name!r} asks for images of {size} pixels, and there is no {self.noun} of that whole name; "
                f"images are read at 1 to {LARGEST} pixels, as in {self.form}@32"
            )
        return _expanded(path), size


def _expanded(path: str) -> Path:
    return Path(os.path.expanduser(path))  # noqa: PTH111 - Path.expanduser raises for the home of nobody


def listed(
    about: Path,
    top: Path,
    class_names: Sequence[str],
    train: Sequence[Item],
    test: Sequence[Item] | None,
    left_out: LeftOut,
    wrong: Sequence[str],
    *,
    identity: Callable[[Sequence[str]], str],
    labels: Sequence[Hashable | None] | None = None,
    where: Sequence[str] = (),
    others: bool = False,
) -> Listing:
    """The listing of images that were found: looks at what is in them, groups them, draws the test images.

    Args:
        about: What the images were found by, for a person.
        top: The folder that paths are relative to.
        class_names: As texts.
        train, test: Images of each part, by class; `test` is None where it is to be drawn from `train`.
        left_out: What is passed over; classes without a test image are added to it.
        wrong: Sentences on faults that were found before.
        identity: Makes the listing's digest from the files' digests.
        labels: Labels of the images of both parts; those of one label are of one group.
        where: Where each image stands in its list, to begin a sentence on it.
        others: As of `contents.digests`.

    Raises:
        Unusable: There are faults, those of `wrong` or files that cannot be read: all in one list. The images are
            decoded too then, so that those that are no images stand in it.
        DataError: No class can be tested.
    """
    items = (*train, *(test or ()))
    values = _contents(about, top, [item.path for item in items], wrong, where, others)
    targets = tuple(item.target for item in items)
    groups, tested = _parts(targets, tuple(values), None if labels is None else tuple(labels), len(train), test is None)
    if not tested:
        single = len(set(targets)) == len(targets)
        why = "one image, which is needed for training" if single else "images that must all stay together"
        raise DataError(f"each class in {about} has {why}; add images, or a test part")
    not_read = left_out.text(about)
    untested = sorted(set(range(len(class_names))) - {targets[place] for place in tested})
    if untested:
        left_out.sentences.append(
            f"{', '.join(repr(class_names[target]) for target in untested)} of the test set, for which "
            f"{'they have' if len(untested) > 1 else 'it has'} no image"
            + " that may be drawn"
            * (test is None and groups is not None)
        )
    same = [GROUP] * bool(labels and any(label is not None for label in labels))
    same += [COPIES] * (test is None and len(set(values)) < len(values))
    return Listing(
        digest=identity(values),
        top=top,
        class_names=tuple(class_names),
        items=items,
        contents=tuple(values),
        tested=tested,
        drawn=test is None,
        groups=groups,
        together=" or ".join(same) if groups else "",
        not_read=not_read,
        left_out=left_out.text(about),
    )


@functools.lru_cache(maxsize=4)
def _parts(
    targets: tuple[int, ...],
    values: tuple[str, ...],
    labels: tuple[Hashable | None, ...] | None,
    train: int,
    drawn: bool,
) -> tuple[tuple[int, ...] | None, tuple[int, ...]]:
    """The groups, and the places of the test images; files of the same content matter only where these are drawn."""
    import numpy as np

    from ltlib.datasets import holdout

    ways: list[Sequence[Hashable | None]] = [values] if drawn and len(set(values)) < len(values) else []
    ways += [labels] if labels is not None else []
    groups = holdout.together(*ways) if ways else None
    numbers = None if groups is None else tuple(groups.tolist())
    if not drawn:
        return numbers, tuple(range(train, len(targets)))
    aside = holdout.held_out(np.array(targets, np.int64), 0, groups=groups)
    return numbers, tuple(np.flatnonzero(aside).tolist())


def _contents(
    about: Path, top: Path, names: list[str], wrong: Sequence[str], where: Sequence[str], others: bool
) -> list[str]:
    """Digests of the files; where anything is wrong, all that is: what was found before, and of the files."""
    found = dict[int, str]()
    try:
        values = contents.digests(top, names, others=others)
        if not wrong:
            return values
    except Unusable as error:
        found = dict(zip(sorted(error.places), error.sentences, strict=True))
        values = contents.digests(top, [name for place, name in enumerate(names) if place not in found], others=others)
    found |= _no_images(top, tuple(names), tuple(values), frozenset(found))
    said = [f"{where[place]}: {found[place]}" if where else found[place] for place in sorted(found)]
    raise Unusable(about, [*dict.fromkeys(wrong), *said])  # a folder that is looked at twice is named once


@functools.lru_cache(maxsize=4)
def _no_images(path: Path, names: tuple[str, ...], values: tuple[str, ...], skip: frozenset[int]) -> dict[int, str]:
    """A sentence for each file that is no image; `values` stand for what is in the files, so they are read once."""
    from ltlib.datasets.pictures import undecodable

    return undecodable(path, names, IMAGE_SIZE, skip)


@functools.lru_cache(maxsize=1)
def read(top: Path, size: int, listing: Listing) -> Source:
    """The images of a listing, from the files below `top`. The last set read is kept; its pixels lie on the disk.

    Raises:
        DataError: Images that cannot be read, or have changed since they were listed.
    """
    import numpy as np

    from ltlib.datasets import drawn
    from ltlib.datasets.images import ImageSet, Source
    from ltlib.datasets.pictures import read_all

    images = read_all(top, [item.path for item in listing.items], size, listing.contents)
    targets = np.array([item.target for item in listing.items], np.int64)
    groups = None if listing.groups is None else np.array(listing.groups, np.int64)
    if listing.drawn:
        return drawn.draw(ImageSet(images, targets, listing.class_names), groups)
    cut = listing.tested[0]
    return Source(
        ImageSet(images[:cut], targets[:cut], listing.class_names),
        ImageSet(images[cut:], targets[cut:], listing.class_names),
        groups=None if groups is None else groups[:cut],
    )


def problems(path: Path, items: Sequence[Item]) -> list[str]:
    """Try to read every image; one sentence for each that cannot be."""
    from ltlib.datasets.pictures import undecodable

    found = undecodable(path, [item.path for item in items], IMAGE_SIZE)
    return [found[place] for place in sorted(found)]

"""The image files of a set, with those that cannot be used set aside instead of refusing all."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from ltlib.datasets import base, contents, splits
from ltlib.datasets.faults import Unusable
from ltlib.datasets.listing import LeftOut, class_files
from ltlib.datasets.own_files import Item, Listing, OwnFiles
from ltlib.errors import SettingError, printable


@dataclass(frozen=True)
class Files:
    """What there is to look at.

    Attributes:
        top: The folder that paths are relative to.
        class_names: Names of the classes.
        items: The images.
        contents: SHA-256 of each image's file.
        tested: Whether each is a test image; of a drawn set those of seed 0.
        drawn: Whether the set has no test part of its own.
        faults: A sentence for each thing that is not among the images because it cannot be read.
        left_out: A sentence on what is passed over, or None.
    """

    top: Path
    class_names: tuple[str, ...]
    items: tuple[Item, ...]
    contents: tuple[str, ...]
    tested: tuple[bool, ...]
    drawn: bool
    faults: tuple[str, ...] = ()
    left_out: str | None = None


def of(name: str) -> Files:
    """The files of a set of one's own.

    Raises:
        SettingError: A set that is no folder or list of one's own.
        Unusable: A list of images with faults; names them all.
        DataError: As the set's `scan`.
    """
    found = base.builder(name)
    if not isinstance(found, OwnFiles):
        raise SettingError(f"{name} is no set of one's own; look at folder:PATH or csv:FILE")
    try:
        listing = found.scan()
    except Unusable as error:
        if not found.path.is_dir():
            raise
        return _rest(found.path, error.sentences)
    return _files(listing)


def _files(listing: Listing) -> Files:
    tested = set(listing.tested)
    return Files(
        top=listing.top,
        class_names=listing.class_names,
        items=listing.items,
        contents=listing.contents,
        tested=tuple(place in tested for place in range(len(listing.items))),
        drawn=listing.drawn,
        left_out=listing.left_out,
    )


def _rest(top: Path, sentences: Collection[str]) -> Files:
    """What a folder with faults holds besides them; its images are not drawn, so none is a test image then."""
    wrong, left_out = list[str](), LeftOut()
    split = splits.find(top, wrong)
    train = class_files(top, split.train, left_out, wrong)
    names = [name for name, files in train.items() if files]
    target = {name: place for place, name in enumerate(names)}
    items = [Item(path, target[name]) for name in names for path in train[name]]
    test = {} if split.test is None else class_files(top, split.test, left_out, wrong)
    cut = len(items)
    items += [Item(path, target[name]) for name in names for path in test.get(name, ())]
    bad: Collection[int] = ()
    try:
        contents.digests(top, [item.path for item in items])
    except Unusable as error:
        bad = error.places
    good = [place for place in range(len(items)) if place not in bad]
    kept = [items[place] for place in good]
    return Files(
        top=top,
        class_names=tuple(map(printable, names)),
        items=tuple(kept),
        contents=tuple(contents.digests(top, [item.path for item in kept])),
        tested=tuple(place >= cut for place in good),
        drawn=split.test is None,
        faults=tuple(sentences),
        left_out=left_out.text(top),
    )

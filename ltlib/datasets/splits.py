"""Which folders of an image set are its training and its test images, by the names people give them.

``train`` beside ``test``, else beside ``val``; in any case and in the usual other forms: ``Training``, ``testing``,
``valid``, ``validation``, ``test_set``, ``seg_train``. A folder of such a name is a split where it holds folders; one
that holds images itself may be a class.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ltlib.datasets.listing import folders_in, has_image, images_in
from ltlib.errors import DataError

_WORDS = {
    "train": "train|training|trn",
    "test": "test|testing|tests|tst|eval|evaluation",
    "val": "val|valid|validation|vald|dev|development",
}
_SPLIT = {
    kind: re.compile(rf"(?:seg|my)?(?:{words})(?:set|sets|data|dataset|images?|imgs?|split|folder)?")
    for kind, words in _WORDS.items()
}


def kind_of(name: str) -> str | None:
    """``train``, ``test`` or ``val`` for a folder called as a split usually is, else None."""
    letters = re.sub(r"[\W\d_]+", "", name.casefold())
    return next((kind for kind, form in _SPLIT.items() if form.fullmatch(letters)), None)


@dataclass(frozen=True)
class Split:
    """Where the class folders lie.

    Attributes:
        train: Folder of the training images' class folders.
        test: The same of the test images; None where they are to be taken from the training images.
        left_out: A sentence for each folder that holds images and is not used.
    """

    train: Path
    test: Path | None = None
    left_out: tuple[str, ...] = ()


def find(top: Path, wrong: list[str] | None = None) -> Split:
    """Look for training and test folders in the folder of a set.

    Args:
        top: The folder.
        wrong: Gets a sentence for each thing in the way, as of `listing.class_files`; without it the first is raised.

    Raises:
        DataError: Two folders that could be the same part, a test folder without a training folder, training folders
            beside one that is neither; the sentence names them.
        OSError: A folder cannot be listed.
    """
    names = folders_in(top, wrong)
    parts: dict[str, list[str]] = {"train": [], "test": [], "val": []}
    for name in names:
        kind = kind_of(name)
        if kind is not None and folders_in(top / name, wrong):
            parts[kind].append(name)
    if sum(map(bool, parts.values())) == 1:  # a class that happens to be called train has images of its own
        parts = {kind: [name for name in found if not images_in(top / name, wrong)] for kind, found in parts.items()}
    if not any(parts.values()):
        flat = [name for name in names if kind_of(name) is not None and images_in(top / name, wrong)]
        if len(flat) > 1 and flat == names:
            raise DataError(
                f"{top} holds {_and(flat)} with images directly in them, which says nothing of classes; "
                "put the images of each class in a folder of its own, in each of them"
            )
        return Split(top)
    for found in parts.values():
        if len(found) > 1:
            raise DataError(f"{top} holds {_and(found)}, which mean the same; keep one or rename the other")
    if not parts["train"]:
        only = (parts["test"] + parts["val"])[0]
        raise DataError(
            f"{top / only} holds folders, as a part of a set does, and no training folder lies beside it; "
            f"put the training images' class folders in {top / 'train'}, or rename {only} if it is a class"
        )
    used = [parts["train"][0], *(parts["test"] or parts["val"])]
    unused = [name for name in names if name not in used and has_image(top / name, wrong)]
    unknown = [name for name in unused if kind_of(name) is None]
    if unknown and len(used) == 1:
        raise DataError(
            f"{top} holds {used[0]}, a training folder, and {_and(unknown)} with images that belong to neither "
            f"training nor test; call the test folder test, move the others out, or rename {used[0]} if it is a class"
        )
    return Split(
        _inner(top / used[0], wrong),
        _inner(top / used[1], wrong) if len(used) > 1 else None,
        tuple(f"the images in {top / name} are not used: {_why(top / name, used)}" for name in unused),
    )


def _why(folder: Path, used: Sequence[str]) -> str:
    if len(used) == 1:
        return "they lie in no class folders"
    return f"{used[0]} is the training set and {used[1]} the test set"


def _inner(folder: Path, wrong: list[str] | None) -> Path:
    """``seg_train/seg_train``: archives often hold a part's folder twice."""
    inner = folders_in(folder, wrong)
    if len(inner) == 1 and kind_of(inner[0]) == kind_of(folder.name) and not images_in(folder, wrong):
        return _inner(folder / inner[0], wrong) if folders_in(folder / inner[0], wrong) else folder
    return folder


def _and(names: Sequence[str]) -> str:
    return " and ".join((", ".join(names[:-1]), names[-1])) if len(names) > 1 else "".join(names)

"""Copies of images: exact ones and near ones, within a class, across classes, between training and test."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ltlib.audit import crops, extra, hashes, kept
from ltlib.audit.findings import Finding, Severity, counted, named
from ltlib.audit.links import EXACT, HOWS, Forest, groups_of, same
from ltlib.audit.measures import Rows

_VERSION = 1  # bumped where other images are joined: what an older one found is not used


def forest(rows: Rows, parts: bool = True) -> Forest:
    """All that joins images; kept by what is in them, for it takes time that grows with the square of their number.

    Args:
        rows: Of each image.
        parts: Whether images that are a part of another are looked for, which takes longest.
    """
    key = f"links {_VERSION}; {extra.versions('imagehash')}; {parts}; {rows['content'].tolist()}"
    before = kept.load(key, np.dtype(np.float64), 3)
    if before is not None:
        return Forest(len(rows), before)
    found = Forest(len(rows))
    found.add("file", same(rows["content"]))
    found.add("pixels", same(rows["pixels"]))
    if extra.library("imagehash") is not None:
        shaped = np.flatnonzero(_deviation(rows["tiny"]) >= hashes.FLAT)
        for how, others in (("near", rows["hash"]), ("mirrored", rows["mirrored"])):
            for pairs, apart in hashes.pairs(rows["hash"][shaped], others[shaped]):
                found.add(how, shaped[pairs], apart)
    large = np.flatnonzero(np.minimum(rows["width"], rows["height"]) >= crops.SMALLEST)
    if parts and 1 < len(large) <= crops.MOST:
        joined = crops.find(rows["tiny"][large], found.groups()[large], key)
        pairs = np.array([(large[part.part], large[part.whole]) for part in joined], np.int64).reshape(-1, 2)
        found.add("crop", pairs, 1 - np.array([part.details for part in joined]))
    kept.save(key, found.thinned())
    return found


def findings(
    found: Forest,
    files: Sequence[str],
    targets: Sequence[int],
    tested: Sequence[bool],
    names: Sequence[str],
    drawn: bool,
) -> Iterator[Finding]:
    """What the links mean.

    Args:
        found: The links.
        files: Paths of the images.
        targets: Their classes.
        tested: Whether each is a test image.
        names: Of the classes.
        drawn: Whether the test images are drawn from the others.
    """
    same_picture = found.groups(HOWS[:EXACT])
    exact = groups_of(same_picture)
    near = [group for group in groups_of(found.groups()) if len(set(same_picture[group].tolist())) > 1]
    set_of = _Set(files, np.array(targets, np.int64), np.array(tested, bool), names, drawn)
    for groups, kind in ((exact, EXACTLY), (near, NEARLY)):
        if groups:
            yield from _conflicts(groups, kind, set_of)
            yield from _leaks(groups, kind, set_of)
            yield _copies(groups, kind, set_of)


@dataclass(frozen=True)
class _Set:
    files: Sequence[str]
    targets: NDArray[np.int64]
    tested: NDArray[np.bool_]
    names: Sequence[str]
    drawn: bool

    def paths(self, groups: Sequence[NDArray[np.int64]]) -> tuple[tuple[str, ...], ...]:
        """Files of each group."""
        return tuple(tuple(self.files[place] for place in group.tolist()) for group in groups)


@dataclass(frozen=True)
class _Kind:
    """How sentences and severities differ between exact and near copies."""

    prefix: str
    noun: str
    conflict: Severity
    conflict_helps: str
    leak: Severity
    copies: Severity
    copies_help: str


EXACTLY = _Kind(
    "",
    "copies",
    "error",
    "one label is wrong at least: keep the right one",
    "error",
    "warning",
    "delete all but one of each group, they count more than once",
)
NEARLY = _Kind(
    "near_",
    "near duplicates",
    "warning",
    "look whether a label is wrong, or whether two classes hold the same pictures and should be one",
    "warning",
    "note",
    "keep those of a group on one side of every split",
)


def _conflicts(groups: list[NDArray[np.int64]], kind: _Kind, of: _Set) -> Iterator[Finding]:
    torn = [group for group in groups if len(set(of.targets[group].tolist())) > 1]
    if not torn:
        return
    between = Counter(tuple(sorted({of.names[target] for target in of.targets[group].tolist()})) for group in torn)
    most, times = min(between.items(), key=lambda item: (-item[1], item[0]))
    paths = of.paths(torn)
    yield Finding(
        f"{kind.prefix}label_conflict",
        kind.conflict,
        len(torn),
        _flat(paths),
        f"{counted(len(torn), 'group')} of {kind.noun} with several labels, most of them {' and '.join(most)} "
        f"({times:,}), such as {named(paths[0])}; {kind.conflict_helps}.",
        paths,
    )


def _leaks(groups: list[NDArray[np.int64]], kind: _Kind, of: _Set) -> Iterator[Finding]:
    torn = [group for group in groups if 0 < of.tested[group].sum() < len(group)]
    if not torn:
        return
    paths = of.paths(torn)
    tested = sum(int(of.tested[group].sum()) for group in torn)
    if of.drawn:
        where = f"on both sides of a test set drawn image by image ({tested:,} of its images, with seed 0)"
        helps = "draw groups whole"
    else:
        where = f"both in training and in test ({tested:,} of {int(of.tested.sum()):,} test images)"
        helps = "scores on them say nothing of new images: remove them from one side"
    yield Finding(
        f"{kind.prefix}leak",
        "warning" if of.drawn else kind.leak,
        len(torn),
        _flat(paths),
        f"{counted(len(torn), 'group')} of {kind.noun} {where}, such as {named(paths[0])}; {helps}.",
        paths,
    )


def _copies(groups: list[NDArray[np.int64]], kind: _Kind, of: _Set) -> Finding:
    paths = of.paths(groups)
    largest = max(paths, key=len)
    return Finding(
        f"{kind.prefix}duplicates",
        kind.copies,
        len(groups),
        _flat(paths),
        f"{counted(len(groups), 'group')} of {kind.noun} ({counted(sum(map(len, paths)), 'image')}, the largest group "
        f"{len(largest):,}: {named(largest)}); {kind.copies_help}.",
        paths,
    )


def _flat(paths: tuple[tuple[str, ...], ...]) -> tuple[str, ...]:
    return tuple(path for group in paths for path in group)


def _deviation(tiny: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Standard deviation of each image's grey values."""
    return tiny.mean(-1, dtype=np.float32).reshape(len(tiny), -1).std(1).astype(np.float64)

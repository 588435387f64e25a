"""The whole of an audit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from ltlib.audit import classes, copies, crops, extra, files, measures, quality
from ltlib.audit.findings import NAMED, SEVERITIES, Audit, Finding, counted, named
from ltlib.errors import printable

_SAID = {
    "dark": "are dark",
    "bright": "are bright all over",
    "blurred": "are blurred",
    "low_information": "are nearly empty",
    "odd_shape": "are much longer than wide, or wider than long",
    "odd_size": "are of another size than most",
}
_UNNAMED = "the name of {} is not in UTF-8, so no list can name it; rename the file or its folder"


def look(name: str, *, parts: bool = True) -> Audit:
    """Look at what is in a set of one's own, before anything is trained.

    Every file is read once; what was measured is kept by the files' contents in ``cache/audit`` of the reports folder,
    so a second look takes no time, and one that was ended goes on.

    Args:
        name: ``folder:PATH`` or ``csv:FILE``.
        parts: Whether to look for images that are cut out of others, which takes longest: the time grows with the
            square of their number.

    Raises:
        SettingError: Another set.
        DataError: There is no such set, or nothing in it can be looked at.
    """
    found = files.of(name)
    paths = [item.path for item in found.items]
    rows, broken = measures.measure(found.top, paths, found.contents)
    broken |= {place: _UNNAMED.format(printable(path)) for place, path in enumerate(paths) if printable(path) != path}
    good = [place for place in range(len(paths)) if place not in broken]
    names = tuple(printable(paths[place]) for place in good)
    targets = tuple(found.items[place].target for place in good)
    tested = tuple(found.tested[place] for place in good)
    rows = rows[good]
    forest = copies.forest(rows, parts)
    counts = np.bincount(targets, minlength=len(found.class_names))
    on_test = np.bincount(np.array(targets, np.int64)[np.array(tested, bool)], minlength=len(found.class_names))
    trained = counts if found.drawn else counts - on_test
    everything = [
        *_unreadable(found, {paths[place]: sentence for place, sentence in broken.items()}),
        *classes.findings(found.class_names, trained.tolist(), on_test.tolist(), found.drawn),
        *copies.findings(forest, names, targets, tested, found.class_names, found.drawn),
        *_sizes(rows),
        *_quality(rows, names),
        *_not_looked_for(len(rows), parts),
    ]
    return Audit(
        name=name,
        class_names=found.class_names,
        files=names,
        targets=targets,
        tested=tested,
        drawn=found.drawn,
        sizes=tuple(zip(rows["width"].tolist(), rows["height"].tolist(), strict=True)),
        groups=tuple(forest.groups().tolist()),
        links=tuple(forest.links()),
        findings=tuple(sorted(everything, key=lambda finding: SEVERITIES.index(finding.severity))),
    )


def _unreadable(found: files.Files, broken: Mapping[str, str]) -> Iterator[Finding]:
    """What cannot be used. `broken`: a sentence for each file that is no image, by its path."""
    again = tuple(f" {found.top / path}, " for path in broken)  # which the set's own scan may have named too
    said = [sentence for sentence in found.faults if not any(path in sentence for path in again)]
    said += broken.values()
    if said:
        yield Finding(
            "broken",
            "error",
            len(said),
            tuple(map(printable, broken)),
            f"{counted(len(said), 'file or folder', 'files and folders')} cannot be used: {'; '.join(said[:NAMED])}"
            f"{f'; and {len(said) - NAMED:,} more' * (len(said) > NAMED)}.",
            groups=tuple((sentence,) for sentence in said),
        )
    if found.left_out:
        yield Finding("left_out", "warning", 1, (), f"{found.left_out}.")


def _sizes(rows: measures.Rows) -> Iterator[Finding]:
    if not len(rows):
        return
    shorter = np.minimum(rows["width"], rows["height"])
    ratio = np.maximum(rows["width"], rows["height"]) / shorter
    different = len(np.unique(np.column_stack([rows["width"], rows["height"]]), axis=0))
    text = (
        f"All images are {rows['width'][0]} x {rows['height'][0]} pixels."
        if different == 1
        else f"The shorter side has {shorter.min():,} to {shorter.max():,} pixels, half of the images at most "
        f"{np.median(shorter):,.0f}; the longer is up to {ratio.max():.2g} times as long. The middle square is read."
    )
    yield Finding("sizes", "note", different, (), text)


def _quality(rows: measures.Rows, names: Sequence[str]) -> Iterator[Finding]:
    for kind, mask in quality.found(rows["raw"]).items():
        places = np.flatnonzero(mask).tolist()
        if not places:
            continue
        chosen = tuple(names[place] for place in places)
        if len(places) > quality.PREVALENT * len(rows):
            text = f"{len(places):,} of {len(rows):,} images {_SAID[kind]}: so does this set look, no fault of some."
            yield Finding(kind, "note", len(places), chosen, text)
        else:
            yield Finding(
                kind,
                "warning",
                len(places),
                chosen,
                f"{counted(len(places), 'image')} {_SAID[kind] if len(places) > 1 else _one(kind)} ({named(chosen)}); "
                "look whether the class can be seen, and remove those where it cannot.",
            )


def _one(kind: str) -> str:
    return _SAID[kind].replace("are", "is", 1)


def _not_looked_for(count: int, parts: bool) -> Iterator[Finding]:
    missing = []
    if extra.library("imagehash") is None:
        missing.append("near duplicates")
    if extra.library("cleanvision") is None:
        missing.append("dark, bright, blurred and empty images, odd sizes and shapes")
    if missing:
        text = f"Not looked for: {' and '.join(missing)}; get what finds them with {extra.HOW}."
        yield Finding("not_looked_for", "warning", len(missing), (), text)
    if not parts or count > crops.MOST:
        why = "as was asked" if not parts else f"of which there are more than {crops.MOST:,}"
        text = f"Images cut out of other images were not looked for, {why}."
        yield Finding("not_looked_for", "note", 1, (), text)

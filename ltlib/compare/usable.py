"""The images of a set that can be used, as a list of their own: what an audit found is left out or kept together.

A comparison trains on the list and not on the folder, so one broken file does not end it, and near duplicates, which
only an audit sees, are never on both sides of a split.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path

from ltlib.audit import Audit, files, look
from ltlib.errors import DataError
from ltlib.files import digest, write_text
from ltlib.places import reports_folder


def of(path: str, *, parts: bool = True) -> tuple[Audit, Path]:
    """Look at a set, and write the list of its usable images.

    Args:
        path: A folder of class folders, or a CSV file of paths and labels.
        parts: As of `audit.look`.

    Returns:
        What was found, and the list: a CSV file with the columns path, label, group and, for a set with a test part of
        its own, split. The same images and groups always give the same file.

    Raises:
        DataError: There is no such set, or fewer than two of its classes can be used.
    """
    name = f"csv:{path}" if path.lower().endswith(".csv") else f"folder:{path.rstrip('/')}/"
    audit = look(name, parts=parts)
    present = [label for label, count in zip(audit.class_names, audit.train_counts, strict=True) if count]
    if len(present) < 2:
        raise DataError(f"{path} has {len(present)} class(es) with images to train on; at least two are needed")
    text = _text(audit, files.of(name).top.resolve())
    place = reports_folder() / "own" / "lists" / f"{digest(text)[:12]}.csv"
    write_text(place, text)
    return audit, place


def _text(audit: Audit, top: Path) -> str:
    stream = io.StringIO()
    rows = csv.writer(stream, lineterminator="\n")
    rows.writerow(["path", "label", "group"] + ([] if audit.drawn else ["split"]))
    sizes: dict[int, int] = {}
    for group in audit.groups:
        sizes[group] = sizes.get(group, 0) + 1
    for file, target, group, tested in zip(audit.files, audit.targets, audit.groups, audit.tested, strict=True):
        together = f"copies {group}" if sizes[group] > 1 else ""
        part = [] if audit.drawn else ["test" if tested else "train"]
        rows.writerow([str(top / file), audit.class_names[target], together, *part])
    return stream.getvalue()

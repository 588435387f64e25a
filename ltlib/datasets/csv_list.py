"""A list of image files of your own: a CSV file that says where each image is and of which class.

The first line names the columns: ``path`` and ``label``; ``split`` (train, test or val, in any of the forms of
`splits.kind_of`) and ``group`` (a patient, a shot, an animal: images of one group are never trained on and tested both)
where there are such; others are not read. Columns are parted by commas, semicolons or tabs; UTF-8. Paths are relative
to the file's folder, or absolute. Classes are in plain sorted order of their labels, images in that of the lines.
What identifies the set is what the images hold, in their order, with labels, splits and groups: not their paths.
"""

from __future__ import annotations

import csv
import io
import os
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ltlib.datasets import splits
from ltlib.datasets.base import DATASETS
from ltlib.datasets.faults import Unusable
from ltlib.datasets.listing import LeftOut
from ltlib.datasets.own_files import Item, Listing, OwnFiles, listed
from ltlib.errors import DataError
from ltlib.files import canonical_json, digest

COLUMNS = ("path", "label", "split", "group")
_MORE = "write path,label as its first line, and then a line for each image"


@DATASETS.register("csv:FILE", source="ours")
class CsvList(OwnFiles):
    """A CSV file of your own with the columns path and label, as split and group are understood; ``csv:FILE@32`` reads
    its images at 32 pixels instead of 64.
    """

    form = "csv:FILE"
    noun = "file"

    def scan(self) -> Listing:
        return scan(self.path)

    def there(self, path: str) -> bool:
        return os.path.isfile(path)  # noqa: PTH113 - Path.is_file raises where the way is barred


@dataclass
class _Row:
    """One image of the list; `line` is counted from 1."""

    line: int
    path: str
    label: str
    split: str | None
    group: str | None


def scan(file: Path) -> Listing:
    """Read the list, and look at what is in the images.

    Raises:
        Unusable: Lines that cannot be used, files that are missing or no images; names them all.
        DataError: No such list: other columns, no line, fewer than two classes, no training image.
    """
    text = _text(file)
    said = _kept.get(file)
    if said is None or said.text != text:  # what a list says is the same until it is another list
        said = _said(file, text)
        _kept.clear()
        if said.sound:
            _kept[file] = said
    try:
        return listed(
            file,
            said.top,
            said.names,
            said.train,
            said.test,
            LeftOut(sentences=list(said.left_out)),
            said.wrong,
            identity=lambda values: digest(canonical_json([said.names, said.test is None, [*values], said.told])),
            labels=said.groups if any(said.groups) else None,
            where=[f"line {line}" for line in said.lines],
            others=True,
        )
    except Unusable:
        _kept.clear()  # images may lie elsewhere now
        raise


@dataclass(frozen=True)
class _Said:
    """What a list says.

    Attributes:
        text: All of it.
        top: The folder that paths are relative to.
        names: Labels, sorted.
        train, test: Images by label, then by line; `test` is None where it is to be drawn.
        groups, lines: Of each image of both parts, its group and its line.
        told: Of each image what the list says of it, its path left out.
        left_out, wrong: Sentences on lines that are left out, and on faults.
        sound: Whether there are no faults, and every image is there.
    """

    text: str
    top: Path
    names: list[str]
    train: list[Item]
    test: list[Item] | None
    groups: list[str | None]
    lines: list[int]
    told: list[list[Any]]
    left_out: list[str]
    wrong: list[str]
    sound: bool


_kept: dict[Path, _Said] = {}


def _said(file: Path, text: str) -> _Said:
    wrong, left_out = list[str](), list[str]()
    rows = _rows(file, text, wrong)
    top, all_there = _find(file, rows)
    train, test = _parts(file, _once(top, rows, left_out, wrong), left_out, wrong)
    every = [*train, *(test or ())]
    names = sorted({row.label for row in every})
    if len(names) < 2 and not wrong:
        raise DataError(f"{file} has {names[0]!r} as its only label; at least two classes are needed")
    number = {name: target for target, name in enumerate(names)}
    items = [Item(row.path, number[row.label]) for row in every]
    return _Said(
        text=text,
        top=top,
        names=names,
        train=items[: len(train)],
        test=None if test is None else items[len(train) :],
        groups=[row.group for row in every],
        lines=[row.line for row in every],
        told=[[number[row.label], place >= len(train), row.group] for place, row in enumerate(every)],
        left_out=left_out,
        wrong=wrong,
        sound=all_there and not wrong,
    )


def _rows(file: Path, text: str, wrong: list[str]) -> list[_Row]:
    """The lines that name an image and its class; a sentence on each that does not goes to `wrong`.

    Raises:
        DataError: It is no CSV, or has no such columns or no line.
    """
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text), strict=True)
    rows, columns, width, last = list[_Row](), dict[str, int](), 0, 0
    try:
        for fields in reader:
            line, last = last + 1, reader.line_num
            if not any(map(str.strip, fields)):
                continue
            if not columns:
                columns, width = _columns(file, fields), len(fields)
                continue
            said = {name: fields[place] if place < len(fields) else "" for name, place in columns.items()}
            label = unicodedata.normalize("NFC", " ".join(said["label"].split()))
            fault = _fault(fields, width, said["path"], label)
            if fault:
                wrong.append(f"line {line} {fault}")
                continue
            split, group = (said.get(name, "").strip() or None for name in COLUMNS[2:])
            rows.append(_Row(line, said["path"], label, split, group))
    except csv.Error as error:
        raise DataError(
            f"{file} cannot be read as CSV, near line {reader.line_num} ({error}); mend that line"
        ) from None
    if not rows and not wrong:
        raise DataError(f"{file} lists no image; {_MORE}")
    return rows


def _fault(fields: Sequence[str], width: int, path: str, label: str) -> str:
    if any(map(str.strip, fields[width:])):
        return f"has {len(fields)} fields for {width} columns; a label with a comma is written in quotes"
    if not path.strip() or "\0" in path:
        return "names no image; write its path, or remove the line"
    return "" if label else f"({path}) has no label; write one, or remove the line"


def _text(file: Path) -> str:
    helps = "give a CSV file with the columns path and label"
    try:
        return file.read_bytes().decode("utf-8-sig")
    except IsADirectoryError:
        raise DataError(f"{file} is a folder; read it with folder:{file}, or {helps}") from None
    except FileNotFoundError:
        place = Path(os.path.abspath(file))  # noqa: PTH100 - without following links
        if place.is_symlink():
            raise DataError(f"{place} is a link to {place.readlink()}, which is not there; restore that") from None
        near = next(parent for parent in place.parents if parent.is_dir())
        raise DataError(f"{place} is not there; {helps} (the nearest folder that exists is {near})") from None
    except OSError as error:
        raise DataError(f"{file} cannot be read ({error.strerror or error}); make it readable") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{file} is no text in UTF-8 (byte {error.start}); save it as CSV in UTF-8") from None


def _delimiter(text: str) -> str:
    """What parts the columns: whatever gives the first line most of ours."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    return max(",;\t", key=lambda mark: len({_name(field) for field in first.split(mark)} & {*COLUMNS}))


def _name(field: str) -> str:
    return field.strip().strip('"').strip().casefold()


def _columns(file: Path, fields: Sequence[str]) -> dict[str, int]:
    """Where each of our columns is.

    Raises:
        DataError: One is missing, or there twice.
    """
    names = list(map(_name, fields))
    there = ", ".join(repr(field.strip()) for field in fields[:8]) + ", ..." * (len(fields) > 8)
    for name in COLUMNS:
        if names.count(name) > 1:
            raise DataError(f"{file} has the column {name} twice ({there}); keep one")
    missing = [name for name in COLUMNS[:2] if name not in names]
    if missing:
        raise DataError(f"{file} has no column {' and no column '.join(missing)}, its first line is {there}; {_MORE}")
    return {name: names.index(name) for name in COLUMNS if name in names}


def _find(file: Path, rows: Sequence[_Row]) -> tuple[Path, bool]:
    """The folder that paths are relative to, and whether all are there; gives each row its path as it is written there.

    The list may be a link: its images lie beside the link, or else beside the file that it leads to. Lists made on
    Windows part folders by a backslash, and a space before a separator is no part of a name.
    """
    top = file.parent
    if file.is_symlink() and rows and not any(os.path.lexists(top / row.path) for row in rows[:100]):
        top = file.resolve().parent
    all_there = True
    for row in rows:
        forms = (row.path, row.path.strip(), row.path.strip().replace("\\", "/"))
        found = next((form for form in forms if os.path.lexists(os.path.join(top, form))), None)  # noqa: PTH118
        row.path, all_there = found or row.path, all_there and found is not None
    return top, all_there


def _once(top: Path, rows: Sequence[_Row], left_out: list[str], wrong: list[str]) -> list[_Row]:
    """Each image once: a line that says what another says is left out, one that says otherwise is a fault."""
    first, again = dict[str, _Row](), list[_Row]()
    for row in rows:
        before = first.setdefault(os.path.normpath(os.path.join(top, row.path)), row)  # noqa: PTH118
        if before is row:
            continue
        if before.label != row.label:
            wrong.append(
                f"line {row.line} gives {row.path} the label {row.label!r}, line {before.line} gives it "
                f"{before.label!r}; keep one of them"
            )
        elif (before.split, before.group) != (row.split, row.group):
            wrong.append(
                f"line {row.line} gives {row.path} another split or group than line {before.line}; keep one of them"
            )
        else:
            again.append(row)
    if again:
        lines = f"{len(again)} lines that repeat others" if len(again) > 1 else "1 line that repeats another"
        left_out.append(f"{lines} (such as line {again[0].line}, {again[0].path})")
    return list(first.values())


def _parts(
    file: Path, rows: Sequence[_Row], left_out: list[str], wrong: list[str]
) -> tuple[list[_Row], list[_Row] | None]:
    """Training and test images, each by label and then by line; no test images where they are to be drawn."""
    parts: dict[str, list[_Row]] = {"train": [], "test": [], "val": []}
    told = any(row.split for row in rows)
    for row in sorted(rows, key=lambda row: row.label):
        kind = splits.kind_of(row.split or "")
        if told and kind is None:
            has = f"the split {row.split!r}" if row.split else "no split, which other lines have"
            wrong.append(f"line {row.line} ({row.path}) has {has}; write train, test or val")
        parts[kind or "train"].append(row)
    train, test = parts["train"], parts["test"] or parts["val"]
    if rows and not train:
        raise DataError(f"{file} has no image to train on: no line has the split train; give some lines that split")
    if parts["test"] and parts["val"]:
        left_out.append(
            f"{len(parts['val'])} images of the split val: those of train are trained on and those of test tested"
        )
    if not test:
        return train, None
    known, sides = {row.label for row in train}, {row.group: row for row in train if row.group}
    for label in sorted({row.label for row in test} - known):
        wrong.append(f"the label {label!r} is tested and no training image has it; add some, or remove it")
    for group, row in {row.group: row for row in test if row.group in sides}.items():
        wrong.append(
            f"the group {group!r} is trained on (line {sides[group].line}) and tested (line {row.line}); "
            "give all of it one split"
        )
    return train, test

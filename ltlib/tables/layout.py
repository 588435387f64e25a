"""A comparison in its document's shape: which labels go down and across, the records of each cell, who is best."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ltlib.errors import UnknownName
from ltlib.labels import label, set_label
from ltlib.tables.scores import CLOSE, LOWER_IS_BETTER, told_apart

if TYPE_CHECKING:
    import pandas as pd

Key = tuple[str, ...]
Record = dict[Hashable, Any]
_ROWS = {("awabs", "4.1"): ("imbalance", "method"), ("cefl", "5"): ("split", "method")}
_ACROSS = ("dataset", "model", "method", "imbalance", "train_set", "stage", "split", "metric")
_RIVALS = 3
"""Different values from which a second best is told: of two the second is the worst."""


@dataclass(frozen=True)
class Layout:
    """A comparison in its document's shape: labels of rows and columns, and the records of each cell."""

    row_names: Key
    rows: list[Key]
    columns: list[Key]
    cells: dict[tuple[Key, Key], list[Record]]
    ranks: dict[tuple[int, str], int]  # (id of a record, "published" or "reproduced") -> 1 best, 2 second


def is_comparison(frame: pd.DataFrame) -> bool:
    """Whether a frame comes from `tables.compare`."""
    return {"published", "reproduced", "verdict", "printed"} <= set(frame.columns)


def layout(frame: pd.DataFrame) -> Layout:
    """Arrange a comparison: what varies is a label; methods (and networks) go down, the rest across."""
    records = frame.to_dict("records")
    varies = [name for name in _ACROSS if len({_told(record, name) for record in records}) > 1]
    bare = [name for name in varies if name != "train_set"]
    if len({tuple(_label(r, n) for n in bare) for r in records}) == len(
        {tuple(_label(r, n) for n in varies) for r in records}
    ):
        varies = bare  # an imbalance of 1 says balanced
    first = (str(frame["document"].iloc[0]), str(frame["table"].iloc[0]))
    down: Key = _ROWS.get(first) or tuple(name for name in ("model", "method") if name in varies)
    if not down:
        down = tuple(name for name in ("dataset", "imbalance") if name in varies) or ("method",)
    across: Key = (*(name for name in varies if name not in down and name != "metric"), "metric")
    cells: dict[tuple[Key, Key], list[Record]] = {}
    groups: dict[tuple[Key, Key], list[Record]] = {}
    for record in records:
        row = tuple(_label(record, name) for name in down)
        column = tuple(_label(record, name) for name in across)
        cells.setdefault((row, column), []).append(record)
        rivals = tuple(_label(record, name) for name in down if name != "method")
        groups.setdefault((rivals, column), []).append(record)
    # A printed column group stays together: order by where each label first appears, level by level.
    seen = [list(dict.fromkeys(_label(record, name) for record in records)) for name in across]
    columns = sorted({c for _, c in cells}, key=lambda c: [seen[i].index(part) for i, part in enumerate(c)])
    return Layout(down, list(dict.fromkeys(row for row, _ in cells)), columns, cells, _ranks(groups.values()))


def _ranks(groups: Iterable[Sequence[Record]]) -> dict[tuple[int, str], int]:
    """Best and second best record of each group of rivals, where that means something.

    Equal values share a rank; sizes are not ranked. Of ours nothing is ranked before what the runs do not tell apart
    from it, and of two values none is the second.
    """
    ranks: dict[tuple[int, str], int] = {}
    for group in groups:
        metric = str(group[0]["metric"])
        if metric == "count" or len({record["method"] for record in group}) < 2:
            continue
        for column in ("published", "reproduced"):
            known = [record for record in group if not math.isnan(record[column])]
            values = sorted({record[column] for record in known}, reverse=metric not in LOWER_IS_BETTER)
            for place in range(2 if len(values) >= _RIVALS else min(1, len(values) - 1)):
                better, next_ = values[place : place + 2]
                n = min((record["n"] for record in known if record[column] in (better, next_)), default=0)
                if column == "reproduced" and metric in CLOSE and not told_apart(better, next_, n, metric):
                    break
                ranks |= {(id(record), column): place + 1 for record in known if record[column] == better}
    return ranks


def spans(shape: Layout, level: int) -> list[tuple[str, int]]:
    """Labels of one header level with the number of columns each covers."""
    found: list[tuple[str, int]] = []
    before: Key | None = None
    for column in shape.columns:
        prefix = column[: level + 1]
        if prefix == before and level < len(column) - 1:
            found[-1] = (found[-1][0], found[-1][1] + 1)
        else:
            found.append((column[level], 1))
        before = prefix
    return found


def _label(record: Record, name: str) -> str:
    value = record[name]
    if name == "imbalance":
        value = _factor(record)
        return f"IF {value:g}" if not math.isnan(value) else ("mean" if str(record["note"]).startswith("mean") else "")
    if name == "stage":
        return f"stage {value}" if value else ""
    if name == "metric":
        return label(value) + {"percent": " (%)", "nats": " (nats)"}.get(str(record["unit"]), "")
    if name == "dataset":
        return set_label(str(value), _factor(record))
    if name in ("method", "split"):
        return _called(str(record["document"]), name, str(value))
    return label(str(value))


def _told(record: Record, name: str) -> str:
    """The label that tells records apart; a set and its long tail are told apart by the imbalance."""
    return str(record[name]) if name == "dataset" else _label(record, name)


def _factor(record: Record) -> float:
    return float(record["imbalance"] or "nan")


def _called(document: str, what: str, value: str) -> str:
    """What a row or a class of a document's tables is called on its pages."""
    from ltlib import grids

    try:
        own = grids.described(document)
    except UnknownName:  # a document without trainings
        return label(value)
    return (own.names if what == "method" else own.classes).get(value) or label(value)

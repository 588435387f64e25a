"""The worlds that the claims of `awabs` on its results are asked about, and the judges of its own sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ltlib.chapters.awabs import AWABS
from ltlib.sections import rules, world
from ltlib.sections.answers import Compared, every
from ltlib.sections.claims import Group, judging
from ltlib.sections.world import Column, Key, Numbers, Value, Words, World
from ltlib.tables.scores import CLOSE, WORDS, signed

if TYPE_CHECKING:
    import pandas as pd

TABLES = ("4.2", "4.6", "4.7", "4.8")
COLUMNS = ("table", "imbalance", "split")
SECOND = "awabs_cutmix"
SECTION_4_8 = {"head": 0.45930, "middle": 0.48030, "tail": 0.51440}
"""What section 4.8 gives as method 2's group accuracies."""


def columns(table: str, *factors: float, split: str = "all") -> list[Column]:
    """Columns of a table."""
    return [(table, factor, split) for factor in factors]


C10 = columns("4.6", 100, 50, 10)
C100 = columns("4.7", 200, 100, 50, 10)
HEAD, MIDDLE, TAIL, ALL = (("4.8", 100, split) for split in ("head", "middle", "tail", "all"))


def _head(column: Column, quantity: str) -> str:
    table, factor, split = column
    return f"Table {table} at {factor:g}, {'' if split == 'all' else f'{split} '}{WORDS[quantity]}"


READ_AS = Words(row=AWABS.short, head=_head)


def printed(frame: pd.DataFrame) -> World:
    """The document's numbers, read literally; `frame` is of `tables.compare` over `TABLES`."""
    return world.printed(frame, COLUMNS, READ_AS)


def ours(frame: pd.DataFrame) -> World:
    """Ours; single runs are told apart from a point of accuracy and one and a half of ECE on."""
    return world.ours(frame, COLUMNS, READ_AS)


@judging(f"each group's accuracy at most {rules.points(CLOSE['accuracy'])} from the sentence's")
def section_4_8(found: World) -> Iterator[Group]:
    """Method 2's group accuracies are those that section 4.8 gives, to a point."""
    numbers = found.numbers("accuracy")
    for column, (split, said) in zip((HEAD, MIDDLE, TAIL), SECTION_4_8.items(), strict=True):
        key, near = (*column, SECOND), CLOSE["accuracy"]
        close = every([numbers.at_least(key, said - near), numbers.at_most(key, said + near)])
        line = f"{split} {found.said('accuracy', key)}, section 4.8 has {100 * said:.2f}" if key in numbers else ""
        yield [Compared(close, key in numbers, numbers.runs(key))], line


# --- section 4.5 -----------------------------------------------------------------------------------------------------

OVER = "over-confident by"


def shift_worlds(frame: pd.DataFrame | None) -> tuple[World, World]:
    """The printed world of section 4.5, which has no numbers, and ours, by class group and ``before`` or ``after``.

    Args:
        frame: Confidence and accuracy in percent by method and class group, of `beyond.shift_frame`: cross-entropy,
            then AWABS; None where the two were not run.
    """
    found: dict[str, dict[Key, Value]] = {name: {} for name in ("confidence", "accuracy", OVER)}
    rows: list[dict[Any, Any]] = [] if frame is None else frame.to_dict("records")
    for row in rows:
        key = (row["group"], "before" if row["method"] == rows[0]["method"] else "after")
        found["confidence"][key] = Value(row["confidence (%)"] / 100)
        found["accuracy"][key] = Value(row["accuracy (%)"] / 100)
        found[OVER][key] = Value(row["over-confident by (points)"] / 100)
    return World({}), World({name: Numbers(own, CLOSE["accuracy"]) for name, own in found.items()}, ours=True)


@judging("confidence nearer to accuracy than with cross-entropy, in each group")
def less_over_confident(found: World, groups: Sequence[str]) -> Iterator[Group]:
    """Confidence lies nearer to accuracy after than before, in each class group."""
    own = found.numbers(OVER)
    size = Numbers({key: Value(abs(value.mean)) for key, value in own.values.items()}, own.margin)
    for group in groups:
        before, after = (group, "before"), (group, "after")
        said = " to ".join(signed(100 * own[end]) for end in (before, after) if end in own)
        yield [size.compare(before, after)], f"{group}: {OVER} {said}"


@judging("mean confidence and accuracy larger than with cross-entropy")
def rises(found: World, group: str, quantities: Sequence[str]) -> Iterator[Group]:
    """Each of the quantities is larger after than before in a class group."""
    before, after = (group, "before"), (group, "after")
    compared = [found.numbers(quantity).compare(after, before) for quantity in quantities]
    parts = [
        f"{quantity} {100 * own[before]:.1f} to {100 * own[after]:.1f}"
        for quantity in quantities
        if before in (own := found.numbers(quantity)) and after in own
    ]
    yield compared, f"{group}: {', '.join(parts)}"

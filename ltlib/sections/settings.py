"""A change of a method beside what it changes: rows of scores, and how far each change moves accuracy and ECE.

own = AWABS.by_method(page.runs("awabs/methods"))
changed = AWABS.by_method(page.runs("awabs/spread"))
found = settings.changes(changed, {"the printed spread": own}, AWABS.short, group="head")
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from ltlib.sections.words import listed
from ltlib.tables.scores import CLOSE, WORDS, both, mean, side_by_side, told_apart, used

if TYPE_CHECKING:
    from ltlib.pages.page import Page
    from ltlib.runs import Run

Own = Mapping[str, Sequence["Run"]]
"""Runs of each method, or of each value of a setting."""


class Change(NamedTuple):
    """One change of a method.

    Attributes:
        said: What is changed, in words.
        before: Runs without it.
        after: Runs with it.
        group: A class group whose accuracy is told too; empty for none.
    """

    said: str
    before: Sequence[Run]
    after: Sequence[Run]
    group: str = ""


def show(
    page: Page, number: str, rows: Own, caption: str, found: Sequence[Change], command: str, folded: bool = True
) -> None:
    """What each change moves, and a table of the scores side by side.

    Args:
        page: The page.
        number: The table's name.
        rows: The table's rows.
        caption: Its caption.
        found: The changes to put in words.
        command: What trains the runs, said where no change was run.
        folded: Whether the table only proves the sentences.
    """
    if not any(change.after for change in found):
        page.say(f"None was run; {command} trains them.")
        return
    page.say(f"{told(found)}.")
    closed = page.fold(f"{number}, in numbers: accuracy, ECE and class groups of each row")
    with closed if folded else contextlib.nullcontext():
        page.frame(number, side_by_side(rows, str), caption, used(rows))


def labelled(parts: Mapping[str, Own], methods: Iterable[str], name: Callable[[str], str]) -> dict[str, Sequence[Run]]:
    """Rows of several parts of each method, ``Method 1, stage 2 as printed``, a method's parts together."""
    return {f"{name(method)}, {part}": own.get(method, ()) for method in methods for part, own in parts.items()}


def changes(after: Own, before: Mapping[str, Own], name: Callable[[str], str], group: str = "") -> list[Change]:
    """Each method that was run with a change, against each of several others.

    Args:
        after: Runs with the change, by method.
        before: What to hold them against: in words, to runs by method; a method without runs there is left out.
        name: What to call a method.
        group: A class group whose accuracy is told too.
    """
    return [
        Change(f"{name(method)} against {words}", own[method], found, group)
        for method, found in after.items()
        for words, own in before.items()
        if own.get(method)
    ]


def told(found: Iterable[Change]) -> str:
    """What each change moves: ``Method 1 against its stage 1: +2.0 points of accuracy and -3.0 points of ECE``."""
    parts = []
    for said, before, after, group in found:
        if not (before and after):
            parts.append(f"{said}: not run")
            continue
        gain = 100 * (mean(after, "accuracy", group) - mean(before, "accuracy", group)) if group else 0.0
        parts.append(f"{said}: {moves(after, before)}" + (f", {gain:+.1f} in the {group}" if group else ""))
    return "; ".join(parts) or "nothing to compare: the runs beside it are not here"


# --- variants beside a printed cell ----------------------------------------------------------------------------------


def distance(found: Iterable[Run], printed: Mapping[str, float]) -> float:
    """How far a result is from the printed one, in tolerances: |accuracy| / 1 point + |ECE| / 1.5 points."""
    return sum(abs(value - printed[metric]) / CLOSE[metric] for metric, value in both(found).items())


def closest(own: Own, printed: Mapping[str, float], wanted: int, profile: str) -> str:
    """Which variant comes closest to a printed cell, where that can be said.

    Args:
        own: Runs of each variant, by what to call it.
        printed: The cell, from `ltlib.tables.cells.cell`.
        wanted: How many variants there are.
        profile: The page's; only ``paper`` trains what is printed.
    """
    question = "Which of them made the printed numbers stays open"
    if profile != "paper":
        return f"{question} in {profile}."
    if len(own) < wanted:
        return f"{question} until all are run."
    far = sorted((distance(found, printed), name) for name, found in own.items())
    said = ", ".join(f"{name} {value:.1f}" for value, name in far)
    near = " The first two are too near each other to decide." if far[1][0] - far[0][0] < 0.5 else ""
    return f"Closest to the printed cell, in tolerances of 1 point of accuracy and 1.5 points of ECE: {said}.{near}"


def moves(found: Sequence[Run], beside: Iterable[Run]) -> str:
    """How far runs lie from others in accuracy and ECE, in points, and where that is too close to tell."""
    parts, base = [], both(beside)
    for metric, word in WORDS.items():
        value = mean(found, metric)
        sure = told_apart(value, base[metric], len(found), metric)
        parts.append(f"{100 * (value - base[metric]):+.1f} points of {word}" + ("" if sure else " (too close to tell)"))
    return " and ".join(parts)


def by_metric(others: Own, beside: Iterable[Run]) -> str:
    """How far each of several lies from some runs, in points: first all in accuracy, then all in ECE, largest first.

    Those too close to tell are named behind the others, without a number.
    """
    parts, base = [], both(beside)
    for metric, word in WORDS.items():
        far: dict[str, float] = {}
        near: list[str] = []
        for name, found in others.items():
            value = mean(found, metric)
            if told_apart(value, base[metric], len(found), metric):
                far[name] = value - base[metric]
            else:
                near.append(f"“{name}”")
        said = [f"“{name}” {100 * gap:+.1f}" for name, gap in sorted(far.items(), key=lambda item: -item[1])]
        told = [f"in {word} {listed(said)}"] if said else []
        parts.append("; ".join([*told, *([f"too close to tell in {word}: {listed(near)}"] if near else [])]))
    first, second = parts
    return f"{first}. {second[0].upper()}{second[1:]}"

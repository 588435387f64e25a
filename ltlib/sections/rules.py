"""What a judge asks, in a few words: ``in each of 4 columns Method 2 is better in ECE than every other row``.

The words are made from the arguments that the judge was made with, so a rule on a page is the rule that was applied.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from typing import Any

from ltlib.sections.answers import Rule, every, most
from ltlib.sections.words import listed
from ltlib.sections.world import Words
from ltlib.tables.scores import CLOSE, LOWER_IS_BETTER

_NAMED = 3
"""Rows that are called by their names; more are counted."""


def text(says: str, given: Mapping[str, Any], words: Words, rule: Rule) -> str:
    """A rule from its template.

    Args:
        says: With ``{where}`` for the columns and names of arguments in braces.
        given: The arguments.
        words: How rows and columns are called.
        rule: What becomes of several comparisons.
    """
    parts = {name: _part(name, given, words) for name in given}
    return says.format(where=_where(_columns(given), rule), **parts)


def points(fraction: float) -> str:
    """A difference of fractions in points: ``1 point``."""
    return f"{100 * fraction:g} point{'s' * (fraction != 0.01)}"


def _where(columns: int, rule: Rule) -> str:
    if rule is every:
        return f"in each of {columns} columns " if columns > 1 else ""
    many = f" over {columns} columns" if columns > 1 else ""
    return f"in {'most comparisons' if rule is most else 'at least one comparison'}{many}, "


def _columns(given: Mapping[str, Any]) -> int:
    """How many columns are asked; 0 where the rule names them itself."""
    if "contests" in given:
        return len(_by_column(given["contests"])) if _crossed(given["contests"]) else 0
    columns = () if "key" in given else given.get("columns", ())
    return 0 if isinstance(columns, Mapping) else len(columns)


def _by_column(contests: Iterable[tuple[Any, str, str]]) -> list[Any]:
    return list(dict.fromkeys(column for column, *_ in contests))


def _crossed(contests: Sequence[tuple[Any, str, str]]) -> bool:
    """Whether every column has the same pairs."""
    pairs = dict.fromkeys((one, two) for _, one, two in contests)
    return set(contests) == {(column, *pair) for column, pair in product(_by_column(contests), pairs)}


def _part(name: str, given: Mapping[str, Any], words: Words) -> str:
    """An argument in words; what no rule names is empty."""
    value = given[name]
    if name == "contests":
        return _contests(value, given["quantities"], words)
    if name == "pairs":
        return _across(given, words)
    if name in ("quantities", "quantity"):
        return _better([value] if isinstance(value, str) else value, words)
    if name == "behind":
        return _behind(value, words)
    if name in ("within", "gap", "threshold"):
        return "" if value is None else points(value)
    if name == "without":
        return f" apart from {_rows(value, words)}" if value else ""
    if name in ("key", "first", "second") and isinstance(value, tuple):
        return _cell(value, words)
    if name == "team":
        return f"{_rows(value, words)} {'is' if len(value) == 1 else 'are each'}"
    if name in ("own", "row", "base", "rows"):
        return _rows([value] if isinstance(value, str) else value, words)
    return ""


def _better(quantities: Sequence[str], words: Words) -> str:
    """``better in accuracy and ECE``; what is no score is not better but larger."""
    known = all(quantity in (*CLOSE, *LOWER_IS_BETTER) for quantity in quantities)
    return f"{'better' if known else 'larger'} in {listed([words.quantity(one) for one in quantities])}"


def _rows(found: Sequence[str], words: Words) -> str:
    """Rows by their names, many by their number."""
    return listed([words.row(row) for row in found]) if len(found) <= _NAMED else f"each of {len(found)} rows"


def _cell(key: tuple[Any, ...], words: Words) -> str:
    head = words.head(key[:-1], "accuracy")
    return f"{words.row(key[-1])}{f' ({head})' if head else ''}"


def _contests(contests: Sequence[tuple[Any, str, str]], quantities: Sequence[str], words: Words) -> str:
    """What is better than what: ``Method 2 is better in accuracy than LADE and MiSLAS``."""
    better = _better(quantities, words)
    if not _crossed(contests):
        return listed([f"{_cell((*c, one), words)} is {better} than {words.row(two)}" for c, one, two in contests])
    rivals: dict[str, list[str]] = {}
    for one, two in dict.fromkeys((one, two) for _, one, two in contests):
        rivals.setdefault(one, []).append(two)
    teams: dict[tuple[str, ...], list[str]] = {}
    for one, own in rivals.items():
        teams.setdefault(tuple(own), []).append(one)
    if len(teams) > 2:
        return f"the first of each of {sum(map(len, rivals.values()))} pairs of rows is {better} than the second"
    many = {1: "is", 2: "are both"}
    return listed(
        [
            f"{_rows(own, words)} {many.get(len(own), 'are each' if len(own) <= _NAMED else 'is')} {better} than "
            f"{_rows(others, words)}"
            for others, own in teams.items()
        ]
    )


def _across(given: Mapping[str, Any], words: Words) -> str:
    """What is better than what among columns, by the places that are compared."""
    columns = next(iter(given["columns"].values()))
    within = given["within"]
    relation = f"{_better([given['quantity']], words)} than" if within is None else f"at most {points(within)} behind"
    rivals: dict[str, list[str]] = {}
    for one, two in given["pairs"]:
        rivals.setdefault(words.part(columns[one]), []).append(words.part(columns[two]))
    return listed([f"{one} is {relation} {listed(own)}" for one, own in rivals.items()])


def _behind(sizes: Mapping[str, float], words: Words) -> str:
    """``2 points in precision and recall``: quantities with one size together."""
    by_size: dict[float, list[str]] = {}
    for quantity, size in sizes.items():
        by_size.setdefault(size, []).append(words.quantity(quantity))
    return listed([f"{points(size)} in {listed(own)}" for size, own in by_size.items()])

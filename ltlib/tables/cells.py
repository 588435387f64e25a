"""Cells as a document prints them, by the keys that its own runs have: one, or a column of methods."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ltlib import published
from ltlib.tables.verdicts import as_fraction


def column(document: str, table: str, **where: Any) -> dict[str, dict[str, float]]:
    """One column of a table, of all test images: metric to method to fraction.

    Args:
        document: Its id.
        table: As printed.
        where: What the column's rows have, as ``imbalance=100``.
    """
    found: dict[str, dict[str, float]] = {}
    for row in rows(document, table, where):
        if row["split"] == "all":
            found.setdefault(row["metric"], {})[row["method"]] = as_fraction(row["value"], row["unit"])
    return found


def cell(document: str, table: str, **where: Any) -> dict[str, float]:
    """The scores of one method on one set, as fractions: by metric, and a class group's accuracy by the group.

    Where a table has two stages the second is taken.
    """
    found = {}
    for row in rows(document, table, where):
        found[row["metric"] if row["split"] == "all" else row["split"]] = as_fraction(row["value"], row["unit"])
    return found


def rows(document: str, table: str, where: Mapping[str, Any]) -> list[dict[Any, Any]]:
    """The rows of a printed table with these values, those of stage 1 before those of stage 2."""
    every = published.table(document, table).to_dict("records")
    return sorted((row for row in every if all(row[k] == v for k, v in where.items())), key=lambda row: row["stage"])

"""Where a source contradicts itself, told once: each point in full on one page, elsewhere a link to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from ltlib import published
from ltlib.errors import DataError
from ltlib.pages import order
from ltlib.pages.declared import Declared


class Point(NamedTuple):
    """One point of a close reading.

    Attributes:
        document: The document.
        number: Its number in `published.inconsistencies`.
        text: What was found.
        tables: The document's tables it concerns.
        figures: The document's figures it concerns.
    """

    document: str
    number: int
    text: str
    tables: tuple[str, ...]
    figures: tuple[str, ...]

    @property
    def anchor(self) -> str:
        """Its place on the page that tells it."""
        return f"source-{self.document}-{self.number}".replace("_", "-")


def points(
    document: str, table: str | None = None, figure: str | None = None, numbers: Sequence[int] = ()
) -> list[Point]:
    """The points that concern a table or a figure, or those of these numbers.

    Raises:
        UnknownName: No such document, table or figure.
    """
    rows = published.inconsistencies(document, table, figure)
    if numbers:
        rows = rows[rows["number"].isin(numbers)]
    return [Point(*row) for row in rows[list(Point._fields)].itertuples(index=False, name=None)]


def home(point: Point, pages: Sequence[Declared]) -> Declared | None:
    """The page that tells a point: the first with one of its tables, else with one of its figures; None for none.

    Args:
        point: The point.
        pages: Every page, in reading order.
    """
    for kind, wanted in (("tables", point.tables), ("figures", point.figures)):
        for page in pages:
            if page.document == point.document and set(wanted) & set(getattr(page, kind)):
                return page
    return None


def divided(
    found: Sequence[Point], page_id: str, told: dict[str, tuple[Any, ...]], here: tuple[Any, ...]
) -> tuple[list[Point], list[tuple[Point, Declared | None]]]:
    """The points that a page tells, and those told elsewhere, each with its page, or None where that is this one.

    Args:
        found: The points.
        page_id: The page.
        told: Where on it a point was told, by anchor; those of `found` are added.
        here: Where on it: a cell that is run again tells its points again.
    """
    pages = all_pages()
    known = page_id in {page.id for page in pages}
    own: list[Point] = []
    others: list[tuple[Point, Declared | None]] = []
    for point in found:
        page = home(point, pages)
        if page is not None and page.id != page_id and known:
            others.append((point, page))
        elif told.setdefault(point.anchor, here) == here:
            own.append(point)
        else:
            others.append((point, None))
    return own, others


def all_pages() -> list[Declared]:
    """Every page in reading order; none where the package is used without its notebooks."""
    try:
        return order.pages()
    except DataError:
        return []

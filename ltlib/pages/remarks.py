"""Where a source contradicts itself, told once: each point in full on one page, elsewhere a link to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

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


def all_pages() -> list[Declared]:
    """Every page in reading order; none where the package is used without its notebooks."""
    try:
        return order.pages()
    except DataError:
        return []

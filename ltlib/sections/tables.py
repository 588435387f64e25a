"""A document's table on a page: printed beside ours, what it says, and where the source contradicts it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ltlib import tables

if TYPE_CHECKING:
    import pandas as pd

    from ltlib.pages.page import Page
    from ltlib.runs import Run


def table(
    page: Page,
    number: str,
    reading: Callable[[pd.DataFrame, str], str] | None = None,
    where: Mapping[str, Any] | None = None,
    grid: str = "",
) -> list[Run]:
    """Say what a table of the page's document says, and show it; what contradicts it in the source is folded.

    Args:
        page: The page.
        number: As printed, ``4.6``.
        reading: Makes the sentences from a frame of `tables.compare` and the profile's name.
        where: As of `tables.compare`.
        grid: The grid of the runs, by the word after the document's name, where it is not the table's.

    Returns:
        The runs that stand for its cells.
    """
    document = page.declared.document
    assert document is not None
    runs = page.runs(f"{document}/{grid or number}", quiet=True)
    page.table(document, number, runs, finding=reading, where=where)
    page.notes(document, table=number)
    return runs


def remarks(page: Page, *numbers: int) -> None:
    """Known inconsistencies of the source that name no table or figure, by their number in `published`, folded."""
    assert page.declared.document is not None
    page.notes(page.declared.document, numbers=numbers)


def results(runs: Iterable[Run], document: str, numbers: Sequence[str], profile: str) -> pd.DataFrame:
    """Several tables as one comparison; a frame of `tables.compare`."""
    import pandas as pd

    found = list(runs)
    return pd.concat([tables.compare(found, document, number, profile) for number in numbers], ignore_index=True)

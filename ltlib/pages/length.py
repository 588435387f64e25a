"""How long a page is to a reader: the words and tables in sight, without what is folded."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import NamedTuple

_UNREAD = ("head", "script", "style", "math", "header", "nav", "footer", "template")
"""Elements whose text nobody reads as the page's words; an equation is looked at."""


class Length(NamedTuple):
    """What is in sight before anything is opened.

    Attributes:
        words: Runs of characters between spaces, table cells and the headings of folds included.
        tables: Tables.
    """

    words: int
    tables: int


def in_sight(html: str) -> Length:
    """The length of a page, or of a part of one, with all of its folds closed.

    Args:
        html: The page. A ``details`` counts with its summary alone, unless it has ``open``.
    """
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return Length(len("".join(reader.text).split()), reader.tables)


class _Reader(HTMLParser):
    """Collects the text in sight."""

    def __init__(self) -> None:
        super().__init__()
        self.text: list[str] = []
        self.tables = 0
        self._unread = 0
        self._folds: list[bool] = []  # each details that we are in, the outermost first: whether it is closed
        self._heading = 0  # how many of them there were at the summary that we are in; 0 outside one

    @property
    def _seen(self) -> bool:
        around = self._folds[: self._heading - 1] if self._heading else self._folds
        return not self._unread and not any(around)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "details":
            self._folds.append("open" not in dict(attrs))
        elif tag == "summary":
            self._heading = len(self._folds)
        elif tag in _UNREAD:
            self._unread += 1
        elif tag == "table" and self._seen:
            self.tables += 1
        self._part(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag == "details" and self._folds:
            self._folds.pop()
        elif tag == "summary":
            self._heading = 0
        elif tag in _UNREAD and self._unread:
            self._unread -= 1
        self._part(tag)

    def _part(self, tag: str) -> None:
        """Words of two cells or paragraphs are two; those of a word half in bold are one."""
        if tag not in ("b", "i", "em", "strong", "u", "code", "a", "sub", "sup", "span"):
            self.text.append(" ")

    def handle_data(self, data: str) -> None:
        if self._seen:
            self.text.append(data)

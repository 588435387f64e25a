"""What tables and figures are called, and where they stand on a page."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from urllib.parse import quote


def slug(kind: str, number: str) -> str:
    """The anchor and file name of a table or figure: ``figure-5``, ``table-a-1``, ``figure-algorithm-1``."""
    return "-".join([kind, *re.findall(r"[a-z0-9]+", str(number).lower())])


def label(kind: str, number: str) -> str:
    """How a table or figure is called: ``Figure 5``, ``Table A.1``, ``Algorithm 1``."""
    return f"{kind.capitalize()} {number}" if re.match(r"\d|[A-Z]\.|.*/", number) else number


def ranges(numbers: Iterable[str]) -> str:
    """``1, 2, 3, 7, A.1`` as ``1-3, 7, A.1``: runs of whole numbers are drawn together."""
    parts: list[list[str]] = []
    for number in numbers:
        whole = re.fullmatch(r"((?:[A-Za-z0-9]+\.)*)(\d+)", number)
        last = re.fullmatch(r"((?:[A-Za-z0-9]+\.)*)(\d+)", parts[-1][-1]) if parts else None
        if whole and last and whole[1] == last[1] and int(whole[2]) == int(last[2]) + 1:
            parts[-1].append(number)
        else:
            parts.append([number])
    return ", ".join(f"{p[0]}-{p[-1]}" if len(p) > 2 else ", ".join(p) for p in parts)


def kind_and_number(what: str, tables: Sequence[str], figures: Sequence[str]) -> tuple[str, str]:
    """``("table", "4")`` of ``table 4``, or of ``4`` where that is declared as a table and not as a figure."""
    if what.lower().startswith(("table ", "figure ")):
        kind, _, number = what.partition(" ")
        return kind.lower(), number
    return ("table" if what in tables and what not in figures else "figure"), what


def address(target: Path, here: Path) -> str:
    """The relative address of a file in a link of a page that lies in `here`.

    What means something in an address (``#``, ``?``, ``%``, a space) is written as ``%23`` and so on.
    """
    with contextlib.suppress(ValueError):  # another drive on Windows has no relative address
        return quote(os.fsencode(Path(os.path.relpath(target, here)).as_posix()))
    return Path(target).as_uri()

"""Words and numbers as a page prints them: lists in sentences, frames with fixed decimals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def printable(frame: pd.DataFrame, digits: Mapping[str, int], otherwise: int = 1) -> pd.DataFrame:
    """Numbers of a frame as texts with so many decimals; what is missing as a dash."""
    shown = frame.copy()
    for name in frame.columns:
        if frame[name].dtype == float:
            places = digits.get(str(name), otherwise)
            shown[name] = [f"{value:.{places}f}" if value == value else "–" for value in frame[name]]
    return shown


def many(number: int, what: str) -> str:
    """A number of things: ``1 method``, ``2 methods``."""
    return f"{number} {what}{'s' * (number != 1)}"


def listed(parts: Iterable[str]) -> str:
    """A list in a sentence; parts that hold commas are set apart by semicolons."""
    *rest, last = parts
    if not rest:
        return last
    comma = "; " if any(", " in part for part in (*rest, last)) else ", "
    return f"{comma.join(rest)}{';' if comma == '; ' else ''} and {last}"

"""What a command prints."""

from __future__ import annotations

from ltlib.errors import printable


def say(line: str) -> None:
    """One line for the user, at once."""
    print(printable(line), flush=True)

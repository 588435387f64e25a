"""What a command prints."""

from __future__ import annotations


def say(line: str) -> None:
    """One line for the user, at once."""
    print(line, flush=True)

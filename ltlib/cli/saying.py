"""What a command prints."""

from __future__ import annotations

import sys

from ltlib.errors import printable


def say(line: str) -> None:
    """One line for the user, at once."""
    print(printable(line), flush=True)


def note(line: str) -> None:
    """One line beside the result: on standard error."""
    print(printable(line), file=sys.stderr, flush=True)

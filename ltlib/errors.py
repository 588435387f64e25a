"""What goes wrong, said in one sentence: what, where, what to do.

Every error a user can cause or repair is a `LtlibError`; the command line prints its sentence and leaves the traceback
to ``--debug``. The subclasses also inherit from the built-in exception a Python caller would expect.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any


def printable(text: str) -> str:
    """A text that any stream and file takes: bytes of a file name that are not UTF-8 as ``\\xe9``."""
    try:
        return text.encode(errors="surrogateescape").decode(errors="backslashreplace")
    except UnicodeEncodeError:  # half a character, which no file name of this system holds
        return text.encode(errors="backslashreplace").decode()


class LtlibError(Exception):
    """Base of every error with a sentence for the user."""

    exit_code = 1

    def __str__(self) -> str:
        return printable(super().__str__())


class UnknownName(LtlibError, KeyError):
    """A name that is in no registry; the sentence lists the nearest known ones."""

    exit_code = 2

    def __init__(self, kind: str, name: object, known: Iterable[str]):
        known = sorted(known)
        near = difflib.get_close_matches(str(name), known, n=3, cutoff=0.5)
        if near:
            hint = f"did you mean {' or '.join(near)}?"
        elif known:
            hint = f"known: {', '.join(known[:12])}{', ...' if len(known) > 12 else ''}"
        else:
            hint = "none is known"
        self.sentence = f"unknown {kind} {str(name)!r}; {hint}"
        super().__init__(self.sentence)

    def __str__(self) -> str:  # KeyError would print the repr
        return printable(self.sentence)


class SettingError(LtlibError, ValueError):
    """A setting outside its range or of the wrong type."""

    exit_code = 2


class DataError(LtlibError):
    """Data that is missing, damaged, or not what was asked for."""


class RunError(LtlibError):
    """A training that cannot start, go on, or be read back."""


class RunsFailed(RunError):
    """Some of many runs failed; the others are finished and kept.

    Attributes:
        runs: The finished ones, with `failures`: run id to the sentence that says why it is missing.
    """

    def __init__(self, sentence: str, runs: Any):
        super().__init__(sentence)
        self.runs = runs

    @property
    def failures(self) -> dict[str, str]:
        return self.runs.failures


class LockedError(RunError):
    """Somebody else is working on this run."""


class BusyError(LockedError):
    """Somebody else is working on this run, and it will be free again."""


class EngineLost(RunError):
    """Where runs were trained is gone; what is finished is kept."""


class DivergedError(RunError):
    """The loss became NaN or infinite; the last good state is kept."""


class IncompleteError(LtlibError):
    """A page, a run or a chain that did not finish."""

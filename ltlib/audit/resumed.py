"""Long work in pieces whose results are kept now and then, so that an audit which was ended goes on where it was."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from ltlib.audit import kept

SAVED = 30.0
"""Seconds between two times that results go to the disk: what a kill costs."""


class Resumed:
    """Which pieces are done, and the rows they gave, as one array in the cache of audits.

    Used as a context around the work: rows are kept when it ends, by an exception too.

    Args:
        key: Names what is worked on and how; empty keeps nothing.
        columns: Of a row of results.
        rows: Gives all results so far, float64 [M, columns], the first column at least 0; those of a piece that is not
            done may be among them.

    Attributes:
        before: The rows that were kept.
    """

    def __init__(self, key: str, columns: int, rows: Callable[[], NDArray[np.float64]]):
        self._key, self._rows = key, rows
        self._saved = time.monotonic()
        found = kept.load(key, np.dtype(np.float64), columns) if key else None
        found = np.zeros((0, columns)) if found is None else found
        marks = found[:, 0] < 0  # of pieces: -1 and their number
        self.before: NDArray[np.float64] = found[~marks]
        self._done = {int(piece) for piece in found[marks, 1]}

    def __contains__(self, piece: int) -> bool:
        return piece in self._done

    def done(self, piece: int) -> None:
        """A piece is done and its results are among the rows; called by any thread."""
        self._done.add(piece)

    def meanwhile(self) -> None:
        """Keep what there is, where the last time was long ago."""
        if time.monotonic() - self._saved >= SAVED:
            self.save()

    def save(self) -> None:
        """Keep what there is."""
        if not self._key:
            return
        done = sorted(self._done.copy())  # before the rows: a piece that ends meanwhile is done again
        rows = self._rows()
        marks = np.zeros((len(done), rows.shape[1]))
        marks[:, 0], marks[:, 1] = -1, done
        kept.save(self._key, np.vstack([marks, rows]))
        self._saved = time.monotonic()

    def forget(self) -> None:
        """Remove what was kept: the whole result is."""
        if self._key:
            kept.forget(self._key)

    def __enter__(self) -> Resumed:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.save()

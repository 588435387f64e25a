"""What an audit computed, kept as arrays in ``cache/audit`` of the reports folder. It can be deleted at any time."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ltlib.files import digest, new_file
from ltlib.places import reports_folder


def load(key: str, dtype: np.dtype[Any], columns: int | None = None) -> NDArray[Any] | None:
    """The array that was saved under a key, [N] or [N, columns]; None where there is none that is whole."""
    with contextlib.suppress(OSError, ValueError, EOFError, MemoryError):
        found = np.load(_file(key), allow_pickle=False)
        if found.dtype == dtype and found.shape[1:] == (() if columns is None else (columns,)):
            return found
    return None


def save(key: str, array: NDArray[Any]) -> None:
    """Save an array; where there is no place to write, it is computed again the next time."""
    with contextlib.suppress(OSError), new_file(_file(key)) as stream:
        np.save(stream, array, allow_pickle=False)


def forget(key: str) -> None:
    """Remove what was saved under a key."""
    with contextlib.suppress(OSError):
        _file(key).unlink(missing_ok=True)


def _file(key: str) -> Path:
    return reports_folder() / "cache" / "audit" / f"{digest(key)[:16]}.npy"

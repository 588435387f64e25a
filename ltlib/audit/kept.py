"""What an audit computed, kept as arrays in ``cache/audit`` of the reports folder. It can be deleted at any time."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ltlib.errors import RunError
from ltlib.files import digest, write_bytes
from ltlib.places import reports_folder


def load(key: str, dtype: np.dtype[Any], columns: int | None = None) -> NDArray[Any] | None:
    """The array that was saved under a key, [N] or [N, columns]; None where there is none that is whole."""
    with contextlib.suppress(OSError, ValueError, EOFError):
        found = np.load(_file(key), allow_pickle=False)
        if found.dtype == dtype and found.shape[1:] == (() if columns is None else (columns,)):
            return found
    return None


def save(key: str, array: NDArray[Any]) -> None:
    """Save an array; where there is no place to write, it is computed again the next time."""
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=False)
    with contextlib.suppress(RunError):
        write_bytes(_file(key), stream.getvalue())


def _file(key: str) -> Path:
    return reports_folder() / "cache" / "audit" / f"{digest(key)[:16]}.npy"

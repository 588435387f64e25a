"""How large image files are, from their headers; kept beside the decoded images."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ltlib.datasets import pictures, threads
from ltlib.errors import RunError
from ltlib.files import digest, write_bytes
from ltlib.places import reports_folder

_FORMAT = 1  # bumped when a file holds something else


def sizes(folder: Path, names: Sequence[str], values: Sequence[str]) -> NDArray[np.int32]:
    """Width and height of images, upright, in pixels; 0 and 0 of a file that is none.

    Args:
        folder: The folder the names are relative to.
        names: Paths of the files.
        values: `contents.digests` of the files: those of the same contents are not opened again.

    Returns:
        int32 [N, 2].
    """
    kept = reports_folder() / "cache" / "sizes" / f"{digest(' '.join([f'sizes {_FORMAT}', *values]))[:16]}.npy"
    with contextlib.suppress(OSError, ValueError, EOFError, MemoryError):
        found = np.load(kept, allow_pickle=False)
        if found.shape == (len(names), 2) and found.dtype == np.int32:
            return found
    with ThreadPoolExecutor(threads.workers()) as pool:
        found = np.array(list(pool.map(lambda name: pictures.size_of(folder / name), names)), np.int32).reshape(-1, 2)
    packed = io.BytesIO()
    np.save(packed, found)
    with contextlib.suppress(RunError):  # without a place to write, the next process opens the files again
        write_bytes(kept, packed.getvalue())
    return found

"""Scratch folders outside the project; those of killed processes are taken away by the next one that makes one."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

_HELD = ".held"
_YOUNG = 60.0
_OLD = 86400.0


@contextlib.contextmanager
def scratch_folder(prefix: str) -> Iterator[Path]:
    """A folder in the system's temporary folder that is gone when the block ends.

    Its maker holds a lock in it, which the system frees when the process dies, however it does.

    Args:
        prefix: How its name, and those of the ones that are swept, begin.
    """
    sweep(prefix)
    with tempfile.TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True) as name, FileLock(Path(name) / _HELD):
        yield Path(name)


def sweep(prefix: str) -> int:
    """Remove the scratch folders of dead processes; how many.

    One without a lock is either being made or of an older version, which made none: it goes when it is a day old.
    """
    gone = 0
    for folder in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
        with contextlib.suppress(OSError, Timeout):  # another's, gone, or in use
            age = time.time() - folder.stat().st_mtime
            if age < (_YOUNG if (folder / _HELD).is_file() else _OLD):
                continue
            with FileLock(folder / _HELD, timeout=0):
                shutil.rmtree(folder, ignore_errors=True)
            gone += 1
    return gone

"""What killed processes left in the reports folder, taken away by the next command that writes there.

Temporary files and folders of an hour ago, checkpoints of stages that are finished, and the reasons of failures of runs
that are there by now. Lock files stay: removing one that another process is about to take would let two in.
"""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

from ltlib import places, sealed
from ltlib.errors import LockedError
from ltlib.files import is_temporary, sweep


def sweep_reports() -> int:
    """Remove what is left in the reports folder; how many things."""
    left = sum(sweep(folder) for folder in _written())
    top = places.runs_folder()
    for folder in (top / "stages" / "work").glob("*"):
        if sealed.finished(top / "stages" / folder.name):
            lock = top / "stages" / "locks" / f"{folder.name}.lock"
            with contextlib.suppress(LockedError), sealed.claim(lock, f"stage {folder.name}"):
                shutil.rmtree(folder, ignore_errors=True)
                left += 1
    for file in (top / "failures").glob("*.txt"):
        if sealed.finished(top / file.stem):
            file.unlink(missing_ok=True)
            left += 1
    return left


def _written() -> set[Path]:
    """Folders in which files are made beside their place: those of runs, records, pages, and what is kept of data."""
    top = places.reports_folder()
    found = {top, *top.glob("*"), *top.glob("*/*"), *top.glob("runs/stages/work/*")}
    for folder in top.glob("*/*"):
        if folder.parent.name not in ("runs", "cache"):  # below lie whole runs, and image sets
            found |= set(folder.glob("*"))
    return {folder for folder in found if folder.is_dir() and not is_temporary(folder)}

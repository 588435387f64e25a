"""What is in the files of an image set, by SHA-256: each is read once, and again where it may have changed.

A digest is kept, in memory and in ``cache/contents`` of the reports folder, beside the file's size, inode, time of
change and, where the system has one, the time its entry was last touched (ctime), which no ordinary program can set
back. A file touched in the last moments before it was read may be touched again under the same times, so its digest is
used once and not kept (what git calls a racy entry).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ltlib.datasets import faults
from ltlib.errors import DataError, RunError
from ltlib.files import digest, file_digest, write_bytes
from ltlib.places import reports_folder
from ltlib.progress import Progress

SETTLED = 2_000_000_000  # nanoseconds: the coarsest clock a file system keeps its times by (FAT)
MANY = 1 << 30  # bytes; reading so much takes a progress line
_FORMAT = 1

Stamp = tuple[int, int, int, int]
Known = dict[str, tuple[Stamp, str]]

_memory: dict[str, Known] = {}


def digests(folder: Path, names: Sequence[str], *, others: bool = False) -> list[str]:
    """SHA-256 of files, in hexadecimal.

    Args:
        folder: The folder the names are relative to.
        names: Paths of the files; absolute ones are taken as they are.
        others: Whether what is known of the folder's other files is kept: where these are not all of a set.

    Raises:
        Unusable: Files are missing, no plain files or may not be read; names them all and their places in the list.
    """
    place = os.path.realpath(folder)
    if place not in _memory:
        _memory[place] = _load(place)
    known = _memory[place]
    started = time.time_ns()
    top = os.path.join(folder, "")  # noqa: PTH118 - thousands of paths, each time a run is named
    paths = [name if name.startswith(os.sep) else top + name for name in names]
    wrong = dict[int, str]()
    stamps = [_stamp(path, index, wrong) for index, path in enumerate(paths)]
    found, todo = [""] * len(names), []
    for index, (name, stamp) in enumerate(zip(names, stamps, strict=True)):
        had = known.get(name)
        if had is not None and had[0] == stamp:
            found[index] = had[1]
        elif index not in wrong:
            todo.append(index)
    if not todo and not wrong:
        return found
    read = _read([(index, Path(paths[index]), stamps[index][0]) for index in todo], wrong)
    faults.refuse(folder, wrong)
    for index, value in zip(todo, read, strict=True):
        found[index] = value
    settled = {
        name: (stamp, value)
        for name, stamp, value in zip(names, stamps, found, strict=True)
        if not any(abs(started - moment) < SETTLED for moment in stamp[1:3])
    }
    if others:
        asked = set(names)
        settled |= {name: entry for name, entry in known.items() if name not in asked}
    _memory[place] = settled
    if any(names[index] in settled for index in todo):
        _save(place, settled)
    return found


def forget(folder: Path | None = None) -> None:
    """Read every file of a folder, or of all, anew the next time it is asked for."""
    place = None if folder is None else os.path.realpath(folder)
    for kept in [*_memory] if place is None else [place]:
        _memory.pop(kept, None)
    for file in _folder().glob("*.json") if place is None else [_file(place)]:
        with contextlib.suppress(OSError):
            file.unlink()


def of_set(names: Sequence[str], values: Sequence[str]) -> str:
    """One digest of a set of files: their names, whatever bytes those are, and their contents. Order plays no part."""
    pairs = sorted(zip(map(os.fsencode, names), values, strict=True))
    return digest(b"\n".join(name + b"\t" + value.encode() for name, value in pairs))


def unreadable(index: int, path: Path, error: OSError) -> DataError:
    """The sentence for an image that the system does not let us read: which one, why, and what helps."""
    if isinstance(error, FileNotFoundError):
        if path.is_symlink():
            return DataError(
                f"image {index}, {path}, is a link to {path.readlink()}, which is not there; "
                "restore that file or remove the link"
            )
        return DataError(f"image {index}, {path}, is missing; restore it")
    why = error.strerror or str(error)
    helps = "give yourself the right to read it" if isinstance(error, PermissionError) else "replace it"
    return DataError(f"image {index}, {path}, cannot be read ({why}); {helps} or remove it")


def _stamp(path: str, index: int, wrong: dict[int, str]) -> Stamp:
    """What tells whether a file has changed; the sentence for one that is none goes to `wrong`."""
    try:
        found = os.stat(path)  # noqa: PTH116
    except OSError as error:
        wrong[index] = str(unreadable(index, Path(path), error))
        return 0, 0, 0, 0
    if not stat.S_ISREG(found.st_mode):
        wrong[index] = f"image {index}, {path}, is no plain file; replace or remove it"
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


def _read(files: Sequence[tuple[int, Path, int]], wrong: dict[int, str]) -> list[str]:
    """Digests of files given as (place in the list, path, bytes); `wrong` gets sentences for those not readable."""
    size = sum(file[2] for file in files)
    progress = Progress(len(files), "reading what is in the files", enabled=size > MANY)

    def one(file: tuple[int, Path, int]) -> str:
        index, path, _ = file
        try:
            return file_digest(path)
        except OSError as error:
            wrong[index] = str(unreadable(index, path, error))
            return ""

    found = []
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        try:
            for value in pool.map(one, files):
                found.append(value)
                progress.step()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return found


def _folder() -> Path:
    return reports_folder() / "cache" / "contents"


def _file(place: str) -> Path:
    return _folder() / f"{hashlib.sha256(os.fsencode(place)).hexdigest()[:16]}.json"


def _load(place: str) -> Known:
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
        said = json.loads(_file(place).read_bytes())
        if said["format"] == _FORMAT and said["folder"] == place:
            return {name: (tuple(entry[:4]), entry[4]) for name, entry in said["files"].items() if len(entry[4]) == 64}
    return {}


def _save(place: str, known: Known) -> None:
    files = {name: [*stamp, value] for name, (stamp, value) in known.items()}
    text = json.dumps({"format": _FORMAT, "folder": place, "files": files})
    with contextlib.suppress(RunError):  # without a place to write, the next process reads the files again
        write_bytes(_file(place), text.encode("ascii"))

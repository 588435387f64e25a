"""Files that are either whole or not there: written beside their place, flushed to disk, then renamed."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any

from ltlib.errors import RunError

JSON_BYTES = 1 << 26
"""The largest JSON file that is read: 64 MiB, a thousand times what a run writes."""
_TEMPORARY = ".ltlib-tmp-"
_SYNCED_TOGETHER = 8
_NUMBER = re.compile(r"[-+]?\d+(\.\d*)?([eE][-+]?\d+)?")


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spaces: equal values give equal text. NaN is refused."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest(data: bytes | str) -> str:
    """SHA-256 of bytes or of a text's UTF-8, in hexadecimal."""
    return hashlib.sha256(data.encode(errors="surrogatepass") if isinstance(data, str) else data).hexdigest()


def csv_text(value: Any) -> Any:
    """A cell of a CSV file: a text that a spreadsheet would run as a formula gets an apostrophe; others as they are."""
    if not isinstance(value, str) or value.lstrip()[:1] not in ("=", "+", "-", "@"):
        return value
    return value if _NUMBER.fullmatch(value) else f"'{value}"


def file_digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextlib.contextmanager
def new_file(place: Path) -> Iterator[IO[bytes]]:
    """A file beside `place`, open to write and read, that becomes `place` when the block ends well, else vanishes.

    A crash, a full disk or a second writer leaves the old file or the new one, never a part. The file gets the mode the
    umask allows, as if it had been opened for writing.

    Raises:
        OSError: The file cannot be made, flushed to the disk or renamed; what the block raises goes through.
    """
    place = Path(place)
    place.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=_TEMPORARY, dir=place.parent)
    try:
        with os.fdopen(handle, "w+b") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(temporary, 0o666 & ~_umask())  # noqa: PTH101 - mkstemp's 0600 would hide results from colleagues
        os.replace(temporary, place)  # noqa: PTH105
        _sync_folder(place.parent)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file so that it is whole or not there, as `new_file` does.

    Raises:
        RunError: The disk is full or the folder cannot be written; the old file is intact.
    """
    try:
        with new_file(path) as stream:
            stream.write(data)
    except OSError as error:
        raise RunError(f"cannot write {path} ({len(data):,} bytes): {error.strerror or error}") from error


def write_text(path: Path, text: str) -> None:
    """`write_bytes` for a text, in UTF-8; what is no character (`errors.printable`) as JSON writes it, ``\\udce9``."""
    write_bytes(path, text.encode(errors="backslashreplace"))


def write_json(path: Path, value: Any) -> None:
    """`write_bytes` for JSON that people read: indented, keys in the given order, a newline at the end."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def read_bytes(path: Path, most: int) -> bytes:
    """What is in a file of at most `most` bytes; a larger one is not opened.

    Raises:
        RunError: Missing, larger, or it cannot be read; the sentence names the file.
    """
    try:
        found = Path(path).stat()
        size = found.st_size
        if not stat.S_ISREG(found.st_mode):
            raise RunError(f"{path} cannot be read (it is no file)")
        if size > most:
            raise RunError(f"{path} has {size:,} bytes, at most {most:,} are read; delete it to make it again")
        with Path(path).open("rb") as stream:
            return stream.read(size)
    except FileNotFoundError as error:
        raise RunError(f"{path} is missing") from error
    except OSError as error:
        raise RunError(f"{path} cannot be read ({error.strerror or error})") from error


def json_of(data: bytes) -> Any:
    """The value of a JSON text.

    Raises:
        ValueError: It is none: not UTF-8, cut short, nested without end, or with NaN or infinity, which JSON has not.
    """
    try:
        return json.loads(data.decode("utf-8"), parse_constant=_refuse_constant, parse_float=_finite)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number in JSON")


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):  # 1e999
        raise ValueError(f"{text} is no number in JSON")
    return value


def read_json(path: Path, most: int = JSON_BYTES) -> Any:
    """`json_of` a file of at most `most` bytes.

    Raises:
        RunError: Missing, too large or not JSON; the sentence names the file.
    """
    try:
        return json_of(read_bytes(path, most))
    except ValueError as error:
        raise RunError(f"{path} cannot be read as JSON ({error}); delete it to make it again") from error


@contextlib.contextmanager
def new_folder(place: Path) -> Iterator[Path]:
    """A temporary folder beside `place` that becomes `place` when the block ends well, and vanishes when it does not.

    An older folder of that name is replaced. Every file in the folder reaches the disk before the rename.
    """
    place = Path(place)
    with scratch_folder(place.parent) as temporary:
        yield temporary  # what goes wrong in the block is the block's to explain
        put_in_place(temporary, place)


@contextlib.contextmanager
def scratch_folder(parent: Path) -> Iterator[Path]:
    """A temporary folder in `parent` that is gone when the block ends; one of a killed process is `sweep`'s.

    Raises:
        RunError: It cannot be made.
    """
    try:
        parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=_TEMPORARY, dir=parent))
        temporary.chmod(0o777 & ~_umask())
    except OSError as error:
        raise RunError(f"cannot write in {parent}: {error.strerror or error}") from error
    try:
        yield temporary
    finally:  # gone already where it was put in its place
        shutil.rmtree(temporary, ignore_errors=True)


def put_in_place(temporary: Path, place: Path) -> None:
    """Flush a finished folder to the disk and rename it; an older one of that name comes back if that fails.

    Raises:
        RunError: It cannot be flushed or renamed.
    """
    try:
        _put_in_place(temporary, place)
    except OSError as error:
        raise RunError(f"cannot write {place}: {error.strerror or error}") from error


def _put_in_place(temporary: Path, place: Path) -> None:
    with ThreadPoolExecutor(_SYNCED_TOGETHER) as pool:  # a disk takes many as fast as one
        list(pool.map(_sync_file, (file for file in temporary.rglob("*") if file.is_file())))
    _sync_folder(temporary)
    if not place.exists():
        temporary.rename(place)
    else:
        aside = Path(tempfile.mkdtemp(prefix=_TEMPORARY, dir=place.parent))
        try:
            place.rename(aside / "old")
            try:
                temporary.rename(place)
            except BaseException:
                (aside / "old").rename(place)
                raise
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    _sync_folder(place.parent)


def sweep(folder: Path, older_than: float = 3600.0) -> int:
    """Remove what crashed writers left directly in `folder`.

    Args:
        folder: Only its direct children are looked at.
        older_than: Seconds since the last change; writers of this minute are not crashed ones. 0 where the caller holds
            the folder's lock.
    """
    limit = time.time() - older_than
    left = 0
    for item in Path(folder).glob(f"{_TEMPORARY}*"):
        with contextlib.suppress(FileNotFoundError):  # its writer, still alive, has renamed or removed it
            if item.stat().st_mtime > limit:
                continue
            if item.is_dir():
                shutil.rmtree(item, ignore_errors=True)
            else:
                item.unlink()
            left += 1
    return left


def is_temporary(path: Path) -> bool:
    """Whether a path is what a writer has not finished, or a crashed one left."""
    return Path(path).name.startswith(_TEMPORARY)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _sync_file(file: Path) -> None:
    with file.open("rb") as stream:
        os.fsync(stream.fileno())


def _sync_folder(folder: Path) -> None:
    """Make a rename survive a power cut; file systems that cannot sync a folder are left as they are."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

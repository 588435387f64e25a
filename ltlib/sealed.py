"""Folders that are sealed when they are whole, and the checkpoint of a training under way.

A sealed folder has a ``DONE`` file with the SHA-256 of every other file in it; a folder without a valid one is no
result. Tensors are safetensors, everything else JSON, CSV or npz without objects: nothing here can run code.
"""

from __future__ import annotations

import contextlib
import io
import math
import os
import re
import socket
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
import safetensors
import safetensors.torch
from filelock import FileLock, Timeout
from torch import Tensor

from ltlib.errors import BusyError, LockedError, RunError
from ltlib.files import digest, file_digest, read_bytes, read_json, write_bytes, write_json, write_text

FORMAT = 1
DONE_BYTES = 1 << 20
TENSOR_BYTES = 1 << 33
"""The largest file of tensors that is read, 8 GiB; no network here comes near it."""
ARRAY_BYTES = 1 << 28
"""The most bytes of arrays that are read from one file, 256 MiB; those of a record take a thousandth."""
_HEADER = re.compile(
    r"\{'descr': '(?P<kind>[<|][biufU][0-9]{1,4})', 'fortran_order': (?:True|False), "
    r"'shape': \((?P<shape>[0-9, ]{0,99})\), \}\s*"
)
_DAMAGED = (OSError, ValueError, EOFError, KeyError, RuntimeError, MemoryError, zipfile.BadZipFile, zlib.error)


def seal(folder: Path) -> None:
    """Write ``DONE`` with the SHA-256 of every file in the folder."""
    files = {str(f.relative_to(folder)): file_digest(f) for f in sorted(folder.rglob("*")) if f.is_file()}
    write_json(folder / "DONE", {"format": FORMAT, "files": files})


def files_of(folder: Path) -> dict[str, str]:
    """What a sealed folder holds besides ``DONE``: names and SHA-256, as they were when it was sealed.

    Raises:
        RunError: Its ``DONE`` is missing, no such file, or of another format; the sentence names it.
    """
    done = folder / "DONE"
    said = read_json(done, DONE_BYTES)
    try:
        version, files = said["format"], said["files"]
        files = {str(name): str(known) for name, known in files.items()}
    except (KeyError, TypeError, AttributeError) as error:
        raise RunError(f"{done} cannot be read") from error
    if version != FORMAT:
        raise RunError(f"{folder} has format {version}, this version reads {FORMAT}; use the ltlib that made it")
    return files


def problems(folder: Path) -> list[str]:
    """What is wrong with a sealed folder; empty where it is whole.

    A folder of a newer format is reported as such and never touched.
    """
    if not (folder / "DONE").is_file():
        return [f"{folder} is not finished"]
    try:
        files = files_of(folder)
    except RunError as error:
        return [str(error)]
    wrong = []
    for name, known in files.items():
        file = folder / name
        if not file.is_file():
            wrong.append(f"{file} is missing")
        elif file_digest(file) != known:
            wrong.append(f"{file} has changed since it was written")
    return wrong


def finished(folder: Path) -> bool:
    """Whether the folder is sealed and its files are there; `read_sealed` and `problems` compare what is in them."""
    try:
        return all((folder / name).is_file() for name in files_of(folder))
    except (RunError, ValueError, OSError):  # a name that no file can have
        return False


def read_sealed(folder: Path, name: str) -> bytes:
    """A file of a sealed folder, compared with its SHA-256 in ``DONE``.

    Raises:
        RunError: Missing, or not as it was written; the sentence names the file.
    """
    try:
        known = files_of(folder)[name]
        data = read_bytes(folder / name, TENSOR_BYTES)
    except (RunError, KeyError) as error:
        raise RunError(f"{folder / name} cannot be read; delete {folder} to make it again") from error
    if digest(data) != known:
        raise RunError(f"{folder / name} has changed since it was written; delete {folder} to make it again")
    return data


def refuse_newer(folder: Path) -> None:
    """Leave alone what a newer version has written.

    Raises:
        RunError: The folder is sealed in another format.
    """
    try:
        version = read_json(folder / "DONE", DONE_BYTES)["format"]
    except (RunError, KeyError, TypeError):
        return
    if version != FORMAT:
        raise RunError(
            f"{folder} has format {version}, this version writes {FORMAT}; use the ltlib that made it, or delete it"
        )


@contextlib.contextmanager
def claim(path: Path, what: str, wait: bool = False) -> Iterator[None]:
    """Hold the lock file of a piece of work; a holder that dies frees it.

    Args:
        path: The lock file.
        what: What is locked, for the sentence.
        wait: Wait for the holder instead of refusing.

    Raises:
        BusyError: Somebody else holds it; names the process and the host.
        LockedError: It cannot be had: it is another user's, or the folder cannot be written.
    """
    holder = path.with_suffix(".holder")
    lock = FileLock(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=-1 if wait else 0)
    except Timeout as error:
        who = "another process"
        with contextlib.suppress(OSError):
            who = holder.read_text().strip() or who
        raise BusyError(f"{what} is being worked on by {who}; wait for it or stop it") from error
    except OSError as error:
        raise LockedError(f"cannot write in {path.parent} ({path.name}): {error.strerror or error}") from error
    try:
        with contextlib.suppress(RunError):
            write_text(holder, f"process {os.getpid()} on {socket.gethostname()}\n")
        yield
    finally:
        lock.release()


def read_sealed_tensors(folder: Path, name: str) -> dict[str, Tensor]:
    """The tensors of a file of a sealed folder, compared with its SHA-256 in ``DONE``, on the CPU.

    Raises:
        RunError: Missing, not as it was written, or no such file; the sentence names it.
    """
    data = read_sealed(folder, name)
    try:
        return safetensors.torch.load(data)
    except (ValueError, safetensors.SafetensorError) as error:
        raise RunError(f"{folder / name} holds no tensors ({error}); delete {folder} to make it again") from error


def array_of(data: bytes, path: Path) -> np.ndarray:
    """The array of an npy file's bytes, without pickled objects and of no other size than its header says.

    Raises:
        RunError: It is none; the sentence names the file.
    """
    stream = io.BytesIO(data)
    try:
        _shape_of(stream, len(data))
        stream.seek(0)
        return np.load(stream, allow_pickle=False)
    except _DAMAGED as error:
        raise RunError(f"{path} holds no array ({error}); delete it to make it again") from error


def shapes(path: Path, most: int = ARRAY_BYTES) -> dict[str, tuple[int, ...]]:
    """The shapes of the arrays in an npz file by their names; nothing but their headers is unpacked.

    Args:
        path: The file.
        most: The most bytes that its arrays may have together when they are unpacked.

    Raises:
        RunError: It cannot be read, holds pickled objects, more than `most` bytes or what is no array; the sentence
            names the file.
    """
    with _read_arrays(path) as archive:
        return _shapes(archive, most)


def read_arrays(path: Path, most: int = ARRAY_BYTES) -> dict[str, np.ndarray]:
    """The arrays of an npz file, after `shapes`."""
    with _read_arrays(path) as archive:
        names = _shapes(archive, most)
        return {name: array_of(archive.read(f"{name}.npy"), path) for name in names}


def write_arrays(path: Path, **arrays: np.ndarray) -> None:
    """Arrays as an npz file, atomically."""
    stream = io.BytesIO()
    np.savez(stream, **arrays)  # type: ignore[arg-type]
    write_bytes(path, stream.getvalue())


@contextlib.contextmanager
def _read_arrays(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except FileNotFoundError as error:
        raise RunError(f"{path} is missing") from error
    except _DAMAGED as error:
        raise RunError(f"{path} cannot be read ({error}); delete it to make it again") from error


def _shapes(archive: zipfile.ZipFile, most: int) -> dict[str, tuple[int, ...]]:
    members = archive.infolist()
    if (size := sum(member.file_size for member in members)) > most:
        raise ValueError(f"it unpacks to {size:,} bytes, at most {most:,} are read")
    found = {}
    for member in members:
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or not member.filename.endswith(
            ".npy"
        ):
            raise ValueError(f"it holds {member.filename!r}, which is no array")
        with archive.open(member) as stream:
            found[member.filename.removesuffix(".npy")] = _shape_of(stream, member.file_size)
    return found


def _shape_of(stream: IO[bytes], size: int) -> tuple[int, ...]:
    """The shape in an npy file's header, of the one form that `np.save` writes for numbers and texts."""
    start = stream.read(10)
    if start[:8] != b"\x93NUMPY\x01\x00":
        raise ValueError("it has no array's header")
    length = int.from_bytes(start[8:], "little")
    found = _HEADER.fullmatch(stream.read(length).decode("latin1"))
    if found is None:
        raise ValueError("it holds pickled objects or another kind of array, which are not read")
    shape = tuple(int(side) for side in found["shape"].split(",") if side.strip())
    if 10 + length + math.prod(shape) * np.dtype(found["kind"]).itemsize != size:
        raise ValueError("it has not the size that its header says")
    return shape


def write_tensors(path: Path, tensors: dict[str, Tensor]) -> None:
    """Tensors as safetensors, atomically."""
    contiguous = {key: value.detach().cpu().contiguous() for key, value in tensors.items()}
    write_bytes(path, safetensors.torch.save(contiguous))


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file, on the CPU.

    Raises:
        RunError: Missing, cut short or foreign; the sentence names the file.
    """
    try:
        return safetensors.torch.load(read_bytes(path, TENSOR_BYTES))
    except (ValueError, safetensors.SafetensorError) as error:
        raise RunError(f"{path} cannot be read ({error}); delete it to make it again") from error


class CheckpointFile:
    """The state of one stage under way: tensors first, then a JSON file that names them by SHA-256.

    The JSON is the commit: tensors without it, or of another digest, are ignored and the state before is used. So a
    process killed at any moment leaves the last state or the one before. A damaged state is never used, and a warning
    says what is used instead.

    Args:
        folder: Where the two newest states lie.
        key: Identity of the training; a state of another one is never loaded.
    """

    def __init__(self, folder: Path, key: str):
        self.folder, self.key = folder, key

    def save(self, values: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        data = safetensors.torch.save({k: v.detach().cpu().contiguous() for k, v in tensors.items()})
        sha = digest(data)
        name = f"{values['epoch']:05d}-{values['steps_done']:07d}-{sha[:8]}.safetensors"
        previous = self._commit()
        write_bytes(self.folder / name, data)
        write_json(
            self.folder / "state.json",
            {"format": FORMAT, "key": self.key, "tensors": name, "sha256": sha, "values": values},
        )
        keep = {name, previous["tensors"] if previous else name}
        for old in self.folder.glob("*.safetensors"):
            if old.name not in keep:
                old.unlink(missing_ok=True)
        if previous:
            write_json(self.folder / "previous.json", previous)

    def load(self) -> tuple[dict[str, Any], dict[str, Tensor]] | None:
        """The newest whole state of this training as JSON-ready values and tensors, or None.

        Raises:
            RunError: The state was written by a newer version.
        """
        names = ("state.json", "previous.json")
        for name in names:
            commit = self._commit(name)
            if commit is None:
                continue
            with contextlib.suppress(RunError, ValueError, KeyError, TypeError, safetensors.SafetensorError):
                data = read_bytes(self.folder / commit["tensors"], TENSOR_BYTES)
                if digest(data) == commit["sha256"]:
                    state = commit["values"], safetensors.torch.load(data)
                    if name != names[0]:
                        warnings.warn(
                            f"the newest state in {self.folder} is damaged; going on from the one before", stacklevel=2
                        )
                    return state
        if any((self.folder / name).exists() for name in names):
            warnings.warn(f"no state in {self.folder} is whole; starting again", stacklevel=2)
        return None

    def _commit(self, name: str = "state.json") -> dict[str, Any] | None:
        try:
            commit = read_json(self.folder / name)
            version, key = commit["format"], commit["key"]
        except (RunError, KeyError, TypeError):
            return None
        if version != FORMAT:
            raise RunError(
                f"{self.folder / name} has format {version}, this version reads {FORMAT}; use the ltlib that made it, "
                f"or delete {self.folder} to start again"
            )
        return commit if key == self.key else None

"""The file of an archive of runs: a tar, read header by header, of which only plain files of known names are taken.

No extension of the format is followed (links, devices, long names, sparse files), so what is written has the size that
stands in the archive, and lies where its name, compared with a pattern, says.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import shutil
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from ltlib import places, sealed
from ltlib.errors import RunError
from ltlib.files import JSON_BYTES, file_digest, json_of, new_file
from ltlib.version import __version__

FORMAT = 1
MANIFEST = "ltlib-archive.json"
_ARRAYS = 1 << 28
_IN_RUN = {"run.json": JSON_BYTES, "history.csv": JSON_BYTES, "metrics.json": JSON_BYTES, "targets.npy": _ARRAYS}
_IN_STAGE = {
    **{f"{name}.safetensors": sealed.TENSOR_BYTES - 1 for name in ("weights", "selected", "logits", "held_out")},
    "history.csv": JSON_BYTES,
    "outcome.json": JSON_BYTES,
}
IN_RECORDS = {".npz": _ARRAYS, ".json": JSON_BYTES}  # the JSON last: it makes the record one
_NAME = re.compile(
    r"(?P<kind>runs|stages)/(?P<id>[0-9a-f]{12})/(?P<file>[a-z_]+\.[a-z]+|DONE)"
    rf"|records/(?P<profile>{'|'.join(places.RECORDED)})/(?P<record>[0-9a-f]{{12}})(?P<ending>\.[a-z]+)"
)
_BLOCK = tarfile.BLOCKSIZE
_CHUNK = 1 << 20
_AGAIN = "make or fetch the archive again"


def write(file: Path, members: Mapping[str, Path]) -> None:
    """Write files into an archive, without times and owners.

    Args:
        file: The archive.
        members: The files by their names in it.

    Raises:
        RunError: A file is too large, gone, or the archive cannot be written.
    """
    try:
        sizes = {name: path.stat().st_size for name, path in members.items()}
        for name, size in sizes.items():
            if size > (most := _most(name)):
                raise RunError(f"{members[name]} has {size:,} bytes; an archive takes at most {most:,}")
        listed = {name: {"size": sizes[name], "sha256": file_digest(path)} for name, path in members.items()}
        manifest = json.dumps({"format": FORMAT, "ltlib": __version__, "files": listed}, indent=1).encode()
        with new_file(file) as out, tarfile.open(fileobj=out, mode="w:", format=tarfile.USTAR_FORMAT) as tar:
            _add(tar, MANIFEST, len(manifest), io.BytesIO(manifest))
            for name, path in members.items():
                with path.open("rb") as stream:
                    _add(tar, name, sizes[name], stream)
    except OSError as error:
        raise RunError(f"cannot write {file}: {error.strerror or error}") from error


def _add(tar: tarfile.TarFile, name: str, size: int, stream: IO[bytes]) -> None:
    info = tarfile.TarInfo(name)  # without time and owner
    info.size = size
    tar.addfile(info, stream)


def _most(name: str) -> int:
    """The most bytes a member of that name may have; 0 where no run has such a file."""
    found = _NAME.fullmatch(name)
    if found is None:
        return 0
    if found["kind"] is None:
        return IN_RECORDS.get(found["ending"], 0)
    own = _IN_RUN if found["kind"] == "runs" else _IN_STAGE
    return (own | {"DONE": sealed.DONE_BYTES}).get(found["file"], 0)


def is_record(name: str) -> bool:
    return name.startswith("records/")


def ids(listed: Mapping[str, Any], kind: str) -> list[str]:
    """The runs or stages of an archive, in its order."""
    return list(dict.fromkeys(name.split("/")[1] for name in listed if name.startswith(kind)))


def read(stream: IO[bytes], file: Path, scratch: Path) -> dict[str, str]:
    """Write an archive's members under `scratch`, where they lie as in a folder of runs; their names and SHA-256.

    Raises:
        RunError: Something in the archive is not what its list says, or nothing that a run has.
    """
    members = _headers(stream, file)
    name, size = next(members, ("", 0))
    if name != MANIFEST:
        raise RunError(f"{file} is no archive of runs: it does not begin with {MANIFEST}")
    listed = _listed(stream, size, file)
    needed, free = sum(known for known, _ in listed.values()), shutil.disk_usage(scratch).free
    if needed > free:
        raise RunError(f"{file} holds {needed:,} bytes and {scratch.parent} has room for {free:,}; it was not unpacked")
    waiting = dict(listed)
    for name, size in members:
        if name not in waiting:
            raise RunError(f"{file} holds {name!r}, which is not in its list or there twice; it was not unpacked")
        if (size, _copied(stream, size, scratch / inside(name))) != waiting.pop(name):
            raise RunError(f"{name} in {file} has changed since it was packed; {_AGAIN}")
    if waiting:
        raise RunError(f"{file} is not whole: {next(iter(waiting))} is missing; {_AGAIN}")
    return {name: sha for name, (_, sha) in listed.items()}


def _headers(stream: IO[bytes], file: Path) -> Iterator[tuple[str, int]]:
    """Names and sizes of a tar's members, with the stream at the beginning of each one's bytes."""
    while True:
        block = stream.read(_BLOCK)
        if len(block) < _BLOCK:
            raise RunError(f"{file} is no archive of runs, or cut short; {_AGAIN}")
        if not any(block):
            return
        try:
            info = tarfile.TarInfo.frombuf(block, "ascii", "strict")
        except (tarfile.TarError, ValueError) as error:
            raise RunError(f"{file} is no archive of runs, or damaged ({error}); {_AGAIN}") from error
        if info.type != tarfile.REGTYPE:
            raise RunError(f"{file} holds {info.name!r}, which is no plain file; it was not unpacked")
        most = JSON_BYTES if info.name == MANIFEST else _most(info.name)
        if not most:
            raise RunError(f"{file} holds {info.name!r}, which is no file of a run; it was not unpacked")
        if not 0 <= info.size <= most:
            raise RunError(f"{file} holds {info.name} of {info.size:,} bytes, at most {most:,}; it was not unpacked")
        after = stream.tell() + -(-info.size // _BLOCK) * _BLOCK
        yield info.name, info.size
        stream.seek(after)


def _listed(stream: IO[bytes], size: int, file: Path) -> dict[str, tuple[int, str]]:
    """What an archive says it holds: names to size and SHA-256."""
    try:
        said = json_of(stream.read(size))
        version = said["format"]
        listed = {} if version != FORMAT else {n: (f["size"], f["sha256"]) for n, f in said["files"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RunError(f"{file} is no archive of runs this version can read: its list is damaged; {_AGAIN}") from error
    if version != FORMAT:
        raise RunError(f"{file} has format {version}, this version reads {FORMAT}; use the ltlib that made it")
    for name, (known, _) in listed.items():
        if not _most(name) or not isinstance(known, int) or not 0 <= known <= _most(name):
            raise RunError(f"{file} lists {name!r} of {known} bytes, which is no file of a run; it was not unpacked")
    return listed


def inside(name: str) -> str:
    """Where a member lies in a folder of runs; its name has been compared with `_NAME`."""
    if is_record(name):
        _, profile, own = name.split("/")
        return f"beside/{profile}/records/{own}"
    return name.removeprefix("runs/")


def _copied(stream: IO[bytes], size: int, place: Path) -> str:
    """Write the next bytes of a stream to a file; their SHA-256."""
    sha = hashlib.sha256()
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.open("xb") as out:
        while size and (data := stream.read(min(size, _CHUNK))):
            sha.update(data)
            out.write(data)
            size -= len(data)
    return sha.hexdigest() if not size else ""

"""Fetching an archive and unpacking it, so that what stands at its place is always whole.

Only https, redirects included. A download goes to ``NAME.part``, is resumed from there, and gets its name when size and
checksum are right. An archive is unpacked beside its place and renamed when every file has its checksum.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import http.client
import re
import tarfile
import time
import urllib.error
import urllib.parse
import urllib.request
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ltlib.errors import DataError, LtlibError
from ltlib.files import file_digest, new_folder
from ltlib.progress import Progress

# Called with a request and a timeout in seconds; returns a response with .status, .headers and .read(size).
Opener = Callable[..., Any]

TIMEOUT = 30.0  # seconds without a byte
ATTEMPTS = 3  # per address
PIECE = 1 << 20


@dataclass(frozen=True)
class Archive:
    """A file on the network.

    Attributes:
        name: File name.
        urls: Where to get it, tried in this order; https only.
        size: Bytes; None where only the server says it.
        md5: Checksum; empty where `sha256` is known.
        sha256: Another checksum, or its first digits.
        max_bytes: Most bytes its members may have unpacked.
        max_members: Most members it may have.
    """

    name: str
    urls: tuple[str, ...]
    size: int | None
    md5: str
    sha256: str = ""
    max_bytes: int = 1 << 30
    max_members: int = 10_000


class _HttpsOnly(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        _check_https(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def fetch(
    archive: Archive, root: Path, *, opener: Opener | None = None, pause: Callable[[float], None] = time.sleep
) -> Path:
    """Download an archive into a folder and return its path.

    Args:
        archive: What to download.
        root: Folder; made if it is missing.
        opener: Opens a `urllib.request.Request`; the default follows https redirects only.
        pause: Waits between two attempts, in seconds.

    Raises:
        DataError: No address gave the whole file. What was received stays in ``NAME.part`` and is resumed next time,
            unless it was the wrong file.
    """
    for url in archive.urls:
        _check_https(url)
    if opener is None:
        opener = urllib.request.build_opener(_HttpsOnly).open
    place, part = root / archive.name, root / f"{archive.name}.part"
    said = "no address is known"
    for url in archive.urls:
        for attempt in range(ATTEMPTS):
            try:
                root.mkdir(parents=True, exist_ok=True)
                said = _receive(url, archive, part, opener)
                if not said:
                    part.replace(place)
                    return place
            except LtlibError:
                raise
            except urllib.error.HTTPError as error:
                said = f"{url} answered {error.code} {error.reason}"
                if error.code == 416:  # what is there already is longer than the file
                    part.unlink(missing_ok=True)
                elif 400 <= error.code < 500 and error.code not in (408, 429):
                    break
            except (urllib.error.URLError, TimeoutError, ConnectionError, http.client.HTTPException) as error:
                said = f"{url}: {getattr(error, 'reason', error) or type(error).__name__}"
            except OSError as error:
                raise DataError(f"cannot write {part}: {error.strerror or error}") from error
            if attempt + 1 < ATTEMPTS:
                pause(2.0**attempt)
    raise DataError(f"{archive.name} could not be downloaded ({said}); try again, or put the file at {place} yourself")


def _receive(url: str, archive: Archive, part: Path, opener: Opener) -> str:
    """Receive what is missing of a file. Returns what went wrong, or an empty text when the file is whole and right."""
    have = part.stat().st_size if part.exists() else 0
    size = archive.size
    if size is not None and have > size:
        part.unlink()
        have = 0
    if size is None or have < size:
        request = urllib.request.Request(url, headers={"User-Agent": "ltlib"} | _range(have))
        with contextlib.closing(opener(request, timeout=TIMEOUT)) as response:
            if have and not _continues(response, have):
                have = 0
            size = _said_size(response, have) if size is None else size
            progress = Progress(size >> 20, f"{archive.name} (MiB)")
            progress.done = have >> 20
            with part.open("ab" if have else "wb") as stream:
                while piece := response.read(PIECE):
                    have += len(piece)
                    if have > size:
                        break
                    stream.write(piece)
                    progress.step(count=(have >> 20) - progress.done)
    if have < size:
        return f"{url} sent {have:,} of {size:,} bytes"
    if have > size or not _checked(part, archive):
        part.unlink()
        return f"{url} sent another file than the known one"
    return ""


def _range(have: int) -> dict[str, str]:
    return {"Range": f"bytes={have}-"} if have else {}


def _continues(response: Any, have: int) -> bool:
    """Whether the server sends the rest from where we are; many send the whole file again."""
    start = re.match(r"bytes (\d+)-", response.headers.get("Content-Range") or "")
    return response.status == 206 and start is not None and int(start.group(1)) == have


def _said_size(response: Any, have: int) -> int:
    """Bytes of the whole file by the server's headers."""
    try:
        return have + int(response.headers["Content-Length"])
    except (TypeError, ValueError):
        raise http.client.HTTPException("the server does not say how long the file is") from None


def extract(path: Path, place: Path, archive: Archive, files: Mapping[str, str]) -> None:
    """Unpack a tar.gz whose members lie in one folder, and put that folder at `place` if it is whole.

    Only files and folders are accepted, and only inside that folder.

    Args:
        path: The archive.
        place: The folder to make; one that is there already is replaced.
        archive: Limits on members and bytes.
        files: File name to MD5 of what must be in it.

    Raises:
        DataError: Cut short, damaged, over a limit, a member that would leave the folder, or a file that is missing or
            wrong. `place` is as it was before.
    """
    advice = f"delete {path} and run the download again"
    try:
        with new_folder(place) as folder, tarfile.open(path, "r:gz") as tar:
            members = size = 0
            for member in tar:
                members, size = members + 1, size + max(member.size, 0)
                if members > archive.max_members or size > archive.max_bytes:
                    raise DataError(
                        f"{path} unpacks to more than {archive.max_members:,} files or {archive.max_bytes:,} bytes; "
                        "it is not the known archive and was not unpacked"
                    )
                inside = _inside(member, place.name, folder)
                if inside is None:
                    raise DataError(
                        f"{path} holds {member.name!r}, which would leave {place.name}; it is not the known archive "
                        "and was not unpacked"
                    )
                if inside:
                    tar.extract(member.replace(name=inside, deep=False), folder, filter="data")
            for name, md5 in files.items():
                if not (folder / name).is_file() or file_md5(folder / name) != md5:
                    raise DataError(f"{path} does not hold the known {name}; {advice}")
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path} is cut short or damaged ({error}); {advice}") from error
    except OSError as error:
        raise DataError(f"cannot unpack {path} to {place}: {error.strerror or error}") from error


def _inside(member: tarfile.TarInfo, top: str, folder: Path) -> str | None:
    """The member's name inside the archive's one folder ("" for the folder itself), or None where it is refused."""
    if not (member.isreg() or member.isdir()):
        return None
    try:
        tarfile.data_filter(member, str(folder))
    except tarfile.FilterError:
        return None
    first, _, rest = member.name.removeprefix("./").partition("/")
    return rest if first == top and ".." not in rest.split("/") else None


@contextlib.contextmanager
def lock(root: Path, name: str, variable: str = "LTLIB_DATA") -> Iterator[None]:
    """Hold the lock of a data set: a second process waits here; a dead one's lock is free.

    Args:
        root: The folder the set is in.
        name: The set.
        variable: What moves that folder, for the sentence.
    """
    import filelock

    try:
        root.mkdir(parents=True, exist_ok=True)
        held = filelock.FileLock(root / f".{name}.lock")
        held.acquire()
    except OSError as error:
        raise DataError(
            f"cannot write in {root}: {error.strerror or error}; set {variable} to a folder of yours"
        ) from None
    try:
        yield
    finally:
        held.release()


def intact(path: Path, archive: Archive) -> bool:
    """Whether a file is this archive, by size and checksum."""
    return archive.size in (None, path.stat().st_size) and _checked(path, archive)


def _checked(path: Path, archive: Archive) -> bool:
    if archive.md5 and file_md5(path) != archive.md5:
        return False
    assert archive.md5 or archive.sha256, f"no checksum of {archive.name} is known"
    return not archive.sha256 or file_digest(path).startswith(archive.sha256)


def file_md5(path: Path) -> str:
    """MD5 of a file, in hexadecimal: it is what the sets' authors publish."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _check_https(url: str) -> None:
    if urllib.parse.urlsplit(url).scheme != "https":
        raise DataError(f"{url} is not https; it was not opened")

"""Downloads and archives with everything that goes wrong, without a network."""

from __future__ import annotations

import hashlib
import io
import random
import tarfile
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from email.message import Message
from pathlib import Path

import pytest

from ltlib.datasets import download
from ltlib.datasets.download import Archive, extract, fetch
from ltlib.errors import DataError, LtlibError

BODY = bytes(range(256)) * 4096 * 3  # 3 MiB: several pieces
URL = "https://example.org/set.tar.gz"


def md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


ARCHIVE = Archive("set.tar.gz", (URL,), len(BODY), md5(BODY))


class Response:
    def __init__(self, body: bytes, status: int = 200, content_range: str | None = None, fail: Exception | None = None):
        self.status, self._stream, self._fail = status, io.BytesIO(body), fail
        self.headers = Message()
        if content_range:
            self.headers["Content-Range"] = content_range

    def read(self, size: int) -> bytes:
        piece = self._stream.read(size)
        if not piece and self._fail:
            raise self._fail
        return piece

    def close(self) -> None:
        self._stream.close()


class Server:
    """Answers requests one after the other; remembers what was asked."""

    def __init__(self, *answers: Callable[[int], Response] | Exception):
        self.answers, self.asked = list(answers), []

    def __call__(self, request: urllib.request.Request, timeout: float) -> Response:
        assert 0 < timeout <= 60
        start = int((request.get_header("Range") or "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        self.asked.append((request.full_url, start))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer(start)


def whole(start: int) -> Response:
    return Response(BODY[start:], 206, f"bytes {start}-{len(BODY) - 1}/{len(BODY)}") if start else Response(BODY)


def get(server: Server, root: Path, archive: Archive = ARCHIVE) -> Path:
    return fetch(archive, root, opener=server, pause=lambda _: None)


def left(root: Path) -> list[str]:
    return sorted(path.name for path in root.iterdir())


def test_fetch(tmp_path: Path) -> None:
    path = get(Server(whole), tmp_path / "new")
    assert path.read_bytes() == BODY
    assert left(tmp_path / "new") == ["set.tar.gz"]


def test_a_broken_connection_is_resumed(tmp_path: Path) -> None:
    server = Server(
        lambda start: Response(BODY[:1_000_000], fail=ConnectionResetError("reset by peer")),
        lambda start: Response(BODY[start:2_000_000], 206, f"bytes {start}-{len(BODY) - 1}/{len(BODY)}"),
        whole,
    )
    assert get(server, tmp_path).read_bytes() == BODY
    assert [start for _, start in server.asked] == [0, 1_000_000, 2_000_000]


def test_a_later_process_resumes(tmp_path: Path) -> None:
    def half(start: int) -> Response:
        return Response(BODY[start : start + 500_000], 206, f"bytes {start}-", TimeoutError("timed out"))

    with pytest.raises(DataError, match="timed out"):
        get(Server(half, half, half), tmp_path)
    assert left(tmp_path) == ["set.tar.gz.part"]
    server = Server(whole)
    assert get(server, tmp_path).read_bytes() == BODY
    assert [start for _, start in server.asked] == [1_500_000]


def test_a_server_that_cannot_resume_sends_all_again(tmp_path: Path) -> None:
    (tmp_path / "set.tar.gz.part").write_bytes(b"x" * 1000)
    assert get(Server(lambda start: Response(BODY)), tmp_path).read_bytes() == BODY


def test_a_wrong_start_is_not_trusted(tmp_path: Path) -> None:
    (tmp_path / "set.tar.gz.part").write_bytes(BODY[:1000])
    server = Server(lambda start: Response(BODY, 206, f"bytes 0-{len(BODY) - 1}/{len(BODY)}"))
    assert get(server, tmp_path).read_bytes() == BODY


@pytest.mark.parametrize("body", [b"<html>404</html>" * 10, BODY[:-1] + b"?", BODY + b"more"])
def test_another_file_never_gets_the_name(tmp_path: Path, body: bytes) -> None:
    with pytest.raises(DataError, match=r"could not be downloaded \(https://example.org/set.tar.gz sent"):
        get(Server(*[lambda start: Response(body)] * 3), tmp_path)
    assert "set.tar.gz" not in left(tmp_path)


def test_mirrors_and_answers(tmp_path: Path) -> None:
    mirror = "https://mirror.example.org/set.tar.gz"
    archive = Archive(ARCHIVE.name, (URL, mirror), ARCHIVE.size, ARCHIVE.md5)
    gone = urllib.error.HTTPError(URL, 404, "Not Found", Message(), None)
    server = Server(gone, whole)
    assert get(server, tmp_path, archive).read_bytes() == BODY
    assert [url for url, _ in server.asked] == [URL, mirror]  # a 404 is not asked twice
    server = Server(*[urllib.error.URLError("no route to host")] * 6)
    with pytest.raises(DataError, match=r"no route to host.*put the file at"):
        get(server, tmp_path / "b", archive)
    assert len(server.asked) == 6


def test_only_https(tmp_path: Path) -> None:
    server = Server(whole)
    with pytest.raises(DataError, match=r"http://example.org/a is not https; it was not opened"):
        get(server, tmp_path, Archive("a", ("http://example.org/a",), 1, ""))
    assert server.asked == []
    handler = download._HttpsOnly()
    request = urllib.request.Request(URL)
    with pytest.raises(DataError, match="not https"):
        handler.redirect_request(request, None, 302, "Found", Message(), "http://example.org/a")
    followed = handler.redirect_request(request, None, 302, "Found", Message(), "https://example.org/b")
    assert followed is not None
    assert followed.full_url == "https://example.org/b"


def test_no_place_to_write(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot write"):
        get(Server(whole), tmp_path / "file" / "below")
    with pytest.raises(DataError, match="cannot write"), download.lock(tmp_path / "file", "set"):
        pass


def test_the_lock_lets_one_in(tmp_path: Path) -> None:
    order: list[str] = []
    inside = threading.Event()

    def second() -> None:
        inside.wait(5)
        with download.lock(tmp_path, "set"):
            order.append("second")

    thread = threading.Thread(target=second)
    thread.start()
    with download.lock(tmp_path, "set"):
        inside.set()
        thread.join(0.3)
        assert thread.is_alive()  # waits
        order.append("first")
    thread.join(5)
    assert order == ["first", "second"]


FILES = {"data": random.Random(0).randbytes(6000), "meta": b"names"}
KNOWN = {name: md5(data) for name, data in FILES.items()}


def member(name: str, data: bytes = b"", **changes: object) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for key, value in changes.items():
        setattr(info, key, value)
    return info, data


def pack(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for info, data in members:
            tar.addfile(info, io.BytesIO(data))
    return path


GOOD = [member("set", type=tarfile.DIRTYPE, mode=0o755), *[member(f"set/{name}", data) for name, data in FILES.items()]]


def test_extract(tmp_path: Path) -> None:
    path = pack(tmp_path / "set.tar.gz", *GOOD)
    extract(path, tmp_path / "set", ARCHIVE, KNOWN)
    assert {file.name: file.read_bytes() for file in (tmp_path / "set").iterdir()} == FILES
    (tmp_path / "set" / "data").write_bytes(b"damaged")
    extract(path, tmp_path / "set", ARCHIVE, KNOWN)  # repairs
    assert (tmp_path / "set" / "data").read_bytes() == FILES["data"]
    assert left(tmp_path) == ["set", "set.tar.gz"]


@pytest.mark.parametrize(
    "bad",
    [
        member("../../outside", b"x"),
        member("set/../../outside", b"x"),
        member("/tmp/outside", b"x"),
        member("other/outside", b"x"),
        member("set/link", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
        member("set/link", type=tarfile.LNKTYPE, linkname="set/data"),
        member("set/device", type=tarfile.CHRTYPE),
        member("set/pipe", type=tarfile.FIFOTYPE),
    ],
    ids=lambda bad: f"{bad[0].name}-{bad[0].type.decode()}",
)
def test_members_that_leave_the_folder(tmp_path: Path, bad: tuple[tarfile.TarInfo, bytes]) -> None:
    root = tmp_path / "a" / "b"
    root.mkdir(parents=True)
    path = pack(root / "set.tar.gz", *GOOD, bad)
    with pytest.raises(DataError, match="would leave set") as caught:
        extract(path, root / "set", ARCHIVE, KNOWN)
    assert repr(bad[0].name) in str(caught.value)
    assert (left(tmp_path), left(tmp_path / "a"), left(root)) == (["a"], ["b"], ["set.tar.gz"])


# --- a file of which only the first digits of the sha256 are known ---------------------------------------------------

SHA256 = hashlib.sha256(BODY).hexdigest()
KNOWN_BY_SHA256 = Archive("set.tar.gz", (URL,), None, "", sha256=SHA256[:8])


def sized(start: int) -> Response:
    response = whole(start)
    response.headers["Content-Length"] = str(len(BODY) - start)
    return response


def sized_but_cut(start: int) -> Response:
    response = Response(BODY[: len(BODY) // 2])
    response.headers["Content-Length"] = str(len(BODY))
    return response


def other_file(start: int) -> Response:
    response = Response(b"<html>not found</html>")
    response.headers["Content-Length"] = "22"
    return response


def test_a_sha256_is_enough(tmp_path: Path) -> None:
    path = get(Server(sized), tmp_path, KNOWN_BY_SHA256)
    assert path.read_bytes() == BODY
    assert download.intact(path, KNOWN_BY_SHA256)
    path.write_bytes(BODY[:-1])
    assert not download.intact(path, KNOWN_BY_SHA256)


def test_without_a_size_it_is_resumed_too(tmp_path: Path) -> None:
    server = Server(sized_but_cut, sized)
    assert get(server, tmp_path, KNOWN_BY_SHA256).read_bytes() == BODY
    assert [start for _, start in server.asked] == [0, len(BODY) // 2]


@pytest.mark.parametrize(
    ("answer", "said"), [(other_file, "sent another file than the known one"), (whole, "does not say how long")]
)
def test_without_a_size_a_wrong_file_is_refused(tmp_path: Path, answer: Callable[[int], Response], said: str) -> None:
    with pytest.raises(DataError, match=said):
        get(Server(*[answer] * 3), tmp_path, KNOWN_BY_SHA256)
    assert "set.tar.gz" not in left(tmp_path)


@pytest.mark.parametrize("limits", [{"max_bytes": 1000}, {"max_members": 2}])
def test_bombs(tmp_path: Path, limits: dict[str, int]) -> None:
    path = pack(tmp_path / "set.tar.gz", *GOOD)
    with pytest.raises(DataError, match="unpacks to more than"):
        extract(path, tmp_path / "set", Archive("set.tar.gz", (), 0, "", **limits), KNOWN)
    assert left(tmp_path) == ["set.tar.gz"]


def test_cut_short_or_not_an_archive(tmp_path: Path) -> None:
    path = pack(tmp_path / "set.tar.gz", *GOOD)
    data = path.read_bytes()
    place = tmp_path / "set"
    place.mkdir()
    (place / "mine").write_text("keep")
    for length in (0, 5, 40, len(data) // 2, len(data) * 9 // 10):
        path.write_bytes(data[:length])
        with pytest.raises(DataError, match=r"delete .*set.tar.gz and run the download again") as caught:
            extract(path, place, ARCHIVE, KNOWN)
        assert "\n" not in str(caught.value)
        assert left(place) == ["mine"]  # nothing half written
        assert left(tmp_path) == ["set", "set.tar.gz"]
    path.write_text("<html>not found</html>")
    with pytest.raises(DataError, match="cut short or damaged"):
        extract(path, place, ARCHIVE, KNOWN)


def test_a_file_that_is_missing_or_wrong_inside(tmp_path: Path) -> None:
    for members in (GOOD[:-1], [*GOOD[:-1], member("set/meta", b"other")]):
        path = pack(tmp_path / "set.tar.gz", *members)
        with pytest.raises(DataError, match="does not hold the known meta"):
            extract(path, tmp_path / "set", ARCHIVE, KNOWN)
        assert left(tmp_path) == ["set.tar.gz"]


def test_no_archive(tmp_path: Path) -> None:
    with pytest.raises(LtlibError, match="cannot unpack"):
        extract(tmp_path / "none", tmp_path / "set", ARCHIVE, KNOWN)

"""Digests of image files: what decides is in the files, whatever their names, sizes and times say."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from pathlib import Path

import pytest

from ltlib.datasets import contents
from ltlib.errors import DataError


@pytest.fixture(autouse=True)
def fresh() -> None:
    contents.forget()


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that are read, in the order they are."""
    seen: list[str] = []
    read = contents.file_digest

    def watched(path: Path) -> str:
        seen.append(path.name)
        return read(path)

    monkeypatch.setattr(contents, "file_digest", watched)
    return seen


def settle(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if a minute had gone by since the files were written."""
    later = time.time_ns() + 60_000_000_000
    monkeypatch.setattr(contents.time, "time_ns", lambda: later)


def write(folder: Path, **files: bytes) -> list[str]:
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return list(files)


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_each_file_is_read_once(tmp_path: Path, reads: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    names = write(tmp_path, b=b"two", a=b"one")
    settle(monkeypatch)
    for _ in range(2):
        assert contents.digests(tmp_path, names) == [sha(b"two"), sha(b"one")]
    assert sorted(reads) == ["a", "b"]
    contents._memory.clear()  # another process
    assert contents.digests(tmp_path, names[::-1]) == [sha(b"one"), sha(b"two")]
    assert sorted(reads) == ["a", "b"]
    contents.forget(tmp_path)
    contents.digests(tmp_path, names)
    assert sorted(reads) == ["a", "a", "b", "b"]


def test_a_file_written_a_moment_ago_is_read_again(tmp_path: Path, reads: list[str]) -> None:
    names = write(tmp_path, a=b"one")
    contents.digests(tmp_path, names)
    contents.digests(tmp_path, names)
    assert reads == ["a", "a"]


@pytest.mark.parametrize("how", ["in place", "another file in its place", "times set back"])
def test_an_edit_of_the_same_size_is_noticed(tmp_path: Path, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    names = write(tmp_path, a=b"one", b=b"two")
    settle(monkeypatch)
    before = contents.digests(tmp_path, names)
    old = (tmp_path / "a").stat()
    if how == "another file in its place":  # what rsync -t does
        (tmp_path / "new").write_bytes(b"ONE")
        os.utime(tmp_path / "new", ns=(old.st_atime_ns, old.st_mtime_ns))
        (tmp_path / "new").replace(tmp_path / "a")
    else:
        time.sleep(0.02)  # the kernel's clock ticks
        (tmp_path / "a").write_bytes(b"ONE")
        if how == "times set back":  # what touch -r does
            os.utime(tmp_path / "a", ns=(old.st_atime_ns, old.st_mtime_ns))
    assert contents.digests(tmp_path, names) == [sha(b"ONE"), before[1]]


def test_a_damaged_cache_is_not_used(tmp_path: Path, reports: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = write(tmp_path, a=b"one")
    settle(monkeypatch)
    contents.digests(tmp_path, names)
    (file,) = (reports / "cache" / "contents").iterdir()
    for damage in (
        b"",
        b"[]",
        b'{"format": 1}',
        file.read_bytes()[:-9],
        file.read_bytes().replace(sha(b"one").encode(), b"1"),
    ):
        contents._memory.clear()
        file.write_bytes(damage)
        assert contents.digests(tmp_path, names) == [sha(b"one")]


def test_the_place_of_the_cache_is_that_of_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "one").mkdir()
    names = write(tmp_path / "one", a=b"one")
    settle(monkeypatch)
    contents.digests(tmp_path / "one", names)
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    (tmp_path / "two" / "a").write_bytes(b"two")
    assert contents.digests(tmp_path / "two", names) == [sha(b"two")]


def test_of_a_folder_that_is_no_set_the_other_files_are_kept_in_mind(
    tmp_path: Path, reads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "ab":
        (tmp_path / name).write_text(name)
    settle(monkeypatch)
    for _ in range(2):
        for name in "ab":
            (found,) = contents.digests(tmp_path, [name], others=True)
            assert found == hashlib.sha256(name.encode()).hexdigest()
    assert reads == ["a", "b"]


def test_one_digest_of_a_set() -> None:
    one = contents.of_set(["a", "b"], ["1", "2"])
    assert one == contents.of_set(["b", "a"], ["2", "1"])
    others = {
        contents.of_set(names, values)
        for names, values in (
            (["a", "b"], ["2", "1"]),
            (["a", "c"], ["1", "2"]),
            (["a"], ["1"]),
            (["caf\udce9"], ["1"]),
        )
    }
    assert len(others | {one}) == 5


def test_files_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "gone.png")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for name, sentence in (
        ("none", "image 1, .*none, is missing; restore it"),
        ("link", r"image 1, .*link, is a link to .*gone.png, which is not there; restore that file or remove the link"),
        ("folder", "image 1, .*folder, is no plain file"),
        ("pipe", "image 1, .*pipe, is no plain file"),
    ):
        with pytest.raises(DataError, match=sentence):
            contents.digests(tmp_path, [*write(tmp_path, a=b"one"), name])

    def barred(path: Path) -> str:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(contents, "file_digest", barred)
    with pytest.raises(
        DataError, match=r"image 0, .*/a, cannot be read \(Permission denied\); give yourself the right"
    ):
        contents.digests(tmp_path, ["a"])

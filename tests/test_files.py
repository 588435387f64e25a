"""Files are whole or not there: failures at every step leave the old file and nothing else."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from ltlib import files
from ltlib.errors import RunError


def failing(error: BaseException) -> Any:
    def fail(*args: object, **kwargs: object) -> None:
        raise error

    return fail


FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
STEPS = ["fdopen", "fsync", "chmod", "replace"]


@pytest.mark.parametrize("step", STEPS)
def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    place = tmp_path / "a.txt"
    files.write_text(place, "old")
    with monkeypatch.context() as patch:
        patch.setattr(os, step, failing(FULL))
        with pytest.raises(RunError, match=r"cannot write .*a\.txt \(3 bytes\): No space left"):
            files.write_text(place, "new")
    assert place.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["a.txt"]


def test_a_full_disk_in_the_middle_of_the_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "a.bin"
    files.write_bytes(place, b"old")
    opened = os.fdopen

    class Full:
        def __init__(self, handle: int, mode: str) -> None:
            self.stream = opened(handle, mode)

        def __enter__(self) -> Full:
            return self

        def __exit__(self, *_: object) -> None:
            self.stream.close()

        def write(self, data: bytes) -> None:
            self.stream.write(data[: len(data) // 2])
            raise FULL

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdopen", Full)
        with pytest.raises(RunError, match="No space left"):
            files.write_bytes(place, b"new data")
    assert place.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [place]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_an_interrupt_leaves_the_old_file_and_passes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    place = tmp_path / "a.txt"
    files.write_text(place, "old")
    with monkeypatch.context() as patch:
        patch.setattr(os, step, failing(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            files.write_text(place, "new")
    assert place.read_text() == "old"
    assert list(tmp_path.iterdir()) == [place]


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot write"):
        files.write_text(tmp_path / "file" / "below.txt", "x")
    with pytest.raises(RunError, match="cannot write in"), files.new_folder(tmp_path / "file" / "below"):
        pass


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_files_and_folders_follow_the_umask(tmp_path: Path, mask: int, mode: int) -> None:
    before = os.umask(mask)
    try:
        files.write_text(tmp_path / "a", "x")
        with files.new_folder(tmp_path / "b"):
            pass
        assert os.umask(mask) == mask  # looking at it has not changed it
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == mode
    assert stat.S_IMODE((tmp_path / "b").stat().st_mode) == 0o777 & ~mask


def test_json_refuses_nan_and_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        files.write_json(tmp_path / "a.json", {"x": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_canonical_json_does_not_depend_on_order() -> None:
    assert files.canonical_json({"b": 1, "a": [1.5, None]}) == '{"a":[1.5,null],"b":1}'
    assert files.digest("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", None])
def test_unreadable_json_names_the_file(tmp_path: Path, content: bytes | None) -> None:
    place = tmp_path / "a.json"
    if content is not None:
        place.write_bytes(content)
    with pytest.raises(RunError, match=r"a\.json"):
        files.read_json(place)


def folder_of(place: Path) -> dict[str, str]:
    return {file.name: file.read_text() for file in place.iterdir()}


def test_a_new_folder_appears_whole(tmp_path: Path) -> None:
    place = tmp_path / "deep" / "run"
    with files.new_folder(place) as folder:
        (folder / "a").write_text("1")
        assert not place.exists()
        assert files.is_temporary(folder)
    assert folder_of(place) == {"a": "1"}
    with files.new_folder(place) as folder:
        (folder / "b").write_text("2")
    assert folder_of(place) == {"b": "2"}
    assert [item.name for item in place.parent.iterdir()] == ["run"]


def test_a_failing_block_leaves_the_old_folder(tmp_path: Path) -> None:
    place = tmp_path / "run"
    with files.new_folder(place) as folder:
        (folder / "a").write_text("1")

    def interrupted() -> None:
        with files.new_folder(place) as folder:
            (folder / "b").write_text("2")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert folder_of(place) == {"a": "1"}
    assert list(tmp_path.iterdir()) == [place]


@pytest.mark.parametrize("fails_at", [0, 1])
def test_a_rename_that_fails_brings_the_old_folder_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails_at: int
) -> None:
    place = tmp_path / "run"
    with files.new_folder(place) as folder:
        (folder / "a").write_text("1")
    rename, calls = Path.rename, []

    def sometimes(self: Path, target: Path) -> Path:
        calls.append(target)
        if len(calls) - 1 == fails_at:
            raise FULL
        return rename(self, target)

    def replaced() -> None:
        with files.new_folder(place) as folder:
            (folder / "b").write_text("2")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", sometimes)
        with pytest.raises(RunError, match="No space left"):
            replaced()
    assert folder_of(place) == {"a": "1"}
    assert list(tmp_path.iterdir()) == [place]


def test_every_file_of_a_new_folder_is_synced_before_it_appears(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, synced = tmp_path / "run", []

    def record(handle: int) -> None:
        if not place.exists():
            synced.append(Path(f"/proc/self/fd/{handle}").readlink().name)

    monkeypatch.setattr(os, "fsync", record)
    with files.new_folder(place) as folder:
        (folder / "sub").mkdir()
        (folder / "a").write_text("1")
        (folder / "sub" / "b").write_text("1")
    assert {"a", "b"} <= set(synced)


def test_sweep_takes_old_leftovers_only(tmp_path: Path) -> None:
    def leftover(name: str, age: float) -> Path:
        folder = tmp_path / f".ltlib-tmp-{name}"
        folder.mkdir()
        (folder / "x").write_text("1")
        now = folder.stat().st_mtime
        os.utime(folder, (now - age, now - age))
        return folder

    old, young = leftover("old", 7200), leftover("young", 5)
    old_file = tmp_path / ".ltlib-tmp-file"
    old_file.write_text("1")
    os.utime(old_file, (1e9, 1e9))
    other = tmp_path / "result"
    other.mkdir()
    os.utime(other, (1e9, 1e9))
    assert files.sweep(tmp_path) == 2
    assert not old.exists()
    assert not old_file.exists()
    assert young.is_dir()
    assert other.is_dir()
    assert files.sweep(tmp_path, older_than=0) == 1
    assert not young.exists()
    assert files.sweep(tmp_path / "nowhere") == 0


def test_sweep_outlives_a_writer_that_finishes_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / ".ltlib-tmp-gone"
    monkeypatch.setattr(Path, "glob", lambda self, pattern: iter([gone]))
    assert files.sweep(tmp_path, older_than=0) == 0


def test_texts_with_bytes_that_are_no_utf8(tmp_path: Path) -> None:
    value = {"dataset": "folder:caf\udce9 é"}
    files.write_json(tmp_path / "a.json", value)
    assert files.read_json(tmp_path / "a.json") == value
    assert len({files.digest("a\udce9"), files.digest("a\udcea"), files.digest("a\\udce9"), files.digest("a")}) == 4


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_new_file_is_there_when_its_block_ends_well(tmp_path: Path, error: type[BaseException]) -> None:
    place = tmp_path / "below" / "file"
    with files.new_file(place) as stream:
        stream.write(b"one")
        assert not place.exists()
    with pytest.raises(error), files.new_file(place) as stream:  # noqa: PT012
        stream.write(b"two")
        raise error
    assert place.read_bytes() == b"one"
    assert [*place.parent.iterdir()] == [place]

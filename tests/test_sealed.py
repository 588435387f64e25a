"""Sealed folders, locks, checkpoints: what is damaged, foreign or newer is never used, and nothing read runs code."""

from __future__ import annotations

import json
import pickle
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import safetensors.torch
import torch

from ltlib import sealed
from ltlib.errors import LockedError, RunError
from ltlib.sealed import CheckpointFile

HOLD = """
import sys
from pathlib import Path
from ltlib import sealed
with sealed.claim(Path(sys.argv[1]), "run x"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.txt").write_bytes(b"hello")
    (folder / "sub" / "b.bin").write_bytes(bytes(range(256)))
    sealed.seal(folder)
    return folder


def test_a_sealed_folder_is_whole(whole: Path) -> None:
    assert sealed.finished(whole)
    assert sealed.problems(whole) == []
    assert sealed.read_sealed(whole, "a.txt") == b"hello"
    assert set(json.loads((whole / "DONE").read_text())["files"]) == {"a.txt", "sub/b.bin"}


@pytest.mark.parametrize("place", [0, 100, 255])
@pytest.mark.parametrize("bit", [0, 7])
def test_a_flipped_bit_is_found(whole: Path, place: int, bit: int) -> None:
    file = whole / "sub" / "b.bin"
    data = bytearray(file.read_bytes())
    data[place] ^= 1 << bit
    file.write_bytes(data)
    assert sealed.problems(whole) == [f"{file} has changed since it was written"]
    with pytest.raises(RunError, match=r"b\.bin has changed"):
        sealed.read_sealed(whole, "sub/b.bin")


def test_a_missing_file_is_found(whole: Path) -> None:
    (whole / "a.txt").unlink()
    assert not sealed.finished(whole)
    assert sealed.problems(whole) == [f"{whole / 'a.txt'} is missing"]
    with pytest.raises(RunError, match=r"a\.txt cannot be read"):
        sealed.read_sealed(whole, "a.txt")


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "null", '{"format": 1}', '{"format": 1, "files": [1]}', '{"format": 1, "files": 3}']
)
def test_a_damaged_seal_is_no_seal(whole: Path, content: str) -> None:
    (whole / "DONE").write_text(content)
    assert not sealed.finished(whole)
    assert len(sealed.problems(whole)) == 1
    sealed.refuse_newer(whole)  # damaged, not newer: it may be made again


def test_an_unfinished_folder_says_so(whole: Path) -> None:
    (whole / "DONE").unlink()
    assert not sealed.finished(whole)
    assert "not finished" in sealed.problems(whole)[0]


def test_a_newer_format_is_neither_read_nor_replaced(whole: Path) -> None:
    said = json.loads((whole / "DONE").read_text())
    (whole / "DONE").write_text(json.dumps(said | {"format": sealed.FORMAT + 1}))
    assert not sealed.finished(whole)
    assert "use the ltlib that made it" in sealed.problems(whole)[0]
    with pytest.raises(RunError, match="format 2"):
        sealed.refuse_newer(whole)


# checkpoints

VALUES = {"epoch": 3, "steps_done": 0, "history": [{"loss": 0.5}]}


def tensors(fill: float) -> dict[str, torch.Tensor]:
    return {"network.w": torch.full((4, 3), fill), "logits.last": torch.arange(5)}


@pytest.fixture
def checkpoint(tmp_path: Path) -> CheckpointFile:
    """Two states: epoch 3, and before it epoch 2."""
    made = CheckpointFile(tmp_path / "work", "abc")
    assert made.load() is None
    made.save(VALUES | {"epoch": 2}, tensors(2.0))
    made.save(VALUES, tensors(3.0))
    return made


def newest(checkpoint: CheckpointFile) -> Path:
    return checkpoint.folder / json.loads((checkpoint.folder / "state.json").read_text())["tensors"]


def loaded_epoch(checkpoint: CheckpointFile) -> int | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = CheckpointFile(checkpoint.folder, checkpoint.key).load()
    if found is None:
        return None
    assert torch.equal(found[1]["network.w"], tensors(float(found[0]["epoch"]))["network.w"])
    return found[0]["epoch"]


def test_the_newest_state_comes_back(checkpoint: CheckpointFile) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = checkpoint.load()
    assert found is not None
    assert found[0] == VALUES
    assert {name: value.tolist() for name, value in found[1].items()} == {
        name: value.tolist() for name, value in tensors(3.0).items()
    }


def test_only_two_states_are_kept(checkpoint: CheckpointFile) -> None:
    for epoch in range(4, 8):
        checkpoint.save(VALUES | {"epoch": epoch}, tensors(float(epoch)))
    assert len(list(checkpoint.folder.glob("*.safetensors"))) == 2
    assert loaded_epoch(checkpoint) == 7


def replaced(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def damage(file: Path) -> None:
        file.write_bytes(change(file.read_bytes()))

    return damage


def cut(size: Callable[[int], int]) -> Callable[[Path], None]:
    return replaced(lambda data: data[: size(len(data))])


def flip(place: Callable[[int], int]) -> Callable[[Path], None]:
    def damage(file: Path) -> None:
        data = bytearray(file.read_bytes())
        data[place(len(data))] ^= 1
        file.write_bytes(data)

    return damage


def folder_instead(file: Path) -> None:
    file.unlink()
    file.mkdir()


DAMAGES: dict[str, Callable[[Path], None]] = {
    "empty": cut(lambda n: 0),
    "one byte": cut(lambda n: 1),
    "half": cut(lambda n: n // 2),
    "last byte": cut(lambda n: n - 1),
    "bit in the header length": flip(lambda n: 0),
    "bit in the header": flip(lambda n: 20),
    "bit in the data": flip(lambda n: n - 1),
    "trailing bytes": replaced(lambda data: data + b"x"),
    "zeros": replaced(lambda data: bytes(len(data))),
    "a header of a terabyte": replaced(lambda data: (2**40).to_bytes(8, "little") + b"{}"),
    "missing": Path.unlink,
    "a folder": folder_instead,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_tensors_are_never_loaded_and_the_state_before_is(checkpoint: CheckpointFile, damage: str) -> None:
    DAMAGES[damage](newest(checkpoint))
    assert loaded_epoch(checkpoint) == 2
    with pytest.warns(UserWarning, match="going on from the one before"):
        checkpoint.load()


@pytest.mark.parametrize("damage", ["empty", "one byte", "half", "last byte", "zeros", "missing"])
def test_a_damaged_commit_falls_back_too(checkpoint: CheckpointFile, damage: str) -> None:
    DAMAGES[damage](checkpoint.folder / "state.json")
    # without its last byte, a newline, the JSON is whole
    assert loaded_epoch(checkpoint) == (3 if damage == "last byte" else 2)


def test_everything_damaged_starts_again_and_says_so(checkpoint: CheckpointFile) -> None:
    for file in checkpoint.folder.glob("*.safetensors"):
        cut(lambda n: n // 2)(file)
    with pytest.warns(UserWarning, match="starting again"):
        assert checkpoint.load() is None


@pytest.mark.parametrize("stop_at", range(1, 7))
def test_a_kill_between_the_writes_loses_one_state_at_most(
    checkpoint: CheckpointFile, monkeypatch: pytest.MonkeyPatch, stop_at: int
) -> None:
    """Every write and every removal of a save is where the process may end; nothing after it happens."""
    calls = 0

    def ends_at(name: str, owner: object) -> None:
        real = getattr(owner, name)

        def call(*args: object, **kwargs: object) -> object:
            nonlocal calls
            calls += 1
            if calls >= stop_at:
                raise KeyboardInterrupt
            return real(*args, **kwargs)

        monkeypatch.setattr(owner, name, call)

    ends_at("write_bytes", sealed)
    ends_at("write_json", sealed)
    ends_at("unlink", Path)
    try:
        checkpoint.save(VALUES | {"epoch": 4}, tensors(4.0))
        completed = True
    except KeyboardInterrupt:
        completed = False
    monkeypatch.undo()
    assert loaded_epoch(checkpoint) == (3 if stop_at <= 2 else 4)
    assert completed == (stop_at > 4)
    checkpoint.save(VALUES | {"epoch": 5}, tensors(5.0))
    assert loaded_epoch(checkpoint) == 5


def test_another_trainings_state_is_never_loaded(checkpoint: CheckpointFile) -> None:
    with pytest.warns(UserWarning, match="starting again"):
        assert CheckpointFile(checkpoint.folder, "other").load() is None


def test_a_newer_state_is_not_overwritten(checkpoint: CheckpointFile) -> None:
    place = checkpoint.folder / "state.json"
    place.write_text(json.dumps(json.loads(place.read_text()) | {"format": sealed.FORMAT + 1}))
    with pytest.raises(RunError, match=r"format 2.*use the ltlib that made it"):
        checkpoint.load()


class Evil:
    marker = ""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return eval, (f"open({self.marker!r}, 'w').close()",)


def test_a_pickle_in_place_of_tensors_never_runs(checkpoint: CheckpointFile, tmp_path: Path) -> None:
    Evil.marker = str(tmp_path / "marker")
    data = pickle.dumps(Evil())
    file = newest(checkpoint)
    file.write_bytes(data)
    commit = checkpoint.folder / "state.json"
    commit.write_text(
        json.dumps(json.loads(commit.read_text()) | {"sha256": sealed.digest(data)})
    )  # with its digest too
    assert loaded_epoch(checkpoint) == 2
    (tmp_path / "weights.safetensors").write_bytes(data)
    with pytest.raises(RunError, match=r"weights\.safetensors cannot be read"):
        sealed.read_tensors(tmp_path / "weights.safetensors")
    assert not Path(Evil.marker).exists()
    pickle.loads(data)  # the trap works
    assert Path(Evil.marker).exists()


def test_tensors_come_back_as_they_were(tmp_path: Path) -> None:
    given = {
        "a": torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last),
        "b": torch.tensor(7),
        "c": torch.rand(0),
    }
    sealed.write_tensors(tmp_path / "t.safetensors", given)
    found = sealed.read_tensors(tmp_path / "t.safetensors")
    assert all(torch.equal(found[name], value) for name, value in given.items())
    assert safetensors.torch.load_file(tmp_path / "t.safetensors").keys() == given.keys()
    with pytest.raises(RunError, match="nothing"):
        sealed.read_tensors(tmp_path / "nothing")


# locks


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    path = tmp_path / "locks" / "x.lock"
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    with process:
        yield process, path
        process.kill()


def test_a_claim_names_its_holder_at_once_and_a_dead_one_frees_it(holder: tuple[subprocess.Popen[str], Path]) -> None:
    process, path = holder
    started = time.monotonic()
    with (
        pytest.raises(LockedError, match=rf"run x is being worked on by process {process.pid} on "),
        sealed.claim(path, "run x"),
    ):
        pass
    assert time.monotonic() - started < 2
    process.send_signal(signal.SIGKILL)
    process.wait()
    with sealed.claim(path, "run x"):
        pass


def test_a_claim_that_waits_goes_on_when_the_holder_ends(tmp_path: Path) -> None:
    held, order = threading.Event(), []

    def hold() -> None:
        with sealed.claim(tmp_path / "x.lock", "run x"):
            held.set()
            time.sleep(0.2)
            order.append("first")

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    with sealed.claim(tmp_path / "x.lock", "run x", wait=True):
        order.append("second")
    thread.join()
    assert order == ["first", "second"]


def test_claims_of_one_process_exclude_each_other(tmp_path: Path) -> None:
    with (
        sealed.claim(tmp_path / "x.lock", "run x"),
        pytest.raises(LockedError, match="run x"),
        sealed.claim(tmp_path / "x.lock", "run x"),
    ):
        pass
    with sealed.claim(tmp_path / "x.lock", "run x"), sealed.claim(tmp_path / "y.lock", "run y"):
        pass


def test_a_folder_that_cannot_be_written_is_said_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot write in"), sealed.claim(tmp_path / "file" / "x.lock", "run x"):
        pass

"""An archive of runs comes back as it was, and one that is damaged or means harm leaves nothing behind."""

from __future__ import annotations

import gzip
import io
import json
import re
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ltlib import runs, sealed
from ltlib.errors import LockedError, RunError, SettingError, UnknownName
from ltlib.experiment import Experiment
from ltlib.files import digest, is_temporary
from ltlib.runs import Run
from ltlib.runs.archive import pack, unpack
from ltlib.runs.members import MANIFEST


@pytest.fixture
def packed(trained: Run, tmp_path: Path) -> Path:
    """An archive of `tiny`."""
    file = tmp_path / "packed.tar"
    pack([trained.id], file)
    return file


@pytest.fixture
def other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, packed: Path) -> Path:
    """Another machine's folder of runs, which is there and empty."""
    monkeypatch.setenv("LTLIB_REPORTS", str(tmp_path / "other"))
    return tmp_path / "other" / "runs"


def remade(file: Path, change: Callable[[dict[str, bytes]], None], listed: bool = True) -> Path:
    """The archive with its members changed, and its list after them."""
    with tarfile.open(file) as tar:
        found = {info.name: tar.extractfile(info).read() for info in tar}  # type: ignore[union-attr]
    said = json.loads(found.pop(MANIFEST))
    change(found)
    if listed:
        said["files"] = {name: {"size": len(data), "sha256": digest(data)} for name, data in found.items()}
    return written(file.with_name("changed.tar"), {MANIFEST: json.dumps(said).encode()} | found)


def written(file: Path, found: dict[str, bytes]) -> Path:
    with tarfile.open(file, "w") as tar:
        for name, data in found.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return file


def refused(file: Path, into: Path, said: str) -> None:
    """It is refused in one sentence that names it, and nothing is left of it."""
    before = sorted(into.parent.parent.rglob("*"))
    with pytest.raises(RunError, match=said) as caught:
        unpack(file)
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert set(into.parent.parent.rglob("*")) - set(before) <= {into, into.parent}


def test_a_run_comes_back_as_it_was(trained: Run, packed: Path, other: Path) -> None:
    assert unpack(packed) == [trained.id]
    found = runs.load(trained.id)
    assert found is not None
    assert found.folder == other / trained.id
    assert np.array_equal(found.predictions["last"].logits, trained.predictions["last"].logits)  # type: ignore[arg-type]
    assert found.metrics == trained.metrics
    assert runs.verify() == []
    found.network()
    assert [path for path in other.rglob("*") if is_temporary(path)] == []


def test_the_same_run_is_the_same_archive(trained: Run, packed: Path, tmp_path: Path) -> None:
    pack([trained.id, trained.id], tmp_path / "again.tar")
    assert (tmp_path / "again.tar").read_bytes() == packed.read_bytes()


def test_tar_itself_lists_and_unpacks_it(trained: Run, packed: Path, tmp_path: Path) -> None:
    shutil.unpack_archive(packed, tmp_path / "by hand", filter="data")
    assert sealed.problems(tmp_path / "by hand" / "runs" / trained.id) == []


def test_two_runs_share_their_first_stage(tiny: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = [runs.run(tiny.replace(method=method, limit=60)) for method in ("crt", "lws")]
    first, second = (run._facts["stages"] for run in made)
    assert first[0] == second[0]
    assert first[1] != second[1]
    pack([run.id for run in made], tmp_path / "two.tar")
    monkeypatch.setenv("LTLIB_REPORTS", str(tmp_path / "other"))
    assert unpack(tmp_path / "two.tar") == [run.id for run in made]
    assert len(list((tmp_path / "other" / "runs" / "stages").glob("*/DONE"))) == 3
    assert runs.verify() == []


def test_what_is_here_and_whole_is_kept_and_what_is_damaged_is_mended(
    trained: Run, packed: Path, other: Path, snapshot: Callable[[Path], dict[str, tuple[bytes, int]]]
) -> None:
    unpack(packed)
    before = snapshot(other)
    assert unpack(packed) == [trained.id]
    whole = {name: found for name, found in snapshot(other).items() if "locks" not in name}
    assert whole == {name: found for name, found in before.items() if "locks" not in name}

    for name in (f"{trained.id}/history.csv", f"stages/{trained._facts['stages'][-1]}/logits.safetensors"):
        (other / name).write_bytes(b"damaged")
        assert runs.verify() != []
        unpack(packed)
        assert runs.verify() == []


def test_another_trainings_stage_is_not_mixed_in(trained: Run, packed: Path, other: Path) -> None:
    stage = other / "stages" / trained._facts["stages"][-1]
    unpack(packed)
    shutil.rmtree(other / trained.id)
    (stage / "history.csv").write_text((stage / "history.csv").read_text().replace("0.", "1.", 1))
    (stage / "DONE").unlink()
    sealed.seal(stage)
    with pytest.raises(RunError, match=f"stage {stage.name} is here with other numbers"):
        unpack(packed)
    assert not (other / trained.id).exists()


def test_a_newer_versions_run_is_left_alone(trained: Run, packed: Path, other: Path) -> None:
    (other / trained.id).mkdir(parents=True)
    (other / trained.id / "DONE").write_text('{"format": 2, "files": {}}')
    with pytest.raises(RunError, match="format 2"):
        unpack(packed)
    assert [path.name for path in (other / trained.id).iterdir()] == ["DONE"]


def test_a_run_in_training_is_not_replaced(trained: Run, packed: Path, other: Path) -> None:
    with (
        sealed.claim(other / "locks" / f"{trained.id}.lock", "run"),
        pytest.raises(LockedError, match=f"run {trained.id} is being worked on"),
    ):
        unpack(packed)
    assert not (other / trained.id).exists()


def test_without_weights_a_record_goes(trained: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pack([trained.id], tmp_path / "small.tar", weights=False)
    assert (tmp_path / "small.tar").stat().st_size < 60_000
    monkeypatch.setenv("LTLIB_REPORTS", str(tmp_path / "other"))
    assert unpack(tmp_path / "small.tar") == [trained.id]
    found = runs.load(trained.id)
    assert found is not None
    assert (found.folder, found.profile) == (None, "imported")
    assert found.metrics["last"]["accuracy"] == pytest.approx(trained.metrics["last"]["accuracy"], abs=1e-6)


def test_a_committed_record_goes_back_to_its_profile(
    trained: Run, reports: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained.record(reports / "laptop" / "records")
    shutil.rmtree(reports / "runs")
    pack([trained.id], tmp_path / "record.tar")
    monkeypatch.setenv("LTLIB_REPORTS", str(tmp_path / "other"))
    assert unpack(tmp_path / "record.tar") == [trained.id]
    for ending in (".json", ".npz"):
        name = f"laptop/records/{trained.id}{ending}"
        assert (tmp_path / "other" / name).read_bytes() == (reports / name).read_bytes()


def test_what_is_not_finished_is_not_packed(trained: Run, reports: Path, tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match=f"did you mean {trained.id}"):
        pack([trained.id[:-1] + "x"], tmp_path / "no.tar")
    with pytest.raises(SettingError, match="at least one run"):
        pack([], tmp_path / "no.tar")
    (reports / "runs" / trained.id / "history.csv").write_text("damaged")
    with pytest.raises(RunError, match=r"history\.csv has changed"):
        pack([trained.id], tmp_path / "no.tar")
    assert list(tmp_path.glob("*.tar")) == []


@pytest.mark.parametrize("name", ["../evil", "/tmp/ltlib-evil", "runs/../../evil", "runs/0123456789ab/evil.py", "DONE"])
def test_a_name_that_no_run_has_is_refused(packed: Path, other: Path, name: str) -> None:
    changed = remade(packed, lambda found: found.update({name: b"evil"}))
    refused(changed, other, re.escape(repr(name)))
    assert not Path("/tmp/ltlib-evil").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE])
def test_what_is_no_plain_file_is_refused(trained: Run, packed: Path, other: Path, kind: bytes) -> None:
    with tarfile.open(packed) as tar:
        found = [(info, tar.extractfile(info)) for info in tar.getmembers()]
        with tarfile.open(packed.with_name("changed.tar"), "w") as out:
            for info, data in found:
                if info.name.endswith("history.csv"):
                    info.type, info.linkname, info.size, data = kind, "/etc/passwd", 0, None
                out.addfile(info, data)
    refused(packed.with_name("changed.tar"), other, "no plain file")


@pytest.mark.parametrize("size", [1 << 27, 1 << 40])
def test_a_size_beyond_a_limit_is_refused_unread(trained: Run, packed: Path, other: Path, size: int) -> None:
    info = tarfile.TarInfo(f"runs/{trained.id}/run.json")
    info.size = size
    head = tarfile.TarInfo(MANIFEST)
    said = json.dumps({"format": 1, "files": {info.name: {"size": 3, "sha256": "0"}}}).encode()
    head.size = len(said)
    data = head.tobuf() + said.ljust(512, b"\0") + info.tobuf(tarfile.GNU_FORMAT)
    packed.write_bytes(data)
    refused(packed, other, rf"run\.json of {size:,} bytes, at most 67,108,864")


def test_more_than_the_disk_holds_is_refused(packed: Path, other: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(100, 99, 1))  # type: ignore[attr-defined]
    refused(packed, other, "has room for 1")


@pytest.mark.parametrize("part", [0.0, 0.001, 0.3, 0.9])
def test_an_archive_that_is_cut_short_is_refused(packed: Path, other: Path, part: float) -> None:
    data = packed.read_bytes().rstrip(b"\0")
    packed.write_bytes(data[: int(len(data) * part)])
    refused(packed, other, "make or fetch the archive again|has changed since it was packed")


@pytest.mark.parametrize("place", [0.0, 0.01, 0.2, 0.5, 0.7, 0.99])
def test_a_flipped_bit_anywhere_is_found(packed: Path, other: Path, place: float) -> None:
    data = bytearray(packed.read_bytes().rstrip(b"\0"))
    data[int((len(data) - 1) * place)] ^= 4
    packed.write_bytes(data + bytes(1024))
    refused(packed, other, "damaged|changed since it was packed|not in its list|no file of a run|no plain file|at most")


def test_a_compressed_or_foreign_file_is_refused(packed: Path, other: Path) -> None:
    packed.write_bytes(gzip.compress(packed.read_bytes()))
    refused(packed, other, "no archive of runs")
    written(packed, {"hello.txt": b"hello"})
    refused(packed, other, "no file of a run")
    written(packed, {"runs/0123456789ab/run.json": b"{}"})
    refused(packed, other, f"does not begin with {MANIFEST}")
    packed.write_text("nothing of the kind, and shorter than a header")
    refused(packed, other, "cut short")


def test_a_newer_format_is_refused(packed: Path, other: Path) -> None:
    written(packed, {MANIFEST: b'{"format": 2, "files": "in another way"}'})
    refused(packed, other, "has format 2, this version reads 1")


@pytest.mark.parametrize("said", ["[]", "{", '{"format": 1, "files": {"x": 1}}', "[" * 100_000, '{"format": NaN}'])
def test_a_list_that_is_none_is_refused(packed: Path, other: Path, said: str) -> None:
    written(packed, {MANIFEST: said.encode()})
    refused(packed, other, "its list is damaged|has format nan")


def test_a_file_twice_or_unlisted_is_refused(trained: Run, packed: Path, other: Path) -> None:
    refused(remade(packed, lambda found: found.update({"runs/0123456789ab/DONE": b"{}"}), listed=False), other, "list")
    with tarfile.open(packed, "a") as tar:
        info = tarfile.TarInfo(f"runs/{trained.id}/DONE")
        info.size = 2
        tar.addfile(info, io.BytesIO(b"{}"))
    refused(packed, other, "not in its list or there twice")


def rewritten(run: Run, name: str, change: Callable[[bytes], bytes]) -> Callable[[dict[str, bytes]], None]:
    """A change to a file of a run, with the seal of its folder made anew: what a forger would do."""

    def change_it(found: dict[str, bytes]) -> None:
        found[name] = change(found[name])
        seal = f"{name.rpartition('/')[0]}/DONE"
        said = json.loads(found[seal])
        said["files"][name.rpartition("/")[2]] = digest(found[name])
        found[seal] = json.dumps(said).encode()

    return change_it


def test_a_forged_run_is_refused(trained: Run, packed: Path, other: Path) -> None:
    own, stage = f"runs/{trained.id}", f"stages/{trained._facts['stages'][-1]}"

    def replace(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
        return lambda data: data.replace(old, new, 1)

    for name, change, said in (
        (f"{own}/run.json", lambda data: data.replace(b'"seed": 0', b'"seed": 1'), "holds run"),
        (f"{own}/run.json", replace(b'"id"', b'"format": 2, "id"'), "has format 2"),
        (f"{own}/run.json", replace(b'  "' + stage[7:].encode(), b'  "0123456789ab'), "its stages"),
        (f"{own}/run.json", lambda data: b"[]", "no run this version can read"),
        (f"{own}/targets.npy", lambda data: b"\x80\x04N.", "cannot be taken"),
        (f"{stage}/outcome.json", replace(stage[7:].encode(), b"0123456789ab"), "is another stage"),
        (f"{stage}/logits.safetensors", lambda data: b"\x80\x04N.", "cannot be taken"),
    ):
        refused(remade(packed, rewritten(trained, name, change)), other, said)
    refused(remade(packed, lambda found: found.pop(f"{own}/DONE")), other, "DONE")  # type: ignore[arg-type,return-value]
    refused(
        remade(packed, lambda found: found.pop(f"{stage}/weights.safetensors")),  # type: ignore[arg-type,return-value]
        other,
        "names other files",
    )
    moved = {"stages/0123456789ab/DONE": b'{"format": 1, "files": {}}'}
    refused(remade(packed, lambda found: found.update(moved)), other, "of no run in it")


def test_a_place_that_cannot_be_written_is_said(packed: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RunError, match="cannot write in"):
        unpack(packed, tmp_path / "file" / "runs")
    with pytest.raises(RunError, match="cannot write in"):
        pack([packed.stem], tmp_path / "file" / "x.tar")
    with pytest.raises(RunError, match=r"cannot unpack .*no\.tar"):
        unpack(tmp_path / "no.tar")

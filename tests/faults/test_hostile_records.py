"""A record that means harm or is damaged is refused in one sentence by list, verify and tables; nothing of it runs."""

from __future__ import annotations

import io
import json
import pickle
import shutil
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ltlib import runs, sealed
from ltlib.cli import main
from ltlib.errors import RunError
from ltlib.files import read_json
from ltlib.runs import Run, records
from ltlib.runs.facts import load_record

MARK = "executed"


class Malice:
    """Leaves a mark in the working folder when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path(MARK),)


@pytest.fixture
def record(trained: Run, reports: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The JSON of the one record there is; no full run."""
    monkeypatch.chdir(tmp_path)
    path = trained.record(reports / "laptop" / "records")
    shutil.rmtree(reports / "runs")
    return path


def arrays(path: Path) -> dict[str, np.ndarray]:
    return sealed.read_arrays(path.with_suffix(".npz"))


def pickled(path: Path) -> None:
    np.savez(path.with_suffix(".npz"), **arrays(path) | {"targets": np.array([Malice()], dtype=object)})


def a_pickle(path: Path) -> None:
    path.with_suffix(".npz").write_bytes(pickle.dumps(Malice()))


def bomb(path: Path, size: int = 300 << 20) -> None:
    """A few hundred kilobytes that unpack to 300 MB of one array."""
    with zipfile.ZipFile(path.with_suffix(".npz"), "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": (size,)})
        with archive.open("targets.npy", "w") as stream:
            stream.write(header.getvalue())
            for _ in range(size >> 20):
                stream.write(bytes(1 << 20))


def lying_bomb(path: Path) -> None:
    """As `bomb`, though its list says that it is small."""
    bomb(path)
    data = bytearray(path.with_suffix(".npz").read_bytes())
    place = data.rindex(b"PK\x01\x02") + 24
    assert int.from_bytes(data[place : place + 4], "little") > 300 << 20
    data[place : place + 4] = (1000).to_bytes(4, "little")
    path.with_suffix(".npz").write_bytes(data)


def long_header(path: Path) -> None:
    """An array whose header of version 2 says that it has 200 MB itself."""
    with zipfile.ZipFile(path.with_suffix(".npz"), "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("targets.npy", b"\x93NUMPY\x02\x00" + (200 << 20).to_bytes(4, "little") + b" " * (200 << 20))


def huge_shape(path: Path) -> None:
    """A small array that says it has a terabyte."""
    with zipfile.ZipFile(path.with_suffix(".npz"), "w") as archive:
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": (1 << 40,)})
        archive.writestr("targets.npy", header.getvalue() + b"\0")


def a_gigabyte(path: Path) -> None:
    with path.open("r+b") as stream:
        stream.truncate(1 << 30)


def nested(path: Path) -> None:
    path.write_text('{"metrics": ' + "[" * 200_000 + "]" * 200_000 + "}")


def changed(**changes: Any) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return change


def replaced(old: str, new: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))

    return change


def other_length(path: Path) -> None:
    found = arrays(path)
    np.savez_compressed(path.with_suffix(".npz"), **found | {"targets": found["targets"][1:]})


def without_targets(path: Path) -> None:
    found = arrays(path)
    del found["targets"]
    np.savez_compressed(path.with_suffix(".npz"), **found)  # type: ignore[arg-type]


FAULTS: dict[str, tuple[Callable[[Path], None], str]] = {
    "a pickled object": (pickled, "pickled objects"),
    "a pickle": (a_pickle, r"\.npz cannot be read"),
    "a bomb": (bomb, "it unpacks to 314,572,9"),
    "a bomb that lies": (lying_bomb, "cannot be read"),
    "a long header": (long_header, "no array's header"),
    "a huge shape": (huge_shape, "not the size that its header says"),
    "a gigabyte of JSON": (a_gigabyte, "1,073,741,824 bytes"),
    "nested JSON": (nested, "nested too deeply"),
    "NaN": (replaced('"accuracy": ', '"accuracy": NaN, "was": '), "NaN is no number"),
    "infinity": (replaced('"accuracy": ', '"accuracy": 1e999, "was": '), "1e999 is no number"),
    "a newer format": (changed(format=2), "has format 2, this version reads 1"),
    "no metrics": (changed(metrics={}), "no metrics"),
    "metrics of another form": (changed(metrics={"last": {"accuracy": "high"}, "selected": None}), "no metrics"),
    "a history of another form": (changed(history=[1, 2]), "no run this version can read"),
    "a list": (lambda path: path.write_text("[]"), "no run this version can read"),
    "arrays of two lengths": (other_length, "not the arrays of a record"),
    "no targets": (without_targets, "not the arrays of a record"),
}


@pytest.fixture
def little_memory() -> Iterator[None]:
    """What the test takes stays far below what the fault would unpack to."""
    tracemalloc.start()
    yield
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 32 << 20, f"{peak:,} bytes"


@pytest.mark.parametrize("name", FAULTS)
def test_it_is_refused_by_list_verify_and_tables(
    record: Path, capsys: pytest.CaptureFixture[str], name: str, request: pytest.FixtureRequest
) -> None:
    damage, said = FAULTS[name]
    damage(record)
    request.getfixturevalue("little_memory")
    with pytest.raises(RunError, match=said):
        load_record(record)
    assert runs.finished() == []
    (sentence,) = runs.verify()
    assert "\n" not in sentence
    assert str(record.with_suffix("")) in sentence
    assert main(["runs", "list"]) == 0
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("0 runs\n", f"{sentence}\n")
    assert main(["verify"]) == 1
    assert sentence in capsys.readouterr().out
    assert records.write(record.parent.parent) is None
    assert not Path(MARK).exists()


def test_the_mark_would_have_been_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pickle.loads(pickle.dumps(Malice()))
    assert Path(MARK).exists()


def test_a_checkpoint_or_weights_of_any_size_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (tmp_path / "weights.safetensors").open("wb") as stream:
        stream.truncate(1 << 40)
    with pytest.raises(RunError, match=r"1,099,511,627,776 bytes, at most 8,589,934,592"):
        sealed.read_tensors(tmp_path / "weights.safetensors")
    with (tmp_path / "DONE").open("wb") as stream:
        stream.truncate(1 << 40)
    assert not sealed.finished(tmp_path)
    assert "1,099,511,627,776 bytes" in sealed.problems(tmp_path)[0]
    (tmp_path / "state.json").write_text("[" * 100_000)
    (tmp_path / "previous.json").write_text(
        json.dumps({"format": 1, "key": "k", "tensors": "weights.safetensors", "sha256": "0", "values": {}})
    )
    with pytest.warns(UserWarning, match="no state in"):
        assert sealed.CheckpointFile(tmp_path, "k").load() is None


@pytest.mark.parametrize("name", ["targets.npy", "logits.safetensors"])
def test_a_sealed_file_of_another_kind_is_one_sentence(trained: Run, name: str) -> None:
    """The digest holds: whoever made the folder put it there."""
    assert trained.folder is not None
    stage = trained.folder.parent / "stages" / trained._facts["stages"][-1]
    folder = trained.folder if name == "targets.npy" else stage
    (folder / name).write_bytes(pickle.dumps(Malice()))
    (folder / "DONE").unlink()
    sealed.seal(folder)
    found = runs.load(trained.id)
    assert found is not None
    with pytest.raises(RunError, match=name):
        _ = found.metrics


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "run.json")
    with pytest.raises(RunError, match="it is no file"):
        read_json(tmp_path / "run.json")

"""A full disk, a folder that cannot be written, two at one run: a sentence, nothing lost, mended by a re-run."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ltlib import files, runs
from ltlib.cli import main
from ltlib.errors import LtlibError
from ltlib.experiment import Experiment
from ltlib.runs import Run

pytestmark = pytest.mark.xdist_group("processes")

SERVER = """
import json, os, resource, sys
import torch
torch.set_num_threads(1)
from ltlib import runs
from ltlib.errors import LtlibError
from ltlib.errors import LtlibError
from ltlib.experiment import Experiment
for line in sys.stdin:  # each asked process is a fork of this one, so everything is imported once
    asked = json.loads(line)
    os.environ["LTLIB_REPORTS"] = asked["reports"]
    read, write = os.pipe()
    for _ in range(asked["processes"]):
        if os.fork() == 0:
            if asked["limit"]:
                resource.setrlimit(resource.RLIMIT_FSIZE, (asked["limit"], asked["limit"]))
            epochs = []
            try:
                run = runs.run(Experiment.from_settings(asked["experiment"]), report=epochs.append)
                said = {"done": run.id}
            except LtlibError as error:
                said = {"error": str(error), "kind": type(error).__name__}
            except BaseException as error:
                said = {"error": repr(error), "kind": "no sentence"}
            os.write(write, json.dumps(said | {"epochs": len(epochs)}).encode() + b"\\n")
            os._exit(0)
    for _ in range(asked["processes"]):
        os.wait()
    os.close(write)
    print(json.dumps([json.loads(line) for line in os.fdopen(read)]), flush=True)
"""
Ask = Callable[..., list[dict[str, Any]]]


@pytest.fixture(scope="module")
def server() -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()


@pytest.fixture
def ask(server: subprocess.Popen[str], tiny: Experiment, reports: Path) -> Ask:
    """Have `tiny` trained by other processes, with a largest size of a file; what each of them says."""

    def go(limit: int = 0, processes: int = 1) -> list[dict[str, Any]]:
        said = {"reports": str(reports), "experiment": tiny.settings(), "limit": limit, "processes": processes}
        assert server.stdin is not None
        assert server.stdout is not None
        server.stdin.write(json.dumps(said) + "\n")
        server.stdin.flush()
        return json.loads(server.stdout.readline())

    return go


def mounted(*arguments: str) -> None:
    """Mount, or skip the test where that is not allowed."""
    try:
        done = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount here")
    if done.returncode:
        pytest.skip(f"mounting is not allowed here: {done.stderr.strip()}")


@pytest.fixture
def unmounted(reports: Path) -> Iterator[Path]:
    """The reports folder, there and empty, and nothing mounted on it afterwards."""
    reports.mkdir()
    yield reports
    subprocess.run(["umount", "-l", str(reports)], capture_output=True, check=False)


def left(reports: Path) -> list[Path]:
    return [path for path in reports.rglob("*") if files.is_temporary(path)]


def same(run_id: str, reference: Run) -> None:
    found = runs.load(run_id)
    assert found is not None
    assert np.array_equal(found.predictions["last"].logits, reference.predictions["last"].logits)  # type: ignore[arg-type]
    assert runs.verify() == []


@pytest.fixture
def whole(trained: Run, reports: Path) -> Run:
    """The undisturbed run of `tiny`, which is out of the way."""
    _ = trained.predictions
    for path in reports.iterdir():
        path.rename(reports.parent / f"away {path.name}")
    reports.rmdir()
    return trained


@pytest.mark.parametrize("limit", [1_000, 100_000])
def test_files_that_cannot_grow(ask: Ask, whole: Run, tiny: Experiment, reports: Path, limit: int) -> None:
    """As on a full disk, and wherever there is one: no file may be larger than the limit."""
    ((said),) = ask(limit=limit)
    assert said["kind"] == "RunError", said
    assert said["error"].startswith("cannot write ")
    assert str(reports) in said["error"]
    assert runs.load(tiny.run_id) is None
    assert left(reports) == []
    assert runs.verify() == []
    assert ask()[0]["done"] == tiny.run_id
    same(tiny.run_id, whole)


def test_a_full_disk(ask: Ask, whole: Run, tiny: Experiment, unmounted: Path) -> None:
    mounted("-t", "tmpfs", "-o", "size=600k", "none", str(unmounted))
    (said,) = ask()
    assert said["kind"] == "RunError", said
    assert "No space left on device" in said["error"]
    assert runs.load(tiny.run_id) is None
    assert left(unmounted) == []
    mounted("-o", "remount,size=16m", str(unmounted))
    assert ask()[0]["done"] == tiny.run_id
    same(tiny.run_id, whole)


def test_a_folder_that_cannot_be_written(
    ask: Ask, trained: Run, tiny: Experiment, reports: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mounted("--bind", str(reports), str(reports))
    try:
        mounted("-o", "remount,bind,ro", str(reports))
        assert ask()[0] == {"done": trained.id, "epochs": 0}  # what is there is read
        assert runs.verify() == []
        assert main(["runs", "list"]) == 0
        assert main(["runs", "remove", trained.id]) == 1
        assert "Read-only file system" in capsys.readouterr().err
        trained_again = tiny.replace(seed=1)
        with pytest.raises(LtlibError, match=r"cannot write in .*: Read-only file system"):
            runs.run(trained_again, report=lambda row: pytest.fail("it was trained first"))
    finally:
        subprocess.run(["umount", "-l", str(reports)], capture_output=True, check=False)
    assert runs.load(trained.id) is not None


def test_two_processes_at_one_run(ask: Ask, whole: Run, tiny: Experiment) -> None:
    said = ask(processes=3)
    done = [one for one in said if "done" in one]
    assert sum(one["epochs"] for one in said) == 2, "trained more than once"
    assert len(done) >= 1
    for one in said:
        if one not in done:
            assert one["kind"] == "BusyError"
            assert f"run {tiny.run_id} is being worked on by" in one["error"]
    same(tiny.run_id, whole)

"""Nothing outlives the process it works for, killed ones included; what they leave on the disk is swept."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest

from ltlib.processes import family, leash
from ltlib.processes.scratch import scratch_folder, sweep

PARENT = """
import os, subprocess, sys, time
from ltlib.processes import family, leash
env = os.environ | {family.TOKEN: "a token of the test"}
subprocess.Popen(leash.command("works", "two", "words", whole_family=True), env=env)
time.sleep(60)
"""
WORKS = """
import pathlib, subprocess, sys, time
assert sys.argv[1:] == ["two", "words"] and __name__ == "__main__"
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
pathlib.Path("pids.part").write_text(f"{__import__('os').getpid()} {child.pid}")
pathlib.Path("pids.part").rename("pids")
while True:
    pass
"""


def wait_for(path: Path, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < deadline, f"no {path}"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_killed_parent_takes_all_with_it(tmp_path: Path) -> None:
    (tmp_path / "works.py").write_text(WORKS)
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    parent = subprocess.Popen([sys.executable, "-c", PARENT], cwd=tmp_path, env=env)
    wait_for(tmp_path / "pids")
    pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
    assert all(map(alive, pids))
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 10
    while any(map(alive, pids)) and time.monotonic() < deadline:
        time.sleep(0.05)
    left = [pid for pid in pids if alive(pid)]
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert left == []


STARTS = """
import subprocess, sys, time
from ltlib.processes import leash
from ltlib.runs import worker
assert worker.command() == leash.command("ltlib.runs.worker", grace=worker.SAVING)
print(subprocess.Popen(leash.command("ltlib.runs.worker", grace=0.5)).pid, flush=True)
time.sleep(60)
"""


def test_a_training_process_ends_though_its_input_does_not(tmp_path: Path) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", STARTS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )  # the training process inherits the input, which this test holds open
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    assert alive(pid)
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 30
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    left = alive(pid)
    if left:
        os.kill(pid, signal.SIGKILL)
    assert not left


def test_a_module_on_a_leash_ends_as_it_would_without(tmp_path: Path) -> None:
    (tmp_path / "ends.py").write_text("import sys; print(sys.argv[1:]); sys.exit(7)")
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    done = subprocess.run(leash.command("ends", "a", "b"), env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (7, "['a', 'b']\n"), done.stderr


def test_one_that_was_started_by_a_process_that_is_gone_ends_at_once() -> None:
    code = "import time; from ltlib.processes import leash; leash.tie(2**22 + 1); time.sleep(60)"
    done = subprocess.run([sys.executable, "-c", code], timeout=30, check=False)
    assert done.returncode == leash.EXIT_CODE


def test_others_are_left_alone() -> None:
    env = os.environ | {family.TOKEN: "mine"}
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], env=env)
    family.end("another")
    assert process.poll() is None
    family.end("mine")
    process.wait(timeout=5)


MAKER = """
import sys, time
from ltlib.processes.scratch import scratch_folder
with scratch_folder("ltlib-test-") as folder:
    (folder / "inside").write_text("x")
    print(folder, flush=True)
    time.sleep(60)
"""


def test_scratch_folders_of_killed_processes_are_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    env = os.environ | {"TMPDIR": str(tmp_path)}
    made = []
    for _ in range(2):
        process = subprocess.Popen([sys.executable, "-c", MAKER], env=env, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        made.append((process, Path(process.stdout.readline().strip())))
    (dead, gone), (living, used) = made
    dead.kill()
    dead.wait()
    for folder in (gone, used):
        os.utime(folder, (1e9, 1e9))  # neither is young
    (tmp_path / "ltlib-test-of-an-older-version").mkdir()
    (tmp_path / "another's").mkdir()
    assert sweep("ltlib-test-") == 1
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {used.name, "another's", "ltlib-test-of-an-older-version"}
    assert (used / "inside").is_file()
    os.utime(tmp_path / "ltlib-test-of-an-older-version", (1e9, 1e9))
    with scratch_folder("ltlib-test-") as folder:
        assert {path.name for path in tmp_path.iterdir()} == {used.name, "another's", folder.name}
    assert {path.name for path in tmp_path.iterdir()} == {used.name, "another's"}
    living.kill()
    living.wait()

"""A ``reproduce`` that is killed leaves no process behind, and the next one finds nothing of it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest

from ltlib.pages import declared, execution
from notebooks import write_notebook

pytestmark = [pytest.mark.kernel, pytest.mark.xdist_group("processes")]

MAKES = """
import sys
from pathlib import Path
from ltlib.pages import chain
chain.run_chain("quick", root=Path(sys.argv[1]), jobs=1)
"""
HANGS = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
open({file!r} + ".part", "w").write(f"{{os.getpid()}} {{os.getppid()}} {{child.pid}}")
os.rename({file!r} + ".part", {file!r})
time.sleep(600)
"""


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_no_kernel_outlives_a_killed_chain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, file = tmp_path / "notebooks", tmp_path / "pids"
    scratch = tmp_path / "temporary"
    scratch.mkdir()
    cells = [("parameters", 'profile = "quick"'), ("code", HANGS.format(file=str(file)))]
    write_notebook(root / "hangs.ipynb", {"id": "hangs", "title": "Hangs", "question": "?"}, cells)
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "TMPDIR": str(scratch)}
    chain = subprocess.Popen([sys.executable, "-c", MAKES, str(root)], env=env)
    deadline = time.monotonic() + 90
    while not file.exists():
        assert chain.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    pids = [int(pid) for pid in file.read_text().split()]
    chain.kill()
    chain.wait()
    killed = time.monotonic()
    while any(map(alive, pids)) and time.monotonic() < killed + 20:
        time.sleep(0.05)
    names = dict(zip(("kernel", "papermill", "child"), map(alive, pids), strict=True))
    for pid in filter(alive, pids):
        os.kill(pid, 9)
    assert not any(names.values()), names
    left = list(scratch.glob("ltlib-chain-*"))
    assert len(left) == 1
    os.utime(left[0], (1e9, 1e9))
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    write_notebook(root / "hangs.ipynb", {"id": "hangs", "title": "Hangs", "question": "?"}, cells[:1])
    done = execution.execute(declared.all_pages(root)[0], "quick", timeout=90)
    assert done.cause.startswith("cell finish: NameError")  # it ran to its end: nothing stood in its way
    assert list(scratch.glob("ltlib-chain-*")) == []


@pytest.mark.parametrize(
    "code", ["while True:\n    pass", "import signal, time\nsignal.signal(2, signal.SIG_IGN)\ntime.sleep(600)"]
)
def test_a_notebook_that_hangs_is_given_up(tmp_path: Path, code: str) -> None:
    cells = [("parameters", 'profile = "quick"'), ("code", code)]
    write_notebook(tmp_path / "hangs.ipynb", {"id": "hangs", "title": "Hangs", "question": "?"}, cells)
    started = time.monotonic()
    done = execution.execute(declared.all_pages(tmp_path)[0], "quick", timeout=4)
    assert time.monotonic() - started < 15
    assert done.cause.startswith("it did not finish within 4 s and was stopped")

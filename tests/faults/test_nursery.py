"""Pages whose processes are forked: the same pages, none of them any less alone, and nothing outlives its starter."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from ltlib.pages import declared, execution, freshness, nursery, order
from notebooks import write_notebook

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.xdist_group("processes"),
    pytest.mark.skipif(sys.platform != "linux", reason="forked on Linux only"),
]

SPEAKS = """
import os, sys
import matplotlib.pyplot as plt
print(sys.argv[0].rpartition("/")[2], sys.path[:1], os.getcwd() == os.environ["PWD_OF_TEST"], hash("a"))
print(plt.get_backend(), sorted(name for name in os.environ if name.startswith(("LTLIB", "OMP", "PYTHON"))))
figure = plt.plot([1, 2])
"""
CHAIN = """
import sys
from pathlib import Path
from ltlib.pages import chain, nursery
nursery.FEWEST, nursery.OTHERS = 1, ()
chain.run_chain("quick", root=Path(sys.argv[1]), jobs=1)
"""
TELLS = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
file = os.environ["PID_FILE"]
open(file + ".part", "w").write(f"{os.getpid()} {child.pid}")
os.rename(file + ".part", file)
time.sleep(600)
"""


@pytest.fixture
def page(tmp_path: Path) -> Callable[[str], declared.Declared]:
    """A page of one cell."""

    def write(code: str) -> declared.Declared:
        cells = [("parameters", 'profile = "quick"'), ("code", code)]
        write_notebook(tmp_path / "notebooks" / "one.ipynb", {"id": "one", "title": "One", "question": "?"}, cells)
        return declared.all_pages(tmp_path / "notebooks")[0]

    return write


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(nursery, "OTHERS", ())
    with nursery.opened([]) as place:
        assert place is not None
        yield place


def of(place: Path) -> psutil.Process:
    """The nursery; a process that was just begun has no command line yet for a moment."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        for child in psutil.Process().children():
            if "ltlib.pages.nursery" in child.cmdline():
                return child
        time.sleep(0.01)
    raise AssertionError("there is no nursery")


def gone(*pids: int) -> bool:
    deadline = time.monotonic() + 20
    while any(psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie" for pid in pids):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def told(file: Path) -> list[int]:
    deadline = time.monotonic() + 90
    while not file.exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return [int(pid) for pid in file.read_text().split()]


def test_a_forked_page_is_the_page(
    page: Callable[[str], declared.Declared], opened: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PWD_OF_TEST", str(tmp_path / "notebooks"))
    made = page(SPEAKS)
    alone, forked = (execution.execute(made, "quick", timeout=200, born_in=place) for place in (None, opened))
    assert forked.notebook == alone.notebook
    assert forked.notebook is not None
    (spoken, *drawn) = forked.notebook["cells"][-2]["outputs"]
    assert "".join(spoken["text"]).startswith("ipykernel_launcher"), spoken
    assert any("image/png" in output.get("data", {}) for output in drawn), "figures are shown as in any kernel"


def test_nothing_that_pages_import_starts_a_thread(page: Callable[[str], declared.Declared]) -> None:
    """A fork of several threads is no whole copy: locks that another one holds are held for ever."""
    modules = {name for made in order.pages() for name in freshness.modules_of(made)}
    with nursery.opened(modules) as place:
        assert place is not None
        absent = f"import sys\nraise ValueError([name for name in {sorted(modules)!r} if name not in sys.modules])"
        done = execution.execute(page(absent), "quick", timeout=200, born_in=place)
        assert done.cause.endswith("ValueError: []"), done.cause
        assert of(place).num_threads() == 1


def test_a_forked_kernel_that_dies_is_said_and_the_next_page_is_made(
    page: Callable[[str], declared.Declared], opened: Path
) -> None:
    dies = execution.execute(page("import os\nos.kill(os.getpid(), 9)"), "quick", timeout=100, born_in=opened)
    assert dies.cause.startswith("the kernel died, killed or out of memory"), dies
    raises = execution.execute(page("raise ValueError('no disk')"), "quick", timeout=100, born_in=opened)
    assert raises.cause.endswith("ValueError: no disk")


def test_a_page_is_made_where_the_nursery_is_gone(page: Callable[[str], declared.Declared], opened: Path) -> None:
    of(opened).kill()
    done = execution.execute(page("raise ValueError('no disk')"), "quick", timeout=100, born_in=opened)
    assert done.cause.endswith("ValueError: no disk")


@pytest.mark.parametrize("how", ["stopped", "timeout", "nursery killed"])
def test_nothing_of_a_page_stays(
    page: Callable[[str], declared.Declared],
    opened: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    how: str,
) -> None:
    file, stop = tmp_path / "pids", threading.Event()
    monkeypatch.setenv("PID_FILE", str(file))

    def end() -> None:
        told(file)
        if how == "stopped":
            stop.set()
        elif how == "nursery killed":
            of(opened).kill()

    limit = 15 if how == "timeout" else 100
    watching = threading.Thread(target=end)
    watching.start()
    done = execution.execute(page(TELLS), "quick", timeout=limit, stop=stop, born_in=opened)
    watching.join()
    causes = {"stopped": "it was interrupted", "timeout": "it did not finish within 15 s and was stopped"}
    assert done.cause.startswith(causes.get(how, "")), done.cause
    assert not done.complete
    assert gone(*told(file))


def test_nothing_outlives_a_killed_chain(
    page: Callable[[str], declared.Declared], tmp_path: Path, reports: Path
) -> None:
    page(TELLS)
    file = tmp_path / "pids"
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "PID_FILE": str(file), "TMPDIR": str(tmp_path)}
    chain = subprocess.Popen([sys.executable, "-c", CHAIN, str(tmp_path / "notebooks")], env=env)
    pids = told(file)
    kernel = psutil.Process(pids[0])
    assert "ltlib.pages.nursery" in kernel.parent().cmdline()
    pids.append(kernel.parent().pid)
    chain.send_signal(signal.SIGKILL)
    chain.wait()
    assert gone(*pids)

"""Execute one notebook in a session of its own, and decide whether it is complete.

papermill alone cannot be believed: after a kernel is killed every cell still says ``completed``, an unknown parameter
only warns, values change their type on the way, and its output is written in place. So parameters are checked and
written into a copy before a kernel starts, the output goes to a temporary file, and a notebook is complete only if
papermill ended well, its last cell left the sentinel, every code cell was counted and none shows an error.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ltlib import places, plugins
from ltlib.errors import LtlibError
from ltlib.pages import declared, injection, nursery
from ltlib.pages.declared import Declared
from ltlib.processes import family, leash
from ltlib.processes.scratch import scratch_folder

_SCRATCH = "ltlib-chain-"
_NOT_OURS = ("MPLBACKEND", "PYTHONSTARTUP", "JPY_SESSION_NAME")
_ANSI = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class Execution:
    """How an execution ended.

    Attributes:
        cause: Why the notebook is not complete, in one sentence; empty where it is.
        seconds: Wall time.
        record: What the sentinel says the page holds.
        notebook: The executed notebook, or None where papermill wrote nothing.
    """

    cause: str
    seconds: float
    record: Mapping[str, Any] = field(default_factory=dict)
    notebook: dict[str, Any] | None = None

    @property
    def complete(self) -> bool:
        return not self.cause


def environment(token: str, scratch: Path, page: Declared, profile: str, born_in: Path | None = None) -> dict[str, str]:
    """The environment of the kernel: this interpreter, no outside configuration, one thread, nobody watching.

    Args:
        token: Of its family.
        scratch: The folder that jupyter's files go to.
        page: What is executed.
        profile: Its profile.
        born_in: The nursery that forks it; None starts it anew.
    """
    kernel = scratch / "jupyter" / "kernels" / "python3"
    kernel.mkdir(parents=True)
    what = ["ipykernel_launcher", "-f", "{connection_file}"]
    argv = [sys.executable, "-m", *what] if born_in is None else nursery.command(born_in, *what)
    spec = {"argv": argv, "display_name": "Python 3", "language": "python", "metadata": {"debugger": False}}
    (kernel / "kernel.json").write_text(json.dumps(spec))
    env = {key: value for key, value in os.environ.items() if key not in _NOT_OURS}
    env |= {
        family.TOKEN: token,
        "JUPYTER_PATH": str(scratch / "jupyter"),
        "JUPYTER_RUNTIME_DIR": str(scratch / "runtime"),
        "IPYTHONDIR": str(scratch / "ipython"),
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
        "PYTHONHASHSEED": "0",
        "TQDM_DISABLE": "1",
        "LTLIB_HEADLESS": "1",
        "LTLIB_TRAIN": places.variable("LTLIB_TRAIN") or "0",
        "LTLIB_REPORTS": str(places.reports_folder().resolve()),
        "LTLIB_PAGE_FOLDER": str((places.reports_folder() / profile / page.id).parent.resolve()),
        "LTLIB_NOTEBOOK_FILE": str(page.path.resolve()) if page.path else "",
        "LTLIB_SENTINEL": str(scratch / "sentinel.json"),
    }
    env |= plugins.environment()
    env["OMP_NUM_THREADS"] = places.variable("OMP_NUM_THREADS") or "1"
    return env


def execute(
    page: Declared,
    profile: str,
    parameters: Mapping[str, Any] | None = None,
    *,
    timeout: float = 3600.0,
    stop: threading.Event | None = None,
    born_in: Path | None = None,
) -> Execution:
    """Execute a notebook in a session of its own; nothing is published.

    Args:
        page: What to execute.
        profile: Passed as the notebook's parameter ``profile``.
        parameters: Further notebook parameters.
        timeout: Seconds after which the notebook and everything it started are killed.
        stop: Set from outside to kill it earlier.
        born_in: The nursery that forks papermill and the kernel; None starts them anew.

    Raises:
        UnknownName, SettingError, DataError: A wrong parameter or notebook, before any kernel starts.
    """
    assert page.path is not None
    given = {"profile": profile, **page.parameters, **(parameters or {})}
    notebook = declared.read_notebook(page.path)
    declared.check_parameters(notebook, given)
    prepared = json.dumps(injection.with_parameters(notebook, given))
    started = time.monotonic()
    done = _attempt(page, profile, prepared, timeout, stop, born_in)
    spent = time.monotonic() - started
    # Kernels of several processes may be given one port; then nothing has run and a second start does.
    if done.cause and not _counts(done.notebook) and spent < timeout and not (stop and stop.is_set()):
        done = _attempt(page, profile, prepared, timeout - spent, stop, born_in)
    return Execution(done.cause, round(time.monotonic() - started, 1), done.record, done.notebook)


def _attempt(
    page: Declared,
    profile: str,
    prepared: str,
    timeout: float,
    stop: threading.Event | None,
    born_in: Path | None,
) -> Execution:
    token = secrets.token_hex(12)
    with scratch_folder(_SCRATCH) as scratch:
        source, output = scratch / "prepared.ipynb", scratch / "executed.ipynb"
        source.write_text(prepared, encoding="utf-8")
        options = ["--no-progress-bar", "--cwd", str(page.path.parent), "-k", "python3"]  # type: ignore[union-attr]
        what = ["ltlib.pages.headless", str(source), str(output), *options]
        if born_in is None:
            command = leash.command(*what, whole_family=True)
        else:
            command = nursery.command(born_in, *what)
        with (scratch / "log").open("wb") as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment(token, scratch, page, profile, born_in),
                start_new_session=True,
            )
            ended = wait(process, timeout, stop)
            family.kill(process.pid, token)
            code = process.wait()
        executed = None
        with contextlib.suppress(LtlibError):
            executed = normalised(declared.read_notebook(output))
        record = None
        with contextlib.suppress(OSError, ValueError):
            record = json.loads((scratch / "sentinel.json").read_text(encoding="utf-8"))
        log_text = (scratch / "log").read_text(encoding="utf-8", errors="replace")
    if ended == "timeout":
        cause = f"it did not finish within {timeout:.0f} s and was stopped{_where(executed)}"
    elif ended == "stop":
        cause = "it was interrupted"
    else:
        cause = why_incomplete(executed, code, record, page.id, log_text)
    return Execution(cause, 0.0, record or {}, executed)


def wait(process: subprocess.Popen[bytes], timeout: float, stop: threading.Event | None) -> str:
    """How the waiting ended: the process did, the time did, or somebody set `stop`."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            process.wait(timeout=0.1)
            return "ended"
        except subprocess.TimeoutExpired:
            if stop is not None and stop.is_set():
                return "stop"
            if time.monotonic() > deadline:
                return "timeout"


def why_incomplete(
    executed: Mapping[str, Any] | None, code: int, record: Mapping[str, Any] | None, name: str, log: str = ""
) -> str:
    """Why an execution is not complete; empty where it is.

    Args:
        executed: The notebook papermill wrote, or None.
        code: Its exit code.
        record: The sentinel, or None.
        name: The page's id, which the sentinel must name.
        log: What papermill printed.
    """
    if executed is None:
        lines = [line for line in _ANSI.sub("", log).splitlines() if line.strip()]
        return f"nothing was written (exit {code}): {lines[-1].strip() if lines else 'no message'}"
    cells = [cell for cell in executed["cells"] if cell["cell_type"] == "code"]
    for cell in cells:
        for output in cell["outputs"]:
            if output["output_type"] == "error":
                text = " ".join(_ANSI.sub("", f"{output['ename']}: {output['evalue']}").split())
                return f"cell {cell.get('id', '?')}: {text}"
    if code == 138 or any(cell["execution_count"] is None and cell["source"].strip() for cell in cells):
        return f"the kernel died, killed or out of memory{_where(executed)}"
    if code != 0:
        return f"papermill ended with {code}"
    if record is None:
        return "the last cell, page.finish(), left no sentinel"
    if record.get("id") != name:
        return f"the sentinel is that of {record.get('id')}, not of {name}: the id in notebook.setup is wrong"
    return ""


def normalised(executed: dict[str, Any]) -> dict[str, Any]:
    """Drop timings and paths that papermill adds, and its error banners: equal runs then give equal copies."""
    executed["metadata"].pop("papermill", None)
    cells = []
    for cell in executed["cells"]:
        tags = cell["metadata"].pop("tags", [])
        if any(tag.startswith("papermill-error") for tag in tags):
            continue
        for noise in ("papermill", "execution"):
            cell["metadata"].pop(noise, None)
        if injection.TAG in tags:
            cell["id"] = injection.TAG
        if tags:
            cell["metadata"]["tags"] = tags
        cells.append(cell)
    executed["cells"] = cells
    return executed


def _counts(executed: Mapping[str, Any] | None) -> int:
    cells = executed["cells"] if executed else []
    return sum(1 for cell in cells if cell["cell_type"] == "code" and cell["execution_count"] is not None)


def _where(executed: Mapping[str, Any] | None) -> str:
    """The last cell that was begun, as words to append."""
    begun = [c for c in (executed or {"cells": []})["cells"] if c["cell_type"] == "code" and c["execution_count"]]
    # A kernel killed at once leaves its cell uncounted, so the one named may be the cell before.
    return f" in or after cell {begun[-1].get('id', '?')}" if begun else ""

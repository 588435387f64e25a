"""What a Dask worker does for a batch: each task has one run trained in a process of its own beside the worker.

So whatever a run does to its process, the worker lives; the process outlives its runs, as the local ones do. A task's
answer says how the run ended and never raises, so Dask tries nothing again but what was lost with a worker.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ltlib
from ltlib.processes.scratch import scratch_folder
from ltlib.runs.engines.seats import Seat
from ltlib.runs.outcomes import Outcome

TOPIC = "ltlib"
"""Epochs are told under it."""
EVERY = 1.0
"""Seconds between two told epochs of a run."""
PATIENCE = 30.0
"""Seconds that a process gets to save its runs' state when it is asked to."""

_lock = threading.Lock()
_seats: dict[str, Seat] = {}
_stopped: set[str] = set()


def seen(home: Mapping[str, str]) -> str:
    """The reports folder of who asks, where this machine has it too; empty where it does not.

    Args:
        home: ``reports``, the folder; ``mark``, what its `mark` file holds.
    """
    with contextlib.suppress(OSError):
        if mark(Path(home["reports"])).read_text(encoding="utf-8") == home["mark"]:
            return home["reports"]
    return ""


def mark(reports: Path) -> Path:
    """A file by which a reports folder is known again from another machine."""
    return reports / "batches" / "folder.id"


def train(request: Mapping[str, Any], home: Mapping[str, str], batch: str) -> dict[str, Any]:
    """Have a run trained in this worker's process.

    Args:
        request: As `ltlib.runs.worker.request` gives it.
        home: As `seen` takes it. Where this machine does not have that folder, the run is kept in its own.
        batch: Who asks, so that `stop` finds its tasks.

    Returns:
        ``kind``, ``said`` and ``took`` of the `Outcome`, ``worker``, its address, and ``reports``, the folder; empty
        for its own.
    """
    from distributed import get_worker

    worker = get_worker()
    reports, told = seen(home), float("-inf")

    def hear(row: Mapping[str, Any]) -> None:
        nonlocal told
        if time.monotonic() - told > EVERY:
            told = time.monotonic()
            kept = {name: row[name] for name in ("stage", "epoch", "epochs") if name in row}
            worker.log_event(TOPIC, {"run": request["run"], "row": kept})

    if batch in _stopped:
        ended = Outcome("stopped", "not begun when the others were stopped")
    else:
        try:
            ended = _seat(reports, worker.state.nthreads).train(request, hear)
        except OSError as error:
            ended = Outcome("error", f"no process can be started on {worker.address}: {error}")
    told_back = {"kind": ended.kind, "said": ended.said, "took": list(ended.took)}
    return told_back | {"worker": worker.address, "reports": reports}


async def look(request: Mapping[str, Any] | None, home: Mapping[str, str], dask_worker: Any = None) -> dict[str, Any]:
    """Whether this worker would do: its version, and what it makes of a run without training it."""
    found: dict[str, Any] = {"version": ltlib.__version__, "said": ""}
    if request is not None and found["version"] == home["version"]:
        seat = _seat(seen(home), dask_worker.state.nthreads)
        ended = await asyncio.to_thread(seat.train, {**request, "look": True}, lambda row: None)
        found["said"] = ended.failure or ""
    return found


async def stop(batch: str) -> None:
    """Runs of a batch save their state; what waits is not begun."""
    _stopped.add(batch)
    for seat in list(_seats.values()):
        if seat.under_way:
            seat.stop()
            await asyncio.to_thread(seat.wait, PATIENCE)


async def packed(run_id: str) -> bytes:
    """A finished run that was kept in this machine's own reports folder, as an archive with checksums.

    Raises:
        LtlibError: It is not there, or damaged.
    """
    return await asyncio.to_thread(_packed, run_id)


def _packed(run_id: str) -> bytes:
    from ltlib.runs import archive

    with scratch_folder("ltlib-sent-") as folder:
        file = folder / "run.tar"
        archive.pack([run_id], file)
        return file.read_bytes()


def _seat(reports: str, streams: int) -> Seat:
    """The process for a reports folder; its own where that is empty."""
    with _lock:
        if reports not in _seats:
            _seats[reports] = Seat(streams, {"LTLIB_REPORTS": reports} if reports else {})
        return _seats[reports]

"""What a batch leaves for others to read while it runs: ``batches/`` in the reports folder.

``batches/HOST-PID-N.json`` is how a batch stands, written anew every few seconds and removed when it ends;
``batches/batch.log`` has a line for each thing that happened, of all batches, the older ones in ``batch.log.1``. A
batch holds a lock while it lives, so one that was killed is known to be gone. Where nothing can be written, nothing is.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import socket
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from ltlib import places
from ltlib.errors import LtlibError
from ltlib.files import write_json
from ltlib.progress import duration

LOG_BYTES = 1 << 20
"""The log begins anew when it is longer."""
EVERY = 2.0
"""Seconds between two states on disk."""
SHOWN = 8
"""Running runs that are named one by one."""
_count = itertools.count()


def folder() -> Path:
    return places.reports_folder() / "batches"


class Journal:
    """A batch's state and its lines in the log.

    Args:
        label: What the runs are, as in the progress line.
    """

    def __init__(self, label: str):
        self.label, self.host = label, socket.gethostname()
        self.place = folder() / f"{self.host}-{os.getpid()}-{next(_count)}.json"
        self._lock = FileLock(self.place.with_suffix(".lock"))
        self._written = float("-inf")
        self._works = False

    @contextlib.contextmanager
    def kept(self) -> Iterator[None]:
        """While the batch lives."""
        with contextlib.suppress(OSError, Timeout):
            self.place.parent.mkdir(parents=True, exist_ok=True)
            _remove_dead()
            self._lock.acquire(timeout=0)
            self._works = True
        try:
            yield
        finally:
            if self._works:
                with contextlib.suppress(OSError):
                    self.place.unlink(missing_ok=True)
                    self._lock.release()
                    Path(self._lock.lock_file).unlink(missing_ok=True)

    def write(self, state: Mapping[str, Any], now: bool = False) -> None:
        """Keep how the batch stands, if it is time to."""
        if not self._works or not (now or time.monotonic() - self._written > EVERY):
            return
        self._written = time.monotonic()
        facts = {"format": 1, "process": os.getpid(), "host": self.host, "label": self.label, "at": time.time()}
        with contextlib.suppress(LtlibError):  # a full disk: the runs say so
            write_json(self.place, facts | dict(state))

    def note(self, line: str) -> None:
        """A line in the log."""
        if not self._works:
            return
        log = folder() / "batch.log"
        with contextlib.suppress(OSError, Timeout), FileLock(log.with_suffix(".lock")).acquire(timeout=5):
            if log.is_file() and log.stat().st_size > LOG_BYTES:
                log.replace(log.with_suffix(".log.1"))
            with log.open("a", encoding="utf-8") as stream:
                at = datetime.now(UTC).isoformat(timespec="seconds")
                stream.write(f"{at} {self.host} {os.getpid()} {self.label}: {' '.join(line.split())}\n")


def standing() -> list[str]:
    """How the batches of this reports folder stand, some lines each; one that was killed is said to be that."""
    lines: list[str] = []
    for place in sorted(folder().glob("*.json")):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):  # it ended as we looked, or is damaged
            state = json.loads(place.read_text(encoding="utf-8"))
            lines += _said(state, alive=_alive(place))
    return lines


def _said(state: Mapping[str, Any], alive: bool) -> list[str]:
    who = f"process {state['process']} on {state['host']}"
    counts = f"{state['done']} of {state['total']} done"
    counts += f", {state['failed']} failed" if state["failed"] else ""
    ago = duration(time.time() - state["at"])
    if not alive:
        return [f"{state['label']}: {who} was killed, last heard of {ago} ago: {counts}; the same command goes on"]
    counts += f", {len(state['running'])} running, {state['todo']} to do"
    line = f"{state['label']}: {who}, {state['engine']}: {counts}"
    if state["to_go"] is not None:
        line += f", about {duration(state['to_go'])} left"
    if time.time() - state["at"] > 30 * EVERY:
        line += f" (last heard of {ago} ago)"
    lines = [line, *(f"  {run['what']}{run['where']}" for run in state["running"][:SHOWN])]
    if len(state["running"]) > SHOWN:
        lines.append(f"  and {len(state['running']) - SHOWN} more")
    return lines


def _alive(place: Path) -> bool:
    """Whether the batch holds its lock."""
    lock = FileLock(place.with_suffix(".lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    except OSError:  # another user's; nothing says that it is gone
        return True
    lock.release()
    return False


def _remove_dead() -> None:
    """Take away what killed batches of this machine left: the one that begins goes on with their runs."""
    for place in folder().glob(f"{socket.gethostname()}-*.json"):
        if not _alive(place):
            place.unlink(missing_ok=True)
            place.with_suffix(".lock").unlink(missing_ok=True)

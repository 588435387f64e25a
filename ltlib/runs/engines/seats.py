"""A place for one training process that several runs share; a process that ended is replaced by a new one."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable, Mapping
from typing import Any

from ltlib import plugins
from ltlib.runs.outcomes import Outcome, lost
from ltlib.runs.worker import Worker, command


class Seat:
    """A training process, started when it is first needed.

    Args:
        streams: Runs at once in the process.
        more: Environment variables of its own.
    """

    def __init__(self, streams: int, more: Mapping[str, str] | None = None):
        self.streams, self.more = streams, dict(more or {})
        self.under_way: set[str] = set()
        self._lock = threading.Lock()
        self._worker: Worker | None = None

    def train(self, request: Mapping[str, Any], hear: Callable[[Mapping[str, Any]], None]) -> Outcome:
        """Have a run trained; see `worker.request`.

        Raises:
            OSError: No process can be started.
        """
        self.under_way.add(request["run"])
        try:
            worker = self.worker()
            for message in worker.send(request):
                ended = Outcome.of_message(message)
                if ended is None:
                    hear(message["row"])
                    continue
                if ended.kind == "stopped":
                    worker.close()
                return ended
            return lost(worker.process.wait())
        finally:
            self.under_way.discard(request["run"])

    def worker(self) -> Worker:
        """The seat's process, started where there is none or it has ended."""
        with self._lock:
            if self._worker is None or not self._worker.usable:
                self._worker = Worker(self.start())
            return self._worker

    def start(self) -> subprocess.Popen[str]:
        """A new process; in a group of its own, so that a terminal's Ctrl-C reaches only who decides what it means."""
        env = os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "LTLIB_STREAMS": str(self.streams)}
        return subprocess.Popen(
            command(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=env | plugins.environment() | self.more,
            process_group=0,
        )

    def stop(self) -> None:
        """Its runs save their state and the process ends."""
        if self._worker is not None:
            self._worker.process.terminate()

    def close(self) -> None:
        """The process ends when its runs have."""
        if self._worker is not None:
            self._worker.close()

    def wait(self, timeout: float | None = None) -> None:
        """Until the process has ended; after so many seconds it is killed: its runs' last checkpoints are whole."""
        if self._worker is None:
            return
        try:
            self._worker.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self._worker.process.kill()
            self._worker.process.wait()

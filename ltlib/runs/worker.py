"""One training process of a sweep, and its parent's end of the line.

The process, ``python -m ltlib.runs.worker``, reads experiments as JSON lines, trains them and writes what happens. It
outlives its runs, so imports and warm-up are paid once; with ``LTLIB_STREAMS`` it trains several at a time
(`ltlib.runs.packing`). When it dies, only the runs it was at are lost, and those go on from their checkpoints.

A line in: ``{"run": id, "experiment": settings}``, and for a run with components from outside the package ``plugins``,
their modules, and ``path``, where modules are looked for; with ``look`` it is not trained. Lines out:
``{"run": id, ...}`` with ``row`` for an epoch, and at last one of the kinds of `ltlib.runs.outcomes`: ``done``,
``error``, ``stopped``, ``busy`` where another process trains this run; or ``unknown`` where these settings are not that
run here, because a component is missing or has another source than in the process that asked.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ltlib import plugins
from ltlib.errors import LtlibError, SettingError
from ltlib.processes import heap, leash

if TYPE_CHECKING:
    from ltlib.experiment import Experiment

SAVING = 3.0
"""Seconds a process whose parent was killed has to save and end; later it is ended, and loses what it did since."""


def command() -> list[str]:
    """The command line that starts the process; it ends, whatever it is at, when the one that started it is killed."""
    return leash.command("ltlib.runs.worker", grace=SAVING)


def request(experiment: Experiment) -> dict[str, Any]:
    """A run as a worker is asked for it, JSON-ready."""
    resolved = experiment.resolve()
    asked: dict[str, Any] = {"run": resolved.run_id, "experiment": experiment.settings()}
    if modules := [plugins.how_to_load(one.module) for one in resolved.own]:
        asked |= {"plugins": modules, "path": [place or str(Path.cwd()) for place in sys.path]}
    return asked


class Worker:
    """A training process and the runs under way in it."""

    def __init__(self, process: subprocess.Popen[str]):
        self.process = process
        self.usable = True
        self._answers: dict[str, queue.SimpleQueue[dict[str, Any] | None]] = {}
        self._lock = threading.Lock()
        threading.Thread(target=self._listen, daemon=True).start()

    def send(self, request: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """Have a run trained, see `request`: what is said about it, until it or the process ends."""
        answers: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        with self._lock:
            self._answers[request["run"]] = answers
            if not self.usable:
                answers.put(None)
            with contextlib.suppress(BrokenPipeError, ValueError):  # dead or closed: it will be heard below
                assert self.process.stdin is not None
                self.process.stdin.write(json.dumps(request) + "\n")
                self.process.stdin.flush()
        while (message := answers.get()) is not None:
            yield message

    def close(self) -> None:
        """No more runs: it ends when it has finished those it has."""
        with self._lock:
            self.usable = False
            with contextlib.suppress(OSError):  # what a dead one has not read
                assert self.process.stdin is not None
                self.process.stdin.close()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            try:
                message = json.loads(line)
                answers = self._answers[message["run"]]
            except (ValueError, KeyError, TypeError):  # it died in the middle of a line
                break
            answers.put(message)
        self.process.wait()
        with self._lock:
            self.usable = False
            for answers in self._answers.values():
                answers.put(None)


def main() -> None:
    """Serve until the input ends."""
    out = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever prints must not mix with the protocol
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides

    import torch

    from ltlib import places
    from ltlib.experiment import Experiment
    from ltlib.runs import packing
    from ltlib.training import accelerator

    heap.keep()
    torch.set_num_threads(int(places.variable("OMP_NUM_THREADS") or 1))
    parent, writing = os.getppid(), threading.Lock()

    def say(run: str, **message: object) -> None:
        try:
            with writing:
                out.write(json.dumps({"run": run} | message) + "\n")
        except BrokenPipeError:  # nobody reads any more
            stopping.set()

    def stop() -> bool:  # also where the parent was killed: nobody waits for these runs, and they must not stay claimed
        return stopping.is_set() or os.getppid() != parent

    def train(line: str) -> None:
        asked: dict[str, Any] = json.loads(line)
        run = asked["run"]
        try:
            sys.path += [place for place in asked.get("path", ()) if place not in sys.path]
            plugins.load(*asked.get("plugins", ()))
            experiment = Experiment.from_settings(asked["experiment"])
            if experiment.run_id != run:
                raise SettingError(f"the same settings are run {experiment.run_id} in its process")
        except LtlibError as error:
            say(run, unknown=str(error))
            return
        except Exception as error:  # settings that are none of an experiment
            say(run, error=str(error) if isinstance(error, LtlibError) else f"{type(error).__name__}: {error}")
            return
        if asked.get("look"):
            say(run, done=run)
            return
        began = time.time()
        _, ended = packing.attempt(experiment, lambda row: say(run, row=row), stop)
        say(run, **{ended.kind: ended.said, "took": [os.getpid(), began, time.time()]})

    device = accelerator.device()
    streams = packing.default_streams(device)
    if streams > 1:
        packing.serve(sys.stdin, train, streams, device)
        return
    for line in sys.stdin:
        train(line)
        if stop():
            return


if __name__ == "__main__":
    main()
    os._exit(0)  # everything is on disk; taking the interpreter and torch apart takes a second

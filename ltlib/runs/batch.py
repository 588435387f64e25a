"""A batch of runs under way: what is done, running, failed and to do, for the screen and for others to read."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ltlib import places, progress, runs
from ltlib.errors import LtlibError
from ltlib.experiment import Experiment
from ltlib.files import write_text
from ltlib.progress import Progress, duration
from ltlib.runs import pricing
from ltlib.runs.cost import Pace
from ltlib.runs.journal import SHOWN, Journal
from ltlib.runs.result import Run

_PACE = Pace(1e-4, 1e10)
"""Weighs runs of a batch against each other; only shares of the whole are taken from it."""


def describe(experiment: Experiment) -> str:
    """A run as people are told of it."""
    return f"{experiment.method} on {experiment.dataset} ({experiment.model}, seed {experiment.seed})"


def failure_file(run_id: str) -> Path:
    """Where it is kept why a run is missing."""
    return places.runs_folder() / "failures" / f"{run_id}.txt"


class Batch:
    """The book of a batch; every call is safe from any thread.

    Args:
        experiments: What is to be trained, each once.
        label: The progress line's first words.
        show: Show progress.
        done: Called with each run as it is finished.

    Attributes:
        engine: Where the runs are trained, in words.
        failures: Run id to the sentence that says why it is missing.
    """

    def __init__(self, experiments: Sequence[Experiment], label: str, show: bool, done: Callable[[Run], None]):
        self.experiments, self.done = list(experiments), done
        self.engine = ""
        self.failures: dict[str, str] = {}
        self.finished = 0
        self.running: dict[Experiment, Mapping[str, Any]] = {}
        self.lock = threading.RLock()
        self.journal = Journal(label)
        self.line = _Line(self, label, show)
        self._shares = {experiment: [1.0] for experiment in self.experiments}
        self._before: dict[Experiment, float] = {}
        self._worked = 0.0

    @contextlib.contextmanager
    def open(self) -> Iterator[None]:
        """While its runs are trained."""
        with self.journal.kept():
            self.journal.note(f"{len(self.experiments)} runs to train, {self.engine}")
            ended = "interrupted; the same command goes on from there"
            try:
                self.beat(now=True)
                yield
                ended = "ended"
            finally:
                self.journal.note(f"{ended}: {self.finished} done, {len(self.failures)} failed")

    def weigh(self) -> None:
        """Find each stage's share of the batch, for the time that is left; until then all runs count alike."""
        with contextlib.suppress(Exception):  # an estimate of an odd component of one's own must not stop its training
            shares = pricing.stage_seconds(self.experiments, pricing.at(_PACE))
            with self.lock:
                self._shares = dict(zip(self.experiments, shares, strict=True))

    def begin(self, experiment: Experiment) -> None:
        """Somebody was asked to train it."""
        with self.lock:
            self.running[experiment] = {}

    def hear(self, experiment: Experiment, row: Mapping[str, Any]) -> None:
        """An epoch of it is done."""
        with self.lock:
            known = self.running.get(experiment, {})
            self.running[experiment] = row
            if "epoch" not in known:  # what was trained before it was asked for now took none of this batch's time
                self._before.setdefault(experiment, self._part(experiment, {**row, "epoch": row["epoch"] - 1}))
        self.line.show(f"{describe(experiment)}{where(row)}")

    def put_back(self, experiment: Experiment, why: str) -> None:
        """It waits again."""
        with self.lock:
            self.running.pop(experiment, None)
        self.journal.note(f"{describe(experiment)}, run {experiment.run_id}, is tried again: {why}")

    def settle(self, experiment: Experiment, error: str | None) -> None:
        """It has come to its end: hand it on, or keep why it is missing."""
        run_id = experiment.run_id
        try:
            if error is None and (run := runs.load(run_id)) is not None:
                with self.lock:
                    self.done(run)
            elif error is None:
                error = "it was said to be trained and is not there; its images or components changed: start again"
        except (LtlibError, OSError) as problem:  # no disk to write its record
            error = str(problem)
        with contextlib.suppress(LtlibError, OSError):
            if error is None:
                failure_file(run_id).unlink(missing_ok=True)
            else:
                write_text(failure_file(run_id), f"{error}\n")
        with self.lock:
            self.running.pop(experiment, None)
            self._worked += sum(self._shares[experiment]) - self._before.get(experiment, 0.0)
            if error is None:
                self.finished += 1
            else:
                self.failures[run_id] = error
        said = describe(experiment) + (f" failed: {error}" if error else "")
        self.line.step(said)
        self.journal.note(f"{said}, run {run_id}" + ("" if error else ", done"))

    def beat(self, now: bool = False) -> None:
        """Show and keep how it stands, if it is time to."""
        if self.line.done < self.line.total:
            self.line.show()
        self.journal.write(self.state(), now)

    def state(self) -> dict[str, Any]:
        """How it stands, JSON-ready."""
        with self.lock:
            running = [
                {"run": experiment.run_id, "what": describe(experiment), "where": where(row), "epoch": row.get("epoch")}
                for experiment, row in self.running.items()
            ]
            counts = {"total": len(self.experiments), "done": self.finished, "failed": len(self.failures)}
            todo = counts["total"] - counts["done"] - counts["failed"] - len(running)
            return {"engine": self.engine, **counts, "todo": todo, "running": running, "to_go": self.to_go()}

    def to_go(self) -> float | None:
        """Seconds that are left if it goes on as until now; None where nothing tells."""
        with self.lock:
            parts = {e: self._part(e, row) - self._before.get(e, 0.0) for e, row in self.running.items() if row}
            worked = self._worked + sum(parts.values())
            total = sum(map(sum, self._shares.values())) - sum(self._before.values())
            spent = time.monotonic() - self.line.started
        return spent * max(total - worked, 0.0) / worked if worked > 0 else None

    def _part(self, experiment: Experiment, row: Mapping[str, Any]) -> float:
        """How much of it is done after an epoch."""
        shares, stage = self._shares[experiment], row.get("stage", 1)
        if stage > len(shares):  # not weighed yet
            return sum(shares) * row["epoch"] / max(row["epochs"], 1)
        return sum(shares[: stage - 1]) + shares[stage - 1] * row["epoch"] / max(row["epochs"], 1)


def where(row: Mapping[str, Any]) -> str:
    """``, stage 2, epoch 3/40``; empty before the first epoch is done."""
    if not row:
        return ""
    stage = f", stage {row['stage']}" if row.get("stage", 1) > 1 else ""
    return f"{stage}, epoch {row['epoch']}/{row['epochs']}"


class _Line(Progress):
    """The batch's line: counts, time, and in a notebook a line for each run under way."""

    def __init__(self, batch: Batch, label: str, show: bool):
        super().__init__(len(batch.experiments), label, enabled=show)
        self.batch = batch

    def line(self, detail: str = "") -> str:
        state = self.batch.state()
        text = f"{self.label}: {state['done']}/{state['total']} done"
        for count, word in ((len(state["running"]), "running"), (state["todo"], "to do"), (state["failed"], "failed")):
            text += f", {count} {word}" if count else ""
        text += f", {duration(time.monotonic() - self.started)}"
        if self.done < self.total and state["to_go"] is not None:
            text += f", about {duration(state['to_go'])} left"
        if progress.in_kernel() and self.done < self.total:
            return "\n".join([text, *(f"  {run['what']}{run['where']}" for run in state["running"][:SHOWN])])
        return f"{text} - {detail}" if detail else text

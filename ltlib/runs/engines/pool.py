"""The processes of this machine: on a CPU of one thread each, on a GPU each with several runs on streams."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ltlib.experiment import Experiment
from ltlib.runs.engines.seats import Seat
from ltlib.runs.outcomes import Outcome
from ltlib.runs.worker import request

PATIENCE = 30.0
"""Seconds that runs asked to stop get to save their state."""


class Pool:
    """An `Engine`: processes that outlive their runs, so imports and warm-up are paid once.

    Args:
        count: Runs to train in all; no more processes or streams are started than they need.
        jobs: Processes at most.
        streams: Runs at once in each at most.
    """

    def __init__(self, count: int, jobs: int, streams: int):
        jobs = min(jobs, count)
        self.streams = min(streams, -(-count // jobs)) if jobs else 0
        self.seats = [Seat(self.streams) for _ in range(jobs)]
        self.stopping = False
        self.name = f"{jobs} process{'es' if jobs != 1 else ''}"
        if self.streams > 1:
            self.name += f" with {self.streams} runs each"

    def lanes(self) -> int:
        return self.streams * len(self.seats)

    def train(self, lane: int, experiment: Experiment, hear: Callable[[Mapping[str, Any]], None]) -> Outcome:
        return self.seats[lane % len(self.seats)].train(request(experiment), hear)

    def stop(self) -> None:
        self.stopping = True
        for seat in self.seats:
            seat.stop()

    def close(self) -> None:
        for seat in self.seats:
            seat.close()
        for seat in self.seats:
            seat.wait(PATIENCE if self.stopping else None)

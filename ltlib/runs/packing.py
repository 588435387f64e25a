"""Several runs at once in one process, each in a thread with a CUDA stream of its own.

One run of a small network leaves most of a GPU idle. Recorded steps (`ltlib.training.capture`) cost Python nearly
nothing, so one process keeps several of them going; on streams of their own they run side by side. Each run has its own
network, generators and buffers, its kernels have the shapes they have alone, and its random numbers come from the CPU:
a run's numbers do not depend on its company. Any methods can be mixed.

A run that fails leaves the others alone, unless it breaks the process itself: an error inside a kernel ends every run
of the process, and each goes on from its last checkpoint.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch

from ltlib import places, runs
from ltlib.errors import BusyError, LtlibError, SettingError
from ltlib.experiment import Experiment
from ltlib.runs import provenance
from ltlib.runs.outcomes import Outcome
from ltlib.runs.result import Run
from ltlib.training import accelerator, stages
from ltlib.training.loop import Stopped

CUDA_STREAMS = 4
"""Runs at once on a GPU: an estimate for a ResNet-32 on an A100, not measured."""
STOPPED = "stopped; its state is saved and the next start goes on from there"
NOT_BEGUN = "not begun when the others were stopped"
T = TypeVar("T")


def default_streams(device: torch.device) -> int:
    """Runs at once in a process: ``LTLIB_STREAMS``, else `CUDA_STREAMS` on CUDA and one elsewhere.

    Raises:
        SettingError: ``LTLIB_STREAMS`` is no whole number of at least 1.
    """
    wanted = places.variable("LTLIB_STREAMS")
    if not wanted:
        return CUDA_STREAMS if device.type == "cuda" else 1
    if not wanted.isdecimal() or int(wanted) < 1:
        raise SettingError(f"LTLIB_STREAMS must be a whole number of at least 1, not {wanted!r}")
    return int(wanted)


@dataclass
class Packed:
    """What `run_packed` gives.

    Attributes:
        runs: Finished runs by id.
        failures: Run id to the sentence that says why it is missing.
    """

    runs: dict[str, Run] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)


def run_packed(
    experiments: Sequence[Experiment],
    *,
    streams: int | None = None,
    report: Callable[[Experiment, Mapping[str, Any]], None] = lambda experiment, row: None,
    stop: Callable[[], bool] = lambda: False,
) -> Packed:
    """Train or load runs, several at a time. One that fails never stops the others.

    Args:
        experiments: Duplicates are trained once.
        streams: Runs at once; by default `default_streams`.
        report: Called with each finished epoch's row, one call at a time.
        stop: True asks all runs to save their state and stop.
    """
    packed, saying = Packed(), threading.Lock()
    interrupted = threading.Event()

    def say(experiment: Experiment, row: Mapping[str, Any]) -> None:
        with saying:
            report(experiment, row)

    def ending() -> bool:
        return interrupted.is_set() or stop()

    def train(task: tuple[str, Experiment]) -> None:
        run_id, experiment = task
        found: Run | None = None
        ended = Outcome("stopped", NOT_BEGUN)
        if not ending():
            found, ended = attempt(experiment, lambda row: say(experiment, row), ending)
        if found is not None:
            packed.runs[run_id] = found
        else:
            packed.failures[run_id] = ended.said

    device = accelerator.device()
    unique = {experiment.run_id: experiment for experiment in experiments}
    serve(unique.items(), train, streams or default_streams(device), device, interrupted)
    return packed


def attempt(experiment: Experiment, report: stages.Report, stop: Callable[[], bool]) -> tuple[Run | None, Outcome]:
    """A run, or None, and how the attempt ended."""
    try:
        found = runs.run(experiment, report=report, stop=stop)
    except Stopped:
        return None, Outcome("stopped", STOPPED)
    except BusyError as error:
        return None, Outcome("busy", str(error))
    except LtlibError as error:
        return None, Outcome("error", str(error))
    except Exception as error:  # a mistake of ours, or the device's; the others go on
        return None, Outcome("error", f"{type(error).__name__}: {error}")
    return found, Outcome("done", found.id)


def serve(
    tasks: Iterable[T],
    work: Callable[[T], None],
    streams: int,
    device: torch.device,
    interrupted: threading.Event | None = None,
) -> None:
    """Call `work` with every task, in `streams` threads; on CUDA each has a stream of its own.

    Args:
        tasks: Asked for the next one by one thread at a time, as soon as a thread is free.
        work: If it raises, no further task is begun, and the first error is raised when all threads have ended.
        streams: Threads.
        device: Where the work is done.
        interrupted: Set when this call is interrupted; the work under way is waited for.
    """
    provenance.together = streams
    lane = _Lane(tasks, work, device)
    threads = [threading.Thread(target=lane.go, daemon=True) for _ in range(streams)]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            thread.join()
    except BaseException:  # Ctrl-C
        lane.over = True
        if interrupted is not None:
            interrupted.set()
            for thread in threads:
                thread.join(timeout=30)
        raise
    finally:
        provenance.together = 1
    if lane.errors:
        raise lane.errors[0]


class _Lane:
    """What every thread of `serve` does."""

    def __init__(self, tasks: Iterable[Any], work: Callable[[Any], None], device: torch.device):
        self.tasks, self.work, self.device = iter(tasks), work, device
        self.threads = torch.get_num_threads()
        self.next = threading.Lock()
        self.over = False
        self.errors: list[BaseException] = []

    def go(self) -> None:
        torch.set_num_threads(self.threads)  # a new thread would take the machine's cores
        with self._stream():
            while not self.over:
                try:
                    with self.next:
                        task = next(self.tasks, self)  # this object is no task
                    if task is self:
                        return
                    self.work(task)
                except BaseException as error:
                    self.errors.append(error)
                    self.over = True

    def _stream(self) -> contextlib.AbstractContextManager:
        if self.device.type != "cuda":
            return contextlib.nullcontext()
        stream = torch.cuda.Stream(self.device)
        stream.wait_stream(torch.cuda.default_stream(self.device))
        return torch.cuda.stream(stream)

"""Many runs: those that are finished are loaded, the rest are trained side by side.

On a CPU in processes of one thread each; on a GPU in one process that keeps several runs going (`ltlib.runs.packing`),
or in several such processes.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ltlib import datasets, places, plugins, runs, sealed
from ltlib.errors import LtlibError, RunError, RunsFailed
from ltlib.experiment import Experiment
from ltlib.files import write_text
from ltlib.progress import Progress
from ltlib.runs import worker
from ltlib.runs.store import Run
from ltlib.runs.worker import Worker


class RunList(list[Run]):
    """Finished runs in the order asked for.

    Attributes:
        failures: Run id to the sentence that says why it is missing.
    """

    def __init__(self, found: Iterable[Run] = (), failures: dict[str, str] | None = None):
        super().__init__(found)
        self.failures = dict(failures or {})


def missing(experiments: Iterable[Experiment]) -> list[Experiment]:
    """The experiments without a finished run, each once."""
    unique = {exp.run_id: exp for exp in experiments}
    return [exp for run_id, exp in unique.items() if _load(run_id) is None]


def _load(run_id: str) -> Run | None:
    """`runs.load`, where a damaged run is a missing one: training it says what is wrong."""
    try:
        return runs.load(run_id)
    except RunError:
        return None


def run_all(
    experiments: Sequence[Experiment],
    *,
    jobs: int | None = None,
    streams: int | None = None,
    show: bool = True,
    label: str = "runs",
    done: Callable[[Run], None] = lambda run: None,
    train: bool = True,
    strict: bool = True,
) -> RunList:
    """The runs of many experiments: loaded, or trained in parallel. One that fails never stops the others.

    Components from a file or module outside this package are imported in the training processes too. Runs of those that
    no other process can import, a notebook's or a script's, are trained in this one, after the others.

    Args:
        experiments: Duplicates are trained once.
        jobs: Training processes; by default one a core with one thread each, on a GPU one in all. Never more than
            there are missing runs.
        streams: Runs at once in each process; by default ``LTLIB_STREAMS``, else 4 on a GPU (not measured) and 1 on a
            CPU.
        show: Show progress.
        label: The progress line's first words.
        done: Called with each run as it is finished.
        train: False only loads; what is not there is a failure of its own.
        strict: False returns what is finished where something failed, for a caller that looks at `RunList.failures`.

    Returns:
        The finished runs in the order of `experiments`; `RunList.failures` says what is missing and why.

    Raises:
        RunsFailed: A run is missing, said after all others are finished; it names each and has the others.
    """
    todo = missing(experiments)
    failures: dict[str, str] = {}
    if todo and train:
        from ltlib.training import accelerator

        accelerator.device()  # one sentence here instead of one traceback a process
    if todo and not train:
        failures = {exp.run_id: why_missing(exp) for exp in todo}
    elif todo:
        lanes = streams or default_streams()
        progress = Progress(len(todo), label, enabled=show)
        failures = _Sweep(todo, jobs or default_jobs(), lanes, progress, done).go()
    found = RunList([run for exp in experiments if (run := _load(exp.run_id)) is not None], failures)
    if strict and failures:
        raise RunsFailed(_told(experiments, failures), found)
    return found


def _told(experiments: Sequence[Experiment], failures: Mapping[str, str]) -> str:
    """The sentence of what failed."""
    unique = {exp.run_id: exp for exp in experiments}
    each = "; ".join(f"run {run_id}, {_describe(unique[run_id])}: {reason}" for run_id, reason in failures.items())
    rest = "the others are finished and kept, and strict=False returns them" if len(failures) < len(unique) else ""
    return f"{len(failures)} of {len(unique)} runs failed: {each}" + (f" ({rest})" if rest else "")


def default_jobs() -> int:
    """One process a core; one on a GPU."""
    from ltlib.training import accelerator

    if accelerator.device().type != "cpu":
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def default_streams() -> int:
    """Runs at once in each process; see `packing.default_streams`."""
    from ltlib.runs import packing
    from ltlib.training import accelerator

    return packing.default_streams(accelerator.device())


def why_missing(experiment: Experiment) -> str:
    """Why a run is not there: its last failure, its data, or nobody trained it yet."""
    with contextlib.suppress(OSError):
        return _failure(experiment.run_id).read_text(encoding="utf-8").strip()
    if not datasets.available(experiment.dataset):
        return f"the images are not here ({datasets.info(experiment.dataset).where})"
    return "not trained yet"


def _failure(run_id: str) -> Path:
    return places.runs_folder() / "failures" / f"{run_id}.txt"


class _Todo:
    """Experiments that wait. One whose next stage is being trained for another is passed over while others are left."""

    def __init__(self, experiments: Iterable[Experiment]):
        self.waiting = list(experiments)
        self.busy: dict[str, list[str]] = {}
        self.lock = threading.Lock()

    def take(self) -> Experiment | None:
        """The next experiment, None where none is left."""
        with self.lock:
            if not self.waiting:
                return None
            taken = {name for names in self.busy.values() for name in names}
            free = (e for e in self.waiting if taken.isdisjoint(self._unfinished(e)))
            chosen = next(free, self.waiting[0])
            self.waiting.remove(chosen)
            self.busy[chosen.run_id] = self._unfinished(chosen)
            return chosen

    def finish(self, experiment: Experiment) -> None:
        """Nobody is at this one any more."""
        with self.lock:
            self.busy.pop(experiment.run_id, None)

    @staticmethod
    def _unfinished(experiment: Experiment) -> list[str]:
        resolved, top = experiment.resolve(), places.runs_folder() / "stages"
        names = [resolved.stage_id(i) for i in range(len(resolved.stages))]
        return [name for name in names if not sealed.finished(top / name)]


class _Seat:
    """A place for one process, which several lanes share; a process that ended is replaced by a new one."""

    def __init__(self, lanes: int):
        self.lanes = lanes
        self.lock = threading.Lock()
        self.worker: Worker | None = None


class _Sweep:
    """A queue of experiments and the processes that empty it, each with `streams` lanes."""

    def __init__(
        self,
        todo: Sequence[Experiment],
        jobs: int,
        streams: int,
        progress: Progress,
        done: Callable[[Run], None],
    ):
        self.here = [experiment for experiment in todo if not _portable(experiment)]
        elsewhere = [experiment for experiment in todo if experiment not in self.here]
        self.todo = _Todo(elsewhere)
        self.progress, self.done = progress, done
        self.lanes = streams
        jobs = min(jobs, len(elsewhere))
        self.streams = min(streams, -(-len(elsewhere) // jobs)) if jobs else 0
        self.seats = [_Seat(self.streams) for _ in range(jobs)]
        self.failures: dict[str, str] = {}
        self.lock = threading.Lock()
        self.processes: list[subprocess.Popen[str]] = []
        self.stopping = False

    def go(self) -> dict[str, str]:
        threads = [
            threading.Thread(target=self._serve, args=(seat,), daemon=True)
            for _ in range(self.streams)
            for seat in self.seats
        ]
        for thread in threads:
            thread.start()
        try:
            with self.progress.waiting():
                for thread in threads:
                    thread.join()
        except BaseException:  # Ctrl-C, a kernel's interrupt: let the workers save and end
            self.stopping = True
            for process in list(self.processes):
                process.terminate()
            for thread in threads:
                thread.join(timeout=30)
            raise
        self._train_here()
        return self.failures

    def _train_here(self) -> None:
        """Train what no other process can: some of its components are known to this one alone."""
        from ltlib.runs import packing
        from ltlib.training import accelerator

        if not self.here:
            return
        interrupted = threading.Event()

        def train(experiment: Experiment) -> None:
            error: str | None
            report = partial(self._show, experiment)
            found, error = packing.attempt(experiment, report, interrupted.is_set)
            self._settle(experiment, error if found is None else None)

        packing.serve(self.here, train, min(self.lanes, len(self.here)), accelerator.device(), interrupted)

    def _serve(self, seat: _Seat) -> None:
        while not self.stopping and (experiment := self.todo.take()) is not None:
            error: str | None
            try:
                error = self._train(self._worker(seat), experiment)
            except (LtlibError, OSError) as problem:  # no process to start
                error = str(problem)
            self.todo.finish(experiment)
            if experiment not in self.here:
                self._settle(experiment, error)
        with seat.lock:
            seat.lanes -= 1
            if seat.lanes or seat.worker is None:
                return
        seat.worker.close()
        seat.worker.process.wait()

    def _settle(self, experiment: Experiment, error: str | None) -> None:
        """A run has come to its end: hand it on, or keep why it is missing."""
        try:
            if error is None and (run := runs.load(experiment.run_id)) is not None:
                with self.lock:
                    self.done(run)
            elif error is None:
                error = "it was said to be trained and is not there; its images or components changed: start again"
        except (LtlibError, OSError) as problem:  # no disk to write its record
            error = str(problem)
        with contextlib.suppress(LtlibError, OSError):
            if error is None:
                _failure(experiment.run_id).unlink(missing_ok=True)
            else:
                write_text(_failure(experiment.run_id), f"{error}\n")
        with self.lock:
            if error is not None:
                self.failures[experiment.run_id] = error
            self.progress.step(_describe(experiment) + (f" failed: {error}" if error else ""))

    def _show(self, experiment: Experiment, row: Mapping[str, Any]) -> None:
        with self.lock:
            self.progress.show(f"{_describe(experiment)}, epoch {row['epoch']}/{row['epochs']}")

    def _worker(self, seat: _Seat) -> Worker:
        """The seat's process, started where there is none or it has ended."""
        with seat.lock:
            if seat.worker is None or not seat.worker.usable:
                seat.worker = Worker(self._start())
            return seat.worker

    def _start(self) -> subprocess.Popen[str]:
        env = os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "LTLIB_STREAMS": str(self.streams)}
        env |= plugins.environment()
        process = subprocess.Popen(
            worker.command(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=env,
        )
        self.processes.append(process)
        return process

    def _train(self, worker: Worker, experiment: Experiment) -> str | None:
        for message in worker.ask(experiment):
            if "stopped" in message:
                worker.close()
                return message["stopped"]
            if "done" in message:
                return None
            if "error" in message:
                return message["error"]
            if "unknown" in message:
                if not experiment.resolve().own:
                    return f"{message['unknown']}; start again"
                with self.lock:
                    self.here.append(experiment)
                return None
            self._show(experiment, message["row"])
        code = worker.process.wait()
        return f"its process ended with code {code}; start again and it goes on from its last checkpoint"


def _portable(experiment: Experiment) -> bool:
    """Whether another process can import all it needs."""
    return all(plugins.how_to_load(one.module) is not None for one in experiment.resolve().own)


def _describe(experiment: Experiment) -> str:
    return f"{experiment.method} on {experiment.dataset} ({experiment.model}, seed {experiment.seed})"

"""Many runs: those that are finished are loaded, the rest are trained side by side in processes of one thread each."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from ltlib import datasets, places, runs
from ltlib.errors import LtlibError, RunError
from ltlib.experiment import Experiment
from ltlib.files import write_text
from ltlib.progress import Progress
from ltlib.runs import Run


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
    show: bool = True,
    label: str = "runs",
    done: Callable[[Run], None] = lambda run: None,
    train: bool = True,
) -> RunList:
    """The runs of many experiments: loaded, or trained in parallel. One that fails never stops the others.

    Args:
        experiments: Duplicates are trained once.
        jobs: Training processes, each with one thread; by default one a core, at most one for each missing run. On a
            GPU, one.
        show: Show progress.
        label: The progress line's first words.
        done: Called with each run as it is finished.
        train: False only loads; what is not there is a failure of its own.

    Returns:
        The finished runs in the order of `experiments`; `RunList.failures` says what is missing and why.
    """
    todo = missing(experiments)
    failures: dict[str, str] = {}
    if todo and not train:
        failures = {exp.run_id: why_missing(exp) for exp in todo}
    elif todo:
        workers = min(jobs or default_jobs(), len(todo))
        failures = _Sweep(todo, workers, Progress(len(todo), label, enabled=show), done).go()
    found = [run for exp in experiments if (run := _load(exp.run_id)) is not None]
    return RunList(found, failures)


def default_jobs() -> int:
    """One process a core; one on a GPU."""
    from ltlib import stages

    if stages.device().type != "cpu":
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def why_missing(experiment: Experiment) -> str:
    """Why a run is not there: its last failure, its data, or nobody trained it yet."""
    with contextlib.suppress(OSError):
        return _failure(experiment.run_id).read_text(encoding="utf-8").strip()
    if not datasets.available(experiment.dataset):
        return f"the images are not here ({datasets.info(experiment.dataset).where})"
    return "not trained yet"


def _failure(run_id: str) -> Path:
    return places.runs_folder() / "failures" / f"{run_id}.txt"


class _Sweep:
    """A queue of experiments and the processes that empty it."""

    def __init__(self, todo: Sequence[Experiment], workers: int, progress: Progress, done: Callable[[Run], None]):
        self.todo: queue.SimpleQueue[Experiment] = queue.SimpleQueue()
        for experiment in todo:
            self.todo.put(experiment)
        self.workers, self.progress, self.done = workers, progress, done
        self.failures: dict[str, str] = {}
        self.lock = threading.Lock()
        self.processes: list[subprocess.Popen[str]] = []
        self.stopping = False

    def go(self) -> dict[str, str]:
        threads = [threading.Thread(target=self._serve, daemon=True) for _ in range(self.workers)]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                thread.join()
        except BaseException:  # Ctrl-C, a kernel's interrupt: let the workers save and end
            self.stopping = True
            for process in list(self.processes):
                process.terminate()
            for thread in threads:
                thread.join(timeout=30)
            raise
        return self.failures

    def _serve(self) -> None:
        process = None
        while not self.stopping:
            try:
                experiment = self.todo.get_nowait()
            except queue.Empty:
                break
            error: str | None
            try:
                if process is None or process.poll() is not None:
                    process = self._start()
                error = self._train(process, experiment)
                if error is None and (run := runs.load(experiment.run_id)) is not None:
                    with self.lock:
                        self.done(run)
            except (LtlibError, OSError) as problem:  # no process to start, no disk to write its record
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
        if process is not None:
            assert process.stdin is not None
            with contextlib.suppress(BrokenPipeError):  # what a dead one has not read
                process.stdin.close()
            process.wait()

    def _start(self) -> subprocess.Popen[str]:
        env = os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        process = subprocess.Popen(
            [sys.executable, "-m", "ltlib.worker"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env
        )
        self.processes.append(process)
        return process

    def _train(self, process: subprocess.Popen[str], experiment: Experiment) -> str | None:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps(experiment.settings()) + "\n")
            process.stdin.flush()
        except BrokenPipeError:
            pass  # the loop below finds it dead
        for line in process.stdout:
            try:
                message: dict[str, Any] = json.loads(line)
            except ValueError:  # it died in the middle of a line
                break
            if "stopped" in message:
                process.wait()
                return message["stopped"]
            if "done" in message:
                return None
            if "error" in message:
                return message["error"]
            row = message["row"]
            with self.lock:
                self.progress.show(f"{_describe(experiment)}, epoch {row['epoch']}/{row['epochs']}")
        code = process.wait()
        return f"its process ended with code {code}; start again and it goes on from its last checkpoint"


def _describe(experiment: Experiment) -> str:
    return f"{experiment.method} on {experiment.dataset} ({experiment.model}, seed {experiment.seed})"

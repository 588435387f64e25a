"""Many runs: those that are finished are loaded, the rest are trained side by side.

On a CPU in processes of one thread each; on a GPU in one process that keeps several runs going (`ltlib.runs.packing`),
or in several such processes; or on the machines of a Dask cluster.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

from ltlib import datasets, plugins, runs
from ltlib.errors import RunError, RunsFailed
from ltlib.experiment import Experiment
from ltlib.runs.batch import Batch, describe, failure_file
from ltlib.runs.engines import Engine
from ltlib.runs.engines.pool import Pool
from ltlib.runs.lanes import Lanes
from ltlib.runs.store import Run


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
    return standing(experiments)[1]


def standing(experiments: Iterable[Experiment]) -> tuple[list[Run], list[Experiment]]:
    """The finished runs of some experiments, and the experiments without one; each once."""
    found, left = [], []
    for run_id, experiment in {exp.run_id: exp for exp in experiments}.items():
        run = _load(run_id)
        if run is None:
            left.append(experiment)
        else:
            found.append(run)
    return found, left


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
    cluster: str | None = None,
    resources: Mapping[str, float] | None = None,
) -> RunList:
    """The runs of many experiments: loaded, or trained in parallel. One that fails never stops the others.

    A run whose process or machine is lost is tried again, from its last checkpoint; one that another process trains is
    waited for; an error is met once. How the batch stands is kept in ``batches/`` of the reports folder, which
    ``ltlib status`` reads while it runs.

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
        cluster: Train on a Dask cluster instead (``pip install "ltlib[cluster]"``): ``tcp://HOST:PORT`` of a scheduler,
            ``local``, or ``slurm``; see `ltlib.runs.engines.cluster`.
        resources: What a Dask worker must have to train a run, as ``{"GPU": 1}``.

    Returns:
        The finished runs in the order of `experiments`; `RunList.failures` says what is missing and why.

    Raises:
        RunsFailed: A run is missing, said after all others are finished; it names each and has the others.
        RunError: The cluster cannot be used: it is not there, has no worker that could do it, or another version.
    """
    finished, todo = standing(experiments)
    here = {run.id: run for run in finished}
    failures: dict[str, str] = {}
    if todo and not train:
        failures = {exp.run_id: why_missing(exp) for exp in todo}
    elif todo:
        batch = Batch(todo, label, show, done)
        _train(todo, _engine(todo, jobs, streams, cluster, resources), batch, streams)
        failures = batch.failures
    for run in filter(None, (_load(exp.run_id) for exp in todo)):
        here[run.id] = run
    ids = [exp.run_id for exp in experiments]
    found = RunList([here[run_id] for run_id in ids if run_id in here], failures)
    if strict and failures:
        raise RunsFailed(_told(experiments, failures), found)
    return found


def _engine(
    todo: Sequence[Experiment],
    jobs: int | None,
    streams: int | None,
    cluster: str | None,
    resources: Mapping[str, float] | None,
) -> Engine:
    """Where the runs are trained."""
    if cluster is not None:
        from ltlib.runs.engines import cluster as dask

        return dask.opened(cluster, todo, jobs=jobs, streams=streams, resources=resources)
    from ltlib.training import accelerator

    accelerator.device()  # one sentence here instead of one traceback a process
    portable = sum(map(_portable, todo))
    return Pool(portable, jobs or default_jobs(), streams or default_streams())


def _told(experiments: Sequence[Experiment], failures: Mapping[str, str]) -> str:
    """The sentence of what failed."""
    unique = {exp.run_id: exp for exp in experiments}
    each = "; ".join(f"run {run_id}, {describe(unique[run_id])}: {reason}" for run_id, reason in failures.items())
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
        return failure_file(experiment.run_id).read_text(encoding="utf-8").strip()
    if not datasets.available(experiment.dataset):
        return f"the images are not here ({datasets.info(experiment.dataset).where})"
    return "not trained yet"


def _train(todo: Sequence[Experiment], engine: Engine, batch: Batch, streams: int | None) -> None:
    """Have the engine train what it can, then train here what no other process can."""
    here = [experiment for experiment in todo if not _portable(experiment)]
    lanes = Lanes([experiment for experiment in todo if experiment not in here], engine, batch)
    batch.engine = engine.name
    with batch.open():
        lanes.go()
        _train_here([*here, *lanes.here], batch, streams)


def _train_here(experiments: Sequence[Experiment], batch: Batch, streams: int | None) -> None:
    """Train what no other process can: some of its components are known to this one alone."""
    from ltlib.runs import packing
    from ltlib.training import accelerator

    if not experiments:
        return
    interrupted = threading.Event()

    def train(experiment: Experiment) -> None:
        batch.begin(experiment)
        while True:
            _, ended = packing.attempt(experiment, partial(batch.hear, experiment), interrupted.is_set)
            if ended.kind != "busy" or interrupted.wait(1.0):
                break
        batch.settle(experiment, ended.failure)

    lanes = min(streams or default_streams(), len(experiments))
    packing.serve(experiments, train, lanes, accelerator.device(), interrupted)


def _portable(experiment: Experiment) -> bool:
    """Whether another process can import all it needs."""
    return all(plugins.how_to_load(one.module) is not None for one in experiment.resolve().own)

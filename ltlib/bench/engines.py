"""``ltlib bench batch``: what an engine takes besides the runs themselves."""

from __future__ import annotations

import importlib.util
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ltlib.bench.common import machine, table
from ltlib.bench.loops import temporary_reports
from ltlib.errors import RunError, SettingError
from ltlib.experiment import Experiment
from ltlib.runs.batch import Batch
from ltlib.runs.engines import Engine
from ltlib.runs.engines.pool import Pool
from ltlib.runs.lanes import Lanes
from ltlib.runs.outcomes import Outcome

EXPERIMENT = Experiment(
    dataset="digits", imbalance_factor=20, model="resnet8", recipe="convergent[augmentation=shift1;epochs=5;patience=0]"
)
"""Runs of seconds: of minutes, as real ones are, an engine takes a hundredth of that share."""


def batch(*, rounds: int = 3, count: int | None = None, jobs: int = 2, quiet: bool = False) -> dict[str, Any]:
    """Batches of short runs on the embedded digits, by local processes and, where it is installed, by Dask.

    Each training process says when it began and ended a run. An engine's overhead is the time that its processes were
    without a run between their first and their last one, over the time of the runs: queueing, sending, records. Process
    starts are before the first run and do not count. Both times are wall time of the same seconds, so a busy machine
    lengthens both.

    Args:
        rounds: Batches of each engine.
        count: Runs a batch; eight a process by default.
        jobs: Training processes.
        quiet: Print nothing.

    Returns:
        JSON-ready: ``bench``, ``count``, ``jobs``, ``rounds``, ``seconds_per_run``, ``overheads`` (fractions by engine,
        one a round), ``machine``.

    Raises:
        SettingError: No round or process, or fewer than two runs a process.
        RunError: A run fails.
    """
    count = 8 * jobs if count is None else count
    if min(rounds, jobs) < 1 or count < 2 * jobs:
        raise SettingError(f"bench batch needs a round, a process and two runs each, not {rounds}, {jobs} and {count}")
    experiments = [EXPERIMENT.replace(seed=seed) for seed in range(count)]
    engines: dict[str, Callable[[], Engine]] = {"local processes": lambda: Pool(count, jobs, 1)}
    if importlib.util.find_spec("distributed"):
        from ltlib.runs.engines import cluster

        engines["Dask, local"] = lambda: cluster.opened("local", experiments, jobs=jobs, streams=1)
    overheads: dict[str, list[float]] = {name: [] for name in engines}
    seconds: list[float] = []
    for _ in range(rounds):
        for name, start in engines.items():
            with temporary_reports():
                took = _timed(experiments, start())
            overheads[name].append(overhead(took))
            seconds += [ended - began for _, began, ended in took]
    result = {
        "bench": "batch",
        "count": count,
        "jobs": jobs,
        "rounds": rounds,
        "seconds_per_run": statistics.median(seconds),
        "overheads": overheads,
        "machine": machine(),
    }
    if not quiet:
        print(_text(result))  # noqa: T201 - a bench is run to be read
    return result


def overhead(took: Sequence[Sequence[float]]) -> float:
    """The share that processes were without a run, of the time of their runs.

    Args:
        took: Process, begin and end of each run, in seconds.
    """
    processes: dict[float, list[Sequence[float]]] = {}
    for one in took:
        processes.setdefault(one[0], []).append(one[1:])
    spans = sum(max(end for _, end in own) - min(begin for begin, _ in own) for own in processes.values())
    return spans / sum(end - begin for _, begin, end in took) - 1.0


def _timed(experiments: Sequence[Experiment], engine: Engine) -> list[tuple[float, ...]]:
    """Have an engine train runs; process, begin and end of each.

    Raises:
        RunError: One of them failed.
    """
    took: list[tuple[float, ...]] = []
    train = engine.train

    def noted(lane: int, experiment: Experiment, hear: Callable[[Mapping[str, Any]], None]) -> Outcome:
        ended = train(lane, experiment, hear)
        took.append(ended.took)
        return ended

    engine.train = noted  # type: ignore[method-assign]
    book = Batch(experiments, "bench", False, lambda run: None)
    with book.open():
        Lanes(list(experiments), engine, book).go()
    if book.failures:
        raise RunError(f"a run of the bench failed: {next(iter(book.failures.values()))}")
    return took


def _text(result: Mapping[str, Any]) -> str:
    """The result as people read it."""
    rows = [[f"{result['count']} runs, {result['jobs']} processes", "overhead", "low", "high"]]
    for name, found in result["overheads"].items():
        rows.append([name, *(f"{share:.2%}" for share in (statistics.median(found), min(found), max(found)))])
    host = result["machine"]
    lines = [table(rows), "", f"{result['seconds_per_run']:.1f} s a run, {result['rounds']} rounds"]
    return "\n".join([*lines, f"{host['cpu']}, {host['cores']} cores, load {host['load']}, torch {host['torch']}"])

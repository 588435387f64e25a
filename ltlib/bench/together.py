"""``ltlib bench grid``: several trainings, one after the other with all cores against side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch

from ltlib import runs
from ltlib.bench.common import Arm, compare, counted, describe, machine, table, take_turns, warm_up
from ltlib.bench.loops import temporary_reports
from ltlib.bench.workload import TINY, Workload, workload
from ltlib.errors import RunError, SettingError
from ltlib.experiment import Experiment
from ltlib.progress import Progress
from ltlib.runs import packing, sweep
from ltlib.training import accelerator

ONE_BY_ONE = "one by one"
STREAMS = (1, 2, 4, 8)
"""Runs at once on a GPU that are tried."""


def grid(
    *,
    model: str = TINY,
    epochs: int | None = None,
    rounds: int = 5,
    count: int | None = None,
    jobs: int | None = None,
    streams: Sequence[int] | None = None,
    threads: int | None = None,
    images: int | None = None,
    precision: str = "float32",
    quiet: bool = False,
) -> dict[str, Any]:
    """Whole runs that differ in their seed, from the images on disk to the sealed run folders.

    Arms: ``one by one`` in this process with `threads`; ``N processes`` of one thread each, by
    `ltlib.runs.sweep.run_all`; and ``K streams``, K runs at once in this process, by `ltlib.runs.packing.run_packed`.
    The processes are started anew in each round, so their imports count; a sweep of hundreds of runs pays once.

    Args:
        model: As in `ltlib.bench.run`; images must be on this machine.
        epochs: Of each run; 40 for ``tiny``, else 2, on a GPU 5.
        rounds: Measured rounds, after a warm-up of each arm.
        count: Runs a round; by default four a process, and twice the most streams.
        jobs: Processes; one a core by default.
        streams: Runs at once in one process; by default 1, 2, 4 and 8 on CUDA, and none are tried elsewhere.
        threads: torch's, of the runs in this process; all cores by default. On a busy machine two threads of
            a tiny network mostly wait for each other; one shows more there.
        images: Training images of 32x32 pixels; 1,280 by default, on a GPU the whole long-tailed set.
        precision: ``float32`` or ``bf16``.
        quiet: Print nothing.

    Returns:
        JSON-ready: ``bench``, ``model``, ``images``, ``epochs``, ``count``, ``jobs``, ``streams``, ``threads``,
        ``rounds``, ``precision``, ``device``, ``arms`` (by name: images_per_second, seconds_per_run and those of each
        round), ``ratios``, ``machine``.

    Raises:
        SettingError: No round, run or process.
        RunError: The images are not on this machine, or a run fails.
    """
    host = machine()
    jobs = host["cores"] if jobs is None else jobs
    lanes = tuple(streams) if streams is not None else STREAMS if accelerator.device().type == "cuda" else ()
    count = max(4 * jobs, 2 * max(lanes, default=0)) if count is None else count
    threads = host["cores"] if threads is None else threads
    if min(rounds, count, jobs, threads, *lanes) < 1:
        raise SettingError(
            "bench grid needs a round, a run, a process, a thread and a stream at least, "
            f"not {rounds}, {count}, {jobs}, {threads} and {', '.join(map(str, lanes)) or 'none'}"
        )
    epochs = 40 if epochs is None and model == TINY else epochs
    work = workload(model, epochs=epochs, images=images, precision=precision)
    if not work.stored:
        raise RunError("bench grid trains whole runs on CIFAR-100, which is not here; see ltlib list datasets")
    arms = _arms(work, count, jobs, threads, lanes)
    line = Progress(len(arms) * (rounds + 1), f"bench grid {model}", enabled=not quiet)
    warm_up(arms, line.step)
    take_turns(arms, rounds, line.step)
    result = {
        "bench": "grid",
        "model": model,
        "images": len(work.data.train),
        "epochs": work.epochs,
        "count": count,
        "jobs": jobs,
        "streams": list(lanes),
        "threads": threads,
        "rounds": rounds,
        "precision": work.resolved.precision,
        "device": str(accelerator.device()),
        "arms": {name: _speed(arm, count) for name, arm in arms.items()},
        "ratios": {
            f"{name} against {ONE_BY_ONE}": compare(arms[ONE_BY_ONE], arm)
            for name, arm in arms.items()
            if name != ONE_BY_ONE
        },
        "machine": host,
    }
    if not quiet:
        print(_text(result))  # noqa: T201 - a bench is run to be read
    return result


def _arms(work: Workload, count: int, jobs: int, threads: int, lanes: Sequence[int]) -> dict[str, Arm]:
    experiments = [work.experiment.replace(seed=seed) for seed in range(count)]
    images = count * len(work.data.train) * work.epochs
    ways: dict[str, Callable[[], None]] = {
        ONE_BY_ONE: lambda: one_by_one(experiments),
        f"{jobs} process{'es' if jobs > 1 else ''}": lambda: side_by_side(experiments, jobs),
    }
    for lane in lanes:
        ways[f"{lane} stream{'s' if lane > 1 else ''}"] = partial(packed, experiments, lane)
    return {name: Arm(way, images, threads) for name, way in ways.items()}


def one_by_one(experiments: Sequence[Experiment]) -> None:
    """Train each in this process, in a temporary reports folder."""
    with temporary_reports():
        for experiment in experiments:
            runs.run(experiment)
        if torch.cuda.is_available():
            torch.cuda.synchronize()


def side_by_side(experiments: Sequence[Experiment], jobs: int) -> None:
    """Train them in processes of one thread each, in a temporary reports folder.

    Raises:
        RunError: One of them failed.
    """
    with temporary_reports():
        failures = sweep.run_all(experiments, jobs=jobs, streams=1, show=False, strict=False).failures
    _refuse(failures)


def packed(experiments: Sequence[Experiment], streams: int) -> None:
    """Train so many at once in this process, in a temporary reports folder.

    Raises:
        RunError: One of them failed.
    """
    with temporary_reports():
        failures = packing.run_packed(experiments, streams=streams).failures
    _refuse(failures)


def _refuse(failures: Mapping[str, str]) -> None:
    if failures:
        raise RunError(f"a run of the bench failed: {next(iter(failures.values()))}")


def _speed(arm: Arm, count: int) -> dict[str, Any]:
    found = describe(arm)
    return found | {"seconds_per_run": arm.count / found["images_per_second"] / count}


def _text(result: Mapping[str, Any]) -> str:
    """The result as people read it."""
    rows = [[f"{result['count']} runs of {result['model']}", "images/s together", "s/run"]]
    for name, arm in result["arms"].items():
        rows.append([name, f"{arm['images_per_second']:,.0f}", f"{arm['seconds_per_run']:.2f}"])
    lines = [table(rows), ""]
    for name, kinds in result["ratios"].items():
        wall = kinds["wall"]
        lines.append(
            f"{name}: {wall['median']:.2f}x ({wall['low']:.2f} to {wall['high']:.2f}), rounds: {counted(kinds)}"
        )
    host = result["machine"]
    lines.append(
        f"{result['images']:,} images, {result['epochs']} epochs a run, imports and files included, "
        f"{result['threads']} thread{'s' if result['threads'] > 1 else ''} in this process, {result['device']}"
    )
    lines.append(f"{host['cpu']}, {host['cores']} cores, torch {host['torch']}")
    return "\n".join(lines)

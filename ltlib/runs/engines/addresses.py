"""A Dask cluster by its address: one that runs already, one of this machine's processes, or one of SLURM jobs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ltlib import places
from ltlib.errors import RunError, SettingError

EXTRA = 'install the extra: pip install "ltlib[cluster]"'
LOCAL, SLURM = "local", "slurm"
CONNECT = 15
"""Seconds until a scheduler must have answered."""


@dataclass
class Place:
    """Where a scheduler is.

    Attributes:
        address: Of the scheduler.
        slots: Runs at once that are expected, where it is known before the workers are there.
        wait: Seconds until a first worker must be there; None waits for ever, as a job in a queue may have to.
        close: Ends what was started for it.
    """

    address: str
    slots: int = 0
    wait: float | None = 30.0
    close: Callable[[], None] = lambda: None


def distributed() -> Any:
    """The library.

    Raises:
        SettingError: It is not installed; names the extra.
    """
    try:
        import distributed
    except ImportError as error:
        raise SettingError(f"a cluster needs Dask, which is not installed; {EXTRA}") from error
    return distributed


def found(name: str, jobs: int | None, streams: int | None) -> Place:
    """The cluster of that name, started where it is to be.

    Args:
        name: ``tcp://HOST:PORT`` or another address that Dask knows, ``local`` or ``slurm``.
        jobs: Workers to start for ``local`` and ``slurm``; by default one a GPU, one a core where there is none, and
            one SLURM job.
        streams: Runs at once on each of those.

    Raises:
        SettingError: No such form, or a library is missing.
        RunError: It cannot be started.
    """
    distributed()
    if name == LOCAL:
        return _local(jobs, streams)
    if name == SLURM:
        return _slurm(jobs or 1, streams or 1)
    if "://" not in name:
        raise SettingError(f"cluster must be tcp://HOST:PORT, {LOCAL} or {SLURM}, not {name!r}")
    return Place(name)


def gpus() -> list[str]:
    """This machine's GPUs that may be used, as ``CUDA_VISIBLE_DEVICES`` calls them; none with ``LTLIB_DEVICE=cpu``."""
    from ltlib.training import accelerator

    if accelerator.device().type != "cuda":
        return []
    if visible := places.variable("CUDA_VISIBLE_DEVICES"):
        return [one.strip() for one in visible.split(",")]
    import torch

    return [str(i) for i in range(torch.cuda.device_count())]


def _local(jobs: int | None, streams: int | None) -> Place:
    """Workers of this machine, each with one GPU of its own, or one thread."""
    from ltlib.runs import sweep

    cards = gpus()
    count = jobs or len(cards) or sweep.default_jobs()
    lanes = streams or (sweep.default_streams() if cards else 1)
    cluster = distributed().LocalCluster(n_workers=0, host="127.0.0.1", dashboard_address=":0", silence_logs=50)
    processes = [
        worker(cluster.scheduler_address, lanes, cards[i % len(cards)] if cards else None) for i in range(count)
    ]

    def close() -> None:
        for process in processes:
            process.terminate()
        for process in processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        cluster.close()

    return Place(cluster.scheduler_address, count * lanes, 120.0, close)


def worker(address: str, streams: int = 1, card: str | None = None) -> subprocess.Popen[bytes]:
    """Start a Dask worker on this machine, with a nanny that starts it again when it is lost.

    Args:
        address: Of the scheduler.
        streams: Runs at once in it.
        card: The one GPU it sees; it then offers the resource ``GPU``, as much as it takes runs at once.
    """
    own: dict[str, Any] = {"nthreads": streams, "memory_limit": 0, "dashboard": False, "host": "127.0.0.1"}
    env = os.environ | {"DASK_LOGGING__DISTRIBUTED": "critical"}
    if card is not None:
        own["resources"] = {"GPU": streams}
        env["CUDA_VISIBLE_DEVICES"] = card
    spec = json.dumps({"cls": "distributed.Nanny", "opts": own})
    command = [sys.executable, "-m", "dask", "spec", address, "--spec", spec]
    return subprocess.Popen(command, env=env, process_group=0, stdin=subprocess.DEVNULL)


def _slurm(jobs: int, streams: int) -> Place:
    """SLURM jobs of one worker each, as the site's own configuration of dask-jobqueue asks for them."""
    try:
        from dask_jobqueue import SLURMCluster
    except ImportError as error:
        raise SettingError(f"cluster slurm needs dask-jobqueue, which is not installed; {EXTRA}") from error
    own: Mapping[str, Any] = {"cores": streams, "processes": 1}
    try:
        cluster = SLURMCluster(**own)
        cluster.scale(jobs=jobs)
    except Exception as error:  # of a site's configuration: a missing key, a missing sbatch
        raise RunError(
            f"no SLURM jobs can be asked for: {error}; say memory, queue and job_extra_directives (the GPU) under "
            "jobqueue.slurm in ~/.config/dask/jobqueue.yaml"
        ) from error
    return Place(cluster.scheduler_address, jobs * streams, None, cluster.close)

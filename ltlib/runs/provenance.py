"""Where and with what a result was made: no part of its identity, kept with every run."""

from __future__ import annotations

import platform
import subprocess
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ltlib import places
from ltlib.training.accelerator import CPU_THREADS
from ltlib.version import __version__

together = 1
"""Runs that this process trains at once, and so share a GPU; said by who starts them."""


def describe(target: torch.device) -> dict[str, Any]:
    """Where and with what a result was made: no part of its identity."""
    return {
        "ltlib": __version__,
        "commit": _commit(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "device": device(target),
        "threads": torch.get_num_threads(),
        **({"together": together} if together > 1 else {}),
        "system": platform.system(),
    }


def peak_memory(target: torch.device) -> int | None:
    """Bytes: on a GPU the most that this process's tensors took there, else the most memory that it held; None where
    the system does not say. A process that trains several runs keeps the largest."""
    if target.type == "cuda":
        return torch.cuda.max_memory_allocated(target)
    try:
        import resource
    except ImportError:
        return None
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if platform.system() == "Darwin" else 1024 * most


def device(target: torch.device) -> str:
    """A GPU's or the CPU's name."""
    return torch.cuda.get_device_name(target) if target.type == "cuda" else processor()


def told(runs: Iterable[Any]) -> str:
    """Which hardware the numbers come from, where they were not made here as a training is made now; else empty.

    Args:
        runs: `Run` objects; of committed records their device and threads are said, of others only threads that are
            not those of a CPU training.
    """
    runs = list(runs)
    records, others = Counter[str](), Counter[int]()
    for run in runs:
        made = getattr(run, "provenance", {})
        if getattr(run, "profile", None) is not None:
            records[f"{made.get('device', 'unknown hardware')}, {_threads(made.get('threads', 1))}"] += 1
        elif made.get("threads", CPU_THREADS) != CPU_THREADS and made.get("device") == processor():
            others[made["threads"]] += 1
    parts = []
    if records:
        each = "; ".join(f"{count} on {hardware}" for hardware, count in records.most_common())
        parts.append(f"{records.total()} of {len(runs)} runs are records of finished trainings, not made here: {each}.")
    for count, number in others.most_common():
        parts.append(
            f"{number} of {len(runs)} runs were trained with {_threads(count)}; one trained now has "
            f"{_threads(CPU_THREADS)} and may end elsewhere."
        )
    return " ".join(parts)


def _threads(count: int) -> str:
    return f"{count} thread{'s' * (count != 1)}"


def processor() -> str:
    """The CPU's name as the system gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _commit() -> str | None:
    """The checkout's commit, with ``+`` where files differ from it; None outside a checkout."""
    top = places.checkout()
    if top is None:
        return None
    try:
        head = subprocess.run(
            ["git", "rev-parse", "--short=12", "HEAD"], cwd=top, capture_output=True, text=True, check=True
        )
        changed = subprocess.run(
            ["git", "status", "--porcelain", "--", "ltlib"], cwd=top, capture_output=True, text=True, check=True
        )
        return head.stdout.strip() + ("+" if changed.stdout.strip() else "")
    except (OSError, subprocess.CalledProcessError):
        return None

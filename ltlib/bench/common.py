"""What every bench uses: arms that take turns, ratios with their range, what was measured on, and tables of text."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch

from ltlib import provenance

BATCH = 128
SHORTEST = 0.25
"""Seconds an arm runs in a round at least: timers and schedulers are too coarse for less."""
MEAN, STD = (0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)
"""Of CIFAR-100's training images."""


@dataclass
class Arm:
    """One of the things compared.

    Attributes:
        run: One pass over `count` things; everything it starts has ended when it returns.
        threads: Of torch in this process while it runs.
        wall: Seconds per thing, one entry a round.
        cpu: CPU seconds per thing, child processes included, one entry a round.
    """

    run: Callable[[], None]
    count: int
    threads: int
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def measure(self) -> None:
        """Run passes until enough time has gone by and note the time of one thing."""
        with threads(self.threads):
            passes, cpu, wall = 0, cpu_seconds(), time.perf_counter()
            while passes == 0 or time.perf_counter() - wall < SHORTEST:
                self.run()
                passes += 1
            self.wall.append((time.perf_counter() - wall) / (passes * self.count))
            self.cpu.append((cpu_seconds() - cpu) / (passes * self.count))

    def summary(self) -> dict[str, Any]:
        """Medians over the rounds."""
        wall, cpu = statistics.median(self.wall), statistics.median(self.cpu)
        return {
            "threads": self.threads,
            "images_per_second": 1 / wall,
            "microseconds_per_image": 1e6 * wall,
            "cpu_microseconds_per_image": 1e6 * cpu,
        }


def interleave(arms: Mapping[str, Arm], rounds: int) -> None:
    """Warm every arm up once, then run them in turns, the order reversed every other round."""
    for arm in arms.values():
        with threads(arm.threads):
            arm.run()
    order = list(arms.values())
    for _ in range(rounds):
        for arm in order:
            arm.measure()
        order.reverse()


def ratio(slow: Arm, fast: Arm) -> dict[str, Any]:
    """How many times faster `fast` is: median and range over the rounds, in wall time and in CPU time."""

    def of(mine: list[float], theirs: list[float]) -> dict[str, float]:
        values = [a / b for a, b in zip(theirs, mine, strict=True)]
        return {"median": statistics.median(values), "low": min(values), "high": max(values)}

    return {"wall": of(fast.wall, slow.wall), "cpu": of(fast.cpu, slow.cpu)}


def machine() -> dict[str, Any]:
    """What the numbers were measured on."""
    from importlib.metadata import version

    return {
        "cpu": provenance.processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torchvision": version("torchvision"),
        "pillow": version("pillow"),
        "system": platform.platform(terse=True),
    }


def table(rows: Iterable[Iterable[str]]) -> str:
    """Rows of text as aligned columns: the first to the left, the others to the right."""
    cells = [list(row) for row in rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))]
    lines = (
        [row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))] for row in cells
    )
    return "\n".join("  ".join(line).rstrip() for line in lines)


@contextmanager
def threads(count: int) -> Iterator[None]:
    """torch limited to so many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def cpu_seconds() -> float:
    """CPU time of this process and of its children that have ended (on Windows without the children)."""
    times = os.times()
    return time.process_time() + times.children_user + times.children_system

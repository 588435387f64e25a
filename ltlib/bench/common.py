"""What every bench uses: arms that take turns, ratios with their range, what was measured on, and tables of text."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch

from ltlib.bench.clocks import ALLOWED, ENOUGH, Foreign, cpu_seconds
from ltlib.runs import provenance
from ltlib.training import accelerator

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
        foreign: Cores' worth of CPU time that other processes used meanwhile, one entry a round; None if unknown.
    """

    run: Callable[[], None]
    count: int
    threads: int
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    foreign: list[float | None] = field(default_factory=list)

    def measure(self) -> None:
        """Run passes until enough time has gone by and note the time of one thing."""
        with threads(self.threads):
            others, passes, cpu, wall = Foreign(), 0, cpu_seconds(), time.perf_counter()
            while passes == 0 or time.perf_counter() - wall < SHORTEST:
                self.run()
                passes += 1
            self.wall.append((time.perf_counter() - wall) / (passes * self.count))
            self.cpu.append((cpu_seconds() - cpu) / (passes * self.count))
            self.foreign.append(others.share())

    def summary(self, rounds: Sequence[int] | None = None) -> dict[str, Any]:
        """Medians over the rounds, or over some of them."""
        wall, cpu = (statistics.median(chosen(values, rounds)) for values in (self.wall, self.cpu))
        return {
            "threads": self.threads,
            "images_per_second": 1 / wall,
            "microseconds_per_image": 1e6 * wall,
            "cpu_microseconds_per_image": 1e6 * cpu,
        }


def interleave(arms: Mapping[str, Arm], rounds: int) -> None:
    """Warm every arm up once, then let them take turns."""
    warm_up(arms)
    take_turns(arms, rounds)


def warm_up(arms: Mapping[str, Arm], done: Callable[[str], None] = lambda name: None) -> None:
    """Run every arm once, unmeasured; `done` hears of each."""
    for name, arm in arms.items():
        with threads(arm.threads):
            arm.run()
        done(f"{name}, warm-up")


def take_turns(arms: Mapping[str, Arm], rounds: int, done: Callable[[str], None] = lambda name: None) -> None:
    """Measure every arm once a round, the order reversed every other round; `done` hears of each."""
    order = list(arms.items())
    for _ in range(rounds):
        for name, arm in order:
            arm.measure()
            done(name)
        order.reverse()


def ratio(slow: Arm, fast: Arm, rounds: Sequence[int] | None = None) -> dict[str, Any]:
    """How many times faster `fast` is: median and range over the rounds (or some), in wall time and in CPU time."""

    def of(mine: list[float], theirs: list[float]) -> dict[str, float]:
        values = [a / b for a, b in zip(chosen(theirs, rounds), chosen(mine, rounds), strict=True)]
        return {"median": statistics.median(values), "low": min(values), "high": max(values)}

    return {"wall": of(fast.wall, slow.wall), "cpu": of(fast.cpu, slow.cpu)}


def chosen(values: Sequence[float], rounds: Sequence[int] | None) -> list[float]:
    """The values of these rounds, of all of them by default."""
    return list(values) if rounds is None else [values[i] for i in rounds]


def quiet_rounds(*arms: Arm) -> tuple[list[int], int | None]:
    """Which rounds of some arms to believe, and how many were noisy.

    A round is noisy if other processes used more than `ALLOWED` of a core while one of these arms ran. Noisy rounds are
    left out where at least `ENOUGH` quiet ones are there; with fewer all rounds are kept, and the count says so.

    Returns:
        Numbers of the rounds, and how many of all were noisy: None where the system does not tell.
    """
    total = len(arms[0].wall)
    shares = [[arm.foreign[i] if arm.foreign else None for arm in arms] for i in range(total)]
    if any(share is None for round_ in shares for share in round_):
        return list(range(total)), None
    quiet = [i for i, round_ in enumerate(shares) if all(share is not None and share <= ALLOWED for share in round_)]
    return (quiet if len(quiet) >= ENOUGH else list(range(total))), total - len(quiet)


def compare(slow: Arm, fast: Arm) -> dict[str, Any]:
    """`ratio` over the rounds to believe (`quiet_rounds`): how many those are, were noisy and are left out."""
    kept, noisy = quiet_rounds(slow, fast)
    return ratio(slow, fast, kept) | {"rounds": len(kept), "noisy": noisy, "left_out": len(slow.wall) - len(kept)}


def describe(arm: Arm) -> dict[str, Any]:
    """An arm's medians over the rounds to believe, and every round as it was."""
    kept, noisy = quiet_rounds(arm)
    seconds = [wall * arm.count for wall in arm.wall]
    return arm.summary(kept) | {"noisy": noisy, "round_seconds": seconds, "round_foreign": list(arm.foreign)}


def counted(kinds: Mapping[str, Any]) -> str:
    """How many rounds count in a comparison, in words."""
    if not kinds["noisy"]:
        return f"{kinds['rounds']} ({'noise unknown' if kinds['noisy'] is None else 'all quiet'})"
    return f"{kinds['rounds']} ({kinds['noisy']} noisy, {'left out' if kinds['left_out'] else 'kept: too few quiet'})"


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
    """torch limited to so many threads, and the trainings of this process too."""
    before, of_trainings = torch.get_num_threads(), accelerator.CPU_THREADS
    torch.set_num_threads(count)
    accelerator.CPU_THREADS = count
    try:
        yield
    finally:
        torch.set_num_threads(before)
        accelerator.CPU_THREADS = of_trainings

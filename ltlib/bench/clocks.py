"""CPU time, our own and that of other processes: what a busy machine does to a measurement is noted beside it."""

from __future__ import annotations

import os
import time
from pathlib import Path

ALLOWED = 0.15
"""Share of one core that other processes may use in a round; with more, the round is noisy."""
ENOUGH = 3
"""Quiet rounds that are believed alone."""


def cpu_seconds() -> float:
    """CPU time of this process and of its children that have ended (on Windows without the children)."""
    times = os.times()
    return time.process_time() + times.children_user + times.children_system


def busy_seconds(stat: str | None = None, cores: set[int] | None = None) -> float | None:
    """CPU seconds that all processes together have used on the cores this process may use, since the machine started.

    Time the hypervisor gave to others ("steal") counts as used; waiting for a disk does not.

    Args:
        stat: The text of ``/proc/stat``; read there by default.
        cores: Numbers of the cores; those of this process by default.

    Returns:
        Seconds, or None where the system does not tell (not Linux).
    """
    try:
        text = Path("/proc/stat").read_text() if stat is None else stat
        allowed = os.sched_getaffinity(0) if cores is None else cores
        ticks = os.sysconf("SC_CLK_TCK")
    except (OSError, AttributeError, ValueError):
        return None
    total = 0
    for words in (line.split() for line in text.splitlines()):
        if words and words[0].startswith("cpu") and words[0][3:].isdigit() and int(words[0][3:]) in allowed:
            user, nice, system, _, _, irq, softirq, steal = (int(word) for word in (words[1:9] + ["0"] * 8)[:8])
            total += user + nice + system + irq + softirq + steal
    return total / ticks if total else None


class Foreign:
    """The share of a core that other processes used since this was made."""

    def __init__(self) -> None:
        self._busy, self._own, self._wall = busy_seconds(), cpu_seconds(), time.perf_counter()

    def share(self) -> float | None:
        """Cores' worth of CPU time of others: 0.15 is 15% of one core. None where the system does not tell.

        Own children count as own once they have ended, so call this when what was measured is over. The system counts
        in hundredths of a second: of a quarter of a second, the share is known to about 0.05.
        """
        busy = busy_seconds()
        if busy is None or self._busy is None:
            return None
        spent = time.perf_counter() - self._wall
        return max(0.0, (busy - self._busy) - (cpu_seconds() - self._own)) / max(spent, 1e-9)

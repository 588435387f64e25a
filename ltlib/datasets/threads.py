"""Work on many image files in threads: PIL lets others run while it decodes."""

from __future__ import annotations

import operator
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait

from ltlib.errors import DataError
from ltlib.progress import Progress

MOST_THREADS = 16  # what Python does between two pictures is done one after another
QUICK = 3_000  # so few images need no progress line


def in_threads(
    places: Sequence[int],
    work: Callable[[int], None],
    label: str,
    meanwhile: Callable[[], None] = lambda: None,
    quick: int = QUICK,
) -> dict[int, str]:
    """Call `work` with each place, several at a time; the sentences of the errors that it raised, by place.

    Args:
        places: Of which each thread takes the next.
        work: Called in a thread.
        label: What is done, for the progress line.
        meanwhile: Called now and then, in the thread that called this.
        quick: So few places need no progress line.
    """
    todo = iter(places)
    wrong = dict[int, str]()
    stopped = threading.Event()

    def thread() -> None:
        for index in todo:
            if stopped.is_set():
                return
            try:
                work(index)
            except DataError as error:
                wrong[index] = str(error)

    progress = Progress(len(places), label, enabled=len(places) > quick)
    with ThreadPoolExecutor(workers()) as pool:
        try:
            running = {pool.submit(thread) for _ in range(workers())}
            while running:
                over, running = wait(running, timeout=0.5, return_when=FIRST_COMPLETED)
                for ended in over:
                    ended.result()
                more = len(places) - operator.length_hint(todo) - progress.done
                if more:
                    progress.step(count=more)
                meanwhile()
        finally:
            stopped.set()
    return {place: wrong[place] for place in sorted(wrong)}


def workers() -> int:
    """Threads that decode, one for each core."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(MOST_THREADS, cores)

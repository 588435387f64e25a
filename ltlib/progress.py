"""Progress without a flood: one live line where somebody watches, a line every half minute where nobody does.

In a notebook the line is one display that is updated in place; in an executed copy only its last state remains.
"""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

QUIET_SECONDS = 30.0


def in_kernel() -> bool:
    """Whether this process is a Jupyter kernel."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and hasattr(shell, "kernel")


def watched() -> bool:
    """Whether somebody sees a line that moves: in a live kernel, not one that the chain runs, or in a terminal."""
    if os.environ.get("LTLIB_HEADLESS"):
        return False
    return in_kernel() or sys.stderr.isatty()


def duration(seconds: float) -> str:
    """A span of time as people say it: ``12 s``, ``3 min 20 s``, ``2 h 05 min``."""
    seconds = round(max(seconds, 0.0))
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60:02d} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60:02d} min"


class Progress:
    """A count of things done, shown sparingly.

    Args:
        total: How many things there are.
        label: What they are, as the line's first words.
        enabled: False makes every call silent.
    """

    def __init__(self, total: int, label: str, enabled: bool = True):
        self.total, self.label, self.enabled = total, label, enabled
        self.done = 0
        self.started = time.monotonic()
        self._shown = self.started
        self._live = sys.stderr.isatty()
        self._display: Any = None
        self._detail = ""

    def line(self, detail: str = "") -> str:
        """The line as it would be shown now."""
        spent = time.monotonic() - self.started
        text = f"{self.label}: {self.done}/{self.total}, {duration(spent)}"
        if 0 < self.done < self.total:
            text += f", about {duration(spent / self.done * (self.total - self.done))} left"
        return f"{text} - {detail}" if detail else text

    def step(self, detail: str = "", count: int = 1) -> None:
        """Count things as done and show the line if it is time to."""
        self.done += count
        self.show(detail)

    def show(self, detail: str = "") -> None:
        """Show the line if it is time to, without counting; without a detail, with the last one."""
        now = time.monotonic()
        self._detail = detail = detail or self._detail
        last = self.done >= self.total
        if not self.enabled:
            return
        if in_kernel():
            if last or now - self._shown > 1.0 or self._display is None:
                self._shown = now
                self._show_in_kernel(self.line(detail))
        elif self._live:
            width = shutil.get_terminal_size().columns - 1  # a line that wraps would be shown again and again
            print(f"\r\x1b[2K{self.line(detail)[:width]}", end="\n" if last else "", file=sys.stderr, flush=True)
        elif last or now - self._shown > QUIET_SECONDS:
            self._shown = now
            print(self.line(detail), file=sys.stderr, flush=True)

    @contextmanager
    def waiting(self, detail: str = "", every: float = 2.0) -> Iterator[None]:
        """Show the line now and then while one long call, that says nothing itself, runs in this block.

        Args:
            detail: After the count, such as how long it may take.
            every: Seconds between two looks at whether it is time to.
        """
        over = threading.Event()

        def beat() -> None:
            while not over.wait(every):
                if self.done < self.total:  # the last line is shown once, however long what is left takes
                    self.show(detail)

        self.show(detail)
        thread = threading.Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _show_in_kernel(self, line: str) -> None:
        from IPython.display import display

        content = {"text/plain": line}
        if self._display is None:
            self._display = display(content, raw=True, display_id=True)
        else:
            self._display.update(content, raw=True)

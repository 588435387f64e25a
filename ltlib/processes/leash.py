"""A process that ends when the one that started it is gone, killed ones included: nobody waits for what it does.

A thread asks for the parent's number, which changes when the parent ends. Linux can send a signal instead
(``PR_SET_PDEATHSIG``), but does so when the *thread* that started the process ends, and other systems cannot.

``python -m ltlib.processes.leash PARENT GRACE FAMILY MODULE ARGUMENTS...`` runs any module so, from its first import.
"""

from __future__ import annotations

import os
import runpy
import sys
import threading
import time
from collections.abc import Callable

from ltlib.processes import family

EVERY = 0.2
EXIT_CODE = 143  # as of a SIGTERM


def tie(parent: int, grace: float = 0.0, last: Callable[[], None] = lambda: None) -> None:
    """End this process when its parent is gone.

    Args:
        parent: The number of the process that started this one, as that one knows it: it may be gone already.
        grace: Seconds in which this process may still save and end by itself.
        last: Called before the end.
    """

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(EVERY)
        time.sleep(grace)
        try:
            last()
        finally:
            os._exit(EXIT_CODE)

    threading.Thread(target=watch, daemon=True, name="leash").start()


def command(module: str, *arguments: str, grace: float = 0.0, whole_family: bool = False) -> list[str]:
    """The command line that runs a module on a leash of this process.

    Args:
        module: What ``python -m`` would run.
        arguments: Of the module.
        grace: As of `tie`.
        whole_family: When this process is gone, every process of the same token (`ltlib.processes.family`) is ended
            too, such as the kernel that papermill has started.
    """
    ours = [str(os.getpid()), str(grace), "family" if whole_family else "alone"]
    return [sys.executable, "-m", "ltlib.processes.leash", *ours, module, *arguments]


def main() -> None:
    """Run the module that the arguments name."""
    parent, grace, whole, module, *arguments = sys.argv[1:]
    token = os.environ.get(family.TOKEN) if whole == "family" else None
    tie(int(parent), float(grace), lambda: family.end(token) if token else None)
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()

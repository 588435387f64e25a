"""Every process that one piece of work started, whatever sessions and groups they made: they inherit its token."""

from __future__ import annotations

import contextlib
import os
import signal

TOKEN = "LTLIB_CHAIN_TOKEN"
"""The environment variable that every process of one piece of work carries, so that none outlives it."""
_GRACE = 2.0


def end(token: str) -> None:
    """End every other process that carries the token: asked first, killed after two seconds."""
    import psutil

    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.environ().get(TOKEN) == token and process.pid != os.getpid():
                found.append(process)
    for process in found:
        with contextlib.suppress(psutil.Error):
            process.terminate()
    for process in psutil.wait_procs(found, timeout=_GRACE)[1]:
        with contextlib.suppress(psutil.Error):
            process.kill()


def kill(pid: int, token: str) -> None:
    """`end`, after killing the process group of one that leads its own.

    A kernel lives in a session of its own, so killing the group of what started it would leave it and its children.
    """
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)
    end(token)

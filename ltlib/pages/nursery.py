"""One process that has imported what pages import, and forks what executes them: papermill and kernels.

Each is still a process of its own, but the imports, which cost a page some ten seconds of a core, are paid once.
`opened` starts the nursery, ``python -m ltlib.pages.nursery`` runs it, and `ltlib.pages.born` asks it for a process. It
never has a second thread and uses no device, so a fork of it is a whole copy. It ends when the process that started it
does, killed or not, and all that it forked with it.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NoReturn

from ltlib import places
from ltlib.pages import born, headless
from ltlib.processes import leash
from ltlib.processes.scratch import scratch_folder
from ltlib.training import accelerator

FEWEST = 3
"""So many pages make up for the nursery's own start."""
OTHERS = ("ipykernel.kernelapp", "matplotlib.pyplot", "seaborn", "scipy.stats", "sklearn.metrics", "torch._dynamo")
"""What pages import of others' packages, at once or when they first draw, test or train."""


@dataclass(frozen=True)
class Request:
    """What a process is to be.

    Attributes:
        module: What ``python -m`` would run.
        arguments: Of its command line.
        env: Its whole environment.
        folder: Its working directory.
    """

    module: str
    arguments: list[str]
    env: dict[str, str]
    folder: str


def command(place: Path, module: str, *arguments: str) -> list[str]:
    """The command line of ``python -m MODULE ARGUMENTS...``, forked by the nursery of that socket."""
    return [sys.executable, "-I", "-S", born.__file__, str(place), module, *arguments]


@contextlib.contextmanager
def opened(modules: Collection[str]) -> Iterator[Path | None]:
    """A nursery that has imported these modules, by its socket.

    None where each process is started by itself: on systems other than Linux, and where there is a GPU, which a forked
    process could not use.
    """
    if sys.platform != "linux" or accelerator.device().type != "cpu":
        yield None
        return
    with scratch_folder("ltlib-nursery-") as scratch, socket.socket(socket.AF_UNIX) as listener:
        place = scratch / "socket"
        listener.bind(str(place))
        listener.listen()
        env = os.environ | {
            "PYTHONHASHSEED": "0",
            "JPY_PARENT_PID": "0",
            "OMP_NUM_THREADS": places.variable("OMP_NUM_THREADS") or "1",
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "ltlib.pages.nursery", str(listener.fileno()), *OTHERS, *modules],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[listener.fileno()],
            env=env | {"MPLBACKEND": "module://matplotlib_inline.backend_inline"},  # as ipykernel has it
            start_new_session=True,
        )
        listener.close()  # once the nursery is gone, nobody waits for it
        with process:
            try:
                yield place
            finally:
                process.stdin.close()  # type: ignore[union-attr]


class Nursery:
    """The process: its connections and what it has forked.

    Args:
        listener: Where processes are asked for.
        starter: A file that ends with the process that started this one.
    """

    def __init__(self, listener: socket.socket, starter: BinaryIO):
        self._listener, self._starter, self._pid = listener, starter, os.getpid()
        self._forked: dict[int, tuple[int, socket.socket]] = {}  # by pidfd: the process and its stand-in
        self._selector = selectors.DefaultSelector()
        for file in (listener, starter):
            self._selector.register(file, selectors.EVENT_READ)

    def serve(self) -> Request:
        """Fork a process for each that asks, until the starter is gone; returns only in the forked ones."""
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._starter:
                    for pid, _ in self._forked.values():
                        _kill(pid)
                    os._exit(0)
                elif key.fileobj is self._listener:
                    if request := self._asked(self._listener.accept()[0]):
                        return request
                elif key.fd in self._forked:
                    self._ended(key.fd)
                elif key.data in {pid for pid, _ in self._forked.values()}:  # its stand-in is gone
                    self._selector.unregister(key.fileobj)
                    _kill(key.data)

    def _asked(self, stand_in: socket.socket) -> Request | None:
        """Fork a process; what it is to be, in that process only."""
        try:
            request, streams = _received(stand_in)
            pid = os.fork()
        except (OSError, ValueError):
            stand_in.close()
            return None
        if not pid:
            leash.tie(self._pid)
            stand_in.close()
            self._leave()
            _become(request, streams)
            return request
        for stream in streams:
            os.close(stream)
        alive = os.pidfd_open(pid)
        self._forked[alive] = pid, stand_in
        self._selector.register(alive, selectors.EVENT_READ)
        self._selector.register(stand_in, selectors.EVENT_READ, pid)
        with contextlib.suppress(OSError):
            stand_in.sendall(pid.to_bytes(4, "big"))
        return None

    def _ended(self, alive: int) -> None:
        """Tell the stand-in how its process ended."""
        pid, stand_in = self._forked.pop(alive)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        self._selector.unregister(alive)
        os.close(alive)
        with contextlib.suppress(KeyError):  # it was gone before
            self._selector.unregister(stand_in)
        with contextlib.suppress(OSError):
            stand_in.sendall(bytes([code if code >= 0 else 128 - code]))
        stand_in.close()

    def _leave(self) -> None:
        """Close what a forked process has of its nursery."""
        self._selector.close()
        self._listener.close()
        for alive, (_, stand_in) in self._forked.items():
            os.close(alive)
            stand_in.close()


def _received(connection: socket.socket) -> tuple[Request, list[int]]:
    """What was asked for, and the standard streams that came with it.

    Raises:
        OSError: The connection broke, or nothing came.
    """
    connection.settimeout(10)
    head, streams, _, _ = socket.recv_fds(connection, 4, 3)
    with connection.makefile("rb") as stream:
        body = stream.read(int.from_bytes(head, "big"))
    connection.settimeout(None)
    return Request(**json.loads(body)), streams


def _become(request: Request, streams: list[int]) -> None:
    """Make this process as one that was started anew."""
    os.setsid()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.environ.clear()
    os.environ.update(request.env)
    os.chdir(request.folder)
    sys.argv = [request.module, *request.arguments]


def _kill(pid: int) -> None:
    """Kill a process and what it started in its session."""
    for kill in (os.kill, os.killpg):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            kill(pid, signal.SIGKILL)


def _run(module: str) -> NoReturn:
    """Run a module as ``python -m`` would, and end without taking apart what was imported: it is the nursery's."""
    code: object = 0
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as error:
        code = error.code
    except BaseException:
        traceback.print_exc()
        code = 1
    if isinstance(code, str):
        sys.stderr.write(f"{code}\n")
    threading._shutdown()  # type: ignore[attr-defined]  # waits for threads, as the end of a main module does
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code if isinstance(code, int) else 0 if code is None else 1)


def main() -> None:
    """Import, then fork until the starter is gone; a forked process goes on as what was asked for."""
    here = str(Path.cwd())
    listener = socket.socket(fileno=int(sys.argv[1]))
    headless.papermill()
    for name in sys.argv[2:]:
        with contextlib.suppress(ImportError):  # the page that needs it will say so
            importlib.import_module(name)
    gc.collect()
    gc.freeze()  # a collection in a forked process would copy all that it looks at
    request = Nursery(listener, sys.stdin.buffer).serve()
    if sys.path[0] == here:
        del sys.path[0]  # of ``python -m``; IPython puts its own there
    _run(request.module)


if __name__ == "__main__":
    main()

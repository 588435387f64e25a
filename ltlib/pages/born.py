"""A stand-in for ``python -m MODULE ARGUMENTS...``, for a process that the nursery (`ltlib.pages.nursery`) forks.

Run as a file in an isolated interpreter, ``python -I -S born.py SOCKET MODULE ARGUMENTS...``, so it starts in a few
hundredths of a second; it imports nothing of ours. What it is sent it passes on, and it ends as the other process
ends. That one is gone when it is, killed ones included: the nursery sees the connection close. Where there is no
nursery any more, it becomes the process that it stands for.
"""

import json
import os
import signal
import socket
import sys
from pathlib import Path


def main() -> None:
    """Have a process forked, and wait for its end."""
    place, module, *arguments = sys.argv[1:]
    nursery, pid = socket.socket(socket.AF_UNIX), 0
    try:
        nursery.connect(place)
        asked = {"module": module, "arguments": arguments, "env": dict(os.environ), "folder": str(Path.cwd())}
        request = json.dumps(asked).encode()
        socket.send_fds(nursery, [len(request).to_bytes(4, "big")], [0, 1, 2])
        nursery.sendall(request)
        pid = int.from_bytes(nursery.recv(4, socket.MSG_WAITALL), "big")
    except OSError:
        pass
    if not pid:
        os.execv(sys.executable, [sys.executable, "-m", module, *arguments])
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: os.kill(pid, number))
    code = nursery.recv(1, socket.MSG_WAITALL)
    os._exit(code[0] if code else 137)


if __name__ == "__main__":
    main()

"""One training process of a sweep: reads experiments as JSON lines, trains them, writes what happens as JSON lines.

Run as ``python -m ltlib.worker``. It outlives its runs, so imports and warm-up are paid once; when it dies, only the
run it was at is lost, and that goes on from its checkpoint.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading

from ltlib.errors import LtlibError


def main() -> None:
    """Serve until the input ends."""
    out = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever prints must not mix with the protocol
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides

    import torch

    from ltlib import runs
    from ltlib.experiment import Experiment
    from ltlib.training import Stopped

    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))

    def say(**message: object) -> None:
        out.write(json.dumps(message) + "\n")

    parent = os.getppid()

    def stop() -> bool:  # also where the parent was killed: nobody waits for this run, and it must not stay claimed
        return stopping.is_set() or os.getppid() != parent

    for line in sys.stdin:
        try:
            experiment = Experiment.from_settings(json.loads(line))
            found = runs.run(experiment, report=lambda row: say(row=row), stop=stop)
            say(done=found.id)
        except Stopped:
            say(stopped="stopped; its state is saved and the next start goes on from there")
            return
        except BrokenPipeError:  # nobody reads any more
            return
        except LtlibError as error:
            say(error=str(error))
        except Exception as error:
            say(error=f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()

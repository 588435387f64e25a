"""Where the runs of a batch are trained: processes of this machine (`pool`), or a Dask cluster (`cluster`).

An engine trains one run when it is asked to and says how that ended; what is asked next, what is tried again and what
is shown is the same for all of them (`ltlib.runs.sweep`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from ltlib.experiment import Experiment
from ltlib.runs.outcomes import Outcome


class Engine(Protocol):
    """Trains runs, several at once, each asked for by a thread of its own (a lane).

    Attributes:
        name: As people are told: ``2 processes``.
    """

    name: str

    def lanes(self) -> int:
        """How many runs should be asked for at once now."""

    def train(self, lane: int, experiment: Experiment, hear: Callable[[Mapping[str, Any]], None]) -> Outcome:
        """Have a run trained and kept in this process's reports folder; `hear` is called with each epoch's row.

        Raises:
            EngineLost: Nothing more can be trained here.
            LtlibError, OSError: This run could not be asked for.
        """

    def stop(self) -> None:
        """Ask everything under way to save its state and end; called once, from any thread."""

    def close(self) -> None:
        """Let go of what was started, when no lane is under way."""

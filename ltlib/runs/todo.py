"""The runs of a batch that wait: which of them next, and which again."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable

from ltlib import places, sealed
from ltlib.experiment import Experiment

FIRST_LOOK, LAST_LOOK = 0.5, 5.0
"""Seconds until a run that another process trains is looked at again: at first, and at most."""


class Todo:
    """Experiments that wait. One whose next stage is being trained for another is passed over until that is there."""

    def __init__(self, experiments: Iterable[Experiment]):
        self.waiting = list(experiments)
        self.later: dict[Experiment, float] = {}
        self.busy: dict[str, list[str]] = {}
        self.closed = False
        self.changed = threading.Condition()
        self._looks: dict[Experiment, int] = {}
        self._stages: dict[Experiment, list[str]] = {}

    def take(self) -> Experiment | None:
        """The next experiment; waits while all that are left were put off or need what another trains. None at last."""
        with self.changed:
            while not self.closed:
                now = time.monotonic()
                for ready in [e for e, due in self.later.items() if due <= now]:
                    del self.later[ready]
                    self.waiting.append(ready)
                if (experiment := self._chosen()) is not None:
                    return experiment
                if not self.waiting and not self.later:
                    return None
                self.changed.wait(min(self.later.values()) - now if self.later else None)
            return None

    def left(self) -> int:
        """How many nobody is at."""
        with self.changed:
            return 0 if self.closed else len(self.waiting) + len(self.later)

    def finish(self, experiment: Experiment) -> None:
        """Nobody is at this one any more."""
        with self.changed:
            self.busy.pop(experiment.run_id, None)
            self.changed.notify_all()

    def put_back(self, experiment: Experiment, *, later: bool = False) -> None:
        """It waits again, behind the others; `later` waits a while, longer each time."""
        with self.changed:
            if not later:
                self.waiting.append(experiment)
            else:
                looks = self._looks[experiment] = self._looks.get(experiment, 0) + 1
                self.later[experiment] = time.monotonic() + min(LAST_LOOK, FIRST_LOOK * 2 ** (looks - 1))
            self.changed.notify_all()

    def close(self) -> None:
        """Nothing more is taken."""
        with self.changed:
            self.closed = True
            self.changed.notify_all()

    def _chosen(self) -> Experiment | None:
        taken = {name for names in self.busy.values() for name in names}
        for experiment in self.waiting:
            if taken.isdisjoint(unfinished := self._unfinished(experiment)):
                self.waiting.remove(experiment)
                self.busy[experiment.run_id] = unfinished
                return experiment
        return None

    def _unfinished(self, experiment: Experiment) -> list[str]:
        if experiment not in self._stages:
            every = experiment.resolve().every_stage()
            self._stages[experiment] = [resolved.stage_id(i) for resolved, i in every]
        top = places.runs_folder() / "stages"
        return [name for name in self._stages[experiment] if not sealed.finished(top / name)]

"""The threads that ask an engine for run after run until nothing is left: what goes wrong with one stops no other."""

from __future__ import annotations

import threading
from functools import partial

from ltlib.errors import EngineLost, LtlibError
from ltlib.experiment import Experiment
from ltlib.runs.batch import Batch
from ltlib.runs.engines import Engine
from ltlib.runs.outcomes import Outcome
from ltlib.runs.todo import Todo

TRIES = 3
"""Times that a run is begun whose process or machine is lost. Errors are met again, so they are not tried again."""
LOOK = 0.25
"""Seconds between two looks at the engine and the batch."""
PATIENCE = 30.0
"""Seconds that runs get to save their state when they are asked to stop."""


class Lanes:
    """Empties a queue of experiments.

    Attributes:
        here: Experiments that only this process can train, found as they were asked for elsewhere.
    """

    def __init__(self, experiments: list[Experiment], engine: Engine, batch: Batch):
        self.todo, self.engine, self.batch = Todo(experiments), engine, batch
        self.here: list[Experiment] = []
        self.threads: list[threading.Thread] = []
        self.begun: dict[Experiment, int] = {}
        self.stopping = False

    def go(self) -> None:
        """Until every experiment is settled or in `here`. An interrupt lets what is under way save and end."""
        self._grow()
        try:
            self.batch.weigh()
            while alive := [thread for thread in self.threads if thread.is_alive()]:
                self._grow()
                self.batch.beat()
                alive[0].join(LOOK)
        except BaseException:  # Ctrl-C, a kernel's interrupt, SIGTERM
            self.stopping = True
            self.todo.close()
            self.engine.stop()
            for thread in self.threads:
                thread.join(timeout=PATIENCE)
            raise
        finally:
            self.engine.close()

    def _grow(self) -> None:
        """As many lanes as the engine has room for now and runs wait for."""
        self.threads = [thread for thread in self.threads if thread.is_alive()]
        taken = {int(thread.name) for thread in self.threads}
        wanted = min(self.engine.lanes() - len(self.threads), self.todo.left())
        for lane in range(self.engine.lanes()):
            if wanted > 0 and lane not in taken:
                wanted -= 1
                self.threads.append(threading.Thread(target=self._serve, args=(lane,), name=str(lane), daemon=True))
                self.threads[-1].start()

    def _serve(self, lane: int) -> None:
        while (experiment := self.todo.take()) is not None:
            self.batch.begin(experiment)
            ended = self._attempt(lane, experiment)
            self.todo.finish(experiment)
            if not self.stopping or ended.kind == "done":
                self._judge(experiment, ended)

    def _attempt(self, lane: int, experiment: Experiment) -> Outcome:
        try:
            return self.engine.train(lane, experiment, partial(self.batch.hear, experiment))
        except EngineLost as problem:
            if not self.stopping:
                self._give_up(str(problem))
            return Outcome("error", str(problem))
        except (LtlibError, OSError) as problem:  # no process to start
            return Outcome("error", str(problem))
        except Exception as problem:  # a mistake of ours; the lane goes on with the others
            return Outcome("error", f"{type(problem).__name__}: {problem}")

    def _judge(self, experiment: Experiment, ended: Outcome) -> None:
        """Settle it, or let it be tried again."""
        if ended.kind == "busy":
            self.batch.put_back(experiment, ended.said)
            self.todo.put_back(experiment, later=True)
            return
        if ended.kind == "unknown" and experiment.resolve().own:
            self.batch.put_back(experiment, f"{ended.said}; here, after the others")
            self.here.append(experiment)
            return
        if ended.kind in ("lost", "stopped"):  # `stopped` by somebody who was not asked to by us
            self.begun[experiment] = self.begun.get(experiment, 0) + 1
            if self.begun[experiment] < TRIES:
                self.batch.put_back(experiment, ended.said)
                self.todo.put_back(experiment)
                return
        said = f"{ended.said}; start again" if ended.kind == "unknown" else ended.failure
        self.batch.settle(experiment, said)

    def _give_up(self, said: str) -> None:
        """Everything that nobody is at is missing for the same reason."""
        self.todo.close()
        with self.todo.changed:
            waiting = [*self.todo.waiting, *self.todo.later]
            self.todo.waiting, self.todo.later = [], {}
        for experiment in waiting:
            self.batch.settle(experiment, said)

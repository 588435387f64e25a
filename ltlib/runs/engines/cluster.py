"""The machines of a Dask cluster: a task is one run, its key the run's id.

Every worker trains in a process of its own (`remote`), with the GPU and the threads that the worker has. Where a worker
has this reports folder too, it works in it, as a local process would; elsewhere the finished run is sent back as an
archive with checksums, and runs that share a first stage go to the worker that has it. Dask itself tries again only
what was lost with a worker.
"""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import ltlib
from ltlib import places, runs
from ltlib.errors import EngineLost, LtlibError, RunError
from ltlib.experiment import Experiment
from ltlib.files import write_text
from ltlib.processes.scratch import scratch_folder
from ltlib.runs import archive
from ltlib.runs.engines import addresses, remote
from ltlib.runs.outcomes import Outcome
from ltlib.runs.worker import request

APPEARS = 10.0
"""Seconds until a run that another machine wrote to a shared folder must be seen."""
LOOK = 1.0
"""Seconds between two looks at which workers are there."""
AHEAD = 2
"""Tasks asked for at once for each run that a worker can train at once: the next one is there when one ends."""


def opened(
    name: str,
    experiments: Sequence[Experiment],
    *,
    jobs: int | None = None,
    streams: int | None = None,
    resources: Mapping[str, float] | None = None,
) -> Cluster:
    """A cluster that has been found able to train these runs.

    Args:
        name: As `addresses.found` takes it.
        experiments: What is to be trained.
        jobs, streams: Of a cluster that is started for this batch.
        resources: What a worker must offer for a run, as ``{"GPU": 1}``.

    Raises:
        SettingError: No such form of a name, or a library is missing.
        RunError: No scheduler answers, no worker could do it, or one has another version.
    """
    place = addresses.found(name, jobs, streams)
    try:
        cluster = Cluster(place, dict(resources or {}))
    except BaseException:
        place.close()
        raise
    try:
        cluster.check(experiments)
    except BaseException:
        cluster.close()
        raise
    return cluster


class Cluster:
    """An `Engine`: a Dask cluster."""

    def __init__(self, place: addresses.Place, resources: Mapping[str, float]):
        distributed = addresses.distributed()
        self.place, self.resources = place, dict(resources)
        self.name = f"Dask at {place.address}"
        self.batch = uuid.uuid4().hex
        self.home = {"reports": str(places.reports_folder().absolute()), "version": ltlib.__version__}
        self.home["mark"] = _mark(Path(self.home["reports"]))
        self.stopping = False
        self._hearing: dict[str, Callable[[Mapping[str, Any]], None]] = {}
        self._tries: dict[str, int] = {}
        self._stages: dict[str, str] = {}
        self._asked, self._known = float("-inf"), dict[str, Any]()
        try:
            self.client = distributed.Client(place.address, timeout=addresses.CONNECT, set_as_default=False)
        except (OSError, ValueError) as error:  # a timeout is an OSError
            raise RunError(
                f"no Dask scheduler answers at {place.address} ({error}); start one with: dask scheduler"
            ) from error
        self.client.subscribe_topic(remote.TOPIC, self._heard)

    def check(self, experiments: Sequence[Experiment]) -> None:
        """Refuse what would wait for ever or come back as another run.

        Raises:
            RunError: No worker is there or offers what is asked for, or one has another version of this package.
        """
        distributed = addresses.distributed()
        try:
            self.client.wait_for_workers(1, timeout=self.place.wait)
        except (TimeoutError, distributed.TimeoutError) as error:
            raise RunError(
                f"the scheduler at {self.place.address} has no worker; start one for each GPU with: "
                f"CUDA_VISIBLE_DEVICES=0 dask worker {self.place.address} --nthreads 1 --resources GPU=1"
            ) from error
        self._asked = float("-inf")
        if not self._fit():
            asked = ", ".join(f"{key}={value:g}" for key, value in self.resources.items())
            offered = {offered_by(info["resources"]) for info in self._workers().values()}
            raise RunError(
                f"no worker at {self.place.address} offers {asked}, they offer {' or '.join(sorted(offered))}; "
                f"start one with: dask worker {self.place.address} --nthreads 1 --resources {asked.replace(', ', ' ')}"
            )
        sample = next((request(exp) for exp in experiments if not exp.resolve().own), None)
        answers = self.client.run(remote.look, sample, self.home, workers=list(self._fit()), on_error="return")
        for address, found in answers.items():
            if isinstance(found, ImportError):
                raise RunError(f"the worker {address} cannot import ltlib: {found}; install ltlib {ltlib.__version__}")
            if isinstance(found, BaseException):
                continue  # it is lost: the others do its work
            if found["version"] != ltlib.__version__:
                raise RunError(
                    f"the worker {address} has ltlib {found['version']}, this is {ltlib.__version__}; install the same"
                )
            if found["said"]:
                raise RunError(f"the worker {address} would not train the same runs: {found['said']}")

    def lanes(self) -> int:
        slots = sum(self._fit().values())
        return AHEAD * max(slots, self.place.slots)

    def train(self, lane: int, experiment: Experiment, hear: Callable[[Mapping[str, Any]], None]) -> Outcome:
        run_id = experiment.run_id
        self._hearing[run_id] = hear
        try:
            answer = self._ask(experiment, run_id)
            if isinstance(answer, Outcome):
                return answer
            ended = Outcome(answer["kind"], answer["said"], tuple(answer["took"]))
            return ended if ended.kind != "done" else self._here(experiment, answer, ended)
        finally:
            self._hearing.pop(run_id, None)

    def stop(self) -> None:
        self.stopping = True
        with contextlib.suppress(Exception):  # the scheduler may be gone
            self.client.run(remote.stop, self.batch, wait=False)

    def close(self) -> None:
        with contextlib.suppress(Exception):
            self.client.close(timeout=5)
        self.place.close()

    def _ask(self, experiment: Experiment, run_id: str) -> dict[str, Any] | Outcome:
        """What the worker says of the run's end; an outcome where none can."""
        distributed = addresses.distributed()
        number = self._tries[run_id] = self._tries.get(run_id, 0) + 1
        if self.client.status != "running":
            raise EngineLost(self._gone())
        options: dict[str, Any] = {"key": run_id if number == 1 else f"{run_id}-{number}", "pure": False}
        if self.resources:
            options["resources"] = self.resources
        if where := self._with_its_stage(experiment):
            options |= {"workers": [where], "allow_other_workers": False}  # a preference would be stolen from it
        future = None
        try:
            future = self.client.submit(remote.train, request(experiment), self.home, self.batch, **options)
            while True:
                try:
                    return future.result(timeout=LOOK)
                except (TimeoutError, distributed.TimeoutError):
                    if future.status == "error":
                        raise
                if where and not future.done() and where not in self._fit():  # it would wait for that one for ever
                    future.cancel()
                    return Outcome("lost", f"the worker {where} was lost")
        except distributed.KilledWorker as error:
            return Outcome("error", f"workers were lost with it again and again, so it is given up ({error})")
        except Exception as error:
            cancelled = (distributed.CancelledError, distributed.comm.CommClosedError, OSError, RuntimeError)
            if self.stopping:
                return Outcome("stopped", "stopped")
            if isinstance(error, cancelled) and self.client.status != "running":
                raise EngineLost(self._gone()) from error
            if isinstance(error, distributed.CancelledError):
                raise EngineLost(self._gone()) from error
            return Outcome("error", f"{type(error).__name__}: {error}")
        finally:
            if future is not None:
                future.release()

    def _gone(self) -> str:
        return f"the scheduler at {self.place.address} is gone; what is finished is kept, start again"

    def _here(self, experiment: Experiment, answer: Mapping[str, Any], done: Outcome) -> Outcome:
        """Have the finished run in this reports folder."""
        run_id = experiment.run_id
        until = time.monotonic() + (APPEARS if answer["reports"] == self.home["reports"] else 0.0)
        while True:  # a shared folder may show what another machine wrote a little later
            if runs.load(run_id) is not None:
                return done
            if time.monotonic() >= until:
                break
            time.sleep(0.2)
        where = answer["worker"]
        if answer["reports"]:
            return Outcome("error", f"it was trained on {where}, but is not to be seen in {self.home['reports']}")
        try:
            data = self.client.run(remote.packed, run_id, workers=[where])[where]
        except LtlibError as error:
            return Outcome("error", f"{where} cannot send it back: {error}")
        except Exception as error:  # the worker is gone
            return Outcome("lost", f"the worker {where} was lost before it had sent the run back ({error})")
        with scratch_folder("ltlib-sent-") as folder:
            file = folder / f"{run_id}.tar"
            file.write_bytes(data)
            archive.unpack(file)
        self._stages |= {resolved.stage_id(i): where for resolved, i in experiment.resolve().every_stage()}
        return done

    def _with_its_stage(self, experiment: Experiment) -> str | None:
        """The worker that has trained a stage of this run in a folder of its own."""
        names = [resolved.stage_id(i) for resolved, i in reversed(experiment.resolve().every_stage())]
        have = next((self._stages[name] for name in names if name in self._stages), None)
        return have if have in self._fit() else None

    def _heard(self, event: tuple[float, Mapping[str, Any]]) -> None:
        message = event[1]
        if hear := self._hearing.get(message["run"]):
            hear(message["row"])

    def _workers(self) -> dict[str, Any]:
        """What the scheduler knows of its workers, asked now and then; the last answer where it is gone."""
        if time.monotonic() - self._asked > LOOK:
            self._asked = time.monotonic()
            with contextlib.suppress(Exception):
                self._known = self.client.scheduler_info(n_workers=-1)["workers"]
        return self._known

    def _fit(self) -> dict[str, int]:
        """The workers that offer what is asked for, and how many runs each can train at once."""
        found = {}
        for address, info in self._workers().items():
            offers = info.get("resources") or {}
            shares = [int(offers.get(key, 0) // need) for key, need in self.resources.items() if need > 0]
            if slots := min([info["nthreads"], *shares]):
                found[address] = slots
        return found


def offered_by(resources: Mapping[str, float] | None) -> str:
    """``GPU=1``; ``nothing`` where there is none."""
    return " ".join(f"{key}={value:g}" for key, value in (resources or {}).items()) or "nothing"


def _mark(reports: Path) -> str:
    """What a reports folder is known by from other machines, written when it is first needed."""
    place = remote.mark(reports)
    if not place.is_file():
        write_text(place, uuid.uuid4().hex)
    return place.read_text(encoding="utf-8")

"""Many runs in several processes: each once, and one that fails takes nothing with it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch

from ltlib import places, runs, sealed
from ltlib.errors import RunError, UnknownName
from ltlib.experiment import Experiment
from ltlib.runs import Run, lanes, sweep, todo
from ltlib.runs.engines.pool import Pool
from ltlib.runs.engines.seats import Seat
from ltlib.runs.outcomes import Outcome
from ltlib.runs.todo import Todo

pytestmark = pytest.mark.xdist_group("processes")


def test_two_workers_a_run_without_data_a_killed_worker_and_the_rest(tiny: Experiment, no_data: Path) -> None:
    """Five experiments, two of them the same: one has no data, one loses its worker and goes on in another."""
    first, second = tiny.replace(limit=60), tiny.replace(limit=60, seed=1)
    lost = tiny.replace(dataset="cifar10")
    spelled = first.replace(recipe="convergent[epochs=2; augmentation=shift1]")
    long = tiny.replace(recipe="convergent[augmentation=shift1;epochs=30;patience=0]")
    killed: list[int] = []

    def kill_the_long_one() -> None:
        holder = places.runs_folder() / "locks" / f"{long.run_id}.holder"
        while not holder.exists():
            time.sleep(0.02)
        killed.append(int(holder.read_text().split()[1]))
        os.kill(killed[0], signal.SIGKILL)

    thread = threading.Thread(target=kill_the_long_one, daemon=True)
    thread.start()
    finished: list[str] = []
    found = sweep.run_all(
        [long, first, lost, second, spelled],
        jobs=2,
        show=False,
        done=lambda run: finished.append(run.id),
        strict=False,
    )
    assert len(killed) == 1
    assert [run.id for run in found] == [long.run_id, first.run_id, second.run_id, first.run_id]
    assert sorted(finished) == sorted([long.run_id, first.run_id, second.run_id]), "the two spellings are one run"
    assert found.failures.keys() == {lost.run_id}
    assert "cifar" in found.failures[lost.run_id]
    assert runs.verify() == []
    assert sweep.missing([long, first, lost, second]) == [lost]
    assert found[0].provenance["threads"] == 1
    with sealed.claim(places.runs_folder() / "locks" / f"{long.run_id}.lock", "it"):
        pass  # the killed worker holds nothing


def test_finished_runs_start_no_process(trained: Run, tiny: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("no process is needed")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    found = sweep.run_all([tiny, tiny], show=False)
    assert [run.id for run in found] == [tiny.run_id] * 2
    assert found.failures == {}


class Fake:
    """A worker's process that answers with given lines and then ends."""

    def __init__(self, lines: list[str], code: int = 1):
        body = (
            "import json, sys, time; run = json.loads(sys.stdin.readline())['run']; "
            f"[print(line.replace('{{', '{{\"run\": \"' + run + '\", ', 1), flush=True) for line in {lines!r}]; "
            f"time.sleep({0.3 if lines else 0}); sys.exit({code})"
        )
        self.arguments = [sys.executable, "-S", "-c", body]
        self.starts: list[int] = []

    def start(self, seat: Seat) -> subprocess.Popen[str]:
        process = subprocess.Popen(self.arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.starts.append(process.pid)
        return process


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ([], "ended with code 1"),
        (['{"row": {"epoch": 1, "epochs": 2}}', '{"row": {"ep'], "ended with code 1"),
        (['{"error": "no space"}'], "no space"),
        (['{"stopped": "stopped; its state is saved"}'], "stopped; its state is saved"),
        (['{"unknown": "these settings are run x in its process"}'], "these settings are run x"),
        (['{"done": "x"}'], "said to be trained and is not there"),
    ],
)
def test_whatever_a_worker_does_every_run_is_accounted_for(
    tiny: Experiment, monkeypatch: pytest.MonkeyPatch, lines: list[str], reason: str
) -> None:
    fake = Fake(lines)
    monkeypatch.setattr(Seat, "start", lambda self: fake.start(self))
    asked = [tiny, tiny.replace(seed=1), tiny.replace(seed=2)]
    found = sweep.run_all(asked, jobs=1, show=False, strict=False)
    assert list(found) == []
    assert found.failures.keys() == {exp.run_id for exp in asked}
    if "ended" in reason or "stopped" in reason:
        assert all(reason in text for text in found.failures.values())
    else:
        assert reason in found.failures[tiny.run_id]
    tries = lanes.TRIES if "ended" in reason or "stopped" in reason else 1
    assert len(fake.starts) <= 3 * tries
    assert tries == 1 or len(fake.starts) > 3, "a lost process is replaced and its run begun again"


def test_a_failing_callback_or_start_stops_nothing_and_is_said(
    trained: Run, tiny: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tiny.replace(seed=1)
    monkeypatch.setattr(sweep, "_load", lambda run_id: None)  # ask for both

    monkeypatch.setattr(Pool, "train", lambda self, lane, experiment, hear: Outcome("done", experiment.run_id))

    def full(run: Run) -> None:
        raise RunError("the disk is full")

    failures = sweep.run_all([tiny, other], jobs=1, show=False, done=full, strict=False).failures
    assert failures.keys() == {tiny.run_id, other.run_id}
    assert failures[tiny.run_id] == "the disk is full"
    assert "is not there" in failures[other.run_id]

    def nothing(self: Seat) -> None:
        raise OSError("no more processes")

    monkeypatch.undo()
    monkeypatch.setattr(sweep, "_load", lambda run_id: None)
    monkeypatch.setattr(Seat, "start", nothing)
    assert set(sweep.run_all([tiny, other], jobs=2, show=False, strict=False).failures.values()) == {
        "no more processes"
    }


def test_wrong_names_are_refused_before_anything_is_trained(tiny: Experiment, reports: Path) -> None:
    with pytest.raises(UnknownName, match="did you mean digits"):
        sweep.run_all([tiny, tiny.replace(dataset="digit")], show=False)
    assert not reports.exists()


def test_a_damaged_run_is_a_missing_one(trained: Run, tiny: Experiment) -> None:
    assert trained.folder is not None
    (trained.folder / "run.json").write_text(json.dumps({"id": "x"}))
    assert sweep.missing([tiny]) == [tiny]


def test_on_a_gpu_one_process_has_several_lanes(tiny: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (sweep.default_streams(), sweep.default_jobs()) == (1, len(os.sched_getaffinity(0)))
    monkeypatch.setattr("ltlib.training.accelerator.device", lambda: torch.device("cuda"))
    assert (sweep.default_streams(), sweep.default_jobs()) == (4, 1)
    monkeypatch.setenv("LTLIB_STREAMS", "6")
    assert sweep.default_streams() == 6
    asked: dict[str, str] = {}

    def popen(arguments: object, env: dict[str, str], **more: object) -> None:
        asked.update(env)

    monkeypatch.setattr(subprocess, "Popen", popen)
    for jobs, streams, count, seats, each in ((1, 4, 9, 1, 4), (1, 4, 3, 1, 3), (2, 4, 5, 2, 3), (3, 1, 2, 2, 1)):
        made = Pool(count, jobs, streams)
        assert (len(made.seats), made.streams, made.lanes()) == (seats, each, seats * each)
        made.seats[0].start()
        assert asked["LTLIB_STREAMS"] == str(each)


def test_runs_that_wait_for_a_stage_under_way_let_others_go_first(
    tiny: Experiment, reports: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base, crt, lws, mixup = (tiny.replace(method=name) for name in ("ce", "crt", "lws", "mixup"))
    waiting = Todo([base, crt, lws, mixup])
    assert waiting.take() == base
    assert waiting.take() == mixup, "crt and lws begin with the stage that ce is at"
    done = base.resolve().stage_id(0)
    taken: list[Experiment | None] = []
    threads = [threading.Thread(target=lambda: taken.append(waiting.take())) for _ in range(3)]
    for thread in threads:
        thread.start()
    time.sleep(0.1)
    assert taken == [], "all that is left needs what ce is at"
    monkeypatch.setattr(todo.sealed, "finished", lambda place: place.name == done)
    waiting.finish(base)
    for thread in threads:
        thread.join(10)
    assert {e.run_id if e else None for e in taken} == {crt.run_id, lws.run_id, None}, "and all of it then"


def test_finished_first_stages_do_not_put_runs_in_a_row(tiny: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    crt, lws = tiny.replace(method="crt"), tiny.replace(method="lws")
    shared = crt.resolve().stage_id(0)
    monkeypatch.setattr(todo.sealed, "finished", lambda place: place.name == shared)
    waiting = Todo([crt, lws])
    assert (waiting.take(), waiting.take()) == (crt, lws)


def test_what_another_process_trains_is_looked_at_again_after_the_others(
    tiny: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(todo, "FIRST_LOOK", 0.05)
    waiting = Todo([tiny, tiny.replace(seed=1)])
    first = waiting.take()
    assert first == tiny
    waiting.finish(tiny)
    waiting.put_back(tiny, later=True)
    assert waiting.left() == 2
    assert waiting.take() == tiny.replace(seed=1)
    began = time.monotonic()
    assert waiting.take() == tiny
    assert time.monotonic() - began > 0.01
    assert waiting.take() is None

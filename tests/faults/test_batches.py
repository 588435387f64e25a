"""Batches that are stopped, killed or not alone: nothing is trained twice, nothing is lost, all of it is said."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ltlib import cli, places, runs
from ltlib.experiment import Experiment
from ltlib.runs import journal, sweep

pytestmark = [pytest.mark.xdist_group("processes"), pytest.mark.timeout(600)]

FORKS = """
import json, os, sys
import torch
torch.set_num_threads(1)
from ltlib import cli, grids, runs
from ltlib.experiment import Experiment
from ltlib.runs import lanes, packing, pricing, store, sweep, todo
experiments = [Experiment.from_settings(settings) for settings in json.loads(sys.argv[1])]
runs.load_data(experiments[0])
"""
TOGETHER = """
todo.FIRST_LOOK = 0.1
trained = os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
train = store._train

def noted(resolved, *more):
    os.write(trained, (resolved.run_id + "\\n").encode())
    return train(resolved, *more)

class Here:
    name = "this process"
    def __init__(self, *given):
        pass
    def lanes(self):
        return 1
    def train(self, lane, experiment, hear):
        return packing.attempt(experiment, hear, lambda: False)[1]
    def stop(self):
        pass
    close = stop

store._train, sweep.Pool = noted, Here
children = []
for i in range(8):
    child = os.fork()
    if child == 0:
        code = 1
        try:
            own = experiments[i:] + experiments[:i]  # nobody begins with the same one
            code = 0 if len(sweep.run_all(own, show=False)) == len(experiments) else 2
        finally:
            os._exit(code)
    children.append(child)
print([os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children], flush=True)
"""
COMMAND = """
grids.wanted = lambda names, profile: dict.fromkeys(experiments, 1)
print("ready", flush=True)
for line in sys.stdin:  # each attempt is a fork of this process, so everything is imported once
    child = os.fork()
    if child == 0:
        os._exit(cli.main(["reproduce", "--grid", "convergent/1", "--jobs", "1"]))
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


def test_eight_processes_train_each_of_twenty_runs_once(tiny: Experiment, tmp_path: Path) -> None:
    wanted = [
        tiny.replace(limit=40, recipe="convergent[augmentation=shift1;epochs=1]", method=method, seed=seed)
        for method in ("ce", "crt", "focal", "lws")
        for seed in range(5)
    ]
    file = tmp_path / "trained"
    given = json.dumps([experiment.settings() for experiment in wanted])
    done = subprocess.run(
        [sys.executable, "-c", FORKS + TOGETHER, given, str(file)], capture_output=True, text=True, timeout=500
    )
    assert done.stdout == f"{[0] * 8}\n", done.stderr
    assert sorted(file.read_text().split()) == sorted(experiment.run_id for experiment in wanted)
    assert runs.verify() == []


def waited(what: str, until: float = 120.0) -> Iterator[None]:
    deadline = time.monotonic() + until
    while time.monotonic() < deadline:
        yield
        time.sleep(0.02)
    raise AssertionError(f"{what} within {until} s")


def test_stopped_and_killed_batches_say_how_they_stand_and_go_on(
    tiny: Experiment, reports: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGTERM, Ctrl-C, SIGKILL: each time the state is saved, no process stays, and another shell is told."""
    long = tiny.replace(recipe="convergent[augmentation=shift1;epochs=4000;patience=0]")
    experiments = [long, tiny.replace(limit=60)]
    given = json.dumps([experiment.settings() for experiment in experiments])
    process = subprocess.Popen(
        [sys.executable, "-c", FORKS + COMMAND, given],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    holder = places.runs_folder() / "locks" / f"{long.run_id}.holder"
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        assert next(line for line in process.stdout if line == "ready\n")
        steps = []
        for number, code in ((signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGKILL, -9)):
            process.stdin.write("go\n")
            process.stdin.flush()
            child = int(next(line for line in process.stdout if line.strip().isdecimal()))
            for _ in waited("an epoch is told"):
                said = "\n".join(journal.standing())
                if "epoch" in said and f"process {child} " in said and "killed" not in said:
                    break
            assert "0 of 2 done, 1 running, 1 to do" in said
            assert "ce on digits (resnet8, seed 0), epoch " in said
            trainer = int(holder.read_text().split()[1])
            os.kill(child, number)
            assert int(next(line for line in process.stdout if line.strip("-\n").isdecimal())) == code
            for _ in waited("its worker ends"):
                if not Path(f"/proc/{trainer}").exists():
                    break
            (state,) = (places.runs_folder() / "stages" / "work").glob("*/state.json")
            saved = json.loads(state.read_text())["values"]
            steps.append((saved["epoch"], saved["steps_done"]))
        process.stdin.close()
        told = process.stderr.read()
    assert told.count("ltlib: stopped; what is finished is kept, the same command goes on from there") == 2
    assert "Traceback" not in told
    assert steps == sorted(set(steps)), "each start went on where the one before had stopped"
    (line,) = journal.standing()
    assert f"process {child} on " in line
    assert "was killed, last heard of" in line
    assert "0 of 2 done; the same command goes on" in line
    monkeypatch.setattr("ltlib.pages.order.pages", lambda say=None: [])
    assert cli.main(["status"]) == 0
    killed = line.partition(", last heard of ")[0]  # the seconds since then go on meanwhile
    assert capsys.readouterr().out.startswith(f"{killed}, last heard of ")
    sweep.run_all([tiny.replace(limit=60)], jobs=1, show=False)
    assert journal.standing() == [], "the next batch takes it away"

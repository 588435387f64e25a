"""A training killed at any moment and started again ends, bit for bit, where an undisturbed one ends."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ltlib import files, runs, sealed
from ltlib.experiment import Experiment

pytestmark = pytest.mark.xdist_group("processes")

KILLS = 6
SCRIPT = """
import json, os, sys
import torch
torch.set_num_threads(1)
from ltlib import runs
from ltlib.training import loop
from ltlib.experiment import Experiment
loop.CHECKPOINT_SECONDS = 0.0
loop.CHUNK_SECONDS = 0.0
experiment = Experiment.from_settings(json.loads(sys.argv[1]))
runs.load_data(experiment)
print("ready", flush=True)
for line in sys.stdin:  # each attempt is a fork of this process, so everything is imported once
    child = os.fork()
    if child == 0:
        code = 1
        try:
            runs.run(experiment)
            code = 0
        except BaseException as error:
            print(type(error).__name__, error, file=sys.stderr, flush=True)
        os._exit(code)
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


def test_killed_at_random_moments(tiny: Experiment, reports: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    exp = tiny.replace(
        method="supcon",
        recipe="convergent[augmentation=shift1;batch_size=8;epochs=2;selection=best_test_loss]",
        limit=100,
    )
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, json.dumps(exp.settings())],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    draw = random.Random(0)
    kills, progress = 0, []
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            process.stdin.write("go\n")
            process.stdin.flush()
            child = int(process.stdout.readline())
            if kills < KILLS:
                if kills > 1:  # the first two may hit it before it has begun
                    wait_for_a_write(reports, deadline)
                time.sleep(draw.uniform(0.0, 0.15))
                with contextlib.suppress(ProcessLookupError):  # it has finished
                    os.kill(child, signal.SIGKILL)
            code = int(process.stdout.readline())
            if code == 0:
                break
            assert code == -signal.SIGKILL, "a killed run must start again without help"
            kills += 1
            progress.append(state_of(exp, reports))
        process.stdin.close()
    assert code == 0
    assert kills > KILLS // 2
    assert progress == sorted(progress), "a kill never takes finished work back by more than what was being written"
    assert len(set(progress)) > 2, "the kills came at the same place"
    assert any(steps for _, _, steps in progress), "no kill came in the middle of an epoch"
    killed = runs.load(exp.run_id)
    assert killed is not None
    assert runs.verify() == []
    folder = reports / "runs"
    assert not (folder / "stages" / "work").exists() or list((folder / "stages" / "work").iterdir()) == []

    monkeypatch.setenv("LTLIB_REPORTS", str(reports.parent / "undisturbed"))
    whole = runs.run(exp)
    for name in ("last", "selected"):
        assert np.array_equal(killed.predictions[name].logits, whole.predictions[name].logits)  # type: ignore[arg-type]
    pd.testing.assert_frame_equal(
        killed.history.drop(columns="seconds"), whole.history.drop(columns="seconds"), check_exact=True
    )
    assert killed.metrics == whole.metrics
    for i in (0, 1):
        stage = f"stages/{exp.resolve().stage_id(i)}/weights.safetensors"
        one, other = (sealed.read_tensors(top / "runs" / stage) for top in (reports, reports.parent / "undisturbed"))
        assert one.keys() == other.keys()
        assert all(one[name].equal(other[name]) for name in one)

    left = [item for item in folder.rglob("*") if files.is_temporary(item)]
    for item in left:  # an hour later, the next training takes them away
        os.utime(item, (1e9, 1e9))
    (folder / ".ltlib-tmp-old").mkdir()
    os.utime(folder / ".ltlib-tmp-old", (1e9, 1e9))
    monkeypatch.setenv("LTLIB_REPORTS", str(reports))
    runs.run(tiny.replace(limit=40))
    assert [item for item in folder.rglob("*") if files.is_temporary(item)] == []


def wait_for_a_write(reports: Path, deadline: float) -> None:
    """Until the training that was just started has written something."""
    started = time.time_ns()
    while time.monotonic() < deadline:
        for file in reports.rglob("*"):
            with contextlib.suppress(FileNotFoundError):
                if file.suffix in (".json", ".safetensors") and file.stat().st_mtime_ns > started:
                    return
        time.sleep(0.005)


def state_of(exp: Experiment, reports: Path) -> tuple[int, int, int]:
    """How far a training is: finished stages, epochs and steps of the one under way."""
    resolved = exp.resolve()
    stages = reports / "runs" / "stages"
    done = sum(sealed.finished(stages / resolved.stage_id(i)) for i in (0, 1))
    if done == 2:
        return 2, 0, 0
    place = stages / "work" / resolved.stage_id(done)
    saved = sealed.CheckpointFile(place, resolved.stage_id(done)).load()
    return (done, 0, 0) if saved is None else (done, saved[0]["epoch"], saved[0]["steps_done"])

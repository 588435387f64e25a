"""Several runs in one process: each the run it is alone, whatever its company does."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from outcomes import numbers, same

from ltlib import runs
from ltlib.errors import RunError, SettingError
from ltlib.experiment import Experiment
from ltlib.runs import Run, packing, sweep
from ltlib.runs.engines.seats import Seat
from ltlib.training import accelerator
from ltlib.training.loop import Stopped

CPU = torch.device("cpu")


def test_packed_runs_are_the_runs_alone(tiny: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bit for bit, other methods at the same time: mixed labels, two views, deferred weights."""
    together = [
        tiny.replace(limit=60, method=method, seed=seed)
        for method, seed in (("cutmix", 0), ("supcon_ce", 0), ("ldam_drw", 0), ("ce", 1))
    ]
    at_once: set[int] = set()
    seen: list[int] = []

    def report(experiment: Experiment, row: Mapping[str, Any]) -> None:
        at_once.add(threading.get_ident())
        seen.append(int(row["epoch"]))

    packed = packing.run_packed([*together, together[0]], streams=2, report=report)
    assert packed.failures == {}
    assert packed.runs.keys() == {experiment.run_id for experiment in together}
    assert len(at_once) == 2
    assert len(seen) == 2 * len(together), "a duplicate is trained once"
    found = [numbers(packed.runs[experiment.run_id]) for experiment in together]
    assert runs.verify() == []
    monkeypatch.setenv("LTLIB_REPORTS", str(tmp_path / "alone"))
    for experiment, (history, tensors) in zip(together, found, strict=True):
        alone = numbers(runs.run(experiment))
        assert history == alone[0]
        same(tensors, alone[1])


def test_a_shared_first_stage_is_trained_once(tiny: Experiment) -> None:
    """The second run waits for the first one's stage, in the same process."""
    first = tiny.replace(limit=60, method="supcon")
    second = tiny.replace(limit=60, method="supcon[probe_epochs=2]")
    rows: list[tuple[str, int]] = []
    packed = packing.run_packed(
        [first, second], streams=2, report=lambda experiment, row: rows.append((experiment.method, int(row["stage"])))
    )
    assert packed.failures == {}
    assert len([stage for _, stage in rows if stage == 1]) == 2, "two epochs, by one of them"


def test_one_that_fails_stops_no_other(tiny: Experiment, no_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lost, good = tiny.replace(dataset="cifar10"), tiny.replace(limit=60)
    broken, diverging = tiny.replace(limit=60, seed=7), tiny.replace(limit=60, seed=8)
    real = runs.run

    def run(experiment: Experiment, **more: Any) -> Run:
        if experiment.seed == 7:
            raise RuntimeError("CUDA error: no kernel image")
        if experiment.seed == 8:
            raise RunError("the loss became nan")
        return real(experiment, **more)

    monkeypatch.setattr(runs, "run", run)
    packed = packing.run_packed([lost, broken, diverging, good], streams=2)
    assert packed.runs.keys() == {good.run_id}
    assert "cifar" in packed.failures[lost.run_id]
    assert packed.failures[broken.run_id] == "RuntimeError: CUDA error: no kernel image"
    assert packed.failures[diverging.run_id] == "the loss became nan"


def test_stopping_stops_all_and_what_is_saved_goes_on(tiny: Experiment) -> None:
    long = tiny.replace(limit=60, recipe="convergent[augmentation=shift1;epochs=40;patience=0]")
    asked, rows = threading.Event(), 0

    def report(experiment: Experiment, row: Mapping[str, Any]) -> None:
        nonlocal rows
        rows += 1
        if rows >= 3:
            asked.set()

    three = [long, long.replace(seed=1), long.replace(seed=2)]
    packed = packing.run_packed(three, streams=2, report=report, stop=asked.is_set)
    assert packed.runs == {}
    assert sorted(packed.failures.values()) == [packing.NOT_BEGUN, packing.STOPPED, packing.STOPPED]
    epochs: list[int] = []
    with pytest.raises(Stopped):
        runs.run(long, report=lambda row: epochs.append(row["epoch"]), stop=lambda: bool(epochs))
    assert epochs[0] > 1, "from its checkpoint"


def test_tasks_are_served_side_by_side_in_order() -> None:
    began: list[int] = []
    ended: list[int] = []
    both = threading.Barrier(2, timeout=10)

    def work(task: int) -> None:
        began.append(task)
        both.wait()  # would break if they came one after the other
        assert torch.get_num_threads() == torch_threads
        ended.append(task)

    torch_threads = torch.get_num_threads()
    packing.serve(iter(range(6)), work, 2, CPU)
    assert began == sorted(began)
    assert sorted(ended) == list(range(6))


def test_a_mistake_in_the_work_is_raised_and_no_other_begun() -> None:
    began: list[int] = []

    def work(task: int) -> None:
        began.append(task)
        if task == 0:
            raise ValueError("a mistake")
        time.sleep(0.2)

    with pytest.raises(ValueError, match="a mistake"):
        packing.serve(range(100), work, 2, CPU)
    assert len(began) <= 3


def test_how_many_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    assert packing.default_streams(CPU) == 1
    assert packing.default_streams(torch.device("cuda")) == packing.CUDA_STREAMS
    monkeypatch.setenv("LTLIB_STREAMS", "3")
    assert packing.default_streams(CPU) == packing.default_streams(torch.device("cuda")) == 3
    for wrong in ("0", "-1", "two", "1.5"):
        monkeypatch.setenv("LTLIB_STREAMS", wrong)
        with pytest.raises(SettingError, match="LTLIB_STREAMS"):
            packing.default_streams(CPU)


@pytest.mark.xdist_group("processes")
def test_a_worker_with_two_lanes(tiny: Experiment, no_data: Path) -> None:
    """Five runs through one process: two at a time, one without data."""
    good = [tiny.replace(limit=60, seed=seed) for seed in range(4)]
    lost = tiny.replace(dataset="cifar10")
    started: list[int] = []
    start = Seat.start

    def counted(self: Seat) -> Any:
        process = start(self)
        started.append(process.pid)
        return process

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Seat, "start", counted)
        found = sweep.run_all([good[0], lost, *good[1:]], jobs=1, streams=2, show=False, strict=False)
    assert len(started) == 1
    assert [run.id for run in found] == [experiment.run_id for experiment in good]
    assert found.failures.keys() == {lost.run_id}
    assert "cifar" in found.failures[lost.run_id]
    assert runs.verify() == []


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_packed_graphs_are_the_runs_alone(tiny: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On streams, recorded; bit for bit."""
    monkeypatch.setenv("LTLIB_DEVICE", "cuda")
    together = [
        tiny.replace(limit=None, method=method)
        for method in ("ce", "cutmix", "supcon_ce", "ldam_drw", "bbn", "mislas", "cmo", "kcl")
    ]
    packed = packing.run_packed(together, streams=4)
    assert packed.failures == {}
    found = [numbers(packed.runs[experiment.run_id]) for experiment in together]
    monkeypatch.setenv("LTLIB_REPORTS", str(tmp_path / "alone"))
    assert accelerator.device().type == "cuda"
    for experiment, (history, tensors) in zip(together, found, strict=True):
        alone = numbers(runs.run(experiment))
        assert history == alone[0]
        same(tensors, alone[1])

"""One id, one number: a CPU training has one thread wherever it is started, and the caller keeps their own."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from ltlib import runs
from ltlib.bench import common
from ltlib.experiment import Experiment
from ltlib.runs import features, packing, provenance
from ltlib.training import accelerator, loop


@pytest.fixture(autouse=True)
def _two_threads() -> Iterator[None]:
    """As a kernel on two cores has them."""
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(1)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Threads at each epoch's end."""
    found: list[int] = []
    fit = loop.fit

    def spy(*arguments: Any, report: Any, **settings: Any) -> Any:
        return fit(*arguments, report=lambda row: (found.append(torch.get_num_threads()), report(row)), **settings)

    monkeypatch.setattr(loop, "fit", spy)
    return found


def test_a_training_has_one_thread_and_says_so(tiny: Experiment, seen: list[int]) -> None:
    run = runs.run(tiny)
    assert seen == [1, 1]
    assert run.provenance["threads"] == 1
    assert torch.get_num_threads() == 2


def test_two_threads_in_the_caller_change_no_bit(tiny: Experiment, monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    logits = []
    for threads in (2, 1):
        torch.set_num_threads(threads)
        monkeypatch.setenv("LTLIB_REPORTS", str(tmp_path / f"{threads}"))
        logits.append(runs.run(tiny).predictions["last"].logits)
    assert (logits[0] == logits[1]).all()


def test_so_have_runs_side_by_side_and_one_that_goes_on(tiny: Experiment, seen: list[int]) -> None:
    with pytest.raises(loop.Stopped):
        runs.run(tiny, stop=lambda: True)
    assert torch.get_num_threads() == 2, "also where the training ends early"
    packed = packing.run_packed([tiny, tiny.replace(seed=1)], streams=2)
    assert packed.failures == {}
    assert set(seen) == {1}
    assert {run.provenance["threads"] for run in packed.runs.values()} == {1}


def test_features_are_computed_so_too(tiny: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    run = runs.run(tiny)
    found: list[int] = []
    make = features.embedding.features
    monkeypatch.setattr(
        features.embedding, "features", lambda *a, **k: (found.append(torch.get_num_threads()), make(*a, **k))[1]
    )
    features._features(run, run.folder.parent / "x.npz")  # type: ignore[union-attr]
    assert found == [1]
    assert torch.get_num_threads() == 2


def test_a_benchmark_sets_its_own(tiny: Experiment, seen: list[int]) -> None:
    with common.threads(2):
        runs.run(tiny)
    assert seen == [2, 2]
    assert accelerator.CPU_THREADS == 1


def test_a_gpu_leaves_them_alone() -> None:
    with accelerator.fixed_threads(torch.device("cuda")):
        assert torch.get_num_threads() == 2


def test_a_page_says_which_hardware_its_records_come_from() -> None:
    here, far = provenance.processor(), "NVIDIA H200"

    def made(device: str, threads: int, profile: str | None) -> Any:
        return SimpleNamespace(provenance={"device": device, "threads": threads}, profile=profile)

    trained = [made(here, 1, None)]
    assert provenance.told(trained) == ""
    assert provenance.told([]) == ""
    assert provenance.told([*trained, made(far, 1, "paper"), made(far, 1, "paper"), made("Xeon", 2, "laptop")]) == (
        "3 of 4 runs are records of finished trainings, not made here: 2 on NVIDIA H200, 1 thread; 1 on Xeon, "
        "2 threads."
    )
    assert provenance.told([*trained, made(here, 2, None)]) == (
        "1 of 2 runs were trained with 2 threads; one trained now has 1 thread and may end elsewhere."
    )

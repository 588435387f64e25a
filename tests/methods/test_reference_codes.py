"""What published codes do, written down plainly from reading them, against what is trained here.

Each loop below is our own, slow and obvious; its docstring names the file whose behaviour it has.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from ltlib import datasets, methods, runs
from ltlib.batches import augment
from ltlib.batches.draws import SAMPLERS, epoch_draws, generator
from ltlib.errors import SettingError
from ltlib.experiment import Experiment
from ltlib.methods import METHODS
from ltlib.runs import cost
from ltlib.training import stages

REPORTS = Path(__file__).resolve().parents[2] / "reports"
DIGITS = Experiment(
    dataset="digits",
    imbalance_factor=20,
    model="resnet8",
    recipe="ldam[batch_size=16;epochs=2;warmup_epochs=0;augmentation=shift1]",
    limit=90,
)


def mislas_batches(order: list[int], images: int, batch_size: int) -> list[list[int]]:
    """MiSLAS, train_stage2.py: the loader's batches are numbered from 0; the loop ends when a number is too large."""
    end_steps = math.ceil(images / batch_size)
    batches = [order[i : i + batch_size] for i in range(0, len(order), batch_size)]
    used = []
    for number, batch in enumerate(batches):
        if number > end_steps:
            break
        used.append(batch)
    return used


def counts(dataset: str) -> list[int]:
    return datasets.long_tailed_counts(50_000 // {"cifar10": 10, "cifar100": 100}[dataset], int(dataset[5:]), 100)


@pytest.mark.parametrize(("dataset", "steps"), [("cifar10", 98), ("cifar100", 86)])
def test_mislas_takes_the_batches_of_its_code(dataset: str, steps: int, no_data: Path) -> None:
    experiment = Experiment(dataset=dataset, method="mislas", recipe="ldam", imbalance_factor=100)
    stage = experiment.resolve().stages[1]
    targets = torch.arange(len(counts(dataset))).repeat_interleave(torch.tensor(counts(dataset)))
    order = SAMPLERS.create(stage.sampler)
    whole = order(targets, 1, 10, generator(0, "order", 1, 1)).tolist()
    assert len(whole) == 50_000
    expected = mislas_batches(whole, len(targets), 128)
    assert len(expected) == steps
    (draw,) = epoch_draws(
        order,
        augment.create("none"),
        targets,
        seed=0,
        stage=1,
        epoch=1,
        epochs=10,
        batch_size=128,
        views=1,
        most_steps=stages.most_steps(stage, len(targets), 128),
    )
    assert draw.index.tolist() == expected
    second = cost.stage_works(experiment)[1]
    assert second.steps == 10 * steps
    whole_orders = cost.stage_works(experiment.replace(method="mislas[epoch_ends=sampler]"))[1]
    assert whole_orders.steps == 3910


@pytest.mark.parametrize(("method", "steps"), [("mislas", 7), ("mislas[epoch_ends=sampler]", 15), ("crt", 6)])
def test_a_training_takes_as_many_steps(
    method: str, steps: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """90 images in batches of 16: ceil(90 / 16) + 1 steps, of the 10 n_max the class-aware order has."""
    seen: list[int] = []
    real = stages.epoch_draws

    def draws(*given: Any, **settings: Any) -> Any:
        found = real(*given, **settings)
        if settings["stage"] == 1:
            seen.append(sum(draw.steps for draw in found))
        return found

    monkeypatch.setattr(stages, "epoch_draws", draws)
    experiment = DIGITS.replace(method=method)
    data = runs.load_data(experiment)
    assert math.ceil(10 * max(data.class_counts) / 16) == 15
    stages.run_stages(experiment.resolve(), data, tmp_path)
    assert seen == [steps]


def test_an_order_that_is_short_anyway_is_left_alone() -> None:
    """A batch of the whole balanced set: nothing is cut, nothing repeated."""
    targets = torch.arange(4).repeat_interleave(3)
    order = SAMPLERS.create("class_aware")
    given: dict[str, Any] = {"seed": 0, "stage": 1, "epoch": 1, "epochs": 1, "batch_size": 5, "views": 1}
    none = augment.create("none")
    whole, cut = (epoch_draws(order, none, targets, most_steps=most, **given) for most in (None, 4))
    assert [draw.index.tolist() for draw in cut] == [draw.index.tolist() for draw in whole]
    assert sum(draw.index.numel() for draw in cut) == 12


def test_only_this_method_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The records of the whole order are those of a named setting; no other method's stages are cut."""
    monkeypatch.setenv("LTLIB_REPORTS", str(REPORTS))
    kept = [runs.load(name) for name in ("20c45b8bb059", "850f95b2119f", "6e3deaa92f24")]
    for run in kept:
        assert run is not None
        assert run.experiment.method.startswith("mislas[epoch_ends=sampler;")
        assert run.experiment.run_id == run.id
        now = run.experiment.method.replace("epoch_ends=sampler;", "")
        assert run.experiment.replace(method=now).run_id != run.id
    cut = {name for name in METHODS.names() for stage in methods.stages(name) if stage.epoch_ends != "sampler"}
    assert cut == {"mislas"}
    with pytest.raises(SettingError, match="epoch_ends of mislas must be images"):
        methods.stages("mislas[epoch_ends=never]")

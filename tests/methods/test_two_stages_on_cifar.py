"""Both stages of a two-stage method on the real CIFAR-10-LT at imbalance factor 100, cut to 3,000 images."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from ltlib import calibration, runs, sealed
from ltlib.experiment import Experiment
from ltlib.methods import AWABS_VARIANTS
from ltlib.runs.result import stage_predictions
from ltlib.training import stages
from ltlib.training.loop import Stopped

pytestmark = [
    pytest.mark.skipif(not os.environ.get("LTLIB_DATA"), reason="set LTLIB_DATA to the folder with CIFAR"),
    pytest.mark.xdist_group("two stages on CIFAR"),  # its trainings are shared
]


def experiment(variant: str) -> Experiment:
    return Experiment(
        dataset="cifar10",
        imbalance_factor=100,
        model="resnet8",
        method=f"awabs_cutmix[variant={variant};epochs=0.5]",
        recipe="ldam[epochs=2;warmup_epochs=1;evaluate_every=1]",
        limit=3000,
    )


def train(variant: str, folder: Path, stop: Callable[[], bool] = lambda: False) -> tuple[list[Path], list[int]]:
    """The stages' folders, and the stage of each epoch that was trained."""
    seen: list[int] = []
    exp = experiment(variant)
    found = stages.run_stages(
        exp.resolve(),
        runs.load_data(exp),
        folder,
        report=lambda row: seen.append(row["stage"]),
        stop=stop,
        target=torch.device("cpu"),
    )
    return found, seen


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[list[Path], list[int]]]:
    folder = tmp_path_factory.mktemp("stages")
    return {variant: train(variant, folder) for variant in AWABS_VARIANTS}


def changes(places: list[Path]) -> dict[str, bool]:
    """Which tensors the second stage changed, bit for bit."""
    first, second = (sealed.read_tensors(place / "weights.safetensors") for place in places)
    assert first.keys() == second.keys()
    return {name: not _same(first[name], second[name]) for name in first}


def _same(one: Tensor, other: Tensor) -> bool:
    return one.dtype == other.dtype and one.numpy().tobytes() == other.numpy().tobytes()


def statistic(name: str) -> bool:
    """Whether it is a batch statistic, or the number of batches it comes from."""
    return name.endswith(("running_mean", "running_var", "num_batches_tracked"))


def test_the_first_stage_is_trained_once(trained: dict[str, tuple[list[Path], list[int]]]) -> None:
    assert len({places[0] for places, _ in trained.values()}) == 1
    assert len({places[1] for places, _ in trained.values()}) == 3
    assert [seen for _, seen in trained.values()] == [[1, 1, 2], [2], [2]]


def test_decoupled_leaves_the_backbone_bit_for_bit(trained: dict[str, tuple[list[Path], list[int]]]) -> None:
    changed = changes(trained["decoupled"][0])
    assert {name for name, different in changed.items() if different} == {
        name for name in changed if name.startswith("classifier")
    }
    assert any(statistic(name) for name in changed)


def test_shifted_learns_the_statistics_and_no_weight(trained: dict[str, tuple[list[Path], list[int]]]) -> None:
    changed = changes(trained["decoupled_shifted"][0])
    assert changed == {name: name.startswith("classifier") or statistic(name) for name in changed}


def test_continue_changes_everything(trained: dict[str, tuple[list[Path], list[int]]]) -> None:
    changed = changes(trained["continue"][0])
    assert all(changed.values()), [name for name, different in changed.items() if not different]


@pytest.mark.parametrize("variant", AWABS_VARIANTS)
def test_both_stages_learn_and_say_how_calibrated_they_are(
    trained: dict[str, tuple[list[Path], list[int]]], variant: str
) -> None:
    places, _ = trained[variant]
    targets = runs.load_data(experiment(variant)).test.targets
    for place, epochs in zip(places, (2, 1), strict=True):
        history = pd.read_csv(place / "history.csv")
        assert history["epoch"].tolist() == list(range(1, epochs + 1))
        assert history["test_ece"].between(0, 1).all()
        last = stage_predictions(place, targets)["last"]
        accuracy = float(np.mean(last.predicted == last.targets))
        assert accuracy == pytest.approx(history["test_accuracy"].iloc[-1], abs=1e-9)
        error = calibration.from_confidence(last.confidence, last.predicted == last.targets)
        assert error == pytest.approx(history["test_ece"].iloc[-1], abs=1e-6)
    assert accuracy > 0.12, "of 10,000 images chance gets 10% right, and 12% once in 10**10 times"


def test_a_second_stage_that_was_stopped_goes_on(
    trained: dict[str, tuple[list[Path], list[int]]], tmp_path: Path
) -> None:
    whole, _ = trained["decoupled_shifted"]
    shutil.copytree(whole[0], tmp_path / whole[0].name)
    asked = iter((False, True))
    with pytest.raises(Stopped):
        train("decoupled_shifted", tmp_path, stop=lambda: next(asked))
    assert not (tmp_path / whole[1].name).exists()
    places, seen = train("decoupled_shifted", tmp_path)
    assert seen == [2]
    for name in ("weights.safetensors", "logits.safetensors"):
        assert (places[1] / name).read_bytes() == (whole[1] / name).read_bytes()

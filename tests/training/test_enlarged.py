"""Training and evaluation on enlarged images: the network sees the larger size everywhere, mixing the stored one."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from ltlib import datasets, models, runs
from ltlib.batches import draws as drawing
from ltlib.batches.resident import Resident
from ltlib.errors import SettingError
from ltlib.experiment import Experiment
from ltlib.mixing import create as create_mixing
from ltlib.models import Backbone
from ltlib.runs import cost, features
from ltlib.training import evaluation, learner, objectives, steps

LARGER = "convergent[augmentation=shift1;epochs=1;resize=16]"


@pytest.fixture
def sides(monkeypatch: pytest.MonkeyPatch) -> set[int]:
    """Heights of everything that any backbone is given."""
    seen: set[int] = set()
    original = torch.nn.Module.__call__

    def spy(self: torch.nn.Module, *inputs: torch.Tensor, **more: object) -> object:
        if isinstance(self, Backbone):
            seen.add(inputs[0].shape[2])
        return original(self, *inputs, **more)

    monkeypatch.setattr(torch.nn.Module, "__call__", spy)
    return seen


def test_a_run_sees_larger_images_from_start_to_end(tiny: Experiment, sides: set[int]) -> None:
    exp = tiny.replace(recipe=LARGER, validation="subset", limit=60)
    assert exp.run_id != tiny.replace(recipe="convergent[augmentation=shift1;epochs=1]", limit=60).run_id
    run = runs.run(exp)
    space, _ = features._features(run, run.folder.parent / "cache.npz")  # type: ignore[union-attr]
    assert sides == {16}
    assert space.shape[1] == 64
    assert run.macs == models.macs("resnet8", 10, 16)
    assert models.macs("resnet8", 10, 16) > 3 * models.macs("resnet8", 10, 8)


@pytest.mark.parametrize("mix", ["cutmix", "cutout"])
def test_images_are_mixed_as_stored_and_then_enlarged(mix: str) -> None:
    """The boxes are drawn for 8x8 pixels; on enlarged images they would cover a quarter as much of each side."""
    images = np.random.default_rng(0).integers(0, 256, (12, 8, 8, 3), dtype=np.uint8)
    targets, mixing = np.arange(12) % 3, create_mixing(mix)
    batches = []
    for resize in (0, 32):
        network = models.create("resnet8", 3)
        objective = objectives.create(_stage(), [4, 4, 4])
        learning = learner.create(network, objective, _recipe(), {"classifier": 1.0})
        data = Resident(images, targets, normalise="unit", resize=resize)
        step = steps.EagerStep(learning, data, mixing=mixing, class_counts=torch.tensor([4, 4, 4]))
        (draw,) = drawing.epoch_draws(
            drawing.SAMPLERS.create("instance_balanced"),
            drawing_augmentation(),
            torch.as_tensor(targets),
            seed=0,
            stage=0,
            epoch=1,
            epochs=1,
            batch_size=12,
            views=1,
            mixing=mixing,
            image_size=(8, 8),
        )
        batches.append(step.batch(draw, 0))
    small, large = batches
    assert torch.equal(large.images, F.interpolate(small.images, size=(32, 32), mode="bilinear", align_corners=False))
    if small.share is not None:
        assert torch.equal(large.share, small.share)


def test_the_two_streams_of_a_method_are_both_enlarged(tiny: Experiment, sides: set[int]) -> None:
    runs.run(tiny.replace(method="bbn", recipe=LARGER, limit=60))
    assert sides == {16}


def test_evaluation_batches_shrink_with_the_area() -> None:
    """125 images of 32x32 are 128,000 pixels, of 64x64 those of 31; 2,000 of 224x224 are 40 (2000 / 49, rounded)."""
    assert [evaluation.at_once(125, side) for side in (0, 16, 32, 64, 224)] == [125, 125, 125, 31, 4]
    assert evaluation.at_once(2000, 224) == 40
    assert evaluation.at_once(3, 224) == 3
    many = Resident(np.zeros((100, 8, 8, 3), np.uint8), [0] * 100, normalise="unit", resize=64)
    assert [len(index) for index in evaluation.batches(many)] == [31, 31, 31, 7]


def test_costs_are_those_of_the_larger_images(no_data: object) -> None:
    exp = Experiment(dataset="cifar100", imbalance_factor=100, model="resnet32", method="ce", recipe="ldam")
    larger = exp.replace(recipe="ldam[resize=64]")
    ratio = models.macs("resnet32", 100, 64) / models.macs("resnet32", 100, 32)
    assert cost.work(larger).macs == pytest.approx(ratio * cost.work(exp).macs)
    assert ratio > 3.9


def test_smaller_is_refused_before_any_data_is_read(no_data: object) -> None:
    exp = Experiment(dataset="cifar100", recipe="ldam[resize=24]")
    with pytest.raises(SettingError, match="stored with 32x32 pixels, which 24 is below"):
        exp.resolve()
    assert datasets.info("cifar100").image_size == 32


def _stage() -> object:
    from ltlib.methods import Stage

    return Stage(loss="ce")


def _recipe() -> object:
    from ltlib.recipes import Recipe

    return Recipe()


def drawing_augmentation() -> object:
    from ltlib.batches import augment

    return augment.create("none")

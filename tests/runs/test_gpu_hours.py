"""What networks for photographs would take on other cards: by hand, without data, weights or a GPU."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ltlib import models, recipes, runs
from ltlib.experiment import Experiment
from ltlib.runs import cost, gpu_hours, plan
from ltlib.training import memory, stages
from ltlib.training.loop import Stopped

TINY = "[size=tiny;weights=none]"
PHOTOS = Experiment("caltech_part", 1, "resnet18[stem=imagenet]", "ce", "loss_balance", precision="bf16")
ENLARGED = Experiment(
    "cifar100", 100, f"convnext_base{TINY}", "ce", "ldam[resize=224;optimizer=adam]", precision="bf16"
)


def rows(*experiments: Experiment) -> list[gpu_hours.Row]:
    found = [experiment.resolve() for experiment in experiments]
    return gpu_hours.rows(experiments, {each.stage_id(i) for each in found for i in range(len(each.stages))})


def test_flops_and_hours_by_hand(no_data: Path) -> None:
    """2,021 images of 224 pixels, 30 epochs, three forward passes each; 800 test images once an epoch."""
    (row,) = rows(PHOTOS)
    recipe = recipes.create("loss_balance")
    forward = models.macs("resnet18[stem=imagenet]", 8, 224)
    flops = 2 * forward * (30 * 3 * 2021 + 30 / recipe.evaluate_every * 800)
    assert (row.model, row.method, row.runs) == (PHOTOS.model, "ce", 1)
    assert row.flops == pytest.approx(flops)
    assert row.hours == pytest.approx({"A100": flops / 78e12 / 3600, "H200": flops / 247.25e12 / 3600})
    (slow,) = rows(PHOTOS.replace(precision="float32"))
    assert slow.hours == pytest.approx({"A100": flops / 4.875e12 / 3600, "H200": flops / 16.75e12 / 3600})
    assert row.disk == cost.stage_bytes(PHOTOS)


def test_runs_of_a_network_and_a_method_are_one_row_and_shared_stages_count_once(no_data: Path) -> None:
    decoupled = PHOTOS.replace(method="crt")
    one, two = cost.stage_works(decoupled)
    found = rows(PHOTOS, PHOTOS.replace(seed=1), decoupled)
    assert [(row.method, row.runs) for row in found] == [("ce", 2), ("crt", 1)]
    assert found[0].flops == pytest.approx(2 * 2 * one.macs)
    assert found[1].flops == pytest.approx(2 * two.macs), "its first stage is that of ce"
    ids = {decoupled.resolve().stage_id(1)}
    assert [row.flops for row in gpu_hours.rows([decoupled], ids)] == pytest.approx([2 * two.macs]), "what is finished"


def test_features_of_a_frozen_backbone_are_computed_once(no_data: Path) -> None:
    """One pass over 10,847 + 10,000 images for two losses; a classifier's step is three products of features."""
    probe = ENLARGED.replace(recipe="ldam[resize=224;optimizer=adam;frozen=backbone;augmentation=none]")
    probes = [probe, probe.replace(method="balanced_softmax")]
    todo = {name for experiment in probes for name in cost.pieces(experiment)}
    one, two = gpu_hours.rows(probes, todo)
    forward, width = models.macs(ENLARGED.model, 100, 224), models.shapes(ENLARGED.model, 100).feature_dim
    assert two.flops == pytest.approx(2 * 100 * width * (200 * 3 * 10_847 + 20 * 10_000))
    assert one.flops - two.flops == pytest.approx(2 * forward * 20_847)
    assert one.disk == two.disk


def test_small_images_are_not_told_of_and_enlarged_ones_are(no_data: Path) -> None:
    assert rows(ENLARGED.replace(recipe="ldam", model="resnet32")) == []
    assert gpu_hours.lines([]) == []
    (row,) = rows(ENLARGED)
    forward = models.macs(ENLARGED.model, 100, 224)
    assert row.flops == pytest.approx(2 * forward * (200 * 3 * 10_847 + 20 * 10_000))
    (fewer,) = rows(ENLARGED.replace(test_per_class=50))
    assert fewer.flops == pytest.approx(2 * forward * (200 * 3 * 10_847 + 20 * 5000))
    (parts,) = rows(ENLARGED.replace(recipe="ldam[resize=224;optimizer=adam;batch_parts=4]"))
    assert parts.flops == pytest.approx(2 * forward * (200 * 4 * 10_847 + 20 * 10_000)), "each part is computed again"
    assert parts.memory < row.memory


def test_memory_is_that_of_the_experiments_own_step(no_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = recipes.create("ldam[optimizer=adam;precision=bf16]")
    network = models.shapes(ENLARGED.model, 100)
    whole = memory.step_memory(network, recipe, 224).total
    halves = memory.step_memory(network, replace(recipe, batch_parts=2), 224).total
    (row,) = rows(ENLARGED)
    assert (row.memory, row.parts) == (whole, None)
    monkeypatch.setattr(gpu_hours, "LIMIT", whole - 1)
    gpu_hours._memory.cache_clear()
    (row,) = rows(ENLARGED)
    gpu_hours._memory.cache_clear()
    assert (row.memory, row.parts) == (whole, (2, halves))
    assert f"{whole / 2**30:.1f} GiB (batch_parts=2: {halves / 2**30:.1f})" in gpu_hours.lines([row])[1]
    network.backbone.requires_grad_(False)
    (probe,) = rows(ENLARGED.replace(recipe="ldam[resize=224;optimizer=adam;frozen=backbone]"))
    assert probe.memory == memory.step_memory(network, recipe, 224).total < whole / 2


def test_a_dry_run_tells_of_them_and_says_what_it_assumes(no_data: Path, reports: Path) -> None:
    text = plan.make("paper", {PHOTOS: 1, PHOTOS.replace(method="crt"): 1, ENLARGED: 1}).account()
    lines = text.splitlines()
    place = next(i for i, line in enumerate(lines) if "networks on images of 128 pixels" in line)
    assert "estimates; nothing measured here" in lines[place]
    assert "25% of the dense peak (TFLOP/s in bf16 and float32: A100 312 and 19.5, H200 989 and 67)" in lines[place]
    table = [line.split() for line in lines[place + 1 :]]
    assert [row[:4] for row in table] == [
        [PHOTOS.model, "ce", "1", "run"],
        [PHOTOS.model, "crt", "1", "run"],
        [ENLARGED.model, "ce", "1", "run"],
    ]
    small = gpu_hours.Row("m", "ce", 1, 3e11, {"A100": 0.00123, "H200": 1234.567}, 2**29, None, 10**7)
    assert gpu_hours.lines([small])[1].split("  ") == [
        *("", "", "m", "ce", "1 run", "0.0003 PFLOP", "0.001 h A100", "1,234.57 h H200", "0.5 GiB", "0.01 GB of disk")
    ]
    assert all({"PFLOP", "A100", "H200", "GiB", "disk"} <= set(row) for row in table)
    assert not reports.exists()


# --- what an optimizer keeps -----------------------------------------------------------------------------------------


def test_the_checkpoint_of_adam_is_larger(no_data: Path) -> None:
    """Weights and one number each with sgd, weights and two each with Adam."""
    sgd = ENLARGED.replace(recipe="ldam[resize=224]")
    assert 3 * cost.checkpoint_bytes(sgd) == 2 * cost.checkpoint_bytes(ENLARGED)
    bare = ENLARGED.replace(recipe="ldam[resize=224;momentum=0]")
    assert 2 * cost.checkpoint_bytes(bare) == cost.checkpoint_bytes(sgd)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_checkpoint_takes_what_was_said(optimizer: str, tiny: Experiment, tmp_path: Path) -> None:
    exp = tiny.replace(recipe=f"ldam[augmentation=shift1;epochs=3;optimizer={optimizer}]", limit=60)
    seen: list[object] = []
    with pytest.raises(Stopped):
        stages.run_stages(exp.resolve(), runs.load_data(exp), tmp_path, report=seen.append, stop=lambda: bool(seen))
    written = sum(file.stat().st_size for file in (tmp_path / "work").rglob("*") if file.is_file())
    assert written == pytest.approx(cost.checkpoint_bytes(exp), rel=0.2)

"""The bench: its arithmetic, its form, and the least it must show on any machine."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
import torch

from ltlib import bench
from ltlib.bench import batches, common, decoding
from ltlib.bench import losses as bench_losses
from ltlib.datasets import pictures
from ltlib.errors import SettingError


@pytest.fixture(scope="module")
def result():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(common, "SHORTEST", 0.1)
        patch.setattr(batches, "PHOTOGRAPHS", {64: 64, 224: 8})
        return bench.data(count=600, rounds=2, quiet=True)


def test_result_can_be_written_as_json(result):
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    assert result["bench"] == "data"
    assert (result["count"], result["batch"], result["rounds"]) == (600, 128, 2)
    assert result["images"] in ("cifar100", "random pixels")
    assert {"cpu", "cores", "torch", "torchvision"} <= set(result["machine"])


def test_arms_say_how_they_ran(result):
    assert [(arm["threads"], arm["workers"]) for arm in result["arms"].values()] == [(1, 0), (2, 0), (1, 0), (1, 2)]
    for arm in result["arms"].values():
        assert arm["images_per_second"] == pytest.approx(1e6 / arm["microseconds_per_image"])
        assert arm["cpu_microseconds_per_image"] > 0


def test_batched_augmentation_is_far_ahead_of_pillow(result):
    """In CPU time, which other processes disturb least; a quiet machine shows 30 and more."""
    assert result["ratios"]["no workers against 1 thread"]["cpu"]["median"] > 8
    for kinds in result["ratios"].values():
        for values in kinds.values():
            assert values["low"] <= values["median"] <= values["high"]


def test_photographs_are_compared_at_both_sizes(result):
    """Both arms do the same to the same images; how much faster ours is belongs into a report, not into a test."""
    assert list(result["photographs"]) == ["64", "224"]
    for one, count in zip(result["photographs"].values(), (64, 8), strict=True):
        assert one["count"] == count
        assert set(one["arms"]) == {"resident", "Pillow"}
        for values in one["ratio"].values():
            assert 0 < values["low"] <= values["median"] <= values["high"]


def test_text_names_every_arm_and_ratio(result):
    text = batches._data_text(result)
    photographs = [f"resizedcrop+flip+jitter0.4+rotate15 at {side} pixels" for side in (64, 224)]
    for name in [*result["arms"], *result["ratios"], *photographs]:
        assert name in text
    assert "600 images" in text


def test_table_aligns_its_columns():
    assert bench.table([["arm", "us"], ["longer arm", "1,234.5"]]) == "arm              us\nlonger arm  1,234.5"


def test_bad_settings_are_refused():
    for settings in ({"count": 0}, {"rounds": 0}):
        with pytest.raises(SettingError, match="at least one"):
            bench.data(**settings)


def test_ratio_is_the_median_of_the_rounds_not_the_ratio_of_medians():
    slow = bench.Arm(lambda: None, 1, 1, wall=[10.0, 100.0, 12.0], cpu=[1.0, 1.0, 1.0])
    fast = bench.Arm(lambda: None, 1, 1, wall=[1.0, 5.0, 4.0], cpu=[0.5, 0.25, 0.125])
    assert bench.ratio(slow, fast) == {
        "wall": {"median": 10.0, "low": 3.0, "high": 20.0},
        "cpu": {"median": 4.0, "low": 2.0, "high": 8.0},
    }


def test_arms_take_turns_and_keep_their_threads(monkeypatch):
    monkeypatch.setattr(common, "SHORTEST", 0.0)
    before, calls = torch.get_num_threads(), []
    arms = {
        name: bench.Arm(lambda name=name: calls.append((name, torch.get_num_threads())), 10, threads)
        for name, threads in (("a", 1), ("b", 2))
    }
    bench.interleave(arms, 3)
    assert calls == [("a", 1), ("b", 2), ("a", 1), ("b", 2), ("b", 2), ("a", 1), ("a", 1), ("b", 2)]
    assert len(arms["a"].wall) == len(arms["b"].cpu) == 3
    assert torch.get_num_threads() == before


def test_cpu_time_of_children_counts():
    before = common.cpu_seconds()
    subprocess.run([sys.executable, "-c", "sum(range(10_000_000))"], check=True)
    assert common.cpu_seconds() - before > 0.05


def test_both_arms_see_every_image_once(monkeypatch):
    images = np.zeros((300, 32, 32, 3), np.uint8)
    targets = np.arange(300)
    resident = batches.Resident(images, targets, padding=4, mean=common.MEAN, std=common.STD)
    for epoch in (
        batches._ours(resident, 0),
        batches._peer(images, targets, workers=0, seed=0),
        batches._ours(resident, 0, batches.TABLE_1),
        batches._peer(images, targets, workers=0, seed=0, text=batches.TABLE_1),
    ):
        seen: list[int] = []
        monkeypatch.setattr(batches, "_use", lambda batch, classes, seen=seen: seen.extend(classes.tolist()))
        epoch()
        assert sorted(seen) == list(range(300))
        assert seen != list(range(300))


def test_nothing_heavy_is_imported_before_it_is_needed():
    code = (
        "import sys, ltlib.batches.augment, ltlib.batches.resident, ltlib.bench;"
        "print([m for m in ('torchvision', 'PIL', 'sklearn', 'pandas', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


# --- decoding


def test_decoding_beside_pil(monkeypatch, reports):
    monkeypatch.setattr(common, "SHORTEST", 0.0)
    result = bench.decode(count=6, size=16, rounds=2, quiet=True)
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    assert list(result["ratios"]) == ["300x200", "500x375"]
    assert list(result["arms"]) == ["ltlib, 300x200", "PIL, 300x200", "ltlib, 500x375", "PIL, 500x375"]
    assert not reports.exists()  # nothing is left in the user's folder
    text = decoding._text(result)
    assert "6 images each" in text
    assert all(name in text for name in (*result["arms"], *result["ratios"]))
    with pytest.raises(SettingError, match="at least"):
        bench.decode(count=0)


def test_both_ways_of_decoding_give_the_same_pixels(tmp_path, reports):
    for width, height in decoding.SIZES:
        folder = tmp_path / f"{width}"
        names = decoding.photographs(folder, width, height, 3)
        ours = pictures.read_all(folder, names, 48)
        for image, name in zip(ours, names, strict=True):
            np.testing.assert_array_equal(image, np.asarray(decoding.by_pil(folder / name, 48)))
        assert len({image.tobytes() for image in ours}) == 3


# --- a whole step with each loss


@pytest.fixture(scope="module")
def stepped():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(common, "SHORTEST", 0.0)
        patch.setenv("LTLIB_DEVICE", "cpu")
        return bench.step(model="resnet8", batch=4, image_size=8, num_classes=10, steps=2, rounds=2, quiet=True)


def test_every_classification_loss_is_stepped(stepped):
    assert json.loads(json.dumps(stepped, allow_nan=False)) == stepped
    assert list(stepped["losses"]) == bench_losses.names()
    assert {"ce", "ldam", "lade", "equalization", "loss_equalised", "awabs", "ldam_drw"} <= set(stepped["losses"])
    assert not {"supcon", "kcl", "tsc", "bcl", "simclr"} & set(stepped["losses"])
    assert (stepped["bench"], stepped["batch"], stepped["rounds"], stepped["device"]) == ("step", 4, 2, "cpu")
    for name, times in stepped["losses"].items():
        assert min(times.values()) > 0
        for kinds in stepped["ratios"][name].values():
            assert 0 < kinds["low"] <= kinds["median"] <= kinds["high"]


def test_a_slow_loss_is_named(monkeypatch):
    """One that takes ten times as long in its turn, and cross-entropy beside it."""
    real, calls = bench_losses._arm, []

    def arm(name, **shape):
        made = real(name, **shape)
        calls.append(name)
        times = 10 if name == "focal" else 1
        return bench.Arm(lambda: [made.run() for _ in range(times)] and None, made.count, made.threads)

    monkeypatch.setattr(common, "SHORTEST", 0.0)
    monkeypatch.setattr(bench_losses, "_arm", arm)
    found = bench.step(only=("focal",), model="resnet8", batch=8, image_size=8, num_classes=4, rounds=3, quiet=True)
    assert calls == ["ce", "focal"]
    assert found["slower"] == ["focal"]
    assert 5 < found["ratios"]["focal"]["cpu"]["median"] < 20
    text = bench_losses._text(found)
    assert "more than 1.1 times cross-entropy: focal" in text
    assert "batch 8, 8x8 pixels, 4 classes" in text


def test_a_step_really_trains(monkeypatch):
    seen = []
    real = bench_losses._train

    def watched(network, objective, resident, draw):
        run, before = real(network, objective, resident, draw), network.classifier.weight.detach().clone()
        seen.append((network, before, draw.steps))
        return run

    monkeypatch.setattr(bench_losses, "_train", watched)
    arm = bench_losses._arm("ldam", "resnet8", 4, 8, 10, 3)
    arm.run()
    network, before, steps = seen[0]
    assert (arm.count, steps) == (12, 3)
    assert network.training
    assert not torch.equal(network.classifier.weight, before)
    assert not hasattr(network.classifier, "bias"), "cosines, as in a training with this loss"


@pytest.mark.parametrize("settings", [{"steps": 0}, {"rounds": 0}, {"batch": 1}])
def test_bad_settings_of_a_step_are_refused(settings):
    with pytest.raises(SettingError, match="needs a step, a round and two images"):
        bench.step(**settings)

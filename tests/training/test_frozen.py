"""Features of a frozen backbone: computed once, kept, shared, and the same training as on the images."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from ltlib import models, places, runs, sealed
from ltlib.errors import SettingError
from ltlib.experiment import Experiment
from ltlib.files import read_json
from ltlib.models import Backbone
from ltlib.runs import backbone_features, cost
from ltlib.training import accelerator, assembly, frozen, stages
from ltlib.training.loop import Stopped

RECIPE = "convergent[augmentation=none;epochs=2;frozen=backbone;resize=12;lr=0.05]"
IMAGES = 150 + 150  # of training and of the test, by `limit`


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A file of weights of a small network: the backbone is the same whatever the seed."""
    network = models.create("efficientnet_lite0[size=tiny]", 10, seed=3)
    sealed.write_tensors(tmp_path / "w.safetensors", network.backbone.state_dict())
    return tmp_path / "w.safetensors"


@pytest.fixture
def probe(tiny: Experiment, weights: Path) -> Experiment:
    return tiny.replace(model=f"efficientnet_lite0[size=tiny;weights={weights}]", recipe=RECIPE.replace("12", "24"))


@pytest.fixture
def looked_at(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many images each pass through any backbone had; macs are counted with one."""
    seen: list[int] = []
    original = torch.nn.Module.__call__

    def spy(self: torch.nn.Module, *inputs: Any, **more: Any) -> Any:
        if isinstance(self, Backbone) and len(inputs[0]) > 1:
            seen.append(len(inputs[0]))
        return original(self, *inputs, **more)

    monkeypatch.setattr(torch.nn.Module, "__call__", spy)
    return seen


def resolved(method: str = "ce", recipe: str = RECIPE) -> Any:
    return Experiment("digits", 20, model="resnet8", method=method, recipe=recipe).resolve()


@pytest.mark.parametrize(
    ("method", "recipe", "expected"),
    [
        ("ce", RECIPE, [True]),
        ("crt", RECIPE, [True, True]),
        ("tau_norm", RECIPE, [True, True]),
        ("lws", RECIPE, [True, True]),
        ("ce", RECIPE.replace("frozen=backbone;", ""), [False]),
        ("crt", RECIPE.replace("frozen=backbone;", ""), [False, False]),  # frozen there, but trained before
        ("ce", RECIPE.replace("augmentation=none", "augmentation=flip"), [False]),
        ("ce", RECIPE.replace("frozen=backbone", "frozen=projector"), [False]),
        ("crt_mixup", RECIPE, [False, True]),  # mixed images are others in every epoch
        ("cmo", RECIPE, [False]),
        ("supcon", RECIPE, [False, True]),  # two views, then a classifier on what was frozen throughout
        ("bbn", RECIPE, [False]),
        ("reslt", RECIPE, [False]),
        ("lws_mixup_shifted_bn", RECIPE, [False, True]),  # the recipe's word goes before the stage's shift
    ],
)
def test_where_features_are_constant(method: str, recipe: str, expected: list[bool]) -> None:
    found = resolved(method, recipe)
    assert [frozen.constant(found, i) for i in range(len(found.stages))] == expected


@pytest.mark.parametrize("method", ["ce", "crt", "ncm", "lws[form=mislas]", "supcon"])
def test_the_same_training_as_on_the_images(
    tiny: Experiment, method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Logits of test and held-out images, every weight, every column of the history."""
    exp = tiny.replace(method=method, recipe=RECIPE, validation="subset")
    by_features = runs.run(exp)
    assert list((places.reports_folder() / "cache" / "backbones").iterdir())
    monkeypatch.setenv("LTLIB_REPORTS", str(tmp_path / "plain"))
    monkeypatch.setattr(frozen, "constant", lambda resolved, i: False)
    by_images = runs.run(exp)
    assert not (tmp_path / "plain" / "cache" / "backbones").exists()
    for ours, theirs in ((by_features.predictions, by_images.predictions), (by_features.held_out, by_images.held_out)):
        assert ours is not None
        assert theirs is not None
        np.testing.assert_allclose(ours["last"].logits, theirs["last"].logits, rtol=0, atol=1e-5)
    one, two = by_features.network().state_dict(), by_images.network().state_dict()
    assert one.keys() == two.keys()
    for name, value in one.items():
        torch.testing.assert_close(value, two[name], rtol=0, atol=1e-5)
        if name.startswith("backbone."):
            assert torch.equal(value, two[name])
    drop = ["seconds"]
    pd.testing.assert_frame_equal(
        by_features.history.drop(columns=drop), by_images.history.drop(columns=drop), rtol=1e-4, atol=1e-5
    )
    images = torch.rand(4, 3, 12, 12)
    torch.testing.assert_close(by_features.network()(images), by_images.network()(images), rtol=0, atol=1e-5)


def test_another_loss_subset_or_seed_computes_nothing_twice(probe: Experiment, looked_at: list[int]) -> None:
    runs.run(probe)
    assert sum(looked_at) == IMAGES, "each image once, in two epochs and two evaluations"
    looked_at.clear()
    runs.run(probe.replace(method="balanced_softmax"))
    runs.run(probe.replace(seed=1))
    runs.run(probe.replace(method="crt"))
    runs.run(probe.replace(validation="subset"))
    runs.run(probe.replace(recipe=f"{probe.recipe[:-1]};batch_size=16]"))
    assert looked_at == []
    other = probe.replace(subset_seed=1)
    one, two = (set(runs.load_data(exp).train.indices.tolist()) for exp in (probe, other))
    runs.run(other)
    assert sum(looked_at) == len(two - one) > 0, "only the images that are new, and none of the test"


def test_splits_of_one_pool_compute_every_image_once(probe: Experiment, looked_at: list[int], tmp_path: Path) -> None:
    """An image that one split trains on and another tests with has one row."""
    from PIL import Image

    rng = np.random.default_rng(0)
    for name, count in (("a", 12), ("b", 8)):
        (tmp_path / "set" / name).mkdir(parents=True)
        for i in range(count):
            pixels = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "set" / name / f"{i}.png")
    own = probe.replace(dataset=f"folder:{tmp_path / 'set'}/@8", imbalance_factor=1, limit=None)
    found = [runs.run(own.replace(subset_seed=seed)) for seed in range(3)]
    assert len({run.test_fingerprint for run in found}) == 3
    assert sum(looked_at) == 20


def test_what_the_features_depend_on(probe: Experiment, weights: Path, tmp_path: Path) -> None:
    def key(exp: Experiment) -> str:
        found = exp.resolve()
        backbone = assembly.build(found, 10).backbone
        return frozen.cache(frozen.identity(backbone, found, runs.load_data(exp))).name

    base = key(probe)
    same = [
        probe.replace(method="crt"),
        probe.replace(seed=1),
        probe.replace(subset_seed=1, imbalance_factor=5),
        probe.replace(recipe=probe.recipe.replace("lr=0.05", "lr=0.1")),
    ]
    assert {key(exp) for exp in same} == {base}
    tensors = sealed.read_tensors(weights)
    name = next(name for name in tensors if name.endswith("running_mean"))
    tensors[name][-1] += 1e-6
    sealed.write_tensors(tmp_path / "other.safetensors", tensors)
    others = [
        probe.replace(recipe=probe.recipe.replace("resize=24", "resize=25")),
        probe.replace(recipe=f"{probe.recipe[:-1]};normalise=half]"),
        probe.replace(precision="bf16"),
        probe.replace(model=probe.model.replace("w.safetensors", "other.safetensors")),
        probe.replace(model="efficientnet_lite0[size=tiny]"),
        probe.replace(model="efficientnet_lite0[size=tiny]", seed=1),
    ]
    assert len({base, *map(key, others)}) == 1 + len(others)
    about = frozen.identity(assembly.build(probe.resolve(), 10).backbone, probe.resolve(), runs.load_data(probe))
    assert str(tmp_path) not in str(about), "where the file of weights lies plays no part"


def test_stopped_and_gone_on(probe: Experiment, looked_at: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frozen, "PIECE", 40)
    monkeypatch.setattr(frozen.evaluation, "batch_size", lambda device, resize: 40)
    with pytest.raises(Stopped):
        runs.run(probe, stop=lambda: sum(looked_at) >= 80)
    assert sum(looked_at) == 80
    runs.run(probe)
    assert sum(looked_at) == IMAGES


def test_damage_costs_the_damaged(probe: Experiment, looked_at: list[int]) -> None:
    first = runs.run(probe)
    (folder,) = (places.reports_folder() / "cache" / "backbones").iterdir()
    assert read_json(folder / "about.json")["resize"] == 24
    whole = (folder / "test.f32").read_bytes()
    damaged = bytearray(whole)
    row = int(runs.load_data(probe).test.indices[4])
    damaged[4 * 64 * row + 2] ^= 255
    (folder / "test.f32").write_bytes(damaged)
    (folder / "about.json").write_text("{")
    looked_at.clear()
    again = runs.run(probe.replace(method="balanced_softmax"))
    assert sum(looked_at) <= 1  # the spy passes over single images
    now = np.frombuffer((folder / "test.f32").read_bytes(), np.float32)
    np.testing.assert_allclose(now, np.frombuffer(whole, np.float32), rtol=0, atol=1e-5)
    assert read_json(folder / "about.json")["resize"] == 24
    (folder / "train.crc").unlink()
    runs.run(probe.replace(method="focal"))
    assert sum(looked_at) == 150
    assert first.fingerprint == again.fingerprint


def test_two_at_once_compute_everything_once(probe: Experiment, looked_at: list[int]) -> None:
    wanted, data = probe.resolve(), runs.load_data(probe)
    target = accelerator.device()
    networks = [assembly.build(wanted, 10) for _ in range(2)]
    found: list[Any] = []
    together = threading.Barrier(2)

    def work(network: Any) -> None:
        together.wait()
        found.append(frozen.features(network, wanted, data, target))

    threads = [threading.Thread(target=work, args=(network,)) for network in networks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sum(looked_at) == IMAGES
    one, two = (images.train.batch(torch.arange(150)) for images in found)
    assert torch.equal(one, two)
    assert one.shape == (150, 64)


def test_only_what_a_stage_needs_is_loaded(tiny: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[str] = []

    def heard(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *given: (loaded.append(name), real(*given))[1]

    monkeypatch.setattr(frozen.residents, "load", heard("images", frozen.residents.load))
    monkeypatch.setattr(frozen, "features", heard("features", frozen.features))
    for method, expected in (("crt", ["features"]), ("supcon", ["images", "features"])):
        exp = tiny.replace(method=method, recipe=RECIPE)
        stages.run_stages(exp.resolve(), runs.load_data(exp), tmp_path)
        assert loaded == expected
        loaded.clear()


def test_filled_ahead(probe: Experiment, looked_at: list[int]) -> None:
    backbone_features.fill([probe, probe.replace(method="crt")])
    assert sum(looked_at) == IMAGES
    runs.run(probe)
    assert sum(looked_at) == IMAGES
    with pytest.raises(SettingError, match="anew in every epoch"):
        backbone_features.fill([probe.replace(recipe="convergent")])


def test_several_threads_give_the_same_features(
    probe: Experiment, looked_at: list[int], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(frozen, "PIECE", 40)
    wanted, data = probe.resolve(), runs.load_data(probe)
    used = set[int]()
    real = frozen.evaluation.features

    def seen(*given: Any) -> torch.Tensor:
        used.add(threading.get_ident())
        assert torch.get_num_threads() == 1
        return real(*given)

    monkeypatch.setattr(frozen.evaluation, "features", seen)
    found = []
    for threads, folder in ((1, "one"), (3, "three")):
        monkeypatch.setenv("LTLIB_REPORTS", str(tmp_path / folder))
        network = assembly.build(wanted, 10)
        looked_at.clear()
        used.clear()
        shown = frozen.features(network, wanted, data, torch.device("cpu"), threads=threads)
        assert sum(looked_at) == IMAGES
        assert threading.get_ident() in used if threads == 1 else threading.get_ident() not in used
        found.append(shown.train.batch(torch.arange(150)))
    assert torch.equal(*found)


def test_several_threads_stop(probe: Experiment, looked_at: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frozen, "PIECE", 20)
    monkeypatch.setattr(frozen.evaluation, "batch_size", lambda *_: 10)
    wanted, data = probe.resolve(), runs.load_data(probe)
    network, target = assembly.build(wanted, 10), torch.device("cpu")
    with pytest.raises(Stopped):
        frozen.features(network, wanted, data, target, lambda: sum(looked_at) >= 60, threads=2)
    before = sum(looked_at)
    assert before < IMAGES
    frozen.features(network, wanted, data, target, threads=2)
    assert sum(looked_at) <= IMAGES + 2  # what was computed was kept


def test_the_cost_is_one_pass_and_a_classifier(no_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """10,847 images of CIFAR-100 at IF 100 and 10,000 of the test, once; then 64 x 100 weights in 40 epochs."""
    monkeypatch.setattr(cost, "measure", lambda: cost.Pace(0.0, 1e9))
    recipe = "ldam[augmentation=none;epochs=40;frozen=backbone;resize=64]"
    exp = Experiment("cifar100", 100, model="resnet32", method="ce", recipe=recipe)
    once = (10_847 + 10_000) * models.macs("resnet32", 100, 64)
    classifier = 64 * 100 * (40 * 3 * 10_847 + 4 * 10_000)
    assert cost.work(exp).macs == once + classifier
    both = [exp, exp.replace(method="balanced_softmax")]
    assert cost.estimate(both) * 1e9 == pytest.approx(once + 2 * classifier), "the features are shared"
    assert cost.estimate([exp, exp.replace(seed=1)]) * 1e9 == pytest.approx(2 * (once + classifier))
    flipped = exp.replace(recipe=recipe.replace("augmentation=none", "augmentation=flip"))
    assert cost.work(flipped).macs == (40 * 10_847 + 4 * 10_000) * models.macs("resnet32", 100, 64)

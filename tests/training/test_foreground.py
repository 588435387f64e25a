"""OFBD: features of the foreground, and boxes where the network sees most, against the formulas written out."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from scipy import stats
from scipy.special import expit
from test_steps import made

from ltlib import methods, mixing, models
from ltlib.errors import SettingError
from ltlib.experiment import Experiment
from ltlib.mixing import guided
from ltlib.models.pooling import ForegroundPooling
from ltlib.runs import cost
from ltlib.training import assembly

COUNTS = [60, 30, 10]


# --- features --------------------------------------------------------------------------------------------------------


def by_hand(maps: torch.Tensor, temperature: float) -> tuple[list[list[float]], list[list[float]]]:
    """Features and energies of float64 maps [N, C, h, w], place by place, as OFBD's code for ResNet-32 has them."""
    features, energies = [], []
    for image in maps.flatten(2).tolist():
        norms = [math.sqrt(sum(v * v for v in channel)) for channel in image]
        refined = []
        for channel, norm in zip(image, norms, strict=True):
            mean = sum(channel) / len(channel)
            variance = sum((v - mean) ** 2 for v in channel) / (len(channel) - 1)
            floor = (1 - norm / (max(norms) + 1e-5)) * 0.55
            attention = [1 / (1 + math.exp(-((v - mean) ** 2 / (4 * (variance + 1e-4)) + 0.5))) for v in channel]
            refined.append([v * (floor + (1 - floor) * a) for v, a in zip(channel, attention, strict=True)])
        places = range(len(refined[0]))
        energy = [math.sqrt(sum(channel[p] ** 2 for channel in refined)) for p in places]
        mean = sum(energy) / len(energy)
        spread = math.sqrt(sum((e - mean) ** 2 for e in energy) / len(energy) + 1e-5)
        behind = [float(expit(-(e - mean) / spread / max(temperature, 1e-3))) for e in energy]
        behind = [min(max(b, 1e-6), 1.0) for b in behind]
        front = [min(max(1 - b, 1e-6), 1.0) for b in behind]
        features.append(
            [
                sum(c[p] * front[p] for p in places) / (sum(front) + 1e-5)
                - 0.5 * sum(c[p] * behind[p] for p in places) / (sum(behind) + 1e-5)
                for c in refined
            ]
        )
        energies.append(energy)
    return features, energies


@pytest.mark.parametrize("temperature", [0.1, 1.0, -3.0])
def test_features_are_those_of_the_formula(temperature: float):
    maps = torch.randn(3, 5, 2, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).relu()
    maps[1, 2] = 0  # a channel that says nothing
    maps[2, :, 1, 3] = 0  # a place that nothing answers to
    pooling = ForegroundPooling().double()
    pooling.temperature.data.fill_(temperature)
    features, energies = by_hand(maps, temperature)
    torch.testing.assert_close(pooling(maps), torch.tensor(features, dtype=torch.float64), rtol=1e-9, atol=1e-9)
    energy = pooling.calibrated(maps).norm(dim=1).flatten(1)
    torch.testing.assert_close(energy, torch.tensor(energies, dtype=torch.float64), rtol=1e-9, atol=1e-9)


def test_gradients():
    maps = torch.rand(2, 3, 2, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).requires_grad_()
    pooling = ForegroundPooling().double()
    pooling.temperature.data.fill_(0.7)
    assert torch.autograd.gradcheck(lambda x, _: pooling(x), (maps, pooling.temperature))


def test_what_is_the_same_everywhere_is_half_as_strong_and_a_dead_map_is_zero():
    """Foreground and background have one mean then: x' = sigmoid(0.5) x of the strongest channel, less half of it."""
    pooling = ForegroundPooling()
    maps = torch.full((1, 1, 4, 4), 2.0)
    expected = torch.tensor([[0.5 * 2 / (1 + math.exp(-0.5))]])
    torch.testing.assert_close(pooling(maps), expected, rtol=1e-4, atol=1e-4)
    nothing = torch.zeros(1, 3, 2, 2, requires_grad=True)
    features = pooling(nothing)
    features.sum().backward()
    assert torch.equal(features, torch.zeros(1, 3))
    assert nothing.grad is not None
    assert nothing.grad.isfinite().all()


def test_a_map_of_one_place_is_refused():
    with pytest.raises(SettingError, match="several places"):
        models.create("resnet8", 3, pooling="foreground")(torch.zeros(2, 3, 4, 4))


@pytest.mark.parametrize("name", ["resnet8", "resnet18"])
def test_a_network_pools_so_and_its_other_weights_are_those_of_the_mean(name: str):
    plain, network = models.create(name, 3, seed=4), models.create(name, 3, seed=4, pooling="foreground")
    state = network.state_dict()
    assert torch.equal(state.pop("backbone.pooling.temperature"), torch.tensor([0.1]))
    assert all(torch.equal(value, state[key]) for key, value in plain.state_dict().items())
    assert state.keys() == plain.state_dict().keys()
    assert models.parameter_count(network) == models.parameter_count(plain) + 1
    network.eval()
    plain.eval()
    x = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    maps = plain.backbone.maps(x)
    torch.testing.assert_close(plain.features(x), maps.mean((2, 3)))
    torch.testing.assert_close(network.features(x), ForegroundPooling()(maps))
    torch.testing.assert_close(plain.backbone.energy(x), maps.norm(dim=1))
    torch.testing.assert_close(network.backbone.energy(x), ForegroundPooling().calibrated(maps).norm(dim=1))


def test_what_cannot_pool_so_is_refused():
    with pytest.raises(SettingError, match="not for vit_b_16"):
        models.create("vit_b_16[size=tiny]", 3, pooling="foreground")
    with pytest.raises(SettingError, match="mean or foreground, not 'max'"):
        models.create("resnet8", 3, pooling="max")
    resolved = Experiment("digits", 20, "vit_b_16[size=tiny]", "ofbd[pooling=mean]", "ldam").resolve()
    with pytest.raises(SettingError, match=r"guided_cutmix is for CIFAR ResNets.*not for vit_b_16"):
        assembly.build(resolved, 10)


# --- boxes -----------------------------------------------------------------------------------------------------------


def draws_of(count: int = 6, steps: int = 400, size: tuple[int, int] = (32, 32), **settings: Any):
    text = "guided_cutmix[" + ";".join(f"{key}={value}" for key, value in settings.items()) + "]"
    targets = torch.arange(3).repeat_interleave(torch.tensor(COUNTS))
    kind = mixing.create(text)
    assert isinstance(kind, guided.GuidedCutMix)
    return kind, kind.draw(torch.Generator().manual_seed(0), (steps, count), size, targets=targets)


def code_box(place: tuple[int, int], shift: tuple[int, int], cut: tuple[int, int], size: tuple[int, int]) -> list[int]:
    """A rectangle as OFBD's code makes it: the moved centre is kept within the image, then the box is cut."""
    centre = [min(max(p + s, 0), n) for p, s, n in zip(place, shift, size, strict=True)]
    first = [min(max(c - w // 2, 0), n) for c, w, n in zip(centre, cut, size, strict=True)]
    last = [min(max(c + w // 2, 0), n) for c, w, n in zip(centre, cut, size, strict=True)]
    return [*first, *last]


@pytest.mark.parametrize("size", [(32, 32), (9, 14)])
def test_boxes_lie_where_the_code_lays_them(size: tuple[int, int]):
    kind, draws = draws_of(prob=1.0, steps=60, size=size)
    places = torch.stack([torch.randint(0, n, (6,), generator=torch.Generator().manual_seed(n)) for n in size], 1)
    for s in range(60):
        one = {key: value[s] for key, value in draws.items()}
        placed = kind.placed(one, places, size)
        for b, (top, left, bottom, right) in enumerate(one["box"].tolist()):
            cut, shift = (bottom - top, right - left), ((top + bottom) // 2, (left + right) // 2)
            box = code_box((int(places[b, 0]), int(places[b, 1])), shift, cut, size)
            assert placed["box"][b].tolist() == box
            area = (box[2] - box[0]) * (box[3] - box[1])
            assert float(placed["lam"][b]) == pytest.approx(1 - area / (size[0] * size[1]))
        assert torch.equal(placed["partner"], one["partner"])


def test_sides_are_one_for_a_batch_and_moves_are_each_images_own():
    """Side int(n sqrt(1 - lam)) of a uniform lam; moves uniform from floor(-c / 4) to floor(c / 4), none to c = 4."""
    _, draws = draws_of(prob=1.0, steps=4000, count=4)
    box = draws["box"]
    cut, shift = box[..., 2:] - box[..., :2], (box[..., 2:] + box[..., :2]) // 2
    assert (cut == cut[:, :1, :1]).all()
    even = [2 * (int(32 * math.sqrt(1 - (i + 0.5) / 10_000)) // 2) for i in range(10_000)]
    expected = [even.count(side) / 10_000 * 4000 for side in range(2, 32, 2)]
    seen = [int((cut[:, 0, 0] == side).sum()) for side in range(2, 32, 2)]
    scale = sum(seen) / sum(expected)
    assert stats.chisquare(seen, [e * scale for e in expected]).pvalue > 0.01
    assert (shift[cut < 4] == 0).all()
    of_20 = shift[(cut[:, 0, 0] == 20)]  # from sides of 20 and 21: floor(-c / 4) is -5 or -6
    assert int(of_20.min()) == -6
    assert int(of_20.max()) == 5
    counts = torch.bincount((of_20 + 5).clamp(min=0).flatten(), minlength=11)[1:]
    assert stats.chisquare(counts.numpy()).pvalue > 0.01
    assert (of_20[:, 0] != of_20[:, 1]).any()


def test_coin_partners_and_nothing_mixed():
    _, draws = draws_of(steps=3000, count=2)
    mixed = int((draws["lam"][:, 0] < 1).sum())
    least = 3000 * 0.5 * sum(int(32 * math.sqrt(1 - (i + 0.5) / 10_000)) >= 2 for i in range(10_000)) / 10_000
    assert stats.binomtest(mixed, 3000, least / 3000).pvalue > 0.01
    classes = torch.bucketize(draws["partner"].flatten(), torch.tensor([60, 90]), right=True)
    assert stats.chisquare(torch.bincount(classes).numpy()).pvalue > 0.01
    kind, none = draws_of(prob=0.0, steps=3)
    one = kind.placed({key: value[0] for key, value in none.items()}, torch.full((6, 2), 31), (32, 32))
    assert torch.equal(one["lam"], torch.ones(6))
    x = torch.randn(6, 3, 32, 32)
    assert torch.equal(kind.apply(x, x.flip(0), one), x)


def test_the_strongest_place_is_the_corner_of_the_highest():
    energy = torch.zeros(3, 2, 4)
    energy[0, 1, 3], energy[1, 0, 2] = 1, 1
    assert guided.strongest(energy, (8, 12)).tolist() == [[4, 9], [0, 6], [0, 0]]


# --- the method ------------------------------------------------------------------------------------------------------


def test_a_step_looks_at_what_is_pasted_as_the_network_then_is_and_leaves_it_so():
    _, network, step, draws = made("ofbd[prob=1]")
    draw = draws[0]
    before = {key: value.clone() for key, value in network.state_dict().items()}
    network.backbone.layer1.eval()  # whoever freezes a part finds it as it was
    batch = step.batch(draw, 0)
    assert network.training
    assert not network.backbone.layer1.training
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    pasted = step.data.stored(draw.second.index[0][None], {key: value[0] for key, value in draw.second.views.items()})
    network.eval()
    energy = network.backbone.pooling.calibrated(network.backbone.maps(pasted)).norm(dim=1)
    mix = {key: value[0] for key, value in draw.mix.items()}
    placed = step.mixing.placed(mix, guided.strongest(energy, (8, 8)), (8, 8))
    size = len(batch.targets)
    own = step.data.stored(draw.index[0][None], {key: value[0] for key, value in draw.views.items()})
    for b, (top, left, bottom, right) in enumerate(placed["box"].tolist()):
        expected = own[b].clone()
        expected[:, top:bottom, left:right] = pasted[b][:, top:bottom, left:right]
        assert torch.equal(batch.images[b], expected)
    assert torch.equal(batch.share, placed["lam"])
    assert len(batch.images) == 3 * size
    assert (batch.share < 1).any(), "a batch that is mixed"


def test_it_is_the_other_method_but_for_what_it_changes():
    (stage,), (other,) = methods.stages("ofbd[prob=0.3]"), methods.stages("concutmix")
    assert stage == replace(other, pooling="foreground", mix="guided_cutmix[prob=0.3]")
    assert methods.stages("ofbd[pooling=mean;boxes=own]") == (other,)
    assert "pooling" not in other.identity(), "runs of before keep their ids"
    assert methods.stages("ofbd[of=crt]")[1] == methods.stages("crt")[1]


def test_its_looks_are_counted():
    base = Experiment("cifar100", 100, "resnet32", "ce", "ldam[evaluate_every=200]")
    evaluation = 10_000 * 68.9e6
    ce, with_boxes, without = (
        cost.work(base.replace(method=name)).macs - evaluation for name in ("ce", "ofbd", "ofbd[boxes=own]")
    )
    assert without / ce == pytest.approx(3, rel=0.01)
    assert with_boxes / ce == pytest.approx(3 + 1 / 3, rel=0.01)

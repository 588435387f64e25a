"""GLMC: its two mixed views and its objective, against the formulas written out."""

from __future__ import annotations

import math

import pytest
import torch
from scipy import stats
from test_steps import made
from torch.nn import functional as F

from ltlib import methods, mixing, models
from ltlib.errors import SettingError
from ltlib.experiment import Experiment
from ltlib.methods import Stage
from ltlib.models import consistency
from ltlib.runs import cost
from ltlib.training import objectives

COUNTS = [6, 3, 2]


def draws_of(count: int = 6, steps: int = 300, **settings) -> dict[str, torch.Tensor]:
    text = "glmc[" + ";".join(f"{key}={value}" for key, value in settings.items()) + "]"
    targets = torch.arange(3).repeat_interleave(torch.tensor([60, 30, 10]))
    generator = torch.Generator().manual_seed(0)
    return mixing.create(text).draw(generator, (steps, count), (8, 8), targets=targets)


def test_one_lambda_mixes_the_first_view_and_sizes_the_rectangle_of_the_second():
    draws = draws_of()
    whole, cut = draws["lam"].split(6, 1)
    assert (whole == whole[:, :1]).all()
    assert stats.kstest(whole[:, 0].numpy(), stats.uniform.cdf).pvalue > 0.01
    box = draws["box"][:, 0]
    area = (box[:, 2] - box[:, 0]) * (box[:, 3] - box[:, 1])
    torch.testing.assert_close(cut[:, 0], 1 - area / 64)
    side = 2 * ((1 - whole[:, 0]).sqrt() * 8).long().div(2, rounding_mode="floor")
    inside = (box[:, 2] - box[:, 0] == side) & (box[:, 3] - box[:, 1] == side)
    assert inside.sum() > 60, "rectangles that no border cuts"
    assert ((box[:, 2] - box[:, 0]) <= side).all()


@pytest.mark.parametrize("power", [0.0, 0.2, 1.0])
def test_partners_have_the_chance_of_their_class(power: float):
    partner = draws_of(power=power)["partner"].flatten()
    classes = torch.bucketize(partner, torch.tensor([60, 90]), right=True)
    weights = [n * n**-power for n in (60, 30, 10)]
    expected = [len(classes) * w / math.fsum(weights) for w in weights]
    assert stats.chisquare(torch.bincount(classes).numpy(), expected).pvalue > 0.01


def test_the_batch_holds_both_views_mixed_with_the_same_partners():
    _, _, step, draws = made("glmc")
    batch, draw = step.batch(draws[0], 0), draws[0]
    size, index, partners = draw.index.shape[1], draw.index[0], draw.second.index[0]
    mix = {name: value[0] for name, value in draw.mix.items()}
    assert batch.images.shape[0] == 2 * size
    assert {value.shape[1] for value in draw.second.views.values()} == {2}
    views = []
    for numbers, found in ((index, draw.views), (partners, draw.second.views)):
        views.append([step.data.batch(numbers, {n: value[0, v] for n, value in found.items()}) for v in range(2)])
    for i in range(size):
        share = mix["lam"][i]
        torch.testing.assert_close(batch.images[i], share * views[0][0][i] + (1 - share) * views[1][0][i])
        top, left, bottom, right = mix["box"][i].tolist()
        expected = views[0][1][i].clone()
        expected[:, top:bottom, left:right] = views[1][1][i][:, top:bottom, left:right]
        assert torch.equal(batch.images[size + i], expected)
    assert torch.equal(batch.share, mix["lam"])
    assert torch.equal(batch.partner_targets, step.data.targets[partners])


def test_an_unmixed_batch_stays_as_it_is_in_its_memory_format_and_precision():
    images = torch.randn(4, 3, 8, 8).to(memory_format=torch.channels_last)
    kind = mixing.create("glmc")
    unmixed = {"lam": torch.ones(4), "box": torch.zeros(2, 4, dtype=torch.int64)}
    assert torch.equal(kind.apply(images, images.flip(0), unmixed), images)
    mixed = {"lam": torch.full((4,), 0.4), "box": torch.tensor([[0, 0, 4, 4], [2, 2, 8, 8]])}
    found = kind.apply(images.bfloat16(), images.flip(0).bfloat16(), mixed)
    assert found.dtype == torch.bfloat16
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(draws_of(prob=0)["lam"], torch.ones(300, 12))
    assert (draws_of(prob=0)["box"] == 0).all()


@pytest.mark.parametrize(("epoch", "alpha"), [(1, 1.0), (3, 0.75), (4, 1 - 9 / 16)])
def test_the_objective_is_the_formula(epoch: int, alpha: float):
    stage = methods.stages("glmc[consistency=3;projection=5]")[0]
    objective = objectives.create(stage, COUNTS)
    objective.set_epoch(epoch, 4)
    net = consistency.mixture(models.MODELS.create("resnet8"), 3, projection=5).double().train()
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(8, 3, 8, 8, dtype=torch.float64, generator=generator)
    own, other = torch.tensor([0, 1, 2, 0]), torch.tensor([2, 2, 0, 1])
    share = torch.rand(8, generator=generator)
    value, logits = objective(net, objectives.Batch(images, own, other, share))
    features = net.backbone(images)
    z = features @ net.projector.project.weight.T + net.projector.project.bias
    p = z @ net.projector.predict.weight.T + net.projector.predict.bias
    plain, balanced = net.projector.uniform(features), net.classifier(features)
    inverse = [n**-1.2 for n in COUNTS]
    weight = [3 * w / math.fsum(inverse) for w in inverse]
    losses = {"plain": 0.0, "balanced": 0.0}
    for view in range(2):
        for i in range(4):
            at, s = 4 * view + i, share[4 * view + i].item()
            for y, part in ((own[i], s), (other[i], 1 - s)):
                losses["plain"] -= part * plain[at].log_softmax(0)[y].item() / 4
                losses["balanced"] -= part * weight[y] * balanced[at].log_softmax(0)[y].item() / 4
    cosines = [torch.dot(p[i], z[j]) / p[i].norm() / z[j].norm() for i, j in [(k, (k + 4) % 8) for k in range(8)]]
    agreement = math.fsum(c.item() for c in cosines) / 4
    expected = alpha * losses["plain"] + (1 - alpha) * losses["balanced"] - 3 * agreement
    assert value.item() == pytest.approx(expected, rel=1e-5, abs=1e-6)
    torch.testing.assert_close(logits, balanced[:4].float())


def test_the_projection_gets_no_gradient_from_being_agreed_with():
    """Of cos(p_1, z_2) only p_1 is pulled: with the prediction frozen at 0 gradient, nothing reaches the projection."""
    stage = methods.stages("glmc[projection=5]")[0]
    objective = objectives.create(stage, COUNTS)
    objective.weights = (1.0, 0.0)
    net = consistency.mixture(models.MODELS.create("resnet8"), 3, projection=5).train()
    torch.nn.init.zeros_(net.projector.predict.weight)  # p is the bias alone, so z could only be pulled directly
    images = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    labels = torch.tensor([0, 1])
    value, _ = objective(net, objectives.Batch(images, labels, labels.flip(0), torch.ones(4)))
    value.backward()
    assert net.projector.predict.bias.grad.abs().sum() > 0
    assert net.projector.project.weight.grad.abs().sum() == 0


def test_glmc_is_whole_or_refused():
    for wrong in (
        {"network": "glmc", "loss": "ce", "projection": 8},
        {"mix": "glmc", "loss": "ce"},
        {"network": "glmc", "mix": "glmc", "loss": "ce"},
        {"network": "glmc", "mix": "glmc", "loss": "ldam", "projection": 8},
    ):
        with pytest.raises(SettingError):
            Stage(**wrong)


def test_two_views_cost_two_and_only_the_test_parts_are_counted_at_test():
    base = Experiment("cifar100", 100, "resnet32", "ce", "ldam[evaluate_every=200]")
    ce, glmc = (cost.work(base.replace(method=name)).macs for name in ("ce", "glmc"))
    assert (glmc - 10_000 * 68.9e6) / (ce - 10_000 * 68.9e6) == pytest.approx(2, rel=0.01)
    net = consistency.mixture(models.MODELS.create("resnet8"), 3, projection=5).eval()
    images = torch.randn(2, 3, 8, 8)
    torch.testing.assert_close(net(images), F.linear(net.backbone(images), net.classifier.weight, net.classifier.bias))

"""What several experts minimise, against the formulas of RIDE, SADE and BalPoE written out in float64."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from ltlib import losses, methods
from ltlib.errors import SettingError
from ltlib.experiment import Experiment
from ltlib.methods import Stage
from ltlib.training import assembly, objectives

COUNTS = [50, 20, 5]
SHARES = [50 / 75, 20 / 75, 5 / 75]
IMAGES = torch.randn(6, 3, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
TARGETS = torch.tensor([0, 0, 1, 2, 1, 0])


def made(text: str) -> tuple[Any, Any, Tensor]:
    """The objective, the network in float64, and the experts' logits of the six images."""
    stages = methods.stages(text)
    what: Any = SimpleNamespace(stages=stages, model="resnet8", seed=2)
    network = assembly.build(what, 3).double().eval()
    objective = objectives.create(stages[0], COUNTS).double()
    # the step computes losses of float32 logits; here of exact ones
    return objective, network, network.expert_logits(IMAGES).float().double()  # type: ignore[operator]


def cross_entropy(rows: list[list[float]], targets: list[int]) -> list[float]:
    return [math.log(sum(math.exp(z) for z in row)) - row[y] for row, y in zip(rows, targets, strict=True)]


def shifted(logits: Tensor, shift: list[float]) -> list[list[float]]:
    return [[z + s for z, s in zip(row, shift, strict=True)] for row in logits.tolist()]


def test_sade_has_a_world_for_each_expert() -> None:
    """Plain, balanced, and inverse softmax with the prior dealt out the other way round, tau 2."""
    objective, network, each = made("sade")
    value, mean = objective(network, objectives.Batch(IMAGES, TARGETS))
    prior = [math.log(share) for share in SHARES]
    shifts = [[0.0] * 3, prior, [p - 2 * r for p, r in zip(prior, reversed(prior), strict=True)]]
    own = [cross_entropy(shifted(each[:, e], shifts[e]), TARGETS.tolist()) for e in range(3)]
    assert float(value.detach()) == pytest.approx(sum(sum(one) / 6 for one in own), rel=1e-6)
    torch.testing.assert_close(mean.double(), each.mean(1), rtol=1e-6, atol=1e-6)


def test_balpoe_takes_the_prior_off_none_once_and_twice_on_mixed_images() -> None:
    """The mean of the experts' losses, as its code's ``loss / num_experts``."""
    objective, network, each = made("balpoe")
    partners, share = TARGETS.flip(0), torch.linspace(0.1, 0.9, 6)
    value, _ = objective(network, objectives.Batch(IMAGES, TARGETS, partners, share))
    total = 0.0
    for e, tau in enumerate((0.0, 1.0, 2.0)):
        rows = shifted(each[:, e], [tau * math.log(p) for p in SHARES])
        own, other = (cross_entropy(rows, which.tolist()) for which in (TARGETS, partners))
        total += sum(s * a + (1 - s) * b for s, a, b in zip(share.tolist(), own, other, strict=True)) / 6 / 3
    assert float(value.detach()) == pytest.approx(total, rel=1e-6)


@pytest.mark.parametrize("epoch", [16, 17])
def test_ride_rewards_experts_that_lie_apart(epoch: int) -> None:
    """The reward at temperature 1, from the last fifth of 20 epochs on at the classes' own; LDAM-DRW beside it."""
    objective, network, each = made("ride[diversity=0.3]")
    objective.set_epoch(epoch, 20)
    value, _ = objective(network, objectives.Batch(IMAGES, TARGETS))
    late = [0.05 * 3 * share + 0.95 for share in SHARES]
    temperature = [t / max(late) for t in late] if epoch == 17 else [1.0] * 3
    ldam = losses.create("ldam_drw", COUNTS)
    ldam.set_epoch(epoch, 20)

    def softmax(row: list[float]) -> list[float]:
        scaled = [30 * z / t for z, t in zip(row, temperature, strict=True)]
        top = max(scaled)
        whole = sum(math.exp(z - top) for z in scaled)
        return [math.exp(z - top) / whole for z in scaled]

    total = 0.0
    for e in range(3):
        total += float(ldam(each[:, e], TARGETS))
        for own, mean in zip(each[:, e].tolist(), each.mean(1).tolist(), strict=True):
            p, q = softmax(mean), softmax(own)
            apart = sum(a * (math.log(a) - math.log(b)) for a, b in zip(p, q, strict=True))
            total -= 0.3 * (sum(temperature) / 3) ** 2 * apart / 6
    assert float(value.detach()) == pytest.approx(total, rel=1e-5)


def test_the_mean_is_a_fixed_place_for_the_reward() -> None:
    """Its gradient is that of one expert's own term: with one expert alone apart, nothing pulls at the others."""
    objective, _, _ = made("ride")
    logits = torch.randn(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).requires_grad_()
    mean = torch.randn(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    apart = objective._apart(logits, mean)
    (slope,) = torch.autograd.grad(apart, logits)
    expected = 30 * ((30 * logits).softmax(1) - (30 * mean).softmax(1)) / 4
    torch.testing.assert_close(slope, expected, rtol=1e-9, atol=1e-12)


def test_a_refit_gives_each_expert_a_classifier_of_its_own() -> None:
    resolved = Experiment(method="refit[of=sade]", recipe="ldam").resolve()
    stage = resolved.stages[1]
    assert [str(one) for one in stage.experts] == ["balanced_softmax"] * 3
    network = assembly.build(resolved, 10)
    before = network.classifier.heads[1].weight.clone()  # type: ignore[index, union-attr]
    assembly.prepare(network, resolved, 1)
    assert not torch.equal(network.classifier.heads[1].weight, before)  # type: ignore[index, union-attr]
    with pytest.raises(SettingError, match=r"refit of ride would put balanced_softmax on bare cosines"):
        methods.stages("refit[of=ride]")
    assert methods.stages("refit[of=ride;loss=ldam]")[1].experts[2].name == "ldam"


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("balpoe[taus=0.0+1.0]", "must be 1 in the mean"),
        ("balpoe[taus=1.0]", "number of taus of method balpoe must be a whole number of at least 2"),
        ("ride[experts=1]", "experts of method ride must be a whole number of at least 2"),
        ("sade[inverse=-1.0]", "inverse of logit_adjustment"),
    ],
)
def test_settings_without_a_meaning_are_refused(text: str, match: str) -> None:
    with pytest.raises(SettingError, match=match):
        methods.stages(text)


def test_experts_and_their_losses_come_together_and_identify_a_stage() -> None:
    with pytest.raises(SettingError, match="network=experts needs the losses of at least two experts"):
        Stage(loss="ce", network="experts")  # type: ignore[arg-type]
    with pytest.raises(SettingError, match="mixup mixes labels, which has no meaning for the loss ldam"):
        Stage(loss="ce", network="experts", experts=("ce", "ldam"), mix="mixup")  # type: ignore[arg-type]
    told = methods.stages("sade")[0].identity()
    assert told["experts"][1] == losses.spec("balanced_softmax").identity()
    assert told["experts"][2]["settings"] == {"inverse": 2.0, "tau": 1.0}
    assert methods.stages("sade")[0].current() == methods.stages("sade")[0]

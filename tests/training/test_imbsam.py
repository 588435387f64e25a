"""Sharpness for rare classes alone: the step against a slow form of its formula, and where it is plain or refused."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from test_loop import COUNTS, Training, differing, one_step_chunks, run_through, stopped_at
from torch import Tensor
from torch.nn import functional as F

from ltlib.errors import SettingError
from ltlib.experiment import Experiment
from ltlib.training import loop
from ltlib.training.steps import EagerStep

RECIPE = "epochs=1;momentum=0.0;weight_decay=0.0;sharpness=0.3;sharpness_below={}"
RARE = torch.tensor([count < 10 for count in COUNTS])
"""The last two of four classes, of 8 and 4 images."""


def doubled(below: int, method: str = "ce") -> tuple[Training, Any]:
    """A training in float64 and the first batch, with whatever mixing has done to it."""
    made = Training(RECIPE.format(below), method)
    made.network.double()
    made.objective.double()
    made.network.train()
    batch_of = EagerStep.batch
    found = batch_of(made.step, made.draws(1)[0].part(0, 1), 0)
    batch = found._replace(images=found.images.double())
    made.step.batch = lambda *which: batch
    return made, batch


def slow_weights(network: torch.nn.Module, batch: Any, rare: Tensor) -> list[Tensor]:
    """Weights after a step of plain gradient descent at rate 0.1, by the formula; batch statistics play no part."""

    def gradients(classes: Tensor) -> list[Tensor]:
        loss = torch.zeros((), dtype=torch.float64)
        logits = network(batch.images)
        labels = [(batch.targets, torch.ones(len(batch.targets)))]
        if batch.share is not None:
            labels = [(batch.targets, batch.share), (batch.partner_targets, 1 - batch.share)]
        for targets, shares in labels:
            for row, target, share in zip(logits, targets, shares, strict=True):
                if classes[target]:
                    loss = loss + share * F.cross_entropy(row[None], target[None]) / len(batch.targets)
        return list(torch.autograd.grad(loss, list(network.parameters())))

    head = gradients(~rare)
    tail = gradients(rare)
    length = sum(float((g**2).sum()) for g in tail) ** 0.5
    start = [weight.detach().clone() for weight in network.parameters()]
    for weight, g in zip(network.parameters(), tail, strict=True):
        weight.data += 0.3 * g / length
    worst = gradients(rare)
    return [w - 0.1 * (h + g) for w, h, g in zip(start, head, worst, strict=True)]


@pytest.mark.parametrize("method", ["ce", "mixup"])
def test_the_climb_is_the_rare_classes_and_the_step_everybodys(method: str) -> None:
    made, batch = doubled(10, method)
    expected = slow_weights(copy.deepcopy(made.network), batch, RARE)
    everybody, _ = doubled(0, method)
    for each in (made, everybody):
        each.step(each.draws(1)[0].part(0, 1), 0.1)
    for weight, value in zip(made.network.parameters(), expected, strict=True):
        torch.testing.assert_close(weight.detach(), value, rtol=1e-5, atol=1e-8)  # the logits are float32
    plain = [weight.detach() for weight in everybody.network.parameters()]
    apart = max(float((a - b).abs().max()) for a, b in zip(expected, plain, strict=True))
    assert apart > 1e-4, "another step than that of plain SAM"
    assert set(batch.targets.tolist()) & {2, 3}
    assert set(batch.targets.tolist()) & {0, 1}


def test_the_loss_of_a_step_and_the_batch_statistics_are_those_of_a_plain_one() -> None:
    made, _ = doubled(10)
    plain, _ = doubled(10)
    plain.step.sharpness, plain.step.rare = 0.0, None
    draw = made.draws(1)[0].part(0, 1)
    torch.testing.assert_close(made.step(draw, 0.1), plain.step(draw, 0.1))
    for name, value in plain.network.state_dict().items():
        if "running" in name:
            torch.testing.assert_close(made.network.state_dict()[name], value, rtol=1e-9, atol=1e-12)


def test_a_batch_without_rare_images_makes_a_plain_step() -> None:
    made, _ = doubled(1)  # no class is that small
    plain, _ = doubled(1)
    plain.step.sharpness, plain.step.rare = 0.0, None
    for each in (made, plain):
        each.step(each.draws(1)[0].part(0, 1), 0.1)
    for one, other in zip(made.network.parameters(), plain.network.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-9)


@pytest.mark.parametrize("method", ["ce", "cmo[loss=balanced_softmax]"])
def test_stopped_and_resumed_equals_run_through(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "_chunks", one_step_chunks)
    recipe = "epochs=8;sharpness=0.05;sharpness_below=10"
    expected = run_through(recipe, method)
    found, starts = stopped_at(recipe, method, {3, 30})
    assert starts == 3
    assert differing(expected, found) == []


def test_it_is_refused_before_any_training_where_a_loss_does_not_split() -> None:
    recipe = "ldam[sharpness=0.05;sharpness_below=20]"
    for method in ("supcon_ce", "bbn", "bcl"):
        with pytest.raises(
            SettingError, match=f"sharpness_below is for a classification loss .* which {method} is not"
        ):
            Experiment(method=method, recipe=recipe).run_id  # noqa: B018
    one, other = (Experiment(recipe=f"ldam[sharpness=0.05;sharpness_below={n}]").run_id for n in (0, 20))
    assert one == Experiment(recipe="ldam[sharpness=0.05]").run_id != other

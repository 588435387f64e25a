"""Sharpness-aware steps of losses that keep something of past batches: each batch is taken up once."""

from __future__ import annotations

import copy

import pytest
import torch
from test_steps import made
from torch import Tensor

from ltlib.batches.draws import Draw
from ltlib.training.objective import Batch

METHODS = ["paco[queue=64;projection=8;momentum=0.9]", "proco[views=recipe;projection=8]", "tsc[projection=8;start=0]"]


@pytest.mark.parametrize("method", METHODS)
def test_what_a_loss_keeps_is_what_a_plain_step_leaves(method: str) -> None:
    (_, _, plain, (draw, *_)), (_, _, sharp, _) = made(method), made(method)
    sharp.sharpness = 0.05
    before = copy.deepcopy(plain.learner.objective.state_dict())
    found = []
    for step in (plain, sharp):
        step.one(draw, 0)
        found.append(step.learner.objective.state_dict())
    assert found[0].keys() == found[1].keys()
    assert any(not torch.equal(value, before[name]) for name, value in found[0].items()), "it keeps something"
    for name, value in found[0].items():
        torch.testing.assert_close(found[1][name], value, rtol=0, atol=0, msg=lambda text, name=name: f"{name}: {text}")


@pytest.mark.parametrize("method", METHODS)
def test_both_looks_see_the_same_loss(method: str) -> None:
    """The step against a plain loop whose second look has a copy of the objective from before the first.

    In float64: in float32 the last bits of the way to the second look decide whether a ReLU near zero is open there.
    """
    _, network, step, (draw, *_) = made(method)
    network.double()
    step.learner.objective.double()
    single = step.batch

    def doubled(draw: Draw, s: int, host: Draw | None = None) -> Batch:
        batch = single(draw, s, host)
        return batch._replace(images=batch.images.double())

    step.batch = doubled
    step.sharpness = 0.05
    slow, objective = copy.deepcopy(network), copy.deepcopy(step.learner.objective)
    again = copy.deepcopy(objective)
    batch, trained = step.batch(draw, 0), [weight for weight in slow.parameters() if weight.requires_grad]

    def gradients(which: torch.nn.Module) -> list[Tensor]:
        loss, _ = which(slow, batch)
        return list(torch.autograd.grad(loss, trained, allow_unused=True))

    first = gradients(objective)
    length = sum(float((each**2).sum()) for each in first if each is not None) ** 0.5
    for weight, each in zip(trained, first, strict=True):
        if each is not None:
            weight.data += 0.05 * each / length
    worst = gradients(again)
    step.learner.optimizer.step = lambda: None
    step.one(draw, 0)
    named = [(name, weight) for name, weight in network.named_parameters() if weight.requires_grad]
    for (name, weight), each in zip(named, worst, strict=True):
        if each is not None:
            torch.testing.assert_close(
                weight.grad, each, rtol=1e-8, atol=1e-10, msg=lambda text, name=name: f"{name}: {text}"
            )

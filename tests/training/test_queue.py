"""PaCo's objective: a network that follows, against a plain loop over its steps."""

from __future__ import annotations

import copy

import pytest
import torch
from test_steps import made
from torch.nn import functional as F

from ltlib import losses, methods
from ltlib.errors import SettingError
from ltlib.experiment import Experiment
from ltlib.methods import Stage
from ltlib.runs import cost
from ltlib.training import objectives


def test_steps_are_those_of_a_plain_loop():
    """Anchors of the first view, keys of the second by a copy that moves before each step, and a queue."""
    _, network, step, draws = made("paco[queue=32;projection=8;momentum=0.9;alpha=0.3]")
    plain = copy.deepcopy(network)
    keys = copy.deepcopy(network)
    loss = losses.create("paco[queue=32;width=8;alpha=0.3;temperature=0.05]", [16, 12, 8, 4])
    optimizer = torch.optim.SGD(plain.parameters(), lr=0.02, momentum=0.9, weight_decay=2e-4)
    found, expected = [], []
    for draw in draws:
        found += step(draw, 0.02).tolist()
        for s in range(draw.steps):
            index, targets = draw.index[s], step.data.targets[draw.index[s]]
            first = step.data.batch(index, {name: value[s, 0] for name, value in draw.views.items()})
            second = step.data.batch(index, {name: value[s, 0] for name, value in draw.compared.items()})
            with torch.no_grad():
                for own, leading in zip(keys.parameters(), plain.parameters(), strict=True):
                    own.copy_(0.9 * own + 0.1 * leading)
                k = keys.projector(keys.backbone(second))
            h = plain.backbone(first)
            value = loss(plain.projector(h), targets, keys=k, centres=plain.classifier(h))
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            expected.append(value.item())
    assert len(found) == 3
    assert found == pytest.approx(expected, rel=1e-4)
    for name, parameter in plain.named_parameters():
        torch.testing.assert_close(network.get_parameter(name), parameter.detach(), rtol=1e-3, atol=1e-5)
    follower = step.learner.objective.follower
    for name, value in keys.backbone.state_dict().items():
        torch.testing.assert_close(follower["backbone"].state_dict()[name], value, rtol=1e-3, atol=1e-5)


def test_the_follower_is_kept_with_the_queue_and_trained_by_nobody():
    _, _, step, draws = made("paco[queue=32;projection=8]")
    objective, other = step.learner.objective, made("paco[queue=32;projection=8]")[2].learner.objective
    for draw in draws:
        step(draw, 0.1)
    state = objective.state_dict()
    assert {"contrastive.keys", "contrastive.key_classes", "contrastive.place"} <= set(state)
    assert any(name.startswith("follower.backbone.") for name in state)
    assert not any(parameter.requires_grad for parameter in objective.parameters())
    other.load_state_dict(state)
    assert torch.equal(other.contrastive.keys, objective.contrastive.keys)


def test_the_classifier_is_the_centres():
    stage = methods.stages("paco[projection=8;queue=16;gamma=0;alpha=0]")[0]
    _, network, step, draws = made("paco[projection=8;queue=16;gamma=0;alpha=0]")
    batch = step.batch(draws[0], 0)
    value, logits = step.learner.objective(network, batch)
    prior = torch.tensor([16, 12, 8, 4]) / 40
    torch.testing.assert_close(value, F.cross_entropy(logits + prior.log(), batch.targets))
    assert stage.weights == (1.0, 0.0)
    assert objectives.views(stage) == 2


def test_keys_cost_a_forward_pass():
    base = Experiment("cifar100", 100, "resnet32", "ce", "ldam[evaluate_every=200]")
    ce, paco = (cost.work(base.replace(method=name)).macs - 10_000 * 68.9e6 for name in ("ce", "paco"))
    assert paco / ce == pytest.approx(4 / 3, rel=0.01)


def test_paco_without_what_it_needs_is_refused():
    for wrong in ({"contrastive": "paco", "projection": 8}, {"contrastive": "paco", "loss": "ce"}):
        with pytest.raises(SettingError, match="paco needs a classification loss"):
            Stage(**wrong)

"""Optimizers in training: torch's own numbers, eagerly and recorded, rates of parts, and state that is resumed."""

from __future__ import annotations

import copy
import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from outcomes import numbers, same
from test_capture import Repeats, everything
from test_loop import one_step_chunks
from test_steps import made
from torch import Tensor

from ltlib import models, recipes, runs
from ltlib.batches.draws import Draw
from ltlib.experiment import Experiment
from ltlib.files import read_json
from ltlib.methods import Stage
from ltlib.models import Network
from ltlib.training import loop, optimizers, steps
from ltlib.training.capture import CapturedStep
from ltlib.training.state import State

TEXTS = {
    "sgd": "ldam",
    "adam": "ldam[optimizer=adam[beta1=0.8;beta2=0.95;eps=1e-6];weight_decay=0.01]",
    "adamw": "ldam[optimizer=adamw[beta2=0.99];weight_decay=0.1]",
}
RATES = [2.0**-7, 2.0**-9, 2.0**-8]
"""Exact in float32 too, in which rates lie on the device."""


def stage_with(name: str, fused: bool, method: str = "ce", index: int = 0) -> tuple[Stage, Network, Any, list[Draw]]:
    """A step as `test_steps.made` gives it, with another optimizer."""
    stage, network, step, draws = made(method, index)
    optimizer = optimizers.create(network, recipes.create(TEXTS[name]), stage.lr, fused=fused)
    step.learner = replace(step.learner, optimizer=optimizer)
    return stage, network, step, draws


def plain(name: str, network: Network) -> torch.optim.Optimizer:
    """Torch's optimizer as anybody would write it."""
    if name == "sgd":
        return torch.optim.SGD(network.parameters(), 0.1, momentum=0.9, weight_decay=2e-4)
    if name == "adam":
        return torch.optim.Adam(network.parameters(), betas=(0.8, 0.95), eps=1e-6, weight_decay=0.01)
    return torch.optim.AdamW(network.parameters(), betas=(0.9, 0.99), weight_decay=0.1)


def plain_loop(name: str, network: Network, step: steps.EagerStep, draws: list[Draw]) -> list[float]:
    """Epochs of a loop with that optimizer; the losses."""
    optimizer, losses = plain(name, network), []
    for lr in RATES:
        for group in optimizer.param_groups:
            group["lr"] = lr
        for one in (draw.part(s, s + 1) for draw in draws for s in range(draw.steps)):
            images = step.data.batch(one.index[0], {key: value[0, 0] for key, value in one.views.items()})
            loss = torch.nn.functional.cross_entropy(network(images).float(), step.data.targets[one.index[0]])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    return losses


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("recorded", [False, True])
def test_steps_are_those_of_torchs_optimizer_in_a_plain_loop(name: str, fused: bool, recorded: bool) -> None:
    """With weights in float64, so that rounding in another order cannot hide another formula."""
    torch.manual_seed(0)
    _, network, step, draws = stage_with(name, fused)
    network.double()
    other = copy.deepcopy(network)
    stored = step.data.stored
    step.data.stored = lambda *args: stored(*args).double()
    before = {key: value.clone() for key, value in network.named_parameters()}
    expected = plain_loop(name, other, step, draws)
    trained = CapturedStep(step, Repeats()) if recorded else step
    losses = torch.cat([trained(draw, lr) for lr in RATES for draw in draws])
    assert len(losses) == 9
    assert losses.tolist() == pytest.approx(expected, rel=1e-5)  # losses are float32
    for key, value in other.named_parameters():
        torch.testing.assert_close(network.get_parameter(key), value, rtol=0, atol=1e-7)
        assert not torch.equal(value, before[key])
    if recorded:
        assert trained.refusal is None  # type: ignore[union-attr]
        assert trained.recordings == (2 if fused else 2 * len(RATES) - 1)  # type: ignore[union-attr]


@pytest.mark.parametrize("name", ["adam", "adamw"])
@pytest.mark.parametrize(("method", "index"), [("ce", 0), ("tsc", 0), ("mislas", 1)])
@pytest.mark.parametrize("fused", [False, True])
def test_recorded_steps_are_eager_ones_bit_for_bit(name: str, method: str, index: int, fused: bool) -> None:
    results = []
    for recorded in (False, True):
        _, _, step, draws = stage_with(name, fused, method, index)
        trained = CapturedStep(step, Repeats()) if recorded else step
        losses = torch.cat([trained(draw, lr) for lr in RATES for draw in draws])
        results.append(everything(step) | {"losses": losses})
    same(results[0], results[1])
    assert any(key.endswith(".exp_avg_sq") for key in results[0])


def test_a_refused_recording_leaves_no_state_behind() -> None:
    class Refuses(Repeats):
        def record(self, body: Any) -> Any:
            raise RuntimeError("no")

    _, _, step, draws = stage_with("adam", True)
    other = copy.deepcopy(step)
    with pytest.warns(UserWarning, match="runs eagerly"):
        CapturedStep(step, Refuses())(draws[0], 0.01)
    other(draws[0], 0.01)
    same(everything(step), everything(other))


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("fused", [False, True])
def test_state_comes_back_as_it_was_in_the_layout_of_its_parameter(name: str, fused: bool) -> None:
    _, _, step, draws = stage_with(name, fused)
    for draw in draws:
        step(draw, 0.01)
    saved = copy.deepcopy(State(step.learner).snapshot())
    _, _, again, _ = stage_with(name, fused)
    State(again.learner).restore(*saved)
    old, new = (list(optimizers.state(each.learner.optimizer)) for each in (step, again))
    assert [key for _, key, _ in old] == [key for _, key, _ in new]
    assert len(old) == len(list(step.learner.network.parameters())) * (1 if name == "sgd" else 3)
    for (_, _, a), (_, _, b) in zip(old, new, strict=True):
        assert torch.equal(a, b)
        assert (a.stride(), a.dtype, a.device) == (b.stride(), b.dtype, b.device)
    for draw in draws:
        assert torch.equal(step(draw, 0.005), again(draw, 0.005))
    same(everything(step), everything(again))


def test_a_checkpoint_from_before_there_were_other_optimizers_keeps_its_momentum() -> None:
    _, _, step, draws = stage_with("sgd", False)
    step(draws[0], 0.1)
    values, tensors = State(step.learner).snapshot()

    def older(key: str) -> str:
        return f"momentum.{key.split('.')[1]}" if key.startswith("optimizer.") else key

    _, _, again, _ = stage_with("sgd", False)
    State(again.learner).restore(values, {older(key): value for key, value in tensors.items()})
    same(everything(again), everything(step))


def test_a_part_has_its_own_rate_under_adam_too() -> None:
    """At its first step Adam moves every weight by its rate, whatever the gradient's size."""
    _, network, step, draws = stage_with("adam", False, "mislas", 1)
    step.learner = replace(
        step.learner,
        optimizer=optimizers.create(
            network, recipes.create("ldam[optimizer=adam;weight_decay=0]"), {"classifier": 0.2, "scales": 1.0}
        ),
    )
    before = {key: value.clone() for key, value in network.named_parameters()}
    step(draws[0].part(0, 1), 1e-3)
    moved: dict[str, Tensor] = {
        key: (value.detach() - before[key].detach()).abs().max() for key, value in network.named_parameters()
    }
    assert moved["classifier.scales"].item() == pytest.approx(1e-3, rel=1e-2)
    assert moved["classifier.linear.weight"].item() == pytest.approx(2e-4, rel=1e-2)
    assert all(float(value) == 0 for key, value in moved.items() if key.startswith("backbone"))


# --- whole runs ------------------------------------------------------------------------------------------------------


def test_a_stopped_adam_training_resumes_bit_for_bit(
    tiny: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the middle of an epoch, from the checkpoint on disk; the second stage has an Adam of its own."""
    monkeypatch.setattr(loop, "_chunks", one_step_chunks)
    experiment = tiny.replace(
        method="crt",
        limit=100,
        recipe="convergent[augmentation=shift1;epochs=3;batch_size=8;patience=0;optimizer=adam;lr=0.001]",
    )
    assert experiment.run_id != experiment.replace(recipe=experiment.recipe.replace("optimizer=adam;", "")).run_id
    found: list[Any] = []
    for name in ("whole", "resumed"):
        monkeypatch.setenv("LTLIB_REPORTS", str(tmp_path / name))
        if name == "resumed":
            asked = itertools.count()
            with pytest.raises(loop.Stopped):
                runs.run(experiment, stop=lambda asked=asked: next(asked) == 18)  # type: ignore[misc]
            (state,) = tmp_path.glob("resumed/runs/stages/work/*/state.json")
            values = read_json(state)["values"]
            assert values["epoch"] == 1
            assert values["steps_done"] > 1
        found.append(numbers(runs.run(experiment)))
    assert found[0][0] == found[1][0]
    same(found[0][1], found[1][1])
    losses = runs.run(experiment).history["train_loss"]
    assert losses.iloc[2] < losses.iloc[1] < losses.iloc[0]


@pytest.mark.parametrize(
    ("settings", "steps"),
    [
        ("momentum=0;weight_decay=0", [0.1, 0.1]),
        ("momentum=0.5;weight_decay=0", [0.1, 0.15]),  # velocities 1 and 1.5
        ("momentum=0.9;weight_decay=0", [0.1, 0.19]),
        ("momentum=0.9;nesterov=true;weight_decay=0", [0.19, 0.271]),  # 1 + 0.9 v for v of 1 and 1.9
        ("momentum=0;weight_decay=0.5", [0.2, 0.19]),  # 1 + 0.5 w for w of 2 and 1.8
        ("optimizer=adamw;weight_decay=0.5", [0.2, 0.19]),  # 0.1 and 0.05 w
    ],
)
def test_two_steps_by_hand(settings: str, steps: list[float]) -> None:
    """A bias of 2 with the gradient 1 at a rate of 0.1: what a recipe says of momentum and decay is what moves it."""
    network = models.create("resnet8", 2)
    bias = network.classifier.get_parameter("bias")
    optimizer = optimizers.create(network, recipes.create(f"ldam[{settings}]"), {"classifier": 1.0})
    with torch.no_grad():
        bias.fill_(2)
    for expected in steps:
        before = bias.detach().clone()
        network.classifier.get_parameter("weight").grad = torch.zeros(2, 64)
        bias.grad = torch.ones(2)
        optimizer.step()
        torch.testing.assert_close(before - bias.detach(), torch.full((2,), expected), rtol=1e-5, atol=1e-6)

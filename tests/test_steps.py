"""Steps: SGD as torch's own loop does it, frozen parts, and no waiting for the device."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from ltlib import augment, methods, models, objectives, recipes, sampling, stages, steps
from ltlib.meters import Meter
from ltlib.methods import Stage
from ltlib.resident import Resident

WAITS = ("_local_scalar_dense", "nonzero", "masked_select", "item", "is_nonzero", "equal", "_to_cpu")


class Watch(TorchDispatchMode):
    """Collects operations for which a GPU would have to be waited for."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[str] = []
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        self.count += 1
        indexed = name.startswith("index") and any(
            isinstance(i, torch.Tensor) and i.dtype == torch.bool
            for a in args
            if isinstance(a, (list, tuple))
            for i in a
        )
        if name in WAITS or indexed:
            self.waits.append(name)
        return func(*args, **(kwargs or {}))


def made(text: str, index: int = 0) -> tuple[Stage, models.Network, steps.EagerStep, list[sampling.Draw]]:
    stage = methods.stages(text)[index]
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (40, 8, 8, 3), dtype=np.uint8)
    targets = np.arange(40) % 4
    recipe = recipes.create("ldam[batch_size=16;augmentation=crop1+flip]")
    network = models.create(
        "resnet8", 4, projector=stage.projection, classifier_input=stage.classifier_input, seed=3
    ).to(memory_format=torch.channels_last)
    data = Resident(images, targets, padding=1, mean=(0.5,) * 3, std=(0.2,) * 3)
    objective = objectives.create(stage, [10, 10, 10, 10])
    step = steps.EagerStep(network, objective, steps.optimizer(network, recipe, stage.lr), data, Meter())
    draws = sampling.epoch_draws(
        sampling.SAMPLERS.create("instance_balanced"),
        augment.create("crop1+flip"),
        data.targets,
        seed=0,
        stage=0,
        epoch=1,
        epochs=1,
        batch_size=16,
        views=objective.views,
    )
    stages.train_mode(network, stage)
    return stage, network, step, draws


def test_the_watch_sees_what_it_should() -> None:
    with Watch() as watch:
        values = torch.arange(3.0)
        values[values > 1]
        float(values.sum())
    assert len(watch.waits) >= 2


@pytest.mark.parametrize("text", ["ce", "focal[alpha=inverse_frequency]", "supcon_ce", "simclr_ce", "supcon"])
def test_an_epoch_never_waits_for_the_device(text: str) -> None:
    _, _, step, draws = made(text)
    for draw in draws:
        step(draw, 0.1)  # the optimizer's first step makes its state
    with Watch() as watch:
        for draw in draws:
            step(draw, 0.1)
    assert watch.count > 100
    assert watch.waits == []


def test_steps_are_those_of_a_plain_loop() -> None:
    """Against a loop written out, with its own momentum and weight decay."""
    _, network, step, draws = made("ce")
    plain = models.create("resnet8", 4, seed=3).train()
    data, velocity = step.data, {name: None for name, _ in plain.named_parameters()}
    losses, expected = [], []
    for draw in draws:
        losses += step(draw, 0.05).tolist()
        for s in range(draw.steps):
            images = data.batch(draw.index[s], {k: v[s, 0] for k, v in draw.views.items()})
            loss = torch.nn.functional.cross_entropy(plain(images), data.targets[draw.index[s]])
            gradients = torch.autograd.grad(loss, list(plain.parameters()))
            expected.append(loss.item())
            with torch.no_grad():
                for (name, parameter), gradient in zip(plain.named_parameters(), gradients, strict=True):
                    gradient = gradient + 2e-4 * parameter
                    old: Any = velocity[name]
                    velocity[name] = gradient if old is None else 0.9 * old + gradient  # type: ignore[assignment]
                    parameter.sub_(0.05 * velocity[name])  # type: ignore[operator]
    assert len(losses) == 3
    assert losses == pytest.approx(expected, rel=1e-4)
    for name, parameter in plain.named_parameters():
        torch.testing.assert_close(network.get_parameter(name), parameter.detach(), rtol=1e-3, atol=1e-5)


def test_the_meter_counts_what_was_trained_on() -> None:
    _, _, step, draws = made("ce")
    losses = torch.cat([step(draw, 0.0) for draw in draws])
    sizes = torch.tensor([16.0, 16.0, 8.0])
    assert step.meter.sums[0] == 40
    assert step.meter.result()["loss"] == pytest.approx(float((losses * sizes).sum() / 40), rel=1e-6)


def test_a_linear_probe_changes_the_classifier_only() -> None:
    _, network, step, draws = made("supcon", 1)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    for draw in draws:
        step(draw, 0.1)
    changed = {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {"classifier.weight", "classifier.bias"}
    assert any("running_mean" in name for name in before), "there is no batch normalisation to be changed"
    assert all(parameter.grad is None for parameter in network.backbone.parameters()), "a gradient nobody needs"


def test_factors_scale_the_learning_rate_of_their_part() -> None:
    _, network, step, _ = made("ce")
    optimizer = steps.optimizer(network, recipes.create("ldam"), {"backbone": 0.0, "classifier": 0.5})
    step.optimizer = optimizer
    before = {name: value.clone() for name, value in network.named_parameters()}
    step(made("ce")[3][0], 0.2)
    assert [group["lr"] for group in optimizer.param_groups] == [0.0, 0.1]
    assert all(torch.equal(value, before[name]) for name, value in network.backbone.named_parameters(prefix="backbone"))
    assert not torch.equal(network.classifier.weight, before["classifier.weight"])  # type: ignore[arg-type]


def test_bf16_keeps_float32_weights_and_losses() -> None:
    _, network, step, draws = made("supcon_ce")
    step.precision = "bf16"
    losses = step(draws[0], 0.1)
    assert losses.dtype == torch.float32
    assert bool(losses.isfinite().all())
    assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}

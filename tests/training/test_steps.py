"""Steps: SGD as torch's own loop does it, frozen parts, and no waiting for the device."""

from __future__ import annotations

import copy
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from ltlib import losses, methods, mixing, models, recipes
from ltlib.batches import augment
from ltlib.batches.draws import SAMPLERS, Draw, epoch_draws, spec
from ltlib.batches.resident import Resident
from ltlib.methods import METHODS, Stage
from ltlib.training import assembly, learner, objectives, optimizers, stages, steps

WAITS = (
    *("_local_scalar_dense", "nonzero", "masked_select", "item", "is_nonzero", "equal", "_to_cpu", "_unique2"),
    *("one_hot", "bincount", "repeat_interleave", "histc", "multinomial"),
)


class Watch(TorchDispatchMode):
    """Collects operations for which a GPU would have to be waited for, or whose shapes depend on values.

    Args:
        constants: Also tensors made of Python numbers: each is a transfer from the host.
    """

    def __init__(self, constants: bool = False) -> None:
        super().__init__()
        self.names = (*WAITS, "lift_fresh") if constants else WAITS
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
        if name in self.names or indexed:
            self.waits.append(name)
        return func(*args, **(kwargs or {}))


def made(
    text: str, index: int = 0, device: torch.device | str = "cpu"
) -> tuple[Stage, models.Network, steps.EagerStep, list[Draw]]:
    found = methods.stages(text)
    what: Any = SimpleNamespace(stages=found, model="resnet8", seed=3)
    stage, counts = found[index], [16, 12, 8, 4]
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (40, 8, 8, 3), dtype=np.uint8)
    targets = np.repeat(np.arange(4), counts)
    recipe = recipes.create("ldam[batch_size=16;augmentation=crop1+flip]")
    network = assembly.build(what, 4)
    for i in range(index + 1):
        assembly.prepare(network, what, i)
    network = network.to(device)
    data = Resident(images, targets, padding=1, mean=(0.5,) * 3, std=(0.2,) * 3, device=device)
    objective = objectives.create(stage, counts).to(device)
    objective.attach(network)
    mixes = None if stage.mix is None else mixing.create(stage.mix)
    step = steps.EagerStep(
        learner.create(network, objective, recipe, stage.lr),
        data,
        mixing=mixes,
        class_counts=torch.tensor(counts),
    )
    draws = epoch_draws(
        SAMPLERS.create(stage.sampler),
        augment.create("crop1+flip"),
        data.targets.cpu(),
        seed=0,
        stage=0,
        epoch=8,
        epochs=16,
        batch_size=16,
        views=objective.views,
        compared=augment.create(stage.view_augmentation) if stage.view_augmentation else None,
        mixing=mixes,
        image_size=(8, 8),
        second=None if stage.second_sampler is None else SAMPLERS.create(stage.second_sampler),
        noise=objective.noise(4),
    )
    objective.set_epoch(8, 16)
    stages.train_mode(network, stage)
    return stage, network, step, draws


def test_the_watch_sees_what_it_should() -> None:
    with Watch() as watch:
        values = torch.arange(3.0)
        values[values > 1]
        float(values.sum())
    assert len(watch.waits) >= 2


TRAINED = [(name, i) for name in METHODS.names() for i, stage in enumerate(methods.stages(name)) if stage.epochs]


@pytest.mark.parametrize(("text", "index"), [("focal[alpha=inverse_frequency]", 0), *TRAINED])
def test_an_epoch_never_waits_for_the_device(text: str, index: int) -> None:
    _, _, step, draws = made(text, index)
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
    plain = copy.deepcopy(network).train()
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
    assert step.learner.meter.sums[0] == 40
    assert step.learner.meter.result()["loss"] == pytest.approx(float((losses * sizes).sum() / 40), rel=1e-6)


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
    optimizer = optimizers.create(network, recipes.create("ldam"), {"backbone": 0.0, "classifier": 0.5})
    step.learner = replace(step.learner, optimizer=optimizer)
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


# --- mixing, second streams, noise, caps -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["mixup", "cutmix", "remix_drw", "cmo[loss=balanced_softmax;prob=1]"])
def test_mixed_labels_reach_the_loss_with_each_samples_share(name: str) -> None:
    """Against the loss of every image and label written out, weighted by hand."""
    stage, network, step, draws = made(name)
    draw, s = draws[0], 0
    batch = step.batch(draw, s)
    assert batch.partner_targets is not None
    assert batch.share is not None
    assert stage.loss is not None
    value, logits = step.learner.objective(network, batch)
    assert logits is not None
    counts = torch.tensor([16.0, 12.0, 8.0, 4.0])
    shifted = logits + counts.log() if "balanced" in stage.loss.name else logits
    own = torch.nn.functional.cross_entropy(shifted, batch.targets, reduction="none")
    other = torch.nn.functional.cross_entropy(shifted, batch.partner_targets, reduction="none")
    expected = torch.stack(
        [share * a + (1 - share) * b for share, a, b in zip(batch.share, own, other, strict=True)]
    ).mean()
    torch.testing.assert_close(value, expected)
    assert not torch.allclose(own, other, atol=0.01)
    # the images: lambda of this step, or the box, and what lies beside
    lam, index = draw.mix["lam"][s], draw.index[s]
    plain = step.data.batch(index[None], {key: value[s] for key, value in draw.views.items()})
    beside = plain[draw.mix["partner"][s]] if draw.second is None else None
    if draw.second is not None:
        beside = step.data.batch(draw.second.index[s], {key: value[s, 0] for key, value in draw.second.views.items()})
        assert torch.equal(batch.partner_targets, step.data.targets[draw.second.index[s]])
    assert beside is not None
    expected = plain.clone()
    for i in range(len(index)):
        if "box" in draw.mix:
            top, left, bottom, right = draw.mix["box"][s, i].tolist()
            expected[i, :, top:bottom, left:right] = beside[i, :, top:bottom, left:right]
            assert float(lam[i]) == pytest.approx(1 - (bottom - top) * (right - left) / 64)
        else:
            expected[i] = lam[i] * plain[i] + (1 - lam[i]) * beside[i]
    torch.testing.assert_close(batch.images, expected)
    assert not torch.equal(expected, plain)
    if name == "remix_drw":
        relabelled = batch.share != lam
        n, m = counts[batch.targets], counts[batch.partner_targets]
        assert bool((relabelled == (((n >= 3 * m) & (lam < 0.5)) | ((3 * n <= m) & (1 - lam < 0.5)))).all())


def test_cmo_pastes_images_of_the_data_set_with_inverse_frequency() -> None:
    _, _, step, _ = made("cmo")
    index = []
    for epoch in range(5, 12):
        found = epoch_draws(
            SAMPLERS.create("instance_balanced"),
            augment.create("crop1+flip"),
            step.data.targets.repeat(40),
            seed=0,
            stage=0,
            epoch=epoch,
            epochs=16,
            batch_size=16,
            views=1,
            mixing=step.mixing,
            image_size=(8, 8),
        )
        for draw in found:
            assert draw.second is not None
            assert "partner" not in draw.mix
            index.append(draw.second.index.flatten())
    counts = torch.bincount(step.data.targets.repeat(40)[torch.cat(index)], minlength=4)
    assert len(torch.cat(index).unique()) > 1000, "any image of the data set"
    shares = counts / counts.sum()
    assert shares.tolist() == pytest.approx([0.25] * 4, abs=0.015), "every class as often: images by 1 / n_c"


def test_the_second_branch_sees_rare_classes_more_often() -> None:
    """BBN's re-balancing branch: class c with a chance in proportion to 1 / n_c; the first stream is the plain one."""
    stage, _, step, draws = made("bbn")
    assert stage.second_sampler == spec("reversed")
    first = torch.cat([draw.index.flatten() for draw in draws])
    assert sorted(first.tolist()) == list(range(40))
    seen = torch.zeros(4)
    for epoch in range(1, 200):
        found = epoch_draws(
            SAMPLERS.create(stage.sampler),
            augment.create("none"),
            step.data.targets,
            seed=0,
            stage=0,
            epoch=epoch,
            epochs=200,
            batch_size=16,
            views=1,
            second=SAMPLERS.create("reversed"),
        )
        assert all(draw.second is not None and draw.second.index.shape == draw.index.shape for draw in found)
        second = torch.cat([draw.second.index.flatten() for draw in found])  # type: ignore[union-attr]
        seen += torch.bincount(step.data.targets[second], minlength=4)
    wanted = 1 / torch.tensor([16.0, 12.0, 8.0, 4.0])
    assert (seen / seen.sum()).tolist() == pytest.approx((wanted / wanted.sum()).tolist(), abs=0.02)


def test_two_branches_by_hand() -> None:
    _, network, step, draws = made("bbn")
    batch = step.batch(draws[0], 0)
    assert batch.second_images is not None
    network.eval()
    for epoch, alpha in ((1, 1.0), (9, 0.75), (16, 1 - (15 / 16) ** 2)):
        step.learner.objective.set_epoch(epoch, 16)
        value, logits = step.learner.objective(network, batch)
        assert logits is not None
        conventional = network.backbone.branch(batch.images, "conventional")  # type: ignore[operator]
        rebalancing = network.backbone.branch(batch.second_images, "rebalancing")  # type: ignore[operator]
        z = network.classifier(2 * torch.cat([alpha * conventional, (1 - alpha) * rebalancing], 1))
        torch.testing.assert_close(logits, z)
        cross = torch.nn.functional.cross_entropy
        expected = alpha * cross(z, batch.targets) + (1 - alpha) * cross(z, batch.second_targets)  # type: ignore[arg-type]
        torch.testing.assert_close(value, expected)


def test_residual_branches_by_hand() -> None:
    _, network, step, draws = made("reslt[beta=0.7]")
    batch = step.batch(draws[0], 0)
    network.eval()
    value, logits = step.learner.objective(network, batch)
    each = network.branch_logits(batch.images)  # type: ignore[operator]
    terms = []
    for i, y in enumerate(batch.targets.tolist()):  # of 4 classes 0 is head, 1 and 2 medium, 3 tail
        for branch, first in enumerate((0, 1, 3)):
            if y >= first:
                terms.append(-each[i, branch].log_softmax(0)[y])
    together = torch.nn.functional.cross_entropy(each.sum(1), batch.targets)
    torch.testing.assert_close(value, 0.7 * torch.stack(terms).mean() + 0.3 * together)
    torch.testing.assert_close(logits, each.sum(1))


def test_noise_reaches_the_loss_and_nothing_else_does() -> None:
    _, network, step, draws = made("equalization[threshold=0.35]")
    batch = step.batch(draws[0], 1)
    assert draws[0].noise is not None
    assert torch.equal(batch.noise, draws[0].noise[1])  # type: ignore[arg-type]
    assert draws[0].noise.shape == (2, 16, 4)
    assert 0.4 < float(draws[0].noise.mean()) < 0.6
    value, logits = step.learner.objective(network, batch)
    loss = losses.create("equalization[threshold=0.35]", [16, 12, 8, 4])
    torch.testing.assert_close(value, loss(logits, batch.targets, batch.noise))
    assert float(value.detach()) != float(loss(logits, batch.targets, 1 - batch.noise).detach())  # type: ignore[operator]
    draws = made("kcl")[3]
    assert draws[0].noise is not None
    assert draws[0].noise.shape == (2, 2 * 16, 1), "one number for each view of each image"
    assert made("ce")[3][0].noise is None


def test_scales_have_a_rate_of_their_own() -> None:
    stage, network, step, _ = made("mislas[lr=0.2]", 1)
    assert stage.lr == {"classifier": 0.2, "scales": 1.0}
    rates = {id(p): group["factor"] for group in step.learner.optimizer.param_groups for p in group["params"]}
    scaled: Any = network.classifier
    assert rates == {id(scaled.scales): 1.0, id(scaled.linear.weight): 0.2, id(scaled.linear.bias): 0.2}
    _, network, step, _ = made("lws", 1)
    assert [len(group["params"]) for group in step.learner.optimizer.param_groups] == [1]

"""A batch in parts: the whole batch's losses and weights, with the activations of one part at a time."""

from __future__ import annotations

import copy
import gc
import weakref
from pathlib import Path
from typing import Any

import pytest
import torch
from test_capture import Repeats
from test_steps import TRAINED, made
from torch import Tensor, nn

from ltlib import models, recipes, runs
from ltlib.errors import SettingError
from ltlib.experiment import Experiment
from ltlib.models import Backbone, Network
from ltlib.training import learner, parts, stages, steps
from ltlib.training.capture import CapturedStep
from ltlib.training.parts import in_parts, sizes


class Plain(Backbone):
    """Two convolutions without batch normalisation."""

    feature_dim = 12

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 12, 3)

    def forward(self, images: Tensor) -> Tensor:
        return self.conv2(self.conv1(images).tanh()).tanh().mean((2, 3))


def plain(text: str, index: int = 0) -> tuple[steps.EagerStep, list[Any]]:
    """A step on a network without batch normalisation, and an epoch of batches of 16, 16 and 8 images."""
    stage, network, step, draws = made(text, index)
    torch.manual_seed(0)
    backbone = Plain()
    other = Network(backbone, nn.Linear(12, 4), None if network.projector is None else nn.Linear(12, 6))
    recipe = recipes.create("ldam[batch_size=16]")
    step.learner = learner.create(other, step.learner.objective, recipe, stage.lr)
    return step, draws


def trained(
    step: steps.EagerStep, draws: list[Any], epochs: int = 3, lr: float = 0.1
) -> tuple[Tensor, dict[str, Tensor]]:
    losses = torch.cat([step(draw, lr) for _ in range(epochs) for draw in draws])
    return losses, {name: value.clone() for name, value in step.learner.network.state_dict().items()}


def alike(one: tuple[Tensor, dict[str, Tensor]], other: tuple[Tensor, dict[str, Tensor]]) -> None:
    torch.testing.assert_close(one[0], other[0], rtol=1e-5, atol=1e-5)
    for name, value in one[1].items():
        torch.testing.assert_close(value, other[1][name], rtol=0, atol=1e-5, msg=lambda m, name=name: f"{name}: {m}")


@pytest.mark.parametrize("number", [3, 50])
@pytest.mark.parametrize(
    "text",
    [
        *("ce", "weighted_ce[reduction=weight_sum]", "class_balanced[reduction=weight_sum]", "balanced_softmax"),
        *("mixup", "cutmix", "supcon", "supcon_ce", "equalization"),
    ],
)
def test_parts_give_the_weights_of_the_whole_batch(text: str, number: int) -> None:
    """Nine steps: batches of 16 that 3 does not divide, a short one of 8, and more parts than images."""
    whole, draws = plain(text)
    cut, _ = plain(text)
    cut.parts = number
    before = whole.learner.network.backbone.conv1.weight.detach().clone()  # type: ignore[union-attr, operator]
    found, expected = trained(cut, draws), trained(whole, draws)
    assert len(expected[0]) == 9
    assert float((expected[1]["backbone.conv1.weight"] - before).abs().max()) > 1e-3, "nothing was learned"
    alike(found, expected)


def test_a_normaliser_of_the_batch_is_not_one_of_its_parts() -> None:
    """The oracle can tell: the mean of the parts' own weighted means is another number."""
    step, draws = plain("weighted_ce[reduction=weight_sum]")
    batch = step.batch(draws[0], 0)
    whole, logits = step.objective(batch)
    assert logits is not None
    each = [step.learner.objective.loss(z, y) for z, y in zip(logits.split(4), batch.targets.split(4), strict=True)]  # type: ignore[misc]
    assert abs(float((torch.stack(each).mean() - whole).detach())) > 1e-3


@pytest.mark.parametrize("name", ["vit_b_16", "convnext_base"])
def test_networks_without_batch_normalisation_take_parts_as_they_are(name: str) -> None:
    results = []
    for number in (1, 3):
        stage, _, step, draws = made("ce")
        network = models.create(f"{name}[size=tiny]", 4).to(memory_format=torch.channels_last)
        recipe = recipes.create("ldam[batch_size=16;resize=16]")
        data = step.data
        data.resize = 16
        learning = learner.create(network, step.learner.objective, recipe, stage.lr)
        results.append(trained(steps.EagerStep(learning, data, parts=number), draws, epochs=1, lr=0.01))
    alike(*results)


@pytest.mark.parametrize(("text", "index"), TRAINED)
def test_every_method_takes_its_batch_in_parts(text: str, index: int) -> None:
    """With batch statistics that stand still, the losses and weights of an epoch are the whole batch's."""
    results = []
    for number in (1, 3):
        _, network, step, draws = made(text, index)
        step.parts = number
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        results.append(trained(step, draws, epochs=1, lr=0.01))
    alike(*results)


# --- batch normalisation ----------------------------------------------------------------------------------------------


def test_batch_normalisation_sees_parts_and_counts_each_once() -> None:
    """Logits and running statistics of one forward pass a part, written out; the second pass moves none of them."""
    _, network, step, draws = made("ce")
    step.parts = 3
    other = copy.deepcopy(network)
    batch = step.batch(draws[0], 0)
    loss, logits = step.objective(batch)
    assert logits is not None
    by_hand = torch.cat([other.backbone(part) for part in batch.images.split([6, 5, 5])])
    torch.testing.assert_close(logits, other.classifier(by_hand))
    loss.backward()
    torch.nn.functional.cross_entropy(other.classifier(by_hand), batch.targets).backward()
    for name, value in other.named_buffers():
        torch.testing.assert_close(network.get_buffer(name), value, rtol=0, atol=0)
    assert int(network.get_buffer("backbone.bn1.num_batches_tracked")) == 3
    for name, parameter in other.named_parameters():
        torch.testing.assert_close(network.get_parameter(name).grad, parameter.grad, rtol=1e-4, atol=1e-6)
    whole = made("ce")[2]
    assert not torch.allclose(whole.objective(batch)[1], logits), "the whole batch's statistics are others"  # type: ignore[arg-type]


def test_statistics_that_are_averaged_over_all_batches_are_left_alone_too() -> None:
    _, network, step, draws = made("ce")
    step.parts = 4
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None
    loss, _ = step.objective(step.batch(draws[0], 0))
    before = {name: value.clone() for name, value in network.named_buffers()}
    loss.backward()
    assert all(torch.equal(value, before[name]) for name, value in network.named_buffers())
    assert network.get_submodule("backbone.bn1").momentum is None


# --- one part at a time ----------------------------------------------------------------------------------------------


def test_the_activations_of_one_part_live_at_a_time() -> None:
    step, draws = plain("ce")
    step.parts = 4
    alive: list[weakref.ref[Tensor]] = []
    most = [0]
    seen = []

    def count(module: nn.Module, inputs: Any, output: Tensor) -> None:
        seen.append(len(output))
        alive.append(weakref.ref(output))
        most[0] = max(most[0], sum(ref() is not None for ref in alive))

    step.learner.network.backbone.conv1.register_forward_hook(count)  # type: ignore[union-attr, operator]
    loss, _ = step.objective(step.batch(draws[0], 0))
    gc.collect()
    assert sum(ref() is not None for ref in alive) == 0, "the first pass keeps activations"
    loss.backward()
    assert seen == [4] * 8, "each part twice"
    assert most[0] == 1


@pytest.mark.parametrize(
    ("images", "number", "expected"),
    [(16, 4, [4, 4, 4, 4]), (16, 3, [6, 5, 5]), (5, 4, [3, 2]), (3, 3, [3]), (2, 8, [2]), (1, 2, [1]), (7, 1, [7])],
)
def test_parts_are_equal_and_of_two_images(images: int, number: int, expected: list[int]) -> None:
    assert sizes(images, number) == expected


def test_the_backbone_is_as_it_was_after_the_block() -> None:
    network = models.create("resnet8", 4)
    with in_parts(network, 2):
        assert "forward" in vars(network.backbone)
    assert "forward" not in vars(network.backbone)
    with pytest.raises(RuntimeError), in_parts(network, 2):
        network(torch.zeros(4, 5, 8, 8))
    assert "forward" not in vars(network.backbone)
    two = made("bbn")[1]
    with in_parts(two, 2):
        assert {"forward", "branch"} <= set(vars(two.backbone))
    assert not {"forward", "branch"} & set(vars(two.backbone))


def test_frozen_features_are_computed_once() -> None:
    _, network, step, draws = made("supcon", 1)
    step.parts = 4
    passed: list[int] = []
    network.backbone.conv1.register_forward_hook(lambda m, i, o: passed.append(len(o)))  # type: ignore[union-attr, operator]
    step(draws[0].part(0, 1), 0.1)
    assert passed == [4, 4, 4, 4]


# --- recorded, in bf16, and refused ----------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["ce", "supcon_ce", "bbn", "tsc"])
def test_a_recording_of_parts_is_their_eager_training(text: str) -> None:
    results = []
    for recorded in (False, True):
        _, _, eager, draws = made(text)
        eager.parts = 3
        step = CapturedStep(eager, Repeats()) if recorded else eager
        losses = torch.cat([step(draw, 0.05) for _ in range(3) for draw in draws])
        results.append((losses, eager.learner.network.state_dict()))
        if isinstance(step, CapturedStep):
            assert step.refusal is None
            assert step.recordings
    assert torch.equal(results[0][0], results[1][0])
    assert all(torch.equal(value, results[1][1][name]) for name, value in results[0][1].items())


def test_parts_read_nothing_from_the_device() -> None:
    from test_steps import Watch

    _, _, step, draws = made("ce")
    step.parts = 3
    step(draws[0], 0.1)
    with Watch() as watch:
        step(draws[0], 0.1)
    assert watch.count > 100
    assert watch.waits == []


def test_bf16_parts_add_their_gradients_in_float32() -> None:
    """The sum of each part's gradient, computed alone, to float32's last places."""
    step, draws = plain("ce")
    step.precision, step.parts = "bf16", 8
    batch = step.batch(draws[0], 0)
    step.objective(batch)[0].backward()
    network = step.learner.network
    found = network.get_parameter("backbone.conv2.weight").grad
    assert found is not None
    alone = []
    with steps.autocast("bf16", torch.device("cpu")):
        features = torch.cat([network.backbone(part) for part in batch.images.split(2)]).detach().requires_grad_()
        torch.nn.functional.cross_entropy(network.classifier(features).float(), batch.targets).backward()
    for part, gradient in zip(batch.images.split(2), features.grad.split(2), strict=True):  # type: ignore[union-attr]
        network.zero_grad()
        with steps.autocast("bf16", torch.device("cpu")):
            out = network.backbone(part)
        out.backward(gradient)
        alone.append(network.get_parameter("backbone.conv2.weight").grad.clone())  # type: ignore[union-attr]
    torch.testing.assert_close(found, torch.stack(alone).sum(0), rtol=1e-6, atol=1e-8)


class Drops(Plain):
    def __init__(self) -> None:
        super().__init__()
        self.dropout = nn.Dropout(0.1)


def test_a_network_that_draws_is_refused() -> None:
    _, network, step, _ = made("ce")
    network.backbone = Drops()
    with pytest.raises(SettingError, match=r"batch_parts=2 computes .* twice, and Dropout .* set its probability to 0"):
        steps.EagerStep(step.learner, step.data, parts=2)
    steps.EagerStep(step.learner, step.data)
    network.backbone.dropout.p = 0.0  # type: ignore[union-attr]
    steps.EagerStep(step.learner, step.data, parts=2)
    torchvision = pytest.importorskip("torchvision")
    assert parts.draws_numbers(torchvision.ops.StochasticDepth(0.5, "row"))
    assert not parts.draws_numbers(torchvision.ops.StochasticDepth(0.0, "row"))


def test_the_recipe_says_in_how_many_parts(tiny: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr(steps, "in_parts", lambda network, number: seen.append(number) or in_parts(network, number))
    exp = tiny.replace(recipe="convergent[augmentation=shift1;epochs=1;batch_parts=4]")
    stages.run_stages(exp.resolve(), runs.load_data(exp), tmp_path)
    assert set(seen) == {4}


def test_a_recipe_with_parts_is_another_training_and_without_the_same_as_ever() -> None:
    plain, cut = recipes.create("ldam"), recipes.create("ldam[batch_parts=4]")
    assert "batch_parts" not in plain.identity()
    assert cut.identity() == plain.identity() | {"batch_parts": 4}
    assert recipes.create("ldam[batch_size=16;batch_parts=8]").batch_parts == 8
    with pytest.raises(
        SettingError, match="batch_parts must leave two images a part: at most 8 for a batch of 16, not 9"
    ):
        recipes.create("ldam[batch_size=16;batch_parts=9]")
    with pytest.raises(SettingError, match="batch_parts"):
        recipes.create("ldam[batch_parts=0]")

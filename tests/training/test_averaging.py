"""Averages of weights and sharpness-aware steps against slow forms of their formulas."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from ltlib import recipes
from ltlib.batches import augment
from ltlib.batches.draws import SAMPLERS, Draw, epoch_draws
from ltlib.errors import SettingError, UnknownName
from ltlib.training import evaluation, loop, renewal, sharpness
from ltlib.training.steps import EagerStep
from tests.training.test_loop import Memory, Training, without_seconds


def weights(made: Training) -> list[Tensor]:
    return [weight.detach().double().clone() for weight in made.network.parameters()]


def test_an_exponential_average_is_the_recursion_over_all_steps() -> None:
    made = Training("epochs=1;average=ema[decay=0.7]")
    expected = weights(made)
    step = 0
    for draw in made.draws(1):
        for s in range(draw.steps):
            made.step(draw.part(s, s + 1), 0.05)
            step += 1
            keep = min(0.7, (1 + step) / (10 + step))
            expected = [keep * a + (1 - keep) * w for a, w in zip(expected, weights(made), strict=True)]
    assert step == 6  # 7/16 at the last step: below the decay, so both terms of the minimum matter only later
    average = made.learner.average
    assert average is not None
    for i, value in enumerate(expected):
        torch.testing.assert_close(average.get_buffer(f"a{i}").double(), value, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("count", "keep"), [(1, 2 / 11), (9, 10 / 19), (1000, 0.9)])
def test_the_beginning_of_an_exponential_average_is_forgotten(count: int, keep: float) -> None:
    assert float(recipes.AVERAGES.create("ema[decay=0.9]").keeps(torch.tensor(float(count)))) == pytest.approx(keep)


def test_a_mean_over_epochs_has_those_after_its_start_alike() -> None:
    made, memory = Training("epochs=4;average=swa[start=0.5]"), Memory()
    ends: list[list[Tensor]] = []
    made.fit(memory, report=lambda row: ends.append(weights(made)))  # the weights of the steps are back by then
    for i, (third, fourth) in enumerate(zip(ends[2], ends[3], strict=True)):
        found = memory.saved[-1][1][f"average.a{i}"]
        torch.testing.assert_close(found.double(), (third + fourth) / 2, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(list(made.network.parameters())[i].detach(), found)
    assert float(memory.saved[-1][1]["average.count"]) == 2


def test_slow_weights_go_half_the_way_and_the_fast_ones_go_on_from_there() -> None:
    """Against a training without them, moved by hand after every fourth of its six steps."""
    made, other = Training("epochs=1;average=lookahead[k=4;alpha=0.3]"), Training("epochs=1")
    slow, moved = weights(other), 0
    for draw in made.draws(1):
        for s in range(draw.steps):
            made.step(draw.part(s, s + 1), 0.05)
            other.step(draw.part(s, s + 1), 0.05)
            moved += 1
            if moved % 4 == 0:
                slow = [a + 0.3 * (w - a) for a, w in zip(slow, weights(other), strict=True)]
                for weight, value in zip(other.network.parameters(), slow, strict=True):
                    weight.data.copy_(value)
    average = made.learner.average
    assert (moved, average is None) == (6, False)
    for i, (value, fast) in enumerate(zip(slow, other.network.parameters(), strict=True)):
        torch.testing.assert_close(average.get_buffer(f"a{i}").double(), value, rtol=1e-4, atol=1e-6)  # type: ignore[union-attr]
        torch.testing.assert_close(list(made.network.parameters())[i], fast, rtol=1e-4, atol=1e-5)
    assert not torch.equal(next(made.network.parameters()), average.get_buffer("a0"))  # type: ignore[union-attr]


def test_what_lookahead_hands_on_are_the_slow_weights() -> None:
    made, memory = Training("epochs=1;average=lookahead[k=4]"), Memory()
    made.fit(memory)
    tensors = memory.saved[-1][1]
    for i, (name, weight) in enumerate(made.network.named_parameters()):
        assert torch.equal(weight.detach(), tensors[f"average.a{i}"])
        assert not torch.equal(weight.detach(), tensors[f"network.{name}"]), "two steps further on"


@pytest.mark.parametrize("method", ["ce", "cutmix"])
def test_what_is_evaluated_is_the_average_with_statistics_of_its_own(method: str) -> None:
    """Against a second network with the averaged weights, and torch's own way of taking statistics: over the batches of
    the last epoch, augmented and mixed."""
    made = Training("epochs=3;average=ema[decay=0.8]", method)
    outcome = made.fit()
    other = Training("epochs=3", method).network
    average = made.learner.average
    assert average is not None
    for i, weight in enumerate(other.parameters()):
        weight.data.copy_(average.get_buffer(f"a{i}"))
    other.train()
    shown = [made.step.batch(draw, s).images for draw in made.draws(3) for s in range(draw.steps)]
    torch.optim.swa_utils.update_bn(shown, other)
    expected = evaluation.predict(other, made.test)
    torch.testing.assert_close(outcome.logits["last"], expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(evaluation.predict(made.network, made.test), expected, rtol=1e-4, atol=1e-5)


def test_an_average_changes_nothing_of_the_training_itself() -> None:
    plain, averaged = Training("epochs=3"), Training("epochs=3;average=swa[start=0.0]")
    kept = Memory()
    plain.fit()
    outcome = averaged.fit(kept)
    for name, value in plain.network.state_dict().items():
        assert torch.equal(kept.saved[-1][1][f"network.{name}"], value), name
    rows = [{k: v for k, v in without_seconds(row).items() if k.startswith("train")} for row in outcome.history]
    assert all(row for row in rows)
    assert not torch.equal(next(averaged.network.parameters()), next(plain.network.parameters()))


def test_statistics_that_do_not_move_in_training_stay() -> None:
    made = Training("epochs=1")
    made.network.train()
    norms = [module for module in made.network.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    for module in norms[1:]:
        module.eval()
    before = [module.running_mean.clone() for module in norms if module.running_mean is not None]
    renewal.renew_statistics(made.network, [made.data.batch(torch.arange(8))], "float32")
    moved = [not torch.equal(module.running_mean, old) for module, old in zip(norms, before, strict=True)]  # type: ignore[arg-type]
    assert moved == [True] + [False] * (len(norms) - 1)
    assert [module.momentum for module in norms] == [0.1] * len(norms)


def test_a_sharpness_aware_step_is_made_with_the_gradient_of_the_worst_place() -> None:
    """In float64, weight by weight, for one step of plain gradient descent."""
    made = Training("epochs=1;momentum=0.0;weight_decay=0.0;sharpness=0.3")
    made.network.double()
    draw = made.draws(1)[0].part(0, 1)
    batch = made.step.batch(draw, 0)
    slow = copy.deepcopy(made.network).train()

    def gradients() -> list[Tensor]:
        loss = F.cross_entropy(slow(batch.images.double()), batch.targets)
        return list(torch.autograd.grad(loss, list(slow.parameters())))

    g = gradients()
    length = sum(float((each**2).sum()) for each in g) ** 0.5
    start = [weight.detach().clone() for weight in slow.parameters()]
    statistics = {k: v.clone() for k, v in slow.state_dict().items() if "running" in k or "num_batches" in k}
    for weight, each in zip(slow.parameters(), g, strict=True):
        weight.data += 0.3 * each / length
    worst = gradients()
    made.learner.objective.double()
    batch_of = EagerStep.batch
    made.network.train()
    step: Any = made.step
    step.batch = lambda *which: batch_of(step, *which)._replace(images=batch.images.double())
    step(draw, 0.1)
    for weight, begin, each in zip(made.network.parameters(), start, worst, strict=True):
        torch.testing.assert_close(weight.detach(), begin - 0.1 * each, rtol=1e-5, atol=1e-8)  # the loss is float32
    plain = [begin - 0.1 * each for begin, each in zip(start, g, strict=True)]
    assert (
        max((a.detach() - b).abs().max().item() for a, b in zip(made.network.parameters(), plain, strict=True)) > 1e-3
    )
    for name, value in statistics.items():  # moved by the first look alone
        if "running" in name:
            torch.testing.assert_close(made.network.state_dict()[name], value, rtol=1e-9, atol=1e-12)


def test_after_the_climb_the_weights_are_where_they_were() -> None:
    made = Training("epochs=1")
    batch = made.step.batch(made.draws(1)[0].part(0, 1), 0)
    loss, _ = made.step.objective(batch)
    loss.backward()
    before = weights(made)
    with sharpness.climbed(made.network, 0.5):
        moved = torch.cat([(w.double() - b).flatten() for w, b in zip(weights(made), before, strict=True)]).norm()
    assert float(moved) == pytest.approx(0.5, rel=1e-4)
    assert all(torch.equal(a, b) for a, b in zip(weights(made), before, strict=True))


def test_sharpness_costs_a_second_look_at_every_batch() -> None:
    made = Training("epochs=1;sharpness=0.05")
    looks: list[bool] = []
    made.network.backbone.register_forward_hook(lambda module, images, features: looks.append(module.training))
    made.fit()
    assert sum(looks) == 12  # of 6 steps


@pytest.mark.parametrize(
    ("text", "error", "match"),
    [
        ("ldam[average=emma]", UnknownName, "did you mean"),
        ("ldam[average=ema[decay=1.0]]", SettingError, "decay of average ema must be a number from 0 to below 1"),
        ("ldam[average=swa[start=-0.1]]", SettingError, "start"),
        ("ldam[sharpness=-1.0]", SettingError, "sharpness"),
        ("ldam[average=lookahead[k=0]]", SettingError, "k of average lookahead must be a whole number of at least 1"),
        ("ldam[average=lookahead[alpha=0.0]]", SettingError, "alpha of average lookahead must be a number above 0"),
        ("ldam[sharpness_below=20]", SettingError, "sharpness_below needs a sharpness above 0"),
        ("ldam[sharpness=0.1;sharpness_below=20;batch_parts=2]", SettingError, "sharpness_below needs batch_parts=1"),
    ],
)
def test_averages_that_cannot_be_meant_are_refused(text: str, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        recipes.create(text)


def test_a_recipe_without_them_is_the_recipe_it_was() -> None:
    plain, told = recipes.create("ldam"), recipes.create("ldam[average=none;sharpness=0.0]")
    assert not {"average", "sharpness"} & plain.identity().keys()
    assert plain.identity() == told.identity()
    one, other = recipes.create("ldam[average=ema]"), recipes.create("ldam[average=ema[decay=0.999]]")
    assert one == other
    assert one.identity()["average"]["version"] == 2


def drawn(text: str, epoch: int, views: int = 1) -> Draw:
    made = epoch_draws(
        SAMPLERS.create("instance_balanced"),
        augment.create(text),
        torch.zeros(200, dtype=torch.int64),
        seed=5,
        stage=0,
        epoch=epoch,
        epochs=9,
        batch_size=200,
        views=views,
    )
    return made[0]


def mirrored(draw: Draw, view: int = 0) -> np.ndarray:
    """Whether each image is mirrored, in the order of the set."""
    found = np.zeros(200, dtype=bool)
    found[draw.index.flatten().numpy()] = draw.views["flip"][:, view].flatten().numpy()
    return found


def test_an_alternating_flip_mirrors_each_image_in_every_second_epoch() -> None:
    first, second, third = (mirrored(drawn("crop4+altflip", epoch)) for epoch in (1, 2, 3))
    assert 60 < first.sum() < 140  # half of 200, sigma 7
    assert (first != second).all()
    assert (first == third).all()


def test_views_of_one_image_alternate_too_and_other_draws_are_those_of_a_plain_flip() -> None:
    draw = drawn("crop4+altflip", 4, views=2)
    assert (mirrored(draw) != mirrored(draw, 1)).all()
    plain = drawn("crop4+flip", 4, views=2)
    assert torch.equal(draw.views["dy"], plain.views["dy"])
    assert not torch.equal(draw.views["flip"], plain.views["flip"])


def test_two_flips_are_one_too_many() -> None:
    with pytest.raises(SettingError, match="keep one"):
        augment.create("crop4+flip+altflip")


def test_diverging_averages_are_found() -> None:
    made = Training("epochs=2;average=ema;lr=1e30")
    with pytest.raises(loop.DivergedError):
        made.fit()

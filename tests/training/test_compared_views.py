"""Views with augmentations of their own, and the objectives that compare them, against the formulas written out."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from test_steps import made
from torch.nn import functional as F

from ltlib import losses, methods, mixing, models, profiles
from ltlib.batches import augment
from ltlib.batches.draws import SAMPLERS, epoch_draws, generator
from ltlib.errors import SettingError
from ltlib.experiment import Experiment
from ltlib.methods import Stage
from ltlib.runs import cost
from ltlib.training import objectives

COUNTS = [6, 3, 2]


def drawn(compared: str | None, views: int = 3, text: str = "crop1+flip", **more):
    return epoch_draws(
        SAMPLERS.create("instance_balanced"),
        augment.create(text),
        torch.arange(11) % 3,
        seed=3,
        stage=1,
        epoch=2,
        epochs=4,
        batch_size=4,
        views=views,
        compared=None if compared is None else augment.create(compared),
        image_size=(8, 8),
        **more,
    )


# --- draws -----------------------------------------------------------------------------------------------------------


def test_views_of_another_augmentation_have_draws_of_their_own():
    plain, apart = drawn(None), drawn("simclr")
    for before, now in zip(plain, apart, strict=True):
        assert before.compared is None
        assert now.compared is not None
        assert torch.equal(now.index, before.index)
        assert {value.shape[1] for value in now.views.values()} == {1}
        assert set(now.compared) == set(augment.create("simclr").names)
        assert {value.shape for value in now.compared.values()} == {(now.steps, 2, now.index.shape[1])}
    own = augment.create("simclr").draw(generator(3, "compared augment", 1, 2), (2, 11), (8, 8))
    joined = torch.cat([draw.compared["hue"].transpose(0, 1).flatten(1) for draw in apart], 1)
    assert torch.equal(joined, own["hue"])
    # the classified view is the one that a method of one view has
    for one, now in zip(drawn(None, views=1), apart, strict=True):
        assert all(torch.equal(now.views[name], value) for name, value in one.views.items())


def test_draws_move_cut_and_copy_all_of_their_tensors():
    draw = drawn("simclr")[0]
    part = draw.part(1, 2)
    assert part.compared is not None
    assert all(torch.equal(part.compared[name], value[1:2]) for name, value in draw.compared.items())
    assert draw.each(lambda value: value + 0).compared.keys() == draw.compared.keys()


def test_alternating_flips_go_on_through_the_views():
    """The first view as the recipe says; where both alternate, an image's next view is turned the other way."""
    draw = drawn("altflip", text="altflip")[0]
    first, others = draw.views["flip"], draw.compared["flip"]
    assert torch.equal(others[:, 0], ~first[:, 0])
    assert torch.equal(others[:, 1], first[:, 0])


# --- the batch -------------------------------------------------------------------------------------------------------


def test_the_batch_holds_each_view_with_its_augmentation():
    _, _, step, draws = made("bcl[views=simclr]")
    for draw in draws:
        batch = step.batch(draw, 0)
        index, size = draw.index[0], draw.index.shape[1]
        first = step.data.batch(index, {name: value[0, 0] for name, value in draw.views.items()})
        assert torch.equal(batch.images[:size], first)
        for view in range(2):
            other = step.data.batch(index, {name: value[0, view] for name, value in draw.compared.items()})
            assert torch.equal(batch.images[(1 + view) * size : (2 + view) * size], other)
            assert not torch.equal(other, first)


def test_only_the_classified_view_is_mixed():
    _, _, step, draws = made("concutmix[prob=1]")
    batch, draw = step.batch(draws[0], 0), draws[0]
    index, size = draw.index[0], draw.index.shape[1]
    own = step.data.batch(index, {name: value[0, 0] for name, value in draw.views.items()})
    beside = step.data.batch(draw.second.index[0], {n: value[0, 0] for n, value in draw.second.views.items()})
    mix = {name: value[0] for name, value in draw.mix.items()}
    assert torch.equal(batch.images[:size], mixing.create("cmo").apply(own, beside, mix))
    compared = step.data.batch(index, {name: value[0, 1] for name, value in draw.compared.items()})
    assert torch.equal(batch.images[2 * size :], compared)
    assert torch.equal(batch.share, mix["lam"])
    assert torch.equal(batch.partner_targets, step.data.targets[draw.second.index[0]])


# --- objectives ------------------------------------------------------------------------------------------------------


def network(stage: Stage) -> models.Network:
    classifier = "linear" if stage.classifier == "keep" else stage.classifier
    net = models.create(
        "resnet8",
        3,
        classifier=classifier,
        projector=stage.projection,
        projector_kind=stage.projector,
        projector_hidden=stage.projector_hidden,
    )
    return net.double().train()


def batch(targets: torch.Tensor, views: int = 3, **more: torch.Tensor) -> objectives.Batch:
    images = torch.randn(views * len(targets), 3, 8, 8, generator=torch.Generator().manual_seed(0)).double()
    return objectives.Batch(images, targets, **more)


TARGETS = torch.tensor([0, 0, 1, 2, 0, 1])


def parts(stage: Stage, net: models.Network, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Logits of the first view, and raw projections and features of all, batch statistics of all views at once."""
    features = net.backbone(images)
    return net.classifier(features[: len(images) // 3]), net.projector(features), features


def test_proco_adds_its_loss_of_the_second_and_third_view():
    stage = methods.stages("proco[projection=8;hidden=16;weight=0.7;tau=0.5]")[0]
    net, data = network(stage), batch(TARGETS)
    assert net.projector[0].out_features == net.projector[1].num_features == 16
    objective = objectives.create(stage, COUNTS)
    assert objective.views == 3
    value, logits = objective(net, data)
    first, raw, _ = parts(stage, net, data.images)
    prior = torch.tensor(COUNTS).double() / 11
    compared = losses.create("proco[width=8]", COUNTS)(raw[6:], TARGETS.repeat(2))
    expected = F.cross_entropy(first.float() + 0.5 * prior.log().float(), TARGETS) + 0.7 * compared
    torch.testing.assert_close(value.float(), expected.float(), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(logits, first.float())


def test_bcl_as_its_authors_train_it_on_cifar():
    text = "bcl[views=simclr;weight=0.6;ce_weight=2;hidden=12;projection=8;classifier=linear;tau=0.9]"
    stage = methods.stages(text)[0]
    assert stage.view_augmentation == augment.create("simclr").text
    net, data = network(stage), batch(TARGETS)
    value, _ = objectives.create(stage, COUNTS)(net, data)
    first, raw, _ = parts(stage, net, data.images)
    points = net.projector.prototypes(net.classifier.weight)
    assert points.shape == (3, 8)
    compared = losses.create("bcl", COUNTS)(raw[6:], TARGETS.repeat(2), points)
    prior = torch.tensor(COUNTS).double() / 11
    expected = 2 * F.cross_entropy(first.float() + 0.9 * prior.log().float(), TARGETS) + 0.6 * compared
    torch.testing.assert_close(value.float(), expected.float(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("epoch", [1, 4])
def test_concutmix_classifies_with_its_own_labels(epoch: int):
    stage = methods.stages("concutmix[projection=8;hidden=12;factor=1;top_k=2;tau=0.9]")[0]
    net = network(stage)
    partners = torch.tensor([2, 1, 0, 2, 2, 1])
    share = torch.tensor([0.3, 0.6, 1.0, 0.5, 0.9, 0.2])
    data = batch(TARGETS, partner_targets=partners, share=share)
    objective = objectives.create(stage, COUNTS)
    objective.set_epoch(epoch, 4)
    value, _ = objective(net, data)
    first, raw, _ = parts(stage, net, data.images)
    points = net.projector.prototypes(net.classifier.weight)
    label = torch.zeros(6, 3).double()
    for i in range(6):
        label[i, TARGETS[i]] += share[i].double()
        label[i, partners[i]] += 1 - share[i].double()
    if epoch == 4:
        for i in (0, 1, 3, 4, 5):
            near = [1 / math.dist(raw[i].tolist(), c) for c in points.tolist()]
            near = [v if v > min(near) else 0.0 for v in near]
            images = sum(n * v for n, v in zip(COUNTS, label[i].tolist(), strict=True))
            omega = math.log(images) / math.log(6 * 3 * 2)
            label[i] = omega * torch.tensor(near).double() / sum(near) + (1 - omega) * label[i]
    shifted = first + 0.9 * (torch.tensor(COUNTS).double() / 11).log()
    ce = -(label * shifted.log_softmax(1)).sum(1).mean()
    compared = losses.create("bcl", COUNTS)(raw[6:], TARGETS.repeat(2), points)
    assert value.item() == pytest.approx((2 * ce + 0.6 * compared).item(), rel=1e-5)


def test_a_batch_that_is_not_mixed_has_its_classes():
    """Shares of one are logit-adjusted cross-entropy, also late in training."""
    stage = methods.stages("concutmix[projection=8;factor=1]")[0]
    net, data = network(stage), batch(TARGETS)
    objective = objectives.create(stage, COUNTS)
    objective.set_epoch(10, 10)
    plain, _ = objective(net, data)
    mixed, _ = objective(net, data._replace(partner_targets=TARGETS.flip(0), share=torch.ones(6)))
    torch.testing.assert_close(mixed, plain, rtol=1e-6, atol=0)


# --- what is refused, and what it costs ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"loss": "ce", "apart": True}, "apart=true needs a contrastive loss"),
        ({"contrastive": "supcon", "apart": True}, "apart=true needs a contrastive loss"),
        ({"loss": "ce", "view_augmentation": "simclr"}, "view_augmentation is for views"),
        ({"loss": "ce", "contrastive": "concutmix", "projector": "prototypes"}, "loss logit_adjustment"),
        ({"loss": "logit_adjustment", "contrastive": "concutmix"}, "projector=prototypes"),
        ({"loss": "ce", "contrastive": "supcon", "mix": "cmo"}, "cannot be combined with supcon"),
        (
            {"loss": "logit_adjustment", "contrastive": "concutmix", "projector": "prototypes", "mix": "mixup"},
            "mixes with images of the whole set, as cmo, not mixup",
        ),
    ],
)
def test_stages_without_a_meaning_are_refused(settings, said: str):
    with pytest.raises(SettingError, match=said):
        Stage(**settings)


def test_a_bad_augmentation_of_views_is_refused_with_the_method():
    with pytest.raises(SettingError, match="crop first"):
        methods.stages("bcl[views=flip+resizedcrop]")
    with pytest.raises(SettingError, match="classifier of bcl must be linear or normed"):
        methods.stages("bcl[classifier=cosine]")
    experiment = Experiment("cifar10", 100, "resnet32", "bcl[views=crop2+flip]", "ldam")
    with pytest.raises(SettingError, match="padding of 2 pixels and the recipe's with 4"):
        experiment.resolve()
    assert experiment.replace(recipe="ldam[augmentation=crop2+flip]").resolve().stages[0].view_augmentation


def test_the_default_is_what_it_was():
    """Runs of before keep their ids: the fields say nothing at their defaults."""
    stage = methods.stages("bcl")[0]
    assert stage == methods.stages("bcl[views=recipe;hidden=0;ce_weight=1;tau=1;classifier=normed]")[0]
    assert not {"view_augmentation", "projector_hidden", "apart"} & set(stage.identity())
    assert replace(stage, view_augmentation="simclr").identity() != stage.identity()


def test_views_cost_what_they_are():
    base = Experiment("cifar100", 100, "resnet32", "ce", "ldam[evaluate_every=200]")
    ce, bcl, proco, concutmix = (
        cost.work(base.replace(method=name)).macs for name in ("ce", "bcl[views=simclr]", "proco", "concutmix")
    )
    evaluation = 10_000 * 68.9e6
    for three in (bcl, proco, concutmix):
        assert (three - evaluation) / (ce - evaluation) == pytest.approx(3, rel=0.01)


@pytest.mark.parametrize("method", ["bcl[views=simclr;weight=0.6]", "proco", "concutmix"])
def test_where_images_must_not_be_mirrored_views_have_the_recipes_augmentation(method: str):
    experiment = Experiment("cifar100", 100, "resnet32", method, "ldam")
    quick = profiles.resolve(experiment, "quick")
    assert isinstance(quick, Experiment)
    assert quick.resolve().stages[0].view_augmentation == ""
    assert replace(quick.resolve().stages[0], view_augmentation="simclr") == experiment.resolve().stages[0]
    laptop = profiles.resolve(experiment, "laptop")
    assert isinstance(laptop, Experiment)
    assert laptop.method == method

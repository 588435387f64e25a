"""Recipes: the schedules of the codes they are taken from, and settings that cannot be meant are refused."""

from __future__ import annotations

import math

import pytest

from ltlib import recipes
from ltlib.errors import LtlibError
from ltlib.recipes import Recipe


@pytest.mark.parametrize(
    ("epoch", "lr"),
    [(1, 0.02), (2, 0.04), (5, 0.1), (6, 0.1), (160, 0.1), (161, 1e-3), (180, 1e-3), (181, 1e-5), (200, 1e-5)],
)
def test_ldam_schedule(epoch: int, lr: float) -> None:
    """adjust_learning_rate of LDAM-DRW's cifar_train.py, whose epochs count from 0 and are raised by 1."""
    assert recipes.create("ldam").learning_rate(epoch, 200) == pytest.approx(lr, rel=1e-12)


@pytest.mark.parametrize(("epoch", "lr"), [(1, 0.02), (5, 0.1), (32, 0.1), (33, 1e-3), (36, 1e-3), (37, 1e-5)])
def test_ldam_steps_scale_with_the_epochs(epoch: int, lr: float) -> None:
    recipe = recipes.create("ldam[epochs=40]")
    assert recipe.learning_rate(epoch, recipe.epochs) == pytest.approx(lr, rel=1e-12)


def test_convergent_is_constant() -> None:
    """The author's StepLR(step_size=700, ...) never falls within 100 epochs."""
    recipe = recipes.create("convergent")
    assert {recipe.learning_rate(epoch, 100) for epoch in range(1, 101)} == {0.1}
    assert (recipe.batch_size, recipe.patience, recipe.selection) == (32, 10, "best_test_loss")


def test_convergent_text_warms_up() -> None:
    recipe = recipes.create("convergent_text")
    rates = [recipe.learning_rate(epoch, 100) for epoch in range(1, 101)]
    assert rates[0] == pytest.approx(0.019)
    assert rates[9:] == [0.1] * 91
    assert rates[:10] == sorted(rates[:10])


def test_cosine() -> None:
    recipe = recipes.create("ldam[schedule=cosine;warmup_epochs=0]")
    assert recipe.learning_rate(1, 200) == pytest.approx(0.1)
    assert recipe.learning_rate(101, 200) == pytest.approx(0.05)
    assert recipe.learning_rate(151, 200) == pytest.approx(0.05 * (1 + math.cos(math.pi * 0.75)))
    assert 0 < recipe.learning_rate(200, 200) < 1e-4


def test_a_probe_trains_the_classifier_alone_on_large_unchanged_images() -> None:
    recipe = recipes.create("probe")
    rates = [recipe.learning_rate(epoch, 30) for epoch in (1, 11, 16, 30)]
    assert rates == pytest.approx([0.1, 0.075, 0.05, 0.05 * (1 + math.cos(math.pi * 29 / 30))])  # cos 60, 90 degrees
    assert (recipe.epochs, recipe.batch_size, recipe.selection, recipe.optimizer) == (30, 128, "last", "sgd")
    assert (recipe.frozen, recipe.augmentation) == (("backbone",), ())
    assert (recipe.side(32), recipe.normalise) == (224, "signed")
    assert recipes.create("ldam").side(32) == 32


def test_a_stage_shorter_than_its_warm_up_ends_within_it() -> None:
    recipe = recipes.create("ldam")
    assert [recipe.learning_rate(epoch, 2) for epoch in (1, 2)] == pytest.approx([0.02, 0.04])


@pytest.mark.parametrize("name", recipes.RECIPES.names())
@pytest.mark.parametrize("epochs", [1, 2, 7, 40])
def test_every_rate_is_positive_and_at_most_the_peak(name: str, epochs: int) -> None:
    recipe = recipes.create(name)
    rates = [recipe.learning_rate(epoch, epochs) for epoch in range(1, epochs + 1)]
    assert all(0 < rate <= recipe.lr * (1 + 1e-12) for rate in rates)


@pytest.mark.parametrize(
    "text",
    [
        "ldam[epochs=0]",
        "ldam[epochs=2.5]",
        "ldam[batch_size=1]",
        "ldam[lr=0]",
        "ldam[lr=-1]",
        "ldam[lr=nan]",
        "ldam[momentum=1]",
        "ldam[weight_decay=-1]",
        "ldam[weight_decay=inf]",
        "ldam[schedule=linear]",
        "ldam[selection=best]",
        "ldam[precision=fp16]",
        "ldam[normalise=no]",
        "ldam[evaluate_every=0]",
        "ldam[patience=-1]",
        "ldam[warmup_epochs=-1]",
        "ldam[warmup_start=-0.1]",
        "ldam[decay=0]",
        "ldam[milestones=late]",
        "ldam[milestones=0.5+late]",
        "ldam[momentum=0;nesterov=true]",
        "ldam[augmentation=crop]",
        "ldam[augmentation=spin]",
        "ldam[augmentation=4]",
        "ldam[epoch=3]",
        "lda",
    ],
)
def test_wrong_settings_are_refused_when_the_recipe_is_made(text: str) -> None:
    with pytest.raises(LtlibError, match=r".{15}"):
        recipes.create(text)


def test_single_values_of_tuples() -> None:
    assert recipes.create("ldam[milestones=0.5]").milestones == (0.5,)
    assert recipes.create("ldam[milestones=1+2]").milestones == (1.0, 2.0)
    assert recipes.create("ldam[augmentation=shift1]").augmentation == ("shift1",)
    assert recipes.create("ldam[augmentation=none]").augmentation == ()
    photographs = recipes.create("cefl[augmentation=resizedcrop+flip+jitter0.4+rotate15]").augmentation
    assert photographs == ("resizedcrop", "flip", "jitter0.4", "rotate15")


def test_identity_says_values_not_names_and_leaves_out_defaults() -> None:
    assert recipes.create("ldam[evaluate_every=1]").identity() == {}
    assert recipes.create("ldam[epochs=100]").identity() == {"epochs": 100, "evaluate_every": 10}
    assert recipes.create("ldam[precision=bf16]").identity() == recipes.create("ldam").identity()
    full = recipes.create("convergent").identity()
    assert Recipe(**full).identity() == full
    assert "method_defaults" not in full

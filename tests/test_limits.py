"""No setting of any component takes a number that cannot be meant, and the sentence comes before any data is there."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from ltlib import losses, methods, mixing, recipes
from ltlib.batches import samplers
from ltlib.datasets import resampling
from ltlib.errors import SettingError
from ltlib.experiment import Experiment
from ltlib.limits import BELOW_ONE, SHARE, Limit
from ltlib.methods import Stage, finishes
from ltlib.registry import Registry

MAKE: dict[str, tuple[Registry[Any], Callable[[str], Any]]] = {
    "method": (methods.METHODS, methods.stages),
    "loss": (losses.LOSSES, lambda text: losses.create(text, [20, 2])),
    "mixing": (mixing.MIXINGS, mixing.create),
    "recipe": (recipes.RECIPES, recipes.create),
    "optimizer": (recipes.OPTIMIZERS, recipes.OPTIMIZERS.create),
    "average": (recipes.AVERAGES, recipes.AVERAGES.create),
    "sampler": (samplers.SAMPLERS, samplers.SAMPLERS.create),
    "finish": (finishes.FINISHES, finishes.FINISHES.create),
    "resampling": (resampling.RESAMPLERS, resampling.RESAMPLERS.create),
}


def numbers() -> Iterator[tuple[str, str, str]]:
    """Kind, component and setting of everything that has a number for its default."""
    for kind, (registry, _) in MAKE.items():
        for entry in registry:
            for setting, default in entry.defaults.items():
                first = default[0] if isinstance(default, tuple) and default else default
                if isinstance(first, (int, float)) and not isinstance(first, bool):
                    yield kind, entry.name, setting


@pytest.mark.parametrize(("kind", "name", "setting"), list(numbers()))
def test_no_number_is_negative(kind: str, name: str, setting: str) -> None:
    _, make = MAKE[kind]
    make(name)
    with pytest.raises(SettingError, match=r"must.*-1"):
        make(f"{name}[{setting}=-1]")


def test_there_is_something_to_try() -> None:
    kinds = {kind for kind, *_ in numbers()}
    assert kinds == set(MAKE)
    assert len(list(numbers())) > 150


SHARES = {"prob", "start_share", "start", "keep", "threshold", "own_share", "scale", "epsilon", "epsilon_head"}
SHARES |= {"epsilon_tail", "beta", "beta1", "beta2", "momentum", "decay"}
NOT_SHARES = {("ldam", "scale"), ("ldam_drw", "scale"), ("paco", "beta")}


@pytest.mark.parametrize(("kind", "name", "setting"), [each for each in numbers() if each[2] in SHARES])
def test_a_share_is_at_most_one(kind: str, name: str, setting: str) -> None:
    if (name, setting) in NOT_SHARES:
        return
    with pytest.raises(SettingError, match=r"must.*1\.5"):
        MAKE[kind][1](f"{name}[{setting}=1.5]")


@pytest.mark.parametrize(
    "text",
    [
        "mixup[alpha=0]",  # Beta(0, 0) is no distribution
        "cutmix[alpha=0]",
        "cutout[scale=0]",
        "crt[epochs=0]",  # a fresh classifier that nobody trains
        "mislas[epochs=0]",
        "supcon[probe_epochs=0]",
        "awabs_cutmix[lr=0]",  # the only rate of its second stage
        "weight_balancing[max_norm=1.1]",  # a share of the way to the longest row
        "weight_balancing[lr=0]",
        "kcl[temperature=0]",
        "simclr_ce[temperature=0]",
        "tsc[temperature=0]",
        "bcl[temperature=0]",
        "mixup_cbce[beta=1]",  # the effective number of samples has 1 - beta below the line
        "class_balanced[beta=1]",
        "deferred[beta=1]",
        "ohem[keep=0]",
        "ldam[scale=0]",
        "mislas[epsilon_head=0.1;epsilon_tail=0.2]",
        "resampling[sampler=class_aware[per_class=0]]",
        "resampling[sampler=deferred[start=2]]",
        "cmo[loss=ldam[scale=0]]",
        "ofbd[pooling=max]",
        "ofbd[boxes=random]",
        "ofbd[of=bcl]",  # a loss that takes no mixed image
        "ofbd[of=bbn;boxes=own]",
        "ofbd[of=ride;pooling=mean]",
    ],
)
def test_ends_that_cannot_be_meant_are_refused_with_the_method(text: str) -> None:
    """Also those of a second stage, which would else be refused when the first is trained."""
    with pytest.raises(SettingError):
        methods.stages(text)


@pytest.mark.parametrize(
    "text", ["ldam[milestones=0]", "ldam[milestones=0.5+-1]", "ldam[optimizer=adam[eps=0]]", "ldam[decay=0]"]
)
def test_ends_that_cannot_be_meant_are_refused_with_the_recipe(text: str) -> None:
    with pytest.raises(SettingError, match="must"):
        recipes.create(text)


@pytest.mark.parametrize(
    "changes",
    [
        {"epochs": math.nan},
        {"epochs": math.inf},
        {"epochs": True},
        {"lr": {"classifier": math.nan}},
        {"lr": {}},
        {"weights": (1.0, math.nan)},
        {"weight_decay": -1e-9},
        {"max_norm": math.inf},
        {"projection": 1.5},
        {"beta": 1.01},
        {"classifier": "resett"},
        {"batch_norm": "freeze"},
        {"network": "bnb"},
        {"schedule": "linear"},
        {"classifier_input": "pixels"},
    ],
)
def test_a_stage_of_ones_own_is_held_to_the_same(changes: dict[str, Any]) -> None:
    with pytest.raises(SettingError, match=r"stage"):
        Stage(loss=losses.spec("ce"), **changes)


def test_what_is_at_the_edge_and_can_be_meant_stays() -> None:
    for text in (
        "mislas[lr=0]",
        "lade[alpha=0]",
        "tau_norm[tau=0]",
        "focal[gamma=0]",
        "cutmix[prob=0]",
        "ldam[scale=1]",
    ):
        assert methods.stages(text)
    assert recipes.create("ldam[decay=1;weight_decay=0;momentum=0;milestones=7]").milestones == (7.0,)
    assert samplers.SAMPLERS.create("deferred[start=1;beta=1]")
    assert Stage(loss=losses.spec("ce"), epochs=0.0, lr={}, finish=finishes.spec("nearest_class_mean")).epochs == 0


@pytest.mark.parametrize("text", ["supcon[projection=64.5]", "supcon[projection=64.0]", "kcl[k=1.5]"])
def test_a_whole_number_has_no_decimal_point(text: str) -> None:
    with pytest.raises(SettingError, match="must be a whole number"):
        methods.spec(text)


@pytest.mark.parametrize("count", [-1, 2.5, math.nan, "a", None, True])
def test_images_of_a_class_are_a_whole_number(count: Any) -> None:
    with pytest.raises(SettingError, match=r"class_counts\[1\] must be a whole number of at least 0"):
        Experiment(class_counts=(5, count, 3))
    assert Experiment(class_counts=(5, np.int64(4), 0)).class_counts == (5, 4, 0)


def test_a_number_too_large_for_a_float_is_refused() -> None:
    with pytest.raises(SettingError, match="tau of method logit_adjustment is too large"):
        methods.spec(f"logit_adjustment[tau=1{'0' * 400}]")


def test_limits_say_what_they_are() -> None:
    assert str(Limit()) == "a number of at least 0"
    assert str(Limit(above=True)) == "a number above 0"
    assert str(SHARE) == "a number from 0 to 1"
    assert str(BELOW_ONE) == "a number from 0 to below 1"
    assert str(Limit(most=1, above=True)) == "a number above 0 and at most 1"
    assert str(Limit(2, whole=True)) == "a whole number of at least 2"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, True, "1", None, 1j, 10**400 * -1])
def test_what_is_no_number_is_outside_every_limit(value: Any) -> None:
    with pytest.raises(SettingError, match=r"^it must be a number of at least 0, not "):
        Limit().check("it", value)


def test_numbers_of_numpy_are_numbers() -> None:
    for value in (np.float32(0.5), np.float64(1), np.int64(1)):
        SHARE.check("it", value)
    Limit(1, whole=True).check("it", np.int64(3))
    with pytest.raises(SettingError):
        SHARE.check("it", np.float32("nan"))

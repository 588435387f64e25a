"""Optimizers as recipes name them: one spelling, one identity, mistakes refused where the recipe is made."""

from __future__ import annotations

import pytest

from ltlib import recipes
from ltlib.errors import LtlibError, SettingError, UnknownName
from ltlib.experiment import Experiment
from ltlib.recipes import OPTIMIZERS


def test_the_optimizer_is_in_the_identity_with_its_version_unless_it_is_sgd() -> None:
    plain = recipes.create("ldam").identity()
    assert plain == {"evaluate_every": 10}
    assert recipes.create("ldam[optimizer=sgd]").identity() == plain
    assert recipes.create("ldam[optimizer=sgd[momentum=0.9;nesterov=false]]").identity() == plain
    changed = recipes.create("ldam[optimizer=adam[beta1=0.8]]").identity()
    assert changed == plain | {
        "optimizer": {"name": "adam", "version": 1, "settings": {"beta1": 0.8, "beta2": 0.999, "eps": 1e-8}}
    }
    texts = ["ldam", "ldam[optimizer=adam]", "ldam[optimizer=adamw]", "ldam[optimizer=adam[beta1=0.8]]"]
    assert len({Experiment(recipe=text).run_id for text in texts}) == 4


def test_a_new_version_of_sgd_is_another_run(monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    entries = OPTIMIZERS._entries | {"sgd": replace(OPTIMIZERS.get("sgd"), version=2)}
    before = recipes.create("ldam").identity()
    monkeypatch.setattr(OPTIMIZERS, "_entries", entries)
    after = recipes.create("ldam").identity()
    assert after != before
    assert after["optimizer"]["version"] == 2


def test_one_optimizer_has_one_spelling() -> None:
    assert recipes.create("ldam[optimizer=adam]") == recipes.create("ldam[optimizer=adam[eps=1e-8;beta1=0.9]]")
    assert recipes.create("ldam[optimizer=adam]").optimizer == "adam[beta1=0.9;beta2=0.999;eps=1e-08]"
    in_brackets = recipes.create("ldam[optimizer=sgd[momentum=0.8;nesterov=true]]")
    assert in_brackets == recipes.create("ldam[momentum=0.8;nesterov=true]")
    assert (in_brackets.optimizer, in_brackets.momentum, in_brackets.nesterov) == ("sgd", 0.8, True)
    spec = recipes.spec("ldam[epochs=3;optimizer=adam[beta1=0.8;beta2=0.9]]")
    assert recipes.create(str(spec)) == recipes.create(spec), "brackets in brackets read back as written"


def test_unknown_names_list_the_nearest() -> None:
    with pytest.raises(UnknownName, match=r"unknown optimizer 'adamv'; did you mean .*adamw"):
        recipes.create("ldam[optimizer=adamv]")
    with pytest.raises(UnknownName, match=r"unknown setting of optimizer adam: 'beta'; did you mean beta2 or beta1"):
        recipes.create("ldam[optimizer=adam[beta=0.9]]")


@pytest.mark.parametrize(
    "optimizer",
    [
        "adam[beta1=1]",
        "adam[beta2=-0.1]",
        "adamw[beta2=1.5]",
        "adam[eps=-1]",
        "adam[eps=nan]",
        "adam[beta1=high]",
        "sgd[momentum=1]",
        "sgd[momentum=0;nesterov=true]",
        "3",
        "adam;momentum=0.5",
        "adam;nesterov=true",
    ],
)
def test_optimizers_that_cannot_be_meant_are_refused_when_the_recipe_is_made(optimizer: str) -> None:
    with pytest.raises(LtlibError, match=r".{15}"):
        recipes.create(f"ldam[optimizer={optimizer}]")


def test_settings_of_sgd_are_not_lost_on_another_optimizer() -> None:
    with pytest.raises(SettingError, match="momentum and nesterov are sgd's; adam does not read them"):
        recipes.create("ldam[optimizer=adam;momentum=0.5]")

"""Methods as data: what their stages train, and what identifies them."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest

from ltlib import losses, methods, mixing, recipes
from ltlib.batches import draws
from ltlib.errors import LtlibError, SettingError, UnknownName
from ltlib.files import canonical_json
from ltlib.methods import METHODS, Stage, finishes
from ltlib.methods.teaching import Teaching
from ltlib.registry import Spec
from ltlib.training import objectives


@pytest.mark.parametrize("name", METHODS.names())
def test_every_method_is_documented_and_its_stages_can_be_built(name: str) -> None:
    entry = METHODS.get(name)
    assert entry.summary.endswith(".")
    assert entry.source
    found = methods.stages(name)
    for stage in found:
        objective = objectives.create(stage, [5, 3, 1])
        assert (objective.loss is None) == (stage.loss is None)
        assert set(stage.lr) <= {"backbone", "projector", "classifier", "scales"}
        canonical_json(stage.identity())
    assert found[-1].loss is not None, "the last stage must classify"


def test_supervised_baseline() -> None:
    (stage,) = methods.stages("ce")
    assert stage.loss is not None
    assert (stage.loss.name, stage.contrastive, stage.projection) == ("ce", None, 0)
    assert stage.lr == {"backbone": 1.0, "projector": 1.0, "classifier": 1.0}


def test_focal_hands_its_settings_to_its_loss() -> None:
    (stage,) = methods.stages("focal[gamma=1;alpha=0.25]")
    assert stage.loss is not None
    assert stage.loss.settings == {"alpha": 0.25, "gamma": 1.0}
    assert methods.stages("focal[alpha=1]")[0].identity() == methods.stages("focal[alpha=1.0]")[0].identity()
    loss = losses.create(stage.loss, [5, 3])
    assert loss.gamma == 1.0


def test_a_probe_trains_a_fresh_classifier_and_nothing_else() -> None:
    learn, probe = methods.stages("supcon")
    assert learn.loss is None
    assert "classifier" not in learn.lr
    assert dict(probe.lr) == {"classifier": 1.0}
    assert (probe.classifier, probe.batch_norm, probe.epochs) == ("reset", "eval", 0.2)
    assert (probe.weight_decay, probe.peak_lr, probe.sampler.name) == (0.0, 1.25, "instance_balanced")


def test_targets_wait_for_classes_that_have_a_place() -> None:
    waits, aims, probe = methods.stages("tsc[start=0.25]")
    assert [waits.contrastive.name, aims.contrastive.name] == ["kcl", "tsc"]
    assert (waits.epochs, aims.epochs, probe.sampler.name) == (0.25, 0.75, "class_balanced")
    assert [stage.epochs for stage in methods.stages("tsc[start=0]")] == [1.0, 0.2]


def test_settings_reach_the_method_that_another_goes_on_from() -> None:
    def tau(text: str) -> dict[str, float]:
        return {"tau": 0.5} if text.startswith("concutmix") else {}

    assert methods.adjusted("concutmix[factor=0.0]", tau) == "concutmix[factor=0.0;tau=0.5]"
    assert methods.adjusted("refit[of=refit[of=concutmix]]", tau) == "refit[of=refit[of=concutmix[tau=0.5]]]"
    assert methods.adjusted("focal[gamma=1]", tau) == "focal[gamma=1]", "as it stands"


@pytest.mark.parametrize(
    "text",
    [
        "focal[gamma=-1]",
        "supcon[temperature=0]",
        "supcon[probe_rate=0]",
        "tsc[start=1]",
        "supcon_ce[contrastive_weight=-1]",
        "supcon_ce[contrastive_weight=0;ce_weight=0]",
        "supcon_ce[classifier_input=pixels]",
        "focal[gama=1]",
        "supkon",
    ],
)
def test_wrong_settings_are_refused(text: str) -> None:
    with pytest.raises(LtlibError, match=r".{15}"):
        methods.stages(text)


def test_a_stage_without_a_loss_is_refused() -> None:
    with pytest.raises(ValueError, match="loss"):
        objectives.create(Stage(), [1, 1])


CHANGES = {
    "loss": Spec("ce", 2, {}),
    "contrastive": losses.spec("supcon"),
    "weights": (1.0, 2.0),
    "sampler": Spec("instance_balanced", 2, {}),
    "epochs": 0.5,
    "epoch_ends": "images",
    "lr": {"classifier": 1.0},
    "classifier": "reset",
    "projection": 64,
    "projector": "prototypes",
    "classifier_input": "projection",
    "batch_norm": "eval",
    "mix": mixing.spec("mixup"),
    "network": "bbn",
    "experts": ("ce", "focal"),
    "diversity": 0.5,
    "pooling": "foreground",
    "teaching": Teaching("ce", (0, 1), 0.5, 2.0),
    "second_sampler": Spec("reversed", 1, {}),
    "schedule": "cosine",
    "peak_lr": 0.01,
    "weight_decay": 5e-3,
    "selects_by": "objective",
    "max_norm": 1.0,
    "finish": Spec("tau_normalization", 1, {"tau": 1.0}),
    "beta": 0.99,
    "projector_hidden": 512,
    "apart": True,
    "view_augmentation": "simclr",
}


BESIDE_A_CONTRASTIVE_LOSS = ("selects_by", "projector", "apart", "view_augmentation")


def test_every_field_of_a_stage_identifies_it() -> None:
    assert set(CHANGES) == {field.name for field in dataclasses.fields(Stage)}, "a field was added: say it here"
    plain = Stage(loss=losses.spec("ce"))
    seen = {canonical_json(plain.identity())}
    for name, value in CHANGES.items():
        beside = {"contrastive": losses.spec("bcl")} if name in BESIDE_A_CONTRASTIVE_LOSS else {}
        if name == "experts":
            beside = {"network": "experts"}  # type: ignore[dict-item]
        seen.add(canonical_json(dataclasses.replace(plain, **beside, **{name: value}).identity()))  # type: ignore[arg-type]
    assert len(seen) == 1 + len(CHANGES)


def test_a_field_with_its_default_is_left_out_of_the_identity() -> None:
    """So a field added later changes no older run's identity."""
    assert set(Stage(loss=losses.spec("ce")).identity()) == {"loss", "contrastive", "sampler"}


def test_settings_of_a_recipe_fill_in_what_the_method_has() -> None:
    given = {"gamma": 2.0, "alpha": "inverse_frequency", "classifier_input": "projection"}
    assert methods.spec("focal", **given).settings == {"alpha": "inverse_frequency", "gamma": 2.0}
    assert methods.spec("supcon_ce", **given).settings["classifier_input"] == "projection"
    assert methods.spec("ce", **given).settings == {}
    assert methods.spec("focal[alpha=none]", **given).settings["alpha"] is None
    with pytest.raises(SettingError):
        methods.spec("focal[gamma=high]", **given)


def test_importing_the_package_knows_every_method() -> None:
    """Whoever imports nothing else finds them too: what is registered does not hang on the order of imports."""
    code = "from ltlib import methods; print(*methods.METHODS.names())"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert sorted(found) == sorted(METHODS.names())
    assert {"ce", "mislas", "awabs_cutmix", "bbn", "supcon_ce", "vs"} <= set(found)


def test_components_of_a_stage_may_be_text() -> None:
    said = Stage(
        loss="focal[gamma=1]",
        sampler="class_aware",
        second_sampler="reversed",
        mix="cutmix[alpha=0.5]",
        finish="tau_normalization",
    )
    spelled = Stage(
        loss=losses.spec("focal[gamma=1.0]"),
        sampler=draws.spec("class_aware"),
        second_sampler=draws.spec("reversed"),
        mix=mixing.spec("cutmix[alpha=0.5]"),
        finish=finishes.spec("tau_normalization"),
    )
    assert said == spelled
    assert said.identity() == spelled.identity()
    assert Stage(contrastive="supcon").contrastive == losses.spec("supcon")
    with pytest.raises(UnknownName, match="unknown loss 'focall'; did you mean focal"):
        Stage(loss="focall")
    with pytest.raises(UnknownName, match="unknown sampler"):
        Stage(loss="ce", sampler="class_awar")


def test_numbers_from_numpy_are_numbers() -> None:
    said = Stage(loss="ce", epochs=np.float32(0.1), lr={"classifier": np.int64(1)}, weights=(np.float32(0.5), 1.0))
    plain = Stage(loss="ce", epochs=0.1, lr={"classifier": 1}, weights=(0.5, 1.0))
    assert json.dumps(said.identity()) == json.dumps(plain.identity())
    assert recipes.Recipe(lr=np.float32(0.1), epochs=np.int64(3)) == recipes.Recipe(lr=0.1, epochs=3)
    assert losses.create("focal", [5, 2], gamma=np.float32(1.5)).gamma == 1.5
    assert losses.create("focal", np.array([5, 2]), gamma=np.int64(1)).gamma == 1.0

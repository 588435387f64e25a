"""Parts that a recipe leaves as they begin, in every stage of any method."""

from __future__ import annotations

import pytest
import torch

from ltlib import recipes, runs
from ltlib.errors import SettingError, UnknownName
from ltlib.experiment import Experiment
from ltlib.training import assembly

SHORT = "convergent[augmentation=shift1;epochs=2"


def rates(method: str, frozen: str) -> list[dict[str, float]]:
    exp = Experiment("digits", 20, model="resnet8", method=method, recipe=f"ldam[frozen={frozen}]")
    return [dict(stage.lr) for stage in exp.resolve().stages]


def test_frozen_parts_have_no_rate_in_any_stage() -> None:
    assert rates("ce", "backbone") == [{"projector": 1.0, "classifier": 1.0}]
    assert rates("crt", "backbone") == [{"projector": 1.0, "classifier": 1.0}, {"classifier": 1.0}]
    assert rates("ce", "backbone+projector") == [{"classifier": 1.0}]
    assert rates("supcon_ce", "classifier") == [{"backbone": 1.0, "projector": 1.0}]
    assert rates("mislas", "backbone")[1] == {"classifier": 0.5, "scales": 1.0}


def test_a_method_whose_second_stage_has_no_epochs_keeps_it() -> None:
    first, second = rates("tau_norm", "backbone")
    assert first == {"projector": 1.0, "classifier": 1.0}
    assert second == rates("tau_norm", "none")[1]


@pytest.mark.parametrize(
    ("method", "frozen", "place"),
    [
        ("ce", "backbone+classifier", "ce would train nothing"),  # a projector it would train is not there
        ("crt", "classifier", "stage 2 of crt would train nothing with frozen=classifier"),
        ("mislas", "classifier", "stage 2 of mislas"),  # its scales are the classifier's
        ("supcon", "backbone+projector", "stage 1 of supcon"),
        ("bbn", "backbone+classifier", "bbn"),
    ],
)
def test_a_stage_that_would_train_nothing_is_refused(method: str, frozen: str, place: str) -> None:
    with pytest.raises(SettingError, match=place):
        rates(method, frozen)


def test_unknown_parts_and_one_identity_for_one_meaning() -> None:
    with pytest.raises(UnknownName, match="backbone"):
        recipes.create("ldam[frozen=backbon]")
    one = recipes.create("ldam[frozen=projector+backbone]")
    assert one == recipes.create("ldam[frozen=backbone+projector]")
    assert one.frozen == ("backbone", "projector")
    assert recipes.create("ldam[frozen=none]").identity() == recipes.create("ldam").identity()
    assert recipes.create("ldam[frozen=backbone;resize=64]").identity() == {
        "evaluate_every": 10,
        "frozen": ("backbone",),
        "resize": 64,
    }


@pytest.mark.parametrize("method", ["ce", "crt", "lws_mixup_shifted_bn", "supcon", "bbn"])
def test_a_frozen_backbone_ends_as_it_began(tiny: Experiment, method: str) -> None:
    """Its batch statistics too, those of shifted batch normalisation among them; the classifier has learnt."""
    exp = tiny.replace(method=method, recipe=f"{SHORT};frozen=backbone]", limit=60)
    before = assembly.build(exp.resolve(), 10).state_dict()
    after = runs.run(exp).network().state_dict()
    frozen = [name for name in after if name.startswith("backbone.") and "num_batches" not in name]
    assert any("running_var" in name for name in frozen)
    assert all(torch.equal(before[name], after[name]) for name in frozen)
    changed = [name for name in after if name.startswith("classifier.") and name in before]
    assert changed or method.startswith("lws")
    assert not any(torch.equal(before[name], after[name]) for name in changed if name.endswith("weight"))


def test_shifted_statistics_still_shift_where_only_the_stage_freezes(tiny: Experiment) -> None:
    exp = tiny.replace(method="lws_mixup_shifted_bn", recipe=f"{SHORT}]", limit=60)
    resolved = exp.resolve()
    runs.run(exp)
    from ltlib import places, sealed

    one, two = (
        sealed.read_tensors(places.runs_folder() / "stages" / resolved.stage_id(i) / "weights.safetensors")
        for i in (0, 1)
    )
    name = "backbone.bn1.running_mean"
    assert not torch.equal(one[name], two[name])

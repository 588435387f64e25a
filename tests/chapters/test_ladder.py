"""The ladder: what each rung is trained with, and what its gains are called, by hand."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ltlib import grids, profiles
from ltlib.chapters.beyond import experts, ladder
from ltlib.experiment import Experiment
from ltlib.grids.beyond import EXPERTS, RUNGS, Rung, experts_experiment, rung_experiment

BY_KEY = {rung.key: rung for rung in RUNGS}


def a_run(experiment: Experiment, accuracy: float, seconds: float = 10.0, device: str = "one") -> Any:
    group = {"accuracy": accuracy / 2}
    metrics = {"accuracy": accuracy, "ece": 0.1, "groups": {"head": {"accuracy": 0.9}, "tail": group}}
    zeros, sure = np.zeros(4, dtype=int), np.array([1.0, 1.0, 0.5, 0.5])
    said = SimpleNamespace(targets=zeros, predicted=np.array([0, 1, 0, 0]), confidence=sure)
    return SimpleNamespace(
        predictions={"last": said},
        id=f"{experiment.run_id}{accuracy}",
        cell_id=experiment.cell_id,
        experiment=experiment,
        metrics={"last": metrics},
        seconds=seconds,
        provenance={"device": device},
        parameters=1_500,
        teachers={},
        class_counts=[5000, 50],
        history=pd.DataFrame({"stage": [1] * 30}),
    )


def laptop(key: str, *accuracies: float, **more: Any) -> list[Any]:
    """Runs of a rung on CIFAR-10 in the laptop profile."""
    trained = profiles.resolve(rung_experiment(BY_KEY[key], "cifar10", "laptop"), "laptop")
    assert isinstance(trained, Experiment)
    return [a_run(trained, accuracy, **more) for accuracy in accuracies]


def test_a_rung_has_what_the_rungs_before_it_have_and_no_side_branch() -> None:
    averaging = rung_experiment(BY_KEY["averaging"], "cifar10").resolve().recipe
    assert (averaging.nesterov, averaging.schedule, averaging.weight_decay) == (True, "cosine", 5e-4)
    assert averaging.augmentation == ("crop4", "altflip", "autoaugment", "cutout16")
    assert averaging.sharpness == 0
    assert rung_experiment(BY_KEY["sharpness"], "cifar10").resolve().recipe.sharpness == 0.05
    longest = rung_experiment(BY_KEY["length"], "cifar10").resolve().recipe
    assert (longest.epochs, longest.sharpness, longest.average) == (400, 0, "ema[decay=0.99]")
    assert rung_experiment(BY_KEY["standard"], "cifar10").recipe == "ldam"


def test_the_last_rungs_refit_a_classifier_and_learn_from_five_networks_of_that() -> None:
    """In ``paper`` of 400 epochs and 40; in ``laptop``, of 30, the refit shares what `averaging` has trained."""
    refit, taught = (rung_experiment(BY_KEY[key], "cifar100").resolve() for key in ("refit", "distilled"))
    assert [refit.epochs(i) for i in range(2)] == [400, 40]
    assert refit.stage_id(0) == rung_experiment(BY_KEY["similarity"], "cifar100").run_id
    assert taught.teachers == tuple(refit.experiment.replace(seed=seed) for seed in range(5))
    assert [stage.teaching is not None for stage in taught.stages] == [True, True]
    there = profiles.resolve(rung_experiment(BY_KEY["refit"], "cifar100", "laptop"), "laptop")
    below = profiles.resolve(rung_experiment(BY_KEY["similarity"], "cifar100", "laptop"), "laptop")
    assert isinstance(there, Experiment)
    assert isinstance(below, Experiment)
    assert there.resolve().stage_id(0) == below.run_id
    assert not rung_experiment(BY_KEY["refit"], "cifar100").resolve().recipe.sharpness, "on no side branch"


def test_teachers_count_in_what_a_rung_costs() -> None:
    """Time: 30 of the student and 2 x 25 of its teachers, in units of 10. Images: in units of 30 epochs, those of its
    own 30 in three views and 3 in one, five looks of teachers at each, and five such trainings."""
    runs = laptop("standard", 0.5) + laptop("distilled", 0.6, seconds=30.0)
    runs[1].teachers = {"a": 25.0, "b": 25.0}
    runs[1].history = pd.DataFrame({"stage": [1] * 30 + [2] * 3})
    frame = ladder.table(ladder.climbed(runs, "cifar10", "laptop"))
    assert frame["time (first = 1)"].tolist() == [1.0, 8.0]
    assert frame["images seen (first = 1)"].tolist() == [1.0, round((30 * 8 + 3 * 6 + 5 * (30 * 3 + 3)) / 30, 2)]


def test_rungs_that_a_profile_cannot_afford_are_left_out() -> None:
    rungs = {profile: len(grids.experiments("beyond/ladder", profile)[0]) for profile in profiles.PROFILES}
    assert rungs == {"quick": 9, "laptop": 20, "paper": 72}  # digits have no policy and stand for both sets


def test_gains_are_those_over_the_rung_that_it_stands_on() -> None:
    runs = laptop("standard", 0.50) + laptop("optimisation", 0.53) + laptop("sharpness", 0.52) + laptop("prior", 0.535)
    found = ladder.climbed(runs, "cifar10", "laptop")
    assert [rung.key for rung in found] == ["standard", "optimisation", "prior", "sharpness"]
    assert ladder.before(found, BY_KEY["prior"]) is BY_KEY["optimisation"]
    difference, low, high, runs_a_side = ladder.gain(found, BY_KEY["prior"])
    assert (difference, low, high) == pytest.approx((0.005, -0.005, 0.015))
    assert runs_a_side == 1
    assert math.isnan(ladder.gain(found, BY_KEY["standard"])[0])
    said = ladder.sentence(found)
    assert said.startswith("from 50.0% on the first rung to 53.5% on the last; ")
    assert "ahead of the rung before, with 1 run a rung, by more than a point: optimisation (+3.0)" in said
    assert "behind it: sharpness (-1.5)" in said  # on `prior`, which is 1.5 above
    assert "cannot be told: prior (+0.5)" in said


def test_time_on_another_machine_is_not_held_against_the_first_rungs() -> None:
    runs = laptop("standard", 0.5) + laptop("averaging", 0.6, device="another") + laptop("sharpness", 0.6, seconds=20.0)
    frame = ladder.table(ladder.climbed(runs, "cifar10", "laptop"))
    assert frame["time (first = 1)"].tolist() == pytest.approx([1.0, math.nan, 2.0], nan_ok=True)


def test_a_rung_stands_on_no_side_branch() -> None:
    found: dict[Rung, Any] = {BY_KEY[key]: [1] for key in ("averaging", "sharpness", "length")}
    assert ladder.before(found, BY_KEY["length"]) is BY_KEY["averaging"]


def test_three_runs_a_rung_have_an_interval() -> None:
    """Means 0.50 and 0.53, both with standard deviation 0.01: Welch's half width is t(4) sqrt(2 / 3) 0.01."""
    runs = laptop("standard", 0.49, 0.50, 0.51) + laptop("optimisation", 0.52, 0.53, 0.54)
    found = ladder.climbed(runs, "cifar10", "laptop")
    _, low, high, n = ladder.gain(found, BY_KEY["optimisation"])
    half = 2.7764451 * math.sqrt(2 / 3) * 0.01
    assert (low, high) == pytest.approx((0.03 - half, 0.03 + half))
    assert n == 3
    assert "by its 95% interval: optimisation (+3.0)" in ladder.sentence(found)


def test_cost_is_in_units_of_the_first_rung() -> None:
    runs = laptop("standard", 0.5) + laptop("averaging", 0.6, seconds=12.0) + laptop("sharpness", 0.6, seconds=20.0)
    frame = ladder.table(ladder.climbed(runs, "cifar10", "laptop"))
    assert frame["images seen (first = 1)"].tolist() == [1.0, 1.0, 2.0]
    assert frame["time (first = 1)"].tolist() == [1.0, 1.2, 2.0]
    assert frame["tail (%)"].tolist() == [25.0, 30.0, 30.0]
    # two at 1.0, one of them right: 0.25 whatever chance does; two at 0.5, both right: 0.25, by chance 0 or 0.25
    assert frame["chance alone (%)"].tolist() == pytest.approx([12.5] * 3, abs=3)
    assert (frame["ECE debiased (%)"] > 25).all()
    assert frame["between"].tolist() == ["", "+9.0 to +11.0", "-1.0 to +1.0"]


def test_rungs_that_a_profile_trains_alike_are_shown_once() -> None:
    """And where one set stands for both, one of them is trained and shown."""
    trained, _ = grids.experiments("beyond/ladder", "quick")
    runs = [a_run(experiment, 0.5) for experiment in trained]
    ((found, own),) = ladder.by_set(lambda dataset: ladder.climbed(runs, dataset, "quick"))
    assert own == runs
    assert [rung.key for rung in found] == [
        *("standard", "optimisation", "prior", "mixing", "averaging", "sharpness", "views", "similarity", "refit")
    ]


def test_one_rung_says_nothing_of_a_step() -> None:
    assert "one rung alone" in ladder.sentence(ladder.climbed(laptop("standard", 0.5), "cifar10", "laptop"))


def test_no_rung_mirrors_a_digit() -> None:
    """A refit classifier goes on from a method whose views are mirrored elsewhere."""
    for experiment in grids.experiments("beyond/ladder", "quick")[0]:
        for stage in experiment.resolve().stages:
            assert "flip" not in stage.view_augmentation
    there = profiles.resolve(rung_experiment(BY_KEY["refit"], "cifar100", "quick"), "quick")
    assert isinstance(there, Experiment)
    assert there.method == "refit[fresh=false;of=concutmix[views=recipe]]"


def test_the_last_rungs_have_their_authors_settings_for_a_set_and_a_length() -> None:
    """Of the code's commands for CIFAR-100 at 100, 200 and 400 epochs, and for CIFAR-10."""

    def settings(dataset: str, profile: str) -> tuple[Any, ...]:
        (stage, _) = rung_experiment(BY_KEY["refit"], dataset, profile).resolve().stages
        assert stage.contrastive is not None
        assert stage.loss is not None
        own = stage.contrastive.settings
        return stage.loss.settings["tau"], own["start"], own["top_k"], own["factor"]

    assert settings("cifar100", "laptop") == (0.9, 0.5, 30, 20 / 255)
    assert settings("cifar100", "paper") == (0.79, 0.4, 30, 20 / 255)
    assert settings("cifar10", "laptop") == (0.85, 0.5, 3, 0.00784)
    views = rung_experiment(BY_KEY["views"], "cifar10", "laptop").resolve().stages[0].contrastive
    assert views is not None
    assert (views.settings["factor"], views.settings["top_k"]) == (0.0, 3)


def test_experts_stand_beside_one_network_of_the_same_recipe() -> None:
    made = {one.key: experts_experiment(one, "cifar10") for one in EXPERTS}
    assert made["one network"] == rung_experiment(BY_KEY["prior"], "cifar10")
    assert {experiment.recipe for experiment in made.values()} == {made["one network"].recipe}
    kinds = {key: experiment.resolve().stages[0].network for key, experiment in made.items()}
    assert kinds == {"one network": "plain", "RIDE": "experts", "SADE": "experts", "BalPoE": "experts"}
    asked = {experiment.cell_id for experiment in grids.experiments("beyond/experts", "paper")[0]}
    assert {profiles.resolve(experiment, "paper").cell_id for experiment in made.values()} <= asked  # type: ignore[union-attr]


def test_experts_are_held_against_the_one_network_and_its_size() -> None:
    def runs_of(key: str, accuracy: float, macs: int) -> list[Any]:
        (one,) = (one for one in EXPERTS if one.key == key)
        trained = profiles.resolve(experts_experiment(one, "cifar10"), "laptop")
        assert isinstance(trained, Experiment)
        run = a_run(trained, accuracy)
        run.macs = macs
        return [run]

    alone = runs_of("one network", 0.52, 10_000_000)
    assert experts.sentence(experts.beside(alone, "cifar10", "laptop")) == (
        "experts and one network are not both trained yet."
    )
    runs = alone + runs_of("RIDE", 0.50, 24_000_000) + runs_of("BalPoE", 0.55, 25_000_000)
    found = experts.beside(runs, "cifar10", "laptop")
    said = experts.sentence(found)
    assert said.startswith("one network has 52.0%; ahead of it, with 1 run each, by more than a point: BalPoE (+3.0); ")
    assert "behind it: RIDE (-2.0)" in said
    assert said.endswith("an image takes the experts 2.4 to 2.5 times its multiply-accumulates.")
    frame = experts.table(found)
    assert frame["method"].tolist() == ["one network", "RIDE", "BalPoE"]
    assert frame["gain (points)"].tolist()[1:] == [-2.0, 3.0]
    assert frame["MACs (million)"].tolist() == [10.0, 24.0, 25.0]

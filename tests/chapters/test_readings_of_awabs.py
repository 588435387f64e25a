"""Readings of the printed numbers: what each trains, what they share, and which is called nearest, by hand."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ltlib import grids, profiles
from ltlib.chapters.beyond import readings
from ltlib.errors import SettingError
from ltlib.experiment import Experiment
from ltlib.grids import awabs as grid
from ltlib.methods import stages
from ltlib.registry import parse
from ltlib.runs import Predictions
from ltlib.sections import settings

PRINTED = {
    "printed, stage 1": {"accuracy": 0.4785, "ece": 0.02414},
    "printed, stage 2": {"accuracy": 0.4803, "ece": 0.01961},
}


def a_run(accuracy: float, ece: float, cell_id: str = "") -> Any:
    groups = {name: {"accuracy": accuracy} for name in ("head", "middle", "tail")}
    return SimpleNamespace(
        cell_id=cell_id,
        metrics={"selected": {"accuracy": accuracy, "ece": ece, "groups": groups}},
        groups=dict.fromkeys(groups),
        predictions={"selected": Predictions(np.zeros(2, int), np.zeros(2, int), np.ones(2))},
    )


def test_every_reading_of_a_second_stage_has_the_same_first_stage() -> None:
    own = grid.readings("paper")["awabs_cutmix"]
    firsts = {words: own[words].resolve().stage_id(0) for words in grid.READINGS}
    assert len(set(firsts.values())) == 1
    assert len({own[words].run_id for words in grid.READINGS}) == len(grid.READINGS)


def test_the_readings_name_their_losses_and_parts() -> None:
    second = {words: stages(grid.readings("laptop")["awabs_cutmix"][words].method)[1] for words in grid.READINGS}
    names = {words: stage.loss.name for words, stage in second.items() if stage.loss}
    assert names["as printed"] == "awabs"
    assert names["the prior, no smoothing"] == "balanced_softmax"
    assert names["smoothing, no prior"] == names["MiSLAS's own stage 2"] == "label_aware_smoothing"
    assert second["rare classes smoothed most"].loss.settings["smoothed"] == "tail"  # type: ignore[union-attr]
    assert second["MiSLAS's own stage 2"].sampler.name == "class_aware"
    assert second["MiSLAS's own stage 2"].batch_norm == "train"
    assert second["MiSLAS's own stage 2, shifted"].batch_norm == "shift"
    assert set(second["all parts go on training"].lr) == {"backbone", "projector", "classifier"}


@pytest.mark.parametrize("setting", ["variant=mislead", "loss=focal", "smoothed=middle"])
def test_a_reading_that_is_none_is_refused(setting: str) -> None:
    with pytest.raises(SettingError):
        stages(f"awabs_cutmix[{setting}]")


def test_a_longer_training_and_all_proposed_methods_are_for_the_documents_size() -> None:
    counts = {profile: {row: len(own) for row, own in grid.readings(profile).items()} for profile in profiles.PROFILES}
    each = len(grid.READINGS)
    assert counts["laptop"] == counts["quick"]
    assert counts["laptop"] == {
        "awabs_cutmix": each + 1, "lade": 3, "remix_drw": 1, "awabs_cutout": 2, "awabs_cutthumbnail": 2
    }  # fmt: skip
    assert counts["paper"] == {
        "awabs_cutout": each + 2, "awabs_cutmix": each + 1, "awabs_cutthumbnail": each + 2, "lade": 3, "remix_drw": 3
    }  # fmt: skip
    trained = {profile: len(grids.experiments("awabs/readings", profile)[0]) for profile in profiles.PROFILES}
    assert trained == {"quick": 18, "laptop": 19, "paper": 3 * 41}  # digits have no AutoAugment


def test_runs_are_found_by_what_a_profile_trains() -> None:
    own = grid.readings("laptop")["lade"]
    trained = profiles.resolve(own["with AutoAugment and Cutout"], "laptop")
    assert isinstance(trained, Experiment)
    assert parse(trained.recipe)[1]["epochs"] == 30
    found = readings.read(own, [a_run(0.5, 0.1, trained.cell_id), a_run(0.4, 0.1, "another")], "laptop")
    assert {words: len(runs) for words, runs in found.items()} == {"with AutoAugment and Cutout": 1}


def test_the_nearest_reading_and_what_it_leaves_open() -> None:
    """Print is 48.03 and 1.96. As printed, 10.03 points and 0.04 / 1.5 off; without smoothing 1.03 and 2.04 / 1.5."""
    found = {"as printed": [a_run(0.38, 0.02)], "the prior, no smoothing": [a_run(0.47, 0.04)]}
    said = readings.sentence(found, PRINTED, 10, "paper")
    assert said == (
        "nearest to print is “the prior, no smoothing”, 2.4 tolerances off. What stays unexplained: 1.0 points of "
        "accuracy and 2.0 points of ECE; 8 readings not run yet."
    )
    met = readings.sentence({"as printed": [a_run(0.475, 0.03)]}, PRINTED, 1, "paper")
    assert met.endswith("It meets what is printed.")


def test_what_moves_is_put_in_order_and_what_hardly_does_has_no_number() -> None:
    others = {"a": [a_run(0.40, 0.02)], "b": [a_run(0.50, 0.021)], "c": [a_run(0.381, 0.2)], "d": [a_run(0.30, 0.022)]}
    assert settings.by_metric(others, [a_run(0.38, 0.02)]) == (
        "in accuracy “b” +12.0, “a” +2.0 and “d” -8.0; too close to tell in accuracy: “c”. "
        "In ECE “c” +18.0; too close to tell in ECE: “a”, “b” and “d”"
    )


def test_stand_ins_say_what_a_reading_moves_and_judge_nothing() -> None:
    found = {"as printed": [a_run(0.38, 0.02)], "the prior, no smoothing": [a_run(0.47, 0.04)]}
    said = readings.sentence(found, PRINTED, 10, "laptop")
    assert said.startswith(
        "points over “as printed”: in accuracy “the prior, no smoothing” +9.0. In ECE “the prior, no smoothing” +2.0. "
    )
    assert "The most accurate is “the prior, no smoothing” with 47.0%." in said
    assert said.endswith("is a question for the documents' own size.")
    assert readings.sentence({"as printed": [a_run(0.38, 0.02)]}, PRINTED, 10, "laptop").startswith(
        "only “as printed” with 38.0% was run."
    )


def test_both_printed_stages_stand_above_the_readings() -> None:
    assert readings.print_of("awabs_cutmix", "paper") == {
        name: pytest.approx(values) for name, values in PRINTED.items()
    }
    frame = readings.table({"as printed": [a_run(0.38, 0.02)]}, PRINTED, "paper")
    assert list(frame["reading"]) == ["printed, stage 1", "printed, stage 2", "as printed"]
    assert list(frame["accuracy (%)"]) == ["47.85", "48.03", "38.00"]
    assert list(frame["tolerances off"]) == ["–", "–", "10.1"]

"""The scoreboard of the field: what is ranked together, what stands apart and why, in numbers worked out by hand."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from ltlib import published
from ltlib.chapters.beyond import scoreboard
from ltlib.errors import SettingError
from ltlib.experiment import Experiment
from ltlib.plots.ranking import ranking
from ltlib.statistics import t_half_width, t_interval


def a_run(experiment: Experiment, accuracy: float, epochs: int = 200) -> Any:
    return SimpleNamespace(
        cell_id=experiment.cell_id,
        experiment=experiment,
        metrics={"last": {"accuracy": accuracy, "ece": 0.02, "groups": {}}},
        parameters=464_154,
        profile="paper",
        class_counts=[256, 128],
        history=pd.DataFrame({"stage": [1] * epochs}),
    )


def plain(**more: Any) -> Experiment:
    return Experiment("cifar10", 100, "resnet32", "ce", "ldam").replace(**more)


def ours(*runs: Any, factor: float = 100) -> list[scoreboard.Entry]:
    return [entry for entry in scoreboard.board(runs, "cifar10", factor) if entry.kind == "ours"]


def test_seeds_of_one_training_are_one_row_with_an_interval_from_three_on() -> None:
    (two,) = ours(a_run(plain(), 0.70), a_run(plain(seed=1), 0.72))
    assert (two.runs, two.accuracy) == (2, pytest.approx(0.71))
    assert math.isnan(two.low)
    (three,) = ours(*(a_run(plain(seed=seed), value) for seed, value in enumerate((0.70, 0.71, 0.72))))
    assert (three.low, three.high) == pytest.approx((0.71 - 0.01 * 4.30265 / 3**0.5, 0.71 + 0.01 * 4.30265 / 3**0.5))
    assert three.apart == ()
    assert three.cost == pytest.approx(1)  # 200 epochs of one view


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"model": "resnet8"}, "ResNet-8"),
        ({"validation": "subset"}, "nine tenths of the images"),
        ({"order": "ascending"}, "class 0 the smallest"),
        ({"method": "supcon_ce"}, "2 views"),
        ({"method": "bbn"}, "several branches"),
        ({"method": "reslt"}, "several branches"),
        ({"method": "ride"}, "3 experts"),
        ({"method": "distilled[teachers=2]"}, "2 teachers"),
        ({"recipe": "ldam[sharpness=0.05]"}, "sharpness-aware"),
    ],
)
def test_what_was_trained_otherwise_stands_apart_and_says_why(changed: dict[str, Any], reason: str) -> None:
    (entry,) = ours(a_run(plain(**changed), 0.7))
    assert reason in entry.apart


def test_length_counts_epochs_of_all_stages_and_looks_count_in_the_cost() -> None:
    assert ours(a_run(plain(), 0.7, epochs=400))[0].apart == ("400 epochs",)
    assert ours(a_run(plain(), 0.7, epochs=30))[0].apart == ("30 epochs",)
    assert ours(a_run(plain(), 0.7, epochs=210))[0].apart == ()
    assert ours(a_run(plain(recipe="ldam[sharpness=0.05]"), 0.7))[0].cost == pytest.approx(2)


def test_another_factor_or_form_of_the_counts_is_not_on_the_board() -> None:
    assert ours(a_run(plain(imbalance_factor=50), 0.7)) == []
    assert ours(a_run(plain(imbalance_type="step"), 0.7)) == []


def test_the_documents_and_the_field_stand_beside_ours_by_accuracy() -> None:
    entries = scoreboard.board([], "cifar100", 100)
    assert [entry.accuracy for entry in entries] == sorted((entry.accuracy for entry in entries), reverse=True)
    printed = [entry for entry in entries if entry.kind == "documents" and entry.source.startswith("awabs")]
    assert {round(100 * entry.accuracy, 2) for entry in printed if entry.method == "MiSLAS"} == {47.0}
    assert all(not entry.apart for entry in printed if entry.method == "CE")
    by_source = {(entry.method, entry.source.split(",")[0], entry.epochs): entry for entry in entries}
    concutmix = by_source["ConCutMix", "github.com/PanHaulin/ConCutMix", 400]
    assert concutmix.apart == ("400 epochs", "3 views")
    assert concutmix.cost == pytest.approx(6)
    rerun = by_source["logit adjustment", "github.com/Dzzz83/MoE_Imbalance", 200]
    assert rerun.apart == ()  # 42.43 with a standard deviation of 1.53 over three runs
    assert rerun.high - rerun.accuracy == pytest.approx(0.0153 * 4.30265 / 3**0.5, rel=1e-5)
    wide = by_source["GLMC", "github.com/ynu-yangpeng/GLMC", 200]
    assert wide.apart == ("7.4 M parameters", "2 views")


def test_the_sentence_names_the_best_comparable_one_ours_and_the_best_apart() -> None:
    runs = [a_run(plain(), 0.99), a_run(plain(model="resnet8"), 0.995)]
    said = scoreboard.sentence(scoreboard.board(runs, "cifar10", 100))
    assert "the most accurate of these is CE (ours) with 99.0%" in said
    assert "our best, CE, with 99.0% is number 1" in said
    assert "the most accurate of the others, CE (ours) with 99.5%, stands apart: ResNet-8" in said


def test_a_table_says_what_is_not_known() -> None:
    frame = scoreboard.table(scoreboard.board([], "cifar100", 100))
    row = frame[(frame["method"] == "Remix-DRW") & (frame["whose"] == "elsewhere")].iloc[0]
    assert (row["n"], row["epochs"], row["ECE (%)"], row["reported"]) == ("not said", "–", "–", "not said")
    assert row["apart"] == "network not said, epochs not said"
    assert list(frame["place"]) == list(range(1, len(frame) + 1))


def test_published_elsewhere_is_whole() -> None:
    frame = published.elsewhere()
    assert len(frame[(frame["dataset"] == "cifar100") & (frame["imbalance_factor"] == 100)]) >= 30
    assert frame["accuracy"].between(35, 96).all()
    assert set(frame["imbalance_factor"]) == {10, 50, 100}
    assert (frame["source"] != "").all()
    assert set(frame["selected"]) == {"", "last epoch", "best test epoch"}
    assert ((frame["looks"] == 2) == frame["method"].str.contains("SAM")).all()
    assert not frame.duplicated(["dataset", "imbalance_factor", "method", "source", "epochs"]).any()


def test_half_a_t_interval_needs_only_the_spread() -> None:
    values = [0.1, 0.3, 0.4, 0.2]
    whole = t_interval(values)
    assert t_half_width(whole.std, 4) == pytest.approx(whole.half_width)


def test_the_ranking_draws_a_line_a_result_and_tells_it() -> None:
    row = {"name": "CE", "value": 0.4, "low": 0.39, "high": 0.41, "kind": "ours", "apart": False}
    fig = ranking([row, row | {"name": "GLMC", "value": 0.38, "low": math.nan, "kind": "elsewhere", "apart": True}],
                  ("ours", "elsewhere"))  # fmt: skip
    assert fig.alt == "Accuracy, best first: CE 40.0%; GLMC 38.0% (apart)."
    assert [text.get_text() for text in fig.axes[0].get_yticklabels()] == ["CE", "GLMC"]
    assert list(fig.frame()["apart"]) == [False, True]
    with pytest.raises(SettingError, match="of a kind among ours"):
        ranking([row | {"kind": "theirs"}], ("ours",))
    with pytest.raises(SettingError, match="at least one row"):
        ranking([], ("ours",))

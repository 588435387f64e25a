"""Sections with a document made up here: what pages share mentions no document's methods, sets or tables."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ltlib import Experiment
from ltlib.grids.base import Document
from ltlib.sections import (
    comparison,
    cost,
    data,
    factors,
    features,
    figures,
    in_print,
    orderings,
    readings,
    recipes,
    settings,
    study,
    sweeps,
)
from ltlib.tables import scores
from ltlib.tables.orderings import pairs
from ltlib.tables.sweeps import Grid, values

TOY = study.Study(
    Document(
        "toy",
        lambda row: Experiment(),
        names={"old": "Old way", "new": "New way (ours)", "first": "New way, stage 1"},
        rows={"newer": "new"},
        proposed=("new",),
        first_stages={"new": "first"},
        home="all",
    )
)


def run(method: str, accuracy: float = 0.5, ece: float = 0.1, tail: float = 0.5, seed: int = 0, **other: Any) -> Any:
    """As much of a run as sections read."""
    groups = {"head": {"accuracy": accuracy}, "tail": {"accuracy": tail}}
    own = {"accuracy": accuracy, "ece": ece, "groups": groups}
    made = {"method": method, "subset_seed": 0, "seed": seed, "model": "resnet8", "imbalance_factor": 10.0}
    said = {"targets": np.array([0, 1]), "predicted": np.array([0, 0]), "confidence": np.array([0.9, 0.8])}
    return SimpleNamespace(
        id=f"{method}-{seed}-{accuracy}",
        experiment=SimpleNamespace(**made | {k: v for k, v in other.items() if k in made}),
        metrics={"selected": own, "last": own | {"accuracy": other.get("last", accuracy)}},
        groups={"head": [0], "tail": [1]},
        history=pd.DataFrame({"stage": [0, 1], "seconds": [3.0, 1.0], "train_accuracy": [0.8, 0.9]}),
        seconds=4.0,
        parameters=1000,
        macs=2_000_000,
        predictions={"selected": SimpleNamespace(**said)},
    )


OWN: Mapping[str, list[Any]] = {
    "old": [run("old", 0.60, 0.20)],
    "first": [run("first", 0.64, 0.10)],
    "new": [run("newer[alpha=1]", 0.605, 0.05)],
}


def compared(published_: Mapping[str, float], ours: Mapping[str, float], n: int = 1, metric: str = "accuracy") -> Any:
    """A column of `ltlib.tables.compare`."""
    rows = [
        {"table": "1", "dataset": "cifar10", "model": "resnet32", "imbalance": 100.0, "split": "all", "metric": metric,
         "method": method, "published": value, "reproduced": ours.get(method, math.nan), "n": n * (method in ours)}
        for method, value in published_.items()
    ]  # fmt: skip
    return pd.DataFrame(rows)


# --- the document ----------------------------------------------------------------------------------------------------


def test_rows_first_stages_and_networks() -> None:
    runs = [run("newer[alpha=1]", seed=1), run("newer[alpha=1]"), run("old"), run("old", model="resnet32")]
    assert [(method, len(own)) for method, own in TOY.by_method(runs).items()] == [("old", 1), ("new", 2)]
    assert list(TOY.by_network(runs)) == [("resnet8", "new"), ("resnet8", "old"), ("resnet32", "old")]
    assert TOY.first_stages(OWN) == {"new": OWN["first"]}
    assert TOY.first_stages({"new": OWN["new"]}) == {}
    assert TOY.short("new") == "New way"


def test_caution_only_where_something_stands_in() -> None:
    assert study.caution("paper") == ""
    assert study.caution("quick", "A gap") == " A gap on digits says nothing about the document's."


# --- readings --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("metric", "first"), [("accuracy", "New way 30.00"), ("ece", "Old way 20.00")])
def test_leaders_know_which_way_is_better(metric: str, first: str) -> None:
    frame = compared({"old": 0.2, "new": 0.3}, {}, metric=metric)
    text = readings.leaders(TOY, "imbalance", (metric,))(frame, "paper")
    assert text == f"Printed, the best: factor 100, {first}. Ours: nothing was run for this table in paper."


def test_leaders_name_whom_single_runs_do_not_tell_apart() -> None:
    frame = compared({"old": 0.2, "new": 0.3}, {"old": 0.305, "new": 0.30})
    reading = readings.leaders(TOY, "split")
    assert "all Old way 30.50 (too close to New way to tell)." in reading(frame, "paper")
    assert "all Old way 30.50." in reading(frame.assign(n=3), "paper")
    assert "all Old way 31.10." in reading(compared({"old": 0.2, "new": 0.3}, {"old": 0.311, "new": 0.30}), "paper")


def test_ranking_says_whether_the_order_is_the_printed_one() -> None:
    reading, printed = readings.ranking(TOY), {"old": 0.2, "new": 0.3}
    assert "New way (ours) has the best accuracy, 0.300, before Old way 0.200 (10.0 points behind)" in reading(
        compared(printed, {}), "paper"
    )
    assert reading(compared(printed, {"old": 0.1, "new": 0.2}), "paper").endswith("The order is the printed one.")
    assert reading(compared(printed, {"old": 0.2, "new": 0.1}), "paper").endswith("The order is not the printed one.")
    assert "too little for 1 run each" in reading(compared(printed, {"old": 0.2, "new": 0.209}), "paper")
    assert "The order is" in reading(compared(printed, {"old": 0.2, "new": 0.209}, n=3), "paper")


def test_rows_whose_names_carry_settings_stay_apart() -> None:
    grid = study.Study(
        Document("grid", lambda row: Experiment(), names={"focal[gamma=1]": "Focal 1", "focal[gamma=5]": "F5"})
    )
    runs = [run("focal[gamma=5]"), run("focal[gamma=1]"), run("focal[gamma=2]")]
    assert list(grid.by_method(runs)) == ["focal[gamma=1]", "focal[gamma=5]", "focal"]


def test_gap_between_two_rows() -> None:
    reading = readings.gap(TOY, "new", "old", ("accuracy",))
    text = reading(compared({"old": 0.2, "new": 0.3}, {"old": 0.5, "new": 0.4}), "paper")
    assert text == (
        "Printed, New way minus Old way, in points: accuracy +10.0 (factor 100). "
        "Ours, New way minus Old way, in points: accuracy -10.0 (factor 100)."
    )
    assert "not enough was run" in reading(compared({"old": 0.2, "new": 0.3}, {"old": 0.5}), "paper")


# --- in print --------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("print_of_toy")
def test_totals_against_two_readings_of_the_sizes() -> None:
    sizes = {"2/3": {"cifar10": {"head": 2, "tail": 3}}, "1/1": {"cifar10": {"head": 1, "tail": 1}}}
    frame = in_print.totals(TOY, ["1"], sizes)
    assert frame[["printed", "mean (2/3)", "off (2/3)", "off (1/1)"]].iloc[0].tolist() == [50.0, 50.0, 0.0, -5.0]
    said = in_print.totals_sentence(frame)
    assert "printed total in 1 of 1 rows with groups of 2/3; in 0 with groups of 1/1" in said
    assert "largest" not in said
    other = in_print.totals(TOY, ["1"], {"1/1": sizes["1/1"]})
    assert "The largest difference by the first reading is 5.0 points (Table 1, CIFAR-10, 10)." in (
        in_print.totals_sentence(other)
    )
    assert in_print.totals_line(other).endswith("1/1 classes, in points: New way -5.00.")


def test_runs_under_a_printed_row() -> None:
    frame = in_print.beside({"mine": OWN["new"]}, {"accuracy": 0.7, "ece": 0.1, "tail": 0.2}, "print")
    assert frame["method"].tolist() == ["print", "mine"]
    assert frame["accuracy (%)"].tolist() == [70.0, 60.5]
    assert frame["tail (%)"].tolist() == [20.0, 50.0]
    assert math.isnan(frame["head (%)"].iloc[0])


# --- many methods on one set -----------------------------------------------------------------------------------------


def test_comparison_places_the_documents_own_methods() -> None:
    text = comparison.sentence(TOY, OWN)
    assert "Of 3 rows New way, stage 1 is the most accurate, 64.0%, and New way (ours) the best calibrated" in text
    assert "Places in accuracy and in ECE: New way 2 and 1." in text
    assert "Against its own first stage, in points of accuracy: New way -3.5." in text
    assert [row["name"] for row in comparison.points(TOY, OWN)] == ["New way, stage 1", "New way (ours)", "Old way"]


def test_closing_holds_the_selected_epoch_against_the_last() -> None:
    frame = comparison.closing(TOY, [run("old", 0.6, last=0.5, tail=0.2)])
    assert frame.loc[0, ["selected", "last epoch", "epochs"]].tolist() == [0.6, 0.5, 2]
    text = comparison.closing_sentence(frame, "best rule")
    assert "the epoch of the best rule" in text
    assert "by +10.0 points. The tail lies 40.0 points (Old way, ResNet-8) behind" in text


def test_cost_and_fitting() -> None:
    assert cost.cost(TOY, OWN)["of it stage 2 (%)"].tolist() == [25.0] * 3
    text = cost.sentence(TOY, OWN, "old", beside=("first",))
    assert "over that of Old way (4 s): New way, stage 1 1.00, New way 1.00. Stage 2 takes 25% of" in text
    frame = cost.fitting(TOY, {"old": OWN["old"][0]})
    assert frame.loc[0, ["training (%)", "test (%)", "over-confident by (points)"]].tolist() == [80.0, 50.0, 35.0]
    assert cost.fitting_sentence(frame, "Old way").startswith("Old way ends its training with 80.0%")
    under = frame.assign(**{"over-confident by (points)": -1.0})
    assert "1.0 points below its accuracy. Less confident than right: Old way." in cost.fitting_sentence(
        under, "Old way"
    )


def test_orderings_turn_round_for_errors() -> None:
    printed, ours = {"ece": {"old": 0.2, "new": 0.1, "first": 0.3}}, {"ece": {"old": 0.1, "new": 0.2, "first": 0.3}}
    found = {(pair.better, pair.worse): pair.holds for pair in pairs(printed, ours)}
    assert found == {("new", "old"): False, ("old", "first"): True, ("new", "first"): True}
    frame = orderings.pairs_frame(TOY, pairs(printed, ours)).set_index("better in print")
    assert frame.loc["New way (ours)", ["than", "holds", "turned round", "most (points)"]].tolist() == [
        2, 1, 1, "Old way -10.0",
    ]  # fmt: skip
    assert orderings.sentence(printed, ours, "paper").startswith("ECE: Kendall's tau of the printed and our order of 3")


# --- settings --------------------------------------------------------------------------------------------------------


def test_variants_closest_to_print() -> None:
    printed = {"accuracy": 0.61, "ece": 0.05}
    own = {"near": [run("a", 0.61, 0.05)], "far": [run("b", 0.63, 0.08)]}
    assert settings.distance(own["far"], printed) == pytest.approx(2 + 2)
    assert "near 0.0, far 4.0." in settings.closest(own, printed, 2, "paper")
    assert "until all are run" in settings.closest(own, printed, 3, "paper")
    assert "open in quick" in settings.closest(own, printed, 2, "quick")
    close = {"near": own["near"], "by": [run("b", 0.612, 0.05)]}
    assert "too near each other" in settings.closest(close, printed, 2, "paper")


def test_seconds_of_other_hardware_are_not_held_against_the_base() -> None:
    moved = [SimpleNamespace(**vars(one) | {"provenance": {"device": "another"}}) for one in OWN["new"]]
    own = {**OWN, "new": moved}
    text = cost.sentence(TOY, own, "old", beside=("first",))
    assert (
        "over that of Old way (4 s): New way, stage 1 1.00. On other hardware, so not held against it: New way." in text
    )
    assert sorted(cost.cost(TOY, own)["hardware"]) == ["another", "unknown", "unknown"]


def test_changes_say_what_was_not_run() -> None:
    found = settings.changes(OWN, {"the old way": {"new": OWN["old"]}}, TOY.short, group="tail")
    assert settings.told(found) == (
        "New way against the old way: +0.5 points of accuracy (too close to tell) and -15.0 points of ECE, "
        "+0.0 in the tail"
    )
    assert settings.told([settings.Change("a new idea", OWN["old"], ())]) == "a new idea: not run"


def test_two_recipes_and_which_is_nearer() -> None:
    one = Experiment(recipe="awabs")
    frame = recipes.differences({"one": one, "two": one.replace(recipe="awabs[batch_size=64]")})
    assert frame.to_dict("records") == [{"setting": "batch size", "one": "128", "two": "64"}]
    rows = pd.DataFrame({"method": ["Old way"], "printed": ["0.700"], "mild": [0.6], "wild": [0.69]})
    text = recipes.sentence(rows, "paper")
    assert text.startswith("The wild's recipe instead of the mild's moves the accuracy by, in points: Old way +9.0.")
    assert "the wild's comes closer" in text


def test_sweep_over_settings() -> None:
    grid = Grid(rows=("b", 0.5), columns=("a", 0.1), panels=("form", "round"))
    texts = {"m[a=0.1;b=0.5]": 0.5, "m[a=0.2;form=flat]": 0.7, "m[a=0.2]": 0.6}
    runs = [run(text, value, tail=value - 0.1) for text, value in texts.items()]
    found = values(runs, grid, "accuracy")
    np.testing.assert_array_equal(found["round"], [[0.5, 0.6]])
    np.testing.assert_array_equal(found["flat"], [[math.nan, 0.7]])
    assert values(runs, grid, "accuracy", "tail")["flat"][0, 1] == pytest.approx(0.6)
    text = sweeps.sentence(runs, grid, "shape", ["accuracy"])
    assert text == (
        "Accuracy: 50.0% to 70.0%, 1 of 3 settings within 1 point of the best; the shape alone moves it by at most "
        "10.0 points."
    )
    assert list(scores.by_setting(runs, "form", "round")) == ["round", "flat"]


def test_factors_and_features() -> None:
    runs = [run("old", 0.9, imbalance_factor=2.0), run("old", 0.7, imbalance_factor=50.0)]
    values = factors.values(TOY, runs)
    assert factors.sentence(TOY, values).endswith("least first: Old way 20.0.")
    assert "two imbalance factors are needed" in factors.sentence(TOY, factors.values(TOY, runs[:1]))
    space = {
        "run": OWN["new"][0],
        "tail": {},
        "scores": {"silhouette": 0.2, "between_within": 1, "nearest_centroid": 1},
    }
    frame = features.numbers(TOY, {"new": SimpleNamespace(**space)})
    assert features.sentence(frame) == (
        "Silhouette over all classes, best first: New way (ours) 0.20. New way (ours) is also the most accurate, 0.605."
    )


# --- data, figures ---------------------------------------------------------------------------------------------------


def test_counts_without_images_come_from_the_formula(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data.datasets, "available", lambda name: False)
    monkeypatch.setattr(data, "load", lambda run_id: None)
    found = data.counted(Experiment(dataset="cifar10", imbalance_factor=100))
    assert found is not None
    assert (sum(found.counts), found.fingerprint, found.run) == (12406, "", None)
    assert data.counted(Experiment(dataset="butterfly", imbalance_factor=10)) is None


def test_figures_of_any_document_by_what_they_show() -> None:
    rows = figures.of("convergent", dataset="cifar10", model="resnet34")
    assert set(rows["kind"]) <= set(figures.KINDS)
    assert "19" in set(rows["figure"])
    assert figures.of("convergent", dataset="nothing").empty

"""Calibration of any document's methods: sums against slow loops, sentences against frames and answers made by hand."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from handmade import a_run, answers, two_hundred

from ltlib import calibration as measures
from ltlib import grids, plots, published
from ltlib.experiment import Experiment
from ltlib.grids.base import Document
from ltlib.pages import declared
from ltlib.pages.page import Page
from ltlib.runs import Run
from ltlib.sections import calibration, chance, ece, groups
from ltlib.sections.study import Study
from ltlib.sections.words import listed, printable

EXPERIMENT = Experiment(dataset="digits", imbalance_factor=20, model="resnet8", method="ce", recipe="convergent")
TOY = Study(
    Document(
        "toy",
        lambda row: EXPERIMENT,
        names={"ce": "Plain", "crt": "Fancy (of two stages)"},
        group_sizes={"digits": {"head": 3, "tail": 7}},
        home="methods",
    )
)
"""A document made up here: two methods on the digits."""
SURE = answers([0.95, 0.95, 0.6, 0.6], [0, 1, 0, 1], [0, 0, 0, 0])
SHY = answers([0.5] * 4, [0, 0, 1, 1], [0, 0, 1, 1])
FIRST: dict[str, Any] = {"ce": a_run(SURE), "crt": a_run(SHY, method="crt")}


@pytest.fixture
def said() -> Any:
    return two_hundred()


# --- methods side by side --------------------------------------------------------------------------------------------


def test_coverage_counts_the_methods_of_the_documents_own_comparisons(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = [EXPERIMENT, EXPERIMENT.replace(method="crt")]
    monkeypatch.setattr(grids, "experiments", lambda name, profile: (wanted, {}) if name == "toy/methods" else None)
    one: dict[str, Any] = {"ce": []}
    text = calibration.coverage(TOY, one, "quick")
    assert text.startswith("From here on: ")
    assert text.endswith("imbalance factor 20, ResNet-8, 1 of 2 methods. Not trained yet: Fancy (of two stages).")
    assert calibration.coverage(TOY, {}, "quick").endswith("0 of 2 methods.")
    assert calibration.coverage(TOY, {**one, "crt": []}, "quick").endswith("2 of 2 methods.")


def test_panels_are_reliability_tables_by_name() -> None:
    panels = calibration.panels(TOY, FIRST, bins=2)
    assert list(panels) == ["Plain", "Fancy (of two stages)"]
    assert panels["Plain"]["count"].tolist() == [0, 4]
    assert panels["Plain"].loc[1, ["confidence", "accuracy"]].tolist() == pytest.approx([0.775, 0.5])
    assert "Plain" in plots.calibration.reliability_diagram(panels).alt
    assert len(calibration.panels(TOY, FIRST)["Plain"]) == 15


def test_errors_are_means_over_runs() -> None:
    said = answers([1.0, 1.0, 0.5, 0.9], [0, 0, 1, 1], [0, 0, 1, 0])
    frame = calibration.errors(TOY, {"ce": [a_run(said)]})
    assert frame.loc[0, ["method", "runs", "accuracy"]].tolist() == ["Plain", 1, 0.75]
    assert frame.loc[0, "confidence"] == pytest.approx(0.85)
    assert frame.loc[0, "ECE, head"] == 0
    assert frame.loc[0, "ECE, tail"] == pytest.approx((0.5 + 0.9) / 2)
    assert "Plain +10.0" in calibration.best_first(frame)
    two = calibration.errors(TOY, {"ce": [a_run(said), a_run(SHY)]}).iloc[0]
    assert two["runs"] == 2
    assert two["accuracy"] == pytest.approx((0.75 + 1) / 2)
    assert two["ECE"] == pytest.approx((0.35 + 0.5) / 2)  # (|1 - 0.5| + |0 - 0.9|) / 4 and |1 - 0.5|
    other = calibration.errors(TOY, {"ce": [a_run(said)]}, bins=1)
    assert other.loc[0, "ECE"] == pytest.approx(0.1)


def test_a_group_without_images_has_no_error() -> None:
    head = answers([0.9, 0.9], [0, 0], [0, 1])
    frame = calibration.errors(TOY, {"ce": [a_run(head)], "crt": [a_run(SHY)]})
    assert np.isnan(frame.loc[0, "ECE, tail"])
    assert "worse calibrated than the head for 0 of 2" in calibration.best_first(frame)


def test_best_first_orders_by_error_and_counts_worse_tails() -> None:
    frame = pd.DataFrame(
        {"method": ["A", "B"], "accuracy": [0.5, 0.6], "confidence": [0.7, 0.55], "ECE": [0.2, 0.05],
         "ECE, head": [0.1, 0.2], "ECE, tail": [0.3, 0.1]}
    )  # fmt: skip
    text = calibration.best_first(frame)
    assert "best first: B 5.0%, A 20.0%." in text
    assert "A +20.0, B -5.0." in text
    assert text.endswith("for 1 of 2 methods.")
    assert "tail" not in calibration.best_first(frame.drop(columns=["ECE, tail"]))


def test_sides_and_sure_mistakes() -> None:
    text = calibration.sides(calibration.errors(TOY, {method: [run] for method, run in FIRST.items()}))
    assert "1 is over-confident on average (Plain by 27.5 points)" in text
    assert "1 is under-confident on average (Fancy (of two stages) by 50.0 points)" in text
    assert "Plain 50%" in calibration.sure_mistakes(TOY, FIRST)
    assert "above 50%: Plain 100%." in calibration.sure_mistakes(TOY, FIRST, above=0.5)
    assert "No answer is wrong" in calibration.sure_mistakes(TOY, {"crt": FIRST["crt"]})


def test_sides_name_the_largest_and_leave_out_what_is_near() -> None:
    frame = pd.DataFrame({"method": ["A", "B", "C", "D"], "accuracy": 0.5, "confidence": [0.6, 0.8, 0.505, 0.4]})
    text = calibration.sides(frame)
    assert "2 are over-confident on average (most B by 30.0 points)" in text
    assert "1 is under-confident on average (D by 10.0 points)" in text
    assert "1 within 1 point of their accuracy" in text


def test_epochs_by_stage() -> None:
    history = pd.DataFrame({"stage": [1, 1, 1, 2], "test_ece": [0.3, 0.1, 0.2, 0.05]})
    text = calibration.over_epochs(TOY, {"crt": history, "ce": history[history["stage"] == 1]})
    assert "Fancy (of two stages) ends at 5.0%, its lowest was 5.0% after epoch 4 of 4" in text
    assert "Plain ends at 20.0%, its lowest was 10.0% after epoch 2 of 3" in text
    assert "in points: Fancy (of two stages) -15.0." in text
    assert calibration.over_epochs(TOY, {}).startswith("No run")


# --- what the error hangs on -----------------------------------------------------------------------------------------


def test_the_example_is_the_formula() -> None:
    total = 0.0
    for low in np.arange(5) / 5:
        inside = [(p, r) for p, r in ece.EXAMPLE if low < p <= low + 0.2 + 1e-12]
        if inside:
            gap = abs(sum(r for _, r in inside) - sum(p for p, _ in inside)) / len(inside)
            total += len(inside) / len(ece.EXAMPLE) * gap
    frame = ece.example()
    assert frame["share of images x gap"].sum() == pytest.approx(total, abs=1e-4)
    assert f"{100 * total:.1f}%" in ece.example_sentence()
    assert frame.loc[frame["bin"] == "(0.4, 0.6]", "answers"].item().startswith("0.6 right")
    assert ece.example(bins=1)["images"].tolist() == [10]


def test_order_changes_counts_pairs() -> None:
    kinds = ["5 bins", "15 bins", "30 bins", "50 bins", "equal mass"]
    frame = pd.DataFrame([[name, *values] for name, values in {
        "A": (1.0, 1.0, 1.0, 1.0, 1.0), "B": (0.5, 1.4, 2.0, 2.0, 2.0), "C": (9.0, 9.0, 9.0, 9.0, 9.0)
    }.items()], columns=["method", *kinds])  # fmt: skip
    text = ece.order_changes(frame)
    assert "From 5 to 50 bins and equal mass" in text
    assert "up to 1.5 points (B)" in text
    assert "1 of 3 pair changes order" in text
    assert "B, differ by 0.4 points" in text
    assert "None of the 1 pairs" in ece.order_changes(frame[frame["method"] != "B"])
    assert ece.order_changes(frame.head(0)).startswith("No run")


def test_choices_of_bins_and_what_records_lack(said: Any) -> None:
    frame = ece.choices(TOY, {"ce": a_run(said), "crt": a_run(SHY)}, bins=(1, 15))
    right = said.predicted == said.targets
    assert frame.loc[0, "1 bins"] == pytest.approx(100 * abs(said.confidence.mean() - right.mean()))
    assert frame.loc[0, "largest gap"] == pytest.approx(100 * measures.maximum_from_confidence(said.confidence, right))
    assert frame.loc[1, "equal mass"] == pytest.approx(50)
    assert list(ece.kept(frame)) == ["method", "1 bins", "15 bins", "equal mass", "largest gap"]
    assert ece.order_changes(frame).endswith("Not kept in the records of these runs: class-wise, Brier and NLL.")
    whole = a_run(said)
    whole.metrics["selected"] |= {"classwise_ece": 0.1234, "brier": 0.5, "nll": 1.5}
    kept = ece.kept(ece.choices(TOY, {"ce": whole}, bins=(15,)))
    assert kept.loc[0, ["class-wise", "Brier", "NLL"]].tolist() == ["12.34", "0.500", "1.500"]


def test_errors_over_bins_show_chance_for_the_lowest(said: Any) -> None:
    chart = ece.by_bins(TOY, {"ce": a_run(SURE), "crt": a_run(said)}, bins=(1, 5, 15))
    assert ece.best({"ce": a_run(SURE), "crt": a_run(said)}) == "crt"
    frame = chart.frame()
    assert set(frame["kind"]) == set(ece.KINDS)
    own = frame[(frame["method"] == "ce") & (frame["bins"] == 1)]
    assert own["error"].tolist() == pytest.approx([0.275, 0.275])
    alone = frame[(frame["method"] == "chance") & (frame["kind"] == "Bins of equal width")]["error"].tolist()
    assert alone == pytest.approx([measures.errors_by_chance(said.confidence, bins, 30).mean() for bins in (1, 5, 15)])
    assert "Fancy (of two stages)" in chart.alt


def test_sliders_show_the_best_and_one_beside_it(trained: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    page, shown = Page(declared.Declared(id="x", document="toy"), "quick"), []
    monkeypatch.setattr(Page, "explore", lambda page, draw, static, **widgets: shown.append((draw, static, widgets)))
    ece.sliders(page, TOY, {}, bins=(5,))
    assert shown == []
    ece.sliders(page, TOY, {"ce": a_run(SURE), "crt": trained}, bins=(5, 50))
    draw, static, widgets = shown[0]
    lowest = ece.best({"ce": a_run(SURE), "crt": trained})
    assert static[:2] == [{"bins": bins, "method": lowest} for bins in (5, 50)]
    assert (static[2:] == [{"bins": 15, "method": "ce"}]) == (lowest != "ce")
    assert widgets["method"] == ["ce", "crt"]
    assert len(draw(bins=7, method="ce").frame()) == 7


# --- how sure it is --------------------------------------------------------------------------------------------------


def test_interval_sentence_names_what_cannot_be_told() -> None:
    rows = [
        {"method": name, "ece": e, "low": e - 0.01, "high": e + 0.01, "chance": 0.005, "images": 1000}
        for name, e in (("A", 0.02), ("B", 0.035), ("C", 0.2))
    ]
    text = chance.interval_sentence(rows)
    assert "A with 2.0%, cannot be told from B." in text
    assert "1.0 to 1.0 points" in text
    assert "A with 2.0% stands apart" in chance.interval_sentence([rows[0], rows[2]])
    assert "lowest" not in chance.interval_sentence(rows[:1])
    assert chance.interval_sentence([]).startswith("No run")
    chart = plots.calibration_errors.with_intervals(rows)
    assert "A 2.0% (1.0 to 3.0; chance alone 0.5)" in chart.alt


def test_intervals_beside_accuracy_and_confidence(said: Any) -> None:
    found = {"ce": [a_run(said), a_run(SHY)], "crt": [a_run(said)]}
    rows = chance.intervals(TOY, {method: own[0] for method, own in found.items()}, resamples=50)
    assert [row["images"] for row in rows] == [200, 200]
    assert all(row["low"] < row["ece"] < row["high"] for row in rows)
    assert rows[0]["chance"] == pytest.approx(measures.errors_by_chance(said.confidence).mean())
    frame = chance.beside(calibration.errors(TOY, found), rows)
    assert frame["method"].tolist() == ["Fancy (of two stages)", "Plain"]  # 50% of Plain's second run
    assert frame["runs"].tolist() == [1, 2]
    gap = 100 * (said.confidence.mean() - (said.predicted == said.targets).mean())
    assert frame.loc[0, "difference"] == f"{gap:+.1f}"
    assert frame.loc[0, "95% interval"] == f"{100 * rows[0]['low']:.1f} to {100 * rows[0]['high']:.1f}"


def test_printed_errors_against_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [
        {"table": "1", "dataset": "digits", "imbalance": 20.0, "method": method, "stage": "", "split": "all",
         "metric": metric, "value": float(printed), "printed": printed}
        for method, right, error in (("ce", "60.0", "0.101"), ("crt", "70.0", "1.95"), ("lws", "70.0", "12.3"))
        for metric, printed in (("accuracy", right), ("ece", error))
    ]  # fmt: skip
    monkeypatch.setattr(published, "results", lambda document: pd.DataFrame(rows) if document == "toy" else None)
    frame = chance.floor_table(TOY, images=10_000, draws=30)
    assert frame["method"].tolist() == ["Plain"]
    assert frame["printed ECE (%)"].tolist() == ["0.101"]
    assert "Plain with 0.101% (Table 1, Digits, IF 20)" in chance.floor_sentence(frame)
    assert "2 of them with two decimals or more and 1 with three" in chance.digits_sentence(TOY, images=2000)
    monkeypatch.setattr(published, "results", lambda document: pd.DataFrame(rows[:1]))
    assert chance.digits_sentence(TOY, images=2000) == "The document prints no calibration error."
    assert "No printed" in chance.floor_sentence(frame.head(0))


# --- groups ----------------------------------------------------------------------------------------------------------


def test_gaps_by_actual_and_by_predicted_class() -> None:
    """A network that calls half of the tail head: too sure on the tail's images, too shy where it says tail."""
    first: dict[str, Any] = {"ce": a_run(answers([0.8] * 8, [0] * 4 + [1] * 4, [0] * 6 + [1] * 2))}
    found = groups.group_gaps(TOY, first)
    actual, predicted = (found[kind]["Plain"] for kind in groups.BY)
    assert actual == pytest.approx({"head": -0.2, "tail": 0.3})
    assert predicted == pytest.approx({"head": 0.8 - 4 / 6, "tail": -0.2})
    chart = plots.calibration_errors.group_gaps(found)
    assert "By predicted class, Plain: head +13.3, tail -20.0" in chart.alt
    frame = groups.errors(TOY, first)
    assert frame.loc[0, ["head", "tail", "said head", "said tail"]].tolist() == pytest.approx([20, 30, 40 / 3, 20])
    none = groups.group_gaps(TOY, {"ce": a_run(answers([0.8], [0], [0]))})
    assert np.isnan(none["By actual class"]["Plain"]["tail"])


def test_group_sentence_says_both_sides(said: Any) -> None:
    gaps = {
        "By actual class": {"Plain": {"head": 0.0, "tail": 0.5}},
        "By predicted class": {"Plain": {"head": 0.3, "tail": -0.2}},
    }
    frame = groups.errors(TOY, {"ce": a_run(said)})
    text = groups.sentence(gaps, frame, base="Plain")
    assert "For Plain, confidence minus accuracy" in text
    assert "too sure of what it calls them" in text
    assert "tail for 1 of 1 (median +50 points)" in text
    assert "+50.0 points on images that are of the tail and -20.0" in text
    assert "For " not in groups.sentence(gaps, frame, base="another")
    assert groups.sentence({}, frame.head(0), base="Plain").startswith("No run")


@pytest.mark.parametrize(
    ("actual", "predicted", "said"),
    [(0.005, -0.005, "no"), (0.1, 0.1, "the same"), (-0.1, 0.1, "disagree"), (0.1, -0.1, "too sure")],
)
def test_two_readings_of_a_tail(actual: float, predicted: float, said: str) -> None:
    gaps = dict(zip(groups.BY, ({"A": {"tail": actual}}, {"A": {"tail": predicted}}), strict=True))
    frame = pd.DataFrame({"method": ["A"], "all": [1.0], "hidden": [0.0]})
    word = {"no": "neither reading", "the same": "the same fault", "disagree": "disagree"}.get(said, said)
    assert word in groups.sentence(gaps, frame, base="A")


# --- words -----------------------------------------------------------------------------------------------------------


def test_lists_and_numbers() -> None:
    assert listed(["a"]) == "a"
    assert listed(iter(["a", "b", "c"])) == "a, b and c"
    assert listed(["a, 1", "b"]) == "a, 1; and b"
    shown = printable(pd.DataFrame({"n": [1, 2], "x": [1.0, np.nan], "y": [0.5, 0.25]}), {"y": 2})
    assert shown.to_numpy().tolist() == [[1, "1.0", "0.50"], [2, "–", "0.25"]]


def test_a_document_needs_no_more_than_names() -> None:
    bare = Study(Document("bare", lambda row: EXPERIMENT))
    first: dict[str, Any] = {"ce": SimpleNamespace(predictions={"selected": SHY})}
    assert list(calibration.panels(bare, first)) == ["CE"]

"""The page `awabs/calibration`: sums against slow loops, sentences against hand-made frames, claims against print."""

from __future__ import annotations

from itertools import combinations
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ltlib import calibration, places, published, tables
from ltlib.chapters.awabs import calibration as awabs_calibration
from ltlib.chapters.awabs import calibration_claims as awabs_calibration_claims
from ltlib.chapters.awabs import chance as awabs_chance
from ltlib.chapters.awabs import ece as awabs_ece
from ltlib.chapters.awabs import groups as awabs_groups
from ltlib.chapters.awabs import long_tails as awabs_long_tails
from ltlib.chapters.awabs import posthoc as awabs_posthoc
from ltlib.errors import SettingError
from ltlib.notebook import Page
from ltlib.pages import declared
from ltlib.plots import averages, calibration_errors, oversampling
from ltlib.runs import Run
from ltlib.sections.claims import judge
from ltlib.sections.words import listed, printable

GROUPS = {"head": [0], "tail": [1]}


def answers(confidence: list[float], targets: list[int], predicted: list[int]) -> Any:
    return SimpleNamespace(
        confidence=np.array(confidence), targets=np.array(targets), predicted=np.array(predicted), logits=None
    )


def a_run(said: Any, posthoc: Any = None, method: str = "ce", factor: float = 100.0) -> Any:
    right = said.predicted == said.targets
    metrics: dict[str, Any] = {"accuracy": float(right.mean()), "groups": {}}
    metrics["ece"] = calibration.from_confidence(said.confidence, right)
    if posthoc:
        metrics["posthoc"] = posthoc
    experiment = SimpleNamespace(
        method=method, dataset="cifar10", model="resnet8", imbalance_factor=factor, seed=0, subset_seed=0
    )
    return SimpleNamespace(
        id=method, predictions={"selected": said}, metrics={"selected": metrics}, groups=GROUPS, experiment=experiment
    )


@pytest.fixture
def said() -> Any:
    draw = np.random.default_rng(0)
    targets = np.repeat([0, 1], 100)
    predicted = np.where(draw.random(200) < 0.7, targets, 0)
    return answers(draw.uniform(0.5, 1, 200).tolist(), targets.tolist(), predicted.tolist())


# --- data figures ----------------------------------------------------------------------------------------------------


def test_least_top_share_bounds_every_way_to_fill_the_groups() -> None:
    classes, images = [3, 5, 2], [60, 40, 30]
    bound = awabs_long_tails.least_top_share(classes, images, 0.3)
    assert bound == pytest.approx((20 * 3) / 130)  # the three largest means: all of the first group
    draw = np.random.default_rng(1)
    for _ in range(50):
        n = np.concatenate([total * draw.dirichlet(np.ones(k)) for k, total in zip(classes, images, strict=True)])
        assert np.sort(n)[::-1][:3].sum() / n.sum() >= bound - 1e-12


def test_group_means_are_ordered_and_said() -> None:
    chart = averages.group_means(["a", "b"], [4, 2], [40, 60], unit="species")
    assert chart.frame()["group"].tolist() == ["b", "a"]
    assert "b 30 (2 species), down to a 10 (4); all 6 species: 17" in chart.alt


def test_samplers_leave_out_and_repeat() -> None:
    targets = np.repeat([0, 1], [9, 3])
    under = awabs_long_tails.uses(targets, "random_undersampling")
    over = awabs_long_tails.uses(targets, "random_oversampling")
    assert [int(under[targets == c].sum()) for c in (0, 1)] == [3, 3]
    assert under.max() == 1
    assert over[targets == 0].tolist() == [1] * 9
    assert over[targets == 1].tolist() == [3] * 3


def test_between_finds_the_parents() -> None:
    draw = np.random.default_rng(2)
    x, rows = draw.normal(size=(7, 5)), np.array([1, 3, 4, 6])
    pairs = list(combinations(rows.tolist(), 2))
    made = np.array([x[a] + draw.uniform(0.1, 0.9) * (x[b] - x[a]) for a, b in pairs])
    parents, away = awabs_long_tails.between(made, x, rows)
    assert [tuple(sorted(pair)) for pair in parents.tolist()] == pairs
    assert away.max() < 1e-9


def test_smote_draws_points_on_lines_of_the_small_class() -> None:
    pytest.importorskip("imblearn")
    chart = awabs_long_tails.smote(awabs_long_tails.two_digits())
    frame = chart.frame()
    made = frame[frame["kind"] == "made"]
    assert len(made) == awabs_long_tails.SIZES[0] - awabs_long_tails.SIZES[1]
    for row in made.to_dict("records"):
        ends = frame.loc[[int(row["parent"]), int(row["other parent"])], ["x", "y"]].to_numpy()
        assert set(frame.loc[[int(row["parent"]), int(row["other parent"])], "kind"]) == {"digit 1"}
        line, own = ends[1] - ends[0], np.array([row["x"], row["y"]]) - ends[0]
        assert abs(line[0] * own[1] - line[1] * own[0]) < 1e-6


def test_groups_of_cifar100_hold_all_images() -> None:
    frame = awabs_long_tails.group_table()
    shares = frame[["head", "middle", "tail"]].map(lambda text: float(text.rstrip("%"))).sum(axis=1)
    assert shares.between(99.8, 100.2).all()
    assert "29 tail classes have 286 of 10,847" in awabs_long_tails.group_sentence()


# --- the error -------------------------------------------------------------------------------------------------------


def test_the_example_is_the_formula() -> None:
    total = 0.0
    for low in np.arange(5) / 5:
        inside = [(p, r) for p, r in awabs_ece.EXAMPLE if low < p <= low + 0.2 + 1e-12]
        if inside:
            gap = abs(sum(r for _, r in inside) - sum(p for p, _ in inside)) / len(inside)
            total += len(inside) / len(awabs_ece.EXAMPLE) * gap
    frame = awabs_ece.example()
    assert frame["share of images x gap"].sum() == pytest.approx(total, abs=1e-4)
    assert f"{100 * total:.1f}%" in awabs_ece.example_sentence()
    assert frame.loc[frame["bin"] == "(0.4, 0.6]", "answers"].item().startswith("0.6 right")


def test_order_changes_counts_pairs() -> None:
    kinds = [*(f"{bins} bins" for bins in awabs_ece.SHOWN), "equal mass"]
    frame = pd.DataFrame([[name, *values] for name, values in {
        "A": (1.0, 1.0, 1.0, 1.0, 1.0), "B": (0.5, 1.4, 2.0, 2.0, 2.0), "C": (9.0, 9.0, 9.0, 9.0, 9.0)
    }.items()], columns=["method", *kinds])  # fmt: skip
    text = awabs_ece.order_changes(frame)
    assert "up to 1.5 points (B)" in text
    assert "1 of 3 pair changes order" in text
    assert "B, differ by 0.4 points" in text
    assert "None of the 1 pairs" in awabs_ece.order_changes(frame[frame["method"] != "B"])


def test_chance_alone_is_the_mean_of_folded_normals() -> None:
    """One bin: |mean of N Bernoulli errors| is a folded normal with mean sqrt(2 / pi) sigma."""
    confidence = np.full(4000, 0.7)
    found = awabs_chance.chance(confidence, bins=1, draws=400)
    assert found.mean() == pytest.approx(np.sqrt(2 / np.pi) * np.sqrt(0.7 * 0.3 / 4000), rel=0.12)


def test_interval_sentence_names_what_cannot_be_told() -> None:
    rows = [
        {"method": name, "ece": e, "low": e - 0.01, "high": e + 0.01, "chance": 0.005, "images": 1000}
        for name, e in (("A", 0.02), ("B", 0.035), ("C", 0.2))
    ]
    text = awabs_chance.interval_sentence(rows)
    assert "A with 2.0%, cannot be told from B." in text
    assert "1.0 to 1.0 points" in text
    assert "stands apart" in awabs_chance.interval_sentence([rows[0], rows[2]])
    chart = calibration_errors.with_intervals(rows)
    assert "A 2.0% (1.0 to 3.0; chance alone 0.5)" in chart.alt


def test_only_the_error_of_lade_lies_below_chance() -> None:
    frame = awabs_chance.floor_table(draws=60)
    assert frame["printed ECE (%)"].tolist() == ["0.148"]
    assert "LADE with 0.148%" in awabs_chance.floor_sentence(frame)
    assert "No printed" in awabs_chance.floor_sentence(frame.head(0))
    assert "101 calibration errors" in awabs_chance.digits_sentence()


def test_errors_over_bins_say_their_ends() -> None:
    panels = {"Bins of equal width": {"ce": [0.1, 0.2, 0.3]}}
    chart = calibration_errors.over_bins(
        panels, (5, 15, 50), names={"ce": "CE"}, chance={"Bins of equal width": [0.01, 0.02, 0.03]}
    )
    assert "with 5, 15 and 50 bins" in chart.alt
    assert "CE 10.0%, 20.0%, 30.0%; chance 1.0%, 2.0%, 3.0%" in chart.alt
    assert len(chart.frame()) == 6
    with pytest.raises(SettingError, match="needs 2 errors"):
        calibration_errors.over_bins(panels, (5, 15))
    with pytest.raises(SettingError, match="no calibration error"):
        calibration_errors.with_intervals([])


def test_drawings_refuse_what_does_not_fit_together() -> None:
    points = np.zeros((3, 2))
    with pytest.raises(SettingError, match="differ"):
        oversampling.resampled(points, np.zeros(3, int), {"all": np.ones(2, int)}, ("a", "b"))
    with pytest.raises(SettingError, match="two parents"):
        oversampling.interpolated(points, np.zeros(3, int), points, points[:2], np.zeros((1, 3, 8, 8, 3)), ("a", "b"))
    with pytest.raises(SettingError, match="number of classes"):
        averages.group_means(["a"], [0], [4])


# --- groups ----------------------------------------------------------------------------------------------------------


def test_gaps_by_actual_and_by_predicted_class() -> None:
    """A network that calls half of the tail head: too sure on the tail's images, too shy where it says tail."""
    found = awabs_groups.group_gaps({"ce": a_run(answers([0.8] * 8, [0] * 4 + [1] * 4, [0] * 6 + [1] * 2))})
    actual, predicted = (found[kind]["CE"] for kind in awabs_groups.BY)
    assert actual == pytest.approx({"head": -0.2, "tail": 0.3})
    assert predicted == pytest.approx({"head": 0.8 - 4 / 6, "tail": -0.2})
    chart = calibration_errors.group_gaps(found)
    assert "By predicted class, CE: head +13.3, tail -20.0" in chart.alt


def test_opposite_errors_cancel_in_the_error_of_all() -> None:
    """Right in half of the answers at 0.5 + d and 0.5 - d: all images look calibrated, the groups are not."""
    confidence = np.full(4000, 0.6)
    predicted = np.repeat([0, 1], 2000)
    right = np.concatenate([np.arange(2000) < 1600, np.arange(2000) < 800])
    said = answers(confidence.tolist(), np.where(right, predicted, 1 - predicted).tolist(), predicted.tolist())
    assert calibration.from_confidence(confidence, right) == pytest.approx(0)
    assert awabs_groups.hidden(said, GROUPS) == pytest.approx(0.2, abs=0.01)


def test_group_sentence_says_both_sides(said: Any) -> None:
    first = {"ce": a_run(said)}
    gaps = {
        "By actual class": {"CE": {"head": 0.0, "tail": 0.5}},
        "By predicted class": {"CE": {"head": 0.3, "tail": -0.2}},
    }
    text = awabs_groups.group_sentence(gaps, awabs_groups.group_frame(first))
    assert "too sure of what it calls them" in text
    assert "tail for 1 of 1 (median +50 points)" in text
    assert "+50.0 points on images that are of the tail and -20.0" in text


# --- Table 4.1 and its page ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return tables.compare([], "awabs", "4.1", "paper")


def test_reading_of_table_4_1(frame: pd.DataFrame) -> None:
    text = awabs_calibration.reading(frame, "laptop")
    assert "Method 2 (CutMix) has the lowest calibration error, 1.96%; CE the highest, 38.1%" in text
    assert "70.7% right at an error of 12.2% to 39.0% at 38.1%" in text
    rows = [(row[3], row[8]) for row in frame.itertuples(index=False, name=None)]
    assert len(rows) == 18
    assert text.endswith("nothing was run for this table in laptop; its methods follow below on CIFAR-10.")
    assert awabs_calibration.reading(frame, "paper").endswith("nothing was run for this table in paper.")
    same = awabs_calibration.reading(frame.assign(reproduced=frame["published"], n=1), "quick")
    assert same.endswith("An order on digits says nothing about the document's.")
    near = frame.assign(reproduced=frame["published"].where(frame["metric"] == "accuracy", 0.05), n=1)
    assert "not told from" in awabs_calibration.reading(near, "laptop")


def test_pairs_of_table_4_1_by_hand(frame: pd.DataFrame) -> None:
    rows = published.table("awabs", "4.1")
    rows = rows[rows["imbalance"] == 100].pivot(index="method", columns="metric", values="value")
    both = sum(
        (a["ece"] < b["ece"]) == (a["accuracy"] > b["accuracy"]) for a, b in combinations(rows.to_dict("records"), 2)
    )
    assert f"Of 28 pairs of long-tailed rows the more accurate is the better calibrated in {both}" in (
        awabs_calibration.reading(frame, "laptop")
    )


def test_sides_and_sure_mistakes(said: Any) -> None:
    sure = answers([0.95, 0.95, 0.6, 0.6], [0, 1, 0, 1], [0, 0, 0, 0])
    shy = answers([0.5] * 4, [0, 0, 1, 1], [0, 0, 1, 1])
    text = awabs_calibration.side_sentence({"ce": [a_run(sure)], "crt": [a_run(shy)]})
    assert "1 is over-confident on average (CE by 27.5 points)" in text
    assert "1 is under-confident on average (cRT by 50.0 points)" in text
    assert "CE 50%" in awabs_calibration.wrong_sentence({"ce": a_run(sure), "crt": a_run(shy)})


def test_epochs_by_stage() -> None:
    history = pd.DataFrame({"stage": [1, 1, 1, 2], "test_ece": [0.3, 0.1, 0.2, 0.05]})
    text = awabs_calibration.epoch_sentence({"mislas": history, "ce": history[history["stage"] == 1]})
    assert "MiSLAS ends at 5.0%, its lowest was 5.0% after epoch 4 of 4" in text
    assert "CE ends at 20.0%, its lowest was 10.0% after epoch 2 of 3" in text
    assert "in points: MiSLAS -15.0." in text


def test_without_runs_every_part_says_so_and_the_figure_is_missing() -> None:
    page = Page(declared.Declared(id="x", document="awabs", figures=("Section 4.2",)), "quick")
    awabs_calibration.reliability(page, {})
    awabs_calibration.sureness(page, {})
    awabs_calibration.by_epoch(page, {})
    awabs_groups.show(page, {})
    awabs_ece.bins_matter(page, {})
    awabs_ece.sliders(page, {})
    awabs_posthoc.show(page, {})
    assert page.open_items() == []


def test_every_part_of_the_page_takes_a_finished_run(trained: Run) -> None:
    page = Page(declared.Declared(id="x", document="awabs", figures=("Section 4.2",)), "quick")
    first = {"ce": trained}
    awabs_calibration.reliability(page, first)
    awabs_ece.sliders(page, first)
    awabs_ece.bins_matter(page, first)
    awabs_calibration.sureness(page, {"ce": [trained]})
    awabs_groups.show(page, first)
    awabs_calibration.by_epoch(page, first)
    assert page.open_items() == []
    assert set(page.frames) == {"Choices", "Confidence", "Group errors"}
    row = page.frames["Confidence"].iloc[0]
    assert float(row["ECE"]) == pytest.approx(100 * trained.metrics["selected"]["ece"], abs=0.06)
    low, _, high = row["95% interval"].partition(" to ")
    assert float(low) <= float(row["ECE"]) <= float(high) + 2  # reflected in the estimate, the bias taken out


# --- after training --------------------------------------------------------------------------------------------------


BINS = {"count": [0, 3, 1], "confidence": [None, 0.5, 0.9], "accuracy": [None, 1 / 3, 1.0]}


def changed(ece: float, scaled: float, accuracy: float = 0.6) -> dict[str, Any]:
    def row(error: float, right: float, **parameters: float) -> dict[str, Any]:
        groups = {"head": {"ece": error}, "tail": {"ece": 2 * error}}
        return {"ece": error, "accuracy": right, "classwise_ece": 0.01, "nll": 1.0, "groups": groups,
                "parameters": parameters, "held_out": 90, "bins": BINS}  # fmt: skip

    return {
        "none": row(ece, accuracy),
        "temperature": row((ece + scaled) / 2, accuracy, temperature=1.5),
        "temperature_balanced": row(scaled, accuracy, temperature=2.0),
        "isotonic": row(scaled, accuracy - 0.02),
        "logit_adjustment_fitted": row(scaled, accuracy + 0.1, tau=1.1, temperature=1.8),
    }


def test_the_cheapest_competitor_is_compared(said: Any) -> None:
    found = {
        "ce": [a_run(said, changed(0.2, 0.04))],
        "mislas": [a_run(said, changed(0.1, 0.03), "mislas")],
        "awabs_cutmix": [a_run(said, changed(0.02, 0.02), "awabs_cutmix")],
        "crt": [a_run(said, changed(0.045, 0.02), "crt")],
    }
    values = awabs_posthoc.means(found)
    text = awabs_posthoc.cheapest(values)
    assert "of CE from 20.0% to 4.0% (T = 2.00" in text
    assert "T = 1.50 gives 12.0%" in text
    assert "right for 70.0% instead of 60.0%" in text
    assert "MiSLAS is worse calibrated than scaled CE" in text
    assert "cRT is too close to it to tell" in text
    assert "Method 2 (CutMix) is better calibrated than scaled CE" in text
    assert "isotonic: CE -2.0" in awabs_posthoc.price(values)
    frame = awabs_posthoc.table(values)
    assert frame.loc[2, ["method", "T", "tau", "ECE", "tail"]].tolist() == ["CE", "2.00", "–", "4.0", "8.0"]
    panels = awabs_posthoc.panels(found)
    assert list(panels) == ["CE", "CE, temperature", "CE, adjusted and scaled", "MiSLAS", "Method 2 (CutMix)", "cRT"]
    assert panels["CE"]["upper"].tolist() == pytest.approx([1 / 3, 2 / 3, 1])
    assert np.isnan(panels["CE"]["accuracy"][0])
    assert "missing here too" in awabs_posthoc.cheapest({"mislas": values["mislas"]})


def test_post_hoc_means_over_seeds(said: Any) -> None:
    own = [a_run(said, changed(0.2, 0.1)), a_run(said, changed(0.4, 0.3)), a_run(said)]
    values = awabs_posthoc.means({"ce": own})
    assert values["ce"]["none"]["ece"] == pytest.approx(0.3)
    assert values["ce"]["temperature_balanced"]["groups"]["tail"] == pytest.approx(0.4)


# --- the document's sentences ----------------------------------------------------------------------------------------

PRINTED = {  # read by hand from Tables 4.1 and 4.3 to 4.7, CIFAR-100 at factor 100
    "The long tail makes over-confident": True,  # 12.2 then 38.1
    "Everything is severely over-confident": False,  # LADE 2.54, MiSLAS 4.83
    "Method 2 is the best calibrated": True,
    "Better than balanced training": True,  # 6.376, 1.96 and 4.631 against 12.2
    "Soft labels calibrate": False,  # Method 1: 3.93 before AWABS, 6.376 after
    "Head and middle are more over-confident (actual)": None,
    "Head and middle are more over-confident (predicted)": None,
    "ECE suffices": None,
    "Calibrating makes more accurate": None,
}


@pytest.mark.parametrize("name", PRINTED)
def test_judges_on_the_printed_numbers(name: str) -> None:
    claim = next(claim for claim in awabs_calibration_claims.CLAIMS if claim.name == name)
    assert claim.judge(awabs_calibration_claims.printed()).answer is PRINTED[name]


def test_every_sentence_stands_in_the_list_of_answers() -> None:
    assert [claim.name for claim in awabs_calibration_claims.CLAIMS] == list(PRINTED)


def test_our_world_takes_balanced_runs_of_the_same_set_only(said: Any) -> None:
    balanced, elsewhere = a_run(said, factor=1.0), a_run(said, factor=1.0)
    elsewhere.experiment.dataset = "cifar100"
    found = {"ce": [a_run(said)]}
    assert awabs_calibration_claims.balanced([elsewhere, balanced, a_run(said)], found) == [balanced]
    key = (awabs_calibration_claims.BALANCED,)
    assert key in awabs_calibration_claims.ours({**found, key[0]: [balanced]}).numbers("ece")
    assert key not in awabs_calibration_claims.ours({**found, key[0]: []}).numbers("ece")


def test_a_tail_that_is_called_head_refutes_one_reading_and_not_the_other() -> None:
    """Every network calls half of the tail head: the tail is over-confident as it is, and not as it is called."""
    part = answers([0.8] * 60, [0] * 20 + [1] * 20 + [2] * 20, [0] * 20 + [1] * 20 + [0] * 10 + [2] * 10)
    found = {}
    for method in awabs_calibration_claims.HARD:
        run = a_run(part, method=method)
        run.groups = {"head": [0], "middle": [1], "tail": [2]}
        found[method] = [run]
    world = awabs_calibration_claims.ours(found)
    assert awabs_calibration_claims.by_group("By actual class")(world).answer is False
    by_call = awabs_calibration_claims.by_group("By predicted class")(world)
    assert "4 agree" in by_call.evidence  # the head, called too often
    judged = judge(awabs_calibration_claims.CLAIMS, awabs_calibration_claims.printed(), world, "digits")
    assert {item.claim.name for item in judged if item.ours.answer is not None} == {"Calibrating makes more accurate"}


def test_a_temperature_never_makes_more_accurate(said: Any) -> None:
    found = {"ce": [a_run(said, changed(0.2, 0.04))]}
    world = awabs_calibration_claims.ours(found, awabs_posthoc.means(found))
    judged = awabs_calibration_claims.improves_accuracy(world)
    assert judged.answer is False
    assert "isotonic: accuracy -2.0, error -16.0" in judged.evidence


# --- words and the notebook ------------------------------------------------------------------------------------------


def test_lists_and_numbers() -> None:
    assert listed(["a"]) == "a"
    assert listed(["a", "b", "c"]) == "a, b and c"
    assert listed(["a, 1", "b"]) == "a, 1; and b"
    shown = printable(pd.DataFrame({"n": [1, 2], "x": [1.0, np.nan], "y": [0.5, 0.25]}), {"y": 2})
    assert shown.to_numpy().tolist() == [[1, "1.0", "0.50"], [2, "–", "0.25"]]


def test_the_notebook_is_in_form_and_declares_what_the_document_has() -> None:
    folder = places.notebooks_folder()
    assert folder is not None
    path = folder / "awabs" / "calibration.ipynb"
    page = declared.of_notebook(declared.read_notebook(path), path)[0]
    assert declared.check(path) == []
    assert set(page.figures) <= set(published.figures("awabs")["figure"])
    assert set(page.tables) <= set(published.tables("awabs"))

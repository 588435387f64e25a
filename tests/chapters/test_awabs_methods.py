"""The page `awabs/methods`: the optimum on its sets, tables against loops, sentences against hand-made runs."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ltlib import published
from ltlib.chapters.awabs import AWABS
from ltlib.chapters.awabs import beyond as awabs_beyond
from ltlib.chapters.awabs import claims as awabs_claims
from ltlib.chapters.awabs import epsilons as awabs_epsilons
from ltlib.chapters.awabs import judges as awabs_judges
from ltlib.chapters.awabs import methods as awabs_methods
from ltlib.chapters.awabs import optimum as awabs_optimum
from ltlib.chapters.awabs import stage2 as awabs_stage2
from ltlib.chapters.awabs import tables as awabs_tables
from ltlib.grids import awabs as grid
from ltlib.pages.page import Page
from ltlib.runs import Predictions
from ltlib.sections import claims, class_counts, in_print, readings, settings, study, sweeps
from ltlib.sections import tables as document_tables
from ltlib.tables import cells
from ltlib.tables.sweeps import values as over_settings

COUNTS = [500, 120, 30, 5]


def fake(method: str, accuracy: float, ece: float, groups: dict[str, float] | None = None, seed: int = 0) -> Any:
    """As much of a run as the chapter reads."""
    shares = groups or {"head": accuracy, "middle": accuracy, "tail": accuracy}
    metrics = {"accuracy": accuracy, "ece": ece, "groups": {name: {"accuracy": v} for name, v in shares.items()}}
    recipe = SimpleNamespace(augmentation=("crop4", "flip"))
    experiment = SimpleNamespace(
        method=method, subset_seed=0, seed=seed, resolve=lambda: SimpleNamespace(recipe=recipe)
    )
    return SimpleNamespace(
        id=f"{method}-{seed}", experiment=experiment, metrics={"selected": metrics}, class_counts=COUNTS,
        groups={"head": [0], "middle": [1, 2], "tail": [3]},
        predictions={"selected": Predictions(np.zeros(2, int), np.zeros(2, int), np.ones(2))},
    )  # fmt: skip


# --- section 3.3 -----------------------------------------------------------------------------------------------------


def test_at_test_time_by_hand() -> None:
    found = awabs_optimum.at_test_time("cifar10", 100)
    counts = class_counts.counts("cifar10", 100)
    assert (counts[0], counts[-1]) == (5000, 50)
    weights = [0.7 / 5000, *(0.3 / 9 / n for n in counts[1:])]
    assert found["own class, training"][0] == pytest.approx(0.7)
    assert found["own class, test"][0] == pytest.approx(weights[0] / sum(weights))
    assert found["smallest class, test"][0] == pytest.approx(weights[-1] / sum(weights))
    assert math.isnan(found["smallest class, test"][-1])


def test_limits_hold_every_printed_row() -> None:
    frame = awabs_optimum.limits()
    assert frame["rows"].sum() == 21
    row = frame.set_index("set, factor").loc["CIFAR-10, 100"]
    assert (row["below it"], row["limit"], row["rows that lose"]) == ("no", 0.083, 3)
    assert row["stage 2 in print (points)"] == "-1.38, -1.59, -0.90"
    assert "in 6 of 9 printed rows" in awabs_optimum.limits_sentence(frame)
    text = awabs_optimum.check_sentence(awabs_optimum.check(100))
    assert "Eq. 3.4 as printed are off by 1.60 to 6.20" in text


# --- what is trained, what is left open ------------------------------------------------------------------------------


@pytest.mark.parametrize("profile", ["quick", "laptop", "paper"])
def test_drawings_and_list_say_what_is_trained(profile: str) -> None:
    made = awabs_methods.trained(profile).resolve()
    assert f"{made.epochs(0)} epochs" in awabs_methods.framework(profile).alt
    drawn = awabs_methods.algorithm(profile).alt
    assert f"for each of {made.epochs(1)} epochs of stage 2" in drawn
    assert "CutOut [1], CutMix [2], Cut-Thumbnail [3]" in drawn
    frame = pd.concat([awabs_methods.not_stated(profile), awabs_methods.contradicted(profile)])
    assert (frame["here"].str.len() > 0).all()
    rows = published.protocols("awabs")
    silent = (rows["value"] + rows["note"]).str.contains("not stated") & (rows["key"] != "hardware")
    assert len(frame) == silent.sum() + 6
    assert str(made.recipe.batch_size) in frame.set_index("setting").loc["batch size", "here"]


# --- Tables 4.2 to 4.5 -----------------------------------------------------------------------------------------------


def test_changes_hold_all_printed_rows() -> None:
    frame = document_tables.results([], "awabs", list(awabs_tables.TABLES), "paper")
    rows = awabs_tables.stage_changes(frame)
    assert len(rows) == 21
    first = rows[0]
    assert first["name"] == "1: CIFAR-10, 10"
    assert (first["accuracy before"], first["accuracy after"]) == pytest.approx((0.8987, 0.9001))
    text = awabs_tables.changes_sentence(rows, "paper")
    assert "of 21 rows 12 gain accuracy and 20 lose ECE" in text
    assert "no set has both stages in paper" in text
    ours = awabs_tables.stage_changes(frame.assign(reproduced=frame["published"]))
    assert len(ours) == 42


def test_groups_average_as_a_loop_says() -> None:
    agree = {"numbers": 0, "text": 0}
    for table in ("4.3", "4.4", "4.5"):
        cells: dict[tuple[str, float], dict[tuple[str, str], float]] = {}
        for row in published.table("awabs", table).to_dict("records"):
            if row["metric"] == "accuracy":
                cells.setdefault((row["dataset"], row["imbalance"]), {})[row["split"], row["stage"]] = row["value"]
        for (dataset, _), value in cells.items():
            groups = [next(v for (split, _), v in value.items() if split == g) for g in ("head", "middle", "tail")]
            numbers = (3, 4, 3) if dataset == "cifar10" else (36, 35, 29)
            text = (3, 4, 3) if dataset == "cifar10" else (30, 40, 30)
            for name, sizes in (("numbers", numbers), ("text", text)):
                mean = sum(n * g for n, g in zip(sizes, groups, strict=True)) / sum(sizes)
                agree[name] += abs(mean - value["all", "2"]) < 0.006
    sizes = {"36/35/29": AWABS.document.group_sizes, "30/40/30": awabs_tables.STATED}
    said = in_print.totals_sentence(in_print.totals(AWABS, ["4.3", "4.4", "4.5"], sizes))
    assert agree == {"numbers": 14, "text": 7}
    assert "total in 14 of 21 rows with groups of 36/35/29; in 7 with groups of 30/40/30" in said


def test_reading_of_table_4_2() -> None:
    frame = document_tables.results([], "awabs", ["4.2"], "paper")
    reading = readings.gap(AWABS, "awabs_cutmix", "cbce")
    text = reading(frame, "paper")
    assert "accuracy +3.7 (factor 100), +0.9 (factor 50), -0.1 (factor 10)" in text
    assert "not enough was run" in text
    same = frame.assign(reproduced=frame["published"], n=3)
    assert "Ours, Method 2 minus" in reading(same, "paper")
    assert "says nothing" in reading(same, "quick")


def test_where_the_heads_images_go() -> None:
    targets = np.array([0, 0, 0, 0, 1, 3])

    def said(predicted: list[int]) -> Any:
        run = fake("ce", 0.5, 0.1)
        run.predictions = {"selected": SimpleNamespace(targets=targets, predicted=np.array(predicted))}
        return run

    frame = awabs_tables.groups_frame({"cutmix": said([0, 0, 0, 1, 1, 3]), "awabs_cutmix": said([0, 3, 3, 1, 1, 3])})
    assert frame["into tail"].tolist() == [0.0, 50.0]
    assert frame["right"].tolist() == [75.0, 25.0]
    assert "Method 2 0.0% before and 50.0% after" in awabs_tables.groups_sentence(frame)
    assert "cannot be said" in awabs_tables.groups_sentence(frame.iloc[:1])


# --- stage 2, epsilons -----------------------------------------------------------------------------------------------


def variant(name: str, accuracy: float, ece: float) -> Any:
    return fake(f"awabs_cutmix[variant={name}]", accuracy, ece)


def test_closest_variant_only_in_paper() -> None:
    def printed_cell(profile: str) -> dict[str, float]:
        return cells.cell("awabs", "4.4", dataset=grid.dataset(profile), imbalance=100)

    printed = printed_cell("paper")
    assert (printed["accuracy"], printed["ece"], printed["tail"]) == pytest.approx((0.4803, 0.01961, 0.27724))
    assert printed_cell("laptop")["accuracy"] == pytest.approx(0.8122)
    assert settings.distance([variant("continue", 0.4903, 0.04961)], printed) == pytest.approx(1 + 2)
    own = {
        "continue": [variant("continue", 0.4603, 0.02)],
        "decoupled": [variant("decoupled", 0.48, 0.02)],
        "decoupled_shifted": [variant("decoupled_shifted", 0.47, 0.06)],
    }
    text = awabs_stage2.variants_sentence(own, printed, "paper")
    assert "decoupled 0.1, continue 2.0, decoupled, shifted 3.7" in text
    assert "stays open in laptop" in awabs_stage2.variants_sentence(own, printed, "laptop")
    assert "until all are run" in awabs_stage2.variants_sentence({"decoupled": own["decoupled"]}, printed, "paper")
    frame = awabs_stage2.variants_frame(own, printed, "paper")
    assert frame["accuracy (%)"].tolist() == [48.03, 46.03, 48.0, 47.0]
    assert "distance" not in awabs_stage2.variants_frame(own, printed, "laptop").columns


def test_prior_in_the_prediction() -> None:
    logits = np.log(np.array([[0.2, 0.3, 0.25, 0.25], [0.01, 0.01, 0.01, 0.97]]))
    run = fake("awabs_cutmix", 0.5, 0.1)
    run.predictions = {"selected": SimpleNamespace(targets=np.array([0, 3]), logits=logits)}
    frame = awabs_stage2.prior_frame({"awabs_cutmix": run})
    assert frame["accuracy (%)"].tolist() == [50.0, 50.0]  # one image each: the tail's without, the head's with
    assert frame["head (%)"].tolist() == [0.0, 100.0]
    assert frame["tail (%)"].tolist() == [100.0, 0.0]


def epsilon(form: str, head: float, tail: float, accuracy: float) -> Any:
    return fake(f"awabs_cutmix[epsilon_head={head};epsilon_tail={tail};form={form}]", accuracy, 0.1)


def test_epsilons_lie_where_they_belong() -> None:
    runs = [epsilon("linear", 0.3, 0.1, 0.8), epsilon("concave", 0.5, 0.3, 0.6), epsilon("concave", 0.1, 0.0, 0.9)]
    values = over_settings(runs, awabs_epsilons.GRID, "accuracy")
    assert list(values) == list(grid.FORMS)
    heads, tails = [0.1, 0.3, 0.5], [0.0, 0.1, 0.3]
    assert values["linear"][tails.index(0.1), heads.index(0.3)] == 0.8
    assert values["concave"][tails.index(0.3), heads.index(0.5)] == 0.6
    assert np.isnan(values["convex"]).all()
    chart = sweeps.heat_maps(runs, awabs_epsilons.GRID, "accuracy")
    assert "Best, 90.0%: concave" in chart.alt
    text = sweeps.sentence(runs, awabs_epsilons.GRID, "form")
    assert "60.0% to 90.0%, 1 of 3 settings within 1 point of the best" in text
    assert sweeps.sentence(runs[:1], awabs_epsilons.GRID, "form") == "Only one setting was run."
    text = awabs_epsilons.limit_sentence(runs)  # four classes, imbalance 100: the limit is 3 / 103
    assert "lies above the limit of this set, 0.03" in text
    assert "90.0% with 0.1, 80.0% with 0.3, 60.0% with 0.5" in text


def test_limit_between_the_epsilons() -> None:
    runs = [epsilon("concave", 0.1, 0.0, 0.9), epsilon("concave", 0.5, 0.0, 0.6)]
    for run in runs:
        run.class_counts = [200] * 9 + [10]  # limit 9 / 29
    text = awabs_epsilons.limit_sentence(runs)
    assert text.startswith("The limit of this set is 0.31")
    assert "below it the accuracy is 90.0%" in text
    assert "above it 60.0%" in text


def test_what_each_part_adds() -> None:
    known = {
        "ce": [fake("ce", 0.50, 0.20)],
        "cutmix": [fake("cutmix[loss=balanced_softmax]", 0.60, 0.05)],
        "awabs_cutmix": [fake("awabs_cutmix", 0.595, 0.02)],
    }
    one, two = {"cutmix": known["cutmix"]}, {"awabs_cutmix": known["awabs_cutmix"]}
    found = settings.changes(one, {"plain training": dict.fromkeys(one, known["ce"])}, AWABS.short)
    text = settings.told([*found, *settings.changes(two, {"its stage 1": AWABS.first_stages(known)}, AWABS.short)])
    assert text == (
        "Method 2, stage 1 against plain training: +10.0 points of accuracy and -15.0 points of ECE; Method 2 against "
        "its stage 1: -0.5 points of accuracy (too close to tell) and -3.0 points of ECE"
    )
    assert settings.told(settings.changes({}, {"its stage 1": known}, AWABS.short)).startswith("nothing to compare")


# --- sections 4.5 and 5.2 --------------------------------------------------------------------------------------------


def shifted(confidence: list[float], right: list[bool]) -> Any:
    run = fake("ce", 0.5, 0.1)
    targets = np.array([0, 1, 3])
    predicted = np.where(right, targets, (targets + 1) % 4)
    run.predictions = {
        "selected": SimpleNamespace(targets=targets, predicted=predicted, confidence=np.array(confidence))
    }
    return run


def test_shift_by_hand() -> None:
    frame = awabs_beyond.shift_frame(
        {
            "ce": shifted([0.9, 0.8, 0.7], [True, False, False]),
            "awabs_cutmix": shifted([0.95, 0.4, 0.9], [True, False, True]),
        }
    )
    assert frame["over-confident by (points)"].tolist() == [-10.0, 80.0, 70.0, -5.0, 40.0, -10.0]
    assert "head: confidence +5.0, accuracy +0.0, over-confidence -10.0 to -5.0" in awabs_beyond.shift_sentence(frame)
    less, right = judged(frame, "paper")
    assert less.ours.answer is True
    assert right.ours.answer is True
    assert less.printed.answer is None
    assert "would say “seen in one run”" in judged(frame, "quick")[1].ours.evidence
    assert less.printed.evidence == "No confidence by class group is printed."
    assert judged(None, "quick")[0].ours[:2] == (None, claims.NOTHING)


def judged(frame: pd.DataFrame | None, profile: str) -> list[claims.Judged]:
    return claims.judge(awabs_claims.SHIFT, *awabs_judges.shift_worlds(frame), study.instead(profile))


@pytest.mark.parametrize(
    ("over", "confidence", "right", "less", "shifts"),
    [
        ([20.0, 5.0], [50.0, 60.0], [40.0, 50.0], True, True),
        ([5.0, 20.0], [60.0, 50.0], [50.0, 40.0], False, False),
        ([20.0, -30.0], [50.0, 60.0], [50.0, 40.0], False, False),  # falls further below 0; surer and less accurate
        ([-30.0, -5.0], [60.0, 50.0], [40.0, 50.0], True, False),
        ([5.0, 5.9], [50.0, 50.5], [40.0, 41.0], None, None),  # up to a point is too close
    ],
)
def test_answers_of_section_4_5(over: Any, confidence: Any, right: Any, less: Any, shifts: Any) -> None:
    """Cross-entropy first, AWABS second, the same in every group."""
    rows = [
        {"method": method, "group": group, "confidence (%)": c, "accuracy (%)": r, "over-confident by (points)": o}
        for method, o, c, r in zip(("CE", "Method 2"), over, confidence, right, strict=True)
        for group in ("head", "middle", "tail")
    ]
    found = judged(pd.DataFrame(rows), "paper")
    assert [item.ours.answer for item in found] == [less, shifts]


def test_ideas_of_section_5_2() -> None:
    base = [fake("awabs_cutthumbnail", 0.80, 0.05), fake("awabs_cutout", 0.82, 0.05), fake("awabs_cutmix", 0.81, 0.05)]
    tried = [fake("awabs_mixed_thumbnail", 0.85, 0.09), fake("awabs_cutout", 0.80, 0.05)]
    found = awabs_beyond.ideas(AWABS.by_method(base), AWABS.by_method(tried))
    text = settings.told(change for _, _, change in found)
    assert (
        "Mixed Cut-Thumbnail instead of Cut-Thumbnail: +5.0 points of accuracy and +4.0 points of ECE, +5.0 in" in text
    )
    assert "CutOut without the crop instead of CutOut with the crop: -2.0 points" in text
    assert text.endswith("CutMix, reversed sampler in stage 2 instead of CutMix, instance-balanced stage 2: not run")


def test_spread_by_class_size_is_set_beside_both_stages() -> None:
    printed = {"head": 0.10, "middle": 0.5, "tail": 0.9}
    base = [fake("cutmix[loss=balanced_softmax]", 0.60, 0.06), fake("awabs_cutmix", 0.50, 0.02, printed)]
    ours = [fake("awabs_cutmix[spread=prior]", 0.62, 0.03, {"head": 0.7, "middle": 0.6, "tail": 0.5})]
    known, by_size = AWABS.by_method(base), AWABS.by_method(ours)
    stage_1 = AWABS.first_stages(known)
    rows = settings.labelled({"stage 1": stage_1, "by size": by_size}, ["awabs_cutmix"], AWABS.short)
    assert {name: len(runs) for name, runs in rows.items()} == {"Method 2, stage 1": 1, "Method 2, by size": 1}
    before = {"the printed spread": known, "its stage 1": stage_1}
    text = settings.told(settings.changes(by_size, before, AWABS.short, group="head"))
    assert "Method 2 against the printed spread: +12.0 points of accuracy and +1.0 points of ECE (too close" in text
    assert ", +60.0 in the head" in text
    assert text.endswith("its stage 1: +2.0 points of accuracy and -3.0 points of ECE, +10.0 in the head")
    assert "Method 1" not in text


# --- the page --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("profile", ["quick", "laptop", "paper"])
def test_page_stands_without_any_run(profile: str, executed_without_runs: Callable[[str, str], Page]) -> None:
    """On a bare clone each cell says what is missing, and the last one finds nothing left out."""
    page = executed_without_runs("awabs/methods", profile)
    record = page.record()
    assert {item["number"] for item in record["missing"]} == {"Section 4.5"}
    assert set(page.declared.tables) == set(record["tables"]) & set(published.tables("awabs"))
    assert isinstance(page.frames["4.4"], pd.DataFrame)

"""The page `awabs/calibration`: its data figures, Table 4.1, printed errors against chance, claims against print."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import pytest
from handmade import a_run, answers, changed, two_hundred

from ltlib import published, tables
from ltlib.chapters.awabs import AWABS
from ltlib.chapters.awabs import calibration as awabs_calibration
from ltlib.chapters.awabs import calibration_claims as awabs_calibration_claims
from ltlib.chapters.awabs import long_tails as awabs_long_tails
from ltlib.errors import SettingError
from ltlib.pages.page import Page
from ltlib.plots import averages, calibration_errors, oversampling
from ltlib.runs import Run
from ltlib.sections import chance, class_counts, posthoc
from ltlib.sections.claims import judge
from ltlib.sections.world import Numbers, Value, World


@pytest.fixture
def said() -> Any:
    return two_hundred()


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


def test_groups_of_cifar100_hold_all_images() -> None:
    rules = {"tables": "cuts[sizes=36+35+29]", "text": "cuts[sizes=30+40+30]"}
    frame = class_counts.group_shares("cifar100", (10, 50, 100, 200), rules)
    shares = frame[["head", "middle", "tail"]].map(lambda text: float(text.rstrip("%"))).sum(axis=1)
    assert shares.between(99.8, 100.2).all()
    assert "29 tail classes have 286 of 10,847" in awabs_long_tails.group_sentence(rules)


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


def test_only_the_error_of_lade_lies_below_chance() -> None:
    frame = chance.floor_table(AWABS, images=10_000, draws=60)
    assert frame["printed ECE (%)"].tolist() == ["0.148"]
    assert "LADE with 0.148%" in chance.floor_sentence(frame)
    assert "No printed" in chance.floor_sentence(frame.head(0))
    assert "101 calibration errors" in chance.digits_sentence(AWABS, images=10_000)


# --- the document's sentences ----------------------------------------------------------------------------------------

PRINTED = {  # read by hand from Tables 4.1 and 4.3 to 4.7, CIFAR-100 at factor 100
    "The long tail makes over-confident": True,  # 12.2 then 38.1
    "One and two stages are severely over-confident": None,  # LADE 2.54 and MiSLAS 4.83 are not; the others are open
    "The proposed methods improve calibration": True,  # 6.376, 1.96 and 4.631 against 38.1
    "Better than balanced training": True,  # 6.376, 1.96 and 4.631 against 12.2
    "Soft labels calibrate": True,  # but Method 1: 3.93 before AWABS, 6.376 after
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
    world = awabs_calibration_claims.ours(found, posthoc.means(found))
    judged = awabs_calibration_claims.improves_accuracy(world)
    assert judged.answer is False
    assert "isotonic: accuracy -2.0, error -16.0" in judged.evidence


def world_of(ours: bool = True, n: int = 3, **quantities: dict[str, float]) -> World:
    """Numbers by quantity and method, of so many runs that hardly spread; read literally where they are not ours."""
    own = {
        name: Numbers({tuple(k.split("/")): Value(v, n, 1e-4) for k, v in rows.items()}, 0.015 if ours else 0.0)
        for name, rows in quantities.items()
    }
    return World(own, awabs_calibration_claims.READ_AS, ours)


def ask(name: str, world: World) -> bool | None:
    return next(claim for claim in awabs_calibration_claims.CLAIMS if claim.name == name).judge(world).answer


@pytest.mark.parametrize(
    ("name", "quantity", "numbers", "expected"),
    [
        ("The long tail makes over-confident", "ece", {"balanced": 0.1, "ce": 0.3}, True),
        ("The long tail makes over-confident", "ece", {"balanced": 0.3, "ce": 0.1}, False),
        ("The proposed methods improve calibration", "ece",
         {"ce": 0.3, "awabs_cutout": 0.1, "awabs_cutmix": 0.1, "awabs_cutthumbnail": 0.1}, True),
        ("The proposed methods improve calibration", "ece",
         {"ce": 0.3, "awabs_cutout": 0.1, "awabs_cutmix": 0.4, "awabs_cutthumbnail": 0.1}, False),
        ("Better than balanced training", "ece",
         {"balanced": 0.2, "awabs_cutout": 0.1, "awabs_cutmix": 0.1, "awabs_cutthumbnail": 0.1}, True),
        ("Better than balanced training", "ece",
         {"balanced": 0.2, "awabs_cutout": 0.1, "awabs_cutmix": 0.3, "awabs_cutthumbnail": 0.1}, False),
        ("Soft labels calibrate", "ece",
         {"ce": 0.3, "mixup": 0.2, "crt": 0.3, "crt_mixup": 0.2, "lws": 0.3, "lws_mixup": 0.2,
          "cutmix_only": 0.1}, None),  # three of six; the stages of the proposed methods are missing
        ("Soft labels calibrate", "ece",
         {"ce": 0.2, "mixup": 0.3, "crt": 0.2, "crt_mixup": 0.3, "lws": 0.2, "lws_mixup": 0.3}, False),
        ("One and two stages are severely over-confident", "gap",
         {"ce": 0.06, "ldam_drw": 0.06, "lade": 0.06, "crt": 0.06, "lws": -0.2, "mislas": 0.0}, True),
        ("One and two stages are severely over-confident", "gap",
         {"ce": 0.06, "ldam_drw": 0.06, "lade": 0.06, "crt": 0.04, "lws": -0.2, "mislas": 0.0}, False),
        ("ECE suffices", "hidden", {"ce": 0.002, "lws": 0.009}, True),
        ("ECE suffices", "hidden", {"ce": 0.002, "lws": 0.011}, False),
    ],
)  # fmt: skip
def test_sentences_in_worlds_made_by_hand(
    name: str, quantity: str, numbers: dict[str, float], expected: bool | None
) -> None:
    world = world_of(**{quantity: numbers, "ece": numbers})
    assert ask(name, world) is expected


@pytest.mark.parametrize(
    ("head", "middle", "tail", "expected"),
    [(0.3, 0.2, 0.1, True), (0.1, 0.2, 0.3, False), (0.3, 0.1, 0.2, False), (0.2, 0.2, 0.2, None)],
)
def test_over_confidence_is_more_common_in_head_and_middle(
    head: float, middle: float, tail: float, expected: bool | None
) -> None:
    kind = "By actual class"
    values = {"head": head, "middle": middle, "tail": tail}
    gaps = {f"{kind}/{g}/{m}": v for g, v in values.items() for m in awabs_calibration_claims.HARD}
    assert ask("Head and middle are more over-confident (actual)", world_of(**{"group gap": gaps})) is expected
    assert ask("Head and middle are more over-confident (predicted)", world_of(**{"group gap": gaps})) is None


def test_few_runs_near_a_bound_are_open_and_print_is_read_as_it_stands() -> None:
    """A single run's confidence moves by a point and a half: 5.5 points may be 4."""
    six = ("ce", "ldam_drw", "lade", "crt", "lws", "mislas")
    name = "One and two stages are severely over-confident"
    for gap, expected in ((0.055, None), (0.066, True), (0.034, False)):
        assert ask(name, world_of(n=1, gap=dict.fromkeys(six, gap))) is expected
    for hidden, expected in ((0.02, None), (0.026, False), (0.0, None)):
        assert ask("ECE suffices", world_of(n=1, hidden={"ce": hidden}, ece={"ce": 0.1})) is expected
    low = world_of(ours=False, ece=dict.fromkeys(six[:3], 0.04) | dict.fromkeys(six[3:], 0.3))
    assert ask(name, low) is False  # three of six errors are too small for it
    assert ask(name, world_of(ours=False, ece=dict.fromkeys(six, 0.3))) is None


def test_a_network_that_isotonic_regression_improves_cannot_turn_the_sentence() -> None:
    """Half of the cases are temperatures, and none of those can: no number of runs is needed."""
    better = {"none/ce": 0.5, "temperature/ce": 0.5, "temperature_balanced/ce": 0.5, "isotonic/ce": 0.6}
    less = {"none/ce": 0.3, "temperature/ce": 0.1, "temperature_balanced/ce": 0.1, "isotonic/ce": 0.1}
    world = world_of(n=1, **{"accuracy after": better, "ece after": less})
    found = awabs_calibration_claims.improves_accuracy(world)
    assert found[::2] == (False, None)
    assert "Of 2 comparisons 1 agrees, 1 does not" in found.evidence
    worse = {**less, "isotonic/ce": 0.4}
    found = awabs_calibration_claims.improves_accuracy(world_of(**{"accuracy after": better, "ece after": worse}))
    assert "Of 2 comparisons 2 do not" in found.evidence


# --- the notebook ----------------------------------------------------------------------------------------------------


@pytest.fixture
def few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Printed errors against few simulated test sets: 1,000 take a quarter of a minute."""
    monkeypatch.setattr(chance, "floor_table", partial(chance.floor_table, draws=20))


def test_page_stands_without_any_run(few_draws: None, executed_without_runs: Callable[[str, str], Page]) -> None:
    """On a bare clone each cell says what is missing, and the last one finds nothing left out."""
    page = executed_without_runs("awabs/calibration", "paper")
    record = page.record()
    assert [item["number"] for item in record["missing"]] == ["Section 4.2", "1.2"]
    assert [item["text"] for item in record["claims"]][:-1] == [claim.text for claim in awabs_calibration_claims.CLAIMS]
    assert set(page.declared.figures) <= set(published.figures("awabs")["figure"])
    assert set(page.declared.tables) <= set(published.tables("awabs"))


def test_every_cell_takes_a_finished_run(
    trained: Run, few_draws: None, monkeypatch: pytest.MonkeyPatch, executed_without_runs: Callable[[str, str], Page]
) -> None:
    monkeypatch.setattr(Page, "runs", lambda page, grid, quiet=False: [trained])
    page = executed_without_runs("awabs/calibration", "quick")
    assert page.open_items() == []
    assert {"Worked example", "4.1", "Choices", "Confidence", "Below chance", "Group errors"} <= set(page.frames)
    assert {"Section 4.2", "Confidence of CE", "Bins", "Intervals", "Groups of classes", "ECE by epoch"} <= set(
        page.record()["figures"]
    )
    row = page.frames["Confidence"].iloc[0]
    assert float(row["ECE"]) == pytest.approx(100 * trained.metrics["selected"]["ece"], abs=0.06)
    low, _, high = row["95% interval"].partition(" to ")
    assert float(low) <= float(row["ECE"]) <= float(high) + 2  # reflected in the estimate, the bias taken out

"""The post-hoc page: its grid, what counts as better with one run and with three, and what older records lack."""

from __future__ import annotations

import math
from typing import Any

import pytest
from handmade import BINS, a_run, answers, changed

from ltlib import grids, profiles
from ltlib.calibration.effects import CROSS_FITTED
from ltlib.chapters.beyond import post_hoc
from ltlib.pages import declared
from ltlib.pages.page import Page
from ltlib.sections.posthoc import FITTED, SCALED
from ltlib.statistics import FEWEST_RUNS

SAID = answers([0.9, 0.6, 0.7, 0.8], [0, 0, 1, 1], [0, 0, 0, 1])


def a_method(method: str, *accuracies: tuple[float, float], ece: float = 0.1, tail: float = 0.3) -> list[Any]:
    """Runs of a method: accuracy as trained and with tau and T; the ECE halves, the tail gains what all gain."""
    return [a_run(SAID, posts(before, after, ece, tail), method) for before, after in accuracies]


def posts(before: float, after: float, ece: float, tail: float) -> dict[str, Any]:
    """What a run of today's code knows: two folds, likelihoods in the order of the accuracies."""

    def row(accuracy: float, error: float, own: float, nll: float, **parameters: float) -> dict[str, Any]:
        folds = {name: [value - 0.1, value + 0.1] for name, value in parameters.items()}
        return {
            "accuracy": accuracy,
            "ece": error,
            "ece_debiased": error - 0.01,
            "ece_floor": 0.012,
            "classwise_ece": 0.01,
            "nll": nll,
            "parameters": parameters,
            "held_out": 90,
            "bins": BINS,
            "groups": {"head": {"accuracy": 0.8, "ece": error}, "tail": {"accuracy": own, "ece": 2 * error}},
            "cross_fitted": {"folds": 2, "parameters": folds, "accuracy": accuracy - 0.02, "nll": nll + 0.05},
        }

    return {
        "none": row(before, ece, tail, 1.5),
        SCALED: row(before, ece / 2, tail, 1.2, temperature=2.0),
        "isotonic": row(before - 0.01, ece, tail, 30.0),
        FITTED: row(after, ece / 2, tail + after - before, 0.9, tau=1.1, temperature=1.2),
        "vector_scaling": row(after - 0.01, ece / 2, tail, 1.0),
    }


def judged(found: dict[str, list[Any]]) -> list[Any]:
    world = post_hoc.measured(found)
    others = [method for method in found if method != "ce"]
    return [post_hoc.judged(world, question, others) for question in post_hoc.QUESTIONS]


def test_the_grid_holds_a_tenth_back_has_the_runs_of_the_thesis_and_three_seeds_where_time_allows() -> None:
    for profile in profiles.PROFILES:
        own, _ = grids.experiments("beyond/post_hoc", profile)
        assert {experiment.validation for experiment in own} == {"subset"}
        assert len({experiment.cell_id for experiment in own}) == 6
        assert len(own) == 6 * (1 if profile == "quick" else FEWEST_RUNS)
        shared = {experiment.run_id for experiment in grids.experiments("awabs/held_out", profile)[0]}
        assert shared <= {experiment.run_id for experiment in own}, "else they would be trained twice"


def test_one_run_sees_and_does_not_hold() -> None:
    """CE 0.65 after; the other 0.60 as trained and 0.64 after, half as well calibrated."""
    found = {"ce": a_method("ce", (0.5, 0.65)), "crt": a_method("crt", (0.6, 0.64), ece=0.2, tail=0.5)}
    accurate, tail, calibrated, fair = judged(found)
    assert (accurate.answer, accurate.runs) == (True, 1)
    assert (tail.answer, tail.runs) == (False, 1)  # 0.3 + 0.15 against 0.5
    assert (calibrated.answer, calibrated.runs) == (True, 1)
    assert (fair.answer, fair.runs) == (True, 1)
    near = found | {"lws": a_method("lws", (0.645, 0.7), ece=0.06)}
    accurate, _, calibrated, fair = judged(near)
    assert accurate.answer is None, "half a point apart, of one run each"
    assert calibrated.answer is None
    assert fair.answer is False


def test_three_runs_are_judged_by_their_interval() -> None:
    """Means 0.65 and 0.64 with standard deviation 0.01 are open, with 0.001 they are not (and are within a point)."""
    for spread, answer in ((0.01, None), (0.001, True)):
        steps = (-spread, 0.0, spread)
        found = {
            "ce": a_method("ce", *((0.5, 0.65 + step) for step in steps)),
            "crt": a_method("crt", *((0.64 + step, 0.64 + step) for step in steps), ece=0.2),
        }
        accurate, *_ = judged(found)
        assert accurate.answer is answer
        assert accurate.runs == (None if answer is None else 3)


def test_claims_are_shown_with_what_is_behind_them(monkeypatch: pytest.MonkeyPatch) -> None:
    page, told = Page(declared.Declared(id="x", document=None), "laptop"), []  # type: ignore[var-annotated]
    monkeypatch.setattr(Page, "claim", lambda page, *given, **more: told.append((given, more)))
    found = {"ce": a_method("ce", (0.5, 0.65)), "crt": a_method("crt", (0.6, 0.64), (0.6, 0.64))}
    post_hoc.claims(page, found)
    (text, _, answer, evidence), more = told[0]
    assert text.startswith("With tau and T, plain training is more accurate")
    assert (answer, more["runs"]) == (True, 1)
    assert evidence == "Accuracy (n = 1 to 2): CE with tau and T 65.0%; cRT 60.0%"
    assert told[3][0][3] == "Accuracy (n = 1 to 2): CE with tau and T 65.0%; cRT with tau and T 64.0%"
    assert "by more than 1 point of accuracy or 1.5 of ECE" in more["rule"]
    said: list[str] = []
    monkeypatch.setattr(Page, "say", lambda page, text: said.append(text))
    post_hoc.claims(page, {"ce": found["ce"]})
    assert said == ["Plain training and another method with held-out images are needed to hold one against the other."]
    assert len(told) == 4


def test_the_table_the_sentence_and_the_arrows() -> None:
    found = {"ce": a_method("ce", (0.5, 0.65), (0.52, 0.67)), "crt": a_method("crt", (0.6, 0.64))}
    frame = post_hoc.table(found)
    assert frame["afterwards"].tolist() == ["as trained", "temperature", "tau and T", "vector scaling", "isotonic"] * 2
    assert frame.loc[2].tolist() == ["CE", "tau and T", 2, "66.0", "45.0", "5.00", "4.00", "1.20", "0.90"]
    assert post_hoc.sentence(found) == (
        "plain training is right for 51.0% (30.0% on the tail) with an ECE of 10.0%; with tau and T fitted, for 66.0% "
        "(45.0% on the tail) with an ECE of 5.0%. The same two numbers move the others' accuracy by, in points: "
        "cRT +4.0."
    )
    assert "nothing to hold" in post_hoc.sentence({"crt": found["crt"]})
    first, second = post_hoc.moves(found)
    assert first == pytest.approx({"accuracy": 0.66, "accuracy before": 0.51, "ece": 0.05, "ece before": 0.1} | {
        "name": "CE"
    })  # fmt: skip
    assert second["name"] == "cRT"


def test_a_group_without_test_images_has_no_tail() -> None:
    run = a_method("ce", (0.5, 0.65))[0]
    run.metrics["selected"]["posthoc"]["none"]["groups"]["tail"]["accuracy"] = None
    assert math.isnan(post_hoc.value(run, "none", "tail"))
    assert math.isnan(post_hoc.value(run, "no such", "accuracy"))
    assert "right for 50.0% with an ECE" in post_hoc.sentence({"ce": [run]})


def test_fitted_numbers_come_with_their_spread() -> None:
    own = a_method("ce", (0.5, 0.65), (0.52, 0.67))
    own[1].metrics["selected"]["posthoc"][FITTED]["parameters"]["tau"] = 1.3
    # of two folds 0.2 apart the standard deviation is 0.2 / sqrt(2), as it is of two runs
    assert post_hoc.spread(own, FITTED, "tau") == "1.20 (0.14 between folds, 0.14 between runs)"
    assert post_hoc.spread(own[:1], SCALED, "temperature") == "2.00 (0.14 between folds)"
    assert post_hoc.spread(own, "isotonic", "tau") == "–"
    frame = post_hoc.promises({"ce": own})
    assert set(frame["afterwards"]) == {post_hoc.NAMES[post] for post in CROSS_FITTED}
    columns = ["accuracy (%) promised", "accuracy (%) found", "NLL promised", "NLL found"]
    assert frame.loc[2, columns].tolist() == ["64.0", "66.0", "0.95", "0.90"]


def test_what_the_held_out_images_choose() -> None:
    found = {"ce": a_method("ce", (0.5, 0.65)), "crt": a_method("crt", (0.6, 0.64))}
    assert post_hoc.chosen(found).endswith("choose: CE tau and T and cRT tau and T. That is the best of 5 on the test "
                                           "images for 2 of 2 methods.")  # fmt: skip
    found["crt"][0].metrics["selected"]["posthoc"][SCALED]["cross_fitted"]["nll"] = 0.5
    said = post_hoc.chosen(found)
    assert "cRT temperature (the test images tau and T)" in said
    assert said.endswith("for 1 of 2 methods; the dearest other choice, cRT's, costs 0.30 nats.")


def test_older_records_are_named_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    page, told = Page(declared.Declared(id="x", document=None), "laptop"), []  # type: ignore[var-annotated]
    both = [*a_method("ce", (0.5, 0.65)), a_run(SAID, changed(0.2, 0.04), "crt")]
    monkeypatch.setattr(Page, "runs", lambda page, grid: both)
    monkeypatch.setattr(Page, "note", lambda page, text: told.append(text))
    monkeypatch.setattr(Page, "say", lambda page, text: told.append(text))
    found = post_hoc.runs(page)
    assert list(found) == ["ce", "crt"]
    assert told[0].startswith("1 run of 2 is here only as a record from before vector scaling")
    assert "ltlib reproduce --profile laptop --grid beyond/post_hoc trains runs without a record" in told[0]
    frame = post_hoc.table(found)
    assert frame.loc[frame["method"] == "cRT", "runs"].tolist() == [1, 1, 1, 0, 1]
    post_hoc.cross_fitted(page, {"crt": found["crt"]})
    post_hoc.conformal(page, {"crt": found["crt"]})
    assert told[1] == "No run that is here was cross-fitted; the note above says how to make them."
    assert told[2] == "No run that is here knows conformal sets; the note above says how to make them."

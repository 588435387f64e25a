"""Conformal sets on a page: means, which interval stands beside them, and what the sentences say."""

from __future__ import annotations

from typing import Any

import pytest
from handmade import a_run, changed, two_hundred

from ltlib import statistics
from ltlib.experiment import Experiment
from ltlib.grids.base import Document
from ltlib.sections import sets
from ltlib.sections.study import Study

TOY = Study(
    Document("toy", lambda row: Experiment(dataset="digits", model="resnet8", method="ce"), names={"ce": "Plain"})
)
COLUMNS = ["never out", "empty"]
for _group in ("", " head", " tail"):
    COLUMNS += [f"{name}{_group}" for name in ("coverage", "size", "size_std", "images")]
POSTS = ("none",)


def row(coverage: float, tail: float, size: float, never: int = 0) -> list[float]:
    """A row of `effects.in_sets`: 200 test images, half of them of the tail."""
    head = [2 * coverage - tail, size, 0.5, 100]
    return [never, 0.02, coverage, size, 0.5, 200, *head, tail, size, 0.5, 100]


def knows(coverage: float = 0.7, tail: float = 0.5) -> Any:
    """A run of two classes that knows conformal sets by probability."""
    changes = changed(0.2, 0.04)
    changes["none"]["sets"] = {
        "alpha": 0.1,
        "columns": COLUMNS,
        "threshold": {
            "all": row(coverage, tail, 1.1),
            "balanced": row(0.9, 0.88, 1.5),
            "classes": row(0.96, 1.0, 1.75, never=1),
        },
        "adaptive": {"all": row(0.8, 0.7, 1.2)},
    }
    run = a_run(two_hundred(), changes)
    run.class_counts = [900, 30]
    return run


def test_one_run_has_intervals_over_images_and_three_over_runs() -> None:
    one = sets.measured([knows()], "none", "threshold", "all")
    assert one["coverage tail"] == statistics.share_interval(0.5, 100)
    assert (one["size"].low, one["size"].high) == pytest.approx((1.1 - 0.0697, 1.1 + 0.0697), abs=1e-3)
    three = sets.measured([knows(), knows(0.72), knows(0.74)], "none", "threshold", "all")
    assert three["coverage"] == pytest.approx(statistics.t_interval([0.7, 0.72, 0.74]))
    two = sets.measured([knows(0.7), knows(0.72)], "none", "threshold", "all")
    assert two["coverage"] == pytest.approx(statistics.share_interval(0.71, 200))
    assert sets.measured([knows()], "none", "threshold", "groups") == {}


def test_older_records_are_left_out() -> None:
    old = a_run(two_hundred(), changed(0.2, 0.04))
    newer = knows()
    assert sets.with_sets([old, newer]) == [newer]
    assert sets.dots([old], POSTS) == []
    assert sets.table(TOY, {"ce": [old]}, POSTS).empty
    assert sets.sentence("Plain", [old]) == "No run of Plain that is here knows conformal sets."


def test_table_and_dots() -> None:
    frame = sets.table(TOY, {"ce": [knows()]}, POSTS)
    assert frame["thresholds"].tolist() == [
        "one for all",
        "one, weighted to equal classes",
        "one a class",
        "one for all",
    ]
    assert frame["sets"].tolist() == ["by probability (LAC)"] * 3 + ["adaptive (APS)"]
    wanted = [
        "method",
        "runs",
        "held (%)",
        "95% interval",
        "tail (%)",
        "classes in a set",
        "in the tail's",
        "never out",
    ]
    assert frame.loc[0, wanted].tolist() == ["Plain", 1, "70.0", "63.3 to 75.9", "50.0", "1.10", "1.10", "0"]
    assert frame.loc[2, "never out"] == "1"
    rows = sets.dots([knows()], POSTS)
    assert [one["name"] for one in rows] == [
        "as trained: one for all",
        "as trained: one, weighted to equal classes",
        "as trained: one a class",
    ]
    assert rows[0]["all"] == 0.7
    assert rows[0]["tail"] == 0.5
    assert rows[0]["tail interval"] == pytest.approx((0.4038, 0.5962), abs=1e-4)


def test_sentences() -> None:
    said = sets.sentence("Plain", [knows()])
    assert said.startswith(
        "Plain, as trained. With one threshold for all 70.0% (50.0% of the tail's) of the sets hold the actual class "
        "instead of the promised 90%, with 1.10 of 2 classes in a set; with one, weighted to equal classes 90.0% ("
    )
    assert said.endswith(
        "1 of 2 classes have fewer than 9 held-out images, too few to rule a class out by its own: with one threshold "
        "a class these are in every set."
    )
    found = {"ce": [knows()], "crt": [knows(0.9, 0.88)]}
    assert sets.missed([knows()]) == ["tail"]
    assert sets.missed([knows(0.9, 0.88)]) == [], "an interval that holds the promise breaks nothing"
    assert sets.tail_sentence(found, TOY, POSTS) == (
        "Where one threshold for all leaves a class group below the promise. As trained: 1 of 2 methods, Plain (tail)."
    )
    assert sets.tail_sentence({}, TOY, POSTS) == ""

"""Recalls of class groups and over classes, and whole networks beside frozen ones, of answers made by hand."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from ltlib.compare import by_group, candidates, results, whole
from ltlib.compare.results import Results
from ltlib.compare.target import Target

NAMES = ["rare", "large", "usual"]
COUNTS = [4, 80, 16]
ACTUAL = [0, 0, 1, 1, 1, 1, 2, 2, 2, 2]


def made(said: dict[str, list[list[int]]], sure: float = 8.0) -> Results:
    """A comparison whose methods said these classes of ten test images, split by split."""
    runs: dict[str, list[Any]] = {}
    for method, splits in said.items():
        for answers in splits:
            logits = sure * np.eye(3)[answers]
            last = SimpleNamespace(logits=logits, targets=np.array(ACTUAL))
            facts = {"predictions": {"last": last}, "class_counts": COUNTS, "class_names": NAMES, "seconds": 1.0}
            runs.setdefault(method, []).append(SimpleNamespace(**facts, provenance={"peak_memory": 3 * 2**29}))
    target = Target("balanced", (1 / 3,) * 3)
    tried = [one for one in candidates.chosen([*said]) if one.name in said]
    return Results(target, tuple(tried), cast(Any, runs))


HALF = [0, 1, 1, 1, 1, 1, 2, 2, 2, 1]  # recalls 1/2, 1, 3/4
LESS = [1, 1, 1, 1, 1, 1, 2, 2, 1, 1]  # 0, 1, 1/2
FULL = ACTUAL


def test_groups_by_hand() -> None:
    found = made({"ce": [HALF, LESS], "balanced_softmax": [FULL, FULL]})
    assert by_group.groups(found) == {"head": (1,), "middle": (2,), "tail": (0,)}
    plain, balanced = by_group.rows(found)
    assert (plain["head"], plain["middle"], plain["tail"]) == (1.0, 0.625, 0.25)
    assert plain["all"] == pytest.approx((1 + 0.625 + 0.25) / 3)
    assert balanced["tail"] == 1.0
    # t with 1 degree of freedom at 97.5%: 12.706; variance of 0.5 and 0 is 0.125, times 1/2 + 10/100
    half = 12.7062 * (0.125 * 0.6) ** 0.5
    assert 0.25 + half > 1  # and so both ends are cut off
    assert plain["tail interval"] == (0.0, 1.0)
    assert by_group.table(found)["tail (%)"].tolist() == ["25.0 [0.0, 100.0]", "100.0 [100.0, 100.0]"]


def test_an_interval_that_is_not_cut_off() -> None:
    splits = [HALF, LESS] * 8
    (plain,) = by_group.rows(made({"ce": splits}))
    variance = np.var([0.5, 0.0] * 8, ddof=1) * (1 / 16 + 0.1)
    half = 2.13145 * variance**0.5  # t of 15 degrees of freedom
    assert plain["tail interval"] == pytest.approx((max(0, 0.25 - half), 0.25 + half), abs=1e-4)


def test_lines_run_from_the_largest_class_to_the_smallest() -> None:
    found = made({"ce": [HALF, LESS]})
    lines, width = by_group.lines(found, list(found.tried))
    assert (lines, width) == ({"Plain training": [1.0, 0.625, 0.25]}, 1)


def test_a_running_mean_by_hand() -> None:
    values = np.array([1.0, 0.0, np.nan, 1.0, 0.5])
    assert by_group._running(values, 3).tolist() == [0.5, 0.5, 0.5, 0.75, 0.75]


def test_those_that_are_drawn() -> None:
    names = ["focal", "balanced_softmax", "tau_norm", "crt", "ldam_drw", "weighted_ce"]
    found = made({"ce": [HALF, LESS], **{name: [FULL, FULL] for name in names}})
    shown = [one.name for one in by_group.shown(found, found.recommendation())]
    assert len(shown) == by_group.CURVES
    assert shown[0] == "ce"
    assert found.recommendation().method in shown


def test_the_table_says_time_memory_and_the_floor_of_the_calibration_error() -> None:
    found = made({"ce": [HALF, LESS]})
    frame = results.table(found)
    assert frame["memory (GiB)"].tolist() == ["1.50"]
    sentence = results.calibration_sentence(found, found.tried[0])
    # sure of everything, right in 8 and 6 of 10: errors of 0.2 and 0.4, and no chance of one
    assert "ECE of 29.9%" in sentence
    assert "measures 0.1%" in sentence
    assert "in 2 of 2 splits" in sentence


def test_what_training_all_of_it_is_worth() -> None:
    frozen = made({"ce": [HALF, LESS] * 3})
    said = frozen.recommendation()
    better = made({"ce": [FULL] * 3})
    assert whole.gain(frozen, said, better).mean == pytest.approx(((1 - 0.75) * 2 + (1 - 0.5)) / 3)
    same = made({"ce": [HALF, LESS, HALF]})
    assert whole.gain(frozen, said, same).mean == 0
    assert whole.chosen(frozen, said, same)[0] is frozen
    assert "no difference can be told" in whole.text(frozen, said, same)
    certain = made({"ce": [HALF] * 6})
    ahead = made({"ce": [FULL] * 3})
    assert whole.chosen(certain, certain.recommendation(), ahead)[0] is ahead
    assert "+25.0 points" in whole.text(certain, certain.recommendation(), ahead)
    assert "leave the network frozen." in whole.text(ahead, ahead.recommendation(), certain_first(3))


def certain_first(splits: int) -> Results:
    return made({"ce": [HALF] * splits})

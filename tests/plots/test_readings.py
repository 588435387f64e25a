from __future__ import annotations

import pytest

from ltlib.plots.readings import Reading, parse_readings

T, V = "train", "validation"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("training rises steadily; clear gap to validation", []),
        ("30 epochs; training about 10% to 70%; validation about 30%, flat from epoch 10",
         [Reading(T, 0.1, "start"), Reading(T, 0.7, "end"), Reading(V, 0.3, "level", 10)]),
        ("training about 30% to just over 80% at epoch 50; validation peak about 70%, end about 65%",
         [Reading(T, 0.3, "start"), Reading(T, 0.8, "end"), Reading(V, 0.7, "level"), Reading(V, 0.65, "end")]),
        ("training about 4.5 to below 1.0; validation about 2.5 from epoch 5",
         [Reading(T, 4.5, "start"), Reading(T, 1.0, "end"), Reading(V, 2.5, "level", 5)]),
        ("training about 0.040 to just below 0.010; validation about 0.035 to 0.025",
         [Reading(T, 0.04, "start"), Reading(T, 0.01, "end"), Reading(V, 0.035, "start"), Reading(V, 0.025, "end")]),
        ("training close to 90%; validation plateau about 70%", [Reading(T, 0.9, "end"), Reading(V, 0.7, "level")]),
        ("training loss approaches 0.00; validation fluctuates", [Reading(T, 0.0, "end")]),
        ("training loss to just above 0.00; validation volatile", [Reading(T, 0.0, "end")]),
        ("100 epochs; training about 10% to just over 60%; validation about 35% after epoch 60",
         [Reading(T, 0.1, "start"), Reading(T, 0.6, "end"), Reading(V, 0.35, "level", 60)]),
        ("70 epochs; training about 80%; validation about 40%", [Reading(T, 0.8, "level"), Reading(V, 0.4, "level")]),
        ("training plateau about 70%; validation peak about 60%", [Reading(T, 0.7, "level"), Reading(V, 0.6, "level")]),
        ("training above 70%; validation plateaus", [Reading(T, 0.7, "end")]),
    ],
)  # fmt: skip
def test_parse(text: str, expected: list[Reading]) -> None:
    assert parse_readings(text) == expected


def test_spans_lie_within_the_run() -> None:
    assert Reading(T, 0.1, "start").span(100) == (1, 13)
    assert Reading(T, 0.1, "end").span(100) == (88, 100)
    assert Reading(V, 0.1, "level", 60).span(100) == (60, 100)
    assert Reading(V, 0.1, "level", 60).span(40) == (20, 40)  # a shorter run than the document's
    for place in ("start", "end", "level"):
        first, last = Reading(T, 0.1, place).span(3)
        assert 1 <= first < last <= 3

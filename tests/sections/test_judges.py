"""Each judge in worlds made by hand: true, false, too close, not run, both sides of every bound, errors downwards."""

from __future__ import annotations

from typing import Any

import pytest

from ltlib.pages.standing import Judgement
from ltlib.sections import judges
from ltlib.sections.answers import Answer, some
from ltlib.sections.claims import NOTHING
from ltlib.sections.world import Key, Numbers, Value, Words, World

X, Y = ("x",), ("y",)
WORDS = Words(row=str.upper, head=lambda column, quantity: f"{column[0]} {quantity}", part=lambda c: str(c[0]))
MARGIN = 0.01


def a_world(ours: bool = True, cells: dict[str, list[Key]] | None = None, **quantities: dict[str, Any]) -> World:
    """Numbers by quantity and then ``x.old``: column and row; a tuple is mean, runs, spread."""
    found = {
        quantity: Numbers(
            {tuple(k.split(".")): v if isinstance(v, Value) else Value(v) for k, v in own.items()},
            MARGIN if ours else 0.0,
        )
        for quantity, own in quantities.items()
    }
    return World(found, WORDS, ours, cells or {})


def answer(judge: Any, **quantities: Any) -> Answer:
    return judge(a_world(**quantities)).answer


OLD_NEW = [
    ({"x.new": 0.7, "x.old": 0.6}, True),
    ({"x.new": 0.6, "x.old": 0.7}, False),
    ({"x.new": 0.705, "x.old": 0.7}, None),  # less than a point
    ({"x.new": 0.7}, None),
    ({"x.new": Value(0.705, 3, 1e-4), "x.old": Value(0.7, 3, 1e-4)}, True),
    ({"x.new": Value(0.75, 3, 0.1), "x.old": Value(0.7, 3, 0.1)}, None),
]


@pytest.mark.parametrize(("scores", "expected"), OLD_NEW)
def test_above_in_one_column(scores: dict[str, Any], expected: Answer) -> None:
    judge = judges.above([("new", "old")], [X])
    assert answer(judge, accuracy=scores) is expected
    upside_down = judges.above([("new", "old")], [X], ["ece"])
    opposite = None if expected is None else not expected
    assert answer(upside_down, ece=scores) is opposite
    assert answer(judges.best(["new"], [X]), accuracy=scores) is (None if len(scores) == 1 else expected)
    assert answer(judges.least("old", [X]), accuracy=scores) is (None if len(scores) == 1 else expected)


def test_above_asks_every_pair_column_and_quantity() -> None:
    scores = {"x.new": 0.7, "x.old": 0.6, "y.new": 0.5, "y.old": 0.6}
    assert answer(judges.above([("new", "old")], [X, Y]), accuracy=scores) is False
    assert answer(judges.above([("new", "old")], [X, Y], rule=some), accuracy=scores) is True
    assert answer(judges.above([("old", "new")], [X], rule=some), accuracy=scores) is False
    assert answer(judges.ahead([(X, "new", "old"), (Y, "old", "new")]), accuracy=scores) is True
    both = judges.above([("new", "old")], [X], ["accuracy", "ece"])
    assert answer(both, accuracy=scores, ece={"x.new": 0.1, "x.old": 0.2}) is True
    assert answer(both, accuracy=scores, ece={"x.new": 0.2, "x.old": 0.1}) is False
    three = judges.above(judges.against("new", ["new", "old", "third"]), [X], shown=["new", "old", "third"])
    found = three(a_world(accuracy={**scores, "x.third": 0.8}))
    assert found[:2] == (False, "Of 2 comparisons 1 agrees, 1 does not; x accuracy: THIRD 80.00, NEW 70.00, OLD 60.00.")


def test_what_a_document_does_not_print_is_no_comparison() -> None:
    cells: dict[str, list[Key]] = {"accuracy": [("x", "new"), ("x", "old"), ("y", "new")]}
    judge = judges.above([("new", "old")], [X, Y])
    scores = {"x.new": 0.7, "x.old": 0.6}
    assert judge(a_world(cells=cells, accuracy=scores)) == (True, "X accuracy: NEW 70.00, OLD 60.00.", 1, "")
    assert judge(a_world(accuracy=scores)).answer is None


COLUMN = {"x.a": 0.8, "x.b": 0.7, "x.c": 0.6}


def test_best_and_least_of_a_column() -> None:
    found = judges.best(["b"], [X])(a_world(accuracy=COLUMN))
    assert found[:2] == (False, "Of 2 comparisons 1 agrees, 1 does not; x accuracy: A 80.00, B 70.00.")
    assert answer(judges.best(["a"], [X]), accuracy=COLUMN) is True
    assert answer(judges.best(["b"], [X], without=["a"]), accuracy=COLUMN) is True
    assert answer(judges.best(["a", "b"], [X]), accuracy=COLUMN) is True  # a team's members are no rivals
    assert answer(judges.best(["a", "c"], [X]), accuracy=COLUMN) is False
    assert answer(judges.best(["c"], [X], ["ece"]), ece=COLUMN) is True
    assert answer(judges.best(["a"], [X], ["ece"]), ece=COLUMN) is False
    assert answer(judges.best(["a"], [X, Y]), accuracy={**COLUMN, "y.a": 0.5, "y.b": 0.6}) is False
    assert judges.least("c", [X])(a_world(accuracy=COLUMN)).evidence.endswith("x accuracy: B 70.00, C 60.00.")
    assert answer(judges.least("b", [X]), accuracy=COLUMN) is False
    assert answer(judges.least("a", [X], ["ece"]), ece=COLUMN) is True
    assert answer(judges.least("c", [X, Y]), accuracy={**COLUMN, "y.c": 0.5, "y.b": 0.4}) is False


def test_a_rival_of_print_that_was_not_run_leaves_best_open() -> None:
    cells: dict[str, list[Key]] = {"accuracy": [("x", row) for row in "abcd"]}
    open_ = a_world(cells=cells, accuracy=COLUMN)
    assert judges.best(["a"], [X])(open_).answer is None
    assert judges.best(["b"], [X])(open_).answer is False
    assert judges.least("c", [X])(open_).answer is None


@pytest.mark.parametrize(
    ("others", "expected", "said"),
    [
        ([0.6, 0.6, 0.8], True, "better in 2 of 3"),
        ([0.6, 0.8], False, "better in 1 of 2"),  # half is not most
        ([0.6, 0.8, 0.8], False, "better in 1 of 3"),
        ([0.6, 0.705], None, "better in 1 of 2"),
        ([0.6, 0.6, 0.705], True, "better in 2 of 3"),
    ],
)
def test_better_than_most(others: list[float], expected: Answer, said: str) -> None:
    scores = {"x.own": 0.7, "x.not": 0.9, **{f"x.{i}": score for i, score in enumerate(others)}}
    judge = judges.better_than_most("own", [X, Y], without=["not"])
    assert judge(a_world(accuracy=scores))[:2] == (expected, f"Accuracy: {said}.")
    errors = {key: 1 - score for key, score in scores.items()}
    assert answer(judges.better_than_most("own", [X], ["ece"], ["not"]), ece=errors) is expected
    assert judge(a_world(cells={"accuracy": [("x", "own"), ("x", "0")]}, accuracy={}))[:2] == (None, NOTHING)


def test_better_than_most_counts_all_columns_together_and_each_quantity_alone() -> None:
    """Better than 3 of 4 over both columns, and than 1 of 2 in the second."""
    scores = {"x.own": 0.7, "x.a": 0.6, "x.b": 0.6, "y.own": 0.7, "y.a": 0.6, "y.b": 0.8}
    both = judges.better_than_most("own", [X, Y], ["accuracy", "ece"])
    assert answer(judges.better_than_most("own", [X, Y]), accuracy=scores) is True
    assert answer(judges.better_than_most("own", [Y]), accuracy=scores) is False
    assert answer(both, accuracy=scores, ece={key: 1 - score for key, score in scores.items()}) is True
    assert answer(both, accuracy=scores, ece=scores) is False  # a larger error is not better


def test_not_best_needs_one_rival_above_in_every_column() -> None:
    scores = {"x.own": 0.7, "x.a": 0.8, "x.b": 0.6, "y.own": 0.7, "y.a": 0.6, "y.b": 0.8}
    judge = judges.not_best("own", [X, Y])
    assert answer(judge, accuracy=scores) is True
    assert answer(judge, accuracy={**scores, "y.b": 0.6}) is False
    assert answer(judge, accuracy={**scores, "y.b": 0.705}) is None
    assert answer(judges.not_best("own", [X], ["ece"]), ece=scores) is True  # b's error is the smaller
    assert answer(judges.not_best("b", [X], ["ece"]), ece=scores) is False


@pytest.mark.parametrize(
    ("own", "printed", "ours", "said"),
    [
        (0.82, True, True, "the best"),
        (0.80, True, True, "0.00 points behind A"),  # a point is allowed, and a point is noise
        (0.79, True, None, "1.00 points behind A"),  # 0.80 - 0.79 is a hair above 0.01 in binary
        (0.789, False, None, "1.10 points behind A"),
        (0.78, False, None, "2.00 points behind A"),
        (0.779, False, False, "2.10 points behind A"),
    ],
)
def test_keeps_up_with_the_best(own: float, printed: bool, ours: Answer, said: str) -> None:
    judge = judges.keeps_up("own", [X], {"accuracy": 0.01})
    scores = {**COLUMN, "x.own": own}
    errors = {key: 1 - score for key, score in scores.items()}
    for mine, expected in ((False, printed), (True, ours)):
        found = judge(a_world(mine, accuracy=scores))
        assert found.answer is expected
        assert found.evidence == f"X accuracy: {said}." or own == 0.80
        assert judges.keeps_up("own", [X], {"ece": 0.01})(a_world(mine, ece=errors)).answer is expected


def test_keeps_up_with_rivals_that_were_not_run_cannot_be_told() -> None:
    """The best of those run is beaten, and the one that is missing may be better still; behind is behind."""
    cells: dict[str, list[Key]] = {"accuracy": [("x", row) for row in ("own", "a", "b", "c", "d")]}
    judge = judges.keeps_up("own", [X], {"accuracy": 0.01})
    found = judge(a_world(cells=cells, accuracy={**COLUMN, "x.own": 0.9}))
    assert found.answer is None
    assert found.evidence == "X accuracy: the best, 1 others not run."
    assert judge(a_world(cells=cells, accuracy={**COLUMN, "x.own": 0.7})).answer is False
    assert judge(a_world(cells=cells, accuracy={**COLUMN, "x.own": 0.9, "x.d": 0.5})).answer is True


def test_keeps_up_asks_each_quantity_with_its_own_points_and_needs_the_row() -> None:
    both = judges.keeps_up("b", [X], {"accuracy": 0.2, "ece": 0.05})
    assert answer(both, accuracy=COLUMN, ece={"x.b": 0.1, "x.a": 0.03}) is False
    assert answer(both, accuracy=COLUMN, ece={"x.b": 0.1, "x.a": 0.07}) is True
    assert answer(both, accuracy=COLUMN, ece={"x.a": 0.06}) is None
    assert both(a_world(ece={"x.a": 0.06}))[:2] == (None, NOTHING)


@pytest.mark.parametrize(
    ("number", "printed", "ours"),
    [(0.05, True, None), (0.0499, False, None), (0.06, True, True), (0.04, False, None), (0.0399, False, False)],
)
def test_reaches_a_threshold(number: float, printed: bool, ours: Answer) -> None:
    judge = judges.reaches("gap", 0.05, [("x", "a"), ("x", "b")])
    for mine, expected in ((False, printed), (True, ours)):
        assert judge(a_world(mine, gap={"x.a": number, "x.b": 0.9})).answer is expected
        assert judge(a_world(mine, gap={"x.a": number})).answer is (False if expected is False else None)
    assert judge(a_world(gap={"x.a": 0.5})).evidence.endswith("1 could not be made; x gap: A 50.00.")


@pytest.mark.parametrize(
    ("low", "printed", "ours"),
    [(0.79, False, None), (0.789, True, None), (0.78, True, None), (0.779, True, True), (0.80, False, False)],
)
def test_best_and_worst_are_apart(low: float, printed: bool, ours: Answer) -> None:
    """By more than a point; with single runs, of which a point is noise, by more than two, or they are equal."""
    judge = judges.apart([X, Y], ["a", "b", "c"], 0.01)
    whole = {"x.a": 0.80, "x.b": 0.80, "x.c": low}
    for mine, expected in ((False, printed), (True, ours)):
        assert judge(a_world(mine, accuracy={**whole, "y.a": 0.5, "y.b": 0.1, "y.c": 0.5})).answer is expected
        assert judge(a_world(mine, accuracy=whole)).answer is (False if expected is False else None)
    some_rows = judges.apart([X], ["a", "b", "c"], 0.01)
    assert answer(some_rows, accuracy={"x.a": 0.8, "x.b": 0.1}) is True  # whatever the third is
    assert answer(some_rows, accuracy={"x.a": 0.8, "x.b": 0.8}) is None


def test_best_overall() -> None:
    scores = {"x.a": 0.8, "x.b": 0.7, "y.a": 0.75, "y.b": 0.6}
    judge = judges.best_overall(("x", "a"), [X, Y], ["a", "b"])
    said = "best first: A (x accuracy) 80.00; A (y accuracy) 75.00; B (x accuracy) 70.00."
    assert judge(a_world(accuracy=scores)) == (True, f"All 3 comparisons agree; {said}", 1, "")
    assert answer(judge, accuracy={**scores, "y.a": 0.82}) is False
    assert answer(judge, accuracy={**scores, "y.a": 0.805}) is None
    assert answer(judge, accuracy={"x.a": 0.8, "x.b": 0.7, "y.a": 0.75}) is None
    assert judge(a_world(ours=False, accuracy={**scores, "y.a": 0.8})).answer is True  # printed equal: none is above
    assert answer(judges.best_overall(("y", "b"), [X, Y], ["a", "b"], "ece"), ece=scores) is True


def test_across_columns() -> None:
    scores = {"x.a": 0.6, "y.a": 0.7, "z.a": 0.8, "x.b": 0.3, "y.b": 0.2}
    three = {"toy": [X, Y, ("z",)]}
    grows = judges.across(three, [(1, 0), (2, 1)], ["a"])
    said = "All 2 comparisons agree; toy, A: x 60.00, y 70.00, z 80.00."
    assert grows(a_world(accuracy=scores)) == (True, said, 1, "")
    assert answer(judges.across(three, [(0, 1)], ["a"]), accuracy=scores) is False
    assert answer(judges.across(three, [(0, 1)], ["a"], "ece"), ece=scores) is True
    assert answer(judges.across(three, [(1, 0)], ["a", "b"]), accuracy=scores) is False
    assert answer(judges.across(three, [(2, 0)], ["b"]), accuracy=scores) is None
    for within, ours, printed in ((0.11, True, True), (0.1, None, True), (0.09, None, False), (0.089, False, False)):
        judge = judges.across(three, [(0, 1)], ["a"], within=within)
        assert answer(judge, accuracy=scores) is ours
        assert judge(a_world(False, accuracy=scores)).answer is printed


@pytest.mark.parametrize(
    ("second", "printed", "ours"),
    [(0.70, True, True), (0.69, True, None), (0.71, True, None), (0.689, False, None), (0.711, False, None),
     (0.72, False, None), (0.721, False, False), (0.679, False, False)],
)  # fmt: skip
def test_equal_within_points(second: float, printed: bool, ours: Answer) -> None:
    judge = judges.equal(("x", "a"), ("y", "a"), 0.01, remark="a copy")
    scores = {"x.a": 0.7, "y.a": second}
    assert answer(judge, accuracy=scores) is ours
    assert answer(judge, accuracy={"x.a": 0.7}) is None
    assert "a copy" not in judge(a_world(accuracy=scores)).evidence
    assert judge(a_world(ours=False, accuracy=scores)).answer is printed
    assert judge(a_world(ours=False, accuracy=scores)).evidence.endswith("; a copy.")


def test_leaders_differ() -> None:
    judge = judges.leaders_differ([X, Y], ["a", "b"])
    found = judge(a_world(accuracy={"x.a": 0.8, "x.b": 0.7, "y.a": 0.5, "y.b": 0.6}))
    assert found == (True, "Clear leaders by table: A on 1 (x accuracy); B on 1 (y accuracy).", 1, "")
    assert answer(judge, accuracy={"x.a": 0.8, "x.b": 0.7, "y.a": 0.7, "y.b": 0.6}) is False
    assert answer(judge, accuracy={"x.a": 0.8, "x.b": 0.7, "y.a": 0.605, "y.b": 0.6}) is None
    assert answer(judge, accuracy={"x.a": 0.8, "x.b": 0.7, "y.a": 0.7}) is None
    none = Judgement(None, "No table has a clear winner among what was run.")
    three = a_world(accuracy={"x.a": 0.8, "x.b": 0.795, "x.c": 0.1})
    assert judges.leaders_differ([X], ["a", "b", "c"])(three) == none  # above one rival alone
    assert judge(a_world(accuracy={"x.a": 0.8, "y.a": 0.7})) == none
    errors = judges.leaders_differ([X, Y], ["a", "b"], "ece")(
        a_world(ece={"x.a": 0.1, "x.b": 0.2, "y.a": 0.1, "y.b": 0.2})
    )
    assert errors.evidence == "Clear leaders by table: A on 2 (x ece, y ece)."


def test_columns_of_one_name_are_counted_once() -> None:
    """Where one set stands in for two, three columns have two names."""
    judge = judges.leaders_differ([X, X, Y], ["a", "b"])
    found = judge(a_world(accuracy={"x.a": 0.8, "x.b": 0.7, "y.a": 0.6, "y.b": 0.5}))
    assert found[:2] == (False, "Clear leaders by table: A on 2 (x accuracy, y accuracy).")


@pytest.mark.parametrize(
    ("at_10", "at_100", "expected"),
    [
        ([0.9, 0.88], [0.7, 0.6], True),  # ahead by 2 points, then by 10
        ([0.9, 0.7], [0.7, 0.6], False),  # the lead shrinks
        ([0.9, 0.95], [0.6, 0.62], False),  # it grows, and stays behind
        ([0.9, 0.8], [0.71, 0.605], None),  # it grows by half a point
        ([0.9, 0.8], [0.70, 0.59], None),  # by a point, a hair more in binary
        ([0.9, 0.8], [0.70, 0.589], True),
    ],
)
def test_lead_grows_with_imbalance(at_10: list[float], at_100: list[float], expected: Answer) -> None:
    values = {
        (factor, row): Value(score)
        for factor, scores in ((100.0, at_100), (10.0, at_10), (50.0, [0.1, 0.9]))
        for row, score in zip(("new", "old"), scores, strict=True)
    }
    found = World({"factor": Numbers(values, MARGIN)}, WORDS, ours=True)
    judge = judges.lead_grows("new", "old", "factor")
    assert judge(found).answer is expected
    assert "NEW minus OLD in points, by imbalance factor: " in judge(found).evidence
    without = {key: value for key, value in values.items() if key != (10.0, "old")}
    behind = at_100[0] < at_100[1]
    assert judge(World({"factor": Numbers(without, MARGIN)})).answer is (False if behind else None)
    assert judges.lead_grows("new", "old", "factor", [(10.0,), (50.0,)])(found).answer is False


def test_lead_needs_two_imbalance_factors() -> None:
    judge = judges.lead_grows("new", "old", "factor")
    assert judge(World({}, WORDS))[:2] == (None, "No accuracy at several imbalance factors is printed.")
    one = Numbers({(10.0, "new"): Value(0.7), (10.0, "old"): Value(0.6)}, MARGIN)
    assert judge(World({"factor": one}, WORDS, ours=True))[:2] == (None, NOTHING)


def test_a_judge_that_needs_a_quantity() -> None:
    judge = judges.needs("gap", "accuracy in training", judges.above([("a", "b")], [X], ["gap"]))
    assert judge(a_world(ours=False))[:2] == (None, "No accuracy in training is printed.")
    assert judge(a_world())[:2] == (None, NOTHING)
    assert answer(judge, gap={"x.a": 0.2, "x.b": 0.1}) is True

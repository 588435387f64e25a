"""Three-valued answers, what evidence says and shows first, claims in both worlds."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from types import SimpleNamespace

import pandas as pd
import pytest

from ltlib import published
from ltlib.errors import UnknownName
from ltlib.pages.standing import Judgement
from ltlib.sections import claims, study
from ltlib.sections.answers import Compared, carried, denied, every, most, some, together
from ltlib.sections.claims import Claim, Group, Judge, conclude, judging
from ltlib.sections.judges import above
from ltlib.sections.world import Numbers, Value, Words, World

KINDS = (True, False, None)
YES, NO, CLOSE, ABSENT = Compared(True, True), Compared(False, True), Compared(None, True), Compared(None, False)


def test_three_valued_logic_is_kleenes() -> None:
    order = {False: 0, None: 1, True: 2}  # "and" is the minimum, "or" the maximum of false < open < true
    for a in KINDS:
        for b in KINDS:
            assert order[every([a, b])] == min(order[a], order[b])
            assert order[some([a, b])] == max(order[a], order[b])
            assert every([a, b]) == denied(some([denied(a), denied(b)]))
    assert every([]) is None


def test_most_waits_for_the_open_ones() -> None:
    """Against all completions of the open answers: it is told where every completion agrees."""
    for answers in itertools.product(KINDS, repeat=4):
        full = [[a if a is not None else b for a, b in zip(answers, fill, strict=True)]
                for fill in itertools.product((True, False), repeat=4)]  # fmt: skip
        outcomes = {sum(one) > 2 for one in full}
        assert most(answers) is (outcomes.pop() if len(outcomes) == 1 else None)
    assert most([True, False]) is False  # half is not most
    assert most([]) is None


def test_runs_that_carry_an_answer() -> None:
    """`every` is refuted by the best measured counterexample, and held up by the worst measured of all."""

    def of(answer: bool | None, runs: int | None) -> Compared:
        return Compared(answer, True, runs)

    assert carried(every, [of(False, 1), of(False, 5), of(True, 1)]) == 5
    assert carried(every, [of(True, 3), of(True, 1), of(True, 4)]) == 1
    assert carried(some, [of(True, 1), of(True, 3), of(False, 1)]) == 3
    assert carried(some, [of(False, 2), of(False, 3)]) == 2
    assert carried(most, [of(True, 1), of(True, 3), of(True, 3), of(False, 1)]) == 1  # two of four are not most
    assert carried(most, [of(True, 1), of(True, 3), of(True, 3), of(True, 5), of(False, 1)]) == 3
    assert carried(every, [of(False, None), of(True, 1)]) is None  # a formula refutes
    assert carried(every, [of(True, None), of(True, 2)]) == 2
    assert carried(every, [of(None, 1)]) is None
    assert together(every, [of(True, 3), CLOSE]) == (None, True, None, True)
    assert together(some, [of(True, 3), ABSENT]) == (True, True, 3, False)
    assert together(every, [ABSENT, ABSENT]) == (None, False, None, False)


def test_conclusion_shows_contradictions_first_and_counts_what_is_missing() -> None:
    found = conclude([([YES], "first"), ([ABSENT], "never"), ([NO], "second")])
    assert found[:2] == (False, "Of 3 comparisons 1 agrees, 1 does not, 1 could not be made; second; first.")
    assert conclude([([ABSENT, ABSENT], "never")])[:2] == (None, claims.NOTHING)
    assert conclude([([YES, ABSENT], "only")]).answer is None
    assert conclude([([YES], "a"), ([CLOSE], "b"), ([NO], "c"), ([NO], "d")]).evidence == (
        "Of 4 comparisons 1 agrees, 2 do not, 1 is too close to tell; c; d; b; and 1 more."
    )
    assert conclude([([NO], "a"), ([YES], "b")], some).answer is True
    partly = together(every, [YES, ABSENT])
    assert conclude([([partly, YES], "a"), ([CLOSE], "b")]).evidence == (
        "Of 3 comparisons 1 agrees, 1 is too close to tell, 1 could be made in part; a; b."
    )


def test_twelve_of_thirteen_agree_and_that_is_most() -> None:
    groups = [([YES._replace(runs=3)] * 12, "a"), ([NO._replace(runs=1)], "b")]
    assert conclude(groups)[::2] == (False, 1)  # named all: one counterexample, seen once
    found = conclude(groups, most)
    assert found == (True, "Of 13 comparisons 12 agree, 1 does not; b; a.", 3, "12 of 13")
    assert conclude([groups[0]], most).share == ""


def test_makers_of_judges_take_all_but_the_world() -> None:
    @judging("{where}{own} is there")
    def ours_is(world: World, wanted: bool, own: str = "new", columns: Sequence[str] = ("x", "y")) -> Iterator[Group]:
        """Whether."""
        yield [Compared(world.ours is wanted, True), Compared(True, True)], "a line"

    found = ours_is(True)
    assert found(World({}, ours=True)) == (True, "All 2 comparisons agree; a line.", None, "")
    assert ours_is(wanted=True)(World({})).answer is False
    assert ours_is(True, rule=some)(World({})).answer is True
    words = Words(row=str.upper)
    assert found.rule(words) == "in each of 2 columns NEW is there"
    assert ours_is(True, rule=most).rule(words) == "in most comparisons over 2 columns, NEW is there"
    assert ours_is(True, "old", ["x"]).rule(words) == "OLD is there"
    assert ours_is.__doc__ == "Whether."


def told(answer: bool | None, runs: int | None) -> Judge:
    """A judge whose answer on ours rests on so many runs; print contradicts."""
    return Judge(
        lambda w: Judgement(answer, "Said.", runs) if w.ours else Judgement(False, "Said."), lambda w: "a rule"
    )


@pytest.mark.parametrize(
    ("answer", "runs", "word"),
    [
        (True, 1, "seen in one run"),
        (False, 1, "not seen in one run"),
        (True, 2, "seen in 2 runs"),
        (False, 2, "not seen in 2 runs"),
        (True, 3, "holds"),
        (False, 3, "does not hold"),
        (True, None, "holds"),  # no run is needed: a formula
        (False, None, "does not hold"),
        (None, 5, "cannot be told"),
    ],
)
def test_a_claim_stands_as_far_as_its_runs_carry_it(answer: bool | None, runs: int | None, word: str) -> None:
    claim = Claim("Short", "A sentence.", "toy, section 2", told(answer, runs), "so")
    (judged,) = claims.judge([claim], World({}), World({}, ours=True))
    assert judged.ours == (answer, "Said.", runs, "")
    assert claims.summary([judged]).iloc[0].tolist() == ["Short", "section 2", "contradict it", word]
    assert claims.tally([judged]) == f"Of 1 claim the printed numbers contradict 1. Ours: 1 {word}."


@pytest.mark.parametrize("of_data", [True, False])
def test_a_stand_in_cannot_tell(of_data: bool) -> None:
    claim = Claim("Short", "A sentence.", "toy, section 2", told(True, 1), "so", of_data)
    (judged,) = claims.judge([claim], World({}), World({}, ours=True), "ResNet-8 on digits")
    assert judged.printed == (False, "Said.", None, "")
    said = "Only a stand-in was run (ResNet-8 on digits), which would say “seen in one run”. Said."
    assert judged.ours[:2] == ((None, said) if of_data else (True, "Said."))


def test_what_stands_in_for_sets_and_networks() -> None:
    assert study.instead("paper") == ""
    assert study.instead("laptop") == "ResNet-8, at most 30 epochs"
    assert study.instead("quick") == "ResNet-8 on digits, at most 20 epochs"


def test_tally_counts_each_kind() -> None:
    kinds = [(True, 1), (False, 3), (True, 1), (True, None), (None, None), (False, 1), (False, 2)]
    own = [Claim("n", "t", "s", told(*kind)) for kind in kinds]
    judged = claims.judge(own, World({}), World({}, ours=True))
    assert claims.tally(judged) == (
        "Of 7 claims the printed numbers contradict 7. Ours: 1 holds, 2 seen in one run, 1 does not hold, "
        "1 not seen in 2 runs, 1 not seen in one run and 1 cannot be told."
    )


def test_a_page_shows_reading_rule_and_both_answers() -> None:
    """As much of a page as is needed: what it is told."""
    seen: dict[str, object] = {}
    page = SimpleNamespace(claim=lambda *args, **more: seen.update(more, args=args))
    numbers = Numbers({("x", "new"): Value(0.7), ("x", "old"): Value(0.6)}, 0.01)
    world = World({"accuracy": numbers}, Words(row=str.upper), ours=True)
    claim = Claim("Short", "A sentence.", "toy, section 2", above([("new", "old")], [("x",)]), "in each table")
    claims.show(page, claims.judge([claim], World({}, world.words), world))  # type: ignore[arg-type]
    assert seen["rule"] == "Read as: in each table. Rule: NEW is better in accuracy than OLD."
    assert seen["runs"] == 1
    assert seen["args"][2] is True  # type: ignore[index]
    assert seen["everywhere"] is False


def test_a_document_s_claims_are_its_published_sentences(monkeypatch: pytest.MonkeyPatch) -> None:
    row = {
        "document": "toy",
        "name": "New wins",
        "place": "page 3",
        "text": "Ours is best.",
        "reading": "in each table",
    }
    monkeypatch.setattr(published, "claims", lambda document: pd.DataFrame([row] if document == "toy" else []))

    judge = told(True, 3)
    found = claims.of("toy")("New wins", judge, of_data=False)
    assert found == Claim("New wins", "Ours is best.", "toy, page 3", judge, "in each table", False)
    assert claims.of("toy")("New wins", judge).of_data
    with pytest.raises(UnknownName, match="did you mean New wins"):
        claims.of("toy")("New win", judge)


def test_a_stand_in_adds_nothing_where_nothing_was_run() -> None:
    claim = Claim(
        "Short", "A sentence.", "toy, section 2", claims.ruled("r")(lambda w: Judgement(None, claims.NOTHING))
    )
    (judged,) = claims.judge([claim], World({}), World({}, ours=True), "digits")
    assert (judged.ours[:2], judged.rule) == ((None, claims.NOTHING), "r")

"""Three-valued answers, what evidence says and shows first, claims in both worlds."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd
import pytest

from ltlib import published
from ltlib.errors import UnknownName
from ltlib.sections import claims
from ltlib.sections.claims import Claim, Group, Judgement, conclude, denied, every, judging, some
from ltlib.sections.world import Compared, World

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


def test_conclusion_shows_contradictions_first_and_counts_what_is_missing() -> None:
    found = conclude([([YES], "first"), ([ABSENT], "never"), ([NO], "second")])
    assert found == (False, "Of 3 comparisons 1 agrees, 1 does not, 1 could not be made; second; first.")
    assert conclude([([ABSENT, ABSENT], "never")]) == (None, claims.NOTHING)
    assert conclude([([YES, ABSENT], "only")]).answer is None
    assert conclude([([YES], "a"), ([CLOSE], "b"), ([NO], "c"), ([NO], "d")]).evidence == (
        "Of 4 comparisons 1 agrees, 2 do not, 1 is too close to tell; c; d; b; and 1 more."
    )
    assert conclude([([NO], "a"), ([YES], "b")], some).answer is True


def test_makers_of_judges_take_all_but_the_world() -> None:
    @judging
    def ours_is(world: World, wanted: bool) -> Iterator[Group]:
        """Whether."""
        yield [Compared(world.ours is wanted, True)], "a line"

    assert ours_is(True)(World({}, ours=True)) == (True, "A line.")
    assert ours_is(wanted=True)(World({})) == (False, "A line.")
    assert ours_is.__doc__ == "Whether."


@pytest.mark.parametrize(
    ("stand_in", "of_data", "answer"), [("", True, True), ("digits", True, None), ("digits", False, True)]
)
def test_claims_in_both_worlds(stand_in: str, of_data: bool, answer: bool | None) -> None:
    claim = Claim("Short", "A sentence.", "toy, section 2", lambda w: Judgement(w.ours, "Said."), "so", of_data)
    (judged,) = claims.judge([claim], World({}), World({}, ours=True), stand_in)
    assert judged.printed == (False, "Said.")
    assert judged.ours.answer is answer
    assert judged.ours.evidence == ("Only digits were run, which would say “yes”. Said." if answer is None else "Said.")
    row = claims.summary([judged]).iloc[0].tolist()
    assert row == ["Short", "section 2", "no", "cannot be told" if answer is None else "yes"]
    said = "1 cannot be told" if answer is None else "1 yes"
    assert claims.tally([judged]) == f"Of 1 claims, by the printed numbers: 1 no; by ours: {said}."


def test_a_document_s_claims_are_its_published_sentences(monkeypatch: pytest.MonkeyPatch) -> None:
    row = {
        "document": "toy",
        "name": "New wins",
        "place": "page 3",
        "text": "Ours is best.",
        "reading": "in each table",
    }
    monkeypatch.setattr(published, "claims", lambda document: pd.DataFrame([row] if document == "toy" else []))

    def judge(world: World) -> Judgement:
        return Judgement(True, "Said.")

    found = claims.of("toy")("New wins", judge, of_data=False)
    assert found == Claim("New wins", "Ours is best.", "toy, page 3", judge, "in each table", False)
    assert claims.of("toy")("New wins", judge).of_data
    with pytest.raises(UnknownName, match="did you mean New wins"):
        claims.of("toy")("New win", judge)


def test_a_stand_in_adds_nothing_where_nothing_was_run() -> None:
    claim = Claim("Short", "A sentence.", "toy, section 2", lambda w: Judgement(None, claims.NOTHING))
    assert claims.judge([claim], World({}), World({}, ours=True), "digits")[0].ours == (None, claims.NOTHING)

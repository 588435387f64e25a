"""Claims of a document, judged twice: do its own printed numbers support the sentence, and do ours?

A judge is a function of a `World`: everything one side has measured. The same function is asked about the printed
world and about ours; `judges` makes such functions. Answers are three-valued (Kleene, 1952): a sentence about all
networks is refuted by one that contradicts it, and cannot be told while one is missing and none contradicts.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Concatenate, NamedTuple, ParamSpec

from ltlib import published
from ltlib.errors import UnknownName
from ltlib.sections.world import Answer, Compared, World

if TYPE_CHECKING:
    import pandas as pd

    from ltlib.pages.page import Page

WORDS = {True: "yes", False: "no", None: "cannot be told"}


class Judgement(NamedTuple):
    """An answer with the numbers behind it."""

    answer: Answer
    evidence: str


P = ParamSpec("P")
Judge = Callable[[World], Judgement]


@dataclass(frozen=True)
class Claim:
    """A sentence of a document.

    Attributes:
        name: A few words, for the closing table.
        text: The sentence.
        source: Where it stands.
        judge: Takes a world.
        reading: How a vague sentence is read, where it needs that.
        of_data: Whether the answer depends on the data; one that does cannot be told from a stand-in.
    """

    name: str
    text: str
    source: str
    judge: Judge
    reading: str = ""
    of_data: bool = True


def of(document: str) -> Callable[..., Claim]:
    """Makes the claims of a document: a name in `published.claims`, its judge, and whether it is about data.

    The maker raises `UnknownName` where the document has no such sentence.
    """
    rows = {row["name"]: row for row in published.claims(document).to_dict("records")}

    def claim(name: str, judge: Judge, of_data: bool = True) -> Claim:
        if name not in rows:
            raise UnknownName(f"claim of {document}:", name, rows)
        row = rows[name]
        return Claim(name, row["text"], f"{document}, {row['place']}", judge, row["reading"], of_data)

    return claim


@dataclass(frozen=True)
class Judged:
    """A claim with both judgements."""

    claim: Claim
    printed: Judgement
    ours: Judgement


def every(answers: Iterable[Answer]) -> Answer:
    """True if all are, False if one is; None for no answer at all."""
    found = list(answers)
    if False in found:
        return False
    return None if None in found or not found else True


def some(answers: Iterable[Answer]) -> Answer:
    """True if one is, False if none is."""
    return denied(every(denied(answer) for answer in answers))


def denied(answer: Answer) -> Answer:
    """The opposite; what cannot be told stays so."""
    return None if answer is None else not answer


Group = tuple[Sequence[Compared], str]
"""Comparisons and the line of numbers they rest on."""
_SHOWN = 3
NOTHING = "Nothing comparable was run."


def conclude(groups: Sequence[Group], rule: Callable[[Iterable[Answer]], Answer] = every) -> Judgement:
    """All comparisons together, with the numbers that decide.

    Args:
        groups: Comparisons and the line of numbers they rest on. At most three lines are shown, those that contradict
            first; a line none of whose comparisons was measured is left out.
        rule: `every`, or `some` where the sentence says that something can be.
    """
    compared = [one for own, _ in groups for one in own]
    answer = rule(one.answer for one in compared)
    told = [one.answer for one in compared if one.answer is not None]
    absent = sum(not one.measured for one in compared)
    close = len(compared) - len(told) - absent
    if absent == len(compared):
        return Judgement(answer, NOTHING)
    lines: dict[str, int] = {}
    for own, line in groups:
        answers = [one.answer for one in own if one.measured]
        if answers:
            lines[line] = min(lines.get(line, 3), 0 if False in answers else 1 if None in answers else 2)
    ordered = sorted(lines, key=lambda line: lines[line])
    said = [*ordered[:_SHOWN], *([f"and {len(ordered) - _SHOWN} more"] if len(ordered) > _SHOWN else [])]
    if len(compared) > 1:
        parts = [f"{told.count(True)} agree{'s' * (told.count(True) == 1)}"] if told.count(True) else []
        parts += [f"{told.count(False)} {'do' if told.count(False) > 1 else 'does'} not"] if told.count(False) else []
        parts += [f"{close} {'are' if close > 1 else 'is'} too close to tell"] if close else []
        parts += [f"{absent} could not be made"] if absent else []
        all_ = told.count(True) == len(compared)
        head = (
            f"all {len(compared)} comparisons agree" if all_ else f"of {len(compared)} comparisons {', '.join(parts)}"
        )
        said.insert(0, head)
    text = "; ".join(said)
    return Judgement(answer, f"{text[:1].upper()}{text[1:]}.")


def judging(groups: Callable[Concatenate[World, P], Iterable[Group]]) -> Callable[P, Judge]:
    """Makes judges of a function that yields the groups of `conclude` in a world: called with all but the world."""

    @functools.wraps(groups)
    def maker(*args: P.args, **settings: P.kwargs) -> Judge:
        return lambda world: conclude(list(groups(world, *args, **settings)))

    return maker


def judge(claims: Iterable[Claim], printed: World, ours: World, stand_in: str = "") -> list[Judged]:
    """Judge claims in both worlds.

    Args:
        claims: The sentences.
        printed: The document's own numbers.
        ours: What we measured.
        stand_in: Named where our numbers come from something that cannot speak for the document's data; then the
            answer is None and the evidence says what the stand-in gave.
    """
    found = []
    for claim in claims:
        mine = claim.judge(ours)
        if stand_in and claim.of_data and mine.evidence != NOTHING:
            said = f", which would say “{WORDS[mine.answer]}”" if mine.answer is not None else ""
            mine = Judgement(None, f"Only {stand_in} were run{said}. {mine.evidence}")
        found.append(Judged(claim, claim.judge(printed), mine))
    return found


def show(page: Page, judged: Iterable[Judged]) -> None:
    """Put claims on a page, each with both answers."""
    for item in judged:
        reading = f"Read as: {item.claim.reading}. " if item.claim.reading else ""
        printed = (item.printed.answer, reading + item.printed.evidence)
        page.claim(item.claim.text, item.claim.source, item.ours.answer, item.ours.evidence, printed=printed)


def summary(judged: Iterable[Judged]) -> pd.DataFrame:
    """One row a claim: its words, where it stands, what the printed numbers and ours say."""
    import pandas as pd

    return pd.DataFrame(
        [
            {
                "claim": item.claim.name,
                "source": item.claim.source.partition(", ")[2] or item.claim.source,
                "printed numbers": WORDS[item.printed.answer],
                "ours": WORDS[item.ours.answer],
            }
            for item in judged
        ]
    )


def tally(judged: Sequence[Judged]) -> str:
    """How many claims the printed numbers and ours support, as a sentence."""

    def count(answers: list[Answer]) -> str:
        return ", ".join(f"{answers.count(kind)} {WORDS[kind]}" for kind in (True, False, None) if kind in answers)

    return (
        f"Of {len(judged)} claims, by the printed numbers: {count([item.printed.answer for item in judged])}; "
        f"by ours: {count([item.ours.answer for item in judged])}."
    )

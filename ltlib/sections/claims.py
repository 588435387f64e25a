"""Claims of a document, judged twice: do its own printed numbers support the sentence, and do ours?

A judge is a function of a `World`, everything one side has measured, with the rule that it follows in words. The same
one is asked about the printed world and about ours; `judges` makes them. How a sentence is read is decided once, for
both: one that names all, a best, a rank or a number is refuted by one clear counterexample, any other is read as one
about most comparisons, and a vague size ("comparable", "closely") is a stated number of points.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ltlib import published
from ltlib.errors import UnknownName
from ltlib.pages import standing
from ltlib.pages.standing import Judgement
from ltlib.sections import rules
from ltlib.sections.answers import Answer, Compared, Rule, carried, every
from ltlib.sections.words import listed, many
from ltlib.sections.world import Words, World

if TYPE_CHECKING:
    import pandas as pd

    from ltlib.pages.page import Page


@dataclass(frozen=True)
class Judge:
    """A function that answers for a world, and what it asks in words.

    Attributes:
        ask: Takes a world.
        rule: Takes the words by which rows and columns are called.
    """

    ask: Callable[[World], Judgement]
    rule: Callable[[Words], str]

    def __call__(self, world: World) -> Judgement:
        return self.ask(world)


def ruled(rule: str) -> Callable[[Callable[[World], Judgement]], Judge]:
    """Makes a judge of a function of a world that names no rows in its rule."""
    return lambda ask: Judge(ask, lambda words: rule)


@dataclass(frozen=True)
class Claim:
    """A sentence of a document.

    Attributes:
        name: A few words, for the closing table.
        text: The sentence.
        source: Where it stands.
        judge: Takes a world.
        reading: How a vague sentence is read, where it needs that.
        of_data: Whether the answer depends on data and training; one that does cannot be told from a stand-in.
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
    """A claim with both judgements and the rule they follow, in words."""

    claim: Claim
    printed: Judgement
    ours: Judgement
    rule: str = ""


Group = tuple[Sequence[Compared], str]
"""Comparisons and the line of numbers they rest on."""
_SHOWN = 3
NOTHING = "Nothing comparable was run."


def conclude(groups: Sequence[Group], rule: Rule = every) -> Judgement:
    """All comparisons together, with the numbers that decide.

    Args:
        groups: Comparisons and the line of numbers they rest on. At most three lines are shown, those that contradict
            first; a line none of whose comparisons was measured is left out.
        rule: `every`, or `most` where the sentence is vague, or `some` where it says that something can be.
    """
    compared = [one for own, _ in groups for one in own]
    answer = rule(one.answer for one in compared)
    told: list[Answer] = [one.answer for one in compared if one.answer is not None]
    absent = sum(not one.measured for one in compared)
    partly = sum(one.answer is None and one.measured and not one.whole for one in compared)
    close = len(compared) - len(told) - absent - partly
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
        parts += [f"{partly} could be made in part"] if partly else []
        parts += [f"{absent} could not be made"] if absent else []
        all_ = told.count(True) == len(compared)
        head = (
            f"all {len(compared)} comparisons agree" if all_ else f"of {len(compared)} comparisons {', '.join(parts)}"
        )
        said.insert(0, head)
    text = "; ".join(said)
    vague = rule is not every and answer is not None and told.count(answer) < len(compared)
    share = f"{told.count(answer)} of {len(compared)}" if vague else ""
    return Judgement(answer, f"{text[:1].upper()}{text[1:]}.", carried(rule, compared), share)


def judging(says: str) -> Callable[[Callable[..., Iterable[Group]]], Callable[..., Judge]]:
    """Makes makers of judges of functions that yield the groups of `conclude` in a world.

    A maker is called with all but the world, and with `rule` where one counterexample does not refute.

    Args:
        says: The judge's rule, a template of `rules.text` with the names of the function's arguments.
    """

    def made(groups: Callable[..., Iterable[Group]]) -> Callable[..., Judge]:
        signature = inspect.signature(groups)

        @functools.wraps(groups)
        def maker(*args: Any, rule: Rule = every, **settings: Any) -> Judge:
            given = signature.bind(None, *args, **settings)
            given.apply_defaults()
            return Judge(
                lambda world: conclude(list(groups(world, *args, **settings)), rule),
                lambda words: rules.text(says, given.arguments, words, rule),
            )

        return maker

    return made


def judge(claims: Iterable[Claim], printed: World, ours: World, stand_in: str = "") -> list[Judged]:
    """Judge claims in both worlds.

    Args:
        claims: The sentences.
        printed: The document's own numbers.
        ours: What we measured.
        stand_in: Named where our numbers come from something that cannot speak for the document's data or network
            (`study.instead`); then the answer is None and the evidence says what the stand-in gave.
    """
    found = []
    for claim in claims:
        mine = claim.judge(ours)
        if stand_in and claim.of_data and mine.evidence != NOTHING:
            said = f", which would say “{_words(mine)}”" if mine.answer is not None else ""
            mine = Judgement(None, f"Only a stand-in was run ({stand_in}){said}. {mine.evidence}")
        found.append(Judged(claim, claim.judge(printed), mine, claim.judge.rule(printed.words)))
    return found


def show(page: Page, judged: Iterable[Judged]) -> None:
    """Put claims on a page, each with its reading, its judge's rule and both answers."""
    for item in judged:
        reading = f"Read as: {item.claim.reading}. " if item.claim.reading else ""
        page.claim(
            item.claim.text,
            item.claim.source,
            item.ours.answer,
            item.ours.evidence,
            printed=item.printed,
            everywhere=not item.claim.of_data,
            runs=item.ours.runs,
            share=item.ours.share,
            rule=f"{reading}Rule: {item.rule}.",
        )


def summary(judged: Iterable[Judged]) -> pd.DataFrame:
    """One row a claim: its words, where it stands, what the printed numbers and ours say."""
    import pandas as pd

    return pd.DataFrame(
        [
            {
                "claim": item.claim.name,
                "source": item.claim.source.partition(", ")[2] or item.claim.source,
                "printed numbers": standing.PRINTED[item.printed.answer] + standing.shared(item.printed.share),
                "ours": _words(item.ours) + standing.shared(item.ours.share),
            }
            for item in judged
        ]
    )


def tally(judged: Sequence[Judged]) -> str:
    """How many claims the printed numbers and ours support, as a sentence."""
    printed = [item.printed.answer for item in judged]
    verbs = {True: "support", False: "contradict", None: "cannot tell"}
    read = [f"{verb} {printed.count(answer)}" for answer, verb in verbs.items() if answer in printed]
    ours = sorted((item.ours.answer is None, item.ours.answer is False, _words(item.ours)) for item in judged)
    said = [f"{sum(other == one for other in ours)} {one[-1]}" for one in dict.fromkeys(ours)]
    return f"Of {many(len(judged), 'claim')} the printed numbers {listed(read)}. Ours: {listed(said)}."


def _words(mine: Judgement) -> str:
    return standing.words(mine.answer, mine.runs)

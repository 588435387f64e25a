"""Three-valued answers (Kleene, 1952), how those to many comparisons become one, and how many runs carry it.

A sentence about all networks is refuted by one that contradicts it, and cannot be told while one is missing and none
contradicts (`every`). A sentence that something can be needs one (`some`). A vague sentence, which names neither all
nor a best, a rank or a number, is read as one about more than half (`most`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

Answer = bool | None
Rule = Callable[[Iterable[Answer]], Answer]


class Compared(NamedTuple):
    """One comparison.

    Attributes:
        answer: Its answer.
        measured: Whether both sides were measured (else it is open for want of a run).
        runs: Runs of the side that has the fewest; None where the answer rests on no run of ours.
        whole: False where it is several in one, of which some could not be made.
    """

    answer: Answer
    measured: bool
    runs: int | None = None
    whole: bool = True


OPEN = Compared(None, False)
"""A comparison that could not be made."""


def every(answers: Iterable[Answer]) -> Answer:
    """True if all are, False if one is; None for no answer at all."""
    found = list(answers)
    if False in found:
        return False
    return None if None in found or not found else True


def some(answers: Iterable[Answer]) -> Answer:
    """True if one is, False if none is."""
    return denied(every(denied(answer) for answer in answers))


def most(answers: Iterable[Answer]) -> Answer:
    """True if more than half are, False if at least half are not; None while open ones can still decide."""
    found = list(answers)
    if 2 * found.count(True) > len(found):
        return True
    return False if found and 2 * found.count(False) >= len(found) else None


def denied(answer: Answer) -> Answer:
    """The opposite; what cannot be told stays so."""
    return None if answer is None else not answer


def carried(rule: Rule, compared: Iterable[Compared]) -> int | None:
    """The most runs a side from which on the comparisons alone still give the answer; None if it rests on no run."""
    found = list(compared)
    answer = rule(one.answer for one in found)

    def from_runs(least: float) -> Answer:
        return rule(one.answer if one.runs is None or one.runs >= least else None for one in found)

    if answer is None or from_runs(float("inf")) is answer:
        return None
    return max(least for least in {one.runs for one in found if one.runs is not None} if from_runs(least) is answer)


def together(rule: Rule, compared: Sequence[Compared]) -> Compared:
    """Several comparisons as one, measured where one of them is."""
    answer = rule(one.answer for one in compared)
    made = [one.measured for one in compared]
    return Compared(answer, any(made), carried(rule, compared), all(made))


def turned(one: Compared) -> Compared:
    """The comparison with the opposite answer."""
    return one._replace(answer=denied(one.answer))

"""How far a claim stands, in words: what three runs a side say, what fewer saw, and what cannot be told.

"Does not hold" needs the evidence that the rule of `ltlib.tables.verdicts` asks of a cell. Below it a sentence about
our runs is at most seen, or not seen, in the runs that are there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from ltlib.statistics import FEWEST_RUNS

KINDS = {
    "holds": "yes",
    "seen": "open",
    "not seen": "open",
    "does not hold": "no",
    "cannot be told": "open",
}
"""Each kind of answer with the colour that it has on a page."""

PRINTED = {True: "support it", False: "contradict it", None: "cannot tell"}
"""What the document's own numbers do, which are read literally."""


class Judgement(NamedTuple):
    """An answer with the numbers behind it.

    Attributes:
        answer: True agrees, False contradicts, None cannot be told.
        evidence: The numbers behind it.
        runs: How many runs a side carry it; None where it rests on no run (a formula, a count, the data). Printed
            numbers are read literally, whatever this says.
        share: ``12 of 13`` where so many comparisons agree with the answer and the sentence asks for most.
    """

    answer: bool | None
    evidence: str
    runs: int | None = None
    share: str = ""


_COUNTED = {
    "holds": ("claim holds", "claims hold"),
    "seen": ("claim was seen, in fewer than three runs", "claims were seen, in fewer than three runs"),
    "not seen": ("claim was not seen, in fewer than three runs", "claims were not seen, in fewer than three runs"),
    "does not hold": ("claim does not hold", "claims do not hold"),
    "cannot be told": ("claim cannot be told", "claims cannot be told"),
}


def kind(answer: bool | None, runs: int | None = None) -> str:
    """One of `KINDS`.

    Args:
        answer: True agrees, False contradicts, None cannot be told.
        runs: How many runs a side carry the answer; None where it rests on none (a formula, a count, the data).
    """
    if answer is None:
        return "cannot be told"
    if runs is None or runs >= FEWEST_RUNS:
        return "holds" if answer else "does not hold"
    return "seen" if answer else "not seen"


def words(answer: bool | None, runs: int | None = None) -> str:
    """The kind with the runs that carry it: ``not seen in one run``."""
    found = kind(answer, runs)
    return f"{found} in {'one run' if runs == 1 else f'{runs} runs'}" if found in ("seen", "not seen") else found


def shared(share: str) -> str:
    """The share behind an answer, where there is one: `` (12 of 13)``."""
    return f" ({share})" if share else ""


def counted(claims: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """How many claims of pages' records there are of each kind that has any, in words that follow the number.

    A record that is older than the count of runs is taken for one of a single run.
    """
    found = [kind(claim["answer"], claim.get("runs", 1)) for claim in claims]
    counts = {name: found.count(name) for name in KINDS}
    return {_COUNTED[name][n > 1]: n for name, n in counts.items() if n}

"""Judges of the sentences that documents write about their tables: best of each column, above the others, close behind.

Each function returns a judge for `claims.Claim`: asked about a world, it gives the answer and the numbers behind it.
Columns and keys are those of the document's worlds; "better" knows that a smaller error is the better one, and is
"larger" for any quantity that is not an error.

above([("supcon_ce", "ce")], [("cifar10", "resnet18"), ("cifar10", "resnet34")])    # in both columns
best(["awabs_cutmix"], [("4.6", 100.0, "all")], ("accuracy", "ece"))                # above all rows of the column
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence

from ltlib.sections.claims import NOTHING, Group, Judge, Judgement, conclude, denied, every
from ltlib.sections.world import ROUNDING, Answer, Column, Compared, Key, World

ACCURACY = ("accuracy",)
Rule = Callable[[Iterable[Answer]], Answer]


def needs(quantity: str, what: str, judge: Judge) -> Judge:
    """Asks the judge where a world has any number of the quantity; elsewhere says that no `what` is printed, or run."""
    return lambda world: judge(world) if world.numbers(quantity).values else _silent(world, what)


def _silent(world: World, what: str) -> Judgement:
    return Judgement(None, NOTHING if world.ours else f"No {what} is printed.")


def against(first: str, others: Iterable[str]) -> list[tuple[str, str]]:
    """Pairs of a row with each of others, for `above`."""
    return [(first, other) for other in others if other != first]


# --- within columns --------------------------------------------------------------------------------------------------


def ahead(
    contests: Iterable[tuple[Column, str, str]],
    quantities: Sequence[str] = ACCURACY,
    rule: Rule = every,
    shown: Sequence[str] = (),
) -> Judge:
    """In each contest's column the first row is better than the second.

    Args:
        contests: Column, first and second row; one that the document does not print is left out.
        quantities: What is compared.
        rule: `every`, or `some` where one contest is enough.
        shown: Rows that the evidence shows; the two of the contest without it.
    """
    wanted = list(contests)

    def judge(world: World) -> Judgement:
        groups: list[Group] = []
        for (column, one, two), quantity in itertools.product(wanted, quantities):
            first, second = (*column, one), (*column, two)
            if world.asked(quantity, first, second):
                line = world.line(quantity, column, shown or (one, two))
                groups.append(([world.better(quantity, first, second)], line))
        return conclude(groups, rule)

    return judge


def above(
    pairs: Iterable[tuple[str, str]],
    columns: Iterable[Column],
    quantities: Sequence[str] = ACCURACY,
    rule: Rule = every,
    shown: Sequence[str] = (),
) -> Judge:
    """In every column the first row of each pair is better than the second; further arguments as of `ahead`."""
    contests = [(column, one, two) for column, (one, two) in itertools.product(columns, list(pairs))]
    return ahead(contests, quantities, rule, shown)


def best(
    team: Sequence[str], columns: Iterable[Column], quantities: Sequence[str] = ACCURACY, without: Sequence[str] = ()
) -> Judge:
    """In every column each of the team, often one row, is better than each other row that is not in `without`."""
    return _against_all(team, list(columns), quantities, without, worst=False)


def least(row: str, columns: Iterable[Column], quantities: Sequence[str] = ACCURACY) -> Judge:
    """In every column each other row is better than this one."""
    return _against_all([row], list(columns), quantities, (), worst=True)


def _against_all(
    team: Sequence[str], columns: Sequence[Column], quantities: Sequence[str], without: Sequence[str], worst: bool
) -> Judge:
    """The evidence shows the team and its nearest rival."""

    def judge(world: World) -> Judgement:
        groups: list[Group] = []
        for column, quantity in itertools.product(columns, quantities):
            rivals = [row for row in world.rows(quantity, column) if row not in (*team, *without)]
            pairs = [(rival, own) if worst else (own, rival) for own in team for rival in rivals]
            compared = [world.better(quantity, (*column, one), (*column, two)) for one, two in pairs]
            near = world.ranked(quantity, [(*column, rival) for rival in rivals])
            nearest = near[-1:] if worst else near[:1]
            groups.append((compared, world.line(quantity, column, [*team, *(key[-1] for key in nearest)])))
        return conclude(groups)

    return judge


def better_than_most(
    row: str, columns: Iterable[Column], quantities: Sequence[str] = ACCURACY, without: Sequence[str] = ()
) -> Judge:
    """In every column the row is better than more than half of the others; a column without others is left out."""
    wanted = list(columns)

    def judge(world: World) -> Judgement:
        groups: list[Group] = []
        for column, quantity in itertools.product(wanted, quantities):
            others = [other for other in world.rows(quantity, column) if other not in (row, *without)]
            found = [world.better(quantity, (*column, row), (*column, other)) for other in others]
            yes, no = ([one.answer for one in found].count(kind) for kind in (True, False))
            answer = True if 2 * yes > len(others) else False if 2 * no >= len(others) else None
            told = sum(one.measured for one in found)
            line = f"{world.words.head(column, quantity)}: better than {yes} of {told}"
            groups += [([Compared(answer, told > 0)], line)] if others else []
        return conclude(groups)

    return judge


def keeps_up(row: str, columns: Iterable[Column], behind: Mapping[str, float]) -> Judge:
    """In every column the row is at most so far behind the best that was measured; `behind` by quantity, fractions."""
    wanted = list(columns)

    def judge(world: World) -> Judgement:
        groups: list[Group] = []
        for column, quantity in itertools.product(wanted, behind):
            own = (*column, row)
            if own not in world.numbers(quantity):
                groups.append(([Compared(None, False)], ""))
                continue
            rows = world.rows(quantity, column)
            top = world.ranked(quantity, [(*column, other) for other in rows])[0]
            gap = abs(world.numbers(quantity)[own] - world.numbers(quantity)[top])
            said = "the best" if top == own else f"{100 * gap:.2f} points behind {world.words.row(top[-1])}"
            line = f"{world.words.head(column, quantity)}: {said}"
            groups.append(([world.better(quantity, own, top, behind[quantity])], line))
        return conclude(groups)

    return judge


def reaches(quantity: str, threshold: float, keys: Iterable[Key]) -> Judge:
    """Each number is at least the threshold."""
    wanted = list(keys)

    def judge(world: World) -> Judgement:
        own = world.numbers(quantity)
        return conclude(
            [
                (
                    [Compared(own[key] >= threshold - ROUNDING if key in own else None, key in own)],
                    world.line(quantity, key[:-1], [key[-1]]),
                )
                for key in wanted
            ]
        )

    return judge


# --- over columns ----------------------------------------------------------------------------------------------------


def best_overall(key: Key, columns: Iterable[Column], rows: Sequence[str], quantity: str = "accuracy") -> Judge:
    """No other row of any of the columns is above this one."""
    wanted = list(columns)

    def judge(world: World) -> Judgement:
        others = [other for column, row in itertools.product(wanted, rows) if (other := (*column, row)) != key]
        compared = [world.better(quantity, other, key) for other in others]
        line = "; ".join(world.cell(quantity, one) for one in world.ranked(quantity, [key, *others])[:3])
        refuted = [Compared(denied(one.answer), one.measured) for one in compared]
        return conclude([(refuted, f"best first: {line}")])

    return judge


def across(
    columns: Mapping[str, Sequence[Column]],
    pairs: Sequence[tuple[int, int]],
    rows: Sequence[str],
    quantity: str = "accuracy",
    within: float | None = None,
) -> Judge:
    """For each row the number in one column is better than in another.

    Args:
        columns: Columns that are compared, by how their line begins.
        pairs: Places in such a list: the better one, the other.
        rows: The rows.
        quantity: What is compared.
        within: The better one need only be at most so far behind.
    """

    def judge(world: World) -> Judgement:
        return conclude(
            [
                (
                    [world.better(quantity, (*own[one], row), (*own[two], row), within) for one, two in pairs],
                    world.across(quantity, head, own, row),
                )
                for (head, own), row in itertools.product(columns.items(), rows)
            ]
        )

    return judge


def equal(first: Key, second: Key, within: float, quantity: str = "accuracy", remark: str = "") -> Judge:
    """Two numbers are the same, within a fraction; in print the remark is added."""

    def judge(world: World) -> Judgement:
        both = [world.better(quantity, *order, within) for order in ((first, second), (second, first))]
        known = [world.cell(quantity, key) for key in (first, second) if key in world.numbers(quantity)]
        return conclude([(both, ", ".join(known) + (f"; {remark}" if remark and not world.ours else ""))])

    return judge


def leaders_differ(columns: Sequence[Column], rows: Sequence[str], quantity: str = "accuracy") -> Judge:
    """The best row is not the same in every column."""

    def judge(world: World) -> Judgement:
        winners: dict[str, list[str]] = {}
        for column in columns:
            rivals = [(*column, row) for row in rows]
            top = next(iter(world.ranked(quantity, rivals)), None)
            if top and every(world.better(quantity, top, other).answer for other in rivals if other != top):
                winners.setdefault(top[-1], []).append(world.words.head(column, quantity))
        if not winners:
            return Judgement(None, "No table has a clear winner among what was run.")
        said = [f"{world.words.row(r)} on {len(own)} ({', '.join(dict.fromkeys(own))})" for r, own in winners.items()]
        same: Answer = False if sum(map(len, winners.values())) == len(columns) else None
        return Judgement(True if len(winners) > 1 else same, f"Clear leaders by table: {'; '.join(said)}.")

    return judge


def apart(columns: Sequence[Column], rows: Sequence[str], least_gap: float, quantity: str = "accuracy") -> Judge:
    """In every column the best row is more than so far above the worst."""

    def judge(world: World) -> Judgement:
        groups: list[Group] = []
        own = world.numbers(quantity)
        for column in columns:
            known = [own[*column, row] for row in rows if (*column, row) in own]
            whole = len(known) == len(rows)
            gap = max(known) - min(known) if whole else float("nan")
            line = f"{world.words.head(column, quantity)} {100 * gap:.1f} points"
            groups.append(([Compared(gap > least_gap + ROUNDING if whole else None, whole)], line))
        return conclude(groups)

    return judge


def lead_grows(row: str, base: str, quantity: str = "accuracy", columns: Sequence[Column] = ()) -> Judge:
    """At the largest imbalance factor a row is above the base, and its lead is larger there than at the smallest.

    Args:
        row: The row.
        base: What it is compared with.
        quantity: A quantity of which more is better.
        columns: One for each imbalance factor, which is their last part; all of the quantity without it.
    """

    def judge(world: World) -> Judgement:
        own = world.numbers(quantity)
        found = sorted(columns or {key[:-1] for key in own.values}, key=lambda column: column[-1])
        if len(found) < 2:
            return _silent(world, "accuracy at several imbalance factors")
        lead = {c: own[*c, row] - own[*c, base] for c in found if (*c, row) in own and (*c, base) in own}
        both = found[0] in lead and found[-1] in lead
        change = lead[found[-1]] - lead[found[0]] if both else 0.0
        told = both and abs(change) > own.margin + ROUNDING
        grows = Compared(change > 0 if told else None, both)
        head = f"{world.words.row(row)} minus {world.words.row(base)} in points, by imbalance factor"
        said = ", ".join(f"{100 * gap:+.1f} at {column[-1]:g}" for column, gap in lead.items())
        return conclude([([own.compare((*found[-1], row), (*found[-1], base)), grows], f"{head}: {said}")])

    return judge

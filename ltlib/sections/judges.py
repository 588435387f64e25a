"""Judges of the sentences that documents write about their tables: best of each column, above the others, close behind.

Each function makes a judge for `claims.Claim`: asked about a world, it gives the answer and the numbers behind it. The
first argument that is written here, the world, is the judge's; the rest is the maker's (`claims.judging`). Columns and
keys are those of the document's worlds. "Better" knows that a smaller error is the better one, and is "larger" for any
quantity that is not an error.

above([("supcon_ce", "ce")], [("cifar10", "resnet18"), ("cifar10", "resnet34")])    # in both columns
best(["awabs_cutmix"], [("4.6", 100.0, "all")], ("accuracy", "ece"))                # above all rows of the column
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import product

from ltlib.sections.claims import NOTHING, Group, Judge, Judgement, conclude, denied, every, judging
from ltlib.sections.world import ROUNDING, Answer, Column, Compared, Key, World

ACCURACY = ("accuracy",)


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
    contests: Sequence[tuple[Column, str, str]],
    quantities: Sequence[str] = ACCURACY,
    rule: Callable[[Iterable[Answer]], Answer] = every,
    shown: Sequence[str] = (),
) -> Judge:
    """In each contest's column the first row is better than the second.

    Args:
        contests: Column, first and second row; one that the document does not print is left out.
        quantities: What is compared.
        rule: `every`, or `some` where one contest is enough.
        shown: Rows that the evidence shows; the two of the contest without it.
    """

    def groups(world: World) -> Iterator[Group]:
        for (column, one, two), quantity in product(contests, quantities):
            first, second = (*column, one), (*column, two)
            if world.asked(quantity, first, second):
                yield [world.better(quantity, first, second)], world.line(quantity, column, shown or (one, two))

    return lambda world: conclude(list(groups(world)), rule)


def above(
    pairs: Sequence[tuple[str, str]],
    columns: Sequence[Column],
    quantities: Sequence[str] = ACCURACY,
    rule: Callable[[Iterable[Answer]], Answer] = every,
    shown: Sequence[str] = (),
) -> Judge:
    """In every column the first row of each pair is better than the second; further arguments as of `ahead`."""
    return ahead([(column, *pair) for column, pair in product(columns, pairs)], quantities, rule, shown)


@judging
def best(
    world: World,
    team: Sequence[str],
    columns: Sequence[Column],
    quantities: Sequence[str] = ACCURACY,
    without: Sequence[str] = (),
) -> Iterator[Group]:
    """In every column each of the team, often one row, is better than each other row that is not in `without`."""
    for column, quantity in product(columns, quantities):
        rivals = [row for row in world.rows(quantity, column) if row not in (*team, *without)]
        compared = [world.better(quantity, (*column, own), (*column, row)) for own in team for row in rivals]
        nearest = world.ranked(quantity, column, rivals)[:1]
        yield compared, world.line(quantity, column, [*team, *nearest])


@judging
def least(world: World, own: str, columns: Sequence[Column], quantities: Sequence[str] = ACCURACY) -> Iterator[Group]:
    """In every column each other row is better than this one."""
    for column, quantity in product(columns, quantities):
        rivals = [row for row in world.rows(quantity, column) if row != own]
        compared = [world.better(quantity, (*column, row), (*column, own)) for row in rivals]
        nearest = world.ranked(quantity, column, rivals)[-1:]
        yield compared, world.line(quantity, column, [own, *nearest])


@judging
def better_than_most(
    world: World,
    own: str,
    columns: Sequence[Column],
    quantities: Sequence[str] = ACCURACY,
    without: Sequence[str] = (),
) -> Iterator[Group]:
    """In every column the row is better than more than half of the others; a column without others is left out."""
    for column, quantity in product(columns, quantities):
        others = [row for row in world.rows(quantity, column) if row not in (own, *without)]
        found = [world.better(quantity, (*column, own), (*column, row)) for row in others]
        yes, no = ([one.answer for one in found].count(kind) for kind in (True, False))
        answer = True if 2 * yes > len(others) else False if 2 * no >= len(others) else None
        told = sum(one.measured for one in found)
        if others:
            head = world.words.head(column, quantity)
            yield [Compared(answer, told > 0)], f"{head}: better than {yes} of {told}"


@judging
def keeps_up(world: World, own: str, columns: Sequence[Column], behind: Mapping[str, float]) -> Iterator[Group]:
    """In every column the row is at most so far behind the best that was measured; `behind` by quantity, fractions."""
    for column, quantity in product(columns, behind):
        numbers, key = world.numbers(quantity), (*column, own)
        if key not in numbers:
            yield [Compared(None, False)], ""
            continue
        top = world.ranked(quantity, column, world.rows(quantity, column))[0]
        gap = abs(numbers[key] - numbers[*column, top])
        said = "the best" if top == own else f"{100 * gap:.2f} points behind {world.words.row(top)}"
        compared = world.better(quantity, key, (*column, top), behind[quantity])
        yield [compared], f"{world.words.head(column, quantity)}: {said}"


@judging
def reaches(world: World, quantity: str, threshold: float, keys: Sequence[Key]) -> Iterator[Group]:
    """Each number is at least the threshold."""
    own = world.numbers(quantity)
    for key in keys:
        answer = own[key] >= threshold - ROUNDING if key in own else None
        yield [Compared(answer, key in own)], world.line(quantity, key[:-1], [key[-1]])


@judging
def apart(
    world: World, columns: Sequence[Column], rows: Sequence[str], gap: float, quantity: str = "accuracy"
) -> Iterator[Group]:
    """In every column the best row is more than so far, a fraction, from the worst."""
    own = world.numbers(quantity)
    for column in columns:
        known = [own[*column, row] for row in rows if (*column, row) in own]
        whole = len(known) == len(rows)
        found = max(known) - min(known) if whole else 0.0
        line = f"{world.words.head(column, quantity)} {100 * found:.1f} points"
        yield [Compared(found > gap + ROUNDING if whole else None, whole)], line


# --- over columns ----------------------------------------------------------------------------------------------------


@judging
def best_overall(
    world: World, key: Key, columns: Sequence[Column], rows: Sequence[str], quantity: str = "accuracy"
) -> Iterator[Group]:
    """No other row of any of the columns is above this one."""
    others = [other for column, row in product(columns, rows) if (other := (*column, row)) != key]
    compared = [world.better(quantity, other, key) for other in others]
    line = "; ".join(world.cell(quantity, one) for one in world.sorted(quantity, [key, *others])[:3])
    yield [Compared(denied(one.answer), one.measured) for one in compared], f"best first: {line}"


@judging
def across(
    world: World,
    columns: Mapping[str, Sequence[Column]],
    pairs: Sequence[tuple[int, int]],
    rows: Sequence[str],
    quantity: str = "accuracy",
    within: float | None = None,
) -> Iterator[Group]:
    """For each row the number in one column is better than in another.

    Args:
        world: The judge's.
        columns: Columns that are compared, by how their line begins.
        pairs: Places in such a list: the better one, the other.
        rows: The rows.
        quantity: What is compared.
        within: The better one need only be at most so far behind.
    """
    for (head, own), row in product(columns.items(), rows):
        compared = [world.better(quantity, (*own[one], row), (*own[two], row), within) for one, two in pairs]
        yield compared, world.across(quantity, head, own, row)


@judging
def equal(
    world: World, first: Key, second: Key, within: float, quantity: str = "accuracy", remark: str = ""
) -> Iterator[Group]:
    """Two numbers are the same, within a fraction; in print the remark is added."""
    both = [world.better(quantity, *order, within) for order in ((first, second), (second, first))]
    known = [world.cell(quantity, key) for key in (first, second) if key in world.numbers(quantity)]
    yield both, ", ".join(known) + (f"; {remark}" if remark and not world.ours else "")


def leaders_differ(columns: Sequence[Column], rows: Sequence[str], quantity: str = "accuracy") -> Judge:
    """The best row is not the same in every column."""

    def judge(world: World) -> Judgement:
        winners: dict[str, list[str]] = {}
        for column in columns:
            for top in world.ranked(quantity, column, rows)[:1]:
                pairs = [((*column, top), (*column, row)) for row in rows if row != top]
                if every(world.better(quantity, *pair).answer for pair in pairs):
                    winners.setdefault(top, []).append(world.words.head(column, quantity))
        if not winners:
            return Judgement(None, "No table has a clear winner among what was run.")
        places = {row: list(dict.fromkeys(own)) for row, own in winners.items()}  # columns with one stand-in are one
        said = [f"{world.words.row(r)} on {len(own)} ({', '.join(own)})" for r, own in places.items()]
        same: Answer = False if sum(map(len, winners.values())) == len(columns) else None
        return Judgement(True if len(winners) > 1 else same, f"Clear leaders by table: {'; '.join(said)}.")

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

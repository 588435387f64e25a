"""Judges of the sentences that documents write about their tables: best of each column, above the others, close behind.

Each function makes a judge for `claims.Claim`: asked about a world, it gives the answer and the numbers behind it. The
first argument that is written here, the world, is the judge's; the rest is the maker's (`claims.judging`). Columns and
keys are those of the document's worlds. "Better" knows that a smaller error is the better one, and is "larger" for any
quantity that is not an error.

above([("supcon_ce", "ce")], [("cifar10", "resnet18"), ("cifar10", "resnet34")])    # in both columns
best(["awabs_cutmix"], [("4.6", 100.0, "all")], ("accuracy", "ece"))                # above all rows of the column
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import permutations, product

from ltlib.pages.standing import Judgement
from ltlib.sections.answers import OPEN, Compared, Rule, carried, every, most, some, together, turned
from ltlib.sections.claims import NOTHING, Group, Judge, conclude, judging
from ltlib.sections.world import Column, Key, Words, World

ACCURACY = ("accuracy",)


def needs(quantity: str, what: str, judge: Judge) -> Judge:
    """Asks the judge where a world has any number of the quantity; elsewhere says that no `what` is printed, or run."""
    return Judge(lambda world: judge(world) if world.numbers(quantity).values else _silent(world, what), judge.rule)


def _silent(world: World, what: str) -> Judgement:
    return Judgement(None, NOTHING if world.ours else f"No {what} is printed.")


def against(first: str, others: Iterable[str]) -> list[tuple[str, str]]:
    """Pairs of a row with each of others, for `above`."""
    return [(first, other) for other in others if other != first]


# --- within columns --------------------------------------------------------------------------------------------------


@judging("{where}{contests}")
def ahead(
    world: World,
    contests: Sequence[tuple[Column, str, str]],
    quantities: Sequence[str] = ACCURACY,
    shown: Sequence[str] = (),
) -> Iterator[Group]:
    """In each contest's column the first row is better than the second.

    Args:
        world: The judge's.
        contests: Column, first and second row; one that the document does not print is left out.
        quantities: What is compared.
        shown: Rows that the evidence shows; the two of the contest without it.
    """
    for (column, one, two), quantity in product(contests, quantities):
        first, second = (*column, one), (*column, two)
        if world.asked(quantity, first, second):
            yield [world.better(quantity, first, second)], world.line(quantity, column, shown or (one, two))


def above(
    pairs: Sequence[tuple[str, str]],
    columns: Sequence[Column],
    quantities: Sequence[str] = ACCURACY,
    rule: Rule = every,
    shown: Sequence[str] = (),
) -> Judge:
    """In every column the first row of each pair is better than the second; further arguments as of `ahead`."""
    return ahead([(column, *pair) for column, pair in product(columns, pairs)], quantities, shown, rule=rule)


@judging("{where}{team} {quantities} than every other row{without}")
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


@judging("{where}every other row is {quantities} than {own}")
def least(world: World, own: str, columns: Sequence[Column], quantities: Sequence[str] = ACCURACY) -> Iterator[Group]:
    """In every column each other row is better than this one."""
    for column, quantity in product(columns, quantities):
        rivals = [row for row in world.rows(quantity, column) if row != own]
        compared = [world.better(quantity, (*column, row), (*column, own)) for row in rivals]
        nearest = world.ranked(quantity, column, rivals)[-1:]
        yield compared, world.line(quantity, column, [own, *nearest])


@judging("over all columns, {own} is {quantities} than more than half of the other rows{without}")
def better_than_most(
    world: World,
    own: str,
    columns: Sequence[Column],
    quantities: Sequence[str] = ACCURACY,
    without: Sequence[str] = (),
) -> Iterator[Group]:
    """In each quantity the row is better in more than half of all comparisons with others, all columns together."""
    for quantity in quantities:
        found = [
            world.better(quantity, (*column, own), (*column, row))
            for column in columns
            for row in world.rows(quantity, column)
            if row not in (own, *without)
        ]
        told = [one for one in found if one.measured]
        said = f"better in {[one.answer for one in told].count(True)} of {len(told)}"
        said += f", {len(found) - len(told)} not run" if len(told) < len(found) else ""
        yield [together(most, found)], f"{world.words.quantity(quantity)}: {said}"


@judging("{where}some other row is {quantities} than {own}")
def not_best(
    world: World, own: str, columns: Sequence[Column], quantities: Sequence[str] = ACCURACY
) -> Iterator[Group]:
    """In every column some other row is better than this one."""
    for column, quantity in product(columns, quantities):
        rivals = [row for row in world.rows(quantity, column) if row != own]
        found = [world.better(quantity, (*column, row), (*column, own)) for row in rivals]
        yield [together(some, found)], world.line(quantity, column, [own, *world.ranked(quantity, column, rivals)])


@judging("{where}{own} is at most {behind} behind every other row")
def keeps_up(world: World, own: str, columns: Sequence[Column], behind: Mapping[str, float]) -> Iterator[Group]:
    """In every column the row is at most so far behind each other row; `behind` by quantity, fractions."""
    for column, quantity in product(columns, behind):
        numbers, key = world.numbers(quantity), (*column, own)
        if key not in numbers:
            yield [OPEN], ""
            continue
        rows = world.rows(quantity, column)
        top = world.ranked(quantity, column, rows)[0]
        gap = abs(numbers[key] - numbers[*column, top])
        said = "the best" if top == own else f"{100 * gap:.2f} points behind {world.words.row(top)}"
        absent = sum((*column, row) not in numbers for row in rows)
        said += f", {absent} others not run" if absent else ""
        rivals = [world.better(quantity, key, (*column, row), behind[quantity]) for row in rows if row != own]
        alone = Compared(True, True, numbers.runs(key))  # a column without rivals
        yield [together(every, rivals or [alone])], f"{world.words.head(column, quantity)}: {said}"


@judging("{where}the number is at least {threshold}")
def reaches(world: World, quantity: str, threshold: float, keys: Sequence[Key]) -> Iterator[Group]:
    """Each number is at least the threshold."""
    own = world.numbers(quantity)
    for key in keys:
        compared = Compared(own.at_least(key, threshold), key in own, own.runs(key))
        yield [compared], world.line(quantity, key[:-1], [key[-1]])


@judging("{where}the best of {rows} is more than {gap} above the worst")
def apart(
    world: World, columns: Sequence[Column], rows: Sequence[str], gap: float, quantity: str = "accuracy"
) -> Iterator[Group]:
    """In every column some row is more than so far, a fraction, behind another."""
    own = world.numbers(quantity)
    for column in columns:
        keys = [(*column, row) for row in rows]
        known = [own[key] for key in keys if key in own]
        line = f"{world.words.head(column, quantity)} {100 * (max(known) - min(known) if known else 0):.1f} points"
        yield [together(some, [turned(own.compare(*pair, gap)) for pair in permutations(keys, 2)])], line


# --- over columns ----------------------------------------------------------------------------------------------------


@judging("{where}no other row of all columns is {quantity} than {key}")
def best_overall(
    world: World, key: Key, columns: Sequence[Column], rows: Sequence[str], quantity: str = "accuracy"
) -> Iterator[Group]:
    """No other row of any of the columns is above this one."""
    others = [other for column, row in product(columns, rows) if (other := (*column, row)) != key]
    compared = [turned(world.better(quantity, other, key)) for other in others]
    line = "; ".join(world.cell(quantity, one) for one in world.sorted(quantity, [key, *others])[:3])
    yield compared, f"best first: {line}"


@judging("{where}for {rows}: {pairs}")
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


@judging("{first} and {second} are at most {within} apart")
def equal(
    world: World, first: Key, second: Key, within: float, quantity: str = "accuracy", remark: str = ""
) -> Iterator[Group]:
    """Two numbers are the same, within a fraction; in print the remark is added."""
    both = [world.better(quantity, *order, within) for order in ((first, second), (second, first))]
    known = [world.cell(quantity, key) for key in (first, second) if key in world.numbers(quantity)]
    yield both, ", ".join(known) + (f"; {remark}" if remark and not world.ours else "")


def leaders_differ(columns: Sequence[Column], rows: Sequence[str], quantity: str = "accuracy") -> Judge:
    """The best row is not the same in every column."""

    def ask(world: World) -> Judgement:
        winners: dict[str, list[str]] = {}
        runs: dict[str, list[int]] = {}
        for column in columns:
            for top in world.ranked(quantity, column, rows)[:1]:
                found = [world.better(quantity, (*column, top), (*column, row)) for row in rows if row != top]
                if every(one.answer for one in found):
                    winners.setdefault(top, []).append(world.words.head(column, quantity))
                    runs.setdefault(top, []).append(carried(every, found) or 0)
        if not winners:
            return Judgement(None, "No table has a clear winner among what was run.")
        places = {row: list(dict.fromkeys(own)) for row, own in winners.items()}  # columns with one stand-in are one
        said = [f"{world.words.row(r)} on {len(own)} ({', '.join(own)})" for r, own in places.items()]
        evidence = f"Clear leaders by table: {'; '.join(said)}."
        if len(winners) > 1:
            return Judgement(True, evidence, sorted(map(max, runs.values()))[-2])
        (only,) = runs.values()
        return Judgement(False if len(only) == len(columns) else None, evidence, min(only))

    return Judge(ask, lambda words: f"two of {len(columns)} columns have different rows that are above all others")


def lead_grows(row: str, base: str, quantity: str = "accuracy", columns: Sequence[Column] = ()) -> Judge:
    """At the largest imbalance factor a row is above the base, and its lead is larger there than at the smallest.

    Args:
        row: The row.
        base: What it is compared with.
        quantity: A quantity of which more is better.
        columns: One for each imbalance factor, which is their last part; all of the quantity without it.
    """

    def ask(world: World) -> Judgement:
        own = world.numbers(quantity)
        found = sorted(columns or {key[:-1] for key in own.values}, key=lambda column: column[-1])
        if len(found) < 2:
            return _silent(world, "accuracy at several imbalance factors")
        first, last = found[0], found[-1]
        lead = {c: own[*c, row] - own[*c, base] for c in found if (*c, row) in own and (*c, base) in own}
        change = {(*last, row): 1, (*last, base): -1, (*first, row): -1, (*first, base): 1}
        head = f"{world.words.row(row)} minus {world.words.row(base)} in points, by imbalance factor"
        said = ", ".join(f"{100 * gap:+.1f} at {column[-1]:g}" for column, gap in lead.items())
        compared = [own.compare((*last, row), (*last, base)), own.positive(change)]
        return conclude([(compared, f"{head}: {said}")])

    def rule(words: Words) -> str:
        lead = f"{words.row(row)} above {words.row(base)}"
        return f"{lead} at the largest imbalance factor, and by more than at the smallest"

    return Judge(ask, rule)

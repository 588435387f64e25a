"""Rules that judge the claims of `awabs`, and the two worlds they are asked about: what is printed, and ours."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ltlib import published
from ltlib.chapters.awabs import AWABS
from ltlib.grids.awabs import PROPOSED
from ltlib.sections.claims import Compared, Judgement, Key, Numbers, Value, conclude
from ltlib.tables.scores import CLOSE

if TYPE_CHECKING:
    import pandas as pd

TABLES = ("4.2", "4.6", "4.7", "4.8")
FACTORS = {"4.6": (100.0, 50.0, 10.0), "4.7": (200.0, 100.0, 50.0, 10.0)}
SETS = {"4.6": "CIFAR-10", "4.7": "CIFAR-100"}
SECOND = "awabs_cutmix"
GROUPS = ("head", "middle", "tail")
SECTION_4_8 = {"head": 0.45930, "middle": 0.48030, "tail": 0.51440}
"""What section 4.8 gives as method 2's group accuracies."""


@dataclass(frozen=True)
class World:
    """What one side has measured.

    Attributes:
        accuracy: By table, imbalance factor, method and split.
        ece: The same.
    """

    accuracy: Numbers
    ece: Numbers

    def numbers(self, metric: str) -> Numbers:
        return self.ece if metric == "ece" else self.accuracy

    def better(self, metric: str, first: Key, second: Key) -> Compared:
        """Whether the first is the better one: the larger accuracy, the smaller ECE."""
        order = (second, first) if metric == "ece" else (first, second)
        return self.numbers(metric).compare(*order)

    def rivals(self, table: str, factor: float, metric: str) -> list[str]:
        """The methods of a column that have this number."""
        return [key[2] for key in self.numbers(metric).values if key[:2] == (table, factor) and key[3] == "all"]

    def line(self, table: str, factor: float, metric: str, methods: Iterable[str], split: str = "all") -> str:
        """The numbers of a column: ``CIFAR-10 at 100, ECE: Method 2 2.55, MiSLAS 3.70``, best first."""
        own = [m for m in methods if (table, factor, m, split) in self.numbers(metric)]
        own.sort(key=lambda m: self.numbers(metric)[table, factor, m, split], reverse=metric != "ece")
        said = [f"{AWABS.short(m)} {100 * self.numbers(metric)[table, factor, m, split]:.2f}" for m in own]
        place = f"Table {table} at {factor:g}"
        what = "ECE" if metric == "ece" else "accuracy" if split == "all" else f"{split} accuracy"
        return f"{place}, {what}: {', '.join(said) if said else 'not run'}"


Judge = Callable[[World], Judgement]


def printed_world(frame: pd.DataFrame) -> World:
    """The document's numbers, read literally; `frame` is of `tables.compare` over `TABLES`."""
    found: dict[str, dict[Key, Value]] = {"accuracy": {}, "ece": {}}
    for key, row in _rows(frame):
        found[row["metric"]][key] = Value(float(row["published"]))
    return World(Numbers(found["accuracy"]), Numbers(found["ece"]))


def our_world(frame: pd.DataFrame) -> World:
    """Ours; single runs are told apart from a point of accuracy and one and a half of ECE on."""
    found: dict[str, dict[Key, Value]] = {"accuracy": {}, "ece": {}}
    for key, row in _rows(frame):
        if row["n"] > 0:
            found[row["metric"]][key] = Value(float(row["reproduced"]), int(row["n"]), float(row["std"]))
    return World(Numbers(found["accuracy"], CLOSE["accuracy"]), Numbers(found["ece"], CLOSE["ece"]))


def _rows(frame: pd.DataFrame) -> list[tuple[Key, dict[Any, Any]]]:
    return [
        ((str(r["table"]), float(r["imbalance"]), str(r["method"]), str(r["split"])), r)
        for r in frame.to_dict("records")
    ]


# --- judges ----------------------------------------------------------------------------------------------------------


def above(pairs: Sequence[tuple[str, float, str, str]], metrics: Sequence[str] = ("accuracy",)) -> Judge:
    """In each (table, factor) the first method is better than the second."""

    def judge_(world: World) -> Judgement:
        return conclude(
            [
                ([world.better(metric, (t, f, one, "all"), (t, f, two, "all"))], world.line(t, f, metric, (one, two)))
                for metric in metrics
                for t, f, one, two in pairs
                if _printed(t, f, one, metric) and _printed(t, f, two, metric)
            ]
        )

    return judge_


def _printed(table: str, factor: float, method: str, metric: str) -> bool:
    """Whether the document has the number at all; a cell without one is no comparison."""
    rows = published.table(AWABS.id, table)
    same = (rows["method"] == method) & (rows["imbalance"] == factor) & (rows["metric"] == metric)
    return bool((same & (rows["split"] == "all")).any())


def best(method: str, tables: Sequence[str], metrics: Sequence[str], factors: Sequence[float] | None = None) -> Judge:
    """The method is better than every other row of the column, in each table, factor and metric."""

    def judge_(world: World) -> Judgement:
        groups = []
        for table in tables:
            for factor in factors or FACTORS[table]:
                for metric in metrics:
                    own = (table, factor, method, "all")
                    others = [m for m in _column(table, factor, metric) if m != method]
                    compared = [world.better(metric, own, (table, factor, m, "all")) for m in others]
                    top = _leader(world, table, factor, metric)
                    line = world.line(table, factor, metric, dict.fromkeys([*top, method]))
                    groups.append((compared, line))
        return conclude(groups)

    return judge_


def _column(table: str, factor: float, metric: str) -> list[str]:
    """The methods that the document prints in a column."""
    rows = published.table(AWABS.id, table)
    rows = rows[(rows["imbalance"] == factor) & (rows["metric"] == metric) & (rows["split"] == "all")]
    return list(rows["method"])


def _leader(world: World, table: str, factor: float, metric: str) -> list[str]:
    own = world.rivals(table, factor, metric)
    own.sort(key=lambda m: world.numbers(metric)[table, factor, m, "all"], reverse=metric != "ece")
    return own[:1]


def earlier(table: str, factor: float, metric: str) -> list[str]:
    """The methods of a column that are not proposed ones."""
    return [method for method in _column(table, factor, metric) if method not in PROPOSED]


def beats_most(world: World) -> Judgement:
    """Method 2 is better than more than half of the earlier methods, in every column of Tables 4.6 and 4.7."""
    groups = []
    for table, factors in FACTORS.items():
        for factor in factors:
            for metric in ("accuracy", "ece"):
                others = earlier(table, factor, metric)
                if not others:  # CIFAR-100 at 200 has no earlier ECE
                    continue
                compared = [
                    world.better(metric, (table, factor, SECOND, "all"), (table, factor, m, "all")) for m in others
                ]
                yes, no = ([c.answer for c in compared].count(kind) for kind in (True, False))
                answer = True if 2 * yes > len(others) else False if 2 * no >= len(others) else None
                told = [c for c in compared if c.measured]
                line = f"{SETS[table]} at {factor:g}, {_word(metric)}: better than {yes} of {len(told)}"
                groups.append(([Compared(answer, bool(told))], line))
    return conclude(groups)


def _word(metric: str) -> str:
    return "ECE" if metric == "ece" else "accuracy"


def all_above_earlier(metric: str, tables: Sequence[str]) -> Judge:
    """Each proposed method is better than each earlier one, in every column."""

    def judge_(world: World) -> Judgement:
        groups = []
        for table in tables:
            for factor in FACTORS[table]:
                others = earlier(table, factor, metric)
                compared = [
                    world.better(metric, (table, factor, own, "all"), (table, factor, other, "all"))
                    for own in PROPOSED
                    for other in others
                ]
                known = [m for m in others if (table, factor, m, "all") in world.numbers(metric)]
                known.sort(key=lambda m: world.numbers(metric)[table, factor, m, "all"], reverse=metric != "ece")
                groups.append((compared, world.line(table, factor, metric, (*known[:1], *PROPOSED))))
        return conclude(groups)

    return judge_


def lowest(method: str, table: str) -> Judge:
    """The method is the least accurate of every column."""

    def judge_(world: World) -> Judgement:
        groups = []
        for factor in FACTORS[table]:
            others = [m for m in _column(table, factor, "accuracy") if m != method]
            own = (table, factor, method, "all")
            compared = [world.better("accuracy", (table, factor, m, "all"), own) for m in others]
            known = sorted(
                (m for m in others if (table, factor, m, "all") in world.accuracy),
                key=lambda m: world.accuracy[table, factor, m, "all"],
            )
            groups.append((compared, world.line(table, factor, "accuracy", (method, *known[:1]))))
        return conclude(groups)

    return judge_


def keeps_up(world: World) -> Judgement:
    """Method 2 is at most a point of accuracy and one and a half of ECE behind the best of every column."""
    groups = []
    for table, factors in FACTORS.items():
        for factor in factors:
            for metric in ("accuracy", "ece"):
                own = (table, factor, SECOND, "all")
                leader = _leader(world, table, factor, metric)
                if own not in world.numbers(metric):
                    groups.append(([Compared(None, False)], "not run"))
                    continue
                gap = abs(world.numbers(metric)[own] - world.numbers(metric)[table, factor, leader[0], "all"])
                behind = "the best" if leader == [SECOND] else f"{100 * gap:.2f} points behind {AWABS.short(leader[0])}"
                line = f"{SETS[table]} at {factor:g}, {_word(metric)}: {behind}"
                groups.append(([Compared(gap <= CLOSE[metric] + 1e-9, True)], line))
    return conclude(groups)


def splits(pairs: Sequence[tuple[str, str, str]]) -> Judge:
    """In Table 4.8 the first method is above the second in the split."""

    def judge_(world: World) -> Judgement:
        groups = [
            (
                [world.better("accuracy", ("4.8", 100.0, one, split), ("4.8", 100.0, two, split))],
                world.line("4.8", 100.0, "accuracy", (one, two), split),
            )
            for one, two, split in pairs
        ]
        return conclude(groups)

    return judge_


def section_4_8(world: World) -> Judgement:
    """Method 2's group accuracies are those that section 4.8 gives, to a point."""
    groups = []
    for split, said in SECTION_4_8.items():
        key = ("4.8", 100.0, SECOND, split)
        if key not in world.accuracy:
            groups.append(([Compared(None, False)], "not run"))
            continue
        value = world.accuracy[key]
        close = abs(value - said) <= CLOSE["accuracy"]
        groups.append(([Compared(close, True)], f"{split} {100 * value:.2f}, section 4.8 has {100 * said:.2f}"))
    return conclude(groups)

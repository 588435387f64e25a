"""What was found, in five sentences: met in print, not met, cheapest, best calibrated, what to use.

They are made from what the pages rest on: `cells` of their comparisons and one `fact` a run. Rules, so that no sentence
says more than the runs do:

* A cell counts where its verdict compares it with print; what is not comparable or not run says nothing.
* Methods are set side by side on one *board*: the images, network, recipe and precision that most methods share.
* With fewer than three runs, methods within `FEW` of the best are not put in order, nor are calibration errors.
* The cost is training images seen, which depends on no machine.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ltlib import grids, profiles
from ltlib.labels import label, network_label
from ltlib.methods import METHODS
from ltlib.registry import parse
from ltlib.statistics import FEWEST_RUNS
from ltlib.tables.verdicts import TOLERANCES

if TYPE_CHECKING:
    import pandas as pd

    from ltlib.runs import Run

FEW = 0.03
"""Fraction within which single runs of two methods are not told apart."""
_JUDGED = ("reproduced", "inconclusive", "above", "below")
_LISTED = 4
_CELL = ("method", "dataset", "imbalance", "model", "split", "metric", "published", "reproduced", "n", "verdict")


@dataclass
class Sentence:
    """One finding: a word for what it is about, and its text in pieces, each with an address or none."""

    about: str
    pieces: list[tuple[str, str]] = field(default_factory=list)

    def add(self, text: str, link: str = "") -> Sentence:
        self.pieces.append((text, link))
        return self

    def listed(self, items: Sequence[tuple[str, str]]) -> Sentence:
        """Names with addresses, the first few of them; with semicolons where a name has a comma."""
        comma = "; " if any("," in text for text, _ in items) else ", "
        final = " and " if comma == ", " else "; and "
        shown = list(items[:_LISTED]) if len(items) > _LISTED + 1 else list(items)
        rest = len(items) - len(shown)
        for i, (text, link) in enumerate(shown):
            last = i == len(shown) - 1 and not rest
            self.add("" if i == 0 else final if last else comma).add(text, link)
        return self.add(f" and {rest} more") if rest else self

    @property
    def text(self) -> str:
        return "".join(text for text, _ in self.pieces)


@dataclass(frozen=True)
class Row:
    """A method on the board: means over its runs, as fractions.

    Attributes:
        name: What people call it.
        run: Id of its first run.
        n: Its runs.
        accuracy, ece, tail: At the last epoch; `tail` is the rarest classes' accuracy, NaN without a tail.
        images: Training images seen in a run.
    """

    name: str
    run: str
    n: int
    accuracy: float
    ece: float
    tail: float
    images: float


def fact(run: Run) -> dict[str, Any]:
    """What the findings need of a run, as JSON-ready values: its setting, method, scores at the last epoch, images."""
    from ltlib.runs import cost

    exp, last = run.experiment, run.metrics["last"]
    epochs = Counter(int(stage) for stage in run.history["stage"])
    tail = last["groups"].get("tail", {}).get("accuracy")
    board = [exp.dataset, exp.imbalance_factor, exp.imbalance_type, exp.order, exp.subset, exp.limit, exp.model]
    return {
        "id": run.id,
        "board": [*board, exp.recipe, exp.precision, exp.validation],
        "where": f"{label(exp.dataset)}, imbalance factor {exp.imbalance_factor:g}, {network_label(exp.model)}",
        "method": exp.method,
        "accuracy": float(last["accuracy"]),
        "ece": float(last["ece"]),
        "tail": None if tail is None else float(tail),
        "images": cost.images_seen(exp, run.class_counts, epochs),
        "train_images": sum(run.class_counts),
    }


def cells(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The cells of a comparison that are judged against print, as JSON-ready values."""
    judged = frame[frame["verdict"].isin(_JUDGED)]
    return [
        {name: value.item() if isinstance(value, np.generic) else value for name, value in zip(_CELL, row, strict=True)}
        for row in judged[list(_CELL)].itertuples(index=False, name=None)
    ]


def called(method: str, whole: bool = True) -> str:
    """A method as people say it: ``cutmix[loss=balanced_softmax]`` is "CutMix + balanced softmax".

    Args:
        method: Its text.
        whole: With its other settings, in brackets.
    """
    name, settings = parse(method)
    name = METHODS.get(name).name if name in METHODS else name
    loss = settings.pop("loss", None)
    text = label(name) + (f" + {label(str(loss)).lower()}" if loss else "")
    return text + (f" ({', '.join(f'{k} {v}' for k, v in settings.items())})" if settings and whole else "")


def printed_row(document: str, method: str) -> str:
    """What the method of a document's row is called on the board."""
    rows = grids.DOCUMENTS[document].rows if document in grids.DOCUMENTS else {}
    return called({row: own for own, row in rows.items()}.get(method, method))


def board(facts: Iterable[Mapping[str, Any]]) -> tuple[list[Row], str, int]:
    """The setting that most methods share: its rows in order of name, what it is, images of its training set."""
    groups: dict[str, dict[str, list[Mapping[str, Any]]]] = {}
    for own in facts:
        groups.setdefault(repr(own["board"]), {}).setdefault(own["method"], []).append(own)
    if not groups:
        return [], "", 0
    chosen = max(groups.values(), key=len)
    short = [called(method, whole=False) for method in chosen]
    rows = [
        Row(
            called(method, whole=short.count(called(method, whole=False)) > 1),
            own[0]["id"],
            len(own),
            float(np.mean([f["accuracy"] for f in own])),
            float(np.mean([f["ece"] for f in own])),
            float(np.mean([np.nan if f["tail"] is None else f["tail"] for f in own])),
            float(np.mean([f["images"] for f in own])),
        )
        for method, own in chosen.items()
    ]
    first = next(iter(chosen.values()))[0]
    return sorted(rows, key=lambda row: row.name.lower()), str(first["where"]), int(first["train_images"])


def sentences(
    facts: Iterable[Mapping[str, Any]],
    tables: Iterable[Mapping[str, Any]],
    profile: str,
    card: str = "runs/{}.html",
    page: str = "",
    paper: str = "",
) -> list[Sentence]:
    """The five sentences.

    Args:
        facts: One `fact` a run, each run once.
        tables: The tables of printed numbers: ``document``, ``name``, ``link``, ``rows`` (how many) and ``cells``.
        profile: quick, laptop or paper.
        card: Address of a run's card, with a place for its id.
        page: Address of the page that shows the board; empty for none.
        paper: Address of the same sentences in the profile paper; empty for none.
    """
    rows, where, images = board(facts)
    known = list(tables)
    found = [*_in_print(known, profile, paper), *_on_board(rows, where, images, card, page)]
    if profiles.get(profile).stand_ins and len(rows) > 2:
        found[-1].pieces.insert(0, ("on these stand-in images only: ", ""))
    return found


def _in_print(tables: Sequence[Mapping[str, Any]], profile: str, paper: str) -> list[Sentence]:
    met, missed = Sentence("Reproduced"), Sentence("Not reproduced")
    judged = [(cell, table) for table in tables for cell in table["cells"]]
    if not judged:
        printed = sum(table["rows"] for table in tables)
        size = profiles.get(profile)
        images = f" on {label(size.stand_ins[0][1])}" if size.stand_ins else ""
        why = (
            f"{label(size.network)}{images} stands in for what the documents trained" if size.network else "none is run"
        )
        met.add(f"none of the {printed:,} printed numbers on these pages can be set against ours in {profile}: {why}.")
        missed.add("nothing can be said here either; ").add("ltlib reproduce --profile paper", paper)
        missed.add(" trains what the documents did.")
        return [met, missed]
    good = [pair for pair in judged if pair[0]["verdict"] == "reproduced"]
    count = {word: sum(cell["verdict"] == word for cell, _ in judged) for word in _JUDGED}
    met.add(f"{len(good)} of {len(judged)} printed numbers that our runs can be held against, within the tolerance")
    names = _names(pair for pair in judged if _overall(pair[0]))
    whole = [name for name, own in names.items() if all(cell["verdict"] == "reproduced" for cell, _ in own)]
    if whole:
        met.add(", in accuracy the rows of ").listed([(name, names[name][0][1]["link"]) for name in sorted(whole)])
    met.add(f" ({_each([cell['n'] for cell, _ in judged])}).")
    open_ = f" and {count['inconclusive']} inconclusive" if count["inconclusive"] else ""
    bad = len(judged) - len(good)
    missed.add(f"{bad} of {len(judged)}: {count['above']} above print, {count['below']} below{open_}")
    far = [
        (abs(c["reproduced"] - c["published"]), c, t) for c, t in judged if _overall(c) and c["verdict"] in _JUDGED[2:]
    ]
    worst: dict[str, tuple[Mapping[str, Any], Mapping[str, Any]]] = {}
    for _, cell, table in sorted(far, key=lambda item: -item[0]):
        worst.setdefault(printed_row(table["document"], cell["method"]), (cell, table))
    if worst:
        texts = [
            (f"{name} ({100 * c['reproduced']:.1f}% against {100 * c['published']:.1f}% in {t['name']})", t["link"])
            for name, (c, t) in list(worst.items())[:3]
        ]
        missed.add("; furthest off in accuracy: ").listed(texts)
    missed.add(f" ({_each([cell['n'] for cell, _ in judged])}).")
    return [met, missed]


def _on_board(rows: Sequence[Row], where: str, images: int, card: str, page: str) -> list[Sentence]:
    cheap, sure, use = Sentence("Cheapest"), Sentence("Best calibrated"), Sentence("What to use")
    if len(rows) < 3:
        few = (
            f"only {len(rows)} {'method has' if len(rows) == 1 else 'methods have'} been trained alike" if rows else ""
        )
        for sentence in (cheap, sure, use):
            sentence.add(f"{few or 'no method has been trained here yet'}; nothing can be set side by side.")
        return [cheap, sure, use]

    def named(some: Iterable[Row], also: str = "") -> list[tuple[str, str]]:
        return [(row.name + also.format(row.accuracy), card.format(row.run)) for row in some]

    single = min(row.n for row in rows) < FEWEST_RUNS
    span, ece_span = (FEW, FEW) if single else (TOLERANCES["accuracy"], TOLERANCES["ece"])
    best, lowest = max(row.accuracy for row in rows), min(row.ece for row in rows)
    near = [row for row in rows if row.accuracy >= best - span]
    calm = [row for row in rows if row.ece <= lowest + ece_span]
    least, most = min(row.images for row in near), max(near, key=lambda row: row.images)
    frugal = [row for row in near if row.images <= 1.001 * least]
    cheap.add(f"on {where} ({images:,} images, {_each([row.n for row in rows])}) {len(near)} of ")
    cheap.add(f"{len(rows)} methods", page)
    lie, order = ("lies", "") if len(near) == 1 else ("lie", ", and are not put in order")
    cheap.add(f" {lie} within {_points(span)} of the highest accuracy, {best:.1%}{order}. ")
    if most.images > 1.001 * least:
        cheap.add("Of these, ").listed(named(frugal)).add(f" saw the fewest training images, {least:,.0f}; ")
        cheap.listed(named([most])).add(f" saw {most.images / least:.2f} times as many.")
    else:
        cheap.add(f"All of them saw {least:,.0f} training images: ").listed(named(near)).add(".")
    sure.add(f"the lowest calibration error (ECE) there is {lowest:.1%}; within {_points(ece_span)} of it, not put in ")
    sure.add("order: ").listed(named(sorted(calm, key=lambda row: row not in near), " ({:.0%} right)"))
    plain = next((row for row in rows if row.name == label("ce")), None)
    sure.add(f". Plain cross-entropy has {plain.ece:.1%}." if plain is not None and plain not in calm else ".")
    both = [row for row in near if row in calm]
    if both:
        thrifty = [row for row in both if row.images <= 1.001 * min(other.images for other in both)]
        use.add("close to the best in both, and of those with the fewest images seen: ").listed(
            [(f"{row.name} ({_scores(row)})", card.format(row.run)) for row in thrifty]
        )
    else:
        top, safe = max(near, key=lambda row: -row.ece), max(calm, key=lambda row: row.accuracy)
        use.add("no method is close to the best in both. By accuracy ").listed([(top.name, card.format(top.run))])
        use.add(f" ({_scores(top)}), by calibration ").listed([(safe.name, card.format(safe.run))])
        use.add(f" ({_scores(safe)})")
    use.add(f"; {_each([row.n for row in rows])}.")
    return [cheap, sure, use]


def _points(span: float) -> str:
    return f"{100 * span:g} point{'' if span == 0.01 else 's'}"


def _scores(row: Row) -> str:
    tail = f", rarest classes {row.tail:.1%}" if row.tail == row.tail else ""
    return f"{row.accuracy:.1%}, ECE {row.ece:.1%}{tail}"


def _overall(cell: Mapping[str, Any]) -> bool:
    return cell["metric"] == "accuracy" and cell["split"] == "all"


def _names(pairs: Iterable[tuple[Mapping[str, Any], Mapping[str, Any]]]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for cell, table in pairs:
        found.setdefault(printed_row(table["document"], cell["method"]), []).append((cell, table))
    return found


def _each(numbers: Sequence[int]) -> str:
    low, high = min(numbers), max(numbers)
    if low == high:
        return "one run each" if low == 1 else f"{low} runs each"
    return f"{low} to {high} runs each"

"""Every accuracy known for a long-tailed CIFAR set, ours, the documents' and others', each with how it came about."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ltlib import datasets, grids, published
from ltlib.labels import label, network_label, set_label
from ltlib.runs import cost
from ltlib.sections.seeds import images_seen
from ltlib.sections.words import listed, many, printable
from ltlib.statistics import FEWEST_RUNS, t_half_width, t_interval
from ltlib.tables import scores
from ltlib.tables.scoreboard import method_words
from ltlib.training import objectives

if TYPE_CHECKING:
    import pandas as pd

    from ltlib.experiment import Experiment
    from ltlib.pages.page import Page
    from ltlib.runs import Run

SETS = tuple((dataset, factor) for factor in (100, 50, 10) for dataset in ("cifar100", "cifar10"))
"""The boards: a set and its imbalance factor."""
KINDS = ("ours", "documents", "elsewhere")
PLAIN_NETWORK, PLAIN_MILLIONS = "resnet32", 0.47
PLAIN_SHORTEST, PLAIN_EPOCHS = 190, 230
"""What can be compared: one ResNet-32 of 0.46 million parameters, one view of an image, about 200 epochs in all."""
_SIZES = {"cifar100": (500, 100), "cifar10": (5_000, 10)}
"""Images of the largest class, and classes."""
_SELECTED = {
    "last": "last epoch",
    "best_validation_loss": "best validation loss",
    "best_test_loss": "best test loss",
    "best_test_accuracy": "best test epoch",
}
_NAME = 40
"""Letters of a method's name in a figure, at most."""
FEW = 15
"""Rows of a figure, at most: of those that can be compared, and of the others."""


@dataclass(frozen=True)
class Entry:
    """An accuracy and its protocol; NaN and empty texts where something is not known.

    Attributes:
        kind: One of `KINDS`.
        method: Its name.
        accuracy: Fraction; ours at the last epoch, mean over runs.
        low, high: Ends of the 95% t-interval, from three runs on.
        runs: Trainings behind it.
        ece: Fraction.
        network: Its name, or its parameters.
        epochs: Of all stages.
        cost: Images seen, in units of 200 epochs of one view.
        augmentation: Of the training images.
        selected: Which epoch is reported.
        source: Where the number stands.
        apart: What keeps it from being compared, each in a few words.
    """

    kind: str
    method: str
    accuracy: float
    low: float = math.nan
    high: float = math.nan
    runs: float = math.nan
    ece: float = math.nan
    network: str = ""
    epochs: float = math.nan
    cost: float = math.nan
    augmentation: str = ""
    selected: str = ""
    source: str = ""
    apart: tuple[str, ...] = ()


def board(runs: Iterable[Run], dataset: str, factor: float) -> list[Entry]:
    """All that is known of a set at a factor, the most accurate first."""
    found = [*_ours(runs, dataset, factor), *_printed(dataset, factor), *_elsewhere(dataset, factor)]
    return sorted(found, key=lambda entry: -entry.accuracy)


def _ours(runs: Iterable[Run], dataset: str, factor: float) -> list[Entry]:
    cells: dict[str, list[Run]] = {}
    for run in runs:
        if _on(run.experiment, dataset, factor):
            cells.setdefault(run.cell_id, []).append(run)
    found = []
    for own in cells.values():
        first, exp = own[0], own[0].experiment
        values = [float(run.metrics["last"]["accuracy"]) for run in own]
        interval = t_interval(values)
        sure = len(own) >= FEWEST_RUNS
        plain = 200 * sum(first.class_counts)
        found.append(
            Entry(
                "ours",
                method_words(exp.method),
                interval.mean,
                interval.low if sure else math.nan,
                interval.high if sure else math.nan,
                len(own),
                scores.mean(own, "ece", which="last"),
                f"{network_label(exp.model)}, {first.parameters / 1e6:.2f} M",
                float(np.mean([len(run.history) for run in own])),
                float(np.mean([images_seen(run) for run in own])) / plain,
                _augmentation(exp),
                "last epoch",
                f"profile {first.profile}, recipe {exp.recipe}",
                _apart(exp, len(first.history)),
            )
        )
    return found


def _printed(dataset: str, factor: float) -> list[Entry]:
    """The documents' cells; a number that a document prints twice counts once."""
    found: dict[tuple[str, str, str, float], Entry] = {}
    for document in published.documents():
        for table in published.tables(document):
            for row, exp, value in _accuracies(document, table):
                if not _on(exp, dataset, factor) or exp.test_per_class is not None:
                    continue
                resolved = exp.resolve()
                epochs = {number: resolved.epochs(number - 1) for number in range(1, len(resolved.stages) + 1)}
                counts = datasets.long_tailed_counts(*_SIZES[dataset], factor)
                name = grids.described(document).names.get(row["method"], label(row["method"]))
                found.setdefault(
                    (document, name, exp.model, value),
                    Entry(
                        "documents",
                        name,
                        value,
                        network=network_label(exp.model),
                        epochs=sum(epochs.values()),
                        cost=cost.images_seen(exp, counts, epochs) / (200 * sum(counts)),
                        augmentation=_augmentation(exp),
                        selected=f"{_SELECTED[resolved.recipe.selection]} (as read)",
                        source=f"{document}, Table {table}",
                        apart=_apart(exp, sum(epochs.values())),
                    ),
                )
    return list(found.values())


def _accuracies(document: str, table: str) -> Iterator[tuple[Mapping[str, Any], Experiment, float]]:
    """Rows, experiments and fractions of a table's accuracies of all test images; of a printed mean the first."""
    frame = published.table(document, table)
    behind: dict[int, grids.Cell] = {}
    for cell in grids.cells(document, table):
        behind.setdefault(id(cell.row), cell)
    for cell, (value, unit) in zip(behind.values(), zip(frame["value"], frame["unit"], strict=True), strict=True):
        if cell.row["metric"] == "accuracy" and cell.row["split"] == "all":
            yield cell.row, cell.experiment, value / 100 if unit == "percent" else value


def _on(exp: Experiment, dataset: str, factor: float) -> bool:
    return (exp.dataset, exp.imbalance_factor, exp.imbalance_type) == (dataset, factor, "exponential")


def _augmentation(exp: Experiment) -> str:
    """Augmentation and mixing of the first stage."""
    resolved = exp.resolve()
    mix = resolved.stages[0].mix
    return ", ".join([*resolved.recipe.augmentation, *([label(mix.name)] if mix else [])]) or "none"


def _apart(exp: Experiment, epochs: float) -> tuple[str, ...]:
    """What keeps one of our trainings, or a document's, from standing beside a plain run of a ResNet-32."""
    resolved = exp.resolve()
    views = max(objectives.views(stage) for stage in resolved.stages)
    experts = max(len(stage.experts) for stage in resolved.stages)
    reasons = {
        network_label(exp.model): resolved.model.name != PLAIN_NETWORK,
        f"{epochs:g} epochs": epochs > PLAIN_EPOCHS or epochs < PLAIN_SHORTEST,
        f"{views} views": views > 1,
        f"{experts} experts": experts > 0,
        "several branches": any(stage.network in ("bbn", "reslt") for stage in resolved.stages),
        many(len(resolved.teachers), "teacher"): bool(resolved.teachers),
        "sharpness-aware": resolved.recipe.looks > 1,
        "nine tenths of the images": exp.validation == "subset",
        "class 0 the smallest": exp.order != "descending",
    }
    return tuple(reason for reason, holds in reasons.items() if holds)


def _elsewhere(dataset: str, factor: float) -> list[Entry]:
    frame = published.elsewhere()
    found = []
    for _, row in frame[(frame["dataset"] == dataset) & (frame["imbalance_factor"] == factor)].iterrows():
        apart = []
        if row["networks"] > 1:
            apart.append(f"{row['networks']:g} networks")
        elif row["parameters"] > PLAIN_MILLIONS:
            apart.append(f"{row['parameters']:g} M parameters")
        if math.isnan(row["parameters"]) and row["networks"] == 1:
            apart.append("network not said")
        if row["epochs"] > PLAIN_EPOCHS:
            apart.append(f"{row['epochs']:g} epochs")
        elif math.isnan(row["epochs"]):
            apart.append("epochs not said")
        if row["views"] > 1:
            apart.append(f"{row['views']:g} views")
        elif math.isnan(row["views"]):
            apart.append("views not said")
        if row["looks"] > 1:
            apart.append("sharpness-aware")
        sure = row["runs"] >= FEWEST_RUNS and row["spread"] > 0
        half = t_half_width(row["spread"], int(row["runs"])) if sure else 0.0
        found.append(
            Entry(
                "elsewhere",
                str(row["method"]),
                row["accuracy"] / 100,
                (row["accuracy"] - half) / 100 if sure else math.nan,
                (row["accuracy"] + half) / 100 if sure else math.nan,
                row["runs"],
                row["ece"] / 100,
                f"{row['parameters']:g} M" if row["parameters"] == row["parameters"] else "not said",
                row["epochs"],
                row["epochs"] * row["views"] * row["looks"] / 200,
                row["augmentation"] or "not said",
                row["selected"] or "not said",
                row["source"],
                tuple(apart),
            )
        )
    return found


def table(entries: Sequence[Entry]) -> pd.DataFrame:
    """Entries of a board as a frame, in their order, each with its place among them."""
    import pandas as pd

    rows = [
        {
            "place": place,
            "whose": entry.kind,
            "method": entry.method,
            "accuracy (%)": 100 * entry.accuracy,
            "95% interval": "–" if math.isnan(entry.low) else f"{100 * entry.low:.1f} to {100 * entry.high:.1f}",
            "n": f"{entry.runs:g}" if entry.runs == entry.runs else "not said",
            "ECE (%)": 100 * entry.ece,
            "network": entry.network,
            "epochs": entry.epochs,
            "cost (plain runs)": entry.cost,
            "augmentation": entry.augmentation,
            "reported": entry.selected,
            "source": entry.source,
            "apart": ", ".join(entry.apart),
        }
        for place, entry in enumerate(entries, start=1)
    ]
    return printable(pd.DataFrame(rows), {"accuracy (%)": 2, "epochs": 0})


def show(page: Page, runs: Sequence[Run]) -> None:
    """Each board: a sentence, a picture of the best, and its rows in two folds, the comparable ones first."""
    from ltlib import plots

    for dataset, factor in SETS:
        entries = board(runs, dataset, factor)
        name = f"{set_label(dataset, factor)} at {factor:g}"
        page.say(f"{name}: {sentence(entries)}")
        fair = [entry for entry in entries if not entry.apart]
        rest = [entry for entry in entries if entry.apart]
        if factor == SETS[0][1]:
            best = sorted([*fair[:FEW], *rest[:FEW]], key=lambda entry: -entry.accuracy)
            page.figure(
                f"Ranking, {name}",
                plots.ranking.ranking([_row(entry) for entry in best], KINDS),
                caption=f"{name}: the most accurate, {FEW} that can be compared and {FEW} that stand apart (hollow).",
            )
        if fair:
            with page.fold(f"{name}: {many(len(fair), 'result')} that can be compared"):
                page.frame(f"Comparable, {name}", table(fair).drop(columns="apart"), "one ResNet-32, one view")
        if rest:
            with page.fold(f"{name}: {many(len(rest), 'result')} apart, each with what keeps it apart"):
                page.frame(f"Apart, {name}", table(rest), "other networks, lengths and views")


def _row(entry: Entry) -> dict[str, Any]:
    return {
        "name": textwrap.shorten(entry.method, _NAME, placeholder=" …")
        + (f" ({entry.epochs:.0f} epochs)" if entry.epochs == entry.epochs else ""),
        "value": entry.accuracy,
        "low": entry.low,
        "high": entry.high,
        "kind": entry.kind,
        "apart": bool(entry.apart),
    }


def sentence(entries: Sequence[Entry]) -> str:
    """Who leads among the comparable ones, whether that can be told, and what the leaders of all spend more."""
    fair = [entry for entry in entries if not entry.apart]
    parts = [f"{many(len(entries), 'result')}, {len(fair)} of them comparable"]
    if fair:
        best = fair[0]
        parts.append(f"the most accurate of these is {best.method} ({_whose(best)}) with {100 * best.accuracy:.1f}%")
        if ours := [entry for entry in fair if entry.kind == "ours"]:
            place = fair.index(ours[0]) + 1
            parts.append(f"our best, {ours[0].method}, with {100 * ours[0].accuracy:.1f}% is number {place}")
    if apart := [entry for entry in entries if entry.apart]:
        lead = apart[0]
        parts.append(
            f"the most accurate of the others, {lead.method} ({_whose(lead)}) with {100 * lead.accuracy:.1f}%, "
            f"stands apart: {listed(lead.apart)}"
        )
    sure = sum(not math.isnan(entry.low) for entry in fair)
    parts.append(f"{sure} of the comparable ones rest on three runs or more" if sure else "none rests on three runs")
    return "; ".join(parts) + "."


def _whose(entry: Entry) -> str:
    return {"ours": "ours", "documents": entry.source, "elsewhere": "published elsewhere"}[entry.kind]

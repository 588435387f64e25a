"""The documents' tables, and the workbook's own comparisons, as lists of experiments.

A grid is named ``document/table`` (``convergent/1``) or ``document/word`` for what a notebook adds
(``convergent/factors``). Notebooks name the grids they read; the chain trains their union.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ltlib import profiles, published
from ltlib.errors import UnknownName
from ltlib.experiment import Experiment
from ltlib.profiles import Impossible

ROW = ("dataset", "imbalance", "train_set", "model", "method", "stage", "split", "metric")


@dataclass(frozen=True)
class Cell:
    """One printed number and the experiment that makes it."""

    document: str
    table: str
    row: Mapping[str, Any]
    experiment: Experiment


def _convergent(row: Mapping[str, Any], recipe: str = "convergent") -> Experiment:
    """Tables 1-9. The imbalance factor is 10 in the author's code and stated nowhere in the text."""
    return Experiment(
        dataset=row["dataset"],
        imbalance_factor=10,
        model=row["model"],
        method=row["method"],
        recipe=recipe,
    )


_DOCUMENTS: dict[str, Callable[[Mapping[str, Any]], Experiment]] = {"convergent": _convergent}


def cells(document: str, table: str) -> list[Cell]:
    """The printed cells of a table with their experiments, in the table's order.

    Raises:
        UnknownName: No such document or table, or one whose experiments are not described here.
    """
    if document not in _DOCUMENTS:
        raise UnknownName("document with grids", document, _DOCUMENTS)
    rows = published.table(document, table)
    found = []
    for _, printed in rows.iterrows():
        row = {key: printed[key] for key in ROW}
        found.append(Cell(document, table, row, _DOCUMENTS[document](row)))
    return found


def _text_recipe(dataset: str) -> Iterator[Experiment]:
    """ResNet-18 as the report's text has it, where that differs from the author's code (`_convergent`)."""
    recipe = "convergent_text[batch_size=64]" if dataset == "butterfly" else "convergent_text"
    for method in ("ce", "focal", "supcon_ce"):
        yield _convergent({"dataset": dataset, "model": "resnet18", "method": method}, recipe)


def _features(profile: str) -> Iterator[Experiment]:
    """The one network whose features the chapter on long tails maps; a run of `convergent` Table 1."""
    yield _convergent({"dataset": "cifar10", "model": "resnet18", "method": "ce"})


def _separability(profile: str) -> Iterator[Experiment]:
    """Feature spaces of ce, supcon and supcon_ce (and SimCLR's), for the hypotheses on separability."""
    for method in ("ce", "supcon", "supcon_ce", "simclr", "simclr_ce"):
        yield Experiment(dataset="cifar10", imbalance_factor=10, model="resnet18", method=method, recipe="convergent")


FACTORS = {"quick": (2.0, 5.0, 20.0, 50.0), "laptop": (10.0, 100.0), "paper": (1.0, 10.0, 50.0, 100.0)}
"""Imbalance factors of the robustness sweep. Digits allow less than CIFAR-10: their largest class has 130 images."""


def _factors(profile: str) -> Iterator[Experiment]:
    """ce, focal and supcon_ce over imbalance factors: robustness."""
    for method in ("ce", "focal", "supcon_ce"):
        for factor in FACTORS[profile]:
            yield Experiment(
                dataset="cifar10", imbalance_factor=factor, model="resnet18", method=method, recipe="convergent"
            )


_EXTRA: dict[str, Callable[[str], Iterator[Experiment]]] = {
    "convergent/text_cifar10": lambda profile: _text_recipe("cifar10"),
    "convergent/text_cifar100": lambda profile: _text_recipe("cifar100"),
    "convergent/text_butterfly": lambda profile: _text_recipe("butterfly"),
    "convergent/features": _features,
    "convergent/separability": _separability,
    "convergent/factors": _factors,
}
_KEEPS_FACTOR = ("convergent/factors",)


def names() -> list[str]:
    """Every grid's name."""
    tables = [f"{document}/{table}" for document in _DOCUMENTS for table in published.tables(document)]
    return tables + list(_EXTRA)


def experiments(name: str, profile: str) -> tuple[list[Experiment], dict[Experiment, Impossible]]:
    """What a profile trains for a grid: the experiments, each with the profile's seeds, and what it does not train.

    Raises:
        UnknownName: No such grid or profile.
    """
    size = profiles.get(profile)
    if name in _EXTRA:
        wanted = list(_EXTRA[name](profile))
    elif name in names():
        wanted = [cell.experiment for cell in cells(*name.split("/", 1))]
    else:
        raise UnknownName("grid", name, names())
    found: dict[Experiment, None] = {}
    left_out: dict[Experiment, Impossible] = {}
    for experiment in dict.fromkeys(wanted):
        mapped = profiles.resolve(experiment, profile)
        if isinstance(mapped, Impossible):
            left_out[experiment] = mapped
            continue
        if name in _KEEPS_FACTOR:
            mapped = mapped.replace(imbalance_factor=experiment.imbalance_factor)
        found |= {mapped.replace(seed=seed): None for seed in range(size.seeds)}
    return list(found), left_out


def command(document: str, table: str, profile: str = "paper") -> str:
    """The command that fills a table's cells."""
    return f"ltlib reproduce --profile {profile} --grid {document}/{table}"

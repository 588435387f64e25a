"""The documents' tables, and the workbook's own comparisons, as lists of experiments.

A grid is named ``document/table`` (``convergent/1``) or ``document/word`` for what a notebook adds
(``convergent/factors``). Notebooks name the grids they read; the chain trains their union.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from ltlib import profiles, published
from ltlib.errors import UnknownName
from ltlib.experiment import Experiment
from ltlib.grids.architectures import ARCHITECTURES
from ltlib.grids.awabs import AWABS
from ltlib.grids.base import Document
from ltlib.grids.beyond import BEYOND
from ltlib.grids.cefl import CEFL
from ltlib.grids.convergent import CONVERGENT, FACTORS
from ltlib.grids.loss_balance import LOSS_BALANCE
from ltlib.profiles import Impossible

__all__ = [
    "DOCUMENTS",
    "FACTORS",
    "Cell",
    "Need",
    "cells",
    "command",
    "described",
    "expand",
    "experiments",
    "names",
    "needs",
    "profile_of_cells",
    "trained",
    "wanted",
]

ROW = ("dataset", "imbalance", "train_set", "model", "method", "stage", "split", "metric")
DOCUMENTS: dict[str, Document] = {own.id: own for own in (CONVERGENT, AWABS, CEFL, ARCHITECTURES, LOSS_BALANCE, BEYOND)}


@dataclass(frozen=True)
class Cell:
    """One printed number and an experiment that makes it, alone or as one of several whose mean is printed."""

    document: str
    table: str
    row: Mapping[str, Any]
    experiment: Experiment


def described(name: str) -> Document:
    """A document's description.

    Raises:
        UnknownName: No such document, or one whose experiments are not described here.
    """
    if name not in DOCUMENTS:
        raise UnknownName("document with grids", name, DOCUMENTS)
    return DOCUMENTS[name]


def cells(document: str, table: str) -> list[Cell]:
    """The printed cells of a table with their experiments, in the table's order; a printed mean several times.

    Raises:
        UnknownName: No such document or table, or one whose experiments are not described here.
    """
    described(document)
    return list(_cells(document, table))


@cache
def _cells(document: str, table: str) -> tuple[Cell, ...]:
    """`cells`: no table changes while a process runs, and a plan reads each of them several times."""
    own, found = DOCUMENTS[document], list[Cell]()
    for _, printed in published.table(document, table).iterrows():
        row = {key: printed[key] for key in ROW}
        made = own.experiment(row)
        behind = (made,) if isinstance(made, Experiment) else made
        found += [Cell(document, table, row, experiment) for experiment in behind]
    return tuple(found)


def trained(cell: Cell, profile: str) -> Experiment | Impossible:
    """What a profile trains for a cell, or why it trains nothing.

    Raises:
        UnknownName: No such profile.
    """
    profiles.get(profile)
    own = DOCUMENTS[cell.document]
    return own.represented(cell.row, profile) or _resolved(own, cell.table, cell.experiment, profile)


def _resolved(own: Document, word: str, experiment: Experiment, profile: str) -> Experiment | Impossible:
    return profiles.resolve(experiment, profile, own.networks.get(word, profiles.REPRESENTED))


def names() -> list[str]:
    """Every grid's name: the tables, then what the notebooks add."""
    printed = [document for document in DOCUMENTS if document in published.documents()]
    tables = [f"{document}/{table}" for document in printed for table in published.tables(document)]
    return tables + [f"{document}/{word}" for document, own in DOCUMENTS.items() for word in own.extra]


def expand(given: Iterable[str]) -> list[str]:
    """Grids' names, where a document's name means all its grids.

    Raises:
        UnknownName: Neither a grid nor a document.
    """
    found: list[str] = []
    for name in given:
        own = [grid for grid in names() if name in (grid, grid.partition("/")[0])]
        if not own:
            raise UnknownName("grid", name, [*DOCUMENTS, *names()])
        found += own
    return list(dict.fromkeys(found))


def experiments(name: str, profile: str) -> tuple[list[Experiment], dict[Experiment, Impossible]]:
    """What a profile trains for a grid: the experiments, each with the profile's seeds, and what it does not train.

    Raises:
        UnknownName: No such grid or profile.
    """
    size = profiles.get(profile)
    document, _, word = name.partition("/")
    found: dict[Experiment, None] = {}
    left_out: dict[Experiment, Impossible] = {}
    for experiment, mapped in _wanted(name, profile):
        if isinstance(mapped, Impossible):
            left_out[experiment] = mapped
        else:
            own = DOCUMENTS[document]
            for seed in range(own.seeds(word, profile) or size.seeds):
                images = {"subset_seed": seed} if word in own.resampled else {}
                found[mapped.replace(seed=seed, **images)] = None
    return list(found), left_out


def _wanted(name: str, profile: str) -> list[tuple[Experiment, Experiment | Impossible]]:
    """The experiments of a grid beside what the profile makes of each."""
    document, _, word = name.partition("/")
    if name not in names():
        raise UnknownName("grid", name, names())
    own = DOCUMENTS[document]
    if word not in own.extra:
        return [(cell.experiment, trained(cell, profile)) for cell in cells(document, word)]
    pairs = []
    for experiment in own.extra[word](profile):
        mapped = _resolved(own, word, experiment, profile)
        if word in own.keeps_factor and isinstance(mapped, Experiment):
            mapped = mapped.replace(imbalance_factor=experiment.imbalance_factor)
        pairs.append((experiment, mapped))
    return pairs


def profile_of_cells() -> dict[str, str]:
    """Which profile trains which run of any grid, by the identity without seeds; the smallest where several do."""
    found: dict[str, str] = {}
    for profile in profiles.PROFILES:
        for name in names():
            for experiment in experiments(name, profile)[0]:
                found.setdefault(experiment.cell_id, profile)
    return found


@dataclass(frozen=True)
class Need:
    """What fills some cells of a grid.

    Attributes:
        grid: Its name.
        runs: Ids of the runs that these cells need, all of them.
        level: 0 for the first run of a cell, 1 for its second, ...
        cells: How many printed cells need just these; 1 for a grid that is no printed table.
    """

    grid: str
    runs: frozenset[str]
    level: int
    cells: int


def needs(names: Iterable[str], profile: str) -> list[Need]:
    """What the cells of some grids need in a profile: their runs, the several of a printed mean together.

    Raises:
        UnknownName: No such grid or profile.
    """
    found: dict[tuple[str, frozenset[str], int], int] = {}
    for name in dict.fromkeys(names):
        document, _, word = name.partition("/")
        size, own = profiles.get(profile), DOCUMENTS[document]
        printed: dict[int, list[Experiment | Impossible]] = {}
        if word in own.extra:
            printed = {number: [mapped] for number, (_, mapped) in enumerate(_wanted(name, profile))}
        else:
            rows = cells(document, word)
            for cell in rows:  # those of one printed mean have one row between them
                printed.setdefault(id(cell.row), []).append(trained(cell, profile))
        for behind in printed.values():
            one_run_each = [mapped for mapped in behind if isinstance(mapped, Experiment)]
            if len(one_run_each) < len(behind):
                continue
            for level in range(own.seeds(word, profile) or size.seeds):
                images = {"subset_seed": level} if word in own.resampled else {}
                ids = frozenset(mapped.replace(seed=level, **images).run_id for mapped in one_run_each)
                found[name, ids, level] = found.get((name, ids, level), 0) + 1
    return [Need(name, ids, level, count) for (name, ids, level), count in found.items()]


def wanted(names: Iterable[str], profile: str) -> dict[Experiment, int]:
    """What some grids ask a profile for, each run once however it is spelled, and how many of the grids ask for it.

    Raises:
        UnknownName: No such grid or profile.
    """
    found: dict[Experiment, int] = {}
    first: dict[str, Experiment] = {}
    for name in dict.fromkeys(names):
        for experiment in experiments(name, profile)[0]:
            same = first.setdefault(experiment.run_id, experiment)
            found[same] = found.get(same, 0) + 1
    return found


def command(document: str, table: str, profile: str = "paper") -> str:
    """The command that fills a table's cells."""
    return f"ltlib reproduce --profile {profile} --grid {document}/{table}"

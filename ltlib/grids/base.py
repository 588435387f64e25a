"""What a document gives the grids: its cells' experiments, the workbook's own comparisons, what stands for what."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ltlib.experiment import Experiment
from ltlib.profiles import Impossible

Row = Mapping[str, Any]
Extra = Callable[[str], Iterator[Experiment]]


def all_represented(row: Row, profile: str) -> Impossible | None:
    """Every cell has its training in every profile."""
    return None


@dataclass(frozen=True)
class Document:
    """A document's experiments.

    Attributes:
        experiment: The experiment behind a printed cell.
        extra: Grids that a notebook adds, by the word after the document's name; each yields the experiments wanted in
            a profile, still at the document's size.
        keeps_factor: Those of them whose imbalance factors a profile leaves alone.
        represented: Why a profile trains nothing for a cell where others of its kind stand for it, or None.
    """

    experiment: Callable[[Row], Experiment]
    extra: Mapping[str, Extra] = field(default_factory=dict)
    keeps_factor: tuple[str, ...] = ()
    represented: Callable[[Row, str], Impossible | None] = all_represented

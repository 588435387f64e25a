"""What the workbook knows of a document as data: its cells' experiments, its own comparisons, the names of its rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ltlib.experiment import Experiment
from ltlib.profiles import Impossible

PHOTOGRAPHS = "stem=imagenet;weights=imagenet1k_v1"
"""Settings of the ResNets where a document trains photographs from ImageNet weights."""

Row = Mapping[str, Any]
Extra = Callable[[str], Iterator[Experiment]]


def own_seeds(grid: str, profile: str) -> int | None:
    """As many runs a cell as the profile has."""
    return None


def all_represented(row: Row, profile: str) -> Impossible | None:
    """Every cell has its training in every profile."""
    return None


@dataclass(frozen=True)
class Document:
    """A document's experiments, and how its tables are read.

    Attributes:
        id: As in ``published``.
        experiment: The experiment behind a printed cell; several where the cell is their mean.
        extra: Grids that a notebook adds, by the word after the document's name; each yields the experiments wanted in
            a profile, still at the document's size.
        keeps_factor: Those of them whose imbalance factors a profile leaves alone.
        represented: Why a profile trains nothing for a cell where others of its kind stand for it, or None.
        networks: The networks that a profile's one network stands for in a grid, by the grid's word; where it is not
            named those of `profiles.REPRESENTED`.
        seeds: Runs of a cell, by the grid's word and the profile; None for as many as the profile has.
        resampled: Grids whose runs of a cell differ in their images too: each seed has a subset seed of its own.
        names: What the rows of its tables are called here, in their order; a method that is not in it has its usual
            name.
        classes: What its tables call a class, where that is not its name.
        rows: A method's id to the row it is, where that has another name.
        proposed: The document's own methods.
        first_stages: A proposed method to the row of its first stage alone.
        group_sizes: Classes in head, middle and tail that its printed numbers fit, by data set.
        home: The grid of the page's own comparisons: every method on one set.
    """

    id: str
    experiment: Callable[[Row], Experiment | tuple[Experiment, ...]]
    extra: Mapping[str, Extra] = field(default_factory=dict)
    keeps_factor: tuple[str, ...] = ()
    represented: Callable[[Row, str], Impossible | None] = all_represented
    networks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    seeds: Callable[[str, str], int | None] = own_seeds
    resampled: tuple[str, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)
    classes: Mapping[str, str] = field(default_factory=dict)
    rows: Mapping[str, str] = field(default_factory=dict)
    proposed: tuple[str, ...] = ()
    first_stages: Mapping[str, str] = field(default_factory=dict)
    group_sizes: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    home: str = ""

"""A document as a page reads it: how its rows are called, which runs stand for them, and on what a profile trains them.

AWABS = study.of("awabs")
AWABS.short("awabs_cutmix")            # "Method 2"
AWABS.by_method(page.runs("awabs/methods"))
AWABS.where("laptop")                  # "CIFAR-10-LT, imbalance factor 100, ResNet-8"
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ltlib import grids, profiles
from ltlib.labels import label, set_label
from ltlib.registry import parse

if TYPE_CHECKING:
    from ltlib.experiment import Experiment
    from ltlib.grids.base import Document
    from ltlib.pages.page import Page
    from ltlib.runs import Run


@dataclass(frozen=True)
class Study:
    """A document's description, asked in the words of a page.

    Attributes:
        document: Its data in `ltlib.grids`.
    """

    document: Document

    @property
    def id(self) -> str:
        return self.document.id

    def name(self, method: str) -> str:
        """How a row of the tables is called."""
        return self.document.names.get(method) or label(method)

    def short(self, method: str) -> str:
        """The same inside a sentence: ``Method 2`` without its augmentation."""
        return self.name(method).partition(" (")[0]

    def row(self, run: Run) -> str:
        """The row a run's method belongs to: by its text where a row is named so, else without the settings."""
        if run.experiment.method in self.document.names:
            return run.experiment.method
        base = parse(run.experiment.method)[0]
        return self.document.rows.get(base, base)

    def by_method(self, runs: Iterable[Run]) -> dict[str, list[Run]]:
        """Runs of one set by `row`, each once, all seeds together, in the order of the tables.

        Runs that differ in a method's settings alone fall under one row.
        """
        found: dict[str, dict[str, Run]] = {}
        for run in sorted(runs, key=lambda run: (run.experiment.subset_seed, run.experiment.seed)):
            found.setdefault(self.row(run), {})[run.id] = run
        order = dict.fromkeys([*self.document.names, *found])
        return {method: list(found[method].values()) for method in order if method in found}

    def first_runs(self, runs: Iterable[Run]) -> dict[str, Run]:
        """The first run of each method, in the order of the tables."""
        return {method: own[0] for method, own in self.by_method(runs).items()}

    def first_stages(self, own: Mapping[str, Sequence[Run]]) -> dict[str, Sequence[Run]]:
        """The runs of the first stage alone, by the proposed method it belongs to."""
        return {method: own[first] for method, first in self.document.first_stages.items() if first in own}

    def by_network(self, runs: Iterable[Run]) -> dict[tuple[str, str], list[Run]]:
        """Runs by network and row, each once, all seeds together, in the order they come."""
        found: dict[tuple[str, str], dict[str, Run]] = {}
        for run in runs:
            found.setdefault((run.experiment.model, self.row(run)), {})[run.id] = run
        return {key: list(own.values()) for key, own in found.items()}

    def runs(self, page: Page, tables: Iterable[str]) -> list[Run]:
        """The runs of several tables, each once."""
        found = {run.id: run for table in tables for run in page.runs(f"{self.id}/{table}", quiet=True)}
        return list(found.values())

    def trained(self, grid: str, profile: str) -> Experiment:
        """What a profile trains first for a grid; where it cannot, what the document has."""
        found, left_out = grids.experiments(f"{self.id}/{grid}", profile)
        return found[0] if found else next(iter(left_out))

    def where(self, profile: str) -> str:
        """The set, imbalance and network of the page's own comparisons in a profile."""
        return setting(self.trained(self.document.home, profile))

    def command(self, grid: str, profile: str) -> str:
        """The command that trains a grid of the document."""
        return grids.command(self.id, grid, profile)


def of(document: str) -> Study:
    """The document of that id.

    Raises:
        UnknownName: No such document, or one that has no grids.
    """
    return Study(grids.described(document))


def setting(experiment: Experiment) -> str:
    """Set, imbalance and network of an experiment, in words."""
    data = set_label(experiment.dataset, experiment.imbalance_factor)
    if experiment.imbalance_factor > 1:
        data += f", imbalance factor {experiment.imbalance_factor:g}"
    return f"{data}, {label(experiment.model)}"


def named(profile: str, dataset: str, network: str) -> tuple[str, str]:
    """How the data and the network are called that a profile trains for a column."""
    return label(profiles.dataset(dataset, profile)), label(profiles.network(network, profile))


def prose(dataset: str) -> str:
    """A data set's name inside a sentence."""
    named = {"butterfly": "the butterfly set", "crop_disease": "the crop disease set", "mushroom": "the mushrooms"}
    return named.get(dataset, label(dataset).replace("Digits", "digits"))


def stand_in(profile: str) -> str:
    """What a profile trains on in place of the documents' sets, in words; empty where it is those sets."""
    names = [prose(name) for _, name in profiles.get(profile).stand_ins]
    return names[0] if names else ""


def instead(profile: str) -> str:
    """What a profile trains in place of the documents' sets and networks, in words; empty where it is those."""
    size = profiles.get(profile)
    parts = [label(size.network)] if size.network else []
    parts += [f"on {stand_in(profile)}"] if size.stand_ins else []
    return " ".join(parts) + (f", at most {size.epochs} epochs" if size.epochs else "")


def caution(profile: str, what: str = "An order") -> str:
    """What a stand-in's numbers do not say, to follow another sentence; empty where the sets are the documents'."""
    standing_in = stand_in(profile)
    return f" {what} on {standing_in} says nothing about the document's." if standing_in else ""

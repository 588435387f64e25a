"""A comparison from its choices to its results; the command and the page make it the same way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ltlib import datasets
from ltlib.audit import Audit
from ltlib.compare import candidates, experiments, results, usable
from ltlib.compare import target as targets
from ltlib.compare.candidates import Candidate
from ltlib.compare.choices import Choices
from ltlib.compare.experiments import Front
from ltlib.compare.results import Results
from ltlib.experiment import Experiment
from ltlib.runs import backbone_features, sweep
from ltlib.training import frozen


@dataclass(frozen=True)
class Comparison:
    """What is about to be compared.

    Attributes:
        choices: What was asked for.
        audit: What was found in the set; None where it was not looked for.
        listed: Path of the list of usable images; without an audit that of the set.
        front: The network in front.
        tried: The candidates.
        planned: Their trainings.
    """

    choices: Choices
    audit: Audit | None
    listed: str
    front: Front
    tried: Sequence[Candidate]
    planned: Sequence[Experiment]

    @property
    def dataset(self) -> str:
        """The images, as a set."""
        return self.planned[0].dataset

    def run(self) -> Results:
        """Train what is missing."""
        frozen_ones = [one for one in sweep.missing(self.planned) if frozen.constant(one.resolve(), 0)]
        backbone_features.fill(frozen_ones[:1])  # one network and one set: all find theirs there
        trained = sweep.run_all(self.planned, label="compare")
        names = datasets.info(self.dataset).class_names or ()
        wanted = targets.of(self.choices.target, names, datasets.read(self.dataset).train.class_counts)
        return results.gathered(wanted, self.tried, trained)

    def whole(self, recommended: str) -> Comparison:
        """The same set with the whole network trained: few methods and few of the same splits, for it takes long.

        Args:
            recommended: The candidate that the comparison on frozen features recommends.
        """
        tried = candidates.chosen([*candidates.WHOLE, recommended])
        front = experiments.tuned(self.front)
        splits = min(self.choices.splits, experiments.WHOLE_SPLITS)
        planned = experiments.plan(experiments.dataset(self.listed, front.size), front, tried, splits)
        return replace(self, front=front, tried=tried, planned=planned)


def prepare(choices: Choices, front: Front | None = None) -> Comparison:
    """Look at a set, and plan the trainings.

    Args:
        choices: What is asked for.
        front: Instead of what the choices say.
    """
    listed, audit = choices.path, None
    if "audit" not in choices.skip:
        audit, place = usable.of(choices.path, parts="parts" not in choices.skip)
        listed = str(place)
    front = front or experiments.front(choices.backbone, choices.full, choices.weights)
    tried = candidates.chosen(choices.methods, choices.own)
    planned = experiments.plan(experiments.dataset(listed, front.size), front, tried, choices.splits)
    return Comparison(choices, audit, listed, front, tried, planned)

"""A comparison from its choices to its results; the command and the page make it the same way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ltlib import datasets
from ltlib.audit import Audit
from ltlib.compare import candidates, experiments, results, usable
from ltlib.compare import target as targets
from ltlib.compare.candidates import Candidate
from ltlib.compare.experiments import Front
from ltlib.compare.results import Results
from ltlib.experiment import Experiment
from ltlib.runs import sweep


@dataclass(frozen=True)
class Comparison:
    """What is about to be compared.

    Attributes:
        audit: What was found in the set.
        front: The network in front.
        tried: The candidates.
        planned: Their trainings.
    """

    audit: Audit
    front: Front
    tried: Sequence[Candidate]
    planned: Sequence[Experiment]

    @property
    def dataset(self) -> str:
        """The list of usable images, as a set."""
        return self.planned[0].dataset

    def run(self, target: str) -> Results:
        """Train what is missing.

        Args:
            target: As of `target.of`.
        """
        names = datasets.info(self.dataset).class_names or ()
        wanted = targets.of(target, names, datasets.read(self.dataset).train.class_counts)
        return results.gathered(wanted, self.tried, sweep.run_all(self.planned, label="compare"))


def prepare(
    path: str,
    methods: Sequence[str] = (),
    own: Sequence[str] = (),
    splits: int = experiments.SPLITS,
    backbone: str = "auto",
    full: bool = False,
    front: Front | None = None,
) -> Comparison:
    """Look at a set, and plan the trainings.

    Args:
        path: A folder or a CSV file.
        methods: As of `candidates.chosen`.
        own: The same.
        splits: As of `experiments.plan`.
        backbone: As of `experiments.front`.
        full: The same.
        front: Instead of what `backbone` and `full` say.
    """
    audit, listed = usable.of(path)
    front = front or experiments.front(backbone, full)
    tried = candidates.chosen(methods, own)
    name = experiments.dataset(str(listed), front.size)
    return Comparison(audit, front, tried, experiments.plan(name, front, tried, splits))

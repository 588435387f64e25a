"""The price of runs that are left: what they share is counted once, where it comes first, and nothing that is there."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Sequence

from ltlib import places, sealed
from ltlib.experiment import Experiment
from ltlib.runs import cost
from ltlib.runs.cost import Pace, Work

Rate = Callable[[Experiment, Work], float]
"""Seconds of some work of an experiment."""


def at(pace: Pace) -> Rate:
    """The rate of a machine, whatever the experiment."""
    return lambda experiment, work: pace.seconds(work)


def stages(experiments: Iterable[Experiment]) -> dict[str, list[Experiment]]:
    """The stages still to be trained, those of teachers too, by id, and whose they are."""
    top = places.runs_folder() / "stages"
    owners: dict[str, list[Experiment]] = {}
    for experiment in experiments:
        for resolved, i in experiment.resolve().every_stage():
            owners.setdefault(resolved.stage_id(i), []).append(experiment)
    return {name: own for name, own in owners.items() if not sealed.finished(top / name)}


def pieces(experiments: Sequence[Experiment]) -> set[str]:
    """Names of what is still to be computed: stages, and features that are kept."""
    return {*stages(experiments), *filter(None, map(cost.features_name, experiments))}


def own(experiment: Experiment, todo: Container[str]) -> dict[str, Work]:
    """The work of those of a run's pieces that are in `todo`."""
    return {name: work for name, work in cost.pieces(experiment).items() if name in todo}


def stage_seconds(experiments: Sequence[Experiment], rate: Rate) -> list[list[float]]:
    """Seconds of each run's stages in their order, kept features last; 0 for what is there or a run before computes."""
    todo, found = pieces(experiments), []
    for experiment in experiments:
        mine = cost.pieces(experiment)
        found.append([rate(experiment, work) if name in todo else 0.0 for name, work in mine.items()])
        todo -= mine.keys()
    return found


def prices(experiments: Sequence[Experiment], rate: Rate) -> list[float]:
    """Seconds of each run's own pieces: those that are not finished and that no run before it computes."""
    return [sum(seconds) for seconds in stage_seconds(experiments, rate)]

"""What a profile would train: the union of its grids, what is there already, and what the rest costs.

Runs that start alike share their first stages, so costs are counted by stages: each once, and none that is finished.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass

from ltlib import datasets, places, profiles, sealed
from ltlib.errors import SettingError
from ltlib.experiment import Experiment
from ltlib.progress import duration
from ltlib.runs import cost, gpu_hours, sweep

_UNITS = {"s": 1, "m": 60, "min": 60, "h": 3600}


@dataclass(frozen=True)
class Plan:
    """Attributes:
    profile: Name.
    experiments: Everything the grids ask for, each once.
    missing: Those without a finished run whose data can be had.
    no_data: Data sets that are not here, and how many runs wait for each.
    seconds: Estimated cost of each missing run in one process, in the order of `missing`: of the stages that no run
        before it trains.
    left_out: Missing runs that the budget does not reach.
    waiting: Runs whose data is not here.
    """

    profile: str
    experiments: list[Experiment]
    missing: list[Experiment]
    no_data: dict[str, int]
    seconds: list[float]
    left_out: list[Experiment]
    waiting: list[Experiment]

    def text(self, jobs: int = 1) -> str:
        """The plan in a few lines, as printed before anything starts."""
        later = len(self.left_out) + len(self.waiting)
        finished = len(self.experiments) - len(self.missing) - later
        lines = [f"{self.profile}: {len(self.experiments)} runs, {finished} finished, {len(self.missing)} to train now"]
        if self.missing:
            total = sum(self.seconds)
            wall = max(total / jobs, max(self.seconds))
            lines[0] += f", about {duration(wall)} with {jobs} process{'es' if jobs > 1 else ''} (estimate)"
        lines += [
            f"  {_runs(count)} {'waits' if count == 1 else 'wait'} for {name}, which is not here: "
            + datasets.info(name).where
            for name, count in self.no_data.items()
        ]
        if self.left_out:
            lines.append(
                f"  {_runs(len(self.left_out))} would take longer than the budget; the same command goes on with them"
            )
        return "\n".join(lines)

    def account(self) -> str:
        """Everything that is not trained yet, whether its data is here or not: stages, time, disk."""
        todo = [*self.missing, *self.left_out, *self.waiting]
        if not todo:
            return "  nothing is left to train"
        stages = _stages(todo)
        between = sum(len(experiment.resolve().stages) for experiment in todo)
        shared = sum(len(owners) > 1 for owners in stages.values())
        disk = sum(cost.stage_bytes(owners[0]) for owners in stages.values())
        lines = [
            f"  all that is left, its data here or not: {_runs(len(todo))} with {between} stages, {len(stages)} of "
            f"them different, as {shared} serve several runs"
        ]
        if profiles.get(self.profile).network is None:
            seconds = sum(_prices(todo, cost.REFERENCE_GPU))
            lines.append(
                f"  about {seconds:,.0f} GPU-seconds ({duration(seconds)}) on one GPU of the A100's class, one run at "
                "a time (estimate from rates that others published; nothing measured here)"
            )
        else:
            seconds = sum(_prices(todo, cost.measure()))
            lines.append(
                f"  about {duration(seconds)} in one process of this machine (estimate from a probe of a second)"
            )
        checkpoint = max(cost.checkpoint_bytes(experiment) for experiment in todo)
        lines.append(
            f"  about {disk / 1e9:.2f} GB of disk for weights and logits; up to {checkpoint / 1e9:.2f} GB more for the "
            "checkpoint of each run under way"
        )
        lines += gpu_hours.lines(gpu_hours.rows(todo, _pieces(todo)))
        return "\n".join(lines)


def _runs(count: int) -> str:
    return f"{count} run{'' if count == 1 else 's'}"


def make(profile: str, wanted: Mapping[Experiment, int], budget: float | None = None) -> Plan:
    """Plan the runs that are wanted.

    Args:
        profile: Name.
        wanted: The experiments, each once, and how many grids ask for it, as `ltlib.grids.wanted` gives them.
        budget: Seconds of training; the runs that complete most table cells for their cost come first.

    Raises:
        UnknownName: No such profile.
    """
    profiles.get(profile)
    no_data: dict[str, int] = {}
    here: list[Experiment] = []
    waiting: list[Experiment] = []
    for experiment in sweep.missing(wanted):
        if datasets.available(experiment.dataset):
            here.append(experiment)
        else:
            waiting.append(experiment)
            no_data[experiment.dataset] = no_data.get(experiment.dataset, 0) + 1
    left_out: list[Experiment] = []
    if budget is not None:
        chosen = _within(here, wanted, budget)
        left_out = [experiment for experiment in here if experiment not in chosen]
        here = [experiment for experiment in here if experiment in chosen]
    seconds = _prices(here, cost.measure()) if here else []
    return Plan(profile, list(wanted), here, no_data, seconds, left_out, waiting)


def _stages(experiments: Iterable[Experiment]) -> dict[str, list[Experiment]]:
    """The stages still to be trained, by id, and whose they are."""
    top = places.runs_folder() / "stages"
    owners: dict[str, list[Experiment]] = {}
    for experiment in experiments:
        resolved = experiment.resolve()
        for i in range(len(resolved.stages)):
            owners.setdefault(resolved.stage_id(i), []).append(experiment)
    return {name: own for name, own in owners.items() if not sealed.finished(top / name)}


def _prices(experiments: Sequence[Experiment], pace: cost.Pace) -> list[float]:
    """Seconds of each run's own pieces: those that are not finished and that no run before it computes."""
    todo, prices = _pieces(experiments), []
    for experiment in experiments:
        own = _own(experiment, todo)
        prices.append(sum(pace.seconds(work) for work in own.values()))
        todo -= own.keys()
    return prices


def _pieces(experiments: Sequence[Experiment]) -> set[str]:
    """Names of what is still to be computed: stages, and features that are kept."""
    return {*_stages(experiments), *filter(None, map(cost.features_name, experiments))}


def _own(experiment: Experiment, todo: Container[str]) -> dict[str, cost.Work]:
    """The work of those of a run's pieces that are in `todo`."""
    return {name: work for name, work in cost.pieces(experiment).items() if name in todo}


def _within(todo: Sequence[Experiment], cells: Mapping[Experiment, int], budget: float) -> set[Experiment]:
    """Greedy: most tables served a second first; the first seed of every cell before anybody's second.

    What an earlier choice trains already costs a later one nothing.
    """
    pace, stages = cost.measure(), _pieces(todo)

    def price(experiment: Experiment) -> float:
        return sum(pace.seconds(work) for work in _own(experiment, stages).values())

    chosen = set()
    for experiment in sorted(todo, key=lambda e: (e.seed, price(e) / cells[e])):
        if (spent := price(experiment)) <= budget:
            budget -= spent
            stages -= _own(experiment, stages).keys()
            chosen.add(experiment)
    return chosen


def parse_budget(text: str) -> float:
    """Seconds of ``90s``, ``30m``, ``6h`` or ``1.5h``.

    Raises:
        SettingError: Another form.
    """
    shape = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(s|m|min|h)\s*", text)
    if shape is None:
        raise SettingError(f"cannot read the budget {text!r}; write it as 90s, 30m or 6h")
    return float(shape.group(1)) * _UNITS[shape.group(2)]

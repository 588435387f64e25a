"""What a profile would train: the union of its grids, what is there already, and what the rest costs.

Runs that start alike share their first stages, so costs are counted by stages: each once, and none that is finished.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ltlib import datasets, grids, profiles, runs
from ltlib.errors import SettingError
from ltlib.experiment import Experiment
from ltlib.progress import duration
from ltlib.runs import budget as budgets
from ltlib.runs import cost, gpu_hours, pricing, recorded, sweep
from ltlib.runs.store import Run
from ltlib.training import accelerator

_NAMED = 6
"""Grids that are named one by one where their cells are left out."""
_UNITS = {"s": 1, "m": 60, "min": 60, "h": 3600}


@dataclass(frozen=True)
class Plan:
    """Attributes:
    profile: Name.
    experiments: Everything the grids ask for, each once.
    missing: Those without a finished run whose data can be had.
    no_data: Data sets that are not here, and how many runs wait for each.
    seconds: Estimated cost of each missing run in one process, or on the GPU that it shares, in the order of `missing`:
        of the stages that no run before it trains.
    left_out: Missing runs that the budget does not reach.
    waiting: Runs whose data is not here.
    chosen: What the budget was spent on; None without one.
    later: Estimated cost of the runs left out.
    finished: The runs that are there.
    one_device: Whether all processes share one GPU, so that more of them take no less time.
    """

    profile: str
    experiments: list[Experiment]
    missing: list[Experiment]
    no_data: dict[str, int]
    seconds: list[float]
    left_out: list[Experiment]
    waiting: list[Experiment]
    chosen: budgets.Choice | None = None
    later: float = 0.0
    one_device: bool = False
    finished: tuple[Run, ...] = ()

    def text(self, jobs: int = 1) -> str:
        """The plan in a few lines, as printed before anything starts."""
        later = len(self.left_out) + len(self.waiting)
        finished = len(self.experiments) - len(self.missing) - later
        lines = [f"{self.profile}: {len(self.experiments)} runs, {finished} finished, {len(self.missing)} to train now"]
        if self.missing:
            total = sum(self.seconds)
            wall = total if self.one_device else max(total / jobs, max(self.seconds))
            lines[0] += f", about {duration(wall)} with {jobs} process{'es' if jobs > 1 else ''} (estimate)"
        lines += [
            f"  {_runs(count)} {'waits' if count == 1 else 'wait'} for {name}, which is not here: "
            + datasets.info(name).where
            for name, count in self.no_data.items()
        ]
        if self.chosen is not None and (self.missing or self.left_out):
            lines.append(
                f"  within the budget {_runs(len(self.missing))} can be trained: {_cells(self.chosen.cells)} filled"
            )
        if self.left_out and self.chosen is not None:
            grids_left = sorted(self.chosen.left.items(), key=lambda pair: -pair[1])
            named = ", ".join(f"{grid} {count}" for grid, count in grids_left[:_NAMED] if grid)
            named += f" and {len(grids_left) - _NAMED} more grids" if len(grids_left) > _NAMED else ""
            wall = self.later / (1 if self.one_device else jobs)
            lines.append(
                f"  left out: {_runs(len(self.left_out))}, about {duration(wall)} more, and "
                f"{_cells(sum(self.chosen.left.values()))} with them{f' ({named})' if named else ''}; "
                "the same command goes on with them"
            )
        return "\n".join(lines)

    def account(self) -> str:
        """Everything that is not trained yet, whether its data is here or not: stages, time, disk."""
        todo = [*self.missing, *self.left_out, *self.waiting]
        if not todo:
            return "  nothing is left to train"
        stages = pricing.stages(todo)
        between = sum(len(experiment.resolve().every_stage()) for experiment in todo)
        shared = sum(len(owners) > 1 for owners in stages.values())
        disk = sum(cost.stage_bytes(owners[0]) for owners in stages.values())
        lines = [
            f"  all that is left, its data here or not: {_runs(len(todo))} with {between} stages, {len(stages)} of "
            f"them different, as {shared} serve several runs"
        ]
        if profiles.get(self.profile).network is None:
            seconds = sum(pricing.prices(todo, pricing.at(cost.REFERENCE_GPU)))
            lines.append(
                f"  about {seconds:,.0f} GPU-seconds ({duration(seconds)}) on one GPU of the A100's class, one run at "
                "a time (estimate from rates that others published; nothing measured here)"
            )
        else:
            seconds = sum(pricing.prices(todo, pricing.at(cost.measure())))
            lines.append(
                f"  about {duration(seconds)} in one process of this machine (estimate from a probe of a second)"
            )
        checkpoint = max(cost.checkpoint_bytes(experiment) for experiment in todo)
        lines.append(
            f"  about {disk / 1e9:.2f} GB of disk for weights and logits; up to {checkpoint / 1e9:.2f} GB more for the "
            "checkpoint of each run under way"
        )
        lines += gpu_hours.lines(gpu_hours.rows(todo, pricing.pieces(todo)))
        return "\n".join(lines)


def _runs(count: int) -> str:
    return f"{count} run{'' if count == 1 else 's'}"


def _cells(count: int) -> str:
    return f"{count} table cell{'' if count == 1 else 's'}"


def make(
    profile: str,
    wanted: Mapping[Experiment, int],
    budget: float | None = None,
    *,
    needs: Iterable[grids.Need] | None = None,
    jobs: int = 1,
    streams: int = 1,
) -> Plan:
    """Plan the runs that are wanted.

    Args:
        profile: Name.
        wanted: The experiments, each once, and how many grids ask for it, as `ltlib.grids.wanted` gives them.
        budget: Seconds from start to end; the runs that complete most table cells for their cost come first.
        needs: What the tables' cells need, as `ltlib.grids.needs` gives it; by default every run is a cell of its own
            in each grid that asks for it.
        jobs: Processes that train.
        streams: Runs at once in each; they share a GPU.

    Raises:
        UnknownName: No such profile.
    """
    profiles.get(profile)
    no_data: dict[str, int] = {}
    here: list[Experiment] = []
    waiting: list[Experiment] = []
    finished, missing = sweep.standing(wanted)
    for experiment in missing:
        if datasets.available(experiment.dataset):
            here.append(experiment)
        else:
            waiting.append(experiment)
            no_data[experiment.dataset] = no_data.get(experiment.dataset, 0) + 1
    if not here:
        return Plan(profile, list(wanted), [], no_data, [], [], waiting, finished=tuple(finished))
    shared = accelerator.device().type == "cuda"
    rates = recorded.rates(finished or runs.finished(), jobs * streams if shared else 1)
    left_out, chosen = list[Experiment](), None
    if budget is not None:
        if needs is None:
            needs = [grids.Need("", frozenset([e.run_id]), e.seed, wanted[e]) for e in here]
        chosen = budgets.choose(here, needs, budget if shared else budget * jobs, rates.seconds)
        left_out = [experiment for experiment in here if experiment.run_id not in chosen.runs]
        here = [experiment for experiment in here if experiment.run_id in chosen.runs]
    seconds = pricing.prices([*here, *left_out], rates.seconds)
    later = sum(seconds[len(here) :])
    return Plan(
        profile,
        list(wanted),
        here,
        no_data,
        seconds[: len(here)],
        left_out,
        waiting,
        chosen,
        later,
        one_device=shared,
        finished=tuple(finished),
    )


def parse_budget(text: str) -> float:
    """Seconds of ``90s``, ``30m``, ``6h`` or ``1.5h``.

    Raises:
        SettingError: Another form.
    """
    shape = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(s|m|min|h)\s*", text)
    if shape is None:
        raise SettingError(f"cannot read the budget {text!r}; write it as 90s, 30m or 6h")
    return float(shape.group(1)) * _UNITS[shape.group(2)]

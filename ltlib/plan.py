"""What a profile would train: the union of its grids, what is there already, and what the rest costs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ltlib import cost, datasets, grids, sweep
from ltlib.errors import SettingError
from ltlib.experiment import Experiment
from ltlib.progress import duration

_UNITS = {"s": 1, "m": 60, "min": 60, "h": 3600}


@dataclass(frozen=True)
class Plan:
    """Attributes:
    profile: Name.
    experiments: Everything the grids ask for, each once.
    missing: Those without a finished run whose data can be had.
    no_data: Data sets that are not here, and how many runs wait for each.
    seconds: Estimated cost of each missing run in one process, in the order of `missing`.
    left_out: Missing runs that the budget does not reach.
    """

    profile: str
    experiments: list[Experiment]
    missing: list[Experiment]
    no_data: dict[str, int]
    seconds: list[float]
    left_out: list[Experiment]

    def text(self, jobs: int = 1) -> str:
        """The plan in a few lines, as printed before anything starts."""
        lines = [f"{self.profile}: {len(self.experiments)} runs, {len(self.missing)} to train"]
        if self.missing:
            total = sum(self.seconds)
            wall = max(total / jobs, max(self.seconds))
            lines[0] += f", about {duration(wall)} with {jobs} process{'es' if jobs > 1 else ''} (estimate)"
        lines += [
            f"  {count} runs wait for {name}: {datasets.info(name).where}" for name, count in self.no_data.items()
        ]
        if self.left_out:
            lines.append(f"  {len(self.left_out)} runs are left for later by the budget")
        return "\n".join(lines)


def make(profile: str, names: Iterable[str], budget: float | None = None) -> Plan:
    """Plan the runs of some grids.

    Args:
        profile: Name.
        names: Grids.
        budget: Seconds of training; the runs that complete most table cells for their cost come first.
    """
    wanted: dict[Experiment, int] = {}
    for name in dict.fromkeys(names):
        found, _ = grids.experiments(name, profile)
        for experiment in found:
            wanted[experiment] = wanted.get(experiment, 0) + 1
    todo = sweep.missing(wanted)
    no_data: dict[str, int] = {}
    here: list[Experiment] = []
    for experiment in todo:
        if datasets.available(experiment.dataset):
            here.append(experiment)
        else:
            no_data[experiment.dataset] = no_data.get(experiment.dataset, 0) + 1
    price = {experiment: cost.measure().seconds(cost.work(experiment)) for experiment in here}
    left_out: list[Experiment] = []
    if budget is not None:
        chosen = _within(here, wanted, price, budget)
        left_out = [experiment for experiment in here if experiment not in chosen]
        here = [experiment for experiment in here if experiment in chosen]
    return Plan(profile, list(wanted), here, no_data, [price[e] for e in here], left_out)


def _within(
    todo: Sequence[Experiment], cells: dict[Experiment, int], price: dict[Experiment, float], budget: float
) -> set[Experiment]:
    """Greedy: most tables served a second first; the first seed of every cell before anybody's second."""
    order = sorted(todo, key=lambda e: (e.seed, price[e] / cells[e]))
    chosen: set[Experiment] = set()
    for experiment in order:
        if price[experiment] <= budget:
            budget -= price[experiment]
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

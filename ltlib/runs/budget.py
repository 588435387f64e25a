"""Which runs to train when not all of them fit: those that complete the most table cells for their time."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass

from ltlib.experiment import Experiment
from ltlib.grids import Need
from ltlib.runs import pricing
from ltlib.runs.cost import Work


@dataclass(frozen=True)
class Choice:
    """Attributes:
    runs: Ids of the runs to train.
    cells: Table cells they complete.
    left: Cells that stay open, by grid.
    """

    runs: frozenset[str]
    cells: int
    left: Mapping[str, int]


def choose(
    todo: Sequence[Experiment], needs: Iterable[Need], budget: float, price: Callable[[Experiment, Work], float]
) -> Choice:
    """Greedy: most cells a second first; the first run of every cell before anybody's second.

    What an earlier choice trains, a run or a stage, costs a later one nothing.

    Args:
        todo: Runs that can be trained.
        needs: What each cell needs; those with a run that is neither there nor in `todo` are passed over.
        budget: Seconds.
        price: Seconds of a run's piece of work.
    """
    missing = {experiment.run_id: experiment for experiment in todo}
    stages = pricing.pieces(todo)
    pieces = {
        run_id: {name: price(experiment, work) for name, work in pricing.own(experiment, stages).items()}
        for run_id, experiment in missing.items()
    }
    weights: dict[tuple[int, frozenset[str]], dict[str, int]] = {}
    for need in needs:
        if ids := frozenset(need.runs) & missing.keys():
            grids = weights.setdefault((need.level, frozenset(ids)), {})
            grids[need.grid] = grids.get(need.grid, 0) + need.cells
    chosen: set[str] = set()
    cells, left = 0, dict[str, int]()
    for level in sorted({level for level, _ in weights}):
        waiting = {ids: grids for (own, ids), grids in weights.items() if own == level}
        while waiting:
            costs = {ids: _seconds(ids - chosen, pieces, stages) for ids in waiting}
            fits = [ids for ids in waiting if costs[ids] <= budget]
            if not fits:
                break
            best = min(fits, key=lambda ids: costs[ids] / sum(waiting[ids].values()))
            cells += sum(waiting.pop(best).values())
            budget -= costs[best]
            chosen |= best
            stages -= {name for run_id in best for name in pieces[run_id]}
        for grids in waiting.values():
            for grid, count in grids.items():
                left[grid] = left.get(grid, 0) + count
    return Choice(frozenset(chosen), cells, left)


def _seconds(ids: Iterable[str], pieces: Mapping[str, Mapping[str, float]], todo: Container[str]) -> float:
    """Of all pieces of some runs that are still to be computed, each once."""
    own = {name: seconds for run_id in ids for name, seconds in pieces[run_id].items()}
    return sum(seconds for name, seconds in own.items() if name in todo)

"""The ladder: what each step of the field's best recipe is worth, one protocol for all, the last epoch."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from ltlib import profiles
from ltlib.grids.beyond import RUNGS, SETS, Rung, rung_experiment
from ltlib.labels import label
from ltlib.profiles import Impossible
from ltlib.registry import format_value
from ltlib.runs import looks
from ltlib.sections.seeds import images_seen
from ltlib.sections.study import setting
from ltlib.sections.words import listed, many, printable
from ltlib.sections.world import ROUNDING, gathered
from ltlib.statistics import FEWEST_RUNS
from ltlib.tables.scores import CLOSE, hardware, mean, percent, seconds, without_chance

if TYPE_CHECKING:
    import pandas as pd

    from ltlib.experiment import Experiment
    from ltlib.pages.page import Page
    from ltlib.runs import Run

Climbed = Mapping[Rung, Sequence["Run"]]
"""Runs of each rung on one set, all seeds together."""
GROUPS = ("head", "middle", "tail")
DIGITS = {
    "runs": 0,
    "accuracy (%)": 2,
    "gain (points)": 2,
    "ECE (%)": 2,
    "ECE debiased (%)": 2,
    "chance alone (%)": 2,
    "images seen (first = 1)": 2,
    "more looks (%)": 2,
    "all runs together (%)": 2,
}
"""Behind the point; one for all others."""


def show(page: Page, runs: Sequence[Run]) -> None:
    """For each set: what the steps gain, their table, and the class groups rung by rung."""
    from ltlib import plots

    for found, own in by_set(lambda dataset: climbed(runs, dataset, page.profile)):
        where, name = setting(own[0].experiment), f"Ladder, {label(own[0].experiment.dataset)}"
        page.say(f"{where}: {sentence(found)}")
        page.frame(name, printable(with_extras(table(found), found), DIGITS), f"{where}; last epoch", own)
        rows = [dots(rung, group) for rung, group in found.items()]
        page.figure(name, plots.points.group_dots(rows), caption=f"{where}; last epoch.", runs=own)


def by_set(find: Callable[[str], Climbed]) -> Iterator[tuple[Climbed, list[Run]]]:
    """What is found on each set that is trained, once where one set stands for both, and all its runs."""
    done: set[str] = set()
    for dataset in SETS:
        found = find(dataset)
        own = [run for group in found.values() for run in group]
        if own and own[0].experiment.dataset not in done:
            done.add(own[0].experiment.dataset)
            yield found, own


def climbed(runs: Sequence[Run], dataset: str, profile: str) -> dict[Rung, list[Run]]:
    """The runs of each rung that a profile trains on a set, from the first rung on."""
    return matched(runs, {rung: rung_experiment(rung, dataset, profile) for rung in RUNGS}, profile)


def matched(runs: Sequence[Run], asked: Mapping[Rung, Experiment], profile: str) -> dict[Rung, list[Run]]:
    """The runs that a profile trains for each, in their order; one without runs is left out.

    Where a profile trains two rungs alike (a set that no policy suits), the runs are the earlier one's.
    """
    found: dict[Rung, list[Run]] = {}
    taken: set[str] = set()
    for rung, experiment in asked.items():
        trained = profiles.resolve(experiment, profile)
        if isinstance(trained, Impossible) or trained.cell_id in taken:
            continue
        taken.add(trained.cell_id)
        if own := [run for run in runs if run.cell_id == trained.cell_id]:
            found[rung] = own
    return found


def before(found: Climbed, rung: Rung) -> Rung | None:
    """The rung that this one stands on: the last before it that is no side branch; None for the first."""
    earlier = itertools.takewhile(lambda other: other is not rung, found)
    return next((other for other in reversed([*earlier]) if not other.side), None)


def gain(found: Climbed, rung: Rung) -> tuple[float, float, float, int]:
    """Accuracy of a rung minus that of the one it stands on, the ends of its interval, and the runs a side.

    From three runs a side on the interval is Welch's of 95%, with fewer the margin within which single runs are chance.
    NaN for the first rung.
    """
    below = before(found, rung)
    if below is None:
        return math.nan, math.nan, math.nan, len(found[rung])
    pairs = [((one.key,), float(run.metrics["last"]["accuracy"])) for one in (below, rung) for run in found[one]]
    numbers = gathered(pairs, CLOSE["accuracy"])
    low, high = numbers.range({(rung.key,): 1, (below.key,): -1})
    return numbers[(rung.key,)] - numbers[(below.key,)], low, high, numbers.runs((rung.key,), (below.key,))


def table(found: Climbed) -> pd.DataFrame:
    """One row a rung: accuracy, gain over the rung it stands on, class groups, ECE, cost in units of the first.

    The time of a rung that other hardware trained than the first is NaN.
    """
    import pandas as pd

    rows = []
    first = next(iter(found.values()))
    for rung, own in found.items():
        difference, low, high, _ = gain(found, rung)
        floor, debiased = without_chance(own, "last")
        told = "" if math.isnan(difference) else f"{100 * low:+.1f} to {100 * high:+.1f}"
        rows.append(
            {
                "rung": rung.key,
                "runs": len(own),
                "accuracy (%)": percent(mean(own, "accuracy", which="last")),
                "gain (points)": round(100 * difference, 2),
                "between": told,
                **{f"{group} (%)": percent(mean(own, "accuracy", group, "last"), 1) for group in GROUPS},
                "ECE (%)": percent(mean(own, "ece", which="last")),
                "ECE debiased (%)": percent(debiased),
                "chance alone (%)": percent(floor),
                "images seen (first = 1)": round(images_seen(own[0]) / images_seen(first[0]), 2),
                "time (first = 1)": round(times(own, first), 2),
                "parameters (thousand)": round(own[0].parameters / 1e3, 1),
            }
        )
    return pd.DataFrame(rows)


def with_extras(frame: pd.DataFrame, found: Climbed) -> pd.DataFrame:
    """The table with what more looks at each test image, and all runs of a rung together, would have; where known."""
    extras = {
        "more looks (%)": [percent(looks.accuracy(own)) for own in found.values()],
        "all runs together (%)": [percent(looks.ensemble(own)) for own in found.values()],
    }
    known = {name: values for name, values in extras.items() if not all(map(math.isnan, values))}
    return frame.assign(**known)


def times(found: Sequence[Run], unit: Sequence[Run]) -> float:
    """Training time in units of another's, NaN where other hardware trained."""
    return whole_seconds(found) / whole_seconds(unit) if hardware(found) == hardware(unit) else math.nan


def whole_seconds(found: Sequence[Run]) -> float:
    """Mean training time in seconds, all teachers' of a run counted with it."""
    return seconds(found) + math.fsum(sum(run.teachers.values()) for run in found) / len(found)


def sentence(found: Climbed) -> str:
    """What the ladder gains in all, and which steps are told from chance."""
    ladder = [rung for rung in found if not rung.side]
    if len(ladder) < 2:
        return "one rung alone says nothing about a step."
    ends = [mean(found[rung], "accuracy", which="last") for rung in (ladder[0], ladder[-1])]
    whole = f"from {100 * ends[0]:.1f}% on the first rung to {100 * ends[1]:.1f}% on the last"
    return "; ".join([whole, *told(found, "the rung before", "a rung")]) + "."


def told(found: Climbed, below: str, each: str) -> list[str]:
    """What is told from chance to lie above or below what it stands on, and what is not, each in a few words."""
    up: list[str] = []
    down: list[str] = []
    open_: list[str] = []
    for rung in found:
        difference, low, high, _ = gain(found, rung)
        if math.isnan(difference):
            continue
        name = f"{rung.key} ({100 * difference:+.1f})"
        (up if low > ROUNDING else down if high < -ROUNDING else open_).append(name)
    runs = min(len(own) for own in found.values())
    rule = "by its 95% interval" if runs >= FEWEST_RUNS else f"with {many(runs, 'run')} {each}, by more than a point"
    parts = [f"ahead of {below}, {rule}: {listed(up)}"] if up else []
    parts += [f"behind {'it' if up else f'{below}, {rule}'}: {listed(down)}"] if down else []
    return parts + ([f"cannot be told: {listed(open_)}"] if open_ else [])


def dots(rung: Rung, own: Sequence[Run]) -> dict[str, object]:
    """A rung as a row of `plots.points.group_dots`."""
    row: dict[str, object] = {"name": rung.key, "all": mean(own, "accuracy", which="last")}
    groups = {group: mean(own, "accuracy", group, "last") for group in GROUPS}
    return row | {group: value for group, value in groups.items() if not math.isnan(value)}


def steps() -> pd.DataFrame:
    """The rungs and what each adds: in words, the method from there on, the recipe's settings from there on."""
    import pandas as pd

    rows = [
        {
            "rung": rung.key,
            "what is added": rung.step,
            "method": label(rung.method),
            "settings of the recipe": ", ".join(
                f"{key} {format_value(value).replace('+', ', ')}" for key, value in rung.recipe
            )
            or "-",
        }
        for rung in RUNGS
    ]
    return pd.DataFrame(rows)

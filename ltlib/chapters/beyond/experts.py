"""Several experts on shared layers beside one network of the same training: a kind of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ltlib.chapters.beyond import ladder
from ltlib.grids.beyond import EXPERTS, experts_experiment
from ltlib.labels import label
from ltlib.sections.study import setting
from ltlib.sections.words import printable
from ltlib.tables.scores import mean

if TYPE_CHECKING:
    import pandas as pd

    from ltlib.pages.page import Page
    from ltlib.runs import Run


def show(page: Page, runs: Sequence[Run]) -> None:
    """For each set: whether experts lie ahead of one network, and their table with what they cost."""
    for found, own in ladder.by_set(lambda dataset: beside(runs, dataset, page.profile)):
        where = setting(own[0].experiment)
        page.say(f"{where}: {sentence(found)}")
        name = f"Experts, {label(own[0].experiment.dataset)}"
        page.frame(name, printable(ladder.with_extras(table(found), found), ladder.DIGITS), f"{where}; last epoch", own)


def beside(runs: Sequence[Run], dataset: str, profile: str) -> ladder.Climbed:
    """The runs of one network and of each kind of experts that a profile trains on a set."""
    return ladder.matched(runs, {one: experts_experiment(one, dataset) for one in EXPERTS}, profile)


def table(found: ladder.Climbed) -> pd.DataFrame:
    """As the ladder's, against the one network, with the multiply-accumulates of an image."""
    frame = ladder.table(found).rename(columns={"rung": "method"})
    frame["MACs (million)"] = [round(own[0].macs / 1e6, 1) for own in found.values()]
    return frame


def sentence(found: ladder.Climbed) -> str:
    """Which experts are told from one network, and how much larger they are."""
    one, *several = found
    if one.side or not several:
        return "experts and one network are not both trained yet."
    sizes = sorted({f"{found[each][0].macs / found[one][0].macs:.1f}" for each in several}, key=float)
    times = " to ".join(dict.fromkeys((sizes[0], sizes[-1])))
    parts = [f"one network has {100 * mean(found[one], 'accuracy', which='last'):.1f}%"]
    parts += ladder.told(found, "it", "each")
    return "; ".join([*parts, f"an image takes the experts {times} times its multiply-accumulates"]) + "."

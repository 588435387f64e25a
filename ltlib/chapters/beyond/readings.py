"""Where a printed number is not met: which reading of the document comes nearest, and what stays unexplained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ltlib import profiles
from ltlib.chapters.awabs import AWABS
from ltlib.grids import awabs as grid
from ltlib.profiles import Impossible
from ltlib.sections import in_print, settings
from ltlib.sections.words import listed, many, printable
from ltlib.tables import cells
from ltlib.tables.scores import CLOSE, both, mean, used

if TYPE_CHECKING:
    import pandas as pd

    from ltlib.pages.page import Page
    from ltlib.runs import Run

TABLES = {"cifar100": "4.7", "cifar10": "4.6"}
"""The document's table of all methods, by set."""
STAGE_1 = {"awabs_cutout": "4.3", "awabs_cutmix": "4.4", "awabs_cutthumbnail": "4.5"}
"""The table of a proposed method, which prints both of its stages."""
Read = Mapping[str, Sequence["Run"]]
"""Runs of each reading, in words."""


def show(page: Page, runs: Sequence[Run]) -> None:
    """Each row of the tables: its printed number, every reading's, and the sentence that judges them."""
    for row, own in grid.readings(page.profile).items():
        found = read(own, runs, page.profile)
        name = AWABS.name(row)
        if not found:
            page.say(f"{name}: no reading was run; {AWABS.command('readings', page.profile)} trains them.")
            continue
        printed = print_of(row, page.profile)
        page.say(f"{name}: {sentence(found, printed, len(own), page.profile)}")
        where = f"printed and ours; ours on {AWABS.where(page.profile)}"
        page.frame(f"Readings of {name}", table(found, printed, page.profile), where, used(found))


def read(own: Mapping[str, object], runs: Sequence[Run], profile: str) -> dict[str, list[Run]]:
    """The runs of each reading that has some."""
    found = {}
    for words, experiment in own.items():
        trained = profiles.resolve(experiment, profile)  # type: ignore[arg-type]
        if isinstance(trained, Impossible):
            continue
        if some := [run for run in runs if run.cell_id == trained.cell_id]:
            found[words] = some
    return found


def print_of(row: str, profile: str) -> dict[str, dict[str, float]]:
    """What is printed for a row, by what it is called: both stages of a proposed method."""
    dataset = grid.dataset(profile)
    where = {"dataset": dataset, "imbalance": float(grid.STAND_IN_FACTOR), "method": row}
    if row not in STAGE_1:
        return {"printed": cells.cell("awabs", TABLES[dataset], **where)}
    table = STAGE_1[row]
    return {f"printed, stage {stage}": cells.cell("awabs", table, **where, stage=stage) for stage in ("1", "2")}


def table(found: Read, printed: Mapping[str, Mapping[str, float]], profile: str) -> pd.DataFrame:
    """The printed rows above one row a reading, in percent; in ``paper`` the distance to the last of them."""
    import pandas as pd

    *before, (last, aim) = printed.items()
    frame = in_print.beside(found, aim, last)
    if profile == "paper":
        frame["tolerances off"] = [float("nan"), *(settings.distance(runs, aim) for runs in found.values())]
    above = [in_print.beside(found, values, name).head(1) for name, values in before]
    frame = pd.concat([*above, frame], ignore_index=True)[list(frame.columns)].rename(columns={"method": "reading"})
    return printable(frame, {"accuracy (%)": 2, "ECE (%)": 2, "runs": 0})


def sentence(found: Read, printed: Mapping[str, Mapping[str, float]], wanted: int, profile: str) -> str:
    """Which reading is nearest; or, where the documents' size was not trained, what each reading moves."""
    first, *others = found
    aim = list(printed.values())[-1]
    if profile != "paper":
        best = max(found, key=lambda words: mean(found[words], "accuracy"))
        top = f"“{best}” with {100 * mean(found[best], 'accuracy'):.1f}%"
        text = f"only {top} was run. "
        if others:
            moved = settings.by_metric({words: found[words] for words in others}, found[first])
            text = f"points over “{first}”: {moved}. The most accurate is {top}. "
        return text + "Which of them made the printed number is a question for the documents' own size."
    near = min(found, key=lambda words: settings.distance(found[words], aim))
    values = both(found[near])
    off = {metric: abs(value - aim[metric]) for metric, value in values.items() if metric in aim}
    missed = [metric for metric, gap in off.items() if gap > CLOSE[metric]]
    text = f"nearest to print is “{near}”, {settings.distance(found[near], aim):.1f} tolerances off. "
    if not missed:
        return f"{text}It meets what is printed."
    gaps = listed(f"{100 * off[metric]:.1f} points of {'ECE' if metric == 'ece' else metric}" for metric in missed)
    unread = f"; {many(wanted - len(found), 'reading')} not run yet" if len(found) < wanted else ""
    return f"{text}What stays unexplained: {gaps}{unread}."

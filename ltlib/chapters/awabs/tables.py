"""The page `awabs/methods`: what stage 2 changes in Tables 4.3 to 4.5, and where it puts the head's images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ltlib.chapters.awabs import AWABS
from ltlib.grids import awabs as grid
from ltlib.grids.awabs import STAGE_1
from ltlib.labels import label
from ltlib.sections.study import caution, stand_in
from ltlib.tables.scores import percent

if TYPE_CHECKING:
    import pandas as pd

    from ltlib.pages.page import Page
    from ltlib.runs import Run

TABLES = {"4.3": "awabs_cutout", "4.4": "awabs_cutmix", "4.5": "awabs_cutthumbnail"}
"""The table of each proposed method."""
STATED = {"cifar10": {"head": 3, "middle": 4, "tail": 3}, "cifar100": {"head": 30, "middle": 40, "tail": 30}}
"""Classes a group by section 4.1.1, which the printed numbers do not fit."""


def stage_changes(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Stage 1 and stage 2 of each set in Tables 4.3 to 4.5, printed and ours, as rows for `plots.points.changes`."""
    cells: dict[tuple[str, str, float], dict[tuple[str, str], Any]] = {}
    for cell_ in frame[frame["split"] == "all"].to_dict("records"):
        place = (str(cell_["method"]), str(cell_["dataset"]), float(cell_["imbalance"]))
        cells.setdefault(place, {})[str(cell_["metric"]), str(cell_["stage"])] = cell_
    keys = [(metric, stage) for metric in ("accuracy", "ece") for stage in ("1", "2")]
    rows: list[dict[str, Any]] = []
    for (method, dataset, factor), cell in cells.items():
        number = list(TABLES.values()).index(method) + 1
        for side, column in (("printed", "published"), ("ours", "reproduced")):
            if all(key in cell and cell[key][column] == cell[key][column] for key in keys):
                row: dict[str, Any] = {"name": f"{number}: {label(dataset)}, {factor:g}", "side": side}
                for metric, stage in keys:
                    row[f"{metric} {'before' if stage == '1' else 'after'}"] = float(cell[metric, stage][column])
                rows.append(row)
    return rows


def stage_2(page: Page, frame: pd.DataFrame, runs: Sequence[Run]) -> None:
    """The change from stage 1 to stage 2 in every row of Tables 4.3 to 4.5, printed and ours."""
    from ltlib.plots import points as draw

    rows = stage_changes(frame)
    chart = draw.changes(rows, ("accuracy", "accuracy"), ("ece", "ECE"))
    caption = "From stage 1 to stage 2 in Tables 4.3 to 4.5; a row is a method, a set and an imbalance factor."
    if stand_in(page.profile):
        caption += f" Ours are of {stand_in(page.profile)}."
    page.say(changes_sentence(rows, page.profile))
    page.figure("Stage 2", chart, caption=caption, runs=runs)


def changes_sentence(rows: Sequence[dict[str, Any]], profile: str) -> str:
    """What stage 2 does to accuracy and ECE, printed and ours."""
    text = []
    for side in ("printed", "ours"):
        own = [row for row in rows if row["side"] == side]
        if not own:
            text.append(f"Ours: no set has both stages in {profile}.")
            continue
        gain = [row["accuracy after"] - row["accuracy before"] for row in own]
        error = [row["ece after"] - row["ece before"] for row in own]
        text.append(
            f"{side.capitalize()}: stage 2 moves the accuracy by {_span(gain)} and the ECE by {_span(error)}; of "
            f"{len(own)} row{'s' * (len(own) != 1)} {sum(g > 0 for g in gain)} gain accuracy and "
            f"{sum(e < 0 for e in error)} lose ECE."
        )
        if side == "printed":
            worse = [row["name"] for row in own if row["ece after"] > row["ece before"]]
            text.append(f"The ECE rises with Method {', '.join(worse)}." if worse else "")
        else:
            text.append(caution(profile, "A change").strip())
    return " ".join(part for part in text if part)


def _span(moves: Sequence[float]) -> str:
    ends = list(dict.fromkeys(f"{100 * move:+.1f}" for move in (min(moves), max(moves))))
    return f"{' to '.join(ends)} points"


def where_images_go(page: Page, shown: Mapping[str, Run]) -> None:
    """Which group the test images of the head are put into, with each of some methods."""
    if not shown:
        page.say(f"No proposed method was run; {AWABS.command('methods', page.profile)} trains them.")
        return
    frame = groups_frame(shown)
    caption = f"of the head's test images, in percent, {AWABS.where(page.profile)}"
    page.say(groups_sentence(frame))
    with page.fold(f"Where the head's images go, {len(frame)} methods"):
        page.frame("Groups predicted", frame, caption, shown.values())


def groups_frame(shown: Mapping[str, Run]) -> pd.DataFrame:
    """Of the head's test images, the share put into each group, and into the smallest class; percent."""
    import pandas as pd

    rows = []
    for method, run in shown.items():
        said = run.predictions["selected"]
        head = np.isin(said.targets, run.groups["head"])
        mine = said.predicted[head]
        row: dict[str, Any] = {"method": AWABS.name(method)}
        row |= {f"into {group}": percent(float(np.isin(mine, own).mean())) for group, own in run.groups.items()}
        row["into the smallest class"] = percent(float((mine == int(np.argmin(run.class_counts))).mean()))
        row["right"] = percent(float((said.predicted == said.targets)[head].mean()))
        rows.append(row)
    return pd.DataFrame(rows)


def groups_sentence(frame: pd.DataFrame) -> str:
    """How many of the head's images stage 2 moves into the tail."""
    row = {r["method"]: r for r in frame.to_dict("records")}
    parts = []
    for method in grid.PROPOSED:
        before, after = row.get(AWABS.name(STAGE_1[method])), row.get(AWABS.name(method))
        if before and after:
            parts.append(
                f"{AWABS.short(method)} {before['into tail']:.1f}% before and {after['into tail']:.1f}% after stage 2 "
                f"(right {before['right']:.1f}% and {after['right']:.1f}%)"
            )
    said = f"Of the head's test images, put into the tail: {'; '.join(parts)}." if parts else ""
    return said or "No method has both stages here, so what stage 2 moves cannot be said."

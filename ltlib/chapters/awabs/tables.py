"""The page `awabs/methods`: Tables 4.2 to 4.5, what stage 2 changes in them, and whether their groups add up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ltlib import grids, published
from ltlib.chapters.awabs import AWABS
from ltlib.grids import awabs as grid
from ltlib.grids.awabs import STAGE_1
from ltlib.plots.style import label
from ltlib.sections.scores import percent, points
from ltlib.sections.study import stand_in

if TYPE_CHECKING:
    import pandas as pd

    from ltlib.pages.page import Page
    from ltlib.runs import Run

TABLES = {"4.3": "awabs_cutout", "4.4": "awabs_cutmix", "4.5": "awabs_cutthumbnail"}
"""The table of each proposed method."""
SIZES = {"cifar10": {"head": 3, "middle": 4, "tail": 3}, "cifar100": {"head": 36, "middle": 35, "tail": 29}}
"""Classes a group that the printed numbers fit."""
SAID = {"cifar10": {"head": 3, "middle": 4, "tail": 3}, "cifar100": {"head": 30, "middle": 40, "tail": 30}}
"""Classes a group by section 4.1.1."""
FITTED, STATED = "mean (36/35/29)", "mean (30/40/30)"


def reading_table_4_2(frame: pd.DataFrame, profile: str) -> str:
    """Table 4.2: the smoothing against re-weighting in stage 2, printed and ours."""
    sides = [("Printed", "published")] + ([("Ours", "reproduced")] if frame["n"].gt(0).any() else [])
    text = []
    for side, column in sides:
        said = []
        for metric, word in (("accuracy", "accuracy"), ("ece", "ECE")):
            rows = frame[(frame["metric"] == metric) & frame[column].notna()]
            gaps = []
            for factor in dict.fromkeys(rows["imbalance"]):
                value = rows[rows["imbalance"] == factor].set_index("method")[column]
                if {"awabs_cutmix", "cbce"} <= set(value.index):
                    gaps.append(f"{100 * (value['awabs_cutmix'] - value['cbce']):+.1f} (factor {factor:g})")
            said.append(f"{word} {', '.join(gaps)}" if gaps else "")
        if all(said):
            text.append(f"{side}, Method 2 minus re-weighting (CBCE), in points: {'; '.join(said)}.")
    if len(text) < 2:
        text.append(f"Ours: not enough was run for this table in {profile}.")
    elif stand_in(profile):
        text.append(f"On {stand_in(profile)} this says nothing about the document's.")
    return " ".join(text)


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
    page.figure("Stage 2", chart, caption=caption, runs=runs)
    page.say(changes_sentence(rows, page.profile, stand_in(page.profile)))


def changes_sentence(rows: Sequence[dict[str, Any]], profile: str, stand_in: str = "") -> str:
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
        elif stand_in:
            text.append(f"On {stand_in} this says nothing about the document's.")
    return " ".join(part for part in text if part)


def _span(moves: Sequence[float]) -> str:
    ends = list(dict.fromkeys(f"{100 * move:+.1f}" for move in (min(moves), max(moves))))
    return f"{' to '.join(ends)} points"


def where_images_go(page: Page, runs: Sequence[Run]) -> None:
    """Which group the test images of each group are put into, before and after stage 2."""
    first = AWABS.first_runs(runs)
    shown = {m: first[m] for method in grid.PROPOSED for m in (STAGE_1[method], method) if m in first}
    if not shown:
        page.say(f"No proposed method was run; {grids.command(AWABS.id, 'methods', page.profile)} trains them.")
        return
    frame = groups_frame(shown)
    page.frame(
        "Groups predicted", frame, f"of the head's test images, in percent, {AWABS.where(page.profile)}", shown.values()
    )
    page.say(groups_sentence(frame))


def groups_frame(shown: Mapping[str, Run]) -> pd.DataFrame:
    """Of the head's test images, the share put into each group, and into the smallest class; percent."""
    import pandas as pd

    rows = []
    for method, run in shown.items():
        said = run.predictions["selected"]
        mine = said.predicted[np.isin(said.targets, run.groups["head"])]
        row: dict[str, Any] = {"method": AWABS.name(method)}
        row |= {f"into {group}": percent(float(np.isin(mine, own).mean())) for group, own in run.groups.items()}
        smallest = int(np.argmin(run.class_counts))
        row |= {"into the smallest class": percent(float((mine == smallest).mean())), "right": percent(
            float((said.predicted == said.targets)[np.isin(said.targets, run.groups["head"])].mean()))}  # fmt: skip
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


def group_check() -> pd.DataFrame:
    """Printed stage-2 accuracy of Tables 4.3 to 4.5 beside the mean of its group columns, in percent."""
    import pandas as pd

    rows = []
    for number in TABLES:
        printed = published.table(AWABS.id, number)
        printed = printed[printed["metric"] == "accuracy"]
        for (dataset, factor), own in printed.groupby(["dataset", "imbalance"], sort=False):
            value = {(row["split"], row["stage"]): row["value"] for row in own.to_dict("records")}
            groups = {split: number_ for (split, _), number_ in value.items() if split != "all"}
            overall = value["all", "2"]
            row = {"table": number, "set": f"{label(str(dataset))}, {factor:g}", "stage 2": overall}
            for title, sizes in ((FITTED, SIZES), (STATED, SAID)):
                classes = sizes[str(dataset)]
                mean = sum(classes[group] * groups[group] for group in classes) / sum(classes.values())
                row |= {title: round(mean, 2), f"off {title[5:]}": round(overall - mean, 3) + 0.0}
            rows.append(row)
    return pd.DataFrame(rows)


FITS = 0.006
"""Percentage points that rounding to the printed digits can part a group mean from its total."""


def group_sentence(frame: pd.DataFrame) -> str:
    """How often the group columns average to the total."""
    good = frame[f"off {FITTED[5:]}"].abs() <= FITS
    said = frame[f"off {STATED[5:]}"].abs() <= FITS
    text = (
        f"With groups of 36, 35 and 29 (3, 4 and 3) classes the mean of the group columns is the printed total in "
        f"{good.sum()} of {len(frame)} rows; with the text's 30, 40 and 30 on CIFAR-100 in {said.sum()}."
    )
    far = [row for row, fits in zip(frame.to_dict("records"), good, strict=True) if not fits]
    if far:
        worst = max(far, key=lambda row: abs(row[f"off {FITTED[5:]}"]))
        off = points(abs(worst[f"off {FITTED[5:]}"]) / 100)
        text += f" The largest remaining difference is {off} (Table {worst['table']}, {worst['set']})."
    return text + " A balanced test set makes them equal by definition."

"""The page `awabs/comparison`: Tables 4.6 to 4.8 read, every method on one set, and what it costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ltlib import grids, published
from ltlib.chapters.awabs import AWABS
from ltlib.grids import awabs as grid
from ltlib.grids.awabs import STAGE_1
from ltlib.sections import scores, study
from ltlib.sections.scores import CLOSE, mean, percent, told_apart

if TYPE_CHECKING:
    import pandas as pd

    from ltlib.pages.page import Page
    from ltlib.runs import Run

_SIZES = {"head": 36, "middle": 35, "tail": 29}
_WORDS = {"accuracy": "accuracy", "ece": "ECE"}


# --- Tables 4.6 to 4.8 -----------------------------------------------------------------------------------------------


def reading(frame: pd.DataFrame, profile: str) -> str:
    """Tables 4.6 and 4.7: who leads each column, printed and ours."""
    ran = {str(m) for m in frame.loc[frame["n"] > 0, "method"]}
    best = f"Ours ({len(ran)} methods run), the best: {_leaders(frame, 'reproduced')}."
    ours = _ours(frame, profile, best, "An order on {} says nothing about the document's.")
    return f"Printed, the best: {_leaders(frame, 'published')}. {ours}"


def _ours(frame: pd.DataFrame, profile: str, best: str, caution: str) -> str:
    """`best` where something was run, with the `caution` that a stand-in for the document's data calls for."""
    if not frame["n"].gt(0).any():
        return f"Ours: nothing was run for this table in {profile}."
    standing_in = study.stand_in(profile)
    return f"{best} {caution.format(standing_in)}" if standing_in else best


def _leaders(frame: pd.DataFrame, column: str) -> str:
    parts = []
    for factor in dict.fromkeys(frame["imbalance"]):
        said = []
        for metric in ("accuracy", "ece"):
            rows = frame[(frame["imbalance"] == factor) & (frame["metric"] == metric) & frame[column].notna()]
            if len(rows):
                order = sorted(rows.to_dict("records"), key=lambda row: row[column], reverse=metric == "accuracy")
                said.append(f"{_WORDS[metric]} {_first(order, column, metric)}")
        if said:
            parts.append(f"factor {factor:g}, {', '.join(said)}")
    return "; ".join(parts)


def _first(order: Sequence[Mapping[Any, Any]], column: str, metric: str) -> str:
    """The best of rows in order, and of ours those that single runs do not tell apart from it."""
    best = order[0]
    near = [
        AWABS.short(row["method"])
        for row in order[1:]
        if column == "reproduced" and not told_apart(best[column], row[column], min(best["n"], row["n"]), metric)
    ]
    said = f"{AWABS.short(best['method'])} {100 * best[column]:.2f}"
    return said + (f" (too close to {', '.join(near)} to tell)" if near else "")


def reading_table_4_8(frame: pd.DataFrame, profile: str) -> str:
    """Table 4.8: who leads each group, and whether the groups average to the total."""
    best = f"Ours, best: {_group_leaders(frame, 'reproduced')}."
    ours = _ours(frame, profile, best, "On {} this says nothing about the document's order.")
    return f"Printed, best: {_group_leaders(frame, 'published')}. {group_check()} {ours}"


def _group_leaders(frame: pd.DataFrame, column: str) -> str:
    parts = []
    for split in ("head", "middle", "tail", "all"):
        rows = frame[(frame["split"] == split) & frame[column].notna()].to_dict("records")
        if rows:
            rows.sort(key=lambda row: -row[column])
            parts.append(f"{split} {_first(rows, column, 'accuracy')}")
    return ", ".join(parts)


def group_check() -> str:
    """How far the printed rows of Table 4.8 are from the mean of their groups, as a sentence."""
    rows: dict[str, dict[str, float]] = {}
    for row in published.table(AWABS.id, "4.8").to_dict("records"):
        rows.setdefault(row["method"], {})[row["split"]] = row["value"]
    off = {
        method: own["all"] - sum(_SIZES[group] * own[group] for group in _SIZES) / sum(_SIZES.values())
        for method, own in rows.items()
    }
    said = ", ".join(f"{AWABS.short(method)} {round(gap, 2) + 0.0:+.2f}" for method, gap in off.items())
    return f"Printed total minus the mean of the groups (36, 35 and 29 classes), in points: {said}."


# --- every method on one set -----------------------------------------------------------------------------------------


def every_method(page: Page, runs: Sequence[Run]) -> dict[str, list[Run]]:
    """A table, a plane of accuracy and ECE, and groups, of every method on the profile's one set."""
    from ltlib.plots import points

    own = AWABS.by_method(runs)
    if not own:
        page.say(f"No method was run; {grids.command(AWABS.id, 'methods', page.profile)} trains them.")
        return own
    where = AWABS.where(page.profile)
    frame = scores.side_by_side(own, AWABS.name).sort_values("accuracy (%)", ascending=False, kind="stable")
    page.frame("All methods", frame, f"on {where}; best accuracy first", runs)
    rows = point_rows(own)
    errors = [row["ece"] for row in rows]
    strong = [AWABS.name(method) for method in grid.PROPOSED]
    chart = points.plane(rows, emphasise=strong, log=min(errors) > 0 and max(errors) > 8 * min(errors))
    page.figure("Accuracy and ECE", chart, caption=f"Every method on {where}; the best lie lower right.", runs=runs)
    page.figure("Class groups", points.group_dots(rows), caption=f"Test accuracy, {where}.", runs=runs)
    page.say(methods_sentence(own))
    return own


def cost_frame(own: Mapping[str, Sequence[Run]]) -> pd.DataFrame:
    """Size and cost of each method, the slowest first."""
    import pandas as pd

    rows = [
        {
            "method": AWABS.name(method),
            "thousand parameters": round(found[0].parameters / 1e3, 1),
            "million MACs": round(found[0].macs / 1e6, 2),
            "seconds": round(mean_seconds(found), 1),
            "stage 2 (% of the time)": percent(stage_2_share(found), 1),
        }
        for method, found in own.items()
    ]
    return pd.DataFrame(rows).sort_values("seconds", ascending=False, kind="stable")


def cost(page: Page, own: Mapping[str, Sequence[Run]]) -> None:
    """What each method costs: parameters, multiply-accumulates, seconds, and the part of stage 2."""
    if own:
        caption = f"of training, {AWABS.where(page.profile)}; MACs of an image's forward pass"
        page.frame("Cost", cost_frame(own), caption, [run for found in own.values() for run in found])
        page.say(cost_sentence(own))


def stage_2_share(found: Sequence[Run]) -> float:
    """Share of the training time that the second stage takes, mean over runs; 0 for one stage."""
    shares = []
    for run in found:
        rows = run.history
        shares.append(float(rows.loc[rows["stage"] > rows["stage"].min(), "seconds"].sum()) / max(run.seconds, 1e-9))
    return float(np.mean(shares))


def point_rows(own: Mapping[str, Sequence[Run]]) -> list[dict[str, Any]]:
    """Fractions for the figures, best accuracy first."""
    rows = []
    for method, found in own.items():
        row: dict[str, Any] = {
            "name": AWABS.name(method),
            "accuracy": mean(found, "accuracy"),
            "ece": mean(found, "ece"),
        }
        row["all"] = row["accuracy"]
        rows.append(row | {group: mean(found, "accuracy", group) for group in found[0].groups})
    return sorted(rows, key=lambda row: -row["accuracy"])


def methods_sentence(own: Mapping[str, Sequence[Run]]) -> str:
    """Best accuracy, lowest ECE, how the proposed methods stand; LDAM's confidences."""
    values = {m: (mean(found, "accuracy"), mean(found, "ece")) for m, found in own.items()}
    top = max(values, key=lambda m: values[m][0])
    calm = min(values, key=lambda m: values[m][1])
    text = (
        f"Of {len(own)} rows {AWABS.name(top)} is the most accurate, {100 * values[top][0]:.1f}%, and "
        f"{AWABS.name(calm)} the best calibrated, {100 * values[calm][1]:.1f}%."
    )
    few = min(len(found) for found in own.values()) < 3
    near = [AWABS.name(m) for m in values if m != top and values[top][0] - values[m][0] <= CLOSE["accuracy"]]
    if few and near:
        text += f" Within a point of the first, and so not told apart from it: {', '.join(near)}."
    calm_too = [m for m in values if m != calm and values[m][1] - values[calm][1] <= CLOSE["ece"]]
    if few and calm_too:
        text += f" In ECE {len(calm_too)} more lie within 1.5 points of the best."
    rank = sorted(values, key=lambda m: -values[m][0])
    calmer = sorted(values, key=lambda m: values[m][1])
    said = [f"{AWABS.short(m)} {rank.index(m) + 1} and {calmer.index(m) + 1}" for m in grid.PROPOSED if m in values]
    text += f" Places in accuracy and in ECE: {'; '.join(said)}." if said else ""
    steps = [
        f"{AWABS.short(m)} {100 * (values[m][0] - values[STAGE_1[m]][0]):+.1f}"
        for m in grid.PROPOSED
        if m in values and STAGE_1[m] in values
    ]
    if steps:
        text += f" Against its own first stage, in points of accuracy: {', '.join(steps)}; the page about the methods "
        text += "shows which images that is."
    if "ldam_drw" in own:
        text += (
            " LDAM-DRW's probabilities are made of its cosines, between -1 and 1, without the scale of 30 in its loss: "
            "its ECE says nothing about how sure it could be."
        )
    return text


def cost_sentence(own: Mapping[str, Sequence[Run]]) -> str:
    """What the methods cost beside plain training."""
    if "ce" not in own:
        return "Plain training was not run, so there is nothing to hold the cost against."
    plain = mean_seconds(own["ce"])
    told = (*grid.PROPOSED, "mislas", "bbn")
    said = [f"{AWABS.short(m)} {mean_seconds(found) / plain:.2f}" for m, found in own.items() if m in told]
    shares = [stage_2_share(found) for m, found in own.items() if m in grid.PROPOSED]
    text = f"Training time over that of plain training ({plain:.0f} s): {', '.join(said)}." if said else ""
    if shares:
        low, high = f"{100 * min(shares):.0f}", f"{100 * max(shares):.0f}"
        text += f" Stage 2 takes {low if low == high else f'{low} to {high}'}% of a proposed method's time"
        text += "; it trains the classifier alone, but every image still passes through the network."
    return (
        text + " Seconds are of the machine the runs were made on, some of them beside other runs: read them roughly."
    )


def mean_seconds(found: Sequence[Run]) -> float:
    """Mean training time in seconds."""
    return float(np.mean([run.seconds for run in found]))

"""Many methods on one set: scores side by side, who is best, what selection is worth."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ltlib.labels import label
from ltlib.statistics import FEWEST_RUNS
from ltlib.tables.scores import CLOSE, both, digits, mean, side_by_side, used

if TYPE_CHECKING:
    import pandas as pd

    from ltlib.pages.page import Page
    from ltlib.runs import Run
    from ltlib.sections.study import Study

Own = Mapping[str, Sequence["Run"]]
"""Runs of each method, all seeds together."""


def show(page: Page, study: Study, own: Own) -> None:
    """What methods on one set come to, in a sentence and a plane of accuracy and ECE; the numbers folded.

    Args:
        page: The page.
        study: The document.
        own: The methods to show, from `Study.by_method`.
    """
    from ltlib.plots import points as draw

    if not own:
        page.say(f"No method was run; {study.command(study.document.home, page.profile)} trains them.")
        return
    where, runs = study.where(page.profile), used(own)
    page.say(sentence(study, own))
    rows = points(study, own)
    errors = [row["ece"] for row in rows]
    strong = [study.name(method) for method in study.document.proposed]
    chart = draw.plane(rows, emphasise=strong, log=min(errors) > 0 and max(errors) > 8 * min(errors))
    page.figure("Accuracy and ECE", chart, caption=f"Every method on {where}; the best lie lower right.", runs=runs)
    frame = side_by_side(own, study.name).sort_values("accuracy (%)", ascending=False, kind="stable")
    with page.fold(f"All {len(own)} in numbers, and by class group: accuracy and ECE, head, middle and tail"):
        page.frame("All methods", frame, f"on {where}; best accuracy first", runs)
        page.figure("Class groups", draw.group_dots(rows), caption=f"Test accuracy, {where}.", runs=runs)


def points(study: Study, own: Own) -> list[dict[str, Any]]:
    """Fractions for the figures of `ltlib.plots.points`, best accuracy first."""
    rows = []
    for method, found in own.items():
        row: dict[str, Any] = {"name": study.name(method), **both(found)}
        row["all"] = row["accuracy"]
        rows.append(row | {group: mean(found, "accuracy", group) for group in found[0].groups})
    return sorted(rows, key=lambda row: -row["accuracy"])


def sentence(study: Study, own: Own) -> str:
    """Best accuracy, lowest ECE, how the proposed methods stand among all and against their own first stage."""
    value = {method: both(found) for method, found in own.items()}
    rank = sorted(value, key=lambda method: -value[method]["accuracy"])
    calm = sorted(value, key=lambda method: value[method]["ece"])
    text = (
        f"Of {len(own)} rows {study.name(rank[0])} is the most accurate, {100 * value[rank[0]]['accuracy']:.1f}%, and "
        f"{study.name(calm[0])} the best calibrated, {100 * value[calm[0]]['ece']:.1f}%."
    )
    if min(len(found) for found in own.values()) < FEWEST_RUNS:
        best, least = value[rank[0]]["accuracy"], value[calm[0]]["ece"]
        near = [study.name(m) for m in value if m != rank[0] and best - value[m]["accuracy"] <= CLOSE["accuracy"]]
        also = [m for m in value if m != calm[0] and value[m]["ece"] - least <= CLOSE["ece"]]
        text += f" Within a point of the first, and so not told apart from it: {', '.join(near)}." if near else ""
        text += f" In ECE {len(also)} more lie within {100 * CLOSE['ece']:g} points of the best." if also else ""
    shown = [method for method in study.document.proposed if method in value]
    said = [f"{study.short(method)} {rank.index(method) + 1} and {calm.index(method) + 1}" for method in shown]
    text += f" Places in accuracy and in ECE: {'; '.join(said)}." if said else ""
    steps = [
        f"{study.short(method)} {100 * (value[method]['accuracy'] - value[first]['accuracy']):+.1f}"
        for method, first in study.document.first_stages.items()
        if method in value and first in value
    ]
    return text + (f" Against its own first stage, in points of accuracy: {', '.join(steps)}." if steps else "")


# --- what selection is worth -----------------------------------------------------------------------------------------


def closing(study: Study, runs: Iterable[Run]) -> pd.DataFrame:
    """One row a network and method: selected and last epoch, class groups, cost; means over seeds, as fractions."""
    import pandas as pd

    return pd.DataFrame(
        [
            {
                "network": label(model),
                "method": study.name(method),
                "runs": len(own),
                "selected": mean(own, "accuracy"),
                "last epoch": mean(own, "accuracy", which="last"),
                **{group: mean(own, "accuracy", group) for group in own[0].groups},
                "epochs": round(float(np.mean([len(run.history) for run in own]))),
                "time (min)": round(float(np.mean([run.seconds for run in own])) / 60, 1),
                "parameters (million)": digits(own[0].parameters / 1e6),
                "MACs (million)": digits(own[0].macs / 1e6),
            }
            for (model, method), own in study.by_network(runs).items()
        ]
    )


def show_closing(page: Page, study: Study, runs: Sequence[Run], rule: str) -> None:
    """The table of `closing`, and what it says.

    Args:
        page: The page.
        study: The document.
        runs: Runs of one or several networks.
        rule: How the document selects the epoch that it reports: ``lowest test loss``.
    """
    frame = closing(study, runs)
    if frame.empty:
        page.say("No run is there, so there is nothing to compare.")
        return
    page.frame("Comparison", frame, "selected epoch (the document's way) and last epoch; accuracy by class group", runs)
    page.say(closing_sentence(frame, rule))


def closing_sentence(frame: pd.DataFrame, rule: str) -> str:
    """What selection on the test set gains, and how far the tail lies behind the head."""
    rows = frame.to_dict("records")
    best = max(rows, key=lambda row: row["selected"])
    moved = sorted(100 * (row["selected"] - row["last epoch"]) for row in rows)
    text = (
        f"The best here is {best['method']} with {best['network']}, {best['selected']:.3f}. Reporting the epoch of the "
        f"{rule}, as the document does, means looking at the test set: against the last epoch it moves the accuracy by "
        f"{' to '.join([f'{moved[0]:+.1f}', f'{moved[-1]:+.1f}'][: len(rows)])} points."
    )
    if {"head", "tail"} <= set(frame.columns):
        behind = sorted(rows, key=lambda row: row["head"] - row["tail"])
        said = [f"{100 * (r['head'] - r['tail']):.1f} points ({r['method']}, {r['network']})" for r in behind]
        text += f" The tail lies {' to '.join(dict.fromkeys((said[0], said[-1])))} behind the head."
    return text

"""Table 4.1 of `awabs`: its long-tailed rows and what it says; the rest of the page comes from `ltlib.sections`."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

from ltlib import profiles
from ltlib.chapters.awabs import AWABS
from ltlib.grids import awabs as grid
from ltlib.labels import label
from ltlib.sections import study
from ltlib.sections.words import listed
from ltlib.tables import scores

if TYPE_CHECKING:
    import pandas as pd

ROWS = ("ce", "crt", "lws", "crt_mixup", "lws_mixup", "lws_mixup_shifted_bn", "mislas", "awabs_cutmix")
"""The long-tailed rows of Table 4.1, in its order."""
TABLE_SET = "cifar100"
Pairs = dict[tuple[float, str], dict[str, float]]


def reading(frame: pd.DataFrame, profile: str) -> str:
    """What Table 4.1 says, in sentences made from a frame of `tables.compare`."""
    text = f"Printed: {_said(_pairs(frame, 'published'), margin=False)}"
    ours = _pairs(frame[frame["n"] > 0], "reproduced")
    if not ours:
        elsewhere = grid.dataset(profile)
        follow = f"; its methods follow below on {label(elsewhere)}" if elsewhere != TABLE_SET else ""
        return f"{text} Ours: nothing was run for this table in {profile}{follow}."
    text += f" Ours: {_said(ours, margin=True)}"
    if profiles.get(profile).stand_ins:
        text += f" An order on {study.stand_in(profile)} says nothing about the document's."
    return text


def _pairs(frame: pd.DataFrame, column: str) -> Pairs:
    """Accuracy and ECE by imbalance factor and method."""
    found: Pairs = {}
    for row in frame.to_dict("records"):
        if row[column] == row[column]:
            found.setdefault((float(row["imbalance"]), row["method"]), {})[row["metric"]] = float(row[column])
    return {key: both for key, both in found.items() if {"accuracy", "ece"} <= both.keys()}


def _said(pairs: Pairs, margin: bool) -> str:
    """Lowest ECE, what the long tail does to plain training, and whether accuracy and calibration go together."""
    tailed = {method: both for (factor, method), both in pairs.items() if factor > 1}
    if not tailed:
        return "no long-tailed row."
    order = sorted(tailed, key=lambda method: tailed[method]["ece"])
    best, close = order[0], scores.CLOSE["ece"] if margin else 0.0
    text = f"{AWABS.name(best)} has the lowest calibration error, {100 * tailed[best]['ece']:.2f}%"
    if len(order) > 1:
        near = [m for m in order[1:] if tailed[m]["ece"] - tailed[best]["ece"] < close]
        text += f" (not told from {listed(map(AWABS.name, near))})" if near else ""
        text += f"; {AWABS.name(order[-1])} the highest, {100 * tailed[order[-1]]['ece']:.1f}%"
    plain = {factor: both for (factor, method), both in pairs.items() if method == "ce"}
    if len(plain) > 1:
        low, high = plain[min(plain)], plain[max(plain)]
        text += (
            f". The long tail moves plain training from {100 * low['accuracy']:.1f}% right at an error of "
            f"{100 * low['ece']:.1f}% to {100 * high['accuracy']:.1f}% at {100 * high['ece']:.1f}%"
        )
    couples = list(combinations(tailed.values(), 2))
    if couples:
        both = sum((a["ece"] - b["ece"]) * (a["accuracy"] - b["accuracy"]) < 0 for a, b in couples)
        text += f". Of {len(couples)} pairs of long-tailed rows the more accurate is the better calibrated in {both}"
    return f"{text}."

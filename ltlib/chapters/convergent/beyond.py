"""Calibration of the methods of a `convergent` table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ltlib import calibration
from ltlib.chapters.convergent import CONVERGENT
from ltlib.plots.style import label

if TYPE_CHECKING:
    import pandas as pd

    from ltlib.pages.page import Page
    from ltlib.runs import Run


def calibrated(page: Page, runs: Sequence[Run], number: str = "Reliability") -> None:
    """Reliability diagrams of the methods at the selected epoch, errors by class group, and what they say."""
    from ltlib.plots import calibration as draw

    first = CONVERGENT.first_runs(runs)
    if not first:
        page.say("No run of this network is there, so its calibration cannot be shown.")
        return
    tables = {}
    for method, run in first.items():
        said = run.predictions["selected"]
        tables[method] = calibration.reliability(said.confidence, said.predicted == said.targets)
    page.figure(number, draw.reliability_diagram(tables), caption="Confidence against accuracy.", runs=first.values())
    frame = calibration_frame(first)
    page.frame("Calibration", frame, "at the selected epoch, test images", first.values())
    page.say(calibration_sentence(frame))


def calibration_frame(first: Mapping[str, Run]) -> pd.DataFrame:
    """Accuracy, mean confidence and ECE of each method, and ECE by class group; fractions."""
    import pandas as pd

    rows = []
    for method, run in first.items():
        said = run.predictions["selected"]
        right = said.predicted == said.targets
        own = calibration.group_errors(said.confidence, right, said.targets, run.groups)
        row = {"method": label(method), "accuracy": float(right.mean()), "confidence": float(said.confidence.mean())}
        row |= {"ECE": calibration.from_confidence(said.confidence, right)}
        rows.append(row | {f"ECE, {group}": value for group, value in own.items()})
    return pd.DataFrame(rows)


def calibration_sentence(frame: pd.DataFrame) -> str:
    """Who is best calibrated, and where confidence and accuracy part."""
    order = frame.sort_values("ECE", kind="stable")
    listed = ", ".join(f"{m} {100 * e:.1f}%" for m, e in zip(order["method"], order["ECE"], strict=True))
    text = f"Expected calibration error, best first: {listed}."
    gaps = frame["confidence"] - frame["accuracy"]
    said = ", ".join(f"{m} {100 * gap:+.1f}" for m, gap in zip(frame["method"], gaps, strict=True))
    text += f" Mean confidence minus accuracy, in points (above 0 is over-confident): {said}."
    if {"ECE, head", "ECE, tail"} <= set(frame.columns):
        worse = int((frame["ECE, tail"].astype(float) > frame["ECE, head"].astype(float)).sum())
        text += f" The tail is worse calibrated than the head for {worse} of {len(frame)} methods."
    return text

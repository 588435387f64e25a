"""Head, middle and tail: on which side a network's confidence errs, by actual and by predicted class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ltlib import calibration
from ltlib.chapters.awabs import AWABS
from ltlib.chapters.awabs.calibration import HONEST, ROWS
from ltlib.plots import calibration_errors
from ltlib.sections.words import answered, listed, printable

if TYPE_CHECKING:
    import pandas as pd

    from ltlib.pages.page import Page
    from ltlib.runs import Predictions, Run

BY = {"By actual class": "targets", "By predicted class": "predicted"}
Gaps = dict[str, dict[str, dict[str, float]]]


def group_gaps(first: Mapping[str, Run]) -> Gaps:
    """Confidence minus accuracy by kind of grouping, method and group; NaN where a group has no image."""
    found: Gaps = {}
    for kind, of in BY.items():
        found[kind] = {}
        for method, run in first.items():
            said = run.predictions["selected"]
            confidence, correct = answered(said)
            own = {}
            for group, members in run.groups.items():
                inside = np.isin(getattr(said, of), list(members))
                gap = confidence[inside].mean() - correct[inside].mean() if inside.any() else np.nan
                own[group] = float(gap)
            found[kind][AWABS.name(method)] = own
    return found


def group_frame(first: Mapping[str, Run]) -> pd.DataFrame:
    """ECE of all images, of each group by actual and by predicted class, and what the ECE hides, in percent."""
    import pandas as pd

    rows = []
    for method, run in first.items():
        said = run.predictions["selected"]
        confidence, correct = answered(said)
        row: dict[str, Any] = {"method": AWABS.name(method)}
        row["all"] = 100 * calibration.from_confidence(confidence, correct)
        for of, word in (("targets", ""), ("predicted", "said ")):
            own = calibration.group_errors(confidence, correct, getattr(said, of), run.groups)
            row |= {f"{word}{group}": np.nan if error is None else 100 * error for group, error in own.items()}
        row["hidden"] = 100 * hidden(said, run.groups)
        rows.append(row)
    return pd.DataFrame(rows)


def hidden(said: Predictions, groups: Mapping[str, Sequence[int]], draws: int = 20) -> float:
    """What the ECE of all images leaves out: its groups' errors (by predicted class), weighted by images, minus it.

    Over- and under-confident groups cancel inside a bin of all images. Fewer images a bin also let chance in: what
    perfectly calibrated answers with the same confidences would give is taken off.
    """
    confidence, correct = answered(said)
    random = np.random.default_rng(0)
    by_chance = [
        _cancelled(confidence, random.random(len(confidence)) < confidence, said.predicted, groups)
        for _ in range(draws)
    ]
    return max(0.0, _cancelled(confidence, correct, said.predicted, groups) - float(np.mean(by_chance)))


def _cancelled(
    confidence: np.ndarray, correct: np.ndarray, predicted: np.ndarray, groups: Mapping[str, Sequence[int]]
) -> float:
    own = calibration.group_errors(confidence, correct, predicted, groups)
    weights = {group: float(np.isin(predicted, list(members)).mean()) for group, members in groups.items()}
    parts = sum(weights[group] * error for group, error in own.items() if error is not None)
    return parts - calibration.from_confidence(confidence, correct)


def group_sentence(gaps: Gaps, frame: pd.DataFrame) -> str:
    """On which side each group errs, under both readings, and the largest hidden error."""
    text = []
    for kind, methods in gaps.items():
        parts = []
        for group in next(iter(methods.values())):
            values = np.array([own[group] for own in methods.values()])
            values = values[np.isfinite(values)]
            over = int((values > HONEST).sum())
            middle = float(np.median(values)) if len(values) else np.nan
            parts.append(f"{group} for {over} of {len(values)} (median {100 * middle:+.0f} points)")
        text.append(f"{kind}, over-confident are {listed(parts)}.")
    plain = [gaps[kind].get(AWABS.name("ce"), {}).get("tail", np.nan) for kind in BY]
    if np.isfinite(plain).all():
        text.append(
            f"For CE, confidence minus accuracy is {100 * plain[0]:+.1f} points on images that are of the tail and "
            f"{100 * plain[1]:+.1f} on those that it takes for it: {_two_sides(*plain)}."
        )
    worst: dict[Any, Any] = max(frame.to_dict("records"), key=lambda row: row["hidden"])
    text.append(
        "Errors on opposite sides cancel in the ECE of all images: the groups' own errors, weighted by their images, "
        f"exceed it by up to {worst['hidden']:.1f} points more than chance explains ({worst['method']}, whose ECE is "
        f"{worst['all']:.1f}%)."
    )
    return " ".join(text)


def _two_sides(actual: float, predicted: float) -> str:
    """What the two gaps of one group say together."""
    if actual > HONEST and predicted < -HONEST:
        return "too sure of what it calls them, too shy where it calls them by their name"
    if max(abs(actual), abs(predicted)) <= HONEST:
        return "neither reading finds a fault"
    return "the same fault under both readings" if actual * predicted > 0 else "the two readings disagree"


def show(page: Page, first: Mapping[str, Run]) -> None:
    """Over- and under-confidence of head, middle and tail, by actual and by predicted class."""
    shown = {method: first[method] for method in (*ROWS, "mixup", "lade") if method in first}
    if not shown:
        page.say("No run is there yet, so nothing can be said about class groups.")
        return
    gaps, frame = group_gaps(shown), group_frame(shown)
    caption = "Left, images of head, middle and tail classes; right, images that the network calls so."
    page.figure("Groups of classes", calibration_errors.group_gaps(gaps), caption=caption, runs=shown.values())
    caption = (
        "ECE (%) of all images; by actual class; by predicted class (said); hidden: what the ECE of all leaves out"
    )
    page.frame("Group errors", printable(frame, {}), caption, shown.values())
    page.say(group_sentence(gaps, frame))

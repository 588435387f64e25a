"""Head, middle and tail: on which side a network's confidence errs, by actual and by predicted class.

gaps, frame = groups.group_gaps(AWABS, shown), groups.errors(AWABS, shown)
plots.calibration_errors.group_gaps(gaps)
groups.sentence(gaps, frame, base=AWABS.name("ce"))
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ltlib import calibration
from ltlib.sections.calibration import HONEST, answers
from ltlib.sections.words import listed

if TYPE_CHECKING:
    import pandas as pd

    from ltlib.runs import Run
    from ltlib.sections.study import Study

BY = {"By actual class": "targets", "By predicted class": "predicted"}
Gaps = dict[str, dict[str, dict[str, float]]]


def group_gaps(study: Study, first: Mapping[str, Run]) -> Gaps:
    """Confidence minus accuracy by kind of grouping, method's name and group; NaN where a group has no image."""
    return {kind: {study.name(method): _gaps(run, of) for method, run in first.items()} for kind, of in BY.items()}


def _gaps(run: Run, of: str) -> dict[str, float]:
    return calibration.group_gaps(*answers(run), getattr(run.predictions["selected"], of), run.groups)


def errors(study: Study, first: Mapping[str, Run], bins: int = calibration.BINS) -> pd.DataFrame:
    """ECE of all images, of each group by actual and by predicted class (said), and what the ECE hides, in percent."""
    import pandas as pd

    rows = []
    for method, run in first.items():
        (confidence, correct), said = answers(run), run.predictions["selected"]
        row: dict[str, Any] = {"method": study.name(method)}
        row["all"] = 100 * calibration.from_confidence(confidence, correct, bins)
        for classes, word in ((said.targets, ""), (said.predicted, "said ")):
            own = calibration.group_errors(confidence, correct, classes, run.groups, bins)
            row |= {f"{word}{group}": np.nan if error is None else 100 * error for group, error in own.items()}
        rows.append(row | {"hidden": 100 * hidden(run, bins)})
    return pd.DataFrame(rows)


def hidden(run: Run, bins: int = calibration.BINS) -> float:
    """`calibration.hidden_error` of a run's test images at the selected epoch."""
    return calibration.hidden_error(*answers(run), run.predictions["selected"].predicted, run.groups, bins)


def sentence(gaps: Gaps, frame: pd.DataFrame, base: str) -> str:
    """On which side each group errs, under both readings, and the largest hidden error.

    Args:
        gaps: Of `group_gaps`.
        frame: Of `errors`.
        base: The name of the method whose tail is looked at more closely.
    """
    if frame.empty:
        return "No run is there yet, so nothing can be said about class groups."
    text = []
    for kind, methods in gaps.items():
        parts = []
        for group in next(iter(methods.values())):
            values = np.array([own[group] for own in methods.values()])
            values = values[np.isfinite(values)]
            if not len(values):
                parts.append(f"{group} for none of 0, because no method predicts it")
                continue
            over, middle = int((values > HONEST).sum()), float(np.median(values))
            parts.append(f"{group} for {over} of {len(values)} (median {100 * middle:+.0f} points)")
        text.append(f"{kind}, over-confident are {listed(parts)}.")
    actual, predicted = (gaps[kind].get(base, {}).get("tail", np.nan) for kind in BY)
    if np.isfinite([actual, predicted]).all():
        text.append(
            f"For {base}, confidence minus accuracy is {100 * actual:+.1f} points on images that are of the tail and "
            f"{100 * predicted:+.1f} on those that it takes for it: {_two_sides(actual, predicted)}."
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

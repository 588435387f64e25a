"""Calibration of a document's methods: reliability, confidence beside accuracy, sure mistakes, the error by epoch.

shown = CONVERGENT.first_runs(runs)
plots.calibration.reliability_diagram(calibration.panels(CONVERGENT, shown))
calibration.best_first(calibration.errors(CONVERGENT, CONVERGENT.by_method(runs)))

Everything rests on the predicted class and its confidence alone, which committed records keep. What an error hangs on:
`ece`; how sure it is: `chance`; class groups: `groups`; calibration after training: `posthoc`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from ltlib import calibration, grids
from ltlib.sections.words import listed, many

if TYPE_CHECKING:
    import pandas as pd

    from ltlib.runs import Run
    from ltlib.sections.study import Study

HONEST = 0.01
"""A confidence this near the accuracy, on average, is called neither over- nor under-confident."""


def answers(run: Run) -> tuple[np.ndarray, np.ndarray]:
    """Confidence [N] and whether the prediction is right [N], of a run's test images at the selected epoch."""
    said = run.predictions["selected"]
    return said.confidence, said.predicted == said.targets


def coverage(study: Study, found: Mapping[str, Sequence[Run]], profile: str) -> str:
    """On which set the document's own comparisons rest here, and which of their methods are not trained yet."""
    experiments, _ = grids.experiments(f"{study.id}/{study.document.home}", profile)
    wanted = {study.row(cast("Run", SimpleNamespace(experiment=experiment))) for experiment in experiments}
    left = [study.name(method) for method in study.document.names if method in wanted - found.keys()]
    text = f"From here on: {study.where(profile)}, {len(found)} of {len(wanted)} methods."
    return text + (f" Not trained yet: {listed(left)}." if left and found else "")


def panels(study: Study, first: Mapping[str, Run], bins: int = calibration.BINS) -> dict[str, pd.DataFrame]:
    """The panels of a reliability diagram: each method's name to its `calibration.reliability`."""
    return {study.name(method): calibration.reliability(*answers(run), bins) for method, run in first.items()}


# --- confidence beside accuracy --------------------------------------------------------------------------------------


def errors(study: Study, found: Mapping[str, Sequence[Run]], bins: int = calibration.BINS) -> pd.DataFrame:
    """Accuracy, mean confidence and ECE of each method and its ECE by (actual) class group, means over runs; fractions.

    A group without test images has no error (NaN).
    """
    import pandas as pd

    rows: list[dict[str, Any]] = []
    for method, own in found.items():
        each = pd.DataFrame([_scores(run, bins) for run in own]).astype(float)
        means = {str(name): value for name, value in each.mean().items()}
        rows.append({"method": study.name(method), "runs": len(own), **means})
    return pd.DataFrame(rows)


def _scores(run: Run, bins: int) -> dict[str, float | None]:
    confidence, correct = answers(run)
    of = run.predictions["selected"].targets
    row = {"accuracy": float(correct.mean()), "confidence": float(confidence.mean())}
    row["ECE"] = calibration.from_confidence(confidence, correct, bins)
    groups = calibration.group_errors(confidence, correct, of, run.groups, bins)
    return {**row, **{f"ECE, {group}": error for group, error in groups.items()}}


def best_first(frame: pd.DataFrame) -> str:
    """Who is best calibrated, and where confidence and accuracy part, from a frame of `errors`."""
    order = frame.sort_values("ECE", kind="stable")
    said = ", ".join(f"{m} {100 * e:.1f}%" for m, e in zip(order["method"], order["ECE"], strict=True))
    text = f"Expected calibration error, best first: {said}."
    gaps = frame["confidence"] - frame["accuracy"]
    said = ", ".join(f"{m} {100 * gap:+.1f}" for m, gap in zip(frame["method"], gaps, strict=True))
    text += f" Mean confidence minus accuracy, in points (above 0 is over-confident): {said}."
    if {"ECE, head", "ECE, tail"} <= set(frame.columns):
        worse = int((frame["ECE, tail"] > frame["ECE, head"]).sum())
        text += f" The tail is worse calibrated than the head for {worse} of {many(len(frame), 'method')}."
    return text


def sides(frame: pd.DataFrame) -> str:
    """How many methods are over-confident on average and how many are not, by how much at most; of `errors`."""
    gaps = dict(zip(frame["method"], frame["confidence"] - frame["accuracy"], strict=True))
    parts, left = [], len(gaps)
    for sign, word in ((1, "over-confident"), (-1, "under-confident")):
        members = [method for method, gap in gaps.items() if sign * gap > HONEST]
        left -= len(members)
        if members:
            first = max(members, key=lambda method: sign * gaps[method])
            verb, most = ("is", "") if len(members) == 1 else ("are", "most ")
            by = f"{first} by {100 * abs(gaps[first]):.1f} points"
            parts.append(f"{len(members)} {verb} {word} on average ({most}{by})")
    parts += [f"{left} within {100 * HONEST:g} point of their accuracy"] if left else []
    said = f"Of {many(len(gaps), 'method')} {' and '.join(parts)}."
    return f"{said} The ECE does not say on which side a network errs; the diagrams do."


def sure_mistakes(study: Study, first: Mapping[str, Run], above: float = 0.9) -> str:
    """How sure each method is when it is wrong."""
    sure = {}
    for method, run in first.items():
        confidence, correct = answers(run)
        if not correct.all():
            sure[study.name(method)] = float((confidence[~correct] > above).mean())
    if not sure:
        return "No answer is wrong, so nothing can be said about confidence in wrong answers."
    said = ", ".join(f"{name} {100 * sure[name]:.0f}%" for name in sorted(sure, key=lambda name: -sure[name]))
    return f"Share of the wrong answers that are given with a confidence above {100 * above:g}%: {said}."


# --- by epoch --------------------------------------------------------------------------------------------------------


def over_epochs(study: Study, histories: Mapping[str, pd.DataFrame]) -> str:
    """Where each test error has its lowest point and where it ends, and what a last stage does to it.

    Args:
        study: The document.
        histories: A run's history by method.
    """
    parts, stages = [], []
    for method, history in histories.items():
        error, name = history["test_ece"].to_numpy(), study.name(method)
        lowest = int(np.nanargmin(error))
        parts.append(
            f"{name} ends at {100 * error[-1]:.1f}%, its lowest was {100 * error[lowest]:.1f}% after epoch "
            f"{lowest + 1} of {len(error)}"
        )
        if history["stage"].nunique() > 1:
            before = error[(history["stage"] < history["stage"].max()).to_numpy()][-1]
            stages.append(f"{name} {100 * (error[-1] - before):+.1f}")
    if not parts:
        return "No run is there yet, so there is no calibration by epoch."
    text = f"{'; '.join(parts)}."
    if stages:
        text += f" From the end of stage 1 to the end of stage 2 the error moves by, in points: {', '.join(stages)}."
    return text + " Whoever chooses the epoch by its error on the test images chooses the low points of chance as well."

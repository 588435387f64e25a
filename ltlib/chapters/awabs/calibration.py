"""The page `awabs/calibration`: Table 4.1, all methods with intervals, reliability diagrams, calibration by epoch.

What the calibration error itself is and hangs on: `ece`, `chance`. Class groups: `groups`. Post-hoc calibration:
`posthoc`. The page's data figures: `long_tails`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from ltlib import calibration, grids, profiles
from ltlib.chapters.awabs import AWABS
from ltlib.chapters.awabs import chance as awabs_chance
from ltlib.grids import awabs as grid
from ltlib.plots import calibration as diagrams
from ltlib.plots import calibration_errors, curves
from ltlib.plots.style import label
from ltlib.sections import scores, study
from ltlib.sections.words import answered, listed, printable

if TYPE_CHECKING:
    import pandas as pd

    from ltlib.pages.page import Page
    from ltlib.runs import Predictions, Run

ROWS = ("ce", "crt", "lws", "crt_mixup", "lws_mixup", "lws_mixup_shifted_bn", "mislas", "awabs_cutmix")
"""The long-tailed rows of Table 4.1, in its order."""
TABLE_SET = "cifar100"
EPOCHS = ("ce", "mixup", "mislas", "awabs_cutmix")
HONEST = 0.01
"""A confidence this near the accuracy, on average, is called neither over- nor under-confident."""


# --- Table 4.1 -------------------------------------------------------------------------------------------------------


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


Pairs = dict[tuple[float, str], dict[str, float]]


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
        text += f" (not told from {_list(near)})" if near else ""
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


# --- all methods on one set ------------------------------------------------------------------------------------------


def method_runs(page: Page) -> dict[str, list[Run]]:
    """Runs of every method that the document compares, on the profile's own set, and which set that is."""
    found = AWABS.by_method(page.runs(f"{AWABS.id}/methods"))
    experiments, _ = grids.experiments(f"{AWABS.id}/methods", page.profile)
    wanted = {AWABS.row(cast("Run", SimpleNamespace(experiment=experiment))) for experiment in experiments}
    left = [AWABS.name(method) for method in AWABS.document.names if method in wanted - found.keys()]
    text = f"From here on: {AWABS.where(page.profile)}, {len(found)} of {len(wanted)} methods."
    page.say(text + (f" Not trained yet: {listed(left)}." if left and found else ""))
    return found


def confidence_frame(found: Mapping[str, Sequence[Run]], rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Accuracy, confidence and ECE with its interval, in percent, the best calibrated first.

    Args:
        found: Runs by method; means over them, intervals of the first.
        rows: Of `awabs_chance.intervals`.
    """
    import pandas as pd

    by_name = {row["method"]: row for row in rows}
    table: list[dict[str, Any]] = []
    for method, own in found.items():
        sure = float(np.mean([run.predictions["selected"].confidence.mean() for run in own]))
        right, row = scores.mean(own, "accuracy"), by_name[AWABS.name(method)]
        table.append(
            {
                "method": AWABS.name(method),
                "runs": len(own),
                "accuracy": 100 * right,
                "confidence": 100 * sure,
                "difference": f"{100 * (sure - right):+.1f}",
                "ECE": 100 * scores.mean(own, "ece"),
                "95% interval": f"{100 * row['low']:.1f} to {100 * row['high']:.1f}",
                "chance alone": 100 * row["chance"],
            }
        )
    table.sort(key=lambda row: float(row["ECE"]))
    return printable(pd.DataFrame(table), {})


def side_sentence(found: Mapping[str, Sequence[Run]]) -> str:
    """Which methods are over-confident on average and which are not, and by how much at most."""
    gaps = {method: float(np.mean([_gap(run.predictions["selected"]) for run in own])) for method, own in found.items()}
    over = sorted((m for m in gaps if gaps[m] > HONEST), key=lambda m: -gaps[m])
    under = sorted((m for m in gaps if gaps[m] < -HONEST), key=lambda m: gaps[m])
    parts = []
    for members, word in ((over, "over-confident"), (under, "under-confident")):
        if members:
            first = members[0]
            verb = "is" if len(members) == 1 else "are"
            most = f"{AWABS.name(first)} by {100 * abs(gaps[first]):.1f} points"
            parts.append(f"{len(members)} {verb} {word} on average ({'' if len(members) == 1 else 'most '}{most})")
    between = len(gaps) - len(over) - len(under)
    parts += [f"{between} within {100 * HONEST:g} point of their accuracy"] if between else []
    said = f"Of {len(gaps)} methods {' and '.join(parts)}."
    return f"{said} The ECE does not say on which side a network errs; the diagrams do."


def _gap(said: Predictions) -> float:
    confidence, correct = answered(said)
    return float(confidence.mean() - correct.mean())


def sureness(page: Page, found: Mapping[str, Sequence[Run]]) -> None:
    """Calibration errors of all methods with intervals: figure, table, what they say."""
    if not found:
        page.say("No run is there yet, so there is no calibration error to be sure of.")
        return
    first = {method: own[0] for method, own in found.items()}
    rows = awabs_chance.intervals(first)
    caption = "Calibration error of each method's first run, its interval over test images, and chance alone."
    page.figure("Intervals", calibration_errors.with_intervals(rows), caption=caption, runs=list(first.values()))
    page.say(awabs_chance.interval_sentence(rows))
    frame = confidence_frame(found, rows)
    caption = "of every method, in percent: accuracy, mean confidence, calibration error (interval: of the first run)"
    page.frame("Confidence", frame, caption, _all(found))
    page.say(side_sentence(found))


# --- reliability diagrams --------------------------------------------------------------------------------------------


def reliability(page: Page, first: Mapping[str, Run]) -> None:
    """The diagrams that section 4.2 mentions: the rows of Table 4.1, confidence histograms of two of them."""
    shown = {method: first[method] for method in ROWS if method in first}
    if not shown:
        page.missing("figure Section 4.2", *_why(page))
        return
    tables = {
        AWABS.name(method): calibration.reliability(*answered(run.predictions["selected"]))
        for method, run in shown.items()
    }
    caption = (
        f"The diagrams that section 4.2 refers to and the document does not contain, on {AWABS.where(page.profile)}: "
        "accuracy by bin of confidence, the gap to the diagonal, and the share of the images in each bin."
    )
    page.figure("Section 4.2", diagrams.reliability_diagram(tables), caption=caption, runs=shown.values())
    for method in ("ce", "awabs_cutmix"):
        if method in first:
            answers = answered(first[method].predictions["selected"])
            name = AWABS.name(method)
            figure = diagrams.confidence_histogram(*answers, title=name)
            text = f"Confidence of right and of wrong answers, {name}."
            page.figure(f"Confidence of {name}", figure, caption=text, runs=[first[method]])
    page.say(wrong_sentence(shown))


def wrong_sentence(first: Mapping[str, Run]) -> str:
    """How sure each method is when it is wrong: the answer to the page's question."""
    sure = {}
    for method, run in first.items():
        confidence, correct = answered(run.predictions["selected"])
        if not correct.all():
            sure[method] = float((confidence[~correct] > 0.9).mean())
    order = sorted(sure, key=lambda method: -sure[method])
    if not order:
        return "No answer is wrong, so nothing can be said about confidence in wrong answers."
    said = ", ".join(f"{AWABS.name(method)} {100 * sure[method]:.0f}%" for method in order)
    return f"Share of the wrong answers that are given with a confidence above 90%: {said}."


def _why(page: Page) -> tuple[str, str]:
    return "its runs are not there yet.", f"ltlib reproduce --profile {page.profile} --grid {AWABS.id}/methods"


# --- by epoch --------------------------------------------------------------------------------------------------------


def by_epoch(page: Page, first: Mapping[str, Run]) -> None:
    """Test calibration error by epoch of plain training, Mixup, MiSLAS and Method 2, stage 2 after stage 1."""
    shown = {method: first[method] for method in EPOCHS if method in first}
    if not shown:
        page.say("No run is there yet, so there is no calibration by epoch.")
        return
    chart = curves.comparison({m: run.history for m, run in shown.items()}, "test_ece", names=AWABS.document.names)
    caption = (
        "Calibration error on the test images by epoch. MiSLAS's first stage is the training of Mixup; what follows "
        "after the first stage's end is stage 2."
    )
    page.figure("ECE by epoch", chart, caption=caption, runs=shown.values())
    page.say(epoch_sentence({method: run.history for method, run in shown.items()}))


def epoch_sentence(histories: Mapping[str, pd.DataFrame]) -> str:
    """Where each error has its lowest point and where it ends, and what stage 2 does to it."""
    parts, stages = [], []
    for method, history in histories.items():
        error = history["test_ece"].to_numpy()
        lowest = int(np.nanargmin(error))
        parts.append(
            f"{AWABS.name(method)} ends at {100 * error[-1]:.1f}%, its lowest was {100 * error[lowest]:.1f}% after "
            f"epoch {lowest + 1} of {len(error)}"
        )
        if history["stage"].nunique() > 1:
            before = error[(history["stage"] < history["stage"].max()).to_numpy()][-1]
            stages.append(f"{AWABS.name(method)} {100 * (error[-1] - before):+.1f}")
    text = f"{'; '.join(parts)}."
    if stages:
        text += f" From the end of stage 1 to the end of stage 2 the error moves by, in points: {', '.join(stages)}."
    return text + " Whoever chooses the epoch by its error on the test images chooses the low points of chance as well."


def _all(found: Mapping[str, Iterable[Run]]) -> list[Run]:
    return [run for own in found.values() for run in own]


def _list(methods: Sequence[str]) -> str:
    return listed([AWABS.name(method) for method in methods])

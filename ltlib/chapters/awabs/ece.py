"""What the expected calibration error is and hangs on: a worked example, the number of bins, their kind.

Everything here needs confidences and right or wrong alone, which committed records keep; class-wise errors and
likelihoods come from a run's metrics, where they are. How sure an error is: `ltlib.chapters.awabs.chance`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from ltlib import calibration
from ltlib.chapters.awabs import AWABS
from ltlib.chapters.awabs.chance import chance
from ltlib.plots import calibration as diagrams
from ltlib.plots import calibration_errors
from ltlib.sections.words import answered, listed, printable

if TYPE_CHECKING:
    import pandas as pd

    from ltlib.pages.page import Page
    from ltlib.plots import Chart
    from ltlib.runs import Run

EXAMPLE = (
    *((0.97, True), (0.92, True), (0.90, False), (0.85, True), (0.70, True)),
    *((0.65, False), (0.60, True), (0.55, False), (0.35, True), (0.30, False)),
)
"""Ten made-up answers: the confidence and whether the answer is right."""
BINS = tuple(range(5, 51, 5))
SHOWN = (5, 15, 30, 50)
CURVES = ("ce", "crt_mixup", "lws_mixup", "mislas", "awabs_cutmix")
"""Methods whose errors are drawn against the number of bins."""


# --- what it is ------------------------------------------------------------------------------------------------------


def example(bins: int = 5) -> pd.DataFrame:
    """The ten answers by bin: images, accuracy, confidence, gap, and what the bin adds to the ECE."""
    import pandas as pd

    confidence, correct = (np.array(column) for column in zip(*EXAMPLE, strict=True))
    table = calibration.reliability(confidence, correct, bins)
    table = table[table["count"] > 0]
    rows = []
    for row in table.to_dict("records"):
        gap = abs(row["accuracy"] - row["confidence"])
        share = row["count"] / len(EXAMPLE)
        inside = ", ".join(f"{p:g} {'right' if r else 'wrong'}" for p, r in EXAMPLE if row["lower"] < p <= row["upper"])
        rows.append(
            [f"({row['lower']:g}, {row['upper']:g}]", inside, int(row["count"]), round(row["accuracy"], 3),
             round(row["confidence"], 3), round(gap, 3), round(share * gap, 4)]
        )  # fmt: skip
    columns = ["bin", "answers", "images", "accuracy", "confidence", "gap", "share of images x gap"]
    return pd.DataFrame(rows, columns=columns)


def example_sentence() -> str:
    """The sum, and what other bins make of the same answers."""
    confidence, correct = (np.array(column) for column in zip(*EXAMPLE, strict=True))
    found = {bins: calibration.from_confidence(confidence, correct, bins) for bins in (1, 5, 15)}
    return (
        f"The last column adds up to {found[5]:.3f}, an ECE of {100 * found[5]:.1f}%. The same ten answers have "
        f"{100 * found[1]:.1f}% in a single bin, which is the distance of mean confidence ({confidence.mean():.3f}) "
        f"and accuracy ({correct.mean():.3f}) and the least that any bins can give, and {100 * found[15]:.1f}% in 15: "
        "a bin with one image is as far off as it can be. The 0.6 lies on an edge and belongs to the lower bin."
    )


def explore(first: Mapping[str, Run], method: str = "ce", bins: int = 15) -> Chart:
    """A reliability diagram of one method with so many bins: one setting of the sliders."""
    found = calibration.reliability(*answered(first[method].predictions["selected"]), bins=int(bins))
    return diagrams.reliability_diagram({AWABS.name(method): found})


def sliders(page: Page, first: Mapping[str, Run]) -> None:
    """Number of bins and method on a reliability diagram; else the best calibrated at three numbers of bins, and CE."""
    if not first:
        page.say("No run is there whose bins could be changed.")
        return
    best = min(first, key=lambda method: calibration.from_confidence(*answered(first[method].predictions["selected"])))

    def draw(bins: int = 15, method: str = best) -> Chart:
        return explore(first, method, bins)

    static = [{"bins": bins, "method": best} for bins in (5, 15, 50)]
    if "ce" in first and best != "ce":
        static.append({"bins": 15, "method": "ce"})
    page.explore(draw, static, bins=(2, 100), method=list(first))


# --- what it hangs on ------------------------------------------------------------------------------------------------


def choices(first: Mapping[str, Run]) -> pd.DataFrame:
    """Calibration errors of each method under several choices, in percent; Brier score and likelihood as they are."""
    import pandas as pd

    rows = []
    for method, run in first.items():
        answers, values = answered(run.predictions["selected"]), run.metrics["selected"]
        row: dict[str, Any] = {"method": AWABS.name(method)}
        row |= {f"{bins} bins": 100 * calibration.from_confidence(*answers, bins) for bins in SHOWN}
        row["equal mass"] = 100 * calibration.adaptive_from_confidence(*answers, 15)
        row["largest gap"] = 100 * calibration.maximum_from_confidence(*answers, 15)
        row["class-wise"] = 100 * float(values.get("classwise_ece", np.nan))
        row |= {name: float(values[name.lower()]) for name in ("Brier", "NLL")}
        rows.append(row)
    return pd.DataFrame(rows)


def order_changes(frame: pd.DataFrame) -> str:
    """How often two methods change places when the bins change, and how far apart such pairs can be."""
    kinds = [*(f"{bins} bins" for bins in SHOWN), "equal mass"]
    pairs, widest, who = 0, 0.0, ("", "")
    rows = frame.to_dict("records")
    couples = list(combinations(rows, 2))
    for one, two in couples:
        signs = {np.sign(one[kind] - two[kind]) for kind in kinds} - {0.0}
        if len(signs) > 1:
            pairs += 1
            apart = abs(one["15 bins"] - two["15 bins"])
            if apart >= widest:
                widest, who = apart, (one["method"], two["method"])
    moved = {row["method"]: max(row[k] for k in kinds) - min(row[k] for k in kinds) for row in rows}
    most = max(moved, key=lambda name: moved[name])
    text = (
        f"From 5 to 50 bins and equal mass, the same answers move an ECE by up to {moved[most]:.1f} points ({most}). "
    )
    if not pairs:
        return f"{text}None of the {len(couples)} pairs of methods changes order."
    verb = "pair changes" if pairs == 1 else "pairs change"
    return (
        f"{text}{pairs} of {len(couples)} {verb} order somewhere on the way; the furthest apart of them, {who[0]} and "
        f"{who[1]}, differ by {widest:.1f} points at 15 bins."
    )


def by_bins(first: Mapping[str, Run], methods: Sequence[str]) -> Chart:
    """ECE of some methods against the number of bins, of equal width and of equal mass, with chance alone."""
    shown = {m: answered(first[m].predictions["selected"]) for m in methods if m in first}
    kinds = {"Bins of equal width": calibration.from_confidence}
    kinds["Bins of equal mass"] = calibration.adaptive_from_confidence
    panels = {kind: {m: [error(*own, b) for b in BINS] for m, own in shown.items()} for kind, error in kinds.items()}
    lowest = min(shown, key=lambda m: calibration.from_confidence(*shown[m]))
    alone = {
        kind: [float(chance(shown[lowest][0], b, 30, error=error).mean()) for b in BINS]
        for kind, error in kinds.items()
    }
    return calibration_errors.over_bins(panels, BINS, names=AWABS.document.names, chance=alone)


def bins_matter(page: Page, first: Mapping[str, Run]) -> None:
    """ECE against the number of bins, and every method's calibration under other choices."""
    if not first:
        page.say("No run is there yet, so the choices cannot be compared.")
        return
    shown = [method for method in CURVES if method in first] or list(first)[:1]
    chart = by_bins(first, shown)
    page.figure("Bins", chart, caption="Calibration error against bins; the line marks 15.", runs=_of(first, shown))
    frame = choices(first)
    missing = [str(name) for name in frame.columns if frame[name].isna().all()]
    shown_frame = printable(frame.drop(columns=missing), {"class-wise": 2, "Brier": 3, "NLL": 3})
    page.frame("Choices", shown_frame, "ECE (%) by bins, and other measures; first run of each method", first.values())
    if missing:
        page.note(f"Not kept in the records of these runs: {listed(missing)}.")
    page.say(order_changes(frame))


def _of(first: Mapping[str, Run], methods: Sequence[str]) -> list[Run]:
    return [first[method] for method in methods]

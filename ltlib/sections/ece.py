"""What the expected calibration error is and hangs on: a worked example, the number of bins, their kind.

ece.by_bins(AWABS, shown, bins=range(5, 51, 5))
ece.choices(AWABS, first, bins=(5, 15, 30, 50))
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from ltlib import calibration
from ltlib.plots import calibration_errors
from ltlib.plots.calibration import reliability_diagram
from ltlib.sections.calibration import answers, panels
from ltlib.sections.words import listed, printable

if TYPE_CHECKING:
    import pandas as pd

    from ltlib.pages.page import Page
    from ltlib.plots import Chart
    from ltlib.runs import Run
    from ltlib.sections.study import Study

EXAMPLE = (
    *((0.97, True), (0.92, True), (0.90, False), (0.85, True), (0.70, True)),
    *((0.65, False), (0.60, True), (0.55, False), (0.35, True), (0.30, False)),
)
"""Ten made-up answers: the confidence and whether the answer is right."""
KINDS = {
    "Bins of equal width": calibration.from_confidence,
    "Bins of equal mass": calibration.adaptive_from_confidence,
}


# --- what it is ------------------------------------------------------------------------------------------------------


def example(bins: int = 5) -> pd.DataFrame:
    """The ten answers by bin: images, accuracy, confidence, gap, and what the bin adds to the ECE."""
    import pandas as pd

    confidence, correct = (np.array(column) for column in zip(*EXAMPLE, strict=True))
    table = calibration.reliability(confidence, correct, bins)
    rows = []
    for row in table[table["count"] > 0].to_dict("records"):
        gap = abs(row["accuracy"] - row["confidence"])
        inside = ", ".join(f"{p:g} {'right' if r else 'wrong'}" for p, r in EXAMPLE if row["lower"] < p <= row["upper"])
        rows.append(
            {
                "bin": f"({row['lower']:g}, {row['upper']:g}]",
                "answers": inside,
                "images": int(row["count"]),
                "accuracy": round(row["accuracy"], 3),
                "confidence": round(row["confidence"], 3),
                "gap": round(gap, 3),
                "share of images x gap": round(row["count"] / len(EXAMPLE) * gap, 4),
            }
        )
    return pd.DataFrame(rows)


def example_sentence() -> str:
    """The sum over five bins, and what other bins make of the same answers."""
    confidence, correct = (np.array(column) for column in zip(*EXAMPLE, strict=True))
    found = {bins: calibration.from_confidence(confidence, correct, bins) for bins in (1, 5, 15)}
    return (
        f"The last column adds up to {found[5]:.3f}, an ECE of {100 * found[5]:.1f}%. The same ten answers have "
        f"{100 * found[1]:.1f}% in a single bin, which is the distance of mean confidence ({confidence.mean():.3f}) "
        f"and accuracy ({correct.mean():.3f}) and the least that any bins can give, and {100 * found[15]:.1f}% in 15: "
        "a bin with one image is as far off as it can be. The 0.6 lies on an edge and belongs to the lower bin."
    )


def best(first: Mapping[str, Run]) -> str:
    """The method with the lowest ECE."""
    return min(first, key=lambda method: calibration.from_confidence(*answers(first[method])))


def sliders(
    page: Page, study: Study, first: Mapping[str, Run], bins: Sequence[int] = (5, 15, 50), beside: str = "ce"
) -> None:
    """Number of bins and method on a reliability diagram; else the best calibrated at some numbers of bins.

    Args:
        page: The page.
        study: The document.
        first: A run by method.
        bins: Shown where there are no sliders.
        beside: A method shown beside it there, at 15 bins.
    """
    if not first:
        page.say("No run is there whose bins could be changed.")
        return
    lowest = best(first)

    def draw(bins: int = calibration.BINS, method: str = lowest) -> Chart:
        return reliability_diagram(panels(study, {method: first[method]}, int(bins)))

    static = [{"bins": number, "method": lowest} for number in bins]
    if beside in first and beside != lowest:
        static.append({"bins": calibration.BINS, "method": beside})
    page.explore(draw, static, bins=(2, 100), method=list(first))


# --- what it hangs on ------------------------------------------------------------------------------------------------


def by_bins(study: Study, shown: Mapping[str, Run], bins: Sequence[int]) -> Chart:
    """ECE of some methods against the number of bins, of equal width and of equal mass; chance for the lowest ECE."""
    known = {method: answers(run) for method, run in shown.items()}
    lines = {kind: {m: [error(*own, b) for b in bins] for m, own in known.items()} for kind, error in KINDS.items()}
    sure, _ = known[best(shown)]
    alone = {
        kind: [float(calibration.errors_by_chance(sure, b, 30, error=error).mean()) for b in bins]
        for kind, error in KINDS.items()
    }
    return calibration_errors.over_bins(lines, bins, names=study.document.names, chance=alone)


def choices(study: Study, first: Mapping[str, Run], bins: Sequence[int]) -> pd.DataFrame:
    """Calibration errors of each method under several choices, in percent; Brier score and likelihood as they are.

    Class-wise errors, Brier score and likelihood come from a run's metrics; NaN where its record lacks them.
    """
    import pandas as pd

    rows = []
    for method, run in first.items():
        own, values = answers(run), run.metrics["selected"]
        row: dict[str, Any] = {"method": study.name(method)}
        row |= {f"{number} bins": 100 * calibration.from_confidence(*own, number) for number in bins}
        row["equal mass"] = 100 * calibration.adaptive_from_confidence(*own)
        row["largest gap"] = 100 * calibration.maximum_from_confidence(*own)
        row["class-wise"] = 100 * float(values.get("classwise_ece", np.nan))
        rows.append(row | {name: float(values.get(name.lower(), np.nan)) for name in ("Brier", "NLL")})
    return pd.DataFrame(rows)


def kept(frame: pd.DataFrame) -> pd.DataFrame:
    """A frame of `choices` for a page, without what no run's record has."""
    return printable(frame.dropna(axis="columns", how="all"), {"class-wise": 2, "Brier": 3, "NLL": 3})


def order_changes(frame: pd.DataFrame) -> str:
    """How often two methods of `choices` change places with the bins, how far apart such pairs can be, what is missing.

    Args:
        frame: Of `choices`, with 15 among its numbers of bins.
    """
    if frame.empty:
        return "No run is there yet, so the choices cannot be compared."
    kinds = [name for name in frame.columns if str(name).endswith(" bins") or name == "equal mass"]
    rows = frame.to_dict("records")
    moved = {row["method"]: max(row[k] for k in kinds) - min(row[k] for k in kinds) for row in rows}
    most = max(moved, key=lambda name: moved[name])
    couples = list(combinations(rows, 2))
    turned = [
        (abs(one["15 bins"] - two["15 bins"]), one["method"], two["method"])
        for one, two in couples
        if len({np.sign(one[kind] - two[kind]) for kind in kinds} - {0.0}) > 1
    ]
    text = f"From {kinds[0].removesuffix(' bins')} to {kinds[-2]} and equal mass, the same answers move an ECE by "
    text += f"up to {moved[most]:.1f} points ({most}). "
    if turned:
        verb = "pair changes" if len(turned) == 1 else "pairs change"
        apart, one, two = max(turned, key=lambda pair: pair[0])
        text += f"{len(turned)} of {len(couples)} {verb} order somewhere on the way; the furthest apart of them, {one} "
        text += f"and {two}, differ by {apart:.1f} points at 15 bins."
    else:
        text += f"None of the {len(couples)} pairs of methods changes order."
    missing = [str(name) for name in frame.columns if frame[name].isna().all()]
    return f"{text} Not kept in the records of these runs: {listed(missing)}." if missing else text

"""What `awabs` says of its results: the sentences of sections 4.2, 4.5, 4.7, 4.8 and 5.1, each with its judge."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ltlib.chapters.awabs import AWABS
from ltlib.chapters.awabs.judges import (
    FACTORS,
    SECOND,
    Judge,
    above,
    all_above_earlier,
    beats_most,
    best,
    keeps_up,
    lowest,
    section_4_8,
    splits,
)
from ltlib.grids.awabs import PROPOSED
from ltlib.sections.claims import NOTHING, Claim, Compared, Judged, Judgement, conclude, judge
from ltlib.sections.study import stand_in
from ltlib.tables.scores import CLOSE, signed

if TYPE_CHECKING:
    import pandas as pd


def _claim(title: str, source: str, text: str, rule: Judge, reading: str = "") -> Claim:
    return Claim(title, text, f"{AWABS.id}, section {source}", rule, reading)


_C100 = [("4.7", factor) for factor in FACTORS["4.7"]]
_RIVALS = ("mislas", "lws", "crt")

CLAIMS = (
    _claim(
        "Re-weighting is worse than AWABS", "4.2",
        "incorporating the re-weighting method in Stage-2 leads to diminished performance and calibration in "
        "comparison to the AWABS approach",
        above([("4.2", factor, SECOND, "cbce") for factor in (100.0, 50.0, 10.0)], ("accuracy", "ece")),
        "method 2 above CBCE in accuracy and below it in ECE, at each factor",
    ),
    _claim(
        "Method 2 beats most earlier methods", "4.7",
        "Proposed Method 2 significantly outshines most previous methods in both top-1 accuracy and Expected "
        "Calibration Error (ECE)", beats_most,
        "better than more than half of the earlier methods that have the number, in each column",
    ),
    _claim(
        "CE is the least accurate", "4.7.1",
        "The baseline method, Cross-Entropy (CE), showed lower accuracy across all IFs", lowest("ce", "4.7"),
        "below every other method of Table 4.7",
    ),
    _claim(
        "Mixup and LDAM-DRW beat CE", "4.7.1",
        "Enhancements such as mixup and LDAM-DRW improved performance, with notable gains in accuracy",
        above([(t, f, m, "ce") for t, f in _C100 for m in ("mixup", "ldam_drw")]),
    ),
    _claim(
        "BBN and Remix-DRW go further", "4.7.1",
        "Advanced techniques like BBN and Remix-DRW further boosted accuracy, particularly at higher imbalance factors",
        above([(t, f, m, "ldam_drw") for t, f in _C100 for m in ("bbn", "remix_drw")]), "above LDAM-DRW at each factor",
    ),
    _claim(
        "The proposed methods are superior", "4.7.1", "Our proposed methods demonstrated superior performance",
        all_above_earlier("accuracy", ["4.7"]), "each above every earlier method of Table 4.7 in accuracy",
    ),
    _claim(
        "Method 2 is best at 100 and 10", "4.7.1",
        "Proposed Method 2 stood out with the best overall performance, combining high accuracy with low ECE, "
        "particularly excelling at IF 100 and IF 10", best(SECOND, ["4.7"], ("accuracy", "ece"), (100.0, 10.0)),
        "the best accuracy and the lowest ECE of those columns",
    ),
    _claim(
        "MiSLAS is best on the head", "4.7.3", "MiSLAS: Best on Head (63.3), good overall (47.0)",
        splits([("mislas", other, "head") for other in ("lws", "crt", *PROPOSED)]),
        "above every other row of Table 4.8",
    ),
    _claim(
        "Method 1 is best overall", "4.7.3", "Proposed Method 1: Balanced, highest overall (48.13)",
        splits([(PROPOSED[0], other, "all") for other in (*_RIVALS, *PROPOSED[1:])]),
        "above every other row of Table 4.8",
    ),
    _claim(
        "Method 2 is best in the tail", "4.7.3", "Proposed Method 2: Best Tail (27.724), strong overall (48.03)",
        splits([(SECOND, other, "tail") for other in (*_RIVALS, PROPOSED[0], PROPOSED[2])]),
        "above every other row of Table 4.8",
    ),
    _claim(
        "The proposed methods excel in middle and tail", "4.7.3",
        "Proposed methods excel, particularly in Tail and Middle classes, showing better handling of imbalanced data",
        splits([(own, other, split) for split in ("middle", "tail") for own in PROPOSED for other in _RIVALS]),
        "each above MiSLAS, LWS and cRT in both",
    ),
    _claim(
        "Method 2's group accuracies", "4.8",
        "Proposed Method 2 emerges as a stand-out performer with accuracy values of 45.930%, 48.030%, and 51.440% for "
        "the Head class, Middle class, and Tail classes, respectively", section_4_8,
        "its group accuracies in Table 4.8 are these, to a point",
    ),
    _claim(
        "Method 2 is best on CIFAR-10", "5.1",
        "The proposed Method 2 consistently outperforms other methods across all imbalance factors (IF) with the "
        "highest accuracy and lowest ECE", best(SECOND, ["4.6"], ("accuracy", "ece")), "in each column of Table 4.6",
    ),
    _claim(
        "MiSLAS is the most accurate on CIFAR-10", "5.1",
        "MiSLAS achieves the highest accuracy on CIFAR10-LT, closely followed by the proposed Method 2",
        best("mislas", ["4.6"], ("accuracy",)), "the best accuracy of each column of Table 4.6",
    ),
    _claim(
        "Method 2 beats LADE and MiSLAS", "5.1",
        "LADE and MiSLAS methods also perform well but are surpassed by the Proposed Method 2 in terms of both "
        "accuracy and ECE",
        above([(t, f, SECOND, m) for t, f in _C100 for m in ("lade", "mislas")], ("accuracy", "ece")),
        "in each column of Table 4.7",
    ),
    _claim(
        "Method 2 has the lowest ECE on CIFAR-100", "5.1",
        "Proposed Method 2 achieves the lowest ECE values across all imbalance factors, indicating its excellent "
        "calibration", best(SECOND, ["4.7"], ("ece",)),
    ),
    _claim(
        "Method 2 outperforms or matches", "5.1",
        "Proposed Method 2 consistently outperforms or matches other methods in terms of accuracy and calibration on "
        "both CIFAR-10-LT and CIFAR-100-LT datasets", keeps_up,
        "at most a point of accuracy and one and a half of ECE behind the best of each column",
    ),
    _claim(
        "The proposed methods are better calibrated", "5.1",
        "The proposed methods exhibit superior calibration, crucial for reliable uncertainty estimation",
        all_above_earlier("ece", ["4.6", "4.7"]), "each a lower ECE than every earlier method of the column",
    ),
    _claim(
        "MiSLAS for the head, method 2 for the tail", "5.1",
        "MiSLAS excels on frequent classes but struggles with rare ones, while Proposed Method 2 stands out by "
        "demonstrating high accuracy on rare categories",
        splits([("mislas", SECOND, "head"), (SECOND, "mislas", "tail")]),
        "MiSLAS above method 2 in the head, below it in the tail",
    ),
)  # fmt: skip


# --- section 4.5 -----------------------------------------------------------------------------------------------------


SILENT = "silent"
"""The printed world of section 4.5, which has no numbers."""


def judge_shift(frame: pd.DataFrame | None, profile: str) -> list[Judged]:
    """The two sentences of section 4.5, by the frame of `awabs_stage2.shift_frame`; the document prints no numbers.

    Args:
        frame: Confidence and accuracy by method and class group; None where the two were not run.
        profile: The profile.
    """
    claims = (
        _claim("Less over-confidence in head and middle", "4.5",
               "AWABS reduces over-confidence in head and medium classes, balancing prediction distributions",
               lambda world: _shifted(world, ("head", "middle"), "over-confident by (points)", -1),
               "confidence minus accuracy is smaller than with cross-entropy, without falling further below 0"),
        _claim("The tail shifts right", "4.5",
               "Tail class predictions shift right, indicating better confidence and accuracy for these classes",
               lambda world: _shifted(world, ("tail",), "confidence (%)", 1),
               "mean confidence and accuracy of the tail are larger than with cross-entropy"),
    )  # fmt: skip
    return judge(claims, SILENT, frame, stand_in(profile))


def _shifted(frame: Any, groups: Sequence[str], column: str, sign: int) -> Judgement:
    if frame is None or frame is SILENT:
        return Judgement(None, NOTHING if frame is None else "The document prints no such numbers.")
    values = {(i > 0, row["group"]): row for i, rows in enumerate(_by_method(frame)) for row in rows}
    lines = []
    for group in groups:
        before, after = values[False, group], values[True, group]
        compared = [_step(before[column], after[column], sign, absolute=sign < 0)]
        ends = [signed(row[column]) if sign < 0 else f"{row[column]:.1f}" for row in (before, after)]
        line = f"{group}: {column.partition(' (')[0]} {' to '.join(ends)}"
        if sign > 0:
            compared.append(_step(before["accuracy (%)"], after["accuracy (%)"], 1))
            line += f", accuracy {before['accuracy (%)']:.1f} to {after['accuracy (%)']:.1f}"
        lines.append((compared, line))
    return conclude(lines)


def _by_method(frame: pd.DataFrame) -> list[list[dict[Any, Any]]]:
    return [frame[frame["method"] == method].to_dict("records") for method in dict.fromkeys(frame["method"])]


def _step(before: float, after: float, sign: int, absolute: bool = False) -> Compared:
    """Whether a number of percent moved up (1) or down (-1); with `absolute` its distance from 0 did."""
    one, two = (abs(before), abs(after)) if absolute else (before, after)
    change = sign * (two - one)
    return Compared(None if abs(change) <= 100 * CLOSE["accuracy"] else change > 0, True)

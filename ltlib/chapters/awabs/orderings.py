"""The page `awabs/comparison`: which printed orderings hold, and why a small network may differ."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from ltlib import profiles, published
from ltlib.chapters.awabs import AWABS
from ltlib.grids import awabs as grid
from ltlib.sections import study
from ltlib.sections.scores import CLOSE, mean, percent

if TYPE_CHECKING:
    import pandas as pd

    from ltlib.pages.page import Page
    from ltlib.runs import Run

_WORDS = {"accuracy": "accuracy", "ece": "ECE"}


class Pair(NamedTuple):
    """Two methods whose printed numbers differ by more than the tolerance: better and worse in print, and ours."""

    metric: str
    better: str
    worse: str
    printed: float
    ours: float

    @property
    def holds(self) -> bool | None:
        """Whether ours differ the same way; None where they differ by no more than the tolerance."""
        return None if abs(self.ours) <= CLOSE[self.metric] else self.ours > 0


def printed_column(profile: str) -> dict[str, dict[str, float]]:
    """The column of Table 4.6 or 4.7 for the profile's one set at imbalance factor 100: metric, method, fraction."""
    table = "4.7" if grid.dataset(profile) == "cifar100" else "4.6"
    found: dict[str, dict[str, float]] = {"accuracy": {}, "ece": {}}
    for row in published.table(AWABS.id, table).to_dict("records"):
        if row["imbalance"] == grid.STAND_IN_FACTOR:
            found[row["metric"]][row["method"]] = row["value"] / 100
    return found


def pairs(printed: Mapping[str, Mapping[str, float]], ours: Mapping[str, Mapping[str, float]]) -> list[Pair]:
    """Every pair of methods that print tells apart and that we have; differences count as better, so above 0."""
    found = []
    for metric, values in printed.items():
        sign = -1 if metric == "ece" else 1
        known = [m for m in values if not math.isnan(ours[metric].get(m, math.nan))]
        for one, two in itertools.combinations(known, 2):
            gap = sign * (values[one] - values[two])
            first, second = (one, two) if gap > 0 else (two, one)
            if abs(gap) > CLOSE[metric]:
                change = sign * (ours[metric][first] - ours[metric][second])
                found.append(Pair(metric, first, second, abs(gap), change))
    return found


def kendall(first: Sequence[float], second: Sequence[float]) -> tuple[float, float]:
    """Kendall's tau-b of two rankings and its two-sided p (Kendall, 1938; `scipy.stats.kendalltau`)."""
    from scipy.stats import kendalltau

    result = kendalltau(first, second)
    return float(result.statistic), float(result.pvalue)


def orderings(page: Page, own: Mapping[str, Sequence[Run]]) -> None:
    """Which of the printed orderings hold on the profile's one set."""
    printed = printed_column(page.profile)
    ours = {metric: {m: mean(found, metric) for m, found in own.items()} for metric in printed}
    found = pairs(printed, ours)
    if not found:
        page.say("Too few methods were run to hold an ordering against print.")
        return
    table = "4.7" if grid.dataset(page.profile) == "cifar100" else "4.6"
    caption = f"that Table {table} tells apart at imbalance factor {grid.STAND_IN_FACTOR}, and what became of them"
    page.frame("Orderings", pairs_frame(found), caption, [run for runs in own.values() for run in runs])
    page.say(orderings_sentence(printed, ours, found, page.profile))


def pairs_frame(found: Sequence[Pair]) -> pd.DataFrame:
    """For each method that print puts above others: how many of these orderings hold, turn round, or are too close."""
    import pandas as pd

    rows = []
    for metric in dict.fromkeys(pair.metric for pair in found):
        for method in dict.fromkeys(pair.better for pair in found if pair.metric == metric):
            mine = [pair for pair in found if pair.metric == metric and pair.better == method]
            worst = min(mine, key=lambda pair: pair.ours)
            rows.append(
                {
                    "better in print": AWABS.name(method),
                    "in": _WORDS[metric],
                    "than": len(mine),
                    "holds": sum(p.holds is True for p in mine),
                    "too close": sum(p.holds is None for p in mine),
                    "turned round": sum(p.holds is False for p in mine),
                    "most (points)": f"{AWABS.short(worst.worse)} {100 * worst.ours:+.1f}"
                    if worst.holds is False
                    else "",
                }
            )
    return pd.DataFrame(rows)


def orderings_sentence(
    printed: Mapping[str, Mapping[str, float]],
    ours: Mapping[str, Mapping[str, float]],
    found: Sequence[Pair],
    profile: str,
) -> str:
    """Rank correlation and orderings that hold, for accuracy and for ECE."""
    text = []
    for metric, values in printed.items():
        known = [m for m in values if not math.isnan(ours[metric].get(m, math.nan))]
        mine = [pair for pair in found if pair.metric == metric]
        if len(known) < 3 or not mine:
            text.append(f"{'ECE' if metric == 'ece' else 'Accuracy'}: too few methods were run.")
            continue
        tau, p = kendall([values[m] for m in known], [ours[metric][m] for m in known])
        yes, no = sum(pair.holds is True for pair in mine), sum(pair.holds is False for pair in mine)
        text.append(
            f"{'ECE' if metric == 'ece' else 'Accuracy'}: Kendall's tau of the printed and our order of {len(known)} "
            f"methods is {tau:.2f} (p = {p:.2g}); of {len(mine)} pairs that print tells apart {yes} hold, {no} turn "
            f"round and {len(mine) - yes - no} come out too close."
        )
    if study.stand_in(profile):
        text.append(f"On {study.stand_in(profile)} none of this speaks of the document.")
    return " ".join(text)


# --- why a short training differs ------------------------------------------------------------------------------------


def fitting(page: Page, own: Mapping[str, Sequence[Run]]) -> None:
    """How far the networks have learnt their training images, and how sure they are: why a small one differs."""
    known = {m: own[m] for m in ("ce", "mixup", "crt", "mislas", *grid.PROPOSED) if m in own}
    if not known:
        return
    frame, runs = fitting_frame(known), [found[0] for found in known.values()]
    page.frame(
        "Fitting",
        frame,
        "accuracy on the (augmented, mixed) training images at the end of stage 1; test accuracy and confidence",
        runs,
    )
    page.say(fitting_sentence(frame, page.profile))


def fitting_frame(own: Mapping[str, Sequence[Run]]) -> pd.DataFrame:
    """Training accuracy (of augmented, mixed images) at the end of stage 1; test accuracy, confidence; percent."""
    import pandas as pd

    rows = []
    for method, found in own.items():
        first = found[0]
        history = first.history
        end = history[history["stage"] == history["stage"].min()].iloc[-1]
        said = first.predictions["selected"]
        right = float((said.predicted == said.targets).mean())
        rows.append(
            {
                "method": AWABS.name(method),
                "epochs": " + ".join(str(len(rows_)) for _, rows_ in history.groupby("stage")),
                "training (%)": percent(float(end["train_accuracy"])),
                "test (%)": percent(right),
                "confidence (%)": percent(float(said.confidence.mean())),
                "over-confident by (points)": percent(float(said.confidence.mean()) - right),
            }
        )
    return pd.DataFrame(rows)


def fitting_sentence(frame: pd.DataFrame, profile: str) -> str:
    """What the training accuracy says about the confidence."""
    rows = frame.to_dict("records")
    under = [row["method"] for row in rows if row["over-confident by (points)"] < 0]
    text = f"Less confident than right: {', '.join(under)}." if under else "All are more confident than right."
    plain = next((row for row in rows if row["method"] == AWABS.name("ce")), None)
    if plain is not None:
        gap = plain["over-confident by (points)"]
        text = (
            f"{plain['method']} ends its training with {plain['training (%)']:.1f}% of the training "
            f"images right, and on the test images its confidence is {abs(gap):.1f} points "
            f"{'above' if gap >= 0 else 'below'} its accuracy. {text}"
        )
    size = profiles.get(profile)
    if not size.network:
        return text
    text += (
        " The document's schedule has more than 180 epochs, and going on until the training images are fitted is what "
        "makes networks over-confident (Guo et al. 2017). "
    )
    if plain is not None and plain["training (%)"] > 97:
        text += "Here they are fitted too, but the set is so easy that the confidence is earned. "
    else:
        text += "A small network after a short training stops before that. "
    return text + (
        "Softer labels can then push the confidence below the accuracy, and the order by ECE can turn round without "
        f"contradicting the document. Stage 2 also has only a twentieth of the {size.epochs} epochs."
    )
